//! What became of a unit and what it came from, and what changed meanwhile.
//!
//! Edges say what passed to whom by law. A tier that was abolished passed to nobody: of a unit that ended so it is told
//! what became of those that were under it.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use chrono::NaiveDate;
use dunghan_hierarchy::{Edge, EdgeKind, Hierarchy, UnitHistory, UnitId};

/// How one unit came out of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum How {
    /// It was stated.
    Edge(EdgeKind),
    /// It is, or came out of, something that was under a unit which ended without a successor.
    ThroughChildren,
}

/// One edge on the way from a unit to what became of it, or back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// How many edges away its further end is.
    pub(crate) distance: usize,
    pub(crate) effective: NaiveDate,
    pub(crate) predecessor: UnitId,
    pub(crate) successor: UnitId,
    pub(crate) how: How,
    /// Which one did it. `None` for a unit that only lost the one above it.
    pub(crate) reorganisation: Option<Arc<str>>,
}

impl Step {
    fn of(distance: usize, edge: &Edge) -> Self {
        Self {
            distance,
            effective: edge.effective,
            predecessor: edge.predecessor,
            successor: edge.successor,
            how: How::Edge(edge.kind),
            reorganisation: Some(edge.reorganisation.clone()),
        }
    }
}

/// What came after a unit, over any number of reorganisations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Successors {
    /// The nearest first.
    pub(crate) steps: Vec<Step>,
    /// The unit and all that came after it, each with the first day on which it had; `None` for the unit itself.
    pub(crate) reached: BTreeMap<UnitId, Option<NaiveDate>>,
    /// The units that were under those of them that ended without a successor.
    pub(crate) looked_at: BTreeSet<UnitId>,
}

/// What came after a unit. The way goes on in time: what a unit gave away before it received something is no part of that.
pub(crate) fn successors(hierarchy: &Hierarchy, unit: UnitId) -> Successors {
    let mut found = Successors::default();
    let mut seen = HashSet::new();
    let mut next = VecDeque::from([(unit, None, 0)]);
    while let Some((here, since, distance)) = next.pop_front() {
        let first = found.reached.entry(here).or_insert(since);
        *first = since.min(*first);
        let after = |day: NaiveDate| since.is_none_or(|since| day > since);
        let edges = hierarchy.successors(here).filter(|edge| after(edge.effective));
        let mut steps: Vec<Step> = edges.map(|edge| Step::of(distance + 1, edge)).collect();
        if let Some(ended) = ended_alone(hierarchy, here)
            && after(ended)
        {
            let below = through_children(hierarchy, here, ended, &mut found.looked_at);
            steps.extend(below.into_iter().map(|(successor, reorganisation)| Step {
                distance: distance + 1,
                effective: ended,
                predecessor: here,
                successor,
                how: How::ThroughChildren,
                reorganisation,
            }));
        }
        for step in steps {
            let way = (step.predecessor, step.successor, step.effective, step.how);
            if seen.insert((way, step.reorganisation.clone())) {
                next.push_back((step.successor, Some(step.effective), step.distance));
                found.steps.push(step);
            }
        }
    }
    found
}

/// What was before a unit, the nearest first.
pub(crate) fn predecessors(hierarchy: &Hierarchy, unit: UnitId) -> Vec<Step> {
    let steps = hierarchy.lineage_back(unit).into_iter();
    steps.map(|step| Step::of(step.distance, step.edge)).collect()
}

/// The day after a unit's last one; `None` while nothing ends it, or where it never existed.
pub(crate) fn ended(history: &UnitHistory) -> Option<NaiveDate> {
    history.versions.last().and_then(|last| last.validity.until)
}

/// The day on which a unit was there no more, if nothing is stated to have come after it then.
fn ended_alone(hierarchy: &Hierarchy, unit: UnitId) -> Option<NaiveDate> {
    let ended = ended(hierarchy.get(unit)?)?;
    hierarchy.successors(unit).all(|edge| edge.effective != ended).then_some(ended)
}

/// What became of the units under one that ended, each once, with what did it.
fn through_children(
    hierarchy: &Hierarchy,
    unit: UnitId,
    ended: NaiveDate,
    looked_at: &mut BTreeSet<UnitId>,
) -> BTreeMap<UnitId, Option<Arc<str>>> {
    let mut found = BTreeMap::new();
    let Some(last_day) = ended.pred_opt() else { return found };
    let mut next = VecDeque::from([unit]);
    while let Some(here) = next.pop_front() {
        for child in hierarchy.children(here, last_day) {
            looked_at.insert(child);
            let edges = hierarchy.successors(child).filter(|edge| edge.effective == ended);
            let mut passed = false;
            for edge in edges {
                passed = true;
                found.entry(edge.successor).or_insert_with(|| Some(edge.reorganisation.clone()));
            }
            if hierarchy.unit(child, ended).is_some() {
                found.entry(child).or_insert(None);
            } else if !passed {
                // It ended the same way.
                next.push_back(child);
            }
        }
    }
    found
}

/// What a unit is on a day: its name, kind, level, parent and codes; `None` where it does not exist then. How long it is that
/// is no part of it.
pub(super) fn what_it_is(history: &UnitHistory, day: NaiveDate) -> Option<impl PartialEq> {
    let version = history.version_on(day)?;
    let held = history.identifiers.iter().filter(move |held| held.validity.contains(day));
    let codes: BTreeSet<_> = held.map(|held| (&held.scheme, &held.value)).collect();
    Some((&version.display_name, version.kind, version.level, version.parent, codes))
}

/// The days on which something about a unit begins or ends, in order.
pub(super) fn days(history: &UnitHistory) -> BTreeSet<NaiveDate> {
    let versions = history.versions.iter().map(|version| version.validity);
    let identifiers = history.identifiers.iter().map(|held| held.validity);
    let days = versions.chain(identifiers).flat_map(|validity| [validity.from, validity.until]);
    days.flatten().collect()
}

/// The days on which a unit became something else while it stayed the same unit.
pub(crate) fn changes(history: &UnitHistory) -> Vec<NaiveDate> {
    let is_another = |day: &NaiveDate| {
        let before = day.pred_opt().and_then(|before| what_it_is(history, before));
        before.is_some_and(|before| what_it_is(history, *day).is_some_and(|now| now != before))
    };
    days(history).into_iter().filter(is_another).collect()
}
