//! The tree, and what is asked of it.

use std::collections::HashMap;
use std::fmt;

use chrono::NaiveDate;

use crate::check::{Problem, check};
use crate::find::Name;
use crate::{Edge, NSO, UnitHistory, UnitId, Validity, Version};

/// Who holds each code of each scheme, and when, sorted by the beginning.
pub(crate) type Codes = HashMap<String, HashMap<String, Vec<(UnitId, Validity)>>>;

/// All units over time, immutable and indexed.
///
/// Lists of units are in the order of their statistics codes on the date asked about, then of their ids; units without such a
/// code come last.
#[derive(Clone, Default)]
pub struct Hierarchy {
    version: u64,
    /// By id.
    units: Vec<UnitHistory>,
    pub(crate) index: HashMap<UnitId, usize>,
    codes: Codes,
    /// In the order of their dates.
    pub(crate) edges: Vec<Edge>,
    /// Positions in `edges`, by the unit that they begin or end at.
    pub(crate) forward: HashMap<usize, Vec<u32>>,
    pub(crate) back: HashMap<usize, Vec<u32>>,
    /// In the order in which units are listed, so that sorting positions sorts units.
    spans: Vec<Span>,
    /// Positions in `spans`, of each unit and of its children, and of the units without a parent.
    own: Vec<Vec<usize>>,
    children: Vec<Vec<usize>>,
    roots: Vec<usize>,
    /// By unit and version.
    names: Vec<Vec<Name>>,
}

/// A stretch of time in which a unit has one version and one statistics code, and so one parent and one place in lists.
#[derive(Clone)]
struct Span {
    unit: usize,
    version: usize,
    parent: Option<usize>,
    validity: Validity,
}

/// A unit on a date.
#[derive(Clone, Copy, Debug)]
pub struct UnitView<'a> {
    /// The unit.
    pub id: UnitId,
    /// What it is on that date.
    pub version: &'a Version,
    /// The date.
    pub as_of: NaiveDate,
    /// False where it is only assumed that this held on that date already, since nobody knows from when on it did.
    pub certain: bool,
    history: &'a UnitHistory,
}

impl<'a> UnitView<'a> {
    /// The code of this scheme that the unit holds on that date.
    pub fn code(&self, scheme: &str) -> Option<&'a str> {
        self.history.code_on(scheme, self.as_of)
    }
}

/// Why no unit answers to a code on a date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// No unit ever held it.
    #[error("no unit has ever had this code")]
    Unknown,
    /// There are units that held it, but none did on that date.
    #[error("no unit has this code on that date; it was held {}", spell(.held))]
    NotValidOn {
        /// Who held it and when, the earliest first.
        held: Vec<(UnitId, Validity)>,
    },
}

fn spell(held: &[(UnitId, Validity)]) -> String {
    held.iter()
        .map(|(unit, validity)| format!("by {unit} {validity}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What a grant over a subtree allows with one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// What became of the past can be read, and no more.
    Read,
    /// The unit is there today.
    Write,
}

impl Hierarchy {
    /// Builds the tree of these units, or says everything that keeps them from being one. Their order does not matter.
    ///
    /// # Errors
    ///
    /// Every [`Problem`] there is, so that whoever sends a list mends it once.
    pub fn build(version: u64, units: Vec<UnitHistory>) -> Result<Self, Vec<Problem>> {
        Self::build_with_edges(version, units, Vec::new())
    }

    /// As [`Self::build`], with what passed from which unit to which.
    ///
    /// # Errors
    ///
    /// Every [`Problem`] there is, of the edges too.
    pub fn build_with_edges(
        version: u64,
        mut units: Vec<UnitHistory>,
        mut edges: Vec<Edge>,
    ) -> Result<Self, Vec<Problem>> {
        let mut duplicates = Vec::new();
        units.sort_by_key(|history| history.id);
        units.dedup_by(|later, first| {
            let same = later.id == first.id;
            if same {
                duplicates.push(Problem::DuplicateUnit { unit: first.id });
            }
            same
        });
        for history in &mut units {
            history.versions.sort_by_key(|version| version.validity.from);
            history.identifiers.sort_by(|one, two| {
                (&one.scheme, one.validity.from).cmp(&(&two.scheme, two.validity.from))
            });
            // It stays for long, and most have one of each.
            history.versions.shrink_to_fit();
            history.identifiers.shrink_to_fit();
        }
        let index: HashMap<UnitId, usize> =
            units.iter().enumerate().map(|(at, history)| (history.id, at)).collect();
        edges.sort();
        edges.dedup();
        edges.shrink_to_fit();
        let codes = codes(&units);
        let problems = check(&units, &index, &codes);
        if !duplicates.is_empty() || !problems.is_empty() {
            duplicates.extend(problems);
            return Err(duplicates);
        }

        let (mut forward, mut back) = (HashMap::new(), HashMap::new());
        for (at, edge) in (0..).zip(&edges) {
            let lists = [(&mut forward, edge.predecessor), (&mut back, edge.successor)];
            for (lists, unit) in lists {
                if let Some(unit) = index.get(&unit) {
                    let list: &mut Vec<u32> = lists.entry(*unit).or_default();
                    list.push(at);
                }
            }
        }

        let spans = spans(&units, &index);
        let mut own = vec![Vec::new(); units.len()];
        let mut children = vec![Vec::new(); units.len()];
        let mut roots = Vec::new();
        for (at, span) in spans.iter().enumerate() {
            own[span.unit].push(at);
            match span.parent {
                Some(parent) => children[parent].push(at),
                None => roots.push(at),
            }
        }
        for list in own.iter_mut().chain(&mut children) {
            list.shrink_to_fit();
        }
        let names =
            units.iter().map(|history| history.versions.iter().map(Name::of).collect()).collect();
        Ok(Self {
            version,
            units,
            index,
            codes,
            edges,
            forward,
            back,
            spans,
            own,
            children,
            roots,
            names,
        })
    }

    /// A hierarchy without units, for the time before the first one arrives. Its version is 0.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The number that the registry gave to this state of affairs; answers that rest on it can state it.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many units there are, of all times.
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// All units of all times in the order of their ids, each with its versions and identifiers sorted.
    pub fn histories(&self) -> impl Iterator<Item = &UnitHistory> {
        self.units.iter()
    }

    /// All that is known of a unit.
    pub fn get(&self, id: UnitId) -> Option<&UnitHistory> {
        self.index.get(&id).map(|at| &self.units[*at])
    }

    /// The day on which to look a unit up: the date itself, or the unit's last day where it has ended before.
    pub fn known_on(&self, id: UnitId, date: NaiveDate) -> NaiveDate {
        let ended = self.get(id).filter(|history| history.version_on(date).is_none());
        let versions = ended.into_iter().flat_map(|history| &history.versions);
        let last_days = versions.filter_map(|version| version.validity.last_day());
        last_days.filter(|last| *last < date).max().unwrap_or(date)
    }

    /// A unit on a date, or `None` if it does not exist then.
    pub fn unit(&self, id: UnitId, as_of: NaiveDate) -> Option<UnitView<'_>> {
        let history = self.get(id)?;
        let version = history.version_on(as_of)?;
        Some(UnitView { id, version, as_of, certain: version.validity.from.is_some(), history })
    }

    /// The unit that holds a code on a date.
    ///
    /// # Errors
    ///
    /// [`LookupError`], which tells a code that nobody ever held from one held at another time.
    pub fn by_code(
        &self,
        scheme: &str,
        value: &str,
        as_of: NaiveDate,
    ) -> Result<UnitId, LookupError> {
        let held = self
            .codes
            .get(scheme)
            .and_then(|values| values.get(value))
            .ok_or(LookupError::Unknown)?;
        held.iter()
            .find(|(_, validity)| validity.contains(as_of))
            .map(|(unit, _)| *unit)
            .ok_or_else(|| LookupError::NotValidOn { held: held.clone() })
    }

    /// The units directly under this one on a date.
    pub fn children(&self, id: UnitId, as_of: NaiveDate) -> Vec<UnitId> {
        let Some(&at) = self.index.get(&id) else { return Vec::new() };
        self.ids(self.valid(&self.children[at], as_of))
    }

    /// The units without a parent on a date.
    pub fn roots(&self, as_of: NaiveDate) -> Vec<UnitId> {
        self.ids(self.valid(&self.roots, as_of))
    }

    /// The units above this one on a date, the nearest first; none if it does not exist then.
    pub fn ancestors(&self, id: UnitId, as_of: NaiveDate) -> Vec<UnitId> {
        self.path(id, as_of).skip(1).map(|at| self.units[at].id).collect()
    }

    /// The units below this one on a date, at any depth, without itself.
    pub fn descendants(&self, id: UnitId, as_of: NaiveDate) -> Vec<UnitId> {
        let Some(&at) = self.index.get(&id) else { return Vec::new() };
        let mut found: Vec<usize> = self.valid(&self.children[at], as_of).collect();
        let mut next = 0;
        while let Some(&at) = found.get(next) {
            found.extend(self.valid(&self.children[self.spans[at].unit], as_of));
            next += 1;
        }
        found.sort_unstable();
        self.ids(found.into_iter())
    }

    /// All units that exist on a date.
    pub fn units(&self, as_of: NaiveDate) -> Vec<UnitId> {
        self.spans
            .iter()
            .filter(|span| span.validity.contains(as_of))
            .map(|span| self.units[span.unit].id)
            .collect()
    }

    /// Whether a unit is, on a date, this root or under it. A unit that does not exist then is under nothing, not even itself.
    pub fn is_within(&self, unit: UnitId, root: UnitId, as_of: NaiveDate) -> bool {
        let Some(&root) = self.index.get(&root) else { return false };
        self.path(unit, as_of).any(|at| at == root)
    }

    /// What a grant over this root's subtree allows with a unit: everything while the unit is in it today, reading if it has
    /// ended and was in it on its last day. A unit that has moved elsewhere, or does not exist yet, is not covered.
    ///
    /// The unit's last day is judged by the tree of that day, and the root need not exist any more.
    pub fn covers(&self, root: UnitId, unit: UnitId, today: NaiveDate) -> Option<Access> {
        let history = self.get(unit)?;
        let (day, access) = if history.version_on(today).is_some() {
            (today, Access::Write)
        } else {
            let ends = history.versions.iter().filter_map(|version| version.validity.last_day());
            (ends.filter(|end| *end < today).max()?, Access::Read)
        };
        self.is_within(unit, root, day).then_some(access)
    }

    /// The unit and those above it, as positions in `units`.
    fn path(&self, id: UnitId, as_of: NaiveDate) -> impl Iterator<Item = usize> {
        let span_of = move |unit: usize| {
            self.own[unit]
                .iter()
                .map(|at| &self.spans[*at])
                .find(|span| span.validity.contains(as_of))
        };
        let start = self.index.get(&id).and_then(|at| span_of(*at));
        std::iter::successors(start, move |span| span.parent.and_then(span_of))
            .map(|span| span.unit)
    }

    fn valid(&self, spans: &[usize], as_of: NaiveDate) -> impl Iterator<Item = usize> {
        spans.iter().copied().filter(move |at| self.spans[*at].validity.contains(as_of))
    }

    fn ids(&self, spans: impl Iterator<Item = usize>) -> Vec<UnitId> {
        spans.map(|at| self.units[self.spans[at].unit].id).collect()
    }

    /// The units that exist on a date with their versions and search keys, in order.
    pub(crate) fn names(
        &self,
        as_of: NaiveDate,
    ) -> impl Iterator<Item = (UnitId, &Version, &Name)> {
        self.spans.iter().filter(move |span| span.validity.contains(as_of)).map(|span| {
            let history = &self.units[span.unit];
            (history.id, &history.versions[span.version], &self.names[span.unit][span.version])
        })
    }
}

/// Some 15,000 units would drown whatever prints them.
impl fmt::Debug for Hierarchy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hierarchy")
            .field("version", &self.version)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

fn codes(units: &[UnitHistory]) -> Codes {
    let mut codes = Codes::new();
    for history in units {
        let lives = history.lives();
        for identifier in &history.identifiers {
            // Looked up before it is inserted: schemes are few, and each would be copied for every code.
            if !codes.contains_key(&identifier.scheme) {
                codes.insert(identifier.scheme.clone(), HashMap::new());
            }
            let Some(values) = codes.get_mut(&identifier.scheme) else { continue };
            // Lists leave codes open when a unit ends, and then the next holder's would clash with it.
            let held = lives
                .iter()
                .map(|life| life.intersection(identifier.validity))
                .filter(|held| !held.is_empty());
            let holders = values.entry(identifier.value.clone()).or_default();
            holders.extend(held.map(|held| (history.id, held)));
        }
    }
    for values in codes.values_mut() {
        values.retain(|_, held| !held.is_empty());
        for held in values.values_mut() {
            held.sort_by_key(|(unit, validity)| (validity.from, *unit));
        }
    }
    codes
}

fn spans(units: &[UnitHistory], index: &HashMap<UnitId, usize>) -> Vec<Span> {
    let mut spans: Vec<(Option<&str>, Span)> = Vec::with_capacity(units.len());
    for (unit, history) in units.iter().enumerate() {
        for (at, version) in history.versions.iter().enumerate() {
            let whole = version.validity;
            let mut cuts: Vec<NaiveDate> = history
                .identifiers
                .iter()
                .filter(|one| one.scheme == NSO)
                .flat_map(|one| [one.validity.from, one.validity.until])
                .flatten()
                .filter(|day| whole.contains(*day) && Some(*day) != whole.from)
                .collect();
            cuts.sort_unstable();
            cuts.dedup();
            let parent = version.parent.and_then(|parent| index.get(&parent).copied());
            let mut from = whole.from;
            for until in cuts.into_iter().map(Some).chain([whole.until]) {
                let validity = Validity { from, until };
                let code = history.code_on(NSO, validity.start());
                spans.push((code, Span { unit, version: at, parent, validity }));
                from = until;
            }
        }
    }
    // Units are sorted by id already, so their position stands for it.
    spans.sort_by_key(|(code, span)| (code.is_none(), *code, span.unit, span.validity.from));
    spans.into_iter().map(|(_, span)| span).collect()
}
