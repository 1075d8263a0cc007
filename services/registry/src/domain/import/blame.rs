//! Which rows a problem of the tree comes from.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::NaiveDate;
use dunghan_hierarchy::{Edge, Hierarchy, Problem, UnitId, Validity};

use super::unit::{Attributes, Touched};
use super::{Code, Problems, Reason, Row, RowProblem, Stated};

/// Finds the rows that a problem of the tree comes from. There always are some: without them there was none.
pub(super) struct Blame<'a, 'b> {
    pub(super) existing: &'a Hierarchy,
    pub(super) touched: &'b BTreeMap<UnitId, Touched<'a>>,
    pub(super) stated: Stated<'a>,
    pub(super) spoilt: &'a HashSet<Code>,
    pub(super) problems: &'b mut Problems,
}

impl<'a> Blame<'a, '_> {
    pub(super) fn all(&mut self, found: &[Problem]) {
        let (mut versions, mut codes) = (HashSet::new(), HashSet::new());
        for problem in found {
            match problem {
                // One look at a unit finds all of its rows that overlap.
                Problem::OverlappingVersions { unit, .. } => {
                    if versions.insert(*unit) {
                        self.versions_overlap(*unit);
                    }
                }
                Problem::OverlappingIdentifiers { unit, scheme, .. } => {
                    if codes.insert((*unit, scheme)) {
                        self.codes_overlap(*unit, scheme);
                    }
                }
                Problem::CodeHeldTwice { scheme, value, first, second, overlap } => {
                    self.code_taken(scheme, value, *first, *second, *overlap);
                    self.code_taken(scheme, value, *second, *first, *overlap);
                }
                Problem::ParentUnknown { unit, parent, validity }
                | Problem::ParentNotValid { unit, parent, validity } => {
                    self.parent_not_valid(*unit, *parent, *validity, &problem.to_string());
                }
                Problem::Cycle { units, from } => self.cycle(units, *from),
                Problem::PredecessorNotValid { edge } => {
                    self.lineage_broken(edge, edge.predecessor, &problem.to_string());
                }
                Problem::SuccessorNotValid { edge } => {
                    self.lineage_broken(edge, edge.successor, &problem.to_string());
                }
                Problem::DuplicateUnit { .. }
                | Problem::BlankName { .. }
                | Problem::EmptyValidity { .. }
                | Problem::EdgeToItself { .. }
                | Problem::EdgeUnitUnknown { .. } => {
                    let (units, message) = (problem.units(), problem.to_string());
                    self.blame(&units, Validity::OPEN, "code", Reason::RowInvalid, &message);
                }
            }
        }
        if self.problems.is_empty() {
            // Nothing may be applied that is no tree, even if no row can be named.
            for problem in found {
                let (reason, message) = (Reason::RowInvalid, problem.to_string());
                self.problems.add(RowProblem { position: 0, row: 0, field: "", reason, message });
            }
        }
    }

    /// The rows about a unit and the intervals that they have among the others.
    fn rows(&self, unit: UnitId) -> impl Iterator<Item = (&'a Row, Validity)> + use<'a, '_> {
        let rows = self.touched.get(&unit).map_or(&[][..], |unit| &unit.rows);
        rows.iter().copied()
    }

    /// Blames all rows about these units that hold at some time during `over`; false where there are none.
    fn blame(
        &mut self,
        units: &[UnitId],
        over: Validity,
        field: &'static str,
        reason: Reason,
        message: &str,
    ) -> bool {
        let rows = units.iter().flat_map(|unit| self.rows(*unit));
        let rows: Vec<&Row> =
            rows.filter(|(_, held)| held.overlaps(over)).map(|(row, _)| row).collect();
        for row in &rows {
            self.problems.of(row, field, reason, message.to_owned());
        }
        !rows.is_empty()
    }

    fn versions_overlap(&mut self, unit: UnitId) {
        let stated = self.stated.get(&unit).into_iter().flatten();
        let said = stated
            .map(|(row, version)| (*row, Attributes::of(version), version.validity))
            .collect();
        for (row, other) in overlapping(said) {
            let message = format!("overlaps another version of the same unit, valid {other}");
            self.problems.of(row, "valid_from_date", Reason::ValidityOverlaps, message);
        }
    }

    fn codes_overlap(&mut self, unit: UnitId, scheme: &str) {
        if let Some(touched) = self.touched.get(&unit) {
            codes_overlap(touched, scheme, self.problems);
        }
    }

    fn code_taken(
        &mut self,
        scheme: &str,
        value: &str,
        unit: UnitId,
        other: UnitId,
        overlap: Validity,
    ) {
        let Some(touched) = self.touched.get(&unit) else { return };
        let other = self.called(other);
        for held in &touched.held {
            let Some(row) = held.row else { continue };
            if (held.scheme, held.value) == (scheme, Some(value)) && held.validity.overlaps(overlap)
            {
                let message = format!(
                    "{value} of {scheme} is the code of another unit too, {other}, {overlap}; if the row is a later \
                     version of that unit, origin_code and origin_date have to say so"
                );
                self.problems.of(row, "code", Reason::CodeTaken, message);
            }
        }
    }

    fn parent_not_valid(
        &mut self,
        unit: UnitId,
        parent: UnitId,
        validity: Validity,
        problem: &str,
    ) {
        let reason = Reason::ParentNotValid;
        let rows: Vec<_> = self.rows(unit).filter(|(_, held)| held.covers(validity)).collect();
        for (row, held) in &rows {
            // A row of the parent that does not read leaves a gap for which this row is not to blame.
            if row.parent.as_ref().is_some_and(|code| self.spoilt.contains(code)) {
                continue;
            }
            let parent = self.called(parent);
            let message = format!("the parent, {parent}, is not there over all of the row, {held}");
            self.problems.of(row, "parent_code", reason, message);
        }
        if rows.is_empty() {
            // Then the child was there before, and a row takes its parent away.
            self.blame(&[parent], Validity::OPEN, "valid_through_date", reason, problem);
        }
    }

    fn cycle(&mut self, units: &[UnitId], from: Option<NaiveDate>) {
        // The whole country can be one cycle, and each of its rows is told.
        let some: Vec<_> = units.iter().take(3).map(|unit| self.called(*unit)).collect();
        let more = if units.len() > some.len() { " and more" } else { "" };
        let message = format!("is under itself, by way of {}{more}", some.join(", "));
        let day = Validity { from, until: from.unwrap_or(NaiveDate::MIN).succ_opt() };
        let (field, reason) = ("parent_code", Reason::Cycle);
        if !self.blame(units, day, field, reason, &message) {
            // The row that closed it began before the cycle did.
            self.blame(units, Validity::OPEN, field, reason, &message);
        }
    }

    fn lineage_broken(&mut self, edge: &Edge, unit: UnitId, problem: &str) {
        let message = format!("{problem}, as reorganisations/{} says", edge.reorganisation);
        let (field, reason) = ("valid_through_date", Reason::LineageBroken);
        self.blame(&[unit], Validity::OPEN, field, reason, &message);
    }

    fn called(&self, unit: UnitId) -> String {
        let stated = self.stated.get(&unit).and_then(|versions| versions.last());
        let known = || self.existing.get(unit).and_then(|history| history.versions.last());
        match stated.map(|(_, version)| version).or_else(known) {
            Some(version) => format!("{} ({unit})", version.display_name),
            None => unit.to_string(),
        }
    }
}

/// The rows that say that a unit holds no code where others say that it does.
pub(super) fn codes_denied(touched: &BTreeMap<UnitId, Touched<'_>>, problems: &mut Problems) {
    for unit in touched.values() {
        let denied = unit.held.iter().filter(|held| held.value.is_none());
        let schemes: BTreeSet<&str> = denied.map(|held| held.scheme).collect();
        schemes.into_iter().for_each(|scheme| codes_overlap(unit, scheme, problems));
    }
}

fn codes_overlap(unit: &Touched<'_>, scheme: &str, problems: &mut Problems) {
    let held = unit.held.iter().filter(|held| held.scheme == scheme);
    let said = held.map(|held| (held.row, held.value, held.validity)).collect();
    for (row, other) in overlapping(said) {
        let message = format!("the unit has another code of {scheme}, or none, valid {other}");
        problems.of(row, "code", Reason::ValidityOverlaps, message);
    }
}

/// The rows that say something else than another, or than what is known, of the same days; each with when that holds.
fn overlapping<T: PartialEq>(mut said: Vec<(Option<&Row>, T, Validity)>) -> Vec<(&Row, Validity)> {
    said.sort_by_key(|(_, _, validity)| validity.from);
    let mut blamed = Vec::new();
    // Whatever overlaps anything overlaps the one before it that lasts longest, or is that one.
    let mut longest: Option<(Option<&Row>, T, Validity)> = None;
    for (row, what, validity) in said {
        let Some((before, held_what, held)) = &mut longest else {
            longest = Some((row, what, validity));
            continue;
        };
        if *held_what == what && held.overlaps(validity) {
            // Saying what is said already is no fault; a row that does so is told of what contradicts it.
            *before = row.or(*before);
        } else if held.overlaps(validity) {
            blamed.extend(before.map(|row| (row, validity)));
            blamed.extend(row.map(|row| (row, *held)));
        }
        let lasts = |until| validity.until.is_none_or(|later| later > until);
        if held.until.is_some_and(lasts) {
            longest = Some((row, what, validity));
        }
    }
    blamed
}
