//! The Vietnamese lunisolar calendar, by its astronomical rules for UTC+7.
//!
//! A month begins on the day of a new moon. The month that holds the winter solstice is month 11. From one month 11 to
//! the next there are twelve months or thirteen; of thirteen, the first in which the sun enters no new twelfth of its
//! way (no principal term) is a leap month and bears the number of the month before it. Days are those of UTC+7,
//! which is why Tết can fall on another day than in China; in 1985 it fell a month earlier.
//!
//! So it was reckoned in the north since 1968 and everywhere since 1976. For earlier years this is what the same rules
//! give, not what almanacs then said.
//!
//! Moon and sun are those of Meeus, Astronomical Algorithms, 2nd edition, chapters 49 (right to some 20 seconds) and 25
//! (to some 15 minutes). Of all months from 1900 to 2299 that puts two on another day than a precise ephemeris does:
//! those of July 1967 and July 2242, whose new moons are within six seconds of midnight. How the earth's rotation
//! slows is not known ahead: from about 2100 on, a new moon some minutes from midnight may yet change its day.

use std::ops::RangeInclusive;

use chrono::{Datelike, NaiveDate};

/// The civil years in which dates are known.
pub(crate) const YEARS: RangeInclusive<i32> = 1900..=2299;

/// The Julian day number of the day that chrono counts as 0 of the common era.
const COMMON_ERA: i32 = 1_721_425;

/// In days.
const UTC_PLUS_7: f64 = 7.0 / 24.0;

/// Julian date of the mean new moon from which lunations are counted, in January 2000, and their mean length in days.
const LUNATION_0: f64 = 2_451_550.097_66;
const LUNATION: f64 = 29.530_588_861;

/// How many seconds the clocks are behind the even time of astronomy in which years: as observed up to 2020, later as
/// extrapolated by Espenak and Meeus (2006).
const CLOCKS_BEHIND: [(f64, f64); 18] = [
    (1900.0, -2.7),
    (1910.0, 10.5),
    (1920.0, 21.2),
    (1930.0, 24.0),
    (1940.0, 24.3),
    (1950.0, 29.2),
    (1960.0, 33.2),
    (1970.0, 40.2),
    (1980.0, 50.5),
    (1990.0, 56.9),
    (2000.0, 63.8),
    (2010.0, 66.1),
    (2020.0, 69.4),
    (2050.0, 93.1),
    (2100.0, 202.7),
    (2150.0, 328.5),
    (2200.0, 442.1),
    (2300.0, 717.3),
];

/// What the sun's and the moon's ways add to the mean new moon, in days: amplitude, and the multiples of the sun's
/// anomaly, the moon's anomaly and the moon's argument of latitude whose sine it is multiplied by.
const PERIODIC: [(f64, i32, i32, i32); 24] = [
    (-0.407_20, 0, 1, 0),
    (0.172_41, 1, 0, 0),
    (0.016_08, 0, 2, 0),
    (0.010_39, 0, 0, 2),
    (0.007_39, -1, 1, 0),
    (-0.005_14, 1, 1, 0),
    (0.002_08, 2, 0, 0),
    (-0.001_11, 0, 1, -2),
    (-0.000_57, 0, 1, 2),
    (0.000_56, 1, 2, 0),
    (-0.000_42, 0, 3, 0),
    (0.000_42, 1, 0, 2),
    (0.000_38, 1, 0, -2),
    (-0.000_24, -1, 2, 0),
    (-0.000_07, 2, 1, 0),
    (0.000_04, 0, 2, -2),
    (0.000_04, 3, 0, 0),
    (0.000_03, 1, 1, -2),
    (0.000_03, 0, 2, 2),
    (-0.000_03, 1, 1, 2),
    (0.000_03, -1, 1, 2),
    (-0.000_02, -1, 1, -2),
    (-0.000_02, 1, 3, 0),
    (0.000_02, 0, 4, 0),
];

/// What the planets add to it, in millionths of a day: amplitude, and degrees at lunation 0 and for each lunation.
const PLANETARY: [(f64, f64, f64); 14] = [
    (325.0, 299.77, 0.107_408),
    (165.0, 251.88, 0.016_321),
    (164.0, 251.83, 26.651_886),
    (126.0, 349.42, 36.412_478),
    (110.0, 84.66, 18.206_239),
    (62.0, 141.74, 53.303_771),
    (60.0, 207.14, 2.453_732),
    (56.0, 154.84, 7.306_860),
    (47.0, 34.52, 27.261_239),
    (42.0, 207.19, 0.121_824),
    (40.0, 291.34, 1.844_379),
    (37.0, 161.72, 24.198_154),
    (35.0, 239.56, 25.513_099),
    (23.0, 331.55, 3.592_518),
];

/// A date of the lunisolar calendar, such as 10/3 for the 10th of month 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LunarDate {
    /// Named by the civil year in which it begins.
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
    /// Of the leap month that follows the month of that number.
    pub leap: bool,
    /// 1 to 29 or 30.
    pub day: u32,
}

impl LunarDate {
    /// The lunar date of a civil one; `None` outside the civil years 1900 to 2299.
    pub fn of(date: NaiveDate) -> Option<Self> {
        if !YEARS.contains(&date.year()) {
            return None;
        }
        let day = date.num_days_from_ce() + COMMON_ERA;
        let lunation = lunation_of(day);
        let before_solstice = i32::from(lunation < month_11(date.year()));
        let months = Months::after_solstice_of(date.year() - before_solstice);
        let (year, month, leap) = months.name(lunation);
        let day = u32::try_from(day - first_day(lunation) + 1).ok()?;
        Some(Self { year, month, leap, day })
    }

    /// Its civil date; `None` where there is no such lunar date, and outside the civil years 1900 to 2299.
    pub fn civil(self) -> Option<NaiveDate> {
        if !(YEARS.start() - 1..=*YEARS.end()).contains(&self.year) {
            return None;
        }
        let solstice = if self.month >= 11 { self.year } else { self.year - 1 };
        let months = Months::after_solstice_of(solstice);
        let lunation = (months.first..months.end)
            .find(|lunation| months.name(*lunation) == (self.year, self.month, self.leap))?;
        let first = first_day(lunation);
        let day = first.checked_add(i32::try_from(self.day.checked_sub(1)?).ok()?)?;
        let date = NaiveDate::from_num_days_from_ce_opt(day - COMMON_ERA)?;
        (day < first_day(lunation + 1) && YEARS.contains(&date.year())).then_some(date)
    }
}

/// The months from the one that holds a winter solstice to before the one that holds the next, by their lunations.
struct Months {
    /// The civil year of the first solstice.
    year: i32,
    first: i32,
    end: i32,
    leap: Option<i32>,
}

impl Months {
    fn after_solstice_of(year: i32) -> Self {
        let (first, end) = (month_11(year), month_11(year + 1));
        let without_term =
            |lunation: &i32| twelfth(first_day(*lunation)) == twelfth(first_day(*lunation + 1));
        let leap = if end - first > 12 { (first + 1..end).find(without_term) } else { None };
        Self { year, first, end, leap }
    }

    /// Year, number, and whether it is a leap month.
    fn name(&self, lunation: i32) -> (i32, u32, bool) {
        let repeated = self.leap.is_some_and(|leap| leap <= lunation);
        let (year, month) = match (lunation - self.first - i32::from(repeated)).unsigned_abs() {
            months @ 0..=1 => (self.year, months + 11),
            months => (self.year + 1, months - 1),
        };
        (year, month, self.leap == Some(lunation))
    }
}

/// The lunation that holds the winter solstice of that civil year.
fn month_11(year: i32) -> i32 {
    let last_day = NaiveDate::from_ymd_opt(year, 12, 31).unwrap_or_default();
    let last = lunation_of(last_day.num_days_from_ce() + COMMON_ERA);
    // The sun enters the tenth twelfth, at 270°, with the solstice.
    if twelfth(first_day(last)) < 9 { last } else { last - 1 }
}

/// The lunation to which a day belongs, given as a Julian day number.
fn lunation_of(day: i32) -> i32 {
    // True new moons are at most a day away from mean ones, so this is the right one or the next.
    let mut lunation = ((f64::from(day) - LUNATION_0) / LUNATION).floor() as i32 + 1;
    while first_day(lunation) > day {
        lunation -= 1;
    }
    lunation
}

/// The Julian day number of the day at UTC+7 on which that new moon is.
fn first_day(lunation: i32) -> i32 {
    let even = new_moon(lunation);
    // Julian dates begin at noon.
    (even - clocks_behind(even) + UTC_PLUS_7 + 0.5).floor() as i32
}

/// In which twelfth of its way, 0 to 11, the sun is at the midnight at UTC+7 that begins that day. It has entered
/// another within a month if it stands in another when the next begins.
fn twelfth(day: i32) -> i32 {
    let clock = f64::from(day) - 0.5 - UTC_PLUS_7;
    (solar_longitude(clock + clocks_behind(clock)) / 30.0).floor() as i32
}

/// In days, at a Julian date.
fn clocks_behind(date: f64) -> f64 {
    let year = 2000.0 + (date - 2_451_545.0) / 365.25;
    let later = CLOCKS_BEHIND.partition_point(|(known, _)| *known < year);
    let later = later.clamp(1, CLOCKS_BEHIND.len() - 1);
    let ((from, before), (to, after)) = (CLOCKS_BEHIND[later - 1], CLOCKS_BEHIND[later]);
    (before + (after - before) * (year - from) / (to - from)) / 86_400.0
}

/// The Julian date of a new moon, in the even time of astronomy.
fn new_moon(lunation: i32) -> f64 {
    let k = f64::from(lunation);
    let t = k / 1236.85;
    let at = |coefficients: &[f64]| polynomial(t, coefficients).to_radians();
    let sun = at(&[2.5534, 29.105_356_70 * 1236.85, -0.000_001_4, -0.000_000_11]);
    let moon = at(&[201.5643, 385.816_935_28 * 1236.85, 0.010_758_2, 0.000_012_38, -0.000_000_058]);
    let latitude =
        at(&[160.7108, 390.670_502_84 * 1236.85, -0.001_611_8, -0.000_002_27, 0.000_000_011]);
    let node = at(&[124.7746, -1.563_755_88 * 1236.85, 0.002_067_2, 0.000_002_15]);
    // The earth's way is less and less eccentric.
    let eccentricity = polynomial(t, &[1.0, -0.002_516, -0.000_007_4]);
    let periodic: f64 = PERIODIC
        .iter()
        .map(|(days, m, n, f)| {
            let angle = f64::from(*m) * sun + f64::from(*n) * moon + f64::from(*f) * latitude;
            days * eccentricity.powi(m.abs()) * angle.sin()
        })
        .sum();
    let planetary: f64 = PLANETARY
        .iter()
        .map(|(millionths, degrees, each)| millionths * (degrees + each * k).to_radians().sin())
        .sum();
    // The first of the planets' terms has a square of its own, too small to tell.
    let mean = LUNATION_0
        + LUNATION * k
        + polynomial(t, &[0.0, 0.0, 0.000_154_37, -0.000_000_150, 0.000_000_000_73]);
    mean + periodic - 0.000_17 * node.sin() + planetary / 1e6
}

/// The sun's apparent longitude in degrees, 0 to 360, at a Julian date in the even time of astronomy.
fn solar_longitude(date: f64) -> f64 {
    let t = (date - 2_451_545.0) / 36_525.0;
    let anomaly = polynomial(t, &[357.529_11, 35_999.050_29, -0.000_153_7]).to_radians();
    let centre = polynomial(t, &[1.914_602, -0.004_817, -0.000_014]) * anomaly.sin()
        + polynomial(t, &[0.019_993, -0.000_101]) * (2.0 * anomaly).sin()
        + 0.000_289 * (3.0 * anomaly).sin();
    let node = polynomial(t, &[125.04, -1_934.136]).to_radians();
    let mean = polynomial(t, &[280.466_46, 36_000.769_83, 0.000_303_2]);
    (mean + centre - 0.005_69 - 0.004_78 * node.sin()).rem_euclid(360.0)
}

fn polynomial(t: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * t + coefficient)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        SpecialKind,
        fixture::{date, official},
    };

    /// The years 1900 to 2299 from the positions of a precise ephemeris, by a program that shares nothing with this.
    const BY_EPHEMERIS: &str = include_str!("../testdata/lunar_years.csv");

    /// Their new moons are within six seconds of midnight. Here these months begin the day before.
    const TOO_CLOSE_TO_MIDNIGHT: [&str; 2] = ["1967-07-08", "2242-07-29"];

    fn lunar(year: i32, month: u32, day: u32) -> LunarDate {
        LunarDate { year, month, leap: false, day }
    }

    fn years_by_ephemeris() -> Vec<csv::StringRecord> {
        let mut years = csv::Reader::from_reader(BY_EPHEMERIS.as_bytes());
        years.records().collect::<Result<_, _>>().expect("rows")
    }

    #[test]
    fn the_formulas_give_the_examples_of_the_book() {
        // Example 49.a: the new moon of 18 February 1977.
        assert!((new_moon(-283) - 2_443_192.651_18).abs() < 0.000_01, "{}", new_moon(-283));
        // Example 25.a: the sun at the midnight that begins 13 October 1992.
        let longitude = solar_longitude(2_448_908.5);
        assert!((longitude - 199.908_95).abs() < 0.000_01, "{longitude}");
    }

    #[test]
    fn clocks_are_behind_as_was_observed() {
        // The beginnings of 1977 and 2015.
        for (date, observed) in [(2_443_144.5, 47.5), (2_457_023.5, 67.6)] {
            let seconds = clocks_behind(date) * 86_400.0;
            assert!((seconds - observed).abs() < 0.5, "{seconds} and not {observed}");
        }
    }

    #[test]
    fn new_year_and_hung_kings_day_are_those_of_the_official_list() {
        let calendar = official();
        let on = |name: &str, month, day| {
            let named =
                |row: &&crate::SpecialDay| row.kind == SpecialKind::Public && row.name_vi == name;
            let dates: Vec<_> = calendar.days().filter(named).map(|row| row.date).collect();
            assert_eq!(dates.len(), 8, "{name}");
            for date in dates {
                assert_eq!(lunar(date.year(), month, day).civil(), Some(date), "{name}");
                assert_eq!(LunarDate::of(date), Some(lunar(date.year(), month, day)), "{name}");
            }
        };
        on("Tết Nguyên đán (mùng 1)", 1, 1);
        on("Ngày Giỗ Tổ Hùng Vương", 3, 10);
    }

    #[test]
    fn new_year_is_that_of_viet_nam_where_chinas_is_another() {
        for (viet_nam, china) in [
            ("1968-01-29", "1968-01-30"),
            ("1985-01-21", "1985-02-20"),
            ("2007-02-17", "2007-02-18"),
            ("2030-02-02", "2030-02-03"),
        ] {
            let year = date(viet_nam).year();
            assert_eq!(lunar(year, 1, 1).civil(), Some(date(viet_nam)), "not {china}");
        }
    }

    #[test]
    fn leap_months_are_where_the_sun_leaves_them() {
        for (year, leap_month) in [
            // In China the leap month was the tenth of 1984.
            (1984, None),
            (1985, Some(2)),
            // In China the sixth.
            (1987, Some(7)),
            (2020, Some(4)),
            (2023, Some(2)),
            (2025, Some(6)),
            (2026, None),
            // The month after the seventh has no principal term either, but its year has only twelve months.
            (2033, Some(11)),
            (2034, None),
        ] {
            let is_leap =
                |month: &u32| LunarDate { leap: true, ..lunar(year, *month, 1) }.civil().is_some();
            assert_eq!((1..=12).find(is_leap), leap_month, "{year}");
        }
    }

    #[test]
    fn every_month_of_four_centuries_begins_as_a_precise_ephemeris_says() {
        let mut months = 0;
        let mut elsewhere = Vec::new();
        for row in years_by_ephemeris() {
            let year = row[0].parse().expect("a year");
            let leap_month = row[2].parse().ok();
            let mut first = date(&row[1]);
            let (mut month, mut leap) = (1, false);
            for days in row[3].split(' ') {
                let expected = Some(first).filter(|first| YEARS.contains(&first.year()));
                if (LunarDate { year, month, leap, day: 1 }).civil() != expected {
                    elsewhere.push(first.to_string());
                }
                months += 1;
                first = first + chrono::Days::new(days.parse().expect("29 or 30"));
                leap = !leap && leap_month == Some(month);
                month += u32::from(!leap);
            }
        }
        assert_eq!(months, 4_947);
        assert_eq!(elsewhere, TOO_CLOSE_TO_MIDNIGHT);
    }

    #[test]
    fn the_winter_solstice_lies_in_month_11() {
        for row in years_by_ephemeris() {
            let solstice = LunarDate::of(date(&row[4])).expect("a lunar date");
            assert_eq!((solstice.month, solstice.leap), (11, false), "{}", &row[4]);
            assert_eq!(solstice.year.to_string(), row[0]);
        }
    }

    #[test]
    fn every_day_leads_to_its_lunar_date_and_back() {
        let mut lengths: BTreeMap<_, u32> = BTreeMap::new();
        let mut yesterday = LunarDate::of(date("1900-01-01")).expect("a lunar date");
        let days = date("1900-01-02").iter_days().take_while(|day| YEARS.contains(&day.year()));
        for day in days {
            let today = LunarDate::of(day).expect("a lunar date");
            assert_eq!(today.civil(), Some(day));
            if today.day == 1 {
                lengths.insert((yesterday.year, yesterday.month, yesterday.leap), yesterday.day);
            } else {
                assert_eq!(today, LunarDate { day: yesterday.day + 1, ..yesterday });
            }
            assert!(yesterday < today, "{day}");
            yesterday = today;
        }
        assert!(lengths.values().all(|days| [29, 30].contains(days)));
        for year in 1900..2299 {
            let months: Vec<_> = lengths.keys().filter(|month| month.0 == year).collect();
            let numbered = months.iter().filter(|month| !month.2).map(|month| month.1);
            assert!(numbered.eq(1..=12), "{year}");
            assert!(months.len() <= 13, "{year} has more than one leap month");
        }
    }

    #[test]
    fn there_is_no_civil_date_for_what_is_no_lunar_date() {
        for none in [
            lunar(2026, 0, 1),
            lunar(2026, 13, 1),
            lunar(2026, 1, 0),
            // Month 12 of the year before Tết 2026 had 29 days.
            lunar(2025, 12, 30),
            lunar(2026, 1, 31),
            lunar(2026, 1, u32::MAX),
            LunarDate { leap: true, ..lunar(2026, 6, 1) },
            LunarDate { leap: true, ..lunar(2025, 5, 1) },
            lunar(1899, 11, 1),
            // 1 January 2300.
            lunar(2299, 12, 10),
            lunar(i32::MIN, 1, 1),
            lunar(i32::MAX, 11, 1),
        ] {
            assert_eq!(none.civil(), None, "{none:?}");
        }
        assert_eq!(lunar(2025, 12, 29).civil(), Some(date("2026-02-16")));
        assert_eq!(LunarDate::of(date("1899-12-31")), None);
        assert_eq!(LunarDate::of(date("2300-01-01")), None);
        assert_eq!(LunarDate::of(NaiveDate::MIN), None);
        assert_eq!(LunarDate::of(NaiveDate::MAX), None);
    }
}
