//! What became of units, and what they came from.

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
