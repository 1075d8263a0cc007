//! The rules, pure: no I/O, no clock, no protobuf.

pub mod agency;
pub mod arrival;
pub mod attachment;
pub mod check;
pub mod diff;
pub mod finding;
pub mod form;
pub mod intake;
pub mod receipt;
pub mod regime;
pub mod report;
pub mod rule;
pub mod value;
pub(crate) mod wording;
