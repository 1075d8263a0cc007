//! An obligation as it stood at a moment that has passed, put together again from what was written down since.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::calendar::Calendars;
use crate::domain::decision::{Decision, Outcome};
use crate::domain::due_change::DueChange;
use crate::domain::editions::kept;
use crate::domain::explain::{Act, ActKind};
use crate::domain::obligation::{Obligation, Receipt, Returned, Waived};
use crate::domain::opening::original_due;
use crate::domain::regime::Regime;

/// What is known of an obligation, and the moment that is looked back to.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// As it stands now.
    pub now: &'a Obligation,
    /// By which rule it is owed.
    pub regime: &'a Regime,
    /// The decisions that concern it or did so, revoked ones included.
    pub decisions: &'a [Decision],
    /// How its due time moved, the first move first.
    pub due_changes: &'a [DueChange],
    /// The report that submission has spoken of.
    pub report: Option<Uuid>,
    /// What was done with that, the first first.
    pub acts: &'a [Act],
    /// The moment.
    pub at: DateTime<Utc>,
}

/// Which amendments of the calendars had been made by which an obligation was measured at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amended {
    /// Those up to this number; none: whichever.
    pub through: Option<u64>,
    /// And made by then.
    pub by: DateTime<Utc>,
}

impl Past<'_> {
    /// The report that counted then, and whether it was sent back and not there again.
    fn report(&self) -> (Option<Receipt>, Option<Returned>) {
        let (Some(report), false) = (self.report, self.acts.is_empty()) else {
            let receipt = self.now.receipt.filter(|receipt| receipt.time <= self.at);
            return (receipt, self.now.returned.filter(|returned| returned.time <= self.at));
        };
        let (mut receipt, mut returned) = (None, None);
        for act in self.acts.iter().filter(|act| act.time <= self.at) {
            match act.kind {
                ActKind::Submitted(_) => {
                    receipt = receipt.or(Some(Receipt { report, time: act.time }));
                    returned = None;
                }
                ActKind::Withdrawn => (receipt, returned) = (None, None),
                ActKind::Returned(due) => {
                    returned = due.map(|due| Returned { time: act.time, due });
                }
                // It is there as it was.
                ActKind::Accepted(_) => {}
            }
        }
        (receipt, returned)
    }

    /// By which calendars it was measured then.
    pub fn amended(&self) -> Amended {
        match self.report().0 {
            // Taken back since: it was measured when it came.
            Some(receipt) if self.now.receipt != Some(receipt) => {
                Amended { through: None, by: receipt.time }
            }
            received => {
                let then = Obligation { receipt: received, ..self.now.clone() };
                Amended { through: kept(&then, self.at), by: self.at }
            }
        }
    }

    fn in_force(&self, decision: &Decision) -> bool {
        let revoked = decision.revoked.as_ref().is_some_and(|revoked| revoked.time <= self.at);
        decision.create_time <= self.at && !revoked
    }

    /// The due time in force then, and its generation.
    fn due(&self) -> (Option<DateTime<Utc>>, i32) {
        let mut later = self.due_changes.iter().filter(|change| self.at < change.create_time);
        let Some(next) = later.next() else { return (self.now.due, self.now.due_generation) };
        let waiver = self.decisions.iter().any(|decision| {
            decision.outcome == Outcome::Waiver && next.reference == decision.name()
        });
        // The end of a waiver is told as a move from no due time, and the due time was there all along.
        let due = if waiver { next.new } else { next.old };
        (due, next.due_generation - 1)
    }

    fn waived(&self, received: Option<Receipt>) -> Option<Waived> {
        let held = |decision: &&Decision| {
            // One that is in force still and does not hold it had left it alone.
            let own = self.now.waived.is_some_and(|waived| waived.decision == decision.id);
            own || decision.revoked.is_some() && decision.concerns(self.now)
        };
        let waivers = self.decisions.iter().filter(|one| one.outcome == Outcome::Waiver);
        let before = |one: &&Decision| received.is_none_or(|known| one.create_time < known.time);
        let found = waivers.filter(|one| self.in_force(one)).filter(held).filter(before);
        let first = found.min_by_key(|one| (one.create_time, one.id));
        first.map(|one| Waived { decision: one.id, time: one.create_time })
    }

    /// The obligation as it stood, by the calendars that [`Self::amended`] asks for.
    pub fn obligation(&self, calendars: &Calendars) -> Obligation {
        let (receipt, returned) = self.report();
        let (due, due_generation) = self.due();
        let then = Obligation {
            receipt,
            returned,
            due,
            due_generation,
            waived: self.waived(receipt),
            calendar_amendment: calendars.amendment(),
            original_due: due,
            extension: None,
            ..self.now.clone()
        };
        let Obligation { ref name, tier, level, .. } = then;
        let original = original_due(self.regime, name.period, tier, level, then.area(), calendars);
        let by_rule = Obligation { original_due: original, ..then.clone() };
        let is_extension = |one: &&Decision| matches!(one.outcome, Outcome::Extension { .. });
        let extensions = self.decisions.iter().filter(is_extension);
        let held = |one: &&Decision| {
            self.in_force(one) && (one.concerns(&by_rule) || self.now.extension == Some(one.id))
        };
        let extensions: Vec<_> = extensions.filter(held).collect();
        if extensions.is_empty() || due <= original {
            return then;
        }
        // Of two that reach as far, the one that was there first.
        let mut reaching = extensions.iter().filter(|one| one.until(&by_rule, calendars) == due);
        let own = || extensions.iter().find(|one| self.now.extension == Some(one.id));
        let extension = reaching.next().or_else(own).map(|one| one.id);
        Obligation { extension, ..by_rule }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use dunghan_calendar::Frequency;

    use super::*;
    use crate::domain::decision::{Extent, Revocation, Until};
    use crate::domain::due_change::Cause;
    use crate::domain::obligation::Standing;
    use crate::domain::obligation::tests::{obligation, time};
    use crate::domain::regime::Schedule;
    use crate::domain::regime::tests::{day, regime};

    const DUE: &str = "2026-05-20T00:00:00+07:00";
    const LATER: &str = "2026-05-23T00:00:00+07:00";
    const MADE: &str = "2026-05-18T08:00:00+07:00";
    const REVOKED: &str = "2026-05-19T08:00:00+07:00";

    /// Three working days more, or a waiver; revoked a day later.
    fn decision(outcome: Outcome) -> Decision {
        let name = obligation(None).name;
        Decision {
            id: Uuid::nil(),
            unit: name.unit,
            subtree: false,
            below_only: false,
            regime: Some(name.regime),
            extent: Extent::Period(name.period),
            outcome,
            document: "Quyết định số 20/QĐ-UBND".to_owned(),
            reason: "mưa lũ".to_owned(),
            author: "supervisor".to_owned(),
            create_time: time(MADE),
            revoked: Some(Revocation {
                time: time(REVOKED),
                author: "supervisor".to_owned(),
                document: "Quyết định số 22/QĐ-UBND".to_owned(),
                reason: "cấp nhầm".to_owned(),
            }),
            request: None,
            concerned: 1,
        }
    }

    fn change(due_generation: i32, old: Option<&str>, new: &str, at: &str) -> DueChange {
        DueChange {
            name: obligation(None).name,
            due_generation,
            old: old.map(time),
            new: Some(time(new)),
            cause: Cause::Extension,
            reference: decision(Outcome::Waiver).name(),
            reason: String::new(),
            author: String::new(),
            create_time: time(at),
        }
    }

    fn then(
        now: &Obligation,
        decision: &Decision,
        due_changes: &[DueChange],
        at: &str,
    ) -> Obligation {
        let regime = regime(Schedule::Every(Frequency::Month), "2026-05-01", None);
        let past = Past {
            now,
            regime: &regime,
            decisions: std::slice::from_ref(decision),
            due_changes,
            report: None,
            acts: &[],
            at: time(at),
        };
        past.obligation(&Calendars::official().unwrap())
    }

    #[test]
    fn an_extension_holds_from_the_instant_of_its_decision_to_that_of_its_end() {
        let until = Until::WorkingDays(3);
        let extension = decision(Outcome::Extension { until, afterwards: false });
        let now = Obligation { due_generation: 3, ..obligation(Some(DUE)) };
        let changes = [change(2, Some(DUE), LATER, MADE), change(3, Some(LATER), DUE, REVOKED)];
        for (at, generation, extended) in [
            ("2026-05-18T07:59:59.999999+07:00", 1, false),
            (MADE, 2, true),
            ("2026-05-19T07:59:59.999999+07:00", 2, true),
            (REVOKED, 3, false),
        ] {
            let then = then(&now, &extension, &changes, at);
            assert_eq!(then.due_generation, generation, "{at}");
            assert_eq!(then.due, Some(time(if extended { LATER } else { DUE })), "{at}");
            assert_eq!(then.original_due, Some(time(DUE)), "{at}");
            assert_eq!(then.extension, extended.then_some(extension.id), "{at}");
        }
        // With nothing to come, it stands as it stands now.
        assert_eq!(then(&now, &extension, &changes, LATER), now);
    }

    #[test]
    fn a_waiver_holds_until_it_is_revoked_and_the_due_time_was_there_all_along() {
        let waiver = decision(Outcome::Waiver);
        let now = Obligation { due_generation: 2, ..obligation(Some(DUE)) };
        let changes = [change(2, None, DUE, REVOKED)];
        for (at, standing, generation) in [
            ("2026-05-18T07:59:59.999999+07:00", Standing::Open, 1),
            (MADE, Standing::Waived, 1),
            (REVOKED, Standing::Open, 2),
        ] {
            let then = then(&now, &waiver, &changes, at);
            assert_eq!(then.standing(time(at)), standing, "{at}");
            assert_eq!((then.due, then.due_generation), (Some(time(DUE)), generation), "{at}");
        }
        // What was submitted before it was left alone by it, and so was what it does not hold though it is in force.
        let receipt = Some(Receipt { report: Uuid::nil(), time: time(MADE) - TimeDelta::hours(1) });
        let submitted = Obligation { receipt, ..obligation(Some(DUE)) };
        assert_eq!(then(&submitted, &waiver, &[], MADE).waived, None);
        let in_force = Decision { revoked: None, ..waiver };
        assert_eq!(then(&obligation(Some(DUE)), &in_force, &[], MADE).waived, None);
    }

    #[test]
    fn what_is_extended_to_a_day_is_due_by_the_rule_where_nothing_extends_it_any_more() {
        // The unit came to another level since: only what was noted tells when it was due.
        let none = decision(Outcome::Waiver);
        let until = Until::Date(day("2026-05-22"));
        let extension = decision(Outcome::Extension { until, afterwards: false });
        let earlier = "2026-05-19T00:00:00+07:00";
        let now = Obligation { due_generation: 2, ..obligation(Some(DUE)) };
        let changes = [DueChange {
            cause: Cause::UnitChanged,
            reference: String::new(),
            ..change(2, Some(earlier), DUE, LATER)
        }];
        let before = then(&now, &none, &changes, DUE);
        assert_eq!((before.due, before.original_due), (Some(time(earlier)), before.due));
        let extended = [change(2, Some(DUE), LATER, MADE), change(3, Some(LATER), DUE, REVOKED)];
        let before = then(&now, &extension, &extended, MADE);
        assert_eq!((before.due, before.original_due), (Some(time(LATER)), Some(time(DUE))));
    }
}
