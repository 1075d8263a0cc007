//! What a unit handed over for earlier periods, as far as rules ask for it.

use dunghan_calendar::Period;

use crate::domain::value::Value;

/// The figures of a unit's earlier reports under the same regime, as they stood when the report was checked.
///
/// Only what is handed over counts: a draft, or a report that was sent back, says nothing yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    pub(super) previous: Option<(Period, Vec<Value>)>,
    pub(super) year: Option<Vec<(Period, Vec<Value>)>>,
}

/// A report that was handed over for an earlier period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Which period.
    pub period: Period,
    /// Its figures; none where it says that nothing occurred.
    pub values: Option<Vec<Value>>,
}

impl Earlier {
    fn figures(&self) -> Option<(Period, Vec<Value>)> {
        Some((self.period, self.values.clone()?))
    }
}

impl History {
    /// The period before, of the same length; none for what is asked for once.
    pub fn before(period: Period) -> Option<Period> {
        period.previous()
    }

    /// The periods of the same length of the year before that one, the last first.
    pub fn year_so_far(period: Period) -> Vec<Period> {
        let year = period.last_month().0;
        let back = |period: &Period| period.previous();
        let earlier = std::iter::successors(period.previous(), back);
        earlier.take_while(|one| one.last_month().0 == year).collect()
    }

    /// From the reports that are handed over of those periods.
    ///
    /// Where nothing occurred in the period before, it has no figures to compare with; in the year so far it adds nothing.
    pub fn new(period: Period, earlier: Vec<Earlier>) -> Self {
        let find = |wanted: Period| earlier.iter().find(|one| one.period == wanted);
        let previous = Self::before(period).and_then(find).and_then(Earlier::figures);
        let year = Self::year_so_far(period).into_iter().map(find).collect::<Option<Vec<_>>>();
        // Once asked for, it has no year to add up.
        let year = year.filter(|_| period.previous().is_some());
        let year = year.map(|all| all.into_iter().filter_map(Earlier::figures).collect());
        Self { previous, year }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn earlier(period: &str, nil: bool) -> Earlier {
        Earlier { period: period.parse().unwrap(), values: (!nil).then(Vec::new) }
    }

    #[test]
    fn the_year_so_far_is_every_period_of_the_year_before_this_one() {
        for (period, before) in [
            ("202601", vec![]),
            ("202604", vec!["202603", "202602", "202601"]),
            ("2026Q3", vec!["2026Q2", "2026Q1"]),
            ("2026S2", vec!["2026S1"]),
            ("2026S1", vec![]),
            ("2026N9", vec![]),
            ("2026", vec![]),
            ("2023-01-01--2024-05-31", vec![]),
        ] {
            let found = History::year_so_far(period.parse().unwrap());
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, before, "{period}");
        }
    }

    #[test]
    fn a_year_is_added_up_where_every_report_of_it_is_there() {
        let history = |period: &str, reports: &[(&str, bool)]| {
            let reports = reports.iter().map(|(period, nil)| earlier(period, *nil)).collect();
            let history = History::new(period.parse().unwrap(), reports);
            (history.previous.is_some(), history.year.map(|all| all.len()))
        };
        let all = [("202601", false), ("202602", false), ("202603", false)];
        assert_eq!(history("202604", &all), (true, Some(3)));
        assert_eq!(history("202604", &all[1..]), (true, None));
        assert_eq!(history("202604", &all[..2]), (false, None));
        // What says that nothing occurred is there, and adds nothing.
        let nil = [("202601", false), ("202602", false), ("202603", true)];
        assert_eq!(history("202604", &nil), (false, Some(2)));
        assert_eq!(history("202601", &[("202512", false)]), (true, Some(0)));
        assert_eq!(history("202601", &[]), (false, Some(0)));
        assert_eq!(history("2023-01-01--2024-05-31", &[]), (false, None));
    }
}
