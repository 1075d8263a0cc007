//! A collector of traces and metrics, for what a process under test tells of itself.
//!
//! Spans arrive some seconds after they ended. A process that is started with `OTEL_BSP_SCHEDULE_DELAY` and
//! `OTEL_METRIC_EXPORT_INTERVAL`, both in milliseconds, sends sooner.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::trace::v1 as otlp;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::eventually;

/// More than a process waits before it sends.
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);

/// Attributes by their names, each as text.
pub type Attributes = BTreeMap<String, String>;

/// A span that arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// What the process that sent it is called.
    pub service: String,
    /// For example `dunghan.registry.v1.RegistryService/GetUnit`.
    pub name: String,
    /// `server`, `client`, `producer`, `consumer` or `internal`.
    pub kind: &'static str,
    /// 32 hexadecimal digits.
    pub trace: String,
    /// 16 hexadecimal digits.
    pub id: String,
    /// Of the span above it; empty at the top.
    pub parent: String,
    /// The ids of the traces and spans that it points to.
    pub links: Vec<(String, String)>,
    /// When it began, since 1970.
    pub began: Duration,
    /// How long it took.
    pub took: Duration,
    /// Whether it ended in an error.
    pub failed: bool,
    /// By the conventions.
    pub attributes: Attributes,
}

/// One number of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// By which it is told apart from the others.
    pub attributes: Attributes,
    /// As it was last; of a histogram how much was counted.
    pub value: f64,
}

#[derive(Debug, Default)]
struct Received {
    spans: Vec<Span>,
    metrics: BTreeMap<String, Vec<Point>>,
}

#[derive(Clone, Debug, Default)]
struct Receiver(Arc<Mutex<Received>>);

impl Receiver {
    fn lock(&self) -> MutexGuard<'_, Received> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Collector {
    /// As `telemetry.otlp_endpoint` takes it.
    pub endpoint: String,
    received: Receiver,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Collector {
    /// On a port of the system's choosing.
    pub async fn start() -> Self {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into());
        let incoming = incoming.unwrap_or_else(|e| panic!("no port for a collector: {e}"));
        let address = incoming.local_addr().unwrap_or_else(|e| panic!("no address: {e}"));
        let received = Receiver::default();
        let server = Server::builder()
            .add_service(TraceServiceServer::new(received.clone()))
            .add_service(MetricsServiceServer::new(received.clone()));
        let serving = tokio::spawn(server.serve_with_incoming(incoming));
        Self { endpoint: format!("http://{address}"), received, serving }
    }

    /// What has arrived so far.
    pub fn spans(&self) -> Vec<Span> {
        self.received.lock().spans.clone()
    }

    /// The first span that is as `wanted`; waits for it.
    pub async fn span(&self, wanted: impl Fn(&Span) -> bool) -> Span {
        // Looked through outside of the lock: what is wanted may depend on the others.
        eventually(ARRIVES_WITHIN, async || self.spans().into_iter().find(&wanted)).await
    }

    /// The first span of that name; waits for it.
    pub async fn span_named(&self, name: &str) -> Span {
        self.span(|span| span.name == name).await
    }

    /// What has arrived of a trace, in the order in which it began.
    pub fn trace(&self, trace: &str) -> Vec<Span> {
        let mut spans = self.spans();
        spans.retain(|span| span.trace == trace);
        spans.sort_by(|a, b| (a.began, &a.name, &a.id).cmp(&(b.began, &b.name, &b.id)));
        spans
    }

    /// The points of a metric, as they arrived last. Names are OpenTelemetry's, with dots.
    pub fn points(&self, name: &str) -> Vec<Point> {
        self.received.lock().metrics.get(name).cloned().unwrap_or_default()
    }

    /// The point of a metric that is as `wanted`; waits for it, and has nobody send it. What counts in the test's own process
    /// may do so after that was last flushed: there [`points`](Self::points) are looked at again after each flush.
    pub async fn point(&self, name: &str, wanted: impl Fn(&Point) -> bool) -> Point {
        eventually(ARRIVES_WITHIN, async || self.points(name).into_iter().find(&wanted)).await
    }

    /// See [`draw`].
    pub fn draw(&self, trace: &str) -> String {
        draw(&self.trace(trace))
    }
}

/// Spans as a text, in which the same calls look the same each time: a line for each, below the one that caused it, with
/// its service and its kind. Statements stand in one line by their operations, and what is repeated stands once.
///
/// `spans` are in the order in which they began. Packages of the contract, and what all services have in front of their
/// names, are left out.
pub fn draw(spans: &[Span]) -> String {
    let known: BTreeSet<_> = spans.iter().map(|span| span.id.as_str()).collect();
    let top: Vec<_> = spans.iter().filter(|span| !known.contains(span.parent.as_str())).collect();
    let lines = lines(&top, 0, spans);
    let width = |of: fn(&Line) -> &str| lines.iter().map(|line| of(line).len()).max().unwrap_or(0);
    let (service, kind) = (width(|line| &line.service), width(|line| line.kind));
    let mut drawn = String::new();
    for line in &lines {
        // Writing to a String does not fail.
        let _ = writeln!(
            drawn,
            "{:service$}  {:kind$}  {:indent$}{}",
            line.service,
            line.kind,
            "",
            line.text,
            indent = line.depth * 2
        );
    }
    drawn
}

#[derive(PartialEq)]
struct Line {
    service: String,
    kind: &'static str,
    depth: usize,
    text: String,
}

/// The lines of these and of what they caused.
fn lines(siblings: &[&Span], depth: usize, spans: &[Span]) -> Vec<Line> {
    let mut blocks: Vec<(Vec<Line>, usize)> = Vec::new();
    for run in siblings.chunk_by(|a, b| system(a).is_some() && system(a) == system(b)) {
        let mut names: Vec<_> = run.iter().map(|span| name(span)).collect();
        names.dedup();
        let names = names.join(", ");
        let text = match system(run[0]) {
            Some(system) => format!("{system}: {names}"),
            None => names,
        };
        let service = run[0].service.trim_start_matches("dunghan-").to_owned();
        let mut block = vec![Line { service, kind: run[0].kind, depth, text }];
        let below: Vec<_> = spans.iter().filter(|span| span.parent == run[0].id).collect();
        block.extend(lines(&below, depth + 1, spans));
        match blocks.last_mut() {
            Some((last, count)) if *last == block => *count += 1,
            _ => blocks.push((block, 1)),
        }
    }
    for (block, count) in blocks.iter_mut().filter(|(_, count)| *count > 1) {
        let _ = write!(block[0].text, " × {count}");
    }
    blocks.into_iter().flat_map(|(block, _)| block).collect()
}

/// Of a statement, the database's.
fn system(span: &Span) -> Option<&str> {
    span.attributes.get("db.system.name").map(String::as_str)
}

/// With how it ended, where that was not well.
fn name(span: &Span) -> String {
    let name = match span.name.rsplit_once(".v1.") {
        Some((_, method)) => method,
        None => &span.name,
    };
    let status = span.attributes.get("rpc.response.status_code").map(String::as_str);
    match status.unwrap_or(if span.failed { "ERROR" } else { "OK" }) {
        "OK" => name.to_owned(),
        status => format!("{name} ({status})"),
    }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut received = self.lock();
        for resource in request.into_inner().resource_spans {
            let of = attributes(resource.resource.unwrap_or_default().attributes);
            let service = of.get("service.name").cloned().unwrap_or_default();
            for scope in resource.scope_spans {
                received.spans.extend(scope.spans.into_iter().map(|one| span(one, &service)));
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let mut received = self.lock();
        for resource in request.into_inner().resource_metrics {
            for metric in resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                let points = metric.data.map(points).unwrap_or_default();
                received.metrics.insert(metric.name, points);
            }
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

fn span(span: otlp::Span, service: &str) -> Span {
    let kind = match span.kind() {
        otlp::span::SpanKind::Server => "server",
        otlp::span::SpanKind::Client => "client",
        otlp::span::SpanKind::Producer => "producer",
        otlp::span::SpanKind::Consumer => "consumer",
        _ => "internal",
    };
    let links = span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id)));
    let took = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
    Span {
        service: service.to_owned(),
        kind,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        links: links.collect(),
        began: Duration::from_nanos(span.start_time_unix_nano),
        took: Duration::from_nanos(took),
        failed: span.status.is_some_and(|it| it.code() == otlp::status::StatusCode::Error),
        name: span.name,
        attributes: attributes(span.attributes),
    }
}

fn points(data: Data) -> Vec<Point> {
    let numbers = match data {
        Data::Gauge(gauge) => gauge.data_points,
        Data::Sum(sum) => sum.data_points,
        Data::Histogram(histogram) => {
            let points = histogram.data_points.into_iter().map(|point| Point {
                attributes: attributes(point.attributes),
                value: point.count as f64,
            });
            return points.collect();
        }
        _ => Vec::new(),
    };
    let points = numbers.into_iter().map(|point| Point {
        attributes: attributes(point.attributes),
        value: match point.value {
            Some(number_data_point::Value::AsDouble(value)) => value,
            Some(number_data_point::Value::AsInt(value)) => value as f64,
            None => f64::NAN,
        },
    });
    points.collect()
}

fn attributes(all: Vec<KeyValue>) -> Attributes {
    all.into_iter().map(|one| (one.key, one.value.map(text).unwrap_or_default())).collect()
}

fn text(value: AnyValue) -> String {
    match value.value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, id: &str, parent: &str, began: u64) -> Span {
        let statement = name.to_uppercase() == name;
        let attributes = statement.then(|| ("db.system.name".to_owned(), "sqlite".to_owned()));
        Span {
            service: "dunghan-compliance".to_owned(),
            name: name.to_owned(),
            kind: if statement { "client" } else { "internal" },
            trace: "1".to_owned(),
            id: id.to_owned(),
            parent: parent.to_owned(),
            links: Vec::new(),
            began: Duration::from_millis(began),
            took: Duration::from_micros(1250),
            failed: name == "sweep",
            attributes: attributes.into_iter().collect(),
        }
    }

    #[test]
    fn a_trace_is_drawn_with_each_span_below_the_one_that_caused_it() {
        // The caller of the first is in a process that sends nothing.
        let spans = [
            named("dunghan.compliance.v1.ComplianceService/RunSweep", "a", "elsewhere", 1),
            named("sweep", "b", "a", 2),
            named("SELECT", "c", "b", 3),
            named("SELECT", "d", "b", 4),
            named("COMMIT", "e", "b", 5),
            named("deliver", "f", "a", 9),
            named("deliver", "g", "a", 10),
            named("SELECT", "h", "f", 11),
            named("SELECT", "i", "g", 12),
            named("deliver", "j", "a", 13),
        ];
        let drawn = "compliance  internal  ComplianceService/RunSweep\n\
                     compliance  internal    sweep (ERROR)\n\
                     compliance  client        sqlite: SELECT, COMMIT\n\
                     compliance  internal    deliver × 2\n\
                     compliance  client        sqlite: SELECT\n\
                     compliance  internal    deliver\n";
        assert_eq!(draw(&spans), drawn);
    }
}
