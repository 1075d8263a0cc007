//! How long a call may take here.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::time::Instant;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::BoxError;
use crate::contract::{Method, method};
use crate::deadline::{Bounded, passed, timeout, within};

/// Gives every call a deadline, [`crate::deadline`]: the caller's, and for unary calls this server's where that is
/// earlier. When it passes, the call is dropped, and with it the transaction that it may be in; it is answered
/// DEADLINE_EXCEEDED, and so is what was left of a stream.
///
/// tonic keeps the caller's time as well, knows no reasons, and begins to count when the layers around all routes have
/// been called. So this one is to be among those: a router calls its own later, and would now and then be second.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineLayer {
    unary_limit: Duration,
}

impl DeadlineLayer {
    /// With the longest that a unary call may take.
    pub fn new(unary_limit: Duration) -> Self {
        // Reads the contract now, and not while the first call's time runs.
        method("");
        Self { unary_limit }
    }

    fn of<B>(&self, method: Option<&Method>, request: &Request<B>) -> Option<Instant> {
        let asked = timeout(request.headers());
        let own = method.is_some_and(Method::is_unary).then_some(self.unary_limit);
        // A limit beyond all time is none.
        Instant::now().checked_add([asked, own].into_iter().flatten().min()?)
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { inner, layer: *self }
    }
}

/// What [`DeadlineLayer`] puts around a service.
#[derive(Clone, Debug)]
pub struct Deadline<S> {
    inner: S,
    layer: DeadlineLayer,
}

impl<S, A, B> Service<Request<A>> for Deadline<S>
where
    S: Service<Request<A>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let method = method(request.uri().path());
        let deadline = self.layer.of(method, &request);
        let streams = method.is_none_or(|method| method.answers_stream);
        let call = self.inner.call(request);
        Box::pin(async move {
            let Some(deadline) = deadline else { return Ok(call.await?.map(Body::new)) };
            match within(deadline, call).await {
                None => Ok(passed().into_http()),
                Some(answer) if streams => {
                    Ok(answer?.map(|body| Body::new(Bounded::by_trailers(body, deadline))))
                }
                Some(answer) => Ok(answer?.map(Body::new)),
            }
        })
    }
}
