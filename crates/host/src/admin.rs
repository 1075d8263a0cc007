//! What operators' machines ask over plain HTTP: the metrics, and the health in words.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::health::Health;

/// Connections at once; more wait.
const CONNECTIONS: usize = 16;
/// For the head of a request, and for a whole connection with all its requests: whoever scrapes connects again.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
const CONNECTION_LIMIT: Duration = Duration::from_secs(120);

/// Where it will be, or none for an empty address.
pub(crate) async fn bind(listen: &str) -> anyhow::Result<Option<(TcpListener, SocketAddr)>> {
    if listen.is_empty() {
        return Ok(None);
    }
    let address: SocketAddr = listen.parse().with_context(|| format!("admin.listen {listen}"))?;
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.with_context(|| format!("admin.listen: {address} cannot be listened on"))?;
    let address = listener.local_addr()?;
    Ok(Some((listener, address)))
}

/// Answers until `stopping`.
pub(crate) async fn serve(listener: TcpListener, health: Health, stopping: CancellationToken) {
    let page = axum::Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(move || said(health.clone())));
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(room) = connections.clone().acquire_owned().await else { return };
        let accepted = match stopping.run_until_cancelled(listener.accept()).await {
            None => return,
            Some(Ok((stream, _))) => stream,
            // Out of file handles, most likely: a moment later there may be some.
            Some(Err(_)) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let page = TowerToHyperService::new(page.clone());
        let stopping = stopping.clone();
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_LIMIT)
                .serve_connection(TokioIo::new(accepted), page);
            let limited = tokio::time::timeout(CONNECTION_LIMIT, connection);
            // A client that breaks off is no concern of anybody.
            let _ = stopping.run_until_cancelled(limited).await;
            drop(room);
        });
    }
}

async fn metrics() -> Response {
    let format = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (format, dunghan_telemetry::metrics_page()).into_response()
}

/// The names of grpc.health.v1, each with whether it serves; 503 where one does not.
async fn said(health: Health) -> Response {
    let all = health.all().await;
    let status = match all.values().all(|serves| *serves) {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = serde_json::to_string(&all).unwrap_or_default();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}
