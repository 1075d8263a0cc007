//! How rows become histories.
//!
//! A row says what held for one unit over one interval. Rows are merged into what is known already, the whole is tried
//! as a tree, and whatever keeps it from being one is told row by row. The outcome depends on the set of rows alone, not
//! on their order, and a row that is there already changes nothing.
//!
//! An end that a row leaves open means that the row knows of none. It gives way to an end stated for the same first day,
//! and to the first day of the unit's next version: a province that becomes a city comes in as one row. An end that is
//! stated never moves.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;
use dunghan_hierarchy::{
    Hierarchy, Identifier, Kind, Level, LookupError, Problem, UnitHistory, UnitId, Validity,
    Version,
};

/// A code under its scheme.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Code {
    pub(crate) scheme: String,
    pub(crate) value: String,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.value, self.scheme)
    }
}

/// What holds for one unit over one interval.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Where it stands in its file.
    pub(crate) number: i32,
    pub(crate) unit: UnitId,
    pub(crate) code: Code,
    /// The code under which the unit was first listed, where this row is a later version of it.
    pub(crate) origin: Option<Code>,
    pub(crate) display_name: String,
    pub(crate) kind: Kind,
    pub(crate) level: Level,
    pub(crate) parent: Option<Code>,
    pub(crate) validity: Validity,
}

/// Why a row is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    RowInvalid,
    ParentNotValid,
    ValidityOverlaps,
    CodeTaken,
    Cycle,
}

/// One thing that is wrong with one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowProblem {
    pub(crate) row: i32,
    pub(crate) field: &'static str,
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

/// What came in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Staged {
    pub(crate) rows: Vec<Row>,
    /// Of rows that do not read.
    pub(crate) problems: Vec<RowProblem>,
    /// The codes of those rows: whoever refers to one is not to blame that it is missing.
    pub(crate) spoilt: HashSet<Code>,
}

/// What follows from the rows.
#[derive(Clone, Debug)]
pub(crate) struct Merged {
    /// The same as before where nothing changed, else one version further.
    pub(crate) hierarchy: Arc<Hierarchy>,
    /// The units whose histories are not what they were.
    pub(crate) changed: Vec<UnitId>,
    /// How many of those are new.
    pub(crate) created: usize,
    /// How many units came that are what they were.
    pub(crate) unchanged: usize,
}

/// Merges rows into what is known, or says everything that is wrong with them, in their order.
pub(crate) fn merge(existing: &Arc<Hierarchy>, staged: &Staged) -> Result<Merged, Vec<RowProblem>> {
    let mut problems = Problems::default();
    staged.problems.iter().cloned().for_each(|problem| problems.add(problem));
    unknown_origins(existing, staged, &mut problems);

    let touched = touched(existing, &staged.rows);
    let holders = Holders::of(existing, &touched);
    let mut stated: Stated<'_> = BTreeMap::new();
    for (id, unit) in &touched {
        let versions = stated.entry(*id).or_default();
        versions.extend(unit.kept.iter().map(|version| (None, version.clone())));
        for (row, validity) in &unit.rows {
            let mut version = Version {
                validity: *validity,
                display_name: row.display_name.clone(),
                kind: row.kind,
                level: row.level,
                parent: None,
            };
            if let Some(code) = &row.parent {
                version.parent = holders.holder(code, *validity);
                if version.parent.is_none() {
                    // As it was, lest the row seems to contradict what it only repeats.
                    let before = unit
                        .kept
                        .iter()
                        .find(|kept| version == Version { parent: None, ..(*kept).clone() });
                    version.parent = before.and_then(|before| before.parent);
                    if !staged.spoilt.contains(code) {
                        problems.add(nobody_holds_parent(row, code, *validity));
                    }
                }
            }
            versions.push((Some(*row), version));
        }
    }
    let histories: BTreeMap<UnitId, UnitHistory> = touched
        .iter()
        .map(|(id, unit)| {
            let versions = stated.get(id).into_iter().flatten().map(|(_, version)| version);
            let identifiers = unit.identifiers.clone();
            (*id, UnitHistory { id: *id, versions: without_repeats(versions), identifiers })
        })
        .collect();

    let (mut changed, mut created) = (Vec::new(), 0);
    for (id, history) in &histories {
        match existing.get(*id) {
            Some(before) if before == history => continue,
            Some(_) => {}
            None => created += 1,
        }
        changed.push(*id);
    }
    let unchanged = histories.len() - changed.len();
    if changed.is_empty() && problems.is_empty() {
        return Ok(Merged { hierarchy: existing.clone(), changed, created, unchanged });
    }

    let others = existing.histories().filter(|history| !touched.contains_key(&history.id)).cloned();
    let all = others.chain(histories.into_values()).collect();
    // Tried even where rows are bad already: whoever sends them should mend them once.
    match Hierarchy::build(existing.version() + 1, all) {
        Ok(hierarchy) if problems.is_empty() => {
            Ok(Merged { hierarchy: Arc::new(hierarchy), changed, created, unchanged })
        }
        Ok(_) => Err(problems.in_order()),
        Err(found) => {
            Blame { existing, stated, spoilt: &staged.spoilt, problems: &mut problems }.all(&found);
            Err(problems.in_order())
        }
    }
}

/// At most one of a kind for each field of a row.
#[derive(Default)]
struct Problems(BTreeMap<(i32, &'static str, Reason), RowProblem>);

impl Problems {
    fn add(&mut self, problem: RowProblem) {
        self.0.entry((problem.row, problem.field, problem.reason)).or_insert(problem);
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn in_order(self) -> Vec<RowProblem> {
        self.0.into_values().collect()
    }
}

fn unknown_origins(existing: &Hierarchy, staged: &Staged, problems: &mut Problems) {
    let first: HashSet<UnitId> =
        staged.rows.iter().filter(|row| row.origin.is_none()).map(|row| row.unit).collect();
    for row in &staged.rows {
        let Some(origin) = &row.origin else { continue };
        let known = first.contains(&row.unit) || existing.get(row.unit).is_some();
        if !known && !staged.spoilt.contains(origin) {
            problems.add(RowProblem {
                row: row.number,
                field: "origin_code",
                reason: Reason::RowInvalid,
                message: format!("no unit was first listed under {origin} on origin_date"),
            });
        }
    }
}

fn nobody_holds_parent(row: &Row, code: &Code, validity: Validity) -> RowProblem {
    let message = match validity.from.or_else(|| validity.last_day()) {
        Some(day) => format!("no unit has the code {code} on {day}"),
        None => format!("no unit has the code {code}"),
    };
    RowProblem { row: row.number, field: "parent_code", reason: Reason::ParentNotValid, message }
}

/// What is said of each unit, by which row; what was known before is said by none.
type Stated<'a> = BTreeMap<UnitId, Vec<(Option<&'a Row>, Version)>>;

/// A unit that rows speak of.
struct Touched<'a> {
    /// What was known of it, closed where a row goes on.
    kept: Vec<Version>,
    /// The rows and the intervals that they have among the others.
    rows: Vec<(&'a Row, Validity)>,
    /// The codes over all of that.
    identifiers: Vec<Identifier>,
}

fn touched<'a>(existing: &Hierarchy, rows: &'a [Row]) -> BTreeMap<UnitId, Touched<'a>> {
    let mut of_unit: BTreeMap<UnitId, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        of_unit.entry(row.unit).or_default().push(row);
    }
    of_unit
        .into_iter()
        .map(|(id, rows)| {
            let before = existing.get(id);
            let versions = before.map_or(&[][..], |history| &history.versions);
            let known = versions.iter().map(|version| version.validity);
            let ends = Ends::of(known.chain(rows.iter().map(|row| row.validity)));
            let kept: Vec<Version> = versions
                .iter()
                .map(|version| Version {
                    validity: ends.settle(version.validity),
                    ..version.clone()
                })
                .collect();
            let rows: Vec<_> =
                rows.into_iter().map(|row| (row, ends.settle(row.validity))).collect();
            let held = before.map_or(&[][..], |history| &history.identifiers);
            // Cut along the versions, so that a code ends with the version that a row closes.
            let mut identifiers: Vec<Identifier> = held
                .iter()
                .flat_map(|held| kept.iter().map(move |version| (held, version.validity)))
                .map(|(held, validity)| (held, held.validity.intersection(validity)))
                .filter(|(_, validity)| !validity.is_empty())
                .map(|(held, validity)| Identifier { validity, ..held.clone() })
                .collect();
            identifiers.extend(rows.iter().map(|(row, validity)| Identifier {
                scheme: row.code.scheme.clone(),
                value: row.code.value.clone(),
                validity: *validity,
            }));
            (id, Touched { kept, rows, identifiers: joined(identifiers) })
        })
        .collect()
}

/// Which first days are stated of a unit, each with the earliest end stated beside it.
struct Ends(BTreeMap<Option<NaiveDate>, Option<NaiveDate>>);

impl Ends {
    fn of(stated: impl Iterator<Item = Validity>) -> Self {
        let mut ends = BTreeMap::new();
        for validity in stated {
            let end: &mut Option<NaiveDate> = ends.entry(validity.from).or_default();
            *end = match (*end, validity.until) {
                (Some(one), Some(two)) => Some(one.min(two)),
                (one, two) => one.or(two),
            };
        }
        Self(ends)
    }

    fn settle(&self, validity: Validity) -> Validity {
        use std::ops::Bound::{Excluded, Unbounded};
        let stated = || self.0.get(&validity.from).copied().flatten();
        let next = || {
            let mut later = self.0.range((Excluded(validity.from), Unbounded));
            later.next().and_then(|(from, _)| *from)
        };
        Validity { from: validity.from, until: validity.until.or_else(stated).or_else(next) }
    }
}

/// One of each, in the order of time.
fn without_repeats<'a>(versions: impl Iterator<Item = &'a Version>) -> Vec<Version> {
    let mut seen = HashSet::new();
    let mut kept: Vec<Version> = versions
        .filter(|version| {
            let Version { validity, display_name, kind, level, parent } = version;
            seen.insert((validity, display_name, kind, level, parent))
        })
        .cloned()
        .collect();
    kept.sort_by_key(|version| version.validity.from);
    kept
}

/// A code held over adjacent intervals is held over one.
fn joined(mut held: Vec<Identifier>) -> Vec<Identifier> {
    held.sort_by(|one, two| {
        (&one.scheme, &one.value, one.validity.from).cmp(&(
            &two.scheme,
            &two.value,
            two.validity.from,
        ))
    });
    let mut joined: Vec<Identifier> = Vec::with_capacity(held.len());
    for one in held {
        match joined.last_mut() {
            Some(last)
                if (&last.scheme, &last.value) == (&one.scheme, &one.value)
                    && last.validity.until.is_none_or(|until| one.validity.from <= Some(until)) =>
            {
                let ends = last.validity.until.zip(one.validity.until);
                last.validity.until = ends.map(|(one, two)| one.max(two));
            }
            _ => joined.push(one),
        }
    }
    joined.sort_by(|one, two| {
        (&one.scheme, one.validity.from, &one.value).cmp(&(
            &two.scheme,
            two.validity.from,
            &two.value,
        ))
    });
    joined
}

/// Who holds which code, once the rows are merged.
struct Holders<'a> {
    existing: &'a Hierarchy,
    touched: &'a BTreeMap<UnitId, Touched<'a>>,
    by_code: HashMap<(&'a str, &'a str), Vec<(UnitId, Validity)>>,
}

impl<'a> Holders<'a> {
    fn of(existing: &'a Hierarchy, touched: &'a BTreeMap<UnitId, Touched<'a>>) -> Self {
        let mut by_code: HashMap<_, Vec<_>> = HashMap::new();
        for (id, unit) in touched {
            for held in &unit.identifiers {
                let key = (held.scheme.as_str(), held.value.as_str());
                by_code.entry(key).or_default().push((*id, held.validity));
            }
        }
        by_code.values_mut().for_each(|held| held.sort_by_key(|(id, held)| (held.from, *id)));
        Self { existing, touched, by_code }
    }

    /// The unit that a row with this interval means by the code: its holder on the first day; where that is unknown,
    /// on the last; where both are, the first holder that is known. Whether it is there throughout is the tree's rule.
    fn holder(&self, code: &Code, validity: Validity) -> Option<UnitId> {
        let held = self.by_code.get(&(code.scheme.as_str(), code.value.as_str()));
        let held = held.map_or(&[][..], Vec::as_slice);
        let untouched = |id: &UnitId| !self.touched.contains_key(id);
        match validity.from.or_else(|| validity.last_day()) {
            Some(day) => {
                let other = || self.existing.by_code(&code.scheme, &code.value, day).ok();
                let now = held.iter().find(|(_, held)| held.contains(day)).map(|(id, _)| *id);
                now.or_else(|| other().filter(untouched))
            }
            None => {
                let earliest = NaiveDate::MIN;
                let others = match self.existing.by_code(&code.scheme, &code.value, earliest) {
                    Ok(id) => vec![(id, Validity::OPEN)],
                    Err(LookupError::NotValidOn { held }) => held,
                    Err(LookupError::Unknown) => Vec::new(),
                };
                let others = others.into_iter().filter(|(id, _)| untouched(id));
                let all = held.iter().copied().chain(others);
                all.min_by_key(|(id, held)| (held.from, *id)).map(|(id, _)| id)
            }
        }
    }
}

/// Finds the rows that a problem of the tree comes from. There always are some: without them there was none.
struct Blame<'a> {
    existing: &'a Hierarchy,
    stated: Stated<'a>,
    spoilt: &'a HashSet<Code>,
    problems: &'a mut Problems,
}

impl<'a> Blame<'a> {
    fn all(&mut self, found: &[Problem]) {
        let mut overlapping = HashSet::new();
        for problem in found {
            match problem {
                Problem::OverlappingVersions { unit, .. } => {
                    // One look at a unit finds all of its rows that overlap.
                    if overlapping.insert(*unit) {
                        self.overlaps(*unit);
                    }
                }
                Problem::OverlappingIdentifiers { unit, overlap, .. } => {
                    let message = problem.to_string();
                    let reason = Reason::ValidityOverlaps;
                    self.blame(&[*unit], *overlap, "code", reason, &message);
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
                Problem::DuplicateUnit { .. }
                | Problem::NoVersion { .. }
                | Problem::BlankName { .. }
                | Problem::EmptyValidity { .. } => {
                    let (units, message) = (problem.units(), problem.to_string());
                    self.blame(&units, Validity::OPEN, "code", Reason::RowInvalid, &message);
                }
            }
        }
        if self.problems.is_empty() {
            // Nothing may be applied that is no tree, even if no row can be named.
            for problem in found {
                let message = problem.to_string();
                let reason = Reason::RowInvalid;
                self.problems.add(RowProblem { row: 0, field: "", reason, message });
            }
        }
    }

    /// The rows about a unit and the intervals that they have among the others.
    fn rows(&self, unit: UnitId) -> Vec<(&'a Row, Validity)> {
        let stated = self.stated.get(&unit).into_iter().flatten();
        stated.filter_map(|(row, version)| row.map(|row| (row, version.validity))).collect()
    }

    fn add(&mut self, row: &Row, field: &'static str, reason: Reason, message: String) {
        self.problems.add(RowProblem { row: row.number, field, reason, message });
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
        let rows: Vec<_> = rows.filter(|(_, held)| held.overlaps(over)).collect();
        for (row, _) in &rows {
            self.add(row, field, reason, message.to_owned());
        }
        !rows.is_empty()
    }

    fn overlaps(&mut self, unit: UnitId) {
        let mut stated = self.stated.get(&unit).cloned().unwrap_or_default();
        stated.sort_by_key(|(_, version)| version.validity.from);
        // Whatever overlaps anything overlaps the one before it that lasts longest, or is that one.
        let mut longest: Option<(Option<&Row>, Version)> = None;
        for (row, version) in stated {
            let Some((before, held)) = &longest else {
                longest = Some((row, version));
                continue;
            };
            if *held == version {
                // Repeating what is said already is no fault; a row that does so is told of what overlaps it.
                longest = Some((row.or(*before), version));
                continue;
            }
            if held.validity.overlaps(version.validity) {
                let (before, held) = (*before, held.validity);
                for (row, other) in [(before, version.validity), (row, held)] {
                    let Some(row) = row else { continue };
                    let message =
                        format!("overlaps another version of the same unit, valid {other}");
                    self.add(row, "valid_from_date", Reason::ValidityOverlaps, message);
                }
            }
            let later = |until| version.validity.until.is_none_or(|later| later > until);
            if longest.as_ref().is_some_and(|(_, held)| held.validity.until.is_some_and(later)) {
                longest = Some((row, version));
            }
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
        for (row, held) in self.rows(unit) {
            let has = (row.code.scheme.as_str(), row.code.value.as_str()) == (scheme, value);
            if has && held.overlaps(overlap) {
                let other = self.called(other);
                let message = format!(
                    "{value} of {scheme} is the code of another unit too, {other}, {overlap}; if the row is a later \
                     version of that unit, origin_code and origin_date have to say so"
                );
                self.add(row, "code", Reason::CodeTaken, message);
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
        let mut own = false;
        for (row, _) in self.rows(unit).into_iter().filter(|(_, held)| *held == validity) {
            own = true;
            // A row of the parent that does not read leaves a gap for which this row is not to blame.
            if row.parent.as_ref().is_some_and(|code| self.spoilt.contains(code)) {
                continue;
            }
            let parent = self.called(parent);
            let message =
                format!("the parent, {parent}, is not there over all of the row, {validity}");
            self.add(row, "parent_code", reason, message);
        }
        if !own {
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

    fn called(&self, unit: UnitId) -> String {
        let stated = self.stated.get(&unit).and_then(|versions| versions.last());
        let known = || self.existing.get(unit).and_then(|history| history.versions.last());
        match stated.map(|(_, version)| version).or_else(known) {
            Some(version) => format!("{} ({unit})", version.display_name),
            None => unit.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
