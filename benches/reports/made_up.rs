//! Reports and a form that nobody has.

use anyhow::Context as _;
use dunghan_calendar::{Family, Frequency, Period};
use dunghan_proto::submission as pb;
use dunghan_submission::domain::finding::Severity;
use dunghan_submission::domain::form::{Form, FormText, Forms, Indicator, Kind, Scope};
use dunghan_submission::domain::regime::{Debtors, Recurrence, Regime};
use dunghan_submission::domain::report::{Asked, Content, Document, Report, ReportName};
use dunghan_submission::domain::rule::RuleText;
use dunghan_submission::domain::value::{Figure, Key, Qualifier, Ratio, Role, Value};
use uuid::Uuid;

use crate::peers::province;
use crate::{day, now};

/// The form that comes with the program, by which communes report each month; and what one of them states, as it fits together.
const USUAL: &str = "cds-1";
const USUAL_FIGURES: [(&str, u64); 30] = [
    ("documents_issued_total", 120),
    ("documents_outgoing_issued_via_dms", 118),
    ("feedback_received", 9),
    ("feedback_handled", 9),
    ("satisfaction_forms_received", 40),
    ("online_services_with_dossiers_district", 12),
    ("online_services_with_dossiers_commune", 31),
    ("dossiers_to_process_total", 250),
    ("dossiers_received_total", 230),
    ("dossiers_received_online", 180),
    ("dossiers_received_direct", 50),
    ("dossiers_carried_over", 20),
    ("dossiers_resolved_total", 240),
    ("dossiers_resolved_early", 200),
    ("dossiers_resolved_on_time", 38),
    ("dossiers_resolved_early_or_on_time", 238),
    ("dossiers_resolved_late", 2),
    ("dossiers_resolved_late_actual", 2),
    ("dossiers_pending_total", 10),
    ("dossiers_pending_in_time", 9),
    ("dossiers_pending_overdue", 1),
    ("dossiers_overdue_total", 3),
    ("dossiers_overdue_total_actual", 3),
    ("dossiers_of_published_procedures", 230),
    ("dossiers_one_stop", 230),
    ("portal_posts", 60),
    ("portal_documents_posted", 12),
    ("portal_visits", 4_500),
    ("portal_posts_law_policy", 8),
    ("portal_posts_planning", 3),
];
/// The form that has as many rules as figures, and its name.
const LARGE: &str = "bench-1";
const GROUPS: usize = 10;

/// A form, and what a report by it says.
pub(super) struct MadeUp {
    pub(super) form: Form,
    pub(super) asked: Asked,
    pub(super) content: Content,
}

impl MadeUp {
    /// As communes hand one over each month.
    pub(super) fn usual() -> anyhow::Result<Self> {
        let forms = Forms::compiled_in()?;
        let form = forms.get(USUAL).with_context(|| format!("there is no form {USUAL}"))?;
        let values = USUAL_FIGURES.map(|(key, figure)| value(key, Figure::Count(figure)));
        Self::new(Form::clone(form), values.into())
    }

    /// A hundred figures that a hundred rules are held against.
    pub(super) fn large() -> anyhow::Result<Self> {
        let indicators = (0..GROUPS).flat_map(|group| {
            KINDS.into_iter().enumerate().map(move |(at, kind)| indicator(key(group, at), kind))
        });
        let text = FormText {
            key: LARGE.to_owned(),
            display_name: "Báo cáo dài".to_owned(),
            legal_basis: "Công văn số 1/VP".to_owned(),
            sections: Vec::new(),
            indicators: indicators.collect(),
            tables: Vec::new(),
            rules: (0..GROUPS).flat_map(rules).collect(),
        };
        let form = Form::new(text).map_err(|flaws| anyhow::anyhow!("the form is none: {flaws}"))?;
        Self::new(form, large(&holding))
    }

    /// The same figures, of which none is as a rule wants it.
    pub(super) fn all_wrong() -> Vec<Value> {
        large(&|_| failing())
    }

    fn new(form: Form, values: Vec<Value>) -> anyhow::Result<Self> {
        let regime = Regime {
            id: form.key().to_owned(),
            form: form.key().to_owned(),
            recurrence: Recurrence::Every(Frequency::Month),
            family: Family::Nd09,
            cut_off_as_declared: false,
            from: day(2025, 7, 1),
            through: None,
            review_levels: 0,
            debtors: Debtors::Units(Vec::new()),
            tiers: Vec::new(),
        };
        let asked = regime.asks(period()?, now().date_naive())?;
        let document = Document {
            number: "1".to_owned(),
            symbol: "BC-UBND".to_owned(),
            date: Some(day(2026, 4, 16)),
            declared_periods: Vec::new(),
            declared_units: Vec::new(),
        };
        let narrative = "Ủy ban nhân dân xã báo cáo kết quả trong kỳ như sau.\n".repeat(20);
        let content = Content { document, values, narrative, ..Content::default() };
        Ok(Self { form, asked, content })
    }

    /// As a unit sends it, with that document number.
    pub(super) fn sent(&self, number: usize) -> pb::Report {
        let name = ReportName { unit: province(), report: Uuid::nil() };
        let (asked, content) = (self.asked.clone(), self.content.clone());
        let begun = pb::Report::from(&Report::begin(name, asked, content, &self.form, now()));
        let document =
            begun.document.map(|head| pb::Document { number: number.to_string(), ..head });
        let pb::Report { regime, period, values, narrative, .. } = begun;
        pb::Report { regime, period, document, values, narrative, ..pb::Report::default() }
    }
}

/// April 2026.
fn period() -> anyhow::Result<Period> {
    Ok("202604".parse()?)
}

/// What the ten indicators of a group are.
const KINDS: [Kind; 10] = [
    Kind::Count,
    Kind::Count,
    Kind::Count,
    Kind::Count,
    Kind::Stock,
    Kind::Ratio,
    Kind::Count,
    Kind::Money,
    Kind::Years,
    Kind::Count,
];

fn key(group: usize, at: usize) -> String {
    format!("g{group}_{at}")
}

/// Their figures, for which all rules hold.
fn holding(group: usize) -> [Figure; 10] {
    let (one, two) = (300 + group as u64, 40 + group as u64);
    let total = one + two;
    [
        Figure::Count(total),
        Figure::Count(one),
        Figure::Count(two),
        Figure::Count(two),
        Figure::Count(total),
        ratio(one, total),
        // What there was in the year, with the three months before.
        Figure::Count(4 * total),
        Figure::Money(1_000_000 * total),
        Figure::Count(2),
        Figure::Count(0),
    ]
}

/// Their figures, for which none does.
fn failing() -> [Figure; 10] {
    [
        Figure::Count(1),
        Figure::Count(5),
        Figure::Count(5),
        Figure::Count(9),
        Figure::Count(1),
        ratio(1, 100),
        Figure::Count(0),
        Figure::Money(0),
        Figure::Count(20),
        Figure::Count(1),
    ]
}

fn ratio(part: u64, whole: u64) -> Figure {
    Ratio::new(part, whole).map_or(Figure::Count(part), Figure::Ratio)
}

fn large(figures: &dyn Fn(usize) -> [Figure; 10]) -> Vec<Value> {
    let groups = (0..GROUPS).flat_map(|group| {
        let figures = figures(group).into_iter().enumerate();
        figures.map(move |(at, figure)| value(&key(group, at), figure))
    });
    groups.collect()
}

/// Ten rules over them.
fn rules(group: usize) -> impl Iterator<Item = RuleText> {
    let expressions = [
        "v.0 == v.1 + v.2",
        "v.1 + v.2 <= v.4",
        "v.3 <= v.1 && v.3 <= v.2",
        "v.0 >= previous.0",
        "v.6 == year.0 + v.0",
        "v.5 * 10 >= whole.5",
        "v.9 == 0 || v.8 > 30",
        "v.7 >= v.0 * 1000 && v.7 <= v.0 * 10000000",
        "!has(v.8) || v.8 <= 10",
        "max(v.1, v.2) >= v.3 && abs(v.1 - v.2) <= v.0",
    ];
    expressions.into_iter().enumerate().map(move |(at, expression)| {
        let mut expression = expression.to_owned();
        for source in ["v.", "previous.", "year.", "whole."] {
            for digit in 0..10 {
                let to = format!("{source}{}", key(group, digit));
                expression = expression.replace(&format!("{source}{digit}"), &to);
            }
        }
        RuleText {
            key: format!("rule_{group}_{at}"),
            expression,
            severity: Severity::Error,
            message: "Số liệu không khớp.".to_owned(),
            message_en: "The figures do not fit.".to_owned(),
            table: None,
        }
    })
}

fn indicator(key: String, kind: Kind) -> Indicator {
    Indicator {
        display_name: format!("Chỉ tiêu {key}"),
        key,
        kind,
        whole: None,
        section: None,
        required: false,
        scope: Scope::Own,
        roll_up: None,
        choices: Vec::new(),
        unit_of_measure: String::new(),
    }
}

fn value(indicator: &str, figure: Figure) -> Value {
    let key = Key {
        indicator: indicator.to_owned(),
        category: String::new(),
        role: Role::Actual,
        start: None,
        end: None,
    };
    // As a ratio states it, to be recomputed.
    let stated_percent = match &figure {
        Figure::Ratio(ratio) => {
            let hundredths = (ratio.part() * 10_000 + ratio.whole() / 2) / ratio.whole();
            format!("{}.{:02}", hundredths / 100, hundredths % 100).parse().ok()
        }
        _ => None,
    };
    Value {
        key,
        figure,
        qualifier: Qualifier::Exact,
        stated_percent,
        quote: "Trong kỳ đã tiếp nhận và giải quyết theo quy định.".to_owned(),
        discrepancy: None,
    }
}
