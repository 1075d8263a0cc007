//! Streams of requests.

use std::time::Duration;

use tonic::Streaming;

/// How long a client that is refused may go on sending.
const LIMIT: Duration = Duration::from_secs(10);

/// Reads what a client still sends, for a while, before it is refused. A client that is answered while it sends may see
/// its connection break instead of the answer.
pub async fn read_away<T>(stream: &mut Streaming<T>) {
    let reading = async { while let Ok(Some(_)) = stream.message().await {} };
    // Whoever takes longer is refused all the same.
    let _ = tokio::time::timeout(LIMIT, reading).await;
}
