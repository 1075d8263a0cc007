//! How far behind this process is.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use dunghan_telemetry::meter;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Gauge, ObservableGauge};

/// When a consumer was last known to have everything of an owner's; before the first time, when it began to ask.
type Complete = BTreeMap<(&'static str, &'static str), Instant>;

static COMPLETE: Mutex<Complete> = Mutex::new(BTreeMap::new());

/// Computed when it is read: a consumer that stands still falls behind all the same.
static LAG: LazyLock<ObservableGauge<f64>> = LazyLock::new(|| {
    meter()
        .f64_observable_gauge("dunghan.events.lag")
        .with_unit("s")
        .with_description("Since when a consumer may not have all events of an owner")
        .with_callback(|lag| {
            for ((consumer, owner), since) in &*complete() {
                let attributes =
                    [KeyValue::new("consumer", *consumer), KeyValue::new("owner", *owner)];
                lag.observe(since.elapsed().as_secs_f64(), &attributes);
            }
        })
        .build()
});

fn complete() -> std::sync::MutexGuard<'static, Complete> {
    COMPLETE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A consumer begins to ask.
pub(crate) fn asking(consumer: &'static str, owner: &'static str, now: Instant) {
    LazyLock::force(&LAG);
    complete().entry((consumer, owner)).or_insert(now);
}

/// A consumer has everything that the owner had at `asked`.
pub(crate) fn has_all(consumer: &'static str, owner: &'static str, asked: Instant) {
    complete().insert((consumer, owner), asked);
}

static HIERARCHY: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    meter()
        .u64_gauge("dunghan.hierarchy.version")
        .with_description("The version of the hierarchy from which a service answers")
        .build()
});

/// Notes from which version of the hierarchy a service answers now.
pub fn hierarchy_version(service: &'static str, version: u64) {
    HIERARCHY.record(version, &[KeyValue::new("service", service)]);
}
