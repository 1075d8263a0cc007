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
    let message = short(message.into(), MOST_MESSAGE_BYTES);
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

/// A refusal over several fields at once, for one reason. As many are told as fit.
pub fn field_violations<R: Reason>(
    code: Code,
    reason: R,
    violations: Vec<(String, String)>,
) -> Status {
    let violations = violations.into_iter().map(|(field, why)| FieldViolation::new(field, why));
    refuse_fields(code, (reason.name(), R::DOMAIN), violations.collect())
}

/// A refusal over several fields at once, each with a reason of its own: for the first one's reason, by name and domain. As many
/// are told as fit; the rest are counted.
pub fn refuse_fields(
    code: Code,
    (reason, domain): (&str, &str),
    violations: Vec<FieldViolation>,
) -> Status {
    let count = violations.len();
    let field = violations.first().map_or_else(String::new, |first| first.field.clone());
    let mut details = ErrorDetails::with_error_info(reason, domain, [("field".to_owned(), field)]);
    let (mut told, mut room) = (Vec::new(), MOST_VIOLATION_BYTES);
    for mut one in violations {
        one.description = short(one.description, MOST_DESCRIPTION_BYTES);
        let bytes = one.field.len() + one.description.len() + one.reason.len();
        let Some(left) = room.checked_sub(bytes) else { break };
        room = left;
        told.push(one);
    }
    let mut message = String::new();
    let mut said = 0;
    for FieldViolation { field, description, .. } in &told {
        let says = format!("{field} {}", description.trim_end_matches('.'));
        if said > 0 && message.len() + says.len() > MOST_MESSAGE_BYTES {
            break;
        }
        message.push_str(if said > 0 { "; " } else { "" });
        message.push_str(&says);
        said += 1;
    }
    if said < count {
        message.push_str(&format!("; and {} more", count - said));
    }
    details.set_bad_request(told);
    Status::with_error_details(code, message, details)
}

/// A refusal travels in headers, of which clients take 16 kB at most: its message twice, percent-encoded and within the details, and
/// the details base64.
const MOST_MESSAGE_BYTES: usize = 1500;
const MOST_VIOLATION_BYTES: usize = 4000;
const MOST_DESCRIPTION_BYTES: usize = 1000;

/// Up to so many bytes of a text, and where there are more, that there are.
fn short(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of the headers in which it travels.
    fn header_bytes(status: &Status) -> usize {
        let headers = status.clone().into_http::<()>().into_parts().0.headers;
        headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
    }

    #[test]
    fn a_refusal_of_whatever_length_fits_into_what_clients_take() {
        let many = |count: usize, text: &str| {
            let one = |n| (format!("report.values[{n}].indicator"), text.repeat(300));
            field_violations(
                Code::InvalidArgument,
                Common::InvalidField,
                (0..count).map(one).collect(),
            )
        };
        for refused in [
            many(1, "ộ"),
            many(2000, "ộ"),
            many(2000, ""),
            many(3, "x"),
            refuse(Code::NotFound, Common::Internal, "ộ".repeat(9000), []),
        ] {
            let bytes = header_bytes(&refused);
            assert!(bytes < 15_000, "{bytes}: {}", refused.message());
        }
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let violations =
            (0..500).map(|n| (format!("field[{n}]"), "is wrong.".to_owned())).collect();
        let refused = field_violations(Code::InvalidArgument, Common::InvalidField, violations);
        let message = refused.message();
        assert!(message.starts_with("field[0] is wrong; field[1] is wrong; "), "{message}");
        let said = message.matches("is wrong").count();
        assert!(message.ends_with(&format!("; and {} more", 500 - said)), "{message}");
        let told = refused.get_details_bad_request().unwrap().field_violations.len();
        assert!((said..500).contains(&told), "{told}");
        let few = vec![("field".to_owned(), "is wrong".to_owned())];
        let refused = field_violations(Code::InvalidArgument, Common::InvalidField, few);
        assert_eq!(refused.message(), "field is wrong");
    }
}
