//! What is refused, and that nothing is left out of the refusal.

use dunghan_hierarchy::{Edge, EdgeKind, Hierarchy, Problem, UnitHistory, UnitId, Validity};

use crate::tree::{code, day, edge, new, old, reform, tree, unit, units, version};

fn problems(units: Vec<UnitHistory>) -> Vec<Problem> {
    Hierarchy::build(1, units).map(|_| Vec::new()).unwrap_or_else(|problems| problems)
}

fn plain(value: &str, validity: Validity, parent: Option<UnitId>) -> UnitHistory {
    unit(old(value), value, vec![version(validity, "Xã", parent)])
}

#[test]
fn a_hierarchy_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Hierarchy>();
    assert_eq!(format!("{:?}", tree()), "Hierarchy { version: 7, len: 23, .. }");
}

#[test]
fn the_empty_hierarchy_has_nothing_on_any_date() {
    let empty = Hierarchy::empty();
    assert!(
        empty.is_empty() && empty.units(reform()).is_empty() && empty.roots(reform()).is_empty()
    );
    assert_eq!(empty.version(), 0);
}

#[test]
fn histories_come_back_whole_and_by_id() {
    let hierarchy = tree();
    let ids: Vec<UnitId> = hierarchy.histories().map(|history| history.id).collect();
    assert!(ids.is_sorted());
    assert_eq!(hierarchy.len(), units().len());
    for mut given in units() {
        given.versions.sort_by_key(|version| version.validity.from);
        assert_eq!(hierarchy.get(given.id), Some(&given));
    }
}

#[test]
fn versions_of_a_unit_may_touch_but_not_overlap() {
    let versions = |until| {
        vec![
            version(Validity::since(reform()), "Phường Một", None),
            version(Validity::before(day(until)), "Xã Một", None),
        ]
    };
    assert_eq!(problems(vec![unit(old("1"), "1", versions("2025-07-01"))]), []);
    assert_eq!(
        problems(vec![unit(old("1"), "1", versions("2025-07-03"))]),
        [Problem::OverlappingVersions {
            unit: old("1"),
            overlap: Validity::between(reform(), day("2025-07-03"))
        }]
    );
}

#[test]
fn a_unit_has_one_code_of_a_scheme_at_a_time() {
    let mut one = plain("1", Validity::OPEN, None);
    one.identifiers =
        vec![code("2", Validity::since(reform())), code("1", Validity::before(reform()))];
    assert_eq!(problems(vec![one.clone()]), []);
    one.identifiers[1].validity = Validity::OPEN;
    assert_eq!(
        problems(vec![one.clone()]),
        [Problem::OverlappingIdentifiers {
            unit: old("1"),
            scheme: "nso".to_owned(),
            first: "1".to_owned(),
            second: "2".to_owned(),
            overlap: Validity::since(reform()),
        }]
    );
    one.identifiers[0].value = "1".to_owned();
    assert_eq!(
        problems(vec![one.clone()]).len(),
        1,
        "a code given twice to one unit is held by one unit"
    );
    one.identifiers[1].scheme = "agency".to_owned();
    assert_eq!(problems(vec![one]), []);
}

#[test]
fn a_code_belongs_to_one_unit_at_a_time() {
    let first =
        unit(old("1"), "1", vec![version(Validity::before(day("2025-07-02")), "Xã Một", None)]);
    let second = unit(new("1"), "1", vec![version(Validity::since(reform()), "Xã Hai", None)]);
    let found = problems(vec![first, second]);
    assert_eq!(
        found,
        [Problem::CodeHeldTwice {
            scheme: "nso".to_owned(),
            value: "1".to_owned(),
            first: old("1"),
            second: new("1"),
            overlap: Validity::between(reform(), day("2025-07-02")),
        }]
    );
    assert_eq!(found[0].units(), [old("1"), new("1")]);
}

#[test]
fn a_code_left_open_by_a_unit_that_ended_is_free() {
    let first = unit(old("1"), "1", vec![version(Validity::before(reform()), "Xã Một", None)]);
    let second = unit(new("1"), "1", vec![version(Validity::since(reform()), "Xã Hai", None)]);
    let hierarchy = Hierarchy::build(1, vec![first, second]).unwrap();
    assert_eq!(hierarchy.by_code("nso", "1", day("2025-06-30")), Ok(old("1")));
    assert_eq!(hierarchy.by_code("nso", "1", reform()), Ok(new("1")));
}

#[test]
fn a_parent_exists_and_lasts_as_long_as_its_child() {
    let table = [
        ("an open child under an open parent", Validity::OPEN, Validity::OPEN, true),
        ("a parent that ends", Validity::before(reform()), Validity::OPEN, false),
        ("both end together", Validity::before(reform()), Validity::before(reform()), true),
        (
            "an unknown beginning under a known one",
            Validity::since(reform()),
            Validity::OPEN,
            false,
        ),
        ("a known beginning under an unknown one", Validity::OPEN, Validity::since(reform()), true),
        (
            "a parent that begins later",
            Validity::since(day("2025-07-02")),
            Validity::since(reform()),
            false,
        ),
    ];
    for (what, above, below, fine) in table {
        let found = problems(vec![plain("1", above, None), plain("2", below, Some(old("1")))]);
        let expected =
            Problem::ParentNotValid { unit: old("2"), parent: old("1"), validity: below };
        assert_eq!(found, if fine { vec![] } else { vec![expected] }, "{what}");
    }
    assert_eq!(
        problems(vec![plain("2", Validity::OPEN, Some(old("1")))]),
        [Problem::ParentUnknown { unit: old("2"), parent: old("1"), validity: Validity::OPEN }]
    );
}

#[test]
fn a_parent_that_is_renamed_lasts_on_and_one_that_pauses_does_not() {
    let parent = |second: &str| {
        let versions = vec![
            version(Validity::before(reform()), "Tỉnh Một", None),
            version(Validity::since(day(second)), "Thành phố Một", None),
        ];
        unit(old("1"), "1", versions)
    };
    let child = plain("2", Validity::OPEN, Some(old("1")));
    assert_eq!(problems(vec![parent("2025-07-01"), child.clone()]), []);
    assert_eq!(problems(vec![parent("2025-07-02"), child]).len(), 1);
}

#[test]
fn units_under_one_another_are_found_once_with_the_day_it_begins() {
    let turning = |value: &str, before: Option<UnitId>, since: Option<UnitId>| {
        let versions = vec![
            version(Validity::before(reform()), "Xã", before),
            version(Validity::since(reform()), "Xã", since),
        ];
        unit(old(value), value, versions)
    };
    let found = problems(vec![
        turning("1", None, Some(old("2"))),
        turning("2", None, Some(old("3"))),
        turning("3", Some(old("1")), Some(old("1"))),
        plain("4", Validity::OPEN, Some(old("1"))),
    ]);
    let [Problem::Cycle { units, from }] = &found[..] else { panic!("{found:?}") };
    assert_eq!(*from, Some(reform()));
    let mut sorted = units.clone();
    sorted.sort();
    let mut expected = vec![old("1"), old("2"), old("3")];
    expected.sort();
    assert_eq!(sorted, expected);

    let own_parent = problems(vec![plain("1", Validity::OPEN, Some(old("1")))]);
    assert_eq!(own_parent, [Problem::Cycle { units: vec![old("1")], from: None }]);
}

#[test]
fn swapping_places_is_not_a_cycle() {
    let swap = |value: &str, other: &str, first: bool| {
        let (before, since) =
            if first { (Some(old(other)), None) } else { (None, Some(old(other))) };
        let versions = vec![
            version(Validity::before(reform()), "Xã", before),
            version(Validity::since(reform()), "Xã", since),
        ];
        unit(old(value), value, versions)
    };
    assert_eq!(problems(vec![swap("1", "2", true), swap("2", "1", false)]), []);
}

#[test]
fn an_edge_leads_from_what_was_there_the_day_before_to_what_is_there_on_its_day() {
    let made_of = |from: Validity, to: Validity, on: &str| {
        let units = vec![plain("1", from, None), plain("2", to, None)];
        let edge = edge(on, old("1"), old("2"), EdgeKind::Merged);
        let built = Hierarchy::build_with_edges(1, units, vec![edge.clone()]);
        (edge, built.map(|_| Vec::new()).unwrap_or_else(|problems| problems))
    };
    let ending = Validity::before(reform());
    let (_, found) = made_of(ending, Validity::since(reform()), "2025-07-01");
    assert_eq!(found, []);

    let (edge, found) = made_of(ending, Validity::since(reform()), "2025-06-30");
    assert_eq!(found, [Problem::SuccessorNotValid { edge }], "a day too early");
    let (edge, found) = made_of(ending, Validity::since(reform()), "2025-07-02");
    assert_eq!(found, [Problem::PredecessorNotValid { edge }], "a day too late");
    let (edge, found) = made_of(Validity::since(reform()), ending, "2025-07-01");
    let both: [fn(Edge) -> Problem; 2] =
        [|edge| Problem::PredecessorNotValid { edge }, |edge| Problem::SuccessorNotValid { edge }];
    assert_eq!(found, both.map(|problem| problem(edge.clone())), "turned round");

    let (_, found) = made_of(Validity::OPEN, Validity::OPEN, "2025-07-01");
    assert_eq!(found, [], "a part passes between two that were there and are");
    let (edge, found) = made_of(Validity::since(reform()), Validity::OPEN, "2025-07-01");
    assert_eq!(found, [Problem::PredecessorNotValid { edge }], "on the predecessor's first day");
    let (_, found) = made_of(Validity::since(reform()), Validity::OPEN, "2025-07-02");
    assert_eq!(found, [], "on its second");
}

#[test]
fn all_problems_are_told_at_once_and_name_their_units() {
    let mut blank = plain("1", Validity::OPEN, None);
    blank.versions[0].display_name = " \u{a0}".to_owned();
    let mut never = plain("2", Validity::between(reform(), reform()), None);
    never.identifiers.clear();
    let taken_back = UnitHistory { id: old("3"), versions: Vec::new(), identifiers: Vec::new() };
    let orphan = plain("4", Validity::OPEN, Some(old("9")));
    let below = plain("5", Validity::OPEN, Some(old("3")));
    let itself = edge("2025-07-01", old("4"), old("4"), EdgeKind::Merged);
    let unknown = edge("2025-07-01", old("8"), old("9"), EdgeKind::Merged);
    let from_nothing = edge("2025-07-01", old("3"), old("4"), EdgeKind::Merged);
    let into_nothing = edge("2025-07-01", old("4"), old("3"), EdgeKind::SplitPart);
    let edges = vec![itself.clone(), unknown.clone(), from_nothing.clone(), into_nothing.clone()];
    let units = vec![blank.clone(), never, taken_back, orphan, below, blank];
    let found = Hierarchy::build_with_edges(1, units, edges).unwrap_err();
    assert_eq!(found.len(), 10, "{found:?}");
    assert!(found.contains(&Problem::DuplicateUnit { unit: old("1") }));
    assert!(found.contains(&Problem::BlankName { unit: old("1"), validity: Validity::OPEN }));
    assert!(found.contains(&Problem::EmptyValidity {
        unit: old("2"),
        validity: Validity::between(reform(), reform())
    }));
    assert!(found.contains(&Problem::ParentUnknown {
        unit: old("4"),
        parent: old("9"),
        validity: Validity::OPEN
    }));
    assert!(found.contains(&Problem::ParentNotValid {
        unit: old("5"),
        parent: old("3"),
        validity: Validity::OPEN
    }));
    assert!(found.contains(&Problem::EdgeToItself { edge: itself }));
    for unit in [old("8"), old("9")] {
        assert!(found.contains(&Problem::EdgeUnitUnknown { edge: unknown.clone(), unit }));
    }
    assert!(found.contains(&Problem::PredecessorNotValid { edge: from_nothing }));
    assert!(found.contains(&Problem::SuccessorNotValid { edge: into_nothing }));
    for problem in found {
        for unit in problem.units() {
            assert!(problem.to_string().contains(&unit.to_string()), "{problem}");
        }
    }
}

#[test]
fn a_chain_as_deep_as_a_careless_list_can_make_it_is_no_trouble() {
    let name = |at: usize| at.to_string();
    let chain =
        (0..5000).map(|at| plain(&name(at), Validity::OPEN, (at > 0).then(|| old(&name(at - 1)))));
    let hierarchy = Hierarchy::build(1, chain.collect()).unwrap();
    assert_eq!(hierarchy.ancestors(old("4999"), reform()).len(), 4999);
    assert_eq!(hierarchy.descendants(old("0"), reform()).len(), 4999);
}
