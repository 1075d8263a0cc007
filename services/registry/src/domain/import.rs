//! How rows become histories.
//!
//! A row says what held for one unit over one interval. Rows are merged into what is known already, the whole is tried
//! as a tree, and whatever keeps it from being one is told row by row. The outcome depends on the set of rows alone, not
//! on their order, and a row that is there already changes nothing.
//!
//! * What rows and what is known say of a unit has to agree wherever it overlaps. A version begins wherever anything of
//!   that begins, and ends wherever anything ends.
//! * An end that a row leaves open means that the row knows of none. It gives way to the next end that is stated, and to
//!   the first day of the unit's next version: a province that becomes a city comes in as one row. An end that is stated
//!   never moves.
//! * A unit can hold codes of several schemes, or none for a while. How long it is there is what the rows say in the scheme
//!   under which it was first listed; rows of another scheme say by which other code it goes, and end nothing but that.

mod blame;
mod holders;
mod unit;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;
use dunghan_hierarchy::{Hierarchy, Kind, Level, UnitHistory, UnitId, Validity, Version};

use blame::Blame;
use holders::Holders;
pub(crate) use holders::holder;
pub(crate) use unit::statements;
use unit::{Attributes, Before, Touched};

/// The most rows about one unit. No unit has so many versions and codes; a list that gives all its rows one code has.
const MOST_OF_UNIT: usize = 1000;

/// A code under its scheme.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Code {
    pub(crate) scheme: String,
    pub(crate) value: String,
}

/// What is wrong with a code of the General Statistics Office for a unit of this level, if anything is.
pub(crate) fn statistics_code(level: Level, value: &str) -> Result<(), String> {
    let digits = match level {
        Level::Province => 2,
        Level::District => 3,
        Level::Commune => 5,
        Level::Department | Level::School | Level::Other => return Ok(()),
    };
    if value.len() == digits && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(format!("must have {digits} digits for a {level}, zeros in front included: {value:?}"))
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.value, self.scheme)
    }
}

/// Where a unit was first listed, which makes its id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) code: Code,
    /// `None` where it is unknown.
    pub(crate) first_day: Option<NaiveDate>,
}

/// What holds for one unit over one interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Its place among the rows of its import, from 0.
    pub(crate) position: usize,
    /// Where it stands in its file.
    pub(crate) number: i32,
    pub(crate) unit: UnitId,
    pub(crate) scheme: String,
    /// The code of the scheme that it holds; `None`: it holds none.
    pub(crate) value: Option<String>,
    /// Where the unit was first listed, if not by this row.
    pub(crate) origin: Option<Origin>,
    pub(crate) display_name: String,
    pub(crate) kind: Kind,
    pub(crate) level: Level,
    /// By a code; or by its name, under whichever scheme.
    pub(crate) parent: Option<Code>,
    pub(crate) validity: Validity,
}

impl Row {
    /// The scheme under which its unit was first listed.
    fn first_scheme(&self) -> &str {
        self.origin.as_ref().map_or(&self.scheme, |origin| &origin.code.scheme)
    }
}

/// Why a row is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    RowInvalid,
    ParentNotValid,
    ValidityOverlaps,
    CodeTaken,
    Cycle,
    /// What passed from a unit to another would not be there to pass, or to be passed to.
    LineageBroken,
}

/// One thing that is wrong with one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowProblem {
    /// Its place among the rows of its import, from 0.
    pub(crate) position: usize,
    /// Where it stands in its file.
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

/// What becomes of a row that is not bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowOutcome {
    /// Its unit is new.
    Creates,
    /// Its unit gains or changes a version or a code by it.
    Updates,
    /// Alone it would change nothing.
    Unchanged,
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

/// What follows from the rows, or everything that is wrong with them, in their order; and what becomes of each of
/// [`Staged::rows`], as far as there is nothing wrong with it.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) merged: Result<Merged, Vec<RowProblem>>,
    pub(crate) outcomes: Vec<RowOutcome>,
}

/// Merges rows into what is known, or says everything that is wrong with them, in their order.
pub(crate) fn merge(existing: &Arc<Hierarchy>, staged: &Staged) -> Result<Merged, Vec<RowProblem>> {
    judge(existing, staged).merged
}

/// Merges rows into what is known, and says of each what becomes of it.
pub(crate) fn judge(existing: &Arc<Hierarchy>, staged: &Staged) -> Judged {
    let mut problems = Problems::default();
    staged.problems.iter().cloned().for_each(|problem| problems.add(problem));
    unknown_origins(existing, staged, &mut problems);

    let touched = touched(existing, &staged.rows, &mut problems);
    blame::codes_denied(&touched, &mut problems);
    let holders = Holders::of(existing, &touched);
    let mut stated: Stated<'_> = BTreeMap::new();
    for (id, unit) in &touched {
        stated.insert(*id, stated_of(unit, &holders, staged, &mut problems));
    }

    let mut outcomes = vec![RowOutcome::Unchanged; staged.rows.len()];
    let at: HashMap<usize, usize> =
        staged.rows.iter().enumerate().map(|(at, row)| (row.position, at)).collect();
    let (mut changed, mut created, mut histories) = (Vec::new(), 0, Vec::new());
    for (id, unit) in &touched {
        let Some(stated) = stated.get(id) else { continue };
        let before = known(existing, *id).map(|known| Before::of(known, unit.first_scheme));
        let mut set = |row: &Row, outcome| {
            if let Some(outcomes) = at.get(&row.position).and_then(|at| outcomes.get_mut(*at)) {
                *outcomes = outcome;
            }
        };
        let mut differs = false;
        for (row, said) in stated.iter().filter_map(|(row, said)| row.zip(Some(said))) {
            let outcome = match &before {
                None => RowOutcome::Creates,
                Some(before) if before.changes_by(row, said) => RowOutcome::Updates,
                Some(_) => RowOutcome::Unchanged,
            };
            set(row, outcome);
            differs |= outcome != RowOutcome::Unchanged;
        }
        if differs {
            let versions = stated.iter().map(|(_, version)| version);
            let identifiers = unit.identifiers.clone();
            histories.push(UnitHistory { id: *id, versions: unit::cut(versions), identifiers });
            changed.push(*id);
            created += usize::from(before.is_none());
        }
    }
    let unchanged = touched.len() - changed.len();
    if changed.is_empty() && problems.is_empty() {
        let merged = Merged { hierarchy: existing.clone(), changed, created, unchanged };
        return Judged { merged: Ok(merged), outcomes };
    }

    let new: HashSet<UnitId> = changed.iter().copied().collect();
    let others = existing.histories().filter(|history| !new.contains(&history.id)).cloned();
    let all = others.chain(histories).collect();
    // Tried even where rows are bad already: whoever sends them should mend them once.
    let edges = existing.edges().to_vec();
    let merged = match Hierarchy::build_with_edges(existing.version() + 1, all, edges) {
        Ok(hierarchy) if problems.is_empty() => {
            Ok(Merged { hierarchy: Arc::new(hierarchy), changed, created, unchanged })
        }
        Ok(_) => Err(problems.in_order()),
        Err(found) => {
            let spoilt = &staged.spoilt;
            Blame { existing, touched: &touched, stated, spoilt, problems: &mut problems }
                .all(&found);
            Err(problems.in_order())
        }
    };
    Judged { merged, outcomes }
}

/// What is known of a unit; nothing of one that was taken back.
fn known(existing: &Hierarchy, unit: UnitId) -> Option<&UnitHistory> {
    existing.get(unit).filter(|history| !history.versions.is_empty())
}

/// At most one of a kind for each field of a row.
#[derive(Default)]
struct Problems(BTreeMap<(i32, usize, &'static str, Reason), RowProblem>);

impl Problems {
    fn add(&mut self, problem: RowProblem) {
        let RowProblem { row, position, field, reason, .. } = problem;
        self.0.entry((row, position, field, reason)).or_insert(problem);
    }

    fn of(&mut self, row: &Row, field: &'static str, reason: Reason, message: String) {
        let Row { position, number, .. } = *row;
        self.add(RowProblem { position, row: number, field, reason, message });
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
        let Some(Origin { code, .. }) = &row.origin else { continue };
        let known = first.contains(&row.unit) || known(existing, row.unit).is_some();
        if !known && !staged.spoilt.contains(code) {
            let message = format!("no unit was first listed under {code} on origin_date");
            problems.of(row, "origin_code", Reason::RowInvalid, message);
        }
    }
}

/// What is said of each unit, by which row; what was known before is said by none.
type Stated<'a> = BTreeMap<UnitId, Vec<(Option<&'a Row>, Version)>>;

fn touched<'a>(
    existing: &'a Hierarchy,
    rows: &'a [Row],
    problems: &mut Problems,
) -> BTreeMap<UnitId, Touched<'a>> {
    let mut of_unit: BTreeMap<UnitId, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        of_unit.entry(row.unit).or_default().push(row);
    }
    of_unit.retain(|_, rows| {
        if rows.len() > MOST_OF_UNIT {
            let message = format!(
                "is the code of one unit in {} rows; at most {MOST_OF_UNIT} can be about one",
                rows.len()
            );
            for row in &*rows {
                problems.of(row, "code", Reason::RowInvalid, message.clone());
            }
        }
        rows.len() <= MOST_OF_UNIT
    });
    let unit = |(id, rows): (UnitId, Vec<&'a Row>)| {
        let first_scheme = rows.first().map_or("", |row| row.first_scheme());
        (id, Touched::by(known(existing, id), &rows, first_scheme))
    };
    of_unit.into_iter().map(unit).collect()
}

/// What is said of a unit, its parents found by their codes.
fn stated_of<'a>(
    unit: &Touched<'a>,
    holders: &Holders<'_>,
    staged: &Staged,
    problems: &mut Problems,
) -> Vec<(Option<&'a Row>, Version)> {
    let kept = unit.kept.iter().map(|version| (None, version.clone()));
    let rows = unit.rows.iter().map(|(row, validity)| {
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
                let same = |kept: &&Version| {
                    let said = Attributes { parent: kept.parent, ..Attributes::of(&version) };
                    kept.validity.overlaps(*validity) && said == Attributes::of(kept)
                };
                version.parent = unit.kept.iter().find(same).and_then(|before| before.parent);
                if !staged.spoilt.contains(code) {
                    let message = nobody_holds(code, *validity);
                    problems.of(row, "parent_code", Reason::ParentNotValid, message);
                }
            }
        }
        (Some(*row), version)
    });
    kept.chain(rows).collect()
}

fn nobody_holds(code: &Code, validity: Validity) -> String {
    match (validity.from, validity.last_day()) {
        (Some(from), Some(last)) => format!("no unit has the code {code} from {from} to {last}"),
        (Some(from), None) => format!("no unit has the code {code} on {from} or later"),
        (None, Some(last)) => format!("no unit has the code {code} on {last} or earlier"),
        (None, None) => format!("no unit has the code {code}"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
