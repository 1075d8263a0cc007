//! Services of one suite in several processes.

use dunghan_host::Clocks;
use dunghan_testkit::{Engine, Front, Place};

use crate::world::{config, serves, start, suite, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_away_is_said_by_its_own_name_and_makes_nobody_unready() {
    let place = Place::new(Engine::Sqlite).await;
    let front = Front::new();
    let url = front.url();
    let asking = config(place.folder(), &place.location, &[("peers.registry", &url)]);
    let mut submission = start(suite().only(&["submission"]).unwrap(), &asking).await;
    submission.ready().await.unwrap();
    until(&submission, "submission/registry", false).await;
    assert_eq!(serves(&submission, "submission").await, Some(true));
    assert_eq!(serves(&submission, "").await, Some(true));
    assert_eq!(serves(&submission, "registry").await, None);

    let elsewhere = config(place.folder(), &place.location, &[]);
    let mut registry = start(suite().only(&["registry"]).unwrap(), &elsewhere).await;
    registry.ready().await.unwrap();
    front.add(registry.address);
    until(&submission, "submission/registry", true).await;
    front.remove(registry.address);
    registry.stop().await.unwrap();
    until(&submission, "submission/registry", false).await;
    assert_eq!(serves(&submission, "submission").await, Some(true));
    submission.stop().await.unwrap();
}

#[tokio::test]
async fn a_peer_beside_is_there() {
    let place = Place::new(Engine::Sqlite).await;
    let mut started = start(suite(), &config(place.folder(), &place.location, &[])).await;
    started.ready().await.unwrap();
    assert_eq!(serves(&started, "submission/registry").await, Some(true));
    started.stop().await.unwrap();
}

#[tokio::test]
async fn a_peer_that_nobody_can_find_is_refused_with_the_key_to_set() {
    let place = Place::new(Engine::Sqlite).await;
    let config = config(place.folder(), &place.location, &[]);
    let alone = suite().only(&["submission"]).unwrap();
    let said = alone.start(&config, Clocks::default()).await.unwrap_err().to_string();
    assert!(said.contains("set peers.registry"), "{said}");
    // Nobody asks submission.
    let mut started = start(suite().only(&["registry"]).unwrap(), &config).await;
    started.ready().await.unwrap();
    started.stop().await.unwrap();
}

#[test]
fn a_service_that_there_is_not_is_refused_with_the_names_of_those_that_are() {
    for (wrong, named) in [(vec!["registri"], "registri"), (vec!["registry", ""], ""), (vec![], "")]
    {
        let said = suite().only(&wrong).unwrap_err().to_string();
        let expected =
            format!("there is no service {named:?}; the services are registry, submission");
        assert_eq!(said, expected);
    }
    assert_eq!(suite().only(&["submission"]).unwrap().running(), ["submission"]);
}
