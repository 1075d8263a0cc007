//! What is owed, by when, and where it stands: rules over dates and times that they are given.

pub mod calendar;
pub mod consequence;
pub mod dossier;
pub mod explain;
pub mod notice;
pub mod obligation;
pub mod rate;
pub mod regime;
pub mod summary;
pub mod wording;
