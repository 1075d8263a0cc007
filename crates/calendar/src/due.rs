//! When a report is due: the rule of a regime, applied to one period.

use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Period, WorkingCalendar, period::ymd};

/// How a regime fixes the date by which a report is due. The due time is the midnight that ends that date
/// ([`crate::zone::end_of`]).
///
/// In serde a table: `{ working_days_after_cut_off = 3 }`, `{ day = 17, month = "last" }`,
/// `{ day = 25, month = 11 }` or `{ date = "2024-06-24" }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub enum DueRule {
    /// So many working days after the last day of the figures. Decree 09/2019/NĐ-CP, article 8(5)(b), asks for at
    /// least 1 and a number for each level that aggregates; 0, the cut-off day itself, is for regimes outside it.
    WorkingDaysAfterCutOff(u16),
    /// A fixed day, 1 to 31, such as the 25th of the last month (the same decree, article 13(1)). In a month that
    /// is shorter, its last day.
    DayOfMonth { day: u8, month: DueMonth },
    /// That date, for a report that is asked for once.
    On(NaiveDate),
}

/// The month of a fixed due day. In serde `"last"` or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DueMonth {
    /// The month in which the period is named to end ([`Period::last_month`]).
    Last,
    /// That month, 1 to 12, of the year in which the period is named to end.
    Number(u8),
}

/// What becomes of a due date that is no working day. In serde `keep` or `next-working-day`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DayOffPolicy {
    /// It stays: no rule on reports is known to say otherwise.
    #[default]
    Keep,
    /// It moves to the next working day, as terms under the Civil Code 2015 do (article 148(5)).
    NextWorkingDay,
}

/// Why something is no rule for due dates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DueRuleError {
    #[error("due day {0} is not within 1 to 31")]
    Day(u8),
    #[error("due month {0} is not within 1 to 12")]
    Month(u8),
    #[error("a due rule has either working_days_after_cut_off, or day and month, or date")]
    Shape,
}

impl DueRule {
    /// So many working days after the cut-off.
    pub fn working_days_after_cut_off(days: u16) -> Self {
        Self::WorkingDaysAfterCutOff(days)
    }

    /// A fixed day.
    ///
    /// # Errors
    ///
    /// A day outside 1 to 31, a month outside 1 to 12.
    pub fn day_of_month(day: u8, month: DueMonth) -> Result<Self, DueRuleError> {
        if !(1..=31).contains(&day) {
            return Err(DueRuleError::Day(day));
        }
        if let DueMonth::Number(number) = month {
            DueMonth::number(number)?;
        }
        Ok(Self::DayOfMonth { day, month })
    }

    /// The date on which the report for `period` is due, when its figures end with `cut_off`: that of the regime's
    /// window, or as the report declares. A fixed day does not depend on it and may precede it.
    ///
    /// Any rule has an answer: a day or month that the constructors would have refused counts as the nearest valid
    /// one.
    pub fn due_date(
        &self,
        period: Period,
        cut_off: NaiveDate,
        policy: DayOffPolicy,
        calendar: &WorkingCalendar,
    ) -> NaiveDate {
        let date = match *self {
            Self::WorkingDaysAfterCutOff(days) => calendar.add_working_days(cut_off, days.into()),
            Self::DayOfMonth { day, month } => {
                let (year, last) = period.last_month();
                let month = match month {
                    DueMonth::Last => last,
                    DueMonth::Number(number) => number.clamp(1, 12).into(),
                };
                ymd(year, month, day.max(1).into())
            }
            Self::On(date) => date,
        };
        match policy {
            DayOffPolicy::Keep => date,
            DayOffPolicy::NextWorkingDay => calendar.on_or_after(date),
        }
    }
}

impl DueMonth {
    /// That month of the year, 1 to 12.
    ///
    /// # Errors
    ///
    /// A month outside 1 to 12.
    pub fn number(month: u8) -> Result<Self, DueRuleError> {
        if (1..=12).contains(&month) {
            Ok(Self::Number(month))
        } else {
            Err(DueRuleError::Month(month))
        }
    }
}

impl Serialize for DueMonth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Last => serializer.serialize_str("last"),
            Self::Number(number) => serializer.serialize_u8(*number),
        }
    }
}

impl<'de> Deserialize<'de> for DueMonth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = DueMonth;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"last\" or a month from 1 to 12")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<DueMonth, E> {
                if text == "last" {
                    Ok(DueMonth::Last)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(text), &self))
                }
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<DueMonth, E> {
                let month =
                    u8::try_from(number).ok().and_then(|number| DueMonth::number(number).ok());
                month.ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            // TOML knows signed numbers only.
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<DueMonth, E> {
                match u64::try_from(number) {
                    Ok(number) => self.visit_u64(number),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Signed(number), &self)),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// How a rule is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    working_days_after_cut_off: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    day: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    month: Option<DueMonth>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    date: Option<NaiveDate>,
}

impl TryFrom<Table> for DueRule {
    type Error = DueRuleError;

    fn try_from(table: Table) -> Result<Self, DueRuleError> {
        match (table.working_days_after_cut_off, table.day, table.month, table.date) {
            (Some(days), None, None, None) => Ok(Self::WorkingDaysAfterCutOff(days)),
            (None, Some(day), Some(month), None) => Self::day_of_month(day, month),
            (None, None, None, Some(date)) => Ok(Self::On(date)),
            _ => Err(DueRuleError::Shape),
        }
    }
}

impl From<DueRule> for Table {
    fn from(rule: DueRule) -> Self {
        let nothing = Self { working_days_after_cut_off: None, day: None, month: None, date: None };
        match rule {
            DueRule::WorkingDaysAfterCutOff(days) => {
                Self { working_days_after_cut_off: Some(days), ..nothing }
            }
            DueRule::DayOfMonth { day, month } => {
                Self { day: Some(day), month: Some(month), ..nothing }
            }
            DueRule::On(date) => Self { date: Some(date), ..nothing },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::{IntoDeserializer, value::Error};

    use super::*;
    use crate::{
        Family,
        fixture::{date, official},
    };

    fn due(rule: DueRule, period: &str, policy: DayOffPolicy) -> NaiveDate {
        let period: Period = period.parse().expect("a period");
        rule.due_date(period, period.window(Family::Nd09).cut_off, policy, &official())
    }

    fn day_of(day: u8, month: DueMonth) -> DueRule {
        DueRule::day_of_month(day, month).expect("a rule")
    }

    #[test]
    fn a_report_is_due_so_many_working_days_after_its_cut_off() {
        for (period, days, expected) in [
            // The cut-off, Saturday 14/02/2026, is followed by Tết.
            ("202602", 1, "2026-02-23"),
            ("202605", 3, "2026-05-19"),
            ("2024Q3", 3, "2024-09-18"),
            ("2026", 1, "2026-12-15"),
        ] {
            let rule = DueRule::working_days_after_cut_off(days);
            for policy in [DayOffPolicy::Keep, DayOffPolicy::NextWorkingDay] {
                assert_eq!(due(rule, period, policy), date(expected), "{period} + {days}");
            }
        }
    }

    #[test]
    fn a_declared_cut_off_is_counted_from_instead() {
        let period: Period = "202405".parse().expect("a period");
        let rule = DueRule::WorkingDaysAfterCutOff(5);
        let due = rule.due_date(period, date("2024-05-18"), DayOffPolicy::Keep, &official());
        assert_eq!(due, date("2024-05-24"));
    }

    #[test]
    fn a_report_is_due_on_a_fixed_day_of_its_last_month() {
        for (day, period, expected) in [
            // Circular 02/2023/TT-BTTTT: quarters on the 6th of their last month, six months on 6 June.
            (6, "2026Q1", "2026-03-06"),
            (6, "2026Q4", "2026-12-06"),
            (6, "2026S1", "2026-06-06"),
            // Circular 06/2025/TT-TTCP: from communes on the 17th, from provinces on the 20th.
            (17, "2026Q2", "2026-06-17"),
            (20, "2026N9", "2026-09-20"),
            (20, "2026", "2026-12-20"),
            // Decree 09/2019/NĐ-CP, article 13(1).
            (25, "202605", "2026-05-25"),
            (25, "2023-01-01--2024-05-31", "2024-05-25"),
            // A day past the month's end is its last day.
            (31, "202606", "2026-06-30"),
            (30, "202602", "2026-02-28"),
            (30, "202402", "2024-02-29"),
        ] {
            let rule = day_of(day, DueMonth::Last);
            assert_eq!(due(rule, period, DayOffPolicy::Keep), date(expected), "{day} for {period}");
        }
    }

    #[test]
    fn a_report_is_due_on_a_day_of_a_named_month_of_the_year_in_which_its_period_ends() {
        // Circular 02/2023/TT-BTTTT: years on 25 November, before the cut-off of the 14th of December.
        let rule = day_of(25, DueMonth::Number(11));
        assert_eq!(due(rule, "2026", DayOffPolicy::Keep), date("2026-11-25"));
        assert_eq!(due(rule, "2023-01-01--2024-05-31", DayOffPolicy::Keep), date("2024-11-25"));
    }

    #[test]
    fn a_fixed_day_off_moves_only_under_that_policy() {
        // 6 June 2026 is a Saturday; 20 September 2026 a Sunday; 6 March 2026 a Friday.
        for (day, period, kept, moved) in [
            (6, "2026S1", "2026-06-06", "2026-06-08"),
            (20, "2026N9", "2026-09-20", "2026-09-21"),
            (6, "2026Q1", "2026-03-06", "2026-03-06"),
        ] {
            let rule = day_of(day, DueMonth::Last);
            assert_eq!(due(rule, period, DayOffPolicy::default()), date(kept));
            assert_eq!(due(rule, period, DayOffPolicy::NextWorkingDay), date(moved));
        }
    }

    #[test]
    fn a_report_asked_for_once_is_due_on_the_date_stated() {
        // A Saturday.
        let rule = DueRule::On(date("2024-06-22"));
        assert_eq!(due(rule, "2023-01-01--2024-05-31", DayOffPolicy::Keep), date("2024-06-22"));
        let moved = due(rule, "2023-01-01--2024-05-31", DayOffPolicy::NextWorkingDay);
        assert_eq!(moved, date("2024-06-24"));
    }

    #[test]
    fn a_rule_with_an_impossible_day_or_month_is_refused_and_yet_has_an_answer() {
        assert_eq!(DueRule::day_of_month(0, DueMonth::Last), Err(DueRuleError::Day(0)));
        assert_eq!(DueRule::day_of_month(32, DueMonth::Last), Err(DueRuleError::Day(32)));
        assert_eq!(DueRule::day_of_month(1, DueMonth::Number(13)), Err(DueRuleError::Month(13)));
        let impossible = DueRule::DayOfMonth { day: 0, month: DueMonth::Number(200) };
        assert_eq!(due(impossible, "2026Q1", DayOffPolicy::Keep), date("2026-12-01"));
    }

    #[test]
    fn a_rule_is_written_as_a_table() {
        for rule in [
            DueRule::WorkingDaysAfterCutOff(3),
            day_of(17, DueMonth::Last),
            day_of(25, DueMonth::Number(11)),
            DueRule::On(date("2024-06-24")),
        ] {
            assert_eq!(DueRule::try_from(Table::from(rule)), Ok(rule));
        }
        let both = Table {
            working_days_after_cut_off: Some(1),
            day: Some(1),
            month: Some(DueMonth::Last),
            date: None,
        };
        assert_eq!(DueRule::try_from(both), Err(DueRuleError::Shape));
        let no_month =
            Table { working_days_after_cut_off: None, day: Some(1), month: None, date: None };
        assert_eq!(DueRule::try_from(no_month), Err(DueRuleError::Shape));
        let dated_month = Table {
            working_days_after_cut_off: None,
            day: None,
            month: Some(DueMonth::Last),
            date: Some(date("2024-06-24")),
        };
        assert_eq!(DueRule::try_from(dated_month), Err(DueRuleError::Shape));
    }

    #[test]
    fn a_due_month_is_last_or_a_number() {
        fn read<'de>(value: impl IntoDeserializer<'de, Error>) -> Result<DueMonth, String> {
            DueMonth::deserialize(value.into_deserializer()).map_err(|error| error.to_string())
        }
        assert_eq!(read("last"), Ok(DueMonth::Last));
        assert_eq!(read(11_i64), Ok(DueMonth::Number(11)));
        assert_eq!(read(11_u64), Ok(DueMonth::Number(11)));
        for refused in [read("first"), read(13_i64), read(0_u64), read(-1_i64)] {
            let error = refused.expect_err("no month");
            assert!(error.contains("expected \"last\" or a month from 1 to 12"), "{error}");
        }
    }
}
