//! A small country for tests of the whole system: some provinces, their communes, a department that receives reports.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use dunghan_calendar::zone;
use dunghan_hierarchy::{NSO, UnitId};
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::compliance::decision_service_client::DecisionServiceClient;
use dunghan_proto::compliance::dossier_service_client::DossierServiceClient;
use dunghan_proto::compliance::notice_service_client::NoticeServiceClient;
use dunghan_proto::compliance::record_dossiers_request::{Header, Message, Row};
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_proto::submission::form_service_client::FormServiceClient;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_proto::submission::value::Figure;
use dunghan_proto::{compliance, registry, submission};
use dunghan_rpc::{Peer, field};
use dunghan_testkit::{Place, Testing, import_row, start_in};
use tokio_stream::StreamExt as _;
use tonic::Status;

use crate::changes::reorganisations;
use crate::setting::Setting;
use crate::suite;

pub(crate) const REGIME: &str = "regimes/cds-thang";
pub(crate) const PERIOD: &str = "202605";

/// The communes of Bắc Ninh.
pub(crate) const BAC_NINH: [&str; 5] = ["07210", "07228", "07246", "07264", "09427"];
/// The communes of Gia Lai.
pub(crate) const GIA_LAI: [&str; 2] = ["21583", "21733"];

/// No bell: sweeps run at the start, and when a test asks.
const QUIET: [(&str, &str); 1] = [("compliance.sweep_cron", "")];

/// Excuses a unit, by its code, from its report for [`PERIOD`] under [`REGIME`].
pub(crate) fn waiver(code: &str) -> compliance::CreateDecisionRequest {
    let decision = compliance::Decision {
        scope: unit(code),
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        outcome: Some(compliance::decision::Outcome::Waiver(compliance::Waiver {})),
        document: "12/QĐ-UBND".to_owned(),
        reason: "Thiên tai".to_owned(),
        ..compliance::Decision::default()
    };
    compliance::CreateDecisionRequest { decision: Some(decision), ..Default::default() }
}

pub(crate) fn decisions(testing: &Testing, grants: &[&str]) -> DecisionServiceClient<Peer> {
    DecisionServiceClient::new(testing.channel(grants))
}

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// An instant in Viet Nam, as `2026-05-19 08:00:00`.
pub(crate) fn time(text: &str) -> DateTime<Utc> {
    let (date, time) = text.split_once(' ').unwrap();
    zone::at(day(date), time.parse().unwrap())
}

/// The midnight that ends 19/05/2026: when the reports for [`PERIOD`] under [`regime`] are due.
pub(crate) fn due() -> DateTime<Utc> {
    time("2026-05-20 00:00:00")
}

pub(crate) fn just_before(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant - TimeDelta::microseconds(1)
}

/// A unit that exists since the reform.
pub(crate) fn unit(code: &str) -> String {
    UnitId::new(NSO, code, Some(day("2025-07-01"))).to_string()
}

/// The department of Bắc Ninh that receives the reports: nobody's parent.
pub(crate) fn department() -> String {
    UnitId::new("so-nganh", "24.SKHCN", Some(day("2025-07-01"))).to_string()
}

/// A unit that there is not.
pub(crate) fn nowhere() -> String {
    unit("99999")
}

/// A row for a unit of the statistics office's list, by the length of its code.
pub(crate) fn row(code: &str, parent: &str) -> registry::UnitRow {
    use registry::{Kind, Level};
    let (kind, level) = match code.len() {
        2 => (Kind::Tinh, Level::Province),
        _ => (Kind::Xa, Level::Commune),
    };
    registry::UnitRow {
        code: code.to_owned(),
        parent_code: parent.to_owned(),
        display_name: format!("Đơn vị {code}"),
        kind: kind.into(),
        level: level.into(),
        valid_from_date: Some(field::pb_date(day("2025-07-01"))),
        ..Default::default()
    }
}

fn rows() -> Vec<registry::UnitRow> {
    let department = registry::UnitRow {
        scheme: "so-nganh".to_owned(),
        display_name: "Sở Khoa học và Công nghệ".to_owned(),
        kind: registry::Kind::So.into(),
        level: registry::Level::Department.into(),
        parent_scheme: NSO.to_owned(),
        ..row("24.SKHCN", "24")
    };
    // The commune that had its code before the reform is another one.
    let gone = registry::UnitRow {
        valid_from_date: None,
        valid_through_date: Some(field::pb_date(day("2025-06-30"))),
        ..row("09421", "")
    };
    let provinces = ["24", "52", "01"].map(|code| row(code, ""));
    let communes = BAC_NINH.map(|code| row(code, "24")).into_iter();
    let communes = communes.chain(GIA_LAI.map(|code| row(code, "52")));
    provinces.into_iter().chain([department, gone]).chain(communes).collect()
}

/// All services over data that may be there already.
pub(crate) async fn start_over(setting: Setting, place: Place, now: DateTime<Utc>) -> Testing {
    start_in(setting.mode, suite(), place, now, &QUIET).await
}

/// All services, knowing the units and nothing else.
pub(crate) async fn start(setting: Setting, now: DateTime<Utc>) -> Testing {
    let testing = start_over(setting, setting.place().await, now).await;
    import_all(&testing).await;
    testing
}

/// Has the services know the units.
pub(crate) async fn import_all(testing: &Testing) {
    let imported = import(testing, rows()).await.unwrap();
    assert_eq!(imported.problems, []);
}

pub(crate) fn registry(testing: &Testing, grants: &[&str]) -> RegistryServiceClient<Peer> {
    RegistryServiceClient::new(testing.channel(grants))
}

pub(crate) fn submission(testing: &Testing, grants: &[&str]) -> SubmissionServiceClient<Peer> {
    SubmissionServiceClient::new(testing.channel(grants))
}

pub(crate) fn forms(testing: &Testing, grants: &[&str]) -> FormServiceClient<Peer> {
    FormServiceClient::new(testing.channel(grants))
}

pub(crate) fn compliance(testing: &Testing, grants: &[&str]) -> ComplianceServiceClient<Peer> {
    ComplianceServiceClient::new(testing.channel(grants))
}

pub(crate) fn dossiers(testing: &Testing, grants: &[&str]) -> DossierServiceClient<Peer> {
    DossierServiceClient::new(testing.channel(grants))
}

pub(crate) fn notices(testing: &Testing, grants: &[&str]) -> NoticeServiceClient<Peer> {
    NoticeServiceClient::new(testing.channel(grants))
}

/// Imports units as an operator.
pub(crate) async fn import(
    testing: &Testing,
    rows: Vec<registry::UnitRow>,
) -> Result<registry::ImportUnitsResponse, Status> {
    let rows = tokio_stream::iter(rows.into_iter().map(import_row));
    Ok(registry(testing, &["operator"]).import_units(rows).await?.into_inner())
}

/// The communes of Bắc Ninh report to the department each month, within three working days after the cut-off.
pub(crate) fn regime() -> compliance::Regime {
    compliance::Regime {
        name: REGIME.to_owned(),
        display_name: "Báo cáo chuyển đổi số hằng tháng của cấp xã".to_owned(),
        legal_basis: "Chế độ báo cáo minh họa, không do cơ quan nào ban hành".to_owned(),
        illustrative: true,
        form: "forms/cds-1".to_owned(),
        receiving_unit: department(),
        frequency: compliance::Frequency::Month.into(),
        due_rule: Some(compliance::regime::DueRule::WorkingDaysAfterCutOff(3)),
        debtors: Some(compliance::Debtors {
            subtree: unit("24"),
            levels: vec!["commune".to_owned()],
            ..Default::default()
        }),
        from_date: Some(field::pb_date(day("2026-05-01"))),
        ..Default::default()
    }
}

/// Puts a regime in force as an operator.
pub(crate) async fn put_in_force(
    testing: &Testing,
    regime: compliance::Regime,
) -> Result<compliance::Regime, Status> {
    let request = compliance::CreateRegimeRequest { regime: Some(regime), ..Default::default() };
    Ok(compliance(testing, &["operator"]).create_regime(request).await?.into_inner())
}

pub(crate) fn obligation(code: &str) -> String {
    format!("{}/obligations/cds-thang~{PERIOD}", unit(code))
}

/// A report for [`PERIOD`] under [`regime`] with one figure.
pub(crate) fn report(indicator: &str, figure: Figure) -> submission::Report {
    let value = submission::Value {
        indicator: indicator.to_owned(),
        figure: Some(figure),
        ..Default::default()
    };
    submission::Report {
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        values: vec![value],
        narrative: "Kết quả thực hiện trong tháng.".to_owned(),
        ..Default::default()
    }
}

/// Begins a report as the reporter of a unit.
pub(crate) async fn begin(
    testing: &Testing,
    code: &str,
    report: submission::Report,
) -> Result<submission::Report, Status> {
    let parent = unit(code);
    let mut client = submission(testing, &[&format!("reporter@{parent}")]);
    let request =
        submission::CreateReportRequest { parent, report: Some(report), ..Default::default() };
    Ok(client.create_report(request).await?.into_inner())
}

/// Hands a report over as the reporter of its unit.
pub(crate) async fn hand_over(testing: &Testing, name: &str) -> Result<submission::Report, Status> {
    let (unit, _) = name.split_once("/reports/").unwrap();
    let mut client = submission(testing, &[&format!("reporter@{unit}")]);
    let request = submission::SubmitReportRequest { name: name.to_owned(), ..Default::default() };
    Ok(client.submit_report(request).await?.into_inner())
}

/// Begins a report and hands it over; gives its name.
pub(crate) async fn submit(testing: &Testing, code: &str, report: submission::Report) -> String {
    let draft = begin(testing, code, report).await.unwrap();
    hand_over(testing, &draft.name).await.unwrap().name
}

/// A dossier that is pending: three working days from its receipt.
pub(crate) fn dossier(number: &str, received: DateTime<Utc>) -> Row {
    let dossier = compliance::Dossier {
        field: "Hộ tịch".to_owned(),
        channel: compliance::dossier::Channel::Online.into(),
        receive_time: Some(field::pb_time(received)),
        term: "3d".to_owned(),
        ..Default::default()
    };
    Row { row: 0, dossier_id: number.to_owned(), dossier: Some(dossier) }
}

/// The messages by which dossiers of a unit are sent, announcing `announced` of them.
pub(crate) fn dossier_stream(
    code: &str,
    announced: usize,
    rows: Vec<Row>,
) -> Vec<compliance::RecordDossiersRequest> {
    let row_count = i32::try_from(announced).unwrap();
    let header = Message::Header(Header { parent: unit(code), row_count });
    let messages = std::iter::once(header).chain(rows.into_iter().map(Message::Row));
    messages.map(|message| compliance::RecordDossiersRequest { message: Some(message) }).collect()
}

/// Sends dossiers as an importer.
pub(crate) async fn record(
    testing: &Testing,
    messages: Vec<compliance::RecordDossiersRequest>,
) -> Result<compliance::RecordDossiersResponse, Status> {
    let messages = tokio_stream::iter(messages);
    Ok(dossiers(testing, &["importer"]).record_dossiers(messages).await?.into_inner())
}

/// Everything that the services hold, as an operator sees it.
#[derive(Debug)]
pub(crate) struct Everything {
    pub(crate) units: Vec<registry::Unit>,
    pub(crate) hierarchy_version: i64,
    /// The units through all times, and what passed between them.
    pub(crate) histories: Vec<registry::StreamUnitHistoriesResponse>,
    pub(crate) reorganisations: Vec<registry::Reorganisation>,
    pub(crate) regimes: Vec<compliance::Regime>,
    pub(crate) obligations: Vec<compliance::Obligation>,
    pub(crate) reports: Vec<submission::Report>,
    /// The pending ones.
    pub(crate) dossiers: Vec<compliance::Dossier>,
    pub(crate) notices: Vec<compliance::Notice>,
}

impl Everything {
    pub(crate) async fn of(testing: &Testing) -> Self {
        const PAGE: i32 = 1000;
        let whole = |next: &str| assert_eq!(next, "", "more than a page");
        let operator = ["operator"];
        let request = registry::ListUnitsRequest { page_size: PAGE, ..Default::default() };
        let units = registry(testing, &operator).list_units(request).await.unwrap().into_inner();
        whole(&units.next_page_token);
        let request = registry::StreamUnitHistoriesRequest::default();
        let stream = registry(testing, &operator).stream_unit_histories(request).await;
        let histories: Vec<_> = stream.unwrap().into_inner().map(Result::unwrap).collect().await;
        let request =
            registry::ListReorganisationsRequest { page_size: PAGE, ..Default::default() };
        let mut client = reorganisations(testing, &operator);
        let recorded = client.list_reorganisations(request).await.unwrap().into_inner();
        whole(&recorded.next_page_token);
        let mut client = compliance(testing, &operator);
        let request = compliance::ListRegimesRequest { page_size: PAGE, ..Default::default() };
        let regimes = client.list_regimes(request).await.unwrap().into_inner();
        whole(&regimes.next_page_token);
        let request = compliance::ListObligationsRequest { page_size: PAGE, ..Default::default() };
        let obligations = client.list_obligations(request).await.unwrap().into_inner();
        whole(&obligations.next_page_token);
        let request = submission::ListReportsRequest { page_size: PAGE, ..Default::default() };
        let reports =
            submission(testing, &operator).list_reports(request).await.unwrap().into_inner();
        whole(&reports.next_page_token);
        let request = compliance::ListNoticesRequest { page_size: PAGE, ..Default::default() };
        let told = notices(testing, &operator).list_notices(request).await.unwrap().into_inner();
        whole(&told.next_page_token);
        let mut pending = Vec::new();
        for province in ["24", "52", "01"] {
            let request = compliance::ListOverdueDossiersRequest {
                scope: unit(province),
                // By then every dossier is due.
                read_time: Some(field::pb_time(time("2100-01-01 00:00:00"))),
                page_size: PAGE,
                page_token: String::new(),
            };
            let page = dossiers(testing, &operator).list_overdue_dossiers(request).await.unwrap();
            whole(&page.get_ref().next_page_token);
            pending.extend(page.into_inner().dossiers);
        }
        Self {
            units: units.units,
            hierarchy_version: units.hierarchy_version,
            histories,
            reorganisations: recorded.reorganisations,
            regimes: regimes.regimes,
            obligations: obligations.obligations,
            reports: reports.reports,
            dossiers: pending,
            notices: told.notices,
        }
    }

    /// Panics with the parts in which the services hold something else by now.
    pub(crate) async fn must_be_all_of(&self, testing: &Testing) {
        let now = Self::of(testing).await;
        assert_eq!(now.units, self.units);
        assert_eq!(now.hierarchy_version, self.hierarchy_version);
        assert_eq!(now.histories, self.histories);
        assert_eq!(now.reorganisations, self.reorganisations);
        assert_eq!(now.regimes, self.regimes);
        assert_eq!(now.obligations, self.obligations);
        assert_eq!(now.reports, self.reports);
        assert_eq!(now.dossiers, self.dossiers);
        assert_eq!(now.notices, self.notices);
    }
}
