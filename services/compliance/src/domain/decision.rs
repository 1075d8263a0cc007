//! Waivers and extensions: which obligations a decision concerns, and what it does to them.
//!
//! An obligation stands as the decisions in force say: it is waived while one waiver is in force, and due at its original
//! due time or at the furthest that an extension reaches, each counted from the original. Extensions never add up. What was
//! received is not measured anew, but for an excuse that was granted afterwards.
//!
//! A range of due days is held against the due time before any extension. What a decision took hold of it holds until it is
//! revoked, also where an amended calendar moves that due time out of the range.

use std::cmp::Reverse;
use std::collections::HashMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use dunghan_calendar::{Period, zone};
use dunghan_hierarchy::UnitId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::calendar::Calendars;
use crate::domain::due_change::{Cause, DueChange};
use crate::domain::obligation::{Obligation, ObligationName, Waived};
use crate::domain::regime::{Regime, RegimeId};
use crate::domain::request::RequestName;

/// Which of a unit's obligations, among those under the decision's regime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Those for one period.
    Period(Period),
    /// Those that are due within these days, both included, before any extension.
    Due {
        /// The first day.
        from: NaiveDate,
        /// The last day.
        through: NaiveDate,
    },
}

/// Until when a report is on time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Until {
    /// To the end of this day.
    Date(NaiveDate),
    /// To the end of the day that many working days after the original due date.
    WorkingDays(u16),
}

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// They need not report.
    Waiver,
    /// They may report later.
    Extension {
        /// Until when.
        until: Until,
        /// It also moves the due time of a report that is there already, and late: an excuse granted afterwards.
        #[serde(default)]
        afterwards: bool,
    },
}

/// How a decision ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// When.
    pub time: DateTime<Utc>,
    /// By whom: the subject of the token.
    pub author: String,
    /// Number and symbol of the document.
    pub document: String,
    /// Why.
    pub reason: String,
}

/// A waiver or an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Its id.
    pub id: Uuid,
    /// On whom.
    pub unit: UnitId,
    /// On all that was below the unit on the cut-off day too.
    pub subtree: bool,
    /// On what was below the unit and not on the unit itself: whoever decides only for themselves and those below does not
    /// excuse themselves.
    pub below_only: bool,
    /// Only under this regime; none: under all.
    pub regime: Option<RegimeId>,
    /// For which periods.
    pub extent: Extent,
    /// What is decided.
    pub outcome: Outcome,
    /// Number and symbol of the document.
    pub document: String,
    /// Why.
    pub reason: String,
    /// Who decided: the subject of the token.
    pub author: String,
    /// When; it holds from then on.
    pub create_time: DateTime<Utc>,
    /// How it ended; none: it is in force.
    pub revoked: Option<Revocation>,
    /// The request that it answers.
    pub request: Option<RequestName>,
    /// How many obligations it changed when it was made.
    pub concerned: u64,
}

/// Why a decision or a request cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody owes the one obligation that it names.
    #[error("{0} is not owed")]
    NotOwed(ObligationName),
    /// Nothing is owed that it could concern, or what there is differs in why it is left alone.
    #[error("nothing that is owed is concerned: {0}")]
    NothingConcerned(String),
    /// All that it could concern lies in the past, and nothing of it is owed.
    #[error("lies in the past, where nothing is owed that could be concerned")]
    InThePast,
    /// All of it is waived.
    #[error("what is concerned is waived already")]
    Waived,
    /// All of it is submitted.
    #[error("what is concerned is submitted already")]
    Submitted,
    /// All of it is closed.
    #[error("what is concerned is closed: nobody owes it any more")]
    Closed,
    /// It is neither late nor missing.
    #[error("{0} is neither late nor missing: there is nothing to explain")]
    NothingToExplain(ObligationName),
    /// None of it has a due time.
    #[error("what is concerned has no due time")]
    NoDueTime,
    /// Nothing of it would be due later.
    #[error("is not later than the due date in force, or lies before today")]
    NotLater,
    /// There is no such decision.
    #[error("decisions/{0} does not exist")]
    UnknownDecision(Uuid),
    /// It is revoked.
    #[error("decisions/{0} is revoked already")]
    Revoked(Uuid),
    /// There is no such request.
    #[error("{0} does not exist")]
    UnknownRequest(RequestName),
    /// It is decided or withdrawn.
    #[error("{0} is {1} already")]
    Decided(RequestName, &'static str),
    /// The unit has asked for the same, and nobody has decided.
    #[error("the same is asked for by {0}, which nobody has decided yet")]
    RequestExists(RequestName),
    /// A grant that moves a due time rests on a document.
    #[error("is missing: a grant that moves a due time names its document")]
    DocumentMissing,
    /// Only a grant that moves a due time has that field.
    #[error("is only for a grant that moves a due time")]
    MovesNothing(&'static str),
}

/// What a decision does to one obligation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concerned {
    /// Which.
    pub name: ObligationName,
    /// The unit's statistics code on the cut-off day.
    pub unit_code: String,
    /// The due time in force before.
    pub old_due: Option<DateTime<Utc>>,
    /// The due time in force after; none with a waiver.
    pub new_due: Option<DateTime<Utc>>,
}

/// Obligations as a decision leaves them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Those that are otherwise than before.
    pub changed: Vec<Obligation>,
    /// Each new due generation.
    pub due_changes: Vec<DueChange>,
    /// What the decision did to each, by unit code, regime and period.
    pub concerned: Vec<Concerned>,
}

impl Decision {
    /// `decisions/{decision}`.
    pub fn name(&self) -> String {
        format!("decisions/{}", self.id)
    }

    /// Whether it speaks of an obligation, whatever became of that.
    pub fn concerns(&self, obligation: &Obligation) -> bool {
        let name = &obligation.name;
        let of_unit = match name.unit == self.unit {
            true => !self.below_only,
            false => self.subtree && obligation.path.contains(&self.unit),
        };
        of_unit
            && self.regime.as_ref().is_none_or(|regime| *regime == name.regime)
            && match self.extent {
                Extent::Period(period) => name.period == period,
                Extent::Due { from, through } => last_day(obligation.original_due)
                    .is_some_and(|due| from <= due && due <= through),
            }
    }

    /// Whether it can concern obligations of a period under a regime; which ones, [`Self::concerns`] says of each.
    pub fn reaches(&self, regime: &Regime, period: Period, calendars: &Calendars) -> bool {
        if self.regime.as_ref().is_some_and(|of| *of != regime.id) {
            return false;
        }
        let (from, through) = match self.extent {
            Extent::Period(of) => return of == period,
            Extent::Due { from, through } => (from, through),
        };
        // A calendar may have been amended since; by days, and not by so many.
        let margin = Days::new(31);
        let from = from.checked_sub_days(margin).unwrap_or(NaiveDate::MIN);
        let through = through.checked_add_days(margin).unwrap_or(NaiveDate::MAX);
        let cut_off = regime.window(period).cut_off;
        regime.tiers.iter().flat_map(|tier| tier.due.all()).any(|rule| {
            calendars.all().any(|(_, calendar)| {
                let due = rule.due_date(period, cut_off, regime.day_off, &calendar.days);
                (from..=through).contains(&due)
            })
        })
    }

    /// Whether it says how an obligation stands: it speaks of it, or took hold of it before.
    fn holds(&self, obligation: &Obligation) -> bool {
        obligation.waived.is_some_and(|waived| waived.decision == self.id)
            || obligation.extension == Some(self.id)
            || self.concerns(obligation)
    }

    fn is_afterwards(&self) -> bool {
        matches!(self.outcome, Outcome::Extension { afterwards: true, .. })
    }

    /// Whether it moves the due time of an obligation whose report was received then, or is not there. By what was in force
    /// at its receipt a report is measured, also where that is revoked since, or learnt of late.
    fn extends(&self, received: Option<DateTime<Utc>>) -> bool {
        match (received, &self.revoked) {
            (_, Some(_)) if self.is_afterwards() => false,
            (None, revoked) => revoked.is_none(),
            (Some(_), None) if self.is_afterwards() => true,
            (Some(time), revoked) => {
                let before = revoked.as_ref().is_none_or(|revoked| time < revoked.time);
                self.create_time < time && before
            }
        }
    }

    /// The due time that it gives to an obligation; none with a waiver, and where there is no due time.
    pub fn until(&self, obligation: &Obligation, calendars: &Calendars) -> Option<DateTime<Utc>> {
        let Outcome::Extension { until, .. } = self.outcome else { return None };
        let original = last_day(obligation.original_due)?;
        let day = match until {
            Until::Date(day) => day,
            Until::WorkingDays(days) => {
                calendars.of(obligation.area()).add_working_days(original, days.into())
            }
        };
        Some(zone::end_of(day))
    }

    /// What it gives to an obligation when it is made: the later due time, or none with a waiver.
    ///
    /// Errors: why the obligation is left alone.
    fn judge(
        &self,
        obligation: &Obligation,
        calendars: &Calendars,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, Refusal> {
        if obligation.closed.is_some_and(|closed| closed.time <= now) {
            return Err(Refusal::Closed);
        }
        match (obligation.receipt, obligation.due) {
            // Whether it was on time is settled.
            (Some(_), _) if !self.is_afterwards() => return Err(Refusal::Submitted),
            (Some(receipt), Some(due)) if receipt.time < due => return Err(Refusal::Submitted),
            _ => {}
        }
        if obligation.waived.is_some() {
            return Err(Refusal::Waived);
        }
        if self.outcome == Outcome::Waiver {
            return Ok(None);
        }
        let (Some(due), Some(until)) = (obligation.due, self.until(obligation, calendars)) else {
            return Err(Refusal::NoDueTime);
        };
        let too_early = until <= due || obligation.receipt.is_none() && until <= now;
        if too_early { Err(Refusal::NotLater) } else { Ok(Some(until)) }
    }

    /// Takes hold of an obligation for which it was judged.
    fn take_hold(
        &self,
        obligation: &mut Obligation,
        until: Option<DateTime<Utc>>,
        regime: &Regime,
        calendars: &Calendars,
    ) {
        match until {
            None => obligation.waived = Some(self.waived()),
            Some(_) => {
                obligation.extension = Some(self.id);
                obligation.set_due(until, regime, calendars);
            }
        }
    }

    fn waived(&self) -> Waived {
        Waived { decision: self.id, time: self.create_time }
    }

    /// Makes the decision: what it does to the obligations that it concerns among `candidates`, which are all that are
    /// stored. `later` says that it will concern something that is not opened yet.
    ///
    /// Errors: nothing is concerned, and why.
    pub fn make(
        &mut self,
        candidates: Vec<Obligation>,
        regimes: &HashMap<RegimeId, Regime>,
        calendars: &Calendars,
        later: bool,
    ) -> Result<Effect, Refusal> {
        let mut effect = Effect::default();
        let (mut left, mut closed) = (Vec::new(), Vec::new());
        for mut obligation in candidates {
            let Some(regime) = regimes.get(&obligation.name.regime) else { continue };
            if !self.concerns(&obligation) {
                continue;
            }
            match self.judge(&obligation, calendars, self.create_time) {
                Err(why) => {
                    // Nobody owes it any more, and what had fallen due before is excused with the others.
                    let excuses = self.outcome == Outcome::Waiver && obligation.waived.is_none();
                    if why == Refusal::Closed && excuses && obligation.receipt.is_none() {
                        obligation.waived = Some(self.waived());
                        closed.push(obligation);
                    }
                    left.push(why);
                }
                Ok(until) => {
                    let (old, generation) = (obligation.due, obligation.due_generation);
                    self.take_hold(&mut obligation, until, regime, calendars);
                    effect.concerned.push(Concerned {
                        name: obligation.name.clone(),
                        unit_code: obligation.unit_code.clone(),
                        old_due: old,
                        new_due: until,
                    });
                    if obligation.due_generation != generation {
                        effect.due_changes.push(DueChange {
                            name: obligation.name.clone(),
                            due_generation: obligation.due_generation,
                            old,
                            new: obligation.due,
                            cause: Cause::Extension,
                            reference: self.name(),
                            reason: self.reason.clone(),
                            author: self.author.clone(),
                            create_time: self.create_time,
                        });
                    }
                    effect.changed.push(obligation);
                }
            }
        }
        if effect.changed.is_empty() && !later {
            return Err(self.nothing(&left, regimes, calendars));
        }
        effect.concerned.sort_by(|a, b| (&a.unit_code, &a.name).cmp(&(&b.unit_code, &b.name)));
        self.concerned = effect.changed.len() as u64;
        effect.changed.append(&mut closed);
        Ok(effect)
    }

    /// Why nothing is concerned, given why each was left alone.
    fn nothing(
        &self,
        left: &[Refusal],
        regimes: &HashMap<RegimeId, Regime>,
        calendars: &Calendars,
    ) -> Refusal {
        match left {
            [] => self.nothing_owed(regimes, calendars),
            [first, rest @ ..] if rest.iter().all(|other| other == first) => first.clone(),
            _ => {
                let words = [
                    (Refusal::Closed, "closed"),
                    (Refusal::Submitted, "submitted"),
                    (Refusal::Waived, "waived"),
                    (Refusal::NoDueTime, "without a due time"),
                    (Refusal::NotLater, "not due later by it"),
                ];
                let counts = words.into_iter().filter_map(|(why, word)| {
                    let count = left.iter().filter(|one| **one == why).count();
                    (count > 0).then(|| format!("{count} {word}"))
                });
                Refusal::NothingConcerned(counts.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// Why nothing is concerned, where nothing of the kind is owed.
    fn nothing_owed(&self, regimes: &HashMap<RegimeId, Regime>, calendars: &Calendars) -> Refusal {
        let last = match (self.extent, &self.regime) {
            (Extent::Period(period), Some(regime)) if !self.subtree => {
                let name = ObligationName { unit: self.unit, regime: regime.clone(), period };
                return Refusal::NotOwed(name);
            }
            (Extent::Period(period), regime) => {
                let regime = regime.as_ref().and_then(|regime| regimes.get(regime));
                regime.map(|regime| last_due(regime, period, calendars))
            }
            (Extent::Due { through, .. }, _) => Some(through),
        };
        match last {
            Some(last) if last < zone::civil_date(self.create_time) => Refusal::InThePast,
            _ => Refusal::NothingConcerned("there is no such obligation".to_owned()),
        }
    }

    /// Ends the decision. `held` are the obligations that it took hold of, `in_force` the decisions that are left, as far as
    /// they may concern those.
    ///
    /// Errors: it is revoked.
    pub fn revoke(
        &mut self,
        revocation: Revocation,
        held: Vec<Obligation>,
        in_force: &[Self],
        regimes: &HashMap<RegimeId, Regime>,
        calendars: &Calendars,
    ) -> Result<Effect, Refusal> {
        if self.revoked.is_some() {
            return Err(Refusal::Revoked(self.id));
        }
        let mut effect = Effect::default();
        for mut obligation in held {
            if obligation.closed.is_some_and(|one| one.time <= revocation.time) {
                // Its due time follows nothing any more; but what had fallen due before is excused no longer.
                let waived = waiver(in_force, &obligation);
                if obligation.waived != waived {
                    effect.changed.push(Obligation { waived, ..obligation });
                }
                continue;
            }
            let Some(regime) = regimes.get(&obligation.name.regime) else { continue };
            let before = obligation.clone();
            let waived = before.waived.is_some();
            if !apply(in_force, &mut obligation, regime, calendars) {
                continue;
            }
            if obligation.due_generation != before.due_generation {
                effect.due_changes.push(DueChange {
                    name: obligation.name.clone(),
                    due_generation: obligation.due_generation,
                    // While it was waived it was not due.
                    old: before.due.filter(|_| !waived),
                    new: obligation.due,
                    cause: Cause::ExtensionRevoked,
                    reference: self.name(),
                    reason: revocation.reason.clone(),
                    author: revocation.author.clone(),
                    create_time: revocation.time,
                });
            }
            effect.changed.push(obligation);
        }
        self.revoked = Some(revocation);
        Ok(effect)
    }
}

/// Has an obligation stand as decisions say, of which `decisions` are all in force that may concern it; those revoked may be
/// among them. True where it changed; the due time is then in a new generation, if it is another. Doing it again changes
/// nothing.
///
/// For what is opened, what is left when a decision is revoked, and what an amended calendar moves: have the new
/// `original_due` in the obligation before, and an extension by working days is counted from that.
///
/// What was received keeps its due time, unless it is late by that, and an extension was in force at its receipt, or excuses
/// it afterwards. A missing report that was told of and is no longer waived begins a new generation.
pub fn apply(
    decisions: &[Decision],
    obligation: &mut Obligation,
    regime: &Regime,
    calendars: &Calendars,
) -> bool {
    let before = obligation.clone();
    let received = before.receipt.map(|receipt| receipt.time);
    let holding = || decisions.iter().filter(|decision| decision.holds(&before));

    obligation.waived = waiver(decisions, &before);

    // Who is excused is left alone by what is decided afterwards.
    let excused = obligation.waived.map(|waived| (waived.time, waived.decision));
    let extensions = holding().filter(|decision| {
        decision.extends(received) && excused.is_none_or(|excused| order(decision) < excused)
    });
    let extensions = extensions.filter_map(|one| Some((one.until(&before, calendars)?, one)));
    // Of two that reach as far, the one that was there first.
    let furthest = extensions.max_by_key(|(until, one)| (*until, Reverse(order(one))));
    match (received, before.due, furthest) {
        (None, _, furthest) => {
            let later = furthest.filter(|(until, _)| before.original_due < Some(*until));
            obligation.extension = later.map(|(_, decision)| decision.id);
            let due = later.map_or(before.original_due, |(until, _)| Some(until));
            obligation.set_due(due, regime, calendars);
        }
        (Some(time), Some(due), Some((until, decision))) if due <= time && due < until => {
            obligation.extension = Some(decision.id);
            obligation.set_due(Some(until), regime, calendars);
        }
        _ => {}
    }

    let owed_again = before.waived.is_some() && obligation.waived.is_none() && received.is_none();
    if owed_again && obligation.told == Some(obligation.due_generation) {
        obligation.due_generation += 1;
    }
    *obligation != before
}

/// In the order in which decisions were made.
fn order(decision: &Decision) -> (DateTime<Utc>, Uuid) {
    (decision.create_time, decision.id)
}

/// By which waiver among these decisions an obligation is excused: the first. What was received before it was decided is left
/// alone, however late that is known.
fn waiver(decisions: &[Decision], obligation: &Obligation) -> Option<Waived> {
    let received = obligation.receipt.map(|receipt| receipt.time);
    decisions
        .iter()
        .filter(|one| one.outcome == Outcome::Waiver && one.revoked.is_none())
        .filter(|one| one.holds(obligation))
        .filter(|one| received.is_none_or(|time| one.create_time < time))
        .min_by_key(|one| order(one))
        .map(Decision::waived)
}

/// The last day on which anything is due for a period; without due days, the cut-off.
fn last_due(regime: &Regime, period: Period, calendars: &Calendars) -> NaiveDate {
    let cut_off = regime.window(period).cut_off;
    let rules = regime.tiers.iter().flat_map(|tier| tier.due.all());
    let days =
        rules.map(|rule| rule.due_date(period, cut_off, regime.day_off, calendars.national()));
    days.max().unwrap_or(cut_off)
}

/// The last day on which a report with that due time is on time.
fn last_day(due: Option<DateTime<Utc>>) -> Option<NaiveDate> {
    due.and_then(|due| zone::civil_date(due).pred_opt())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use dunghan_calendar::{Certainty, Frequency, SpecialKind};
    use proptest::prelude::*;

    use super::*;
    use crate::domain::calendar::{CalendarId, Change, SaidDay};
    use crate::domain::obligation::tests::{obligation, time};
    use crate::domain::obligation::{CloseReason, Closed, Evidence, Receipt, Standing, Task};
    use crate::domain::regime::Schedule;
    use crate::domain::regime::tests::{day, regime};

    /// The end of 19/05/2026, a Tuesday.
    const DUE: &str = "2026-05-20T00:00:00+07:00";
    const BEFORE: &str = "2026-05-18T08:00:00+07:00";

    fn calendars() -> Calendars {
        Calendars::official().unwrap()
    }

    fn cds() -> Regime {
        let every = Schedule::Every(Frequency::Month);
        Regime { id: RegimeId::new("cds-24").unwrap(), ..regime(every, "2026-05-01", None) }
    }

    fn regimes() -> HashMap<RegimeId, Regime> {
        HashMap::from([(cds().id, cds())])
    }

    fn owed() -> Obligation {
        obligation(Some(DUE))
    }

    fn end(date: &str) -> DateTime<Utc> {
        zone::end_of(day(date))
    }

    /// On the unit of [`owed`] for its period, made at `at`.
    fn decision(outcome: Outcome, at: &str) -> Decision {
        let name = owed().name;
        Decision {
            id: Uuid::now_v7(),
            unit: name.unit,
            subtree: false,
            below_only: false,
            regime: Some(name.regime),
            extent: Extent::Period(name.period),
            outcome,
            document: "15/QĐ-UBND".to_owned(),
            reason: "bão số 3".to_owned(),
            author: "lan".to_owned(),
            create_time: time(at),
            revoked: None,
            request: None,
            concerned: 0,
        }
    }

    fn to(date: &str, at: &str) -> Decision {
        let until = Until::Date(day(date));
        decision(Outcome::Extension { until, afterwards: false }, at)
    }

    fn by(days: u16, at: &str) -> Decision {
        let until = Until::WorkingDays(days);
        decision(Outcome::Extension { until, afterwards: false }, at)
    }

    fn waiver(at: &str) -> Decision {
        decision(Outcome::Waiver, at)
    }

    /// What the decision makes of one obligation.
    fn made(decision: &mut Decision, obligation: Obligation) -> Result<Obligation, Refusal> {
        let effect = decision.make(vec![obligation], &regimes(), &calendars(), false)?;
        let [one] = effect.changed.try_into().unwrap();
        Ok(one)
    }

    /// What is left of the decision's obligation when it is revoked.
    fn revoked(
        decision: &mut Decision,
        at: &str,
        held: &Obligation,
        left: &[Decision],
    ) -> (Obligation, Vec<DueChange>) {
        let revocation = Revocation {
            time: time(at),
            author: "minh".to_owned(),
            document: "16/QĐ-UBND".to_owned(),
            reason: "hết bão".to_owned(),
        };
        let effect = decision
            .revoke(revocation, vec![held.clone()], left, &regimes(), &calendars())
            .unwrap();
        let one = effect.changed.into_iter().next();
        (one.unwrap_or_else(|| held.clone()), effect.due_changes)
    }

    fn received(at: &str, obligation: Obligation) -> Obligation {
        let receipt = Receipt { report: Uuid::nil(), time: time(at) };
        Obligation { receipt: Some(receipt), sequence: obligation.sequence + 1, ..obligation }
    }

    #[test]
    fn it_concerns_the_unit_alone_or_what_was_below_it_on_the_cut_off_day() {
        let province = UnitId::new("nso", "24", None);
        let neighbour = UnitId::new("nso", "52", None);
        let unit = owed().name.unit;
        for (on, subtree, concerns) in [
            (unit, false, true),
            (unit, true, true),
            (province, false, false),
            (province, true, true),
            (neighbour, true, false),
        ] {
            let one = Decision { unit: on, subtree, ..waiver(BEFORE) };
            assert_eq!(one.concerns(&owed()), concerns, "{on} {subtree}");
        }
    }

    #[test]
    fn a_range_of_due_days_is_held_against_the_due_day_before_any_extension_both_ends_included() {
        let range = |from, through| Decision {
            extent: Extent::Due { from: day(from), through: day(through) },
            regime: None,
            ..waiver(BEFORE)
        };
        for (from, through, concerns) in [
            ("2026-05-19", "2026-05-19", true),
            ("2026-05-20", "2026-05-31", false),
            ("2026-05-01", "2026-05-18", false),
            ("2026-05-01", "2026-05-31", true),
        ] {
            assert_eq!(range(from, through).concerns(&owed()), concerns, "{from} {through}");
            let extended = Obligation { due: Some(end("2026-07-31")), ..owed() };
            assert_eq!(range(from, through).concerns(&extended), concerns, "{from} {through}");
        }
        assert!(!range("2000-01-01", "2099-12-31").concerns(&obligation(None)));
        // Another regime's, or another period's, it does not concern.
        let other = RegimeId::new("cds-52").unwrap();
        assert!(!Decision { regime: Some(other), ..waiver(BEFORE) }.concerns(&owed()));
        let april = Extent::Period("202604".parse().unwrap());
        assert!(!Decision { extent: april, ..waiver(BEFORE) }.concerns(&owed()));
    }

    #[test]
    fn an_extension_is_counted_from_the_original_and_the_furthest_holds() {
        let mut first = to("2026-05-25", BEFORE);
        let extended = made(&mut first, owed()).unwrap();
        assert_eq!((extended.due, extended.extension), (Some(end("2026-05-25")), Some(first.id)));
        assert_eq!((extended.due_generation, extended.tell), (2, extended.due));
        assert_eq!(extended.original_due, Some(time(DUE)));
        // Two working days after the 19th: the 21st, which is not later.
        assert_eq!(made(&mut by(2, BEFORE), extended.clone()), Err(Refusal::NotLater));
        assert_eq!(made(&mut to("2026-05-25", BEFORE), extended.clone()), Err(Refusal::NotLater));
        // Five: the 26th, after a weekend; not five days after the 25th.
        let further = made(&mut by(5, BEFORE), extended).unwrap();
        assert_eq!((further.due, further.due_generation), (Some(end("2026-05-26")), 3));
    }

    #[test]
    fn an_extension_that_ends_before_today_is_none_and_one_that_ends_today_is() {
        let missing = Obligation { told: Some(1), ..owed() };
        let at = "2026-05-29T08:00:00+07:00";
        assert_eq!(made(&mut to("2026-05-28", at), missing.clone()), Err(Refusal::NotLater));
        assert_eq!(made(&mut by(3, at), missing.clone()), Err(Refusal::NotLater));
        let extended = made(&mut to("2026-05-29", at), missing).unwrap();
        assert_eq!(extended.standing(time(at)), Standing::Open);
        // Told of its first due time; of the second only once that has passed.
        assert_eq!(extended.task(), Some((end("2026-05-29"), Task::TellMissing)));
    }

    #[test]
    fn what_is_submitted_waived_closed_or_without_a_due_time_is_left_alone() {
        let now = time(BEFORE);
        let closed = |time| Obligation {
            closed: Some(Closed { time, reason: CloseReason::NotADebtor }),
            ..owed()
        };
        let submitted = || received("2026-05-15T08:00:00+07:00", owed());
        let waived = made(&mut waiver(BEFORE), owed()).unwrap();
        assert_eq!(waived.waived.map(|waived| waived.time), Some(now));
        assert_eq!((waived.due, waived.due_generation, waived.task()), (owed().due, 1, None));
        for (left, why) in [
            (submitted(), Refusal::Submitted),
            (waived, Refusal::Waived),
            (closed(now), Refusal::Closed),
        ] {
            assert_eq!(made(&mut waiver(BEFORE), left.clone()), Err(why.clone()));
            assert_eq!(made(&mut to("2026-05-29", BEFORE), left), Err(why));
        }
        let ends_later = closed(now + TimeDelta::microseconds(1));
        assert!(made(&mut waiver(BEFORE), ends_later).is_ok());
        assert_eq!(made(&mut to("2026-05-29", BEFORE), obligation(None)), Err(Refusal::NoDueTime));
        assert!(made(&mut waiver(BEFORE), obligation(None)).is_ok());
    }

    #[test]
    fn where_nothing_is_left_the_refusal_says_why_and_counts_where_there_are_several_reasons() {
        let submitted = received("2026-05-15T08:00:00+07:00", owed());
        let waived = made(&mut waiver(BEFORE), owed()).unwrap();
        let refused = |left: Vec<Obligation>, mut of: Decision| {
            of.make(left, &regimes(), &calendars(), false).unwrap_err()
        };
        let all = vec![submitted.clone(), submitted.clone()];
        assert_eq!(refused(all, waiver(BEFORE)), Refusal::Submitted);
        let mixed = vec![submitted.clone(), waived, submitted];
        let why = Refusal::NothingConcerned("2 submitted, 1 waived".to_owned());
        assert_eq!(refused(mixed, waiver(BEFORE)), why);
        assert_eq!(refused(vec![], waiver(BEFORE)), Refusal::NotOwed(owed().name));
        let below = || Decision { subtree: true, ..waiver(BEFORE) };
        assert!(matches!(refused(vec![], below()), Refusal::NothingConcerned(_)));
        let april = Extent::Period("202604".parse().unwrap());
        assert_eq!(refused(vec![], Decision { extent: april, ..below() }), Refusal::InThePast);
        let due = |through| Extent::Due { from: day("2026-05-01"), through: day(through) };
        let range = |through| Decision { extent: due(through), ..below() };
        assert_eq!(refused(vec![], range("2026-05-17")), Refusal::InThePast);
        assert!(matches!(refused(vec![], range("2026-05-18")), Refusal::NothingConcerned(_)));
        // What will be opened is enough.
        let effect = range("2026-05-18").make(vec![], &regimes(), &calendars(), true).unwrap();
        assert_eq!(effect, Effect::default());
    }

    #[test]
    fn each_obligation_is_told_with_its_due_times_and_the_change_with_its_reason() {
        let mut extension = by(3, BEFORE);
        let effect = extension.make(vec![owed()], &regimes(), &calendars(), false).unwrap();
        let concerned = Concerned {
            name: owed().name,
            unit_code: "09427".to_owned(),
            old_due: Some(time(DUE)),
            new_due: Some(end("2026-05-22")),
        };
        assert_eq!((effect.concerned, extension.concerned), (vec![concerned], 1));
        let change = DueChange {
            name: owed().name,
            due_generation: 2,
            old: Some(time(DUE)),
            new: Some(end("2026-05-22")),
            cause: Cause::Extension,
            reference: extension.name(),
            reason: "bão số 3".to_owned(),
            author: "lan".to_owned(),
            create_time: time(BEFORE),
        };
        assert_eq!(effect.due_changes, [change]);
        let effect = waiver(BEFORE).make(vec![owed()], &regimes(), &calendars(), false).unwrap();
        assert_eq!((effect.concerned[0].new_due, effect.due_changes), (None, vec![]));
    }

    #[test]
    fn a_revoked_extension_leaves_the_furthest_of_the_others() {
        let (mut near, mut far) = (to("2026-05-25", BEFORE), to("2026-05-29", BEFORE));
        let extended = made(&mut near, owed()).unwrap();
        let extended = made(&mut far, extended).unwrap();
        let at = "2026-05-21T08:00:00+07:00";
        let (left, changes) = revoked(&mut far, at, &extended, std::slice::from_ref(&near));
        assert_eq!((left.due, left.extension), (Some(end("2026-05-25")), Some(near.id)));
        assert_eq!(left.due_generation, 4);
        let cause = (changes[0].cause, changes[0].reason.as_str(), changes[0].author.as_str());
        assert_eq!(cause, (Cause::ExtensionRevoked, "hết bão", "minh"));
        let (last, _) = revoked(&mut near, at, &left, &[]);
        assert_eq!((last.due, last.extension, last.due_generation), (owed().due, None, 5));
        assert_eq!(last.standing(time(at)), Standing::Missing);
        assert_eq!(last.task(), Some((time(DUE), Task::TellMissing)));
        let again =
            near.revoke(near.revoked.clone().unwrap(), vec![], &[], &regimes(), &calendars());
        assert_eq!(again, Err(Refusal::Revoked(near.id)));
    }

    #[test]
    fn what_was_on_time_by_a_revoked_extension_stays_on_time() {
        let mut extension = to("2026-05-29", BEFORE);
        let extended = made(&mut extension, owed()).unwrap();
        let submitted = received("2026-05-25T08:00:00+07:00", extended.clone());
        let at = "2026-05-26T08:00:00+07:00";
        let (left, changes) = revoked(&mut extension, at, &submitted, &[]);
        assert_eq!((&left, changes), (&submitted, vec![]));
        assert_eq!(left.standing(time(at)), Standing::OnTime);
        // Submitted before the revocation, learnt of after it.
        let (missing, _) = revoked(&mut to("2026-05-29", BEFORE), at, &extended, &[]);
        for (came, standing) in [
            ("2026-05-26T07:59:59+07:00", Standing::OnTime),
            ("2026-05-26T08:00:00+07:00", Standing::Late),
        ] {
            let mut late = received(came, Obligation { due: owed().due, ..missing.clone() });
            apply(std::slice::from_ref(&extension), &mut late, &cds(), &calendars());
            assert_eq!(late.standing(end("2026-06-30")), standing, "{came}");
        }
    }

    #[test]
    fn a_missing_report_that_is_no_longer_waived_is_told_again_if_it_was_told_before() {
        let at = "2026-05-26T08:00:00+07:00";
        for (told, generation) in [(None, 1), (Some(1), 2)] {
            let mut decided = waiver("2026-05-22T08:00:00+07:00");
            let waived = made(&mut decided, Obligation { told, ..owed() }).unwrap();
            assert_eq!(waived.standing(time(at)), Standing::Waived);
            let before = waived.standing(time("2026-05-22T07:59:59+07:00"));
            assert_eq!(before, Standing::Missing, "a waiver counts from its own time");
            let (left, changes) = revoked(&mut decided, at, &waived, &[]);
            assert_eq!((left.standing(time(at)), left.waived), (Standing::Missing, None));
            assert_eq!((left.due, left.due_generation), (owed().due, generation), "{told:?}");
            assert_eq!(left.task(), Some((time(DUE), Task::TellMissing)));
            let expected = told.map(|_| (None, owed().due));
            assert_eq!(changes.first().map(|one| (one.old, one.new)), expected);
        }
    }

    #[test]
    fn what_is_closed_is_excused_no_longer_by_a_revoked_waiver_and_keeps_its_due_time() {
        let mut first = waiver(BEFORE);
        let closed = Closed { time: end("2026-05-24"), reason: CloseReason::NoSuccessor };
        let waived = Obligation { closed: Some(closed), ..made(&mut first, owed()).unwrap() };
        let at = "2026-05-26T08:00:00+07:00";
        let (left, changes) = revoked(&mut first, at, &waived, &[to("2026-05-29", BEFORE)]);
        assert_eq!((left.waived, left.due, changes), (None, owed().due, vec![]));
        // It had fallen due before it was closed, and nobody was told.
        assert_eq!(left.task(), Some((time(DUE), Task::TellMissing)));
    }

    #[test]
    fn a_waiver_excuses_what_is_closed_with_the_others_and_is_not_said_to_concern_it() {
        let closed = Closed { time: end("2026-05-24"), reason: CloseReason::NoSuccessor };
        let closed = Obligation { closed: Some(closed), ..owed() };
        let mut decided = waiver("2026-05-25T08:00:00+07:00");
        let candidates = vec![closed.clone(), owed()];
        let effect = decided.make(candidates, &regimes(), &calendars(), false).unwrap();
        assert_eq!((decided.concerned, effect.concerned.len()), (1, 1));
        assert!(effect.changed.iter().all(|one| one.waived == Some(decided.waived())));
        assert_eq!(effect.changed[1].task(), None, "what had fallen due before is not told");
        let alone =
            waiver("2026-05-25T08:00:00+07:00").make(vec![closed], &regimes(), &calendars(), false);
        assert_eq!(alone.unwrap_err(), Refusal::Closed);
    }

    #[test]
    fn what_was_received_before_it_was_waived_is_left_alone_however_late_that_is_known() {
        let mut decided = waiver("2026-05-19T08:00:00+07:00");
        let waived = made(&mut decided, owed()).unwrap();
        for (at, standing) in [
            ("2026-05-19T07:59:59+07:00", Standing::OnTime),
            ("2026-05-19T08:00:00+07:00", Standing::OnTime),
            ("2026-05-19T08:00:01+07:00", Standing::Waived),
        ] {
            let mut known = waived.clone();
            let receipt = received(at, waived.clone()).receipt;
            known.learn(&Evidence { sequence: 1, receipt, returned: None }, &calendars());
            assert_eq!(known.standing(time("2026-05-22T08:00:00+07:00")), standing, "{at}");
        }
    }

    #[test]
    fn of_two_waivers_the_other_one_goes_on_holding() {
        let (mut first, later) = (waiver(BEFORE), waiver("2026-05-19T08:00:00+07:00"));
        let waived = made(&mut first, owed()).unwrap();
        let at = "2026-05-26T08:00:00+07:00";
        let (left, changes) = revoked(&mut first, at, &waived, std::slice::from_ref(&later));
        assert_eq!(left.waived, Some(Waived { decision: later.id, time: later.create_time }));
        assert_eq!(changes, []);
    }

    #[test]
    fn an_excuse_afterwards_moves_the_due_time_of_a_late_report_and_of_no_other() {
        let excuse = |date| {
            let until = Until::Date(day(date));
            let outcome = Outcome::Extension { until, afterwards: true };
            decision(outcome, "2026-06-01T08:00:00+07:00")
        };
        let late = Obligation { told: Some(1), ..received("2026-05-21T09:00:00+07:00", owed()) };
        let excused = made(&mut excuse("2026-05-21"), late.clone()).unwrap();
        assert_eq!(excused.standing(end("2026-06-30")), Standing::OnTime);
        assert_eq!(excused.task().map(|(_, task)| task), Some(Task::Retract));
        assert_eq!(made(&mut excuse("2026-05-19"), late), Err(Refusal::NotLater));
        let on_time = received("2026-05-19T09:00:00+07:00", owed());
        assert_eq!(made(&mut excuse("2026-05-21"), on_time), Err(Refusal::Submitted));
        // What is not there yet cannot have been on time.
        assert_eq!(made(&mut excuse("2026-05-21"), owed()), Err(Refusal::NotLater));
    }

    #[test]
    fn an_extension_by_working_days_follows_an_amended_calendar_and_one_to_a_day_does_not() {
        let storm = SaidDay {
            date: day("2026-05-20"),
            kind: Some(SpecialKind::InLieu),
            name_vi: "Nghỉ bão".to_owned(),
            certainty: Certainty::Official,
            source: String::new(),
        };
        let change = Change {
            calendar: CalendarId::National,
            days: vec![storm],
            office_hours: None,
            legal_basis: "Công điện số 1/CĐ-TTg".to_owned(),
            reason: "bão".to_owned(),
        };
        let amended = calendars().amended(&change, time(BEFORE)).unwrap();
        for (mut extension, due) in
            [(by(2, BEFORE), "2026-05-22"), (to("2026-05-21", BEFORE), "2026-05-21")]
        {
            let mut extended = made(&mut extension, owed()).unwrap();
            assert_eq!(extended.due, Some(end("2026-05-21")));
            let moved = apply(&[extension], &mut extended, &cds(), &amended);
            assert_eq!((extended.due, moved), (Some(end(due)), due != "2026-05-21"));
        }
    }

    #[test]
    fn what_a_decision_took_hold_of_it_holds_though_the_due_day_moves_out_of_its_range() {
        let on = day("2026-05-19");
        let extent = Extent::Due { from: on, through: on };
        let mut range = Decision { extent, ..waiver(BEFORE) };
        let waived = made(&mut range, owed()).unwrap();
        let moved = Obligation { original_due: Some(end("2026-05-20")), ..waived };
        let mut left = moved.clone();
        apply(std::slice::from_ref(&range), &mut left, &cds(), &calendars());
        assert_eq!(left.waived, moved.waived);
        let mut new = Obligation { waived: None, ..moved };
        assert!(!range.concerns(&new));
        apply(&[range], &mut new, &cds(), &calendars());
        assert_eq!(new.waived, None);
    }

    #[test]
    fn a_range_reaches_the_periods_whose_due_days_may_lie_within_it() {
        let calendars = calendars();
        let reaches = |from, through, period: &str| {
            let extent = Extent::Due { from: day(from), through: day(through) };
            let range = Decision { extent, regime: None, ..waiver(BEFORE) };
            range.reaches(&cds(), period.parse().unwrap(), &calendars)
        };
        assert!(reaches("2026-05-19", "2026-05-19", "202605"));
        assert!(!reaches("2026-05-19", "2026-05-19", "202603"));
        assert!(!reaches("2026-05-19", "2026-05-19", "202607"));
        assert!(reaches("2026-05-19", "2027-05-19", "202612"));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Extend(i64, bool),
        ExtendBy(u16),
        Waive,
        Revoke(usize),
        Submit,
        TakeBack,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (-5..40_i64, any::<bool>()).prop_map(|(days, after)| Step::Extend(days, after)),
            3 => (1..20_u16).prop_map(Step::ExtendBy),
            1 => Just(Step::Waive),
            3 => (0..12_usize).prop_map(Step::Revoke),
            1 => Just(Step::Submit),
            1 => Just(Step::TakeBack),
        ];
        proptest::collection::vec(step, 0..20)
    }

    proptest! {
        /// Whatever was decided and revoked in whatever order, an obligation that is not submitted stands as the decisions
        /// in force say, counted anew: waived by one of them, due at the furthest.
        #[test]
        fn an_obligation_stands_as_the_decisions_in_force_say_whatever_came_before(steps in steps()) {
            let (calendars, regimes) = (calendars(), regimes());
            let (mut one, mut all) = (owed(), Vec::<Decision>::new());
            let mut now = time(BEFORE);
            for step in steps {
                now += TimeDelta::hours(7);
                let at = now.to_rfc3339();
                let new = match step {
                    Step::Extend(days, afterwards) => {
                        let until = Until::Date(day("2026-05-19") + TimeDelta::days(days));
                        Some(decision(Outcome::Extension { until, afterwards }, &at))
                    }
                    Step::ExtendBy(days) => Some(by(days, &at)),
                    Step::Waive => Some(waiver(&at)),
                    Step::Revoke(which) => {
                        if which < all.len() && all[which].revoked.is_none() {
                            let mut ended = all.remove(which);
                            let held = one.extension == Some(ended.id)
                                || one.waived.is_some_and(|waived| waived.decision == ended.id);
                            let left: Vec<_> =
                                all.iter().filter(|one| one.revoked.is_none()).cloned().collect();
                            if held {
                                one = revoked(&mut ended, &at, &one, &left).0;
                            } else {
                                let revocation = Revocation {
                                    time: now,
                                    author: String::new(),
                                    document: String::new(),
                                    reason: String::new(),
                                };
                                ended.revoked = Some(revocation);
                            }
                            all.insert(which, ended);
                        }
                        None
                    }
                    Step::Submit => {
                        let receipt = Some(Receipt { report: Uuid::nil(), time: now });
                        let sequence = one.sequence + 1;
                        one.learn(&Evidence { sequence, receipt, returned: None }, &calendars);
                        None
                    }
                    Step::TakeBack => {
                        let sequence = one.sequence + 1;
                        one.learn(&Evidence { sequence, receipt: None, returned: None }, &calendars);
                        let left: Vec<_> =
                            all.iter().filter(|one| one.revoked.is_none()).cloned().collect();
                        apply(&left, &mut one, &cds(), &calendars);
                        None
                    }
                };
                let generation = one.due_generation;
                if let Some(mut new) = new {
                    match new.make(vec![one.clone()], &regimes, &calendars, false) {
                        Ok(effect) => {
                            one = effect.changed.into_iter().next().unwrap();
                            let due = effect.due_changes.first().map(|change| change.new);
                            prop_assert_eq!(due.is_some(), one.due_generation == generation + 1);
                            all.push(new);
                        }
                        Err(why) => prop_assert!(
                            matches!(why, Refusal::NotLater | Refusal::Waived | Refusal::Submitted),
                            "{why:?}"
                        ),
                    }
                }
                let in_force = || all.iter().filter(|one| one.revoked.is_none());
                let mut again = one.clone();
                let all_in_force: Vec<_> = in_force().cloned().collect();
                prop_assert!(!apply(&all_in_force, &mut again, &cds(), &calendars));
                if one.receipt.is_some() {
                    continue;
                }
                let reach = in_force().filter_map(|one| one.until(&owed(), &calendars));
                prop_assert_eq!(one.due, reach.chain(owed().due).max());
                let waives = |one: &&Decision| one.outcome == Outcome::Waiver;
                prop_assert_eq!(one.waived.is_some(), in_force().any(|one| waives(&one)));
            }
        }
    }
}
