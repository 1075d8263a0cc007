//! Log lines, each with the trace that it belongs to.

use std::fmt;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::Format;

pub(crate) fn layer<S, W>(
    format: Format,
    writer: W,
    colours: bool,
    filter: EnvFilter,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Spans are the traces' business; here they would be formatted for nobody. What OpenTelemetry says of itself it says
    // with every attempt to send: we say it now and then.
    let wanted = filter_fn(|line| line.is_event() && !line.target().starts_with("opentelemetry"));
    let filter = filter.and(wanted);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours);
    match format {
        Format::Text => layer.event_format(Text).with_filter(filter).boxed(),
        Format::Json => layer.event_format(Json).with_filter(filter).boxed(),
    }
}

/// The span in which a line is written.
fn here() -> Option<SpanContext> {
    let span = Context::map_current(|context| context.span().span_context().clone());
    span.is_valid().then_some(span)
}

/// `2026-11-22T14:09:44.000000Z  INFO dunghan_host::suite: serving address=[::1]:7400 trace_id=4bf9…`
struct Text;

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let colours = writer.has_ansi_escapes();
        let (dim, plain) = if colours { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        let level = *event.metadata().level();
        let colour = match level {
            _ if !colours => "",
            Level::ERROR => "\x1b[31m",
            Level::WARN => "\x1b[33m",
            Level::INFO => "\x1b[32m",
            Level::DEBUG => "\x1b[34m",
            Level::TRACE => "\x1b[35m",
        };
        write!(writer, "{dim}")?;
        SystemTime.format_time(&mut writer)?;
        let target = event.metadata().target();
        write!(writer, "{plain} {colour}{level:>5}{plain} {dim}{target}:{plain} ")?;
        let mut words = Words { writer: writer.by_ref(), dim, plain, written: Ok(()) };
        event.record(&mut words);
        words.written?;
        if let Some(span) = here() {
            write!(writer, " {dim}trace_id={}{plain}", span.trace_id())?;
        }
        writeln!(writer)
    }
}

/// The message, and then the fields of a line; the message is the first that is recorded.
struct Words<'a> {
    writer: Writer<'a>,
    dim: &'static str,
    plain: &'static str,
    written: fmt::Result,
}

impl Visit for Words<'_> {
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_debug(field, &format_args!("{}", in_words(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let Self { dim, plain, .. } = *self;
        if self.written.is_ok() {
            self.written = match field.name() {
                "message" => write!(self.writer, "{value:?}"),
                name => write!(self.writer, " {dim}{name}={plain}{value:?}"),
            };
        }
    }
}

/// An error with its causes. Those of the database say the whole of their cause themselves, and then have it as their
/// cause; a status is what it says.
fn in_words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let says = match error.downcast_ref::<tonic::Status>() {
            Some(status) => status.message().to_owned(),
            None => error.to_string(),
        };
        if !text.contains(&says) {
            let colon = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{colon}{says}");
        }
        next = error.source();
    }
    text
}

/// One object: `timestamp`, `level`, `target`, `message`, the fields of the line, and `trace_id` with `span_id`.
struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        line.insert("timestamp".to_owned(), time.into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        event.record(&mut Fields(&mut line));
        if let Some(span) = here() {
            line.insert("trace_id".to_owned(), span.trace_id().to_string().into());
            line.insert("span_id".to_owned(), span.span_id().to_string().into());
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, in_words(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Said(&'static str, #[source] Option<Box<dyn std::error::Error>>);

    #[test]
    fn an_error_is_told_with_its_causes_each_once_and_a_status_by_its_message() {
        let root = Said("connection refused", None);
        let database = Said("using it: connection refused", Some(Box::new(root)));
        let told = in_words(&Said("the store failed", Some(Box::new(database))));
        assert_eq!(told, "the store failed: using it: connection refused");
        #[expect(clippy::disallowed_methods, reason = "as a proxy makes them")]
        let status = tonic::Status::unavailable("nobody is there");
        let told = in_words(&Said("it could not be asked", Some(Box::new(status))));
        assert_eq!(told, "it could not be asked: nobody is there");
    }
}
