//! One unit owes one report: where that stands is derived from three times and the time of asking.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use dunghan_calendar::{Period, WorkingCalendar, zone};
use dunghan_hierarchy::UnitId;
use uuid::Uuid;

use crate::domain::regime::RegimeId;

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

/// One unit owes one report under one regime for one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obligation {
    /// Who, by which rule, for which period.
    pub name: ObligationName,
    /// The unit's statistics code on the cut-off day; empty where it has none.
    pub unit_code: String,
    /// Before which the report must have been received; none: no due time.
    pub due: Option<DateTime<Utc>>,
    /// Counts the due times it has had, from 1.
    pub due_generation: i32,
    /// When the report was first received.
    pub receipt: Option<Receipt>,
    /// When the unit was excused.
    pub waived: Option<DateTime<Utc>>,
    /// By which version of the hierarchy the unit owes it.
    pub hierarchy_version: u64,
}

/// Where an obligation stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// Received at the due time or after.
    Late,
    /// Due, and nothing received.
    Missing,
    /// Nothing received, and not yet due, or without a due time.
    Open,
    /// Excused.
    Waived,
    /// Received before the due time.
    OnTime,
    /// Received under a regime that states no due time.
    NoDueTime,
}

impl Obligation {
    /// Where it stood at `at`, by what is known now: a receipt that was learnt of later counts from its own time.
    pub fn standing(&self, at: DateTime<Utc>) -> Standing {
        if self.waived.is_some_and(|waived| waived <= at) {
            return Standing::Waived;
        }
        match (self.receipt.filter(|receipt| receipt.time <= at), self.due) {
            (Some(_), None) => Standing::NoDueTime,
            (Some(receipt), Some(due)) if receipt.time < due => Standing::OnTime,
            (Some(_), Some(_)) => Standing::Late,
            (None, Some(due)) if due <= at => Standing::Missing,
            (None, _) => Standing::Open,
        }
    }

    /// The working days after the due date up to the receipt, or up to `at` while nothing is received; 0 unless late
    /// or missing.
    pub fn working_days_late(&self, at: DateTime<Utc>, calendar: &WorkingCalendar) -> u32 {
        let end = match self.standing(at) {
            Standing::Late => self.receipt.map(|receipt| receipt.time),
            Standing::Missing => Some(at),
            _ => None,
        };
        match (self.due_date(), end) {
            (Some(due), Some(end)) => calendar.working_days_between(due, zone::civil_date(end)),
            _ => 0,
        }
    }

    /// The last day on which the report is on time.
    pub fn due_date(&self) -> Option<chrono::NaiveDate> {
        // The due time is the midnight that ends the due date.
        self.due.and_then(|due| zone::civil_date(due).pred_opt())
    }
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
            unit_code: "09427".to_owned(),
            due: due.map(time),
            due_generation: 1,
            receipt: None,
            waived: None,
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
        let waived = Obligation { waived: Some(time(DUE)), ..obligation(Some(DUE)) };
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
