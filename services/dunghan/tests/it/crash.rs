//! kill -9, again and again, at whatever moment: what was acknowledged is there whole, what was not is there whole or
//! not at all, and everybody who is missing was told of once.

mod deadlines;
mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};
use dunghan_calendar::{Clock as _, SystemClock};
use dunghan_hierarchy::{NSO, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::compliance::dossier_service_client::DossierServiceClient;
use dunghan_proto::compliance::notice_service_client::NoticeServiceClient;
use dunghan_proto::compliance::record_dossiers_request::{Header, Message, Row};
use dunghan_proto::registry;
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_rpc::{Identity, Issuer, Peer, field, peer};
use dunghan_store::Location;
use dunghan_testkit::{Engine, Place, import_row};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;
use tonic::transport::Endpoint;
use tower::ServiceExt as _;

use crate::binary::Serving;

/// How long anything may take that has to happen.
const LIMIT: Duration = Duration::from_secs(30);
/// Of lists that are read to the end.
const PAGE: i32 = 1000;
pub(crate) const REGIME: &str = "regimes/nam-2023";
pub(crate) const PERIOD: &str = "2023-01-01--2023-12-31";

/// Long before the reports are due, which was long before any day on which this runs.
fn first_day() -> NaiveDate {
    "2020-01-01".parse().unwrap()
}

pub(crate) fn unit(code: &str) -> String {
    UnitId::new(NSO, code, Some(first_day())).to_string()
}

/// Commune number `number` of the province.
pub(crate) fn code(number: usize) -> String {
    format!("{:05}", 10_000 + number)
}

pub(crate) fn row(code: &str, parent: &str) -> registry::UnitRow {
    let (kind, level) = match parent {
        "" => (registry::Kind::Tinh, registry::Level::Province),
        _ => (registry::Kind::Xa, registry::Level::Commune),
    };
    registry::UnitRow {
        code: code.to_owned(),
        parent_code: parent.to_owned(),
        display_name: format!("Đơn vị {code}"),
        kind: kind.into(),
        level: level.into(),
        valid_from_date: Some(field::pb_date(first_day())),
        ..Default::default()
    }
}

pub(crate) fn regime() -> pb::Regime {
    pb::Regime {
        name: REGIME.to_owned(),
        display_name: "Báo cáo năm 2023".to_owned(),
        legal_basis: "Chế độ báo cáo minh họa, không do cơ quan nào ban hành".to_owned(),
        illustrative: true,
        form: "forms/cds-1".to_owned(),
        receiving_unit: unit("24"),
        frequency: pb::Frequency::Once.into(),
        once_period: PERIOD.to_owned(),
        due_rule: Some(pb::regime::DueRule::WorkingDaysAfterCutOff(3)),
        debtors: Some(pb::Debtors {
            subtree: unit("24"),
            levels: vec!["commune".to_owned()],
            ..Default::default()
        }),
        from_date: Some(field::pb_date("2023-01-01".parse().unwrap())),
        tell_from_date: Some(field::pb_date("2023-01-01".parse().unwrap())),
        ..Default::default()
    }
}

/// What a client sends in one stream.
#[derive(Clone, Debug)]
enum Batch {
    /// Communes by number, from one to before another.
    Units(usize, usize),
    /// Dossiers of the first commune, by number.
    Dossiers(usize, usize),
}

impl Batch {
    /// What it is about, as the lists name it.
    fn subjects(&self) -> BTreeSet<String> {
        match *self {
            Self::Units(from, to) => (from..to).map(|number| unit(&code(number))).collect(),
            Self::Dossiers(from, to) => {
                let unit = unit(&code(0));
                (from..to).map(|number| format!("{unit}/dossiers/H{number}")).collect()
            }
        }
    }
}

/// How much of a stream is sent before nothing more is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    All,
    /// Half of it, and neither more nor the end.
    Half,
}

/// Messages as a client sends them.
fn sending<T: Send + 'static>(mut messages: Vec<T>, sent: Sent) -> impl Stream<Item = T> + Send {
    if sent == Sent::Half {
        messages.truncate(messages.len().div_ceil(2));
    }
    let rest: Pin<Box<dyn Stream<Item = T> + Send>> = match sent {
        Sent::All => Box::pin(tokio_stream::empty()),
        Sent::Half => Box::pin(tokio_stream::pending()),
    };
    tokio_stream::iter(messages).chain(rest)
}

/// Calls to one server.
#[derive(Clone, Debug)]
pub(crate) struct Client(pub(crate) Peer);

impl Client {
    pub(crate) fn of(server: &Serving, key: &Path) -> Self {
        let grants = ["operator", "importer", "reporter", "supervisor"]
            .map(|grant| grant.parse().unwrap())
            .to_vec();
        let identity = Identity { subject: "tester".to_owned(), grants };
        let issuer = Issuer::read(key).unwrap();
        let token = issuer.sign(&identity, SystemClock.now(), TimeDelta::hours(1)).unwrap();
        let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
        let channel = Endpoint::from_shared(server.address.clone()).unwrap().connect_lazy();
        Self(peer(channel.map_request(move |mut request: http::Request<tonic::body::Body>| {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
            request
        })))
    }

    pub(crate) fn compliance(&self) -> ComplianceServiceClient<Peer> {
        ComplianceServiceClient::new(self.0.clone())
    }

    async fn send(&self, batch: &Batch, sent: Sent) -> Result<(), Status> {
        let problems = match *batch {
            Batch::Units(from, to) => {
                let rows = (from..to).map(|number| import_row(row(&code(number), "24")));
                let rows: Vec<_> = rows.collect();
                let mut client = RegistryServiceClient::new(self.0.clone());
                let answer = client.import_units(sending(rows, sent)).await?.into_inner();
                answer.problems.len()
            }
            Batch::Dossiers(from, to) => {
                let row_count = i32::try_from(to - from).unwrap();
                let header = Message::Header(Header { parent: unit(&code(0)), row_count });
                let rows = (from..to).map(|number| {
                    Message::Row(Row {
                        row: 0,
                        dossier_id: format!("H{number}"),
                        dossier: Some(pb::Dossier {
                            field: "Hộ tịch".to_owned(),
                            channel: pb::dossier::Channel::Online.into(),
                            receive_time: Some(field::pb_time(
                                "2023-05-04T01:00:00Z".parse().unwrap(),
                            )),
                            term: "3d".to_owned(),
                            ..Default::default()
                        }),
                    })
                });
                let messages = std::iter::once(header).chain(rows);
                let messages = messages
                    .map(|message| pb::RecordDossiersRequest { message: Some(message) })
                    .collect();
                let mut client = DossierServiceClient::new(self.0.clone());
                let answer = client.record_dossiers(sending(messages, sent)).await?.into_inner();
                answer.problems.len()
            }
        };
        assert_eq!(problems, 0, "{batch:?}");
        Ok(())
    }

    async fn sweep(&self) -> Result<pb::RunSweepResponse, Status> {
        Ok(self.compliance().run_sweep(pb::RunSweepRequest::default()).await?.into_inner())
    }

    /// The communes and the dossiers that are there, by name.
    async fn there(&self) -> BTreeSet<String> {
        let mut there = BTreeSet::new();
        let mut request = registry::ListUnitsRequest {
            levels: vec![registry::Level::Commune.into()],
            page_size: PAGE,
            ..Default::default()
        };
        let mut client = RegistryServiceClient::new(self.0.clone());
        loop {
            let page = client.list_units(request.clone()).await.unwrap().into_inner();
            there.extend(page.units.into_iter().map(|unit| unit.name));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        let scope = unit("24");
        let mut request =
            pb::ListOverdueDossiersRequest { scope, page_size: PAGE, ..Default::default() };
        let mut client = DossierServiceClient::new(self.0.clone());
        loop {
            let page = client.list_overdue_dossiers(request.clone()).await.unwrap().into_inner();
            there.extend(page.dossiers.into_iter().map(|dossier| dossier.name));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return there;
            }
        }
    }

    /// The obligations that are missing, by name.
    async fn missing(&self) -> BTreeSet<String> {
        let mut missing = BTreeSet::new();
        let mut request = pb::ListObligationsRequest {
            standings: vec![pb::Standing::Missing.into()],
            page_size: PAGE,
            ..Default::default()
        };
        loop {
            let page = self.compliance().list_obligations(request.clone()).await;
            let page = page.unwrap().into_inner();
            missing.extend(page.obligations.into_iter().map(|one| one.name));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return missing;
            }
        }
    }

    async fn notices(&self) -> Vec<pb::Notice> {
        let mut notices = Vec::new();
        let mut request = pb::ListNoticesRequest { page_size: PAGE, ..Default::default() };
        let mut client = NoticeServiceClient::new(self.0.clone());
        loop {
            let page = client.list_notices(request.clone()).await.unwrap().into_inner();
            notices.extend(page.notices);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return notices;
            }
        }
    }
}

/// What was sent, and what of it was acknowledged.
#[derive(Debug, Default)]
struct Ledger {
    acknowledged: Vec<Batch>,
    /// Cut off, or not yet sent again.
    open: Vec<Batch>,
}

impl Ledger {
    /// Notes how a batch was answered.
    fn note(&mut self, batch: Batch, answer: &Result<(), Status>) {
        match answer {
            Ok(()) => self.acknowledged.push(batch),
            Err(_) => self.open.push(batch),
        }
    }

    /// That what is there is made of whole batches, of all acknowledged ones for certain.
    fn must_be_whole(&self, there: &BTreeSet<String>) {
        for batch in &self.acknowledged {
            let subjects = batch.subjects();
            let found = subjects.intersection(there).count();
            assert_eq!(found, subjects.len(), "{batch:?} was acknowledged");
        }
        for batch in &self.open {
            let subjects = batch.subjects();
            let found = subjects.intersection(there).count();
            assert!(found == 0 || found == subjects.len(), "{found} of {batch:?} are there");
        }
    }

    /// Sends again what was cut off; all of it has to be taken.
    async fn send_open(&mut self, client: &Client) {
        for batch in std::mem::take(&mut self.open) {
            client.send(&batch, Sent::All).await.unwrap();
            self.acknowledged.push(batch);
        }
    }
}

/// That of everybody who is missing and of every dossier that is overdue exactly one notice tells, and each notice is
/// seen once by whoever watches.
async fn all_are_told_once(client: &Client, ledger: &Ledger) {
    let mut left = 1;
    while left > 0 {
        let swept = client.sweep().await.unwrap();
        assert_eq!(swept.unverified_count, 0);
        left = swept.notice_count;
    }
    let everything = ledger.acknowledged.iter().flat_map(Batch::subjects);
    let (dossiers, units): (BTreeSet<_>, BTreeSet<_>) =
        everything.partition(|name| name.contains("/dossiers/"));
    let missing = client.missing().await;
    let owing: BTreeSet<_> =
        missing.iter().filter_map(|name| name.split("/obligations/").next()).collect();
    assert_eq!(owing, units.iter().map(String::as_str).collect());

    let notices = client.notices().await;
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    for subject in notices.iter().flat_map(|notice| &notice.subjects) {
        *told.entry(subject).or_default() += 1;
    }
    let twice: Vec<_> = told.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "told more than once: {twice:?}");
    let expected: BTreeSet<_> = missing.iter().chain(&dossiers).map(String::as_str).collect();
    assert_eq!(told.keys().copied().collect::<BTreeSet<_>>(), expected);
    assert!(notices.iter().all(|notice| notice.recipient == unit("24")));

    let request = pb::WatchNoticesRequest { parent: unit("24"), resume_token: String::new() };
    let watching = NoticeServiceClient::new(client.0.clone()).watch_notices(request).await;
    let mut watching = watching.unwrap().into_inner();
    let mut seen = BTreeSet::new();
    while seen.len() < notices.len() {
        let message = timeout(LIMIT, watching.message()).await.expect("a notice");
        let notice = message.unwrap().unwrap().notice.unwrap();
        assert!(seen.insert(notice.name.clone()), "{} was seen twice", notice.name);
    }
    assert_eq!(seen, notices.into_iter().map(|notice| notice.name).collect());
}

/// What is going on when a process is killed.
#[derive(Clone, Debug)]
enum During {
    /// What it does by itself at the start.
    Start,
    /// Sweeps that were asked for.
    Sweep,
    /// A batch, of which so much was sent.
    Sending(Batch, Sent),
}

/// Kills a server so long after something has begun, and notes what was acknowledged all the same. The time is the
/// moment of the blow, not a guess at when something is done: whatever has been reached by then, the rules hold.
async fn kill(
    server: Serving,
    client: &Client,
    during: During,
    after: Duration,
    ledger: &mut Ledger,
) {
    let sweeps = if matches!(during, During::Sweep) { 2 } else { 0 };
    let sweeps = (0..sweeps).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.sweep().await })
    });
    let sweeps: Vec<_> = sweeps.collect();
    let batch = match during {
        During::Sending(batch, sent) => {
            let (client, sending) = (client.clone(), batch.clone());
            Some((batch, sent, tokio::spawn(async move { client.send(&sending, sent).await })))
        }
        During::Start | During::Sweep => None,
    };
    sleep(after).await;
    drop(server);
    for sweep in sweeps {
        // Cut off, or just done.
        let _ = timeout(LIMIT, sweep).await.expect("an end").unwrap();
    }
    if let Some((batch, sent, answer)) = batch {
        let answer = timeout(LIMIT, answer).await.expect("an end").unwrap();
        assert!(answer.is_err() || sent == Sent::All, "half of {batch:?} was acknowledged");
        ledger.note(batch, &answer);
    }
}

/// The province and its first communes, and a regime by which they are all late already.
async fn set_up(client: &Client, communes: usize, ledger: &mut Ledger) {
    let province = tokio_stream::once(import_row(row("24", "")));
    let mut registry = RegistryServiceClient::new(client.0.clone());
    let imported = registry.import_units(province).await.unwrap().into_inner();
    assert_eq!(imported.problems, []);
    ledger.open.push(Batch::Units(0, communes));
    ledger.send_open(client).await;
    let request = pb::CreateRegimeRequest { regime: Some(regime()), ..Default::default() };
    client.compliance().create_regime(request).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_killed_again_and_again_loses_nothing_and_tells_once() {
    use During::{Sending, Start, Sweep};
    use Sent::{All, Half};
    let folder = Arc::new(TempDir::new().unwrap());
    let key = folder.path().join("dunghan-data/issuer.pem");
    let mut ledger = Ledger::default();
    let mut server = Serving::over(&folder, &[]);
    set_up(&Client::of(&server, &key), 2500, &mut ledger).await;

    let rounds = [
        (Start, 0),
        (Sending(Batch::Units(2500, 2600), Half), 20),
        (Start, 20),
        (Sweep, 10),
        (Sending(Batch::Units(2600, 2700), All), 10),
        (Sending(Batch::Dossiers(0, 300), Half), 30),
        (Start, 60),
        (Sending(Batch::Dossiers(300, 600), All), 15),
        (Sweep, 60),
        (Sending(Batch::Units(2700, 2900), All), 40),
        (Sweep, 150),
        (Sending(Batch::Units(2900, 3000), All), 80),
        (Start, 120),
    ];
    for (round, (during, after)) in rounds.into_iter().enumerate() {
        let client = Client::of(&server, &key);
        if !matches!(during, Start) {
            ledger.must_be_whole(&client.there().await);
            // Now and then: some of it stays half sent over several starts.
            if round % 3 == 0 {
                ledger.send_open(&client).await;
            }
        }
        kill(server, &client, during, Duration::from_millis(after), &mut ledger).await;
        server = Serving::over(&folder, &[]);
    }
    let client = Client::of(&server, &key);
    ledger.must_be_whole(&client.there().await);
    ledger.send_open(&client).await;
    all_are_told_once(&client, &ledger).await;
}

#[tokio::test]
async fn two_servers_over_one_database_of_which_one_is_killed_tell_once() {
    use During::{Sending, Start, Sweep};
    use Sent::{All, Half};
    let place = Place::new(Engine::Postgres).await;
    let Location::Postgres(url) = &place.location else { unreachable!("{place:?}") };
    let folder = Arc::new(TempDir::new().unwrap());
    let key = folder.path().join("issuer.pem");
    let location = format!("storage.location={url}");
    let issuer = format!("auth.issuer_key={}", key.display());
    let args = ["--set", &location, "--set", &issuer];
    let mut ledger = Ledger::default();
    // Both find an empty database, and no key.
    let [stays, killed] = [(); 2].map(|()| Serving::begin(&folder, &args));
    let (mut stays, mut killed) = (stays.ready(), killed.ready());
    set_up(&Client::of(&killed, &key), 2000, &mut ledger).await;

    let rounds = [
        (Start, 0),
        (Sweep, 20),
        (Sending(Batch::Units(2000, 2300), Half), 30),
        (Sending(Batch::Units(2300, 2600), All), 30),
        (Sweep, 60),
        (Sending(Batch::Dossiers(0, 300), All), 15),
        (Sending(Batch::Units(2600, 3000), All), 80),
        (Sweep, 120),
    ];
    for (during, after) in rounds {
        let client = Client::of(&killed, &key);
        // The other one does the same work at the same time, and is not disturbed.
        let other = Client::of(&stays, &key);
        let sweeping = {
            let other = other.clone();
            tokio::spawn(async move { other.sweep().await })
        };
        kill(killed, &client, during, Duration::from_millis(after), &mut ledger).await;
        let swept = timeout(LIMIT, sweeping).await.expect("an end").unwrap().unwrap();
        assert_eq!(swept.unverified_count, 0);
        ledger.must_be_whole(&other.there().await);
        ledger.send_open(&other).await;
        // The next time it is the other's turn.
        killed = stays;
        stays = Serving::over(&folder, &args);
    }
    let client = Client::of(&stays, &key);
    ledger.must_be_whole(&client.there().await);
    all_are_told_once(&client, &ledger).await;
    all_are_told_once(&Client::of(&killed, &key), &ledger).await;
}

#[tokio::test]
async fn a_server_that_is_killed_at_its_first_start_starts_the_next_time() {
    for after in (0..150).step_by(10) {
        let folder = Arc::new(TempDir::new().unwrap());
        let begun = Serving::begin(&folder, &[]);
        sleep(Duration::from_millis(after)).await;
        drop(begun);
        let server = Serving::over(&folder, &[]);
        let client = Client::of(&server, &folder.path().join("dunghan-data/issuer.pem"));
        assert_eq!(client.sweep().await.unwrap().opened_count, 0, "{after} ms");
    }
}
