//! `ListReportActs`: what was done to a report, and the report as it was each time.

use chrono::TimeDelta;
use dunghan_calendar::zone;
use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::report_act::Kind;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, Testing, fields, refusal};
use prost::Message as _;
use tonic::Code;

use crate::world::{
    Client, acts, bac_ninh, client, count, create, date, gia_lai, grant, may, now, reporter,
    send_back, start, submit, tri_qua, withdraw,
};

fn list_request(parent: &str) -> pb::ListReportActsRequest {
    pb::ListReportActsRequest { parent: parent.to_owned(), ..pb::ListReportActsRequest::default() }
}

async fn change(client: &mut Client, name: &str, posts: i64) -> pb::Report {
    let values = vec![count("portal_posts", posts)];
    let report = pb::Report { name: name.to_owned(), values, ..may() };
    let request = pb::UpdateReportRequest { report: Some(report), update_mask: None };
    client.update_report(request).await.unwrap().into_inner()
}

/// Handed over, sent back, handed over, taken back, handed over, an hour after another; and the reports of the first, third
/// and fifth.
async fn through_much(testing: &Testing) -> (Client, [pb::Report; 3]) {
    let mut own = client(testing, &["reporter", "supervisor"]);
    let draft = create(&mut own, tri_qua(), may()).await.unwrap();
    let name = draft.name;
    let hour = TimeDelta::hours(1);
    let first = submit(&mut own, &name).await.unwrap();
    testing.clock.advance(hour);
    send_back(&mut own, &name, "2026-11-25").await.unwrap();
    change(&mut own, &name, 79).await;
    testing.clock.advance(hour);
    let second = submit(&mut own, &name).await.unwrap();
    testing.clock.advance(hour);
    withdraw(&mut own, &name).await.unwrap();
    change(&mut own, &name, 80).await;
    testing.clock.advance(hour);
    let third = submit(&mut own, &name).await.unwrap();
    (own, [first, second, third])
}

#[tokio::test]
async fn acts_are_listed_in_order_each_with_the_report_as_it_was_handed_over() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let (mut own, [first, second, third]) = through_much(&testing).await;
        let act = |kind: Kind, hours: i64, revision, report: Option<&pb::Report>| {
            let time = Some(field::pb_time(now() + TimeDelta::hours(hours)));
            pb::ReportAct {
                kind: kind.into(),
                act_time: time,
                record_time: time,
                author: "tester".to_owned(),
                revision,
                report: report.cloned(),
                ..pb::ReportAct::default()
            }
        };
        let mut expected = [
            act(Kind::Submitted, 0, 1, Some(&first)),
            pb::ReportAct {
                reason: "Thiếu số liệu tháng trước.".to_owned(),
                return_due_time: Some(field::pb_time(zone::end_of(date("2026-11-25")))),
                ..act(Kind::Returned, 1, 1, None)
            },
            act(Kind::Submitted, 2, 2, Some(&second)),
            pb::ReportAct {
                reason: "Nhầm kỳ báo cáo.".to_owned(),
                ..act(Kind::Withdrawn, 3, 2, None)
            },
            act(Kind::Submitted, 4, 3, Some(&third)),
        ];
        assert_eq!(acts(&mut own, &first.name).await, expected, "{engine:?}");
        assert_eq!(second.receive_time, first.receive_time);

        // The same without reports, page by page.
        expected.iter_mut().for_each(|act| act.report = None);
        let mut listed = Vec::new();
        let mut request = pb::ListReportActsRequest { page_size: 2, ..list_request(&first.name) };
        for size in [2, 2, 1] {
            let page = own.list_report_acts(request.clone()).await.unwrap().into_inner();
            assert_eq!(page.acts.len(), size);
            assert_eq!(page.next_page_token.is_empty(), size == 1);
            listed.extend(page.acts);
            request.page_token = page.next_page_token;
        }
        assert_eq!(listed, expected, "{engine:?}");

        // A draft has none that it has not.
        let draft = create(&mut own, gia_lai(), may()).await.unwrap();
        assert_eq!(acts(&mut own, &draft.name).await, []);
    }
}

#[tokio::test]
async fn a_page_has_room_for_what_a_client_takes() {
    let testing = start(Engine::Sqlite).await;
    let mut own = client(&testing, &["reporter", "supervisor"]);
    let long = pb::Report { narrative: "đ".repeat(490_000), ..may() };
    let report = create(&mut own, tri_qua(), long).await.unwrap();
    for _ in 0..6 {
        submit(&mut own, &report.name).await.unwrap();
        withdraw(&mut own, &report.name).await.unwrap();
    }
    let mut request =
        pb::ListReportActsRequest { with_reports: true, ..list_request(&report.name) };
    let (mut pages, mut kinds) = (0, Vec::new());
    loop {
        let page = own.list_report_acts(request.clone()).await.unwrap().into_inner();
        assert!(page.encoded_len() < 4 << 20);
        pages += 1;
        kinds.extend(page.acts.iter().map(pb::ReportAct::kind));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(kinds, [Kind::Submitted, Kind::Withdrawn].repeat(6));
    assert_eq!(pages, 2);
    let page = own.list_report_acts(list_request(&report.name)).await.unwrap().into_inner();
    assert_eq!((page.acts.len(), page.next_page_token.as_str()), (12, ""));
}

#[tokio::test]
async fn acts_are_read_by_who_reads_the_report() {
    let testing = start(Engine::Sqlite).await;
    let mut own = reporter(&testing, tri_qua());
    let report = create(&mut own, tri_qua(), may()).await.unwrap();
    submit(&mut own, &report.name).await.unwrap();
    let absent = format!("{}/reports/{}", tri_qua(), uuid::Uuid::new_v4());
    let denied = Some((Code::PermissionDenied, "OUT_OF_SCOPE"));
    let not_found = Some((Code::NotFound, "REPORT_NOT_FOUND"));
    for (grants, name, expected) in [
        (grant(Role::Reporter, tri_qua()), &report.name, None),
        (grant(Role::Supervisor, bac_ninh()), &report.name, None),
        ("supervisor@regimes/cds-month".to_owned(), &report.name, None),
        ("service".to_owned(), &report.name, None),
        (grant(Role::Supervisor, gia_lai()), &report.name, denied),
        ("reader@regimes/other-month".to_owned(), &report.name, denied),
        ("reader@regimes/cds-month".to_owned(), &absent, denied),
        ("reader".to_owned(), &absent, not_found),
    ] {
        let mut client = client(&testing, &[&grants]);
        let got = client.list_report_acts(list_request(name)).await;
        match expected {
            None => assert_eq!(got.unwrap().into_inner().acts.len(), 1, "{grants}"),
            Some((code, reason)) => {
                assert_eq!(refusal(&got.unwrap_err()), (code, reason.to_owned()), "{grants}");
            }
        }
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_is_refused() {
    let testing = start(Engine::Sqlite).await;
    let (mut own, [report, ..]) = through_much(&testing).await;
    let first = pb::ListReportActsRequest { page_size: 1, ..list_request(&report.name) };
    let token = own.list_report_acts(first.clone()).await.unwrap().into_inner().next_page_token;
    let next = pb::ListReportActsRequest { page_token: token, ..first };
    for (request, reason, field) in [
        (list_request("x"), "INVALID_FIELD", "parent"),
        (pb::ListReportActsRequest { page_size: -1, ..next.clone() }, "INVALID_FIELD", "page_size"),
        (
            pb::ListReportActsRequest { with_reports: true, ..next },
            "INVALID_PAGE_TOKEN",
            "page_token",
        ),
    ] {
        let refused = own.list_report_acts(request).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::InvalidArgument, reason.to_owned()));
        assert_eq!(fields(&refused), [field]);
    }
}
