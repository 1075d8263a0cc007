//! Terms for handling a dossier, when they end, and how a completion stands to that.

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{WorkingCalendar, zone};

/// What is received later than this may be finished on the next working day (Decree 23/2015/NĐ-CP, article 7).
const SAME_DAY_UNTIL: NaiveTime = clock_time(15, 0);

/// How long the handling of a dossier may take.
///
/// Its name ([`fmt::Display`], [`FromStr`] and serde) is `3d` for working days, `8h` for working hours, or
/// `same-day`; no other spelling is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Term {
    /// Whole working days, the first of them the one after receipt (Civil Code 2015, article 147(2)). 0 days, such
    /// as what is left of a used budget, end with the day of receipt.
    WorkingDays(u16),
    /// Hours within office hours, from the moment of receipt or the next opening. 0 hours end there and then.
    WorkingHours(u16),
    /// By the closing of the day of receipt; what is received after 15:00 or on a day off, by the closing of the
    /// next working day. For certifications (Decree 23/2015/NĐ-CP, article 7).
    SameDay,
}

/// Why something is no term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no term; a term looks like 3d (working days), 8h (working hours) or same-day, at most 65535 of either"
)]
pub struct TermError(String);

impl Term {
    /// When what was received at `received` is due.
    ///
    /// Never before the receipt, and the later the receipt, the later or equal. Saturates where the calendar does.
    pub fn due(
        self,
        received: DateTime<Utc>,
        calendar: &WorkingCalendar,
        hours: &OfficeHours,
    ) -> Due {
        let received = zone::civil_time(received);
        match self {
            Self::WorkingDays(days) => {
                let date = calendar.add_working_days(received.date(), days.into());
                Due { time: zone::end_of(date), granularity: Granularity::Day }
            }
            Self::WorkingHours(length) => Due {
                time: within_hours(received, length, calendar, hours),
                granularity: Granularity::Instant,
            },
            Self::SameDay => {
                let date = received.date();
                let today = calendar.is_working(date)
                    && received.time() <= SAME_DAY_UNTIL
                    // An office that closes before 15:00 cannot finish today what comes after.
                    && received.time() < hours.closing();
                let date = if today { date } else { calendar.next_working_day(date) };
                Due { time: zone::at(date, hours.closing()), granularity: Granularity::Instant }
            }
        }
    }
}

/// Spends that many hours on the sessions from `received` on.
fn within_hours(
    received: NaiveDateTime,
    length: u16,
    calendar: &WorkingCalendar,
    hours: &OfficeHours,
) -> DateTime<Utc> {
    let mut left = TimeDelta::hours(length.into());
    let mut date = calendar.on_or_after(received.date());
    loop {
        for (opening, closing) in [hours.morning, hours.afternoon] {
            let start =
                if date == received.date() { opening.max(received.time()) } else { opening };
            let open = closing.signed_duration_since(start);
            if open <= TimeDelta::zero() {
                continue;
            }
            if left <= open {
                return zone::at(date, start.overflowing_add_signed(left).0);
            }
            left -= open;
        }
        let next = calendar.next_working_day(date);
        if next == date {
            // The calendar has no later day.
            return zone::end_of(date);
        }
        date = next;
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkingDays(days) => write!(f, "{days}d"),
            Self::WorkingHours(hours) => write!(f, "{hours}h"),
            Self::SameDay => f.write_str("same-day"),
        }
    }
}

impl FromStr for Term {
    type Err = TermError;

    fn from_str(name: &str) -> Result<Self, TermError> {
        let number = |digits: &str| digits.parse().ok();
        let term = match name.as_bytes() {
            b"same-day" => Some(Self::SameDay),
            [.., b'd'] => name.strip_suffix('d').and_then(number).map(Self::WorkingDays),
            [.., b'h'] => name.strip_suffix('h').and_then(number).map(Self::WorkingHours),
            _ => None,
        };
        // Whatever prints otherwise was spelt otherwise: `+3d`, `03d`.
        term.filter(|term| term.to_string() == name).ok_or_else(|| TermError(name.to_owned()))
    }
}

impl TryFrom<String> for Term {
    type Error = TermError;

    fn try_from(name: String) -> Result<Self, TermError> {
        name.parse()
    }
}

impl From<Term> for String {
    fn from(term: Term) -> Self {
        term.to_string()
    }
}

/// When an office is open on a working day, on the wall in Viet Nam: a morning and an afternoon.
///
/// By default 07:30–11:30 and 13:30–17:00, which is common but no rule: each province fixes its own. In serde a
/// table of two strings, `morning = "07:30-11:30"`, `afternoon = "13:30-17:00"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Sessions", into = "Sessions")]
pub struct OfficeHours {
    morning: (NaiveTime, NaiveTime),
    afternoon: (NaiveTime, NaiveTime),
}

/// Why something is no office hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfficeHoursError {
    #[error("`{0}` is no stretch of office hours; write 07:30-11:30")]
    Unreadable(String),
    #[error("office hours must follow one another: opening, closing, opening after noon, closing")]
    Disordered,
    #[error("office hours are whole minutes")]
    NotWholeMinutes,
}

impl OfficeHours {
    /// Office hours from (opening, closing) of the morning and of the afternoon.
    ///
    /// # Errors
    ///
    /// A closing that is not after its opening, an afternoon that begins before the morning ends, and anything
    /// finer than minutes.
    pub fn new(
        morning: (NaiveTime, NaiveTime),
        afternoon: (NaiveTime, NaiveTime),
    ) -> Result<Self, OfficeHoursError> {
        if !(morning.0 < morning.1 && morning.1 <= afternoon.0 && afternoon.0 < afternoon.1) {
            return Err(OfficeHoursError::Disordered);
        }
        let whole = |time: NaiveTime| {
            time.signed_duration_since(NaiveTime::MIN)
                .num_nanoseconds()
                .is_some_and(|n| n % 60_000_000_000 == 0)
        };
        if ![morning.0, morning.1, afternoon.0, afternoon.1].into_iter().all(whole) {
            return Err(OfficeHoursError::NotWholeMinutes);
        }
        Ok(Self { morning, afternoon })
    }

    /// Opening and closing of the morning.
    pub fn morning(&self) -> (NaiveTime, NaiveTime) {
        self.morning
    }

    /// Opening and closing of the afternoon.
    pub fn afternoon(&self) -> (NaiveTime, NaiveTime) {
        self.afternoon
    }

    /// When the day's work begins.
    pub fn opening(&self) -> NaiveTime {
        self.morning.0
    }

    /// When the day's work ends.
    pub fn closing(&self) -> NaiveTime {
        self.afternoon.1
    }
}

impl Default for OfficeHours {
    fn default() -> Self {
        Self {
            morning: (clock_time(7, 30), clock_time(11, 30)),
            afternoon: (clock_time(13, 30), clock_time(17, 0)),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sessions {
    morning: String,
    afternoon: String,
}

impl TryFrom<Sessions> for OfficeHours {
    type Error = OfficeHoursError;

    fn try_from(sessions: Sessions) -> Result<Self, OfficeHoursError> {
        let read = |text: &str| {
            let time = |text| NaiveTime::parse_from_str(text, "%H:%M").ok();
            let session =
                text.split_once('-').and_then(|(from, to)| Some((time(from)?, time(to)?)));
            session.ok_or_else(|| OfficeHoursError::Unreadable(text.to_owned()))
        };
        Self::new(read(&sessions.morning)?, read(&sessions.afternoon)?)
    }
}

impl From<OfficeHours> for Sessions {
    fn from(hours: OfficeHours) -> Self {
        let write = |(from, to): (NaiveTime, NaiveTime)| {
            format!("{}-{}", from.format("%H:%M"), to.format("%H:%M"))
        };
        Self { morning: write(hours.morning), afternoon: write(hours.afternoon) }
    }
}

/// How finely early, on time and overdue are told apart: as finely as the term itself counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// By the date: terms in days.
    Day,
    /// By the instant: terms in hours and same-day terms.
    Instant,
}

/// When something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Due {
    /// Exclusive: what is still open at this instant is in breach. At [`Granularity::Day`] the midnight in Viet Nam
    /// that ends the due date.
    pub time: DateTime<Utc>,
    pub granularity: Granularity,
}

/// How a completion stands to its due time: trước hạn, đúng hạn, quá hạn. In serde `early`, `on-time`, `overdue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Completion {
    Early,
    OnTime,
    Overdue,
}

impl Due {
    /// Due on that date, all of it.
    pub fn on(date: NaiveDate) -> Self {
        Self { time: zone::end_of(date), granularity: Granularity::Day }
    }

    /// The civil date on which it is due: at [`Granularity::Day`] the one that [`Due::time`] ends, else the one it
    /// lies on.
    pub fn due_date(&self) -> NaiveDate {
        let within = match self.granularity {
            Granularity::Day => self.time.checked_sub_signed(TimeDelta::microseconds(1)),
            Granularity::Instant => None,
        };
        zone::civil_date(within.unwrap_or(self.time))
    }

    /// Whether what is still open at `now` is in breach.
    pub fn is_breached(&self, now: DateTime<Utc>) -> bool {
        self.time <= now
    }

    /// How a completion at `completed` stands to it.
    ///
    /// Using less than the term is early, using all of it is on time, more is overdue (Circular 01/2018/TT-VPCP,
    /// which scores them 2, 1 and 0). So a completion at the very instant is on time, although what is still open
    /// then is in breach.
    pub fn classify(&self, completed: DateTime<Utc>) -> Completion {
        let order = match self.granularity {
            Granularity::Day => zone::civil_date(completed).cmp(&self.due_date()),
            Granularity::Instant => completed.cmp(&self.time),
        };
        match order {
            std::cmp::Ordering::Less => Completion::Early,
            std::cmp::Ordering::Equal => Completion::OnTime,
            std::cmp::Ordering::Greater => Completion::Overdue,
        }
    }
}

const fn clock_time(hour: u32, minute: u32) -> NaiveTime {
    match NaiveTime::from_hms_opt(hour, minute, 0) {
        Some(time) => time,
        None => NaiveTime::MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        SpecialDay, SpecialKind,
        fixture::{date, instant, official, time, wall},
    };

    fn due(term: &str, received: &str) -> Due {
        let term: Term = term.parse().expect("a term");
        term.due(wall(received), &official(), &OfficeHours::default())
    }

    fn hours(morning: &str, afternoon: &str) -> Result<OfficeHours, OfficeHoursError> {
        Sessions { morning: morning.to_owned(), afternoon: afternoon.to_owned() }.try_into()
    }

    #[test]
    fn a_term_in_days_ends_with_its_last_working_day_whenever_received() {
        for (received, term, due_date) in [
            ("2024-04-26 08:00", "3d", "2024-05-04"),
            ("2024-04-26 23:59", "3d", "2024-05-04"),
            ("2026-01-08 10:00", "3d", "2026-01-12"),
            ("2026-11-23 16:59", "1d", "2026-11-25"),
            // Received on a Saturday: Monday is the first day.
            ("2026-05-16 09:00", "1d", "2026-05-18"),
            ("2026-05-18 09:00", "0d", "2026-05-18"),
        ] {
            let due = due(term, received);
            assert_eq!(due, Due::on(date(due_date)), "{received} + {term}");
            assert_eq!(due.due_date(), date(due_date), "{received} + {term}");
        }
        assert_eq!(due("3d", "2024-04-26 08:00").time, instant("2024-05-04T17:00:00Z"));
    }

    #[test]
    fn a_term_in_hours_counts_office_hours_of_working_days_only() {
        for (received, term, expected) in [
            // Monday 18/05/2026; a day has 7.5 hours.
            ("2026-05-18 08:00", "2h", "2026-05-18 10:00"),
            // Over noon.
            ("2026-05-18 10:30", "2h", "2026-05-18 14:30"),
            // Received during the noon break, before opening, after closing.
            ("2026-05-18 12:00", "1h", "2026-05-18 14:30"),
            ("2026-05-18 06:00", "1h", "2026-05-18 08:30"),
            ("2026-05-18 17:00", "1h", "2026-05-19 08:30"),
            // To the very closing, and on to the next day.
            ("2026-05-18 13:30", "3h", "2026-05-18 16:30"),
            ("2026-05-18 07:30", "4h", "2026-05-18 11:30"),
            ("2026-05-18 07:30", "8h", "2026-05-19 08:00"),
            // Over a weekend, from a day off, and on a swapped Saturday.
            ("2026-05-15 16:00", "2h", "2026-05-18 08:30"),
            ("2026-05-16 09:00", "8h", "2026-05-19 08:00"),
            ("2026-01-10 08:00", "1h", "2026-01-10 09:00"),
            // Nothing left: there and then, or at the next opening.
            ("2026-05-18 08:00", "0h", "2026-05-18 08:00"),
            ("2026-05-16 08:00", "0h", "2026-05-18 07:30"),
        ] {
            let expected = Due { time: wall(expected), granularity: Granularity::Instant };
            assert_eq!(due(term, received), expected, "{received} + {term}");
        }
    }

    #[test]
    fn a_same_day_term_ends_at_closing_and_after_15_00_on_the_next_working_day() {
        for (received, expected) in [
            ("2026-05-18 08:00", "2026-05-18 17:00"),
            ("2026-05-18 14:59:59.999999", "2026-05-18 17:00"),
            // The decree says "after 15:00".
            ("2026-05-18 15:00", "2026-05-18 17:00"),
            ("2026-05-18 15:00:00.000001", "2026-05-19 17:00"),
            ("2026-05-15 16:00", "2026-05-18 17:00"),
            ("2026-05-16 08:00", "2026-05-18 17:00"),
            ("2026-11-23 16:00", "2026-11-25 17:00"),
            ("2024-05-04 09:00", "2024-05-04 17:00"),
        ] {
            let due = due("same-day", received);
            assert_eq!(
                due,
                Due { time: wall(expected), granularity: Granularity::Instant },
                "{received}"
            );
        }
        let short = hours("07:00-11:00", "12:00-14:00").expect("office hours");
        let after_closing = Term::SameDay.due(wall("2026-05-18 14:30"), &official(), &short);
        assert_eq!(after_closing.time, wall("2026-05-19 14:00"));
    }

    #[test]
    fn a_term_in_days_is_judged_by_the_date() {
        let due = due("3d", "2026-05-14 09:00");
        assert_eq!(due.due_date(), date("2026-05-19"));
        for (completed, completion) in [
            ("2026-05-18 23:59", Completion::Early),
            ("2026-05-19 00:00", Completion::OnTime),
            ("2026-05-19 23:59", Completion::OnTime),
            ("2026-05-20 00:00", Completion::Overdue),
        ] {
            assert_eq!(due.classify(wall(completed)), completion, "{completed}");
        }
        assert!(!due.is_breached(wall("2026-05-19 23:59:59.999999")));
        assert!(due.is_breached(wall("2026-05-20 00:00")));
    }

    #[test]
    fn a_term_in_hours_is_judged_by_the_instant() {
        let due = due("2h", "2026-05-18 08:00");
        assert_eq!(due.due_date(), date("2026-05-18"));
        for (completed, completion) in [
            ("2026-05-18 09:59:59.999999", Completion::Early),
            ("2026-05-18 10:00", Completion::OnTime),
            ("2026-05-18 10:00:00.000001", Completion::Overdue),
        ] {
            assert_eq!(due.classify(wall(completed)), completion, "{completed}");
        }
        assert!(!due.is_breached(wall("2026-05-18 09:59:59.999999")));
        assert!(due.is_breached(wall("2026-05-18 10:00")));
    }

    #[test]
    fn a_term_has_one_spelling() {
        for name in ["3d", "0d", "65535d", "8h", "0h", "same-day"] {
            assert_eq!(name.parse::<Term>().expect(name).to_string(), name);
        }
        for name in
            ["", "d", "3", "3D", "03d", "+3d", "-1d", "3 d", "65536d", "same_day", "1.5h", "３d"]
        {
            let error = name.parse::<Term>().expect_err(name);
            assert!(error.to_string().contains("a term looks like 3d"), "{error}");
        }
    }

    #[test]
    fn office_hours_are_read_as_written_and_must_be_in_order() {
        let default = OfficeHours::default();
        let written = Sessions::from(default);
        assert_eq!(
            (written.morning.as_str(), written.afternoon.as_str()),
            ("07:30-11:30", "13:30-17:00")
        );
        assert_eq!(OfficeHours::try_from(written), Ok(default));
        assert_eq!((default.opening(), default.closing()), (time("07:30"), time("17:00")));
        assert_eq!(hours("11:30-07:30", "13:30-17:00"), Err(OfficeHoursError::Disordered));
        assert_eq!(hours("07:30-14:00", "13:30-17:00"), Err(OfficeHoursError::Disordered));
        assert_eq!(hours("07:30-11:30", "17:00-17:00"), Err(OfficeHoursError::Disordered));
        assert!(matches!(
            hours("7.30 to 11.30", "13:30-17:00"),
            Err(OfficeHoursError::Unreadable(_))
        ));
        let seconds = OfficeHours::new((time("07:30:30"), time("11:30")), default.afternoon());
        assert_eq!(seconds, Err(OfficeHoursError::NotWholeMinutes));
    }

    #[test]
    fn an_amended_calendar_moves_the_due_date() {
        let storm = SpecialDay::new(date("2026-05-19"), SpecialKind::InLieu, "Nghỉ bão");
        let amended = official().days().cloned().chain([storm]).collect::<Vec<_>>();
        let amended = WorkingCalendar::from_days(amended).expect("a calendar");
        let received = wall("2026-05-14 09:00");
        let due = |calendar: &WorkingCalendar| {
            Term::WorkingDays(3).due(received, calendar, &OfficeHours::default())
        };
        assert_eq!(due(&official()).due_date(), date("2026-05-19"));
        assert_eq!(due(&amended).due_date(), date("2026-05-20"));
        assert_ne!(amended.version(), official().version());
    }
}
