//! Reconcilers: they take no input, look at state, and doing them again changes nothing.

mod calendars;
mod catch_up;
mod metric;
mod sweep;
mod wake;

pub(crate) use calendars::CurrentCalendars;
pub(crate) use metric::count_until;
pub(crate) use wake::{ring_by_cron, sweep_until};

use std::sync::Arc;

use chrono::{DateTime, Utc};
use dunghan_calendar::Clock;
use dunghan_events::Units;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_rpc::Peer;
use tokio::sync::{Mutex, Notify};
use tonic::Status;

use crate::store::{self, Store};

/// The name of the service that owns units, and whom to turn to there.
pub(crate) const REGISTRY: &str = "registry";
/// The name of the service that owns reports.
pub(crate) const SUBMISSION: &str = "submission";

/// What reconciling needs. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Reconciler {
    pub(crate) store: Store,
    pub(crate) units: Units,
    pub(crate) submission: SubmissionServiceClient<Peer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) calendars: CurrentCalendars,
    /// What this process has opened everything for.
    pub(crate) opened: Arc<Mutex<Option<Opened>>>,
    /// Told after each sweep, whoever asked for it.
    pub(crate) swept: Arc<Notify>,
}

/// What decides which obligations there are. While it stands still there is nothing to open, whoever opened it.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    today: chrono::NaiveDate,
    /// Kept, so that of the next one it can be told for whom it is another.
    hierarchy: Arc<dunghan_hierarchy::Hierarchy>,
    /// How many: one is amended by adding another.
    regimes: u64,
}

impl Opened {
    fn is(&self, other: &Self) -> bool {
        let by = |one: &Self| (one.today, one.hierarchy.version(), one.regimes);
        by(self) == by(other)
    }
}

/// Why a reconciler stopped. What it did before stays done, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Another service could not be asked.
    #[error("another service could not be asked: {}", .0.message())]
    Peer(#[from] Status),
    /// The clock lies far ahead of the last sweep, and nobody has said that it is right.
    #[error(
        "the clock reads {now}, more than 200 days after the last sweep, which was for {swept}: nothing is opened and nobody \
         accused until an operator says that it is right"
    )]
    ClockJumped {
        /// What the clock reads.
        now: DateTime<Utc>,
        /// The latest moment swept.
        swept: DateTime<Utc>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}
