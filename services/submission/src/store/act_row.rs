//! The table `report_act`, and how a row of it is an [`Act`].

use std::collections::BTreeMap;
use std::ops::Range;

use chrono::NaiveDate;
use dunghan_hierarchy::UnitId;
use dunghan_store::Write;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, Iterable as _, QueryOrder as _, QuerySelect as _,
};
use serde::de::DeserializeOwned;

use super::Error;
use super::report_row::{evidence, json, time, unreadable};
use crate::domain::report::{Act, Content, Deed, Receipt, Report, State};

const SUBMITTED: &str = "submitted";
const WITHDRAWN: &str = "withdrawn";
const RETURNED: &str = "returned";
const ACCEPTED: &str = "accepted";

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "report_act")]
pub(super) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub report_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: i64,
    pub kind: String,
    pub revision: i32,
    pub act_us: i64,
    pub record_us: i64,
    pub author: String,
    pub reason: String,
    pub return_due_us: Option<i64>,
    pub receipt_evidence: Option<String>,
    pub first_receive_us: Option<i64>,
    pub first_receipt_evidence: Option<String>,
    pub document: Option<String>,
    pub figures: Option<String>,
    pub narrative: Option<String>,
    pub declared_cut_off: Option<NaiveDate>,
    pub findings: Option<String>,
    pub submitting_unit_id: Option<Uuid>,
    pub nil: bool,
    pub justifications: Option<String>,
    pub files: Option<String>,
    pub review_level: Option<i16>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(super) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn active(report: Uuid, act: &Act) -> Result<ActiveModel, Error> {
    let Act { version, revision, at, recorded, author, deed } = act;
    let (kind, reason) = match deed {
        Deed::HandedOver { .. } => (SUBMITTED, String::new()),
        Deed::Withdrawn { reason } => (WITHDRAWN, reason.clone()),
        Deed::Returned { reason, .. } => (RETURNED, reason.clone()),
        Deed::Accepted { comment, .. } => (ACCEPTED, comment.clone()),
    };
    let row = ActiveModel {
        report_id: Set(report),
        version: Set(*version),
        kind: Set(kind.to_owned()),
        revision: Set(*revision),
        act_us: Set(at.timestamp_micros()),
        record_us: Set(recorded.timestamp_micros()),
        author: Set(author.clone()),
        reason: Set(reason),
        nil: Set(false),
        ..Default::default()
    };
    Ok(match deed {
        Deed::Withdrawn { .. } => row,
        Deed::Returned { due, .. } => {
            ActiveModel { return_due_us: Set(Some(due.timestamp_micros())), ..row }
        }
        Deed::Accepted { level, .. } => {
            ActiveModel { review_level: Set(Some((*level).into())), ..row }
        }
        Deed::HandedOver { evidence, report } => {
            let Report { content, findings, .. } = &**report;
            let first = report.first();
            let grounds = first.and_then(|first| first.evidence.as_ref());
            ActiveModel {
                receipt_evidence: Set(evidence.as_ref().map(json).transpose()?),
                first_receive_us: Set(first.map(|first| first.at.timestamp_micros())),
                first_receipt_evidence: Set(grounds.map(json).transpose()?),
                document: Set(Some(json(&content.document)?)),
                figures: Set(Some(json(&content.values)?)),
                narrative: Set(Some(content.narrative.clone())),
                declared_cut_off: Set(content.declared_cut_off),
                findings: Set(Some(json(findings)?)),
                submitting_unit_id: Set(content.submitting_unit.map(|unit| unit.uuid())),
                nil: Set(content.nil),
                justifications: Set(Some(json(&content.justifications)?)),
                files: Set(Some(json(&content.files)?)),
                ..row
            }
        }
    })
}

fn parsed<T: DeserializeOwned + Default>(text: Option<&str>) -> Result<T, Error> {
    text.map_or_else(|| Ok(T::default()), |text| serde_json::from_str(text).map_err(unreadable))
}

/// An act on this report. What is the same in all of its versions is taken from it.
fn act(row: Model, report: &Report) -> Result<Act, Error> {
    let (at, recorded) = (time(row.act_us)?, time(row.record_us)?);
    let deed = match (row.kind.as_str(), row.return_due_us, row.first_receive_us) {
        (WITHDRAWN, ..) => Deed::Withdrawn { reason: row.reason },
        (RETURNED, Some(due), _) => Deed::Returned { reason: row.reason, due: time(due)? },
        (ACCEPTED, ..) => {
            let level = row.review_level.and_then(|level| u8::try_from(level).ok());
            let level = level.ok_or_else(|| Error::Unreadable("accepted at no level".into()))?;
            Deed::Accepted { level, comment: row.reason }
        }
        (SUBMITTED, _, Some(first)) => {
            let last = Receipt { at, evidence: evidence(row.receipt_evidence.as_deref())? };
            let grounds = evidence(row.first_receipt_evidence.as_deref())?;
            let content = Content {
                document: parsed(row.document.as_deref())?,
                values: parsed(row.figures.as_deref())?,
                narrative: row.narrative.unwrap_or_default(),
                declared_cut_off: row.declared_cut_off,
                submitting_unit: row.submitting_unit_id.map(UnitId::from_uuid),
                nil: row.nil,
                justifications: parsed(row.justifications.as_deref())?,
                files: parsed(row.files.as_deref())?,
            };
            let then = Report {
                content,
                findings: parsed(row.findings.as_deref())?,
                state: State::Submitted {
                    first: Receipt { at: time(first)?, evidence: grounds },
                    last: last.clone(),
                    submitter: row.author.clone(),
                    acceptances: Vec::new(),
                },
                update_time: recorded,
                version: row.version,
                revision: row.revision,
                taken_back: None,
                arrival: None,
                ..report.clone()
            };
            Deed::HandedOver { evidence: last.evidence, report: Box::new(then) }
        }
        (kind, ..) => return Err(Error::Unreadable(format!("the act {kind}").into())),
    };
    let Model { version, revision, author, .. } = row;
    Ok(Act { version, revision, at, recorded, author, deed })
}

pub(super) async fn insert(write: &Write<'_>, report: Uuid, acts: &[Act]) -> Result<(), Error> {
    for act in acts {
        Entity::insert(active(report, act)?).exec_without_returning(&**write).await?;
    }
    Ok(())
}

/// Up to `limit` acts on a report with versions from the one to before the other, the first first. Of what was handed over
/// the parts that may be long are read only `with_reports`; else they are empty.
pub(super) async fn list(
    connection: &impl ConnectionTrait,
    report: &Report,
    versions: Range<i64>,
    with_reports: bool,
    limit: usize,
) -> Result<Vec<Act>, Error> {
    let long = |column: &Column| {
        matches!(
            column,
            Column::Document
                | Column::Figures
                | Column::Narrative
                | Column::Findings
                | Column::Justifications
                | Column::Files
        )
    };
    let query = Entity::find().select_only();
    let query = Column::iter().fold(query, |query, column| match with_reports || !long(&column) {
        true => query.column(column),
        false => query.expr_as(Expr::cust("CAST(NULL AS text)"), column.as_str()),
    });
    let rows = query
        .filter(Column::ReportId.eq(report.name.report))
        .filter(Column::Version.gte(versions.start))
        .filter(Column::Version.lt(versions.end))
        .order_by_asc(Column::Version)
        .limit(u64::try_from(limit).unwrap_or(u64::MAX))
        .all(connection)
        .await?;
    rows.into_iter().map(|row| act(row, report)).collect()
}

/// Who handed over what no longer stands, each once.
pub(super) async fn submitters(
    connection: &impl ConnectionTrait,
    report: &Report,
) -> Result<Vec<String>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::Author)
        .distinct()
        .filter(Column::ReportId.eq(report.name.report))
        .filter(Column::Kind.eq(SUBMITTED))
        .filter(Column::Version.lt(report.version))
        .into_tuple()
        .all(connection)
        .await
}

/// The report as a revision of it was handed over, where that is no longer what stands.
pub(super) async fn revision(
    connection: &impl ConnectionTrait,
    report: &Report,
    revision: i32,
) -> Result<Option<Report>, Error> {
    let found = Entity::find()
        .filter(Column::ReportId.eq(report.name.report))
        .filter(Column::Kind.eq(SUBMITTED))
        .filter(Column::Revision.eq(revision))
        .one(connection)
        .await?;
    match found.map(|row| act(row, report)).transpose()?.map(|act| act.deed) {
        Some(Deed::HandedOver { report, .. }) => Ok(Some(*report)),
        _ => Ok(None),
    }
}

/// The cut-off that each of these reports declared when it was handed over last before it was sent back or taken back.
pub(super) async fn declared_cut_offs(
    connection: &impl ConnectionTrait,
    reports: impl IntoIterator<Item = Uuid>,
) -> Result<BTreeMap<Uuid, Option<NaiveDate>>, DbErr> {
    let rows: Vec<(Uuid, Option<NaiveDate>)> = Entity::find()
        .select_only()
        .columns([Column::ReportId, Column::DeclaredCutOff])
        .filter(Column::ReportId.is_in(reports))
        .filter(Column::Kind.eq(SUBMITTED))
        .order_by_asc(Column::Version)
        .into_tuple()
        .all(connection)
        .await?;
    // Of several the last stays.
    Ok(rows.into_iter().collect())
}
