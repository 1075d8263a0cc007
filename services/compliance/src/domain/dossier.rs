//! The clock of one administrative dossier. It holds no applicant.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::{Completion, Due, Term, WorkingCalendar, zone};
use dunghan_hierarchy::UnitId;

use crate::domain::calendar::{Amendment, Calendar};

/// Reads and prints as `units/{unit}/dossiers/{dossier}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DossierName {
    /// Whose it is.
    pub unit: UnitId,
    /// The number that the one-stop system gave.
    pub number: String,
}

/// Not the name or number of a dossier.
#[derive(Debug, thiserror::Error)]
#[error(
    "must be units/{{unit}}/dossiers/{{dossier}}, the number of A-Z, a-z, 0-9, \".\" and \"-\", 64 at most"
)]
pub struct NotADossier;

impl DossierName {
    /// The dossier of a unit by its number.
    ///
    /// Errors: a number of other characters than A-Z, a-z, 0-9, "." and "-", none, or more than 64.
    pub fn new(unit: UnitId, number: &str) -> Result<Self, NotADossier> {
        let fits = (1..=64).contains(&number.len())
            && number.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
        if fits { Ok(Self { unit, number: number.to_owned() }) } else { Err(NotADossier) }
    }
}

impl FromStr for DossierName {
    type Err = NotADossier;

    fn from_str(name: &str) -> Result<Self, NotADossier> {
        let (unit, number) = name.split_once("/dossiers/").ok_or(NotADossier)?;
        Self::new(unit.parse().map_err(|_| NotADossier)?, number)
    }
}

impl fmt::Display for DossierName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/dossiers/{}", self.unit, self.number)
    }
}

/// How a dossier came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Online.
    Online,
    /// At the desk, or by post.
    DirectOrPostal,
}

/// By which completion a dossier is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// As the one-stop system recorded it: what form II.06a counts.
    Recorded,
    /// As it happened.
    InFact,
}

/// When a dossier was resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// In fact.
    pub complete_time: DateTime<Utc>,
    /// As recorded; none while nobody has recorded it.
    pub record_time: Option<DateTime<Utc>>,
}

/// A dossier and its clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dossier {
    /// Whose, and which.
    pub name: DossierName,
    /// The field (lĩnh vực).
    pub field: String,
    /// How it came in.
    pub channel: Channel,
    /// When it was received complete.
    pub receive_time: DateTime<Utc>,
    /// How long it may take.
    pub term: Term,
    /// By when, from the two before.
    pub due: Due,
    /// From 1; another each time an amended calendar moved it.
    pub due_generation: i32,
    /// When it was resolved.
    pub resolution: Option<Resolution>,
}

/// A due time that an amended calendar moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DossierDueChange {
    /// Before.
    pub old: DateTime<Utc>,
    /// After.
    pub new: DateTime<Utc>,
    /// What moved it, who amended and why.
    pub amendment: Amendment,
}

/// How a dossier stands to its due time at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Pending, and not yet due.
    InTime,
    /// Pending, and due.
    PendingOverdue,
    /// Resolved: early, on time or overdue at the term's own granularity.
    Resolved(Completion),
}

/// Why a row about a dossier that is there already cannot be taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("was recorded otherwise and cannot be changed any more")]
pub struct Final {
    /// The field at fault.
    pub field: &'static str,
}

impl Dossier {
    /// The completion that counts on this basis.
    pub fn completion(&self, basis: Basis) -> Option<DateTime<Utc>> {
        let resolution = self.resolution?;
        match basis {
            Basis::Recorded => resolution.record_time,
            Basis::InFact => Some(resolution.complete_time),
        }
    }

    /// How it stood at `at`.
    pub fn outcome(&self, basis: Basis, at: DateTime<Utc>) -> Outcome {
        match self.completion(basis).filter(|completion| *completion <= at) {
            Some(completion) => Outcome::Resolved(self.due.classify(completion)),
            None if self.due.is_breached(at) => Outcome::PendingOverdue,
            None => Outcome::InTime,
        }
    }

    /// By when it is to be resolved, by a calendar.
    pub fn due_by(&self, calendar: &Calendar) -> Due {
        self.term.due(self.receive_time, &calendar.days, &calendar.office_hours)
    }

    /// The last day on which it is on time.
    pub fn due_date(&self) -> NaiveDate {
        self.due.due_date()
    }

    /// As recorded: the working days after the due date up to the completion, or up to `at` while it is pending; 0
    /// unless overdue.
    pub fn working_days_late(&self, at: DateTime<Utc>, calendar: &WorkingCalendar) -> u32 {
        let end = match self.outcome(Basis::Recorded, at) {
            Outcome::PendingOverdue => Some(at),
            Outcome::Resolved(Completion::Overdue) => self.completion(Basis::Recorded),
            _ => None,
        };
        end.map_or(0, |end| calendar.working_days_between(self.due_date(), zone::civil_date(end)))
    }

    /// This dossier with what a later row adds: what was not known becomes known, nothing that was recorded changes.
    ///
    /// Errors: the row says otherwise about something recorded.
    pub fn extended_by(&self, row: &Self) -> Result<Self, Final> {
        let same = [
            (self.field == row.field, "field"),
            (self.channel == row.channel, "channel"),
            (self.receive_time == row.receive_time, "receive_time"),
            (self.term == row.term, "term"),
        ];
        if let Some((_, field)) = same.into_iter().find(|(same, _)| !same) {
            return Err(Final { field });
        }
        let resolution = match (self.resolution, row.resolution) {
            (None, later) => later,
            (Some(known), None) => Some(known),
            (Some(known), Some(later)) if known == later => Some(known),
            (Some(known), Some(later)) => {
                if known.complete_time != later.complete_time {
                    return Err(Final { field: "complete_time" });
                }
                if known.record_time.is_some() {
                    return Err(Final { field: "record_time" });
                }
                Some(later)
            }
        };
        Ok(Self { resolution, ..self.clone() })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::LazyLock;

    use dunghan_calendar::OfficeHours;

    use super::*;
    use crate::domain::calendar::official;
    use crate::domain::obligation::tests::time;

    pub(crate) fn dossier(received: &str, term: &str) -> Dossier {
        let unit = UnitId::new("nso", "21733", None);
        let term: Term = term.parse().unwrap();
        let receive_time = time(received);
        static CALENDAR: LazyLock<WorkingCalendar> = LazyLock::new(|| official().unwrap());
        let due = term.due(receive_time, &CALENDAR, &OfficeHours::default());
        Dossier {
            name: DossierName::new(unit, "H08.25-240503-0001").unwrap(),
            field: "Hộ tịch".to_owned(),
            channel: Channel::Online,
            receive_time,
            term,
            due,
            due_generation: 1,
            resolution: None,
        }
    }

    fn resolved(complete: &str, record: Option<&str>) -> Option<Resolution> {
        Some(Resolution { complete_time: time(complete), record_time: record.map(time) })
    }

    #[test]
    fn completed_before_the_due_day_and_recorded_after_it_is_late_in_the_system_only() {
        let late = Dossier {
            resolution: resolved("2024-05-09T10:00:00+07:00", Some("2024-05-15T09:00:00+07:00")),
            ..dossier("2024-05-07T09:00:00+07:00", "3d")
        };
        assert_eq!(late.due_date().to_string(), "2024-05-10");
        let calendar = official().unwrap();
        let at = |text| time(text);
        let monday = at("2024-05-13T08:00:00+07:00");
        assert_eq!(late.outcome(Basis::Recorded, monday), Outcome::PendingOverdue);
        assert_eq!(late.working_days_late(monday, &calendar), 1);
        let end = at("2024-05-31T17:00:00+07:00");
        assert_eq!(late.outcome(Basis::Recorded, end), Outcome::Resolved(Completion::Overdue));
        assert_eq!(late.outcome(Basis::InFact, end), Outcome::Resolved(Completion::Early));
        assert_eq!(late.working_days_late(end, &calendar), 3);
    }

    #[test]
    fn a_later_row_adds_what_was_not_known_and_changes_nothing_recorded() {
        let pending = dossier("2024-05-07T09:00:00+07:00", "3d");
        let completed =
            Dossier { resolution: resolved("2024-05-09T10:00:00+07:00", None), ..pending.clone() };
        let recorded = Dossier {
            resolution: resolved("2024-05-09T10:00:00+07:00", Some("2024-05-15T09:00:00+07:00")),
            ..pending.clone()
        };
        assert_eq!(pending.extended_by(&completed), Ok(completed.clone()));
        assert_eq!(completed.extended_by(&recorded), Ok(recorded.clone()));
        assert_eq!(recorded.extended_by(&pending), Ok(recorded.clone()));
        let earlier = Dossier {
            resolution: resolved("2024-05-09T10:00:00+07:00", Some("2024-05-10T09:00:00+07:00")),
            ..pending.clone()
        };
        assert_eq!(recorded.extended_by(&earlier), Err(Final { field: "record_time" }));
        let other = Dossier { field: "Đất đai".to_owned(), ..pending.clone() };
        assert_eq!(pending.extended_by(&other), Err(Final { field: "field" }));
    }

    #[test]
    fn a_name_prints_as_it_reads() {
        let name = dossier("2024-05-07T09:00:00+07:00", "3d").name;
        assert_eq!(name.to_string().parse::<DossierName>().unwrap(), name);
        for bad in ["", "a/b", "Hồ-sơ", &"1".repeat(65)] {
            assert!(DossierName::new(name.unit, bad).is_err(), "{bad}");
        }
    }
}
