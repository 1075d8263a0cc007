//! What can be typed about forms, reports, their files, and arrivals of documents.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{ArgGroup, Args, Subcommand};
use dunghan_calendar::Period;
use dunghan_proto::submission::report::State;

use super::ClientArgs;
use crate::input::{self, UnitRef};

#[derive(Args, Debug)]
pub(crate) struct Reports {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) verb: ReportsVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReportsVerb {
    /// Reports of a unit and of all below it, the last created first
    List {
        /// The unit: its code, CODE:DATE, SCHEME/CODE or units/UUID; without one,
        /// everything the token may read
        unit: Option<UnitRef>,
        /// Only under this regime
        #[arg(long, value_name = "REGIME")]
        regime: Option<String>,
        /// Only for this period
        #[arg(long, value_name = "PERIOD")]
        period: Option<Period>,
        /// Only these: draft, submitted, returned, accepted; may be given several times
        #[arg(long = "state", value_name = "STATE", value_parser = input::report_state)]
        states: Vec<State>,
        /// The date on which the unit's code is meant [default: today]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        as_of: Option<NaiveDate>,
    },
    /// One report with its figures and findings
    Show {
        #[command(flatten)]
        which: WhichReport,
    },
    /// Write a JSON file to fill in, with all that the regime's form asks for.
    ///
    /// A figure that stays null is not stated: that is not zero.
    New {
        /// The unit that is to report: its code, CODE:DATE, SCHEME/CODE or
        /// units/UUID
        unit: UnitRef,
        /// The regime
        #[arg(long, value_name = "REGIME")]
        regime: String,
        /// The period
        #[arg(long, value_name = "PERIOD")]
        period: Period,
        /// Where to write it [default: standard output]
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Keep the report of a JSON file as a draft, and say what the checks find.
    /// Nothing is handed over
    Check {
        /// As `reports new` writes it; docs/FORMS.md has all of its fields
        file: PathBuf,
    },
    /// Create the report of a JSON file and hand it over. A draft that is
    /// there already is replaced, and so is what a report said that was sent
    /// back
    Submit {
        /// As `reports new` writes it; docs/FORMS.md has all of its fields
        file: PathBuf,
    },
    /// Say in one call that nothing occurred in the period, and hand that over
    Nil {
        /// The unit that reports: its code, CODE:DATE, SCHEME/CODE or units/UUID
        unit: UnitRef,
        /// The regime
        #[arg(long, value_name = "REGIME")]
        regime: String,
        /// The period
        #[arg(long, value_name = "PERIOD")]
        period: Period,
        /// Number and symbol of the document, where it was sent as one too, for
        /// example 103/BC-UBND
        #[arg(long, value_name = "TEXT", requires = "dated")]
        document: Option<String>,
        /// The date that the document bears
        #[arg(long, value_name = "DATE", value_parser = input::date, requires = "document")]
        dated: Option<NaiveDate>,
        /// The date on which the unit's code is meant [default: today]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        as_of: Option<NaiveDate>,
    },
    /// Answer a finding: why the report is right so. The answer travels with it
    Justify {
        #[command(flatten)]
        which: WhichReport,
        /// The finding, by its key as `reports show --output json` has it
        #[arg(long, value_name = "KEY")]
        finding: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        text: String,
    },
    /// Accept what was handed over at the next level of review, as whoever
    /// supervises the unit or the regime; what was read, and nothing else
    #[command(group = ArgGroup::new("read").required(true).args(["revision", "etag"]))]
    Accept {
        #[command(flatten)]
        which: WhichReport,
        /// For whoever reads it
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
        /// The revision that was read, as `reports show` has it: another one is not
        /// accepted
        #[arg(long, value_name = "REVISION", value_parser = clap::value_parser!(i32).range(1..))]
        revision: Option<i32>,
        /// The etag that was read: whatever has changed since is not accepted
        #[arg(long, value_name = "ETAG")]
        etag: Option<String>,
    },
    /// Take a report back that was handed over: it is a draft again, and counts
    /// as not received
    Withdraw {
        #[command(flatten)]
        which: WhichReport,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Send a report back to be mended, as whoever supervises the unit or the
    /// regime. When it was first received stands
    Return {
        #[command(flatten)]
        which: WhichReport,
        /// What is to be mended
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// The last date on which the mended report is on time
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        until: NaiveDate,
    },
    /// What has changed between two revisions, or since the last one
    Diff {
        #[command(flatten)]
        which: WhichReport,
        /// The earlier one [default: the last before]
        #[arg(long, value_name = "REVISION", value_parser = clap::value_parser!(i32).range(0..))]
        from: Option<i32>,
        /// The later one [default: as the report stands]
        #[arg(long, value_name = "REVISION", value_parser = clap::value_parser!(i32).range(1..))]
        to: Option<i32>,
    },
    /// That a report was received, signed: get, verify, keys
    Receipt {
        #[command(subcommand)]
        verb: ReceiptVerb,
    },
    /// Take in thousands of reports, all or none, from a file with one report in
    /// JSON on each line, as `reports submit` takes it
    Import {
        /// The file
        #[arg(required_unless_present = "staged")]
        file: Option<PathBuf>,
        /// The unit below which all of them are, itself included
        #[arg(long, value_name = "UNIT")]
        below: UnitRef,
        /// Hand them over
        #[arg(long, conflicts_with = "staged")]
        submit: bool,
        /// Only say what would come of each line
        #[arg(long)]
        dry_run: bool,
        /// Apply what a dry run judged: its id. With --dry-run as well: only say
        /// again what would come of it
        #[arg(long, value_name = "ID", conflicts_with = "file")]
        staged: Option<uuid::Uuid>,
        /// The date on which units' codes are meant, of --below and of the lines
        /// [default: today]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        as_of: Option<NaiveDate>,
    },
    /// All that was done to a report: handed over, taken back, sent back,
    /// accepted
    Acts {
        #[command(flatten)]
        which: WhichReport,
        /// With each report as it was handed over; as JSON only
        #[arg(long)]
        with_reports: bool,
    },
}

/// One report.
#[derive(Args, Debug)]
pub(crate) struct WhichReport {
    /// The unit that reports, or the report's whole name,
    /// units/UUID/reports/UUID
    pub(crate) target: String,
    /// The regime
    #[arg(long, value_name = "REGIME")]
    pub(crate) regime: Option<String>,
    /// The period
    #[arg(long, value_name = "PERIOD")]
    pub(crate) period: Option<Period>,
    /// The date on which the unit's code is meant [default: today]
    #[arg(long, value_name = "DATE", value_parser = input::date)]
    pub(crate) as_of: Option<NaiveDate>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptVerb {
    /// A signed receipt, for the unit to keep
    Get {
        #[command(flatten)]
        which: WhichReport,
        /// Of this revision [default: the one that stands]
        #[arg(long, value_name = "REVISION", value_parser = clap::value_parser!(i32).range(1..))]
        revision: Option<i32>,
        /// Where to write it; nothing that is there is written over
        /// [default: standard output]
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Whether a receipt was signed by this installation, and whether the report
    /// still says the same and counts. Exit code 1 where one of these is not so
    Verify {
        /// The receipt
        file: PathBuf,
        /// Public keys as `reports receipt keys` prints them: no server is asked,
        /// and so not whether the report still says the same and counts
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
    },
    /// The public keys by which receipts are checked elsewhere, as a JWK set
    Keys,
}

#[derive(Args, Debug)]
pub(crate) struct Attachments {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) verb: AttachmentsVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AttachmentsVerb {
    /// Put a file of 50 MiB at most on a report that can still be changed
    Add {
        #[command(flatten)]
        which: WhichReport,
        /// The file
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// The files of a report, those that were taken off or erased as well
    List {
        #[command(flatten)]
        which: WhichReport,
    },
    /// Write a file to disk
    Get {
        /// Its whole name, units/UUID/reports/UUID/attachments/UUID
        name: String,
        /// Where to write it; nothing that is there is written over
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Take a file off a report that can still be changed; revisions keep it
    Detach {
        /// Its whole name
        name: String,
    },
    /// Erase what a file holds, for good, in every revision
    Erase {
        /// Its whole name
        name: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Arrivals {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) verb: ArrivalsVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ArrivalsVerb {
    /// Note what has arrived at a unit, all or none; twice is harmless.
    ///
    /// Columns: arrival_number, arrival_time, sender_agency_code,
    /// document_number, document_symbol, document_date.
    Record {
        /// A CSV file in UTF-8 with these column names in its first line
        file: PathBuf,
        /// Who received them
        #[arg(long, value_name = "UNIT")]
        unit: UnitRef,
        /// The date on which the unit's code is meant [default: today]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        as_of: Option<NaiveDate>,
    },
    /// What arrived at a unit, the last first
    List {
        /// Who received it
        unit: UnitRef,
        /// Only what no report is matched with
        #[arg(long)]
        unmatched: bool,
        /// The date on which the unit's code is meant [default: today]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        as_of: Option<NaiveDate>,
    },
    /// Declare void what was noted by mistake: it fits no report, and its number
    /// can be noted again. What a receive time rests on stays
    Void {
        /// Its arrival number; where several years have it, the last one's
        number: String,
        /// Who received it
        #[arg(long, value_name = "UNIT")]
        unit: UnitRef,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// The date on which the unit's code is meant [default: today]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        as_of: Option<NaiveDate>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Forms {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) verb: FormsVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FormsVerb {
    /// All forms
    List,
    /// One form: its sections, what it asks for, its tables and rules
    Show {
        /// For example cds-1: the last number is the version
        form: String,
    },
    /// Publish a version of a form from a TOML file. It never changes after
    Publish {
        /// The file
        file: PathBuf,
        /// Only say whether it could be published
        #[arg(long)]
        dry_run: bool,
    },
    /// Retire a version: what was begun on it is finished, and nothing else is
    /// begun
    Retire {
        /// For example cds-1
        form: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}
