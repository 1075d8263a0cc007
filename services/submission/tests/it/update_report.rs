use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, Testing, fields, refusal};
use prost_types::FieldMask;
use tonic::{Code, Status};

use crate::world::{
    Client, binh_duong, client, count, create, date, grant, may, metadata, nowhere, reporter,
    start, submit, tri_qua,
};

async fn update(
    client: &mut Client,
    report: pb::Report,
    paths: &[&str],
) -> Result<pb::Report, Status> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let request =
        pb::UpdateReportRequest { report: Some(report), update_mask: Some(FieldMask { paths }) };
    Ok(client.update_report(request).await?.into_inner())
}

async fn drafted(engine: Engine) -> (Testing, Client, pb::Report) {
    let testing = start(engine).await;
    let mut client = reporter(&testing, tri_qua());
    let draft = create(&mut client, tri_qua(), may()).await.unwrap();
    (testing, client, draft)
}

#[tokio::test]
async fn only_what_the_mask_names_is_changed_and_checked_anew() {
    for engine in ENGINES {
        let (testing, mut client, draft) = drafted(engine).await;
        testing.clock.advance(chrono::TimeDelta::minutes(1));
        let other = pb::Report {
            name: draft.name.clone(),
            regime: "regimes/other-month".to_owned(),
            period: "202604".to_owned(),
            document: None,
            values: vec![count("portal_visits", 9)],
            narrative: "Khác".to_owned(),
            declared_cut_off_date: Some(field::pb_date(date("2026-05-15"))),
            ..pb::Report::default()
        };
        let updated = update(&mut client, other.clone(), &["narrative"]).await.unwrap();
        assert_eq!(updated.narrative, "Khác");
        assert_eq!(updated.etag, "\"2\"");
        assert_eq!((&updated.values, &updated.document), (&draft.values, &draft.document));
        assert_eq!((&updated.regime, &updated.period), (&draft.regime, &draft.period));
        assert_ne!(updated.update_time, draft.update_time);
        assert_eq!(updated.create_time, draft.create_time);

        let updated =
            update(&mut client, other.clone(), &["values", "declared_cut_off_date"]).await.unwrap();
        assert_eq!(updated.values[0].indicator, "portal_visits");
        assert_eq!(updated.findings[0].rule, "window_mismatch");
        assert_eq!(updated.document, draft.document);

        let updated = update(&mut client, other.clone(), &["*"]).await.unwrap();
        let rules: Vec<_> = updated.findings.iter().map(|f| f.rule.as_str()).collect();
        assert_eq!(rules, ["document.number_missing", "document.date_missing", "window_mismatch"]);

        let empty = pb::Report { name: draft.name.clone(), ..pb::Report::default() };
        let updated = update(&mut client, empty, &[]).await.unwrap();
        assert_eq!((updated.values.len(), updated.narrative.as_str()), (0, ""));
        assert_eq!(updated.findings[0].severity(), pb::finding::Severity::Blocking);
        assert_eq!((&updated.regime, updated.etag.as_str()), (&draft.regime, "\"5\""));
        let request = pb::GetReportRequest { name: draft.name };
        assert_eq!(client.get_report(request).await.unwrap().into_inner(), updated);
    }
}

#[tokio::test]
async fn a_mask_names_what_can_be_changed() {
    let (_testing, mut client, draft) = drafted(Engine::Sqlite).await;
    for paths in [
        &["state"][..],
        &["regime"],
        &["document.number"],
        &["narrative", "*"],
        &["receive_time"],
        &[""],
    ] {
        let refused = update(&mut client, draft.clone(), paths).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::InvalidArgument, "INVALID_UPDATE_MASK".to_owned()));
        assert_eq!(fields(&refused), ["update_mask"], "{paths:?}");
    }
}

#[tokio::test]
async fn a_bad_field_is_refused_where_the_mask_names_it() {
    let (_testing, mut client, draft) = drafted(Engine::Sqlite).await;
    let bad = pb::Report {
        values: vec![count("portal_posts", -1)],
        narrative: "a".repeat(1_000_001),
        ..draft.clone()
    };
    let refused = update(&mut client, bad.clone(), &[]).await.unwrap_err();
    assert_eq!(fields(&refused), ["report.values[0].count", "report.narrative"]);
    let refused = update(&mut client, bad.clone(), &["narrative"]).await.unwrap_err();
    assert_eq!(refusal(&refused).1, "TOO_LONG");
    update(&mut client, bad, &["document"]).await.unwrap();
    let unknown = pb::Report { values: vec![count("x", 1)], etag: String::new(), ..draft };
    let refused = update(&mut client, unknown, &["values"]).await.unwrap_err();
    assert_eq!(refusal(&refused).1, "UNKNOWN_INDICATOR");
    assert_eq!(fields(&refused), ["report.values[0].indicator"]);
}

#[tokio::test]
async fn a_report_that_changed_since_it_was_read_is_left_alone() {
    let (_testing, mut client, draft) = drafted(Engine::Sqlite).await;
    let updated = update(&mut client, draft.clone(), &["narrative"]).await.unwrap();
    let refused = update(&mut client, draft.clone(), &["narrative"]).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::Aborted, "ETAG_MISMATCH".to_owned()));
    assert_eq!(metadata(&refused, "report"), draft.name);
    update(&mut client, updated, &["narrative"]).await.unwrap();
}

#[tokio::test]
async fn what_was_handed_over_is_not_changed_any_more() {
    for engine in ENGINES {
        let (_testing, mut client, draft) = drafted(engine).await;
        let submitted = submit(&mut client, &draft.name).await.unwrap();
        let change = pb::Report { narrative: "Khác".to_owned(), ..submitted.clone() };
        let refused = update(&mut client, change, &["narrative"]).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::FailedPrecondition, "ALREADY_SUBMITTED".to_owned()));
        assert!(metadata(&refused, "receive_time").starts_with("2026-11-22T"));
        let request = pb::GetReportRequest { name: draft.name };
        assert_eq!(client.get_report(request).await.unwrap().into_inner(), submitted);
    }
}

#[tokio::test]
async fn permission_comes_before_existence() {
    let (testing, mut own, draft) = drafted(Engine::Sqlite).await;
    let absent = format!("{}/reports/{}", tri_qua(), uuid::Uuid::new_v4());
    let elsewhere = format!("{}/reports/{}", binh_duong(), uuid::Uuid::new_v4());
    let unknown = format!("{}/reports/{}", nowhere(), uuid::Uuid::new_v4());
    for (name, refused) in [
        (absent.as_str(), (Code::NotFound, "REPORT_NOT_FOUND")),
        (&elsewhere, (Code::PermissionDenied, "OUT_OF_SCOPE")),
        (&unknown, (Code::PermissionDenied, "OUT_OF_SCOPE")),
        ("units/1/reports/2", (Code::InvalidArgument, "INVALID_FIELD")),
    ] {
        let sent = pb::Report { name: name.to_owned(), etag: String::new(), ..draft.clone() };
        let status = update(&mut own, sent, &[]).await.unwrap_err();
        assert_eq!(refusal(&status), (refused.0, refused.1.to_owned()), "{name}");
    }
    let status = own.update_report(pb::UpdateReportRequest::default()).await.unwrap_err();
    assert_eq!(fields(&status), ["report"]);
    let mut other = client(&testing, &[&grant(Role::Reporter, binh_duong())]);
    let status = update(&mut other, draft, &[]).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned()));
}

#[tokio::test]
async fn of_two_changes_made_from_the_same_draft_one_is_written() {
    for engine in ENGINES {
        let (testing, _, draft) = drafted(engine).await;
        let mut calls = tokio::task::JoinSet::new();
        for at in 0..6 {
            let mut client = reporter(&testing, tri_qua());
            let change = pb::Report { narrative: format!("{at}"), ..draft.clone() };
            calls.spawn(async move { update(&mut client, change, &["narrative"]).await });
        }
        let (written, refused): (Vec<_>, Vec<_>) =
            calls.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!((written.len(), refused.len()), (1, 5), "{engine:?}");
        for refused in refused {
            assert_eq!(refusal(&refused.unwrap_err()).1, "ETAG_MISMATCH");
        }
    }
}
