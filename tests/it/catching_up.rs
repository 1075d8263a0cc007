//! Copies of the units follow the registry: also that of a service which was away while they changed.

use std::time::Duration;

use dunghan_events::Units;
use dunghan_hierarchy::{NSO, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_proto::registry;
use dunghan_proto::submission::ListReportsRequest;
use dunghan_proto::submission::value::Figure;
use dunghan_testkit::{ENGINES, Mode, Testing, eventually, refusal};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::changes::{merge, new, on, reorganise, transfer};
use crate::roll_up::{INDICATOR, add_up};
use crate::setting::{Setting, everywhere};
use crate::world::{
    BAC_NINH, PERIOD, REGIME, compliance, day, put_in_force, regime, report, start, submission,
    submit, time, unit,
};

everywhere!(a_copy_follows_without_anybody_asking_it_to);

/// How long a copy may be behind where nobody asks for a unit that it does not know.
const SOON: Duration = Duration::from_secs(30);

/// One commune of Bắc Ninh comes under Gia Lai, two others become a new one there.
fn to_gia_lai() -> registry::Reorganisation {
    let [one, two, three, ..] = BAC_NINH;
    on("2026-05-16", vec![transfer(one, "52"), merge(&[two, three], new("21999", "52"))])
}

/// The units whose reports somebody sees, and by which version of the hierarchy.
async fn seen(testing: &Testing, grant: &str) -> (Vec<String>, i64) {
    let mut client = submission(testing, &[grant]);
    let page = client.list_reports(ListReportsRequest::default()).await.unwrap().into_inner();
    let of = |name: &str| name.split_once("/reports/").unwrap().0.to_owned();
    (page.reports.iter().map(|one| of(&one.name)).collect(), page.hierarchy_version)
}

async fn a_copy_follows_without_anybody_asking_it_to(setting: Setting) {
    let testing = start(setting, time("2026-05-18 09:00:00")).await;
    put_in_force(&testing, regime()).await.unwrap();
    for code in &BAC_NINH[..3] {
        submit(&testing, code, report(INDICATOR, Figure::Count(30))).await;
    }
    let over_gia_lai = format!("supervisor@{}", unit("52"));
    let (none, known) = seen(&testing, &over_gia_lai).await;
    assert_eq!(none, [""; 0]);
    // Another process's copy, which nobody ever asks to look.
    let units = Units::new(testing.channel(&["service"]));
    assert_eq!(units.current().await.unwrap().version(), known.cast_unsigned());
    let stop = CancellationToken::new();
    let following = tokio::spawn(units.clone().follow(stop.clone()));

    let recorded = reorganise(&testing, "sap-xep", to_gia_lai()).await.unwrap();
    assert_eq!(recorded.hierarchy_version, known + 1);
    // A list of all that one may see is answered from the copy as it is.
    let seen = eventually(SOON, async || {
        let (seen, version) = seen(&testing, &over_gia_lai).await;
        (version > known).then_some((seen, version))
    });
    let (mut reports, version) = seen.await;
    assert_eq!(version, recorded.hierarchy_version);
    reports.sort();
    let mut expected = BAC_NINH[..3].iter().map(|code| unit(code)).collect::<Vec<_>>();
    expected.sort();
    assert_eq!(reports, expected);
    let copy = eventually(SOON, async || {
        let copy = units.current().await.unwrap();
        (copy.version() > known.cast_unsigned()).then_some(copy)
    });
    let copy = copy.await;
    assert_eq!((copy.version(), copy.edges().len()), (version.cast_unsigned(), 2));
    stop.cancel();
    following.await.unwrap();
    testing.stop().await;
}

/// What rests on the hierarchy, each with the version that it rests on, of services that answer at once from the newest:
/// obligations of the new commune, the rate and the sum of Gia Lai.
async fn versions(testing: &Testing) -> [i64; 3] {
    let scope = unit("52");
    let list = pb::ListObligationsRequest { scope: scope.clone(), ..Default::default() };
    let mut operator = compliance(testing, &["operator"]);
    let listed = operator.list_obligations(list).await.unwrap().into_inner();
    let rate = pb::GetReportingRateRequest {
        scope: scope.clone(),
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        read_time: None,
    };
    let rate = operator.get_reporting_rate(rate).await.unwrap().into_inner();
    let sum = add_up(testing, "operator", &scope).await;
    [listed.hierarchy_version, rate.hierarchy_version, sum.hierarchy_version]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_away_answers_from_the_new_units_when_it_is_back() {
    for engine in ENGINES {
        for away in ["submission", "compliance", "aggregation"] {
            let setting = Setting { mode: Mode::Apart, engine };
            let mut testing = start(setting, time("2026-05-18 09:00:00")).await;
            put_in_force(&testing, regime()).await.unwrap();
            submit(&testing, BAC_NINH[0], report(INDICATOR, Figure::Count(30))).await;
            let over_gia_lai = format!("supervisor@{}", unit("52"));
            let (none, known) = seen(&testing, &over_gia_lai).await;
            assert_eq!(none, [""; 0]);
            assert_eq!(versions(&testing).await, [known; 3]);

            testing.apart().terminate(away);
            // Nothing waits for who is away.
            let recorded = reorganise(&testing, "sap-xep", to_gia_lai()).await.unwrap();
            assert_eq!(recorded.hierarchy_version, known + 1);
            testing.apart().add(&[away]);
            assert_eq!(versions(&testing).await, [known + 1; 3], "{engine:?} {away}");
            // A copy that is asked for a unit which it does not know looks; so this is from the new units at once.
            let new = UnitId::new(NSO, "21999", Some(day("2026-05-16"))).to_string();
            let of_new = ListReportsRequest { parent: new, ..Default::default() };
            let mut client = submission(&testing, &[&over_gia_lai]);
            let page = client.list_reports(of_new).await.unwrap().into_inner();
            assert_eq!((page.reports, page.hierarchy_version), (vec![], known + 1));
            let expected = (vec![unit(BAC_NINH[0])], known + 1);
            assert_eq!(seen(&testing, &over_gia_lai).await, expected, "{engine:?} {away}");
            // Who had it before has it no more: it moved, and has not ended.
            let (left, _) = seen(&testing, &format!("supervisor@{}", unit("24"))).await;
            assert_eq!(left, [""; 0]);
            let moved = ListReportsRequest { parent: unit(BAC_NINH[0]), ..Default::default() };
            let mut before = submission(&testing, &[&format!("supervisor@{}", unit("24"))]);
            let refused = refusal(&before.list_reports(moved).await.unwrap_err());
            assert_eq!(refused, (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned()));
            testing.stop().await;
        }
    }
}
