//! `ListObligations`: what is opened when and for whom, where it stands at a moment, and who may see it.

use chrono::{DateTime, Utc};
use dunghan_hierarchy::{UnitHistory, UnitId, Validity, Version};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::Standing;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, fields, refusal};
use tonic::Code;

use crate::world::{
    BAC_NINH, PERIOD, REGIME, World, bac_ninh, commune, day, department, due, first_day, gia_lai,
    list, microseconds, obligation, regime, start, time, unit,
};

fn of_period(period: &str) -> pb::ListObligationsRequest {
    pb::ListObligationsRequest { period: period.to_owned(), ..Default::default() }
}

fn at(read_time: DateTime<Utc>) -> pb::ListObligationsRequest {
    pb::ListObligationsRequest { read_time: Some(field::pb_time(read_time)), ..of_period(PERIOD) }
}

fn codes(obligations: &[pb::Obligation]) -> Vec<&str> {
    obligations.iter().map(|one| one.unit_code.as_str()).collect()
}

fn in_bac_ninh() -> Vec<&'static str> {
    BAC_NINH.iter().map(|(code, _)| *code).collect()
}

/// All communes of Bắc Ninh and Gia Lai owe a report each quarter to Gia Lai.
fn quarterly() -> pb::Regime {
    let units = BAC_NINH.iter().chain(&crate::world::GIA_LAI);
    pb::Regime {
        name: "regimes/a-quarter".to_owned(),
        receiving_unit: gia_lai().to_string(),
        frequency: pb::Frequency::Quarter.into(),
        debtors: Some(pb::Debtors {
            units: units.map(|(code, _)| commune(code).to_string()).collect(),
            ..pb::Debtors::default()
        }),
        ..regime()
    }
}

#[tokio::test]
async fn a_period_is_opened_with_its_window_and_not_a_moment_before() {
    for engine in ENGINES {
        let begins = time("2026-04-15 00:00:00");
        let scene = start(engine, begins - microseconds(1)).await;
        scene.create(regime()).await;
        assert!(scene.list(of_period("")).await.is_empty(), "{engine:?}");
        scene.testing.clock.set(begins);
        let opened = scene.list(of_period("")).await;
        assert_eq!(codes(&opened), in_bac_ninh(), "{engine:?}");
        let unit = commune("09427");
        let expected = pb::Obligation {
            name: obligation(unit),
            unit: unit.to_string(),
            unit_display_name: "Phường Trí Quả".to_owned(),
            unit_code: "09427".to_owned(),
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            due_time: Some(field::pb_time(due())),
            due_generation: 1,
            standing: Standing::Open.into(),
            tier: 1,
            receiving_unit: department().to_string(),
            original_due_time: Some(field::pb_time(due())),
            ..pb::Obligation::default()
        };
        assert_eq!(opened[4], expected);
        // Once it is open, nothing opens it again.
        assert_eq!(scene.list(of_period("")).await, opened);
        assert_eq!(scene.sweep().await.opened_count, 0);
    }
}

#[tokio::test]
async fn who_owes_is_decided_by_the_hierarchy_on_the_cut_off_day() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-06-01 08:00:00")).await;
        {
            // The cut-off of May is the 14th, that of June too.
            let mut world = scene.world.lock();
            let ends = |day_after: &str| Validity::between(first_day(), day(day_after));
            let begins = |first: &str| Validity::since(day(first));
            for (code, validity) in [
                ("07210", ends("2026-05-14")),
                ("07228", ends("2026-05-15")),
                ("08001", begins("2026-05-14")),
                ("08002", begins("2026-05-15")),
            ] {
                world.import(unit(code, &format!("Xã {code}"), Some(bac_ninh()), validity));
            }
        }
        scene.create(regime()).await;
        let may = scene.list(of_period("202605")).await;
        assert_eq!(codes(&may), ["07228", "07246", "07264", "08001", "09427"], "{engine:?}");
        let june = scene.list(of_period("202606")).await;
        assert_eq!(codes(&june), ["07246", "07264", "08001", "08002", "09427"], "{engine:?}");
    }
}

#[tokio::test]
async fn a_unit_that_is_imported_later_is_added_to_what_is_open_and_is_shown_by_its_name() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-16 08:00:00")).await;
        scene.create(regime()).await;
        assert_eq!(scene.list(of_period(PERIOD)).await.len(), 5, "{engine:?}");
        let new = unit("08001", "Xã Mới", Some(bac_ninh()), Validity::since(first_day()));
        scene.world.lock().import(new);
        let now = scene.list(of_period(PERIOD)).await;
        assert_eq!(codes(&now), ["07210", "07228", "07246", "07264", "08001", "09427"]);
        assert_eq!(now[4].unit_display_name, "Xã Mới");
        // Its report was there before anybody knew that it owes one.
        let later = unit("08002", "Xã Khác", Some(bac_ninh()), Validity::since(first_day()));
        scene.world.lock().submit(commune("08002"), PERIOD, time("2026-05-15 08:00:00"));
        assert_eq!(scene.list(of_period(PERIOD)).await.len(), 6);
        scene.world.lock().import(later);
        let now = scene.list(of_period(PERIOD)).await;
        assert_eq!((now.len(), now[5].standing()), (7, Standing::OnTime), "{engine:?}");
    }
}

#[tokio::test]
async fn a_unit_that_moves_is_listed_where_it_was_on_each_cut_off_day() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-06-01 08:00:00")).await;
        let moving = commune("07228");
        let debtors = pb::Debtors { units: vec![moving.to_string()], ..pb::Debtors::default() };
        scene.create(pb::Regime { debtors: Some(debtors), ..regime() }).await;
        let periods = async |scope: UnitId| {
            let request =
                pb::ListObligationsRequest { scope: scope.to_string(), ..Default::default() };
            let found = scene.list(request).await;
            found.into_iter().map(|one| one.period).collect::<Vec<_>>()
        };
        assert_eq!(periods(bac_ninh()).await, ["202605", "202606"], "{engine:?}");
        // The registry learns that the unit is elsewhere since 1 June, within a window that has begun.
        let before = unit("07228", "Phường Đa Mai", Some(bac_ninh()), Validity::since(first_day()));
        let version = |validity, parent| Version {
            validity,
            parent: Some(parent),
            ..before.versions[0].clone()
        };
        let moved_on = day("2026-06-01");
        let moved = UnitHistory {
            versions: vec![
                version(Validity::between(first_day(), moved_on), bac_ninh()),
                version(Validity::since(moved_on), gia_lai()),
            ],
            ..before.clone()
        };
        scene.world.lock().import(moved);
        assert_eq!(periods(bac_ninh()).await, ["202605"], "{engine:?}");
        assert_eq!(periods(gia_lai()).await, ["202606"], "{engine:?}");
        assert_eq!(periods(moving).await, ["202605", "202606"]);
    }
}

#[tokio::test]
async fn a_standing_is_that_of_the_moment_asked_for_to_the_microsecond() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-25 08:00:00")).await;
        scene.create(regime()).await;
        let (on_time, late) = (commune("07210"), commune("07228"));
        let reports = {
            let mut world = scene.world.lock();
            [
                world.submit(on_time, PERIOD, due() - microseconds(1)),
                world.submit(late, PERIOD, due()),
            ]
        };
        let standings = async |read_time| {
            let found = scene.list(at(read_time)).await;
            found[..3].iter().map(pb::Obligation::standing).collect::<Vec<_>>()
        };
        use Standing::{DueSoon, Late, Missing, OnTime, Open};
        for (offset, expected) in [
            (-2, [DueSoon, DueSoon, DueSoon]),
            (-1, [OnTime, DueSoon, DueSoon]),
            (0, [OnTime, Late, Missing]),
            (1, [OnTime, Late, Missing]),
        ] {
            let read_time = due() + microseconds(offset);
            assert_eq!(standings(read_time).await, expected, "{engine:?} {offset}");
            // The same when the database has to choose.
            for wanted in [Open, DueSoon, OnTime, Late, Missing] {
                let request = pb::ListObligationsRequest {
                    standings: vec![wanted.into()],
                    scope: String::new(),
                    ..at(read_time)
                };
                let found = scene.list(request).await;
                assert!(found.iter().all(|one| one.standing() == wanted));
                let count = expected.iter().filter(|standing| **standing == wanted).count();
                let others = if wanted == expected[2] { 2 } else { 0 };
                assert_eq!(found.len(), count + others, "{engine:?} {offset} {wanted:?}");
            }
        }
        // Monday the 25th: four working days after Tuesday the 19th, of which one had passed when the late one came.
        let now = scene.list(of_period(PERIOD)).await;
        let days: Vec<_> = now.iter().map(|one| one.working_days_late).collect();
        assert_eq!(days, [0, 1, 4, 4, 4], "{engine:?}");
        assert_eq!(now[0].receive_time, Some(field::pb_time(due() - microseconds(1))));
        assert_eq!([&now[0].report, &now[1].report], [&reports[0], &reports[1]]);
        // What came after the moment asked for is not shown.
        let before = scene.list(at(due() - microseconds(1))).await;
        assert_eq!((before[1].receive_time, before[1].report.as_str()), (None, ""));
    }
}

#[tokio::test]
async fn filters_narrow_the_list_together() {
    let scene = start(Engine::Sqlite, time("2026-06-20 08:00:00")).await;
    scene.create(regime()).await;
    scene.create(quarterly()).await;
    let count = async |request| scene.list(request).await.len();
    let all = pb::ListObligationsRequest::default;
    // May to July of five communes; the second and third quarter of seven.
    assert_eq!(count(all()).await, 15 + 14);
    assert_eq!(count(pb::ListObligationsRequest { regime: REGIME.to_owned(), ..all() }).await, 15);
    assert_eq!(count(of_period("2026Q2")).await, 7);
    assert_eq!(count(of_period("202606")).await, 5);
    assert_eq!(count(of_period("2026")).await, 0);
    let scoped = |scope: UnitId, period: &str| pb::ListObligationsRequest {
        scope: scope.to_string(),
        ..of_period(period)
    };
    assert_eq!(count(scoped(gia_lai(), "")).await, 4);
    assert_eq!(count(scoped(bac_ninh(), "2026Q2")).await, 5);
    assert_eq!(count(scoped(commune("07210"), "202605")).await, 1);
    assert_eq!(count(scoped(department(), "")).await, 0);
    let standings = [Standing::Missing, Standing::Open];
    let by_standing = |wanted: &[Standing]| pb::ListObligationsRequest {
        standings: wanted.iter().map(|standing| (*standing).into()).collect(),
        ..scoped(bac_ninh(), "")
    };
    // Of Bắc Ninh: May and June are due, July and the third quarter are open; the second quarter was due on the 17th.
    assert_eq!(count(by_standing(&standings[..1])).await, 15);
    assert_eq!(count(by_standing(&standings[1..])).await, 10);
    assert_eq!(count(by_standing(&standings)).await, 25);
    assert_eq!(count(by_standing(&[Standing::Waived])).await, 0);
}

#[tokio::test]
async fn pages_walk_every_row_once_and_in_order() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-06-20 08:00:00")).await;
        scene.create(regime()).await;
        scene.create(quarterly()).await;
        let all = scene.list(of_period("")).await;
        let key =
            |one: &pb::Obligation| (one.regime.clone(), one.period.clone(), one.unit_code.clone());
        assert_eq!(all.len(), 29);
        assert!(all.is_sorted_by_key(key), "{engine:?}");
        for page_size in [1, 2, 7, 28, 29, 1000, 5000] {
            let request = pb::ListObligationsRequest { page_size, ..of_period("") };
            assert_eq!(scene.list(request).await, all, "{engine:?} {page_size}");
        }
    }
}

#[tokio::test]
async fn a_page_token_serves_the_call_that_made_it_and_no_other() {
    let scene = start(Engine::Sqlite, due()).await;
    scene.create(regime()).await;
    let mut client = scene.operator();
    let first = pb::ListObligationsRequest { page_size: 2, ..at(due()) };
    let page = client.list_obligations(first.clone()).await.unwrap().into_inner();
    let second = pb::ListObligationsRequest { page_token: page.next_page_token, ..first.clone() };
    assert_eq!(
        client.list_obligations(second.clone()).await.unwrap().into_inner().obligations.len(),
        2
    );
    for changed in [
        pb::ListObligationsRequest { page_token: "no token".to_owned(), ..first },
        pb::ListObligationsRequest { scope: bac_ninh().to_string(), ..second.clone() },
        pb::ListObligationsRequest { regime: REGIME.to_owned(), ..second.clone() },
        pb::ListObligationsRequest { period: String::new(), ..second.clone() },
        pb::ListObligationsRequest { standings: vec![Standing::Open.into()], ..second.clone() },
        pb::ListObligationsRequest { read_time: None, ..second },
    ] {
        let status = client.list_obligations(changed).await.unwrap_err();
        let expected = (Code::InvalidArgument, "INVALID_PAGE_TOKEN".to_owned());
        assert_eq!((refusal(&status), fields(&status)), (expected, vec!["page_token".to_owned()]));
    }
}

#[tokio::test]
async fn a_caller_sees_what_the_grants_reach_and_no_neighbour() {
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        scene.create(regime()).await;
        scene.create(quarterly()).await;
        let own = commune("07210");
        let reporter = format!("reporter@{own}");
        let supervisor = format!("supervisor@{}", bac_ninh());
        let elsewhere = format!("supervisor@{}", gia_lai());
        let nowhere = format!("supervisor@{}", department());
        let unknown = UnitId::new("nso", "99999", None);
        // Whether a scope may be named, and under a regime.
        for (grant, scope, regime, may) in [
            (reporter.as_str(), own, "", true),
            (&reporter, commune("07228"), "", false),
            (&reporter, bac_ninh(), "", false),
            (&reporter, unknown, "", false),
            (&supervisor, bac_ninh(), "", true),
            (&supervisor, commune("07228"), "", true),
            (&supervisor, department(), "", true),
            (&supervisor, commune("21733"), "", false),
            (&supervisor, gia_lai(), "", false),
            ("supervisor@regimes/a-quarter", gia_lai(), "regimes/a-quarter", true),
            ("supervisor@regimes/a-quarter", bac_ninh(), "regimes/a-quarter", true),
            ("supervisor@regimes/a-quarter", bac_ninh(), "", false),
            ("supervisor@regimes/a-quarter", bac_ninh(), REGIME, false),
            ("operator", gia_lai(), "", true),
            ("service", gia_lai(), "", true),
        ] {
            let request = pb::ListObligationsRequest {
                scope: scope.to_string(),
                regime: regime.to_owned(),
                ..Default::default()
            };
            match scene.compliance(&[grant]).list_obligations(request).await {
                Ok(_) => assert!(may, "{grant} over {scope} {regime}"),
                Err(status) => {
                    let expected = (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned());
                    assert_eq!((refusal(&status), may), (expected, false), "{grant} {scope}");
                }
            }
        }
        // Without a scope: all that is reached, and nothing else.
        for (grants, months, quarters) in [
            (vec![reporter.as_str()], 1, 1),
            (vec![&supervisor], 5, 5),
            (vec![&elsewhere], 0, 2),
            (vec![&nowhere], 0, 0),
            (vec!["reader@regimes/a-quarter"], 0, 7),
            (vec!["reader@regimes/none"], 0, 0),
            (vec![&reporter, &elsewhere], 1, 3),
            (vec![&reporter, "reader@regimes/a-quarter"], 1, 7),
            (vec!["reader"], 5, 7),
        ] {
            for (period, expected) in [(PERIOD, months), ("2026Q2", quarters)] {
                let mut client = scene.compliance(&grants);
                let found = list(&mut client, of_period(period)).await.unwrap();
                assert_eq!(found.len(), expected, "{engine:?} {grants:?} {period}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_unknown_is_not_found_and_what_does_not_read_is_named() {
    let scene = start(Engine::Sqlite, due()).await;
    scene.create(regime()).await;
    let refused = async |request: pb::ListObligationsRequest| {
        scene.operator().list_obligations(request).await.unwrap_err()
    };
    let unknown = UnitId::new("nso", "99999", None).to_string();
    let all = pb::ListObligationsRequest::default;
    let status = refused(pb::ListObligationsRequest { scope: unknown, ..all() }).await;
    assert_eq!(refusal(&status), (Code::NotFound, "UNKNOWN_UNIT".to_owned()));
    let none = "regimes/none".to_owned();
    let status = refused(pb::ListObligationsRequest { regime: none, ..all() }).await;
    assert_eq!(refusal(&status), (Code::NotFound, "UNKNOWN_REGIME".to_owned()));
    let far = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
    for (request, field, reason) in [
        (
            pb::ListObligationsRequest { scope: "units/1".to_owned(), ..all() },
            "scope",
            "INVALID_FIELD",
        ),
        (
            pb::ListObligationsRequest { regime: "cds".to_owned(), ..all() },
            "regime",
            "INVALID_FIELD",
        ),
        (of_period("2026-05"), "period", "INVALID_PERIOD"),
        (pb::ListObligationsRequest { standings: vec![0], ..all() }, "standings", "INVALID_FIELD"),
        (
            pb::ListObligationsRequest { standings: vec![1, 99], ..all() },
            "standings",
            "INVALID_FIELD",
        ),
        (
            pb::ListObligationsRequest { read_time: Some(far), ..all() },
            "read_time",
            "INVALID_FIELD",
        ),
        (pb::ListObligationsRequest { page_size: -1, ..all() }, "page_size", "INVALID_FIELD"),
    ] {
        let status = refused(request).await;
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned()), "{field}");
        assert_eq!(fields(&status), [field]);
    }
}

#[tokio::test]
async fn reports_under_a_regime_without_a_due_time_are_open_or_there() {
    for engine in ENGINES {
        let scene = start(engine, time("2027-01-01 08:00:00")).await;
        let through = Some(field::pb_date(day("2026-05-31")));
        scene.create(pb::Regime { due_rule: None, through_date: through, ..regime() }).await;
        scene.world.lock().submit(commune("07210"), PERIOD, time("2026-12-01 08:00:00"));
        let found = scene.list(of_period("")).await;
        let standings: Vec<_> = found.iter().map(pb::Obligation::standing).collect();
        use Standing::{NoDueTime, Open};
        assert_eq!(standings, [NoDueTime, Open, Open, Open, Open], "{engine:?}");
        assert!(found.iter().all(|one| one.due_time.is_none() && one.working_days_late == 0));
        let sweep = scene.sweep().await;
        assert_eq!((sweep.missing_count, sweep.notice_count), (0, 0));
    }
}

#[tokio::test]
async fn no_list_is_given_while_a_peer_cannot_be_asked() {
    let scene = start(Engine::Sqlite, due()).await;
    scene.create(regime()).await;
    for away in [
        |world: &mut World| world.submission_away = true,
        |world: &mut World| {
            world.submission_away = false;
            world.registry_away = true;
        },
    ] {
        away(&mut scene.world.lock());
        let status = scene.operator().list_obligations(of_period("")).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::Unavailable, "PEER_UNAVAILABLE".to_owned()));
    }
}
