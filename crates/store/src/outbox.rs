//! The events of a service, written in the transaction that caused them and read in an order in which none is skipped.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, Statement, Value};
use uuid::Uuid;

use crate::{Database, Write};

/// Events that are written by one statement.
const AT_ONCE: usize = 200;
/// How often, and after which pauses, running transactions are looked at before an event is left for the next call.
const LOOKS_AT_RUNNING: u32 = 200;
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Where an event stands in its owner's order.
///
/// On PostgreSQL numbers are drawn in no order of commits, so the order is by transaction first, and only events of
/// transactions below the oldest running one are handed out: none can come before them any more. On SQLite there is
/// one writer and the transaction is 0. Before both stands the era: numbers of before a restore are no measure for those
/// after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    era: i64,
    xid: i64,
    seq: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.era, self.xid, self.seq)
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
        let mut parts = text.split('.').map(|part| part.parse().map_err(|_| NotAPosition));
        let mut number = || parts.next().ok_or(NotAPosition)?;
        // The first release gave two numbers: there was no era.
        let era = if text.matches('.').count() == 1 { 0 } else { number()? };
        let position = Self { era, xid: number()?, seq: number()? };
        if parts.next().is_some() { Err(NotAPosition) } else { Ok(position) }
    }
}

/// An event about to be written.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// When it happened, by the service's clock.
    pub at: DateTime<Utc>,
    /// The span in which it happened, as a `traceparent`.
    pub trace_parent: Option<String>,
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
    /// The span in which it happened, as a `traceparent`.
    pub trace_parent: Option<String>,
    /// The encoded payload.
    pub payload: Vec<u8>,
}

#[derive(FromQueryResult)]
struct Row {
    era: i64,
    xid: i64,
    seq: i64,
    event_id: Uuid,
    event_us: i64,
    traceparent: Option<String>,
    payload: Vec<u8>,
}

impl Write<'_> {
    /// Adds an event; it is there for others when the transaction is committed, and only then.
    pub async fn append(&self, event: NewEvent) -> Result<(), DbErr> {
        self.append_all(vec![event]).await
    }

    /// Adds several, in their order.
    pub async fn append_all(&self, events: Vec<NewEvent>) -> Result<(), DbErr> {
        let engine = self.transaction.get_database_backend();
        let mut events = events.into_iter().peekable();
        while events.peek().is_some() {
            let (mut rows, mut values): (Vec<String>, Vec<Value>) = (Vec::new(), Vec::new());
            for event in events.by_ref().take(AT_ONCE) {
                let n = values.len();
                let [id, at, parent, payload] = [n + 1, n + 2, n + 3, n + 4];
                rows.push(format!(
                    "((SELECT era FROM outbox_era), ${id}, ${at}, ${parent}, ${payload})"
                ));
                values.push(Uuid::now_v7().into());
                values.push(event.at.timestamp_micros().into());
                values.push(event.trace_parent.into());
                values.push(event.payload.into());
            }
            let sql = format!(
                "INSERT INTO outbox (era, event_id, event_us, traceparent, payload) VALUES {}",
                rows.join(", ")
            );
            let statement = Statement::from_sql_and_values(engine, sql, values);
            self.transaction.execute_raw(statement).await?;
            self.appended.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Database {
    /// The events after a position, in order, `limit` at most.
    ///
    /// What was committed before the call is among them. On PostgreSQL it can still be held back by an older transaction
    /// of this service; then this waits for that one, a second at most.
    pub async fn events_after(
        &self,
        after: Position,
        limit: u64,
    ) -> Result<Vec<StoredEvent>, DbErr> {
        let mut oldest = self.oldest_running().await?;
        let committed = self.newest_committed().await?;
        for _ in 0..LOOKS_AT_RUNNING {
            if committed < oldest {
                break;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
            oldest = self.oldest_running().await?;
        }
        self.events_between(after, oldest, limit).await
    }

    async fn events_between(
        &self,
        after: Position,
        below: i64,
        limit: u64,
    ) -> Result<Vec<StoredEvent>, DbErr> {
        // Each engine goes on from its place in an index: the outbox is followed by the second and never gets shorter.
        let limit = limit.cast_signed();
        let (sql, values): (_, Vec<Value>) = match self.engine() {
            // Of earlier eras nothing runs any more.
            DbBackend::Postgres => (
                "SELECT era, xid, seq, event_id, event_us, traceparent, payload FROM outbox \
                 WHERE (era, xid, seq) > ($1, $2, $3) \
                 AND (era, xid) < ((SELECT era FROM outbox_era), $4) \
                 ORDER BY era, xid, seq LIMIT $5",
                vec![
                    after.era.into(),
                    after.xid.into(),
                    after.seq.into(),
                    below.into(),
                    limit.into(),
                ],
            ),
            // Where an era has begun since, its first event may have a number that an earlier one had as well.
            _ => (
                "SELECT era, xid, seq, event_id, event_us, traceparent, payload FROM outbox \
                 WHERE seq > min($2, ifnull((SELECT seq - 1 FROM outbox WHERE era > $1 \
                 ORDER BY era, seq LIMIT 1), $2)) ORDER BY seq LIMIT $3",
                vec![after.era.into(), after.seq.into(), limit.into()],
            ),
        };
        let statement = Statement::from_sql_and_values(self.engine(), sql, values);
        let rows = Row::find_by_statement(statement).all(self.reader()).await?;
        Ok(rows
            .into_iter()
            .map(|row| StoredEvent {
                position: Position { era: row.era, xid: row.xid, seq: row.seq },
                id: row.event_id,
                at: DateTime::from_timestamp_micros(row.event_us).unwrap_or_default(),
                trace_parent: row.traceparent,
                payload: row.payload,
            })
            .collect())
    }

    /// The newest transaction whose event can be seen, held back or not.
    async fn newest_committed(&self) -> Result<i64, DbErr> {
        if self.engine() != DbBackend::Postgres {
            return Ok(0);
        }
        let sql = "SELECT xid FROM outbox WHERE era = (SELECT era FROM outbox_era) \
                   ORDER BY xid DESC, seq DESC LIMIT 1";
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = self.reader().query_one_raw(statement).await?;
        row.map_or(Ok(0), |row| row.try_get_by_index(0))
    }

    /// The oldest transaction of this service that may still write, or the next one: all below it have ended.
    ///
    /// Not `pg_snapshot_xmin`: that counts everybody on the server, and somebody else's long transaction would hold up
    /// our events. The end of the range is read before the running ones, so whatever begins between is not below it.
    async fn oldest_running(&self) -> Result<i64, DbErr> {
        if self.engine() != DbBackend::Postgres {
            return Ok(i64::MAX);
        }
        let query = |sql| Statement::from_string(DbBackend::Postgres, sql);
        let sql = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
        let next = self.reader().query_one_raw(query(sql)).await?;
        let next: i64 = next.map_or(Ok(0), |row| row.try_get_by_index(0))?;
        let sql = "SELECT backend_xid::text::bigint FROM pg_stat_activity \
                   WHERE datname = current_database() AND backend_xid IS NOT NULL \
                   AND application_name = current_setting('application_name')";
        let running = self.reader().query_all_raw(query(sql)).await?;
        let mut oldest = next;
        for row in running {
            oldest = oldest.min(with_epoch(row.try_get_by_index(0)?, next));
        }
        Ok(oldest)
    }
}

/// The whole number of a running transaction of which PostgreSQL shows the lower 32 bits: the greatest that is not far
/// above `next`, the end of a range that was read shortly before.
fn with_epoch(low: i64, next: i64) -> i64 {
    const EPOCH: i64 = 1 << 32;
    let candidate = (next & !(EPOCH - 1)) | low;
    if candidate > next + EPOCH / 2 {
        candidate - EPOCH
    } else if candidate < next - EPOCH / 2 {
        candidate + EPOCH
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_placed_beside_the_next_one_across_an_epoch() {
        let epoch = 1 << 32;
        for (low, next, whole) in [
            (5, 7, 5),
            (5, epoch + 7, epoch + 5),
            (epoch - 2, epoch + 7, epoch - 2),
            (1, epoch - 1, epoch + 1),
        ] {
            assert_eq!(with_epoch(low, next), whole, "{low} beside {next}");
        }
    }

    #[test]
    fn a_position_prints_as_it_reads() {
        let position = Position { era: 1_763_800_000_000, xid: 4_294_967_301, seq: 12 };
        assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
        assert_eq!("".parse::<Position>().unwrap(), Position::default());
        let of_first_release = Position { era: 0, xid: 5, seq: 12 };
        assert_eq!("5.12".parse::<Position>().unwrap(), of_first_release);
        assert!("12".parse::<Position>().is_err());
    }
}
