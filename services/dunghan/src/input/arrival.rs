//! Arrivals of documents as a CSV file holds them.

use chrono::{DateTime, NaiveDate, Utc};

use super::csv_file::{Column, Row, rows};
use super::{date, time};

/// One arrival of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArrivalRow {
    /// Where it stands in its file.
    pub(crate) line: u64,
    pub(crate) arrival_number: String,
    pub(crate) arrival_time: DateTime<Utc>,
    pub(crate) sender_agency_code: String,
    pub(crate) document_number: String,
    pub(crate) document_symbol: String,
    pub(crate) document_date: NaiveDate,
}

const COLUMNS: [Column; 6] = [
    Column { name: "arrival_number", required: true },
    Column { name: "arrival_time", required: true },
    Column { name: "sender_agency_code", required: true },
    Column { name: "document_number", required: true },
    Column { name: "document_symbol", required: true },
    Column { name: "document_date", required: true },
];

/// The arrivals of a CSV file, or everything that is wrong with it.
pub(crate) fn arrivals(bytes: &[u8]) -> Result<Vec<ArrivalRow>, Vec<String>> {
    let found = rows(bytes, &COLUMNS, arrival)?;
    if found.is_empty() { Err(vec!["has no rows".to_owned()]) } else { Ok(found) }
}

fn arrival(row: &Row<'_>) -> Result<ArrivalRow, Vec<(&'static str, String)>> {
    let mut problems = Vec::new();
    let mut text = |column: &'static str| {
        let text = row.cell(column);
        if text.is_empty() {
            problems.push((column, "is missing".to_owned()));
        }
        text.to_owned()
    };
    let (arrival_number, sender_agency_code) = (text("arrival_number"), text("sender_agency_code"));
    let (document_number, document_symbol) = (text("document_number"), text("document_symbol"));
    let mut note = |column, why: String| problems.push((column, why));
    let arrival_time = time(row.cell("arrival_time")).map_err(|why| note("arrival_time", why)).ok();
    let document_date =
        date(row.cell("document_date")).map_err(|why| note("document_date", why)).ok();
    match (arrival_time, document_date) {
        (Some(arrival_time), Some(document_date)) if problems.is_empty() => Ok(ArrivalRow {
            line: row.line,
            arrival_number,
            arrival_time,
            sender_agency_code,
            document_number,
            document_symbol,
            document_date,
        }),
        _ => Err(problems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "arrival_number,arrival_time,sender_agency_code,document_number,document_symbol,document_date";

    #[test]
    fn an_arrival_is_read_with_its_line_and_every_bad_cell_is_named() {
        let good = format!("{HEAD}\n215,2026-05-18T09:30,H05.27,103,BC-UBND,18/05/2026\n");
        let read = arrivals(good.as_bytes()).unwrap();
        assert_eq!((read[0].line, read[0].document_number.as_str()), (2, "103"));
        assert_eq!(read[0].document_date.to_string(), "2026-05-18");
        let bad = format!("{HEAD}\n,gestern,H05.27,103,,18/05/2026\n");
        let problems = arrivals(bad.as_bytes()).unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
    }
}
