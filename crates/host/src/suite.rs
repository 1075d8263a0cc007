//! The services of one process, from the first line of the configuration to the last call.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dunghan_calendar::{Clock, SystemClock};
use dunghan_rpc::{GuardLayer, Issuer, Peer, Policies, peer};
use dunghan_store::{Database, Location};
use futures::FutureExt as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::peers::Peers;
use crate::spec::Job;
use crate::{Config, ConfigError, Running, Spec, Start};

/// How long a job that panicked is left alone.
const AFTER_A_PANIC: Duration = Duration::from_secs(1);
/// Calls that one connection may have under way; tonic sets no limit of its own.
const CALLS_PER_CONNECTION: u32 = 200;

type Starting = Pin<Box<dyn Future<Output = anyhow::Result<Running>> + Send>>;
type Migrating<'a> = Pin<Box<dyn Future<Output = Result<(), dunghan_store::Error>> + Send + 'a>>;

struct Entry {
    name: &'static str,
    migrate: fn(&Database) -> Migrating<'_>,
    start: fn(Start, &Config) -> Result<Starting, ConfigError>,
    show: fn(&Config) -> Result<toml::Value, ConfigError>,
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

/// The services that this process runs.
#[derive(Default)]
pub struct Suite {
    entries: Vec<Entry>,
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Suite").field(&self.names()).finish()
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
            migrate: |database| Box::pin(database.migrate::<S::Migrations>()),
            start: |start, config| Ok(Box::pin(S::start(start, config.service(S::NAME)?))),
            show: |config| {
                let section: S::Config = config.service(S::NAME)?;
                Ok(toml::Value::try_from(section).unwrap_or_else(|_| toml::Table::new().into()))
            },
        });
        self
    }

    /// Their names.
    pub fn names(&self) -> Vec<&'static str> {
        self.entries.iter().map(|entry| entry.name).collect()
    }

    /// The whole configuration as TOML, every key with the value in force, credentials masked.
    pub fn show_config(&self, config: &Config) -> anyhow::Result<String> {
        let mut sections = toml::Table::new();
        sections.insert("server".to_owned(), toml::Value::try_from(&config.server)?);
        let mut storage = config.storage.clone();
        storage.location = format!("{:?}", config.location()?);
        sections.insert("storage".to_owned(), toml::Value::try_from(storage)?);
        let mut auth = config.auth.clone();
        auth.issuer_key = config.issuer_key().display().to_string();
        sections.insert("auth".to_owned(), toml::Value::try_from(auth)?);
        sections.insert("log".to_owned(), toml::Value::try_from(&config.log)?);
        for entry in &self.entries {
            let section = (entry.show)(config)?;
            if section.as_table().is_some_and(|table| !table.is_empty()) {
                sections.insert(entry.name.to_owned(), section);
            }
        }
        Ok(toml::to_string(&sections)?)
    }

    /// Brings every service's tables up to date.
    pub async fn migrate(&self, location: &Location) -> anyhow::Result<()> {
        for entry in &self.entries {
            let database = Database::open(location, entry.name).await?;
            (entry.migrate)(&database).await.with_context(|| entry.name)?;
        }
        Ok(())
    }

    /// Starts them, in the written order: bind, open and migrate, start, serve.
    pub async fn start(self, config: &Config, clocks: Clocks) -> anyhow::Result<Started> {
        let issuer = Issuer::open(&config.issuer_key())?;
        // 1. Bind before anything is touched: a port that is taken fails at once.
        let listen = &config.server.listen;
        let address: SocketAddr =
            listen.parse().with_context(|| format!("server.listen {listen}"))?;
        let incoming = TcpIncoming::bind(address)
            .with_context(|| format!("{address} cannot be listened on"))?
            .with_nodelay(Some(true));
        let address = incoming.local_addr()?;
        // 2. Not serving until everything has started; a new reporter would say that it is.
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        // 3. Databases.
        let location = config.location()?;
        let peers = Peers::new(issuer.clone());
        let stopping = CancellationToken::new();
        let (mut builder, mut jobs, mut names) = (Routes::builder(), Vec::new(), Vec::new());
        for entry in &self.entries {
            let database = Database::open(&location, entry.name).await.context(entry.name)?;
            (entry.migrate)(&database).await.context(entry.name)?;
            // 4. Services.
            let start = Start {
                database,
                clock: clocks.services.clone(),
                stopping: stopping.clone(),
                service: entry.name,
                peers: peers.clone(),
            };
            let running = (entry.start)(start, config)?.await.context(entry.name)?;
            running.routes.into_iter().for_each(|add| add(&mut builder));
            jobs.extend(running.jobs);
            names.extend(running.names);
        }
        // 5. One guard around all of it: calls inside the process pass through it like any other.
        let guard = GuardLayer::new(Policies::of_contract()?, issuer.clone());
        if config.server.reflection {
            let reflection = || {
                tonic_reflection::server::Builder::configure()
                    .register_encoded_file_descriptor_set(dunghan_proto::FILES)
                    .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            };
            builder.add_service(reflection().build_v1()?);
            builder.add_service(reflection().build_v1alpha()?);
        }
        builder.add_service(health_service);
        let routes = Routes::from(builder.routes().into_axum_router().layer(guard)).prepare();
        // Set once, here; nobody else holds the lock.
        let _ = peers.routes.set(routes.clone());
        let tracker = TaskTracker::new();
        for job in jobs {
            tracker.spawn(supervise(job, AFTER_A_PANIC, stopping.clone()));
        }
        // 6. Serve.
        let draining = CancellationToken::new();
        let drained = draining.clone().cancelled_owned();
        let server = Server::builder()
            .max_concurrent_streams(Some(CALLS_PER_CONNECTION))
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .http2_keepalive_timeout(Some(Duration::from_secs(10)))
            .add_routes(routes.clone());
        let serving = tokio::spawn(server.serve_with_incoming_shutdown(incoming, drained));
        for name in &names {
            health.set_service_status(*name, tonic_health::ServingStatus::Serving).await;
        }
        health.set_service_status("", tonic_health::ServingStatus::Serving).await;
        tracing::info!(%address, services = ?self.names(), storage = ?location, "serving on {address}");
        Ok(Started {
            address,
            issuer,
            routes,
            stopping,
            draining,
            tracker,
            serving,
            health,
            names,
            drain_limit: Duration::from_secs(config.server.drain_limit_s),
        })
    }
}

/// Runs a job, and begins it again after a pause when it ends by a panic.
async fn supervise(job: Job, pause: Duration, stopping: CancellationToken) {
    while AssertUnwindSafe(job()).catch_unwind().await.is_err() {
        tracing::error!("a job panicked; it begins again");
        if stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// A suite that serves.
#[derive(Debug)]
pub struct Started {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whose tokens hold.
    pub issuer: Issuer,
    routes: Routes,
    stopping: CancellationToken,
    draining: CancellationToken,
    tracker: TaskTracker,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
    health: tonic_health::server::HealthReporter,
    names: Vec<&'static str>,
    drain_limit: Duration,
}

impl Started {
    /// The services without a socket between; calls still need a token.
    pub fn in_process(&self) -> Peer {
        peer(self.routes.clone())
    }

    /// Stops in the written order: not serving, streams and jobs end, calls in flight get a limited time.
    pub async fn stop(self) -> anyhow::Result<()> {
        for name in self.names.iter().chain(&[""]) {
            self.health.set_service_status(*name, tonic_health::ServingStatus::NotServing).await;
        }
        self.stopping.cancel();
        self.draining.cancel();
        self.tracker.close();
        // One stream that never ends would hold the drain for ever.
        let ended = tokio::time::timeout(self.drain_limit, async {
            self.tracker.wait().await;
            self.serving.await
        });
        match ended.await {
            Ok(served) => Ok(served??),
            Err(_) => {
                tracing::warn!(
                    limit_s = self.drain_limit.as_secs(),
                    "calls were cut off: the drain took too long"
                );
                Ok(())
            }
        }
    }
}

/// Waits for SIGINT or SIGTERM. A second one ends the process at once.
pub async fn stopped_by_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_job_that_panics_is_begun_again_until_it_ends_by_itself() {
        let begun = Arc::new(AtomicUsize::new(0));
        let count = begun.clone();
        let job: Job = Box::new(move || {
            let before = count.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move { assert!(before == 2, "as the test wants it") })
        });
        supervise(job, Duration::ZERO, CancellationToken::new()).await;
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }
}
