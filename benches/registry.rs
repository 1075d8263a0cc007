//! What it costs to ask who was who: a unit through all layers, what is below a province, a name among all, and the copy of
//! the nation that the services hold; and to load all of it, with what became of everyone, into an empty database.
//!
//! Each figure is a ratio within one run, or stands against a generous ceiling: machines differ. Run by `make bench`.

use std::alloc::System;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::process::ExitCode;
use std::task::{Context, Poll};
use std::time::Instant;

use chrono::NaiveDate;
use dunghan_benches::{Table, median};
use dunghan_calendar::{Clock as _, SystemClock};
use dunghan_events::Units;
use dunghan_hierarchy::{Edge, Hierarchy, NSO, UnitHistory};
use dunghan_host::{Running, Spec, Start, Suite};
use dunghan_proto::registry as pb;
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_proto::registry::reorganisation_service_client::ReorganisationServiceClient;
use dunghan_registry::Registry;
use dunghan_rpc::Peer;
use dunghan_store::Sql;
use dunghan_testkit::{ENGINES, Testing, import_row, start};
use futures::future::BoxFuture;
use schemars::JsonSchema;
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Calls that are timed together, and how often the two sides take turns.
const CALLS: u32 = 2_000;
const TURNS: usize = 15;

/// Answers whatever the registry is asked with nothing.
#[derive(Clone, Copy, Debug)]
struct Empty;

impl NamedService for Empty {
    const NAME: &'static str = "dunghan.registry.v1.RegistryService";
}

impl UnaryService<pb::GetUnitRequest> for Empty {
    type Response = pb::Unit;
    type Future = Ready<Result<Response<pb::Unit>, Status>>;

    fn call(&mut self, _: Request<pb::GetUnitRequest>) -> Self::Future {
        ready(Ok(Response::new(pb::Unit::default())))
    }
}

impl tower::Service<http::Request<Body>> for Empty {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let codec = ProstCodec::<pb::Unit, pb::GetUnitRequest>::default();
        Box::pin(async move { Ok(Grpc::new(codec).unary(Self, request).await) })
    }
}

impl Spec for Empty {
    const NAME: &'static str = "registry";
    type Migrations = Migrations;
    type Config = NoConfig;

    async fn start(_: Start, _: NoConfig) -> anyhow::Result<Running> {
        Ok(Running::new().service(Self))
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema, Serialize)]
struct NoConfig {}

struct Migrations;

impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Sql::with_base([])
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut table = Table::default();
    runtime.block_on(async {
        for engine in ENGINES {
            let registry = || Suite::new().with::<Registry>();
            let testing = start(registry(), engine, SystemClock.now()).await;
            let seconds = load(&testing).await;
            table.row(&format!("the nation with its history into {engine:?}"), seconds, 3.0, "s");
            one_unit(&testing, &format!("GetUnit ÷ an empty handler, {engine:?}"), &mut table)
                .await;
            let units = Units::new(testing.channel(&["service"]));
            copy(&units.fresh().await.expect("the units"), &mut table);
            testing.stop().await;
        }
    });
    table.verdict()
}

/// Everything that comes with the product, from the first row to the last reorganisation.
async fn load(testing: &Testing) -> f64 {
    let mut registry = RegistryServiceClient::new(testing.channel(&["operator"]));
    let mut reorganisations = ReorganisationServiceClient::new(testing.channel(&["operator"]));
    let begun = Instant::now();
    let bundle = dunghan_registry::bundle().expect("what comes with the product");
    let rows = futures::stream::iter(bundle.rows.into_iter().map(import_row));
    let imported = registry.import_units(rows).await.expect("an import").into_inner();
    assert_eq!(imported.problems, []);
    let requests = bundle.reorganisations;
    let batch = pb::BatchCreateReorganisationsRequest { requests };
    reorganisations.batch_create_reorganisations(batch).await.expect("the reorganisations");
    begun.elapsed().as_secs_f64()
}

/// GetUnit, and a handler behind the same layers that does nothing.
async fn one_unit(testing: &Testing, what: &str, table: &mut Table) {
    let suite = Suite::new().with::<Empty>();
    let empty = start(suite, ENGINES[0], SystemClock.now()).await;
    let of = |testing: &Testing| RegistryServiceClient::new(testing.channel(&["operator"]));
    let (mut empty_client, mut client) = (of(&empty), of(testing));
    let query = pb::resolve_unit_request::Query::Identifier(pb::Identifier {
        scheme: NSO.to_owned(),
        value: "09427".to_owned(),
    });
    let by_code = pb::ResolveUnitRequest { query: Some(query), ..Default::default() };
    let mut found = client.resolve_unit(by_code).await.expect("a unit").into_inner().units;
    let name = found.remove(0).name;
    let mut ratios = Vec::new();
    for turn in 0..=TURNS {
        let [empty, registry] =
            [time(&mut empty_client, &name).await, time(&mut client, &name).await];
        // The first turn warms both up.
        if turn > 0 {
            ratios.push(registry / empty);
        }
    }
    empty.stop().await;
    // No less than 0.9 of what the empty one answers.
    table.row(what, median(ratios), 1.11, "×");
}

async fn time(client: &mut RegistryServiceClient<Peer>, name: &str) -> f64 {
    let begun = Instant::now();
    for _ in 0..CALLS {
        let request = pb::GetUnitRequest { name: name.to_owned(), as_of_date: None };
        black_box(client.get_unit(request).await.expect("an answer"));
    }
    begun.elapsed().as_secs_f64() / f64::from(CALLS)
}

/// What is asked of the copy in memory, and the room that it takes.
fn copy(nation: &Hierarchy, table: &mut Table) {
    let (before, after) = (day(2025, 6, 30), day(2026, 11, 22));
    let provinces = [before, after].map(|as_of| (as_of, nation.roots(as_of)));
    let mut micros = Vec::new();
    for (as_of, province) in
        provinces.iter().flat_map(|(as_of, roots)| roots.iter().map(move |root| (*as_of, *root)))
    {
        let begun = Instant::now();
        black_box(nation.descendants(province, as_of));
        micros.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    table.row("all below a province, the slowest of all", worst(&micros), 100.0, "µs");

    let names =
        ["Trí Quả", "xa tan ky", "P. 1", "Hoà Bình", "TT Bình Dương", "a", "thanh", "nowhere"];
    let mut millis = Vec::new();
    for name in names {
        let times = (0..TURNS).map(|_| {
            let begun = Instant::now();
            black_box(nation.find(name, before, None));
            begun.elapsed().as_secs_f64() * 1e3
        });
        millis.push(median(times.collect()));
    }
    table.row("a name among the nation's, the slowest", worst(&millis), 2.0, "ms");

    let region = Region::new(ALLOCATOR);
    let histories: Vec<UnitHistory> = nation.histories().cloned().collect();
    let edges: Vec<Edge> = nation.edges().to_vec();
    let again = Hierarchy::build_with_edges(nation.version(), histories, edges).expect("a tree");
    let change = region.change();
    let held = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
    table.row("units in the copy", thousands(again.len()), f64::INFINITY, "k");
    table.row("edges in the copy", thousands(again.edges().len()), f64::INFINITY, "k");
    table.row("the copy of the nation", thousands(held) / 1e3, 16.0, "MB");
}

fn thousands(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from) / 1e3
}

fn worst(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(0.0, f64::max)
}

fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).expect("a day")
}
