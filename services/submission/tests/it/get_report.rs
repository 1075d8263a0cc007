use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_testkit::{Engine, fields, refusal};
use tonic::Code;

use crate::world::{
    bac_ninh, binh_duong, client, create, gia_lai, grant, may, of, old_tri_qua, start, tri_qua,
};

#[tokio::test]
async fn a_report_is_read_by_who_covers_its_unit_or_its_regime() {
    let testing = start(Engine::Sqlite).await;
    let mut importer = client(&testing, &["importer"]);
    let report = create(&mut importer, tri_qua(), may()).await.unwrap();
    let ended = create(&mut importer, old_tri_qua(), of("cds-month", "202405")).await.unwrap();
    let denied = Some((Code::PermissionDenied, "OUT_OF_SCOPE"));
    let absent = format!("{}/reports/{}", tri_qua(), uuid::Uuid::new_v4());
    let not_found = Some((Code::NotFound, "REPORT_NOT_FOUND"));
    for (grants, name, expected) in [
        (grant(Role::Reporter, tri_qua()), &report.name, None),
        (grant(Role::Supervisor, bac_ninh()), &report.name, None),
        (grant(Role::Reader, bac_ninh()), &ended.name, None),
        ("reader".to_owned(), &report.name, None),
        ("supervisor@regimes/cds-month".to_owned(), &report.name, None),
        (grant(Role::Supervisor, gia_lai()), &report.name, denied),
        ("supervisor@regimes/other-month".to_owned(), &report.name, denied),
        // Whoever may not read the unit is not told whether there is such a report.
        (grant(Role::Supervisor, gia_lai()), &absent, denied),
        ("supervisor@regimes/cds-month".to_owned(), &absent, denied),
        (grant(Role::Reporter, tri_qua()), &absent, not_found),
        ("reader".to_owned(), &absent, not_found),
    ] {
        let mut client = client(&testing, &[&grants]);
        let got = client.get_report(pb::GetReportRequest { name: name.clone() }).await;
        match expected {
            None => assert_eq!(got.unwrap().into_inner().name, *name, "{grants}"),
            Some((code, reason)) => {
                assert_eq!(refusal(&got.unwrap_err()), (code, reason.to_owned()), "{grants}");
            }
        }
    }
}

#[tokio::test]
async fn the_unit_is_part_of_a_reports_name() {
    let testing = start(Engine::Sqlite).await;
    let mut importer = client(&testing, &["importer"]);
    let report = create(&mut importer, tri_qua(), may()).await.unwrap();
    let id = report.name.rsplit_once('/').unwrap().1;
    let other = pb::GetReportRequest { name: format!("{}/reports/{id}", binh_duong()) };
    let refused = importer.get_report(other).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::NotFound, "REPORT_NOT_FOUND".to_owned()));
    let refused = importer.get_report(pb::GetReportRequest::default()).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::InvalidArgument, "INVALID_FIELD".to_owned()));
    assert_eq!(fields(&refused), ["name"]);
}
