//! The services that compliance asks, as small as they can be: they answer from one [`World`], which the test changes.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use dunghan_compliance::Compliance;
use dunghan_hierarchy::{
    Edge, EdgeKind, Hierarchy, Identifier, Kind, Level, NSO, UnitHistory, UnitId, Validity, Version,
};
use dunghan_host::{Running, Spec, Start, Suite};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::calendar_service_client::CalendarServiceClient;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::compliance::decision_service_client::DecisionServiceClient;
use dunghan_proto::compliance::dossier_service_client::DossierServiceClient;
use dunghan_proto::compliance::notice_service_client::NoticeServiceClient;
use dunghan_proto::compliance::record_dossiers_request::{Header, Message, Row};
use dunghan_proto::events::event::Payload;
use dunghan_proto::events::{
    Event, ListEventsRequest, ListEventsResponse, ReportAccepted, ReportReturned, ReportSubmitted,
    ReportWithdrawn,
};
use dunghan_proto::policy::ErrorReason;
use dunghan_proto::registry;
use dunghan_proto::registry::contact_service_server::{ContactService, ContactServiceServer};
use dunghan_proto::submission;
use dunghan_proto::submission::form_service_server::{FormService, FormServiceServer};
use dunghan_proto::submission::report_act::Kind as Act;
use dunghan_proto::submission::submission_service_server::{
    SubmissionService, SubmissionServiceServer,
};
use dunghan_rpc::{Peer, field, refuse};
use dunghan_store::Sql;
use dunghan_testkit::{Engine, Place, Testing, eventually, start_at};
use schemars::JsonSchema;
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use serde::{Deserialize, Serialize};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

pub(crate) const REGIME: &str = "regimes/cds-24";
pub(crate) const PERIOD: &str = "202605";
pub(crate) const FORM: &str = "forms/cds-1";

/// Communes of Bắc Ninh.
pub(crate) const BAC_NINH: [(&str, &str); 5] = [
    ("07210", "Phường Bắc Giang"),
    ("07228", "Phường Đa Mai"),
    ("07246", "Xã Xuân Lương"),
    ("07264", "Xã Tam Tiến"),
    ("09427", "Phường Trí Quả"),
];
/// Communes of Gia Lai.
pub(crate) const GIA_LAI: [(&str, &str); 2] =
    [("21583", "Phường Quy Nhơn"), ("21733", "Xã Bình Dương")];

/// An instant in Viet Nam, as `2026-05-19 08:00:00`.
pub(crate) fn time(text: &str) -> DateTime<Utc> {
    let text = format!("{}+07:00", text.replace(' ', "T"));
    DateTime::parse_from_rfc3339(&text).unwrap().to_utc()
}

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// The midnight that ends 19/05/2026: when the reports for [`PERIOD`] under [`regime`] are due.
pub(crate) fn due() -> DateTime<Utc> {
    time("2026-05-20 00:00:00")
}

pub(crate) fn microseconds(count: i64) -> TimeDelta {
    TimeDelta::microseconds(count)
}

/// Since when the units of a world exist.
pub(crate) fn first_day() -> NaiveDate {
    day("2025-07-01")
}

pub(crate) fn province(code: &str) -> UnitId {
    UnitId::new(NSO, code, Some(first_day()))
}

pub(crate) fn bac_ninh() -> UnitId {
    province("24")
}

pub(crate) fn gia_lai() -> UnitId {
    province("52")
}

pub(crate) fn commune(code: &str) -> UnitId {
    UnitId::new(NSO, code, Some(first_day()))
}

/// The department of Bắc Ninh that receives the reports; it has no code and nothing below it.
pub(crate) fn department() -> UnitId {
    UnitId::new("test", "so-khcn-24", None)
}

/// A unit of the lists.
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
    let code_held = Identifier { scheme: NSO.to_owned(), value: code.to_owned(), validity };
    UnitHistory { id: commune(code), versions: vec![version], identifiers: vec![code_held] }
}

/// What submission knows of a report.
#[derive(Clone, Debug)]
struct Report {
    name: String,
    sequence: i64,
    /// When it was first received; none: it was taken back.
    receive: Option<DateTime<Utc>>,
    /// Sent back and not yet there again: when, and by when it has to be.
    returned: Option<(DateTime<Utc>, DateTime<Utc>)>,
    acts: Vec<submission::ReportAct>,
}

impl Report {
    fn revision(&self) -> i32 {
        let handed_over = self.acts.iter().filter(|act| act.kind() == Act::Submitted);
        i32::try_from(handed_over.count()).unwrap()
    }

    fn act(&mut self, kind: Act, at: DateTime<Utc>, reason: &str) {
        let act = submission::ReportAct {
            kind: kind.into(),
            act_time: Some(field::pb_time(at)),
            record_time: Some(field::pb_time(at)),
            author: "reporter".to_owned(),
            reason: reason.to_owned(),
            revision: self.revision() + i32::from(kind == Act::Submitted),
            return_due_time: self.returned.map(|(_, due)| field::pb_time(due)),
            ..submission::ReportAct::default()
        };
        self.acts.push(act);
        self.sequence += 1;
    }
}

/// What the peers know.
#[derive(Debug)]
pub(crate) struct World {
    units: Vec<UnitHistory>,
    edges: Vec<Edge>,
    version: u64,
    reports: HashMap<(String, String, UnitId), Report>,
    /// By their names: what GetForm answers.
    pub(crate) forms: HashMap<String, submission::Form>,
    /// Posts that see to reports at units, since a day and through another.
    pub(crate) contacts: Vec<(UnitId, &'static str, NaiveDate, Option<NaiveDate>)>,
    /// Only the contacts cannot be asked for.
    pub(crate) contacts_away: bool,
    /// Only what was done with reports cannot be asked for.
    pub(crate) acts_away: bool,
    events: Vec<Event>,
    /// As many of the last events are held back, as an owner does while older transactions run.
    pub(crate) held_back: usize,
    pub(crate) registry_away: bool,
    pub(crate) submission_away: bool,
    /// Only BatchGetReceipts fails.
    pub(crate) receipts_away: bool,
    /// So many questions are answered by it, and then none.
    pub(crate) receipts_left: Option<usize>,
    /// How often submission was asked for its events.
    pub(crate) listed: usize,
    /// How many units submission was asked about, question by question.
    pub(crate) asked: Vec<usize>,
}

impl Default for World {
    fn default() -> Self {
        let since = Validity::since(first_day());
        let communes = |province: UnitId, list: &[(&str, &str)]| {
            let one = |(code, name): &(&str, &str)| unit(code, name, Some(province), since);
            list.iter().map(one).collect::<Vec<_>>()
        };
        let department = UnitHistory {
            id: department(),
            versions: vec![Version {
                validity: since,
                kind: Kind::So,
                level: Level::Department,
                display_name: "Sở Khoa học và Công nghệ".to_owned(),
                parent: Some(bac_ninh()),
            }],
            identifiers: Vec::new(),
        };
        let mut units = vec![
            unit("24", "Tỉnh Bắc Ninh", None, since),
            unit("52", "Tỉnh Gia Lai", None, since),
            department,
        ];
        units.extend(communes(bac_ninh(), &BAC_NINH));
        units.extend(communes(gia_lai(), &GIA_LAI));
        Self {
            units,
            edges: Vec::new(),
            version: 1,
            reports: HashMap::new(),
            forms: [(
                FORM.to_owned(),
                submission::Form { name: FORM.to_owned(), ..Default::default() },
            )]
            .into(),
            contacts: Vec::new(),
            contacts_away: false,
            acts_away: false,
            events: Vec::new(),
            held_back: 0,
            registry_away: false,
            submission_away: false,
            receipts_away: false,
            receipts_left: None,
            listed: 0,
            asked: Vec::new(),
        }
    }
}

impl World {
    /// With `count` communes in Bắc Ninh instead of its five, in the order of their codes from 30001 on.
    pub(crate) fn of_communes(count: usize) -> (Self, Vec<UnitId>) {
        let mut world = Self::default();
        world.units.retain(|unit| !BAC_NINH.iter().any(|(code, _)| unit.id == commune(code)));
        let codes: Vec<_> = (1..=count).map(|n| format!("{}", 30_000 + n)).collect();
        let since = Validity::since(first_day());
        world.units.extend(
            codes.iter().map(|code| unit(code, &format!("Xã {code}"), Some(bac_ninh()), since)),
        );
        (world, codes.iter().map(|code| commune(code)).collect())
    }

    /// The registry learns of a unit, or of what became of one.
    pub(crate) fn import(&mut self, unit: UnitHistory) {
        self.units.retain(|known| known.id != unit.id);
        self.units.push(unit);
        self.version += 1;
    }

    /// The registry learns what units were before and what became of them; those that ended come with it.
    pub(crate) fn reorganise(&mut self, ended: Vec<UnitHistory>, edges: Vec<Edge>) {
        self.units.extend(ended);
        self.edges.extend(edges);
        self.version += 1;
    }

    /// A unit ends, and with it all directly below.
    pub(crate) fn end(&mut self, root: UnitId, until: NaiveDate) {
        for unit in &mut self.units {
            if unit.id == root || unit.versions.iter().any(|one| one.parent == Some(root)) {
                unit.versions.iter_mut().for_each(|one| one.validity.until = Some(until));
                unit.identifiers.iter_mut().for_each(|one| one.validity.until = Some(until));
            }
        }
        self.version += 1;
    }

    /// A unit ends, and another one comes after it, or none.
    pub(crate) fn become_of(&mut self, unit: UnitId, end: NaiveDate, successor: Option<UnitId>) {
        self.end(unit, end);
        if let Some(successor) = successor {
            let edge = Edge {
                effective: end,
                predecessor: unit,
                successor,
                kind: EdgeKind::Merged,
                reorganisation: "sap-nhap".into(),
            };
            self.reorganise(Vec::new(), vec![edge]);
        }
    }

    /// A report is handed over.
    pub(crate) fn submit(&mut self, unit: UnitId, period: &str, at: DateTime<Utc>) -> String {
        self.submit_under(REGIME, unit, period, at)
    }

    /// When a report that is there, or was sent back, was first received stands.
    pub(crate) fn submit_under(
        &mut self,
        regime: &str,
        unit: UnitId,
        period: &str,
        at: DateTime<Utc>,
    ) -> String {
        let key = (regime.to_owned(), period.to_owned(), unit);
        let report = self.reports.entry(key).or_insert_with(|| Report {
            name: format!("{unit}/reports/{}", Uuid::now_v7()),
            sequence: 1,
            receive: None,
            returned: None,
            acts: Vec::new(),
        });
        report.returned = None;
        report.act(Act::Submitted, at, "");
        let receive = *report.receive.get_or_insert(at);
        let submitted = ReportSubmitted {
            report: report.name.clone(),
            regime: regime.to_owned(),
            period: period.to_owned(),
            receive_time: Some(field::pb_time(receive)),
            sequence: report.sequence,
            revision: report.revision(),
            ..ReportSubmitted::default()
        };
        self.happened(Payload::ReportSubmitted(submitted));
        self.report(regime, unit, period).name.clone()
    }

    /// A report that was sent back or taken back is handed over again.
    pub(crate) fn resubmit(&mut self, unit: UnitId, period: &str, at: DateTime<Utc>) -> String {
        let report = self.report(REGIME, unit, period);
        assert!(report.receive.is_none() || report.returned.is_some(), "it is there already");
        self.submit(unit, period, at)
    }

    /// A unit takes its report back.
    pub(crate) fn withdraw(&mut self, unit: UnitId, period: &str, at: DateTime<Utc>) {
        let report = self.report(REGIME, unit, period);
        (report.receive, report.returned) = (None, None);
        report.act(Act::Withdrawn, at, "Gửi nhầm số liệu");
        let withdrawn = ReportWithdrawn {
            report: report.name.clone(),
            regime: REGIME.to_owned(),
            period: period.to_owned(),
            sequence: report.sequence,
            withdraw_time: Some(field::pb_time(at)),
        };
        self.happened(Payload::ReportWithdrawn(withdrawn));
    }

    /// A report is sent back, to be there again before `due`.
    pub(crate) fn give_back(
        &mut self,
        unit: UnitId,
        period: &str,
        at: DateTime<Utc>,
        due: DateTime<Utc>,
    ) {
        let report = self.report(REGIME, unit, period);
        report.returned = Some((at, due));
        report.act(Act::Returned, at, "Thiếu thuyết minh");
        let returned = ReportReturned {
            report: report.name.clone(),
            regime: REGIME.to_owned(),
            period: period.to_owned(),
            sequence: report.sequence,
            return_time: Some(field::pb_time(at)),
            return_due_time: Some(field::pb_time(due)),
            receive_time: report.receive.map(field::pb_time),
        };
        self.happened(Payload::ReportReturned(returned));
    }

    /// A level of review accepts a report that stands.
    pub(crate) fn accept(&mut self, unit: UnitId, period: &str, level: i32, at: DateTime<Utc>) {
        let report = self.report(REGIME, unit, period);
        report.act(Act::Accepted, at, "Số liệu đầy đủ.");
        if let Some(act) = report.acts.last_mut() {
            act.review_level = level;
        }
        let accepted = ReportAccepted {
            report: report.name.clone(),
            regime: REGIME.to_owned(),
            period: period.to_owned(),
            sequence: report.sequence,
            review_level: level,
            accepted: level == 2,
            accept_time: Some(field::pb_time(at)),
        };
        self.happened(Payload::ReportAccepted(accepted));
    }

    fn report(&mut self, regime: &str, unit: UnitId, period: &str) -> &mut Report {
        self.reports.get_mut(&(regime.to_owned(), period.to_owned(), unit)).unwrap()
    }

    /// Every event so far is said once more, in the order that `order` gives them.
    pub(crate) fn repeat(&mut self, order: impl FnOnce(&mut Vec<Payload>)) {
        let mut said: Vec<_> = self.events.iter().filter_map(|one| one.payload.clone()).collect();
        order(&mut said);
        for payload in said {
            self.happened(payload);
        }
    }

    /// The last event was written in a span of a trace.
    pub(crate) fn traced(&mut self, trace_parent: &str) {
        self.events.last_mut().unwrap().trace_parent = trace_parent.to_owned();
    }

    /// Any event of submission.
    pub(crate) fn happened(&mut self, payload: Payload) {
        self.events.push(Event {
            position: format!("0.{}", self.events.len() + 1),
            payload: Some(payload),
            ..Event::default()
        });
    }
}

/// A world that a test shares with the services that it starts.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<World>>, String);

/// A service is started by its type alone, so it finds its world by a key of its configuration.
static WORLDS: LazyLock<Mutex<HashMap<String, Shared>>> = LazyLock::new(Mutex::default);

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Key {
    world: String,
}

impl Shared {
    fn new(world: World) -> Self {
        let shared = Self(Arc::new(Mutex::new(world)), Uuid::now_v7().to_string());
        WORLDS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(shared.1.clone(), shared.clone());
        shared
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(key: &Key) -> Self {
        WORLDS.lock().unwrap_or_else(PoisonError::into_inner)[&key.world].clone()
    }
}

/// Compliance beside its peers, and the world that they answer from.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) testing: Testing,
    pub(crate) world: Shared,
}

/// Starts on new data, with the clock at `now`. The sweep that runs at the start is over.
pub(crate) async fn start(engine: Engine, now: DateTime<Utc>) -> Scene {
    start_in(World::default(), engine, now).await
}

/// As [`start`], in a world of the test's own.
pub(crate) async fn start_in(world: World, engine: Engine, now: DateTime<Utc>) -> Scene {
    Scene::at_rest(Place::new(engine).await, Shared::new(world), now, &[]).await
}

impl Scene {
    /// Over data and a world that may be there already, and with keys of the configuration set. The sweep that runs at
    /// the start sweeps as of `now`, and may still be doing so.
    pub(crate) async fn over(
        place: Place,
        world: Shared,
        now: DateTime<Utc>,
        keys: &[(&str, &str)],
    ) -> Self {
        let suite = Suite::new().with::<Registry>().with::<Submission>().with::<Compliance>();
        // No bell; and no test takes as long as the five minutes after which a sweep runs without one.
        let mut all = vec![
            ("registry.world", world.1.as_str()),
            ("submission.world", world.1.as_str()),
            ("compliance.sweep_cron", ""),
        ];
        all.extend(keys);
        let before = world.lock().listed;
        let testing = start_at(suite, place, now, &all).await;
        // It asks for events only after it has read the clock.
        eventually(Duration::from_secs(30), async || (world.lock().listed > before).then_some(()))
            .await;
        Self { testing, world }
    }

    /// As [`over`](Self::over), but the sweep at the start finds nothing: it is as of long before anything can be due. On
    /// new data a sweep as of `now` follows, so that the clock is one that sweeps have seen.
    async fn at_rest(
        place: Place,
        world: Shared,
        now: DateTime<Utc>,
        keys: &[(&str, &str)],
    ) -> Self {
        let scene = Self::over(place, world, now - TimeDelta::days(100), keys).await;
        scene.testing.clock.set(now);
        if !keys.iter().any(|(key, _)| *key == "storage.location") {
            scene.sweep().await;
        }
        scene
    }

    /// A second suite over the same PostgreSQL database, as a replica.
    pub(crate) async fn replica(&self, url: &str, now: DateTime<Utc>) -> Self {
        let keys = [("storage.location", url)];
        Self::at_rest(Place::new(Engine::Sqlite).await, self.world.clone(), now, &keys).await
    }

    /// Stops, and starts again on the same data with the clock at `now`.
    pub(crate) async fn restart(self, now: DateTime<Utc>) -> Self {
        let place = self.testing.stop().await;
        Self::over(place, self.world, now, &[]).await
    }

    pub(crate) fn compliance(&self, grants: &[&str]) -> ComplianceServiceClient<Peer> {
        ComplianceServiceClient::new(self.testing.channel(grants))
    }

    pub(crate) fn operator(&self) -> ComplianceServiceClient<Peer> {
        self.compliance(&["operator"])
    }

    pub(crate) fn decisions(&self, grants: &[&str]) -> DecisionServiceClient<Peer> {
        DecisionServiceClient::new(self.testing.channel(grants))
    }

    pub(crate) fn calendars(&self, grants: &[&str]) -> CalendarServiceClient<Peer> {
        CalendarServiceClient::new(self.testing.channel(grants))
    }

    pub(crate) fn dossiers(&self, grants: &[&str]) -> DossierServiceClient<Peer> {
        DossierServiceClient::new(self.testing.channel(grants))
    }

    pub(crate) fn notices(&self, grants: &[&str]) -> NoticeServiceClient<Peer> {
        NoticeServiceClient::new(self.testing.channel(grants))
    }

    pub(crate) async fn create(&self, regime: pb::Regime) -> pb::Regime {
        let request = pb::CreateRegimeRequest { regime: Some(regime), ..Default::default() };
        self.operator().create_regime(request).await.unwrap().into_inner()
    }

    pub(crate) async fn sweep(&self) -> pb::RunSweepResponse {
        self.operator().run_sweep(pb::RunSweepRequest::default()).await.unwrap().into_inner()
    }

    /// Excuses a unit from its report for [`PERIOD`] under [`REGIME`].
    pub(crate) async fn waive(&self, grant: &str, unit: UnitId) -> Result<pb::Decision, Status> {
        let decision = pb::Decision {
            scope: unit.to_string(),
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            outcome: Some(pb::decision::Outcome::Waiver(pb::Waiver {})),
            document: "15/QĐ-UBND".to_owned(),
            reason: "Đơn vị không phát sinh".to_owned(),
            ..pb::Decision::default()
        };
        self.decide(grant, decision).await
    }

    pub(crate) async fn decide(
        &self,
        grant: &str,
        decision: pb::Decision,
    ) -> Result<pb::Decision, Status> {
        let request = pb::CreateDecisionRequest { decision: Some(decision), ..Default::default() };
        Ok(self.decisions(&[grant]).create_decision(request).await?.into_inner())
    }

    /// All pages, as an operator.
    pub(crate) async fn list(&self, request: pb::ListObligationsRequest) -> Vec<pb::Obligation> {
        list(&mut self.operator(), request).await.unwrap()
    }

    pub(crate) async fn rate(&self, scope: UnitId) -> pb::ReportingRate {
        let request = rate_request(scope);
        self.operator().get_reporting_rate(request).await.unwrap().into_inner()
    }

    pub(crate) async fn told(&self, recipient: UnitId) -> Vec<pb::Notice> {
        let request = pb::ListNoticesRequest {
            parent: recipient.to_string(),
            page_size: 1000,
            ..Default::default()
        };
        self.notices(&["operator"]).list_notices(request).await.unwrap().into_inner().notices
    }

    pub(crate) async fn record(
        &self,
        unit: UnitId,
        rows: Vec<Row>,
    ) -> Result<pb::RecordDossiersResponse, Status> {
        let mut client = self.dossiers(&["importer"]);
        let answer = client.record_dossiers(tokio_stream::iter(stream(unit, rows))).await;
        Ok(answer?.into_inner())
    }
}

pub(crate) async fn list(
    client: &mut ComplianceServiceClient<Peer>,
    mut request: pb::ListObligationsRequest,
) -> Result<Vec<pb::Obligation>, Status> {
    let mut all = Vec::new();
    loop {
        let page = client.list_obligations(request.clone()).await?.into_inner();
        all.extend(page.obligations);
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

pub(crate) fn rate_request(scope: UnitId) -> pb::GetReportingRateRequest {
    pb::GetReportingRateRequest {
        scope: scope.to_string(),
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        read_time: None,
    }
}

/// The communes of Bắc Ninh report to a department each month, within three working days after the cut-off.
pub(crate) fn regime() -> pb::Regime {
    pb::Regime {
        name: REGIME.to_owned(),
        display_name: "Báo cáo chuyển đổi số hằng tháng của cấp xã".to_owned(),
        legal_basis: "Công văn số 12/SKHCN-CĐS ngày 02/03/2026".to_owned(),
        illustrative: true,
        form: FORM.to_owned(),
        receiving_unit: department().to_string(),
        frequency: pb::Frequency::Month.into(),
        due_rule: Some(pb::regime::DueRule::WorkingDaysAfterCutOff(3)),
        debtors: Some(pb::Debtors {
            subtree: bac_ninh().to_string(),
            levels: vec!["commune".to_owned()],
            ..pb::Debtors::default()
        }),
        from_date: Some(field::pb_date(day("2026-05-01"))),
        // Whatever the clock says when it is put in force.
        tell_from_date: Some(field::pb_date(day("2000-01-01"))),
        ..pb::Regime::default()
    }
}

pub(crate) fn obligation(unit: UnitId) -> String {
    format!("{unit}/obligations/cds-24~{PERIOD}")
}

pub(crate) fn stream(unit: UnitId, rows: Vec<Row>) -> Vec<pb::RecordDossiersRequest> {
    let row_count = i32::try_from(rows.len()).unwrap();
    let header = Message::Header(Header { parent: unit.to_string(), row_count });
    std::iter::once(header)
        .chain(rows.into_iter().map(Message::Row))
        .map(|message| pb::RecordDossiersRequest { message: Some(message) })
        .collect()
}

/// A dossier that is pending: three working days from its receipt.
pub(crate) fn dossier(number: &str, received: &str) -> Row {
    let dossier = pb::Dossier {
        field: "Hộ tịch".to_owned(),
        channel: pb::dossier::Channel::Online.into(),
        receive_time: Some(field::pb_time(time(received))),
        term: "3d".to_owned(),
        ..pb::Dossier::default()
    };
    Row { row: 0, dossier_id: number.to_owned(), dossier: Some(dossier) }
}

/// The same, resolved.
pub(crate) fn resolved(mut row: Row, complete: &str, record: Option<&str>) -> Row {
    let stamp = |text: &str| field::pb_time(time(text));
    if let Some(dossier) = &mut row.dossier {
        dossier.complete_time = Some(stamp(complete));
        dossier.record_time = record.map(stamp);
    }
    row
}

type Answer<T> = Result<Response<T>, Status>;

fn unused<T>() -> Answer<T> {
    Err(refuse(Code::Unimplemented, ErrorReason::Internal, "no test needs this", []))
}

fn away() -> Status {
    // As a proxy would answer: without any reason of ours.
    Status::from_error("connection refused".into())
}

#[derive(Debug)]
pub(crate) struct NoTables;

impl MigratorTrait for NoTables {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Sql::with_base([])
    }
}

impl World {
    fn hierarchy(&self) -> Result<Hierarchy, Status> {
        if self.registry_away {
            return Err(away());
        }
        let (units, edges) = (self.units.clone(), self.edges.clone());
        Ok(Hierarchy::build_with_edges(self.version, units, edges).unwrap())
    }
}

struct Registry;

impl Spec for Registry {
    const NAME: &'static str = "registry";
    type Migrations = NoTables;
    type Config = Key;

    async fn start(_: Start, key: Key) -> anyhow::Result<Running> {
        let world = Shared::of(&key);
        let contacts = ContactServiceServer::new(Contacts(world.clone()));
        let units = dunghan_testkit::registry(move || world.lock().hierarchy());
        Ok(Running::new().service(units).service(contacts))
    }
}

struct Contacts(Shared);

#[tonic::async_trait]
impl ContactService for Contacts {
    async fn list_contacts(
        &self,
        request: Request<registry::ListContactsRequest>,
    ) -> Answer<registry::ListContactsResponse> {
        let request = request.into_inner();
        let world = self.0.lock();
        if world.contacts_away {
            return Err(away());
        }
        assert_eq!(request.roles, [i32::from(registry::ContactRole::Reporter)]);
        let on = field::date("as_of_date", request.as_of_date.as_ref())?.unwrap();
        let there = world.contacts.iter().filter(|(unit, _, since, through)| {
            unit.to_string() == request.parent
                && *since <= on
                && through.is_none_or(|through| on <= through)
        });
        let contacts = there.map(|(_, name, _, _)| registry::Contact {
            display_name: (*name).to_owned(),
            ..registry::Contact::default()
        });
        let contacts = contacts.take(request.page_size.try_into().unwrap()).collect();
        Ok(Response::new(registry::ListContactsResponse { contacts, ..Default::default() }))
    }

    async fn create_contact(
        &self,
        _: Request<registry::CreateContactRequest>,
    ) -> Answer<registry::Contact> {
        unused()
    }

    async fn end_contact(
        &self,
        _: Request<registry::EndContactRequest>,
    ) -> Answer<registry::Contact> {
        unused()
    }
}

struct Submission(Shared);

impl Spec for Submission {
    const NAME: &'static str = "submission";
    type Migrations = NoTables;
    type Config = Key;

    async fn start(_: Start, key: Key) -> anyhow::Result<Running> {
        let shared = Shared::of(&key);
        Ok(Running::new()
            .service(SubmissionServiceServer::new(Self(shared.clone())))
            .service(FormServiceServer::new(Self(shared))))
    }
}

#[tonic::async_trait]
impl SubmissionService for Submission {
    /// 500 events a page, as the owner gives where nothing else is asked for.
    async fn list_events(&self, request: Request<ListEventsRequest>) -> Answer<ListEventsResponse> {
        let after = request.into_inner().after;
        let mut world = self.0.lock();
        world.listed += 1;
        if world.submission_away {
            return Err(away());
        }
        let visible = world.events.len().saturating_sub(world.held_back);
        let from = after.strip_prefix("0.").and_then(|seq| seq.parse().ok()).unwrap_or(0);
        let mut events: Vec<_> =
            world.events[..visible].iter().skip(from).take(501).cloned().collect();
        let more = events.len() > 500;
        events.truncate(500);
        let last = events.last().filter(|_| more).map(|event| event.position.clone());
        Ok(Response::new(ListEventsResponse { events, next_page_token: last.unwrap_or_default() }))
    }

    async fn batch_get_receipts(
        &self,
        request: Request<submission::BatchGetReceiptsRequest>,
    ) -> Answer<submission::BatchGetReceiptsResponse> {
        let request = request.into_inner();
        let mut world = self.0.lock();
        if world.submission_away || world.receipts_away || world.receipts_left == Some(0) {
            return Err(away());
        }
        world.receipts_left = world.receipts_left.map(|left| left - 1);
        assert!(request.units.len() <= 1000, "the contract allows 1,000 units at most");
        world.asked.push(request.units.len());
        let receipts = request.units.iter().filter_map(|unit| {
            let key = (request.regime.clone(), request.period.clone(), unit.parse().unwrap());
            let report = world.reports.get(&key)?;
            Some(submission::Receipt {
                regime: request.regime.clone(),
                period: request.period.clone(),
                report: report.name.clone(),
                receive_time: Some(field::pb_time(report.receive?)),
                sequence: report.sequence,
                return_time: report.returned.map(|(at, _)| field::pb_time(at)),
                return_due_time: report.returned.map(|(_, due)| field::pb_time(due)),
                ..submission::Receipt::default()
            })
        });
        let receipts = receipts.collect();
        Ok(Response::new(submission::BatchGetReceiptsResponse { receipts }))
    }

    async fn list_report_acts(
        &self,
        request: Request<submission::ListReportActsRequest>,
    ) -> Answer<submission::ListReportActsResponse> {
        let name = request.into_inner().parent;
        let world = self.0.lock();
        if world.submission_away || world.acts_away {
            return Err(away());
        }
        let acts =
            world.reports.values().find(|report| report.name == name).map(|one| one.acts.clone());
        let acts = acts.ok_or_else(|| {
            let reason = submission::ErrorReason::ReportNotFound;
            refuse(Code::NotFound, reason, "there is no such report", [])
        })?;
        Ok(Response::new(submission::ListReportActsResponse { acts, ..Default::default() }))
    }

    async fn withdraw_report(
        &self,
        _: Request<submission::WithdrawReportRequest>,
    ) -> Answer<submission::Report> {
        unused()
    }

    async fn return_report(
        &self,
        _: Request<submission::ReturnReportRequest>,
    ) -> Answer<submission::Report> {
        unused()
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

    async fn batch_get_reports(
        &self,
        _: Request<submission::BatchGetReportsRequest>,
    ) -> Answer<submission::BatchGetReportsResponse> {
        unused()
    }

    async fn submit_nil_report(
        &self,
        _: Request<submission::SubmitNilReportRequest>,
    ) -> Answer<submission::Report> {
        unused()
    }

    async fn accept_report(
        &self,
        _: Request<submission::AcceptReportRequest>,
    ) -> Answer<submission::Report> {
        unused()
    }

    async fn diff_revisions(
        &self,
        _: Request<submission::DiffRevisionsRequest>,
    ) -> Answer<submission::DiffRevisionsResponse> {
        unused()
    }

    async fn get_signed_receipt(
        &self,
        _: Request<submission::GetSignedReceiptRequest>,
    ) -> Answer<submission::SignedReceipt> {
        unused()
    }

    async fn verify_receipt(
        &self,
        _: Request<submission::VerifyReceiptRequest>,
    ) -> Answer<submission::VerifyReceiptResponse> {
        unused()
    }

    async fn list_receipt_keys(
        &self,
        _: Request<submission::ListReceiptKeysRequest>,
    ) -> Answer<submission::ListReceiptKeysResponse> {
        unused()
    }
}

#[tonic::async_trait]
impl FormService for Submission {
    async fn get_form(
        &self,
        request: Request<submission::GetFormRequest>,
    ) -> Answer<submission::Form> {
        if self.0.lock().submission_away {
            return Err(away());
        }
        let name = request.into_inner().name;
        let form = self.0.lock().forms.get(&name).cloned().ok_or_else(|| {
            let reason = submission::ErrorReason::UnknownForm;
            refuse(Code::NotFound, reason, "there is no such form", [])
        })?;
        Ok(Response::new(form))
    }

    async fn list_forms(
        &self,
        _: Request<submission::ListFormsRequest>,
    ) -> Answer<submission::ListFormsResponse> {
        unused()
    }

    async fn create_form(
        &self,
        _: Request<submission::CreateFormRequest>,
    ) -> Answer<submission::Form> {
        unused()
    }

    async fn retire_form(
        &self,
        _: Request<submission::RetireFormRequest>,
    ) -> Answer<submission::Form> {
        unused()
    }
}
