//! Totals of tables: the rows of a table in its total, whichever they are. What has to hold within a row, its form says by rules.

use std::collections::{BTreeSet, HashSet};

use super::Figures;
use crate::domain::finding::{Finding, Severity};
use crate::domain::form::{Column, Table};
use crate::domain::value::Key;
use crate::domain::wording::number;

pub(super) fn check(figures: &Figures<'_>, findings: &mut Vec<Finding>) {
    for table in &figures.form.text().tables {
        if table.total_category.is_empty() {
            continue;
        }
        let columns: HashSet<_> = table.columns.iter().map(|one| one.indicator.as_str()).collect();
        for (at, value) in figures.values.iter().enumerate() {
            let key = &value.key;
            if key.category != table.total_category {
                continue;
            }
            let column = table.columns.iter().find(|column| column.indicator == key.indicator);
            if let Some((column, total)) = column.zip(value.exact_count()) {
                findings.extend(total_row(figures, table, &columns, column, at, total));
            }
        }
    }
}

fn total_row(
    figures: &Figures<'_>,
    table: &Table,
    columns: &HashSet<&str>,
    column: &Column,
    at: usize,
    total: u64,
) -> Option<Finding> {
    let key = &figures.values[at].key;
    let rows: BTreeSet<_> = figures
        .values
        .iter()
        .filter(|value| columns.contains(value.key.indicator.as_str()))
        .filter(|value| value.key.comparable_across_rows(key))
        .map(|value| value.key.category.as_str())
        .filter(|category| *category != table.total_category && table.takes_row(category))
        .collect();
    // A row without this figure may hold anything: only a full column has a sum.
    let rows: Vec<_> =
        rows.into_iter().map(|row| Key { category: row.to_owned(), ..key.clone() }).collect();
    let parts: Option<Vec<_>> =
        rows.iter().map(|row| figures.stated_once(&key.indicator, row)).collect();
    let parts = parts.filter(|parts| !parts.is_empty())?;
    if sum(&parts) == u128::from(total) {
        return None;
    }
    let (label, total_row, number_of) =
        (figures.label(&key.indicator), &table.total_category, &column.number);
    let says = (
        format!("{total_row}: cột {number_of} “{label}” không bằng tổng của các dòng."),
        format!("{total_row}: column {number_of} “{label}” is not the sum of the rows."),
    );
    let evidence = format!("{} ≠ {}", number(total), addition(&parts));
    let finding = Finding::new("table_total", Severity::Error, "values", says, evidence);
    let summands = rows.iter().flat_map(|row| figures.beside(&key.indicator, row));
    Some(finding.at_value(figures.values, at).involving(summands))
}

fn sum(parts: &[u64]) -> u128 {
    parts.iter().copied().map(u128::from).sum()
}

/// 1 + 2 = 3, the middle left out where there is much of it.
fn addition(parts: &[u64]) -> String {
    const SHOWN: usize = 12;
    let mut terms: Vec<_> = parts.iter().take(SHOWN).copied().map(number).collect();
    if parts.len() > SHOWN {
        terms.push("…".to_owned());
    }
    let sum = i128::try_from(sum(parts)).unwrap_or(i128::MAX);
    format!("{} = {}", terms.join(" + "), number(sum))
}

#[cfg(test)]
mod tests {
    use crate::domain::check::fixture::{Draft, rules};
    use crate::domain::finding::Severity;

    fn row(category: &str, columns: [(&str, u64); 8]) -> Vec<String> {
        columns.map(|(column, count)| format!("dossiers_{column};{category};{count}")).into()
    }

    fn table(rows: &[(&str, [u64; 8])]) -> Draft {
        const COLUMNS: [&str; 8] = [
            "to_process_total",
            "resolved_total",
            "resolved_early",
            "resolved_on_time",
            "resolved_late",
            "pending_total",
            "pending_in_time",
            "pending_overdue",
        ];
        let mut draft = Draft::of("202605");
        for (category, counts) in rows {
            let columns = std::array::from_fn(|at| (COLUMNS[at], counts[at]));
            for value in row(category, columns) {
                draft = draft.value(&value);
            }
        }
        draft
    }

    const WELFARE: (&str, [u64; 8]) = ("Bảo trợ xã hội", [126, 126, 124, 0, 2, 0, 0, 0]);
    const CERTIFICATION: (&str, [u64; 8]) = ("Chứng thực", [2775, 2775, 2773, 1, 1, 0, 0, 0]);
    const TOTAL: (&str, [u64; 8]) = ("Tổng số", [2901, 2901, 2897, 1, 3, 0, 0, 0]);

    #[test]
    fn a_table_that_adds_up_has_nothing_to_tell() {
        assert_eq!(rules(&table(&[WELFARE, CERTIFICATION, TOTAL]).findings()), "");
        assert_eq!(rules(&table(&[WELFARE, CERTIFICATION]).findings()), "");
        assert_eq!(rules(&table(&[TOTAL]).findings()), "");
    }

    #[test]
    fn each_identity_is_told_with_its_row() {
        for (counts, rule, evidence) in [
            ([127, 126, 124, 0, 2, 0, 0, 0], "ii06a.3.processed", "127 ≠ 126 + 0 = 126"),
            ([126, 126, 124, 1, 2, 0, 0, 0], "ii06a.7", "126 ≠ 124 + 1 + 2 = 127"),
            ([128, 126, 124, 0, 2, 2, 1, 0], "ii06a.11", "2 ≠ 1 + 0 = 1"),
        ] {
            let findings = table(&[("Hộ tịch", counts)]).findings();
            assert_eq!(rules(&findings), rule, "{counts:?}");
            assert_eq!(findings[0].evidence, evidence);
            assert_eq!(findings[0].severity, Severity::Error);
            assert!(findings[0].message.starts_with("Hộ tịch: “"), "{}", findings[0].message);
        }
        let received = |carried_over| {
            Draft::of("202605")
                .value("dossiers_to_process_total;Hộ tịch;10")
                .value("dossiers_received_online;Hộ tịch;4")
                .value("dossiers_received_direct;Hộ tịch;3")
                .value(&format!("dossiers_carried_over;Hộ tịch;{carried_over}"))
                .findings()
        };
        assert_eq!(rules(&received(3)), "");
        assert_eq!(received(2)[0].evidence, "10 ≠ 4 + 3 + 2 = 9");
    }

    #[test]
    fn a_sum_is_tested_only_where_all_of_it_is_stated_exactly() {
        let draft = Draft::of("202605")
            .value("dossiers_pending_total;Hộ tịch;9")
            .value("dossiers_pending_in_time;Hộ tịch;1");
        assert_eq!(rules(&draft.findings()), "");
        let draft = Draft::of("202605")
            .value("dossiers_pending_total;Hộ tịch;9")
            .value("dossiers_pending_in_time;Hộ tịch;1")
            .value("dossiers_pending_overdue;Hộ tịch;1;;;about");
        assert_eq!(rules(&draft.findings()), "");
        let draft = Draft::of("202605")
            .value("dossiers_pending_total;Hộ tịch;9")
            .value("dossiers_pending_in_time;Đất đai;1")
            .value("dossiers_pending_overdue;Hộ tịch;1;;target");
        assert_eq!(rules(&draft.findings()), "");
    }

    #[test]
    fn a_total_row_is_the_sum_of_the_others() {
        let mut wrong = TOTAL;
        wrong.1[2] += 1;
        wrong.1[0] += 1;
        wrong.1[1] += 1;
        let findings = table(&[WELFARE, CERTIFICATION, wrong]).findings();
        assert_eq!(rules(&findings), "table_total, table_total, table_total");
        assert_eq!(findings[0].evidence, "2.902 ≠ 126 + 2.775 = 2.901");
        assert!(findings[0].message.starts_with("Tổng số: cột (3) "), "{}", findings[0].message);
        let incomplete = Draft::of("202605")
            .value("dossiers_resolved_late;Hộ tịch;1")
            .value("dossiers_resolved_early;Đất đai;5")
            .value("dossiers_resolved_late;Tổng số;7");
        assert_eq!(rules(&incomplete.findings()), "");
    }

    #[test]
    fn dossiers_that_came_in_are_resolved_or_pending() {
        for (resolved, pending, carried_over, expected) in [
            (513, 37, Some(0), ""),
            (520, 37, Some(7), ""),
            (520, 37, Some(6), "dossiers_balance"),
            (512, 37, Some(0), "dossiers_balance"),
            (513, 37, None, "carry_over_missing"),
            (520, 37, None, "carry_over_missing"),
            (512, 37, None, "dossiers_balance_at_least, carry_over_missing"),
        ] {
            let mut draft = Draft::of("202605")
                .value("dossiers_received_total;;550")
                .value(&format!("dossiers_resolved_total;;{resolved}"))
                .value(&format!("dossiers_pending_total;;{pending}"));
            if let Some(carried_over) = carried_over {
                draft = draft.value(&format!("dossiers_carried_over;;{carried_over}"));
            }
            assert_eq!(rules(&draft.findings()), expected, "{resolved} {pending} {carried_over:?}");
        }
        let split = Draft::of("202605")
            .value("dossiers_received_total;;550")
            .value("dossiers_resolved_total;;512")
            .value("dossiers_pending_in_time;;30")
            .value("dossiers_pending_overdue;;7")
            .value("dossiers_carried_over;;0");
        assert_eq!(split.findings()[0].evidence, "550 + 0 = 550 ≠ 512 + 37 = 549");
        // Also those of which an earlier period was told that they came in.
        for (resolved, expected) in [(570, ""), (571, "part_exceeds_whole")] {
            let of_all = Draft::of("202605")
                .value("dossiers_received_total;;550")
                .value("dossiers_to_process_total;;570")
                .value(&format!("dossiers_resolved_total;;{resolved}"));
            assert_eq!(rules(&of_all.findings()), expected, "{resolved}");
        }
        let half = Draft::of("202605")
            .value("dossiers_received_total;;550")
            .value("dossiers_pending_total;;37");
        assert_eq!(rules(&half.findings()), "");
    }

    #[test]
    fn the_largest_counts_do_not_overflow() {
        let most = i64::MAX;
        let draft = Draft::of("202605")
            .value(&format!("dossiers_pending_total;Hộ tịch;{most}"))
            .value(&format!("dossiers_pending_in_time;Hộ tịch;{most}"))
            .value(&format!("dossiers_pending_overdue;Hộ tịch;{most}"));
        // A sum that is more than can be counted is not taken for less.
        let findings = draft.findings();
        assert_eq!(rules(&findings), "ii06a.11");
        assert_eq!(findings[0].severity, Severity::Warning);
        assert!(findings[0].message.contains("vượt quá giới hạn"), "{}", findings[0].message);
    }
}
