//! Runs services, together or one by one. It names none of them.
//!
//! A service is a [`Spec`]. A [`Suite`] is the list of them that one process runs: it opens their databases, migrates
//! them, starts them, serves their routes behind one guard on one port, and stops them in a written order. A service
//! reaches another by [`Start::peer`] and does not know where that one lives.

mod config;
mod peers;
mod spec;
mod suite;

pub use config::{Auth, Config, ConfigError, Log, LogFormat, Server, Sources, Storage};
pub use spec::{Running, Spec, Start};
pub use suite::{Clocks, Started, Suite, stopped_by_signal};
