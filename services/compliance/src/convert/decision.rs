//! pb ⇄ domain: decisions on obligations, and what units ask.

use chrono::{DateTime, Months, NaiveDate, Utc};
use dunghan_calendar::zone;
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::decision::Outcome as PbOutcome;
use dunghan_proto::compliance::extension::Until as PbUntil;
use dunghan_proto::compliance::obligation_request::{Kind as PbKind, State as PbState};
use dunghan_rpc::{bad_field, field};
use tonic::Status;
use uuid::Uuid;

use super::obligation::decision_name;
use super::{characters, count, given, optional_regime, period, unit};
use crate::domain::decision::{Concerned, Decision, Extent, Outcome, Revocation, Until};
use crate::domain::obligation::ObligationName;
use crate::domain::regime::{Regime, RegimeId};
use crate::domain::request::{Answer, Asked, Decided, ObligationRequest, RequestName, State};

/// Characters of a document's number and symbol.
const MOST_DOCUMENT: usize = 200;
/// Characters of a reason or an answer.
const MOST_REASON: usize = 2000;
/// Working days of an extension.
const MOST_WORKING_DAYS: u16 = 250;
/// Of what a decision concerns, so many are listed.
const MOST_CONCERNED: usize = 1000;
/// How far ahead a decision may reach, in months: the days from which something is due, and a new due date.
const MOST_AHEAD: u32 = 36;
const MOST_EXTENDED: u32 = 24;

/// A decision's name in a field that has to be there.
pub(crate) fn decision_id(name: &str, value: &str) -> Result<Uuid, Status> {
    let id = given(name, value)?.strip_prefix("decisions/").and_then(|id| id.parse().ok());
    // Uuid reads other spellings too; a name has one.
    id.filter(|id| decision_name(Some(*id)) == value)
        .ok_or_else(|| bad_field(name, "must be decisions/{decision}"))
}

/// A request's name in a field that has to be there.
pub(crate) fn request_name(name: &str, value: &str) -> Result<RequestName, Status> {
    given(name, value)?.parse().map_err(|e| bad_field(name, e))
}

/// On whom a decision is asked for, and under which regime alone if under one: by that it is known who may ask.
pub(crate) fn decision_reach(
    request: &pb::CreateDecisionRequest,
) -> Result<(UnitId, Option<RegimeId>), Status> {
    let value = field::required("decision", request.decision.as_ref())?;
    let unit = unit("decision.scope", &value.scope)?;
    Ok((unit, optional_regime("decision.regime", &value.regime)?))
}

/// The decision that is asked for.
pub(crate) fn decision(
    request: &pb::CreateDecisionRequest,
    author: &str,
    now: DateTime<Utc>,
) -> Result<Decision, Status> {
    let (unit, regime) = decision_reach(request)?;
    let value = field::required("decision", request.decision.as_ref())?;
    let extent = extent(value, now)?;
    if regime.is_none() && matches!(extent, Extent::Period(_)) {
        // Regimes of different windows mean different days by it.
        return field::required("decision.regime", None);
    }
    let outcome = match field::required("decision.outcome", value.outcome.as_ref())? {
        PbOutcome::Waiver(pb::Waiver {}) => Outcome::Waiver,
        PbOutcome::Extension(extension) => {
            Outcome::Extension { until: until(extension, now)?, afterwards: false }
        }
    };
    Ok(Decision {
        id: Uuid::now_v7(),
        unit,
        subtree: value.subtree,
        below_only: false,
        regime,
        extent,
        outcome,
        document: characters("decision.document", &value.document, MOST_DOCUMENT)?,
        reason: characters("decision.reason", &value.reason, MOST_REASON)?,
        author: author.to_owned(),
        create_time: now,
        revoked: None,
        request: None,
        concerned: 0,
    })
}

/// Refuses a day that lies so far ahead that it is a slip of the pen.
fn not_too_far(
    name: &str,
    day: NaiveDate,
    months: u32,
    now: DateTime<Utc>,
) -> Result<NaiveDate, Status> {
    let last = zone::civil_date(now).checked_add_months(Months::new(months));
    match last {
        Some(last) if last < day => {
            Err(bad_field(name, format!("must not lie more than {} years ahead", months / 12)))
        }
        _ => Ok(day),
    }
}

fn extent(value: &pb::Decision, now: DateTime<Utc>) -> Result<Extent, Status> {
    const FROM: &str = "decision.due_from_date";
    const THROUGH: &str = "decision.due_through_date";
    let from = field::date(FROM, value.due_from_date.as_ref())?;
    let through = field::date(THROUGH, value.due_through_date.as_ref())?;
    if !value.period.is_empty() {
        let beside = from.map(|_| FROM).or_else(|| through.map(|_| THROUGH));
        if let Some(beside) = beside {
            return Err(bad_field(beside, "stands beside a period: give the one or the other"));
        }
        return period("decision.period", &value.period).map(Extent::Period);
    }
    let (from, through) = match (from, through) {
        (None, None) => return field::required("decision.period", None),
        (from, through) => (field::required(FROM, from)?, field::required(THROUGH, through)?),
    };
    not_too_far(FROM, from, MOST_AHEAD, now)?;
    if through < from {
        return Err(bad_field(THROUGH, "lies before due_from_date"));
    }
    let latest = from.checked_add_months(Months::new(12)).unwrap_or(NaiveDate::MAX);
    if latest < through {
        return Err(bad_field(THROUGH, "must not lie more than a year after due_from_date"));
    }
    Ok(Extent::Due { from, through })
}

/// Where a decision states until when.
pub(crate) fn until_field(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Extension { until: Until::WorkingDays(_), .. } => {
            "decision.extension.working_days"
        }
        Outcome::Extension { .. } | Outcome::Waiver => "decision.extension.due_date",
    }
}

/// Where a decision states for when.
pub(crate) fn extent_field(extent: Extent) -> &'static str {
    match extent {
        Extent::Period(_) => "decision.period",
        Extent::Due { .. } => "decision.due_through_date",
    }
}

fn until(extension: &pb::Extension, now: DateTime<Utc>) -> Result<Until, Status> {
    match field::required("decision.extension.until", extension.until.as_ref())? {
        PbUntil::DueDate(day) => {
            const FIELD: &str = "decision.extension.due_date";
            let day = field::date(FIELD, Some(day))?;
            let day = field::required(FIELD, day)?;
            not_too_far(FIELD, day, MOST_EXTENDED, now).map(Until::Date)
        }
        PbUntil::WorkingDays(days) => {
            let days = u16::try_from(*days).ok();
            let days = days.filter(|days| (1..=MOST_WORKING_DAYS).contains(days));
            days.map(Until::WorkingDays).ok_or_else(|| {
                let why = format!("must be 1 to {MOST_WORKING_DAYS}");
                bad_field("decision.extension.working_days", why)
            })
        }
    }
}

/// How a decision is to end.
pub(crate) fn revocation(
    request: &pb::RevokeDecisionRequest,
    author: &str,
    now: DateTime<Utc>,
) -> Result<Revocation, Status> {
    Ok(Revocation {
        time: now,
        author: author.to_owned(),
        document: characters("document", &request.document, MOST_DOCUMENT)?,
        reason: characters("reason", &request.reason, MOST_REASON)?,
    })
}

impl From<&Decision> for pb::Decision {
    fn from(decision: &Decision) -> Self {
        let (mut period, mut days) = (String::new(), (None, None));
        match decision.extent {
            Extent::Period(one) => period = one.to_string(),
            Extent::Due { from, through } => {
                days = (Some(field::pb_date(from)), Some(field::pb_date(through)));
            }
        }
        let outcome = match decision.outcome {
            Outcome::Waiver => PbOutcome::Waiver(pb::Waiver {}),
            Outcome::Extension { until, .. } => {
                let until = match until {
                    Until::Date(day) => PbUntil::DueDate(field::pb_date(day)),
                    Until::WorkingDays(days) => PbUntil::WorkingDays(days.into()),
                };
                PbOutcome::Extension(pb::Extension { until: Some(until) })
            }
        };
        let revoked = decision.revoked.clone();
        let revoke_time = revoked.as_ref().map(|revoked| field::pb_time(revoked.time));
        let (revoker, revoke_document, revoke_reason) = revoked
            .map_or_else(Default::default, |Revocation { author, document, reason, .. }| {
                (author, document, reason)
            });
        let text = |text: Option<String>| text.unwrap_or_default();
        Self {
            name: decision.name(),
            scope: decision.unit.to_string(),
            subtree: decision.subtree,
            below_only: decision.below_only,
            regime: text(decision.regime.as_ref().map(ToString::to_string)),
            period,
            due_from_date: days.0,
            due_through_date: days.1,
            outcome: Some(outcome),
            document: decision.document.clone(),
            reason: decision.reason.clone(),
            author: decision.author.clone(),
            create_time: Some(field::pb_time(decision.create_time)),
            revoke_time,
            revoker,
            revoke_document,
            revoke_reason,
            request: text(decision.request.as_ref().map(ToString::to_string)),
            concerned_count: count(usize::try_from(decision.concerned).unwrap_or(usize::MAX)),
            concerned: Vec::new(),
        }
    }
}

/// What a decision concerns, for people: the first of them.
pub(crate) fn concerned<'a>(
    concerned: &[Concerned],
    hierarchy: &Hierarchy,
    regime: impl Fn(&Concerned) -> Option<&'a Regime>,
) -> Vec<pb::ConcernedObligation> {
    let one = |one: &Concerned| {
        let cut_off = regime(one).map(|regime| regime.window(one.name.period).cut_off);
        let view = cut_off.and_then(|day| hierarchy.unit(one.name.unit, day));
        pb::ConcernedObligation {
            obligation: one.name.to_string(),
            unit_display_name: view
                .map_or_else(String::new, |view| view.version.display_name.clone()),
            old_due_time: one.old_due.map(field::pb_time),
            new_due_time: one.new_due.map(field::pb_time),
        }
    };
    concerned.iter().take(MOST_CONCERNED).map(one).collect()
}

/// What a unit asks about this obligation.
pub(crate) fn obligation_request(
    obligation: ObligationName,
    request: &pb::CreateObligationRequestRequest,
    author: &str,
    now: DateTime<Utc>,
) -> Result<ObligationRequest, Status> {
    const DAY: &str = "obligation_request.asked_due_date";
    let value = field::required("obligation_request", request.obligation_request.as_ref())?;
    let day = field::date(DAY, value.asked_due_date.as_ref())?;
    let day = day.map(|day| not_too_far(DAY, day, MOST_EXTENDED, now)).transpose()?;
    let asked = match PbKind::try_from(value.kind) {
        Ok(PbKind::Extension) => Asked::Extension(field::required(DAY, day)?),
        Ok(PbKind::SystemFailure) => Asked::SystemFailure(field::required(DAY, day)?),
        Ok(PbKind::Explanation) if day.is_some() => {
            return Err(bad_field(DAY, "is not for an explanation, which moves no due time"));
        }
        Ok(PbKind::Explanation) => Asked::Explanation,
        Ok(PbKind::Unspecified) => return field::required("obligation_request.kind", None),
        Err(_) => {
            let why = format!("is {}, which is no kind of request", value.kind);
            return Err(bad_field("obligation_request.kind", why));
        }
    };
    Ok(ObligationRequest {
        name: RequestName { obligation, id: Uuid::now_v7() },
        asked,
        reason: characters("obligation_request.reason", &value.reason, MOST_REASON)?,
        author: author.to_owned(),
        create_time: now,
        state: State::Pending,
        decided: None,
        decision: None,
    })
}

/// What is answered to a request.
pub(crate) fn answer(
    request: &pb::DecideObligationRequestRequest,
    author: &str,
    now: DateTime<Utc>,
) -> Result<Answer, Status> {
    let document = match request.document.trim() {
        "" => String::new(),
        document => characters("document", document, MOST_DOCUMENT)?,
    };
    let answer = characters("answer", &request.answer, MOST_REASON)?;
    let due = field::date("due_date", request.due_date.as_ref())?;
    Ok(Answer {
        grant: request.grant,
        due: due.map(|day| not_too_far("due_date", day, MOST_EXTENDED, now)).transpose()?,
        document,
        decided: Decided { author: author.to_owned(), time: now, answer },
    })
}

/// The states to list, each once.
pub(crate) fn request_states(values: &[i32]) -> Result<Vec<State>, Status> {
    let read = |value: &i32| match PbState::try_from(*value) {
        Ok(PbState::Pending) => Ok(State::Pending),
        Ok(PbState::Granted) => Ok(State::Granted),
        Ok(PbState::Refused) => Ok(State::Refused),
        Ok(PbState::Withdrawn) => Ok(State::Withdrawn),
        Ok(PbState::Unspecified) | Err(_) => {
            Err(bad_field("states", format!("holds {value}, which is no state of a request")))
        }
    };
    let mut states = values.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    states.sort_unstable();
    states.dedup();
    Ok(states)
}

impl From<State> for PbState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Granted => Self::Granted,
            State::Refused => Self::Refused,
            State::Withdrawn => Self::Withdrawn,
        }
    }
}

impl From<&ObligationRequest> for pb::ObligationRequest {
    fn from(request: &ObligationRequest) -> Self {
        let (kind, day) = match request.asked {
            Asked::Extension(day) => (PbKind::Extension, Some(day)),
            Asked::Explanation => (PbKind::Explanation, None),
            Asked::SystemFailure(day) => (PbKind::SystemFailure, Some(day)),
        };
        let decided = request.decided.clone();
        let decide_time = decided.as_ref().map(|decided| field::pb_time(decided.time));
        let (decider, answer) = decided
            .map_or_else(Default::default, |Decided { author, answer, .. }| (author, answer));
        Self {
            name: request.name.to_string(),
            kind: kind.into(),
            asked_due_date: day.map(field::pb_date),
            reason: request.reason.clone(),
            state: PbState::from(request.state).into(),
            author: request.author.clone(),
            create_time: Some(field::pb_time(request.create_time)),
            decider,
            decide_time,
            answer,
            decision: decision_name(request.decision),
        }
    }
}
