//! The layer before every service: no policy, no token or no role means no call; and a call that panics is answered.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use dunghan_proto::policy::ErrorReason;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::{Caller, Issuer, Over, Policies, internal, refuse};

/// Services that need no token: whoever can reach the port may ask whether it lives and what it offers.
const OPEN: [&str; 3] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

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
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let guarded = !OPEN.iter().any(|open| path.starts_with(open));
        if guarded {
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
        // Otherwise a panic would end the connection, and inside the process whoever calls: a job as well.
        let call = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        Box::pin(call.map(move |answer| match answer {
            Ok(Ok(response)) if guarded => Ok(explained(response)),
            Ok(answer) => answer,
            Err(_) => Ok(panicked().into_http()),
        }))
    }
}

/// The answer, with a reason where it is a refusal that has none: those come from below the handlers, which never saw a
/// message that was too large or did not decode.
fn explained(response: Response<Body>) -> Response<Body> {
    let refused = Status::from_header_map(response.headers())
        .filter(|status| status.code() != Code::Ok && status.details().is_empty());
    match refused {
        None => response,
        Some(status) => {
            let reason = match status.code() {
                Code::OutOfRange | Code::ResourceExhausted => ErrorReason::TooLarge,
                _ => ErrorReason::Internal,
            };
            refuse(status.code(), reason, status.message(), []).into_http()
        }
    }
}

/// What a call is answered that panicked.
fn panicked() -> Status {
    internal("a call", &std::io::Error::other("it panicked; standard error has where"))
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
        let everywhere = grants.iter().any(|grant| grant.over == Over::Everything);
        if policy.is_of_installation() && !everywhere {
            let message = format!("{path} is for a role over the whole installation");
            return Err(refuse(
                Code::PermissionDenied,
                ErrorReason::OutOfScope,
                message,
                [("path", path.to_owned())],
            ));
        }
        Ok(Caller::new(identity.subject, grants))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use dunghan_calendar::{Clock as _, SystemClock};
    use tonic_types::StatusExt as _;

    use super::*;
    use crate::Identity;

    /// With what gRPC code the guard answers a call, before a service that does as `inner` says.
    fn code(path: &str, grants: &[&str], inner: fn()) -> String {
        let issuer = Issuer::ephemeral().unwrap();
        let grants = grants.iter().map(|grant| grant.parse().unwrap()).collect();
        let identity = Identity { subject: "lan".to_owned(), grants };
        let token = issuer.sign(&identity, SystemClock.now(), TimeDelta::minutes(1)).unwrap();
        let inner = tower::service_fn(move |_: Request<Body>| async move {
            inner();
            Ok::<_, Infallible>(Response::new(Body::empty()))
        });
        let request = Request::builder()
            .uri(path)
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        let layer = GuardLayer::new(Policies::of_contract().unwrap(), issuer);
        let answer = layer.layer(inner).call(request).now_or_never().unwrap().unwrap();
        let code = answer.headers().get("grpc-status");
        code.map_or_else(String::new, |code| code.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_refusal_without_a_reason_is_given_one() {
        #[expect(clippy::disallowed_methods, reason = "as the transport makes them")]
        let bare = Status::new(Code::OutOfRange, "too large").into_http();
        let status = Status::from_header_map(explained(bare).headers()).unwrap();
        assert_eq!((status.code(), status.message()), (Code::OutOfRange, "too large"));
        assert_eq!(status.get_details_error_info().unwrap().reason, "ERROR_REASON_TOO_LARGE");
        let reasoned = panicked().into_http();
        assert_eq!(explained(reasoned).headers().get("grpc-status").unwrap(), "13");
        assert!(explained(Response::new(Body::empty())).headers().is_empty());
    }

    #[test]
    fn a_call_that_panics_is_answered() {
        let path = "/dunghan.registry.v1.RegistryService/GetUnit";
        assert_eq!(code(path, &["reader"], || {}), "");
        assert_eq!(code(path, &["reader"], || panic!("as the test wants it")), "13");
    }

    #[test]
    fn what_concerns_the_whole_installation_is_not_for_a_role_over_a_part_of_it() {
        let part = "operator@units/d5b39481-dd84-5e44-9a82-902c1718234c";
        for path in [
            "/dunghan.registry.v1.RegistryService/ImportUnits",
            "/dunghan.registry.v1.RegistryService/ListEvents",
            "/dunghan.compliance.v1.ComplianceService/CreateRegime",
            "/dunghan.compliance.v1.ComplianceService/RunSweep",
        ] {
            assert_eq!(code(path, &[part], || {}), "7", "{path}");
            assert_eq!(code(path, &["operator@regimes/cds"], || {}), "7", "{path}");
            assert_eq!(code(path, &[part, "operator"], || {}), "", "{path}");
        }
        assert_eq!(code("/dunghan.registry.v1.RegistryService/GetUnit", &[part], || {}), "");
    }
}
