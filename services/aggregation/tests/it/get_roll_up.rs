//! `GetRollUp`: what it adds up, who is in it, and what it refuses.

use std::time::Duration;

use chrono::{DateTime, Utc};
use dunghan_hierarchy::UnitId;
use dunghan_proto::aggregation::{GetRollUpRequest, RollUp, roll_up::Basis};
use dunghan_proto::compliance::Standing;
use dunghan_proto::submission::value::{Figure, Qualifier, Role};
use dunghan_proto::submission::{Ratio, Value};
use dunghan_proto::r#type::{Date, Decimal};
use dunghan_testkit::{ENGINES, Engine, Testing, eventually, fields, refusal};
use tonic::{Code, Status};

use crate::world::{
    HIERARCHY_VERSION, PERIOD, REGIME, client, commune, province, start, start_over, value,
};

fn now() -> DateTime<Utc> {
    "2026-05-20T02:00:00Z".parse().unwrap()
}

fn request(scope: UnitId) -> GetRollUpRequest {
    GetRollUpRequest {
        scope: scope.to_string(),
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        indicator: "online_dossiers".to_owned(),
        category: String::new(),
    }
}

async fn ask(testing: &Testing, request: GetRollUpRequest) -> Result<RollUp, Status> {
    let mut client = client(testing, &["operator"]);
    Ok(client.get_roll_up(request).await?.into_inner())
}

async fn refused(testing: &Testing, request: GetRollUpRequest) -> (Code, String) {
    refusal(&ask(testing, request).await.unwrap_err())
}

fn count(count: i64) -> Value {
    value("online_dossiers", Figure::Count(count))
}

fn ratio(numerator: i64, denominator: i64) -> Value {
    value("online_dossiers", Figure::Ratio(Ratio { numerator, denominator }))
}

fn percent(indicator: &str) -> Value {
    value(indicator, Figure::Percent(Decimal { value: "98.5".to_owned() }))
}

fn names(units: &[UnitId]) -> Vec<String> {
    let mut units = units.to_vec();
    units.sort();
    units.iter().map(UnitId::to_string).collect()
}

#[tokio::test]
async fn a_roll_up_says_what_it_adds_up_and_who_is_in_it() {
    for engine in ENGINES {
        let (testing, world) = start(engine, now()).await;
        let (first, second) = {
            let mut world = world.lock();
            let first = world.submit(1, vec![ratio(30, 40)]);
            let about = Value { qualifier: Qualifier::About.into(), ..count(100) };
            let second = world.submit(2, vec![about]);
            world.submit(5, vec![value("e_health_percent", Figure::Count(7))]);
            world.submit(4, vec![count(9999)]);
            world.submit(6, vec![count(5555)]);
            world.waived.push(commune(4));
            (first, second)
        };
        let sum = ask(&testing, request(province(1))).await.unwrap();
        assert_eq!(
            (sum.total, sum.numerator_total, sum.denominator_total),
            (130, Some(30), Some(40))
        );
        assert_eq!((sum.expected_count, sum.counted_count), (4, 2));
        assert_eq!(sum.basis(), Basis::Submitted);
        assert_eq!(sum.units_without_value, names(&[commune(5)]));
        assert_eq!(sum.missing_units, names(&[commune(3)]));
        assert_eq!(sum.waived_units, names(&[commune(4)]));
        assert_eq!(sum.read_time.unwrap().seconds, now().timestamp());
        // The oldest of those by which the pages were listed.
        assert_eq!(sum.hierarchy_version, HIERARCHY_VERSION);
        let mut contributions: Vec<_> = sum
            .contributions
            .into_iter()
            .map(|one| (one.unit, one.report, one.value, one.denominator, one.approximate))
            .collect();
        let mut expected = vec![
            (commune(1).to_string(), first, 30, Some(40), false),
            (commune(2).to_string(), second, 100, None, true),
        ];
        expected.sort();
        assert!(contributions.is_sorted(), "{contributions:?}");
        contributions.sort();
        assert_eq!(contributions, expected);
    }
}

#[tokio::test]
async fn the_scope_is_a_subtree_and_may_be_one_commune() {
    let (testing, world) = start(Engine::Sqlite, now()).await;
    world.lock().submit(1, vec![count(1)]);
    world.lock().submit(2, vec![count(20)]);
    world.lock().submit(7, vec![count(300)]);
    for (scope, total, expected) in
        [(province(1), 21, 5), (province(2), 300, 2), (commune(2), 20, 1), (commune(3), 0, 1)]
    {
        let sum = ask(&testing, request(scope)).await.unwrap();
        assert_eq!((sum.total, sum.expected_count), (total, expected), "{scope}");
        assert_eq!(sum.denominator_total, None);
    }
}

#[tokio::test]
async fn only_actual_figures_of_the_row_asked_for_are_added() {
    let (testing, world) = start(Engine::Sqlite, now()).await;
    let row = |category: &str, n| Value { category: category.to_owned(), ..count(n) };
    let role = |role: Role, n| Value { role: role.into(), ..count(n) };
    let day = Date { year: 2026, month: 5, day: 14 };
    let dated = Value { end_date: Some(day), ..count(3) };
    world.lock().submit(1, vec![row("Hộ tịch", 40), row("Đất đai", 50), count(2), dated]);
    world.lock().submit(2, vec![role(Role::Target, 1000), role(Role::Context, 2000)]);
    world.lock().submit(3, vec![role(Role::Actual, 4)]);
    let outside = ask(&testing, request(province(1))).await.unwrap();
    // Of commune 1, the figure that reaches the 14th rather than the one without a date.
    assert_eq!((outside.total, outside.counted_count), (7, 2));
    let category = "Hộ tịch".to_owned();
    let inside =
        ask(&testing, GetRollUpRequest { category, ..request(province(1)) }).await.unwrap();
    assert_eq!((inside.total, inside.category.as_str()), (40, "Hộ tịch"));
    assert_eq!(inside.units_without_value, names(&[commune(2), commune(3)]));
}

#[tokio::test]
async fn a_unit_that_owes_nothing_is_not_counted_even_if_it_reports() {
    let (testing, world) = start(Engine::Sqlite, now()).await;
    world.lock().exempt.push(commune(1));
    world.lock().submit(1, vec![count(10)]);
    world.lock().submit(2, vec![count(20)]);
    let sum = ask(&testing, request(province(1))).await.unwrap();
    assert_eq!((sum.total, sum.expected_count), (20, 4));
}

#[tokio::test]
async fn what_was_submitted_before_the_call_is_counted_even_while_its_event_is_held_back() {
    for engine in ENGINES {
        let (testing, world) = start(engine, now()).await;
        for (number, total) in [(1, 1), (2, 3), (3, 6)] {
            world.lock().held_back += 1;
            world.lock().submit(number, vec![count(number.into())]);
            let sum = ask(&testing, request(province(1))).await.unwrap();
            assert_eq!(sum.total, total);
        }
        // The events come after all, and change nothing.
        world.lock().held_back = 0;
        assert_eq!(ask(&testing, request(province(1))).await.unwrap().total, 6);
    }
}

#[tokio::test]
async fn nothing_is_counted_twice_after_a_restart() {
    for engine in ENGINES {
        let (testing, world) = start(engine, now()).await;
        for number in 1..=5 {
            world.lock().submit(number, vec![count(1)]);
        }
        assert_eq!(ask(&testing, request(province(1))).await.unwrap().total, 5);
        let reports = world.lock().reports.clone();
        let place = testing.stop().await;
        let (testing, world) = start_over(place, now()).await;
        // Its events are gone with its world; what was taken in is still there.
        world.lock().reports = reports;
        let sum = ask(&testing, request(province(1))).await.unwrap();
        assert_eq!((sum.total, sum.counted_count), (5, 5));
        let asked = world.lock().asked_after.clone();
        assert!(asked.iter().all(|after| after == "0.5"), "{asked:?}");
    }
}

#[tokio::test]
async fn a_report_that_is_taken_back_is_not_counted_until_it_is_handed_over_again() {
    for engine in ENGINES {
        let (testing, world) = start(engine, now()).await;
        world.lock().submit(1, vec![count(10)]);
        world.lock().submit(2, vec![count(20)]);
        assert_eq!(ask(&testing, request(province(1))).await.unwrap().total, 30);
        world.lock().withdraw(1);
        let sum = ask(&testing, request(province(1))).await.unwrap();
        assert_eq!((sum.total, sum.counted_count), (20, 1), "{engine:?}");
        assert!(sum.missing_units.contains(&commune(1).to_string()));
        world.lock().edit(1, vec![count(11)]);
        assert_eq!(ask(&testing, request(province(1))).await.unwrap().total, 20);
        world.lock().submit(1, vec![count(12)]);
        assert_eq!(ask(&testing, request(province(1))).await.unwrap().total, 32);
    }
}

#[tokio::test]
async fn a_report_that_is_sent_back_counts_as_it_was_handed_over_until_it_is_again() {
    for engine in ENGINES {
        let (testing, world) = start(engine, now()).await;
        world.lock().submit(1, vec![count(10), value("e_health_percent", Figure::Count(3))]);
        assert_eq!(ask(&testing, request(province(1))).await.unwrap().total, 10);
        world.lock().send_back(1);
        world.lock().edit(1, vec![count(11)]);
        let sum = ask(&testing, request(province(1))).await.unwrap();
        assert_eq!((sum.total, sum.counted_count), (10, 1), "{engine:?}");
        world.lock().submit(1, vec![count(12)]);
        assert_eq!(ask(&testing, request(province(1))).await.unwrap().total, 12);
        // What it says no more is not counted any more.
        let indicator = "e_health_percent".to_owned();
        let gone = GetRollUpRequest { indicator, ..request(province(1)) };
        assert_eq!(ask(&testing, gone).await.unwrap().counted_count, 0, "{engine:?}");
    }
}

#[tokio::test]
async fn a_report_that_is_accepted_counts_as_it_did_whenever_that_is_heard_of() {
    for engine in ENGINES {
        let (testing, world) = start(engine, now()).await;
        world.lock().submit(1, vec![count(10)]);
        assert_eq!(ask(&testing, request(province(1))).await.unwrap().total, 10);
        world.lock().accept(1);
        // First heard of by then: of the one by its event, of the other ahead of it.
        world.lock().submit(2, vec![count(20)]);
        world.lock().accept(2);
        assert_eq!(ask(&testing, request(province(1))).await.unwrap().total, 30, "{engine:?}");
        {
            let mut world = world.lock();
            world.held_back = 2;
            world.submit(3, vec![count(5)]);
            world.accept(3);
        }
        let sum = ask(&testing, request(province(1))).await.unwrap();
        assert_eq!((sum.total, sum.counted_count), (35, 3), "{engine:?}");
        world.lock().held_back = 0;
        // Sent back it counts as it was handed over, and then as it is handed over again.
        world.lock().send_back(1);
        world.lock().edit(1, vec![count(11)]);
        assert_eq!(ask(&testing, request(province(1))).await.unwrap().total, 35);
        world.lock().submit(1, vec![count(12)]);
        world.lock().accept(1);
        assert_eq!(ask(&testing, request(province(1))).await.unwrap().total, 37, "{engine:?}");
    }
}

#[tokio::test]
async fn a_unit_in_which_nothing_occurred_has_reported_and_brings_no_figure() {
    for engine in ENGINES {
        let (testing, world) = start(engine, now()).await;
        world.lock().submit(1, vec![count(10)]);
        world.lock().submit(2, vec![count(20)]);
        assert_eq!(ask(&testing, request(province(1))).await.unwrap().total, 30);
        world.lock().submit_nil(3);
        // What it said before is not kept in mind.
        world.lock().send_back(2);
        world.lock().submit_nil(2);
        let sum = ask(&testing, request(province(1))).await.unwrap();
        assert_eq!((sum.total, sum.counted_count), (10, 1), "{engine:?}");
        let mut without = [2, 3].map(|number| commune(number).to_string());
        without.sort_unstable();
        let mut found = sum.units_without_value.clone();
        found.sort_unstable();
        assert_eq!(found, without, "{engine:?}");
        assert_eq!((sum.expected_count, sum.missing_units.len()), (5, 2));
    }
}

#[tokio::test]
async fn what_is_first_heard_of_when_it_was_sent_back_and_is_being_mended_counts_as_handed_over() {
    let (testing, world) = start(Engine::Sqlite, now()).await;
    // By its event, and ahead of it.
    for (number, held_back) in [(1, 0), (2, 3)] {
        let mut world = world.lock();
        for handed_over in [10, 20] {
            world.submit(number, vec![count(handed_over)]);
            world.send_back(number);
        }
        world.edit(number, vec![count(30)]);
        world.held_back = held_back;
    }
    let sum = ask(&testing, request(province(1))).await.unwrap();
    assert_eq!((sum.total, sum.counted_count), (40, 2));
}

#[tokio::test]
async fn what_was_handed_over_again_before_the_call_counts_even_while_its_event_is_held_back() {
    for engine in ENGINES {
        let (testing, world) = start(engine, now()).await;
        world.lock().submit(1, vec![count(1)]);
        assert_eq!(ask(&testing, request(province(1))).await.unwrap().total, 1);
        {
            let mut world = world.lock();
            world.send_back(1);
            world.submit(1, vec![count(2)]);
            world.submit(2, vec![count(40)]);
            world.withdraw(2);
            world.held_back = 4;
        }
        let sum = ask(&testing, request(province(1))).await.unwrap();
        assert_eq!((sum.total, sum.counted_count), (2, 1), "{engine:?}");
        world.lock().held_back = 0;
        let sum = ask(&testing, request(province(1))).await.unwrap();
        assert_eq!((sum.total, sum.counted_count), (2, 1), "{engine:?}");
    }
}

#[tokio::test]
async fn events_that_come_again_or_late_change_nothing() {
    for engine in ENGINES {
        let (testing, world) = start(engine, now()).await;
        {
            let mut world = world.lock();
            world.submit(1, vec![count(1)]);
            world.send_back(1);
            world.submit(1, vec![count(2)]);
            world.submit(2, vec![count(10)]);
            world.withdraw(2);
            world.submit(3, vec![count(100)]);
            world.withdraw(3);
            world.submit(3, vec![count(200)]);
        }
        assert_eq!(ask(&testing, request(province(1))).await.unwrap().total, 202);
        for again in [&[0][..], &[3], &[4], &[5, 6], &[7, 6, 5, 4, 3, 2, 1, 0]] {
            world.lock().tell_again(again);
            let sum = ask(&testing, request(province(1))).await.unwrap();
            assert_eq!((sum.total, sum.counted_count), (202, 2), "{engine:?} {again:?}");
        }
    }
}

#[tokio::test]
async fn a_report_that_is_taken_back_between_two_questions_is_missing_and_not_without_a_value() {
    let (testing, world) = start(Engine::Sqlite, now()).await;
    world.lock().submit(1, vec![count(1)]);
    world.lock().withdraw(1);
    // Compliance was asked a moment before.
    world.lock().standings.insert(commune(1), Standing::OnTime);
    let sum = ask(&testing, request(commune(1))).await.unwrap();
    assert_eq!((sum.missing_units, sum.units_without_value), (names(&[commune(1)]), vec![]));
}

#[tokio::test]
async fn every_standing_is_expected_or_not() {
    let (testing, world) = start(Engine::Sqlite, now()).await;
    world.lock().submit(1, vec![count(5)]);
    for (standing, expected, counted) in [
        (Standing::NotYetOpen, 1, 0),
        (Standing::Open, 1, 0),
        (Standing::DueSoon, 1, 0),
        (Standing::Missing, 1, 0),
        (Standing::OnTime, 1, 1),
        (Standing::Late, 1, 1),
        (Standing::NoDueTime, 1, 1),
        (Standing::Returned, 1, 1),
        (Standing::Waived, 0, 0),
        (Standing::Closed, 0, 0),
    ] {
        world.lock().standings.insert(commune(1), standing);
        let sum = ask(&testing, request(commune(1))).await.unwrap();
        assert_eq!((sum.expected_count, sum.counted_count), (expected, counted), "{standing:?}");
        assert_eq!(sum.waived_units.len(), usize::from(standing == Standing::Waived));
    }
}

#[tokio::test]
async fn reports_are_taken_in_without_anybody_asking() {
    let (_testing, world) = start(Engine::Sqlite, now()).await;
    for number in 1..=3 {
        world.lock().submit(number, vec![count(1)]);
    }
    eventually(Duration::from_secs(20), async || {
        world.lock().asked_after.iter().any(|after| after == "0.3").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_percentage_without_parts_is_not_added() {
    let (testing, world) = start(Engine::Sqlite, now()).await;
    world.lock().submit(1, vec![percent("e_health_percent"), percent("online_dossiers")]);
    let e_health =
        GetRollUpRequest { indicator: "e_health_percent".to_owned(), ..request(province(1)) };
    let not_additive = (Code::FailedPrecondition, "NOT_ADDITIVE".to_owned());
    assert_eq!(refused(&testing, e_health.clone()).await, not_additive);
    assert_eq!(refused(&testing, request(province(1))).await, not_additive);
    for read_unit_by_unit in ["system_age", "remark", "linked_levels"] {
        let indicator = read_unit_by_unit.to_owned();
        let request = GetRollUpRequest { indicator, ..request(province(1)) };
        assert_eq!(refused(&testing, request).await, not_additive, "{read_unit_by_unit}");
    }
    // Stated with its parts by another unit, there is something to add; the first has no value for it.
    let parts = Figure::Ratio(Ratio { numerator: 3, denominator: 4 });
    world.lock().submit(2, vec![value("e_health_percent", parts)]);
    let sum = ask(&testing, e_health).await.unwrap();
    assert_eq!((sum.numerator_total, sum.denominator_total), (Some(3), Some(4)));
    assert_eq!(sum.units_without_value, names(&[commune(1)]));
}

#[tokio::test]
async fn a_total_that_does_not_fit_is_refused() {
    let (testing, world) = start(Engine::Sqlite, now()).await;
    world.lock().submit(1, vec![count(i64::MAX)]);
    assert_eq!(ask(&testing, request(province(1))).await.unwrap().total, i64::MAX);
    world.lock().submit(2, vec![count(1)]);
    let too_large = (Code::OutOfRange, "TOTAL_TOO_LARGE".to_owned());
    assert_eq!(refused(&testing, request(province(1))).await, too_large);
}

#[tokio::test]
async fn what_is_unknown_is_not_found() {
    let (testing, _world) = start(Engine::Sqlite, now()).await;
    let good = request(province(1));
    let unknown = [
        (GetRollUpRequest { regime: "regimes/none".to_owned(), ..good.clone() }, "UNKNOWN_REGIME"),
        (GetRollUpRequest { indicator: "none".to_owned(), ..good }, "UNKNOWN_INDICATOR"),
        (request(UnitId::new("nso", "99999", None)), "UNKNOWN_UNIT"),
    ];
    for (request, reason) in unknown {
        assert_eq!(refused(&testing, request).await, (Code::NotFound, reason.to_owned()));
    }
}

#[tokio::test]
async fn a_field_that_does_not_read_is_named() {
    let (testing, _world) = start(Engine::Sqlite, now()).await;
    let good = || request(province(1));
    let bad = [
        (GetRollUpRequest { scope: String::new(), ..good() }, "scope", "REQUIRED_FIELD_MISSING"),
        (GetRollUpRequest { scope: "units/1".to_owned(), ..good() }, "scope", "INVALID_FIELD"),
        (GetRollUpRequest { regime: "cds".to_owned(), ..good() }, "regime", "INVALID_FIELD"),
        (GetRollUpRequest { regime: "regimes/".to_owned(), ..good() }, "regime", "INVALID_FIELD"),
        (GetRollUpRequest { period: "2026-05".to_owned(), ..good() }, "period", "INVALID_PERIOD"),
        (GetRollUpRequest { period: String::new(), ..good() }, "period", "REQUIRED_FIELD_MISSING"),
        (
            GetRollUpRequest { indicator: " ".to_owned(), ..good() },
            "indicator",
            "REQUIRED_FIELD_MISSING",
        ),
        (GetRollUpRequest { category: "x".repeat(801), ..good() }, "category", "INVALID_FIELD"),
        // PostgreSQL would fail over it.
        (GetRollUpRequest { category: "a\0".to_owned(), ..good() }, "category", "INVALID_FIELD"),
    ];
    for (request, field, reason) in bad {
        let status = ask(&testing, request.clone()).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned()), "{request:?}");
        assert_eq!(fields(&status), [field], "{request:?}");
    }
}

#[tokio::test]
async fn only_who_reads_the_unit_or_the_regime_is_answered() {
    let (testing, _world) = start(Engine::Sqlite, now()).await;
    let unknown = UnitId::new("nso", "99999", None);
    let supervisor = format!("supervisor@{}", province(1));
    let allowed = [
        (supervisor.as_str(), province(1), true),
        (&supervisor, commune(1), true),
        (&supervisor, province(2), false),
        (&supervisor, commune(6), false),
        // Refused before anything is looked up: what is not there looks no different.
        (&supervisor, unknown, false),
        ("reader@regimes/cds-thang", province(2), true),
        ("reader@regimes/other", province(2), false),
    ];
    for (grant, scope, may) in allowed {
        let answer = client(&testing, &[grant]).get_roll_up(request(scope)).await;
        match answer {
            Ok(_) => assert!(may, "{grant} over {scope}"),
            Err(status) => {
                let out_of_scope = (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned());
                assert_eq!((refusal(&status), may), (out_of_scope, false), "{grant} over {scope}");
            }
        }
    }
}

#[tokio::test]
async fn no_answer_is_given_while_a_peer_cannot_be_asked() {
    let (testing, world) = start(Engine::Sqlite, now()).await;
    world.lock().submit(1, vec![count(1)]);
    assert!(ask(&testing, request(province(1))).await.is_ok());
    let unavailable = (Code::Unavailable, "PEER_UNAVAILABLE".to_owned());
    world.lock().submission_away = true;
    assert_eq!(refused(&testing, request(province(1))).await, unavailable);
    world.lock().submission_away = false;
    world.lock().compliance_away = true;
    assert_eq!(refused(&testing, request(province(1))).await, unavailable);
    world.lock().compliance_away = false;
    assert_eq!(ask(&testing, request(province(1))).await.unwrap().total, 1);
}

#[tokio::test]
async fn what_a_unit_states_of_its_whole_subtree_is_not_added_to_what_those_below_state() {
    let (testing, world) = start(Engine::Sqlite, now()).await;
    let of_all = |count| value("dossiers_of_all_below", Figure::Count(count));
    world.lock().submit(7, vec![of_all(4), count(4)]);
    let request = || GetRollUpRequest {
        indicator: "dossiers_of_all_below".to_owned(),
        ..request(province(2))
    };
    let sum = ask(&testing, request()).await.unwrap();
    assert_eq!((sum.total, sum.covered_units.len()), (4, 0));
    world.lock().submit(6, vec![of_all(10), count(10)]);
    let sum = ask(&testing, request()).await.unwrap();
    assert_eq!((sum.total, sum.expected_count, sum.counted_count), (10, 2, 1));
    assert_eq!(sum.covered_units, names(&[commune(7)]));
    // What each states of itself alone is added.
    let own = ask(&testing, self::request(province(2))).await.unwrap();
    assert_eq!((own.total, own.counted_count, own.covered_units.len()), (14, 2, 0));
}
