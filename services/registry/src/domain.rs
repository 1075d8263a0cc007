//! The registry's rules: no I/O, no clock, no protobuf.

pub mod contact;
pub mod ending;
pub(crate) mod export;
pub mod grant;
pub(crate) mod import;
pub(crate) mod lineage;
pub(crate) mod record;
pub(crate) mod reorganisation;
