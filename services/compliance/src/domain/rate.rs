//! Rates: how many of the reports that are owed are there; and who comes before whom by them.

use std::cmp::{Ordering, Reverse};
use std::ops::AddAssign;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::{Frequency, Period};
use rust_decimal::{Decimal, RoundingStrategy};

use crate::domain::obligation::{Obligation, Standing};
use crate::domain::regime::{Regime, Schedule};
use crate::domain::soon::Soon;

/// A range of periods reaches so many further than its first at most.
pub const MOST_PERIODS_AFTER_FIRST: usize = 120;

/// What of an obligation a rate counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tally {
    /// As [`Obligation::counted`] says.
    pub counted: Standing,
    /// It is there, and sent back.
    pub returned: bool,
    /// An extension moved its due time.
    pub extended: bool,
    /// It is open, and due soon.
    pub due_soon: bool,
}

impl Tally {
    /// Of one obligation, at a moment.
    pub fn of(obligation: &Obligation, at: DateTime<Utc>, soon: &Soon) -> Self {
        let standing = obligation.standing_by(at, soon.of(obligation.area()));
        Self {
            counted: obligation.counted(at),
            returned: standing == Standing::Returned,
            extended: obligation.extension.is_some(),
            due_soon: standing == Standing::DueSoon,
        }
    }

    /// Whether a list of exceptions has it: what is not on time, and what is extended.
    pub fn is_exception(&self) -> bool {
        match self.counted {
            Standing::NotYetOpen => false,
            Standing::OnTime | Standing::NoDueTime => self.extended,
            _ => true,
        }
    }
}

/// Reports in DHIS2's words.
///
/// expected = on time + late + missing + open. A report without a due time cannot be late: it is on time here, and
/// counted apart besides. Waived and closed ones are not expected, and those whose window has not begun are not counted
/// at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// Owed no more, and so not expected.
    pub closed: usize,
    /// Of those expected, the ones whose due time an extension moved.
    pub extended: usize,
    /// Of those that are there, the ones that are sent back.
    pub returned: usize,
    /// Of those open, the ones that are due soon.
    pub due_soon: usize,
}

impl Rate {
    /// Counts `count` obligations that count alike.
    pub fn add(&mut self, tally: &Tally, count: usize) {
        match tally.counted {
            Standing::OnTime | Standing::Returned => self.on_time += count,
            Standing::NoDueTime => {
                self.on_time += count;
                self.no_due_time += count;
            }
            Standing::Late => self.late += count,
            Standing::Missing => self.missing += count,
            Standing::Open | Standing::DueSoon => self.open += count,
            Standing::Waived => {
                self.waived += count;
                return;
            }
            Standing::Closed => {
                self.closed += count;
                return;
            }
            Standing::NotYetOpen => return,
        }
        for (counter, holds) in [
            (&mut self.extended, tally.extended),
            (&mut self.returned, tally.returned),
            (&mut self.due_soon, tally.due_soon),
        ] {
            *counter += if holds { count } else { 0 };
        }
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

impl AddAssign for Rate {
    fn add_assign(&mut self, other: Self) {
        self.on_time += other.on_time;
        self.late += other.late;
        self.missing += other.missing;
        self.open += other.open;
        self.waived += other.waived;
        self.no_due_time += other.no_due_time;
        self.closed += other.closed;
        self.extended += other.extended;
        self.returned += other.returned;
        self.due_soon += other.due_soon;
    }
}

fn percent(part: usize, whole: usize) -> Option<Decimal> {
    let percent = Decimal::from(100 * part).checked_div(whole.into())?;
    let mut percent = percent.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    percent.rescale(2);
    Some(percent)
}

/// Why two periods are not the ends of a range of a regime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRange {
    /// The regime asks for others.
    #[error("is no period of the regime's frequency")]
    Frequency,
    /// Reversed.
    #[error("lies before the first period")]
    Reversed,
    /// Too many.
    #[error("lies more than {MOST_PERIODS_AFTER_FIRST} periods after the first")]
    TooLong,
}

/// Whether a regime could ask for a period: the frequency is its own, or it is the one that is asked for once.
fn is_of_schedule(period: Period, regime: &Regime) -> bool {
    match regime.schedule {
        Schedule::Every(frequency) => period.frequency() == frequency,
        Schedule::Once(_) => period.frequency() == Frequency::Interval,
    }
}

/// The periods from `first` through `last` for which the regime asks, the earliest first.
///
/// Errors: what is wrong, with whether it is about the last.
pub fn range(first: Period, last: Period, regime: &Regime) -> Result<Vec<Period>, (bool, NoRange)> {
    for (is_last, period) in [(false, first), (true, last)] {
        if !is_of_schedule(period, regime) {
            return Err((is_last, NoRange::Frequency));
        }
    }
    let asked = |period: &Period| regime.asks_for(*period);
    if let Schedule::Once(once) = regime.schedule {
        let window = |period: Period| regime.window(period);
        if window(last).cut_off < window(first).cut_off {
            return Err((true, NoRange::Reversed));
        }
        let within = window(first).cut_off <= window(once).cut_off
            && window(once).cut_off <= window(last).cut_off;
        return Ok(Some(once).filter(|_| within).into_iter().filter(asked).collect());
    }
    if regime.window(last).cut_off < regime.window(first).cut_off {
        return Err((true, NoRange::Reversed));
    }
    let mut periods: Vec<_> = std::iter::successors(Some(first), |period| period.next())
        .take(MOST_PERIODS_AFTER_FIRST + 1)
        .take_while(|period| regime.window(*period).cut_off <= regime.window(last).cut_off)
        .collect();
    if periods.last() != Some(&last) {
        return Err((true, NoRange::TooLong));
    }
    periods.retain(asked);
    Ok(periods)
}

/// The periods for which a regime asks and whose cut-off lies within these days, both included.
pub fn periods_within(regime: &Regime, from: NaiveDate, through: NaiveDate) -> Vec<Period> {
    std::iter::successors(regime.first_period(from), |period| period.next())
        .take_while(|period| regime.window(*period).cut_off <= through)
        .filter(|period| regime.asks_for(*period))
        .collect()
}

/// By what units are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RankBy {
    /// The reporting rate on time, then the reporting rate.
    #[default]
    OnTime,
    /// The reporting rate, then the reporting rate on time.
    Reporting,
}

/// A unit's place among its siblings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rank<T> {
    /// From 1; 0: nothing is expected of it.
    pub rank: usize,
    /// How many others have the same rank.
    pub tied: usize,
    /// Who.
    pub of: T,
    /// Its rate.
    pub rate: Rate,
}

/// A part of a whole that is not 0, compared exactly.
#[derive(Clone, Copy, Debug)]
struct Share {
    part: u64,
    whole: u64,
}

impl Share {
    fn of(part: usize, whole: usize) -> Option<Self> {
        (whole > 0).then_some(Self { part: part as u64, whole: whole as u64 })
    }
}

impl Ord for Share {
    fn cmp(&self, other: &Self) -> Ordering {
        let crosswise =
            |one: &Self, another: &Self| u128::from(one.part) * u128::from(another.whole);
        crosswise(self, other).cmp(&crosswise(other, self))
    }
}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Share {}

/// Ranks by exact rates, not by what is left of them after rounding. Those of equal rank stand in the order in which they
/// came; those of whom nothing is expected stand at the end, without a rank.
pub fn ranked<T>(rates: Vec<(T, Rate)>, by: RankBy) -> Vec<Rank<T>> {
    let key = |rate: &Rate| {
        let actual = Share::of(rate.actual(), rate.expected())?;
        let on_time = Share::of(rate.on_time, rate.expected())?;
        Some(match by {
            RankBy::OnTime => (on_time, actual),
            RankBy::Reporting => (actual, on_time),
        })
    };
    let mut sorted: Vec<_> = rates.into_iter().map(|(of, rate)| (key(&rate), of, rate)).collect();
    // Without a rate is less than any.
    sorted.sort_by_key(|(key, _, _)| Reverse(*key));
    let sizes: Vec<_> = sorted
        .chunk_by(|(one, _, _), (next, _, _)| one == next)
        .flat_map(|tied| std::iter::repeat_n(tied.len(), tied.len()))
        .collect();
    let mut first = 1;
    let mut before = None;
    let places = (1..).zip(sorted).zip(sizes).map(|((place, (key, of, rate)), size)| {
        if key != before {
            (first, before) = (place, key);
        }
        match key {
            Some(_) => Rank { rank: first, tied: size - 1, of, rate },
            None => Rank { rank: 0, tied: 0, of, rate },
        }
    });
    places.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::obligation::tests::{obligation, time};
    use crate::domain::obligation::{CloseReason, Closed, Receipt, Returned, Waived};
    use crate::domain::regime::tests::regime;

    fn rate(on_time: usize, late: usize, missing: usize) -> Rate {
        Rate { on_time, late, missing, ..Rate::default() }
    }

    #[test]
    fn one_of_ninety_nine_is_1_01_percent() {
        assert_eq!(rate(1, 0, 98).reporting_rate().unwrap().to_string(), "1.01");
        assert_eq!(rate(1, 0, 1).reporting_rate().unwrap().to_string(), "50.00");
        assert_eq!(Rate::default().reporting_rate(), None);
    }

    #[test]
    fn equal_rates_have_equal_ranks_and_the_next_rank_is_left_out() {
        let rates = vec![
            ("none", Rate::default()),
            ("half", rate(1, 0, 1)),
            ("half of more", rate(50, 0, 50)),
            ("half on time, all there", rate(1, 1, 0)),
            ("all", rate(3, 0, 0)),
            ("nothing", rate(0, 0, 4)),
        ];
        let of = |by| {
            let ranks = ranked(rates.clone(), by);
            ranks.into_iter().map(|one| (one.rank, one.tied, one.of)).collect::<Vec<_>>()
        };
        assert_eq!(
            of(RankBy::OnTime),
            [
                (1, 0, "all"),
                (2, 0, "half on time, all there"),
                (3, 1, "half"),
                (3, 1, "half of more"),
                (5, 0, "nothing"),
                (0, 0, "none"),
            ]
        );
        // All of both are there; which of them was on time decides.
        assert_eq!(of(RankBy::Reporting)[..2], [(1, 0, "all"), (2, 0, "half on time, all there")]);
    }

    #[test]
    fn rates_that_round_alike_are_not_equal() {
        // 99.99 % to two decimals, both.
        let ranks = ranked(vec![(1, rate(19_998, 0, 2)), (2, rate(20_000, 0, 2))], RankBy::OnTime);
        assert_eq!(
            ranks.iter().map(|one| (one.rank, one.of)).collect::<Vec<_>>(),
            [(1, 2), (2, 1)]
        );
        assert_eq!(ranks[0].rate.reporting_rate(), ranks[1].rate.reporting_rate());
    }

    #[test]
    fn a_range_has_the_periods_that_the_regime_asks_for_and_no_other_frequency() {
        let monthly = regime(Schedule::Every(Frequency::Month), "2026-03-01", Some("2026-06-30"));
        let of = |first: &str, last: &str| {
            let found = range(first.parse().unwrap(), last.parse().unwrap(), &monthly)?;
            Ok(found.iter().map(Period::to_string).collect::<Vec<_>>())
        };
        assert_eq!(of("202601", "202604").unwrap(), ["202603", "202604"]);
        assert_eq!(of("202604", "202604").unwrap(), ["202604"]);
        assert_eq!(of("202701", "202702").unwrap(), Vec::<String>::new());
        assert_eq!(of("2026Q1", "202604"), Err((false, NoRange::Frequency)));
        assert_eq!(of("202601", "2026"), Err((true, NoRange::Frequency)));
        assert_eq!(of("202604", "202603"), Err((true, NoRange::Reversed)));
        // 120 after the first, and one more.
        assert_eq!(of("202601", "203601").unwrap().len(), 4);
        assert_eq!(of("202601", "203602"), Err((true, NoRange::TooLong)));
    }

    #[test]
    fn what_is_asked_once_is_in_the_range_that_its_cut_off_lies_in() {
        let asked: Period = "2026-01-01--2026-05-15".parse().unwrap();
        let once = regime(Schedule::Once(asked), "2026-05-01", None);
        let earlier = "2025-01-01--2025-12-31".parse().unwrap();
        assert_eq!(range(asked, asked, &once), Ok(vec![asked]));
        assert_eq!(range(earlier, asked, &once), Ok(vec![asked]));
        assert_eq!(range(earlier, earlier, &once), Ok(Vec::new()));
        assert_eq!(range(asked, earlier, &once), Err((true, NoRange::Reversed)));
    }

    #[test]
    fn a_returned_report_counts_by_its_first_submission_and_is_told_apart() {
        let due = "2026-05-20T00:00:00+07:00";
        let at = time("2026-06-01T00:00:00+07:00");
        for (received, on_time) in
            [("2026-05-19T08:00:00+07:00", 1), ("2026-05-20T08:00:00+07:00", 0)]
        {
            let returned = Obligation {
                receipt: Some(Receipt { report: Uuid::nil(), time: time(received) }),
                returned: Some(Returned { time: at, due: at }),
                ..obligation(Some(due))
            };
            let mut rate = Rate::default();
            rate.add(&Tally::of(&returned, at, &Soon::everywhere(at)), 1);
            assert_eq!((rate.on_time, rate.late, rate.returned), (on_time, 1 - on_time, 1));
        }
    }

    type Times = (Option<i64>, Option<i64>, Option<i64>, Option<i64>, (i64, bool));

    proptest! {
        #[test]
        fn what_is_expected_is_on_time_late_missing_or_open_and_nothing_is_counted_twice(
            of in proptest::collection::vec(
                (
                    proptest::option::of(0..20i64),
                    proptest::option::of(0..20i64),
                    proptest::option::of(0..20i64),
                    proptest::option::of(0..20i64),
                    (0..20i64, proptest::bool::ANY),
                ),
                0..40,
            ),
            at in 0..20i64,
        ) {
            let origin = time("2026-05-01T00:00:00+07:00");
            let hour = |hours: i64| origin + chrono::TimeDelta::hours(hours);
            let one = |(due, received, waived, closed, (open, extended)): &Times| Obligation {
                due: due.map(hour),
                receipt: received.map(|h| Receipt { report: Uuid::nil(), time: hour(h) }),
                waived: waived.map(|h| Waived { decision: Uuid::nil(), time: hour(h) }),
                closed: closed.map(|h| Closed { time: hour(h), reason: CloseReason::NotADebtor }),
                open_time: hour(*open),
                extension: extended.then(Uuid::nil),
                ..obligation(None)
            };
            let all: Vec<_> = of.iter().map(one).collect();
            let at = hour(at);
            let soon = Soon::everywhere(at + chrono::TimeDelta::hours(3));
            let mut rate = Rate::default();
            let tallies: Vec<_> = all.iter().map(|one| Tally::of(one, at, &soon)).collect();
            tallies.iter().for_each(|tally| rate.add(tally, 1));
            let not_yet = all.iter().filter(|one| one.counted(at) == Standing::NotYetOpen).count();
            prop_assert_eq!(rate.expected() + rate.waived + rate.closed + not_yet, all.len());
            prop_assert!(rate.extended <= rate.expected() && rate.due_soon <= rate.open);
            let exceptions = tallies.iter().filter(|tally| tally.is_exception()).count();
            let untimely = rate.late + rate.missing + rate.open + rate.waived + rate.closed;
            prop_assert!(untimely <= exceptions && exceptions <= untimely + rate.extended);
            let received = all.iter().filter(|o| {
                o.receipt.is_some_and(|r| r.time <= at)
                    && o.waived.is_none_or(|w| w.time > at)
                    && o.closed.is_none_or(|c| c.time > at)
            });
            prop_assert_eq!(rate.actual(), received.count());
            // Those that count alike count at once.
            let mut at_once = Rate::default();
            let distinct: std::collections::BTreeMap<_, usize> =
                tallies.iter().fold(std::collections::BTreeMap::new(), |mut counts, tally| {
                    *counts.entry(*tally).or_default() += 1;
                    counts
                });
            distinct.iter().for_each(|(tally, count)| at_once.add(tally, *count));
            prop_assert_eq!(at_once, rate);
        }
    }
}
