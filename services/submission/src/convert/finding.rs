//! domain → pb: findings.

use dunghan_proto::submission as pb;
use dunghan_rpc::field;

use crate::domain::finding::{Discrepancy, Finding, Severity};
use crate::domain::value::Value;
use crate::domain::wording;

/// The most letters of a quote, and of a figure that is a text: they stand whole in the report.
const MOST_SHOWN: usize = 200;

pub(super) fn severity_of(severity: Severity) -> pb::finding::Severity {
    match severity {
        Severity::Blocking => pb::finding::Severity::Blocking,
        Severity::Error => pb::finding::Severity::Error,
        Severity::Warning => pb::finding::Severity::Warning,
        Severity::Info => pb::finding::Severity::Info,
    }
}

pub(super) fn discrepancy_of(discrepancy: Option<Discrepancy>) -> pb::Discrepancy {
    match discrepancy {
        None => pb::Discrepancy::Unspecified,
        Some(Discrepancy::Exact) => pb::Discrepancy::Exact,
        Some(Discrepancy::Rounded) => pb::Discrepancy::Rounded,
        Some(Discrepancy::Truncated) => pb::Discrepancy::Truncated,
        Some(Discrepancy::ComplementAdjusted) => pb::Discrepancy::ComplementAdjusted,
        Some(Discrepancy::Wrong) => pb::Discrepancy::Wrong,
        Some(Discrepancy::Undefined) => pb::Discrepancy::Undefined,
    }
}

/// A finding of a report with these figures.
pub(super) fn finding_of(finding: &Finding, values: &[Value]) -> pb::Finding {
    let involved = finding.values.iter();
    let involved = involved.filter_map(|at| values.get(*at).map(|value| involved_of(*at, value)));
    pb::Finding {
        rule: finding.rule.clone(),
        severity: severity_of(finding.severity).into(),
        discrepancy: discrepancy_of(finding.discrepancy).into(),
        message: finding.message.clone(),
        evidence: finding.evidence.clone(),
        field: finding.field.clone(),
        recomputed_percent: finding.recomputed.map(field::pb_decimal),
        message_en: finding.message_en.clone(),
        key: finding.key.clone(),
        values: involved.collect(),
        justification: finding.justification.clone(),
    }
}

fn involved_of(at: usize, value: &Value) -> pb::InvolvedValue {
    let shown = |text: &str| match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    pb::InvolvedValue {
        field: format!("values[{at}]"),
        indicator: value.key.indicator.clone(),
        category: value.key.category.clone(),
        figure: shown(&wording::figure(value)),
        quote: shown(&value.quote),
    }
}
