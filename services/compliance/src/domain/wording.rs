//! How an official would say it in Vietnamese.

use chrono::{Datelike as _, NaiveDate, Weekday};
use dunghan_calendar::{Day, DayKind, DueMonth, DueRule, Frequency, Period, Window, zone};
use dunghan_hierarchy::Level;

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
            format!("{} ngày làm việc sau ngày chốt số liệu", count(days.into()))
        }
        DueRule::DayOfMonth { day, month: DueMonth::Number(month) } => {
            // As dates are written out (Decree 30/2020/NĐ-CP): only the months 1 and 2 have a leading 0.
            let zero = if month < 3 { "0" } else { "" };
            format!("ngày {day:02} tháng {zero}{month}")
        }
        DueRule::DayOfMonth { day, month: DueMonth::Last } => {
            format!("ngày {day:02} của tháng cuối kỳ báo cáo")
        }
        DueRule::On(date) => format!("ngày {}", zone::date_vi(date)),
    }
}

/// A number of things: `03`, `12`, `3.321`.
pub fn count(count: usize) -> String {
    let digits = format!("{count:02}");
    let grouped = digits.char_indices().map(|(at, digit)| {
        let left = digits.len() - at;
        if at > 0 && left.is_multiple_of(3) { format!(".{digit}") } else { digit.to_string() }
    });
    grouped.collect()
}

/// The units of a level: `đơn vị hành chính cấp xã`.
pub fn level(level: Level) -> &'static str {
    match level {
        Level::Province => "đơn vị hành chính cấp tỉnh",
        Level::District => "đơn vị hành chính cấp huyện",
        Level::Commune => "đơn vị hành chính cấp xã",
        Level::Department => "cơ quan chuyên môn",
        Level::School => "cơ sở giáo dục",
        Level::Other => "đơn vị",
    }
}

/// `Phường Trí Quả (09427)`, or the name alone where there is no code.
pub fn unit(display_name: &str, code: &str) -> String {
    if code.is_empty() { display_name.to_owned() } else { format!("{display_name} ({code})") }
}

/// `Phường Trí Quả (mã 09427)`, or the name alone where there is no code: as a text begins.
pub fn coded(display_name: &str, code: &str) -> String {
    if code.is_empty() { display_name.to_owned() } else { format!("{display_name} (mã {code})") }
}

/// A unit's name in the middle of a sentence: the word for its kind is small there, `tỉnh Bắc Ninh`; a department's is not. It
/// keeps its capital before a number, and in `Thành phố Hồ Chí Minh` (Decree 30/2020/NĐ-CP, appendix II). So it does before
/// the name of a person or an event, which no list here tells from that of a place.
pub fn within_sentence(name: &str) -> String {
    const KINDS: [&str; 9] = [
        "Tỉnh ",
        "Thành phố ",
        "Quận ",
        "Huyện ",
        "Thị xã ",
        "Xã ",
        "Phường ",
        "Thị trấn ",
        "Đặc khu ",
    ];
    let kind = KINDS.into_iter().find(|kind| name.starts_with(kind)).unwrap_or_default();
    let own = &name[kind.len()..];
    if own.starts_with(|first: char| first.is_ascii_digit()) || own == "Hồ Chí Minh" {
        return name.to_owned();
    }
    format!("{}{own}", kind.to_lowercase())
}

/// Why a day is no working day: `Thứ Bảy`, `Quốc khánh`, `Tết Nguyên đán (nghỉ bù)`.
pub fn day_off(date: NaiveDate, day: &Day) -> String {
    let name = day.name.clone().unwrap_or_default();
    match day.kind {
        // The list says itself for what a day in lieu is.
        DayKind::Holiday | DayKind::InLieu if !name.is_empty() => name,
        DayKind::InLieu => "nghỉ bù".to_owned(),
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
    fn counts_below_ten_have_two_digits_and_thousands_a_dot() {
        for (number, words) in [
            (0, "00"),
            (3, "03"),
            (12, "12"),
            (999, "999"),
            (3321, "3.321"),
            (1_234_567, "1.234.567"),
        ] {
            assert_eq!(count(number), words);
        }
    }

    #[test]
    fn a_fixed_due_date_is_written_as_dates_are() {
        for (day, month, words) in
            [(24, 5, "ngày 24 tháng 5"), (6, 2, "ngày 06 tháng 02"), (25, 12, "ngày 25 tháng 12")]
        {
            let month = DueMonth::number(month).unwrap();
            assert_eq!(due_rule(DueRule::day_of_month(day, month).unwrap()), words);
        }
    }

    #[test]
    fn the_word_for_a_kind_is_small_within_a_sentence() {
        for (name, words) in [
            ("Tỉnh Bắc Ninh", "tỉnh Bắc Ninh"),
            ("Đặc khu Thổ Châu", "đặc khu Thổ Châu"),
            ("Thành phố Huế", "thành phố Huế"),
            ("Thành phố Hồ Chí Minh", "Thành phố Hồ Chí Minh"),
            ("Phường 1", "Phường 1"),
            ("Quận 10", "Quận 10"),
            ("Sở Khoa học và Công nghệ", "Sở Khoa học và Công nghệ"),
            ("", ""),
        ] {
            assert_eq!(within_sentence(name), words);
        }
    }

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
