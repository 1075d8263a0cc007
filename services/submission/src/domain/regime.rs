//! What a regime asks of a report, as far as it concerns taking one in. Due times are compliance's.

use chrono::NaiveDate;
use dunghan_calendar::{Family, Frequency, Period};
use dunghan_hierarchy::{Hierarchy, Kind, Level, UnitId};

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

fn level(unit: UnitId, day: NaiveDate, hierarchy: &Hierarchy) -> Option<Level> {
    hierarchy.unit(unit, day).map(|view| view.version.level)
}

impl Receiver {
    fn of(self, unit: UnitId, day: NaiveDate, hierarchy: &Hierarchy) -> Option<UnitId> {
        match self {
            // Where it has ended, whoever came after it receives.
            Self::Unit(named) => Some(hierarchy.succeeded_by(named, day).unwrap_or(named)),
            Self::Parent => hierarchy.ancestors(unit, day).first().copied(),
            Self::Above(wanted) => {
                let mut above = hierarchy.ancestors(unit, day).into_iter();
                above.find(|above| level(*above, day, hierarchy) == Some(wanted))
            }
        }
    }

    /// Those from whom a unit would receive.
    fn senders(self, unit: UnitId, day: NaiveDate, hierarchy: &Hierarchy) -> Vec<UnitId> {
        let below = match self {
            Self::Parent => hierarchy.children(unit, day),
            Self::Above(wanted) if level(unit, day, hierarchy) != Some(wanted) => Vec::new(),
            Self::Above(_) => hierarchy.descendants(unit, day),
            Self::Unit(_) => hierarchy.units(day),
        };
        below.into_iter().filter(|below| self.of(*below, day, hierarchy) == Some(unit)).collect()
    }
}

/// Who owes reports first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Debtors {
    /// These units.
    Units(Vec<UnitId>),
    /// All of some levels and kinds.
    All {
        /// Below this unit, itself included; none: everywhere.
        below: Option<UnitId>,
        /// Which levels; empty: any.
        levels: Vec<Level>,
        /// Which kinds; empty: any.
        kinds: Vec<Kind>,
        /// Not these, nor anyone below them.
        except: Vec<UnitId>,
    },
}

impl Debtors {
    fn include(&self, unit: UnitId, day: NaiveDate, hierarchy: &Hierarchy) -> bool {
        let Some(view) = hierarchy.unit(unit, day) else { return false };
        match self {
            Self::Units(units) => units.contains(&unit),
            Self::All { below, levels, kinds, except } => {
                let within = |root: UnitId| hierarchy.is_within(unit, root, day);
                (levels.is_empty() || levels.contains(&view.version.level))
                    && (kinds.is_empty() || kinds.contains(&view.version.kind))
                    && below.is_none_or(within)
                    && !except.iter().any(|root| within(*root))
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
    /// Who owes first.
    pub debtors: Debtors,
    /// To whom the reports go, by tier: of those who owe first, and then of those who received and send on. None: to an agency
    /// that is no unit here, or to whom nobody says.
    pub tiers: Vec<Option<Receiver>>,
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
    /// To whom the report of this unit goes, as of the cut-off day, if that is another unit.
    pub fn received_by(
        &self,
        unit: UnitId,
        cut_off: NaiveDate,
        hierarchy: &Hierarchy,
    ) -> Option<UnitId> {
        let tier = self.tier_of(unit, cut_off, hierarchy);
        let receiver = self.tiers.get(tier).copied().flatten()?.of(unit, cut_off, hierarchy);
        receiver.filter(|receiver| *receiver != unit)
    }

    /// The tier in which a unit owes, the last one of several; the first for whoever owes in none. Whoever received in one tier
    /// sends on in the next.
    fn tier_of(&self, unit: UnitId, cut_off: NaiveDate, hierarchy: &Hierarchy) -> usize {
        let onward = (1..self.tiers.len()).rev();
        let mut onward = onward.filter(|tier| self.owes_in(*tier, unit, cut_off, hierarchy));
        onward.next().unwrap_or_default()
    }

    fn owes_in(&self, tier: usize, unit: UnitId, day: NaiveDate, hierarchy: &Hierarchy) -> bool {
        let Some(before) = tier.checked_sub(1) else {
            return self.debtors.include(unit, day, hierarchy);
        };
        let Some(receiver) = self.tiers.get(before).copied().flatten() else { return false };
        // Most units receive from nobody, and are known by that at once.
        if let Receiver::Unit(_) = receiver
            && receiver.of(unit, day, hierarchy) != Some(unit)
        {
            return false;
        }
        let mut senders = receiver.senders(unit, day, hierarchy).into_iter();
        senders.any(|sender| self.owes_in(before, sender, day, hierarchy))
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

    fn communes() -> Debtors {
        let levels = vec![Level::Commune];
        Debtors::All { below: None, levels, kinds: Vec::new(), except: Vec::new() }
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
            debtors: communes(),
            tiers: vec![Some(Receiver::Parent)],
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

    fn id(code: &str) -> UnitId {
        UnitId::new("test", code, None)
    }

    /// A ministry beside a province with a department; a commune that was in a district before the reform and in the province
    /// since, and its division; a department that ended with the reform, and the one that came after it.
    fn hierarchy() -> Hierarchy {
        use dunghan_hierarchy::{Edge, EdgeKind, UnitHistory, Validity, Version};
        let reform = date("2025-07-01");
        let (open, before, since) =
            (Validity::OPEN, Validity::before(reform), Validity::since(reform));
        let version = |parent: Option<&str>, level, validity| Version {
            validity,
            display_name: "Đơn vị".to_owned(),
            kind: if level == Level::Commune { Kind::Xa } else { Kind::Other },
            level,
            parent: parent.map(id),
        };
        let unit =
            |code: &str, versions| UnitHistory { id: id(code), versions, identifiers: vec![] };
        let province = Some("province");
        let units = vec![
            unit("ministry", vec![version(None, Level::Department, open)]),
            unit("province", vec![version(None, Level::Province, open)]),
            unit("department", vec![version(province, Level::Department, open)]),
            unit("old", vec![version(province, Level::Department, before)]),
            unit("new", vec![version(province, Level::Department, since)]),
            unit("district", vec![version(province, Level::District, before)]),
            unit(
                "commune",
                vec![
                    version(Some("district"), Level::Commune, before),
                    version(province, Level::Commune, since),
                ],
            ),
            unit("division", vec![version(Some("commune"), Level::Department, since)]),
        ];
        let renewed = Edge {
            effective: reform,
            predecessor: id("old"),
            successor: id("new"),
            kind: EdgeKind::Merged,
            reorganisation: "reform".into(),
        };
        Hierarchy::build_with_edges(1, units, vec![renewed]).unwrap()
    }

    #[test]
    fn a_report_goes_to_the_unit_that_is_named_or_to_the_one_above_on_the_cut_off_day() {
        let hierarchy = hierarchy();
        use Receiver::{Above, Parent, Unit};
        let (department, old) = (Unit(id("department")), Unit(id("old")));
        for (unit, day, receiver, expected) in [
            ("commune", "2025-06-14", Some(Parent), Some("district")),
            ("commune", "2025-07-14", Some(Parent), Some("province")),
            ("commune", "2025-06-14", Some(Above(Level::Province)), Some("province")),
            ("commune", "2025-06-14", Some(department), Some("department")),
            ("commune", "2025-06-14", Some(old), Some("old")),
            ("commune", "2025-07-14", Some(old), Some("new")),
            // Nobody sends to itself.
            ("department", "2025-07-14", Some(department), None),
            ("province", "2025-07-14", Some(Parent), None),
            ("commune", "2025-07-14", Some(Above(Level::District)), None),
            ("commune", "2025-07-14", None, None),
        ] {
            let regime = Regime { tiers: vec![receiver], ..monthly() };
            let received_by = regime.received_by(id(unit), date(day), &hierarchy);
            assert_eq!(received_by, expected.map(id), "{unit} on {day} by {receiver:?}");
        }
    }

    #[test]
    fn each_tier_sends_to_its_own_receiver_alone() {
        let hierarchy = hierarchy();
        use Receiver::{Above, Parent, Unit};
        let (department, ministry) = (Some(Unit(id("department"))), Some(Unit(id("ministry"))));
        let above = |level| Some(Above(level));
        let (before, since) = ("2025-06-14", "2025-07-14");
        type Expected<'a> = &'a [(&'a str, Option<&'a str>)];
        let tiers_of =
            |debtors: Debtors, tiers: &[Option<Receiver>], day, expected: Expected<'_>| {
                let regime = Regime { debtors, tiers: tiers.to_vec(), ..monthly() };
                for (unit, receiver) in expected {
                    let received_by = regime.received_by(id(unit), date(day), &hierarchy);
                    assert_eq!(received_by, receiver.map(id), "{unit} on {day} by {tiers:?}");
                }
            };
        for first in [Some(Parent), above(Level::Province)] {
            let expected = [("commune", Some("province")), ("province", Some("ministry"))];
            tiers_of(communes(), &[first, ministry], since, &expected);
        }
        // Through the district while there was one.
        let tiers = [Some(Parent), Some(Parent), ministry];
        let expected = [
            ("commune", Some("district")),
            ("district", Some("province")),
            ("province", Some("ministry")),
        ];
        tiers_of(communes(), &tiers, before, &expected);
        // The division lies below the commune, and owes nothing that the commune would add up.
        let expected = [("commune", Some("province")), ("division", Some("commune"))];
        tiers_of(communes(), &[Some(Parent), ministry], since, &expected);
        let expected = [("commune", Some("department")), ("department", Some("ministry"))];
        tiers_of(communes(), &[department, ministry], since, &expected);
        // Onward to an agency that is no unit here.
        let expected = [("commune", Some("province")), ("province", None)];
        tiers_of(communes(), &[Some(Parent), None], since, &expected);
        // Who owes in two tiers owes in the later one.
        let both = Debtors::Units(vec![id("commune"), id("province")]);
        let expected = [("commune", Some("province")), ("province", Some("ministry"))];
        tiers_of(both, &[Some(Parent), ministry], since, &expected);
        // From where nobody owes nothing is received to be sent on.
        let except = Debtors::All {
            below: Some(id("province")),
            levels: vec![Level::Commune],
            kinds: vec![Kind::Xa],
            except: vec![id("province")],
        };
        let expected = [("province", None), ("commune", Some("province"))];
        tiers_of(except, &[Some(Parent), ministry], since, &expected);
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
