//! From reports to a total, through all four services: what aggregation counts is what compliance expects.

use dunghan_proto::aggregation::aggregation_service_client::AggregationServiceClient;
use dunghan_proto::aggregation::{GetRollUpRequest, RollUp};
use dunghan_proto::compliance::GetReportingRateRequest;
use dunghan_proto::submission::Ratio;
use dunghan_proto::submission::value::Figure;
use dunghan_testkit::Testing;

use crate::setting::{Setting, everywhere};
use crate::world::{
    BAC_NINH, PERIOD, REGIME, compliance, decisions, put_in_force, regime, report, start, submit,
    time, unit, waiver,
};

everywhere!(a_total_and_the_reporting_rate_speak_of_the_same_units);

pub(crate) const INDICATOR: &str = "dossiers_received_online";

/// [`INDICATOR`] over a unit's subtree.
pub(crate) async fn add_up(testing: &Testing, grant: &str, scope: &str) -> RollUp {
    let mut aggregation = AggregationServiceClient::new(testing.channel(&[grant]));
    let request = GetRollUpRequest {
        scope: scope.to_owned(),
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        indicator: INDICATOR.to_owned(),
        category: String::new(),
    };
    aggregation.get_roll_up(request).await.unwrap().into_inner()
}

async fn a_total_and_the_reporting_rate_speak_of_the_same_units(setting: Setting) {
    let testing = start(setting, time("2026-05-18 09:00:00")).await;
    let (province, communes) = (unit("24"), BAC_NINH.map(unit));
    put_in_force(&testing, regime()).await.unwrap();
    let supervisor = format!("supervisor@{province}");
    let sum = add_up(&testing, &supervisor, &province).await;
    assert_eq!((sum.total, sum.expected_count, sum.missing_units.len()), (0, 5, 5));

    let ratio = Figure::Ratio(Ratio { numerator: 30, denominator: 40 });
    let first = submit(&testing, BAC_NINH[0], report(INDICATOR, ratio)).await;
    let second = submit(&testing, BAC_NINH[1], report(INDICATOR, Figure::Count(70))).await;
    submit(&testing, BAC_NINH[2], report("staff_with_computer", Figure::Count(7))).await;
    let mut compliance = compliance(&testing, &[&supervisor]);
    let mut decisions = decisions(&testing, &[&supervisor]);
    decisions.create_decision(waiver(BAC_NINH[3])).await.unwrap();

    let sum = add_up(&testing, &supervisor, &province).await;
    let in_total = (sum.total, sum.numerator_total, sum.denominator_total);
    assert_eq!(in_total, (100, Some(30), Some(40)));
    let mut reports: Vec<_> = sum.contributions.iter().map(|one| one.report.clone()).collect();
    reports.sort();
    let mut expected = [first, second];
    expected.sort();
    assert_eq!(reports, expected);
    assert_eq!(sum.units_without_value, [communes[2].clone()]);
    assert_eq!(sum.waived_units, [communes[3].clone()]);
    assert_eq!(sum.missing_units, [communes[4].clone()]);

    let request = GetReportingRateRequest {
        scope: province,
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        read_time: None,
    };
    let rate = compliance.get_reporting_rate(request).await.unwrap().into_inner();
    let submitted = sum.contributions.len() + sum.units_without_value.len();
    let counts = [rate.expected_reports, rate.actual_reports, rate.waived_reports];
    let ours = [sum.expected_count, i32::try_from(submitted).unwrap(), 1];
    assert_eq!(counts, ours);
    // One commune alone is a scope as well.
    let own = add_up(&testing, &supervisor, &communes[1]).await;
    assert_eq!((own.total, own.expected_count), (70, 1));
}
