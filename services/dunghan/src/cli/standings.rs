//! What can be typed about obligations, what a unit owes, and rates.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Subcommand, ValueEnum};
use dunghan_calendar::Period;

use super::ClientArgs;
use crate::input::{self, UnitRef};

/// Which obligations.
#[derive(Args, Debug)]
pub(crate) struct Obligations {
    /// The unit at the top; without one, everything the token may read
    pub(crate) unit: Option<UnitRef>,
    /// Only under this regime
    #[arg(long, value_name = "REGIME")]
    pub(crate) regime: Option<String>,
    /// Only for this period
    #[arg(long, value_name = "PERIOD")]
    pub(crate) period: Option<Period>,
    /// Only where they stand so: not_yet_open, open, due_soon (within three
    /// working days), missing, on_time, late, no_due_time, returned, waived,
    /// closed; may be given several times
    #[arg(long = "standing", value_name = "STANDING", value_parser = input::standing)]
    pub(crate) standings: Vec<dunghan_proto::compliance::Standing>,
    /// The moment for which to answer [default: now]
    #[arg(long, value_name = "TIME", value_parser = input::time)]
    pub(crate) at: Option<DateTime<Utc>>,
    /// The date on which the unit's code is meant [default: today]
    #[arg(long, value_name = "DATE", value_parser = input::date)]
    pub(crate) as_of: Option<NaiveDate>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Owed {
    /// Whose
    pub(crate) unit: UnitRef,
    /// Due from this date on; what is missing from before is listed all the same
    /// [default: today]
    #[arg(long, value_name = "DATE", value_parser = input::date)]
    pub(crate) from: Option<NaiveDate>,
    /// Due no later than this date, a year later at most [default: four weeks
    /// in all; with --ical, a year]
    #[arg(long, value_name = "DATE", value_parser = input::date)]
    pub(crate) through: Option<NaiveDate>,
    /// Write it as an iCalendar file, for calendars to read; `-` is standard
    /// output
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    pub(crate) ical: Option<PathBuf>,
    /// Print the address at which calendars subscribe to it, without a token;
    /// URL is where they reach the server's feeds.listen
    #[arg(long, value_name = "URL", value_parser = input::web_address,
        conflicts_with_all = ["output", "ical", "from", "through"])]
    pub(crate) feed: Option<String>,
    /// The date on which the unit's code is meant [default: today]
    #[arg(long, value_name = "DATE", value_parser = input::date)]
    pub(crate) as_of: Option<NaiveDate>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Args, Debug)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct Rates {
    /// The unit at the top
    #[arg(required = true)]
    pub(crate) unit: Option<UnitRef>,
    /// The regime
    #[arg(long, value_name = "REGIME", required = true)]
    pub(crate) regime: Option<String>,
    /// One period, with everyone who is not on time
    #[arg(long, value_name = "PERIOD", required_unless_present = "from")]
    pub(crate) period: Option<Period>,
    /// Period by period, from this one on
    #[arg(long, value_name = "PERIOD", requires = "through", conflicts_with = "period")]
    pub(crate) from: Option<Period>,
    /// Through this one, 120 after the first at most
    #[arg(long, value_name = "PERIOD", requires = "from")]
    pub(crate) through: Option<Period>,
    /// The moment for which to answer [default: now]
    #[arg(long, value_name = "TIME", value_parser = input::time)]
    pub(crate) at: Option<DateTime<Utc>>,
    /// The date on which the unit's code is meant [default: today]
    #[arg(long, value_name = "DATE", value_parser = input::date)]
    pub(crate) as_of: Option<NaiveDate>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) verb: Option<RatesVerb>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RatesVerb {
    /// The units directly below one, the best first
    Rank {
        /// The unit whose children are ranked, each with all below it
        unit: UnitRef,
        /// Only under this regime
        #[arg(long, value_name = "REGIME")]
        regime: Option<String>,
        /// Of periods whose cut-off lies from this date on
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        from: NaiveDate,
        /// Of periods whose cut-off lies no later than this date, ten years
        /// later at most; who is whose child is as of this date
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        through: NaiveDate,
        /// By what
        #[arg(long, value_enum, default_value_t = RankBy::OnTime)]
        by: RankBy,
        /// The moment for which to answer [default: now]
        #[arg(long, value_name = "TIME", value_parser = input::time)]
        at: Option<DateTime<Utc>>,
        /// The date on which the unit's code is meant [default: today]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        as_of: Option<NaiveDate>,
    },
}

/// By what to rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RankBy {
    /// The reporting rate on time, then the reporting rate
    #[value(name = "on_time")]
    OnTime,
    /// The reporting rate, then the reporting rate on time
    Reporting,
}

#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// The unit that owes, or the whole name of the obligation,
    /// units/UUID/obligations/REGIME~PERIOD
    pub(crate) target: String,
    /// The regime
    #[arg(long, value_name = "REGIME")]
    pub(crate) regime: Option<String>,
    /// The period
    #[arg(long, value_name = "PERIOD")]
    pub(crate) period: Option<Period>,
    /// The moment for which to answer [default: now]
    #[arg(long, value_name = "TIME", value_parser = input::time)]
    pub(crate) at: Option<DateTime<Utc>>,
    /// The date on which the unit's code is meant [default: today]
    #[arg(long, value_name = "DATE", value_parser = input::date)]
    pub(crate) as_of: Option<NaiveDate>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}
