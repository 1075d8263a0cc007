//! What a unit asks of whoever supervises it: more time, an excuse because a system failed, a lateness to be explained.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::zone;
use uuid::Uuid;

use crate::domain::calendar::Calendars;
use crate::domain::decision::{Decision, Effect, Extent, Outcome, Refusal, Until};
use crate::domain::obligation::{Obligation, ObligationName};
use crate::domain::regime::Regime;

/// Reads and prints as `units/{unit}/obligations/{regime}~{period}/requests/{request}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestName {
    /// On which obligation.
    pub obligation: ObligationName,
    /// Its id.
    pub id: Uuid,
}

/// Not the name of a request.
#[derive(Debug, thiserror::Error)]
#[error("must be units/{{unit}}/obligations/{{regime}}~{{period}}/requests/{{request}}")]
pub struct NotARequest;

impl FromStr for RequestName {
    type Err = NotARequest;

    fn from_str(text: &str) -> Result<Self, NotARequest> {
        let (obligation, id) = text.split_once("/requests/").ok_or(NotARequest)?;
        let obligation = obligation.parse().map_err(|_| NotARequest)?;
        let name = Self { obligation, id: id.parse().map_err(|_| NotARequest)? };
        // Uuid reads other spellings too; a name has one.
        if name.to_string() == text { Ok(name) } else { Err(NotARequest) }
    }
}

impl fmt::Display for RequestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/requests/{}", self.obligation, self.id)
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// More time, to the end of this day.
    Extension(NaiveDate),
    /// That a lateness be taken as explained.
    Explanation,
    /// That a report which a system held up be on time, if it came by the end of this day.
    SystemFailure(NaiveDate),
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Nobody has decided.
    Pending,
    /// Granted, or accepted.
    Granted,
    /// Refused.
    Refused,
    /// Taken back by the unit.
    Withdrawn,
}

impl State {
    /// As the contract writes it, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// Who decided it or took it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Who: the subject of the token.
    pub author: String,
    /// When.
    pub time: DateTime<Utc>,
    /// What was answered; empty where the unit took it back.
    pub answer: String,
}

/// What a unit asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObligationRequest {
    /// Which.
    pub name: RequestName,
    /// What.
    pub asked: Asked,
    /// Why.
    pub reason: String,
    /// Who asked: the subject of the token.
    pub author: String,
    /// When.
    pub create_time: DateTime<Utc>,
    /// Where it stands.
    pub state: State,
    /// Who decided it or took it back; none while it is pending.
    pub decided: Option<Decided>,
    /// The decision that came of it.
    pub decision: Option<Uuid>,
}

/// What is answered to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Granted or accepted; otherwise refused.
    pub grant: bool,
    /// Another day than was asked for.
    pub due: Option<NaiveDate>,
    /// Number and symbol of the document; empty: none is named.
    pub document: String,
    /// Who, when, and in which words.
    pub decided: Decided,
}

impl ObligationRequest {
    /// Whether it can be asked of an obligation as it stands.
    ///
    /// Errors: why it could come to nothing but a refusal.
    pub fn check(&self, obligation: &Obligation) -> Result<(), Refusal> {
        let now = self.create_time;
        if obligation.closed.is_some_and(|closed| closed.time <= now) {
            return Err(Refusal::Closed);
        }
        if obligation.waived.is_some() {
            return Err(Refusal::Waived);
        }
        let due = obligation.due.ok_or(Refusal::NoDueTime)?;
        let (until, afterwards) = match self.asked {
            Asked::Explanation => {
                let late = due <= obligation.receipt.map_or(now, |receipt| receipt.time);
                let nothing = || Refusal::NothingToExplain(obligation.name.clone());
                return if late { Ok(()) } else { Err(nothing()) };
            }
            Asked::Extension(day) => (zone::end_of(day), false),
            Asked::SystemFailure(day) => (zone::end_of(day), true),
        };
        match obligation.receipt {
            Some(receipt) if !afterwards || receipt.time < due => Err(Refusal::Submitted),
            None if until <= now => Err(Refusal::NotLater),
            _ if until <= due => Err(Refusal::NotLater),
            _ => Ok(()),
        }
    }

    /// Decides, and gives the decision that comes of a grant, with what it does.
    ///
    /// Errors: it is decided or withdrawn already; or the grant would move nothing, and why.
    pub fn decide(
        &mut self,
        answer: Answer,
        obligation: Obligation,
        regime: &Regime,
        calendars: &Calendars,
    ) -> Result<Option<(Decision, Effect)>, Refusal> {
        self.still_pending()?;
        let moved = match (self.asked, answer.grant) {
            (Asked::Extension(day), true) => Some((day, false)),
            (Asked::SystemFailure(day), true) => Some((day, true)),
            (Asked::Explanation, _) | (_, false) => None,
        };
        let made = match moved {
            None if answer.due.is_some() => return Err(Refusal::MovesNothing("due_date")),
            None if !answer.document.is_empty() => return Err(Refusal::MovesNothing("document")),
            None => None,
            Some(_) if answer.document.is_empty() => return Err(Refusal::DocumentMissing),
            Some((asked, afterwards)) => {
                let until = Until::Date(answer.due.unwrap_or(asked));
                let mut decision = Decision {
                    id: Uuid::now_v7(),
                    unit: self.name.obligation.unit,
                    subtree: false,
                    below_only: false,
                    regime: Some(self.name.obligation.regime.clone()),
                    extent: Extent::Period(self.name.obligation.period),
                    outcome: Outcome::Extension { until, afterwards },
                    document: answer.document,
                    reason: answer.decided.answer.clone(),
                    author: answer.decided.author.clone(),
                    create_time: answer.decided.time,
                    revoked: None,
                    request: Some(self.name.clone()),
                    concerned: 0,
                };
                let regimes = HashMap::from([(regime.id.clone(), regime.clone())]);
                let effect = decision.make(vec![obligation], &regimes, calendars, false)?;
                self.decision = Some(decision.id);
                Some((decision, effect))
            }
        };
        self.state = if answer.grant { State::Granted } else { State::Refused };
        self.decided = Some(answer.decided);
        Ok(made)
    }

    /// Takes it back. False where that was done before.
    ///
    /// Errors: it is decided.
    pub fn withdraw(&mut self, author: &str, now: DateTime<Utc>) -> Result<bool, Refusal> {
        if self.state == State::Withdrawn {
            return Ok(false);
        }
        self.still_pending()?;
        self.state = State::Withdrawn;
        let (author, answer) = (author.to_owned(), String::new());
        self.decided = Some(Decided { author, time: now, answer });
        Ok(true)
    }

    fn still_pending(&self) -> Result<(), Refusal> {
        match self.state {
            State::Pending => Ok(()),
            other => Err(Refusal::Decided(self.name.clone(), other.as_str())),
        }
    }
}
