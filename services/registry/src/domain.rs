//! The registry's rules: no I/O, no clock, no protobuf.

pub(crate) mod import;
