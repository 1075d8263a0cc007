//! The table `report`, and how a row of it is a [`Report`].

use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::{Period, Window};
use dunghan_hierarchy::UnitId;
use dunghan_store::{Write, by_key};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, DbBackend, FromQueryResult as _, Iterable as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _, Select, Statement,
};
use serde::{Deserialize, Serialize};

use super::Error;
use crate::domain::report::{
    Arrived, Asked, Content, Evidence, Receipt, Received, Report, ReportName, SentBack, Stage,
    State,
};

const DRAFT: &str = "draft";
const SUBMITTED: &str = "submitted";

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "report")]
pub(super) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub unit_id: Uuid,
    pub regime: String,
    pub period: String,
    pub form: String,
    pub window_first: NaiveDate,
    pub window_cut_off: NaiveDate,
    pub cut_off_as_declared: bool,
    pub state: String,
    pub receive_us: Option<i64>,
    pub receipt_evidence: Option<String>,
    pub submitter: Option<String>,
    pub document: String,
    pub figures: String,
    pub narrative: String,
    pub declared_cut_off: Option<NaiveDate>,
    pub findings: String,
    pub create_us: i64,
    pub update_us: i64,
    pub version: i64,
    pub submitting_unit_id: Option<Uuid>,
    pub return_us: Option<i64>,
    pub return_due_us: Option<i64>,
    pub past_revisions: i32,
    pub last_receive_us: Option<i64>,
    pub last_receipt_evidence: Option<String>,
    pub nil: bool,
    pub justifications: String,
    pub files: String,
    pub review_levels: i16,
    pub acceptances: String,
    pub accepted: bool,
    pub receivers: String,
    pub taken_back_us: Option<i64>,
    pub document_key: Option<Uuid>,
    pub agency_document_key: Option<Uuid>,
    pub arrival_number: Option<String>,
    pub arrival_us: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(super) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Where a report stands in a list: the last created comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportKey {
    create_us: i64,
    id: Uuid,
}

impl ReportKey {
    /// Of a report.
    pub fn of(report: &Report) -> Self {
        Self { create_us: report.create_time.timestamp_micros(), id: report.name.report }
    }
}

/// Which reports a list may hold at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visible {
    /// All.
    Everything,
    /// Those of some units, and all under some regimes.
    Of {
        /// Whose.
        units: Vec<UnitId>,
        /// The ids of regimes, without `regimes/`.
        regimes: Vec<String>,
    },
}

/// Which reports are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFilter {
    /// What may be seen.
    pub visible: Visible,
    /// Only of these units.
    pub units: Option<Vec<UnitId>>,
    /// Only under this regime.
    pub regime: Option<String>,
    /// Only for this period.
    pub period: Option<Period>,
    /// Only in these states; empty: all.
    pub stages: Vec<Stage>,
}

pub(super) fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Unreadable(Box::new(error))
}

pub(super) fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(unreadable)
}

pub(super) fn time(us: i64) -> Result<DateTime<Utc>, Error> {
    let no_time = || Error::Unreadable(format!("{us} is no time").into());
    DateTime::from_timestamp_micros(us).ok_or_else(no_time)
}

/// What a receive time rests on, as it was written.
pub(super) fn evidence(text: Option<&str>) -> Result<Option<Evidence>, Error> {
    text.map(serde_json::from_str).transpose().map_err(unreadable)
}

/// The units whose ids stand there.
pub(super) fn units(text: &str) -> Result<Vec<UnitId>, Error> {
    let ids: Vec<Uuid> = serde_json::from_str(text).map_err(unreadable)?;
    Ok(ids.into_iter().map(UnitId::from_uuid).collect())
}

/// The arrival that a report is matched with.
pub(super) fn arrived(number: Option<String>, us: Option<i64>) -> Result<Option<Arrived>, Error> {
    number.zip(us).map(|(number, us)| Ok(Arrived { number, at: time(us)? })).transpose()
}

/// A report as a row, without the arrival that it is matched with: whoever writes the one need not know the other.
pub(super) fn active(report: &Report) -> Result<ActiveModel, Error> {
    let Report { name, asked, content, findings, create_time, .. } = report;
    let receivers: Vec<Uuid> = asked.receivers.iter().map(|unit| unit.uuid()).collect();
    let [document_key, agency_document_key] = report.document_keys();
    Ok(ActiveModel {
        id: Set(name.report),
        unit_id: Set(name.unit.uuid()),
        regime: Set(asked.regime.clone()),
        period: Set(asked.period.to_string()),
        form: Set(asked.form.clone()),
        window_first: Set(asked.window.first),
        window_cut_off: Set(asked.window.cut_off),
        cut_off_as_declared: Set(asked.cut_off_as_declared),
        document: Set(json(&content.document)?),
        figures: Set(json(&content.values)?),
        narrative: Set(content.narrative.clone()),
        declared_cut_off: Set(content.declared_cut_off),
        findings: Set(json(findings)?),
        create_us: Set(create_time.timestamp_micros()),
        submitting_unit_id: Set(content.submitting_unit.map(|unit| unit.uuid())),
        nil: Set(content.nil),
        justifications: Set(json(&content.justifications)?),
        files: Set(json(&content.files)?),
        review_levels: Set(asked.review_levels.into()),
        receivers: Set(json(&receivers)?),
        document_key: Set(document_key),
        agency_document_key: Set(agency_document_key),
        ..standing(report)?
    })
}

/// Of a report as a row the files on it alone.
pub(super) fn files_alone(report: &Report) -> Result<ActiveModel, Error> {
    Ok(ActiveModel {
        files: Set(json(&report.content.files)?),
        update_us: Set(report.update_time.timestamp_micros()),
        version: Set(report.version),
        ..Default::default()
    })
}

/// Of a report as a row that which says where it stands, without its content.
pub(super) fn standing(report: &Report) -> Result<ActiveModel, Error> {
    let (word, first, last, submitter, back) = match &report.state {
        State::Draft => (DRAFT, None, None, None, None),
        State::Submitted { first, last, submitter, .. }
        | State::Accepted { first, last, submitter, .. } => {
            (SUBMITTED, Some(first), Some(last), Some(submitter), None)
        }
        State::Returned { first, submitter, back } => {
            (SUBMITTED, Some(first), None, Some(submitter), Some(back))
        }
    };
    let us = |receipt: &Receipt| receipt.at.timestamp_micros();
    let evidence = |receipt: Option<&Receipt>| {
        receipt.and_then(|receipt| receipt.evidence.as_ref()).map(json).transpose()
    };
    let stage = report.stage();
    let stands = matches!(stage, Stage::Submitted | Stage::Accepted);
    let past = report.revision - i32::from(stands);
    Ok(ActiveModel {
        state: Set(word.to_owned()),
        receive_us: Set(first.map(us)),
        receipt_evidence: Set(evidence(first)?),
        submitter: Set(submitter.cloned()),
        return_us: Set(back.map(|back| back.at.timestamp_micros())),
        return_due_us: Set(back.map(|back| back.due.timestamp_micros())),
        past_revisions: Set(past),
        last_receive_us: Set(last.map(us)),
        last_receipt_evidence: Set(evidence(last)?),
        acceptances: Set(json(&report.acceptances())?),
        accepted: Set(stage == Stage::Accepted),
        taken_back_us: Set(report.taken_back.map(|back| back.timestamp_micros())),
        update_us: Set(report.update_time.timestamp_micros()),
        version: Set(report.version),
        ..Default::default()
    })
}

fn sent_back(at: Option<i64>, due: Option<i64>) -> Result<Option<SentBack>, Error> {
    let back = at.zip(due).map(|(at, due)| Ok(SentBack { at: time(at)?, due: time(due)? }));
    back.transpose()
}

fn state(row: &Model) -> Result<State, Error> {
    let (us, submitter) = match (row.state.as_str(), row.receive_us, &row.submitter) {
        (DRAFT, None, None) => return Ok(State::Draft),
        (SUBMITTED, Some(us), Some(submitter)) => (us, submitter.clone()),
        (state, ..) => return Err(Error::Unreadable(format!("the state {state}").into())),
    };
    let first = Receipt { at: time(us)?, evidence: evidence(row.receipt_evidence.as_deref())? };
    if let Some(back) = sent_back(row.return_us, row.return_due_us)? {
        return Ok(State::Returned { first, submitter, back });
    }
    let last = match row.last_receive_us {
        None => first.clone(),
        Some(us) => {
            let evidence = evidence(row.last_receipt_evidence.as_deref())?;
            Receipt { at: time(us)?, evidence }
        }
    };
    let acceptances = serde_json::from_str(&row.acceptances).map_err(unreadable)?;
    Ok(match row.accepted {
        true => State::Accepted { first, last, submitter, acceptances },
        false => State::Submitted { first, last, submitter, acceptances },
    })
}

fn report(row: Model) -> Result<Report, Error> {
    let state = state(&row)?;
    let stands = matches!(state, State::Submitted { .. } | State::Accepted { .. });
    Ok(Report {
        name: ReportName { unit: UnitId::from_uuid(row.unit_id), report: row.id },
        asked: Asked {
            regime: row.regime,
            period: row.period.parse().map_err(unreadable)?,
            form: row.form,
            window: Window { first: row.window_first, cut_off: row.window_cut_off },
            cut_off_as_declared: row.cut_off_as_declared,
            review_levels: u8::try_from(row.review_levels).map_err(unreadable)?,
            receivers: units(&row.receivers)?,
        },
        content: Content {
            document: serde_json::from_str(&row.document).map_err(unreadable)?,
            values: serde_json::from_str(&row.figures).map_err(unreadable)?,
            narrative: row.narrative,
            declared_cut_off: row.declared_cut_off,
            submitting_unit: row.submitting_unit_id.map(UnitId::from_uuid),
            nil: row.nil,
            justifications: serde_json::from_str(&row.justifications).map_err(unreadable)?,
            files: serde_json::from_str(&row.files).map_err(unreadable)?,
        },
        findings: serde_json::from_str(&row.findings).map_err(unreadable)?,
        state,
        create_time: time(row.create_us)?,
        update_time: time(row.update_us)?,
        version: row.version,
        revision: row.past_revisions + i32::from(stands),
        taken_back: row.taken_back_us.map(time).transpose()?,
        arrival: arrived(row.arrival_number, row.arrival_us)?,
    })
}

fn reports(rows: Vec<Model>) -> Result<Vec<Report>, Error> {
    rows.into_iter().map(report).collect()
}

/// Without narratives: they are what makes rows large, and lists do not show them.
fn without_narrative() -> Select<Entity> {
    let columns = Column::iter().filter(|column| !matches!(column, Column::Narrative));
    Entity::find().select_only().columns(columns).expr_as(Expr::cust("''"), "narrative")
}

/// What [`fetch`] asks for, in words that both engines understand. To find them each time takes as long as to find the row.
static BY_NAME: LazyLock<String> = LazyLock::new(|| {
    let any = ReportName { unit: UnitId::from_uuid(Uuid::nil()), report: Uuid::nil() };
    named_so(any).build(DbBackend::Postgres).sql
});

fn named_so(name: ReportName) -> Select<Entity> {
    Entity::find_by_id(name.report).filter(Column::UnitId.eq(name.unit.uuid()))
}

pub(super) async fn fetch(
    connection: &impl ConnectionTrait,
    name: ReportName,
) -> Result<Option<Report>, Error> {
    let values: [Value; 2] = [name.report.into(), name.unit.uuid().into()];
    let engine = connection.get_database_backend();
    let statement = Statement::from_sql_and_values(engine, BY_NAME.as_str(), values);
    let row = connection.query_one_raw(statement).await?;
    let row = row.map(|row| Model::from_query_result(&row, "")).transpose()?;
    row.map(report).transpose()
}

/// As [`fetch`], and nobody else changes it before the transaction has ended.
pub(super) async fn fetch_to_change(
    write: &Write<'_>,
    name: ReportName,
) -> Result<Option<Report>, Error> {
    by_key(&**write, named_so(name).lock_exclusive()).await?.map(report).transpose()
}

/// Those for which the condition holds.
pub(super) async fn find(
    connection: &impl ConnectionTrait,
    which: Condition,
) -> Result<Vec<Report>, Error> {
    reports(Entity::find().filter(which).all(connection).await?)
}

pub(super) async fn fetch_many(
    connection: &impl ConnectionTrait,
    names: &[ReportName],
) -> Result<Vec<Report>, Error> {
    let ids = names.iter().map(|name| name.report);
    let found = Entity::find().filter(Column::Id.is_in(ids)).all(connection).await?;
    let mut reports = reports(found)?;
    // The unit is part of the name.
    reports.retain(|report| names.contains(&report.name));
    Ok(reports)
}

pub(super) async fn named(
    connection: &impl ConnectionTrait,
    unit: UnitId,
    regime: &str,
    period: Period,
) -> Result<Option<ReportName>, Error> {
    let found: Option<Uuid> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Regime.eq(regime))
        .filter(Column::Period.eq(period.to_string()))
        .filter(Column::UnitId.eq(unit.uuid()))
        .into_tuple()
        .one(connection)
        .await?;
    Ok(found.map(|report| ReportName { unit, report }))
}

/// Of what was sent back the declared cut-off is that of the row, which its unit may be changing.
pub(super) async fn received(
    connection: &impl ConnectionTrait,
    regime: &str,
    period: Period,
    units: &[UnitId],
) -> Result<Vec<Received>, Error> {
    type Row = (Uuid, Uuid, i64, Option<NaiveDate>, i64, Option<i64>, Option<i64>);
    let rows: Vec<Row> = Entity::find()
        .select_only()
        .columns([Column::UnitId, Column::Id, Column::ReceiveUs, Column::DeclaredCutOff])
        .columns([Column::Version, Column::ReturnUs, Column::ReturnDueUs])
        .filter(Column::Regime.eq(regime))
        .filter(Column::Period.eq(period.to_string()))
        .filter(Column::UnitId.is_in(units.iter().map(|unit| unit.uuid())))
        .filter(Column::State.eq(SUBMITTED))
        .order_by_asc(Column::UnitId)
        .into_tuple()
        .all(connection)
        .await?;
    rows.into_iter()
        .map(|(unit, report, us, declared_cut_off, version, back, due)| {
            let name = ReportName { unit: UnitId::from_uuid(unit), report };
            let (at, back) = (time(us)?, sent_back(back, due)?);
            Ok(Received { report: name, at, declared_cut_off, version, back })
        })
        .collect()
}

pub(super) async fn page(
    connection: &impl ConnectionTrait,
    filter: &ReportFilter,
    after: Option<ReportKey>,
    limit: usize,
) -> Result<Vec<Report>, Error> {
    let mut query = without_narrative();
    if let Visible::Of { units, regimes } = &filter.visible {
        let units = units.iter().map(|unit| unit.uuid());
        let seen = Condition::any()
            .add(Column::UnitId.is_in(units))
            .add(Column::Regime.is_in(regimes.iter().map(String::as_str)));
        query = query.filter(seen);
    }
    if let Some(units) = &filter.units {
        query = query.filter(Column::UnitId.is_in(units.iter().map(|unit| unit.uuid())));
    }
    if let Some(regime) = &filter.regime {
        query = query.filter(Column::Regime.eq(regime));
    }
    if let Some(period) = filter.period {
        query = query.filter(Column::Period.eq(period.to_string()));
    }
    if !filter.stages.is_empty() {
        let any = filter.stages.iter().fold(Condition::any(), |any, one| any.add(in_stage(*one)));
        query = query.filter(any);
    }
    if let Some(ReportKey { create_us, id }) = after {
        let beside = Condition::all().add(Column::CreateUs.eq(create_us)).add(Column::Id.lt(id));
        query = query.filter(Condition::any().add(Column::CreateUs.lt(create_us)).add(beside));
    }
    let rows = query
        .order_by_desc(Column::CreateUs)
        .order_by_desc(Column::Id)
        .limit(u64::try_from(limit).unwrap_or(u64::MAX))
        .all(connection)
        .await?;
    reports(rows)
}

fn in_stage(stage: Stage) -> Condition {
    let all = Condition::all();
    match stage {
        Stage::Draft => all.add(Column::State.eq(DRAFT)),
        Stage::Submitted => all
            .add(Column::State.eq(SUBMITTED))
            .add(Column::ReturnUs.is_null())
            .add(Column::Accepted.eq(false)),
        Stage::Accepted => all.add(Column::Accepted.eq(true)),
        Stage::Returned => all.add(Column::ReturnUs.is_not_null()),
    }
}

fn is(column: Column, value: Option<impl Into<Value>>) -> SimpleExpr {
    value.map_or_else(|| column.is_null(), |value| column.eq(value))
}

/// The row has the document that the report has; and the arrival, where the report is handed over and may rest on it.
pub(super) fn matched_as(report: &Report) -> Condition {
    let [document_key, agency_document_key] = report.document_keys();
    let documents = Condition::all()
        .add(is(Column::DocumentKey, document_key))
        .add(is(Column::AgencyDocumentKey, agency_document_key));
    if report.stage() != Stage::Submitted {
        return documents;
    }
    let arrival = report.arrival.as_ref();
    documents
        .add(is(Column::ArrivalNumber, arrival.map(|arrival| arrival.number.as_str())))
        .add(is(Column::ArrivalUs, arrival.map(|arrival| arrival.at.timestamp_micros())))
}

/// Writes over the report of that version if it is in one of these states, and as `also` says; false where there is none.
pub(super) async fn overwrite(
    write: &Write<'_>,
    name: ReportName,
    row: ActiveModel,
    version: i64,
    stages: &[Stage],
    also: Condition,
) -> Result<bool, DbErr> {
    let any = stages.iter().fold(Condition::any(), |any, one| any.add(in_stage(*one)));
    let done = Entity::update_many()
        .set(row)
        .filter(Column::Id.eq(name.report))
        .filter(Column::Version.eq(version))
        .filter(any)
        .filter(also)
        .exec(&**write)
        .await?;
    Ok(done.rows_affected == 1)
}
