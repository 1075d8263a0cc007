//! After a restore, wherever to: no reader skips what is written from then on, and none gets anything twice.

use std::time::Duration;

use chrono::DateTime;
use dunghan_store::{Database, Error, Location, NewEvent, Position, back_up, take_into_use};
use dunghan_testkit::{ENGINES, Engine, Place};
use sea_orm::{ConnectionTrait as _, DbErr, Statement};
use sea_orm_migration::MigratorTrait as _;
use tokio::task::JoinSet;

use crate::outbox::Running;
use crate::{Migrations, number, open};

async fn append(database: &Database, payload: u8) {
    let event = NewEvent { at: DateTime::UNIX_EPOCH, trace_parent: None, payload: vec![payload] };
    let appended: Result<(), DbErr> = database.write(async |write| write.append(event).await).await;
    appended.unwrap();
}

async fn payloads_after(database: &Database, position: Position) -> Vec<u8> {
    let events = database.events_after(position, 100).await.unwrap();
    events.into_iter().map(|event| event.payload[0]).collect()
}

async fn last(database: &Database) -> Position {
    database.events_after(Position::default(), 100).await.unwrap().last().unwrap().position
}

async fn execute(database: &Database, sql: &str) {
    let done: Result<(), DbErr> =
        database.write(async |write| write.execute_unprepared(sql).await.map(drop)).await;
    done.unwrap();
}

/// The position after the cluster's counter has been moved, as a restore into another one does.
fn moved(position: Position, by: i64) -> Position {
    let text = position.to_string();
    let mut parts = text.split('.').map(|part| part.parse::<i64>().unwrap());
    let mut next = || parts.next().unwrap();
    let (era, xid, seq) = (next(), next(), next());
    format!("{era}.{}.{seq}", xid + by).parse().unwrap()
}

#[tokio::test]
async fn readers_go_on_in_another_cluster_whether_its_transactions_have_greater_or_smaller_numbers()
{
    for by in [1_000_000_000, -1_000_000_000] {
        let (database, _place) = open(Engine::Postgres).await;
        append(&database, 1).await;
        append(&database, 2).await;
        let first = database.events_after(Position::default(), 1).await.unwrap()[0].position;
        let (first, last) = (moved(first, by), moved(last(&database).await, by));
        execute(&database, &format!("UPDATE outbox SET xid = xid + {by}")).await;
        execute(&database, "UPDATE outbox_era SET home = '1/00000001'").await;

        let refused = database.check_migrated::<Migrations>().await;
        assert!(matches!(refused, Err(Error::NotMigrated(_))), "{refused:?}");
        database.migrate::<Migrations>().await.unwrap();
        database.check_migrated::<Migrations>().await.unwrap();
        assert_eq!(payloads_after(&database, first).await, [2], "{by}");
        assert_eq!(payloads_after(&database, last).await, [0; 0], "{by}");
        append(&database, 3).await;
        assert_eq!(payloads_after(&database, last).await, [3], "{by}");
        assert_eq!(payloads_after(&database, Position::default()).await, [1, 2, 3], "{by}");
    }
}

#[tokio::test]
async fn an_outbox_that_was_not_moved_keeps_its_era() {
    let (database, _place) = open(Engine::Postgres).await;
    let era = number(&database, "SELECT era FROM outbox_era").await;
    for _ in 0..2 {
        database.migrate::<Migrations>().await.unwrap();
    }
    assert_eq!(number(&database, "SELECT era FROM outbox_era").await, era);
}

#[tokio::test]
async fn after_a_restore_to_an_earlier_moment_readers_from_later_get_what_is_new() {
    let (database, _place) = open(Engine::Postgres).await;
    append(&database, 1).await;
    // A reader got as far as here, in a time that is no more.
    let ahead = moved(last(&database).await, 1000);
    execute(&database, "UPDATE outbox_era SET home = split_part(home, '/', 1) || '/00000009'")
        .await;
    // A standby that took over has another timeline as well: it serves without anybody migrating.
    database.check_migrated::<Migrations>().await.unwrap();
    database.migrate::<Migrations>().await.unwrap();
    append(&database, 2).await;
    assert_eq!(payloads_after(&database, ahead).await, [2]);
}

#[tokio::test]
async fn a_history_is_one_database_s_own_and_stays_while_that_is_not_restored() {
    for engine in ENGINES {
        let (database, place) = open(engine).await;
        let history = database.history().await.unwrap();
        append(&database, 1).await;
        let again = Database::open(&place.location, "testing").await.unwrap();
        again.migrate::<Migrations>().await.unwrap();
        assert_eq!(again.history().await.unwrap(), history, "in every process");
        let (other, _other) = open(engine).await;
        assert_ne!(other.history().await.unwrap(), history);
    }
}

#[tokio::test]
async fn a_database_whose_tables_were_put_back_has_another_history() {
    let (database, _place) = open(Engine::Postgres).await;
    let history = database.history().await.unwrap();
    // As a dump does that is restored over what it was made of.
    execute(
        &database,
        "ALTER TABLE outbox_era RENAME TO old; CREATE TABLE outbox_era AS SELECT * FROM old",
    )
    .await;
    assert_ne!(database.history().await.unwrap(), history);

    let (database, place) = open(Engine::Sqlite).await;
    let copied = Place::new(Engine::Sqlite).await;
    let (Location::Sqlite(from), Location::Sqlite(to)) = (&place.location, &copied.location) else {
        unreachable!()
    };
    let (from, to) = (from.join("testing.db"), to.join("testing.db"));
    back_up(&from, &to).await.unwrap();
    take_into_use(&to).await.unwrap();
    let copy = Database::open(&copied.location, "testing").await.unwrap();
    assert_ne!(copy.history().await.unwrap(), database.history().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_era_begins_when_whoever_is_appending_has_ended() {
    let (database, _place) = open(Engine::Postgres).await;
    let slow = Running::begin(&database, 1).await;
    execute(&database, "UPDATE outbox_era SET home = ''").await;
    let next_era = tokio::spawn({
        let database = database.clone();
        async move {
            database.migrate::<Migrations>().await.unwrap();
            append(&database, 2).await;
        }
    });
    tokio::pin!(next_era);
    // Had the era begun, the second event could be read and the first would come before it.
    let early = tokio::time::timeout(Duration::from_millis(200), &mut next_era).await;
    assert!(early.is_err(), "{early:?}");
    slow.commit().await;
    next_era.await.unwrap();
    let events = database.events_after(Position::default(), 100).await.unwrap();
    assert_eq!(events.iter().map(|event| event.payload[0]).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(number(&database, "SELECT COUNT(DISTINCT era) FROM outbox").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_follows_many_writers_through_many_eras_gets_each_event_once() {
    let (database, _place) = open(Engine::Postgres).await;
    let mut writers = JoinSet::new();
    for writer in 0..4_u8 {
        let database = database.clone();
        writers.spawn(async move {
            for n in 0..50 {
                append(&database, writer * 50 + n).await;
            }
        });
    }
    let eras = tokio::spawn({
        let database = database.clone();
        async move {
            for _ in 0..20 {
                execute(&database, "UPDATE outbox_era SET home = ''").await;
                database.migrate::<Migrations>().await.unwrap();
            }
        }
    });
    let (mut seen, mut position) = (Vec::new(), Position::default());
    let reading = async {
        while seen.len() < 200 {
            let events = database.events_after(position, 10).await.unwrap();
            position = events.last().map_or(position, |last| last.position);
            seen.extend(events.into_iter().map(|event| event.payload[0]));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reading).await.unwrap();
    writers.join_all().await;
    eras.await.unwrap();
    seen.sort_unstable();
    assert_eq!(seen, (0..200).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_copied_under_a_writer_and_its_copy_skips_nothing_for_a_reader_of_the_original() {
    let (database, place) = open(Engine::Sqlite).await;
    let Location::Sqlite(folder) = &place.location else { unreachable!() };
    append(&database, 0).await;
    let writing = tokio::spawn({
        let database = database.clone();
        async move {
            for payload in 1..=60 {
                append(&database, payload).await;
            }
        }
    });
    let restored = Place::new(Engine::Sqlite).await;
    let Location::Sqlite(to) = &restored.location else { unreachable!() };
    back_up(&folder.join("testing.db"), &to.join("testing.db")).await.unwrap();
    writing.await.unwrap();
    let ahead = last(&database).await;

    take_into_use(&to.join("testing.db")).await.unwrap();
    let copy = Database::open(&restored.location, "testing").await.unwrap();
    copy.migrate::<Migrations>().await.unwrap();
    let copied = payloads_after(&copy, Position::default()).await;
    let count = u8::try_from(copied.len()).unwrap();
    assert_eq!(copied, (0..count).collect::<Vec<_>>(), "as of one moment");
    append(&copy, 100).await;
    assert_eq!(payloads_after(&copy, ahead).await, [100]);
    let check = Statement::from_string(copy.engine(), "PRAGMA integrity_check");
    let row = copy.reader().query_one_raw(check).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<String>(0).unwrap(), "ok");
}

#[tokio::test]
async fn an_outbox_of_the_first_release_goes_on_after_the_positions_that_it_gave() {
    let place = Place::new(Engine::Postgres).await;
    let database = Database::open(&place.location, "testing").await.unwrap();
    execute(&database, "CREATE SCHEMA testing").await;
    Migrations::up(database.reader(), Some(1)).await.unwrap();
    execute(
        &database,
        "INSERT INTO outbox (event_id, event_us, payload) VALUES (gen_random_uuid(), 0, '\\x01')",
    )
    .await;
    let sql = "SELECT xid || '.' || seq FROM outbox";
    let row = database.reader().query_one_raw(Statement::from_string(database.engine(), sql));
    let given: String = row.await.unwrap().unwrap().try_get_by_index(0).unwrap();

    database.migrate::<Migrations>().await.unwrap();
    append(&database, 2).await;
    assert_eq!(payloads_after(&database, given.parse().unwrap()).await, [2]);
    assert_eq!(payloads_after(&database, Position::default()).await, [1, 2]);
}
