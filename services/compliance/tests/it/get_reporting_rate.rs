//! `GetReportingRate`: a rate with its parts, and the lists of those who are not on time.

use dunghan_hierarchy::UnitId;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::Standing;
use dunghan_proto::compliance::decision::Outcome;
use dunghan_proto::compliance::extension::Until;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, fields, refusal};
use tonic::{Code, Status};

use crate::world::{
    PERIOD, REGIME, Scene, World, bac_ninh, commune, day, department, due, gia_lai, microseconds,
    rate_request, regime, start, start_in, time,
};

async fn ask(
    scene: &Scene,
    grant: &str,
    request: pb::GetReportingRateRequest,
) -> Result<pb::ReportingRate, Status> {
    Ok(scene.compliance(&[grant]).get_reporting_rate(request).await?.into_inner())
}

async fn waive(scene: &Scene, unit: UnitId) {
    scene.waive(&format!("supervisor@{}", bac_ninh()), unit).await.unwrap();
}

fn add_up(rate: &pb::ReportingRate) {
    let of = |standing: Standing| {
        let counted = |one: &&pb::Obligation| match one.standing() {
            Standing::DueSoon => Standing::Open == standing,
            own => own == standing,
        };
        let listed = rate.exceptions.iter().filter(counted);
        i32::try_from(listed.count()).unwrap()
    };
    assert_eq!(
        rate.expected_reports,
        rate.actual_reports_on_time + rate.late_reports + rate.missing_reports + rate.open_reports
    );
    assert_eq!(rate.actual_reports, rate.actual_reports_on_time + rate.late_reports);
    assert_eq!(
        [rate.late_reports, rate.missing_reports, rate.open_reports, rate.waived_reports],
        [Standing::Late, Standing::Missing, Standing::Open, Standing::Waived].map(of)
    );
}

#[tokio::test]
async fn a_rate_comes_with_its_parts_and_with_everyone_who_is_not_on_time() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-25 08:00:00")).await;
        scene.create(regime()).await;
        scene.world.lock().submit(commune("09427"), PERIOD, due() - microseconds(1));
        scene.world.lock().submit(commune("07264"), PERIOD, due());
        waive(&scene, commune("07210")).await;
        let rate = scene.rate(bac_ninh()).await;
        add_up(&rate);
        assert_eq!((rate.scope.as_str(), rate.regime.as_str()), (&*bac_ninh().to_string(), REGIME));
        assert_eq!(rate.period, PERIOD);
        assert_eq!(rate.read_time.unwrap().seconds, time("2026-05-25 08:00:00").timestamp());
        assert_eq!((rate.expected_reports, rate.actual_reports), (4, 2), "{engine:?}");
        assert_eq!((rate.actual_reports_on_time, rate.late_reports), (1, 1));
        assert_eq!((rate.missing_reports, rate.open_reports, rate.waived_reports), (2, 0, 1));
        assert_eq!(rate.no_due_time_reports, 0);
        assert_eq!(rate.reporting_rate.clone().unwrap().value, "50.00");
        assert_eq!(rate.reporting_rate_on_time.clone().unwrap().value, "25.00");
        let listed: Vec<_> =
            rate.exceptions.iter().map(|one| (one.unit_code.as_str(), one.standing())).collect();
        use Standing::{DueSoon, Late, Missing, Waived};
        let expected = [("07264", Late), ("07228", Missing), ("07246", Missing), ("07210", Waived)];
        assert_eq!(listed, expected, "{engine:?}");
        assert_eq!(rate.exceptions[0].unit_display_name, "Xã Tam Tiến");

        // The moment before it was due: one report is there, and nobody is waived yet.
        let before = pb::GetReportingRateRequest {
            read_time: Some(field::pb_time(due() - microseconds(1))),
            ..rate_request(bac_ninh())
        };
        let before = ask(&scene, "operator", before).await.unwrap();
        add_up(&before);
        let figures = (before.expected_reports, before.actual_reports_on_time, before.open_reports);
        assert_eq!(figures, (5, 1, 4));
        assert_eq!(before.reporting_rate.unwrap().value, "20.00");
        assert_eq!((before.due_soon_reports, before.waived_reports), (4, 0));
        assert!(before.exceptions.iter().all(|one| one.standing() == DueSoon));
        assert!(before.exceptions.is_sorted_by_key(|one| one.unit_code.clone()));
    }
}

#[tokio::test]
async fn extended_returned_and_closed_reports_are_counted_apart_and_listed() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let extend = |code: &str| pb::Decision {
            scope: commune(code).to_string(),
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            outcome: Some(Outcome::Extension(pb::Extension { until: Some(Until::WorkingDays(4)) })),
            document: "20/QĐ-UBND".to_owned(),
            reason: "Bão số 3".to_owned(),
            ..pb::Decision::default()
        };
        for code in ["07210", "07246"] {
            scene.decide("supervisor", extend(code)).await.unwrap();
        }
        {
            let mut world = scene.world.lock();
            let now = time("2026-05-18 09:00:00");
            for code in ["07210", "07228"] {
                world.submit(commune(code), PERIOD, now);
            }
            // Sent back, a report counts by its first submission all the same.
            world.give_back(commune("07228"), PERIOD, now, time("2026-05-30 00:00:00"));
            world.become_of(commune("09427"), day("2026-05-20"), None);
        }
        scene.testing.clock.set(time("2026-05-21 08:00:00"));
        let rate = scene.rate(bac_ninh()).await;
        assert_eq!((rate.expected_reports, rate.actual_reports_on_time), (4, 2), "{engine:?}");
        assert_eq!((rate.missing_reports, rate.open_reports, rate.due_soon_reports), (1, 1, 1));
        assert_eq!((rate.extended_reports, rate.returned_reports), (2, 1));
        assert_eq!((rate.closed_reports, rate.waived_reports), (1, 0));
        assert_eq!(rate.reporting_rate_on_time.unwrap().value, "50.00");
        let listed: Vec<_> =
            rate.exceptions.iter().map(|one| (one.unit_code.as_str(), one.standing())).collect();
        let expected = [
            ("07264", Standing::Missing),
            ("07246", Standing::DueSoon),
            ("09427", Standing::Closed),
            ("07210", Standing::OnTime),
        ];
        assert_eq!(listed, expected, "{engine:?}");
        assert!(rate.exceptions[3].extension.starts_with("decisions/"));
        // The day before it ended, the unit was to report.
        let before = pb::GetReportingRateRequest {
            read_time: Some(field::pb_time(time("2026-05-19 08:00:00"))),
            ..rate_request(bac_ninh())
        };
        let before = ask(&scene, "operator", before).await.unwrap();
        assert_eq!((before.expected_reports, before.closed_reports), (5, 0), "{engine:?}");
    }
}

#[tokio::test]
async fn a_report_that_came_before_the_read_is_counted() {
    for engine in ENGINES {
        let scene = start(engine, due() - microseconds(1)).await;
        scene.create(regime()).await;
        for (unit, count) in [("07210", 1), ("07228", 2), ("07246", 3)] {
            let now = due() - microseconds(1);
            scene.world.lock().submit(commune(unit), PERIOD, now);
            assert_eq!(scene.rate(bac_ninh()).await.actual_reports_on_time, count, "{engine:?}");
        }
        // The first submission counts: what is told of a later one changes nothing.
        scene.testing.clock.set(due());
        scene.world.lock().submit(commune("07210"), PERIOD, due());
        assert_eq!(scene.rate(bac_ninh()).await.actual_reports_on_time, 3);
    }
}

#[tokio::test]
async fn more_events_than_one_page_holds_are_all_taken_in() {
    for engine in ENGINES {
        let (world, units) = World::of_communes(1200);
        let scene = start_in(world, engine, due()).await;
        scene.create(regime()).await;
        for unit in &units {
            scene.world.lock().submit(*unit, PERIOD, due() - microseconds(1));
        }
        let rate = scene.rate(bac_ninh()).await;
        assert_eq!(
            (rate.expected_reports, rate.actual_reports_on_time),
            (1200, 1200),
            "{engine:?}"
        );
        assert_eq!(rate.reporting_rate.unwrap().value, "100.00");
        assert!(rate.exceptions.is_empty());
    }
}

#[tokio::test]
async fn of_very_many_exceptions_the_first_five_thousand_are_listed_and_all_are_counted() {
    let (world, units) = World::of_communes(5004);
    let scene = start_in(world, Engine::Sqlite, due()).await;
    scene.create(regime()).await;
    let (late, on_time) = (units[5003], units[0]);
    scene.world.lock().submit(late, PERIOD, due());
    scene.world.lock().submit(on_time, PERIOD, due() - microseconds(1));
    waive(&scene, units[1]).await;
    let rate = scene.rate(bac_ninh()).await;
    assert_eq!((rate.expected_reports, rate.late_reports, rate.missing_reports), (5003, 1, 5001));
    assert_eq!((rate.waived_reports, rate.exceptions.len()), (1, 5000));
    // The late one first though its code is the last, and then what is missing by codes.
    assert_eq!(rate.exceptions[0].unit, late.to_string());
    let missing: Vec<_> = rate.exceptions[1..].iter().map(|one| one.unit.clone()).collect();
    let expected: Vec<_> = units[2..5001].iter().map(ToString::to_string).collect();
    assert_eq!(missing, expected);
}

#[tokio::test]
async fn reports_without_a_due_time_are_on_time_and_counted_apart() {
    let scene = start(Engine::Sqlite, time("2026-12-31 08:00:00")).await;
    scene.create(pb::Regime { due_rule: None, ..regime() }).await;
    scene.world.lock().submit(commune("07210"), PERIOD, time("2026-12-01 08:00:00"));
    let rate = scene.rate(bac_ninh()).await;
    add_up(&rate);
    assert_eq!((rate.expected_reports, rate.open_reports, rate.missing_reports), (5, 4, 0));
    assert_eq!((rate.actual_reports_on_time, rate.no_due_time_reports), (1, 1));
    assert_eq!(rate.reporting_rate.unwrap().value, "20.00");
}

#[tokio::test]
async fn where_nothing_is_expected_there_is_no_rate() {
    let scene = start(Engine::Sqlite, due()).await;
    scene.create(regime()).await;
    let elsewhere = scene.rate(gia_lai()).await;
    assert_eq!((elsewhere.expected_reports, elsewhere.reporting_rate), (0, None));
    assert_eq!(elsewhere.reporting_rate_on_time, None);
    // One commune alone, and excused.
    waive(&scene, commune("07210")).await;
    let excused = scene.rate(commune("07210")).await;
    assert_eq!((excused.expected_reports, excused.waived_reports), (0, 1));
    assert_eq!(excused.reporting_rate, None);
    assert_eq!(scene.rate(commune("07228")).await.missing_reports, 1);
}

#[tokio::test]
async fn what_is_unknown_is_not_found_and_what_does_not_read_is_named() {
    let scene = start(Engine::Sqlite, due()).await;
    scene.create(regime()).await;
    let good = || rate_request(bac_ninh());
    let unknown = UnitId::new("nso", "99999", None);
    for (request, reason) in [
        (rate_request(unknown), "UNKNOWN_UNIT"),
        (
            pb::GetReportingRateRequest { regime: "regimes/none".to_owned(), ..good() },
            "UNKNOWN_REGIME",
        ),
    ] {
        let status = ask(&scene, "operator", request).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::NotFound, reason.to_owned()));
    }
    let missing = "REQUIRED_FIELD_MISSING";
    for (request, field, reason) in [
        (pb::GetReportingRateRequest { scope: String::new(), ..good() }, "scope", missing),
        (
            pb::GetReportingRateRequest { scope: "24".to_owned(), ..good() },
            "scope",
            "INVALID_FIELD",
        ),
        (pb::GetReportingRateRequest { regime: String::new(), ..good() }, "regime", missing),
        (
            pb::GetReportingRateRequest { regime: "r".to_owned(), ..good() },
            "regime",
            "INVALID_FIELD",
        ),
        (pb::GetReportingRateRequest { period: String::new(), ..good() }, "period", missing),
        (
            pb::GetReportingRateRequest { period: "2026M5".to_owned(), ..good() },
            "period",
            "INVALID_PERIOD",
        ),
        // A period, and none of which the regime asks for reports.
        (
            pb::GetReportingRateRequest { period: "2026Q2".to_owned(), ..good() },
            "period",
            "INVALID_PERIOD",
        ),
    ] {
        let status = ask(&scene, "operator", request).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned()), "{field}");
        assert_eq!(fields(&status), [field]);
    }
}

#[tokio::test]
async fn only_who_reads_the_unit_or_the_regime_is_answered() {
    let scene = start(Engine::Sqlite, due()).await;
    scene.create(regime()).await;
    let supervisor = format!("supervisor@{}", bac_ninh());
    let of_department = format!("supervisor@{}", department());
    let unknown = UnitId::new("nso", "99999", None);
    for (grant, scope, may) in [
        (supervisor.as_str(), bac_ninh(), true),
        (&supervisor, commune("07210"), true),
        (&supervisor, gia_lai(), false),
        // Refused before anything is looked up: what is not there looks no different.
        (&supervisor, unknown, false),
        (&of_department, bac_ninh(), false),
        ("supervisor@regimes/cds-24", bac_ninh(), true),
        ("supervisor@regimes/other", bac_ninh(), false),
    ] {
        match ask(&scene, grant, rate_request(scope)).await {
            Ok(_) => assert!(may, "{grant} over {scope}"),
            Err(status) => {
                let expected = (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned());
                assert_eq!((refusal(&status), may), (expected, false), "{grant} over {scope}");
            }
        }
    }
    let importer = ask(&scene, "importer", rate_request(bac_ninh())).await.unwrap_err();
    assert_eq!(refusal(&importer), (Code::PermissionDenied, "ROLE_MISSING".to_owned()));
}

#[tokio::test]
async fn no_rate_is_given_while_submission_cannot_be_asked() {
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        scene.create(regime()).await;
        scene.world.lock().submission_away = true;
        let status = ask(&scene, "operator", rate_request(bac_ninh())).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::Unavailable, "PEER_UNAVAILABLE".to_owned()));
        scene.world.lock().submission_away = false;
        assert_eq!(scene.rate(bac_ninh()).await.missing_reports, 5, "{engine:?}");
    }
}
