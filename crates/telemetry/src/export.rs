//! Where traces and metrics go.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, SpanExporter as OtlpSpans, WithExportConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{
    Aggregation, Instrument, InstrumentKind, PeriodicReader, SdkMeterProvider, Stream, Temporality,
};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use opentelemetry_semantic_conventions::attribute::{
    DB_OPERATION_NAME, DB_SYSTEM_NAME, SERVICE_INSTANCE_ID, SERVICE_VERSION,
};
use prometheus::Registry;
use tokio::runtime::Runtime;

use crate::{Error, Settings};

/// What one attempt to send may take.
const SEND_LIMIT: Duration = Duration::from_secs(3);
/// How often it is said that nothing can be sent.
const SAY_EVERY: Duration = Duration::from_secs(300);
/// Bounds of durations, in seconds: a call inside the process takes 20 µs to 1 ms, a sweep of a province a minute.
const DURATIONS: [f64; 18] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];

/// The ends of all traces and metrics of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Providers {
    pub(crate) traces: SdkTracerProvider,
    pub(crate) metrics: SdkMeterProvider,
    pub(crate) page: Registry,
    /// Connections to the collector live here. On the services' own runtime, sending and they could wait for each other.
    _sending: Option<Arc<Sending>>,
}

/// The runtime on which the collector is talked to. It ends without waiting: it may be dropped on another runtime.
#[derive(Debug)]
struct Sending(Option<Runtime>);

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Providers {
    /// As the settings want it. Nothing is sent yet, and nobody is asked whether the collector is there.
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        let resource = Resource::builder()
            .with_service_name(settings.service_name.clone())
            .with_attributes([
                KeyValue::new(SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
                KeyValue::new(SERVICE_INSTANCE_ID, settings.instance.clone()),
            ])
            .build();
        let page = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(page.clone())
            .scope_info_enabled(false)
            .build()
            .map_err(std::io::Error::other)?;
        let mut traces = SdkTracerProvider::builder().with_resource(resource.clone());
        let mut metrics = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(reader)
            .with_view(durations);
        let mut sending = None;
        let began_here = match &settings.otlp_endpoint {
            // Nobody reads them: they have ids, and are not recorded.
            None => Sampler::AlwaysOff,
            Some(endpoint) => {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .thread_name("telemetry")
                    .enable_all()
                    .build()?;
                let entered = runtime.handle().clone();
                let entered = entered.enter();
                // Held from here on: it may not be dropped as it is where the endpoint does not read.
                sending = Some(Arc::new(Sending(Some(runtime))));
                let bad = |e: ExporterBuildError| Error::Endpoint(endpoint.clone(), e.to_string());
                let spans = OtlpSpans::builder().with_tonic().with_endpoint(endpoint);
                let spans = spans.with_timeout(SEND_LIMIT).build().map_err(bad)?;
                let numbers = MetricExporter::builder().with_tonic().with_endpoint(endpoint);
                let numbers = numbers.with_timeout(SEND_LIMIT).build().map_err(bad)?;
                drop(entered);
                let away = Arc::new(Away::new(endpoint));
                traces = traces.with_batch_exporter(Spans { inner: spans, away: away.clone() });
                let numbers = Numbers { inner: numbers, away };
                metrics = metrics.with_reader(PeriodicReader::builder(numbers).build());
                Sampler::TraceIdRatioBased(settings.sample_ratio)
            }
        };
        let traces = traces.with_sampler(Sampler::ParentBased(Box::new(began_here)));
        Ok(Self { traces: traces.build(), metrics: metrics.build(), page, _sending: sending })
    }

    /// What cannot be sent has been said by whoever tried.
    pub(crate) fn flush(&self) {
        let _ = self.traces.force_flush();
        let _ = self.metrics.force_flush();
    }

    pub(crate) fn shutdown(self, limit: Duration) {
        let _ = self.traces.shutdown_with_timeout(limit);
        let _ = self.metrics.shutdown_with_timeout(limit);
    }
}

fn durations(instrument: &Instrument) -> Option<Stream> {
    let duration = instrument.kind() == InstrumentKind::Histogram && instrument.unit() == "s";
    let buckets = Aggregation::ExplicitBucketHistogram {
        boundaries: DURATIONS.to_vec(),
        record_min_max: false,
    };
    duration.then(|| Stream::builder().with_aggregation(buckets).build().ok()).flatten()
}

/// Says now and then that the collector cannot be reached.
#[derive(Debug)]
struct Away {
    endpoint: String,
    since: Instant,
    /// When to say it next, in seconds after `since`.
    next_s: AtomicU64,
}

impl Away {
    fn new(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), since: Instant::now(), next_s: AtomicU64::new(0) }
    }

    fn note(&self, sent: &OTelSdkResult) {
        let Err(error) = sent else { return };
        let now = self.since.elapsed().as_secs();
        let next = self.next_s.load(Ordering::Relaxed);
        let mine = now >= next
            && self
                .next_s
                .compare_exchange(
                    next,
                    now + SAY_EVERY.as_secs(),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok();
        if mine {
            tracing::warn!(
                endpoint = self.endpoint,
                error = error as &dyn std::error::Error,
                "traces and metrics cannot be sent; nothing else suffers"
            );
        }
    }
}

/// Spans on their way to the collector.
#[derive(Debug)]
struct Spans<E> {
    inner: E,
    away: Arc<Away>,
}

impl<E: SpanExporter> SpanExporter for Spans<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().for_each(conventional);
        let sent = self.inner.export(batch).await;
        self.away.note(&sent);
        sent
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(limit)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Metrics on their way to the collector.
struct Numbers {
    inner: MetricExporter,
    away: Arc<Away>,
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Numbers").field("away", &self.away).finish_non_exhaustive()
    }
}

impl PushMetricExporter for Numbers {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let sent = self.inner.export(metrics).await;
        self.away.note(&sent);
        sent
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        PushMetricExporter::shutdown_with_timeout(&self.inner, limit)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}

/// A statement's span as the conventions of today call it: sea-orm writes those of yesterday.
///
/// It is named by its operation. The message of an error goes: a database may quote values in it.
fn conventional(span: &mut SpanData) {
    let Some(function) = span.name.strip_prefix("sea_orm.") else { return };
    let word = match function {
        "begin" | "commit" | "rollback" => Some(function.to_uppercase()),
        _ => None,
    };
    span.span_kind = SpanKind::Client;
    if span.status == Status::Ok {
        span.status = Status::Unset;
    }
    span.attributes.retain(|one| one.key.as_str() != "exception.message");
    for attribute in &mut span.attributes {
        match attribute.key.as_str() {
            "db.system" => attribute.key = Key::from_static_str(DB_SYSTEM_NAME),
            "db.operation" => {
                attribute.key = Key::from_static_str(DB_OPERATION_NAME);
                if let Some(word) = &word {
                    attribute.value = Value::from(word.clone());
                }
                span.name = attribute.value.as_str().into_owned().into();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{SpanContext, SpanId};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    /// A span with the attributes that sea-orm gives one.
    fn statement(function: &'static str, operation: &'static str) -> SpanData {
        // Not the system's clock: no time is of interest here.
        let time = std::time::UNIX_EPOCH;
        let mut span = SpanData {
            span_context: SpanContext::NONE,
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Client,
            name: function.into(),
            start_time: time,
            end_time: time,
            attributes: vec![
                KeyValue::new("db.system", "sqlite"),
                KeyValue::new("db.operation", operation),
                KeyValue::new("exception.message", "a value that somebody wrote"),
            ],
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Ok,
            instrumentation_scope: InstrumentationScope::default(),
        };
        conventional(&mut span);
        span
    }

    #[test]
    fn a_statement_is_named_by_its_operation_and_shows_no_values() {
        for (function, operation, name) in [
            ("sea_orm.query_all", "SELECT", "SELECT"),
            ("sea_orm.execute", "INSERT", "INSERT"),
            ("sea_orm.begin", "EXECUTE", "BEGIN"),
            ("sea_orm.commit", "EXECUTE", "COMMIT"),
        ] {
            let span = statement(function, operation);
            assert_eq!((span.name.as_ref(), &span.status), (name, &Status::Unset));
            let expected = [
                KeyValue::new("db.system.name", "sqlite"),
                KeyValue::new("db.operation.name", name),
            ];
            assert_eq!(span.attributes, expected);
        }
    }
}
