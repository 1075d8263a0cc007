//! What an amendment moves by whole groups, against the domain, which moves obligations one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use dunghan_calendar::{
    Certainty, DayOffPolicy, DueMonth, DueRule, Family, Frequency, Period, SpecialKind, zone,
};
use dunghan_compliance::domain::calendar::{CalendarId, Calendars, Change, MovedDueTime, SaidDay};
use dunghan_compliance::domain::decision::{Decision, Effect, Extent, Outcome, Until, apply};
use dunghan_compliance::domain::due_change::{Cause, DueChange};
use dunghan_compliance::domain::obligation::{
    CloseReason, Closed, Obligation, ObligationName, Receipt,
};
use dunghan_compliance::domain::opening::{Known, Plan, original_due};
use dunghan_compliance::domain::regime::{
    Debtors, DueRules, Receiver, Regime, RegimeId, ReportKind, Schedule, Tier,
};
use dunghan_compliance::domain::reprojection::{is_movable, reproject};
use dunghan_compliance::store::{Amending, Learnt, Migrations, Regimes, Store};
use dunghan_hierarchy::{Hierarchy, Level, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_store::Database;
use dunghan_testkit::{ENGINES, Engine, Place};
use sea_orm::{ConnectionTrait as _, Statement};
use uuid::Uuid;

use crate::world::{day, time};

const PERIODS: [&str; 2] = ["202605", "202606"];
const PROVINCES: [&str; 3] = ["24", "52", "79"];
/// Obligations of one history.
const COUNT: usize = 60;
/// Histories on each engine.
const HISTORIES: u64 = 30;

/// Numbers that are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    fn date(&mut self, from: &str, days: u64) -> NaiveDate {
        day(from) + Days::new(self.below(days))
    }
}

fn now() -> DateTime<Utc> {
    time("2026-05-25 08:00:00")
}

fn province(code: &str) -> UnitId {
    UnitId::new("nso", code, None)
}

fn regime(id: &str, grace: u16, day_off: DayOffPolicy, tiers: &[DueRules]) -> Regime {
    let tier = |due: &DueRules| Tier {
        receiver: Receiver::Unit(province("24")),
        due: due.clone(),
        form: "forms/cds-1".to_owned(),
    };
    Regime {
        id: RegimeId::new(id).unwrap(),
        display_name: "Báo cáo".to_owned(),
        legal_basis: "Công văn số 1/VP".to_owned(),
        illustrative: true,
        schedule: Schedule::Every(Frequency::Month),
        family: Family::Nd09,
        cut_off_as_declared: false,
        day_off,
        debtors: Debtors::Units(Vec::new()),
        tiers: tiers.iter().map(tier).collect(),
        from: day("2026-05-01"),
        through: None,
        create_time: DateTime::UNIX_EPOCH,
        kind: ReportKind::Periodic,
        means: Vec::new(),
        grace,
        review_levels: 0,
        rule_family: None,
        amends: None,
        tell_from: day("2026-05-10"),
        early_due_reason: None,
        overlaps: Vec::new(),
    }
}

fn regimes() -> Vec<Regime> {
    let after = |days| Some(DueRule::WorkingDaysAfterCutOff(days));
    let by_level = DueRules {
        by_level: vec![(Level::Province, DueRule::WorkingDaysAfterCutOff(7))],
        otherwise: after(4),
    };
    let on = DueRule::day_of_month(22, DueMonth::Last).unwrap();
    vec![
        regime("counted", 2, DayOffPolicy::Keep, &[DueRules::same(after(3)), by_level]),
        regime("fixed", 3, DayOffPolicy::NextWorkingDay, &[DueRules::same(Some(on))]),
        regime("kept", 1, DayOffPolicy::Keep, &[DueRules::same(Some(on))]),
        regime("undated", 0, DayOffPolicy::Keep, &[DueRules::same(None)]),
    ]
}

/// A decision on one of the provinces or a commune, under one regime or all.
fn decision(dice: &mut Dice, regimes: &[Regime], number: u64) -> Decision {
    let regime = regimes[usize::try_from(dice.below(3)).unwrap()].id.clone();
    let (extent, regime) = if dice.one_in(2) {
        (Extent::Period(dice.of(&PERIODS).parse().unwrap()), Some(regime))
    } else {
        let from = dice.date("2026-05-15", 14);
        let through = from + Days::new(dice.below(6));
        (Extent::Due { from, through }, Some(regime).filter(|_| dice.one_in(2)))
    };
    let until = if dice.one_in(2) {
        Until::Date(dice.date("2026-05-18", 40))
    } else {
        Until::WorkingDays(u16::try_from(1 + dice.below(6)).unwrap())
    };
    let outcome = if dice.one_in(3) {
        Outcome::Waiver
    } else {
        Outcome::Extension { until, afterwards: false }
    };
    let unit = province(dice.of(&PROVINCES));
    Decision {
        id: Uuid::from_u64_pair(1, number),
        unit,
        subtree: !dice.one_in(4),
        below_only: false,
        regime,
        extent,
        outcome,
        document: "15/QĐ-UBND".to_owned(),
        reason: "Lý do".to_owned(),
        author: "supervisor".to_owned(),
        create_time: now() - TimeDelta::days(i64::try_from(20 - number).unwrap()),
        revoked: None,
        request: None,
        concerned: 0,
    }
}

/// An obligation as it may have become by the official calendar, whatever happened to it.
fn obligation(
    dice: &mut Dice,
    regimes: &[Regime],
    calendars: &Calendars,
    decisions: &[Decision],
    number: usize,
) -> Obligation {
    // Most of them counted in working days: others move little.
    let regime = &regimes[dice.of(&[0, 0, 0, 1, 2, 3])];
    let area = province(dice.of(&PROVINCES));
    let (level, tier) = dice.of(&[(Level::Commune, 1), (Level::Commune, 2), (Level::Province, 2)]);
    let unit = if level == Level::Province {
        UnitId::new("nso", &format!("province-{number}"), None)
    } else {
        UnitId::new("nso", &format!("{number}"), None)
    };
    let period: Period = dice.of(&PERIODS).parse().unwrap();
    let due = original_due(regime, period, tier, level, area, calendars);
    let last = due.map(|due| zone::civil_date(due).pred_opt().unwrap());
    let tell = last.and_then(|last| regime.tell_time(last, calendars.of(area)));
    let mut one = Obligation {
        name: ObligationName { unit, regime: regime.id.clone(), period },
        tier,
        unit_code: format!("{number:05}"),
        path: vec![area, unit],
        level,
        receiver: None,
        open_time: time("2026-04-15 00:00:00"),
        original_due: due,
        calendar_amendment: 0,
        due,
        due_generation: i32::try_from(1 + dice.below(3)).unwrap(),
        tell: tell.filter(|_| !dice.one_in(6)),
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
    };
    // Some were there when the decisions were made, and left alone by them, as those that end sooner are.
    if dice.one_in(2) {
        apply(decisions, &mut one, regime, calendars);
    }
    if dice.one_in(3) {
        one.told = Some(one.due_generation - i32::from(dice.one_in(2))).filter(|told| *told > 0);
    }
    if dice.one_in(4) {
        let receipt = Receipt { report: Uuid::nil(), time: now() - TimeDelta::days(1) };
        (one.receipt, one.sequence) = (Some(receipt), 1);
    }
    if dice.one_in(4) {
        let time = now() + TimeDelta::days(i64::try_from(dice.below(30)).unwrap() - 10);
        one.abandoned = Some(time).filter(|_| one.receipt.is_none());
        let reason =
            if one.receipt.is_none() { CloseReason::NoSuccessor } else { CloseReason::NotADebtor };
        one.closed = Some(Closed { time, reason });
    }
    one
}

fn change(dice: &mut Dice) -> Change {
    let mut days = BTreeMap::new();
    for _ in 0..=dice.below(5) {
        let date = dice.of(&["2026-05-15", "2026-06-15"]);
        let date = dice.date(date, 9);
        let kind = if zone::end_of(date) > now() && dice.one_in(4) {
            None
        } else {
            Some(SpecialKind::InLieu)
        };
        days.insert(date, kind);
    }
    // Something in any case.
    days.insert(day("2026-07-01"), Some(SpecialKind::InLieu));
    let calendar = match dice.below(3) {
        0 => CalendarId::Of(province(dice.of(&PROVINCES))),
        _ => CalendarId::National,
    };
    let said = |(date, kind)| SaidDay {
        date,
        kind,
        name_vi: "Nghỉ bão".to_owned(),
        certainty: Certainty::Official,
        source: String::new(),
    };
    Change {
        calendar,
        days: days.into_iter().map(said).collect(),
        office_hours: None,
        legal_basis: "Công điện số 1".to_owned(),
        reason: "Bão số 3".to_owned(),
    }
}

struct Shelf {
    store: Store,
    _place: Place,
}

impl Shelf {
    async fn new(engine: Engine, regimes: &[Regime]) -> Self {
        let place = Place::new(engine).await;
        let database = Database::open(&place.location, "compliance").await.unwrap();
        database.migrate::<Migrations>().await.unwrap();
        let shelf = Self { store: Store::new(database), _place: place };
        for regime in regimes {
            let content = serde_json::to_string(regime).unwrap();
            let id = regime.id.id();
            shelf.run(&format!("INSERT INTO regime VALUES ('{id}', '{content}', 0)")).await;
        }
        shelf
    }

    /// Forgets everything but the regimes.
    async fn clear(&self) {
        for table in ["obligation", "opening", "decision", "due_change", "calendar_amendment"] {
            self.run(&format!("DELETE FROM {table}")).await;
        }
    }

    async fn run(&self, sql: &str) {
        let write = self.store.database().write(async |write| write.execute_unprepared(sql).await);
        write.await.unwrap();
    }

    async fn keep(
        &self,
        obligations: &[Obligation],
        decisions: &[Decision],
        calendars: &Arc<Calendars>,
    ) {
        for decision in decisions {
            let kept = decision.clone();
            let make = move |_: Vec<Obligation>, _: &Regimes, _: &Calendars| {
                Ok((kept.clone(), Effect::default(), pb::Decision::default()))
            };
            let made = self.store.decision_make(decision, calendars, None, false, make).await;
            made.unwrap();
        }
        let mut groups: BTreeMap<_, Vec<Obligation>> = BTreeMap::new();
        for one in obligations {
            let key = (one.name.regime.clone(), one.name.period);
            groups.entry(key).or_default().push(one.clone());
        }
        let hierarchy = Arc::new(Hierarchy::empty());
        let by = Learnt { hierarchy, calendars: calendars.clone(), now: now() };
        for ((regime, period), changed) in groups {
            let plan = |_: &Regime, _: &Calendars, _: Known| Plan {
                changed: changed.clone(),
                ..Plan::default()
            };
            self.store.obligation_open_as(&regime, period, None, &by, plan).await.unwrap();
        }
    }

    async fn next_check(&self, one: &Obligation) -> Option<i64> {
        let database = self.store.database();
        let sql = "SELECT next_check_us FROM obligation WHERE unit_code = $1";
        let values = [one.unit_code.as_str().into()];
        let sql = Statement::from_sql_and_values(database.engine(), sql, values);
        let row = database.reader().query_one_raw(sql).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }
}

fn amending<'a>(change: &'a Change, hierarchy: &'a Hierarchy) -> Amending<'a> {
    Amending { change, etag: "", author: "operator", at: now(), hierarchy }
}

#[tokio::test]
async fn an_amendment_moves_by_groups_exactly_what_the_domain_moves_one_by_one() {
    let (regimes, before) = (regimes(), Arc::new(Calendars::official().unwrap()));
    let mut moved_at_all = 0;
    for engine in ENGINES {
        let shelf = Shelf::new(engine, &regimes).await;
        for history in 0..HISTORIES {
            shelf.clear().await;
            let mut dice = Dice(history);
            let count = dice.below(5);
            let decisions: Vec<_> =
                (0..count).map(|number| decision(&mut dice, &regimes, number)).collect();
            let obligations: Vec<_> = (0..COUNT)
                .map(|number| obligation(&mut dice, &regimes, &before, &decisions, number))
                .collect();
            shelf.keep(&obligations, &decisions, &before).await;
            let change = change(&mut dice);
            let hierarchy = Hierarchy::empty();
            let amending = amending(&change, &hierarchy);
            let tried = shelf.store.calendar_preview(before.clone(), amending).await.unwrap();
            let amended = shelf
                .store
                .calendar_amend(before.clone(), amending, None, |amendment| amendment.into());
            amended.await.unwrap();
            let made = shelf.store.calendar_amendment_page(None, None, 1).await.unwrap().remove(0);
            assert_eq!(tried, made, "{engine:?} {history}");

            let after = shelf.store.calendars_newest(before.clone()).await.unwrap();
            assert_eq!(*after, before.amended(&change, now()).unwrap());
            let (mut due_times, mut no_longer_due) = (BTreeMap::new(), 0);
            for one in &obligations {
                let mut expected = one.clone();
                let reaches = change.calendar == CalendarId::National
                    || change.calendar == CalendarId::Of(one.area());
                if reaches && is_movable(one, now()) {
                    let regime = regimes.iter().find(|regime| regime.id == one.name.regime);
                    reproject(&mut expected, regime.unwrap(), &after, &decisions);
                }
                let found = shelf.store.obligation_fetch(&one.name).await.unwrap();
                assert_eq!(found, expected, "{engine:?} {history} {one:?}");
                let next = expected.task().map(|(from, _)| from.timestamp_micros());
                assert_eq!(shelf.next_check(&expected).await, next, "{engine:?} {history}");

                let noted = shelf.store.due_change_all(&one.name).await.unwrap();
                if expected.due_generation == one.due_generation {
                    assert_eq!(noted, []);
                    continue;
                }
                let change = DueChange {
                    name: one.name.clone(),
                    due_generation: expected.due_generation,
                    old: one.due,
                    new: expected.due,
                    cause: Cause::CalendarAmended,
                    reference: made.name().to_string(),
                    reason: "Bão số 3".to_owned(),
                    author: "operator".to_owned(),
                    create_time: now(),
                };
                assert_eq!(noted, [change], "{engine:?} {history}");
                let name = &one.name;
                let alike = (name.regime.clone(), name.period.to_string(), one.due, expected.due);
                *due_times.entry(alike).or_insert(0) += 1;
                let told = one.told == Some(one.due_generation);
                let ahead = expected.due.is_none_or(|due| now() < due);
                no_longer_due += u64::from(told && ahead);
            }
            let due_times: Vec<_> = due_times
                .into_iter()
                .map(|((regime, period, old, new), units)| MovedDueTime {
                    regime,
                    period: period.parse().unwrap(),
                    old,
                    new,
                    units,
                })
                .collect();
            assert_eq!(made.moved.count, due_times.iter().map(|one| one.units).sum::<u64>());
            assert_eq!(made.moved.due_times, due_times, "{engine:?} {history}");
            assert_eq!(made.moved.no_longer_due, no_longer_due, "{engine:?} {history}");
            moved_at_all += made.moved.count;
        }
    }
    assert!(moved_at_all > HISTORIES * 10, "{moved_at_all}");
}

#[tokio::test]
async fn what_opens_by_calendars_of_before_an_amendment_is_given_those_of_after_it() {
    for engine in ENGINES {
        let regimes = regimes();
        let shelf = Shelf::new(engine, &regimes).await;
        let before = Arc::new(Calendars::official().unwrap());
        let off = |date| SaidDay {
            date: day(date),
            kind: Some(SpecialKind::InLieu),
            name_vi: "Nghỉ bão".to_owned(),
            certainty: Certainty::Official,
            source: String::new(),
        };
        let change = Change {
            calendar: CalendarId::National,
            days: vec![off("2026-05-18")],
            office_hours: None,
            legal_basis: "Công điện số 1".to_owned(),
            reason: "Bão số 3".to_owned(),
        };
        let hierarchy = Arc::new(Hierarchy::empty());
        let amending = amending(&change, &hierarchy);
        let amended = shelf
            .store
            .calendar_amend(before.clone(), amending, None, |amendment| amendment.into());
        amended.await.unwrap();
        let by = Learnt { hierarchy, calendars: before.clone(), now: now() };
        let seen = std::sync::Mutex::new(0);
        let plan = |_: &Regime, calendars: &Calendars, _: Known| {
            *seen.lock().unwrap() = calendars.amendment();
            assert!(!calendars.national().is_working(day("2026-05-18")));
            Plan::default()
        };
        let period = PERIODS[0].parse().unwrap();
        shelf.store.obligation_open_as(&regimes[0].id, period, None, &by, plan).await.unwrap();
        assert_eq!(*seen.lock().unwrap(), 1, "{engine:?}");
    }
}
