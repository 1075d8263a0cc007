//! Whatever is accepted, in whatever order it comes, is what a naive model makes of it from scratch for each day.
//!
//! The model knows a map from unit to what it is. It takes the facts of each reorganisation in the order of their dates, those
//! of one day in the order in which they were recorded. It knows no intervals, no codes but those of the day, no exceptions.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use chrono::Days;
use dunghan_hierarchy::{Identifier, NSO, UnitHistory, Validity, Version};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::*;

const OTHER: &str = "agency";
const NAMES: [&str; 5] = ["Xã An", "Xã Bình", "Phường Chính", "Huyện Đông", "Tỉnh Giang"];
const KINDS: [Kind; 3] = [Kind::Xa, Kind::Phuong, Kind::Huyen];
const LEVELS: [Level; 3] = [Level::Province, Level::District, Level::Commune];
/// Days on which something happens.
const DAYS: u64 = 8;

fn day(offset: u64) -> NaiveDate {
    "2025-01-01".parse::<NaiveDate>().unwrap() + Days::new(offset)
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Unit {
    name: String,
    kind: Kind,
    level: Level,
    parent: Option<UnitId>,
    codes: BTreeMap<String, String>,
}

type Units = BTreeMap<UnitId, Unit>;

#[derive(Clone, Debug)]
enum Fact {
    Begins(UnitId, Unit),
    /// And who takes those under it.
    Ends(UnitId, Option<UnitId>),
    Named(UnitId, String),
    Typed(UnitId, Kind),
    Placed(UnitId, Level),
    Under(UnitId, Option<UnitId>),
    Coded(UnitId, String, Option<String>),
}

#[derive(Clone, Debug, Default)]
struct Model {
    beginning: Units,
    /// In the order in which they were recorded.
    records: Vec<(NaiveDate, Vec<Fact>)>,
    edges: BTreeSet<(NaiveDate, UnitId, UnitId, EdgeKind)>,
}

impl Model {
    fn on(&self, day: NaiveDate) -> Units {
        let mut units = self.beginning.clone();
        let mut past: Vec<_> = self.records.iter().filter(|(date, _)| *date <= day).collect();
        past.sort_by_key(|(date, _)| *date);
        past.into_iter().for_each(|(_, facts)| happen(&mut units, facts));
        units
    }

    /// What an accepted reorganisation says, its references resolved; and it again with those.
    fn read(&self, reorganisation: &Reorganisation) -> (Vec<Fact>, Reorganisation) {
        let effective = reorganisation.effective;
        let (eve, today) = (self.on(effective.pred_opt().unwrap()), self.on(effective));
        let source = |reference: &UnitRef| who(reference, &eve).unwrap();
        let mut ending = BTreeSet::new();
        let mut codes_to_come = BTreeMap::new();
        for change in &reorganisation.changes {
            match change {
                Change::Merge { shares, into } => {
                    let whole = shares.iter().filter(|share| share.kind == EdgeKind::Merged);
                    ending.extend(whole.map(|share| source(&share.unit)));
                    codes_to_come.extend(new_code(into, effective));
                }
                Change::Split { unit, portions, continues, .. } => {
                    ending.extend((!continues).then(|| source(unit)));
                    let new = portions.iter().filter_map(|one| new_code(&one.into, effective));
                    codes_to_come.extend(new);
                }
                Change::Abolish { unit, .. } => ending.extend([source(unit)]),
                _ => {}
            }
        }
        for change in &reorganisation.changes {
            if let Change::Recode { unit, scheme, value: Some(value) } = change {
                let code = Code { scheme: scheme.clone(), value: value.clone() };
                codes_to_come.entry(code).or_insert_with(|| source(unit));
            }
        }
        let there = |reference: &UnitRef| match reference {
            UnitRef::Code(code) => match codes_to_come.get(code) {
                Some(unit) => *unit,
                None => who(reference, &today).unwrap(),
            },
            UnitRef::Unit(unit) => *unit,
        };

        let mut facts = Vec::new();
        let mut resolved = reorganisation.clone();
        let fixed = |reference: &mut UnitRef, unit: UnitId| {
            *reference = UnitRef::Unit(unit);
            unit
        };
        let begin = |target: &mut Target, facts: &mut Vec<Fact>| match target {
            Target::Existing(reference) => {
                let unit = there(reference);
                fixed(reference, unit)
            }
            Target::New(new) => {
                let unit = UnitId::new(&new.code.scheme, &new.code.value, Some(effective));
                let parent = new.parent.as_mut().map(|parent| {
                    let unit = there(parent);
                    fixed(parent, unit)
                });
                let begins = Unit {
                    name: new.display_name.clone(),
                    kind: new.kind,
                    level: new.level,
                    parent,
                    codes: BTreeMap::from([(new.code.scheme.clone(), new.code.value.clone())]),
                };
                if !today.contains_key(&unit) {
                    facts.push(Fact::Begins(unit, begins));
                }
                unit
            }
        };
        for change in &mut resolved.changes {
            match change {
                Change::Merge { shares, into } => {
                    let into = begin(into, &mut facts);
                    for Share { unit, kind } in shares {
                        let unit = fixed(unit, source(unit));
                        if *kind == EdgeKind::Merged {
                            facts.push(Fact::Ends(unit, Some(into)));
                        }
                    }
                }
                Change::Split { unit, portions, continues, children_to } => {
                    let unit = fixed(unit, source(unit));
                    for portion in portions {
                        begin(&mut portion.into, &mut facts);
                    }
                    let to = children_to.as_mut().map(|to| {
                        let unit = there(to);
                        fixed(to, unit)
                    });
                    facts.extend((!*continues).then_some(Fact::Ends(unit, to)));
                }
                Change::Abolish { unit, children_to } => {
                    let unit = fixed(unit, source(unit));
                    let to = children_to.as_mut().map(|to| {
                        let unit = there(to);
                        fixed(to, unit)
                    });
                    facts.push(Fact::Ends(unit, to));
                }
                Change::Rename { unit, display_name } => {
                    let unit = fixed(unit, source(unit));
                    facts.push(Fact::Named(unit, display_name.clone()));
                }
                Change::Retype { unit, kind, display_name, level } => {
                    let unit = fixed(unit, source(unit));
                    // What it says that was so the day before is no change.
                    let was = &eve[&unit];
                    let name = display_name.clone().filter(|name| *name != was.name);
                    facts.extend((*kind != was.kind).then_some(Fact::Typed(unit, *kind)));
                    facts.extend(name.map(|name| Fact::Named(unit, name)));
                    let level = level.filter(|level| *level != was.level);
                    facts.extend(level.map(|level| Fact::Placed(unit, level)));
                }
                Change::Transfer { unit, parent } => {
                    let unit = fixed(unit, source(unit));
                    let parent = parent.as_mut().map(|parent| {
                        let unit = there(parent);
                        fixed(parent, unit)
                    });
                    facts.push(Fact::Under(unit, parent));
                }
                Change::Recode { unit, scheme, value } => {
                    let unit = fixed(unit, source(unit));
                    facts.push(Fact::Coded(unit, scheme.clone(), value.clone()));
                }
            }
        }
        facts.retain(|fact| !matches!(fact, Fact::Ends(unit, _) if !today.contains_key(unit)));
        // To whom nobody goes leaves no trace, and might not be there once other things are known.
        let unheard = |unit: UnitId| {
            !today.iter().any(|(id, child)| child.parent == Some(unit) && stays(*id, &facts))
        };
        for change in &mut resolved.changes {
            if let Change::Split { unit: UnitRef::Unit(unit), children_to, .. }
            | Change::Abolish { unit: UnitRef::Unit(unit), children_to } = change
                && unheard(*unit)
            {
                *children_to = None;
            }
        }
        (facts, resolved)
    }

    fn record(&mut self, reorganisation: &Reorganisation) -> Reorganisation {
        let (facts, resolved) = self.read(reorganisation);
        let effective = reorganisation.effective;
        let id = |target: &Target| match target {
            Target::Existing(UnitRef::Unit(unit)) => *unit,
            Target::New(new) => UnitId::new(&new.code.scheme, &new.code.value, Some(effective)),
            Target::Existing(UnitRef::Code(_)) => unreachable!("it is resolved"),
        };
        let unit = |reference: &UnitRef| match reference {
            UnitRef::Unit(unit) => *unit,
            UnitRef::Code(_) => unreachable!("it is resolved"),
        };
        for change in &resolved.changes {
            match change {
                Change::Merge { shares, into } => self.edges.extend(
                    shares.iter().map(|one| (effective, unit(&one.unit), id(into), one.kind)),
                ),
                Change::Split { unit: split, portions, .. } => self.edges.extend(
                    portions.iter().map(|one| (effective, unit(split), id(&one.into), one.kind)),
                ),
                _ => {}
            }
        }
        self.records.push((effective, facts));
        resolved
    }
}

fn new_code(target: &Target, effective: NaiveDate) -> Option<(Code, UnitId)> {
    let Target::New(new) = target else { return None };
    let unit = UnitId::new(&new.code.scheme, &new.code.value, Some(effective));
    Some((new.code.clone(), unit))
}

fn who(reference: &UnitRef, units: &Units) -> Option<UnitId> {
    match reference {
        UnitRef::Unit(unit) => units.contains_key(unit).then_some(*unit),
        UnitRef::Code(code) => {
            let has = |unit: &Unit| unit.codes.get(&code.scheme) == Some(&code.value);
            units.iter().find(|(_, unit)| has(unit)).map(|(unit, _)| *unit)
        }
    }
}

/// Whether nothing is said of where the unit goes, if its parent ends.
fn stays(child: UnitId, facts: &[Fact]) -> bool {
    !facts.iter().any(|fact| match fact {
        Fact::Ends(unit, _) | Fact::Under(unit, _) => *unit == child,
        _ => false,
    })
}

/// All at once.
fn happen(units: &mut Units, facts: &[Fact]) {
    let before = units.clone();
    for fact in facts {
        match fact.clone() {
            Fact::Begins(unit, begins) => {
                units.insert(unit, begins);
            }
            Fact::Ends(unit, heir) => {
                units.remove(&unit);
                for (child, was) in &before {
                    if was.parent == Some(unit) && stays(*child, facts) {
                        units.get_mut(child).unwrap().parent = heir;
                    }
                }
            }
            Fact::Named(unit, name) => units.get_mut(&unit).unwrap().name = name,
            Fact::Typed(unit, kind) => units.get_mut(&unit).unwrap().kind = kind,
            Fact::Placed(unit, level) => units.get_mut(&unit).unwrap().level = level,
            Fact::Under(unit, parent) => units.get_mut(&unit).unwrap().parent = parent,
            Fact::Coded(unit, scheme, Some(value)) => {
                units.get_mut(&unit).unwrap().codes.insert(scheme, value);
            }
            Fact::Coded(unit, scheme, None) => {
                units.get_mut(&unit).unwrap().codes.remove(&scheme);
            }
        }
    }
}

/// Numbers from which something is made that mostly fits the units there are.
#[derive(Clone, Debug)]
struct Seed {
    day: u64,
    changes: Vec<(u8, [usize; 5])>,
}

fn seeds() -> impl Strategy<Value = (Vec<(usize, u8)>, Vec<Seed>)> {
    let change = (0..20u8, prop::array::uniform5(0..10_000usize));
    let seed = (0..DAYS, prop::collection::vec(change, 1..4))
        .prop_map(|(day, changes)| Seed { day: day + 1, changes });
    let unit = (0..1000usize, 0..16u8);
    (prop::collection::vec(unit, 2..8), prop::collection::vec(seed, 1..14))
}

/// Units that are there from the beginning; of some a list says that their name changes, and of one when it begins.
fn beginning(plan: &[(usize, u8)]) -> (Arc<Hierarchy>, Model) {
    let id = |at: usize| UnitId::new(NSO, &format!("{at}"), None);
    let mut model = Model::default();
    let mut histories = Vec::new();
    for (at, (parent, extra)) in plan.iter().enumerate() {
        let parent = (at > 0 && parent % 4 > 0).then(|| id(parent % at));
        let codes = BTreeMap::from([(NSO.to_owned(), format!("{at}"))]);
        let (name, kind, level) = (NAMES[at % 3].to_owned(), KINDS[at % 3], LEVELS[at % 3]);
        let unit = Unit { name, kind, level, parent, codes };
        let version = |validity, name: &str| Version {
            validity,
            display_name: name.to_owned(),
            kind,
            level,
            parent,
        };
        let listed = day(u64::from(*extra) % DAYS + 1);
        let mut versions = vec![version(Validity::OPEN, &unit.name)];
        if at + 1 == plan.len() && *extra < 4 {
            versions = vec![version(Validity::since(listed), &unit.name)];
            model.records.push((listed, vec![Fact::Begins(id(at), unit)]));
        } else {
            if *extra == 15 {
                let name = NAMES[at % 3 + 1];
                versions = vec![
                    version(Validity::before(listed), &unit.name),
                    version(Validity::since(listed), name),
                ];
                model.records.push((listed, vec![Fact::Named(id(at), name.to_owned())]));
            }
            model.beginning.insert(id(at), unit);
        }
        let value = format!("{at}");
        let identifiers =
            vec![Identifier { scheme: NSO.to_owned(), value, validity: Validity::OPEN }];
        histories.push(UnitHistory { id: id(at), versions, identifiers });
    }
    (Arc::new(Hierarchy::build(1, histories).unwrap()), model)
}

fn one_in(many: usize, number: usize) -> bool {
    number.is_multiple_of(many)
}

/// Makes reorganisations that are about units that are there, but may contradict themselves, what comes later, or a rule.
struct Maker {
    eve: Units,
    today: Units,
    /// Those that something can happen to, and those that something was said of.
    lasting: Vec<UnitId>,
    used: BTreeSet<UnitId>,
    new: Vec<Code>,
}

impl Maker {
    /// One of these that nothing was said of, or sometimes of which something was.
    fn pick(&self, of: impl Iterator<Item = UnitId>, number: usize) -> UnitId {
        let all: Vec<_> = of.collect();
        let unused: Vec<_> = all.iter().filter(|unit| !self.used.contains(unit)).collect();
        match number / 1000 % 8 {
            1.. if !unused.is_empty() => *unused[number % unused.len()],
            _ => all[number % all.len()],
        }
    }

    /// By its id or, as often, by a code.
    fn refer(unit: UnitId, units: &Units, number: usize) -> UnitRef {
        match units[&unit].codes.get(NSO) {
            Some(value) if one_in(2, number / 100) => {
                UnitRef::Code(Code { scheme: NSO.to_owned(), value: value.clone() })
            }
            _ => UnitRef::Unit(unit),
        }
    }

    fn source(&mut self, number: usize) -> (UnitId, UnitRef) {
        let unit = self.pick(self.lasting.iter().copied(), number);
        self.used.insert(unit);
        (unit, Self::refer(unit, &self.eve, number))
    }

    fn there(&self, number: usize) -> UnitRef {
        match self.new.last() {
            Some(new) if one_in(4, number / 200) => UnitRef::Code(new.clone()),
            _ => {
                let unit = self.pick(self.today.keys().copied(), number);
                Self::refer(unit, &self.today, number)
            }
        }
    }

    fn some(&self, number: usize) -> Option<UnitRef> {
        (!one_in(4, number / 50)).then(|| self.there(number))
    }

    fn target(&mut self, number: usize, instead: UnitId) -> Target {
        if one_in(3, number / 10) {
            return Target::Existing(self.there(number));
        }
        let was = self.eve[&instead].clone();
        let own = was.codes.get(NSO).cloned().filter(|_| one_in(2, number / 10));
        let value = own.unwrap_or_else(|| format!("n{}", number % 12));
        let code = Code { scheme: NSO.to_owned(), value };
        let parent = match number % 5 {
            0 => None,
            1..3 => Some(self.there(number)),
            _ => was.parent.filter(|parent| self.today.contains_key(parent)).map(UnitRef::Unit),
        };
        self.new.push(code.clone());
        let display_name = NAMES[number % NAMES.len()].to_owned();
        Target::New(NewUnit { code, display_name, kind: was.kind, level: was.level, parent })
    }

    fn change(&mut self, what: u8, n: &[usize; 5]) -> Change {
        let parts = [EdgeKind::SplitMain, EdgeKind::SplitPart];
        let (source, unit) = self.source(n[0]);
        match what {
            0..=4 => {
                let kind = if what < 3 { EdgeKind::Merged } else { parts[n[4] % 2] };
                let mut shares = vec![Share { unit, kind }];
                if one_in(2, n[2]) {
                    shares.push(Share { unit: self.source(n[3]).1, kind: EdgeKind::Merged });
                }
                Change::Merge { shares, into: self.target(n[1], source) }
            }
            5..=7 => {
                let portions = vec![
                    Portion { into: self.target(n[1], source), kind: parts[0] },
                    Portion { into: self.target(n[2], source), kind: parts[1] },
                ];
                let continues = what == 5;
                let children_to = self.some(n[3]).filter(|_| !continues);
                Change::Split { unit, portions, continues, children_to }
            }
            8..=9 => Change::Rename { unit, display_name: NAMES[n[1] % NAMES.len()].to_owned() },
            10..=11 => {
                let display_name =
                    one_in(2, n[2]).then(|| NAMES[n[2] / 2 % NAMES.len()].to_owned());
                let level = one_in(2, n[3]).then(|| LEVELS[n[3] / 2 % LEVELS.len()]);
                Change::Retype { unit, kind: KINDS[n[1] % KINDS.len()], display_name, level }
            }
            12..=15 => Change::Transfer { unit, parent: self.some(n[1]) },
            16..=17 => {
                let scheme = if one_in(2, n[1]) { NSO } else { OTHER }.to_owned();
                let value = (!one_in(4, n[2])).then(|| format!("n{}", n[2] % 12));
                Change::Recode { unit, scheme, value }
            }
            _ => Change::Abolish { unit, children_to: self.some(n[1]) },
        }
    }
}

fn reorganisation(model: &Model, number: usize, seed: &Seed) -> Option<Reorganisation> {
    let effective = day(seed.day);
    let (eve, today) = (model.on(effective.pred_opt()?), model.on(effective));
    let lasting: Vec<UnitId> =
        eve.keys().filter(|unit| today.contains_key(unit)).copied().collect();
    if lasting.is_empty() {
        return None;
    }
    let mut maker = Maker { eve, today, lasting, used: BTreeSet::new(), new: Vec::new() };
    let changes = seed.changes.iter().map(|(what, n)| maker.change(*what, n)).collect();
    Some(Reorganisation { id: format!("r{number}").into(), effective, changes })
}

/// How often what was tried, so that the test cannot come to test nothing.
#[derive(Debug, Default)]
struct Tried {
    accepted: usize,
    /// Accepted after something that happens later.
    retroactive: usize,
    same_day: usize,
    passed_along: usize,
    ended: usize,
    retroactive_ends: usize,
    retroactive_transfers: usize,
    edges: usize,
    changes: BTreeMap<&'static str, usize>,
    refused: BTreeMap<ChangeReason, usize>,
    /// How many of what was accepted was recorded again in the order of its dates.
    in_order: usize,
}

fn word(change: &Change) -> &'static str {
    match change {
        Change::Merge { .. } => "merge",
        Change::Split { .. } => "split",
        Change::Rename { .. } => "rename",
        Change::Retype { .. } => "retype",
        Change::Transfer { .. } => "transfer",
        Change::Recode { .. } => "recode",
        Change::Abolish { .. } => "abolish",
    }
}

fn as_the_model_says(hierarchy: &Hierarchy, model: &Model) -> Result<(), TestCaseError> {
    for offset in 0..=DAYS + 2 {
        let date = day(offset);
        let units = hierarchy.histories().filter_map(|history| {
            let version = history.version_on(date)?;
            let held = history.identifiers.iter().filter(|held| held.validity.contains(date));
            let unit = Unit {
                name: version.display_name.clone(),
                kind: version.kind,
                level: version.level,
                parent: version.parent,
                codes: held.map(|held| (held.scheme.clone(), held.value.clone())).collect(),
            };
            Some((history.id, unit))
        });
        let units: Units = units.collect();
        prop_assert_eq!(&units, &model.on(date), "on {}", date);

        let mut codes = BTreeSet::new();
        for (unit, is) in &units {
            let path = hierarchy.ancestors(*unit, date);
            prop_assert!(
                path.len() < units.len() && path.iter().all(|one| units.contains_key(one))
            );
            let top = path.last().unwrap_or(unit);
            prop_assert_eq!(units[top].parent, None);
            for (scheme, value) in &is.codes {
                prop_assert!(codes.insert((scheme, value)), "{} of {} twice", value, scheme);
                prop_assert_eq!(hierarchy.by_code(scheme, value, date), Ok(*unit));
            }
        }
    }
    let edges: BTreeSet<_> = hierarchy
        .edges()
        .iter()
        .map(|edge| (edge.effective, edge.predecessor, edge.successor, edge.kind))
        .collect();
    prop_assert_eq!(edges.len(), hierarchy.edges().len());
    prop_assert_eq!(&edges, &model.edges);
    for (date, predecessor, successor, _) in edges {
        prop_assert!(hierarchy.unit(predecessor, date.pred_opt().unwrap()).is_some());
        prop_assert!(hierarchy.unit(successor, date).is_some());
    }
    Ok(())
}

fn same(one: &Hierarchy, two: &Hierarchy) -> Result<(), TestCaseError> {
    prop_assert_eq!(one.version(), two.version());
    prop_assert!(one.histories().eq(two.histories()));
    prop_assert_eq!(one.edges(), two.edges());
    Ok(())
}

fn one_run(plan: &[(usize, u8)], seeds: &[Seed], tried: &mut Tried) -> Result<(), TestCaseError> {
    let (first, mut model) = beginning(plan);
    as_the_model_says(&first, &model)?;
    let listed = !model.records.is_empty();
    let mut now = first.clone();
    let mut accepted: Vec<Reorganisation> = Vec::new();
    let mut resolved = Vec::new();
    let mut restated = false;
    for (number, seed) in seeds.iter().enumerate() {
        let Some(next) = reorganisation(&model, number, seed) else { continue };
        match apply(&now, std::slice::from_ref(&next)) {
            Ok(applied) => {
                let eve = model.on(next.effective.pred_opt().unwrap());
                restated |= next.changes.iter().any(|change| {
                    let Change::Retype { unit, kind, display_name, level } = change else {
                        return false;
                    };
                    let was = &eve[&who(unit, &eve).unwrap()];
                    *kind == was.kind
                        || display_name.as_ref() == Some(&was.name)
                        || *level == Some(was.level)
                });
                resolved.push(model.record(&next));
                as_the_model_says(&applied.hierarchy, &model)?;
                what_it_says_of_itself(&now, &applied, next.effective)?;
                count(&accepted, &next, &applied, tried);
                now = applied.hierarchy;
                accepted.push(next);
            }
            Err(problems) => {
                problems.iter().for_each(|one| *tried.refused.entry(one.reason).or_default() += 1);
                prop_assert!(problems.iter().all(|one| one.field != "changes"), "{:?}", problems);
                // In one go with those before it, it is refused for the same reasons, and they with it.
                let number = accepted.len();
                let mut all = accepted.clone();
                all.push(next);
                let together = apply(&first, &all).unwrap_err();
                let moved =
                    problems.into_iter().map(|one| ChangeProblem { reorganisation: number, ..one });
                prop_assert_eq!(together, moved.collect::<Vec<_>>());
            }
        }
    }
    same(&apply(&first, &accepted).unwrap().hierarchy, &now)?;

    // Nothing is refused for what comes later when nothing is known of it: neither from a list, nor from a change of kind that
    // repeated what was so, and would say something new if that had been changed before.
    if !restated && !listed {
        resolved.sort_by_key(|one| one.effective);
        match apply(&first, &resolved) {
            Ok(applied) => {
                tried.in_order += resolved.len();
                as_the_model_says(&applied.hierarchy, &model)?;
            }
            Err(problems) => {
                // Between two of one day there is a state that was never there the way round in which they came.
                let refused = &resolved[problems[0].reorganisation];
                let same_day = resolved.iter().filter(|one| one.effective == refused.effective);
                prop_assert!(same_day.count() > 1, "{:?}", problems);
            }
        }
    }
    Ok(())
}

/// The units and edges that it names as new or changed are all that are, and its effects are what can be seen on the day.
fn what_it_says_of_itself(
    before: &Hierarchy,
    applied: &Applied,
    effective: NaiveDate,
) -> Result<(), TestCaseError> {
    let after = &applied.hierarchy;
    let changed: Vec<_> = after
        .histories()
        .filter(|history| before.get(history.id) != Some(*history))
        .map(|history| history.id)
        .collect();
    prop_assert_eq!(&applied.changed, &changed);
    let mut edges: Vec<_> = before.edges().iter().chain(&applied.edges).collect();
    edges.sort();
    prop_assert_eq!(edges, after.edges().iter().collect::<Vec<_>>());

    let on = |hierarchy: &Hierarchy, unit: UnitId| {
        let view = hierarchy.unit(unit, effective)?;
        let version = Version { validity: Validity::OPEN, ..view.version.clone() };
        let codes = [NSO, OTHER].map(|scheme| view.code(scheme).map(str::to_owned));
        Some((version, codes))
    };
    let mut seen = BTreeMap::new();
    for unit in &changed {
        match (on(before, *unit), on(after, *unit)) {
            (None, Some(_)) => seen.insert(*unit, BTreeSet::from([Effect::Created])),
            (Some(_), None) => seen.insert(*unit, BTreeSet::from([Effect::Ended])),
            (was, is) if was == is => None,
            _ => seen.insert(*unit, BTreeSet::from([Effect::Changed, Effect::PassedAlong])),
        };
    }
    let effects = &applied.effects[0];
    prop_assert!(effects.iter().map(|(unit, _)| unit).eq(seen.keys()), "{:?} {:?}", effects, seen);
    prop_assert!(effects.iter().all(|(unit, effect)| seen[unit].contains(effect)));
    Ok(())
}

fn count(before: &[Reorganisation], next: &Reorganisation, applied: &Applied, tried: &mut Tried) {
    let late = before.iter().any(|one| one.effective > next.effective);
    tried.accepted += 1;
    tried.retroactive += usize::from(late);
    tried.same_day += usize::from(before.iter().any(|one| one.effective == next.effective));
    tried.edges += applied.edges.len();
    let effects = &applied.effects[0];
    let many = |effect| effects.iter().filter(|(_, one)| *one == effect).count();
    tried.passed_along += many(Effect::PassedAlong);
    tried.ended += many(Effect::Ended);
    tried.retroactive_ends += if late { many(Effect::Ended) } else { 0 };
    for change in &next.changes {
        *tried.changes.entry(word(change)).or_default() += 1;
        let transfer = matches!(change, Change::Transfer { .. });
        tried.retroactive_transfers += usize::from(late && transfer);
    }
}

#[test]
fn any_sequence_in_any_order_gives_on_every_day_what_replaying_from_scratch_gives() {
    let tried = RefCell::new(Tried::default());
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let cases = runner.config().cases as usize;
    let outcome =
        runner.run(&seeds(), |(plan, seeds)| one_run(&plan, &seeds, &mut tried.borrow_mut()));
    let tried = tried.into_inner();
    assert!(outcome.is_ok(), "{}\n{tried:?}", outcome.unwrap_err());

    // A few cases say nothing of what there would be over many.
    let often = |count: usize, one_in: usize| count >= cases / one_in;
    let enough = often(tried.accepted, 1)
        && often(tried.retroactive, 4)
        && often(tried.same_day, 8)
        && often(tried.passed_along, 20)
        && often(tried.ended, 2)
        && often(tried.edges, 2)
        && often(tried.retroactive_ends, 50)
        && often(tried.retroactive_transfers, 40)
        && often(tried.in_order, 2);
    assert!(enough, "of {cases} cases: {tried:?}");
    let changes = ["merge", "split", "rename", "retype", "transfer", "recode", "abolish"];
    let accepted = |word| tried.changes.get(word).copied().unwrap_or_default();
    assert!(changes.iter().all(|word| often(accepted(word), 10)), "of {cases} cases: {tried:?}");
    let refused = |reason| tried.refused.get(&reason).copied().unwrap_or_default();
    let reasons = [
        ChangeReason::UnitNotValid,
        ChangeReason::IntoItself,
        ChangeReason::Contradict,
        ChangeReason::ChangedLater,
        ChangeReason::ChildrenLeft,
        ChangeReason::WithoutEffect,
        ChangeReason::CodeTaken,
        ChangeReason::ParentNotValid,
        ChangeReason::Cycle,
    ];
    assert!(reasons.iter().all(|one| often(refused(*one), 20)), "of {cases} cases: {tried:?}");
}
