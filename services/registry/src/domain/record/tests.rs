//! The record at its edges, and that building it again comes to what it came to.

use std::sync::Arc;

use chrono::NaiveDate;
use dunghan_hierarchy::{Edge, EdgeKind, Kind, Level, NSO, UnitHistory, Validity};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::domain::import::{Code, Origin};
use crate::domain::reorganisation::{
    Change, NewUnit, Portion, Reorganisation, Share, Target, UnitRef,
};

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn code(value: &str) -> Code {
    Code { scheme: NSO.to_owned(), value: value.to_owned() }
}

fn of(value: &str) -> UnitRef {
    UnitRef::Code(code(value))
}

/// A row about the unit first listed under this code, since an unknown day.
fn row(value: &str, name: &str, parent: Option<&str>, validity: Validity) -> Row {
    let origin = validity.from.map(|_| Origin { code: code(value), first_day: None });
    Row {
        position: 0,
        number: 1,
        unit: UnitId::new(NSO, value, None),
        scheme: NSO.to_owned(),
        value: Some(value.to_owned()),
        origin,
        display_name: name.to_owned(),
        kind: Kind::Xa,
        level: if parent.is_some() { Level::Commune } else { Level::Province },
        parent: parent.map(code),
        validity,
    }
}

fn rename(value: &str, name: &str) -> Change {
    Change::Rename { unit: of(value), display_name: name.to_owned() }
}

fn said(id: &str, effective: &str, changes: Vec<Change>) -> Said {
    Said::Reorganisation(Reorganisation { id: id.into(), effective: day(effective), changes })
}

fn entry(version: u64, said: Said) -> Entry {
    Entry { version, corrects: None, said }
}

fn correction(version: u64, corrects: &str, said: Said) -> Entry {
    Entry { version, corrects: Some(corrects.into()), said }
}

fn rows() -> Said {
    Said::Import(vec![
        row("01", "Tỉnh Một", None, Validity::OPEN),
        row("00001", "Xã Một", Some("01"), Validity::OPEN),
        row("00002", "Xã Hai", Some("01"), Validity::OPEN),
    ])
}

/// What a unit is called on a day.
fn name<'a>(hierarchy: &'a Hierarchy, value: &str, on: &str) -> &'a str {
    let unit = hierarchy.by_code(NSO, value, day(on)).unwrap();
    &hierarchy.unit(unit, day(on)).unwrap().version.display_name
}

#[test]
fn a_record_is_whole_when_every_version_was_made_by_one_of_its_entries() {
    let entries = |versions: &[u64]| -> Vec<Entry> {
        versions.iter().map(|version| entry(*version, Said::Import(Vec::new()))).collect()
    };
    assert!(is_whole(&entries(&[]), 0));
    assert!(is_whole(&entries(&[2, 1, 3]), 3));
    for (versions, version) in
        [(&[][..], 1), (&[2, 3], 3), (&[1, 3], 3), (&[1, 2], 3), (&[1, 2, 3], 2), (&[1, 1], 2)]
    {
        assert!(!is_whole(&entries(versions), version), "{versions:?} up to {version}");
    }
}

#[test]
fn a_correction_stands_where_the_first_one_stood_however_often_it_is_corrected() {
    let mut entries = vec![
        entry(1, rows()),
        entry(2, said("dau", "2020-01-01", vec![rename("00001", "Xã Đầu")])),
        // Of the same day: whichever comes last holds.
        entry(3, said("sau", "2020-01-01", vec![rename("00001", "Xã Sau")])),
        correction(4, "dau", said("sua", "2019-01-01", vec![rename("00001", "Xã Sửa")])),
    ];
    let built = rebuild(&Hierarchy::empty(), entries.clone()).unwrap().hierarchy;
    assert_eq!(built.version(), 4);
    assert_eq!(name(&built, "00001", "2019-01-01"), "Xã Sửa");
    assert_eq!(name(&built, "00001", "2020-01-01"), "Xã Sau");

    let again = vec![rename("00001", "Xã Sửa Lại")];
    entries.push(correction(5, "sua", said("sua-lai", "2020-01-01", again)));
    let built = rebuild(&built, entries.clone()).unwrap().hierarchy;
    assert_eq!(name(&built, "00001", "2019-12-31"), "Xã Một");
    assert_eq!(name(&built, "00001", "2020-01-01"), "Xã Sau");

    entries.push(correction(6, "sau", said("bo", "2020-01-01", Vec::new())));
    let built = rebuild(&built, entries).unwrap().hierarchy;
    assert_eq!(name(&built, "00001", "2020-01-01"), "Xã Sửa Lại");
}

#[test]
fn what_follows_from_no_entry_any_more_stays_known_as_what_never_existed() {
    let new = NewUnit {
        code: code("00003"),
        display_name: "Xã Ba".to_owned(),
        kind: Kind::Xa,
        level: Level::Commune,
        parent: Some(of("01")),
    };
    let shares = ["00001", "00002"].map(|one| Share { unit: of(one), kind: EdgeKind::Merged });
    let merge = Change::Merge { shares: shares.to_vec(), into: Target::New(new) };
    let mut entries = vec![entry(1, rows()), entry(2, said("gop", "2020-01-01", vec![merge]))];
    let built = rebuild(&Hierarchy::empty(), entries.clone()).unwrap().hierarchy;
    assert_eq!((built.len(), built.edges().len()), (4, 2));

    entries.push(correction(3, "gop", said("bo", "2020-01-01", Vec::new())));
    let back = rebuild(&built, entries.clone()).unwrap();
    let made = UnitId::new(NSO, "00003", Some(day("2020-01-01")));
    let gone = back.hierarchy.get(made).unwrap();
    assert_eq!((gone.versions.len(), gone.identifiers.len()), (0, 0));
    assert_eq!((back.hierarchy.len(), back.hierarchy.edges().len()), (4, 0));
    let mut effects = back.effects.clone();
    effects.sort_by_key(|(_, effect, _)| *effect);
    let unit = |value| UnitId::new(NSO, value, None);
    assert_eq!(effects[0], (made, Effect::TakenBack, day("2020-01-01")));
    let mut rewritten: Vec<_> = effects[1..].to_vec();
    rewritten.sort();
    let mut expected = ["00001", "00002"]
        .map(|value| (unit(value), Effect::Rewritten, day("2020-01-01")))
        .to_vec();
    expected.sort();
    assert_eq!(rewritten, expected);
    // Looked at once more, it is nothing new.
    let again = rebuild(&back.hierarchy, entries).unwrap();
    assert_eq!((again.effects, again.hierarchy.len()), (vec![], 4));
}

#[test]
fn the_entry_that_does_not_fit_any_more_is_named_by_its_version() {
    let moved = Said::Import(vec![row("00004", "Xã Bốn", Some("00003"), Validity::OPEN)]);
    let other = Said::Import(vec![row("00003", "Xã Ba", Some("01"), Validity::OPEN)]);
    let entries = vec![entry(1, rows()), entry(2, other), entry(3, moved.clone())];
    assert!(rebuild(&Hierarchy::empty(), entries).is_ok());
    let entries = vec![entry(1, rows()), entry(3, moved)];
    let conflict = rebuild(&Hierarchy::empty(), entries).unwrap_err();
    let Conflict::Rows { version, problems } = conflict else { panic!("{conflict:?}") };
    assert_eq!((version, problems.len()), (3, 1));

    // Of several reorganisations that are tried together, the one at fault.
    let entries = vec![
        entry(1, rows()),
        entry(2, said("mot", "2020-01-01", vec![rename("00001", "Xã Khác")])),
        entry(3, said("hai", "2020-01-01", vec![rename("00009", "Xã Không Có")])),
    ];
    let conflict = rebuild(&Hierarchy::empty(), entries).unwrap_err();
    let Conflict::Changes(problems) = conflict else { panic!("{conflict:?}") };
    let told: Vec<_> = problems.iter().map(|(made, one)| (*made, one.field.as_str())).collect();
    assert_eq!(told, [(3, "changes[0].rename.unit")]);
}

/// One step of a life in which anything may be tried.
#[derive(Clone, Debug)]
enum Try {
    Import(Vec<Row>),
    Reorganise(NaiveDate, Vec<Change>),
    /// The nth of those recorded.
    Correct(usize, NaiveDate, Vec<Change>),
}

const CODES: [&str; 6] = ["00001", "00002", "00003", "00004", "00005", "00006"];
const PROVINCES: [&str; 3] = ["01", "02", "03"];

fn some_code() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&CODES[..])
}

fn some_province() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&PROVINCES[..])
}

fn some_day() -> impl Strategy<Value = NaiveDate> {
    (0..6_u32).prop_map(|months| day("2020-01-01") + chrono::Months::new(months))
}

fn some_row() -> impl Strategy<Value = Row> {
    let validity = prop_oneof![Just(Validity::OPEN), some_day().prop_map(Validity::since)];
    (some_code(), some_province(), validity, 0..3).prop_map(|(value, parent, validity, name)| {
        row(value, &format!("Xã Dòng {name}"), Some(parent), validity)
    })
}

fn some_target() -> impl Strategy<Value = Target> {
    let new = (some_code(), some_province(), 0..3).prop_map(|(value, parent, name)| {
        Target::New(NewUnit {
            code: code(value),
            display_name: format!("Xã Mới {name}"),
            kind: Kind::Xa,
            level: Level::Commune,
            parent: Some(of(parent)),
        })
    });
    prop_oneof![new, some_code().prop_map(|value| Target::Existing(of(value)))]
}

fn some_change() -> impl Strategy<Value = Change> {
    let kind = || prop::sample::select(EdgeKind::ALL);
    let share = (some_code(), kind()).prop_map(|(unit, kind)| Share { unit: of(unit), kind });
    let merge =
        (vec(share, 1..3), some_target()).prop_map(|(shares, into)| Change::Merge { shares, into });
    let portion = (some_target(), any::<bool>()).prop_map(|(into, main)| Portion {
        into,
        kind: if main { EdgeKind::SplitMain } else { EdgeKind::SplitPart },
    });
    let split =
        (some_code(), vec(portion, 1..3), any::<bool>()).prop_map(|(unit, portions, continues)| {
            Change::Split { unit: of(unit), portions, continues, children_to: None }
        });
    let rename =
        (some_code(), 0..3).prop_map(|(value, name)| rename(value, &format!("Xã Đổi Tên {name}")));
    let retype = some_code().prop_map(|value| Change::Retype {
        unit: of(value),
        kind: Kind::Phuong,
        display_name: None,
        level: None,
    });
    let transfer = (some_code(), some_province())
        .prop_map(|(unit, to)| Change::Transfer { unit: of(unit), parent: Some(of(to)) });
    let recode = (some_code(), some_code()).prop_map(|(unit, value)| Change::Recode {
        unit: of(unit),
        scheme: NSO.to_owned(),
        value: Some(value.to_owned()),
    });
    let province = some_province()
        .prop_flat_map(|unit| (Just(unit), some_province()))
        .prop_map(|(unit, to)| Change::Abolish { unit: of(unit), children_to: Some(of(to)) });
    let abolish =
        some_code().prop_map(|unit| Change::Abolish { unit: of(unit), children_to: None });
    prop_oneof![
        3 => merge,
        2 => split,
        2 => rename,
        1 => retype,
        1 => transfer,
        1 => recode,
        1 => abolish,
        1 => province,
    ]
}

fn some_try() -> impl Strategy<Value = Try> {
    let changes = || vec(some_change(), 1..3);
    prop_oneof![
        2 => vec(some_row(), 1..3).prop_map(Try::Import),
        4 => (some_day(), changes()).prop_map(|(day, changes)| Try::Reorganise(day, changes)),
        1 => (any::<prop::sample::Index>(), some_day(), vec(some_change(), 0..3))
            .prop_map(|(nth, day, changes)| Try::Correct(nth.index(1000), day, changes)),
    ]
}

fn first() -> Entry {
    let provinces = PROVINCES.map(|value| row(value, "Tỉnh", None, Validity::OPEN));
    let communes =
        CODES[..4].iter().map(|value| row(value, "Xã", Some(PROVINCES[0]), Validity::OPEN));
    entry(1, Said::Import(provinces.into_iter().chain(communes).collect()))
}

/// Everything that is said of units that exist, and the edges between them.
fn substance(hierarchy: &Hierarchy) -> (Vec<&UnitHistory>, &[Edge]) {
    let existing = hierarchy.histories().filter(|history| !history.versions.is_empty());
    (existing.collect(), hierarchy.edges())
}

/// Tries it on top of what there is; nothing where it is refused.
fn tried(
    existing: &Arc<Hierarchy>,
    entries: &[Entry],
    one: Try,
) -> Option<(Arc<Hierarchy>, Entry)> {
    let version = existing.version() + 1;
    let id: Arc<str> = format!("so-{version}").into();
    match one {
        Try::Import(rows) => {
            let staged = Staged { rows: rows.clone(), ..Staged::default() };
            let merged = merge(existing, &staged).ok()?.hierarchy;
            // What changed nothing is no entry.
            (merged.version() == version).then(|| (merged, entry(version, Said::Import(rows))))
        }
        Try::Reorganise(effective, changes) => {
            let one = Reorganisation { id, effective, changes };
            let applied = reorganisation::apply(existing, std::slice::from_ref(&one)).ok()?;
            Some((applied.hierarchy, entry(version, Said::Reorganisation(one))))
        }
        Try::Correct(nth, effective, changes) => {
            let corrected: Vec<_> =
                entries.iter().filter_map(|entry| entry.corrects.clone()).collect();
            let open: Vec<_> = entries
                .iter()
                .filter_map(|entry| match &entry.said {
                    Said::Reorganisation(one) if !corrected.contains(&one.id) => Some(&one.id),
                    _ => None,
                })
                .collect();
            let corrects = open.get(nth.checked_rem(open.len())?)?;
            let said = Said::Reorganisation(Reorganisation { id, effective, changes });
            let new = Entry { version, corrects: Some((*corrects).clone()), said };
            let all = entries.iter().chain([&new]).cloned().collect();
            Some((rebuild(existing, all).ok()?.hierarchy, new))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn building_everything_again_comes_to_what_it_came_to(tries in vec(some_try(), 1..14)) {
        let mut entries = vec![first()];
        let mut built = rebuild(&Hierarchy::empty(), entries.clone()).unwrap().hierarchy;
        for one in tries {
            if let Some((hierarchy, entry)) = tried(&built, &entries, one) {
                built = hierarchy;
                entries.push(entry);
            }
            prop_assert!(is_whole(&entries, built.version()));
        }
        let again = rebuild(&Hierarchy::empty(), entries.clone());
        let again = again.map_err(|e| TestCaseError::fail(format!("{e:?}")))?.hierarchy;
        prop_assert_eq!(substance(&built), substance(&again), "{:#?}", entries);
        prop_assert_eq!(built.version(), again.version());
        // And on top of what is there already it changes nothing.
        let on_top = rebuild(&built, entries).unwrap();
        prop_assert_eq!(on_top.effects, vec![]);
    }
}

/// That the property above is not held by refusing everything.
#[test]
fn many_of_what_is_tried_is_taken() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut imports, mut reorganised, mut corrected) = (0, 0, 0);
    for _ in 0..40 {
        let tries = vec(some_try(), 14).new_tree(&mut runner).unwrap().current();
        let mut entries = vec![first()];
        let mut built = rebuild(&Hierarchy::empty(), entries.clone()).unwrap().hierarchy;
        for one in tries {
            let Some((hierarchy, entry)) = tried(&built, &entries, one) else { continue };
            match (&entry.said, &entry.corrects) {
                (Said::Import(_), _) => imports += 1,
                (_, None) => reorganised += 1,
                (_, Some(_)) => corrected += 1,
            }
            built = hierarchy;
            entries.push(entry);
        }
    }
    assert!(
        imports > 20 && reorganised > 60 && corrected > 10,
        "{imports} {reorganised} {corrected}"
    );
}
