//! Streams of requests.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, Streaming};

use crate::error::stream_broken;

/// How long a sender may say nothing: others wait for its place.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// The next message of a stream.
///
/// Errors: ABORTED (STREAM_BROKEN), also where nothing came for too long; what `too_large` says of one that is larger than what is
/// decoded at all.
pub(super) async fn next<T>(
    stream: &mut Streaming<T>,
    too_large: impl FnOnce() -> Status,
) -> Result<Option<T>, Status> {
    match tokio::time::timeout(SILENCE_LIMIT, stream.message()).await {
        Ok(Ok(message)) => Ok(message),
        Ok(Err(status)) if status.code() == Code::OutOfRange => Err(too_large()),
        Ok(Err(status)) => Err(stream_broken(status.message())),
        Err(_) => Err(stream_broken(&format!("nothing came for {SILENCE_LIMIT:?}"))),
    }
}

/// How long a sender may stay behind its pace.
pub(super) const GRACE: Duration = Duration::from_secs(60);

/// How fast what a sender sends has to come: others wait for its place.
pub(super) struct Pace {
    grace: Duration,
    least: u32,
    begun: Option<Instant>,
    came: u64,
}

impl Pace {
    /// It may stay for so long behind so many bytes a second.
    pub(super) fn new(grace: Duration, least: u32) -> Self {
        Self { grace, least, begun: None, came: 0 }
    }

    /// What comes next, if it comes in time. That runs from when the first is asked for.
    ///
    /// Errors: ABORTED (STREAM_BROKEN).
    pub(super) async fn in_time<T>(&mut self, next: impl Future<Output = T>) -> Result<T, Status> {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        let limit = self.grace + Duration::from_millis(self.came * 1000 / u64::from(self.least));
        let too_slow = |_| stream_broken(&format!("{} bytes came in {limit:?}", self.came));
        timeout_at(begun + limit, next).await.map_err(too_slow)
    }

    /// Notes that so many bytes came.
    pub(super) fn came(&mut self, bytes: usize) {
        self.came += bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_sender_may_pause_for_as_long_as_what_came_gives_it_and_no_longer() {
        let mut pace = Pace::new(Duration::ZERO, 1);
        // What is there is in time.
        pace.in_time(ready(())).await.unwrap();
        let refused = pace.in_time(pending::<()>()).await.unwrap_err();
        assert!(refused.message().contains("0 bytes came in 0ns"), "{refused:?}");
        pace.came(3600);
        let waited = tokio::time::timeout(Duration::ZERO, pace.in_time(pending::<()>())).await;
        assert!(waited.is_err(), "it has an hour");
    }
}
