//! The due dates of testdata/due_dates.md, a table for those who know the law, held against the code.

use chrono::{NaiveDate, NaiveDateTime};

use crate::{
    Certainty, DayOffPolicy, Due, DueMonth, DueRule, OfficeHours, Period, Term, Window,
    WorkingCalendar, fixture::official, zone,
};

const TABLE: &str = include_str!("../testdata/due_dates.md");

/// The rows of the table under that heading, without its own heading.
fn rows<const COLUMNS: usize>(heading: &str) -> Vec<[&'static str; COLUMNS]> {
    let (_, section) = TABLE.split_once(&format!("\n## {heading}\n")).expect(heading);
    let lines = section.lines().take_while(|line| !line.starts_with("## "));
    let table = lines.filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    let cells = table.skip(1).map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    cells.map(|cells| cells.try_into().expect("as many cells as columns")).collect()
}

/// `24/06/2024`.
fn day_of(text: &str) -> NaiveDate {
    NaiveDate::parse_from_str(text, "%d/%m/%Y").expect("a date")
}

/// `Mon 24/06/2024`.
fn written(date: NaiveDate) -> String {
    date.format("%a %d/%m/%Y").to_string()
}

fn rule_of(text: &str) -> DueRule {
    let words: Vec<_> = text.split(' ').collect();
    match words[..] {
        [days, "working", "day" | "days"] => {
            DueRule::working_days_after_cut_off(days.parse().expect("a number of days"))
        }
        ["on", date] => DueRule::On(day_of(date)),
        ["day", day, "of", ref month @ ..] => {
            let month = match month {
                ["the", "last", "month"] => DueMonth::Last,
                ["month", number] => {
                    DueMonth::number(number.parse().expect("a number")).expect("a month")
                }
                _ => panic!("no month: {text}"),
            };
            DueRule::day_of_month(day.parse().expect("a day"), month).expect("a rule")
        }
        _ => panic!("no rule: {text}"),
    }
}

/// How sure the days are after `after`, up to and with `through`.
fn sure(calendar: &WorkingCalendar, after: NaiveDate, through: NaiveDate) -> &'static str {
    let days = after.iter_days().skip(1).take_while(|date| *date <= through);
    match days.map(|date| calendar.day(date).certainty).max() {
        None => "any",
        Some(Certainty::Official) => "official",
        Some(Certainty::Estimated) => "estimated",
    }
}

fn told(what: &str, expected: &[&str], found: &[String]) -> Option<String> {
    (expected != found).then(|| format!("{what}: {found:?}, and not {expected:?}"))
}

#[test]
fn reports_are_due_as_the_table_says() {
    let calendar = official();
    let rows = rows::<9>("Reports");
    let check = |row: &[&str; 9]| {
        let [what, period, family, figures, rule, day_off, due_date, how_sure, _] = *row;
        let period: Period = period.parse().expect("a period");
        let Window { first, cut_off } = period.window(family.parse().expect("a family"));
        let (covered, cut_off) = match figures.strip_prefix("declared to ") {
            Some(declared) => (figures.to_owned(), day_of(declared)),
            None => (format!("{} to {}", zone::date_vi(first), zone::date_vi(cut_off)), cut_off),
        };
        let rule = rule_of(rule);
        let unmoved = rule.due_date(period, cut_off, DayOffPolicy::Keep, &calendar);
        let policy = match day_off {
            "stays" => DayOffPolicy::Keep,
            "moves" => DayOffPolicy::NextWorkingDay,
            _ => panic!("stays or moves, not {day_off}"),
        };
        let due = rule.due_date(period, cut_off, policy, &calendar);
        // The day before the first that the calendar was asked about.
        let before = match (rule, policy) {
            (DueRule::WorkingDaysAfterCutOff(1..), _) => cut_off,
            (_, DayOffPolicy::NextWorkingDay) => unmoved.pred_opt().expect("a day before"),
            (_, DayOffPolicy::Keep) => unmoved,
        };
        let found = [covered, written(due), sure(&calendar, before, due).to_owned()];
        told(what, &[figures, due_date, how_sure], &found)
    };
    let wrong: Vec<_> = rows.iter().filter_map(check).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(rows.len(), 102);
}

/// `Fri 26/04/2024 08:00`, weekday and all.
fn instant_of(text: &str) -> chrono::DateTime<chrono::Utc> {
    let received = NaiveDateTime::parse_from_str(text, "%a %d/%m/%Y %H:%M").expect("a time");
    zone::at(received.date(), received.time())
}

fn due(term: &str, received: &str, calendar: &WorkingCalendar) -> Due {
    let term: Term = term.parse().expect("a term");
    term.due(instant_of(received), calendar, &OfficeHours::default())
}

#[test]
fn terms_in_working_days_end_as_the_table_says() {
    let calendar = official();
    let rows = rows::<6>("Terms in working days");
    let check = |row: &[&str; 6]| {
        let [what, received, term, due_date, how_sure, _] = *row;
        let due = due(term, received, &calendar);
        let receipt = zone::civil_date(instant_of(received));
        assert_eq!(due.time, zone::end_of(due.due_date()), "{what}");
        let found = [written(due.due_date()), sure(&calendar, receipt, due.due_date()).to_owned()];
        told(what, &[due_date, how_sure], &found)
    };
    let wrong: Vec<_> = rows.iter().filter_map(check).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(rows.len(), 18);
}

#[test]
fn terms_in_hours_and_within_the_day_end_as_the_table_says() {
    let calendar = official();
    let rows = rows::<5>("Terms in hours, and within the day");
    let check = |row: &[&str; 5]| {
        let [what, received, term, due_time, _] = *row;
        let due = zone::civil_time(due(term, received, &calendar).time);
        told(what, &[due_time], &[due.format("%a %d/%m/%Y %H:%M").to_string()])
    };
    let wrong: Vec<_> = rows.iter().filter_map(check).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(rows.len(), 22);
}
