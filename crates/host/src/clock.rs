//! A clock for tests of several processes at once.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use chrono::{DateTime, SubsecRound as _, Utc};
use dunghan_calendar::Clock;

/// Tells the time that a file holds, in RFC 3339. Whoever moves it replaces the file by another (rename).
#[derive(Debug)]
pub struct FileClock {
    file: PathBuf,
    last: Mutex<DateTime<Utc>>,
}

impl FileClock {
    /// Of this file.
    ///
    /// Errors: the file is not there or holds no instant.
    pub fn open(file: impl Into<PathBuf>) -> anyhow::Result<Self> {
        let file = file.into();
        let now = read(&file)?;
        tracing::warn!(file = %file.display(), "the services judge by a clock for tests");
        Ok(Self { file, last: Mutex::new(now) })
    }
}

impl Clock for FileClock {
    fn now(&self) -> DateTime<Utc> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match read(&self.file) {
            Ok(now) => *last = now,
            Err(error) => tracing::error!("the clock stands still: {error:#}"),
        }
        *last
    }
}

fn read(file: &Path) -> anyhow::Result<DateTime<Utc>> {
    let place = || format!("test.clock {}", file.display());
    let text = std::fs::read_to_string(file).with_context(place)?;
    let now: DateTime<Utc> = text.trim().parse().with_context(place)?;
    Ok(now.trunc_subsecs(6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_its_file_and_stands_still_without_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("now");
        assert!(FileClock::open(&file).is_err());
        std::fs::write(&file, "2026-05-20T00:00:00+07:00\n").unwrap();
        let clock = FileClock::open(&file).unwrap();
        assert_eq!(clock.now().to_rfc3339(), "2026-05-19T17:00:00+00:00");
        std::fs::write(&file, "2026-05-20T00:00:00.123456789Z").unwrap();
        assert_eq!(clock.now().to_rfc3339(), "2026-05-20T00:00:00.123456+00:00");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(clock.now().to_rfc3339(), "2026-05-20T00:00:00.123456+00:00");
    }
}
