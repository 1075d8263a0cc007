//! Answers that rest on the copy of the hierarchy say which version of it they are of.

use dunghan_hierarchy::Validity;
use dunghan_proto::compliance as pb;
use dunghan_rpc::field;
use dunghan_testkit::Engine;

use crate::world::{
    bac_ninh, commune, day, dossier, first_day, rate_request, regime, start, time, unit,
};

#[tokio::test]
async fn what_rests_on_the_hierarchy_says_by_which_version() {
    let scene = start(Engine::Sqlite, time("2026-05-18 08:00:00")).await;
    scene.create(regime()).await;
    scene.record(commune("07210"), vec![dossier("H1", "2026-05-04 08:00:00")]).await.unwrap();
    let versions = async || {
        let list = pb::ListObligationsRequest::default();
        let list = scene.operator().list_obligations(list).await.unwrap().into_inner();
        let rate = scene.operator().get_reporting_rate(rate_request(bac_ninh())).await;
        let rate = rate.unwrap().into_inner();
        let affected = pb::ListAffectedObligationsRequest {
            units: vec![commune("07210").to_string()],
            effective_date: Some(field::pb_date(day("2026-06-01"))),
            ..Default::default()
        };
        let affected = scene.operator().list_affected_obligations(affected).await;
        let affected = affected.unwrap().into_inner();
        let overdue =
            pb::ListOverdueDossiersRequest { scope: bac_ninh().to_string(), ..Default::default() };
        let overdue = scene.dossiers(&["operator"]).list_overdue_dossiers(overdue).await;
        let overdue = overdue.unwrap().into_inner();
        let listed = [list.obligations.len(), overdue.dossiers.len()];
        let versions = [
            list.hierarchy_version,
            rate.hierarchy_version,
            affected.hierarchy_version,
            overdue.hierarchy_version,
        ];
        (listed, versions)
    };
    assert_eq!(versions().await, ([10, 1], [1; 4]));
    let new = unit("08001", "Xã Mới", Some(bac_ninh()), Validity::since(first_day()));
    scene.world.lock().import(new);
    assert_eq!(versions().await, ([12, 1], [2; 4]));
}
