//! Another service: its routes where it lives in this process, connections where it does not. No service knows which.

mod addresses;
mod balance;
mod budget;
mod deadline;
mod failed;
mod remote;
mod replay;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::ServiceToken;

pub use addresses::{Addresses, NotAnAddress};
pub use balance::Resolve;
pub use deadline::with_deadline;
pub use failed::Unreachable;
pub use remote::{remote, remote_by};

/// What a call to a peer can fail with, before there is a status.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A service that takes gRPC calls.
///
/// Its error is a status rather than a [`BoxError`]: behind a `dyn` the compiler forgets that it lives for ever, and then
/// does not believe that a future that makes a call is `Send`.
pub type Peer = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Status>;

/// Hides whether it is routes or a channel.
pub fn peer<S>(service: S) -> Peer
where
    S: tower::Service<http::Request<Body>, Response = http::Response<Body>>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service.map_err(|error| Status::from_error(error.into())))
}

/// Calls `inner` with the service's own token: a call inside the process is guarded like any other.
pub fn authorized(inner: Peer, token: ServiceToken) -> Peer {
    let with_token = tower::service_fn(move |mut request: http::Request<Body>| {
        let inner = inner.clone();
        let token = token.clone();
        async move {
            let value = bearer(&token).map_err(Status::from_error)?;
            request.headers_mut().insert(AUTHORIZATION, value);
            inner.oneshot(request).await
        }
    });
    BoxCloneSyncService::new(with_token)
}

fn bearer(token: &ServiceToken) -> Result<HeaderValue, BoxError> {
    Ok(HeaderValue::try_from(format!("Bearer {}", token.get()?))?)
}
