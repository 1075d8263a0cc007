//! `SubmitNilReport`: that nothing occurred, handed over in one call.

use chrono::TimeDelta;
use dunghan_calendar::zone;
use dunghan_proto::events::event::Payload;
use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::report::State;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, Testing, fields, refusal};
use tonic::{Code, Status};

use crate::attachments::{detach, download, files_of_reporter, on_report, pdf, upload};
use crate::world::{
    Client, acts, bac_ninh, binh_duong, client, count, create, date, gia_lai, grant, may,
    new_request_id, now, nowhere, reporter, send_back, start, submit, told, tri_qua, withdraw,
};

fn nil_request() -> pb::SubmitNilReportRequest {
    pb::SubmitNilReportRequest {
        parent: tri_qua().to_string(),
        regime: "regimes/cds-month".to_owned(),
        period: "202605".to_owned(),
        document: may().document,
        ..pb::SubmitNilReportRequest::default()
    }
}

async fn nil(client: &mut Client) -> Result<pb::Report, Status> {
    Ok(client.submit_nil_report(nil_request()).await?.into_inner())
}

async fn update(client: &mut Client, name: &str, values: Vec<pb::Value>) -> pb::Report {
    let report = pb::Report { name: name.to_owned(), values, ..pb::Report::default() };
    let paths = vec!["values".to_owned()];
    let update_mask = Some(prost_types::FieldMask { paths });
    let request = pb::UpdateReportRequest { report: Some(report), update_mask };
    client.update_report(request).await.unwrap().into_inner()
}

async fn received(testing: &Testing) -> Vec<pb::Receipt> {
    let request = pb::BatchGetReceiptsRequest {
        regime: "regimes/cds-month".to_owned(),
        period: "202605".to_owned(),
        units: vec![tri_qua().to_string()],
    };
    let mut service = client(testing, &["service"]);
    service.batch_get_receipts(request).await.unwrap().into_inner().receipts
}

#[tokio::test]
async fn that_nothing_occurred_is_a_report_that_is_there_at_once() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut client = reporter(&testing, tri_qua());
        let cut_off = Some(field::pb_date(date("2026-05-14")));
        let request =
            pb::SubmitNilReportRequest { declared_cut_off_date: cut_off, ..nil_request() };
        let report = client.submit_nil_report(request).await.unwrap().into_inner();
        assert!(report.nil && report.values.is_empty() && report.narrative.is_empty());
        assert_eq!((report.state(), report.revision), (State::Submitted, 1), "{engine:?}");
        assert_eq!((&report.document, report.declared_cut_off_date), (&may().document, cut_off));
        assert_eq!(report.receive_time, Some(field::pb_time(now())));
        let request = pb::GetReportRequest { name: report.name.clone() };
        assert_eq!(client.get_report(request).await.unwrap().into_inner(), report);
        let found = acts(&mut client, &report.name).await;
        assert_eq!((found.len(), found[0].report.as_ref()), (1, Some(&report)));
        assert_eq!(received(&testing).await[0].report, report.name);
        let Payload::ReportSubmitted(event) = &told(&testing, 1).await[0] else { panic!() };
        assert_eq!((event.report.as_str(), event.revision), (report.name.as_str(), 1));
        assert_eq!(event.sequence, received(&testing).await[0].sequence);

        let again = nil(&mut client).await.unwrap_err();
        assert_eq!(refusal(&again), (Code::FailedPrecondition, "ALREADY_SUBMITTED".to_owned()));
    }
}

#[tokio::test]
async fn it_takes_the_place_of_a_draft_and_of_what_was_sent_back() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut client = reporter(&testing, tri_qua());
        let draft = create(&mut client, tri_qua(), may()).await.unwrap();
        let report = nil(&mut client).await.unwrap();
        assert_eq!((&report.name, report.nil, report.revision), (&draft.name, true, 1));
        assert!(report.values.is_empty() && report.narrative.is_empty(), "{engine:?}");
        assert_eq!(report.create_time, draft.create_time);

        // Sent back, it becomes an ordinary one with the first figure, and nothing again.
        let mut supervisor = crate::world::client(&testing, &["supervisor"]);
        testing.clock.advance(TimeDelta::hours(1));
        let back = send_back(&mut supervisor, &report.name, "2026-11-25").await.unwrap();
        assert!(back.nil);
        let still = update(&mut client, &report.name, Vec::new()).await;
        assert!(still.nil);
        let changed = update(&mut client, &report.name, vec![count("portal_posts", 5)]).await;
        assert!(!changed.nil && changed.state() == State::Returned);
        let again = nil(&mut client).await.unwrap();
        assert!(again.nil && again.values.is_empty());
        assert_eq!((again.revision, again.receive_time), (2, report.receive_time));

        // Taken back, it is a draft that says that nothing occurred, and may be handed over so.
        let draft = withdraw(&mut client, &report.name).await.unwrap();
        assert!(draft.nil);
        let changed = update(&mut client, &report.name, vec![count("portal_posts", 5)]).await;
        assert!(!changed.nil);
        let changed = submit(&mut client, &report.name).await.unwrap();
        assert!(!changed.nil && changed.revision == 3);
        let kept: Vec<_> = acts(&mut client, &report.name).await;
        let kept: Vec<_> =
            kept.iter().filter_map(|act| act.report.as_ref()).map(|it| it.nil).collect();
        assert_eq!(kept, [true, true, false]);
    }
}

#[tokio::test]
async fn it_keeps_the_files_of_the_draft_and_so_does_its_revision() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let (mut files, mut client) = (files_of_reporter(&testing), reporter(&testing, tri_qua()));
        let draft = create(&mut client, tri_qua(), may()).await.unwrap();
        let bytes = pdf(10);
        let attachment = upload(&mut files, &draft.name, "a.pdf", &bytes).await.unwrap();
        let kept = [on_report(&attachment)];
        let report = nil(&mut client).await.unwrap();
        assert!(report.nil && report.values.is_empty(), "{engine:?}");
        assert_eq!(
            (report.name.as_str(), report.attached_files.as_slice()),
            (draft.name.as_str(), &kept[..])
        );
        let request = pb::GetReportRequest { name: draft.name.clone() };
        assert_eq!(client.get_report(request).await.unwrap().into_inner(), report);
        // As it was: nobody has taken it off.
        let as_it_was = (attachment.clone(), bytes);
        assert_eq!(download(&mut files, &attachment.name).await.unwrap(), as_it_was);

        // Taken back, it has the file still, and its revision has it also once the draft has not.
        let taken_back = withdraw(&mut client, &report.name).await.unwrap();
        assert_eq!(taken_back.attached_files, kept);
        assert_eq!(download(&mut files, &attachment.name).await.unwrap(), as_it_was);
        detach(&mut files, &attachment.name).await.unwrap();
        let again = nil(&mut client).await.unwrap();
        assert_eq!((again.revision, again.attached_files.len()), (2, 0));
        let found = acts(&mut client, &report.name).await;
        let revisions = found.iter().filter_map(|act| act.report.as_ref());
        let revisions: Vec<_> = revisions.map(|it| it.attached_files.clone()).collect();
        assert_eq!(revisions, [kept.to_vec(), Vec::new()]);
        assert_eq!(download(&mut files, &attachment.name).await.unwrap().1, as_it_was.1);
    }
}

#[tokio::test]
async fn an_importer_may_say_when_it_was_received() {
    let testing = start(Engine::Sqlite).await;
    let at = zone::start_of(date("2026-05-18")) + TimeDelta::hours(16);
    let request = pb::SubmitNilReportRequest {
        asserted_receive_time: Some(field::pb_time(at)),
        receipt_evidence: Some(pb::ReceiptEvidence {
            kind: pb::receipt_evidence::Kind::Register.into(),
            reference: "12".to_owned(),
        }),
        ..nil_request()
    };
    let refused = reporter(&testing, tri_qua()).submit_nil_report(request.clone()).await;
    let refused = refusal(&refused.unwrap_err());
    assert_eq!(refused, (Code::PermissionDenied, "MAY_NOT_ASSERT_RECEIPT".to_owned()));
    let mut importer = client(&testing, &[&grant(Role::Importer, bac_ninh())]);
    let ahead = Some(field::pb_time(now() + TimeDelta::microseconds(1)));
    let early = pb::SubmitNilReportRequest { asserted_receive_time: ahead, ..request.clone() };
    let refused = importer.submit_nil_report(early).await.unwrap_err();
    assert_eq!(refusal(&refused).1, "RECEIPT_IN_FUTURE");
    // Nothing was begun by what was refused.
    assert_eq!(received(&testing).await, []);
    let report = importer.submit_nil_report(request).await.unwrap().into_inner();
    assert_eq!(report.receive_time, Some(field::pb_time(at)));
    assert_eq!((report.etag.as_str(), report.revision), ("\"2\"", 1));
}

#[tokio::test]
async fn what_is_wrong_is_told_by_its_own_field() {
    let testing = start(Engine::Sqlite).await;
    let mut client = client(&testing, &["reporter"]);
    let document =
        |number: &str| Some(pb::Document { number: number.to_owned(), ..pb::Document::default() });
    let of = |change: &dyn Fn(&mut pb::SubmitNilReportRequest)| {
        let mut request = nil_request();
        change(&mut request);
        request
    };
    use Code::{FailedPrecondition, InvalidArgument, NotFound};
    for (request, code, reason, field) in [
        (of(&|it| it.parent.clear()), InvalidArgument, "INVALID_FIELD", "parent"),
        (of(&|it| it.regime.clear()), InvalidArgument, "REQUIRED_FIELD_MISSING", "regime"),
        (
            of(&|it| it.regime = "regimes/absent".into()),
            InvalidArgument,
            "UNKNOWN_REGIME",
            "regime",
        ),
        (of(&|it| it.period = "tháng 5".into()), InvalidArgument, "INVALID_PERIOD", "period"),
        (of(&|it| it.period = "2026".into()), InvalidArgument, "PERIOD_NOT_OF_REGIME", "period"),
        (of(&|it| it.period = "202701".into()), InvalidArgument, "PERIOD_NOT_OPEN", "period"),
        (
            of(&|it| it.document = document(&"1".repeat(101))),
            InvalidArgument,
            "TOO_LONG",
            "document.number",
        ),
        (
            of(&|it| it.submitting_unit = nowhere().to_string()),
            InvalidArgument,
            "UNKNOWN_UNIT",
            "submitting_unit",
        ),
        (
            of(&|it| it.submitting_unit = gia_lai().to_string()),
            InvalidArgument,
            "NOT_ITS_AGENCY",
            "submitting_unit",
        ),
        (of(&|it| it.parent = nowhere().to_string()), NotFound, "UNKNOWN_UNIT", ""),
        (
            of(&|it| {
                (it.parent, it.period) = (crate::world::old_tri_qua().to_string(), "202605".into())
            }),
            FailedPrecondition,
            "UNIT_NOT_VALID",
            "",
        ),
        (of(&|it| it.request_id = "x".into()), InvalidArgument, "INVALID_FIELD", "request_id"),
    ] {
        let refused = client.submit_nil_report(request).await.unwrap_err();
        assert_eq!(refusal(&refused), (code, reason.to_owned()), "{field}: {refused:?}");
        if !field.is_empty() {
            assert_eq!(fields(&refused), [field]);
            assert!(refused.message().starts_with(field), "{}", refused.message());
        }
        assert!(!refused.message().contains("report."), "{}", refused.message());
    }
    let mut elsewhere = reporter(&testing, binh_duong());
    let refused = nil(&mut elsewhere).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned()));
    assert_eq!(received(&testing).await, []);
}

#[tokio::test]
async fn the_same_request_is_answered_once_also_at_once_and_beside_somebody_who_begins_the_report()
{
    for engine in ENGINES {
        let testing = start(engine).await;
        let request = pb::SubmitNilReportRequest { request_id: new_request_id(), ..nil_request() };
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let mut client = reporter(&testing, tri_qua());
            let request = request.clone();
            calls.spawn(async move {
                client.submit_nil_report(request).await.map(|it| Some(it.into_inner()))
            });
        }
        for _ in 0..2 {
            let mut client = reporter(&testing, tri_qua());
            calls.spawn(async move {
                // Before it, after it, or refused: either way it is in nobody's way.
                let begun = create(&mut client, tri_qua(), may()).await;
                if let Err(refused) = begun {
                    assert_eq!(refusal(&refused).1, "REPORT_EXISTS");
                }
                Ok(None)
            });
        }
        let answers: Vec<_> = calls.join_all().await.into_iter().map(Result::unwrap).collect();
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        assert_eq!(answers.len(), 6);
        assert!(answers.iter().all(|it| it == &answers[0] && it.nil), "{engine:?}");
        assert_eq!(told(&testing, 1).await.len(), 1);
        let mut client = reporter(&testing, tri_qua());
        assert_eq!(acts(&mut client, &answers[0].name).await.len(), 1);
    }
}
