//! A call that panics is answered.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, Response};
use tower::{Layer, Service};

use crate::internal;

/// Answers INTERNAL where a call panics. Otherwise the panic would end the connection, and inside the process whoever
/// calls: a job as well.
#[derive(Clone, Copy, Debug, Default)]
pub struct PanicLayer;

impl<S> Layer<S> for PanicLayer {
    type Service = CatchPanic<S>;

    fn layer(&self, inner: S) -> CatchPanic<S> {
        CatchPanic { inner }
    }
}

/// What [`PanicLayer`] puts around a service.
#[derive(Clone, Debug)]
pub struct CatchPanic<S> {
    inner: S,
}

impl<S, A, B> Service<Request<A>> for CatchPanic<S>
where
    S: Service<Request<A>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Default,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<B>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let call = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        Box::pin(call.map(|answer| {
            answer.unwrap_or_else(|_| {
                let cause = std::io::Error::other("it panicked; standard error has where");
                Ok(internal("a call", &cause).into_http())
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use tonic::body::Body;

    use super::*;

    #[tokio::test]
    async fn a_call_that_panics_is_answered() {
        let answer = async |panics: bool| {
            let service = tower::service_fn(move |_: Request<Body>| async move {
                assert!(!panics, "as the test wants it");
                Ok::<_, Infallible>(Response::new(Body::empty()))
            });
            let answer = PanicLayer.layer(service).call(Request::new(Body::empty())).await.unwrap();
            answer.headers().get("grpc-status").map(|code| code.to_str().unwrap().to_owned())
        };
        assert_eq!(answer(false).await, None);
        assert_eq!(answer(true).await, Some("13".to_owned()));
    }
}
