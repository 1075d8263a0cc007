//! Numbers, dates and periods as Vietnamese officials write them.

use dunghan_calendar::{Family, Frequency, Period, zone};
use rust_decimal::Decimal;

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
