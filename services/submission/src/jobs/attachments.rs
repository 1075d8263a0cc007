//! Blobs and rows of attachments, brought together: what is erased loses its blob, what nothing has is forgotten, and what no
//! row knows is collected.
//!
//! Any number of processes may do it at once: each step looks at what is there, and doing it twice is doing it once. A blob is
//! written before its row, so one without a row is let alone for a day: it may be one that is being taken in.

use std::future::ready;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::Clock;
use dunghan_host::Condition;
use futures::TryStreamExt as _;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::blobs::{self, Blobs, Shelf};
use crate::store::{self, Store};

/// Longer than anything may be under way.
pub(crate) const LET_ALONE: TimeDelta = TimeDelta::days(1);
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

static ERASURES_DUE: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    dunghan_telemetry::meter()
        .u64_gauge("dunghan.attachments.erasures_due")
        .with_description("Attachments that were erased, and whose blobs are not yet removed")
        .build()
});

static OWNED: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    dunghan_telemetry::meter()
        .u64_gauge("dunghan.attachments.owned")
        .with_description(
            "Whether the blobs of attachments are this database's own, as stands beside them",
        )
        .build()
});

/// What could not be done. The rest is done, and the next run tries again.
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
    /// What is beside the blobs names another database, or another history of this one: blobs that no row knows were let alone.
    pub(crate) foreign: bool,
}

/// What collecting needs. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) clock: Arc<dyn Clock>,
    /// How long a blob is let alone that no row knows, and a file that was taken off.
    pub(crate) let_alone: TimeDelta,
    /// Rung when something is left to be done now.
    pub(crate) bell: Arc<Notify>,
}

impl Collector {
    /// Brings blobs and rows together, as of now. What cannot be done keeps nothing else from being done, and the first of it is
    /// told at the end.
    pub(crate) async fn collect(&self, now: DateTime<Utc>) -> (Summary, Result<(), Error>) {
        let mut done = Summary::default();
        let erasing = self.finish_erasing(&mut done.erased).await;
        if let Ok(due) = self.store.attachment_erasures_due().await {
            ERASURES_DUE.record(due, &[]);
        }
        let tidying = self.tidy(now, &mut done).await;
        (done, erasing.and(tidying))
    }

    async fn tidy(&self, now: DateTime<Utc>, done: &mut Summary) -> Result<(), Error> {
        // What is old by one clock alone is not: either may be ahead.
        let before = now.min(self.blobs.now().await?) - self.let_alone;
        let forgetting = self.store.attachment_forget(before).await;
        let forgetting = forgetting.map(|forgotten| done.forgotten = forgotten);
        let unfinished = self.blobs.remove_unfinished(before, &mut done.orphans).await;
        count("orphan", done.orphans);
        let orphans = self.collect_orphans(before, done).await;
        forgetting?;
        unfinished?;
        orphans
    }

    /// Whether blobs that no row knows are this database's to remove. In a copy of it, and after it was restored to an earlier
    /// moment, they may be what another one knows, or what is to be brought back.
    async fn owns(&self) -> Result<bool, Error> {
        let this = self.store.database().history().await.map_err(store::Error::from)?;
        let owned = match self.blobs.owner().await? {
            Some(owner) => owner == this,
            None => {
                self.blobs.be_owned_by(&this).await?;
                true
            }
        };
        OWNED.record(owned.into(), &[]);
        Ok(owned)
    }

    async fn collect_orphans(
        &self,
        before: DateTime<Utc>,
        done: &mut Summary,
    ) -> Result<(), Error> {
        done.foreign = !self.owns().await?;
        if done.foreign {
            return Ok(());
        }
        let mut ended = Ok(());
        for shelf in self.blobs.shelves() {
            let collected = self.collect_from(&shelf, before, &mut done.orphans).await;
            self.must_go_on(&collected).await?;
            ended = ended.and(collected);
        }
        ended
    }

    async fn collect_from(
        &self,
        shelf: &Shelf,
        before: DateTime<Utc>,
        removed: &mut usize,
    ) -> Result<(), Error> {
        let old = self.blobs.list(shelf).try_filter(|one| ready(one.written < before));
        let mut pages = std::pin::pin!(old.try_chunks(AT_ONCE));
        let mut ended = Ok(());
        while let Some(page) = pages.try_next().await.map_err(|broken| broken.1)? {
            let ids: Vec<_> = page.iter().map(|one| one.id).collect();
            let known = self.store.attachment_known(&ids).await?;
            for id in ids.into_iter().filter(|id| !known.contains(id)) {
                let deleted = self.blobs.delete(id).await.map_err(Error::from);
                self.must_go_on(&deleted).await?;
                let gone = usize::from(deleted.is_ok());
                // At once: a process that stops does not wait for the end of a run.
                count("orphan", gone);
                *removed += gone;
                ended = ended.and(deleted);
            }
        }
        ended
    }

    async fn finish_erasing(&self, done: &mut usize) -> Result<(), Error> {
        let (mut after, mut ended) = (None, Ok(()));
        loop {
            let left = self.store.attachment_to_erase(after, AT_ONCE as u64).await?;
            if left.is_empty() {
                return ended;
            }
            for id in left {
                let erased = self.erase(id).await;
                self.must_go_on(&erased).await?;
                *done += usize::from(erased.is_ok());
                ended = ended.and(erased);
                after = Some(id);
            }
        }
    }

    /// Ends a run where the rows or the store of blobs are away, and does not where one blob alone fails.
    async fn must_go_on(&self, tried: &Result<(), Error>) -> Result<(), Error> {
        match tried {
            Ok(()) => Ok(()),
            Err(Error::Blobs(_)) => Ok(self.blobs.ping().await?),
            Err(Error::Store(_)) => {
                Ok(self.store.database().ping().await.map_err(store::Error::from)?)
            }
        }
    }

    /// Removes the blob of what is erased.
    pub(crate) async fn erase(&self, id: Uuid) -> Result<(), Error> {
        self.blobs.delete(id).await?;
        // A run and a call may do it at once, and it is one.
        let first = self.store.attachment_erased(id).await?;
        count("erased", first.into());
        Ok(())
    }
}

/// Collects at once, and then every hour and whenever the bell rings, until `stopping`.
pub(crate) async fn collect_until(collector: Collector, stopping: CancellationToken) {
    let (mut failed, mut foreign) = (false, false);
    loop {
        let collecting = collector.collect(collector.clock.now());
        let Some((done, ended)) = stopping.run_until_cancelled(collecting).await else { return };
        let Summary { erased, forgotten, orphans, .. } = done;
        if erased + orphans > 0 || forgotten > 0 {
            tracing::info!(erased, forgotten, orphans, "attachments were tidied up");
        }
        if done.foreign && !foreign {
            tracing::warn!(
                "attached files are another database's, or of this one before it was restored: those that no report has are not \
                 removed; where they are this one's alone, remove the file or object `owner` beside them"
            );
        }
        if let (Err(error), false) = (&ended, failed) {
            let error: &dyn std::error::Error = error;
            tracing::warn!(error, "attachments could not all be tidied up; the next run goes on");
        }
        (failed, foreign) = (ended.is_err(), done.foreign);
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

#[cfg(test)]
mod tests;
