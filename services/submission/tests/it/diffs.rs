//! `DiffRevisions`: what two revisions say differently.

use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_testkit::{ENGINES, Engine, fields, refusal};
use tonic::{Code, Status};

use crate::world::{
    Client, bac_ninh, binh_duong, client, count, create, gia_lai, grant, may, reporter, send_back,
    start, submit, tri_qua, withdraw,
};

async fn diff(
    client: &mut Client,
    name: &str,
    from: i32,
    to: i32,
) -> Result<Vec<pb::RevisionChange>, Status> {
    let request =
        pb::DiffRevisionsRequest { name: name.to_owned(), from_revision: from, to_revision: to };
    Ok(client.diff_revisions(request).await?.into_inner().changes)
}

async fn says(client: &mut Client, name: &str, posts: i64, narrative: &str) {
    let report = pb::Report {
        name: name.to_owned(),
        values: vec![count("portal_posts", posts)],
        narrative: narrative.to_owned(),
        ..may()
    };
    let request = pb::UpdateReportRequest { report: Some(report), update_mask: None };
    client.update_report(request).await.unwrap();
}

/// The field, what was said, and what is.
fn told(changes: &[pb::RevisionChange]) -> Vec<(&str, &str, &str)> {
    changes
        .iter()
        .map(|it| (it.field.as_str(), it.old_text.as_str(), it.new_text.as_str()))
        .collect()
}

#[tokio::test]
async fn revisions_are_told_apart_and_from_what_stands_now() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut own = reporter(&testing, tri_qua());
        let mut supervisor = client(&testing, &["supervisor"]);
        let draft = create(&mut own, tri_qua(), may()).await.unwrap();
        let name = &draft.name;
        // Against nothing, all that it says is new.
        let all = [
            ("document.number", "", "103"),
            ("document.symbol", "", "BC-UBND"),
            ("document.document_date", "", "18/05/2026"),
            ("values", "", "78"),
            ("narrative", "", "Kết quả chuyển đổi số trong kỳ."),
        ];
        let unsubmitted = diff(&mut own, name, 0, 0).await.unwrap();
        assert_eq!(told(&unsubmitted), all, "{engine:?}");
        assert_eq!(unsubmitted[3].indicator, "portal_posts");
        assert!(!unsubmitted[3].display_name.is_empty());

        submit(&mut own, name).await.unwrap();
        send_back(&mut supervisor, name, "2026-11-25").await.unwrap();
        says(&mut own, name, 17_236, "Kết quả chuyển đổi số trong kỳ.\nĐã bổ sung.").await;
        submit(&mut own, name).await.unwrap();
        withdraw(&mut own, name).await.unwrap();
        says(&mut own, name, 17_236, "Lời khác.\nĐã bổ sung.").await;

        let second = [
            ("values", "78", "17.236"),
            (
                "narrative",
                "Kết quả chuyển đổi số trong kỳ.",
                "Kết quả chuyển đổi số trong kỳ.\nĐã bổ sung.",
            ),
        ];
        let reader = &mut client(&testing, &[&grant(Role::Reader, bac_ninh())]);
        let changes = diff(reader, name, 1, 2).await.unwrap();
        assert_eq!(told(&changes), second);
        let back: Vec<_> = second.iter().map(|(field, old, new)| (*field, *new, *old)).collect();
        assert_eq!(told(&diff(reader, name, 2, 1).await.unwrap()), back);
        let edits = [("narrative", "Kết quả chuyển đổi số trong kỳ.\n", "Lời khác.\n")];
        assert_eq!(told(&diff(reader, name, 2, 0).await.unwrap()), edits);
        assert_eq!(told(&diff(reader, name, 0, 1).await.unwrap()), all);
        for same in [1, 2] {
            assert_eq!(diff(reader, name, same, same).await.unwrap(), []);
        }
    }
}

#[tokio::test]
async fn a_revision_that_there_is_not_is_refused_by_its_field() {
    let testing = start(Engine::Sqlite).await;
    let mut own = reporter(&testing, tri_qua());
    let draft = create(&mut own, tri_qua(), may()).await.unwrap();
    let refused = diff(&mut own, &draft.name, 1, 0).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::InvalidArgument, "UNKNOWN_REVISION".to_owned()));
    submit(&mut own, &draft.name).await.unwrap();
    for (from, to, field) in [
        (2, 0, "from_revision"),
        (-1, 0, "from_revision"),
        (1, 2, "to_revision"),
        (1, i32::MIN, "to_revision"),
        (i32::MAX, 0, "from_revision"),
    ] {
        let refused = diff(&mut own, &draft.name, from, to).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::InvalidArgument, "UNKNOWN_REVISION".to_owned()));
        assert_eq!(fields(&refused), [field]);
    }
    for elsewhere in [gia_lai(), binh_duong()] {
        let mut reader = client(&testing, &[&grant(Role::Reader, elsewhere)]);
        let status = diff(&mut reader, &draft.name, 0, 0).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned()));
    }
    let absent = format!("{}/reports/{}", tri_qua(), uuid::Uuid::nil());
    let status = diff(&mut own, &absent, 0, 0).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::NotFound, "REPORT_NOT_FOUND".to_owned()));
}
