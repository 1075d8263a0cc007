//! `dunghan`, the one binary: it runs the services, talks to them, and shows them at work.

mod address;
mod cli;
mod client;
mod commands;
mod demo;
mod failure;
mod input;
mod output;
mod suite;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let ended = tokio::runtime::Runtime::new()
        .map_err(|e| failure::Failure::Failed(e.into()))
        .and_then(|runtime| runtime.block_on(commands::run(cli)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}
