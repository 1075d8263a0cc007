//! What is due soon: within some working days, by the calendar that holds where the unit is.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use dunghan_hierarchy::UnitId;

use crate::domain::calendar::{CalendarId, Calendars};
use crate::domain::obligation::soon;

/// The instants up to which a due time is soon at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soon {
    national: DateTime<Utc>,
    /// Of the provinces that have a calendar of their own, where it is another.
    areas: BTreeMap<UnitId, DateTime<Utc>>,
}

impl Soon {
    /// At `at`.
    pub fn at(at: DateTime<Utc>, calendars: &Calendars) -> Self {
        let national = soon(at, calendars.national());
        let areas = calendars.all().filter_map(|(id, calendar)| match id {
            CalendarId::National => None,
            CalendarId::Of(unit) => Some((unit, soon(at, &calendar.days))),
        });
        Self { national, areas: areas.filter(|(_, soon)| *soon != national).collect() }
    }

    /// The same everywhere.
    pub fn everywhere(soon: DateTime<Utc>) -> Self {
        Self { national: soon, areas: BTreeMap::new() }
    }

    /// In an area.
    pub fn of(&self, area: UnitId) -> DateTime<Utc> {
        self.areas.get(&area).copied().unwrap_or(self.national)
    }

    /// Where no area has another.
    pub fn national(&self) -> DateTime<Utc> {
        self.national
    }

    /// The areas that have another, each with its own.
    pub fn areas(&self) -> impl Iterator<Item = (UnitId, DateTime<Utc>)> {
        self.areas.iter().map(|(area, soon)| (*area, *soon))
    }
}

#[cfg(test)]
mod tests {
    use dunghan_calendar::{Certainty, SpecialKind};

    use super::*;
    use crate::domain::calendar::{Change, SaidDay};
    use crate::domain::obligation::tests::time;

    #[test]
    fn days_off_of_a_province_bring_nearer_what_is_soon_there_and_nowhere_else() {
        let at = time("2026-05-18T08:00:00+07:00");
        let calendars = Calendars::official().unwrap();
        let everywhere = Soon::at(at, &calendars);
        assert_eq!(everywhere, Soon::everywhere(time("2026-05-22T00:00:00+07:00")));
        let province = UnitId::new("nso", "24", None);
        let day_off = SaidDay {
            date: "2026-05-20".parse().unwrap(),
            kind: Some(SpecialKind::InLieu),
            name_vi: "Nghỉ bão".to_owned(),
            certainty: Certainty::Official,
            source: "Công điện số 1".to_owned(),
        };
        let change = Change {
            calendar: CalendarId::Of(province),
            days: vec![day_off],
            office_hours: None,
            legal_basis: "Công điện số 1".to_owned(),
            reason: "Bão".to_owned(),
        };
        let amended = Soon::at(at, &calendars.amended(&change, at).unwrap());
        // Three working days ahead lies a day further there.
        assert_eq!(amended.of(province), time("2026-05-23T00:00:00+07:00"));
        assert_eq!(amended.of(UnitId::new("nso", "52", None)), everywhere.national());
        assert_eq!(amended.areas().count(), 1);
        // On a day by which that day off has passed, there is no difference.
        let later = time("2026-06-01T08:00:00+07:00");
        assert_eq!(Soon::at(later, &calendars.amended(&change, at).unwrap()).areas().count(), 0);
    }
}
