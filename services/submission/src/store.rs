//! Reports in a table. The only module that knows SQL exists.

mod report_row;

use chrono::{DateTime, Utc};
use dunghan_calendar::Period;
use dunghan_hierarchy::UnitId;
use dunghan_proto::events::event::Payload;
use dunghan_store::{Answered, Database, RequestKey, Sql, Write};
use sea_orm::{DbErr, EntityTrait as _, SqlErr};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use crate::domain::report::{AlreadySubmitted, Received, Report, ReportName};
use report_row as row;

pub use report_row::{ReportFilter, ReportKey, Visible};

/// The service's tables.
#[derive(Debug)]
pub struct Migrations;

impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Sql::with_base([
            Sql::new(
                "m20261122_000001_report",
                include_str!("store/migrations/m20261122_000001_report.sql"),
            ),
            Sql::new(
                "m20261122_000004_submitting_unit",
                include_str!("store/migrations/m20261122_000004_submitting_unit.sql"),
            ),
        ])
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
    /// No such report.
    #[error("{0} does not exist")]
    NotFound(ReportName),
    /// The unit has one for that regime and period.
    #[error("the unit has a report for that regime and period: {0}")]
    Exists(ReportName),
    /// It changed after it was read.
    #[error("{0} changed since it was read")]
    Stale(ReportName),
    /// It was handed over after it was read.
    #[error(transparent)]
    AlreadySubmitted(#[from] AlreadySubmitted),
    /// A row does not read: another program wrote it.
    #[error("the table report holds a row that does not read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// What is to be answered if the same request comes again.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a, M> {
    /// Which request.
    pub key: &'a RequestKey,
    /// The answer.
    pub response: &'a M,
}

impl Store {
    /// Over a migrated database.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// The database, for the outbox.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// What was answered to a request.
    pub async fn request_answered<M: prost::Message + Default>(
        &self,
        key: &RequestKey,
    ) -> Result<Answered<M>, Error> {
        Ok(self.database.write(async |write| write.answered(key).await).await?)
    }

    /// Adds a draft. The unique key decides between two that come at once.
    ///
    /// Errors: `Exists`, naming the one that is there.
    pub async fn report_insert<M: prost::Message>(
        &self,
        report: &Report,
        reply: Option<Reply<'_, M>>,
    ) -> Result<(), Error> {
        let row = row::active(report)?;
        let written = self
            .database
            .write(async |write| {
                row::Entity::insert(row).exec_without_returning(&**write).await?;
                answer(write, reply, report.update_time).await
            })
            .await;
        match written {
            Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
                let unit = report.name.unit;
                let (regime, period) = (&report.asked.regime, report.asked.period);
                match self.report_named(unit, regime, period).await? {
                    Some(name) => Err(Error::Exists(name)),
                    // Not this table's key: the request is being answered elsewhere.
                    None => Err(error.into()),
                }
            }
            written => Ok(written?),
        }
    }

    /// One report.
    ///
    /// Errors: `NotFound`.
    pub async fn report_fetch(&self, name: ReportName) -> Result<Report, Error> {
        row::fetch(self.database.reader(), name).await?.ok_or(Error::NotFound(name))
    }

    /// Several, those that there are.
    pub async fn report_fetch_many(&self, names: &[ReportName]) -> Result<Vec<Report>, Error> {
        row::fetch_many(self.database.reader(), names).await
    }

    /// Writes a draft, or the report that it became, over the draft it was made from, and only over that: nothing that
    /// was handed over is ever written again. `event` is told in the same transaction.
    ///
    /// Errors: `AlreadySubmitted`, `Stale`, `NotFound`.
    pub async fn report_update<M: prost::Message>(
        &self,
        report: &Report,
        event: Option<Payload>,
        reply: Option<Reply<'_, M>>,
    ) -> Result<(), Error> {
        let row = row::active(report)?;
        self.database
            .write(async |write| {
                if !row::overwrite(write, report.name, row, report.version - 1).await? {
                    let there = row::fetch(&**write, report.name).await?;
                    return Err(match there.map(|there| there.must_be_draft()) {
                        None => Error::NotFound(report.name),
                        Some(Ok(())) => Error::Stale(report.name),
                        Some(Err(already)) => already.into(),
                    });
                }
                if let Some(event) = event {
                    dunghan_events::append(write, report.update_time, event).await?;
                }
                Ok(answer(write, reply, report.update_time).await?)
            })
            .await
    }

    /// The report of a unit for a regime and period.
    pub async fn report_named(
        &self,
        unit: UnitId,
        regime: &str,
        period: Period,
    ) -> Result<Option<ReportName>, Error> {
        row::named(self.database.reader(), unit, regime, period).await
    }

    /// When the reports of these units for a regime and period were received, of those that were.
    pub async fn report_received(
        &self,
        regime: &str,
        period: Period,
        units: &[UnitId],
    ) -> Result<Vec<Received>, Error> {
        row::received(self.database.reader(), regime, period, units).await
    }

    /// Up to `limit` reports after a key, the last created first, without their narratives.
    pub async fn report_page(
        &self,
        filter: &ReportFilter,
        after: Option<ReportKey>,
        limit: usize,
    ) -> Result<Vec<Report>, Error> {
        row::page(self.database.reader(), filter, after, limit).await
    }
}

async fn answer<M: prost::Message>(
    write: &Write<'_>,
    reply: Option<Reply<'_, M>>,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    match reply {
        Some(Reply { key, response }) => write.answer(key, response, now).await,
        None => Ok(()),
    }
}
