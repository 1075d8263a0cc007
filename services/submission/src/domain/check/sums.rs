//! Sums that have to hold: the form's identities in each row, the rows of a table in its total, and the dossiers that
//! came in against those that were dealt with.

use std::collections::BTreeSet;

use super::{Figures, field};
use crate::domain::finding::{Finding, Severity};
use crate::domain::form::{Identity, Table};
use crate::domain::value::{Key, Role, Value};
use crate::domain::wording::number;

const RECEIVED: &str = "dossiers_received_total";
const TO_PROCESS: &str = "dossiers_to_process_total";
const CARRIED_OVER: &str = "dossiers_carried_over";
const RESOLVED: &str = "dossiers_resolved_total";
const PENDING: &str = "dossiers_pending_total";
const PENDING_IN_TIME: &str = "dossiers_pending_in_time";
const PENDING_OVERDUE: &str = "dossiers_pending_overdue";

pub(super) fn check(figures: &Figures<'_>, findings: &mut Vec<Finding>) {
    for (at, value) in figures.values.iter().enumerate() {
        let Some(total) = value.exact_count() else { continue };
        let identities = figures.form.identities.iter();
        findings.extend(
            identities
                .filter(|identity| identity.total == value.key.indicator)
                .filter_map(|identity| unequal(figures, identity, at, total)),
        );
        let tables = figures.form.tables.iter();
        findings.extend(tables.filter_map(|table| total_row(figures, table, at, total)));
        findings.extend(dossiers(figures, at, total));
    }
}

fn unequal(figures: &Figures<'_>, identity: &Identity, at: usize, total: u64) -> Option<Finding> {
    let key = &figures.values[at].key;
    let parts: Option<Vec<_>> =
        identity.parts.iter().map(|part| figures.stated_once(part, key)).collect();
    let parts = parts?;
    if sum(&parts) == u128::from(total) {
        return None;
    }
    let labels: Vec<_> =
        identity.parts.iter().map(|part| format!("“{}”", figures.label(part))).collect();
    let row = match key.category.as_str() {
        "" => String::new(),
        category => format!("{category}: "),
    };
    let label = figures.label(&identity.total);
    Some(Finding::new(
        "identity",
        Severity::Error,
        field(at),
        format!("{row}“{label}” không bằng tổng của {}.", labels.join(", ")),
        format!("{} ≠ {}", number(total), addition(&parts)),
    ))
}

fn total_row(figures: &Figures<'_>, table: &Table, at: usize, total: u64) -> Option<Finding> {
    let key = &figures.values[at].key;
    let column = table.columns.iter().find(|column| column.indicator == key.indicator)?;
    if key.category != table.total_category {
        return None;
    }
    let in_table = |value: &&Value| {
        value.key.comparable_across_rows(key)
            && table.columns.iter().any(|column| column.indicator == value.key.indicator)
    };
    let rows: BTreeSet<_> = figures
        .values
        .iter()
        .filter(in_table)
        .map(|value| value.key.category.as_str())
        .filter(|category| !category.is_empty() && *category != table.total_category)
        .collect();
    // A row without this figure may hold anything: only a full column has a sum.
    let parts: Option<Vec<_>> = rows
        .into_iter()
        .map(|category| {
            let key = Key { category: category.to_owned(), ..key.clone() };
            figures.stated_once(&key.indicator, &key)
        })
        .collect();
    let parts = parts.filter(|parts| !parts.is_empty())?;
    if sum(&parts) == u128::from(total) {
        return None;
    }
    let label = figures.label(&key.indicator);
    Some(Finding::new(
        "table_total",
        Severity::Error,
        field(at),
        format!(
            "{}: cột {} “{label}” không bằng tổng của các dòng.",
            table.total_category, column.number
        ),
        format!("{} ≠ {}", number(total), addition(&parts)),
    ))
}

/// What came in and what was carried over is what was resolved and what is pending.
///
/// Where nothing is said of what was carried over, only this is sure: it is not less than nothing.
fn dossiers(figures: &Figures<'_>, at: usize, received: u64) -> Option<Finding> {
    let key = &figures.values[at].key;
    if key.indicator != RECEIVED || key.role != Role::Actual {
        return None;
    }
    let stated = |indicator: &str| figures.stated_once(indicator, key);
    let resolved = stated(RESOLVED)?;
    let pending =
        stated(PENDING).or_else(|| stated(PENDING_IN_TIME)?.checked_add(stated(PENDING_OVERDUE)?));
    let carried_over = stated(CARRIED_OVER);
    let label = |indicator: &str| figures.label(indicator).to_owned();
    if let Some(pending) = pending {
        let (came_in, dealt_with) =
            (sum(&[received, carried_over.unwrap_or(0)]), sum(&[resolved, pending]));
        let holds = match carried_over {
            Some(_) => came_in == dealt_with,
            None => came_in <= dealt_with,
        };
        if !holds {
            let message = "Hồ sơ tiếp nhận và chuyển từ kỳ trước không bằng hồ sơ đã giải quyết và đang giải quyết.";
            let left = match carried_over {
                Some(carried_over) => addition(&[received, carried_over]),
                None => number(received),
            };
            let evidence = format!("{left} ≠ {}", addition(&[resolved, pending]));
            return Some(Finding::new(
                "dossiers_balance",
                Severity::Error,
                field(at),
                message,
                evidence,
            ));
        }
    }
    if carried_over.is_some() || stated(TO_PROCESS).is_some() {
        return None;
    }
    Some(Finding::new(
        "carry_over_missing",
        Severity::Warning,
        field(at),
        format!("Không có số liệu “{}”.", label(CARRIED_OVER)),
        format!(
            "“{}” {}; “{}” {}",
            label(RECEIVED),
            number(received),
            label(RESOLVED),
            number(resolved)
        ),
    ))
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
        for (counts, evidence) in [
            ([127, 126, 124, 0, 2, 0, 0, 0], "127 ≠ 126 + 0 = 126"),
            ([126, 126, 124, 1, 2, 0, 0, 0], "126 ≠ 124 + 1 + 2 = 127"),
            ([128, 126, 124, 0, 2, 2, 1, 0], "2 ≠ 1 + 0 = 1"),
        ] {
            let findings = table(&[("Hộ tịch", counts)]).findings();
            assert_eq!(rules(&findings), "identity", "{counts:?}");
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
            (512, 37, None, "dossiers_balance"),
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
        assert_eq!(rules(&draft.findings()), "identity");
    }
}
