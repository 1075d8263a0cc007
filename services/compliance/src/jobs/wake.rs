//! What makes a sweep run: the start, a bell, and a limit to how long none has run.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;

use super::{Reconciler, metric};

/// Rings `bell` by a cron expression in Vietnam's time, until the scheduler is dropped.
///
/// The scheduler skips slots after a pause, repeats some and loses others: it only rings. What has fallen due is in the
/// database, and a bell that never rings again costs delay, never a missed flag.
pub(crate) async fn ring_by_cron(
    cron: &str,
    bell: Arc<Notify>,
) -> Result<JobScheduler, JobSchedulerError> {
    // Before the scheduler: one that is dropped at once complains of it.
    let job = Job::new_async_tz(cron, chrono_tz::Asia::Ho_Chi_Minh, move |_, _| {
        let bell = bell.clone();
        Box::pin(async move { bell.notify_one() })
    })?;
    let scheduler = JobScheduler::new().await?;
    scheduler.add(job).await?;
    scheduler.start().await?;
    Ok(scheduler)
}

/// Sweeps at once, and then whenever `bell` rings or `every` has passed, until `stopping`.
pub(crate) async fn sweep_until(
    reconciler: Reconciler,
    bell: Arc<Notify>,
    every: Duration,
    stopping: CancellationToken,
) {
    metric::begin();
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Said once while it lasts, and not with every sweep.
    let mut stopped_short = false;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            // The first tick is at once.
            _ = interval.tick() => {}
            () = bell.notified() => {}
        }
        // A sweep that is cut off leaves nothing half done: each claim is one transaction.
        let Some(swept) = stopping.run_until_cancelled(reconciler.sweep(false)).await else {
            return;
        };
        let done = matches!(&swept, Ok(summary) if summary.unverified == 0);
        let before = std::mem::replace(&mut stopped_short, !done);
        match swept {
            Err(error) if !before => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a sweep stopped; the next goes on"
            ),
            Err(_) => {}
            Ok(summary) => {
                if summary.unverified > 0 && !before {
                    tracing::warn!(
                        unverified = summary.unverified,
                        "submission could not be asked about all that is due: nobody is accused meanwhile"
                    );
                }
                if summary.notices > 0 {
                    tracing::info!(
                        notices = summary.notices,
                        missing = summary.missing,
                        overdue = summary.overdue,
                        retracted = summary.retracted,
                        returns = summary.returns,
                        "a sweep told of what has fallen due"
                    );
                }
                if done && before {
                    tracing::info!("sweeps come to their end again");
                }
            }
        }
    }
}
