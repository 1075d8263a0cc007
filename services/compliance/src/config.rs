//! The service's section of the configuration.

use dunghan_calendar::OfficeHours;
use serde::{Deserialize, Serialize};

/// Section `compliance`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// When the bell rings for a sweep: six fields, seconds first, by the clock of Vietnam. Empty: it does not ring,
    /// and sweeps run at start, every `sweep_every_s`, and when asked for.
    pub sweep_cron: String,
    /// A sweep runs at the latest after so many seconds, bell or no bell.
    pub sweep_every_s: u64,
    /// The hours in which terms in hours run.
    pub office_hours: OfficeHours,
}

impl Default for Config {
    fn default() -> Self {
        // Five seconds into each minute: what falls due at midnight is found in that minute.
        Self {
            sweep_cron: "5 * * * * *".to_owned(),
            sweep_every_s: 300,
            office_hours: OfficeHours::default(),
        }
    }
}
