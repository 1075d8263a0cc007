//! Reports for the tests of the rules.

use dunghan_calendar::{Family, Period};

use super::{Against, findings};
use crate::domain::finding::Finding;
use crate::domain::form::{Form, Forms};
use crate::domain::report::{Asked, Content, DeclaredPeriod, Document, Place};
use crate::domain::value::{Figure, Key, Qualifier, Ratio, Role, Value};

pub(crate) struct Draft {
    pub(crate) asked: Asked,
    pub(crate) content: Content,
}

impl Draft {
    /// A report on form cds-1 with nothing to find fault with.
    pub(crate) fn of(period: &str) -> Self {
        let period: Period = period.parse().unwrap();
        let window = period.window(Family::Nd09);
        let form = "cds-1".to_owned();
        let regime = "cds".to_owned();
        let document = Document {
            number: "103".to_owned(),
            symbol: "BC-UBND".to_owned(),
            date: Some(window.cut_off),
            declared_periods: Vec::new(),
            declared_units: Vec::new(),
        };
        Self {
            asked: Asked {
                regime,
                period,
                form,
                window,
                cut_off_as_declared: false,
                review_levels: 0,
                receivers: Vec::new(),
            },
            content: Content { document, ..Content::default() },
        }
    }

    /// `indicator;category;FIGURE;stated percent;role;qualifier;end;start`, where a figure is `1`, `1/2` or `1.5%`.
    pub(crate) fn value(mut self, text: &str) -> Self {
        let parts: Vec<_> = text.split(';').collect();
        let part = |at: usize| parts.get(at).copied().unwrap_or_default();
        let figure = match (part(2).strip_suffix('%'), part(2).split_once('/')) {
            (Some(percent), _) => Figure::Percent(percent.parse().unwrap()),
            (None, Some((part, whole))) => {
                Figure::Ratio(Ratio::new(part.parse().unwrap(), whole.parse().unwrap()).unwrap())
            }
            (None, None) => Figure::Count(part(2).parse().unwrap()),
        };
        let date = |at: usize| (!part(at).is_empty()).then(|| part(at).parse().unwrap());
        self.content.values.push(Value {
            key: Key {
                indicator: part(0).to_owned(),
                category: part(1).to_owned(),
                role: if part(4) == "target" { Role::Target } else { Role::Actual },
                start: date(7),
                end: date(6),
            },
            figure,
            qualifier: match part(5) {
                "about" => Qualifier::About,
                "more_than" => Qualifier::MoreThan,
                "about_more_than" => Qualifier::AboutMoreThan,
                _ => Qualifier::Exact,
            },
            stated_percent: (!part(3).is_empty()).then(|| part(3).parse().unwrap()),
            quote: String::new(),
            discrepancy: None,
        });
        self
    }

    pub(crate) fn declares(mut self, period: &str, place: &str) -> Self {
        let place = match place {
            "title" => Place::Title,
            "opening" => Place::Opening,
            "closing" => Place::Closing,
            _ => Place::Body,
        };
        let declared = DeclaredPeriod { period: period.parse().unwrap(), place };
        self.content.document.declared_periods.push(declared);
        self
    }

    pub(crate) fn findings(&self) -> Vec<Finding> {
        let forms = Forms::compiled_in().unwrap();
        self.against(forms.get(&self.asked.form).unwrap())
    }

    /// What is found by another form.
    pub(crate) fn against(&self, form: &Form) -> Vec<Finding> {
        self.checked(form).0
    }

    /// What is found by a form where a history is known, or not, and what becomes of the content.
    pub(crate) fn checked<'a>(&self, against: impl Into<Against<'a>>) -> (Vec<Finding>, Content) {
        let against = against.into();
        let unknown =
            self.content.values.iter().find(|value| against.form.asks_for(value).is_err());
        assert_eq!(unknown, None, "the test asks what the form does not");
        let mut content = self.content.clone();
        (findings(against, &self.asked, &mut content), content)
    }
}

/// The rules that found something, in order.
pub(crate) fn rules(findings: &[Finding]) -> String {
    findings.iter().map(|finding| finding.rule.as_str()).collect::<Vec<_>>().join(", ")
}
