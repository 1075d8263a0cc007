//! The working calendar: which days civil servants work, and counting in such days.
//!
//! Monday to Friday, less public holidays (Labour Code 2019, article 112) and the days off given in lieu of those
//! that fall on a day of rest (article 111(3)), plus the Saturdays that the Government declares worked in exchange
//! for a day off. The calendar keeps the days that differ from their weekday, as rows; where they come from and how
//! they are amended is left to others, and an amended calendar is a new value of its own
//! [`WorkingCalendar::version`].
//!
//! Counting happens between 1 January 1900 and 31 December 2299: it begins no earlier, and what would end later
//! ends there.

use std::{collections::BTreeMap, fmt, str::FromStr};

use chrono::{Datelike, NaiveDate, Weekday};
use serde::{Deserialize, Serialize};

use crate::period::iso_date;

const FIRST: NaiveDate = limit(1900, 1, 1);
const LAST: NaiveDate = limit(2299, 12, 31);

/// No real calendar rests that long, and a bound is what makes every search end.
const LONGEST_REST: usize = 31;

const COLUMNS: [&str; 6] = ["date", "name_vi", "kind", "weekday", "certainty", "source"];

/// Public holidays of a fixed date, with the year from which each is one. The last by Resolution 28/2026/QH16. The
/// 2nd of September has one more day, before or after it, that is decided year by year.
const FIXED: [(u32, u32, i32, &str); 5] = [
    (1, 1, i32::MIN, "Tết Dương lịch"),
    (4, 30, i32::MIN, "Ngày Chiến thắng"),
    (5, 1, i32::MIN, "Ngày Quốc tế Lao động"),
    (9, 2, i32::MIN, "Quốc khánh"),
    (11, 24, 2026, "Ngày Văn hóa Việt Nam"),
];

/// Why rows make no calendar.
#[derive(Debug, thiserror::Error)]
pub enum CalendarError {
    #[error("the calendar is not readable as CSV: {0}")]
    Csv(#[from] csv::Error),
    #[error("unknown column `{0}`; there are {columns}", columns = COLUMNS.join(", "))]
    UnknownColumn(String),
    #[error("column `{0}` stands twice")]
    RepeatedColumn(&'static str),
    #[error("column `{0}` is missing")]
    MissingColumn(&'static str),
    /// The row is that of the file, whose header is row 1 and whose blank lines are none; of days given otherwise,
    /// their position from 1.
    #[error("row {row}: {problem}")]
    Row { row: u64, problem: DayProblem },
    #[error("from {from} there is no working day for more than {LONGEST_REST} days")]
    NoWorkingDay { from: NaiveDate },
}

/// What is wrong with one row of a calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DayProblem {
    #[error("`{0}` is no date; write 2026-05-01")]
    Date(String),
    #[error("{0} is not within the years 1900 to 2299")]
    Year(NaiveDate),
    #[error("{date} is a {}, not `{stated}`", date.weekday())]
    Weekday { date: NaiveDate, stated: String },
    #[error("`{0}` is no kind; there are public, in_lieu and swapped_workday")]
    Kind(String),
    #[error("`{0}` is no certainty; there are official and estimated")]
    Certainty(String),
    #[error("{0} stands in an earlier row already")]
    Repeated(NaiveDate),
    #[error("{date} is a {}; only a Saturday or Sunday can be a swapped working day", date.weekday())]
    WorkedAnyway { date: NaiveDate },
}

/// What makes a special day special. Its name, in serde too, is `public`, `in_lieu` or `swapped_workday`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpecialKind {
    /// A public holiday.
    Public,
    /// A day off in lieu of a holiday on a day of rest, or in exchange for a swapped working day.
    InLieu,
    /// A Saturday or Sunday worked in exchange for a day off.
    SwappedWorkday,
}

impl SpecialKind {
    pub const ALL: [Self; 3] = [Self::Public, Self::InLieu, Self::SwappedWorkday];

    /// Its name, as [`FromStr`] reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::InLieu => "in_lieu",
            Self::SwappedWorkday => "swapped_workday",
        }
    }
}

impl fmt::Display for SpecialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SpecialKind {
    type Err = DayProblem;

    fn from_str(name: &str) -> Result<Self, DayProblem> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        found.ok_or_else(|| DayProblem::Kind(name.to_owned()))
    }
}

/// Whether what the calendar says of a day rests on a decision. Its name, in serde too, is `official` or `estimated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    Official,
    /// No decision is known, or its text was not seen: the day may yet turn out otherwise.
    Estimated,
}

impl Certainty {
    /// Its name, as [`FromStr`] reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Official => "official",
            Self::Estimated => "estimated",
        }
    }
}

impl fmt::Display for Certainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Also reads how lists of holidays say it: `confirmed_by_search` and `library_and_own_knowledge` (two sources agree)
/// are official; `library_only` (one secondary source) is estimated.
impl FromStr for Certainty {
    type Err = DayProblem;

    fn from_str(name: &str) -> Result<Self, DayProblem> {
        match name {
            "official" | "confirmed_by_search" | "library_and_own_knowledge" => Ok(Self::Official),
            "estimated" | "library_only" => Ok(Self::Estimated),
            _ => Err(DayProblem::Certainty(name.to_owned())),
        }
    }
}

/// One row of a calendar: a day that is not what its weekday makes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpecialDay {
    pub date: NaiveDate,
    pub kind: SpecialKind,
    /// Vietnamese, for people.
    pub name_vi: String,
    pub certainty: Certainty,
    /// The decision or list that says so.
    pub source: String,
}

impl SpecialDay {
    /// An official day without a stated source.
    pub fn new(date: NaiveDate, kind: SpecialKind, name_vi: impl Into<String>) -> Self {
        Self {
            date,
            kind,
            name_vi: name_vi.into(),
            certainty: Certainty::Official,
            source: String::new(),
        }
    }
}

/// What a day is to those who work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayKind {
    Working,
    /// A day of rest that is worked in exchange for a day off.
    SwappedWorkday,
    /// An ordinary Saturday or Sunday.
    Weekend,
    /// A public holiday, on whatever weekday.
    Holiday,
    /// A day off in lieu.
    InLieu,
}

impl DayKind {
    pub fn is_working(self) -> bool {
        matches!(self, Self::Working | Self::SwappedWorkday)
    }
}

impl From<SpecialKind> for DayKind {
    fn from(kind: SpecialKind) -> Self {
        match kind {
            SpecialKind::Public => Self::Holiday,
            SpecialKind::InLieu => Self::InLieu,
            SpecialKind::SwappedWorkday => Self::SwappedWorkday,
        }
    }
}

/// What the calendar says of one day.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Day {
    pub kind: DayKind,
    /// Vietnamese; `None` for an ordinary day.
    pub name: Option<String>,
    /// That of its row; of a day without one, that of its year.
    pub certainty: Certainty,
}

/// Which days are worked. Immutable; an amendment makes another.
///
/// A year is covered when at least one public holiday of it was given, and official when one of those is. A year
/// that is not covered has the rows given for it and the public holidays of a fixed date (01/01, 30/04, 01/05,
/// 02/09; 24/11 from 2026), nothing in lieu and nothing lunar, and is [`Certainty::Estimated`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkingCalendar {
    days: BTreeMap<NaiveDate, SpecialDay>,
    /// The covered years.
    years: BTreeMap<i32, Certainty>,
    version: String,
}

impl WorkingCalendar {
    /// Reads CSV with the columns `date` (2026-05-01), `name_vi`, `kind` ([`SpecialKind`]), `weekday` (`Mon` to
    /// `Sun`; it guards against slips), `certainty` ([`Certainty`]) and `source`, in any order.
    ///
    /// # Errors
    ///
    /// The first thing wrong: what is not CSV, a missing, repeated or unknown column, a row (by its number; the
    /// header is row 1) with a [`DayProblem`], or a calendar that [`WorkingCalendar::from_days`] refuses as a
    /// whole.
    pub fn from_csv(text: &str) -> Result<Self, CalendarError> {
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let columns = columns(reader.headers()?)?;
        let mut days = BTreeMap::new();
        for (row, record) in (2..).zip(reader.records()) {
            let record = record?;
            let [date, name_vi, kind, weekday, certainty, source] =
                columns.map(|column| record.get(column).unwrap_or_default());
            read_day(date, name_vi, kind, weekday, certainty, source)
                .and_then(|day| keep(&mut days, day))
                .map_err(|problem| CalendarError::Row { row, problem })?;
        }
        Self::of(days)
    }

    /// A calendar of these days, in any order.
    ///
    /// # Errors
    ///
    /// A day that stands twice, is not within the years 1900 to 2299, or is a swapped working day from Monday to
    /// Friday; and days that leave more than 31 days in a row without a working day, for then counting might never
    /// end.
    pub fn from_days(days: impl IntoIterator<Item = SpecialDay>) -> Result<Self, CalendarError> {
        let mut kept = BTreeMap::new();
        for (row, day) in (1..).zip(days) {
            keep(&mut kept, day).map_err(|problem| CalendarError::Row { row, problem })?;
        }
        Self::of(kept)
    }

    fn of(days: BTreeMap<NaiveDate, SpecialDay>) -> Result<Self, CalendarError> {
        let mut years = BTreeMap::new();
        for day in days.values().filter(|day| day.kind == SpecialKind::Public) {
            let certainty = years.entry(day.date.year()).or_insert(day.certainty);
            *certainty = day.certainty.min(*certainty);
        }
        let version = fingerprint(days.values());
        let calendar = Self { days, years, version };
        // A rest that is longer than its weekends holds one of the rows, so looking from each row finds every one.
        let endless = |from: &&NaiveDate| {
            from.iter_days().take(LONGEST_REST + 1).all(|date| !calendar.is_working(date))
        };
        match calendar.days.keys().find(endless) {
            Some(from) => Err(CalendarError::NoWorkingDay { from: *from }),
            None => Ok(calendar),
        }
    }

    /// A fingerprint of all its rows: 16 hexadecimal digits, the same whatever their order, another whenever
    /// anything in them changes. It tells calendars apart and is no safeguard against forgery (64-bit FNV-1a).
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its rows, by date.
    pub fn days(&self) -> impl Iterator<Item = &SpecialDay> {
        self.days.values()
    }

    /// What that day is. Any date has an answer.
    pub fn day(&self, date: NaiveDate) -> Day {
        let year = self.years.get(&date.year()).copied();
        let (name, certainty) = match self.days.get(&date) {
            Some(day) => (Some(day.name_vi.clone()).filter(|name| !name.is_empty()), day.certainty),
            None => {
                (self.fixed_holiday(date).map(str::to_owned), year.unwrap_or(Certainty::Estimated))
            }
        };
        Day { kind: self.kind(date), name, certainty }
    }

    /// Whether that day is worked. Any date has an answer.
    pub fn is_working(&self, date: NaiveDate) -> bool {
        self.kind(date).is_working()
    }

    /// The first working day strictly after `date`; `date` itself from 31 December 2299 on.
    pub fn next_working_day(&self, date: NaiveDate) -> NaiveDate {
        match date.succ_opt() {
            Some(next) if date < LAST => self.on_or_after(next),
            _ => date,
        }
    }

    /// `date` where it is a working day, else the next one; `date` itself after 31 December 2299.
    pub fn on_or_after(&self, date: NaiveDate) -> NaiveDate {
        if date > LAST {
            return date;
        }
        let mut ahead = date.max(FIRST).iter_days().take_while(|day| *day <= LAST);
        ahead.find(|day| self.is_working(*day)).unwrap_or(LAST)
    }

    /// The `n`th working day strictly after `date`; `date` itself, worked or not, for 0.
    ///
    /// The day itself is never counted (Civil Code 2015, article 147(2)). Takes time in proportion to `n`, and
    /// stops at 31 December 2299.
    pub fn add_working_days(&self, date: NaiveDate, n: u32) -> NaiveDate {
        let mut day = date;
        for _ in 0..n {
            let next = self.next_working_day(day);
            if next == day {
                break;
            }
            day = next;
        }
        day
    }

    /// How many working days there are after `after`, up to and with `through`; 0 where that is no day at all.
    pub fn working_days_between(&self, after: NaiveDate, through: NaiveDate) -> u32 {
        // Clamped to some 146,000 days, so the count fits.
        stretch(after, through).map(|date| u32::from(self.is_working(date))).sum()
    }

    /// The days after `after`, up to and with `through`, that are not worked, and what they are: what an
    /// explanation of a due date lists.
    pub fn skipped(&self, after: NaiveDate, through: NaiveDate) -> Vec<(NaiveDate, Day)> {
        stretch(after, through)
            .filter(|date| !self.is_working(*date))
            .map(|date| (date, self.day(date)))
            .collect()
    }

    fn kind(&self, date: NaiveDate) -> DayKind {
        match self.days.get(&date) {
            Some(day) => day.kind.into(),
            None if self.fixed_holiday(date).is_some() => DayKind::Holiday,
            None if is_weekend(date) => DayKind::Weekend,
            None => DayKind::Working,
        }
    }

    /// The name of the holiday that `date` always is. A covered year's rows say all of its holidays themselves.
    fn fixed_holiday(&self, date: NaiveDate) -> Option<&'static str> {
        if self.years.contains_key(&date.year()) {
            return None;
        }
        let holiday = FIXED.iter().find(|(month, day, since, _)| {
            (date.month(), date.day()) == (*month, *day) && *since <= date.year()
        });
        holiday.map(|(.., name)| *name)
    }
}

/// The days after `after`, up to and with `through`, within the limits of counting.
fn stretch(after: NaiveDate, through: NaiveDate) -> impl Iterator<Item = NaiveDate> {
    let first = after.succ_opt().map(|first| first.max(FIRST));
    let days = first.into_iter().flat_map(|first| first.iter_days());
    days.take_while(move |date| *date <= through.min(LAST))
}

/// Where each of [`COLUMNS`] stands.
fn columns(headers: &csv::StringRecord) -> Result<[usize; 6], CalendarError> {
    if let Some(unknown) = headers.iter().find(|header| !COLUMNS.contains(header)) {
        return Err(CalendarError::UnknownColumn(unknown.to_owned()));
    }
    let mut columns = [0; 6];
    for (column, name) in columns.iter_mut().zip(COLUMNS) {
        let mut places = headers.iter().enumerate().filter(|(_, header)| *header == name);
        *column = places.next().ok_or(CalendarError::MissingColumn(name))?.0;
        if places.next().is_some() {
            return Err(CalendarError::RepeatedColumn(name));
        }
    }
    Ok(columns)
}

fn read_day(
    date: &str,
    name_vi: &str,
    kind: &str,
    weekday: &str,
    certainty: &str,
    source: &str,
) -> Result<SpecialDay, DayProblem> {
    let day = SpecialDay {
        date: iso_date(date).ok_or_else(|| DayProblem::Date(date.to_owned()))?,
        kind: kind.parse()?,
        name_vi: name_vi.to_owned(),
        certainty: certainty.parse()?,
        source: source.to_owned(),
    };
    if day.date.weekday().to_string() != weekday {
        return Err(DayProblem::Weekday { date: day.date, stated: weekday.to_owned() });
    }
    Ok(day)
}

fn keep(days: &mut BTreeMap<NaiveDate, SpecialDay>, day: SpecialDay) -> Result<(), DayProblem> {
    if !(FIRST..=LAST).contains(&day.date) {
        return Err(DayProblem::Year(day.date));
    }
    if day.kind == SpecialKind::SwappedWorkday && !is_weekend(day.date) {
        return Err(DayProblem::WorkedAnyway { date: day.date });
    }
    match days.insert(day.date, day) {
        Some(earlier) => Err(DayProblem::Repeated(earlier.date)),
        None => Ok(()),
    }
}

fn is_weekend(date: NaiveDate) -> bool {
    matches!(date.weekday(), Weekday::Sat | Weekday::Sun)
}

fn fingerprint<'a>(days: impl Iterator<Item = &'a SpecialDay>) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for SpecialDay { date, kind, name_vi, certainty, source } in days {
        for field in [&date.to_string(), kind.as_str(), certainty.as_str(), name_vi, source] {
            mix(field.as_bytes());
            // A byte that no text holds, so that moving a letter from one field to the next is a change.
            mix(&[0xff]);
        }
    }
    format!("{hash:016x}")
}

const fn limit(year: i32, month: u32, day: u32) -> NaiveDate {
    match NaiveDate::from_ymd_opt(year, month, day) {
        Some(date) => date,
        None => NaiveDate::MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{HOLIDAYS, date, official};

    const HEADER: &str = "date,name_vi,kind,weekday,certainty,source";

    fn refusal(text: &str) -> String {
        WorkingCalendar::from_csv(text).expect_err(text).to_string()
    }

    fn holidays(from: &str, days: usize) -> impl Iterator<Item = SpecialDay> {
        date(from).iter_days().take(days).map(|date| SpecialDay::new(date, SpecialKind::Public, ""))
    }

    #[test]
    fn working_days_are_counted_from_the_day_after_and_over_holidays_and_swaps() {
        let calendar = official();
        for (from, n, to) in [
            // A cut-off on the Saturday before Tết 2026.
            ("2026-02-14", 1, "2026-02-23"),
            ("2026-05-14", 3, "2026-05-19"),
            // Monday 29/04/2024 was off in exchange for Saturday 04/05/2024.
            ("2024-04-26", 3, "2024-05-04"),
            // Saturday 10/01/2026 was worked in exchange for Friday 02/01/2026.
            ("2026-01-08", 3, "2026-01-12"),
            // Tuesday 24/11/2026, Viet Nam Culture Day.
            ("2026-11-23", 1, "2026-11-25"),
            ("2024-05-18", 5, "2024-05-24"),
            ("2024-09-14", 3, "2024-09-18"),
            // No day at all leaves a Saturday where it is.
            ("2026-02-14", 0, "2026-02-14"),
        ] {
            assert_eq!(calendar.add_working_days(date(from), n), date(to), "{from} + {n}");
            assert_eq!(calendar.working_days_between(date(from), date(to)), n, "{from} to {to}");
        }
        assert_eq!(calendar.working_days_between(date("2026-05-19"), date("2026-05-14")), 0);
    }

    #[test]
    fn each_day_says_what_it_is_and_how_sure_that_is() {
        let calendar = official();
        for (day, kind, name, certainty) in [
            ("2026-05-18", DayKind::Working, None, Certainty::Official),
            ("2026-05-16", DayKind::Weekend, None, Certainty::Official),
            (
                "2024-05-04",
                DayKind::SwappedWorkday,
                Some("Ngày làm việc bù (hoán đổi cho 29/04/2024)"),
                Certainty::Official,
            ),
            (
                "2024-04-29",
                DayKind::InLieu,
                Some("Nghỉ hoán đổi (làm bù thứ Bảy 04/05/2024)"),
                Certainty::Official,
            ),
            ("2026-02-17", DayKind::Holiday, Some("Tết Nguyên đán (mùng 1)"), Certainty::Official),
            ("2023-04-30", DayKind::Holiday, Some("Ngày Chiến thắng"), Certainty::Official),
            // One secondary source only.
            (
                "2026-08-31",
                DayKind::InLieu,
                Some("Nghỉ hoán đổi (làm bù thứ Bảy 22/08/2026)"),
                Certainty::Estimated,
            ),
            // Not decided yet.
            ("2027-02-08", DayKind::Holiday, Some("Tết Nguyên đán (mùng 3)"), Certainty::Estimated),
            ("2027-03-01", DayKind::Working, None, Certainty::Estimated),
        ] {
            let expected = Day { kind, name: name.map(str::to_owned), certainty };
            assert_eq!(calendar.day(date(day)), expected, "{day}");
            assert_eq!(calendar.is_working(date(day)), kind.is_working(), "{day}");
        }
    }

    #[test]
    fn a_year_without_rows_has_weekends_and_fixed_holidays_and_is_estimated() {
        let calendar = official();
        for (day, kind, name) in [
            ("2030-01-01", DayKind::Holiday, Some("Tết Dương lịch")),
            ("2030-04-30", DayKind::Holiday, Some("Ngày Chiến thắng")),
            ("2030-05-01", DayKind::Holiday, Some("Ngày Quốc tế Lao động")),
            ("2030-09-02", DayKind::Holiday, Some("Quốc khánh")),
            // A Sunday, and the Monday after it: nothing is given in lieu of what nobody decided.
            ("2030-11-24", DayKind::Holiday, Some("Ngày Văn hóa Việt Nam")),
            ("2030-11-25", DayKind::Working, None),
            ("2030-11-23", DayKind::Weekend, None),
            ("2030-05-02", DayKind::Working, None),
            // Viet Nam Culture Day is a holiday from 2026.
            ("2016-11-24", DayKind::Working, None),
        ] {
            let expected =
                Day { kind, name: name.map(str::to_owned), certainty: Certainty::Estimated };
            assert_eq!(calendar.day(date(day)), expected, "{day}");
        }
    }

    #[test]
    fn a_swap_alone_does_not_cover_its_year() {
        let swap =
            SpecialDay::new(date("2030-01-05"), SpecialKind::SwappedWorkday, "Ngày làm việc bù");
        let calendar = WorkingCalendar::from_days([swap]).expect("a calendar");
        assert_eq!(calendar.day(date("2030-01-05")).certainty, Certainty::Official);
        assert!(calendar.is_working(date("2030-01-05")));
        assert!(!calendar.is_working(date("2030-01-01")));
    }

    #[test]
    fn the_days_skipped_explain_a_due_date() {
        let skipped = official().skipped(date("2024-04-26"), date("2024-05-04"));
        let skipped =
            skipped.iter().map(|(date, day)| (date.to_string(), day.kind)).collect::<Vec<_>>();
        let expected = [
            ("2024-04-27", DayKind::Weekend),
            ("2024-04-28", DayKind::Weekend),
            ("2024-04-29", DayKind::InLieu),
            ("2024-04-30", DayKind::Holiday),
            ("2024-05-01", DayKind::Holiday),
        ];
        assert_eq!(skipped, expected.map(|(date, kind)| (date.to_owned(), kind)));
    }

    #[test]
    fn a_day_off_moves_to_the_next_working_day_and_a_working_day_stays() {
        let calendar = official();
        assert_eq!(calendar.on_or_after(date("2026-02-14")), date("2026-02-23"));
        assert_eq!(calendar.on_or_after(date("2026-02-23")), date("2026-02-23"));
        assert_eq!(calendar.next_working_day(date("2026-02-23")), date("2026-02-24"));
    }

    #[test]
    fn a_refused_calendar_names_the_row_and_what_is_wrong_with_it() {
        for (rows, reason) in [
            (
                "2026-13-01,,public,Thu,official,",
                "row 2: `2026-13-01` is no date; write 2026-05-01",
            ),
            ("2026-5-1,,public,Fri,official,", "row 2: `2026-5-1` is no date; write 2026-05-01"),
            ("2026-05-01,,public,Thu,official,", "row 2: 2026-05-01 is a Fri, not `Thu`"),
            (
                "2026-04-30,,public,Thu,official,\n\n2026-05-01,,public,,official,",
                "row 3: 2026-05-01 is a Fri, not ``",
            ),
            (
                "2026-05-01,,holiday,Fri,official,",
                "row 2: `holiday` is no kind; there are public, in_lieu and swapped_workday",
            ),
            (
                "2026-05-01,,public,Fri,certain,",
                "row 2: `certain` is no certainty; there are official and estimated",
            ),
            (
                "2026-05-01,,public,Fri,official,\n2026-05-01,,in_lieu,Fri,official,",
                "row 3: 2026-05-01 stands in an earlier row already",
            ),
            (
                "1899-12-29,,public,Fri,official,",
                "row 2: 1899-12-29 is not within the years 1900 to 2299",
            ),
            (
                "2026-05-01,,swapped_workday,Fri,official,",
                "row 2: 2026-05-01 is a Fri; only a Saturday or Sunday can be a swapped working day",
            ),
        ] {
            assert_eq!(refusal(&format!("{HEADER}\n{rows}\n")), reason);
        }
        let uneven = refusal(&format!("{HEADER}\n2026-05-01,public\n"));
        assert!(uneven.contains("line: 2"), "{uneven}");
    }

    #[test]
    fn a_refused_calendar_names_the_column() {
        assert_eq!(
            refusal("date,name_vi,kind,weekday,certainty,source,note\n"),
            "unknown column `note`; there are date, name_vi, kind, weekday, certainty, source"
        );
        assert_eq!(refusal("date,name_vi,kind,weekday,certainty\n"), "column `source` is missing");
        assert_eq!(refusal(&format!("{HEADER},date\n")), "column `date` stands twice");
        assert_eq!(refusal(""), "column `date` is missing");
    }

    #[test]
    fn columns_may_stand_in_any_order_and_a_byte_order_mark_is_no_column() {
        let text = "\u{feff}kind,date,weekday,certainty,source,name_vi\npublic,2026-05-01, Fri ,official,,Lễ\n";
        let calendar = WorkingCalendar::from_csv(text).expect("a calendar");
        assert_eq!(calendar.day(date("2026-05-01")).name.as_deref(), Some("Lễ"));
    }

    #[test]
    fn a_calendar_without_working_days_is_refused() {
        let error =
            WorkingCalendar::from_days(holidays("2026-03-02", 40)).expect_err("40 days of rest");
        assert_eq!(
            error.to_string(),
            "from 2026-03-02 there is no working day for more than 31 days"
        );
        let calendar =
            WorkingCalendar::from_days(holidays("2026-03-02", 28)).expect("28 days of rest");
        assert_eq!(calendar.next_working_day(date("2026-02-27")), date("2026-03-30"));
    }

    #[test]
    fn the_version_changes_with_any_row_and_not_with_their_order() {
        let days = official().days().cloned().collect::<Vec<_>>();
        let version = |days: Vec<SpecialDay>| {
            WorkingCalendar::from_days(days).expect("a calendar").version().to_owned()
        };
        assert_eq!(version(days.clone()), official().version());
        assert_eq!(version(days.iter().rev().cloned().collect()), official().version());
        assert_ne!(version(days[1..].to_vec()), official().version());
        let mut renamed = days;
        renamed[0].name_vi.push('!');
        assert_ne!(version(renamed), official().version());
        assert_eq!(official().version().len(), 16);
    }

    #[test]
    fn every_official_row_is_kept() {
        assert_eq!(official().days().count(), HOLIDAYS.lines().count() - 1);
    }

    #[test]
    fn counting_stops_at_its_limits() {
        let calendar = official();
        assert_eq!(calendar.next_working_day(NaiveDate::MIN), date("1900-01-02"));
        assert_eq!(calendar.on_or_after(NaiveDate::MIN), date("1900-01-02"));
        assert_eq!(calendar.next_working_day(NaiveDate::MAX), NaiveDate::MAX);
        assert_eq!(calendar.on_or_after(NaiveDate::MAX), NaiveDate::MAX);
        assert_eq!(calendar.add_working_days(date("2026-01-01"), u32::MAX), date("2299-12-31"));
        assert_eq!(calendar.working_days_between(NaiveDate::MAX, NaiveDate::MAX), 0);
        let all = calendar.working_days_between(NaiveDate::MIN, NaiveDate::MAX);
        assert_eq!(all, calendar.working_days_between(date("1899-12-31"), date("2299-12-31")));
        calendar.day(NaiveDate::MIN);
        calendar.day(NaiveDate::MAX);
    }
}
