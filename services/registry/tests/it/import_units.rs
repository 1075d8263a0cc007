//! ImportUnits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dunghan_events::Units;
use dunghan_hierarchy::Hierarchy;
use dunghan_proto::events::ListEventsRequest;
use dunghan_proto::events::event::Payload;
use dunghan_proto::registry as pb;
use dunghan_registry::store::Store;
use dunghan_rpc::Peer;
use dunghan_store::Database;
use dunghan_testkit::{ENGINES, Testing, eventually, import_row, refusal};
use futures::StreamExt as _;
use tokio::sync::Notify;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request};

use crate::{Client, SOON, city, client, date, import, imported, name, row, start, tree};

/// Waits until the events tell of these versions, and no others.
async fn told_of(testing: &Testing, versions: &[i64]) {
    let mut service = client(testing, "service");
    let last = versions.last().copied();
    let told = eventually(SOON, async || {
        let answer = service.list_events(ListEventsRequest::default()).await.unwrap().into_inner();
        let changed = answer.events.into_iter().map(|event| match event.payload {
            Some(Payload::UnitsChanged(changed)) => changed.hierarchy_version,
            other => panic!("{other:?}"),
        });
        let told: Vec<i64> = changed.collect();
        (told.last().copied() == last).then_some(told)
    });
    assert_eq!(told.await, versions);
}

async fn stored(testing: Testing) -> Hierarchy {
    let place = testing.stop().await;
    let database = Database::open(&place.location, "registry").await.unwrap();
    Store::new(database).hierarchy_fetch().await.unwrap()
}

fn told(answer: &pb::ImportUnitsResponse) -> Vec<(i32, &str, &str)> {
    let reason = |problem: &pb::RowProblem| {
        problem.reason().as_str_name().trim_start_matches("ERROR_REASON_")
    };
    answer.problems.iter().map(|one| (one.row, one.field.as_str(), reason(one))).collect()
}

#[tokio::test]
async fn loading_twice_changes_nothing_and_tells_nobody() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = client(&testing, "operator");
        let first = import(&mut operator, tree()).await;
        let expected = pb::ImportUnitsResponse {
            received_count: 10,
            created_count: 10,
            hierarchy_version: 1,
            ..Default::default()
        };
        assert_eq!(first, expected);
        let second = import(&mut operator, tree()).await;
        let expected = pb::ImportUnitsResponse {
            received_count: 10,
            unchanged_count: 10,
            hierarchy_version: 1,
            ..Default::default()
        };
        assert_eq!(second, expected);
        let third = import(&mut operator, vec![city(), tree().remove(0)]).await;
        let expected = pb::ImportUnitsResponse {
            received_count: 2,
            updated_count: 1,
            unchanged_count: 1,
            hierarchy_version: 2,
            ..Default::default()
        };
        assert_eq!(third, expected);
        assert_eq!(import(&mut operator, Vec::new()).await.hierarchy_version, 2);
        told_of(&testing, &[1, 2]).await;
    }
}

#[tokio::test]
async fn a_bad_import_names_every_bad_row_and_applies_nothing() {
    for engine in ENGINES {
        let testing = start(engine).await;
        imported(&testing, tree()).await;
        let good = row("09436", "Xã Mão Điền", "24", "2025-07-01", "");
        let rows = vec![
            good.clone(),
            pb::UnitRow { kind: 0, level: 99, ..good.clone() },
            pb::UnitRow { code: "9436".to_owned(), display_name: " ".to_owned(), ..good.clone() },
            pb::UnitRow { code: "0943 6".to_owned(), ..good.clone() },
            pb::UnitRow {
                valid_through_date: date("2025-06-30"),
                origin_date: date("2025-07-01"),
                parent_scheme: "nso".to_owned(),
                parent_code: String::new(),
                ..good.clone()
            },
            pb::UnitRow { row: 70, ..row("09442", "Xã Gia Đông", "262", "2025-07-01", "") },
            row("09439", "Xã Song Liễu", "98", "2025-07-01", ""),
            row("09430", "Xã Ngũ Thái", "24", "2026-01-01", ""),
            pb::UnitRow { valid_from_date: date("2025-01-01"), ..city() },
            row("301", "Huyện Một", "302", "2025-07-01", ""),
            row("302", "Huyện Hai", "301", "2025-07-01", ""),
            pb::UnitRow { origin_code: "27".to_owned(), ..city() },
        ];
        let answer = import(&mut client(&testing, "operator"), rows).await;
        assert_eq!(
            told(&answer),
            [
                (2, "kind", "ROW_INVALID"),
                (2, "level", "ROW_INVALID"),
                (3, "code", "ROW_INVALID"),
                (3, "display_name", "ROW_INVALID"),
                (4, "code", "ROW_INVALID"),
                (5, "origin_date", "ROW_INVALID"),
                (5, "parent_scheme", "ROW_INVALID"),
                (5, "valid_through_date", "ROW_INVALID"),
                (7, "parent_code", "PARENT_NOT_VALID"),
                (8, "code", "CODE_TAKEN"),
                (9, "valid_from_date", "ROW_INVALID"),
                (10, "parent_code", "CYCLE"),
                (11, "parent_code", "CYCLE"),
                (12, "code", "CODE_TAKEN"),
                (12, "origin_code", "ROW_INVALID"),
                (70, "parent_code", "PARENT_NOT_VALID"),
            ],
            "{:#?}",
            answer.problems
        );
        assert_eq!(
            (answer.received_count, answer.created_count, answer.hierarchy_version),
            (12, 0, 1)
        );
        told_of(&testing, &[1]).await;
        assert_eq!(stored(testing).await.len(), 10);
    }
}

#[tokio::test]
async fn an_import_that_is_cut_off_applies_nothing() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = client(&testing, "operator");
        // Two rows go out, and then nothing, neither another nor the end.
        let waiting = Arc::new(Notify::new());
        let tells = waiting.clone();
        let rows = tokio_stream::iter(tree().into_iter().take(2)).chain(futures::stream::poll_fn(
            move |_| {
                tells.notify_one();
                std::task::Poll::Pending
            },
        ));
        let mut importing = operator.clone();
        let call = tokio::spawn(async move { importing.import_units(rows.map(import_row)).await });
        waiting.notified().await;
        // On the same connection, so the rows are on their way before its answer is.
        let listed = operator.list_units(pb::ListUnitsRequest::default()).await.unwrap();
        assert_eq!(listed.into_inner().total_size, 0);
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        drop(operator);
        // Stopping waits for calls in flight.
        assert!(stored(testing).await.is_empty());
    }
}

#[tokio::test]
async fn a_stream_that_does_not_read_applies_nothing() {
    let testing = start(ENGINES[0]).await;
    let mut raw: Grpc<Peer> = Grpc::new(testing.channel(&["operator"]));
    raw.ready().await.unwrap();
    // Another message, whose first field is a text instead of a number.
    let rows = vec![pb::GetUnitRequest { name: name("24", ""), as_of_date: None }];
    let path = PathAndQuery::from_static("/dunghan.registry.v1.RegistryService/ImportUnits");
    let codec = tonic_prost::ProstCodec::<pb::GetUnitRequest, pb::ImportUnitsResponse>::default();
    let refused = raw
        .client_streaming(Request::new(tokio_stream::iter(rows)), path, codec)
        .await
        .unwrap_err();
    assert_eq!(refusal(&refused), (Code::Aborted, "STREAM_BROKEN".to_owned()));
    assert!(stored(testing).await.is_empty());
}

#[tokio::test]
async fn more_rows_than_one_import_takes_are_refused() {
    let testing = start(ENGINES[0]).await;
    // More than are on their way when the server has enough: all are read, lest the refusal be lost.
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let rows = std::iter::repeat_n(pb::UnitRow::default(), 400_000);
    let rows = rows.inspect(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let refused = client(&testing, "operator")
        .import_units(tokio_stream::iter(rows.map(import_row)))
        .await
        .unwrap_err();
    assert_eq!(refusal(&refused), (Code::InvalidArgument, "TOO_MANY_ROWS".to_owned()));
    assert_eq!(sent.load(Ordering::Relaxed), 400_000);
}

#[tokio::test]
async fn only_an_operator_imports() {
    let testing = start(ENGINES[0]).await;
    for role in ["reader", "supervisor", "importer", "service"] {
        let rows = tokio_stream::iter(tree()).map(import_row);
        let refused = client(&testing, role).import_units(rows).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::PermissionDenied, "ROLE_MISSING".to_owned()));
    }
    let refused = Client::new(testing.anonymous())
        .import_units(tokio_stream::iter(tree()).map(import_row))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn imports_at_the_same_time_all_come_in() {
    for engine in ENGINES {
        let testing = start(engine).await;
        imported(&testing, tree()).await;
        let calls = (1..=8).map(|number| {
            let mut operator = client(&testing, "operator");
            let row =
                row(&format!("1000{number}"), &format!("Xã Số {number}"), "24", "2025-07-01", "");
            async move { import(&mut operator, vec![row]).await }
        });
        let answers = futures::future::join_all(calls).await;
        let mut versions: Vec<_> = answers.iter().map(|answer| answer.hierarchy_version).collect();
        versions.sort_unstable();
        assert_eq!(versions, (2..=9).collect::<Vec<_>>());
        let copy = Units::new(testing.channel(&["service"])).current().await.unwrap();
        assert_eq!((copy.len(), copy.version()), (18, 9));
        assert_eq!(stored(testing).await.len(), 18);
    }
}
