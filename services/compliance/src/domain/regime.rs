//! Regimes: by which rule a report is owed, and for which periods.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::{
    DayOffPolicy, DueRule, Family, Frequency, Period, Window, WorkingCalendar, zone,
};
use dunghan_hierarchy::{Hierarchy, Level, UnitId};
use serde::{Deserialize, Serialize};

/// Reads and prints as `regimes/{regime}`, with 1 to 63 of a-z, 0-9 and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RegimeId(String);

/// Not the name of a regime.
#[derive(Debug, thiserror::Error)]
#[error("must be regimes/{{regime}}, of a-z, 0-9 and -, 63 at most")]
pub struct NotARegime;

impl RegimeId {
    /// The id alone.
    ///
    /// Errors: other characters than a-z, 0-9 and -, none, or more than 63.
    pub fn new(id: &str) -> Result<Self, NotARegime> {
        let fits = (1..=63).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(Self(id.to_owned())) } else { Err(NotARegime) }
    }

    /// The id alone.
    pub fn id(&self) -> &str {
        &self.0
    }
}

impl FromStr for RegimeId {
    type Err = NotARegime;

    fn from_str(name: &str) -> Result<Self, NotARegime> {
        Self::new(name.strip_prefix("regimes/").ok_or(NotARegime)?)
    }
}

impl fmt::Display for RegimeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "regimes/{}", self.0)
    }
}

/// Which periods a regime asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schedule {
    /// Every period of a frequency.
    Every(Frequency),
    /// One interval.
    Once(Period),
}

/// Who owes a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Debtors {
    /// The units of these levels below one, itself included.
    Subtree {
        /// Whose subtree.
        root: UnitId,
        /// Which levels.
        levels: Vec<Level>,
    },
    /// These units.
    Units(Vec<UnitId>),
}

impl Debtors {
    /// The units that owe the report as of a day, in the hierarchy's order.
    pub fn on(&self, day: NaiveDate, hierarchy: &Hierarchy) -> Vec<UnitId> {
        match self {
            Self::Units(units) => {
                units.iter().copied().filter(|unit| hierarchy.unit(*unit, day).is_some()).collect()
            }
            Self::Subtree { root, levels } => {
                let of_level = |unit: &UnitId| {
                    hierarchy
                        .unit(*unit, day)
                        .is_some_and(|unit| levels.contains(&unit.version.level))
                };
                let below = hierarchy.descendants(*root, day);
                std::iter::once(*root).chain(below).filter(of_level).collect()
            }
        }
    }
}

/// A rule under a legal basis by which units owe reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Regime {
    /// Its name.
    pub id: RegimeId,
    /// Its name for people.
    pub display_name: String,
    /// The document that asks for it.
    pub legal_basis: String,
    /// Made up to show something.
    pub illustrative: bool,
    /// `forms/{form}`.
    pub form: String,
    /// To whom the reports go.
    pub receiving_unit: UnitId,
    /// Which periods.
    pub schedule: Schedule,
    /// Which days a period covers.
    pub family: Family,
    /// The cut-off is what each report declares.
    pub cut_off_as_declared: bool,
    /// By when; none: no due date.
    pub due: Option<DueRule>,
    /// What becomes of a due date on a day off.
    pub day_off: DayOffPolicy,
    /// Who owes it.
    pub debtors: Debtors,
    /// First day in force.
    pub from: NaiveDate,
    /// Last day in force; none: until further notice.
    pub through: Option<NaiveDate>,
    /// When it was put in force here.
    pub create_time: DateTime<Utc>,
}

/// What contradicts what in a regime.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// In force through a day before the first.
    #[error("through_date lies before from_date")]
    EndsBeforeItBegins,
    /// Nobody would owe it.
    #[error("debtors names neither units nor a subtree with levels")]
    NobodyOwes,
    /// Decree 09/2019/NĐ-CP, article 8(5)(b), asks for one working day after the cut-off at least. A fixed day that
    /// falls on days off in some periods is not refused for that: whether it moves then is the regime's to say.
    #[error(
        "the report for {period} would be due on {due}, not after the cut-off {cut_off}; \
         only a regime whose cut-off is as the report declares may ask for that"
    )]
    DueBeforeCutOff {
        /// For which period.
        period: Period,
        /// When it would be due.
        due: NaiveDate,
        /// When its figures are closed.
        cut_off: NaiveDate,
    },
}

impl Regime {
    /// The window of a period under this regime.
    pub fn window(&self, period: Period) -> Window {
        period.window(self.family)
    }

    /// Whether the regime asks for the period: by its frequency, and with the cut-off while it is in force.
    pub fn asks_for(&self, period: Period) -> bool {
        let of_schedule = match self.schedule {
            Schedule::Every(frequency) => period.frequency() == frequency,
            Schedule::Once(once) => period == once,
        };
        let cut_off = self.window(period).cut_off;
        of_schedule && self.from <= cut_off && self.through.is_none_or(|through| cut_off <= through)
    }

    /// The first period of its frequency whose cut-off is not before a day, in force then or not; none where it asks once
    /// and for an earlier one.
    pub fn first_period(&self, day: NaiveDate) -> Option<Period> {
        match self.schedule {
            Schedule::Once(once) => Some(once).filter(|once| self.window(*once).cut_off >= day),
            Schedule::Every(frequency) => first_from(day, frequency, self.family),
        }
    }

    /// The periods asked for whose window has begun by `today`, the first first.
    pub fn open_periods(&self, today: NaiveDate) -> Vec<Period> {
        let first = self.first_period(self.from);
        let begun = |period: &Period| self.window(*period).first <= today;
        let in_force = |period: &Period| {
            let cut_off = self.window(*period).cut_off;
            self.through.is_none_or(|through| cut_off <= through)
        };
        std::iter::successors(first, |period| period.next())
            .take_while(|period| begun(period) && in_force(period))
            .filter(|period| self.asks_for(*period))
            .collect()
    }

    /// The last day on which a report for the period is on time; none where the regime states no due date.
    pub fn due_date(&self, period: Period, calendar: &WorkingCalendar) -> Option<NaiveDate> {
        let cut_off = self.window(period).cut_off;
        self.due.map(|rule| rule.due_date(period, cut_off, self.day_off, calendar))
    }

    /// The instant before which a report for the period must have been received.
    pub fn due_time(&self, period: Period, calendar: &WorkingCalendar) -> Option<DateTime<Utc>> {
        self.due_date(period, calendar).map(zone::end_of)
    }

    /// Whether the regime can be put in force: the due dates of its first periods, three years' worth, are tried.
    ///
    /// Errors: the first contradiction.
    pub fn check(&self, calendar: &WorkingCalendar) -> Result<(), Contradiction> {
        if self.through.is_some_and(|through| through < self.from) {
            return Err(Contradiction::EndsBeforeItBegins);
        }
        let nobody = match &self.debtors {
            Debtors::Units(units) => units.is_empty(),
            Debtors::Subtree { levels, .. } => levels.is_empty(),
        };
        if nobody {
            return Err(Contradiction::NobodyOwes);
        }
        if self.cut_off_as_declared {
            return Ok(());
        }
        let horizon = self.from.checked_add_months(chrono::Months::new(36)).unwrap_or(self.from);
        let tried = match self.schedule {
            Schedule::Once(once) => vec![once],
            Schedule::Every(_) => self.open_periods(horizon),
        };
        for period in tried {
            let cut_off = self.window(period).cut_off;
            if let Some(due) = self.due_date(period, calendar)
                && due <= cut_off
            {
                return Err(Contradiction::DueBeforeCutOff { period, due, cut_off });
            }
        }
        Ok(())
    }
}

/// The first period of a frequency whose cut-off is not before `from`.
fn first_from(from: NaiveDate, frequency: Frequency, family: Family) -> Option<Period> {
    // The window that holds the day ends on it or after. Nine months' windows leave days out: the next one ends later.
    (0..370)
        .filter_map(|ahead| from.checked_add_days(chrono::Days::new(ahead)))
        .find_map(|day| Period::containing(day, frequency, family))
}

#[cfg(test)]
pub(crate) mod tests {
    use dunghan_calendar::DueMonth;

    use super::*;
    use crate::domain::calendar::official;

    pub(crate) fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    pub(crate) fn regime(schedule: Schedule, from: &str, through: Option<&str>) -> Regime {
        Regime {
            id: RegimeId::new("r").unwrap(),
            display_name: "Báo cáo".to_owned(),
            legal_basis: "Công văn số 1/VP".to_owned(),
            illustrative: true,
            form: "forms/cds-1".to_owned(),
            receiving_unit: UnitId::new("nso", "24", None),
            schedule,
            family: Family::Nd09,
            cut_off_as_declared: false,
            due: Some(DueRule::WorkingDaysAfterCutOff(3)),
            day_off: DayOffPolicy::Keep,
            debtors: Debtors::Units(vec![UnitId::new("nso", "09427", None)]),
            from: day(from),
            through: through.map(day),
            create_time: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_period_is_owed_when_its_cut_off_lies_in_force_and_from_the_day_its_window_begins() {
        let monthly = regime(Schedule::Every(Frequency::Month), "2026-05-01", Some("2026-06-14"));
        for (today, periods) in [
            ("2026-04-14", vec![]),
            ("2026-04-15", vec!["202605"]),
            ("2026-05-14", vec!["202605"]),
            ("2026-05-15", vec!["202605", "202606"]),
            ("2027-01-01", vec!["202605", "202606"]),
        ] {
            let open = monthly.open_periods(day(today));
            let names: Vec<_> = open.iter().map(Period::to_string).collect();
            assert_eq!(names, periods, "{today}");
        }
    }

    #[test]
    fn nine_months_and_single_intervals_are_found_too() {
        let nine = regime(Schedule::Every(Frequency::NineMonths), "2024-09-01", Some("2024-09-30"));
        let names: Vec<_> =
            nine.open_periods(day("2024-09-17")).iter().map(Period::to_string).collect();
        assert_eq!(names, ["2024N9"]);
        let once = "2023-01-01--2024-05-31".parse().unwrap();
        let once = regime(Schedule::Once(once), "2024-05-01", None);
        assert_eq!(once.open_periods(day("2024-06-24")).len(), 1);
        assert_eq!(once.open_periods(day("2022-12-31")).len(), 0);
    }

    #[test]
    fn the_first_period_from_a_day_is_the_first_whose_cut_off_is_not_before_it() {
        let every = |frequency, family| Regime {
            family,
            ..regime(Schedule::Every(frequency), "2020-01-01", None)
        };
        for (frequency, family, from, first) in [
            (Frequency::Month, Family::Nd09, "2026-05-14", "202605"),
            (Frequency::Month, Family::Nd09, "2026-05-15", "202606"),
            (Frequency::Month, Family::Calendar, "2026-05-31", "202605"),
            (Frequency::Month, Family::Calendar, "2026-06-01", "202606"),
            (Frequency::Quarter, Family::Nd09, "2026-12-14", "2026Q4"),
            (Frequency::Quarter, Family::Nd09, "2026-12-15", "2027Q1"),
            (Frequency::SixMonths, Family::Nd09, "2026-06-14", "2026S1"),
            (Frequency::SixMonths, Family::Nd09, "2026-06-15", "2026S2"),
            (Frequency::NineMonths, Family::Nd09, "2026-09-14", "2026N9"),
            (Frequency::NineMonths, Family::Nd09, "2026-09-15", "2027N9"),
            (Frequency::Year, Family::Nd09, "2026-12-14", "2026"),
            (Frequency::Year, Family::Nd09, "2026-12-15", "2027"),
        ] {
            let found = every(frequency, family).first_period(day(from)).unwrap();
            assert_eq!(found.to_string(), first, "{from}");
            // The store tells by their names which come later.
            let names: Vec<_> = std::iter::successors(Some(found), |period| period.next())
                .take(30)
                .map(|period| period.to_string())
                .collect();
            assert!(names.is_sorted() && names.len() == 30, "{names:?}");
        }
        let once: Period = "2023-01-01--2024-05-31".parse().unwrap();
        let asked_once = regime(Schedule::Once(once), "2024-05-01", None);
        assert_eq!(asked_once.first_period(day("2024-05-31")), Some(once));
        assert_eq!(asked_once.first_period(day("2024-06-01")), None);
    }

    #[test]
    fn a_due_date_must_lie_after_the_cut_off_unless_reports_declare_their_own() {
        let calendar = official().unwrap();
        let six = |declared| Regime {
            due: Some(DueRule::day_of_month(24, DueMonth::Number(5)).unwrap()),
            cut_off_as_declared: declared,
            ..regime(Schedule::Every(Frequency::SixMonths), "2024-05-01", Some("2024-06-30"))
        };
        assert!(matches!(six(false).check(&calendar), Err(Contradiction::DueBeforeCutOff { .. })));
        assert_eq!(six(true).check(&calendar), Ok(()));
        let far = "2031-01-01--2031-12-31".parse().unwrap();
        let once = Regime {
            due: Some(DueRule::day_of_month(1, DueMonth::Number(1)).unwrap()),
            ..regime(Schedule::Once(far), "2024-05-01", None)
        };
        assert!(matches!(once.check(&calendar), Err(Contradiction::DueBeforeCutOff { .. })));
        let period = "2024S1".parse().unwrap();
        assert_eq!(six(true).due_date(period, &calendar), Some(day("2024-05-24")));
    }

    #[test]
    fn the_due_time_is_the_midnight_that_ends_the_due_date() {
        let calendar = official().unwrap();
        let monthly = regime(Schedule::Every(Frequency::Month), "2026-05-01", None);
        let due = monthly.due_time("202605".parse().unwrap(), &calendar).unwrap();
        assert_eq!(due.to_rfc3339(), "2026-05-19T17:00:00+00:00");
    }
}
