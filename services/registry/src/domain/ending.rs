//! How what is kept by appending ends.

use chrono::{DateTime, Utc};

/// Who ended something, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The subject of the caller.
    pub by: String,
    /// When they did, which is not the day with which it ends.
    pub at: DateTime<Utc>,
    /// In their words.
    pub reason: String,
}
