//! The spans of what an event causes: each belongs to the trace in which the event was written, and points to whoever
//! took it up.

use dunghan_proto::events::Event;
use dunghan_proto::events::event::Payload;
use dunghan_telemetry::{Here, continue_from};
use tracing::Span;

/// What carries the events, for the conventions of messaging.
pub(crate) const SYSTEM: &str = "dunghan";

/// What an event is called in the contract.
pub(crate) fn event_name(payload: Option<&Payload>) -> &'static str {
    match payload {
        Some(Payload::UnitsChanged(_)) => "UnitsChanged",
        Some(Payload::ReportSubmitted(_)) => "ReportSubmitted",
        Some(Payload::ReportWithdrawn(_)) => "ReportWithdrawn",
        Some(Payload::ReportReturned(_)) => "ReportReturned",
        Some(Payload::ReportAccepted(_)) => "ReportAccepted",
        Some(Payload::NoticeCreated(_)) => "NoticeCreated",
        Some(Payload::ReorganisationApplied(_)) => "ReorganisationApplied",
        Some(Payload::ContactChanged(_)) => "ContactChanged",
        Some(Payload::GrantChanged(_)) => "GrantChanged",
        // Of a contract later than this program.
        None => "event",
    }
}

/// A span in which a consumer of another service takes an event in. None where the event belongs to no trace.
pub(crate) fn process(event: &Event, consumer: &str, owner: &str, puller: &Here) -> Option<Span> {
    if event.trace_parent.is_empty() {
        return None;
    }
    let span = tracing::info_span!(
        parent: None,
        "process",
        otel.name = format!("process {}", event_name(event.payload.as_ref())),
        otel.kind = "consumer",
        otel.status_code = tracing::field::Empty,
        messaging.system = SYSTEM,
        messaging.operation.type = "process",
        messaging.operation.name = "process",
        messaging.consumer.group.name = consumer,
        messaging.destination.name = owner,
        messaging.message.id = event.event_id,
    );
    continue_from(&span, &event.trace_parent);
    puller.link_from(&span);
    Some(span)
}

/// A span in which an event is handed to somebody outside, who asked for it at `watcher`.
pub fn deliver(event: &Event, watcher: &Here) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "deliver",
        otel.name = format!("deliver {}", event_name(event.payload.as_ref())),
        otel.kind = "consumer",
        messaging.system = SYSTEM,
        messaging.operation.type = "process",
        messaging.operation.name = "deliver",
        messaging.message.id = event.event_id,
    );
    continue_from(&span, &event.trace_parent);
    watcher.link_from(&span);
    span
}
