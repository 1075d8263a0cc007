//! ImportUnits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;
use dunghan_events::Units;
use dunghan_hierarchy::Hierarchy;
use dunghan_proto::events::ListEventsRequest;
use dunghan_proto::events::event::Payload;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::RowOutcome;
use dunghan_proto::registry::unit_import::State;
use dunghan_registry::store::Store;
use dunghan_rpc::{Peer, field};
use dunghan_store::Database;
use dunghan_testkit::{ENGINES, Testing, eventually, fields, import_row, refusal};
use futures::StreamExt as _;
use tokio::sync::Notify;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::changes::{create, merge, new, on, parts, with_old_tree};
use crate::{
    Client, SOON, by_code, city, client, date, import, imported, name, now, row, start, tree,
};

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
    Store::new(database).known_fetch().await.unwrap().0
}

fn told(answer: &pb::ImportUnitsResponse) -> Vec<(i32, &str, &str)> {
    let reason = |problem: &pb::RowProblem| {
        problem.reason().as_str_name().trim_start_matches("ERROR_REASON_")
    };
    answer.problems.iter().map(|one| (one.row, one.field.as_str(), reason(one))).collect()
}

/// The answer without the name of the import, which is another one each time.
fn unnamed(answer: pb::ImportUnitsResponse) -> pb::ImportUnitsResponse {
    assert!(answer.unit_import.starts_with("unitImports/"), "{answer:?}");
    pb::ImportUnitsResponse { unit_import: String::new(), ..answer }
}

/// Sends rows under the id of a request, as they are or only to be judged.
async fn send(
    client: &mut Client,
    rows: Vec<pb::UnitRow>,
    request_id: &str,
    validate_only: bool,
) -> Result<pb::ImportUnitsResponse, Status> {
    let mut messages: Vec<_> = rows.into_iter().map(import_row).collect();
    if let Some(first) = messages.first_mut() {
        first.request_id = request_id.to_owned();
        first.validate_only = validate_only;
    }
    Ok(client.import_units(tokio_stream::iter(messages)).await?.into_inner())
}

async fn stage(client: &mut Client, rows: Vec<pb::UnitRow>) -> pb::ImportUnitsResponse {
    send(client, rows, "", true).await.unwrap()
}

async fn commit(client: &mut Client, name: &str) -> Result<pb::UnitImport, Status> {
    let request = pb::CommitUnitImportRequest { name: name.to_owned() };
    Ok(client.commit_unit_import(request).await?.into_inner())
}

async fn fetch(client: &mut Client, name: &str) -> Result<pb::UnitImport, Status> {
    let request = pb::GetUnitImportRequest { name: name.to_owned() };
    Ok(client.get_unit_import(request).await?.into_inner())
}

async fn judged(client: &mut Client, name: &str, only: &[RowOutcome]) -> Vec<pb::JudgedRow> {
    let mut request = pb::ListUnitImportRowsRequest {
        unit_import: name.to_owned(),
        outcomes: only.iter().map(|outcome| i32::from(*outcome)).collect(),
        page_size: 3,
        page_token: String::new(),
    };
    let mut rows = Vec::new();
    loop {
        let page = client.list_unit_import_rows(request.clone()).await.unwrap().into_inner();
        assert!(page.rows.len() <= 3);
        rows.extend(page.rows);
        if page.next_page_token.is_empty() {
            return rows;
        }
        request.page_token = page.next_page_token;
    }
}

/// Where each row stands, its code, and what becomes of it.
fn outcomes(rows: &[pb::JudgedRow]) -> Vec<(i32, &str, RowOutcome)> {
    let of = |judged: &pb::JudgedRow| judged.outcome();
    rows.iter()
        .map(|judged| (judged.row.as_ref().unwrap(), of(judged)))
        .map(|(row, outcome)| (row.row, row.code.as_str(), outcome))
        .collect()
}

#[tokio::test]
async fn loading_twice_changes_nothing_and_tells_nobody() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = client(&testing, "operator");
        let first = unnamed(import(&mut operator, tree()).await);
        let expected = pb::ImportUnitsResponse {
            received_count: 10,
            created_count: 10,
            hierarchy_version: 1,
            ..Default::default()
        };
        assert_eq!(first, expected);
        let second = unnamed(import(&mut operator, tree()).await);
        let expected = pb::ImportUnitsResponse {
            received_count: 10,
            unchanged_count: 10,
            hierarchy_version: 1,
            ..Default::default()
        };
        assert_eq!(second, expected);
        let third = unnamed(import(&mut operator, vec![city(), tree().remove(0)]).await);
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
    assert!(stored(testing).await.is_empty());
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

const ID: &str = "6f0f7c5e-3b0c-4d39-8f43-0f6f6a4a3f6e";

#[tokio::test]
async fn a_dry_run_says_what_would_become_of_every_row_and_is_applied_later() {
    for engine in ENGINES {
        let testing = start(engine).await;
        imported(&testing, tree()).await;
        let mut operator = client(&testing, "operator");
        let new = row("09436", "Xã Mão Điền", "24", "2025-07-01", "");
        let rows = vec![tree().remove(6), city(), pb::UnitRow { row: 70, ..new.clone() }, new];
        let staged = stage(&mut operator, rows.clone()).await;
        let expected = pb::ImportUnitsResponse {
            received_count: 4,
            created_count: 1,
            updated_count: 1,
            unchanged_count: 1,
            hierarchy_version: 1,
            ..Default::default()
        };
        assert_eq!(unnamed(staged.clone()), expected);
        let record = pb::UnitImport {
            name: staged.unit_import.clone(),
            state: State::Staged.into(),
            received_count: 4,
            created_count: 1,
            updated_count: 1,
            unchanged_count: 1,
            creator: "tester".to_owned(),
            create_time: Some(field::pb_time(now())),
            hierarchy_version: 1,
            ..Default::default()
        };
        assert_eq!(fetch(&mut operator, &staged.unit_import).await.unwrap(), record);
        let judged_rows = judged(&mut operator, &staged.unit_import, &[]).await;
        let expected = [
            (1, "09427", RowOutcome::Unchanged),
            (2, "24", RowOutcome::Updates),
            (70, "09436", RowOutcome::Creates),
            (4, "09436", RowOutcome::Creates),
        ];
        assert_eq!(outcomes(&judged_rows), expected);
        assert_eq!(judged_rows[1].unit, name("24", "2025-07-01"));
        assert_eq!(judged_rows[1].row, Some(pb::UnitRow { row: 2, ..city() }));
        let updates = judged(&mut operator, &staged.unit_import, &[RowOutcome::Updates]).await;
        assert_eq!(outcomes(&updates), [(2, "24", RowOutcome::Updates)]);
        assert!(by_code(&mut operator, "09436", "").await.is_err());

        testing.clock.advance(TimeDelta::hours(1));
        let committed = commit(&mut operator, &staged.unit_import).await.unwrap();
        let record = pb::UnitImport {
            state: State::Committed.into(),
            committer: "tester".to_owned(),
            commit_time: Some(field::pb_time(now() + TimeDelta::hours(1))),
            hierarchy_version: 2,
            ..record
        };
        assert_eq!(committed, record);
        assert_eq!(by_code(&mut operator, "09436", "").await.unwrap().hierarchy_version, 2);
        // Applied once is applied.
        testing.clock.advance(TimeDelta::hours(1));
        assert_eq!(commit(&mut operator, &staged.unit_import).await.unwrap(), record);
        assert_eq!(fetch(&mut operator, &staged.unit_import).await.unwrap(), record);
        let again = judged(&mut operator, &staged.unit_import, &[]).await;
        assert_eq!(again, judged_rows);
        told_of(&testing, &[1, 2]).await;
    }
}

#[tokio::test]
async fn an_import_with_a_bad_row_is_kept_with_all_that_is_wrong_and_never_applied() {
    for engine in ENGINES {
        let testing = start(engine).await;
        imported(&testing, tree()).await;
        let mut operator = client(&testing, "operator");
        let new = row("09436", "Xã Mão Điền", "24", "2025-07-01", "");
        let rows = vec![
            new.clone(),
            pb::UnitRow { kind: 0, level: 99, ..new.clone() },
            row("09439", "Xã Song Liễu", "98", "2025-07-01", ""),
            tree().remove(5),
        ];
        for validate_only in [false, true] {
            let answer = send(&mut operator, rows.clone(), "", validate_only).await.unwrap();
            assert_eq!(answer.problems.len(), 3);
            let import = fetch(&mut operator, &answer.unit_import).await.unwrap();
            assert_eq!((import.state(), import.refused_count), (State::Refused, 2));
            assert_eq!((import.received_count, import.created_count), (4, 0));
            assert_eq!((import.commit_time, import.hierarchy_version), (None, 1));
            let rows = judged(&mut operator, &answer.unit_import, &[]).await;
            let expected = [
                (1, "09436", RowOutcome::Creates),
                (2, "09436", RowOutcome::Refused),
                (3, "09439", RowOutcome::Refused),
                (4, "24", RowOutcome::Unchanged),
            ];
            assert_eq!(outcomes(&rows), expected);
            assert_eq!(rows[1].unit, "");
            assert_eq!(rows[2].unit, name("09439", "2025-07-01"));
            let told: Vec<_> = rows.iter().flat_map(|row| row.problems.clone()).collect();
            assert_eq!(told, answer.problems);
            let refused = commit(&mut operator, &answer.unit_import).await.unwrap_err();
            let expected = (Code::FailedPrecondition, "UNIT_IMPORT_REFUSED".to_owned());
            assert_eq!(refusal(&refused), expected);
        }
        told_of(&testing, &[1]).await;
    }
}

#[tokio::test]
async fn what_has_become_bad_since_it_was_judged_is_refused() {
    for engine in ENGINES {
        let testing = start(engine).await;
        imported(&testing, tree()).await;
        let mut operator = client(&testing, "operator");
        let new = |name| row("09436", name, "24", "2025-07-01", "");
        let staged = stage(&mut operator, vec![new("Xã Mão Điền"), tree().remove(5)]).await;
        imported(&testing, vec![new("Xã Song Liễu")]).await;
        for _ in 0..2 {
            let refused = commit(&mut operator, &staged.unit_import).await.unwrap_err();
            let expected = (Code::FailedPrecondition, "UNIT_IMPORT_REFUSED".to_owned());
            assert_eq!(refusal(&refused), expected);
            let metadata = refused.get_details_error_info().unwrap().metadata;
            assert_eq!(metadata["unit_import"], staged.unit_import);
        }
        let import = fetch(&mut operator, &staged.unit_import).await.unwrap();
        assert_eq!((import.state(), import.hierarchy_version), (State::Refused, 2));
        assert_eq!((import.created_count, import.refused_count), (0, 1));
        let rows = judged(&mut operator, &staged.unit_import, &[RowOutcome::Refused]).await;
        assert_eq!(outcomes(&rows), [(1, "09436", RowOutcome::Refused)]);
        assert_eq!(rows[0].problems[0].reason(), pb::ErrorReason::ValidityOverlaps);
        let unit = by_code(&mut operator, "09436", "").await.unwrap();
        assert_eq!(unit.display_name, "Xã Song Liễu");
    }
}

#[tokio::test]
async fn what_came_in_by_another_way_since_it_was_judged_changes_nothing() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = client(&testing, "operator");
        let staged = stage(&mut operator, tree()).await;
        assert_eq!((staged.created_count, staged.hierarchy_version), (10, 0));
        imported(&testing, tree()).await;
        let committed = commit(&mut operator, &staged.unit_import).await.unwrap();
        assert_eq!((committed.state(), committed.hierarchy_version), (State::Committed, 1));
        assert_eq!((committed.created_count, committed.unchanged_count), (0, 10));
        let rows = judged(&mut operator, &staged.unit_import, &[RowOutcome::Unchanged]).await;
        assert_eq!(rows.len(), 10);
        told_of(&testing, &[1]).await;
    }
}

#[tokio::test]
async fn an_import_that_is_applied_twice_at_once_is_applied_once() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = client(&testing, "operator");
        let staged = stage(&mut operator, tree()).await;
        let calls = (0..6).map(|_| {
            let (mut operator, name) = (operator.clone(), staged.unit_import.clone());
            async move { commit(&mut operator, &name).await.unwrap() }
        });
        let answers = futures::future::join_all(calls).await;
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
        assert_eq!((answers[0].created_count, answers[0].hierarchy_version), (10, 1));
        told_of(&testing, &[1]).await;
    }
}

#[tokio::test]
async fn the_same_request_is_the_same_import_and_its_id_serves_no_other() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = client(&testing, "operator");
        let calls = (0..6).map(|_| {
            let mut operator = operator.clone();
            async move { send(&mut operator, tree(), ID, false).await.unwrap() }
        });
        let answers = futures::future::join_all(calls).await;
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
        assert_eq!((answers[0].created_count, answers[0].hierarchy_version), (10, 1));
        // Also when the units are others by now.
        imported(&testing, vec![city()]).await;
        assert_eq!(send(&mut operator, tree(), ID, false).await.unwrap(), answers[0]);
        let request = pb::ListUnitImportsRequest::default();
        let listed = operator.list_unit_imports(request).await.unwrap().into_inner();
        assert_eq!(listed.unit_imports.len(), 2);

        let mut fewer = tree();
        fewer.pop();
        let mut other = tree();
        other[3].display_name = "Phường Trí Qủa".to_owned();
        for (rows, validate_only) in [(fewer, false), (other, false), (tree(), true)] {
            let refused = send(&mut operator, rows, ID, validate_only).await.unwrap_err();
            assert_eq!(refusal(&refused), (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned()));
        }
        for bad in ["1", "6f0f7c5e-3b0c-1d39-8f43-0f6f6a4a3f6e"] {
            let refused = send(&mut operator, tree(), bad, false).await.unwrap_err();
            assert_eq!(fields(&refused), ["request_id"]);
        }
        told_of(&testing, &[1, 2]).await;
    }
}

#[tokio::test]
async fn a_dry_run_and_a_refusal_are_the_same_when_they_are_asked_for_again() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = client(&testing, "operator");
        let bad = vec![row("09439", "Xã Song Liễu", "98", "2025-07-01", "")];
        let other = "8f0f7c5e-3b0c-4d39-8f43-0f6f6a4a3f6e";
        for (rows, id, validate_only) in [(tree(), ID, true), (bad, other, false)] {
            let first = send(&mut operator, rows.clone(), id, validate_only).await.unwrap();
            let again = send(&mut operator, rows, id, validate_only).await.unwrap();
            assert_eq!(first, again);
        }
    }
}

#[tokio::test]
async fn imports_that_changed_nothing_are_forgotten_after_a_day_and_the_others_never() {
    for engine in ENGINES {
        let testing = start(engine).await;
        imported(&testing, tree()).await;
        let mut operator = client(&testing, "operator");
        let bad = row("09439", "Xã Song Liễu", "98", "2025-07-01", "");
        let changed = import(&mut operator, vec![city()]).await;
        let unchanged = import(&mut operator, vec![city()]).await;
        let refused = import(&mut operator, vec![bad.clone()]).await;
        let staged = stage(&mut operator, vec![bad]).await;
        let new = row("09436", "Xã Mão Điền", "24", "2025-07-01", "");
        let committed = stage(&mut operator, vec![new]).await;
        let committed = commit(&mut operator, &committed.unit_import).await.unwrap();

        let all = async |operator: &mut Client| {
            let mut request =
                pb::ListUnitImportsRequest { page_size: 2, page_token: String::new() };
            let mut names = Vec::new();
            loop {
                let page = operator.list_unit_imports(request.clone()).await.unwrap().into_inner();
                names.extend(page.unit_imports.into_iter().map(|import| import.name));
                if page.next_page_token.is_empty() {
                    names.sort_unstable();
                    return names;
                }
                request.page_token = page.next_page_token;
            }
        };
        testing.clock.advance(TimeDelta::days(1));
        import(&mut operator, vec![city()]).await;
        assert_eq!(all(&mut operator).await.len(), 7);
        testing.clock.advance(TimeDelta::microseconds(1));
        let last = import(&mut operator, vec![city()]).await;
        let left = all(&mut operator).await;
        assert_eq!(left.len(), 5);
        for name in [&changed.unit_import, &committed.name, &last.unit_import] {
            assert!(left.contains(name));
            assert_eq!(fetch(&mut operator, name).await.unwrap().name, *name);
            assert_eq!(judged(&mut operator, name, &[]).await.len(), 1);
        }
        for name in [&unchanged.unit_import, &refused.unit_import, &staged.unit_import] {
            let request =
                pb::ListUnitImportRowsRequest { unit_import: name.clone(), ..Default::default() };
            for gone in [
                fetch(&mut operator, name).await.unwrap_err(),
                commit(&mut operator, name).await.unwrap_err(),
                operator.list_unit_import_rows(request).await.unwrap_err(),
            ] {
                let expected = (Code::NotFound, "UNIT_IMPORT_NOT_FOUND".to_owned());
                assert_eq!(refusal(&gone), expected);
            }
        }
    }
}

#[tokio::test]
async fn imports_are_listed_the_last_one_first() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = client(&testing, "operator");
        let mut names = Vec::new();
        for _ in 0..5 {
            names.push(stage(&mut operator, tree()).await.unit_import);
            testing.clock.advance(TimeDelta::seconds(1));
        }
        names.reverse();
        let mut request = pb::ListUnitImportsRequest { page_size: 2, page_token: String::new() };
        let mut listed = Vec::new();
        for count in [2, 2, 1] {
            let page = operator.list_unit_imports(request.clone()).await.unwrap().into_inner();
            assert_eq!(page.unit_imports.len(), count);
            listed.extend(page.unit_imports.into_iter().map(|import| import.name));
            request.page_token = page.next_page_token;
        }
        assert_eq!((listed, request.page_token.as_str()), (names, ""));
    }
}

#[tokio::test]
async fn what_names_no_import_or_outcome_is_refused_by_its_field() {
    let testing = start(ENGINES[0]).await;
    let mut operator = client(&testing, "operator");
    let staged = stage(&mut operator, tree()).await.unit_import;
    let id = staged.trim_start_matches("unitImports/");
    for bad in ["", id, "unitImports/", "unitImports/1", &staged.to_uppercase(), "units/1"] {
        assert_eq!(fields(&fetch(&mut operator, bad).await.unwrap_err()), ["name"], "{bad}");
        assert_eq!(fields(&commit(&mut operator, bad).await.unwrap_err()), ["name"], "{bad}");
        let request =
            pb::ListUnitImportRowsRequest { unit_import: bad.to_owned(), ..Default::default() };
        let refused = operator.list_unit_import_rows(request).await.unwrap_err();
        assert_eq!(fields(&refused), ["unit_import"], "{bad}");
    }
    for bad in [0, 99] {
        let request = pb::ListUnitImportRowsRequest {
            unit_import: staged.clone(),
            outcomes: vec![bad],
            ..Default::default()
        };
        let refused = operator.list_unit_import_rows(request).await.unwrap_err();
        assert_eq!(fields(&refused), ["outcomes"]);
    }
    let unknown = format!("unitImports/{ID}");
    let refused = fetch(&mut operator, &unknown).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::NotFound, "UNIT_IMPORT_NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn a_message_without_a_row_or_with_far_too_large_a_one_is_a_bad_row() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = client(&testing, "operator");
        let large = pb::UnitRow { display_name: "x".repeat(5000), ..tree().remove(0) };
        let messages = vec![
            import_row(tree().remove(0)),
            pb::ImportUnitsRequest::default(),
            import_row(large),
        ];
        let answer = operator.import_units(tokio_stream::iter(messages)).await.unwrap();
        let answer = answer.into_inner();
        assert_eq!(told(&answer), [(2, "row", "ROW_INVALID"), (3, "row", "ROW_INVALID")]);
        assert_eq!(answer.problems[0].message, "row is missing");
        let rows = judged(&mut operator, &answer.unit_import, &[RowOutcome::Refused]).await;
        let expected = [(2, "", RowOutcome::Refused), (3, "", RowOutcome::Refused)];
        assert_eq!(outcomes(&rows), expected);
    }
}

#[tokio::test]
async fn a_name_is_the_same_however_its_letters_were_typed() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let composed = row("09427", "Phường Trí Quả", "", "2025-07-01", "");
        // Each letter followed by its marks.
        let decomposed = "Phu\u{31b}o\u{31b}\u{300}ng Tri\u{301} Qua\u{309}".to_owned();
        assert_ne!(decomposed, composed.display_name);
        let decomposed = pb::UnitRow { display_name: decomposed, ..composed.clone() };
        let mut operator = client(&testing, "operator");
        let rows = vec![decomposed.clone(), composed];
        let first = import(&mut operator, rows.clone()).await;
        assert_eq!((first.created_count, told(&first)), (1, vec![]));
        assert_eq!(import(&mut operator, rows).await.unchanged_count, 1);
        let unit = by_code(&mut operator, "09427", "").await.unwrap();
        assert_eq!(unit.display_name, "Phường Trí Quả");
        // What came is kept as it came.
        let rows = judged(&mut operator, &first.unit_import, &[]).await;
        assert_eq!(rows[0].row, Some(pb::UnitRow { row: 1, ..decomposed }));
    }
}

#[tokio::test]
async fn only_the_row_whose_parent_is_missing_is_blamed_and_not_the_chain_below_it() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let school = pb::UnitRow {
            scheme: "truong".to_owned(),
            kind: pb::Kind::School.into(),
            level: pb::Level::School.into(),
            display_name: "Trường Tiểu học Trí Quả".to_owned(),
            parent_scheme: "nso".to_owned(),
            ..row("TQ1", "Xã", "09421", "", "2025-06-30")
        };
        let rows = vec![
            row("262", "Thị xã Thuận Thành", "27", "", "2025-06-30"),
            row("09421", "Phường Trí Quả", "262", "", "2025-06-30"),
            school,
        ];
        let mut operator = client(&testing, "operator");
        let answer = import(&mut operator, rows.clone()).await;
        assert_eq!(told(&answer), [(1, "parent_code", "PARENT_NOT_VALID")]);
        // Nor is anybody for a row that does not read.
        let mut unread = rows;
        unread.insert(0, pb::UnitRow { kind: 0, ..tree().remove(1) });
        let answer = import(&mut operator, unread).await;
        assert_eq!(told(&answer), [(1, "kind", "ROW_INVALID")]);
    }
}

#[tokio::test]
async fn a_unit_holds_codes_of_several_schemes_and_is_found_by_each() {
    for engine in ENGINES {
        let testing = start(engine).await;
        imported(&testing, tree()).await;
        let mut operator = client(&testing, "operator");
        // From a later day on, and without a word of what comes after.
        let other = pb::UnitRow {
            scheme: "dinh_danh".to_owned(),
            code: "H05".to_owned(),
            origin_scheme: "nso".to_owned(),
            origin_code: "24".to_owned(),
            origin_date: date("2025-07-01"),
            ..row("24", "Tỉnh Bắc Ninh", "", "2026-01-01", "")
        };
        let answer = import(&mut operator, vec![other.clone()]).await;
        assert_eq!((told(&answer), answer.updated_count), (vec![], 1));
        imported(&testing, vec![city()]).await;
        for (as_of, held) in [("2025-12-31", 1), ("2026-01-01", 2), ("2026-09-20", 2)] {
            let unit = by_code(&mut operator, "24", as_of).await.unwrap();
            assert_eq!(unit.identifiers.len(), held, "{as_of}");
        }
        let again = import(&mut operator, vec![other.clone(), city()]).await;
        assert_eq!((again.unchanged_count, again.hierarchy_version), (1, 3));

        // The other list does not call it something else, nor does it end it.
        let renamed = pb::UnitRow { display_name: "Tỉnh Kinh Bắc".to_owned(), ..other.clone() };
        let refused = import(&mut operator, vec![renamed]).await;
        assert_eq!(told(&refused), [(1, "valid_from_date", "VALIDITY_OVERLAPS")]);
        let ended = pb::UnitRow { valid_through_date: date("2026-03-31"), ..other.clone() };
        let refused =
            import(&mut operator, vec![pb::UnitRow { code: "H6".to_owned(), ..ended }]).await;
        assert_eq!(told(&refused), [(1, "code", "VALIDITY_OVERLAPS")]);
        let unknown = pb::UnitRow { origin_code: "27".to_owned(), ..other };
        let refused = import(&mut operator, vec![unknown]).await;
        assert_eq!(told(&refused), [(1, "code", "CODE_TAKEN"), (1, "origin_code", "ROW_INVALID")]);
    }
}

#[tokio::test]
async fn far_too_many_bytes_are_refused_and_leave_nothing() {
    let testing = start(ENGINES[0]).await;
    let mut operator = client(&testing, "operator");
    let wide = pb::UnitRow { display_name: "x".repeat(1 << 20), ..tree().remove(0) };
    let rows = std::iter::once(tree().remove(0)).chain(std::iter::repeat_n(wide, 64));
    let stream = tokio_stream::iter(rows.map(import_row));
    let refused = operator.import_units(stream).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::InvalidArgument, "TOO_MANY_ROWS".to_owned()));
    let request = pb::ListUnitImportsRequest::default();
    let listed = operator.list_unit_imports(request).await.unwrap().into_inner();
    assert_eq!(listed.unit_imports, []);
    assert!(stored(testing).await.is_empty());
}

#[tokio::test]
async fn an_import_does_not_take_away_what_a_reorganisation_says_was_there() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = with_old_tree(&testing).await;
        let merger = on(
            "2025-07-01",
            vec![merge(&["09421", "09427"], new("09427", "Phường Trí Quả", "262"))],
        );
        create(&mut operator, "sap-nhap", merger).await.unwrap();
        let mut importer = client(&testing, "operator");
        let ended = row("09430", "Xã Đại Đồng", "262", "", "2024-12-31");
        assert_eq!(told(&import(&mut importer, vec![ended]).await), []);
        let parts = on("2026-01-01", vec![parts(&["09454"], new("09460", "Xã Mới", "263"))]);
        create(&mut operator, "tach", parts).await.unwrap();
        let ended = row("09454", "Xã Xuân Lai", "263", "", "2025-06-30");
        let refused = import(&mut importer, vec![ended]).await;
        assert_eq!(told(&refused), [(1, "valid_through_date", "CHANGE_UNIT_NOT_VALID")]);
        assert!(refused.problems[0].message.contains("reorganisations/tach"));
    }
}
