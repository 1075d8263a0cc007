//! What was owed and handed in goes on to be answered for when communes and their province have become others.

use dunghan_hierarchy::{NSO, UnitId};
use dunghan_proto::aggregation::RollUp;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::Standing;
use dunghan_proto::submission::value::Figure;
use dunghan_proto::submission::{GetReportRequest, ListReportsRequest};
use dunghan_rpc::field;
use dunghan_testkit::{Testing, refusal};
use tonic::Code;

use crate::changes::{merge, new, on, reorganise};
use crate::roll_up::{INDICATOR, add_up};
use crate::setting::{Setting, everywhere};
use crate::world::{
    BAC_NINH, GIA_LAI, PERIOD, REGIME, begin, compliance, day, decisions, due, hand_over,
    put_in_force, regime, report, start, submission, submit, time, unit, waiver,
};

everywhere!(what_merged_communes_owed_stays_theirs_and_is_read_by_who_came_after);

const FIRST_DAY: &str = "2026-06-01";

/// A unit of the new time.
fn since(code: &str) -> String {
    UnitId::new(NSO, code, Some(day(FIRST_DAY))).to_string()
}

async fn listed(
    testing: &Testing,
    grant: &str,
    request: pb::ListObligationsRequest,
) -> Vec<(String, String, Standing)> {
    let request = pb::ListObligationsRequest { page_size: 1000, ..request };
    let page = compliance(testing, &[grant]).list_obligations(request).await.unwrap().into_inner();
    let mut listed: Vec<_> = page
        .obligations
        .iter()
        .map(|one| (one.unit_code.clone(), one.period.clone(), one.standing()))
        .collect();
    listed.sort();
    listed
}

fn contributions(sum: &RollUp) -> Vec<(String, i64)> {
    let mut all: Vec<_> =
        sum.contributions.iter().map(|one| (one.unit.clone(), one.value)).collect();
    all.sort();
    all
}

fn sorted<const N: usize>(mut codes: [&str; N]) -> [&str; N] {
    codes.sort_unstable();
    codes
}

/// Expected, there, on time, late, missing.
async fn rate(testing: &Testing, grant: &str, scope: &str, regime: &str, period: &str) -> [i32; 5] {
    let request = pb::GetReportingRateRequest {
        scope: scope.to_owned(),
        regime: regime.to_owned(),
        period: period.to_owned(),
        read_time: None,
    };
    let rate = compliance(testing, &[grant]).get_reporting_rate(request).await;
    let rate = rate.unwrap().into_inner();
    [
        rate.expected_reports,
        rate.actual_reports,
        rate.actual_reports_on_time,
        rate.late_reports,
        rate.missing_reports,
    ]
}

async fn what_merged_communes_owed_stays_theirs_and_is_read_by_who_came_after(setting: Setting) {
    use Standing::{Late, Missing, OnTime};
    let testing = start(setting, time("2026-05-18 09:00:00")).await;
    put_in_force(&testing, regime()).await.unwrap();
    let [one, two, three, four, five] = BAC_NINH;
    let in_time = submit(&testing, one, report(INDICATOR, Figure::Count(30))).await;
    let late = begin(&testing, two, report(INDICATOR, Figure::Count(40))).await.unwrap().name;
    submit(&testing, three, report(INDICATOR, Figure::Count(50))).await;
    testing.clock.set(due());
    hand_over(&testing, &late).await.unwrap();
    let old = unit("24");
    let by_old = format!("supervisor@{old}");
    let before = rate(&testing, &by_old, &old, REGIME, PERIOD).await;
    assert_eq!(before, [5, 3, 2, 1, 2]);
    let sum_before = add_up(&testing, &by_old, &old).await;
    let expected = {
        let mut all = vec![(unit(one), 30), (unit(two), 40), (unit(three), 50)];
        all.sort();
        all
    };
    assert_eq!((sum_before.total, contributions(&sum_before)), (120, expected.clone()));

    // Both provinces become one, two communes become one in it, and the others pass along.
    let changes = vec![merge(&["24", "52"], new("25", "")), merge(&[one, two], new("07211", "25"))];
    let recorded = reorganise(&testing, "hop-nhat", on(FIRST_DAY, changes)).await.unwrap();
    testing.clock.set(time("2026-06-02 09:00:00"));
    let (new_province, new_commune) = (since("25"), since("07211"));
    let by_new = format!("supervisor@{new_province}");

    // Below the new province itself and the new commune nobody owed anything for May. Who asks for a unit that a copy does
    // not know has it look, so nobody has to wait for it.
    for scope in [&new_province, &new_commune] {
        assert_eq!(rate(&testing, &by_new, scope, REGIME, PERIOD).await, [0; 5], "{scope}");
        let sum = add_up(&testing, &by_new, scope).await;
        assert_eq!((sum.total, sum.expected_count, sum.contributions.len()), (0, 0, 0));
    }

    // May is as it was, for who was there and for who came after; each report is counted once, and stays its unit's own.
    for grant in ["operator", &by_old, &by_new] {
        assert_eq!(rate(&testing, grant, &old, REGIME, PERIOD).await, before, "{grant}");
        let sum = add_up(&testing, grant, &old).await;
        let counted = (sum.total, sum.expected_count, contributions(&sum));
        assert_eq!(counted, (120, 5, expected.clone()), "{grant}");
        assert_eq!(sum.missing_units.len(), 2, "{grant}");
        assert_eq!(sum.hierarchy_version, recorded.hierarchy_version, "{grant}");
    }
    let may = || pb::ListObligationsRequest { period: PERIOD.to_owned(), ..Default::default() };
    let of = |code: &str, standing| (code.to_owned(), PERIOD.to_owned(), standing);
    let all =
        [of(one, OnTime), of(two, Late), of(three, OnTime), of(four, Missing), of(five, Missing)];
    assert_eq!(listed(&testing, &by_new, may()).await, all);
    let of_one = pb::ListObligationsRequest { scope: unit(one), ..may() };
    assert_eq!(listed(&testing, &by_new, of_one).await, all[..1]);
    // The reports themselves are read by who came after, by nobody else, and changed by nobody.
    let below = ListReportsRequest { parent: new_commune.clone(), ..Default::default() };
    let page = submission(&testing, &[&by_new]).list_reports(below).await.unwrap().into_inner();
    let mut names: Vec<_> = page.reports.into_iter().map(|one| one.name).collect();
    names.sort();
    let mut own = [in_time.clone(), late.clone()];
    own.sort();
    assert_eq!(names, own);
    for name in [&in_time, &late] {
        for grant in [by_new.clone(), format!("supervisor@{new_commune}"), by_old.clone()] {
            let get = GetReportRequest { name: name.clone() };
            let read = submission(&testing, &[&grant]).get_report(get).await.unwrap().into_inner();
            assert_eq!(read.name, *name, "{grant}");
        }
        for stranger in [unit("01"), unit(three), unit(GIA_LAI[0])] {
            let mut stranger = submission(&testing, &[&format!("supervisor@{stranger}")]);
            let get = GetReportRequest { name: name.clone() };
            let refused = refusal(&stranger.get_report(get).await.unwrap_err());
            assert_eq!(refused, (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned()));
        }
    }
    // What is left to do for one that has ended passes to who came after it; who has only come under it is its own.
    let mut supervisor = decisions(&testing, &[&by_new]);
    let done = refusal(&supervisor.create_decision(waiver(two)).await.unwrap_err());
    assert_eq!(done, (Code::FailedPrecondition, "ALREADY_SUBMITTED".to_owned()));
    supervisor.create_decision(waiver(four)).await.unwrap();

    // From June on the new ones owe, each once, and those before them nothing.
    let from_june = pb::Regime {
        name: "regimes/cds-thang-moi".to_owned(),
        from_date: Some(field::pb_date(day(FIRST_DAY))),
        debtors: Some(pb::Debtors { subtree: new_province.clone(), ..regime().debtors.unwrap() }),
        ..regime()
    };
    put_in_force(&testing, from_june.clone()).await.unwrap();
    testing.clock.set(time("2026-06-15 09:00:00"));
    let june = || pb::ListObligationsRequest { period: "202606".to_owned(), ..Default::default() };
    let listed = listed(&testing, &by_new, june()).await.into_iter();
    // What had been opened for those before them is closed, and stays to be seen.
    let (closed, owed): (Vec<_>, Vec<_>) = listed.partition(|one| one.2 == Standing::Closed);
    let codes = |all: Vec<(String, String, Standing)>| -> Vec<_> {
        all.into_iter().map(|one| one.0).collect()
    };
    let (closed, owed) = (codes(closed), codes(owed));
    assert_eq!(closed, sorted(BAC_NINH));
    assert_eq!(owed, sorted(["07211", three, four, five, GIA_LAI[0], GIA_LAI[1]]));
    let counted = rate(&testing, &by_new, &new_province, &from_june.name, "202606").await;
    assert_eq!(counted[0], 6);
    testing.stop().await;
}
