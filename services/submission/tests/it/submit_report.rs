use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::zone;
use dunghan_proto::events::ReportSubmitted;
use dunghan_proto::events::event::Payload;
use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, Front, Testing, fields, refusal};
use tonic::Code;

use crate::world::{
    Client, bac_ninh, binh_duong, client, create, date, grant, may, metadata, new_request_id, now,
    of, reporter, start, submit, submit_request, told, tri_qua, without_compliance,
};

/// What was told of hand-overs, and nothing else was.
async fn events(testing: &Testing) -> Vec<ReportSubmitted> {
    let submitted = told(testing, 1).await.into_iter().map(|payload| match payload {
        Payload::ReportSubmitted(submitted) => submitted,
        other => panic!("{other:?}"),
    });
    submitted.collect()
}

fn evidence() -> Option<pb::ReceiptEvidence> {
    Some(pb::ReceiptEvidence {
        kind: pb::receipt_evidence::Kind::DocumentSystem.into(),
        reference: "1234/SKHCN".to_owned(),
    })
}

fn asserting(name: &str, at: DateTime<Utc>) -> pb::SubmitReportRequest {
    pb::SubmitReportRequest {
        asserted_receive_time: Some(field::pb_time(at)),
        receipt_evidence: evidence(),
        ..submit_request(name)
    }
}

async fn drafted(engine: Engine) -> (Testing, Client, pb::Report) {
    let testing = start(engine).await;
    let mut client = reporter(&testing, tri_qua());
    let draft = create(&mut client, tri_qua(), may()).await.unwrap();
    (testing, client, draft)
}

#[tokio::test]
async fn a_report_is_received_at_the_servers_time_and_told_once() {
    for engine in ENGINES {
        let (testing, mut client, _) = drafted(engine).await;
        let report = pb::Report {
            declared_cut_off_date: Some(field::pb_date(date("2026-04-14"))),
            ..of("cds-month", "202604")
        };
        let draft = create(&mut client, tri_qua(), report).await.unwrap();
        testing.clock.advance(TimeDelta::hours(1));
        let received = now() + TimeDelta::hours(1);
        let report = submit(&mut client, &draft.name).await.unwrap();
        assert_eq!(report.state(), pb::report::State::Submitted);
        assert_eq!(report.receive_time, Some(field::pb_time(received)));
        assert_eq!((report.receipt_evidence.as_ref(), report.submitter.as_str()), (None, "tester"));
        assert_eq!((report.etag.as_str(), &report.values), ("\"2\"", &draft.values));
        assert_eq!((draft.revision, report.revision), (0, 1));

        testing.clock.advance(TimeDelta::hours(1));
        let refused = submit(&mut client, &draft.name).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::FailedPrecondition, "ALREADY_SUBMITTED".to_owned()));
        assert_eq!(metadata(&refused, "receive_time"), received.to_rfc3339());
        let told = ReportSubmitted {
            report: draft.name.clone(),
            regime: "regimes/cds-month".to_owned(),
            period: "202604".to_owned(),
            receive_time: Some(field::pb_time(received)),
            declared_cut_off: "2026-04-14".to_owned(),
            sequence: 2,
            revision: 1,
        };
        assert_eq!(events(&testing).await, [told]);
    }
}

#[tokio::test]
async fn a_report_is_handed_over_as_it_was_read() {
    let (_testing, mut client, draft) = drafted(Engine::Sqlite).await;
    let request =
        pb::SubmitReportRequest { etag: "\"7\"".to_owned(), ..submit_request(&draft.name) };
    let refused = client.submit_report(request).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::Aborted, "ETAG_MISMATCH".to_owned()));
    let request = pb::SubmitReportRequest { etag: draft.etag, ..submit_request(&draft.name) };
    client.submit_report(request).await.unwrap();
}

#[tokio::test]
async fn a_report_without_figures_is_not_taken() {
    let (testing, mut client, _) = drafted(Engine::Sqlite).await;
    let empty = pb::Report { values: Vec::new(), ..of("cds-month", "202604") };
    let draft = create(&mut client, tri_qua(), empty).await.unwrap();
    assert_eq!(draft.findings[0].severity(), pb::finding::Severity::Blocking);
    let refused = submit(&mut client, &draft.name).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::FailedPrecondition, "BLOCKING_FINDINGS".to_owned()));
    assert_eq!(fields(&refused), ["values"]);
    // Errors that do not block do not.
    let bare = pb::Report { document: None, ..of("cds-month", "202603") };
    let draft = create(&mut client, tri_qua(), bare).await.unwrap();
    assert_eq!(draft.findings.len(), 2);
    submit(&mut client, &draft.name).await.unwrap();
    assert_eq!(events(&testing).await.len(), 1);
}

#[tokio::test]
async fn an_importer_may_say_when_a_report_was_received_and_where() {
    for engine in ENGINES {
        let (testing, _, draft) = drafted(engine).await;
        let mut importer = client(&testing, &[&grant(Role::Importer, bac_ninh())]);
        let at = zone::start_of(date("2026-05-18")) + TimeDelta::hours(16);
        let report = importer.submit_report(asserting(&draft.name, at)).await.unwrap().into_inner();
        assert_eq!(report.receive_time, Some(field::pb_time(at)));
        assert_eq!(report.receipt_evidence, evidence());
        let request = pb::GetReportRequest { name: draft.name };
        assert_eq!(importer.get_report(request).await.unwrap().into_inner(), report);
        assert_eq!(events(&testing).await[0].receive_time, Some(field::pb_time(at)));
    }
}

#[tokio::test]
async fn nobody_else_may() {
    let (testing, _, draft) = drafted(Engine::Sqlite).await;
    let own = grant(Role::Reporter, tri_qua());
    let importer_elsewhere = grant(Role::Importer, binh_duong());
    for (grants, reason) in [
        (&[own.as_str()][..], "MAY_NOT_ASSERT_RECEIPT"),
        (&[&own, &importer_elsewhere], "MAY_NOT_ASSERT_RECEIPT"),
        (&[&importer_elsewhere], "OUT_OF_SCOPE"),
    ] {
        let mut client = client(&testing, grants);
        let refused = client.submit_report(asserting(&draft.name, now())).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::PermissionDenied, reason.to_owned()), "{grants:?}");
    }
}

#[tokio::test]
async fn an_asserted_time_is_past_within_the_period_and_rests_on_something() {
    let (testing, _, draft) = drafted(Engine::Sqlite).await;
    let mut importer = client(&testing, &["importer"]);
    let opens = zone::start_of(date("2026-04-15"));
    let tick = TimeDelta::microseconds(1);
    let request = asserting(&draft.name, now());
    let with = |evidence| pb::SubmitReportRequest { receipt_evidence: evidence, ..request.clone() };
    let of = |kind: pb::receipt_evidence::Kind, reference: &str| {
        with(Some(pb::ReceiptEvidence { kind: kind.into(), reference: reference.to_owned() }))
    };
    use pb::receipt_evidence::Kind;
    for (request, reason, field) in [
        (asserting(&draft.name, now() + tick), "RECEIPT_IN_FUTURE", "asserted_receive_time"),
        (asserting(&draft.name, opens - tick), "RECEIPT_BEFORE_PERIOD", "asserted_receive_time"),
        (with(None), "RECEIPT_WITHOUT_EVIDENCE", "receipt_evidence"),
        (of(Kind::Unspecified, "1"), "RECEIPT_WITHOUT_EVIDENCE", "receipt_evidence.kind"),
        (of(Kind::Register, " "), "RECEIPT_WITHOUT_EVIDENCE", "receipt_evidence.reference"),
        (of(Kind::Register, &"1".repeat(501)), "TOO_LONG", "receipt_evidence.reference"),
        (
            pb::SubmitReportRequest { asserted_receive_time: None, ..request.clone() },
            "REQUIRED_FIELD_MISSING",
            "asserted_receive_time",
        ),
        (
            pb::SubmitReportRequest {
                asserted_receive_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
                ..request.clone()
            },
            "INVALID_FIELD",
            "asserted_receive_time",
        ),
    ] {
        let refused = importer.submit_report(request).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::InvalidArgument, reason.to_owned()), "{field}");
        assert_eq!(fields(&refused), [field]);
    }
    importer.submit_report(asserting(&draft.name, opens)).await.unwrap();
}

#[tokio::test]
async fn permission_comes_before_existence() {
    let (_testing, mut own, draft) = drafted(Engine::Sqlite).await;
    let report = draft.name.rsplit_once('/').unwrap().1;
    for (name, refused) in [
        (
            format!("{}/reports/{}", tri_qua(), uuid::Uuid::new_v4()),
            (Code::NotFound, "REPORT_NOT_FOUND"),
        ),
        (format!("{}/reports/{report}", binh_duong()), (Code::PermissionDenied, "OUT_OF_SCOPE")),
        ("reports/1".to_owned(), (Code::InvalidArgument, "INVALID_FIELD")),
    ] {
        let status = submit(&mut own, &name).await.unwrap_err();
        assert_eq!(refusal(&status), (refused.0, refused.1.to_owned()), "{name}");
    }
}

#[tokio::test]
async fn of_many_at_once_one_hands_over() {
    for engine in ENGINES {
        let (testing, _, draft) = drafted(engine).await;
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let mut client = reporter(&testing, tri_qua());
            let name = draft.name.clone();
            calls.spawn(async move { submit(&mut client, &name).await });
        }
        let (won, lost): (Vec<_>, Vec<_>) =
            calls.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 7), "{engine:?}");
        for lost in lost {
            let refused = refusal(&lost.unwrap_err());
            assert_eq!(refused, (Code::FailedPrecondition, "ALREADY_SUBMITTED".to_owned()));
        }
        assert_eq!(events(&testing).await.len(), 1);
    }
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_also_at_once() {
    for engine in ENGINES {
        let (testing, mut client, draft) = drafted(engine).await;
        let request = pb::SubmitReportRequest {
            request_id: new_request_id(),
            etag: draft.etag.clone(),
            ..submit_request(&draft.name)
        };
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let mut client = reporter(&testing, tri_qua());
            let request = request.clone();
            calls.spawn(async move { client.submit_report(request).await.unwrap().into_inner() });
        }
        let answers = calls.join_all().await;
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{engine:?}");
        testing.clock.advance(TimeDelta::hours(20));
        let again = client.submit_report(request.clone()).await.unwrap().into_inner();
        assert_eq!(again, answers[0]);
        assert_eq!(events(&testing).await.len(), 1);
        let other = pb::SubmitReportRequest { etag: String::new(), ..request };
        let refused = client.submit_report(other).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned()));
    }
}

#[tokio::test]
async fn handing_over_needs_no_other_service_than_the_registry() {
    let (testing, _, draft) = drafted(Engine::Sqlite).await;
    let place = testing.stop().await;
    let testing = without_compliance(place, &Front::new()).await;
    let mut client = reporter(&testing, tri_qua());
    let report = submit(&mut client, &draft.name).await.unwrap();
    assert_eq!(report.state(), pb::report::State::Submitted);
}
