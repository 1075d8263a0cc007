//! Refusals. Every one carries an ErrorInfo whose reason is an enum of the contract (AIP-193).

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dunghan_proto::policy::ErrorReason as Common;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::deadline::passed;

/// A list of reasons, kept in the contract so that clients can rely on it.
pub trait Reason: Copy {
    /// For example `dunghan.submission`.
    const DOMAIN: &'static str;

    /// The name in the contract, for example `ERROR_REASON_REPORT_NOT_FOUND`.
    fn name(&self) -> &'static str;
}

/// Here, and not in the services: neither the trait nor the contract's enums are theirs.
macro_rules! reasons {
    ($($reason:ty = $domain:literal),+ $(,)?) => { $(
        impl Reason for $reason {
            const DOMAIN: &'static str = $domain;

            fn name(&self) -> &'static str {
                self.as_str_name()
            }
        }
    )+ };
}

reasons! {
    Common = "dunghan",
    dunghan_proto::aggregation::ErrorReason = "dunghan.aggregation",
    dunghan_proto::compliance::ErrorReason = "dunghan.compliance",
    dunghan_proto::registry::ErrorReason = "dunghan.registry",
    dunghan_proto::submission::ErrorReason = "dunghan.submission",
}

fn details<R: Reason, const N: usize>(reason: R, metadata: [(&str, String); N]) -> ErrorDetails {
    let metadata: HashMap<_, _> =
        metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    ErrorDetails::with_error_info(reason.name(), R::DOMAIN, metadata)
}

/// A status that clients can branch on.
pub fn refuse<R: Reason, const N: usize>(
    code: Code,
    reason: R,
    message: impl Into<String>,
    metadata: [(&str, String); N],
) -> Status {
    Status::with_error_details(code, message, details(reason, metadata))
}

/// INVALID_ARGUMENT that names the field at fault and a reason of the service's own.
pub fn bad_field_for<R: Reason>(reason: R, field: &str, why: impl ToString) -> Status {
    field_violations(Code::InvalidArgument, reason, vec![(field.to_owned(), why.to_string())])
}

/// INVALID_ARGUMENT that names the field at fault, where no other reason says more.
pub fn bad_field(field: &str, why: impl ToString) -> Status {
    bad_field_for(Common::InvalidField, field, why)
}

/// A refusal over several fields at once.
pub fn field_violations<R: Reason>(
    code: Code,
    reason: R,
    violations: Vec<(String, String)>,
) -> Status {
    let message = violations
        .iter()
        .map(|(field, why)| format!("{field} {why}"))
        .collect::<Vec<_>>()
        .join("; ");
    let first = violations.first().map_or_else(String::new, |(field, _)| field.clone());
    let mut details = details(reason, [("field", first)]);
    details.set_bad_request(
        violations
            .into_iter()
            .map(|(field, why)| FieldViolation::new(field, why))
            .collect::<Vec<_>>(),
    );
    Status::with_error_details(code, message, details)
}

/// INTERNAL without any detail; the cause is logged here, once.
pub fn internal(doing: &str, cause: &(dyn Error + 'static)) -> Status {
    tracing::error!(error = cause, "{doing} failed");
    refuse(Code::Internal, Common::Internal, "the server failed; its log says why", [])
}

/// While something is away every call meets it; so often it is said.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Whether this was not said lately.
fn is_news(what: &'static str) -> bool {
    static SAID: Mutex<BTreeMap<&'static str, Instant>> = Mutex::new(BTreeMap::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let news = said.get(what).is_none_or(|at| at.elapsed() >= SAY_EVERY);
    if news {
        said.insert(what, Instant::now());
    }
    news
}

/// UNAVAILABLE without any detail: what the service needs is away for the moment, and the same call may well be answered
/// soon. The cause is logged here; while that lasts, now and then.
pub fn unavailable(doing: &'static str, cause: &(dyn Error + 'static)) -> Status {
    if is_news(doing) {
        tracing::warn!(error = cause, "{doing} failed for the moment");
    } else {
        tracing::debug!(error = cause, "{doing} failed for the moment");
    }
    let message = "the server cannot do this for the moment; try again";
    refuse(Code::Unavailable, Common::Unavailable, message, [])
}

/// What a failed call to another service is to this service's caller: the peer could not be asked, try again; or time ran
/// out; or it failed and said so, and trying again helps nobody. A refusal that is the caller's own fault has to be told
/// apart before.
pub fn peer_failed(peer: &'static str, status: Status) -> Status {
    // Made on this side, it has as its source where the peer was looked for.
    let said = status.source().map_or_else(|| status.message().to_owned(), ToString::to_string);
    let code = status.code();
    if is_news(peer) {
        tracing::warn!(peer, ?code, "{peer} could not be asked: {said}");
    } else {
        tracing::debug!(peer, ?code, "{peer} could not be asked: {said}");
    }
    if status.code() == Code::DeadlineExceeded {
        return passed();
    }
    let info = status.get_details_error_info();
    if status.code() == Code::Internal
        && info.is_some_and(|one| one.reason == Common::Internal.name())
    {
        return status;
    }
    let metadata = [("peer", peer.to_owned())];
    let message = format!("{peer} could not be asked; try again");
    refuse(Code::Unavailable, Common::PeerUnavailable, message, metadata)
}
