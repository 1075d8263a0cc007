//! StreamUnitRows, and what comes in by what it gave.

use dunghan_events::Units;
use dunghan_hierarchy::UnitHistory;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::RowOutcome;
use dunghan_proto::registry::change::Change;
use dunghan_registry::bundle;
use dunghan_testkit::{ENGINES, Engine, Testing, fields, refusal};
use tonic::Code;

use crate::changes::{create, of, on, rename, reorganisations, with_old_tree};
use crate::copies::histories;
use crate::{Client, city, client, date, import, imported, name, start, tree};

/// All rows of a stream and their version.
async fn rows(client: &mut Client, request: pb::StreamUnitRowsRequest) -> (i64, Vec<pb::UnitRow>) {
    let mut stream = client.stream_unit_rows(request).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    let (version, mut rows) = (first.hierarchy_version, first.rows);
    while let Some(part) = stream.message().await.unwrap() {
        assert_eq!(part.hierarchy_version, version);
        assert!(rows.len().is_multiple_of(500) && part.rows.len() <= 500);
        rows.extend(part.rows);
    }
    (version, rows)
}

async fn as_of(client: &mut Client, as_of: &str) -> Vec<pb::UnitRow> {
    let request = pb::StreamUnitRowsRequest { as_of_date: date(as_of), ..Default::default() };
    rows(client, request).await.1
}

async fn whole_history(client: &mut Client) -> (i64, Vec<pb::UnitRow>) {
    rows(client, pb::StreamUnitRowsRequest { whole_history: true, ..Default::default() }).await
}

/// All units with their histories.
async fn all(testing: &Testing) -> Vec<UnitHistory> {
    let units = Units::new(testing.channel(&["service"]));
    histories(&units.current().await.unwrap())
}

fn codes(rows: &[pb::UnitRow]) -> Vec<&str> {
    rows.iter().map(|row| row.code.as_str()).collect()
}

/// The province has a second code, and a department with one of another scheme under it.
async fn with_tree(engine: Engine) -> Testing {
    let testing = start(engine).await;
    imported(&testing, tree()).await;
    let other = pb::UnitRow {
        scheme: "dinh_danh".to_owned(),
        code: "H05".to_owned(),
        origin_scheme: "nso".to_owned(),
        ..city()
    };
    imported(&testing, vec![city(), other]).await;
    testing
}

#[tokio::test]
async fn the_units_of_a_date_are_rows_with_all_of_their_codes() {
    for engine in ENGINES {
        let testing = with_tree(engine).await;
        let mut reader = client(&testing, "reader");
        let before = as_of(&mut reader, "2025-06-30").await;
        assert_eq!(codes(&before), ["24", "27", "262", "09421", "09427"]);
        let nso = |row| pb::UnitRow { scheme: "nso".to_owned(), ..row };
        let listed = |at: usize| nso(tree().remove(at));
        assert_eq!(before, [listed(0), listed(1), listed(2), listed(3), listed(4)]);

        let now = as_of(&mut reader, "").await;
        let province = nso(city());
        let other = pb::UnitRow {
            scheme: "dinh_danh".to_owned(),
            code: "H05".to_owned(),
            origin_scheme: "nso".to_owned(),
            ..city()
        };
        // A code of the same scheme by now, which the province did not have yet when the department began.
        let (parent_code, parent_scheme) = ("H05".to_owned(), String::new());
        let department = pb::UnitRow { parent_code, parent_scheme, ..tree().remove(9) };
        assert_eq!(now, [province, other, listed(6), listed(7), listed(8), department]);
        let between = as_of(&mut reader, "2026-09-19").await;
        assert_eq!(between[0].valid_through_date, date("2026-09-19"));
        assert_eq!(codes(&between), ["24", "09427", "09430", "09433", "H05.9"]);
        let empty = start(engine).await;
        assert_eq!(whole_history(&mut client(&empty, "reader")).await, (0, Vec::new()));
    }
}

#[tokio::test]
async fn they_can_be_those_below_a_unit_and_those_of_some_levels() {
    for engine in ENGINES {
        let testing = with_tree(engine).await;
        let mut reader = client(&testing, "reader");
        let below = pb::StreamUnitRowsRequest {
            as_of_date: date("2025-06-30"),
            ancestor_unit: name("262", ""),
            ..Default::default()
        };
        assert_eq!(codes(&rows(&mut reader, below).await.1), ["262", "09421", "09427"]);
        let levels = pb::StreamUnitRowsRequest {
            levels: vec![pb::Level::Province.into(), pb::Level::Department.into()],
            ..Default::default()
        };
        assert_eq!(codes(&rows(&mut reader, levels.clone()).await.1), ["24", "H05", "H05.9"]);
        let both = pb::StreamUnitRowsRequest { ancestor_unit: name("24", "2025-07-01"), ..levels };
        assert_eq!(codes(&rows(&mut reader, both).await.1), ["24", "H05", "H05.9"]);

        let gone =
            pb::StreamUnitRowsRequest { ancestor_unit: name("262", ""), ..Default::default() };
        let refused = reader.stream_unit_rows(gone).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::NotFound, "UNIT_NOT_VALID_ON_DATE".to_owned()));
    }
}

#[tokio::test]
async fn what_does_not_go_with_a_whole_history_is_refused_by_its_field() {
    let testing = start(ENGINES[0]).await;
    let mut reader = client(&testing, "reader");
    let whole = pb::StreamUnitRowsRequest { whole_history: true, ..Default::default() };
    for (field, request) in [
        (
            "as_of_date",
            pb::StreamUnitRowsRequest { as_of_date: date("2026-01-01"), ..whole.clone() },
        ),
        (
            "ancestor_unit",
            pb::StreamUnitRowsRequest { ancestor_unit: name("24", ""), ..whole.clone() },
        ),
        ("levels", pb::StreamUnitRowsRequest { levels: vec![1], ..whole }),
        ("levels", pb::StreamUnitRowsRequest { levels: vec![99], ..Default::default() }),
        (
            "ancestor_unit",
            pb::StreamUnitRowsRequest { ancestor_unit: "24".to_owned(), ..Default::default() },
        ),
    ] {
        let refused = reader.stream_unit_rows(request).await.unwrap_err();
        assert_eq!(fields(&refused), [field]);
    }
    let request = pb::StreamUnitRowsRequest::default();
    let refused = Client::new(testing.anonymous()).stream_unit_rows(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn what_goes_out_changes_nothing_where_it_came_from() {
    for engine in ENGINES {
        let testing = with_tree(engine).await;
        let mut operator = client(&testing, "operator");
        let mut all = vec![whole_history(&mut operator).await.1];
        for date in ["2000-01-01", "2025-06-30", "2025-07-01", "2026-09-19", ""] {
            all.push(as_of(&mut operator, date).await);
        }
        for rows in all {
            let count = rows.len();
            assert!(count > 0);
            let answer = import(&mut operator, rows).await;
            assert_eq!((answer.problems.len(), answer.hierarchy_version), (0, 2));
            let request = pb::ListUnitImportRowsRequest {
                unit_import: answer.unit_import,
                outcomes: vec![RowOutcome::Unchanged.into()],
                ..Default::default()
            };
            let rows = operator.list_unit_import_rows(request).await.unwrap().into_inner().rows;
            assert_eq!(rows.len(), count);
        }
    }
}

#[tokio::test]
async fn a_unit_that_lost_its_code_goes_out_and_comes_in_with_those_below_it() {
    for engine in ENGINES {
        let here = start(engine).await;
        let mut operator = with_old_tree(&here).await;
        let lost = pb::Recode { unit: of("262"), scheme: "nso".to_owned(), ..Default::default() };
        let lost = on("2025-01-01", vec![Change::Recode(lost)]);
        create(&mut operator, "mat-ma", lost).await.unwrap();
        let renamed = on("2025-03-01", vec![rename("09421", "Phường Trí Quả Mới")]);
        create(&mut operator, "doi-ten", renamed).await.unwrap();

        let mut operator = client(&here, "operator");
        let (_, rows) = whole_history(&mut operator).await;
        let unit = name("262", "");
        let without = rows.iter().find(|row| row.code.is_empty()).unwrap();
        assert_eq!((without.origin_code.as_str(), without.origin_date), ("262", None));
        let below = rows.iter().find(|row| row.display_name == "Phường Trí Quả Mới").unwrap();
        assert_eq!((below.parent_code.as_str(), below.parent_scheme.as_str()), (unit.as_str(), ""));
        let again = import(&mut operator, rows.clone()).await;
        assert_eq!((again.problems.len(), again.hierarchy_version), (0, 3));
        let there = start(engine).await;
        imported(&there, rows).await;
        assert_eq!(all(&there).await, all(&here).await);
    }
}

#[tokio::test]
async fn the_country_comes_in_elsewhere_as_it_is_here_on_sqlite() {
    country(Engine::Sqlite).await;
}

#[tokio::test]
async fn the_country_comes_in_elsewhere_as_it_is_here_on_postgres() {
    country(Engine::Postgres).await;
}

async fn country(engine: Engine) {
    let here = start(engine).await;
    let bundle = bundle().unwrap();
    imported(&here, bundle.rows).await;
    let request = pb::BatchCreateReorganisationsRequest { requests: bundle.reorganisations };
    reorganisations(&here, "operator").batch_create_reorganisations(request).await.unwrap();

    let mut operator = client(&here, "operator");
    let (version, rows) = whole_history(&mut operator).await;
    assert_eq!(rows.len(), 10_794 + 3_355 + 3);
    let again = import(&mut operator, rows.clone()).await;
    assert_eq!((again.problems.len(), again.hierarchy_version), (0, version));
    assert_eq!((again.created_count, again.updated_count), (0, 0));

    let there = start(engine).await;
    imported(&there, rows).await;
    assert!(all(&there).await == all(&here).await);

    for date in ["2025-06-30", "2025-07-01", "2026-11-22"] {
        let rows = as_of(&mut operator, date).await;
        let again = import(&mut operator, rows).await;
        assert_eq!((again.problems.len(), again.hierarchy_version), (0, version), "{date}");
    }
}
