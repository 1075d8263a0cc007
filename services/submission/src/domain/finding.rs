//! What a check says about a report.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The report cannot be submitted so.
    Blocking,
    /// Wrong.
    Error,
    /// Perhaps wrong.
    Warning,
    /// Worth knowing.
    Info,
}

/// How a stated percentage differs from the one its parts give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discrepancy {
    /// Cut off after the last digit stated.
    Truncated,
    /// 100 less what its sibling states.
    ComplementAdjusted,
    /// None of these.
    Wrong,
    /// The whole is 0.
    Undefined,
}

/// One thing that a check says about a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was checked.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where the rule is about a percentage.
    pub discrepancy: Option<Discrepancy>,
    /// For people, in Vietnamese.
    pub message: String,
    /// What it rests on.
    pub evidence: String,
    /// The field of the report.
    pub field: String,
    /// The percentage that the parts give.
    pub recomputed: Option<Decimal>,
}

impl Finding {
    /// One that is not about a percentage.
    pub(crate) fn new(
        rule: &str,
        severity: Severity,
        field: impl Into<String>,
        message: impl Into<String>,
        evidence: impl Into<String>,
    ) -> Self {
        Self {
            rule: rule.to_owned(),
            severity,
            discrepancy: None,
            message: message.into(),
            evidence: evidence.into(),
            field: field.into(),
            recomputed: None,
        }
    }
}
