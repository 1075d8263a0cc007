//! The dates that the figures cover, held against each other and against the period's window.
//!
//! Only exact, actual figures count: "about 600 in 2023" says nothing of a cut-off, and a target lies ahead.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use dunghan_calendar::zone::date_vi;

use crate::domain::finding::{Finding, Severity};
use crate::domain::report::{Asked, Content};
use crate::domain::value::{Key, Qualifier, Role};
use crate::domain::wording;

const CUT_OFF: &str = "declared_cut_off_date";

/// Each date, with the first figure that bears it and how many do.
type Dates = BTreeMap<NaiveDate, (usize, usize)>;

pub(super) fn check(asked: &Asked, content: &Content, findings: &mut Vec<Finding>) {
    let ends = dates(content, |key| key.end);
    findings.extend(inconsistent(&ends));
    if asked.cut_off_as_declared {
        match content.declared_cut_off {
            Some(declared) => against_declared(declared, &ends, findings),
            None => findings.push(undeclared()),
        }
    } else {
        against_window(asked, content, &ends, findings);
    }
}

fn dates(content: &Content, date: impl Fn(&Key) -> Option<NaiveDate>) -> Dates {
    let mut dates = Dates::new();
    for (at, value) in content.values.iter().enumerate() {
        if value.qualifier == Qualifier::Exact
            && value.key.role == Role::Actual
            && let Some(date) = date(&value.key)
        {
            dates.entry(date).or_insert((at, 0)).1 += 1;
        }
    }
    dates
}

fn inconsistent(ends: &Dates) -> Option<Finding> {
    if ends.len() < 2 {
        return None;
    }
    // The first figure that departs from those before it.
    let mut firsts: Vec<_> = ends.values().map(|(at, _)| *at).collect();
    firsts.sort_unstable();
    let listed: Vec<_> =
        ends.iter().map(|(end, (_, count))| format!("{} ({count})", date_vi(*end))).collect();
    let says = (
        "Số liệu trong báo cáo được chốt ở nhiều ngày khác nhau.",
        "The figures of the report are as of different days.",
    );
    let evidence = format!("ngày chốt (số lượng số liệu): {}", listed.join(", "));
    let finding = Finding::new("cut_offs_inconsistent", Severity::Error, "values", says, evidence);
    Some(finding.standing_at(firsts[1]).involving(firsts))
}

fn undeclared() -> Finding {
    Finding::new(
        "cut_off_missing",
        Severity::Warning,
        CUT_OFF,
        (
            "Chế độ báo cáo lấy ngày chốt số liệu do báo cáo nêu, nhưng báo cáo chưa nêu.",
            "The regime leaves the cut-off to the report, and the report does not state one.",
        ),
        "",
    )
}

fn against_declared(declared: NaiveDate, ends: &Dates, findings: &mut Vec<Finding>) {
    for (end, (at, _)) in ends.iter().filter(|(end, _)| **end != declared) {
        let says = (
            "Số liệu không được chốt đúng ngày mà báo cáo nêu.",
            "A figure is not as of the day that the report states.",
        );
        let evidence = format!("số liệu đến {}; báo cáo nêu {}", date_vi(*end), date_vi(declared));
        findings.push(mismatch(Some(*at), "end", *end, says, evidence));
    }
}

fn against_window(asked: &Asked, content: &Content, ends: &Dates, findings: &mut Vec<Finding>) {
    let window = asked.window;
    let period = wording::period(asked.period);
    for (start, (at, _)) in dates(content, |key| key.start) {
        if start != window.first {
            let says = (
                "Số liệu không được tính từ ngày đầu của kỳ báo cáo.",
                "A figure does not begin where the period does.",
            );
            let (from, first) = (date_vi(start), date_vi(window.first));
            let evidence = format!("số liệu từ {from}; {period} tính từ {first}");
            findings.push(mismatch(Some(at), "start", start, says, evidence));
        }
    }
    let declared = content.declared_cut_off.map(|end| (end, None));
    let of_figures = ends.iter().map(|(end, (at, _))| (*end, Some(*at)));
    let mut ends: BTreeMap<_, _> = declared.into_iter().collect();
    ends.extend(of_figures);
    for (end, at) in &ends {
        let over = end.signed_duration_since(window.cut_off).num_days();
        if over > 0 {
            let says = (
                format!(
                    "Số liệu vượt quá ngày chốt {over} ngày; phần này sẽ bị tính trùng ở kỳ sau."
                ),
                format!(
                    "Days past the cut-off: {over}. They are counted again in the next period."
                ),
            );
            let evidence = to(&period, *end, window.cut_off);
            findings.push(mismatch(*at, "end", *end, says, evidence));
        }
    }
    if let Some((end, at)) = ends.last_key_value()
        && *end < window.cut_off
    {
        let short = window.cut_off.signed_duration_since(*end).num_days();
        let says = (
            format!("Số liệu dừng trước ngày chốt {short} ngày."),
            format!("Days before the cut-off on which the figures stop: {short}."),
        );
        let evidence = to(&period, *end, window.cut_off);
        let finding = Finding::new("window_short", Severity::Warning, CUT_OFF, says, evidence);
        findings.push(standing(finding, *at).told_by(&[]));
    }
}

fn to(period: &str, end: NaiveDate, cut_off: NaiveDate) -> String {
    format!("số liệu đến {}; {period} chốt ngày {}", date_vi(end), date_vi(cut_off))
}

fn mismatch(
    at: Option<usize>,
    bound: &str,
    date: NaiveDate,
    says: (impl Into<String>, impl Into<String>),
    evidence: String,
) -> Finding {
    let finding = Finding::new("window_mismatch", Severity::Warning, CUT_OFF, says, evidence);
    standing(finding, at).told_by(&[bound, &date.to_string()])
}

/// At a figure, or at the cut-off that the report declares.
fn standing(finding: Finding, at: Option<usize>) -> Finding {
    match at {
        Some(at) => finding.standing_at(at),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::check::fixture::{Draft, rules};

    fn ends(period: &str, ends: &[&str]) -> Draft {
        ends.iter().enumerate().fold(Draft::of(period), |draft, (at, end)| {
            draft.value(&format!("portal_posts;{at};1;;;;{end}"))
        })
    }

    #[test]
    fn figures_that_run_past_the_cut_off_are_counted_twice() {
        assert_eq!(rules(&ends("202605", &["2026-05-14"]).findings()), "");
        let findings = ends("202605", &["2026-05-15", "2026-05-15"]).findings();
        assert_eq!(rules(&findings), "window_mismatch");
        assert_eq!(findings[0].field, "values[0]");
        assert_eq!(
            findings[0].evidence,
            "số liệu đến 15/05/2026; tháng 5 năm 2026 chốt ngày 14/05/2026"
        );
        assert!(findings[0].message.contains("1 ngày"), "{}", findings[0].message);
    }

    #[test]
    fn figures_that_stop_early_leave_the_period_short() {
        let findings = ends("2023", &["2023-11-30"]).findings();
        assert_eq!(rules(&findings), "window_short");
        assert_eq!(findings[0].evidence, "số liệu đến 30/11/2023; năm 2023 chốt ngày 14/12/2023");
        assert_eq!(rules(&ends("2023", &[]).value("portal_posts;;1").findings()), "");
    }

    #[test]
    fn figures_of_one_report_have_one_cut_off() {
        let findings = ends("2023", &["2023-11-28", "2023-12-14", "2023-11-28"]).findings();
        assert_eq!(rules(&findings), "cut_offs_inconsistent");
        assert_eq!(findings[0].field, "values[1]");
        assert_eq!(
            findings[0].evidence,
            "ngày chốt (số lượng số liệu): 28/11/2023 (2), 14/12/2023 (1)"
        );
        let about = Draft::of("2023")
            .value("portal_posts;;600;;;about;2023-12-31")
            .value("staff_using_official_email;;100%;;target;;2024-12-31")
            .value("portal_visits;;32000;;;;2023-12-14");
        assert_eq!(rules(&about.findings()), "");
    }

    #[test]
    fn figures_begin_where_the_window_does() {
        let begins = |start: &str| {
            Draft::of("202605").value(&format!("portal_posts;;78;;;;2026-05-14;{start}"))
        };
        assert_eq!(rules(&begins("2026-04-15").findings()), "");
        let findings = begins("2026-05-01").findings();
        assert_eq!(rules(&findings), "window_mismatch");
        assert_eq!(
            findings[0].evidence,
            "số liệu từ 01/05/2026; tháng 5 năm 2026 tính từ 15/04/2026"
        );
    }

    #[test]
    fn where_the_report_sets_the_cut_off_its_figures_keep_to_it() {
        let mut draft = ends("2024S1", &["2024-05-18"]);
        assert_eq!(rules(&draft.findings()), "window_short");
        draft.content.declared_cut_off = "2024-05-18".parse().ok();
        assert_eq!(rules(&draft.findings()), "window_short");
        draft.asked.cut_off_as_declared = true;
        assert_eq!(rules(&draft.findings()), "");
        draft.content.declared_cut_off = "2024-05-20".parse().ok();
        assert_eq!(draft.findings()[0].evidence, "số liệu đến 18/05/2024; báo cáo nêu 20/05/2024");
        draft.content.declared_cut_off = None;
        assert_eq!(rules(&draft.findings()), "cut_off_missing");
    }
}
