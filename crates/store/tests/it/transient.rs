//! Failures of real databases, and which of them pass.

use std::net::TcpListener;

use dunghan_store::{Database, Error, Location, Write, is_transient};
use dunghan_testkit::{ENGINES, Engine, Place};
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{Connection as _, Executor as _, SqliteConnection};
use sea_orm::{ConnectionTrait as _, DbErr};

use crate::open;

const COUNT: &str = "UPDATE counter SET n = n + 1";

async fn count(database: &Database) -> Result<(), DbErr> {
    database.write(async |write| write.execute_unprepared(COUNT).await.map(drop)).await
}

/// The process of the server that a transaction runs on.
async fn backend(write: &Write<'_>) -> Result<i32, DbErr> {
    let sql =
        sea_orm::Statement::from_string(write.get_database_backend(), "SELECT pg_backend_pid()");
    write.query_one_raw(sql).await?.unwrap().try_get_by_index(0)
}

async fn end(database: &Database, backend: i32) {
    let sql = format!("SELECT pg_terminate_backend({backend}, 10000)");
    database.reader().execute_unprepared(&sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_whose_connection_ends_fails_for_the_moment_wherever_it_is() {
    let (database, _place) = open(Engine::Postgres).await;
    let in_between: Result<(), DbErr> = database
        .write(async |write| {
            end(&database, backend(write).await?).await;
            write.execute_unprepared(COUNT).await.map(drop)
        })
        .await;
    let at_commit: Result<(), DbErr> = database
        .write(async |write| {
            write.execute_unprepared(COUNT).await?;
            end(&database, backend(write).await?).await;
            Ok(())
        })
        .await;
    for failed in [in_between, at_commit] {
        assert!(is_transient(&failed.unwrap_err()));
    }
    count(&database).await.unwrap();
    assert_eq!(crate::number(&database, "SELECT n FROM counter").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_died_is_replaced_and_nobody_notices() {
    let (database, place) = open(Engine::Postgres).await;
    let Location::Postgres(url) = &place.location else { unreachable!("{place:?}") };
    let other = sea_orm::Database::connect(url).await.unwrap();
    let all = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    other.execute_unprepared(all).await.unwrap();
    count(&database).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_a_server_that_was_demoted_is_replaced_and_nobody_notices() {
    let (database, _place) = open(Engine::Postgres).await;
    // More often than there are connections, which take turns: all would be spoiled, were none replaced.
    for _ in 0..20 {
        let demoted = "SET default_transaction_read_only = on";
        database.reader().execute_unprepared(demoted).await.unwrap();
    }
    count(&database).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_writes_any_more_fails_for_the_moment() {
    let (database, _place) = open(Engine::Postgres).await;
    let refused: Result<(), DbErr> = database
        .write(async |write| {
            write.execute_unprepared("SET TRANSACTION READ ONLY").await?;
            write.execute_unprepared(COUNT).await.map(drop)
        })
        .await;
    assert!(is_transient(&refused.unwrap_err()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_in_which_nothing_happens_has_a_limit_and_so_has_a_statement() {
    let (database, _place) = open(Engine::Postgres).await;
    for limit in ["statement_timeout", "idle_in_transaction_session_timeout"] {
        let sql =
            format!("SELECT extract(epoch FROM current_setting('{limit}')::interval)::bigint");
        assert_eq!(crate::number(&database, &sql).await, 60, "{limit}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_away_for_the_moment_and_a_database_that_is_not_is_a_mistake()
{
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let away = Location::Postgres(format!("postgres://lan@{address}/dunghan"));
    let error = Database::open(&away, "testing").await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(format!("{error:?}").contains("refused"), "{error:?}");

    let place = Place::new(Engine::Postgres).await;
    let Location::Postgres(url) = &place.location else { unreachable!("{place:?}") };
    let (server, _) = url.rsplit_once("/t").unwrap();
    let nowhere = Location::Postgres(format!("{server}/there_is_none"));
    let error = Database::open(&nowhere, "testing").await.unwrap_err();
    assert!(matches!(error, Error::Database(_)) && !error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn what_a_statement_does_wrong_stays_wrong() {
    for engine in ENGINES {
        let (database, _place) = open(engine).await;
        for wrong in ["INSERT INTO counter (id, n) VALUES ('one', 1)", "SELECT * FROM nowhere"] {
            let failed: Result<(), DbErr> =
                database.write(async |write| write.execute_unprepared(wrong).await.map(drop)).await;
            assert!(!is_transient(&failed.unwrap_err()), "{engine:?}: {wrong}");
        }
    }
}

#[tokio::test]
async fn a_file_that_another_writes_to_is_busy_for_the_moment() {
    let (_database, place) = open(Engine::Sqlite).await;
    let options = SqliteConnectOptions::new()
        .filename(place.folder().join("testing.db"))
        .busy_timeout(std::time::Duration::ZERO);
    let mut holder = SqliteConnection::connect_with(&options).await.unwrap();
    holder.execute("BEGIN IMMEDIATE").await.unwrap();
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    let busy = other.execute("BEGIN IMMEDIATE").await.unwrap_err();
    let busy = sea_orm::RuntimeErr::SqlxError(std::sync::Arc::new(busy));
    assert!(is_transient(&DbErr::Exec(busy)));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_later_release_will_do() {
    for engine in ENGINES {
        let (database, _place) = open(engine).await;
        let sql = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29991231_000000_later', 0)";
        let written: Result<(), DbErr> =
            database.write(async |write| write.execute_unprepared(sql).await.map(drop)).await;
        written.unwrap();
        database.check_migrated::<crate::Migrations>().await.unwrap();
        database.migrate::<crate::Migrations>().await.unwrap();
    }
}
