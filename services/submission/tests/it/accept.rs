//! `AcceptReport`: level by level, by different people, and what that leaves as it was.

use chrono::TimeDelta;
use dunghan_proto::events::ReportAccepted;
use dunghan_proto::events::event::Payload;
use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::report::State;
use dunghan_proto::submission::report_act::Kind;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, Testing, fields, refusal};
use tonic::Code;

use crate::world::{
    Client, accept, accept_request, acts, bac_ninh, binh_duong, client, create, gia_lai, grant,
    may, metadata, new_request_id, now, of, reporter, send_back, somebody, start, submit,
    submit_request, told, tri_qua, withdraw,
};

const NONE: &str = "regimes/cds-month";
const ONE: &str = "regimes/review-one";
const TWO: &str = "regimes/review-two";

async fn handed_over(testing: &Testing, regime: &str) -> (Client, pb::Report) {
    let mut lan = somebody(testing, "lan", &[&grant(Role::Reporter, tri_qua())]);
    let report = pb::Report { regime: regime.to_owned(), ..may() };
    let draft = create(&mut lan, tri_qua(), report).await.unwrap();
    let report = submit(&mut lan, &draft.name).await.unwrap();
    (lan, report)
}

fn supervisor(testing: &Testing, who: &str) -> Client {
    somebody(testing, who, &[&grant(Role::Supervisor, bac_ninh())])
}

async fn receipt(testing: &Testing, regime: &str) -> pb::Receipt {
    let request = pb::BatchGetReceiptsRequest {
        regime: regime.to_owned(),
        period: "202605".to_owned(),
        units: vec![tri_qua().to_string()],
    };
    let mut service = client(testing, &["service"]);
    let receipts = service.batch_get_receipts(request).await.unwrap().into_inner().receipts;
    let [receipt] = receipts.try_into().unwrap();
    receipt
}

async fn listed(testing: &Testing, states: &[State]) -> usize {
    let request = pb::ListReportsRequest {
        states: states.iter().map(|state| (*state).into()).collect(),
        ..pb::ListReportsRequest::default()
    };
    let mut reader = client(testing, &["reader"]);
    reader.list_reports(request).await.unwrap().into_inner().reports.len()
}

#[tokio::test]
async fn two_levels_accept_one_after_the_other_and_the_report_stays_as_it_was() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let (_, submitted) = handed_over(&testing, TWO).await;
        assert_eq!((submitted.review_levels, submitted.acceptances.len()), (2, 0));
        let before = receipt(&testing, TWO).await;
        let (mut report, mut acceptances) = (submitted.clone(), Vec::new());
        for (level, who) in [(1, "hoa"), (2, "minh")] {
            testing.clock.advance(TimeDelta::hours(1));
            let at = Some(field::pb_time(now() + TimeDelta::hours(i64::from(level))));
            report = accept(&mut supervisor(&testing, who), &report).await.unwrap();
            acceptances.push(pb::Acceptance {
                level,
                author: who.to_owned(),
                accept_time: at,
                comment: "Số liệu khớp với hồ sơ.".to_owned(),
            });
            let state = if level == 2 { State::Accepted } else { State::Submitted };
            let expected = pb::Report {
                state: state.into(),
                acceptances: acceptances.clone(),
                etag: format!("\"{}\"", level + 2),
                update_time: at,
                ..submitted.clone()
            };
            assert_eq!(report, expected, "{engine:?}");
            let mut reader = client(&testing, &["reader"]);
            let request = pb::GetReportRequest { name: report.name.clone() };
            assert_eq!(reader.get_report(request).await.unwrap().into_inner(), expected);
            let receipt = receipt(&testing, TWO).await;
            let sequence = i64::from(level) + 2;
            assert_eq!(receipt, pb::Receipt { sequence, ..before.clone() });
            let event = ReportAccepted {
                report: report.name.clone(),
                regime: TWO.to_owned(),
                period: "202605".to_owned(),
                sequence,
                review_level: level,
                accepted: level == 2,
                accept_time: at,
            };
            let events = usize::try_from(level).unwrap() + 1;
            let last = told(&testing, events).await.pop();
            assert_eq!(last, Some(Payload::ReportAccepted(event)));
            let accepted = usize::from(level == 2);
            assert_eq!(listed(&testing, &[State::Accepted]).await, accepted);
            assert_eq!(listed(&testing, &[State::Submitted]).await, 1 - accepted);
            assert_eq!(listed(&testing, &[State::Submitted, State::Accepted]).await, 1);
        }
        let mut reader = client(&testing, &["reader"]);
        let acts = acts(&mut reader, &report.name).await;
        let done: Vec<_> = acts
            .iter()
            .map(|act| (act.kind(), act.author.as_str(), act.revision, act.review_level))
            .collect();
        let expected = [
            (Kind::Submitted, "lan", 1, 0),
            (Kind::Accepted, "hoa", 1, 1),
            (Kind::Accepted, "minh", 1, 2),
        ];
        assert_eq!(done, expected, "{engine:?}");
        assert_eq!(acts[0].report.as_ref(), Some(&submitted));
        assert_eq!(acts[1].reason, "Số liệu khớp với hồ sơ.");
    }
}

#[tokio::test]
async fn whoever_supervises_the_unit_or_the_regime_accepts_and_nobody_else() {
    let testing = start(Engine::Sqlite).await;
    for (grants, refused) in [
        (vec![grant(Role::Reporter, tri_qua())], Some("ROLE_MISSING")),
        (vec!["reader".to_owned(), "importer".to_owned()], Some("ROLE_MISSING")),
        (vec![grant(Role::Supervisor, gia_lai())], Some("OUT_OF_SCOPE")),
        (vec![grant(Role::Supervisor, binh_duong())], Some("OUT_OF_SCOPE")),
        (vec!["supervisor@regimes/review-two".to_owned()], Some("OUT_OF_SCOPE")),
        (vec!["supervisor@regimes/review-one".to_owned()], None),
        (vec![grant(Role::Supervisor, bac_ninh())], None),
        (vec![grant(Role::Supervisor, tri_qua())], None),
        (vec!["supervisor".to_owned()], None),
    ] {
        let (mut lan, report) = match listed(&testing, &[]).await {
            0 => handed_over(&testing, ONE).await,
            _ => {
                let mut lan = somebody(&testing, "lan", &[&grant(Role::Reporter, tri_qua())]);
                let request = pb::ListReportsRequest::default();
                let page = lan.list_reports(request).await.unwrap().into_inner();
                let name = page.reports[0].name.clone();
                let report = lan.get_report(pb::GetReportRequest { name }).await.unwrap();
                (lan, report.into_inner())
            }
        };
        let grants_of: Vec<_> = grants.iter().map(String::as_str).collect();
        let answer = accept(&mut somebody(&testing, "hoa", &grants_of), &report).await;
        match refused {
            Some(reason) => {
                let refused = refusal(&answer.unwrap_err());
                assert_eq!(refused, (Code::PermissionDenied, reason.to_owned()), "{grants:?}");
            }
            None => {
                assert_eq!(answer.unwrap().state(), State::Accepted, "{grants:?}");
                // Back to where it was.
                let mut chi = supervisor(&testing, "chi");
                send_back(&mut chi, &report.name, "2026-11-25").await.unwrap();
                submit(&mut lan, &report.name).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_accepted_is_refused_and_says_why() {
    let testing = start(Engine::Sqlite).await;
    let (mut lan, report) = handed_over(&testing, TWO).await;
    let name = report.name.clone();
    let mut hoa = supervisor(&testing, "hoa");
    let request = accept_request(&report);
    for (request, code, reason, field) in [
        (
            pb::AcceptReportRequest { etag: String::new(), ..request.clone() },
            Code::InvalidArgument,
            "REQUIRED_FIELD_MISSING",
            Some("etag"),
        ),
        (
            pb::AcceptReportRequest { comment: "ế".repeat(2001), ..request.clone() },
            Code::InvalidArgument,
            "TOO_LONG",
            Some("comment"),
        ),
        (
            pb::AcceptReportRequest { comment: "\0".to_owned(), ..request.clone() },
            Code::InvalidArgument,
            "INVALID_FIELD",
            Some("comment"),
        ),
        (
            pb::AcceptReportRequest { etag: "\"1\"".to_owned(), ..request.clone() },
            Code::Aborted,
            "ETAG_MISMATCH",
            None,
        ),
        (
            pb::AcceptReportRequest { name: "reports/1".to_owned(), ..request.clone() },
            Code::InvalidArgument,
            "INVALID_FIELD",
            Some("name"),
        ),
        (
            pb::AcceptReportRequest {
                name: format!("{}/reports/{}", tri_qua(), uuid::Uuid::nil()),
                ..request.clone()
            },
            Code::NotFound,
            "REPORT_NOT_FOUND",
            None,
        ),
    ] {
        let refused = hoa.accept_report(request).await.unwrap_err();
        assert_eq!(refusal(&refused), (code, reason.to_owned()));
        if let Some(field) = field {
            assert_eq!(fields(&refused), [field]);
        }
    }
    let precondition = |reason: &str| (Code::FailedPrecondition, reason.to_owned());

    // Who handed it over, whatever they may besides; who accepted it.
    let mut both = supervisor(&testing, "lan");
    let refused = accept(&mut both, &report).await.unwrap_err();
    assert_eq!(refusal(&refused), precondition("SAME_REVIEWER"));
    assert_eq!(metadata(&refused, "report"), name);
    let longest = pb::AcceptReportRequest { comment: "ế".repeat(2000), ..request };
    let once = hoa.accept_report(longest).await.unwrap().into_inner();
    let refused = accept(&mut hoa, &once).await.unwrap_err();
    assert_eq!(refusal(&refused), precondition("SAME_REVIEWER"));
    let mut minh = supervisor(&testing, "minh");
    let twice = accept(&mut minh, &once).await.unwrap();
    let refused = accept(&mut supervisor(&testing, "chi"), &twice).await.unwrap_err();
    assert_eq!(refusal(&refused), precondition("ALREADY_ACCEPTED"));
    let refused = withdraw(&mut lan, &name).await.unwrap_err();
    assert_eq!(refusal(&refused), precondition("ALREADY_ACCEPTED"));
    let refused = submit(&mut lan, &name).await.unwrap_err();
    assert_eq!(refusal(&refused), precondition("ALREADY_SUBMITTED"));

    // What is not handed over, and what nobody is to review.
    let draft = create(&mut lan, tri_qua(), of("review-one", "202604")).await.unwrap();
    let refused = accept(&mut hoa, &draft).await.unwrap_err();
    assert_eq!(refusal(&refused), precondition("NOT_SUBMITTED"));
    submit(&mut lan, &draft.name).await.unwrap();
    let back = send_back(&mut hoa, &draft.name, "2026-11-25").await.unwrap();
    let refused = accept(&mut hoa, &back).await.unwrap_err();
    assert_eq!(refusal(&refused), precondition("NOT_SUBMITTED"));
    let (_, unreviewed) = handed_over(&testing, NONE).await;
    let refused = accept(&mut hoa, &unreviewed).await.unwrap_err();
    assert_eq!(refusal(&refused), precondition("NO_REVIEW_ASKED"));
}

#[tokio::test]
async fn until_the_last_level_a_unit_takes_its_report_back_and_what_was_accepted_is_void() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let (mut lan, report) = handed_over(&testing, TWO).await;
        let once = accept(&mut supervisor(&testing, "hoa"), &report).await.unwrap();
        testing.clock.advance(TimeDelta::hours(1));
        let draft = withdraw(&mut lan, &report.name).await.unwrap();
        assert_eq!((draft.state(), draft.acceptances.len()), (State::Draft, 0), "{engine:?}");
        let Some(Payload::ReportWithdrawn(event)) = told(&testing, 3).await.pop() else { panic!() };
        assert_eq!(event.sequence, 4);
        let again = submit(&mut lan, &report.name).await.unwrap();
        assert_eq!((again.acceptances.len(), again.revision), (0, 2));
        let time = field::pb_time(now() + TimeDelta::hours(1));
        assert_eq!(again.receive_time, Some(time));
        // Whoever accepted what was taken back may accept what is there now.
        let anew = accept(&mut supervisor(&testing, "hoa"), &again).await.unwrap();
        assert_eq!(anew.acceptances[0].level, 1);
        let kinds: Vec<_> = acts(&mut lan, &report.name)
            .await
            .iter()
            .map(|act| (act.kind(), act.revision))
            .collect();
        let expected = [
            (Kind::Submitted, 1),
            (Kind::Accepted, 1),
            (Kind::Withdrawn, 1),
            (Kind::Submitted, 2),
            (Kind::Accepted, 2),
        ];
        assert_eq!(kinds, expected);
        let stale = accept(&mut supervisor(&testing, "minh"), &once).await.unwrap_err();
        assert_eq!(refusal(&stale).1, "ETAG_MISMATCH");
    }
}

#[tokio::test]
async fn what_was_accepted_is_sent_back_and_reviewed_anew_and_stays_received_when_it_was() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let (mut lan, report) = handed_over(&testing, ONE).await;
        let mut hoa = supervisor(&testing, "hoa");
        accept(&mut hoa, &report).await.unwrap();
        testing.clock.advance(TimeDelta::hours(1));
        let back = send_back(&mut hoa, &report.name, "2026-11-25").await.unwrap();
        assert_eq!((back.state(), back.acceptances.len()), (State::Returned, 0), "{engine:?}");
        assert_eq!((back.receive_time, back.etag.as_str()), (report.receive_time, "\"4\""));
        let again = submit(&mut lan, &report.name).await.unwrap();
        assert_eq!((again.state(), again.acceptances.len()), (State::Submitted, 0));
        assert_eq!(again.receive_time, report.receive_time);
        let accepted = accept(&mut hoa, &again).await.unwrap();
        assert_eq!((accepted.state(), accepted.revision), (State::Accepted, 2));
        assert_eq!(accepted.receive_time, report.receive_time);
        let found = acts(&mut lan, &report.name).await;
        assert_eq!(found.len(), 5);
        assert_eq!(found[0].report.as_ref(), Some(&report));
        assert_eq!(found[1].review_level, 1);
    }
}

#[tokio::test]
async fn the_same_acceptance_twice_is_one_and_of_many_at_once_each_level_has_its_own() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let (_, report) = handed_over(&testing, TWO).await;
        let request =
            pb::AcceptReportRequest { request_id: new_request_id(), ..accept_request(&report) };
        let mut hoa = supervisor(&testing, "hoa");
        let once = hoa.accept_report(request.clone()).await.unwrap().into_inner();
        assert_eq!(hoa.accept_report(request).await.unwrap().into_inner(), once, "{engine:?}");

        let mut calls = tokio::task::JoinSet::new();
        for who in 0..6 {
            let mut client = supervisor(&testing, &format!("người {who}"));
            let once = once.clone();
            calls.spawn(async move { accept(&mut client, &once).await });
        }
        let (won, lost): (Vec<_>, Vec<_>) =
            calls.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 5), "{engine:?}");
        for lost in lost {
            let refused = refusal(&lost.unwrap_err());
            assert_eq!(refused, (Code::Aborted, "ETAG_MISMATCH".to_owned()));
        }
        assert_eq!(acts(&mut hoa, &report.name).await.len(), 3);
        assert_eq!(told(&testing, 3).await.len(), 3);
    }
}

#[tokio::test]
async fn without_an_etag_what_is_there_by_then_is_handed_over_or_taken_back() {
    // Somebody who reads and writes in between does not make a request fail that did not ask for that.
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut lan = reporter(&testing, tri_qua());
        let draft = create(&mut lan, tri_qua(), may()).await.unwrap();
        let mut calls = tokio::task::JoinSet::new();
        for edit in 0..6 {
            let mut client = reporter(&testing, tri_qua());
            let (name, etag) = (draft.name.clone(), String::new());
            let narrative = format!("Lần {edit}");
            let report = pb::Report { name, etag, narrative, ..may() };
            calls.spawn(async move {
                let request = pb::UpdateReportRequest { report: Some(report), update_mask: None };
                client.update_report(request).await.map(|_| ())
            });
        }
        let answers = calls.join_all().await;
        assert!(answers.iter().all(Result::is_ok), "{engine:?} {answers:?}");
        let report = lan.submit_report(submit_request(&draft.name)).await.unwrap().into_inner();
        assert_eq!(report.etag, "\"8\"");
    }
}
