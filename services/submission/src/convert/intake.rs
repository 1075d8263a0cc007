//! Reports that come as rows, and arrivals of documents.

use chrono::{DateTime, Utc};
use dunghan_hierarchy::UnitId;
use dunghan_proto::policy::ErrorReason as Common;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::ErrorReason;
use dunghan_proto::submission::import_reports_request::Row;
use dunghan_rpc::field;
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::{Draft, MOST_NUMBER_BYTES, MOST_PERIOD_BYTES, asserted, draft, regime_id};
use crate::domain::arrival::{Arrival, ArrivalName, DocumentKey};
use crate::domain::intake::{
    ImportName, ImportState, Outcome, Refusal, ReportImport, Subject, Verdict,
};
use crate::domain::report::Asserted;
use crate::error::bad;
use crate::store::NotedArrival;

/// The name of a unit has some forty bytes.
const MOST_UNIT_BYTES: usize = 100;
const MOST_MESSAGE_CHARS: usize = 1000;
const MOST_CODE_BYTES: usize = 50;
/// Clients take messages of 4 MiB: refused rows that do not fit are told by the pages of the import alone.
const MOST_REFUSED_BYTES: usize = 3 << 20;

/// A count as the contract writes it.
fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A row as it reads.
#[derive(Debug)]
pub(crate) struct ReadRow {
    /// Where it stands in its file.
    pub(crate) number: i32,
    /// Whose report it is, as it names it; empty where that cannot be a name.
    pub(crate) unit: String,
    /// The same, as far as it is one.
    pub(crate) whose: Option<UnitId>,
    /// Of which report it is, as far as that reads.
    pub(crate) subject: Option<Subject>,
    /// What it says, or why it does not read.
    pub(crate) told: Result<ToldRow, Refusal>,
}

/// What a row says.
#[derive(Debug)]
pub(crate) struct ToldRow {
    pub(crate) unit: UnitId,
    pub(crate) draft: Draft,
    pub(crate) submit: bool,
    pub(crate) asserted: Option<Asserted>,
}

/// Reads a row; `at` counts from 0.
pub(crate) fn read_row(at: usize, content: &[u8]) -> ReadRow {
    let row = Row::decode(content).unwrap_or_default();
    let number = if row.row > 0 { row.row } else { count(at + 1) };
    let whose: Option<UnitId> = row.unit.parse().ok();
    let name = if row.unit.len() <= MOST_UNIT_BYTES { text(&row.unit) } else { String::default() };
    let subject = whose.zip(row.report.as_ref()).and_then(|(unit, report)| {
        let period = Some(&report.period).filter(|period| period.len() <= MOST_PERIOD_BYTES)?;
        Some((unit, regime_id(&report.regime)?.to_owned(), period.parse().ok()?))
    });
    let told = told(row).map_err(|status| refusal(&status));
    ReadRow { number, unit: name, whose, subject, told }
}

fn told(row: Row) -> Result<ToldRow, Status> {
    let unit = super::unit("unit", &row.unit)?;
    let draft = draft(field::required("report", row.report)?)?;
    let asserted = asserted(row.asserted_receive_time.as_ref(), row.receipt_evidence.as_ref())?;
    if asserted.is_some() && !row.submit {
        let says = "is of a report that is handed over, and the row does not say that it is";
        return Err(bad("asserted_receive_time", Common::InvalidField, says));
    }
    Ok(ToldRow { unit, draft, submit: row.submit, asserted })
}

/// PostgreSQL keeps U+0000 in no text.
fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Why a row is refused, as the same report alone would be. Where no field is at fault it is the unit.
pub(crate) fn refusal(status: &Status) -> Refusal {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let violations = details.bad_request().map(|bad| bad.field_violations.as_slice());
    let first = violations.unwrap_or_default().first().map(|violation| &violation.field);
    let field = first.cloned().unwrap_or_else(|| "unit".to_owned());
    let mut message: String = text(status.message()).chars().take(MOST_MESSAGE_CHARS).collect();
    if message.len() < status.message().len() {
        message.push('…');
    }
    Refusal { field, reason, message }
}

/// Whether a refusal is about what the row says, and not about the server.
pub(crate) fn is_of_row(status: &Status) -> bool {
    matches!(status.code(), Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition)
}

/// A refusal for a reason of this contract.
pub(crate) fn refused_row(field: &str, reason: ErrorReason, message: impl Into<String>) -> Refusal {
    let reason = reason.as_str_name().to_owned();
    Refusal { field: field.to_owned(), reason, message: message.into() }
}

/// A field that names an import.
///
/// Errors: INVALID_ARGUMENT naming the field.
pub(crate) fn import_name(field: &str, name: &str) -> Result<ImportName, Status> {
    name.parse().map_err(|error| bad(field, Common::InvalidField, error))
}

/// An import as the contract has it.
pub(crate) fn import(import: &ReportImport) -> pb::ReportImport {
    let state = match import.state {
        ImportState::Staged => pb::report_import::State::Staged,
        ImportState::Refused => pb::report_import::State::Refused,
        ImportState::Committed => pb::report_import::State::Committed,
    };
    let (committer, commit_time) = import.committed.clone().unzip();
    pb::ReportImport {
        name: import.name.to_string(),
        state: state.into(),
        received_count: count(import.counts.received),
        created_count: count(import.counts.created),
        updated_count: count(import.counts.updated),
        submitted_count: count(import.counts.submitted),
        unchanged_count: count(import.counts.unchanged),
        refused_count: count(import.counts.refused),
        creator: import.creator.clone(),
        create_time: Some(field::pb_time(import.create_time)),
        committer: committer.unwrap_or_default(),
        commit_time: commit_time.map(field::pb_time),
    }
}

/// What came of a row, as the contract has it.
pub(crate) fn import_row(verdict: &Verdict) -> pb::ReportImportRow {
    let outcome = match verdict.outcome {
        Outcome::Created => pb::report_import_row::Outcome::Created,
        Outcome::Updated => pb::report_import_row::Outcome::Updated,
        Outcome::Unchanged => pb::report_import_row::Outcome::Unchanged,
        Outcome::Refused => pb::report_import_row::Outcome::Refused,
    };
    pb::ReportImportRow {
        row: verdict.number,
        unit: verdict.unit.clone(),
        outcome: outcome.into(),
        submitted: verdict.submitted,
        report: verdict.report.map(|name| name.to_string()).unwrap_or_default(),
        field: verdict.refusal.field.clone(),
        reason: verdict.refusal.reason.clone(),
        message: verdict.refusal.message.clone(),
        error_count: count(verdict.errors),
        warning_count: count(verdict.warnings),
    }
}

/// What an import is answered with: the bad rows as far as there is room for them.
pub(crate) fn imported(
    report_import: &ReportImport,
    verdicts: &[Verdict],
) -> pb::ImportReportsResponse {
    let mut bytes = 0;
    let refused = verdicts.iter().filter(|verdict| verdict.outcome == Outcome::Refused);
    let fitting = refused.map(import_row).take_while(|row| {
        // With its tag and its length.
        bytes += row.encoded_len() + 8;
        bytes <= MOST_REFUSED_BYTES
    });
    pb::ImportReportsResponse {
        refused_rows: fitting.collect(),
        report_import: Some(import(report_import)),
    }
}

/// A field that names an arrival.
///
/// Errors: INVALID_ARGUMENT naming the field.
pub(crate) fn arrival_name(field: &str, name: &str) -> Result<ArrivalName, Status> {
    name.parse().map_err(|error| bad(field, Common::InvalidField, error))
}

/// What is wrong with one field of an arrival.
pub(crate) type Problem = (&'static str, ErrorReason, String);

/// An arrival as it reads, with the sender's code in the place of the sender.
///
/// Errors: all that is wrong.
pub(crate) fn arrival(
    recipient: UnitId,
    pb: &pb::Arrival,
    author: &str,
    now: DateTime<Utc>,
) -> Result<Arrival, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut line = |field: &'static str, text: &str, most: usize| {
        let text = text.trim();
        if text.is_empty() {
            problems.push((field, ErrorReason::InvalidValue, "is missing".to_owned()));
        } else if text.len() > most {
            let says = format!("must not be longer than {most} bytes");
            problems.push((field, ErrorReason::TooLong, says));
        } else if text.chars().any(char::is_control) {
            problems.push((field, ErrorReason::InvalidValue, "must be one line".to_owned()));
        }
        text.to_owned()
    };
    let number = line("arrival_number", &pb.arrival_number, MOST_CODE_BYTES);
    let sender_code = line("sender_agency_code", &pb.sender_agency_code, MOST_CODE_BYTES);
    let document_number = line("document_number", &pb.document_number, MOST_NUMBER_BYTES);
    let document_symbol = line("document_symbol", &pb.document_symbol, MOST_NUMBER_BYTES);
    let mut invalid = |field: &'static str, says: &str| {
        problems.push((field, ErrorReason::InvalidValue, says.to_owned()));
    };
    let at = field::instant("", pb.arrival_time.as_ref()).unwrap_or_default();
    if at.is_none() {
        invalid("arrival_time", "is missing, or is no time from 1900 to 2200");
    }
    let ahead = at.is_some_and(|at| at > now);
    let date = field::date("", pb.document_date.as_ref()).unwrap_or_default();
    if date.is_none() {
        invalid("document_date", "is missing, or is no date from 1900 to 2200");
    }
    if ahead {
        let says = "lies ahead of the server's clock".to_owned();
        problems.push(("arrival_time", ErrorReason::ReceiptInFuture, says));
    }
    if problems.is_empty()
        && let (Some(at), Some(document_date)) = (at, date)
    {
        if DocumentKey::new(&document_number, &document_symbol, document_date).is_some() {
            // Whoever has the code is looked up on the day that this arrived.
            let sender = recipient;
            let (author, recorded) = (author.to_owned(), now);
            return Ok(Arrival {
                id: Uuid::new_v4(),
                recipient,
                number,
                at,
                sender_code,
                sender,
                document_number,
                document_symbol,
                document_date,
                author,
                recorded,
                voided: None,
            });
        }
        let says = "has no letter or digit in it".to_owned();
        problems.push(("document_symbol", ErrorReason::InvalidValue, says));
    }
    Err(problems)
}

/// What is wrong with the arrival at this place, from 0.
pub(crate) fn arrival_problem(at: usize, (field, reason, says): Problem) -> pb::ArrivalProblem {
    pb::ArrivalProblem {
        index: count(at),
        field: field.to_owned(),
        reason: reason.into(),
        message: format!("{field} {says}"),
    }
}

/// An arrival as it stands.
pub(crate) fn noted_arrival(noted: &NotedArrival) -> pb::Arrival {
    let NotedArrival { arrival, report, fixed, ambiguous } = noted;
    let voided = arrival.voided.as_ref();
    pb::Arrival {
        name: arrival.name().to_string(),
        recipient: arrival.recipient.to_string(),
        arrival_number: arrival.number.clone(),
        arrival_time: Some(field::pb_time(arrival.at)),
        sender_agency_code: arrival.sender_code.clone(),
        sender: arrival.sender.to_string(),
        document_number: arrival.document_number.clone(),
        document_symbol: arrival.document_symbol.clone(),
        document_date: Some(field::pb_date(arrival.document_date)),
        report: report.map(|name| name.to_string()).unwrap_or_default(),
        fixed_receive_time: *fixed,
        author: arrival.author.clone(),
        create_time: Some(field::pb_time(arrival.recorded)),
        ambiguous: *ambiguous,
        void_time: voided.map(|voided| field::pb_time(voided.at)),
        voider: voided.map(|voided| voided.author.clone()).unwrap_or_default(),
        void_reason: voided.map(|voided| voided.reason.clone()).unwrap_or_default(),
    }
}
