//! The life of a process, as whoever runs it sees it.

use std::time::Duration;

use dunghan_testkit::{Front, Process, eventually};
use tempfile::TempDir;
use tokio_stream::StreamExt as _;
use tonic::transport::Endpoint;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use crate::binary::run_in;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_what_the_first_lets_come_to_its_end() {
    let folder = TempDir::new().unwrap();
    // Longer than the test may take: it is not the limit that ends it.
    let process = Process::begin(folder.path(), &["--set", "server.drain_limit_s=3600"]);
    let endpoint = Endpoint::from_shared(format!("http://{}", process.address())).unwrap();
    let mut client = ServerReflectionClient::new(endpoint.connect().await.unwrap());
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let never_ends = tokio_stream::once(ask).chain(tokio_stream::pending());
    let mut answers = client.server_reflection_info(never_ends).await.unwrap().into_inner();
    answers.next().await.unwrap().unwrap();
    process.signal("-TERM");
    // It has heard the first when it takes no connection any more.
    let address = process.address();
    let limit = Duration::from_secs(30);
    eventually(limit, async || tokio::net::TcpStream::connect(address).await.err()).await;
    process.signal("-INT");
    assert_eq!(process.wait().code(), Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_waits_for_its_database_says_so_and_ends_in_order() {
    let folder = TempDir::new().unwrap();
    let away = Front::new();
    let location = format!("storage.location=postgres://lan:hoasen@{}/dunghan", away.address);
    let process = Process::begin(folder.path(), &["--set", &location]);
    let limit = Duration::from_secs(30);
    let waits = async || process.said().contains("waits for its database").then_some(());
    eventually(limit, waits).await;
    assert!(!process.said().contains("hoasen"), "{}", process.said());
    assert!(process.terminate().success());
}

#[test]
fn a_process_with_a_part_of_the_services_says_what_it_misses() {
    let folder = TempDir::new().unwrap();
    let serve = |services| {
        run_in(folder.path(), &["serve", "--listen", "127.0.0.1:0", "--services", services])
    };
    let ran = serve("complience");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let known = "registry, submission, compliance, aggregation";
    assert!(ran.err.contains("\"complience\"") && ran.err.contains(known), "{ran:?}");
    // Spaces do no harm.
    let ran = serve("compliance, registry");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("set peers.submission"), "{ran:?}");
}

#[test]
fn the_reference_names_every_key_that_is_shown_and_nothing_of_tests() {
    let folder = TempDir::new().unwrap();
    let shown = run_in(folder.path(), &["config", "--set", "test.clock=x"]).out;
    let reference = run_in(folder.path(), &["config", "--reference"]).out;
    let shown: toml::Table = shown.parse().unwrap();
    let mut keys = Vec::new();
    leaves("", &toml::Value::Table(shown), &mut keys);
    assert!(keys.contains(&"compliance.office_hours.morning".to_owned()), "{keys:?}");
    for key in keys {
        assert!(reference.contains(&format!("| `{key}` |")), "{key}");
    }
    for peer in ["registry", "submission", "compliance", "aggregation"] {
        assert!(reference.contains(&format!("| `peers.{peer}` | text | `\"\"` |")), "{peer}");
    }
    assert!(!reference.contains("test.clock"));
}

/// The whole names of the keys within.
fn leaves(name: &str, value: &toml::Value, keys: &mut Vec<String>) {
    let Some(table) = value.as_table() else { return keys.push(name.to_owned()) };
    for (key, value) in table {
        let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        leaves(&name, value, keys);
    }
}
