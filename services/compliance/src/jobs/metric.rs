//! What sweeps tell of themselves in numbers.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_host::Condition;
use dunghan_telemetry::meter;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, ObservableGauge};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::Reconciler;
use crate::domain::sweep::SweepMark;

/// How often what is due is counted when no sweep runs.
const COUNT_EVERY: Duration = Duration::from_secs(15);

/// When the last sweep ended that did all it had to; before the first one, when this process started to sweep.
static SWEPT: Mutex<Option<Instant>> = Mutex::new(None);

/// Computed when it is read: sweeps that no longer run grow old all the same.
static AGE: LazyLock<ObservableGauge<f64>> = LazyLock::new(|| {
    meter()
        .f64_observable_gauge("dunghan.sweep.age")
        .with_unit("s")
        .with_description("Since when no sweep has succeeded in this process")
        .with_callback(|age| {
            if let Some(swept) = *SWEPT.lock().unwrap_or_else(PoisonError::into_inner) {
                age.observe(swept.elapsed().as_secs_f64(), &[]);
            }
        })
        .build()
});

/// By the clock of the services, and of whichever process it was: it is kept in the database, so that a process that starts
/// again says what the one before it did.
static LAST_SUCCESS: LazyLock<Gauge<f64>> = LazyLock::new(|| {
    meter()
        .f64_gauge("dunghan.sweep.last_success.timestamp")
        .with_unit("s")
        .with_description(
            "When a sweep last did all it had to, in any process; in seconds since 1970",
        )
        .build()
});

static BACKLOG: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    meter()
        .u64_gauge("dunghan.sweep.backlog")
        .with_description("What has fallen due and no sweep has dealt with")
        .build()
});

static NOTICES: LazyLock<Counter<u64>> = LazyLock::new(|| {
    meter()
        .u64_counter("dunghan.notices")
        .with_description(
            "Notices that this process set out to write: told, or already_told where others had been faster",
        )
        .build()
});

/// Sweeps are about to run.
pub(super) fn begin() {
    LazyLock::force(&AGE);
    SWEPT.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
}

/// A sweep has done all it had to.
pub(super) fn swept() {
    *SWEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

/// Something was to be told: it was, or nothing of it was left to tell.
pub(super) fn notice(topic: &'static str, told: bool) {
    let outcome = if told { "told" } else { "already_told" };
    NOTICES.add(1, &[KeyValue::new("topic", topic), KeyValue::new("outcome", outcome)]);
}

impl Reconciler {
    /// Counts what is due, by the indexes that a sweep reads, and says when it last succeeded.
    async fn count_backlog(&self, last: &mut Option<SweepMark>) {
        let now = self.clock.now();
        let counted = async {
            let obligations = self.store.obligation_due_count(now).await?;
            let dossiers = self.store.dossier_due_count(now).await?;
            Ok::<_, crate::store::Error>((obligations, dossiers, self.store.sweep_mark().await?))
        };
        // A database that is away is told of by whoever needs it; the last count stands.
        if let Ok((obligations, dossiers, mark)) = counted.await {
            BACKLOG.record(obligations, &[KeyValue::new("kind", "obligation")]);
            BACKLOG.record(dossiers, &[KeyValue::new("kind", "dossier")]);
            *last = mark;
        }
        if let Some(success) = last.and_then(|mark| mark.success) {
            LAST_SUCCESS.record(seconds(success), &[]);
        }
    }
}

/// Microseconds are exact in it for the next two centuries.
#[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
fn seconds(time: DateTime<Utc>) -> f64 {
    time.timestamp_micros() as f64 / 1e6
}

/// Counts what is due until `stopping`: after each sweep, without holding it up, and while sweeps hang or nobody rings
/// for one. Says by `condition` whether one has succeeded within `limit`, in whichever process.
pub(crate) async fn count_until(
    reconciler: Reconciler,
    condition: Condition,
    limit: TimeDelta,
    stopping: CancellationToken,
) {
    let mut interval = tokio::time::interval(COUNT_EVERY);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let counting = async {
        let mut last = None;
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                () = reconciler.swept.notified() => {}
            }
            reconciler.count_backlog(&mut last).await;
            let now = reconciler.clock.now();
            condition.say(last.is_some_and(|mark: SweepMark| mark.is_well(now, limit))).await;
        }
    };
    stopping.run_until_cancelled(counting).await;
}
