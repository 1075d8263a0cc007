//! Rows of units, and imports of them.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use dunghan_events::{kind, level, pb_kind, pb_level};
use dunghan_hierarchy::{Level, NSO, UnitId, Validity};
use dunghan_proto::registry as pb;
use dunghan_proto::registry::unit_import::State;
use dunghan_proto::r#type::Date;
use dunghan_rpc::{bad_field, field};
use prost::Message as _;
use tonic::Status;
use uuid::Uuid;

use super::{LONGEST_CODE, LONGEST_NAME, composed, count};
use crate::domain::import::{
    Code, Judged, Origin, Reason, Row, RowOutcome, RowProblem, Staged, statistics_code,
};
use crate::store::{ImportState, UnitImport, Verdict};

/// The most bytes of a row as it travels: more than all of its fields can fill.
const LONGEST_ROW: usize = 4096;

/// A row that does not read: what is wrong with it, and which code it would have been about.
pub(crate) struct BadRow {
    pub(crate) code: Option<Code>,
    pub(crate) problems: Vec<RowProblem>,
}

/// Rows that came before, as they were read when they came.
pub(crate) fn staged(rows: impl IntoIterator<Item = pb::UnitRow>) -> Staged {
    let mut staged = Staged::default();
    for (position, row) in rows.into_iter().enumerate() {
        stage(&mut staged, position, Some(row));
    }
    staged
}

/// Reads the next row, whose place among the others counts from 0, and gives what is to be kept of it: the row as it came,
/// unless that is nothing, or far too much.
pub(crate) fn stage(staged: &mut Staged, position: usize, came: Option<pb::UnitRow>) -> Vec<u8> {
    let mut content = Vec::new();
    let read = match came {
        None => {
            let mut reading = Reading::of(position, 0);
            reading.bad("row", "is missing");
            Err(BadRow { code: None, problems: reading.bad })
        }
        Some(came) if came.encoded_len() > LONGEST_ROW => {
            let mut reading = Reading::of(position, came.row);
            reading.bad("row", &format!("must not be larger than {LONGEST_ROW} bytes"));
            Err(BadRow { code: None, problems: reading.bad })
        }
        Some(came) => {
            content = came.encode_to_vec();
            row(position, came)
        }
    };
    match read {
        Ok(row) => staged.rows.push(row),
        Err(bad) => {
            staged.problems.extend(bad.problems);
            staged.spoilt.extend(bad.code);
        }
    }
    content
}

/// A row of an import; `position` counts from 0.
pub(crate) fn row(position: usize, row: pb::UnitRow) -> Result<Row, BadRow> {
    let mut reading = Reading::of(position, row.row);
    let scheme = reading.code("scheme", if row.scheme.is_empty() { NSO } else { &row.scheme });
    // A unit that is known can hold none.
    let none = row.code.is_empty() && !row.origin_code.is_empty();
    let value = if none { None } else { reading.own_code(&row.code) };
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

    let from = reading.date("valid_from_date", row.valid_from_date.as_ref());
    let through = reading.date("valid_through_date", row.valid_through_date.as_ref());
    if from.zip(through).is_some_and(|(from, through)| through < from) {
        reading.bad("valid_through_date", "lies before valid_from_date");
    }
    let parent = ["parent_scheme", "parent_code"];
    let parent = reading.other(parent, &row.parent_scheme, &row.parent_code, scheme.as_ref());
    let origin = ["origin_scheme", "origin_code"];
    let origin = reading.other(origin, &row.origin_scheme, &row.origin_code, scheme.as_ref());
    let first_day = reading.date("origin_date", row.origin_date.as_ref());
    if row.origin_code.is_empty() && row.origin_date.is_some() {
        reading.bad("origin_date", "has no origin_code beside it");
    }
    if first_day.is_some_and(|first| from.is_none_or(|from| from < first)) {
        reading.bad("valid_from_date", "lies before the unit's first day, origin_date");
    }

    let code = scheme.clone().zip(value).map(|(scheme, value)| Code { scheme, value });
    let (Some(scheme), Some(display_name), true) = (scheme, display_name, reading.bad.is_empty())
    else {
        return Err(BadRow { code, problems: reading.bad });
    };
    // A row that gives itself as its origin is the first version.
    let origin = origin.filter(|origin| (Some(origin), first_day) != (code.as_ref(), from));
    let origin = origin.map(|code| Origin { code, first_day });
    let unit = match (&origin, &code) {
        (Some(Origin { code, first_day }), _) => UnitId::new(&code.scheme, &code.value, *first_day),
        (None, Some(code)) => UnitId::new(&code.scheme, &code.value, from),
        (None, None) => return Err(BadRow { code, problems: reading.bad }),
    };
    Ok(Row {
        position,
        number: reading.row,
        unit,
        scheme,
        value: code.map(|code| code.value),
        origin,
        display_name,
        kind: kind(row.kind()),
        level: level(row.level()),
        parent,
        validity: Validity { from, until: through.and_then(|last| last.succ_opt()) },
    })
}

/// Notes whatever does not read.
struct Reading {
    position: usize,
    row: i32,
    bad: Vec<RowProblem>,
}

impl Reading {
    /// `stated` is where the row says that it stands.
    fn of(position: usize, stated: i32) -> Self {
        let counted = i32::try_from(position + 1).unwrap_or(i32::MAX);
        Self { position, row: if stated > 0 { stated } else { counted }, bad: Vec::new() }
    }

    fn bad(&mut self, field: &'static str, why: &str) {
        let (position, row, reason) = (self.position, self.row, Reason::RowInvalid);
        let message = format!("{field} {why}");
        self.bad.push(RowProblem { position, row, field, reason, message });
    }

    fn code(&mut self, field: &'static str, text: &str) -> Option<String> {
        let text = composed(text);
        if text.is_empty() {
            self.bad(field, "is missing");
        } else if text.len() > LONGEST_CODE {
            self.bad(field, &format!("must not be longer than {LONGEST_CODE} bytes"));
        } else if text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            self.bad(field, &format!("must not have blanks in it: {text:?}"));
        } else {
            return Some(text);
        }
        None
    }

    /// A code by which the unit is to be found: its parent can be called by its name instead of a code, and nobody is to
    /// take that.
    fn own_code(&mut self, text: &str) -> Option<String> {
        let code = self.code("code", text)?;
        if code.parse::<UnitId>().is_ok() {
            self.bad("code", "must not be the name of a unit");
            return None;
        }
        Some(code)
    }

    /// A code of another unit or of an earlier day, if there is one; of the row's scheme unless another is stated.
    fn other(
        &mut self,
        [scheme_field, field]: [&'static str; 2],
        scheme: &str,
        value: &str,
        own_scheme: Option<&String>,
    ) -> Option<Code> {
        if value.is_empty() {
            if !scheme.is_empty() {
                self.bad(scheme_field, &format!("has no {field} beside it"));
            }
            return None;
        }
        let scheme = match scheme {
            "" => own_scheme.cloned(),
            scheme => self.code(scheme_field, scheme),
        };
        let value = self.code(field, value);
        scheme.zip(value).map(|(scheme, value)| Code { scheme, value })
    }

    /// Spreadsheets take the zeros in front of codes away.
    fn statistics_code(&mut self, level: Level, value: &str) {
        if let Err(why) = statistics_code(level, value) {
            self.bad("code", &why);
        }
    }

    fn name(&mut self, text: &str) -> Option<String> {
        let text = composed(text.trim());
        if text.is_empty() {
            self.bad("display_name", "is missing");
        } else if text.len() > LONGEST_NAME {
            self.bad("display_name", &format!("must not be longer than {LONGEST_NAME} bytes"));
        } else if text.chars().any(char::is_control) {
            self.bad("display_name", &format!("must be one line: {text:?}"));
        } else {
            return Some(text);
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

/// A row as the contract has it. It states a scheme only where another one would be read.
pub(crate) fn unit_row(row: Row) -> pb::UnitRow {
    let own = row.scheme;
    let other = |code: Option<Code>| match code {
        None => Default::default(),
        Some(Code { scheme, value }) if scheme == own => (String::new(), value),
        Some(Code { scheme, value }) => (scheme, value),
    };
    let (parent_scheme, parent_code) = other(row.parent);
    let origin_date = row.origin.as_ref().and_then(|origin| origin.first_day);
    let (origin_scheme, origin_code) = other(row.origin.map(|origin| origin.code));
    pb::UnitRow {
        row: 0,
        code: row.value.unwrap_or_default(),
        origin_code,
        origin_date: origin_date.map(field::pb_date),
        display_name: row.display_name,
        kind: pb_kind(row.kind).into(),
        level: pb_level(row.level).into(),
        parent_code,
        parent_scheme,
        valid_from_date: row.validity.from.map(field::pb_date),
        valid_through_date: row.validity.last_day().map(field::pb_date),
        origin_scheme,
        scheme: own,
    }
}

/// The most problems that one answer lists, and the most bytes of their texts: clients take messages of 4 MiB.
const MOST_PROBLEMS: usize = 20_000;
const MOST_PROBLEM_BYTES: usize = 3 << 20;
/// What a problem takes beside its texts, at the most.
const PROBLEM_OVERHEAD: usize = 24;

/// What is wrong with rows, as far as an answer has room for it.
pub(crate) fn row_problems(problems: &[RowProblem]) -> Vec<pb::RowProblem> {
    let mut bytes = 0;
    let fitting = problems.iter().take(MOST_PROBLEMS).take_while(|problem| {
        bytes += problem.field.len() + problem.message.len() + PROBLEM_OVERHEAD;
        bytes <= MOST_PROBLEM_BYTES
    });
    let mut listed: Vec<pb::RowProblem> = fitting.map(row_problem).collect();
    let more = problems.len() - listed.len();
    if more > 0 {
        let message = format!("{more} more problems are not listed");
        let reason = pb::ErrorReason::RowInvalid.into();
        listed.push(pb::RowProblem { row: 0, field: String::new(), reason, message });
    }
    listed
}

fn row_problem(problem: &RowProblem) -> pb::RowProblem {
    pb::RowProblem {
        row: problem.row,
        field: problem.field.to_owned(),
        reason: reason(problem.reason).into(),
        message: problem.message.clone(),
    }
}

fn reason(reason: Reason) -> pb::ErrorReason {
    match reason {
        Reason::RowInvalid => pb::ErrorReason::RowInvalid,
        Reason::ParentNotValid => pb::ErrorReason::ParentNotValid,
        Reason::ValidityOverlaps => pb::ErrorReason::ValidityOverlaps,
        Reason::CodeTaken => pb::ErrorReason::CodeTaken,
        Reason::Cycle => pb::ErrorReason::Cycle,
        Reason::LineageBroken => pb::ErrorReason::ChangeUnitNotValid,
    }
}

/// What becomes of each of the rows that came.
pub(crate) fn verdicts(received: usize, staged: &Staged, judged: &Judged) -> Vec<Verdict> {
    let unread = Verdict { unit: None, outcome: pb::RowOutcome::Refused, problems: Vec::new() };
    let mut verdicts = vec![unread; received];
    for (row, outcome) in staged.rows.iter().zip(&judged.outcomes) {
        let outcome = match outcome {
            RowOutcome::Creates => pb::RowOutcome::Creates,
            RowOutcome::Updates => pb::RowOutcome::Updates,
            RowOutcome::Unchanged => pb::RowOutcome::Unchanged,
        };
        if let Some(verdict) = verdicts.get_mut(row.position) {
            *verdict = Verdict { unit: Some(row.unit), outcome, problems: Vec::new() };
        }
    }
    for problem in judged.merged.as_ref().err().into_iter().flatten() {
        if let Some(verdict) = verdicts.get_mut(problem.position) {
            verdict.outcome = pb::RowOutcome::Refused;
            verdict.problems.push(row_problem(problem));
        }
    }
    verdicts
}

/// A row with what became of it; `number` counts from 1.
pub(crate) fn judged_row(number: i64, came: pb::UnitRow, verdict: Verdict) -> pb::JudgedRow {
    let stated = Some(came.row).filter(|row| *row > 0);
    let row = stated.unwrap_or_else(|| i32::try_from(number).unwrap_or(i32::MAX));
    pb::JudgedRow {
        row: Some(pb::UnitRow { row, ..came }),
        unit: verdict.unit.map_or_else(String::new, |unit| unit.to_string()),
        outcome: verdict.outcome.into(),
        problems: verdict.problems,
    }
}

/// The outcomes asked for, each once.
///
/// Errors: INVALID_ARGUMENT for one that there is not.
pub(crate) fn outcomes(outcomes: &[i32]) -> Result<BTreeSet<pb::RowOutcome>, Status> {
    outcomes
        .iter()
        .map(|number| match pb::RowOutcome::try_from(*number) {
            Ok(pb::RowOutcome::Unspecified) | Err(_) => {
                let why = format!("has an outcome that there is not: {number}");
                Err(bad_field("outcomes", why))
            }
            Ok(one) => Ok(one),
        })
        .collect()
}

/// A field that names an import.
///
/// Errors: INVALID_ARGUMENT that names the field.
pub(crate) fn import_id(field: &str, name: &str) -> Result<Uuid, Status> {
    let name = field::text(field, name, LONGEST_NAME)?;
    let id = name.strip_prefix("unitImports/").and_then(|id| id.parse::<Uuid>().ok());
    // One spelling only.
    let id = id.filter(|id| import_name(*id) == name);
    id.ok_or_else(|| bad_field(field, "must be unitImports/{unit_import}"))
}

pub(crate) fn import_name(id: Uuid) -> String {
    format!("unitImports/{id}")
}

/// What an import is answered with.
pub(crate) fn imported(
    import: &UnitImport,
    problems: &[pb::RowProblem],
) -> pb::ImportUnitsResponse {
    let version = import.version.unwrap_or(import.judged_version);
    pb::ImportUnitsResponse {
        received_count: count(import.counts.received),
        created_count: count(import.counts.created),
        updated_count: count(import.counts.updated),
        unchanged_count: count(import.counts.unchanged),
        problems: problems.to_vec(),
        hierarchy_version: version.cast_signed(),
        unit_import: import_name(import.id),
    }
}

/// An import as the contract has it.
pub(crate) fn import(import: UnitImport) -> pb::UnitImport {
    let state = match import.state {
        ImportState::Staged => State::Staged,
        ImportState::Refused => State::Refused,
        ImportState::Committed => State::Committed,
    };
    let version = import.version.unwrap_or(import.judged_version);
    let (committer, commit_time) = import.committed.unzip();
    pb::UnitImport {
        name: import_name(import.id),
        state: state.into(),
        received_count: count(import.counts.received),
        created_count: count(import.counts.created),
        updated_count: count(import.counts.updated),
        unchanged_count: count(import.counts.unchanged),
        refused_count: count(import.counts.refused),
        creator: import.creator,
        create_time: Some(field::pb_time(import.create_time)),
        committer: committer.unwrap_or_default(),
        commit_time: commit_time.map(field::pb_time),
        hierarchy_version: version.cast_signed(),
    }
}

#[cfg(test)]
mod tests {
    use dunghan_rpc::field::pb_date;

    use super::*;

    /// The fields of the row that do not read, or what was read.
    fn fields(row: pb::UnitRow) -> Result<Row, Vec<&'static str>> {
        super::row(3, row).map_err(|bad| bad.problems.iter().map(|one| one.field).collect())
    }

    fn province() -> pb::UnitRow {
        pb::UnitRow {
            code: "24".to_owned(),
            display_name: "Tỉnh Bắc Ninh".to_owned(),
            kind: pb::Kind::Tinh.into(),
            level: pb::Level::Province.into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_row_says_of_which_unit_it_is_and_under_which_codes() {
        let day = |text: &str| text.parse::<NaiveDate>().ok();
        let read = fields(province()).unwrap();
        assert_eq!((read.position, read.number, read.origin), (3, 4, None));
        assert_eq!((read.scheme.as_str(), read.value.as_deref()), (NSO, Some("24")));
        assert_eq!(read.unit, UnitId::new(NSO, "24", None));

        let other = pb::UnitRow {
            row: 70,
            scheme: "dinh_danh".to_owned(),
            code: "H05".to_owned(),
            origin_scheme: NSO.to_owned(),
            origin_code: "24".to_owned(),
            origin_date: day("2025-07-01").map(pb_date),
            parent_code: "G01".to_owned(),
            valid_from_date: day("2026-01-01").map(pb_date),
            valid_through_date: day("2026-12-31").map(pb_date),
            ..province()
        };
        let read = fields(other.clone()).unwrap();
        assert_eq!((read.number, read.unit), (70, UnitId::new(NSO, "24", day("2025-07-01"))));
        let parent = read.parent.clone().unwrap();
        assert_eq!((parent.scheme.as_str(), parent.value.as_str()), ("dinh_danh", "G01"));
        assert_eq!(read.validity.until, day("2027-01-01"));
        // And is written as it was read, but for its place.
        assert_eq!(unit_row(read), pb::UnitRow { row: 0, ..other.clone() });

        let none = fields(pb::UnitRow { code: String::new(), ..other }).unwrap();
        assert_eq!(none.value, None);
        // Its own origin is none.
        let first = pb::UnitRow { origin_code: "24".to_owned(), ..province() };
        assert_eq!(fields(first).unwrap().origin, None);
    }

    #[test]
    fn what_does_not_read_is_told_by_its_field() {
        let name = UnitId::new(NSO, "24", None).to_string();
        let date = |text: &str| text.parse().ok().map(pb_date);
        for (row, expected) in [
            (pb::UnitRow { code: String::new(), ..province() }, vec!["code"]),
            (pb::UnitRow { code: "024".to_owned(), ..province() }, vec!["code"]),
            (pb::UnitRow { scheme: "khac".to_owned(), code: name, ..province() }, vec!["code"]),
            (pb::UnitRow { parent_scheme: NSO.to_owned(), ..province() }, vec!["parent_scheme"]),
            (pb::UnitRow { origin_scheme: NSO.to_owned(), ..province() }, vec!["origin_scheme"]),
            (
                pb::UnitRow { origin_date: date("2025-07-01"), ..province() },
                vec!["origin_date", "valid_from_date"],
            ),
            (
                pb::UnitRow {
                    display_name: "Tỉnh\nBắc Ninh".to_owned(),
                    origin_code: "2 4".to_owned(),
                    ..province()
                },
                vec!["display_name", "origin_code"],
            ),
            (pb::UnitRow { kind: 99, level: 0, ..province() }, vec!["kind", "level"]),
        ] {
            assert_eq!(fields(row.clone()).unwrap_err(), expected, "{row:?}");
        }
    }

    #[test]
    fn no_more_problems_are_listed_than_fit_into_a_message_and_the_last_one_counts_the_rest() {
        let problems = |count: i32, bytes| {
            let problem = |row| RowProblem {
                position: 0,
                row,
                field: "code",
                reason: Reason::CodeTaken,
                message: "x".repeat(bytes),
            };
            row_problems(&(1..=count).map(problem).collect::<Vec<_>>())
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
