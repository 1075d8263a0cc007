//! What it costs to watch over deadlines: a sweep among few obligations and among many, and one by which very many fall due.
//!
//! Each figure is a ratio within one run, or stands against a generous ceiling: machines differ. Run by `make bench`.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_benches::{Table, median};
use dunghan_calendar::Period;
use dunghan_compliance::Compliance;
use dunghan_compliance::domain::rate::{Rate, Tally};
use dunghan_compliance::domain::regime::RegimeId;
use dunghan_compliance::domain::soon::Soon;
use dunghan_compliance::store::{Moment, RateFilter, Store, Within};
use dunghan_hierarchy::{
    Edge, EdgeKind, Hierarchy, Identifier, Kind, Level, NSO, UnitHistory, UnitId, Validity, Version,
};
use dunghan_host::{Running, Spec, Start, Suite};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::calendar_service_client::CalendarServiceClient;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_rpc::field;
use dunghan_store::{Database, Sql};
use dunghan_testkit::{ENGINES, Engine, Place, Testing, start_at};
use futures::future::BoxFuture;
use schemars::JsonSchema;
use sea_orm_migration::sea_orm::{ConnectionTrait as _, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use serde::{Deserialize, Serialize};
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// How often the two sides take turns.
const TURNS: usize = 9;
/// Obligations that are there, and of those how many fall due for each sweep.
const FEW: usize = 100_000;
const MANY: usize = 10_000_000;
const DUE: usize = 1000;
/// Rows put in by one statement.
const AT_ONCE: usize = 1_000_000;

/// Answers whatever submission is asked with nothing: no report is there.
#[derive(Clone, Copy, Debug)]
struct NoReports;

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
        let codec = ProstCodec::<(), ()>::default();
        Box::pin(async move { Ok(Grpc::new(codec).unary(Self, request).await) })
    }
}

impl Spec for NoReports {
    const NAME: &'static str = "submission";
    type Migrations = NoTables;
    type Config = NoConfig;

    async fn start(_: Start, _: NoConfig) -> anyhow::Result<Running> {
        Ok(Running::new().service(Self))
    }
}

/// A registry that knows what [`KNOWN`] holds: at first one province.
struct Registry;

static KNOWN: LazyLock<Mutex<Hierarchy>> = LazyLock::new(|| Mutex::new(hierarchy()));

fn known() -> MutexGuard<'static, Hierarchy> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Spec for Registry {
    const NAME: &'static str = "registry";
    type Migrations = NoTables;
    type Config = NoConfig;

    async fn start(_: Start, _: NoConfig) -> anyhow::Result<Running> {
        Ok(Running::new().service(dunghan_testkit::registry(|| Ok(known().clone()))))
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema, Serialize)]
struct NoConfig {}

struct NoTables;

impl MigratorTrait for NoTables {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Sql::with_base([])
    }
}

fn province() -> UnitId {
    UnitId::new(NSO, "24", None)
}

fn hierarchy() -> Hierarchy {
    let version = Version {
        validity: Validity::since(day(2025, 7, 1)),
        kind: Kind::Tinh,
        level: Level::Province,
        display_name: "Tỉnh Bắc Ninh".to_owned(),
        parent: None,
    };
    let province = UnitHistory { id: province(), versions: vec![version], identifiers: Vec::new() };
    Hierarchy::build(1, vec![province]).expect("a tree")
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut table = Table::default();
    runtime.block_on(async {
        for engine in ENGINES {
            if wanted("openings") {
                openings(engine, &mut table).await;
            }
            if wanted("sweeps") {
                sweeps(engine, &mut table).await;
            }
            if wanted("rates") {
                rates(engine, &mut table).await;
            }
            if wanted("all_at_once") {
                all_at_once(engine, &mut table).await;
            }
            if wanted("amendments") {
                amendments(engine, &mut table).await;
            }
        }
    });
    table.verdict()
}

/// Whether a measurement is to be made: those that arguments name, or all.
fn wanted(name: &str) -> bool {
    let mut named = std::env::args().skip(1).filter(|one| !one.starts_with("--")).peekable();
    named.peek().is_none() || named.any(|one| one == name)
}

/// The nation's communes, and for how many months they have owed.
const COMMUNES: u32 = 3321;
const MONTHS: u32 = 36;

/// Opening a month for the nation; and, with three years of months opened, what a change of the hierarchy costs.
async fn openings(engine: Engine, table: &mut Table) {
    *known() = nation(1, None, None);
    let suite = Suite::new().with::<Registry>().with::<NoReports>().with::<Compliance>();
    let keys = [("compliance.sweep_cron", ""), ("compliance.sweep_every_s", "86400")];
    let begun = at(2026, 5, 16);
    let testing = start_at(suite, Place::new(engine).await, begun, &keys).await;
    let mut operator = ComplianceServiceClient::new(testing.channel(&["operator"]));
    let nobody_is_told = Some(field::pb_date(day(2100, 1, 1)));
    let regime = pb::Regime {
        name: "regimes/nation".to_owned(),
        display_name: "Báo cáo".to_owned(),
        legal_basis: "Công văn số 1/VP".to_owned(),
        form: "forms/bench".to_owned(),
        receiving_level: "province".to_owned(),
        frequency: pb::Frequency::Month.into(),
        due_rule: Some(pb::regime::DueRule::WorkingDaysAfterCutOff(3)),
        debtors: Some(pb::Debtors { levels: vec!["commune".to_owned()], ..Default::default() }),
        from_date: Some(field::pb_date(day(2026, 5, 1))),
        tell_from_date: nobody_is_told,
        ..pb::Regime::default()
    };
    let create = pb::CreateRegimeRequest { regime: Some(regime), ..Default::default() };
    operator.create_regime(create).await.expect("a regime");
    let mut sweep = async |opened: u32| {
        let begun = Instant::now();
        let request = pb::RunSweepRequest { accept_clock: true };
        let swept = operator.run_sweep(request).await.expect("a sweep").into_inner();
        let seconds = begun.elapsed().as_secs_f64();
        assert_eq!(u32::try_from(swept.opened_count), Ok(opened), "{swept:?}");
        seconds
    };
    // What has begun is opened when a regime is put in force.
    sweep(0).await;
    let mut months = Vec::new();
    for month in 1..MONTHS {
        let (year, month) = (2026 + (4 + month) / 12, (4 + month) % 12 + 1);
        testing.clock.set(at(year, month, 16));
        months.push(sweep(COMMUNES).await);
    }
    table.row(&format!("open a month for the nation, {engine:?}"), median(months), 2.0, "s");

    let mut version = 1;
    let mut change = async |hierarchy: fn(u64) -> Hierarchy| {
        let mut seconds = Vec::new();
        for _ in 0..TURNS {
            version += 1;
            *known() = hierarchy(version);
            seconds.push(sweep(0).await);
        }
        median(seconds)
    };
    // Another name changes nothing of what is owed; a merger passes on all that a unit owes, month by month.
    let none = change(|version| nation(version, Some(version), None)).await;
    table.row(&format!("a unit renamed, 36 months, {engine:?}"), none * 1e3, 1000.0, "ms");
    let one = change(|version| nation(version, None, Some(version))).await;
    table.row(&format!("a unit merged, 36 months, {engine:?}"), one * 1e3, 1000.0, "ms");
    testing.stop().await;
}

/// 34 provinces and their communes. One commune may have another name, and one may have ended in favour of its neighbour.
fn nation(version: u64, renamed: Option<u64>, merged: Option<u64>) -> Hierarchy {
    let since = Validity::since(day(2025, 7, 1));
    let unit = |code: String, name: String, parent: Option<UnitId>, validity: Validity| {
        let (kind, level) = match parent {
            None => (Kind::Tinh, Level::Province),
            Some(_) => (Kind::Xa, Level::Commune),
        };
        let version = Version { validity, kind, level, display_name: name, parent };
        let held = Identifier { scheme: NSO.to_owned(), value: code.clone(), validity };
        let id = UnitId::new(NSO, &code, None);
        UnitHistory { id, versions: vec![version], identifiers: vec![held] }
    };
    let province = |n: u32| format!("{:02}", n % 34 + 1);
    let mut units: Vec<_> =
        (0..34).map(|n| unit(province(n), "Tỉnh".to_owned(), None, since)).collect();
    units.extend((0..COMMUNES).map(|n| {
        let name = match renamed {
            Some(turn) if u64::from(n) == turn => "Xã Mới".to_owned(),
            _ => format!("Xã {n}"),
        };
        let ended = Validity { until: Some(day(2029, 4, 1)), ..since };
        let validity = if merged == Some(u64::from(n)) { ended } else { since };
        unit(format!("{:05}", n + 1), name, Some(UnitId::new(NSO, &province(n), None)), validity)
    }));
    let edge = merged.map(|turn| Edge {
        effective: day(2029, 4, 1),
        predecessor: UnitId::new(NSO, &format!("{:05}", turn + 1), None),
        successor: UnitId::new(NSO, &format!("{:05}", turn + 2), None),
        kind: EdgeKind::Merged,
        reorganisation: "bench".into(),
    });
    Hierarchy::build_with_edges(version, units, edge.into_iter().collect()).expect("a tree")
}

fn at(year: u32, month: u32, day_of_month: u32) -> DateTime<Utc> {
    let day = day(year.cast_signed(), month, day_of_month);
    day.and_time(chrono::NaiveTime::MIN).and_utc()
}

/// A sweep by which the same number falls due, among few obligations and among many.
async fn sweeps(engine: Engine, table: &mut Table) {
    *known() = hierarchy();
    let few = Watched::over(engine, FEW, FEW / 10).await;
    let many = Watched::over(engine, MANY, MANY / 10).await;
    let (mut millis, mut ratios) = (Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let [few, many] = [few.sweep(DUE).await, many.sweep(DUE).await];
        // The first turn warms both up.
        if turn > 0 {
            millis.push(few * 1e3);
            ratios.push(many / few);
        }
    }
    table.row(&format!("1,000 of 100 k fall due, {engine:?}"), median(millis), f64::INFINITY, "ms");
    table.row(&format!("1,000 of 10 M ÷ of 100 k, {engine:?}"), median(ratios), 1.5, "×");
    few.testing.stop().await;
    many.testing.stop().await;
}

/// One period in which a hundred thousand fall due, to one recipient: they are asked about and claimed batch by batch, and told in
/// one notice.
async fn all_at_once(engine: Engine, table: &mut Table) {
    let watched = Watched::over(engine, FEW, FEW).await;
    let seconds = watched.sweep(FEW).await;
    table.row(&format!("100 k fall due at once, {engine:?}"), seconds, 60.0, "s");
    watched.testing.stop().await;
}

/// Units that owe in the nation, for how many periods there are obligations, and how often each question is asked.
const UNITS: usize = 3355;
const PERIODS: usize = 36;
const QUESTIONS: usize = 101;

/// National standings for one period: what the database needs for the counts and for those that are not on time, and what the
/// store and the domain add to that.
async fn rates(engine: Engine, table: &mut Table) {
    *known() = hierarchy();
    let watched = Watched::over(engine, UNITS * PERIODS, UNITS).await;
    let at = now();
    let (hour, us) = (3_600_000_000_i64, at.timestamp_micros());
    let scope = province().uuid().simple();
    let province_of = match engine {
        Engine::Sqlite => "lower(hex(unit_id))",
        Engine::Postgres => "replace(unit_id::text, '-', '')",
    };
    // Of twenty, one is late, one missing and one open; three steps from the top to the unit.
    watched
        .run(&format!(
            "UPDATE obligation SET path = '/{scope}/' || {province_of} || '/' || {province_of} || '/', due_us = {us}, \
             receive_us = CASE WHEN unit_code LIKE '%00' OR unit_code LIKE '%20' OR unit_code LIKE '%40' THEN {us} \
                 WHEN unit_code LIKE '%5' THEN NULL ELSE {us} - {hour} END \
             WHERE regime = 'bench' AND period = '202605' AND unit_code > ''"
        ))
        .await;
    let settled =
        format!("WHERE regime = 'bench' AND period = '202605' AND path LIKE '%/{scope}/%'");
    let counted = format!(
        "CASE WHEN close_us <= {us} THEN 0 WHEN waived_us <= {us} THEN 1 WHEN receive_us <= {us} AND due_us IS NULL THEN 2 \
         WHEN receive_us <= {us} AND receive_us < due_us THEN 3 WHEN receive_us <= {us} THEN 4 WHEN due_us <= {us} THEN 5 \
         WHEN open_us > {us} THEN 6 ELSE 7 END"
    );
    let counts =
        format!("SELECT {counted} AS counted, count(*) FROM obligation {settled} GROUP BY 1");
    let exceptions = format!(
        "SELECT * FROM obligation {settled} AND ({counted} NOT IN (2, 3, 6) OR (extension_id IS NOT NULL AND {counted} IN (2, 3))) \
         ORDER BY unit_code, unit_id"
    );
    let store = Store::new(watched.database.clone());
    let id = RegimeId::new("bench").expect("a regime");
    let period: Period = "202605".parse().expect("a period");
    let moment = Moment { at, soon: &Soon::everywhere(at) };
    let filter = RateFilter {
        within: vec![Within::Subtree(province())],
        periods: vec![(id.clone(), vec![period])],
    };
    let bare = async |statements: &[&str]| {
        let begun = Instant::now();
        let mut rows = 0;
        for sql in statements {
            let statement = Statement::from_string(watched.database.engine(), *sql);
            let found = watched.database.reader().query_all_raw(statement).await;
            rows += found.expect("rows").len();
        }
        assert!(rows > 2);
        begun.elapsed().as_secs_f64() * 1e3
    };
    let sum = |tallies: &mut dyn Iterator<Item = (Tally, usize)>| {
        let mut rate = Rate::default();
        tallies.for_each(|(tally, count)| rate.add(&tally, count));
        // The province itself owes too.
        assert_eq!(rate.expected(), UNITS + 1);
        rate
    };
    let mut operator = ComplianceServiceClient::new(watched.testing.channel(&["operator"]));
    let mut millis: [Vec<f64>; 5] = Default::default();
    for turn in 0..=QUESTIONS {
        let bare_counts = bare(&[&counts]).await;
        let begun = Instant::now();
        let tallies = store.tally_by_period(&filter, moment).await.expect("tallies");
        sum(&mut tallies.into_iter().map(|(_, tally, count)| (tally, count)));
        let counts_only = begun.elapsed().as_secs_f64() * 1e3;

        let bare_all = bare(&[&counts, &exceptions]).await;
        let begun = Instant::now();
        let found = store.tally_with_exceptions(province(), &id, period, moment).await;
        let (tallies, listed) = found.expect("tallies");
        let rate = sum(&mut tallies.into_iter());
        assert_eq!(listed.len(), rate.expected() - rate.on_time);
        let all = begun.elapsed().as_secs_f64() * 1e3;

        let request = pb::GetReportingRateRequest {
            scope: province().to_string(),
            regime: "regimes/bench".to_owned(),
            period: "202605".to_owned(),
            read_time: Some(field::pb_time(at)),
        };
        let begun = Instant::now();
        operator.get_reporting_rate(request).await.expect("a rate");
        let asked = begun.elapsed().as_secs_f64() * 1e3;
        if turn > 0 {
            for (side, took) in
                millis.iter_mut().zip([bare_counts, counts_only, bare_all, all, asked])
            {
                side.push(took);
            }
        }
    }
    let [bare_counts, counts_only, bare_all, all, asked] = millis.map(median);
    let row = |table: &mut Table, what: &str, figure, ceiling, unit| {
        table.row(&format!("{what}, {engine:?}"), figure, ceiling, unit);
    };
    row(table, "count the nation's period, bare", bare_counts, f64::INFINITY, "ms");
    row(table, "national counts ÷ bare", counts_only / bare_counts, 1.5, "×");
    row(table, "the same with 500 who are not on time, bare", bare_all, f64::INFINITY, "ms");
    row(table, "national standings ÷ bare", all / bare_all, 1.5, "×");
    row(table, "GetReportingRate of the nation", asked, f64::INFINITY, "ms");
    watched.testing.stop().await;
}

/// Regimes of which something is open when a calendar is amended, and how many units owe under each.
const AMENDED_REGIMES: usize = 30;
const OWING: usize = 10_000;

/// Amending the nation's calendar, by which every one of 300,000 open obligations moves; and what a reader waits meanwhile.
async fn amendments(engine: Engine, table: &mut Table) {
    *known() = hierarchy();
    let watched = Watched::over(engine, 0, 1).await;
    for number in 0..AMENDED_REGIMES {
        watched.create(&format!("amended-{number}")).await;
    }
    // One of all regimes' units is opened with it; the others are like it, in a hundred provinces.
    watched.run(&copies(engine)).await;
    if engine == Engine::Postgres {
        watched.run("ANALYZE obligation").await;
    }
    let (mut seconds, mut reads) = (Vec::new(), Vec::new());
    for day_of_month in [15, 18, 19, 20, 21] {
        let day_off = pb::CalendarDay {
            date: Some(field::pb_date(day(2026, 5, day_of_month))),
            kind: pb::calendar_day::Kind::InLieu.into(),
            ..pb::CalendarDay::default()
        };
        let request = pb::AmendCalendarRequest {
            name: "calendars/vn".to_owned(),
            days: vec![day_off],
            legal_basis: "Công điện số 1".to_owned(),
            reason: "Bão".to_owned(),
            ..pb::AmendCalendarRequest::default()
        };
        let mut operator = CalendarServiceClient::new(watched.testing.channel(&["operator"]));
        let begun = Instant::now();
        let mut amending = pin!(operator.amend_calendar(request));
        let made = loop {
            tokio::select! {
                made = &mut amending => break made.expect("an amendment").into_inner(),
                read = watched.read() => reads.push(read * 1e3),
            }
        };
        seconds.push(begun.elapsed().as_secs_f64());
        let moved = usize::try_from(made.moved_count);
        assert!(moved.is_ok_and(|moved| moved >= AMENDED_REGIMES * OWING), "{made:?}");
    }
    table.row(&format!("amend over 300 k open, {engine:?}"), median(seconds), 10.0, "s");
    let slowest = reads.iter().copied().fold(0.0, f64::max);
    table.row(&format!("a read meanwhile, {engine:?}"), median(reads), f64::INFINITY, "ms");
    table.row(&format!("the slowest read meanwhile, {engine:?}"), slowest, 1000.0, "ms");
    watched.testing.stop().await;
}

/// Has so many units owe as the one that each regime was opened with does.
fn copies(engine: Engine) -> String {
    let (numbers, uuid, area) = match engine {
        Engine::Sqlite => (
            format!(
                "WITH RECURSIVE numbers(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < {OWING})"
            ),
            "unhex(printf('%032x', n))",
            "unhex(printf('%032x', n % 100))",
        ),
        Engine::Postgres => (
            format!("WITH numbers AS (SELECT generate_series(1::bigint, {OWING}) AS n)"),
            "lpad(to_hex(n), 32, '0')::uuid",
            "lpad(to_hex(n % 100), 32, '0')::uuid",
        ),
    };
    format!(
        "INSERT INTO obligation (regime, period, unit_id, unit_code, path, tier, level, receiver_id, area_id, open_us, \
         original_due_us, due_us, due_generation, tell_us, sequence, hierarchy_version, next_check_us) \
         {numbers} SELECT regime, period, {uuid}, unit_code, path, tier, level, receiver_id, {area}, open_us, \
         original_due_us, due_us, due_generation, tell_us, sequence, hierarchy_version, next_check_us \
         FROM obligation CROSS JOIN numbers WHERE regime LIKE 'amended-%' AND period = '202605'"
    )
}

/// Compliance with obligations put in by the hundred thousand.
struct Watched {
    testing: Testing,
    database: Database,
}

impl Watched {
    /// With so many, of which the first `group` are of the one period of which some will fall due.
    async fn over(engine: Engine, count: usize, group: usize) -> Self {
        let place = Place::new(engine).await;
        let location = place.location.clone();
        let suite = Suite::new().with::<Registry>().with::<NoReports>().with::<Compliance>();
        // Sweeps run when they are asked for.
        let keys = [("compliance.sweep_cron", ""), ("compliance.sweep_every_s", "86400")];
        let testing = start_at(suite, place, now(), &keys).await;
        let database = Database::open(&location, "compliance").await.expect("a database");
        let watched = Self { testing, database };
        watched.create("bench").await;
        let mut operator = ComplianceServiceClient::new(watched.testing.channel(&["operator"]));
        operator.run_sweep(pb::RunSweepRequest::default()).await.expect("a sweep");
        for first in (0..count).step_by(AT_ONCE) {
            watched.run(&rows(engine, first, count, group)).await;
        }
        if engine == Engine::Postgres {
            watched.run("ANALYZE obligation").await;
        }
        watched
    }

    /// Puts a regime in force by which the province owes.
    async fn create(&self, id: &str) {
        let regime = pb::Regime {
            name: format!("regimes/{id}"),
            display_name: "Báo cáo".to_owned(),
            legal_basis: "Công văn số 1/VP".to_owned(),
            form: format!("forms/{id}"),
            receiving_unit: province().to_string(),
            frequency: pb::Frequency::Month.into(),
            due_rule: Some(pb::regime::DueRule::WorkingDaysAfterCutOff(3)),
            debtors: Some(pb::Debtors {
                units: vec![province().to_string()],
                ..pb::Debtors::default()
            }),
            from_date: Some(field::pb_date(day(2026, 5, 1))),
            ..pb::Regime::default()
        };
        let mut operator = ComplianceServiceClient::new(self.testing.channel(&["operator"]));
        let create = pb::CreateRegimeRequest { regime: Some(regime), ..Default::default() };
        operator.create_regime(create).await.expect("a regime");
    }

    /// The time that one page of a list takes.
    async fn read(&self) -> f64 {
        let mut reader = ComplianceServiceClient::new(self.testing.channel(&["reader"]));
        let request = pb::ListObligationsRequest {
            regime: "regimes/amended-0".to_owned(),
            ..pb::ListObligationsRequest::default()
        };
        let begun = Instant::now();
        reader.list_obligations(request).await.expect("a page");
        begun.elapsed().as_secs_f64()
    }

    async fn run(&self, sql: &str) {
        let write = self.database.write(async |write| write.execute_unprepared(sql).await);
        write.await.expect("a statement");
    }

    /// Has the first `count` of the period fall due, and takes the time of the sweep that finds them.
    async fn sweep(&self, count: usize) -> f64 {
        let due = now().timestamp_micros();
        // A due time that nobody was told of yet.
        self.run(&format!(
            "UPDATE obligation SET due_us = {due}, tell_us = {due}, next_check_us = {due}, \
             due_generation = due_generation + 1, receive_us = NULL, report_id = NULL \
             WHERE regime = 'bench' AND period = '202605' AND unit_code <= '{count:09}' AND unit_code > ''"
        ))
        .await;
        let mut operator = ComplianceServiceClient::new(self.testing.channel(&["operator"]));
        let begun = Instant::now();
        let swept = operator.run_sweep(pb::RunSweepRequest::default()).await.expect("a sweep");
        let seconds = begun.elapsed().as_secs_f64();
        let swept = swept.into_inner();
        let told = (usize::try_from(swept.missing_count), swept.notice_count);
        assert_eq!(told, (Ok(count), 1), "{swept:?}");
        seconds
    }
}

/// Puts obligations in, of `count` those from `first` on, in groups of so many: the first is the one period of which some will
/// fall due, the others are of other regimes. Nine of ten are settled; the others are due years ahead.
fn rows(engine: Engine, first: usize, count: usize, group: usize) -> String {
    let last = (first + AT_ONCE).min(count);
    let (numbers, uuid) = match engine {
        Engine::Sqlite => (
            format!(
                "WITH RECURSIVE numbers(n) AS (VALUES ({}) UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})",
                first + 1
            ),
            "unhex(printf('%032x', n))",
        ),
        Engine::Postgres => (
            format!("WITH numbers AS (SELECT generate_series({}::bigint, {last}) AS n)", first + 1),
            "lpad(to_hex(n), 32, '0')::uuid",
        ),
    };
    let code = match engine {
        Engine::Sqlite => "printf('%09d', n)",
        Engine::Postgres => "lpad(n::text, 9, '0')",
    };
    let province = province().uuid();
    let province_id = match engine {
        Engine::Sqlite => format!("unhex('{}')", province.simple()),
        Engine::Postgres => format!("'{province}'::uuid"),
    };
    let ahead = now().timestamp_micros() + 100_000_000_000_000;
    // The first of the one period are those that fall due.
    let is_open = format!("(n <= {DUE} OR n % 10 = 0)");
    format!(
        "INSERT INTO obligation (regime, period, unit_id, unit_code, path, tier, level, receiver_id, area_id, open_us, \
         original_due_us, due_us, due_generation, tell_us, receive_us, report_id, sequence, hierarchy_version, next_check_us) \
         {numbers} SELECT \
         CASE WHEN n <= {group} THEN 'bench' ELSE 'other-' || ((n - 1) / {group}) END, '202605', {uuid}, {code}, \
         '/{path}/', 1, 'commune', {province_id}, {province_id}, 0, {ahead}, {ahead}, 1, {ahead}, \
         CASE WHEN {is_open} THEN NULL ELSE 1 END, CASE WHEN {is_open} THEN NULL ELSE {uuid} END, 1, 1, \
         CASE WHEN {is_open} THEN {ahead} END FROM numbers",
        path = province.simple(),
    )
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_779_400_000, 0).expect("a time")
}

fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).expect("a day")
}
