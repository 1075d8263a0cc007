//! How an official would say it in Vietnamese.

use chrono::{Datelike as _, NaiveDate, Weekday};
use dunghan_calendar::{Day, DayKind, DueMonth, DueRule, Frequency, Period, Window, zone};

/// `tháng 5 năm 2026`, `6 tháng đầu năm 2024`, `từ ngày 01/01/2023 đến ngày 31/05/2024`.
pub fn period(period: Period, window: Window) -> String {
    let (year, month) = period.last_month();
    match period.frequency() {
        Frequency::Month => format!("tháng {month} năm {year}"),
        Frequency::Quarter => {
            let quarter = ["I", "II", "III", "IV"][(month.clamp(1, 12) as usize - 1) / 3];
            format!("quý {quarter} năm {year}")
        }
        Frequency::SixMonths if month <= 6 => format!("6 tháng đầu năm {year}"),
        Frequency::SixMonths => format!("6 tháng cuối năm {year}"),
        Frequency::NineMonths => format!("9 tháng đầu năm {year}"),
        Frequency::Year => format!("năm {year}"),
        Frequency::Interval => format!(
            "từ ngày {} đến ngày {}",
            zone::date_vi(window.first),
            zone::date_vi(window.cut_off)
        ),
    }
}

/// `03 ngày làm việc sau ngày chốt số liệu`, `ngày 24 tháng 5`.
pub fn due_rule(rule: DueRule) -> String {
    match rule {
        DueRule::WorkingDaysAfterCutOff(days) => {
            format!("{days:02} ngày làm việc sau ngày chốt số liệu")
        }
        DueRule::DayOfMonth { day, month: DueMonth::Number(month) } => {
            format!("ngày {day:02} tháng {month:02}")
        }
        DueRule::DayOfMonth { day, month: DueMonth::Last } => {
            format!("ngày {day:02} của tháng cuối kỳ báo cáo")
        }
    }
}

/// Why a day is no working day: `Thứ Bảy`, or the holiday's name.
pub fn day_off(date: NaiveDate, day: &Day) -> String {
    let name = day.name.clone().unwrap_or_default();
    match day.kind {
        DayKind::Holiday if !name.is_empty() => name,
        DayKind::InLieu => format!("nghỉ bù, nghỉ hoán đổi ({name})"),
        _ => weekday(date).to_owned(),
    }
}

fn weekday(date: NaiveDate) -> &'static str {
    match date.weekday() {
        Weekday::Mon => "Thứ Hai",
        Weekday::Tue => "Thứ Ba",
        Weekday::Wed => "Thứ Tư",
        Weekday::Thu => "Thứ Năm",
        Weekday::Fri => "Thứ Sáu",
        Weekday::Sat => "Thứ Bảy",
        Weekday::Sun => "Chủ nhật",
    }
}

#[cfg(test)]
mod tests {
    use dunghan_calendar::Family;

    use super::*;

    #[test]
    fn periods_are_named_as_officials_name_them() {
        for (name, words) in [
            ("202605", "tháng 5 năm 2026"),
            ("2026Q2", "quý II năm 2026"),
            ("2024S1", "6 tháng đầu năm 2024"),
            ("2024S2", "6 tháng cuối năm 2024"),
            ("2024N9", "9 tháng đầu năm 2024"),
            ("2023", "năm 2023"),
            ("2023-01-01--2024-05-31", "từ ngày 01/01/2023 đến ngày 31/05/2024"),
        ] {
            let parsed: Period = name.parse().unwrap();
            assert_eq!(period(parsed, parsed.window(Family::Nd09)), words);
        }
    }
}
