//! The service's section of the configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How figures are taken in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Seconds after which submission's events are taken in at the latest. An answer does not wait for that: what it
    /// adds up is taken in before.
    pub pull_every_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { pull_every_s: 15 }
    }
}
