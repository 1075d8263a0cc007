//! What became of units: edges from what was before to what came after.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::unit::words;
use crate::{Hierarchy, UnitId};

/// How much of a unit passed to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// The whole of it.
    Merged,
    /// The main part of one that was split.
    SplitMain,
    /// A part of it.
    SplitPart,
}

words!(EdgeKind { Merged = "merged", SplitMain = "split_main", SplitPart = "split_part" });

/// What passed from one unit to another.
///
/// The successor may be new or may have been there before, and the predecessor may go on: a part was split off it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The first day on which it had.
    pub effective: NaiveDate,
    /// What was there the day before.
    pub predecessor: UnitId,
    /// What is there on that day.
    pub successor: UnitId,
    /// How much passed.
    pub kind: EdgeKind,
    /// The id of the reorganisation that did it; one text for all of its edges.
    pub reorganisation: Arc<str>,
}

/// An edge on the way from a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// How many edges away from the unit its further end is: 1 or more.
    pub distance: usize,
    /// The edge.
    pub edge: &'a Edge,
}

/// Which way to follow edges.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Forward,
    Back,
}

impl Way {
    /// The unit that an edge leads to.
    fn to(self, edge: &Edge) -> UnitId {
        match self {
            Self::Forward => edge.successor,
            Self::Back => edge.predecessor,
        }
    }

    /// Whether the way goes on by `next` after `edge`. What a unit gives away is of what it received before, not of what it
    /// received later or on the same day.
    fn goes_on(self, edge: &Edge, next: &Edge) -> bool {
        match self {
            Self::Forward => next.effective > edge.effective,
            Self::Back => next.effective < edge.effective,
        }
    }
}

impl Hierarchy {
    /// All edges, in the order of their dates.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The edges from a unit to what came directly after it, in the order of their dates.
    pub fn successors(&self, unit: UnitId) -> impl Iterator<Item = &Edge> {
        self.edges_at(unit, Way::Forward).iter().map(|at| &self.edges[*at as usize])
    }

    /// The edges to a unit from what was directly before it, in the order of their dates.
    pub fn predecessors(&self, unit: UnitId) -> impl Iterator<Item = &Edge> {
        self.edges_at(unit, Way::Back).iter().map(|at| &self.edges[*at as usize])
    }

    /// Every edge on the way from a unit to all that came after it, over any number of reorganisations, the nearest first.
    /// Each is there once, at its least distance.
    ///
    /// The way goes on in time: if a unit gave a part away and took another unit in later, or on the same day, then what the
    /// part went to did not come after that other unit.
    pub fn lineage_forward(&self, unit: UnitId) -> Vec<Step<'_>> {
        self.follow(unit, Way::Forward).collect()
    }

    /// Every edge on the way from a unit to all that was before it, the nearest first: the same ways as those of
    /// [`Self::lineage_forward`], from their other ends.
    pub fn lineage_back(&self, unit: UnitId) -> Vec<Step<'_>> {
        self.follow(unit, Way::Back).collect()
    }

    /// Who stands on a day in the place of a unit that has ended: the one that the whole of it, or its main part, went to, over
    /// any number of reorganisations. `None` while it exists on that day or before it did, and where nothing came after it,
    /// only parts of it went on, or it cannot be told which of several is meant.
    ///
    /// Each step follows what went on when that stretch of the unit's existence ended: what a unit did that came back later
    /// does not concern those that had gone into it before.
    pub fn succeeded_by(&self, unit: UnitId, day: NaiveDate) -> Option<UnitId> {
        let mut life = self.get(unit)?.lives().into_iter().rfind(|life| life.start() <= day)?;
        let mut last = unit;
        while !life.contains(day) {
            let end = life.until?;
            let mut went_to = self
                .successors(last)
                .filter(|edge| edge.effective == end && edge.kind != EdgeKind::SplitPart)
                .map(|edge| edge.successor);
            let successor = went_to.next()?;
            if went_to.any(|another| another != successor) {
                return None;
            }
            life = self.get(successor)?.lives().into_iter().find(|life| life.contains(end))?;
            last = successor;
        }
        (last != unit).then_some(last)
    }

    /// Positions of the edges at a unit, in the order of their dates.
    fn edges_at(&self, unit: UnitId, way: Way) -> &[u32] {
        let lists = match way {
            Way::Forward => &self.forward,
            Way::Back => &self.back,
        };
        self.index.get(&unit).map_or(&[], |at| lists.of(*at))
    }

    /// Goes from edge to edge and not from unit to unit, as the way on depends on when a unit was reached.
    pub(crate) fn follow(&self, unit: UnitId, way: Way) -> impl Iterator<Item = Step<'_>> {
        let first = self.edges_at(unit, way);
        let (mut nearest, mut further) = (first.iter(), VecDeque::new());
        let mut seen = BTreeSet::new();
        std::iter::from_fn(move || {
            let (distance, at) = match nearest.next() {
                Some(at) => (1, *at),
                None => further.pop_front()?,
            };
            let edge = &self.edges[at as usize];
            for next in self.edges_at(way.to(edge), way) {
                let goes_on = way.goes_on(edge, &self.edges[*next as usize]);
                if goes_on && !first.contains(next) && seen.insert(*next) {
                    further.push_back((distance + 1, *next));
                }
            }
            Some(Step { distance, edge })
        })
    }
}
