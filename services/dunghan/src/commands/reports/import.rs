//! `reports import`: reports by the thousand, all or none.

use std::collections::HashMap;

use chrono::NaiveDate;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::import_reports_request::{Header, Message, Row};
use serde::Serialize;
use tonic::Code;

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
    refused_count: i32,
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
    /// Refused: the field at fault, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Refusal>,
}

#[derive(Serialize)]
struct Refusal {
    field: String,
    reason: String,
    message: String,
}

/// What is to be done with reports that are taken in.
#[derive(Clone, Debug)]
pub(super) struct How {
    /// The unit below which all of them are.
    pub(super) below: UnitRef,
    /// The date on which codes are meant that name none themselves.
    pub(super) as_of: Option<NaiveDate>,
    pub(super) submit: bool,
    pub(super) dry_run: bool,
}

impl How {
    /// What to type to apply an import that was only tried, in lines that are not too wide for a name.
    fn again(&self, id: &str) -> String {
        let as_of = self.as_of.map_or_else(String::new, |date| format!(" --as-of {date}"));
        format!("  dunghan reports import --below {}{as_of} \\\n    --staged {id}", self.below)
    }
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
    lines: Vec<Line>,
    how: How,
) -> Result<(), Failure> {
    let parent = client.unit_name(&how.below, how.as_of).await?;
    let names = names(client, &lines, how.as_of).await?;
    let row_count = lines.len();
    let bar = output::progress("Reports", row_count);
    let header = Header {
        parent,
        row_count: i32::try_from(row_count).map_err(|_| Failure::input("has too many reports"))?,
        validate_only: how.dry_run,
        request_id: uuid::Uuid::new_v4().to_string(),
    };
    let named = |unit: &UnitRef| names.get(unit).cloned().unwrap_or_default();
    let rows = lines.into_iter().map(|(row, line)| {
        let (asserted_receive_time, receipt_evidence) = line.receipt.unzip();
        let submitting_unit = line.submitting_unit.as_ref().map(named).unwrap_or_default();
        Message::Row(Row {
            row,
            unit: named(&line.unit),
            report: Some(pb::Report { submitting_unit, ..line.report }),
            submit: how.submit,
            asserted_receive_time: asserted_receive_time.filter(|_| how.submit),
            receipt_evidence: receipt_evidence.filter(|_| how.submit),
        })
    });
    let messages: Vec<_> = [Message::Header(header)].into_iter().chain(rows).collect();
    let sent = bar.clone();
    let stream = messages.into_iter().map(move |message| {
        sent.inc(u64::from(matches!(message, Message::Row(_))));
        pb::ImportReportsRequest { message: Some(message) }
    });
    let stream = tokio_stream::iter(stream);
    let answer = client.intake().import_reports(stream).await?.into_inner();
    bar.finish_and_clear();
    tell(client, format, answer.report_import.unwrap_or_default(), Some(&how)).await
}

/// The names of all units that lines name, each asked for once; or every line whose unit there is not.
async fn names(
    client: &Client,
    lines: &[Line],
    as_of: Option<NaiveDate>,
) -> Result<HashMap<UnitRef, String>, Failure> {
    let mut asked: HashMap<&UnitRef, Result<String, String>> = HashMap::new();
    let (mut problems, mut other_day) = (Vec::new(), false);
    let bar = output::progress("Units", lines.len());
    for (number, line) in lines {
        let agency = line.submitting_unit.as_ref();
        for (field, unit) in
            [("unit", Some(&line.unit)), ("submitting_unit", agency)].into_iter().filter_map(given)
        {
            if !asked.contains_key(unit) {
                let found = match client.unit_name(unit, as_of).await {
                    Err(Failure::Refused(status))
                        if matches!(status.code(), Code::NotFound | Code::InvalidArgument) =>
                    {
                        let says = status.message().to_owned();
                        let reason = Failure::Refused(status).reason();
                        other_day |= reason.as_deref() == Some("CODE_NOT_VALID_ON_DATE");
                        Err(says)
                    }
                    found => Ok(found?),
                };
                asked.insert(unit, found);
            }
            if let Some(Err(says)) = asked.get(unit) {
                problems.push(format!("line {number}, {field}: {says}"));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if other_day {
        problems.push("A code of another day: CODE:DATE in the line, or --as-of DATE".to_owned());
    }
    if !problems.is_empty() {
        return Err(Failure::Input(problems));
    }
    Ok(asked.into_iter().filter_map(|(unit, name)| Some((unit.clone(), name.ok()?))).collect())
}

fn given<'a>(
    (field, unit): (&'static str, Option<&'a UnitRef>),
) -> Option<(&'static str, &'a UnitRef)> {
    Some((field, unit?))
}

/// Applies what was only tried; with `dry_run`, says again what would come of it.
pub(super) async fn staged(
    client: &Client,
    format: Format,
    name: String,
    dry_run: bool,
) -> Result<(), Failure> {
    let stands = async |name: String| {
        let request = pb::GetReportImportRequest { name };
        Ok::<_, Failure>(client.intake().get_report_import(request).await?.into_inner())
    };
    if dry_run {
        return tell(client, format, stands(name).await?, None).await;
    }
    let request = pb::CommitReportImportRequest { name: name.clone() };
    match client.intake().commit_report_import(request).await.map_err(Failure::from) {
        Ok(import) => tell(client, format, import.into_inner(), None).await,
        // The rows say why.
        Err(refused) if refused.reason().as_deref() == Some("REPORT_IMPORT_REFUSED") => {
            tell(client, format, stands(name).await?, None).await.and(Err(refused))
        }
        Err(refused) => Err(refused),
    }
}

/// What came of an import, row by row. One that is refused ends the command so, with every row that is bad.
async fn tell(
    client: &Client,
    format: Format,
    import: pb::ReportImport,
    how: Option<&How>,
) -> Result<(), Failure> {
    let rows = outcomes(client, &import.name).await?;
    let imported = Imported {
        state: word(import.state().as_str_name(), "STATE_"),
        report_import: import.name,
        received_count: import.received_count,
        created_count: import.created_count,
        updated_count: import.updated_count,
        submitted_count: import.submitted_count,
        unchanged_count: import.unchanged_count,
        refused_count: import.refused_count,
        rows,
    };
    if imported.refused_count == 0 {
        return output::print(format, &imported, |imported| imported.text(how));
    }
    let (refused, all) = (imported.refused_count, imported.received_count);
    let nothing = format!("{refused} of {all} reports are refused; nothing was applied.");
    match format {
        Format::Json => {
            output::print(format, &imported, |_| String::new())?;
            Err(Failure::input(nothing))
        }
        Format::Table => {
            let bad = imported.rows.iter().filter_map(|row| {
                let Refusal { field, message, .. } = row.refusal.as_ref()?;
                Some(format!("line {}, {field}: {message}", row.row))
            });
            Err(Failure::Input(bad.chain([nothing]).collect()))
        }
    }
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
        rows.extend(page.rows.into_iter().map(Outcome::from));
        if page.next_page_token.is_empty() {
            return Ok(rows);
        }
        request.page_token = page.next_page_token;
    }
}

impl From<pb::ReportImportRow> for Outcome {
    fn from(row: pb::ReportImportRow) -> Self {
        let refused = row.outcome() == pb::report_import_row::Outcome::Refused;
        Self {
            outcome: word(row.outcome().as_str_name(), "OUTCOME_"),
            row: row.row,
            unit: row.unit,
            submitted: row.submitted,
            report: row.report,
            error_count: row.error_count,
            warning_count: row.warning_count,
            refusal: refused.then_some(Refusal {
                field: row.field,
                reason: word(&row.reason, "ERROR_REASON_"),
                message: row.message,
            }),
        }
    }
}

impl Imported {
    fn text(&self, how: Option<&How>) -> String {
        let tried = self.state == "STAGED";
        let id = self.report_import.rsplit('/').next().unwrap_or_default();
        let head = output::pairs(&[
            ("Import", id.to_owned()),
            ("State", if tried { "tried only" } else { "applied" }.to_owned()),
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
        let mut text = head;
        if any {
            text.push_str(&format!("\n\n{}", rows.text()));
        }
        if let Some(how) = how.filter(|_| tried) {
            text.push_str(&format!("\n\nTo apply it as it is:\n{}", how.again(id)));
        }
        text
    }
}
