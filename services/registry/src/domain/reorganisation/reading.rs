//! Reads one reorganisation against the units: who is meant, who ends, who begins, who passes along.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;
use dunghan_hierarchy::{Edge, EdgeKind, UnitId};

use super::plan::{Created, Plan, Statement};
use super::working::{What, Working};
use super::{
    Change, ChangeReason, NewUnit, Place, Portion, Problems, Reorganisation, Share, Target, UnitRef,
};
use crate::domain::import::Code;

/// What a reorganisation says, or everything in which it contradicts itself or the units as they are.
pub(super) fn read<'r>(
    working: &Working<'_>,
    reorganisation: &'r Reorganisation,
) -> Result<Plan<'r>, Problems> {
    let mut reader = Reader::new(working, reorganisation);
    let changes = || (0..).zip(&reorganisation.changes);
    let sources: Vec<_> = changes().map(|(at, change)| reader.sources(at, change)).collect();
    reader.lasting_units_that_end();
    reader.created();
    for ((at, change), sources) in changes().zip(&sources) {
        reader.targets(at, change, sources);
    }
    reader.pass_along();
    reader.problems.none()?;
    let ends = reader.ends.into_iter().filter(|(_, end)| end.there);
    Ok(Plan {
        day: reader.day,
        ends: ends.map(|(unit, end)| (unit, end.place)).collect(),
        created: reader.new_units,
        statements: reader.statements,
        edges: reader.edges,
    })
}

/// What is stated at most once of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Attribute<'r> {
    Name,
    Kind,
    Level,
    Parent,
    Code(&'r str),
}

/// How a value that is stated relates to what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    News,
    /// So since that very day: something else said it before.
    Known,
    /// So before as well.
    Nothing,
    /// So before, but on that very day something else changed it, which is to be corrected and not undone.
    Undone,
}

impl Weight {
    fn of<T: PartialEq>(eve: &T, day: &T, stated: &T) -> Self {
        match (stated == day, stated == eve) {
            (false, false) => Self::News,
            (true, false) => Self::Known,
            (true, true) => Self::Nothing,
            (false, true) => Self::Undone,
        }
    }
}

/// A unit that ends.
struct End {
    /// The field that says so.
    place: Place,
    /// The field that says where those under it go, or could.
    children: Place,
    heir: Heir,
    /// It is still there on the day; else something ended it then already.
    there: bool,
}

#[derive(Clone, Copy)]
enum Heir {
    Unit(UnitId),
    Nobody,
    /// What is said of it does not hold; that is told.
    Unclear,
}

/// Why a target or parent is not there.
enum Absent {
    Unknown,
    /// It ends on the day itself.
    Ends(UnitId),
    /// It gives the code up on the day itself.
    Recoded(UnitId),
}

/// One reading, of one reorganisation.
struct Reader<'w, 'b, 'r> {
    working: &'w Working<'b>,
    reorganisation: &'r Reorganisation,
    /// The effective date and the day before.
    day: NaiveDate,
    eve: Option<NaiveDate>,
    problems: Problems,
    ends: BTreeMap<UnitId, End>,
    /// Those of which something is said that goes on, and where.
    lasting: Vec<(UnitId, Place)>,
    split: HashMap<UnitId, Place>,
    stated: HashMap<(UnitId, Attribute<'r>), Place>,
    /// Whom a change gives a code.
    recoded: HashMap<Code, UnitId>,
    /// Every mention of a new unit.
    mentioned: Vec<(Place, &'r NewUnit)>,
    new_ids: HashMap<UnitId, &'r NewUnit>,
    new_units: Vec<Created<'r>>,
    statements: Vec<Statement<'r>>,
    /// What passes to whom from a unit, by this reorganisation.
    passes: HashMap<UnitId, Vec<(UnitId, EdgeKind)>>,
    edges: Vec<Edge>,
}

impl<'w, 'b, 'r> Reader<'w, 'b, 'r> {
    fn new(working: &'w Working<'b>, reorganisation: &'r Reorganisation) -> Self {
        Self {
            working,
            reorganisation,
            day: reorganisation.effective,
            eve: reorganisation.effective.pred_opt(),
            problems: Problems::default(),
            ends: BTreeMap::new(),
            lasting: Vec::new(),
            split: HashMap::new(),
            stated: HashMap::new(),
            recoded: HashMap::new(),
            mentioned: Vec::new(),
            new_ids: HashMap::new(),
            new_units: Vec::new(),
            statements: Vec::new(),
            passes: HashMap::new(),
            edges: Vec::new(),
        }
    }

    fn called(&self, unit: UnitId) -> String {
        match self.new_ids.get(&unit) {
            Some(new) => format!("{} ({})", new.display_name, new.code.value),
            None => self.working.called(unit, self.eve.unwrap_or(self.day)),
        }
    }

    /// Reads whom the change is about, and everything that does not depend on who is there on the day.
    fn sources(&mut self, at: usize, change: &'r Change) -> Vec<Option<UnitId>> {
        match change {
            Change::Merge { shares, into } => {
                let place = Place::new(at, "merge.shares");
                if shares.is_empty() {
                    self.invalid(place, "names no unit");
                }
                self.mention(into, Place::new(at, "merge.into"));
                (0..)
                    .zip(shares)
                    .map(|(at, share)| self.share(place.at(at, ".unit"), share))
                    .collect()
            }
            Change::Split { unit, portions, continues, children_to } => {
                let place = Place::new(at, "split.unit");
                let children = Place::new(at, "split.children_to");
                self.portions(Place::new(at, "split.portions"), portions);
                if *continues && children_to.is_some() {
                    self.invalid(children, "the unit goes on, and those under it stay there");
                }
                let unit = self.source(unit, place);
                if let Some(unit) = unit {
                    if let Some(before) = self.split.insert(unit, place) {
                        self.contradicts(place, unit, "is split", before);
                    }
                    if *continues {
                        self.lasts(unit, place);
                    } else {
                        self.end(unit, place, children);
                    }
                }
                vec![unit]
            }
            Change::Rename { unit, display_name } => {
                let named = Place::new(at, "rename.display_name");
                let fine = self.not_blank(named, display_name);
                let place = Place::new(at, "rename.unit");
                let source = self.source(unit, place).filter(|unit| self.lasts(*unit, place));
                if let Some(unit) = source.filter(|_| fine) {
                    self.attributes(unit, place, &[What::Name(display_name)]);
                }
                vec![source]
            }
            Change::Retype { unit, kind, display_name, level } => {
                let named = Place::new(at, "retype.display_name");
                let fine = display_name.as_ref().is_none_or(|name| self.not_blank(named, name));
                let place = Place::new(at, "retype.unit");
                let source = self.source(unit, place).filter(|unit| self.lasts(*unit, place));
                if let Some(unit) = source.filter(|_| fine) {
                    let name = display_name.as_deref().map(What::Name);
                    let said = [Some(What::Kind(*kind)), name, level.map(What::Level)];
                    self.attributes(unit, place, &said.into_iter().flatten().collect::<Vec<_>>());
                }
                vec![source]
            }
            Change::Transfer { unit, .. } => {
                let place = Place::new(at, "transfer.unit");
                let source = self.source(unit, place).filter(|unit| self.lasts(*unit, place));
                if let Some(unit) = source {
                    self.once(unit, Attribute::Parent, place);
                }
                vec![source]
            }
            Change::Recode { unit, scheme, value } => {
                let mut fine = self.not_blank(Place::new(at, "recode.scheme"), scheme);
                let coded = Place::new(at, "recode.value");
                fine &= value.as_ref().is_none_or(|value| self.not_blank(coded, value));
                let place = Place::new(at, "recode.unit");
                let source = self.source(unit, place).filter(|unit| self.lasts(*unit, place));
                if let Some(unit) = source.filter(|_| fine) {
                    self.code(unit, place, coded, scheme, value.as_deref());
                }
                vec![source]
            }
            Change::Abolish { unit, .. } => {
                let place = Place::new(at, "abolish.unit");
                let source = self.source(unit, place);
                if let Some(unit) = source {
                    self.end(unit, place, Place::new(at, "abolish.children_to"));
                }
                vec![source]
            }
        }
    }

    fn share(&mut self, place: Place, share: &Share) -> Option<UnitId> {
        let unit = self.source(&share.unit, place)?;
        if share.kind == EdgeKind::Merged {
            self.end(unit, place, place);
        }
        Some(unit)
    }

    fn portions(&mut self, place: Place, portions: &'r [Portion]) {
        if portions.is_empty() {
            self.invalid(place, "says nothing of what the parts become");
        }
        for (at, portion) in (0..).zip(portions) {
            if portion.kind == EdgeKind::Merged {
                self.invalid(place.at(at, ".kind"), "is all of the unit, which is no part");
            }
            self.mention(&portion.into, place.at(at, ".into"));
        }
    }

    fn mention(&mut self, target: &'r Target, place: Place) {
        let Target::New(new) = target else { return };
        let mut fine = self.not_blank(place.of(".new_unit.display_name"), &new.display_name);
        for part in [&new.code.scheme, &new.code.value] {
            fine = fine && self.not_blank(place.of(".new_unit.identifier"), part);
        }
        if fine {
            self.mentioned.push((place, new));
            self.new_ids.entry(self.id(new)).or_insert(new);
        }
    }

    fn id(&self, new: &NewUnit) -> UnitId {
        UnitId::new(&new.code.scheme, &new.code.value, Some(self.day))
    }

    fn invalid(&mut self, place: Place, message: &str) {
        self.problems.add(place, ChangeReason::Invalid, message);
    }

    fn not_blank(&mut self, place: Place, text: &str) -> bool {
        let blank = text.trim().is_empty();
        if blank {
            self.invalid(place, "is empty");
        }
        !blank
    }

    fn contradicts(&mut self, place: Place, unit: UnitId, what: &str, before: Place) {
        let message = format!("{} {what} by changes[{}] too", self.called(unit), before.change);
        self.problems.add(place, ChangeReason::Contradict, message);
    }

    /// A unit that something happens to: it is there the day before.
    fn source(&mut self, reference: &UnitRef, place: Place) -> Option<UnitId> {
        let there = |unit: UnitId| {
            self.eve.is_some_and(|eve| self.working.version(unit, eve).is_some()).then_some(unit)
        };
        let found = match reference {
            UnitRef::Unit(unit) => there(*unit),
            UnitRef::Code(code) => self.eve.and_then(|eve| self.working.by_code(code, eve)),
        };
        if found.is_none() {
            let day = self.eve.unwrap_or(self.day);
            let message = match reference {
                UnitRef::Unit(unit) if self.working.get(*unit).is_none() => {
                    format!("there is no {unit}")
                }
                UnitRef::Unit(unit) => {
                    format!("{} is not there on {day}", self.working.called(*unit, day))
                }
                UnitRef::Code(code) => format!("no unit has the code {code} on {day}"),
            };
            self.problems.add(place, ChangeReason::UnitNotValid, message);
        }
        found
    }

    /// Notes that something is said of the unit for which it has to be there on the day.
    fn lasts(&mut self, unit: UnitId, place: Place) -> bool {
        let there = self.working.version(unit, self.day).is_some();
        if there {
            self.lasting.push((unit, place));
        } else {
            let message = format!("{} ends on {} already", self.called(unit), self.day);
            self.problems.add(place, ChangeReason::UnitNotValid, message);
        }
        there
    }

    fn end(&mut self, unit: UnitId, place: Place, children: Place) {
        if let Some(before) = self.ends.get(&unit) {
            let before = before.place;
            self.contradicts(place, unit, "ends", before);
            return;
        }
        let there = self.working.version(unit, self.day).is_some();
        if there && let Some(known) = self.working.known_after(unit, self.day) {
            let message = format!("{} {known}; correct that first", self.called(unit));
            self.problems.add(place, ChangeReason::ChangedLater, message);
        }
        self.ends.insert(unit, End { place, children, heir: Heir::Unclear, there });
    }

    fn lasting_units_that_end(&mut self) {
        for (unit, place) in std::mem::take(&mut self.lasting) {
            if let Some(end) = self.ends.get(&unit) {
                let before = end.place;
                self.contradicts(place, unit, "ends", before);
            }
        }
    }

    /// Whether nothing else states that of the unit.
    fn once(&mut self, unit: UnitId, attribute: Attribute<'r>, place: Place) -> bool {
        let before = match self.stated.entry((unit, attribute)) {
            Entry::Vacant(free) => {
                free.insert(place);
                return true;
            }
            Entry::Occupied(before) => *before.get(),
        };
        let what = match attribute {
            Attribute::Name => "is given a name",
            Attribute::Kind => "is given a kind",
            Attribute::Level => "is given a level",
            Attribute::Parent => "is transferred",
            Attribute::Code(_) => "is given a code of that scheme",
        };
        self.contradicts(place, unit, what, before);
        false
    }

    /// A name, a kind, a level that one change states.
    fn attributes(&mut self, unit: UnitId, place: Place, said: &[What<'r>]) {
        let day = self.working.version(unit, self.day);
        let eve = self.eve.and_then(|eve| self.working.version(unit, eve));
        let (Some(eve), Some(day)) = (eve, day) else { return };
        let mut weights = Vec::with_capacity(said.len());
        for what in said {
            let (attribute, weight) = match what {
                What::Name(name) => {
                    let known = (eve.display_name.as_str(), day.display_name.as_str());
                    (Attribute::Name, Weight::of(&known.0, &known.1, name))
                }
                What::Kind(kind) => (Attribute::Kind, Weight::of(&eve.kind, &day.kind, kind)),
                What::Level(level) => (Attribute::Level, Weight::of(&eve.level, &day.level, level)),
                What::Parent(_) | What::Code(..) => continue,
            };
            if !self.once(unit, attribute, place) {
                return;
            }
            weights.push(weight);
            if weight == Weight::News {
                self.statements.push(Statement { unit, what: *what, place, passes_along: false });
            }
        }
        self.weigh(unit, place, &weights);
    }

    /// Refuses what changes nothing: all of it, or what would undo.
    fn weigh(&mut self, unit: UnitId, place: Place, weights: &[Weight]) {
        let (unit, reason) = (self.called(unit), ChangeReason::WithoutEffect);
        if weights.contains(&Weight::Undone) {
            let day = self.day;
            let message =
                format!("{unit} is so before {day} and not on {day}; correct what changes it then");
            self.problems.add(place, reason, message);
        } else if weights.iter().all(|weight| *weight == Weight::Nothing) {
            self.problems.add(place, reason, format!("{unit} is so already"));
        }
    }

    fn code(
        &mut self,
        unit: UnitId,
        place: Place,
        coded: Place,
        scheme: &'r str,
        value: Option<&'r str>,
    ) {
        let Some(history) = self.working.get(unit) else { return };
        let eve = self.eve.and_then(|eve| history.code_on(scheme, eve));
        let weight = Weight::of(&eve, &history.code_on(scheme, self.day), &value);
        if !self.once(unit, Attribute::Code(scheme), place) {
            return;
        }
        if let Some(value) = value {
            let code = Code { scheme: scheme.to_owned(), value: value.to_owned() };
            self.recoded.insert(code, unit);
        }
        self.weigh(unit, place, &[weight]);
        if weight == Weight::News {
            let what = What::Code(scheme, value);
            self.statements.push(Statement { unit, what, place: coded, passes_along: false });
        }
    }

    /// Who is meant on the day.
    fn resolve(&self, reference: &UnitRef) -> Result<UnitId, Absent> {
        let unit = match reference {
            UnitRef::Unit(unit) => *unit,
            UnitRef::Code(code) => {
                let new = UnitId::new(&code.scheme, &code.value, Some(self.day));
                if self.new_ids.contains_key(&new) {
                    return Ok(new);
                }
                if let Some(unit) = self.recoded.get(code) {
                    return Ok(*unit);
                }
                let holder = self.working.by_code(code, self.day).ok_or(Absent::Unknown)?;
                if self.stated.contains_key(&(holder, Attribute::Code(&code.scheme))) {
                    return Err(Absent::Recoded(holder));
                }
                holder
            }
        };
        if self.ends.contains_key(&unit) {
            Err(Absent::Ends(unit))
        } else if self.new_ids.contains_key(&unit) || self.working.version(unit, self.day).is_some()
        {
            Ok(unit)
        } else {
            Err(Absent::Unknown)
        }
    }

    /// Who is meant on the day, which none of `itself` may be.
    fn target(
        &mut self,
        reference: &UnitRef,
        place: Place,
        reason: ChangeReason,
        itself: &[(UnitId, Place)],
    ) -> Option<UnitId> {
        let found = self.resolve(reference);
        if let Ok(unit) | Err(Absent::Ends(unit)) = found {
            let into_itself: Vec<_> = itself.iter().filter(|(itself, _)| *itself == unit).collect();
            for (_, place) in &into_itself {
                let message =
                    format!("{} would become itself, or be under itself", self.called(unit));
                self.problems.add(*place, ChangeReason::IntoItself, message);
            }
            if !into_itself.is_empty() {
                return None;
            }
        }
        let day = self.day;
        let message = match found {
            Ok(unit) => return Some(unit),
            Err(Absent::Ends(unit)) => format!("{} ends on {day} itself", self.called(unit)),
            Err(Absent::Recoded(unit)) => {
                format!("{} gives that code up on {day} itself", self.called(unit))
            }
            Err(Absent::Unknown) => match reference {
                UnitRef::Unit(unit) if self.working.get(*unit).is_none() => {
                    format!("there is no {unit}")
                }
                UnitRef::Unit(unit) => {
                    format!("{} is not there on {day}", self.working.called(*unit, day))
                }
                UnitRef::Code(code) => format!("no unit has the code {code} on {day}"),
            },
        };
        self.problems.add(place, reason, message);
        None
    }

    /// Reads the parents of new units, which are there by now, and holds every mention of a unit against the first.
    fn created(&mut self) {
        let mut first: HashMap<UnitId, (&'r NewUnit, Option<UnitId>, Place)> = HashMap::new();
        for (place, new) in std::mem::take(&mut self.mentioned) {
            let unit = self.id(new);
            let above = place.of(".new_unit.parent");
            let parent = match &new.parent {
                Some(parent) => {
                    let itself = [(unit, above)];
                    let reason = ChangeReason::ParentNotValid;
                    let Some(parent) = self.target(parent, above, reason, &itself) else {
                        continue;
                    };
                    Some(parent)
                }
                None => None,
            };
            if let Some((other, other_parent, before)) = first.get(&unit) {
                let said = |new: &'r NewUnit| (&new.display_name, new.kind, new.level);
                if (said(new), parent) != (said(other), *other_parent) {
                    let message = format!(
                        "{} has the code {}, and so does the new unit of changes[{}]",
                        new.display_name, new.code, before.change
                    );
                    let place = place.of(".new_unit.identifier");
                    self.problems.add(place, ChangeReason::Contradict, message);
                }
                continue;
            }
            first.insert(unit, (new, parent, place));
            self.create(Created { unit, new, parent, place });
        }
    }

    fn create(&mut self, created: Created<'r>) {
        let known = self.working.get(created.unit).filter(|known| !known.versions.is_empty());
        let Some(known) = known else {
            self.new_units.push(created);
            return;
        };
        let NewUnit { code, display_name, kind, level, .. } = created.new;
        let same = known.version_on(self.day).is_some_and(|version| {
            let there = (&version.display_name, version.kind, version.level, version.parent);
            there == (display_name, *kind, *level, created.parent)
        });
        if !same || known.code_on(&code.scheme, self.day) != Some(code.value.as_str()) {
            let called = self.working.called(created.unit, self.day);
            let message = format!("{called} begins on {} already, not as stated here", self.day);
            let place = created.place.of(".new_unit");
            self.problems.add(place, ChangeReason::Contradict, message);
        }
    }

    /// Reads who comes out of the change.
    fn targets(&mut self, at: usize, change: &'r Change, sources: &[Option<UnitId>]) {
        let unit = sources.first().copied().flatten();
        match change {
            Change::Merge { shares, into } => {
                let shared = Place::new(at, "merge.shares");
                let shares: Vec<_> = (0..)
                    .zip(shares.iter().zip(sources))
                    .filter_map(|(at, (share, unit))| {
                        unit.map(|unit| (unit, share.kind, shared.at(at, ".unit")))
                    })
                    .collect();
                let itself: Vec<_> =
                    shares.iter().map(|(unit, _, place)| (*unit, *place)).collect();
                let place = Place::new(at, "merge.into");
                let Some(into) = self.into(into, place, &itself) else { return };
                for (unit, kind, place) in shares {
                    if kind == EdgeKind::Merged {
                        self.inherits(unit, Heir::Unit(into));
                    }
                    self.passes(unit, into, kind, place);
                }
            }
            Change::Split { portions, children_to, .. } => {
                let Some(unit) = unit else { return };
                for (number, portion) in (0..).zip(portions) {
                    let place = Place::new(at, "split.portions").at(number, ".into");
                    let itself = [(unit, place.of(".existing"))];
                    if let Some(into) = self.into(&portion.into, place, &itself) {
                        self.passes(unit, into, portion.kind, place);
                    }
                }
                self.children_to(unit, children_to.as_ref(), Place::new(at, "split.children_to"));
            }
            Change::Abolish { children_to, .. } => {
                let Some(unit) = unit else { return };
                self.children_to(unit, children_to.as_ref(), Place::new(at, "abolish.children_to"));
            }
            Change::Transfer { parent, .. } => {
                let Some(unit) = unit else { return };
                let place = Place::new(at, "transfer.parent");
                let parent = match parent {
                    Some(parent) => {
                        let (itself, reason) = ([(unit, place)], ChangeReason::ParentNotValid);
                        let Some(parent) = self.target(parent, place, reason, &itself) else {
                            return;
                        };
                        Some(parent)
                    }
                    None => None,
                };
                self.transfer(unit, parent, place);
            }
            Change::Rename { .. } | Change::Retype { .. } | Change::Recode { .. } => {}
        }
    }

    fn into(
        &mut self,
        into: &'r Target,
        place: Place,
        itself: &[(UnitId, Place)],
    ) -> Option<UnitId> {
        match into {
            Target::New(new) => {
                let unit = self.id(new);
                self.new_ids.contains_key(&unit).then_some(unit)
            }
            Target::Existing(reference) => {
                let reason = ChangeReason::UnitNotValid;
                self.target(reference, place.of(".existing"), reason, itself)
            }
        }
    }

    fn children_to(&mut self, unit: UnitId, to: Option<&UnitRef>, place: Place) {
        let heir = match to {
            Some(to) => {
                let reason = ChangeReason::UnitNotValid;
                self.target(to, place, reason, &[(unit, place)]).map_or(Heir::Unclear, Heir::Unit)
            }
            None => Heir::Nobody,
        };
        self.inherits(unit, heir);
    }

    fn inherits(&mut self, unit: UnitId, heir: Heir) {
        if let Some(end) = self.ends.get_mut(&unit) {
            end.heir = heir;
        }
    }

    fn transfer(&mut self, unit: UnitId, parent: Option<UnitId>, place: Place) {
        let day = self.working.version(unit, self.day);
        let eve = self.eve.and_then(|eve| self.working.version(unit, eve));
        let (Some(eve), Some(day)) = (eve, day) else { return };
        let weight = Weight::of(&eve.parent, &day.parent, &parent);
        self.weigh(unit, Place::new(place.change, "transfer.unit"), &[weight]);
        if weight == Weight::News {
            let what = What::Parent(parent);
            self.statements.push(Statement { unit, what, place, passes_along: false });
        }
    }

    fn passes(&mut self, unit: UnitId, into: UnitId, kind: EdgeKind, place: Place) {
        let known = self.working.edges_from(unit).filter(|edge| edge.effective == self.day);
        let mut known: Vec<_> = known.map(|edge| (edge.successor, edge.kind)).collect();
        known.sort_unstable();
        let own = self.passes.entry(unit).or_default();
        let wholes = |other| [kind, other].into_iter().filter(|kind| *kind == EdgeKind::Merged);
        let wholes = |other| wholes(other).count();
        let against_known = known.iter().find(|(other, other_kind)| {
            if *other == into { *other_kind != kind } else { wholes(*other_kind) > 0 }
        });
        // That all of it passes twice is told where it ends twice.
        let against_own = own.iter().find(|(other, other_kind)| {
            wholes(*other_kind) == 1 || (wholes(*other_kind) == 0 && *other == into)
        });
        let against = against_known.or(against_own).copied();
        own.push((into, kind));
        if let Some((other, other_kind)) = against {
            let (called, other) = (self.called(unit), self.called(other));
            let message = format!("{called} passes to {other} as {other_kind} on that day too");
            self.problems.add(place, ChangeReason::Contradict, message);
        } else if !known.contains(&(into, kind)) {
            self.edges.push(Edge {
                effective: self.day,
                predecessor: unit,
                successor: into,
                kind,
                reorganisation: self.reorganisation.id.clone(),
            });
        }
    }

    /// Finds where those under a unit that ends go: what is said of them counts more.
    fn pass_along(&mut self) {
        let mut passing = Vec::new();
        let mut left = Vec::new();
        for (unit, end) in self.ends.iter().filter(|(_, end)| end.there) {
            let children: Vec<_> = self
                .working
                .children(*unit, self.day)
                .filter(|child| !self.ends.contains_key(child))
                .filter(|child| !self.stated.contains_key(&(*child, Attribute::Parent)))
                .collect();
            let heir = match end.heir {
                Heir::Unit(heir) => Some(heir),
                Heir::Nobody => None,
                Heir::Unclear => continue,
            };
            // One that its parent is merged into cannot pass along to itself.
            let (goes, stays): (Vec<_>, Vec<_>) =
                children.into_iter().partition(|child| heir.is_some_and(|heir| heir != *child));
            passing.extend(goes.into_iter().map(|child| Statement {
                unit: child,
                what: What::Parent(heir),
                place: end.children,
                passes_along: true,
            }));
            if !stays.is_empty() {
                left.push((*unit, end.children, stays));
            }
        }
        for said in &passing {
            let eve = self.eve.and_then(|eve| self.working.version(said.unit, eve));
            let back =
                eve.is_some_and(|eve| matches!(said.what, What::Parent(to) if eve.parent == to));
            if back {
                self.weigh(said.unit, said.place, &[Weight::Undone]);
            }
        }
        self.statements.extend(passing);
        for (unit, place, children) in left {
            let some: BTreeSet<_> = children.iter().map(|child| self.called(*child)).collect();
            let some: Vec<_> = some.into_iter().take(3).collect();
            let more = match children.len() - some.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let called = self.called(unit);
            let message = format!(
                "{} would be left under {called}: {}{more}",
                children.len(),
                some.join(", ")
            );
            self.problems.add(place, ChangeReason::ChildrenLeft, message);
        }
    }
}
