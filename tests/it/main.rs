//! The whole system: what needs all services at once, and what holds for all of it.
#![expect(clippy::unwrap_used, reason = "a helper that fails has to end the test")]

mod architecture;
mod authz_coverage;
mod bad_input;
mod bad_units;
mod catching_up;
mod changes;
mod chaos;
mod contract;
mod feeds;
mod grants;
mod main_job;
mod merged;
mod proto_conventions;
mod raw;
mod replicas;
mod roll_up;
mod setting;
mod trace;
mod world;

use dunghan_aggregation::Aggregation;
use dunghan_compliance::Compliance;
use dunghan_host::Suite;
use dunghan_registry::Registry;
use dunghan_submission::Submission;

/// All services in one process.
fn suite() -> Suite {
    Suite::new().with::<Registry>().with::<Submission>().with::<Compliance>().with::<Aggregation>()
}
