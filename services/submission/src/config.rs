//! Its section of the configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Nothing to set: what a report has to say stands in its form, and limits in the contract.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {}
