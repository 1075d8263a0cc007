//! The owner's side.

use chrono::{DateTime, Utc};
use dunghan_proto::events::event::Payload;
use dunghan_proto::events::{Event, ListEventsRequest, ListEventsResponse};
use dunghan_rpc::{bad_field, field, internal, unavailable};
use dunghan_store::{Database, NewEvent, Write, is_transient};
use dunghan_telemetry::trace_parent;
use prost::Message as _;
use sea_orm::DbErr;
use tonic::Status;
use tracing::Instrument as _;

use crate::trace::{SYSTEM, event_name};

const DEFAULT_PAGE: u64 = 500;
const LARGEST_PAGE: u64 = 1000;

/// Writes what happened into the owner's outbox, in the transaction that made it so, with the span in which it did.
pub async fn append(write: &Write<'_>, at: DateTime<Utc>, payload: Payload) -> Result<(), DbErr> {
    append_all(write, at, vec![payload]).await
}

/// Writes several things that happened at once, in their order, as [`append`] writes one.
pub async fn append_all(
    write: &Write<'_>,
    at: DateTime<Utc>,
    payloads: Vec<Payload>,
) -> Result<(), DbErr> {
    let Some(first) = payloads.first() else { return Ok(()) };
    let span = tracing::info_span!(
        "append",
        otel.name = format!("append {}", event_name(Some(first))),
        otel.kind = "producer",
        messaging.system = SYSTEM,
        messaging.operation.type = "create",
        messaging.operation.name = "append",
    );
    async {
        let trace_parent = trace_parent();
        let events = payloads.into_iter().map(|payload| {
            let event = Event { payload: Some(payload), ..Event::default() };
            NewEvent { at, trace_parent: trace_parent.clone(), payload: event.encode_to_vec() }
        });
        write.append_all(events.collect()).await
    }
    .instrument(span)
    .await
}

/// Answers ListEvents for any owner.
///
/// Errors: INVALID_ARGUMENT for a position that nobody gave.
pub async fn list_events(
    database: &Database,
    request: &ListEventsRequest,
) -> Result<ListEventsResponse, Status> {
    let (name, after) = match (request.after.as_str(), request.page_token.as_str()) {
        (after, "") => ("after", after),
        ("", token) => ("page_token", token),
        _ => return Err(bad_field("page_token", "must not be set beside after")),
    };
    let after = after.parse().map_err(|e| bad_field(name, e))?;
    let size = match request.page_size {
        0 => DEFAULT_PAGE,
        size => u64::try_from(size)
            .map_err(|_| bad_field("page_size", "must not be negative"))?
            .min(LARGEST_PAGE),
    };
    let mut stored =
        database.events_after(after, size + 1).await.map_err(|e| database_failed(&e))?;
    let more = stored.len() as u64 > size;
    stored.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    let events = stored
        .into_iter()
        .map(|row| {
            let event = Event::decode(row.payload.as_slice())
                .map_err(|e| internal("reading an event", &e))?;
            Ok(Event {
                position: row.position.to_string(),
                event_id: row.id.to_string(),
                event_time: Some(field::pb_time(row.at)),
                trace_parent: row.trace_parent.unwrap_or_default(),
                ..event
            })
        })
        .collect::<Result<Vec<_>, Status>>()?;
    let next_page_token =
        events.last().filter(|_| more).map_or_else(String::new, |last| last.position.clone());
    Ok(ListEventsResponse { events, next_page_token })
}

fn database_failed(cause: &DbErr) -> Status {
    const DOING: &str = "reading the outbox";
    if is_transient(cause) { unavailable(DOING, cause) } else { internal(DOING, cause) }
}
