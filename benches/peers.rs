//! Those that the measured services ask: a registry that knows what it is told to, a submission that has received nothing, and a
//! compliance whose regimes ask for whatever form is named.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};

use chrono::NaiveDate;
use dunghan_events::{edges, histories};
use dunghan_hierarchy::{
    Edge, Hierarchy, Identifier, Kind, Level, NSO, UnitHistory, UnitId, Validity, Version,
};
use dunghan_host::{Running, Spec, Start};
use dunghan_proto::compliance::{Debtors, Frequency, GetRegimeRequest, Regime};
use dunghan_proto::registry as pb;
use dunghan_rpc::field;
use dunghan_store::Sql;
use futures::future::BoxFuture;
use futures::stream::{Once, once};
use prost::Message;
use schemars::JsonSchema;
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use serde::{Deserialize, Serialize};
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::day;

/// Answers whatever it is asked with nothing: no report is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoReports;

impl NamedService for NoReports {
    const NAME: &'static str = "dunghan.submission.v1.SubmissionService";
}

impl UnaryService<()> for NoReports {
    type Response = ();
    type Future = Ready<Result<Response<()>, Status>>;

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}

impl tower::Service<http::Request<Body>> for NoReports {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        unary(*self, request)
    }
}

/// What it is asked for forms.
#[derive(Clone, Copy, Debug)]
struct NoForms;

impl NamedService for NoForms {
    const NAME: &'static str = "dunghan.submission.v1.FormService";
}

impl tower::Service<http::Request<Body>> for NoForms {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        unary(NoReports, request)
    }
}

impl Spec for NoReports {
    const NAME: &'static str = "submission";
    type Migrations = NoTables;
    type Config = NoConfig;

    async fn start(_: Start, _: NoConfig) -> anyhow::Result<Running> {
        Ok(Running::new().service(Self).service(NoForms))
    }
}

/// Has a handler answer.
pub(crate) fn unary<H, Q>(
    handler: H,
    request: http::Request<Body>,
) -> BoxFuture<'static, Result<http::Response<Body>, Infallible>>
where
    H: UnaryService<Q> + Send + 'static,
    H::Response: Message + Default + 'static,
    H::Future: Send,
    Q: Message + Default + 'static,
{
    let codec = ProstCodec::<H::Response, Q>::default();
    Box::pin(async move { Ok(Grpc::new(codec).unary(handler, request).await) })
}

/// Knows a regime for every form: `regimes/cds-1` asks for `forms/cds-1` each month. Nobody asks it for anything else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Regimes;

impl NamedService for Regimes {
    const NAME: &'static str = "dunghan.compliance.v1.ComplianceService";
}

impl UnaryService<GetRegimeRequest> for Regimes {
    type Response = Regime;
    type Future = Ready<Result<Response<Regime>, Status>>;

    fn call(&mut self, request: Request<GetRegimeRequest>) -> Self::Future {
        let name = request.into_inner().name;
        let form = name.replacen("regimes/", "forms/", 1);
        ready(Ok(Response::new(Regime {
            name,
            form,
            frequency: Frequency::Month.into(),
            debtors: Some(Debtors { levels: vec!["commune".to_owned()], ..Debtors::default() }),
            receiving_level: "province".to_owned(),
            from_date: Some(field::pb_date(beginning())),
            ..Regime::default()
        })))
    }
}

impl tower::Service<http::Request<Body>> for Regimes {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        unary(*self, request)
    }
}

impl Spec for Regimes {
    const NAME: &'static str = "compliance";
    type Migrations = NoTables;
    type Config = NoConfig;

    async fn start(_: Start, _: NoConfig) -> anyhow::Result<Running> {
        Ok(Running::new().service(Self))
    }
}

/// Gives the units that it was told of last, whatever it is asked: nobody asks it for anything else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registry;

static KNOWN: LazyLock<Mutex<Arc<Hierarchy>>> = LazyLock::new(Mutex::default);

/// Has the registry know that from now on.
pub(crate) fn know(hierarchy: Hierarchy) {
    *KNOWN.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(hierarchy);
}

impl NamedService for Registry {
    const NAME: &'static str = "dunghan.registry.v1.RegistryService";
}

impl ServerStreamingService<pb::StreamUnitHistoriesRequest> for Registry {
    type Response = pb::StreamUnitHistoriesResponse;
    type ResponseStream = Once<Ready<Result<Self::Response, Status>>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<pb::StreamUnitHistoriesRequest>) -> Self::Future {
        let hierarchy = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let hierarchy_version = hierarchy.version().cast_signed();
        let known = request.get_ref().known_version == hierarchy_version;
        let units = if known { Vec::new() } else { histories(&hierarchy).collect() };
        let edges = if known { Vec::new() } else { edges(&hierarchy).collect() };
        let all = pb::StreamUnitHistoriesResponse { hierarchy_version, units, edges };
        ready(Ok(Response::new(once(ready(Ok(all))))))
    }
}

impl tower::Service<http::Request<Body>> for Registry {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let codec = ProstCodec::default();
        Box::pin(async move { Ok(Grpc::new(codec).server_streaming(Self, request).await) })
    }
}

impl Spec for Registry {
    const NAME: &'static str = "registry";
    type Migrations = NoTables;
    type Config = NoConfig;

    async fn start(_: Start, _: NoConfig) -> anyhow::Result<Running> {
        Ok(Running::new().service(Self))
    }
}

/// Nothing can be set.
#[derive(Debug, Default, Deserialize, JsonSchema, Serialize)]
pub(crate) struct NoConfig {}

/// Nothing is kept.
pub(crate) struct NoTables;

impl MigratorTrait for NoTables {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Sql::with_base([])
    }
}

/// Since when all units are there.
pub(crate) fn beginning() -> NaiveDate {
    day(2025, 7, 1)
}

/// The province that owes, or is told.
pub(crate) fn province() -> UnitId {
    UnitId::new(NSO, "24", None)
}

/// That province alone.
pub(crate) fn one_province() -> anyhow::Result<Hierarchy> {
    let since = Validity::since(beginning());
    // Without a code: it sorts before all whose obligations are put in, and none of them is taken for its own.
    let province = UnitHistory { identifiers: Vec::new(), ..unit("24", "Tỉnh", None, since) };
    units(1, vec![province], None)
}

/// That province and so many communes in it.
pub(crate) fn communes(count: usize) -> anyhow::Result<Hierarchy> {
    let since = Validity::since(beginning());
    let communes = (0..count).map(|n| unit(&commune_code(n), "Xã", Some(province()), since));
    units(1, [unit("24", "Tỉnh", None, since)].into_iter().chain(communes).collect(), None)
}

/// One of them.
pub(crate) fn commune(n: usize) -> UnitId {
    UnitId::new(NSO, &commune_code(n), None)
}

fn commune_code(n: usize) -> String {
    format!("{:05}", n + 1)
}

/// A province, or a commune of one.
pub(crate) fn unit(
    code: &str,
    name: &str,
    parent: Option<UnitId>,
    validity: Validity,
) -> UnitHistory {
    let (kind, level) = match parent {
        None => (Kind::Tinh, Level::Province),
        Some(_) => (Kind::Xa, Level::Commune),
    };
    let version = Version { validity, kind, level, display_name: name.to_owned(), parent };
    let held = Identifier { scheme: NSO.to_owned(), value: code.to_owned(), validity };
    UnitHistory {
        id: UnitId::new(NSO, code, None),
        versions: vec![version],
        identifiers: vec![held],
    }
}

/// As [`Hierarchy::build_with_edges`].
pub(crate) fn units(
    version: u64,
    units: Vec<UnitHistory>,
    edge: Option<Edge>,
) -> anyhow::Result<Hierarchy> {
    let built = Hierarchy::build_with_edges(version, units, edge.into_iter().collect());
    built.map_err(|problems| anyhow::anyhow!("the units are no tree: {problems:?}"))
}
