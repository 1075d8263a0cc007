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

/// Threads for calls and jobs. Two at the least: while one is busy with a large import, another says that the process lives.
fn workers(processors: usize) -> usize {
    processors.max(2)
}

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let ended = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers(std::thread::available_parallelism().map_or(1, usize::from)))
        .enable_all()
        .build()
        .map_err(|e| failure::Failure::Failed(e.into()))
        .and_then(|runtime| runtime.block_on(commands::run(cli)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::failure(&failure);
            failure.exit_code()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::workers;

    #[test]
    fn a_machine_with_one_processor_has_two_threads() {
        assert_eq!([workers(1), workers(2), workers(8)], [2, 2, 8]);
    }
}
