//! Runs services, together or one by one. It names none of them.
//!
//! A service is a [`Spec`]. A [`Suite`] is the list of them; a process runs all or [`only`](Suite::only) some. It binds,
//! answers that it is not ready, opens the databases, brings their tables up to date, starts the services, serves them
//! behind one stack of layers on one port, and stops in a written order. A service reaches another by [`Start::peer`]
//! and does not know where that one lives.

mod admin;
mod clock;
mod config;
mod feed;
mod gate;
mod health;
mod listener;
mod peers;
mod reference;
mod spec;
mod stack;
mod started;
mod starting;
mod suite;

pub use clock::FileClock;
pub use config::Peers as PeerAddresses;
pub use config::{
    Admin, Auth, Config, ConfigError, Feeds, Log, LogFormat, Migrating, Server, Sources, Storage,
    Telemetry, Test,
};
pub use feed::{FeedToken, feed_refused};
pub use health::Condition;
pub use reference::{Key, Reference, Section};
pub use spec::{Running, Spec, Start};
pub use stack::{LARGEST_ANSWER, LARGEST_REQUEST};
pub use started::{Started, stopped_by_signal};
pub use starting::in_words;
pub use suite::{Clocks, Suite, UnknownService};
