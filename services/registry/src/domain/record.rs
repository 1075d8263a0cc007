//! The record of all that was said about units, and what follows from it.
//!
//! Imports and reorganisations are its entries, in the order of the versions of the hierarchy that they made. An entry is
//! never changed or taken out. A reorganisation that corrects another stands in its place: what follows is then built again
//! from the first entry, by the rules that the entries were applied by when they came.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;
use dunghan_hierarchy::{Hierarchy, Problem, UnitHistory, UnitId};

use super::import::{Row, RowProblem, Staged, merge};
use super::lineage::{days, what_it_is};
use super::reorganisation::{self, ChangeProblem, Reorganisation};

/// What an entry says.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Import(Vec<Row>),
    Reorganisation(Reorganisation),
}

/// One entry of the record.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The version of the hierarchy that it made.
    pub(crate) version: u64,
    /// The id of the reorganisation in whose place this one stands.
    pub(crate) corrects: Option<Arc<str>>,
    pub(crate) said: Said,
}

/// What is wrong with an entry when it is applied again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// Of an import.
    Rows { version: u64, problems: Vec<RowProblem> },
    /// Of reorganisations; which one each is about is told by the version that it made.
    Changes(Vec<(u64, ChangeProblem)>),
    /// Of what came out in the end, and of no entry that can be told. It does not happen.
    Tree(Vec<Problem>),
}

/// Why reorganisations are not recorded; `at` counts them from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Of themselves.
    Changes(Vec<ChangeProblem>),
    /// There is none to correct.
    NotFound { at: usize, id: Arc<str> },
    /// There is another one already in the place of the one to correct.
    CorrectedAlready { at: usize, id: Arc<str>, by: Arc<str> },
    /// Something that came after the one to correct does not fit any more.
    LaterEntry { at: usize, problems: Vec<String> },
    /// The record does not reach back to the first unit.
    RecordIncomplete { at: usize },
}

/// What happens to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Effect {
    Created,
    Ended,
    Changed,
    PassedAlong,
    /// It never existed.
    TakenBack,
    /// What held for it changes, maybe at other times.
    Rewritten,
}

impl From<reorganisation::Effect> for Effect {
    fn from(effect: reorganisation::Effect) -> Self {
        match effect {
            reorganisation::Effect::Created => Self::Created,
            reorganisation::Effect::Ended => Self::Ended,
            reorganisation::Effect::Changed => Self::Changed,
            reorganisation::Effect::PassedAlong => Self::PassedAlong,
        }
    }
}

/// What follows from a record that is built again.
#[derive(Clone, Debug)]
pub(crate) struct Rebuilt {
    /// Of the version of the last entry.
    pub(crate) hierarchy: Arc<Hierarchy>,
    /// The units whose histories are not what they were, each with what that is to it, and the first day on which it shows.
    pub(crate) effects: Vec<(UnitId, Effect, NaiveDate)>,
}

/// Whether these entries are all there were: each version up to this one was made by one of them.
pub(crate) fn is_whole(entries: &[Entry], version: u64) -> bool {
    let mut made: Vec<u64> = entries.iter().map(|entry| entry.version).collect();
    made.sort_unstable();
    made.into_iter().eq(1..=version)
}

/// Builds everything again from a whole record, and compares it with what was so far.
///
/// A unit that follows from no entry any more stays known, as one that never existed: others may have heard of it.
pub(crate) fn rebuild(existing: &Hierarchy, entries: Vec<Entry>) -> Result<Rebuilt, Conflict> {
    let version = entries.iter().map(|entry| entry.version).max().unwrap_or_default();
    let replayed = replay(entries)?;
    let mut histories: Vec<UnitHistory> = replayed.histories().cloned().collect();
    let gone = existing.histories().filter(|history| replayed.get(history.id).is_none());
    histories.extend(gone.map(|history| UnitHistory {
        id: history.id,
        versions: Vec::new(),
        identifiers: Vec::new(),
    }));
    let hierarchy = Hierarchy::build_with_edges(version, histories, replayed.edges().to_vec());
    let hierarchy = hierarchy.map_err(Conflict::Tree)?;
    let effects = hierarchy.histories().filter_map(|now| {
        let before = existing.get(now.id);
        let was = before.is_some_and(|history| !history.versions.is_empty());
        let effect = match (was, now.versions.is_empty()) {
            _ if before == Some(now) => return None,
            (false, _) => Effect::Created,
            (true, true) => Effect::TakenBack,
            (true, false) => Effect::Rewritten,
        };
        Some((now.id, effect, first_difference(before, now)))
    });
    let effects = effects.collect();
    Ok(Rebuilt { hierarchy: Arc::new(hierarchy), effects })
}

/// The first day on which a unit is something else than it was said to be on that day; where it only is known better or worse
/// since when it is so, the first day of all.
fn first_difference(before: Option<&UnitHistory>, now: &UnitHistory) -> NaiveDate {
    let mut all = before.map(days).unwrap_or_default();
    all.extend(days(now));
    let earlier = all.first().and_then(|first| first.pred_opt()).unwrap_or(NaiveDate::MIN);
    all.insert(earlier);
    let was = |day: &NaiveDate| before.and_then(|before| what_it_is(before, *day));
    let differs = all.iter().find(|day| was(day) != what_it_is(now, **day));
    let there = || all.iter().find(|day| what_it_is(now, **day).is_some());
    differs.or_else(there).copied().unwrap_or(earlier)
}

/// What follows from a whole record, from nothing. Its version is of no meaning.
fn replay(entries: Vec<Entry>) -> Result<Arc<Hierarchy>, Conflict> {
    let mut built = Arc::new(Hierarchy::empty());
    let mut standing = standing(entries).into_iter().peekable();
    while let Some(entry) = standing.next() {
        match entry.said {
            Said::Import(rows) => {
                let staged = Staged { rows, ..Staged::default() };
                let merged = merge(&built, &staged);
                let rows = |problems| Conflict::Rows { version: entry.version, problems };
                built = merged.map_err(rows)?.hierarchy;
            }
            Said::Reorganisation(first) => {
                // One after the other they are tried as a tree once, and not each.
                let (mut versions, mut all) = (vec![entry.version], vec![first]);
                while let Some(Entry { version, said: Said::Reorganisation(next), .. }) =
                    standing.next_if(|next| matches!(next.said, Said::Reorganisation(_)))
                {
                    versions.push(version);
                    all.push(next);
                }
                let applied = reorganisation::apply(&built, &all);
                let changes = |problems: Vec<ChangeProblem>| {
                    let of = |problem: &ChangeProblem| {
                        versions.get(problem.reorganisation).copied().unwrap_or_default()
                    };
                    Conflict::Changes(problems.into_iter().map(|one| (of(&one), one)).collect())
                };
                built = applied.map_err(changes)?.hierarchy;
            }
        }
    }
    Ok(built)
}

/// The entries that hold, in the order in which they are applied.
fn standing(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by_key(|entry| entry.version);
    let mut places: HashMap<Arc<str>, u64> = HashMap::new();
    let mut corrected: HashSet<Arc<str>> = HashSet::new();
    let mut by_place = BTreeMap::new();
    for entry in &entries {
        let Said::Reorganisation(one) = &entry.said else { continue };
        let place = entry.corrects.as_ref().and_then(|corrects| places.get(corrects).copied());
        places.insert(one.id.clone(), place.unwrap_or(entry.version));
        corrected.extend(entry.corrects.clone());
    }
    for entry in entries {
        let place = match &entry.said {
            Said::Import(_) => entry.version,
            Said::Reorganisation(one) if corrected.contains(&one.id) => continue,
            // It only takes another one back.
            Said::Reorganisation(one) if one.changes.is_empty() => continue,
            Said::Reorganisation(one) => places.get(&one.id).copied().unwrap_or(entry.version),
        };
        by_place.insert(place, entry);
    }
    by_place.into_values().collect()
}

#[cfg(test)]
mod tests;
