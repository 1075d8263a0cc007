//! From reports to a total, through all four services: what aggregation counts is what compliance expects.

use chrono::{DateTime, Utc};
use dunghan_proto::aggregation::aggregation_service_client::AggregationServiceClient;
use dunghan_proto::aggregation::{GetRollUpRequest, RollUp};
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::compliance::{
    CreateRegimeRequest, Debtors, Frequency, GetReportingRateRequest, Regime, RunSweepRequest,
    WaiveObligationRequest, regime::DueRule,
};
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_proto::registry::{ImportUnitsRequest, Kind, Level, ListUnitsRequest, Unit};
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_proto::submission::value::Figure;
use dunghan_proto::submission::{CreateReportRequest, Ratio, Report, SubmitReportRequest, Value};
use dunghan_proto::r#type::Date;
use dunghan_testkit::{ENGINES, Testing, start};

use crate::suite;

const REGIME: &str = "regimes/cds-thang";
const PERIOD: &str = "202605";
const INDICATOR: &str = "dossiers_received_online";

/// Before the due time of May 2026.
fn now() -> DateTime<Utc> {
    "2026-05-18T02:00:00Z".parse().unwrap()
}

/// A province with five communes under it, the province first.
async fn units(testing: &Testing) -> Vec<Unit> {
    let mut registry = RegistryServiceClient::new(testing.channel(&["operator"]));
    let codes = ["24", "07210", "07228", "07246", "07264", "09427"];
    let rows = codes.map(|code| {
        let top = code == "24";
        ImportUnitsRequest {
            code: code.to_owned(),
            parent_code: if top { String::new() } else { "24".to_owned() },
            display_name: format!("Đơn vị {code}"),
            kind: if top { Kind::Tinh.into() } else { Kind::Xa.into() },
            level: if top { Level::Province.into() } else { Level::Commune.into() },
            valid_from_date: Some(Date { year: 2025, month: 7, day: 1 }),
            ..ImportUnitsRequest::default()
        }
    });
    let imported = registry.import_units(tokio_stream::iter(rows)).await.unwrap().into_inner();
    assert_eq!(imported.problems, []);
    let mut units =
        registry.list_units(ListUnitsRequest::default()).await.unwrap().into_inner().units;
    units.sort_by_key(|unit| (unit.level, unit.statistics_code.clone()));
    units
}

async fn put_in_force(testing: &Testing, province: &str) {
    let regime = Regime {
        name: REGIME.to_owned(),
        display_name: "Báo cáo chuyển đổi số hằng tháng của cấp xã".to_owned(),
        legal_basis: "Chế độ báo cáo minh họa, không do cơ quan nào ban hành".to_owned(),
        illustrative: true,
        form: "forms/cds-1".to_owned(),
        receiving_unit: province.to_owned(),
        frequency: Frequency::Month.into(),
        due_rule: Some(DueRule::WorkingDaysAfterCutOff(3)),
        debtors: Some(Debtors {
            subtree: province.to_owned(),
            levels: vec!["commune".to_owned()],
            ..Debtors::default()
        }),
        from_date: Some(Date { year: 2026, month: 1, day: 1 }),
        ..Regime::default()
    };
    let request = CreateRegimeRequest { regime: Some(regime), ..CreateRegimeRequest::default() };
    let mut compliance = ComplianceServiceClient::new(testing.channel(&["operator"]));
    compliance.create_regime(request).await.unwrap();
    compliance.run_sweep(RunSweepRequest {}).await.unwrap();
}

async fn hand_in(testing: &Testing, unit: &Unit, indicator: &str, figure: Figure) -> String {
    let reporter = format!("reporter@{}", unit.name);
    let mut submission = SubmissionServiceClient::new(testing.channel(&[&reporter]));
    let value = Value { indicator: indicator.to_owned(), figure: Some(figure), ..Value::default() };
    let report = Report {
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        values: vec![value],
        narrative: "Kết quả thực hiện trong tháng.".to_owned(),
        ..Report::default()
    };
    let parent = unit.name.clone();
    let request =
        CreateReportRequest { parent, report: Some(report), ..CreateReportRequest::default() };
    let name = submission.create_report(request).await.unwrap().into_inner().name;
    let request = SubmitReportRequest { name, ..SubmitReportRequest::default() };
    submission.submit_report(request).await.unwrap().into_inner().name
}

async fn add_up(testing: &Testing, supervisor: &str, scope: &str) -> RollUp {
    let mut aggregation = AggregationServiceClient::new(testing.channel(&[supervisor]));
    let request = GetRollUpRequest {
        scope: scope.to_owned(),
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        indicator: INDICATOR.to_owned(),
        category: String::new(),
    };
    aggregation.get_roll_up(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_total_and_the_reporting_rate_speak_of_the_same_units() {
    for engine in ENGINES {
        let testing = start(suite(), engine, now()).await;
        let units = units(&testing).await;
        let [province, communes @ ..] = units.as_slice() else { panic!("{units:?}") };
        put_in_force(&testing, &province.name).await;
        let supervisor = format!("supervisor@{}", province.name);
        let sum = add_up(&testing, &supervisor, &province.name).await;
        assert_eq!((sum.total, sum.expected_count, sum.missing_units.len()), (0, 5, 5));

        let ratio = Ratio { numerator: 30, denominator: 40 };
        let first = hand_in(&testing, &communes[0], INDICATOR, Figure::Ratio(ratio)).await;
        let second = hand_in(&testing, &communes[1], INDICATOR, Figure::Count(70)).await;
        hand_in(&testing, &communes[2], "staff_with_computer", Figure::Count(7)).await;
        let mut compliance = ComplianceServiceClient::new(testing.channel(&[&supervisor]));
        let waiver = WaiveObligationRequest {
            name: format!("{}/obligations/cds-thang~{PERIOD}", communes[3].name),
            decision: "12/QĐ-UBND".to_owned(),
            reason: "Thiên tai".to_owned(),
        };
        compliance.waive_obligation(waiver).await.unwrap();

        let sum = add_up(&testing, &supervisor, &province.name).await;
        let in_total = (sum.total, sum.numerator_total, sum.denominator_total);
        assert_eq!(in_total, (100, Some(30), Some(40)), "{engine:?}");
        let mut reports: Vec<_> = sum.contributions.iter().map(|one| one.report.clone()).collect();
        reports.sort();
        let mut expected = [first, second];
        expected.sort();
        assert_eq!(reports, expected, "{engine:?}");
        assert_eq!(sum.units_without_value, [communes[2].name.clone()], "{engine:?}");
        assert_eq!(sum.waived_units, [communes[3].name.clone()], "{engine:?}");
        assert_eq!(sum.missing_units, [communes[4].name.clone()], "{engine:?}");

        let request = GetReportingRateRequest {
            scope: province.name.clone(),
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            read_time: None,
        };
        let rate = compliance.get_reporting_rate(request).await.unwrap().into_inner();
        let submitted = sum.contributions.len() + sum.units_without_value.len();
        let counts = [rate.expected_reports, rate.actual_reports, rate.waived_reports];
        let ours = [sum.expected_count, i32::try_from(submitted).unwrap(), 1];
        assert_eq!(counts, ours, "{engine:?}");
        // One commune alone is a scope as well.
        let own = add_up(&testing, &supervisor, &communes[1].name).await;
        assert_eq!((own.total, own.expected_count), (70, 1), "{engine:?}");
    }
}
