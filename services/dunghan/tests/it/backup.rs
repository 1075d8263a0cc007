//! Backups made beside a running suite and restored elsewhere, by the very commands of docs/OPERATIONS.md.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunghan_proto::aggregation::GetRollUpRequest;
use dunghan_proto::aggregation::aggregation_service_client::AggregationServiceClient;
use dunghan_proto::compliance as pb;
use dunghan_proto::events::ListEventsRequest;
use dunghan_proto::events::event::Payload;
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_proto::submission;
use dunghan_proto::submission::attachment_service_client::AttachmentServiceClient;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_proto::submission::value::Figure;
use dunghan_store::Location;
use dunghan_testkit::{Engine, Place, Postgres, binary, eventually, import_row};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tonic::Status;

use crate::binary::{Serving, run_in};
use crate::crash::{Client, PERIOD, REGIME, code, regime, row, unit};

const COMMUNES: usize = 150;
const INDICATOR: &str = "documents_issued_total";
const LIMIT: Duration = Duration::from_secs(60);

/// The shell commands under a heading of docs/OPERATIONS.md.
fn documented(heading: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/OPERATIONS.md");
    let text = fs::read_to_string(file).unwrap();
    let (_, section) = text.split_once(&format!("### {heading}\n")).expect("the heading");
    let section = section.split("\n#").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let commands: String = blocks.collect();
    assert!(!commands.is_empty(), "{heading} has no commands");
    commands
}

/// Runs documented commands, with the documentation's places replaced by those of the test.
fn operate(heading: &str, places: &[(&str, &Path)], variables: &[(&str, &str)]) {
    operate_in(Path::new("."), heading, places, variables);
}

/// The same within a folder, whose own `bin` has the commands that are there.
fn operate_in(within: &Path, heading: &str, places: &[(&str, &Path)], variables: &[(&str, &str)]) {
    let mut commands = documented(heading);
    for (documented, here) in places {
        assert!(commands.contains(documented), "{heading} does not use {documented}");
        commands = commands.replace(documented, here.to_str().unwrap());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres-bin");
    let postgres = Command::new(script).output().unwrap().stdout;
    let postgres = PathBuf::from(String::from_utf8(postgres).unwrap().trim());
    let dunghan = PathBuf::from(binary().get_program());
    let outside = std::env::var_os("PATH").unwrap_or_default();
    let mut path = OsString::new();
    for folder in [&within.join("bin"), dunghan.parent().unwrap(), &postgres] {
        path.push(folder);
        path.push(":");
    }
    path.push(outside);
    let mut shell = Command::new("bash");
    // What is set around the test is no business of it.
    let outside = std::env::vars().map(|(name, _)| name);
    outside.filter(|name| name.starts_with("DUNGHAN_")).for_each(|name| {
        shell.env_remove(name);
    });
    shell
        .current_dir(within)
        .args(["-euc", &commands])
        .env("PATH", path)
        .envs(variables.iter().copied());
    let ran = shell.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{commands}\n{said}");
}

/// What commune number `number` reports, begun and handed over.
async fn submit(client: &Client, number: usize) -> Result<String, Status> {
    let name = begin(client, number).await?;
    hand_over(client, name).await
}

async fn begin(client: &Client, number: usize) -> Result<String, Status> {
    let value = submission::Value {
        indicator: INDICATOR.to_owned(),
        figure: Some(Figure::Count(7)),
        ..Default::default()
    };
    let report = submission::Report {
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        values: vec![value],
        narrative: "Kết quả thực hiện trong năm.".to_owned(),
        ..Default::default()
    };
    let parent = unit(&code(number));
    let mut client = SubmissionServiceClient::new(client.0.clone());
    let begin =
        submission::CreateReportRequest { parent, report: Some(report), ..Default::default() };
    Ok(client.create_report(begin).await?.into_inner().name)
}

async fn hand_over(client: &Client, name: String) -> Result<String, Status> {
    let mut client = SubmissionServiceClient::new(client.0.clone());
    let hand_over = submission::SubmitReportRequest { name, ..Default::default() };
    Ok(client.submit_report(hand_over).await?.into_inner().name)
}

/// What an attached file holds.
const ATTACHED: &str = "Danh sách thủ tục.\n";

/// Puts a file on a report, and gives its name.
async fn attach(client: &Client, report: &str) -> String {
    use submission::upload_attachment_request::{Header, Message};
    let header = Header {
        parent: report.to_owned(),
        file_name: "Phụ lục.txt".to_owned(),
        size_bytes: ATTACHED.len().try_into().unwrap(),
        sha256: format!("{:x}", Sha256::digest(ATTACHED)),
        ..Header::default()
    };
    let messages = [Message::Header(header), Message::Chunk(ATTACHED.into())];
    let messages = messages.map(|one| submission::UploadAttachmentRequest { message: Some(one) });
    let mut client = AttachmentServiceClient::new(client.0.clone());
    let attached = client.upload_attachment(tokio_stream::iter(messages)).await.unwrap();
    attached.into_inner().name
}

/// That a file holds what it held.
async fn is_whole(client: &Client, attachment: &str) {
    use submission::download_attachment_response::Message;
    let name = attachment.to_owned();
    let mut client = AttachmentServiceClient::new(client.0.clone());
    let request = submission::DownloadAttachmentRequest { name };
    let mut given = client.download_attachment(request).await.unwrap().into_inner();
    let mut bytes = Vec::new();
    while let Some(next) = given.message().await.unwrap() {
        if let Some(Message::Chunk(chunk)) = next.message {
            bytes.extend(chunk);
        }
    }
    assert_eq!(String::from_utf8(bytes).unwrap(), ATTACHED);
}

/// The province, its communes and the regime.
async fn set_up(client: &Client) {
    let province = std::iter::once(row("24", ""));
    let rows = province.chain((0..COMMUNES).map(|number| row(&code(number), "24")));
    let mut registry = RegistryServiceClient::new(client.0.clone());
    let rows = tokio_stream::iter(rows.map(import_row).collect::<Vec<_>>());
    assert_eq!(registry.import_units(rows).await.unwrap().into_inner().problems, []);
    let request = pb::CreateRegimeRequest { regime: Some(regime()), ..Default::default() };
    client.compliance().create_regime(request).await.unwrap();
}

/// Where each unit stands, by obligation.
async fn standings(client: &Client) -> BTreeMap<String, pb::Obligation> {
    let request = pb::ListObligationsRequest { page_size: 1000, ..Default::default() };
    let page = client.compliance().list_obligations(request).await.unwrap().into_inner();
    page.obligations.into_iter().map(|one| (one.name.clone(), one)).collect()
}

/// The reports that submission has received, by name.
async fn received(client: &Client) -> BTreeSet<String> {
    let request = submission::ListReportsRequest {
        states: vec![submission::report::State::Submitted.into()],
        page_size: 1000,
        ..Default::default()
    };
    let mut client = SubmissionServiceClient::new(client.0.clone());
    let page = client.list_reports(request).await.unwrap().into_inner();
    page.reports.into_iter().map(|report| report.name).collect()
}

/// The reports that aggregation adds up, and the sum.
async fn added_up(client: &Client) -> (BTreeSet<String>, i64) {
    let request = GetRollUpRequest {
        scope: unit("24"),
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        indicator: INDICATOR.to_owned(),
        category: String::new(),
    };
    let mut client = AggregationServiceClient::new(client.0.clone());
    let sum = client.get_roll_up(request).await.unwrap().into_inner();
    (sum.contributions.into_iter().map(|one| one.report).collect(), sum.total)
}

/// Submission's events after a position: the reports that they are about, and the last position.
async fn events_after(client: &Client, position: &str) -> (Vec<String>, String) {
    let request =
        ListEventsRequest { after: position.to_owned(), page_size: 1000, ..Default::default() };
    let mut client = SubmissionServiceClient::new(client.0.clone());
    let events = client.list_events(request).await.unwrap().into_inner().events;
    let end = events.last().map_or_else(String::new, |last| last.position.clone());
    let reports = events.into_iter().filter_map(|event| match event.payload {
        Some(Payload::ReportSubmitted(submitted)) => Some(submitted.report),
        _ => None,
    });
    (reports.collect(), end)
}

/// What was there when the backup began.
struct Before {
    acknowledged: Vec<String>,
    standings: BTreeMap<String, pb::Obligation>,
    /// A file on one of them.
    attachment: String,
    /// How far somebody had read when all was lost: further than the backup.
    ahead: String,
}

/// Has reports submitted one after another, and `backup` run meanwhile.
async fn back_up_under_load(client: &Client, backup: impl FnOnce() + Send + 'static) -> Before {
    set_up(client).await;
    let first = begin(client, 0).await.unwrap();
    let attachment = attach(client, &first).await;
    let first = hand_over(client, first).await.unwrap();
    let acknowledged = Arc::new(Mutex::new(vec![first]));
    let enough = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (client, acknowledged, enough) = (client.clone(), acknowledged.clone(), enough.clone());
        async move {
            // The last one is left for afterwards.
            for number in 1..COMMUNES - 1 {
                let name = submit(&client, number).await.unwrap();
                acknowledged.lock().unwrap().push(name);
                if enough.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
    });
    let count = || acknowledged.lock().unwrap().len();
    eventually(LIMIT, async || (count() >= 20).then_some(())).await;
    // Compliance and aggregation have read some of it, and go on reading while they are copied.
    let standings = standings(client).await;
    added_up(client).await;
    let before = acknowledged.lock().unwrap().clone();
    tokio::task::spawn_blocking(backup).await.unwrap();
    enough.store(true, Ordering::Relaxed);
    writing.await.unwrap();
    let (_, ahead) = events_after(client, "").await;
    Before { acknowledged: before, standings, attachment, ahead }
}

/// That everything is there that was, that the services agree on it, and that they go on.
async fn nothing_was_lost(client: &Client, before: Before) {
    let there = received(client).await;
    let lost: Vec<_> = before.acknowledged.iter().filter(|name| !there.contains(*name)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    is_whole(client, &before.attachment).await;
    let now = standings(client).await;
    for (name, stood) in before.standings.iter().filter(|(_, stood)| !stood.report.is_empty()) {
        assert_eq!(&now[name], stood);
    }
    // Neither is behind, and neither knows of a report that submission does not have.
    let reports = now.values().map(|one| one.report.clone()).filter(|report| !report.is_empty());
    assert_eq!(reports.collect::<BTreeSet<_>>(), there);
    let (counted, total) = added_up(client).await;
    assert_eq!(counted, there);
    assert_eq!(total, 7 * i64::try_from(there.len()).unwrap());

    let new = submit(client, COMMUNES - 1).await.unwrap();
    assert_eq!(events_after(client, &before.ahead).await.0, [new.as_str()]);
    assert!(standings(client).await.values().any(|one| one.report == new), "{new}");
    let (counted, total) = added_up(client).await;
    assert!(counted.contains(&new), "{new}");
    assert_eq!(total, 7 * i64::try_from(there.len() + 1).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_a_backup_of_files_is_there_after_the_restore() {
    let folder = Arc::new(TempDir::new().unwrap());
    let (data, backup) = (folder.path().join("data"), folder.path().join("backups/one"));
    let args = ["--data-dir", data.to_str().unwrap()];
    let server = Serving::over(&folder, &args);
    let client = Client::of(&server, &data.join("issuer.pem"));
    let places = [data.clone(), backup.clone()];
    let before = back_up_under_load(&client, move || {
        let [data, backup] = &places;
        let places = [
            ("/var/lib/dunghan", data.as_path()),
            ("/var/backups/dunghan/2026-11-22", backup.as_path()),
        ];
        operate("SQLite: back up", &places, &[]);
    });
    let before = before.await;
    drop(server);

    fs::rename(&data, folder.path().join("lost")).unwrap();
    let places = [
        ("/var/lib/dunghan", data.as_path()),
        ("/var/backups/dunghan/2026-11-22", backup.as_path()),
    ];
    operate("SQLite: restore", &places, &[]);
    let server = Serving::over(&folder, &args);
    // By the key that was restored: tokens of before hold.
    nothing_was_lost(&Client::of(&server, &data.join("issuer.pem")), before).await;
}

/// Does to a folder what is asked for of a pod's volume.
const KUBECTL: &str = r#"#!/bin/bash
set -eu
here() { sed -e "s:^dunghan-files\:::" -e "s:/data\b:$POD_DATA:g" <<<"$1"; }
verb=$1
shift
case $verb in
    apply | wait | scale | delete) exit ;;
    cp)
        [ "$1 $2" = '--namespace dunghan' ]
        cp -r "$(here "$3")" "$(here "$4")" ;;
    exec)
        [ "$1 $2 $4" = '--namespace dunghan --' ]
        shift 4
        command=()
        for word; do command+=("$(here "$word")"); done
        DUNGHAN_DATA_DIR=$POD_DATA "${command[@]}" ;;
    *) exit 2 ;;
esac
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pod_held_comes_back_to_its_volume_with_the_attached_files() {
    let folder = Arc::new(TempDir::new().unwrap());
    let data = folder.path().join("volume");
    let args = ["--data-dir", data.to_str().unwrap()];
    let server = Serving::over(&folder, &args);
    let client = Client::of(&server, &data.join("issuer.pem"));
    set_up(&client).await;
    let report = begin(&client, 0).await.unwrap();
    let attachment = attach(&client, &report).await;
    assert!(server.stop().success());

    let kubectl = folder.path().join("bin/kubectl");
    fs::create_dir(kubectl.parent().unwrap()).unwrap();
    fs::write(&kubectl, KUBECTL).unwrap();
    fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).unwrap();
    let variables = [("POD_DATA", data.to_str().unwrap())];
    let heading = "SQLite in a pod: back up and restore";
    operate_in(folder.path(), heading, &[], &variables);
    // What was there was put aside, and something else is there.
    assert!(data.join("lost/submission.db").exists() && data.join("lost/attachments").exists());
    fs::remove_dir_all(data.join("lost")).unwrap();

    let server = Serving::over(&folder, &args);
    let client = Client::of(&server, &data.join("issuer.pem"));
    is_whole(&client, &attachment).await;
    hand_over(&client, report).await.unwrap();
}

/// Whose transactions have the greater numbers, where a dump is restored into another cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ahead {
    Old,
    New,
}

async fn a_dump_is_restored(ahead: Ahead) {
    let source = Place::new(Engine::Postgres).await;
    let other = tokio::task::spawn_blocking(Postgres::new).await.unwrap();
    let target = Place::on(&other).await;
    let [from, to] = [&source, &target].map(|place| match &place.location {
        Location::Postgres(url) => url.clone(),
        Location::Sqlite(_) => unreachable!("{place:?}"),
    });
    if ahead == Ahead::Old {
        advance(&from, next_transaction(&to) + 100_000);
    }
    let folder = Arc::new(TempDir::new().unwrap());
    let (key, dump) = (folder.path().join("issuer.pem"), folder.path().join("dump"));
    let issuer = format!("auth.issuer_key={}", key.display());
    let location = format!("storage.location={from}");
    let server = Serving::over(&folder, &["--set", &location, "--set", &issuer]);
    let client = Client::of(&server, &key);
    let (into, url) = (dump.clone(), from.clone());
    let before = back_up_under_load(&client, move || {
        let places = [("/var/backups/dunghan/2026-11-22.dump", into.as_path())];
        operate("PostgreSQL: back up", &places, &[("DUNGHAN_STORAGE__LOCATION", &url)]);
    });
    let before = before.await;
    drop(server);

    if ahead == Ahead::New {
        advance(&to, next_transaction(&from) + 100_000);
    }
    let places = [("/var/backups/dunghan/2026-11-22.dump", dump.as_path())];
    operate("PostgreSQL: restore", &places, &[("DUNGHAN_STORAGE__LOCATION", &to)]);
    let (old, new) = (next_transaction(&from), next_transaction(&to));
    assert_eq!(new > old, ahead == Ahead::New, "{old} {new}");
    let location = format!("storage.location={to}");
    // The tables are not this process's to change: the commands have done all that there is to do.
    let check = "storage.migrations=check";
    let server = Serving::over(&folder, &["--set", &location, "--set", &issuer, "--set", check]);
    nothing_was_lost(&Client::of(&server, &key), before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_goes_on_in_a_cluster_whose_transactions_have_smaller_numbers() {
    a_dump_is_restored(Ahead::Old).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_goes_on_in_a_cluster_whose_transactions_have_greater_numbers() {
    a_dump_is_restored(Ahead::New).await;
}

fn psql(url: &str, sql: &str) -> String {
    let ran = Command::new("psql").args([url, "-AtXc", sql]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

fn next_transaction(url: &str) -> u64 {
    psql(url, "SELECT pg_snapshot_xmax(pg_current_snapshot())").trim().parse().unwrap()
}

/// Begins and ends transactions until their numbers have passed `number`.
fn advance(url: &str, number: u64) {
    let sql = format!(
        "DO $$ BEGIN WHILE pg_current_xact_id()::text::bigint < {number} LOOP COMMIT; END LOOP; END $$"
    );
    psql(url, &sql);
}

/// A backup of a server that has ended, and the folder that it is in.
fn backed_up() -> (TempDir, PathBuf) {
    let folder = Arc::new(TempDir::new().unwrap());
    assert!(Serving::over(&folder, &[]).stop().success());
    let ran = run_in(folder.path(), &["backup", "copy", "--output", "json"]);
    let files = ran.json()["files"].as_array().unwrap().clone();
    let names: Vec<_> = files.iter().map(|file| file["name"].as_str().unwrap()).collect();
    // Consumers of events before owners, so that none is ahead.
    let databases = ["aggregation.db", "compliance.db", "submission.db", "registry.db"];
    assert_eq!(names, [&databases[..], &["issuer.pem", "receipt.pem"]].concat());
    let copy = folder.path().join("copy");
    (Arc::into_inner(folder).unwrap(), copy)
}

#[test]
fn a_backup_is_for_its_owner_alone_and_replaces_nothing() {
    let (folder, copy) = backed_up();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&copy), 0o700);
    // And so is what it was copied from.
    assert_eq!(mode(&folder.path().join("dunghan-data")), 0o700);
    for entry in fs::read_dir(&copy).unwrap() {
        let file = entry.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    let again = run_in(folder.path(), &["backup", "copy"]);
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.err.contains("copy has to be an empty folder"), "{again:?}");
    let nothing = run_in(folder.path(), &["backup", "other", "--data-dir", "nowhere"]);
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
    assert!(!folder.path().join("other").exists());
    let restored = run_in(folder.path(), &["restore", "copy", "--data-dir", "new"]);
    assert!(restored.table().contains("compliance.db"), "{restored:?}");
    for entry in fs::read_dir(folder.path().join("new")).unwrap() {
        let file = entry.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn only_a_whole_backup_is_restored_and_only_into_an_empty_folder() {
    let (folder, copy) = backed_up();
    let refused = |args: &[&str], why: &str| {
        let ran = run_in(folder.path(), &[&["restore"], args].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
    };
    let is_empty = |name: &str| fs::read_dir(folder.path().join(name)).unwrap().count() == 0;
    // The default folder holds the data that was backed up; its key is the first thing in the way.
    refused(&["copy"], "nothing was restored");
    let other_key = ["copy", "--set", "auth.issuer_key=elsewhere/key.pem"];
    refused(&other_key, "receipt.pem is there already: nothing was restored");
    let other_keys = [&other_key[..], &["--set", "submission.receipt_key=elsewhere/receipt.pem"]];
    refused(&other_keys.concat(), "has to be an empty folder");
    refused(&["nowhere", "--data-dir", "new"], "is no whole backup");

    let database = copy.join("compliance.db");
    let whole = fs::read(&database).unwrap();
    let mut other = whole.clone();
    other[5000] ^= 1;
    for changed in [other, whole[..whole.len() - 1].to_vec()] {
        fs::write(&database, changed).unwrap();
        refused(&["copy", "--data-dir", "new"], "is not the file that was backed up");
        assert!(is_empty("new"));
    }
    fs::write(&database, &whole).unwrap();

    let manifest = copy.join("backup.json");
    let text = fs::read_to_string(&manifest).unwrap();
    for (from, to) in
        [("\"registry.db\"", "\"../registry.db\""), ("\"format\": 1", "\"format\": 2")]
    {
        assert!(text.contains(from), "{text}");
        fs::write(&manifest, text.replace(from, to)).unwrap();
        refused(&["copy", "--data-dir", "new"], "does not know how to restore it");
    }
    fs::remove_file(&manifest).unwrap();
    refused(&["copy", "--data-dir", "new"], "is no whole backup");

    fs::write(&manifest, text).unwrap();
    // What a new file system has is no data.
    fs::create_dir_all(folder.path().join("new/lost+found")).unwrap();
    assert_eq!(run_in(folder.path(), &["restore", "copy", "--data-dir", "new"]).code, Some(0));
}

#[test]
fn attached_files_are_in_a_backup_and_come_back_with_it() {
    let (folder, copy) = backed_up();
    fs::remove_dir_all(&copy).unwrap();
    let data = folder.path().join("dunghan-data/attachments");
    let id = "5b0c8a52-6d3c-4f0e-9d0b-0d8f1f5d2c11";
    fs::create_dir_all(data.join("5b")).unwrap();
    fs::write(data.join("5b").join(id), "%PDF-").unwrap();
    // What is being written, and what somebody left there.
    for other in [format!("{id}#1"), "notes.txt".to_owned()] {
        fs::write(data.join("5b").join(other), "...").unwrap();
    }
    // What a new file system has, and only its administrator reads; and whose the files are.
    fs::create_dir(data.join("lost+found")).unwrap();
    fs::set_permissions(data.join("lost+found"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::write(data.join("owner"), "sqlite/1\n").unwrap();
    let ran = run_in(folder.path(), &["backup", "copy"]);
    assert!(ran.table().contains("attachments: 1 files"), "{ran:?}");
    let name = format!("attachments/5b/{id}");
    let manifest = fs::read_to_string(copy.join("backup.json")).unwrap();
    assert!(manifest.contains(&name) && !manifest.contains("notes"), "{manifest}");

    let restore = |args: &[&str]| run_in(folder.path(), &[&["restore", "copy"], args].concat());
    let to_s3 = "submission.attachments.location=s3://bao-cao";
    let ran = restore(&["--data-dir", "new", "--set", to_s3]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("no folder to put them back into"), "{ran:?}");
    for (changed, why) in [("%PDF+", "is not the file that was backed up"), ("%PDF-", "")] {
        fs::write(copy.join(&name), changed).unwrap();
        let ran = restore(&["--data-dir", "new"]);
        assert!(ran.err.contains(why), "{ran:?}");
        let left = fs::read_dir(folder.path().join("new")).unwrap().count();
        assert_eq!((ran.code == Some(0), left == 0), (why.is_empty(), !why.is_empty()), "{ran:?}");
    }
    let file = folder.path().join("new").join(&name);
    assert_eq!(fs::read(&file).unwrap(), b"%PDF-");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));

    let elsewhere = "submission.attachments.location=files";
    fs::create_dir(folder.path().join("files")).unwrap();
    fs::write(folder.path().join("files/mine"), "...").unwrap();
    let ran = restore(&["--data-dir", "other", "--set", elsewhere]);
    assert!(ran.err.contains("files has to be an empty folder"), "{ran:?}");
    fs::remove_file(folder.path().join("files/mine")).unwrap();
    assert_eq!(restore(&["--data-dir", "other", "--set", elsewhere]).code, Some(0));
    assert!(folder.path().join("files/5b").join(id).exists());
}

#[test]
fn data_in_postgresql_is_left_to_its_own_tools() {
    let folder = TempDir::new().unwrap();
    let location = ["--set", "storage.location=postgres://db/dunghan"];
    for command in ["backup", "restore"] {
        let ran = run_in(folder.path(), &[&[command, "copy"], location.as_slice()].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("pg_dump"), "{ran:?}");
    }
}
