//! The layer before every service: no policy, no token or no role means no call.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use dunghan_proto::policy::ErrorReason;
use futures_core::BoxFuture;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::{Caller, Issuer, Policies, refuse};

/// Services that need no token: whoever can reach the port may ask whether it lives and what it offers.
const OPEN: [&str; 3] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

mod futures_core {
    pub(super) type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;
}

/// Puts a [`Guard`] around a service.
#[derive(Clone, Debug)]
pub struct GuardLayer {
    policies: Arc<Policies>,
    issuer: Issuer,
}

impl GuardLayer {
    /// With the policies of the contract and the issuer whose tokens hold.
    pub fn new(policies: Policies, issuer: Issuer) -> Self {
        Self { policies: Arc::new(policies), issuer }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, layer: self.clone() }
    }
}

/// Lets calls through that their policy allows, with a [`Caller`] in the request's extensions.
#[derive(Clone, Debug)]
pub struct Guard<S> {
    inner: S,
    layer: GuardLayer,
}

impl<S> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        if !OPEN.iter().any(|open| path.starts_with(open)) {
            match self.layer.caller(&request) {
                Ok(caller) => {
                    request.extensions_mut().insert(caller);
                }
                Err(status) => {
                    let response = status.into_http();
                    return Box::pin(std::future::ready(Ok(response)));
                }
            }
        }
        Box::pin(self.inner.call(request))
    }
}

impl GuardLayer {
    fn caller(&self, request: &Request<Body>) -> Result<Caller, Status> {
        let path = request.uri().path();
        let token = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let identity = token.and_then(|token| self.issuer.verify(token).ok()).ok_or_else(|| {
            let message = "the call carries no token that holds: send authorization: Bearer TOKEN";
            refuse(Code::Unauthenticated, ErrorReason::Unauthenticated, message, [])
        })?;
        let policy = self.policies.get(path).ok_or_else(|| {
            let message = format!("{path} does not exist or declares no policy");
            refuse(
                Code::PermissionDenied,
                ErrorReason::NoPolicy,
                message,
                [("path", path.to_owned())],
            )
        })?;
        let grants: Vec<_> = identity
            .grants
            .into_iter()
            .filter(|grant| policy.roles.contains(&grant.role))
            .collect();
        if grants.is_empty() {
            let roles: Vec<_> = policy
                .roles
                .iter()
                .map(|role| role.as_str_name().trim_start_matches("ROLE_").to_lowercase())
                .collect();
            let message = format!("{path} is for {}", roles.join(", "));
            return Err(refuse(
                Code::PermissionDenied,
                ErrorReason::RoleMissing,
                message,
                [("roles", roles.join(","))],
            ));
        }
        Ok(Caller::new(identity.subject, grants))
    }
}
