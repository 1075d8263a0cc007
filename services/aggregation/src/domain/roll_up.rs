//! Adding one figure up over the units that owe a report.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use dunghan_hierarchy::{Hierarchy, UnitId};

use crate::domain::{Amount, ReportName};

/// One unit owes one report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obligation {
    /// Which unit.
    pub unit: UnitId,
    /// Whether it is there.
    pub standing: Standing,
}

/// Whether what is owed is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Handed over, in time or late, and perhaps sent back since: it counts as it was handed over.
    Submitted,
    /// Not there, due or not yet.
    Absent,
    /// Excused: not expected, whatever the unit may have sent.
    Waived,
}

/// The figure asked for, as one unit states it. A unit may state it more than once, for different dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// In which report, and so by which unit.
    pub report: ReportName,
    /// First day that it covers, where the report says so.
    pub start: Option<NaiveDate>,
    /// Last day that it covers, where the report says so.
    pub end: Option<NaiveDate>,
    /// The figure itself.
    pub amount: Amount,
    /// The report says "about" or "more than".
    pub approximate: bool,
}

/// What one unit brings to a total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// In which report, and so which unit.
    pub report: ReportName,
    /// Its count, or its part.
    pub value: i64,
    /// The whole, where it states one.
    pub whole: Option<i64>,
    /// The total is no more exact than this.
    pub approximate: bool,
}

/// A figure over a subtree. Every unit that owes a report is in exactly one of the lists, and each list is in the order
/// of the units' ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RollUp {
    /// The sum of the counts and parts.
    pub total: i64,
    /// The sums of the parts and of the wholes, over the units that state a whole.
    pub ratio: Option<(i64, i64)>,
    /// The units in the total.
    pub contributions: Vec<Contribution>,
    /// Submitted, and within the figure of a unit above that is in the total.
    pub covered: Vec<UnitId>,
    /// Submitted, but without this figure.
    pub without_value: Vec<UnitId>,
    /// Owing a report and not submitted.
    pub missing: Vec<UnitId>,
    /// Excused, and so not expected.
    pub waived: Vec<UnitId>,
}

impl RollUp {
    /// How many units owe a report.
    pub fn expected(&self) -> usize {
        let there = self.contributions.len() + self.covered.len() + self.without_value.len();
        there + self.missing.len()
    }
}

/// Of what each figure speaks.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// Of the unit alone.
    Own,
    /// Of the unit and all below it on that day: what those state is in it.
    Subtree(&'a Hierarchy, NaiveDate),
}

impl Scope<'_> {
    /// Whether a unit's figure is within that of one of these others.
    fn covers(self, unit: UnitId, others: &BTreeSet<UnitId>) -> bool {
        let Self::Subtree(hierarchy, day) = self else { return false };
        let above = hierarchy.ancestors(unit, hierarchy.known_on(unit, day));
        above.iter().any(|above| others.contains(above))
    }
}

/// Why there is no total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAddable {
    /// Whoever states the figure states a percentage without its parts.
    #[error("is stated as a percentage without its parts")]
    PercentOnly,
    /// More than 64 bits hold.
    #[error("adds up to more than a total can hold")]
    TooLarge,
}

/// Adds `stated` up over the units of `obligations` that have submitted and are not excused. What others state is left
/// out: a report that nobody owes is in no total.
///
/// Where a unit states the figure for several dates, the one that reaches furthest counts, and of those the one that
/// begins last: it is the period's own rather than one since the beginning of the year. One without dates counts where
/// there is no other.
pub fn roll_up(
    obligations: Vec<Obligation>,
    stated: Vec<Stated>,
    scope: Scope<'_>,
) -> Result<RollUp, NotAddable> {
    let mut percent_only = false;
    let mut figures = BTreeMap::<UnitId, (Stated, Contribution)>::new();
    for one in stated {
        let (value, whole) = match one.amount {
            Amount::Count(count) => (count, None),
            Amount::Ratio { part, whole } => (part, Some(whole)),
            Amount::Percent => {
                percent_only = true;
                continue;
            }
        };
        let unit = one.report.unit();
        let before = figures.get(&unit);
        // No date is the smallest Option, and so loses to any.
        if before.is_none_or(|(held, _)| (held.end, held.start) < (one.end, one.start)) {
            let Stated { report, approximate, .. } = one.clone();
            figures.insert(unit, (one, Contribution { report, value, whole, approximate }));
        }
    }
    let owed: BTreeMap<UnitId, Standing> =
        obligations.into_iter().map(|owed| (owed.unit, owed.standing)).collect();
    let counts = |unit: &UnitId| owed.get(unit) == Some(&Standing::Submitted);
    let stating: BTreeSet<UnitId> = figures.keys().copied().filter(counts).collect();
    let mut sum = RollUp::default();
    for (unit, standing) in owed {
        match standing {
            Standing::Waived => sum.waived.push(unit),
            Standing::Absent => sum.missing.push(unit),
            Standing::Submitted => match figures.remove(&unit) {
                None => sum.without_value.push(unit),
                Some(_) if scope.covers(unit, &stating) => sum.covered.push(unit),
                Some((_, figure)) => sum.add(figure).ok_or(NotAddable::TooLarge)?,
            },
        }
    }
    if percent_only && sum.contributions.is_empty() {
        return Err(NotAddable::PercentOnly);
    }
    Ok(sum)
}

impl RollUp {
    /// None where a sum would not fit.
    fn add(&mut self, figure: Contribution) -> Option<()> {
        self.total = self.total.checked_add(figure.value)?;
        if let Some(whole) = figure.whole {
            let (parts, wholes) = self.ratio.unwrap_or_default();
            self.ratio = Some((parts.checked_add(figure.value)?, wholes.checked_add(whole)?));
        }
        self.contributions.push(figure);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit(number: u8) -> UnitId {
        UnitId::new("nso", &number.to_string(), None)
    }

    fn report(number: u8) -> ReportName {
        format!("{}/reports/r", unit(number)).parse().unwrap()
    }

    fn submitted(number: u8) -> Obligation {
        Obligation { unit: unit(number), standing: Standing::Submitted }
    }

    fn stated(number: u8, amount: Amount) -> Stated {
        Stated { report: report(number), start: None, end: None, amount, approximate: false }
    }

    fn dated(number: u8, start: &str, end: &str, count: i64) -> Stated {
        Stated {
            start: start.parse().ok(),
            end: end.parse().ok(),
            ..stated(number, Amount::Count(count))
        }
    }

    #[test]
    fn a_ratio_is_the_ratio_of_the_sums_over_those_who_state_a_whole() {
        let figures = vec![
            stated(1, Amount::Ratio { part: 1, whole: 2 }),
            stated(2, Amount::Ratio { part: 0, whole: 8 }),
            stated(3, Amount::Count(90)),
        ];
        let sum =
            roll_up(vec![submitted(1), submitted(2), submitted(3)], figures, Scope::Own).unwrap();
        assert_eq!((sum.total, sum.ratio), (91, Some((1, 10))));
        let counts =
            roll_up(vec![submitted(3)], vec![stated(3, Amount::Count(90))], Scope::Own).unwrap();
        assert_eq!((counts.total, counts.ratio), (90, None));
    }

    #[test]
    fn a_percentage_without_parts_is_not_added_and_alone_it_is_refused() {
        let mixed = vec![stated(1, Amount::Percent), stated(2, Amount::Count(4))];
        let sum = roll_up(vec![submitted(1), submitted(2)], mixed, Scope::Own).unwrap();
        assert_eq!((sum.total, sum.without_value), (4, vec![unit(1)]));
        let alone = roll_up(vec![submitted(1)], vec![stated(1, Amount::Percent)], Scope::Own);
        assert_eq!(alone, Err(NotAddable::PercentOnly));
        // Both are stated: the parts count.
        let both = vec![stated(1, Amount::Percent), stated(1, Amount::Ratio { part: 3, whole: 4 })];
        assert_eq!(roll_up(vec![submitted(1)], both, Scope::Own).unwrap().ratio, Some((3, 4)));
    }

    #[test]
    fn of_several_dates_the_one_that_reaches_furthest_counts_and_then_the_one_that_begins_last() {
        let (since_january, month) = (("2026-01-01", "2026-05-14"), ("2026-04-15", "2026-05-14"));
        let table = [
            (vec![dated(1, "", "2026-04-14", 1), dated(1, "", "2026-05-14", 2)], 2),
            (vec![dated(1, "", "2026-05-14", 2), dated(1, "", "2026-04-14", 1)], 2),
            (vec![dated(1, "", "", 3), dated(1, "", "2026-04-14", 1)], 1),
            (vec![dated(1, "", "", 3), dated(1, "2026-01-01", "", 4)], 4),
            (vec![dated(1, "", "", 3)], 3),
            (
                vec![
                    dated(1, since_january.0, since_january.1, 120),
                    dated(1, month.0, month.1, 30),
                ],
                30,
            ),
        ];
        for (figures, total) in table {
            let sum = roll_up(vec![submitted(1)], figures.clone(), Scope::Own).unwrap();
            assert_eq!((sum.total, sum.contributions.len()), (total, 1), "{figures:?}");
        }
    }

    #[test]
    fn only_units_that_owe_and_are_not_excused_are_counted() {
        let waived = Obligation { unit: unit(2), standing: Standing::Waived };
        let absent = Obligation { unit: unit(3), standing: Standing::Absent };
        let figures = (1..=4).map(|number| stated(number, Amount::Count(10))).collect();
        let sum = roll_up(vec![submitted(1), waived, absent], figures, Scope::Own).unwrap();
        assert_eq!((sum.total, sum.expected()), (10, 2));
        assert_eq!((sum.waived, sum.missing), (vec![unit(2)], vec![unit(3)]));
    }

    #[test]
    fn what_speaks_of_a_whole_subtree_is_not_added_to_what_is_in_it() {
        use dunghan_hierarchy::{Kind, Level, UnitHistory, Validity, Version};
        let day: NaiveDate = "2026-05-14".parse().unwrap();
        let of = |number, level, parent: Option<u8>, validity| UnitHistory {
            id: unit(number),
            versions: vec![Version {
                validity,
                display_name: number.to_string(),
                kind: Kind::Xa,
                level,
                parent: parent.map(unit),
            }],
            identifiers: Vec::new(),
        };
        // A province, a district in it, and three communes; the last has ended, and the fourth lies in no district.
        let (open, ended) = (Validity::OPEN, Validity::before(day.pred_opt().unwrap()));
        let hierarchy = Hierarchy::build(
            1,
            vec![
                of(1, Level::Province, None, open),
                of(2, Level::District, Some(1), open),
                of(3, Level::Commune, Some(2), open),
                of(4, Level::Commune, Some(1), open),
                of(5, Level::Commune, Some(2), ended),
            ],
        )
        .unwrap();
        let figures = |units: &[u8]| {
            units.iter().map(|number| stated(*number, Amount::Count(10))).collect::<Vec<_>>()
        };
        let owed: Vec<_> = (1..=5).map(submitted).collect();
        for (stating, counted, covered) in [
            (&[3, 4, 5][..], &[3, 4, 5][..], &[][..]),
            (&[2, 3, 4, 5], &[2, 4], &[3, 5]),
            (&[1, 2, 3, 4, 5], &[1], &[2, 3, 4, 5]),
            (&[1, 3], &[1], &[3]),
        ] {
            let scope = Scope::Subtree(&hierarchy, day);
            let sum = roll_up(owed.clone(), figures(stating), scope).unwrap();
            let ids = |numbers: &[u8]| numbers.iter().copied().map(unit).collect::<BTreeSet<_>>();
            let units = sum.contributions.iter().map(|one| one.report.unit()).collect();
            assert_eq!(
                (ids(counted), ids(covered)),
                (units, sum.covered.iter().copied().collect())
            );
            assert_eq!(sum.total, 10 * i64::try_from(counted.len()).unwrap());
            assert_eq!(sum.expected(), 5);
            let own = roll_up(owed.clone(), figures(stating), Scope::Own).unwrap();
            assert_eq!((own.contributions.len(), own.covered.len()), (stating.len(), 0));
        }
        // Whose report does not count covers nobody.
        let mut owed = owed;
        owed[0].standing = Standing::Waived;
        let sum = roll_up(owed, figures(&[1, 4]), Scope::Subtree(&hierarchy, day)).unwrap();
        assert_eq!((sum.total, sum.covered.len()), (10, 0));
    }

    #[test]
    fn a_sum_that_does_not_fit_is_an_error_and_never_wraps() {
        for (amounts, fits) in [
            ([Amount::Count(i64::MAX), Amount::Count(0)], true),
            ([Amount::Count(i64::MAX), Amount::Count(1)], false),
            (
                [Amount::Ratio { part: 0, whole: i64::MAX }, Amount::Ratio { part: 0, whole: 1 }],
                false,
            ),
        ] {
            let figures = vec![stated(1, amounts[0]), stated(2, amounts[1])];
            let sum = roll_up(vec![submitted(1), submitted(2)], figures, Scope::Own);
            assert_eq!(sum.is_ok(), fits, "{amounts:?}");
            assert!(fits || sum == Err(NotAddable::TooLarge), "{amounts:?}");
        }
    }

    fn amounts() -> impl Strategy<Value = Amount> {
        prop_oneof![
            (0..1_000_000_i64).prop_map(Amount::Count),
            (0..1_000_i64, 0..1_000_i64)
                .prop_map(|(part, rest)| Amount::Ratio { part, whole: part + rest }),
            Just(Amount::Percent),
        ]
    }

    fn obligations() -> impl Strategy<Value = Obligation> {
        (0..40_u8, 0..4_u8).prop_map(|(number, standing)| Obligation {
            unit: unit(number),
            standing: match standing {
                0 => Standing::Waived,
                1 => Standing::Absent,
                _ => Standing::Submitted,
            },
        })
    }

    proptest! {
        #[test]
        fn every_sum_is_that_of_its_list_and_every_unit_is_in_one_list(
            obligations in proptest::collection::vec(obligations(), 0..60),
            figures in proptest::collection::vec((0..40_u8, amounts()), 0..80),
        ) {
            let owing: BTreeMap<_, _> = obligations.iter().map(|o| (o.unit, &o.standing)).collect();
            let waived = owing.values().filter(|standing| ***standing == Standing::Waived).count();
            let stated: Vec<_> = figures.into_iter().map(|(n, amount)| stated(n, amount)).collect();
            match roll_up(obligations.clone(), stated.clone(), Scope::Own) {
                Err(why) => {
                    prop_assert_eq!(why, NotAddable::PercentOnly);
                    prop_assert!(stated.iter().any(|one| one.amount == Amount::Percent));
                }
                Ok(sum) => {
                    prop_assert_eq!(sum.total, sum.contributions.iter().map(|c| c.value).sum::<i64>());
                    let with_whole = sum.contributions.iter().filter_map(|c| Some((c.value, c.whole?)));
                    let parts = with_whole.reduce(|one, two| (one.0 + two.0, one.1 + two.1));
                    prop_assert_eq!(sum.ratio, parts);
                    prop_assert_eq!(sum.expected() + sum.waived.len(), owing.len());
                    prop_assert_eq!(sum.waived.len(), waived);
                    let counted: Vec<_> = sum.contributions.iter().map(|c| c.report.unit()).collect();
                    let mut all = Vec::<UnitId>::new();
                    for list in [&counted, &sum.without_value, &sum.missing, &sum.waived] {
                        prop_assert!(list.is_sorted());
                        all.extend(list);
                    }
                    all.sort();
                    prop_assert_eq!(all, owing.keys().copied().collect::<Vec<_>>());
                }
            }
        }
    }
}
