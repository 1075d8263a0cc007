//! The rules, pure: no I/O, no clock, no protobuf.

pub mod agency;
pub mod check;
pub mod finding;
pub mod form;
pub mod regime;
pub mod report;
pub mod value;
mod wording;
