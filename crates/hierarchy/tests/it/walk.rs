//! Who is under whom on which date, and which code is whose.

use chrono::{Days, NaiveDate};
use dunghan_hierarchy::{Access, EdgeKind, Hierarchy, Level, LookupError, NSO, UnitId, Validity};

use crate::tree::{day, edge, new, old, reform, tree, unit, units, version};

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
fn a_grant_writes_in_its_subtree_and_reads_what_ended_in_it_or_came_into_it() {
    let tree = tree();
    let (eve, today) = (day("2025-06-30"), day("2026-10-01"));
    let (before_part, of_part) = (day("2026-09-19"), day("2026-09-20"));
    for (what, root, unit, on, access) in [
        ("itself", new("24"), new("24"), today, Some(Access::Write)),
        ("a commune under it", new("24"), new("09427"), today, Some(Access::Write)),
        ("a commune elsewhere", new("24"), new("11113"), today, None),
        ("a district that ended under it", old("31"), old("315"), today, Some(Access::Read)),
        ("by way of a district", old("31"), old("11752"), today, Some(Access::Read)),
        ("a root that ended with the unit", old("30"), old("11119"), today, Some(Access::Read)),
        ("itself, ended", old("30"), old("30"), today, Some(Access::Read)),
        ("a unit that left for its grandparent", old("315"), old("11500"), today, None),
        ("a unit that is not there yet", old("31"), new("11113"), eve, None),
        ("on its last day", old("31"), old("315"), eve, Some(Access::Write)),
        ("on the day after", old("31"), old("315"), reform(), Some(Access::Read)),
        ("what merged into one below, on the last day", old("31"), old("11119"), eve, None),
        ("and on the day after", old("31"), old("11119"), reform(), Some(Access::Read)),
        ("and since", old("31"), old("11119"), today, Some(Access::Read)),
        ("what merged into the root", old("31"), old("30"), today, Some(Access::Read)),
        ("what merged elsewhere", new("24"), old("11119"), today, None),
        (
            "a district that ended with its province",
            old("31"),
            old("298"),
            today,
            Some(Access::Read),
        ),
        ("and elsewhere", new("24"), old("298"), today, None),
        ("the root's own successor is not its own", old("30"), old("31"), today, None),
        ("nor what is in that", old("30"), new("11113"), today, None),
        ("what merged into that", new("24"), old("11752"), before_part, None),
        ("also on the day of the part", new("24"), old("11752"), of_part, None),
        ("what gave a part and is there still", new("24"), new("11518"), today, None),
        (
            "one commune reads what came into it",
            new("09427"),
            old("09421"),
            today,
            Some(Access::Read),
        ),
        ("but not what is behind a part of another", new("09427"), old("11752"), today, None),
        ("an unknown unit", old("31"), old("99"), today, None),
        ("an unknown root", old("99"), old("31"), today, None),
    ] {
        assert_eq!(tree.covers(root, unit, on), access, "{what}");
    }
}

#[test]
fn what_came_into_a_subtree_is_read_also_when_its_successor_has_ended_there() {
    let merged = edge("2025-07-01", old("2"), new("3"), EdgeKind::Merged);
    let until = day("2026-01-01");
    let units = vec![
        unit(old("1"), "1", vec![version(Validity::OPEN, "Tỉnh Một", None)]),
        unit(old("2"), "2", vec![version(Validity::before(reform()), "Xã Hai", None)]),
        unit(
            new("3"),
            "3",
            vec![version(Validity::between(reform(), until), "Xã Ba", Some(old("1")))],
        ),
    ];
    let tree = Hierarchy::build_with_edges(1, units, vec![merged]).unwrap();
    let covers = |unit, on| tree.covers(old("1"), unit, day(on));
    assert_eq!(covers(old("2"), "2025-12-31"), Some(Access::Read));
    assert_eq!(covers(new("3"), "2026-01-01"), Some(Access::Read));
    assert_eq!(covers(old("2"), "2026-01-01"), Some(Access::Read));
}

/// Looked at way by way, it would never end.
#[test]
fn what_split_and_merged_many_times_is_read_as_what_it_became() {
    const TIMES: usize = 60;
    let date = |at: usize| reform() + Days::new(at as u64);
    let code = |at: usize, part: &str| format!("{at}{part}");
    let mut all = vec![unit(old("r"), "r", vec![version(Validity::OPEN, "Tỉnh Một", None)])];
    let mut passed = Vec::new();
    for at in 0..=TIMES {
        let until = if at == TIMES { None } else { Some(date(2 * at + 1)) };
        let whole = Validity { from: Some(date(2 * at)), until };
        let id = old(&code(at, ""));
        let parent = (at == TIMES).then(|| old("r"));
        all.push(unit(id, &code(at, ""), vec![version(whole, "Xã", parent)]));
        for part in ["a", "b"].into_iter().filter(|_| at < TIMES) {
            let half = Validity::between(date(2 * at + 1), date(2 * at + 2));
            let (part, next) = (code(at, part), old(&code(at + 1, "")));
            all.push(unit(old(&part), &part, vec![version(half, "Xã", None)]));
            let on = |at: usize| date(at).to_string();
            passed.push(edge(&on(2 * at + 1), id, old(&part), EdgeKind::SplitPart));
            passed.push(edge(&on(2 * at + 2), old(&part), next, EdgeKind::Merged));
        }
    }
    all.push(unit(old("x"), "x", vec![version(Validity::OPEN, "Tỉnh Khác", None)]));
    let tree = Hierarchy::build_with_edges(1, all, passed).unwrap();
    let (first, today) = (old("0"), date(2 * TIMES));
    assert_eq!(tree.covers(old("r"), first, today), Some(Access::Read));
    assert_eq!(tree.covers(old("x"), first, today), None);
}

#[test]
fn a_unit_that_was_taken_back_is_known_and_is_nothing_on_any_date() {
    let mut all = units();
    let gone = unit(old("7"), "7", Vec::new());
    all.push(gone.clone());
    let tree = Hierarchy::build(1, all).unwrap();
    assert_eq!(tree.get(old("7")), Some(&gone));
    assert_eq!(tree.len(), units().len() + 1);
    for on in [NaiveDate::MIN, day("2025-06-30"), reform(), NaiveDate::MAX] {
        assert!(tree.unit(old("7"), on).is_none());
        assert_eq!(tree.known_on(old("7"), on), on);
        assert_eq!(tree.by_code(NSO, "7", on), Err(LookupError::Unknown));
        assert!(!tree.is_within(old("7"), old("7"), on));
        assert_eq!(tree.covers(old("7"), old("7"), on), None);
        assert_eq!(tree.covers(old("7"), old("31"), on), None);
        assert!(tree.ancestors(old("7"), on).is_empty());
        assert!(tree.children(old("7"), on).is_empty());
        assert!(tree.descendants(old("7"), on).is_empty());
        assert!(!tree.units(on).contains(&old("7")));
        assert!(!tree.roots(on).contains(&old("7")));
    }
    assert!(tree.lineage_forward(old("7")).is_empty());
    assert!(tree.lineage_back(old("7")).is_empty());
}
