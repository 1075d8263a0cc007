//! What the demonstration found, as JSON shows it: every figure is an answer of the services.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, NaiveDate};
use serde::Serialize;

use crate::commands::{Lineage, SummaryRow};

#[derive(Debug, Default, Serialize)]
pub(crate) struct Facts {
    /// How many units there were, by date.
    pub(crate) registry: BTreeMap<NaiveDate, UnitCounts>,
    /// What became of the unit of report 000.
    pub(crate) lineage: Lineage,
    pub(crate) reports: Vec<Report>,
    /// Findings about percentages, and errors.
    pub(crate) findings: Vec<Finding>,
    pub(crate) standings: Vec<Standing>,
    pub(crate) form_ii06a: FormII06a,
    pub(crate) overdue_dossiers: Vec<OverdueDossier>,
    pub(crate) rollups: Vec<RollUp>,
    pub(crate) notices: Vec<Notice>,
    /// Notices that the last sweep wrote when it was run again.
    pub(crate) second_sweep_notices: i32,
    /// Why one of the missing communes is missing.
    pub(crate) explanation: Explanation,
}

#[derive(Debug, Serialize)]
pub(crate) struct UnitCounts {
    pub(crate) province: i32,
    pub(crate) district: i32,
    pub(crate) commune: i32,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: String,
    pub(crate) unit_code: String,
    pub(crate) unit_display_name: String,
    pub(crate) regime: String,
    pub(crate) illustrative: bool,
    pub(crate) period: String,
    pub(crate) state: String,
    pub(crate) due_time: Option<DateTime<FixedOffset>>,
    pub(crate) receive_time: Option<DateTime<FixedOffset>>,
    /// What the receive time rests on, where it is not the server's own.
    pub(crate) receipt_evidence: Option<String>,
    pub(crate) timeliness: String,
    pub(crate) values: usize,
    pub(crate) findings: FindingCounts,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct FindingCounts {
    pub(crate) error: usize,
    pub(crate) warning: usize,
    pub(crate) info: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) seed: String,
    pub(crate) severity: String,
    pub(crate) rule: String,
    pub(crate) discrepancy: Option<String>,
    pub(crate) field: String,
    /// The figure that it is about, where it is about one.
    pub(crate) indicator: Option<String>,
    pub(crate) message: String,
    pub(crate) evidence: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Standing {
    pub(crate) regime: String,
    pub(crate) period: String,
    pub(crate) scope: String,
    pub(crate) scope_display_name: String,
    pub(crate) at: DateTime<FixedOffset>,
    pub(crate) expected: i32,
    pub(crate) actual: i32,
    pub(crate) on_time: i32,
    pub(crate) late: i32,
    pub(crate) missing: i32,
    pub(crate) open: i32,
    pub(crate) waived: i32,
    /// The statistics codes of the missing.
    pub(crate) missing_units: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct FormII06a {
    pub(crate) unit_code: String,
    pub(crate) period: String,
    pub(crate) recorded: Counted,
    pub(crate) in_fact: Counted,
    /// Whether the count by recorded completion is the table of the unit's report, cell by cell.
    pub(crate) equals_report: bool,
    /// How many cells of the report's table were compared.
    pub(crate) compared_cells: usize,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Counted {
    pub(crate) rows: Vec<SummaryRow>,
    pub(crate) total: SummaryRow,
}

#[derive(Debug, Serialize)]
pub(crate) struct OverdueDossier {
    pub(crate) number: String,
    pub(crate) field: String,
    pub(crate) due_time: Option<DateTime<FixedOffset>>,
    pub(crate) working_days_late: i32,
}

#[derive(Debug, Serialize)]
pub(crate) struct RollUp {
    pub(crate) scope: String,
    pub(crate) period: String,
    pub(crate) indicator: String,
    pub(crate) total: i64,
    pub(crate) counted: i32,
    pub(crate) expected: i32,
    pub(crate) missing: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Notice {
    pub(crate) to: Recipient,
    pub(crate) kind: String,
    pub(crate) count: usize,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) regime: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) period: String,
    pub(crate) detect_time: Option<DateTime<FixedOffset>>,
    pub(crate) text: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Recipient {
    pub(crate) code: String,
    pub(crate) name: String,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Explanation {
    pub(crate) obligation: String,
    pub(crate) unit_code: String,
    pub(crate) unit_display_name: String,
    pub(crate) text: String,
}
