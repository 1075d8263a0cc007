//! What is answered over plain HTTP.

use dunghan_testkit::{Engine, Front, Place, ask};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::world::{config, start, suite, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_health_is_told_over_http_with_an_error_where_something_is_away() {
    let place = Place::new(Engine::Sqlite).await;
    let front = Front::new();
    let url = front.url();
    let keys = [("peers.registry", url.as_str()), ("admin.listen", "127.0.0.1:0")];
    let config = config(place.folder(), &place.location, &keys);
    let mut submission = start(suite().only(&["submission"]).unwrap(), &config).await;
    submission.ready().await.unwrap();
    until(&submission, "submission/registry", false).await;
    let admin = submission.admin.unwrap();
    let health = ask(admin, "GET", "/health", &[]).await;
    assert_eq!(health.status, 503);
    assert_eq!(health.header("content-type"), "application/json");
    let expected = json!({
        "": true, "submission": true, "submission/database": true, "submission/registry": false,
    });
    assert_eq!(serde_json::from_str::<Value>(&health.body).unwrap(), expected);
    submission.stop().await.unwrap();
    assert!(TcpStream::connect(admin).await.is_err(), "it ends with the process");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_health_are_there_and_nothing_else_is() {
    let place = Place::new(Engine::Sqlite).await;
    let keys = [("admin.listen", "127.0.0.1:0")];
    let mut started = start(suite(), &config(place.folder(), &place.location, &keys)).await;
    started.ready().await.unwrap();
    let admin = started.admin.unwrap();
    assert_eq!(ask(admin, "GET", "/health", &[]).await.status, 200);
    let metrics = ask(admin, "GET", "/metrics", &[]).await;
    assert_eq!(metrics.status, 200);
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(ask(admin, "GET", "/", &[]).await.status, 404);
    // A client that says nothing holds nobody else up.
    let _silent = TcpStream::connect(admin).await.unwrap();
    assert_eq!(ask(admin, "GET", "/health", &[]).await.status, 200);
    started.stop().await.unwrap();
}
