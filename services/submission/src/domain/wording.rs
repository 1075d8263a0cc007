//! Numbers, dates and periods as Vietnamese officials write them.

use dunghan_calendar::{Family, Frequency, Period, zone};
use rust_decimal::Decimal;

use super::report::Place;
use super::value::{Figure, Qualifier, Value};

/// 17.236
pub(crate) fn number(n: impl Into<i128>) -> String {
    let n = n.into();
    let digits = n.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    if n < 0 {
        text.push('-');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('.');
        }
        text.push(digit);
    }
    text
}

/// 99,59
pub(crate) fn decimal(value: Decimal) -> String {
    value.to_string().replace('.', ",")
}

/// "khoảng " and the like; nothing for what is exact.
pub(crate) fn qualifier(qualifier: Qualifier) -> &'static str {
    match qualifier {
        Qualifier::Exact => "",
        Qualifier::MoreThan => "trên ",
        Qualifier::About => "khoảng ",
        Qualifier::AboutMoreThan => "khoảng trên ",
    }
}

/// 17.236/17.307, khoảng 600, 84,5 %, 1.500.000 đồng, or a text as it is. A percentage beside it stands in brackets.
pub(crate) fn figure(value: &Value) -> String {
    let figure = match &value.figure {
        Figure::Count(count) => number(*count),
        Figure::Ratio(ratio) => format!("{}/{}", number(ratio.part()), number(ratio.whole())),
        Figure::Percent(percent) => format!("{} %", decimal(percent.decimal())),
        Figure::Money(amount) => format!("{} đồng", number(*amount)),
        Figure::Text(text) | Figure::Choice(text) => text.clone(),
    };
    let beside = value.stated_percent.map(|percent| format!(" ({} %)", decimal(percent.decimal())));
    format!("{}{figure}{}", qualifier(value.qualifier), beside.unwrap_or_default())
}

/// Of a text.
pub(crate) fn place(place: Place) -> &'static str {
    match place {
        Place::Title => "tiêu đề",
        Place::Opening => "phần mở đầu",
        Place::Body => "phần nội dung",
        Place::Closing => "phần kết",
    }
}

/// tháng 5 năm 2026
pub(crate) fn period(period: Period) -> String {
    let (year, month) = period.last_month();
    match period.frequency() {
        Frequency::Month => format!("tháng {month} năm {year}"),
        Frequency::Quarter => {
            let quarter = ["I", "II", "III", "IV"];
            let at = usize::try_from(month / 3).unwrap_or(1).clamp(1, 4) - 1;
            format!("quý {} năm {year}", quarter[at])
        }
        Frequency::SixMonths if month == 6 => format!("6 tháng đầu năm {year}"),
        Frequency::SixMonths => format!("6 tháng cuối năm {year}"),
        Frequency::NineMonths => format!("9 tháng đầu năm {year}"),
        Frequency::Year => format!("năm {year}"),
        Frequency::Interval => {
            // An interval is itself in every family.
            let window = period.window(Family::Calendar);
            format!("từ {} đến {}", zone::date_vi(window.first), zone::date_vi(window.cut_off))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::value::{Key, Ratio, Role};

    #[test]
    fn thousands_have_points_and_decimals_a_comma() {
        for (n, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1.000"),
            (17_236, "17.236"),
            (-1_234_567, "-1.234.567"),
        ] {
            assert_eq!(number(n), text);
        }
        assert_eq!(decimal("99.50".parse().unwrap()), "99,50");
    }

    #[test]
    fn a_figure_is_written_as_an_official_writes_it() {
        let value = |figure, qualifier, stated: Option<&str>| Value {
            key: Key {
                indicator: String::new(),
                category: String::new(),
                role: Role::Actual,
                start: None,
                end: None,
            },
            figure,
            qualifier,
            stated_percent: stated.map(|stated| stated.parse().unwrap()),
            quote: String::new(),
            discrepancy: None,
        };
        let ratio = Figure::Ratio(Ratio::new(17_236, 17_307).unwrap());
        for (value, text) in [
            (value(Figure::Count(1685), Qualifier::Exact, None), "1.685"),
            (value(Figure::Count(600), Qualifier::About, None), "khoảng 600"),
            (value(ratio, Qualifier::Exact, Some("99.99")), "17.236/17.307 (99,99 %)"),
            (
                value(Figure::Percent("100".parse().unwrap()), Qualifier::AboutMoreThan, None),
                "khoảng trên 100 %",
            ),
            (value(Figure::Money(1_500_000), Qualifier::MoreThan, None), "trên 1.500.000 đồng"),
            (value(Figure::Choice("Có".to_owned()), Qualifier::Exact, None), "Có"),
        ] {
            assert_eq!(figure(&value), text);
        }
    }

    #[test]
    fn a_period_is_written_out() {
        for (name, text) in [
            ("202605", "tháng 5 năm 2026"),
            ("2026Q1", "quý I năm 2026"),
            ("2026Q4", "quý IV năm 2026"),
            ("2024S1", "6 tháng đầu năm 2024"),
            ("2024S2", "6 tháng cuối năm 2024"),
            ("2024N9", "9 tháng đầu năm 2024"),
            ("2023", "năm 2023"),
            ("2023-01-01--2024-05-31", "từ 01/01/2023 đến 31/05/2024"),
        ] {
            assert_eq!(period(name.parse().unwrap()), text);
        }
    }
}
