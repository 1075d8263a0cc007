//! The service's rpc over a socket, beside peers that say what a test wants; and its store on both engines.
#![expect(clippy::unwrap_used, reason = "a helper that fails has to end the test")]

mod get_roll_up;
mod store_conformance;
mod world;
