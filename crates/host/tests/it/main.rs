//! A process from its first moment to its last, and what it says of itself meanwhile.
#![expect(clippy::unwrap_used, reason = "a helper that fails has to end the test")]

mod admin;
mod check;
mod drain;
mod feeds;
mod grants;
mod peers;
mod starting;
mod world;
