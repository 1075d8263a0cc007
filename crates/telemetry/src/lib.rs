//! What a process tells of itself: log lines, traces and metrics.
//!
//! Logs go to standard error. Traces and metrics are kept whether or not anybody collects them: every call has an id that
//! is passed on and stands in its log lines, and [`metrics_page`] can be read at any time. They are sent by OTLP only to
//! an endpoint that is configured, from threads of their own, so that a collector that is away costs nobody anything.
//!
//! Spans and log lines carry no names of units, no figures and no tokens.

mod call;
mod export;
mod log;
mod metric;
mod trace;

use std::io::IsTerminal as _;
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};

pub use call::{Calls, ClientLayer, ServerLayer, Watched, code_name};
pub use metric::{dependency_up, meter, metrics_page};
pub use trace::{Here, continue_from, trace_parent};

/// What a flush may take in all.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is told, how, and to whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How log lines look.
    pub format: Format,
    /// Which lines are written, as in `RUST_LOG`, for example `info,dunghan_compliance=debug`.
    pub filter: String,
    /// The collector of traces and metrics, as `http://host:4317`.
    pub otlp_endpoint: Option<String>,
    /// Of the traces that begin here, the part that is kept, 0 to 1. Those that began elsewhere are kept if they were there.
    pub sample_ratio: f64,
    /// What the process is called in traces and metrics.
    pub service_name: String,
    /// Which of the processes of that name this is.
    pub instance: String,
}

impl Settings {
    /// Logs only, as commands want them.
    pub fn logs(format: Format, filter: impl Into<String>) -> Self {
        Self {
            format,
            filter: filter.into(),
            otlp_endpoint: None,
            sample_ratio: 1.0,
            service_name: "dunghan".to_owned(),
            instance: std::process::id().to_string(),
        }
    }
}

/// Why telemetry cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter does not read.
    #[error("the log filter {0:?} does not read: {1}")]
    Filter(String, String),
    /// The endpoint does not read. Whether anybody listens there is not looked at.
    #[error("the OTLP endpoint {0:?} does not read: give http://HOST:PORT ({1})")]
    Endpoint(String, String),
    /// The threads that send cannot be had.
    #[error("the threads that send telemetry cannot be started")]
    Threads(#[from] std::io::Error),
}

/// Begins for the whole process, with logs on standard error; a second call changes nothing.
pub fn init(settings: &Settings) -> Result<Telemetry, Error> {
    begin(settings, std::io::stderr, std::io::stderr().is_terminal())
}

/// As [`init`], with log lines written elsewhere.
pub fn init_with_logs_to<W>(settings: &Settings, writer: W) -> Result<Telemetry, Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    begin(settings, writer, false)
}

fn begin<W>(settings: &Settings, writer: W, colours: bool) -> Result<Telemetry, Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&settings.filter)
        .map_err(|e| Error::Filter(settings.filter.clone(), e.to_string()))?;
    let providers = export::Providers::new(settings)?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(providers.traces.tracer("dunghan"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_filter(trace::worth_a_span());
    let logs = log::layer(settings.format, writer, colours, filter);
    if Registry::default().with(spans).with(logs).try_init().is_err() {
        return Ok(Telemetry { providers: None });
    }
    global::set_tracer_provider(providers.traces.clone());
    global::set_meter_provider(providers.metrics.clone());
    metric::publish(providers.page.clone());
    Ok(Telemetry { providers: Some(providers) })
}

/// What was begun. Whoever drops it without [`shutdown`](Self::shutdown) loses what has not been sent; logs and
/// [`metrics_page`] go on.
#[derive(Debug)]
#[must_use = "what has not been sent is lost without a shutdown"]
pub struct Telemetry {
    /// None where another one was begun before.
    providers: Option<export::Providers>,
}

impl Telemetry {
    /// Sends what is waiting. Returns within 5 s, whatever the collector does.
    pub async fn flush(&self) {
        if let Some(providers) = self.providers.clone() {
            aside(move || providers.flush()).await;
        }
    }

    /// Sends what is waiting, and ends. Returns within 5 s, whatever the collector does.
    pub async fn shutdown(self) {
        if let Some(providers) = self.providers {
            aside(move || providers.shutdown(FLUSH_LIMIT / 2)).await;
        }
    }
}

/// On a thread that nobody waits for longer than the limit: not even the runtime when it ends.
async fn aside(work: impl FnOnce() + Send + 'static) {
    let (done, waiting) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        work();
        // Whoever waited may have gone on.
        let _ = done.send(());
    });
    let _ = tokio::time::timeout(FLUSH_LIMIT, waiting).await;
}
