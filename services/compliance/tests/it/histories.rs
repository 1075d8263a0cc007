//! What becomes of obligations, told twice: by the service, and by a model that is as simple as it can be. Histories are made up of
//! what units, supervisors, operators and machines do, in any order; after each sweep both have to say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Poll;

use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta, Utc, Weekday};
use dunghan_hierarchy::UnitId;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::Standing;
use dunghan_rpc::field::{pb_date, pb_time};
use dunghan_testkit::{Engine, refusal};
use futures::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::world::{
    BAC_NINH, REGIME, Scene, bac_ninh, commune, day, department, regime, start, time,
};

/// The periods that a history can reach.
const PERIODS: [&str; 3] = ["202605", "202606", "202607"];
const START: &str = "2026-04-20 09:00:00";

/// What can happen. Units, periods, days and decisions are told by their place in a list.
#[derive(Clone, Debug)]
enum Act {
    /// The clock goes on by so many hours.
    Wait(u16),
    /// The clock goes on to the due time of a period, or to the microsecond before.
    WaitForDue {
        period: usize,
        before: bool,
    },
    /// A report is handed over, received so many hours ago.
    Submit {
        unit: usize,
        period: usize,
        hours_ago: u8,
    },
    Withdraw {
        unit: usize,
        period: usize,
    },
    Return {
        unit: usize,
        period: usize,
        days: u8,
    },
    /// A level of review accepts a report that stands.
    Accept {
        unit: usize,
        period: usize,
    },
    /// Submission holds so many of its last events back, as while a transaction runs.
    HoldBack(u8),
    /// Submission tells all its events once more, in another order.
    Repeat(usize),
    Waive {
        unit: Option<usize>,
        period: usize,
    },
    Extend {
        unit: Option<usize>,
        period: usize,
        working_days: u8,
    },
    Revoke(usize),
    /// A day around a due day is declared off, or an ordinary day again.
    Amend {
        day: u8,
        off: bool,
    },
    /// A unit ends in so many days, with another after it or with none.
    End {
        unit: usize,
        days: i8,
        successor: Option<usize>,
    },
    Sweep,
    /// Several sweeps at once.
    Sweeps(u8),
    /// A sweep whose caller goes away after so many steps of it.
    Crash(u16),
}

fn act() -> impl Strategy<Value = Act> {
    let unit = 0..BAC_NINH.len();
    let period = 0..PERIODS.len();
    let someone = prop::option::of(unit.clone());
    prop_oneof![
        4 => (1_u16..200).prop_map(Act::Wait),
        3 => (period.clone(), any::<bool>())
            .prop_map(|(period, before)| Act::WaitForDue { period, before }),
        6 => (unit.clone(), period.clone(), 0_u8..100)
            .prop_map(|(unit, period, hours_ago)| Act::Submit { unit, period, hours_ago }),
        2 => (unit.clone(), period.clone())
            .prop_map(|(unit, period)| Act::Withdraw { unit, period }),
        2 => (unit.clone(), period.clone(), 0_u8..8)
            .prop_map(|(unit, period, days)| Act::Return { unit, period, days }),
        2 => (unit.clone(), period.clone()).prop_map(|(unit, period)| Act::Accept { unit, period }),
        1 => (0_u8..4).prop_map(Act::HoldBack),
        1 => any::<usize>().prop_map(Act::Repeat),
        2 => (someone.clone(), period.clone()).prop_map(|(unit, period)| Act::Waive { unit, period }),
        2 => (someone.clone(), period, 1_u8..6).prop_map(|(unit, period, working_days)| {
            Act::Extend { unit, period, working_days }
        }),
        1 => any::<usize>().prop_map(Act::Revoke),
        1 => (0_u8..60, any::<bool>()).prop_map(|(day, off)| Act::Amend { day, off }),
        1 => (unit, -20_i8..40, someone)
            .prop_map(|(unit, days, successor)| Act::End { unit, days, successor }),
        5 => Just(Act::Sweep),
        1 => (2_u8..4).prop_map(Act::Sweeps),
        1 => (1_u16..60).prop_map(Act::Crash),
    ]
}

/// A unit and a period.
type Key = (usize, usize);

/// What submission has of one report. The version grows with everything that happens to it.
#[derive(Clone, Copy, Debug, Default)]
struct Report {
    version: i64,
    received: Option<DateTime<Utc>>,
    /// It was sent back, and by when it has to be there again.
    return_due: Option<DateTime<Utc>>,
}

/// A waiver (without working days), or an extension.
#[derive(Clone, Debug)]
struct Decision {
    name: String,
    unit: Option<usize>,
    period: usize,
    working_days: Option<u8>,
    /// At which step it was made, and when.
    step: usize,
    made: DateTime<Utc>,
    revoked: Option<DateTime<Utc>>,
}

impl Decision {
    fn is_on(&self, (unit, period): Key) -> bool {
        self.period == period && self.unit.is_none_or(|only| only == unit)
    }

    fn holds_for(&self, key: Key) -> bool {
        self.revoked.is_none() && self.is_on(key)
    }
}

/// What compliance knows of an obligation, and what it has said.
#[derive(Clone, Debug, Default)]
struct Known {
    report: Report,
    due: Option<DateTime<Utc>>,
    generation: i32,
    told: Option<i32>,
    retracted: Option<i32>,
    return_told: Option<DateTime<Utc>>,
}

/// What compliance has to know and say, worked out anew from all that happened whenever it looks.
#[derive(Debug, Default)]
struct Model {
    now: DateTime<Utc>,
    step: usize,
    /// Days that are worked, or not, other than the official list says.
    amended: BTreeMap<NaiveDate, bool>,
    decisions: Vec<Decision>,
    /// The first day without a unit, and whether another came after it.
    ends: BTreeMap<usize, (NaiveDate, bool)>,
    /// What submission has, and as much of it as its events tell so far.
    reports: BTreeMap<Key, Report>,
    events: Vec<(Key, Report)>,
    held_back: usize,
    known: BTreeMap<Key, Known>,
    notices: BTreeMap<(Key, &'static str), usize>,
}

fn cut_off(period: usize) -> NaiveDate {
    window(period).1
}

fn window(period: usize) -> (NaiveDate, NaiveDate) {
    [("2026-04-15", "2026-05-14"), ("2026-05-15", "2026-06-14"), ("2026-06-15", "2026-07-14")]
        .map(|(first, last)| (day(first), day(last)))[period]
}

/// The instant that ends a day in Viet Nam.
fn end_of(day: NaiveDate) -> DateTime<Utc> {
    start_of(day) + TimeDelta::days(1)
}

fn start_of(day: NaiveDate) -> DateTime<Utc> {
    day.and_hms_opt(0, 0, 0).unwrap().and_utc() - TimeDelta::hours(7)
}

impl Model {
    fn works(&self, day: NaiveDate) -> bool {
        let weekday = !matches!(day.weekday(), Weekday::Sat | Weekday::Sun);
        // Nothing else is off from May to July but the first of May.
        let official = weekday && day != crate::world::day("2026-05-01");
        self.amended.get(&day).copied().unwrap_or(official)
    }

    fn after(&self, mut day: NaiveDate, working_days: u8) -> NaiveDate {
        for _ in 0..working_days {
            day = day.succ_opt().unwrap();
            while !self.works(day) {
                day = day.succ_opt().unwrap();
            }
        }
        day
    }

    /// From when on nobody owes it any more.
    fn closed(&self, key: Key) -> Option<DateTime<Utc>> {
        let (end, succeeded) = self.ends.get(&key.0)?;
        let gone_before = *end <= cut_off(key.1);
        let left = !succeeded && self.known[&key].report.received.is_none();
        (gone_before || left).then(|| start_of(*end))
    }

    fn waived(&self, key: Key) -> bool {
        let received = self.known[&key].report.received;
        // What was there when it was decided is left alone, however late it is known.
        self.decisions.iter().any(|decision| {
            decision.working_days.is_none()
                && decision.holds_for(key)
                && received.is_none_or(|received| decision.made < received)
        })
    }

    /// The due time by the calendar of now and those decisions that hold.
    fn due_by(&self, key: Key, holds: impl Fn(&Decision) -> bool) -> DateTime<Utc> {
        let original = self.after(cut_off(key.1), 3);
        // Who is excused is left alone by what is decided afterwards.
        let waivers = self.decisions.iter().filter(|one| one.working_days.is_none());
        let waivers = waivers.filter(|one| one.holds_for(key));
        let excused = waivers.map(|waiver| waiver.step).min().unwrap_or(usize::MAX);
        let extended = self.decisions.iter().filter(|one| one.step < excused && holds(one));
        let until = extended.filter_map(|decision| decision.working_days);
        let days = until.map(|days| self.after(original, days)).chain([original]);
        end_of(days.max().unwrap())
    }

    /// Who had been told of as missing and is no longer excused is told of once more.
    fn owed_again(&mut self, excused: &[Key]) {
        for key in excused {
            let closed = self.closed(*key).is_some_and(|closed| closed <= self.now);
            let waived = self.waived(*key);
            let due = self.due_by(*key, |decision| decision.holds_for(*key));
            let known = self.known.get_mut(key).unwrap();
            let owed = !closed && !waived && known.report.received.is_none();
            // With another due time it begins a generation all the same.
            if owed && known.due == Some(due) && known.told == Some(known.generation) {
                known.generation += 1;
            }
        }
    }

    /// Is due by the calendar and the decisions of now.
    fn measure(&mut self, key: Key) {
        let due = Some(self.due_by(key, |decision| decision.holds_for(key)));
        let known = self.known.get_mut(&key).unwrap();
        known.generation += i32::from(known.due != due);
        known.due = due;
    }

    /// What comes late is on time all the same by an extension that was in force when it came.
    fn measure_late(&mut self, key: Key) {
        let known = &self.known[&key];
        let Some(received) = known.report.received else { return };
        let due = self.due_by(key, |decision| {
            let until = decision.revoked.unwrap_or(DateTime::<Utc>::MAX_UTC);
            decision.is_on(key) && decision.made < received && received < until
        });
        let known = self.known.get_mut(&key).unwrap();
        if known.due.is_some_and(|known| known <= received && known < due) {
            known.due = Some(due);
            known.generation += 1;
        }
    }

    fn learn(&mut self, key: Key, report: Report) {
        let known = self.known.get_mut(&key);
        let Some(known) = known.filter(|known| known.report.version < report.version) else {
            return;
        };
        let was = known.report.received;
        let taken_back = was.is_some() && report.received != was;
        known.report.received = was.filter(|_| !taken_back);
        let abandoned = self
            .ends
            .get(&key.0)
            .is_some_and(|(end, succeeded)| cut_off(key.1) < *end && !succeeded);
        let nobody_left = abandoned && was.is_none() && report.received.is_some();
        // Neither followed what was amended and decided meanwhile.
        if taken_back || nobody_left {
            self.measure(key);
            let known = self.known.get_mut(&key).unwrap();
            // It was said that it had been there: that it is missing is news again.
            if known.told == Some(known.generation) && known.retracted == known.told {
                known.generation += 1;
            }
        }
        self.known.get_mut(&key).unwrap().report = report;
        self.measure_late(key);
    }

    /// What every look does: periods are opened, what submission tells is taken in, and due times follow.
    fn look(&mut self) {
        self.step += 1;
        for period in 0..PERIODS.len() {
            let (first, last) = window(period);
            for unit in 0..BAC_NINH.len() {
                let there = self.ends.get(&unit).is_none_or(|(end, _)| *end > last);
                let opens = !self.known.contains_key(&(unit, period));
                if there && opens && start_of(first) <= self.now {
                    // An extension that is in force already begins the second generation.
                    let due = Some(end_of(self.after(last, 3)));
                    let opened = Known { due, generation: 1, ..Known::default() };
                    self.known.insert((unit, period), opened);
                    self.measure((unit, period));
                }
            }
        }
        let told = self.events.len() - self.held_back.min(self.events.len());
        for index in 0..told {
            let (key, report) = self.events[index];
            self.learn(key, report);
        }
        self.derive();
    }

    fn derive(&mut self) {
        for key in self.known.keys().copied().collect::<Vec<_>>() {
            let closed = self.closed(key).is_some_and(|closed| closed <= self.now);
            if self.known[&key].report.received.is_none() && !closed {
                self.measure(key);
            }
        }
    }

    /// What has to be told of an obligation by now: the rung.
    fn task(&self, key: Key) -> Option<&'static str> {
        let known = &self.known[&key];
        let by = |time: DateTime<Utc>| {
            time <= self.now && self.closed(key).is_none_or(|closed| time < closed)
        };
        if self.waived(key) {
            return None;
        }
        let due = known.due.unwrap();
        match known.report.received {
            None => (known.told != Some(known.generation) && by(due)).then_some("due"),
            Some(received) => {
                let accused = known.told.is_some() && known.retracted != known.told;
                if received < due && accused {
                    return by(received).then_some("retracted");
                }
                let again = known.report.return_due.filter(|due| known.return_told != Some(*due));
                again.filter(|due| by(*due)).map(|_| "return-due")
            }
        }
    }

    /// A sweep looks, asks about what is due, and tells what still is, until nothing is left.
    fn sweep(&mut self) {
        self.look();
        loop {
            let due: Vec<_> =
                self.known.keys().copied().filter(|key| self.task(*key).is_some()).collect();
            for key in &due {
                let asked = self.reports.get(key).copied().unwrap_or_default();
                if asked.received.is_some() {
                    self.learn(*key, asked);
                }
            }
            self.derive();
            let mut told = false;
            for key in due {
                let Some(rung) = self.task(key) else { continue };
                // Nothing is told against the word of who has the reports.
                let held = self.reports.get(&key).is_some_and(|report| report.received.is_some());
                if held == (rung == "due") {
                    continue;
                }
                told = true;
                *self.notices.entry((key, rung)).or_default() += 1;
                let known = self.known.get_mut(&key).unwrap();
                match rung {
                    "due" => known.told = Some(known.generation),
                    "retracted" => known.retracted = known.told,
                    _ => known.return_told = known.report.return_due,
                }
            }
            if !told {
                return;
            }
        }
    }

    fn standing(&self, key: Key) -> Standing {
        let (known, now) = (&self.known[&key], self.now);
        let due = known.due.unwrap();
        if self.closed(key).is_some_and(|closed| closed <= now) {
            return Standing::Closed;
        }
        if self.waived(key) {
            return Standing::Waived;
        }
        match known.report.received {
            Some(_) if known.report.return_due.is_some() => Standing::Returned,
            Some(received) if received < due => Standing::OnTime,
            Some(_) => Standing::Late,
            None if due <= now => Standing::Missing,
            None if due <= end_of(self.after((now + TimeDelta::hours(7)).date_naive(), 3)) => {
                Standing::DueSoon
            }
            None => Standing::Open,
        }
    }
}

/// The service, and the model beside it.
struct History {
    scene: Scene,
    model: Model,
}

impl History {
    async fn begin() -> Self {
        let scene = start(Engine::Sqlite, time(START)).await;
        scene.create(regime()).await;
        let mut model = Model { now: time(START), ..Model::default() };
        // A regime that is put in force is opened.
        model.look();
        Self { scene, model }
    }

    fn unit(at: usize) -> UnitId {
        commune(BAC_NINH[at].0)
    }

    fn name((unit, period): Key) -> String {
        format!("{}/obligations/cds-24~{}", Self::unit(unit), PERIODS[period])
    }

    fn go_to(&mut self, time: DateTime<Utc>) {
        if time > self.model.now {
            self.model.now = time;
            self.scene.testing.clock.set(time);
        }
    }

    /// Something happens to a report at submission.
    fn report(&mut self, key: Key, change: impl FnOnce(&mut Report)) {
        let report = self.model.reports.entry(key).or_default();
        report.version += 1;
        change(report);
        let report = *report;
        self.model.events.push((key, report));
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Wait(hours) => self.go_to(self.model.now + TimeDelta::hours(hours.into())),
            Act::WaitForDue { period, before } => {
                let due = self.model.known.get(&(0, period)).and_then(|known| known.due);
                let microsecond = TimeDelta::microseconds(i64::from(before));
                if let Some(due) = due {
                    self.go_to(due - microsecond);
                }
            }
            Act::Submit { unit, period, hours_ago } => self.submit((unit, period), hours_ago),
            Act::Withdraw { unit, period } => {
                let key = (unit, period);
                if self.model.reports.get(&key).is_some_and(|report| report.received.is_some()) {
                    self.report(key, |report| {
                        report.received = None;
                        report.return_due = None;
                    });
                    let (unit, period) = (Self::unit(unit), PERIODS[period]);
                    self.scene.world.lock().withdraw(unit, period, self.model.now);
                }
            }
            Act::Return { unit, period, days } => {
                let key = (unit, period);
                let there = self.model.reports.get(&key).copied().unwrap_or_default();
                if there.received.is_some() && there.return_due.is_none() {
                    let now = self.model.now;
                    let today = (now + TimeDelta::hours(7)).date_naive();
                    let due = end_of(today + TimeDelta::days(days.into()));
                    self.report(key, |report| report.return_due = Some(due));
                    let (unit, period) = (Self::unit(unit), PERIODS[period]);
                    self.scene.world.lock().give_back(unit, period, now, due);
                }
            }
            Act::Accept { unit, period } => {
                let there = self.model.reports.get_mut(&(unit, period));
                let there = there.filter(|it| it.received.is_some() && it.return_due.is_none());
                if let Some(report) = there {
                    report.version += 1;
                    // Nobody learns anything of it that they did not know.
                    self.model.events.push(((unit, period), Report::default()));
                    let (unit, period) = (Self::unit(unit), PERIODS[period]);
                    self.scene.world.lock().accept(unit, period, 1, self.model.now);
                }
            }
            Act::HoldBack(count) => {
                self.model.held_back = count.into();
                self.scene.world.lock().held_back = count.into();
            }
            Act::Repeat(by) => {
                // From anywhere in the middle, so that what is old comes after what is new.
                let by = by % self.model.events.len().max(1);
                let mut again = self.model.events.clone();
                again.rotate_left(by);
                self.model.events.extend(again);
                self.scene.world.lock().repeat(|said| said.rotate_left(by));
            }
            Act::Waive { unit, period } => self.decide(unit, period, None).await,
            Act::Extend { unit, period, working_days } => {
                self.decide(unit, period, Some(working_days)).await;
            }
            Act::Revoke(at) => self.revoke(at).await,
            Act::Amend { day, off } => self.amend(day, off).await,
            Act::End { unit, days, successor } => self.end(unit, days, successor),
            Act::Sweep => self.sweep(1).await,
            Act::Sweeps(count) => self.sweep(count).await,
            Act::Crash(steps) => {
                let mut operator = self.scene.operator();
                let sweep = operator.run_sweep(pb::RunSweepRequest::default());
                after_steps(steps, sweep).await;
                self.sweep(1).await;
            }
        }
    }

    fn submit(&mut self, key: Key, hours_ago: u8) {
        let ended = self.model.ends.get(&key.0).is_some_and(|(end, _)| *end <= cut_off(key.1));
        let received = self.model.now - TimeDelta::hours(hours_ago.into());
        let (first, _) = window(key.1);
        if ended || received < start_of(first) {
            return;
        }
        let there = self.model.reports.get(&key).copied().unwrap_or_default();
        if there.received.is_some() && there.return_due.is_none() {
            return;
        }
        self.report(key, |report| {
            report.received = report.received.or(Some(received));
            report.return_due = None;
        });
        let (unit, period) = (Self::unit(key.0), PERIODS[key.1]);
        self.scene.world.lock().submit(unit, period, received);
    }

    async fn decide(&mut self, unit: Option<usize>, period: usize, working_days: Option<u8>) {
        use pb::decision::Outcome;
        use pb::extension::Until;
        self.model.look();
        let outcome = match working_days {
            None => Outcome::Waiver(pb::Waiver {}),
            Some(days) => {
                let until = Some(Until::WorkingDays(days.into()));
                Outcome::Extension(pb::Extension { until })
            }
        };
        let decision = pb::Decision {
            scope: unit.map_or_else(bac_ninh, Self::unit).to_string(),
            subtree: unit.is_none(),
            regime: REGIME.to_owned(),
            period: PERIODS[period].to_owned(),
            outcome: Some(outcome),
            document: "15/QĐ-UBND".to_owned(),
            reason: "Bão".to_owned(),
            ..pb::Decision::default()
        };
        let request = pb::CreateDecisionRequest { decision: Some(decision), ..Default::default() };
        let answer = self.scene.decisions(&["supervisor"]).create_decision(request).await;
        // What is not opened yet may be decided on before.
        if let Some(unit) = unit.filter(|unit| self.model.known.contains_key(&(*unit, period))) {
            let expected = self.concerns((unit, period), working_days);
            assert_eq!(answer.is_ok(), expected, "{answer:?}");
        }
        if let Ok(answer) = answer {
            let step = self.model.step;
            let name = answer.into_inner().name;
            let (made, revoked) = (self.model.now, None);
            self.model.decisions.push(Decision {
                name,
                unit,
                period,
                working_days,
                step,
                made,
                revoked,
            });
            self.model.derive();
            // Nobody can tell whether a report of the very same instant came before it or after.
            self.go_to(self.model.now + TimeDelta::microseconds(1));
        }
    }

    /// Whether a decision on one unit would change anything.
    fn concerns(&self, key: Key, working_days: Option<u8>) -> bool {
        let model = &self.model;
        let Some(known) = model.known.get(&key) else { return false };
        let closed = model.closed(key).is_some_and(|closed| closed <= model.now);
        if closed || model.waived(key) || known.report.received.is_some() {
            return false;
        }
        let Some(days) = working_days else { return true };
        let until = end_of(model.after(model.after(cut_off(key.1), 3), days));
        Some(until) > known.due && until > model.now
    }

    async fn revoke(&mut self, at: usize) {
        if self.model.decisions.iter().all(|one| one.revoked.is_some()) {
            return;
        }
        self.model.look();
        let now = self.model.now;
        let keys: Vec<_> = self.model.known.keys().copied().collect();
        let excused: Vec<_> = keys.into_iter().filter(|key| self.model.waived(*key)).collect();
        let decisions = self.model.decisions.iter_mut();
        let in_force: Vec<_> = decisions.filter(|one| one.revoked.is_none()).collect();
        let at = at % in_force.len();
        let decision = in_force.into_iter().nth(at).unwrap();
        decision.revoked = Some(now);
        let request = pb::RevokeDecisionRequest {
            name: decision.name.clone(),
            document: "16/QĐ-UBND".to_owned(),
            reason: "Hết bão".to_owned(),
            ..Default::default()
        };
        self.scene.decisions(&["supervisor"]).revoke_decision(request).await.unwrap();
        self.model.owed_again(&excused);
        self.model.derive();
    }

    async fn amend(&mut self, at: u8, off: bool) {
        use pb::calendar_day::Kind;
        self.model.look();
        let date = day("2026-05-15") + TimeDelta::days(at.into());
        let weekday = !matches!(date.weekday(), Weekday::Sat | Weekday::Sun);
        let kind = if off { Kind::InLieu } else { Kind::Ordinary };
        let request = pb::AmendCalendarRequest {
            name: "calendars/vn".to_owned(),
            days: vec![pb::CalendarDay {
                date: Some(pb_date(date)),
                kind: kind.into(),
                display_name: "Nghỉ bão".to_owned(),
                ..Default::default()
            }],
            legal_basis: "Công điện số 1".to_owned(),
            reason: "Bão".to_owned(),
            ..Default::default()
        };
        match self.scene.calendars(&["operator"]).amend_calendar(request).await {
            Ok(_) => {}
            Err(refused) => assert_eq!(refusal(&refused).1, "WITHOUT_EFFECT"),
        }
        self.model.amended.insert(date, weekday && !off);
        self.model.derive();
    }

    fn end(&mut self, unit: usize, days: i8, successor: Option<usize>) {
        let today = (self.model.now + TimeDelta::hours(7)).date_naive();
        let end = today + TimeDelta::days(days.into());
        // A unit ends once; one that others became goes on, and so does the last.
        let is_used = self.model.ends.contains_key(&unit);
        let successor = successor.filter(|to| *to != unit && !self.model.ends.contains_key(to));
        let needed = unit == 0 || successor == Some(unit);
        if is_used || needed || end <= day("2026-04-01") {
            return;
        }
        // Only the first goes on for certain, so it is the one that others become.
        let successor = successor.map(|_| 0);
        let to = successor.map(Self::unit);
        self.scene.world.lock().become_of(Self::unit(unit), end, to);
        self.model.ends.insert(unit, (end, successor.is_some()));
    }

    async fn sweep(&mut self, at_once: u8) {
        loop {
            let sweeps = (0..at_once).map(|_| self.scene.sweep());
            let notices: i32 = join_all(sweeps).await.iter().map(|sweep| sweep.notice_count).sum();
            if notices == 0 {
                break;
            }
        }
        self.model.sweep();
        self.compare().await;
    }

    /// Both say the same.
    async fn compare(&self) {
        let request = pb::ListObligationsRequest {
            regime: REGIME.to_owned(),
            page_size: 1000,
            ..Default::default()
        };
        let said: BTreeMap<_, _> = self
            .scene
            .list(request)
            .await
            .into_iter()
            .filter(|owed| PERIODS.contains(&owed.period.as_str()))
            .map(|owed| (owed.name.clone(), (owed.standing(), owed.due_time, owed.due_generation)))
            .collect();
        let meant: BTreeMap<_, _> = self
            .model
            .known
            .iter()
            .map(|(key, known)| {
                let due = known.due.map(pb_time);
                (Self::name(*key), (self.model.standing(*key), due, known.generation))
            })
            .collect();
        assert_eq!(differing(&said, &meant), [], "as of {}", self.model.now);
        let mut told: BTreeMap<_, usize> = BTreeMap::new();
        for notice in self.scene.told(department()).await {
            if !PERIODS.contains(&notice.period.as_str()) {
                continue;
            }
            for subject in notice.subjects {
                *told.entry((subject, notice.rung.clone())).or_default() += 1;
            }
        }
        let meant: BTreeMap<_, _> = self
            .model
            .notices
            .iter()
            .map(|((key, rung), count)| ((Self::name(*key), (*rung).to_owned()), *count))
            .collect();
        assert_eq!(differing(&told, &meant), [], "told as of {}", self.model.now);
    }
}

/// Of each key what is said and what is meant, where that is not the same.
fn differing<K: Clone + Ord, V: Clone + PartialEq>(
    said: &BTreeMap<K, V>,
    meant: &BTreeMap<K, V>,
) -> Vec<(K, Option<V>, Option<V>)> {
    let keys: BTreeSet<_> = said.keys().chain(meant.keys()).collect();
    let each =
        keys.into_iter().map(|key| (key.clone(), said.get(key).cloned(), meant.get(key).cloned()));
    each.filter(|(_, said, meant)| said != meant).collect()
}

/// Polls so many times, and drops what is not done by then.
async fn after_steps<T>(steps: u16, doing: impl Future<Output = T>) {
    let mut doing = Box::pin(doing);
    let mut left = steps;
    std::future::poll_fn(|context| {
        left = left.saturating_sub(1);
        match doing.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending if left == 0 => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
}

fn histories(share: u32) {
    let wanted = std::env::var("DUNGHAN_HISTORIES").ok().and_then(|count| count.parse().ok());
    let cases = wanted.unwrap_or(1000_u32).div_ceil(SHARES);
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
    let seed = [u8::try_from(share).unwrap(); 32];
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let acts = prop::collection::vec(act(), 1..40);
    let outcome = runner.run(&acts, |acts| {
        runtime.block_on(async {
            let mut history = History::begin().await;
            for act in acts {
                history.act(act).await;
            }
            history.sweep(1).await;
            // A share is thousands of services, one after the other.
            history.scene.testing.stop().await;
        });
        Ok(())
    });
    if let Err(failed) = outcome {
        panic!("{failed}");
    }
}

/// The histories are shared out, so that tests run side by side.
const SHARES: u32 = 8;

macro_rules! shares {
    ($($name:ident $share:literal)*) => {
        $(
            #[test]
            fn $name() {
                histories($share);
            }
        )*
    };
}

shares! {
    any_history_leads_where_the_rules_say_first_share 1
    any_history_leads_where_the_rules_say_second_share 2
    any_history_leads_where_the_rules_say_third_share 3
    any_history_leads_where_the_rules_say_fourth_share 4
    any_history_leads_where_the_rules_say_fifth_share 5
    any_history_leads_where_the_rules_say_sixth_share 6
    any_history_leads_where_the_rules_say_seventh_share 7
    any_history_leads_where_the_rules_say_eighth_share 8
}
