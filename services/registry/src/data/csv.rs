//! CSV, read and written.
//!
//! A spreadsheet takes a cell that begins with one of `= + - @` for a formula, and runs it. No name or code begins so, but
//! nothing keeps one from being recorded; so such a cell is written with an apostrophe in front, as spreadsheets themselves
//! mark a text, and one apostrophe in front of such a cell is taken off when it is read. What was written reads back the
//! same, always.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Read, Write};

use csv::{ReaderBuilder, StringRecord, Trim, WriterBuilder};
use dunghan_proto::registry as pb;

use super::files::{COLUMNS, fields};
use super::{BadFile, Line, columns};

/// Reads a CSV file line by line. A byte order mark and either kind of line ends are taken; a column that is not asked
/// for, or is there twice or not at all, is not.
pub(super) fn each_line(
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
        Ok(header) => columns(header, required, optional, 1, &mut bad),
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
                let fields = without_marks(fields);
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

fn error_text(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} fields instead of {expected_len}")
        }
        _ => error.to_string(),
    }
}

/// Whether a spreadsheet would run it, or takes it for one of those that are marked.
fn like_a_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@'])
}

fn marked(text: &str) -> Cow<'_, str> {
    if like_a_formula(text) { format!("'{text}").into() } else { text.into() }
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| like_a_formula(rest)).unwrap_or(text)
}

fn without_marks(fields: StringRecord) -> StringRecord {
    if fields.iter().any(|field| without_mark(field) != field) {
        return fields.iter().map(without_mark).collect();
    }
    fields
}

/// With the kind that it had, by which a reader that has gone away is told apart.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// Writes a list of units as CSV: UTF-8 without a mark, lines ended by LF. It is meant for programs; a spreadsheet would take
/// the zeros in front of codes away.
#[derive(Debug)]
pub struct CsvRows<W: Write>(csv::Writer<W>);

impl<W: Write> CsvRows<W> {
    /// Begins with the header.
    ///
    /// # Errors
    ///
    /// Whatever keeps `writer` from taking it.
    pub fn new(writer: W) -> io::Result<Self> {
        let mut writer = WriterBuilder::new().from_writer(writer);
        writer.write_record(COLUMNS.map(|(name, _)| name)).map_err(io_error)?;
        Ok(Self(writer))
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// Whatever keeps the writer from taking it.
    pub fn row(&mut self, row: &pb::UnitRow) -> io::Result<()> {
        let fields = fields(row);
        let marked = fields.iter().map(|field| marked(field).into_owned());
        self.0.write_record(marked).map_err(io_error)
    }

    /// Writes what is not written yet.
    ///
    /// # Errors
    ///
    /// Whatever keeps the writer from taking it.
    pub fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_a_spreadsheet_would_run_is_marked_and_reads_back_as_it_was() {
        for (text, written) in [
            ("Phường Trí Quả", "Phường Trí Quả"),
            ("09427", "09427"),
            ("'Quoted'", "'Quoted'"),
            ("", ""),
            ("'", "'"),
            ("=1+1", "'=1+1"),
            ("+84", "'+84"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("'=1", "''=1"),
            ("''=1", "'''=1"),
        ] {
            assert_eq!(marked(text), written);
            assert_eq!(without_mark(written), text);
        }
    }
}
