//! The same request_id gets the same answer.

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_store::{Answered, Database, RequestKey, Write};
use dunghan_testkit::ENGINES;
use sea_orm::{ConnectionTrait as _, DbErr, SqlErr};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{number, open};

fn now() -> DateTime<Utc> {
    "2026-11-22T03:00:00Z".parse().unwrap()
}

async fn known(database: &Database, key: &RequestKey) -> Answered<String> {
    database.answered(key).await.unwrap()
}

/// Does the work of a request, unless it was done, and gives its answer.
async fn work(
    database: &Database,
    key: &RequestKey,
    answer: &str,
    now: DateTime<Utc>,
) -> Result<Answered<String>, DbErr> {
    database
        .write(async |write| {
            let before = write.answered(key).await?;
            if before == Answered::No {
                write.answer(key, &answer.to_owned(), now).await?;
                write.execute_unprepared("UPDATE counter SET n = n + 1").await?;
            }
            Ok(before)
        })
        .await
}

fn key(principal: &str, method: &'static str, id: Uuid, content: &str) -> RequestKey {
    RequestKey::new(principal, method, id, &content.to_owned())
}

#[tokio::test]
async fn a_repeated_request_gets_its_answer_and_another_under_its_id_gets_none() {
    for engine in ENGINES {
        let (database, _place) = open(engine).await;
        let id = Uuid::new_v4();
        let first = key("lan", "Create", id, "a");
        assert_eq!(work(&database, &first, "one", now()).await.unwrap(), Answered::No);
        for _ in 0..2 {
            let again = work(&database, &first, "two", now()).await.unwrap();
            assert_eq!(again, Answered::Yes("one".to_owned()), "{engine:?}");
        }
        assert_eq!(known(&database, &key("lan", "Create", id, "b")).await, Answered::Reused);
        // Somebody else's, another method's, another id: never seen.
        for other in [
            key("hoa", "Create", id, "a"),
            key("lan", "Update", id, "a"),
            key("lan", "Create", Uuid::new_v4(), "a"),
        ] {
            assert_eq!(known(&database, &other).await, Answered::No, "{engine:?}");
        }
        assert_eq!(number(&database, "SELECT n FROM counter").await, 1);
    }
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day_at_least_and_is_forgotten_some_time() {
    for engine in ENGINES {
        let (database, _place) = open(engine).await;
        let first = key("lan", "Create", Uuid::new_v4(), "a");
        work(&database, &first, "one", now()).await.unwrap();
        let other = |content: &str| key("lan", "Create", Uuid::new_v4(), content);
        work(&database, &other("b"), "two", now() + TimeDelta::hours(24)).await.unwrap();
        assert_eq!(known(&database, &first).await, Answered::Yes("one".to_owned()), "{engine:?}");
        // The next answer after two days sweeps out what is older.
        work(&database, &other("c"), "three", now() + TimeDelta::hours(49)).await.unwrap();
        assert_eq!(known(&database, &first).await, Answered::No, "{engine:?}");
        assert_eq!(number(&database, "SELECT COUNT(*) FROM request_log").await, 2, "{engine:?}");
    }
}

#[tokio::test]
async fn answers_that_follow_each_other_at_once_forget_only_once_a_second() {
    for engine in ENGINES {
        let (database, _place) = open(engine).await;
        let work = async |seconds: i64| {
            let key = key("lan", "Create", Uuid::new_v4(), "a");
            work(&database, &key, "one", now() + TimeDelta::seconds(seconds)).await.unwrap();
        };
        work(0).await;
        let expire = async |write: &Write<'_>| {
            write.execute_unprepared("UPDATE request_log SET expire_us = 0").await
        };
        database.write(expire).await.unwrap();
        for (seconds, left) in [(0, 2), (1, 2)] {
            work(seconds).await;
            let rows = number(&database, "SELECT COUNT(*) FROM request_log").await;
            assert_eq!(rows, left, "{engine:?} after {seconds} s");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_same_request_at_the_same_time_one_does_the_work() {
    for engine in ENGINES {
        let (database, _place) = open(engine).await;
        let id = Uuid::new_v4();
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let database = database.clone();
            tasks.spawn(async move {
                let key = key("lan", "Create", id, "a");
                match work(&database, &key, "one", now()).await {
                    // Another was faster: asking again finds its answer.
                    Err(error) => {
                        let violation = error.sql_err();
                        assert!(matches!(violation, Some(SqlErr::UniqueConstraintViolation(_))));
                        work(&database, &key, "one", now()).await.unwrap()
                    }
                    Ok(known) => known,
                }
            });
        }
        let answers = tasks.join_all().await;
        let first = answers.iter().filter(|answer| **answer == Answered::No).count();
        assert_eq!(first, 1, "{engine:?}");
        assert_eq!(number(&database, "SELECT n FROM counter").await, 1, "{engine:?}");
    }
}
