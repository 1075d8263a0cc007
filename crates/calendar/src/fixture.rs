//! What the tests of several modules share.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use crate::{WorkingCalendar, zone};

/// The official days of 2020 to 2027.
pub(crate) const HOLIDAYS: &str = include_str!("../testdata/holidays.csv");

pub(crate) fn official() -> WorkingCalendar {
    WorkingCalendar::from_csv(HOLIDAYS).expect("the official days are well formed")
}

pub(crate) fn date(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

pub(crate) fn time(text: &str) -> NaiveTime {
    text.parse().expect("a time")
}

pub(crate) fn instant(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

/// `2026-05-18 16:30`, on the wall in Viet Nam.
pub(crate) fn wall(text: &str) -> DateTime<Utc> {
    let (day, hour) = text.split_once(' ').expect("a date and a time");
    zone::at(date(day), time(hour))
}
