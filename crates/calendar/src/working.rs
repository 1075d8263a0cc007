//! The working calendar: which days civil servants work, and counting in such days.
//!
//! Monday to Friday, less public holidays (Labour Code 2019, article 112) and the days off given in lieu of those
//! that fall on a day of rest (article 111(3)), plus the Saturdays that the Government declares worked in exchange
//! for a day off. The calendar keeps what was said of days, and computes the holidays of which nobody said anything
//! yet. Where what is said comes from is left to others; an amended calendar is a new value of its own
//! [`WorkingCalendar::version`].
//!
//! Counting happens between 1 January 1900 and 31 December 2299: it begins no earlier, and what would end later
//! ends there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use chrono::{Datelike, NaiveDate, Weekday};
use serde::{Deserialize, Serialize};

use crate::{period::iso_date, statutory};

const FIRST: NaiveDate = limit(1900, 1, 1);
const LAST: NaiveDate = limit(2299, 12, 31);

/// No real calendar rests that long, and a bound is what makes every search end.
const LONGEST_REST: usize = 31;

const COLUMNS: [&str; 6] = ["date", "name_vi", "kind", "weekday", "certainty", "source"];

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

/// What is said of one day from now on, whatever was said of it before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Amended {
    /// This, and not what its weekday makes it.
    Special(SpecialDay),
    /// What its weekday makes it after all, although it was special before or would be a holiday by law.
    Ordinary { date: NaiveDate, certainty: Certainty },
}

impl Amended {
    pub fn date(&self) -> NaiveDate {
        match self {
            Self::Special(day) => day.date,
            Self::Ordinary { date, .. } => *date,
        }
    }

    pub fn certainty(&self) -> Certainty {
        match self {
            Self::Special(day) => day.certainty,
            Self::Ordinary { certainty, .. } => *certainty,
        }
    }

    fn special(&self) -> Option<&SpecialDay> {
        match self {
            Self::Special(day) => Some(day),
            Self::Ordinary { .. } => None,
        }
    }
}

impl From<SpecialDay> for Amended {
    fn from(day: SpecialDay) -> Self {
        Self::Special(day)
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
/// Each holiday has a chief day: 01/01, the first of Tết, Hùng Kings' day, 30/04, 01/05, 02/09, 24/11 from 2026. As
/// long as nothing was said of it, the days off that the law gives for it, in lieu too, are computed and are
/// [`Certainty::Estimated`]. Once something was, nothing of that holiday is computed any more: whoever decides on Tết
/// says all of its days. What was said of a day always goes before what is computed of it.
///
/// A year is official when something official was said of each of its chief days. Outside the years 1900 to 2299 there
/// are weekends only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkingCalendar {
    /// What was said of days, by date.
    days: BTreeMap<NaiveDate, Amended>,
    official_years: BTreeSet<i32>,
    version: String,
    /// The days that are not what their weekday makes them, by date: what counting looks at.
    exceptions: Exceptions,
}

/// Days from Monday to Friday that are not worked, and days of rest that are; each by date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Exceptions {
    off: Vec<NaiveDate>,
    worked: Vec<NaiveDate>,
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
                .and_then(|day| keep(&mut days, day.into()))
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
        Self::of(kept(days.into_iter().map(Amended::Special))?)
    }

    /// This calendar, with other things said of these days, in any order. So too a province's calendar: the
    /// nation's, amended by the province's own days.
    ///
    /// # Errors
    ///
    /// Those of [`WorkingCalendar::from_days`], of these days and of the whole that comes of them.
    pub fn amended(&self, days: impl IntoIterator<Item = Amended>) -> Result<Self, CalendarError> {
        let mut all = self.days.clone();
        all.extend(kept(days)?);
        Self::of(all)
    }

    fn of(days: BTreeMap<NaiveDate, Amended>) -> Result<Self, CalendarError> {
        let official = |date: &NaiveDate| {
            days.get(date).is_some_and(|said| said.certainty() == Certainty::Official)
        };
        let years: BTreeSet<_> = days.keys().map(|date| date.year()).collect();
        let official_years = years
            .into_iter()
            .filter(|year| statutory::days_off(*year).iter().all(|off| official(&off.chief)))
            .collect();
        let version = fingerprint(days.values());
        let exceptions = Exceptions::default();
        let mut calendar = Self { days, official_years, version, exceptions };
        calendar.exceptions = calendar.exceptions();
        let worked = |date: &NaiveDate| calendar.is_working(*date);
        // No rest is that long by law alone, so one that is holds a day that something was said of.
        let endless = |said: &NaiveDate| {
            let until = said.iter_days().rev().take(LONGEST_REST + 1);
            let from = until.take_while(|date| !worked(date)).last()?;
            (!from.iter_days().take(LONGEST_REST + 1).any(|date| worked(&date))).then_some(from)
        };
        match calendar.days.keys().find_map(endless) {
            Some(from) => Err(CalendarError::NoWorkingDay { from }),
            None => Ok(calendar),
        }
    }

    fn exceptions(&self) -> Exceptions {
        let computed = (FIRST.year()..=LAST.year()).flat_map(statutory::days_off);
        let special: BTreeSet<_> =
            self.days.keys().copied().chain(computed.map(|off| off.day.date)).collect();
        let other = |date: &NaiveDate| self.is_working(*date) == is_weekend(*date);
        let (worked, off) =
            special.into_iter().filter(other).partition(|date| self.is_working(*date));
        Exceptions { off, worked }
    }

    /// A fingerprint of all that was said of days: 16 hexadecimal digits, the same whatever the order, another
    /// whenever anything said changes. It tells calendars apart and is no safeguard against forgery (64-bit FNV-1a).
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The years whose days rest on decisions, the first first.
    pub fn official_years(&self) -> impl Iterator<Item = i32> {
        self.official_years.iter().copied()
    }

    /// The special days that were given to it, by date; none that is computed.
    pub fn days(&self) -> impl Iterator<Item = &SpecialDay> {
        self.days.values().filter_map(Amended::special)
    }

    /// What makes that day another than its weekday does: said or computed. `None` for an ordinary day.
    pub fn special(&self, date: NaiveDate) -> Option<&SpecialDay> {
        match self.days.get(&date) {
            Some(said) => said.special(),
            None => {
                let mut computed = statutory::days_off(date.year()).iter();
                let off = computed
                    .find(|off| off.day.date == date && !self.days.contains_key(&off.chief))?;
                Some(&off.day)
            }
        }
    }

    /// What that day is. Any date has an answer.
    pub fn day(&self, date: NaiveDate) -> Day {
        let certainty = match self.days.get(&date) {
            Some(said) => said.certainty(),
            None if self.official_years.contains(&date.year()) => Certainty::Official,
            None => Certainty::Estimated,
        };
        let name =
            self.special(date).map(|day| day.name_vi.clone()).filter(|name| !name.is_empty());
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
    /// Takes hardly longer for two centuries than for a week.
    pub fn working_days_between(&self, after: NaiveDate, through: NaiveDate) -> u32 {
        let days = self.worked_through(through).saturating_sub(self.worked_through(after));
        // Of some 146,000 days.
        u32::try_from(days).unwrap_or(u32::MAX)
    }

    /// How many working days there are up to and with `date`, from where counting begins.
    fn worked_through(&self, date: NaiveDate) -> usize {
        let until = |days: &[NaiveDate]| days.partition_point(|day| *day <= date);
        let days = (date.min(LAST) - FIRST).num_days() + 1;
        // Counting begins on a Monday. Before it there is nothing to count.
        let days = usize::try_from(days).unwrap_or_default();
        let weekdays = days / 7 * 5 + (days % 7).min(5);
        weekdays + until(&self.exceptions.worked) - until(&self.exceptions.off)
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
        match self.special(date) {
            Some(day) => day.kind.into(),
            None if is_weekend(date) => DayKind::Weekend,
            None => DayKind::Working,
        }
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

fn kept(
    days: impl IntoIterator<Item = Amended>,
) -> Result<BTreeMap<NaiveDate, Amended>, CalendarError> {
    let mut kept = BTreeMap::new();
    for (row, day) in (1..).zip(days) {
        keep(&mut kept, day).map_err(|problem| CalendarError::Row { row, problem })?;
    }
    Ok(kept)
}

fn keep(days: &mut BTreeMap<NaiveDate, Amended>, said: Amended) -> Result<(), DayProblem> {
    let date = said.date();
    if !(FIRST..=LAST).contains(&date) {
        return Err(DayProblem::Year(date));
    }
    let swapped = said.special().is_some_and(|day| day.kind == SpecialKind::SwappedWorkday);
    if swapped && !is_weekend(date) {
        return Err(DayProblem::WorkedAnyway { date });
    }
    match days.insert(date, said) {
        Some(_) => Err(DayProblem::Repeated(date)),
        None => Ok(()),
    }
}

pub(crate) fn is_weekend(date: NaiveDate) -> bool {
    matches!(date.weekday(), Weekday::Sat | Weekday::Sun)
}

/// What is computed is no part of it. Should other days come to be computed, a constant mixed in makes calendars of
/// before and after differ.
fn fingerprint<'a>(days: impl Iterator<Item = &'a Amended>) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |text: &str| {
        // After each a byte that no text holds, so that moving a letter from one field to the next is a change.
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for said in days {
        mix(&said.date().to_string());
        mix(said.special().map_or("ordinary", |day| day.kind.as_str()));
        mix(said.certainty().as_str());
        if let Some(day) = said.special() {
            mix(&day.name_vi);
            mix(&day.source);
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
    fn a_year_without_a_decision_has_the_days_off_of_the_law_and_is_estimated() {
        let calendar = official();
        for (day, kind, name) in [
            ("2030-01-01", DayKind::Holiday, Some("Tết Dương lịch")),
            ("2030-01-31", DayKind::Working, None),
            ("2030-02-01", DayKind::Holiday, Some("Tết Nguyên đán (29 tháng Chạp)")),
            // A Saturday and a Sunday.
            ("2030-02-02", DayKind::Holiday, Some("Tết Nguyên đán (mùng 1)")),
            ("2030-02-03", DayKind::Holiday, Some("Tết Nguyên đán (mùng 2)")),
            ("2030-02-05", DayKind::Holiday, Some("Tết Nguyên đán (mùng 4)")),
            ("2030-02-06", DayKind::InLieu, Some("Tết Nguyên đán (nghỉ bù)")),
            ("2030-02-07", DayKind::InLieu, Some("Tết Nguyên đán (nghỉ bù)")),
            ("2030-02-08", DayKind::Working, None),
            ("2030-04-12", DayKind::Holiday, Some("Ngày Giỗ Tổ Hùng Vương")),
            ("2030-05-02", DayKind::Working, None),
            ("2030-09-03", DayKind::Holiday, Some("Quốc khánh")),
            ("2030-11-23", DayKind::Weekend, None),
            ("2030-11-24", DayKind::Holiday, Some("Ngày Văn hóa Việt Nam")),
            ("2030-11-25", DayKind::InLieu, Some("Ngày Văn hóa Việt Nam (nghỉ bù)")),
            // Viet Nam Culture Day is a holiday from 2026.
            ("2016-11-24", DayKind::Working, None),
            // Beyond the years that are computed.
            ("2300-01-01", DayKind::Working, None),
        ] {
            let expected =
                Day { kind, name: name.map(str::to_owned), certainty: Certainty::Estimated };
            assert_eq!(calendar.day(date(day)), expected, "{day}");
        }
    }

    #[test]
    fn nothing_is_computed_where_everything_is_said() {
        let calendar = official();
        let days = date("2020-01-01").iter_days().take_while(|date| date.year() <= 2027);
        let special = days.filter_map(|date| calendar.special(date)).collect::<Vec<_>>();
        assert_eq!(special, calendar.days().collect::<Vec<_>>());
    }

    #[test]
    fn a_swap_alone_leaves_its_year_computed() {
        let swap =
            SpecialDay::new(date("2030-01-05"), SpecialKind::SwappedWorkday, "Ngày làm việc bù");
        let calendar = WorkingCalendar::from_days([swap]).expect("a calendar");
        assert_eq!(calendar.day(date("2030-01-05")).certainty, Certainty::Official);
        assert!(calendar.is_working(date("2030-01-05")));
        assert!(!calendar.is_working(date("2030-01-01")));
        assert_eq!(calendar.day(date("2030-01-07")).certainty, Certainty::Estimated);
    }

    #[test]
    fn whoever_says_something_of_a_chief_day_says_the_whole_holiday() {
        // As it may be decided for 2028: two days of the old year, three of the new one.
        let tet = ["2028-01-24", "2028-01-25", "2028-01-26", "2028-01-27", "2028-01-28"]
            .map(|day| Amended::from(SpecialDay::new(date(day), SpecialKind::Public, "Tết")));
        let calendar = official().amended(tet).expect("a calendar");
        for (day, kind, certainty) in [
            ("2028-01-24", DayKind::Holiday, Certainty::Official),
            ("2028-01-28", DayKind::Holiday, Certainty::Official),
            // The fourth of the new year, a Saturday, and the Monday that was off in its stead.
            ("2028-01-29", DayKind::Weekend, Certainty::Estimated),
            ("2028-01-31", DayKind::Working, Certainty::Estimated),
            // Other holidays of that year are computed as before.
            ("2028-09-04", DayKind::InLieu, Certainty::Estimated),
        ] {
            let found = calendar.day(date(day));
            assert_eq!((found.kind, found.certainty), (kind, certainty), "{day}");
        }
        // A decision on the days beside Tết alone leaves the rest of it computed.
        let bridge = SpecialDay::new(date("2028-01-24"), SpecialKind::InLieu, "Nghỉ hoán đổi");
        let calendar = official().amended([bridge.into()]).expect("a calendar");
        assert_eq!(calendar.next_working_day(date("2028-01-21")), date("2028-02-01"));
    }

    #[test]
    fn a_year_is_official_once_each_of_its_chief_days_is() {
        let calendar = official();
        assert!(calendar.official_years().eq(2020..=2026));
        let decided = calendar.days().filter(|day| day.date.year() == 2027).cloned();
        let decided: Vec<_> = decided
            .map(|day| Amended::from(SpecialDay { certainty: Certainty::Official, ..day }))
            .collect();
        let whole = calendar.amended(decided.clone()).expect("a calendar");
        assert!(whole.official_years().eq(2020..=2027));
        assert_eq!(whole.day(date("2027-03-01")).certainty, Certainty::Official);
        // Without 24 November.
        let part = calendar.amended(decided[..decided.len() - 1].to_vec()).expect("a calendar");
        assert!(part.official_years().eq(2020..=2026));
        assert_eq!(part.day(date("2027-03-01")).certainty, Certainty::Estimated);
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
            "from 2026-02-28 there is no working day for more than 31 days"
        );
        // With the weekend before them 30 days.
        let calendar =
            WorkingCalendar::from_days(holidays("2026-03-02", 28)).expect("30 days of rest");
        assert_eq!(calendar.next_working_day(date("2026-02-27")), date("2026-03-30"));
        // Tết 2028 and the weekend after it, 25 to 31 January, are followed by 25 days more.
        let error = WorkingCalendar::from_days(holidays("2028-02-01", 25)).expect_err("32 days");
        assert_eq!(
            error.to_string(),
            "from 2028-01-25 there is no working day for more than 31 days"
        );
        WorkingCalendar::from_days(holidays("2028-02-01", 24)).expect("31 days of rest");
    }

    #[test]
    fn an_amendment_says_other_things_of_its_days_and_of_no_other() {
        let storm = SpecialDay::new(date("2026-05-19"), SpecialKind::InLieu, "Nghỉ tránh bão");
        let ordinary =
            |day: &str| Amended::Ordinary { date: date(day), certainty: Certainty::Official };
        let amended = official()
            .amended([
                storm.clone().into(),
                // A swapped Saturday, the Friday off in its stead, a holiday, one on a Sunday, and computed ones.
                ordinary("2026-01-10"),
                ordinary("2026-01-02"),
                ordinary("2026-11-24"),
                ordinary("2026-04-26"),
                ordinary("2030-04-30"),
                ordinary("2030-02-07"),
                ordinary("2030-11-24"),
                // Nothing said before.
                ordinary("2026-05-20"),
            ])
            .expect("a calendar");
        for (day, kind) in [
            ("2026-05-19", DayKind::InLieu),
            ("2026-01-10", DayKind::Weekend),
            ("2026-01-02", DayKind::Working),
            ("2026-11-24", DayKind::Working),
            ("2026-04-26", DayKind::Weekend),
            ("2030-04-30", DayKind::Working),
            ("2030-02-07", DayKind::Working),
            ("2030-11-24", DayKind::Weekend),
            ("2026-05-20", DayKind::Working),
        ] {
            let found = amended.day(date(day));
            assert_eq!((found.kind, found.certainty), (kind, Certainty::Official), "{day}");
            assert_eq!(found.name.is_some(), kind == DayKind::InLieu, "{day}");
            assert_eq!(amended.special(date(day)).is_some(), kind == DayKind::InLieu, "{day}");
        }
        // Given in lieu of what is no holiday any more.
        assert!(amended.is_working(date("2030-11-25")));
        // Of a holiday that a row says, its days in lieu are rows of their own.
        assert!(!amended.is_working(date("2026-04-27")));
        assert_eq!(amended.day(date("2030-02-06")), official().day(date("2030-02-06")));
        assert_eq!(official().day(date("2026-05-19")).kind, DayKind::Working);

        let again = amended.amended([storm.into(), ordinary("2026-11-24")]).expect("a calendar");
        assert_eq!(again, amended);
        let back = SpecialDay::new(date("2026-11-24"), SpecialKind::Public, "Lễ");
        let again = amended.amended([back.into()]).expect("a calendar");
        assert_eq!(again.day(date("2026-11-24")).name.as_deref(), Some("Lễ"));
    }

    #[test]
    fn a_provinces_days_lie_over_the_nations() {
        let off = |day: &str, name: &str| {
            Amended::from(SpecialDay::new(date(day), SpecialKind::InLieu, name))
        };
        let province = [
            off("2026-05-19", "Nghỉ tránh bão"),
            Amended::Ordinary { date: date("2026-06-01"), certainty: Certainty::Official },
        ];
        let nation = official()
            .amended([off("2026-05-19", "Quốc tang"), off("2026-06-01", "Quốc tang")])
            .and_then(|nation| nation.amended([off("2026-06-02", "Quốc tang")]))
            .expect("a calendar");
        let over = nation.amended(province).expect("a calendar");
        assert_eq!(over.day(date("2026-05-19")).name.as_deref(), Some("Nghỉ tránh bão"));
        assert!(over.is_working(date("2026-06-01")));
        assert!(!over.is_working(date("2026-06-02")));
        assert!(!nation.is_working(date("2026-06-01")));
    }

    #[test]
    fn an_amendment_is_refused_as_rows_are() {
        let refused =
            |days: Vec<Amended>| official().amended(days).expect_err("no calendar").to_string();
        let ordinary =
            |day: &str| Amended::Ordinary { date: date(day), certainty: Certainty::Official };
        let swapped =
            |day: &str| Amended::from(SpecialDay::new(date(day), SpecialKind::SwappedWorkday, ""));
        for (days, reason) in [
            (
                vec![ordinary("2026-05-19"), swapped("2026-05-23"), ordinary("2026-05-23")],
                "row 3: 2026-05-23 stands in an earlier row already",
            ),
            (
                vec![ordinary("2300-01-01")],
                "row 1: 2300-01-01 is not within the years 1900 to 2299",
            ),
            (
                vec![swapped("2026-05-18")],
                "row 1: 2026-05-18 is a Mon; only a Saturday or Sunday can be a swapped working day",
            ),
            (
                // A month off after Tết 2026, 14 to 22 February.
                holidays("2026-02-23", 28).map(Amended::from).collect(),
                "from 2026-02-14 there is no working day for more than 31 days",
            ),
            (
                holidays("2026-01-01", 365).map(Amended::from).collect(),
                "from 2026-01-01 there is no working day for more than 31 days",
            ),
        ] {
            assert_eq!(refused(days), reason);
        }
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

    /// What was explained by a version is looked up by it: the same rows must bear the same one forever.
    #[test]
    fn the_version_of_the_official_days_is_this() {
        assert_eq!(official().version(), "3eb743bdd7dd3de5");
    }

    #[test]
    fn the_version_tells_amendments_apart_and_not_how_they_came_about() {
        let storm = SpecialDay::new(date("2026-05-19"), SpecialKind::InLieu, "Nghỉ tránh bão");
        let ordinary = |certainty| Amended::Ordinary { date: date("2026-05-19"), certainty };
        let amended =
            |days: Vec<Amended>| official().amended(days).expect("a calendar").version().to_owned();
        let with_storm = amended(vec![storm.clone().into()]);
        let rows = official().days().cloned().chain([storm]).collect::<Vec<_>>();
        assert_eq!(with_storm, WorkingCalendar::from_days(rows).expect("a calendar").version());
        assert_eq!(amended(vec![]), official().version());
        let official_ordinary = amended(vec![ordinary(Certainty::Official)]);
        let estimated_ordinary = amended(vec![ordinary(Certainty::Estimated)]);
        let versions: BTreeSet<_> =
            [&with_storm, &official_ordinary, &estimated_ordinary, official().version()]
                .map(ToString::to_string)
                .into();
        assert_eq!(versions.len(), 4);
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
        assert_eq!(calendar.working_days_between(date("1899-12-31"), date("1900-01-06")), 4);
        assert_eq!(calendar.working_days_between(date("2299-12-31"), NaiveDate::MAX), 0);
        calendar.day(NaiveDate::MIN);
        calendar.day(NaiveDate::MAX);
    }
}
