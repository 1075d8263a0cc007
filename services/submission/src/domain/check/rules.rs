//! The form's own rules. They are about what is: not about what is aimed at, or mentioned in passing. Each is judged for each figure
//! of the first indicator that it names, by what the report states in the same row and dates; and where that figure is missing, once
//! for each row in question by what is there, so that a rule can ask for one.
//!
//! Figures of several periods are held against each other where each is of its whole period: one since the beginning of the year is
//! not.

use std::collections::HashSet;

use chrono::{Months, NaiveDate};
use dunghan_calendar::Period;

use super::required::rows;
use super::{Figures, History, row};
use crate::domain::finding::{Finding, Severity};
use crate::domain::form::{Kind, Table};
use crate::domain::report::Asked;
use crate::domain::rule::{Judgement, Known, Number, Rule, Source, Undefined};
use crate::domain::value::{Figure, Key, Role, Value};

pub(super) fn check(
    asked: &Asked,
    figures: &Figures<'_>,
    history: Option<&History>,
    findings: &mut Vec<Finding>,
) {
    let earlier = Earlier::new(asked, figures, history);
    let tables = &figures.form.text().tables;
    let rows: Vec<_> = tables.iter().map(|table| (table, rows(figures, table))).collect();
    let mut found = Vec::new();
    for rule in figures.form.rules() {
        let compares = rule.needs(Source::Previous) || rule.needs(Source::Year);
        let span = compares.then(|| Span::of(asked, asked.period));
        for site in sites(figures, rule, span, &rows) {
            let known = Knowledge { figures, earlier: &earlier, rule, span, site: &site };
            if let Some(finding) = judged(&known) {
                found.push((site.at.unwrap_or(usize::MAX), finding));
            }
        }
    }
    // In the order of the report, and of the rules where they are about one figure.
    found.sort_by_key(|(at, _)| *at);
    findings.extend(found.into_iter().map(|(_, finding)| finding));
}

/// Where a rule is judged.
struct Site {
    /// The figure of its first indicator, where there is one.
    at: Option<usize>,
    /// In which row and dates.
    key: Key,
}

fn sites(
    figures: &Figures<'_>,
    rule: &Rule,
    span: Option<Span>,
    rows: &[(&Table, Vec<(usize, &str)>)],
) -> Vec<Site> {
    let anchor = rule.anchor();
    let table = rule.text.table.as_ref();
    let table = table.and_then(|key| rows.iter().find(|(table, _)| table.key == *key));
    let stated = figures.of(anchor).filter(|at| {
        let Key { category, role, .. } = &figures.values[*at].key;
        *role == Role::Actual
            && table.is_none_or(|(table, _)| table.takes_row(category))
            && span.is_none_or(|span| figures.of_whole(anchor, category, span) == Some(*at))
    });
    let mut sites: Vec<_> =
        stated.map(|at| Site { at: Some(at), key: figures.values[at].key.clone() }).collect();
    let mut without = |category: &str| {
        let key = (anchor, category, Role::Actual);
        if !figures.by_row.contains_key(&key) {
            let (indicator, category) = (anchor.to_owned(), category.to_owned());
            let key = Key { indicator, category, role: Role::Actual, start: None, end: None };
            sites.push(Site { at: None, key });
        }
    };
    match table {
        Some((_, rows)) => rows.iter().for_each(|(_, category)| without(category)),
        None => {
            without("");
            let mut seen = HashSet::from([""]);
            for indicator in rule.indicators() {
                for at in figures.of(indicator) {
                    let key = &figures.values[at].key;
                    if key.role == Role::Actual && seen.insert(key.category.as_str()) {
                        without(&key.category);
                    }
                }
            }
        }
    }
    sites
}

/// How long a period is, and when it ends.
#[derive(Clone, Copy)]
struct Span {
    days: i64,
    end: NaiveDate,
}

impl Span {
    /// Of the period of a report, or of one of its length before that.
    fn of(asked: &Asked, period: Period) -> Self {
        let months = |(year, month): (i32, u32)| i64::from(year) * 12 + i64::from(month);
        let back = months(asked.period.last_month()) - months(period.last_month());
        let back = Months::new(u32::try_from(back).unwrap_or(0));
        let end = asked.window.cut_off;
        let end = end.checked_sub_months(back).unwrap_or(end);
        Self { days: i64::from(asked.window.days()), end }
    }

    /// Whether a figure is of the period as a whole: it says nothing else, or its days are as many, give or take a quarter.
    fn is_that_of(self, key: &Key) -> bool {
        key.start.is_none_or(|start| {
            let days = (key.end.unwrap_or(self.end) - start).num_days() + 1;
            (days - self.days).abs() * 4 <= self.days
        })
    }
}

impl Figures<'_> {
    /// The figure of a row that is of the period as a whole. Where there are several, the one that reaches furthest, and of those the
    /// one that begins last, as totals over units have it.
    fn of_whole(&self, indicator: &str, category: &str, span: Span) -> Option<usize> {
        let row = self.by_row.get(&(indicator, category, Role::Actual))?;
        // What there is on a day has not begun.
        let is_stock =
            self.form.indicator(indicator).is_some_and(|indicator| indicator.kind == Kind::Stock);
        let whole = row.iter().copied();
        let whole = whole.filter(|at| is_stock || span.is_that_of(&self.values[*at].key));
        whole.max_by_key(|at| (self.values[*at].key.end, self.values[*at].key.start))
    }

    /// Whether a row states the whole of a figure, exactly or not.
    fn has_whole(&self, indicator: &str, category: &str) -> bool {
        let row = self.by_row.get(&(indicator, category, Role::Actual));
        row.into_iter().flatten().any(|at| {
            let value = &self.values[*at];
            matches!(value.figure, Figure::Ratio(_))
                || self.whole(value).is_some_and(|whole| self.has(whole, category))
        })
    }
}

/// What was handed over before, indexed.
struct Earlier<'a> {
    previous: Option<Past<'a>>,
    year: Option<Vec<Past<'a>>>,
}

/// What was handed over for one period.
struct Past<'a> {
    figures: Figures<'a>,
    span: Span,
}

impl Past<'_> {
    fn number(&self, indicator: &str, category: &str) -> Option<Number> {
        let at = self.figures.of_whole(indicator, category, self.span)?;
        self.figures.number(at)
    }
}

impl<'a> Earlier<'a> {
    fn new(asked: &Asked, figures: &Figures<'a>, history: Option<&'a History>) -> Self {
        let indexed = |(period, values): &'a (Period, Vec<Value>)| Past {
            figures: Figures::new(figures.form, values),
            span: Span::of(asked, *period),
        };
        Self {
            previous: history.and_then(|one| one.previous.as_ref()).map(indexed),
            year: history
                .and_then(|one| one.year.as_ref())
                .map(|all| all.iter().map(indexed).collect()),
        }
    }

    /// The sum of what each of them states; none where one states nothing exactly.
    fn sum(&self, indicator: &str, category: &str) -> Option<Number> {
        let mut sum = 0_i64;
        for report in self.year.as_ref()? {
            let Some(Number::Count(count)) = report.number(indicator, category) else {
                return None;
            };
            sum = sum.checked_add(count)?;
        }
        Some(Number::Count(sum))
    }
}

/// What a rule can know at one place.
struct Knowledge<'a> {
    figures: &'a Figures<'a>,
    earlier: &'a Earlier<'a>,
    rule: &'a Rule,
    /// Of the period, where figures of several are held against each other.
    span: Option<Span>,
    site: &'a Site,
}

impl Known for Knowledge<'_> {
    fn figure(&self, source: Source, indicator: &str) -> Option<Number> {
        let Self { figures, site, .. } = self;
        // The figure itself, even where there are others that it is comparable with.
        let own = site.at.filter(|_| indicator == site.key.indicator);
        let category = site.key.category.as_str();
        match (source, own) {
            (Source::This, Some(at)) => figures.number(at),
            (Source::This, None) => match self.span {
                Some(span) => {
                    let at = figures.of_whole(indicator, category, span)?;
                    figures.number(at).filter(|_| figures.values[at].key.comparable(&site.key))
                }
                None => figures.number_once(indicator, &site.key),
            },
            (Source::Whole, Some(at)) => figures.whole_of(at),
            (Source::Whole, None) => figures.whole_once(indicator, &site.key),
            (Source::Previous, _) => self.earlier.previous.as_ref()?.number(indicator, category),
            (Source::Year, _) => self.earlier.sum(indicator, category),
        }
    }

    fn states(&self, source: Source, indicator: &str) -> bool {
        let category = self.site.key.category.as_str();
        let stated = |past: &Past<'_>| past.figures.has(indicator, category);
        match source {
            Source::This => self.figures.has(indicator, category),
            Source::Whole => self.figures.has_whole(indicator, category),
            Source::Previous => self.earlier.previous.as_ref().is_some_and(stated),
            Source::Year => self.earlier.year.as_ref().is_some_and(|all| all.iter().all(stated)),
        }
    }

    fn label<'a>(&'a self, indicator: &'a str) -> &'a str {
        self.figures.label(indicator)
    }
}

fn judged(known: &Knowledge<'_>) -> Option<Finding> {
    let Knowledge { figures, rule, site, .. } = known;
    let text = &rule.text;
    let row = row(&site.key.category);
    let (severity, message, message_en, evidence) = match rule.judge(known) {
        Judgement::Holds | Judgement::NotJudged => return None,
        Judgement::Fails { evidence } => (
            text.severity,
            format!("{row}{}", text.message),
            // What has no English is told in Vietnamese.
            format!(
                "{row}{}",
                if text.message_en.is_empty() { &text.message } else { &text.message_en }
            ),
            evidence,
        ),
        Judgement::Undefined(why) => {
            let (why_vi, why_en) = match why {
                Undefined::DividesByZero => ("phép tính chia cho 0", "it divides by zero"),
                Undefined::Overflows => {
                    ("phép tính vượt quá giới hạn", "it is about more than can be counted")
                }
            };
            let key = &text.key;
            // The unit need not be at fault.
            let severity = match text.severity {
                Severity::Blocking | Severity::Error | Severity::Warning => Severity::Warning,
                Severity::Info => Severity::Info,
            };
            (
                severity,
                format!("{row}Không kiểm tra được quy tắc {key}: {why_vi}."),
                format!("{row}The rule {key} has no answer: {why_en}."),
                text.expression.clone(),
            )
        }
    };
    let beside = rule.indicators().into_iter().flat_map(|indicator| {
        let own = site.at.is_some() && indicator == site.key.indicator;
        figures.beside(indicator, &site.key).filter(move |_| !own).collect::<Vec<_>>()
    });
    let involved: Vec<_> = site.at.into_iter().chain(beside).collect();
    let finding = Finding::new(&text.key, severity, "values", (message, message_en), evidence);
    let finding = match involved.first() {
        Some(first) => finding.at_value(figures.values, *first),
        None => finding,
    };
    Some(finding.about(&site.key).involving(involved))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::check::Earlier as EarlierReport;
    use crate::domain::check::fixture::{Draft, rules};
    use crate::domain::check::{Against, Basis};
    use crate::domain::form::Form;
    use crate::domain::value::Qualifier;

    const HEAD: &str = r#"
        key = "x-1"
        display_name = "X"
        legal_basis = "X"
        [[table]]
        key = "t"
        display_name = "T"
        total_category = "Tổng số"
        columns = [{ number = "(1)", indicator = "a" }, { number = "(2)", indicator = "b" }]
        [[indicator]]
        key = "choice"
        display_name = "Có triển khai"
        kind = "choice"
        choices = ["Có", "Không"]
        [[indicator]]
        key = "text"
        display_name = "Lý do"
        kind = "text"
        [[indicator]]
        key = "p"
        display_name = "Tỷ lệ"
        kind = "percent"
        [[indicator]]
        key = "money"
        display_name = "Kinh phí"
        kind = "money"
    "#;

    /// A form with the counts a, b and c, and these rules: `expression;severity;table`.
    fn form(rules: &[&str]) -> Form {
        let mut text = HEAD.to_owned();
        for key in ["a", "b", "c"] {
            text += &format!(
                "[[indicator]]\nkey='{key}'\ndisplay_name='{}'\nkind='count'\n",
                key.to_uppercase()
            );
        }
        for (at, rule) in rules.iter().enumerate() {
            let parts: Vec<_> = rule.split(';').collect();
            text +=
                &format!("[[rule]]\nkey='r{at}'\nmessage='Sai.'\nexpression=\"{}\"\n", parts[0]);
            if let Some(severity) = parts.get(1).filter(|severity| !severity.is_empty()) {
                text += &format!("severity='{severity}'\n");
            }
            if let Some(table) = parts.get(2) {
                text += &format!("table='{table}'\n");
            }
        }
        Form::read(&text).unwrap()
    }

    fn draft(values: &[&str]) -> Draft {
        values.iter().fold(Draft::of("202605"), |draft, value| draft.value(value))
    }

    fn told(found: &[Finding]) -> Vec<String> {
        found.iter().map(|one| format!("{} {} {}", one.field, one.message, one.evidence)).collect()
    }

    fn found(rules: &[&str], values: &[&str]) -> Vec<String> {
        told(&draft(values).against(&form(rules)))
    }

    #[test]
    fn a_rule_is_judged_for_each_figure_of_its_first_indicator_in_its_row() {
        let rule = ["v.a == v.b"];
        assert_eq!(found(&rule, &["a;;1", "b;;1"]), [""; 0]);
        assert_eq!(found(&rule, &["a;;1", "b;;2"]), ["values[0] Sai. 1 ≠ 2"]);
        assert_eq!(
            found(&rule, &["a;x;1", "b;x;2", "a;y;3", "b;y;4", "a;;5", "b;z;6"]),
            ["values[0] x: Sai. 1 ≠ 2", "values[2] y: Sai. 3 ≠ 4"]
        );
        assert_eq!(found(&rule, &["a;;1", "b;;2;;target"]), [""; 0]);
        assert_eq!(
            found(&rule, &["a;;1;;;;2026-05-13", "a;;2;;;;2026-05-14", "b;;2;;;;2026-05-14"]),
            [
                // The checks of dates.
                "values[1] Số liệu trong báo cáo được chốt ở nhiều ngày khác nhau. \
                 ngày chốt (số lượng số liệu): 13/05/2026 (1), 14/05/2026 (2)",
            ]
        );
        // Of several figures that differ none is the one.
        assert_eq!(found(&rule, &["a;;1", "b;;2;;;;2026-05-14", "b;;3;;;;2026-05-13"]).len(), 1);
    }

    #[test]
    fn a_rule_of_a_table_leaves_other_figures_alone() {
        let (of_rows, of_all) = (["v.a == v.b;;t"], ["v.a == v.b"]);
        let values = ["a;;1", "b;;2", "a;x;1", "b;x;2"];
        assert_eq!(found(&of_rows, &values), ["values[2] x: Sai. 1 ≠ 2"]);
        assert_eq!(found(&of_all, &values).len(), 2);
    }

    #[test]
    fn a_rule_can_ask_for_a_figure_where_it_is_missing() {
        let rule = ["has(v.b) || !has(v.a)"];
        let lacks = "Sai. “B”: không có số liệu; “A”: có số liệu";
        assert_eq!(found(&rule, &["a;;1", "b;;1"]), [""; 0]);
        assert_eq!(found(&rule, &["c;;1"]), [""; 0]);
        assert_eq!(found(&rule, &["c;;1", "a;;1"]), [format!("values[1] {lacks}")]);
        assert_eq!(found(&rule, &["a;x;1", "a;y;1", "b;y;1"]), [format!("values[0] x: {lacks}")]);
        // Without any figure that it names it is judged once, for the report.
        let found_there = found(&["has(v.b)"], &["c;;1"]);
        assert_eq!(found_there, ["values Sai. “B”: không có số liệu"]);
        // In a table for each row that is there, and nowhere else.
        assert_eq!(found(&["has(v.b);;t"], &["c;;1"]), [""; 0]);
        assert_eq!(
            found(&["has(v.b);;t"], &["a;x;1", "a;y;1", "b;y;1"]),
            ["values Sai. “B”: không có số liệu".replace("values Sai", "values x: Sai")]
        );
        // In a row that has it elsewhere only, it is missing.
        assert_eq!(found(&["has(v.b);;t"], &["a;x;1", "b;;1"]).len(), 1);
    }

    #[test]
    fn a_figure_is_stated_where_it_is_about_something_or_of_several_dates() {
        let rule = ["!has(v.a) || has(v.b);blocking"];
        for stated in [&["b;;5;;;about"][..], &["b;;5;;;;2026-05-14", "b;;6;;;;2026-05-13"]] {
            let values = [&["a;;1;;;;2026-05-12"], stated].concat();
            let found = draft(&values).against(&form(&rule));
            assert!(found.iter().all(|one| one.rule != "r0"), "{stated:?}");
        }
        // Its number is not known all the same.
        assert_eq!(found(&["!has(v.b) || v.b > 7"], &["b;;5;;;about"]), [""; 0]);
        assert_eq!(found(&["has(v.b) ? v.b > 7 : v.a > 7"], &["b;;5;;;about", "a;;1"]), [""; 0]);
        // And so is a whole that is.
        assert_eq!(found(&["has(whole.a)"], &["a;;1/2;;;about"]), [""; 0]);
        assert_eq!(
            found(&["has(whole.a)"], &["a;;1"]),
            ["values[0] Sai. mẫu số của “A”: không có số liệu"]
        );
    }

    #[test]
    fn rules_are_about_what_is_and_not_about_targets_and_what_is_mentioned() {
        for rule in ["!has(v.a) || has(v.b);blocking", "v.a == v.b;blocking", "v.a > 7;blocking"] {
            assert_eq!(found(&[rule], &["c;;1", "a;;1;;target", "b;x;2;;target"]), [""; 0]);
            let mut mentioned = draft(&["c;;1", "a;;1", "b;;2"]);
            mentioned.content.values[1].key.role = Role::Context;
            assert_eq!(rules(&mentioned.against(&form(&[rule]))), "", "{rule}");
        }
        // What is only aimed at is not there.
        assert_eq!(
            found(&["has(v.a)"], &["c;;1", "a;;1;;target"]),
            ["values Sai. “A”: không có số liệu"]
        );
    }

    #[test]
    fn choices_and_texts_are_asked_for_too() {
        let form = form(&["!(v.choice == 'Không') || has(v.text)"]);
        let said = |choice: &str, text: Option<&str>| {
            let mut draft = draft(&["c;;1"]);
            let mut add = |indicator: &str, figure| {
                let key =
                    Key { indicator: indicator.to_owned(), ..draft.content.values[0].key.clone() };
                let value = Value { key, figure, ..draft.content.values[0].clone() };
                draft.content.values.push(value);
            };
            add("choice", Figure::Choice(choice.to_owned()));
            if let Some(text) = text {
                add("text", Figure::Text(text.to_owned()));
            }
            rules(&draft.against(&form))
        };
        assert_eq!(said("Có", None), "");
        assert_eq!(said("Không", Some("Chưa có kinh phí.")), "");
        assert_eq!(said("Không", None), "r0");
    }

    #[test]
    fn a_percentage_is_the_one_that_is_stated_or_that_its_parts_give() {
        let rule = ["v.p <= 50"];
        for (value, evidence) in [
            ("p;;50%", None),
            ("p;;50.01%", Some("50,01 % > 50")),
            ("p;;1/2", None),
            ("p;;2/3", Some("66,6667 % > 50")),
            ("p;;2/3;67", Some("67 % > 50")),
            ("p;;0/0", None),
            ("p;;7", None),
        ] {
            let found = draft(&[value]).against(&form(&rule));
            let own = found.iter().find(|one| one.rule == "r0");
            assert_eq!(own.map(|one| one.evidence.as_str()), evidence, "{value}");
        }
        assert_eq!(rules(&draft(&["a;;2/9"]).against(&form(&["whole.a == 10"]))), "r0");
    }

    #[test]
    fn what_has_no_answer_is_a_warning_that_names_the_rule() {
        let found = draft(&["a;;1", "b;;0"]).against(&form(&["v.a / v.b > 2;blocking"]));
        assert_eq!((found.len(), found[0].severity), (1, Severity::Warning));
        assert_eq!(found[0].message, "Không kiểm tra được quy tắc r0: phép tính chia cho 0.");
        assert_eq!(found[0].evidence, "v.a / v.b > 2");
        for (severity, told) in [("error", Severity::Warning), ("info", Severity::Info)] {
            let rule = format!("v.a / v.b > 2;{severity}");
            let found = draft(&["a;;1", "b;;0"]).against(&form(&[&rule]));
            assert_eq!((found.len(), found[0].severity), (1, told));
        }
    }

    #[test]
    fn a_finding_says_which_figures_it_is_about_and_how_bad_it_is() {
        let found =
            draft(&["c;;0", "b;;2", "a;;1", "b;x;9"]).against(&form(&["v.a == v.b;blocking"]));
        assert_eq!(
            (found[0].severity, found[0].values.as_slice()),
            (Severity::Blocking, &[2, 1][..])
        );
        // What has no English is told in Vietnamese.
        assert_eq!((found[0].rule.as_str(), found[0].message_en.as_str()), ("r0", "Sai."));
    }

    fn handed_over(period: &str, values: &[&str]) -> EarlierReport {
        let values = Some(draft(values).content.values);
        EarlierReport { period: period.parse().unwrap(), values }
    }

    /// What some rules say of a report where those were handed over before.
    fn beside(rules: &[&str], draft: &Draft, earlier: Vec<EarlierReport>) -> Vec<String> {
        let history = History::new(draft.asked.period, earlier);
        let basis = Basis {
            form: std::sync::Arc::new(form(rules)),
            unit: dunghan_hierarchy::UnitId::new("nso", "09427", None),
            hierarchy: std::sync::Arc::new(dunghan_hierarchy::Hierarchy::empty()),
            history,
        };
        let (mut found, _) = draft.checked(&basis);
        // The checks of dates aside.
        found.retain(|one| one.rule.starts_with('r'));
        told(&found)
    }

    #[test]
    fn earlier_reports_are_compared_with_row_by_row() {
        let rules_of = ["v.a == previous.b", "v.c == year.c + v.b"];
        let judge = |draft: &Draft, earlier: Vec<EarlierReport>| beside(&rules_of, draft, earlier);
        let now = Draft::of("202603").value("a;;7;;;;2026-03-14").value("a;x;1");
        let feb = || handed_over("202602", &["b;;8;;;;2026-02-14", "b;x;1", "c;;3"]);
        let jan = || handed_over("202601", &["c;;4"]);
        assert_eq!(judge(&now, vec![feb()]), ["values[0] Sai. 7 ≠ 8"]);
        assert_eq!(judge(&now, vec![jan()]), [""; 0]);
        let now = Draft::of("202603").value("c;;8").value("b;;2");
        assert_eq!(judge(&now, vec![feb(), jan()]), ["values[0] Sai. 8 ≠ 7 + 2 = 9"]);
        assert_eq!(judge(&now, vec![feb()]), [""; 0]);
        let states_none = handed_over("202601", &["a;;4"]);
        assert_eq!(judge(&now, vec![feb(), states_none]), [""; 0]);
        // Nothing came before the first period of the year.
        let first = Draft::of("202601").value("c;;8").value("b;;2");
        assert_eq!(judge(&first, vec![]), ["values[0] Sai. 8 ≠ 0 + 2 = 2"]);
        // What is not known of is not judged.
        let form = form(&rules_of);
        assert_eq!(rules(&now.checked(Against::from(&form)).0), "");
    }

    #[test]
    fn figures_since_the_beginning_of_the_year_are_not_held_against_those_of_a_period() {
        let rules_of = ["v.a == previous.a", "v.a == year.a + v.b"];
        let judge = |now: &[&str], before: &[&str]| {
            let draft = now.iter().fold(Draft::of("202603"), |draft, one| draft.value(one));
            let earlier = vec![handed_over("202602", before), handed_over("202601", &["a;;4"])];
            beside(&rules_of, &draft, earlier)
        };
        let (month, since) = ("a;;7;;;;2026-03-14;2026-02-15", "a;;18;;;;2026-03-14;2026-01-01");
        let (before, before_since) =
            ("a;;7;;;;2026-02-14;2026-01-15", "a;;11;;;;2026-02-14;2025-12-15");
        // One of the whole period is judged, and by one of a whole period, dated or not.
        for now in [month, "a;;7", "a;;7;;;;2026-03-14", "a;;7;;;;;2026-02-15"] {
            let wrong = ["values[0] Sai. 7 ≠ 11 + 9 = 20"];
            assert_eq!(judge(&[now, "b;;9"], &[before]), wrong, "{now}");
            assert_eq!(judge(&[now, "b;;9"], &["a;;7;;;;;2026-01-15"]), wrong, "{now}");
            assert_eq!(judge(&[since, now, "b;;9"], &[before_since, "a;;7"]).len(), 1, "{now}");
            assert_eq!(judge(&[now, "b;;9"], &[before_since]), [""; 0], "{now}");
        }
        assert_eq!(judge(&[since, month], &["a;;8", before_since]), ["values[1] Sai. 7 ≠ 8"]);
        assert_eq!(judge(&[since, "b;;9"], &["a;;8"]), [""; 0]);
        assert_eq!(judge(&["a;;18;;;;;2026-01-01", "b;;9"], &["a;;8"]), [""; 0]);
        // Whichever figure of the rule it is of.
        let since = "b;;99;;;;2026-03-14;2026-01-01";
        assert_eq!(judge(&["a;;7", since], &["a;;7"]), [""; 0]);
        let wrong = ["values[0] Sai. 7 ≠ 11 + 9 = 20"];
        assert_eq!(judge(&["a;;7", since, "b;;9;;;;2026-03-14"], &["a;;7"]), wrong);
        // A week is no month either.
        assert_eq!(judge(&["a;;1;;;;2026-03-14;2026-03-08", "b;;9"], &["a;;8"]), [""; 0]);
        // Of several days the last is the one.
        let twice = ["a;;6;;;;2026-02-13", "a;;7;;;;2026-02-14"];
        assert_eq!(
            judge(&["a;;7;;;;2026-03-13", "a;;8;;;;2026-03-14"], &twice),
            ["values[1] Sai. 8 ≠ 7"]
        );
    }

    #[test]
    fn earlier_figures_of_another_kind_are_not_compared_with() {
        let form_of = ["v.choice != previous.choice", "v.a == previous.a", "v.a == year.a + v.b"];
        let now = Draft::of("202602").value("a;;7").value("b;;2");
        let other = |figure: Figure| {
            let mut earlier = handed_over("202601", &["a;;5"]);
            earlier.values.as_mut().unwrap()[0].figure = figure;
            beside(&form_of, &now, vec![earlier])
        };
        assert_eq!(other(Figure::Count(7)), ["values[0] Sai. 7 ≠ 7 + 2 = 9"]);
        for figure in [
            Figure::Money(8),
            Figure::Text("7".to_owned()),
            Figure::Choice("Có".to_owned()),
            Figure::Percent("7".parse().unwrap()),
        ] {
            assert_eq!(other(figure.clone()), [""; 0], "{figure:?}");
        }
    }

    #[test]
    fn earlier_figures_can_be_asked_for_too() {
        let rules_of = ["!has(previous.a) || has(v.a)", "has(year.a)"];
        let now = Draft::of("202603").value("b;;1");
        let (feb, jan) =
            (handed_over("202602", &["a;;5;;;about"]), handed_over("202601", &["a;;5"]));
        let stated = "“A” kỳ trước: có số liệu; “A”: không có số liệu";
        assert_eq!(
            beside(&rules_of, &now, vec![feb.clone(), jan]),
            [format!("values Sai. {stated}")]
        );
        let lacks = handed_over("202601", &["b;;5"]);
        let none = "“A” lũy kế các kỳ trước trong năm: không có số liệu";
        assert_eq!(
            beside(&rules_of, &now, vec![feb, lacks]),
            [format!("values Sai. {stated}"), format!("values Sai. {none}")]
        );
    }

    #[test]
    fn a_hundred_figures_are_judged_by_a_hundred_rules() {
        let mut text = HEAD.replace("\"a\"", "\"k0\"").replace("\"b\"", "\"k1\"");
        let mut draft = Draft::of("202605");
        for at in 0..100 {
            text += &format!("[[indicator]]\nkey='k{at}'\ndisplay_name='K'\nkind='count'\n");
            draft = draft.value(&format!("k{at};;{at}"));
        }
        for at in 0..100 {
            let (next, last) = ((at + 1) % 100, (at + 2) % 100);
            text += &format!(
                "[[rule]]\nkey='r{at}'\nmessage='Sai.'\n\
                 expression='v.k{at} == v.k{next} + v.k{last} || v.k{at} < v.k{next} && has(v.k{last})'\n"
            );
        }
        let form = Form::read(&text).unwrap();
        let found = draft.against(&form);
        // Only the last figure is not less than the one after it, the first.
        assert_eq!(rules(&found), "r99");
        assert_eq!(found[0].evidence, "99 ≠ 0 + 1 = 1; 99 ≥ 0");
    }

    proptest! {
        #[test]
        fn a_sum_is_faulted_where_it_is_stated_whole_and_wrong_and_nowhere_else(
            rows in prop::collection::vec(
                (prop::array::uniform3(0_u64..50), prop::array::uniform3(0_u8..6)), 1..8
            ),
        ) {
            // Of six figures one is missing, and one is about something.
            let mut draft = Draft::of("202605");
            let mut wrong = Vec::new();
            for (at, ([a, b, c], how)) in rows.iter().enumerate() {
                // Half of them add up.
                let a = if a % 2 == 0 { b + c } else { *a };
                for (key, count, how) in [("a", a, how[0]), ("b", *b, how[1]), ("c", *c, how[2])] {
                    if how > 0 {
                        draft = draft.value(&format!("{key};x{at};{count}"));
                    }
                    if how == 1 && let Some(last) = draft.content.values.last_mut() {
                        last.qualifier = Qualifier::About;
                    }
                }
                if a != b + c && how.iter().all(|how| *how > 1) {
                    wrong.push(format!("x{at}: Sai."));
                }
            }
            let found = draft.against(&form(&["v.a == v.b + v.c"]));
            let found: Vec<_> = found.into_iter().filter(|one| one.rule == "r0").collect();
            let messages: Vec<_> = found.iter().map(|one| one.message.clone()).collect();
            prop_assert_eq!(messages, wrong);
            let keys: std::collections::BTreeSet<_> = found.iter().map(|one| &one.key).collect();
            prop_assert_eq!(keys.len(), found.len());
        }
    }
}
