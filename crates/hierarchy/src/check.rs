//! What a set of histories must satisfy to be a tree on every date.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::NaiveDate;

use crate::hierarchy::Codes;
use crate::{Edge, UnitHistory, UnitId, Validity};

/// One thing that keeps histories from being a hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Two histories have one id; only the first was looked at.
    #[error("{unit} is given twice")]
    DuplicateUnit {
        /// The unit.
        unit: UnitId,
    },
    /// A version without a name.
    #[error("{unit} has no name {validity}")]
    BlankName {
        /// The unit.
        unit: UnitId,
        /// The version's.
        validity: Validity,
    },
    /// A version or an identifier that holds on no day.
    #[error("{unit} has a version or an identifier that holds on no day: {validity}")]
    EmptyValidity {
        /// The unit.
        unit: UnitId,
        /// The version's or the identifier's.
        validity: Validity,
    },
    /// Two versions of a unit on one day.
    #[error("{unit} has two versions {overlap}")]
    OverlappingVersions {
        /// The unit.
        unit: UnitId,
        /// The days on which both would hold.
        overlap: Validity,
    },
    /// Two codes of one scheme on one day.
    #[error("{unit} has two codes of {scheme}, {first} and {second}, {overlap}")]
    OverlappingIdentifiers {
        /// The unit.
        unit: UnitId,
        /// Whose codes they are.
        scheme: String,
        /// The code that begins first.
        first: String,
        /// The other one.
        second: String,
        /// The days on which it would have both.
        overlap: Validity,
    },
    /// Two units under one code on one day.
    #[error("{first} and {second} both have the code {value} of {scheme} {overlap}")]
    CodeHeldTwice {
        /// Whose code it is.
        scheme: String,
        /// The code.
        value: String,
        /// The unit that holds it first.
        first: UnitId,
        /// The other one.
        second: UnitId,
        /// The days on which both would hold it.
        overlap: Validity,
    },
    /// A parent that is not among the units.
    #[error("{unit} has the parent {parent}, which does not exist, {validity}")]
    ParentUnknown {
        /// The unit.
        unit: UnitId,
        /// What it names as its parent.
        parent: UnitId,
        /// The version's.
        validity: Validity,
    },
    /// A parent that begins after its child does, or ends before it, or is absent in between.
    #[error("{unit} has the parent {parent}, which is not valid throughout, {validity}")]
    ParentNotValid {
        /// The unit.
        unit: UnitId,
        /// Its parent.
        parent: UnitId,
        /// The version's.
        validity: Validity,
    },
    /// Units that are under one another.
    #[error("{} are under one another from {}", list(.units), first_day(.from))]
    Cycle {
        /// Each under the next, the last under the first.
        units: Vec<UnitId>,
        /// The first day on which they are; `None` where it is unknown.
        from: Option<NaiveDate>,
    },
    /// A unit that comes after itself.
    #[error("{} passes to itself on {}", .edge.predecessor, .edge.effective)]
    EdgeToItself {
        /// The edge.
        edge: Edge,
    },
    /// An edge from or to something that is not among the units.
    #[error("{}, of which {unit} does not exist", passing(.edge))]
    EdgeUnitUnknown {
        /// The edge.
        edge: Edge,
        /// What does not exist.
        unit: UnitId,
    },
    /// A predecessor that is not there to pass anything on.
    #[error("{}, but the first was not valid on the day before", passing(.edge))]
    PredecessorNotValid {
        /// The edge.
        edge: Edge,
    },
    /// A successor that is not there to receive anything.
    #[error("{}, but the second is not valid on that day", passing(.edge))]
    SuccessorNotValid {
        /// The edge.
        edge: Edge,
    },
}

impl Problem {
    /// The units that have the problem; of an edge both ends.
    pub fn units(&self) -> Vec<UnitId> {
        match self {
            Self::DuplicateUnit { unit }
            | Self::BlankName { unit, .. }
            | Self::EmptyValidity { unit, .. }
            | Self::OverlappingVersions { unit, .. }
            | Self::OverlappingIdentifiers { unit, .. }
            | Self::ParentUnknown { unit, .. }
            | Self::ParentNotValid { unit, .. } => vec![*unit],
            Self::CodeHeldTwice { first, second, .. } => vec![*first, *second],
            Self::Cycle { units, .. } => units.clone(),
            Self::EdgeToItself { edge } => vec![edge.predecessor],
            Self::EdgeUnitUnknown { edge, .. }
            | Self::PredecessorNotValid { edge }
            | Self::SuccessorNotValid { edge } => vec![edge.predecessor, edge.successor],
        }
    }
}

fn list(units: &[UnitId]) -> String {
    units.iter().map(UnitId::to_string).collect::<Vec<_>>().join(", ")
}

fn passing(edge: &Edge) -> String {
    format!("{} passes to {} on {}", edge.predecessor, edge.successor, edge.effective)
}

fn first_day(from: &Option<NaiveDate>) -> String {
    from.map_or_else(|| "an unknown day".to_owned(), |day| day.to_string())
}

/// All problems of these units, whose versions and identifiers are sorted by their beginning, and of the edges between them.
pub(crate) fn check(
    units: &[UnitHistory],
    index: &HashMap<UnitId, usize>,
    codes: &Codes,
    edges: &[Edge],
) -> Vec<Problem> {
    let lives: Vec<Vec<Validity>> = units.iter().map(UnitHistory::lives).collect();
    let mut problems = Vec::new();
    for history in units {
        one_unit(history, &mut problems);
        parents(history, index, &lives, &mut problems);
    }
    codes_held_twice(codes, &mut problems);
    cycles(units, index, &mut problems);
    for edge in edges {
        one_edge(edge, |unit| index.get(&unit).map(|at| &units[*at]), &mut problems);
    }
    problems
}

fn one_unit(history: &UnitHistory, problems: &mut Vec<Problem>) {
    let unit = history.id;
    for version in &history.versions {
        let validity = version.validity;
        if version.display_name.trim().is_empty() {
            problems.push(Problem::BlankName { unit, validity });
        }
    }
    let validities = history.versions.iter().map(|version| version.validity);
    for validity in validities.clone().chain(history.identifiers.iter().map(|one| one.validity)) {
        if validity.is_empty() {
            problems.push(Problem::EmptyValidity { unit, validity });
        }
    }
    for (_, _, overlap) in overlaps(validities.map(|validity| ((), validity))) {
        problems.push(Problem::OverlappingVersions { unit, overlap });
    }
    for of_scheme in history.identifiers.chunk_by(|one, two| one.scheme == two.scheme) {
        for (first, second, overlap) in overlaps(of_scheme.iter().map(|one| (one, one.validity))) {
            problems.push(Problem::OverlappingIdentifiers {
                unit,
                scheme: first.scheme.clone(),
                first: first.value.clone(),
                second: second.value.clone(),
                overlap,
            });
        }
    }
}

/// What overlaps something before it, of what is sorted by its beginning. Each is held against the one before it that lasts
/// longest rather than against all, or a list with one code throughout would have as many problems as pairs of rows.
fn overlaps<T: Copy>(sorted: impl Iterator<Item = (T, Validity)>) -> Vec<(T, T, Validity)> {
    let mut found = Vec::new();
    let mut longest: Option<(T, Validity)> = None;
    for (one, validity) in sorted.filter(|(_, validity)| !validity.is_empty()) {
        let Some((before, held)) = longest else {
            longest = Some((one, validity));
            continue;
        };
        let overlap = held.intersection(validity);
        if !overlap.is_empty() {
            found.push((before, one, overlap));
        }
        if held.until.is_some_and(|until| validity.until.is_none_or(|later| later > until)) {
            longest = Some((one, validity));
        }
    }
    found
}

fn parents(
    history: &UnitHistory,
    index: &HashMap<UnitId, usize>,
    lives: &[Vec<Validity>],
    problems: &mut Vec<Problem>,
) {
    let unit = history.id;
    for version in &history.versions {
        let validity = version.validity;
        let Some(parent) = version.parent.filter(|_| !validity.is_empty()) else { continue };
        match index.get(&parent) {
            None => problems.push(Problem::ParentUnknown { unit, parent, validity }),
            Some(&at) if !lives[at].iter().any(|life| life.covers(validity)) => {
                problems.push(Problem::ParentNotValid { unit, parent, validity });
            }
            Some(_) => {}
        }
    }
}

fn codes_held_twice(codes: &Codes, problems: &mut Vec<Problem>) {
    let mut found = Vec::new();
    for (scheme, values) in codes {
        for (value, held) in values {
            for (first, second, overlap) in
                overlaps(held.iter().map(|(unit, validity)| (*unit, *validity)))
            {
                // One unit with one code twice overlaps itself, and that is reported already.
                if first != second {
                    let (scheme, value) = (scheme.clone(), value.clone());
                    found.push(Problem::CodeHeldTwice { scheme, value, first, second, overlap });
                }
            }
        }
    }
    // Hash maps have no order, and the same mistake should read the same each time.
    found.sort_by_key(ToString::to_string);
    problems.extend(found);
}

/// A cycle begins on the day on which one of its versions does, so walking up from each version on its own first day finds all.
fn cycles(units: &[UnitHistory], index: &HashMap<UnitId, usize>, problems: &mut Vec<Problem>) {
    let mut beginning: BTreeMap<NaiveDate, Vec<usize>> = BTreeMap::new();
    for (at, history) in units.iter().enumerate() {
        for version in history.versions.iter().filter(|version| version.parent.is_some()) {
            beginning.entry(version.validity.start()).or_default().push(at);
        }
    }
    let mut known = HashSet::new();
    for (day, changed) in beginning {
        // Which walk came by a unit first: one that meets its own steps went round, one that meets another's ends as that did.
        let mut seen: HashMap<usize, usize> = HashMap::new();
        for (walk, unit) in changed.into_iter().enumerate() {
            let mut path: Vec<usize> = Vec::new();
            let mut next = Some(unit);
            while let Some(here) = next {
                if let Some(before) = seen.insert(here, walk) {
                    if before == walk {
                        let entered = path.iter().position(|step| *step == here).unwrap_or(0);
                        let units: Vec<UnitId> =
                            path[entered..].iter().map(|step| units[*step].id).collect();
                        let mut sorted = units.clone();
                        sorted.sort_unstable();
                        if known.insert(sorted) {
                            let from = (day != NaiveDate::MIN).then_some(day);
                            problems.push(Problem::Cycle { units, from });
                        }
                    }
                    break;
                }
                path.push(here);
                next = units[here]
                    .version_on(day)
                    .and_then(|version| version.parent)
                    .and_then(|parent| index.get(&parent).copied());
            }
        }
    }
}

fn one_edge<'a>(
    edge: &Edge,
    history: impl Fn(UnitId) -> Option<&'a UnitHistory>,
    problems: &mut Vec<Problem>,
) {
    let whole = || edge.clone();
    if edge.predecessor == edge.successor {
        problems.push(Problem::EdgeToItself { edge: whole() });
        return;
    }
    match history(edge.predecessor) {
        None => {
            problems.push(Problem::EdgeUnitUnknown { edge: whole(), unit: edge.predecessor });
        }
        Some(unit) => {
            let day_before = edge.effective.pred_opt();
            if day_before.and_then(|day| unit.version_on(day)).is_none() {
                problems.push(Problem::PredecessorNotValid { edge: whole() });
            }
        }
    }
    match history(edge.successor) {
        None => problems.push(Problem::EdgeUnitUnknown { edge: whole(), unit: edge.successor }),
        Some(unit) if unit.version_on(edge.effective).is_none() => {
            problems.push(Problem::SuccessorNotValid { edge: whole() });
        }
        Some(_) => {}
    }
}
