//! `WithdrawReport` and `ReturnReport`: what becomes of a report that is taken back or sent back.

use chrono::TimeDelta;
use dunghan_calendar::zone;
use dunghan_proto::events::event::Payload;
use dunghan_proto::events::{ReportReturned, ReportWithdrawn};
use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::report::State;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, Testing, fields, refusal};
use tonic::Code;

use crate::world::{
    Client, acts, bac_ninh, binh_duong, client, count, create, date, dinh_to, gia_lai, grant, may,
    new_request_id, now, of, reporter, return_request, send_back, start, submit, told, tri_qua,
    withdraw, withdraw_request,
};

/// A report of Trí Quả that was handed over, by the client that did it.
async fn handed_over(engine: Engine) -> (Testing, Client, pb::Report) {
    let testing = start(engine).await;
    let mut client = reporter(&testing, tri_qua());
    let draft = create(&mut client, tri_qua(), may()).await.unwrap();
    let report = submit(&mut client, &draft.name).await.unwrap();
    (testing, client, report)
}

async fn update(client: &mut Client, report: pb::Report) -> pb::Report {
    let request = pb::UpdateReportRequest { report: Some(report), update_mask: None };
    client.update_report(request).await.unwrap().into_inner()
}

async fn receipts(testing: &Testing) -> Vec<pb::Receipt> {
    let request = pb::BatchGetReceiptsRequest {
        regime: "regimes/cds-month".to_owned(),
        period: "202605".to_owned(),
        units: vec![tri_qua().to_string()],
    };
    let mut service = client(testing, &["service"]);
    service.batch_get_receipts(request).await.unwrap().into_inner().receipts
}

#[tokio::test]
async fn a_report_that_is_taken_back_is_a_draft_and_counts_as_not_received() {
    for engine in ENGINES {
        let (testing, mut client, submitted) = handed_over(engine).await;
        testing.clock.advance(TimeDelta::hours(1));
        let withdrawn = withdraw(&mut client, &submitted.name).await.unwrap();
        let expected = pb::Report {
            state: State::Draft.into(),
            receive_time: None,
            submitter: String::new(),
            etag: "\"3\"".to_owned(),
            update_time: Some(field::pb_time(now() + TimeDelta::hours(1))),
            ..submitted.clone()
        };
        assert_eq!(withdrawn, expected, "{engine:?}");
        assert_eq!((withdrawn.revision, receipts(&testing).await), (1, vec![]));
        let event = ReportWithdrawn {
            report: submitted.name.clone(),
            regime: "regimes/cds-month".to_owned(),
            period: "202605".to_owned(),
            sequence: 3,
            withdraw_time: Some(field::pb_time(now() + TimeDelta::hours(1))),
        };
        assert_eq!(told(&testing, 2).await[1], Payload::ReportWithdrawn(event));

        // It may be edited again, and is received when it is handed over again.
        update(&mut client, pb::Report { etag: String::new(), ..may_of(&submitted.name) }).await;
        testing.clock.advance(TimeDelta::hours(1));
        let again = submit(&mut client, &submitted.name).await.unwrap();
        assert_eq!(again.receive_time, Some(field::pb_time(now() + TimeDelta::hours(2))));
        assert_eq!((again.revision, again.etag.as_str()), (2, "\"5\""));
        let Payload::ReportSubmitted(event) = &told(&testing, 3).await[2] else { panic!() };
        assert_eq!((event.sequence, event.revision), (5, 2));
        assert_eq!(event.receive_time, again.receive_time);
    }
}

fn may_of(name: &str) -> pb::Report {
    pb::Report { name: name.to_owned(), ..may() }
}

#[tokio::test]
async fn a_report_that_is_sent_back_is_mended_and_stays_received_when_it_was() {
    for engine in ENGINES {
        let (testing, mut client, submitted) = handed_over(engine).await;
        let first = submitted.receive_time;
        testing.clock.advance(TimeDelta::hours(1));
        let returned_at = Some(field::pb_time(now() + TimeDelta::hours(1)));
        let due = Some(field::pb_time(zone::end_of(date("2026-11-25"))));
        let mut supervisor =
            crate::world::client(&testing, &[&grant(Role::Supervisor, bac_ninh())]);
        let returned = send_back(&mut supervisor, &submitted.name, "2026-11-25").await.unwrap();
        let expected = pb::Report {
            state: State::Returned.into(),
            return_due_time: due,
            etag: "\"3\"".to_owned(),
            update_time: returned_at,
            ..submitted.clone()
        };
        assert_eq!(returned, expected, "{engine:?}");
        let receipt = pb::Receipt {
            report: submitted.name.clone(),
            regime: "regimes/cds-month".to_owned(),
            period: "202605".to_owned(),
            receive_time: first,
            declared_cut_off_date: None,
            sequence: 3,
            return_time: returned_at,
            return_due_time: due,
        };
        assert_eq!(receipts(&testing).await, std::slice::from_ref(&receipt));
        let event = ReportReturned {
            report: submitted.name.clone(),
            regime: "regimes/cds-month".to_owned(),
            period: "202605".to_owned(),
            sequence: 3,
            return_time: returned_at,
            return_due_time: due,
            receive_time: first,
        };
        assert_eq!(told(&testing, 2).await[1], Payload::ReportReturned(event));

        // What is changed meanwhile is not handed over yet: the receipt declares what it did.
        let changed = pb::Report {
            values: vec![count("portal_posts", 79)],
            declared_cut_off_date: Some(field::pb_date(date("2026-05-10"))),
            ..may_of(&submitted.name)
        };
        let changed = update(&mut client, changed).await;
        assert_eq!((changed.state(), changed.receive_time), (State::Returned, first));
        assert_eq!(changed.return_due_time, due);
        assert_eq!(receipts(&testing).await, [pb::Receipt { sequence: 4, ..receipt.clone() }]);

        testing.clock.advance(TimeDelta::hours(1));
        let again = submit(&mut client, &submitted.name).await.unwrap();
        assert_eq!(
            (again.state(), again.receive_time, again.revision),
            (State::Submitted, first, 2)
        );
        assert_eq!((again.return_due_time, &again.values), (None, &changed.values));
        let stands = pb::Receipt {
            sequence: 5,
            declared_cut_off_date: changed.declared_cut_off_date,
            return_time: None,
            return_due_time: None,
            ..receipt
        };
        assert_eq!(receipts(&testing).await, [stands]);
        let Payload::ReportSubmitted(event) = &told(&testing, 3).await[2] else { panic!() };
        assert_eq!((event.sequence, event.revision, event.receive_time), (5, 2, first));
        assert_eq!(event.declared_cut_off, "2026-05-10");
    }
}

#[tokio::test]
async fn a_receipt_declares_what_was_handed_over_last_before_the_report_was_sent_back() {
    for engine in ENGINES {
        let (testing, mut client, submitted) = handed_over(engine).await;
        let mut supervisor = crate::world::client(&testing, &["supervisor"]);
        let name = &submitted.name;
        for day in ["2026-05-10", "2026-05-11"] {
            send_back(&mut supervisor, name, "2026-11-25").await.unwrap();
            let cut_off = Some(field::pb_date(date(day)));
            update(&mut client, pb::Report { declared_cut_off_date: cut_off, ..may_of(name) })
                .await;
            submit(&mut client, name).await.unwrap();
        }
        send_back(&mut supervisor, name, "2026-11-25").await.unwrap();
        update(&mut client, may_of(name)).await;
        let receipt = receipts(&testing).await.remove(0);
        let declared = Some(field::pb_date(date("2026-05-11")));
        assert_eq!(receipt.declared_cut_off_date, declared, "{engine:?}");
    }
}

#[tokio::test]
async fn when_a_mended_report_was_received_may_be_asserted_and_changes_nothing_about_the_first_time()
 {
    let (testing, _, submitted) = handed_over(Engine::Sqlite).await;
    let mut everybody = client(&testing, &["importer", "supervisor"]);
    testing.clock.advance(TimeDelta::hours(3));
    send_back(&mut everybody, &submitted.name, "2026-11-25").await.unwrap();
    let at = Some(field::pb_time(now() + TimeDelta::hours(2)));
    let evidence = pb::ReceiptEvidence {
        kind: pb::receipt_evidence::Kind::Register.into(),
        reference: "57".to_owned(),
    };
    let request = pb::SubmitReportRequest {
        asserted_receive_time: at,
        receipt_evidence: Some(evidence.clone()),
        ..crate::world::submit_request(&submitted.name)
    };
    let again = everybody.submit_report(request).await.unwrap().into_inner();
    assert_eq!((again.receive_time, &again.receipt_evidence), (submitted.receive_time, &None));
    let acts = acts(&mut everybody, &submitted.name).await;
    assert_eq!((acts[2].act_time, &acts[2].receipt_evidence), (at, &Some(evidence)));
}

#[tokio::test]
async fn only_what_was_handed_over_is_taken_back_or_sent_back() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut everybody = client(&testing, &["reporter", "supervisor"]);
        let draft = create(&mut everybody, tri_qua(), may()).await.unwrap();
        let name = &draft.name;
        let refused = (Code::FailedPrecondition, "NOT_SUBMITTED".to_owned());
        let withdrawn = withdraw(&mut everybody, name).await.unwrap_err();
        assert_eq!(refusal(&withdrawn), refused);
        let returned = send_back(&mut everybody, name, "2026-11-25").await.unwrap_err();
        assert_eq!(refusal(&returned), refused);
        submit(&mut everybody, name).await.unwrap();
        send_back(&mut everybody, name, "2026-11-25").await.unwrap();
        let returned = send_back(&mut everybody, name, "2026-11-26").await.unwrap_err();
        assert_eq!(refusal(&returned), refused);
        // What was sent back can still be taken back.
        let withdrawn = withdraw(&mut everybody, name).await.unwrap();
        assert_eq!((withdrawn.state(), withdrawn.return_due_time), (State::Draft, None));
        assert_eq!(withdrawn.receive_time, None);
        assert_eq!(receipts(&testing).await, []);
    }
}

#[tokio::test]
async fn a_report_is_sent_back_to_today_at_the_earliest() {
    let (testing, _, submitted) = handed_over(Engine::Sqlite).await;
    let mut supervisor = client(&testing, &["supervisor"]);
    // The last second of the 22nd in Viet Nam, which is still the 22nd.
    testing.clock.set(zone::end_of(date("2026-11-22")) - TimeDelta::seconds(1));
    let refused = send_back(&mut supervisor, &submitted.name, "2026-11-21").await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::InvalidArgument, "RETURN_DUE_IN_PAST".to_owned()));
    assert_eq!(fields(&refused), ["due_date"]);
    let returned = send_back(&mut supervisor, &submitted.name, "2026-11-22").await.unwrap();
    let due = field::pb_time(zone::start_of(date("2026-11-23")));
    assert_eq!(returned.return_due_time, Some(due));
}

#[tokio::test]
async fn a_reason_is_given_and_a_day() {
    let (testing, mut own, submitted) = handed_over(Engine::Sqlite).await;
    let mut supervisor = client(&testing, &["supervisor"]);
    for (reason, refused) in [
        ("", "REQUIRED_FIELD_MISSING"),
        (" \n", "REQUIRED_FIELD_MISSING"),
        ("a\0", "INVALID_FIELD"),
        (&"ế".repeat(2001), "TOO_LONG"),
    ] {
        let reason = reason.to_owned();
        let request = pb::WithdrawReportRequest {
            reason: reason.clone(),
            ..withdraw_request(&submitted.name)
        };
        let withdrawn = own.withdraw_report(request).await.unwrap_err();
        let request =
            pb::ReturnReportRequest { reason, ..return_request(&submitted.name, "2026-11-25") };
        let returned = supervisor.return_report(request).await.unwrap_err();
        for status in [withdrawn, returned] {
            assert_eq!(refusal(&status), (Code::InvalidArgument, refused.to_owned()));
            assert_eq!(fields(&status), ["reason"]);
        }
    }
    for (due_date, refused) in [
        (None, "REQUIRED_FIELD_MISSING"),
        (Some(dunghan_proto::r#type::Date { year: 2026, month: 2, day: 29 }), "INVALID_FIELD"),
    ] {
        let request =
            pb::ReturnReportRequest { due_date, ..return_request(&submitted.name, "2026-11-25") };
        let status = supervisor.return_report(request).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, refused.to_owned()));
        assert_eq!(fields(&status), ["due_date"]);
    }
    let longest = "ế".repeat(2000);
    let request = pb::ReturnReportRequest {
        reason: longest.clone(),
        ..return_request(&submitted.name, "2026-11-25")
    };
    supervisor.return_report(request).await.unwrap();
    assert_eq!(acts(&mut supervisor, &submitted.name).await[1].reason, longest);
}

#[tokio::test]
async fn a_report_that_changed_since_it_was_read_is_neither_taken_back_nor_sent_back() {
    let (testing, mut own, submitted) = handed_over(Engine::Sqlite).await;
    let mut supervisor = client(&testing, &["supervisor"]);
    let stale = (Code::Aborted, "ETAG_MISMATCH".to_owned());
    let etag = "\"1\"".to_owned();
    let request =
        pb::WithdrawReportRequest { etag: etag.clone(), ..withdraw_request(&submitted.name) };
    assert_eq!(refusal(&own.withdraw_report(request).await.unwrap_err()), stale);
    let request = pb::ReturnReportRequest { etag, ..return_request(&submitted.name, "2026-11-25") };
    assert_eq!(refusal(&supervisor.return_report(request).await.unwrap_err()), stale);
    let request = pb::ReturnReportRequest {
        etag: submitted.etag,
        ..return_request(&submitted.name, "2026-11-25")
    };
    let returned = supervisor.return_report(request).await.unwrap().into_inner();
    let request =
        pb::WithdrawReportRequest { etag: returned.etag, ..withdraw_request(&submitted.name) };
    own.withdraw_report(request).await.unwrap();
}

#[tokio::test]
async fn a_report_is_sent_back_by_who_supervises_its_unit_or_its_regime() {
    let denied = Some((Code::PermissionDenied, "OUT_OF_SCOPE"));
    let no_role = Some((Code::PermissionDenied, "ROLE_MISSING"));
    let not_found = Some((Code::NotFound, "REPORT_NOT_FOUND"));
    let (testing, mut own, submitted) = handed_over(Engine::Sqlite).await;
    let absent = format!("{}/reports/{}", tri_qua(), uuid::Uuid::new_v4());
    for (grants, name, expected) in [
        (grant(Role::Supervisor, tri_qua()), &submitted.name, None),
        (grant(Role::Supervisor, bac_ninh()), &submitted.name, None),
        // A department receives reports from everywhere and is nobody's parent.
        ("supervisor@regimes/cds-month".to_owned(), &submitted.name, None),
        ("supervisor".to_owned(), &submitted.name, None),
        (grant(Role::Supervisor, gia_lai()), &submitted.name, denied),
        ("supervisor@regimes/other-month".to_owned(), &submitted.name, denied),
        (grant(Role::Reporter, tri_qua()), &submitted.name, no_role),
        ("reader@regimes/cds-month".to_owned(), &submitted.name, no_role),
        (grant(Role::Supervisor, tri_qua()), &absent, not_found),
        // Whoever has no right over the unit is not told whether there is such a report.
        ("supervisor@regimes/cds-month".to_owned(), &absent, denied),
    ] {
        let mut client = client(&testing, &[&grants]);
        let got = send_back(&mut client, name, "2026-11-25").await;
        match expected {
            None => {
                assert_eq!(got.unwrap().state(), State::Returned, "{grants}");
                submit(&mut own, name).await.unwrap();
            }
            Some((code, reason)) => {
                assert_eq!(refusal(&got.unwrap_err()), (code, reason.to_owned()), "{grants}");
            }
        }
    }
}

#[tokio::test]
async fn a_report_is_taken_back_by_its_own_unit() {
    let (testing, mut own, submitted) = handed_over(Engine::Sqlite).await;
    let denied = (Code::PermissionDenied, "OUT_OF_SCOPE");
    for (grants, refused) in [
        (grant(Role::Reporter, dinh_to()), denied),
        (grant(Role::Importer, binh_duong()), denied),
        // A role over a regime is for those who receive.
        ("reporter@regimes/cds-month".to_owned(), denied),
        (grant(Role::Supervisor, bac_ninh()), (Code::PermissionDenied, "ROLE_MISSING")),
    ] {
        let mut client = client(&testing, &[&grants]);
        let status = withdraw(&mut client, &submitted.name).await.unwrap_err();
        assert_eq!(refusal(&status), (refused.0, refused.1.to_owned()), "{grants}");
    }
    let absent = format!("{}/reports/{}", tri_qua(), uuid::Uuid::new_v4());
    let status = withdraw(&mut own, &absent).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::NotFound, "REPORT_NOT_FOUND".to_owned()));
    let mut above = client(&testing, &[&grant(Role::Reporter, bac_ninh())]);
    withdraw(&mut above, &submitted.name).await.unwrap();
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_and_acts_once() {
    for engine in ENGINES {
        let (testing, mut own, submitted) = handed_over(engine).await;
        let mut supervisor = client(&testing, &["supervisor"]);
        let request = pb::ReturnReportRequest {
            request_id: new_request_id(),
            ..return_request(&submitted.name, "2026-11-25")
        };
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let (mut client, request) = (supervisor.clone(), request.clone());
            calls.spawn(async move { client.return_report(request).await.unwrap().into_inner() });
        }
        let answers = calls.join_all().await;
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{engine:?}");
        let withdrawal = pb::WithdrawReportRequest {
            request_id: new_request_id(),
            ..withdraw_request(&submitted.name)
        };
        let withdrawn = own.withdraw_report(withdrawal.clone()).await.unwrap().into_inner();
        // Also when the report is no longer what it was then.
        let again = supervisor.return_report(request.clone()).await.unwrap().into_inner();
        assert_eq!(again, answers[0]);
        submit(&mut own, &submitted.name).await.unwrap();
        let again = own.withdraw_report(withdrawal.clone()).await.unwrap().into_inner();
        assert_eq!(again, withdrawn);
        assert_eq!(acts(&mut own, &submitted.name).await.len(), 4);
        assert_eq!(told(&testing, 4).await.len(), 4);
        let other = pb::ReturnReportRequest { reason: "Khác.".to_owned(), ..request };
        let refused = supervisor.return_report(other).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned()));
        let other = pb::WithdrawReportRequest { reason: "Khác.".to_owned(), ..withdrawal };
        let refused = own.withdraw_report(other).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned()));
    }
}

#[tokio::test]
async fn of_many_that_send_a_report_back_at_once_one_does() {
    for engine in ENGINES {
        let (testing, mut own, submitted) = handed_over(engine).await;
        let mut calls = tokio::task::JoinSet::new();
        for day in 23..30 {
            let mut supervisor = client(&testing, &["supervisor"]);
            let name = submitted.name.clone();
            calls.spawn(async move {
                send_back(&mut supervisor, &name, &format!("2026-11-{day}")).await
            });
        }
        let (won, lost): (Vec<_>, Vec<_>) =
            calls.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 6), "{engine:?}");
        for lost in lost {
            let (code, reason) = refusal(&lost.unwrap_err());
            assert!(
                ["NOT_SUBMITTED", "ETAG_MISMATCH"].contains(&reason.as_str()),
                "{code} {reason}"
            );
        }
        let acts = acts(&mut own, &submitted.name).await;
        assert_eq!(acts.len(), 2);
        assert_eq!(acts[1].return_due_time, won[0].as_ref().unwrap().return_due_time);
    }
}

#[tokio::test]
async fn a_report_that_asks_for_a_text_is_handed_over_with_one_and_without_figures() {
    let testing = start(Engine::Sqlite).await;
    let mut client = reporter(&testing, tri_qua());
    let text = |narrative: &str| pb::Report {
        values: Vec::new(),
        narrative: narrative.to_owned(),
        ..of("thematic", "2026-05-01--2026-05-31")
    };
    let with_figures = pb::Report { values: may().values, ..text("Lời.") };
    let refused = create(&mut client, tri_qua(), with_figures).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::InvalidArgument, "UNKNOWN_INDICATOR".to_owned()));
    let draft = create(&mut client, tri_qua(), text("")).await.unwrap();
    assert_eq!(
        (draft.form.as_str(), draft.findings[0].rule.as_str()),
        ("forms/text-1", "no_narrative")
    );
    let refused = submit(&mut client, &draft.name).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::FailedPrecondition, "BLOCKING_FINDINGS".to_owned()));
    assert_eq!(fields(&refused), ["narrative"]);
    update(&mut client, pb::Report { name: draft.name.clone(), ..text("Kết quả thực hiện.") })
        .await;
    submit(&mut client, &draft.name).await.unwrap();
}
