//! What can be typed about waivers and extensions, and about what units ask for.

use chrono::NaiveDate;
use clap::{ArgGroup, Args, Subcommand};
use dunghan_calendar::Period;
use dunghan_proto::compliance::obligation_request::{Kind, State};

use super::ClientArgs;
use crate::input::{self, UnitRef};

/// On which obligations.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("when").required(true).args(["period", "due_from"]))]
pub(crate) struct OnWhat {
    /// On whom: its code, CODE:DATE, SCHEME/CODE or units/UUID
    pub(crate) unit: UnitRef,
    /// On all below it too, and on what is opened there later
    #[arg(long)]
    pub(crate) below: bool,
    /// Only under this regime
    #[arg(long, value_name = "REGIME")]
    pub(crate) regime: Option<String>,
    /// For this period
    #[arg(long, value_name = "PERIOD", requires = "regime")]
    pub(crate) period: Option<Period>,
    /// For all that is due from this date on, before any extension
    #[arg(long, value_name = "DATE", value_parser = input::date, requires = "due_through")]
    pub(crate) due_from: Option<NaiveDate>,
    /// For all that is due no later than this date, a year later at most
    #[arg(long, value_name = "DATE", value_parser = input::date, requires = "due_from")]
    pub(crate) due_through: Option<NaiveDate>,
    /// Number and symbol of the decision's document, for example 15/QĐ-UBND
    #[arg(long, value_name = "TEXT")]
    pub(crate) document: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Say what would be concerned, and decide nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The date on which the unit's code is meant [default: today]
    #[arg(long, value_name = "DATE", value_parser = input::date)]
    pub(crate) as_of: Option<NaiveDate>,
}

#[derive(Args, Debug)]
pub(crate) struct Waive {
    #[command(flatten)]
    pub(crate) on: OnWhat,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("until_when").required(true).args(["until", "working_days"]))]
pub(crate) struct Extend {
    #[command(flatten)]
    pub(crate) on: OnWhat,
    /// The last date on which the reports are on time
    #[arg(long, value_name = "DATE", value_parser = input::date)]
    pub(crate) until: Option<NaiveDate>,
    /// So many working days after the due date before any extension: they never
    /// add up
    #[arg(long, value_name = "N")]
    pub(crate) working_days: Option<u16>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Decisions {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) verb: DecisionsVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DecisionsVerb {
    /// The decisions on a unit and on what is below it, or that reach it from
    /// above, the last first
    List {
        /// The unit
        unit: UnitRef,
        /// Only on this regime, or on all
        #[arg(long, value_name = "REGIME")]
        regime: Option<String>,
        /// Those that are revoked too
        #[arg(long)]
        revoked: bool,
        /// The date on which the unit's code is meant [default: today]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        as_of: Option<NaiveDate>,
    },
    /// One decision
    Show {
        /// Its id, as `list` has it
        decision: String,
    },
    /// End a decision from now on; what was on time by it stays on time
    Revoke {
        /// Its id, as `list` has it
        decision: String,
        /// Number and symbol of the document that revokes it
        #[arg(long, value_name = "TEXT")]
        document: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Requests {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) verb: RequestsVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RequestsVerb {
    /// What units asked for, in a unit and below it, the last first
    List {
        /// The unit
        unit: UnitRef,
        /// Only these: pending, granted, refused, withdrawn; may be given several
        /// times
        #[arg(long = "state", value_name = "STATE", value_parser = input::request_state)]
        states: Vec<State>,
        /// The date on which the unit's code is meant [default: today]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        as_of: Option<NaiveDate>,
    },
    /// Ask for more time, for an excuse because a system failed, or for a
    /// lateness to be taken as explained
    Ask {
        /// The unit that owes, or the whole name of the obligation,
        /// units/UUID/obligations/REGIME~PERIOD
        target: String,
        /// extension, system_failure or explanation
        #[arg(long, value_name = "KIND", value_parser = input::request_kind)]
        kind: Kind,
        /// The last date on which the report would be on time; not for an
        /// explanation
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        until: Option<NaiveDate>,
        /// Why; for a system failure which system, from when to when
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// The regime
        #[arg(long, value_name = "REGIME")]
        regime: Option<String>,
        /// The period
        #[arg(long, value_name = "PERIOD")]
        period: Option<Period>,
        /// The date on which the unit's code is meant [default: today]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        as_of: Option<NaiveDate>,
    },
    /// Grant a request, or accept an explanation, as whoever supervises the unit
    Grant {
        #[command(flatten)]
        which: WhichRequest,
        /// What is answered
        #[arg(long, value_name = "TEXT")]
        answer: String,
        /// Number and symbol of the document; not for an explanation
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        document: String,
        /// The last date on which the report is on time
        /// [default: as was asked for]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        until: Option<NaiveDate>,
    },
    /// Refuse a request, as whoever supervises the unit
    Refuse {
        #[command(flatten)]
        which: WhichRequest,
        /// What is answered
        #[arg(long, value_name = "TEXT")]
        answer: String,
    },
    /// Take a request back that nobody has decided
    Withdraw {
        #[command(flatten)]
        which: WhichRequest,
    },
}

/// One request.
#[derive(Args, Debug)]
pub(crate) struct WhichRequest {
    /// The unit that asked, or one above it
    pub(crate) unit: UnitRef,
    /// Its id, as `list` has it
    pub(crate) request: String,
    /// The date on which the unit's code is meant [default: today]
    #[arg(long, value_name = "DATE", value_parser = input::date)]
    pub(crate) as_of: Option<NaiveDate>,
}
