//! Processes that leave the tables to somebody else.

use dunghan_store::Location;
use dunghan_testkit::{ENGINES, Engine, Place};
use sea_orm_migration::sea_orm::{ConnectionTrait as _, Database};

use crate::world::{config, serves, start, suite};

const CHECK: (&str, &str) = ("storage.migrations", "check");

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_checks_waits_until_somebody_has_brought_the_tables_up_to_date() {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        let mut started = start(suite(), &config(place.folder(), &place.location, &[CHECK])).await;
        assert_eq!(serves(&started, "registry").await, Some(false), "{engine:?}");
        suite().migrate(&place.location).await.unwrap();
        started.ready().await.unwrap();
        assert_eq!(serves(&started, "registry").await, Some(true), "{engine:?}");
        started.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_change_no_tables_serves_once_they_are_up_to_date() {
    let place = Place::new(Engine::Postgres).await;
    let Location::Postgres(url) = &place.location else { unreachable!("{place:?}") };
    suite().migrate(&place.location).await.unwrap();
    let role = format!("r{}", uuid::Uuid::now_v7().simple());
    let owner = Database::connect(url).await.unwrap();
    owner.execute_unprepared(&format!("CREATE ROLE {role} LOGIN PASSWORD 'x'")).await.unwrap();
    for schema in ["registry", "submission"] {
        let sql = format!(
            "GRANT USAGE ON SCHEMA {schema} TO {role}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"
        );
        owner.execute_unprepared(&sql).await.unwrap();
    }
    let (scheme, rest) = url.split_once("://").unwrap();
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let as_role = Location::Postgres(format!("{scheme}://{role}:x@{host}"));
    for keys in [[CHECK], [("storage.migrations", "apply")]] {
        let mut started = start(suite(), &config(place.folder(), &as_role, &keys)).await;
        started.ready().await.unwrap();
        started.stop().await.unwrap();
    }
    owner.execute_unprepared("DROP SCHEMA registry CASCADE").await.unwrap();
    let mut started = start(suite(), &config(place.folder(), &as_role, &[])).await;
    let said = format!("{:#}", started.ready().await.unwrap_err());
    assert!(said.contains("permission denied"), "{said}");
    started.stop().await.unwrap();
}
