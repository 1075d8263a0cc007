//! The contract's messages ⇄ the domain.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use dunghan_events::{kind, level, pb_kind, pb_level};
use dunghan_hierarchy::{Hierarchy, Level, NSO, UnitId, UnitView, Validity};
use dunghan_proto::registry as pb;
use dunghan_proto::r#type::Date;
use dunghan_rpc::{bad_field, field};
use tonic::Status;

use crate::domain::import::{Code, Reason, Row, RowProblem};

const LONGEST_NAME: usize = 200;
const LONGEST_CODE: usize = 64;

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
            scheme: field::text("identifier.scheme", &identifier.scheme, LONGEST_CODE)?,
            value: field::text("identifier.value", &identifier.value, LONGEST_CODE)?,
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

/// A row that does not read: what is wrong with it, and which code it would have been about.
pub(crate) struct BadRow {
    pub(crate) code: Option<Code>,
    pub(crate) problems: Vec<RowProblem>,
}

/// A row of an import; `position` counts from 0.
pub(crate) fn row(position: usize, row: pb::UnitRow) -> Result<Row, BadRow> {
    let counted = i32::try_from(position + 1).unwrap_or(i32::MAX);
    let mut reading = Reading { row: if row.row > 0 { row.row } else { counted }, bad: Vec::new() };

    let scheme = reading.code("scheme", if row.scheme.is_empty() { NSO } else { &row.scheme });
    let parent_scheme = if row.parent_scheme.is_empty() {
        scheme.clone()
    } else {
        reading.code("parent_scheme", &row.parent_scheme)
    };
    let value = reading.code("code", &row.code);
    let display_name = reading.name(&row.display_name);
    if row.kind() == pb::Kind::Unspecified {
        reading.bad("kind", "is missing, or is no kind that there is");
    }
    if row.level() == pb::Level::Unspecified {
        reading.bad("level", "is missing, or is no level that there is");
    }
    if let (Some(NSO), Some(value)) = (scheme.as_deref(), &value) {
        reading.statistics_code(level(row.level()), value);
    }

    let parent = if row.parent_code.is_empty() {
        if !row.parent_scheme.is_empty() {
            reading.bad("parent_scheme", "has no parent_code beside it");
        }
        None
    } else {
        reading.code("parent_code", &row.parent_code)
    };
    let from = reading.date("valid_from_date", row.valid_from_date.as_ref());
    let through = reading.date("valid_through_date", row.valid_through_date.as_ref());
    if from.zip(through).is_some_and(|(from, through)| through < from) {
        reading.bad("valid_through_date", "lies before valid_from_date");
    }
    let origin_date = reading.date("origin_date", row.origin_date.as_ref());
    let origin = if row.origin_code.is_empty() {
        if row.origin_date.is_some() {
            reading.bad("origin_date", "has no origin_code beside it");
        }
        None
    } else {
        reading.code("origin_code", &row.origin_code)
    };
    if origin_date.is_some_and(|first| from.is_none_or(|from| from < first)) {
        reading.bad("valid_from_date", "lies before the unit's first day, origin_date");
    }

    let code = scheme.clone().zip(value).map(|(scheme, value)| Code { scheme, value });
    let (Some(code), Some(scheme), Some(display_name), true) =
        (code.clone(), scheme, display_name, reading.bad.is_empty())
    else {
        return Err(BadRow { code, problems: reading.bad });
    };
    // A row that gives itself as its origin is the first version.
    let origin = origin.filter(|origin| (origin, origin_date) != (&code.value, from));
    let unit = match &origin {
        Some(origin) => UnitId::new(&scheme, origin, origin_date),
        None => UnitId::new(&scheme, &code.value, from),
    };
    Ok(Row {
        number: reading.row,
        unit,
        code,
        origin: origin.map(|value| Code { scheme, value }),
        display_name,
        kind: kind(row.kind()),
        level: level(row.level()),
        parent: parent_scheme.zip(parent).map(|(scheme, value)| Code { scheme, value }),
        validity: Validity { from, until: through.and_then(|last| last.succ_opt()) },
    })
}

/// Notes whatever does not read.
struct Reading {
    row: i32,
    bad: Vec<RowProblem>,
}

impl Reading {
    fn bad(&mut self, field: &'static str, why: &str) {
        let message = format!("{field} {why}");
        self.bad.push(RowProblem { row: self.row, field, reason: Reason::RowInvalid, message });
    }

    fn code(&mut self, field: &'static str, text: &str) -> Option<String> {
        if text.is_empty() {
            self.bad(field, "is missing");
        } else if text.len() > LONGEST_CODE {
            self.bad(field, &format!("must not be longer than {LONGEST_CODE} bytes"));
        } else if text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            self.bad(field, &format!("must not have blanks in it: {text:?}"));
        } else {
            return Some(text.to_owned());
        }
        None
    }

    /// Spreadsheets take the zeros in front of codes away.
    fn statistics_code(&mut self, level: Level, value: &str) {
        let digits = match level {
            Level::Province => 2,
            Level::District => 3,
            Level::Commune => 5,
            Level::Department | Level::School | Level::Other => return,
        };
        if value.len() != digits || !value.bytes().all(|byte| byte.is_ascii_digit()) {
            let why = format!(
                "must have {digits} digits for a {level}, zeros in front included: {value:?}"
            );
            self.bad("code", &why);
        }
    }

    fn name(&mut self, text: &str) -> Option<String> {
        let text = text.trim();
        if text.is_empty() {
            self.bad("display_name", "is missing");
        } else if text.len() > LONGEST_NAME {
            self.bad("display_name", &format!("must not be longer than {LONGEST_NAME} bytes"));
        } else if text.chars().any(char::is_control) {
            self.bad("display_name", &format!("must be one line: {text:?}"));
        } else {
            return Some(text.to_owned());
        }
        None
    }

    fn date(&mut self, field: &'static str, value: Option<&Date>) -> Option<NaiveDate> {
        match field::date(field, value) {
            Ok(date) => date,
            Err(status) => {
                let why = status.message().trim_start_matches(field).trim_start().to_owned();
                self.bad(field, &why);
                None
            }
        }
    }
}

/// The most problems that one answer lists, and the most bytes of their texts: clients take messages of 4 MiB.
const MOST_PROBLEMS: usize = 20_000;
const MOST_PROBLEM_BYTES: usize = 3 << 20;
/// What a problem takes beside its texts, at the most.
const PROBLEM_OVERHEAD: usize = 24;

/// What is wrong with rows, as the contract writes it.
pub(crate) fn row_problems(mut problems: Vec<RowProblem>) -> Vec<pb::RowProblem> {
    let mut bytes = 0;
    let fitting = problems.iter().take(MOST_PROBLEMS).take_while(|problem| {
        bytes += problem.field.len() + problem.message.len() + PROBLEM_OVERHEAD;
        bytes <= MOST_PROBLEM_BYTES
    });
    let fitting = fitting.count();
    let more = problems.len() - fitting;
    problems.truncate(fitting);
    let mut problems: Vec<pb::RowProblem> = problems
        .into_iter()
        .map(|problem| pb::RowProblem {
            row: problem.row,
            field: problem.field.to_owned(),
            reason: reason(problem.reason).into(),
            message: problem.message,
        })
        .collect();
    if more > 0 {
        let message = format!("{more} more problems are not listed");
        let reason = pb::ErrorReason::RowInvalid.into();
        problems.push(pb::RowProblem { row: 0, field: String::new(), reason, message });
    }
    problems
}

fn reason(reason: Reason) -> pb::ErrorReason {
    match reason {
        Reason::RowInvalid => pb::ErrorReason::RowInvalid,
        Reason::ParentNotValid => pb::ErrorReason::ParentNotValid,
        Reason::ValidityOverlaps => pb::ErrorReason::ValidityOverlaps,
        Reason::CodeTaken => pb::ErrorReason::CodeTaken,
        Reason::Cycle => pb::ErrorReason::Cycle,
    }
}

/// A count as the contract has it.
pub(crate) fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_problems_are_listed_than_fit_into_a_message_and_the_last_one_counts_the_rest() {
        let problems = |count: i32, bytes| {
            let problem = |row| RowProblem {
                row,
                field: "code",
                reason: Reason::CodeTaken,
                message: "x".repeat(bytes),
            };
            row_problems((1..=count).map(problem).collect())
        };
        assert_eq!(problems(20_000, 10).len(), 20_000);
        for (count, bytes) in [(20_001, 10), (20_000, 400), (1, 5_000_000)] {
            let listed = problems(count, bytes);
            let size: usize = listed.iter().map(|one| one.message.len() + PROBLEM_OVERHEAD).sum();
            assert!(size < 4 << 20, "{count} of {bytes} bytes: {size}");
            let rest = usize::try_from(count).unwrap() + 1 - listed.len();
            let last = listed.last().map(|one| one.message.clone());
            assert_eq!(last, Some(format!("{rest} more problems are not listed")));
        }
    }
}
