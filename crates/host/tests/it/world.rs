//! Two small services: a registry without units, and one that asks it and answers nothing itself.

use std::path::Path;
use std::time::Duration;

use dunghan_hierarchy::Hierarchy;
use dunghan_host::{Clocks, Config, Running, Sources, Spec, Start, Started, Suite};
use dunghan_proto::registry::GetUnitRequest;
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_rpc::Peer;
use dunghan_store::{Location, Sql};
use dunghan_testkit::{eventually, refusal};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// For what comes by itself.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) struct Tables;

impl MigratorTrait for Tables {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Sql::with_base([])
    }
}

pub(crate) struct Registry;

impl Spec for Registry {
    const NAME: &'static str = "registry";
    type Migrations = Tables;
    type Config = ();

    async fn start(_: Start, (): ()) -> anyhow::Result<Running> {
        Ok(Running::new().service(dunghan_testkit::registry(|| Ok(Hierarchy::default()))))
    }
}

pub(crate) struct Submission;

impl Spec for Submission {
    const NAME: &'static str = "submission";
    const PEERS: &'static [&'static str] = &["registry"];
    type Migrations = Tables;
    type Config = ();

    async fn start(start: Start, (): ()) -> anyhow::Result<Running> {
        let _registry = start.peer("registry");
        Ok(Running::new())
    }
}

pub(crate) fn suite() -> Suite {
    Suite::new().with::<Registry>().with::<Submission>()
}

/// With data and keys of the configuration of the test's own, on a free port.
pub(crate) fn config(folder: &Path, location: &Location, keys: &[(&str, &str)]) -> Config {
    let mut overrides = vec![("server.listen".to_owned(), "127.0.0.1:0".to_owned())];
    if let Location::Postgres(url) = location {
        overrides.push(("storage.location".to_owned(), url.clone()));
    }
    overrides.extend(keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let sources = Sources { data_dir: folder.to_owned(), overrides, ..Sources::default() };
    Config::read(&sources, &suite().names()).unwrap()
}

pub(crate) async fn start(suite: Suite, config: &Config) -> Started {
    suite.start(config, Clocks::default()).await.unwrap()
}

/// A channel over the socket.
pub(crate) fn channel(started: &Started) -> Peer {
    let endpoint = Endpoint::from_shared(format!("http://{}", started.address)).unwrap();
    dunghan_rpc::peer(endpoint.connect_lazy())
}

/// Whether a name serves; None where it is not known.
pub(crate) async fn serves(started: &Started, name: &str) -> Option<bool> {
    let request = HealthCheckRequest { service: name.to_owned() };
    match HealthClient::new(channel(started)).check(request).await {
        Ok(answer) => Some(answer.into_inner().status == 1),
        Err(status) => {
            assert_eq!(status.code(), Code::NotFound);
            None
        }
    }
}

pub(crate) async fn until(started: &Started, name: &str, expected: bool) {
    eventually(SOON, async || (serves(started, name).await == Some(expected)).then_some(())).await;
}

/// What a call to the registry is refused with.
pub(crate) async fn refused(started: &Started) -> (Code, String) {
    let token = {
        use chrono::TimeDelta;
        use dunghan_calendar::{Clock as _, SystemClock};
        let grants = vec!["reader".parse().unwrap()];
        let identity = dunghan_rpc::Identity { subject: "lan".to_owned(), grants };
        started.issuer.sign(&identity, SystemClock.now(), TimeDelta::minutes(5)).unwrap()
    };
    let mut request = tonic::Request::new(GetUnitRequest::default());
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let answer = RegistryServiceClient::new(channel(started)).get_unit(request).await;
    refusal(&answer.unwrap_err())
}
