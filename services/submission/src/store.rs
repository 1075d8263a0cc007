//! Reports in a table. The only module that knows SQL exists.

mod act_row;
mod report_row;

use chrono::{DateTime, Utc};
use dunghan_calendar::Period;
use dunghan_hierarchy::UnitId;
use dunghan_proto::events::event::Payload;
use dunghan_store::{Answered, Database, RequestKey, Sql, Write};
use sea_orm::{DbErr, EntityTrait as _, SqlErr};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use crate::domain::report::{
    Act, AlreadySubmitted, NotHandedOver, Received, Report, ReportName, Stage,
};
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
            Sql::new(
                "m20261122_000005_report_acts",
                include_str!("store/migrations/m20261122_000005_report_acts.sql"),
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
    /// It was taken back or sent back after it was read.
    #[error(transparent)]
    NotHandedOver(#[from] NotHandedOver),
    /// A row does not read: another program wrote it.
    #[error("a table holds a row that does not read")]
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

    /// Writes a report over the draft, or the one that was sent back, that it was made from, and only over that: nothing is
    /// written over what is handed over. `event` is told in the same transaction.
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
                let over = [Stage::Draft, Stage::Returned];
                if !row::overwrite(write, report.name, row, report.version - 1, over).await? {
                    let there = row::fetch(&**write, report.name).await?;
                    return Err(match there.map(|there| there.must_be_editable()) {
                        None => Error::NotFound(report.name),
                        Some(Ok(())) => Error::Stale(report.name),
                        Some(Err(already)) => already.into(),
                    });
                }
                tell(write, report, event, reply).await
            })
            .await
    }

    /// Writes that a report was taken back or sent back, over what it was before. What it says stays as it is. `act` is kept,
    /// and so is the one by which it had been handed over.
    ///
    /// Errors: `NotHandedOver`, `Stale`, `NotFound`.
    pub async fn report_take_back<M: prost::Message>(
        &self,
        before: &Report,
        report: &Report,
        act: Act,
        event: Option<Payload>,
        reply: Option<Reply<'_, M>>,
    ) -> Result<(), Error> {
        let row = row::standing(report)?;
        let acts: Vec<_> = before.hand_over().into_iter().chain([act]).collect();
        self.database
            .write(async |write| {
                let over = [Stage::Submitted, Stage::Returned];
                if !row::overwrite(write, report.name, row, before.version, over).await? {
                    let there = row::fetch(&**write, report.name).await?;
                    return Err(match there.map(|there| there.stage()) {
                        None => Error::NotFound(report.name),
                        Some(Stage::Draft) => NotHandedOver { name: report.name }.into(),
                        Some(Stage::Submitted | Stage::Returned) => Error::Stale(report.name),
                    });
                }
                act_row::insert(write, report.name.report, &acts).await?;
                tell(write, report, event, reply).await
            })
            .await
    }

    /// Up to `limit` acts on a report, as of when it was read, whose versions come after one; the first first. What was handed
    /// over has its content `with_reports` alone.
    pub async fn report_acts(
        &self,
        report: &Report,
        after: Option<i64>,
        with_reports: bool,
        limit: usize,
    ) -> Result<Vec<Act>, Error> {
        let stands = report.hand_over();
        // What stands may be among the others by now, and more may have been done since.
        let until = report.version + i64::from(stands.is_none());
        let from = after.map_or(0, |after| after + 1);
        let reader = self.database.reader();
        let mut acts = act_row::list(reader, report, from..until, with_reports, limit).await?;
        acts.extend(stands.filter(|act| acts.len() < limit && from <= act.version));
        Ok(acts)
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
        let reader = self.database.reader();
        let mut received = row::received(reader, regime, period, units).await?;
        let back = received.iter().filter(|one| one.back.is_some()).map(|one| one.report.report);
        let back: Vec<_> = back.collect();
        if !back.is_empty() {
            let declared = act_row::declared_cut_offs(reader, back).await?;
            for one in received.iter_mut().filter(|one| one.back.is_some()) {
                one.declared_cut_off = declared.get(&one.report.report).copied().flatten();
            }
        }
        Ok(received)
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

async fn tell<M: prost::Message>(
    write: &Write<'_>,
    report: &Report,
    event: Option<Payload>,
    reply: Option<Reply<'_, M>>,
) -> Result<(), Error> {
    if let Some(event) = event {
        dunghan_events::append(write, report.update_time, event).await?;
    }
    Ok(answer(write, reply, report.update_time).await?)
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
