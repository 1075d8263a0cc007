//! The innermost layer before every service: no policy, no token or no role means no call.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use dunghan_calendar::SystemClock;
use dunghan_proto::policy::ErrorReason;
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::verified::Verifier;
use crate::{Caller, Issuer, Methods, Over, refuse};

/// Services that need no token: whoever can reach the port may ask whether it lives and what it offers.
const OPEN: [&str; 3] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

/// Puts a [`Guard`] around a service.
#[derive(Clone, Debug)]
pub struct GuardLayer {
    methods: Arc<Methods>,
    tokens: Verifier,
}

impl GuardLayer {
    /// With the policies of the contract and the issuer whose tokens hold.
    pub fn new(methods: Methods, issuer: Issuer) -> Self {
        let tokens = Verifier::new(issuer, Arc::new(SystemClock));
        Self { methods: Arc::new(methods), tokens }
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

impl<S, A, B> Service<Request<A>> for Guard<S>
where
    S: Service<Request<A>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Default + Send + 'static,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<B>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
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
        let call = self.inner.call(request);
        Box::pin(async move {
            let response = call.await?;
            Ok(if guarded { explained(response) } else { response })
        })
    }
}

/// The answer, with a reason where it is a refusal that has none: those come from below the handlers, which never saw a
/// message that was too large or did not decode.
fn explained<B: Default>(response: Response<B>) -> Response<B> {
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

impl GuardLayer {
    fn caller<A>(&self, request: &Request<A>) -> Result<Caller, Status> {
        let path = request.uri().path();
        let token = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let verified = token.and_then(|token| self.tokens.verify(token).ok()).ok_or_else(|| {
            let message = "the call carries no token that holds: send authorization: Bearer TOKEN";
            refuse(Code::Unauthenticated, ErrorReason::Unauthenticated, message, [])
        })?;
        let method = self.methods.get(path);
        let policy = method.and_then(|method| method.policy.as_ref()).ok_or_else(|| {
            let message = format!("{path} does not exist or declares no policy");
            refuse(
                Code::PermissionDenied,
                ErrorReason::NoPolicy,
                message,
                [("path", path.to_owned())],
            )
        })?;
        let identity = &verified.identity;
        let held = identity.grants.iter().filter(|grant| policy.roles.contains(&grant.role));
        let grants: Vec<_> = held.cloned().collect();
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
        Ok(Caller::new(identity.subject.clone(), grants))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use dunghan_calendar::Clock as _;
    use futures::FutureExt as _;
    use tonic::body::Body;
    use tonic_types::StatusExt as _;

    use super::*;
    use crate::{Identity, internal};

    /// With what gRPC code the guard answers a call; empty: it lets it through.
    fn code(path: &str, grants: &[&str]) -> String {
        let issuer = Issuer::ephemeral().unwrap();
        let grants = grants.iter().map(|grant| grant.parse().unwrap()).collect();
        let identity = Identity { subject: "lan".to_owned(), grants };
        let token = issuer.sign(&identity, SystemClock.now(), TimeDelta::minutes(1)).unwrap();
        let inner = tower::service_fn(async |_: Request<Body>| {
            Ok::<_, Infallible>(Response::new(Body::empty()))
        });
        let request = Request::builder()
            .uri(path)
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        let layer = GuardLayer::new(Methods::of_contract().unwrap(), issuer);
        let answer = layer.layer(inner).call(request).now_or_never().unwrap().unwrap();
        let code = answer.headers().get("grpc-status");
        code.map_or_else(String::new, |code| code.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_refusal_without_a_reason_is_given_one() {
        #[expect(clippy::disallowed_methods, reason = "as the transport makes them")]
        let bare: Response<Body> = Status::new(Code::OutOfRange, "too large").into_http();
        let status = Status::from_header_map(explained(bare).headers()).unwrap();
        assert_eq!((status.code(), status.message()), (Code::OutOfRange, "too large"));
        assert_eq!(status.get_details_error_info().unwrap().reason, "ERROR_REASON_TOO_LARGE");
        let reasoned: Response<Body> = internal("this", &std::io::Error::other("that")).into_http();
        assert_eq!(explained(reasoned).headers().get("grpc-status").unwrap(), "13");
        assert!(explained(Response::new(Body::empty())).headers().is_empty());
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
            assert_eq!(code(path, &[part]), "7", "{path}");
            assert_eq!(code(path, &["operator@regimes/cds"]), "7", "{path}");
            assert_eq!(code(path, &[part, "operator"]), "", "{path}");
        }
        assert_eq!(code("/dunghan.registry.v1.RegistryService/GetUnit", &[part]), "");
    }
}
