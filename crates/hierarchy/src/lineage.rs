//! What became of units: edges from what was before to what came after.

use std::collections::{HashSet, VecDeque};
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

/// What passed from one unit to another, new one.
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
enum Way {
    Forward,
    Back,
}

impl Hierarchy {
    /// All edges, in the order of their dates.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The edges from a unit to what came directly after it, in the order of their dates.
    pub fn successors(&self, unit: UnitId) -> impl Iterator<Item = &Edge> {
        self.edges_from(unit, Way::Forward)
    }

    /// The edges to a unit from what was directly before it, in the order of their dates.
    pub fn predecessors(&self, unit: UnitId) -> impl Iterator<Item = &Edge> {
        self.edges_from(unit, Way::Back)
    }

    /// Every edge on the way from a unit to all that came after it, over any number of reorganisations, the nearest first.
    pub fn lineage_forward(&self, unit: UnitId) -> Vec<Step<'_>> {
        self.follow(unit, Way::Forward)
    }

    /// Every edge on the way from a unit to all that was before it, the nearest first.
    pub fn lineage_back(&self, unit: UnitId) -> Vec<Step<'_>> {
        self.follow(unit, Way::Back)
    }

    fn edges_from(&self, unit: UnitId, way: Way) -> impl Iterator<Item = &Edge> {
        let lists = match way {
            Way::Forward => &self.forward,
            Way::Back => &self.back,
        };
        let list = self.index.get(&unit).and_then(|at| lists.get(at));
        list.into_iter().flatten().map(|at| &self.edges[*at as usize])
    }

    fn follow(&self, unit: UnitId, way: Way) -> Vec<Step<'_>> {
        let (mut steps, mut seen) = (Vec::new(), HashSet::from([unit]));
        let mut next = VecDeque::from([(unit, 0)]);
        while let Some((here, distance)) = next.pop_front() {
            for edge in self.edges_from(here, way) {
                let distance = distance + 1;
                steps.push(Step { distance, edge });
                let there = match way {
                    Way::Forward => edge.successor,
                    Way::Back => edge.predecessor,
                };
                if seen.insert(there) {
                    next.push_back((there, distance));
                }
            }
        }
        steps
    }
}
