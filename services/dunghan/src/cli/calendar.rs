//! The arguments of `calendar`.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use dunghan_calendar::{Family, Period};

use super::ClientArgs;
use crate::input::{self, CalendarDay, Hours, UnitRef};

#[derive(Args, Debug)]
pub(crate) struct Calendar {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) verb: CalendarVerb,
}

/// Which calendar.
#[derive(Args, Debug)]
pub(crate) struct Province {
    /// The province whose calendar is meant [default: the nation's]
    #[arg(long, value_name = "UNIT")]
    pub(crate) province: Option<UnitRef>,
    /// The date on which the province's code is meant [default: today]
    #[arg(long, value_name = "DATE", value_parser = input::date)]
    pub(crate) as_of: Option<NaiveDate>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CalendarVerb {
    /// The days that a period covers; needs no server
    Period {
        /// 202605, 2026Q2, 2026S1, 2026N9, 2026 or 2023-01-01--2024-05-31
        name: Period,
        /// nd09 (from the 15th to the 14th) or calendar
        #[arg(long, value_name = "FAMILY", default_value_t = Family::Nd09)]
        family: Family,
    },
    /// The date that many working days after another
    Due {
        /// The day after which counting begins: a cut-off, or a receipt
        #[arg(value_parser = input::date)]
        date: NaiveDate,
        /// How many
        #[arg(long, value_name = "N")]
        working_days: u16,
        /// Ask no server: count by the nation's calendar as it is compiled in,
        /// which knows no amendment
        #[arg(long, conflicts_with = "province")]
        offline: bool,
        #[command(flatten)]
        province: Province,
    },
    /// All calendars: the nation's, and those of provinces that have days of
    /// their own
    List,
    /// The days of a calendar that are not what their weekday makes them, and
    /// when offices are open
    Show {
        /// From this day on [default: the first of this year]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        from: Option<NaiveDate>,
        /// Through this day, ten years after the first at most [default: the
        /// last of the first day's year]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        through: Option<NaiveDate>,
        #[command(flatten)]
        province: Province,
    },
    /// Say something else of days, or of office hours, and move the due times of
    /// what nobody has submitted yet
    ///
    /// A file is CSV in UTF-8 with the columns date and kind, and if wanted
    /// name_vi, weekday (Mon to Sun; guards against slips), certainty (official
    /// or estimated) and source. A kind is public, in_lieu, swapped_workday, or
    /// ordinary: what its weekday makes it after all.
    #[command(group = clap::ArgGroup::new("said").required(true).multiple(true)
        .args(["file", "days", "hours"]))]
    Amend {
        /// A file of days
        file: Option<PathBuf>,
        /// A day, as 2026-09-21=in_lieu:'Nghỉ bão'; may be given several times
        #[arg(long = "day", value_name = "DATE=KIND[:NAME]")]
        days: Vec<CalendarDay>,
        /// When offices are open from now on, as 07:30-11:30,13:30-17:00
        #[arg(long, value_name = "MORNING,AFTERNOON")]
        hours: Option<Hours>,
        /// The document by which it is amended
        #[arg(long, value_name = "TEXT")]
        basis: String,
        /// Why, in words that a supervisor can be told
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Refuse if the calendar was amended since this etag of `show` was read
        #[arg(long, value_name = "ETAG")]
        etag: Option<String>,
        /// Show what would move, and amend nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        province: Province,
    },
    /// What was amended, the last first; of all calendars unless one is named
    Amendments {
        /// Only of the nation's calendar
        #[arg(long, conflicts_with = "province")]
        national: bool,
        #[command(flatten)]
        province: Province,
    },
    /// The due times that amendments and decisions moved, in a unit and below it
    Moved {
        /// The unit at the top
        unit: UnitRef,
        /// Only by this one: calendars/…/amendments/N or decisions/UUID
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// The date on which the unit's code is meant [default: today]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        as_of: Option<NaiveDate>,
    },
}
