//! The head of the document, and the periods that its text names.

use dunghan_calendar::{Family, Frequency};

use crate::domain::finding::{Finding, Severity};
use crate::domain::report::{Asked, DeclaredPeriod, Document, Place};
use crate::domain::wording;

pub(super) fn check(asked: &Asked, document: &Document, findings: &mut Vec<Finding>) {
    // Decree 30/2020/NĐ-CP, appendix I: a document bears a number and a date. A blank is often filled in by hand after
    // the file was made, so neither keeps a report from being handed over.
    if document.number.is_empty() {
        let evidence = match document.symbol.as_str() {
            "" => String::new(),
            symbol => format!("Số: …/{symbol}"),
        };
        let says = ("Văn bản chưa ghi số.", "The document bears no number.");
        findings.push(Finding::new(
            "document.number_missing",
            Severity::Error,
            "document.number",
            says,
            evidence,
        ));
    }
    if document.date.is_none() {
        let says = ("Văn bản chưa ghi ngày, tháng, năm.", "The document bears no date.");
        findings.push(Finding::new(
            "document.date_missing",
            Severity::Error,
            "document.document_date",
            says,
            "",
        ));
    }
    for (at, declared) in document.declared_periods.iter().enumerate() {
        findings.extend(disagrees(asked, at, *declared));
    }
}

fn disagrees(asked: &Asked, at: usize, declared: DeclaredPeriod) -> Option<Finding> {
    // A text may spell the period's own dates out.
    let spelt_out = declared.period.frequency() == Frequency::Interval
        && declared.period.window(Family::Calendar) == asked.window;
    if declared.period == asked.period || spelt_out {
        return None;
    }
    // A body may well compare with other periods; a title may not.
    let (place, place_en, severity) = match declared.place {
        Place::Title => ("tiêu đề", "title", Severity::Error),
        Place::Opening => ("phần mở đầu", "opening", Severity::Error),
        Place::Body => ("phần nội dung", "body", Severity::Warning),
        Place::Closing => ("phần kết", "closing", Severity::Error),
    };
    let evidence = format!(
        "{place} ghi {}; kỳ báo cáo là {}",
        wording::period(declared.period),
        wording::period(asked.period)
    );
    let says = (
        format!("Kỳ nêu ở {place} không khớp với kỳ báo cáo."),
        format!("The period in the {place_en} is not the one that the report is for."),
    );
    let field = format!("document.declared_periods[{at}].period");
    let finding = Finding::new("period.declared_disagrees", severity, field, says, evidence);
    Some(finding.told_by(&[place_en, &declared.period.to_string()]))
}

#[cfg(test)]
mod tests {
    use crate::domain::check::fixture::{Draft, rules};
    use crate::domain::finding::Severity;

    #[test]
    fn a_blank_number_and_a_blank_date_are_errors_that_do_not_block() {
        let mut draft = Draft::of("202605").value("portal_posts;;78");
        assert_eq!(rules(&draft.findings()), "");
        draft.content.document.number.clear();
        draft.content.document.date = None;
        let findings = draft.findings();
        assert_eq!(rules(&findings), "document.number_missing, document.date_missing");
        assert_eq!(findings[0].evidence, "Số: …/BC-UBND");
        assert_eq!(findings[1].field, "document.document_date");
        assert!(findings.iter().all(|finding| finding.severity == Severity::Error));
    }

    #[test]
    fn a_period_named_otherwise_weighs_by_where_it_stands() {
        for (period, declared, place, severity) in [
            ("2024N9", "2024S1", "opening", Some(Severity::Error)),
            ("2024N9", "2024S1", "title", Some(Severity::Error)),
            ("2024N9", "2024S1", "closing", Some(Severity::Error)),
            ("2024N9", "2024S1", "body", Some(Severity::Warning)),
            ("2024N9", "2024N9", "title", None),
            ("202605", "2026-04-15--2026-05-14", "body", None),
            ("202605", "2026-04-15--2026-05-15", "body", Some(Severity::Warning)),
            ("202605", "2026-05-01--2026-05-31", "title", Some(Severity::Error)),
        ] {
            let draft = Draft::of(period).value("portal_posts;;78").declares(declared, place);
            let findings = draft.findings();
            let found = findings.first().map(|finding| finding.severity);
            assert_eq!(found, severity, "{period} {declared} {place}");
            if let Some(finding) = findings.first() {
                assert_eq!(finding.rule, "period.declared_disagrees");
                assert_eq!(finding.field, "document.declared_periods[0].period");
            }
        }
        let draft = Draft::of("2024N9").value("portal_posts;;78").declares("2024S1", "opening");
        assert_eq!(
            draft.findings()[0].evidence,
            "phần mở đầu ghi 6 tháng đầu năm 2024; kỳ báo cáo là 9 tháng đầu năm 2024"
        );
    }
}
