//! Calls over sockets: what the layers of a server answer, and what a client makes of servers that come and go.
#![expect(clippy::unwrap_used, reason = "a helper that fails has to end the test")]

mod client;
mod deadlines;
mod serving;
