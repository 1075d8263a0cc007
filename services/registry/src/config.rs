//! The section `registry` of the configuration. There is nothing to set; a key in it is refused by its name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Empty.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}
