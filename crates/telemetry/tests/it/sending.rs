//! A collector that is away.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use dunghan_telemetry::{Format, ServerLayer, Settings, init_with_logs_to};
use http::{Request, Response};
use tokio::net::TcpListener;
use tower::{Layer as _, ServiceExt as _};

use crate::lines::Written;
use crate::{Frames, GET_UNIT, status};

/// Tells of calls, to a collector at `endpoint`, flushing after each, and ends. What was written meanwhile.
async fn tell(endpoint: String, flushes: u32) -> Vec<String> {
    let written = Written::default();
    let settings =
        Settings { otlp_endpoint: Some(endpoint), ..Settings::logs(Format::Text, "info") };
    let telemetry = init_with_logs_to(&settings, written.clone()).unwrap();
    let server = ServerLayer::new().layer(tower::service_fn(|_: Request<()>| async {
        let mut response = Response::new(Frames::default());
        *response.headers_mut() = status("0");
        Ok::<_, Infallible>(response)
    }));
    for _ in 0..flushes {
        let request = Request::builder().uri(format!("/{GET_UNIT}")).body(()).unwrap();
        drop(server.clone().oneshot(request).await.unwrap());
        telemetry.flush().await;
    }
    let begun = Instant::now();
    telemetry.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    written.lines()
}

#[tokio::test]
async fn a_collector_that_is_not_there_costs_one_line() {
    let lines = tell("http://127.0.0.1:1".to_owned(), 3).await;
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("traces and metrics cannot be sent"), "{lines:#?}");
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_nobody_up() {
    // Connections are taken, and nothing is read from them.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tell(endpoint, 1).await;
    drop(listener);
}

#[tokio::test]
async fn what_was_begun_may_be_dropped_and_begun_again() {
    let settings = Settings {
        otlp_endpoint: Some("http://127.0.0.1:1".to_owned()),
        ..Settings::logs(Format::Text, "info")
    };
    drop(init_with_logs_to(&settings, Written::default()).unwrap());
    // Changes nothing, and has nothing to end.
    init_with_logs_to(&settings, Written::default()).unwrap().shutdown().await;
}

#[tokio::test]
async fn an_endpoint_that_does_not_read_is_refused() {
    let settings = Settings {
        otlp_endpoint: Some("not an address".to_owned()),
        ..Settings::logs(Format::Text, "info")
    };
    let error = init_with_logs_to(&settings, Written::default()).unwrap_err().to_string();
    assert!(error.starts_with("the OTLP endpoint \"not an address\" does not read"), "{error}");
}
