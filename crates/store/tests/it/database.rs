//! Opening, migrating and writing.

use std::collections::HashSet;

use dunghan_store::{Database, Error, Location, NewEvent, rows_per_insert};
use dunghan_testkit::{ENGINES, Engine, Place};
use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, Statement};
use tokio::task::JoinSet;

use crate::{Migrations, number, open};

const COUNT: &str = "SELECT n FROM counter WHERE id = 'one'";

#[tokio::test]
async fn a_write_is_there_as_a_whole_or_not_at_all() {
    for engine in ENGINES {
        let (database, _place) = open(engine).await;
        let changes = database.outbox_changes();
        let event =
            || NewEvent { at: chrono::DateTime::UNIX_EPOCH, trace_parent: None, payload: vec![1] };
        let failed: Result<(), DbErr> = database
            .write(async |write| {
                write.execute_unprepared("UPDATE counter SET n = 1").await?;
                write.execute_unprepared("INSERT INTO counter (id, n) VALUES ('two', 2)").await?;
                write.append(event()).await?;
                Err(DbErr::Custom("changed its mind".to_owned()))
            })
            .await;
        assert_eq!(failed, Err(DbErr::Custom("changed its mind".to_owned())));
        // A statement that the database refuses, too.
        let refused: Result<_, DbErr> = database
            .write(async |write| {
                write.execute_unprepared("UPDATE counter SET n = 1").await?;
                write.execute_unprepared("INSERT INTO counter (id, n) VALUES ('one', 2)").await
            })
            .await;
        assert!(refused.is_err());
        assert_eq!(
            number(&database, "SELECT CAST(SUM(n) AS bigint) * 10 + COUNT(*) FROM counter").await,
            1
        );
        assert!(database.events_after(Default::default(), 10).await.unwrap().is_empty());
        assert!(!changes.has_changed().unwrap(), "{engine:?}: nobody is woken for nothing");

        let answer: Result<_, DbErr> = database
            .write(async |write| {
                write.execute_unprepared("UPDATE counter SET n = 7").await?;
                write.append(event()).await?;
                Ok("done")
            })
            .await;
        assert_eq!(answer, Ok("done"));
        assert_eq!(number(&database, COUNT).await, 7, "{engine:?}");
        assert_eq!(database.events_after(Default::default(), 10).await.unwrap().len(), 1);
        assert!(changes.has_changed().unwrap(), "{engine:?}");
    }
}

#[tokio::test]
async fn a_disk_that_was_full_is_written_to_again_when_it_has_room() {
    let (database, _place) = open(Engine::Sqlite).await;
    let limit = async |pages: u32| {
        let pragma = format!("PRAGMA max_page_count = {pages}");
        database.write(async |write| write.execute_unprepared(&pragma).await).await
    };
    limit(1).await.unwrap();
    let full: Result<_, DbErr> = database
        .write(async |write| {
            write.execute_unprepared("UPDATE counter SET n = 1").await?;
            let large = "INSERT INTO counter (id, n) VALUES (hex(zeroblob(1000000)), 2)";
            write.execute_unprepared(large).await
        })
        .await;
    assert!(full.unwrap_err().to_string().contains("full"));
    // SQLite has given the whole transaction up by itself.
    assert_eq!(number(&database, COUNT).await, 0);
    limit(1_000_000).await.unwrap();
    // Nothing of it has stayed behind in the connection: what fails from now on ends, and what succeeds is committed.
    let failed: Result<(), DbErr> =
        database.write(async |_| Err(DbErr::Custom("changed its mind".to_owned()))).await;
    failed.unwrap_err();
    let written: Result<_, DbErr> = database
        .write(async |write| write.execute_unprepared("UPDATE counter SET n = 7").await)
        .await;
    written.unwrap();
    assert_eq!(number(&database, COUNT).await, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_many_read_and_then_write_is_not_lost() {
    for engine in ENGINES {
        let (database, _place) = open(engine).await;
        // On SQLite the transaction itself keeps others out; on PostgreSQL what is read has to be locked.
        let read = match database.engine() {
            DbBackend::Postgres => format!("{COUNT} FOR UPDATE"),
            _ => COUNT.to_owned(),
        };
        let mut tasks = JoinSet::new();
        for _ in 0..16 {
            let (database, read) = (database.clone(), read.clone());
            tasks.spawn(async move {
                for _ in 0..20 {
                    let written: Result<(), DbErr> = database
                        .write(async |write| {
                            let engine = write.get_database_backend();
                            let row =
                                write.query_one_raw(Statement::from_string(engine, &read)).await?;
                            let n: i64 = row.unwrap().try_get_by_index(0)?;
                            let sql = "UPDATE counter SET n = $1 WHERE id = 'one'";
                            let next = [(n + 1).into()];
                            let update = Statement::from_sql_and_values(engine, sql, next);
                            write.execute_raw(update).await?;
                            Ok(())
                        })
                        .await;
                    written.unwrap();
                }
            });
        }
        tasks.join_all().await;
        assert_eq!(number(&database, COUNT).await, 320, "{engine:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_on_while_a_write_is_running_and_see_what_is_committed() {
    for engine in ENGINES {
        let (database, _place) = open(engine).await;
        let written: Result<(), DbErr> = database
            .write(async |write| {
                write.execute_unprepared("UPDATE counter SET n = 1").await?;
                assert_eq!(number(&database, COUNT).await, 0, "{engine:?}");
                Ok(())
            })
            .await;
        written.unwrap();
        assert_eq!(number(&database, COUNT).await, 1, "{engine:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_migrate_at_the_same_time_all_succeed() {
    let place = Place::new(Engine::Postgres).await;
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let location = place.location.clone();
        tasks.spawn(async move {
            let database = Database::open(&location, "testing").await?;
            database.migrate::<Migrations>().await?;
            database.check_migrated::<Migrations>().await?;
            Ok::<_, Error>(database)
        });
    }
    let databases = tasks.join_all().await;
    for database in databases {
        assert_eq!(number(&database.unwrap(), "SELECT COUNT(*) FROM counter").await, 1);
    }
}

#[tokio::test]
async fn tables_that_are_not_up_to_date_are_refused_until_they_are() {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        let database = Database::open(&place.location, "testing").await.unwrap();
        let refused = database.check_migrated::<Migrations>().await;
        assert!(matches!(refused, Err(Error::NotMigrated(service)) if service == "testing"));
        database.migrate::<Migrations>().await.unwrap();
        database.check_migrated::<Migrations>().await.unwrap();
        // Again, and on data that is there: nothing happens.
        let written: Result<_, DbErr> = database
            .write(async |write| write.execute_unprepared("UPDATE counter SET n = 5").await)
            .await;
        written.unwrap();
        let again = Database::open(&place.location, "testing").await.unwrap();
        again.migrate::<Migrations>().await.unwrap();
        assert_eq!(number(&again, COUNT).await, 5, "{engine:?}");
    }
}

#[tokio::test]
async fn services_share_a_location_and_no_table() {
    for engine in ENGINES {
        let (first, place) = open(engine).await;
        let second = Database::open(&place.location, "other").await.unwrap();
        second.migrate::<Migrations>().await.unwrap();
        let written: Result<_, DbErr> = first
            .write(async |write| write.execute_unprepared("UPDATE counter SET n = 5").await)
            .await;
        written.unwrap();
        assert_eq!(
            (number(&first, COUNT).await, number(&second, COUNT).await),
            (5, 0),
            "{engine:?}"
        );
    }
}

#[test]
fn a_location_reads_as_it_is_written_and_shows_no_password() {
    let read = |text: &str| text.parse::<Location>();
    assert_eq!(read("sqlite:data/x").unwrap(), Location::Sqlite("data/x".into()));
    assert_eq!(format!("{:?}", read("sqlite:data/x").unwrap()), "sqlite:data/x");
    for (url, shown) in [
        ("postgres://lan:hoa@sen@db.example/dunghan", "postgres://…@db.example/dunghan"),
        ("postgresql://db.example/dunghan?user=lan&password=hoasen", "postgres://…@…"),
        ("postgres://lan@db.example/dunghan?password=hoasen", "postgres://…@db.example/dunghan"),
        ("postgres://lan@db.example/dunghan?password=hoa@sen", "postgres://…@db.example/dunghan"),
    ] {
        let location = read(url).unwrap();
        assert_eq!(location, Location::Postgres(url.to_owned()));
        assert_eq!(format!("{location:?}"), shown);
    }
    for wrong in
        ["", "data", "mysql://lan:hoasen@db.example/dunghan", "postgres:lan:hoasen@db.example"]
    {
        let error = read(wrong).unwrap_err();
        assert!(matches!(error, Error::UnknownLocation(_)), "{wrong}");
        assert!(!format!("{error} {error:?}").contains("hoasen"), "{error}");
    }
}

#[test]
fn no_insert_binds_more_values_than_an_engine_takes() {
    let sizes: HashSet<_> = (1..=100)
        .map(|columns| {
            let rows = rows_per_insert(columns);
            assert!(rows > 0 && rows * columns <= 32_766, "{columns}");
            rows
        })
        .collect();
    assert!(sizes.iter().all(|rows| *rows <= 1000));
}

#[tokio::test]
async fn a_folder_may_have_any_name() {
    let folder = std::env::temp_dir().join(format!("dunghan store {}", uuid::Uuid::now_v7()));
    for name in ["báo cáo", "100%25 a?b", "#1"] {
        let location = Location::Sqlite(folder.join(name));
        let database = Database::open(&location, "testing").await.unwrap();
        database.migrate::<Migrations>().await.unwrap();
        assert!(folder.join(name).join("testing.db").exists(), "{name}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
