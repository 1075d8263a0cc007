//! What sweeps tell of themselves in numbers.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dunghan_telemetry::meter;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, ObservableGauge};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::Reconciler;

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
    /// Counts what is due, by the indexes that a sweep reads.
    async fn count_backlog(&self) {
        let now = self.clock.now();
        let counted = async {
            let obligations = self.store.obligation_due_count(now).await?;
            Ok::<_, crate::store::Error>((obligations, self.store.dossier_due_count(now).await?))
        };
        // A database that is away is told of by whoever needs it; the last count stands.
        if let Ok((obligations, dossiers)) = counted.await {
            BACKLOG.record(obligations, &[KeyValue::new("kind", "obligation")]);
            BACKLOG.record(dossiers, &[KeyValue::new("kind", "dossier")]);
        }
    }
}

/// Counts what is due until `stopping`: after each sweep, without holding it up, and while sweeps hang or nobody rings
/// for one.
pub(crate) async fn count_until(reconciler: Reconciler, stopping: CancellationToken) {
    let mut interval = tokio::time::interval(COUNT_EVERY);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let counting = async {
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                () = reconciler.swept.notified() => {}
            }
            reconciler.count_backlog().await;
        }
    };
    stopping.run_until_cancelled(counting).await;
}
