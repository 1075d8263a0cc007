//! The rule of merging, case by case and over whatever rows there may be.

use dunghan_hierarchy::Identifier;
use proptest::prelude::*;

use super::*;

const NSO: &str = dunghan_hierarchy::NSO;

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn nso(value: &str) -> Code {
    Code { scheme: NSO.to_owned(), value: value.to_owned() }
}

fn start(validity: Validity) -> NaiveDate {
    validity.from.unwrap_or(NaiveDate::MIN)
}

/// `from` and `through` are dates or empty.
fn validity(from: &str, through: &str) -> Validity {
    let day = |text: &str| (!text.is_empty()).then(|| day(text));
    Validity { from: day(from), until: day(through).and_then(|last| last.succ_opt()) }
}

fn row(number: i32, code: &str, name: &str, parent: &str, from: &str, through: &str) -> Row {
    let validity = validity(from, through);
    let (kind, level) = match code.len() {
        2 if name.starts_with("Thành phố") => (Kind::ThanhPho, Level::Province),
        2 => (Kind::Tinh, Level::Province),
        3 => (Kind::Huyen, Level::District),
        _ => (Kind::Xa, Level::Commune),
    };
    Row {
        position: usize::try_from(number).unwrap(),
        number,
        unit: UnitId::new(NSO, code, validity.from),
        scheme: NSO.to_owned(),
        value: Some(code.to_owned()),
        origin: None,
        display_name: name.to_owned(),
        kind,
        level,
        parent: (!parent.is_empty()).then(|| nso(parent)),
        validity,
    }
}

/// The row as a later version of the unit that was first listed under this code on this day.
fn later(row: Row, origin: &str, first_day: &str) -> Row {
    let first_day = (!first_day.is_empty()).then(|| day(first_day));
    let unit = UnitId::new(NSO, origin, first_day);
    Row { unit, origin: Some(Origin { code: nso(origin), first_day }), ..row }
}

pub(crate) fn staged(rows: Vec<Row>) -> Staged {
    Staged { rows, ..Staged::default() }
}

fn import(existing: &Arc<Hierarchy>, rows: Vec<Row>) -> Merged {
    merge(existing, &staged(rows)).unwrap()
}

pub(crate) fn nothing() -> Arc<Hierarchy> {
    Arc::new(Hierarchy::empty())
}

/// Number, field and reason of each problem.
fn problems(existing: &Arc<Hierarchy>, rows: Vec<Row>) -> Vec<(i32, &'static str, Reason)> {
    let problems = merge(existing, &staged(rows)).unwrap_err();
    problems.into_iter().map(|problem| (problem.row, problem.field, problem.reason)).collect()
}

pub(crate) fn histories(hierarchy: &Hierarchy) -> Vec<UnitHistory> {
    hierarchy.histories().cloned().collect()
}

fn bac_ninh() -> Vec<Row> {
    vec![
        row(1, "24", "Tỉnh Bắc Giang", "", "", "2025-06-30"),
        row(2, "24", "Tỉnh Bắc Ninh", "", "2025-07-01", ""),
        row(3, "09427", "Phường Trí Quả", "24", "2025-07-01", ""),
    ]
}

fn city() -> Row {
    let row = row(1, "24", "Thành phố Bắc Ninh", "", "2026-09-20", "");
    later(row, "24", "2025-07-01")
}

#[test]
fn a_province_becomes_a_city_by_one_row() {
    let before = import(&nothing(), bac_ninh()).hierarchy;
    let merged = import(&before, vec![city()]);
    let unit = UnitId::new(NSO, "24", Some(day("2025-07-01")));
    assert_eq!((merged.changed, merged.created, merged.unchanged), (vec![unit], 0, 0));
    assert_eq!(merged.hierarchy.version(), 2);

    let history = merged.hierarchy.get(unit).unwrap();
    let versions: Vec<_> =
        history.versions.iter().map(|one| (one.display_name.as_str(), one.validity)).collect();
    assert_eq!(
        versions,
        [
            ("Tỉnh Bắc Ninh", validity("2025-07-01", "2026-09-19")),
            ("Thành phố Bắc Ninh", validity("2026-09-20", "")),
        ]
    );
    // The code never stopped being held.
    let held: Vec<_> = history.identifiers.iter().map(|held| held.validity).collect();
    assert_eq!(held, [validity("2025-07-01", "")]);
    assert_eq!(merged.hierarchy.children(unit, day("2026-11-22")).len(), 1);
}

#[test]
fn rows_that_are_there_change_nothing() {
    let before = import(&nothing(), bac_ninh()).hierarchy;
    let after = import(&before, vec![city()]).hierarchy;
    // The second list does not know of the city yet, and does not undo it.
    let mut all = bac_ninh();
    all.push(city());
    for rows in [bac_ninh(), vec![city()], all] {
        let units = rows.iter().map(|row| row.unit).collect::<HashSet<_>>().len();
        let merged = import(&after, rows);
        assert_eq!((merged.changed.len(), merged.unchanged), (0, units));
        assert_eq!(merged.hierarchy.version(), after.version());
    }
}

#[test]
fn a_unit_ends_by_its_row_with_a_last_day() {
    let before = import(&nothing(), vec![row(1, "24", "Tỉnh Bắc Ninh", "", "2025-07-01", "")]);
    let ended = row(1, "24", "Tỉnh Bắc Ninh", "", "2025-07-01", "2027-06-30");
    let unit = ended.unit;
    let after = import(&before.hierarchy, vec![ended]).hierarchy;
    assert!(after.unit(unit, day("2027-06-30")).is_some());
    assert!(after.unit(unit, day("2027-07-01")).is_none());
    assert!(after.by_code(NSO, "24", day("2027-07-01")).is_err());
}

#[test]
fn a_unit_with_children_does_not_end() {
    let before = import(&nothing(), bac_ninh()).hierarchy;
    let ended = row(7, "24", "Tỉnh Bắc Ninh", "", "2025-07-01", "2027-06-30");
    assert_eq!(problems(&before, vec![ended]), [(7, "valid_through_date", Reason::ParentNotValid)]);
}

#[test]
fn another_code_ends_the_one_before() {
    let before = import(&nothing(), vec![row(1, "27", "Tỉnh Bắc Ninh", "", "2025-01-01", "")]);
    let recoded = later(row(1, "24", "Tỉnh Bắc Ninh", "", "2025-07-01", ""), "27", "2025-01-01");
    let unit = recoded.unit;
    let after = import(&before.hierarchy, vec![recoded]).hierarchy;
    assert_eq!(after.by_code(NSO, "27", day("2025-06-30")), Ok(unit));
    assert_eq!(after.by_code(NSO, "24", day("2025-07-01")), Ok(unit));
    assert!(after.by_code(NSO, "27", day("2025-07-01")).is_err());
}

#[test]
fn a_parent_is_whoever_has_the_code_then() {
    let mut rows = bac_ninh();
    rows.extend([
        row(4, "213", "Thành phố Bắc Giang", "24", "", "2025-06-30"),
        row(5, "07210", "Phường Ngô Quyền", "213", "", "2025-06-30"),
    ]);
    let hierarchy = import(&nothing(), rows).hierarchy;
    let parent = |code: &str, first_day: &str| {
        let first_day = (!first_day.is_empty()).then(|| day(first_day));
        let unit = hierarchy.get(UnitId::new(NSO, code, first_day)).unwrap();
        unit.versions[0].parent
    };
    assert_eq!(parent("213", ""), Some(UnitId::new(NSO, "24", None)));
    assert_eq!(
        parent("09427", "2025-07-01"),
        Some(UnitId::new(NSO, "24", Some(day("2025-07-01"))))
    );
    // Known neither from when nor until when: the first that had the code, who is not there for all of that.
    let department = row(9, "99999", "Xã không rõ", "24", "", "");
    let found = merge(&hierarchy, &staged(vec![department])).unwrap_err();
    assert_eq!((found[0].reason, found[0].field), (Reason::ParentNotValid, "parent_code"));
    assert!(found[0].message.contains("Tỉnh Bắc Giang"), "{}", found[0].message);
}

#[test]
fn every_bad_row_is_named() {
    let before = import(&nothing(), bac_ninh()).hierarchy;
    let cases = [
        // A code that no one has on the row's first day, and one that another unit has then.
        (
            vec![row(1, "09430", "Xã Đại Đồng", "262", "2025-07-01", "")],
            vec![(1, "parent_code", Reason::ParentNotValid)],
        ),
        (
            vec![row(2, "09427", "Phường Thanh Khương", "24", "2026-01-01", "")],
            vec![(2, "code", Reason::CodeTaken)],
        ),
        // Two new units with one code: both rows.
        (
            vec![
                row(3, "09430", "Xã Một", "24", "2025-07-01", ""),
                row(4, "09430", "Xã Hai", "24", "2026-01-01", ""),
            ],
            vec![(3, "code", Reason::CodeTaken), (4, "code", Reason::CodeTaken)],
        ),
        // The parent's code goes to another unit on the way.
        (
            vec![row(5, "09430", "Xã Ba", "24", "2025-01-01", "")],
            vec![(5, "parent_code", Reason::ParentNotValid)],
        ),
        // The same unit under two names.
        (
            vec![
                row(6, "09430", "Xã Bốn", "24", "2025-07-01", ""),
                row(7, "09430", "Xã Năm", "24", "2025-07-01", ""),
            ],
            vec![
                (6, "valid_from_date", Reason::ValidityOverlaps),
                (7, "valid_from_date", Reason::ValidityOverlaps),
            ],
        ),
        // Another name for what is there already.
        (
            vec![row(8, "24", "Tỉnh Kinh Bắc", "", "2025-07-01", "")],
            vec![(8, "valid_from_date", Reason::ValidityOverlaps)],
        ),
        // A later version of a unit that there is not.
        (
            vec![later(
                row(9, "24", "Thành phố Bắc Ninh", "", "2026-09-20", ""),
                "27",
                "2025-07-01",
            )],
            vec![(9, "code", Reason::CodeTaken), (9, "origin_code", Reason::RowInvalid)],
        ),
        // Each under the other.
        (
            vec![
                row(10, "301", "Huyện Một", "302", "2025-07-01", ""),
                row(11, "302", "Huyện Hai", "301", "2025-07-01", ""),
            ],
            vec![(10, "parent_code", Reason::Cycle), (11, "parent_code", Reason::Cycle)],
        ),
        // Under itself.
        (
            vec![row(12, "303", "Huyện Ba", "303", "2025-07-01", "")],
            vec![(12, "parent_code", Reason::Cycle)],
        ),
        // Under its own child, from a later day on.
        (
            vec![later(
                row(13, "24", "Thành phố Bắc Ninh", "09427", "2026-09-20", ""),
                "24",
                "2025-07-01",
            )],
            vec![(13, "parent_code", Reason::Cycle)],
        ),
    ];
    for (rows, expected) in cases {
        let name = rows[0].display_name.clone();
        assert_eq!(problems(&before, rows), expected, "{name}");
    }
}

#[test]
fn a_row_that_repeats_what_is_there_is_not_blamed_for_another() {
    let mut rows: Vec<Row> = bac_ninh().into_iter().take(2).collect();
    let before = import(&nothing(), rows.clone()).hierarchy;
    let before = import(&before, vec![city()]).hierarchy;
    let between = row(4, "24", "Tỉnh Kinh Bắc", "", "2027-01-01", "2027-12-31");
    rows.push(later(between, "24", "2025-07-01"));
    rows.push(Row { number: 5, validity: validity("2026-09-20", "2027-06-30"), ..city() });
    assert_eq!(
        problems(&before, rows),
        [
            (4, "valid_from_date", Reason::ValidityOverlaps),
            (5, "valid_from_date", Reason::ValidityOverlaps)
        ]
    );
}

#[test]
fn nobody_is_blamed_for_a_row_that_does_not_read() {
    let mut rows = bac_ninh();
    let province = rows.remove(1);
    let problem = RowProblem {
        position: province.position,
        row: province.number,
        field: "kind",
        reason: Reason::RowInvalid,
        message: "kind is missing".to_owned(),
    };
    let spoilt = HashSet::from([nso(&province.value.unwrap())]);
    let staged = Staged { rows, problems: vec![problem.clone()], spoilt };
    assert_eq!(merge(&nothing(), &staged).unwrap_err(), [problem]);
}

/// The row under another scheme.
fn known_as(row: Row, scheme: &str, value: &str) -> Row {
    Row { scheme: scheme.to_owned(), value: Some(value.to_owned()), ..row }
}

fn outcomes(existing: &Arc<Hierarchy>, rows: Vec<Row>) -> Vec<RowOutcome> {
    judge(existing, &staged(rows)).outcomes
}

fn held(hierarchy: &Hierarchy, unit: UnitId) -> Vec<(String, Validity)> {
    let identifiers = hierarchy.get(unit).into_iter().flat_map(|history| &history.identifiers);
    identifiers.map(|held| (held.value.clone(), held.validity)).collect()
}

#[test]
fn every_row_says_what_becomes_of_it_even_beside_a_bad_one() {
    use RowOutcome::{Creates, Unchanged, Updates};
    let before = import(&nothing(), bac_ninh()).hierarchy;
    let new = row(7, "09430", "Xã Đại Đồng", "24", "2025-07-01", "");
    let mut rows = bac_ninh();
    rows.extend([city(), new.clone(), later(new, "09430", "2025-07-01")]);
    for (position, row) in rows.iter_mut().enumerate() {
        row.position = position;
    }
    let expected = [Unchanged, Unchanged, Unchanged, Updates, Creates, Creates];
    assert_eq!(outcomes(&before, rows.clone()), expected);
    let bad = Row { position: 6, ..row(9, "09433", "Xã Ngũ Thái", "98", "2025-07-01", "") };
    rows.push(bad);
    let judged = judge(&before, &staged(rows));
    assert_eq!(judged.outcomes[..6], expected);
    assert_eq!(judged.merged.unwrap_err().len(), 1);
}

#[test]
fn a_unit_that_was_taken_back_is_a_new_one() {
    let known = bac_ninh().remove(1);
    let history = UnitHistory { id: known.unit, versions: Vec::new(), identifiers: Vec::new() };
    let before = Arc::new(Hierarchy::build(4, vec![history]).unwrap());
    let merged = import(&before, vec![known.clone()]);
    assert_eq!((merged.created, merged.hierarchy.version()), (1, 5));
    let later = later(Row { value: Some("25".to_owned()), ..known.clone() }, "24", "2025-07-01");
    let later = Row { validity: validity("2026-01-01", ""), ..later };
    assert_eq!(problems(&before, vec![later]), [(2, "origin_code", Reason::RowInvalid)]);
    assert_eq!(outcomes(&before, vec![known]), [RowOutcome::Creates]);
}

#[test]
fn a_row_of_another_scheme_adds_a_code_and_ends_nothing_but_it() {
    let unit = UnitId::new(NSO, "24", Some(day("2025-07-01")));
    let before = import(&nothing(), bac_ninh()).hierarchy;
    let row = |name, from, through| {
        let row = row(1, "24", name, "", from, through);
        later(known_as(row, "dinh_danh", "H05"), "24", "2025-07-01")
    };
    // While it still goes by that; and while it did for a time.
    for (through, ends, pieces) in [("", "", 2), ("2026-03-31", "2026-03-31", 3)] {
        let rows = vec![row("Tỉnh Bắc Ninh", "2026-01-01", through)];
        let after = import(&before, rows.clone()).hierarchy;
        let codes = [
            ("H05".to_owned(), validity("2026-01-01", ends)),
            ("24".to_owned(), validity("2025-07-01", "")),
        ];
        assert_eq!(held(&after, unit), codes);
        assert_eq!(after.get(unit).unwrap().versions.len(), pieces);
        assert_eq!(import(&after, [bac_ninh(), rows].concat()).changed, []);
        // What comes after in the first scheme does not end the other code.
        let after = import(&after, vec![city()]).hierarchy;
        assert_eq!(held(&after, unit), codes);
    }
    // It cannot say something else than the first scheme does, and cannot end what that lets go on.
    let renamed = vec![row("Tỉnh Kinh Bắc", "2026-01-01", "")];
    assert_eq!(problems(&before, renamed), [(1, "valid_from_date", Reason::ValidityOverlaps)]);
    let first = vec![row("Tỉnh Bắc Ninh", "2025-07-01", "2026-03-31")];
    let after = import(&before, first).hierarchy;
    assert!(after.unit(unit, day("2026-11-22")).is_some());
    // The first scheme ends all of it.
    let childless = import(&nothing(), bac_ninh()[..2].to_vec()).hierarchy;
    let both = import(&childless, vec![row("Tỉnh Bắc Ninh", "2026-01-01", "")]).hierarchy;
    let ends = super::tests::row(1, "24", "Tỉnh Bắc Ninh", "", "2025-07-01", "2027-06-30");
    let ended = import(&both, vec![ends]).hierarchy;
    assert!(ended.unit(unit, day("2027-07-01")).is_none());
    assert_eq!(held(&ended, unit)[0], ("H05".to_owned(), validity("2026-01-01", "2027-06-30")));
}

#[test]
fn a_code_is_not_held_again_when_the_unit_comes_back() {
    let rows = vec![
        row(1, "24", "Tỉnh Bắc Ninh", "", "2020-01-01", "2021-12-31"),
        later(
            known_as(row(2, "24", "Tỉnh Bắc Ninh", "", "2020-01-01", ""), "dinh_danh", "H05"),
            "24",
            "2020-01-01",
        ),
        later(row(3, "24", "Tỉnh Bắc Ninh", "", "2025-07-01", ""), "24", "2020-01-01"),
    ];
    let unit = rows[0].unit;
    let hierarchy = import(&nothing(), rows).hierarchy;
    assert_eq!(
        held(&hierarchy, unit),
        [
            ("H05".to_owned(), validity("2020-01-01", "2021-12-31")),
            ("24".to_owned(), validity("2020-01-01", "2021-12-31")),
            ("24".to_owned(), validity("2025-07-01", "")),
        ]
    );
}

#[test]
fn a_unit_can_have_no_code_for_a_while_and_be_a_parent_all_the_same() {
    let parent = UnitId::new(NSO, "24", Some(day("2025-07-01")));
    let before = import(&nothing(), bac_ninh()).hierarchy;
    let none = |from: &str, through: &str| {
        let row = row(1, "24", "Tỉnh Bắc Ninh", "", from, through);
        later(Row { value: None, ..row }, "24", "2025-07-01")
    };
    let after = import(&before, vec![none("2026-01-01", "")]).hierarchy;
    assert_eq!(held(&after, parent), [("24".to_owned(), validity("2025-07-01", "2025-12-31"))]);
    let child = row(4, "09430", "Xã Đại Đồng", "24", "2026-05-01", "");
    assert_eq!(problems(&after, vec![child.clone()]), [(4, "parent_code", Reason::ParentNotValid)]);
    let by_name = Row { parent: Some(nso(&parent.to_string())), ..child };
    let merged = import(&after, vec![by_name]);
    assert_eq!(merged.hierarchy.children(parent, day("2026-05-01")).len(), 2);
    // What is said to have a code cannot be said to have none.
    let denied = none("2025-07-01", "");
    assert_eq!(problems(&before, vec![denied]), [(1, "code", Reason::ValidityOverlaps)]);
}

#[test]
fn a_parent_is_found_by_a_code_that_it_only_has_later() {
    let before = import(&nothing(), bac_ninh()).hierarchy;
    let recoded = later(row(1, "34", "Tỉnh Bắc Ninh", "", "2026-01-01", ""), "24", "2025-07-01");
    let before = import(&before, vec![recoded]).hierarchy;
    let same = |parent| row(2, "09427", "Phường Trí Quả", parent, "2025-07-01", "");
    for parent in ["24", "34"] {
        assert_eq!(import(&before, vec![same(parent)]).changed, [], "{parent}");
    }
    let found = merge(&before, &staged(vec![same("98")])).unwrap_err();
    assert_eq!(found[0].message, "no unit has the code 98 of nso on 2025-07-01 or later");
}

#[test]
fn more_rows_about_one_unit_than_any_unit_has_are_each_refused() {
    let before = import(&nothing(), bac_ninh()).hierarchy;
    let rows = |count: i32| -> Vec<Row> {
        (1..=count).map(|number| row(number, "24", "Tỉnh Bắc Ninh", "", "2025-07-01", "")).collect()
    };
    assert_eq!(import(&before, rows(1000)).unchanged, 1);
    let told = problems(&before, rows(1001));
    let expected: Vec<_> = (1..=1001).map(|number| (number, "code", Reason::RowInvalid)).collect();
    assert_eq!(told, expected);
}

#[test]
fn two_rows_of_one_number_are_both_told() {
    let one = row(5, "09430", "Xã Đại Đồng", "98", "2025-07-01", "");
    let two = Row { position: 6, ..row(5, "09433", "Xã Đại Đông", "98", "2025-07-01", "") };
    let told = merge(&nothing(), &staged(vec![one, two])).unwrap_err();
    let told: Vec<_> = told.iter().map(|problem| (problem.row, problem.position)).collect();
    assert_eq!(told, [(5, 5), (5, 6)]);
}

#[test]
fn what_passed_to_another_cannot_be_said_to_have_ended_before() {
    let rows = ["09430", "09433"].map(|code| row(1, code, "Xã", "", "", ""));
    let units = rows.each_ref().map(|row| row.unit);
    let before = import(&nothing(), rows.to_vec()).hierarchy;
    let edge = dunghan_hierarchy::Edge {
        effective: day("2025-07-01"),
        predecessor: units[0],
        successor: units[1],
        kind: dunghan_hierarchy::EdgeKind::SplitPart,
        reorganisation: "tach-xa".into(),
    };
    let histories = histories(&before);
    let before = Arc::new(Hierarchy::build_with_edges(1, histories, vec![edge]).unwrap());
    let ends = |code, through| row(3, code, "Xã", "", "", through);
    let broken = [(3, "valid_through_date", Reason::LineageBroken)];
    assert_eq!(problems(&before, vec![ends("09430", "2025-06-29")]), broken);
    assert_eq!(problems(&before, vec![ends("09433", "2025-06-30")]), broken);
    for sound in [ends("09430", "2025-06-30"), ends("09433", "2025-07-01")] {
        // The edge stays.
        assert_eq!(import(&before, vec![sound]).hierarchy.edges(), before.edges());
    }
}

/// Provinces, communes that move between them, and codes that go to other units: all of it right, in the order of time.
fn sound_rows() -> impl Strategy<Value = Vec<Row>> {
    // For each commune: under which province, whether the reform moves it, and whether it becomes another unit then.
    let communes =
        prop::collection::vec((0..3usize, prop::option::of(0..3usize), any::<bool>()), 0..12);
    (communes, prop::collection::vec(any::<bool>(), 3)).prop_map(|(communes, cities)| {
        let provinces = ["11", "12", "13"];
        let mut rows = Vec::new();
        for code in provinces {
            rows.push(row(0, code, &format!("Tỉnh {code}"), "", "2020-01-01", ""));
        }
        for (number, (at, ..)) in communes.iter().enumerate() {
            let code = format!("{:05}", number + 1);
            let ends = if communes[number].2 { "2025-06-30" } else { "" };
            rows.push(row(0, &code, &format!("Xã {code}"), provinces[*at], "2020-01-01", ends));
        }
        for (number, (_, moves, another)) in communes.iter().enumerate() {
            let code = format!("{:05}", number + 1);
            let Some(to) = moves else { continue };
            let moved = row(0, &code, &format!("Xã {code}"), provinces[*to], "2025-07-01", "");
            rows.push(if *another { moved } else { later(moved, &code, "2020-01-01") });
        }
        for (code, city) in provinces.into_iter().zip(cities) {
            if city {
                let row = row(0, code, &format!("Thành phố {code}"), "", "2026-09-20", "");
                rows.push(later(row, code, "2020-01-01"));
            }
        }
        for (position, row) in rows.iter_mut().enumerate() {
            row.position = position;
        }
        rows
    })
}

/// One thing that somebody tries to bring in; numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) what: u8,
    pub(crate) which: usize,
    pub(crate) other: usize,
    pub(crate) from: usize,
    pub(crate) through: usize,
}

pub(crate) const DAYS: [&str; 5] = ["", "2020-01-01", "2022-06-01", "2025-07-01", "2026-09-20"];

pub(crate) fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    let attempt = (0..12u8, 0..8usize, 0..8usize, 0..5usize, 0..10usize);
    let attempt = attempt.prop_map(|(what, which, other, from, through)| Attempt {
        what,
        which,
        other,
        from,
        through,
    });
    prop::collection::vec(attempt, 1..40)
}

/// The row of an attempt: a new unit, or another version or code of one that there is.
fn attempted(hierarchy: &Hierarchy, attempt: Attempt) -> Row {
    let Attempt { what, which, other, from, through } = attempt;
    let what = what % 6;
    let from = DAYS[from];
    let through = DAYS.get(through).copied().unwrap_or_default();
    let units: Vec<UnitId> = hierarchy.histories().map(|history| history.id).collect();
    let unit = units.get(which % units.len().max(1)).and_then(|unit| hierarchy.get(*unit));
    let day_of = |history: &UnitHistory| {
        let first = history.versions.first().map_or(NaiveDate::MIN, |one| start(one.validity));
        start(validity(from, "")).max(first)
    };
    let known = unit.filter(|_| what > 1).and_then(|history| {
        // One that has ended by then comes back.
        let version = history.version_on(day_of(history)).or_else(|| history.versions.last())?;
        let first = history.versions.first()?.validity.from;
        let listed =
            |held: &&Identifier| UnitId::new(&held.scheme, &held.value, first) == history.id;
        Some((history, version, history.identifiers.iter().find(listed)?))
    });
    let Some((history, version, listed)) = known else {
        let parent = if what == 0 { String::new() } else { format!("1{}", other % 3) };
        let code = if what == 0 { format!("1{}", which % 3) } else { format!("0000{which}") };
        return row(0, &code, &format!("Xã {code}"), &parent, from, through);
    };
    let first_day = history.versions.first().and_then(|one| one.validity.from);
    let held = history.code_on(&listed.scheme, day_of(history)).unwrap_or(&listed.value);
    let mut row = Row {
        position: 0,
        number: 1,
        unit: history.id,
        scheme: listed.scheme.clone(),
        value: Some(held.to_owned()),
        origin: Some(Origin {
            code: Code { scheme: listed.scheme.clone(), value: listed.value.clone() },
            first_day,
        }),
        display_name: version.display_name.clone(),
        kind: version.kind,
        level: version.level,
        parent: version.parent.map(|parent| nso(&parent.to_string())),
        validity: Validity {
            from: validity(from, "").from.max(first_day),
            ..validity("", through)
        },
    };
    match what {
        2 => row.display_name = format!("Xã Số {other}"),
        3 if other == 7 => row.value = None,
        3 => row.value = row.value.map(|value| format!("{:0>1$}", other, value.len())),
        4 => row.parent = Some(nso(&format!("1{}", other % 3))),
        _ => {
            row.scheme = "dinh_danh".to_owned();
            row.value = Some(format!("H{other}"));
        }
    }
    row
}

/// Three provinces with three communes in one of them.
pub(crate) fn seed() -> Arc<Hierarchy> {
    let provinces = ["10", "11", "12"].map(|code| row(0, code, "Tỉnh", "", "", ""));
    let communes = ["00001", "00002", "00003"].map(|code| row(0, code, "Xã", "11", "", ""));
    import(&nothing(), [provinces, communes].concat()).hierarchy
}

/// What is there when what was attempted has come in, if it is sound.
pub(crate) fn grown(hierarchy: Arc<Hierarchy>, attempt: Attempt) -> Arc<Hierarchy> {
    let row = attempted(&hierarchy, attempt);
    if row.validity.is_empty() {
        return hierarchy;
    }
    merge(&hierarchy, &staged(vec![row])).map_or(hierarchy, |merged| merged.hierarchy)
}

proptest! {
    #[test]
    fn the_order_of_rows_and_repeating_them_does_not_matter(
        (rows, shuffled) in sound_rows().prop_flat_map(|rows| {
            let twice: Vec<Row> = rows.iter().chain(&rows).cloned().collect();
            (Just(rows), Just(twice).prop_shuffle())
        }),
    ) {
        let once = import(&nothing(), rows.clone());
        let other = import(&nothing(), shuffled.clone());
        prop_assert_eq!(histories(&once.hierarchy), histories(&other.hierarchy));
        for again in [rows, shuffled] {
            let again = import(&once.hierarchy, again);
            prop_assert!(again.changed.is_empty());
            prop_assert_eq!(again.unchanged, once.hierarchy.len());
        }
    }

    #[test]
    fn what_comes_in_over_the_years_is_what_would_have_come_in_at_once(
        (rows, cut) in sound_rows().prop_flat_map(|rows| {
            let most = rows.len();
            (Just(rows), 0..=most)
        }),
    ) {
        let at_once = import(&nothing(), rows.clone());
        let (first, second) = rows.split_at(cut);
        let first = import(&nothing(), first.to_vec());
        let second = import(&first.hierarchy, second.to_vec());
        prop_assert_eq!(histories(&second.hierarchy), histories(&at_once.hierarchy));
    }

    #[test]
    fn a_row_is_unchanged_if_it_changes_nothing_and_only_then(
        attempts in attempts(),
    ) {
        let mut hierarchy = seed();
        for attempt in attempts {
            let row = attempted(&hierarchy, attempt);
            if row.validity.is_empty() {
                continue;
            }
            let judged = judge(&hierarchy, &staged(vec![row.clone()]));
            let Ok(merged) = judged.merged else { continue };
            let same = Arc::ptr_eq(&merged.hierarchy, &hierarchy);
            prop_assert_eq!(judged.outcomes[0] == RowOutcome::Unchanged, same);
            prop_assert_eq!(histories(&merged.hierarchy) == histories(&hierarchy), same);
            // And once it is in, it says what is known.
            let again = judge(&merged.hierarchy, &staged(vec![row]));
            prop_assert_eq!(again.outcomes, [RowOutcome::Unchanged]);
            prop_assert!(Arc::ptr_eq(&again.merged.unwrap().hierarchy, &merged.hierarchy));
            hierarchy = merged.hierarchy;
        }
    }
}
