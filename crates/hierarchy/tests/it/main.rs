//! The crate from outside: tables over a small tree made by hand, and properties of trees made at random.

#![expect(clippy::unwrap_used, reason = "a fixture that does not build is a failed test")]

mod build;
mod find;
mod lineage;
mod properties;
mod tree;
mod walk;
