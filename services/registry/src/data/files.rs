//! Lists of units as files, whatever they are made by.

use std::io::Read;

use chrono::NaiveDate;
use dunghan_events::{kind, level, pb_kind, pb_level};
use dunghan_hierarchy::{Kind, Level};
use dunghan_proto::registry as pb;
use dunghan_proto::r#type::Date;
use dunghan_rpc::field::pb_date;

use super::{BadFile, Line, csv, xlsx};

pub(super) const REQUIRED: &[&str] = &["code", "name", "type", "parent_code", "level"];
const OPTIONAL: &[&str] = &[
    "name_en",
    "valid_from",
    "valid_through",
    "scheme",
    "parent_scheme",
    "origin_scheme",
    "origin_code",
    "origin_date",
];
/// Of those, the dates.
const DATES: &[&str] = &["valid_from", "valid_through", "origin_date"];

/// What is written, in this order, and how wide that is in a spreadsheet, in letters.
pub(super) const COLUMNS: [(&str, u16); 12] = [
    ("code", 10),
    ("name", 42),
    ("type", 12),
    ("level", 12),
    ("parent_code", 13),
    ("valid_from", 13),
    ("valid_through", 15),
    ("scheme", 12),
    ("parent_scheme", 15),
    ("origin_scheme", 15),
    ("origin_code", 13),
    ("origin_date", 13),
];

/// A row as the texts of [`COLUMNS`].
pub(super) fn fields(row: &pb::UnitRow) -> [String; COLUMNS.len()] {
    let date = |date: Option<&Date>| {
        date.map_or_else(String::new, |Date { year, month, day }| {
            format!("{year:04}-{month:02}-{day:02}")
        })
    };
    [
        row.code.clone(),
        row.display_name.clone(),
        kind(row.kind()).to_string(),
        level(row.level()).to_string(),
        row.parent_code.clone(),
        date(row.valid_from_date.as_ref()),
        date(row.valid_through_date.as_ref()),
        row.scheme.clone(),
        row.parent_scheme.clone(),
        row.origin_scheme.clone(),
        row.origin_code.clone(),
        date(row.origin_date.as_ref()),
    ]
}

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
    let each = |line: &Line<'_>| rows.extend(row(line, valid_from, valid_through));
    csv::each_line(reader, REQUIRED, OPTIONAL, each)?;
    Ok(rows)
}

/// As [`rows_from_csv`], of a CSV file or of the first sheet of an XLSX workbook, whichever it is.
///
/// In a workbook codes are texts: a number has lost the zeros in front of it, and is refused. A date is a date, or a text
/// written YYYY-MM-DD. Rows without anything in them are passed over.
///
/// # Errors
///
/// Every bad line; where the header is not one, or the file neither of these, only that.
pub fn rows_from_file(
    bytes: &[u8],
    valid_from: Option<NaiveDate>,
    valid_through: Option<NaiveDate>,
) -> Result<Vec<pb::UnitRow>, BadFile> {
    if !xlsx::is_one(bytes) {
        return rows_from_csv(bytes, valid_from, valid_through);
    }
    let mut rows = Vec::new();
    let each = |line: &Line<'_>| rows.extend(row(line, valid_from, valid_through));
    xlsx::each_line(bytes, REQUIRED, OPTIONAL, DATES, each)?;
    Ok(rows)
}

fn row(
    line: &Line<'_>,
    valid_from: Option<NaiveDate>,
    valid_through: Option<NaiveDate>,
) -> Option<pb::UnitRow> {
    // A unit that is known can hold none.
    let none = line.get("code").is_empty() && !line.get("origin_code").is_empty();
    let code = if none { Some("") } else { line.required("code") };
    let display_name = line.required("name");
    let kind: Option<Kind> = line.required("type").and_then(|word| line.read("type", word));
    let level: Option<Level> = line.required("level").and_then(|word| line.read("level", word));
    let from = line.date("valid_from");
    let through = line.date("valid_through");
    let origin_date = line.date("origin_date");
    Some(pb::UnitRow {
        row: i32::try_from(line.number).unwrap_or(i32::MAX),
        scheme: line.get("scheme").to_owned(),
        code: code?.to_owned(),
        origin_code: line.get("origin_code").to_owned(),
        origin_date: origin_date.map(pb_date),
        display_name: display_name?.to_owned(),
        kind: pb_kind(kind?).into(),
        level: pb_level(level?).into(),
        parent_code: line.get("parent_code").to_owned(),
        parent_scheme: line.get("parent_scheme").to_owned(),
        valid_from_date: from.or(valid_from).map(pb_date),
        valid_through_date: through.or(valid_through).map(pb_date),
        origin_scheme: line.get("origin_scheme").to_owned(),
    })
}
