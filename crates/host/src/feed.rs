//! What programs of people ask for over plain HTTP, again and again: the way to the feeds of services, which tokens they may
//! bring and how, and what a refusal is there.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{FromRequestParts, Request};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderMap, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use tokio_util::sync::CancellationToken;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Code, Status};
use tower::ServiceExt as _;

/// Connections at once: there may be a calendar for each commune.
pub(crate) const CONNECTIONS: usize = 256;

/// The feeds of the services that run here, which are shut until these have started.
#[derive(Clone, Debug)]
pub(crate) struct FeedGate {
    opened: Arc<OnceLock<Router>>,
    stopping: CancellationToken,
}

impl FeedGate {
    /// None yet. When `stopping` is cancelled, nobody listens for them.
    pub(crate) fn new(stopping: CancellationToken) -> Self {
        Self { opened: Arc::default(), stopping }
    }

    /// When there is nobody to answer any more.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Opens the way to these, or gives it up where there are none. Once: whoever opens is the one who started the services.
    pub(crate) fn open(&self, feeds: impl IntoIterator<Item = Router>) {
        match feeds.into_iter().reduce(Router::merge) {
            Some(feeds) => {
                let feeds = feeds.fallback(nothing).method_not_allowed_fallback(only_read);
                let _ = self.opened.set(feeds);
            }
            None => self.stopping.cancel(),
        }
    }

    /// Whether there are any.
    pub(crate) fn are_open(&self) -> bool {
        self.opened.get().is_some()
    }

    /// As they are answered: 503 until they are open.
    pub(crate) fn pages(&self) -> Router {
        let opened = self.opened.clone();
        Router::new().fallback(async move |request: Request| match opened.get() {
            Some(feeds) => feeds.clone().oneshot(request).await.into_response(),
            None => said(
                StatusCode::SERVICE_UNAVAILABLE,
                "the process has not finished starting; try again",
            ),
        })
    }
}

async fn nothing() -> Response {
    said(StatusCode::NOT_FOUND, "there is nothing at this address")
}

async fn only_read() -> Response {
    said(StatusCode::METHOD_NOT_ALLOWED, "this can be read and nothing else: GET or HEAD")
}

/// The token of whoever asks for a feed, of which nothing is known yet. It is the password of HTTP Basic, whatever the user is
/// called, a Bearer, or `access_token` in the address, for programs that can send nothing else; the first of them that is
/// there.
#[derive(Clone, Debug)]
pub struct FeedToken(Option<AsciiMetadataValue>);

impl FeedToken {
    /// A call for whoever brought it, by [`Start::here`](crate::Start::here), with no rights but theirs.
    pub fn call<T>(self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Some(bearer) = self.0 {
            request.metadata_mut().insert("authorization", bearer);
        }
        request
    }

    fn of(headers: &HeaderMap, query: Option<&str>) -> Self {
        let token = match headers.get(AUTHORIZATION) {
            Some(credentials) => credentials.to_str().ok().and_then(token),
            None => query.and_then(|query| {
                let named = query.split('&').find_map(|pair| pair.strip_prefix("access_token="));
                named.map(str::to_owned)
            }),
        };
        // What does not fit a header is no token.
        let bearer = token.and_then(|token| format!("Bearer {token}").parse().ok());
        Self(bearer.map(|mut bearer: AsciiMetadataValue| {
            bearer.set_sensitive(true);
            bearer
        }))
    }
}

impl<S: Sync> FromRequestParts<S> for FeedToken {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers, parts.uri.query()))
    }
}

/// The token in the header `Authorization`. The name of a scheme may be written in small letters.
fn token(credentials: &str) -> Option<String> {
    let (scheme, credentials) = credentials.split_once(' ')?;
    let credentials = credentials.trim_start();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(credentials.to_owned()),
        "basic" => {
            let pair = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
            pair.split_once(':').map(|(_, password)| password.to_owned())
        }
        _ => None,
    }
}

/// What whoever asks for a feed is answered where a call for them was refused. What they ask for is all in the address, so an
/// argument that does not read is an address with nothing at it.
pub fn feed_refused(status: &Status) -> Response {
    match status.code() {
        Code::Unauthenticated => {
            let why = "a token that holds is needed, as the password with any user name";
            let mut response = said(StatusCode::UNAUTHORIZED, why);
            let how = HeaderValue::from_static(r#"Basic realm="dunghan", charset="UTF-8""#);
            response.headers_mut().insert(WWW_AUTHENTICATE, how);
            response
        }
        Code::PermissionDenied => said(StatusCode::FORBIDDEN, status.message()),
        Code::NotFound | Code::InvalidArgument => said(StatusCode::NOT_FOUND, status.message()),
        Code::Unavailable | Code::DeadlineExceeded => {
            said(StatusCode::SERVICE_UNAVAILABLE, status.message())
        }
        _ => said(StatusCode::INTERNAL_SERVER_ERROR, status.message()),
    }
}

/// A line of text that nobody keeps.
fn said(status: StatusCode, message: &str) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], format!("{message}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use dunghan_proto::policy::ErrorReason;
    use dunghan_rpc::refuse;

    use super::*;

    /// The header of a call for somebody who asked so.
    fn carried(authorization: Option<&str>, query: Option<&str>) -> Option<String> {
        let authorization = authorization.map(|value| (AUTHORIZATION, value.parse().unwrap()));
        let token = FeedToken::of(&authorization.into_iter().collect(), query);
        assert!(!format!("{token:?}").contains("ey"), "{token:?}");
        let call = token.call(());
        call.metadata().get("authorization").map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_token_comes_as_a_password_as_a_bearer_or_in_the_address() {
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for (authorization, query) in [
            (Some("Bearer ey.J".to_owned()), None),
            (Some("bearer  ey.J".to_owned()), None),
            (Some(basic("lan:ey.J")), None),
            (Some(basic(":ey.J")), None),
            (Some(basic("Văn thư:ey.J").replace("Basic", "basic")), None),
            (None, Some("access_token=ey.J")),
            (None, Some("a=b&access_token=ey.J&c")),
            // The header decides where there are both.
            (Some("Bearer ey.J".to_owned()), Some("access_token=eyOther")),
        ] {
            let found = carried(authorization.as_deref(), query);
            assert_eq!(found.as_deref(), Some("Bearer ey.J"), "{authorization:?} {query:?}");
        }
        let colon = carried(Some(&basic("lan:a:b")), None);
        assert_eq!(colon.as_deref(), Some("Bearer a:b"), "a password may have one");
    }

    #[test]
    fn what_is_no_token_is_not_handed_on() {
        let no_text = format!("Basic {}", STANDARD.encode([b':', 0xff]));
        let two_lines = format!("Basic {}", STANDARD.encode("lan:ey\r\nx-other: 1"));
        for (authorization, query) in [
            (None, None),
            (None, Some("token=ey")),
            (None, Some("xaccess_token=ey")),
            (Some("ey"), None),
            (Some("Digest ey"), None),
            (Some("Basic ???"), None),
            (Some("Basic bGFu"), None),
            (Some(no_text.as_str()), None),
            (Some(two_lines.as_str()), None),
            (Some("Digest ey"), Some("access_token=ey")),
        ] {
            assert_eq!(carried(authorization, query), None, "{authorization:?} {query:?}");
        }
    }

    #[test]
    fn a_refusal_is_told_by_its_number_and_a_browser_asks_for_a_password() {
        let refused = |code| {
            let response = feed_refused(&refuse(code, ErrorReason::Internal, "why", []));
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            let asks = response.headers().contains_key(WWW_AUTHENTICATE);
            assert_eq!(asks, response.status() == StatusCode::UNAUTHORIZED);
            response.status().as_u16()
        };
        for (code, number) in [
            (Code::Unauthenticated, 401),
            (Code::PermissionDenied, 403),
            (Code::NotFound, 404),
            (Code::InvalidArgument, 404),
            (Code::Unavailable, 503),
            (Code::DeadlineExceeded, 503),
            (Code::Internal, 500),
            (Code::ResourceExhausted, 500),
        ] {
            assert_eq!(refused(code), number, "{code:?}");
        }
    }
}
