//! The days off of a year by law alone, as far as law and moon tell them before anybody decides on that year.
//!
//! Labour Code 2019, article 112: new year's day, five days of Tết, Hùng Kings' day (10/3 by the moon), 30 April,
//! 1 May, and 2 September with one day beside it; 24 November from 2026 (Resolution 28/2026/QH16). A holiday on a day
//! of rest gives the next working day off (article 111(3)).
//!
//! Which five days of Tết, and which day beside 2 September, the Prime Minister decides every year (article 112(3)).
//! Here Tết is the last day of the old year and the first four of the new one. Beside 2 September it is the 3rd
//! where the 2nd is a Monday or a Thursday, else the 1st, as decided from 2021 to 2026. Swapped Saturdays are not
//! guessed.

use std::sync::OnceLock;

use chrono::{Datelike, Days, NaiveDate, Weekday};

use crate::{Certainty, LunarDate, SpecialDay, SpecialKind, lunar, working::is_weekend};

const BY_THE_CODE: &str = "Bộ luật Lao động 2019, Điều 112 (dự kiến)";
const IN_LIEU: &str = "Bộ luật Lao động 2019, khoản 3 Điều 111 (dự kiến)";
const BY_RESOLUTION: &str = "Nghị quyết 28/2026/QH16 (dự kiến)";

/// The years from which each is a holiday, or more than one day; earlier codes gave fewer.
const HUNG_KINGS_SINCE: i32 = 2007;
const FIVE_DAYS_OF_TET_SINCE: i32 = 2014;
const DAY_BESIDE_NATIONAL_DAY_SINCE: i32 = 2021;
const CULTURE_DAY_SINCE: i32 = 2026;

/// A day off by law alone.
#[derive(Debug)]
pub(crate) struct Statutory {
    /// The day that its holiday is about, such as the first of Tết: whoever says something of that day knows of a
    /// decision, and the whole holiday is then as decided.
    pub(crate) chief: NaiveDate,
    pub(crate) day: SpecialDay,
}

/// The days off of that year, by date; none outside the years 1900 to 2299. Computed once.
pub(crate) fn days_off(year: i32) -> &'static [Statutory] {
    const YEARS: usize = (*lunar::YEARS.end() - *lunar::YEARS.start() + 1) as usize;
    // No state: whoever comes first computes what anybody would.
    static DAYS_OFF: [OnceLock<Vec<Statutory>>; YEARS] = [const { OnceLock::new() }; YEARS];
    let place = usize::try_from(year - lunar::YEARS.start()).ok();
    match place.and_then(|place| DAYS_OFF.get(place)) {
        Some(days) => days.get_or_init(|| compute(year)),
        None => &[],
    }
}

fn compute(year: i32) -> Vec<Statutory> {
    let mut days_off: Vec<Statutory> = Vec::new();
    let holidays = holidays(year);
    for holiday in &holidays {
        for (date, which) in &holiday.days {
            let name = format!("{}{which}", holiday.name);
            days_off.push(holiday.gives(*date, SpecialKind::Public, name, holiday.source));
        }
    }
    let mut at_rest: Vec<_> = holidays
        .iter()
        .flat_map(|holiday| holiday.days.iter().map(move |(date, _)| (*date, holiday)))
        .filter(|(date, _)| is_weekend(*date))
        .collect();
    at_rest.sort_by_key(|(date, _)| *date);
    for (date, holiday) in at_rest {
        let free = |date: &NaiveDate| {
            !is_weekend(*date) && days_off.iter().all(|off| off.day.date != *date)
        };
        if let Some(next) = date.iter_days().find(free) {
            let name = format!("{} (nghỉ bù)", holiday.name);
            days_off.push(holiday.gives(next, SpecialKind::InLieu, name, IN_LIEU));
        }
    }
    days_off.sort_by_key(|off| off.day.date);
    days_off
}

/// One holiday, with what its days are called after its name.
struct Holiday {
    name: &'static str,
    source: &'static str,
    chief: NaiveDate,
    days: Vec<(NaiveDate, String)>,
}

impl Holiday {
    fn one_day(name: &'static str, date: NaiveDate) -> Self {
        Self { name, source: BY_THE_CODE, chief: date, days: vec![(date, String::new())] }
    }

    fn gives(&self, date: NaiveDate, kind: SpecialKind, name: String, source: &str) -> Statutory {
        let certainty = Certainty::Estimated;
        let day = SpecialDay { date, kind, name_vi: name, certainty, source: source.to_owned() };
        Statutory { chief: self.chief, day }
    }
}

fn holidays(year: i32) -> Vec<Holiday> {
    let civil = |month, day| NaiveDate::from_ymd_opt(year, month, day);
    let fixed = |name, month, day| Some(Holiday::one_day(name, civil(month, day)?));
    let all = [
        fixed("Tết Dương lịch", 1, 1),
        tet(year),
        hung_kings(year),
        fixed("Ngày Chiến thắng", 4, 30),
        fixed("Ngày Quốc tế Lao động", 5, 1),
        civil(9, 2).map(national_day),
        civil(11, 24).filter(|_| CULTURE_DAY_SINCE <= year).map(|date| Holiday {
            source: BY_RESOLUTION,
            ..Holiday::one_day("Ngày Văn hóa Việt Nam", date)
        }),
    ];
    all.into_iter().flatten().collect()
}

fn tet(year: i32) -> Option<Holiday> {
    let chief = by_moon(year, 1, 1)?;
    let eve = chief.pred_opt()?;
    let eve_of_month_12 = format!(" ({} tháng Chạp)", LunarDate::of(eve)?.day);
    let of_new_year = if FIVE_DAYS_OF_TET_SINCE <= year { 4 } else { 3 };
    let days = chief.iter_days().zip(1..=of_new_year);
    let days = days.map(|(date, day)| (date, format!(" (mùng {day})")));
    let days = std::iter::once((eve, eve_of_month_12)).chain(days).collect();
    Some(Holiday { name: "Tết Nguyên đán", source: BY_THE_CODE, chief, days })
}

fn hung_kings(year: i32) -> Option<Holiday> {
    let date = by_moon(year, 3, 10).filter(|_| HUNG_KINGS_SINCE <= year)?;
    Some(Holiday::one_day("Ngày Giỗ Tổ Hùng Vương", date))
}

fn national_day(date: NaiveDate) -> Holiday {
    let mut holiday = Holiday::one_day("Quốc khánh", date);
    let beside = match date.weekday() {
        Weekday::Mon | Weekday::Thu => date + Days::new(1),
        _ => date - Days::new(1),
    };
    if DAY_BESIDE_NATIONAL_DAY_SINCE <= date.year() {
        holiday.days.push((beside, String::new()));
    }
    holiday
}

fn by_moon(year: i32, month: u32, day: u32) -> Option<NaiveDate> {
    LunarDate { year, month, leap: false, day }.civil()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{date, official};

    fn told<'a>(
        days: impl Iterator<Item = &'a SpecialDay>,
    ) -> Vec<(NaiveDate, SpecialKind, &'a str)> {
        days.map(|day| (day.date, day.kind, day.name_vi.as_str())).collect()
    }

    #[test]
    fn the_decided_years_had_these_days_but_for_tet_and_swaps() {
        for year in 2020..=2027 {
            // In these two years Tết too was the last day of the old year and four of the new one.
            let tet_alike = [2022, 2026].contains(&year);
            let compared = |day: &&SpecialDay| {
                day.date.year() == year
                    && !day.name_vi.contains("hoán đổi")
                    && (tet_alike || !day.name_vi.starts_with("Tết Nguyên đán"))
            };
            let calendar = official();
            let decided = told(calendar.days().filter(compared));
            let computed = told(days_off(year).iter().map(|off| &off.day).filter(compared));
            assert_eq!(computed, decided, "{year}");
        }
    }

    #[test]
    fn the_days_off_of_a_year_to_come_are_these() {
        let expected = [
            // A Saturday.
            ("2028-01-01", SpecialKind::Public, "Tết Dương lịch"),
            ("2028-01-03", SpecialKind::InLieu, "Tết Dương lịch (nghỉ bù)"),
            ("2028-01-25", SpecialKind::Public, "Tết Nguyên đán (29 tháng Chạp)"),
            ("2028-01-26", SpecialKind::Public, "Tết Nguyên đán (mùng 1)"),
            ("2028-01-27", SpecialKind::Public, "Tết Nguyên đán (mùng 2)"),
            ("2028-01-28", SpecialKind::Public, "Tết Nguyên đán (mùng 3)"),
            // A Saturday.
            ("2028-01-29", SpecialKind::Public, "Tết Nguyên đán (mùng 4)"),
            ("2028-01-31", SpecialKind::InLieu, "Tết Nguyên đán (nghỉ bù)"),
            ("2028-04-04", SpecialKind::Public, "Ngày Giỗ Tổ Hùng Vương"),
            // A Sunday, and the Monday after it is a holiday too.
            ("2028-04-30", SpecialKind::Public, "Ngày Chiến thắng"),
            ("2028-05-01", SpecialKind::Public, "Ngày Quốc tế Lao động"),
            ("2028-05-02", SpecialKind::InLieu, "Ngày Chiến thắng (nghỉ bù)"),
            ("2028-09-01", SpecialKind::Public, "Quốc khánh"),
            // A Saturday.
            ("2028-09-02", SpecialKind::Public, "Quốc khánh"),
            ("2028-09-04", SpecialKind::InLieu, "Quốc khánh (nghỉ bù)"),
            ("2028-11-24", SpecialKind::Public, "Ngày Văn hóa Việt Nam"),
        ]
        .map(|(day, kind, name)| (date(day), kind, name));
        assert_eq!(told(days_off(2028).iter().map(|off| &off.day)), expected);
        for off in days_off(2028) {
            assert_eq!(off.day.certainty, Certainty::Estimated);
            assert!(off.day.source.ends_with("(dự kiến)"));
        }
    }

    #[test]
    fn earlier_years_have_the_days_that_earlier_law_gave() {
        let public = |year| {
            let public = days_off(year).iter().filter(|off| off.day.kind == SpecialKind::Public);
            public.count()
        };
        // More are Hùng Kings' day in 2007, the fourth of Tết in 2014, the day beside 2 September in 2021, and 24
        // November in 2026.
        for (year, days) in [
            (2006, 8),
            (2007, 9),
            (2013, 9),
            (2014, 10),
            (2020, 10),
            (2021, 11),
            (2025, 11),
            (2026, 12),
        ] {
            assert_eq!(public(year), days, "{year}");
        }
    }

    #[test]
    fn beside_national_day_is_the_day_that_was_decided_on_such_weekdays() {
        for (national_day, beside) in [
            ("2024-09-02", "2024-09-03"),
            ("2025-09-02", "2025-09-01"),
            ("2026-09-02", "2026-09-01"),
            ("2027-09-02", "2027-09-03"),
            ("2022-09-02", "2022-09-01"),
            ("2023-09-02", "2023-09-01"),
            // A Sunday: off are Saturday to Tuesday, whichever day is taken.
            ("2029-09-02", "2029-09-01"),
        ] {
            let days = super::national_day(date(national_day)).days;
            assert!(days.iter().map(|(date, _)| *date).eq([date(national_day), date(beside)]));
        }
    }

    #[test]
    fn every_day_of_rest_taken_by_a_holiday_is_given_back_after_it() {
        for year in lunar::YEARS {
            let days = days_off(year);
            assert!(days.is_sorted_by(|a, b| a.day.date < b.day.date), "{year}: none twice");
            let (public, in_lieu): (Vec<_>, Vec<_>) =
                days.iter().map(|off| &off.day).partition(|day| day.kind == SpecialKind::Public);
            let at_rest = public.iter().filter(|day| is_weekend(day.date)).count();
            assert_eq!(in_lieu.len(), at_rest, "{year}");
            for lieu in in_lieu {
                assert!(!is_weekend(lieu.date));
                // Nothing but days off between a day in lieu and a holiday at rest: nobody works before it comes.
                let before = lieu.date.iter_days().rev().skip(1);
                let mut rest = before.take_while(|date| {
                    is_weekend(*date) || days.iter().any(|off| off.day.date == *date)
                });
                assert!(
                    rest.any(|date| public.iter().any(|day| day.date == date && is_weekend(date)))
                );
            }
        }
    }

    #[test]
    fn nothing_is_computed_beyond_the_years_of_the_moon() {
        assert!(!days_off(1900).is_empty() && !days_off(2299).is_empty());
        for year in [1899, 2300, NaiveDate::MIN.year(), NaiveDate::MAX.year()] {
            assert!(days_off(year).is_empty());
        }
    }
}
