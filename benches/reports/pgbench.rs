//! `pgbench`, which comes with PostgreSQL, with statements that were written down, on a copy of the tables.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use dunghan_store::Database;
use sea_orm_migration::sea_orm::{ConnectionTrait as _, Statement};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::CLIENTS;
use super::wire::{Given, Sent};

/// The schema of the copy.
const COPY: &str = "pgbench";
/// As a UUID, the number of the report that is handed over. pgbench has numbers and no texts that it could make one of.
const NUMBERED: &str = "lpad(:n::text, 32, '0')::uuid";

/// The program, where it is.
pub(super) fn find() -> Option<PathBuf> {
    let told = Command::new("pg_config").arg("--bindir").output().ok();
    let told = told.and_then(|told| String::from_utf8(told.stdout).ok());
    let told = told.map(|folder| PathBuf::from(folder.trim()));
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let folders = told.into_iter().chain(std::env::split_paths(&paths));
    folders.map(|folder| folder.join("pgbench")).find(|program| program.is_file())
}

/// Statements as pgbench reads them.
pub(super) struct Script {
    program: PathBuf,
    text: String,
    /// What stands for the values, and these. Each comes with its statement each time.
    variables: Vec<(String, String)>,
}

impl Script {
    /// Of one call. Every UUID in it is of the report, or new with the call: the copy's reports have numbers in their place.
    pub(super) fn new(program: PathBuf, statements: &[Sent]) -> anyhow::Result<Self> {
        // A client takes every so manyth report.
        let mut text =
            format!("\\set turn :turn + 1\n\\set n :first + :turn * {CLIENTS} + :client_id\n");
        let mut variables = Vec::new();
        for (at, Sent { text: statement, values }) in statements.iter().enumerate() {
            let mut rest = statement.as_str();
            while let Some((before, after)) = rest.split_once('$') {
                let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
                let (number, after) = after.split_at(end);
                let value = number.parse().ok().and_then(|number: usize| {
                    number.checked_sub(1).and_then(|place| values.get(place))
                });
                text.push_str(before);
                match value.with_context(|| format!("${number} has no value: {statement}"))? {
                    Given::Null => text.push_str("NULL"),
                    Given::Uuid => text.push_str(NUMBERED),
                    Given::Text(value) => {
                        let name = format!("v{at}_{number}");
                        text.push_str(&format!(":{name}"));
                        variables.push((name, value.clone()));
                    }
                }
                rest = after;
            }
            text.push_str(rest);
            text.push_str(";\n");
        }
        Ok(Self { program, text, variables })
    }
}

/// A copy of the tables, and what is done there.
pub(super) struct Pgbench {
    database: Database,
    url: String,
    script: Script,
    folder: TempDir,
}

impl Pgbench {
    /// Over so many reports like the first that is there.
    pub(super) async fn over(
        database: Database,
        url: &str,
        script: Script,
        reports: usize,
    ) -> anyhow::Result<Self> {
        let folder = TempDir::new().context("no folder can be made for a script")?;
        std::fs::write(folder.path().join("submit.sql"), &script.text)?;
        let copy = copy(reports);
        database.write(async |write| write.execute_unprepared(&copy).await).await?;
        Ok(Self { database, url: url.to_owned(), script, folder })
    }

    /// Has each client hand over so many, from the one of that number on; gives how many that is in a second.
    pub(super) async fn run(&self, first: usize, each: usize) -> anyhow::Result<f64> {
        let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let mut command = Command::new(&self.script.program);
        command
            .args(["--no-vacuum", "--protocol", "prepared"])
            .args(["--client", &CLIENTS.to_string()])
            .args(["--jobs", &threads.min(CLIENTS).to_string()])
            .args(["--transactions", &each.to_string()])
            .arg("--file")
            .arg(self.folder.path().join("submit.sql"))
            .args(["--define", &format!("first={first}"), "--define", "turn=-1"]);
        for (name, value) in &self.script.variables {
            command.arg("--define").arg(format!("{name}={value}"));
        }
        // Where nobody reads it: it may hold a password.
        command.env("PGDATABASE", &self.url).env("PGOPTIONS", format!("-c search_path={COPY}"));
        command.stdin(Stdio::null());
        // Stopped meanwhile, it ends when its database is dropped.
        let ended = spawn_blocking(move || command.output()).await?;
        let ended = ended.context("pgbench did not start")?;
        let (out, err) =
            (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        ensure!(ended.status.success(), "pgbench failed: {}", err.trim());
        // Of several, the one without the time that connecting takes comes last.
        let rate = out.lines().rev().find_map(|line| line.strip_prefix("tps = "));
        let rate = rate.and_then(|rate| rate.split(' ').next()).and_then(|rate| rate.parse().ok());
        rate.with_context(|| format!("pgbench tells no rate: {out}"))
    }

    /// Holds what was done against what was to be done.
    pub(super) async fn end(self, reports: usize) -> anyhow::Result<()> {
        let Self { database, .. } = self;
        for (table, which) in
            [("report", "WHERE state = 'submitted'"), ("outbox", ""), ("request_log", "")]
        {
            let mut counts = Vec::new();
            for schema in [COPY, "submission"] {
                let sql = format!("SELECT count(*) FROM {schema}.{table} {which}");
                let statement = Statement::from_string(database.engine(), sql);
                let row = database.reader().query_one_raw(statement).await?;
                let count: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
                counts.push(usize::try_from(count)?);
            }
            ensure!(
                counts == [reports, reports],
                "pgbench and SubmitReport left {counts:?} rows of {reports} in {table}"
            );
        }
        Ok(database.close().await?)
    }
}

/// Copies the tables with all that belongs to them, and fills in so many reports like the one that was begun first.
fn copy(reports: usize) -> String {
    format!(
        "CREATE SCHEMA {COPY};
         DO $$ DECLARE one text; BEGIN
             FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'submission' LOOP
                 EXECUTE format('CREATE TABLE {COPY}.%I (LIKE submission.%I INCLUDING ALL)', one, one);
             END LOOP;
         END $$;
         INSERT INTO {COPY}.outbox_era SELECT * FROM submission.outbox_era;
         INSERT INTO {COPY}.report
             SELECT one.* FROM (SELECT * FROM submission.report ORDER BY id LIMIT 1) AS begun
             CROSS JOIN generate_series(0, {last}) AS nth
             CROSS JOIN LATERAL (SELECT lpad(nth::text, 32, '0')::uuid AS number) AS numbered
             CROSS JOIN LATERAL jsonb_populate_record(NULL::submission.report, to_jsonb(begun) || jsonb_build_object(
                 'id', number, 'unit_id', number, 'document_key', number)) AS one;
         ANALYZE submission.report;
         ANALYZE {COPY}.report",
        last = reports.saturating_sub(1)
    )
}
