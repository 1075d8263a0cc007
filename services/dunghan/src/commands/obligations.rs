//! `obligations` and `explain`: who owes which report, where each stands, and why.

use chrono::{DateTime, FixedOffset, NaiveDate};
use dunghan_proto::compliance as pb;
use dunghan_rpc::field::pb_time;
use serde::Serialize;

use super::decisions::{Decision, ObligationRequest};
use crate::cli::{Explain, Obligations};
use crate::client::{Client, PAGE};
use crate::failure::Failure;
use crate::input::{self, Target};
use crate::output::{self, Column, Rows, plain, show_due, show_period, word};

/// One obligation.
#[derive(Debug, Serialize)]
pub(crate) struct Obligation {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) unit_display_name: String,
    pub(crate) unit_code: String,
    pub(crate) regime: String,
    pub(crate) period: String,
    pub(crate) tier: i32,
    pub(crate) receiving_unit: String,
    pub(crate) due_time: Option<DateTime<FixedOffset>>,
    pub(crate) original_due_time: Option<DateTime<FixedOffset>>,
    pub(crate) due_generation: i32,
    pub(crate) standing: String,
    pub(crate) receive_time: Option<DateTime<FixedOffset>>,
    pub(crate) report: String,
    pub(crate) return_due_time: Option<DateTime<FixedOffset>>,
    pub(crate) working_days_late: i32,
    pub(crate) calendar_days_late: i32,
    pub(crate) extension: String,
    pub(crate) waiver: String,
    pub(crate) close_time: Option<DateTime<FixedOffset>>,
    pub(crate) close_reason: Option<String>,
    pub(crate) passed_to: String,
}

impl From<pb::Obligation> for Obligation {
    fn from(obligation: pb::Obligation) -> Self {
        let reason = obligation.close_reason();
        let is_closed = reason != pb::obligation::CloseReason::Unspecified;
        Self {
            standing: word(obligation.standing().as_str_name(), "STANDING_"),
            due_time: output::time(obligation.due_time.as_ref()),
            original_due_time: output::time(obligation.original_due_time.as_ref()),
            receive_time: output::time(obligation.receive_time.as_ref()),
            return_due_time: output::time(obligation.return_due_time.as_ref()),
            close_time: output::time(obligation.close_time.as_ref()),
            close_reason: is_closed.then(|| word(reason.as_str_name(), "CLOSE_REASON_")),
            name: obligation.name,
            unit: obligation.unit,
            unit_display_name: obligation.unit_display_name,
            unit_code: obligation.unit_code,
            regime: obligation.regime,
            period: obligation.period,
            tier: obligation.tier,
            receiving_unit: obligation.receiving_unit,
            due_generation: obligation.due_generation,
            report: obligation.report,
            working_days_late: obligation.working_days_late,
            calendar_days_late: obligation.calendar_days_late,
            extension: obligation.extension,
            waiver: obligation.waiver,
            passed_to: obligation.passed_to,
        }
    }
}

impl Obligation {
    /// By when somebody has to act: what was sent back has a due time of its own.
    pub(super) fn act_by(&self) -> Option<DateTime<FixedOffset>> {
        if self.standing == "RETURNED" { self.return_due_time } else { self.due_time }
    }

    /// Where it stands, for people.
    pub(super) fn stands(&self) -> String {
        let extended = if self.extension.is_empty() { "" } else { ", extended" };
        format!("{}{extended}", plain(&self.standing))
    }

    pub(super) fn days_late(&self) -> String {
        match self.working_days_late {
            0 => String::new(),
            days => days.to_string(),
        }
    }
}

#[derive(Serialize)]
struct Explanation {
    obligation: Option<Obligation>,
    read_time: Option<DateTime<FixedOffset>>,
    regime_display_name: String,
    legal_basis: String,
    family: String,
    owed_because: String,
    receiving_display_name: String,
    window_start_date: Option<NaiveDate>,
    cut_off_date: Option<NaiveDate>,
    due_date: Option<NaiveDate>,
    skipped_days: Vec<SkippedDay>,
    calendar_version: String,
    hierarchy_version: i64,
    unit_uncertain: bool,
    decisions: Vec<Decision>,
    requests: Vec<ObligationRequest>,
    due_changes: Vec<DueChange>,
    evidence: Vec<EvidenceEntry>,
    notices: Vec<String>,
    text: String,
}

#[derive(Serialize)]
struct SkippedDay {
    date: Option<NaiveDate>,
    why: String,
    estimated: bool,
}

#[derive(Serialize)]
struct DueChange {
    due_generation: i32,
    old_due_time: Option<DateTime<FixedOffset>>,
    new_due_time: Option<DateTime<FixedOffset>>,
    cause: String,
    reference: String,
    reason: String,
    author: String,
    create_time: Option<DateTime<FixedOffset>>,
}

impl From<pb::DueChange> for DueChange {
    fn from(change: pb::DueChange) -> Self {
        Self {
            cause: word(change.cause().as_str_name(), "CAUSE_"),
            old_due_time: output::time(change.old_due_time.as_ref()),
            new_due_time: output::time(change.new_due_time.as_ref()),
            create_time: output::time(change.create_time.as_ref()),
            due_generation: change.due_generation,
            reference: change.reference,
            reason: change.reason,
            author: change.author,
        }
    }
}

#[derive(Serialize)]
struct EvidenceEntry {
    kind: String,
    time: Option<DateTime<FixedOffset>>,
    revision: i32,
    author: String,
    note: String,
    first: bool,
}

impl From<pb::EvidenceEntry> for EvidenceEntry {
    fn from(entry: pb::EvidenceEntry) -> Self {
        Self {
            kind: word(entry.kind().as_str_name(), "KIND_"),
            time: output::time(entry.act_time.as_ref()),
            revision: entry.revision,
            author: entry.author,
            note: entry.note,
            first: entry.first,
        }
    }
}

impl From<pb::Explanation> for Explanation {
    fn from(explanation: pb::Explanation) -> Self {
        let regime = explanation.regime.unwrap_or_default();
        let skipped = explanation.skipped_days.into_iter().map(|day| SkippedDay {
            date: output::date(day.date.as_ref()),
            why: day.why,
            estimated: day.estimated,
        });
        Self {
            obligation: explanation.obligation.map(Obligation::from),
            read_time: output::time(explanation.read_time.as_ref()),
            regime_display_name: regime.display_name,
            legal_basis: regime.legal_basis,
            family: regime.family,
            owed_because: explanation.owed_because,
            receiving_display_name: explanation.receiving_display_name,
            window_start_date: output::date(explanation.window_start_date.as_ref()),
            cut_off_date: output::date(explanation.cut_off_date.as_ref()),
            due_date: output::date(explanation.due_date.as_ref()),
            skipped_days: skipped.collect(),
            calendar_version: explanation.calendar_version,
            hierarchy_version: explanation.hierarchy_version,
            unit_uncertain: explanation.unit_uncertain,
            decisions: explanation.decisions.into_iter().map(Decision::from).collect(),
            requests: explanation.requests.into_iter().map(ObligationRequest::from).collect(),
            due_changes: explanation.due_changes.into_iter().map(DueChange::from).collect(),
            evidence: explanation.evidence.into_iter().map(EvidenceEntry::from).collect(),
            notices: explanation.notices.into_iter().map(|notice| notice.name).collect(),
            text: explanation.text,
        }
    }
}

#[derive(Serialize)]
struct List {
    obligations: Vec<Obligation>,
}

pub(super) async fn obligations(args: Obligations) -> Result<(), Failure> {
    let client = Client::of(&args.client)?;
    let mut request = pb::ListObligationsRequest {
        scope: client.unit_name_or_all(args.unit.as_ref(), args.as_of).await?,
        regime: args.regime.as_deref().map_or_else(String::new, input::regime_name),
        period: args.period.map_or_else(String::new, |period| period.to_string()),
        standings: args.standings.into_iter().map(i32::from).collect(),
        read_time: args.at.map(pb_time),
        page_size: PAGE,
        page_token: String::new(),
    };
    let mut list = List { obligations: Vec::new() };
    loop {
        let page = client.compliance().list_obligations(request.clone()).await?.into_inner();
        list.obligations.extend(page.obligations.into_iter().map(Obligation::from));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    output::print(args.client.output, &list, |list| {
        use Column::{Number, Text};
        let mut rows = Rows::new(&[
            Text("Code"),
            Text("Unit"),
            Text("Regime"),
            Text("Period"),
            Text("Due"),
            Text("Stands"),
            Number("Workdays late"),
        ]);
        for obligation in &list.obligations {
            rows.row([
                obligation.unit_code.clone(),
                obligation.unit_display_name.clone(),
                obligation.regime.trim_start_matches("regimes/").to_owned(),
                show_period(&obligation.period),
                show_due(obligation.act_by()),
                obligation.stands(),
                obligation.days_late(),
            ]);
        }
        rows.text()
    })
}

pub(super) async fn explain(args: Explain) -> Result<(), Failure> {
    let regime = args.regime.as_deref();
    let target = input::target(args.target, "/obligations/", regime, args.period)?;
    let client = Client::of(&args.client)?;
    let name = match target {
        Target::Name(name) => name,
        Target::Of { unit, regime, period } => {
            let unit = client.unit_name(&unit, args.as_of).await?;
            format!("{unit}/obligations/{}~{period}", regime.trim_start_matches("regimes/"))
        }
    };
    let request = pb::ExplainObligationRequest { name, read_time: args.at.map(pb_time) };
    let found = client.compliance().explain_obligation(request).await?.into_inner();
    output::print(args.client.output, &Explanation::from(found), |explanation| {
        output::wrap(&explanation.text)
    })
}
