//! What a process tells of itself. Telemetry is one for the whole process: nextest gives each test its own.
#![expect(clippy::unwrap_used, reason = "a helper that fails has to end the test")]

mod calls;
mod lines;
mod sending;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};

pub(crate) const GET_UNIT: &str = "dunghan.registry.v1.RegistryService/GetUnit";

/// A body of given frames.
#[derive(Debug, Default)]
pub(crate) struct Frames(pub(crate) VecDeque<Frame<&'static [u8]>>);

impl Body for Frames {
    type Data = &'static [u8];
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

/// A message and then trailers with a status.
pub(crate) fn ending_with(code: &'static str) -> Frames {
    let message: &[u8] = b"message";
    Frames([Frame::data(message), Frame::trailers(status(code))].into())
}

pub(crate) fn status(code: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(tonic::Status::GRPC_STATUS, HeaderValue::from_static(code))])
}
