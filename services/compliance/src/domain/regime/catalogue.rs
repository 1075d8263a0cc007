//! What a regime means for those that are in force already: in whose place it stands, which ones it contradicts, and which
//! ones collect the same.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::NaiveDate;
use dunghan_calendar::Period;
use dunghan_hierarchy::{Hierarchy, UnitId};

use super::{Overlap, Regime, RegimeId, Schedule};

/// The indicators that forms ask for, by the form's name. A form that is not there asks for none.
pub type Indicators = BTreeMap<String, BTreeSet<String>>;

/// A regime that may be put in force, with what that brings about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// As it is put in force: with its overlaps.
    pub regime: Regime,
    /// The one in whose place it stands, as that one is from now on.
    pub amended: Option<Regime>,
}

/// Why a regime cannot stand beside those that are in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// There is none in whose place it could stand.
    #[error("{0} is not in force")]
    UnknownRegime(RegimeId),
    /// That one has ended by itself.
    #[error("{regime} ends on {through}: there is nothing left of it to amend")]
    Ended {
        /// Which.
        regime: RegimeId,
        /// Its last day.
        through: NaiveDate,
    },
    /// Another stands in its place already.
    #[error("{regime} is amended by {by} already: amend that one")]
    AmendedAlready {
        /// Which.
        regime: RegimeId,
        /// By which.
        by: RegimeId,
    },
    /// They contradict each other: see [`publish`].
    #[error(
        "{regime} asks {units} of the same units for the same form for {period}; \
         where this regime is to take its place, say so by amends"
    )]
    Contradicts {
        /// Which.
        regime: RegimeId,
        /// The first period that both ask for.
        period: Period,
        /// How many units would owe both.
        units: usize,
    },
}

/// Puts a regime in force beside those that are.
///
/// **In whose place.** The amended regime is in force through the day before this one's first; for periods with a later
/// cut-off it asks no more. Where this one begins no later than that one did, nothing is left of that one. A regime is amended
/// once: who wants to amend it again amends what took its place, so that the amendments make a chain.
///
/// **Contradiction.** Two regimes contradict each other where one unit would have to hand over the same report twice:
///
/// * the debtors' form is the same, and it has indicators. What a text is about, its form does not say: a form without
///   indicators serves any number of regimes;
/// * they ask equally often, and the windows are of one family; asked for once, the interval is the same;
/// * there is a cut-off day on which both are in force and on which some unit is a debtor of both.
///
/// If receiver or due date differ, the unit is told two things of one report; if they do not, the same thing is asked for
/// twice. Neither is put in force. Two regimes with different forms are lawful at once, whoever they ask; where the forms share
/// indicators that is hinted as an overlap, as of the first cut-off day that both have.
///
/// Who is a debtor is as the hierarchy knows it now, on each cut-off day; a later reorganisation is not foreseen.
///
/// Errors: the first conflict, those with the regime that is to be amended first.
pub fn publish(
    new: Regime,
    existing: &[Regime],
    indicators: &Indicators,
    hierarchy: &Hierarchy,
) -> Result<Publication, Conflict> {
    let amended = amended(&new, existing)?;
    let others = || {
        let as_it_will_be = amended.iter();
        let rest = existing.iter().filter(|other| Some(&other.id) != new.amends.as_ref());
        as_it_will_be.chain(rest).filter(|other| same_windows(&new, other))
    };
    let asks = |regime: &Regime| {
        regime.tiers.first().and_then(|tier| indicators.get(&tier.form)).filter(|of| !of.is_empty())
    };
    let changes = Changes::of(hierarchy);
    if asks(&new).is_some() {
        let same_form = |other: &&Regime| form(other) == form(&new);
        if let Some(conflict) = others()
            .filter(same_form)
            .find_map(|other| contradiction(&new, other, hierarchy, &changes))
        {
            return Err(conflict);
        }
    }
    let mut overlaps: Vec<_> = others()
        .filter_map(|other| {
            let both = asks(&new)?.intersection(asks(other)?).cloned().collect::<Vec<_>>();
            if both.is_empty() {
                return None;
            }
            let first = common_periods(&new, other).next()?;
            let units = common_debtors(&new, other, new.window(first).cut_off, hierarchy);
            let units = u32::try_from(units).unwrap_or(u32::MAX);
            (units > 0).then(|| Overlap { regime: other.id.clone(), indicators: both, units })
        })
        .collect();
    overlaps.sort_by(|one, two| one.regime.cmp(&two.regime));
    Ok(Publication { regime: Regime { overlaps, ..new }, amended })
}

/// The regime in whose place a new one stands, as it is from then on.
fn amended(new: &Regime, existing: &[Regime]) -> Result<Option<Regime>, Conflict> {
    let Some(id) = &new.amends else { return Ok(None) };
    let before = existing.iter().find(|regime| regime.id == *id);
    let before = before.ok_or_else(|| Conflict::UnknownRegime(id.clone()))?;
    if let Some(by) = existing.iter().find(|regime| regime.amends.as_ref() == Some(id)) {
        return Err(Conflict::AmendedAlready { regime: id.clone(), by: by.id.clone() });
    }
    if let Some(through) = before.through.filter(|through| *through < new.from) {
        return Err(Conflict::Ended { regime: id.clone(), through });
    }
    let through = new.from.pred_opt().unwrap_or(NaiveDate::MIN);
    Ok(Some(Regime { through: Some(through), ..before.clone() }))
}

fn form(regime: &Regime) -> Option<&str> {
    regime.tiers.first().map(|tier| tier.form.as_str())
}

/// Whether the periods of two regimes are the same days.
fn same_windows(one: &Regime, other: &Regime) -> bool {
    one.schedule == other.schedule
        && (one.family == other.family || matches!(one.schedule, Schedule::Once(_)))
}

/// The periods that two regimes of the same windows both ask for, the first first.
fn common_periods(one: &Regime, other: &Regime) -> impl Iterator<Item = Period> {
    let from = one.from.max(other.from);
    let through = [one.through, other.through].into_iter().flatten().min();
    let cut_off = |period: Period| one.window(period).cut_off;
    std::iter::successors(one.first_period(from), |period| period.next())
        .take_while(move |period| through.is_none_or(|through| cut_off(*period) <= through))
        .filter(move |period| from <= cut_off(*period))
}

fn common_debtors(one: &Regime, other: &Regime, day: NaiveDate, hierarchy: &Hierarchy) -> usize {
    let of_one: HashSet<UnitId> = one.debtors.on(day, hierarchy).into_iter().collect();
    other.debtors.on(day, hierarchy).iter().filter(|unit| of_one.contains(unit)).count()
}

fn contradiction(
    new: &Regime,
    other: &Regime,
    hierarchy: &Hierarchy,
    changes: &Changes,
) -> Option<Conflict> {
    let mut looked_at = None;
    for period in common_periods(new, other) {
        let day = new.window(period).cut_off;
        let state = changes.before(day);
        // Where no unit changed between two cut-off days, the debtors are the same.
        if looked_at != Some(state) {
            let units = common_debtors(new, other, day, hierarchy);
            if units > 0 {
                return Some(Conflict::Contradicts { regime: other.id.clone(), period, units });
            }
            looked_at = Some(state);
        }
        if changes.is_last(state) {
            break;
        }
    }
    None
}

/// The days on which the hierarchy changes, in their order.
struct Changes(Vec<NaiveDate>);

impl Changes {
    fn of(hierarchy: &Hierarchy) -> Self {
        let versions = hierarchy.histories().flat_map(|history| &history.versions);
        let days = versions.flat_map(|one| [one.validity.from, one.validity.until]).flatten();
        Self(days.collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// How many there are up to a day: the same number, the same hierarchy.
    fn before(&self, day: NaiveDate) -> usize {
        self.0.partition_point(|change| *change <= day)
    }

    /// Whether nothing changes after so many.
    fn is_last(&self, state: usize) -> bool {
        state == self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use dunghan_calendar::{DueRule, Family, Frequency};
    use dunghan_hierarchy::{Identifier, Kind, Level, NSO, UnitHistory, Validity, Version};

    use super::*;
    use crate::domain::regime::tests::{day, regime, tier};
    use crate::domain::regime::{Debtors, Receiver, Tier};

    fn unit(code: &str) -> UnitId {
        UnitId::new(NSO, code, None)
    }

    fn history(code: &str, validity: Validity) -> UnitHistory {
        let version = Version {
            validity,
            kind: Kind::Xa,
            level: Level::Commune,
            display_name: code.to_owned(),
            parent: None,
        };
        let code_held = Identifier { scheme: NSO.to_owned(), value: code.to_owned(), validity };
        UnitHistory { id: unit(code), versions: vec![version], identifiers: vec![code_held] }
    }

    /// Three communes, of which the third comes on 01/07/2026.
    fn hierarchy() -> Hierarchy {
        let validity = |from: &str| Validity::since(day(from));
        let units = vec![
            history("1", validity("2020-01-01")),
            history("2", validity("2020-01-01")),
            history("3", validity("2026-07-01")),
        ];
        Hierarchy::build(1, units).unwrap()
    }

    fn indicators() -> Indicators {
        let of = |form: &str, keys: &[&str]| {
            (form.to_owned(), keys.iter().map(|key| (*key).to_owned()).collect())
        };
        Indicators::from([
            of("forms/cds-1", &["a", "b"]),
            of("forms/cds-2", &["b", "c"]),
            of("forms/far-1", &["z"]),
            of("forms/text-1", &[]),
        ])
    }

    /// A regime of some communes, by a form.
    fn of(id: &str, form: &str, codes: &[&str]) -> Regime {
        Regime {
            id: RegimeId::new(id).unwrap(),
            debtors: Debtors::Units(codes.iter().map(|code| unit(code)).collect()),
            tiers: vec![Tier {
                form: form.to_owned(),
                ..tier(Some(DueRule::WorkingDaysAfterCutOff(3)))
            }],
            ..regime(Schedule::Every(Frequency::Month), "2026-01-01", None)
        }
    }

    fn published(new: Regime, existing: &[Regime]) -> Result<Publication, Conflict> {
        publish(new, existing, &indicators(), &hierarchy())
    }

    fn contradicted(new: Regime, existing: Regime) -> Option<String> {
        match published(new, &[existing]) {
            Ok(_) => None,
            Err(Conflict::Contradicts { period, .. }) => Some(period.to_string()),
            Err(other) => panic!("{other}"),
        }
    }

    const FORM: &str = "forms/cds-1";

    #[test]
    fn the_same_form_for_the_same_days_is_asked_of_a_unit_once() {
        let there = || of("there", FORM, &["1"]);
        let new = || of("new", FORM, &["1", "2"]);
        let conflict = published(new(), &[there()]).unwrap_err();
        let expected = Conflict::Contradicts {
            regime: there().id,
            period: "202601".parse().unwrap(),
            units: 1,
        };
        assert_eq!(conflict, expected);
        // With another receiver or another due rule no less.
        let elsewhere = |mut regime: Regime| {
            regime.tiers[0].receiver = Receiver::Parent;
            regime.tiers[0].due.otherwise = Some(DueRule::WorkingDaysAfterCutOff(5));
            regime
        };
        assert!(contradicted(elsewhere(new()), there()).is_some());
        // Other units, another form, another frequency, other windows: nothing is asked for twice.
        assert_eq!(contradicted(of("new", FORM, &["2"]), there()), None);
        assert_eq!(contradicted(of("new", "forms/far-1", &["1"]), there()), None);
        let quarterly = Regime { schedule: Schedule::Every(Frequency::Quarter), ..new() };
        assert_eq!(contradicted(quarterly, there()), None);
        assert_eq!(contradicted(Regime { family: Family::Calendar, ..new() }, there()), None);
        // What a text is about its form does not say.
        assert_eq!(
            contradicted(of("new", "forms/text-1", &["1"]), of("r", "forms/text-1", &["1"])),
            None
        );
    }

    #[test]
    fn an_interval_is_asked_for_once_whatever_windows_other_periods_have() {
        let interval = |from: &str| Schedule::Once(format!("{from}--2026-03-31").parse().unwrap());
        let there = || Regime { schedule: interval("2026-01-01"), ..of("there", FORM, &["1"]) };
        let new = || Regime { schedule: interval("2026-01-01"), ..of("new", FORM, &["1"]) };
        let same = Some("2026-01-01--2026-03-31".to_owned());
        assert_eq!(contradicted(new(), there()), same);
        assert_eq!(contradicted(Regime { family: Family::Calendar, ..new() }, there()), same);
        let other = Regime { schedule: interval("2026-01-02"), ..new() };
        assert_eq!(contradicted(other, there()), None);
    }

    #[test]
    fn two_regimes_contradict_each_other_only_on_a_cut_off_day_on_which_both_are_in_force() {
        let there = || Regime { through: Some(day("2026-05-13")), ..of("there", FORM, &["1"]) };
        let from = |from: &str| Regime { from: day(from), ..of("new", FORM, &["1"]) };
        assert_eq!(contradicted(from("2026-04-14"), there()).as_deref(), Some("202604"));
        // Both are in force for four weeks, in which no cut-off lies.
        assert_eq!(contradicted(from("2026-04-15"), there()), None);
        let ends = Regime { through: Some(day("2026-01-13")), ..from("2025-01-01") };
        assert_eq!(contradicted(ends, there()), None);
    }

    #[test]
    fn debtors_are_compared_on_each_cut_off_day_as_the_hierarchy_knows_them() {
        let everyone = |id| Regime {
            debtors: Debtors::Everywhere {
                levels: vec![Level::Commune],
                kinds: Vec::new(),
                except: vec![unit("1"), unit("2")],
            },
            ..of(id, FORM, &[])
        };
        // The third commune is there from July on.
        let new = of("new", FORM, &["3"]);
        assert_eq!(contradicted(new, everyone("there")).as_deref(), Some("202607"));
        let ends = Regime { through: Some(day("2026-07-13")), ..of("new", FORM, &["3"]) };
        assert_eq!(contradicted(ends, everyone("there")), None);
    }

    #[test]
    fn an_amended_regime_ends_the_day_before_and_contradicts_nothing_more() {
        let there = of("there", FORM, &["1"]);
        let amending = |from: &str| Regime {
            amends: Some(there.id.clone()),
            from: day(from),
            ..of("new", FORM, &["1", "2"])
        };
        let publication = published(amending("2026-06-01"), std::slice::from_ref(&there)).unwrap();
        let ended = Regime { through: Some(day("2026-05-31")), ..there.clone() };
        assert_eq!(publication.amended, Some(ended));
        assert_eq!(publication.regime, amending("2026-06-01"));
        // From the first day on: nothing is left of it.
        let publication = published(amending("2026-01-01"), std::slice::from_ref(&there)).unwrap();
        let nothing = publication.amended.unwrap();
        assert_eq!(nothing.open_periods(day("2026-12-31")), []);
    }

    #[test]
    fn amendments_make_a_chain() {
        let first = of("first", FORM, &["1"]);
        let amend = |id: &str, before: &Regime, from: &str| Regime {
            amends: Some(before.id.clone()),
            from: day(from),
            ..of(id, FORM, &["1"])
        };
        let all = std::slice::from_ref(&first);
        let second = published(amend("second", &first, "2026-04-01"), all).unwrap();
        let all = [second.amended.unwrap(), second.regime];
        // The first is amended already; the second can be.
        let twice = published(amend("third", &all[0], "2026-02-01"), &all).unwrap_err();
        let by = all[1].id.clone();
        assert_eq!(twice, Conflict::AmendedAlready { regime: all[0].id.clone(), by });
        let third = published(amend("third", &all[1], "2026-08-01"), &all).unwrap();
        assert_eq!(third.amended.unwrap().through, Some(day("2026-07-31")));
        // From before the second began, it would meet the first, which is in force then.
        let back = published(amend("third", &all[1], "2026-02-01"), &all).unwrap_err();
        assert!(matches!(back, Conflict::Contradicts { regime, .. } if regime == first.id));
    }

    #[test]
    fn what_has_ended_by_itself_or_is_not_there_is_not_amended() {
        let ended = Regime { through: Some(day("2026-05-31")), ..of("there", FORM, &["1"]) };
        let from = |from: &str| Regime {
            amends: Some(ended.id.clone()),
            from: day(from),
            ..of("new", FORM, &["1"])
        };
        let all = std::slice::from_ref(&ended);
        assert!(published(from("2026-05-31"), all).is_ok());
        let through = day("2026-05-31");
        let expected = Conflict::Ended { regime: ended.id.clone(), through };
        assert_eq!(published(from("2026-06-01"), all), Err(expected));
        let unknown = published(from("2026-05-31"), &[]);
        assert_eq!(unknown, Err(Conflict::UnknownRegime(ended.id)));
    }

    #[test]
    fn who_collects_the_same_from_the_same_units_for_the_same_days_is_hinted() {
        let overlaps = |new: Regime, existing: &[Regime]| {
            let hints = published(new, existing).unwrap().regime.overlaps.into_iter();
            hints
                .map(|hint| (hint.regime.id().to_owned(), hint.indicators.join(" "), hint.units))
                .collect::<Vec<_>>()
        };
        let hint =
            |id: &str, indicators: &str, units| (id.to_owned(), indicators.to_owned(), units);
        let second = || of("second", "forms/cds-2", &["2", "3"]);
        let there =
            [second(), of("first", "forms/cds-2", &["1"]), of("far", "forms/far-1", &["1"])];
        let new = || of("new", FORM, &["1", "2", "3"]);
        assert_eq!(overlaps(new(), &there), [hint("first", "b", 1), hint("second", "b", 1)]);
        // On the first cut-off day that both have, the third commune is there.
        let later = Regime { from: day("2026-07-01"), ..second() };
        assert_eq!(overlaps(new(), &[later]), [hint("second", "b", 2)]);
        // Neither of the one in whose place it stands, nor for other days, nor of other units, nor of a text.
        let amending = Regime { amends: Some(second().id), ..new() };
        assert_eq!(overlaps(amending, &[second()]), []);
        let quarterly = Regime { schedule: Schedule::Every(Frequency::Quarter), ..new() };
        assert_eq!(overlaps(quarterly, &there), []);
        assert_eq!(overlaps(of("new", FORM, &["1"]), &[second()]), []);
        assert_eq!(overlaps(of("new", "forms/text-1", &["2"]), &there), []);
    }
}
