//! Compliance as it runs, over obligations put in by the hundred thousand.

use std::time::Instant;

use anyhow::ensure;
use chrono::{DateTime, Utc};
use dunghan_calendar::ManualClock;
use dunghan_compliance::Compliance;
use dunghan_host::Suite;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::calendar_service_client::CalendarServiceClient;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_rpc::{Peer, field};
use dunghan_store::Database;
use sea_orm_migration::sea_orm::{ConnectionTrait as _, DbBackend, DbErr, Statement};

use super::Size;
use crate::peers::{NoReports, Registry, know, one_province, province};
use crate::served::Served;
use crate::{Ground, day, many, now};

/// Rows put in by one statement: well below what a database lets a statement take.
const AT_ONCE: usize = 200_000;
/// After so many rows it is told how far this is.
const TOLD_EACH: usize = 2_000_000;
pub(super) struct Watched {
    pub(super) database: Database,
    pub(super) clock: ManualClock,
    served: Served,
}

impl Watched {
    /// Without any obligation.
    pub(super) async fn empty(ground: &Ground, at: DateTime<Utc>) -> anyhow::Result<Self> {
        let suite = Suite::new().with::<Registry>().with::<NoReports>().with::<Compliance>();
        let clock = ManualClock::at(at);
        // Sweeps run when they are asked for.
        let keys = [("compliance.sweep_cron", ""), ("compliance.sweep_every_s", "86400")];
        let place = ground.place().await?;
        let served = Served::start(place, suite, &clock, &keys).await?;
        let database = served.database("compliance").await?;
        Ok(Self { database, clock, served })
    }

    /// With so many, of which the first `group` are of the one period of which some will fall due.
    pub(super) async fn over(
        ground: &Ground,
        count: usize,
        group: usize,
        size: Size,
        tell: &(dyn Fn(&str) + Sync),
    ) -> anyhow::Result<Self> {
        know(one_province()?);
        let watched = Self::empty(ground, now()).await?;
        watched.create("bench").await?;
        watched.operator().run_sweep(pb::RunSweepRequest::default()).await?;
        for first in (0..count).step_by(AT_ONCE) {
            if first > 0 && first.is_multiple_of(TOLD_EACH) {
                tell(&format!("  {} of {} obligations are put in", many(first), many(count)));
            }
            watched.run(&rows(watched.database.engine(), first, count, group, size.due)).await?;
        }
        watched.analyze().await?;
        let rows = watched.count("SELECT count(*) FROM obligation WHERE unit_code > ''").await?;
        ensure!(usize::try_from(rows) == Ok(count), "{rows} of {count} obligations were put in");
        Ok(watched)
    }

    /// Ends it, and removes its data.
    pub(super) async fn stop(self, ground: &Ground) -> anyhow::Result<()> {
        self.database.close().await?;
        self.served.stop(ground).await
    }

    pub(super) fn operator(&self) -> ComplianceServiceClient<Peer> {
        ComplianceServiceClient::new(self.served.peer())
    }

    pub(super) fn calendar_operator(&self) -> CalendarServiceClient<Peer> {
        CalendarServiceClient::new(self.served.peer())
    }

    /// Puts a regime in force by which the province owes.
    pub(super) async fn create(&self, id: &str) -> anyhow::Result<()> {
        let debtors = pb::Debtors { units: vec![province().to_string()], ..Default::default() };
        let receiving_unit = province().to_string();
        self.put_in_force(pb::Regime { receiving_unit, ..regime(id, debtors) }).await
    }

    pub(super) async fn put_in_force(&self, regime: pb::Regime) -> anyhow::Result<()> {
        let create = pb::CreateRegimeRequest { regime: Some(regime), ..Default::default() };
        self.operator().create_regime(create).await?;
        Ok(())
    }

    /// The time that one page of a list takes.
    pub(super) async fn read(&self, regime: &str) -> anyhow::Result<f64> {
        let regime = format!("regimes/{regime}");
        let request = pb::ListObligationsRequest { regime, ..Default::default() };
        let mut reader = self.operator();
        let begun = Instant::now();
        reader.list_obligations(request).await?;
        Ok(begun.elapsed().as_secs_f64())
    }

    pub(super) async fn run(&self, sql: &str) -> anyhow::Result<()> {
        let write = self.database.write(async |write| write.execute_unprepared(sql).await);
        write.await?;
        Ok(())
    }

    pub(super) async fn count(&self, sql: &str) -> Result<i64, DbErr> {
        let statement = Statement::from_string(self.database.engine(), sql);
        let row = self.database.reader().query_one_raw(statement).await?;
        row.map_or(Ok(0), |row| row.try_get_by_index(0))
    }

    /// Has PostgreSQL know of what was put in, as it would have learnt by itself some minutes later.
    pub(super) async fn analyze(&self) -> anyhow::Result<()> {
        match self.database.engine() {
            DbBackend::Postgres => self.run("ANALYZE obligation").await,
            _ => Ok(()),
        }
    }

    /// Has the first `count` of the period fall due, and takes the time of the sweep that finds them.
    pub(super) async fn sweep(&self, count: usize) -> anyhow::Result<f64> {
        let due = now().timestamp_micros();
        // A due time that nobody was told of yet.
        self.run(&format!(
            "UPDATE obligation SET due_us = {due}, tell_us = {due}, next_check_us = {due}, \
             due_generation = due_generation + 1, receive_us = NULL, report_id = NULL \
             WHERE regime = 'bench' AND period = '202605' AND unit_code <= '{count:09}' AND unit_code > ''"
        ))
        .await?;
        let mut operator = self.operator();
        let begun = Instant::now();
        let swept = operator.run_sweep(pb::RunSweepRequest::default()).await?.into_inner();
        let seconds = begun.elapsed().as_secs_f64();
        let told = (usize::try_from(swept.missing_count), swept.notice_count);
        ensure!(told == (Ok(count), 1), "not {count} in one notice were told: {swept:?}");
        Ok(seconds)
    }
}

/// A monthly regime from May 2026 on.
pub(super) fn regime(id: &str, debtors: pb::Debtors) -> pb::Regime {
    pb::Regime {
        name: format!("regimes/{id}"),
        display_name: "Báo cáo".to_owned(),
        legal_basis: "Công văn số 1/VP".to_owned(),
        form: format!("forms/{id}"),
        frequency: pb::Frequency::Month.into(),
        due_rule: Some(pb::regime::DueRule::WorkingDaysAfterCutOff(3)),
        debtors: Some(debtors),
        from_date: Some(field::pb_date(day(2026, 5, 1))),
        ..pb::Regime::default()
    }
}

/// The numbers from one to another as `n`, with what is written before the SELECT.
pub(super) fn numbers(engine: DbBackend, first: usize, last: usize) -> String {
    match engine {
        DbBackend::Postgres => {
            format!("WITH numbers AS (SELECT generate_series({first}::bigint, {last}) AS n)")
        }
        _ => format!(
            "WITH RECURSIVE numbers(n) AS (VALUES ({first}) UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})"
        ),
    }
}

/// An expression for the unit of a number.
pub(super) fn unit_of(engine: DbBackend, number: &str) -> String {
    match engine {
        DbBackend::Postgres => format!("lpad(to_hex({number}), 32, '0')::uuid"),
        _ => format!("unhex(printf('%032x', {number}))"),
    }
}

/// Puts obligations in, of `count` those from `first` on, in groups of so many: the first is the one period of which some will
/// fall due, the others are of other regimes. Nine of ten are settled; the others are due years ahead.
fn rows(engine: DbBackend, first: usize, count: usize, group: usize, due: usize) -> String {
    let numbers = numbers(engine, first + 1, (first + AT_ONCE).min(count));
    let unit = unit_of(engine, "n");
    let code = match engine {
        DbBackend::Postgres => "lpad(n::text, 9, '0')",
        _ => "printf('%09d', n)",
    };
    let path = province().uuid().simple();
    let province_id = match engine {
        DbBackend::Postgres => format!("'{path}'::uuid"),
        _ => format!("unhex('{path}')"),
    };
    let ahead = now().timestamp_micros() + 100_000_000_000_000;
    // The first of the one period are those that fall due.
    let is_open = format!("(n <= {due} OR n % 10 = 0)");
    format!(
        "INSERT INTO obligation (regime, period, unit_id, unit_code, path, tier, level, receiver_id, area_id, open_us, \
         original_due_us, due_us, due_generation, tell_us, receive_us, report_id, sequence, hierarchy_version, next_check_us) \
         {numbers} SELECT \
         CASE WHEN n <= {group} THEN 'bench' ELSE 'other-' || ((n - 1) / {group}) END, '202605', {unit}, {code}, \
         '/{path}/', 1, 'commune', {province_id}, {province_id}, 0, {ahead}, {ahead}, 1, {ahead}, \
         CASE WHEN {is_open} THEN NULL ELSE 1 END, CASE WHEN {is_open} THEN NULL ELSE {unit} END, 1, 1, \
         CASE WHEN {is_open} THEN {ahead} END FROM numbers"
    )
}
