//! Regimes, obligations, dossiers and notices in tables. The only module that knows SQL exists.

mod dossier_row;
mod notice_row;
mod obligation_row;
mod regime_row;

pub use dossier_row::{DossierChange, DossierKey};
pub use notice_row::{Claim, NoticeKey};
pub use obligation_row::{
    AffectedFilter, AffectedKey, DueGroup, NewObligation, ObligationFilter, ObligationKey, Within,
};

use chrono::{DateTime, Utc};
use dunghan_store::{Database, Sql, Write};
use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use crate::domain::obligation::ObligationName;
use crate::domain::regime::RegimeId;

/// The service's tables.
#[derive(Debug)]
pub struct Migrations;

impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let own: Box<dyn MigrationTrait> = Box::new(Sql {
            name: "m20261122_000001_compliance",
            both: include_str!("store/migrations/m20261122_000001_compliance.sql"),
            sqlite: "",
            postgres: include_str!("store/migrations/m20261122_000001_compliance.postgres.sql"),
        });
        let by_unit = Sql::new(
            "m20261122_000004_obligation_unit",
            include_str!("store/migrations/m20261122_000004_obligation_unit.sql"),
        );
        Sql::with_base([own, by_unit])
    }
}

/// What the service keeps.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
}

/// Why something could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such regime.
    #[error("{0} is not in force")]
    UnknownRegime(RegimeId),
    /// A regime of that name is there.
    #[error("{0} is in force already; a regime is amended by adding another")]
    RegimeExists(RegimeId),
    /// Nobody owes that.
    #[error("{0} is not owed")]
    UnknownObligation(ObligationName),
    /// Excused before.
    #[error("{0} is waived already")]
    AlreadyWaived(ObligationName),
    /// The report is there.
    #[error("the report for {0} was received already")]
    AlreadySubmitted(ObligationName),
    /// A row does not read: another program wrote it.
    #[error("the table {table} holds a row that does not read: {what}")]
    Unreadable {
        /// Which.
        table: &'static str,
        /// What.
        what: String,
    },
    /// The request id came before with another request.
    #[error("the request_id came before with another request")]
    RequestIdReused,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl Store {
    /// Over a migrated database.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// The database, for the outbox and the position in the events of others.
    pub fn database(&self) -> &Database {
        &self.database
    }
}

/// Waits until no other transaction that took the same turn is running.
///
/// On SQLite there is one writer anyway. On PostgreSQL, two transactions that write many rows would each lock them in
/// an order of its own, and one of two that wait for each other is ended.
async fn take_turns(write: &Write<'_>, turn: &str) -> Result<(), DbErr> {
    if write.get_database_backend() == DbBackend::Postgres {
        let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        let turn = format!("dunghan/compliance/{turn}");
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [turn.into()]);
        write.execute_raw(statement).await?;
    }
    Ok(())
}

/// As the tables keep instants.
fn us(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros()
}

fn from_us(table: &'static str, us: i64) -> Result<DateTime<Utc>, Error> {
    let what = || Error::Unreadable { table, what: format!("time {us}") };
    DateTime::from_timestamp_micros(us).ok_or_else(what)
}

fn unreadable<E: std::fmt::Display>(table: &'static str) -> impl FnOnce(E) -> Error {
    move |e| Error::Unreadable { table, what: e.to_string() }
}
