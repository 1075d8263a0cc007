//! What is owed, by when, and where it stands: rules over dates and times that they are given.

pub mod calendar;
pub mod consequence;
pub mod decision;
pub mod dossier;
pub mod due_change;
pub mod editions;
pub mod explain;
pub mod notice;
pub mod obligation;
pub mod opening;
pub mod owed;
pub mod past;
pub mod rate;
pub mod regime;
pub mod reprojection;
pub mod request;
pub mod soon;
pub mod summary;
pub mod sweep;
pub mod wording;
