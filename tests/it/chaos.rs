//! Processes come and go, and the database dies, while a client works at an even rate: nothing that was acknowledged is
//! lost, and every standing, notice and total is as if nothing had happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Utc};
use dunghan_proto::aggregation::aggregation_service_client::AggregationServiceClient;
use dunghan_proto::aggregation::{GetRollUpRequest, RollUp};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::compliance::dossier_service_client::DossierServiceClient;
use dunghan_proto::compliance::notice_service_client::NoticeServiceClient;
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_proto::submission::value::Figure;
use dunghan_proto::{registry, submission};
use dunghan_rpc::{Peer, field};
use dunghan_testkit::{Engine, Mode, Place, Postgres, Testing, eventually};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::roll_up::INDICATOR;
use crate::setting::Setting;
use crate::suite;
use crate::world::{
    self, PERIOD, department, dossier, dossier_stream, import, import_all, put_in_force, row,
    start_over, time, unit,
};

/// A hundred calls a second, and so many at a time: a slow machine gets fewer, and is not buried under them.
const BETWEEN_CALLS: Duration = Duration::from_millis(10);
const AT_A_TIME: usize = 32;
/// How long whoever was refused for the moment waits before they try again.
const PATIENCE: Duration = Duration::from_millis(200);
/// Of lists that are read to the end.
const PAGE: i32 = 1000;

const COMMUNES: usize = 60;
const REGIMES: usize = 3;
const DOSSIERS_IN_A_BATCH: usize = 3;
/// How long the database is away.
const OUTAGE: Duration = Duration::from_secs(10);
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

/// A write that the client has in mind. The same can be done in another run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Write {
    /// Of a commune under a regime, by their numbers.
    Report { commune: usize, regime: usize },
    /// Some new ones of a commune.
    Dossiers { commune: usize, batch: usize },
}

/// Calls to the suite, and what became of them.
#[derive(Clone)]
struct Client {
    peer: Peer,
    ledger: Arc<Mutex<Ledger>>,
}

#[derive(Debug, Default)]
struct Ledger {
    acknowledged: Vec<Write>,
    /// The reports that were acknowledged as submitted.
    reports: Vec<submission::Report>,
    /// What the client was told instead of an answer.
    errors: Vec<(&'static str, Status)>,
    turns: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    fn of(testing: &Testing) -> Self {
        let peer = testing.remote(&["operator", "importer", "reporter"]);
        Self { peer, ledger: Arc::default() }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// A number for each call that is begun.
    fn next_turn(&self) -> usize {
        let mut ledger = self.ledger();
        ledger.turns += 1;
        ledger.turns
    }

    fn compliance(&self) -> ComplianceServiceClient<Peer> {
        ComplianceServiceClient::new(self.peer.clone())
    }

    fn submission(&self) -> SubmissionServiceClient<Peer> {
        SubmissionServiceClient::new(self.peer.clone())
    }

    fn dossier_service(&self) -> DossierServiceClient<Peer> {
        DossierServiceClient::new(self.peer.clone())
    }

    fn notices(&self) -> NoticeServiceClient<Peer> {
        NoticeServiceClient::new(self.peer.clone())
    }

    fn aggregation(&self) -> AggregationServiceClient<Peer> {
        AggregationServiceClient::new(self.peer.clone())
    }

    /// Notes what became of a call. An error that time does not heal ends the test.
    fn note<T>(&self, what: &'static str, answer: Result<T, Status>) -> Option<T> {
        let mut ledger = self.ledger();
        match answer {
            Ok(answer) => Some(answer),
            Err(status) => {
                let passing = [Code::Unavailable, Code::DeadlineExceeded];
                assert!(passing.contains(&status.code()), "{what}: {status:?}");
                ledger.errors.push((what, status));
                None
            }
        }
    }

    /// Calls until it is answered.
    async fn insist<T>(
        &self,
        what: &'static str,
        mut call: impl AsyncFnMut() -> Result<T, Status>,
    ) -> T {
        loop {
            let answer = call().await;
            if let Some(answer) = self.note(what, answer) {
                return answer;
            }
            sleep(PATIENCE).await;
        }
    }

    async fn write(&self, write: Write) {
        match write {
            Write::Report { commune, regime } => self.report(commune, regime).await,
            Write::Dossiers { commune, batch } => self.dossiers(commune, batch).await,
        }
        self.ledger().acknowledged.push(write);
    }

    async fn report(&self, number: usize, of: usize) {
        let report = submission::Report {
            regime: regime(of),
            ..world::report(INDICATOR, Figure::Count(i64::try_from(number).unwrap()))
        };
        let create = submission::CreateReportRequest {
            parent: unit(&commune(number)),
            report: Some(report),
            request_id: Uuid::new_v4().to_string(),
        };
        let created = self.insist("CreateReport", async || {
            Ok(self.submission().create_report(create.clone()).await?.into_inner())
        });
        let submit = submission::SubmitReportRequest {
            name: created.await.name,
            request_id: Uuid::new_v4().to_string(),
            ..Default::default()
        };
        let submitted = self.insist("SubmitReport", async || {
            Ok(self.submission().submit_report(submit.clone()).await?.into_inner())
        });
        // Lists leave the text out.
        let submitted = submission::Report { narrative: String::new(), ..submitted.await };
        self.ledger().reports.push(submitted);
    }

    async fn dossiers(&self, number: usize, batch: usize) {
        // In three working days.
        let received = match batch % 2 {
            0 => time("2026-05-15 08:00:00"),
            _ => time("2026-05-18 08:00:00"),
        };
        let first = batch * DOSSIERS_IN_A_BATCH;
        let numbers = first..first + DOSSIERS_IN_A_BATCH;
        let rows: Vec<_> = numbers.map(|one| dossier(&format!("H{one}"), received)).collect();
        let messages = dossier_stream(&commune(number), rows.len(), rows);
        let answer = self.insist("RecordDossiers", async || {
            let mut client = self.dossier_service();
            let messages = tokio_stream::iter(messages.clone());
            Ok(client.record_dossiers(messages).await?.into_inner())
        });
        assert_eq!(answer.await.problems, []);
    }

    /// One of the reads, in turn.
    async fn read(&self, turn: usize) {
        let commune = unit(&commune(turn % COMMUNES));
        let of = regime(turn % REGIMES);
        match turn % 4 {
            0 => {
                let answer = self.compliance().get_reporting_rate(rate(&of)).await;
                self.note("GetReportingRate", answer);
            }
            1 => {
                let request = pb::ListObligationsRequest { scope: commune, ..Default::default() };
                let answer = self.compliance().list_obligations(request).await;
                self.note("ListObligations", answer);
            }
            2 => {
                let answer = self.aggregation().get_roll_up(roll_up(&of)).await;
                self.note("GetRollUp", answer);
            }
            _ => {
                let request = registry::GetUnitRequest { name: commune, as_of_date: None };
                let mut client = RegistryServiceClient::new(self.peer.clone());
                let answer = client.get_unit(request).await;
                self.note("GetUnit", answer);
            }
        }
    }

    /// The names of the notices that a unit was sent.
    async fn told(&self, unit: &str) -> BTreeSet<String> {
        let request = pb::ListNoticesRequest {
            parent: unit.to_owned(),
            page_size: PAGE,
            ..Default::default()
        };
        let page = self.notices().list_notices(request).await.unwrap().into_inner();
        page.notices.into_iter().map(|notice| notice.name).collect()
    }

    /// Sweeps until there is nothing more to tell.
    async fn sweep(&self) {
        let mut left = true;
        while left {
            let swept = self.insist("RunSweep", async || {
                Ok(self.compliance().run_sweep(pb::RunSweepRequest {}).await?.into_inner())
            });
            let swept = swept.await;
            left = swept.notice_count > 0 || swept.unverified_count > 0;
        }
    }
}

fn rate(regime: &str) -> pb::GetReportingRateRequest {
    pb::GetReportingRateRequest {
        scope: unit("24"),
        regime: regime.to_owned(),
        period: PERIOD.to_owned(),
        read_time: None,
    }
}

fn roll_up(regime: &str) -> GetRollUpRequest {
    GetRollUpRequest {
        scope: unit("24"),
        regime: regime.to_owned(),
        period: PERIOD.to_owned(),
        indicator: INDICATOR.to_owned(),
        category: String::new(),
    }
}

/// What everybody can see in the end, without the names that chance gives.
#[derive(Debug)]
struct Outcome {
    obligations: Vec<pb::Obligation>,
    dossiers: Vec<pb::Dossier>,
    /// The notices of missing reports, by their subjects.
    missing: BTreeMap<Vec<String>, pb::Notice>,
    /// How often whom was told of which dossier; how many notices it took is up to chance.
    overdue: BTreeMap<(String, String), usize>,
    rates: Vec<pb::ReportingRate>,
    roll_ups: Vec<RollUp>,
}

/// All pages of a list.
async fn all<T>(mut page: impl AsyncFnMut(String) -> (Vec<T>, String)) -> Vec<T> {
    let (mut all, mut token) = page(String::new()).await;
    while !token.is_empty() {
        let (more, next) = page(token).await;
        all.extend(more);
        token = next;
    }
    all
}

impl Outcome {
    async fn of(client: &Client) -> Self {
        let obligations = all(async |page_token| {
            let request =
                pb::ListObligationsRequest { page_size: PAGE, page_token, ..Default::default() };
            let page = client.compliance().list_obligations(request).await.unwrap().into_inner();
            (page.obligations, page.next_page_token)
        });
        let mut obligations = obligations.await;
        obligations.iter_mut().for_each(|one| one.report.clear());
        let notices = all(async |page_token| {
            let request =
                pb::ListNoticesRequest { page_size: PAGE, page_token, ..Default::default() };
            let page = client.notices().list_notices(request).await.unwrap().into_inner();
            (page.notices, page.next_page_token)
        });
        let (mut missing, mut overdue) = (BTreeMap::new(), BTreeMap::new());
        for mut notice in notices.await {
            if notice.kind() == pb::notice::Kind::MissingReports {
                notice.name.clear();
                let again = missing.insert(notice.subjects.clone(), notice);
                assert_eq!(again, None, "told twice");
            } else {
                for subject in notice.subjects {
                    *overdue.entry((notice.recipient.clone(), subject)).or_default() += 1;
                }
            }
        }
        let (mut rates, mut roll_ups) = (Vec::new(), Vec::new());
        for of in (0..REGIMES).map(regime) {
            let answer = client.compliance().get_reporting_rate(rate(&of)).await;
            let mut rate = answer.unwrap().into_inner();
            rate.exceptions.iter_mut().for_each(|one| one.report.clear());
            rates.push(rate);
            let answer = client.aggregation().get_roll_up(roll_up(&of)).await;
            let mut sum = answer.unwrap().into_inner();
            sum.contributions.iter_mut().for_each(|one| one.report.clear());
            sum.contributions.sort_by(|a, b| a.unit.cmp(&b.unit));
            roll_ups.push(sum);
        }
        let dossiers = all(async |page_token| {
            let request = pb::ListOverdueDossiersRequest {
                scope: unit("24"),
                // By then every dossier is due.
                read_time: Some(field::pb_time(time("2100-01-01 00:00:00"))),
                page_size: PAGE,
                page_token,
            };
            let mut client = client.dossier_service();
            let page = client.list_overdue_dossiers(request).await.unwrap().into_inner();
            (page.dossiers, page.next_page_token)
        });
        let dossiers = dossiers.await;
        Self { obligations, dossiers, missing, overdue, rates, roll_ups }
    }

    fn must_be(&self, other: &Self) {
        must_be_alike(&self.obligations, &other.obligations);
        must_be_alike(&self.dossiers, &other.dossiers);
        assert_eq!(self.missing, other.missing);
        assert_eq!(self.overdue, other.overdue);
        must_be_alike(&self.rates, &other.rates);
        must_be_alike(&self.roll_ups, &other.roll_ups);
    }
}

/// Panics with the first pair that differs.
fn must_be_alike<T: PartialEq + std::fmt::Debug>(ours: &[T], theirs: &[T]) {
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
}

/// Units and regimes, and nothing else yet.
async fn set_up(testing: &Testing) {
    let communes: Vec<_> = (0..COMMUNES).map(commune).collect();
    let communes = communes.iter().map(|code| row(code, "24"));
    import_all(testing).await;
    let imported = import(testing, communes.collect()).await.unwrap();
    assert_eq!(imported.problems, []);
    for number in 0..REGIMES {
        let regime = pb::Regime { name: regime(number), ..world::regime() };
        put_in_force(testing, regime).await.unwrap();
    }
}

/// The reports that are handed in by `part` of three.
fn reports(part: usize) -> Vec<Write> {
    let pairs = (0..COMMUNES).flat_map(|commune| (0..REGIMES).map(move |of| (commune, of)));
    let mine = pairs.filter(|(commune, of)| (commune + of) % 3 == part);
    mine.map(|(commune, regime)| Write::Report { commune, regime }).collect()
}

/// What happens to the processes while a client works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disturbance {
    /// Each process is replaced as a cluster does it: the new one first.
    Rolling,
    /// Each process is killed, and then there is a new one.
    Kills,
    /// The database is killed, and is away for a while.
    Outage,
}

/// The suite, and the database where that can be taken away.
#[derive(Debug)]
struct Stage {
    testing: Testing,
    database: Option<Postgres>,
}

impl Stage {
    async fn new(disturbance: Disturbance) -> Self {
        let database = match disturbance {
            Disturbance::Outage => Some(spawn_blocking(Postgres::new).await.unwrap()),
            Disturbance::Rolling | Disturbance::Kills => None,
        };
        let place = match &database {
            Some(database) => Place::on(database).await,
            None => Place::new(Engine::Postgres).await,
        };
        let setting = Setting { mode: Mode::Apart, engine: Engine::Postgres };
        let testing = start_over(setting, place, before()).await;
        set_up(&testing).await;
        Self { testing, database }
    }

    /// Blocks until it is over.
    fn disturb(&mut self, disturbance: Disturbance) {
        let apart = self.testing.apart();
        match disturbance {
            Disturbance::Rolling => suite().names().into_iter().for_each(|service| {
                apart.add(&[service]);
                apart.terminate(service);
            }),
            Disturbance::Kills => suite().names().into_iter().for_each(|service| {
                apart.kill(service);
                apart.add(&[service]);
            }),
            Disturbance::Outage => {
                let database = self.database.as_mut().expect("a database of the test's own");
                database.kill();
                thread::sleep(OUTAGE);
                database.start();
            }
        }
    }
}

/// Has the client work at an even rate until the disturbance is over and these reports are handed in. Dossiers are
/// recorded and all kinds of things read on the way.
async fn act(
    client: &Client,
    mut stage: Stage,
    disturbance: Disturbance,
    reports: Vec<Write>,
) -> Stage {
    let mut disturbing = spawn_blocking(move || {
        stage.disturb(disturbance);
        stage
    });
    let mut over = None;
    let mut reports = reports.into_iter();
    let mut calls = FuturesUnordered::new();
    let mut tick = interval(BETWEEN_CALLS);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while over.is_none() || reports.len() > 0 {
        tokio::select! {
            stage = &mut disturbing, if over.is_none() => {
                over = Some(stage.unwrap());
                continue;
            }
            Some(()) = calls.next() => continue,
            _ = tick.tick(), if calls.len() < AT_A_TIME => {}
        }
        let turn = client.next_turn();
        let write = match turn % 10 {
            // Two calls.
            0 => reports.next(),
            2 | 5 | 7 => Some(Write::Dossiers { commune: turn % COMMUNES, batch: turn }),
            _ => None,
        };
        calls.push(async move {
            match write {
                Some(write) => client.write(write).await,
                None => client.read(turn).await,
            }
        });
    }
    while calls.next().await.is_some() {}
    over.expect("the end of the disturbance")
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

/// The same story, without anything that disturbs it.
async fn undisturbed(before_due: &[Write], after_due: &[Write]) -> Outcome {
    let setting = Setting { mode: Mode::Together, engine: Engine::Sqlite };
    let testing = start_over(setting, setting.place().await, before()).await;
    set_up(&testing).await;
    let client = Client::of(&testing);
    for write in before_due {
        client.write(*write).await;
    }
    testing.clock.set(after());
    client.sweep().await;
    for write in after_due {
        client.write(*write).await;
    }
    client.sweep().await;
    Outcome::of(&client).await
}

async fn story(disturbance: Disturbance) {
    let stage = Stage::new(disturbance).await;
    let clock = stage.testing.clock.clone();
    let client = Client::of(&stage.testing);
    let seen = Arc::default();
    let watching = tokio::spawn(watch(client.clone(), Arc::clone(&seen)));

    // Some hand in before it is due; what is due is told; some hand in late; and some never.
    let stage = act(&client, stage, disturbance, reports(0)).await;
    let due_after = client.ledger().acknowledged.len();
    clock.set(after());
    let (stage, ()) = tokio::join!(act(&client, stage, disturbance, Vec::new()), client.sweep());
    let stage = act(&client, stage, disturbance, reports(1)).await;
    client.sweep().await;

    // Every report that was acknowledged is there as it was answered.
    let there = all(async |page_token| {
        let request =
            submission::ListReportsRequest { page_size: PAGE, page_token, ..Default::default() };
        let page = client.submission().list_reports(request).await.unwrap().into_inner();
        (page.reports, page.next_page_token)
    });
    let by_name = |reports: Vec<submission::Report>| -> BTreeMap<_, _> {
        reports.into_iter().map(|report| (report.name.clone(), report)).collect()
    };
    let acknowledged = by_name(std::mem::take(&mut client.ledger().reports));
    assert_eq!(acknowledged.len(), reports(0).len() + reports(1).len());
    assert_eq!(by_name(there.await), acknowledged);

    let outcome = Outcome::of(&client).await;
    let told: BTreeSet<_> = client.told(&department()).await;
    eventually(SOON, async || (lock(&seen).len() >= told.len()).then_some(())).await;
    watching.abort();
    let seen = std::mem::take(&mut *lock(&seen));
    assert_eq!(seen.len(), told.len(), "seen more than once: {seen:?}");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), told);
    drop(stage);

    let (acknowledged, errors) = {
        let mut ledger = client.ledger();
        (std::mem::take(&mut ledger.acknowledged), std::mem::take(&mut ledger.errors))
    };
    if disturbance == Disturbance::Rolling {
        assert!(errors.is_empty(), "{errors:#?}");
    }
    let (before_due, after_due) = acknowledged.split_at(due_after);
    outcome.must_be(&undisturbed(before_due, after_due).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_of_every_process_is_noticed_by_nobody() {
    story(Disturbance::Rolling).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_leaves_everything_as_it_was() {
    story(Disturbance::Kills).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_away_leaves_everything_as_it_was() {
    story(Disturbance::Outage).await;
}
