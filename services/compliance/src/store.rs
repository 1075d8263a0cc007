//! Regimes, obligations, dossiers and notices in tables. The only module that knows SQL exists.

mod calendar_row;
mod decision_row;
mod dossier_move_row;
mod dossier_row;
mod due_change_row;
mod notice_row;
mod obligation_row;
mod opening_row;
mod regime_row;
mod request_row;
mod sweep_row;

pub use calendar_row::Amending;
pub use decision_row::{DecisionFilter, DecisionKey, Regimes};
pub use dossier_row::{DossierChange, DossierKey};
pub use due_change_row::DueChangeKey;
pub use notice_row::{NoticeKey, Told};
pub use obligation_row::{
    AffectedFilter, AffectedKey, DueGroup, DueKey, Moment, ObligationFilter, ObligationKey,
    RateFilter, Within,
};
pub use opening_row::{Learnt, Opening};
pub use request_row::{RequestFilter, RequestsKey};

use chrono::{DateTime, Utc};
use dunghan_store::{Answered, Database, RequestKey, Sql, Write};
use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use crate::domain::calendar::{CalendarId, Refused};
use crate::domain::decision::Refusal;
use crate::domain::obligation::ObligationName;
use crate::domain::regime::{Conflict, RegimeId};

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
        let deadlines: Box<dyn MigrationTrait> = Box::new(Sql {
            name: "m20261122_000005_deadlines",
            both: include_str!("store/migrations/m20261122_000005_deadlines.sql"),
            sqlite: include_str!("store/migrations/m20261122_000005_deadlines.sqlite.sql"),
            postgres: include_str!("store/migrations/m20261122_000005_deadlines.postgres.sql"),
        });
        let dossiers = Sql::new(
            "m20261123_000006_dossier_moves",
            include_str!("store/migrations/m20261123_000006_dossier_moves.sql"),
        );
        Sql::with_base([own, by_unit, deadlines, dossiers])
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
    /// It cannot stand beside those that are in force.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The calendar was amended since the caller read it.
    #[error("{0} was amended since that etag was read")]
    StaleCalendar(CalendarId),
    /// A calendar cannot be amended so.
    #[error(transparent)]
    CalendarRefused(Refused),
    /// Nobody owes that.
    #[error("{0} is not owed")]
    UnknownObligation(ObligationName),
    /// A decision or a request cannot be.
    #[error(transparent)]
    Refused(#[from] Refusal),
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
    /// What had to be found out for it was not.
    #[error("the work was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
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

    /// What was answered to a request.
    pub async fn request_answered<M: prost::Message + Default>(
        &self,
        key: &RequestKey,
    ) -> Result<Option<M>, Error> {
        self.database.write(async |write| answered(write, Some(key)).await).await
    }
}

/// What was answered to a request; none: nothing yet, or it has no id.
async fn answered<M: prost::Message + Default>(
    write: &Write<'_>,
    key: Option<&RequestKey>,
) -> Result<Option<M>, Error> {
    let Some(key) = key else { return Ok(None) };
    match write.answered(key).await? {
        Answered::No => Ok(None),
        Answered::Yes(before) => Ok(Some(before)),
        Answered::Reused => Err(Error::RequestIdReused),
    }
}

/// Waits until no other transaction that took the same turn is running.
///
/// On SQLite there is one writer anyway. On PostgreSQL, two transactions that write many rows would each lock them in
/// an order of its own, and one of two that wait for each other is ended.
async fn take_turns(write: &Write<'_>, turn: &str) -> Result<(), DbErr> {
    wait(write, "pg_advisory_xact_lock", turn).await
}

/// Waits until no transaction that took the turn is running; any number may share it.
async fn share_turn(write: &Write<'_>, turn: &str) -> Result<(), DbErr> {
    wait(write, "pg_advisory_xact_lock_shared", turn).await
}

async fn wait(write: &Write<'_>, lock: &str, turn: &str) -> Result<(), DbErr> {
    if write.get_database_backend() == DbBackend::Postgres {
        let sql = format!("SELECT {lock}(hashtextextended($1, 0))");
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
