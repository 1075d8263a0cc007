//! Days of a working calendar, as a CSV file holds them and as arguments name them; office hours.

use std::collections::HashMap;
use std::str::FromStr;

use chrono::{Datelike as _, NaiveDate};
use dunghan_calendar::Certainty;
use dunghan_proto::compliance::OfficeHours;
use dunghan_proto::compliance::calendar_day::Kind;

use super::csv_file::{Column, Row, rows};
use super::{date, word};

const KINDS: &str = "public, in_lieu, swapped_workday or ordinary";

/// What is said of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CalendarDay {
    pub(crate) date: NaiveDate,
    pub(crate) kind: Kind,
    pub(crate) display_name: String,
    pub(crate) estimated: bool,
    pub(crate) source: String,
}

fn kind(text: &str) -> Result<Kind, String> {
    word("KIND_", text, Kind::from_str_name).ok_or_else(|| format!("{text:?} is not {KINDS}"))
}

/// `2026-09-21=in_lieu:Nghỉ bão`, with or without a name.
impl FromStr for CalendarDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (day, rest) = text.split_once('=').ok_or("is not DATE=KIND or DATE=KIND:NAME")?;
        let (word, name) = rest.split_once(':').unwrap_or((rest, ""));
        Ok(Self {
            date: date(day).map_err(|why| format!("{day:?} {why}"))?,
            kind: kind(word)?,
            display_name: name.trim().to_owned(),
            estimated: false,
            source: String::new(),
        })
    }
}

/// `07:30-11:30,13:30-17:00`; whether such hours can be is the server's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hours(pub(crate) OfficeHours);

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = "is not MORNING,AFTERNOON as 07:30-11:30,13:30-17:00";
        let (morning, afternoon) = text.split_once(',').ok_or(bad)?;
        let trimmed = |session: &str| session.trim().to_owned();
        Ok(Self(OfficeHours { morning: trimmed(morning), afternoon: trimmed(afternoon) }))
    }
}

const COLUMNS: [Column; 6] = [
    Column { name: "date", required: true },
    Column { name: "kind", required: true },
    Column { name: "name_vi", required: false },
    Column { name: "weekday", required: false },
    Column { name: "certainty", required: false },
    Column { name: "source", required: false },
];

/// The days of a CSV file, or everything that is wrong with it.
pub(crate) fn calendar_days(bytes: &[u8]) -> Result<Vec<CalendarDay>, Vec<String>> {
    let mut seen = HashMap::new();
    let found = rows(bytes, &COLUMNS, |row| {
        let day = calendar_day(row)?;
        match seen.insert(day.date, row.line) {
            None => Ok(day),
            Some(first) => Err(vec![("date", format!("stands in line {first} already"))]),
        }
    })?;
    if found.is_empty() { Err(vec!["has no rows".to_owned()]) } else { Ok(found) }
}

fn calendar_day(row: &Row<'_>) -> Result<CalendarDay, Vec<(&'static str, String)>> {
    let mut problems = Vec::new();
    let mut note = |column, why: String| problems.push((column, why));
    let day = row.cell("date");
    let day = date(day).map_err(|why| note("date", format!("{day:?} {why}"))).ok();
    let kind = kind(row.cell("kind")).map_err(|why| note("kind", why)).ok();
    let weekday = row.cell("weekday");
    if let Some(day) = day.filter(|day| !weekday.is_empty() && day.weekday().to_string() != weekday)
    {
        note("weekday", format!("{day} is a {}, not {weekday:?}", day.weekday()));
    }
    let certainty = match row.cell("certainty") {
        "" => Ok(Certainty::Official),
        text => text.parse::<Certainty>(),
    };
    let certainty = certainty.map_err(|why| note("certainty", why.to_string())).ok();
    match (day, kind, certainty) {
        (Some(date), Some(kind), Some(certainty)) if problems.is_empty() => Ok(CalendarDay {
            date,
            kind,
            display_name: row.cell("name_vi").to_owned(),
            estimated: certainty == Certainty::Estimated,
            source: row.cell("source").to_owned(),
        }),
        _ => Err(problems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_given_with_its_kind_and_if_wanted_a_name() {
        let day: CalendarDay = "2026-09-21=in_lieu:Nghỉ bão: cả ngày".parse().unwrap();
        assert_eq!(day.date, NaiveDate::from_ymd_opt(2026, 9, 21).unwrap());
        assert_eq!((day.kind, day.display_name.as_str()), (Kind::InLieu, "Nghỉ bão: cả ngày"));
        let plain: CalendarDay = "21/09/2026=ordinary".parse().unwrap();
        assert_eq!((plain.kind, plain.display_name.as_str()), (Kind::Ordinary, ""));
        for bad in ["2026-09-21", "2026-09-31=public", "=public", "2026-09-21=unspecified", "x=y"] {
            assert!(bad.parse::<CalendarDay>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_bad_row_of_a_file_is_named_with_its_line_and_column() {
        let file = "date,kind,weekday,certainty\n\
                    2026-09-21,in_lieu,Mon,\n\
                    2026-09-22,holiday,Tue,official\n\
                    22.09.2026,public,,\n\
                    2026-09-23,public,Mon,perhaps\n\
                    2026-09-21,ordinary,,\n";
        let problems = calendar_days(file.as_bytes()).unwrap_err();
        let places: Vec<_> = problems
            .iter()
            .filter_map(|problem| problem.split_once(':'))
            .map(|(at, _)| at)
            .collect();
        assert_eq!(
            places,
            [
                "line 3, kind",
                "line 4, date",
                "line 5, weekday",
                "line 5, certainty",
                "line 6, date"
            ]
        );
        assert!(calendar_days(b"date,kind\n").is_err());
    }

    #[test]
    fn the_list_that_is_compiled_in_reads_as_a_file_too() {
        let list = include_bytes!("../../../compliance/data/holidays.csv");
        assert!(calendar_days(list).unwrap().iter().any(|day| day.estimated));
    }
}
