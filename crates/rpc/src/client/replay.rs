//! A request body that can be sent again.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::Bytes;
use dunghan_proto::policy::ErrorReason;
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::refuse;

/// Bytes of the head of a message: whether it is compressed, and how long it is.
const HEAD: usize = 5;

/// What is to be sent.
#[derive(Debug)]
pub(super) enum Replay {
    /// All of it.
    Whole(Bytes),
    /// Messages still to come, which go once: again only if nobody has asked for the first of them.
    Stream(Arc<Mutex<Option<Body>>>),
}

impl Replay {
    pub(super) async fn whole(body: Body) -> Result<Self, Status> {
        Ok(Self::Whole(body.collect().await?.to_bytes()))
    }

    pub(super) fn stream(body: Body) -> Self {
        Self::Stream(Arc::new(Mutex::new(Some(body))))
    }

    /// The body for one more attempt.
    pub(super) fn body(&self) -> Body {
        match self {
            Self::Whole(bytes) => Body::new(Full::new(bytes.clone())),
            Self::Stream(held) => Body::new(Lent { held: held.clone(), taken: None }),
        }
    }

    /// Whether [`Self::body`] is still all of it.
    pub(super) fn is_there(&self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Stream(held) => held.lock().unwrap_or_else(PoisonError::into_inner).is_some(),
        }
    }

    /// The one message, encoded; none where there are several.
    pub(super) fn message(&self) -> Option<&[u8]> {
        match self {
            Self::Whole(bytes) => bytes.get(HEAD..),
            Self::Stream(_) => None,
        }
    }
}

/// A body that is taken from its holder when the first of it is wanted.
struct Lent {
    held: Arc<Mutex<Option<Body>>>,
    taken: Option<Body>,
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.taken.is_none() {
            let taken = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.taken = taken;
        }
        match &mut self.taken {
            Some(body) => Pin::new(body).poll_frame(cx),
            // An end would say that this was all of it.
            None => {
                let message = "another attempt has sent this";
                let status = refuse(Code::Aborted, ErrorReason::StreamBroken, message, []);
                Poll::Ready(Some(Err(status)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_stream_goes_once_and_again_only_while_nothing_of_it_was_taken() {
        let replay = Replay::stream(Body::new(Full::new(Bytes::from_static(b"rows"))));
        drop(replay.body());
        assert!(replay.is_there());
        let (first, second) = (replay.body(), replay.body());
        let sent = first.collect().now_or_never().unwrap().unwrap().to_bytes();
        assert_eq!((sent.as_ref(), replay.is_there()), (&b"rows"[..], false));
        assert!(second.collect().now_or_never().unwrap().is_err());
    }
}
