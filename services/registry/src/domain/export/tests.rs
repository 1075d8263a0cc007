//! What goes out comes in again.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::import::tests::{DAYS, attempts, day, grown, histories, nothing, staged};
use crate::domain::import::{RowOutcome, judge};

fn rows(hierarchy: &Hierarchy, places: Vec<Place>) -> Vec<Row> {
    let rows = places.into_iter().enumerate().map(|(at, place)| row(hierarchy, at, place));
    rows.collect::<Result<_, _>>().unwrap()
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
        let hierarchy = grown(&attempts);
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
        let hierarchy = grown(&attempts);
        let date = DAYS[date].parse().unwrap_or_else(|_| day("1975-04-30"));
        let rows = rows(&hierarchy, as_of(&hierarchy, &hierarchy.units(date), date));
        prop_assert_eq!(orphans(&hierarchy, &rows, Some(date)), Vec::<&Row>::new());
        let again = judge(&hierarchy, &staged(rows));
        prop_assert!(Arc::ptr_eq(&again.merged.unwrap().hierarchy, &hierarchy));
        prop_assert!(again.outcomes.iter().all(|outcome| *outcome == RowOutcome::Unchanged));
    }
}
