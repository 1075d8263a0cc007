//! Imports of reports that were judged and never applied are forgotten after a day.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use dunghan_calendar::Clock;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// How long they are kept.
const KEPT_FOR: TimeDelta = TimeDelta::days(1);
/// How often is looked.
const EVERY: Duration = Duration::from_secs(3600);

/// Forgets at once, and then every hour, until `stopping`.
pub(crate) async fn forget_until(store: Store, clock: Arc<dyn Clock>, stopping: CancellationToken) {
    loop {
        let forgetting = store.import_forget(clock.now() - KEPT_FOR);
        match stopping.run_until_cancelled(forgetting).await {
            None => return,
            Some(Ok(0)) => {}
            Some(Ok(forgotten)) => tracing::info!(forgotten, "imports were forgotten"),
            Some(Err(error)) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "imports could not be forgotten; the next run does it"
            ),
        }
        if stopping.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}
