//! Where the services of a suite find each other.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, bail};
use dunghan_calendar::SystemClock;
use dunghan_events::Units;
use dunghan_rpc::{Addresses, Issuer, Peer, ServiceToken, authorized, peer, remote, with_deadline};
use dunghan_telemetry::ClientLayer;
use tonic::body::Body;
use tower::ServiceBuilder;

use crate::ConfigError;

/// The service that everybody has a copy of something of.
pub(crate) const REGISTRY: &str = "registry";

/// The services that run here, behind everything that a call over a socket passes through as well, and those that run
/// elsewhere. A service does not know which is which.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    here: Peer,
    elsewhere: Arc<BTreeMap<&'static str, (Peer, ClientLayer)>>,
    issuer: Issuer,
    limit: Duration,
    /// There once a service has asked for it.
    pub(crate) units: Arc<OnceLock<Units>>,
}

impl Peers {
    /// `needed` are the services that those in this process ask and that do not run here.
    ///
    /// Errors: one of them has no address, or one that does not read.
    pub(crate) fn new(
        here: Peer,
        needed: impl Iterator<Item = (&'static str, &'static str)>,
        addresses: &BTreeMap<String, String>,
        issuer: Issuer,
        limit: Duration,
    ) -> anyhow::Result<Self> {
        let mut elsewhere = BTreeMap::new();
        for (from, to) in needed {
            match addresses.get(to).map(|addresses| addresses.trim()) {
                None | Some("") => bail!(ConfigError::NoPeer(from, to)),
                Some(_) if elsewhere.contains_key(to) => {}
                Some(addresses) => {
                    let addresses: Addresses =
                        addresses.parse().with_context(|| format!("peers.{to}"))?;
                    let watch = addresses.only().map_or_else(ClientLayer::new, ClientLayer::to);
                    elsewhere.insert(to, (remote(to, addresses), watch));
                }
            }
        }
        Ok(Self { here, elsewhere: Arc::new(elsewhere), issuer, limit, units: Arc::default() })
    }

    /// `to`, called as `from`.
    pub(crate) fn peer(&self, from: &'static str, to: &'static str) -> Peer {
        let (inner, watch) = match self.elsewhere.get(to) {
            Some((peer, watch)) => (peer.clone(), watch.clone()),
            None => (self.here.clone(), ClientLayer::new()),
        };
        // Tokens live on wall time even where the services follow another clock.
        let token = ServiceToken::new(self.issuer.clone(), from, Arc::new(SystemClock));
        let inner = authorized(with_deadline(inner, self.limit), token);
        let watched = ServiceBuilder::new()
            .map_response(|response: http::Response<_>| response.map(Body::new))
            .layer(watch);
        peer(watched.service(inner))
    }

    /// The services that run here, without anybody's token.
    pub(crate) fn here(&self) -> Peer {
        self.here.clone()
    }

    /// A service that runs elsewhere, for asking whether it is there.
    pub(crate) fn elsewhere(&self, service: &str) -> Option<Peer> {
        self.elsewhere.get(service).map(|(peer, _)| peer.clone())
    }
}
