//! The contract's messages ⇄ the domain.

pub(crate) mod contact;
pub(crate) mod grant;
mod import;
pub(crate) mod lineage;
pub(crate) mod reorganisation;

use std::collections::BTreeSet;

use chrono::NaiveDate;
use dunghan_events::{level, pb_kind, pb_level};
use dunghan_hierarchy::{Hierarchy, Level, NSO, UnitId, UnitView, Validity};
use dunghan_proto::registry as pb;
use dunghan_proto::r#type::Date;
use dunghan_rpc::{bad_field, field};
use tonic::Status;
use unicode_normalization::UnicodeNormalization as _;

use crate::domain::import::Code;
pub(crate) use import::{
    import, import_id, import_name, imported, judged_row, outcomes, row, row_problems, stage,
    staged, unit_row, verdicts,
};

const LONGEST_NAME: usize = 200;
const LONGEST_CODE: usize = 64;
/// Why something ended, or was granted or revoked.
const LONGEST_REASON: usize = 2000;

/// A field that names a unit.
///
/// Errors: INVALID_ARGUMENT that names the field.
pub(crate) fn unit_name(field: &str, name: &str) -> Result<UnitId, Status> {
    field::text(field, name, LONGEST_NAME)?;
    name.parse().map_err(|e| bad_field(field, e))
}

/// A field that names a unit or is empty.
pub(crate) fn optional_unit_name(field: &str, name: &str) -> Result<Option<UnitId>, Status> {
    if name.is_empty() { Ok(None) } else { unit_name(field, name).map(Some) }
}

/// A text of one line that has to be there.
///
/// Errors: INVALID_ARGUMENT that names the field.
fn line(field: &str, value: &str, most: usize) -> Result<String, Status> {
    let value = field::text(field, value, most)?;
    if value.chars().any(char::is_control) {
        return Err(bad_field(field, "must be one line"));
    }
    Ok(value)
}

/// A last day, as the day after it; `None` where none is stated.
///
/// Errors: INVALID_ARGUMENT that names the field, also for a day before the first.
fn through(
    field: &str,
    value: Option<&Date>,
    first: Option<NaiveDate>,
) -> Result<Option<NaiveDate>, Status> {
    let last = field::date(field, value)?;
    if let (Some(last), Some(first)) = (last, first)
        && last < first
    {
        return Err(bad_field(field, format!("must not lie before {first}")));
    }
    Ok(last.and_then(|last| last.succ_opt()))
}

/// The levels asked for, each once: every unit is held against them, and a request has room for millions.
///
/// Errors: INVALID_ARGUMENT for one that there is not.
pub(crate) fn levels(levels: &[i32]) -> Result<BTreeSet<Level>, Status> {
    levels
        .iter()
        .map(|number| match pb::Level::try_from(*number) {
            Ok(pb::Level::Unspecified) | Err(_) => {
                Err(bad_field("levels", format!("has a level that there is not: {number}")))
            }
            Ok(one) => Ok(level(one)),
        })
        .collect()
}

/// What to look for.
pub(crate) enum Query {
    Code(Code),
    Name(String),
}

/// Errors: INVALID_ARGUMENT for an empty one.
pub(crate) fn query(query: Option<pb::resolve_unit_request::Query>) -> Result<Query, Status> {
    use pb::resolve_unit_request::Query as Asked;
    Ok(match field::required("query", query)? {
        Asked::Identifier(identifier) => Query::Code(Code {
            scheme: composed(&field::text("identifier.scheme", &identifier.scheme, LONGEST_CODE)?),
            value: composed(&field::text("identifier.value", &identifier.value, LONGEST_CODE)?),
        }),
        Asked::DisplayName(name) => Query::Name(field::text("display_name", &name, LONGEST_NAME)?),
    })
}

/// A unit as of a date.
pub(crate) fn unit(hierarchy: &Hierarchy, view: UnitView<'_>) -> pb::Unit {
    let version = view.version;
    let identifiers = hierarchy.get(view.id).into_iter().flat_map(|history| &history.identifiers);
    pb::Unit {
        name: view.id.to_string(),
        display_name: version.display_name.clone(),
        kind: pb_kind(version.kind).into(),
        level: pb_level(version.level).into(),
        parent_unit: version.parent.map_or_else(String::new, |parent| parent.to_string()),
        statistics_code: view.code(NSO).unwrap_or_default().to_owned(),
        identifiers: identifiers
            .filter(|held| held.validity.contains(view.as_of))
            .map(|held| pb::Identifier { scheme: held.scheme.clone(), value: held.value.clone() })
            .collect(),
        valid_from_date: version.validity.from.map(field::pb_date),
        valid_through_date: version.validity.last_day().map(field::pb_date),
        uncertain: !view.certain,
        hierarchy_version: hierarchy.version().cast_signed(),
    }
}

/// An interval as metadata has it, both days inclusive (ISO 8601, `..` where a side is open): `2025-07-01/..`.
pub(crate) fn interval(validity: Validity) -> String {
    let side = |day: Option<NaiveDate>| day.map_or_else(|| "..".to_owned(), |day| day.to_string());
    format!("{}/{}", side(validity.from), side(validity.last_day()))
}

/// A text in the one form of its letters, whatever it was typed on: composed (NFC).
pub(crate) fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// A count as the contract has it.
pub(crate) fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
