//! The events of a service, written in the transaction that caused them and read in an order in which none is skipped.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, Statement, Value};
use uuid::Uuid;

use crate::{Database, Write};

/// Where an event stands in its owner's order.
///
/// On PostgreSQL numbers are drawn in no order of commits, so the order is by transaction first, and only events of
/// transactions below the oldest running one are handed out: none can come before them any more. On SQLite there is
/// one writer and the transaction is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    xid: i64,
    seq: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.xid, self.seq)
    }
}

/// The text is not a position.
#[derive(Debug, thiserror::Error)]
#[error("is not a position that ListEvents gave")]
pub struct NotAPosition;

impl FromStr for Position {
    type Err = NotAPosition;

    /// The empty text stands before the first event.
    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let (xid, seq) = text.split_once('.').ok_or(NotAPosition)?;
        let number = |part: &str| part.parse().map_err(|_| NotAPosition);
        Ok(Self { xid: number(xid)?, seq: number(seq)? })
    }
}

/// An event about to be written.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// When it happened, by the service's clock.
    pub at: DateTime<Utc>,
    /// The encoded payload.
    pub payload: Vec<u8>,
}

/// An event as it was written.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Where it stands.
    pub position: Position,
    /// The same for ever.
    pub id: Uuid,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The encoded payload.
    pub payload: Vec<u8>,
}

#[derive(FromQueryResult)]
struct Row {
    seq: i64,
    xid: i64,
    event_id: Uuid,
    event_us: i64,
    payload: Vec<u8>,
}

impl Write<'_> {
    /// Adds an event; it is there for others when the transaction is committed, and only then.
    pub async fn append(&self, event: NewEvent) -> Result<(), DbErr> {
        let values: [Value; 3] =
            [Uuid::now_v7().into(), event.at.timestamp_micros().into(), event.payload.into()];
        let sql = "INSERT INTO outbox (event_id, event_us, payload) VALUES ($1, $2, $3)";
        let engine = self.transaction.get_database_backend();
        self.transaction
            .execute_raw(Statement::from_sql_and_values(engine, sql, values))
            .await?;
        self.appended.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Database {
    /// The events after a position, in order, `limit` at most.
    pub async fn events_after(
        &self,
        after: Position,
        limit: u64,
    ) -> Result<Vec<StoredEvent>, DbErr> {
        let horizon = match self.engine() {
            DbBackend::Postgres => {
                "AND xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
            }
            _ => "",
        };
        let sql = format!(
            "SELECT seq, xid, event_id, event_us, payload FROM outbox \
             WHERE (xid > $1 OR (xid = $1 AND seq > $2)) {horizon} ORDER BY xid, seq LIMIT $3"
        );
        let values: [Value; 3] = [after.xid.into(), after.seq.into(), limit.cast_signed().into()];
        let statement = Statement::from_sql_and_values(self.engine(), sql, values);
        let rows = Row::find_by_statement(statement).all(self.reader()).await?;
        Ok(rows
            .into_iter()
            .map(|row| StoredEvent {
                position: Position { xid: row.xid, seq: row.seq },
                id: row.event_id,
                at: DateTime::from_timestamp_micros(row.event_us).unwrap_or_default(),
                payload: row.payload,
            })
            .collect())
    }
}
