//! The arguments: what can be typed, and the help for it.

mod bench;
mod calendar;
mod decisions;
mod reports;
mod standings;
mod units;

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use dunghan_calendar::Period;

use crate::address::ServerAddress;
use crate::input::{self, Lifetime, UnitRef};

pub(crate) use bench::{Bench, BenchGround, BenchVerb};
pub(crate) use calendar::{Calendar, CalendarVerb, Province};
pub(crate) use decisions::{
    Decisions, DecisionsVerb, Extend, OnWhat, Requests, RequestsVerb, Waive, WhichRequest,
};
pub(crate) use reports::{
    Arrivals, ArrivalsVerb, Attachments, AttachmentsVerb, Forms, FormsVerb, ReceiptVerb, Reports,
    ReportsVerb, WhichReport,
};
pub(crate) use standings::{Explain, Obligations, Owed, RankBy, Rates, RatesVerb};
pub(crate) use units::{
    Contacts, ContactsVerb, ExportFormat, Grants, GrantsVerb, Units, UnitsVerb,
};

const AFTER_HELP: &str = "\
Units are given by statistics code (24, 09427), with the date on which the code
is meant where that is not today (27787:2024-09-14, or --as-of), by another
scheme's code (SCHEME/CODE), or by name (units/UUID). A DATE is 2026-05-14 or
14/05/2026, after a code only the former. Times are RFC 3339, or
2026-05-20T08:00, which is taken in Viet Nam (+07:00).

Exit codes:
  0  done; also when the answer is that something is missing or overdue
  1  the server refused (code REASON: message, then one line for each field),
     or something failed
  2  the arguments or a file do not read; every bad row is named with its line
  3  the server cannot be reached";

const CLIENT_HELP: &str = "Server";

/// Keeps periodic reports and dossiers on time.
#[derive(Debug, Parser)]
#[command(name = "dunghan", version, after_help = AFTER_HELP, max_term_width = 80)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the services, all four or some, logging to standard error
    Serve(Serve),
    /// Bring the databases up to date, without serving
    Migrate(ConfigArgs),
    /// Copy the SQLite files and the issuer's key to a new folder, also while serving
    Backup(Backup),
    /// Put a backup into an empty data folder
    Restore(Backup),
    /// Print the configuration in force as TOML, secrets masked
    Config(ShowConfig),
    /// Sign a token with the data folder's issuer key
    Token(Token),
    /// Administrative units: tree, show, find, lineage, import, export, reorganise
    Units(Units),
    /// Whom to turn to at a unit: list, add, end
    Contacts(Contacts),
    /// Who may do what, beside what tokens state: list, add, revoke
    Grants(Grants),
    /// Rules by which units owe reports: list, show, families, import
    Regimes(Regimes),
    /// What reports are written on: list, show, publish, retire
    Forms(Forms),
    /// Reports: new, check, submit, nil, accept, return, withdraw, diff, receipts
    Reports(Reports),
    /// Files of reports: add, list, get, detach, erase
    Attachments(Attachments),
    /// What document systems say has arrived: record, list, void
    Arrivals(Arrivals),
    /// Who owes which report, and where each stands
    Obligations(Obligations),
    /// What one unit owes, week by week, and who sees to it
    Owed(Owed),
    /// How many reports are there, and who is missing; trend and ranking
    Rates(Rates),
    /// Why an obligation stands as it does, as a text that can be forwarded
    Explain(Explain),
    /// Excuse units from reports
    Waive(Waive),
    /// Give units more time for reports
    Extend(Extend),
    /// Waivers and extensions: list, show, revoke
    Decisions(Decisions),
    /// What units ask for: list, ask, grant, refuse, withdraw
    Requests(Requests),
    /// Administrative dossiers: import, summary (form II.06a)
    Dossiers(Dossiers),
    /// Dossiers that are due and whose completion is not recorded
    Overdue(Overdue),
    /// What supervisors were told
    Notices(Notices),
    /// Find now what has fallen due, and tell supervisors; twice is harmless
    Sweep(Sweep),
    /// Add one indicator up over a unit's subtree
    Rollup(Rollup),
    /// Working calendars: windows of periods, due dates, days off, amendments
    Calendar(Calendar),
    /// What the suite costs on this machine, beside what it should stay below
    Bench(Bench),
    /// See it work on real units and five real reports, in a temporary folder
    Demo(Demo),
}

/// Where the configuration comes from.
#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    /// The folder for data and the issuer's key
    #[arg(long, value_name = "DIR", env = "DUNGHAN_DATA_DIR", default_value = "./dunghan-data")]
    pub(crate) data_dir: PathBuf,
    /// A TOML file with configuration
    #[arg(long, value_name = "FILE", env = "DUNGHAN_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// A key of the configuration, over file and environment
    /// (DUNGHAN_SECTION__KEY)
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", value_parser = input::setting)]
    pub(crate) set: Vec<(String, String)>,
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Address and port to listen on; port 0 is any free one
    /// [default: 127.0.0.1:7878]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Only these: registry, submission, compliance, aggregation. Those that
    /// they ask and that run elsewhere are found by peers.NAME
    /// [default: all]
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',')]
    pub(crate) services: Option<Vec<String>>,
}

#[derive(Args, Debug)]
pub(crate) struct ShowConfig {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print every key with its default and its meaning instead, as Markdown
    #[arg(long)]
    pub(crate) reference: bool,
}

/// A backup, and what it is of.
#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// The backup's folder
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// How to print what was copied
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Token {
    /// ROLE, ROLE@UNIT or ROLE@regimes/REGIME, with ROLE one of reader,
    /// reporter, supervisor, importer, operator. A unit given by code is looked
    /// up at the server. Without any, the token does what `dunghan grants`
    /// grants to its subject, and nothing else
    #[arg(long = "grant", value_name = "GRANT")]
    pub(crate) grants: Vec<String>,
    /// How long it holds: 30m, 8h, 7d
    #[arg(long = "for", value_name = "DURATION", default_value = "8h")]
    pub(crate) lifetime: Lifetime,
    /// Who holds it, for records of who did what
    #[arg(long, value_name = "NAME", default_value = "operator")]
    pub(crate) subject: String,
    /// The server to ask for units given by code, as for other commands
    #[arg(
        long,
        value_name = "URL,URL",
        env = "DUNGHAN_ADDRESS",
        default_value = "http://127.0.0.1:7878"
    )]
    pub(crate) address: ServerAddress,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people, 80 columns wide
    Table,
    /// One JSON value
    Json,
}

/// What every command that asks a server takes.
#[derive(Args, Debug)]
#[command(next_help_heading = CLIENT_HELP)]
pub(crate) struct ClientArgs {
    /// Where the server is, or where several are that do the same: URL,URL. Where
    /// each service runs by itself, all four:
    /// registry=URL,submission=URL,compliance=URL,aggregation=URL; one may be given
    /// several times
    #[arg(
        long,
        value_name = "URL,URL",
        env = "DUNGHAN_ADDRESS",
        default_value = "http://127.0.0.1:7878",
        global = true
    )]
    pub(crate) address: ServerAddress,
    /// The token to send. Without one, and with an issuer.pem in the data
    /// folder, a token is signed for this call that lets it do everything an
    /// operator, supervisor, importer and reporter may
    #[arg(
        long,
        value_name = "TOKEN",
        env = "DUNGHAN_TOKEN",
        hide_env_values = true,
        global = true
    )]
    pub(crate) token: Option<String>,
    /// The folder whose issuer.pem signs where no token is given. For a server
    /// whose auth.issuer_key is another, give a token of `dunghan token`
    #[arg(
        long,
        value_name = "DIR",
        env = "DUNGHAN_DATA_DIR",
        default_value = "./dunghan-data",
        global = true
    )]
    pub(crate) data_dir: PathBuf,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Table, global = true)]
    pub(crate) output: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Regimes {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) verb: RegimesVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RegimesVerb {
    /// All regimes
    List {
        /// Only those in force on this date
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        as_of: Option<NaiveDate>,
    },
    /// One regime: who owes what, to whom, by when, and on what legal basis
    Show {
        /// The regime
        #[arg(value_name = "REGIME")]
        name: String,
    },
    /// The families of rules that regimes can name: windows and due days that a
    /// legal document fixes
    Families,
    /// Put the regimes of a JSON file in force: none of them where one is
    /// refused. Those that are already, the same, are left as they are
    #[command(group = ArgGroup::new("which").required(true).args(["file", "bundled"]))]
    Import {
        /// A JSON file with a list of regimes
        file: Option<PathBuf>,
        /// Those that come with the program: form II.06a of Circular
        /// 01/2020/TT-VPCP, digital transformation, inspection
        #[arg(long)]
        bundled: bool,
        /// Say what would be put in force, and do nothing. A regime that amends
        /// another of the same file is not checked: that one is not in force yet
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Dossiers {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) verb: DossiersVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DossiersVerb {
    /// Record dossiers of one unit, all or none; what is known already stays.
    ///
    /// Columns: dossier_id, field, channel (online or direct_or_postal),
    /// receive_time, term (3d, 8h or same-day), complete_time, record_time.
    /// The last two may be empty or left out.
    Import {
        /// A CSV file in UTF-8 with these column names in its first line
        file: PathBuf,
        /// Whose dossiers these are
        #[arg(long, value_name = "UNIT")]
        unit: UnitRef,
        /// The date on which the unit's code is meant [default: today]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        as_of: Option<NaiveDate>,
    },
    /// One dossier: how it stands, and each time an amended calendar moved its
    /// due time
    Show {
        /// Whose it is
        unit: UnitRef,
        /// The number that the one-stop system gave
        number: String,
        /// The moment for which to ask [default: now]
        #[arg(long, value_name = "TIME", value_parser = input::time)]
        at: Option<DateTime<Utc>>,
        /// The date on which the unit's code is meant [default: today]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        as_of: Option<NaiveDate>,
    },
    /// Form II.06a of Circular 01/2020/TT-VPCP, counted from the ledger
    Summary {
        unit: UnitRef,
        /// The period
        #[arg(long, value_name = "PERIOD")]
        period: Period,
        /// A row of the form, in order, also where it is all zeros; may be
        /// given several times
        #[arg(long = "field", value_name = "FIELD")]
        fields: Vec<String>,
        /// The date on which the unit's code is meant [default: today]
        #[arg(long, value_name = "DATE", value_parser = input::date)]
        as_of: Option<NaiveDate>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Overdue {
    /// The unit at the top
    pub(crate) unit: UnitRef,
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
pub(crate) struct Notices {
    /// The recipient; without one, everyone's
    pub(crate) unit: Option<UnitRef>,
    /// Each with what it says, as it was sent
    #[arg(long)]
    pub(crate) text: bool,
    /// The date on which the unit's code is meant [default: today]
    #[arg(long, value_name = "DATE", value_parser = input::date)]
    pub(crate) as_of: Option<NaiveDate>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Sweep {
    /// The server's clock is right, although it lies more than 200 days ahead of the last sweep
    #[arg(long)]
    pub(crate) accept_clock: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Rollup {
    /// The unit over whose subtree to add up
    pub(crate) unit: UnitRef,
    /// The regime
    #[arg(long, value_name = "REGIME")]
    pub(crate) regime: String,
    /// The period
    #[arg(long, value_name = "PERIOD")]
    pub(crate) period: Period,
    /// A key of the regime's form
    #[arg(long, value_name = "KEY")]
    pub(crate) indicator: String,
    /// A row of a table; without one, figures outside of tables
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) category: String,
    /// The date on which the unit's code is meant [default: today]
    #[arg(long, value_name = "DATE", value_parser = input::date)]
    pub(crate) as_of: Option<NaiveDate>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// End after the last page instead of serving on
    #[arg(long)]
    pub(crate) exit: bool,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    /// Address and port to listen on; port 0 is any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_help_is_wider_than_80_columns() {
        fn check(command: &mut clap::Command) {
            let help = command.render_long_help().to_string();
            // The line of usage alone does not wrap.
            for line in help.lines().filter(|line| !line.starts_with("Usage:")) {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
            command.get_subcommands_mut().for_each(check);
        }
        let mut command = Cli::command();
        command.build();
        check(&mut command);
    }
}
