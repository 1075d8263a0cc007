//! The tables `report_import` and `report_import_row`, and how what was judged is applied.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use dunghan_calendar::Period;
use dunghan_hierarchy::UnitId;
use dunghan_proto::events::event::Payload;
use dunghan_store::{Write, rows_per_insert};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{Condition, IntoActiveModel as _, Iterable as _, QueryOrder as _, QuerySelect as _};

use super::arrival_row::{Written, settle, take_turns};
use super::report_row::{self, arrived, time};
use super::{Error, Reply, Store, answer};
use crate::domain::intake::{
    Counts, ImportName, ImportState, Outcome, Refusal, ReportImport, Subject, Verdict,
};
use crate::domain::report::{Report, ReportName, Stage};

/// Imports of one parent that are kept without being applied: as many of the last.
const KEPT: u64 = 20;
/// Reports that are read or written by one statement: some have a text of a megabyte.
const REPORTS_AT_ONCE: usize = 200;

mod import {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "report_import")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub parent_id: Uuid,
        pub state: String,
        pub received: i64,
        pub created: i64,
        pub updated: i64,
        pub submitted: i64,
        pub unchanged: i64,
        pub refused: i64,
        pub creator: String,
        pub create_us: i64,
        pub committer: Option<String>,
        pub commit_us: Option<i64>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod row {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "report_import_row")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub import_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub place: i64,
        pub content: Option<Vec<u8>>,
        pub number: i32,
        pub unit: String,
        pub outcome: String,
        pub submitted: bool,
        pub report_id: Option<Uuid>,
        pub field: String,
        pub reason: String,
        pub message: String,
        pub errors: i32,
        pub warnings: i32,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn import_row(import: &ReportImport) -> import::Model {
    let ReportImport { name, state, counts, creator, create_time, committed } = import;
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    import::Model {
        id: name.id,
        parent_id: name.parent.uuid(),
        state: state.word().to_owned(),
        received: count(counts.received),
        created: count(counts.created),
        updated: count(counts.updated),
        submitted: count(counts.submitted),
        unchanged: count(counts.unchanged),
        refused: count(counts.refused),
        creator: creator.clone(),
        create_us: create_time.timestamp_micros(),
        committer: committed.as_ref().map(|(committer, _)| committer.clone()),
        commit_us: committed.as_ref().map(|(_, at)| at.timestamp_micros()),
    }
}

fn report_import(row: import::Model) -> Result<ReportImport, Error> {
    let count = |count: i64| usize::try_from(count).unwrap_or_default();
    let state = ImportState::of_word(&row.state);
    let committed = row.committer.zip(row.commit_us);
    Ok(ReportImport {
        name: ImportName { parent: UnitId::from_uuid(row.parent_id), id: row.id },
        state: state.ok_or_else(|| Error::Unreadable(format!("the state {}", row.state).into()))?,
        counts: Counts {
            received: count(row.received),
            created: count(row.created),
            updated: count(row.updated),
            submitted: count(row.submitted),
            unchanged: count(row.unchanged),
            refused: count(row.refused),
        },
        creator: row.creator,
        create_time: time(row.create_us)?,
        committed: committed.map(|(who, us)| Ok::<_, Error>((who, time(us)?))).transpose()?,
    })
}

fn judged_row(import: Uuid, place: i64, verdict: &Verdict, content: Option<Vec<u8>>) -> row::Model {
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let Refusal { field, reason, message } = verdict.refusal.clone();
    row::Model {
        import_id: import,
        place,
        content,
        number: verdict.number,
        unit: verdict.unit.clone(),
        outcome: verdict.outcome.word().to_owned(),
        submitted: verdict.submitted,
        report_id: verdict.report.map(|name| name.report),
        field,
        reason,
        message,
        errors: count(verdict.errors),
        warnings: count(verdict.warnings),
    }
}

fn verdict(row: row::Model) -> Result<Verdict, Error> {
    let count = |count: i32| usize::try_from(count).unwrap_or_default();
    let unknown = || Error::Unreadable(format!("the outcome {}", row.outcome).into());
    let outcome = Outcome::of_word(&row.outcome).ok_or_else(unknown)?;
    // There is a report only where the unit reads.
    let unit: Option<UnitId> = row.unit.parse().ok();
    Ok(Verdict {
        number: row.number,
        outcome,
        submitted: row.submitted,
        report: unit.zip(row.report_id).map(|(unit, report)| ReportName { unit, report }),
        unit: row.unit,
        refusal: Refusal { field: row.field, reason: row.reason, message: row.message },
        errors: count(row.errors),
        warnings: count(row.warnings),
    })
}

/// What comes of the rows of an import, in their order.
#[derive(Clone, Copy, Debug)]
pub struct JudgedRows<'a> {
    /// What comes of each.
    pub verdicts: &'a [Verdict],
    /// Each as it came, where it is to be judged again; as many of them, or none.
    pub contents: &'a [Vec<u8>],
}

/// A report that is to be written.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What is there; none: it is new.
    pub before: Option<Report>,
    /// What it becomes.
    pub report: Report,
    /// What others are told of it.
    pub event: Option<Payload>,
}

/// Keeps rows, in the place of those that are there.
async fn put_rows(write: &Write<'_>, id: Uuid, rows: JudgedRows<'_>) -> Result<(), Error> {
    use row::Column::{ImportId, Place};
    let told = row::Column::iter().filter(|column| !matches!(column, ImportId | Place));
    let over = OnConflict::columns([ImportId, Place]).update_columns(told).to_owned();
    let at_once = rows_per_insert(13).min(REPORTS_AT_ONCE);
    let mut places = 1_i64..;
    let mut contents = rows.contents.iter();
    for verdicts in rows.verdicts.chunks(at_once) {
        let rows = verdicts.iter().zip(&mut places).map(|(verdict, place)| {
            judged_row(id, place, verdict, contents.next().cloned()).into_active_model()
        });
        let rows = row::Entity::insert_many(rows).on_conflict(over.clone());
        rows.exec_without_returning(&**write).await?;
    }
    Ok(())
}

/// Forgets imports that were not applied, with their rows.
async fn forget(write: &Write<'_>, which: Condition) -> Result<u64, DbErr> {
    let forgotten = import::Entity::delete_many()
        .filter(import::Column::CommitUs.is_null())
        .filter(which)
        .exec(&**write)
        .await?;
    Ok(forgotten.rows_affected)
}

/// Writes reports in the place of what was there when they were made.
///
/// Errors: `Overtaken` where something else is there by now, or one of them is matched with another arrival than it says.
async fn apply(write: &Write<'_>, planned: &[Planned], now: DateTime<Utc>) -> Result<(), Error> {
    let other_document = |one: &&Planned| {
        let before = one.before.as_ref().map(Report::document_keys);
        before != Some(one.report.document_keys())
    };
    let written = planned.iter().filter(other_document);
    let written: Vec<_> =
        written.map(|one| Written { report: &one.report, before: one.before.as_ref() }).collect();
    let documents = Written::documents(&written);
    take_turns(write, documents.turns()).await?;

    // Whoever writes the same reports at once does so in the same order: nobody waits in a circle.
    let mut created: Vec<&Report> =
        planned.iter().filter(|one| one.before.is_none()).map(|one| &one.report).collect();
    created.sort_unstable_by_key(|report| {
        (&report.asked.regime, report.asked.period.to_string(), report.name.unit)
    });
    for reports in created.chunks(REPORTS_AT_ONCE) {
        if put(write, reports, OnConflict::new().do_nothing().to_owned()).await? != reports.len() {
            return Err(Error::Overtaken);
        }
    }
    let mut updated: Vec<(&Report, &Report)> = planned
        .iter()
        .filter_map(|one| one.before.as_ref().map(|before| (before, &one.report)))
        .collect();
    updated.sort_unstable_by_key(|(before, _)| before.name.report);
    for reports in updated.chunks(REPORTS_AT_ONCE) {
        must_be_as_before(write, reports).await?;
        use report_row::Column;
        let kept = |column: &Column| {
            matches!(column, Column::Id | Column::ArrivalNumber | Column::ArrivalUs)
        };
        let columns = Column::iter().filter(|column| !kept(column));
        let over = OnConflict::column(Column::Id).update_columns(columns).to_owned();
        let reports: Vec<&Report> = reports.iter().map(|(_, report)| *report).collect();
        put(write, &reports, over).await?;
    }
    settle(write, &documents, &written).await?;
    for planned in planned.chunks(REPORTS_AT_ONCE) {
        let events = planned.iter().filter_map(|one| one.event.clone()).collect();
        dunghan_events::append_all(write, now, events).await?;
    }
    Ok(())
}

async fn put(
    write: &Write<'_>,
    reports: &[&Report],
    on_conflict: OnConflict,
) -> Result<usize, Error> {
    let rows: Vec<_> =
        reports.iter().map(|report| report_row::active(report)).collect::<Result<_, _>>()?;
    let written = report_row::Entity::insert_many(rows)
        .on_conflict(on_conflict)
        .exec_without_returning(&**write)
        .await?;
    Ok(usize::try_from(written).unwrap_or(usize::MAX))
}

/// Locks what is to be written over, on PostgreSQL.
async fn must_be_as_before(write: &Write<'_>, reports: &[(&Report, &Report)]) -> Result<(), Error> {
    use report_row::Column::{ArrivalNumber, ArrivalUs, Id, Version};
    let rows: Vec<(Uuid, i64, Option<String>, Option<i64>)> = report_row::Entity::find()
        .select_only()
        .columns([Id, Version, ArrivalNumber, ArrivalUs])
        .filter(Id.is_in(reports.iter().map(|(before, _)| before.name.report)))
        .order_by_asc(Id)
        .lock_exclusive()
        .into_tuple()
        .all(&**write)
        .await?;
    let mut there = HashMap::new();
    for (id, version, number, us) in rows {
        there.insert(id, (version, arrived(number, us)?));
    }
    let as_before = |(before, report): &(&Report, &Report)| {
        let there = there.get(&before.name.report);
        let handed_over = report.stage() == Stage::Submitted;
        there.is_some_and(|(version, arrival)| {
            *version == before.version && (!handed_over || *arrival == before.arrival)
        })
    };
    if reports.iter().all(as_before) { Ok(()) } else { Err(Error::Overtaken) }
}

impl Store {
    /// Keeps an import with what came of its rows, and its answer; applies it where something is planned; and forgets those below
    /// the same parent that were not applied, but for the last 20. All in one transaction.
    ///
    /// Errors: `Overtaken` where something else is by now in the place of a planned report; `Answered` where the same request was.
    pub async fn import_insert<M: prost::Message>(
        &self,
        import: &ReportImport,
        rows: JudgedRows<'_>,
        planned: &[Planned],
        reply: Option<Reply<'_, M>>,
    ) -> Result<(), Error> {
        let now = import.create_time;
        self.database()
            .write(async |write| {
                // Alone with its id it waits for the same request at once, rather than after all of its rows.
                answer(write, reply, now).await?;
                let row = import_row(import).into_active_model();
                import::Entity::insert(row).exec_without_returning(&**write).await?;
                put_rows(write, import.name.id, rows).await?;
                let more: Vec<Uuid> = import::Entity::find()
                    .select_only()
                    .column(import::Column::Id)
                    .filter(import::Column::ParentId.eq(import.name.parent.uuid()))
                    .filter(import::Column::CommitUs.is_null())
                    .order_by_desc(import::Column::CreateUs)
                    .order_by_desc(import::Column::Id)
                    // One more comes at a time.
                    .limit(KEPT)
                    .offset(KEPT)
                    .into_tuple()
                    .all(&**write)
                    .await?;
                if !more.is_empty() {
                    let more = import::Column::Id.is_in(more);
                    forget(write, Condition::all().add(more)).await?;
                }
                apply(write, planned, now).await
            })
            .await
    }

    /// Writes what has become of a staged import and of its rows; applies it where something is planned.
    ///
    /// Errors: `Overtaken` where it is not staged any more, or something else is by now in the place of a planned report.
    pub async fn import_settle(
        &self,
        import: &ReportImport,
        verdicts: &[Verdict],
        planned: &[Planned],
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        self.database()
            .write(async |write| {
                let settled = import::Entity::update_many()
                    .set(import_row(import).into_active_model().reset_all())
                    .filter(import::Column::Id.eq(import.name.id))
                    .filter(import::Column::State.eq(ImportState::Staged.word()))
                    .exec(&**write)
                    .await?;
                if settled.rows_affected != 1 {
                    return Err(Error::Overtaken);
                }
                let rows = JudgedRows { verdicts, contents: &[] };
                put_rows(write, import.name.id, rows).await?;
                apply(write, planned, now).await
            })
            .await
    }

    /// Forgets imports of before that were not applied. How many those were.
    pub async fn import_forget(&self, before: DateTime<Utc>) -> Result<u64, Error> {
        let old = import::Column::CreateUs.lt(before.timestamp_micros());
        let old = Condition::all().add(old);
        Ok(self.database().write(async |write| forget(write, old.clone()).await).await?)
    }

    /// One import.
    pub async fn import_fetch(&self, name: ImportName) -> Result<Option<ReportImport>, Error> {
        let found = import::Entity::find_by_id(name.id)
            .filter(import::Column::ParentId.eq(name.parent.uuid()))
            .one(self.database().reader())
            .await?;
        found.map(report_import).transpose()
    }

    /// The rows of a staged import as they came, in their order; fewer where it is not staged any more.
    pub async fn import_contents(&self, id: Uuid) -> Result<Vec<Vec<u8>>, Error> {
        let (mut contents, mut after) = (Vec::new(), 0);
        loop {
            let found: Vec<(i64, Option<Vec<u8>>)> = row::Entity::find()
                .select_only()
                .columns([row::Column::Place, row::Column::Content])
                .filter(row::Column::ImportId.eq(id))
                .filter(row::Column::Place.gt(after))
                .order_by_asc(row::Column::Place)
                .limit(REPORTS_AT_ONCE as u64)
                .into_tuple()
                .all(self.database().reader())
                .await?;
            let Some((last, _)) = found.last() else { return Ok(contents) };
            after = *last;
            contents.extend(found.into_iter().filter_map(|(_, content)| content));
        }
    }

    /// Up to `limit` rows of an import after a place, each with its place and what came of it.
    pub async fn import_row_page(
        &self,
        id: Uuid,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<(i64, Verdict)>, Error> {
        use row::Column::{Content, ImportId, Place};
        let columns = row::Column::iter().filter(|column| !matches!(column, Content));
        let rows = row::Entity::find()
            .select_only()
            .columns(columns)
            .expr_as(Expr::cust("CAST(NULL AS bytea)"), "content")
            .filter(ImportId.eq(id))
            .filter(Place.gt(after.unwrap_or_default()))
            .order_by_asc(Place)
            .limit(u64::try_from(limit).unwrap_or(u64::MAX))
            .all(self.database().reader())
            .await?;
        rows.into_iter().map(|row| Ok((row.place, verdict(row)?))).collect()
    }

    /// The reports that these rows are about, of those that there are.
    pub async fn reports_about(
        &self,
        subjects: &[Subject],
    ) -> Result<HashMap<Subject, Report>, Error> {
        use report_row::Column;
        let mut units: HashMap<(&str, Period), Vec<Uuid>> = HashMap::new();
        let mut found = HashMap::new();
        for subjects in subjects.chunks(REPORTS_AT_ONCE) {
            units.clear();
            for (unit, regime, period) in subjects {
                units.entry((regime, *period)).or_default().push(unit.uuid());
            }
            let any = units.iter().fold(Condition::any(), |any, ((regime, period), units)| {
                let these = Condition::all()
                    .add(Column::Regime.eq(*regime))
                    .add(Column::Period.eq(period.to_string()))
                    .add(Column::UnitId.is_in(units.iter().copied()));
                any.add(these)
            });
            let reports = report_row::find(self.database().reader(), any).await?;
            found.extend(reports.into_iter().map(|report| {
                let (unit, asked) = (report.name.unit, &report.asked);
                ((unit, asked.regime.clone(), asked.period), report)
            }));
        }
        Ok(found)
    }
}
