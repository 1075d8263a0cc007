//! How lineages are drawn.

use dunghan_proto::registry::EdgeKind;
use dunghan_rpc::field::pb_date;

use super::*;
use crate::output::{WIDTH, width};

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn unit(code: &str, name: &str, from: Option<&str>) -> pb::Unit {
    pb::Unit {
        name: format!("units/{code}-{}", from.unwrap_or("unknown")),
        statistics_code: code.to_owned(),
        display_name: name.to_owned(),
        level: pb::Level::Commune.into(),
        valid_from_date: from.map(|from| pb_date(day(from))),
        ..Default::default()
    }
}

fn step(before: &pb::Unit, after: &pb::Unit, kind: EdgeKind, date: &str) -> pb::LineageStep {
    pb::LineageStep {
        distance: 1,
        predecessor: Some(before.clone()),
        successor: Some(after.clone()),
        path: vec!["Tỉnh Tây Ninh".to_owned()],
        kind: kind.into(),
        effective_date: Some(pb_date(day(date))),
        reorganisation: format!("reorganisations/r-{date}"),
        legal_basis: "Nghị quyết 1/NQ".to_owned(),
    }
}

fn of(unit: &pb::Unit, found: pb::Lineage) -> Lineage {
    Lineage::of(&found, unit, vec!["Tỉnh Tây Ninh".to_owned()], Some(day("2024-09-30")))
}

#[test]
fn what_became_of_a_unit_stands_below_it_and_what_it_came_from_above() {
    let old = unit("00001", "Xã Cũ", None);
    let (here, part) = (unit("00002", "Xã A", Some("2020-01-01")), unit("00003", "Xã B", None));
    let (next, last) = (
        unit("00004", "Phường C", Some("2025-07-01")),
        unit("00005", "Phường D", Some("2026-01-01")),
    );
    let mut renamed = next.clone();
    renamed.display_name = "Phường C mới".to_owned();
    let found = pb::Lineage {
        successors: vec![
            step(&here, &next, EdgeKind::Merged, "2025-07-01"),
            step(&next, &last, EdgeKind::SplitPart, "2026-01-01"),
        ],
        predecessors: vec![
            step(&old, &here, EdgeKind::Merged, "2020-01-01"),
            step(&part, &here, EdgeKind::SplitPart, "2020-01-01"),
        ],
        changes: vec![pb::UnitChange {
            unit: next.name.clone(),
            effective_date: Some(pb_date(day("2025-10-01"))),
            before: Some(next),
            after: Some(renamed),
        }],
        known_from_date: Some(pb_date(day("2020-01-01"))),
        ..Default::default()
    };
    let mut lineage = of(&here, found);
    lineage.unconfirmed = vec![Unconfirmed {
        unit: here.name,
        code: here.statistics_code,
        name: here.display_name,
        successor_code: "00009".to_owned(),
        note: "the table has it not".to_owned(),
    }];
    lineage.words = vec!["Phường C → Phường C mới".to_owned()];
    let text = lineage.text();
    let expected = "\
As of 30/09/2024

┆  since when the first of these held is unknown: the list is a snapshot
┌─ all of 00001 Xã Cũ, Tỉnh Tây Ninh
├─ a part of 00003 Xã B, Tỉnh Tây Ninh
│  01/01/2020, Nghị quyết 1/NQ (r-2020-01-01)
● 00002 Xã A, Tỉnh Tây Ninh
│  01/07/2025, Nghị quyết 1/NQ (r-2025-07-01)
└─ all of it into 00004 Phường C, Tỉnh Tây Ninh
   ├─ 01/10/2025: Phường C → Phường C mới
   │  01/01/2026, Nghị quyết 1/NQ (r-2026-01-01)
   └─ a part into 00005 Phường D, Tỉnh Tây Ninh

Stated by a source, not confirmed, and so not followed:
  00002 Xã A into 00009: the table has it not";
    assert_eq!(text, expected, "\n{text}");
}

#[test]
fn what_came_before_predecessors_stands_above_them() {
    let (one, two) = (unit("00001", "Xã A", None), unit("00002", "Xã B", None));
    let between = unit("00003", "Xã C", Some("2020-01-01"));
    let beside = unit("00004", "Xã D", Some("2019-01-01"));
    let here = unit("00005", "Xã E", Some("2025-07-01"));
    let found = pb::Lineage {
        predecessors: vec![
            step(&beside, &here, EdgeKind::Merged, "2025-07-01"),
            step(&between, &here, EdgeKind::Merged, "2025-07-01"),
            step(&one, &between, EdgeKind::Merged, "2020-01-01"),
            step(&two, &between, EdgeKind::SplitMain, "2020-01-01"),
        ],
        ..Default::default()
    };
    let text = of(&here, found).text();
    let expected = "\
┌─ all of 00004 Xã D, Tỉnh Tây Ninh
│  ┌─ all of 00001 Xã A, Tỉnh Tây Ninh
│  ├─ the main part of 00002 Xã B, Tỉnh Tây Ninh
│  │  01/01/2020, Nghị quyết 1/NQ (r-2020-01-01)
├─ all of 00003 Xã C, Tỉnh Tây Ninh
│  01/07/2025, Nghị quyết 1/NQ (r-2025-07-01)
● 00005 Xã E, Tỉnh Tây Ninh
└─ no change is known";
    assert!(text.ends_with(expected), "\n{text}");
}

#[test]
fn a_unit_that_is_reached_twice_is_drawn_once_with_what_came_after_it() {
    let here = unit("00001", "Xã A", None);
    let (one, two) =
        (unit("00002", "Xã B", Some("2020-01-01")), unit("00003", "Xã C", Some("2020-01-01")));
    let last = unit("00004", "Xã D", Some("2025-07-01"));
    let found = pb::Lineage {
        successors: vec![
            step(&here, &one, EdgeKind::SplitMain, "2020-01-01"),
            step(&here, &two, EdgeKind::SplitPart, "2020-01-01"),
            step(&one, &last, EdgeKind::Merged, "2025-07-01"),
            step(&two, &last, EdgeKind::Merged, "2025-07-01"),
        ],
        ..Default::default()
    };
    let text = of(&here, found).text();
    assert!(text.contains("│  └─ all of it into 00004 Xã D, Tỉnh Tây Ninh\n"), "{text}");
    assert!(text.ends_with("   └─ all of it into 00004 Xã D, Tỉnh Tây Ninh (see above)"), "{text}");
}

#[test]
fn a_unit_without_past_or_future_says_which_of_them_is_unknown() {
    let here = unit("00001", "Xã A", None);
    let text = of(&here, pb::Lineage::default()).text();
    assert!(text.contains("┆  since when it holds is unknown: the list is a snapshot"), "{text}");
    let known = pb::Lineage {
        known_from_date: Some(pb_date(day("2020-01-01"))),
        ended_without_successor: true,
        ..Default::default()
    };
    let mut ended = here;
    ended.valid_through_date = Some(pb_date(day("2025-06-30")));
    let text = of(&ended, known).text();
    assert!(
        text.contains("┆  new on 01/01/2020; nothing is known to have come before it"),
        "{text}"
    );
    assert!(
        text.ends_with("└─ its last day was 30/06/2025; nothing is known to have come after it"),
        "{text}"
    );
}

#[test]
fn a_lineage_fits_80_columns_whatever_its_names() {
    let mut here = unit("00001", &"Xã Cốc Phương ".repeat(12), None);
    let mut found = pb::Lineage::default();
    for generation in 0..4 {
        let next =
            unit(&format!("0001{generation}"), &"Phường Tân Định ".repeat(12), Some("2020-01-01"));
        let before = if generation == 0 {
            &here
        } else {
            &unit(&format!("0001{}", generation - 1), "", Some("2020-01-01"))
        };
        found.successors.push(step(before, &next, EdgeKind::Merged, "2020-01-01"));
    }
    here.display_name.push('Đ');
    let text = of(&here, found).text();
    assert!(text.lines().all(|line| width(line) <= usize::from(WIDTH)), "{text}");
    assert!(text.contains("         └─ all of it into 00013"), "{text}");
}
