//! The official working calendar that is compiled in.

use dunghan_calendar::{CalendarError, WorkingCalendar};

const HOLIDAYS: &str = include_str!("../../data/holidays.csv");

/// The civil service's working calendar of Vietnam.
///
/// Errors: the compiled-in list does not read; a test holds that it does.
pub fn official() -> Result<WorkingCalendar, CalendarError> {
    WorkingCalendar::from_csv(HOLIDAYS)
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    #[test]
    fn the_list_reads_and_knows_the_saturday_worked_for_the_monday_off() {
        let calendar = official().unwrap();
        let day = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap();
        assert!(calendar.is_working(day(2024, 5, 4)));
        assert!(!calendar.is_working(day(2024, 4, 29)));
        assert!(!calendar.is_working(day(2026, 11, 24)));
    }
}
