//! Due times that moved, each with why.

use chrono::{DateTime, Utc};

use crate::domain::obligation::ObligationName;

/// What moved a due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The working calendar was amended.
    CalendarAmended,
    /// An extension was decided.
    Extension,
    /// An extension was revoked.
    ExtensionRevoked,
    /// The unit's level or place on the cut-off day became another.
    UnitChanged,
}

/// A due time that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueChange {
    /// Whose.
    pub name: ObligationName,
    /// The generation that it began.
    pub due_generation: i32,
    /// Before; none: no due time.
    pub old: Option<DateTime<Utc>>,
    /// After; none: no due time.
    pub new: Option<DateTime<Utc>>,
    /// What moved it.
    pub cause: Cause,
    /// The name of the decision or amendment: `decisions/{decision}` or `calendars/{calendar}/amendments/{amendment}`;
    /// empty where it follows from the hierarchy.
    pub reference: String,
    /// Why, in the words of whoever decided.
    pub reason: String,
    /// Who decided; empty where it follows from the hierarchy.
    pub author: String,
    /// When.
    pub create_time: DateTime<Utc>,
}
