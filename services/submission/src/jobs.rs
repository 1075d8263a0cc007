//! Reconcilers: they take no input, look at state, and doing them again changes nothing.

mod attachments;

pub(crate) use attachments::{Collector, collect_until, look_until};
