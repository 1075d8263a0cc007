//! What a service is to the process that runs it.

use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::response::IntoResponse;
use dunghan_calendar::Clock;
use dunghan_events::Units;
use dunghan_rpc::{Peer, StoredGrants};
use dunghan_store::Database;
use schemars::JsonSchema;
use sea_orm_migration::MigratorTrait;
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::RoutesBuilder;

use crate::health::{Condition, Health};
use crate::peers::{Peers, REGISTRY};

/// A service: its name, its tables, its part of the configuration, and how it starts.
pub trait Spec: 'static {
    /// Its section of the configuration, its file or schema, and the name its peers call it by.
    const NAME: &'static str;
    /// The other services that it calls, by their names.
    const PEERS: &'static [&'static str] = &[];
    /// Its tables.
    type Migrations: MigratorTrait;
    /// Its section of the configuration, with defaults for all of it. What its documentation says is the operator's
    /// reference.
    type Config: DeserializeOwned + Serialize + JsonSchema + Default + Send + 'static;

    /// Wires it up. Peers are only called later: there is no order of starting.
    ///
    /// It is called again if it failed because its database went away.
    fn start(
        start: Start,
        config: Self::Config,
    ) -> impl Future<Output = anyhow::Result<Running>> + Send;
}

/// What a service is given.
#[derive(Debug)]
pub struct Start {
    /// Its own database, migrated.
    pub database: Database,
    /// The time by which it judges.
    pub clock: Arc<dyn Clock>,
    /// Cancelled when the process is about to stop: streams end, jobs return.
    pub stopping: CancellationToken,
    /// The folder for what is in no database, where nothing else is said of it. It may not be there, or not be writable.
    pub data_folder: PathBuf,
    pub(crate) service: &'static str,
    pub(crate) declared: &'static [&'static str],
    pub(crate) peers: Peers,
    pub(crate) grants: StoredGrants,
    pub(crate) health: Health,
}

impl Start {
    /// One of [`Spec::PEERS`], called with this service's own token.
    pub fn peer(&self, service: &'static str) -> Peer {
        debug_assert!(self.declared.contains(&service), "{service} is missing in PEERS");
        self.peers.peer(self.service, service)
    }

    /// The services of this process, called with the token that whoever calls brings: for what is asked of a feed.
    pub fn here(&self) -> Peer {
        self.peers.here()
    }

    /// The copy of the units, kept up to date until the process stops; the services of a process share it.
    pub fn units(&self) -> Units {
        let shared = self.peers.units.get_or_init(|| Units::new(self.peer(REGISTRY)));
        shared.shared_with(self.service)
    }

    /// How something is that the service does by itself, to be said by `grpc.health.v1` as `service/name`. Not well, until it
    /// says so.
    pub async fn condition(&self, name: &str) -> Condition {
        Condition::new(self.health.clone(), self.service, name).await
    }

    /// What the guard of this process adds to tokens: for the registry, which puts there what it keeps. In a process that
    /// it does not run in, they follow it without anybody's doing.
    pub fn grants(&self) -> StoredGrants {
        self.grants.clone()
    }
}

/// Begins a job: called again if one ends by a panic.
pub(crate) type Job = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;
type AddRoutes = Box<dyn FnOnce(&mut RoutesBuilder) + Send>;

/// A service that has started: what it answers and what it does in the background.
#[derive(Default)]
pub struct Running {
    pub(crate) names: Vec<&'static str>,
    pub(crate) routes: Vec<AddRoutes>,
    pub(crate) feeds: Vec<Router>,
    pub(crate) jobs: Vec<Job>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Running {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A gRPC service to answer with.
    #[must_use]
    pub fn service<S>(mut self, service: S) -> Self
    where
        S: tower::Service<http::Request<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Response: IntoResponse,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME);
        self.routes.push(Box::new(move |routes| {
            routes.add_service(service);
        }));
        self
    }

    /// Pages to answer with at `feeds.listen`, to whoever asks: they are behind no guard. What they tell is to be asked by
    /// [`Start::here`] for the [`FeedToken`](crate::FeedToken) that was brought.
    ///
    /// Paths are those of no other service. What is not there, and methods that a page does not have, are answered.
    #[must_use]
    pub fn feed(mut self, pages: Router) -> Self {
        self.feeds.push(pages);
        self
    }

    /// Something to do until the process stops; it returns when `stopping` is cancelled. Should it panic it is begun
    /// again: a reconciler looks at state, so nothing is lost by that.
    #[must_use]
    pub fn job<F>(mut self, begin: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.jobs.push(Box::new(move || Box::pin(begin())));
        self
    }
}
