//! The consumer's side.

use std::time::Instant;

use dunghan_proto::events::{Event, ListEventsRequest, ListEventsResponse};
use dunghan_store::{Database, Write, consumed, consumed_through};
use dunghan_telemetry::Here;
use sea_orm::DbErr;
use tonic::Status;
use tracing::{Instrument as _, Span};

use crate::{metric, trace};

/// Why events could not be taken in. What was taken in before stays.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The owner, or a peer needed to apply its events, did not answer.
    #[error("the owner of the events could not be asked")]
    Peer(#[from] Status),
    /// This service's database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
    /// Another process of this service applied the same events first.
    #[error("another process moved on first")]
    Overtaken,
}

/// Takes in everything that `owner` has after the position reached, and returns how many events that was.
///
/// `list` asks the owner, `prepare` fetches what applying needs (no transaction is open then), `apply` writes it. The
/// position moves in the same transaction; where another process was faster, nothing is applied twice.
pub async fn pull<T, Listing, Preparing>(
    database: &Database,
    owner: &'static str,
    list: impl Fn(ListEventsRequest) -> Listing,
    prepare: impl Fn(Vec<Event>) -> Preparing,
    apply: impl AsyncFn(&Write<'_>, &T) -> Result<(), DbErr>,
) -> Result<usize, PullError>
where
    Listing: Future<Output = Result<ListEventsResponse, Status>>,
    Preparing: Future<Output = Result<T, Status>>,
{
    let consumer = database.service();
    let span = tracing::info_span!(
        "events.pull",
        otel.kind = "client",
        otel.status_code = tracing::field::Empty,
        messaging.system = trace::SYSTEM,
        messaging.operation.type = "receive",
        messaging.operation.name = "pull",
        messaging.consumer.group.name = consumer,
        messaging.destination.name = owner,
        messaging.batch.message_count = tracing::field::Empty,
    );
    let pulling = async {
        let here = Here::now();
        let mut applied = 0;
        loop {
            let asked = Instant::now();
            metric::asking(consumer, owner, asked);
            let from = consumed(database.reader(), owner).await?;
            let request = ListEventsRequest { after: from.clone(), ..Default::default() };
            let page = list(request).await?;
            let Some(to) = page.events.last().map(|event| event.position.clone()) else {
                metric::has_all(consumer, owner, asked);
                return Ok(applied);
            };
            let count = page.events.len();
            let processing = page.events.iter();
            let processing: Vec<_> = processing
                .filter_map(|event| trace::process(event, consumer, owner, &here))
                .collect();
            let written = async {
                let prepared = prepare(page.events).await?;
                database
                    .write(async |write| {
                        if !consumed_through(write, owner, &from, &to).await? {
                            return Err(PullError::Overtaken);
                        }
                        apply(write, &prepared).await.map_err(PullError::Database)
                    })
                    .await
            };
            match written.await {
                Ok(()) => applied += count,
                Err(error) => {
                    processing.iter().for_each(failed);
                    match error {
                        PullError::Overtaken => continue,
                        error => return Err(error),
                    }
                }
            }
            if page.next_page_token.is_empty() {
                metric::has_all(consumer, owner, asked);
                return Ok(applied);
            }
        }
    };
    let pulled = pulling.instrument(span.clone()).await;
    match &pulled {
        Ok(count) => {
            span.record("messaging.batch.message_count", count);
        }
        Err(_) => failed(&span),
    }
    pulled
}

fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}
