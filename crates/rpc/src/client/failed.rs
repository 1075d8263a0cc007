//! What became of one attempt that failed, as far as it can be known.

use std::error::Error;
use std::time::Duration;

use dunghan_proto::policy::ErrorReason;
use http::HeaderMap;
use tonic::{Code, ConnectError, Status, TimeoutExpired};
use tonic_types::StatusExt as _;

use super::BoxError;
use crate::deadline::passed;
use crate::{Reason as _, refuse};

/// One attempt that failed and may be worth another.
#[derive(Debug)]
pub(super) struct Failed {
    /// What the caller is told if there is no other.
    pub(super) status: Status,
    /// Whether anything of the call may have been done.
    pub(super) begun: bool,
    /// Whether the connection failed, rather than the service.
    pub(super) lost: bool,
    /// Whether it counts: of calls that a connection takes with it, one does.
    pub(super) is_news: bool,
    /// What the peer says of another attempt.
    pub(super) pushback: Pushback,
}

/// When a peer wants to be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushback {
    /// Says nothing.
    Unsaid,
    /// Not before.
    After(Duration),
    /// Not at all.
    Never,
}

/// Where a peer was looked for, and why it was not there: the source of a status that was made on this side.
#[derive(Debug, thiserror::Error)]
#[error("{addresses} cannot be reached: {cause}")]
pub struct Unreachable {
    /// As they were given.
    pub addresses: String,
    /// What the operating system or the connection says.
    pub cause: String,
}

/// Whom a failure is about.
#[derive(Clone, Debug)]
pub(super) struct Callee {
    pub(super) name: &'static str,
    pub(super) addresses: String,
}

impl Callee {
    /// The connection failed.
    pub(super) fn lost(&self, cause: &BoxError) -> Failed {
        let expired = is::<TimeoutExpired>(cause);
        let status = if expired { passed() } else { self.unreachable(&**cause) };
        // What was still in this process when the connection closed is the only thing that hyper calls so.
        let unsent = is::<ConnectError>(cause)
            || find::<hyper::Error>(cause).is_some_and(hyper::Error::is_canceled);
        let pushback = if expired { Pushback::Never } else { Pushback::Unsaid };
        Failed { status, begun: !unsent, lost: !expired, is_news: true, pushback }
    }

    /// UNAVAILABLE for what failed on this side of the connection, or on the way.
    pub(super) fn unreachable(&self, cause: &(dyn Error + 'static)) -> Status {
        let mut root = cause;
        while let Some(deeper) = root.source() {
            root = deeper;
        }
        let Self { name, addresses } = self;
        let mut status = self.away(format!("{name} cannot be reached; try again"));
        let (addresses, cause) = (addresses.clone(), root.to_string());
        status.set_source(std::sync::Arc::new(Unreachable { addresses, cause }));
        status
    }

    fn away(&self, message: impl Into<String>) -> Status {
        let metadata = [("peer", self.name.to_owned())];
        refuse(Code::Unavailable, ErrorReason::PeerUnavailable, message, metadata)
    }

    /// The failure that headers or trailers tell of, if it is one that may pass.
    pub(super) fn told(&self, headers: &HeaderMap) -> Option<Failed> {
        // All others need not be read here.
        headers.get("grpc-status").filter(|code| *code == "14")?;
        let status = Status::from_header_map(headers)?;
        let (mut pushback, mut begun) = (pushback(&status), true);
        let Some(info) = status.get_details_error_info() else {
            // Not one of ours: what stands between.
            let status = self.away(status.message());
            return Some(Failed { status, begun, lost: false, is_news: true, pushback });
        };
        if info.reason == ErrorReason::NotReady.name() {
            begun = false;
        } else if info.reason == ErrorReason::PeerUnavailable.name() {
            // It has tried long enough itself; were everyone on the way to try again, nobody would get an answer.
            pushback = Pushback::Never;
        }
        Some(Failed { status, begun, lost: false, is_news: true, pushback })
    }
}

fn pushback(status: &Status) -> Pushback {
    if let Some(said) = status.metadata().get("grpc-retry-pushback-ms") {
        let millis = said.to_str().ok().and_then(|text| text.parse().ok());
        return millis.map_or(Pushback::Never, |ms| Pushback::After(Duration::from_millis(ms)));
    }
    let said = status.get_details_retry_info().and_then(|info| info.retry_delay);
    said.map_or(Pushback::Unsaid, Pushback::After)
}

fn find<E: Error + 'static>(error: &BoxError) -> Option<&E> {
    let mut next: Option<&(dyn Error + 'static)> = Some(&**error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn is<E: Error + 'static>(error: &BoxError) -> bool {
    find::<E>(error).is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    fn told(status: Status) -> Option<Failed> {
        let callee = Callee { name: "registry", addresses: "http://a:1".to_owned() };
        callee.told(status.into_http::<tonic::body::Body>().headers())
    }

    #[test]
    fn only_what_is_unavailable_may_pass_and_only_what_was_not_ready_was_not_begun() {
        let refused = |code, reason| told(refuse(code, reason, "so", []));
        assert!(refused(Code::Internal, ErrorReason::Internal).is_none());
        assert!(refused(Code::Unavailable, ErrorReason::Unavailable).unwrap().begun);
        assert!(!refused(Code::Unavailable, ErrorReason::NotReady).unwrap().begun);
        let elsewhere = refused(Code::Unavailable, ErrorReason::PeerUnavailable).unwrap();
        assert_eq!(elsewhere.pushback, Pushback::Never);
    }

    #[test]
    fn what_comes_without_a_reason_is_given_one() {
        #[expect(clippy::disallowed_methods, reason = "as a proxy makes them")]
        let failed = told(Status::unavailable("no healthy upstream")).unwrap();
        assert_eq!(failed.status.message(), "no healthy upstream");
        let info = failed.status.get_details_error_info().unwrap();
        assert_eq!(info.reason, ErrorReason::PeerUnavailable.name());
    }

    #[test]
    fn the_peer_says_when_it_wants_to_be_tried_again() {
        let say = |status: Status| told(status).unwrap().pushback;
        let mut details = ErrorDetails::with_retry_info(Some(Duration::from_secs(3)));
        details.set_error_info("R", "dunghan", HashMap::new());
        let status = Status::with_error_details(Code::Unavailable, "later", details);
        assert_eq!(say(status.clone()), Pushback::After(Duration::from_secs(3)));
        for (text, pushback) in [
            ("20", Pushback::After(Duration::from_millis(20))),
            ("-1", Pushback::Never),
            ("soon", Pushback::Never),
        ] {
            let mut status = status.clone();
            status.metadata_mut().insert("grpc-retry-pushback-ms", text.parse().unwrap());
            assert_eq!(say(status), pushback);
        }
    }
}
