//! What the rules say of a report. Findings are told, not forced: all are left to whoever reads the report, but that it must
//! say something: a figure, or a text where the form asks for nothing else.
//!
//! Figures that claim to be about something, or more than something, take no part in sums and comparisons. What is
//! missing is not zero: a sum is tested only where all of its parts are stated.

mod dates;
mod document;
mod percent;
mod sums;

use std::collections::HashMap;

use super::finding::{Finding, Severity};
use super::form::Form;
use super::report::{Asked, Content};
use super::value::{Key, Role, Value};

/// All findings, in the order of the report: its head, then its figures, then its dates.
pub fn findings(form: &Form, asked: &Asked, content: &Content) -> Vec<Finding> {
    let mut findings = Vec::new();
    if form.indicators.is_empty() {
        if content.narrative.trim().is_empty() {
            let message = "Báo cáo chưa có nội dung.";
            let blocking = Severity::Blocking;
            findings.push(Finding::new("no_narrative", blocking, "narrative", message, ""));
        }
    } else if content.values.is_empty() {
        let message = "Báo cáo chưa có số liệu nào.";
        findings.push(Finding::new("no_values", Severity::Blocking, "values", message, ""));
    }
    document::check(asked, &content.document, &mut findings);
    let figures = Figures::new(form, &content.values);
    percent::check(&figures, &mut findings);
    sums::check(&figures, &mut findings);
    dates::check(asked, content, &mut findings);
    findings
}

/// How findings name a figure.
fn field(at: usize) -> String {
    format!("values[{at}]")
}

/// The figures of a report, indexed: a report has up to 2,000, and rules that compare each with each must stay cheap.
struct Figures<'a> {
    form: &'a Form,
    values: &'a [Value],
    by_row: HashMap<(&'a str, &'a str, Role), Vec<&'a Value>>,
}

impl<'a> Figures<'a> {
    fn new(form: &'a Form, values: &'a [Value]) -> Self {
        let mut by_row = HashMap::<_, Vec<_>>::new();
        for value in values {
            let Key { indicator, category, role, .. } = &value.key;
            by_row.entry((indicator.as_str(), category.as_str(), *role)).or_default().push(value);
        }
        Self { form, values, by_row }
    }

    /// What the report states exactly of an indicator, comparable with a figure of `key`.
    fn stated<'b>(
        &'b self,
        indicator: &'b str,
        key: &'b Key,
    ) -> impl Iterator<Item = u64> + use<'a, 'b> {
        let row = self.by_row.get(&(indicator, key.category.as_str(), key.role));
        row.into_iter()
            .flatten()
            .filter(|value| value.key.comparable(key))
            .filter_map(|value| value.exact_count())
    }

    /// The one number of an indicator that the report states exactly, comparable with a figure of `key`; `None` where
    /// it states none, or several that differ.
    fn stated_once(&self, indicator: &str, key: &Key) -> Option<u64> {
        let mut all = self.stated(indicator, key);
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    }

    /// The indicator that a figure's indicator is a part of.
    fn whole(&self, value: &Value) -> Option<&'a str> {
        self.form.indicator(&value.key.indicator)?.whole.as_deref()
    }

    fn label<'b>(&'b self, indicator: &'b str) -> &'b str {
        self.form.label(indicator)
    }
}

#[cfg(test)]
mod fixture;
