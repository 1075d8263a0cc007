//! What was owed by units that are no more: whoever has what came after reads it, and decides about it.

use dunghan_hierarchy::{
    Edge, EdgeKind, Identifier, Kind, Level, NSO, UnitHistory, UnitId, Validity, Version,
};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::Standing;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, refusal};
use tonic::Code;

use crate::world::{
    REGIME, bac_ninh, commune, day, department, first_day, gia_lai, list, regime, start, time,
};

const PERIOD: &str = "202506";

/// A unit of the time before.
fn ended(code: &str, name: &str, parent: Option<UnitId>) -> UnitHistory {
    let (kind, level) = match parent {
        None => (Kind::Tinh, Level::Province),
        Some(_) => (Kind::Xa, Level::Commune),
    };
    let validity = Validity::before(first_day());
    let version = Version { validity, kind, level, display_name: name.to_owned(), parent };
    let held = Identifier { scheme: NSO.to_owned(), value: code.to_owned(), validity };
    UnitHistory {
        id: UnitId::new(NSO, code, None),
        versions: vec![version],
        identifiers: vec![held],
    }
}

fn merged(predecessor: UnitId, successor: UnitId) -> Edge {
    Edge {
        effective: first_day(),
        predecessor,
        successor,
        kind: EdgeKind::Merged,
        reorganisation: "bac-ninh-2025".into(),
    }
}

#[tokio::test]
async fn a_supervisor_of_a_new_province_reads_and_decides_what_its_communes_predecessors_owed() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        let province = ended("27", "Tỉnh Bắc Ninh", None);
        let commune_then = ended("09421", "Phường Trí Quả", Some(province.id));
        let (old, now) = (commune_then.id, commune("09427"));
        let edges = vec![merged(province.id, bac_ninh()), merged(old, now)];
        scene.world.lock().reorganise(vec![province, commune_then], edges);
        let debtors = [old, now].map(|unit| unit.to_string()).to_vec();
        scene
            .create(pb::Regime {
                debtors: Some(pb::Debtors { units: debtors, ..pb::Debtors::default() }),
                from_date: Some(field::pb_date(day("2025-06-01"))),
                through_date: Some(field::pb_date(day("2025-07-31"))),
                ..regime()
            })
            .await;
        scene.world.lock().submit(old, PERIOD, time("2025-06-16 08:00:00"));
        let name = |unit: UnitId, period: &str| format!("{unit}/obligations/cds-24~{period}");
        let over = |unit: UnitId| format!("supervisor@{unit}");

        // Without a scope: what was owed before the first of July, and what is owed after it.
        for (grant, expected) in [
            (over(bac_ninh()), vec![name(old, PERIOD), name(now, "202507")]),
            (over(now), vec![name(old, PERIOD), name(now, "202507")]),
            (over(old), vec![name(old, PERIOD)]),
            (over(gia_lai()), vec![]),
            (over(department()), vec![]),
        ] {
            let mut client = scene.compliance(&[&grant]);
            let found = list(&mut client, pb::ListObligationsRequest::default()).await.unwrap();
            let found: Vec<_> = found.into_iter().map(|one| one.name).collect();
            assert_eq!(found, expected, "{engine:?} {grant}");
        }
        let by_scope = |scope: UnitId| pb::ListObligationsRequest {
            scope: scope.to_string(),
            ..Default::default()
        };
        let mut own = scene.compliance(&[&over(bac_ninh())]);
        let found = list(&mut own, by_scope(old)).await.unwrap();
        assert_eq!((found.len(), found[0].standing()), (1, Standing::OnTime), "{engine:?}");
        let explain = pb::ExplainObligationRequest { name: name(old, PERIOD), read_time: None };
        let explained = own.explain_obligation(explain.clone()).await.unwrap().into_inner();
        assert_eq!(explained.obligation.unwrap().unit_display_name, "Phường Trí Quả");

        let mut elsewhere = scene.compliance(&[&over(gia_lai())]);
        let denied = (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned());
        let status = list(&mut elsewhere, by_scope(old)).await.unwrap_err();
        assert_eq!(refusal(&status), denied, "{engine:?}");
        let status = elsewhere.explain_obligation(explain).await.unwrap_err();
        assert_eq!(refusal(&status), denied, "{engine:?}");

        let waiver = |unit: UnitId, period: &str| pb::Decision {
            scope: unit.to_string(),
            regime: REGIME.to_owned(),
            period: period.to_owned(),
            outcome: Some(pb::decision::Outcome::Waiver(pb::Waiver {})),
            document: "15/QĐ-UBND".to_owned(),
            reason: "Sắp xếp đơn vị hành chính".to_owned(),
            ..pb::Decision::default()
        };
        for elsewhere in [gia_lai(), old] {
            let status = scene.decide(&over(elsewhere), waiver(old, PERIOD)).await.unwrap_err();
            assert_eq!(refusal(&status), denied, "{engine:?}");
        }
        let grant = over(bac_ninh());
        let status = scene.decide(&grant, waiver(old, PERIOD)).await.unwrap_err();
        let there = (Code::FailedPrecondition, "ALREADY_SUBMITTED".to_owned());
        assert_eq!(refusal(&status), there, "{engine:?}");
        scene.decide(&grant, waiver(now, "202507")).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_came_after_the_cut_off_is_explained_by_name() {
    let scene = start(ENGINES[0], time("2026-05-18 08:00:00")).await;
    let commune_then = ended("09421", "Phường Cũ", None);
    let old = commune_then.id;
    let edges = vec![merged(old, commune("09427"))];
    scene.world.lock().reorganise(vec![commune_then], edges);
    scene
        .create(pb::Regime {
            debtors: Some(pb::Debtors { units: vec![old.to_string()], ..pb::Debtors::default() }),
            from_date: Some(field::pb_date(day("2025-06-01"))),
            through_date: Some(field::pb_date(day("2025-06-30"))),
            tell_from_date: Some(field::pb_date(day("2025-06-01"))),
            ..regime()
        })
        .await;
    scene.sweep().await;
    let name = format!("{old}/obligations/cds-24~{PERIOD}");
    let explain = pb::ExplainObligationRequest { name, read_time: None };
    let mut operator = scene.operator();
    let text = operator.explain_obligation(explain).await.unwrap().into_inner().text;
    for said in ["đơn vị kế thừa là phường Trí Quả chịu trách nhiệm", "thông báo tới Sở"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("units/"), "{text}");
}
