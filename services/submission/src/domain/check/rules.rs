//! The form's own rules. Each is judged for each figure of the first indicator that it names, by what the report states in the same
//! row, role and dates; and where that figure is missing, once for each row in question by what is there, so that a rule can
//! ask for one.

use std::collections::HashSet;

use super::required::rows;
use super::{Figures, History, row};
use crate::domain::finding::{Finding, Severity};
use crate::domain::form::Table;
use crate::domain::rule::{Judgement, Known, Number, Rule, Source, Undefined};
use crate::domain::value::{Key, Role};

pub(super) fn check(figures: &Figures<'_>, history: Option<&History>, findings: &mut Vec<Finding>) {
    let earlier = Earlier::new(figures, history);
    let tables = &figures.form.text().tables;
    let rows: Vec<_> = tables.iter().map(|table| (table, rows(figures, table))).collect();
    let mut found = Vec::new();
    for rule in figures.form.rules() {
        for site in sites(figures, rule, &rows) {
            let known = Knowledge { figures, earlier: &earlier, rule, site: &site };
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
    /// In which row, role and dates.
    key: Key,
}

fn sites(figures: &Figures<'_>, rule: &Rule, rows: &[(&Table, Vec<(usize, &str)>)]) -> Vec<Site> {
    let anchor = rule.anchor();
    let table = rule.text.table.as_ref();
    let table = table.and_then(|key| rows.iter().find(|(table, _)| table.key == *key));
    let stated = figures.of(anchor).filter(|at| {
        table.is_none_or(|(table, _)| table.takes_row(&figures.values[*at].key.category))
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

/// What was handed over before, indexed.
struct Earlier<'a> {
    previous: Option<Figures<'a>>,
    year: Option<Vec<Figures<'a>>>,
}

impl<'a> Earlier<'a> {
    fn new(figures: &Figures<'a>, history: Option<&'a History>) -> Self {
        let indexed = |values: &'a Vec<_>| Figures::new(figures.form, values);
        Self {
            previous: history.and_then(|one| one.previous.as_ref()).map(indexed),
            year: history
                .and_then(|one| one.year.as_ref())
                .map(|all| all.iter().map(indexed).collect()),
        }
    }

    /// The sum of what each of them states; none where one states nothing exactly.
    fn sum(&self, indicator: &str, key: &Key) -> Option<Number> {
        let mut sum = 0_i64;
        for report in self.year.as_ref()? {
            let Some(Number::Count(count)) = report.number_once(indicator, key) else {
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
    site: &'a Site,
}

impl Known for Knowledge<'_> {
    fn figure(&self, source: Source, indicator: &str) -> Option<Number> {
        let Self { figures, site, .. } = self;
        // The figure itself, even where there are others that it is comparable with.
        let own = site.at.filter(|_| indicator == site.key.indicator);
        // Of another period the dates are others.
        let undated = || Key { start: None, end: None, ..site.key.clone() };
        match (source, own) {
            (Source::This, Some(at)) => figures.number(at),
            (Source::This, None) => figures.number_once(indicator, &site.key),
            (Source::Whole, Some(at)) => figures.whole_of(at),
            (Source::Whole, None) => figures.whole_once(indicator, &site.key),
            (Source::Previous, _) => {
                self.earlier.previous.as_ref()?.number_once(indicator, &undated())
            }
            (Source::Year, _) => self.earlier.sum(indicator, &undated()),
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
            (
                Severity::Warning,
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
    use crate::domain::value::{Figure, Qualifier, Value};

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
    fn a_rule_is_judged_for_each_figure_of_its_first_indicator_in_its_row_and_role() {
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
        // What claims to be about something is not stated.
        assert_eq!(found(&["has(v.b)"], &["b;;1;;;about"]).len(), 1);
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

    #[test]
    fn earlier_reports_are_compared_with_row_by_row_whatever_their_dates() {
        let rules_of = ["v.a == previous.b", "v.c == year.c + v.b"];
        let judge = |draft: &Draft, earlier: Vec<EarlierReport>| {
            let history = History::new(draft.asked.period, earlier);
            let basis = Basis {
                form: std::sync::Arc::new(form(&rules_of)),
                unit: dunghan_hierarchy::UnitId::new("nso", "09427", None),
                hierarchy: std::sync::Arc::new(dunghan_hierarchy::Hierarchy::empty()),
                history,
            };
            told(&draft.checked(&basis).0)
        };
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
