//! Numbers: where they are registered, and the page on which they can be read.

use std::sync::{LazyLock, OnceLock};

use opentelemetry::metrics::{Gauge, Meter};
use opentelemetry::{KeyValue, global};
use prometheus::{Registry, TextEncoder};

/// What is read for [`metrics_page`]; none before [`init`](crate::init).
static PAGE: OnceLock<Registry> = OnceLock::new();

pub(crate) fn publish(page: Registry) {
    // Only the first is ever begun.
    let _ = PAGE.set(page);
}

/// All metrics as they are now, in Prometheus' text format. Empty where telemetry was not begun.
pub fn metrics_page() -> String {
    let families = PAGE.get().map(Registry::gather).unwrap_or_default();
    TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "metrics cannot be written");
        String::new()
    })
}

/// What instruments are made from. Those made before [`init`](crate::init) count for nobody.
pub fn meter() -> Meter {
    global::meter("dunghan")
}

static DEPENDENCY_UP: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    meter()
        .u64_gauge("dunghan.dependency.up")
        .with_description("Whether what a service needs could be used when it was last looked at")
        .build()
});

/// Notes whether a service's dependency, its database or a peer, can be used.
pub fn dependency_up(service: &'static str, dependency: &'static str, up: bool) {
    let attributes = [KeyValue::new("service", service), KeyValue::new("dependency", dependency)];
    DEPENDENCY_UP.record(up.into(), &attributes);
}
