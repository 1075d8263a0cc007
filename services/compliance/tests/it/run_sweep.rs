//! `RunSweep`: what has fallen due is found from state, and told once.

use std::time::Duration;

use dunghan_hierarchy::{Edge, EdgeKind, Level, UnitHistory, UnitId, Validity, Version};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::Standing;
use dunghan_proto::compliance::notice::Kind;
use dunghan_rpc::field;
use dunghan_store::Location;
use dunghan_testkit::{ENGINES, Engine, Place, eventually, refusal};
use futures::future::join_all;
use tonic::Code;

use crate::world::{
    BAC_NINH, PERIOD, REGIME, Scene, World, bac_ninh, commune, day, department, dossier, due,
    first_day, microseconds, obligation, regime, resolved, start, start_in, time, unit,
};

fn counts(sweep: &pb::RunSweepResponse) -> (i32, i32, i32, i32) {
    (sweep.missing_count, sweep.overdue_count, sweep.notice_count, sweep.unverified_count)
}

const NOTHING: (i32, i32, i32, i32) = (0, 0, 0, 0);

fn names(units: &[UnitId]) -> Vec<String> {
    let mut names: Vec<_> = units.iter().map(|unit| obligation(*unit)).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_falls_due_is_told_at_its_instant_once_and_to_the_receiving_unit() {
    for engine in ENGINES {
        let scene = start(engine, due() - microseconds(1)).await;
        scene.create(regime()).await;
        let (on_time, late) = (commune("07210"), commune("07228"));
        scene.world.lock().submit(on_time, PERIOD, due() - microseconds(1));
        assert_eq!(counts(&scene.sweep().await), NOTHING, "{engine:?}: a microsecond too early");
        scene.testing.clock.set(due());
        scene.world.lock().submit(late, PERIOD, due());
        let sweep = scene.sweep().await;
        assert_eq!(counts(&sweep), (3, 0, 1, 0), "{engine:?}");
        assert_eq!(sweep.received_count, 1);
        assert_eq!(sweep.sweep_time.unwrap().seconds, due().timestamp());
        assert_eq!(counts(&scene.sweep().await), NOTHING);

        let [notice] = scene.told(department()).await.try_into().unwrap();
        let missing = [commune("07246"), commune("07264"), commune("09427")];
        assert_eq!(notice.subjects, names(&missing));
        assert_eq!(notice.kind(), Kind::MissingReports);
        assert_eq!((notice.regime.as_str(), notice.period.as_str()), (REGIME, PERIOD));
        assert_eq!((notice.rung.as_str(), notice.recipient), ("due", department().to_string()));
        assert!(notice.name.starts_with(&format!("{}/notices/", department())), "{}", notice.name);
        assert_eq!(notice.detect_time.unwrap().seconds, due().timestamp());
        assert_eq!(
            notice.text,
            "Có 03 đơn vị chưa gửi “Báo cáo chuyển đổi số hằng tháng của cấp xã” kỳ tháng 5 năm 2026 \
             (thời hạn gửi: hết ngày 19/05/2026): Xã Xuân Lương (07246); Xã Tam Tiến (07264); \
             Phường Trí Quả (09427)."
        );
        // Nobody else was told.
        assert!(scene.told(bac_ninh()).await.is_empty());
    }
}

#[tokio::test]
async fn nobody_is_accused_whose_report_submission_has_though_its_event_is_held_back() {
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        scene.create(regime()).await;
        {
            let mut world = scene.world.lock();
            world.submit(commune("07210"), PERIOD, due() - microseconds(1));
            world.held_back = 1;
        }
        let sweep = scene.sweep().await;
        assert_eq!((counts(&sweep), sweep.received_count), ((4, 0, 1, 0), 1), "{engine:?}");
        let [notice] = scene.told(department()).await.try_into().unwrap();
        assert!(!notice.subjects.contains(&obligation(commune("07210"))));
        let rate = scene.rate(commune("07210")).await;
        assert_eq!((rate.actual_reports_on_time, rate.missing_reports), (1, 0));
        // The event comes after all, and changes nothing.
        scene.world.lock().held_back = 0;
        let sweep = scene.sweep().await;
        assert_eq!(counts(&sweep), NOTHING);
        assert_eq!(scene.rate(bac_ninh()).await.actual_reports_on_time, 1);
    }
}

#[tokio::test]
async fn while_submission_is_away_nobody_is_accused_and_the_next_sweep_tells() {
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        scene.create(regime()).await;
        scene.world.lock().submission_away = true;
        assert_eq!(counts(&scene.sweep().await), (0, 0, 0, 5), "{engine:?}");
        scene.world.lock().submission_away = false;
        // Its events can be read, its receipts cannot.
        scene.world.lock().receipts_away = true;
        assert_eq!(counts(&scene.sweep().await), (0, 0, 0, 5), "{engine:?}");
        assert!(scene.told(department()).await.is_empty());
        scene.world.lock().receipts_away = false;
        assert_eq!(counts(&scene.sweep().await), (5, 0, 1, 0), "{engine:?}");
        assert_eq!(counts(&scene.sweep().await), NOTHING);
    }
}

#[tokio::test]
async fn dossiers_are_told_though_submission_and_registry_are_away() {
    let scene = start(Engine::Sqlite, time("2026-05-04 09:00:00")).await;
    scene.create(regime()).await;
    scene.record(commune("07210"), vec![dossier("H1", "2026-05-04 08:00:00")]).await.unwrap();
    scene.testing.clock.set(due());
    scene.world.lock().submission_away = true;
    scene.world.lock().registry_away = true;
    // Nothing can be opened without the registry, so the call says that the sweep was not whole.
    assert!(scene.operator().run_sweep(pb::RunSweepRequest::default()).await.is_err());
    let [notice] = scene.told(bac_ninh()).await.try_into().unwrap();
    assert_eq!(notice.kind(), Kind::OverdueDossiers);
    scene.world.lock().registry_away = false;
    assert_eq!(counts(&scene.sweep().await), (0, 0, 0, 5));
}

#[tokio::test]
async fn thousands_are_told_in_one_digest_and_asked_about_a_thousand_at_a_time() {
    for engine in ENGINES {
        let (world, units) = World::of_communes(3321);
        let scene = start_in(world, engine, due()).await;
        scene.create(regime()).await;
        {
            let mut world = scene.world.lock();
            for unit in &units[..100] {
                world.submit(*unit, PERIOD, due() - microseconds(1));
            }
            // Half of them is only known by asking.
            world.held_back = 50;
        }
        let sweep = scene.sweep().await;
        assert_eq!(counts(&sweep), (3221, 0, 1, 0), "{engine:?}");
        assert_eq!(sweep.received_count, 100);
        assert_eq!(scene.world.lock().asked, [1000, 1000, 1000, 271]);
        let [notice] = scene.told(department()).await.try_into().unwrap();
        assert_eq!(notice.subjects, names(&units[100..]));
        assert!(notice.text.ends_with("; và 3.201 trường hợp khác."), "{}", notice.text);
        assert!(notice.text.chars().count() < 1000, "{}", notice.text);
        assert_eq!(counts(&scene.sweep().await), NOTHING);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeps_at_the_same_time_tell_once() {
    for engine in ENGINES {
        let (world, units) = World::of_communes(300);
        let scene = start_in(world, engine, time("2026-05-04 09:00:00")).await;
        scene.create(regime()).await;
        let rows = (0..50).map(|n| dossier(&format!("H{n}"), "2026-05-04 08:00:00")).collect();
        scene.record(units[0], rows).await.unwrap();
        scene.testing.clock.set(due());
        let sweeps = join_all((0..8).map(|_| scene.sweep())).await;
        let sum = |of: fn(&pb::RunSweepResponse) -> i32| sweeps.iter().map(of).sum::<i32>();
        assert_eq!(sum(|sweep| sweep.missing_count), 300, "{engine:?}");
        assert_eq!(sum(|sweep| sweep.overdue_count), 50, "{engine:?}");
        assert_eq!(scene.told(department()).await.len(), 1);
        assert_eq!(scene.told(bac_ninh()).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_sweep_at_the_same_time_tell_once() {
    let place = Place::new(Engine::Postgres).await;
    let Location::Postgres(url) = place.location.clone() else { panic!("not PostgreSQL") };
    let (world, units) = World::of_communes(500);
    let scene = start_in(world, Engine::Sqlite, due()).await;
    let first = scene.replica(&url, due()).await;
    let second = scene.replica(&url, due()).await;
    first.create(regime()).await;
    for unit in &units[..200] {
        scene.world.lock().submit(*unit, PERIOD, due() - microseconds(1));
    }
    let calls = (0..8).map(|n| if n % 2 == 0 { &first } else { &second });
    let sweeps = join_all(calls.map(Scene::sweep)).await;
    assert_eq!(sweeps.iter().map(|sweep| sweep.missing_count).sum::<i32>(), 300);
    let [notice] = first.told(department()).await.try_into().unwrap();
    assert_eq!(notice.subjects, names(&units[200..]));
    assert_eq!(second.told(department()).await, [notice]);
    // What one has opened and taken in, the other has too.
    assert_eq!(second.rate(bac_ninh()).await, first.rate(bac_ninh()).await);
    second.testing.stop().await;
    first.testing.stop().await;
}

#[tokio::test]
async fn a_sweep_after_a_long_outage_finds_everything_and_tells_each_period_once() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-02 08:00:00")).await;
        scene.create(regime()).await;
        assert_eq!(counts(&scene.sweep().await), NOTHING);
        // Half a year later: May to October are due, November is not.
        scene.testing.clock.set(time("2026-11-17 08:00:00"));
        let sweep = scene.sweep().await;
        assert_eq!(counts(&sweep), (30, 0, 6, 0), "{engine:?}");
        // June to December have begun since.
        assert_eq!(sweep.opened_count, 35, "{engine:?}");
        let mut periods: Vec<_> =
            scene.told(department()).await.into_iter().map(|notice| notice.period).collect();
        periods.sort();
        assert_eq!(periods, ["202605", "202606", "202607", "202608", "202609", "202610"]);
        // What it says is when it was found, and since when it is overdue.
        let told = scene.told(department()).await;
        let may = told.iter().find(|notice| notice.period == PERIOD).unwrap();
        assert_eq!(may.detect_time.unwrap().seconds, time("2026-11-17 08:00:00").timestamp());
        let late = "hết ngày 19/05/2026; quá hạn từ ngày 20/05/2026, đến ngày 17/11/2026 mới được phát hiện)";
        assert!(may.text.contains(late), "{}", may.text);
        assert_eq!(counts(&scene.sweep().await), NOTHING);
    }
}

#[tokio::test]
async fn a_restart_on_the_same_data_tells_nothing_twice() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-04 09:00:00")).await;
        scene.create(regime()).await;
        scene.record(commune("07210"), vec![dossier("H1", "2026-05-04 08:00:00")]).await.unwrap();
        scene.testing.clock.set(due());
        assert_eq!(counts(&scene.sweep().await), (5, 1, 2, 0), "{engine:?}");
        let before = (scene.told(department()).await, scene.told(bac_ninh()).await);
        let scene = scene.restart(due()).await;
        assert_eq!(counts(&scene.sweep().await), NOTHING);
        assert_eq!((scene.told(department()).await, scene.told(bac_ninh()).await), before);
        // A month later the start itself finds what fell due while nothing ran.
        let scene = scene.restart(time("2026-06-18 00:00:00")).await;
        let notices = eventually(Duration::from_secs(20), async || {
            Some(scene.told(department()).await).filter(|notices| notices.len() > 1)
        });
        assert_eq!(notices.await[0].period, "202606");
        assert_eq!(counts(&scene.sweep().await), NOTHING);
    }
}

#[tokio::test]
async fn a_bell_makes_a_sweep_run_without_anybody_asking() {
    let scene = start(Engine::Sqlite, time("2026-05-02 08:00:00")).await;
    scene.create(regime()).await;
    let Scene { testing, world } = scene;
    let place = testing.stop().await;
    let every_second = [("compliance.sweep_cron", "* * * * * *")];
    let scene = Scene::over(place, world, time("2026-05-02 08:00:00"), &every_second).await;
    scene.testing.clock.set(due());
    eventually(Duration::from_secs(20), async || {
        (!scene.told(department()).await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn dossiers_that_fall_due_are_told_to_the_unit_above_in_one_notice() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-04 09:00:00")).await;
        // Due on Thursday the 7th.
        let pending = |number: &str| dossier(number, "2026-05-04 08:00:00");
        let in_time = ("2026-05-04 08:30:00", Some("2026-05-04 08:30:00"));
        let rows =
            vec![pending("H2"), pending("H10"), resolved(pending("H3"), in_time.0, in_time.1)];
        scene.record(commune("07210"), rows).await.unwrap();
        scene.record(commune("07228"), vec![pending("H2")]).await.unwrap();
        scene.record(commune("21733"), vec![pending("H2")]).await.unwrap();
        // A province has nobody above it.
        scene.record(bac_ninh(), vec![dossier("H2", "2026-05-04 08:59:00")]).await.unwrap();
        scene.testing.clock.set(time("2026-05-08 00:00:00") - microseconds(1));
        assert_eq!(counts(&scene.sweep().await), NOTHING, "{engine:?}");
        scene.testing.clock.set(time("2026-05-08 00:00:00"));
        assert_eq!(counts(&scene.sweep().await), (0, 5, 2, 0), "{engine:?}");
        assert_eq!(counts(&scene.sweep().await), NOTHING);
        let [notice] = scene.told(bac_ninh()).await.try_into().unwrap();
        let mut subjects = vec![
            format!("{}/dossiers/H10", commune("07210")),
            format!("{}/dossiers/H2", commune("07210")),
            format!("{}/dossiers/H2", commune("07228")),
            format!("{}/dossiers/H2", bac_ninh()),
        ];
        subjects.sort();
        assert_eq!(notice.subjects, subjects);
        assert_eq!(notice.kind(), Kind::OverdueDossiers);
        assert!(notice.regime.is_empty() && notice.period.is_empty());
        assert!(
            notice.text.starts_with("Có 04 hồ sơ quá hạn giải quyết, chưa ghi nhận kết quả: "),
            "{}",
            notice.text
        );
        assert!(
            notice.text.contains("H10 (Hộ tịch, Phường Bắc Giang, hạn 07/05/2026)"),
            "{}",
            notice.text
        );
        assert_eq!(scene.told(crate::world::gia_lai()).await.len(), 1);
        assert!(scene.told(commune("07210")).await.is_empty());
    }
}

#[tokio::test]
async fn thousands_of_dossiers_are_told_and_a_resolved_one_is_not() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-04 09:00:00")).await;
        let rows: Vec<_> =
            (0..2500).map(|n| dossier(&format!("H{n}"), "2026-05-04 08:00:00")).collect();
        let first = rows[0].clone();
        scene.record(commune("07210"), rows).await.unwrap();
        scene.testing.clock.set(time("2026-05-07 16:00:00"));
        let done = resolved(first, "2026-05-07 15:00:00", Some("2026-05-07 15:30:00"));
        scene.record(commune("07210"), vec![done]).await.unwrap();
        scene.testing.clock.set(time("2026-05-08 00:00:00"));
        let sweep = scene.sweep().await;
        assert_eq!((sweep.overdue_count, sweep.missing_count), (2499, 0), "{engine:?}");
        let told: usize = scene.told(bac_ninh()).await.iter().map(|n| n.subjects.len()).sum();
        assert_eq!(told, 2499);
        assert_eq!(counts(&scene.sweep().await), NOTHING);
    }
}

#[tokio::test]
async fn a_dossier_resolved_in_fact_alone_is_still_told_and_not_again() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-06 17:00:00")).await;
        let pending = dossier("H1", "2026-05-04 08:00:00");
        let in_fact = resolved(pending.clone(), "2026-05-06 10:00:00", None);
        scene.record(commune("07210"), vec![in_fact]).await.unwrap();
        scene.testing.clock.set(time("2026-05-08 08:00:00"));
        assert_eq!(scene.sweep().await.overdue_count, 1, "{engine:?}");
        let recorded = resolved(pending, "2026-05-06 10:00:00", Some("2026-05-08 07:00:00"));
        scene.record(commune("07210"), vec![recorded]).await.unwrap();
        assert_eq!(counts(&scene.sweep().await), NOTHING);
    }
}

#[tokio::test]
async fn an_event_for_nobody_or_of_another_contract_holds_nothing_up() {
    use dunghan_proto::events::event::Payload;
    use dunghan_proto::events::{NoticeCreated, ReportSubmitted};
    let scene = start(Engine::Sqlite, due()).await;
    scene.create(regime()).await;
    {
        let mut world = scene.world.lock();
        world.submit_under("regimes/unknown", commune("07210"), PERIOD, due());
        world.submit(commune("21733"), PERIOD, due());
        world.happened(Payload::NoticeCreated(NoticeCreated { notice: "units/x".to_owned() }));
        let senseless =
            ReportSubmitted { report: "reports/1".to_owned(), ..ReportSubmitted::default() };
        world.happened(Payload::ReportSubmitted(senseless));
        world.submit(commune("07228"), PERIOD, due() - microseconds(1));
    }
    assert_eq!(counts(&scene.sweep().await), (4, 0, 1, 0));
    assert_eq!(scene.rate(bac_ninh()).await.actual_reports_on_time, 1);
}

#[tokio::test]
async fn a_unit_merged_before_the_cut_off_is_not_accused_though_its_period_had_opened() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-04-20 08:00:00")).await;
        scene.create(regime()).await;
        assert_eq!(scene.rate(bac_ninh()).await.open_reports, 5, "{engine:?}");
        let validity = Validity::between(first_day(), day("2026-05-01"));
        let merged = unit("07228", "Phường Đa Mai", Some(bac_ninh()), validity);
        scene.world.lock().import(merged);
        scene.testing.clock.set(due());
        assert_eq!(counts(&scene.sweep().await), (4, 0, 1, 0), "{engine:?}");
        let [notice] = scene.told(department()).await.try_into().unwrap();
        assert!(!notice.subjects.contains(&obligation(commune("07228"))));
        let rate = scene.rate(bac_ninh()).await;
        assert_eq!((rate.expected_reports, rate.missing_reports), (4, 4));
        for one in &rate.exceptions {
            let merged = one.name == obligation(commune("07228"));
            let standing = if merged { Standing::Closed } else { Standing::Missing };
            assert_eq!(one.standing(), standing, "{engine:?} {}", one.name);
        }
    }
}

#[tokio::test]
async fn a_mistake_in_the_hierarchy_that_is_put_right_makes_nobody_be_told_twice() {
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        scene.create(regime()).await;
        assert_eq!(counts(&scene.sweep().await), (5, 0, 1, 0), "{engine:?}");
        let lives = |validity| unit("07228", "Phường Đa Mai", Some(bac_ninh()), validity);
        scene.world.lock().import(lives(Validity::between(first_day(), day("2026-05-01"))));
        assert_eq!(counts(&scene.sweep().await), NOTHING);
        assert_eq!(scene.rate(bac_ninh()).await.missing_reports, 4, "{engine:?}");
        scene.world.lock().import(lives(Validity::since(first_day())));
        assert_eq!(counts(&scene.sweep().await), NOTHING, "{engine:?}");
        assert_eq!(scene.rate(bac_ninh()).await.missing_reports, 5, "{engine:?}");
        assert_eq!(scene.told(department()).await.len(), 1);
    }
}

#[tokio::test]
async fn dossiers_of_a_unit_that_has_ended_are_told_to_the_unit_that_was_above_it() {
    let scene = start(Engine::Sqlite, time("2026-05-04 09:00:00")).await;
    scene.record(commune("07228"), vec![dossier("H1", "2026-05-04 08:00:00")]).await.unwrap();
    let validity = Validity::between(first_day(), day("2026-05-06"));
    scene.world.lock().import(unit("07228", "Phường Đa Mai", Some(bac_ninh()), validity));
    scene.testing.clock.set(time("2026-05-08 08:00:00"));
    assert_eq!(counts(&scene.sweep().await), (0, 1, 1, 0));
    let [notice] = scene.told(bac_ninh()).await.try_into().unwrap();
    assert!(notice.text.contains("H1 (Hộ tịch, Phường Đa Mai, hạn 07/05/2026)"), "{}", notice.text);
}

#[tokio::test]
async fn more_than_one_transaction_takes_is_told_in_one_digest_and_not_before_all_of_it_was_asked_about()
 {
    for engine in ENGINES {
        let (world, units) = World::of_communes(5500);
        let scene = start_in(world, engine, due()).await;
        scene.create(regime()).await;
        // The first five thousand are claimed; of the rest nobody can say whether they are missing.
        scene.world.lock().receipts_left = Some(5);
        let sweep = scene.sweep().await;
        assert_eq!(counts(&sweep), (5000, 0, 0, 500), "{engine:?}");
        assert!(scene.told(department()).await.is_empty(), "{engine:?}");
        scene.world.lock().receipts_left = None;
        // What was claimed and not told is looked at anew.
        assert_eq!(counts(&scene.sweep().await), (5500, 0, 1, 0), "{engine:?}");
        let [notice] = scene.told(department()).await.try_into().unwrap();
        assert_eq!(notice.subjects, names(&units), "{engine:?}");
        let first: Vec<_> = (30_001..30_021).map(|code| format!("Xã {code} ({code})")).collect();
        let named = format!(": {}; và 5.480 trường hợp khác.", first.join("; "));
        assert!(notice.text.ends_with(&named), "{}", notice.text);
        assert_eq!(counts(&scene.sweep().await), NOTHING);
    }
}

#[tokio::test]
async fn a_report_that_was_on_time_and_surfaces_late_makes_the_accusation_be_taken_back_once() {
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        scene.create(regime()).await;
        assert_eq!(counts(&scene.sweep().await), (5, 0, 1, 0), "{engine:?}");
        // One had been there in time, asserted with evidence; another came late.
        scene.testing.clock.set(time("2026-05-25 08:00:00"));
        {
            let mut world = scene.world.lock();
            world.submit(commune("07210"), PERIOD, time("2026-05-19 16:30:00"));
            world.submit(commune("07228"), PERIOD, due());
        }
        let sweep = scene.sweep().await;
        assert_eq!((counts(&sweep), sweep.retracted_count), ((0, 0, 1, 0), 1), "{engine:?}");
        let [notice, _] = scene.told(department()).await.try_into().unwrap();
        assert_eq!(notice.kind(), Kind::RetractedMissingReports);
        assert_eq!(
            (notice.rung.as_str(), notice.subjects),
            ("retracted", names(&[commune("07210")]))
        );
        assert_eq!(
            notice.text,
            "Đính chính: 01 đơn vị đã được thông báo là chưa gửi “Báo cáo chuyển đổi số hằng tháng của cấp xã” kỳ tháng \
             5 năm 2026 (thời hạn gửi: hết ngày 19/05/2026) nay được xác định là đã gửi đúng hạn: Phường Bắc Giang \
             (07210), nhận lúc 16:30 ngày 19/05/2026, đã thông báo ngày 20/05/2026."
        );
        assert_eq!(
            (counts(&scene.sweep().await), scene.sweep().await.retracted_count),
            (NOTHING, 0)
        );
    }
}

#[tokio::test]
async fn an_accusation_is_taken_back_before_whoever_heard_it_or_came_after() {
    let other = UnitId::new("test", "so-noi-vu-24", None);
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        scene.create(regime()).await;
        assert_eq!(counts(&scene.sweep().await), (5, 0, 1, 0), "{engine:?}");
        // The department that was told is merged into another one.
        scene.world.lock().reorganise(
            vec![office(other, "Sở Nội vụ", Validity::since(first_day()))],
            vec![merged(department(), other, "2026-06-01")],
        );
        scene.world.lock().end(department(), day("2026-06-01"));
        scene.testing.clock.set(time("2026-06-02 08:00:00"));
        scene.world.lock().submit(commune("07210"), PERIOD, due() - microseconds(1));
        let sweep = scene.sweep().await;
        assert_eq!((counts(&sweep), sweep.retracted_count), ((0, 0, 1, 0), 1), "{engine:?}");
        let [notice] = scene.told(other).await.try_into().unwrap();
        assert_eq!(notice.kind(), Kind::RetractedMissingReports, "{engine:?}");
        // What is due later goes to it as well.
        scene.testing.clock.set(time("2026-06-18 00:00:00"));
        assert_eq!(counts(&scene.sweep().await), (5, 0, 1, 0), "{engine:?}");
        assert_eq!(scene.told(other).await[0].period, "202606");
        assert_eq!(scene.told(department()).await.len(), 1, "{engine:?}");
    }
}

#[tokio::test]
async fn where_nobody_receives_a_report_the_unit_itself_is_told() {
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        let to_above = pb::Regime {
            receiving_unit: String::new(),
            receiving_level: "parent".to_owned(),
            debtors: Some(pb::Debtors {
                units: vec![bac_ninh().to_string(), commune("07210").to_string()],
                ..pb::Debtors::default()
            }),
            ..regime()
        };
        scene.create(to_above).await;
        assert_eq!(counts(&scene.sweep().await), (2, 0, 1, 0), "{engine:?}");
        // The province stands at the top: it hears of itself and of the commune below it, in one digest.
        let mut told = scene.told(bac_ninh()).await;
        assert_eq!(told.len(), 1, "{engine:?}: of one period and due time");
        let notice = told.remove(0);
        assert_eq!(notice.subjects, names(&[bac_ninh(), commune("07210")]), "{engine:?}");
        assert!(scene.told(commune("07210")).await.is_empty(), "{engine:?}");
    }
}

#[tokio::test]
async fn a_report_that_was_sent_back_is_told_when_its_term_is_over_and_it_is_not_there_again() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let (late, again, taken_back) = (commune("07210"), commune("07228"), commune("07246"));
        let term = time("2026-05-30 00:00:00");
        {
            let mut world = scene.world.lock();
            for (code, _) in BAC_NINH {
                world.submit(commune(code), PERIOD, time("2026-05-18 08:00:00"));
            }
            for unit in [late, again, taken_back] {
                world.give_back(unit, PERIOD, time("2026-05-21 08:00:00"), term);
            }
        }
        scene.testing.clock.set(term - microseconds(1));
        let sweep = scene.sweep().await;
        assert_eq!((counts(&sweep), sweep.return_overdue_count), (NOTHING, 0), "{engine:?}");
        scene.testing.clock.set(term);
        {
            let mut world = scene.world.lock();
            world.resubmit(again, PERIOD, term - microseconds(1));
            world.withdraw(taken_back, PERIOD, term - microseconds(1));
            // Only asking tells of the last two.
            world.held_back = 2;
            world.receipts_away = true;
        }
        let sweep = scene.sweep().await;
        let told = (counts(&sweep), sweep.return_overdue_count);
        assert_eq!(told, ((0, 0, 0, 3), 0), "{engine:?}: nobody is accused unasked");
        scene.world.lock().receipts_away = false;
        let sweep = scene.sweep().await;
        // What was taken back is not known to be so, and nothing is said of it.
        assert_eq!((counts(&sweep), sweep.return_overdue_count), ((0, 0, 1, 1), 1), "{engine:?}");
        let [notice] = scene.told(department()).await.try_into().unwrap();
        assert_eq!(notice.kind(), Kind::OverdueReturns);
        assert_eq!((notice.rung.as_str(), notice.subjects), ("return-due", names(&[late])));
        assert_eq!(
            notice.text,
            "Có 01 đơn vị chưa gửi lại “Báo cáo chuyển đổi số hằng tháng của cấp xã” kỳ tháng 5 năm 2026 sau khi được \
             yêu cầu hoàn thiện (thời hạn gửi lại: hết ngày 29/05/2026): Phường Bắc Giang (07210)."
        );
        // The events come after all: the report that was taken back is missing, and was due long ago.
        scene.world.lock().held_back = 0;
        let sweep = scene.sweep().await;
        assert_eq!((counts(&sweep), sweep.return_overdue_count), ((1, 0, 1, 0), 0), "{engine:?}");
        let notice = scene.told(department()).await.remove(0);
        assert_eq!((notice.kind(), notice.subjects), (Kind::MissingReports, names(&[taken_back])));
        assert_eq!(counts(&scene.sweep().await), NOTHING);
    }
}

#[tokio::test]
async fn what_is_due_at_several_times_is_told_in_a_digest_each() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let later = pb::Decision {
            scope: commune("07210").to_string(),
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            outcome: Some(pb::decision::Outcome::Extension(pb::Extension {
                until: Some(pb::extension::Until::DueDate(field::pb_date(day("2026-05-29")))),
            })),
            document: "15/QĐ-UBND".to_owned(),
            reason: "Bão".to_owned(),
            ..pb::Decision::default()
        };
        scene.decide(&format!("supervisor@{}", bac_ninh()), later).await.unwrap();
        // Both have passed when somebody looks.
        scene.testing.clock.set(time("2026-06-02 08:00:00"));
        assert_eq!(counts(&scene.sweep().await), (5, 0, 2, 0), "{engine:?}");
        let mut told: Vec<_> = scene
            .told(department())
            .await
            .into_iter()
            .map(|notice| (notice.subjects.len(), notice.text))
            .collect();
        told.sort();
        assert!(told[0].1.contains("hết ngày 29/05/2026; quá hạn từ ngày 30/05/2026"), "{told:?}");
        assert!(told[1].1.contains("hết ngày 19/05/2026; quá hạn từ ngày 20/05/2026"), "{told:?}");
        assert_eq!((told[0].0, told[1].0), (1, 4), "{engine:?}");
    }
}

#[tokio::test]
async fn a_grace_spares_the_telling_and_not_the_due_date() {
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        scene.create(pb::Regime { grace_working_days: 2, ..regime() }).await;
        assert_eq!(counts(&scene.sweep().await), NOTHING, "{engine:?}");
        assert_eq!(scene.rate(bac_ninh()).await.missing_reports, 5, "{engine:?}");
        // Wednesday the 20th and Thursday the 21st are spared.
        let told_from = time("2026-05-22 00:00:00");
        scene.testing.clock.set(told_from - microseconds(1));
        assert_eq!(counts(&scene.sweep().await), NOTHING, "{engine:?}");
        scene.testing.clock.set(told_from);
        assert_eq!(counts(&scene.sweep().await), (5, 0, 1, 0), "{engine:?}");
        let [notice] = scene.told(department()).await.try_into().unwrap();
        assert!(notice.text.contains("(thời hạn gửi: hết ngày 19/05/2026):"), "{}", notice.text);
    }
}

#[tokio::test]
async fn a_clock_far_ahead_accuses_nobody_and_opens_nothing_until_somebody_says_that_it_is_right() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        scene.record(commune("07210"), vec![dossier("H1", "2026-05-14 08:00:00")]).await.unwrap();
        assert_eq!(counts(&scene.sweep().await), NOTHING, "{engine:?}");
        let owed = async || {
            scene
                .list(pb::ListObligationsRequest {
                    scope: bac_ninh().to_string(),
                    ..Default::default()
                })
                .await
                .len()
        };
        let before = owed().await;
        let a_year_ahead = time("2027-05-18 08:00:00");
        scene.testing.clock.set(a_year_ahead);
        for _ in 0..2 {
            let refused = scene.operator().run_sweep(pb::RunSweepRequest::default()).await;
            let refused = refused.unwrap_err();
            let expected = (Code::FailedPrecondition, "CLOCK_JUMPED".to_owned());
            assert_eq!(refusal(&refused), expected, "{engine:?}");
        }
        assert_eq!(owed().await, before, "{engine:?}: nothing is opened");
        assert!(
            scene.told(department()).await.is_empty() && scene.told(bac_ninh()).await.is_empty()
        );
        // It was a mistake, and is put right: as if nothing had been.
        scene.testing.clock.set(due());
        assert_eq!(counts(&scene.sweep().await), (5, 1, 2, 0), "{engine:?}");
        // It was none: everything since is found.
        scene.testing.clock.set(a_year_ahead);
        let accepted = pb::RunSweepRequest { accept_clock: true };
        let sweep = scene.operator().run_sweep(accepted).await.unwrap().into_inner();
        // June 2026 to April 2027; May is due on the 19th of May 2027.
        assert_eq!(counts(&sweep), (55, 0, 11, 0), "{engine:?}");
        assert_eq!(counts(&scene.sweep().await), NOTHING, "{engine:?}: it holds from then on");
    }
}

#[tokio::test]
async fn a_clock_that_goes_back_makes_nothing_fall_due_and_nothing_be_told_twice() {
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        scene.create(regime()).await;
        assert_eq!(counts(&scene.sweep().await), (5, 0, 1, 0), "{engine:?}");
        scene.testing.clock.set(due() - microseconds(1));
        assert_eq!(counts(&scene.sweep().await), NOTHING, "{engine:?}");
        scene.testing.clock.set(time("2025-01-01 00:00:00"));
        assert_eq!(counts(&scene.sweep().await), NOTHING, "{engine:?}");
        // That is more than 200 days after the last sweep, and not after the latest moment swept.
        scene.testing.clock.set(due());
        assert_eq!(counts(&scene.sweep().await), NOTHING, "{engine:?}");
        assert_eq!(scene.told(department()).await.len(), 1, "{engine:?}");
    }
}

/// What a department is told until it knows of two months, by sweeps that `keys` make run.
async fn told_by_sweeps_of_their_own(engine: Engine, keys: &[(&str, &str)]) -> Vec<pb::Notice> {
    let scene = start(engine, time("2026-05-18 08:00:00")).await;
    scene.create(regime()).await;
    scene.world.lock().submit(commune("07210"), PERIOD, due() - microseconds(1));
    let Scene { testing, world } = scene;
    let place = testing.stop().await;
    let scene = Scene::over(place, world, time("2026-05-18 08:00:00"), keys).await;
    let mut notices = Vec::new();
    for (count, now) in [(1, due()), (2, time("2026-06-18 00:00:00"))] {
        scene.testing.clock.set(now);
        notices = eventually(Duration::from_secs(30), async || {
            Some(scene.told(department()).await).filter(|notices| notices.len() == count)
        })
        .await;
    }
    notices
}

#[tokio::test]
async fn a_scheduler_that_is_dead_changes_nothing_but_when_it_is_told() {
    for engine in ENGINES {
        // The bell rings each second. It never rings; and it rang last long ago, and will in a year.
        let keys = [
            [("compliance.sweep_cron", "* * * * * *"), ("compliance.sweep_every_s", "3600")],
            [("compliance.sweep_cron", ""), ("compliance.sweep_every_s", "1")],
            [("compliance.sweep_cron", "0 0 0 1 1 *"), ("compliance.sweep_every_s", "1")],
        ];
        let mut told = Vec::new();
        for keys in &keys {
            let mut notices = told_by_sweeps_of_their_own(engine, keys).await;
            // Each has an id of its own.
            notices.iter_mut().for_each(|notice| notice.name.clear());
            told.push(notices);
        }
        assert_eq!(told[0], told[1], "{engine:?}");
        assert_eq!(told[0], told[2], "{engine:?}");
    }
}

fn office(id: UnitId, name: &str, validity: Validity) -> UnitHistory {
    let version = Version {
        validity,
        kind: dunghan_hierarchy::Kind::So,
        level: Level::Department,
        display_name: name.to_owned(),
        parent: Some(bac_ninh()),
    };
    UnitHistory { id, versions: vec![version], identifiers: Vec::new() }
}

fn merged(predecessor: UnitId, successor: UnitId, date: &str) -> Edge {
    let effective = day(date);
    let reorganisation = "1".into();
    Edge { effective, predecessor, successor, kind: EdgeKind::Merged, reorganisation }
}
