//! Where the services of a suite find each other.

use std::sync::{Arc, OnceLock};

use dunghan_calendar::SystemClock;
use dunghan_proto::policy::ErrorReason;
use dunghan_rpc::{BoxError, Issuer, Peer, ServiceToken, authorized, peer, refuse};
use tonic::Code;
use tonic::body::Body;
use tonic::service::Routes;
use tower::ServiceExt as _;

/// All services of this process share one set of routes, which is there when the last of them has started. Before
/// that a call is UNAVAILABLE: there is no order of starting, and no cycle.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    pub(crate) routes: Arc<OnceLock<Routes>>,
    pub(crate) issuer: Issuer,
}

impl Peers {
    pub(crate) fn new(issuer: Issuer) -> Self {
        Self { routes: Arc::default(), issuer }
    }

    pub(crate) fn peer(&self, from: &'static str, to: &'static str) -> Peer {
        let routes = self.routes.clone();
        let in_process = tower::service_fn(move |request: http::Request<Body>| {
            let routes = routes.get().cloned();
            async move {
                let Some(routes) = routes else {
                    let message = format!("{to} has not started");
                    let status =
                        refuse(Code::Unavailable, ErrorReason::PeerUnavailable, message, []);
                    return Err(BoxError::from(status));
                };
                routes.oneshot(request).await.map_err(BoxError::from)
            }
        });
        // Tokens live on wall time even where the services follow another clock.
        let token = ServiceToken::new(self.issuer.clone(), from, Arc::new(SystemClock));
        authorized(peer(in_process), token)
    }
}
