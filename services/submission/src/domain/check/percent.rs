//! Stated percentages, held against their parts.
//!
//! One rule of tolerance, and no other: a stated percentage is right if it is 100 × part / whole, rounded half up at
//! the last decimal stated. What is right is exact or rounded, and nothing is told of it. What differs is told apart by how it
//! differs: cut off instead of rounded, taken as 100 less its sibling, stated though the whole is 0, or wrong. All of it is computed
//! in whole numbers. What claims not to be exact is not recomputed.

use rust_decimal::Decimal;

use super::{Figures, scaled};
use crate::domain::finding::{Discrepancy, Finding, Severity};
use crate::domain::value::{Figure, MOST_DECIMALS, Percent, Qualifier, Ratio, Role, Value};
use crate::domain::wording::{self, decimal, number};

/// How each figure's stated percentage stands to its parts.
pub(super) fn check(
    figures: &Figures<'_>,
    findings: &mut Vec<Finding>,
) -> Vec<Option<Discrepancy>> {
    let percentages: Vec<_> =
        figures.values.iter().map(|value| Percentage::of(figures, value)).collect();
    let judged: Vec<_> = (0..percentages.len()).map(|at| judged(&percentages, at)).collect();
    for (at, (percentage, judged)) in percentages.iter().zip(&judged).enumerate() {
        findings.extend(impossible(figures, at));
        findings.extend(judged.and_then(|judged| recomputed(figures, percentage, judged, at)));
        findings.extend(without_denominator(figures, percentage, at));
        findings.extend(denominator_contradicts(figures, at));
        findings.extend(part_exceeds_whole(figures, at));
    }
    judged.into_iter().map(|judged| judged.map(|(discrepancy, _)| discrepancy)).collect()
}

/// A percentage that is stated beside a figure, and what it is of.
struct Percentage<'a> {
    value: &'a Value,
    /// Where the figure is exact.
    says: Option<Percent>,
    /// The parts beside it, or a count and the one whole that the report states for it.
    parts: Option<Ratio>,
}

impl<'a> Percentage<'a> {
    fn of(figures: &Figures<'_>, value: &'a Value) -> Self {
        let parts = match value.figure {
            Figure::Ratio(ratio) => Some(ratio),
            Figure::Count(part) | Figure::Money(part) => figures
                .whole(value)
                .and_then(|whole| figures.stated_once(whole, &value.key))
                .and_then(|whole| Ratio::new(part, whole)),
            Figure::Percent(_) | Figure::Text(_) | Figure::Choice(_) => None,
        };
        let says = value.stated_percent.filter(|_| value.qualifier == Qualifier::Exact);
        Self { value, says, parts }
    }
}

/// How a stated percentage stands to its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// It is the percentage.
    Exact,
    /// It is the percentage, rounded half up.
    Rounded,
    Truncated,
    Wrong,
    Undefined,
}

fn classify(ratio: Ratio, stated: Percent) -> Class {
    let Some(rounded) = rounded(ratio, stated.decimals()) else { return Class::Undefined };
    let (hundredfold, whole) = (hundredfold(ratio, stated.decimals()), i128::from(ratio.whole()));
    match stated.scaled() {
        says if says == rounded && hundredfold % whole == 0 => Class::Exact,
        says if says == rounded => Class::Rounded,
        says if says == hundredfold / whole => Class::Truncated,
        _ => Class::Wrong,
    }
}

/// 100 × part as a whole number of the last decimal. At most 2⁶⁴ × 10⁶: far from the end of an i128.
fn hundredfold(ratio: Ratio, decimals: u32) -> i128 {
    i128::from(ratio.part()) * 100 * 10_i128.pow(decimals)
}

/// The percentage rounded half up, as a whole number of the last decimal; `None` where the whole is 0.
fn rounded(ratio: Ratio, decimals: u32) -> Option<i128> {
    let whole = i128::from(ratio.whole());
    (whole > 0).then(|| (2 * hundredfold(ratio, decimals) + whole) / (2 * whole))
}

/// The percentage rounded half up at the fourth decimal; `None` where the whole is 0.
pub(super) fn rounded_decimal(ratio: Ratio) -> Option<Decimal> {
    rounded(ratio, MOST_DECIMALS).map(|number| scaled(number, MOST_DECIMALS).normalize())
}

/// How a stated percentage stands to its parts, with the sibling that it complements.
fn judged(percentages: &[Percentage<'_>], at: usize) -> Option<(Discrepancy, Option<usize>)> {
    let Percentage { says, parts, .. } = &percentages[at];
    let (says, parts) = ((*says)?, (*parts)?);
    Some(match classify(parts, says) {
        Class::Exact => (Discrepancy::Exact, None),
        Class::Rounded => (Discrepancy::Rounded, None),
        Class::Truncated => (Discrepancy::Truncated, None),
        Class::Undefined => (Discrepancy::Undefined, None),
        Class::Wrong => match complement(percentages, at, parts, says) {
            Some(sibling) => (Discrepancy::ComplementAdjusted, Some(sibling)),
            None => (Discrepancy::Wrong, None),
        },
    })
}

fn recomputed(
    figures: &Figures<'_>,
    percentage: &Percentage<'_>,
    (discrepancy, sibling): (Discrepancy, Option<usize>),
    at: usize,
) -> Option<Finding> {
    let (says, parts) = (percentage.says?, percentage.parts?);
    let label = figures.label(&percentage.value.key.indicator);
    let (severity, message, message_en) = match discrepancy {
        Discrepancy::Exact | Discrepancy::Rounded => return None,
        Discrepancy::Truncated => (
            Severity::Info,
            format!("Tỷ lệ của “{label}” bị cắt bớt chữ số, không được làm tròn."),
            format!("The percentage of “{label}” is cut off instead of rounded."),
        ),
        Discrepancy::Undefined => (
            Severity::Warning,
            format!("“{label}” có mẫu số bằng 0 nên không có tỷ lệ phần trăm."),
            format!("The whole of “{label}” is 0: there is no percentage."),
        ),
        Discrepancy::ComplementAdjusted => {
            let sibling = sibling.map_or("", |at| figures.label(&figures.values[at].key.indicator));
            (
                Severity::Info,
                format!("Tỷ lệ của “{label}” được lấy bằng 100 % trừ đi tỷ lệ của “{sibling}”."),
                format!("The percentage of “{label}” is 100 % less that of “{sibling}”."),
            )
        }
        Discrepancy::Wrong => (
            Severity::Error,
            format!("Tỷ lệ của “{label}” không khớp với tử số và mẫu số."),
            format!("The percentage of “{label}” is not what its part and whole give."),
        ),
    };
    let decimals = says.decimals().max(2);
    let recomputed = rounded(parts, decimals).map(|number| scaled(number, decimals));
    let of = format!("{}/{}", number(parts.part()), number(parts.whole()));
    let says = decimal(says.decimal());
    let evidence = match recomputed {
        Some(percent) => format!("{of} = {} %; báo cáo ghi {says} %", decimal(percent)),
        None => format!("{of}; báo cáo ghi {says} %"),
    };
    let says = (message, message_en);
    let finding = Finding::new("percent_recomputed", severity, "values", says, evidence);
    let finding = finding.at_value(figures.values, at).involving(sibling);
    let finding = match percentage.value.figure {
        // Its whole is a figure of its own.
        Figure::Count(_) | Figure::Money(_) => finding.involving(figures.wholes(at)),
        _ => finding,
    };
    Some(Finding { discrepancy: Some(discrepancy), recomputed, ..finding })
}

impl<'a> Figures<'a> {
    /// Where the figures stand that are the whole of one.
    fn wholes(&self, at: usize) -> Vec<usize> {
        let value = &self.values[at];
        self.whole(value).into_iter().flat_map(|whole| self.beside(whole, &value.key)).collect()
    }
}

/// The figure that makes up the whole together with this one, and whose stated percentage, itself no worse than cut
/// off, makes up 100 together with `says`.
fn complement(
    percentages: &[Percentage<'_>],
    at: usize,
    parts: Ratio,
    says: Percent,
) -> Option<usize> {
    let key = &percentages[at].value.key;
    percentages.iter().position(|other| {
        let Percentage { value: sibling, says: Some(theirs), parts: Some(rest) } = other else {
            return false;
        };
        rest.whole() == parts.whole()
            && rest.part() == parts.whole() - parts.part()
            && theirs.decimal() + says.decimal() == Decimal::ONE_HUNDRED
            && sibling.key != *key
            && sibling.key.comparable(key)
            && !matches!(classify(*rest, *theirs), Class::Wrong | Class::Undefined)
    })
}

fn impossible(figures: &Figures<'_>, at: usize) -> Option<Finding> {
    let value = &figures.values[at];
    let (percent, qualifier) = match value.figure {
        Figure::Percent(percent) => (percent, value.qualifier),
        // The qualifier is the count's, not the percentage's beside it.
        Figure::Count(_) | Figure::Ratio(_) | Figure::Money(_) => {
            (value.stated_percent?, Qualifier::Exact)
        }
        Figure::Text(_) | Figure::Choice(_) => return None,
    };
    let more = matches!(qualifier, Qualifier::MoreThan | Qualifier::AboutMoreThan);
    let percent = percent.decimal();
    if percent < Decimal::ONE_HUNDRED || (percent == Decimal::ONE_HUNDRED && !more) {
        return None;
    }
    let label = figures.label(&value.key.indicator);
    let says = (
        format!("Tỷ lệ của “{label}” vượt quá 100 %."),
        format!("The percentage of “{label}” is more than 100 %."),
    );
    let evidence = format!("báo cáo ghi {}{} %", wording::qualifier(qualifier), decimal(percent));
    let finding = Finding::new("percent_impossible", Severity::Error, "values", says, evidence);
    Some(finding.at_value(figures.values, at))
}

fn without_denominator(
    figures: &Figures<'_>,
    percentage: &Percentage<'_>,
    at: usize,
) -> Option<Finding> {
    let value = percentage.value;
    let percent = match value.figure {
        _ if value.key.role != Role::Actual => return None,
        Figure::Ratio(_) => return None,
        Figure::Percent(percent) => figures.whole(value).map(|_| percent)?,
        // A percentage beside a count is of something; where that is stated elsewhere, it is recomputed.
        Figure::Count(_) | Figure::Money(_) => {
            value.stated_percent.filter(|_| percentage.parts.is_none())?
        }
        Figure::Text(_) | Figure::Choice(_) => return None,
    };
    let label = figures.label(&value.key.indicator);
    let wholes = figures.wholes(at);
    let says = match wholes.first() {
        None => (
            format!(
                "Tỷ lệ của “{label}” không kèm tử số và mẫu số nên không kiểm tra, tổng hợp được."
            ),
            format!(
                "The percentage of “{label}” has no part and whole: it is neither checked nor added."
            ),
        ),
        // Told as what it is.
        Some(_) if exceeded(figures, at).is_some() => return None,
        Some(whole) => {
            let whole = figures.label(&figures.values[*whole].key.indicator);
            (
                format!(
                    "Tỷ lệ của “{label}” không kiểm tra được: mẫu số “{whole}” không được nêu một \
                     lần và chính xác."
                ),
                format!(
                    "The percentage of “{label}” is not checked: its whole “{whole}” is not stated \
                     once and exactly."
                ),
            )
        }
    };
    let evidence = format!("báo cáo ghi {} %", decimal(percent.decimal()));
    let rule = "percent_without_denominator";
    let finding = Finding::new(rule, Severity::Info, "values", says, evidence);
    Some(finding.at_value(figures.values, at).involving(wholes))
}

/// A count, and the one whole that is stated for it and is less.
fn exceeded(figures: &Figures<'_>, at: usize) -> Option<(u64, u64)> {
    let value = &figures.values[at];
    let part = value.exact_count()?;
    let whole = figures.stated_once(figures.whole(value)?, &value.key)?;
    (part > whole).then_some((part, whole))
}

fn part_exceeds_whole(figures: &Figures<'_>, at: usize) -> Option<Finding> {
    let (part, of) = exceeded(figures, at)?;
    let value = &figures.values[at];
    let (label, whole) =
        (figures.label(&value.key.indicator), figures.label(figures.whole(value)?));
    let says = (
        format!("“{label}” lớn hơn “{whole}” mà nó là một phần."),
        format!("“{label}” is more than “{whole}”, of which it is a part."),
    );
    let evidence = format!("{} > {}", number(part), number(of));
    let finding = Finding::new("part_exceeds_whole", Severity::Error, "values", says, evidence);
    Some(finding.at_value(figures.values, at).involving(figures.wholes(at)))
}

fn denominator_contradicts(figures: &Figures<'_>, at: usize) -> Option<Finding> {
    let value = &figures.values[at];
    let Figure::Ratio(ratio) = value.figure else { return None };
    if value.qualifier != Qualifier::Exact {
        return None;
    }
    let whole = figures.whole(value)?;
    let differs = |at: usize| {
        let other = figures.values[at].exact_count().filter(|other| *other != ratio.whole());
        other.map(|other| (at, other))
    };
    let (contradicts, other) = figures.beside(whole, &value.key).find_map(differs)?;
    let (label, whole) = (figures.label(&value.key.indicator), figures.label(whole));
    let says = (
        format!("Mẫu số của “{label}” khác với số liệu “{whole}” trong cùng báo cáo."),
        format!("The whole of “{label}” is not the figure “{whole}” of the same report."),
    );
    let evidence = format!("mẫu số ghi {}; “{whole}” ghi {}", number(ratio.whole()), number(other));
    let rule = "denominator_contradicts";
    let finding = Finding::new(rule, Severity::Error, "values", says, evidence);
    Some(finding.at_value(figures.values, at).involving([contradicts]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::check::fixture::{Draft, rules};

    fn class(part: u64, whole: u64, stated: &str) -> Class {
        classify(Ratio::new(part, whole).unwrap(), stated.parse().unwrap())
    }

    #[test]
    fn a_stated_percentage_is_right_when_it_is_rounded_half_up_at_its_last_decimal() {
        for (part, whole, stated, expected) in [
            (157, 157, "100", Class::Exact),
            (157, 157, "100.00", Class::Exact),
            (513, 550, "93.27", Class::Rounded),
            (7238, 12230, "59.18", Class::Rounded),
            (74230, 116606, "63.66", Class::Rounded),
            (300, 500, "60", Class::Exact),
            (0, 1291, "0", Class::Exact),
            (465, 550, "84.55", Class::Rounded),
            (465, 550, "84.54", Class::Truncated),
            (465, 550, "84.5", Class::Rounded),
            (465, 550, "85", Class::Rounded),
            (465, 550, "84", Class::Truncated),
            (465, 550, "84.540", Class::Wrong),
            (85, 550, "15.46", Class::Wrong),
            (85, 550, "15.45", Class::Rounded),
            (3794, 4433, "85", Class::Truncated),
            (3794, 4433, "86", Class::Rounded),
            (17236, 17307, "99.99", Class::Wrong),
            (17236, 17307, "99.59", Class::Rounded),
            (17236, 17307, "99.58", Class::Truncated),
            (1, 2, "50.0", Class::Exact),
            (1, 200, "1", Class::Rounded),
            (1, 200, "0", Class::Truncated),
            (1, 3, "33.3334", Class::Wrong),
            (0, 0, "0", Class::Undefined),
            (0, 0, "100", Class::Undefined),
            (u64::MAX, u64::MAX, "100.0000", Class::Exact),
            (u64::MAX - 1, u64::MAX, "100.0000", Class::Rounded),
            (u64::MAX - 1, u64::MAX, "99.9999", Class::Truncated),
        ] {
            assert_eq!(class(part, whole, stated), expected, "{part}/{whole} {stated}");
        }
    }

    #[test]
    fn each_kind_of_discrepancy_is_told_with_its_evidence() {
        let draft = Draft::of("202605")
            .value("dossiers_received_total;;550")
            .value("dossiers_received_online;;465/550;84.54")
            .value("dossiers_received_direct;;85/550;15.46")
            .value("documents_issued_digitally_signed;;17236/17307;99.99")
            .value("dossiers_overdue_total_actual;x;0/0;0");
        let findings = draft.findings();
        let seen: Vec<_> = findings
            .iter()
            .map(|f| (f.field.as_str(), f.severity, f.discrepancy, f.evidence.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (
                    "values[1]",
                    Severity::Info,
                    Some(Discrepancy::Truncated),
                    "465/550 = 84,55 %; báo cáo ghi 84,54 %"
                ),
                (
                    "values[2]",
                    Severity::Info,
                    Some(Discrepancy::ComplementAdjusted),
                    "85/550 = 15,45 %; báo cáo ghi 15,46 %"
                ),
                (
                    "values[3]",
                    Severity::Error,
                    Some(Discrepancy::Wrong),
                    "17.236/17.307 = 99,59 %; báo cáo ghi 99,99 %"
                ),
                (
                    "values[4]",
                    Severity::Warning,
                    Some(Discrepancy::Undefined),
                    "0/0; báo cáo ghi 0 %"
                ),
            ]
        );
        let recomputed: Vec<_> =
            findings.iter().map(|f| f.recomputed.map(|percent| percent.to_string())).collect();
        assert_eq!(recomputed[2], Some("99.59".to_owned()));
        assert_eq!(recomputed[3], None);
        assert!(
            findings[1].message.contains("Hồ sơ tiếp nhận trực tuyến"),
            "{}",
            findings[1].message
        );
    }

    #[test]
    fn two_wrong_percentages_do_not_excuse_each_other_by_adding_up() {
        let draft = Draft::of("202605")
            .value("dossiers_received_online;;465/550;90")
            .value("dossiers_received_direct;;85/550;10");
        for finding in draft.findings() {
            assert_eq!(finding.discrepancy, Some(Discrepancy::Wrong), "{}", finding.evidence);
        }
        let elsewhere = Draft::of("202605")
            .value("dossiers_received_online;Hộ tịch;465/550;84.54")
            .value("dossiers_received_direct;Đất đai;85/550;15.46");
        assert_eq!(elsewhere.findings()[1].discrepancy, Some(Discrepancy::Wrong));
    }

    #[test]
    fn a_percentage_beside_a_count_is_held_against_the_whole_stated_elsewhere() {
        let draft = Draft::of("202605")
            .value("dossiers_received_total;;550")
            .value("dossiers_received_online;;465;48.54");
        let findings = draft.findings();
        assert_eq!(rules(&findings), "percent_recomputed");
        assert_eq!(findings[0].evidence, "465/550 = 84,55 %; báo cáo ghi 48,54 %");
    }

    #[test]
    fn a_percentage_without_its_whole_is_worth_knowing() {
        for (value, found) in [
            ("dossiers_of_published_procedures;;1291;100", true),
            ("dossiers_received_online;;465;84.54", true),
            ("documents_issued_digitally_signed;;100%", true),
            ("staff_with_computer;;100%", false),
            ("dossiers_received_online;;465", false),
            ("documents_issued_digitally_signed;;100%;;target", false),
        ] {
            let findings = Draft::of("202605").value(value).findings();
            let expected = if found { "percent_without_denominator" } else { "" };
            assert_eq!(rules(&findings), expected, "{value}");
        }
    }

    #[test]
    fn a_part_that_is_more_than_its_whole_is_wrong_whatever_is_stated_beside_it() {
        const PART: &str = "dossiers_received_online;;12";
        for (part, wholes, expected) in [
            (PART, vec!["10"], "part_exceeds_whole"),
            (PART, vec!["12"], ""),
            (PART, vec!["10", "11;;;;2026-05-13"], ""),
            (PART, vec!["10;;;about"], ""),
            (
                "dossiers_received_online;;12;120",
                vec!["10"],
                "percent_impossible, part_exceeds_whole",
            ),
            ("dossiers_received_online;;9;90", vec!["10;;;about"], "percent_without_denominator"),
        ] {
            let mut draft = Draft::of("202605").value(part);
            for whole in &wholes {
                draft = draft.value(&format!("dossiers_received_total;;{whole}"));
            }
            let findings = draft.findings();
            let own = findings.iter().filter(|one| one.field == "values[0]").cloned();
            assert_eq!(rules(&own.collect::<Vec<_>>()), expected, "{part} {wholes:?}");
        }
        let findings =
            Draft::of("202605").value(PART).value("dossiers_received_total;;10").findings();
        let found = findings.iter().find(|one| one.rule == "part_exceeds_whole").unwrap();
        assert_eq!((found.evidence.as_str(), &found.values[..]), ("12 > 10", &[0, 1][..]));
        assert_eq!(
            found.message,
            "“Hồ sơ tiếp nhận trực tuyến” lớn hơn “Hồ sơ tiếp nhận trong kỳ” mà nó là một phần."
        );
    }

    #[test]
    fn more_than_everything_is_impossible() {
        for (value, evidence) in [
            ("staff_with_computer;;100%", None),
            ("staff_with_computer;;100%;;;about", None),
            ("staff_with_computer;;99.99%;;;more_than", None),
            ("staff_with_computer;;100.01%", Some("báo cáo ghi 100,01 %")),
            ("staff_with_computer;;100%;;;more_than", Some("báo cáo ghi trên 100 %")),
            ("staff_with_computer;;100%;;;about_more_than", Some("báo cáo ghi khoảng trên 100 %")),
            ("people_with_digital_signature;;300/500;160", Some("báo cáo ghi 160 %")),
        ] {
            let findings = Draft::of("202605").value(value).findings();
            let impossible = findings.iter().find(|f| f.rule == "percent_impossible");
            assert_eq!(impossible.map(|f| f.evidence.as_str()), evidence, "{value}");
        }
    }

    #[test]
    fn a_whole_may_not_contradict_what_is_stated_of_it() {
        let total = "dossiers_resolved_total;;1291";
        for (value, found) in [
            ("dossiers_resolved_late_actual;;0/0", true),
            ("dossiers_resolved_late_actual;;0/1291", false),
            ("dossiers_resolved_late_actual;;0/1300;;;about", false),
            ("dossiers_resolved_late_actual;;0/1300;;target", false),
            ("dossiers_resolved_late_actual;Hộ tịch;0/1300", false),
            ("dossiers_resolved_late_actual;;0/1300;;;;2026-05-14", true),
        ] {
            let findings = Draft::of("202605").value(total).value(value).findings();
            let expected = if found { "denominator_contradicts" } else { "" };
            assert_eq!(rules(&findings), expected, "{value}");
        }
        let dated = Draft::of("202605")
            .value("dossiers_resolved_total;;1291;;;;2026-05-13")
            .value("dossiers_resolved_late_actual;;0/1300;;;;2026-05-14");
        let rules = rules(&dated.findings());
        assert!(!rules.contains("denominator_contradicts"), "{rules}");
        let late = Draft::of("202605").value(total).value("dossiers_resolved_late_actual;;0/0");
        assert_eq!(late.findings()[0].evidence, "mẫu số ghi 0; “Hồ sơ đã giải quyết” ghi 1.291");
    }

    #[test]
    fn approximate_figures_are_not_recomputed() {
        let draft = Draft::of("202605").value("people_with_digital_signature;;300/500;61;;about");
        assert_eq!(rules(&draft.findings()), "");
    }

    /// 100 × part / whole by long division, digit by digit: the digits up to the last decimal, and what is left.
    fn long_division(part: u64, whole: u64, decimals: u32) -> (String, u128) {
        let mut digits = String::new();
        let mut rest = 0_u128;
        let mut dividend = part.to_string();
        dividend.push_str("00");
        dividend.push_str(&"0".repeat(decimals as usize));
        for digit in dividend.bytes() {
            rest = rest * 10 + u128::from(digit - b'0');
            let mut quotient = 0;
            while rest >= u128::from(whole) {
                rest -= u128::from(whole);
                quotient += 1;
            }
            digits.push(char::from(b'0' + quotient));
        }
        (digits, rest)
    }

    proptest! {
        #[test]
        fn classes_agree_with_long_division(
            whole in prop_oneof![1_u64..2000, 1_u64..=u64::MAX],
            share in 0.0_f64..=1.0,
            decimals in 0_u32..=4,
            off in -2_i64..=2,
        ) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "any part will do")]
            let part = ((whole as f64 * share) as u64).min(whole);
            let (digits, rest) = long_division(part, whole, decimals);
            let floor: i64 = digits.parse().unwrap();
            let half_up = floor + i64::from(2 * rest >= u128::from(whole));
            let says = (floor + off).max(0);
            let stated = Decimal::new(says, decimals).to_string();
            let expected = if says == half_up && rest == 0 {
                Class::Exact
            } else if says == half_up {
                Class::Rounded
            } else if says == floor {
                Class::Truncated
            } else {
                Class::Wrong
            };
            prop_assert_eq!(class(part, whole, &stated), expected, "{}/{} {}", part, whole, stated);
        }
    }
}
