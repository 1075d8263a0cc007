//! Stand-ins for the two services that submission asks: a registry with fixed units, and a compliance with fixed
//! regimes. They answer what submission calls and nothing else.

use dunghan_calendar::Period;
use dunghan_host::{Running, Spec, Start};
use dunghan_proto::compliance;
use dunghan_proto::compliance::compliance_service_server::{
    ComplianceService, ComplianceServiceServer,
};
use dunghan_proto::events::{ListEventsRequest, ListEventsResponse};
use dunghan_proto::policy::ErrorReason;
use dunghan_rpc::{field, refuse};
use dunghan_store::Sql;
use dunghan_submission::Config;
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tonic::{Code, Request, Response, Status};

use crate::world;

pub(crate) struct NoTables;

impl MigratorTrait for NoTables {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Sql::with_base([])
    }
}

fn not_here<T>() -> Result<Response<T>, Status> {
    Err(refuse(Code::Unimplemented, ErrorReason::Internal, "a stand-in does not answer this", []))
}

pub(crate) struct Registry;

impl Spec for Registry {
    const NAME: &'static str = "registry";
    type Migrations = NoTables;
    type Config = Config;

    async fn start(_start: Start, _config: Config) -> anyhow::Result<Running> {
        Ok(Running::new().service(dunghan_testkit::registry(|| Ok(world::hierarchy()))))
    }
}

pub(crate) struct Compliance;

impl Spec for Compliance {
    const NAME: &'static str = "compliance";
    type Migrations = NoTables;
    type Config = Config;

    async fn start(_start: Start, _config: Config) -> anyhow::Result<Running> {
        Ok(Running::new().service(ComplianceServiceServer::new(Regimes)))
    }
}

struct Regimes;

/// A regime by its id: how often, and what is special about it.
fn regime(id: &str) -> Option<compliance::Regime> {
    let (frequency, once) = match id {
        "cds-month" | "other-month" | "ended" | "calendar" | "no-form" | "ii06a" | "review-one"
        | "review-two" => (compliance::Frequency::Month, ""),
        "cds-six" | "cds-six-declared" => (compliance::Frequency::SixMonths, ""),
        "cds-nine" => (compliance::Frequency::NineMonths, ""),
        "cds-year" => (compliance::Frequency::Year, ""),
        // As many as a test wants, and what goes to the department.
        id if id.starts_with("month-") || id == "to-department" => {
            (compliance::Frequency::Month, "")
        }
        "six-to-department" => (compliance::Frequency::SixMonths, ""),
        // Communes report to the province, and that to another unit.
        "two-tiers" => (compliance::Frequency::Month, ""),
        "supervision" => (compliance::Frequency::Once, "2023-01-01--2024-05-31"),
        "thematic" => (compliance::Frequency::Once, "2026-05-01--2026-05-31"),
        "unreadable" => (compliance::Frequency::Unspecified, ""),
        // Of a form that a test publishes.
        id if id.starts_with("on-") => (compliance::Frequency::Month, ""),
        _ => return None,
    };
    let family = match id {
        "calendar" => compliance::WindowFamily::Calendar,
        _ => compliance::WindowFamily::Nd09,
    };
    let form = match id {
        "no-form" => "absent-1",
        "ii06a" => "ii06a-1",
        "thematic" => "text-1",
        id => id.strip_prefix("on-").unwrap_or("cds-1"),
    };
    let day = |text: &str| Some(field::pb_date(text.parse().unwrap()));
    // What is due when, and who receives it, is nothing that a report is begun by.
    let due_rule = match id {
        "thematic" => day("2026-06-05").map(compliance::regime::DueRule::DueDate),
        _ => Some(compliance::regime::DueRule::WorkingDaysAfterCutOff(3)),
    };
    let sent_on = match id {
        "two-tiers" => compliance::OnwardTier {
            receiving_unit: world::gia_lai().to_string(),
            ..compliance::OnwardTier::default()
        },
        _ => compliance::OnwardTier {
            receiving_agency: "Thanh tra Chính phủ".to_owned(),
            ..compliance::OnwardTier::default()
        },
    };
    let (receiving_unit, receiving_level) = match id.ends_with("to-department") {
        true => (world::department().to_string(), String::new()),
        false => (String::new(), "parent".to_owned()),
    };
    Some(compliance::Regime {
        due_rule,
        family: "tt06-2025-ttcp".to_owned(),
        receiving_unit,
        receiving_level,
        onward_tiers: vec![sent_on],
        debtors: Some(compliance::Debtors {
            levels: vec!["commune".to_owned()],
            ..compliance::Debtors::default()
        }),
        level_due_rules: vec![compliance::LevelDueRule::default()],
        name: format!("regimes/{id}"),
        form: format!("forms/{form}"),
        frequency: frequency.into(),
        once_period: once.parse::<Period>().map(|once| once.to_string()).unwrap_or_default(),
        window_family: family.into(),
        cut_off_as_declared: id == "cds-six-declared",
        from_date: day("2020-01-01"),
        through_date: if id == "ended" { day("2026-03-14") } else { None },
        review_levels: match id {
            "review-one" => 1,
            "review-two" => 2,
            _ => 0,
        },
        ..compliance::Regime::default()
    })
}

#[tonic::async_trait]
impl ComplianceService for Regimes {
    async fn get_regime(
        &self,
        request: Request<compliance::GetRegimeRequest>,
    ) -> Result<Response<compliance::Regime>, Status> {
        let name = request.into_inner().name;
        if name == "regimes/away" {
            return not_here();
        }
        let found = name.strip_prefix("regimes/").and_then(regime);
        let unknown = || refuse(Code::NotFound, ErrorReason::InvalidField, "no such regime", []);
        found.map(Response::new).ok_or_else(unknown)
    }

    async fn create_regime(
        &self,
        _: Request<compliance::CreateRegimeRequest>,
    ) -> Result<Response<compliance::Regime>, Status> {
        not_here()
    }

    async fn list_regimes(
        &self,
        _: Request<compliance::ListRegimesRequest>,
    ) -> Result<Response<compliance::ListRegimesResponse>, Status> {
        not_here()
    }

    async fn list_obligations(
        &self,
        _: Request<compliance::ListObligationsRequest>,
    ) -> Result<Response<compliance::ListObligationsResponse>, Status> {
        not_here()
    }

    async fn get_reporting_rate(
        &self,
        _: Request<compliance::GetReportingRateRequest>,
    ) -> Result<Response<compliance::ReportingRate>, Status> {
        not_here()
    }

    async fn explain_obligation(
        &self,
        _: Request<compliance::ExplainObligationRequest>,
    ) -> Result<Response<compliance::Explanation>, Status> {
        not_here()
    }

    async fn list_affected_obligations(
        &self,
        _: Request<compliance::ListAffectedObligationsRequest>,
    ) -> Result<Response<compliance::ListAffectedObligationsResponse>, Status> {
        not_here()
    }

    async fn run_sweep(
        &self,
        _: Request<compliance::RunSweepRequest>,
    ) -> Result<Response<compliance::RunSweepResponse>, Status> {
        not_here()
    }

    async fn list_events(
        &self,
        _: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        not_here()
    }

    async fn list_owed_obligations(
        &self,
        _: Request<compliance::ListOwedObligationsRequest>,
    ) -> Result<Response<compliance::ListOwedObligationsResponse>, Status> {
        not_here()
    }

    async fn export_owed_calendar(
        &self,
        _: Request<compliance::ExportOwedCalendarRequest>,
    ) -> Result<Response<compliance::ExportOwedCalendarResponse>, Status> {
        not_here()
    }

    async fn list_reporting_rates(
        &self,
        _: Request<compliance::ListReportingRatesRequest>,
    ) -> Result<Response<compliance::ListReportingRatesResponse>, Status> {
        not_here()
    }

    async fn rank_reporting_rates(
        &self,
        _: Request<compliance::RankReportingRatesRequest>,
    ) -> Result<Response<compliance::RankReportingRatesResponse>, Status> {
        not_here()
    }

    async fn list_regime_families(
        &self,
        _: Request<compliance::ListRegimeFamiliesRequest>,
    ) -> Result<Response<compliance::ListRegimeFamiliesResponse>, Status> {
        not_here()
    }
}
