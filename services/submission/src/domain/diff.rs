//! What two revisions of a report say differently, for people.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use dunghan_calendar::zone;
use dunghan_hierarchy::{Hierarchy, UnitId};
use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::finding::Finding;
use super::form::Form;
use super::report::{AttachedFile, Content, DeclaredPeriod, DeclaredUnit, Document};
use super::value::{Key, Role, Value};
use super::wording;

/// The most pairs of lines that are held against each other: a tenth of a second. Between texts of which more differs the
/// whole middle counts as changed.
const MOST_PAIRS: usize = 10_000_000;

/// One thing that is said differently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The field of the report.
    pub field: &'static str,
    /// Of a figure: its indicator.
    pub indicator: String,
    /// Of a figure: its row; empty outside of tables.
    pub category: String,
    /// What people call it.
    pub display_name: String,
    /// What the earlier one says; empty: nothing.
    pub old: String,
    /// What the later one says; empty: nothing.
    pub new: String,
}

/// By what people call things.
#[derive(Clone, Debug)]
pub struct Names {
    /// Figures.
    pub form: Arc<Form>,
    /// What was found and answered in either.
    pub findings: Vec<Finding>,
    /// Units, by the names that they have on a day.
    pub hierarchy: Arc<Hierarchy>,
    /// That day.
    pub day: NaiveDate,
}

impl Names {
    fn unit(&self, unit: UnitId) -> String {
        let view = self.hierarchy.unit(unit, self.day);
        view.map_or_else(|| unit.to_string(), |view| view.version.display_name.clone())
    }

    fn answer(&self, key: &str) -> String {
        let finding = self.findings.iter().find(|finding| finding.key == key);
        finding
            .map_or_else(|| "Giải trình".to_owned(), |one| format!("Giải trình: {}", one.message))
    }
}

/// What `new` says otherwise than `old`, in the order of a report: its head, its figures, its text, its answers to findings,
/// its files.
pub fn changes(old: &Content, new: &Content, names: &Names) -> Vec<Change> {
    let mut changes = Vec::new();
    let heads = head(old, names).into_iter().zip(head(new, names));
    for ((field, display_name, old), (_, _, new)) in heads {
        if old != new {
            let display_name = display_name.to_owned();
            changes.push(Change { field, display_name, old, new, ..Change::default() });
        }
    }
    figures(&old.values, &new.values, &names.form, &mut changes);
    lines(&old.narrative, &new.narrative, &mut changes);
    answers(old, new, names, &mut changes);
    files(&old.files, &new.files, &mut changes);
    changes
}

fn date(day: Option<NaiveDate>) -> String {
    day.map(zone::date_vi).unwrap_or_default()
}

/// The fields of the head with their names and what they say.
fn head(content: &Content, names: &Names) -> [(&'static str, &'static str, String); 8] {
    let Content { document, declared_cut_off, submitting_unit, nil, .. } = content;
    let Document { number, symbol, date: dated, declared_periods, declared_units } = document;
    let joined = |told: Vec<String>| told.join("; ");
    let periods = declared_periods.iter().map(|DeclaredPeriod { period, place }| {
        format!("{}: {}", wording::place(*place), wording::period(*period))
    });
    let units = declared_units.iter().map(|DeclaredUnit { display_name, place }| {
        format!("{}: {display_name}", wording::place(*place))
    });
    let unit = submitting_unit.map(|unit| names.unit(unit)).unwrap_or_default();
    let nil = if *nil { "không phát sinh" } else { "" };
    [
        ("nil", "Báo cáo không phát sinh", nil.to_owned()),
        ("document.number", "Số văn bản", number.clone()),
        ("document.symbol", "Ký hiệu văn bản", symbol.clone()),
        ("document.document_date", "Ngày văn bản", date(*dated)),
        ("document.declared_periods", "Kỳ báo cáo nêu trong văn bản", joined(periods.collect())),
        ("document.declared_units", "Đơn vị báo cáo nêu trong văn bản", joined(units.collect())),
        ("declared_cut_off_date", "Ngày chốt số liệu nêu trong báo cáo", date(*declared_cut_off)),
        ("submitting_unit", "Cơ quan gửi báo cáo", unit),
    ]
}

/// What is held against each other, in the order of `new`, and then what only `old` has.
fn paired<'a, T, K: Ord>(
    old: &'a [T],
    new: &'a [T],
    key: impl Fn(&'a T) -> K,
) -> Vec<(Option<&'a T>, Option<&'a T>)> {
    let mut before: BTreeMap<_, _> = old.iter().map(|one| (key(one), one)).collect();
    let mut pairs = Vec::with_capacity(new.len());
    for one in new {
        pairs.push((before.remove(&key(one)), Some(one)));
    }
    let gone = old.iter().filter(|one| before.contains_key(&key(one)));
    pairs.extend(gone.map(|one| (Some(one), None)));
    pairs
}

fn figures(old: &[Value], new: &[Value], form: &Form, changes: &mut Vec<Change>) {
    for (old, new) in paired(old, new, |value| &value.key) {
        let Some(Value { key, .. }) = old.or(new) else { continue };
        let quote = |value: Option<&Value>| value.map(|value| value.quote.clone());
        let quoted = quote(old) != quote(new);
        let says = |value: Option<&Value>| {
            let Some(value) = value else { return String::new() };
            let figure = wording::figure(value);
            // A quote is shown where it is what differs.
            let shown = quoted && old.is_some() && new.is_some() && !value.quote.is_empty();
            if shown { format!("{figure} – “{}”", value.quote) } else { figure }
        };
        let (old, new) = (says(old), says(new));
        if old != new {
            changes.push(Change {
                field: "values",
                indicator: key.indicator.clone(),
                category: key.category.clone(),
                display_name: name(key, form),
                old,
                new,
            });
        }
    }
}

/// What people call a figure, with what tells it from others of its indicator but for its row.
fn name(key: &Key, form: &Form) -> String {
    let role = match key.role {
        Role::Actual => None,
        Role::Target => Some("chỉ tiêu".to_owned()),
        Role::Context => Some("nêu để tham khảo".to_owned()),
    };
    let dates = match (key.start, key.end) {
        (None, None) => None,
        (Some(start), None) => Some(format!("từ {}", zone::date_vi(start))),
        (None, Some(end)) => Some(format!("đến {}", zone::date_vi(end))),
        (Some(start), Some(end)) => {
            Some(format!("từ {} đến {}", zone::date_vi(start), zone::date_vi(end)))
        }
    };
    let apart: Vec<_> = [role, dates].into_iter().flatten().collect();
    let label = form.label(&key.indicator);
    if apart.is_empty() { label.to_owned() } else { format!("{label} ({})", apart.join(", ")) }
}

/// Of a text: the lines that are gone and those that are there in their place, each with what ends it.
fn lines(old: &str, new: &str, changes: &mut Vec<Change>) {
    if old == new {
        return;
    }
    let (before, after) = (split(old), split(new));
    let mut changed = |gone: &[&str], there: &[&str]| {
        changes.push(Change {
            field: "narrative",
            display_name: "Nội dung báo cáo".to_owned(),
            old: gone.concat(),
            new: there.concat(),
            ..Change::default()
        });
    };
    let same = before.iter().zip(&after).take_while(|(one, other)| one == other).count();
    let (before, after) = (&before[same..], &after[same..]);
    let ends = before.iter().rev().zip(after.iter().rev());
    let ends = ends.take_while(|(one, other)| one == other).count();
    let (before, after) = (&before[..before.len() - ends], &after[..after.len() - ends]);
    if before.len().saturating_mul(after.len()) > MOST_PAIRS {
        return changed(before, after);
    }
    for op in capture_diff_slices(Algorithm::Myers, before, after) {
        if !matches!(op, DiffOp::Equal { .. }) {
            changed(&before[op.old_range()], &after[op.new_range()]);
        }
    }
}

/// The lines of a text, each with what ends it: put together they are the text.
fn split(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn answers(old: &Content, new: &Content, names: &Names, changes: &mut Vec<Change>) {
    for (old, new) in paired(&old.justifications, &new.justifications, |one| &one.finding) {
        let text = |one: Option<&super::report::Justification>| {
            one.map(|one| one.text.clone()).unwrap_or_default()
        };
        let Some(finding) = old.or(new).map(|one| &one.finding) else { continue };
        let (old, new) = (text(old), text(new));
        if old != new {
            let display_name = names.answer(finding);
            changes.push(Change {
                field: "justifications",
                display_name,
                old,
                new,
                ..Change::default()
            });
        }
    }
}

fn files(old: &[AttachedFile], new: &[AttachedFile], changes: &mut Vec<Change>) {
    for (old, new) in paired(old, new, |file| file.id) {
        let text = |file: Option<&AttachedFile>| {
            file.map_or_else(String::new, |file| {
                let AttachedFile { file_name, size, sha256, .. } = file;
                format!("{file_name} ({} byte, SHA-256 {sha256})", wording::number(*size))
            })
        };
        let (old, new) = (text(old), text(new));
        if old != new {
            let display_name = "Tệp đính kèm".to_owned();
            changes.push(Change {
                field: "attached_files",
                display_name,
                old,
                new,
                ..Change::default()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::finding::Severity;
    use crate::domain::form::Forms;
    use crate::domain::report::{Justification, Place};
    use crate::domain::value::{Figure, Qualifier, Ratio};

    fn value(indicator: &str, category: &str, figure: Figure) -> Value {
        Value {
            key: Key {
                indicator: indicator.to_owned(),
                category: category.to_owned(),
                role: Role::Actual,
                start: None,
                end: None,
            },
            figure,
            qualifier: Qualifier::Exact,
            stated_percent: None,
            quote: String::new(),
            discrepancy: None,
        }
    }

    fn between(old: &Content, new: &Content) -> Vec<Change> {
        let forms = Forms::compiled_in().unwrap();
        let form = Arc::clone(forms.get("cds-1").unwrap());
        let hierarchy = Arc::new(Hierarchy::empty());
        let findings = vec![Finding {
            key: "f1".to_owned(),
            ..Finding::new("r", Severity::Error, "values", ("Lệch số.", "They differ."), "")
        }];
        changes(old, new, &Names { form, findings, hierarchy, day: "2026-05-14".parse().unwrap() })
    }

    /// The field, what people call it, what was said, and what is.
    fn told(old: &Content, new: &Content) -> Vec<(&'static str, String, String, String)> {
        let changes = between(old, new).into_iter();
        changes.map(|it| (it.field, it.display_name, it.old, it.new)).collect()
    }

    fn expect(old: &Content, new: &Content, expected: &[(&'static str, &str, &str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(field, name, old, new)| {
                (*field, (*name).to_owned(), (*old).to_owned(), (*new).to_owned())
            })
            .collect();
        assert_eq!(told(old, new), expected);
    }

    #[test]
    fn a_head_is_told_field_by_field_as_officials_write_it() {
        let old = Content {
            document: Document { number: "103".to_owned(), ..Document::default() },
            ..Content::default()
        };
        let declared = DeclaredPeriod { period: "202605".parse().unwrap(), place: Place::Title };
        let new = Content {
            document: Document {
                number: "104".to_owned(),
                symbol: "BC-UBND".to_owned(),
                date: "2026-05-18".parse().ok(),
                declared_periods: vec![declared],
                declared_units: vec![DeclaredUnit {
                    display_name: "UBND Phường 9".to_owned(),
                    place: Place::Closing,
                }],
            },
            declared_cut_off: "2026-05-14".parse().ok(),
            nil: true,
            ..Content::default()
        };
        let expected = [
            ("nil", "Báo cáo không phát sinh", "", "không phát sinh"),
            ("document.number", "Số văn bản", "103", "104"),
            ("document.symbol", "Ký hiệu văn bản", "", "BC-UBND"),
            ("document.document_date", "Ngày văn bản", "", "18/05/2026"),
            (
                "document.declared_periods",
                "Kỳ báo cáo nêu trong văn bản",
                "",
                "tiêu đề: tháng 5 năm 2026",
            ),
            (
                "document.declared_units",
                "Đơn vị báo cáo nêu trong văn bản",
                "",
                "phần kết: UBND Phường 9",
            ),
            ("declared_cut_off_date", "Ngày chốt số liệu nêu trong báo cáo", "", "14/05/2026"),
        ];
        expect(&old, &new, &expected);
    }

    #[test]
    fn figures_are_told_by_what_they_are_of_and_not_by_where_they_stand() {
        let of = |values: Vec<Value>| Content { values, ..Content::default() };
        let posts = |n| value("portal_posts", "", Figure::Count(n));
        let ratio = Figure::Ratio(Ratio::new(465, 550).unwrap());
        let row = value("dossiers_received_online", "Hộ tịch", ratio);
        let mut target = posts(1500);
        target.key.role = Role::Target;
        target.key.start = "2026-04-15".parse().ok();
        target.key.end = "2026-05-14".parse().ok();
        let old = of(vec![posts(78), row.clone()]);
        assert_eq!(between(&old, &of(vec![row, posts(78)])), []);
        let label = |key: &str| {
            let forms = Forms::compiled_in().unwrap();
            forms.get("cds-1").unwrap().label(key).to_owned()
        };
        let (posted, online) = (label("portal_posts"), label("dossiers_received_online"));
        let aimed = format!("{posted} (chỉ tiêu, từ 15/04/2026 đến 14/05/2026)");
        let expected = [
            ("values", aimed.as_str(), "", "1.500"),
            ("values", posted.as_str(), "78", "17.236"),
            ("values", online.as_str(), "465/550", ""),
        ];
        let new = of(vec![target, posts(17_236)]);
        expect(&old, &new, &expected);
        let gone = between(&old, &new).pop().unwrap();
        assert_eq!(
            (gone.indicator.as_str(), gone.category.as_str()),
            ("dossiers_received_online", "Hộ tịch")
        );

        // How exact it is, the percentage beside it, and the sentence that it came from.
        let mut said = posts(78);
        said.qualifier = Qualifier::About;
        expect(
            &of(vec![posts(78)]),
            &of(vec![said.clone()]),
            &[("values", &posted, "78", "khoảng 78")],
        );
        let mut quoted = said.clone();
        quoted.quote = "Khoảng 78 tin".to_owned();
        expect(
            &of(vec![said]),
            &of(vec![quoted]),
            &[("values", &posted, "khoảng 78", "khoảng 78 – “Khoảng 78 tin”")],
        );
        // What the checks say of a figure is nothing that the report says.
        let mut judged = posts(78);
        judged.discrepancy = Some(crate::domain::finding::Discrepancy::Exact);
        assert_eq!(between(&of(vec![posts(78)]), &of(vec![judged])), []);
    }

    #[test]
    fn a_text_is_told_by_the_lines_that_differ_where_they_stand() {
        let of = |text: &str| Content { narrative: text.to_owned(), ..Content::default() };
        const NAME: &str = "Nội dung báo cáo";
        let old = "I. Kết quả\nĐạt 5.\nĐạt 6.\nII. Tồn tại\nKhông.\n";
        let new = "I. Kết quả\nĐạt 5.\nĐạt 7.\nĐạt 8.\nII. Tồn tại\nKhông.\nIII. Kiến nghị";
        expect(
            &of(old),
            &of(new),
            &[
                ("narrative", NAME, "Đạt 6.\n", "Đạt 7.\nĐạt 8.\n"),
                ("narrative", NAME, "", "III. Kiến nghị"),
            ],
        );
        expect(&of("a"), &of("a\n"), &[("narrative", NAME, "a", "a\n")]);
        expect(&of(""), &of("\n"), &[("narrative", NAME, "", "\n")]);
        expect(&of("một"), &of(""), &[("narrative", NAME, "một", "")]);
    }

    #[test]
    fn texts_that_have_hardly_a_line_in_common_are_told_as_one_change() {
        let text = |word: &str| {
            let lines = (0..4000).map(|n| format!("{word} {}\n", n % 7));
            Content { narrative: lines.collect(), ..Content::default() }
        };
        let (old, new) = (text("cũ"), text("mới"));
        let changes = between(&old, &new);
        assert_eq!(changes.len(), 1);
        assert_eq!((&changes[0].old, &changes[0].new), (&old.narrative, &new.narrative));
    }

    #[test]
    fn answers_and_files_are_told_one_by_one() {
        let justification = |finding: &str, text: &str| Justification {
            finding: finding.to_owned(),
            text: text.to_owned(),
        };
        let file = |id: u128, name: &str| AttachedFile {
            id: Uuid::from_u128(id),
            file_name: name.to_owned(),
            size: 12_345,
            sha256: "ab".repeat(32),
        };
        let old = Content {
            justifications: vec![justification("f1", "Làm tròn."), justification("f2", "Đúng.")],
            files: vec![file(1, "a.pdf")],
            ..Content::default()
        };
        let new = Content {
            justifications: vec![justification("f1", "Theo mẫu.")],
            files: vec![file(1, "a.pdf"), file(2, "b.pdf")],
            ..Content::default()
        };
        let attached = format!("b.pdf (12.345 byte, SHA-256 {})", "ab".repeat(32));
        expect(
            &old,
            &new,
            &[
                ("justifications", "Giải trình: Lệch số.", "Làm tròn.", "Theo mẫu."),
                ("justifications", "Giải trình", "Đúng.", ""),
                ("attached_files", "Tệp đính kèm", "", &attached),
            ],
        );
    }
}
