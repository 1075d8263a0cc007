//! `WaiveObligation`: an excuse is kept with who decided it, once, and only while nothing was submitted.

use dunghan_hierarchy::UnitId;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::Standing;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, fields, refusal};
use futures::future::join_all;
use tonic::{Code, Status};

use crate::world::{
    PERIOD, REGIME, Scene, bac_ninh, commune, day, department, due, gia_lai, microseconds,
    obligation, regime, start, time, unit,
};

fn request(unit: UnitId) -> pb::WaiveObligationRequest {
    pb::WaiveObligationRequest {
        name: obligation(unit),
        decision: "Quyết định số 5/QĐ-UBND".to_owned(),
        reason: "xã bị thiên tai".to_owned(),
    }
}

async fn waive(
    scene: &Scene,
    grant: &str,
    request: pb::WaiveObligationRequest,
) -> Result<pb::Obligation, Status> {
    Ok(scene.compliance(&[grant]).waive_obligation(request).await?.into_inner())
}

fn supervisor() -> String {
    format!("supervisor@{}", bac_ninh())
}

#[tokio::test]
async fn a_waived_unit_is_not_expected_is_listed_and_is_not_told_of() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07246");
        let waived = waive(&scene, &supervisor(), request(unit)).await.unwrap();
        assert_eq!(
            (waived.name.as_str(), waived.standing()),
            (&*obligation(unit), Standing::Waived)
        );
        assert_eq!(waived.unit_display_name, "Xã Xuân Lương");
        scene.testing.clock.set(due());
        let sweep = scene.sweep().await;
        assert_eq!((sweep.missing_count, sweep.notice_count), (4, 1), "{engine:?}");
        let [notice] = scene.told(department()).await.try_into().unwrap();
        assert!(!notice.subjects.contains(&obligation(unit)));
        let rate = scene.rate(bac_ninh()).await;
        assert_eq!((rate.expected_reports, rate.waived_reports), (4, 1));
        assert_eq!(rate.exceptions.last().unwrap().name, obligation(unit));
        // Before it was decided, the unit owed the report.
        let before = pb::ListObligationsRequest {
            read_time: Some(field::pb_time(time("2026-05-18 08:00:00") - microseconds(1))),
            scope: unit.to_string(),
            period: PERIOD.to_owned(),
            ..Default::default()
        };
        assert_eq!(scene.list(before).await[0].standing(), Standing::Open);
        // A report that comes nevertheless is kept, and the unit stays excused.
        scene.world.lock().submit(unit, PERIOD, due());
        let [after] = scene
            .list(pb::ListObligationsRequest {
                scope: unit.to_string(),
                period: PERIOD.to_owned(),
                ..Default::default()
            })
            .await
            .try_into()
            .unwrap();
        assert_eq!((after.standing(), after.receive_time.is_some()), (Standing::Waived, true));
    }
}

#[tokio::test]
async fn an_obligation_is_waived_once_and_not_after_its_report_came() {
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        scene.create(regime()).await;
        let (unit, submitted) = (commune("07246"), commune("07210"));
        waive(&scene, &supervisor(), request(unit)).await.unwrap();
        let other = pb::WaiveObligationRequest {
            decision: "Quyết định số 6/QĐ-UBND".to_owned(),
            ..request(unit)
        };
        let status = waive(&scene, &supervisor(), other).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::AlreadyExists, "ALREADY_WAIVED".to_owned()));
        let explain = pb::ExplainObligationRequest { name: obligation(unit), read_time: None };
        let explained = scene.operator().explain_obligation(explain).await.unwrap().into_inner();
        assert_eq!(explained.waiver.unwrap().decision, "Quyết định số 5/QĐ-UBND", "{engine:?}");
        // Received a moment ago, by an event that nobody has taken in yet.
        scene.world.lock().submit(submitted, PERIOD, due());
        let status = waive(&scene, &supervisor(), request(submitted)).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::FailedPrecondition, "ALREADY_SUBMITTED".to_owned()));
        assert_eq!(scene.rate(submitted).await.late_reports, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_waivers_at_once_one_holds() {
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        scene.create(regime()).await;
        let grant = supervisor();
        let calls = (0..6).map(|_| waive(&scene, &grant, request(commune("07246"))));
        let answers = join_all(calls).await;
        let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert_eq!(refused.len(), 5, "{engine:?}");
        for status in refused {
            assert_eq!(refusal(status), (Code::AlreadyExists, "ALREADY_WAIVED".to_owned()));
        }
    }
}

#[tokio::test]
async fn a_waiver_outlives_a_mistake_in_the_hierarchy() {
    use dunghan_hierarchy::Validity;
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let waived = commune("07246");
        waive(&scene, &supervisor(), request(waived)).await.unwrap();
        let lives = |validity| unit("07246", "Xã Xuân Lương", Some(bac_ninh()), validity);
        let ended = Validity::between(crate::world::first_day(), day("2026-05-01"));
        scene.world.lock().import(lives(ended));
        assert_eq!(scene.rate(bac_ninh()).await.waived_reports, 0, "{engine:?}");
        scene.world.lock().import(lives(Validity::since(crate::world::first_day())));
        let rate = scene.rate(bac_ninh()).await;
        assert_eq!((rate.expected_reports, rate.waived_reports), (4, 1), "{engine:?}");
        scene.testing.clock.set(due());
        assert_eq!(scene.sweep().await.missing_count, 4);
    }
}

#[tokio::test]
async fn only_a_supervisor_over_the_unit_waives_and_what_nobody_owes_is_not_found() {
    let scene = start(Engine::Sqlite, due()).await;
    scene.create(regime()).await;
    let unit = commune("07246");
    let out_of_scope = (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned());
    let unknown = UnitId::new("nso", "99999", None);
    for (grant, unit) in [
        (format!("supervisor@{}", gia_lai()), unit),
        (format!("supervisor@{}", department()), unit),
        // To receive a unit's reports is not to be above it.
        (format!("supervisor@{REGIME}"), unit),
        (supervisor(), unknown),
    ] {
        let status = waive(&scene, &grant, request(unit)).await.unwrap_err();
        assert_eq!(refusal(&status), out_of_scope, "{grant}");
    }
    let role_missing = (Code::PermissionDenied, "ROLE_MISSING".to_owned());
    for grant in [format!("reporter@{unit}"), "operator".to_owned()] {
        let status = waive(&scene, &grant, request(unit)).await.unwrap_err();
        assert_eq!(refusal(&status), role_missing, "{grant}");
    }
    for name in
        [format!("{unit}/obligations/cds-24~202601"), format!("{unit}/obligations/none~{PERIOD}")]
    {
        let status =
            waive(&scene, &supervisor(), pb::WaiveObligationRequest { name, ..request(unit) })
                .await;
        let expected = (Code::NotFound, "OBLIGATION_NOT_FOUND".to_owned());
        assert_eq!(refusal(&status.unwrap_err()), expected);
    }
    assert_eq!(scene.rate(bac_ninh()).await.waived_reports, 0);
}

#[tokio::test]
async fn a_waiver_names_its_decision_and_its_reason_in_so_many_characters() {
    let scene = start(Engine::Sqlite, due()).await;
    scene.create(regime()).await;
    let good = || request(commune("07246"));
    let missing = "REQUIRED_FIELD_MISSING";
    let words = |count| "ệ".repeat(count);
    for (request, field, reason) in [
        (pb::WaiveObligationRequest { name: String::new(), ..good() }, "name", missing),
        (pb::WaiveObligationRequest { name: "x".to_owned(), ..good() }, "name", "INVALID_FIELD"),
        (pb::WaiveObligationRequest { decision: " ".to_owned(), ..good() }, "decision", missing),
        (
            pb::WaiveObligationRequest { decision: words(201), ..good() },
            "decision",
            "INVALID_FIELD",
        ),
        (pb::WaiveObligationRequest { reason: String::new(), ..good() }, "reason", missing),
        (pb::WaiveObligationRequest { reason: words(2001), ..good() }, "reason", "INVALID_FIELD"),
    ] {
        let status = waive(&scene, &supervisor(), request).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned()), "{field}");
        assert_eq!(fields(&status), [field]);
    }
    let longest =
        pb::WaiveObligationRequest { decision: words(200), reason: words(2000), ..good() };
    waive(&scene, &supervisor(), longest).await.unwrap();
}
