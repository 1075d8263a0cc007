//! `ExplainObligation`: the rule, the dates, the calendar, the evidence, who was told; and all of it in Vietnamese.

use dunghan_hierarchy::{UnitId, Validity};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::Standing;
use dunghan_proto::compliance::regime::DueRule;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, fields, refusal};
use tonic::{Code, Status};

use crate::world::{
    PERIOD, REGIME, Scene, bac_ninh, commune, day, department, due, gia_lai, microseconds,
    obligation, regime, start, time, unit,
};

async fn ask(
    scene: &Scene,
    grant: &str,
    request: pb::ExplainObligationRequest,
) -> Result<pb::Explanation, Status> {
    Ok(scene.compliance(&[grant]).explain_obligation(request).await?.into_inner())
}

async fn explain(scene: &Scene, name: String) -> pb::Explanation {
    let request = pb::ExplainObligationRequest { name, read_time: None };
    ask(scene, "operator", request).await.unwrap()
}

#[tokio::test]
async fn a_missing_report_is_explained_with_all_that_it_rests_on() {
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        let regime = scene.create(regime()).await;
        scene.sweep().await;
        let told = scene.told(department()).await;
        scene.testing.clock.set(time("2026-05-20 08:00:00"));
        let unit = commune("09427");
        let explanation = explain(&scene, obligation(unit)).await;
        let shown = explanation.obligation.unwrap();
        assert_eq!((shown.name, shown.unit), (obligation(unit), unit.to_string()));
        assert_eq!((shown.standing, shown.working_days_late), (Standing::Missing.into(), 1));
        assert_eq!(explanation.read_time, Some(field::pb_time(time("2026-05-20 08:00:00"))));
        assert_eq!(explanation.regime, Some(regime), "{engine:?}");
        let date = |text: &str| Some(field::pb_date(day(text)));
        assert_eq!(explanation.window_start_date, date("2026-04-15"));
        assert_eq!(explanation.cut_off_date, date("2026-05-14"));
        assert_eq!(explanation.due_date, date("2026-05-19"));
        let skipped: Vec<_> = explanation
            .skipped_days
            .into_iter()
            .map(|skipped| (skipped.date, skipped.why, skipped.estimated))
            .collect();
        let weekend = [
            (date("2026-05-16"), "Thứ Bảy".to_owned(), false),
            (date("2026-05-17"), "Chủ nhật".to_owned(), false),
        ];
        assert_eq!(skipped, weekend);
        assert!(!explanation.calendar_version.is_empty());
        assert_eq!(explanation.hierarchy_version, 1);
        assert!(!explanation.unit_uncertain);
        assert_eq!(explanation.notices, told);
        assert_eq!(explanation.waiver, None);
        assert_eq!(
            explanation.owed_because,
            "đơn vị hành chính cấp xã thuộc tỉnh Bắc Ninh, xác định tại ngày 14/05/2026"
        );
        assert_eq!(
            explanation.text,
            "Phường Trí Quả (mã 09427) chưa gửi “Báo cáo chuyển đổi số hằng tháng của cấp xã” kỳ \
             tháng 5 năm 2026 về Sở Khoa học và Công nghệ; đã quá hạn 01 ngày làm việc.\n\
             Căn cứ: Công văn số 12/SKHCN-CĐS ngày 02/03/2026 (chế độ báo cáo minh họa, không do \
             cơ quan nào ban hành).\n\
             Đối tượng báo cáo: đơn vị hành chính cấp xã thuộc tỉnh Bắc Ninh, xác định tại ngày \
             14/05/2026.\n\
             Thời gian chốt số liệu: từ ngày 15/04/2026 đến ngày 14/05/2026.\n\
             Thời hạn gửi: hết ngày 19/05/2026 (03 ngày làm việc sau ngày chốt số liệu). Không \
             tính các ngày nghỉ: 16/05/2026 - Thứ Bảy; 17/05/2026 - Chủ nhật.\n\
             Đã thông báo việc chưa gửi báo cáo tới Sở Khoa học và Công nghệ lúc 00:00 ngày \
             20/05/2026."
        );
    }
}

#[tokio::test]
async fn the_text_says_where_the_report_stands_at_the_moment_asked_for() {
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        scene.create(regime()).await;
        scene.sweep().await;
        scene.testing.clock.set(time("2026-05-25 08:00:00"));
        scene.world.lock().submit(commune("07228"), PERIOD, time("2026-05-21 16:30:00"));
        let name = obligation(commune("07228"));
        for (at, first, last) in [
            (
                "2026-05-19 10:00:00",
                "Phường Đa Mai (mã 07228) chưa gửi “Báo cáo chuyển đổi số hằng tháng của cấp xã” kỳ tháng 5 năm 2026 về Sở Khoa học và Công nghệ; chưa đến hạn.",
                "Thời hạn gửi: hết ngày 19/05/2026",
            ),
            (
                "2026-05-21 10:00:00",
                "Phường Đa Mai (mã 07228) chưa gửi “Báo cáo chuyển đổi số hằng tháng của cấp xã” kỳ tháng 5 năm 2026 về Sở Khoa học và Công nghệ; đã quá hạn 02 ngày làm việc.",
                "Đã thông báo việc chưa gửi báo cáo tới Sở Khoa học và Công nghệ lúc 00:00 ngày 20/05/2026.",
            ),
            (
                "2026-05-25 08:00:00",
                "Phường Đa Mai (mã 07228) đã gửi “Báo cáo chuyển đổi số hằng tháng của cấp xã” kỳ tháng 5 năm 2026 về Sở Khoa học và Công nghệ, chậm 02 ngày làm việc so với thời hạn.",
                "Đã thông báo",
            ),
        ] {
            let request = pb::ExplainObligationRequest {
                name: name.clone(),
                read_time: Some(field::pb_time(time(at))),
            };
            let explanation = ask(&scene, "operator", request).await.unwrap();
            let lines: Vec<_> = explanation.text.lines().collect();
            assert_eq!(lines[0], first, "{engine:?} {at}");
            assert!(lines.last().unwrap().starts_with(last), "{at}: {lines:?}");
            let received = lines.contains(&"Nhận báo cáo lần đầu lúc 16:30 ngày 21/05/2026.");
            assert_eq!(received, at == "2026-05-25 08:00:00", "{at}: {lines:?}");
            let told = i32::from(time(at) >= due());
            assert_eq!(i32::try_from(explanation.notices.len()).unwrap(), told, "{at}");
        }
    }
}

#[tokio::test]
async fn a_report_on_time_a_waived_one_and_one_without_a_due_time_have_their_words() {
    let scene = start(Engine::Sqlite, time("2026-05-25 08:00:00")).await;
    scene.create(regime()).await;
    scene.world.lock().submit(commune("07210"), PERIOD, due() - microseconds(1));
    let text = explain(&scene, obligation(commune("07210"))).await.text;
    assert!(
        text.lines().next().unwrap().ends_with("về Sở Khoa học và Công nghệ, đúng hạn."),
        "{text}"
    );
    assert!(text.ends_with("Nhận báo cáo lần đầu lúc 23:59 ngày 19/05/2026."), "{text}");

    let supervisor = format!("supervisor@{}", bac_ninh());
    let request = pb::WaiveObligationRequest {
        name: obligation(commune("07246")),
        decision: "Quyết định số 5/QĐ-UBND ngày 22/05/2026".to_owned(),
        reason: "xã bị thiên tai".to_owned(),
    };
    scene.compliance(&[&supervisor]).waive_obligation(request).await.unwrap();
    let waived = explain(&scene, obligation(commune("07246"))).await;
    let waiver = waived.waiver.unwrap();
    assert_eq!(waiver.decision, "Quyết định số 5/QĐ-UBND ngày 22/05/2026");
    assert_eq!((waiver.reason.as_str(), waiver.author.as_str()), ("xã bị thiên tai", "tester"));
    assert_eq!(waiver.create_time, Some(field::pb_time(time("2026-05-25 08:00:00"))));
    assert!(
        waived.text.starts_with("Xã Xuân Lương (mã 07246) không phải gửi “Báo cáo"),
        "{}",
        waived.text
    );
    assert!(
        waived.text.ends_with(
            "Được miễn báo cáo theo Quyết định số 5/QĐ-UBND ngày 22/05/2026; lý do: xã bị thiên tai."
        ),
        "{}",
        waived.text
    );

    // Asked for by a letter that states no due time, of one unit without a code, and not of a calendar by the decree.
    let debtors = pb::Debtors { units: vec![department().to_string()], ..pb::Debtors::default() };
    scene
        .create(pb::Regime {
            name: "regimes/giam-sat".to_owned(),
            display_name: "Báo cáo phục vụ giám sát".to_owned(),
            legal_basis: "Công văn số 8/HĐND".to_owned(),
            illustrative: false,
            frequency: pb::Frequency::Once.into(),
            once_period: "2026-01-01--2026-05-15".to_owned(),
            cut_off_as_declared: true,
            due_rule: None,
            receiving_unit: gia_lai().to_string(),
            debtors: Some(debtors),
            ..regime()
        })
        .await;
    let name = format!("{}/obligations/giam-sat~2026-01-01--2026-05-15", department());
    let explanation = explain(&scene, name).await;
    assert_eq!((explanation.due_date, explanation.skipped_days.len()), (None, 0));
    assert_eq!(
        explanation.text,
        "Sở Khoa học và Công nghệ chưa gửi “Báo cáo phục vụ giám sát” kỳ từ ngày 01/01/2026 đến \
         ngày 15/05/2026 về tỉnh Gia Lai.\n\
         Căn cứ: Công văn số 8/HĐND.\n\
         Đối tượng báo cáo: được nêu đích danh trong yêu cầu báo cáo (xác định tại ngày \
         15/05/2026).\n\
         Thời gian chốt số liệu: do báo cáo tự xác định (kỳ báo cáo từ ngày 01/01/2026 đến ngày \
         15/05/2026).\n\
         Thời hạn gửi: văn bản yêu cầu báo cáo không quy định."
    );
}

#[tokio::test]
async fn days_off_are_named_and_a_year_without_a_decision_is_said_to_be_estimated() {
    let scene = start(Engine::Sqlite, time("2027-06-01 08:00:00")).await;
    let from_date = Some(field::pb_date(day("2026-02-01")));
    scene.create(pb::Regime { from_date, ..regime() }).await;
    let of = async |period: &str| {
        let name = format!("{}/obligations/cds-24~{period}", commune("07210"));
        explain(&scene, name).await
    };
    let february = of("202602").await;
    assert_eq!(february.due_date, Some(field::pb_date(day("2026-02-25"))));
    assert!(february.text.contains("16/02/2026 - Tết Nguyên đán"), "{}", february.text);
    assert!(!february.text.contains("dự kiến"));
    // From Friday the 14th on with a weekend between; and from Sunday the 14th on with nothing between, though a
    // decision may yet put a day off there.
    for (period, skipped) in [("202705", 2), ("202702", 0)] {
        let estimated = of(period).await;
        assert_eq!(estimated.skipped_days.len(), skipped);
        assert!(estimated.skipped_days.iter().all(|skipped| skipped.estimated));
        let words = "Lịch nghỉ là dự kiến, chưa có quyết định.";
        assert!(estimated.text.contains(words), "{}", estimated.text);
    }
}

#[tokio::test]
async fn a_fixed_due_day_skips_nothing_and_a_declared_cut_off_says_so() {
    let scene = start(Engine::Sqlite, time("2026-12-20 08:00:00")).await;
    scene
        .create(pb::Regime {
            frequency: pb::Frequency::Year.into(),
            cut_off_as_declared: true,
            due_rule: Some(DueRule::DayOfMonth(pb::DayOfMonth { day: 25, month: 11 })),
            ..regime()
        })
        .await;
    let name = format!("{}/obligations/cds-24~2026", commune("07210"));
    let explanation = explain(&scene, name).await;
    assert!(explanation.skipped_days.is_empty());
    assert_eq!(explanation.due_date, Some(field::pb_date(day("2026-11-25"))));
    for words in [
        "kỳ năm 2026 về",
        "Thời gian chốt số liệu: do báo cáo tự xác định (theo Nghị định số 09/2019/NĐ-CP là từ ngày 15/12/2025 đến ngày 14/12/2026).",
        "Thời hạn gửi: hết ngày 25/11/2026 (ngày 25 tháng 11).",
    ] {
        assert!(explanation.text.contains(words), "{words}\n{}", explanation.text);
    }
}

#[tokio::test]
async fn a_list_that_does_not_say_since_when_a_unit_exists_makes_the_flag_uncertain() {
    let scene = start(Engine::Sqlite, due()).await;
    {
        let mut world = scene.world.lock();
        world.import(unit("24", "Tỉnh Bắc Ninh", None, Validity::OPEN));
        world.import(unit("07210", "Phường Bắc Giang", Some(bac_ninh()), Validity::OPEN));
    }
    scene.create(regime()).await;
    let explanation = explain(&scene, obligation(commune("07210"))).await;
    assert!(explanation.unit_uncertain);
    assert!(
        explanation.text.ends_with(
            "Lưu ý: danh mục đơn vị không ghi ngày thành lập của đơn vị này; việc đơn vị đã có vào \
             ngày chốt số liệu là giả định."
        ),
        "{}",
        explanation.text
    );
    assert!(!explain(&scene, obligation(commune("07228"))).await.unit_uncertain);
}

#[tokio::test]
async fn what_nobody_owes_is_not_found_and_a_neighbour_is_told_nothing() {
    let scene = start(Engine::Sqlite, due()).await;
    scene.create(regime()).await;
    let own = commune("07210");
    let reporter = format!("reporter@{own}");
    let request = |name: String| pb::ExplainObligationRequest { name, read_time: None };
    for name in [
        format!("{own}/obligations/cds-24~202601"),
        format!("{own}/obligations/cds-24~2026Q2"),
        format!("{own}/obligations/none~{PERIOD}"),
    ] {
        let status = ask(&scene, &reporter, request(name)).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::NotFound, "OBLIGATION_NOT_FOUND".to_owned()));
    }
    let unknown = UnitId::new("nso", "99999", None);
    for name in [
        obligation(commune("07228")),
        obligation(unknown),
        format!("{}/obligations/none~{PERIOD}", commune("07228")),
    ] {
        let status = ask(&scene, &reporter, request(name)).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned()));
    }
    let status = ask(&scene, "operator", request(obligation(unknown))).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::NotFound, "UNKNOWN_UNIT".to_owned()));
    // Who receives what is under a regime is answered without a right over the unit.
    let by_regime = format!("supervisor@{REGIME}");
    assert!(ask(&scene, &by_regime, request(obligation(own))).await.is_ok());
    for bad in ["", "x", &own.to_string(), &format!("{own}/obligations/cds-24")] {
        let status = ask(&scene, &reporter, request(bad.to_owned())).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(fields(&status), ["name"]);
    }
}
