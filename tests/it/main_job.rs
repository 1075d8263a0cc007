//! What the whole system is for, in small: who owes what, who has handed it in, who is late, who is told, and that none
//! of it changes when the services start again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::Standing::{self, DueSoon, Late, Missing, OnTime, Open, Waived};
use dunghan_proto::submission::Ratio;
use dunghan_proto::submission::value::Figure;
use dunghan_rpc::field;
use dunghan_testkit::{Testing, refusal};
use futures::future::join_all;
use tonic::{Code, Streaming};

use crate::roll_up::{INDICATOR, add_up};
use crate::setting::{Setting, everywhere};
use crate::world::{
    BAC_NINH, Everything, GIA_LAI, PERIOD, REGIME, begin, compliance, decisions, department, due,
    hand_over, just_before, notices, obligation, put_in_force, regime, report, start, start_over,
    submit, time, unit, waiver,
};

everywhere!(what_is_due_is_known_at_every_moment_and_told_once);

/// How long anything may take that happens by itself.
const SOON: Duration = Duration::from_secs(30);

/// Four communes of one province and both of the other owe the report to a department of the first.
const DEBTORS: [&str; 6] =
    [BAC_NINH[0], BAC_NINH[1], BAC_NINH[2], BAC_NINH[3], GIA_LAI[0], GIA_LAI[1]];

fn pilot() -> pb::Regime {
    pb::Regime {
        debtors: Some(pb::Debtors { units: DEBTORS.map(unit).to_vec(), ..Default::default() }),
        through_date: Some(field::pb_date(crate::world::day("2026-06-30"))),
        ..regime()
    }
}

/// The midnight that ends 17/06/2026: when the reports for June are due.
fn due_in_june() -> DateTime<Utc> {
    time("2026-06-18 00:00:00")
}

/// The standings that somebody sees of [`PERIOD`] at a moment, by code.
async fn standings(
    testing: &Testing,
    grants: &[&str],
    at: Option<DateTime<Utc>>,
) -> Vec<(String, Standing)> {
    let request = pb::ListObligationsRequest {
        period: PERIOD.to_owned(),
        read_time: at.map(field::pb_time),
        ..Default::default()
    };
    let page = compliance(testing, grants).list_obligations(request).await.unwrap().into_inner();
    assert_eq!(page.next_page_token, "");
    page.obligations.iter().map(|one| (one.unit_code.clone(), one.standing())).collect()
}

/// The standings of all debtors in the order of [`DEBTORS`].
fn of_all(standings: [Standing; 6]) -> Vec<(String, Standing)> {
    DEBTORS.map(str::to_owned).into_iter().zip(standings).collect()
}

/// Expected, on time, late, missing, open and waived.
async fn rate(testing: &Testing, scope: &str, at: Option<DateTime<Utc>>) -> [i32; 6] {
    let request = pb::GetReportingRateRequest {
        scope: unit(scope),
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        read_time: at.map(field::pb_time),
    };
    let mut operator = compliance(testing, &["operator"]);
    let rate = operator.get_reporting_rate(request).await.unwrap().into_inner();
    let [expected, on_time, late, missing, open] = [
        rate.expected_reports,
        rate.actual_reports_on_time,
        rate.late_reports,
        rate.missing_reports,
        rate.open_reports,
    ];
    assert_eq!(expected, on_time + late + missing + open);
    assert_eq!(rate.actual_reports, on_time + late);
    [expected, on_time, late, missing, open, rate.waived_reports]
}

/// Sweeps asked for by several clients at once; gives how many subjects they told of.
async fn sweep(testing: &Testing) -> i32 {
    let sweeps = (0..6).map(|_| async {
        let mut operator = compliance(testing, &["operator"]);
        operator.run_sweep(pb::RunSweepRequest::default()).await.unwrap().into_inner()
    });
    let sweeps = join_all(sweeps).await;
    assert!(sweeps.iter().all(|sweep| sweep.unverified_count == 0), "{sweeps:?}");
    sweeps.iter().map(|sweep| sweep.missing_count).sum()
}

/// Whom a notice is about, as codes under [`pilot`] for a period.
fn subjects(period: &str, codes: &[&str]) -> Vec<String> {
    let subject = |code: &&str| format!("{}/obligations/cds-thang~{period}", unit(code));
    let mut subjects: Vec<_> = codes.iter().map(subject).collect();
    subjects.sort();
    subjects
}

/// What the department is told from `token` on.
async fn watch(testing: &Testing, token: &str) -> Streaming<pb::WatchNoticesResponse> {
    let department = department();
    let mut client = notices(testing, &[&format!("supervisor@{department}")]);
    let request = pb::WatchNoticesRequest { parent: department, resume_token: token.to_owned() };
    client.watch_notices(request).await.unwrap().into_inner()
}

/// The next notice of a watch: whom it is about, and the token after it.
async fn next(watch: &mut Streaming<pb::WatchNoticesResponse>) -> (Vec<String>, String) {
    let message = tokio::time::timeout(SOON, watch.message()).await.expect("a notice");
    let message = message.unwrap().unwrap();
    (message.notice.unwrap().subjects, message.resume_token)
}

/// That a watch ends with the server, and without another notice before.
async fn nothing_more(mut watch: Streaming<pb::WatchNoticesResponse>) {
    let end = tokio::time::timeout(SOON, watch.message()).await.expect("an end").unwrap_err();
    assert_eq!(refusal(&end), (Code::Unavailable, "SHUTTING_DOWN".to_owned()));
}

async fn what_is_due_is_known_at_every_moment_and_told_once(setting: Setting) {
    let testing = start(setting, time("2026-05-04 09:00:00")).await;
    put_in_force(&testing, pilot()).await.unwrap();
    let [first, second, third, fourth, fifth, sixth] = DEBTORS;
    let [bac_ninh, gia_lai, ha_noi] =
        ["24", "52", "01"].map(|code| format!("supervisor@{}", unit(code)));
    let by_regime = format!("supervisor@{REGIME}");
    let everywhere = ["operator"];
    assert_eq!(standings(&testing, &everywhere, None).await, of_all([Open; 6]));

    // One hands in with days to spare, one in the last microsecond; a third begins; one is excused.
    testing.clock.set(time("2026-05-18 16:00:00"));
    submit(&testing, first, report(INDICATOR, Figure::Count(70))).await;
    decisions(&testing, &[&bac_ninh]).create_decision(waiver(third)).await.unwrap();
    let again = decisions(&testing, &[&bac_ninh]).create_decision(waiver(third)).await;
    let again = refusal(&again.unwrap_err());
    assert_eq!(again, (Code::AlreadyExists, "ALREADY_WAIVED".to_owned()));
    let late = begin(&testing, second, report(INDICATOR, Figure::Count(5))).await.unwrap();
    testing.clock.set(just_before(due()));
    let ratio = Figure::Ratio(Ratio { numerator: 30, denominator: 40 });
    submit(&testing, fifth, report(INDICATOR, ratio)).await;
    let before = of_all([OnTime, DueSoon, Waived, DueSoon, OnTime, DueSoon]);
    assert_eq!(standings(&testing, &everywhere, None).await, before);
    assert_eq!(rate(&testing, "24", None).await, [3, 1, 0, 0, 2, 1]);
    assert_eq!(rate(&testing, "52", None).await, [2, 1, 0, 0, 1, 0]);
    let mut watching = watch(&testing, "").await;
    assert_eq!(sweep(&testing).await, 0);

    // At the due instant those who have not handed in are missing, and the department is told once.
    testing.clock.set(due());
    let at_due = of_all([OnTime, Missing, Waived, Missing, OnTime, Missing]);
    assert_eq!(standings(&testing, &everywhere, None).await, at_due);
    assert_eq!(rate(&testing, "24", None).await, [3, 1, 0, 2, 0, 1]);
    assert_eq!(sweep(&testing).await, 3);
    let in_may = subjects(PERIOD, &[second, fourth, sixth]);
    let (told, token) = next(&mut watching).await;
    assert_eq!(told, in_may);
    assert_eq!(sweep(&testing).await, 0);

    // Late is late, whatever the later standing; nobody is told of it anew.
    testing.clock.set(time("2026-05-20 01:00:00"));
    hand_over(&testing, &late.name).await.unwrap();
    let after = of_all([OnTime, Late, Waived, Missing, OnTime, Missing]);
    assert_eq!(standings(&testing, &everywhere, None).await, after);
    assert_eq!(rate(&testing, "24", None).await, [3, 1, 1, 1, 0, 1]);
    assert_eq!(rate(&testing, "52", None).await, [2, 1, 0, 1, 0, 0]);
    assert_eq!(sweep(&testing).await, 0);
    // Somebody who has seen May goes on from there, and sees June.
    let mut resumed = watch(&testing, &token).await;
    testing.clock.set(due_in_june());
    assert_eq!(sweep(&testing).await, 6);
    let in_june = subjects("202606", &DEBTORS);
    let (told, last) = next(&mut watching).await;
    assert_eq!(told, in_june);
    assert_eq!(next(&mut resumed).await, (told, last.clone()));

    // The department sees all that is under its regime, each province its own, the neighbour nothing.
    assert_eq!(standings(&testing, &[&by_regime], None).await, after);
    assert_eq!(standings(&testing, &[&bac_ninh], None).await, after[..4]);
    assert_eq!(standings(&testing, &[&gia_lai], None).await, after[4..]);
    assert_eq!(standings(&testing, &[&ha_noi], None).await, []);
    let other = "supervisor@regimes/khac";
    assert_eq!(standings(&testing, &[other], None).await, []);
    for (stranger, scope) in [(&gia_lai, "24"), (&ha_noi, "24"), (&ha_noi, first)] {
        let request = pb::ListObligationsRequest { scope: unit(scope), ..Default::default() };
        let refused = compliance(&testing, &[stranger]).list_obligations(request).await;
        let expected = (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned());
        assert_eq!(refusal(&refused.unwrap_err()), expected, "{stranger} {scope}");
    }

    // The roll-up is the sum of what was said, in time or not.
    let parts = [("24", 75, vec![unit(fourth)]), ("52", 30, vec![unit(sixth)])];
    for (scope, total, missing) in &parts {
        let sum = add_up(&testing, &by_regime, &unit(scope)).await;
        assert_eq!(sum.total, *total, "{scope}");
        assert_eq!(sum.contributions.iter().map(|one| one.value).sum::<i64>(), *total);
        assert_eq!(sum.missing_units, *missing, "{scope}");
        assert_eq!(sum.expected_count, rate(&testing, scope, None).await[0]);
    }

    // Starting again changes nothing and tells nothing.
    let everything = Everything::of(&testing).await;
    assert_eq!(everything.notices.len(), 2);
    let stopping = tokio::spawn(testing.stop());
    nothing_more(watching).await;
    nothing_more(resumed).await;
    let testing = start_over(setting, stopping.await.unwrap(), due_in_june()).await;
    let again = watch(&testing, &last).await;
    assert_eq!(sweep(&testing).await, 0);
    everything.must_be_all_of(&testing).await;
    for (scope, total, _) in &parts {
        assert_eq!(add_up(&testing, &by_regime, &unit(scope)).await.total, *total);
    }
    let mut from_the_first = watch(&testing, "").await;
    assert_eq!(next(&mut from_the_first).await, (in_may.clone(), token));
    assert_eq!(next(&mut from_the_first).await, (in_june, last));

    let handed_in = of_all([OnTime, DueSoon, Waived, DueSoon, DueSoon, DueSoon]);
    // What was so then is still answered as it was then.
    for (then, seen) in [
        (time("2026-05-04 09:00:00"), of_all([Open; 6])),
        (time("2026-05-18 15:59:59"), of_all([DueSoon; 6])),
        (time("2026-05-18 16:00:00"), handed_in),
        (just_before(due()), before),
        (due(), at_due),
        (time("2026-05-20 01:00:00"), after),
    ] {
        assert_eq!(standings(&testing, &everywhere, Some(then)).await, seen, "{then}");
    }
    let at_due = rate(&testing, "24", Some(due())).await;
    assert_eq!(at_due, [3, 1, 0, 2, 0, 1]);
    let told = explained(&testing, second, due()).await;
    assert_eq!(told, (Missing, vec![in_may]));
    let told = explained(&testing, second, just_before(due())).await;
    assert_eq!(told, (DueSoon, vec![]));

    let stopping = tokio::spawn(testing.stop());
    nothing_more(again).await;
    nothing_more(from_the_first).await;
    stopping.await.unwrap();
}

/// Where a unit's obligation stood at a moment, and the notices that had told of it.
async fn explained(
    testing: &Testing,
    code: &str,
    at: DateTime<Utc>,
) -> (Standing, Vec<Vec<String>>) {
    let request = pb::ExplainObligationRequest {
        name: obligation(code),
        read_time: Some(field::pb_time(at)),
    };
    let mut operator = compliance(testing, &["operator"]);
    let explanation = operator.explain_obligation(request).await.unwrap().into_inner();
    let told = explanation.notices.into_iter().map(|notice| notice.subjects).collect();
    (explanation.obligation.unwrap().standing(), told)
}
