//! Lists of units as files: those that come with the product, and those that an operator hands in.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::Read;

use chrono::NaiveDate;
use csv::{ReaderBuilder, StringRecord, Trim};
use dunghan_events::{pb_kind, pb_level};
use dunghan_hierarchy::{Kind, Level};
use dunghan_proto::registry as pb;
use dunghan_rpc::field::pb_date;

const LEGACY: &str = include_str!("../data/units_legacy.csv");
const UNITS_2025: &str = include_str!("../data/units_2025.csv");
const MERGERS: &str = include_str!("../data/unit_mergers.csv");
const CHANGES_2026: &str = include_str!("../data/unit_changes_2026.csv");

/// The reform: the first day of two tiers instead of three.
const REFORM: NaiveDate = match NaiveDate::from_ymd_opt(2025, 7, 1) {
    Some(day) => day,
    None => NaiveDate::MAX,
};

/// One thing wrong with one line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Counted from 1, the header included.
    pub line: u64,
    /// The column at fault; empty where it is the line as a whole.
    pub column: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column.as_str() {
            "" => write!(f, "line {}: {}", self.line, self.message),
            column => write!(f, "line {}, {column}: {}", self.line, self.message),
        }
    }
}

/// Everything that is wrong with a file, a line each.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}", .lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct BadFile {
    /// In the order of the file.
    pub lines: Vec<BadLine>,
}

impl BadFile {
    fn add(&mut self, line: u64, column: &str, message: impl Into<String>) {
        self.lines.push(BadLine { line, column: column.to_owned(), message: message.into() });
    }
}

/// The columns of a list of units. Whoever reads one knows all of its columns, so that a misspelt one is not left out in silence.
const REQUIRED: &[&str] = &["code", "name", "type", "parent_code", "level"];
const OPTIONAL: &[&str] = &[
    "name_en",
    "valid_from",
    "valid_through",
    "scheme",
    "parent_scheme",
    "origin_code",
    "origin_date",
];

/// A list of units as rows for ImportUnits, each with the number of its line.
///
/// `valid_from` and `valid_through` stand where the file says nothing. `type` and `level` are the words of the bundled
/// files, such as `phuong` and `commune`; dates are written YYYY-MM-DD; `name_en` is not kept.
///
/// # Errors
///
/// Every bad line; where the header is not one, only that.
pub fn rows_from_csv(
    reader: impl Read,
    valid_from: Option<NaiveDate>,
    valid_through: Option<NaiveDate>,
) -> Result<Vec<pb::UnitRow>, BadFile> {
    let mut rows = Vec::new();
    each_line(reader, REQUIRED, OPTIONAL, |line| {
        let code = line.required("code");
        let display_name = line.required("name");
        let kind: Option<Kind> = line.required("type").and_then(|word| line.read("type", word));
        let level: Option<Level> = line.required("level").and_then(|word| line.read("level", word));
        let from = line.date("valid_from");
        let through = line.date("valid_through");
        let origin_date = line.date("origin_date");
        let (Some(code), Some(display_name), Some(kind), Some(level)) =
            (code, display_name, kind, level)
        else {
            return;
        };
        rows.push(pb::UnitRow {
            row: i32::try_from(line.number).unwrap_or(i32::MAX),
            scheme: line.get("scheme").to_owned(),
            code: code.to_owned(),
            origin_code: line.get("origin_code").to_owned(),
            origin_date: origin_date.map(pb_date),
            display_name: display_name.to_owned(),
            kind: pb_kind(kind).into(),
            level: pb_level(level).into(),
            parent_code: line.get("parent_code").to_owned(),
            parent_scheme: line.get("parent_scheme").to_owned(),
            valid_from_date: from.or(valid_from).map(pb_date),
            valid_through_date: through.or(valid_through).map(pb_date),
            origin_scheme: String::new(),
        });
    })?;
    Ok(rows)
}

/// The units of the whole country, before the reform of 1 July 2025 and since, as rows for ImportUnits.
///
/// A unit that the reform left as it was, or only renamed or put under another parent, keeps its identity and has a row on
/// either side of that day, even where the rows say the same: before it the list is a guess, from it on it is not.
///
/// # Errors
///
/// None, unless the files were changed for the worse.
pub fn bundled_units() -> Result<Vec<pb::UnitRow>, BadFile> {
    let mut rows = rows_from_csv(LEGACY.as_bytes(), None, REFORM.pred_opt())?;
    let kept = kept_identities()?;
    let mut current = rows_from_csv(UNITS_2025.as_bytes(), Some(REFORM), None)?;
    for row in &mut current {
        if let Some(legacy) = kept.get(&row.code) {
            row.origin_code.clone_from(legacy);
        }
    }
    let changes = changes_2026(&current)?;
    rows.extend(current);
    rows.extend(changes);
    for (number, row) in (1..).zip(&mut rows) {
        row.row = number;
    }
    Ok(rows)
}

/// Which code a unit had before the reform, by its code since, for the units that are the same ones.
fn kept_identities() -> Result<HashMap<String, String>, BadFile> {
    let mut kept = HashMap::new();
    let columns = ["legacy_code", "legacy_name", "new_code", "kind", "nso_check"];
    each_line(MERGERS.as_bytes(), &columns, &[], |line| {
        let same = ["unchanged", "whole_renamed_or_retyped", "province_unchanged"];
        if same.contains(&line.get("kind")) && ["ok", "na"].contains(&line.get("nso_check")) {
            kept.insert(line.get("new_code").to_owned(), line.get("legacy_code").to_owned());
        }
    })?;
    Ok(kept)
}

/// The later versions of units of 2025.
fn changes_2026(units: &[pb::UnitRow]) -> Result<Vec<pb::UnitRow>, BadFile> {
    let mut changes = Vec::new();
    let columns = [
        "code",
        "name_before",
        "name_after",
        "type_before",
        "type_after",
        "effective_date",
        "basis",
        "certainty",
    ];
    each_line(CHANGES_2026.as_bytes(), &columns, &[], |line| {
        let kind: Option<Kind> = line.read("type_after", line.get("type_after"));
        let from = line.date("effective_date");
        let Some(unit) = units.iter().find(|unit| unit.code == line.get("code")) else {
            line.bad("code", "is no unit of 2025");
            return;
        };
        let mut row = unit.clone();
        if row.origin_code.is_empty() {
            row.origin_code.clone_from(&unit.code);
            row.origin_date = Some(pb_date(REFORM));
        }
        row.display_name = line.get("name_after").to_owned();
        row.kind = kind.map_or(row.kind, |kind| pb_kind(kind).into());
        row.valid_from_date = from.map(pb_date);
        changes.push(row);
    })?;
    Ok(changes)
}

/// One line of a file, with what is wrong with it.
struct Line<'a> {
    number: u64,
    columns: &'a HashMap<String, usize>,
    fields: StringRecord,
    bad: RefCell<BadFile>,
}

impl Line<'_> {
    /// Empty where the file has no such column.
    fn get(&self, column: &str) -> &str {
        self.columns.get(column).and_then(|at| self.fields.get(*at)).unwrap_or_default()
    }

    fn bad(&self, column: &str, message: impl Into<String>) {
        self.bad.borrow_mut().add(self.number, column, message);
    }

    fn required(&self, column: &str) -> Option<&str> {
        let text = self.get(column);
        if text.is_empty() {
            self.bad(column, "is missing");
            return None;
        }
        Some(text)
    }

    fn read<T: std::str::FromStr<Err: fmt::Display>>(&self, column: &str, word: &str) -> Option<T> {
        word.parse().map_err(|e: T::Err| self.bad(column, e.to_string())).ok()
    }

    fn date(&self, column: &str) -> Option<NaiveDate> {
        let text = self.get(column);
        if text.is_empty() {
            return None;
        }
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
        if date.is_none() {
            self.bad(column, format!("is no date written YYYY-MM-DD: {text:?}"));
        }
        date
    }
}

/// Reads a CSV file line by line. A byte order mark and either kind of line ends are taken; a column that is not asked
/// for, or is there twice or not at all, is not.
fn each_line(
    mut reader: impl Read,
    required: &[&str],
    optional: &[&str],
    mut each: impl FnMut(&Line<'_>),
) -> Result<(), BadFile> {
    let mut bad = BadFile::default();
    let mut file = Vec::new();
    if let Err(error) = reader.read_to_end(&mut file) {
        bad.add(1, "", format!("cannot be read: {error}"));
        return Err(bad);
    }
    let mut lines = LineNumbers { file: &file, byte: 0, line: 1 };
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(&file[..]);
    let columns = match reader.headers() {
        Ok(header) => columns(header, required, optional, &mut bad),
        Err(error) => {
            bad.add(1, "", error_text(&error));
            HashMap::new()
        }
    };
    if !bad.lines.is_empty() {
        return Err(bad);
    }
    for record in reader.into_records() {
        match record {
            Ok(fields) => {
                let number = lines.at(fields.position());
                let line = Line { number, columns: &columns, fields, bad: RefCell::default() };
                each(&line);
                bad.lines.extend(line.bad.into_inner().lines);
            }
            Err(error) => bad.add(lines.at(error.position()), "", error_text(&error)),
        }
    }
    if bad.lines.is_empty() { Ok(()) } else { Err(bad) }
}

/// On which line something stands. The reader's own count is one short in files whose lines end in CRLF, because for it
/// a record begins right after the CR.
struct LineNumbers<'a> {
    file: &'a [u8],
    byte: usize,
    line: u64,
}

impl LineNumbers<'_> {
    /// Asked in the order of the file.
    fn at(&mut self, position: Option<&csv::Position>) -> u64 {
        let begins = position.and_then(|position| usize::try_from(position.byte()).ok());
        let rest = begins.and_then(|byte| self.file.get(byte..)).unwrap_or_default();
        let ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let begins = begins.map_or(self.byte, |byte| byte + ends);
        let passed = self.file.get(self.byte..begins).unwrap_or_default();
        self.line += passed.iter().fold(0, |lines, byte| lines + u64::from(*byte == b'\n'));
        self.byte = self.byte.max(begins);
        self.line
    }
}

fn columns(
    header: &StringRecord,
    required: &[&str],
    optional: &[&str],
    bad: &mut BadFile,
) -> HashMap<String, usize> {
    let mut columns = HashMap::new();
    for (at, name) in header.iter().enumerate() {
        if !required.contains(&name) && !optional.contains(&name) {
            let known = [required, optional].concat().join(", ");
            bad.add(1, name, format!("is no column of this file; there are {known}"));
        } else if columns.insert(name.to_owned(), at).is_some() {
            bad.add(1, name, "is there twice");
        }
    }
    let found: HashSet<&str> = columns.keys().map(String::as_str).collect();
    for missing in required.iter().filter(|name| !found.contains(**name)) {
        bad.add(1, missing, "is missing from the header");
    }
    columns
}

fn error_text(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} fields instead of {expected_len}")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
