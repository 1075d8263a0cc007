//! The service's rpcs over a socket, beside peers that say what a test wants; and its store on both engines.
#![expect(clippy::unwrap_used, reason = "a helper that fails has to end the test")]

mod calendar_moves;
mod calendars;
mod decisions;
mod dossier_moves;
mod dossiers;
mod explain_obligation;
mod get_reporting_rate;
mod hierarchy_version;
mod histories;
mod list_affected_obligations;
mod list_obligations;
mod list_rates;
mod notices;
mod opening;
mod owed;
mod predecessors;
mod rank_rates;
mod record_dossiers;
mod regimes;
mod requests;
mod run_sweep;
mod store_conformance;
mod telemetry;
mod through_time;
mod world;
