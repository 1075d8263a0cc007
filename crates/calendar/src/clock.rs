//! Where `now` comes from. Only the edge of a service holds a clock; rules take instants as arguments.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Tells the time, in whole microseconds.
///
/// No finer, because no database here keeps more: an instant must compare equal to itself once read back.
pub trait Clock: Send + Sync + std::fmt::Debug + 'static {
    /// The present instant.
    fn now(&self) -> DateTime<Utc>;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> DateTime<Utc> {
        whole_microseconds(Utc::now())
    }
}

/// A clock that stands still until told otherwise. Its clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<DateTime<Utc>>>);

impl ManualClock {
    /// A clock standing at `t`.
    pub fn at(t: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(whole_microseconds(t))))
    }

    /// Moves the clock to `t`, forwards or backwards.
    pub fn set(&self, t: DateTime<Utc>) {
        self.change(|_| t);
    }

    /// Moves the clock by `by`; beyond the last representable instant it stays where it was.
    pub fn advance(&self, by: TimeDelta) {
        self.change(|now| now.checked_add_signed(by).unwrap_or(now));
    }

    fn change(&self, to: impl FnOnce(DateTime<Utc>) -> DateTime<Utc>) {
        // The value is whole at every moment, so a panic elsewhere while the lock was held spoils nothing.
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = whole_microseconds(to(*now));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn whole_microseconds(t: DateTime<Utc>) -> DateTime<Utc> {
    t.trunc_subsecs(6)
}

#[cfg(test)]
mod tests {
    use chrono::Timelike;

    use super::*;
    use crate::fixture::instant;

    #[test]
    fn the_machines_clock_tells_whole_microseconds() {
        assert_eq!(SystemClock.now().nanosecond() % 1_000, 0);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told_and_its_clones_with_it() {
        let clock = ManualClock::at(instant("2026-05-18T09:30:00.123456789Z"));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        assert_eq!(shared.now(), instant("2026-05-18T09:30:00.123456Z"));
        clock.advance(TimeDelta::hours(1));
        assert_eq!(shared.now(), instant("2026-05-18T10:30:00.123456Z"));
        clock.set(instant("2024-01-01T00:00:00Z"));
        assert_eq!(shared.now(), instant("2024-01-01T00:00:00Z"));
        clock.advance(TimeDelta::MAX);
        assert_eq!(shared.now(), instant("2024-01-01T00:00:00Z"));
    }

    #[test]
    fn a_poisoned_manual_clock_goes_on_telling_the_time() {
        let clock = ManualClock::at(instant("2026-05-18T09:30:00Z"));
        let held = clock.clone();
        let outcome =
            std::thread::spawn(move || held.change(|_| panic!("while the lock is held"))).join();
        assert!(outcome.is_err());
        assert_eq!(clock.now(), instant("2026-05-18T09:30:00Z"));
    }
}
