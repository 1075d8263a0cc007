//! StreamUnitHistories and ListEvents: what other services hold a copy by.

use std::sync::Arc;

use dunghan_events::Units;
use dunghan_hierarchy::{Hierarchy, UnitHistory};
use dunghan_host::Suite;
use dunghan_proto::events::ListEventsRequest;
use dunghan_proto::registry as pb;
use dunghan_registry::Registry;
use dunghan_registry::store::{EdgeChange, Store};
use dunghan_store::Database;
use dunghan_testkit::{ENGINES, Place, eventually, fields, refusal};
use tonic::Code;

use crate::changes::{create, merge, new, on, reorganisations};
use crate::{SOON, city, client, date, imported, name, row, start, tree};

pub(crate) fn histories(hierarchy: &Hierarchy) -> Vec<UnitHistory> {
    hierarchy.histories().cloned().collect()
}

/// Waits until the copy is of this version.
async fn follows(units: &Units, version: u64) -> Arc<Hierarchy> {
    eventually(SOON, async || {
        let copy = units.fresh().await.unwrap();
        (copy.version() == version).then_some(copy)
    })
    .await
}

#[tokio::test]
async fn a_copy_is_what_is_stored_and_follows_it() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let units = Units::new(testing.channel(&["service"]));
        assert!(units.current().await.unwrap().is_empty());
        imported(&testing, tree()).await;
        // What it has it goes on with, until it asks.
        assert!(units.current().await.unwrap().is_empty());
        follows(&units, 1).await;
        imported(&testing, vec![city()]).await;
        let copy = follows(&units, 2).await;
        let city = name("24", "2025-07-01").parse().unwrap();
        assert_eq!(copy.get(city).unwrap().versions.len(), 2);

        let place = testing.stop().await;
        let database = Database::open(&place.location, "registry").await.unwrap();
        let stored = Store::new(database).known_fetch().await.unwrap().0;
        assert_eq!((histories(&copy), copy.version()), (histories(&stored), stored.version()));
    }
}

#[tokio::test]
async fn whoever_holds_the_newest_version_is_sent_no_units_again() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut service = client(&testing, "service");
        for (version, rows) in [(1, tree()), (2, vec![city()])] {
            imported(&testing, rows).await;
            for (known_version, sent) in [(0, true), (version - 1, true), (version, false)] {
                let request = pb::StreamUnitHistoriesRequest { known_version };
                let stream = service.stream_unit_histories(request).await;
                let mut stream = stream.unwrap().into_inner();
                let part = stream.message().await.unwrap().unwrap();
                assert_eq!(part.hierarchy_version, version);
                assert_eq!(!part.units.is_empty(), sent, "{known_version} of {version}");
                assert_eq!(stream.message().await.unwrap(), None);
            }
        }
    }
}

#[tokio::test]
async fn what_another_replica_imports_is_answered_soon_and_what_this_one_does_at_once() {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        let location = place.location.clone();
        let suite = Suite::new().with::<Registry>();
        let testing = dunghan_testkit::start_at(suite, place, crate::now(), &[]).await;
        imported(&testing, tree()).await;
        let mut reader = client(&testing, "reader");
        let listed = reader.list_units(pb::ListUnitsRequest::default()).await.unwrap().into_inner();
        assert_eq!((listed.total_size, listed.hierarchy_version), (5, 1));

        let replica = Store::new(Database::open(&location, "registry").await.unwrap());
        let stored = replica.known_fetch().await.unwrap().0;
        let mut unit = stored.get(name("09430", "2025-07-01").parse().unwrap()).unwrap().clone();
        unit.versions[0].display_name = "Xã Đại Đồng Thành".to_owned();
        let keep = EdgeChange::Keep;
        replica.hierarchy_move(1, 2, &[&unit], keep, crate::now(), async |_| Ok(())).await.unwrap();

        let request = pb::GetUnitRequest { name: unit.id.to_string(), as_of_date: None };
        let called = async || {
            let answer = reader.clone().get_unit(request.clone()).await.unwrap().into_inner();
            (answer.hierarchy_version == 2).then_some(answer.display_name)
        };
        assert_eq!(eventually(SOON, called).await, "Xã Đại Đồng Thành");
        for version in 3..9 {
            let row = row("24", &format!("Thành phố Số {version}"), "", "2026-09-20", "");
            let row = pb::UnitRow {
                origin_code: "24".to_owned(),
                origin_date: date("2025-07-01"),
                valid_from_date: date(&format!("2026-10-0{version}")),
                ..row
            };
            imported(&testing, vec![row]).await;
            let listed = reader.list_units(pb::ListUnitsRequest::default()).await.unwrap();
            assert_eq!(listed.into_inner().hierarchy_version, version);
        }
    }
}

#[tokio::test]
async fn a_copy_of_many_units_and_edges_comes_in_messages_below_a_megabyte_of_one_version() {
    use prost::Message as _;
    for engine in ENGINES {
        let testing = start(engine).await;
        // As many as the reform had, and of which each passes to the same one.
        let code = |number: usize| format!("{number:05}");
        let mut rows = vec![row("01", "Tỉnh Một", "", "", ""), row("02", "Tỉnh Hai", "", "", "")];
        rows.extend((1..=5000).map(|n| row(&code(n), &format!("Xã Số {n}"), "01", "", "")));
        imported(&testing, rows).await;
        let shares: Vec<String> = (1..=5000).map(code).collect();
        let shares: Vec<&str> = shares.iter().map(String::as_str).collect();
        let into = new("09999", "Xã Tất Cả", "02");
        let all = on("2025-07-01", vec![merge(&shares, into)]);
        create(&mut reorganisations(&testing, "operator"), "gop-het", all).await.unwrap();

        let request = pb::StreamUnitHistoriesRequest::default();
        let stream = client(&testing, "service").stream_unit_histories(request).await;
        let mut stream = stream.unwrap().into_inner();
        let (mut units, mut edges) = (0, 0);
        while let Some(part) = stream.message().await.unwrap() {
            assert_eq!(part.hierarchy_version, 2);
            assert!(part.encoded_len() < 1 << 20, "{}", part.encoded_len());
            units += part.units.len();
            edges += part.edges.len();
        }
        assert_eq!((units, edges), (5003, 5000));
        let copy = Units::new(testing.channel(&["service"])).current().await.unwrap();
        assert_eq!((copy.len(), copy.edges().len()), (5003, 5000));
    }
}

#[tokio::test]
async fn copies_and_events_are_for_services_and_operators() {
    let testing = start(ENGINES[0]).await;
    let mut reader = client(&testing, "reader");
    let refused = reader.list_events(ListEventsRequest::default()).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::PermissionDenied, "ROLE_MISSING".to_owned()));
    let request = pb::StreamUnitHistoriesRequest::default();
    let refused = reader.stream_unit_histories(request).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::PermissionDenied, "ROLE_MISSING".to_owned()));
    let bad = ListEventsRequest { after: "x".to_owned(), ..Default::default() };
    let refused = client(&testing, "operator").list_events(bad).await.unwrap_err();
    assert_eq!(fields(&refused), ["after"]);
}
