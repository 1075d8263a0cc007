//! The tree, and what is asked of it.

use std::collections::{HashMap, HashSet};
use std::fmt;

use chrono::NaiveDate;

use crate::check::{Problem, check};
use crate::find::Name;
use crate::lists::Lists;
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
    pub(crate) units: Vec<UnitHistory>,
    pub(crate) index: HashMap<UnitId, usize>,
    codes: Codes,
    /// In the order of their dates.
    pub(crate) edges: Vec<Edge>,
    /// Positions in `edges`, by the unit that they begin or end at.
    pub(crate) forward: Lists,
    pub(crate) back: Lists,
    /// In the order in which units are listed, so that sorting positions sorts units.
    spans: Vec<Span>,
    /// Positions in `spans`, of each unit and of its children, and of the units without a parent.
    own: Lists,
    children: Lists,
    roots: Vec<u32>,
    /// What each unit is called in each of `spans`.
    names: Vec<Name>,
}

/// A stretch of time in which a unit has one version and one statistics code, and so one parent and one place in lists.
#[derive(Clone)]
struct Span {
    unit: usize,
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

    /// As [`Self::build`], with what passed from which unit to which. An edge that is given twice is there once.
    ///
    /// # Errors
    ///
    /// Every [`Problem`] there is, of the edges too: one joins two units, of which the predecessor exists on the day before it
    /// and the successor on its day.
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
        let problems = check(&units, &index, &codes, &edges);
        if !duplicates.is_empty() || !problems.is_empty() {
            duplicates.extend(problems);
            return Err(duplicates);
        }

        let (spans, names): (Vec<Span>, Vec<Name>) = spans(&units, &index).into_iter().unzip();
        let end = |unit: &UnitId| index.get(unit).copied();
        let forward = Lists::new(units.len(), edges.iter().map(|edge| end(&edge.predecessor)));
        let back = Lists::new(units.len(), edges.iter().map(|edge| end(&edge.successor)));
        let own = Lists::new(units.len(), spans.iter().map(|span| Some(span.unit)));
        let children = Lists::new(units.len(), spans.iter().map(|span| span.parent));
        let roots = (0..).zip(&spans).filter(|(_, span)| span.parent.is_none());
        let roots = roots.map(|(at, _)| at).collect();
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

    /// How many units there are, of all times, with those that were taken back.
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
        ended.and_then(|history| history.ended_before(date)).unwrap_or(date)
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
        let held = self.holders(scheme, value);
        let holder = held.iter().find(|(_, validity)| validity.contains(as_of));
        holder.map(|(unit, _)| *unit).ok_or_else(|| match held {
            [] => LookupError::Unknown,
            held => LookupError::NotValidOn { held: held.to_vec() },
        })
    }

    /// Who held a code and when, the earliest first.
    pub fn holders(&self, scheme: &str, value: &str) -> &[(UnitId, Validity)] {
        let held = self.codes.get(scheme).and_then(|values| values.get(value));
        held.map_or(&[], Vec::as_slice)
    }

    /// The units directly under this one on a date.
    pub fn children(&self, id: UnitId, as_of: NaiveDate) -> Vec<UnitId> {
        let Some(&at) = self.index.get(&id) else { return Vec::new() };
        self.ids(self.valid(self.children.of(at), as_of))
    }

    /// The units without a parent on a date.
    pub fn roots(&self, as_of: NaiveDate) -> Vec<UnitId> {
        self.ids(self.valid(&self.roots, as_of))
    }

    /// The units above this one on a date, the nearest first; none if it does not exist then.
    pub fn ancestors(&self, id: UnitId, as_of: NaiveDate) -> Vec<UnitId> {
        let Some(&at) = self.index.get(&id) else { return Vec::new() };
        self.path(at, as_of).skip(1).map(|at| self.units[at].id).collect()
    }

    /// The units below this one on a date, at any depth, without itself.
    pub fn descendants(&self, id: UnitId, as_of: NaiveDate) -> Vec<UnitId> {
        let Some(&at) = self.index.get(&id) else { return Vec::new() };
        let mut found: Vec<u32> = self.valid(self.children.of(at), as_of).collect();
        let mut next = 0;
        while let Some(&at) = found.get(next) {
            let below = self.children.of(self.spans[at as usize].unit);
            found.extend(self.valid(below, as_of));
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
        let (unit, root) = (self.index.get(&unit), self.index.get(&root));
        unit.zip(root).is_some_and(|(unit, root)| self.is_at_or_below(*unit, *root, as_of))
    }

    /// What a grant over this root's subtree allows with a unit. Either may have ended.
    ///
    /// * Everything, while the unit is in the subtree today.
    /// * Reading, if the unit has ended, and was in the subtree on its own last day, by the tree of that day, or may be read as
    ///   what came after it may, over any number of edges by today. Where nothing came after it, as with a tier that was
    ///   abolished, it is as the unit that it was under.
    /// * Nothing otherwise: not with a unit that has moved elsewhere, nor with one that is still there and of which a part came
    ///   here, nor with one that does not exist yet.
    pub fn covers(&self, root: UnitId, unit: UnitId, today: NaiveDate) -> Option<Access> {
        let (&root, &at) = (self.index.get(&root)?, self.index.get(&unit)?);
        let covered = self.comes_into(at, root, today, NaiveDate::MIN, &mut HashSet::new());
        let access = if self.span_on(at, today).is_some() { Access::Write } else { Access::Read };
        covered.then_some(access)
    }

    /// Whether a unit is in a subtree today or, if it has ended, was or came into it, by edges after `since`. Each step upward
    /// or onward is later or higher than the one before, so this ends. What was looked at is not looked at again: units that
    /// split and merge by turns have twice as many ways each time.
    fn comes_into(
        &self,
        unit: usize,
        root: usize,
        today: NaiveDate,
        since: NaiveDate,
        seen: &mut HashSet<(usize, NaiveDate)>,
    ) -> bool {
        if self.span_on(unit, today).is_some() {
            return self.is_at_or_below(unit, root, today);
        }
        if !seen.insert((unit, since)) {
            return false;
        }
        let Some(last_day) = self.units[unit].ended_before(today) else { return false };
        if self.is_at_or_below(unit, root, last_day) {
            return true;
        }
        let edges = self.successors(self.units[unit].id);
        let mut edges =
            edges.filter(|edge| since < edge.effective && edge.effective <= today).peekable();
        if edges.peek().is_none() {
            let parent = self.span_on(unit, last_day).and_then(|span| span.parent);
            return parent
                .is_some_and(|parent| self.comes_into(parent, root, today, last_day, seen));
        }
        edges.any(|edge| {
            let after = self.index.get(&edge.successor);
            after.is_some_and(|after| self.comes_into(*after, root, today, edge.effective, seen))
        })
    }

    fn span_on(&self, unit: usize, as_of: NaiveDate) -> Option<&Span> {
        let spans = self.own.of(unit).iter().map(|at| &self.spans[*at as usize]);
        spans.into_iter().find(|span| span.validity.contains(as_of))
    }

    /// The unit and those above it, as positions in `units`; nothing if it does not exist then.
    fn path(&self, unit: usize, as_of: NaiveDate) -> impl Iterator<Item = usize> {
        let above = move |span: &&Span| span.parent.and_then(|parent| self.span_on(parent, as_of));
        std::iter::successors(self.span_on(unit, as_of), above).map(|span| span.unit)
    }

    pub(crate) fn is_at_or_below(&self, unit: usize, root: usize, as_of: NaiveDate) -> bool {
        self.path(unit, as_of).any(|at| at == root)
    }

    fn valid(&self, spans: &[u32], as_of: NaiveDate) -> impl Iterator<Item = u32> {
        let holds = move |at: &u32| self.spans[*at as usize].validity.contains(as_of);
        spans.iter().copied().filter(holds)
    }

    fn ids(&self, spans: impl Iterator<Item = u32>) -> Vec<UnitId> {
        spans.map(|at| self.units[self.spans[at as usize].unit].id).collect()
    }

    /// The units that exist on a date, as positions in `units`, with their search keys; in order.
    pub(crate) fn names(&self, as_of: NaiveDate) -> impl Iterator<Item = (usize, &Name)> {
        let spans = self.spans.iter().zip(&self.names);
        spans
            .filter(move |(span, _)| span.validity.contains(as_of))
            .map(|(span, name)| (span.unit, name))
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
            held.shrink_to_fit();
        }
    }
    codes
}

/// In the order in which units are listed.
fn spans(units: &[UnitHistory], index: &HashMap<UnitId, usize>) -> Vec<(Span, Name)> {
    let mut spans: Vec<(Option<&str>, &Version, Span)> = Vec::with_capacity(units.len());
    for (unit, history) in units.iter().enumerate() {
        for version in &history.versions {
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
                spans.push((code, version, Span { unit, parent, validity }));
                from = until;
            }
        }
    }
    // Units are sorted by id already, so their position stands for it.
    spans.sort_by_key(|(code, _, span)| (code.is_none(), *code, span.unit, span.validity.from));
    spans.into_iter().map(|(_, version, span)| (span, Name::of(version))).collect()
}
