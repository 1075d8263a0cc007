//! What a check says about a report.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::value::{Key, Value};

/// How bad it is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The report cannot be submitted so.
    Blocking,
    /// Wrong.
    #[default]
    Error,
    /// Perhaps wrong.
    Warning,
    /// Worth knowing.
    Info,
}

/// How a stated percentage stands to the one its parts give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discrepancy {
    /// The very percentage.
    Exact,
    /// Rounded half up at the last decimal stated.
    Rounded,
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
    /// The same in English; empty where it was found before there was any.
    #[serde(default)]
    pub message_en: String,
    /// What it rests on.
    pub evidence: String,
    /// The field of the report.
    pub field: String,
    /// The percentage that the parts give.
    pub recomputed: Option<Decimal>,
    /// Tells it from the other findings of its report.
    #[serde(default)]
    pub key: String,
    /// Which of the report's figures it is about, the one that it stands at first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<usize>,
    /// What the unit says to it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub justification: String,
}

/// The most figures that one finding names: a total may be the sum of a thousand rows.
const MOST_VALUES: usize = 50;

impl Finding {
    /// One about a part of the report that is no figure, or about all of its figures. What is said is Vietnamese, English.
    pub(crate) fn new(
        rule: &str,
        severity: Severity,
        field: impl Into<String>,
        (message, message_en): (impl Into<String>, impl Into<String>),
        evidence: impl Into<String>,
    ) -> Self {
        let field = field.into();
        Self {
            rule: rule.to_owned(),
            severity,
            discrepancy: None,
            message: message.into(),
            message_en: message_en.into(),
            evidence: evidence.into(),
            key: key(&[rule, &field]),
            field,
            recomputed: None,
            values: Vec::new(),
            justification: String::new(),
        }
    }

    /// Shown at the figure at that place of the report, though it is not about that figure alone.
    pub(crate) fn standing_at(self, at: usize) -> Self {
        Self { field: format!("values[{at}]"), values: vec![at], ..self }
    }

    /// About the figure at that place of the report.
    pub(crate) fn at_value(self, values: &[Value], at: usize) -> Self {
        let found = self.standing_at(at);
        match values.get(at) {
            Some(value) => found.about(&value.key),
            None => found,
        }
    }

    /// About a figure of that key, there or not: wherever it stands, the finding stays the same one.
    pub(crate) fn about(self, of: &Key) -> Self {
        let day = |date: Option<NaiveDate>| date.map(|date| date.to_string()).unwrap_or_default();
        let (start, end) = (day(of.start), day(of.end));
        let role = of.role.as_str();
        let key = key(&[&self.rule, &of.indicator, &of.category, role, &start, &end]);
        Self { key, ..self }
    }

    /// Told from others of its rule by that, whatever its field.
    pub(crate) fn told_by(self, what: &[&str]) -> Self {
        let parts: Vec<_> = [self.rule.as_str()].into_iter().chain(what.iter().copied()).collect();
        Self { key: key(&parts), ..self }
    }

    /// It is about these figures as well.
    pub(crate) fn involving(mut self, values: impl IntoIterator<Item = usize>) -> Self {
        for at in values {
            if self.values.len() < MOST_VALUES && !self.values.contains(&at) {
                self.values.push(at);
            }
        }
        self
    }
}

/// Short, and the same wherever it is computed.
fn key(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // With its length, lest what is cut elsewhere be the same.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Gives findings of the same key each its own: the second is told by being the second.
pub(crate) fn told_apart(findings: &mut [Finding]) {
    let mut seen = std::collections::HashMap::<String, u32>::new();
    for finding in findings {
        let times = seen.entry(finding.key.clone()).or_default();
        *times += 1;
        if *times > 1 {
            finding.key = format!("{}-{times}", finding.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::value::Role;

    #[test]
    fn a_finding_has_one_key_wherever_its_figure_stands() {
        let finding = || Finding::new("r", Severity::Error, "values", ("vi", "en"), "");
        let of = |indicator: &str, category: &str, role| Key {
            indicator: indicator.to_owned(),
            category: category.to_owned(),
            role,
            start: None,
            end: None,
        };
        let key = |key: &Key| finding().about(key).key;
        let first = of("a", "", Role::Actual);
        assert_eq!(key(&first), key(&first.clone()));
        assert_eq!(key(&first).len(), 16);
        // Fixed: justifications that were given are found again by it.
        assert_eq!(finding().key, "598b0ab88911afbc");
        for other in [
            of("a", "x", Role::Actual),
            of("ax", "", Role::Actual),
            of("a", "", Role::Target),
            Key { end: "2026-05-14".parse().ok(), ..first.clone() },
        ] {
            assert_ne!(key(&first), key(&other), "{other:?}");
        }
        let mut same = [finding(), finding(), finding()];
        told_apart(&mut same);
        assert_eq!(same[1].key, format!("{}-2", same[0].key));
        assert_eq!(same[2].key, format!("{}-3", same[0].key));
    }

    #[test]
    fn what_was_found_before_findings_had_keys_still_reads() {
        let kept = r#"{"rule":"identity","severity":"error","discrepancy":"wrong","message":"m",
            "evidence":"e","field":"values[0]","recomputed":"99.59"}"#;
        let finding: Finding = serde_json::from_str(kept).unwrap();
        assert_eq!((finding.key.as_str(), finding.values.len()), ("", 0));
    }
}
