//! What is answered over plain HTTP.

use dunghan_testkit::{Engine, Front, Place};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{config, start, suite, until};

/// The status line, the head and the body of an answer.
async fn get(address: std::net::SocketAddr, path: &str) -> (String, String, String) {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let (status, head) = head.split_once("\r\n").unwrap();
    (status.to_owned(), head.to_lowercase(), body.to_owned())
}

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
    let (status, head, body) = get(admin, "/health").await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert!(head.contains("content-type: application/json"), "{head}");
    let expected = json!({
        "": true, "submission": true, "submission/database": true, "submission/registry": false,
    });
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
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
    assert_eq!(get(admin, "/health").await.0, "HTTP/1.1 200 OK");
    let (status, head, _) = get(admin, "/metrics").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert_eq!(get(admin, "/").await.0, "HTTP/1.1 404 Not Found");
    // A client that says nothing holds nobody else up.
    let _silent = TcpStream::connect(admin).await.unwrap();
    assert_eq!(get(admin, "/health").await.0, "HTTP/1.1 200 OK");
    started.stop().await.unwrap();
}
