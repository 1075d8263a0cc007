//! Streams of requests.

use std::time::Duration;

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
