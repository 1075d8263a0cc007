//! How long a call to a peer may take, all attempts together.

use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use super::Peer;
use crate::contract::{Method, method};
use crate::deadline::{Bounded, deadline, passed, set_timeout, timeout, within};

/// Calls `inner` within what is left of the call that is being answered, [`deadline`]; outside of one a unary call may
/// take `default`, and a stream as long as it likes. What the request says itself counts where it is less.
///
/// Errors: DEADLINE_EXCEEDED when that has passed, also for what was under way then; without a call where it had
/// passed before.
pub fn with_deadline(inner: Peer, default: Duration) -> Peer {
    BoxCloneSyncService::new(tower::service_fn(move |request: Request<Body>| {
        call(inner.clone(), default, request)
    }))
}

async fn call(
    inner: Peer,
    default: Duration,
    mut request: Request<Body>,
) -> Result<Response<Body>, Status> {
    let (method, now) = (method(request.uri().path()), Instant::now());
    let asked = timeout(request.headers()).and_then(|asked| now.checked_add(asked));
    let own = deadline().or_else(|| {
        method.is_some_and(Method::is_unary).then(|| now.checked_add(default)).flatten()
    });
    let Some(deadline) = asked.into_iter().chain(own).min() else {
        return inner.oneshot(request).await;
    };
    let left = deadline.saturating_duration_since(now);
    if left.is_zero() {
        return Err(passed());
    }
    set_timeout(request.headers_mut(), left);
    match within(deadline, inner.oneshot(request)).await {
        None => Err(passed()),
        // What fails at the last moment fails because it is the last.
        Some(Err(_)) if Instant::now() >= deadline => Err(passed()),
        Some(Ok(answer)) if method.is_none_or(|method| method.answers_stream) => {
            Ok(answer.map(|body| Body::new(Bounded::by_error(body, deadline))))
        }
        Some(answer) => answer,
    }
}
