//! CSV, strictly: the columns are known, the text is UTF-8, and every bad row is named with its line.

use std::collections::HashMap;

/// A column that a file may have.
pub(super) struct Column {
    pub(super) name: &'static str,
    /// Whether the file has to have it.
    pub(super) required: bool,
}

/// One row: its line in the file, and its cells by column.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) line: u64,
    cells: &'a csv::StringRecord,
    places: &'a HashMap<&'static str, usize>,
}

impl Row<'_> {
    /// A cell without the blanks around it; empty where the file lacks the column.
    pub(super) fn cell(&self, column: &str) -> &str {
        self.places.get(column).and_then(|place| self.cells.get(*place)).unwrap_or("").trim()
    }
}

/// The text of a file, without a byte order mark.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Vec<String>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    str::from_utf8(bytes).map_err(|_| {
        let lines = bytes.split(|byte| *byte == b'\n').zip(1..);
        let bad = lines.filter(|(line, _)| str::from_utf8(line).is_err());
        bad.map(|(_, number)| format!("line {number}: is not UTF-8")).collect()
    })
}

/// Each row through `read`, whose error is a list of (column, why); all of them, or every problem.
pub(super) fn rows<T>(
    bytes: &[u8],
    columns: &[Column],
    mut read: impl FnMut(&Row<'_>) -> Result<T, Vec<(&'static str, String)>>,
) -> Result<Vec<T>, Vec<String>> {
    let text = text(bytes)?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let mut lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
    let header = reader.headers().map_err(|e| vec![format!("line 1: {e}")])?.clone();
    let places = places(&header, columns)?;
    let (mut good, mut problems) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                problems.push(e.to_string());
                break;
            }
        };
        let line = lines.of(record.position().map_or(0, csv::Position::byte));
        if record.len() != header.len() {
            let (found, wanted) = (record.len(), header.len());
            problems.push(format!("line {line}: has {found} columns, the first line {wanted}"));
            continue;
        }
        match read(&Row { line, cells: &record, places: &places }) {
            Ok(row) => good.push(row),
            Err(bad) => problems.extend(
                bad.into_iter().map(|(column, why)| format!("line {line}, {column}: {why}")),
            ),
        }
    }
    if problems.is_empty() { Ok(good) } else { Err(problems) }
}

/// Counts lines. The reader's own count is behind after a blank line and after CRLF.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line on which the record begins that the reader says begins at `byte`; records come in order.
    fn of(&mut self, byte: u64) -> u64 {
        let from = usize::try_from(byte).unwrap_or(usize::MAX).max(self.at);
        let rest = self.text.get(from..).unwrap_or_default();
        let begin = from + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = self.text.get(self.at..begin).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').map(|_| 1).sum::<u64>();
        self.at = begin;
        self.line
    }
}

fn places(
    header: &csv::StringRecord,
    columns: &[Column],
) -> Result<HashMap<&'static str, usize>, Vec<String>> {
    let (mut places, mut problems) = (HashMap::new(), Vec::new());
    for (place, name) in header.iter().enumerate() {
        match columns.iter().find(|column| column.name == name.trim()) {
            None => {
                let known: Vec<_> = columns.iter().map(|column| column.name).collect();
                let known = known.join(", ");
                problems.push(format!("line 1: there is no column {name:?}; there are {known}"));
            }
            Some(column) => {
                if places.insert(column.name, place).is_some() {
                    problems.push(format!("line 1: the column {name} stands twice"));
                }
            }
        }
    }
    let missing =
        columns.iter().filter(|column| column.required && !places.contains_key(column.name));
    problems.extend(missing.map(|column| format!("line 1: the column {} is missing", column.name)));
    if problems.is_empty() { Ok(places) } else { Err(problems) }
}
