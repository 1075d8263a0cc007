//! What every call passes through, whether it comes over a socket or from a service beside.

use std::time::Duration;

use dunghan_rpc::{DeadlineLayer, GuardLayer, PanicLayer, Peer, peer};
use dunghan_telemetry::ServerLayer;
use tonic::body::Body;
use tonic::transport::Server;
use tower::ServiceBuilder;

use crate::gate::Gate;

/// Calls that one connection may have under way; tonic sets no limit of its own.
const CALLS_PER_CONNECTION: u32 = 200;
/// A client that is gone without a word is noticed after both.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_LIMIT: Duration = Duration::from_secs(10);
/// What a stream, and a connection with all its streams, may have on the way to a handler, in bytes. A client may send each
/// row of an import in a frame of its own; half of the connection's window is what h2 allows frames to take beyond their
/// content, before it closes the connection. One stream of the smallest frames takes 6.6 MB.
const STREAM_WINDOW: u32 = 128 << 10;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Of a call's metadata: a token, a trace and little else.
const LARGEST_HEADERS: u32 = 16 * 1024;
/// Calls that a client may take back before they were begun, and that the server may give up, before the connection is
/// closed: more is no client but an attack.
const TAKEN_BACK: usize = 20;
const GIVEN_UP: usize = 1024;

/// The largest request that a service takes, unless it says otherwise, in bytes.
pub const LARGEST_REQUEST: usize = 4 << 20;
/// The largest answer that a service gives, in bytes: ten reports with the longest texts fit.
pub const LARGEST_ANSWER: usize = 256 << 20;

/// The layers around the gate, outermost first: what is seen of a call, what becomes of one that panics or takes too
/// long, who may make it.
pub(crate) fn stack(gate: Gate, guard: GuardLayer, limit: Duration) -> Peer {
    let layers = ServiceBuilder::new()
        .map_response(|response: http::Response<_>| response.map(Body::new))
        .map_request(|request: http::Request<Body>| request.map(axum::body::Body::new))
        .layer(ServerLayer::new())
        .layer(PanicLayer)
        .layer(DeadlineLayer::new(limit))
        .layer(guard);
    peer(layers.service(gate))
}

/// How connections are taken.
pub(crate) fn server() -> Server {
    Server::builder()
        .max_concurrent_streams(Some(CALLS_PER_CONNECTION))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_LIMIT))
        .http2_max_header_list_size(LARGEST_HEADERS)
        .http2_max_pending_accept_reset_streams(Some(TAKEN_BACK))
        .http2_max_local_error_reset_streams(Some(GIVEN_UP))
}
