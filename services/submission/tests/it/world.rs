//! What the tests share: some units, a clock, and how a report is written.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::zone;
use dunghan_hierarchy::{
    Edge, EdgeKind, Hierarchy, Identifier, Kind, Level, UnitHistory, UnitId, Validity, Version,
};
use dunghan_host::Suite;
use dunghan_proto::events::ListEventsRequest;
use dunghan_proto::events::event::Payload;
use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::form_service_client::FormServiceClient;
use dunghan_proto::submission::intake_service_client::IntakeServiceClient;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_proto::r#type::Decimal;
use dunghan_rpc::{Peer, field};
use dunghan_submission::Submission;
use dunghan_testkit::{Engine, Front, Place, Testing, start_at};
use tonic::Status;
use uuid::Uuid;

use crate::peers::{Compliance, Registry};

pub(crate) type Client = SubmissionServiceClient<Peer>;

pub(crate) fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// The morning of 22/11/2026.
pub(crate) fn now() -> DateTime<Utc> {
    zone::start_of(date("2026-11-22")) + chrono::TimeDelta::hours(9)
}

fn id(code: &str) -> UnitId {
    UnitId::new("nso", code, None)
}

/// A province, and a commune in it that is there since the reform.
pub(crate) fn bac_ninh() -> UnitId {
    id("24")
}

pub(crate) fn tri_qua() -> UnitId {
    id("09427")
}

/// Another commune in it.
pub(crate) fn dinh_to() -> UnitId {
    id("09415")
}

/// A commune in it that ended with the reform.
pub(crate) fn old_tri_qua() -> UnitId {
    id("09421")
}

/// Another province and its commune.
pub(crate) fn gia_lai() -> UnitId {
    id("52")
}

pub(crate) fn binh_duong() -> UnitId {
    id("21733")
}

/// A province that was merged into Bắc Ninh with the reform, and a commune of it that became part of Trí Quả.
pub(crate) fn old_bac_ninh() -> UnitId {
    id("27")
}

pub(crate) fn thanh_khuong() -> UnitId {
    id("09427-27")
}

/// A division of Trí Quả, and one of Đình Tổ that there is since June 2026.
pub(crate) fn phong_tri_qua() -> UnitId {
    id("09427.VHXH")
}

pub(crate) fn phong_dinh_to() -> UnitId {
    id("09415.VHXH")
}

/// A district that was abolished with the reform, a division of it and a commune.
pub(crate) fn phung_hiep() -> UnitId {
    id("934")
}

pub(crate) fn phong_phung_hiep() -> UnitId {
    id("934.VHTT")
}

pub(crate) fn tan_long() -> UnitId {
    id("31399")
}

/// Three communes that were abolished with the reform, and what they lay in.
pub(crate) fn phuong_1() -> UnitId {
    id("27787")
}

pub(crate) fn town_of_binh_duong() -> UnitId {
    id("21733-540")
}

pub(crate) fn dai_hop() -> UnitId {
    id("11119")
}

/// A department of Bắc Ninh, which receives what communes report.
pub(crate) fn department() -> UnitId {
    id("24.SKHCN")
}

/// The agency code of a unit, from which day on, and until which.
fn agency_codes() -> [(UnitId, &'static str, Validity); 8] {
    let reform = date("2025-07-01");
    [
        (bac_ninh(), "H05", Validity::OPEN),
        (department(), "H05.10", Validity::OPEN),
        // Held by one commune until the reform, and by its successor since.
        (old_tri_qua(), "H05.24", Validity::before(reform)),
        (tri_qua(), "H05.24", Validity::since(reform)),
        (phong_tri_qua(), "H05.24.1", Validity::since(reform)),
        (dinh_to(), "H05.25", Validity::OPEN),
        (phung_hiep(), "H13.4", Validity::before(reform)),
        (phong_phung_hiep(), "H13.4.2", Validity::before(reform)),
    ]
}

/// No unit has it.
pub(crate) fn nowhere() -> UnitId {
    id("99999")
}

pub(crate) fn hierarchy() -> Hierarchy {
    let reform = date("2025-07-01");
    let of_level = |id, name: &str, parent: Option<UnitId>, level, validity| {
        let kind = match level {
            Level::Province => Kind::Tinh,
            Level::District => Kind::Huyen,
            Level::Department => Kind::Phong,
            _ => Kind::Xa,
        };
        let version = Version { validity, display_name: name.to_owned(), kind, level, parent };
        UnitHistory { id, versions: vec![version], identifiers: Vec::new() }
    };
    let unit = |id, name: &str, parent: Option<UnitId>, validity| {
        let level = if parent.is_none() { Level::Province } else { Level::Commune };
        of_level(id, name, parent, level, validity)
    };
    let division = |id, name: &str, parent, validity| {
        of_level(id, name, Some(parent), Level::Department, validity)
    };
    let open = Validity::OPEN;
    let (before, since) = (Validity::before(reform), Validity::since(reform));
    let merged = |predecessor, successor| Edge {
        effective: reform,
        predecessor,
        successor,
        kind: EdgeKind::Merged,
        reorganisation: "bac-ninh-2025".into(),
    };
    let edges = vec![merged(old_bac_ninh(), bac_ninh()), merged(thanh_khuong(), tri_qua())];
    let mut units = vec![
        of_level(
            department(),
            "Sở Khoa học và Công nghệ",
            Some(bac_ninh()),
            Level::Department,
            open,
        ),
        unit(old_bac_ninh(), "Tỉnh Bắc Ninh", None, before),
        unit(thanh_khuong(), "Phường Thanh Khương", Some(old_bac_ninh()), before),
        division(phong_tri_qua(), "Phòng Văn hóa - Xã hội", tri_qua(), since),
        division(
            phong_dinh_to(),
            "Phòng Văn hóa - Xã hội",
            dinh_to(),
            Validity::since(date("2026-06-01")),
        ),
        of_level(phung_hiep(), "Huyện Phụng Hiệp", None, Level::District, before),
        division(phong_phung_hiep(), "Phòng Văn hóa và Thông tin", phung_hiep(), before),
        unit(tan_long(), "Xã Tân Long", Some(phung_hiep()), before),
        of_level(id("795"), "Thị xã Kiến Tường", None, Level::District, before),
        unit(phuong_1(), "Phường 1", Some(id("795")), before),
        of_level(id("540"), "Huyện Phù Mỹ", None, Level::District, before),
        unit(town_of_binh_duong(), "Thị trấn Bình Dương", Some(id("540")), before),
        of_level(id("298"), "Huyện Tứ Kỳ", None, Level::District, before),
        unit(dai_hop(), "Xã Đại Hợp", Some(id("298")), before),
        unit(bac_ninh(), "Tỉnh Bắc Ninh", None, open),
        unit(tri_qua(), "Phường Trí Quả", Some(bac_ninh()), Validity::since(reform)),
        unit(dinh_to(), "Xã Đình Tổ", Some(bac_ninh()), open),
        unit(old_tri_qua(), "Phường Trí Quả", Some(bac_ninh()), Validity::before(reform)),
        unit(gia_lai(), "Tỉnh Gia Lai", None, open),
        unit(binh_duong(), "Xã Bình Dương", Some(gia_lai()), open),
    ];
    for (holder, value, validity) in agency_codes() {
        let (scheme, value) = ("dinh_danh".to_owned(), value.to_owned());
        let holder = units.iter_mut().find(|unit| unit.id == holder).unwrap();
        holder.identifiers.push(Identifier { scheme, value, validity });
    }
    Hierarchy::build_with_edges(1, units, edges).unwrap()
}

pub(crate) fn suite() -> Suite {
    Suite::new().with::<Registry>().with::<Compliance>().with::<Submission>()
}

pub(crate) async fn start(engine: Engine) -> Testing {
    dunghan_testkit::start(suite(), engine, now()).await
}

/// Beside the registry alone: compliance is where `front` leads.
pub(crate) async fn without_compliance(place: Place, front: &Front) -> Testing {
    let url = front.url();
    let alone = suite().only(&["registry", "submission"]).unwrap();
    start_at(alone, place, now(), &[("peers.compliance", &url)]).await
}

pub(crate) fn grant(role: Role, unit: UnitId) -> String {
    let role = role.as_str_name().trim_start_matches("ROLE_").to_lowercase();
    format!("{role}@{unit}")
}

pub(crate) fn client(testing: &Testing, grants: &[&str]) -> Client {
    SubmissionServiceClient::new(testing.channel(grants)).max_decoding_message_size(16 << 20)
}

/// As [`client`], for somebody else.
pub(crate) fn somebody(testing: &Testing, subject: &str, grants: &[&str]) -> Client {
    let peer = testing.channel_as(subject, grants);
    SubmissionServiceClient::new(peer).max_decoding_message_size(16 << 20)
}

pub(crate) fn forms(testing: &Testing, grants: &[&str]) -> FormServiceClient<Peer> {
    FormServiceClient::new(testing.channel(grants)).max_decoding_message_size(16 << 20)
}

pub(crate) fn intake(testing: &Testing, grants: &[&str]) -> IntakeServiceClient<Peer> {
    IntakeServiceClient::new(testing.channel(grants)).max_decoding_message_size(16 << 20)
}

pub(crate) fn reporter(testing: &Testing, unit: UnitId) -> Client {
    client(testing, &[&grant(Role::Reporter, unit)])
}

pub(crate) fn count(indicator: &str, count: i64) -> pb::Value {
    pb::Value {
        indicator: indicator.to_owned(),
        figure: Some(pb::value::Figure::Count(count)),
        ..pb::Value::default()
    }
}

pub(crate) fn ratio(indicator: &str, numerator: i64, denominator: i64) -> pb::Value {
    let figure = pb::value::Figure::Ratio(pb::Ratio { numerator, denominator });
    pb::Value { indicator: indicator.to_owned(), figure: Some(figure), ..pb::Value::default() }
}

pub(crate) fn percent(indicator: &str, value: &str) -> pb::Value {
    let figure = pb::value::Figure::Percent(decimal(value));
    pb::Value { indicator: indicator.to_owned(), figure: Some(figure), ..pb::Value::default() }
}

pub(crate) fn decimal(value: &str) -> Decimal {
    Decimal { value: value.to_owned() }
}

/// May 2026 under the monthly regime, with a head and one figure.
pub(crate) fn may() -> pb::Report {
    let day = field::pb_date(date("2026-05-18"));
    pb::Report {
        regime: "regimes/cds-month".to_owned(),
        period: "202605".to_owned(),
        document: Some(pb::Document {
            number: "103".to_owned(),
            symbol: "BC-UBND".to_owned(),
            document_date: Some(day),
            declared_periods: Vec::new(),
            declared_units: Vec::new(),
        }),
        values: vec![count("portal_posts", 78)],
        narrative: "Kết quả chuyển đổi số trong kỳ.".to_owned(),
        ..pb::Report::default()
    }
}

pub(crate) fn of(regime: &str, period: &str) -> pb::Report {
    pb::Report { regime: format!("regimes/{regime}"), period: period.to_owned(), ..may() }
}

pub(crate) fn create_request(unit: UnitId, report: pb::Report) -> pb::CreateReportRequest {
    pb::CreateReportRequest {
        parent: unit.to_string(),
        report: Some(report),
        request_id: String::new(),
    }
}

pub(crate) async fn create(
    client: &mut Client,
    unit: UnitId,
    report: pb::Report,
) -> Result<pb::Report, Status> {
    Ok(client.create_report(create_request(unit, report)).await?.into_inner())
}

pub(crate) fn submit_request(name: &str) -> pb::SubmitReportRequest {
    pb::SubmitReportRequest { name: name.to_owned(), ..pb::SubmitReportRequest::default() }
}

pub(crate) async fn submit(client: &mut Client, name: &str) -> Result<pb::Report, Status> {
    Ok(client.submit_report(submit_request(name)).await?.into_inner())
}

pub(crate) fn withdraw_request(name: &str) -> pb::WithdrawReportRequest {
    pb::WithdrawReportRequest {
        name: name.to_owned(),
        reason: "Nhầm kỳ báo cáo.".to_owned(),
        ..pb::WithdrawReportRequest::default()
    }
}

pub(crate) async fn withdraw(client: &mut Client, name: &str) -> Result<pb::Report, Status> {
    Ok(client.withdraw_report(withdraw_request(name)).await?.into_inner())
}

pub(crate) fn return_request(name: &str, due_date: &str) -> pb::ReturnReportRequest {
    pb::ReturnReportRequest {
        name: name.to_owned(),
        reason: "Thiếu số liệu tháng trước.".to_owned(),
        due_date: Some(field::pb_date(date(due_date))),
        ..pb::ReturnReportRequest::default()
    }
}

pub(crate) async fn send_back(
    client: &mut Client,
    name: &str,
    due_date: &str,
) -> Result<pb::Report, Status> {
    Ok(client.return_report(return_request(name, due_date)).await?.into_inner())
}

/// Of what was read.
pub(crate) fn accept_request(report: &pb::Report) -> pb::AcceptReportRequest {
    pb::AcceptReportRequest {
        name: report.name.clone(),
        etag: report.etag.clone(),
        comment: "Số liệu khớp với hồ sơ.".to_owned(),
        request_id: String::new(),
    }
}

pub(crate) async fn accept(client: &mut Client, report: &pb::Report) -> Result<pb::Report, Status> {
    Ok(client.accept_report(accept_request(report)).await?.into_inner())
}

/// All that was done to a report, with the reports that were handed over.
pub(crate) async fn acts(client: &mut Client, name: &str) -> Vec<pb::ReportAct> {
    let mut request = pb::ListReportActsRequest {
        parent: name.to_owned(),
        with_reports: true,
        ..pb::ListReportActsRequest::default()
    };
    let mut acts = Vec::new();
    loop {
        let page = client.list_report_acts(request.clone()).await.unwrap().into_inner();
        acts.extend(page.acts);
        if page.next_page_token.is_empty() {
            return acts;
        }
        request.page_token = page.next_page_token;
    }
}

/// What was told of reports, once it is so many events.
pub(crate) async fn told(testing: &Testing, count: usize) -> Vec<Payload> {
    let mut client = client(testing, &["service"]);
    // On PostgreSQL an event is handed out once no transaction from before it runs any more, of any test here.
    dunghan_testkit::eventually(Duration::from_secs(20), async || {
        let (mut told, mut request) = (Vec::new(), ListEventsRequest::default());
        loop {
            let page = client.list_events(request.clone()).await.unwrap().into_inner();
            told.extend(page.events.into_iter().filter_map(|event| event.payload));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        (told.len() >= count).then_some(told)
    })
    .await
}

pub(crate) fn new_request_id() -> String {
    Uuid::new_v4().to_string()
}

/// A name in a refusal's metadata.
pub(crate) fn metadata(status: &Status, key: &str) -> String {
    use tonic_types::StatusExt as _;
    let info = status.get_details_error_info().unwrap();
    info.metadata.get(key).cloned().unwrap_or_default()
}
