//! Plain HTTP/1.1 beside the calls: how connections are taken.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// For the head of a request, and for a whole connection with all its requests: whoever asks regularly connects again.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
const CONNECTION_LIMIT: Duration = Duration::from_secs(120);
/// Of a request's head: an address, a token and little else.
const LARGEST_HEAD: usize = 16 * 1024;

/// Where it will be, or none for an empty address. `key` is the one of the configuration.
pub(crate) async fn bind(
    key: &str,
    listen: &str,
) -> anyhow::Result<Option<(TcpListener, SocketAddr)>> {
    if listen.is_empty() {
        return Ok(None);
    }
    let address: SocketAddr = listen.parse().with_context(|| format!("{key} {listen}"))?;
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("{key}: {address} cannot be listened on"))?;
    let address = listener.local_addr()?;
    Ok(Some((listener, address)))
}

/// Answers until `stopping`, on so many connections at once; more wait. What is under way then is answered, and waited for
/// by `tracker`.
pub(crate) async fn serve(
    listener: TcpListener,
    pages: Router,
    most: usize,
    stopping: CancellationToken,
    tracker: TaskTracker,
) {
    let connections = Arc::new(Semaphore::new(most));
    loop {
        let next = async {
            let room = connections.clone().acquire_owned().await;
            (room, listener.accept().await)
        };
        match stopping.run_until_cancelled(next).await {
            Some((Ok(room), Ok((stream, _)))) => {
                let connection = connection(stream, pages.clone(), stopping.clone());
                tracker.spawn(async move {
                    connection.await;
                    drop(room);
                });
            }
            // Out of file handles, most likely: a moment later there may be some.
            Some((Ok(_), Err(_))) => tokio::time::sleep(Duration::from_millis(100)).await,
            // The semaphore is never closed.
            None | Some((Err(_), _)) => return,
        }
    }
}

async fn connection(stream: TcpStream, pages: Router, stopping: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_header_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(pages));
    let mut connection = pin!(connection);
    let served = async {
        let ended = stopping.run_until_cancelled(connection.as_mut()).await;
        if ended.is_none() {
            connection.as_mut().graceful_shutdown();
            // A client that breaks off is no concern of anybody.
            let _ = connection.await;
        }
    };
    // It is cut off: whoever reads so slowly reads nothing.
    let _ = tokio::time::timeout(CONNECTION_LIMIT, served).await;
}
