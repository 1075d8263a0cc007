//! Log lines and the page of metrics, of a process that was begun as processes are.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use dunghan_telemetry::{
    Format, ServerLayer, Settings, dependency_up, init_with_logs_to, metrics_page,
};
use http::{Request, Response};
use serde_json::Value;
use tower::{Layer as _, ServiceExt as _};
use tracing_subscriber::fmt::MakeWriter;

use crate::{Frames, GET_UNIT, status};

/// What is written, for the test to read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Has a call write a line, and returns the lines.
async fn call_that_writes(format: Format, filter: &str) -> Vec<String> {
    let written = Written::default();
    let _telemetry = init_with_logs_to(&Settings::logs(format, filter), written.clone()).unwrap();
    tracing::warn!("outside");
    let inner = tower::service_fn(|_: Request<()>| async {
        let cause = io::Error::other("a cause");
        let error: &dyn std::error::Error = &cause;
        tracing::warn!(count = 3, address = %"[::1]:1", error, "inside");
        let mut response = Response::new(Frames::default());
        *response.headers_mut() = status("0");
        Ok::<_, Infallible>(response)
    });
    let request = Request::builder().uri(format!("/{GET_UNIT}"));
    let request = request.header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-00"));
    let server = ServerLayer::new().layer(inner);
    drop(server.oneshot(request.body(()).unwrap()).await.unwrap());
    written.lines()
}

#[tokio::test]
async fn a_line_of_a_call_carries_its_trace_also_where_nobody_collects_and_few_lines_are_written() {
    let lines = call_that_writes(Format::Json, "warn").await;
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["message"], &lines[0]["trace_id"]), (&"outside".into(), &Value::Null));
    let line = &lines[1];
    assert_eq!(line["trace_id"], TRACE);
    assert_eq!(line["span_id"].as_str().unwrap().len(), 16);
    assert_eq!((&line["message"], &line["level"]), (&"inside".into(), &"WARN".into()));
    assert_eq!((&line["count"], &line["address"]), (&3.into(), &"[::1]:1".into()));
    assert_eq!(line["error"], "a cause");
}

#[tokio::test]
async fn a_line_for_people_ends_with_the_trace() {
    let lines = call_that_writes(Format::Text, "info").await;
    assert!(lines[0].ends_with("WARN it::lines: outside"), "{lines:?}");
    let expected = format!("inside count=3 address=[::1]:1 error=a cause trace_id={TRACE}");
    assert!(lines[1].ends_with(&expected), "{lines:?}");
}

#[tokio::test]
async fn the_page_has_durations_in_buckets_and_who_this_is() {
    call_that_writes(Format::Text, "warn").await;
    dependency_up("compliance", "database", true);
    let page = metrics_page();
    let labels = format!(
        "{{rpc_method=\"{GET_UNIT}\",rpc_response_status_code=\"OK\",rpc_system_name=\"grpc\""
    );
    let count = format!("rpc_server_call_duration_seconds_count{labels}}} 1");
    assert!(page.contains(&count), "{page}");
    for bound in ["0.0001", "0.025", "60"] {
        let bucket = format!("rpc_server_call_duration_seconds_bucket{labels},le=\"{bound}\"}}");
        assert!(page.contains(&bucket), "{page}");
    }
    let up = "dunghan_dependency_up{dependency=\"database\",service=\"compliance\"} 1";
    assert!(page.contains(up), "{page}");
    for label in ["service_name=\"dunghan\"", "service_instance_id=", "service_version="] {
        assert!(page.contains(label), "{page}");
    }
}
