//! What can be typed about units, their contacts, and grants.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{Args, Subcommand, ValueEnum};
use dunghan_hierarchy::Level;
use dunghan_proto::registry::ContactRole;

use super::ClientArgs;
use crate::input::{self, UnitRef};

/// The date that a question is about.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct AsOf {
    /// The date for which to answer [default: today]
    #[arg(long, value_name = "DATE", value_parser = input::date)]
    pub(crate) as_of: Option<NaiveDate>,
}

#[derive(Args, Debug)]
pub(crate) struct Units {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) verb: UnitsVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UnitsVerb {
    /// Units valid on a date, by statistics code
    List {
        /// Only this level; may be given several times
        #[arg(long = "level", value_name = "LEVEL", value_parser = input::level)]
        levels: Vec<Level>,
        /// Only the direct children of this unit
        #[arg(long, value_name = "UNIT")]
        parent: Option<UnitRef>,
        #[command(flatten)]
        as_of: AsOf,
        /// How many to list; 0 is all
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Who is under whom on a date
    Tree {
        /// The unit at the top [default: the whole nation]
        unit: Option<UnitRef>,
        #[command(flatten)]
        as_of: AsOf,
        /// How many levels down to show; what is below is counted
        /// [default: 1; with --level as far as that is]
        #[arg(long, value_name = "N")]
        depth: Option<usize>,
        /// Only units of this level, with those above them; may be given several
        /// times
        #[arg(long = "level", value_name = "LEVEL", value_parser = input::level)]
        levels: Vec<Level>,
        /// How many to show under one unit, the rest is counted; 0 is all
        #[arg(long, value_name = "N", default_value_t = 0)]
        limit: usize,
    },
    /// One unit: codes, what it is under, what changed of it, its contacts
    Show {
        /// Its code, CODE:DATE, SCHEME/CODE or units/UUID
        unit: UnitRef,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Find units by name; accents, case and kind words may be missing
    Find {
        /// The name, or words of it: "tri qua", "P. 1"
        text: String,
        /// Only below this unit
        #[arg(long, value_name = "UNIT")]
        within: Option<UnitRef>,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// What became of a unit, and what it came from
    Lineage {
        /// Its code, CODE:DATE, SCHEME/CODE or units/UUID
        #[arg(required_unless_present = "code")]
        unit: Option<UnitRef>,
        /// The unit by a code that it holds on the date
        #[arg(long, value_name = "CODE", conflicts_with = "unit")]
        code: Option<String>,
        /// The scheme of the code
        #[arg(long, value_name = "SCHEME", requires = "code", default_value = dunghan_hierarchy::NSO)]
        scheme: String,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Load units, all or none; loading twice is harmless.
    ///
    /// Columns: code, name, type, parent_code, level; and where needed
    /// valid_from, valid_through (first and last day; empty where not known or
    /// not over), scheme, parent_scheme (nso where empty),
    /// origin_code, origin_date, origin_scheme (the first code of a unit that has
    /// another by now, and its first day). Dates are YYYY-MM-DD.
    /// Types: tinh, thanh_pho, quan, huyen, thi_xa, xa, phuong, thi_tran,
    /// dac_khu, so, phong, school, trung_tam, other. Levels: province, district,
    /// commune, department, school, other.
    ///
    /// Every bad row is named, with its line. A row must not be there before its
    /// parent: without valid_from it is under one whose beginning is unknown, too.
    Import {
        /// A CSV file in UTF-8, or an XLSX file, with these column names in its
        /// first line
        #[arg(required_unless_present_any = ["bundled", "staged"])]
        file: Option<PathBuf>,
        /// What comes with the program: the units of before 1 July 2025, the reform
        /// of that day, and the changes of 2026
        #[arg(long, conflicts_with_all = ["file", "staged", "dry_run", "request_id"])]
        bundled: bool,
        /// What a dry run judged, within a day (unitImports/…)
        #[arg(long, value_name = "NAME", conflicts_with_all = ["file", "dry_run", "request_id"])]
        staged: Option<String>,
        /// Only judge the rows, and say of each what would become of it
        #[arg(long)]
        dry_run: bool,
        /// With --dry-run: list also the rows that change nothing
        #[arg(long, requires = "dry_run")]
        all: bool,
        /// A UUID of version 4: the same rows under the same one are one import,
        /// for 24 hours [default: one made up]
        #[arg(long, value_name = "UUID")]
        request_id: Option<String>,
    },
    /// Past imports: who, when, and what came of them
    Imports {
        /// One of them (unitImports/…), with its rows
        name: Option<String>,
    },
    /// Write units as a file that `import` takes
    Export {
        /// Where to; it appears whole or not at all [default: standard output]
        file: Option<PathBuf>,
        #[command(flatten)]
        as_of: AsOf,
        /// All versions of all units instead of one date
        #[arg(long, conflicts_with_all = ["as_of", "within", "levels"])]
        whole_history: bool,
        /// [default: by the file's ending; csv for standard output]
        #[arg(long, value_enum)]
        format: Option<ExportFormat>,
        /// Only this unit and those below it
        #[arg(long, value_name = "UNIT")]
        within: Option<UnitRef>,
        /// Only this level; may be given several times
        #[arg(long = "level", value_name = "LEVEL", value_parser = input::level)]
        levels: Vec<Level>,
    },
    /// Record what a JSON file says happened to units, and apply it, all or none.
    ///
    /// The file has one reorganisation or a list of them; docs/OPERATIONS.md
    /// shows one. A wrong one is corrected by another.
    Reorganise {
        file: PathBuf,
        /// Change nothing: say what would happen to units, contacts, grants and
        /// obligations, and what is wrong with the file
        #[arg(long)]
        dry_run: bool,
        /// With --dry-run: list everything, however long
        #[arg(long, requires = "dry_run")]
        all: bool,
    },
    /// Recorded reorganisations, the latest effective date first
    Reorganisations {
        /// One of them, whole
        name: Option<String>,
        /// Instead: what sources state and others do not confirm, and what is
        /// therefore not followed
        #[arg(long)]
        unconfirmed: bool,
    },
}

/// How a file of units is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    Csv,
    Xlsx,
}

#[derive(Args, Debug)]
pub(crate) struct Contacts {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) verb: ContactsVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ContactsVerb {
    /// The contacts of a unit, by role
    List {
        /// The unit: its code, CODE:DATE, SCHEME/CODE or units/UUID
        unit: UnitRef,
        #[command(flatten)]
        as_of: AsOf,
        /// Only this role: reporter, head, supervisor; may be given several times
        #[arg(long = "role", value_name = "ROLE", value_parser = input::contact_role)]
        roles: Vec<ContactRole>,
        /// Those of all dates
        #[arg(long)]
        ended: bool,
    },
    /// Add a contact to a unit
    Add {
        /// The unit: its code, CODE:DATE, SCHEME/CODE or units/UUID
        unit: UnitRef,
        /// reporter, head or supervisor
        #[arg(long, value_name = "ROLE", value_parser = input::contact_role)]
        role: ContactRole,
        /// A post or an office; a person's name is not needed
        #[arg(long, value_name = "TEXT")]
        name: String,
        /// Where to write to
        #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
        email: String,
        /// Where to call
        #[arg(long, value_name = "NUMBER", default_value = "", hide_default_value = true)]
        phone: String,
        /// The subject of the tokens that it calls with
        #[arg(long, value_name = "SUBJECT", default_value = "", hide_default_value = true)]
        subject: String,
        /// First day [default: today]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        from: Option<NaiveDate>,
        /// Last day [default: none is known]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        through: Option<NaiveDate>,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// End a contact with a day
    End {
        /// The unit: its code, CODE:DATE, SCHEME/CODE or units/UUID
        unit: UnitRef,
        /// Its id, as `list` has it
        contact: String,
        /// Last day [default: today]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        through: Option<NaiveDate>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        as_of: AsOf,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Grants {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) verb: GrantsVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GrantsVerb {
    /// Grants, the last one first
    List {
        /// Only of this subject
        #[arg(long, value_name = "SUBJECT", default_value = "", hide_default_value = true)]
        subject: String,
        /// Only over this very unit
        #[arg(long, value_name = "UNIT")]
        unit: Option<UnitRef>,
        /// Also those that are revoked or past
        #[arg(long)]
        ended: bool,
    },
    /// Grant a role to whoever calls with a token of this subject
    Add {
        subject: String,
        /// ROLE, ROLE@UNIT or ROLE@regimes/REGIME, with ROLE one of reader,
        /// reporter, supervisor, importer, operator
        grant: String,
        /// Why, for example the decision
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// First day [default: at once]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        from: Option<NaiveDate>,
        /// Last day [default: until it is revoked]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        through: Option<NaiveDate>,
    },
    /// Take a grant back, at once
    Revoke {
        /// Its id, as `list` has it
        grant: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}
