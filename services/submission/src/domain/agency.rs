//! Which agencies may hand over the report of a unit for it.
//!
//! The report of a district is written by one of its divisions, that of a province by a department: agencies of the unit's
//! own. A commune of the district is none, nor is a division of that commune.

use chrono::NaiveDate;
use dunghan_hierarchy::{Hierarchy, Level, UnitId};

/// Why a unit is no agency of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotItsAgency {
    /// It does not exist on that day.
    #[error("does not exist on {0}, the cut-off day of the period")]
    NotValid(NaiveDate),
    /// It is the unit itself, above it, or elsewhere.
    #[error("is not below the unit on {0}, the cut-off day of the period")]
    NotBelow(NaiveDate),
    /// It is a territory below the unit, or below one.
    #[error("belongs to {0}, a territory of its own below the unit")]
    OfTerritory(UnitId),
}

/// Whether `agency` is one of the unit's own on a day: below it, with no other territory between them.
///
/// Errors: why it is not.
pub fn must_be_agency(
    agency: UnitId,
    unit: UnitId,
    day: NaiveDate,
    hierarchy: &Hierarchy,
) -> Result<(), NotItsAgency> {
    if hierarchy.unit(agency, day).is_none() {
        return Err(NotItsAgency::NotValid(day));
    }
    let above = hierarchy.ancestors(agency, day);
    let between = above.iter().position(|one| *one == unit).map(|at| &above[..at]);
    let between = between.ok_or(NotItsAgency::NotBelow(day))?;
    let is_territory = |one: &UnitId| {
        let level = hierarchy.unit(*one, day).map(|view| view.version.level);
        matches!(level, Some(Level::Province | Level::District | Level::Commune))
    };
    match std::iter::once(&agency).chain(between).find(|one| is_territory(one)) {
        None => Ok(()),
        Some(territory) => Err(NotItsAgency::OfTerritory(*territory)),
    }
}

#[cfg(test)]
mod tests {
    use dunghan_hierarchy::{Kind, UnitHistory, Validity, Version};

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn id(code: &str) -> UnitId {
        UnitId::new("test", code, None)
    }

    /// A province with a department, a district of it with two divisions, and a commune of that with one.
    fn hierarchy() -> Hierarchy {
        let whole = Validity::before(day("2025-07-01"));
        let later = Validity::between(day("2024-06-14"), day("2025-07-01"));
        let units = [
            ("province", None, Level::Province, Validity::OPEN),
            ("so", Some("province"), Level::Department, Validity::OPEN),
            ("centre of so", Some("so"), Level::Other, Validity::OPEN),
            ("district", Some("province"), Level::District, whole),
            ("phong", Some("district"), Level::Department, whole),
            ("new phong", Some("district"), Level::Department, later),
            ("commune", Some("district"), Level::Commune, whole),
            ("phong of commune", Some("commune"), Level::Department, whole),
        ];
        let units = units.map(|(code, parent, level, validity)| UnitHistory {
            id: id(code),
            versions: vec![Version {
                validity,
                display_name: code.to_owned(),
                kind: Kind::Other,
                level,
                parent: parent.map(id),
            }],
            identifiers: Vec::new(),
        });
        Hierarchy::build(1, units.to_vec()).unwrap()
    }

    #[test]
    fn an_agency_is_below_the_unit_on_the_day_with_no_territory_between() {
        let hierarchy = hierarchy();
        let (cut_off, ended) = (day("2024-06-14"), day("2025-07-01"));
        use NotItsAgency::{NotBelow, NotValid, OfTerritory};
        for (agency, unit, on, expected) in [
            ("phong", "district", "2024-06-14", Ok(())),
            ("phong", "district", "2025-06-30", Ok(())),
            ("phong", "district", "2025-07-01", Err(NotValid(ended))),
            ("new phong", "district", "2024-06-13", Err(NotValid(day("2024-06-13")))),
            ("new phong", "district", "2024-06-14", Ok(())),
            ("so", "province", "2024-06-14", Ok(())),
            ("centre of so", "province", "2024-06-14", Ok(())),
            ("centre of so", "so", "2024-06-14", Ok(())),
            ("phong of commune", "commune", "2024-06-14", Ok(())),
            // Itself, a neighbour, and the other way round.
            ("district", "district", "2024-06-14", Err(NotBelow(cut_off))),
            ("so", "district", "2024-06-14", Err(NotBelow(cut_off))),
            ("district", "phong", "2024-06-14", Err(NotBelow(cut_off))),
            ("province", "district", "2024-06-14", Err(NotBelow(cut_off))),
            // Other territories report for themselves.
            ("commune", "district", "2024-06-14", Err(OfTerritory(id("commune")))),
            ("phong of commune", "district", "2024-06-14", Err(OfTerritory(id("commune")))),
            ("phong", "province", "2024-06-14", Err(OfTerritory(id("district")))),
        ] {
            let said = must_be_agency(id(agency), id(unit), day(on), &hierarchy);
            assert_eq!(said, expected, "{agency} for {unit} on {on}");
        }
    }
}
