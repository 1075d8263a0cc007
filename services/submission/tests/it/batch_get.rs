use std::collections::BTreeSet;

use dunghan_proto::submission as pb;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, fields, refusal};
use tonic::Code;

use crate::world::{
    binh_duong, client, create, date, dinh_to, may, now, of, start, submit, tri_qua,
};

#[tokio::test]
async fn reports_that_there_are_not_are_left_out() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut importer = client(&testing, &["importer"]);
        let one = create(&mut importer, tri_qua(), may()).await.unwrap();
        let two = create(&mut importer, dinh_to(), may()).await.unwrap();
        let elsewhere =
            format!("{}/reports/{}", binh_duong(), one.name.rsplit_once('/').unwrap().1);
        let absent = format!("{}/reports/{}", tri_qua(), uuid::Uuid::new_v4());
        let mut service = client(&testing, &["service"]);
        let names = vec![one.name.clone(), absent, elsewhere, two.name.clone()];
        let request = pb::BatchGetReportsRequest { names };
        let got = service.batch_get_reports(request).await.unwrap().into_inner().reports;
        let names: BTreeSet<_> = got.iter().map(|report| report.name.clone()).collect();
        assert_eq!(names, BTreeSet::from([one.name.clone(), two.name]));
        assert!(got.contains(&one));
        let none = service.batch_get_reports(pb::BatchGetReportsRequest::default()).await.unwrap();
        assert_eq!(none.into_inner().reports, []);
    }
}

#[tokio::test]
async fn a_receipt_is_there_for_each_unit_that_has_submitted() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut importer = client(&testing, &["importer"]);
        let report =
            pb::Report { declared_cut_off_date: Some(field::pb_date(date("2026-05-14"))), ..may() };
        let submitted = create(&mut importer, tri_qua(), report).await.unwrap();
        submit(&mut importer, &submitted.name).await.unwrap();
        create(&mut importer, dinh_to(), may()).await.unwrap();
        let other = create(&mut importer, tri_qua(), of("cds-month", "202604")).await.unwrap();
        submit(&mut importer, &other.name).await.unwrap();
        let units = [tri_qua(), dinh_to(), binh_duong()];
        let request = pb::BatchGetReceiptsRequest {
            regime: "regimes/cds-month".to_owned(),
            period: "202605".to_owned(),
            units: units.iter().map(ToString::to_string).collect(),
        };
        let mut service = client(&testing, &["service"]);
        let receipts = service.batch_get_receipts(request).await.unwrap().into_inner().receipts;
        let receipt = pb::Receipt {
            report: submitted.name,
            regime: "regimes/cds-month".to_owned(),
            period: "202605".to_owned(),
            receive_time: Some(field::pb_time(now())),
            declared_cut_off_date: Some(field::pb_date(date("2026-05-14"))),
            sequence: 2,
            return_time: None,
            return_due_time: None,
        };
        assert_eq!(receipts, [receipt], "{engine:?}");
    }
}

#[tokio::test]
async fn batches_have_limits_and_well_formed_names() {
    let testing = start(Engine::Sqlite).await;
    let mut service = client(&testing, &["service"]);
    let name = format!("{}/reports/{}", tri_qua(), uuid::Uuid::new_v4());
    for (names, reason, field) in [
        (vec![name.clone(); 1001], "TOO_LONG", "names"),
        (vec![name, "x".to_owned()], "INVALID_FIELD", "names[1]"),
    ] {
        let request = pb::BatchGetReportsRequest { names };
        let refused = service.batch_get_reports(request).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::InvalidArgument, reason.to_owned()));
        assert_eq!(fields(&refused), [field]);
    }
    let request = pb::BatchGetReceiptsRequest {
        regime: "regimes/cds-month".to_owned(),
        period: "202605".to_owned(),
        units: vec![tri_qua().to_string()],
    };
    for (request, reason, field) in [
        (
            pb::BatchGetReceiptsRequest { regime: "x".into(), ..request.clone() },
            "INVALID_FIELD",
            "regime",
        ),
        (
            pb::BatchGetReceiptsRequest { period: String::new(), ..request.clone() },
            "REQUIRED_FIELD_MISSING",
            "period",
        ),
        (
            pb::BatchGetReceiptsRequest { period: "x".into(), ..request.clone() },
            "INVALID_PERIOD",
            "period",
        ),
        (
            pb::BatchGetReceiptsRequest { units: vec!["x".into()], ..request.clone() },
            "INVALID_FIELD",
            "units[0]",
        ),
        (
            pb::BatchGetReceiptsRequest { units: vec![tri_qua().to_string(); 1001], ..request },
            "TOO_LONG",
            "units",
        ),
    ] {
        let refused = service.batch_get_receipts(request).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::InvalidArgument, reason.to_owned()));
        assert_eq!(fields(&refused), [field]);
    }
}

#[tokio::test]
async fn batches_are_for_services() {
    let testing = start(Engine::Sqlite).await;
    let mut operator = client(&testing, &["operator"]);
    let refused =
        operator.batch_get_reports(pb::BatchGetReportsRequest::default()).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::PermissionDenied, "ROLE_MISSING".to_owned()));
    let refused =
        operator.batch_get_receipts(pb::BatchGetReceiptsRequest::default()).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::PermissionDenied, "ROLE_MISSING".to_owned()));
}
