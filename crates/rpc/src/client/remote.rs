//! A peer that lives elsewhere: attempts until one succeeds, as far as another can do no harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use super::balance::{Balance, Resolve, system};
use super::budget::Budget;
use super::failed::{Callee, Failed, Pushback};
use super::replay::Replay;
use super::{Addresses, BoxError, Peer};
use crate::contract::{Method, method};

/// The longest waits between attempts, in milliseconds; the waits are anything up to them, lest all callers come back at
/// once.
const WAITS_MS: [u64; 8] = [50, 100, 200, 400, 800, 1600, 2000, 2000];
/// How many of them there are for a peer that has never answered: more likely than away for a moment it is not there.
const FIRST_WAITS: usize = 4;

/// A service at one or more addresses, called over connections that are kept and made again.
///
/// A call that failed is made again where the contract says that this is harmless, or where it is certain that nothing
/// of it was begun; a stream of answers only until it begins. That hides a restart of some seconds. What the peer could
/// not do because one of its own peers is away is not asked again: it has tried.
///
/// Errors: UNAVAILABLE (PEER_UNAVAILABLE) with an [`super::Unreachable`] as its source where the peer could not be
/// reached; what it answered, where it answered UNAVAILABLE.
pub fn remote(name: &'static str, addresses: Addresses) -> Peer {
    remote_by(name, addresses, system())
}

/// As [`remote`], with names resolved by `resolve`.
pub fn remote_by(name: &'static str, addresses: Addresses, resolve: Resolve) -> Peer {
    let remote = Arc::new(Remote {
        callee: Callee { name, addresses: addresses.to_string() },
        balance: Balance::new(addresses, resolve),
        budget: Budget::default(),
        has_answered: AtomicBool::new(false),
    });
    BoxCloneSyncService::new(tower::service_fn(move |request| {
        let remote = remote.clone();
        async move { remote.call(request).await }
    }))
}

struct Remote {
    callee: Callee,
    balance: Balance,
    budget: Budget,
    has_answered: AtomicBool,
}

impl Remote {
    async fn call(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let method = method(request.uri().path());
        let (parts, body) = request.into_parts();
        // Of what the contract does not know, nothing is known to end.
        let body = match method {
            Some(method) if !method.takes_stream => Replay::whole(body).await?,
            _ => Replay::stream(body),
        };
        let (mut waits, mut elsewhere) = (0, 0);
        loop {
            let failed = match self.attempt(&parts, &body, method).await {
                Ok(answer) => {
                    self.budget.succeeded();
                    self.has_answered.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(failed) => failed,
            };
            if !self.may_repeat(&failed, &body, method) {
                return Err(failed.status);
            }
            if !failed.begun && elsewhere < self.balance.len() && self.balance.has_another() {
                elsewhere += 1;
                continue;
            }
            let known = self.has_answered.load(Ordering::Relaxed);
            let most = if known { WAITS_MS.len() } else { FIRST_WAITS };
            let wait = match (WAITS_MS[..most].get(waits), failed.pushback) {
                (None, _) | (_, Pushback::Never) => return Err(failed.status),
                (Some(_), Pushback::After(said)) => said,
                (Some(longest), Pushback::Unsaid) => {
                    Duration::from_millis(*longest).mul_f64(fastrand::f64())
                }
            };
            waits += 1;
            tracing::debug!(peer = self.callee.name, path = parts.uri.path(), "trying again");
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether another attempt can do no harm: to what the call changes, and to the peer.
    fn may_repeat(&self, failed: &Failed, body: &Replay, method: Option<&Method>) -> bool {
        if !failed.begun {
            // Cost the peer nothing.
            return body.is_there();
        }
        let harmless = body
            .message()
            .is_some_and(|message| method.is_some_and(|method| method.may_repeat(message)));
        let affordable = if failed.is_news { self.budget.failed() } else { self.budget.is_open() };
        affordable && harmless
    }

    async fn attempt(
        &self,
        parts: &Parts,
        body: &Replay,
        method: Option<&Method>,
    ) -> Result<Response<Body>, Failed> {
        let target = self.balance.pick().await.map_err(|e| {
            let failed = self.callee.lost(&e);
            Failed { begun: false, ..failed }
        })?;
        let request = Request::from_parts(parts.clone(), body.body());
        let answer = target.channel.clone().oneshot(request).await;
        let answer = match answer {
            Ok(answer) => self.whole(answer, method).await,
            Err(e) => Err(self.callee.lost(&e.into())),
        };
        let well = answer.as_ref().err().is_none_or(|failed| failed.begun && !failed.lost);
        let news = self.balance.went(&target, well);
        answer.map_err(|failed| {
            self.balance.doubt();
            Failed { is_news: news || !failed.lost, ..failed }
        })
    }

    /// The answer, up to its end where it has one message; of a stream what has come so far.
    async fn whole(
        &self,
        answer: Response<Body>,
        method: Option<&Method>,
    ) -> Result<Response<Body>, Failed> {
        let (parts, body) = answer.into_parts();
        if let Some(failed) = self.callee.told(&parts.headers) {
            return Err(failed);
        }
        if method.is_none_or(|method| method.answers_stream) {
            let callee = self.callee.clone();
            let body = body.map_err(move |e| callee.unreachable(&e));
            return Ok(Response::from_parts(parts, Body::new(body)));
        }
        let body = body.collect().await.map_err(|e| self.callee.lost(&e.into()))?;
        let ended = parts.headers.contains_key("grpc-status");
        match body.trailers() {
            Some(trailers) => self.callee.told(trailers).map_or(Ok(()), Err)?,
            None if ended => {}
            None => return Err(self.callee.lost(&BoxError::from("the answer broke off"))),
        }
        Ok(Response::from_parts(parts, Body::new(body)))
    }
}
