//! The innermost layer before every service: no policy, no token or no role means no call.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use dunghan_calendar::SystemClock;
use dunghan_proto::policy::{ErrorReason, Role};
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::verified::Verifier;
use crate::{Caller, Issuer, Methods, Over, StoredGrants, refuse};

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
    stored: StoredGrants,
}

impl GuardLayer {
    /// With the policies of the contract, the issuer whose tokens hold, and what is granted beside them.
    pub fn new(methods: Methods, issuer: Issuer, stored: StoredGrants) -> Self {
        let tokens = Verifier::new(issuer, Arc::new(SystemClock));
        Self { methods: Arc::new(methods), tokens, stored }
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
        let mut grants: Vec<_> = held.cloned().collect();
        // What services may do is no matter of what people are granted.
        if identity.grants.iter().all(|grant| grant.role != Role::Service) {
            self.stored.add_to(&mut grants, &identity.subject, &policy.roles);
        }
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
    use dunghan_calendar::{Clock as _, ManualClock, zone};
    use dunghan_hierarchy::Validity;
    use futures::FutureExt as _;
    use tonic::body::Body;
    use tonic_types::StatusExt as _;

    use super::*;
    use crate::{Grant, Identity, StoredGrant, internal};

    fn grants(grants: &[&str]) -> Vec<Grant> {
        grants.iter().map(|grant| grant.parse().unwrap()).collect()
    }

    /// What the guard makes of a call whose token states `stated`: the grants with which it lets it through, or the gRPC
    /// code with which it refuses it.
    fn guarded(path: &str, stated: &[&str], stored: StoredGrants) -> Result<Vec<Grant>, String> {
        let issuer = Issuer::ephemeral().unwrap();
        let identity = Identity { subject: "lan".to_owned(), grants: grants(stated) };
        let token = issuer.sign(&identity, SystemClock.now(), TimeDelta::minutes(1)).unwrap();
        let inner = tower::service_fn(async |request: Request<Body>| {
            let mut response = Response::new(Body::empty());
            response.extensions_mut().extend(request.extensions().clone());
            Ok::<_, Infallible>(response)
        });
        let request = Request::builder()
            .uri(path)
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        let layer = GuardLayer::new(Methods::of_contract().unwrap(), issuer, stored);
        let answer = layer.layer(inner).call(request).now_or_never().unwrap().unwrap();
        match answer.headers().get("grpc-status") {
            Some(code) => Err(code.to_str().unwrap().to_owned()),
            None => Ok(answer.extensions().get::<Caller>().unwrap().grants().to_vec()),
        }
    }

    /// With what gRPC code the guard answers a call; empty: it lets it through.
    fn code(path: &str, stated: &[&str]) -> String {
        guarded(path, stated, none()).err().unwrap_or_default()
    }

    fn none() -> StoredGrants {
        StoredGrants::new(Arc::new(SystemClock))
    }

    const READ: &str = "/dunghan.compliance.v1.ComplianceService/ListObligations";
    const OPERATE: &str = "/dunghan.compliance.v1.ComplianceService/RunSweep";

    /// These, for somebody, from 20/05/2026 to the 22nd, at the beginning of the 20th in Viet Nam.
    fn stored(subject: &str, granted: &[&str]) -> (StoredGrants, ManualClock) {
        let day = |text: &str| text.parse().unwrap();
        let validity = Validity::between(day("2026-05-20"), day("2026-05-23"));
        let clock = ManualClock::at(zone::start_of(day("2026-05-20")));
        let stored = StoredGrants::new(Arc::new(clock.clone()));
        let grants = grants(granted).into_iter();
        let subject = subject.to_owned();
        stored.replace(grants.map(|grant| StoredGrant {
            subject: subject.clone(),
            grant,
            validity,
        }));
        (stored, clock)
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

    #[test]
    fn what_is_stored_for_the_subject_is_added_to_what_the_token_states() {
        let (stored, _) = stored("lan", &["supervisor@regimes/cds", "importer", "operator"]);
        let let_through = |path, stated: &[&str]| guarded(path, stated, stored.clone()).unwrap();
        assert_eq!(let_through(OPERATE, &[]), grants(&["operator"]));
        let both = grants(&["reader", "supervisor@regimes/cds", "operator"]);
        assert_eq!(let_through(READ, &["reader", "importer"]), both);
    }

    #[test]
    fn what_is_stored_for_another_subject_or_another_role_lets_nobody_through() {
        let (of_another, _) = stored("hoa", &["operator"]);
        assert_eq!(guarded(OPERATE, &[], of_another).unwrap_err(), "7");
        let (another_role, _) = stored("lan", &["supervisor"]);
        assert_eq!(guarded(OPERATE, &[], another_role).unwrap_err(), "7");
        let (a_part, _) = stored("lan", &["operator@regimes/cds"]);
        assert_eq!(guarded(OPERATE, &[], a_part).unwrap_err(), "7");
    }

    #[test]
    fn a_stored_grant_holds_from_its_first_day_to_its_last_in_viet_nam() {
        let (stored, clock) = stored("lan", &["operator"]);
        let passes = |stored: &StoredGrants| guarded(OPERATE, &[], stored.clone()).is_ok();
        assert!(passes(&stored));
        clock.advance(TimeDelta::microseconds(-1));
        assert!(!passes(&stored));
        clock.advance(TimeDelta::days(3));
        assert!(passes(&stored));
        clock.advance(TimeDelta::microseconds(1));
        assert!(!passes(&stored));
    }

    #[test]
    fn what_is_put_in_its_place_is_in_force_at_once() {
        let (stored, _) = stored("lan", &["operator"]);
        stored.replace([]);
        assert_eq!(guarded(OPERATE, &[], stored).unwrap_err(), "7");
    }

    #[test]
    fn a_service_gets_nothing_added_and_nobody_is_granted_to_be_one() {
        const FOR_SERVICES: &str = "/dunghan.compliance.v1.ComplianceService/ListEvents";
        let (stored, _) = stored("lan", &["supervisor", "service"]);
        assert_eq!(guarded(READ, &["service"], stored.clone()).unwrap(), grants(&["service"]));
        assert_eq!(guarded(FOR_SERVICES, &[], stored).unwrap_err(), "7");
    }
}
