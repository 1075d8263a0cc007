//! `Report.submitting_unit`: the agency that hands a report over for its unit.

use dunghan_hierarchy::UnitId;
use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_testkit::{ENGINES, Engine, fields, refusal};
use prost_types::FieldMask;
use tonic::{Code, Status};

use crate::world::{
    Client, bac_ninh, client, create, dinh_to, grant, may, nowhere, of, old_tri_qua, phong_dinh_to,
    phong_phung_hiep, phong_tri_qua, phung_hiep, reporter, start, submit, tan_long, tri_qua,
};

fn by(agency: UnitId, report: pb::Report) -> pb::Report {
    pb::Report { submitting_unit: agency.to_string(), ..report }
}

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

#[tokio::test]
async fn a_division_hands_over_the_report_of_its_district() {
    for engine in ENGINES {
        let testing = start(engine).await;
        // Both ended with the reform; on the cut-off day both were there.
        let mut importer = client(&testing, &["importer"]);
        let six = by(phong_phung_hiep(), of("cds-six", "2024S1"));
        let draft = create(&mut importer, phung_hiep(), six).await.unwrap();
        assert_eq!(draft.submitting_unit, phong_phung_hiep().to_string(), "{engine:?}");
        assert!(draft.name.starts_with(&phung_hiep().to_string()));
        let submitted = submit(&mut importer, &draft.name).await.unwrap();
        assert_eq!(submitted.submitting_unit, draft.submitting_unit, "{engine:?}");
        let request = pb::GetReportRequest { name: draft.name.clone() };
        let fetched = importer.get_report(request).await.unwrap().into_inner();
        assert_eq!(fetched, submitted, "{engine:?}");
        let request = pb::ListReportsRequest {
            parent: phung_hiep().to_string(),
            ..pb::ListReportsRequest::default()
        };
        let listed = importer.list_reports(request).await.unwrap().into_inner().reports;
        assert_eq!(listed[0].submitting_unit, draft.submitting_unit, "{engine:?}");
    }
}

#[tokio::test]
async fn only_an_agency_of_the_unit_on_the_cut_off_day_hands_over_for_it() {
    let testing = start(Engine::Sqlite).await;
    let mut importer = client(&testing, &["importer"]);
    let june = || of("cds-month", "202606");
    let six = || of("cds-six", "2024S1");
    for (unit, agency, report, reason) in [
        (tri_qua(), phong_tri_qua(), may(), None),
        // It is there since the first of June.
        (dinh_to(), phong_dinh_to(), may(), Some("UNIT_NOT_VALID")),
        (dinh_to(), phong_dinh_to(), june(), None),
        (tri_qua(), phong_phung_hiep(), june(), Some("UNIT_NOT_VALID")),
        (tri_qua(), nowhere(), june(), Some("UNKNOWN_UNIT")),
        (tri_qua(), tri_qua(), june(), Some("NOT_ITS_AGENCY")),
        (tri_qua(), bac_ninh(), june(), Some("NOT_ITS_AGENCY")),
        (tri_qua(), dinh_to(), june(), Some("NOT_ITS_AGENCY")),
        (tri_qua(), phong_dinh_to(), june(), Some("NOT_ITS_AGENCY")),
        // Below it, but a territory of its own, or of one.
        (bac_ninh(), tri_qua(), june(), Some("NOT_ITS_AGENCY")),
        (bac_ninh(), phong_tri_qua(), june(), Some("NOT_ITS_AGENCY")),
        (phung_hiep(), tan_long(), six(), Some("NOT_ITS_AGENCY")),
    ] {
        let created = create(&mut importer, unit, by(agency, report)).await;
        match reason {
            None => assert_eq!(created.unwrap().submitting_unit, agency.to_string()),
            Some(reason) => {
                let status = created.unwrap_err();
                let expected = (Code::InvalidArgument, reason.to_owned());
                assert_eq!(refusal(&status), expected, "{agency} for {unit}: {status:?}");
                assert_eq!(fields(&status), ["report.submitting_unit"]);
            }
        }
    }
    let no_name = pb::Report { submitting_unit: "934.VHTT".to_owned(), ..june() };
    let status = create(&mut importer, tri_qua(), no_name).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::InvalidArgument, "INVALID_FIELD".to_owned()));
    assert_eq!(fields(&status), ["report.submitting_unit"]);
}

#[tokio::test]
async fn it_is_changed_while_the_report_is_a_draft_and_only_where_the_mask_names_it() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut client = reporter(&testing, tri_qua());
        let draft = create(&mut client, tri_qua(), may()).await.unwrap();
        assert_eq!(draft.submitting_unit, "", "{engine:?}");
        let own = phong_tri_qua().to_string();
        let fresh = |report: &pb::Report| pb::Report { etag: String::new(), ..report.clone() };

        let named = by(phong_tri_qua(), fresh(&draft));
        let updated = update(&mut client, named, &["submitting_unit"]).await.unwrap();
        assert_eq!(updated.submitting_unit, own, "{engine:?}");
        // What the mask does not name is neither changed nor looked at.
        let other = by(old_tri_qua(), fresh(&draft));
        let updated = update(&mut client, other.clone(), &["narrative"]).await.unwrap();
        assert_eq!(updated.submitting_unit, own, "{engine:?}");
        for paths in [&["submitting_unit"][..], &["*"], &[]] {
            let status = update(&mut client, other.clone(), paths).await.unwrap_err();
            let expected = (Code::InvalidArgument, "UNIT_NOT_VALID".to_owned());
            assert_eq!(refusal(&status), expected, "{engine:?} {paths:?}");
            assert_eq!(fields(&status), ["report.submitting_unit"]);
        }
        let request = pb::GetReportRequest { name: draft.name.clone() };
        assert_eq!(client.get_report(request).await.unwrap().into_inner(), updated);
        // Left out under a mask of all, it is none: the unit itself hands it over.
        let updated = update(&mut client, fresh(&draft), &["*"]).await.unwrap();
        assert_eq!(updated.submitting_unit, "", "{engine:?}");

        let named = by(phong_tri_qua(), fresh(&draft));
        update(&mut client, named, &["submitting_unit"]).await.unwrap();
        let submitted = submit(&mut client, &draft.name).await.unwrap();
        assert_eq!(submitted.submitting_unit, own, "{engine:?}");
        let status = update(&mut client, fresh(&draft), &["submitting_unit"]).await.unwrap_err();
        let expected = (Code::FailedPrecondition, "ALREADY_SUBMITTED".to_owned());
        assert_eq!(refusal(&status), expected, "{engine:?}");
    }
}

#[tokio::test]
async fn a_right_over_the_agency_alone_is_none_over_the_report() {
    let testing = start(Engine::Sqlite).await;
    let mut own = reporter(&testing, tri_qua());
    let draft = create(&mut own, tri_qua(), by(phong_tri_qua(), may())).await.unwrap();
    let mut division = reporter(&testing, phong_tri_qua());
    let denied = (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned());
    let june = by(phong_tri_qua(), of("cds-month", "202606"));
    let status = create(&mut division, tri_qua(), june).await.unwrap_err();
    assert_eq!(refusal(&status), denied);
    let status = update(&mut division, draft.clone(), &["narrative"]).await.unwrap_err();
    assert_eq!(refusal(&status), denied);
    let status = submit(&mut division, &draft.name).await.unwrap_err();
    assert_eq!(refusal(&status), denied);
    let mut reads = client(&testing, &[&grant(Role::Reader, phong_tri_qua())]);
    let request = pb::GetReportRequest { name: draft.name.clone() };
    assert_eq!(refusal(&reads.get_report(request).await.unwrap_err()), denied);
    submit(&mut own, &draft.name).await.unwrap();
}
