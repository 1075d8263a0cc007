//! Services under test, in this process or in processes of their own: a test reads the same.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::{Clock as _, SystemClock};
use dunghan_host::{Clocks, Config, Sources, Started, Suite};
use dunghan_rpc::{Identity, Issuer, Peer, peer, remote};
use dunghan_store::Location;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower::ServiceExt as _;

use crate::{Apart, Engine, Place, TestClock};

/// How the services of a suite run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All in this process, behind one port.
    Together,
    /// Each in a process of its own, of the binary that was built beside the test.
    Apart,
}

/// Services under test.
#[derive(Debug)]
pub struct Testing {
    /// The time by which the services judge.
    pub clock: TestClock,
    /// Whose tokens hold.
    pub issuer: Issuer,
    running: Running,
    place: Place,
}

#[derive(Debug)]
enum Running {
    // Either is large, and there is one.
    Together(Box<Started>),
    Apart(Box<Apart>),
}

/// Starts `suite` in this process on `engine` with the clock at `now`.
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
    start_in(Mode::Together, suite, place, now, keys).await
}

/// As [`start_at`], in either mode.
pub async fn start_in(
    mode: Mode,
    suite: Suite,
    place: Place,
    now: DateTime<Utc>,
    keys: &[(&str, &str)],
) -> Testing {
    let file = place.folder().join("now");
    let clock = TestClock::at(now, file.clone());
    let mut overrides = vec![("server.listen".to_owned(), "127.0.0.1:0".to_owned())];
    if let Location::Postgres(url) = &place.location {
        overrides.push(("storage.location".to_owned(), url.clone()));
    }
    overrides.extend(keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let folder = place.folder().to_owned();
    let names = suite.names();
    let sources = Sources { data_dir: folder.clone(), overrides, ..Sources::default() };
    let config = Config::read(&sources, &names).expect("a configuration");
    let issuer = Issuer::open(&config.issuer_key()).expect("a key");
    let running = match mode {
        Mode::Together => {
            let clocks = Clocks { services: Arc::new(clock.clone()) };
            let mut started = suite.start(&config, clocks).await.expect("a suite that starts");
            started.ready().await.expect("a suite that gets ready");
            Running::Together(Box::new(started))
        }
        Mode::Apart => {
            let mut args = vec!["--data-dir".to_owned(), folder.display().to_string()];
            let clock = ("test.clock".to_owned(), file.display().to_string());
            for (key, value) in sources.overrides.iter().chain([&clock]) {
                args.extend(["--set".to_owned(), format!("{key}={value}")]);
            }
            Running::Apart(Box::new(Apart::start(&names, folder, args)))
        }
    };
    Testing { clock, issuer, running, place }
}

impl Testing {
    /// Where a service is reached, as `http://127.0.0.1:PORT`.
    pub fn url(&self, service: &str) -> String {
        match &self.running {
            Running::Together(started) => format!("http://{}", started.address),
            Running::Apart(apart) => apart.front(service).url(),
        }
    }

    /// Where feeds are, as `127.0.0.1:PORT`; `service` gives them.
    ///
    /// Panics where `feeds.listen` is not set.
    pub fn feeds(&self, service: &str) -> SocketAddr {
        let feeds = match &self.running {
            Running::Together(started) => started.feeds,
            Running::Apart(apart) => apart.processes(service)[0].feeds(),
        };
        feeds.expect("feeds")
    }

    /// A token for these grants, for example `supervisor@units/…`.
    pub fn token(&self, grants: &[&str]) -> String {
        self.token_of("tester", grants)
    }

    /// A token of somebody, for these grants.
    pub fn token_of(&self, subject: &str, grants: &[&str]) -> String {
        let grants = grants.iter().map(|grant| grant.parse().expect("a grant")).collect();
        let identity = Identity { subject: subject.to_owned(), grants };
        self.issuer.sign(&identity, SystemClock.now(), TimeDelta::hours(1)).expect("a token")
    }

    /// Channels over sockets to all services, that send a token for these grants with each call.
    pub fn channel(&self, grants: &[&str]) -> Peer {
        with_token(self.anonymous(), &self.token(grants))
    }

    /// As [`channel`](Self::channel), for somebody else, whose token states nothing.
    pub fn channel_of(&self, subject: &str) -> Peer {
        with_token(self.anonymous(), &self.token_of(subject, &[]))
    }

    /// As [`channel`](Self::channel), for somebody else.
    pub fn channel_as(&self, subject: &str, grants: &[&str]) -> Peer {
        with_token(self.anonymous(), &self.token_of(subject, grants))
    }

    /// As [`channel`](Self::channel), calling again where that is harmless, as services call each other.
    pub fn remote(&self, grants: &[&str]) -> Peer {
        let remote = |name, url: &str| remote(name, url.parse().expect("an address"));
        with_token(self.to_each(remote), &self.token(grants))
    }

    /// As [`channel`](Self::channel), without any token.
    pub fn anonymous(&self) -> Peer {
        self.to_each(|_, url| peer(channel(url)))
    }

    /// A channel to one address, that sends a token for these grants with each call.
    pub fn channel_to(&self, url: &str, grants: &[&str]) -> Peer {
        with_token(peer(channel(url)), &self.token(grants))
    }

    /// The services without a socket between. None: they live in other processes.
    pub fn in_process(&self) -> Option<Peer> {
        match &self.running {
            Running::Together(started) => Some(started.in_process()),
            Running::Apart(_) => None,
        }
    }

    /// The processes.
    ///
    /// Panics where all services live in this one.
    pub fn apart(&mut self) -> &mut Apart {
        match &mut self.running {
            Running::Together(_) => panic!("all services live in this process"),
            Running::Apart(apart) => apart,
        }
    }

    /// Stops all of it, and gives back where its data is.
    pub async fn stop(self) -> Place {
        match self.running {
            Running::Together(started) => started.stop().await.expect("a suite that stops"),
            // Whoever watches reads to the end meanwhile.
            Running::Apart(apart) => {
                let stopped = tokio::task::spawn_blocking(move || apart.stop());
                stopped.await.expect("processes that stop");
            }
        }
        self.place
    }

    /// What `connect` makes of each address; a call goes where its path says.
    fn to_each(&self, connect: impl Fn(&'static str, &str) -> Peer) -> Peer {
        match &self.running {
            Running::Together(started) => {
                connect("dunghan", &format!("http://{}", started.address))
            }
            Running::Apart(apart) => {
                let fronts = apart.fronts();
                by_package(
                    fronts.map(|(name, front)| (name, connect(name, &front.url()))).collect(),
                )
            }
        }
    }
}

/// Sends the token with each call.
fn with_token(inner: Peer, token: &str) -> Peer {
    let value =
        HeaderValue::try_from(format!("Bearer {token}")).expect("a token that fits a header");
    peer(inner.map_request(move |mut request: http::Request<Body>| {
        request.headers_mut().insert(AUTHORIZATION, value.clone());
        request
    }))
}

fn channel(url: &str) -> Channel {
    Endpoint::from_shared(url.to_owned()).expect("an address").connect_lazy()
}

/// Sends each call to the service whose package its path names, and what names none of them to any.
fn by_package(peers: BTreeMap<&'static str, Peer>) -> Peer {
    peer(tower::service_fn(move |request: http::Request<Body>| {
        let path = request.uri().path().strip_prefix("/dunghan.");
        let name = path.and_then(|path| path.split('.').next()).unwrap_or_default();
        let named = peers.get(name).or_else(|| peers.values().next());
        named.cloned().expect("a suite of at least one service").oneshot(request)
    }))
}
