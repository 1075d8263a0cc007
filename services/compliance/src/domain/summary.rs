//! Form II.06a of Circular 01/2020/TT-VPCP, counted from a ledger.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use chrono::{DateTime, Utc};
use dunghan_calendar::{Completion, Window, zone};

use crate::domain::dossier::{Basis, Channel, Dossier, Outcome};

/// Columns (4) to (6), (8) to (10), (12) and (13) of the form; the others are their sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// (4)
    pub received_online: u32,
    /// (5)
    pub received_direct_or_postal: u32,
    /// (6)
    pub carried_over: u32,
    /// (8)
    pub early: u32,
    /// (9)
    pub on_time: u32,
    /// (10)
    pub overdue: u32,
    /// (12)
    pub pending_in_time: u32,
    /// (13)
    pub pending_overdue: u32,
}

impl Counts {
    /// (3) = (4) + (5) + (6)
    pub fn to_process(&self) -> u32 {
        self.received_online + self.received_direct_or_postal + self.carried_over
    }

    /// (7) = (8) + (9) + (10)
    pub fn resolved(&self) -> u32 {
        self.early + self.on_time + self.overdue
    }

    /// (11) = (12) + (13)
    pub fn pending(&self) -> u32 {
        self.pending_in_time + self.pending_overdue
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.received_online += other.received_online;
        self.received_direct_or_postal += other.received_direct_or_postal;
        self.carried_over += other.carried_over;
        self.early += other.early;
        self.on_time += other.on_time;
        self.overdue += other.overdue;
        self.pending_in_time += other.pending_in_time;
        self.pending_overdue += other.pending_overdue;
    }
}

/// The form's rows in order, and their sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// One row a field.
    pub rows: Vec<(String, Counts)>,
    /// The sum.
    pub total: Counts,
}

impl Summary {
    /// Counts a unit's dossiers over a window, judged at its end, or at `now` where that has not come.
    ///
    /// `fields` are the rows in order, rows of zeros included; fields of the ledger that are not among them follow by
    /// name, so no dossier is left out. A dossier that was resolved before the window is not in it.
    pub fn of<'a>(
        dossiers: impl IntoIterator<Item = &'a Dossier>,
        window: Window,
        fields: &[String],
        basis: Basis,
        now: DateTime<Utc>,
    ) -> Self {
        let (start, end) = (zone::start_of(window.first), zone::end_of(window.cut_off));
        // The last microsecond of the window: its end is the next one's beginning.
        let last = (end - chrono::TimeDelta::microseconds(1)).min(now);
        let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
        for dossier in dossiers {
            let gone = dossier.completion(basis).is_some_and(|completion| completion < start);
            if dossier.receive_time > last || gone {
                continue;
            }
            let row = counts.entry(&dossier.field).or_default();
            match dossier.channel {
                _ if dossier.receive_time < start => row.carried_over += 1,
                Channel::Online => row.received_online += 1,
                Channel::DirectOrPostal => row.received_direct_or_postal += 1,
            }
            match dossier.outcome(basis, last) {
                Outcome::InTime => row.pending_in_time += 1,
                Outcome::PendingOverdue => row.pending_overdue += 1,
                Outcome::Resolved(Completion::Early) => row.early += 1,
                Outcome::Resolved(Completion::OnTime) => row.on_time += 1,
                Outcome::Resolved(Completion::Overdue) => row.overdue += 1,
            }
        }
        let mut rows: Vec<(String, Counts)> = Vec::new();
        for field in fields {
            if !rows.iter().any(|(listed, _)| listed == field) {
                rows.push((field.clone(), counts.remove(field.as_str()).unwrap_or_default()));
            }
        }
        rows.extend(counts.into_iter().map(|(field, counts)| (field.to_owned(), counts)));
        let mut total = Counts::default();
        rows.iter().for_each(|(_, counts)| total += *counts);
        Self { rows, total }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use dunghan_calendar::Family;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::dossier::Resolution;
    use crate::domain::dossier::tests::dossier;
    use crate::domain::obligation::tests::time;

    fn window(period: &str) -> Window {
        period.parse::<dunghan_calendar::Period>().unwrap().window(Family::Nd09)
    }

    #[test]
    fn a_stated_field_without_dossiers_is_a_row_of_zeros_and_an_unstated_one_is_not_lost() {
        let one = dossier("2024-05-07T09:00:00+07:00", "3d");
        let fields = ["Công tác dân tộc".to_owned()];
        let now = time("2024-06-30T00:00:00+07:00");
        let summary = Summary::of([&one], window("2024Q2"), &fields, Basis::Recorded, now);
        assert_eq!(summary.rows[0], ("Công tác dân tộc".to_owned(), Counts::default()));
        assert_eq!(summary.rows[1].0, "Hộ tịch");
        assert_eq!((summary.total.to_process(), summary.total.pending_overdue), (1, 1));
    }

    #[test]
    fn what_was_pending_before_the_window_is_carried_over_and_what_was_resolved_is_gone() {
        let resolved = |complete| Dossier {
            resolution: Some(Resolution {
                complete_time: time(complete),
                record_time: Some(time(complete)),
            }),
            ..dossier("2024-03-12T09:00:00+07:00", "3d")
        };
        let (gone, carried) =
            (resolved("2024-03-14T23:59:59+07:00"), resolved("2024-03-15T00:00:00+07:00"));
        let now = time("2024-06-30T00:00:00+07:00");
        let summary = Summary::of([&gone, &carried], window("2024Q2"), &[], Basis::Recorded, now);
        assert_eq!((summary.total.carried_over, summary.total.on_time), (1, 1));
    }

    proptest! {
        #[test]
        fn what_is_to_process_is_resolved_or_pending(
            of in proptest::collection::vec((0..4000i64, proptest::option::of(0..900i64), 0..3usize), 0..60),
            now in 0..5000i64,
        ) {
            let origin = time("2024-01-02T09:00:00+07:00");
            let ledger: Vec<_> = of
                .iter()
                .map(|(hour, took, field)| {
                    let received = origin + TimeDelta::hours(*hour);
                    let completed = took.map(|hours| received + TimeDelta::hours(hours));
                    Dossier {
                        field: ["Hộ tịch", "Đất đai", "Chứng thực"][*field].to_owned(),
                        resolution: completed.map(|at| Resolution { complete_time: at, record_time: Some(at) }),
                        ..dossier(&received.to_rfc3339(), "3d")
                    }
                })
                .collect();
            let now = origin + TimeDelta::hours(now);
            for basis in [Basis::Recorded, Basis::InFact] {
                let summary = Summary::of(&ledger, window("2024Q2"), &[], basis, now);
                for counts in summary.rows.iter().map(|(_, counts)| counts).chain([&summary.total]) {
                    prop_assert_eq!(counts.to_process(), counts.resolved() + counts.pending());
                }
            }
        }
    }
}
