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

pub use csv::CsvRows;
use csv::each_line;
pub use files::{rows_from_csv, rows_from_file};
pub use reform::{Bundle, bundle};
pub use xlsx::XlsxRows;

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

#[cfg(test)]
mod tests;
