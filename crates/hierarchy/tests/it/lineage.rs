//! What became of units, and what they came from.

use chrono::NaiveDate;
use dunghan_hierarchy::{Edge, EdgeKind, Hierarchy, Step, UnitId, Validity};

use crate::tree::{edge, edges, new, old, tree, unit, version};

fn merged(date: &str, from: &str, to: &str) -> Edge {
    edge(date, old(from), old(to), EdgeKind::Merged)
}

/// Units 1 to 9, there on every date, as those are that only give and take parts.
fn lasting(edges: Vec<Edge>) -> Hierarchy {
    let units = (1..=9).map(|at: u8| {
        let code = at.to_string();
        unit(old(&code), &code, vec![version(Validity::OPEN, "Xã", None)])
    });
    Hierarchy::build_with_edges(1, units.collect(), edges).unwrap()
}

fn steps(found: Vec<Step<'_>>) -> Vec<(usize, UnitId, UnitId)> {
    found.iter().map(|step| (step.distance, step.edge.predecessor, step.edge.successor)).collect()
}

fn near(distance: usize, from: &str, to: &str) -> (usize, UnitId, UnitId) {
    (distance, old(from), old(to))
}

#[test]
fn edges_are_in_the_order_of_time_and_each_is_there_once() {
    let mut given = edges();
    given.reverse();
    given.extend(edges());
    let tree = Hierarchy::build_with_edges(7, crate::tree::units(), given).unwrap();
    assert_eq!(tree.edges(), super::tree::tree().edges());
    assert_eq!(tree.edges().len(), edges().len());
    assert!(tree.edges().is_sorted_by_key(|edge| edge.effective));
}

#[test]
fn a_unit_has_its_direct_successors_and_predecessors() {
    let tree = tree();
    let after: Vec<_> =
        tree.successors(old("11752")).map(|edge| (edge.successor, edge.kind)).collect();
    assert_eq!(after.len(), 2);
    assert!(after.contains(&(new("11506"), EdgeKind::SplitMain)));
    assert!(after.contains(&(new("11518"), EdgeKind::SplitPart)));
    let mut before: Vec<UnitId> =
        tree.predecessors(new("24")).map(|edge| edge.predecessor).collect();
    before.sort();
    let mut expected = [old("24"), old("27")];
    expected.sort();
    assert_eq!(before, expected);
    assert_eq!(tree.successors(new("24")).count(), 0);
    assert_eq!(tree.predecessors(old("24")).count(), 0);
    assert_eq!(tree.successors(old("99")).count() + tree.predecessors(old("99")).count(), 0);
}

#[test]
fn lineage_goes_over_any_number_of_edges_the_nearest_first() {
    let tree = tree();
    let forward = steps(tree.lineage_forward(old("11752")));
    assert_eq!(forward.len(), 3);
    assert_eq!(forward[2], (2, new("11518"), new("09427")));
    let back = steps(tree.lineage_back(new("09427")));
    assert_eq!(back.len(), 4);
    assert!(back.is_sorted_by_key(|step| step.0));
    assert_eq!(back[3], (2, old("11752"), new("11518")));

    let chain = lasting(
        (1..9)
            .map(|at: u8| merged(&format!("200{at}-01-01"), &at.to_string(), &(at + 1).to_string()))
            .collect(),
    );
    assert_eq!(steps(chain.lineage_forward(old("1"))).last(), Some(&near(8, "8", "9")));
    assert_eq!(steps(chain.lineage_back(old("9"))).last(), Some(&near(8, "1", "2")));
    assert_eq!(chain.lineage_forward(old("9")), []);
    assert_eq!(chain.lineage_back(old("99")), []);
}

#[test]
fn a_unit_may_come_after_itself_and_the_way_still_ends() {
    let there = merged("2001-01-01", "1", "2");
    let back_again = merged("2002-01-01", "2", "1");
    let once_more = merged("2003-01-01", "1", "2");
    let tree = lasting(vec![there, back_again, once_more]);
    let expected = [near(1, "1", "2"), near(1, "1", "2"), near(2, "2", "1")];
    assert_eq!(steps(tree.lineage_forward(old("1"))), expected);
    assert_eq!(
        steps(tree.lineage_forward(old("2"))),
        [near(1, "2", "1"), near(2, "1", "2")],
        "what unit 2 gave back came from it; what it had before did not"
    );
    assert_eq!(steps(tree.lineage_back(old("1"))), [near(1, "2", "1"), near(2, "1", "2")]);
}

#[test]
fn what_was_given_away_before_did_not_come_from_what_was_taken_in_later() {
    for (given, follows) in [("2004-12-31", false), ("2005-01-01", false), ("2005-01-02", true)] {
        let tree = lasting(vec![merged("2005-01-01", "1", "2"), merged(given, "2", "3")]);
        let mut expected = vec![near(1, "1", "2")];
        expected.extend(follows.then(|| near(2, "2", "3")));
        assert_eq!(steps(tree.lineage_forward(old("1"))), expected, "{given}");
        let mut expected = vec![near(1, "2", "3")];
        expected.extend(follows.then(|| near(2, "1", "2")));
        assert_eq!(steps(tree.lineage_back(old("3"))), expected, "{given}");
    }
}

#[test]
fn an_edge_is_as_far_as_its_shortest_way_in_time() {
    // 1 reaches 4 at once, but too late for what 4 gave to 5; by way of 2 and 3 it was in time.
    let tree = lasting(vec![
        merged("2001-01-01", "1", "2"),
        merged("2002-01-01", "2", "3"),
        merged("2003-01-01", "3", "4"),
        merged("2004-01-01", "4", "5"),
        merged("2005-01-01", "1", "4"),
        merged("2006-01-01", "4", "6"),
    ]);
    let found = steps(tree.lineage_forward(old("1")));
    assert_eq!(
        found,
        [
            near(1, "1", "2"),
            near(1, "1", "4"),
            near(2, "2", "3"),
            near(2, "4", "6"),
            near(3, "3", "4"),
            near(4, "4", "5"),
        ]
    );
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Units by their codes and the days on which they exist: from the first until before the second, by turns.
fn mortal(units: &[(&str, &[&str])], edges: Vec<Edge>) -> Hierarchy {
    let units = units.iter().map(|(code, turns)| {
        let lives = turns.chunks(2).map(|life| Validity {
            from: Some(day(life[0])),
            until: life.get(1).map(|until| day(until)),
        });
        unit(old(code), code, lives.map(|life| version(life, "Xã", None)).collect())
    });
    Hierarchy::build_with_edges(1, units.collect(), edges).unwrap()
}

#[test]
fn a_unit_that_ended_is_succeeded_by_where_the_whole_or_the_main_part_of_it_went() {
    let tree = tree();
    let on = |unit, date| tree.succeeded_by(unit, day(date));
    // Merged into another, which may be new or have been there before; of two that made one, both.
    assert_eq!(on(old("11119"), "2025-07-01"), Some(new("11113")));
    assert_eq!(on(old("30"), "2026-05-14"), Some(old("31")));
    assert_eq!(on(old("09421"), "2026-05-14"), Some(new("09427")));
    assert_eq!(on(old("09427"), "2026-05-14"), Some(new("09427")));
    // Split: the main part, never the other.
    assert_eq!(on(old("11752"), "2026-10-01"), Some(new("11506")));
    // On its own last day it still stands for itself, and one that exists does so always, whatever it gave away.
    assert_eq!(on(old("11119"), "2025-06-30"), None);
    assert_eq!(on(new("11518"), "2026-10-01"), None);
    // Not yet there; ended without anybody after it; unknown.
    assert_eq!(on(new("11113"), "2025-06-30"), None);
    assert_eq!(on(old("262"), "2025-07-01"), None);
    assert_eq!(on(old("99"), "2025-07-01"), None);
}

#[test]
fn a_successor_that_ended_too_is_succeeded_in_its_turn() {
    let tree = mortal(
        &[
            ("1", &["2000-01-01", "2005-01-01"]),
            ("2", &["2000-01-01", "2010-01-01"]),
            ("3", &["2010-01-01", "2015-01-01"]),
            ("4", &["2000-01-01"]),
            ("5", &["2000-01-01"]),
        ],
        vec![
            merged("2005-01-01", "1", "2"),
            merged("2010-01-01", "2", "3"),
            edge("2012-01-01", old("3"), old("5"), EdgeKind::SplitPart),
            edge("2015-01-01", old("3"), old("4"), EdgeKind::SplitMain),
            edge("2015-01-01", old("3"), old("5"), EdgeKind::SplitPart),
        ],
    );
    for (date, expected) in [
        ("2004-12-31", None),
        ("2005-01-01", Some("2")),
        ("2009-12-31", Some("2")),
        ("2010-01-01", Some("3")),
        ("2014-12-31", Some("3")),
        ("2015-01-01", Some("4")),
        ("2099-01-01", Some("4")),
    ] {
        assert_eq!(tree.succeeded_by(old("1"), day(date)), expected.map(old), "{date}");
    }
}

#[test]
fn where_nobody_came_after_a_successor_or_two_came_after_a_unit_there_is_none() {
    let units: &[(&str, &[&str])] = &[
        ("1", &["2000-01-01", "2005-01-01"]),
        ("2", &["2000-01-01", "2010-01-01"]),
        ("3", &["2000-01-01"]),
    ];
    let ended = mortal(units, vec![merged("2005-01-01", "1", "2")]);
    assert_eq!(ended.succeeded_by(old("1"), day("2009-12-31")), Some(old("2")));
    assert_eq!(ended.succeeded_by(old("1"), day("2010-01-01")), None);

    let both = vec![merged("2005-01-01", "1", "2"), merged("2005-01-01", "1", "3")];
    assert_eq!(mortal(units, both).succeeded_by(old("1"), day("2005-01-01")), None);

    let parts = vec![edge("2005-01-01", old("1"), old("3"), EdgeKind::SplitPart)];
    assert_eq!(mortal(units, parts).succeeded_by(old("1"), day("2005-01-01")), None);

    // Said twice it is one all the same.
    let main = edge("2005-01-01", old("1"), old("3"), EdgeKind::SplitMain);
    let twice = vec![merged("2005-01-01", "1", "3"), main];
    assert_eq!(mortal(units, twice).succeeded_by(old("1"), day("2005-01-01")), Some(old("3")));
}

#[test]
fn a_unit_that_came_back_stands_for_itself_and_not_for_those_that_had_gone_into_it_before() {
    let tree = mortal(
        &[
            ("1", &["2000-01-01", "2005-01-01"]),
            ("2", &["2000-01-01", "2010-01-01", "2012-01-01", "2020-01-01"]),
            ("3", &["2000-01-01"]),
            ("4", &["2000-01-01"]),
        ],
        vec![
            merged("2005-01-01", "1", "2"),
            merged("2010-01-01", "2", "3"),
            merged("2020-01-01", "2", "4"),
        ],
    );
    let on = |unit, date| tree.succeeded_by(old(unit), day(date));
    assert_eq!(on("2", "2011-12-31"), Some(old("3")));
    assert_eq!(on("2", "2012-01-01"), None);
    assert_eq!(on("2", "2020-01-01"), Some(old("4")));
    assert_eq!(on("1", "2015-01-01"), Some(old("3")));
    assert_eq!(on("1", "2020-01-01"), Some(old("3")));
}
