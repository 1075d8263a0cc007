//! Dossiers as a CSV file holds them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use dunghan_calendar::Term;
use dunghan_proto::compliance::dossier::Channel;

use super::csv_file::{Column, Row, rows};
use super::{time, word};

/// One dossier of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DossierRow {
    /// Where it stands in its file.
    pub(crate) line: u64,
    pub(crate) dossier_id: String,
    pub(crate) field: String,
    pub(crate) channel: Channel,
    pub(crate) receive_time: DateTime<Utc>,
    pub(crate) term: Term,
    pub(crate) complete_time: Option<DateTime<Utc>>,
    pub(crate) record_time: Option<DateTime<Utc>>,
}

const COLUMNS: [Column; 7] = [
    Column { name: "dossier_id", required: true },
    Column { name: "field", required: true },
    Column { name: "channel", required: true },
    Column { name: "receive_time", required: true },
    Column { name: "term", required: true },
    Column { name: "complete_time", required: false },
    Column { name: "record_time", required: false },
];

/// The dossiers of a CSV file, or everything that is wrong with it.
pub(crate) fn dossiers(bytes: &[u8]) -> Result<Vec<DossierRow>, Vec<String>> {
    let mut seen = HashMap::new();
    let found = rows(bytes, &COLUMNS, |row| {
        let dossier = dossier(row)?;
        match seen.insert(dossier.dossier_id.clone(), row.line) {
            None => Ok(dossier),
            Some(first) => Err(vec![("dossier_id", format!("stands in line {first} already"))]),
        }
    })?;
    if found.is_empty() { Err(vec!["has no rows".to_owned()]) } else { Ok(found) }
}

fn dossier(row: &Row<'_>) -> Result<DossierRow, Vec<(&'static str, String)>> {
    let mut problems = Vec::new();
    let mut text = |column: &'static str| {
        let text = row.cell(column);
        if text.is_empty() {
            problems.push((column, "is missing".to_owned()));
        }
        text.to_owned()
    };
    let (dossier_id, field) = (text("dossier_id"), text("field"));
    let mut note = |column, why: String| problems.push((column, why));
    let channel = word("CHANNEL_", row.cell("channel"), Channel::from_str_name);
    if channel.is_none() {
        note("channel", format!("{:?} is not online or direct_or_postal", row.cell("channel")));
    }
    let term = row.cell("term").parse::<Term>().map_err(|e| note("term", e.to_string())).ok();
    let mut instant = |column: &'static str, required: bool| match row.cell(column) {
        "" if !required => None,
        text => time(text).map_err(|why| note(column, why)).ok(),
    };
    let receive_time = instant("receive_time", true);
    let complete_time = instant("complete_time", false);
    let record_time = instant("record_time", false);
    match (channel, term, receive_time) {
        (Some(channel), Some(term), Some(receive_time)) if problems.is_empty() => Ok(DossierRow {
            line: row.line,
            dossier_id,
            field,
            channel,
            receive_time,
            term,
            complete_time,
            record_time,
        }),
        _ => Err(problems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "dossier_id,field,channel,receive_time,term,complete_time,record_time";

    fn problems(text: impl AsRef<[u8]>) -> Vec<String> {
        dossiers(text.as_ref()).unwrap_err()
    }

    #[test]
    fn a_file_may_begin_with_a_byte_order_mark_and_end_its_lines_as_windows_does() {
        let text = format!(
            "\u{feff}{HEADER}\r\n240507-01,Hộ tịch,online,2024-05-07T08:15,3d,,\r\n\
             240507-02,\"Phòng, chống thiên tai\",direct_or_postal,2024-05-07T09:00,same-day,2024-05-07T10:00,2024-05-07T10:05\r\n\
             \r\n240507-03,Hộ tịch,online,2024-05-07T08:15,3d,,"
        );
        let found = dossiers(text.as_bytes()).unwrap();
        let lines: Vec<_> = found.iter().map(|row| row.line).collect();
        assert_eq!(lines, [2, 3, 5]);
        assert_eq!(found[0].receive_time, time("2024-05-07T08:15").unwrap());
        assert_eq!(found[0].complete_time, None);
        assert_eq!(found[1].field, "Phòng, chống thiên tai");
        assert_eq!(found[1].channel, Channel::DirectOrPostal);
    }

    #[test]
    fn every_bad_row_is_named_with_its_line_and_column() {
        let text = format!(
            "{HEADER}\n,Hộ tịch,online,2024-05-07T08:15,3d,,\n1,Hộ tịch,fax,7/5/2024,3 days,,\n2,x,online\n\
             3,Hộ tịch,online,2024-05-07T08:15,3d,,later\n4,a,online,2024-05-07T08:15,3d,,\n4,a,online,2024-05-07T08:15,3d,,\n"
        );
        let problems = problems(text);
        let begins = [
            "line 2, dossier_id: is missing",
            "line 3, channel: \"fax\"",
            "line 3, term: `3 days`",
            "line 3, receive_time: \"7/5/2024\"",
            "line 4: has 3 columns",
            "line 5, record_time: \"later\"",
            "line 7, dossier_id: stands in line 6",
        ];
        assert_eq!(problems.len(), begins.len(), "{problems:#?}");
        for (problem, begin) in problems.iter().zip(begins) {
            assert!(problem.starts_with(begin), "{problem}");
        }
    }

    #[test]
    fn a_column_that_there_is_not_is_named_and_so_is_one_that_is_missing() {
        let problems = problems("dossier_id,lĩnh vực,channel,receive_time,term,term\n");
        assert!(problems[0].contains("\"lĩnh vực\""), "{problems:?}");
        assert_eq!(problems[1], "line 1: the column term stands twice");
        assert_eq!(problems[2], "line 1: the column field is missing");
    }

    #[test]
    fn a_line_that_is_not_utf_8_is_named() {
        let mut bytes =
            format!("{HEADER}\n1,H\u{1ed9} t\u{1ecb}ch,online,2024-05-07T08:15,3d,,\n2,")
                .into_bytes();
        bytes.extend(b"H\xe9 t,online,2024-05-07T08:15,3d,,\n");
        assert_eq!(problems(bytes), ["line 3: is not UTF-8"]);
        assert_eq!(problems(HEADER), ["has no rows"]);
    }
}
