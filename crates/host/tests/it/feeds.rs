//! What services answer over plain HTTP.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use dunghan_host::{Running, Spec, Start, Suite};
use dunghan_testkit::{Engine, Place, Postgres, ask, eventually};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::world::{Registry, SOON, Tables, config, start, suite};

const KEYS: [(&str, &str); 1] = [("feeds.listen", "127.0.0.1:0")];

/// Lets the page end that takes long.
static ENOUGH: Notify = Notify::const_new();

/// Has a page that says what it is, one that takes long, and one that is answered when that has begun.
struct Feeder;

impl Spec for Feeder {
    const NAME: &'static str = "submission";
    type Migrations = Tables;
    type Config = ();

    async fn start(_: Start, (): ()) -> anyhow::Result<Running> {
        let began = Arc::new(Notify::new());
        let slow = {
            let began = began.clone();
            async move || {
                began.notify_one();
                ENOUGH.notified().await;
                "slow"
            }
        };
        let began = async move || began.notified().await;
        let pages = Router::new()
            .route("/units/a/x.txt", get(async || "quick"))
            .route("/slow", get(slow))
            .route("/began", get(began));
        Ok(Running::new().feed(pages))
    }
}

fn feeding() -> Suite {
    Suite::new().with::<Registry>().with::<Feeder>()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_read_by_its_address_and_nothing_else_is_there() {
    let place = Place::new(Engine::Sqlite).await;
    let mut started = start(feeding(), &config(place.folder(), &place.location, &KEYS)).await;
    started.ready().await.unwrap();
    let feeds = started.feeds.unwrap();
    let page = ask(feeds, "GET", "/units/a/x.txt", &[]).await;
    assert_eq!((page.status.as_u16(), page.body.as_str()), (200, "quick"));
    let head = ask(feeds, "HEAD", "/units/a/x.txt", &[]).await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), "5");
    for path in ["/", "/units/a", "/metrics", "/health", "/grpc.health.v1.Health/Check"] {
        let nothing = ask(feeds, "GET", path, &[]).await;
        assert_eq!(nothing.status, 404, "{path}");
        assert_eq!(nothing.header("content-type"), "text/plain; charset=utf-8");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
        let refused = ask(feeds, method, "/units/a/x.txt", &[]).await;
        assert_eq!((refused.status.as_u16(), refused.header("allow")), (405, "GET,HEAD"));
    }
    let large = "x".repeat(20 << 10);
    let refused = ask(feeds, "GET", "/units/a/x.txt", &[("x-large", &large)]).await;
    assert_eq!(refused.status, 431);
    started.stop().await.unwrap();
    assert!(TcpStream::connect(feeds).await.is_err(), "it ends with the process");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_when_the_process_is_told_to_stop_is_answered() {
    let place = Place::new(Engine::Sqlite).await;
    let mut started = start(feeding(), &config(place.folder(), &place.location, &KEYS)).await;
    started.ready().await.unwrap();
    let feeds = started.feeds.unwrap();
    let slow = tokio::spawn(async move { ask(feeds, "GET", "/slow", &[]).await });
    ask(feeds, "GET", "/began", &[]).await;
    // Whoever says nothing holds nobody up.
    let _silent = TcpStream::connect(feeds).await.unwrap();
    let stopping = tokio::spawn(started.stop());
    eventually(SOON, async || TcpStream::connect(feeds).await.err()).await;
    ENOUGH.notify_one();
    assert_eq!(slow.await.unwrap().body, "slow");
    stopping.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_services_have_started_a_page_is_not_there_yet() {
    let mut server = Postgres::new();
    let place = Place::on(&server).await;
    server.stop();
    let mut started = start(feeding(), &config(place.folder(), &place.location, &KEYS)).await;
    let feeds = started.feeds.unwrap();
    assert_eq!(ask(feeds, "GET", "/units/a/x.txt", &[]).await.status, 503);
    server.start();
    started.ready().await.unwrap();
    assert_eq!(ask(feeds, "GET", "/units/a/x.txt", &[]).await.status, 200);
    started.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_service_has_a_page_nobody_listens() {
    let place = Place::new(Engine::Sqlite).await;
    let mut started = start(suite(), &config(place.folder(), &place.location, &KEYS)).await;
    started.ready().await.unwrap();
    let feeds = started.feeds.unwrap();
    eventually(SOON, async || TcpStream::connect(feeds).await.err()).await;
    started.stop().await.unwrap();
    let mut without = start(feeding(), &config(place.folder(), &place.location, &[])).await;
    without.ready().await.unwrap();
    assert_eq!(without.feeds, None);
    without.stop().await.unwrap();
}
