//! The service's rpcs over a socket, beside peers that say what a test wants; and its store on both engines.
#![expect(clippy::unwrap_used, reason = "a helper that fails has to end the test")]

mod dossiers;
mod explain_obligation;
mod get_reporting_rate;
mod hierarchy_version;
mod list_affected_obligations;
mod list_obligations;
mod notices;
mod predecessors;
mod record_dossiers;
mod regimes;
mod run_sweep;
mod store_conformance;
mod telemetry;
mod waive_obligation;
mod world;
