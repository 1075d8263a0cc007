//! What can be typed about measuring.

use clap::{Args, Subcommand};
use dunghan_benches::{deadlines, reports};
use dunghan_store::Location;

use super::Format;

#[derive(Args, Debug)]
pub(crate) struct Bench {
    #[command(subcommand)]
    pub(crate) verb: BenchVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchVerb {
    /// Deadlines: opening a month, sweeping, counting, amending a calendar.
    ///
    /// Nothing that is there is read or changed: the data is made up, in a
    /// folder or in databases of its own, and removed at the end. Exit code 1
    /// where a figure is over its ceiling.
    Compliance {
        /// Among how many obligations to sweep; the ceilings are promised for
        /// ten million, which take some 6 GB and some minutes
        #[arg(
            long,
            value_name = "NUMBER",
            default_value_t = deadlines::Size::WHOLE,
            value_parser = clap::value_parser!(u32).range(i64::from(deadlines::Size::LEAST)..=100_000_000)
        )]
        obligations: u32,
        #[command(flatten)]
        ground: BenchGround,
    },
    /// Reports: handing them over, reading one, checking one.
    ///
    /// Nothing that is there is read or changed: the data is made up, in a
    /// folder or in databases of its own, and removed at the end. On
    /// PostgreSQL SubmitReport is compared with pgbench, where that is found.
    /// Exit code 1 where a figure is over its ceiling.
    Submission {
        /// How many reports to hand over, by eight at once; the ceilings are
        /// promised for the default
        #[arg(
            long,
            value_name = "NUMBER",
            default_value_t = reports::Size::WHOLE,
            value_parser = clap::value_parser!(u32).range(i64::from(reports::Size::LEAST)..=80_000)
        )]
        reports: u32,
        #[command(flatten)]
        ground: BenchGround,
    },
}

/// Where to measure, and how to tell.
#[derive(Args, Debug)]
pub(crate) struct BenchGround {
    /// A PostgreSQL server as postgres://USER@HOST/DATABASE, whose user may
    /// create databases; or sqlite:FOLDER for a folder to make the data's
    /// own folder in [default: the folder for temporary files]
    #[arg(long, value_name = "LOCATION", env = "DUNGHAN_BENCH_LOCATION", hide_env_values = true)]
    pub(crate) location: Option<Location>,
    /// How to print what was measured
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}
