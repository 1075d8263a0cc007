//! What holds of every tree and every text.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{Days, NaiveDate};
use dunghan_hierarchy::{
    Access, Edge, EdgeKind, Hierarchy, NSO, UnitHistory, UnitId, Validity, fold,
};
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

/// Stretches of time that follow one another.
fn stretches() -> [Validity; 4] {
    [
        Validity::before(date(0)),
        Validity::between(date(0), date(10)),
        Validity::between(date(10), date(20)),
        Validity::since(date(20)),
    ]
}

/// Units that each hang, in each of up to four stretches of time, under one with a smaller number, or are away; some are
/// never there. A stretch that a parent does not live through has no parent.
fn units() -> impl Strategy<Value = Vec<UnitHistory>> {
    let one = prop::collection::vec((any::<prop::sample::Index>(), 0..8u8, 0..NAMES.len()), 4);
    prop::collection::vec((one, 0..20u8), 1..25).prop_map(|plan| {
        let there = |unit: usize, stretch: usize| plan[unit].1 > 0 && plan[unit].0[stretch].1 > 0;
        plan.iter()
            .enumerate()
            .map(|(at, (row, _))| {
                let versions: Vec<_> = row
                    .iter()
                    .enumerate()
                    .filter(|(stretch, _)| there(at, *stretch))
                    .map(|(stretch, (parent, fate, name))| {
                        let above = (at > 0 && *fate > 1).then(|| parent.index(at));
                        let above = above.filter(|above| there(*above, stretch));
                        version(stretches()[stretch], NAMES[*name], above.map(id))
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

/// A few units that may be under anything, themselves too, and may have each other's codes.
fn careless() -> impl Strategy<Value = Vec<UnitHistory>> {
    let stretch = (0..12u8, prop::option::weighted(0.1, 0..6usize), 0..40u8);
    prop::collection::vec(prop::collection::vec(stretch, 4), 1..6).prop_map(|plan| {
        let units = plan.iter().enumerate().map(|(at, row)| {
            let (mut versions, mut identifiers) = (Vec::new(), Vec::new());
            for (validity, (fate, parent, value)) in stretches().into_iter().zip(row) {
                if *fate > 0 {
                    versions.push(version(validity, NAMES[at], parent.map(id)));
                }
                identifiers.push(code(&value.to_string(), validity));
            }
            UnitHistory { id: id(at), versions, identifiers }
        });
        units.collect()
    })
}

/// Units and edges between some of them, of which some may not be.
fn reorganised() -> impl Strategy<Value = (Vec<UnitHistory>, Vec<Edge>)> {
    let end = any::<prop::sample::Index>;
    let edges = prop::collection::vec((end(), end(), 0..30u64, 0..EdgeKind::ALL.len()), 0..40);
    (units(), edges).prop_map(|(units, plan)| {
        let edges = plan.iter().map(|(from, to, on, kind)| Edge {
            effective: date(*on),
            // One more than there are, which nobody knows.
            predecessor: id(from.index(units.len() + 1)),
            successor: id(to.index(units.len() + 1)),
            kind: EdgeKind::ALL[*kind],
            reorganisation: format!("of-{on}").into(),
        });
        let edges = edges.collect();
        (units, edges)
    })
}

fn on(units: &[UnitHistory], unit: UnitId, day: NaiveDate) -> bool {
    units.iter().any(|history| history.id == unit && history.version_on(day).is_some())
}

fn can_be(units: &[UnitHistory], edge: &Edge) -> bool {
    let day_before = edge.effective - Days::new(1);
    edge.predecessor != edge.successor
        && on(units, edge.predecessor, day_before)
        && on(units, edge.successor, edge.effective)
}

/// [`reorganised`], without the edges that may not be.
fn reformed() -> impl Strategy<Value = (Vec<UnitHistory>, Vec<Edge>)> {
    reorganised().prop_map(|(units, mut edges)| {
        edges.retain(|edge| can_be(&units, edge));
        (units, edges)
    })
}

/// Whether each unit has a root above it, and each code one holder, on this day.
fn is_tree(units: &[UnitHistory], day: NaiveDate) -> bool {
    let here: HashMap<UnitId, &UnitHistory> = units
        .iter()
        .filter(|history| history.version_on(day).is_some())
        .map(|history| (history.id, history))
        .collect();
    let parent = |unit: UnitId| here[&unit].version_on(day).unwrap().parent;
    let rooted = |unit: UnitId| {
        let mut next = Some(unit);
        for _ in 0..=units.len() {
            match next {
                None => return true,
                Some(unit) if here.contains_key(&unit) => next = parent(unit),
                Some(_) => return false,
            }
        }
        false
    };
    let mut held = BTreeSet::new();
    here.keys().all(|unit| rooted(*unit))
        && here
            .values()
            .all(|history| history.code_on(NSO, day).is_none_or(|code| held.insert(code)))
}

/// What comes after a unit by these edges and how far away it is, found by going through time and not from edge to edge.
/// With `back`, what was before it.
fn sweep(edges: &[Edge], unit: UnitId, back: bool) -> BTreeMap<&Edge, usize> {
    let mut days: Vec<NaiveDate> = edges.iter().map(|edge| edge.effective).collect();
    days.sort();
    days.dedup();
    if back {
        days.reverse();
    }
    let (mut near, mut found) = (HashMap::from([(unit, 0)]), BTreeMap::new());
    for day in days {
        let mut reached = Vec::new();
        for edge in edges.iter().filter(|edge| edge.effective == day) {
            let (from, to) = (edge.predecessor, edge.successor);
            let (from, to) = if back { (to, from) } else { (from, to) };
            if let Some(distance) = near.get(&from) {
                found.insert(edge, distance + 1);
                reached.push((to, distance + 1));
            }
        }
        // What happens on one day happens at once.
        for (unit, distance) in reached {
            let least = near.entry(unit).or_insert(distance);
            *least = distance.min(*least);
        }
    }
    found
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

/// Whether a grant over `root` reaches a unit, by looking through every edge there is.
fn came_into(
    hierarchy: &Hierarchy,
    edges: &[Edge],
    unit: UnitId,
    root: UnitId,
    today: NaiveDate,
    since: NaiveDate,
) -> bool {
    if hierarchy.unit(unit, today).is_some() {
        return hierarchy.is_within(unit, root, today);
    }
    let last = hierarchy.known_on(unit, today);
    if last == today {
        // It begins later, or never.
        return false;
    }
    let after = |edge: &&Edge| {
        edge.predecessor == unit && since < edge.effective && edge.effective <= today
    };
    let next: Vec<&Edge> = edges.iter().filter(after).collect();
    hierarchy.is_within(unit, root, last)
        || next
            .iter()
            .any(|edge| came_into(hierarchy, edges, edge.successor, root, today, edge.effective))
        || next.is_empty()
            && hierarchy
                .ancestors(unit, last)
                .first()
                .is_some_and(|parent| came_into(hierarchy, edges, *parent, root, today, last))
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
    fn units_are_refused_exactly_where_one_has_no_root_or_shares_its_code(units in careless()) {
        let built = Hierarchy::build(1, units.clone());
        prop_assert_eq!(built.is_ok(), dates().all(|day| is_tree(&units, day)), "{:?}", built);
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
    fn an_edge_is_refused_exactly_where_an_end_is_not_there((units, edges) in reorganised()) {
        for edge in edges.iter().take(8) {
            let built = Hierarchy::build_with_edges(1, units.clone(), vec![edge.clone()]);
            prop_assert_eq!(built.is_ok(), can_be(&units, edge), "{:?}", edge);
        }
        let built = Hierarchy::build_with_edges(1, units.clone(), edges.clone());
        prop_assert_eq!(built.is_ok(), edges.iter().all(|edge| can_be(&units, edge)));
    }

    #[test]
    fn lineage_is_every_edge_that_can_be_reached_in_time_at_its_least_distance(
        (units, edges) in reformed()
    ) {
        let hierarchy = Hierarchy::build_with_edges(1, units.clone(), edges.clone()).unwrap();
        for history in &units {
            let unit = history.id;
            let ways = [
                (hierarchy.lineage_forward(unit), sweep(&edges, unit, false)),
                (hierarchy.lineage_back(unit), sweep(&edges, unit, true)),
            ];
            for (steps, expected) in ways {
                prop_assert!(steps.is_sorted_by_key(|step| step.distance));
                prop_assert_eq!(steps.len(), expected.len(), "each edge is there once");
                for step in steps {
                    prop_assert_eq!(Some(&step.distance), expected.get(step.edge));
                }
            }
            let from: BTreeSet<_> = edges.iter().filter(|edge| edge.predecessor == unit).collect();
            let to: BTreeSet<_> = edges.iter().filter(|edge| edge.successor == unit).collect();
            prop_assert_eq!(hierarchy.successors(unit).collect::<BTreeSet<_>>(), from);
            prop_assert_eq!(hierarchy.predecessors(unit).collect::<BTreeSet<_>>(), to);
        }
    }

    #[test]
    fn one_unit_comes_after_another_exactly_if_that_was_before_it((units, edges) in reformed()) {
        let hierarchy = Hierarchy::build_with_edges(1, units.clone(), edges).unwrap();
        let mut after = BTreeSet::new();
        let mut before = BTreeSet::new();
        for history in &units {
            let unit = history.id;
            for step in hierarchy.lineage_forward(unit) {
                after.insert((unit, step.edge.successor, step.distance));
            }
            for step in hierarchy.lineage_back(unit) {
                before.insert((step.edge.predecessor, unit, step.distance));
            }
        }
        // More than one edge may lead to a unit; its own distance is the least of them.
        let nearest = |all: BTreeSet<(UnitId, UnitId, usize)>| {
            let mut least = BTreeMap::new();
            for (from, to, distance) in all {
                least.entry((from, to)).or_insert(distance);
            }
            least
        };
        prop_assert_eq!(nearest(after), nearest(before));
    }

    #[test]
    fn a_grant_covers_what_is_in_its_subtree_and_what_ended_in_it_or_on_the_way_to_it(
        (units, edges) in reformed()
    ) {
        let hierarchy = Hierarchy::build_with_edges(1, units.clone(), edges.clone()).unwrap();
        for today in dates() {
            for unit in units.iter().map(|history| history.id) {
                for root in units.iter().map(|root| root.id) {
                    let there = hierarchy.unit(unit, today).is_some();
                    let access = if there { Access::Write } else { Access::Read };
                    let expected = came_into(&hierarchy, &edges, unit, root, today, NaiveDate::MIN);
                    let expected = expected.then_some(access);
                    prop_assert_eq!(hierarchy.covers(root, unit, today), expected);
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
