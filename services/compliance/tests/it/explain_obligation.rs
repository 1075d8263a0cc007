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
        assert_eq!(explanation.decisions, []);
        assert_eq!(
            explanation.owed_because,
            "đơn vị hành chính cấp xã thuộc tỉnh Bắc Ninh, xác định tại ngày 14/05/2026"
        );
        assert_eq!(explanation.receiving_display_name, "Sở Khoa học và Công nghệ");
        let version = &explanation.calendar_version;
        assert_eq!(
            explanation.text,
            format!(
                "Phường Trí Quả (mã 09427) chưa gửi “Báo cáo chuyển đổi số hằng tháng của cấp xã” kỳ \
             tháng 5 năm 2026 về Sở Khoa học và Công nghệ; đã quá hạn 01 ngày làm việc.\n\
             Căn cứ: Công văn số 12/SKHCN-CĐS ngày 02/03/2026 (chế độ báo cáo minh họa, không do \
             cơ quan nào ban hành).\n\
             Đối tượng báo cáo: đơn vị hành chính cấp xã thuộc tỉnh Bắc Ninh, xác định tại ngày \
             14/05/2026.\n\
             Thời gian chốt số liệu: từ ngày 15/04/2026 đến ngày 14/05/2026.\n\
             Thời hạn gửi: hết ngày 19/05/2026 (03 ngày làm việc sau ngày chốt số liệu). Không \
             tính các ngày nghỉ: 16/05/2026 - Thứ Bảy; 17/05/2026 - Chủ nhật.\n\
             Lịch làm việc: lịch chung của cả nước, phiên bản {version}.\n\
             Đã thông báo:\n\
             - Lúc 00:00 ngày 20/05/2026: thông báo tới Sở Khoa học và Công nghệ việc chưa gửi báo \
             cáo."
            )
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
                "Lịch làm việc: lịch chung của cả nước",
            ),
            (
                "2026-05-21 10:00:00",
                "Phường Đa Mai (mã 07228) chưa gửi “Báo cáo chuyển đổi số hằng tháng của cấp xã” kỳ tháng 5 năm 2026 về Sở Khoa học và Công nghệ; đã quá hạn 02 ngày làm việc.",
                "- Lúc 00:00 ngày 20/05/2026: thông báo tới Sở Khoa học và Công nghệ việc chưa gửi báo cáo.",
            ),
            (
                "2026-05-25 08:00:00",
                "Phường Đa Mai (mã 07228) đã gửi “Báo cáo chuyển đổi số hằng tháng của cấp xã” kỳ tháng 5 năm 2026 về Sở Khoa học và Công nghệ, chậm 02 ngày làm việc so với thời hạn.",
                "- Lúc 00:00 ngày 20/05/2026: thông báo",
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
            let sent = "- Gửi lần 01: nhận lúc 16:30 ngày 21/05/2026; là căn cứ tính thời hạn.";
            let received = lines.contains(&sent);
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
    let sent = "- Gửi lần 01: nhận lúc 23:59 ngày 19/05/2026; là căn cứ tính thời hạn.";
    assert!(text.ends_with(sent), "{text}");

    let supervisor = format!("supervisor@{}", bac_ninh());
    let waiver = pb::Decision {
        scope: commune("07246").to_string(),
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        outcome: Some(pb::decision::Outcome::Waiver(pb::Waiver {})),
        document: "Quyết định số 5/QĐ-UBND ngày 22/05/2026".to_owned(),
        reason: "xã bị thiên tai".to_owned(),
        ..pb::Decision::default()
    };
    scene.decide(&supervisor, waiver).await.unwrap();
    let waived = explain(&scene, obligation(commune("07246"))).await;
    let waiver = &waived.decisions[0];
    assert_eq!(waiver.document, "Quyết định số 5/QĐ-UBND ngày 22/05/2026");
    assert_eq!((waiver.reason.as_str(), waiver.author.as_str()), ("xã bị thiên tai", "tester"));
    assert_eq!(waiver.create_time, Some(field::pb_time(time("2026-05-25 08:00:00"))));
    assert!(
        waived.text.starts_with("Xã Xuân Lương (mã 07246) được miễn gửi “Báo cáo"),
        "{}",
        waived.text
    );
    assert!(
        waived.text.ends_with(
            "Quyết định liên quan:\n- Quyết định số 5/QĐ-UBND ngày 22/05/2026: miễn gửi báo cáo, ghi \
             nhận lúc 08:00 ngày 25/05/2026; lý do: xã bị thiên tai."
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
async fn everything_that_was_done_with_a_report_is_evidence_and_one_act_fixes_its_timeliness() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07210");
        {
            let mut world = scene.world.lock();
            world.submit(unit, PERIOD, time("2026-05-18 08:00:00"));
            world.withdraw(unit, PERIOD, time("2026-05-18 09:00:00"));
        }
        scene.testing.clock.set(time("2026-05-18 09:30:00"));
        let taken_back = explain(&scene, obligation(unit)).await;
        assert_eq!(taken_back.obligation.unwrap().standing(), Standing::DueSoon, "{engine:?}");
        assert!(taken_back.evidence.iter().all(|entry| !entry.first));
        assert!(
            taken_back.text.ends_with(
                "Quá trình gửi báo cáo:\n\
                 - Gửi lần 01: nhận lúc 08:00 ngày 18/05/2026.\n\
                 - Đơn vị rút lại bản gửi lần 01 lúc 09:00 ngày 18/05/2026; lý do: Gửi nhầm số liệu."
            ),
            "{}",
            taken_back.text
        );
        let again = time("2026-05-29 00:00:00");
        {
            let mut world = scene.world.lock();
            world.submit(unit, PERIOD, time("2026-05-19 10:00:00"));
            world.give_back(unit, PERIOD, time("2026-05-21 10:00:00"), again);
            world.resubmit(unit, PERIOD, time("2026-05-22 10:00:00"));
            world.accept(unit, PERIOD, 1, time("2026-05-22 15:00:00"));
        }
        scene.testing.clock.set(time("2026-05-25 08:00:00"));
        let explanation = explain(&scene, obligation(unit)).await;
        assert_eq!(explanation.obligation.unwrap().standing(), Standing::OnTime, "{engine:?}");
        let evidence: Vec<_> = explanation
            .evidence
            .iter()
            .map(|entry| (entry.kind(), entry.revision, entry.note.as_str(), entry.first))
            .collect();
        use pb::evidence_entry::Kind::{Accepted, Resubmitted, Returned, Submitted, Withdrawn};
        let expected = [
            (Submitted, 1, "", false),
            (Withdrawn, 1, "Gửi nhầm số liệu", false),
            (Resubmitted, 2, "", true),
            (Returned, 2, "Thiếu thuyết minh", false),
            (Resubmitted, 3, "", false),
            (Accepted, 3, "Số liệu đầy đủ.", false),
        ];
        assert_eq!(evidence, expected, "{engine:?}");
        let levels: Vec<_> = explanation.evidence.iter().map(|entry| entry.review_level).collect();
        assert_eq!(levels, [0, 0, 0, 0, 0, 1]);
        assert!(
            explanation.text.ends_with(
                "- Bản gửi lần 03 được chấp nhận ở cấp duyệt thứ 1 lúc 15:00 ngày 22/05/2026; ý kiến: \
                 Số liệu đầy đủ."
            ),
            "{}",
            explanation.text
        );
        assert_eq!(explanation.evidence[0].author, "reporter");
        let first = Some(field::pb_time(time("2026-05-18 08:00:00")));
        assert_eq!(explanation.evidence[0].act_time, first);
        // At an earlier moment, what came later is not there.
        let before = pb::ExplainObligationRequest {
            name: obligation(unit),
            read_time: Some(field::pb_time(time("2026-05-21 12:00:00"))),
        };
        let before = ask(&scene, "operator", before).await.unwrap();
        assert_eq!(before.evidence.len(), 4);

        // Nothing is explained by half of what is known.
        scene.world.lock().acts_away = true;
        let request = pb::ExplainObligationRequest { name: obligation(unit), read_time: None };
        let status = ask(&scene, "operator", request.clone()).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::Unavailable, "PEER_UNAVAILABLE".to_owned()));
        // Of whom submission has never spoken, nobody has to ask.
        let name = obligation(commune("07228"));
        assert!(
            ask(&scene, "operator", pb::ExplainObligationRequest { name, ..request }).await.is_ok()
        );
    }
}

#[tokio::test]
async fn decisions_requests_and_moved_due_times_are_told_with_the_words_of_whoever_decided() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07210");
        let asked = pb::CreateObligationRequestRequest {
            parent: obligation(unit),
            obligation_request: Some(pb::ObligationRequest {
                kind: pb::obligation_request::Kind::Extension.into(),
                asked_due_date: Some(field::pb_date(day("2026-05-25"))),
                reason: "mất điện diện rộng".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut reporter = scene.decisions(&[&format!("reporter@{unit}")]);
        let asked = reporter.create_obligation_request(asked).await.unwrap().into_inner();
        let mut supervisor = scene.decisions(&[&format!("supervisor@{}", bac_ninh())]);
        let granted = pb::DecideObligationRequestRequest {
            name: asked.name.clone(),
            grant: true,
            document: "Quyết định số 21/QĐ-UBND".to_owned(),
            answer: "đồng ý".to_owned(),
            ..Default::default()
        };
        scene.testing.clock.set(time("2026-05-18 10:00:00"));
        let granted = supervisor.decide_obligation_request(granted).await.unwrap().into_inner();
        let explanation = explain(&scene, obligation(unit)).await;
        assert_eq!(explanation.requests, std::slice::from_ref(&granted), "{engine:?}");
        assert_eq!(explanation.decisions.len(), 1);
        assert_eq!(explanation.decisions[0].name, granted.decision);
        let [change] = explanation.due_changes.as_slice() else {
            panic!("{:?}", explanation.due_changes)
        };
        assert_eq!((change.due_generation, change.cause()), (2, pb::due_change::Cause::Extension));
        assert_eq!(change.reference, granted.decision);
        assert_eq!(change.old_due_time, Some(field::pb_time(due())));
        assert_eq!(change.new_due_time, Some(field::pb_time(time("2026-05-26 00:00:00"))));
        assert_eq!(explanation.due_date, Some(field::pb_date(day("2026-05-25"))));
        let tail = "Thời hạn gửi đã thay đổi:\n\
             - Lúc 10:00 ngày 18/05/2026: từ hết ngày 19/05/2026 thành hết ngày 25/05/2026, do được gia \
             hạn theo Quyết định số 21/QĐ-UBND; lý do: đồng ý.\n\
             Quyết định liên quan:\n\
             - Quyết định số 21/QĐ-UBND: gia hạn đến hết ngày 25/05/2026, ghi nhận lúc 10:00 ngày \
             18/05/2026; lý do: đồng ý.\n\
             Đề nghị của đơn vị:\n\
             - Lúc 08:00 ngày 18/05/2026: đề nghị gia hạn đến hết ngày 25/05/2026; lý do: mất điện diện \
             rộng. Được chấp thuận lúc 10:00 ngày 18/05/2026; ý kiến trả lời: đồng ý.";
        assert!(explanation.text.ends_with(tail), "{engine:?}\n{}", explanation.text);

        // Before anybody had decided, it was only asked for.
        let before = pb::ExplainObligationRequest {
            name: obligation(unit),
            read_time: Some(field::pb_time(time("2026-05-18 09:00:00"))),
        };
        let before = ask(&scene, "operator", before).await.unwrap();
        assert_eq!(before.requests[0].state(), pb::obligation_request::State::Pending);
        assert_eq!((before.decisions.len(), before.due_changes.len()), (0, 0), "{engine:?}");

        // Revoked: the due time is the rule's again, and everything stays visible.
        scene.testing.clock.set(time("2026-05-19 10:00:00"));
        let revoke = pb::RevokeDecisionRequest {
            name: granted.decision,
            document: "Quyết định số 22/QĐ-UBND".to_owned(),
            reason: "cấp nhầm đối tượng".to_owned(),
            ..Default::default()
        };
        supervisor.revoke_decision(revoke).await.unwrap();
        let revoked = explain(&scene, obligation(unit)).await;
        assert_eq!(revoked.due_changes.len(), 2, "{engine:?}");
        assert_eq!(revoked.due_changes[1].cause(), pb::due_change::Cause::ExtensionRevoked);
        assert!(revoked.decisions[0].revoke_time.is_some());
        assert!(
            revoked.text.contains(
                "Đã thu hồi lúc 10:00 ngày 19/05/2026 theo Quyết định số \
             22/QĐ-UBND; lý do: cấp nhầm đối tượng."
            ),
            "{}",
            revoked.text
        );
        // As of the day before, nobody knew of that.
        let before = pb::ExplainObligationRequest {
            name: obligation(unit),
            read_time: Some(field::pb_time(time("2026-05-18 12:00:00"))),
        };
        let before = ask(&scene, "operator", before).await.unwrap();
        assert_eq!((before.due_changes.len(), before.decisions[0].revoke_time), (1, None));
        assert!(!before.text.contains("thu hồi"), "{}", before.text);
    }
}

#[tokio::test]
async fn an_agency_that_is_no_unit_and_a_tier_that_sends_on_have_their_words() {
    let scene = start(Engine::Sqlite, time("2026-05-25 08:00:00")).await;
    let onward = pb::OnwardTier {
        receiving_agency: "Thanh tra Chính phủ".to_owned(),
        due_rule: Some(pb::onward_tier::DueRule::WorkingDaysAfterCutOff(10)),
        ..Default::default()
    };
    scene
        .create(pb::Regime {
            receiving_unit: bac_ninh().to_string(),
            onward_tiers: vec![onward],
            ..regime()
        })
        .await;
    let explanation = explain(&scene, obligation(bac_ninh())).await;
    assert_eq!(explanation.receiving_display_name, "Thanh tra Chính phủ");
    assert_eq!(explanation.obligation.unwrap().tier, 2);
    let lines: Vec<_> = explanation.text.lines().collect();
    assert_eq!(
        lines[0],
        "Tỉnh Bắc Ninh (mã 24) chưa gửi “Báo cáo chuyển đổi số hằng tháng của cấp xã” kỳ tháng 5 năm \
         2026 về Thanh tra Chính phủ; chưa đến hạn."
    );
    assert_eq!(
        lines[2],
        "Đối tượng báo cáo: đơn vị nhận báo cáo của bước 01, tổng hợp và gửi tiếp (bước 02), xác định \
         tại ngày 14/05/2026."
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
async fn a_fixed_due_day_on_days_off_is_explained_with_the_days_that_it_was_moved_over() {
    let scene = start(Engine::Sqlite, time("2026-12-20 08:00:00")).await;
    scene
        .create(pb::Regime {
            frequency: pb::Frequency::Year.into(),
            cut_off_as_declared: true,
            due_rule: Some(DueRule::DayOfMonth(pb::DayOfMonth { day: 21, month: 11 })),
            move_due_date_off_days_off: true,
            ..regime()
        })
        .await;
    let name = format!("{}/obligations/cds-24~2026", commune("07210"));
    let explanation = explain(&scene, name).await;
    let skipped: Vec<_> = explanation.skipped_days.iter().map(|day| day.why.as_str()).collect();
    assert_eq!(skipped, ["Thứ Bảy", "Chủ nhật"]);
    assert_eq!(explanation.due_date, Some(field::pb_date(day("2026-11-23"))));
    let version = &explanation.calendar_version;
    let lines = format!(
        "Thời hạn gửi: hết ngày 23/11/2026 (ngày 21 tháng 11, chuyển sang ngày làm việc tiếp theo). \
         Không tính các ngày nghỉ: 21/11/2026 - Thứ Bảy; 22/11/2026 - Chủ nhật.\n\
         Lịch làm việc: lịch chung của cả nước, phiên bản {version}."
    );
    assert!(explanation.text.contains(&lines), "{}", explanation.text);
}

async fn amend(scene: &Scene, days: &[&str]) {
    let storm = |text: &&str| pb::CalendarDay {
        date: Some(field::pb_date(day(text))),
        kind: pb::calendar_day::Kind::InLieu.into(),
        display_name: "Nghỉ bão".to_owned(),
        ..Default::default()
    };
    let request = pb::AmendCalendarRequest {
        name: "calendars/vn".to_owned(),
        days: days.iter().map(storm).collect(),
        legal_basis: "Công điện số 45/CĐ-TTg".to_owned(),
        reason: "Bão số 3 đổ bộ".to_owned(),
        ..Default::default()
    };
    scene.calendars(&["operator"]).amend_calendar(request).await.unwrap();
}

/// The days that an explanation leaves out, from 1, of May 2026.
fn skipped(explanation: &pb::Explanation) -> Vec<i32> {
    explanation.skipped_days.iter().map(|skipped| skipped.date.unwrap().day).collect()
}

#[tokio::test]
async fn what_was_received_is_explained_and_counted_by_the_calendar_that_it_was_measured_by() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-22 08:00:00")).await;
        scene.create(regime()).await;
        let (late, missing) = (commune("07210"), commune("07228"));
        scene.world.lock().submit(late, PERIOD, time("2026-05-21 10:00:00"));
        let before = explain(&scene, obligation(late)).await;
        assert_eq!(skipped(&before), [16, 17], "{engine:?}");
        // Nobody worked on the day after the cut-off and on the one after the due date.
        amend(&scene, &["2026-05-15", "2026-05-20"]).await;
        let explanation = explain(&scene, obligation(late)).await;
        assert_eq!(explanation.text, before.text, "{engine:?}");
        assert_eq!(explanation.calendar_version, before.calendar_version);
        assert_eq!((skipped(&explanation), explanation.due_date), (vec![16, 17], before.due_date));
        let of = |obligation: &pb::Obligation| {
            (obligation.standing(), obligation.working_days_late, obligation.calendar_days_late)
        };
        assert_eq!(of(&explanation.obligation.unwrap()), (Standing::Late, 2, 2));
        // In a list and in a rate it is late by as many days.
        let listed = scene.list(pb::ListObligationsRequest::default()).await;
        let listed = listed.iter().find(|one| one.unit == late.to_string()).unwrap();
        assert_eq!(of(listed), (Standing::Late, 2, 2), "{engine:?}");
        let exceptions = scene.rate(bac_ninh()).await.exceptions;
        assert_eq!(
            (exceptions[0].unit.clone(), of(&exceptions[0])),
            (late.to_string(), of(listed))
        );

        // What nobody has handed over follows the amendment.
        let follows = explain(&scene, obligation(missing)).await;
        assert_ne!(follows.calendar_version, before.calendar_version);
        assert_eq!(skipped(&follows), [15, 16, 17, 20], "{engine:?}");
        assert_eq!(follows.due_date, Some(field::pb_date(day("2026-05-21"))));
        // So does what is taken back; handed over again, it is measured by that.
        scene.world.lock().withdraw(late, PERIOD, time("2026-05-22 08:00:00"));
        let taken_back = explain(&scene, obligation(late)).await;
        assert_eq!(taken_back.calendar_version, follows.calendar_version, "{engine:?}");
        assert_eq!(skipped(&taken_back), skipped(&follows));
        scene.world.lock().submit(late, PERIOD, time("2026-05-22 08:00:00"));
        explain(&scene, obligation(late)).await;
        amend(&scene, &["2026-05-18"]).await;
        let again = explain(&scene, obligation(late)).await;
        assert_eq!(again.calendar_version, follows.calendar_version, "{engine:?}");
        assert_eq!(of(&again.obligation.unwrap()), (Standing::Late, 1, 1));
        // What opens from now on is by the newest.
        let newest = explain(&scene, obligation(missing)).await.calendar_version;
        assert_ne!(newest, follows.calendar_version);
    }
}

#[tokio::test]
async fn a_moment_that_has_passed_is_explained_as_it_was_then() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        scene.sweep().await;
        let unit = commune("07210");
        let at = |text: &str| scene.testing.clock.set(time(text));
        let supervisor = format!("supervisor@{}", bac_ninh());
        let extension = pb::Decision {
            scope: unit.to_string(),
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            outcome: Some(pb::decision::Outcome::Extension(pb::Extension {
                until: Some(pb::extension::Until::DueDate(field::pb_date(day("2026-05-25")))),
            })),
            document: "Quyết định số 20/QĐ-UBND".to_owned(),
            reason: "mưa lũ".to_owned(),
            ..pb::Decision::default()
        };
        let revoke = |name: &str| pb::RevokeDecisionRequest {
            name: name.to_owned(),
            document: "Quyết định số 22/QĐ-UBND".to_owned(),
            reason: "cấp nhầm đối tượng".to_owned(),
            ..Default::default()
        };
        at("2026-05-18 10:00:00");
        let extension = scene.decide(&supervisor, extension).await.unwrap().name;
        at("2026-05-19 08:00:00");
        // The due time by the rule is a day later; the extension reaches further still.
        amend(&scene, &["2026-05-15"]).await;
        at("2026-05-19 10:00:00");
        scene.decisions(&[&supervisor]).revoke_decision(revoke(&extension)).await.unwrap();
        at("2026-05-21 08:00:00");
        scene.sweep().await;
        at("2026-05-21 12:00:00");
        let waiver = scene.waive(&supervisor, unit).await.unwrap().name;
        at("2026-05-22 10:00:00");
        scene.decisions(&[&supervisor]).revoke_decision(revoke(&waiver)).await.unwrap();
        at("2026-05-25 08:00:00");
        scene.world.lock().submit(unit, PERIOD, time("2026-05-25 08:00:00"));
        explain(&scene, obligation(unit)).await;

        let versions: Vec<_> = [
            // Due on, originally due on, its generation, extended, waived, and the days left out.
            ("05-18 09:00", Standing::DueSoon, 19, 19, 1, false, false, vec![16, 17]),
            ("05-18 12:00", Standing::Open, 25, 19, 2, true, false, vec![16, 17, 23, 24]),
            ("05-19 09:00", Standing::Open, 25, 20, 2, true, false, vec![15, 16, 17, 23, 24]),
            ("05-19 12:00", Standing::DueSoon, 20, 20, 3, false, false, vec![15, 16, 17]),
            ("05-21 09:00", Standing::Missing, 20, 20, 3, false, false, vec![15, 16, 17]),
            ("05-21 13:00", Standing::Waived, 20, 20, 3, false, true, vec![15, 16, 17]),
            ("05-22 12:00", Standing::Missing, 20, 20, 4, false, false, vec![15, 16, 17]),
        ]
        .into_iter()
        .collect();
        for (moment, standing, due, original, generation, extended, waived, days) in versions {
            let read_time = time(&format!("2026-{moment}:00"));
            let request = pb::ExplainObligationRequest {
                name: obligation(unit),
                read_time: Some(field::pb_time(read_time)),
            };
            let explanation = ask(&scene, "operator", request).await.unwrap();
            let then = explanation.obligation.as_ref().unwrap();
            let ends = |day: i32| time(&format!("2026-05-{:02} 00:00:00", day + 1));
            let place = format!("{engine:?} {moment}\n{}", explanation.text);
            assert_eq!(then.standing(), standing, "{place}");
            assert_eq!(then.due_time, Some(field::pb_time(ends(due))), "{place}");
            assert_eq!(then.original_due_time, Some(field::pb_time(ends(original))), "{place}");
            assert_eq!(then.due_generation, generation, "{place}");
            assert_eq!(then.extension == extension, extended, "{place}");
            assert_eq!(then.waiver == waiver, waived, "{place}");
            assert_eq!((then.extension.is_empty(), then.waiver.is_empty()), (!extended, !waived));
            assert_eq!(skipped(&explanation), days, "{place}");
            assert_eq!(then.receive_time, None, "{place}");
            let said = explanation.text.contains("Thời hạn đang áp dụng");
            assert_eq!(said, due != original, "{place}");
        }
        let told = explain(&scene, obligation(unit)).await.text;
        let line =
            "từ được miễn gửi báo cáo thành hết ngày 20/05/2026, do thu hồi việc miễn gửi báo cáo";
        assert!(told.contains(line), "{engine:?}\n{told}");
    }
}

#[tokio::test]
async fn a_report_that_was_taken_back_since_was_there_before() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07210");
        scene.world.lock().submit(unit, PERIOD, time("2026-05-18 08:00:00"));
        explain(&scene, obligation(unit)).await;
        scene.testing.clock.set(time("2026-05-18 12:00:00"));
        // It moves what nobody has handed over.
        amend(&scene, &["2026-05-15"]).await;
        scene.testing.clock.set(time("2026-05-21 08:00:00"));
        let again = time("2026-05-29 00:00:00");
        {
            let mut world = scene.world.lock();
            world.give_back(unit, PERIOD, time("2026-05-18 14:00:00"), again);
            world.withdraw(unit, PERIOD, time("2026-05-19 08:00:00"));
        }
        explain(&scene, obligation(unit)).await;
        for (moment, standing, due, days) in [
            ("05-18 07:00", Standing::DueSoon, 19, vec![16, 17]),
            ("05-18 13:00", Standing::OnTime, 19, vec![16, 17]),
            ("05-18 15:00", Standing::Returned, 19, vec![16, 17]),
            ("05-21 08:00", Standing::Missing, 20, vec![15, 16, 17]),
        ] {
            let request = pb::ExplainObligationRequest {
                name: obligation(unit),
                read_time: Some(field::pb_time(time(&format!("2026-{moment}:00")))),
            };
            let explanation = ask(&scene, "operator", request).await.unwrap();
            let then = explanation.obligation.as_ref().unwrap();
            assert_eq!(then.standing(), standing, "{engine:?} {moment}");
            assert_eq!(explanation.due_date.unwrap().day, due, "{engine:?} {moment}");
            assert_eq!(skipped(&explanation), days, "{engine:?} {moment}");
            let returned = then.return_due_time.is_some();
            assert_eq!(returned, standing == Standing::Returned, "{engine:?} {moment}");
        }
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
