//! The effective-dated tree of units, in memory: who was under whom, and under which code and name, on any date.
//!
//! The registry owns units and their history; every service that needs them holds a [`Hierarchy`], an immutable value built
//! from the registry's answer and replaced whole when that changes. Nothing here reads a file or a clock: dates are arguments,
//! and what has just changed is told by [`Hierarchy::version`]. What became of a unit that ended is told by its [`Edge`]s.
//!
//! Codes are not identities. The reform of 2025 gave most old commune codes to new communes, so a unit is known by its
//! [`UnitId`], and a code only means something together with a date.

mod check;
mod find;
mod fold;
mod hierarchy;
mod id;
mod lineage;
mod lists;
mod unit;

pub use check::Problem;
pub use find::Candidate;
pub use fold::{fold, intended};
pub use hierarchy::{Access, Hierarchy, LookupError, UnitView};
pub use id::{NotAUnitName, UnitId};
pub use lineage::{Edge, EdgeKind, Step};
pub use unit::{Identifier, Kind, Level, NSO, UnitHistory, UnknownWord, Validity, Version};
