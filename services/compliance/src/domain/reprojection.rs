//! What an amended calendar does to what is owed.
//!
//! It moves what nobody has submitted and what is still owed, waived or not. What was received keeps the due time that it was
//! measured by.

use chrono::{DateTime, Utc};

use crate::domain::calendar::Calendars;
use crate::domain::decision::{Decision, apply};
use crate::domain::obligation::Obligation;
use crate::domain::opening::original_due;
use crate::domain::regime::Regime;

/// Whether an amendment can move it at a moment.
pub fn is_movable(obligation: &Obligation, at: DateTime<Utc>) -> bool {
    obligation.receipt.is_none() && obligation.closed.is_none_or(|closed| at < closed.time)
}

/// Has an obligation due as these calendars say, and the decisions in force with them. True where it changed; the due time is
/// in a new generation where it is another.
///
/// A decision that left the obligation alone may take hold of it where the due time before any extension moves, and else goes
/// on leaving it alone.
pub fn reproject(
    obligation: &mut Obligation,
    regime: &Regime,
    calendars: &Calendars,
    in_force: &[Decision],
) -> bool {
    let before = obligation.clone();
    let Obligation { tier, level, .. } = before;
    let original = original_due(regime, before.name.period, tier, level, before.area(), calendars);
    obligation.original_due = original;
    if original == before.original_due && before.extension.is_none() {
        // The grace may end on another day.
        obligation.set_due(before.due, regime, calendars);
    } else {
        if original != before.original_due {
            obligation.calendar_amendment = calendars.amendment();
        }
        apply(in_force, obligation, regime, calendars);
    }
    *obligation != before
}
