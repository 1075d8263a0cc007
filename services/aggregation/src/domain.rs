//! The rules of adding up: pure, no I/O, no clock, no protobuf.

mod report;
mod roll_up;

pub use report::{Amount, Figure, NotAReportName, Report, ReportName, Role};
pub use roll_up::{Contribution, NotAddable, Obligation, RollUp, Scope, Standing, Stated, roll_up};
