//! XLSX, read and written.
//!
//! A workbook is an archive that somebody else packed. So before it is parsed it is unpacked once into nothing, to see how
//! much that is; what is parsed is counted; and a parser that gives up in the middle is an error of the file.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Cursor, Read as _, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{DataRef, ExcelDateTime, Reader as _, Xlsx, XlsxError};
use chrono::NaiveDate;
use csv::StringRecord;
use dunghan_proto::registry as pb;
use rust_xlsxwriter::{Format, Workbook, Worksheet};
use zip::ZipArchive;

use super::files::{COLUMNS, fields};
use super::{BadFile, Line, columns};

/// The most bytes of a workbook, and of all that is packed in it.
pub(super) const MOST_PACKED: usize = 32 << 20;
pub(super) const MOST_UNPACKED: u64 = 192 << 20;
/// The most files that are packed in it: a workbook of one sheet has some ten.
const MOST_FILES: usize = 1000;
/// The most cells of the sheet, the empty ones too, and the most bytes of their texts: a text that stands in the archive once
/// can stand in any number of cells.
const MOST_CELLS: usize = 5_000_000;
const MOST_TEXT: usize = 64 << 20;

/// Whether this is a workbook, or pretends to be one: of old ones and of those with a password more is said than that they
/// are no CSV.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK") || is_old(bytes)
}

fn is_old(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0])
}

/// Reads the first sheet line by line. A column that is not asked for, or is there twice or not at all, is not taken.
pub(super) fn each_line(
    bytes: &[u8],
    required: &[&str],
    optional: &[&str],
    dates: &[&str],
    each: impl FnMut(&Line<'_>),
) -> Result<(), BadFile> {
    let refused = |why: String| {
        let mut bad = BadFile::default();
        bad.add(1, "", why);
        bad
    };
    if is_old(bytes) {
        let why = "is an old workbook, or one with a password; save it as XLSX without one";
        return Err(refused(why.to_owned()));
    }
    must_be_small(bytes, MOST_PACKED, MOST_UNPACKED).map_err(refused)?;
    let reading = Reading { required, optional, dates, each, bad: BadFile::default() };
    // Parsers of this format have panicked over files that are broken.
    match catch_unwind(AssertUnwindSafe(|| reading.all(bytes))) {
        Ok(Ok(bad)) if bad.lines.is_empty() => Ok(()),
        Ok(Ok(bad)) => Err(bad),
        Ok(Err(why)) => Err(refused(why)),
        Err(_) => Err(refused("is no workbook that can be read".to_owned())),
    }
}

/// Unpacks the whole into nothing. What the archive itself says of its size may be a lie.
pub(super) fn must_be_small(
    bytes: &[u8],
    most_packed: usize,
    most_unpacked: u64,
) -> Result<(), String> {
    if bytes.len() > most_packed {
        return Err(format!("is larger than {} MiB", most_packed >> 20));
    }
    let unreadable = |error: &dyn std::fmt::Display| format!("is no workbook: {error}");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| unreadable(&e))?;
    if archive.len() > MOST_FILES {
        return Err(format!("is no workbook: it has {} files in it", archive.len()));
    }
    let mut left = most_unpacked;
    for at in 0..archive.len() {
        let file = archive.by_index(at).map_err(|e| unreadable(&e))?;
        let unpacked = io::copy(&mut file.take(left + 1), &mut io::sink());
        let unpacked = unpacked.map_err(|e| unreadable(&e))?;
        let too_large = || format!("unpacks to more than {} MiB", most_unpacked >> 20);
        left = left.checked_sub(unpacked).ok_or_else(too_large)?;
    }
    Ok(())
}

/// A sheet on its way to lines.
struct Reading<'a, F> {
    required: &'a [&'a str],
    optional: &'a [&'a str],
    /// The columns that hold dates.
    dates: &'a [&'a str],
    each: F,
    bad: BadFile,
}

/// What the columns are called, and in which column of the sheet each stands.
struct Header {
    names: Vec<String>,
    places: HashMap<usize, usize>,
    columns: HashMap<String, usize>,
}

/// What stands in a row so far, each with its column.
#[derive(Default)]
struct Cells {
    number: u64,
    cells: Vec<(usize, Cell)>,
}

enum Cell {
    Text(String),
    Date(NaiveDate),
    Number,
    /// Something else; and what.
    Other(&'static str),
}

impl<F: FnMut(&Line<'_>)> Reading<'_, F> {
    fn all(mut self, bytes: &[u8]) -> Result<BadFile, String> {
        let unreadable = |error: XlsxError| format!("is no workbook that can be read: {error}");
        let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(unreadable)?;
        let first = workbook.sheet_names().into_iter().next();
        let first = first.ok_or_else(|| "has no sheet".to_owned())?;
        let mut sheet = workbook.worksheet_cells_reader(&first).map_err(unreadable)?;

        let (mut header, mut row) = (None, Cells::default());
        let (mut count, mut text) = (0, 0);
        while let Some(cell) = sheet.next_cell().map_err(unreadable)? {
            count += 1;
            if count > MOST_CELLS {
                return Err(format!("has more than {MOST_CELLS} cells"));
            }
            let (line, column) = cell.get_position();
            let number = u64::from(line) + 1;
            if number < row.number {
                return Err("has rows that are not in order".to_owned());
            }
            if number > row.number {
                let before = std::mem::replace(&mut row, Cells { number, cells: Vec::new() });
                if !self.line(&mut header, before) {
                    return Ok(self.bad);
                }
            }
            let Some(cell) = read(cell.get_value()) else { continue };
            if let Cell::Text(one) = &cell {
                text += one.len();
            }
            if text > MOST_TEXT {
                return Err(format!("has more than {} MiB of text", MOST_TEXT >> 20));
            }
            row.cells.push((column as usize, cell));
        }
        if self.line(&mut header, row) && header.is_none() {
            // It is empty: every column is missing.
            self.header(Cells { number: 1, cells: Vec::new() });
        }
        Ok(self.bad)
    }

    /// The first row with anything in it is the header; false where it is none.
    fn line(&mut self, header: &mut Option<Header>, row: Cells) -> bool {
        if row.cells.is_empty() {
            return true;
        }
        if let Some(header) = header {
            self.body(header, row);
            return true;
        }
        *header = self.header(row);
        header.is_some()
    }

    fn header(&mut self, row: Cells) -> Option<Header> {
        let (mut names, mut places) = (Vec::new(), HashMap::new());
        for (column, cell) in row.cells {
            let Cell::Text(name) = cell else {
                self.bad.add(row.number, &letters(column), "is no name of a column");
                continue;
            };
            places.insert(column, names.len());
            names.push(name);
        }
        let texts = names.iter().map(String::as_str);
        let columns = columns(texts, self.required, self.optional, row.number, &mut self.bad);
        self.bad.lines.is_empty().then_some(Header { names, places, columns })
    }

    fn body(&mut self, header: &Header, row: Cells) {
        let mut bad = BadFile::default();
        let mut fields = vec![String::new(); header.names.len()];
        for (column, cell) in row.cells {
            let Some(&at) = header.places.get(&column) else {
                bad.add(row.number, &letters(column), "has something in it, and no header");
                continue;
            };
            let name = header.names[at].as_str();
            let why = match (cell, self.dates.contains(&name)) {
                (Cell::Text(text), _) => {
                    fields[at] = text;
                    continue;
                }
                (Cell::Date(date), true) => {
                    fields[at] = date.to_string();
                    continue;
                }
                (Cell::Date(_), false) => "is a date; format the column as text",
                (Cell::Number, true) => {
                    "is a number and no date; format the column as date, or write YYYY-MM-DD as text"
                }
                (Cell::Number, false) if name.ends_with("code") => {
                    "is a number, which has lost the zeros in front of it; format the column as text and write the \
                     code again"
                }
                (Cell::Number, false) => "is a number; format the column as text",
                (Cell::Other(why), _) => why,
            };
            bad.add(row.number, name, why);
        }
        let (number, columns) = (row.number, &header.columns);
        let line =
            Line { number, columns, fields: StringRecord::from(fields), bad: RefCell::new(bad) };
        (self.each)(&line);
        self.bad.lines.extend(line.bad.into_inner().lines);
    }
}

/// What stands in a cell; `None`: nothing.
fn read(value: &DataRef<'_>) -> Option<Cell> {
    let text = |text: &str| {
        let text = text.trim();
        (!text.is_empty()).then(|| Cell::Text(text.to_owned()))
    };
    match value {
        DataRef::Empty => None,
        DataRef::String(one) => text(one),
        DataRef::SharedString(one) => text(one),
        DataRef::Int(_) | DataRef::Float(_) => Some(Cell::Number),
        DataRef::Bool(_) => Some(Cell::Other("is TRUE or FALSE; format the column as text")),
        DataRef::Error(_) => Some(Cell::Other("is an error of the spreadsheet")),
        DataRef::DurationIso(_) => Some(Cell::Other("is a length of time")),
        DataRef::DateTimeIso(one) => {
            let day = one.strip_suffix("T00:00:00").unwrap_or(one);
            let date = NaiveDate::parse_from_str(day, "%Y-%m-%d").ok();
            Some(date.map_or(Cell::Other("has a time of day"), Cell::Date))
        }
        DataRef::DateTime(one) => Some(day(one)),
    }
}

fn day(one: &ExcelDateTime) -> Cell {
    if !one.is_datetime() {
        return Cell::Other("is a length of time");
    }
    let (year, month, day, hours, minutes, seconds, milliseconds) = one.to_ymd_hms_milli();
    if (hours, minutes, seconds, milliseconds) != (0, 0, 0, 0) {
        return Cell::Other("has a time of day");
    }
    let date = NaiveDate::from_ymd_opt(year.into(), month.into(), day.into());
    date.map_or(Cell::Other("is no date"), Cell::Date)
}

/// A column as spreadsheets name it: A, B, …, Z, AA.
fn letters(column: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(b'A' + u8::try_from(rest % 26).unwrap_or_default());
        rest /= 26;
    }
    letters.iter().rev().map(|letter| char::from(*letter)).collect()
}

/// Writes a list of units as a workbook of one sheet. Every cell is a text: no code loses its zeros, and nothing is a
/// formula. Rows go into a temporary file one by one, so that a long list takes no more room than a short one.
pub struct XlsxRows<W: Write + Send> {
    workbook: Workbook,
    writer: W,
    /// How many rows there are, the header included.
    rows: u32,
}

impl<W: Write + Send> std::fmt::Debug for XlsxRows<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("XlsxRows").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl<W: Write + Send> XlsxRows<W> {
    /// Begins with the header; `writer` gets the whole in the end.
    ///
    /// # Errors
    ///
    /// Whatever keeps the temporary file from being made.
    pub fn new(writer: W) -> io::Result<Self> {
        let workbook = begun().map_err(io_error)?;
        Ok(Self { workbook, writer, rows: 1 })
    }

    fn sheet(&mut self) -> io::Result<&mut Worksheet> {
        self.workbook.worksheet_from_index(0).map_err(io_error)
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// Whatever keeps the temporary file from taking it; also one more than a sheet has room for.
    pub fn row(&mut self, row: &pb::UnitRow) -> io::Result<()> {
        let at = self.rows;
        let sheet = self.sheet()?;
        for (column, field) in (0..).zip(fields(row)) {
            if !field.is_empty() {
                sheet.write_string(at, column, field).map_err(io_error)?;
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Writes the workbook.
    ///
    /// # Errors
    ///
    /// Whatever keeps the writer from taking it.
    pub fn finish(mut self) -> io::Result<()> {
        let last_row = self.rows - 1;
        self.sheet()?.autofilter(0, 0, last_row, LAST_COLUMN).map_err(io_error)?;
        self.workbook.save_to_writer(&mut self.writer).map_err(io_error)?;
        self.writer.flush()
    }
}

const LAST_COLUMN: u16 = COLUMNS.len() as u16 - 1;

fn begun() -> Result<Workbook, rust_xlsxwriter::XlsxError> {
    let mut workbook = Workbook::new();
    let bold = Format::new().set_bold();
    let sheet = workbook.add_worksheet_with_constant_memory()?;
    sheet.set_name("Đơn vị")?.set_freeze_panes(1, 0)?;
    for (column, (name, width)) in (0..).zip(COLUMNS) {
        sheet.set_column_width(column, width)?;
        sheet.write_string_with_format(0, column, name, &bold)?;
    }
    Ok(workbook)
}

fn io_error(error: rust_xlsxwriter::XlsxError) -> io::Error {
    match error {
        rust_xlsxwriter::XlsxError::IoError(error) => error,
        error => io::Error::other(error),
    }
}
