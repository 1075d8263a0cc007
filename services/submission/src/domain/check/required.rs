//! Figures that the form requires. In a table each row that is there has them; without any row the report lacks them once.

use std::collections::HashSet;

use super::Figures;
use crate::domain::finding::{Finding, Severity};
use crate::domain::form::{Indicator, Table};
use crate::domain::value::{Key, Role};

pub(super) fn check(figures: &Figures<'_>, findings: &mut Vec<Finding>) {
    let indicators = figures.form.text().indicators.iter();
    let required: Vec<_> = indicators.filter(|indicator| indicator.required).collect();
    if required.is_empty() || figures.values.is_empty() {
        // Of a report without any figure that is told, and nothing else.
        return;
    }
    let tables = figures.form.text().tables.iter();
    let rows: Vec<_> = tables.map(|table| (table, rows(figures, table))).collect();
    for indicator in required {
        let key = indicator.key.as_str();
        let of_tables: Vec<_> = rows.iter().filter(|(table, _)| table.holds(key)).collect();
        let mut lacking = Vec::new();
        for (_, rows) in &of_tables {
            let lacks = |row: &&(usize, &str)| !figures.has(key, row.1);
            lacking.extend(rows.iter().filter(lacks).copied());
        }
        let no_rows = of_tables.iter().all(|(_, rows)| rows.is_empty());
        if no_rows && !figures.of(key).any(|at| figures.values[at].key.role == Role::Actual) {
            findings.push(missing(figures, indicator, None));
        }
        findings.extend(lacking.into_iter().map(|row| missing(figures, indicator, Some(row))));
    }
}

/// The rows of a table that are there, each with the place of its first figure.
pub(super) fn rows<'a>(figures: &Figures<'a>, table: &Table) -> Vec<(usize, &'a str)> {
    let columns: HashSet<_> = table.columns.iter().map(|one| one.indicator.as_str()).collect();
    let mut seen = HashSet::new();
    let values = figures.values.iter().enumerate();
    let rows = values.filter_map(|(at, value)| {
        let Key { indicator, category, role, .. } = &value.key;
        let stands = *role == Role::Actual
            && columns.contains(indicator.as_str())
            && table.takes_row(category);
        (stands && seen.insert(category.as_str())).then_some((at, category.as_str()))
    });
    rows.collect()
}

impl Figures<'_> {
    pub(super) fn has(&self, indicator: &str, category: &str) -> bool {
        self.by_row.contains_key(&(indicator, category, Role::Actual))
    }
}

fn missing(figures: &Figures<'_>, indicator: &Indicator, of_row: Option<(usize, &str)>) -> Finding {
    let category = of_row.map_or("", |(_, category)| category);
    let label = &indicator.display_name;
    let (vi, en) = match category {
        "" => ("Thiếu".to_owned(), "The".to_owned()),
        row => (format!("{row}: thiếu"), format!("{row}: the")),
    };
    let says = (
        format!("{vi} số liệu bắt buộc “{label}”."),
        format!("{en} required figure “{label}” is missing."),
    );
    let key = Key {
        indicator: indicator.key.clone(),
        category: category.to_owned(),
        role: Role::Actual,
        start: None,
        end: None,
    };
    let finding = Finding::new("required_missing", Severity::Blocking, "values", says, "");
    match of_row {
        Some((at, _)) => finding.at_value(figures.values, at).about(&key),
        None => finding.about(&key),
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::check::fixture::{Draft, rules};
    use crate::domain::finding::Severity;
    use crate::domain::form::Form;

    fn form() -> Form {
        Form::read(
            r#"
            key = "x-1"
            display_name = "X"
            legal_basis = "X"
            [[indicator]]
            key = "a"
            display_name = "A"
            kind = "count"
            required = true
            [[indicator]]
            key = "b"
            display_name = "B"
            kind = "count"
            required = true
            [[indicator]]
            key = "c"
            display_name = "C"
            kind = "count"
            [[table]]
            key = "t"
            display_name = "T"
            total_category = "Tổng số"
            columns = [{ number = "(1)", indicator = "b" }, { number = "(2)", indicator = "c" }]
            "#,
        )
        .unwrap()
    }

    #[test]
    fn a_required_figure_is_there_and_in_each_row_that_is() {
        for (values, lacks) in [
            (vec!["a;;1", "b;Hộ tịch;1"], vec![]),
            (vec!["a;;1;;;about", "b;;1"], vec![]),
            (vec!["a;;1;;target", "b;Hộ tịch;1"], vec!["values: Thiếu số liệu bắt buộc “A”."]),
            (vec!["a;;1"], vec!["values: Thiếu số liệu bắt buộc “B”."]),
            (
                vec!["a;;1", "c;Hộ tịch;1", "b;Đất đai;2", "c;Tổng số;2"],
                vec![
                    "values[1]: Hộ tịch: thiếu số liệu bắt buộc “B”.",
                    "values[3]: Tổng số: thiếu số liệu bắt buộc “B”.",
                ],
            ),
            // A target makes no row.
            (vec!["a;;1", "c;Hộ tịch;1;;target", "b;;1"], vec![]),
        ] {
            let draft = values.iter().fold(Draft::of("202605"), |draft, one| draft.value(one));
            let found = draft.against(&form());
            let told: Vec<_> =
                found.iter().map(|one| format!("{}: {}", one.field, one.message)).collect();
            assert_eq!(told, lacks, "{values:?}");
            assert!(found.iter().all(|one| one.severity == Severity::Blocking));
        }
        let empty = Draft::of("202605").against(&form());
        assert_eq!(rules(&empty), "no_values");
    }

    #[test]
    fn each_lack_is_a_finding_of_its_own() {
        let draft = Draft::of("202605").value("c;Hộ tịch;1").value("c;Đất đai;1");
        let found = draft.against(&form());
        assert_eq!(found.len(), 3);
        assert!(found[0].key != found[1].key && found[1].key != found[2].key);
    }
}
