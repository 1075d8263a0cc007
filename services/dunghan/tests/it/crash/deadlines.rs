//! kill -9 while supervisors decide, the calendar is amended, and reports come, go and are sent back: what another server has
//! that was asked the same and never killed is what is there, and what it told is what was told.

use std::collections::BTreeMap;

use chrono::Datelike as _;
use dunghan_proto::compliance::calendar_service_client::CalendarServiceClient;
use dunghan_proto::compliance::decision::Outcome;
use dunghan_proto::compliance::decision_service_client::DecisionServiceClient;
use dunghan_proto::compliance::extension::Until;
use dunghan_proto::submission;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_proto::r#type::Date;
use uuid::Uuid;

use super::*;

/// How often the server is killed: so many times, or as many as this says.
const KILLS: usize = 20;
const KILLS_VARIABLE: &str = "DUNGHAN_KILLS";

/// A day until which a report may be handed in, once more time is given.
fn later() -> Date {
    let today = SystemClock.now().date_naive();
    field::pb_date(NaiveDate::from_ymd_opt(today.year() + 1, 6, 30).unwrap())
}

fn kills() -> usize {
    let wanted = std::env::var(KILLS_VARIABLE).ok().and_then(|count| count.parse().ok());
    wanted.unwrap_or(KILLS)
}

/// What is asked of a server. The ids that it needs are drawn before, so that it can be asked again.
#[derive(Clone, Debug)]
enum Act {
    Waive {
        commune: usize,
        id: Uuid,
    },
    Extend {
        commune: usize,
        id: Uuid,
    },
    /// All communes are excused, or need not report later than they had to.
    WaiveAll {
        id: Uuid,
    },
    /// Ends the decision that came of that request.
    Revoke {
        of: Uuid,
        id: Uuid,
    },
    /// The day before the due date is off, or a working day again.
    Amend {
        off: bool,
        id: Uuid,
    },
    /// A report that a document system had received in time.
    Submit {
        commune: usize,
        id: Uuid,
    },
    Withdraw {
        commune: usize,
        id: Uuid,
    },
    Return {
        commune: usize,
        id: Uuid,
    },
}

/// The acts of a run: every kind of them, on communes of their own, of which there are as many.
fn acts(count: usize) -> Vec<Act> {
    let mut of = None;
    let acts = (0..count).map(|at| {
        let (id, commune) = (Uuid::new_v4(), at);
        match at % 10 {
            0 => Act::Submit { commune, id },
            1 => Act::Waive { commune, id },
            2 => {
                of = Some(id);
                Act::Extend { commune, id }
            }
            3 => Act::Amend { off: at % 20 == 3, id },
            4 => Act::Revoke { of: of.unwrap(), id },
            5 => Act::Submit { commune, id },
            6 => Act::Withdraw { commune: commune - 1, id },
            7 => {
                of = Some(id);
                Act::WaiveAll { id }
            }
            8 => Act::Revoke { of: of.unwrap(), id },
            _ => Act::Return { commune: commune - 9, id },
        }
    });
    acts.collect()
}

impl Client {
    fn submission(&self) -> SubmissionServiceClient<Peer> {
        SubmissionServiceClient::new(self.0.clone())
    }

    fn decisions(&self) -> DecisionServiceClient<Peer> {
        DecisionServiceClient::new(self.0.clone())
    }

    /// The report of a commune, begun if it is not there.
    async fn report(&self, commune: usize) -> Result<String, Status> {
        let parent = unit(&code(commune));
        let request =
            submission::ListReportsRequest { parent: parent.clone(), ..Default::default() };
        let listed = self.submission().list_reports(request).await?.into_inner().reports;
        if let Some(report) = listed.into_iter().next() {
            return Ok(report.name);
        }
        let report = submission::Report {
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            values: vec![submission::Value {
                indicator: "portal_posts".to_owned(),
                figure: Some(submission::value::Figure::Count(30)),
                ..Default::default()
            }],
            narrative: "Báo cáo".to_owned(),
            ..Default::default()
        };
        let request =
            submission::CreateReportRequest { parent, report: Some(report), ..Default::default() };
        Ok(self.submission().create_report(request).await?.into_inner().name)
    }

    async fn decide(
        &self,
        scope: &str,
        outcome: Outcome,
        id: Uuid,
    ) -> Result<pb::Decision, Status> {
        let decision = pb::Decision {
            scope: scope.to_owned(),
            subtree: scope == unit("24"),
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            outcome: Some(outcome),
            document: "15/QĐ-UBND".to_owned(),
            reason: "Bão số 3".to_owned(),
            ..Default::default()
        };
        let request_id = id.to_string();
        let decision = Some(decision);
        let request = pb::CreateDecisionRequest { decision, request_id, ..Default::default() };
        Ok(self.decisions().create_decision(request).await?.into_inner())
    }

    /// Does it, or finds it done.
    async fn act(&self, act: &Act, decided: &mut BTreeMap<Uuid, String>) -> Result<(), Status> {
        let (document, reason) = ("16/QĐ-UBND".to_owned(), "Hết bão".to_owned());
        match *act {
            Act::Waive { commune, id } => {
                let waiver = Outcome::Waiver(pb::Waiver {});
                self.decide(&unit(&code(commune)), waiver, id).await?;
            }
            Act::Extend { commune, id } => {
                let day = later();
                let until = Some(Until::DueDate(day));
                let extension = Outcome::Extension(pb::Extension { until });
                let decision = self.decide(&unit(&code(commune)), extension, id).await?;
                decided.insert(id, decision.name);
            }
            Act::WaiveAll { id } => {
                let decision = self.decide(&unit("24"), Outcome::Waiver(pb::Waiver {}), id).await?;
                decided.insert(id, decision.name);
            }
            Act::Revoke { of, id } => {
                let name = decided[&of].clone();
                let request_id = id.to_string();
                let request = pb::RevokeDecisionRequest { name, document, reason, request_id };
                self.decisions().revoke_decision(request).await?;
            }
            Act::Amend { off, id } => {
                let kind = match off {
                    true => pb::calendar_day::Kind::InLieu,
                    false => pb::calendar_day::Kind::Ordinary,
                };
                let date = Some(field::pb_date("2024-01-03".parse().unwrap()));
                let request = pb::AmendCalendarRequest {
                    name: "calendars/vn".to_owned(),
                    days: vec![pb::CalendarDay { date, kind: kind.into(), ..Default::default() }],
                    legal_basis: "Công điện số 1".to_owned(),
                    reason,
                    request_id: id.to_string(),
                    ..Default::default()
                };
                let mut calendars = CalendarServiceClient::new(self.0.clone());
                calendars.amend_calendar(request).await?;
            }
            Act::Submit { commune, id } => {
                let name = self.report(commune).await?;
                let received = "2024-01-02T02:00:00Z".parse().unwrap();
                let request = submission::SubmitReportRequest {
                    name,
                    asserted_receive_time: Some(field::pb_time(received)),
                    receipt_evidence: Some(submission::ReceiptEvidence {
                        kind: submission::receipt_evidence::Kind::DocumentSystem.into(),
                        reference: "Số đến 12".to_owned(),
                    }),
                    request_id: id.to_string(),
                    ..Default::default()
                };
                self.submission().submit_report(request).await?;
            }
            Act::Withdraw { commune, id } => {
                let name = self.report(commune).await?;
                let request_id = id.to_string();
                let request = submission::WithdrawReportRequest {
                    name,
                    reason,
                    request_id,
                    ..Default::default()
                };
                self.submission().withdraw_report(request).await?;
            }
            Act::Return { commune, id } => {
                let name = self.report(commune).await?;
                let request = submission::ReturnReportRequest {
                    name,
                    reason,
                    due_date: Some(later()),
                    request_id: id.to_string(),
                    ..Default::default()
                };
                self.submission().return_report(request).await?;
            }
        }
        Ok(())
    }

    async fn sweep_until_nothing_is_left(&self) {
        while self.sweep().await.unwrap().notice_count > 0 {}
    }

    /// Where every commune's obligation stands, by when it was due and in which generation.
    async fn standings(&self) -> BTreeMap<String, (pb::Standing, Option<i64>, i32)> {
        let mut standings = BTreeMap::new();
        let mut request = pb::ListObligationsRequest { page_size: PAGE, ..Default::default() };
        loop {
            let page = self.compliance().list_obligations(request.clone()).await;
            let page = page.unwrap().into_inner();
            standings.extend(page.obligations.into_iter().map(|one| {
                let due = one.due_time.map(|due| due.seconds);
                (one.name.clone(), (one.standing(), due, one.due_generation))
            }));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return standings;
            }
        }
    }

    /// How often each was told of on which rung.
    async fn tellings(&self) -> BTreeMap<(String, String), usize> {
        let mut told = BTreeMap::new();
        for notice in self.notices().await {
            for subject in notice.subjects {
                *told.entry((subject, notice.rung.clone())).or_default() += 1;
            }
        }
        told
    }
}

async fn begin(client: &Client, communes: usize) {
    set_up(client, communes, &mut Ledger::default()).await;
    client.sweep_until_nothing_is_left().await;
}

/// A server that was asked the same, one thing after the other, and never killed.
async fn undisturbed(acts: &[Act]) -> Told {
    let folder = Arc::new(TempDir::new().unwrap());
    let server = Serving::over(&folder, &[]);
    let client = Client::of(&server, &folder.path().join("dunghan-data/issuer.pem"));
    begin(&client, acts.len()).await;
    let mut decided = BTreeMap::new();
    for act in acts {
        client.act(act, &mut decided).await.unwrap();
        client.sweep_until_nothing_is_left().await;
    }
    (client.standings().await, client.tellings().await)
}

type Told = (BTreeMap<String, (pb::Standing, Option<i64>, i32)>, BTreeMap<(String, String), usize>);

/// Kills a server while it does what it is asked and sweeps, starts it again and asks again, until all is done.
async fn killed(folder: &Arc<TempDir>, args: &[&str], key: &Path, acts: &[Act], seed: u64) -> Told {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut decided = BTreeMap::new();
    let mut server = Serving::over(folder, args);
    begin(&Client::of(&server, key), acts.len()).await;
    for act in acts {
        let client = Client::of(&server, key);
        let sweep = {
            let client = client.clone();
            tokio::spawn(async move { client.sweep().await })
        };
        let blow = sleep(Duration::from_millis(random.u64(0..120)));
        let mut decided_then = decided.clone();
        let acted = async { client.act(act, &mut decided_then).await };
        // The time is the moment of the blow, not a guess at when something is done.
        let answered = tokio::select! {
            () = blow => None,
            answer = acted => Some(answer),
        };
        drop(server);
        let _ = timeout(LIMIT, sweep).await.expect("an end").unwrap();
        server = Serving::over(folder, args);
        let client = Client::of(&server, key);
        // What was acknowledged is done; asked once more with the same request_id, all are.
        if let Some(Ok(())) = answered {
            decided = decided_then;
        } else {
            client
                .act(act, &mut decided)
                .await
                .unwrap_or_else(|refused| panic!("{act:?}: {refused:?}"));
        }
        client.sweep_until_nothing_is_left().await;
    }
    let client = Client::of(&server, key);
    (client.standings().await, client.tellings().await)
}

#[tokio::test]
async fn decisions_amendments_and_reports_outlive_a_server_that_is_killed_on_sqlite() {
    let acts = acts(kills());
    let folder = Arc::new(TempDir::new().unwrap());
    let key = folder.path().join("dunghan-data/issuer.pem");
    let told = killed(&folder, &[], &key, &acts, 1).await;
    assert_eq!(told, undisturbed(&acts).await);
}

#[tokio::test]
async fn decisions_amendments_and_reports_outlive_a_server_that_is_killed_on_postgres() {
    let acts = acts(kills());
    let place = Place::new(Engine::Postgres).await;
    let Location::Postgres(url) = &place.location else { unreachable!("{place:?}") };
    let folder = Arc::new(TempDir::new().unwrap());
    let key = folder.path().join("issuer.pem");
    let location = format!("storage.location={url}");
    let issuer = format!("auth.issuer_key={}", key.display());
    let told = killed(&folder, &["--set", &location, "--set", &issuer], &key, &acts, 2).await;
    assert_eq!(told, undisturbed(&acts).await);
}
