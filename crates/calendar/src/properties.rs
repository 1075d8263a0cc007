//! What holds for every date, period and term, not only for those in the tables.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use proptest::prelude::*;

use crate::{
    Amended, Certainty, Completion, DayOffPolicy, Due, DueMonth, DueRule, Family, Frequency,
    Granularity, OfficeHours, Period, SpecialDay, SpecialKind, Term, WorkingCalendar,
    fixture::{date, official},
    working::is_weekend,
    zone,
};

const REGULAR: [Frequency; 5] = [
    Frequency::Month,
    Frequency::Quarter,
    Frequency::SixMonths,
    Frequency::NineMonths,
    Frequency::Year,
];

/// Without nine months, whose windows leave the rest of the year out.
const TILING: [Frequency; 4] =
    [Frequency::Month, Frequency::Quarter, Frequency::SixMonths, Frequency::Year];

fn days_from(first: &'static str, days: u64) -> impl Strategy<Value = NaiveDate> {
    (0..days).prop_map(move |n| date(first) + chrono::Days::new(n))
}

/// 1900 to 2200, and often the years of the official calendar and those beside them.
fn dates() -> impl Strategy<Value = NaiveDate> {
    prop_oneof![days_from("1900-01-01", 109_938), days_from("2019-06-01", 3_500)]
}

fn instants() -> impl Strategy<Value = DateTime<Utc>> {
    (dates(), 0..86_400_000_000_i64)
        .prop_map(|(date, us)| zone::start_of(date) + TimeDelta::microseconds(us))
}

fn families() -> impl Strategy<Value = Family> {
    proptest::sample::select(Family::ALL.to_vec())
}

fn regular_periods(frequencies: &[Frequency]) -> impl Strategy<Value = Period> + use<> {
    let frequencies = proptest::sample::select(frequencies.to_vec());
    (dates(), frequencies)
        .prop_filter_map("nine months do not hold every date", |(date, frequency)| {
            Period::containing(date, frequency, Family::Calendar)
        })
}

fn periods() -> impl Strategy<Value = Period> {
    let intervals = (dates(), 0..3_600_u64).prop_filter_map("ends after 2200", |(first, days)| {
        Period::interval(first, first + chrono::Days::new(days)).ok()
    });
    prop_oneof![3 => regular_periods(&REGULAR), 1 => intervals]
}

/// Mostly near misses.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,24}",
        "[0-9]{4,7}",
        "[0-9]{4}[QSN-][0-9]{1,2}",
        "[12][0-9]{3}-[01][0-9]-[0-3][0-9]--2[01][0-9]{2}-0[0-9]-[0-2][0-9]",
    ]
}

fn terms() -> impl Strategy<Value = Term> {
    prop_oneof![
        (0..300_u16).prop_map(Term::WorkingDays),
        (0..600_u16).prop_map(Term::WorkingHours),
        Just(Term::SameDay),
    ]
}

fn due_rules() -> impl Strategy<Value = DueRule> {
    let months = prop_oneof![Just(DueMonth::Last), any::<u8>().prop_map(DueMonth::Number)];
    prop_oneof![
        (0..400_u16).prop_map(DueRule::WorkingDaysAfterCutOff),
        (any::<u8>(), months).prop_map(|(day, month)| DueRule::DayOfMonth { day, month }),
        dates().prop_map(DueRule::On),
    ]
}

/// What might be said of days of 2025 to 2029, each once: some of these years are decided, some computed.
fn amendments() -> impl Strategy<Value = Vec<Amended>> {
    let kinds = proptest::sample::select(SpecialKind::ALL.to_vec());
    let certainties = proptest::sample::select(vec![Certainty::Official, Certainty::Estimated]);
    let said = (days_from("2025-01-01", 1_800), proptest::option::of(kinds), certainties);
    proptest::collection::vec(said, 0..60).prop_map(|said| {
        let amended = |(date, kind, certainty)| match kind {
            // Only a day of rest can be one.
            Some(SpecialKind::SwappedWorkday) if !is_weekend(date) => {
                Amended::Ordinary { date, certainty }
            }
            Some(kind) => Amended::Special(SpecialDay {
                certainty,
                ..SpecialDay::new(date, kind, "Theo quyết định")
            }),
            None => Amended::Ordinary { date, certainty },
        };
        let by_date: BTreeMap<_, _> =
            said.into_iter().map(|said| (said.0, amended(said))).collect();
        by_date.into_values().collect()
    })
}

thread_local! {
    static CALENDAR: WorkingCalendar = official();
}

fn with_calendar<T>(ask: impl FnOnce(&WorkingCalendar) -> T) -> T {
    CALENDAR.with(ask)
}

proptest! {
    #[test]
    fn a_period_is_read_back_from_its_name(period in periods()) {
        prop_assert_eq!(period.to_string().parse(), Ok(period));
    }

    #[test]
    fn a_name_that_is_read_is_the_name_that_is_written(
        name in names(),
    ) {
        if let Ok(period) = name.parse::<Period>() {
            prop_assert_eq!(period.to_string(), name);
        }
    }

    #[test]
    fn a_term_is_read_back_from_its_name(term in terms()) {
        prop_assert_eq!(term.to_string().parse(), Ok(term));
    }

    #[test]
    fn windows_of_consecutive_periods_leave_no_day_out_and_none_twice(
        period in regular_periods(&TILING),
        family in families(),
    ) {
        let window = period.window(family);
        prop_assert!(window.first <= window.cut_off);
        if let Some(next) = period.next() {
            prop_assert_eq!(next.window(family).first, window.cut_off.succ_opt().expect("a day after it"));
            prop_assert_eq!(next.previous(), Some(period));
            prop_assert_eq!(next.frequency(), period.frequency());
            prop_assert!(period < next);
        }
    }

    #[test]
    fn the_period_containing_a_date_has_it_in_its_window(
        date in dates(),
        frequency in proptest::sample::select(REGULAR.to_vec()),
        family in families(),
    ) {
        match Period::containing(date, frequency, family) {
            Some(period) => {
                prop_assert_eq!(period.frequency(), frequency);
                prop_assert!(period.window(family).contains(date));
            }
            // The rest of a year after its nine months, and what belongs to 2201.
            None => prop_assert!(frequency == Frequency::NineMonths || date > self::date("2200-12-14")),
        }
    }

    #[test]
    fn every_date_of_a_window_leads_back_to_its_period(
        period in regular_periods(&REGULAR),
        family in families(),
        place in 0.0..1.0_f64,
    ) {
        let window = period.window(family);
        let days = (f64::from(window.days()) * place) as u64;
        let date = window.first + chrono::Days::new(days);
        prop_assert!(window.contains(date));
        prop_assert_eq!(Period::containing(date, period.frequency(), family), Some(period));
    }

    #[test]
    fn adding_working_days_lands_on_a_working_day_and_counting_them_takes_it_back(
        from in dates(),
        n in 1..400_u32,
    ) {
        with_calendar(|calendar| {
            let to = calendar.add_working_days(from, n);
            prop_assert!(calendar.is_working(to));
            prop_assert!(from < to);
            prop_assert_eq!(calendar.working_days_between(from, to), n);
            let skipped = calendar.skipped(from, to);
            prop_assert_eq!((to - from).num_days(), i64::from(n) + skipped.len() as i64);
            prop_assert!(skipped.iter().all(|(date, day)| !calendar.is_working(*date) && !day.kind.is_working()));
            Ok(())
        })?;
    }

    #[test]
    fn counting_working_days_is_counting_them_one_by_one(
        said in amendments(),
        from in prop_oneof![9 => days_from("2023-06-01", 2_800), 1 => dates()],
        to in prop_oneof![
            9 => days_from("2023-06-01", 2_800),
            1 => prop_oneof![dates(), days_from("2299-01-01", 800)],
        ],
    ) {
        let calendar = with_calendar(|calendar| calendar.amended(said).expect("no month of rest"));
        let counted = date("2299-12-31").min(to);
        let days = from.iter_days().skip(1).take_while(|day| *day <= counted);
        let worked = days.filter(|day| calendar.is_working(*day)).count();
        prop_assert_eq!(calendar.working_days_between(from, to) as usize, worked);
    }

    #[test]
    fn adding_working_days_is_monotone_in_both_arguments(
        from in dates(),
        later in 0..40_u64,
        n in 0..200_u32,
        more in 0..40_u32,
    ) {
        with_calendar(|calendar| {
            let to = calendar.add_working_days(from, n);
            prop_assert!(to <= calendar.add_working_days(from + chrono::Days::new(later), n));
            prop_assert!(to <= calendar.add_working_days(from, n + more));
            Ok(())
        })?;
    }

    #[test]
    fn an_amendment_decides_its_days_and_leaves_what_others_decided(
        said in amendments(),
        split in 0..60_usize,
    ) {
        with_calendar(|calendar| {
            let amended = calendar.amended(said.clone()).expect("no month of rest");
            for said in &said {
                let day = amended.day(said.date());
                prop_assert_eq!(day.certainty, said.certainty());
                match said {
                    Amended::Special(special) => {
                        prop_assert_eq!(amended.special(said.date()), Some(special));
                        prop_assert_eq!(day.kind, special.kind.into());
                    }
                    Amended::Ordinary { date, .. } => {
                        prop_assert_eq!(amended.special(*date), None);
                        prop_assert_eq!(day.kind.is_working(), !is_weekend(*date));
                    }
                }
            }
            // Of all other days at most a computed one becomes ordinary, its holiday's chief day being spoken of.
            let others = date("2024-12-01").iter_days().take_while(|date| date.year() < 2031);
            for other in others.filter(|date| said.iter().all(|said| said.date() != *date)) {
                let (before, after) = (calendar.special(other), amended.special(other));
                let computed = before.is_some_and(|day| day.source.ends_with("(dự kiến)"));
                prop_assert!(before == after || (computed && after.is_none()), "{other}");
            }
            let (first, then) = said.split_at(split.min(said.len()));
            let in_two = calendar.amended(first.to_vec()).and_then(|one| one.amended(then.to_vec()));
            prop_assert_eq!(in_two.expect("no month of rest"), amended);
            Ok(())
        })?;
    }

    #[test]
    fn a_due_time_is_never_before_receipt_and_later_for_a_later_receipt(
        term in terms(),
        received in instants(),
        later in 0..864_000_000_000_i64,
    ) {
        with_calendar(|calendar| {
            let due = |received| term.due(received, calendar, &OfficeHours::default());
            let (first, second) = (due(received), due(received + TimeDelta::microseconds(later)));
            prop_assert!(received <= first.time);
            prop_assert!(first.time <= second.time);
            prop_assert_eq!(first.granularity, second.granularity);
            Ok(())
        })?;
    }

    #[test]
    fn a_completion_in_breach_is_overdue_save_at_the_very_instant(
        term in terms(),
        received in instants(),
        completed in instants(),
    ) {
        with_calendar(|calendar| {
            let due = term.due(received, calendar, &OfficeHours::default());
            // At an instant's very end the term is used up and not exceeded; midnight begins another date.
            let exceeded = match due.granularity {
                Granularity::Day => due.time <= completed,
                Granularity::Instant => due.time < completed,
            };
            prop_assert_eq!(due.classify(completed) == Completion::Overdue, exceeded);
            prop_assert_eq!(due.is_breached(completed), completed >= due.time);
            Ok(())
        })?;
    }

    #[test]
    fn a_date_is_written_back_from_its_midnights(date in dates()) {
        prop_assert_eq!(zone::civil_date(zone::start_of(date)), date);
        prop_assert_eq!(zone::civil_date(zone::end_of(date) - TimeDelta::microseconds(1)), date);
        prop_assert_eq!(Due::on(date).due_date(), date);
    }

    #[test]
    fn nothing_panics_on_any_date(
        day in prop_oneof![8 => dates(), 1 => Just(NaiveDate::MIN), 1 => Just(NaiveDate::MAX)],
        frequency in proptest::sample::select(Frequency::ALL.to_vec()),
        family in families(),
        period in periods(),
        rule in due_rules(),
        term in terms(),
    ) {
        with_calendar(|calendar| {
            for t in [zone::start_of(day), zone::end_of(day)] {
                let due = term.due(t, calendar, &OfficeHours::default());
                due.classify(t);
                due.is_breached(t);
                zone::format_vi(due.time);
            }
            zone::date_vi(day);
            Period::containing(day, frequency, family);
            period.window(family).contains(day);
            period.next();
            period.previous();
            for policy in [DayOffPolicy::Keep, DayOffPolicy::NextWorkingDay] {
                rule.due_date(period, day, policy, calendar);
                rule.due_date(period, period.window(family).cut_off, policy, calendar);
            }
            calendar.day(day);
            calendar.on_or_after(day);
            calendar.next_working_day(day);
        });
    }
}

#[test]
fn the_longest_terms_end() {
    let calendar = official();
    let received = zone::start_of(date("2026-05-18"));
    for term in [Term::WorkingDays(u16::MAX), Term::WorkingHours(u16::MAX)] {
        for received in [received, DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            let due = term.due(received, &calendar, &OfficeHours::default());
            assert!(received <= due.time, "{term} from {received}");
        }
    }
    assert!(calendar.skipped(NaiveDate::MIN, NaiveDate::MAX).len() > 40_000);
}
