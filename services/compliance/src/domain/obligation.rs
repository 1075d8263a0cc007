//! One unit owes one report: where that stands is derived from three times and the time of asking.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::{Period, WorkingCalendar, zone};
use dunghan_hierarchy::{Level, UnitId};
use uuid::Uuid;

use crate::domain::calendar::Calendars;
use crate::domain::regime::{Regime, RegimeId};

/// Reads and prints as `units/{unit}/obligations/{regime}~{period}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObligationName {
    /// Who owes.
    pub unit: UnitId,
    /// By which rule.
    pub regime: RegimeId,
    /// For which period.
    pub period: Period,
}

/// Not the name of an obligation.
#[derive(Debug, thiserror::Error)]
#[error("must be units/{{unit}}/obligations/{{regime}}~{{period}}")]
pub struct NotAnObligation;

impl FromStr for ObligationName {
    type Err = NotAnObligation;

    fn from_str(name: &str) -> Result<Self, NotAnObligation> {
        let (unit, rest) = name.split_once("/obligations/").ok_or(NotAnObligation)?;
        let (regime, period) = rest.split_once('~').ok_or(NotAnObligation)?;
        Ok(Self {
            unit: unit.parse().map_err(|_| NotAnObligation)?,
            regime: RegimeId::new(regime).map_err(|_| NotAnObligation)?,
            period: period.parse().map_err(|_| NotAnObligation)?,
        })
    }
}

impl fmt::Display for ObligationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/obligations/{}~{}", self.unit, self.regime.id(), self.period)
    }
}

/// When a report was first received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The report, of the same unit.
    pub report: Uuid,
    /// The first receive time, as submission keeps it.
    pub time: DateTime<Utc>,
}

/// A report was sent back, and is not there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned {
    /// When it was sent back.
    pub time: DateTime<Utc>,
    /// Before which it has to be there again.
    pub due: DateTime<Utc>,
}

/// What submission says of a report. Of two the one with the greater sequence holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Grows with everything that happens to the report.
    pub sequence: i64,
    /// When it was first received; none: it was taken back.
    pub receipt: Option<Receipt>,
    /// It was sent back.
    pub returned: Option<Returned>,
}

/// Why an obligation is owed no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The unit ended before the cut-off.
    UnitEnded,
    /// It ended after the cut-off, with nothing submitted and nobody after it.
    NoSuccessor,
    /// On the cut-off day it is none of those who owe.
    NotADebtor,
    /// Another regime took the place of this one.
    RegimeAmended,
}

/// From when on an obligation is owed no more, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// From then on; it may lie ahead.
    pub time: DateTime<Utc>,
    /// Why.
    pub reason: CloseReason,
}

/// The unit that owed has ended: another one sees to the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// From then on; it may lie ahead.
    pub time: DateTime<Utc>,
    /// To whom.
    pub to: UnitId,
}

/// A waiver in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waived {
    /// The decision.
    pub decision: Uuid,
    /// Since when.
    pub time: DateTime<Utc>,
}

/// One unit owes one report under one regime for one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obligation {
    /// Who, by which rule, for which period.
    pub name: ObligationName,
    /// 1 for who owes first, 2 and more for who sends on.
    pub tier: u8,
    /// The unit's statistics code on the cut-off day; empty where it has none.
    pub unit_code: String,
    /// The unit and those above it on the cut-off day, from the top.
    pub path: Vec<UnitId>,
    /// The unit's level on the cut-off day.
    pub level: Level,
    /// To whom the report goes; none: to nobody who is a unit here.
    pub receiver: Option<UnitId>,
    /// When its window begins.
    pub open_time: DateTime<Utc>,
    /// Before which the report must have been received, before any extension; none: no due time.
    pub original_due: Option<DateTime<Utc>>,
    /// The number of the last amendment of the calendars when the original due time was computed or, of what was received,
    /// when that was learnt: it was not measured anew since. 0: before any.
    pub calendar_amendment: u64,
    /// Before which it must have been received, with the extension in force.
    pub due: Option<DateTime<Utc>>,
    /// Counts the due times it has had, from 1.
    pub due_generation: i32,
    /// From when on supervisors are told while it is missing: the due time and the regime's grace. None: nobody is told.
    pub tell: Option<DateTime<Utc>>,
    /// The decision whose extension is in force.
    pub extension: Option<Uuid>,
    /// The waiver in force.
    pub waived: Option<Waived>,
    /// When the report was first received.
    pub receipt: Option<Receipt>,
    /// It was sent back.
    pub returned: Option<Returned>,
    /// How far submission's word is known; 0: not at all.
    pub sequence: i64,
    /// From when on it is owed no more.
    pub closed: Option<Closed>,
    /// Who came after the unit.
    pub passed: Option<Passed>,
    /// Since when there is neither the unit nor anybody who came after it; it may lie ahead.
    pub abandoned: Option<DateTime<Utc>>,
    /// The last of its due generations that was told as missing.
    pub told: Option<i32>,
    /// The last of its due generations whose telling was taken back.
    pub retracted: Option<i32>,
    /// The last due time of a return that was told as overdue.
    pub return_told: Option<DateTime<Utc>>,
    /// By which version of the hierarchy the unit owes it.
    pub hierarchy_version: u64,
}

/// Where an obligation stands at a moment, in the order in which lists of exceptions have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// Received at the due time or after.
    Late,
    /// Due, and nothing received.
    Missing,
    /// Nothing received, and due within [`SOON`] working days.
    DueSoon,
    /// Nothing received, and not yet due, or without a due time.
    Open,
    /// The window has not begun.
    NotYetOpen,
    /// Excused.
    Waived,
    /// Owed no more.
    Closed,
    /// Sent back to be mended.
    Returned,
    /// Received before the due time.
    OnTime,
    /// Received under a regime that states no due time.
    NoDueTime,
}

/// So many working days ahead, a due time is soon.
pub const SOON: u32 = 3;

/// What a sweep has to do about an obligation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Task {
    /// Tell that the report is missing.
    TellMissing,
    /// Take back that it was missing: it was on time.
    Retract,
    /// Tell that it was sent back and is not there again.
    TellReturn,
}

impl Obligation {
    /// Where it stood at `at`, by what is known now: a receipt that was learnt of later counts from its own time. What is
    /// due soon is open here.
    pub fn standing(&self, at: DateTime<Utc>) -> Standing {
        let counted = self.counted(at);
        let there = matches!(counted, Standing::OnTime | Standing::Late | Standing::NoDueTime);
        match self.returned {
            Some(returned) if there && returned.time <= at => Standing::Returned,
            _ => counted,
        }
    }

    /// The same, with what is due before or at `soon` told apart.
    pub fn standing_by(&self, at: DateTime<Utc>, soon: DateTime<Utc>) -> Standing {
        match self.standing(at) {
            Standing::Open if self.due.is_some_and(|due| due <= soon) => Standing::DueSoon,
            other => other,
        }
    }

    /// As what it counts in rates: whether it was on time is fixed by the first submission, sent back or not.
    pub fn counted(&self, at: DateTime<Utc>) -> Standing {
        if self.closed.is_some_and(|closed| closed.time <= at) {
            return Standing::Closed;
        }
        if self.waived.is_some_and(|waived| waived.time <= at) {
            return Standing::Waived;
        }
        match (self.receipt.filter(|receipt| receipt.time <= at), self.due) {
            (Some(_), None) => Standing::NoDueTime,
            (Some(receipt), Some(due)) if receipt.time < due => Standing::OnTime,
            (Some(_), Some(_)) => Standing::Late,
            (None, Some(due)) if due <= at => Standing::Missing,
            (None, _) if at < self.open_time => Standing::NotYetOpen,
            (None, _) => Standing::Open,
        }
    }

    /// What a sweep has to do about it, and from when on. One thing at a time: what is left is found by the next look.
    pub fn task(&self) -> Option<(DateTime<Utc>, Task)> {
        let task = match (self.receipt, self.returned) {
            (None, _) => {
                let untold = self.told != Some(self.due_generation);
                self.tell.filter(|_| untold).map(|tell| (tell, Task::TellMissing))
            }
            (Some(receipt), returned) => {
                let on_time = self.due.is_none_or(|due| receipt.time < due);
                let accused = self.told.is_some() && self.retracted != self.told;
                let retract = (on_time && accused).then_some((receipt.time, Task::Retract));
                let untold = returned.filter(|returned| self.return_told != Some(returned.due));
                // A backfilled one is told of by nobody.
                let untold = untold.filter(|_| self.tell.is_some() || self.due.is_none());
                retract.or_else(|| untold.map(|returned| (returned.due, Task::TellReturn)))
            }
        };
        let ends = self.closed.map(|closed| closed.time);
        task.filter(|(time, _)| self.waived.is_none() && ends.is_none_or(|ends| *time < ends))
    }

    /// Notes that a task is done.
    pub fn settle(&mut self, task: Task) {
        match task {
            Task::TellMissing => self.told = Some(self.due_generation),
            Task::Retract => self.retracted = self.told,
            Task::TellReturn => self.return_told = self.returned.map(|returned| returned.due),
        }
    }

    /// Which telling of its kind a task is: each is done once.
    pub fn telling(&self, task: Task) -> i32 {
        match task {
            Task::TellMissing => self.due_generation,
            Task::Retract => self.told.unwrap_or(self.due_generation),
            Task::TellReturn => i32::try_from(self.sequence).unwrap_or(i32::MAX),
        }
    }

    /// Has another due time, in a new generation. True where it is another.
    pub fn set_due(
        &mut self,
        due: Option<DateTime<Utc>>,
        regime: &Regime,
        calendars: &Calendars,
    ) -> bool {
        let moved = self.due != due;
        self.due = due;
        self.due_generation += i32::from(moved);
        // The grace is counted in working days too.
        let calendar = calendars.of(self.area());
        self.tell = self.due_date().and_then(|due| regime.tell_time(due, calendar));
        moved
    }

    /// Takes in what submission says, if it is newer than what is known. True where it was. By those calendars, as amended so
    /// far, it is measured from then on where a report has come.
    pub fn learn(&mut self, evidence: &Evidence, calendars: &Calendars) -> bool {
        if evidence.sequence <= self.sequence {
            return false;
        }
        self.sequence = evidence.sequence;
        // What is closed has not followed the amendments made since.
        if self.receipt.is_none() && evidence.receipt.is_some() && self.closed.is_none() {
            self.calendar_amendment = calendars.amendment();
        }
        self.receipt = evidence.receipt;
        self.returned = evidence.returned;
        // What was there when it was waived is left alone by that.
        self.waived = self
            .waived
            .filter(|waived| evidence.receipt.is_none_or(|receipt| waived.time < receipt.time));
        self.follow_end();
        true
    }

    /// Whether its due time was let alone until now and is to be that of the calendars and decisions of now: the report was taken
    /// back, whether or not it is there again; or one turns out to be there of a unit that had nobody after it.
    pub fn is_measured_anew_by(&self, evidence: &Evidence) -> bool {
        let time = |receipt: Option<Receipt>| receipt.map(|receipt| receipt.time);
        let taken_back = self.receipt.is_some() && time(self.receipt) != time(evidence.receipt);
        let abandoned = self.closed.is_some_and(|one| one.reason == CloseReason::NoSuccessor);
        evidence.sequence > self.sequence && (taken_back || abandoned && evidence.receipt.is_some())
    }

    /// Is closed where nobody is left to hand anything over and nothing was, and is not where something turns out to have been.
    pub fn follow_end(&mut self) {
        if self.closed.is_none_or(|closed| closed.reason == CloseReason::NoSuccessor) {
            let ends = self.abandoned.filter(|_| self.receipt.is_none());
            self.closed = ends.map(|time| Closed { time, reason: CloseReason::NoSuccessor });
        }
    }

    /// Who sees to the report at a moment: the unit, or who came after it.
    pub fn responsible(&self, at: DateTime<Utc>) -> UnitId {
        let passed = self.passed.filter(|passed| passed.time <= at);
        passed.map_or(self.name.unit, |passed| passed.to)
    }

    /// The province or whatever else is at the top, whose working calendar holds.
    pub fn area(&self) -> UnitId {
        self.path.first().copied().unwrap_or(self.name.unit)
    }

    /// The working days after the due date up to the receipt, or up to `at` while nothing is received; 0 unless late
    /// or missing.
    pub fn working_days_late(&self, at: DateTime<Utc>, calendar: &WorkingCalendar) -> u32 {
        match self.overdue(at) {
            Some((due, end)) => calendar.working_days_between(due, end),
            None => 0,
        }
    }

    /// The same in calendar days.
    pub fn calendar_days_late(&self, at: DateTime<Utc>) -> u32 {
        let days = self.overdue(at).map(|(due, end)| (end - due).num_days());
        days.and_then(|days| u32::try_from(days).ok()).unwrap_or(0)
    }

    /// The due date, and the day on which the report came or of the asking; none unless late or missing.
    fn overdue(&self, at: DateTime<Utc>) -> Option<(NaiveDate, NaiveDate)> {
        let end = match self.counted(at) {
            Standing::Late => self.receipt.map(|receipt| receipt.time),
            Standing::Missing => Some(at),
            _ => None,
        };
        Some((self.due_date()?, zone::civil_date(end?)))
    }

    /// The last day on which the report is on time.
    pub fn due_date(&self) -> Option<NaiveDate> {
        // The due time is the midnight that ends the due date.
        self.due.and_then(|due| zone::civil_date(due).pred_opt())
    }
}

/// The instant up to which a due time is soon at `at`.
pub fn soon(at: DateTime<Utc>, calendar: &WorkingCalendar) -> DateTime<Utc> {
    zone::end_of(calendar.add_working_days(zone::civil_date(at), SOON))
}

#[cfg(test)]
pub(crate) mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::calendar::official;

    pub(crate) fn obligation(due: Option<&str>) -> Obligation {
        let unit = UnitId::new("nso", "09427", None);
        Obligation {
            name: ObligationName {
                unit,
                regime: RegimeId::new("cds-24").unwrap(),
                period: "202605".parse().unwrap(),
            },
            tier: 1,
            unit_code: "09427".to_owned(),
            path: vec![UnitId::new("nso", "24", None), unit],
            level: Level::Commune,
            receiver: Some(UnitId::new("nso", "24", None)),
            open_time: time("2026-04-15T00:00:00+07:00"),
            original_due: due.map(time),
            calendar_amendment: 0,
            due: due.map(time),
            due_generation: 1,
            tell: due.map(time),
            extension: None,
            waived: None,
            receipt: None,
            returned: None,
            sequence: 0,
            closed: None,
            passed: None,
            abandoned: None,
            told: None,
            retracted: None,
            return_told: None,
            hierarchy_version: 1,
        }
    }

    pub(crate) fn time(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    const DUE: &str = "2026-05-20T00:00:00+07:00";

    #[test]
    fn the_due_instant_itself_is_late_and_the_one_before_is_on_time() {
        let far = time("2030-01-01T00:00:00+07:00");
        for (microseconds, standing) in
            [(-1, Standing::OnTime), (0, Standing::Late), (1, Standing::Late)]
        {
            let receipt = time(DUE) + TimeDelta::microseconds(microseconds);
            let receipt = Receipt { report: Uuid::nil(), time: receipt };
            let submitted = Obligation { receipt: Some(receipt), ..obligation(Some(DUE)) };
            assert_eq!(submitted.standing(far), standing, "{microseconds}");
        }
        for (microseconds, standing) in [(-1, Standing::Open), (0, Standing::Missing)] {
            let at = time(DUE) + TimeDelta::microseconds(microseconds);
            assert_eq!(obligation(Some(DUE)).standing(at), standing, "{microseconds}");
        }
    }

    #[test]
    fn without_a_due_time_nothing_is_late_or_missing() {
        let far = time("2030-01-01T00:00:00+07:00");
        assert_eq!(obligation(None).standing(far), Standing::Open);
        let receipt = Receipt { report: Uuid::nil(), time: time(DUE) };
        let submitted = Obligation { receipt: Some(receipt), ..obligation(None) };
        assert_eq!(submitted.standing(far), Standing::NoDueTime);
        assert_eq!(submitted.standing(time(DUE) - TimeDelta::seconds(1)), Standing::Open);
    }

    #[test]
    fn days_late_are_working_days_after_the_due_date() {
        let calendar = official().unwrap();
        let late = |at| obligation(Some(DUE)).working_days_late(time(at), &calendar);
        assert_eq!(late("2026-05-19T23:59:59+07:00"), 0);
        assert_eq!(late("2026-05-20T08:00:00+07:00"), 1);
        // The weekend of 23 and 24 May does not count.
        assert_eq!(late("2026-05-25T08:00:00+07:00"), 4);
    }

    #[test]
    fn a_waiver_holds_from_its_own_time() {
        let waived = Obligation {
            waived: Some(Waived { decision: Uuid::nil(), time: time(DUE) }),
            ..obligation(Some(DUE))
        };
        assert_eq!(waived.standing(time(DUE)), Standing::Waived);
        assert_eq!(waived.standing(time(DUE) - TimeDelta::seconds(1)), Standing::Open);
    }

    #[test]
    fn a_name_prints_as_it_reads() {
        let name = obligation(None).name;
        assert_eq!(name.to_string().parse::<ObligationName>().unwrap(), name);
        for bad in ["", "units/x/obligations/a~202605", &format!("{name}~1")] {
            assert!(bad.parse::<ObligationName>().is_err(), "{bad}");
        }
    }
}
