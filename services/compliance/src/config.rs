//! The service's section of the configuration.

use chrono::TimeDelta;
use dunghan_calendar::OfficeHours;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When what has fallen due is looked for, and when offices are open.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// When a sweep looks for what has fallen due: a cron expression of six fields, seconds first, by the clock of Viet
    /// Nam. Empty: sweeps run at the start, every `sweep_every_s`, and when asked for.
    pub sweep_cron: String,
    /// Seconds after which a sweep runs at the latest, whatever `sweep_cron` says.
    pub sweep_every_s: u64,
    /// The hours in which terms in hours run.
    #[schemars(with = "Sessions")]
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

impl Config {
    /// How long ago the last sweep that succeeded may be: three that run at the latest, missed.
    pub(crate) fn sweep_limit(&self) -> TimeDelta {
        let seconds = i64::try_from(self.sweep_every_s.max(1)).unwrap_or(i64::MAX);
        TimeDelta::try_seconds(seconds.saturating_mul(3)).unwrap_or(TimeDelta::MAX)
    }
}

/// How [`OfficeHours`] are written.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its keys and what is said of them are read")]
struct Sessions {
    /// When offices are open in the morning, by the clock of Viet Nam: `07:30-11:30`. Terms counted in hours run then.
    morning: String,
    /// When offices are open in the afternoon, after the morning: `13:30-17:00`.
    afternoon: String,
}
