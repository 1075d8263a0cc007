//! `waive`, `extend`, `decisions` and `requests`: excuses and more time, decided by supervisors and asked for by units.

use chrono::{DateTime, FixedOffset, NaiveDate};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::decision::Outcome;
use dunghan_proto::compliance::extension::Until;
use dunghan_rpc::field::pb_date;
use serde::Serialize;
use uuid::Uuid;

use crate::cli::{
    Decisions, DecisionsVerb, Extend, OnWhat, Requests, RequestsVerb, Waive, WhichRequest,
};
use crate::client::{Client, Lookup, PAGE};
use crate::failure::Failure;
use crate::input::{self, Target};
use crate::output::{
    self, Column, Rows, many, plain, show_date, show_due, show_period, show_time, word,
};

/// A waiver or an extension.
#[derive(Debug, Serialize)]
pub(super) struct Decision {
    /// Empty: it was only tried.
    name: String,
    scope: String,
    subtree: bool,
    regime: String,
    period: String,
    due_from_date: Option<NaiveDate>,
    due_through_date: Option<NaiveDate>,
    waiver: bool,
    extension: Option<Extension>,
    document: String,
    reason: String,
    author: String,
    create_time: Option<DateTime<FixedOffset>>,
    revoke_time: Option<DateTime<FixedOffset>>,
    revoker: String,
    revoke_document: String,
    revoke_reason: String,
    request: String,
    concerned_count: i32,
    concerned: Vec<Concerned>,
}

/// Until when; one of both.
#[derive(Debug, Serialize)]
struct Extension {
    due_date: Option<NaiveDate>,
    working_days: Option<i32>,
}

/// What a decision does to one obligation.
#[derive(Debug, Serialize)]
struct Concerned {
    obligation: String,
    unit_display_name: String,
    old_due_time: Option<DateTime<FixedOffset>>,
    new_due_time: Option<DateTime<FixedOffset>>,
}

impl From<pb::Decision> for Decision {
    fn from(decision: pb::Decision) -> Self {
        let extension = match &decision.outcome {
            Some(Outcome::Extension(pb::Extension { until: Some(Until::DueDate(day)) })) => {
                Some(Extension { due_date: output::date(Some(day)), working_days: None })
            }
            Some(Outcome::Extension(pb::Extension { until: Some(Until::WorkingDays(days)) })) => {
                Some(Extension { due_date: None, working_days: Some(*days) })
            }
            Some(Outcome::Extension(_) | Outcome::Waiver(_)) | None => None,
        };
        Self {
            waiver: matches!(decision.outcome, Some(Outcome::Waiver(_))),
            extension,
            due_from_date: output::date(decision.due_from_date.as_ref()),
            due_through_date: output::date(decision.due_through_date.as_ref()),
            create_time: output::time(decision.create_time.as_ref()),
            revoke_time: output::time(decision.revoke_time.as_ref()),
            concerned: decision
                .concerned
                .into_iter()
                .map(|one| Concerned {
                    obligation: one.obligation,
                    unit_display_name: one.unit_display_name,
                    old_due_time: output::time(one.old_due_time.as_ref()),
                    new_due_time: output::time(one.new_due_time.as_ref()),
                })
                .collect(),
            name: decision.name,
            scope: decision.scope,
            subtree: decision.subtree,
            regime: decision.regime,
            period: decision.period,
            document: decision.document,
            reason: decision.reason,
            author: decision.author,
            revoker: decision.revoker,
            revoke_document: decision.revoke_document,
            revoke_reason: decision.revoke_reason,
            request: decision.request,
            concerned_count: decision.concerned_count,
        }
    }
}

impl Decision {
    /// What is decided, for people.
    fn outcome(&self) -> String {
        match &self.extension {
            None => "waived".to_owned(),
            Some(Extension { due_date: Some(day), .. }) => {
                format!("extended to {}", show_date(Some(*day)))
            }
            Some(Extension { working_days, .. }) => {
                let days = usize::try_from(working_days.unwrap_or_default()).unwrap_or_default();
                format!("extended by {}", many(days, "working day", "working days"))
            }
        }
    }

    /// For when, for people.
    fn extent(&self) -> String {
        let regime = self.regime.trim_start_matches("regimes/");
        let when = match self.period.as_str() {
            "" => format!(
                "due {} – {}",
                show_date(self.due_from_date),
                show_date(self.due_through_date)
            ),
            period => show_period(period),
        };
        format!("{regime} {when}").trim().to_owned()
    }

    /// On whom, for people.
    async fn on_whom(&self, lookup: &mut Lookup<'_>) -> String {
        let unit = lookup.label(&self.scope, None).await;
        if self.subtree { format!("{unit}, and all below") } else { unit }
    }
}

/// What a unit asks.
#[derive(Debug, Serialize)]
pub(super) struct ObligationRequest {
    name: String,
    kind: String,
    asked_due_date: Option<NaiveDate>,
    reason: String,
    state: String,
    author: String,
    create_time: Option<DateTime<FixedOffset>>,
    decider: String,
    decide_time: Option<DateTime<FixedOffset>>,
    answer: String,
    decision: String,
}

impl From<pb::ObligationRequest> for ObligationRequest {
    fn from(request: pb::ObligationRequest) -> Self {
        Self {
            kind: word(request.kind().as_str_name(), "KIND_"),
            state: word(request.state().as_str_name(), "STATE_"),
            asked_due_date: output::date(request.asked_due_date.as_ref()),
            create_time: output::time(request.create_time.as_ref()),
            decide_time: output::time(request.decide_time.as_ref()),
            name: request.name,
            reason: request.reason,
            author: request.author,
            decider: request.decider,
            answer: request.answer,
            decision: request.decision,
        }
    }
}

impl ObligationRequest {
    /// The unit that asks.
    fn unit(&self) -> &str {
        self.name.split_once("/obligations/").map_or("", |(unit, _)| unit)
    }

    /// Regime and period.
    fn owed(&self) -> String {
        owed(&self.name)
    }
}

/// Regime and period of an obligation, or of what is below it.
fn owed(name: &str) -> String {
    let owed = name.split_once("/obligations/").map_or("", |(_, rest)| rest);
    let owed = owed.split_once('/').map_or(owed, |(owed, _)| owed);
    match owed.split_once('~') {
        Some((regime, period)) => format!("{regime} {}", show_period(period)),
        None => owed.to_owned(),
    }
}

/// The last part of a name.
fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

#[derive(Serialize)]
struct DecisionList {
    decisions: Vec<Decision>,
}

#[derive(Serialize)]
struct RequestList {
    requests: Vec<ObligationRequest>,
}

pub(super) async fn waive(args: Waive) -> Result<(), Failure> {
    let client = Client::of(&args.client)?;
    let made = decide(&client, args.on, Outcome::Waiver(pb::Waiver {})).await?;
    print_decision(&client, made, args.client.output).await
}

pub(super) async fn extend(args: Extend) -> Result<(), Failure> {
    let until = match (args.until, args.working_days) {
        (Some(day), _) => Some(Until::DueDate(pb_date(day))),
        (None, days) => days.map(|days| Until::WorkingDays(days.into())),
    };
    let client = Client::of(&args.client)?;
    let made = decide(&client, args.on, Outcome::Extension(pb::Extension { until })).await?;
    print_decision(&client, made, args.client.output).await
}

async fn decide(client: &Client, on: OnWhat, outcome: Outcome) -> Result<Decision, Failure> {
    let decision = pb::Decision {
        scope: client.unit_name(&on.unit, on.as_of).await?,
        subtree: on.below,
        regime: on.regime.as_deref().map_or_else(String::new, input::regime_name),
        period: on.period.map_or_else(String::new, |period| period.to_string()),
        due_from_date: on.due_from.map(pb_date),
        due_through_date: on.due_through.map(pb_date),
        outcome: Some(outcome),
        document: on.document,
        reason: on.reason,
        ..Default::default()
    };
    let request = pb::CreateDecisionRequest {
        decision: Some(decision),
        request_id: Uuid::new_v4().to_string(),
        validate_only: on.dry_run,
    };
    Ok(client.decisions().create_decision(request).await?.into_inner().into())
}

async fn print_decision(
    client: &Client,
    decision: Decision,
    format: crate::cli::Format,
) -> Result<(), Failure> {
    let on = decision.on_whom(&mut Lookup::new(client)).await;
    output::print(format, &decision, |decision| show_decision(decision, on))
}

fn show_decision(decision: &Decision, on: String) -> String {
    use Column::Text;
    let tried = decision.name.is_empty();
    let count = usize::try_from(decision.concerned_count).unwrap_or_default();
    let reports = many(count, "report", "reports");
    let mut text = output::pairs(&[
        (if tried { "Would be" } else { "Decided" }, decision.outcome()),
        ("On", on),
        ("For", decision.extent()),
        ("Document", decision.document.clone()),
        ("Why", decision.reason.clone()),
        ("By", decision.author.clone()),
        ("At", show_time(decision.create_time)),
        ("Asked for by", id(&decision.request).to_owned()),
        ("Revoked by", decision.revoker.clone()),
        ("Revoked", show_time(decision.revoke_time)),
        ("Revoked by document", decision.revoke_document.clone()),
        ("Why revoked", decision.revoke_reason.clone()),
        ("Concerned", if tried { reports } else { format!("{reports} when it was made") }),
        ("Id", id(&decision.name).to_owned()),
    ]);
    if !decision.concerned.is_empty() {
        let mut rows =
            Rows::new(&[Text("Unit"), Text("Report"), Text("Due before"), Text("Due now")]);
        for one in &decision.concerned {
            let now =
                if decision.waiver { "waived".to_owned() } else { show_due(one.new_due_time) };
            let before = show_due(one.old_due_time);
            rows.row([one.unit_display_name.clone(), owed(&one.obligation), before, now]);
        }
        text = format!("{text}\n\n{}", rows.text());
        let listed = decision.concerned.len();
        if listed < count {
            text = format!("{text}\n… and {} more", count - listed);
        }
    }
    text
}

pub(super) async fn decisions(args: Decisions) -> Result<(), Failure> {
    let format = args.client.output;
    let client = Client::of(&args.client)?;
    let name = |id: &str| format!("decisions/{}", id.trim_start_matches("decisions/"));
    let one = match args.verb {
        DecisionsVerb::List { unit, regime, revoked, as_of } => {
            let mut request = pb::ListDecisionsRequest {
                scope: client.unit_name(&unit, as_of).await?,
                regime: regime.as_deref().map_or_else(String::new, input::regime_name),
                show_revoked: revoked,
                page_size: PAGE,
                page_token: String::new(),
            };
            let mut list = DecisionList { decisions: Vec::new() };
            loop {
                let page = client.decisions().list_decisions(request.clone()).await?.into_inner();
                list.decisions.extend(page.decisions.into_iter().map(Decision::from));
                if page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
            }
            let (mut lookup, mut on) = (Lookup::new(&client), Vec::new());
            for decision in &list.decisions {
                on.push(decision.on_whom(&mut lookup).await);
            }
            return output::print(format, &list, |list| decision_table(&list.decisions, on));
        }
        DecisionsVerb::Show { decision } => {
            let request = pb::GetDecisionRequest { name: name(&decision) };
            client.decisions().get_decision(request).await?.into_inner()
        }
        DecisionsVerb::Revoke { decision, document, reason } => {
            let request = pb::RevokeDecisionRequest {
                name: name(&decision),
                document,
                reason,
                request_id: Uuid::new_v4().to_string(),
            };
            client.decisions().revoke_decision(request).await?.into_inner()
        }
    };
    print_decision(&client, one.into(), format).await
}

/// `on` has for each on whom it is.
fn decision_table(decisions: &[Decision], on: Vec<String>) -> String {
    use Column::{Text, Whole};
    let mut rows = Rows::new(&[Text("Decision"), Text("Holds"), Whole("Id")]);
    for (one, on) in decisions.iter().zip(on) {
        let revoked = show_time(one.revoke_time);
        let holds = [("since", show_time(one.create_time)), ("revoked", revoked)];
        let holds = holds.into_iter().filter(|(_, time)| !time.is_empty());
        rows.row([
            format!("{}: {on}; {}, {}", one.document, one.extent(), one.outcome()),
            holds.map(|(what, time)| format!("{what} {time}")).collect::<Vec<_>>().join(", "),
            id(&one.name).to_owned(),
        ]);
    }
    rows.text()
}

pub(super) async fn requests(args: Requests) -> Result<(), Failure> {
    let format = args.client.output;
    let client = Client::of(&args.client)?;
    let mut lookup = Lookup::new(&client);
    let one = match args.verb {
        RequestsVerb::List { unit, states, as_of } => {
            let scope = client.unit_name(&unit, as_of).await?;
            let states = states.into_iter().map(i32::from).collect();
            let list = RequestList { requests: list(&client, scope, states).await? };
            let mut units = Vec::new();
            for request in &list.requests {
                units.push(lookup.label(request.unit(), None).await);
            }
            return output::print(format, &list, |list| request_table(&list.requests, units));
        }
        RequestsVerb::Ask { target, kind, until, reason, regime, period, as_of } => {
            let parent = match input::target(target, "/obligations/", regime.as_deref(), period)? {
                Target::Name(name) => name,
                Target::Of { unit, regime, period } => {
                    let unit = client.unit_name(&unit, as_of).await?;
                    format!("{unit}/obligations/{}~{period}", regime.trim_start_matches("regimes/"))
                }
            };
            let request = pb::ObligationRequest {
                kind: kind.into(),
                asked_due_date: until.map(pb_date),
                reason,
                ..Default::default()
            };
            let request = pb::CreateObligationRequestRequest {
                parent,
                obligation_request: Some(request),
                request_id: Uuid::new_v4().to_string(),
            };
            client.decisions().create_obligation_request(request).await?.into_inner()
        }
        RequestsVerb::Grant { which, answer, document, until } => {
            let request = pb::DecideObligationRequestRequest {
                name: named(&client, which).await?,
                grant: true,
                due_date: until.map(pb_date),
                document,
                answer,
                request_id: Uuid::new_v4().to_string(),
            };
            client.decisions().decide_obligation_request(request).await?.into_inner()
        }
        RequestsVerb::Refuse { which, answer } => {
            let request = pb::DecideObligationRequestRequest {
                name: named(&client, which).await?,
                answer,
                request_id: Uuid::new_v4().to_string(),
                ..Default::default()
            };
            client.decisions().decide_obligation_request(request).await?.into_inner()
        }
        RequestsVerb::Withdraw { which } => {
            let name = named(&client, which).await?;
            let request = pb::WithdrawObligationRequestRequest { name };
            client.decisions().withdraw_obligation_request(request).await?.into_inner()
        }
    };
    let one = ObligationRequest::from(one);
    let unit = lookup.label(one.unit(), None).await;
    let withdrawn = one.state == "WITHDRAWN";
    output::print(format, &one, |request| {
        output::pairs(&[
            ("Unit", unit),
            ("Report", request.owed()),
            ("Asks for", plain(&request.kind)),
            ("Until", show_date(request.asked_due_date)),
            ("Why", request.reason.clone()),
            ("By", request.author.clone()),
            ("At", show_time(request.create_time)),
            ("Stands", plain(&request.state)),
            (if withdrawn { "Withdrawn by" } else { "Answered by" }, request.decider.clone()),
            (if withdrawn { "Withdrawn" } else { "Answered" }, show_time(request.decide_time)),
            ("Answer", request.answer.clone()),
            ("Decision", id(&request.decision).to_owned()),
            ("Id", id(&request.name).to_owned()),
        ])
    })
}

async fn list(
    client: &Client,
    scope: String,
    states: Vec<i32>,
) -> Result<Vec<ObligationRequest>, Failure> {
    let page_token = String::new();
    let mut request =
        pb::ListObligationRequestsRequest { scope, states, page_size: PAGE, page_token };
    let mut requests = Vec::new();
    loop {
        let page = client.decisions().list_obligation_requests(request.clone()).await?;
        let page = page.into_inner();
        requests.extend(page.requests.into_iter().map(ObligationRequest::from));
        if page.next_page_token.is_empty() {
            return Ok(requests);
        }
        request.page_token = page.next_page_token;
    }
}

/// The whole name of a request, which its id alone does not tell.
async fn named(client: &Client, which: WhichRequest) -> Result<String, Failure> {
    if which.request.contains("/requests/") {
        return Ok(which.request);
    }
    let scope = client.unit_name(&which.unit, which.as_of).await?;
    let found = list(client, scope, Vec::new()).await?;
    let found = found.into_iter().find(|one| id(&one.name) == which.request);
    found.map(|one| one.name).ok_or_else(|| {
        let (unit, request) = (&which.unit, &which.request);
        Failure::input(format_args!("{unit} and what is below it have no request {request}"))
    })
}

/// `units` has for each the unit that asks.
fn request_table(requests: &[ObligationRequest], units: Vec<String>) -> String {
    use Column::{Text, Whole};
    let mut rows = Rows::new(&[Text("Asked for"), Text("Stands"), Whole("Id")]);
    for (one, unit) in requests.iter().zip(units) {
        let until = match one.asked_due_date {
            Some(_) => format!(" to {}", show_date(one.asked_due_date)),
            None => String::new(),
        };
        rows.row([
            format!("{unit}: {}, {}{until}", one.owed(), plain(&one.kind)),
            plain(&one.state),
            id(&one.name).to_owned(),
        ]);
    }
    rows.text()
}
