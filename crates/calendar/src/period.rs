//! Reporting periods, their names, and the windows of dates that their figures cover.
//!
//! A period is a name for one occurrence of a frequency. Which dates it covers depends on the family of its regime's
//! windows: the same `202605` is 15/04 to 14/05 under Decree 09/2019/NĐ-CP and 01/05 to 31/05 in statistics.

use std::{fmt, str::FromStr};

use chrono::{Datelike, Months, NaiveDate};
use serde::{Deserialize, Serialize};

/// The years in which a period can be named.
const YEARS: std::ops::RangeInclusive<i32> = 1900..=2200;
const LONGEST_INTERVAL: Months = Months::new(120);

/// Why something is no period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    #[error(
        "`{0}` names no period; a name looks like 202605, 2026Q2, 2026S1, 2026N9, 2026 or 2023-01-01--2024-05-31"
    )]
    Name(String),
    #[error("year {0} is not within 1900 to 2200")]
    Year(i32),
    #[error("month {0} is not within 1 to 12")]
    Month(u32),
    #[error("quarter {0} is not within 1 to 4")]
    Quarter(u32),
    #[error("six months are the first (1) or the second (2) of a year, not {0}")]
    SixMonths(u32),
    #[error("an interval from {first} to {last} ends before it begins")]
    Reversed { first: NaiveDate, last: NaiveDate },
    #[error("an interval from {first} to {last} is longer than 10 years")]
    TooLong { first: NaiveDate, last: NaiveDate },
    #[error(
        "`{0}` is no frequency; there are month, quarter, six-months, nine-months, year and interval"
    )]
    Frequency(String),
    #[error("`{0}` is no family of windows; there are nd09 and calendar")]
    Family(String),
}

/// How often a report is owed. Its name, in serde too, is `month`, `quarter`, `six-months`, `nine-months`, `year` or
/// `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Frequency {
    Month,
    Quarter,
    SixMonths,
    NineMonths,
    Year,
    /// Dates that the one who asked for the report chose; it does not recur.
    Interval,
}

impl Frequency {
    pub const ALL: [Self; 6] =
        [Self::Month, Self::Quarter, Self::SixMonths, Self::NineMonths, Self::Year, Self::Interval];

    /// Its name, as [`FromStr`] reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::SixMonths => "six-months",
            Self::NineMonths => "nine-months",
            Self::Year => "year",
            Self::Interval => "interval",
        }
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Frequency {
    type Err = PeriodError;

    fn from_str(name: &str) -> Result<Self, PeriodError> {
        let found = Self::ALL.into_iter().find(|frequency| frequency.as_str() == name);
        found.ok_or_else(|| PeriodError::Frequency(name.to_owned()))
    }
}

/// How a period's name becomes a window. Its name, in serde too, is `nd09` or `calendar`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// The 15th to the 14th, under Decree 09/2019/NĐ-CP, article 12: what administrative reports use unless their
    /// regime says otherwise. Nine months are not in the decree but left to the issuer; 15/12 to 14/09 is what
    /// issuers choose (Circular 06/2025/TT-TTCP).
    #[default]
    Nd09,
    /// Plain calendar months, as in statistical reports, to which the decree does not apply (its article 1(2)(a)).
    Calendar,
}

impl Family {
    pub const ALL: [Self; 2] = [Self::Nd09, Self::Calendar];

    /// Its name, as [`FromStr`] reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nd09 => "nd09",
            Self::Calendar => "calendar",
        }
    }

    /// The window of one month.
    fn month(self, year: i32, month: u32) -> Window {
        match self {
            Self::Nd09 => {
                let (year_before, month_before) =
                    if month == 1 { (year - 1, 12) } else { (year, month - 1) };
                Window { first: ymd(year_before, month_before, 15), cut_off: ymd(year, month, 14) }
            }
            Self::Calendar => Window { first: ymd(year, month, 1), cut_off: ymd(year, month, 31) },
        }
    }

    /// The year and month in whose window `date` lies.
    fn month_of(self, date: NaiveDate) -> (i32, u32) {
        match (self, date.month(), date.day()) {
            (Self::Nd09, 12, 15..) => (date.year() + 1, 1),
            (Self::Nd09, month, 15..) => (date.year(), month + 1),
            (_, month, _) => (date.year(), month),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Family {
    type Err = PeriodError;

    fn from_str(name: &str) -> Result<Self, PeriodError> {
        let found = Self::ALL.into_iter().find(|family| family.as_str() == name);
        found.ok_or_else(|| PeriodError::Family(name.to_owned()))
    }
}

/// The dates that a period's figures cover, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Window {
    pub first: NaiveDate,
    /// The last day, after which nothing more is counted.
    pub cut_off: NaiveDate,
}

impl Window {
    pub fn contains(&self, date: NaiveDate) -> bool {
        self.first <= date && date <= self.cut_off
    }

    /// How many days it has; 0 where the cut-off precedes the first day.
    pub fn days(&self) -> u32 {
        let days = self.cut_off.signed_duration_since(self.first).num_days() + 1;
        u32::try_from(days).unwrap_or(0)
    }
}

/// One occurrence of a frequency, such as May 2026. Every value is a valid period.
///
/// Its name ([`fmt::Display`], [`FromStr`] and serde) is one of
///
/// | name | period |
/// |---|---|
/// | `202605` | May 2026 |
/// | `2026Q2` | the second quarter of 2026 |
/// | `2026S1` | the first six months of 2026 |
/// | `2026N9` | the first nine months of 2026 |
/// | `2026` | the year 2026 |
/// | `2023-01-01--2024-05-31` | these dates, both inclusive |
///
/// and no other spelling is read. Periods sort by frequency, then by time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(Span);

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Span {
    Month { year: i32, month: u32 },
    Quarter { year: i32, quarter: u32 },
    SixMonths { year: i32, half: u32 },
    NineMonths { year: i32 },
    Year { year: i32 },
    Interval { first: NaiveDate, last: NaiveDate },
}

impl Period {
    /// One month, 1 to 12.
    pub fn month(year: i32, month: u32) -> Result<Self, PeriodError> {
        let month =
            Some(month).filter(|m| (1..=12).contains(m)).ok_or(PeriodError::Month(month))?;
        Ok(Self(Span::Month { year: known(year)?, month }))
    }

    /// One quarter, 1 to 4.
    pub fn quarter(year: i32, quarter: u32) -> Result<Self, PeriodError> {
        let quarter =
            Some(quarter).filter(|q| (1..=4).contains(q)).ok_or(PeriodError::Quarter(quarter))?;
        Ok(Self(Span::Quarter { year: known(year)?, quarter }))
    }

    /// The first (1) or second (2) six months of a year.
    pub fn six_months(year: i32, half: u32) -> Result<Self, PeriodError> {
        let half =
            Some(half).filter(|h| (1..=2).contains(h)).ok_or(PeriodError::SixMonths(half))?;
        Ok(Self(Span::SixMonths { year: known(year)?, half }))
    }

    /// The first nine months of a year.
    pub fn nine_months(year: i32) -> Result<Self, PeriodError> {
        Ok(Self(Span::NineMonths { year: known(year)? }))
    }

    /// A whole year.
    pub fn year(year: i32) -> Result<Self, PeriodError> {
        Ok(Self(Span::Year { year: known(year)? }))
    }

    /// Chosen dates, both inclusive, at most ten years.
    pub fn interval(first: NaiveDate, last: NaiveDate) -> Result<Self, PeriodError> {
        known(first.year())?;
        known(last.year())?;
        if last < first {
            return Err(PeriodError::Reversed { first, last });
        }
        if first.checked_add_months(LONGEST_INTERVAL).is_some_and(|end| end <= last) {
            return Err(PeriodError::TooLong { first, last });
        }
        Ok(Self(Span::Interval { first, last }))
    }

    pub fn frequency(self) -> Frequency {
        match self.0 {
            Span::Month { .. } => Frequency::Month,
            Span::Quarter { .. } => Frequency::Quarter,
            Span::SixMonths { .. } => Frequency::SixMonths,
            Span::NineMonths { .. } => Frequency::NineMonths,
            Span::Year { .. } => Frequency::Year,
            Span::Interval { .. } => Frequency::Interval,
        }
    }

    /// The dates that its figures cover. An interval is itself in every family.
    pub fn window(self, family: Family) -> Window {
        // A longer period covers exactly the windows of its months.
        let (year, months) = match self.0 {
            Span::Month { year, month } => (year, month..=month),
            Span::Quarter { year, quarter } => (year, quarter * 3 - 2..=quarter * 3),
            Span::SixMonths { year, half } => (year, half * 6 - 5..=half * 6),
            Span::NineMonths { year } => (year, 1..=9),
            Span::Year { year } => (year, 1..=12),
            Span::Interval { first, last } => return Window { first, cut_off: last },
        };
        Window {
            first: family.month(year, *months.start()).first,
            cut_off: family.month(year, *months.end()).cut_off,
        }
    }

    /// The period of this frequency whose window holds `date`.
    ///
    /// `None` for intervals, for nine months after their cut-off (until the next year's window opens), and where
    /// the period would lie outside the years 1900 to 2200.
    pub fn containing(date: NaiveDate, frequency: Frequency, family: Family) -> Option<Self> {
        // Refused before the month is worked out, so that the year after the last representable one is never needed.
        if !(YEARS.start() - 1..=*YEARS.end()).contains(&date.year()) {
            return None;
        }
        let (year, month) = family.month_of(date);
        let period = match frequency {
            Frequency::Month => Self::month(year, month),
            Frequency::Quarter => Self::quarter(year, month.div_ceil(3)),
            Frequency::SixMonths => Self::six_months(year, month.div_ceil(6)),
            Frequency::NineMonths if month > 9 => return None,
            Frequency::NineMonths => Self::nine_months(year),
            Frequency::Year => Self::year(year),
            Frequency::Interval => return None,
        };
        period.ok()
    }

    /// The period after this one; `None` for an interval and at the end of the year 2200.
    pub fn next(self) -> Option<Self> {
        let period = match self.0 {
            Span::Month { year, month: 12 } => Self::month(year + 1, 1),
            Span::Month { year, month } => Self::month(year, month + 1),
            Span::Quarter { year, quarter: 4 } => Self::quarter(year + 1, 1),
            Span::Quarter { year, quarter } => Self::quarter(year, quarter + 1),
            Span::SixMonths { year, half: 2 } => Self::six_months(year + 1, 1),
            Span::SixMonths { year, half } => Self::six_months(year, half + 1),
            Span::NineMonths { year } => Self::nine_months(year + 1),
            Span::Year { year } => Self::year(year + 1),
            Span::Interval { .. } => return None,
        };
        period.ok()
    }

    /// The period before this one; `None` for an interval and at the beginning of the year 1900.
    pub fn previous(self) -> Option<Self> {
        let period = match self.0 {
            Span::Month { year, month: 1 } => Self::month(year - 1, 12),
            Span::Month { year, month } => Self::month(year, month - 1),
            Span::Quarter { year, quarter: 1 } => Self::quarter(year - 1, 4),
            Span::Quarter { year, quarter } => Self::quarter(year, quarter - 1),
            Span::SixMonths { year, half: 1 } => Self::six_months(year - 1, 2),
            Span::SixMonths { year, half } => Self::six_months(year, half - 1),
            Span::NineMonths { year } => Self::nine_months(year - 1),
            Span::Year { year } => Self::year(year - 1),
            Span::Interval { .. } => return None,
        };
        period.ok()
    }

    /// The year and the calendar month (1 to 12) in which the period is named to end, whatever its window: June
    /// 2026 for `2026Q2`. Fixed due days are counted in it.
    pub fn last_month(self) -> (i32, u32) {
        match self.0 {
            Span::Month { year, month } => (year, month),
            Span::Quarter { year, quarter } => (year, quarter * 3),
            Span::SixMonths { year, half } => (year, half * 6),
            Span::NineMonths { year } => (year, 9),
            Span::Year { year } => (year, 12),
            Span::Interval { last, .. } => (last.year(), last.month()),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Span::Month { year, month } => write!(f, "{year}{month:02}"),
            Span::Quarter { year, quarter } => write!(f, "{year}Q{quarter}"),
            Span::SixMonths { year, half } => write!(f, "{year}S{half}"),
            Span::NineMonths { year } => write!(f, "{year}N9"),
            Span::Year { year } => write!(f, "{year}"),
            Span::Interval { first, last } => write!(f, "{first}--{last}"),
        }
    }
}

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Period({self})")
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(name: &str) -> Result<Self, PeriodError> {
        let unreadable = || PeriodError::Name(name.to_owned());
        if let Some((first, last)) = name.split_once("--") {
            let first = iso_date(first).ok_or_else(unreadable)?;
            let last = iso_date(last).ok_or_else(unreadable)?;
            return Self::interval(first, last);
        }
        let (year, rest) = name.split_at_checked(4).ok_or_else(unreadable)?;
        let year = digits(year).and_then(|year| i32::try_from(year).ok()).ok_or_else(unreadable)?;
        match rest.as_bytes() {
            [] => Self::year(year),
            b"N9" => Self::nine_months(year),
            [b'Q', quarter @ b'0'..=b'9'] => Self::quarter(year, u32::from(quarter - b'0')),
            [b'S', half @ b'0'..=b'9'] => Self::six_months(year, u32::from(half - b'0')),
            [_, _] => Self::month(year, digits(rest).ok_or_else(unreadable)?),
            _ => Err(unreadable()),
        }
    }
}

impl TryFrom<String> for Period {
    type Error = PeriodError;

    fn try_from(name: String) -> Result<Self, PeriodError> {
        name.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

fn known(year: i32) -> Result<i32, PeriodError> {
    if YEARS.contains(&year) { Ok(year) } else { Err(PeriodError::Year(year)) }
}

/// Digits and nothing else: `str::parse` would also read a sign.
fn digits(text: &str) -> Option<u32> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// `2026-05-18` and no other spelling: chrono would also read `2026-5-18`.
pub(crate) fn iso_date(text: &str) -> Option<NaiveDate> {
    let [year, month, day] = text.split('-').collect::<Vec<_>>().try_into().ok()?;
    if (year.len(), month.len(), day.len()) != (4, 2, 2) {
        return None;
    }
    NaiveDate::from_ymd_opt(i32::try_from(digits(year)?).ok()?, digits(month)?, digits(day)?)
}

/// That day of the month; a day past the month's end is its last day.
pub(crate) fn ymd(year: i32, month: u32, day: u32) -> NaiveDate {
    let days = (1..=day.min(31)).rev();
    // The default is never reached: years are those of periods, months 1 to 12, days at least 1.
    days.filter_map(|day| NaiveDate::from_ymd_opt(year, month, day)).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde::de::{IntoDeserializer, value::Error};

    use super::*;
    use crate::fixture::date;

    fn period(name: &str) -> Period {
        name.parse().expect("a period")
    }

    #[test]
    fn windows_of_decree_09_2019_run_from_the_15th_to_the_14th() {
        for (name, first, cut_off, days) in [
            // Article 12(1): a month runs from the 15th of the month before it to its 14th.
            ("202601", "2025-12-15", "2026-01-14", 31),
            ("202602", "2026-01-15", "2026-02-14", 31),
            ("202603", "2026-02-15", "2026-03-14", 28),
            ("202403", "2024-02-15", "2024-03-14", 29),
            ("202605", "2026-04-15", "2026-05-14", 30),
            ("202612", "2026-11-15", "2026-12-14", 30),
            // Article 12(2): a quarter, from the 15th of the month before it to the 14th of its last month.
            ("2026Q1", "2025-12-15", "2026-03-14", 90),
            ("2026Q2", "2026-03-15", "2026-06-14", 92),
            ("2026Q3", "2026-06-15", "2026-09-14", 92),
            ("2026Q4", "2026-09-15", "2026-12-14", 91),
            // Article 12(3): six months.
            ("2026S1", "2025-12-15", "2026-06-14", 182),
            ("2026S2", "2026-06-15", "2026-12-14", 183),
            // Not in the decree; what issuers choose.
            ("2026N9", "2025-12-15", "2026-09-14", 274),
            // Article 12(4): a year.
            ("2026", "2025-12-15", "2026-12-14", 365),
            // Chosen dates are taken as they are.
            ("2023-01-01--2024-05-31", "2023-01-01", "2024-05-31", 517),
        ] {
            let window = period(name).window(Family::Nd09);
            assert_eq!(window, Window { first: date(first), cut_off: date(cut_off) }, "{name}");
            assert_eq!(window.days(), days, "{name}");
        }
    }

    #[test]
    fn calendar_windows_are_whole_calendar_months() {
        for (name, first, cut_off) in [
            ("202601", "2026-01-01", "2026-01-31"),
            ("202602", "2026-02-01", "2026-02-28"),
            ("202402", "2024-02-01", "2024-02-29"),
            ("202612", "2026-12-01", "2026-12-31"),
            ("2026Q1", "2026-01-01", "2026-03-31"),
            ("2026Q2", "2026-04-01", "2026-06-30"),
            ("2026Q3", "2026-07-01", "2026-09-30"),
            ("2026Q4", "2026-10-01", "2026-12-31"),
            ("2026S1", "2026-01-01", "2026-06-30"),
            ("2026S2", "2026-07-01", "2026-12-31"),
            ("2026N9", "2026-01-01", "2026-09-30"),
            ("2026", "2026-01-01", "2026-12-31"),
            ("2023-01-01--2024-05-31", "2023-01-01", "2024-05-31"),
        ] {
            let window = period(name).window(Family::Calendar);
            assert_eq!(window, Window { first: date(first), cut_off: date(cut_off) }, "{name}");
        }
    }

    #[test]
    fn a_date_belongs_to_the_period_whose_window_holds_it() {
        for (day, frequency, family, name) in [
            ("2026-05-14", Frequency::Month, Family::Nd09, Some("202605")),
            ("2026-05-15", Frequency::Month, Family::Nd09, Some("202606")),
            ("2026-05-15", Frequency::Month, Family::Calendar, Some("202605")),
            ("2025-12-15", Frequency::Month, Family::Nd09, Some("202601")),
            ("2026-03-15", Frequency::Quarter, Family::Nd09, Some("2026Q2")),
            ("2026-06-15", Frequency::SixMonths, Family::Nd09, Some("2026S2")),
            ("2025-12-14", Frequency::Year, Family::Nd09, Some("2025")),
            ("2025-12-15", Frequency::Year, Family::Nd09, Some("2026")),
            ("2025-12-31", Frequency::Year, Family::Calendar, Some("2025")),
            ("2026-09-14", Frequency::NineMonths, Family::Nd09, Some("2026N9")),
            ("2026-09-15", Frequency::NineMonths, Family::Nd09, None),
            ("2026-12-14", Frequency::NineMonths, Family::Nd09, None),
            ("2026-12-15", Frequency::NineMonths, Family::Nd09, Some("2027N9")),
            ("2026-10-01", Frequency::NineMonths, Family::Calendar, None),
            ("2026-05-14", Frequency::Interval, Family::Nd09, None),
            ("1899-12-14", Frequency::Month, Family::Nd09, None),
            ("1899-12-15", Frequency::Month, Family::Nd09, Some("190001")),
            ("2200-12-15", Frequency::Month, Family::Nd09, None),
        ] {
            let found = Period::containing(date(day), frequency, family);
            assert_eq!(found, name.map(period), "{day} {frequency} {family}");
        }
    }

    #[test]
    fn a_period_is_named_to_end_in_a_calendar_month() {
        for (name, month) in [
            ("202605", (2026, 5)),
            ("2026Q2", (2026, 6)),
            ("2026S1", (2026, 6)),
            ("2026S2", (2026, 12)),
            ("2026N9", (2026, 9)),
            ("2026", (2026, 12)),
            ("2023-01-01--2024-05-31", (2024, 5)),
        ] {
            assert_eq!(period(name).last_month(), month, "{name}");
        }
    }

    #[test]
    fn periods_follow_one_another_within_their_frequency() {
        for (name, next) in [
            ("202605", "202606"),
            ("202612", "202701"),
            ("2026Q4", "2027Q1"),
            ("2026S1", "2026S2"),
            ("2026S2", "2027S1"),
            ("2026N9", "2027N9"),
            ("2026", "2027"),
        ] {
            assert_eq!(period(name).next(), Some(period(next)));
            assert_eq!(period(next).previous(), Some(period(name)));
        }
        assert_eq!(period("2023-01-01--2024-05-31").next(), None);
        assert_eq!(period("220012").next(), None);
        assert_eq!(period("1900Q1").previous(), None);
    }

    #[test]
    fn no_other_spelling_of_a_period_is_read() {
        for name in [
            "",
            "26",
            "20265",
            "2026-05",
            "2026 05",
            "202605 ",
            " 202605",
            "+20265",
            "2026+5",
            "0202605",
            "2026q2",
            "2026Q02",
            "2026S",
            "2026N8",
            "2026N",
            "2026-05-01",
            "2026-05-01-2026-05-31",
            "2026-5-1--2026-5-31",
            "2026-05-01--",
            "2026-02-30--2026-03-01",
            "2026-05-01--2026-05-31--2026-06-01",
            "+026-05-01--2026-05-31",
            "２０２６",
            "202é5",
        ] {
            let error = name.parse::<Period>().expect_err(name);
            assert!(error.to_string().contains("a name looks like 202605, 2026Q2"), "{error}");
        }
    }

    #[test]
    fn a_refused_period_says_what_was_wrong() {
        for (name, reason) in [
            ("202613", "month 13 is not within 1 to 12"),
            ("202600", "month 0 is not within 1 to 12"),
            ("2026Q5", "quarter 5 is not within 1 to 4"),
            ("2026S3", "six months are the first (1) or the second (2) of a year, not 3"),
            ("1899", "year 1899 is not within 1900 to 2200"),
            ("2201N9", "year 2201 is not within 1900 to 2200"),
            (
                "2024-05-31--2023-01-01",
                "an interval from 2024-05-31 to 2023-01-01 ends before it begins",
            ),
            (
                "2014-01-01--2024-01-01",
                "an interval from 2014-01-01 to 2024-01-01 is longer than 10 years",
            ),
        ] {
            assert_eq!(name.parse::<Period>().expect_err(name).to_string(), reason);
        }
        period("2014-01-01--2023-12-31");
        period("2026-05-18--2026-05-18");
    }

    #[test]
    fn periods_sort_by_time_within_their_frequency() {
        let mut names = ["202601", "202512", "202602"].map(period);
        names.sort();
        assert_eq!(names, ["202512", "202601", "202602"].map(period));
    }

    #[test]
    fn periods_families_and_frequencies_are_read_as_strings() {
        let read = |name: &'static str| {
            Period::deserialize(IntoDeserializer::<Error>::into_deserializer(name))
        };
        assert_eq!(read("2026Q2"), Ok(period("2026Q2")));
        assert!(read("2026Q5").expect_err("no such quarter").to_string().contains("1 to 4"));
        for family in Family::ALL {
            assert_eq!(family.as_str().parse(), Ok(family));
            let name: serde::de::value::StrDeserializer<'_, Error> =
                family.as_str().into_deserializer();
            assert_eq!(Family::deserialize(name), Ok(family));
        }
        for frequency in Frequency::ALL {
            assert_eq!(frequency.as_str().parse(), Ok(frequency));
            let name: serde::de::value::StrDeserializer<'_, Error> =
                frequency.as_str().into_deserializer();
            assert_eq!(Frequency::deserialize(name), Ok(frequency));
        }
        assert!("ND09".parse::<Family>().is_err());
        assert!("monthly".parse::<Frequency>().is_err());
    }
}
