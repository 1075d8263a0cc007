//! The rules one by one, each at its boundary.

use dunghan_hierarchy::{Identifier, NSO, UnitHistory, Validity, Version};

use super::*;

const REFORM: &str = "2025-07-01";
const EVE: &str = "2025-06-30";

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn code(value: &str) -> Code {
    Code { scheme: NSO.to_owned(), value: value.to_owned() }
}

fn by(value: &str) -> UnitRef {
    UnitRef::Code(code(value))
}

/// A unit of the list, which does not know since when.
fn old(value: &str) -> UnitId {
    UnitId::new(NSO, value, None)
}

fn new(value: &str, first_day: &str) -> UnitId {
    UnitId::new(NSO, value, Some(day(first_day)))
}

fn kind_of(name: &str) -> (Kind, Level) {
    let kinds = [
        ("Tỉnh", Kind::Tinh, Level::Province),
        ("Thành phố", Kind::ThanhPho, Level::Province),
        ("Huyện", Kind::Huyen, Level::District),
        ("Xã", Kind::Xa, Level::Commune),
        ("Phường", Kind::Phuong, Level::Commune),
    ];
    let kind = kinds.into_iter().find(|(word, ..)| name.starts_with(word)).unwrap();
    (kind.1, kind.2)
}

fn unit(value: &str, name: &str, parent: &str, validity: Validity) -> UnitHistory {
    let (kind, level) = kind_of(name);
    let parent = (!parent.is_empty()).then(|| old(parent));
    let display_name = name.to_owned();
    UnitHistory {
        id: UnitId::new(NSO, value, validity.from),
        versions: vec![Version { validity, display_name, kind, level, parent }],
        identifiers: vec![Identifier { scheme: NSO.to_owned(), value: value.to_owned(), validity }],
    }
}

/// Two provinces with a district each, of which one has three communes and the other one.
fn country() -> Arc<Hierarchy> {
    let units = [
        ("24", "Tỉnh Bắc Giang", ""),
        ("27", "Tỉnh Bắc Ninh", ""),
        ("213", "Huyện Lục Ngạn", "24"),
        ("262", "Huyện Thuận Thành", "27"),
        ("09400", "Xã Trí Quả", "262"),
        ("09403", "Xã Đình Tổ", "262"),
        ("09406", "Xã Đại Đồng Thành", "262"),
        ("07300", "Xã Phượng Sơn", "213"),
    ];
    let units =
        units.into_iter().map(|(code, name, parent)| unit(code, name, parent, Validity::OPEN));
    Arc::new(Hierarchy::build(1, units.collect()).unwrap())
}

fn on(date: &str, changes: Vec<Change>) -> Reorganisation {
    Reorganisation { id: Arc::from(format!("r-{date}")), effective: day(date), changes }
}

fn new_unit(value: &str, name: &str, parent: &str) -> NewUnit {
    let (kind, level) = kind_of(name);
    let parent = (!parent.is_empty()).then(|| by(parent));
    NewUnit { code: code(value), display_name: name.to_owned(), kind, level, parent }
}

fn into_new(value: &str, name: &str, parent: &str) -> Target {
    Target::New(new_unit(value, name, parent))
}

fn into(value: &str) -> Target {
    Target::Existing(by(value))
}

/// A code alone passes wholly; `~` before it: a part of it, `!`: the main part.
fn merge(shares: &[&str], into: Target) -> Change {
    let shares = shares.iter().map(|share| {
        let kind = match share.chars().next() {
            Some('~') => EdgeKind::SplitPart,
            Some('!') => EdgeKind::SplitMain,
            _ => EdgeKind::Merged,
        };
        Share { unit: by(share.trim_start_matches(['~', '!'])), kind }
    });
    Change::Merge { shares: shares.collect(), into }
}

/// The first part is the main one.
fn split(value: &str, parts: Vec<Target>, continues: bool, children_to: Option<&str>) -> Change {
    let kinds = [EdgeKind::SplitMain].into_iter().chain(std::iter::repeat(EdgeKind::SplitPart));
    let portions = parts.into_iter().zip(kinds).map(|(into, kind)| Portion { into, kind });
    let children_to = children_to.map(by);
    Change::Split { unit: by(value), portions: portions.collect(), continues, children_to }
}

fn rename(value: &str, name: &str) -> Change {
    Change::Rename { unit: by(value), display_name: name.to_owned() }
}

fn retype(value: &str, kind: Kind, name: Option<&str>) -> Change {
    let display_name = name.map(str::to_owned);
    Change::Retype { unit: by(value), kind, display_name, level: None }
}

fn transfer(value: &str, parent: &str) -> Change {
    let parent = (!parent.is_empty()).then(|| by(parent));
    Change::Transfer { unit: by(value), parent }
}

fn recode(value: &str, to: &str) -> Change {
    let to = (!to.is_empty()).then(|| to.to_owned());
    Change::Recode { unit: by(value), scheme: NSO.to_owned(), value: to }
}

fn abolish(value: &str, children_to: Option<&str>) -> Change {
    Change::Abolish { unit: by(value), children_to: children_to.map(by) }
}

fn done(before: &Arc<Hierarchy>, reorganisations: &[Reorganisation]) -> Applied {
    apply(before, reorganisations).unwrap()
}

fn after(before: &Arc<Hierarchy>, date: &str, changes: Vec<Change>) -> Arc<Hierarchy> {
    done(before, &[on(date, changes)]).hierarchy
}

fn told(before: &Arc<Hierarchy>, date: &str, changes: Vec<Change>) -> Vec<(String, ChangeReason)> {
    let problems = apply(before, &[on(date, changes)]).unwrap_err();
    problems.into_iter().map(|one| (one.field, one.reason)).collect()
}

fn refused(
    before: &Arc<Hierarchy>,
    date: &str,
    changes: Vec<Change>,
    expected: &[(&str, ChangeReason)],
) {
    let expected: Vec<_> =
        expected.iter().map(|(field, reason)| ((*field).to_owned(), *reason)).collect();
    assert_eq!(told(before, date, changes), expected);
}

fn name(hierarchy: &Hierarchy, unit: UnitId, date: &str) -> String {
    hierarchy.unit(unit, day(date)).unwrap().version.display_name.clone()
}

fn parent(hierarchy: &Hierarchy, unit: UnitId, date: &str) -> Option<UnitId> {
    hierarchy.unit(unit, day(date)).unwrap().version.parent
}

fn there(hierarchy: &Hierarchy, unit: UnitId, date: &str) -> bool {
    hierarchy.unit(unit, day(date)).is_some()
}

fn edges(hierarchy: &Hierarchy) -> Vec<(UnitId, UnitId, EdgeKind)> {
    hierarchy.edges().iter().map(|edge| (edge.predecessor, edge.successor, edge.kind)).collect()
}

fn versions(hierarchy: &Hierarchy, unit: UnitId) -> Vec<(String, Validity)> {
    let versions = &hierarchy.get(unit).unwrap().versions;
    versions.iter().map(|version| (version.display_name.clone(), version.validity)).collect()
}

#[test]
fn what_is_merged_ends_on_the_day_and_what_is_under_it_passes_along() {
    let changes = vec![merge(&["24", "27"], into_new("24", "Tỉnh Bắc Ninh", ""))];
    let applied = done(&country(), &[on(REFORM, changes)]);
    let (hierarchy, bac_ninh) = (&applied.hierarchy, new("24", REFORM));
    assert_eq!(hierarchy.version(), 2);
    assert!(there(hierarchy, old("24"), EVE) && !there(hierarchy, old("24"), REFORM));
    assert!(!there(hierarchy, bac_ninh, EVE) && there(hierarchy, bac_ninh, REFORM));
    for (district, before) in [("213", "24"), ("262", "27")] {
        assert_eq!(parent(hierarchy, old(district), EVE), Some(old(before)));
        assert_eq!(parent(hierarchy, old(district), REFORM), Some(bac_ninh));
    }
    assert_eq!(hierarchy.by_code(NSO, "24", day(EVE)), Ok(old("24")));
    assert_eq!(hierarchy.by_code(NSO, "24", day(REFORM)), Ok(bac_ninh));
    assert!(hierarchy.by_code(NSO, "27", day(REFORM)).is_err());

    assert_eq!(applied.edges, hierarchy.edges());
    let mut from: Vec<_> = applied.edges.iter().map(|edge| edge.predecessor).collect();
    from.sort();
    let mut provinces = vec![old("24"), old("27")];
    provinces.sort();
    assert_eq!(from, provinces);
    assert!(applied.edges.iter().all(|edge| (edge.successor, edge.kind, edge.effective)
        == (bac_ninh, EdgeKind::Merged, day(REFORM))
        && &*edge.reorganisation == "r-2025-07-01"));

    let mut effects = vec![
        (old("24"), Effect::Ended),
        (old("27"), Effect::Ended),
        (bac_ninh, Effect::Created),
        (old("213"), Effect::PassedAlong),
        (old("262"), Effect::PassedAlong),
    ];
    effects.sort();
    assert_eq!(applied.effects, [effects.clone()]);
    assert_eq!(applied.changed, effects.iter().map(|(unit, _)| *unit).collect::<Vec<_>>());
}

#[test]
fn a_unit_takes_up_another_and_stays_what_it_is() {
    let after = after(&country(), REFORM, vec![merge(&["09403"], into("09400"))]);
    assert!(!there(&after, old("09403"), REFORM));
    assert_eq!(versions(&after, old("09400")), versions(&country(), old("09400")));
    assert_eq!(edges(&after), [(old("09403"), old("09400"), EdgeKind::Merged)]);
}

#[test]
fn several_changes_lead_to_one_new_unit() {
    let ward = || into_new("09400", "Phường Trí Quả", "262");
    for second in [into("09400"), ward()] {
        let changes = vec![merge(&["09400"], ward()), merge(&["09403", "~09406"], second)];
        let after = after(&country(), REFORM, changes);
        let ward = new("09400", REFORM);
        assert_eq!(after.predecessors(ward).count(), 3);
        assert_eq!(parent(&after, ward, REFORM), Some(old("262")));
        assert!(there(&after, old("09406"), REFORM));
    }
    for other in [
        into_new("09400", "Phường Đình Tổ", "262"),
        into_new("09400", "Phường Trí Quả", "213"),
        into_new("09400", "Phường Trí Quả", ""),
    ] {
        let changes = vec![merge(&["09400"], ward()), merge(&["09403"], other)];
        let field = "changes[1].merge.into.new_unit.identifier";
        refused(&country(), REFORM, changes, &[(field, ChangeReason::Contradict)]);
    }
}

#[test]
fn a_new_unit_is_under_a_new_one_in_whatever_order_they_are_named() {
    let province = || merge(&["24", "27"], into_new("24", "Tỉnh Bắc Ninh", ""));
    let ward = || merge(&["09400"], into_new("09400", "Phường Trí Quả", "24"));
    for changes in [vec![province(), ward()], vec![ward(), province()]] {
        let after = after(&country(), REFORM, changes);
        assert_eq!(parent(&after, new("09400", REFORM), REFORM), Some(new("24", REFORM)));
    }
}

#[test]
fn a_unit_of_which_parts_pass_ends_only_if_a_change_says_so() {
    let parts = || vec![merge(&["!09400"], into("09403")), merge(&["~09400"], into("09406"))];
    let goes_on = after(&country(), REFORM, parts());
    assert!(there(&goes_on, old("09400"), REFORM));
    assert_eq!(goes_on.successors(old("09400")).count(), 2);

    let mut changes = parts();
    changes.push(abolish("09400", None));
    let ends = after(&country(), REFORM, changes);
    assert!(there(&ends, old("09400"), EVE) && !there(&ends, old("09400"), REFORM));
    assert_eq!(edges(&ends), edges(&goes_on));
}

#[test]
fn a_split_unit_goes_on_or_ends_and_says_where_those_under_it_go() {
    let parts =
        || vec![into_new("213", "Huyện Lục Ngạn", "24"), into_new("214", "Huyện Chũ", "24")];
    let (first, second) = (new("213", REFORM), new("214", REFORM));
    let ends = after(&country(), REFORM, vec![split("213", parts(), false, Some("214"))]);
    assert!(!there(&ends, old("213"), REFORM));
    assert_eq!(parent(&ends, old("07300"), REFORM), Some(second));
    let mut both =
        [(old("213"), first, EdgeKind::SplitMain), (old("213"), second, EdgeKind::SplitPart)];
    both.sort();
    let mut known = edges(&ends);
    known.sort();
    assert_eq!(known, both);

    // That of a child itself counts more, and then nobody is left.
    let changes = vec![split("213", parts(), false, None), transfer("07300", "213")];
    let ends = after(&country(), REFORM, changes);
    assert_eq!(parent(&ends, old("07300"), REFORM), Some(first));

    let part = || vec![into_new("214", "Huyện Chũ", "24")];
    let goes_on = after(&country(), REFORM, vec![split("213", part(), true, None)]);
    assert_eq!(parent(&goes_on, old("07300"), REFORM), Some(old("213")));
    refused(
        &country(),
        REFORM,
        vec![split("213", part(), true, Some("214"))],
        &[("changes[0].split.children_to", ChangeReason::Invalid)],
    );
}

#[test]
fn who_would_be_left_under_a_unit_that_ends_is_named_and_counted() {
    let mut units: Vec<_> = country().histories().cloned().collect();
    units.push(unit("09409", "Xã Song Liễu", "262", Validity::OPEN));
    let before = Arc::new(Hierarchy::build(1, units).unwrap());
    let problems = apply(&before, &[on(REFORM, vec![abolish("262", None)])]).unwrap_err();
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!(problem.field, "changes[0].abolish.children_to");
    assert_eq!(problem.reason, ChangeReason::ChildrenLeft);
    assert_eq!(
        problem.message,
        "4 would be left under Huyện Thuận Thành (262): Xã Song Liễu (09409), Xã Trí Quả (09400), Xã Đình Tổ (09403) \
         and 1 more"
    );

    // Those that end themselves, or go elsewhere, are not left.
    let changes = vec![
        abolish("262", None),
        merge(&["09400", "09403"], into_new("09400", "Phường Trí Quả", "27")),
        transfer("09406", "27"),
        abolish("09409", None),
    ];
    let after = after(&before, REFORM, changes);
    assert!(after.children(old("262"), day(REFORM)).is_empty());
    assert_eq!(after.children(old("27"), day(REFORM)).len(), 2);

    // One into which its parent is merged has nowhere to pass along to.
    refused(
        &before,
        REFORM,
        vec![merge(&["213"], into("07300"))],
        &[("changes[0].merge.shares[0].unit", ChangeReason::ChildrenLeft)],
    );
    let changes = vec![merge(&["213"], into("07300")), transfer("07300", "24")];
    assert!(apply(&before, &[on(REFORM, changes)]).is_ok());
}

#[test]
fn a_reorganisation_that_does_not_hold_is_refused_with_field_and_reason() {
    use ChangeReason::*;
    let ward = || into_new("09400", "Phường Trí Quả", "262");
    type Case = (Vec<Change>, Vec<(&'static str, ChangeReason)>);
    let cases: Vec<Case> = vec![
        // Whom it is about, and whom it leads to.
        (vec![rename("1", "Xã Không")], vec![("changes[0].rename.unit", UnitNotValid)]),
        (
            vec![Change::Abolish { unit: UnitRef::Unit(old("1")), children_to: None }],
            vec![("changes[0].abolish.unit", UnitNotValid)],
        ),
        (
            vec![merge(&["09400", "1"], into("09403"))],
            vec![("changes[0].merge.shares[1].unit", UnitNotValid)],
        ),
        (
            vec![merge(&["09400"], into("1"))],
            vec![("changes[0].merge.into.existing", UnitNotValid)],
        ),
        (
            vec![split("09400", vec![ward(), into("1")], false, None)],
            vec![("changes[0].split.portions[1].into.existing", UnitNotValid)],
        ),
        (vec![abolish("213", Some("1"))], vec![("changes[0].abolish.children_to", UnitNotValid)]),
        (vec![transfer("09400", "1")], vec![("changes[0].transfer.parent", ParentNotValid)]),
        (
            vec![merge(&["09400"], into_new("09400", "Phường Trí Quả", "1"))],
            vec![("changes[0].merge.into.new_unit.parent", ParentNotValid)],
        ),
        // A unit that ends that very day takes up nothing, and nobody is under it.
        (
            vec![merge(&["09400"], into("09403")), merge(&["09403"], into("09406"))],
            vec![("changes[0].merge.into.existing", UnitNotValid)],
        ),
        (
            vec![abolish("07300", None), abolish("213", Some("07300"))],
            vec![("changes[1].abolish.children_to", UnitNotValid)],
        ),
        (
            vec![abolish("07300", None), transfer("09400", "07300")],
            vec![("changes[1].transfer.parent", ParentNotValid)],
        ),
        (
            vec![
                merge(&["213"], into_new("213", "Huyện Lục Ngạn", "24")),
                merge(&["24"], into("27")),
            ],
            vec![("changes[0].merge.into.new_unit.parent", ParentNotValid)],
        ),
        // By a code that another unit gives up that very day, nobody is meant.
        (
            vec![recode("09400", "09401"), merge(&["09403"], into("09400"))],
            vec![("changes[1].merge.into.existing", UnitNotValid)],
        ),
        // Into itself.
        (
            vec![merge(&["09400", "09403"], into("09403"))],
            vec![("changes[0].merge.shares[1].unit", IntoItself)],
        ),
        (
            vec![merge(&["~09400"], into("09400"))],
            vec![("changes[0].merge.shares[0].unit", IntoItself)],
        ),
        (
            vec![split("09400", vec![into("09400"), into("09403")], true, None)],
            vec![("changes[0].split.portions[0].into.existing", IntoItself)],
        ),
        (vec![transfer("09400", "09400")], vec![("changes[0].transfer.parent", IntoItself)]),
        (vec![abolish("213", Some("213"))], vec![("changes[0].abolish.children_to", IntoItself)]),
        // Two changes that say different things.
        (
            vec![merge(&["09400"], into("09403")), merge(&["09400"], into("09406"))],
            vec![("changes[1].merge.shares[0].unit", Contradict)],
        ),
        (
            vec![merge(&["09400", "09400"], into("09403"))],
            vec![("changes[0].merge.shares[1].unit", Contradict)],
        ),
        (
            vec![merge(&["09400"], into("09403")), merge(&["~09400"], into("09406"))],
            vec![("changes[1].merge.shares[0].unit", Contradict)],
        ),
        (
            vec![merge(&["~09400"], into("09403")), merge(&["!09400"], into("09403"))],
            vec![("changes[1].merge.shares[0].unit", Contradict)],
        ),
        (
            vec![merge(&["09400"], into("09403")), abolish("09400", None)],
            vec![("changes[1].abolish.unit", Contradict)],
        ),
        (
            vec![abolish("09400", None), abolish("09400", None)],
            vec![("changes[1].abolish.unit", Contradict)],
        ),
        (
            vec![split("09400", vec![into("09403")], true, None), abolish("09400", None)],
            vec![("changes[0].split.unit", Contradict)],
        ),
        (
            vec![
                split("09400", vec![into("09403")], true, None),
                split("09400", vec![into("09406")], true, None),
            ],
            vec![("changes[1].split.unit", Contradict)],
        ),
        (
            vec![rename("09400", "Xã Một"), rename("09400", "Xã Hai")],
            vec![("changes[1].rename.unit", Contradict)],
        ),
        (
            vec![rename("09400", "Xã Một"), retype("09400", Kind::Phuong, Some("Phường Hai"))],
            vec![("changes[1].retype.unit", Contradict)],
        ),
        (
            vec![transfer("09400", "213"), transfer("09400", "27")],
            vec![("changes[1].transfer.unit", Contradict)],
        ),
        (
            vec![recode("09400", "09401"), recode("09400", "09402")],
            vec![("changes[1].recode.unit", Contradict)],
        ),
        (
            vec![rename("09400", "Xã Một"), merge(&["09400"], into("09403"))],
            vec![("changes[0].rename.unit", Contradict)],
        ),
        (
            vec![abolish("09400", None), transfer("09400", "213")],
            vec![("changes[1].transfer.unit", Contradict)],
        ),
        // Nothing in it, or nothing readable.
        (vec![merge(&[], ward())], vec![("changes[0].merge.shares", Invalid)]),
        (vec![split("09400", vec![], true, None)], vec![("changes[0].split.portions", Invalid)]),
        (
            vec![Change::Split {
                unit: by("09400"),
                portions: vec![Portion { into: into("09403"), kind: EdgeKind::Merged }],
                continues: true,
                children_to: None,
            }],
            vec![("changes[0].split.portions[0].kind", Invalid)],
        ),
        (vec![rename("09400", " ")], vec![("changes[0].rename.display_name", Invalid)]),
        (
            vec![retype("09400", Kind::Phuong, Some(""))],
            vec![("changes[0].retype.display_name", Invalid)],
        ),
        (vec![recode("09400", " ")], vec![("changes[0].recode.value", Invalid)]),
        (
            vec![Change::Recode { unit: by("09400"), scheme: String::new(), value: None }],
            vec![("changes[0].recode.scheme", Invalid)],
        ),
        (
            vec![merge(
                &["09400"],
                Target::New(NewUnit {
                    display_name: String::new(),
                    ..new_unit("09400", "Xã Trí Quả", "262")
                }),
            )],
            vec![("changes[0].merge.into.new_unit.display_name", Invalid)],
        ),
        (
            vec![merge(&["09400"], into_new("", "Xã Trí Quả", "262"))],
            vec![("changes[0].merge.into.new_unit.identifier", Invalid)],
        ),
        // Nothing new.
        (vec![rename("09400", "Xã Trí Quả")], vec![("changes[0].rename.unit", WithoutEffect)]),
        (
            vec![retype("09400", Kind::Xa, Some("Xã Trí Quả"))],
            vec![("changes[0].retype.unit", WithoutEffect)],
        ),
        (vec![transfer("09400", "262")], vec![("changes[0].transfer.unit", WithoutEffect)]),
        (vec![transfer("24", "")], vec![("changes[0].transfer.unit", WithoutEffect)]),
        (vec![recode("09400", "09400")], vec![("changes[0].recode.unit", WithoutEffect)]),
        (
            vec![Change::Recode { unit: by("24"), scheme: "agency".to_owned(), value: None }],
            vec![("changes[0].recode.unit", WithoutEffect)],
        ),
        // A code that another unit has.
        (
            vec![merge(&["09400"], into_new("09403", "Phường Trí Quả", "262"))],
            vec![("changes[0].merge.into.new_unit.identifier", CodeTaken)],
        ),
        (
            vec![split("09400", vec![into_new("09403", "Xã Hai", "262")], true, None)],
            vec![("changes[0].split.portions[0].into.new_unit.identifier", CodeTaken)],
        ),
        (vec![recode("09400", "09403")], vec![("changes[0].recode.value", CodeTaken)]),
        (
            vec![recode("09400", "09410"), recode("09403", "09410")],
            vec![("changes[0].recode.value", CodeTaken), ("changes[1].recode.value", CodeTaken)],
        ),
        // A code of the statistics office that is none of the unit's level.
        (vec![recode("09400", "abc")], vec![("changes[0].recode.value", Invalid)]),
        (vec![recode("09400", "099")], vec![("changes[0].recode.value", Invalid)]),
        (
            vec![Change::Retype {
                unit: by("09400"),
                kind: Kind::Xa,
                display_name: None,
                level: Some(Level::Province),
            }],
            vec![("changes[0].retype.unit", Invalid)],
        ),
        // Under itself by way of others.
        (vec![transfer("262", "09400")], vec![("changes[0].transfer.parent", Cycle)]),
        (
            vec![transfer("27", "213"), transfer("24", "262")],
            vec![("changes[0].transfer.parent", Cycle), ("changes[1].transfer.parent", Cycle)],
        ),
        (
            vec![merge(&["27"], into_new("27", "Tỉnh Bắc Ninh", "262"))],
            vec![
                ("changes[0].merge.into.new_unit.parent", Cycle),
                ("changes[0].merge.shares[0].unit", Cycle),
            ],
        ),
        // Everything that is wrong, in the order of the changes.
        (
            vec![
                rename("1", "Xã Không"),
                merge(&["2", "09400"], into("09400")),
                transfer("09403", "3"),
                abolish("262", None),
            ],
            vec![
                ("changes[0].rename.unit", UnitNotValid),
                ("changes[1].merge.shares[0].unit", UnitNotValid),
                ("changes[1].merge.shares[1].unit", IntoItself),
                ("changes[2].transfer.parent", ParentNotValid),
                ("changes[3].abolish.children_to", ChildrenLeft),
            ],
        ),
    ];
    for (changes, expected) in cases {
        refused(&country(), REFORM, changes, &expected);
    }
}

#[test]
fn a_problem_names_the_units_in_it() {
    let message =
        |changes| apply(&country(), &[on(REFORM, changes)]).unwrap_err()[0].message.clone();
    assert_eq!(
        message(vec![rename("1", "Xã Không")]),
        "no unit has the code 1 of nso on 2025-06-30"
    );
    assert_eq!(
        message(vec![abolish("09400", None), abolish("09400", None)]),
        "Xã Trí Quả (09400) ends by changes[0] too"
    );
    assert_eq!(
        message(vec![recode("09400", "09403")]),
        "09403 of nso is the code of Xã Đình Tổ (09403) too, from 2025-07-01 on"
    );
    assert_eq!(
        message(vec![transfer("262", "09400")]),
        "under one another from 2025-07-01: Huyện Thuận Thành (262), Xã Trí Quả (09400)"
    );
}

#[test]
fn codes_change_hands_within_a_day() {
    let changes = vec![recode("09400", "09403"), recode("09403", "09400")];
    let swapped = after(&country(), REFORM, changes);
    assert_eq!(swapped.by_code(NSO, "09400", day(EVE)), Ok(old("09400")));
    assert_eq!(swapped.by_code(NSO, "09400", day(REFORM)), Ok(old("09403")));
    assert_eq!(swapped.by_code(NSO, "09403", day(REFORM)), Ok(old("09400")));

    // Of one that ends, and of one that then has none. Who gets it is meant by it.
    let changes =
        vec![abolish("09403", None), recode("09400", "09403"), merge(&["~09406"], into("09403"))];
    let taken = after(&country(), REFORM, changes);
    assert_eq!(taken.by_code(NSO, "09403", day(REFORM)), Ok(old("09400")));
    assert_eq!(edges(&taken), [(old("09406"), old("09400"), EdgeKind::SplitPart)]);
    let changes = vec![recode("09403", ""), recode("09400", "09403")];
    let taken = after(&country(), REFORM, changes);
    assert_eq!(taken.by_code(NSO, "09403", day(REFORM)), Ok(old("09400")));
    assert_eq!(taken.unit(old("09403"), day(REFORM)).unwrap().code(NSO), None);

    // A code of another scheme stands beside. All versions last as long as what is said of the unit, its codes too.
    let agency = Change::Recode {
        unit: by("09400"),
        scheme: "agency".to_owned(),
        value: Some("H05.1".to_owned()),
    };
    let coded = after(&country(), REFORM, vec![agency]);
    let view = coded.unit(old("09400"), day(REFORM)).unwrap();
    assert_eq!((view.code(NSO), view.code("agency")), (Some("09400"), Some("H05.1")));
    assert_eq!(view.version.validity, Validity::since(day(REFORM)));
}

#[test]
fn a_value_holds_until_the_next_change_of_just_that() {
    // Known later: the commune moves in March, and has another name in May.
    let before = after(&country(), "2025-03-01", vec![transfer("09400", "213")]);
    let before = after(&before, "2025-05-01", vec![rename("09400", "Xã Mới")]);
    let commune = old("09400");

    let retyped = after(&before, "2025-02-01", vec![retype("09400", Kind::Phuong, None)]);
    for date in ["2025-02-01", "2025-04-30", "2025-05-01"] {
        assert_eq!(retyped.unit(commune, day(date)).unwrap().version.kind, Kind::Phuong);
    }
    assert_eq!(retyped.unit(commune, day("2025-01-31")).unwrap().version.kind, Kind::Xa);

    let renamed = after(&before, "2025-02-01", vec![rename("09400", "Xã Giữa")]);
    let names = ["2025-01-31", "2025-02-01", "2025-03-01", "2025-04-30", "2025-05-01"]
        .map(|date| name(&renamed, commune, date));
    assert_eq!(names, ["Xã Trí Quả", "Xã Giữa", "Xã Giữa", "Xã Giữa", "Xã Mới"]);
    assert_eq!(parent(&renamed, commune, "2025-02-28"), Some(old("262")));
    assert_eq!(parent(&renamed, commune, "2025-03-01"), Some(old("213")));

    let moved = after(&before, "2025-02-01", vec![transfer("09400", "27")]);
    assert_eq!(parent(&moved, commune, "2025-02-28"), Some(old("27")));
    assert_eq!(parent(&moved, commune, "2025-03-01"), Some(old("213")));

    let later = after(&before, "2025-06-01", vec![recode("09400", "09499")]);
    let between = after(&later, "2025-04-01", vec![recode("09400", "09498")]);
    let codes = ["2025-03-31", "2025-04-01", "2025-05-31", "2025-06-01"]
        .map(|date| between.unit(commune, day(date)).unwrap().code(NSO).unwrap());
    assert_eq!(codes, ["09400", "09498", "09498", "09499"]);
    // Another unit's code is taken only while it holds.
    let taken = vec![recode("09403", "09499")];
    let field = "changes[0].recode.value";
    refused(&later, "2025-05-01", taken, &[(field, ChangeReason::CodeTaken)]);
}

#[test]
fn nothing_that_is_said_outlives_the_unit() {
    // It was there twice, and a list has its code throughout.
    let mut units: Vec<_> = country().histories().cloned().collect();
    let mut twice = unit("09410", "Xã Cũ", "262", Validity::before(day("2025-03-01")));
    let again = Validity::since(day("2025-05-01"));
    twice.versions.push(Version { validity: again, ..twice.versions[0].clone() });
    twice.identifiers[0].validity = Validity::OPEN;
    units.push(twice);
    let before = Arc::new(Hierarchy::build(1, units).unwrap());
    let changes =
        vec![rename("09410", "Xã Khác"), transfer("09410", "213"), recode("09410", "09411")];
    let after = after(&before, "2025-02-01", changes);
    let commune = old("09410");
    let on = |date| {
        let view = after.unit(commune, day(date)).unwrap();
        (view.version.display_name.as_str(), view.version.parent, view.code(NSO))
    };
    assert_eq!(on("2025-01-31"), ("Xã Cũ", Some(old("262")), Some("09410")));
    assert_eq!(on("2025-02-28"), ("Xã Khác", Some(old("213")), Some("09411")));
    assert_eq!(on("2025-05-01"), ("Xã Cũ", Some(old("262")), Some("09410")));
    let ends = |change| told(&before, "2025-02-01", vec![change]);
    let later = |field: &str| vec![(field.to_owned(), ChangeReason::ChangedLater)];
    assert_eq!(ends(abolish("09410", None)), later("changes[0].abolish.unit"));
}

#[test]
fn what_would_leave_a_later_change_without_effect_is_refused() {
    let before = after(&country(), REFORM, vec![rename("09400", "Xã Mới")]);
    let before = after(&before, REFORM, vec![transfer("09400", "213")]);
    let before = after(&before, REFORM, vec![recode("09400", "09499")]);
    for (change, field) in [
        (rename("09400", "Xã Mới"), "changes[0].rename.unit"),
        (transfer("09400", "213"), "changes[0].transfer.parent"),
        (recode("09400", "09499"), "changes[0].recode.value"),
    ] {
        refused(&before, "2025-01-01", vec![change], &[(field, ChangeReason::ChangedLater)]);
    }
}

#[test]
fn a_unit_does_not_end_before_something_that_is_known_of_it() {
    let later = "2026-01-01";
    let ward = || into_new("09499", "Phường Mới", "262");
    let known = [
        vec![rename("09400", "Xã Mới")],
        vec![recode("09400", "09499")],
        vec![transfer("09400", "213")],
        vec![abolish("09400", None)],
        vec![merge(&["09400"], ward())],
        vec![merge(&["~09400"], ward())],
        vec![merge(&["09403"], into("09400"))],
    ];
    for changes in known {
        let before = after(&country(), later, changes);
        for (change, field) in [
            (abolish("09400", None), "changes[0].abolish.unit"),
            (merge(&["09400"], into("09406")), "changes[0].merge.shares[0].unit"),
            (split("09400", vec![into("09406")], false, None), "changes[0].split.unit"),
        ] {
            refused(&before, REFORM, vec![change], &[(field, ChangeReason::ChangedLater)]);
        }
    }
    // One that comes under it later would be left.
    let before = after(&country(), later, vec![transfer("07300", "262")]);
    let changes = vec![merge(&["262"], into("213"))];
    let problems = apply(&before, &[on(REFORM, changes)]).unwrap_err();
    assert_eq!(problems[0].reason, ChangeReason::ChildrenLeft);
    assert_eq!(problems[0].field, "changes[0].merge.shares[0].unit");
    assert_eq!(
        problems[0].message,
        "Xã Phượng Sơn (07300) is under Huyện Thuận Thành (262) from 2026-01-01 on"
    );
}

#[test]
fn who_comes_under_a_unit_before_it_is_merged_passes_along_with_it() {
    let before =
        after(&country(), REFORM, vec![merge(&["24", "27"], into_new("24", "Tỉnh Bắc Ninh", ""))]);
    let changes = vec![
        split("09400", vec![into_new("09499", "Xã Mới", "27")], true, None),
        transfer("09403", "24"),
    ];
    let late = after(&before, "2025-01-01", changes);
    let (commune, bac_ninh) = (new("09499", "2025-01-01"), new("24", REFORM));
    assert_eq!(parent(&late, commune, EVE), Some(old("27")));
    assert_eq!(parent(&late, commune, REFORM), Some(bac_ninh));
    assert_eq!(parent(&late, old("09403"), EVE), Some(old("24")));
    assert_eq!(parent(&late, old("09403"), REFORM), Some(bac_ninh));
    // As it would have, had it been recorded in time.
    let in_time = after(
        &country(),
        "2025-01-01",
        vec![
            split("09400", vec![into_new("09499", "Xã Mới", "27")], true, None),
            transfer("09403", "24"),
        ],
    );
    let in_time =
        after(&in_time, REFORM, vec![merge(&["24", "27"], into_new("24", "Tỉnh Bắc Ninh", ""))]);
    assert!(late.histories().eq(in_time.histories()));

    // Of one that is abolished nobody knows where they would have gone.
    let before = after(&country(), REFORM, vec![abolish("213", Some("24"))]);
    let changes = vec![split("09400", vec![into_new("09499", "Xã Mới", "213")], true, None)];
    let field = "changes[0].split.portions[0].into.new_unit.parent";
    refused(&before, "2025-01-01", changes, &[(field, ChangeReason::ParentNotValid)]);
    let field = "changes[0].transfer.parent";
    let changes = vec![transfer("09403", "213")];
    refused(&before, "2025-01-01", changes, &[(field, ChangeReason::ParentNotValid)]);
}

#[test]
fn where_a_unit_went_when_its_parent_ended_is_not_guessed_for_another_parent() {
    let reform = vec![
        merge(&["27"], into_new("27", "Tỉnh Bắc Ninh", "")),
        merge(&["24"], into_new("24", "Tỉnh Bắc Giang", "")),
    ];
    let mut units: Vec<_> = country().histories().cloned().collect();
    units.push(unit("01", "Thành phố Hà Nội", "", Validity::OPEN));
    let before = Arc::new(Hierarchy::build(1, units).unwrap());
    let before = after(&before, REFORM, reform);
    // It passed along to the one, and would have to the other.
    for parent in ["24", "01"] {
        let changes = vec![transfer("262", parent)];
        let field = "changes[0].transfer.parent";
        refused(&before, "2025-01-01", changes, &[(field, ChangeReason::ChangedLater)]);
    }
    // Once it is said where it was then, both come to the same.
    let said = after(&before, REFORM, vec![transfer("262", "24")]);
    let said = after(&said, "2025-01-01", vec![transfer("262", "24")]);
    assert_eq!(parent(&said, old("262"), EVE), Some(old("24")));
    assert_eq!(parent(&said, old("262"), REFORM), Some(new("24", REFORM)));
}

#[test]
fn what_is_so_since_that_very_day_is_no_contradiction() {
    // A list that knows it all.
    let mut units: Vec<_> = country().histories().cloned().collect();
    for history in &mut units {
        if history.id == old("09400") || history.id == old("09403") {
            history.versions[0].validity = Validity::before(day(REFORM));
        }
        if history.id == old("09406") {
            let mut after = history.versions[0].clone();
            history.versions[0].validity = Validity::before(day(REFORM));
            after.validity = Validity::since(day(REFORM));
            after.display_name = "Xã Mới".to_owned();
            after.parent = Some(old("27"));
            history.versions.push(after);
        }
    }
    units.push(unit("09400", "Phường Trí Quả", "27", Validity::since(day(REFORM))));
    let listed = Arc::new(Hierarchy::build(1, units).unwrap());

    let changes = vec![
        merge(&["09400"], into_new("09400", "Phường Trí Quả", "27")),
        merge(&["~09403"], into("09400")),
        abolish("09403", None),
        rename("09406", "Xã Mới"),
        transfer("09406", "27"),
    ];
    let applied = done(&listed, &[on(REFORM, changes.clone())]);
    assert!(applied.hierarchy.histories().eq(listed.histories()));
    assert_eq!((applied.changed.len(), applied.edges.len()), (0, 2));
    assert_eq!(applied.effects, [vec![]]);
    // Nor are edges that are there, whoever recorded them.
    let again = Reorganisation { id: Arc::from("again"), ..on(REFORM, changes) };
    let again = done(&applied.hierarchy, &[again]);
    assert_eq!((again.edges.len(), again.hierarchy.version()), (0, 3));
    assert_eq!(again.hierarchy.edges(), applied.hierarchy.edges());

    // But what differs is.
    use ChangeReason::{Contradict, UnitNotValid};
    for (change, field, reason) in [
        (
            merge(&["09400"], into_new("09400", "Phường Khác", "27")),
            "changes[0].merge.into.new_unit",
            Contradict,
        ),
        (
            merge(&["~09406"], into_new("09400", "Phường Trí Quả", "262")),
            "changes[0].merge.into.new_unit",
            Contradict,
        ),
        (rename("09403", "Xã Khác"), "changes[0].rename.unit", UnitNotValid),
        (split("09403", vec![into("09406")], true, None), "changes[0].split.unit", UnitNotValid),
    ] {
        refused(&listed, REFORM, vec![change], &[(field, reason)]);
    }
    for change in [
        merge(&["!09403"], into("09400")),
        merge(&["09403"], into("09400")),
        merge(&["09403"], into("09406")),
        merge(&["~09400"], into("09406")),
    ] {
        let field = "changes[0].merge.shares[0].unit";
        refused(&applied.hierarchy, REFORM, vec![change], &[(field, Contradict)]);
    }
}

#[test]
fn several_of_one_day_stand_on_one_another() {
    let provinces = on(REFORM, vec![merge(&["24", "27"], into_new("24", "Tỉnh Bắc Ninh", ""))]);
    let communes = on(
        REFORM,
        vec![
            merge(&["09400", "09403"], into_new("09400", "Phường Trí Quả", "24")),
            transfer("09406", "24"),
            transfer("07300", "24"),
        ],
    );
    let districts = on(REFORM, vec![abolish("213", None), abolish("262", None)]);
    let all = [provinces, communes, districts];
    let applied = done(&country(), &all);
    let after = &applied.hierarchy;
    assert_eq!(after.version(), 4);
    let bac_ninh = new("24", REFORM);
    assert_eq!(after.roots(day(REFORM)), [bac_ninh]);
    assert_eq!(after.children(bac_ninh, day(REFORM)).len(), 3);
    // A district passed along in the morning and ended by night: it was under its old province to the end.
    for (district, province) in [("213", "24"), ("262", "27")] {
        let history = after.get(old(district)).unwrap();
        assert_eq!(history.versions.len(), 1);
        assert_eq!(history.versions[0].validity, Validity::before(day(REFORM)));
        assert_eq!(history.versions[0].parent, Some(old(province)));
        assert_eq!(history.identifiers[0].validity, Validity::before(day(REFORM)));
    }
    assert_eq!(applied.effects.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5, 2]);

    let one_by_one = all
        .iter()
        .fold(country(), |before, next| done(&before, std::slice::from_ref(next)).hierarchy);
    assert!(one_by_one.histories().eq(after.histories()));
    assert_eq!((one_by_one.version(), one_by_one.edges()), (after.version(), after.edges()));

    // All or none, and the one that does not hold is named.
    let mut bad = all.to_vec();
    bad[2].changes.push(abolish("1", None));
    let problems = apply(&country(), &bad).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(
        (problems[0].reorganisation, problems[0].field.as_str()),
        (2, "changes[2].abolish.unit")
    );
}

#[test]
fn what_another_changed_that_day_is_corrected_and_not_undone() {
    let before =
        after(&country(), REFORM, vec![rename("09400", "Xã Mới"), transfer("09400", "213")]);
    for (change, field) in [
        (rename("09400", "Xã Trí Quả"), "changes[0].rename.unit"),
        (transfer("09400", "262"), "changes[0].transfer.unit"),
        (abolish("213", Some("262")), "changes[0].abolish.children_to"),
    ] {
        let changes = match &change {
            Change::Abolish { .. } => vec![change, transfer("07300", "24")],
            _ => vec![change],
        };
        refused(&before, REFORM, changes, &[(field, ChangeReason::WithoutEffect)]);
    }
    // What came out of a merger that day does not end that day.
    let before = after(&country(), REFORM, vec![merge(&["09400"], into("09403"))]);
    let field = "changes[0].abolish.unit";
    let changes = vec![abolish("09403", None)];
    refused(&before, REFORM, changes, &[(field, ChangeReason::ChangedLater)]);
    // But the last word of the day is another one.
    let before = after(&country(), REFORM, vec![rename("09400", "Xã Mới")]);
    let after = after(&before, REFORM, vec![rename("09400", "Xã Khác")]);
    let names = versions(&after, old("09400"));
    assert_eq!(
        names,
        [
            ("Xã Trí Quả".to_owned(), Validity::before(day(REFORM))),
            ("Xã Khác".to_owned(), Validity::since(day(REFORM))),
        ]
    );
}

#[test]
fn something_happens_only_to_who_is_there_the_day_before() {
    let ward = into_new("09499", "Phường Mới", "262");
    let before = after(&country(), REFORM, vec![split("09400", vec![ward], true, None)]);
    let field = "changes[0].rename.unit";
    let changes = || vec![rename("09499", "Phường Khác")];
    refused(&before, REFORM, changes(), &[(field, ChangeReason::UnitNotValid)]);
    let after = after(&before, "2025-07-02", changes());
    assert_eq!(name(&after, new("09499", REFORM), "2025-07-02"), "Phường Khác");
    refused(&after, "2025-06-30", changes(), &[(field, ChangeReason::UnitNotValid)]);
}

#[test]
fn a_unit_that_was_taken_back_can_begin_after_all() {
    let mut units: Vec<_> = country().histories().cloned().collect();
    let ward = new("09499", REFORM);
    units.push(UnitHistory { id: ward, versions: Vec::new(), identifiers: Vec::new() });
    let before = Arc::new(Hierarchy::build(1, units).unwrap());
    let target = into_new("09499", "Phường Mới", "262");
    let applied = done(&before, &[on(REFORM, vec![split("09400", vec![target], true, None)])]);
    assert_eq!(name(&applied.hierarchy, ward, REFORM), "Phường Mới");
    assert_eq!(applied.effects, [vec![(ward, Effect::Created)]]);
}

#[test]
fn what_is_said_of_a_unit_counts_more_than_that_it_passes_along() {
    let changes =
        vec![merge(&["262"], into("213")), rename("09400", "Xã Mới"), transfer("09403", "24")];
    let applied = done(&country(), &[on(REFORM, changes)]);
    let effect = |unit| applied.effects[0].iter().find(|(one, _)| *one == unit).unwrap().1;
    assert_eq!(effect(old("09400")), Effect::Changed);
    assert_eq!(effect(old("09403")), Effect::Changed);
    assert_eq!(effect(old("09406")), Effect::PassedAlong);
    assert_eq!(parent(&applied.hierarchy, old("09400"), REFORM), Some(old("213")));
    assert_eq!(parent(&applied.hierarchy, old("09403"), REFORM), Some(old("24")));
}

#[test]
fn nothing_to_apply_changes_nothing() {
    let before = country();
    let none = done(&before, &[]);
    assert_eq!((none.hierarchy.version(), none.changed.len()), (before.version(), 0));
    let empty = done(&before, &[on(REFORM, vec![])]);
    assert_eq!((empty.hierarchy.version(), empty.changed.len()), (before.version() + 1, 0));
    assert_eq!(empty.effects, [vec![]]);
    // The day before the first day there is has nobody.
    let first = Reorganisation {
        effective: NaiveDate::MIN,
        ..on(REFORM, vec![rename("09400", "Xã Mới")])
    };
    assert_eq!(apply(&before, &[first]).unwrap_err()[0].reason, ChangeReason::UnitNotValid);
}
