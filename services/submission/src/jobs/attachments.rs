//! Blobs and rows of attachments, brought together: what is erased loses its blob, what nothing has is forgotten, and what no
//! row knows is collected.
//!
//! Any number of processes may do it at once: each step looks at what is there, and doing it twice is doing it once. A blob is
//! written before its row, so one without a row is let alone for a day: it may be one that is being taken in.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::Clock;
use dunghan_host::Condition;
use futures::TryStreamExt as _;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::blobs::{self, Blobs, Listed};
use crate::store::{self, Store};

/// How long a blob is let alone that no row knows, and a file that was taken off.
const LET_ALONE: TimeDelta = TimeDelta::days(1);
/// How often is looked, and how soon again after something failed.
const EVERY: Duration = Duration::from_secs(3600);
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How often the store is asked whether it is there.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Rows and blobs looked at together.
const AT_ONCE: usize = 1000;

static COLLECTED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    dunghan_telemetry::meter()
        .u64_counter("dunghan.attachments.collected")
        .with_description("Blobs of attachments that were removed")
        .build()
});

fn count(kind: &'static str, number: usize) {
    let number = u64::try_from(number).unwrap_or(u64::MAX);
    COLLECTED.add(number, &[KeyValue::new("kind", kind)]);
}

/// Why it stopped. What it did before stays done, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The blobs.
    #[error(transparent)]
    Blobs(#[from] blobs::Error),
    /// The rows.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Blobs of erased files that are gone now.
    pub(crate) erased: usize,
    /// Rows of files that nothing had.
    pub(crate) forgotten: u64,
    /// Blobs that no row knew, and what of them was never finished.
    pub(crate) orphans: usize,
}

/// What collecting needs. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) clock: Arc<dyn Clock>,
    /// Rung when something is left to be done now.
    pub(crate) bell: Arc<Notify>,
}

impl Collector {
    /// Brings blobs and rows together, as of now.
    pub(crate) async fn collect(&self, now: DateTime<Utc>) -> Result<Summary, Error> {
        let before = now - LET_ALONE;
        let erased = self.finish_erasing().await?;
        let forgotten = self.store.attachment_forget(before).await?;
        let mut orphans = self.blobs.remove_unfinished(before).await?;
        let old = self.blobs.list().try_filter(|one| std::future::ready(one.written < before));
        let mut pages = std::pin::pin!(old.try_chunks(AT_ONCE));
        while let Some(page) = pages.try_next().await.map_err(|broken| broken.1)? {
            orphans += self.collect_orphans(&page).await?;
        }
        count("orphan", orphans);
        Ok(Summary { erased, forgotten, orphans })
    }

    async fn collect_orphans(&self, page: &[Listed]) -> Result<usize, Error> {
        let ids: Vec<_> = page.iter().map(|one| one.id).collect();
        let known = self.store.attachment_known(&ids).await?;
        let orphans: Vec<_> = ids.into_iter().filter(|id| !known.contains(id)).collect();
        for id in &orphans {
            self.blobs.delete(*id).await?;
        }
        Ok(orphans.len())
    }

    async fn finish_erasing(&self) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            let left = self.store.attachment_to_erase(AT_ONCE as u64).await?;
            if left.is_empty() {
                return Ok(done);
            }
            for id in left {
                self.erase(id).await?;
                done += 1;
            }
        }
    }

    /// Removes the blob of what is erased.
    pub(crate) async fn erase(&self, id: uuid::Uuid) -> Result<(), Error> {
        self.blobs.delete(id).await?;
        self.store.attachment_erased(id).await?;
        count("erased", 1);
        Ok(())
    }
}

/// Collects at once, and then every hour and whenever the bell rings, until `stopping`.
pub(crate) async fn collect_until(collector: Collector, stopping: CancellationToken) {
    let mut failed = false;
    loop {
        let collecting = collector.collect(collector.clock.now());
        let Some(collected) = stopping.run_until_cancelled(collecting).await else { return };
        match &collected {
            Err(error) if !failed => tracing::warn!(
                error = error as &dyn std::error::Error,
                "attachments could not be tidied up; the next run goes on"
            ),
            Err(_) => {}
            Ok(Summary { erased, forgotten, orphans })
                if erased + orphans > 0 || *forgotten > 0 =>
            {
                tracing::info!(erased, forgotten, orphans, "attachments were tidied up");
            }
            Ok(_) => {}
        }
        failed = collected.is_err();
        let pause = tokio::time::sleep(if failed { AGAIN_AFTER } else { EVERY });
        tokio::select! {
            () = stopping.cancelled() => return,
            () = pause => {}
            () = collector.bell.notified() => {}
        }
    }
}

/// Says whether the store of blobs is there, until `stopping`.
pub(crate) async fn look_until(blobs: Blobs, there: Condition, stopping: CancellationToken) {
    let mut interval = tokio::time::interval(LOOK_EVERY);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away = false;
    while stopping.run_until_cancelled(interval.tick()).await.is_some() {
        let Some(answer) = stopping.run_until_cancelled(blobs.ping()).await else { return };
        match &answer {
            Err(error) if !away => tracing::warn!(
                error = error as &dyn std::error::Error,
                "attached files cannot be kept or read"
            ),
            Ok(()) if away => tracing::info!("attached files can be kept and read again"),
            _ => {}
        }
        away = answer.is_err();
        dunghan_telemetry::dependency_up("submission", "attachments", !away);
        there.say(!away).await;
    }
}
