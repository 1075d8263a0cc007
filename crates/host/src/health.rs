//! What is said of the process, its services and what these need, by grpc.health.v1, as JSON and as a metric.
//!
//! `""` lives from the first moment to the signal to stop. A service is named by its own name and by those of its gRPC
//! services: it serves when it has started and its database answers. What it needs is said apart, as
//! `compliance/database` and `compliance/submission`; a peer that is away does not make a service unready, or one
//! failure would take everything with it. What a service does by itself is said apart as well, as `compliance/sweep`: it
//! still answers where that stands still.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use dunghan_rpc::Peer;
use dunghan_store::Database;
use dunghan_telemetry::dependency_up;
use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::HealthReporter;

use crate::starting::in_words;

/// The name of a service's own database among what it needs.
pub(crate) const DATABASE: &str = "database";
/// The name of the process.
const PROCESS: &str = "";
/// How often a dependency is looked at, and how long it may take to answer.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const LOOK_LIMIT: Duration = Duration::from_secs(2);
/// How long a dependency that was never there may be away before that is worth a line: processes that start together find
/// each other one after the other.
const GRACE: Duration = Duration::from_secs(10);

/// What is said. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    reporter: HealthReporter,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    stopping: bool,
    services: BTreeMap<&'static str, Readiness>,
    said: BTreeMap<String, bool>,
}

#[derive(Debug, Default)]
struct Readiness {
    started: bool,
    database: bool,
    /// Of its gRPC services.
    names: Vec<&'static str>,
}

impl Health {
    /// Of a process that lives, whose services are not ready.
    pub(crate) async fn new(
        reporter: HealthReporter,
        services: impl Iterator<Item = &'static str>,
    ) -> Self {
        let health = Self { reporter, state: Arc::default() };
        health.say(&mut *health.state.lock().await, PROCESS, true).await;
        for service in services {
            health.dependency(service, DATABASE, false).await;
        }
        health
    }

    /// A service has started, and its database answered just now.
    pub(crate) async fn started(&self, service: &'static str, names: Vec<&'static str>) {
        let mut state = self.state.lock().await;
        let readiness = state.services.entry(service).or_default();
        (readiness.started, readiness.names) = (true, names);
        drop(state);
        self.dependency(service, DATABASE, true).await;
    }

    /// Whether something that a service needs is there.
    pub(crate) async fn dependency(
        &self,
        service: &'static str,
        dependency: &'static str,
        up: bool,
    ) {
        let state = &mut *self.state.lock().await;
        dependency_up(service, dependency, up);
        self.say(state, &format!("{service}/{dependency}"), up).await;
        if dependency == DATABASE {
            let readiness = state.services.entry(service).or_default();
            readiness.database = up;
            let ready = readiness.started && up;
            let names: Vec<_> = readiness.names.iter().copied().chain([service]).collect();
            for name in names {
                self.say(state, name, ready).await;
            }
        }
    }

    async fn say(&self, state: &mut State, name: &str, up: bool) {
        // What is looked at while the process stops does not bring it back.
        let up = up && !state.stopping;
        if state.said.insert(name.to_owned(), up) != Some(up) {
            let status = if up { ServingStatus::Serving } else { ServingStatus::NotServing };
            self.reporter.set_service_status(name, status).await;
        }
    }

    /// All names, and whether each serves.
    pub(crate) async fn all(&self) -> BTreeMap<String, bool> {
        self.state.lock().await.said.clone()
    }

    /// Nothing serves any more; who watches is told so, and that this was the last.
    pub(crate) async fn stop(&self) {
        let state = &mut *self.state.lock().await;
        state.stopping = true;
        let names: Vec<_> = state.said.keys().cloned().collect();
        for name in &names {
            self.say(state, name, false).await;
        }
        // An open watch would hold the drain.
        let mut reporter = self.reporter.clone();
        for name in &names {
            reporter.clear_service_status(name).await;
        }
    }

    /// Looks at a service's database until `stopping`.
    pub(crate) async fn watch_database(
        self,
        service: &'static str,
        database: Database,
        stopping: CancellationToken,
    ) {
        let ask = move || {
            let database = database.clone();
            async move { Ok(database.ping().await?) }
        };
        self.watch(service, DATABASE, Seen::There, ask, stopping).await;
    }

    /// Looks at a service that runs elsewhere until `stopping`.
    pub(crate) async fn watch_peer(
        self,
        service: &'static str,
        name: &'static str,
        peer: Peer,
        stopping: CancellationToken,
    ) {
        let ask = move || is_there(peer.clone(), name);
        self.watch(service, name, Seen::Never(Instant::now()), ask, stopping).await;
    }

    /// Says what it finds each time, and logs it when that has changed.
    async fn watch<F>(
        self,
        service: &'static str,
        dependency: &'static str,
        mut seen: Seen,
        ask: impl Fn() -> F + Send,
        stopping: CancellationToken,
    ) where
        F: Future<Output = anyhow::Result<()>> + Send,
    {
        let mut interval = tokio::time::interval(LOOK_EVERY);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stopping.run_until_cancelled(interval.tick()).await.is_some() {
            let asking = tokio::time::timeout(LOOK_LIMIT, ask());
            let Some(answer) = stopping.run_until_cancelled(asking).await else { return };
            let answer = answer.unwrap_or_else(|_| Err(anyhow!("no answer within {LOOK_LIMIT:?}")));
            if stopping.is_cancelled() {
                return;
            }
            let news = seen.look(answer.is_ok(), Instant::now());
            match &answer {
                Err(error) if news => {
                    let why = in_words(error);
                    tracing::warn!(service, dependency, "{dependency} is away: {why}");
                }
                Ok(()) if news => {
                    tracing::info!(service, dependency, "{dependency} is there again");
                }
                _ => {}
            }
            self.dependency(service, dependency, answer.is_ok()).await;
        }
    }
}

/// Says how something is that a service does by itself, under the service's name and its own: `compliance/sweep`. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Condition {
    health: Health,
    name: String,
}

impl Condition {
    /// Not well, until it says that it is.
    pub(crate) async fn new(health: Health, service: &str, name: &str) -> Self {
        let condition = Self { health, name: format!("{service}/{name}") };
        condition.say(false).await;
        condition
    }

    /// Says whether it is well.
    pub async fn say(&self, well: bool) {
        self.health.say(&mut *self.health.state.lock().await, &self.name, well).await;
    }
}

/// How a dependency was found last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Not yet there, looked for since then.
    Never(Instant),
    There,
    Away,
}

impl Seen {
    /// Notes how it is found now. True: that is worth a line.
    fn look(&mut self, up: bool, now: Instant) -> bool {
        let before = *self;
        *self = match before {
            _ if up => Self::There,
            Self::Never(since) if now.duration_since(since) < GRACE => before,
            _ => Self::Away,
        };
        // That it is there at last is no news: nothing was said before.
        *self != before && !matches!((before, *self), (Self::Never(_), Self::There))
    }
}

/// Whether a process answers there that runs this service. Whether the service is ready is its own to say: its database
/// is no failure of whoever calls it.
async fn is_there(peer: Peer, service: &'static str) -> anyhow::Result<()> {
    let request = HealthCheckRequest { service: service.to_owned() };
    match HealthClient::new(peer).check(request).await {
        Ok(_) => Ok(()),
        Err(status) if status.code() == tonic::Code::NotFound => {
            bail!("the process at that address does not run {service}")
        }
        // Where it was looked for, if it was not found there.
        Err(status) => match std::error::Error::source(&status) {
            Some(unreachable) => Err(anyhow!("{unreachable}")),
            None => Err(anyhow!("{}", status.message())),
        },
    }
}

#[cfg(test)]
mod tests {
    use tonic::service::Routes;

    use super::*;

    #[tokio::test]
    async fn a_peer_is_there_where_a_process_runs_it_ready_or_not() {
        let (reporter, service) = tonic_health::server::health_reporter();
        let peer = dunghan_rpc::peer(Routes::new(service));
        let said = is_there(peer.clone(), "registry").await.unwrap_err().to_string();
        assert_eq!(said, "the process at that address does not run registry");
        for status in [ServingStatus::NotServing, ServingStatus::Serving] {
            reporter.set_service_status("registry", status).await;
            is_there(peer.clone(), "registry").await.unwrap();
        }
    }

    #[test]
    fn who_was_never_there_is_said_to_be_away_after_a_while_and_who_was_there_at_once() {
        let begun = Instant::now();
        let late = begun + GRACE;
        let early = late - Duration::from_millis(1);
        let looks = |looks: &[(bool, Instant)]| {
            let mut seen = Seen::Never(begun);
            looks.iter().map(|(up, now)| seen.look(*up, *now)).collect::<Vec<_>>()
        };
        let (there, away) = (true, false);
        assert_eq!(
            looks(&[(away, begun), (away, early), (away, late), (away, late), (there, late)]),
            [false, false, true, false, true]
        );
        assert_eq!(
            looks(&[(away, begun), (there, early), (away, early), (away, late), (there, late)]),
            [false, false, true, false, true]
        );
    }

    #[tokio::test]
    async fn a_dependency_that_does_not_answer_does_not_hold_up_the_end() {
        let (reporter, _service) = tonic_health::server::health_reporter();
        let health = Health::new(reporter, ["registry"].into_iter()).await;
        let (stopping, asked) = (CancellationToken::new(), tokio::sync::Notify::new());
        let ask = || {
            asked.notify_one();
            std::future::pending()
        };
        let watching = health.watch("registry", DATABASE, Seen::There, ask, stopping.clone());
        let mut watching = std::pin::pin!(watching);
        tokio::select! {
            () = &mut watching => unreachable!("nothing has stopped it"),
            () = asked.notified() => {}
        }
        stopping.cancel();
        assert!(futures::poll!(&mut watching).is_ready());
    }

    #[tokio::test]
    async fn a_condition_is_said_under_its_own_name_and_concerns_no_other() {
        let (reporter, _service) = tonic_health::server::health_reporter();
        let health = Health::new(reporter, ["compliance"].into_iter()).await;
        health.started("compliance", vec!["dunghan.compliance.v1.ComplianceService"]).await;
        let condition = Condition::new(health.clone(), "compliance", "sweep").await;
        let serves = async |name: &str| health.all().await[name];
        assert!(!serves("compliance/sweep").await, "nothing was said of it yet");
        for well in [true, false] {
            condition.say(well).await;
            assert_eq!(serves("compliance/sweep").await, well);
            assert!(serves("compliance").await && serves("compliance/database").await);
        }
        condition.say(true).await;
        health.stop().await;
        condition.say(true).await;
        assert!(!serves("compliance/sweep").await, "what is stopping does not come back");
    }

    #[tokio::test]
    async fn what_is_found_while_the_process_stops_brings_no_name_back() {
        let (reporter, _service) = tonic_health::server::health_reporter();
        let health = Health::new(reporter, ["registry"].into_iter()).await;
        health.started("registry", vec!["dunghan.registry.v1.RegistryService"]).await;
        assert!(health.all().await.values().all(|serves| *serves));
        health.stop().await;
        health.dependency("registry", DATABASE, true).await;
        assert!(health.all().await.values().all(|serves| !*serves));
    }
}
