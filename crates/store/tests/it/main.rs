//! What a service relies on of its database, on both engines.
#![expect(clippy::unwrap_used, reason = "a helper that fails has to end the test")]

mod consumed;
mod database;
mod outbox;
mod requests;
mod restore;
mod transient;

use dunghan_store::{Database, Sql};
use dunghan_testkit::{Engine, Place};
use sea_orm::{ConnectionTrait as _, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

/// The tables of the crate, and one with a number in it.
#[derive(Debug)]
pub(crate) struct Migrations;

impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let sql = "CREATE TABLE counter (id text NOT NULL PRIMARY KEY, n bigint NOT NULL); \
                   INSERT INTO counter (id, n) VALUES ('one', 0);";
        Sql::with_base([Sql::new("m20261122_000001_counter", sql)])
    }
}

/// A new database, migrated.
pub(crate) async fn open(engine: Engine) -> (Database, Place) {
    let place = Place::new(engine).await;
    let database = Database::open(&place.location, "testing").await.unwrap();
    database.migrate::<Migrations>().await.unwrap();
    (database, place)
}

/// The first column of the first row of a query outside of any transaction.
pub(crate) async fn number(database: &Database, sql: &str) -> i64 {
    let statement = Statement::from_string(database.engine(), sql);
    let row = database.reader().query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}
