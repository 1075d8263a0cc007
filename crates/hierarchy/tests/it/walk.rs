//! Who is under whom on which date, and which code is whose.

use dunghan_hierarchy::{Access, Level, LookupError, NSO, UnitId, Validity};

use crate::tree::{day, new, old, reform, tree};

#[test]
fn a_code_means_another_unit_after_the_reform() {
    let tree = tree();
    let eve = day("2025-06-30");
    assert_eq!(tree.by_code(NSO, "24", eve), Ok(old("24")));
    assert_eq!(tree.by_code(NSO, "24", reform()), Ok(new("24")));
    assert_eq!(tree.by_code(NSO, "09427", eve), Ok(old("09427")));
    assert_eq!(tree.by_code(NSO, "09427", reform()), Ok(new("09427")));
    assert_eq!(tree.by_code(NSO, "31", eve), tree.by_code(NSO, "31", reform()));
}

#[test]
fn a_code_of_another_time_is_told_from_one_that_never_was() {
    let tree = tree();
    assert_eq!(tree.by_code(NSO, "262", day("2025-06-30")), Ok(old("262")));
    let error = tree.by_code(NSO, "262", reform()).unwrap_err();
    assert_eq!(
        error,
        LookupError::NotValidOn { held: vec![(old("262"), Validity::before(reform()))] }
    );
    assert!(error.to_string().contains(&old("262").to_string()), "{error}");
    assert_eq!(
        tree.by_code(NSO, "11113", day("2025-06-30")),
        Err(LookupError::NotValidOn { held: vec![(new("11113"), Validity::since(reform()))] })
    );
    assert_eq!(tree.by_code(NSO, "99999", reform()), Err(LookupError::Unknown));
    assert_eq!(tree.by_code("agency", "24", reform()), Err(LookupError::Unknown));
}

#[test]
fn a_unit_that_has_ended_is_known_on_its_last_day_and_any_other_on_the_day_itself() {
    let tree = tree();
    let (eve, after) = (day("2025-06-30"), day("2026-01-01"));
    assert_eq!(tree.known_on(old("262"), after), eve);
    assert_eq!(tree.known_on(old("262"), eve), eve);
    assert_eq!(tree.known_on(new("24"), after), after);
    // Not yet there: no day before it is one of its own.
    assert_eq!(tree.known_on(new("24"), eve), eve);
    assert_eq!(tree.known_on(UnitId::new(NSO, "99999", None), after), after);
}

#[test]
fn a_province_that_becomes_a_city_stays_the_same_unit() {
    let tree = tree();
    let name =
        |date: &str| tree.unit(new("24"), day(date)).map(|unit| unit.version.display_name.clone());
    assert_eq!(name("2025-06-30"), None);
    assert_eq!(name("2025-07-01").as_deref(), Some("Tỉnh Bắc Ninh"));
    assert_eq!(name("2026-09-19").as_deref(), Some("Tỉnh Bắc Ninh"));
    assert_eq!(name("2026-09-20").as_deref(), Some("Thành phố Bắc Ninh"));
    assert_eq!(
        tree.children(new("24"), day("2026-09-19")),
        tree.children(new("24"), day("2026-09-20"))
    );
}

#[test]
fn what_a_snapshot_says_of_the_past_is_not_certain() {
    let tree = tree();
    assert!(!tree.unit(old("11119"), day("2019-01-01")).unwrap().certain);
    assert!(tree.unit(new("24"), reform()).unwrap().certain);
    let ward = |date: &str| tree.unit(old("11500"), day(date)).unwrap();
    assert!(!ward("2025-06-30").certain);
    assert!(ward("2025-07-01").certain);
    assert_eq!(ward("2025-06-30").code(NSO), Some("11500"));
    assert_eq!(ward("2025-06-30").code("agency"), None);
    assert_eq!(ward("2025-06-30").version.level, Level::Commune);
}

#[test]
fn a_ward_loses_its_district_and_keeps_its_id() {
    let tree = tree();
    assert_eq!(tree.ancestors(old("11500"), day("2025-06-30")), [old("315"), old("31")]);
    assert_eq!(tree.ancestors(old("11500"), reform()), [old("31")]);
    assert_eq!(tree.ancestors(old("315"), reform()), []);
    assert!(tree.is_within(old("11500"), old("315"), day("2025-06-30")));
    assert!(!tree.is_within(old("11500"), old("315"), reform()));
}

#[test]
fn lists_are_by_code_and_units_without_one_come_last() {
    let tree = tree();
    let department = dunghan_hierarchy::UnitId::new("test", "so", None);
    assert_eq!(tree.roots(day("2025-06-30")), [old("24"), old("27"), old("30"), old("31")]);
    assert_eq!(tree.roots(reform()), [new("24"), old("31")]);
    assert_eq!(tree.children(old("31"), day("2025-06-30")), [old("315"), old("760"), department]);
    assert_eq!(
        tree.descendants(old("31"), day("2025-06-30")),
        [old("11500"), old("11752"), old("315"), old("760"), department]
    );
    assert_eq!(tree.descendants(old("30"), reform()), []);
    assert_eq!(tree.descendants(old("99"), reform()), []);
    let all = tree.units(reform());
    assert_eq!(all.first(), Some(&new("09427")));
    assert_eq!(all.last(), Some(&department));
}

#[test]
fn a_unit_is_within_itself_while_it_exists() {
    let tree = tree();
    assert!(tree.is_within(old("27"), old("27"), day("2025-06-30")));
    assert!(!tree.is_within(old("27"), old("27"), reform()));
    assert!(!tree.is_within(old("27"), old("99"), day("2025-06-30")));
}

#[test]
fn a_grant_covers_its_subtree_and_reads_what_ended_in_it() {
    let tree = tree();
    let today = day("2026-10-01");
    for (what, root, unit, on, access) in [
        ("itself", new("24"), new("24"), today, Some(Access::Write)),
        ("a commune under it", new("24"), new("09427"), today, Some(Access::Write)),
        ("a commune elsewhere", new("24"), new("11113"), today, None),
        ("a district that ended under it", old("31"), old("315"), today, Some(Access::Read)),
        (
            "a commune that ended under it, by way of a district",
            old("31"),
            old("11752"),
            today,
            Some(Access::Read),
        ),
        ("a commune that ended elsewhere", old("31"), old("11119"), today, None),
        ("a root that ended with the unit", old("30"), old("11119"), today, Some(Access::Read)),
        ("itself, ended", old("30"), old("30"), today, Some(Access::Read)),
        ("a unit that left for its grandparent", old("315"), old("11500"), today, None),
        ("a unit that is not there yet", old("31"), new("11113"), day("2025-06-30"), None),
        ("on the last day", old("31"), old("315"), day("2025-06-30"), Some(Access::Write)),
        ("on the day after", old("31"), old("315"), reform(), Some(Access::Read)),
        ("an unknown unit", old("31"), old("99"), today, None),
        ("an unknown root", old("99"), old("31"), today, None),
    ] {
        assert_eq!(tree.covers(root, unit, on), access, "{what}");
    }
}
