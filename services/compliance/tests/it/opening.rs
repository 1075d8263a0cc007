//! Which obligations there are: by the hierarchy on the cut-off day, the regime, and what submission said, in whatever order
//! and however late all that is learnt.

use chrono::{DateTime, Utc};
use dunghan_hierarchy::{Edge, EdgeKind, UnitId, Validity};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::obligation::CloseReason;
use dunghan_proto::compliance::{Standing, decision, extension};
use dunghan_rpc::field;
use dunghan_store::Location;
use dunghan_testkit::{ENGINES, Engine, Place};
use futures::future::join_all;

use crate::world::{
    BAC_NINH, PERIOD, REGIME, Scene, World, bac_ninh, commune, day, due, first_day, gia_lai,
    microseconds, obligation, regime, start, start_in, time, unit,
};

fn merged(predecessor: UnitId, successor: UnitId, effective: &str) -> Edge {
    Edge {
        effective: day(effective),
        predecessor,
        successor,
        kind: EdgeKind::Merged,
        reorganisation: "bac-ninh-2026".into(),
    }
}

/// One of the communes of Bắc Ninh, with its first and its last day.
fn ended(code: &str, until: &str) -> dunghan_hierarchy::UnitHistory {
    let validity = Validity { from: Some(first_day()), until: Some(day(until)) };
    unit(code, "Xã Cũ", Some(bac_ninh()), validity)
}

/// What is owed for [`PERIOD`], by name, as of a moment.
async fn owed(scene: &Scene, at: DateTime<Utc>) -> Vec<pb::Obligation> {
    let request = pb::ListObligationsRequest {
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        read_time: Some(field::pb_time(at)),
        ..Default::default()
    };
    scene.list(request).await
}

fn of(all: &[pb::Obligation], unit: UnitId) -> &pb::Obligation {
    all.iter().find(|one| one.name == obligation(unit)).unwrap()
}

#[tokio::test]
async fn who_ends_by_the_cut_off_owes_no_more_and_who_ends_after_it_passes_its_report_on() {
    for engine in ENGINES {
        let now = time("2026-05-18 08:00:00");
        let scene = start(engine, now).await;
        scene.create(regime()).await;
        assert_eq!(owed(&scene, now).await.len(), 5);
        let (before, after, nobody) = (commune("07210"), commune("07228"), commune("07246"));
        let stays = commune("09427");
        {
            let mut world = scene.world.lock();
            world.import(ended("07210", "2026-05-14"));
            world.import(ended("07228", "2026-05-15"));
            world.import(ended("07246", "2026-05-15"));
            let edges =
                vec![merged(before, stays, "2026-05-14"), merged(after, stays, "2026-05-15")];
            world.reorganise(Vec::new(), edges);
        }
        let all = owed(&scene, now).await;
        assert_eq!(all.len(), 5, "{engine:?}: nothing is deleted");
        let closed = of(&all, before);
        assert_eq!(
            (closed.standing(), closed.close_reason()),
            (Standing::Closed, CloseReason::UnitEnded)
        );
        assert_eq!(closed.close_time, Some(field::pb_time(time("2026-05-14 00:00:00"))));
        assert_eq!(closed.passed_to, stays.to_string());
        let passed = of(&all, after);
        assert_ne!(passed.standing(), Standing::Closed, "{engine:?}");
        assert_eq!(
            (passed.close_reason(), &*passed.passed_to),
            (CloseReason::Unspecified, &*stays.to_string())
        );
        let abandoned = of(&all, nobody);
        assert_eq!(
            (abandoned.standing(), abandoned.close_reason()),
            (Standing::Closed, CloseReason::NoSuccessor)
        );
        assert_eq!(abandoned.passed_to, "");

        // Two are owed by who is there, one by who came after; those are told, and no other.
        scene.testing.clock.set(due());
        let sweep = scene.sweep().await;
        assert_eq!((sweep.opened_count, sweep.missing_count), (0, 3), "{engine:?}");
        let rate = scene.rate(bac_ninh()).await;
        assert_eq!((rate.expected_reports, rate.missing_reports), (3, 3), "{engine:?}");

        // The registry had it wrong: it is owed again, and told of.
        let since = Validity::since(first_day());
        scene.world.lock().import(unit("07246", "Xã Xuân Lương", Some(bac_ninh()), since));
        let again = of(&owed(&scene, due()).await, nobody).clone();
        assert_eq!(
            (again.standing(), again.close_reason()),
            (Standing::Missing, CloseReason::Unspecified)
        );
        assert_eq!(scene.sweep().await.missing_count, 1, "{engine:?}");
        assert_eq!(scene.sweep().await.missing_count, 0, "{engine:?}");
    }
}

#[tokio::test]
async fn what_a_unit_handed_over_before_it_ended_counts_and_is_not_asked_for_again() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07210");
        scene.world.lock().submit(unit, PERIOD, time("2026-05-15 08:00:00"));
        scene.world.lock().import(ended("07210", "2026-05-16"));
        let is = async |at: DateTime<Utc>| {
            let one = of(&owed(&scene, at).await, unit).clone();
            (one.standing(), one.close_reason())
        };
        assert_eq!(is(due()).await, (Standing::OnTime, CloseReason::Unspecified), "{engine:?}");
        // It was taken back before the unit ended, and nobody is there to hand it over.
        scene.world.lock().withdraw(unit, PERIOD, time("2026-05-15 09:00:00"));
        assert_eq!(is(due()).await, (Standing::Closed, CloseReason::NoSuccessor), "{engine:?}");
        // Handed over once more on its last day, it counts by that day.
        scene.world.lock().resubmit(unit, PERIOD, time("2026-05-15 17:00:00"));
        assert_eq!(is(due()).await, (Standing::OnTime, CloseReason::Unspecified), "{engine:?}");
    }
}

#[tokio::test]
async fn where_the_successor_ends_too_the_report_is_the_next_ones_from_that_day_though_nothing_is_learnt()
 {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let [first, second, third] = ["07210", "07228", "09427"].map(commune);
        {
            let mut world = scene.world.lock();
            world.import(ended("07210", "2026-05-18"));
            world.import(ended("07228", "2026-06-01"));
            let edges =
                vec![merged(first, second, "2026-05-18"), merged(second, third, "2026-06-01")];
            world.reorganise(Vec::new(), edges);
        }
        for (at, sees_to_it) in [
            ("2026-05-31 23:59:59", second),
            ("2026-06-01 00:00:00", third),
            ("2026-06-02 08:00:00", third),
        ] {
            scene.testing.clock.set(time(at));
            let all = owed(&scene, time(at)).await;
            assert_eq!(of(&all, first).passed_to, sees_to_it.to_string(), "{engine:?} {at}");
        }
    }
}

#[tokio::test]
async fn what_an_amended_regime_had_opened_for_later_cut_offs_is_closed_and_never_opened_again() {
    for engine in ENGINES {
        let now = time("2026-05-18 08:00:00");
        let scene = start(engine, now).await;
        scene.create(regime()).await;
        let all = |standing: Standing| pb::ListObligationsRequest {
            regime: REGIME.to_owned(),
            standings: vec![standing.into()],
            ..Default::default()
        };
        assert_eq!(scene.list(all(Standing::Closed)).await.len(), 0);
        let amending = pb::Regime {
            name: "regimes/cds-24-moi".to_owned(),
            amends: REGIME.to_owned(),
            from_date: Some(field::pb_date(day("2026-06-01"))),
            ..regime()
        };
        scene.create(amending).await;
        let closed = scene.list(all(Standing::Closed)).await;
        // June is closed, whose window had begun; May is owed as before.
        assert_eq!(closed.len(), 5, "{engine:?}");
        for one in &closed {
            assert_eq!((&*one.period, one.close_reason()), ("202606", CloseReason::RegimeAmended));
            assert_eq!(one.close_time, Some(field::pb_time(now)));
        }
        assert!(owed(&scene, now).await.iter().all(|one| one.standing() != Standing::Closed));

        // Also when the hierarchy changes, and for who comes to owe.
        let since = Validity::since(first_day());
        scene.world.lock().import(unit("08001", "Xã Mới", Some(bac_ninh()), since));
        scene.testing.clock.set(time("2026-05-19 08:00:00"));
        let request =
            pb::ListObligationsRequest { period: "202606".to_owned(), ..Default::default() };
        let june = scene.list(request).await;
        let closed: Vec<_> = june.iter().filter(|one| one.regime == REGIME).collect();
        assert_eq!((june.len(), closed.len()), (11, 5), "{engine:?}");
        assert!(closed.iter().all(|one| one.close_time == Some(field::pb_time(now))), "{engine:?}");
        assert_eq!(owed(&scene, now).await.len(), 6, "{engine:?}");
    }
}

#[tokio::test]
async fn events_that_come_twice_late_or_in_another_order_change_nothing() {
    for engine in ENGINES {
        let now = time("2026-05-25 08:00:00");
        let scene = start(engine, now).await;
        scene.create(regime()).await;
        let [kept, taken_back, returned, again, never] = BAC_NINH.map(|(code, _)| commune(code));
        let on_time = due() - microseconds(1);
        {
            let mut world = scene.world.lock();
            world.submit(kept, PERIOD, on_time);
            world.submit(taken_back, PERIOD, on_time);
            world.withdraw(taken_back, PERIOD, due());
            world.submit(returned, PERIOD, on_time);
            world.give_back(returned, PERIOD, due(), time("2026-06-01 00:00:00"));
            world.submit(again, PERIOD, on_time);
            world.give_back(again, PERIOD, due(), time("2026-06-01 00:00:00"));
            world.resubmit(again, PERIOD, time("2026-05-21 08:00:00"));
        }
        let expected = [
            (kept, Standing::OnTime),
            (taken_back, Standing::Missing),
            (returned, Standing::Returned),
            // When it was first received stands.
            (again, Standing::OnTime),
            (never, Standing::Missing),
        ];
        let check = async |when: &str| {
            let all = owed(&scene, now).await;
            for (unit, standing) in expected {
                assert_eq!(of(&all, unit).standing(), standing, "{engine:?} {when} {unit}");
            }
        };
        check("at first").await;
        scene.world.lock().repeat(|_| {});
        check("twice").await;
        scene.world.lock().repeat(|said| said.reverse());
        check("backwards").await;
        // Known before anybody owes it: to a unit that comes to owe it, the last that was said counts.
        let late = commune("08001");
        {
            let mut world = scene.world.lock();
            world.submit(late, PERIOD, on_time);
            world.give_back(late, PERIOD, due(), time("2026-06-01 00:00:00"));
            world.repeat(|said| said.rotate_right(1));
        }
        check("beside others").await;
        let since = Validity::since(first_day());
        scene.world.lock().import(unit("08001", "Xã Mới", Some(bac_ninh()), since));
        let all = owed(&scene, now).await;
        assert_eq!(of(&all, late).standing(), Standing::Returned, "{engine:?}");
        assert_eq!(
            of(&all, late).return_due_time,
            Some(field::pb_time(time("2026-06-01 00:00:00")))
        );
    }
}

#[tokio::test]
async fn a_decision_over_a_subtree_holds_for_the_period_that_is_opened_later() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let days = |decision: pb::Decision| pb::Decision {
            scope: bac_ninh().to_string(),
            subtree: true,
            regime: REGIME.to_owned(),
            due_from_date: Some(field::pb_date(day("2026-07-01"))),
            due_through_date: Some(field::pb_date(day("2026-07-31"))),
            document: "15/QĐ-UBND".to_owned(),
            reason: "Bão số 3".to_owned(),
            ..decision
        };
        let until = extension::Until::DueDate(field::pb_date(day("2026-07-31")));
        let extension = pb::Extension { until: Some(until) };
        let extended = days(pb::Decision {
            outcome: Some(decision::Outcome::Extension(extension)),
            ..Default::default()
        });
        let grant = format!("supervisor@{}", bac_ninh());
        let extended = scene.decide(&grant, extended).await.unwrap();
        let waived = pb::Decision {
            outcome: Some(decision::Outcome::Waiver(pb::Waiver {})),
            ..Default::default()
        };
        let waived = pb::Decision { scope: commune("07210").to_string(), ..days(waived) };
        let waived = scene.decide(&grant, waived).await.unwrap();

        // The window of July begins.
        scene.testing.clock.set(time("2026-06-15 08:00:00"));
        let july = pb::ListObligationsRequest { period: "202607".to_owned(), ..Default::default() };
        let july = scene.list(july).await;
        assert_eq!(july.len(), 5, "{engine:?}");
        for one in &july {
            if one.unit == commune("07210").to_string() {
                assert_eq!((one.standing(), &one.waiver), (Standing::Waived, &waived.name));
            } else {
                assert_eq!(one.extension, extended.name, "{engine:?}");
                assert_eq!(one.due_time, Some(field::pb_time(time("2026-08-01 00:00:00"))));
                assert_eq!(
                    one.original_due_time,
                    Some(field::pb_time(time("2026-07-18 00:00:00")))
                );
            }
        }
    }
}

#[tokio::test]
async fn tiers_are_opened_together_and_whoever_received_sends_on_by_its_own_due_day() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        let onward = pb::OnwardTier {
            receiving_agency: "Văn phòng Chính phủ".to_owned(),
            due_rule: Some(pb::onward_tier::DueRule::WorkingDaysAfterCutOff(6)),
            ..Default::default()
        };
        let tiers = pb::Regime {
            receiving_unit: String::new(),
            receiving_level: "province".to_owned(),
            debtors: Some(pb::Debtors { levels: vec!["commune".to_owned()], ..Default::default() }),
            onward_tiers: vec![onward],
            ..regime()
        };
        scene.create(tiers).await;
        let all = owed(&scene, time("2026-05-18 08:00:00")).await;
        assert_eq!(all.len(), 9, "{engine:?}: seven communes and two provinces");
        let commune = of(&all, commune("21583"));
        assert_eq!((commune.tier, &*commune.receiving_unit), (1, &*gia_lai().to_string()));
        assert_eq!(commune.due_time, Some(field::pb_time(due())));
        let province = of(&all, gia_lai());
        assert_eq!((province.tier, &*province.receiving_unit), (2, ""));
        assert_eq!(province.due_time, Some(field::pb_time(time("2026-05-23 00:00:00"))));
    }
}

#[tokio::test]
async fn a_unit_that_changes_nothing_of_what_is_owed_leaves_what_is_opened_as_it_is() {
    for engine in ENGINES {
        let now = time("2026-05-18 08:00:00");
        let scene = start(engine, now).await;
        scene.create(regime()).await;
        let all = owed(&scene, now).await;
        let by = async |unit: UnitId| {
            let request = pb::ExplainObligationRequest { name: obligation(unit), read_time: None };
            let explained = scene.operator().explain_obligation(request).await.unwrap();
            explained.into_inner().hierarchy_version
        };
        assert_eq!(by(commune("09427")).await, 1, "{engine:?}");
        // Another name, a unit elsewhere, and one whose end lies ahead: the first two are of no consequence.
        let since = Validity::since(first_day());
        scene.world.lock().import(unit("21584", "Xã Mới", Some(gia_lai()), since));
        scene.world.lock().import(unit("09427", "Phường Mới", Some(bac_ninh()), since));
        assert_eq!(owed(&scene, now).await.len(), all.len());
        assert_eq!(by(commune("09427")).await, 1, "{engine:?}");
        let ends = Validity { from: Some(first_day()), until: Some(day("2026-06-01")) };
        scene.world.lock().import(unit("09427", "Phường Mới", Some(bac_ninh()), ends));
        assert_eq!(of(&owed(&scene, now).await, commune("09427")).passed_to, "");
        assert_eq!(by(commune("09427")).await, 4, "{engine:?}");
        assert_eq!(by(commune("07210")).await, 1, "{engine:?}");
        // Closed by one hierarchy, it is looked at by the next, though who owes is the same.
        scene.world.lock().import(ended("07210", "2026-05-10"));
        assert_eq!(of(&owed(&scene, now).await, commune("07210")).passed_to, "");
        let edge = merged(commune("07210"), commune("07228"), "2026-05-10");
        scene.world.lock().reorganise(Vec::new(), vec![edge]);
        let passed = of(&owed(&scene, now).await, commune("07210")).passed_to.clone();
        assert_eq!(passed, commune("07228").to_string(), "{engine:?}");
    }
}

#[tokio::test]
async fn by_a_clock_that_has_run_far_ahead_nothing_is_opened_until_an_operator_says_that_it_is_right()
 {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let all = || pb::ListObligationsRequest::default();
        assert_eq!(scene.list(all()).await.len(), 10, "{engine:?}");
        // 200 days are an outage.
        scene.testing.clock.set(time("2026-12-04 08:00:00"));
        assert_eq!(scene.list(all()).await.len(), 40, "{engine:?}");
        scene.testing.clock.set(time("2026-12-15 08:00:00"));
        assert_eq!(scene.list(all()).await.len(), 40, "{engine:?}");
        let accepted = pb::RunSweepRequest { accept_clock: true };
        let swept = scene.operator().run_sweep(accepted).await.unwrap().into_inner();
        assert_eq!(swept.opened_count, 5, "{engine:?}");
        assert_eq!(scene.list(all()).await.len(), 45, "{engine:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_open_at_the_same_time_open_each_obligation_once() {
    let now = time("2026-05-18 08:00:00");
    let (world, units) = World::of_communes(1500);
    let place = Place::new(Engine::Postgres).await;
    let Location::Postgres(url) = place.location.clone() else { panic!("not PostgreSQL") };
    let scene = start_in(world, Engine::Sqlite, now).await;
    let replicas = [scene.replica(&url, now).await, scene.replica(&url, now).await];
    replicas[0].create(regime()).await;
    let rates = join_all(replicas.iter().map(|replica| replica.rate(bac_ninh()))).await;
    for rate in rates {
        assert_eq!(rate.expected_reports, i32::try_from(units.len()).unwrap());
    }
    let all = pb::ListObligationsRequest { page_size: 1000, ..Default::default() };
    assert_eq!(replicas[1].list(all).await.len(), 3000);
    for replica in replicas {
        replica.testing.stop().await;
    }
}
