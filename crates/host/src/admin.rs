//! What operators' machines ask over plain HTTP: the metrics, and the health in words.

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::health::Health;

/// Connections at once.
pub(crate) const CONNECTIONS: usize = 16;

/// What there is to ask.
pub(crate) fn pages(health: Health) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(move || said(health.clone())))
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
