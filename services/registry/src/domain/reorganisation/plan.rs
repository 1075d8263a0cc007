//! What one reorganisation does, once it is read, and what that leads to.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use dunghan_hierarchy::{Edge, Identifier, NSO, UnitHistory, UnitId, Validity, Version};

use super::working::{What, Working};
use super::{ChangeReason, Effect, NewUnit, Place, Problems};
use crate::domain::import::{Code, statistics_code};

/// A reorganisation that contradicts neither itself nor the units as they are.
pub(super) struct Plan<'r> {
    pub(super) day: NaiveDate,
    /// The units that end and are there on the day, each with the field that says so.
    pub(super) ends: BTreeMap<UnitId, Place>,
    /// Only those that are not there already.
    pub(super) created: Vec<Created<'r>>,
    pub(super) statements: Vec<Statement<'r>>,
    pub(super) edges: Vec<Edge>,
}

pub(super) struct Created<'r> {
    pub(super) unit: UnitId,
    pub(super) new: &'r NewUnit,
    pub(super) parent: Option<UnitId>,
    pub(super) place: Place,
}

/// What is said of a unit that goes on.
pub(super) struct Statement<'r> {
    pub(super) unit: UnitId,
    pub(super) what: What<'r>,
    pub(super) place: Place,
    /// By nothing but its parent's end.
    pub(super) passes_along: bool,
}

impl Plan<'_> {
    /// Does it; what that leads to, on that day or later, can still be refused.
    pub(super) fn carry_out(
        self,
        working: &mut Working<'_>,
    ) -> Result<Vec<(UnitId, Effect)>, Problems> {
        let day = self.day;
        let mut problems = Problems::default();
        let mut effects = BTreeMap::new();
        for unit in self.ends.keys() {
            working.end(*unit, day);
            effects.insert(*unit, Effect::Ended);
        }
        for created in &self.created {
            working.insert(created.history(day));
            effects.insert(created.unit, Effect::Created);
        }
        self.edges.into_iter().for_each(|edge| working.connect(edge));

        let begin = self.created.iter().map(Created::under_parent);
        let statements: Vec<_> = begin.chain(self.statements).collect();
        let mut moved = Vec::new();
        let mut refused = BTreeSet::new();
        for said in &statements {
            match working.state(said.unit, day, said.what) {
                Ok(until) if matches!(said.what, What::Parent(_)) => moved.push((said, until)),
                Ok(_) => {}
                Err((reason, message)) => {
                    problems.add(said.place, reason, message);
                    refused.insert(said.unit);
                }
            }
            let effect = if said.passes_along { Effect::PassedAlong } else { Effect::Changed };
            let known = effects.entry(said.unit).or_insert(effect);
            if *known == Effect::PassedAlong {
                *known = effect;
            }
        }

        for (unit, place) in &self.ends {
            // Of those that cannot move to where they should, that is told.
            let mut still = working.still_under(*unit, day);
            still.retain(|(_, child)| !refused.contains(child));
            children_left(working, *unit, &still, *place, &mut problems);
        }
        for created in &self.created {
            let place = created.place.of(".new_unit.identifier");
            code_taken(working, created.unit, &created.new.code, place, &mut problems);
        }
        for said in &statements {
            if let What::Code(scheme, Some(value)) = said.what {
                let code = Code { scheme: scheme.to_owned(), value: value.to_owned() };
                code_taken(working, said.unit, &code, said.place, &mut problems);
            }
            if matches!(said.what, What::Level(_) | What::Code(NSO, Some(_))) {
                code_of_level(working, said.unit, day, said.place, &mut problems);
            }
        }
        for (said, until) in moved {
            if let Some((from, units)) = working.cycle(said.unit, day, until) {
                // The whole country can be one cycle.
                let some: Vec<_> =
                    units.iter().take(3).map(|unit| working.called(*unit, from)).collect();
                let more = if units.len() > some.len() { " and more" } else { "" };
                let message = format!("under one another from {from}: {}{more}", some.join(", "));
                problems.add(said.place, ChangeReason::Cycle, message);
            }
        }
        problems.none()?;
        Ok(effects.into_iter().collect())
    }
}

fn children_left(
    working: &Working<'_>,
    unit: UnitId,
    still: &[(NaiveDate, UnitId)],
    place: Place,
    problems: &mut Problems,
) {
    let Some((since, child)) = still.first() else { return };
    let (child, unit) = (working.called(*child, *since), working.called(unit, *since));
    let more = match still.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let message = format!("{child} is under {unit} from {since} on{more}");
    problems.add(place, ChangeReason::ChildrenLeft, message);
}

fn code_taken(
    working: &Working<'_>,
    unit: UnitId,
    code: &Code,
    place: Place,
    problems: &mut Problems,
) {
    if let Some((other, both)) = working.held_twice(unit, code) {
        let other = working.called(other, both.from.unwrap_or(NaiveDate::MIN));
        let message = format!("{code} is the code of {other} too, {both}");
        problems.add(place, ChangeReason::CodeTaken, message);
    }
}

/// The statistics office's codes say by their length which level they are of.
fn code_of_level(
    working: &Working<'_>,
    unit: UnitId,
    day: NaiveDate,
    place: Place,
    problems: &mut Problems,
) {
    let Some(history) = working.get(unit) else { return };
    let since = Validity::since(day);
    for version in &history.versions {
        let both = version.validity.intersection(since);
        let held = history.identifiers.iter().filter(|held| held.scheme == NSO);
        for held in held.filter(|held| held.validity.overlaps(both)) {
            if let Err(why) = statistics_code(version.level, &held.value) {
                let unit = working.called(unit, both.from.unwrap_or(day));
                let message = format!("the code of {unit} {why}");
                return problems.add(place, ChangeReason::Invalid, message);
            }
        }
    }
}

impl<'r> Created<'r> {
    /// At the top for now.
    fn history(&self, day: NaiveDate) -> UnitHistory {
        let NewUnit { code, display_name, kind, level, .. } = self.new;
        let validity = Validity::since(day);
        UnitHistory {
            id: self.unit,
            versions: vec![Version {
                validity,
                display_name: display_name.clone(),
                kind: *kind,
                level: *level,
                parent: None,
            }],
            identifiers: vec![Identifier {
                scheme: code.scheme.clone(),
                value: code.value.clone(),
                validity,
            }],
        }
    }

    fn under_parent(&self) -> Statement<'r> {
        Statement {
            unit: self.unit,
            what: What::Parent(self.parent),
            place: self.place.of(".new_unit.parent"),
            passes_along: false,
        }
    }
}
