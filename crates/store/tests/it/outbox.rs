//! Events: in an order in which none is skipped, whoever commits first.

use chrono::{DateTime, TimeDelta};
use dunghan_store::{Database, NewEvent, Position, StoredEvent};
use dunghan_testkit::{ENGINES, Engine};
use sea_orm::{ConnectionTrait as _, DbErr};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::{Migrations, open};

fn event(payload: u8) -> NewEvent {
    let at = DateTime::UNIX_EPOCH + TimeDelta::microseconds(payload.into());
    NewEvent { at, trace_parent: None, payload: vec![payload] }
}

async fn append(database: &Database, payload: u8) -> Result<(), DbErr> {
    database.write(async |write| write.append(event(payload)).await).await
}

/// A transaction that takes its number, appends, and commits when it is told to.
pub(crate) struct Running {
    commit: oneshot::Sender<()>,
    done: JoinHandle<Result<(), DbErr>>,
}

impl Running {
    /// Returns once the event is written, uncommitted.
    pub(crate) async fn begin(database: &Database, payload: u8) -> Self {
        let (commit, told) = oneshot::channel::<()>();
        let (written, has_written) = oneshot::channel::<()>();
        let database = database.clone();
        let done = tokio::spawn(async move {
            database
                .write(async |write| {
                    write.append(event(payload)).await?;
                    written.send(()).unwrap();
                    told.await.unwrap();
                    Ok(())
                })
                .await
        });
        has_written.await.unwrap();
        Self { commit, done }
    }

    pub(crate) async fn commit(self) {
        self.commit.send(()).unwrap();
        self.done.await.unwrap().unwrap();
    }
}

async fn payloads_after(database: &Database, position: Position) -> Vec<u8> {
    let events = database.events_after(position, 100).await.unwrap();
    events.into_iter().map(|event| event.payload[0]).collect()
}

#[tokio::test]
async fn an_event_keeps_the_span_in_which_it_was_written() {
    for engine in ENGINES {
        let (database, _place) = open(engine).await;
        let span = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let traced = NewEvent { trace_parent: Some(span.to_owned()), ..event(2) };
        append(&database, 1).await.unwrap();
        let written: Result<(), DbErr> =
            database.write(async |write| write.append(traced).await).await;
        written.unwrap();
        let all = database.events_after(Position::default(), 100).await.unwrap();
        let spans: Vec<_> = all.iter().map(|one| one.trace_parent.as_deref()).collect();
        assert_eq!(spans, [None, Some(span)], "{engine:?}");
    }
}

#[tokio::test]
async fn events_are_read_in_the_order_in_which_they_were_written_from_any_position() {
    for engine in ENGINES {
        let (database, _place) = open(engine).await;
        for payload in 1..=3 {
            append(&database, payload).await.unwrap();
        }
        let both: Result<(), DbErr> = database
            .write(async |write| {
                write.append(event(4)).await?;
                write.append(event(5)).await
            })
            .await;
        both.unwrap();
        let all: Vec<StoredEvent> = database.events_after(Position::default(), 100).await.unwrap();
        assert_eq!(all.iter().map(|one| one.payload[0]).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert!(all.is_sorted_by(|one, next| one.position < next.position && one.id != next.id));
        assert_eq!(all[2].at, event(3).at);
        for (index, one) in all.iter().enumerate() {
            // Positions are kept as text by those who read on.
            let position: Position = one.position.to_string().parse().unwrap();
            let rest = payloads_after(&database, position).await;
            assert_eq!(rest, [1, 2, 3, 4, 5][index + 1..], "{engine:?}");
        }
        let first_two = database.events_after(Position::default(), 2).await.unwrap();
        assert_eq!(first_two.len(), 2);
        // What was rolled back leaves a gap in the numbers, and no event.
        let failed: Result<(), DbErr> = database
            .write(async |write| {
                write.append(event(6)).await?;
                Err(DbErr::Custom(String::new()))
            })
            .await;
        assert!(failed.is_err());
        append(&database, 7).await.unwrap();
        assert_eq!(payloads_after(&database, all[4].position).await, [7], "{engine:?}");
    }
}

#[tokio::test]
async fn many_events_of_one_transaction_are_read_in_their_order() {
    for engine in ENGINES {
        let (database, _place) = open(engine).await;
        // More than one statement writes.
        let payloads: Vec<u8> = (0..=250).chain(0..=250).collect();
        let written: Result<(), DbErr> = database
            .write(async |write| {
                write.append_all(Vec::new()).await?;
                write.append_all(payloads.iter().copied().map(event).collect()).await
            })
            .await;
        written.unwrap();
        let all = database.events_after(Position::default(), 1000).await.unwrap();
        let read: Vec<_> = all.iter().map(|one| one.payload[0]).collect();
        assert_eq!(read, payloads, "{engine:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_draws_a_number_first_and_commits_last_is_neither_skipped_nor_handed_out_early() {
    let (database, _place) = open(Engine::Postgres).await;
    append(&database, 1).await.unwrap();
    let read = database.events_after(Position::default(), 100).await.unwrap();
    let position = read[0].position;

    let slow = Running::begin(&database, 2).await;
    append(&database, 3).await.unwrap();
    // What is committed waits: something may yet come before it.
    assert!(payloads_after(&database, position).await.is_empty());
    slow.commit().await;
    assert_eq!(payloads_after(&database, position).await, [2, 3]);

    // The same where the slow one takes its transaction's number first and its event's number last.
    let position = database.events_after(position, 100).await.unwrap()[1].position;
    let (go_on, told) = oneshot::channel::<()>();
    let (begun, has_begun) = oneshot::channel::<()>();
    let slow = tokio::spawn({
        let database = database.clone();
        async move {
            let written: Result<(), DbErr> = database
                .write(async |write| {
                    write.execute_unprepared("UPDATE counter SET n = 1").await?;
                    begun.send(()).unwrap();
                    told.await.unwrap();
                    write.append(event(5)).await
                })
                .await;
            written
        }
    });
    has_begun.await.unwrap();
    append(&database, 4).await.unwrap();
    assert!(payloads_after(&database, position).await.is_empty());
    go_on.send(()).unwrap();
    slow.await.unwrap().unwrap();
    assert_eq!(payloads_after(&database, position).await, [5, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_another_database_holds_up_nobody() {
    let (database, _place) = open(Engine::Postgres).await;
    let (other, _other_place) = open(Engine::Postgres).await;
    let slow = Running::begin(&other, 1).await;
    append(&database, 2).await.unwrap();
    assert_eq!(payloads_after(&database, Position::default()).await, [2]);
    slow.commit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_another_service_on_the_same_database_holds_up_nobody() {
    let (database, place) = open(Engine::Postgres).await;
    let other = Database::open(&place.location, "neighbour").await.unwrap();
    other.migrate::<Migrations>().await.unwrap();
    let slow = Running::begin(&other, 1).await;
    append(&database, 2).await.unwrap();
    assert_eq!(payloads_after(&database, Position::default()).await, [2]);
    slow.commit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_waits_for_what_was_committed_before_it_and_is_held_back() {
    let (database, _place) = open(Engine::Postgres).await;
    let slow = Running::begin(&database, 1).await;
    append(&database, 2).await.unwrap();
    let reading = payloads_after(&database, Position::default());
    tokio::pin!(reading);
    // A reader that does not wait would have answered, without the second event.
    let early = tokio::time::timeout(std::time::Duration::from_millis(100), &mut reading).await;
    assert!(early.is_err(), "{early:?}");
    slow.commit().await;
    assert_eq!(reading.await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_comes_to_nothing_holds_up_nobody() {
    let (database, _place) = open(Engine::Postgres).await;
    let slow = Running::begin(&database, 1).await;
    append(&database, 2).await.unwrap();
    slow.done.abort();
    // The connection is given back, and with it its transaction, in its own time.
    let read = dunghan_testkit::eventually(std::time::Duration::from_secs(10), async || {
        Some(payloads_after(&database, Position::default()).await).filter(|read| !read.is_empty())
    });
    assert_eq!(read.await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_follows_many_writers_gets_each_event_once() {
    for engine in ENGINES {
        let (database, _place) = open(engine).await;
        let mut writers = JoinSet::new();
        for writer in 0..8_u8 {
            let database = database.clone();
            writers.spawn(async move {
                for n in 0..25 {
                    append(&database, writer * 25 + n).await.unwrap();
                }
            });
        }
        let (mut seen, mut position) = (Vec::new(), Position::default());
        // Ten at a time, while they write; woken by what this process writes, and looking again where a number was
        // still held back.
        let reading = async {
            while seen.len() < 200 {
                let events = database.events_after(position, 10).await.unwrap();
                assert!(events.iter().all(|event| event.position > position));
                position = events.last().map_or(position, |last| last.position);
                seen.extend(events.into_iter().map(|event| event.payload[0]));
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), reading).await.unwrap();
        writers.join_all().await;
        assert!(database.events_after(position, 10).await.unwrap().is_empty());
        // Of each writer in its own order.
        for writer in 0..8_u8 {
            let own: Vec<_> = seen.iter().filter(|seen| **seen / 25 == writer).copied().collect();
            assert_eq!(own, (writer * 25..writer * 25 + 25).collect::<Vec<_>>(), "{engine:?}");
        }
    }
}

#[test]
fn a_position_reads_as_it_prints_and_the_empty_one_is_before_all() {
    let start: Position = "".parse().unwrap();
    assert_eq!(start, Position::default());
    let later: Position = "7.12.345".parse().unwrap();
    assert_eq!(later.to_string(), "7.12.345");
    assert!(
        start < later && later < "7.13.1".parse().unwrap() && later > "7.12.99".parse().unwrap()
    );
    for wrong in ["1", "1.", ".1", "1.2.", ".1.2", "a.b.c", "1.2.3.4", " 1.2.3"] {
        assert!(wrong.parse::<Position>().is_err(), "{wrong}");
    }
}
