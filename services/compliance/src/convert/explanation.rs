//! pb ⇄ domain: explanations, and what submission tells for them.

use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::evidence_entry::Kind;
use dunghan_proto::submission::report_act::Kind as SubmissionKind;
use dunghan_proto::submission::{ReceiptEvidence, ReportAct, receipt_evidence};
use dunghan_rpc::{field, internal};
use tonic::Status;

use super::{Shown, skipped};
use crate::domain::explain::{Act, ActKind, Grounds, SeenIn};

/// What was done with a report, as submission says.
///
/// Errors: of a contract that this program does not know.
pub(crate) fn act(said: &ReportAct) -> Result<Act, Status> {
    let unreadable = || {
        let cause = std::io::Error::other(format!("an act of the kind {}", said.kind));
        internal("reading what was done with a report", &cause)
    };
    let kind = match said.kind() {
        SubmissionKind::Submitted => {
            let seen = said.receipt_evidence.as_ref();
            ActKind::Submitted(seen.map(|seen| (seen_in(seen), seen.reference.clone())))
        }
        SubmissionKind::Withdrawn => ActKind::Withdrawn,
        SubmissionKind::Returned => {
            ActKind::Returned(field::instant("return_due_time", said.return_due_time.as_ref())?)
        }
        SubmissionKind::Accepted => ActKind::Accepted(said.review_level),
        SubmissionKind::Unspecified => return Err(unreadable()),
    };
    let time = field::instant("act_time", said.act_time.as_ref())?.ok_or_else(unreadable)?;
    Ok(Act {
        kind,
        time,
        revision: said.revision,
        author: said.author.clone(),
        reason: said.reason.clone(),
    })
}

fn seen_in(evidence: &ReceiptEvidence) -> SeenIn {
    match evidence.kind() {
        receipt_evidence::Kind::DocumentSystem => SeenIn::DocumentSystem,
        receipt_evidence::Kind::DigitalSignature => SeenIn::DigitalSignature,
        receipt_evidence::Kind::Register | receipt_evidence::Kind::Unspecified => SeenIn::Register,
    }
}

fn evidence(grounds: &Grounds<'_>) -> Vec<pb::EvidenceEntry> {
    let mut handed_over = false;
    let entries = grounds.acts().map(|act| {
        let kind = match act.kind {
            ActKind::Submitted(_) if handed_over => Kind::Resubmitted,
            ActKind::Submitted(_) => Kind::Submitted,
            ActKind::Withdrawn => Kind::Withdrawn,
            ActKind::Returned(_) => Kind::Returned,
            ActKind::Accepted(_) => Kind::Accepted,
        };
        let review_level = match act.kind {
            ActKind::Accepted(level) => level,
            _ => 0,
        };
        handed_over |= kind == Kind::Submitted;
        pb::EvidenceEntry {
            kind: kind.into(),
            act_time: Some(field::pb_time(act.time)),
            revision: act.revision,
            author: act.author.clone(),
            note: act.note(),
            first: grounds.is_first(act),
            review_level,
        }
    });
    entries.collect()
}

impl Shown<'_> {
    pub(crate) fn explanation(&self, grounds: &Grounds<'_>) -> pb::Explanation {
        let obligation = grounds.obligation;
        let window = grounds.regime.window(obligation.name.period);
        pb::Explanation {
            obligation: Some(self.obligation(obligation)),
            read_time: Some(field::pb_time(self.at)),
            regime: Some(grounds.regime.into()),
            window_start_date: Some(field::pb_date(window.first)),
            cut_off_date: Some(field::pb_date(window.cut_off)),
            due_date: obligation.due_date().map(field::pb_date),
            skipped_days: skipped(&grounds.skipped_days()),
            calendar_version: grounds.calendar_version.to_owned(),
            hierarchy_version: obligation.hierarchy_version.cast_signed(),
            unit_uncertain: grounds.unit_uncertain,
            notices: grounds.notices().map(|(notice, _)| notice.into()).collect(),
            text: grounds.text(),
            owed_because: grounds.owed_because(),
            decisions: grounds.decisions().map(|(decision, _)| (&decision).into()).collect(),
            requests: grounds.requests().map(|request| (&request).into()).collect(),
            due_changes: grounds.due_changes().map(pb::DueChange::from).collect(),
            evidence: evidence(grounds),
            receiving_display_name: grounds.receiving_name.to_owned(),
        }
    }
}
