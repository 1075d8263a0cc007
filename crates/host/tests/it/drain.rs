//! The end of a process.

use dunghan_testkit::{Engine, Place};
use tokio_stream::StreamExt as _;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use crate::world::{channel, config, start, suite};

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_the_health_is_told_of_the_end_and_holds_nothing_up() {
    let place = Place::new(Engine::Sqlite).await;
    // Longer than the test may take: it is not the limit that ends it.
    let keys = [("server.drain_limit_s", "3600")];
    let mut started = start(suite(), &config(place.folder(), &place.location, &keys)).await;
    started.ready().await.unwrap();
    let request = HealthCheckRequest { service: "registry".to_owned() };
    let watch = HealthClient::new(channel(&started)).watch(request).await.unwrap().into_inner();
    let mut said = watch.map(|answer| answer.unwrap().status);
    assert_eq!(said.next().await, Some(1));
    started.stop().await.unwrap();
    assert_eq!(said.next().await, Some(2));
    assert_eq!(said.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_has_ended_leaves_all_that_was_written_in_the_file_itself() {
    let place = Place::new(Engine::Sqlite).await;
    let mut started = start(suite(), &config(place.folder(), &place.location, &[])).await;
    started.ready().await.unwrap();
    let beside = || {
        let there = std::fs::read_dir(place.folder()).unwrap();
        let names = there.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with("-wal") || name.ends_with("-shm")).count()
    };
    assert!(beside() > 0);
    started.stop().await.unwrap();
    assert_eq!(beside(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_never_ends_holds_the_end_up_no_longer_than_the_limit() {
    let place = Place::new(Engine::Sqlite).await;
    let keys = [("server.drain_limit_s", "1")];
    let mut started = start(suite(), &config(place.folder(), &place.location, &keys)).await;
    started.ready().await.unwrap();
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let never_ends = tokio_stream::once(ask).chain(tokio_stream::pending());
    let mut client = ServerReflectionClient::new(channel(&started));
    let answers = client.server_reflection_info(never_ends).await.unwrap();
    let mut answers = answers.into_inner();
    answers.next().await.unwrap().unwrap();
    started.stop().await.unwrap();
}
