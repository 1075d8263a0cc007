//! pb ⇄ domain: dossiers.

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::{Completion, Period, zone};
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::ErrorReason;
use dunghan_rpc::field;
use prost::Message as _;

use super::{MOST_PERIOD_BYTES, normal};
use crate::domain::calendar::{Calendar, Calendars, area};
use crate::domain::dossier::{
    Basis, Channel, Dossier, DossierDueChange, DossierName, Outcome, Resolution,
};
use crate::domain::summary::{Counts, Summary};

/// How a dossier is shown: at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShownDossier<'a> {
    pub(crate) at: DateTime<Utc>,
    pub(crate) hierarchy: &'a Hierarchy,
    pub(crate) calendars: &'a Calendars,
}

impl ShownDossier<'_> {
    pub(crate) fn dossier(&self, dossier: &Dossier) -> pb::Dossier {
        let outcome = |basis| pb_outcome(dossier.outcome(basis, self.at)).into();
        let known =
            |basis| dossier.completion(basis).filter(|time| *time <= self.at).map(field::pb_time);
        let day = zone::civil_date(dossier.receive_time);
        let area = area(dossier.name.unit, day, self.hierarchy);
        let late = dossier.working_days_late(self.at, self.calendars.of(area));
        pb::Dossier {
            name: dossier.name.to_string(),
            field: dossier.field.clone(),
            channel: match dossier.channel {
                Channel::Online => pb::dossier::Channel::Online,
                Channel::DirectOrPostal => pb::dossier::Channel::DirectOrPostal,
            }
            .into(),
            receive_time: Some(field::pb_time(dossier.receive_time)),
            term: dossier.term.to_string(),
            due_time: Some(field::pb_time(dossier.due.time)),
            complete_time: known(Basis::InFact),
            record_time: known(Basis::Recorded),
            outcome: outcome(Basis::Recorded),
            outcome_in_fact: outcome(Basis::InFact),
            working_days_late: late.cast_signed(),
            due_date: Some(field::pb_date(dossier.due_date())),
            due_changes: Vec::new(),
        }
    }
}

impl From<&DossierDueChange> for pb::DossierDueChange {
    fn from(change: &DossierDueChange) -> Self {
        let DossierDueChange { old, new, amendment } = change;
        Self {
            old_due_time: Some(field::pb_time(*old)),
            new_due_time: Some(field::pb_time(*new)),
            amendment: amendment.name().to_string(),
            reason: amendment.change.reason.clone(),
            author: amendment.author.clone(),
            create_time: Some(field::pb_time(amendment.create_time)),
        }
    }
}

fn pb_outcome(outcome: Outcome) -> pb::dossier::Outcome {
    match outcome {
        Outcome::InTime => pb::dossier::Outcome::InTime,
        Outcome::PendingOverdue => pb::dossier::Outcome::PendingOverdue,
        Outcome::Resolved(Completion::Early) => pb::dossier::Outcome::Early,
        Outcome::Resolved(Completion::OnTime) => pb::dossier::Outcome::OnTime,
        Outcome::Resolved(Completion::Overdue) => pb::dossier::Outcome::Overdue,
    }
}

/// Whether a text can be the name of a field (lĩnh vực).
pub(crate) fn is_field(text: &str) -> bool {
    (1..=200).contains(&text.chars().count()) && !text.contains('\0')
}

/// Problems of one answer: what is above would not fit into the message that a client takes.
const MOST_PROBLEMS: usize = 20_000;
const MOST_PROBLEM_BYTES: usize = 3 << 20;

/// As many problems as fit into an answer, and then how many more there are.
pub(crate) fn fitting(mut problems: Vec<pb::DossierRowProblem>) -> Vec<pb::DossierRowProblem> {
    let mut bytes = 0;
    let fits = problems.iter().take(MOST_PROBLEMS).take_while(|problem| {
        bytes += problem.encoded_len() + 8;
        bytes <= MOST_PROBLEM_BYTES
    });
    let fits = fits.count();
    let more = problems.len() - fits;
    problems.truncate(fits);
    if more > 0 {
        problems.push(pb::DossierRowProblem {
            reason: ErrorReason::RowInvalid.into(),
            message: format!("{more} more problems are not listed"),
            ..Default::default()
        });
    }
    problems
}

/// What is wrong with one field of a row.
#[derive(Debug)]
pub(crate) struct RowProblem {
    pub(crate) field: &'static str,
    pub(crate) reason: ErrorReason,
    pub(crate) message: String,
}

fn row_problem(field: &'static str, reason: ErrorReason, why: impl ToString) -> RowProblem {
    RowProblem { field, reason, message: why.to_string() }
}

/// A dossier as a row states it; `calendar` is the one that holds for the unit on a day.
///
/// Errors: everything that is wrong with the row, not only the first.
pub(crate) fn dossier<'a>(
    unit: UnitId,
    row: &pb::record_dossiers_request::Row,
    now: DateTime<Utc>,
    calendar: impl Fn(NaiveDate) -> &'a Calendar,
) -> Result<Dossier, Vec<RowProblem>> {
    use ErrorReason::{RowInvalid, TimeInFuture, TimesReversed};
    let mut problems = Vec::new();
    let empty = pb::Dossier::default();
    let value = row.dossier.as_ref().unwrap_or(&empty);
    let name = DossierName::new(unit, &row.dossier_id)
        .map_err(|e| problems.push(row_problem("dossier_id", RowInvalid, e)));
    let field_of = normal(&value.field);
    if !is_field(&field_of) {
        let why = "must have from 1 to 200 characters, and not U+0000";
        problems.push(row_problem("field", RowInvalid, why));
    }
    let channel = match value.channel() {
        pb::dossier::Channel::Online => Channel::Online,
        pb::dossier::Channel::DirectOrPostal => Channel::DirectOrPostal,
        pb::dossier::Channel::Unspecified => {
            problems.push(row_problem("channel", RowInvalid, "is missing"));
            Channel::Online
        }
    };
    let mut time = |name: &'static str, value: Option<&prost_types::Timestamp>| {
        let read = field::instant(name, value).unwrap_or_else(|e| {
            problems.push(row_problem(name, RowInvalid, e.message()));
            None
        });
        if read.is_some_and(|time| time > now) {
            problems.push(row_problem(name, TimeInFuture, "lies ahead of the server's clock"));
        }
        read
    };
    let received = time("receive_time", value.receive_time.as_ref());
    let completed = time("complete_time", value.complete_time.as_ref());
    let recorded = time("record_time", value.record_time.as_ref());
    if received.is_none() && value.receive_time.is_none() {
        problems.push(row_problem("receive_time", RowInvalid, "is missing"));
    }
    let term = if value.term.len() > MOST_PERIOD_BYTES {
        Err("is no term; a term looks like 3d, 8h or same-day".to_owned())
    } else {
        value.term.parse::<dunghan_calendar::Term>().map_err(|e| e.to_string())
    };
    let term = term.map_err(|e| problems.push(row_problem("term", RowInvalid, e)));
    // A system that records no time of its own for the completion has it done when it is recorded.
    let complete_time = completed.or(recorded);
    if let (Some(received), Some(completed)) = (received, complete_time)
        && completed < received
    {
        problems.push(row_problem("complete_time", TimesReversed, "lies before receive_time"));
    }
    if let (Some(completed), Some(recorded)) = (completed, recorded)
        && recorded < completed
    {
        problems.push(row_problem("record_time", TimesReversed, "lies before complete_time"));
    }
    match (name, term, received) {
        (Ok(name), Ok(term), Some(receive_time)) if problems.is_empty() => {
            let Calendar { days, office_hours, .. } = calendar(zone::civil_date(receive_time));
            Ok(Dossier {
                name,
                field: field_of,
                channel,
                receive_time,
                term,
                due: term.due(receive_time, days, office_hours),
                due_generation: 1,
                resolution: complete_time
                    .map(|complete_time| Resolution { complete_time, record_time: recorded }),
            })
        }
        _ => Err(problems),
    }
}

/// The form's rows.
pub(crate) fn summary(
    unit: UnitId,
    period: Period,
    recorded: &Summary,
    in_fact: &Summary,
) -> pb::DossierSummary {
    let rows = |summary: &Summary| {
        summary.rows.iter().map(|(field, counts)| summary_row(field, counts)).collect()
    };
    let total = |summary: &Summary| Some(summary_row("Tổng số", &summary.total));
    pb::DossierSummary {
        unit: unit.to_string(),
        period: period.to_string(),
        recorded_rows: rows(recorded),
        recorded_total: total(recorded),
        in_fact_rows: rows(in_fact),
        in_fact_total: total(in_fact),
    }
}

fn summary_row(field: &str, counts: &Counts) -> pb::SummaryRow {
    pb::SummaryRow {
        field: field.to_owned(),
        to_process: counts.to_process().cast_signed(),
        received_online: counts.received_online.cast_signed(),
        received_direct_or_postal: counts.received_direct_or_postal.cast_signed(),
        carried_over: counts.carried_over.cast_signed(),
        resolved: counts.resolved().cast_signed(),
        resolved_early: counts.early.cast_signed(),
        resolved_on_time: counts.on_time.cast_signed(),
        resolved_overdue: counts.overdue.cast_signed(),
        pending: counts.pending().cast_signed(),
        pending_in_time: counts.pending_in_time.cast_signed(),
        pending_overdue: counts.pending_overdue.cast_signed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_fit_into_an_answer_and_the_rest_is_counted() {
        for (rows, bytes, told) in [(3, 10, 3), (20_001, 10, 20_001), (2, 2 << 20, 2)] {
            let problem = |row| pb::DossierRowProblem {
                row,
                message: "x".repeat(bytes),
                ..Default::default()
            };
            let listed = fitting((1..=rows).map(problem).collect());
            assert_eq!(listed.len(), told);
            let size: usize = listed.iter().map(prost::Message::encoded_len).sum();
            assert!(size < 4 << 20, "{rows} of {bytes} bytes: {size}");
            let last = &listed[listed.len() - 1];
            assert_eq!(last.row == 0, rows > 3 || bytes > 10, "{}", last.row);
        }
    }
}
