//! `reports import`: reports by the thousand, all or none.

use std::collections::HashMap;

use dunghan_proto::submission as pb;
use dunghan_proto::submission::import_reports_request::{Header, Message, Row};
use serde::Serialize;

use crate::cli::Format;
use crate::client::{Client, PAGE};
use crate::failure::Failure;
use crate::input::{self, ReportFile, UnitRef};
use crate::output::{self, Column, Rows, plain, word};

/// A report with the line on which it stands.
pub(super) type Line = (i32, ReportFile);

#[derive(Serialize)]
struct Imported {
    report_import: String,
    /// STAGED where it was only tried.
    state: String,
    received_count: i32,
    created_count: i32,
    updated_count: i32,
    submitted_count: i32,
    unchanged_count: i32,
    rows: Vec<Outcome>,
}

#[derive(Serialize)]
struct Outcome {
    row: i32,
    unit: String,
    outcome: String,
    submitted: bool,
    report: String,
    error_count: i32,
    warning_count: i32,
}

/// The reports of a file, one on each line; or everything that is wrong with it.
pub(super) fn rows(bytes: &[u8]) -> Result<Vec<Line>, Vec<String>> {
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let number = i32::try_from(at + 1).unwrap_or(i32::MAX);
        match input::report(line) {
            Ok(report) => rows.push((number, report)),
            Err(why) => {
                problems.extend(why.into_iter().map(|why| format!("line {number}: {why}")));
            }
        }
    }
    if problems.is_empty() && rows.is_empty() {
        problems.push("has no reports".to_owned());
    }
    if problems.is_empty() { Ok(rows) } else { Err(problems) }
}

pub(super) async fn import(
    client: &Client,
    format: Format,
    below: String,
    lines: Vec<Line>,
    submit: bool,
    dry_run: bool,
) -> Result<(), Failure> {
    let mut known: HashMap<UnitRef, String> = HashMap::new();
    let count = lines.len();
    let bar = output::progress("Reports", count);
    let mut messages = Vec::with_capacity(count + 1);
    let row_count = i32::try_from(count).map_err(|_| Failure::input("has too many reports"))?;
    messages.push(Message::Header(Header {
        parent: below,
        row_count,
        validate_only: dry_run,
        request_id: uuid::Uuid::new_v4().to_string(),
    }));
    for (row, line) in lines {
        let unit = match known.get(&line.unit) {
            Some(name) => name.clone(),
            None => {
                let name = client.unit_name(&line.unit, None).await?;
                known.insert(line.unit.clone(), name.clone());
                name
            }
        };
        let submitting_unit = client.unit_name_or_all(line.submitting_unit.as_ref(), None).await?;
        let (asserted_receive_time, receipt_evidence) = line.receipt.unzip();
        messages.push(Message::Row(Row {
            row,
            unit,
            report: Some(pb::Report { submitting_unit, ..line.report }),
            submit,
            asserted_receive_time: asserted_receive_time.filter(|_| submit),
            receipt_evidence: receipt_evidence.filter(|_| submit),
        }));
    }
    let sent = bar.clone();
    let stream = messages.into_iter().map(move |message| {
        sent.inc(1);
        pb::ImportReportsRequest { message: Some(message) }
    });
    let stream = tokio_stream::iter(stream);
    let answer = client.intake().import_reports(stream).await?.into_inner();
    bar.finish_and_clear();
    if !answer.refused_rows.is_empty() {
        let refused = answer.refused_rows.iter();
        let refused =
            refused.map(|row| format!("line {}, {}: {}", row.row, row.field, row.message));
        return Err(Failure::Input(refused.collect()));
    }
    let import = answer.report_import.unwrap_or_default();
    let rows = outcomes(client, &import.name).await?;
    let imported = Imported {
        state: word(import.state().as_str_name(), "STATE_"),
        report_import: import.name,
        received_count: import.received_count,
        created_count: import.created_count,
        updated_count: import.updated_count,
        submitted_count: import.submitted_count,
        unchanged_count: import.unchanged_count,
        rows,
    };
    output::print(format, &imported, Imported::text)
}

async fn outcomes(client: &Client, import: &str) -> Result<Vec<Outcome>, Failure> {
    let mut request = pb::ListReportImportRowsRequest {
        parent: import.to_owned(),
        page_size: PAGE,
        page_token: String::new(),
    };
    let mut rows = Vec::new();
    loop {
        let page = client.intake().list_report_import_rows(request.clone()).await?.into_inner();
        rows.extend(page.rows.into_iter().map(|row| Outcome {
            outcome: word(row.outcome().as_str_name(), "OUTCOME_"),
            row: row.row,
            unit: row.unit,
            submitted: row.submitted,
            report: row.report,
            error_count: row.error_count,
            warning_count: row.warning_count,
        }));
        if page.next_page_token.is_empty() {
            return Ok(rows);
        }
        request.page_token = page.next_page_token;
    }
}

impl Imported {
    fn text(&self) -> String {
        let tried = if self.state == "STAGED" { " (tried only)" } else { "" };
        let head = output::pairs(&[
            ("Import", format!("{}{tried}", self.report_import)),
            ("Reports", self.received_count.to_string()),
            ("New", self.created_count.to_string()),
            ("Changed", self.updated_count.to_string()),
            ("Handed over", self.submitted_count.to_string()),
            ("Unchanged", self.unchanged_count.to_string()),
        ]);
        let found = self.rows.iter().filter(|row| row.error_count + row.warning_count > 0);
        let mut rows = Rows::new(&[
            Column::Number("Line"),
            Column::Text("What"),
            Column::Number("Errors"),
            Column::Number("Warnings"),
        ]);
        let mut any = false;
        for row in found {
            any = true;
            rows.row([
                row.row.to_string(),
                plain(&row.outcome),
                row.error_count.to_string(),
                row.warning_count.to_string(),
            ]);
        }
        if any { format!("{head}\n\n{}", rows.text()) } else { head }
    }
}
