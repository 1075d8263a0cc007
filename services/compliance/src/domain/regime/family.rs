//! Families of rules that a legal document fixes, and what a regime that follows one takes from it.
//!
//! The families are data ([`families`]); a regime says only what its document says beyond them. What it leaves open is filled
//! in when it is put in force and kept with it, so that a later edition of the data changes nothing that is in force.

use chrono::NaiveDate;
use dunghan_calendar::{DueRule, Family, Frequency};
use dunghan_hierarchy::{Level, UnitId};
use serde::Deserialize;

use super::{Contradiction, Debtors, DueRules, Part, Receiver, Regime, Schedule};

const FAMILIES: &str = include_str!("../../../data/families.toml");

/// A family of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFamily {
    /// For example `tt06-2025-ttcp`.
    pub id: String,
    /// The document.
    pub legal_basis: String,
    /// First day in force; none: not known here.
    pub from: Option<NaiveDate>,
    /// Last day in force; none: until further notice.
    pub through: Option<NaiveDate>,
    /// Which days a period covers.
    pub window: Family,
    /// The cut-off is what each report declares.
    pub cut_off_as_declared: bool,
    /// By when, in the order of the data.
    pub due: Vec<FamilyDue>,
    /// How sure it is, for people.
    pub note: String,
}

/// A due day of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamilyDue {
    /// Of reports this often.
    pub frequency: Frequency,
    /// In this tier, from 1.
    pub tier: u8,
    /// Of this level; none: of every other.
    pub level: Option<Level>,
    /// By when.
    pub rule: DueRule,
    /// Holds only where a regime states no other.
    pub unless_stated: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    family: Vec<RawFamily>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFamily {
    id: String,
    legal_basis: String,
    from_date: Option<NaiveDate>,
    through_date: Option<NaiveDate>,
    window_family: Family,
    #[serde(default)]
    cut_off_as_declared: bool,
    #[serde(default)]
    due: Vec<RawDue>,
    note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDue {
    frequencies: Vec<Frequency>,
    tiers: Vec<u8>,
    level: Option<Level>,
    due: DueRule,
    #[serde(default)]
    unless_stated: bool,
}

impl RawDue {
    fn each(&self) -> impl Iterator<Item = FamilyDue> {
        self.frequencies.iter().flat_map(|frequency| {
            self.tiers.iter().map(|tier| FamilyDue {
                frequency: *frequency,
                tier: *tier,
                level: self.level,
                rule: self.due,
                unless_stated: self.unless_stated,
            })
        })
    }
}

/// The families that this program knows, by name.
///
/// Errors: the compiled-in data does not read; a test holds that it does.
pub fn families() -> Result<Vec<RuleFamily>, toml::de::Error> {
    let file: File = toml::from_str(FAMILIES)?;
    let mut families: Vec<_> = file
        .family
        .into_iter()
        .map(|raw| RuleFamily {
            due: raw.due.iter().flat_map(RawDue::each).collect(),
            id: raw.id,
            legal_basis: raw.legal_basis,
            from: raw.from_date,
            through: raw.through_date,
            window: raw.window_family,
            cut_off_as_declared: raw.cut_off_as_declared,
            note: raw.note,
        })
        .collect();
    families.sort_by(|one, two| one.id.cmp(&two.id));
    Ok(families)
}

impl RuleFamily {
    /// The rule for a level in a tier; without a level, the one for every other.
    pub fn rule(&self, frequency: Frequency, tier: u8, level: Option<Level>) -> Option<&FamilyDue> {
        let mut of = self.due.iter().filter(|due| due.frequency == frequency && due.tier == tier);
        let other = of.clone().find(|due| due.level.is_none());
        of.find(|due| level.is_some() && due.level == level).or(other)
    }
}

/// A regime as it was stated: some of it may be left to its family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// All that was stated. What is left open reads as its default.
    pub regime: Regime,
    /// Which days a period covers, where that was stated.
    pub window: Option<Family>,
}

impl Stated {
    /// The whole regime, by the family that it names; without one, windows are those of the decree. `level_of` says of which
    /// level a unit that is named by itself is.
    ///
    /// Errors: what the regime states otherwise than its family does.
    pub fn complete(
        self,
        family: Option<&RuleFamily>,
        level_of: impl Fn(UnitId) -> Option<Level>,
    ) -> Result<Regime, Contradiction> {
        let Self { mut regime, window } = self;
        let Some(family) = family else {
            regime.family = window.unwrap_or_default();
            return Ok(regime);
        };
        let against = |part| Err(Contradiction::AgainstFamily { part, family: family.id.clone() });
        regime.family = family.window;
        if window.is_some_and(|window| window != family.window) {
            return against(Part::Window);
        }
        if regime.cut_off_as_declared && !family.cut_off_as_declared {
            return against(Part::CutOffAsDeclared);
        }
        regime.cut_off_as_declared = family.cut_off_as_declared;
        if family.from.is_some_and(|from| regime.from < from) {
            return against(Part::From);
        }
        let outlives = |through| regime.through.is_none_or(|own| through < own);
        if family.through.is_some_and(outlives) {
            return against(Part::Through);
        }
        let Schedule::Every(frequency) = regime.schedule else { return Ok(regime) };
        let mut levels = debtor_levels(&regime.debtors, &level_of);
        for (at, tier) in regime.tiers.iter_mut().enumerate() {
            let number = u8::try_from(at + 1).unwrap_or(u8::MAX);
            let rule = |level| family.rule(frequency, number, level);
            if let Some(part) = fill(&mut tier.due, at, &levels, rule) {
                return against(part);
            }
            levels = match &tier.receiver {
                Receiver::Above(level) => vec![*level],
                Receiver::Unit(unit) => level_of(*unit).into_iter().collect(),
                Receiver::Parent | Receiver::Agency(_) => Vec::new(),
            };
        }
        Ok(regime)
    }
}

/// The levels of those who owe, as far as the regime says them.
fn debtor_levels(debtors: &Debtors, level_of: impl Fn(UnitId) -> Option<Level>) -> Vec<Level> {
    let mut levels: Vec<_> = match debtors {
        Debtors::Subtree { levels, .. } | Debtors::Everywhere { levels, .. } => levels.clone(),
        Debtors::Units(units) => units.iter().filter_map(|unit| level_of(*unit)).collect(),
    };
    levels.sort_unstable();
    levels.dedup();
    levels
}

/// Adds the family's rules for these levels where none is stated; gives the part that is stated otherwise than the family has
/// it.
fn fill<'a>(
    due: &mut DueRules,
    at: usize,
    levels: &[Level],
    rule: impl Fn(Option<Level>) -> Option<&'a FamilyDue>,
) -> Option<Part> {
    let same = |stated: DueRule, of: &FamilyDue| of.unless_stated || stated == of.rule;
    for (place, (level, stated)) in due.by_level.iter().enumerate() {
        if rule(Some(*level)).is_some_and(|of| !same(*stated, of)) {
            return Some(Part::LevelDue(place));
        }
    }
    let general = if at == 0 { Part::Due } else { Part::OnwardDue(at - 1) };
    // Of levels that nobody can tell beforehand, only what holds for every level.
    let unnamed: Vec<_> = match levels {
        [] => vec![None],
        levels => levels
            .iter()
            .filter(|level| due.by_level.iter().all(|(named, _)| named != *level))
            .map(|level| Some(*level))
            .collect(),
    };
    let rules: Vec<_> = unnamed.into_iter().map(|level| (level, rule(level))).collect();
    if let Some(stated) = due.otherwise {
        let other = rules.iter().filter_map(|(_, of)| *of).any(|of| !same(stated, of));
        return other.then_some(general);
    }
    let first = rules.first().and_then(|(_, of)| of.map(|of| of.rule));
    if rules.iter().all(|(_, of)| of.map(|of| of.rule) == first) {
        due.otherwise = first;
        return None;
    }
    for (level, of) in rules {
        due.by_level.extend(level.zip(of).map(|(level, of)| (level, of.rule)));
    }
    None
}

#[cfg(test)]
mod tests {
    use dunghan_calendar::{DueMonth, Period, WorkingCalendar};

    use super::*;
    use crate::domain::calendar::official;
    use crate::domain::regime::Tier;
    use crate::domain::regime::tests::{day, regime, tier};

    fn family(id: &str) -> RuleFamily {
        families().unwrap().into_iter().find(|family| family.id == id).unwrap()
    }

    fn due_on(day: u8) -> DueRule {
        DueRule::day_of_month(day, DueMonth::Last).unwrap()
    }

    /// Communes to their province, from the day on.
    fn stated(frequency: Frequency, from: &str) -> Stated {
        let province = Receiver::Above(Level::Province);
        let regime = Regime {
            debtors: Debtors::Everywhere {
                levels: vec![Level::Commune],
                kinds: Vec::new(),
                except: Vec::new(),
            },
            tiers: vec![Tier { receiver: province, ..tier(None) }],
            ..regime(Schedule::Every(frequency), from, None)
        };
        Stated { regime, window: None }
    }

    /// And from the province onward, to an agency that is no unit here.
    fn onward(frequency: Frequency, from: &str) -> Stated {
        let mut stated = stated(frequency, from);
        let agency = Receiver::Agency("Thanh tra Chính phủ".to_owned());
        stated.regime.tiers.push(Tier { receiver: agency, ..tier(None) });
        stated
    }

    fn complete(stated: Stated, id: &str) -> Result<Regime, Contradiction> {
        stated.complete(Some(&family(id)), |_| None)
    }

    fn due(regime: &Regime, period: &str, tier: u8, level: Level) -> Option<String> {
        let period: Period = period.parse().unwrap();
        let calendar: WorkingCalendar = official().unwrap();
        regime.due_date(period, tier, level, &calendar).map(|due| due.to_string())
    }

    #[test]
    fn the_families_read_and_every_one_says_how_sure_it_is() {
        let families = families().unwrap();
        let ids: Vec<_> = families.iter().map(|family| family.id.as_str()).collect();
        assert_eq!(ids, ["calendar", "nd09", "tt02-2023-btttt", "tt06-2025-ttcp"]);
        for family in &families {
            assert!(!family.note.is_empty() && !family.legal_basis.is_empty(), "{}", family.id);
            // One rule for each frequency, tier and level.
            let mut keys: Vec<_> =
                family.due.iter().map(|due| (due.frequency, due.tier, due.level)).collect();
            keys.sort();
            let count = keys.len();
            keys.dedup();
            assert_eq!(keys.len(), count, "{}", family.id);
        }
        let windows: Vec<_> = families.iter().map(|family| family.window).collect();
        assert_eq!(windows, [Family::Calendar, Family::Nd09, Family::Nd09, Family::Nd09]);
    }

    #[test]
    fn a_regime_of_a_family_is_due_when_its_document_says() {
        // Circular 02/2023/TT-BTTTT, whoever owes.
        for (frequency, period, on) in [
            (Frequency::Month, "202605", "2026-05-15"),
            (Frequency::Quarter, "2026Q1", "2026-03-06"),
            (Frequency::Quarter, "2026Q4", "2026-12-06"),
            (Frequency::SixMonths, "2026S1", "2026-06-06"),
            (Frequency::Year, "2026", "2026-11-25"),
        ] {
            let regime = complete(stated(frequency, "2026-01-01"), "tt02-2023-btttt").unwrap();
            assert_eq!(due(&regime, period, 1, Level::Commune).as_deref(), Some(on), "{period}");
            assert!(regime.cut_off_as_declared);
            assert_eq!(regime.check(day("2026-05-04"), &official().unwrap()), Ok(()));
        }
        // By when a province sends on is not the circular's to say.
        let regime = complete(onward(Frequency::Quarter, "2026-01-01"), "tt02-2023-btttt").unwrap();
        assert_eq!(due(&regime, "2026Q1", 1, Level::Commune).as_deref(), Some("2026-03-06"));
        assert_eq!(due(&regime, "2026Q1", 2, Level::Province), None);
        // Circular 06/2025/TT-TTCP: commune to province the 17th, province onward the 20th.
        for (frequency, period, commune, province) in [
            (Frequency::Quarter, "2026Q2", "2026-06-17", "2026-06-20"),
            (Frequency::NineMonths, "2026N9", "2026-09-17", "2026-09-20"),
            (Frequency::Year, "2026", "2026-12-17", "2026-12-20"),
        ] {
            let regime = complete(onward(frequency, "2026-01-01"), "tt06-2025-ttcp").unwrap();
            let found = due(&regime, period, 1, Level::Commune);
            assert_eq!(found.as_deref(), Some(commune), "{period}");
            let found = due(&regime, period, 2, Level::Province);
            assert_eq!(found.as_deref(), Some(province), "{period}");
            assert_eq!(regime.check(day("2026-05-04"), &official().unwrap()), Ok(()));
        }
        // Decree 09/2019/NĐ-CP, article 13: the 25th is for provinces; what lower levels owe by is not the decree's to say.
        let regime = complete(onward(Frequency::Quarter, "2026-01-01"), "nd09").unwrap();
        assert_eq!(due(&regime, "2026Q2", 1, Level::Commune), None);
        assert_eq!(due(&regime, "2026Q2", 2, Level::Province).as_deref(), Some("2026-06-25"));
        assert!(!regime.cut_off_as_declared);
        // Statistics: plain months, and no due day of their own.
        let regime = complete(stated(Frequency::Month, "2026-01-01"), "calendar").unwrap();
        assert_eq!(regime.family, Family::Calendar);
        assert_eq!(regime.tiers[0].due, DueRules::default());
    }

    #[test]
    fn debtors_of_several_levels_get_a_rule_for_each() {
        let levels = |levels: &[Level]| {
            let mut stated = stated(Frequency::Quarter, "2026-01-01");
            stated.regime.debtors = Debtors::Everywhere {
                levels: levels.to_vec(),
                kinds: Vec::new(),
                except: Vec::new(),
            };
            complete(stated, "tt06-2025-ttcp").unwrap().tiers.remove(0).due
        };
        let both = levels(&[Level::Commune, Level::Province]);
        let by_level = vec![(Level::Province, due_on(20)), (Level::Commune, due_on(17))];
        assert_eq!(both, DueRules { by_level, otherwise: None });
        assert_eq!(levels(&[Level::Province]), DueRules::same(Some(due_on(20))));
        // The circular says nothing of schools.
        let schools = levels(&[Level::Commune, Level::School]);
        let by_level = vec![(Level::Commune, due_on(17))];
        assert_eq!(schools, DueRules { by_level, otherwise: None });
        // Of units that are named by themselves, the hierarchy says the level.
        let mut named = stated(Frequency::Quarter, "2026-01-01");
        let unit = UnitId::new("nso", "24", None);
        named.regime.debtors = Debtors::Units(vec![unit]);
        let family = family("tt06-2025-ttcp");
        let level_of = |of| (of == unit).then_some(Level::Province);
        let found = named.complete(Some(&family), level_of).unwrap();
        assert_eq!(found.tiers[0].due, DueRules::same(Some(due_on(20))));
    }

    #[test]
    fn what_is_stated_as_the_family_has_it_stays_and_what_is_stated_otherwise_is_refused() {
        type Change = fn(&mut Stated);
        let cases: [(&str, Change, Result<(), Part>); 14] = [
            ("nd09", |of| of.window = Some(Family::Nd09), Ok(())),
            ("nd09", |of| of.window = Some(Family::Calendar), Err(Part::Window)),
            ("calendar", |of| of.window = Some(Family::Nd09), Err(Part::Window)),
            ("nd09", |of| of.regime.cut_off_as_declared = true, Err(Part::CutOffAsDeclared)),
            ("tt06-2025-ttcp", |of| of.regime.cut_off_as_declared = true, Ok(())),
            ("tt06-2025-ttcp", |of| of.regime.from = day("2025-09-30"), Ok(())),
            ("tt06-2025-ttcp", |of| of.regime.from = day("2025-09-29"), Err(Part::From)),
            ("tt06-2025-ttcp", |of| of.regime.tiers[0].due.otherwise = Some(due_on(17)), Ok(())),
            (
                "tt06-2025-ttcp",
                |of| of.regime.tiers[0].due.otherwise = Some(due_on(18)),
                Err(Part::Due),
            ),
            (
                "tt06-2025-ttcp",
                |of| of.regime.tiers[0].due.by_level = vec![(Level::Commune, due_on(18))],
                Err(Part::LevelDue(0)),
            ),
            (
                "tt06-2025-ttcp",
                |of| of.regime.tiers[1].due.otherwise = Some(due_on(21)),
                Err(Part::OnwardDue(0)),
            ),
            ("tt06-2025-ttcp", |of| of.regime.tiers[1].due.otherwise = Some(due_on(20)), Ok(())),
            // Article 13(1) leaves it to regimes to provide otherwise.
            ("nd09", |of| of.regime.tiers[1].due.otherwise = Some(due_on(22)), Ok(())),
            // What the decree does not fix is the regime's.
            ("nd09", |of| of.regime.tiers[0].due.otherwise = Some(due_on(18)), Ok(())),
        ];
        for (id, change, expected) in cases {
            let mut stated = onward(Frequency::Quarter, "2026-01-01");
            change(&mut stated);
            let found = match complete(stated, id) {
                Ok(_) => Ok(()),
                Err(Contradiction::AgainstFamily { part, family }) => {
                    assert_eq!(family, id);
                    Err(part)
                }
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found, expected, "{id}");
        }
        let mut kept = onward(Frequency::Quarter, "2026-01-01");
        kept.regime.tiers[1].due.otherwise = Some(due_on(22));
        let regime = complete(kept, "nd09").unwrap();
        assert_eq!(due(&regime, "2026Q2", 2, Level::Province).as_deref(), Some("2026-06-22"));
    }

    #[test]
    fn a_regime_does_not_outlive_its_family() {
        let ended = RuleFamily { through: Some(day("2026-12-31")), ..family("nd09") };
        let through = |through: Option<&str>| {
            let mut stated = stated(Frequency::Quarter, "2026-01-01");
            stated.regime.through = through.map(day);
            stated.complete(Some(&ended), |_| None).map(|regime| regime.through)
        };
        assert_eq!(through(Some("2026-12-31")), Ok(Some(day("2026-12-31"))));
        for later in [Some("2027-01-01"), None] {
            let family = "nd09".to_owned();
            let refused = Contradiction::AgainstFamily { part: Part::Through, family };
            assert_eq!(through(later), Err(refused));
        }
    }

    #[test]
    fn without_a_family_a_window_that_is_left_open_is_the_decrees_and_nothing_is_due() {
        let regime = stated(Frequency::Quarter, "2026-01-01").complete(None, |_| None).unwrap();
        assert_eq!((regime.family, regime.tiers[0].due.otherwise), (Family::Nd09, None));
        let mut plain = stated(Frequency::Quarter, "2026-01-01");
        plain.window = Some(Family::Calendar);
        assert_eq!(plain.complete(None, |_| None).unwrap().family, Family::Calendar);
    }
}
