//! From a database that may be away to services that run.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use dunghan_events::Grants;
use dunghan_rpc::StoredGrants;
use dunghan_store::{Database, Location, is_transient};
use futures::FutureExt as _;
use futures::future::try_join_all;
use sea_orm_migration::sea_orm::DbErr;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use crate::config::Migrating;
use crate::feed::FeedGate;
use crate::gate::Gate;
use crate::health::{DATABASE, Health};
use crate::peers::{Peers, REGISTRY};
use crate::spec::Job;
use crate::suite::{Clocks, Entry};
use crate::{Config, Running, Start};

/// Between two attempts to use a database that is away, and between two lines that say so.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const SAY_EVERY: Duration = Duration::from_secs(60);
/// How long a process waits for the grants before it lets the first caller in, who may have no others than these. A registry
/// that is away does not keep it.
const GRANTS_LIMIT: Duration = Duration::from_secs(1);
/// How long a job that panicked is left alone.
const AFTER_A_PANIC: Duration = Duration::from_secs(1);

/// What starting takes.
pub(crate) struct Starting {
    pub(crate) entries: Vec<Entry>,
    pub(crate) config: Config,
    pub(crate) location: Location,
    pub(crate) clocks: Clocks,
    pub(crate) peers: Peers,
    pub(crate) grants: StoredGrants,
    pub(crate) gate: Gate,
    pub(crate) feeds: FeedGate,
    pub(crate) health: Health,
    pub(crate) stopping: CancellationToken,
    pub(crate) tracker: TaskTracker,
    /// To be closed at the end.
    pub(crate) databases: Databases,
}

/// What was opened so far.
pub(crate) type Databases = Arc<Mutex<Vec<Database>>>;

impl Starting {
    /// What keeps the grants up with a registry that runs elsewhere.
    fn grants_of_elsewhere(&self) -> Option<Grants> {
        self.peers.elsewhere(REGISTRY)?;
        let asks = self.entries.iter().find(|entry| entry.peers.contains(&REGISTRY))?;
        Some(Grants::new(self.peers.peer(asks.name, REGISTRY), self.grants.clone()))
    }

    /// Starts all services, opens the gate, and begins their jobs.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let grants = self.grants_of_elsewhere();
        let first_grants = async {
            if let Some(grants) = &grants {
                // It was logged; they follow by themselves.
                let _ = tokio::time::timeout(GRANTS_LIMIT, grants.refresh()).await;
            }
        };
        let services = try_join_all(self.entries.iter().map(|entry| self.bring_up(entry)));
        let (started, ()) = tokio::join!(services, first_grants);
        let started = started?;
        let (mut builder, mut jobs) = (Routes::builder(), Vec::new());
        let (mut feeds, mut names) = (Vec::new(), Vec::new());
        for (entry, running) in self.entries.iter().zip(started) {
            running.routes.into_iter().for_each(|add| add(&mut builder));
            feeds.extend(running.feeds);
            jobs.extend(running.jobs);
            names.push((entry.name, running.names));
        }
        self.gate.open(builder.routes().into_axum_router());
        self.feeds.open(feeds);
        for (service, names) in names {
            self.health.started(service, names).await;
        }
        if let Some(units) = self.peers.units.get() {
            let (units, stopping) = (units.clone(), self.stopping.clone());
            jobs.push(Box::new(move || Box::pin(units.clone().follow(stopping.clone()))));
        }
        if let Some(grants) = grants {
            let stopping = self.stopping.clone();
            jobs.push(Box::new(move || Box::pin(grants.clone().follow(stopping.clone()))));
        }
        for job in jobs {
            self.tracker.spawn(supervise(job, AFTER_A_PANIC, self.stopping.clone()));
        }
        Ok(())
    }

    /// Tries until the service has started, or fails by what waiting does not mend.
    async fn bring_up(&self, entry: &Entry) -> anyhow::Result<Running> {
        let (began, mut said) = (Instant::now(), None::<Instant>);
        let mut opened = None;
        loop {
            let error = match self.attempt(entry, &mut opened).await {
                Ok((running, database)) => {
                    if said.is_some() {
                        tracing::info!(service = entry.name, "{} can start now", entry.name);
                    }
                    let watching = self.health.clone().watch_database(
                        entry.name,
                        database,
                        self.stopping.clone(),
                    );
                    self.tracker.spawn(watching);
                    return Ok(running);
                }
                Err(error) if waiting_mends(&error) => error,
                Err(error) => bail!("{}: {}", entry.name, in_words(&error)),
            };
            self.health.dependency(entry.name, DATABASE, false).await;
            if said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
                said = Some(Instant::now());
                tracing::warn!(
                    service = entry.name,
                    waited_s = began.elapsed().as_secs(),
                    "{} waits for its database: {}",
                    entry.name,
                    in_words(&error)
                );
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn attempt(
        &self,
        entry: &Entry,
        opened: &mut Option<Database>,
    ) -> anyhow::Result<(Running, Database)> {
        let database = match opened {
            Some(database) => database.clone(),
            None => {
                let database = Database::open(&self.location, entry.name).await?;
                let mut all = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(database.clone());
                opened.insert(database).clone()
            }
        };
        match self.config.storage.migrations {
            Migrating::Apply => (entry.migrate)(&database).await?,
            Migrating::Check => (entry.check)(&database).await?,
        }
        let start = Start {
            database: database.clone(),
            clock: self.clocks.services.clone(),
            stopping: self.stopping.clone(),
            data_folder: self.config.data_folder().to_owned(),
            service: entry.name,
            declared: entry.peers,
            peers: self.peers.clone(),
            grants: self.grants.clone(),
            health: self.health.clone(),
        };
        let running = (entry.start)(start, &self.config).context("its configuration")?.await?;
        Ok((running, database))
    }
}

/// Whether the database is away, or somebody else is to apply its migrations.
fn waiting_mends(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let away = cause.downcast_ref::<DbErr>().is_some_and(is_transient);
        let behind = cause.downcast_ref::<dunghan_store::Error>();
        away || matches!(behind, Some(dunghan_store::Error::NotMigrated(_)))
    })
}

/// What failed and why. Database errors say the whole of their cause themselves, and then have it as their cause.
pub fn in_words(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !said.contains(&cause) {
            let colon = if said.is_empty() { "" } else { ": " };
            said = format!("{said}{colon}{cause}");
        }
    }
    said
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
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
