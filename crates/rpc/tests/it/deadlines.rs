//! Deadlines over sockets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunghan_proto::registry as pb;
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_rpc::{Peer, deadline, remote, with_deadline};
use futures::{StreamExt as _, stream};
use http::Request;
use http_body::Frame;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::serving::{Serving, ended, fine, frames, message, refusal};

const GET: &str = "/dunghan.registry.v1.RegistryService/GetUnit";
const STREAM: &str = "/dunghan.registry.v1.RegistryService/StreamUnitHistories";
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(20);

/// With what status a call ends that has `grpc-timeout`, made by a client that keeps no time itself.
async fn raw_call(server: &Serving, path: &str, timeout: Option<&str>) -> Status {
    let stream = tokio::net::TcpStream::connect(server.at).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::post(format!("http://{}{path}", server.at))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    let mut client = client.ready().await.unwrap();
    let (answer, mut body) = client.send_request(request.body(()).unwrap(), false).unwrap();
    body.send_data(message(&pb::GetUnitRequest::default()), true).unwrap();
    let mut answer = answer.await.unwrap();
    if let Some(status) = Status::from_header_map(answer.headers()) {
        return status;
    }
    while let Some(data) = answer.body_mut().data().await {
        data.unwrap();
    }
    let trailers = answer.body_mut().trailers().await.unwrap();
    Status::from_header_map(&trailers.unwrap()).unwrap()
}

/// Sends a word when it is dropped.
struct Told(mpsc::UnboundedSender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
    }
}

fn deadline_exceeded() -> (Code, String) {
    (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned())
}

#[tokio::test]
async fn a_call_that_takes_longer_than_its_caller_gave_it_is_dropped_and_answered_with_a_reason() {
    let (sender, mut dropped) = mpsc::unbounded_channel();
    let server = Serving::limited(LONG, move |_| {
        let told = Told(sender.clone());
        async move {
            let _told = told;
            std::future::pending().await
        }
    });
    // Both the transport and the layer keep the time, and end in the same millisecond: the one that knows reasons wins.
    for _ in 0..20 {
        let status = raw_call(&server, GET, Some("20m")).await;
        assert_eq!(refusal(&status), deadline_exceeded());
        dropped.recv().await.unwrap();
    }
}

#[tokio::test]
async fn a_unary_call_takes_no_longer_than_the_server_gives_it() {
    let server = Serving::limited(SHORT, |_| std::future::pending());
    assert_eq!(refusal(&raw_call(&server, GET, None).await), deadline_exceeded());
    assert_eq!(refusal(&raw_call(&server, GET, Some("1H")).await), deadline_exceeded());
}

#[tokio::test]
async fn a_stream_is_limited_by_its_caller_alone() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let server = Serving::limited(SHORT, move |_| {
        noted.lock().unwrap().push(deadline().is_some());
        async { fine(&pb::StreamUnitHistoriesResponse::default()) }
    });
    assert_eq!(raw_call(&server, STREAM, None).await.code(), Code::Ok);
    assert_eq!(raw_call(&server, STREAM, Some("1H")).await.code(), Code::Ok);
    assert_eq!(*seen.lock().unwrap(), [false, true]);
}

#[tokio::test]
async fn a_stream_that_goes_on_ends_at_the_deadline_by_its_trailers() {
    let server = Serving::limited(LONG, |_| async {
        let first = message(&pb::StreamUnitHistoriesResponse::default());
        frames(stream::iter([Ok(Frame::data(first))]).chain(stream::pending()))
    });
    let status = raw_call(&server, STREAM, Some("20m")).await;
    assert_eq!(refusal(&status), deadline_exceeded());
}

#[tokio::test]
async fn a_deadline_is_passed_on_with_what_is_left_of_it() {
    let (sender, mut left) = mpsc::unbounded_channel();
    let note = move || sender.send(deadline().unwrap() - Instant::now()).unwrap();
    let noted = note.clone();
    let second = Serving::limited(LONG, move |_| {
        noted();
        async { fine(&pb::Unit::default()) }
    });
    let peer = with_deadline(remote("second", second.addresses()), LONG);
    let first = Serving::limited(LONG, move |_| {
        note();
        let mut client = RegistryServiceClient::new(peer.clone());
        async move {
            match client.get_unit(pb::GetUnitRequest::default()).await {
                Ok(unit) => fine(&unit.into_inner()),
                Err(status) => status.into_http(),
            }
        }
    });
    let given = Duration::from_secs(30);
    let mut client =
        RegistryServiceClient::new(with_deadline(remote("first", first.addresses()), given));
    client.get_unit(pb::GetUnitRequest::default()).await.unwrap();
    let (at_first, at_second) = (left.recv().await.unwrap(), left.recv().await.unwrap());
    assert!(at_second < at_first && at_first < given, "{at_second:?} {at_first:?}");
}

fn client(server: &Serving, default: Duration) -> RegistryServiceClient<Peer> {
    RegistryServiceClient::new(with_deadline(remote("registry", server.addresses()), default))
}

#[tokio::test]
async fn a_call_to_a_peer_that_takes_too_long_is_given_up() {
    let server = Serving::start(|_| std::future::pending());
    let mut client = client(&server, SHORT);
    let late = client.get_unit(pb::GetUnitRequest::default()).await.unwrap_err();
    assert_eq!(refusal(&late), deadline_exceeded());
}

#[tokio::test]
async fn a_stream_of_a_peer_has_no_limit_but_the_one_that_is_asked_for() {
    let server = Serving::start(|request| async move {
        let asked = request.headers().contains_key("grpc-timeout");
        let first = Ok(Frame::data(message(&pb::StreamUnitHistoriesResponse::default())));
        if asked {
            return frames(stream::iter([first]).chain(stream::pending()));
        }
        frames(stream::iter([first, Ok(ended())]))
    });
    let mut client = client(&server, SHORT);
    let mut request = tonic::Request::new(pb::StreamUnitHistoriesRequest::default());
    let mut all =
        client.stream_unit_histories(pb::StreamUnitHistoriesRequest::default()).await.unwrap();
    assert!(all.get_mut().message().await.unwrap().is_some());
    assert!(all.get_mut().message().await.unwrap().is_none());
    request.set_timeout(SHORT);
    let late = match client.stream_unit_histories(request).await {
        Err(status) => status,
        Ok(answers) => {
            answers.into_inner().filter_map(async |one| one.err()).boxed().next().await.unwrap()
        }
    };
    assert_eq!(refusal(&late), deadline_exceeded());
}

#[tokio::test]
async fn a_call_whose_time_is_over_is_not_made() {
    let (sender, mut called) = mpsc::unbounded_channel();
    let server = Serving::start(move |_| {
        sender.send(()).unwrap();
        async { fine(&pb::Unit::default()) }
    });
    let mut client = client(&server, LONG);
    let mut request = tonic::Request::new(pb::GetUnitRequest::default());
    request.metadata_mut().insert("grpc-timeout", "0n".parse().unwrap());
    let late = client.get_unit(request).await.unwrap_err();
    assert_eq!(refusal(&late), deadline_exceeded());
    assert!(called.try_recv().is_err());
    client.get_unit(pb::GetUnitRequest::default()).await.unwrap();
    assert!(called.try_recv().is_ok());
}
