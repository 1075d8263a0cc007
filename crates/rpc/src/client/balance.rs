//! Which of a peer's addresses a call goes to: in turn, those that fail left alone for a while.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, timeout};
use tonic::transport::{Channel, Endpoint};

use super::addresses::Address;
use super::{Addresses, BoxError};

/// How old the answer for a name may be.
const FRESH: Duration = Duration::from_secs(5);
/// One call waits so long for a new answer; all others use the old one.
const LOOKUP_LIMIT: Duration = Duration::from_secs(2);
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// Of pings over a connection, also while nothing is asked: what is gone without a word is found out.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_LIMIT: Duration = Duration::from_secs(10);
/// How long an address is left alone after its first failure, and at most.
const FIRST_REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(5);

/// Finds the machines that a name stands for.
pub type Resolve =
    Arc<dyn Fn(&str, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Asks the operating system.
pub(super) fn system() -> Resolve {
    Arc::new(|host, port| {
        let host = host.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    })
}

/// One machine, and the connection to it, which is made when it is first used.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Which of the addresses led to it.
    of: usize,
    at: SocketAddr,
    pub(super) channel: Channel,
    failures: u32,
    rests_until: Option<Instant>,
}

impl Target {
    fn new(of: usize, address: &Address, at: SocketAddr) -> Result<Self, BoxError> {
        let channel = Endpoint::from_shared(format!("http://{at}"))?
            .origin(address.origin.clone())
            .connect_timeout(CONNECT_LIMIT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_LIMIT)
            .keep_alive_while_idle(true)
            .connect_lazy();
        Ok(Self { of, at, channel, failures: 0, rests_until: None })
    }

    fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    fn rest(&mut self, now: Instant) {
        let doubled = FIRST_REST.saturating_mul(1 << (self.failures.clamp(1, 16) - 1));
        self.rests_until = Some(now + doubled.min(LONGEST_REST));
    }
}

/// What is known of them.
#[derive(Debug, Default)]
struct Known {
    targets: Vec<Target>,
    turn: usize,
    /// When the names were asked for; none: they are to be asked for again.
    asked: Option<Instant>,
}

pub(super) struct Balance {
    addresses: Addresses,
    resolve: Resolve,
    /// Held by the call that asks for the names.
    asking: tokio::sync::Mutex<()>,
    known: Mutex<Known>,
}

impl Balance {
    pub(super) fn new(addresses: Addresses, resolve: Resolve) -> Self {
        Self { addresses, resolve, asking: tokio::sync::Mutex::default(), known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the next attempt goes: the next that does not rest, else the one that has rested longest.
    ///
    /// Errors: no name leads anywhere.
    pub(super) async fn pick(&self) -> Result<Target, BoxError> {
        self.refresh().await?;
        let (mut known, now) = (self.known(), Instant::now());
        let (turn, count) = (known.turn, known.targets.len());
        known.turn = turn.wrapping_add(1);
        let mut in_turn: Vec<_> = known.targets.iter_mut().collect();
        in_turn.rotate_left(turn.checked_rem(count).unwrap_or_default());
        let target = in_turn
            .into_iter()
            .min_by_key(|target| target.rests_until.filter(|until| now < *until))
            .ok_or("its name leads to no address")?;
        if target.failures > 0 {
            // One call finds out whether it is back.
            target.rest(now);
        }
        Ok(target.clone())
    }

    /// Whether an attempt would go to one that does not rest.
    pub(super) fn has_another(&self) -> bool {
        let now = Instant::now();
        self.known().targets.iter().any(|target| !target.rests(now))
    }

    pub(super) fn len(&self) -> usize {
        self.known().targets.len()
    }

    /// How an attempt went. True: that was a failure, and of several at once the first.
    pub(super) fn went(&self, target: &Target, well: bool) -> bool {
        let mut known = self.known();
        let same = |one: &&mut Target| (one.of, one.at) == (target.of, target.at);
        let Some(found) = known.targets.iter_mut().find(same) else { return false };
        let news = !well && found.failures == target.failures;
        if well {
            found.failures = 0;
            found.rests_until = None;
        } else if news {
            found.failures += 1;
            found.rest(Instant::now());
        }
        news
    }

    /// Has the names asked for again by the next attempt.
    pub(super) fn doubt(&self) {
        self.known().asked = None;
    }

    fn is_fresh(&self) -> bool {
        self.known().asked.is_some_and(|asked| asked.elapsed() < FRESH)
    }

    /// Asks for the names where that was long ago. What answered before stays while there is no new answer.
    async fn refresh(&self) -> Result<(), BoxError> {
        if self.is_fresh() {
            return Ok(());
        }
        let _asking = match self.asking.try_lock() {
            Ok(asking) => asking,
            Err(_) if self.len() > 0 => return Ok(()),
            Err(_) => self.asking.lock().await,
        };
        if self.is_fresh() {
            return Ok(());
        }
        let mut answers = Vec::new();
        for address in self.addresses.iter() {
            answers.push((address, self.look_up(address).await));
        }
        let mut known = self.known();
        let mut targets = Vec::new();
        for (of, (address, answer)) in answers.iter().enumerate() {
            let there = known.targets.iter().filter(|target| target.of == of);
            match answer {
                Err(_) => targets.extend(there.cloned()),
                Ok(found) => {
                    for at in found {
                        let same = there.clone().find(|target| target.at == *at).cloned();
                        targets.push(same.map_or_else(|| Target::new(of, address, *at), Ok)?);
                    }
                }
            }
        }
        known.targets = targets;
        known.asked = Some(Instant::now());
        let failure = answers.into_iter().find_map(|(_, answer)| answer.err());
        match failure {
            Some(failure) if known.targets.is_empty() => Err(failure),
            _ => Ok(()),
        }
    }

    async fn look_up(&self, address: &Address) -> Result<Vec<SocketAddr>, BoxError> {
        let looking = (self.resolve)(&address.host, address.port);
        Ok(timeout(LOOKUP_LIMIT, looking).await.map_err(|_| "its name is not resolved")??)
    }
}
