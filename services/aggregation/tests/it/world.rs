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
use dunghan_proto::events::{Event, ListEventsRequest, ListEventsResponse, ReportSubmitted};
use dunghan_proto::policy::ErrorReason;
use dunghan_proto::submission;
use dunghan_proto::submission::indicator::Kind as IndicatorKind;
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
    pub(crate) reports: BTreeMap<UnitId, submission::Report>,
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
        let parent = Some(province(if n <= 5 { 1 } else { 2 }));
        let name = format!("Xã {n}");
        unit(commune(n), format!("{n:05}"), name, Kind::Xa, Level::Commune, parent)
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
    /// Commune `number` hands in a report with these values.
    pub(crate) fn submit(&mut self, number: u8, values: Vec<submission::Value>) -> String {
        let unit = commune(number);
        let name = format!("{unit}/reports/{}", uuid::Uuid::now_v7());
        let report = submission::Report {
            name: name.clone(),
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            values,
            ..submission::Report::default()
        };
        self.reports.insert(unit, report);
        let submitted = ReportSubmitted {
            report: name.clone(),
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            ..ReportSubmitted::default()
        };
        self.events.push(Event {
            position: format!("0.{}", self.events.len() + 1),
            payload: Some(Payload::ReportSubmitted(submitted)),
            ..Event::default()
        });
        name
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
        Ok(Running::new().service(SubmissionServiceServer::new(Self(Shared::of(&key)))))
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
        let reports = world.reports.values().filter(|report| names.contains(&report.name));
        let reports = reports.cloned().collect();
        Ok(Response::new(submission::BatchGetReportsResponse { reports }))
    }

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
            ..submission::Indicator::default()
        };
        Ok(Response::new(submission::Form {
            name: request.into_inner().name,
            indicators: vec![
                indicator("online_dossiers", IndicatorKind::Count),
                indicator("e_health_percent", IndicatorKind::Percent),
                indicator("system_age", IndicatorKind::Years),
            ],
            ..submission::Form::default()
        }))
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

    async fn batch_get_receipts(
        &self,
        _: Request<submission::BatchGetReceiptsRequest>,
    ) -> Answer<submission::BatchGetReceiptsResponse> {
        unused()
    }

    async fn list_forms(
        &self,
        _: Request<submission::ListFormsRequest>,
    ) -> Answer<submission::ListFormsResponse> {
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
            let report = world.reports.get(unit);
            let standing = match report {
                _ if world.waived.contains(unit) => Standing::Waived,
                Some(_) => Standing::OnTime,
                None if *unit == commune(3) => Standing::Open,
                None => Standing::Missing,
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

    async fn waive_obligation(
        &self,
        _: Request<compliance::WaiveObligationRequest>,
    ) -> Answer<compliance::Obligation> {
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
}
