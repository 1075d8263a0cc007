//! Civil dates and instants in Viet Nam.
//!
//! The zone is a fixed +07:00: Viet Nam has kept it everywhere, without summer time, since 13 June 1975. Earlier
//! dates are read with the same offset; no report or dossier is that old.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

const OFFSET: TimeDelta = TimeDelta::hours(7);

/// The date on the wall in Viet Nam at `t`. Saturates at the ends of what [`NaiveDate`] holds.
pub fn civil_date(t: DateTime<Utc>) -> NaiveDate {
    civil_time(t).date()
}

/// The date and time on the wall in Viet Nam at `t`. Saturates at the ends of what [`NaiveDateTime`] holds.
pub fn civil_time(t: DateTime<Utc>) -> NaiveDateTime {
    t.naive_utc().checked_add_signed(OFFSET).unwrap_or(NaiveDateTime::MAX)
}

/// The midnight in Viet Nam that begins `date`.
pub fn start_of(date: NaiveDate) -> DateTime<Utc> {
    at(date, NaiveTime::MIN)
}

/// The midnight in Viet Nam that ends `date`: the exclusive due time of what is due on `date`.
pub fn end_of(date: NaiveDate) -> DateTime<Utc> {
    date.succ_opt().map_or(DateTime::<Utc>::MAX_UTC, start_of)
}

/// The instant at which clocks in Viet Nam show `time` on `date`. Saturates at the earliest representable instant.
pub fn at(date: NaiveDate, time: NaiveTime) -> DateTime<Utc> {
    date.and_time(time).checked_sub_signed(OFFSET).map_or(DateTime::<Utc>::MIN_UTC, |t| t.and_utc())
}

/// An instant as Vietnamese texts write it: `16:30 ngày 18/05/2026`.
pub fn format_vi(t: DateTime<Utc>) -> String {
    civil_time(t).format("%H:%M ngày %d/%m/%Y").to_string()
}

/// A date as Vietnamese texts write it: `18/05/2026`.
pub fn date_vi(date: NaiveDate) -> String {
    date.format("%d/%m/%Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{date, instant, time};

    #[test]
    fn a_civil_date_changes_at_17_00_utc() {
        assert_eq!(civil_date(instant("2026-05-18T16:59:59.999999Z")), date("2026-05-18"));
        assert_eq!(civil_date(instant("2026-05-18T17:00:00Z")), date("2026-05-19"));
    }

    #[test]
    fn a_date_lasts_from_midnight_to_midnight_in_viet_nam() {
        assert_eq!(start_of(date("2026-05-19")), instant("2026-05-18T17:00:00Z"));
        assert_eq!(end_of(date("2026-05-19")), instant("2026-05-19T17:00:00Z"));
        assert_eq!(at(date("2026-05-19"), time("16:30")), instant("2026-05-19T09:30:00Z"));
    }

    #[test]
    fn instants_and_dates_are_written_as_in_vietnamese_texts() {
        assert_eq!(format_vi(instant("2026-05-18T09:30:00Z")), "16:30 ngày 18/05/2026");
        assert_eq!(date_vi(date("2026-02-01")), "01/02/2026");
    }

    #[test]
    fn the_ends_of_time_saturate() {
        assert_eq!(civil_date(DateTime::<Utc>::MAX_UTC), NaiveDate::MAX);
        assert_eq!(civil_date(DateTime::<Utc>::MIN_UTC), NaiveDate::MIN);
        assert_eq!(start_of(NaiveDate::MIN), DateTime::<Utc>::MIN_UTC);
        assert_eq!(end_of(NaiveDate::MAX), DateTime::<Utc>::MAX_UTC);
        assert!(!format_vi(DateTime::<Utc>::MAX_UTC).is_empty());
    }
}
