//! Starts services for tests: each with its own database, on a port of the system's choosing, by a clock that stands
//! until the test moves it. It knows no service; a test says which.

mod registry;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::{Clock as _, ManualClock, SystemClock};
use dunghan_host::{Clocks, Config, Sources, Started, Suite};
use dunghan_rpc::{Identity, Peer, peer};
use dunghan_store::Location;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database};
use tempfile::TempDir;
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

pub use registry::{Registry, registry};

/// Names the PostgreSQL server for tests, as `postgres://…`; `make test` starts one and sets it.
pub const POSTGRES_VARIABLE: &str = "DUNGHAN_TEST_POSTGRES";

/// A database engine that tests run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Files in a temporary folder.
    Sqlite,
    /// A new database on the server that `DUNGHAN_TEST_POSTGRES` names.
    Postgres,
}

/// Both engines: a rule that holds on one alone does not hold.
pub const ENGINES: [Engine; 2] = [Engine::Sqlite, Engine::Postgres];

/// Somewhere for data that nobody else uses. A folder is gone with the value; a database stays until its server goes.
#[derive(Debug)]
pub struct Place {
    /// Where the services keep their data.
    pub location: Location,
    folder: TempDir,
}

impl Place {
    /// An empty one.
    ///
    /// Panics where `DUNGHAN_TEST_POSTGRES` names no server: a test that skips an engine in silence tests nothing.
    pub async fn new(engine: Engine) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let location = match engine {
            Engine::Sqlite => Location::Sqlite(folder.path().to_owned()),
            Engine::Postgres => {
                let server = std::env::var(POSTGRES_VARIABLE).unwrap_or_else(|_| {
                    panic!("{POSTGRES_VARIABLE} names no PostgreSQL server: run `make test`")
                });
                let name = format!("t{}", uuid::Uuid::now_v7().simple());
                let mut options = ConnectOptions::new(&server);
                options.max_connections(1).sqlx_logging(false);
                let connection = Database::connect(options).await.expect("the PostgreSQL server");
                let sql = format!("CREATE DATABASE {name}");
                connection.execute_unprepared(&sql).await.expect("a new database");
                connection.close().await.expect("a closed connection");
                let (base, query) = server.split_once('?').unwrap_or((&server, ""));
                let (base, _) = base.rsplit_once('/').unwrap_or((base, ""));
                let query = if query.is_empty() { String::new() } else { format!("?{query}") };
                Location::Postgres(format!("{base}/{name}{query}"))
            }
        };
        Self { location, folder }
    }
}

/// Services under test.
#[derive(Debug)]
pub struct Testing {
    /// The time by which the services judge.
    pub clock: ManualClock,
    /// What runs.
    pub started: Started,
    place: Place,
}

/// Starts `suite` on `engine` with the clock at `now`.
pub async fn start(suite: Suite, engine: Engine, now: DateTime<Utc>) -> Testing {
    start_at(suite, Place::new(engine).await, now, &[]).await
}

/// As [`start`], over data that may be there already, and with keys of the configuration set.
pub async fn start_at(
    suite: Suite,
    place: Place,
    now: DateTime<Utc>,
    keys: &[(&str, &str)],
) -> Testing {
    let mut overrides = vec![("server.listen".to_owned(), "127.0.0.1:0".to_owned())];
    if let Location::Postgres(url) = &place.location {
        overrides.push(("storage.location".to_owned(), url.clone()));
    }
    overrides.extend(keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let sources =
        Sources { data_dir: place.folder.path().to_owned(), overrides, ..Sources::default() };
    let config = Config::read(&sources, &suite.names()).expect("a configuration");
    let clock = ManualClock::at(now);
    let clocks = Clocks { services: std::sync::Arc::new(clock.clone()) };
    let started = suite.start(&config, clocks).await.expect("a suite that starts");
    Testing { clock, started, place }
}

impl Testing {
    /// Where it is reached, as `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.started.address)
    }

    /// A token for these grants, for example `supervisor@units/…`.
    pub fn token(&self, grants: &[&str]) -> String {
        let grants = grants.iter().map(|grant| grant.parse().expect("a grant")).collect();
        let identity = Identity { subject: "tester".to_owned(), grants };
        let issuer = &self.started.issuer;
        issuer.sign(&identity, SystemClock.now(), TimeDelta::hours(1)).expect("a token")
    }

    /// A channel over the socket that sends a token for these grants with each call.
    pub fn channel(&self, grants: &[&str]) -> Peer {
        let value = HeaderValue::try_from(format!("Bearer {}", self.token(grants)))
            .expect("a token that fits a header");
        let channel = self.anonymous();
        peer(channel.map_request(move |mut request: http::Request<tonic::body::Body>| {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
            request
        }))
    }

    /// A channel over the socket without any token.
    pub fn anonymous(&self) -> Peer {
        peer(Endpoint::from_shared(self.url()).expect("an address").connect_lazy())
    }

    /// Stops it, and gives back where its data is.
    pub async fn stop(self) -> Place {
        self.started.stop().await.expect("a suite that stops");
        self.place
    }
}

/// The code and the reason of a refusal.
///
/// Panics where it carries no ErrorInfo: every error has one.
pub fn refusal(status: &Status) -> (Code, String) {
    let info = status
        .get_details_error_info()
        .unwrap_or_else(|| unreachable!("AIP-193: every error carries ErrorInfo: {status:?}"));
    (status.code(), info.reason.trim_start_matches("ERROR_REASON_").to_owned())
}

/// The fields that a refusal names.
pub fn fields(status: &Status) -> Vec<String> {
    let request = status.get_details_bad_request();
    request.into_iter().flat_map(|r| r.field_violations).map(|violation| violation.field).collect()
}

/// Waits until `look` finds something, and panics when `limit` has passed: no test sleeps for a guess.
pub async fn eventually<T>(limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let searching = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(limit, searching).await {
        Ok(found) => found,
        Err(_) => panic!("nothing within {limit:?}"),
    }
}
