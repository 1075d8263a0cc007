//! What it costs to run as a suite: what the layers before a handler cost, what a call inside the process costs, and
//! what the built binary takes to start and to sit there.
//!
//! Each figure is a ratio within one run, or stands against a generous ceiling: machines differ. Run by `make bench`.

use std::hint::black_box;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use dunghan_benches::{Table, median};
use dunghan_calendar::{Clock as _, SystemClock};
use dunghan_host::{Running, Spec, Start, Suite};
use dunghan_proto::aggregation as pb;
use dunghan_proto::aggregation::aggregation_service_client::AggregationServiceClient;
use dunghan_proto::aggregation::aggregation_service_server::{
    AggregationService, AggregationServiceServer,
};
use dunghan_rpc::Peer;
use dunghan_store::Sql;
use dunghan_testkit::{Engine, Front, Place, Process, Testing, start};
use schemars::JsonSchema;
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use serde::{Deserialize, Serialize};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// Calls that are timed together, and how often the two sides take turns.
const CALLS: u32 = 2_000;
const TURNS: usize = 15;
/// Starts of the binary, of which the median counts.
const STARTS: usize = 5;

/// A handler that does nothing but answer.
#[derive(Clone, Debug, Default)]
struct Answers;

#[tonic::async_trait]
impl AggregationService for Answers {
    async fn get_roll_up(
        &self,
        request: Request<pb::GetRollUpRequest>,
    ) -> Result<Response<pb::RollUp>, Status> {
        let indicator = request.into_inner().indicator;
        Ok(Response::new(pb::RollUp { indicator, ..Default::default() }))
    }
}

/// The handler as a service of a suite, which is its own peer.
struct Bench;

static PEER: OnceLock<Peer> = OnceLock::new();

#[derive(Debug, Default, Deserialize, JsonSchema, Serialize)]
struct NoConfig {}

struct Migrations;

impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Sql::with_base([])
    }
}

impl Spec for Bench {
    const NAME: &'static str = "aggregation";
    const PEERS: &'static [&'static str] = &["aggregation"];
    type Migrations = Migrations;
    type Config = NoConfig;

    async fn start(start: Start, _: NoConfig) -> anyhow::Result<Running> {
        PEER.get_or_init(|| start.peer("aggregation"));
        Ok(Running::new().service(AggregationServiceServer::new(Answers)))
    }
}

fn request() -> pb::GetRollUpRequest {
    pb::GetRollUpRequest {
        scope: "units/d5b39481-dd84-5e44-9a82-902c1718234c".to_owned(),
        regime: "regimes/cds-thang".to_owned(),
        period: "202605".to_owned(),
        indicator: "ho_so_truc_tuyen".to_owned(),
        ..Default::default()
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut table = Table::default();
    runtime.block_on(async {
        let testing = start(Suite::new().with::<Bench>(), Engine::Sqlite, SystemClock.now()).await;
        through_the_layers(&testing, &mut table).await;
        inside_the_process(&mut table).await;
        testing.stop().await;
        let place = Place::new(Engine::Sqlite).await;
        all_in_one(&place, &mut table).await;
        four_processes(&place, &mut table);
    });
    table.verdict()
}

/// The same handler and the same message over a socket, with all layers before it and with none.
async fn through_the_layers(testing: &Testing, table: &mut Table) {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let incoming = TcpIncoming::bind(any).expect("a free port").with_nodelay(Some(true));
    let address = incoming.local_addr().expect("an address");
    let bare = Server::builder().add_service(AggregationServiceServer::new(Answers));
    let serving = tokio::spawn(bare.serve_with_incoming(incoming));
    let bare = testing.channel_to(&format!("http://{address}"), &["operator"]);
    let mut bare = AggregationServiceClient::new(bare);
    let mut layered = AggregationServiceClient::new(testing.channel(&["operator"]));
    let (mut ratios, mut micros) = (Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let [bare, layered] = [time(&mut bare).await, time(&mut layered).await];
        // The first turn warms both up.
        if turn > 0 {
            ratios.push(layered.as_secs_f64() / bare.as_secs_f64());
            micros.push(bare.as_secs_f64() * 1e6);
        }
    }
    serving.abort();
    table.row("a call of a bare handler, for comparison", median(micros), f64::INFINITY, "µs");
    table.row("a call through all layers ÷ a bare handler", median(ratios), 1.3, "×");
}

async fn time(client: &mut AggregationServiceClient<Peer>) -> Duration {
    let begun = Instant::now();
    for _ in 0..CALLS {
        black_box(client.get_roll_up(request()).await.expect("an answer"));
    }
    begun.elapsed() / CALLS
}

/// A call to a peer in the same process, and the handler called as the function that it is.
async fn inside_the_process(table: &mut Table) {
    let mut client = AggregationServiceClient::new(PEER.get().expect("a peer").clone());
    let mut extra = Vec::new();
    for turn in 0..=TURNS {
        let peer = time(&mut client).await;
        let begun = Instant::now();
        for _ in 0..CALLS {
            black_box(Answers.get_roll_up(Request::new(request())).await.expect("an answer"));
        }
        if turn > 0 {
            extra.push((peer.as_secs_f64() - (begun.elapsed() / CALLS).as_secs_f64()) * 1e6);
        }
    }
    table.row("a peer call in process − a function call", median(extra), 20.0, "µs");
}

/// The binary with all services, on a data folder that is there and holds the nation's units.
async fn all_in_one(place: &Place, table: &mut Table) {
    let data = ["--data-dir".to_owned(), place.folder().display().to_string()];
    let first = Process::begin(place.folder(), &data);
    let address = format!("http://{}", first.address());
    let imported = dunghan_testkit::binary()
        .args(["units", "import", "--bundled", "--address", &address])
        .args(&data)
        .output()
        .expect("an import");
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    assert!(first.terminate().success());
    let mut seconds = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let process = Process::begin(place.folder(), &data);
        process.address();
        seconds.push(begun.elapsed().as_secs_f64());
        assert!(process.terminate().success());
    }
    table.row("all in one: from start to serving", median(seconds), 1.0, "s");
    let process = Process::begin(place.folder(), &data);
    process.address();
    // Idle is when its copies of the units are loaded and a first sweep is done.
    tokio::time::sleep(Duration::from_secs(10)).await;
    table.row("all in one: memory when idle", resident_mb(process.id()), 100.0, "MB");
    assert!(process.terminate().success());
}

/// Megabytes of memory that a process holds.
fn resident_mb(id: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("its status");
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let kilobytes: f64 = kilobytes.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes * 1024.0 / 1e6
}

/// One process for each service on the same folder, all begun at once.
fn four_processes(place: &Place, table: &mut Table) {
    let services = ["registry", "submission", "compliance", "aggregation"];
    let mut seconds = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let fronts = services.map(|service| (service, Front::new()));
        let processes = services.map(|service| {
            let mut args = vec!["--services".to_owned(), service.to_owned()];
            args.extend(["--data-dir".to_owned(), place.folder().display().to_string()]);
            for (peer, front) in &fronts {
                args.extend(["--set".to_owned(), format!("peers.{peer}={}", front.url())]);
            }
            Process::begin(place.folder(), &args)
        });
        for ((_, front), process) in fronts.iter().zip(&processes) {
            front.add(process.address());
        }
        seconds.push(begun.elapsed().as_secs_f64());
        for process in processes {
            assert!(process.terminate().success());
        }
    }
    table.row("four processes: from start to serving", median(seconds), 3.0, "s");
}
