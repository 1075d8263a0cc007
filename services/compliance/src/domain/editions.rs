//! The calendars by which obligations are measured: those of now, and of what no amendment moves any more, those of then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::calendar::{Amendment, Calendar, Calendars, Refused};
use crate::domain::obligation::Obligation;
use crate::domain::reprojection::is_movable;

/// The calendars as of several amendments.
#[derive(Clone, Debug)]
pub struct Editions {
    newest: Arc<Calendars>,
    earlier: BTreeMap<u64, Arc<Calendars>>,
}

/// The amendment of which the calendars are by which an obligation is measured at a moment, by its number; none: the newest,
/// whichever that is.
pub fn kept(obligation: &Obligation, at: DateTime<Utc>) -> Option<u64> {
    (!is_movable(obligation, at)).then_some(obligation.calendar_amendment)
}

impl Editions {
    /// The newest alone.
    pub fn newest(newest: Arc<Calendars>) -> Self {
        Self { newest, earlier: BTreeMap::new() }
    }

    /// The newest, and those as of these amendments.
    pub fn new(newest: Arc<Calendars>, earlier: BTreeMap<u64, Arc<Calendars>>) -> Self {
        Self { newest, earlier }
    }

    /// The amendments, other than the newest, by which the lateness of obligations is counted at a moment.
    pub fn wanted<'a>(
        obligations: impl IntoIterator<Item = &'a Obligation>,
        newest: &Calendars,
        at: DateTime<Utc>,
    ) -> BTreeSet<u64> {
        let late = obligations.into_iter().filter(|one| one.calendar_days_late(at) > 0);
        let kept = late.filter_map(|one| kept(one, at));
        kept.filter(|number| *number < newest.amendment()).collect()
    }

    /// The calendar by which an obligation is measured at a moment.
    pub fn of(&self, obligation: &Obligation, at: DateTime<Utc>) -> &Calendar {
        let earlier = kept(obligation, at).and_then(|number| self.earlier.get(&number));
        earlier.unwrap_or(&self.newest).in_area(obligation.area())
    }
}

/// The calendars as of each of these amendments, where `first` are those before any and `amendments` are in the order of their
/// numbers.
///
/// Errors: as of [`Calendars::after`].
pub fn as_of(
    first: Arc<Calendars>,
    amendments: &[Amendment],
    wanted: &BTreeSet<u64>,
) -> Result<BTreeMap<u64, Arc<Calendars>>, Refused> {
    let mut known = first;
    let mut found = BTreeMap::new();
    if wanted.contains(&known.amendment()) {
        found.insert(known.amendment(), known.clone());
    }
    for amendment in amendments {
        known = Arc::new(known.after(amendment)?);
        if wanted.contains(&amendment.number) {
            found.insert(amendment.number, known.clone());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use dunghan_calendar::{Certainty, SpecialKind};

    use super::*;
    use crate::domain::calendar::{CalendarId, Change, Moved, MovedDossiers, SaidDay};
    use crate::domain::obligation::tests::{obligation, time};
    use crate::domain::obligation::{CloseReason, Closed, Evidence, Receipt};

    const AT: &str = "2026-05-25T08:00:00+07:00";

    fn amendment(number: u64, date: &str) -> Amendment {
        let day_off = SaidDay {
            date: date.parse().unwrap(),
            kind: Some(SpecialKind::InLieu),
            name_vi: "Nghỉ bão".to_owned(),
            certainty: Certainty::Official,
            source: "Công điện số 1".to_owned(),
        };
        Amendment {
            number,
            change: Change {
                calendar: CalendarId::National,
                days: vec![day_off],
                office_hours: None,
                legal_basis: "Công điện số 1".to_owned(),
                reason: "Bão".to_owned(),
            },
            author: "operator".to_owned(),
            create_time: time("2026-05-22T08:00:00+07:00"),
            version: String::new(),
            moved: Moved::default(),
            dossiers: MovedDossiers::default(),
        }
    }

    /// Amended twice: the 20th of May is a day off by the first, the 21st by the second.
    fn twice() -> (Vec<Amendment>, Arc<Calendars>) {
        let amendments = vec![amendment(1, "2026-05-20"), amendment(2, "2026-05-21")];
        let first = Calendars::official().unwrap();
        let newest = first.after(&amendments[0]).unwrap().after(&amendments[1]).unwrap();
        (amendments, Arc::new(newest))
    }

    #[test]
    fn calendars_are_folded_up_to_each_amendment_that_is_wanted() {
        let (amendments, newest) = twice();
        let first = Arc::new(Calendars::official().unwrap());
        let found = as_of(first.clone(), &amendments, &BTreeSet::from([0, 1])).unwrap();
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [0, 1]);
        assert_eq!(found[&0], first);
        let worked = |day: &str| found[&1].national().is_working(day.parse().unwrap());
        assert_eq!((worked("2026-05-20"), worked("2026-05-21")), (false, true));
        let all = as_of(first, &amendments, &BTreeSet::from([2])).unwrap();
        assert_eq!(all[&2], newest);
    }

    #[test]
    fn what_was_received_is_late_by_the_calendar_it_was_measured_by_and_what_is_missing_by_the_newest()
     {
        let (amendments, newest) = twice();
        let due = Some("2026-05-20T00:00:00+07:00");
        let receipt =
            Some(Receipt { report: uuid::Uuid::nil(), time: time("2026-05-22T08:00:00+07:00") });
        let missing = obligation(due);
        let late =
            |calendar_amendment| Obligation { calendar_amendment, receipt, ..missing.clone() };
        let ended =
            Closed { time: time("2026-05-21T00:00:00+07:00"), reason: CloseReason::UnitEnded };
        let closed = Obligation { closed: Some(ended), ..missing.clone() };
        let all = [late(0), late(1), late(2), missing, closed];
        let at = time(AT);
        let wanted = Editions::wanted(&all, &newest, at);
        // What is closed is not late, and what the newest measures needs no other.
        assert_eq!(wanted, BTreeSet::from([0, 1]));
        let first = Arc::new(Calendars::official().unwrap());
        let editions = Editions::new(newest, as_of(first, &amendments, &wanted).unwrap());
        // From the 20th to the 22nd, a Friday, and to Monday the 25th.
        let days = |one: &Obligation| one.working_days_late(at, &editions.of(one, at).days);
        assert_eq!(all.each_ref().map(days), [3, 2, 1, 2, 0]);
    }

    #[test]
    fn a_report_is_measured_by_the_amendments_made_until_it_was_learnt_of() {
        let (amendments, newest) = twice();
        let first = Calendars::official().unwrap();
        let once = first.after(&amendments[0]).unwrap();
        let receipt =
            Some(Receipt { report: uuid::Uuid::nil(), time: time("2026-05-22T08:00:00+07:00") });
        let said = |sequence, receipt| Evidence { sequence, receipt, returned: None };
        let mut one = obligation(Some("2026-05-20T00:00:00+07:00"));
        assert_eq!(kept(&one, time(AT)), None);
        assert!(one.learn(&said(1, receipt), &once));
        assert_eq!(kept(&one, time(AT)), Some(1));
        // Sent in once more, it was measured all the same.
        assert!(one.learn(&said(2, receipt), &newest));
        assert_eq!(kept(&one, time(AT)), Some(1));
        // What is closed has not followed: it stays as it was computed.
        let ended = Closed { time: time(AT), reason: CloseReason::UnitEnded };
        let mut closed = Obligation { closed: Some(ended), ..obligation(None) };
        assert!(closed.learn(&said(1, receipt), &newest));
        assert_eq!(kept(&closed, time(AT)), Some(0));
    }
}
