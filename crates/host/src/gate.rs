//! The way to the services, which is shut until they have started.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use dunghan_proto::policy::ErrorReason;
use dunghan_rpc::refuse;
use futures::future::Either;
use http::{Request, Response};
use tonic::Code;
use tower::Service;

/// What `grpc.` owns is answered at any time: whether the process lives, and what it offers.
const ALWAYS_OPEN: &str = "/grpc.";

/// Lets calls through to the services once these are there. Until then a call is UNAVAILABLE; calls inside the process
/// come this way too, so there is no order of starting and no cycle.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    always: Router,
    services: Arc<OnceLock<Router>>,
}

impl Gate {
    /// With what is answered at any time.
    pub(crate) fn new(always: Router) -> Self {
        Self { always: always.with_state(()), services: Arc::default() }
    }

    /// Opens it. Once: whoever opens is the one who started them.
    pub(crate) fn open(&self, services: Router) {
        // With its state, which is none, it is cheap to clone.
        let services = services.fallback(not_here).with_state(());
        let _ = self.services.set(services);
    }
}

impl Service<Request<Body>> for Gate {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<
        <Router as Service<Request<Body>>>::Future,
        Ready<Result<Response<Body>, Infallible>>,
    >;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let routes = match request.uri().path().starts_with(ALWAYS_OPEN) {
            true => Some(&self.always),
            false => self.services.get(),
        };
        match routes {
            Some(routes) => Either::Left(routes.clone().call(request)),
            None => {
                let message = "the process has not finished starting; try again";
                let refused = refuse(Code::Unavailable, ErrorReason::NotReady, message, []);
                Either::Right(ready(Ok(refused.into_http())))
            }
        }
    }
}

/// For a service of the contract that another process runs.
async fn not_here(request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let message = format!("{path} is not served by this process");
    refuse(Code::Unimplemented, ErrorReason::NoPolicy, message, [("path", path)]).into_http()
}
