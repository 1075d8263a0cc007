//! Processes come and go, and the database dies, while a client works at an even rate: nothing that was acknowledged is
//! lost, and every standing, notice and total is as if nothing had happened.

mod client;
mod outcome;
mod soak;
mod stage;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use dunghan_proto::compliance as pb;
use dunghan_testkit::{Engine, Mode, Testing, eventually};
use tokio::time::sleep;

use self::client::{Client, PATIENCE, Record};
use self::outcome::{Outcome, by_name, told};
use self::stage::{Blow, Stage, What, each};
use crate::setting::Setting;
use crate::world::{
    self, PERIOD, department, import, import_all, put_in_force, row, start_over, time,
};

const COMMUNES: usize = 30;
const REGIMES: usize = 3;
/// How many calls are answered from one thing that happens to the next. Of five turns of the client each service gets one.
const ANSWERS: usize = 50;
/// How long the database is away: long enough that all there is gives up waiting for it.
const OUTAGE: Duration = Duration::from_secs(10);
/// Away again: shortly.
const SHORT_OUTAGE: Duration = Duration::from_secs(2);
/// How long anything may take that happens by itself.
const SOON: Duration = Duration::from_secs(60);

/// When the first reports are handed in.
fn before() -> DateTime<Utc> {
    time("2026-05-18 09:00:00")
}

/// When reports are due, and every second batch of dossiers.
fn after() -> DateTime<Utc> {
    time("2026-05-21 00:00:00")
}

fn commune(number: usize) -> String {
    format!("{:05}", 10_000 + number)
}

fn regime(number: usize) -> String {
    format!("regimes/r{number}")
}

/// What is owed under a regime: the first is monthly, each other asks once for more; all are due on the same day.
fn period(regime: usize) -> String {
    match regime {
        0 => PERIOD.to_owned(),
        months => format!("2026-0{months}-15--2026-05-14"),
    }
}

/// A write that the client has in mind. The same can be done in another run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Write {
    /// Of a commune under a regime, by their numbers.
    Report { commune: usize, regime: usize },
    /// Some new ones of a commune.
    Dossiers { commune: usize, batch: usize },
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Units and regimes, and nothing else yet.
async fn set_up(testing: &Testing, communes: usize) {
    let communes: Vec<_> = (0..communes).map(commune).collect();
    let communes = communes.iter().map(|code| row(code, "24"));
    import_all(testing).await;
    let imported = import(testing, communes.collect()).await.unwrap();
    assert_eq!(imported.problems, []);
    for number in 0..REGIMES {
        let monthly = pb::Regime { name: regime(number), ..world::regime() };
        let regime = match number {
            0 => monthly,
            _ => pb::Regime {
                frequency: pb::Frequency::Once.into(),
                once_period: period(number),
                ..monthly
            },
        };
        put_in_force(testing, regime).await.unwrap();
    }
}

/// What happens in a run, act by act: some hand in their reports before it is due; what is due is told; some hand in late;
/// and some never do.
#[derive(Debug)]
struct Story {
    communes: usize,
    early: Vec<Vec<Blow>>,
    due: Vec<Blow>,
    late: Vec<Vec<Blow>>,
}

impl Story {
    /// The same in each of three acts.
    fn of(blows: Vec<Blow>) -> Self {
        Self {
            communes: COMMUNES,
            early: vec![blows.clone()],
            due: blows.clone(),
            late: vec![blows],
        }
    }

    /// The reports that are handed in by `part` of three.
    fn reports(&self, part: usize) -> Vec<Write> {
        let communes = 0..self.communes;
        let pairs = communes.flat_map(|commune| (0..REGIMES).map(move |of| (commune, of)));
        let mine = pairs.filter(|(commune, of)| (commune + of) % 3 == part);
        mine.map(|(commune, regime)| Write::Report { commune, regime }).collect()
    }

    /// Panics where something differs from a run without any blow.
    async fn play(&self) -> Record {
        let mut blows = self.early.iter().chain(&self.late).flatten().chain(&self.due);
        let outages = blows.any(|blow| matches!(blow.what, What::Outage(_)));
        let stage = Stage::new(self.communes, outages).await;
        let clock = stage.testing.clock.clone();
        let client = Client::of(&stage.testing, self.communes);
        let seen = Arc::default();
        let watching = tokio::spawn(watch(client.clone(), Arc::clone(&seen)));

        let stage = acts(&client, stage, &self.early, &self.reports(0)).await;
        let due_after = client.ledger().acknowledged.len();
        clock.set(after());
        let (stage, ()) = tokio::join!(act(&client, stage, &self.due, &[]), client.sweep());
        let stage = acts(&client, stage, &self.late, &self.reports(1)).await;
        client.sweep().await;

        // The ledger closes: what follows is read without any patience.
        let (record, acknowledged, reports) = {
            let ledger = &mut *client.ledger();
            let acknowledged = std::mem::take(&mut ledger.acknowledged);
            (ledger.record.clone(), acknowledged, std::mem::take(&mut ledger.reports))
        };
        eprintln!("{record}");

        // Every report that was acknowledged is there as it was answered.
        let reports = by_name(reports);
        assert_eq!(reports.len(), self.reports(0).len() + self.reports(1).len(), "{record}");
        assert_eq!(outcome::reports(&client).await, reports, "{record}");

        let outcome = Outcome::of(&client).await;
        let told = told(&client, &department()).await;
        eventually(SOON, async || (lock(&seen).len() >= told.len()).then_some(())).await;
        watching.abort();
        let seen = std::mem::take(&mut *lock(&seen));
        assert_eq!(seen.len(), told.len(), "seen more than once: {seen:?}");
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), told);
        drop(stage);

        let (before_due, after_due) = acknowledged.split_at(due_after);
        outcome.must_be(&self.undisturbed(before_due, after_due).await);
        record
    }

    /// The same story, without anything that disturbs it.
    async fn undisturbed(&self, before_due: &[Write], after_due: &[Write]) -> Outcome {
        let setting = Setting { mode: Mode::Together, engine: Engine::Sqlite };
        let testing = start_over(setting, setting.place().await, before()).await;
        set_up(&testing, self.communes).await;
        let client = Client::of(&testing, self.communes);
        client.write_all(before_due).await;
        testing.clock.set(after());
        client.sweep().await;
        client.write_all(after_due).await;
        client.sweep().await;
        Outcome::of(&client).await
    }
}

/// Acts one after the other, the reports shared out among them.
async fn acts(client: &Client, mut stage: Stage, acts: &[Vec<Blow>], reports: &[Write]) -> Stage {
    let share = reports.len().div_ceil(acts.len());
    for (blows, reports) in acts.iter().zip(reports.chunks(share)) {
        stage = act(client, stage, blows, reports).await;
    }
    stage
}

/// Has the client work while all this happens, and until these reports are handed in. Where nothing worse happens than that
/// processes are replaced, it sees no error.
async fn act(client: &Client, stage: Stage, blows: &[Blow], reports: &[Write]) -> Stage {
    let before = client.ledger().errors.len();
    let stage = client.work(stage.disturb(blows, client), reports).await;
    let gentle = blows.iter().all(|blow| matches!(blow.what, What::Replace(_)));
    let ledger = client.ledger();
    let errors = &ledger.errors[before..];
    assert!(!gentle || errors.is_empty(), "{}: {errors:#?}", ledger.record);
    drop(ledger);
    stage
}

/// Follows the department's notices through every interruption, and gives their names as they come.
async fn watch(client: Client, seen: Arc<Mutex<Vec<String>>>) {
    let mut resume_token = String::new();
    loop {
        let request =
            pb::WatchNoticesRequest { parent: department(), resume_token: resume_token.clone() };
        if let Ok(watching) = client.notices().watch_notices(request).await {
            let mut watching = watching.into_inner();
            while let Ok(Some(message)) = watching.message().await {
                resume_token = message.resume_token;
                let name = message.notice.unwrap().name;
                lock(&seen).push(name);
            }
        }
        sleep(PATIENCE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_of_every_process_is_noticed_by_nobody() {
    let record = Story::of(each(What::Replace, ANSWERS)).play().await;
    assert_eq!(record.errors, 0, "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_leaves_everything_as_it_was() {
    Story::of(each(What::Kill, ANSWERS)).play().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_away_leaves_everything_as_it_was() {
    let outage = |time| vec![Blow { what: What::Outage(time), answers: ANSWERS }];
    let story = Story { early: vec![outage(OUTAGE)], ..Story::of(outage(SHORT_OUTAGE)) };
    story.play().await;
}
