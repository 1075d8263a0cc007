//! What units that are no more reported: whoever has what came after reads it, and writes nothing of it.

use dunghan_hierarchy::UnitId;
use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, refusal};
use tonic::Code;

use crate::world::{
    Client, bac_ninh, client, count, create, date, gia_lai, grant, may, now, of, old_bac_ninh,
    start, submit, thanh_khuong, tri_qua,
};

async fn list(client: &mut Client, parent: Option<UnitId>) -> Vec<String> {
    let request = pb::ListReportsRequest {
        parent: parent.map(|unit| unit.to_string()).unwrap_or_default(),
        ..pb::ListReportsRequest::default()
    };
    let page = client.list_reports(request).await.unwrap().into_inner();
    assert_eq!(page.hierarchy_version, 1);
    page.reports.into_iter().map(|report| report.name).collect()
}

#[tokio::test]
async fn a_supervisor_of_a_new_province_reads_what_its_communes_predecessors_reported() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut importer = client(&testing, &["importer"]);
        let of_old = create(&mut importer, thanh_khuong(), of("cds-month", "202405")).await;
        let of_old = of_old.unwrap().name;
        submit(&mut importer, &of_old).await.unwrap();
        testing.clock.set(now() + chrono::TimeDelta::seconds(1));
        let of_now = create(&mut importer, tri_qua(), may()).await.unwrap().name;
        for (over, seen) in [
            (bac_ninh(), vec![&of_now, &of_old]),
            (tri_qua(), vec![&of_now, &of_old]),
            // Those of before have what was, and not what came after.
            (thanh_khuong(), vec![&of_old]),
            (old_bac_ninh(), vec![&of_old]),
            (gia_lai(), vec![]),
        ] {
            let mut client = client(&testing, &[&grant(Role::Supervisor, over)]);
            assert_eq!(
                list(&mut client, None).await.iter().collect::<Vec<_>>(),
                seen,
                "{engine:?} {over}"
            );
            for name in [&of_old, &of_now] {
                let request = pb::GetReportRequest { name: name.clone() };
                let may = client.get_report(request).await.is_ok();
                assert_eq!(may, seen.contains(&name), "{engine:?} {over} {name}");
            }
        }
        let mut client = client(&testing, &[&grant(Role::Supervisor, bac_ninh())]);
        assert_eq!(list(&mut client, Some(bac_ninh())).await, [of_now, of_old.clone()]);
        assert_eq!(list(&mut client, Some(thanh_khuong())).await, [of_old]);
    }
}

#[tokio::test]
async fn nobody_writes_what_a_predecessor_reports_by_what_came_after() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut importer = client(&testing, &["importer"]);
        let draft = create(&mut importer, thanh_khuong(), of("cds-month", "202405")).await.unwrap();
        let (reporter, imports) =
            (grant(Role::Reporter, bac_ninh()), grant(Role::Importer, tri_qua()));
        let mut after = client(&testing, &[&reporter, &imports]);
        let denied = (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned());
        let refused = create(&mut after, thanh_khuong(), of("cds-month", "202406")).await;
        assert_eq!(refusal(&refused.unwrap_err()), denied, "{engine:?}");
        let changed = pb::Report { values: vec![count("portal_posts", 9)], ..draft.clone() };
        let request = pb::UpdateReportRequest { report: Some(changed), update_mask: None };
        let refused = after.update_report(request).await.unwrap_err();
        assert_eq!(refusal(&refused), denied, "{engine:?}");
        let refused = submit(&mut after, &draft.name).await.unwrap_err();
        assert_eq!(refusal(&refused), denied, "{engine:?}");
        let asserted = pb::SubmitReportRequest {
            name: draft.name.clone(),
            asserted_receive_time: Some(field::pb_time(dunghan_calendar::zone::start_of(date(
                "2024-05-20",
            )))),
            receipt_evidence: Some(pb::ReceiptEvidence {
                kind: pb::receipt_evidence::Kind::Register.into(),
                reference: "12".to_owned(),
            }),
            ..pb::SubmitReportRequest::default()
        };
        let refused = after.submit_report(asserted).await.unwrap_err();
        assert_eq!(refusal(&refused), denied, "{engine:?}");
        let request = pb::GetReportRequest { name: draft.name.clone() };
        assert_eq!(importer.get_report(request).await.unwrap().into_inner(), draft);
    }
}
