//! What units ask of whoever supervises them, and what comes of it.

use dunghan_hierarchy::{Edge, EdgeKind, UnitId, Validity};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::Standing;
use dunghan_proto::compliance::obligation_request::{Kind, State};
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, fields, refusal};
use futures::future::{join, join_all};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::decisions::{failed, supervisor};
use crate::world::{
    PERIOD, REGIME, Scene, bac_ninh, commune, day, department, due, first_day, gia_lai, obligation,
    regime, start, time, unit,
};

fn asking(unit: UnitId, kind: Kind, until: Option<&str>) -> pb::CreateObligationRequestRequest {
    let request = pb::ObligationRequest {
        kind: kind.into(),
        asked_due_date: until.map(|date| field::pb_date(day(date))),
        reason: "mất điện ba ngày".to_owned(),
        ..Default::default()
    };
    pb::CreateObligationRequestRequest {
        parent: obligation(unit),
        obligation_request: Some(request),
        request_id: String::new(),
    }
}

fn granting(request: &pb::ObligationRequest) -> pb::DecideObligationRequestRequest {
    pb::DecideObligationRequestRequest {
        name: request.name.clone(),
        grant: true,
        document: "20/UBND-VP".to_owned(),
        answer: "Đồng ý".to_owned(),
        ..Default::default()
    }
}

fn refusing(request: &pb::ObligationRequest) -> pb::DecideObligationRequestRequest {
    let answer = "Không có căn cứ".to_owned();
    pb::DecideObligationRequestRequest {
        grant: false,
        document: String::new(),
        answer,
        ..granting(request)
    }
}

impl Scene {
    /// As the unit's own reporter.
    async fn ask(
        &self,
        unit: UnitId,
        kind: Kind,
        until: Option<&str>,
    ) -> Result<pb::ObligationRequest, Status> {
        let grant = format!("reporter@{unit}");
        let request = asking(unit, kind, until);
        let mut client = self.decisions(&[&grant]);
        Ok(client.create_obligation_request(request).await?.into_inner())
    }

    async fn answer(
        &self,
        grant: &str,
        request: pb::DecideObligationRequestRequest,
    ) -> Result<pb::ObligationRequest, Status> {
        let mut client = self.decisions(&[grant]);
        Ok(client.decide_obligation_request(request).await?.into_inner())
    }

    async fn take_back(
        &self,
        grant: &str,
        request: &pb::ObligationRequest,
    ) -> Result<pb::ObligationRequest, Status> {
        let request = pb::WithdrawObligationRequestRequest { name: request.name.clone() };
        let mut client = self.decisions(&[grant]);
        Ok(client.withdraw_obligation_request(request).await?.into_inner())
    }

    async fn asked(
        &self,
        grant: &str,
        scope: UnitId,
        states: &[State],
    ) -> Vec<pb::ObligationRequest> {
        let request = pb::ListObligationRequestsRequest {
            scope: scope.to_string(),
            states: states.iter().map(|state| (*state).into()).collect(),
            ..Default::default()
        };
        let mut client = self.decisions(&[grant]);
        client.list_obligation_requests(request).await.unwrap().into_inner().requests
    }
}

fn ends(date: &str) -> Option<prost_types::Timestamp> {
    Some(field::pb_time(dunghan_calendar::zone::end_of(day(date))))
}

#[tokio::test]
async fn a_granted_extension_becomes_a_decision_and_moves_the_due_time() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07246");
        let asked = scene.ask(unit, Kind::Extension, Some("2026-05-22")).await.unwrap();
        assert!(asked.name.starts_with(&format!("{}/requests/", obligation(unit))));
        assert_eq!((asked.state(), asked.kind()), (State::Pending, Kind::Extension));
        assert_eq!((asked.author.as_str(), asked.decider.as_str()), ("tester", ""));
        assert_eq!(asked.create_time, Some(field::pb_time(time("2026-05-18 08:00:00"))));
        assert_eq!(scene.owed(unit).await.due_time, Some(field::pb_time(due())));
        assert_eq!(scene.asked(&supervisor(), bac_ninh(), &[]).await, std::slice::from_ref(&asked));

        scene.testing.clock.set(time("2026-05-18 15:00:00"));
        let granted = scene.answer(&supervisor(), granting(&asked)).await.unwrap();
        assert_eq!((granted.state(), granted.answer.as_str()), (State::Granted, "Đồng ý"));
        assert_eq!(granted.decide_time, Some(field::pb_time(time("2026-05-18 15:00:00"))));
        assert_eq!(scene.asked("reader", unit, &[]).await, std::slice::from_ref(&granted));
        let owed = scene.owed(unit).await;
        assert_eq!((owed.due_time, &owed.extension), (ends("2026-05-22"), &granted.decision));
        assert_eq!(owed.due_generation, 2, "{engine:?}");

        let request = pb::GetDecisionRequest { name: granted.decision.clone() };
        let decision = scene.decisions(&["reader"]).get_decision(request).await.unwrap();
        let decision = decision.into_inner();
        assert_eq!((&decision.request, decision.scope), (&asked.name, unit.to_string()));
        assert_eq!((decision.regime.as_str(), decision.period.as_str()), (REGIME, PERIOD));
        assert_eq!(
            (decision.document.as_str(), decision.reason.as_str()),
            ("20/UBND-VP", "Đồng ý")
        );
        assert_eq!((decision.subtree, decision.concerned_count), (false, 1));
        // It ends as any other.
        let revoke = pb::RevokeDecisionRequest {
            name: decision.name,
            document: "21/UBND-VP".to_owned(),
            reason: "không còn lý do".to_owned(),
            request_id: String::new(),
        };
        scene.decisions(&[&supervisor()]).revoke_decision(revoke).await.unwrap();
        assert_eq!(scene.owed(unit).await.due_time, Some(field::pb_time(due())));
    }
}

#[tokio::test]
async fn another_day_can_be_granted_than_was_asked_for_but_not_one_that_is_not_later() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07246");
        let asked = scene.ask(unit, Kind::Extension, Some("2026-05-29")).await.unwrap();
        let to = |date| pb::DecideObligationRequestRequest {
            due_date: Some(field::pb_date(day(date))),
            ..granting(&asked)
        };
        let status = scene.answer(&supervisor(), to("2026-05-19")).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, "NOT_LATER".to_owned()));
        assert_eq!(fields(&status), ["due_date"]);
        let unnamed =
            pb::DecideObligationRequestRequest { document: " ".to_owned(), ..to("2026-05-22") };
        let status = scene.answer(&supervisor(), unnamed).await.unwrap_err();
        assert_eq!(fields(&status), ["document"]);
        // Nothing of it is half done.
        assert_eq!(scene.asked("reader", unit, &[State::Pending]).await.len(), 1, "{engine:?}");
        assert_eq!(scene.owed(unit).await.due_generation, 1);
        // Decided only when the day that was asked for is over.
        scene.testing.clock.set(time("2026-06-01 08:00:00"));
        let status = scene.answer(&supervisor(), granting(&asked)).await.unwrap_err();
        assert_eq!(refusal(&status).1, "NOT_LATER");
        scene.answer(&supervisor(), to("2026-06-02")).await.unwrap();
        assert_eq!(scene.owed(unit).await.due_time, ends("2026-06-02"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_decide_at_once_one_is_refused_and_told_how_it_was_decided() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let (of_province, of_regime) = (supervisor(), format!("supervisor@{REGIME}"));
        for (code, grants) in [("07246", true), ("07210", false), ("07228", true), ("07264", false)]
        {
            let unit = commune(code);
            let asked = scene.ask(unit, Kind::Extension, Some("2026-05-22")).await.unwrap();
            let first = if grants { granting(&asked) } else { refusing(&asked) };
            let second = if grants { refusing(&asked) } else { granting(&asked) };
            let (one, other) =
                join(scene.answer(&of_province, first), scene.answer(&of_regime, second)).await;
            let (held, status) = match (one, other) {
                (Ok(held), Err(status)) | (Err(status), Ok(held)) => (held, status),
                both => unreachable!("{both:?}"),
            };
            assert_eq!(refusal(&status), failed("ALREADY_DECIDED"), "{engine:?}");
            let info = status.get_details_error_info().unwrap();
            let state = held.state().as_str_name().trim_start_matches("STATE_");
            assert_eq!(
                (info.metadata["state"].as_str(), &info.metadata["name"]),
                (state, &asked.name)
            );
            let granted = held.state() == State::Granted;
            assert_eq!(scene.owed(unit).await.due_time == ends("2026-05-22"), granted);
            assert_eq!(held.decision.is_empty(), !granted);
        }
    }
}

#[tokio::test]
async fn a_unit_does_not_decide_on_its_own_request() {
    let scene = start(Engine::Sqlite, time("2026-05-18 08:00:00")).await;
    scene.create(regime()).await;
    let unit = commune("07246");
    let asked = scene.ask(unit, Kind::Extension, Some("2026-05-22")).await.unwrap();
    for grant in [
        format!("supervisor@{unit}"),
        format!("supervisor@{}", commune("07210")),
        format!("supervisor@{}", gia_lai()),
        format!("supervisor@{}", department()),
        "supervisor@regimes/cds-52".to_owned(),
    ] {
        let status = scene.answer(&grant, granting(&asked)).await.unwrap_err();
        let out_of_scope = (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned());
        assert_eq!(refusal(&status), out_of_scope, "{grant}");
    }
    let status = scene.answer(&format!("reporter@{unit}"), granting(&asked)).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::PermissionDenied, "ROLE_MISSING".to_owned()));
    // Its own role does no harm beside one that reaches it from above.
    let (own, above) = (format!("supervisor@{unit}"), supervisor());
    let mut client = scene.decisions(&[&own, &above]);
    client.decide_obligation_request(refusing(&asked)).await.unwrap();
    let asked = scene.ask(unit, Kind::Extension, Some("2026-05-22")).await.unwrap();
    scene.answer(&format!("supervisor@{REGIME}"), refusing(&asked)).await.unwrap();
    let asked = scene.ask(unit, Kind::Extension, Some("2026-05-22")).await.unwrap();
    scene.answer("supervisor", granting(&asked)).await.unwrap();
}

#[tokio::test]
async fn a_failed_system_makes_a_late_report_count_as_on_time_and_takes_its_notice_back() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let (unit, other) = (commune("07246"), commune("07210"));
        scene.testing.clock.set(due());
        scene.sweep().await;
        scene.world.lock().submit(unit, PERIOD, time("2026-05-21 09:00:00"));
        scene.world.lock().submit(other, PERIOD, time("2026-05-18 09:00:00"));
        scene.testing.clock.set(time("2026-05-25 08:00:00"));
        assert_eq!(scene.owed(unit).await.standing(), Standing::Late);
        // More time is of no use to what is there, and nothing excuses what was on time.
        let status = scene.ask(unit, Kind::Extension, Some("2026-05-29")).await.unwrap_err();
        assert_eq!(refusal(&status), failed("ALREADY_SUBMITTED"));
        let status = scene.ask(other, Kind::SystemFailure, Some("2026-05-29")).await.unwrap_err();
        assert_eq!(refusal(&status), failed("ALREADY_SUBMITTED"));

        let asked = scene.ask(unit, Kind::SystemFailure, Some("2026-05-21")).await.unwrap();
        let granted = scene.answer(&supervisor(), granting(&asked)).await.unwrap();
        let owed = scene.owed(unit).await;
        assert_eq!((owed.standing(), owed.due_time), (Standing::OnTime, ends("2026-05-21")));
        assert_eq!((owed.extension, owed.working_days_late), (granted.decision, 0));
        assert_eq!(
            scene.sweep().await.retracted_count,
            1 + 1,
            "{engine:?}: this one and the other"
        );
        assert_eq!(scene.told_of(unit).await, (1, 1));
        assert_eq!(scene.rate(bac_ninh()).await.late_reports, 0);
    }
}

#[tokio::test]
async fn an_explanation_is_accepted_or_refused_and_changes_no_due_time() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07246");
        scene.world.lock().submit(unit, PERIOD, time("2026-05-21 09:00:00"));
        scene.testing.clock.set(time("2026-05-25 08:00:00"));
        let before = scene.owed(unit).await;
        let asked = scene.ask(unit, Kind::Explanation, None).await.unwrap();
        let plain =
            pb::DecideObligationRequestRequest { document: String::new(), ..granting(&asked) };
        let day = Some(field::pb_date(day("2026-05-29")));
        for (request, named) in [
            (granting(&asked), "document"),
            (pb::DecideObligationRequestRequest { due_date: day, ..plain.clone() }, "due_date"),
        ] {
            let status = scene.answer(&supervisor(), request).await.unwrap_err();
            assert_eq!(fields(&status), [named]);
        }
        let accepted = scene.answer(&supervisor(), plain).await.unwrap();
        assert_eq!((accepted.state(), accepted.decision.as_str()), (State::Granted, ""));
        assert_eq!(scene.owed(unit).await, before, "{engine:?}");
        assert_eq!(before.standing(), Standing::Late);
    }
}

#[tokio::test]
async fn a_request_is_taken_back_while_nobody_has_decided_it() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07246");
        let reporter = format!("reporter@{unit}");
        let asked = scene.ask(unit, Kind::Extension, Some("2026-05-22")).await.unwrap();
        for grant in [format!("reporter@{}", commune("07210")), format!("supervisor@{REGIME}")] {
            let status = scene.take_back(&grant, &asked).await.unwrap_err();
            assert_eq!(refusal(&status), (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned()));
        }
        let withdrawn = scene.take_back(&reporter, &asked).await.unwrap();
        assert_eq!((withdrawn.state(), withdrawn.decider.as_str()), (State::Withdrawn, "tester"));
        // An answer that was lost on its way is given again.
        scene.testing.clock.set(time("2026-05-18 09:00:00"));
        assert_eq!(scene.take_back(&reporter, &asked).await.unwrap(), withdrawn, "{engine:?}");
        let status = scene.answer(&supervisor(), granting(&asked)).await.unwrap_err();
        assert_eq!(refusal(&status), failed("ALREADY_DECIDED"));
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.metadata["state"], "WITHDRAWN");

        let asked = scene.ask(unit, Kind::Extension, Some("2026-05-22")).await.unwrap();
        scene.answer(&supervisor(), refusing(&asked)).await.unwrap();
        let status = scene.take_back(&reporter, &asked).await.unwrap_err();
        assert_eq!(refusal(&status), failed("ALREADY_DECIDED"));
        assert_eq!(scene.owed(unit).await.due_generation, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_asks_for_the_same_once_until_it_is_answered() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07246");
        let calls = (0..5).map(|_| scene.ask(unit, Kind::Extension, Some("2026-05-22")));
        let answers = join_all(calls).await;
        let asked = answers.iter().find_map(|answer| answer.as_ref().ok()).unwrap();
        let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert_eq!(refused.len(), 4, "{engine:?}");
        for status in refused {
            assert_eq!(refusal(status), (Code::AlreadyExists, "REQUEST_EXISTS".to_owned()));
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.metadata["name"], asked.name);
        }
        // Something else can be asked beside it, and the same again once it is answered.
        scene.ask(unit, Kind::SystemFailure, Some("2026-05-22")).await.unwrap();
        scene.answer(&supervisor(), refusing(asked)).await.unwrap();
        scene.ask(unit, Kind::Extension, Some("2026-05-22")).await.unwrap();
    }
}

#[tokio::test]
async fn only_what_is_late_or_missing_can_be_explained() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07246");
        let status = scene.ask(unit, Kind::Explanation, None).await.unwrap_err();
        let nothing = (Code::FailedPrecondition, "NOTHING_TO_EXPLAIN".to_owned());
        assert_eq!(refusal(&status), nothing, "{engine:?}");
        scene.testing.clock.set(due());
        scene.ask(unit, Kind::Explanation, None).await.unwrap();
    }
}

#[tokio::test]
async fn what_could_only_be_refused_cannot_be_asked() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07246");
        for (kind, date) in [
            (Kind::Extension, "2026-05-19"),
            (Kind::Extension, "2026-05-17"),
            (Kind::SystemFailure, "2026-05-19"),
        ] {
            let status = scene.ask(unit, kind, Some(date)).await.unwrap_err();
            assert_eq!(
                refusal(&status),
                (Code::InvalidArgument, "NOT_LATER".to_owned()),
                "{engine:?}"
            );
            assert_eq!(fields(&status), ["obligation_request.asked_due_date"]);
        }
        scene.testing.clock.set(time("2026-05-25 08:00:00"));
        // It is not there, and would be late by that day too.
        let status = scene.ask(unit, Kind::SystemFailure, Some("2026-05-22")).await.unwrap_err();
        assert_eq!(refusal(&status).1, "NOT_LATER");

        scene
            .decide(
                &supervisor(),
                pb::Decision {
                    scope: unit.to_string(),
                    regime: REGIME.to_owned(),
                    period: PERIOD.to_owned(),
                    outcome: Some(pb::decision::Outcome::Waiver(pb::Waiver {})),
                    document: "15/QĐ-UBND".to_owned(),
                    reason: "x".to_owned(),
                    ..Default::default()
                },
            )
            .await
            .unwrap();
        let status = scene.ask(unit, Kind::Extension, Some("2026-06-22")).await.unwrap_err();
        assert_eq!(refusal(&status), failed("ALREADY_WAIVED"));
        let ended = Validity::between(first_day(), day("2026-05-01"));
        scene.world.lock().import(crate::world::unit("07210", "Phường", Some(bac_ninh()), ended));
        // It has ended; whoever is over everything writes for it.
        let request = asking(commune("07210"), Kind::Explanation, None);
        let mut client = scene.decisions(&["reporter"]);
        let status = client.create_obligation_request(request).await.unwrap_err();
        assert_eq!(refusal(&status), failed("OBLIGATION_CLOSED"));
        let not_found = (Code::NotFound, "OBLIGATION_NOT_FOUND".to_owned());
        let status = scene.ask(department(), Kind::Explanation, None).await.unwrap_err();
        assert_eq!(refusal(&status), not_found);
        let unknown = asking(UnitId::new("nso", "99999", None), Kind::Explanation, None);
        let status = client.create_obligation_request(unknown).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::NotFound, "UNKNOWN_UNIT".to_owned()));
        let status = scene.ask(gia_lai(), Kind::Explanation, None).await.unwrap_err();
        assert_eq!(refusal(&status), not_found);
    }
    let scene = start(Engine::Sqlite, time("2026-05-18 08:00:00")).await;
    scene.create(pb::Regime { due_rule: None, ..regime() }).await;
    for (kind, until) in [(Kind::Extension, Some("2026-05-22")), (Kind::Explanation, None)] {
        let status = scene.ask(commune("07246"), kind, until).await.unwrap_err();
        assert_eq!(refusal(&status), failed("NO_DUE_TIME"));
    }
}

#[tokio::test]
async fn what_happened_since_it_was_asked_is_no_longer_granted_but_can_be_refused() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let (submitted, waived, ended) = (commune("07246"), commune("07210"), commune("07228"));
        let mut asked = Vec::new();
        for unit in [submitted, waived, ended] {
            asked.push(scene.ask(unit, Kind::Extension, Some("2026-05-22")).await.unwrap());
        }
        scene.world.lock().submit(submitted, PERIOD, time("2026-05-18 08:00:00"));
        scene.waive(&supervisor(), waived).await.unwrap();
        let validity = Validity::between(first_day(), day("2026-05-01"));
        let gone = unit("07228", "Phường Đa Mai", Some(bac_ninh()), validity);
        scene.world.lock().import(gone);
        let reasons = ["ALREADY_SUBMITTED", "ALREADY_WAIVED", "OBLIGATION_CLOSED"];
        for (request, reason) in asked.iter().zip(reasons) {
            let status = scene.answer("supervisor", granting(request)).await.unwrap_err();
            assert_eq!(refusal(&status), failed(reason), "{engine:?}");
            scene.answer("supervisor", refusing(request)).await.unwrap();
        }
        let none = pb::ObligationRequest {
            name: format!("{}/requests/{}", obligation(submitted), Uuid::new_v4()),
            ..Default::default()
        };
        let not_found = (Code::NotFound, "REQUEST_NOT_FOUND".to_owned());
        let status = scene.answer("supervisor", granting(&none)).await.unwrap_err();
        assert_eq!(refusal(&status), not_found);
        assert_eq!(refusal(&scene.take_back("reporter", &none).await.unwrap_err()), not_found);
        let elsewhere = pb::ObligationRequest {
            name: asked[0].name.replace("cds-24", "none"),
            ..Default::default()
        };
        let status = scene.answer("supervisor", granting(&elsewhere)).await.unwrap_err();
        assert_eq!(refusal(&status), not_found);
        let nobody = pb::ObligationRequest {
            name: asked[0].name.replace("202605", "202501"),
            ..Default::default()
        };
        let status = scene.answer("supervisor", granting(&nobody)).await.unwrap_err();
        assert_eq!(refusal(&status), not_found);
    }
}

#[tokio::test]
async fn the_same_call_is_answered_the_same() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let mut client = scene.decisions(&["supervisor"]);
        let request = pb::CreateObligationRequestRequest {
            request_id: Uuid::new_v4().to_string(),
            ..asking(commune("07246"), Kind::Extension, Some("2026-05-22"))
        };
        let asked = client.create_obligation_request(request.clone()).await.unwrap().into_inner();
        let again = client.create_obligation_request(request.clone()).await.unwrap().into_inner();
        assert_eq!(again, asked, "{engine:?}");
        let decide = pb::DecideObligationRequestRequest {
            request_id: Uuid::new_v4().to_string(),
            ..granting(&asked)
        };
        let granted = client.decide_obligation_request(decide.clone()).await.unwrap().into_inner();
        scene.testing.clock.set(time("2026-06-18 08:00:00"));
        let again = client.decide_obligation_request(decide.clone()).await.unwrap().into_inner();
        assert_eq!(again, granted);
        let other = pb::DecideObligationRequestRequest { grant: false, ..decide };
        let status = client.decide_obligation_request(other).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned()));
        // What was asked is answered as it was asked, whatever became of it.
        let again = client.create_obligation_request(request).await.unwrap().into_inner();
        assert_eq!(again, asked);
    }
}

#[tokio::test]
async fn requests_are_listed_the_last_first_by_state_and_within_what_the_caller_may_read() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let (one, two) = (commune("07246"), commune("07210"));
        let first = scene.ask(one, Kind::Extension, Some("2026-05-22")).await.unwrap();
        scene.testing.clock.set(time("2026-05-18 09:00:00"));
        let second = scene.ask(two, Kind::Extension, Some("2026-05-22")).await.unwrap();
        scene.testing.clock.set(time("2026-05-18 10:00:00"));
        let third = scene.ask(one, Kind::SystemFailure, Some("2026-05-22")).await.unwrap();
        let refused = scene.answer(&supervisor(), refusing(&second)).await.unwrap();
        let all = [third.clone(), refused.clone(), first.clone()];
        assert_eq!(scene.asked("reader", bac_ninh(), &[]).await, all, "{engine:?}");
        assert_eq!(scene.asked("reader", one, &[]).await, [third.clone(), first.clone()]);
        assert_eq!(scene.asked("reader", gia_lai(), &[]).await, []);
        let states = [State::Refused, State::Withdrawn];
        assert_eq!(scene.asked("reader", bac_ninh(), &states).await, [refused]);
        // A department sees what is under its regimes wherever it is.
        assert_eq!(scene.asked(&format!("reader@{REGIME}"), bac_ninh(), &[]).await, all);
        assert_eq!(scene.asked("reader@regimes/cds-52", bac_ninh(), &[]).await, []);

        let of = |scope: UnitId| pb::ListObligationRequestsRequest {
            scope: scope.to_string(),
            page_size: 2,
            ..Default::default()
        };
        let mut client = scene.decisions(&["reader"]);
        let page = client.list_obligation_requests(of(bac_ninh())).await.unwrap().into_inner();
        assert_eq!(page.requests, all[..2]);
        let next = pb::ListObligationRequestsRequest {
            page_token: page.next_page_token,
            ..of(bac_ninh())
        };
        let page = client.list_obligation_requests(next).await.unwrap().into_inner();
        assert_eq!((page.requests.as_slice(), page.next_page_token.as_str()), (&all[2..], ""));
        let status = client.list_obligation_requests(pb::ListObligationRequestsRequest {
            states: vec![State::Unspecified.into()],
            ..of(one)
        });
        assert_eq!(fields(&status.await.unwrap_err()), ["states"]);
        let grant = format!("reporter@{two}");
        let status =
            scene.decisions(&[&grant]).list_obligation_requests(of(one)).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned()));
        let unknown = of(UnitId::new("nso", "99999", None));
        let status = client.list_obligation_requests(unknown).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::NotFound, "UNKNOWN_UNIT".to_owned()));
    }
}

#[tokio::test]
async fn whoever_came_after_a_unit_asks_for_it_and_is_answered_from_above() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let (old, new) = (commune("07246"), commune("07264"));
        let ended = Validity::between(first_day(), day("2026-05-18"));
        let edge = Edge {
            effective: day("2026-05-18"),
            predecessor: old,
            successor: new,
            kind: EdgeKind::Merged,
            reorganisation: "1".into(),
        };
        scene.world.lock().import(unit("07246", "Xã Xuân Lương", Some(bac_ninh()), ended));
        scene.world.lock().reorganise(Vec::new(), vec![edge]);
        assert_eq!(scene.owed(old).await.passed_to, new.to_string());
        let request = asking(old, Kind::Extension, Some("2026-05-22"));
        let elsewhere = format!("reporter@{}", commune("07210"));
        let status =
            scene.decisions(&[&elsewhere]).create_obligation_request(request.clone()).await;
        assert_eq!(refusal(&status.unwrap_err()).1, "OUT_OF_SCOPE");
        let reporter = format!("reporter@{new}");
        let asked = scene.decisions(&[&reporter]).create_obligation_request(request).await.unwrap();
        let asked = asked.into_inner();
        assert_eq!(
            scene.asked(&reporter, new, &[]).await,
            std::slice::from_ref(&asked),
            "{engine:?}"
        );
        let own = scene.answer(&format!("supervisor@{new}"), granting(&asked)).await.unwrap_err();
        assert_eq!(refusal(&own).1, "OUT_OF_SCOPE");
        scene.answer(&supervisor(), granting(&asked)).await.unwrap();
        assert_eq!(scene.owed(old).await.due_time, ends("2026-05-22"));
    }
}

#[tokio::test]
async fn what_is_malformed_is_named() {
    let scene = start(Engine::Sqlite, time("2026-05-18 08:00:00")).await;
    scene.create(regime()).await;
    let unit = commune("07246");
    let good = || asking(unit, Kind::Extension, Some("2026-05-22"));
    let with = |change: &dyn Fn(&mut pb::ObligationRequest)| {
        let mut request = good();
        change(request.obligation_request.as_mut().unwrap());
        request
    };
    let (missing, invalid) = ("REQUIRED_FIELD_MISSING", "INVALID_FIELD");
    let mut client = scene.decisions(&["supervisor"]);
    for (request, named, reason) in [
        (pb::CreateObligationRequestRequest { parent: String::new(), ..good() }, "parent", missing),
        (
            pb::CreateObligationRequestRequest { parent: unit.to_string(), ..good() },
            "parent",
            invalid,
        ),
        (
            pb::CreateObligationRequestRequest { obligation_request: None, ..good() },
            "obligation_request",
            missing,
        ),
        (with(&|one| one.kind = 0), "obligation_request.kind", missing),
        (with(&|one| one.kind = 9), "obligation_request.kind", invalid),
        (with(&|one| one.asked_due_date = None), "obligation_request.asked_due_date", missing),
        (
            with(&|one| one.kind = Kind::Explanation.into()),
            "obligation_request.asked_due_date",
            invalid,
        ),
        (
            with(&|one| one.asked_due_date = Some(Default::default())),
            "obligation_request.asked_due_date",
            invalid,
        ),
        (with(&|one| one.reason = " ".to_owned()), "obligation_request.reason", missing),
        (with(&|one| one.reason = "ệ".repeat(2001)), "obligation_request.reason", invalid),
        (
            pb::CreateObligationRequestRequest { request_id: "1".to_owned(), ..good() },
            "request_id",
            invalid,
        ),
    ] {
        let status = client.create_obligation_request(request).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned()), "{named}");
        assert_eq!(fields(&status), [named]);
    }
    let longest = with(&|one| one.reason = "ệ".repeat(2000));
    let asked = client.create_obligation_request(longest).await.unwrap().into_inner();
    let good = || granting(&asked);
    for (request, named, reason) in [
        (pb::DecideObligationRequestRequest { name: String::new(), ..good() }, "name", missing),
        (pb::DecideObligationRequestRequest { name: obligation(unit), ..good() }, "name", invalid),
        (pb::DecideObligationRequestRequest { answer: String::new(), ..good() }, "answer", missing),
        (
            pb::DecideObligationRequestRequest { answer: "ệ".repeat(2001), ..good() },
            "answer",
            invalid,
        ),
        (
            pb::DecideObligationRequestRequest { document: "ệ".repeat(201), ..good() },
            "document",
            invalid,
        ),
        (
            pb::DecideObligationRequestRequest { document: String::new(), ..good() },
            "document",
            missing,
        ),
        (
            pb::DecideObligationRequestRequest { due_date: Some(Default::default()), ..good() },
            "due_date",
            invalid,
        ),
        (
            pb::DecideObligationRequestRequest { document: "x".to_owned(), ..refusing(&asked) },
            "document",
            invalid,
        ),
        (
            pb::DecideObligationRequestRequest { request_id: "1".to_owned(), ..good() },
            "request_id",
            invalid,
        ),
    ] {
        let status = client.decide_obligation_request(request).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned()), "{named}");
        assert_eq!(fields(&status), [named]);
    }
    let request = pb::WithdrawObligationRequestRequest { name: asked.name.to_uppercase() };
    let status = client.withdraw_obligation_request(request).await.unwrap_err();
    assert_eq!(fields(&status), ["name"]);
}
