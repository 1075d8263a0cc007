//! Servers whose every answer the test writes.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use dunghan_proto::policy::ErrorReason;
use dunghan_rpc::{Addresses, DeadlineLayer, refuse};
use futures::stream;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use prost::Message;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Status};

/// A server with threads of its own. Dropped, it is gone as if it had been killed.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) at: SocketAddr,
    runtime: Option<Runtime>,
    drain: Option<oneshot::Sender<()>>,
}

impl Serving {
    /// Answers every path by `answer`.
    pub(crate) fn start<F>(
        answer: impl Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::limited(Duration::MAX, answer)
    }

    /// As [`Self::start`], and no unary call takes longer than `limit`.
    pub(crate) fn limited<F>(
        limit: Duration,
        answer: impl Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let router = Router::new().fallback_service(tower::service_fn(move |request| {
            let answer = answer(request);
            async move { Ok::<_, Infallible>(answer.await) }
        }));
        let runtime = Runtime::new().unwrap();
        let (drain, drained) = oneshot::channel();
        let incoming = {
            let _inside = runtime.enter();
            TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap()
        };
        let at = incoming.local_addr().unwrap();
        let layer = DeadlineLayer::new(limit);
        let server = Server::builder().layer(layer).add_routes(Routes::from(router));
        runtime.spawn(server.serve_with_incoming_shutdown(incoming, async {
            // It is also drained if nobody can ask for it any more.
            let _ = drained.await;
        }));
        Self { at, runtime: Some(runtime), drain: Some(drain) }
    }

    /// Takes no new calls from now on, and answers those that it has.
    pub(crate) fn drain(&mut self) {
        self.drain.take().unwrap().send(()).unwrap();
    }

    pub(crate) fn addresses(&self) -> Addresses {
        addresses(&[self.at])
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Elsewhere, for it is not to be waited for inside another; and to its end.
        let runtime = self.runtime.take();
        std::thread::spawn(move || drop(runtime)).join().unwrap();
    }
}

pub(crate) fn addresses(at: &[SocketAddr]) -> Addresses {
    let all: Vec<_> = at.iter().map(|at| format!("http://{at}")).collect();
    all.join(",").parse().unwrap()
}

/// Where nobody listens any more.
pub(crate) fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// One message as it goes over the wire.
pub(crate) fn message(message: &impl Message) -> Bytes {
    let content = message.encode_to_vec();
    let length = u32::try_from(content.len()).unwrap();
    [&[0], &length.to_be_bytes()[..], &content].concat().into()
}

pub(crate) fn ended() -> Frame<Bytes> {
    Frame::trailers(HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]))
}

/// An answer of these frames; an error breaks it off.
pub(crate) fn frames(
    frames: impl futures::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send + 'static,
) -> Response<Body> {
    let answer = Response::builder().header("content-type", "application/grpc");
    answer.body(Body::new(StreamBody::new(frames))).unwrap()
}

/// One message, and no error.
pub(crate) fn fine(answer: &impl Message) -> Response<Body> {
    frames(stream::iter([Ok(Frame::data(message(answer))), Ok(ended())]))
}

/// An answer that breaks off after its headers.
pub(crate) fn broken() -> Response<Body> {
    frames(stream::iter([Err(std::io::Error::other("as the test wants it"))]))
}

/// UNAVAILABLE, to be tried again at once.
pub(crate) fn unavailable(reason: ErrorReason) -> Response<Body> {
    let mut status = refuse(Code::Unavailable, reason, "as the test wants it", []);
    status.metadata_mut().insert("grpc-retry-pushback-ms", "0".parse().unwrap());
    status.into_http()
}

/// The encoded message of a request.
pub(crate) async fn received(request: Request<Body>) -> Bytes {
    request.into_body().collect().await.unwrap().to_bytes().slice(5..)
}

/// Code and reason of a refusal.
pub(crate) fn refusal(status: &Status) -> (Code, String) {
    use tonic_types::StatusExt as _;
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("{status:?}"));
    (status.code(), info.reason.trim_start_matches("ERROR_REASON_").to_owned())
}
