//! Services as they run, over data of their own.

use std::sync::Arc;

use chrono::TimeDelta;
use dunghan_calendar::{Clock as _, ManualClock, SystemClock};
use dunghan_host::{Clocks, Config, Sources, Started, Suite};
use dunghan_rpc::{Identity, Peer, peer};
use dunghan_store::{Database, Location};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use tonic::body::Body;
use tower::ServiceExt as _;

use crate::Ground;
use crate::place::Place;

/// Whoever measures a slow machine wants to know how slow.
const CALL_LIMIT: &str = "3600";

/// A suite that runs.
pub(crate) struct Served {
    started: Started,
    token: HeaderValue,
    pub(crate) place: Place,
}

impl Served {
    /// Over what is in that place, with these keys of the configuration.
    pub(crate) async fn start(
        place: Place,
        suite: Suite,
        clock: &ManualClock,
        keys: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let given = [("server.listen", "127.0.0.1:0"), ("server.call_limit_s", CALL_LIMIT)];
        let location = match &place.location {
            Location::Postgres(url) => Some(("storage.location", url.as_str())),
            Location::Sqlite(_) => None,
        };
        let overrides = given.iter().chain(keys).chain(&location);
        let overrides =
            overrides.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let sources = Sources { data_dir: place.folder.clone(), overrides, ..Sources::default() };
        let config = Config::read(&sources, &suite.names())?;
        let clocks = Clocks { services: Arc::new(clock.clone()) };
        let mut started = Box::pin(suite.start(&config, clocks)).await?;
        started.ready().await?;
        let grants = vec!["operator".parse()?, "reader".parse()?, "importer".parse()?];
        let identity = Identity { subject: "bench".to_owned(), grants };
        let token = started.issuer.sign(&identity, SystemClock.now(), TimeDelta::days(1))?;
        let token = HeaderValue::try_from(format!("Bearer {token}"))?;
        Ok(Self { started, token, place })
    }

    /// What a service keeps, by connections beside its own.
    pub(crate) async fn database(&self, service: &'static str) -> anyhow::Result<Database> {
        Ok(Database::open(&self.place.location, service).await?)
    }

    /// The services behind all their layers, without a socket between: what that costs is measured elsewhere.
    pub(crate) fn peer(&self) -> Peer {
        let token = self.token.clone();
        let stack = self.started.in_process();
        peer(stack.map_request(move |mut request: http::Request<Body>| {
            request.headers_mut().insert(AUTHORIZATION, token.clone());
            request
        }))
    }

    /// Ends it, and removes its data.
    pub(crate) async fn stop(self, ground: &Ground) -> anyhow::Result<()> {
        self.started.stop().await?;
        ground.clear(self.place).await
    }
}
