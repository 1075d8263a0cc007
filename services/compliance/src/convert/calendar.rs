//! pb ⇄ domain: calendars, their amendments, and due times that moved.

use chrono::{NaiveDate, NaiveTime};
use dunghan_calendar::{Certainty, Day, OfficeHours, SpecialDay, SpecialKind, WorkingCalendar};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::ErrorReason;
use dunghan_proto::compliance::calendar_day::Kind;
use dunghan_rpc::{bad_field, bad_field_for, field};
use tonic::Status;

use super::{characters, given};
use crate::domain::calendar::{Amendment, Calendar, CalendarId, Change, Moved, SaidDay};
use crate::domain::due_change::{Cause, DueChange};
use crate::domain::wording;
use crate::error::unknown_calendar;

/// Days of one amendment.
const MOST_DAYS: usize = 1000;
const MOST_NAME: usize = 200;
const MOST_SOURCE: usize = 500;
const MOST_REASON: usize = 2000;
/// Counting in working days begins with this year.
const FIRST_YEAR: i32 = 1900;
/// Working days that one question counts.
const MOST_WORKING_DAYS: u32 = 10_000;
/// Years of which one question lists the days.
const MOST_YEARS: u32 = 10;

/// A calendar's name in a field that has to be there. A name that no calendar could have is no calendar either.
pub(crate) fn calendar_id(name: &str, value: &str) -> Result<CalendarId, Status> {
    given(name, value)?.parse().map_err(|e| {
        let id = value.strip_prefix("calendars/").unwrap_or_default();
        let is_id = (1..=63).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if is_id { unknown_calendar(value) } else { bad_field(name, e) }
    })
}

/// The days of which a question asks.
pub(crate) fn interval(
    from: Option<&dunghan_proto::r#type::Date>,
    through: Option<&dunghan_proto::r#type::Date>,
) -> Result<(NaiveDate, NaiveDate), Status> {
    let from = field::required("from_date", field::date("from_date", from)?)?;
    let through = field::required("through_date", field::date("through_date", through)?)?;
    if through < from {
        return Err(bad_field("through_date", "lies before from_date"));
    }
    let last = from.checked_add_months(chrono::Months::new(12 * MOST_YEARS));
    if last.is_some_and(|last| last < through) {
        let why = format!("lies more than {MOST_YEARS} years after from_date");
        return Err(bad_field("through_date", why));
    }
    Ok((from, through))
}

/// How many working days to count.
pub(crate) fn working_days(value: i32) -> Result<u32, Status> {
    u32::try_from(value).ok().filter(|days| *days <= MOST_WORKING_DAYS).ok_or_else(|| {
        bad_field("working_days", format!("must be from 0 to {MOST_WORKING_DAYS}: {value}"))
    })
}

/// What is to be amended.
pub(crate) fn change(request: &pb::AmendCalendarRequest) -> Result<Change, Status> {
    let calendar = calendar_id("name", &request.name)?;
    let legal_basis = characters("legal_basis", &request.legal_basis, MOST_SOURCE)?;
    let reason = characters("reason", &request.reason, MOST_REASON)?;
    if request.days.len() > MOST_DAYS {
        return Err(bad_field("days", format!("must not be more than {MOST_DAYS}")));
    }
    if request.days.is_empty() && request.office_hours.is_none() {
        return field::required("days", None);
    }
    let days = request.days.iter().enumerate();
    let days = days.map(|(at, day)| said_day(&format!("days[{at}]"), day, &legal_basis));
    Ok(Change {
        calendar,
        days: days.collect::<Result<_, _>>()?,
        office_hours: request.office_hours.as_ref().map(office_hours).transpose()?,
        legal_basis,
        reason,
    })
}

/// A day without a name or a source has what its kind and the amendment give it.
fn said_day(name: &str, day: &pb::CalendarDay, legal_basis: &str) -> Result<SaidDay, Status> {
    let dated = format!("{name}.date");
    let kinded = format!("{name}.kind");
    let optional = |field: &str, value: &str, most, otherwise: &str| {
        if value.trim().is_empty() {
            return Ok(otherwise.to_owned());
        }
        characters(&format!("{name}.{field}"), value, most)
    };
    let kind = match Kind::try_from(day.kind) {
        Ok(Kind::Public) => Some(SpecialKind::Public),
        Ok(Kind::InLieu) => Some(SpecialKind::InLieu),
        Ok(Kind::SwappedWorkday) => Some(SpecialKind::SwappedWorkday),
        Ok(Kind::Ordinary) => None,
        Ok(Kind::Unspecified) => return field::required(&kinded, None),
        Err(_) => return Err(bad_field(&kinded, format!("is no kind: {}", day.kind))),
    };
    let known = match kind {
        Some(SpecialKind::Public) => "Ngày nghỉ lễ",
        Some(SpecialKind::InLieu) => "Nghỉ bù",
        Some(SpecialKind::SwappedWorkday) => "Ngày làm việc bù",
        None => "",
    };
    Ok(SaidDay {
        date: said_date(&dated, day.date.as_ref())?,
        kind,
        name_vi: optional("display_name", &day.display_name, MOST_NAME, known)?,
        certainty: if day.estimated { Certainty::Estimated } else { Certainty::Official },
        source: optional("source", &day.source, MOST_SOURCE, legal_basis)?,
    })
}

fn said_date(name: &str, value: Option<&dunghan_proto::r#type::Date>) -> Result<NaiveDate, Status> {
    if value.is_some_and(|date| (1..FIRST_YEAR).contains(&date.year)) {
        let why = format!("lies before {FIRST_YEAR}, where nothing is counted");
        return Err(in_the_past(name, why));
    }
    field::required(name, field::date(name, value)?)
}

/// INVALID_ARGUMENT for a day that cannot change anything.
pub(crate) fn in_the_past(name: &str, why: impl ToString) -> Status {
    bad_field_for(ErrorReason::InThePast, name, why)
}

fn office_hours(value: &pb::OfficeHours) -> Result<OfficeHours, Status> {
    let session = |name: &str, value: &str| {
        let read = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").ok();
        let (from, to) = given(name, value)?
            .split_once('-')
            .and_then(|(from, to)| read(from).zip(read(to)))
            .ok_or_else(|| bad_field(name, "must be two times, as 07:30-11:30"))?;
        if from < to { Ok((from, to)) } else { Err(bad_field(name, "must open before it closes")) }
    };
    let morning = session("office_hours.morning", &value.morning)?;
    let afternoon = session("office_hours.afternoon", &value.afternoon)?;
    OfficeHours::new(morning, afternoon)
        .map_err(|_| bad_field("office_hours.afternoon", "must be after the morning"))
}

fn pb_office_hours(hours: &OfficeHours) -> pb::OfficeHours {
    let session = |(from, to): (NaiveTime, NaiveTime)| {
        format!("{}-{}", from.format("%H:%M"), to.format("%H:%M"))
    };
    pb::OfficeHours { morning: session(hours.morning()), afternoon: session(hours.afternoon()) }
}

fn pb_kind(kind: Option<SpecialKind>) -> Kind {
    match kind {
        Some(SpecialKind::Public) => Kind::Public,
        Some(SpecialKind::InLieu) => Kind::InLieu,
        Some(SpecialKind::SwappedWorkday) => Kind::SwappedWorkday,
        None => Kind::Ordinary,
    }
}

/// A calendar as it stands.
pub(crate) fn calendar(id: CalendarId, calendar: &Calendar) -> pb::Calendar {
    pb::Calendar {
        name: id.to_string(),
        unit: match id {
            CalendarId::National => String::new(),
            CalendarId::Of(unit) => unit.to_string(),
        },
        version: calendar.version(),
        office_hours: Some(pb_office_hours(&calendar.office_hours)),
        etag: calendar.etag(),
        update_time: calendar.update_time.map(field::pb_time),
        official_years: calendar.days.official_years().collect(),
    }
}

/// A day as a calendar has it.
pub(crate) fn calendar_day(day: &SpecialDay) -> pb::CalendarDay {
    pb::CalendarDay {
        date: Some(field::pb_date(day.date)),
        kind: pb_kind(Some(day.kind)).into(),
        display_name: day.name_vi.clone(),
        estimated: day.certainty == Certainty::Estimated,
        source: day.source.clone(),
    }
}

impl From<&SaidDay> for pb::CalendarDay {
    fn from(day: &SaidDay) -> Self {
        Self {
            date: Some(field::pb_date(day.date)),
            kind: pb_kind(day.kind).into(),
            display_name: day.name_vi.clone(),
            estimated: day.certainty == Certainty::Estimated,
            source: day.source.clone(),
        }
    }
}

/// The days after one up to another that do not count, with why.
pub(crate) fn skipped_days(
    calendar: &WorkingCalendar,
    after: NaiveDate,
    through: NaiveDate,
) -> Vec<pb::SkippedDay> {
    skipped(&calendar.skipped(after, through))
}

/// Days that do not count, with why.
pub(crate) fn skipped(days: &[(NaiveDate, Day)]) -> Vec<pb::SkippedDay> {
    let days = days.iter().map(|(date, day)| pb::SkippedDay {
        date: Some(field::pb_date(*date)),
        why: wording::day_off(*date, day),
        estimated: day.certainty == Certainty::Estimated,
    });
    days.collect()
}

fn tally(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

impl From<&Amendment> for pb::CalendarAmendment {
    fn from(amendment: &Amendment) -> Self {
        let Amendment { change, moved, .. } = amendment;
        let Moved { count, no_longer_due, due_times } = moved;
        let due_times = due_times.iter().map(|moved| pb::MovedDueTime {
            regime: moved.regime.to_string(),
            period: moved.period.to_string(),
            old_due_time: moved.old.map(field::pb_time),
            new_due_time: moved.new.map(field::pb_time),
            unit_count: tally(moved.units),
        });
        Self {
            name: amendment.name().to_string(),
            days: change.days.iter().map(pb::CalendarDay::from).collect(),
            office_hours: change.office_hours.as_ref().map(pb_office_hours),
            legal_basis: change.legal_basis.clone(),
            reason: change.reason.clone(),
            author: amendment.author.clone(),
            create_time: Some(field::pb_time(amendment.create_time)),
            version: amendment.version.clone(),
            moved_count: tally(*count),
            no_longer_due_count: tally(*no_longer_due),
            moved: due_times.collect(),
            moved_dossier_count: tally(amendment.dossiers.count),
            no_longer_due_dossier_count: tally(amendment.dossiers.no_longer_due),
        }
    }
}

impl From<&DueChange> for pb::DueChange {
    fn from(change: &DueChange) -> Self {
        let cause = match change.cause {
            Cause::CalendarAmended => pb::due_change::Cause::CalendarAmended,
            Cause::Extension => pb::due_change::Cause::Extension,
            Cause::ExtensionRevoked => pb::due_change::Cause::ExtensionRevoked,
            Cause::UnitChanged => pb::due_change::Cause::UnitChanged,
        };
        Self {
            obligation: change.name.to_string(),
            due_generation: change.due_generation,
            old_due_time: change.old.map(field::pb_time),
            new_due_time: change.new.map(field::pb_time),
            cause: cause.into(),
            reference: change.reference.clone(),
            reason: change.reason.clone(),
            author: change.author.clone(),
            create_time: Some(field::pb_time(change.create_time)),
        }
    }
}
