//! What a reorganisation does to the units.
//!
//! All changes of one are simultaneous. What it says is read first, against the units as they were the day before and, for
//! targets and parents, as they are on the day; where it contradicts itself or them, nothing is done. Then it is carried out.
//!
//! A date may lie before others that are known already. The rule for that: what is accepted gives the same units, on every
//! date, as if everything had been recorded in the order of its dates. So a new name, kind, level, parent or code holds until
//! the next change of just that, and a unit that comes under another passes along when that is merged later. What the
//! histories do not tell is refused as changed later, and never guessed:
//!
//! - the end of a unit of which something later is known;
//! - a value that the unit gets later as well, for that change would then say nothing and be forgotten;
//! - another parent for a unit that moves later on the very day on which its parent ends. It may have passed along with its
//!   siblings, or been moved by itself: accepted only where both come to the same under the other parent.
//!
//! What is so since that very day already is no contradiction: a reorganisation can be recorded after a list that knows of it
//! was imported. What was so the day before is no change, and is refused unless the same change says something else too; where
//! something else changed it that day, that is to be corrected and not undone.

use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;
use dunghan_hierarchy::{Edge, EdgeKind, Hierarchy, Kind, Level, Problem, UnitId};

use self::reading::read;
use self::working::Working;
use super::import::Code;

mod plan;
mod reading;
mod working;

/// What happens to units on one day, by one decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reorganisation {
    pub(crate) id: Arc<str>,
    /// The first day on which all of it holds.
    pub(crate) effective: NaiveDate,
    /// All at once; their order does not matter.
    pub(crate) changes: Vec<Change>,
}

/// Which unit is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UnitRef {
    Unit(UnitId),
    /// Where something happens to the unit: who held the code the day before. As a target or parent: who holds it on the
    /// effective date.
    Code(Code),
}

/// A unit that begins on the effective date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewUnit {
    /// The code that it begins with, which makes its id.
    pub(crate) code: Code,
    pub(crate) display_name: String,
    pub(crate) kind: Kind,
    pub(crate) level: Level,
    /// `None` at the top.
    pub(crate) parent: Option<UnitRef>,
}

/// A unit that comes out of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Existing(UnitRef),
    New(NewUnit),
}

/// What passes of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) unit: UnitRef,
    pub(crate) kind: EdgeKind,
}

/// One part of a unit that is split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Portion {
    pub(crate) into: Target,
    pub(crate) kind: EdgeKind,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Merge {
        shares: Vec<Share>,
        into: Target,
    },
    Split {
        unit: UnitRef,
        portions: Vec<Portion>,
        continues: bool,
        children_to: Option<UnitRef>,
    },
    Rename {
        unit: UnitRef,
        display_name: String,
    },
    /// What is `None` stays as it is.
    Retype {
        unit: UnitRef,
        kind: Kind,
        display_name: Option<String>,
        level: Option<Level>,
    },
    /// `None` puts it at the top.
    Transfer {
        unit: UnitRef,
        parent: Option<UnitRef>,
    },
    /// `None` leaves it without a code of the scheme.
    Recode {
        unit: UnitRef,
        scheme: String,
        value: Option<String>,
    },
    Abolish {
        unit: UnitRef,
        children_to: Option<UnitRef>,
    },
}

/// Why a change is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ChangeReason {
    UnitNotValid,
    IntoItself,
    Contradict,
    ChangedLater,
    ChildrenLeft,
    WithoutEffect,
    CodeTaken,
    ParentNotValid,
    Cycle,
    Invalid,
}

/// One thing that is wrong with one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChangeProblem {
    /// Which of the reorganisations, from 0.
    pub(crate) reorganisation: usize,
    /// For example `changes[3].merge.shares[1].unit`.
    pub(crate) field: String,
    pub(crate) reason: ChangeReason,
    pub(crate) message: String,
}

/// What happens to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Effect {
    Created,
    Ended,
    Changed,
    /// Nothing says anything of it but that its parent ends.
    PassedAlong,
}

/// What follows from reorganisations.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) hierarchy: Arc<Hierarchy>,
    /// The units whose histories are not what they were.
    pub(crate) changed: Vec<UnitId>,
    /// The edges that were not there.
    pub(crate) edges: Vec<Edge>,
    /// What happens to which unit, for each of the reorganisations.
    pub(crate) effects: Vec<Vec<(UnitId, Effect)>>,
}

/// Applies each on top of the one before, all or none; the version moves by one for each.
///
/// The first one that has problems is told of all that can be told at once, the ones after it of none: what they would be
/// applied to is not there.
pub(crate) fn apply(
    existing: &Arc<Hierarchy>,
    reorganisations: &[Reorganisation],
) -> Result<Applied, Vec<ChangeProblem>> {
    let mut working = Working::of(existing);
    let mut effects = Vec::with_capacity(reorganisations.len());
    for (at, reorganisation) in reorganisations.iter().enumerate() {
        let done = read(&working, reorganisation).and_then(|plan| plan.carry_out(&mut working));
        effects.push(done.map_err(|problems| problems.in_order(at))?);
    }
    let moved = reorganisations.len() as u64;
    let (units, mut edges) = working.into_parts();
    edges.sort_unstable();
    let all = existing.edges().iter().chain(&edges).cloned().collect();
    let hierarchy =
        Hierarchy::build_with_edges(existing.version() + moved, units, all).map_err(|found| {
            found.iter().map(|found| not_a_tree(reorganisations, found)).collect::<Vec<_>>()
        })?;
    let changed = hierarchy.histories().filter(|after| existing.get(after.id) != Some(*after));
    let changed = changed.map(|history| history.id).collect();
    Ok(Applied { hierarchy: Arc::new(hierarchy), changed, edges, effects })
}

/// Every problem is found, and told by its change, before this. Nothing may be applied that is no tree, even so.
fn not_a_tree(reorganisations: &[Reorganisation], found: &Problem) -> ChangeProblem {
    ChangeProblem {
        reorganisation: reorganisations.len().saturating_sub(1),
        field: "changes".to_owned(),
        reason: match found {
            Problem::CodeHeldTwice { .. } => ChangeReason::CodeTaken,
            Problem::ParentUnknown { .. } | Problem::ParentNotValid { .. } => {
                ChangeReason::ParentNotValid
            }
            Problem::Cycle { .. } => ChangeReason::Cycle,
            _ => ChangeReason::Invalid,
        },
        message: found.to_string(),
    }
}

/// A field of a change. Small, for most are never told.
#[derive(Clone, Copy, Debug)]
struct Place {
    change: usize,
    field: &'static str,
    /// Which one, where the field is a list.
    at: Option<usize>,
    /// The field in the field, and the field in that.
    part: &'static str,
    of_part: &'static str,
}

impl Place {
    fn new(change: usize, field: &'static str) -> Self {
        Self { change, field, at: None, part: "", of_part: "" }
    }

    fn at(self, at: usize, part: &'static str) -> Self {
        Self { at: Some(at), part, ..self }
    }

    fn of(self, of_part: &'static str) -> Self {
        Self { of_part, ..self }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "changes[{}].{}", self.change, self.field)?;
        if let Some(at) = self.at {
            write!(f, "[{at}]")?;
        }
        write!(f, "{}{}", self.part, self.of_part)
    }
}

/// What is wrong with one reorganisation.
#[derive(Debug, Default)]
struct Problems(Vec<(Place, ChangeReason, String)>);

impl Problems {
    fn add(&mut self, place: Place, reason: ChangeReason, message: impl Into<String>) {
        self.0.push((place, reason, message.into()));
    }

    fn none(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    fn in_order(mut self, reorganisation: usize) -> Vec<ChangeProblem> {
        self.0.sort_by_key(|(place, ..)| place.change);
        let told = self.0.into_iter().map(|(place, reason, message)| ChangeProblem {
            reorganisation,
            field: place.to_string(),
            reason,
            message,
        });
        told.collect()
    }
}

#[cfg(test)]
mod replay;
#[cfg(test)]
mod tests;
