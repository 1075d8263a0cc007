//! The one place where this service's errors become gRPC statuses.

use dunghan_calendar::{CalendarError, DayProblem};
use dunghan_proto::compliance::ErrorReason;
use dunghan_proto::policy::ErrorReason as Common;
use dunghan_rpc::{bad_field_for, internal, refuse, unavailable};
use dunghan_store::is_transient;
use tonic::{Code, Status};

use crate::domain::calendar::Refused;
use crate::domain::decision::Refusal;
use crate::domain::regime::{Conflict, Contradiction, Part};
use crate::{jobs, store};

impl From<store::Error> for Status {
    fn from(error: store::Error) -> Self {
        let (code, reason, name) = match &error {
            store::Error::UnknownRegime(name) => {
                (Code::NotFound, ErrorReason::UnknownRegime, name.to_string())
            }
            store::Error::RegimeExists(name) => {
                (Code::AlreadyExists, ErrorReason::RegimeExists, name.to_string())
            }
            store::Error::UnknownObligation(name) => {
                (Code::NotFound, ErrorReason::ObligationNotFound, name.to_string())
            }
            store::Error::StaleCalendar(name) => {
                (Code::Aborted, ErrorReason::EtagMismatch, name.to_string())
            }
            store::Error::CalendarRefused(refused) => return refused_calendar(refused),
            store::Error::Conflict(conflict) => return conflict.clone().into(),
            store::Error::Refused(refusal) => return refused(refusal, &Fields::default()),
            store::Error::RequestIdReused => {
                return bad_field_for(
                    Common::RequestIdReused,
                    "request_id",
                    "came before with another request",
                );
            }
            store::Error::Database(cause) if is_transient(cause) => {
                return unavailable("using the database", cause);
            }
            store::Error::Database(cause) => return internal("using the database", cause),
            store::Error::Interrupted(cause) => return internal("working apart", cause),
            store::Error::Unreadable { .. } => return internal("reading a row", &error),
        };
        refuse(code, reason, error.to_string(), [("name", name)])
    }
}

impl From<jobs::Error> for Status {
    fn from(error: jobs::Error) -> Self {
        match error {
            jobs::Error::Peer(status) => status,
            jobs::Error::ClockJumped { now, swept } => {
                let metadata = [("now", now.to_rfc3339()), ("swept", swept.to_rfc3339())];
                let message = error.to_string();
                refuse(Code::FailedPrecondition, ErrorReason::ClockJumped, message, metadata)
            }
            jobs::Error::Store(error) => error.into(),
        }
    }
}

impl From<Contradiction> for Status {
    fn from(error: Contradiction) -> Self {
        use Contradiction as C;
        let (reason, part) = match &error {
            C::EndsBeforeItBegins => (ErrorReason::InvalidRegime, Part::Through),
            C::NobodyOwes => (ErrorReason::InvalidRegime, Part::Debtors),
            C::EverybodyExcepted => (ErrorReason::InvalidRegime, Part::Except),
            C::KindIsOnce => (ErrorReason::InvalidRegime, Part::Kind),
            C::DateIsOnce => (ErrorReason::InvalidRegime, Part::DueDate),
            C::AmendsItself => (ErrorReason::InvalidRegime, Part::Amends),
            C::TooManyPeriods { .. } => (ErrorReason::TooManyPeriods, Part::From),
            C::DueBeforeCutOff { part, .. } => (ErrorReason::DueBeforeCutOff, *part),
            C::AsksForNothing { part }
            | C::OfNoDebtor { part }
            | C::NobodySendsOn { part }
            | C::AgainstFamily { part, .. }
            | C::DueBeforeTierBefore { part, .. } => (ErrorReason::InvalidRegime, *part),
        };
        bad_field_for(reason, &field_of(part), error)
    }
}

/// Where the contract states a part of a regime.
fn field_of(part: Part) -> String {
    let field = match part {
        Part::Window => "window_family",
        Part::CutOffAsDeclared => "cut_off_as_declared",
        Part::From => "from_date",
        Part::Through => "through_date",
        Part::OncePeriod => "once_period",
        Part::Kind => "report_kind",
        Part::Amends => "amends",
        Part::Debtors => "debtors",
        Part::Except => "debtors.except_subtrees",
        Part::Due => "due_rule",
        Part::DueDate => "due_date",
        Part::LevelDue(at) => return format!("regime.level_due_rules[{at}].due_rule"),
        Part::LevelDueLevel(at) => return format!("regime.level_due_rules[{at}].level"),
        Part::OnwardDue(at) => return format!("regime.onward_tiers[{at}].due_rule"),
        Part::OnwardReceiver(at) => return format!("regime.onward_tiers[{at}]"),
    };
    format!("regime.{field}")
}

impl From<Conflict> for Status {
    fn from(error: Conflict) -> Self {
        let message = error.to_string();
        let (reason, name) = match error {
            Conflict::UnknownRegime(name) => {
                let name = [("name", name.to_string())];
                return refuse(Code::NotFound, ErrorReason::UnknownRegime, message, name);
            }
            Conflict::Ended { regime, .. } | Conflict::AmendedAlready { regime, .. } => {
                (ErrorReason::RegimeEnded, regime)
            }
            Conflict::Contradicts { regime, .. } => (ErrorReason::RegimeContradicts, regime),
        };
        refuse(Code::FailedPrecondition, reason, message, [("regime", name.to_string())])
    }
}

/// A change that makes no calendar names the day at fault.
fn refused_calendar(refused: &Refused) -> Status {
    let field = match refused {
        Refused::WithoutEffect(calendar) => {
            let metadata = [("name", calendar.to_string())];
            let message = refused.to_string();
            return refuse(Code::FailedPrecondition, ErrorReason::WithoutEffect, message, metadata);
        }
        Refused::Days(CalendarError::Row { row, problem }) => {
            let field =
                if matches!(problem, DayProblem::WorkedAnyway { .. }) { "kind" } else { "date" };
            let field = format!("days[{}].{field}", row.saturating_sub(1));
            return bad_field_for(ErrorReason::InvalidCalendar, &field, problem);
        }
        Refused::Days(_) | Refused::Elsewhere { .. } => "days",
    };
    bad_field_for(ErrorReason::InvalidCalendar, field, refused)
}

/// NOT_FOUND for a calendar that is not there.
pub(crate) fn unknown_calendar(name: &str) -> Status {
    let message = format!("{name} is no calendar here");
    refuse(Code::NotFound, ErrorReason::UnknownCalendar, message, [("name", name.to_owned())])
}

/// What a call states of a decision or a request, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    /// Until when.
    pub(crate) until: &'static str,
    /// For when.
    pub(crate) extent: &'static str,
    /// Whether it makes something that a waiver makes needless already.
    pub(crate) waived: Code,
}

impl Default for Fields {
    fn default() -> Self {
        Self { until: "due_date", extent: "period", waived: Code::FailedPrecondition }
    }
}

/// Where a decision or a request was refused, by the fields of the call.
pub(crate) fn by_fields(fields: Fields) -> impl Fn(store::Error) -> Status {
    move |error| match error {
        store::Error::Refused(refusal) => refused(&refusal, &fields),
        other => other.into(),
    }
}

fn refused(refusal: &Refusal, fields: &Fields) -> Status {
    use ErrorReason as R;
    let message = refusal.to_string();
    let precondition = |reason| refuse(Code::FailedPrecondition, reason, &message, []);
    let named = |code, reason, name: String| refuse(code, reason, &message, [("name", name)]);
    match refusal {
        Refusal::NotOwed(name) => named(Code::NotFound, R::ObligationNotFound, name.to_string()),
        Refusal::NothingConcerned(_) => precondition(R::NothingConcerned),
        Refusal::InThePast => bad_field_for(R::InThePast, fields.extent, refusal),
        Refusal::Waived => refuse(fields.waived, R::AlreadyWaived, message, []),
        Refusal::Submitted => precondition(R::AlreadySubmitted),
        Refusal::Closed => precondition(R::ObligationClosed),
        Refusal::NoDueTime => precondition(R::NoDueTime),
        Refusal::NothingToExplain(_) => precondition(R::NothingToExplain),
        Refusal::NotLater => bad_field_for(R::NotLater, fields.until, refusal),
        Refusal::UnknownDecision(id) => {
            named(Code::NotFound, R::DecisionNotFound, format!("decisions/{id}"))
        }
        Refusal::Revoked(id) => {
            named(Code::FailedPrecondition, R::AlreadyRevoked, format!("decisions/{id}"))
        }
        Refusal::UnknownRequest(name) => {
            named(Code::NotFound, R::RequestNotFound, name.to_string())
        }
        Refusal::Decided(name, state) => {
            let state = state.to_uppercase();
            let metadata = [("name", name.to_string()), ("state", state)];
            refuse(Code::FailedPrecondition, R::AlreadyDecided, message, metadata)
        }
        Refusal::RequestExists(name) => {
            named(Code::AlreadyExists, R::RequestExists, name.to_string())
        }
        Refusal::DocumentMissing => {
            bad_field_for(Common::RequiredFieldMissing, "document", refusal)
        }
        Refusal::MovesNothing(field) => bad_field_for(Common::InvalidField, field, refusal),
    }
}

/// NOT_FOUND for a unit that the hierarchy does not know.
pub(crate) fn unknown_unit(unit: dunghan_hierarchy::UnitId) -> Status {
    let message = format!("{unit} is not known");
    refuse(Code::NotFound, ErrorReason::UnknownUnit, message, [("name", unit.to_string())])
}

/// INVALID_ARGUMENT for a field that names no period.
pub(crate) fn bad_period(field: &str, why: impl ToString) -> Status {
    bad_field_for(ErrorReason::InvalidPeriod, field, why)
}
