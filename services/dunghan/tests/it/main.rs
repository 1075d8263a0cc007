//! The binary, run as a person runs it.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod arrivals;
mod backup;
mod bad_files;
mod bench;
mod binary;
mod calendar;
mod commands;
mod crash;
mod decisions;
mod demo;
mod manifests;
mod operations;
mod owed;
mod regimes;
mod reports;
mod serve;
mod units;
