//! What became of units, as the contract writes it.

use std::collections::BTreeMap;

use chrono::{Datelike as _, NaiveDate};
use dunghan_events::pb_edge_kind;
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::registry as pb;
use dunghan_rpc::field::pb_date;

use crate::convert::{self, reorganisation::named};
use crate::domain::lineage::{How, Step, changes};
use crate::store::Recorded;

/// What lineages are written from.
pub(crate) struct Shown<'a> {
    pub(crate) hierarchy: &'a Hierarchy,
    /// Those that hold, by their ids.
    pub(crate) reorganisations: &'a BTreeMap<String, Recorded>,
}

impl Shown<'_> {
    fn unit(&self, unit: UnitId, day: Option<NaiveDate>) -> Option<pb::Unit> {
        let view = self.hierarchy.unit(unit, day?)?;
        Some(convert::unit(self.hierarchy, view))
    }

    /// The names of the units above this one, the nearest first.
    fn path(&self, unit: UnitId, day: Option<NaiveDate>) -> Vec<String> {
        let Some(day) = day else { return Vec::new() };
        let above = self.hierarchy.ancestors(unit, day).into_iter();
        let views = above.filter_map(|unit| self.hierarchy.unit(unit, day));
        views.map(|view| view.version.display_name.clone()).collect()
    }

    /// Steps forward, the nearest first, and of those at one distance the earliest, in the order of the successors' codes.
    pub(crate) fn successors(&self, steps: &[Step]) -> Vec<pb::LineageStep> {
        let path = |step: &Step| self.path(step.successor, Some(step.effective));
        let earliest = |step: &Step| step.effective.num_days_from_ce();
        self.sorted(steps, earliest, path, |step| step.successor.as_ref())
    }

    /// Steps back, in the same order, but the latest first.
    pub(crate) fn predecessors(&self, steps: &[Step]) -> Vec<pb::LineageStep> {
        let path = |step: &Step| self.path(step.predecessor, step.effective.pred_opt());
        let latest = |step: &Step| -step.effective.num_days_from_ce();
        self.sorted(steps, latest, path, |step| step.predecessor.as_ref())
    }

    fn sorted(
        &self,
        steps: &[Step],
        order: impl Fn(&Step) -> i32,
        path: impl Fn(&Step) -> Vec<String>,
        further: impl Fn(&pb::LineageStep) -> Option<&pb::Unit>,
    ) -> Vec<pb::LineageStep> {
        let mut keyed: Vec<_> = steps
            .iter()
            .map(|step| {
                let shown = self.step(step, path(step));
                let unit = further(&shown);
                let code = unit.map(|unit| unit.statistics_code.clone()).unwrap_or_default();
                let name = unit.map(|unit| unit.name.clone()).unwrap_or_default();
                ((step.distance, order(step), code.is_empty(), code, name), shown)
            })
            .collect();
        keyed.sort_by(|(one, _), (two, _)| one.cmp(two));
        keyed.into_iter().map(|(_, shown)| shown).collect()
    }

    fn step(&self, step: &Step, path: Vec<String>) -> pb::LineageStep {
        let id = step.reorganisation.as_deref().unwrap_or_default();
        let recorded = self.reorganisations.get(id);
        let kind = match step.how {
            How::Edge(kind) => pb_edge_kind(kind),
            How::ThroughChildren => pb::EdgeKind::ThroughChildren,
        };
        pb::LineageStep {
            distance: convert::count(step.distance),
            predecessor: self.unit(step.predecessor, step.effective.pred_opt()),
            successor: self.unit(step.successor, Some(step.effective)),
            path,
            kind: kind.into(),
            effective_date: Some(pb_date(step.effective)),
            reorganisation: named(id),
            legal_basis: recorded.map(|one| one.stated.legal_basis.clone()).unwrap_or_default(),
        }
    }

    /// What changed of units while they stayed the same ones, in the order of time: of each after the day on which it was
    /// reached.
    pub(crate) fn changes(
        &self,
        reached: &BTreeMap<UnitId, Option<NaiveDate>>,
    ) -> Vec<pb::UnitChange> {
        let mut all: Vec<(NaiveDate, pb::UnitChange)> = Vec::new();
        for (unit, since) in reached {
            let days = self.hierarchy.get(*unit).map(changes).unwrap_or_default();
            let days = days.into_iter().filter(|day| since.is_none_or(|since| *day > since));
            all.extend(days.map(|day| {
                let change = pb::UnitChange {
                    unit: unit.to_string(),
                    effective_date: Some(pb_date(day)),
                    before: self.unit(*unit, day.pred_opt()),
                    after: self.unit(*unit, Some(day)),
                };
                (day, change)
            }));
        }
        all.sort_by(|(one, first), (two, second)| (one, &first.unit).cmp(&(two, &second.unit)));
        all.into_iter().map(|(_, change)| change).collect()
    }

    /// What sources state of these units without being confirmed.
    pub(crate) fn unconfirmed(&self, of: impl Fn(UnitId) -> bool) -> Vec<pb::UnconfirmedEdge> {
        let all = self.reorganisations.values().flat_map(|one| &one.stated.unconfirmed);
        let is_of = |edge: &&pb::UnconfirmedEdge| edge.predecessor.parse().is_ok_and(&of);
        all.filter(is_of).cloned().collect()
    }
}
