//! What units that are no more reported: whoever has what came after reads it, and what came after in their place sees to it.

use dunghan_hierarchy::UnitId;
use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, refusal};
use tonic::Code;

use crate::world::{
    Client, bac_ninh, client, count, create, date, dinh_to, gia_lai, grant, may, metadata, now, of,
    old_bac_ninh, old_tri_qua, send_back, start, submit, submit_request, thanh_khuong, tri_qua,
    withdraw,
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

fn on_the_day(text: &str) -> prost_types::Timestamp {
    field::pb_time(dunghan_calendar::zone::start_of(date(text)))
}

#[tokio::test]
async fn what_a_predecessor_still_owes_is_written_by_its_successor() {
    for engine in ENGINES {
        let testing = start(engine).await;
        // Over the successor itself, and over what it is in.
        let (reporter, imports) =
            (grant(Role::Reporter, bac_ninh()), grant(Role::Importer, tri_qua()));
        let mut after = client(&testing, &[&reporter, &imports]);
        let draft = create(&mut after, thanh_khuong(), of("cds-month", "202405")).await.unwrap();
        assert!(draft.name.starts_with(&thanh_khuong().to_string()), "{engine:?} {}", draft.name);
        let changed = pb::Report { values: vec![count("portal_posts", 9)], ..draft.clone() };
        let request = pb::UpdateReportRequest { report: Some(changed), update_mask: None };
        after.update_report(request).await.unwrap();
        let asserted = pb::SubmitReportRequest {
            asserted_receive_time: Some(on_the_day("2024-05-20")),
            receipt_evidence: Some(pb::ReceiptEvidence {
                kind: pb::receipt_evidence::Kind::Register.into(),
                reference: "12".to_owned(),
            }),
            ..submit_request(&draft.name)
        };
        after.submit_report(asserted).await.unwrap();
        let mut supervisor = client(&testing, &[&grant(Role::Supervisor, bac_ninh())]);
        send_back(&mut supervisor, &draft.name, "2026-11-22").await.unwrap();
        let again = submit(&mut after, &draft.name).await.unwrap();
        assert_eq!(again.receive_time, Some(on_the_day("2024-05-20")));
        withdraw(&mut after, &draft.name).await.unwrap();
        // It is still for a unit that was there on the cut-off day.
        let refused = create(&mut after, thanh_khuong(), of("cds-month", "202507")).await;
        let not_valid = (Code::FailedPrecondition, "UNIT_NOT_VALID".to_owned());
        assert_eq!(refusal(&refused.unwrap_err()), not_valid);
    }
}

#[tokio::test]
async fn nobody_else_writes_what_a_predecessor_reports() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut importer = client(&testing, &["importer"]);
        let draft = create(&mut importer, thanh_khuong(), of("cds-month", "202405")).await.unwrap();
        let alone = create(&mut importer, old_tri_qua(), of("cds-month", "202405")).await.unwrap();
        for (name, over) in [
            // Who reported for it before, and who has another part of what came after.
            (&draft.name, thanh_khuong()),
            (&draft.name, old_bac_ninh()),
            (&draft.name, dinh_to()),
            (&draft.name, gia_lai()),
            // Nothing came after it.
            (&alone.name, bac_ninh()),
            (&alone.name, tri_qua()),
        ] {
            let mut reporter = client(&testing, &[&grant(Role::Reporter, over)]);
            let mut supervisor = client(&testing, &[&grant(Role::Supervisor, over)]);
            let unit = name.split_once("/reports").unwrap().0.parse().unwrap();
            let sent = pb::Report { name: name.clone(), ..may() };
            let request = pb::UpdateReportRequest { report: Some(sent), update_mask: None };
            let refusals = [
                create(&mut reporter, unit, of("cds-month", "202406")).await.unwrap_err(),
                reporter.update_report(request).await.unwrap_err(),
                submit(&mut reporter, name).await.unwrap_err(),
                withdraw(&mut reporter, name).await.unwrap_err(),
                send_back(&mut supervisor, name, "2026-11-22").await.unwrap_err(),
            ];
            for refused in refusals {
                let denied = (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned());
                assert_eq!(refusal(&refused), denied, "{engine:?} {over} {refused}");
                assert_eq!(metadata(&refused, "unit"), unit.to_string());
            }
        }
        for report in [draft, alone] {
            let request = pb::GetReportRequest { name: report.name.clone() };
            assert_eq!(importer.get_report(request).await.unwrap().into_inner(), report);
        }
    }
}
