//! What the rules say of a report. Findings are told, not forced: all but the blocking ones are left to whoever reads the report.
//! What blocks is that a report has to say something, a figure, or a text where the form asks for nothing else; that it has what
//! its form requires; and what its form's own rules say is blocking.
//!
//! Figures that claim to be about something, or more than something, take no part in sums and comparisons. What is missing is not
//! zero: a rule is judged only where all that it needs is stated, and it is judged by what is known when the report is checked:
//! what was handed over for earlier periods may change afterwards.

mod dates;
mod document;
mod history;
mod percent;
mod required;
mod rules;
mod sums;

use std::collections::HashMap;
use std::sync::Arc;

use dunghan_hierarchy::{Hierarchy, UnitId};
use rust_decimal::Decimal;

use super::finding::{Finding, Severity, told_apart};
use super::form::{Form, Kind};
use super::report::{Asked, Content};
use super::rule::Number;
use super::value::{Figure, Key, Qualifier, Role, Value};
use super::wording::number;

pub use history::{Earlier, History};

/// The names of what is checked of every report: no rule of a form has one of them.
pub(crate) const NAMES: [&str; 18] = [
    "no_narrative",
    "no_values",
    "required_missing",
    "document.number_missing",
    "document.date_missing",
    "period.declared_disagrees",
    "unit.declared_disagrees",
    "percent_recomputed",
    "percent_impossible",
    "percent_without_denominator",
    "denominator_contradicts",
    "part_exceeds_whole",
    "table_total",
    "cut_offs_inconsistent",
    "cut_off_missing",
    "window_mismatch",
    "window_short",
    MORE,
];

/// The most findings that are told of one report, and the most figures that these name together, one each aside.
const MOST_FINDINGS: usize = 1000;
const MOST_INVOLVED: usize = 2000;
const MORE: &str = "more_findings";

/// The unit that a report is of, and the units as they are known.
#[derive(Clone, Copy, Debug)]
struct Issuer<'a> {
    unit: UnitId,
    hierarchy: &'a Hierarchy,
}

/// What a report is held against: its form, its unit, and what that handed over before.
#[derive(Clone, Copy, Debug)]
pub struct Against<'a> {
    form: &'a Form,
    issuer: Option<Issuer<'a>>,
    history: Option<&'a History>,
}

impl<'a> From<&'a Form> for Against<'a> {
    /// With nothing known of the unit and its earlier reports.
    fn from(form: &'a Form) -> Self {
        Self { form, issuer: None, history: None }
    }
}

impl<'a> From<&'a Arc<Form>> for Against<'a> {
    /// With nothing known of the unit and its earlier reports.
    fn from(form: &'a Arc<Form>) -> Self {
        Self::from(&**form)
    }
}

/// A form, a unit, and what that handed over before, as far as the form's rules ask for it.
#[derive(Clone, Debug)]
pub struct Basis {
    /// The form.
    pub form: Arc<Form>,
    /// The unit that the report is of.
    pub unit: UnitId,
    /// The units, this one among them.
    pub hierarchy: Arc<Hierarchy>,
    /// What was handed over.
    pub history: History,
}

impl<'a> From<&'a Basis> for Against<'a> {
    fn from(Basis { form, unit, hierarchy, history }: &'a Basis) -> Self {
        Self { form, issuer: Some(Issuer { unit: *unit, hierarchy }), history: Some(history) }
    }
}

/// All findings, in the order of the report: its head, then its figures, then its dates. How each stated percentage stands to its
/// parts is noted beside it.
pub fn findings<'a>(
    against: impl Into<Against<'a>>,
    asked: &Asked,
    content: &mut Content,
) -> Vec<Finding> {
    let Against { form, issuer, history } = against.into();
    let mut findings = Vec::new();
    document::check(asked, issuer, content, &mut findings);
    if !content.nil {
        let says_something = says_something(form, content);
        findings.splice(0..0, says_something);
        let figures = Figures::new(form, &content.values);
        required::check(&figures, &mut findings);
        let discrepancies = percent::check(&figures, &mut findings);
        rules::check(asked, &figures, history, &mut findings);
        sums::check(&figures, &mut findings);
        dates::check(asked, content, &mut findings);
        for (value, discrepancy) in content.values.iter_mut().zip(discrepancies) {
            value.discrepancy = discrepancy;
        }
    }
    told_apart(&mut findings);
    cut(&mut findings);
    let mut involved = 0;
    for finding in &mut findings {
        finding.values.truncate(MOST_INVOLVED.saturating_sub(involved).max(1));
        involved += finding.values.len();
        let answer = content.justifications.iter().find(|answer| answer.finding == finding.key);
        finding.justification = answer.map(|answer| answer.text.clone()).unwrap_or_default();
    }
    findings
}

fn says_something(form: &Form, content: &Content) -> Option<Finding> {
    if form.text().indicators.is_empty() {
        let says = ("Báo cáo chưa có nội dung.", "The report has no text yet.");
        let empty = content.narrative.trim().is_empty();
        empty.then(|| Finding::new("no_narrative", Severity::Blocking, "narrative", says, ""))
    } else {
        let says = ("Báo cáo chưa có số liệu nào.", "The report has no figures yet.");
        let empty = content.values.is_empty();
        empty.then(|| Finding::new("no_values", Severity::Blocking, "values", says, ""))
    }
}

/// A report is not to grow by what is said of it: past a thousand findings the rest are counted. What blocks is told first.
fn cut(findings: &mut Vec<Finding>) {
    let Some(more) = findings.len().checked_sub(MOST_FINDINGS).filter(|more| *more > 0) else {
        return;
    };
    findings.sort_by_key(|finding| finding.severity != Severity::Blocking);
    findings.truncate(MOST_FINDINGS);
    let more = number(more as u64);
    let says = (
        format!("Còn {more} phát hiện khác chưa được liệt kê."),
        format!("There are {more} more findings that are not listed."),
    );
    findings.push(Finding::new(MORE, Severity::Info, "values", says, ""));
}

/// How findings begin that are about one row.
fn row(category: &str) -> String {
    if category.is_empty() { String::new() } else { format!("{category}: ") }
}

/// The figures of a report, indexed: a report has up to 2,000, and rules that compare each with each must stay cheap.
struct Figures<'a> {
    form: &'a Form,
    values: &'a [Value],
    by_row: HashMap<(&'a str, &'a str, Role), Vec<usize>>,
    by_indicator: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Figures<'a> {
    fn new(form: &'a Form, values: &'a [Value]) -> Self {
        let mut by_row = HashMap::<_, Vec<_>>::with_capacity(values.len());
        let mut by_indicator = HashMap::<_, Vec<_>>::with_capacity(values.len());
        for (at, value) in values.iter().enumerate() {
            let Key { indicator, category, role, .. } = &value.key;
            by_row.entry((indicator.as_str(), category.as_str(), *role)).or_default().push(at);
            by_indicator.entry(indicator.as_str()).or_default().push(at);
        }
        Self { form, values, by_row, by_indicator }
    }

    /// Where the figures of an indicator stand that are comparable with one of `key`.
    fn beside<'b>(
        &'b self,
        indicator: &'b str,
        key: &'b Key,
    ) -> impl Iterator<Item = usize> + use<'a, 'b> {
        let row = self.by_row.get(&(indicator, key.category.as_str(), key.role));
        row.into_iter().flatten().copied().filter(|at| self.values[*at].key.comparable(key))
    }

    /// Where the figures of an indicator stand, whatever they are about.
    fn of<'b>(&'b self, indicator: &str) -> impl Iterator<Item = usize> + use<'a, 'b> {
        self.by_indicator.get(indicator).into_iter().flatten().copied()
    }

    /// What the report states exactly of an indicator, comparable with a figure of `key`.
    fn stated<'b>(
        &'b self,
        indicator: &'b str,
        key: &'b Key,
    ) -> impl Iterator<Item = u64> + use<'a, 'b> {
        self.beside(indicator, key).filter_map(|at| self.values[at].exact_count())
    }

    /// The one number of an indicator that the report states exactly, comparable with a figure of `key`; `None` where
    /// it states none, or several that differ.
    fn stated_once(&self, indicator: &str, key: &Key) -> Option<u64> {
        once(self.stated(indicator, key))
    }

    /// As [`stated_once`](Self::stated_once), of any kind.
    fn number_once(&self, indicator: &str, key: &Key) -> Option<Number> {
        once(self.beside(indicator, key).filter_map(|at| self.number(at)))
    }

    /// As [`number_once`](Self::number_once), of the whole.
    fn whole_once(&self, indicator: &str, key: &Key) -> Option<Number> {
        once(self.beside(indicator, key).filter_map(|at| self.whole_of(at)))
    }

    /// What a figure states exactly, as rules know it.
    fn number(&self, at: usize) -> Option<Number> {
        let value = &self.values[at];
        if value.qualifier != Qualifier::Exact {
            return None;
        }
        let kind = self.form.indicator(&value.key.indicator)?.kind;
        // An earlier report may be on another form.
        if !kind.takes(&value.figure) {
            return None;
        }
        match &value.figure {
            Figure::Percent(percent) => Some(Number::Percent(percent.decimal())),
            Figure::Text(text) | Figure::Choice(text) => Some(Number::Text(text.clone())),
            Figure::Count(_) | Figure::Ratio(_) | Figure::Money(_) if kind != Kind::Percent => {
                i64::try_from(value.exact_count()?).ok().map(Number::Count)
            }
            // Rules know the percentage of what is one: as stated, or as its parts give it.
            figure => match (value.stated_percent, figure) {
                (Some(percent), _) => Some(Number::Percent(percent.decimal())),
                (None, Figure::Ratio(ratio)) => {
                    percent::rounded_decimal(*ratio).map(Number::Percent)
                }
                (None, _) => None,
            },
        }
    }

    /// The whole that a figure states exactly, or that the report states for it.
    fn whole_of(&self, at: usize) -> Option<Number> {
        let value = &self.values[at];
        let whole = match &value.figure {
            _ if value.qualifier != Qualifier::Exact => None,
            Figure::Ratio(ratio) => Some(ratio.whole()),
            _ => self.whole(value).and_then(|whole| self.stated_once(whole, &value.key)),
        };
        whole.and_then(|whole| i64::try_from(whole).ok()).map(Number::Count)
    }

    /// The indicator that a figure's indicator is a part of.
    fn whole(&self, value: &Value) -> Option<&'a str> {
        self.form.indicator(&value.key.indicator)?.whole.as_deref()
    }

    fn label<'b>(&'b self, indicator: &'b str) -> &'b str {
        self.form.label(indicator)
    }
}

/// The one of these that there is; `None` where there are several that differ.
fn once<T: PartialEq>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}

/// A whole number of hundredths, thousandths and so on.
fn scaled(number: i128, decimals: u32) -> Decimal {
    Decimal::from_i128_with_scale(number, decimals)
}

#[cfg(test)]
pub(crate) mod fixture;

#[cfg(test)]
mod tests {
    use super::fixture::{Draft, rules};
    use super::*;
    use crate::domain::report::Justification;

    #[test]
    fn of_a_report_that_says_nothing_occurred_only_the_head_is_checked() {
        let mut draft = Draft::of("202605");
        assert_eq!(rules(&draft.findings()), "no_values");
        draft.content.nil = true;
        assert_eq!(rules(&draft.findings()), "");
        draft.content.document.number.clear();
        assert_eq!(rules(&draft.findings()), "document.number_missing");
    }

    #[test]
    fn an_answer_stands_beside_the_finding_that_it_is_to() {
        let mut draft = Draft::of("202605").value("dossiers_resolved_late_actual;;0/0;0");
        let before = draft.findings();
        assert_eq!(before.len(), 1);
        let answer = |finding: &str| Justification {
            finding: finding.to_owned(),
            text: "Trong kỳ không phát sinh hồ sơ.".to_owned(),
        };
        draft.content.justifications = vec![answer("elsewhere"), answer(&before[0].key)];
        let found = draft.findings();
        assert_eq!(found[0].justification, "Trong kỳ không phát sinh hồ sơ.");
        // It stays the same finding while its figure keeps its key, wherever that stands.
        let draft = Draft::of("202605")
            .value("portal_posts;;1")
            .value("dossiers_resolved_late_actual;;0/0;0.0");
        assert_eq!(draft.findings()[0].key, before[0].key);
        assert_eq!(draft.findings()[0].field, "values[1]");
    }

    #[test]
    fn past_a_thousand_the_rest_is_counted_and_what_blocks_is_told() {
        let finding = |at: usize| {
            let severity = if at == 1200 { Severity::Blocking } else { Severity::Error };
            Finding::new("r", severity, format!("values[{at}]"), ("vi", "en"), "")
        };
        let mut findings: Vec<_> = (0..1000).map(finding).collect();
        cut(&mut findings);
        assert_eq!(findings.len(), 1000);
        let mut findings: Vec<_> = (0..1201).map(finding).collect();
        cut(&mut findings);
        assert_eq!((findings.len(), findings[0].field.as_str()), (1001, "values[1200]"));
        assert_eq!(findings[1000].message_en, "There are 201 more findings that are not listed.");
    }
}
