//! Which obligations a period has: who owes, to whom, by when, and what becomes of those whose unit came, changed or ended
//! within the window.
//!
//! The rule turns on the hierarchy on the cut-off day C, and for a unit that ends on E, the first day without it:
//!
//! | the unit | its obligation |
//! |---|---|
//! | is there on C, and one of those who owe, since when ever | is owed, for the whole window, by its level and place on C |
//! | ends with E ≤ C | closes on E (UNIT_ENDED); who came after it owes for the whole window, where it is one of those who owe |
//! | ends with E > C | stays owed, and from E on passes to who came after it, who sees to it, and when that one ends, to who came after that one; from the day on with nobody after it, and nothing submitted, it is closed (NO_SUCCESSOR) |
//! | is there on C, and is none of those who owe (any more) | closes when that is learnt (NOT_A_DEBTOR) |
//! | is not there yet on C, or never was | the same |
//! | owes under a regime that another took the place of before C | closes when that is learnt (REGIME_AMENDED) |
//!
//! A unit that was split passes on to its main part; without one, there is nobody after it. Another name, code, kind or place
//! from a day after C on changes nothing. A receiver that has ended by C is who came after it by then.
//!
//! What is closed is not deleted: should the hierarchy turn out otherwise, it is owed again, by the due time of now.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::{Period, zone};
use dunghan_hierarchy::{Hierarchy, Level, NSO, UnitId};

use crate::domain::calendar::Calendars;
use crate::domain::decision::{self, Decision};
use crate::domain::due_change::{Cause, DueChange};
use crate::domain::obligation::{
    CloseReason, Closed, Evidence, Obligation, ObligationName, Passed,
};
use crate::domain::regime::{Receiver, Regime};

/// Grows whenever this rule becomes another: what was opened by the one before is planned anew at the next change of a unit,
/// or at once where a migration sets the version that it was opened by to 0.
const RULE: u32 = 1;

/// What becomes of the reports of a unit that ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct After {
    /// The unit's first day without it, and who has come after it by now, or on that day if that lies ahead.
    passed: Option<(NaiveDate, UnitId)>,
    /// From then on there is nobody.
    nobody: Option<NaiveDate>,
}

/// Who owes, as of the cut-off day.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Debtor {
    unit: UnitId,
    /// Of several, the last.
    tier: u8,
    code: String,
    /// From the top.
    path: Vec<UnitId>,
    level: Level,
    receiver: Option<UnitId>,
    after: After,
}

/// Who owes on a cut-off day: all of the rule that follows from the hierarchy alone, and costs the most. It is the same for
/// every cut-off day of a stretch in which no unit changed; see [`stretches`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debtors {
    all: Vec<Debtor>,
    until: Option<NaiveDate>,
    fingerprint: i64,
}

impl Debtors {
    /// Those of a regime on a cut-off day in force, with what became of them up to `today`.
    pub fn on(
        regime: &Regime,
        cut_off: NaiveDate,
        today: NaiveDate,
        hierarchy: &Hierarchy,
    ) -> Self {
        let mut until = None;
        let by_tier = by_tier(regime, cut_off, hierarchy).into_iter();
        let all: Vec<_> = by_tier
            .map(|(unit, tier)| {
                let mut path = hierarchy.ancestors(unit, cut_off);
                path.reverse();
                path.push(unit);
                let view = hierarchy.unit(unit, cut_off);
                let code = view.as_ref().and_then(|view| view.code(NSO).map(str::to_owned));
                let to = regime.tier(tier).map(|tier| &tier.receiver);
                let end = end_after(unit, cut_off, hierarchy);
                Debtor {
                    unit,
                    tier,
                    code: code.unwrap_or_default(),
                    path,
                    level: view.map_or(Level::Other, |view| view.version.level),
                    receiver: to.and_then(|to| receiver(to, unit, cut_off, hierarchy)),
                    after: end.map_or_else(After::default, |end| {
                        after(unit, end, today, hierarchy, &mut until)
                    }),
                }
            })
            .collect();
        // Another program's may be another: then a period is planned once more, and nothing comes of it.
        let mut hasher = DefaultHasher::new();
        (RULE, &all).hash(&mut hasher);
        Self { all, until, fingerprint: hasher.finish().cast_signed() }
    }

    /// Nobody.
    pub fn none() -> Self {
        Self { all: Vec::new(), until: None, fingerprint: 0 }
    }

    /// The same for the same debtors with the same fate, whatever the version of the hierarchy: then nothing is to be changed
    /// of what they owe.
    pub fn fingerprint(&self) -> i64 {
        self.fingerprint
    }

    /// The first day on which what became of one of them is another, though no unit changes.
    pub fn until(&self) -> Option<NaiveDate> {
        self.until
    }

    /// None but one, where that is one of them.
    #[must_use]
    pub fn only(&self, unit: UnitId) -> Self {
        let all = self.all.iter().filter(|debtor| debtor.unit == unit).cloned().collect();
        Self { all, ..*self }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether nobody owes.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn is_one(&self, unit: UnitId) -> bool {
        self.all.binary_search_by_key(&unit, |debtor| debtor.unit).is_ok()
    }

    /// The units that owe by one of the two alone, or otherwise by one than by the other.
    pub fn differing(&self, other: &Self) -> BTreeSet<UnitId> {
        // Both are in the order of units.
        let (mut these, mut others) = (self.all.iter().peekable(), other.all.iter().peekable());
        let mut differing = BTreeSet::new();
        loop {
            let (this, that) = (these.peek().copied(), others.peek().copied());
            let Some(unit) = this.into_iter().chain(that).map(|debtor| debtor.unit).min() else {
                return differing;
            };
            let this = these.next_if(|debtor| debtor.unit == unit);
            if this != others.next_if(|debtor| debtor.unit == unit) {
                differing.insert(unit);
            }
        }
    }
}

/// The first days of the stretches in which nothing changes about any unit, so that it does not matter on which of its days
/// a cut-off lies.
pub fn stretches(hierarchy: &Hierarchy) -> BTreeSet<NaiveDate> {
    let histories = hierarchy.histories();
    let validities = histories.flat_map(|unit| {
        let versions = unit.versions.iter().map(|version| version.validity);
        versions.chain(unit.identifiers.iter().map(|held| held.validity))
    });
    let days = validities.flat_map(|validity| [validity.from, validity.until]).flatten();
    days.chain(hierarchy.edges().iter().map(|edge| edge.effective)).collect()
}

/// What the obligations of a period follow from.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The regime.
    pub regime: &'a Regime,
    /// The period.
    pub period: Period,
    /// Who is under whom.
    pub hierarchy: &'a Hierarchy,
    /// Who owes by it on the period's cut-off day.
    pub debtors: &'a Debtors,
    /// Which days are worked.
    pub calendars: &'a Calendars,
    /// When this is learnt.
    pub now: DateTime<Utc>,
}

/// What is known of a period's obligations.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Only of these units, and of what is closed: the others owe by the same debtors as when the period was opened; none: of
    /// all.
    pub only: Option<BTreeSet<UnitId>>,
    /// What is stored of them.
    pub existing: Vec<Obligation>,
    /// What submission said of the reports of any of them, whether or not it owed one.
    pub evidence: HashMap<UnitId, Evidence>,
    /// The decisions in force that may concern the period.
    pub decisions: Vec<Decision>,
}

/// What is to be stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The obligations that are new or otherwise than stored.
    pub changed: Vec<Obligation>,
    /// Each new due generation of those.
    pub due_changes: Vec<DueChange>,
    /// How many of them are new.
    pub opened: u64,
    /// The [fingerprint](Debtors::fingerprint) of those who owe.
    pub fingerprint: Option<i64>,
    /// The first day on which it has to be looked at again though no unit has changed: somebody whom obligations have passed to
    /// ends then.
    pub until: Option<NaiveDate>,
}

/// The due time of an obligation before any extension.
pub fn original_due(
    regime: &Regime,
    period: Period,
    tier: u8,
    level: Level,
    area: UnitId,
    calendars: &Calendars,
) -> Option<DateTime<Utc>> {
    regime.due_date(period, tier, level, calendars.of(area)).map(zone::end_of)
}

/// A due time, and from when on it is told that the report is missing.
type Due = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// Those by tier, level and area: a period has few of them.
#[derive(Default)]
struct Dues(HashMap<(u8, Level, UnitId), Due>);

impl Dues {
    fn of(&mut self, debtor: &Debtor, ground: &Ground<'_>) -> Due {
        let Ground { regime, period, calendars, .. } = *ground;
        let area = debtor.path.first().copied().unwrap_or(debtor.unit);
        *self.0.entry((debtor.tier, debtor.level, area)).or_insert_with(|| {
            let calendar = calendars.of(area);
            let due = regime.due_date(period, debtor.tier, debtor.level, calendar);
            (due.map(zone::end_of), due.and_then(|due| regime.tell_time(due, calendar)))
        })
    }
}

/// What is to be changed of a period. Planned again on what was stored by it, nothing is.
///
/// Everything that was learnt of an obligation stays: its report, decisions, and what was told. A unit whose place or level on
/// the cut-off day became another gets the due time of that place, in a new generation, and the decisions in force apply to it
/// as to one that is opened; what was received keeps the due time by which it was measured.
pub fn plan(ground: &Ground<'_>, known: Known) -> Plan {
    let Ground { regime, period, hierarchy, calendars, now, debtors } = *ground;
    let Known { only, existing, evidence, decisions } = known;
    let mut stored: BTreeMap<UnitId, Obligation> =
        existing.into_iter().map(|obligation| (obligation.name.unit, obligation)).collect();
    let fingerprint = Some(debtors.fingerprint);
    let mut plan = Plan { until: debtors.until, fingerprint, ..Plan::default() };
    let mut dues = Dues::default();
    let owing = if regime.asks_for(period) { debtors.all.as_slice() } else { &[] };
    let looked_at = |unit: UnitId| only.as_ref().is_none_or(|only| only.contains(&unit));
    for debtor in owing.iter().filter(|debtor| looked_at(debtor.unit)) {
        let before = stored.remove(&debtor.unit);
        let fresh = opened(debtor, dues.of(debtor, ground), ground);
        let mut wanted = match &before {
            None => fresh,
            Some(before) => Obligation {
                open_time: fresh.open_time,
                tier: fresh.tier,
                unit_code: fresh.unit_code,
                path: fresh.path,
                level: fresh.level,
                receiver: fresh.receiver,
                passed: fresh.passed,
                abandoned: fresh.abandoned,
                closed: before.closed.filter(|closed| closed.reason == CloseReason::NoSuccessor),
                original_due: match before.receipt {
                    None => fresh.original_due,
                    Some(_) => before.original_due,
                },
                ..before.clone()
            },
        };
        if let (None, Some(evidence)) = (&before, evidence.get(&debtor.unit)) {
            wanted.learn(evidence, calendars);
        }
        wanted.follow_end();
        let anew = before.as_ref().is_none_or(|before| {
            let reopened = before.closed.is_some() && wanted.closed.is_none();
            let placed = (before.tier, before.level, &before.path, before.original_due);
            reopened || placed != (wanted.tier, wanted.level, &wanted.path, wanted.original_due)
        });
        if anew {
            if wanted.receipt.is_none() {
                wanted.calendar_amendment = calendars.amendment();
            }
            decision::apply(&decisions, &mut wanted, regime, calendars);
        }
        if before.as_ref() == Some(&wanted) {
            continue;
        }
        wanted.hierarchy_version = hierarchy.version();
        let old = before
            .as_ref()
            .map_or((1, wanted.original_due), |before| (before.due_generation, before.due));
        let extended = before.as_ref().and_then(|before| before.extension);
        plan.due_changes.extend(moved(old, extended, &wanted, &decisions, now));
        plan.opened += u64::from(before.is_none());
        plan.changed.push(wanted);
    }
    for (unit, before) in stored {
        if !owing.is_empty() && debtors.is_one(unit) {
            continue;
        }
        let (closed, passed) = ended(&before, ground, &mut plan.until);
        if (before.closed, before.passed) != (Some(closed), passed) {
            let closed = Some(closed);
            let hierarchy_version = hierarchy.version();
            plan.changed.push(Obligation { closed, passed, hierarchy_version, ..before });
        }
    }
    plan
}

/// Whether what is stored of an obligation that is closed still holds: with debtors of the same fingerprint as those that its
/// period was opened with, such are the only ones that can have become otherwise. `until` is brought forward to the day on
/// which it has to be looked at again.
pub fn stays_closed(
    obligation: &Obligation,
    ground: &Ground<'_>,
    until: &mut Option<NaiveDate>,
) -> bool {
    if ground.regime.asks_for(ground.period) && ground.debtors.is_one(obligation.name.unit) {
        return true;
    }
    let (closed, passed) = ended(obligation, ground, until);
    (obligation.closed, obligation.passed) == (Some(closed), passed)
}

/// Takes in what submission says of an obligation that has to be [measured anew](Obligation::is_measured_anew_by): it is due by
/// the calendars and decisions of now, as if there had been a look between the report's being taken back and its being there
/// again. Gives the new due generation where that is another due time.
pub fn measure_anew(
    obligation: &mut Obligation,
    evidence: &Evidence,
    regime: &Regime,
    calendars: &Calendars,
    decisions: &[Decision],
    now: DateTime<Utc>,
) -> Option<DueChange> {
    let old = (obligation.due_generation, obligation.due);
    let extended = obligation.extension;
    let by_calendar = obligation.original_due;
    let Obligation { tier, level, .. } = *obligation;
    (obligation.receipt, obligation.returned) = (None, None);
    obligation.original_due =
        original_due(regime, obligation.name.period, tier, level, obligation.area(), calendars);
    obligation.calendar_amendment = calendars.amendment();
    decision::apply(decisions, obligation, regime, calendars);
    // It was said that it had been there in time: that it is missing is told once more.
    if obligation.told == Some(obligation.due_generation) && obligation.retracted == obligation.told
    {
        obligation.due_generation += 1;
    }
    obligation.learn(evidence, calendars);
    let change = moved(old, extended, obligation, decisions, now)?;
    let by_calendar = obligation.extension == extended && by_calendar != obligation.original_due;
    Some(if by_calendar { DueChange { cause: Cause::CalendarAmended, ..change } } else { change })
}

/// Who owes in which tier on the cut-off day; of several tiers, the last.
fn by_tier(regime: &Regime, cut_off: NaiveDate, hierarchy: &Hierarchy) -> BTreeMap<UnitId, u8> {
    let mut owing = BTreeMap::new();
    let mut senders: BTreeSet<_> = regime.debtors.on(cut_off, hierarchy).into_iter().collect();
    for (tier, rules) in (1..).zip(&regime.tiers) {
        let mut receivers = BTreeSet::new();
        for unit in senders {
            owing.insert(unit, tier);
            receivers.extend(receiver(&rules.receiver, unit, cut_off, hierarchy));
        }
        // Whoever received and is not there on the cut-off day, with nobody after it, sends nothing on.
        receivers.retain(|unit| hierarchy.unit(*unit, cut_off).is_some());
        senders = receivers;
    }
    owing
}

/// To whom a unit's report goes: where the one that is named has ended by the cut-off day, to who came after it.
fn receiver(
    to: &Receiver,
    unit: UnitId,
    cut_off: NaiveDate,
    hierarchy: &Hierarchy,
) -> Option<UnitId> {
    let named = to.of(unit, cut_off, hierarchy)?;
    Some(hierarchy.succeeded_by(named, cut_off).unwrap_or(named))
}

/// What is owed by a unit, as it is first opened.
fn opened(debtor: &Debtor, (due, tell): Due, ground: &Ground<'_>) -> Obligation {
    let Ground { regime, period, hierarchy, calendars, .. } = *ground;
    let Debtor { unit, tier, level, receiver, after, .. } = *debtor;
    Obligation {
        name: ObligationName { unit, regime: regime.id.clone(), period },
        tier,
        unit_code: debtor.code.clone(),
        path: debtor.path.clone(),
        level,
        receiver,
        open_time: zone::start_of(regime.window(period).first),
        original_due: due,
        calendar_amendment: calendars.amendment(),
        due,
        due_generation: 1,
        tell,
        extension: None,
        waived: None,
        receipt: None,
        returned: None,
        sequence: 0,
        closed: None,
        passed: after.passed.map(|(end, to)| Passed { time: zone::start_of(end), to }),
        abandoned: after.nobody.map(zone::start_of),
        told: None,
        retracted: None,
        return_told: None,
        hierarchy_version: hierarchy.version(),
    }
}

/// Why an obligation of a unit that does not owe is closed, since when, and who came after the unit.
fn ended(
    before: &Obligation,
    ground: &Ground<'_>,
    until: &mut Option<NaiveDate>,
) -> (Closed, Option<Passed>) {
    let Ground { regime, period, hierarchy, now, .. } = *ground;
    let unit = before.name.unit;
    let cut_off = regime.window(period).cut_off;
    let learnt = |reason| {
        // It was learnt once.
        let known = before.closed.filter(|closed| closed.reason == reason);
        (known.unwrap_or(Closed { time: now, reason }), None)
    };
    if !regime.asks_for(period) {
        return learnt(CloseReason::RegimeAmended);
    }
    let Some(end) = ended_by(unit, cut_off, hierarchy) else {
        return learnt(CloseReason::NotADebtor);
    };
    let time = zone::start_of(end);
    let after = after(unit, end, zone::civil_date(now), hierarchy, until);
    let passed = after.passed.map(|(_, to)| Passed { time, to });
    (Closed { time, reason: CloseReason::UnitEnded }, passed)
}

/// A due time that is another than it was, given its generation and time before, and the extension in force then.
fn moved(
    (generation, old): (i32, Option<DateTime<Utc>>),
    extended: Option<uuid::Uuid>,
    obligation: &Obligation,
    decisions: &[Decision],
    now: DateTime<Utc>,
) -> Option<DueChange> {
    if obligation.due_generation == generation || obligation.due == old {
        return None;
    }
    let newly = obligation.extension.filter(|_| obligation.extension != extended);
    let decision = decisions.iter().find(|decision| newly == Some(decision.id));
    let of = |text: fn(&Decision) -> String| decision.map(text).unwrap_or_default();
    Some(DueChange {
        name: obligation.name.clone(),
        due_generation: obligation.due_generation,
        old,
        new: obligation.due,
        cause: if decision.is_some() { Cause::Extension } else { Cause::UnitChanged },
        reference: of(|decision| format!("decisions/{}", decision.id)),
        reason: of(|decision| decision.reason.clone()),
        author: of(|decision| decision.author.clone()),
        create_time: now,
    })
}

/// The first day on which a unit that is there on `day` is there no more.
fn end_after(unit: UnitId, day: NaiveDate, hierarchy: &Hierarchy) -> Option<NaiveDate> {
    let history = hierarchy.get(unit)?;
    let mut end = day;
    // Versions follow each other: the end of the last one that joins up is the unit's.
    while let Some(version) = history.version_on(end) {
        end = version.validity.until?;
    }
    Some(end)
}

/// The first day without a unit that is not there on `day`, and was before.
fn ended_by(unit: UnitId, day: NaiveDate, hierarchy: &Hierarchy) -> Option<NaiveDate> {
    let history = hierarchy.get(unit)?;
    if history.version_on(day).is_some() {
        return None;
    }
    let ends = history.versions.iter().filter(|version| !version.validity.is_empty());
    ends.filter_map(|version| version.validity.until).filter(|end| *end <= day).max()
}

/// What becomes of the reports of a unit that ends on a day, as of today. `until` is brought forward to the day on which that
/// is another, though nothing new is learnt.
fn after(
    unit: UnitId,
    end: NaiveDate,
    today: NaiveDate,
    hierarchy: &Hierarchy,
    until: &mut Option<NaiveDate>,
) -> After {
    let mut passed = None;
    let (mut last, mut day) = (unit, end);
    // Whoever came after is there on the day, and ends later: the days go on.
    while let Some(next) = hierarchy.succeeded_by(last, day) {
        passed = Some((end, next));
        match end_after(next, day, hierarchy) {
            None => return After { passed, nobody: None },
            Some(ahead) if today < ahead && hierarchy.succeeded_by(next, ahead).is_some() => {
                *until = Some(until.map_or(ahead, |until| until.min(ahead)));
                return After { passed, nobody: None };
            }
            // Known to end without anybody after it, today or ahead; or ended, and somebody has come after it.
            Some(over) => (last, day) = (next, over),
        }
    }
    After { passed, nobody: Some(day) }
}

#[cfg(test)]
mod tests {
    use dunghan_calendar::{DueRule, Frequency};
    use dunghan_hierarchy::{Edge, EdgeKind, Identifier, Kind, UnitHistory, Validity, Version};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::decision::{Extent, Outcome, Until};
    use crate::domain::obligation::tests::time;
    use crate::domain::obligation::{Receipt, Returned, Standing, Task, Waived};
    use crate::domain::regime::tests::{day, regime, tier};
    use crate::domain::regime::{self, DueRules, Schedule, Tier};

    /// The window of May 2026 is from 15/04 to 14/05; due on the 19th.
    const CUT_OFF: &str = "2026-05-14";
    const DUE: &str = "2026-05-20T00:00:00+07:00";

    fn id(code: &str) -> UnitId {
        UnitId::new(NSO, code, None)
    }

    fn midnight(text: &str) -> DateTime<Utc> {
        zone::start_of(day(text))
    }

    fn validity(from: Option<&str>, until: Option<&str>) -> Validity {
        Validity { from: from.map(day), until: until.map(day) }
    }

    fn version(parent: Option<&str>, level: Level, validity: Validity) -> Version {
        let kind = match level {
            Level::Province => Kind::Tinh,
            Level::Commune => Kind::Xa,
            _ => Kind::So,
        };
        Version {
            validity, kind, level, display_name: "Đơn vị".to_owned(), parent: parent.map(id)
        }
    }

    fn history(code: &str, versions: Vec<Version>) -> UnitHistory {
        let held = |one: &Version| Identifier {
            scheme: NSO.to_owned(),
            value: code.to_owned(),
            validity: one.validity,
        };
        UnitHistory { id: id(code), identifiers: versions.iter().map(held).collect(), versions }
    }

    fn province(code: &str) -> UnitHistory {
        history(code, vec![version(None, Level::Province, Validity::OPEN)])
    }

    /// A commune of province 24.
    fn commune(code: &str, from: Option<&str>, until: Option<&str>) -> UnitHistory {
        history(code, vec![version(Some("24"), Level::Commune, validity(from, until))])
    }

    fn edge(predecessor: &str, successor: &str, effective: &str, kind: EdgeKind) -> Edge {
        Edge {
            effective: day(effective),
            predecessor: id(predecessor),
            successor: id(successor),
            kind,
            reorganisation: "r".into(),
        }
    }

    fn merged(predecessor: &str, successor: &str, effective: &str) -> Edge {
        edge(predecessor, successor, effective, EdgeKind::Merged)
    }

    /// Provinces 24 and 52, and these.
    fn build(units: Vec<UnitHistory>, edges: Vec<Edge>) -> Hierarchy {
        let provinces = [province("24"), province("52")];
        let units = provinces.into_iter().chain(units).collect();
        Hierarchy::build_with_edges(7, units, edges).unwrap()
    }

    /// The communes owe to their province each month within three working days.
    fn monthly() -> Regime {
        Regime {
            debtors: regime::Debtors::Everywhere {
                levels: vec![Level::Commune],
                kinds: Vec::new(),
                except: Vec::new(),
            },
            tiers: vec![Tier {
                receiver: Receiver::Above(Level::Province),
                ..tier(Some(DueRule::WorkingDaysAfterCutOff(3)))
            }],
            ..regime(Schedule::Every(Frequency::Month), "2026-01-01", None)
        }
    }

    fn may() -> Period {
        "202605".parse().unwrap()
    }

    /// What is stored of May 2026, and becomes otherwise as more is learnt.
    struct Shelf {
        regime: Regime,
        calendars: Calendars,
        known: Known,
    }

    impl Shelf {
        fn new(regime: Regime) -> Self {
            Self { regime, calendars: Calendars::official().unwrap(), known: Known::default() }
        }

        fn debtors(&self, hierarchy: &Hierarchy, now: DateTime<Utc>) -> Debtors {
            let cut_off = self.regime.window(may()).cut_off;
            Debtors::on(&self.regime, cut_off, zone::civil_date(now), hierarchy)
        }

        fn plan(&self, hierarchy: &Hierarchy, now: DateTime<Utc>) -> Plan {
            let debtors = self.debtors(hierarchy, now);
            plan(&self.ground(&debtors, hierarchy, now), self.known.clone())
        }

        fn ground<'a>(
            &'a self,
            debtors: &'a Debtors,
            hierarchy: &'a Hierarchy,
            now: DateTime<Utc>,
        ) -> Ground<'a> {
            let (regime, calendars) = (&self.regime, &self.calendars);
            Ground { regime, period: may(), hierarchy, debtors, calendars, now }
        }

        fn learn(&mut self, hierarchy: &Hierarchy, now: &str) -> Plan {
            let plan = self.plan(hierarchy, time(now));
            for changed in &plan.changed {
                self.known.existing.retain(|known| known.name != changed.name);
                self.known.existing.push(changed.clone());
            }
            let again = self.plan(hierarchy, time(now));
            let nothing =
                Plan { until: plan.until, fingerprint: plan.fingerprint, ..Plan::default() };
            assert_eq!(again, nothing, "planned again, nothing changes");
            plan
        }

        fn of(&mut self, code: &str) -> &mut Obligation {
            let mut all = self.known.existing.iter_mut();
            all.find(|one| one.name.unit == id(code)).unwrap()
        }

        fn standing(&mut self, code: &str, at: &str) -> Standing {
            self.of(code).standing(time(at))
        }

        /// The units that owe, however that stands.
        fn owed_by(&self) -> Vec<UnitId> {
            let owed = self.known.existing.iter().filter(|one| one.closed.is_none());
            let mut units: Vec<_> = owed.map(|one| one.name.unit).collect();
            units.sort_unstable();
            units
        }
    }

    fn receipt(at: &str) -> Option<Receipt> {
        Some(Receipt { report: Uuid::nil(), time: time(at) })
    }

    const MAY_1: &str = "2026-05-01T08:00:00+07:00";
    const JUNE_1: &str = "2026-06-01T08:00:00+07:00";

    fn units(codes: &[&str]) -> Vec<UnitId> {
        let mut units: Vec<_> = codes.iter().map(|code| id(code)).collect();
        units.sort_unstable();
        units
    }

    #[test]
    fn a_unit_that_ends_up_to_the_cut_off_owes_no_more_and_one_that_ends_after_it_passes_its_report_on()
     {
        // The first day without the unit, and whether the unit owes for the window.
        for (end, owes) in [
            ("2026-05-13", false),
            (CUT_OFF, false),
            ("2026-05-15", true),
            // The day it is due, and the day after.
            ("2026-05-19", true),
            ("2026-05-20", true),
        ] {
            let all = || vec![commune("1", None, Some(end)), commune("2", None, None)];
            let succeeded = build(all(), vec![merged("1", "2", end)]);
            let mut shelf = Shelf::new(monthly());
            shelf.learn(
                &build(vec![commune("1", None, None), commune("2", None, None)], vec![]),
                MAY_1,
            );
            let plan = shelf.learn(&succeeded, JUNE_1);
            assert_eq!(plan.opened, 0);
            assert_eq!(
                shelf.owed_by(),
                if owes { units(&["1", "2"]) } else { units(&["2"]) },
                "{end}"
            );
            let obligation = shelf.of("1");
            let passed = Some(Passed { time: midnight(end), to: id("2") });
            assert_eq!(obligation.passed, passed, "{end}");
            assert_eq!(obligation.responsible(midnight(end)), id("2"));
            let before = midnight(end) - chrono::TimeDelta::microseconds(1);
            assert_eq!(obligation.responsible(before), id("1"));
            let ended = Closed { time: midnight(end), reason: CloseReason::UnitEnded };
            assert_eq!(obligation.closed, (!owes).then_some(ended), "{end}");
            assert_eq!(obligation.due, Some(time(DUE)));

            // With nobody after it, it closes on that day either way, for another reason.
            let mut shelf = Shelf::new(monthly());
            shelf.learn(&build(vec![commune("1", None, None)], vec![]), MAY_1);
            shelf.learn(&build(vec![commune("1", None, Some(end))], vec![]), MAY_1);
            let reason = if owes { CloseReason::NoSuccessor } else { CloseReason::UnitEnded };
            let closed = Closed { time: midnight(end), reason };
            assert_eq!((shelf.of("1").closed, shelf.of("1").passed), (Some(closed), None), "{end}");
        }
    }

    #[test]
    fn whoever_comes_within_the_window_owes_for_all_of_it_and_not_whoever_comes_after_the_cut_off()
    {
        for (from, owes) in [("2026-04-15", true), (CUT_OFF, true), ("2026-05-15", false)] {
            let mut shelf = Shelf::new(monthly());
            let plan = shelf.learn(&build(vec![commune("1", Some(from), None)], vec![]), MAY_1);
            assert_eq!(plan.opened, u64::from(owes), "{from}");
            if owes {
                assert_eq!(shelf.of("1").open_time, midnight("2026-04-15"));
            }
        }
    }

    #[test]
    fn a_report_of_a_unit_without_successor_is_owed_by_nobody_unless_it_turns_out_to_be_there() {
        let mut shelf = Shelf::new(monthly());
        shelf.learn(&build(vec![commune("1", None, Some("2026-05-18"))], vec![]), MAY_1);
        assert_eq!(shelf.standing("1", "2026-05-17T23:59:59+07:00"), Standing::Open);
        assert_eq!(shelf.standing("1", "2026-05-18T00:00:00+07:00"), Standing::Closed);
        assert_eq!(shelf.of("1").task(), None, "nobody is accused");
        let said = |sequence, receipt| Evidence { sequence, receipt, returned: None };
        let calendars = shelf.calendars.clone();
        let first = said(1, receipt("2026-05-15T08:00:00+07:00"));
        assert!(shelf.of("1").learn(&first, &calendars));
        assert_eq!(shelf.standing("1", JUNE_1), Standing::OnTime);
        // It was taken back after all.
        assert!(shelf.of("1").learn(&said(2, None), &calendars));
        assert_eq!(shelf.standing("1", JUNE_1), Standing::Closed);
    }

    #[test]
    fn the_main_part_of_what_was_split_takes_the_report_over_and_of_equal_parts_none() {
        let split = |kinds: [EdgeKind; 2]| {
            let end = "2026-05-18";
            let parts = ["2", "3"].map(|code| commune(code, Some(end), None));
            let edges = ["2", "3"].into_iter().zip(kinds);
            let edges = edges.map(|(to, kind)| edge("1", to, end, kind)).collect();
            let mut units = vec![commune("1", None, Some(end))];
            units.extend(parts);
            let mut shelf = Shelf::new(monthly());
            shelf.learn(&build(units, edges), MAY_1);
            assert_eq!(shelf.known.existing.len(), 1, "the parts come after the cut-off");
            (
                shelf.of("1").passed.map(|passed| passed.to),
                shelf.of("1").closed.map(|one| one.reason),
            )
        };
        let main = split([EdgeKind::SplitPart, EdgeKind::SplitMain]);
        assert_eq!(main, (Some(id("3")), None));
        let parts = split([EdgeKind::SplitPart, EdgeKind::SplitPart]);
        assert_eq!(parts, (None, Some(CloseReason::NoSuccessor)));
    }

    #[test]
    fn where_the_successor_ends_too_it_passes_on_when_that_day_comes() {
        let all = |last: Option<&str>| {
            vec![
                commune("1", None, Some("2026-05-18")),
                commune("2", None, Some("2026-05-25")),
                commune("3", None, last),
            ]
        };
        let edges = || vec![merged("1", "2", "2026-05-18"), merged("2", "3", "2026-05-25")];
        let hierarchy = build(all(None), edges());
        let mut shelf = Shelf::new(monthly());
        // Known ahead: until that day it is the first one's.
        let plan = shelf.learn(&hierarchy, "2026-05-24T08:00:00+07:00");
        assert_eq!(plan.until, Some(day("2026-05-25")));
        assert_eq!(
            shelf.of("1").passed,
            Some(Passed { time: midnight("2026-05-18"), to: id("2") })
        );
        let plan = shelf.learn(&hierarchy, "2026-05-25T00:00:00+07:00");
        assert_eq!(plan.until, None);
        assert_eq!(
            shelf.of("1").passed,
            Some(Passed { time: midnight("2026-05-18"), to: id("3") })
        );
        assert_eq!(shelf.of("1").closed, None);
        // And where that one ends without anybody after it.
        let abandoned = build(all(Some("2026-06-10")), edges());
        shelf.learn(&abandoned, JUNE_1);
        let closed = Closed { time: midnight("2026-06-10"), reason: CloseReason::NoSuccessor };
        assert_eq!(shelf.of("1").closed, Some(closed));
        assert_eq!(shelf.of("1").responsible(time(JUNE_1)), id("3"));
    }

    #[test]
    fn level_place_and_code_on_the_cut_off_day_decide_and_what_changes_the_day_after_changes_nothing()
     {
        for (change, on_the_day) in [(CUT_OFF, true), ("2026-05-15", false)] {
            let of = |versions: [Version; 2]| build(vec![history("1", versions.into())], vec![]);
            let before = version(Some("24"), Level::Commune, validity(None, Some(change)));
            let after = |parent, level| version(Some(parent), level, validity(Some(change), None));

            let mut shelf = Shelf::new(monthly());
            shelf.learn(&of([before.clone(), after("52", Level::Commune)]), MAY_1);
            let (place, receiver) = (shelf.of("1").area(), shelf.of("1").receiver);
            let province = id(if on_the_day { "52" } else { "24" });
            assert_eq!((place, receiver), (province, Some(province)), "moved on {change}");

            let mut shelf = Shelf::new(monthly());
            shelf.learn(&of([before.clone(), after("24", Level::Department)]), MAY_1);
            assert_eq!(shelf.known.existing.len(), usize::from(!on_the_day), "retyped on {change}");

            let mut recoded = history("1", vec![before.clone(), after("24", Level::Commune)]);
            recoded.identifiers[1].value = "9".to_owned();
            let mut shelf = Shelf::new(monthly());
            shelf.learn(&build(vec![recoded], vec![]), MAY_1);
            assert_eq!(shelf.of("1").unit_code, if on_the_day { "9" } else { "1" });
        }
    }

    #[test]
    fn what_was_learnt_wrongly_is_put_right_and_nothing_of_what_is_known_is_lost() {
        let there = build(vec![commune("1", None, None), commune("2", None, None)], vec![]);
        let gone = build(
            vec![commune("1", None, Some("2026-05-10")), commune("2", None, None)],
            vec![merged("1", "2", "2026-05-10")],
        );
        let mut shelf = Shelf::new(monthly());
        shelf.learn(&there, MAY_1);
        shelf.of("1").settle(Task::TellMissing);
        let waived = Some(Waived { decision: Uuid::nil(), time: time(MAY_1) });
        shelf.of("1").waived = waived;
        let before = shelf.of("1").clone();
        shelf.learn(&gone, JUNE_1);
        assert_eq!(shelf.standing("1", JUNE_1), Standing::Closed);
        assert_eq!(shelf.of("1").waived, waived);
        // The decision is not among those in force: what it waived is owed again, and can be told again.
        shelf.learn(&there, JUNE_1);
        let again = Obligation { waived: None, due_generation: 2, ..before };
        assert_eq!(*shelf.of("1"), again);
    }

    #[test]
    fn a_unit_that_turns_out_elsewhere_is_due_by_its_new_place_and_what_is_received_stays_measured()
    {
        let at = |level| history("1", vec![version(Some("24"), level, Validity::OPEN)]);
        let by_level = DueRules {
            by_level: vec![(Level::Department, DueRule::WorkingDaysAfterCutOff(5))],
            otherwise: Some(DueRule::WorkingDaysAfterCutOff(3)),
        };
        let mut regime = monthly();
        regime.tiers[0].due = by_level;
        regime.debtors = regime::Debtors::Units(vec![id("1")]);
        let (commune, department) = (at(Level::Commune), at(Level::Department));
        let (commune, department) = (build(vec![commune], vec![]), build(vec![department], vec![]));
        let later = time("2026-05-22T00:00:00+07:00");

        let mut shelf = Shelf::new(regime.clone());
        shelf.learn(&commune, MAY_1);
        let plan = shelf.learn(&department, JUNE_1);
        let [change] = plan.due_changes.try_into().unwrap();
        assert_eq!((change.old, change.new), (Some(time(DUE)), Some(later)));
        assert_eq!((change.cause, change.due_generation), (Cause::UnitChanged, 2));
        assert_eq!((shelf.of("1").due, shelf.of("1").original_due), (Some(later), Some(later)));

        let mut shelf = Shelf::new(regime);
        shelf.learn(&commune, MAY_1);
        let receipt = receipt("2026-05-21T08:00:00+07:00");
        let calendars = shelf.calendars.clone();
        shelf.of("1").learn(&Evidence { sequence: 1, receipt, returned: None }, &calendars);
        let plan = shelf.learn(&department, JUNE_1);
        assert_eq!(plan.due_changes, []);
        assert_eq!(shelf.standing("1", JUNE_1), Standing::Late);
        assert_eq!(shelf.of("1").level, Level::Department);
        // Taken back, it is due as everyone's is.
        let Shelf { calendars, known, regime } = &mut shelf;
        let obligation = &mut known.existing[0];
        let mut said = Evidence { sequence: 2, receipt: None, returned: None };
        assert!(obligation.is_measured_anew_by(&said));
        let change = measure_anew(obligation, &said, regime, calendars, &[], time(JUNE_1)).unwrap();
        assert_eq!((change.new, obligation.due), (Some(later), Some(later)));
        assert_eq!((obligation.receipt, obligation.sequence), (None, 2));
        said.sequence = 3;
        assert!(!obligation.is_measured_anew_by(&said));
    }

    #[test]
    fn what_was_taken_back_and_handed_in_again_between_two_looks_is_due_as_if_there_had_been_one() {
        let units = build(vec![commune("1", None, None)], vec![]);
        let said = |sequence, at| Evidence { sequence, receipt: receipt(at), returned: None };
        let create_time = time("2026-05-12T08:00:00+07:00");
        let extension = Decision { create_time, ..extension("24", true, "2026-05-29") };
        let mut shelf = Shelf::new(monthly());
        shelf.learn(&units, MAY_1);
        let Shelf { calendars, known, regime } = &mut shelf;
        let obligation = &mut known.existing[0];
        obligation.learn(&said(1, "2026-05-10T08:00:00+07:00"), calendars);
        // Sent back and handed in once more, it is measured by its first receipt.
        assert!(!obligation.is_measured_anew_by(&said(3, "2026-05-10T08:00:00+07:00")));
        let again = said(4, "2026-05-25T08:00:00+07:00");
        assert!(obligation.is_measured_anew_by(&again));
        let now = time("2026-05-26T08:00:00+07:00");
        let decisions = [extension];
        measure_anew(obligation, &again, regime, calendars, &decisions, now).unwrap();
        assert_eq!(obligation.extension, Some(decisions[0].id));
        assert_eq!(obligation.standing(now), Standing::OnTime);
    }

    #[test]
    fn what_was_said_to_be_there_after_all_and_is_taken_back_is_told_as_missing_once_more() {
        let units = build(vec![commune("1", None, None)], vec![]);
        let mut shelf = Shelf::new(monthly());
        shelf.learn(&units, MAY_1);
        let Shelf { calendars, known, regime } = &mut shelf;
        let obligation = &mut known.existing[0];
        obligation.settle(Task::TellMissing);
        let receipt = receipt("2026-05-10T08:00:00+07:00");
        obligation.learn(&Evidence { sequence: 1, receipt, returned: None }, calendars);
        let mut accused = obligation.clone();
        obligation.settle(Task::Retract);
        assert_eq!(obligation.task(), None);
        let gone = Evidence { sequence: 2, receipt: None, returned: None };
        let change = measure_anew(obligation, &gone, regime, calendars, &[], time(JUNE_1));
        assert_eq!((change, obligation.due), (None, Some(time(DUE))));
        assert_eq!(obligation.task(), Some((time(DUE), Task::TellMissing)));
        // Where nobody was told that it was there, what was told still holds.
        measure_anew(&mut accused, &gone, regime, calendars, &[], time(JUNE_1));
        assert_eq!(accused.task(), None);
    }

    #[test]
    fn whoever_receives_sends_on_and_a_unit_that_owes_in_two_tiers_owes_in_the_later_one() {
        let onward =
            |receiver, days| Tier { receiver, ..tier(Some(DueRule::WorkingDaysAfterCutOff(days))) };
        let agency = Receiver::Agency("Văn phòng Chính phủ".to_owned());
        let mut regime = monthly();
        regime.debtors = regime::Debtors::Everywhere {
            levels: vec![Level::Commune, Level::Province],
            kinds: Vec::new(),
            except: vec![id("52")],
        };
        regime.tiers.push(onward(agency, 10));
        let mut shelf = Shelf::new(regime);
        shelf.learn(&build(vec![commune("1", None, None)], vec![]), MAY_1);
        assert_eq!(shelf.owed_by(), units(&["1", "24"]));
        let (first, second) = (shelf.of("1").clone(), shelf.of("24").clone());
        assert_eq!((first.tier, first.receiver), (1, Some(id("24"))));
        assert_eq!((second.tier, second.receiver), (2, None));
        assert_eq!(second.due, Some(time("2026-05-29T00:00:00+07:00")));
    }

    #[test]
    fn a_receiver_that_has_ended_is_who_came_after_it_by_the_cut_off() {
        let mut regime = monthly();
        let onward = Tier { receiver: Receiver::Parent, ..tier(None) };
        regime.tiers[0].receiver = Receiver::Unit(id("8"));
        regime.tiers.push(onward);
        regime.debtors = regime::Debtors::Units(vec![id("1")]);
        for (end, receiver) in [("2026-04-01", "9"), (CUT_OFF, "9"), ("2026-05-15", "8")] {
            let units = vec![
                commune("1", None, None),
                commune("8", None, Some(end)),
                commune("9", Some(end), None),
            ];
            let mut shelf = Shelf::new(regime.clone());
            shelf.learn(&build(units, vec![merged("8", "9", end)]), MAY_1);
            assert_eq!(shelf.of("1").receiver, Some(id(receiver)), "{end}");
            assert_eq!(shelf.of(receiver).tier, 2, "{end}: it sends on");
            assert_eq!(shelf.of(receiver).receiver, Some(id("24")));
        }
        // With nobody after it, it is still named, and sends nothing on.
        let units = vec![commune("1", None, None), commune("8", None, Some("2026-04-01"))];
        let mut shelf = Shelf::new(regime);
        shelf.learn(&build(units, vec![]), MAY_1);
        assert_eq!(shelf.of("1").receiver, Some(id("8")));
        assert_eq!(shelf.known.existing.len(), 1);
    }

    #[test]
    fn an_amended_regime_asks_for_no_more_and_whoever_is_no_debtor_owes_nothing_from_when_that_is_learnt()
     {
        let there = build(vec![commune("1", None, None)], vec![]);
        let mut shelf = Shelf::new(monthly());
        shelf.learn(&there, MAY_1);
        shelf.regime.through = Some(day("2026-05-13"));
        shelf.learn(&there, JUNE_1);
        let closed = Closed { time: time(JUNE_1), reason: CloseReason::RegimeAmended };
        assert_eq!(shelf.of("1").closed, Some(closed));
        // The day on which it was learnt stays.
        assert_eq!(shelf.plan(&there, time("2026-07-01T08:00:00+07:00")).changed, []);

        let department = history("1", vec![version(Some("24"), Level::Department, Validity::OPEN)]);
        let mut shelf = Shelf::new(monthly());
        shelf.learn(&there, MAY_1);
        shelf.learn(&build(vec![department], vec![]), JUNE_1);
        let closed = Closed { time: time(JUNE_1), reason: CloseReason::NotADebtor };
        assert_eq!(shelf.of("1").closed, Some(closed));
        assert_eq!(shelf.standing("1", "2026-05-20T00:00:00+07:00"), Standing::Missing);
    }

    fn extension(code: &str, subtree: bool, until: &str) -> Decision {
        Decision {
            id: Uuid::from_u128(5),
            unit: id(code),
            subtree,
            below_only: false,
            regime: None,
            extent: Extent::Due { from: day("2026-05-01"), through: day("2026-05-31") },
            outcome: Outcome::Extension { until: Until::Date(day(until)), afterwards: false },
            document: "5/QĐ-UBND".to_owned(),
            reason: "Bão số 3".to_owned(),
            author: "supervisor".to_owned(),
            create_time: time(MAY_1),
            revoked: None,
            request: None,
            concerned: 0,
        }
    }

    #[test]
    fn decisions_in_force_hold_for_what_is_opened_later_and_for_who_turns_out_to_be_below() {
        let elsewhere = history("2", vec![version(Some("52"), Level::Commune, Validity::OPEN)]);
        let mut shelf = Shelf::new(monthly());
        shelf.known.decisions = vec![extension("24", true, "2026-05-25")];
        let plan = shelf.learn(&build(vec![commune("1", None, None), elsewhere], vec![]), JUNE_1);
        let later = time("2026-05-26T00:00:00+07:00");
        assert_eq!((shelf.of("1").due, shelf.of("1").original_due), (Some(later), Some(time(DUE))));
        assert_eq!(shelf.of("1").extension, Some(Uuid::from_u128(5)));
        assert_eq!(shelf.of("2").due, Some(time(DUE)));
        let [change] = plan.due_changes.try_into().unwrap();
        assert_eq!((change.old, change.new), (Some(time(DUE)), Some(later)));
        assert_eq!(change.cause, Cause::Extension);
        assert_eq!(change.reference, "decisions/00000000-0000-0000-0000-000000000005");
        assert_eq!((change.reason.as_str(), change.author.as_str()), ("Bão số 3", "supervisor"));

        shelf.learn(
            &build(vec![commune("1", None, None), commune("2", None, None)], vec![]),
            JUNE_1,
        );
        assert_eq!(shelf.of("2").due, Some(later));
    }

    #[test]
    fn a_report_that_came_before_anyone_owed_it_counts_for_who_comes_to_owe_it() {
        let mut shelf = Shelf::new(monthly());
        let before =
            Evidence { sequence: 4, receipt: receipt("2026-05-15T08:00:00+07:00"), returned: None };
        shelf.known.evidence.insert(id("1"), before);
        shelf.learn(&build(vec![commune("1", None, None)], vec![]), JUNE_1);
        assert_eq!(shelf.standing("1", JUNE_1), Standing::OnTime);
        assert_eq!(shelf.of("1").sequence, 4);
    }

    /// The life of a commune, in days from the cut-off: its first day and the first without it, the day from which it is of
    /// the other province, or no commune, and who it merges into.
    type Life = (Option<i64>, Option<i64>, Option<(i64, bool)>, usize);
    const COUNT: usize = 6;

    fn lives() -> impl Strategy<Value = Vec<Life>> {
        let near = || -3..8_i64;
        let begins = proptest::option::weighted(0.3, near());
        let ends = proptest::option::weighted(0.5, near());
        let changes = proptest::option::weighted(0.3, (near(), any::<bool>()));
        proptest::collection::vec((begins, ends, changes, 0..COUNT), COUNT)
    }

    fn hierarchy_of(version_number: u64, lives: &[Life]) -> Hierarchy {
        let on = |offset: i64| day(CUT_OFF) + chrono::TimeDelta::days(offset);
        let mut units = vec![province("24"), province("52")];
        let exists = |at: usize, offset: i64| {
            let (from, until, ..) = lives[at];
            from.is_none_or(|from| from <= offset) && until.is_none_or(|until| offset < until)
        };
        let mut edges = Vec::new();
        for (at, (from, until, change, into)) in lives.iter().enumerate() {
            if from.zip(*until).is_some_and(|(from, until)| until <= from) {
                continue;
            }
            let whole = Validity { from: from.map(on), until: until.map(on) };
            let change = change.filter(|(offset, _)| exists(at, *offset) && exists(at, offset - 1));
            let versions = match change {
                None => vec![version(Some("24"), Level::Commune, whole)],
                Some((offset, moves)) => {
                    let first = Validity { until: Some(on(offset)), ..whole };
                    let rest = Validity { from: Some(on(offset)), ..whole };
                    let rest = match moves {
                        true => version(Some("52"), Level::Commune, rest),
                        false => version(Some("24"), Level::Department, rest),
                    };
                    vec![version(Some("24"), Level::Commune, first), rest]
                }
            };
            units.push(history(&at.to_string(), versions));
            if let Some(end) = until.filter(|end| *into != at && exists(*into, *end)) {
                edges.push(Edge {
                    effective: on(end),
                    predecessor: id(&at.to_string()),
                    successor: id(&into.to_string()),
                    kind: EdgeKind::Merged,
                    reorganisation: "r".into(),
                });
            }
        }
        Hierarchy::build_with_edges(version_number, units, edges).unwrap()
    }

    /// What happens to an obligation between two looks: its report, a decision, and what is told.
    fn happen(obligation: &mut Obligation, what: u8, at: DateTime<Utc>) {
        let sequence = obligation.sequence + 1;
        let receipt = Some(Receipt { report: Uuid::nil(), time: at });
        let mut learn = |receipt, returned| {
            let evidence = Evidence { sequence, receipt, returned };
            assert!(obligation.learn(&evidence, &Calendars::official().unwrap()));
        };
        match what {
            1 => learn(receipt, None),
            2 => learn(None, None),
            3 => learn(receipt, Some(Returned { time: at, due: at })),
            4 => obligation.settle(Task::TellMissing),
            5 => obligation.settle(Task::Retract),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn exactly_the_debtors_of_the_cut_off_are_owed_and_nothing_known_is_lost_whatever_is_learnt(
            steps in proptest::collection::vec(
                (lives(), -2..12_i64, proptest::collection::vec(0..6_u8, COUNT)),
                1..5,
            ),
        ) {
            let mut shelf = Shelf::new(monthly());
            shelf.known.decisions = vec![extension("24", true, "2026-05-25")];
            let mut debtors_before: Option<Debtors> = None;
            for (number, (lives, today, happens)) in (1..).zip(&steps) {
                let hierarchy = hierarchy_of(number, lives);
                let now = midnight(CUT_OFF) + chrono::TimeDelta::days(*today);
                let before = shelf.known.existing.clone();
                let debtors = shelf.debtors(&hierarchy, now);
                let ground = shelf.ground(&debtors, &hierarchy, now);
                let plan = plan(&ground, shelf.known.clone());

                // What need not be planned again is the same when it is.
                let same = debtors_before.as_ref().is_some_and(|before| {
                    before.fingerprint() == debtors.fingerprint()
                });
                let mut until = debtors.until();
                let closed: Vec<_> = before.iter().filter(|one| one.closed.is_some()).collect();
                if same && closed.iter().all(|one| stays_closed(one, &ground, &mut until)) {
                    prop_assert_eq!(&plan.changed, &Vec::new());
                    prop_assert_eq!(plan.until, until);
                }

                // Of those alone who owe otherwise than before it is the same as of all.
                if let Some(before) = &debtors_before {
                    let mut known = shelf.known.clone();
                    let only = debtors.differing(before);
                    known.existing.retain(|one| {
                        one.closed.is_some() || only.contains(&one.name.unit)
                    });
                    known.evidence.retain(|unit, _| only.contains(unit));
                    known.only = Some(only);
                    prop_assert_eq!(&super::plan(&ground, known), &plan);
                }

                for changed in &plan.changed {
                    shelf.known.existing.retain(|known| known.name != changed.name);
                    shelf.known.existing.push(changed.clone());
                }
                let ground = shelf.ground(&debtors, &hierarchy, now);
                let again = super::plan(&ground, shelf.known.clone());
                prop_assert_eq!(again.changed, Vec::new(), "planned again, nothing changes");

                // Those that are there on the cut-off day, and communes then.
                let cut_off = day(CUT_OFF);
                let mut owing = hierarchy.units(cut_off);
                owing.retain(|unit| {
                    hierarchy.unit(*unit, cut_off).unwrap().version.level == Level::Commune
                });
                owing.sort_unstable();
                let owed = |one: &&Obligation| {
                    one.closed.is_none_or(|closed| closed.reason == CloseReason::NoSuccessor)
                };
                let mut owed: Vec<_> =
                    shelf.known.existing.iter().filter(owed).map(|one| one.name.unit).collect();
                owed.sort_unstable();
                prop_assert_eq!(owed, owing);

                for before in &before {
                    let mut all = shelf.known.existing.iter();
                    let now = all.find(|one| one.name == before.name).unwrap();
                    prop_assert_eq!(now.receipt, before.receipt);
                    prop_assert_eq!(now.returned, before.returned);
                    prop_assert_eq!(now.sequence, before.sequence);
                    prop_assert_eq!((now.told, now.retracted), (before.told, before.retracted));
                    prop_assert!(now.due_generation >= before.due_generation);
                    // But for an extension that turns out to have held when it came.
                    if before.receipt.is_some() && now.extension == before.extension {
                        prop_assert_eq!(now.due, before.due);
                    }
                    let moved = now.due_generation > before.due_generation;
                    let mut noted = plan.due_changes.iter();
                    let noted = noted.find(|change| change.name == before.name);
                    prop_assert_eq!(moved, noted.is_some());
                }
                for (one, what) in shelf.known.existing.iter_mut().zip(happens) {
                    happen(one, *what, now);
                }
                debtors_before = Some(debtors);
            }
        }

        #[test]
        fn within_a_stretch_in_which_no_unit_changes_it_does_not_matter_where_the_cut_off_lies(
            lives in lives(),
            today in -2..12_i64,
        ) {
            let (hierarchy, regime) = (hierarchy_of(1, &lives), monthly());
            let stretches = stretches(&hierarchy);
            let on = |offset: i64| day(CUT_OFF) + chrono::TimeDelta::days(offset);
            for offset in -5..10 {
                let (one, two) = (on(offset), on(offset + 1));
                if !stretches.contains(&two) {
                    let debtors = |cut_off| Debtors::on(&regime, cut_off, on(today), &hierarchy);
                    prop_assert_eq!(debtors(one), debtors(two));
                }
            }
        }
    }
}
