//! The consumer's side.

use dunghan_proto::events::{Event, ListEventsRequest, ListEventsResponse};
use dunghan_store::{Database, Write, consumed, consumed_through};
use sea_orm::DbErr;
use tonic::Status;

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
    owner: &str,
    list: impl Fn(ListEventsRequest) -> Listing,
    prepare: impl Fn(Vec<Event>) -> Preparing,
    apply: impl AsyncFn(&Write<'_>, &T) -> Result<(), DbErr>,
) -> Result<usize, PullError>
where
    Listing: Future<Output = Result<ListEventsResponse, Status>>,
    Preparing: Future<Output = Result<T, Status>>,
{
    let mut applied = 0;
    loop {
        let from = consumed(database.reader(), owner).await?;
        let request = ListEventsRequest { after: from.clone(), ..Default::default() };
        let page = list(request).await?;
        let Some(to) = page.events.last().map(|event| event.position.clone()) else {
            return Ok(applied);
        };
        let count = page.events.len();
        let prepared = prepare(page.events).await?;
        let written = database
            .write(async |write| {
                if !consumed_through(write, owner, &from, &to).await? {
                    return Err(PullError::Overtaken);
                }
                apply(write, &prepared).await.map_err(PullError::Database)
            })
            .await;
        match written {
            Ok(()) => applied += count,
            Err(PullError::Overtaken) => continue,
            Err(error) => return Err(error),
        }
        if page.next_page_token.is_empty() {
            return Ok(applied);
        }
    }
}
