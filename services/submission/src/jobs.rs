//! Reconcilers: they take no input, look at state, and doing them again changes nothing.

mod attachments;
mod imports;

pub(crate) use attachments::{Collector, LET_ALONE, collect_until, look_until};
pub(crate) use imports::forget_until;
