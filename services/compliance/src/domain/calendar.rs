//! The working calendars: the nation's, and those of provinces that have days of their own.
//!
//! All of them follow from the list that is compiled in and from the amendments, in the order of their numbers. A
//! province's calendar is the nation's with the province's own days laid over it: what a province says of a day holds
//! there, whatever the nation says of it before or after.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use dunghan_calendar::{
    Amended, CalendarError, Certainty, OfficeHours, Period, SpecialDay, SpecialKind,
    WorkingCalendar,
};
use dunghan_hierarchy::{Hierarchy, UnitId};
use serde::{Deserialize, Serialize};

use crate::domain::regime::RegimeId;

const HOLIDAYS: &str = include_str!("../../data/holidays.csv");

/// The civil service's working calendar of Vietnam.
///
/// Errors: the compiled-in list does not read; a test holds that it does.
pub fn official() -> Result<WorkingCalendar, CalendarError> {
    WorkingCalendar::from_csv(HOLIDAYS)
}

/// Which calendar. Reads and prints as `calendars/vn`, or as `calendars/{unit}` with a unit's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CalendarId {
    /// The nation's.
    National,
    /// That of a province.
    Of(UnitId),
}

/// Not the name of a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be calendars/vn, or calendars/{{unit}} with a unit's id")]
pub struct NotACalendar;

impl FromStr for CalendarId {
    type Err = NotACalendar;

    fn from_str(name: &str) -> Result<Self, NotACalendar> {
        match name.strip_prefix("calendars/").ok_or(NotACalendar)? {
            "vn" => Ok(Self::National),
            id => format!("units/{id}").parse().map(Self::Of).map_err(|_| NotACalendar),
        }
    }
}

impl fmt::Display for CalendarId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::National => f.write_str("calendars/vn"),
            Self::Of(unit) => write!(f, "calendars/{}", unit.uuid().hyphenated()),
        }
    }
}

/// What an amendment says of one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidDay {
    /// Which.
    pub date: NaiveDate,
    /// What it is; none: what its weekday makes it.
    pub kind: Option<SpecialKind>,
    /// Vietnamese, for people.
    pub name_vi: String,
    /// Whether that rests on a decision.
    pub certainty: Certainty,
    /// The decision or list that says so.
    pub source: String,
}

impl From<&SaidDay> for Amended {
    fn from(said: &SaidDay) -> Self {
        let SaidDay { date, kind, certainty, .. } = *said;
        match kind {
            None => Self::Ordinary { date, certainty },
            Some(kind) => Self::Special(SpecialDay {
                date,
                kind,
                name_vi: said.name_vi.clone(),
                certainty,
                source: said.source.clone(),
            }),
        }
    }
}

/// What is to be said otherwise in a calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// In which.
    pub calendar: CalendarId,
    /// Of which days.
    pub days: Vec<SaidDay>,
    /// When offices are open from now on; none: as before.
    pub office_hours: Option<OfficeHours>,
    /// The document by which it is amended.
    pub legal_basis: String,
    /// Why.
    pub reason: String,
}

/// A calendar was amended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// Counts the amendments of all calendars, from 1.
    pub number: u64,
    /// What was said.
    pub change: Change,
    /// Who amended.
    pub author: String,
    /// When.
    pub create_time: DateTime<Utc>,
    /// The calendar's version that came of it.
    pub version: String,
    /// What it moved.
    pub moved: Moved,
    /// And of dossiers.
    pub dossiers: MovedDossiers,
}

/// Reads and prints as `calendars/{calendar}/amendments/{amendment}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AmendmentName {
    /// Of which calendar.
    pub calendar: CalendarId,
    /// Its number.
    pub number: u64,
}

impl fmt::Display for AmendmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/amendments/{}", self.calendar, self.number)
    }
}

impl Amendment {
    /// Its name.
    pub fn name(&self) -> AmendmentName {
        AmendmentName { calendar: self.change.calendar, number: self.number }
    }
}

/// The due times that an amendment moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// How many.
    pub count: u64,
    /// How many of them were told as missing and are not due now.
    pub no_longer_due: u64,
    /// By regime, period and old due time.
    pub due_times: Vec<MovedDueTime>,
}

/// The due times of dossiers that an amendment moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MovedDossiers {
    /// How many.
    pub count: u64,
    /// How many of them were told as overdue and are not due now.
    pub no_longer_due: u64,
}

/// Obligations whose due time moved alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedDueTime {
    /// Under which regime.
    pub regime: RegimeId,
    /// For which period.
    pub period: Period,
    /// Before.
    pub old: Option<DateTime<Utc>>,
    /// After.
    pub new: Option<DateTime<Utc>>,
    /// Of how many units.
    pub units: u64,
}

/// One calendar as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Which days are worked.
    pub days: WorkingCalendar,
    /// When offices are open.
    pub office_hours: OfficeHours,
    /// The number of the last amendment that concerned it; 0: none. The nation's concern every province.
    pub amendment: u64,
    /// When that was.
    pub update_time: Option<DateTime<Utc>>,
}

impl Calendar {
    /// Another whenever anything in it changes: that of its days, and the office hours where they are not the usual ones.
    pub fn version(&self) -> String {
        let days = self.days.version();
        if self.office_hours == OfficeHours::default() {
            return days.to_owned();
        }
        let hours = [self.office_hours.morning(), self.office_hours.afternoon()]
            .map(|(from, to)| format!("{}{}", from.format("%H%M"), to.format("%H%M")));
        format!("{days}-{}", hours.join("-"))
    }

    /// Another after each amendment, also after one that brings an earlier version back.
    pub fn etag(&self) -> String {
        format!("\"{}-{}\"", self.version(), self.amendment)
    }

    /// Whether anything but its history is another than before. A day says for its whole year what is computed there.
    fn differs(&self, before: &Self, said: &[SaidDay]) -> bool {
        let years: BTreeSet<_> = said.iter().map(|day| day.date.year()).collect();
        let days = years.into_iter().filter_map(|year| NaiveDate::from_ymd_opt(year, 1, 1));
        let mut days = days
            .flat_map(|first| first.iter_days().take_while(move |day| day.year() == first.year()));
        self.office_hours != before.office_hours
            || days.any(|day| {
                self.days.special(day) != before.days.special(day)
                    || self.days.day(day) != before.days.day(day)
            })
    }
}

/// What a province has of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Own {
    days: BTreeMap<NaiveDate, Amended>,
    office_hours: Option<OfficeHours>,
    amendment: u64,
    update_time: Option<DateTime<Utc>>,
}

impl Own {
    fn over(&self, national: &Calendar) -> Result<Calendar, CalendarError> {
        Ok(Calendar {
            days: national.days.amended(self.days.values().cloned())?,
            office_hours: self.office_hours.unwrap_or(national.office_hours),
            amendment: self.amendment.max(national.amendment),
            update_time: self.update_time.max(national.update_time),
        })
    }
}

/// Why a change makes no calendars.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Its days make no calendar.
    #[error(transparent)]
    Days(CalendarError),
    /// With it the calendar of a province that has days of its own would be none.
    #[error("{calendar} would be no calendar any more: {error}")]
    Elsewhere {
        /// Which.
        calendar: CalendarId,
        /// Why.
        error: CalendarError,
    },
    /// It leaves everything as it is.
    #[error("the amendment would leave {0} as it is")]
    WithoutEffect(CalendarId),
}

/// All calendars as of one amendment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendars {
    national: Calendar,
    /// Each with what it is made of.
    provinces: BTreeMap<UnitId, (Own, Calendar)>,
    amendment: u64,
}

impl Calendars {
    /// As compiled in, before any amendment, with the usual office hours.
    pub fn official() -> Result<Self, CalendarError> {
        Self::before_amendments(OfficeHours::default())
    }

    /// As compiled in, before any amendment, with these office hours until an amendment says otherwise.
    pub fn before_amendments(office_hours: OfficeHours) -> Result<Self, CalendarError> {
        let national =
            Calendar { days: official()?, office_hours, amendment: 0, update_time: None };
        Ok(Self { national, provinces: BTreeMap::new(), amendment: 0 })
    }

    /// The nation's.
    pub fn national(&self) -> &WorkingCalendar {
        &self.national.days
    }

    /// That of an area: a province's own, or else the nation's.
    pub fn of(&self, area: UnitId) -> &WorkingCalendar {
        &self.in_area(area).days
    }

    /// The same, with office hours and version.
    pub fn in_area(&self, area: UnitId) -> &Calendar {
        self.provinces.get(&area).map_or(&self.national, |(_, calendar)| calendar)
    }

    /// The calendar of that name; none where a province has nothing of its own.
    pub fn get(&self, id: CalendarId) -> Option<&Calendar> {
        match id {
            CalendarId::National => Some(&self.national),
            CalendarId::Of(unit) => self.provinces.get(&unit).map(|(_, calendar)| calendar),
        }
    }

    /// All of them, the nation's first.
    pub fn all(&self) -> impl Iterator<Item = (CalendarId, &Calendar)> {
        let provinces =
            self.provinces.iter().map(|(unit, (_, calendar))| (CalendarId::Of(*unit), calendar));
        std::iter::once((CalendarId::National, &self.national)).chain(provinces)
    }

    /// The number of the last amendment; 0: none.
    pub fn amendment(&self) -> u64 {
        self.amendment
    }

    /// These calendars after one more amendment.
    ///
    /// Errors: days that make no calendar, of the calendar itself or of a province over it, and a change that changes
    /// nothing.
    pub fn amended(&self, change: &Change, at: DateTime<Utc>) -> Result<Self, Refused> {
        let after = self.with(change, self.amendment + 1, at)?;
        let id = change.calendar;
        let before = self.get(id).unwrap_or(&self.national);
        let differs = after.get(id).is_some_and(|after| after.differs(before, &change.days));
        if differs { Ok(after) } else { Err(Refused::WithoutEffect(id)) }
    }

    /// These calendars after an amendment that was made.
    ///
    /// Errors: as of [`Calendars::amended`]; what was kept was tried before.
    pub fn after(&self, amendment: &Amendment) -> Result<Self, Refused> {
        self.with(&amendment.change, amendment.number, amendment.create_time)
    }

    fn with(&self, change: &Change, number: u64, at: DateTime<Utc>) -> Result<Self, Refused> {
        let days = || change.days.iter().map(Amended::from);
        // A day twice, or a weekday declared swapped, is found by its place among the days that are said.
        let tried = self.national.days.amended(days()).map_err(Refused::Days);
        let mut after = Self { amendment: number, ..self.clone() };
        match change.calendar {
            CalendarId::National => {
                after.national.days = tried?;
                let hours = &mut after.national.office_hours;
                *hours = change.office_hours.unwrap_or(*hours);
                after.national.amendment = number;
                after.national.update_time = Some(at);
            }
            CalendarId::Of(unit) => {
                if let Err(Refused::Days(CalendarError::Row { .. })) = tried {
                    tried?;
                }
                let own = &mut after
                    .provinces
                    .entry(unit)
                    .or_insert_with(|| (Own::default(), self.national.clone()));
                own.0.days.extend(days().map(|day| (day.date(), day)));
                own.0.office_hours = change.office_hours.or(own.0.office_hours);
                own.0.amendment = number;
                own.0.update_time = Some(at);
            }
        }
        for (unit, (own, calendar)) in &mut after.provinces {
            let id = CalendarId::Of(*unit);
            if change.calendar != CalendarId::National && change.calendar != id {
                continue;
            }
            *calendar = own.over(&after.national).map_err(|error| {
                if id == change.calendar {
                    Refused::Days(error)
                } else {
                    Refused::Elsewhere { calendar: id, error }
                }
            })?;
        }
        Ok(after)
    }
}

/// The province or whatever else is above a unit on a day, whose working calendar holds for it; of a unit that is not there
/// then, as of when it was.
pub fn area(unit: UnitId, day: NaiveDate, hierarchy: &Hierarchy) -> UnitId {
    let day = hierarchy.known_on(unit, day);
    hierarchy.ancestors(unit, day).last().copied().unwrap_or(unit)
}

#[cfg(test)]
mod tests {
    use chrono::NaiveTime;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn said(date: &str, kind: Option<SpecialKind>) -> SaidDay {
        let (name_vi, source) = ("Nghỉ bão".to_owned(), "Công điện số 1".to_owned());
        SaidDay { date: day(date), kind, name_vi, certainty: Certainty::Official, source }
    }

    fn off(date: &str) -> SaidDay {
        said(date, Some(SpecialKind::InLieu))
    }

    fn change(calendar: CalendarId, days: Vec<SaidDay>) -> Change {
        Change {
            calendar,
            days,
            office_hours: None,
            legal_basis: "Công điện số 1".to_owned(),
            reason: "Bão số 3".to_owned(),
        }
    }

    fn province() -> UnitId {
        UnitId::new("nso", "24", None)
    }

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(minute)
    }

    fn amend(calendars: &Calendars, id: CalendarId, days: Vec<SaidDay>) -> Calendars {
        calendars.amended(&change(id, days), at(1)).unwrap()
    }

    fn nation(days: Vec<SaidDay>) -> Calendars {
        amend(&Calendars::official().unwrap(), CalendarId::National, days)
    }

    #[test]
    fn the_list_reads_and_knows_the_saturday_worked_for_the_monday_off() {
        let calendar = official().unwrap();
        assert!(calendar.is_working(day("2024-05-04")));
        assert!(!calendar.is_working(day("2024-04-29")));
        assert!(!calendar.is_working(day("2026-11-24")));
    }

    #[test]
    fn a_name_prints_as_it_reads() {
        for id in [CalendarId::National, CalendarId::Of(province())] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for bad in ["", "calendars/", "calendars/us", "calendars/VN", "vn", "calendars/vn/"] {
            assert_eq!(bad.parse::<CalendarId>(), Err(NotACalendar), "{bad}");
        }
    }

    #[test]
    fn a_province_has_the_nations_calendar_until_it_has_days_of_its_own() {
        let before = Calendars::official().unwrap();
        assert_eq!(before.of(province()), before.national());
        assert_eq!(before.get(CalendarId::Of(province())), None);
        let after = amend(&before, CalendarId::Of(province()), vec![off("2026-05-20")]);
        assert!(!after.of(province()).is_working(day("2026-05-20")));
        assert!(after.national().is_working(day("2026-05-20")));
        let names: Vec<_> = after.all().map(|(id, _)| id).collect();
        assert_eq!(names, [CalendarId::National, CalendarId::Of(province())]);
    }

    #[test]
    fn what_a_province_says_of_a_day_holds_there_whatever_the_nation_says_before_or_after() {
        let of = CalendarId::Of(province());
        let worked = said("2026-05-20", None);
        let first = amend(&nation(vec![off("2026-05-20")]), of, vec![worked.clone()]);
        let own = amend(&Calendars::official().unwrap(), of, vec![off("2026-05-21")]);
        let later =
            amend(&own, CalendarId::National, vec![said("2026-05-21", None), off("2026-05-22")]);
        assert!(first.of(province()).is_working(worked.date));
        assert!(!first.national().is_working(worked.date));
        assert!(!later.of(province()).is_working(day("2026-05-21")));
        // What only the nation speaks of holds in the province too.
        assert!(!later.of(province()).is_working(day("2026-05-22")));
    }

    #[test]
    fn a_day_taken_back_is_what_its_weekday_makes_it() {
        let after = amend(
            &nation(vec![off("2026-05-20")]),
            CalendarId::National,
            vec![said("2026-05-20", None), said("2026-09-02", None)],
        );
        assert!(after.national().is_working(day("2026-05-20")));
        assert!(after.national().is_working(day("2026-09-02")));
    }

    #[test]
    fn the_version_is_another_whenever_anything_changes_and_the_etag_after_each_amendment() {
        let before = Calendars::official().unwrap();
        let hours = |hour| {
            let time = |hour, minute| NaiveTime::from_hms_opt(hour, minute, 0).unwrap();
            OfficeHours::new((time(hour, 0), time(11, 0)), (time(13, 0), time(17, 0))).unwrap()
        };
        let with_hours = |hour| Change {
            office_hours: Some(hours(hour)),
            ..change(CalendarId::National, Vec::new())
        };
        let off = nation(vec![off("2026-05-20")]);
        let seven = before.amended(&with_hours(7), at(1)).unwrap();
        let eight = before.amended(&with_hours(8), at(1)).unwrap();
        let of = |calendars: &Calendars| calendars.get(CalendarId::National).unwrap().clone();
        let all = [&before, &off, &seven, &eight].map(|one| of(one).version());
        let unequal: BTreeSet<_> = all.iter().collect();
        assert_eq!(unequal.len(), all.len(), "{all:?}");
        assert_eq!(all[0], before.national().version());

        let usual = Change { office_hours: Some(OfficeHours::default()), ..with_hours(7) };
        let back = seven.amended(&usual, at(2)).unwrap();
        assert_eq!(of(&back).version(), of(&before).version());
        assert_ne!(of(&back).etag(), of(&before).etag());
        assert_eq!(of(&back).update_time, Some(at(2)));
    }

    #[test]
    fn an_amendment_of_the_nation_concerns_every_province() {
        let of = CalendarId::Of(province());
        let own = amend(&Calendars::official().unwrap(), of, vec![off("2026-05-20")]);
        let after =
            own.amended(&change(CalendarId::National, vec![off("2026-05-21")]), at(7)).unwrap();
        let (before, after) = (own.get(of).unwrap(), after.get(of).unwrap());
        assert_ne!(before.etag(), after.etag());
        assert_eq!(after.update_time, Some(at(7)));
    }

    #[test]
    fn office_hours_are_the_provinces_own_or_else_the_nations() {
        let time = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
        let hours = |from| OfficeHours::new((time(from), time(11)), (time(13), time(17))).unwrap();
        let of = CalendarId::Of(province());
        let with = |id, from| Change { office_hours: Some(hours(from)), ..change(id, Vec::new()) };
        let configured = Calendars::before_amendments(hours(6)).unwrap();
        assert_eq!(configured.in_area(province()).office_hours, hours(6));
        let nation = configured.amended(&with(CalendarId::National, 7), at(1)).unwrap();
        assert_eq!(nation.in_area(province()).office_hours, hours(7));
        let own = nation.amended(&with(of, 8), at(2)).unwrap();
        let own = own.amended(&with(CalendarId::National, 9), at(3)).unwrap();
        assert_eq!(own.in_area(province()).office_hours, hours(8));
        assert_eq!(own.get(CalendarId::National).unwrap().office_hours, hours(9));
    }

    #[test]
    fn what_leaves_everything_as_it_is_is_refused() {
        let refused = |calendars: &Calendars, id, days| {
            let refused = calendars.amended(&change(id, days), at(1));
            assert!(matches!(refused, Err(Refused::WithoutEffect(of)) if of == id), "{refused:?}");
        };
        let official = Calendars::official().unwrap();
        // An ordinary Wednesday of a year that is decided.
        refused(&official, CalendarId::National, vec![said("2024-05-22", None)]);
        refused(&nation(vec![off("2026-05-20")]), CalendarId::National, vec![off("2026-05-20")]);
        let of = CalendarId::Of(province());
        refused(&nation(vec![off("2026-05-20")]), of, vec![off("2026-05-20")]);
        // That it is certain now is something.
        nation(vec![said("2031-05-21", None)]);
    }

    #[test]
    fn days_that_make_no_calendar_are_refused_by_their_place() {
        let refused = |id, days: Vec<SaidDay>| {
            let refused = Calendars::official().unwrap().amended(&change(id, days), at(1));
            match refused {
                Err(Refused::Days(error)) => error,
                other => panic!("{other:?}"),
            }
        };
        for id in [CalendarId::National, CalendarId::Of(province())] {
            let twice = refused(id, vec![off("2026-05-20"), said("2026-05-20", None)]);
            assert!(matches!(twice, CalendarError::Row { row: 2, .. }), "{twice}");
            let swapped = said("2026-05-20", Some(SpecialKind::SwappedWorkday));
            let weekday = refused(id, vec![off("2026-05-21"), off("2026-05-22"), swapped]);
            assert!(matches!(weekday, CalendarError::Row { row: 3, .. }), "{weekday}");
            let every = day("2026-05-01").iter_days().take(60);
            let every = every.map(|date| SaidDay { date, ..off("2026-05-01") }).collect();
            assert!(matches!(refused(id, every), CalendarError::NoWorkingDay { .. }));
        }
    }

    #[test]
    fn the_nation_and_a_province_together_must_leave_working_days() {
        let days = |from: &str, count| {
            let days = day(from).iter_days().take(count);
            days.map(|date| SaidDay { date, ..off("2026-05-01") }).collect::<Vec<_>>()
        };
        let of = CalendarId::Of(province());
        let own = amend(&Calendars::official().unwrap(), of, days("2026-06-01", 20));
        let both = own.amended(&change(CalendarId::National, days("2026-06-21", 20)), at(1));
        assert!(
            matches!(both, Err(Refused::Elsewhere { calendar, .. }) if calendar == of),
            "{both:?}"
        );
    }
}
