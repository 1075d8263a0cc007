//! A client that works at an even rate, insists on what it writes, and keeps a record of what it was told.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use dunghan_proto::aggregation::aggregation_service_client::AggregationServiceClient;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::compliance::dossier_service_client::DossierServiceClient;
use dunghan_proto::compliance::notice_service_client::NoticeServiceClient;
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_proto::submission::value::Figure;
use dunghan_proto::{registry, submission};
use dunghan_rpc::Peer;
use dunghan_testkit::Testing;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tonic::{Code, Status};
use uuid::Uuid;

use super::outcome::{rate, roll_up};
use super::{Write, commune, lock, period, regime};
use crate::roll_up::INDICATOR;
use crate::world::{self, dossier, dossier_stream, time, unit};

/// A hundred calls a second, and so many waiting for an answer at a time: a slow machine gets fewer, and is not buried
/// under them.
const BETWEEN_CALLS: Duration = Duration::from_millis(10);
const AT_A_TIME: usize = 64;
/// How long whoever was refused for the moment waits before they try again.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);

const DOSSIERS_IN_A_BATCH: usize = 3;

/// Calls to the suite, and what became of them.
#[derive(Clone)]
pub(super) struct Client {
    peer: Peer,
    communes: usize,
    waiting: Arc<Semaphore>,
    ledger: Arc<Mutex<Ledger>>,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) acknowledged: Vec<Write>,
    /// The reports that were acknowledged as submitted.
    pub(super) reports: Vec<submission::Report>,
    /// What the client was told instead of an answer.
    pub(super) errors: Vec<(&'static str, Status)>,
    pub(super) record: Record,
    turns: usize,
}

/// What the client has done and seen, for whoever judges what a test has shown.
///
/// No test asserts how many calls a second there were: a slow machine makes fewer. Each disturbance lasts until enough of
/// them were answered instead, so that none passes unseen.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// Calls begun; one that is made again counts once.
    pub(super) calls: usize,
    pub(super) answered: usize,
    /// How often the client was told an error.
    pub(super) errors: usize,
    /// The longest time from the beginning of a call to its answer, with all that lay between.
    pub(super) longest: Option<(Duration, &'static str)>,
    /// Calls begun while something was done to the processes, and how long that took.
    pub(super) disturbed: usize,
    pub(super) disturbance: Duration,
}

impl Record {
    /// Calls a second while something was done to the processes.
    pub(super) fn rate(&self) -> f64 {
        f64::from(u32::try_from(self.disturbed).unwrap()) / self.disturbance.as_secs_f64()
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, answered, errors, disturbed, .. } = self;
        let (seconds, rate) = (self.disturbance.as_secs_f64(), self.rate());
        write!(f, "{calls} calls, {answered} of them answered, {errors} errors on the way; ")?;
        write!(f, "{disturbed} calls in {seconds:.1} s of disturbance, {rate:.0} a second")?;
        match self.longest {
            Some((time, what)) => write!(f, "; the longest took {time:.1?} ({what})"),
            None => Ok(()),
        }
    }
}

impl Client {
    pub(super) fn of(testing: &Testing, communes: usize) -> Self {
        let peer = testing.remote(&["operator", "importer", "reporter"]);
        let waiting = Arc::new(Semaphore::new(AT_A_TIME));
        Self { peer, communes, waiting, ledger: Arc::default() }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// A number for each turn that is begun.
    fn next_turn(&self) -> usize {
        let mut ledger = self.ledger();
        ledger.turns += 1;
        ledger.turns
    }

    pub(super) fn compliance(&self) -> ComplianceServiceClient<Peer> {
        ComplianceServiceClient::new(self.peer.clone())
    }

    pub(super) fn submission(&self) -> SubmissionServiceClient<Peer> {
        SubmissionServiceClient::new(self.peer.clone())
    }

    pub(super) fn dossier_service(&self) -> DossierServiceClient<Peer> {
        DossierServiceClient::new(self.peer.clone())
    }

    pub(super) fn notices(&self) -> NoticeServiceClient<Peer> {
        NoticeServiceClient::new(self.peer.clone())
    }

    pub(super) fn aggregation(&self) -> AggregationServiceClient<Peer> {
        AggregationServiceClient::new(self.peer.clone())
    }

    /// Makes a call once, or until it is answered. An error that time does not heal ends the test.
    async fn call<T>(
        &self,
        what: &'static str,
        until_answered: bool,
        mut call: impl AsyncFnMut() -> Result<T, Status>,
    ) -> Option<T> {
        self.ledger().record.calls += 1;
        let begun = Instant::now();
        let answer = loop {
            let place = self.waiting.acquire().await.unwrap();
            let answer = call().await;
            drop(place);
            let answer = self.note(what, answer);
            if answer.is_some() || !until_answered {
                break answer;
            }
            sleep(PATIENCE).await;
        };
        let record = &mut self.ledger().record;
        record.answered += usize::from(answer.is_some());
        record.longest = record.longest.max(Some((begun.elapsed(), what)));
        answer
    }

    fn note<T>(&self, what: &'static str, answer: Result<T, Status>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(status) => {
                let passing = [Code::Unavailable, Code::DeadlineExceeded];
                assert!(passing.contains(&status.code()), "{what}: {status:?}");
                let mut ledger = self.ledger();
                ledger.record.errors += 1;
                ledger.errors.push((what, status));
                None
            }
        }
    }

    async fn insist<T>(
        &self,
        what: &'static str,
        call: impl AsyncFnMut() -> Result<T, Status>,
    ) -> T {
        self.call(what, true, call).await.expect("an answer")
    }

    async fn once<T>(&self, what: &'static str, call: impl AsyncFnMut() -> Result<T, Status>) {
        self.call(what, false, call).await;
    }

    pub(super) async fn write(&self, write: Write) {
        match write {
            Write::Report { commune, regime } => self.report(commune, regime).await,
            Write::Dossiers { commune, batch } => self.dossiers(commune, &[batch]).await,
        }
        self.ledger().acknowledged.push(write);
    }

    /// Does all of it, the dossiers of a commune at once.
    pub(super) async fn write_all(&self, writes: &[Write]) {
        let mut dossiers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for write in writes {
            match *write {
                Write::Report { commune, regime } => self.report(commune, regime).await,
                Write::Dossiers { commune, batch } => {
                    dossiers.entry(commune).or_default().push(batch);
                }
            }
        }
        for (commune, batches) in dossiers {
            self.dossiers(commune, &batches).await;
        }
    }

    async fn report(&self, number: usize, of: usize) {
        let report = submission::Report {
            regime: regime(of),
            period: period(of),
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

    async fn dossiers(&self, number: usize, batches: &[usize]) {
        let rows = batches.iter().flat_map(|batch| {
            // In three working days.
            let received = match batch % 2 {
                0 => time("2026-05-15 08:00:00"),
                _ => time("2026-05-18 08:00:00"),
            };
            let first = batch * DOSSIERS_IN_A_BATCH;
            let numbers = first..first + DOSSIERS_IN_A_BATCH;
            numbers.map(move |one| dossier(&format!("H{one}"), received))
        });
        let rows: Vec<_> = rows.collect();
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
        let scope = unit(&commune(turn % self.communes));
        let of = turn % super::REGIMES;
        match turn % 5 {
            0 => {
                let request =
                    submission::ListReportsRequest { parent: scope, ..Default::default() };
                let list = async || self.submission().list_reports(request.clone()).await;
                self.once("ListReports", list).await;
            }
            1 => {
                let get = async || self.compliance().get_reporting_rate(rate(of)).await;
                self.once("GetReportingRate", get).await;
            }
            2 => {
                let get = async || self.aggregation().get_roll_up(roll_up(of)).await;
                self.once("GetRollUp", get).await;
            }
            3 => {
                let request = pb::ListObligationsRequest { scope, ..Default::default() };
                let list = async || self.compliance().list_obligations(request.clone()).await;
                self.once("ListObligations", list).await;
            }
            _ => {
                let request = registry::GetUnitRequest { name: scope, as_of_date: None };
                let get = async || {
                    RegistryServiceClient::new(self.peer.clone()).get_unit(request.clone()).await
                };
                self.once("GetUnit", get).await;
            }
        }
    }

    /// Sweeps until there is nothing more to tell.
    pub(super) async fn sweep(&self) {
        let mut left = true;
        while left {
            let swept = self.insist("RunSweep", async || {
                Ok(self.compliance().run_sweep(pb::RunSweepRequest::default()).await?.into_inner())
            });
            let swept = swept.await;
            left = swept.notice_count > 0 || swept.unverified_count > 0;
        }
    }

    /// Works at an even rate until `disturbing` has ended and these reports are handed in. Dossiers are recorded and all
    /// kinds of things read on the way.
    pub(super) async fn work<T>(
        &self,
        disturbing: impl Future<Output = T>,
        reports: &[Write],
    ) -> T {
        let mut disturbing = std::pin::pin!(disturbing);
        let mut over = None;
        let mut reports = reports.iter().copied();
        let mut calls = FuturesUnordered::new();
        // Not an interval: it would forget a turn whenever something else happens while the turn waits for a place.
        let mut next = tokio::time::Instant::now();
        while over.is_none() || reports.len() > 0 {
            let turn = async {
                tokio::time::sleep_until(next).await;
                drop(self.waiting.acquire().await.unwrap());
            };
            tokio::select! {
                result = &mut disturbing, if over.is_none() => {
                    over = Some(result);
                    continue;
                }
                Some(()) = calls.next() => continue,
                () = turn => next += BETWEEN_CALLS,
            }
            let turn = self.next_turn();
            let write = match turn % 10 {
                // Two calls.
                0 => reports.next(),
                2 | 5 => Some(Write::Dossiers { commune: turn / 5 % self.communes, batch: turn }),
                _ => None,
            };
            calls.push(async move {
                match write {
                    Some(write) => self.write(write).await,
                    None => self.read(turn).await,
                }
            });
        }
        while calls.next().await.is_some() {}
        over.expect("the end of the disturbance")
    }
}
