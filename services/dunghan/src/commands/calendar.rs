//! `calendar`: windows, due dates, and the working calendars and their amendments.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, FixedOffset, NaiveDate};
use dunghan_calendar::{Certainty, Clock as _, SystemClock, WorkingCalendar, zone};
use dunghan_compliance::domain::wording;
use dunghan_proto::compliance as pb;
use dunghan_rpc::field::pb_date;
use serde::Serialize;

use crate::cli::{Calendar, CalendarVerb, Province};
use crate::client::{Client, PAGE};
use crate::failure::Failure;
use crate::input::{self, CalendarDay};
use crate::output::{
    self, Column, Rows, many, plain, show_date, show_due, show_period, show_time, word,
};

const NATIONAL: &str = "calendars/vn";

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
    calendar: String,
    date: NaiveDate,
    working_days: u16,
    due_date: Option<NaiveDate>,
    calendar_version: String,
    skipped_days: Vec<Skipped>,
}

#[derive(Serialize)]
struct Skipped {
    date: Option<NaiveDate>,
    why: String,
    estimated: bool,
}

#[derive(Clone, Serialize)]
struct Hours {
    morning: String,
    afternoon: String,
}

impl From<pb::OfficeHours> for Hours {
    fn from(hours: pb::OfficeHours) -> Self {
        Self { morning: hours.morning, afternoon: hours.afternoon }
    }
}

fn show_hours(hours: Option<&Hours>) -> String {
    hours.map_or_else(String::new, |hours| format!("{}, {}", hours.morning, hours.afternoon))
}

#[derive(Serialize)]
struct CalendarView {
    name: String,
    label: String,
    unit: String,
    version: String,
    etag: String,
    office_hours: Option<Hours>,
    update_time: Option<DateTime<FixedOffset>>,
    official_years: Vec<i32>,
}

impl CalendarView {
    fn new(calendar: pb::Calendar, label: String) -> Self {
        Self {
            label,
            office_hours: calendar.office_hours.map(Hours::from),
            update_time: output::time(calendar.update_time.as_ref()),
            name: calendar.name,
            unit: calendar.unit,
            version: calendar.version,
            etag: calendar.etag,
            official_years: calendar.official_years,
        }
    }

    fn text(&self) -> String {
        output::pairs(&[
            ("Calendar", self.label.clone()),
            ("Version", self.version.clone()),
            ("Etag", self.etag.clone()),
            ("Office hours", show_hours(self.office_hours.as_ref())),
            ("Amended last", show_time(self.update_time)),
            ("Decided years", years(&self.official_years)),
        ])
    }
}

/// `2020–2026, 2028`.
fn years(years: &[i32]) -> String {
    let mut runs: Vec<(i32, i32)> = Vec::new();
    for year in years {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *year => *last = *year,
            _ => runs.push((*year, *year)),
        }
    }
    let runs = runs.into_iter().map(|(first, last)| {
        if first == last { first.to_string() } else { format!("{first}–{last}") }
    });
    runs.collect::<Vec<_>>().join(", ")
}

#[derive(Serialize)]
struct CalendarList {
    calendars: Vec<CalendarView>,
}

#[derive(Serialize)]
struct Day {
    date: Option<NaiveDate>,
    kind: String,
    display_name: String,
    estimated: bool,
    source: String,
}

impl From<pb::CalendarDay> for Day {
    fn from(day: pb::CalendarDay) -> Self {
        Self {
            date: output::date(day.date.as_ref()),
            kind: word(day.kind().as_str_name(), "KIND_"),
            display_name: day.display_name,
            estimated: day.estimated,
            source: day.source,
        }
    }
}

fn day_table(days: &[Day]) -> String {
    let mut rows = Rows::new(&[Column::Whole("Day"), Column::Text("Kind"), Column::Text("Name")]);
    for day in days {
        let estimated = if day.estimated { " (estimated)" } else { "" };
        let name = format!("{}{estimated}", day.display_name);
        rows.row([show_date(day.date), plain(&day.kind), name]);
    }
    rows.text()
}

#[derive(Serialize)]
struct Shown {
    calendar: CalendarView,
    days: Vec<Day>,
}

#[derive(Serialize)]
struct Moved {
    regime: String,
    period: String,
    old_due_time: Option<DateTime<FixedOffset>>,
    new_due_time: Option<DateTime<FixedOffset>>,
    unit_count: i32,
}

#[derive(Serialize)]
struct Amendment {
    /// Empty where it was only tried.
    name: String,
    days: Vec<Day>,
    office_hours: Option<Hours>,
    legal_basis: String,
    reason: String,
    author: String,
    create_time: Option<DateTime<FixedOffset>>,
    version: String,
    moved_count: i32,
    no_longer_due_count: i32,
    moved_dossier_count: i32,
    no_longer_due_dossier_count: i32,
    moved: Vec<Moved>,
}

impl From<pb::CalendarAmendment> for Amendment {
    fn from(amendment: pb::CalendarAmendment) -> Self {
        let moved = amendment.moved.into_iter().map(|moved| Moved {
            old_due_time: output::time(moved.old_due_time.as_ref()),
            new_due_time: output::time(moved.new_due_time.as_ref()),
            regime: moved.regime,
            period: moved.period,
            unit_count: moved.unit_count,
        });
        Self {
            name: amendment.name,
            days: amendment.days.into_iter().map(Day::from).collect(),
            office_hours: amendment.office_hours.map(Hours::from),
            legal_basis: amendment.legal_basis,
            reason: amendment.reason,
            author: amendment.author,
            create_time: output::time(amendment.create_time.as_ref()),
            version: amendment.version,
            moved_count: amendment.moved_count,
            no_longer_due_count: amendment.no_longer_due_count,
            moved_dossier_count: amendment.moved_dossier_count,
            no_longer_due_dossier_count: amendment.no_longer_due_dossier_count,
            moved: moved.collect(),
        }
    }
}

impl Amendment {
    fn text(&self) -> String {
        let tried = if self.name.is_empty() { "tried only, nothing is amended" } else { "" };
        let mut text = output::pairs(&[
            ("Amendment", format!("{}{tried}", self.name)),
            ("Basis", self.legal_basis.clone()),
            ("Reason", self.reason.clone()),
            ("By", self.author.clone()),
            ("At", show_time(self.create_time)),
            ("Office hours", show_hours(self.office_hours.as_ref())),
            ("Version", self.version.clone()),
            ("Due times moved", self.moved_count.to_string()),
            ("Not due any more", self.no_longer_due_count.to_string()),
            ("Dossiers moved", self.moved_dossier_count.to_string()),
            ("Not overdue now", self.no_longer_due_dossier_count.to_string()),
        ]);
        if !self.days.is_empty() {
            text = format!("{text}\n\n{}", day_table(&self.days));
        }
        if !self.moved.is_empty() {
            let mut rows = Rows::new(&[
                Column::Text("Regime"),
                Column::Text("Period"),
                Column::Whole("Was due"),
                Column::Whole("Is due"),
                Column::Number("Units"),
            ]);
            for moved in &self.moved {
                rows.row([
                    moved.regime.trim_start_matches("regimes/").to_owned(),
                    show_period(&moved.period),
                    show_due(moved.old_due_time),
                    show_due(moved.new_due_time),
                    moved.unit_count.to_string(),
                ]);
            }
            text = format!("{text}\n\n{}", rows.text());
        }
        text
    }
}

#[derive(Serialize)]
struct Amendments {
    amendments: Vec<Amendment>,
}

#[derive(Serialize)]
struct DueChange {
    obligation: String,
    unit_label: String,
    due_generation: i32,
    old_due_time: Option<DateTime<FixedOffset>>,
    new_due_time: Option<DateTime<FixedOffset>>,
    cause: String,
    reference: String,
    reason: String,
    author: String,
    create_time: Option<DateTime<FixedOffset>>,
}

#[derive(Serialize)]
struct DueChanges {
    due_changes: Vec<DueChange>,
}

pub(super) async fn calendar(args: Calendar) -> Result<(), Failure> {
    let format = args.client.output;
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
            output::print(format, &view, |view| {
                output::pairs(&[
                    ("Period", view.period.clone()),
                    ("Family", view.family.clone()),
                    ("First day", show_date(Some(view.start_date))),
                    ("Cut-off", show_date(Some(view.cut_off_date))),
                    ("Days", view.days.to_string()),
                ])
            })
        }
        CalendarVerb::Due { date, working_days, offline, province } => {
            let view = if offline {
                let calendar = dunghan_compliance::official_calendar();
                let calendar = calendar.map_err(|e| Failure::Failed(e.into()))?;
                due_offline(date, working_days, &calendar)
            } else {
                let client = Client::of(&args.client)?;
                due(&client, &province, date, working_days).await?
            };
            output::print(format, &view, due_text)
        }
        CalendarVerb::List => {
            let client = Client::of(&args.client)?;
            let request = pb::ListCalendarsRequest {};
            let found = client.calendars().list_calendars(request).await?.into_inner();
            let mut list = CalendarList { calendars: Vec::new() };
            for calendar in found.calendars {
                let label = label(&client, &calendar).await;
                list.calendars.push(CalendarView::new(calendar, label));
            }
            output::print(format, &list, |list| {
                let mut rows = Rows::new(&[
                    Column::Text("Calendar"),
                    Column::Text("Office hours"),
                    Column::Text("Amended last"),
                    Column::Text("Decided years"),
                ]);
                for calendar in &list.calendars {
                    rows.row([
                        calendar.label.clone(),
                        show_hours(calendar.office_hours.as_ref()),
                        show_time(calendar.update_time),
                        years(&calendar.official_years),
                    ]);
                }
                rows.text()
            })
        }
        CalendarVerb::Show { from, through, province } => {
            let client = Client::of(&args.client)?;
            let name = calendar_name(&client, &province).await?;
            let shown = show(&client, name, from, through).await?;
            output::print(format, &shown, |shown| {
                format!("{}\n\n{}", shown.calendar.text(), day_table(&shown.days))
            })
        }
        CalendarVerb::Amend { file, days, hours, basis, reason, etag, dry_run, province } => {
            let mut said = match file {
                Some(file) => input::in_file(&file, input::calendar_days(&input::read(&file)?))?,
                None => Vec::new(),
            };
            said.extend(days);
            let client = Client::of(&args.client)?;
            let request = pb::AmendCalendarRequest {
                name: calendar_name(&client, &province).await?,
                days: said.into_iter().map(said_day).collect(),
                office_hours: hours.map(|hours| hours.0),
                legal_basis: basis,
                reason,
                etag: etag.unwrap_or_default(),
                request_id: uuid::Uuid::new_v4().to_string(),
                validate_only: dry_run,
            };
            let amendment = client.calendars().amend_calendar(request).await?.into_inner();
            output::print(format, &Amendment::from(amendment), Amendment::text)
        }
        CalendarVerb::Amendments { national, province } => {
            let client = Client::of(&args.client)?;
            let parent = match (national, &province.province) {
                (false, None) => String::new(),
                _ => calendar_name(&client, &province).await?,
            };
            let list = Amendments { amendments: amendments(&client, parent).await? };
            output::print(format, &list, |list| {
                let each = list.amendments.iter().map(Amendment::text).collect::<Vec<_>>();
                if each.is_empty() { "Nothing.".to_owned() } else { each.join("\n\n\n") }
            })
        }
        CalendarVerb::Moved { unit, by, as_of } => {
            let client = Client::of(&args.client)?;
            let scope = client.unit_name(&unit, as_of).await?;
            let list = DueChanges { due_changes: moved(&client, scope, by).await? };
            output::print(format, &list, moved_text)
        }
    }
}

/// `calendars/vn`, or that of a province.
async fn calendar_name(client: &Client, province: &Province) -> Result<String, Failure> {
    match &province.province {
        None => Ok(NATIONAL.to_owned()),
        Some(unit) => {
            let unit = client.unit_name(unit, province.as_of).await?;
            Ok(unit.replacen("units/", "calendars/", 1))
        }
    }
}

async fn label(client: &Client, calendar: &pb::Calendar) -> String {
    match calendar.unit.as_str() {
        "" => "Việt Nam".to_owned(),
        unit => client.label(unit, None).await,
    }
}

fn said_day(day: CalendarDay) -> pb::CalendarDay {
    pb::CalendarDay {
        date: Some(pb_date(day.date)),
        kind: day.kind.into(),
        display_name: day.display_name,
        estimated: day.estimated,
        source: day.source,
    }
}

fn due_offline(date: NaiveDate, working_days: u16, calendar: &WorkingCalendar) -> DueView {
    let due_date = calendar.add_working_days(date, working_days.into());
    let skipped = calendar.skipped(date, due_date).into_iter().map(|(date, day)| Skipped {
        date: Some(date),
        estimated: day.certainty == Certainty::Estimated,
        why: wording::day_off(date, &day),
    });
    DueView {
        calendar: NATIONAL.to_owned(),
        date,
        working_days,
        due_date: Some(due_date),
        calendar_version: calendar.version().to_owned(),
        skipped_days: skipped.collect(),
    }
}

async fn due(
    client: &Client,
    province: &Province,
    date: NaiveDate,
    working_days: u16,
) -> Result<DueView, Failure> {
    let calendar = calendar_name(client, province).await?;
    let request = pb::ComputeDueDateRequest {
        calendar: calendar.clone(),
        date: Some(pb_date(date)),
        working_days: working_days.into(),
    };
    let found = client.calendars().compute_due_date(request).await?.into_inner();
    let skipped = found.skipped_days.into_iter().map(|day| Skipped {
        date: output::date(day.date.as_ref()),
        why: day.why,
        estimated: day.estimated,
    });
    Ok(DueView {
        calendar,
        date,
        working_days,
        due_date: output::date(found.due_date.as_ref()),
        calendar_version: found.version,
        skipped_days: skipped.collect(),
    })
}

fn due_text(view: &DueView) -> String {
    let mut text = output::pairs(&[
        ("After", show_date(Some(view.date))),
        ("Working days", view.working_days.to_string()),
        ("Due date", show_date(view.due_date)),
    ]);
    if !view.skipped_days.is_empty() {
        let mut rows = Rows::new(&[Column::Text("Skipped"), Column::Text("Why")]);
        for day in &view.skipped_days {
            let estimated = if day.estimated { " (estimated)" } else { "" };
            rows.row([show_date(day.date), format!("{}{estimated}", day.why)]);
        }
        text = format!("{text}\n\n{}", rows.text());
    }
    text
}

async fn show(
    client: &Client,
    name: String,
    from: Option<NaiveDate>,
    through: Option<NaiveDate>,
) -> Result<Shown, Failure> {
    let today = zone::civil_date(SystemClock.now());
    let from = from.or_else(|| NaiveDate::from_ymd_opt(today.year(), 1, 1)).unwrap_or(today);
    let through = through.or_else(|| NaiveDate::from_ymd_opt(from.year(), 12, 31)).unwrap_or(from);
    let request = pb::GetCalendarRequest { name: name.clone() };
    let calendar = client.calendars().get_calendar(request).await?.into_inner();
    let label = label(client, &calendar).await;
    let request = pb::ListCalendarDaysRequest {
        parent: name,
        from_date: Some(pb_date(from)),
        through_date: Some(pb_date(through)),
    };
    let found = client.calendars().list_calendar_days(request).await?.into_inner();
    let days = found.days.into_iter().map(Day::from).collect();
    Ok(Shown { calendar: CalendarView::new(calendar, label), days })
}

async fn amendments(client: &Client, parent: String) -> Result<Vec<Amendment>, Failure> {
    let mut request =
        pb::ListCalendarAmendmentsRequest { parent, page_size: PAGE, page_token: String::new() };
    let mut all = Vec::new();
    loop {
        let page = client.calendars().list_calendar_amendments(request.clone()).await?.into_inner();
        all.extend(page.amendments.into_iter().map(Amendment::from));
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

async fn moved(
    client: &Client,
    scope: String,
    by: Option<String>,
) -> Result<Vec<DueChange>, Failure> {
    let mut request = pb::ListDueChangesRequest {
        scope,
        reference: by.unwrap_or_default(),
        page_size: PAGE,
        page_token: String::new(),
    };
    let (mut all, mut labels) = (Vec::new(), BTreeMap::<String, String>::new());
    loop {
        let page = client.calendars().list_due_changes(request.clone()).await?.into_inner();
        for change in page.due_changes {
            let unit = change.obligation.split_once("/obligations/").map_or("", |(unit, _)| unit);
            if !labels.contains_key(unit) {
                labels.insert(unit.to_owned(), client.label(unit, None).await);
            }
            all.push(DueChange {
                unit_label: labels.get(unit).cloned().unwrap_or_default(),
                old_due_time: output::time(change.old_due_time.as_ref()),
                new_due_time: output::time(change.new_due_time.as_ref()),
                cause: word(change.cause().as_str_name(), "CAUSE_"),
                create_time: output::time(change.create_time.as_ref()),
                obligation: change.obligation,
                due_generation: change.due_generation,
                reference: change.reference,
                reason: change.reason,
                author: change.author,
            });
        }
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

fn moved_text(list: &DueChanges) -> String {
    let mut rows = Rows::new(&[
        Column::Text("Unit"),
        Column::Text("Regime"),
        Column::Text("Period"),
        Column::Whole("Was due"),
        Column::Whole("Is due"),
        Column::Text("Why"),
    ]);
    for change in &list.due_changes {
        let of = change.obligation.rsplit('/').next().unwrap_or_default();
        let (regime, period) = of.split_once('~').unwrap_or((of, ""));
        let why = match change.reason.as_str() {
            "" => plain(&change.cause),
            reason => format!("{}: {reason}", plain(&change.cause)),
        };
        rows.row([
            change.unit_label.clone(),
            regime.to_owned(),
            show_period(period),
            show_due(change.old_due_time),
            show_due(change.new_due_time),
            why,
        ]);
    }
    let count = many(list.due_changes.len(), "due time moved", "due times moved");
    format!("{}\n\n{count}", rows.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_that_follow_each_other_are_shown_as_a_run() {
        assert_eq!(years(&[2020, 2021, 2022, 2024, 2026, 2027]), "2020–2022, 2024, 2026–2027");
        assert_eq!(years(&[]), "");
    }
}
