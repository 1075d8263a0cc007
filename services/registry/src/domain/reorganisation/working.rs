//! The units while reorganisations are applied to them, and what finds them quickly.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::NaiveDate;
use dunghan_hierarchy::{
    Edge, EdgeKind, Hierarchy, Identifier, Kind, Level, NSO, UnitHistory, UnitId, Validity, Version,
};

use super::ChangeReason;
use crate::domain::import::Code;

/// Why something cannot hold for a unit.
type Refused = (ChangeReason, String);

/// Whom a unit is under one after the other, each with the first day; `None` at the top.
type Stretches = Vec<(NaiveDate, Option<UnitId>)>;

/// What is said of a unit that goes on.
#[derive(Clone, Copy, Debug)]
pub(super) enum What<'r> {
    Name(&'r str),
    Kind(Kind),
    Level(Level),
    Parent(Option<UnitId>),
    /// Of a scheme.
    Code(&'r str, Option<&'r str>),
}

/// All units and edges, each thing changed in its place.
pub(super) struct Working<'a> {
    base: &'a Hierarchy,
    units: HashMap<UnitId, UnitHistory>,
    /// Who has a code at some time, or had before something changed.
    holders: HashMap<Code, BTreeSet<UnitId>>,
    /// Who is under a unit at some time, or was before something changed.
    children: HashMap<UnitId, BTreeSet<UnitId>>,
    /// The edges that are not in `base`, and their positions by predecessor and by successor.
    added: Vec<Edge>,
    from: HashMap<UnitId, Vec<usize>>,
    to: HashMap<UnitId, Vec<usize>>,
}

impl<'a> Working<'a> {
    pub(super) fn of(base: &'a Hierarchy) -> Self {
        let mut working = Self {
            base,
            units: HashMap::with_capacity(base.len()),
            holders: HashMap::with_capacity(base.len()),
            children: HashMap::new(),
            added: Vec::new(),
            from: HashMap::new(),
            to: HashMap::new(),
        };
        base.histories().for_each(|history| working.insert(history.clone()));
        working
    }

    /// All units, and the edges that were not there before.
    pub(super) fn into_parts(self) -> (Vec<UnitHistory>, Vec<Edge>) {
        (self.units.into_values().collect(), self.added)
    }

    pub(super) fn get(&self, unit: UnitId) -> Option<&UnitHistory> {
        self.units.get(&unit)
    }

    pub(super) fn version(&self, unit: UnitId, day: NaiveDate) -> Option<&Version> {
        self.get(unit)?.version_on(day)
    }

    /// Who has the code on that day.
    pub(super) fn by_code(&self, code: &Code, day: NaiveDate) -> Option<UnitId> {
        let has = |unit: &UnitId| {
            self.get(*unit).and_then(|history| history.code_on(&code.scheme, day))
                == Some(code.value.as_str())
        };
        self.holders.get(code)?.iter().copied().find(has)
    }

    /// Who is directly under the unit on that day.
    pub(super) fn children(
        &self,
        unit: UnitId,
        day: NaiveDate,
    ) -> impl Iterator<Item = UnitId> + '_ {
        let under = move |child: &UnitId| {
            self.version(*child, day).is_some_and(|version| version.parent == Some(unit))
        };
        self.children.get(&unit).into_iter().flatten().copied().filter(under)
    }

    /// Who is still under the unit on that day or comes under it later, and since when, the first first.
    pub(super) fn still_under(&self, unit: UnitId, day: NaiveDate) -> Vec<(NaiveDate, UnitId)> {
        let after = Validity::since(day);
        let mut still: Vec<_> = self
            .children
            .get(&unit)
            .into_iter()
            .flatten()
            .filter_map(|child| {
                let mut versions = self.get(*child)?.versions.iter();
                let under = versions.find(|version| {
                    version.parent == Some(unit) && version.validity.overlaps(after)
                })?;
                Some((under.validity.from.unwrap_or(day).max(day), *child))
            })
            .collect();
        still.sort_unstable();
        still
    }

    pub(super) fn edges_from(&self, unit: UnitId) -> impl Iterator<Item = &Edge> {
        let added = self.from.get(&unit).into_iter().flatten().map(|at| &self.added[*at]);
        self.base.successors(unit).chain(added)
    }

    fn edges_to(&self, unit: UnitId) -> impl Iterator<Item = &Edge> {
        let added = self.to.get(&unit).into_iter().flatten().map(|at| &self.added[*at]);
        self.base.predecessors(unit).chain(added)
    }

    /// For people: the name and a code as they are on that day, or were last.
    pub(super) fn called(&self, unit: UnitId, day: NaiveDate) -> String {
        let Some(history) = self.get(unit) else { return unit.to_string() };
        let last =
            || history.versions.iter().rev().find(|version| version.validity.from <= Some(day));
        let Some(version) =
            history.version_on(day).or_else(last).or_else(|| history.versions.first())
        else {
            return unit.to_string();
        };
        let day = if version.validity.contains(day) {
            day
        } else {
            version.validity.last_day().or(version.validity.from).unwrap_or(day)
        };
        let other = || history.identifiers.iter().find(|held| held.validity.contains(day));
        let code = history.code_on(NSO, day).or_else(|| other().map(|held| held.value.as_str()));
        match code {
            Some(code) => format!("{} ({code})", version.display_name),
            None => version.display_name.clone(),
        }
    }

    /// What is known of a unit for after that day and keeps it from ending then.
    pub(super) fn known_after(&self, unit: UnitId, day: NaiveDate) -> Option<String> {
        if let Some(until) = self.version(unit, day)?.validity.until {
            let what = if self.version(unit, until).is_some() { "changes" } else { "ends" };
            return Some(format!("{what} on {until} already"));
        }
        if let Some(edge) = self.edges_from(unit).filter(|edge| edge.effective > day).min() {
            let there = self.called(edge.successor, edge.effective);
            return Some(format!("passes to {there} on {} already", edge.effective));
        }
        let edge = self.edges_to(unit).filter(|edge| edge.effective >= day).min()?;
        let there = self.called(edge.predecessor, edge.effective);
        Some(format!("is what {there} passes to on {}", edge.effective))
    }

    /// Ends a unit that is there on that day, as if what had begun on that very day had not.
    pub(super) fn end(&mut self, unit: UnitId, day: NaiveDate) {
        let Some(history) = self.units.get_mut(&unit) else { return };
        let cut = |held: &mut Validity| {
            let until = held.until.map_or(day, |until| until.min(day));
            *held = Validity { until: Some(until), ..*held };
            !held.is_empty()
        };
        history.versions.retain_mut(|version| cut(&mut version.validity));
        history.identifiers.retain_mut(|held| cut(&mut held.validity));
    }

    /// Takes in a unit that is new, or known only as one that never was.
    pub(super) fn insert(&mut self, history: UnitHistory) {
        for held in &history.identifiers {
            self.holds(history.id, &held.scheme, &held.value);
        }
        for parent in history.versions.iter().filter_map(|version| version.parent) {
            self.children.entry(parent).or_default().insert(history.id);
        }
        self.units.insert(history.id, history);
    }

    fn holds(&mut self, unit: UnitId, scheme: &str, value: &str) {
        let code = Code { scheme: scheme.to_owned(), value: value.to_owned() };
        self.holders.entry(code).or_default().insert(unit);
    }

    pub(super) fn connect(&mut self, edge: Edge) {
        self.from.entry(edge.predecessor).or_default().push(self.added.len());
        self.to.entry(edge.successor).or_default().push(self.added.len());
        self.added.push(edge);
    }

    /// Lets something hold for a unit that is there on that day, from that day until it changes the next time or the unit
    /// ends; answers when that is.
    pub(super) fn state(
        &mut self,
        unit: UnitId,
        day: NaiveDate,
        what: What<'_>,
    ) -> Result<Option<NaiveDate>, Refused> {
        match what {
            What::Name(name) => self.set(
                (unit, day, "name"),
                |version| version.display_name == name,
                |one, two| one.display_name == two.display_name,
                |version| name.clone_into(&mut version.display_name),
            ),
            What::Kind(kind) => self.set(
                (unit, day, "kind"),
                |version| version.kind == kind,
                |one, two| one.kind == two.kind,
                |version| version.kind = kind,
            ),
            What::Level(level) => self.set(
                (unit, day, "level"),
                |version| version.level == level,
                |one, two| one.level == two.level,
                |version| version.level = level,
            ),
            What::Parent(parent) => self.put_under(unit, day, parent),
            What::Code(scheme, value) => self.recode(unit, day, scheme, value),
        }
    }

    fn set(
        &mut self,
        (unit, day, what): (UnitId, NaiveDate, &str),
        has: impl Fn(&Version) -> bool,
        same: impl Fn(&Version, &Version) -> bool,
        set: impl Fn(&mut Version),
    ) -> Result<Option<NaiveDate>, Refused> {
        let Some(history) = self.units.get_mut(&unit) else { return Ok(None) };
        let (until, next) = next_change(history, day, same);
        if let Some(next) = next.filter(|next| has(next)) {
            let since = next.validity.from.unwrap_or(day);
            return Err(self.same_later(unit, day, what, since));
        }
        overwrite(&mut history.versions, day, until, set);
        Ok(until)
    }

    fn same_later(&self, unit: UnitId, day: NaiveDate, what: &str, since: NaiveDate) -> Refused {
        let called = self.called(unit, day);
        let message =
            format!("{called} gets the same {what} on {since} already; correct that first");
        (ChangeReason::ChangedLater, message)
    }

    fn put_under(
        &mut self,
        unit: UnitId,
        day: NaiveDate,
        parent: Option<UnitId>,
    ) -> Result<Option<NaiveDate>, Refused> {
        let Some(history) = self.get(unit) else { return Ok(None) };
        let (until, next) = next_change(history, day, |one, two| one.parent == two.parent);
        let next = next.map(|next| (next.validity.from.unwrap_or(day), next.parent));
        let before = history.version_on(day).and_then(|version| version.parent);

        let stretches = match parent {
            Some(parent) => self.follow(parent, day, until).map_err(|(parent, end)| {
                let (parent, unit) = (self.called(parent, day), self.called(unit, day));
                let message = format!("{parent} ends on {end}, and {unit} would still be under it");
                (ChangeReason::ParentNotValid, message)
            })?,
            None => vec![(day, None)],
        };
        let last = stretches.last().and_then(|(_, parent)| *parent);
        if let Some((since, there)) = next {
            if there == last {
                return Err(self.same_later(unit, day, "parent", since));
            }
            // Whether it passed along or was moved by itself then is not known. Under another parent it would not have passed
            // along, or to somewhere else.
            let passed = before.is_some_and(|before| self.ends_on(before, since));
            let would_pass = || last.and_then(|last| self.merged_into(last, since));
            if passed && there != would_pass() {
                let before = before.map_or_else(String::new, |before| self.called(before, day));
                let message = format!(
                    "{} moves on {since}, the day on which {before} ends; say first where it goes on that day",
                    self.called(unit, day)
                );
                return Err((ChangeReason::ChangedLater, message));
            }
        }

        let ends = stretches.iter().skip(1).map(|(from, _)| Some(*from)).chain([until]);
        for ((from, parent), until) in stretches.iter().zip(ends.collect::<Vec<_>>()) {
            if let Some(parent) = parent {
                self.children.entry(*parent).or_default().insert(unit);
            }
            let Some(history) = self.units.get_mut(&unit) else { break };
            overwrite(&mut history.versions, *from, until, |version| version.parent = *parent);
        }
        Ok(until)
    }

    /// A parent and those that it is merged into, each with its first day, until that day; or which of them ends otherwise
    /// before, and when.
    fn follow(
        &self,
        parent: UnitId,
        day: NaiveDate,
        until: Option<NaiveDate>,
    ) -> Result<Stretches, (UnitId, NaiveDate)> {
        let mut stretches = vec![(day, Some(parent))];
        let (mut here, mut day) = (parent, day);
        loop {
            let Some(end) = self.life_end(here, day) else { return Err((here, day)) };
            let Some(end) = end.filter(|end| until.is_none_or(|until| *end < until)) else {
                return Ok(stretches);
            };
            here = self.merged_into(here, end).ok_or((here, end))?;
            day = end;
            stretches.push((day, Some(here)));
        }
    }

    /// The first day on which a unit that is there on this day is not any more, if there is one.
    fn life_end(&self, unit: UnitId, day: NaiveDate) -> Option<Option<NaiveDate>> {
        let history = self.get(unit)?;
        history.version_on(day)?;
        Some(next_change(history, day, |_, _| true).0)
    }

    fn ends_on(&self, unit: UnitId, day: NaiveDate) -> bool {
        let before = day.pred_opt().and_then(|eve| self.version(unit, eve));
        before.is_some() && self.version(unit, day).is_none()
    }

    fn merged_into(&self, unit: UnitId, day: NaiveDate) -> Option<UnitId> {
        let whole = |edge: &&Edge| edge.effective == day && edge.kind == EdgeKind::Merged;
        self.edges_from(unit).find(whole).map(|edge| edge.successor)
    }

    fn recode(
        &mut self,
        unit: UnitId,
        day: NaiveDate,
        scheme: &str,
        value: Option<&str>,
    ) -> Result<Option<NaiveDate>, Refused> {
        let Some(history) = self.get(unit) else { return Ok(None) };
        let end = next_change(history, day, |_, _| true).0;
        let now = history.code_on(scheme, day);
        let next = history
            .identifiers
            .iter()
            .filter(|held| held.scheme == scheme)
            .flat_map(|held| [held.validity.from, held.validity.until])
            .flatten()
            .filter(|at| *at > day && end.is_none_or(|end| *at < end))
            .filter(|at| history.code_on(scheme, *at) != now)
            .min();
        if let Some(since) = next.filter(|since| history.code_on(scheme, *since) == value) {
            return Err(self.same_later(unit, day, &format!("code of {scheme}"), since));
        }
        let over = Validity { from: Some(day), until: next.or(end) };
        if let Some(value) = value {
            self.holds(unit, scheme, value);
        }
        let Some(history) = self.units.get_mut(&unit) else { return Ok(None) };
        // A version lasts as long as all that is said of the unit, its codes too: lists are read back that way.
        split(&mut history.versions, day);
        next.into_iter().for_each(|next| split(&mut history.versions, next));
        let (of_scheme, mut identifiers): (Vec<_>, Vec<_>) =
            history.identifiers.drain(..).partition(|held| held.scheme == scheme);
        for held in of_scheme {
            let Validity { from, until } = held.validity;
            let before =
                Validity { from, until: until.map_or(over.from, |end| Some(end.min(day))) };
            let after = over.until.map(|end| Validity { from: from.max(Some(end)), until });
            let rest = [Some(before), after].into_iter().flatten().filter(|rest| !rest.is_empty());
            identifiers.extend(rest.map(|validity| Identifier { validity, ..held.clone() }));
        }
        identifiers.extend(value.map(|value| Identifier {
            scheme: scheme.to_owned(),
            value: value.to_owned(),
            validity: over,
        }));
        identifiers.sort_by(|one, two| {
            (&one.scheme, one.validity.from).cmp(&(&two.scheme, two.validity.from))
        });
        history.identifiers = identifiers;
        Ok(over.until)
    }

    /// Another unit that has the code when this one has it too, and when.
    pub(super) fn held_twice(&self, unit: UnitId, code: &Code) -> Option<(UnitId, Validity)> {
        let own = self.held(unit, code);
        let others = self.holders.get(code)?.iter().filter(|other| **other != unit);
        others.into_iter().find_map(|other| {
            let held = self.held(*other, code);
            let both = held.iter().flat_map(|held| own.iter().map(|own| own.intersection(*held)));
            both.filter(|both| !both.is_empty())
                .min_by_key(|both| both.from)
                .map(|both| (*other, both))
        })
    }

    fn held(&self, unit: UnitId, code: &Code) -> Vec<Validity> {
        let Some(history) = self.get(unit) else { return Vec::new() };
        let held = history
            .identifiers
            .iter()
            .filter(|held| held.scheme == code.scheme && held.value == code.value);
        held.flat_map(|held| {
            let lives = history.versions.iter();
            lives.map(|version| version.validity.intersection(held.validity))
        })
        .filter(|held| !held.is_empty())
        .collect()
    }

    /// The first day from this one on, before the other one, on which the unit is under itself, and those in between.
    pub(super) fn cycle(
        &self,
        unit: UnitId,
        day: NaiveDate,
        until: Option<NaiveDate>,
    ) -> Option<(NaiveDate, Vec<UnitId>)> {
        let mut day = day;
        loop {
            // Until when those above it are the same.
            let mut same_until = until;
            let mut path = vec![unit];
            let mut seen = HashSet::new();
            let mut here = unit;
            while let Some(version) = self.version(here, day) {
                let end = version.validity.until;
                same_until = match (same_until, end) {
                    (Some(one), Some(two)) => Some(one.min(two)),
                    (one, two) => one.or(two),
                };
                let Some(parent) = version.parent else { break };
                if parent == unit {
                    return Some((day, path));
                }
                // Another cycle, which others are in.
                if !seen.insert(parent) {
                    break;
                }
                path.push(parent);
                here = parent;
            }
            day = same_until.filter(|end| until.is_none_or(|until| *end < until))?;
        }
    }
}

/// When what is the same no longer is, counted from this day, and what is there then: another version, or nothing.
fn next_change(
    history: &UnitHistory,
    day: NaiveDate,
    same: impl Fn(&Version, &Version) -> bool,
) -> (Option<NaiveDate>, Option<&Version>) {
    let mut versions =
        history.versions.iter().skip_while(|version| !version.validity.contains(day));
    let Some(now) = versions.next() else { return (None, None) };
    let mut until = now.validity.until;
    for version in versions {
        if until.is_none() || version.validity.from != until {
            break;
        }
        if !same(now, version) {
            return (until, Some(version));
        }
        until = version.validity.until;
    }
    (until, None)
}

/// Changes the versions from one day until another, and no others.
fn overwrite(
    versions: &mut Vec<Version>,
    day: NaiveDate,
    until: Option<NaiveDate>,
    set: impl Fn(&mut Version),
) {
    split(versions, day);
    until.into_iter().for_each(|until| split(versions, until));
    let over = Validity { from: Some(day), until };
    versions.iter_mut().filter(|version| over.covers(version.validity)).for_each(set);
}

/// Has a version begin on that day, if one is there then.
fn split(versions: &mut Vec<Version>, day: NaiveDate) {
    let at = versions
        .iter()
        .position(|version| version.validity.contains(day) && version.validity.from != Some(day));
    if let Some(at) = at {
        let mut after = versions[at].clone();
        versions[at].validity.until = Some(day);
        after.validity.from = Some(day);
        versions.insert(at + 1, after);
    }
}
