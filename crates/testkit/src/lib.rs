//! Starts services for tests: each with its own database, on a port of the system's choosing, by a clock that stands
//! until the test moves it; in the test's own process, or as a cluster runs them. It knows no service; a test says which.

mod apart;
mod clock;
mod collector;
mod front;
mod place;
mod postgres;
mod process;
mod registry;
mod s3;
mod testing;
mod web;

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

pub use apart::Apart;
pub use clock::TestClock;
pub use collector::{Attributes, Collector, Point, Span, draw};
pub use front::Front;
pub use place::{ENGINES, Engine, POSTGRES_VARIABLE, Place};
pub use postgres::Postgres;
pub use process::{Process, binary};
pub use registry::{Registry, import_row, registry};
pub use s3::S3;
pub use testing::{Mode, Testing, start, start_at, start_in};
pub use web::{Answer, ask};

/// The code and the reason of a refusal.
///
/// Panics where it carries no ErrorInfo: every error has one.
pub fn refusal(status: &Status) -> (Code, String) {
    let info = status
        .get_details_error_info()
        .unwrap_or_else(|| unreachable!("AIP-193: every error carries ErrorInfo: {status:?}"));
    (status.code(), info.reason.trim_start_matches("ERROR_REASON_").to_owned())
}

/// The fields that a refusal names.
pub fn fields(status: &Status) -> Vec<String> {
    let request = status.get_details_bad_request();
    request.into_iter().flat_map(|r| r.field_violations).map(|violation| violation.field).collect()
}

/// Waits until `look` finds something, and panics when `limit` has passed: no test sleeps for a guess.
pub async fn eventually<T>(limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let searching = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(limit, searching).await {
        Ok(found) => found,
        Err(_) => panic!("nothing within {limit:?}"),
    }
}
