//! The services of one process: which there are, what they are configured by, and how they begin.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dunghan_calendar::{Clock, SystemClock};
use dunghan_rpc::{GuardLayer, Issuer, Methods, StoredGrants};
use dunghan_store::{Database, Location};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;

use crate::feed::{self, FeedGate};
use crate::gate::Gate;
use crate::health::Health;
use crate::peers::Peers;
use crate::reference::{Reference, Section};
use crate::stack::{server, stack};
use crate::starting::{Databases, Starting};
use crate::{Config, ConfigError, Running, Spec, Start, Started, admin, listener};

type Begin = Pin<Box<dyn Future<Output = anyhow::Result<Running>> + Send>>;
type Migrate<'a> = Pin<Box<dyn Future<Output = Result<(), dunghan_store::Error>> + Send + 'a>>;

/// A service without its type.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) peers: &'static [&'static str],
    pub(crate) migrate: fn(&Database) -> Migrate<'_>,
    pub(crate) check: fn(&Database) -> Migrate<'_>,
    pub(crate) start: fn(Start, &Config) -> Result<Begin, ConfigError>,
    show: fn(&Config) -> Result<toml::Value, ConfigError>,
    reference: fn() -> Section,
}

/// By which clocks a suite runs.
#[derive(Clone, Debug)]
pub struct Clocks {
    /// What the services judge by.
    pub services: Arc<dyn Clock>,
}

impl Default for Clocks {
    fn default() -> Self {
        Self { services: Arc::new(SystemClock) }
    }
}

/// A name that no service has.
#[derive(Debug, thiserror::Error)]
#[error("there is no service {0:?}; the services are {1}")]
pub struct UnknownService(String, String);

/// The services that there are, and which of them this process runs.
#[derive(Default)]
pub struct Suite {
    entries: Vec<Entry>,
    /// None: all.
    chosen: Option<Vec<String>>,
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Suite").field(&self.running()).finish()
    }
}

impl Suite {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    #[must_use]
    pub fn with<S: Spec>(mut self) -> Self {
        self.entries.push(Entry {
            name: S::NAME,
            peers: S::PEERS,
            migrate: |database| Box::pin(database.migrate::<S::Migrations>()),
            check: |database| Box::pin(database.check_migrated::<S::Migrations>()),
            start: |start, config| Ok(Box::pin(S::start(start, config.service(S::NAME)?))),
            show: |config| {
                let section: S::Config = config.service(S::NAME)?;
                Ok(toml::Value::try_from(section).unwrap_or_else(|_| toml::Table::new().into()))
            },
            reference: || Section::of::<S::Config>(S::NAME),
        });
        self
    }

    /// Runs these alone; the others stay known, and are found where `peers` says.
    ///
    /// Errors: a name that no service has, or none at all.
    pub fn only<N: AsRef<str>>(mut self, names: &[N]) -> Result<Self, UnknownService> {
        let known = self.names();
        let names: Vec<_> = names.iter().map(|name| name.as_ref().trim().to_owned()).collect();
        let unknown = names.iter().find(|name| !known.contains(&name.as_str())).cloned();
        if let Some(name) = unknown.or_else(|| names.is_empty().then(String::new)) {
            return Err(UnknownService(name, known.join(", ")));
        }
        self.chosen = Some(names);
        Ok(self)
    }

    /// The names of all that there are.
    pub fn names(&self) -> Vec<&'static str> {
        self.entries.iter().map(|entry| entry.name).collect()
    }

    /// The names of those that run in this process.
    pub fn running(&self) -> Vec<&'static str> {
        self.names().into_iter().filter(|name| self.runs(name)).collect()
    }

    fn runs(&self, name: &str) -> bool {
        self.chosen.as_ref().is_none_or(|chosen| chosen.iter().any(|one| one == name))
    }

    /// The whole configuration as TOML, every key with the value in force, credentials masked.
    pub fn show_config(&self, config: &Config) -> anyhow::Result<String> {
        let mut sections = config.shown()?;
        for entry in &self.entries {
            let section = (entry.show)(config)?;
            if section.as_table().is_some_and(|table| !table.is_empty()) {
                sections.insert(entry.name.to_owned(), section);
            }
        }
        Ok(toml::to_string(&sections)?)
    }

    /// Every key that there is, with type, default and meaning.
    pub fn reference(&self) -> Reference {
        let services = self.entries.iter().map(|entry| (entry.reference)());
        Reference::new(&self.names(), services)
    }

    /// Brings the tables of the services that run here up to date.
    pub async fn migrate(&self, location: &Location) -> anyhow::Result<()> {
        for entry in self.entries.iter().filter(|entry| self.runs(entry.name)) {
            let database = Database::open(location, entry.name).await.context(entry.name)?;
            (entry.migrate)(&database).await.context(entry.name)?;
            database.close().await.context(entry.name)?;
        }
        Ok(())
    }

    /// Begins, in the written order: read what can be read without asking anybody, bind, answer, and meanwhile open the
    /// databases and start the services.
    ///
    /// Errors: what waiting does not mend and is known by now. [`Started::ready`] has the rest.
    pub async fn start(self, config: &Config, clocks: Clocks) -> anyhow::Result<Started> {
        let issuer = Issuer::open(&config.issuer_key())?;
        let location = config.location()?;
        // 1. Bind before anything else is touched: a port that is taken fails at once.
        let listen = &config.server.listen;
        let address: SocketAddr =
            listen.parse().with_context(|| format!("server.listen {listen}"))?;
        let incoming = TcpIncoming::bind(address)
            .with_context(|| format!("server.listen: {address} cannot be listened on"))?
            .with_nodelay(Some(true));
        let address = incoming.local_addr()?;
        let admin = listener::bind("admin.listen", &config.admin.listen).await?;
        let feeding = listener::bind("feeds.listen", &config.feeds.listen).await?;
        // 2. One stack around all of it: calls inside the process pass through it like any other.
        let running = self.running();
        let (reporter, health_service) = tonic_health::server::health_reporter();
        let health = Health::new(reporter, running.iter().copied()).await;
        let mut always = Routes::builder();
        always.add_service(health_service);
        if config.server.reflection {
            let reflection = || {
                tonic_reflection::server::Builder::configure()
                    .register_encoded_file_descriptor_set(dunghan_proto::FILES)
                    .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            };
            always.add_service(reflection().build_v1()?);
            always.add_service(reflection().build_v1alpha()?);
        }
        let gate = Gate::new(always.routes().into_axum_router());
        let grants = StoredGrants::new(clocks.services.clone());
        let guard = GuardLayer::new(Methods::of_contract()?, issuer.clone(), grants.clone());
        let limit = Duration::from_secs(config.server.call_limit_s);
        let stack = stack(gate.clone(), guard, limit);
        // 3. Peers: one that nobody can find is a mistake of the configuration.
        let entries: Vec<_> =
            self.entries.into_iter().filter(|entry| running.contains(&entry.name)).collect();
        let needed = entries
            .iter()
            .flat_map(|entry| entry.peers.iter().map(|peer| (entry.name, *peer)))
            .filter(|(_, peer)| !running.contains(peer));
        let needed: Vec<_> = needed.collect();
        let here = stack.clone();
        let addresses = &config.peers.0;
        let peers = Peers::new(here, needed.iter().copied(), addresses, issuer.clone(), limit)?;
        // 4. Answer: that the process lives, and that it is not ready.
        let (stopping, draining) = (CancellationToken::new(), CancellationToken::new());
        let tracker = TaskTracker::new();
        let drained = draining.clone().cancelled_owned();
        let serving =
            tokio::spawn(server().serve_with_incoming_shutdown(stack.clone(), incoming, drained));
        let admin_address = admin.as_ref().map(|(_, address)| *address);
        let feeds_address = feeding.as_ref().map(|(_, address)| *address);
        let feeds = FeedGate::new(draining.child_token());
        let of_admin = (admin::pages(health.clone()), admin::CONNECTIONS, draining.clone());
        let of_feeds = (feeds.pages(), feed::CONNECTIONS, feeds.stopping());
        for (bound, (pages, most, until)) in [(admin, of_admin), (feeding, of_feeds)] {
            let Some((listener, _)) = bound else { continue };
            tracker.spawn(listener::serve(listener, pages, most, until, tracker.clone()));
        }
        tracing::info!(bound = %address, "bound to {address}, and starting");
        for (service, name) in needed {
            let Some(peer) = peers.elsewhere(name) else { continue };
            tracker.spawn(health.clone().watch_peer(service, name, peer, stopping.clone()));
        }
        for (service, peer) in entries.iter().flat_map(|entry| {
            entry
                .peers
                .iter()
                .filter(|peer| running.contains(*peer))
                .map(|peer| (entry.name, *peer))
        }) {
            // Inside the process there is nothing between them.
            health.dependency(service, peer, true).await;
        }
        // 5. Databases and services, however long that takes.
        let databases = Databases::default();
        let starting = Starting {
            entries,
            config: config.clone(),
            location: location.clone(),
            clocks,
            peers,
            grants,
            gate,
            feeds: feeds.clone(),
            health: health.clone(),
            stopping: stopping.clone(),
            tracker: tracker.clone(),
            databases: databases.clone(),
        };
        let stopped = stopping.clone();
        let starting = tokio::spawn(async move {
            let ended = stopped.run_until_cancelled_owned(starting.run()).await;
            ended.context("the process was stopped before it was ready")??;
            let admin = admin_address.map(tracing::field::display);
            let feeds = feeds_address.filter(|_| feeds.are_open()).map(tracing::field::display);
            tracing::info!(
                %address, admin, feeds, services = ?running, storage = ?location,
                "serving on {address}"
            );
            Ok(())
        });
        Ok(Started {
            address,
            admin: admin_address,
            feeds: feeds_address,
            issuer,
            stack,
            stopping,
            draining,
            tracker,
            databases,
            starting: Some(starting),
            serving,
            health,
            drain_limit: Duration::from_secs(config.server.drain_limit_s),
        })
    }
}
