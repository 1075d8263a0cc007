//! How far the events of another service are applied.

use dunghan_store::{Database, consumed, consumed_through};
use dunghan_testkit::ENGINES;
use sea_orm::{ConnectionTrait as _, DbErr};
use tokio::task::JoinSet;

use crate::{number, open};

#[derive(Debug)]
struct Overtaken;

impl From<DbErr> for Overtaken {
    fn from(error: DbErr) -> Self {
        unreachable!("{error}")
    }
}

/// Applies what came between two positions: an increment.
async fn apply(database: &Database, from: &str, to: &str) -> Result<(), Overtaken> {
    database
        .write(async |write| {
            if !consumed_through(write, "registry", from, to).await? {
                return Err(Overtaken);
            }
            write.execute_unprepared("UPDATE counter SET n = n + 1").await?;
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_position_moves_on_only_from_where_it_is() {
    for engine in ENGINES {
        let (database, _place) = open(engine).await;
        assert_eq!(consumed(database.reader(), "registry").await.unwrap(), "");
        apply(&database, "", "0.2").await.unwrap();
        assert!(apply(&database, "", "0.2").await.is_err(), "{engine:?}");
        assert!(apply(&database, "0.1", "0.3").await.is_err(), "{engine:?}");
        apply(&database, "0.2", "0.3").await.unwrap();
        assert_eq!(consumed(database.reader(), "registry").await.unwrap(), "0.3");
        assert_eq!(consumed(database.reader(), "submission").await.unwrap(), "");
        assert_eq!(number(&database, "SELECT n FROM counter").await, 2, "{engine:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_consumers_at_one_position_one_wins_and_the_effect_is_once() {
    for engine in ENGINES {
        let (database, place) = open(engine).await;
        // Two processes of one service, where the engine has such.
        let other = match engine {
            dunghan_testkit::Engine::Sqlite => database.clone(),
            dunghan_testkit::Engine::Postgres => {
                Database::open(&place.location, "testing").await.unwrap()
            }
        };
        for (from, to) in [("", "0.1"), ("0.1", "0.2"), ("0.2", "0.3")] {
            let mut consumers = JoinSet::new();
            for n in 0..8 {
                let database = if n % 2 == 0 { database.clone() } else { other.clone() };
                consumers.spawn(async move { apply(&database, from, to).await.is_ok() });
            }
            let won = consumers.join_all().await.into_iter().filter(|won| *won).count();
            assert_eq!(won, 1, "{engine:?} {from}");
        }
        assert_eq!(number(&database, "SELECT n FROM counter").await, 3, "{engine:?}");
        assert_eq!(consumed(database.reader(), "registry").await.unwrap(), "0.3");
    }
}
