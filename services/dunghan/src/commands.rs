//! What each command does: parse, call, print. One file for each noun.

mod arrivals;
mod attachments;
mod backup;
mod bench;
mod calendar;
mod contacts;
mod decisions;
mod dossiers;
mod forms;
mod grants;
mod notices;
mod obligations;
mod owed;
mod rates;
mod regimes;
mod reports;
mod rollup;
mod serve;
mod token;
mod units;

use crate::cli::{Cli, Command};
use crate::demo;
use crate::failure::Failure;

pub(crate) use dossiers::{SummaryRow, record, summary_table};
pub(crate) use rates::Rate;
pub(crate) use regimes::create as create_regime;
pub(crate) use reports::submit as submit_report;
pub(crate) use units::{Lineage, bundled as import_bundled, import as import_units, lineage_of};

/// Runs one command to its end.
pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Serve(args) => serve::serve(args).await,
        Command::Migrate(args) => serve::migrate(&args).await,
        Command::Backup(args) => backup::backup(args).await,
        Command::Restore(args) => backup::restore(args).await,
        Command::Config(args) => serve::config(&args),
        Command::Token(args) => token::token(args).await,
        Command::Units(args) => Box::pin(units::units(args)).await,
        Command::Contacts(args) => contacts::contacts(args).await,
        Command::Grants(args) => grants::grants(args).await,
        Command::Regimes(args) => regimes::regimes(args).await,
        Command::Forms(args) => forms::forms(args).await,
        Command::Reports(args) => Box::pin(reports::reports(args)).await,
        Command::Attachments(args) => attachments::attachments(args).await,
        Command::Arrivals(args) => arrivals::arrivals(args).await,
        Command::Obligations(args) => obligations::obligations(args).await,
        Command::Owed(args) => owed::owed(args).await,
        Command::Rates(args) => rates::rates(args).await,
        Command::Explain(args) => obligations::explain(args).await,
        Command::Waive(args) => decisions::waive(args).await,
        Command::Extend(args) => decisions::extend(args).await,
        Command::Decisions(args) => decisions::decisions(args).await,
        Command::Requests(args) => decisions::requests(args).await,
        Command::Dossiers(args) => dossiers::dossiers(args).await,
        Command::Overdue(args) => dossiers::overdue(args).await,
        Command::Notices(args) => notices::notices(args).await,
        Command::Sweep(args) => notices::sweep(args).await,
        Command::Rollup(args) => rollup::rollup(args).await,
        Command::Calendar(args) => calendar::calendar(args).await,
        Command::Bench(args) => bench::bench(args).await,
        Command::Demo(args) => Box::pin(demo::demo(args)).await,
    }
}
