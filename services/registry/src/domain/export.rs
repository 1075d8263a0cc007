//! The units as rows, such that an import of them says what is known already.
//!
//! Each version of a unit is a row for each code that it holds then, or one if it holds none, and names its parent by a code
//! by which an import finds it again, or by its name if there is no such code. A unit is known by where it was first listed,
//! so rows from which that does not follow state it.

use chrono::NaiveDate;
use dunghan_hierarchy::{Hierarchy, Identifier, NSO, UnitHistory, UnitId, Validity, Version};

use super::import::{Code, Origin, Row, holder, statements};

/// A unit that rows cannot tell of. What came in as rows or by reorganisations is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} never held a code from which its id was made")]
pub(crate) struct NotARow(UnitId);

/// A row to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    unit: UnitId,
    /// Which of its [`statements`].
    statement: usize,
    as_of: Option<NaiveDate>,
}

/// All versions of all units, in the order of the days on which they begin; of one day, parents before those below them.
pub(crate) fn whole_history(hierarchy: &Hierarchy) -> Vec<Place> {
    let mut places: Vec<_> = hierarchy
        .histories()
        .flat_map(|history| {
            let first_scheme = origin(history).map(|origin| origin.code.scheme);
            statements(history).enumerate().map(move |(statement, (_, piece, held))| {
                let day = first_day(piece);
                let depth = hierarchy.ancestors(history.id, day).len();
                let code = history.code_on(NSO, day);
                let other = held.map(|held| held.scheme.as_str()) != first_scheme.as_deref();
                let place = Place { unit: history.id, statement, as_of: None };
                ((piece.from, depth, code.is_none(), code, history.id, other), place)
            })
        })
        .collect();
    places.sort_by_key(|(key, _)| *key);
    places.into_iter().map(|(_, place)| place).collect()
}

/// These units as they are on a date, in their order; but parents before those below them.
pub(crate) fn as_of(hierarchy: &Hierarchy, units: &[UnitId], date: NaiveDate) -> Vec<Place> {
    let mut by_depth: Vec<(usize, &UnitHistory)> = units
        .iter()
        .filter_map(|unit| Some((hierarchy.ancestors(*unit, date).len(), hierarchy.get(*unit)?)))
        .collect();
    by_depth.sort_by_key(|(depth, _)| *depth);
    let places = by_depth.into_iter().flat_map(|(_, history)| {
        let first_scheme = origin(history).map(|origin| origin.code.scheme);
        let now = statements(history).enumerate().filter(|(_, (_, piece, _))| piece.contains(date));
        let mut places: Vec<_> = now
            .map(|(statement, (_, _, held))| {
                let other = held.map(|held| held.scheme.as_str()) != first_scheme.as_deref();
                (other, Place { unit: history.id, statement, as_of: Some(date) })
            })
            .collect();
        places.sort_by_key(|(other, _)| *other);
        places.into_iter().map(|(_, place)| place)
    });
    places.collect()
}

/// The row of a place; `position` counts from 0.
pub(crate) fn row(hierarchy: &Hierarchy, position: usize, place: Place) -> Result<Row, NotARow> {
    let unit = place.unit;
    let history = hierarchy.get(unit).ok_or(NotARow(unit))?;
    let origin = origin(history).ok_or(NotARow(unit))?;
    let said: Option<(&Version, Validity, Option<&Identifier>)> =
        statements(history).nth(place.statement);
    let (version, validity, held) = said.ok_or(NotARow(unit))?;
    let scheme = held.map_or(&origin.code.scheme, |held| &held.scheme).clone();
    let value = held.map(|held| held.value.clone());
    let parent = version.parent.map(|parent| {
        parent_code(hierarchy, parent, &scheme, validity, place.as_of)
            .unwrap_or_else(|| Code { scheme: scheme.clone(), value: parent.to_string() })
    });
    let code = (&scheme, value.as_ref());
    let first = code == (&origin.code.scheme, Some(&origin.code.value))
        && origin.first_day == validity.from;
    Ok(Row {
        position,
        number: i32::try_from(position + 1).unwrap_or(i32::MAX),
        unit,
        scheme,
        value,
        origin: (!first).then_some(origin),
        display_name: version.display_name.clone(),
        kind: version.kind,
        level: version.level,
        parent,
        validity,
    })
}

/// Where a unit was first listed: the code and the day that its id was made from.
fn origin(history: &UnitHistory) -> Option<Origin> {
    let first_day = history.versions.first()?.validity.from;
    let made = |held: &&Identifier| UnitId::new(&held.scheme, &held.value, first_day) == history.id;
    let held = history.identifiers.iter().find(made)?;
    let code = Code { scheme: held.scheme.clone(), value: held.value.clone() };
    Some(Origin { code, first_day })
}

/// A code by which an import finds the parent of a row with this interval. As of a date it is the parent's code of that
/// date, if that is plain; of the row's scheme, if there is one.
fn parent_code(
    hierarchy: &Hierarchy,
    parent: UnitId,
    scheme: &str,
    validity: Validity,
    as_of: Option<NaiveDate>,
) -> Option<Code> {
    let history = hierarchy.get(parent)?;
    let others = history.identifiers.iter().map(|held| held.scheme.as_str());
    let schemes = [scheme, NSO].into_iter().chain(others);
    let day = validity.from.or_else(|| validity.last_day()).unwrap_or(NaiveDate::MIN);
    let days = as_of.into_iter().chain([day]);
    let codes = days.flat_map(|day| {
        schemes.clone().filter_map(move |scheme| {
            let value = history.code_on(scheme, day)?;
            Some(Code { scheme: scheme.to_owned(), value: value.to_owned() })
        })
    });
    codes.into_iter().find(|code| holder(hierarchy, code, validity) == Some(parent))
}

/// A day at the beginning of an interval on which to look things up.
fn first_day(validity: Validity) -> NaiveDate {
    validity.from.unwrap_or(NaiveDate::MIN)
}

#[cfg(test)]
mod tests;
