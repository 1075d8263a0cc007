//! Who holds which code.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use dunghan_hierarchy::{Hierarchy, UnitId, Validity};

use super::Code;
use super::unit::Touched;

/// Who holds which code, once the rows are merged.
pub(super) struct Holders<'a> {
    existing: &'a Hierarchy,
    touched: &'a BTreeMap<UnitId, Touched<'a>>,
    by_code: HashMap<(&'a str, &'a str), Vec<(UnitId, Validity)>>,
}

impl<'a> Holders<'a> {
    pub(super) fn of(existing: &'a Hierarchy, touched: &'a BTreeMap<UnitId, Touched<'a>>) -> Self {
        let mut by_code: HashMap<_, Vec<_>> = HashMap::new();
        for (id, unit) in touched {
            for held in &unit.identifiers {
                let key = (held.scheme.as_str(), held.value.as_str());
                by_code.entry(key).or_default().push((*id, held.validity));
            }
        }
        by_code.values_mut().for_each(one_at_a_time);
        Self { existing, touched, by_code }
    }

    /// The unit that a row with this interval means by the code; see [`holder`].
    pub(super) fn holder(&self, code: &Code, validity: Validity) -> Option<UnitId> {
        if let Ok(unit) = code.value.parse() {
            return Some(unit);
        }
        let now = self.by_code.get(&(code.scheme.as_str(), code.value.as_str()));
        let known = self.existing.holders(&code.scheme, &code.value).iter();
        let others = known.filter(|(unit, _)| !self.touched.contains_key(unit)).copied();
        meant(now.map_or(&[], Vec::as_slice), others, validity)
    }
}

/// The unit that a row with this interval means by the code: its holder on the first day; where that is unknown, on the
/// last; where both are, the first that is known. Where nobody holds it on that day, whoever is the first to do so in the
/// interval: a unit is known by its code of today as well. What reads as the name of a unit is that. Whether it is there
/// throughout is the tree's rule.
pub(crate) fn holder(existing: &Hierarchy, code: &Code, validity: Validity) -> Option<UnitId> {
    if let Ok(unit) = code.value.parse() {
        return Some(unit);
    }
    meant(&[], existing.holders(&code.scheme, &code.value).iter().copied(), validity)
}

/// `holders` are in order and one at a time; there can be many of them, where all rows of a file have one code. The others
/// are few.
fn meant(
    holders: &[(UnitId, Validity)],
    others: impl Iterator<Item = (UnitId, Validity)> + Clone,
    validity: Validity,
) -> Option<UnitId> {
    if let Some(day) = validity.from.or_else(|| validity.last_day()) {
        let begun = holders.partition_point(|(_, held)| held.from <= Some(day));
        let mut then = holders[..begun].last().copied().into_iter().chain(others.clone());
        if let Some((unit, _)) = then.find(|(_, held)| held.contains(day)) {
            return Some(unit);
        }
    }
    let over = |held: &Validity| held.until.is_some_and(|until| Some(until) <= validity.from);
    let first = holders.partition_point(|(_, held)| over(held));
    let within = holders[first..].first().copied().into_iter().chain(others);
    let within = within.filter(|(_, held)| held.overlaps(validity));
    within.min_by_key(|(unit, held)| (held.from, *unit)).map(|(unit, _)| unit)
}

/// Puts holders of one code in order, and has none of them hold it before the one ahead of it is through. Two at once are
/// told as such elsewhere.
fn one_at_a_time(held: &mut Vec<(UnitId, Validity)>) {
    held.sort_by_key(|(unit, held)| (held.from, *unit));
    let mut free: Option<Option<NaiveDate>> = None;
    held.retain_mut(|(_, held)| {
        match free {
            None => {}
            Some(None) => return false,
            Some(until) => held.from = held.from.max(until),
        }
        if held.is_empty() {
            return false;
        }
        free = Some(held.until);
        true
    });
}
