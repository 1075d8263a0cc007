//! How long a call has left: the header that says so on the wire, the task-local that carries it through a handler, and
//! the ends of what takes longer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use dunghan_proto::policy::ErrorReason;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Code, Status};

use crate::refuse;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// The header's number has this many digits at most.
const MOST: u128 = 99_999_999;

tokio::task_local! {
    static DEADLINE: Instant;
}

/// By when the call that this task answers has to be answered; none outside of a call, and for one without a limit.
pub fn deadline() -> Option<Instant> {
    DEADLINE.try_with(|deadline| *deadline).ok()
}

/// What is left by the header of a call; none where it says nothing that reads.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// Says what is left, rounded down to what eight digits can say.
pub(crate) fn set_timeout(headers: &mut HeaderMap, left: Duration) {
    let text = if left.as_micros() <= MOST {
        format!("{}u", left.as_micros())
    } else if left.as_millis() <= MOST {
        format!("{}m", left.as_millis())
    } else {
        format!("{}S", u128::from(left.as_secs()).min(MOST))
    };
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(GRPC_TIMEOUT, value);
    }
}

/// What a call is answered whose time ran out.
pub(crate) fn passed() -> Status {
    let message = "the call took longer than it was given";
    refuse(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded, message, [])
}

/// Runs a call within its deadline, known to all that it calls. None: the deadline passed, and the call was dropped.
pub(crate) async fn within<F: Future>(deadline: Instant, call: F) -> Option<F::Output> {
    let call = DEADLINE.scope(deadline, call);
    tokio::select! {
        // What is too late is too late, whether or not it is ready as well.
        biased;
        () = sleep_until(deadline) => None,
        answer = call => Some(answer),
    }
}

/// How a body says that it ends before it is whole.
type End<E> = fn(Status) -> Result<Frame<Bytes>, E>;

/// A stream of answers that ends at the call's deadline.
pub(crate) struct Bounded<B: Body> {
    inner: Option<B>,
    deadline: Instant,
    sleep: Pin<Box<Sleep>>,
    end: End<B::Error>,
}

impl<B: Body> Bounded<B> {
    /// As a server ends it: by trailers.
    pub(crate) fn by_trailers(inner: B, deadline: Instant) -> Self {
        Self::new(inner, deadline, |status| {
            let mut trailers = HeaderMap::new();
            // Its code alone where its text does not go into a header.
            if status.add_header(&mut trailers).is_err() {
                trailers.insert(Status::GRPC_STATUS, HeaderValue::from(status.code() as i32));
            }
            Ok(Frame::trailers(trailers))
        })
    }

    fn new(inner: B, deadline: Instant, end: End<B::Error>) -> Self {
        let sleep = Box::pin(sleep_until(deadline));
        Self { inner: Some(inner), deadline, sleep, end }
    }
}

impl<B: Body<Error = Status>> Bounded<B> {
    /// As a client sees it end: by an error.
    pub(crate) fn by_error(inner: B, deadline: Instant) -> Self {
        Self::new(inner, deadline, Err)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Bounded<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let (deadline, end) = (self.deadline, self.end);
        if self.inner.is_some() && self.sleep.as_mut().poll(cx).is_ready() {
            self.inner = None;
            return Poll::Ready(Some(end(passed())));
        }
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        let frame = DEADLINE.sync_scope(deadline, || Pin::new(inner).poll_frame(cx));
        Poll::Ready(ready!(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Option<Duration> {
        timeout(&HeaderMap::from_iter([(GRPC_TIMEOUT, HeaderValue::from_static(text))]))
    }

    #[test]
    fn the_header_reads_in_every_unit_and_says_nothing_where_it_does_not_read() {
        assert_eq!(read("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(read("3M"), Some(Duration::from_secs(180)));
        assert_eq!(read("99999999S"), Some(Duration::from_secs(99_999_999)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("7u"), Some(Duration::from_micros(7)));
        assert_eq!(read("0n"), Some(Duration::ZERO));
        for bad in ["", "S", "1", "-1S", "+1S", "1s", "123456789S", "1.5S"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }

    #[test]
    fn what_is_left_is_said_in_eight_digits_and_never_as_more() {
        for (left, text) in [
            (Duration::from_nanos(1_999), "1u"),
            (Duration::from_secs(60), "60000000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(1_000_000), "1000000S"),
            (Duration::MAX, "99999999S"),
        ] {
            let mut headers = HeaderMap::new();
            set_timeout(&mut headers, left);
            assert_eq!(headers.get(GRPC_TIMEOUT).unwrap(), text);
            assert!(timeout(&headers).unwrap() <= left);
        }
    }
}
