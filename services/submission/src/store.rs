//! Reports in a table. The only module that knows SQL exists.

mod act_row;
mod arrival_row;
mod attachment;
mod attachment_row;
mod earlier;
mod form_row;
mod intake_row;
mod report_row;

use chrono::{DateTime, Utc};
use dunghan_calendar::Period;
use dunghan_hierarchy::UnitId;
use dunghan_proto::events::event::Payload;
use dunghan_store::{Answered, Database, RequestKey, Sql, Write};
use sea_orm::{Condition, DbErr, EntityTrait as _, SqlErr};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use crate::domain::arrival::ArrivalName;
use crate::domain::attachment::{AttachmentName, NotAttached};
use crate::domain::report::{
    Act, AlreadySubmitted, Deed, NotHandedOver, Received, Report, ReportName, Stage,
};
use arrival_row::Written;
use report_row as row;

pub use arrival_row::{ArrivalKey, Noted, NotedArrival};
pub use form_row::KeptForm;
pub use intake_row::{JudgedRows, Planned};
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
            Sql::new(
                "m20261123_000006_review",
                include_str!("store/migrations/m20261123_000006_review.sql"),
            ),
            Sql::new(
                "m20261123_000007_form",
                include_str!("store/migrations/m20261123_000007_form.sql"),
            ),
            Sql::new(
                "m20261123_000008_attachment",
                include_str!("store/migrations/m20261123_000008_attachment.sql"),
            ),
            Sql::new(
                "m20261123_000009_intake",
                include_str!("store/migrations/m20261123_000009_intake.sql"),
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
    /// It is handed over.
    #[error(transparent)]
    AlreadySubmitted(#[from] AlreadySubmitted),
    /// It is not.
    #[error(transparent)]
    NotHandedOver(#[from] NotHandedOver),
    /// Meanwhile something came that it rests on: an arrival of its document, or another report with that. What is made from
    /// what is there by now is kept.
    #[error("what this rests on has changed")]
    Overtaken,
    /// No more files come onto it.
    #[error(transparent)]
    NotAttached(#[from] NotAttached),
    /// It has no such file.
    #[error("{0} does not exist")]
    NoAttachment(AttachmentName),
    /// Nothing of that name arrived.
    #[error("{0} does not exist")]
    NoArrival(ArrivalName),
    /// A receive time rests on what arrived.
    #[error("{0} is when {1} was received")]
    ArrivalFixed(ArrivalName, ReportName),
    /// There is a form of that name.
    #[error("there is a form {0}")]
    FormExists(String),
    /// The same request was answered meanwhile.
    #[error("the same request was answered meanwhile")]
    Answered,
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
        Ok(self.database.answered(key).await?)
    }

    /// Adds a report. The unique key decides between two that come at once. `event` is told in the same transaction.
    ///
    /// Errors: `Exists`, naming the one that is there; `Overtaken` where it is matched with another arrival than it says.
    pub async fn report_insert<M: prost::Message>(
        &self,
        report: &Report,
        event: Option<Payload>,
        reply: Option<Reply<'_, M>>,
    ) -> Result<(), Error> {
        let row = row::active(report)?;
        let written = self
            .database
            .write(async |write| {
                let written = [Written { report, before: None }];
                let documents = Written::documents(&written);
                arrival_row::take_turns(write, documents.turns()).await?;
                row::Entity::insert(row).exec_without_returning(&**write).await?;
                arrival_row::settle(write, &documents, &written).await?;
                tell(write, report, event, reply).await
            })
            .await;
        match written {
            Err(Error::Database(error))
                if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) =>
            {
                let unit = report.name.unit;
                let (regime, period) = (&report.asked.regime, report.asked.period);
                let there = self.report_named(unit, regime, period).await?;
                Err(there.map_or_else(|| error.into(), Error::Exists))
            }
            written => written,
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
    /// Errors: `NotFound`; `Stale` where it has changed since; `AlreadySubmitted` where it was handed over all along;
    /// `Overtaken` where it is matched with another arrival than it says.
    pub async fn report_update<M: prost::Message>(
        &self,
        report: &Report,
        event: Option<Payload>,
        reply: Option<Reply<'_, M>>,
    ) -> Result<(), Error> {
        let row = row::active(report)?;
        self.database
            .write(async |write| {
                let (name, from) = (report.name, report.version - 1);
                let over = [Stage::Draft, Stage::Returned];
                let as_matched = row::matched_as(report);
                if !row::overwrite(write, name, row.clone(), from, &over, as_matched).await? {
                    let there = row::fetch(&**write, name).await?;
                    let there = there.ok_or(Error::NotFound(name))?;
                    match there.must_be_editable() {
                        _ if there.version != from => return Err(Error::Stale(name)),
                        Err(already) => return Err(already.into()),
                        Ok(()) => update_otherwise(write, &there, report, row).await?,
                    }
                }
                tell(write, report, event, reply).await
            })
            .await
    }

    /// Writes that a report was taken back, sent back or accepted, over what it was before. What it says stays as it is. `act`
    /// is kept, and so is the one by which it had been handed over.
    ///
    /// Errors: `NotFound`; `Stale` where it has changed since; `NotHandedOver` where it was a draft all along; `Overtaken` where
    /// what was taken back is matched with another arrival than it says.
    pub async fn report_act<M: prost::Message>(
        &self,
        before: &Report,
        report: &Report,
        act: Act,
        event: Option<Payload>,
        reply: Option<Reply<'_, M>>,
    ) -> Result<(), Error> {
        let row = row::standing(report)?;
        let acts: Vec<_> = before.hand_over().into_iter().chain([act]).collect();
        // What was taken back was never received: nothing rests on an arrival any more.
        let taken_back = [Written { report, before: Some(report) }];
        let written = if report.stage() == Stage::Draft { &taken_back[..] } else { &[] };
        let documents = Written::documents(written);
        self.database
            .write(async |write| {
                arrival_row::take_turns(write, documents.turns()).await?;
                let (name, from) = (report.name, before.version);
                let over = [Stage::Submitted, Stage::Accepted, Stage::Returned];
                if !row::overwrite(write, name, row, from, &over, Condition::all()).await? {
                    let there = row::fetch(&**write, name).await?;
                    let there = there.ok_or(Error::NotFound(name))?;
                    return Err(match there.stage() {
                        Stage::Draft if there.version == from => NotHandedOver { name }.into(),
                        _ => Error::Stale(name),
                    });
                }
                arrival_row::settle(write, &documents, written).await?;
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

    /// Who handed over a report before what stands, as of when it was read.
    pub async fn report_submitters(&self, report: &Report) -> Result<Vec<String>, Error> {
        Ok(act_row::submitters(self.database.reader(), report).await?)
    }

    /// A report, as of when it was read, as its revision of that number was handed over.
    pub async fn report_revision(
        &self,
        report: &Report,
        revision: i32,
    ) -> Result<Option<Report>, Error> {
        if let Some(Deed::HandedOver { report, .. }) = report.hand_over().map(|act| act.deed)
            && report.revision == revision
        {
            return Ok(Some(*report));
        }
        act_row::revision(self.database.reader(), report, revision).await
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

/// Writes a report over what it was, where it has another document or is matched with another arrival.
async fn update_otherwise(
    write: &Write<'_>,
    before: &Report,
    report: &Report,
    row: row::ActiveModel,
) -> Result<(), Error> {
    if before.document_keys() == report.document_keys() {
        return Err(Error::Overtaken);
    }
    let written = [Written { report, before: Some(before) }];
    let documents = Written::documents(&written);
    arrival_row::take_turns(write, documents.turns()).await?;
    let (name, over) = (report.name, [Stage::Draft, Stage::Returned]);
    if !row::overwrite(write, name, row, before.version, &over, Condition::all()).await? {
        return Err(Error::Stale(name));
    }
    arrival_row::settle(write, &documents, &written).await
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
    answer(write, reply, report.update_time).await
}

async fn answer<M: prost::Message>(
    write: &Write<'_>,
    reply: Option<Reply<'_, M>>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let Some(Reply { key, response }) = reply else { return Ok(()) };
    write.answer(key, response, now).await.map_err(|error| match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => Error::Answered,
        _ => error.into(),
    })
}
