//! The demonstration: the suite on embedded databases in a temporary folder, real units and five real reports, and a
//! clock that steps from 2023 to 2026. Everything goes through gRPC, as a client would do it.

mod data;
mod facts;
mod ledger;
mod page;
mod story;

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use chrono::TimeDelta;
use dunghan_calendar::ManualClock;
use dunghan_host::{Clocks, Config, Sources, Started, stopped_by_signal};
use dunghan_telemetry::{Format, Settings};
use tempfile::TempDir;

use crate::cli::Demo;
use crate::client;
use crate::failure::Failure;
use crate::output;
use crate::suite::suite;

/// What the token in the folder grants.
const GRANTS: [&str; 4] = ["operator", "supervisor", "importer", "reporter"];

pub(crate) async fn demo(args: Demo) -> Result<(), Failure> {
    // What goes wrong in a service is to be seen; what goes right is told by the steps.
    let logs = Settings::logs(Format::Text, "warn");
    let _telemetry = dunghan_telemetry::init(&logs).map_err(Failure::input)?;
    let folder = tempfile::Builder::new()
        .prefix("dunghan-demo-")
        .tempdir()
        .context("no temporary folder can be made")?;
    let clock = ManualClock::at(story::BEGINNING);
    let started = Box::pin(start(&folder, &args.listen, &clock)).await?;
    let address = format!("http://{}", started.address);
    let told = Box::pin(async {
        let servers = client::servers(&address.parse().map_err(Failure::input)?);
        let facts = story::Story::new(clock, started.issuer.clone(), servers)?.tell().await?;
        output::print(args.output, &facts, page::page)
    });
    // Stopped or failed half way, it ends in order all the same: the folder goes with it.
    let mut ended = tokio::select! {
        told = told => told,
        stopped = stopped_by_signal() => {
            stopped?;
            Err(Failure::Failed(anyhow::anyhow!("stopped before the end")))
        }
    };
    if ended.is_ok() && !args.exit {
        ended = write_token(folder.path(), &started).map(|token| {
            output::step(&page::how_to_call(&program(), &address, folder.path(), &token))
        });
        stopped_by_signal().await?;
    }
    started.stop().await?;
    ended
}

/// What this program was started as.
fn program() -> String {
    let first = std::env::args_os().next();
    first.map_or_else(|| "dunghan".to_owned(), |name| name.to_string_lossy().into_owned())
}

async fn start(folder: &TempDir, listen: &str, clock: &ManualClock) -> anyhow::Result<Started> {
    let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let sources = Sources {
        data_dir: folder.path().to_owned(),
        overrides: vec![
            set("server.listen", listen),
            // Sweeps run when the story says so, and at no other time of a clock that jumps.
            set("compliance.sweep_cron", ""),
        ],
        ..Sources::default()
    };
    let suite = suite();
    let config = Config::read(&sources, &suite.names())?;
    let mut started = suite.start(&config, Clocks { services: Arc::new(clock.clone()) }).await?;
    started.ready().await?;
    Ok(started)
}

/// A token for the reader of the page, for its owner's eyes only.
fn write_token(folder: &Path, started: &Started) -> Result<PathBuf, Failure> {
    let grants = GRANTS.iter().filter_map(|grant| grant.parse().ok()).collect();
    let token = client::sign(&started.issuer, "demo", grants, TimeDelta::hours(12))?;
    let file = folder.join("token");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(&file).and_then(|mut file| file.write_all(token.as_bytes()));
    written.with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(file)
}
