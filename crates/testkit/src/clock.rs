//! The clock of a test, which all services follow wherever they live.

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::{Clock, ManualClock};

/// Stands still until the test moves it. Services in other processes read it from a file.
#[derive(Clone, Debug)]
pub struct TestClock {
    here: ManualClock,
    file: PathBuf,
}

impl TestClock {
    /// A clock standing at `now`, told in `file`.
    pub(crate) fn at(now: DateTime<Utc>, file: PathBuf) -> Self {
        let clock = Self { here: ManualClock::at(now), file };
        clock.tell();
        clock
    }

    /// Moves the clock to `t`, forwards or backwards.
    pub fn set(&self, t: DateTime<Utc>) {
        self.here.set(t);
        self.tell();
    }

    /// Moves the clock by `by`.
    pub fn advance(&self, by: TimeDelta) {
        self.here.advance(by);
        self.tell();
    }

    fn tell(&self) {
        // Whoever reads meanwhile finds the old time or the new one, and never half of it.
        let new = self.file.with_extension("new");
        std::fs::write(&new, self.now().to_rfc3339()).expect("a file that tells the time");
        std::fs::rename(&new, &self.file).expect("a file that tells the time");
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        self.here.now()
    }
}
