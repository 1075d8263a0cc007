//! Rates, with everyone who is in them.

use chrono::{DateTime, Utc};
use rust_decimal::{Decimal, RoundingStrategy};

use crate::domain::obligation::{Obligation, Standing};

/// The reports of one period under one regime, in DHIS2's words.
///
/// expected = on time + late + missing + open. A report without a due time cannot be late: it is on time here, and
/// counted apart besides. Waived ones are not expected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Received before their due time, or without one.
    pub on_time: usize,
    /// Received at their due time or after.
    pub late: usize,
    /// Due, and not received.
    pub missing: usize,
    /// Not received, and not yet due.
    pub open: usize,
    /// Excused.
    pub waived: usize,
    /// Of those on time, the ones without a due time.
    pub no_due_time: usize,
    /// Those that are not on time: late, missing, open, waived, each as they came.
    pub exceptions: Vec<Obligation>,
}

impl Rate {
    /// Counts obligations as they stand at `at`.
    pub fn of(obligations: impl IntoIterator<Item = Obligation>, at: DateTime<Utc>) -> Self {
        let mut rate = Self::default();
        for obligation in obligations {
            let standing = obligation.standing(at);
            match standing {
                Standing::OnTime => rate.on_time += 1,
                Standing::NoDueTime => {
                    rate.on_time += 1;
                    rate.no_due_time += 1;
                }
                Standing::Late => rate.late += 1,
                Standing::Missing => rate.missing += 1,
                Standing::Open => rate.open += 1,
                Standing::Waived => rate.waived += 1,
            }
            if !matches!(standing, Standing::OnTime | Standing::NoDueTime) {
                rate.exceptions.push(obligation);
            }
        }
        rate.exceptions.sort_by_key(|obligation| obligation.standing(at));
        rate
    }

    /// Reports that are owed.
    pub fn expected(&self) -> usize {
        self.on_time + self.late + self.missing + self.open
    }

    /// Reports that are there.
    pub fn actual(&self) -> usize {
        self.on_time + self.late
    }

    /// 100 × actual / expected, two decimals; none where nothing is expected.
    pub fn reporting_rate(&self) -> Option<Decimal> {
        percent(self.actual(), self.expected())
    }

    /// 100 × actual on time / expected, two decimals; none where nothing is expected.
    pub fn reporting_rate_on_time(&self) -> Option<Decimal> {
        percent(self.on_time, self.expected())
    }
}

fn percent(part: usize, whole: usize) -> Option<Decimal> {
    let percent = Decimal::from(100 * part).checked_div(whole.into())?;
    let mut percent = percent.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    percent.rescale(2);
    Some(percent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::obligation::Receipt;
    use crate::domain::obligation::tests::{obligation, time};

    #[test]
    fn one_of_ninety_nine_is_1_01_percent() {
        let rate = Rate { on_time: 1, missing: 98, ..Rate::default() };
        assert_eq!(rate.reporting_rate().unwrap().to_string(), "1.01");
        let half = Rate { on_time: 1, missing: 1, ..Rate::default() };
        assert_eq!(half.reporting_rate().unwrap().to_string(), "50.00");
        assert_eq!(Rate::default().reporting_rate(), None);
    }

    proptest! {
        #[test]
        fn what_is_expected_is_on_time_late_missing_or_open_and_nothing_is_counted_twice(
            of in proptest::collection::vec(
                (proptest::option::of(0..20i64), proptest::option::of(0..20i64), proptest::option::of(0..20i64)),
                0..40,
            ),
            at in 0..20i64,
        ) {
            let origin = time("2026-05-01T00:00:00+07:00");
            let hour = |hours: i64| origin + chrono::TimeDelta::hours(hours);
            let all: Vec<_> = of
                .iter()
                .map(|(due, received, waived)| Obligation {
                    due: due.map(hour),
                    receipt: received.map(|h| Receipt { report: Uuid::nil(), time: hour(h) }),
                    waived: waived.map(hour),
                    ..obligation(None)
                })
                .collect();
            let rate = Rate::of(all.clone(), hour(at));
            prop_assert_eq!(rate.expected() + rate.waived, all.len());
            prop_assert_eq!(rate.exceptions.len(), rate.late + rate.missing + rate.open + rate.waived);
            prop_assert_eq!(rate.expected(), rate.on_time + rate.late + rate.missing + rate.open);
            let received = all.iter().filter(|o| {
                o.receipt.is_some_and(|r| r.time <= hour(at)) && o.waived.is_none_or(|w| w > hour(at))
            });
            prop_assert_eq!(rate.actual(), received.count());
        }
    }
}
