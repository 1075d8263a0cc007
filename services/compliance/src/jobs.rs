//! Reconcilers: they take no input, look at state, and doing them again changes nothing.

mod catch_up;
mod metric;
mod sweep;
mod wake;

pub(crate) use metric::count_until;
pub(crate) use wake::{ring_by_cron, sweep_until};

use std::sync::Arc;

use dunghan_calendar::{Clock, WorkingCalendar};
use dunghan_events::Units;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_rpc::Peer;
use tokio::sync::{Mutex, Notify};
use tonic::Status;

use crate::store::{self, Store};

/// The name of the service that owns reports.
pub(crate) const SUBMISSION: &str = "submission";

/// What reconciling needs. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Reconciler {
    pub(crate) store: Store,
    pub(crate) units: Units,
    pub(crate) submission: SubmissionServiceClient<Peer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) calendar: Arc<WorkingCalendar>,
    /// What this process has opened everything for.
    pub(crate) opened: Arc<Mutex<Option<Opened>>>,
    /// Told after each sweep, whoever asked for it.
    pub(crate) swept: Arc<Notify>,
}

/// What decides which obligations there are. While it stands still there is nothing to open, whoever opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    today: chrono::NaiveDate,
    hierarchy_version: u64,
    /// How many: they are added, and neither changed nor removed.
    regimes: u64,
}

/// Why a reconciler stopped. What it did before stays done, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Another service could not be asked.
    #[error("another service could not be asked: {}", .0.message())]
    Peer(#[from] Status),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}
