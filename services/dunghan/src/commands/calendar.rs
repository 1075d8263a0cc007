//! `calendar`: windows and due dates by the calendar that is compiled in, without a server.

use chrono::NaiveDate;
use dunghan_calendar::{Certainty, DayKind, WorkingCalendar};
use serde::Serialize;

use crate::cli::{Calendar, CalendarVerb};
use crate::failure::Failure;
use crate::output::{self, Column, Rows, show_date};

#[derive(Serialize)]
struct PeriodView {
    period: String,
    family: String,
    start_date: NaiveDate,
    cut_off_date: NaiveDate,
    days: u32,
}

#[derive(Serialize)]
struct DueView {
    date: NaiveDate,
    working_days: u16,
    due_date: NaiveDate,
    calendar_version: String,
    skipped_days: Vec<Skipped>,
}

#[derive(Serialize)]
struct Skipped {
    date: NaiveDate,
    why: String,
    estimated: bool,
}

pub(super) fn calendar(args: &Calendar) -> Result<(), Failure> {
    match args.verb {
        CalendarVerb::Period { name, family } => {
            let window = name.window(family);
            let view = PeriodView {
                period: name.to_string(),
                family: family.as_str().to_owned(),
                start_date: window.first,
                cut_off_date: window.cut_off,
                days: window.days(),
            };
            output::print(args.output, &view, |view| {
                output::pairs(&[
                    ("Period", view.period.clone()),
                    ("Family", view.family.clone()),
                    ("First day", show_date(Some(view.start_date))),
                    ("Cut-off", show_date(Some(view.cut_off_date))),
                    ("Days", view.days.to_string()),
                ])
            })
        }
        CalendarVerb::Due { date, working_days } => {
            let calendar = dunghan_compliance::official_calendar();
            let calendar = calendar.map_err(|e| Failure::Failed(e.into()))?;
            let view = due(date, working_days, &calendar);
            output::print(args.output, &view, |view| {
                let mut text = output::pairs(&[
                    ("After", show_date(Some(view.date))),
                    ("Working days", view.working_days.to_string()),
                    ("Due date", show_date(Some(view.due_date))),
                ]);
                if !view.skipped_days.is_empty() {
                    let mut rows = Rows::new(&[Column::Text("Skipped"), Column::Text("Why")]);
                    for day in &view.skipped_days {
                        let estimated = if day.estimated { " (estimated)" } else { "" };
                        rows.row([show_date(Some(day.date)), format!("{}{estimated}", day.why)]);
                    }
                    text = format!("{text}\n\n{}", rows.text());
                }
                text
            })
        }
    }
}

fn due(date: NaiveDate, working_days: u16, calendar: &WorkingCalendar) -> DueView {
    let due_date = calendar.add_working_days(date, working_days.into());
    let skipped = calendar.skipped(date, due_date).into_iter().map(|(date, day)| Skipped {
        date,
        estimated: day.certainty == Certainty::Estimated,
        why: day.name.unwrap_or_else(|| kind(day.kind).to_owned()),
    });
    DueView {
        date,
        working_days,
        due_date,
        calendar_version: calendar.version().to_owned(),
        skipped_days: skipped.collect(),
    }
}

fn kind(kind: DayKind) -> &'static str {
    match kind {
        DayKind::Weekend => "weekend",
        _ => "day off",
    }
}
