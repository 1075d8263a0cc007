//! A database that is away when the process starts.

use std::net::TcpListener;

use dunghan_host::Clocks;
use dunghan_store::Location;
use dunghan_testkit::{Engine, Place, Postgres};
use tonic::Code;

use crate::world::{config, refused, serves, start, suite, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_database_is_away_lives_says_so_and_is_ready_when_it_comes() {
    let mut server = Postgres::new();
    let place = Place::on(&server).await;
    server.stop();
    let config = config(place.folder(), &place.location, &[]);
    let mut started = start(suite(), &config).await;
    assert_eq!(serves(&started, "").await, Some(true));
    for name in ["registry", "registry/database", "submission", "submission/database"] {
        assert_eq!(serves(&started, name).await, Some(false), "{name}");
    }
    assert_eq!(refused(&started).await, (Code::Unavailable, "NOT_READY".to_owned()));
    server.start();
    started.ready().await.unwrap();
    for name in ["registry", "dunghan.registry.v1.RegistryService", "submission/database"] {
        assert_eq!(serves(&started, name).await, Some(true), "{name}");
    }
    assert_eq!(refused(&started).await.0, Code::Unimplemented, "the stand-in answers itself");
    // And later: it is said while it lasts, of those that need it and not of the process.
    server.stop();
    until(&started, "registry/database", false).await;
    assert_eq!(serves(&started, "registry").await, Some(false));
    assert_eq!(serves(&started, "dunghan.registry.v1.RegistryService").await, Some(false));
    assert_eq!(serves(&started, "").await, Some(true));
    server.start();
    until(&started, "dunghan.registry.v1.RegistryService", true).await;
    started.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_waits_for_its_database_can_be_stopped() {
    let mut server = Postgres::new();
    let place = Place::on(&server).await;
    server.stop();
    // Longer than the test may take: it is not the limit that ends it.
    let keys = [("server.drain_limit_s", "3600")];
    let started = start(suite(), &config(place.folder(), &place.location, &keys)).await;
    until(&started, "", true).await;
    started.stop().await.unwrap();
}

#[tokio::test]
async fn what_waiting_does_not_mend_ends_the_process_and_says_what_it_is() {
    let place = Place::new(Engine::Postgres).await;
    let Location::Postgres(url) = &place.location else { unreachable!("{place:?}") };
    let (server, _) = url.rsplit_once("/t").unwrap();
    let nowhere = Location::Postgres(format!("{server}/there_is_none"));
    let mut started = start(suite(), &config(place.folder(), &nowhere, &[])).await;
    let said = format!("{:#}", started.ready().await.unwrap_err());
    assert!(said.contains("there_is_none"), "{said}");
    started.stop().await.unwrap();

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let place = Place::new(Engine::Sqlite).await;
    std::fs::write(place.folder().join("no-key"), "no key").unwrap();
    let no_key = place.folder().join("no-key").display().to_string();
    for (key, value) in [
        ("server.listen", address.as_str()),
        ("admin.listen", address.as_str()),
        ("storage.location", "mysql://db"),
        ("auth.issuer_key", no_key.as_str()),
    ] {
        let config = config(place.folder(), &place.location, &[(key, value)]);
        let refused = suite().start(&config, Clocks::default()).await;
        let said = format!("{:#}", refused.unwrap_err());
        let names = if value == "mysql://db" { "mysql" } else { value };
        assert!(said.contains(names), "{key}: {said}");
    }
}
