//! What a regime asks of a report, as far as it concerns taking one in. Due times are compliance's.

use chrono::NaiveDate;
use dunghan_calendar::{Family, Frequency, Period};
use dunghan_hierarchy::{Hierarchy, Level, UnitId};

use super::report::Asked;

/// How often a report is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recurrence {
    /// Again and again.
    Every(Frequency),
    /// Once.
    Once(Period),
}

/// To whom reports go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// One unit.
    Unit(UnitId),
    /// The unit of that level above the one that reports.
    Above(Level),
    /// The unit directly above the one that reports.
    Parent,
}

impl Receiver {
    fn of(self, unit: UnitId, day: NaiveDate, hierarchy: &Hierarchy) -> Option<UnitId> {
        let level = |above: &UnitId| hierarchy.unit(*above, day).map(|view| view.version.level);
        match self {
            Self::Unit(receiver) => Some(receiver),
            Self::Parent => hierarchy.ancestors(unit, day).first().copied(),
            Self::Above(wanted) => {
                let mut above = hierarchy.ancestors(unit, day).into_iter();
                above.find(|above| level(above) == Some(wanted))
            }
        }
    }
}

/// A rule by which units owe reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regime {
    /// Without `regimes/`.
    pub id: String,
    /// The key of the form.
    pub form: String,
    /// How often.
    pub recurrence: Recurrence,
    /// How periods become dates.
    pub family: Family,
    /// The cut-off is what the report declares.
    pub cut_off_as_declared: bool,
    /// First day in force.
    pub from: NaiveDate,
    /// Last day in force.
    pub through: Option<NaiveDate>,
    /// How many levels of review it asks for, 0 to 2.
    pub review_levels: u8,
    /// To whom the reports go: of those who owe first, and of those who send on. Agencies that are no units here are left out.
    pub receivers: Vec<Receiver>,
}

/// Why a report for a period cannot be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAsked {
    /// The regime asks for other periods, or was not in force.
    #[error("is no period for which this regime asks for a report")]
    NotOfRegime,
    /// Its window has not begun.
    #[error("cannot be reported on before {first}, when its window begins")]
    NotOpen {
        /// The first day of the window.
        first: NaiveDate,
    },
}

impl Regime {
    /// To whom the report of this unit goes, as of the cut-off day: no unit stands there twice, and the unit itself does not.
    ///
    /// Who owes in which tier is not known here. A unit's own receiver is among them, and what is sent on by others never
    /// arrives under this unit's code.
    pub fn received_by(
        &self,
        unit: UnitId,
        cut_off: NaiveDate,
        hierarchy: &Hierarchy,
    ) -> Vec<UnitId> {
        let mut receivers = Vec::new();
        for receiver in self.receivers.iter().filter_map(|one| one.of(unit, cut_off, hierarchy)) {
            if receiver != unit && !receivers.contains(&receiver) {
                receivers.push(receiver);
            }
        }
        receivers
    }

    /// What it asks for this period. In force is what counts on the cut-off day; a report can be begun with the window.
    pub fn asks(&self, period: Period, today: NaiveDate) -> Result<Asked, NotAsked> {
        let window = period.window(self.family);
        let recurs = match self.recurrence {
            Recurrence::Every(frequency) => period.frequency() == frequency,
            Recurrence::Once(once) => period == once,
        };
        let in_force = self.from <= window.cut_off
            && self.through.is_none_or(|through| window.cut_off <= through);
        if !recurs || !in_force {
            return Err(NotAsked::NotOfRegime);
        }
        if today < window.first {
            return Err(NotAsked::NotOpen { first: window.first });
        }
        Ok(Asked {
            regime: self.id.clone(),
            period,
            form: self.form.clone(),
            window,
            cut_off_as_declared: self.cut_off_as_declared,
            review_levels: self.review_levels,
            receivers: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn monthly() -> Regime {
        Regime {
            id: "cds".to_owned(),
            form: "cds-1".to_owned(),
            recurrence: Recurrence::Every(Frequency::Month),
            family: Family::Nd09,
            cut_off_as_declared: false,
            from: date("2026-01-14"),
            through: Some(date("2026-06-14")),
            review_levels: 0,
            receivers: vec![Receiver::Parent],
        }
    }

    #[test]
    fn a_regime_asks_for_its_own_periods_while_it_is_in_force() {
        let today = date("2026-11-22");
        for (period, asked) in [
            ("202512", false),
            ("202601", true),
            ("202606", true),
            ("202607", false),
            ("2026Q1", false),
            ("2026", false),
            ("2026-04-15--2026-05-14", false),
        ] {
            let period: Period = period.parse().unwrap();
            assert_eq!(monthly().asks(period, today).is_ok(), asked, "{period}");
        }
        let once: Period = "2023-01-01--2024-05-31".parse().unwrap();
        let from = date("2024-01-01");
        let regime =
            Regime { recurrence: Recurrence::Once(once), from, through: None, ..monthly() };
        let asked = regime.asks(once, today).unwrap();
        assert_eq!(
            (asked.window.first, asked.window.cut_off),
            (date("2023-01-01"), date("2024-05-31"))
        );
        let other = "2023-01-01--2024-05-30".parse().unwrap();
        assert_eq!(regime.asks(other, today), Err(NotAsked::NotOfRegime));
    }

    #[test]
    fn a_report_goes_to_the_unit_that_is_named_or_to_the_one_above_on_the_cut_off_day() {
        use dunghan_hierarchy::{Kind, UnitHistory, Validity, Version};
        let id = |code: &str| UnitId::new("test", code, None);
        let reform = date("2025-07-01");
        let version = |parent: Option<&str>, level, validity| Version {
            validity,
            display_name: "Đơn vị".to_owned(),
            kind: Kind::Other,
            level,
            parent: parent.map(id),
        };
        let unit =
            |code: &str, versions| UnitHistory { id: id(code), versions, identifiers: vec![] };
        let units = vec![
            unit("province", vec![version(None, Level::Province, Validity::OPEN)]),
            unit("department", vec![version(Some("province"), Level::Department, Validity::OPEN)]),
            unit(
                "district",
                vec![version(Some("province"), Level::District, Validity::before(reform))],
            ),
            unit(
                "commune",
                vec![
                    version(Some("district"), Level::Commune, Validity::before(reform)),
                    version(Some("province"), Level::Commune, Validity::since(reform)),
                ],
            ),
        ];
        let hierarchy = Hierarchy::build(1, units).unwrap();
        use Receiver::{Above, Parent, Unit};
        let department = Unit(id("department"));
        for (unit, day, receivers, expected) in [
            ("commune", "2025-06-14", vec![Parent], vec!["district"]),
            ("commune", "2025-07-14", vec![Parent], vec!["province"]),
            ("commune", "2025-06-14", vec![Above(Level::Province)], vec!["province"]),
            ("commune", "2025-06-14", vec![department], vec!["department"]),
            // Of several tiers each once, and whoever is one of them does not send to itself.
            (
                "commune",
                "2025-07-14",
                vec![Parent, Above(Level::Province), department],
                vec!["province", "department"],
            ),
            ("department", "2025-07-14", vec![department, Parent], vec!["province"]),
            ("province", "2025-07-14", vec![Parent, Above(Level::District)], vec![]),
            ("commune", "2025-07-14", vec![Above(Level::District)], vec![]),
            ("commune", "2025-07-14", vec![], vec![]),
        ] {
            let regime = Regime { receivers: receivers.clone(), ..monthly() };
            let received_by = regime.received_by(id(unit), date(day), &hierarchy);
            let expected: Vec<_> = expected.into_iter().map(id).collect();
            assert_eq!(received_by, expected, "{unit} on {day} by {receivers:?}");
        }
    }

    #[test]
    fn a_report_is_begun_from_the_first_day_of_its_window_on() {
        let may: Period = "202605".parse().unwrap();
        let first = date("2026-04-15");
        assert_eq!(monthly().asks(may, date("2026-04-14")), Err(NotAsked::NotOpen { first }));
        assert!(monthly().asks(may, first).is_ok());
        let calendar = Regime { family: Family::Calendar, ..monthly() };
        let first = date("2026-05-01");
        assert_eq!(calendar.asks(may, date("2026-04-30")), Err(NotAsked::NotOpen { first }));
    }
}
