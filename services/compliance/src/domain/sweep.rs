//! What sweeps know of each other, and when a clock is not believed.

use chrono::{DateTime, TimeDelta, Utc};

/// A clock that lies further ahead of the last sweep is not believed: an outage of half a year is one, a year is a mistake.
pub const FURTHEST: TimeDelta = TimeDelta::days(200);

/// The latest moment for which a sweep was done, whoever did it, and the last that did all it had to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepMark {
    /// The latest moment. It never goes back.
    pub swept: DateTime<Utc>,
    /// The moment of the last sweep that did all it had to, by the clock of then.
    pub success: Option<DateTime<Utc>>,
}

impl SweepMark {
    /// Whether a clock that reads `now` lies so far ahead that nobody is accused by it, and nothing opened.
    pub fn is_jumped(&self, now: DateTime<Utc>) -> bool {
        now.signed_duration_since(self.swept) > FURTHEST
    }

    /// Whether sweeps do what they are there for: the last success is no longer ago than `limit`, and the clock is believed.
    pub fn is_well(&self, now: DateTime<Utc>, limit: TimeDelta) -> bool {
        let recent = |success| now.signed_duration_since(success) <= limit;
        !self.is_jumped(now) && self.success.is_some_and(recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::obligation::tests::time;

    const SWEPT: &str = "2026-05-20T00:00:05+07:00";

    #[test]
    fn two_hundred_days_ahead_are_an_outage_and_a_microsecond_more_is_a_mistake() {
        let swept = time(SWEPT);
        let mark = SweepMark { swept, success: Some(swept) };
        let outage = swept + TimeDelta::days(200);
        assert!(!mark.is_jumped(outage));
        assert!(mark.is_jumped(outage + TimeDelta::microseconds(1)));
        // Whatever it reads, a clock that goes back makes nothing fall due.
        assert!(!mark.is_jumped(swept - TimeDelta::days(4000)));
    }

    #[test]
    fn sweeps_are_well_while_the_last_success_is_recent_by_a_clock_that_is_believed() {
        let swept = time(SWEPT);
        let limit = TimeDelta::minutes(15);
        let mark = SweepMark { swept, success: Some(swept) };
        assert!(mark.is_well(swept + limit, limit));
        assert!(!mark.is_well(swept + limit + TimeDelta::microseconds(1), limit));
        assert!(!SweepMark { swept, success: None }.is_well(swept, limit));
        let far = swept + TimeDelta::days(201);
        assert!(!mark.is_well(far, TimeDelta::days(400)), "recent enough, and not believed");
        // Sweeps by a clock that went back succeed; what it means is for whoever compares clocks.
        assert!(mark.is_well(swept - TimeDelta::days(30), limit));
    }
}
