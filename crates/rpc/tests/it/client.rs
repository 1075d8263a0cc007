//! What a client makes of servers that come, go, and answer badly.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use dunghan_proto::compliance;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::policy::ErrorReason;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_proto::submission;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_rpc::{Peer, Resolve, Unreachable, remote, remote_by};
use futures::{StreamExt as _, stream};
use http_body::Frame;
use tokio::sync::{Notify, mpsc};
use tonic::{Code, Status};

use crate::serving::{
    Serving, addresses, broken, fine, frames, message, nowhere, received, refusal, unavailable,
};

/// Names that lead where the test says; `asked` counts.
#[derive(Clone, Default)]
struct Names {
    lead_to: Arc<Mutex<Vec<SocketAddr>>>,
    asked: Arc<AtomicUsize>,
}

impl Names {
    fn peer(&self) -> Peer {
        let names = self.clone();
        let resolve: Resolve = Arc::new(move |host, port| {
            assert_eq!((host, port), ("registry.test", 7878));
            names.asked.fetch_add(1, Ordering::Relaxed);
            let found = names.lead_to.lock().unwrap().clone();
            Box::pin(std::future::ready(Ok(found)))
        });
        remote_by("registry", "http://registry.test:7878".parse().unwrap(), resolve)
    }

    fn lead_to(&self, servers: &[&Serving]) {
        *self.lead_to.lock().unwrap() = servers.iter().map(|server| server.at).collect();
    }
}

async fn get(peer: &Peer) -> Result<pb::Unit, Status> {
    let mut client = RegistryServiceClient::new(peer.clone());
    Ok(client.get_unit(pb::GetUnitRequest::default()).await?.into_inner())
}

/// A call that nobody may make twice.
async fn update(peer: &Peer) -> Result<(), Status> {
    let mut client = SubmissionServiceClient::new(peer.clone());
    client.update_report(submission::UpdateReportRequest::default()).await.map(drop)
}

async fn create(peer: &Peer, request_id: &str) -> Result<(), Status> {
    let mut client = ComplianceServiceClient::new(peer.clone());
    let request_id = request_id.to_owned();
    client
        .create_regime(compliance::CreateRegimeRequest { request_id, ..Default::default() })
        .await
        .map(drop)
}

async fn import(peer: &Peer) -> Result<(), Status> {
    let mut client = RegistryServiceClient::new(peer.clone());
    client.import_units(stream::iter([pb::ImportUnitsRequest::default()])).await.map(drop)
}

/// A server whose first answers are as `answer` says and all others good; and how often it was called.
fn failing(
    first: usize,
    answer: impl Fn() -> http::Response<axum::body::Body> + Clone + Send + Sync + 'static,
) -> (Serving, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let server = Serving::start(move |_| {
        let call = counted.fetch_add(1, Ordering::Relaxed);
        let answer = if call < first { answer() } else { fine(&pb::Unit::default()) };
        async { answer }
    });
    (server, calls)
}

fn good() -> (Serving, Arc<AtomicUsize>) {
    failing(0, broken)
}

fn peer_unavailable() -> (Code, String) {
    (Code::Unavailable, "PEER_UNAVAILABLE".to_owned())
}

#[tokio::test]
async fn while_one_of_two_addresses_is_dead_no_call_fails() {
    let (server, calls) = good();
    let peer = remote("registry", addresses(&[nowhere(), server.at]));
    for call in 0..400 {
        match call % 3 {
            0 => get(&peer).await.map(drop),
            1 => update(&peer).await,
            _ => import(&peer).await,
        }
        .unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 400);
}

#[tokio::test]
async fn calls_go_to_all_addresses_in_turn() {
    let ((one, ones), (other, others)) = (good(), good());
    let names = Names::default();
    names.lead_to(&[&one, &other]);
    let peer = names.peer();
    for _ in 0..10 {
        get(&peer).await.unwrap();
    }
    assert_eq!((ones.load(Ordering::Relaxed), others.load(Ordering::Relaxed)), (5, 5));
    assert_eq!(names.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_elsewhere_is_found() {
    let names = Names::default();
    let (before, _) = good();
    names.lead_to(&[&before]);
    let peer = names.peer();
    get(&peer).await.unwrap();
    drop(before);
    let calls: Vec<_> = (0..50).map(|_| peer.clone()).collect();
    let calls = calls.iter().map(get);
    let meanwhile = async {
        let (after, calls) = good();
        names.lead_to(&[&after]);
        (after, calls)
    };
    let (found, (_after, calls)) = tokio::join!(futures::future::join_all(calls), meanwhile);
    assert!(found.iter().all(Result::is_ok), "{found:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 50);
}

#[tokio::test]
async fn after_a_failure_the_name_is_asked_for_again_and_what_it_no_longer_leads_to_not_called() {
    let names = Names::default();
    let (old, olds) = failing(1, || unavailable(ErrorReason::NotReady));
    let (new, news) = good();
    names.lead_to(&[&old]);
    let peer = names.peer();
    update(&peer).await.unwrap();
    assert_eq!((olds.load(Ordering::Relaxed), names.asked.load(Ordering::Relaxed)), (2, 2));
    drop(old);
    names.lead_to(&[&new]);
    get(&peer).await.unwrap();
    assert_eq!((olds.load(Ordering::Relaxed), news.load(Ordering::Relaxed)), (2, 1));
}

#[tokio::test]
async fn a_server_that_keeps_failing_is_not_sent_a_retry_for_every_call() {
    let (server, calls) = failing(1000, || unavailable(ErrorReason::Unavailable));
    let peer = remote("registry", server.addresses());
    for _ in 0..100 {
        let refused = get(&peer).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::Unavailable, "UNAVAILABLE".to_owned()));
    }
    assert_eq!(calls.load(Ordering::Relaxed), 104);
}

#[tokio::test]
async fn what_may_have_been_done_is_sent_again_only_where_that_is_harmless() {
    const ID: &str = "8b0a2f7e-0c6b-4a3f-9a0e-1c1f5f5f0b6d";
    // Breaks off, and ends without saying how: nobody knows what was done.
    let unended = || frames(stream::iter([Ok(Frame::data(message(&pb::Unit::default())))]));
    let endings: [fn() -> _; 2] = [broken, unended];
    for ending in endings {
        let (server, calls) = failing(1, ending);
        let peer = remote("registry", server.addresses());
        get(&peer).await.unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 2);

        let (server, calls) = failing(1, ending);
        let peer = remote("compliance", server.addresses());
        create(&peer, ID).await.unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 2);

        for call in 0..3 {
            let (server, calls) = failing(1, ending);
            let peer = remote("compliance", server.addresses());
            let failed = match call {
                0 => create(&peer, "").await,
                1 => update(&peer).await,
                _ => import(&peer).await,
            };
            assert_eq!(refusal(&failed.unwrap_err()), peer_unavailable(), "{call}");
            assert_eq!(calls.load(Ordering::Relaxed), 1, "{call}");
        }
    }
}

#[tokio::test]
async fn what_a_server_refuses_before_it_is_ready_is_sent_again_whatever_it_is() {
    let (server, calls) = failing(1, || unavailable(ErrorReason::NotReady));
    update(&remote("submission", server.addresses())).await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    let (server, calls) = failing(1, || unavailable(ErrorReason::Unavailable));
    update(&remote("submission", server.addresses())).await.unwrap_err();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_retry_sends_what_the_first_attempt_sent() {
    let (sender, mut sent) = mpsc::unbounded_channel();
    let server = Serving::start(move |request| {
        let sender = sender.clone();
        async move {
            let path = request.uri().path().to_owned();
            let token = request.headers().get("authorization").cloned();
            sender.send((path, token, received(request).await)).unwrap();
            unavailable(ErrorReason::NotReady)
        }
    });
    let mut client = RegistryServiceClient::new(remote("registry", server.addresses()));
    let message = pb::GetUnitRequest { name: "units/one".to_owned(), as_of_date: None };
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("authorization", "Bearer x".parse().unwrap());
    client.get_unit(request).await.unwrap_err();
    let first = sent.recv().await.unwrap();
    assert!(first.1.is_some() && first.2.ends_with(b"units/one"), "{first:?}");
    for _ in 0..4 {
        assert_eq!(sent.recv().await.unwrap(), first);
    }
}

#[tokio::test]
async fn a_stream_is_not_begun_again_once_it_was_answered() {
    let read = Arc::new(Notify::new());
    let was_read = read.clone();
    let (server, calls) = failing(1, move || {
        let first = Ok(Frame::data(message(&pb::StreamUnitHistoriesResponse::default())));
        let was_read = was_read.clone();
        let then = stream::once(async move {
            was_read.notified().await;
            Err(std::io::Error::other("as the test wants it"))
        });
        frames(stream::iter([first]).chain(then))
    });
    let mut client = RegistryServiceClient::new(remote("registry", server.addresses()));
    let answers = client.stream_unit_histories(pb::StreamUnitHistoriesRequest::default()).await;
    let mut answers = answers.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    read.notify_one();
    assert_eq!(refusal(&answers.message().await.unwrap_err()), peer_unavailable());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_call_that_a_draining_connection_no_longer_takes_goes_elsewhere_whatever_it_is() {
    let (arrived, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (here, until) = (arrived.clone(), finish.clone());
    let mut old = Serving::start(move |request| {
        let (here, until) = (here.clone(), until.clone());
        async move {
            if request.uri().path().ends_with("GetUnit") {
                here.notify_one();
                until.notified().await;
            }
            fine(&pb::Unit::default())
        }
    });
    let (new, calls) = good();
    let names = Names::default();
    names.lead_to(&[&old]);
    let peer = names.peer();
    let other = peer.clone();
    let under_way = tokio::spawn(async move { get(&other).await });
    arrived.notified().await;
    old.drain();
    names.lead_to(&[&new]);
    // The old server takes calls until its connection has told the client that it will not.
    while calls.load(Ordering::Relaxed) == 0 {
        update(&peer).await.unwrap();
    }
    finish.notify_one();
    under_way.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_peer_that_is_nowhere_is_said_to_be_so() {
    let dead = addresses(&[nowhere()]);
    let failed = get(&remote("registry", dead.clone())).await.unwrap_err();
    assert_eq!(refusal(&failed), peer_unavailable());
    let source = std::error::Error::source(&failed).unwrap();
    let Unreachable { addresses, cause } = source.downcast_ref().unwrap();
    assert_eq!(*addresses, dead.to_string());
    assert!(cause.contains("refused"), "{cause}");
}
