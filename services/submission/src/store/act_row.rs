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
        ..Default::default()
    };
    Ok(match deed {
        Deed::Withdrawn { .. } => row,
        Deed::Returned { due, .. } => {
            ActiveModel { return_due_us: Set(Some(due.timestamp_micros())), ..row }
        }
        Deed::HandedOver { evidence, report } => {
            let Report { content, findings, state, .. } = &**report;
            let first = match state {
                State::Submitted { first, .. } => Some(first),
                State::Draft | State::Returned { .. } => None,
            };
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
        (SUBMITTED, _, Some(first)) => {
            let last = Receipt { at, evidence: evidence(row.receipt_evidence.as_deref())? };
            let grounds = evidence(row.first_receipt_evidence.as_deref())?;
            let content = Content {
                document: parsed(row.document.as_deref())?,
                values: parsed(row.figures.as_deref())?,
                narrative: row.narrative.unwrap_or_default(),
                declared_cut_off: row.declared_cut_off,
                submitting_unit: row.submitting_unit_id.map(UnitId::from_uuid),
            };
            let then = Report {
                content,
                findings: parsed(row.findings.as_deref())?,
                state: State::Submitted {
                    first: Receipt { at: time(first)?, evidence: grounds },
                    last: last.clone(),
                    submitter: row.author.clone(),
                },
                update_time: recorded,
                version: row.version,
                revision: row.revision,
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
        matches!(column, Column::Document | Column::Figures | Column::Narrative | Column::Findings)
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
