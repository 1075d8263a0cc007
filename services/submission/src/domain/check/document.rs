//! The head of the document, and the periods that its text names.

use dunghan_calendar::{Family, Frequency};

use crate::domain::check::Issuer;
use crate::domain::finding::{Finding, Severity};
use crate::domain::report::{Asked, Content, DeclaredPeriod, DeclaredUnit, Place};
use crate::domain::wording;

pub(super) fn check(
    asked: &Asked,
    issuer: Option<Issuer<'_>>,
    content: &Content,
    findings: &mut Vec<Finding>,
) {
    let document = &content.document;
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
        findings.extend(period_disagrees(asked, at, *declared));
    }
    let Some(issuer) = issuer else { return };
    for (at, declared) in document.declared_units.iter().enumerate() {
        findings.extend(unit_disagrees(asked, issuer, content, at, declared));
    }
}

/// The place in English, and how much what is stated there weighs: a body may well speak of others too, a title may not.
fn weighed(place: Place) -> (&'static str, Severity) {
    match place {
        Place::Title => ("title", Severity::Error),
        Place::Opening => ("opening", Severity::Error),
        Place::Body => ("body", Severity::Warning),
        Place::Closing => ("closing", Severity::Error),
    }
}

fn unit_disagrees(
    asked: &Asked,
    Issuer { unit, hierarchy }: Issuer<'_>,
    Content { document, submitting_unit, .. }: &Content,
    at: usize,
    DeclaredUnit { display_name, place }: &DeclaredUnit,
) -> Option<Finding> {
    let cut_off = asked.window.cut_off;
    let own = &hierarchy.unit(unit, cut_off)?.version.display_name;
    // A unit that was renamed since may well use the name of the day on which it writes.
    let days = [Some(cut_off), document.date];
    let mut units = [Some(unit), *submitting_unit].into_iter().flatten();
    let is_named =
        |unit| days.iter().flatten().any(|day| hierarchy.is_named(unit, display_name, *day));
    if units.any(is_named) {
        return None;
    }
    let (place_en, severity) = weighed(*place);
    let place = wording::place(*place);
    let says = (
        format!("Đơn vị nêu ở {place} không phải là đơn vị báo cáo."),
        format!("The unit named in the {place_en} is not the one that reports."),
    );
    let evidence = format!("{place} ghi “{display_name}”; đơn vị báo cáo là {own}");
    let field = format!("document.declared_units[{at}].display_name");
    let finding = Finding::new("unit.declared_disagrees", severity, field, says, evidence);
    Some(finding.told_by(&[place_en, display_name]))
}

fn period_disagrees(asked: &Asked, at: usize, declared: DeclaredPeriod) -> Option<Finding> {
    // A text may spell the period's own dates out.
    let spelt_out = declared.period.frequency() == Frequency::Interval
        && declared.period.window(Family::Calendar) == asked.window;
    if declared.period == asked.period || spelt_out {
        return None;
    }
    let (place_en, severity) = weighed(declared.place);
    let place = wording::place(declared.place);
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
    use std::sync::Arc;

    use dunghan_hierarchy::{Hierarchy, Kind, Level, UnitHistory, UnitId, Validity, Version};

    use crate::domain::check::fixture::{Draft, rules};
    use crate::domain::check::{Basis, History};
    use crate::domain::finding::Severity;
    use crate::domain::form::Forms;
    use crate::domain::report::{DeclaredUnit, Place};

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

    /// A ward that was called otherwise until June 2026, and an agency of another name.
    fn units() -> (Hierarchy, UnitId, UnitId) {
        let id = |code| UnitId::new("nso", code, None);
        let renamed = "2026-06-01".parse().unwrap();
        let version = |name: &str, kind, level, validity| {
            let display_name = name.to_owned();
            Version { validity, display_name, kind, level, parent: None }
        };
        let ward = |name, validity| version(name, Kind::Phuong, Level::Commune, validity);
        let versions = vec![
            ward("Phường 1", Validity::before(renamed)),
            ward("Phường Kiến Tường", Validity::since(renamed)),
        ];
        let agency = version("Phòng Kinh tế", Kind::Phong, Level::Department, Validity::OPEN);
        let unit = |id, versions| UnitHistory { id, versions, identifiers: Vec::new() };
        let units = vec![unit(id("1"), versions), unit(id("1.KT"), vec![agency])];
        (Hierarchy::build(1, units).unwrap(), id("1"), id("1.KT"))
    }

    #[test]
    fn a_unit_named_otherwise_weighs_by_where_it_stands() {
        let (hierarchy, unit, agency) = units();
        let form = Arc::clone(Forms::compiled_in().unwrap().get("cds-1").unwrap());
        let history = History::new("202605".parse().unwrap(), Vec::new());
        let basis = Basis { form, unit, hierarchy: Arc::new(hierarchy), history };
        let found = |text: &str, place, date: &str, handed_over_by| {
            let mut draft = Draft::of("202605").value("portal_posts;;78");
            let display_name = text.to_owned();
            draft.content.document.declared_units = vec![DeclaredUnit { display_name, place }];
            draft.content.document.date = date.parse().ok();
            draft.content.submitting_unit = handed_over_by;
            draft.checked(&basis).0
        };
        for (text, place, expected) in [
            ("UBND Phường 1", Place::Title, None),
            ("Phường 9", Place::Title, Some(Severity::Error)),
            ("Phường 9", Place::Opening, Some(Severity::Error)),
            ("Phường 9", Place::Body, Some(Severity::Warning)),
            ("Phường 9", Place::Closing, Some(Severity::Error)),
            ("Phường Kiến Tường", Place::Title, Some(Severity::Error)),
            ("Phòng Kinh tế", Place::Title, Some(Severity::Error)),
        ] {
            let findings = found(text, place, "2026-05-18", None);
            assert_eq!(findings.first().map(|one| one.severity), expected, "{text} {place:?}");
        }
        let findings = found("Phường 9", Place::Closing, "2026-05-18", None);
        assert_eq!(rules(&findings), "unit.declared_disagrees");
        assert_eq!(findings[0].field, "document.declared_units[0].display_name");
        assert_eq!(findings[0].evidence, "phần kết ghi “Phường 9”; đơn vị báo cáo là Phường 1");
        // Its name on the day on which it writes is its own too, and so is that of the agency that hands over for it.
        assert_eq!(found("Phường Kiến Tường", Place::Title, "2026-06-02", None), []);
        assert_eq!(found("Phòng Kinh tế", Place::Title, "2026-05-18", Some(agency)), []);
    }
}
