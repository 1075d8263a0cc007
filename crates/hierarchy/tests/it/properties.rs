//! What holds of every tree and every text.

use chrono::{Days, NaiveDate};
use dunghan_hierarchy::{Hierarchy, NSO, UnitHistory, UnitId, Validity, fold};
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use uuid::Uuid;

use crate::tree::{code, reform, unit, version};

const NAMES: [&str; 6] =
    ["Xã Tân Kỳ", "Phường Tân Ký", "Phường 1", "Huyện Tứ Kỳ", "Tỉnh Hòa An", "Xã Quan Sơn"];

fn date(offset: u64) -> NaiveDate {
    reform() + Days::new(offset)
}

fn id(at: usize) -> UnitId {
    UnitId::new("test", &at.to_string(), None)
}

/// Units that each hang, in each of up to four stretches of time, under one with a smaller number, or are away. A stretch
/// that a parent does not live through has no parent.
fn units() -> impl Strategy<Value = Vec<UnitHistory>> {
    let one = prop::collection::vec((any::<prop::sample::Index>(), 0..8u8, 0..NAMES.len()), 4);
    prop::collection::vec(one, 1..25).prop_map(|plan| {
        let stretches = [
            Validity::before(date(0)),
            Validity::between(date(0), date(10)),
            Validity::between(date(10), date(20)),
            Validity::since(date(20)),
        ];
        plan.iter()
            .enumerate()
            .map(|(at, row)| {
                let versions: Vec<_> = row
                    .iter()
                    .enumerate()
                    // Somebody has to be there for a unit to have a version at all.
                    .filter(|(stretch, (_, fate, _))| *stretch == at % 4 || *fate > 0)
                    .map(|(stretch, (parent, fate, name))| {
                        let above = (at > 0 && *fate > 1).then(|| parent.index(at));
                        let there = above
                            .filter(|above| stretch == above % 4 || plan[*above][stretch].1 > 0);
                        version(stretches[stretch], NAMES[*name], there.map(id))
                    })
                    .collect();
                let mut history = unit(id(at), &at.to_string(), versions);
                // Some swap their code with nobody's on the way, and some have none for a while.
                if at % 3 == 0 {
                    history.identifiers =
                        vec![code(&(1000 - at).to_string(), Validity::since(date(15)))];
                }
                history
            })
            .collect()
    })
}

fn dates() -> impl Iterator<Item = NaiveDate> {
    [NaiveDate::MIN, reform() - Days::new(1), NaiveDate::MAX]
        .into_iter()
        .chain([0, 9, 10, 14, 15, 19, 20].into_iter().map(date))
}

/// Vietnamese and look-alike letters, their parts, and anything else.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[aăâbcdđeêghiklmnoôơpqrstuưvxyAĂÂĐÊÔƠƯàảãáạằẳẵắặệựỹỳơớðÐƉƣƢ .,0-9\u{300}\u{301}\u{303}\u{309}\u{323}\u{31b}-]{0,30}",
        any::<String>(),
    ]
}

fn without_marks(text: &str) -> String {
    text.nfd().filter(|letter| !is_combining_mark(*letter)).collect()
}

proptest! {
    #[test]
    fn each_unit_has_one_path_to_a_root_on_every_date(units in units()) {
        let hierarchy = Hierarchy::build(1, units).unwrap();
        for as_of in dates() {
            let roots = hierarchy.roots(as_of);
            let valid = hierarchy.units(as_of);
            for unit in &valid {
                let path = hierarchy.ancestors(*unit, as_of);
                prop_assert!(roots.contains(path.last().unwrap_or(unit)));
                prop_assert!(path.iter().all(|above| valid.contains(above) && above != unit));
                let parent = hierarchy.unit(*unit, as_of).unwrap().version.parent;
                prop_assert_eq!(path.first().copied(), parent);
                if let Some(parent) = parent {
                    prop_assert!(hierarchy.children(parent, as_of).contains(unit));
                }
            }
            let reached: usize = roots.iter().map(|root| 1 + hierarchy.descendants(*root, as_of).len()).sum();
            prop_assert_eq!(reached, valid.len());
        }
    }

    #[test]
    fn descendants_and_is_within_agree(units in units()) {
        let hierarchy = Hierarchy::build(1, units).unwrap();
        let all: Vec<UnitId> = hierarchy.histories().map(|history| history.id).collect();
        for as_of in dates() {
            for root in &all {
                let below = hierarchy.descendants(*root, as_of);
                for unit in &all {
                    let within = hierarchy.is_within(*unit, *root, as_of);
                    let itself = unit == root && hierarchy.unit(*unit, as_of).is_some();
                    prop_assert_eq!(within, itself || below.contains(unit));
                }
            }
        }
    }

    #[test]
    fn lists_are_by_code_then_id_on_every_date(units in units()) {
        let hierarchy = Hierarchy::build(1, units).unwrap();
        for as_of in dates() {
            let key = |unit: &UnitId| {
                let code = hierarchy.unit(*unit, as_of).unwrap().code(NSO).map(str::to_owned);
                (code.is_none(), code, *unit)
            };
            prop_assert!(hierarchy.units(as_of).is_sorted_by_key(key));
            for root in hierarchy.roots(as_of) {
                prop_assert!(hierarchy.children(root, as_of).is_sorted_by_key(key));
                prop_assert!(hierarchy.descendants(root, as_of).is_sorted_by_key(key));
            }
        }
    }

    #[test]
    fn a_code_leads_to_the_unit_that_has_it(units in units()) {
        let hierarchy = Hierarchy::build(1, units).unwrap();
        for as_of in dates() {
            for unit in hierarchy.units(as_of) {
                if let Some(code) = hierarchy.unit(unit, as_of).unwrap().code(NSO) {
                    prop_assert_eq!(hierarchy.by_code(NSO, code, as_of), Ok(unit));
                }
            }
        }
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(units in units()) {
        let mut turned = units.clone();
        turned.reverse();
        for history in &mut turned {
            history.versions.reverse();
        }
        let (one, two) = (Hierarchy::build(1, units).unwrap(), Hierarchy::build(1, turned).unwrap());
        prop_assert!(one.histories().eq(two.histories()));
        for as_of in dates() {
            prop_assert_eq!(one.units(as_of), two.units(as_of));
        }
    }

    #[test]
    fn a_unit_is_found_by_its_full_name_before_all_others(units in units()) {
        let hierarchy = Hierarchy::build(1, units).unwrap();
        for as_of in dates() {
            for unit in hierarchy.units(as_of) {
                let name = &hierarchy.unit(unit, as_of).unwrap().version.display_name;
                let found = hierarchy.find(name, as_of, None);
                let best = found[0].score;
                prop_assert!(found.iter().any(|one| one.id == unit && one.score == best));
                prop_assert!(hierarchy.find(&fold(name), as_of, Some(unit)).iter().any(|one| one.id == unit));
            }
        }
    }

    #[test]
    fn finding_takes_any_text(units in units(), text in text()) {
        let hierarchy = Hierarchy::build(1, units).unwrap();
        let found = hierarchy.find(&text, reform(), None);
        prop_assert!(found.is_sorted_by(|one, two| one.score >= two.score));
        prop_assert!(!fold(&text).is_empty() || found.is_empty());
    }

    #[test]
    fn folding_twice_changes_nothing(text in text()) {
        let once = fold(&text);
        prop_assert_eq!(fold(&once), once);
    }

    #[test]
    fn folding_ignores_accents_case_and_composition(text in text()) {
        let key = fold(&text);
        let others = [
            text.nfc().collect(),
            text.nfd().collect(),
            without_marks(&text),
            text.replace('đ', "d").replace('Đ', "D"),
            text.to_lowercase(),
        ];
        for other in others {
            prop_assert_eq!(fold(&other), &*key, "{:?}", other);
        }
    }

    #[test]
    fn an_id_reads_back_from_its_name(bytes in any::<u128>(), text in ".{0,50}") {
        let id = UnitId::from_uuid(Uuid::from_u128(bytes));
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(UnitId::from_uuid(id.uuid()), id);
        if let Ok(read) = text.parse::<UnitId>() {
            prop_assert_eq!(read.to_string(), text);
        }
    }
}
