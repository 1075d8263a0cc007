//! The binary, run as a person runs it.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod binary;
mod commands;
mod demo;
