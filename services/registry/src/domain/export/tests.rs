//! What goes out comes in again.

use std::sync::Arc;

use dunghan_hierarchy::{EdgeKind, Kind, Level};
use proptest::prelude::*;

use super::*;
use crate::domain::import::tests::{
    Attempt, DAYS, attempts, day, grown, histories, nothing, seed, staged,
};
use crate::domain::import::{RowOutcome, judge};
use crate::domain::reorganisation::{
    Change, NewUnit, Portion, Reorganisation, Share, Target, UnitRef, apply,
};

fn rows(hierarchy: &Hierarchy, places: Vec<Place>) -> Vec<Row> {
    let rows = places.into_iter().enumerate().map(|(at, place)| row(hierarchy, at, place));
    rows.collect::<Result<_, _>>().unwrap()
}

/// The change of an attempt.
fn change(hierarchy: &Hierarchy, attempt: Attempt) -> Change {
    let Attempt { what, which, other, through, .. } = attempt;
    let units: Vec<UnitId> = hierarchy.histories().map(|history| history.id).collect();
    let unit = |which: usize| UnitRef::Unit(units[which % units.len()]);
    let code = Code { scheme: NSO.to_owned(), value: format!("0002{other}") };
    let (kind, level) = (Kind::Xa, Level::Commune);
    let parent = Some(UnitRef::Code(Code { value: format!("1{}", which % 3), ..code.clone() }));
    let display_name = format!("Xã Sắp xếp {other}");
    let new = Target::New(NewUnit { code: code.clone(), display_name, kind, level, parent });
    let into = if through % 2 == 0 { new } else { Target::Existing(unit(other)) };
    let kind = EdgeKind::ALL[through % 3];
    match what % 6 {
        0 => Change::Merge { shares: vec![Share { unit: unit(which), kind }], into },
        1 => Change::Split {
            unit: unit(which),
            portions: vec![Portion { into, kind: EdgeKind::SplitPart }],
            continues: through % 3 > 0,
            children_to: Some(unit(other)),
        },
        2 => Change::Rename { unit: unit(which), display_name: format!("Xã Đổi tên {other}") },
        3 => Change::Transfer { unit: unit(which), parent: (through > 1).then(|| unit(other)) },
        4 => {
            let scheme = if through % 2 == 0 { NSO } else { "dinh_danh" }.to_owned();
            let value = (through % 5 > 0).then_some(code.value);
            Change::Recode { unit: unit(which), scheme, value }
        }
        _ => Change::Abolish { unit: unit(which), children_to: Some(unit(other)) },
    }
}

/// What is there when all that is sound among the attempts has happened, one after the other: rows that came in, and
/// reorganisations.
fn lived(attempts: &[Attempt]) -> Arc<Hierarchy> {
    attempts.iter().fold(seed(), |hierarchy, attempt| {
        if attempt.what < 6 {
            return grown(hierarchy, *attempt);
        }
        let changes = vec![change(&hierarchy, *attempt)];
        let effective = day(DAYS[attempt.from.max(1)]);
        let happened = Reorganisation { id: "sap-xep".into(), effective, changes };
        apply(&hierarchy, &[happened]).map_or(hierarchy, |applied| applied.hierarchy)
    })
}

/// The rows whose parent has no row before them that holds on the date; without one, on their own first day.
fn orphans<'a>(hierarchy: &Hierarchy, rows: &'a [Row], date: Option<NaiveDate>) -> Vec<&'a Row> {
    let late = rows.iter().enumerate().filter(|(at, row)| {
        let Some(parent) = &row.parent else { return false };
        let parent = holder(hierarchy, parent, row.validity);
        let day = date.unwrap_or_else(|| first_day(row.validity));
        let is_parent = |row: &Row| Some(row.unit) == parent && row.validity.contains(day);
        !rows[..*at].iter().any(is_parent)
    });
    late.map(|(_, row)| row).collect()
}

proptest! {
    #[test]
    fn a_whole_history_comes_in_elsewhere_as_it_was(attempts in attempts()) {
        let hierarchy = lived(&attempts);
        let rows = rows(&hierarchy, whole_history(&hierarchy));
        prop_assert_eq!(orphans(&hierarchy, &rows, None), Vec::<&Row>::new());
        let elsewhere = judge(&nothing(), &staged(rows.clone()));
        prop_assert_eq!(histories(&elsewhere.merged.unwrap().hierarchy), histories(&hierarchy));
        let again = judge(&hierarchy, &staged(rows));
        prop_assert!(Arc::ptr_eq(&again.merged.unwrap().hierarchy, &hierarchy));
        prop_assert!(again.outcomes.iter().all(|outcome| *outcome == RowOutcome::Unchanged));
    }

    #[test]
    fn what_was_there_on_a_date_changes_nothing_where_it_came_from(
        attempts in attempts(),
        date in 0..DAYS.len(),
    ) {
        let hierarchy = lived(&attempts);
        let date = DAYS[date].parse().unwrap_or_else(|_| day("1975-04-30"));
        let rows = rows(&hierarchy, as_of(&hierarchy, &hierarchy.units(date), date));
        prop_assert_eq!(orphans(&hierarchy, &rows, Some(date)), Vec::<&Row>::new());
        let again = judge(&hierarchy, &staged(rows));
        prop_assert!(Arc::ptr_eq(&again.merged.unwrap().hierarchy, &hierarchy));
        prop_assert!(again.outcomes.iter().all(|outcome| *outcome == RowOutcome::Unchanged));
    }
}
