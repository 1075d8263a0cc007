//! Lists of units as files: those that come with the product, and those that an operator hands in.

mod csv;
mod files;
mod reform;
mod xlsx;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;

use ::csv::StringRecord;
use chrono::NaiveDate;
use dunghan_events::pb_kind;
use dunghan_hierarchy::Kind;
use dunghan_proto::registry as pb;
use dunghan_rpc::field::pb_date;

pub use csv::CsvRows;
use csv::each_line;
pub use files::{rows_from_csv, rows_from_file};
pub use reform::{Bundle, bundle};
pub use xlsx::XlsxRows;

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
            // What does not read is not missing.
            if !self.bad.borrow().lines.iter().any(|bad| bad.column == column) {
                self.bad(column, "is missing");
            }
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

/// Where each column stands. Whoever reads a file knows all of its columns, so that a misspelt one is not left out in
/// silence.
fn columns<'a>(
    header: impl IntoIterator<Item = &'a str>,
    required: &[&str],
    optional: &[&str],
    line: u64,
    bad: &mut BadFile,
) -> HashMap<String, usize> {
    let mut columns = HashMap::new();
    for (at, name) in header.into_iter().enumerate() {
        if !required.contains(&name) && !optional.contains(&name) {
            let known = [required, optional].concat().join(", ");
            bad.add(line, name, format!("is no column of this file; there are {known}"));
        } else if columns.insert(name.to_owned(), at).is_some() {
            bad.add(line, name, "is there twice");
        }
    }
    let found: HashSet<&str> = columns.keys().map(String::as_str).collect();
    for missing in required.iter().filter(|name| !found.contains(**name)) {
        bad.add(line, missing, "is missing from the header");
    }
    columns
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

#[cfg(test)]
mod tests;
