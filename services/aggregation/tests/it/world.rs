//! The services that aggregation asks, as small as they can be: they answer from one [`World`], which the test changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_aggregation::Aggregation;
use dunghan_hierarchy::{
    Hierarchy, Identifier, Kind, Level, NSO, UnitHistory, UnitId, Validity, Version,
};
use dunghan_host::{Running, Spec, Start, Suite};
use dunghan_proto::aggregation::aggregation_service_client::AggregationServiceClient;
use dunghan_proto::compliance::compliance_service_server::{
    ComplianceService, ComplianceServiceServer,
};
use dunghan_proto::compliance::{self, Standing};
use dunghan_proto::events::event::Payload;
use dunghan_proto::events::{
    Event, ListEventsRequest, ListEventsResponse, ReportAccepted, ReportReturned, ReportSubmitted,
    ReportWithdrawn,
};
use dunghan_proto::policy::ErrorReason;
use dunghan_proto::submission;
use dunghan_proto::submission::form_service_server::{FormService, FormServiceServer};
use dunghan_proto::submission::indicator::{Kind as IndicatorKind, RollUp, Scope};
use dunghan_proto::submission::report::State;
use dunghan_proto::submission::submission_service_server::{
    SubmissionService, SubmissionServiceServer,
};
use dunghan_rpc::{Peer, refuse};
use dunghan_store::Sql;
use dunghan_testkit::{Engine, Place, Testing, start_at};
use schemars::JsonSchema;
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use serde::{Deserialize, Serialize};
use tonic::{Code, Request, Response, Status};

pub(crate) const REGIME: &str = "regimes/cds-thang";
pub(crate) const PERIOD: &str = "202605";
const FORM: &str = "forms/cds-1";
/// By which the communes owe, on the first page.
pub(crate) const HIERARCHY_VERSION: i64 = 12;

/// What the peers know.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) reports: BTreeMap<UnitId, Known>,
    /// What compliance says of a unit beside what follows from its report.
    pub(crate) standings: BTreeMap<UnitId, Standing>,
    pub(crate) waived: Vec<UnitId>,
    /// These owe no report, though they are communes.
    pub(crate) exempt: Vec<UnitId>,
    events: Vec<Event>,
    /// As many of the last events are held back, as an owner does while older transactions run.
    pub(crate) held_back: usize,
    pub(crate) submission_away: bool,
    pub(crate) compliance_away: bool,
    /// The positions after which submission was asked to go on.
    pub(crate) asked_after: Vec<String>,
}

/// A report as submission knows it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) report: submission::Report,
    sequence: i64,
    /// What was handed over, the first first.
    handed_over: Vec<submission::Report>,
}

/// A world that a test shares with the services that it starts.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<World>>);

/// A service is started by its type alone, so it finds its world by a key of its configuration.
static WORLDS: LazyLock<Mutex<HashMap<String, Shared>>> = LazyLock::new(Mutex::default);

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Key {
    world: String,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(key: &Key) -> Self {
        WORLDS.lock().unwrap_or_else(PoisonError::into_inner)[&key.world].clone()
    }
}

/// Two provinces, each with communes under it.
pub(crate) fn province(number: u8) -> UnitId {
    UnitId::new(NSO, &format!("{number:02}"), first_day())
}

/// Communes 1 to 5 are under province 1, 6 and 7 under province 2.
pub(crate) fn commune(number: u8) -> UnitId {
    UnitId::new(NSO, &format!("{number:05}"), first_day())
}

fn first_day() -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(2025, 7, 1)
}

fn hierarchy() -> Hierarchy {
    let unit = |id, code: String, name: String, kind, level, parent| {
        let validity = Validity { from: first_day(), until: None };
        UnitHistory {
            id,
            versions: vec![Version { validity, kind, level, display_name: name, parent }],
            identifiers: vec![Identifier { scheme: NSO.to_owned(), value: code, validity }],
        }
    };
    let provinces = (1..=2).map(|n| {
        let name = format!("Tỉnh {n}");
        unit(province(n), format!("{n:02}"), name, Kind::Tinh, Level::Province, None)
    });
    let communes = (1..=7).map(|n| {
        // The last is a division of the one before.
        let (parent, level) = match n {
            ..=5 => (province(1), Level::Commune),
            6 => (province(2), Level::Commune),
            _ => (commune(6), Level::Department),
        };
        let name = format!("Xã {n}");
        unit(commune(n), format!("{n:05}"), name, Kind::Xa, level, Some(parent))
    });
    Hierarchy::build(1, provinces.chain(communes).collect()).unwrap()
}

/// The value of a report outside of tables, exact and without dates.
pub(crate) fn value(indicator: &str, figure: submission::value::Figure) -> submission::Value {
    submission::Value {
        indicator: indicator.to_owned(),
        figure: Some(figure),
        ..submission::Value::default()
    }
}

impl World {
    /// Commune `number` hands in a report with these values, the first or another time.
    pub(crate) fn submit(&mut self, number: u8, values: Vec<submission::Value>) -> String {
        let unit = commune(number);
        let begun = || Known {
            report: submission::Report {
                name: format!("{unit}/reports/{}", uuid::Uuid::now_v7()),
                regime: REGIME.to_owned(),
                period: PERIOD.to_owned(),
                ..submission::Report::default()
            },
            sequence: 1,
            handed_over: Vec::new(),
        };
        let known = self.reports.entry(unit).or_insert_with(begun);
        known.report.values = values;
        known.report.set_state(State::Submitted);
        known.sequence += 1;
        known.handed_over.push(known.report.clone());
        let (name, sequence) = (known.report.name.clone(), known.sequence);
        self.tell(Payload::ReportSubmitted(ReportSubmitted {
            report: name.clone(),
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            sequence,
            ..ReportSubmitted::default()
        }));
        name
    }

    /// Commune `number` takes its report back.
    pub(crate) fn withdraw(&mut self, number: u8) {
        let (report, sequence) = self.moved(number, State::Draft);
        self.tell(Payload::ReportWithdrawn(ReportWithdrawn {
            report,
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            sequence,
            ..ReportWithdrawn::default()
        }));
    }

    /// The report of commune `number` is sent back.
    pub(crate) fn send_back(&mut self, number: u8) {
        let (report, sequence) = self.moved(number, State::Returned);
        self.tell(Payload::ReportReturned(ReportReturned {
            report,
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            sequence,
            ..ReportReturned::default()
        }));
    }

    /// Commune `number` hands over that nothing occurred.
    pub(crate) fn submit_nil(&mut self, number: u8) {
        self.submit(number, Vec::new());
        let known = self.reports.get_mut(&commune(number)).unwrap();
        known.report.nil = true;
    }

    /// The report of commune `number` is accepted at the only level of review.
    pub(crate) fn accept(&mut self, number: u8) {
        let (report, sequence) = self.moved(number, State::Accepted);
        self.tell(Payload::ReportAccepted(ReportAccepted {
            report,
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            sequence,
            review_level: 1,
            accepted: true,
            ..ReportAccepted::default()
        }));
    }

    /// Commune `number` changes what its report says, and does not hand it over yet.
    pub(crate) fn edit(&mut self, number: u8, values: Vec<submission::Value>) {
        let known = self.reports.get_mut(&commune(number)).unwrap();
        known.report.values = values;
        known.sequence += 1;
    }

    fn moved(&mut self, number: u8, state: State) -> (String, i64) {
        let known = self.reports.get_mut(&commune(number)).unwrap();
        known.report.set_state(state);
        known.sequence += 1;
        (known.report.name.clone(), known.sequence)
    }

    fn tell(&mut self, payload: Payload) {
        self.events.push(Event {
            position: format!("0.{}", self.events.len() + 1),
            payload: Some(payload),
            ..Event::default()
        });
    }

    /// These events come again after all others, as if they had been late.
    pub(crate) fn tell_again(&mut self, which: &[usize]) {
        for at in which {
            let payload = self.events[*at].payload.clone().unwrap();
            self.tell(payload);
        }
    }
}

/// Aggregation beside its peers, and the world that they answer from.
pub(crate) async fn start(engine: Engine, now: DateTime<Utc>) -> (Testing, Shared) {
    start_over(Place::new(engine).await, now).await
}

/// As [`start`], over data that may be there already.
pub(crate) async fn start_over(place: Place, now: DateTime<Utc>) -> (Testing, Shared) {
    let key = uuid::Uuid::now_v7().to_string();
    let shared = Shared(Arc::default());
    WORLDS.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), shared.clone());
    let suite = Suite::new()
        .with::<FakeRegistry>()
        .with::<FakeSubmission>()
        .with::<FakeCompliance>()
        .with::<Aggregation>();
    let worlds = ["registry.world", "submission.world", "compliance.world"];
    let keys = worlds.map(|name| (name, &*key)).into_iter();
    // As often as it can: a test waits for it.
    let keys: Vec<_> = keys.chain([("aggregation.pull_every_s", "1")]).collect();
    (start_at(suite, place, now, &keys).await, shared)
}

pub(crate) fn client(testing: &Testing, grants: &[&str]) -> AggregationServiceClient<Peer> {
    AggregationServiceClient::new(testing.channel(grants))
}

type Answer<T> = Result<Response<T>, Status>;

fn unused<T>() -> Answer<T> {
    Err(refuse(Code::Unimplemented, ErrorReason::Internal, "no test needs this", []))
}

fn away<T>() -> Answer<T> {
    // As a proxy would answer: without any reason of ours.
    Err(Status::from_error("connection refused".into()))
}

#[derive(Debug)]
pub(crate) struct NoTables;

impl MigratorTrait for NoTables {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Sql::with_base([])
    }
}

struct FakeRegistry;

impl Spec for FakeRegistry {
    const NAME: &'static str = "registry";
    type Migrations = NoTables;
    type Config = Key;

    async fn start(_: Start, _: Key) -> anyhow::Result<Running> {
        Ok(Running::new().service(dunghan_testkit::registry(|| Ok(hierarchy()))))
    }
}

struct FakeSubmission(Shared);

impl Spec for FakeSubmission {
    const NAME: &'static str = "submission";
    type Migrations = NoTables;
    type Config = Key;

    async fn start(_: Start, key: Key) -> anyhow::Result<Running> {
        let shared = Shared::of(&key);
        Ok(Running::new()
            .service(SubmissionServiceServer::new(Self(shared.clone())))
            .service(FormServiceServer::new(Self(shared))))
    }
}

#[tonic::async_trait]
impl SubmissionService for FakeSubmission {
    /// Two events a page, whatever is asked for.
    async fn list_events(&self, request: Request<ListEventsRequest>) -> Answer<ListEventsResponse> {
        let after = request.into_inner().after;
        let mut world = self.0.lock();
        if world.submission_away {
            return away();
        }
        world.asked_after.push(after.clone());
        let visible = world.events.len().saturating_sub(world.held_back);
        let rest = world.events[..visible].iter();
        let from = after.strip_prefix("0.").and_then(|seq| seq.parse().ok()).unwrap_or(0);
        let mut events: Vec<_> = rest.skip(from).take(3).cloned().collect();
        let more = events.len() > 2;
        events.truncate(2);
        let last = events.last().filter(|_| more).map(|event| event.position.clone());
        Ok(Response::new(ListEventsResponse { events, next_page_token: last.unwrap_or_default() }))
    }

    async fn batch_get_reports(
        &self,
        request: Request<submission::BatchGetReportsRequest>,
    ) -> Answer<submission::BatchGetReportsResponse> {
        let names = request.into_inner().names;
        let world = self.0.lock();
        if world.submission_away {
            return away();
        }
        let reports = world.reports.values().map(|known| &known.report);
        let reports = reports.filter(|report| names.contains(&report.name)).cloned().collect();
        Ok(Response::new(submission::BatchGetReportsResponse { reports }))
    }

    async fn batch_get_receipts(
        &self,
        request: Request<submission::BatchGetReceiptsRequest>,
    ) -> Answer<submission::BatchGetReceiptsResponse> {
        let request = request.into_inner();
        assert_eq!((request.regime.as_str(), request.period.as_str()), (REGIME, PERIOD));
        let world = self.0.lock();
        if world.submission_away {
            return away();
        }
        let asked = world.reports.iter().filter(|(unit, known)| {
            known.report.state() != State::Draft && request.units.contains(&unit.to_string())
        });
        let receipts = asked.map(|(_, known)| submission::Receipt {
            report: known.report.name.clone(),
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            sequence: known.sequence,
            ..submission::Receipt::default()
        });
        let receipts = receipts.collect();
        Ok(Response::new(submission::BatchGetReceiptsResponse { receipts }))
    }

    /// Three acts a page, whatever is asked for; each report that was handed over was sent back.
    async fn list_report_acts(
        &self,
        request: Request<submission::ListReportActsRequest>,
    ) -> Answer<submission::ListReportActsResponse> {
        let request = request.into_inner();
        assert!(request.with_reports);
        let world = self.0.lock();
        let known = world.reports.values().find(|known| known.report.name == request.parent);
        let handed_over = known.unwrap().handed_over.iter().cloned().map(Some);
        let acts = handed_over.flat_map(|report| [report, None]);
        let acts =
            acts.map(|report| submission::ReportAct { report, ..submission::ReportAct::default() });
        let from: usize = request.page_token.parse().unwrap_or(0);
        let mut acts: Vec<_> = acts.skip(from).collect();
        let more = acts.len() > 3;
        acts.truncate(3);
        let next_page_token = if more { (from + 3).to_string() } else { String::new() };
        Ok(Response::new(submission::ListReportActsResponse { acts, next_page_token }))
    }

    async fn create_report(
        &self,
        _: Request<submission::CreateReportRequest>,
    ) -> Answer<submission::Report> {
        unused()
    }

    async fn update_report(
        &self,
        _: Request<submission::UpdateReportRequest>,
    ) -> Answer<submission::Report> {
        unused()
    }

    async fn submit_report(
        &self,
        _: Request<submission::SubmitReportRequest>,
    ) -> Answer<submission::Report> {
        unused()
    }

    async fn get_report(
        &self,
        _: Request<submission::GetReportRequest>,
    ) -> Answer<submission::Report> {
        unused()
    }

    async fn list_reports(
        &self,
        _: Request<submission::ListReportsRequest>,
    ) -> Answer<submission::ListReportsResponse> {
        unused()
    }

    async fn withdraw_report(
        &self,
        _: Request<submission::WithdrawReportRequest>,
    ) -> Answer<submission::Report> {
        unused()
    }

    async fn return_report(
        &self,
        _: Request<submission::ReturnReportRequest>,
    ) -> Answer<submission::Report> {
        unused()
    }

    async fn submit_nil_report(
        &self,
        _: Request<submission::SubmitNilReportRequest>,
    ) -> Answer<submission::Report> {
        unused()
    }

    async fn accept_report(
        &self,
        _: Request<submission::AcceptReportRequest>,
    ) -> Answer<submission::Report> {
        unused()
    }

    async fn diff_revisions(
        &self,
        _: Request<submission::DiffRevisionsRequest>,
    ) -> Answer<submission::DiffRevisionsResponse> {
        unused()
    }

    async fn get_signed_receipt(
        &self,
        _: Request<submission::GetSignedReceiptRequest>,
    ) -> Answer<submission::SignedReceipt> {
        unused()
    }

    async fn verify_receipt(
        &self,
        _: Request<submission::VerifyReceiptRequest>,
    ) -> Answer<submission::VerifyReceiptResponse> {
        unused()
    }

    async fn list_receipt_keys(
        &self,
        _: Request<submission::ListReceiptKeysRequest>,
    ) -> Answer<submission::ListReceiptKeysResponse> {
        unused()
    }
}

#[tonic::async_trait]
impl FormService for FakeSubmission {
    async fn get_form(
        &self,
        request: Request<submission::GetFormRequest>,
    ) -> Answer<submission::Form> {
        if self.0.lock().submission_away {
            return away();
        }
        let indicator = |key: &str, kind: IndicatorKind| submission::Indicator {
            key: key.to_owned(),
            kind: kind.into(),
            roll_up: match kind {
                IndicatorKind::Count => RollUp::Sum,
                _ => RollUp::None,
            }
            .into(),
            ..submission::Indicator::default()
        };
        let alone = submission::Indicator {
            roll_up: RollUp::None.into(),
            ..indicator("linked_levels", IndicatorKind::Count)
        };
        let of_all = submission::Indicator {
            scope: Scope::Subtree.into(),
            ..indicator("dossiers_of_all_below", IndicatorKind::Count)
        };
        Ok(Response::new(submission::Form {
            name: request.into_inner().name,
            indicators: vec![
                indicator("online_dossiers", IndicatorKind::Count),
                indicator("e_health_percent", IndicatorKind::Percent),
                indicator("system_age", IndicatorKind::Years),
                indicator("remark", IndicatorKind::Text),
                alone,
                of_all,
            ],
            ..submission::Form::default()
        }))
    }

    async fn list_forms(
        &self,
        _: Request<submission::ListFormsRequest>,
    ) -> Answer<submission::ListFormsResponse> {
        unused()
    }

    async fn create_form(
        &self,
        _: Request<submission::CreateFormRequest>,
    ) -> Answer<submission::Form> {
        unused()
    }

    async fn retire_form(
        &self,
        _: Request<submission::RetireFormRequest>,
    ) -> Answer<submission::Form> {
        unused()
    }
}

struct FakeCompliance(Shared);

impl Spec for FakeCompliance {
    const NAME: &'static str = "compliance";
    type Migrations = NoTables;
    type Config = Key;

    async fn start(_: Start, key: Key) -> anyhow::Result<Running> {
        Ok(Running::new().service(ComplianceServiceServer::new(Self(Shared::of(&key)))))
    }
}

#[tonic::async_trait]
impl ComplianceService for FakeCompliance {
    async fn get_regime(
        &self,
        request: Request<compliance::GetRegimeRequest>,
    ) -> Answer<compliance::Regime> {
        if self.0.lock().compliance_away {
            return away();
        }
        let name = request.into_inner().name;
        if name != REGIME {
            let reason = compliance::ErrorReason::UnknownRegime;
            return Err(refuse(Code::NotFound, reason, "there is no such regime", []));
        }
        let form = FORM.to_owned();
        Ok(Response::new(compliance::Regime { name, form, ..compliance::Regime::default() }))
    }

    /// The communes of the scope owe; two on a page, whatever is asked for.
    async fn list_obligations(
        &self,
        request: Request<compliance::ListObligationsRequest>,
    ) -> Answer<compliance::ListObligationsResponse> {
        let request = request.into_inner();
        let (world, tree) = (self.0.lock(), hierarchy());
        let scope: UnitId = request.scope.parse().unwrap();
        let today = NaiveDate::from_ymd_opt(2026, 5, 20).unwrap();
        let debtors: Vec<_> = (1..=7)
            .map(commune)
            .filter(|unit| tree.is_within(*unit, scope, today) && !world.exempt.contains(unit))
            .collect();
        let from = request.page_token.parse().unwrap_or(0);
        let page = debtors.iter().skip(from).take(2).map(|unit| {
            let report = world.reports.get(unit).map(|known| &known.report);
            let standing = match report.map(|report| report.state()) {
                _ if world.waived.contains(unit) => Standing::Waived,
                _ if world.standings.contains_key(unit) => world.standings[unit],
                Some(State::Submitted | State::Accepted) => Standing::OnTime,
                Some(State::Returned) => Standing::Returned,
                _ if *unit == commune(3) => Standing::Open,
                _ => Standing::Missing,
            };
            compliance::Obligation {
                unit: unit.to_string(),
                standing: standing.into(),
                report: report.map(|report| report.name.clone()).unwrap_or_default(),
                ..compliance::Obligation::default()
            }
        });
        let obligations: Vec<_> = page.collect();
        let next = from + obligations.len();
        let more = next < debtors.len();
        let next_page_token = if more { next.to_string() } else { String::new() };
        Ok(Response::new(compliance::ListObligationsResponse {
            obligations,
            next_page_token,
            // It moves between two pages.
            hierarchy_version: HIERARCHY_VERSION + i64::try_from(from).unwrap(),
        }))
    }

    async fn list_affected_obligations(
        &self,
        _: Request<compliance::ListAffectedObligationsRequest>,
    ) -> Answer<compliance::ListAffectedObligationsResponse> {
        unused()
    }

    async fn create_regime(
        &self,
        _: Request<compliance::CreateRegimeRequest>,
    ) -> Answer<compliance::Regime> {
        unused()
    }

    async fn list_regimes(
        &self,
        _: Request<compliance::ListRegimesRequest>,
    ) -> Answer<compliance::ListRegimesResponse> {
        unused()
    }

    async fn get_reporting_rate(
        &self,
        _: Request<compliance::GetReportingRateRequest>,
    ) -> Answer<compliance::ReportingRate> {
        unused()
    }

    async fn explain_obligation(
        &self,
        _: Request<compliance::ExplainObligationRequest>,
    ) -> Answer<compliance::Explanation> {
        unused()
    }

    async fn run_sweep(
        &self,
        _: Request<compliance::RunSweepRequest>,
    ) -> Answer<compliance::RunSweepResponse> {
        unused()
    }

    async fn list_events(&self, _: Request<ListEventsRequest>) -> Answer<ListEventsResponse> {
        unused()
    }

    async fn list_owed_obligations(
        &self,
        _: Request<compliance::ListOwedObligationsRequest>,
    ) -> Answer<compliance::ListOwedObligationsResponse> {
        unused()
    }

    async fn export_owed_calendar(
        &self,
        _: Request<compliance::ExportOwedCalendarRequest>,
    ) -> Answer<compliance::ExportOwedCalendarResponse> {
        unused()
    }

    async fn list_reporting_rates(
        &self,
        _: Request<compliance::ListReportingRatesRequest>,
    ) -> Answer<compliance::ListReportingRatesResponse> {
        unused()
    }

    async fn rank_reporting_rates(
        &self,
        _: Request<compliance::RankReportingRatesRequest>,
    ) -> Answer<compliance::RankReportingRatesResponse> {
        unused()
    }

    async fn list_regime_families(
        &self,
        _: Request<compliance::ListRegimeFamiliesRequest>,
    ) -> Answer<compliance::ListRegimeFamiliesResponse> {
        unused()
    }
}
