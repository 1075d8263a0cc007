//! Traces that go on: from a call into the outbox, and from there into what it causes.

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::DynFilterFn;
use tracing_subscriber::layer::Filter;

/// The header of the W3C, and the only one that is read: baggage is nobody's to send.
pub(crate) const HEADER: &str = "traceparent";

/// The current span as a `traceparent`, to be kept with what it caused. None outside of any.
pub fn trace_parent() -> Option<String> {
    Context::map_current(|context| written(context.span().span_context()))
}

pub(crate) fn written(span: &SpanContext) -> Option<String> {
    span.is_valid()
        .then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags()))
}

/// Makes `span` a child of the span that a `traceparent` names; without one, or where it does not read, it stays as it
/// is. Before the span is entered: later it is too late.
pub fn continue_from(span: &Span, trace_parent: &str) {
    let parent = remote(Some(trace_parent));
    if parent.has_active_span() {
        // Fails where nobody keeps spans.
        let _ = span.set_parent(parent);
    }
}

/// A context that goes on from a `traceparent`; an empty one where there is none.
pub(crate) fn remote(trace_parent: Option<&str>) -> Context {
    match trace_parent.and_then(read) {
        None => Context::new(),
        Some(span) => Context::new().with_remote_span_context(span),
    }
}

/// By the letter of the W3C: OpenTelemetry's own reader takes ids of any length.
fn read(trace_parent: &str) -> Option<SpanContext> {
    let mut parts = trace_parent.split('-');
    let mut hex = |digits: usize| {
        let part = parts.next().filter(|part| part.len() == digits)?;
        part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).then_some(part)
    };
    let (version, trace, span, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    // Later versions may add parts; ff is none.
    if version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let trace = TraceId::from_hex(trace).ok()?;
    let span = SpanId::from_hex(span).ok()?;
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE)).filter(SpanContext::is_valid)
}

/// A place in a trace to which spans of other traces can point.
#[derive(Clone, Debug)]
pub struct Here(SpanContext);

impl Here {
    /// The current span.
    pub fn now() -> Self {
        Self(Context::map_current(|context| context.span().span_context().clone()))
    }

    /// Has `span` point here. Before the span is entered.
    pub fn link_from(&self, span: &Span) {
        // An invalid one is left out.
        span.add_link(self.0.clone());
    }
}

/// Which spans become spans of a trace: our own, and statements where the call that makes them is sampled.
///
/// A list of who may rather than of who may not: what sends traces makes spans as well, and those would cause more.
pub(crate) fn worth_a_span() -> impl Filter<Registry> {
    DynFilterFn::new(|span: &Metadata<'_>, _: &_| match whose(span) {
        Whose::Ours => true,
        Whose::Statement => {
            Context::map_current(|context| context.span().span_context().is_sampled())
        }
        Whose::Others => false,
    })
    .with_callsite_filter(|span| match whose(span) {
        Whose::Ours => Interest::always(),
        // Asked for each: an idle process and a call that is not sampled pay for none.
        Whose::Statement => Interest::sometimes(),
        Whose::Others => Interest::never(),
    })
    .with_max_level_hint(LevelFilter::INFO)
}

enum Whose {
    Ours,
    Statement,
    Others,
}

fn whose(span: &Metadata<'_>) -> Whose {
    let target = span.target();
    if !span.is_span() || *span.level() > Level::INFO {
        Whose::Others
    } else if target.starts_with("dunghan") {
        Whose::Ours
    } else if target.starts_with("sea_orm::") {
        Whose::Statement
    } else {
        Whose::Others
    }
}
