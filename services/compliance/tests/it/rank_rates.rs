//! `RankReportingRates`: the units directly below one, beside each other.

use dunghan_hierarchy::{UnitId, Validity};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::rank_reporting_rates_request::By;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, fields, refusal};
use tonic::{Code, Status};

use crate::world::{
    REGIME, Scene, bac_ninh, commune, day, department, gia_lai, regime, start, time, unit,
};

fn request(from: &str, through: &str) -> pb::RankReportingRatesRequest {
    pb::RankReportingRatesRequest {
        scope: bac_ninh().to_string(),
        regime: REGIME.to_owned(),
        from_date: Some(field::pb_date(day(from))),
        through_date: Some(field::pb_date(day(through))),
        ..Default::default()
    }
}

async fn ask(
    scene: &Scene,
    grant: &str,
    request: pb::RankReportingRatesRequest,
) -> Result<pb::RankReportingRatesResponse, Status> {
    Ok(scene.compliance(&[grant]).rank_reporting_rates(request).await?.into_inner())
}

/// Rank, ties, code, expected and on time of each.
fn places(answer: &pb::RankReportingRatesResponse) -> Vec<(i32, i32, &str, i32, i32)> {
    let ranks = answer.ranks.iter().map(|one| {
        let rate = one.rate.as_ref().unwrap();
        let counts = (rate.expected_reports, rate.actual_reports_on_time);
        (one.rank, one.tied_count, one.unit_code.as_str(), counts.0, counts.1)
    });
    ranks.collect()
}

const EARLY: &str = "2026-05-18 08:00:00";
const LATE: &str = "2026-05-22 08:00:00";

#[tokio::test]
async fn siblings_are_ranked_by_their_rates_and_ties_leave_ranks_out() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-07-01 08:00:00")).await;
        scene.create(regime()).await;
        for (code, period, at) in [
            ("07210", "202605", EARLY),
            ("07210", "202606", "2026-06-16 08:00:00"),
            ("07228", "202605", EARLY),
            ("07228", "202606", "2026-06-30 08:00:00"),
            ("07246", "202605", EARLY),
            ("07264", "202606", "2026-06-16 08:00:00"),
        ] {
            scene.world.lock().submit(commune(code), period, time(at));
        }
        let answer = ask(&scene, "operator", request("2026-05-01", "2026-06-14")).await.unwrap();
        let expected = [
            (1, 0, "07210", 2, 2),
            // Half of it on time, and the rest there, though late.
            (2, 0, "07228", 2, 1),
            (3, 1, "07246", 2, 1),
            (3, 1, "07264", 2, 1),
            (5, 0, "09427", 2, 0),
            // A department owes nothing.
            (0, 0, "", 0, 0),
        ];
        assert_eq!(places(&answer), expected, "{engine:?}");
        assert_eq!(answer.hierarchy_version, 1);
        let first = &answer.ranks[0];
        assert_eq!(first.unit, commune("07210").to_string());
        assert_eq!(first.unit_display_name, "Phường Bắc Giang");
        let rate = first.rate.as_ref().unwrap();
        assert_eq!((rate.regime.as_str(), rate.period.as_str()), (REGIME, ""));
        assert_eq!(rate.scope, first.unit);
        assert_eq!(answer.ranks[5].unit, department().to_string());
        assert_eq!(answer.ranks[5].rate.as_ref().unwrap().reporting_rate, None);

        // By all that is there, two are first.
        let by = pb::RankReportingRatesRequest {
            by: By::ReportingRate.into(),
            ..request("2026-05-01", "2026-06-14")
        };
        let by_actual = ask(&scene, "operator", by).await.unwrap();
        let ranks: Vec<_> = places(&by_actual).iter().map(|place| (place.0, place.2)).collect();
        let expected =
            [(1, "07210"), (2, "07228"), (3, "07246"), (3, "07264"), (5, "09427"), (0, "")];
        assert_eq!(ranks, expected);

        // Only periods whose cut-off lies within the days.
        let june = ask(&scene, "operator", request("2026-05-15", "2026-06-14")).await.unwrap();
        let expected = [(1, 1, "07210", 1, 1), (1, 1, "07264", 1, 1), (3, 0, "07228", 1, 0)];
        assert_eq!(places(&june)[..3], expected);
    }
}

#[tokio::test]
async fn a_child_is_ranked_with_all_below_it_and_under_all_regimes_where_none_is_named() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-06-01 08:00:00")).await;
        // A unit above both provinces.
        let nation = commune("00");
        {
            let since = Validity::since(crate::world::first_day());
            let mut world = scene.world.lock();
            world.import(unit("00", "Việt Nam", None, since));
            for (code, name) in [("24", "Tỉnh Bắc Ninh"), ("52", "Tỉnh Gia Lai")] {
                let mut province = unit(code, name, None, since);
                province.versions[0].parent = Some(nation);
                world.import(province);
            }
        }
        for name in [REGIME, "regimes/khac"] {
            let debtors = pb::Debtors {
                subtree: nation.to_string(),
                levels: vec!["commune".to_owned()],
                ..pb::Debtors::default()
            };
            let named = pb::Regime { name: name.to_owned(), debtors: Some(debtors), ..regime() };
            scene.create(named).await;
        }
        scene.world.lock().submit(commune("21583"), "202605", time(EARLY));
        scene.world.lock().submit_under("regimes/khac", commune("21733"), "202605", time(LATE));
        let all = pb::RankReportingRatesRequest {
            scope: nation.to_string(),
            regime: String::new(),
            ..request("2026-05-01", "2026-05-31")
        };
        let answer = ask(&scene, "operator", all.clone()).await.unwrap();
        let found: Vec<_> = answer
            .ranks
            .iter()
            .map(|one| {
                let rate = one.rate.as_ref().unwrap();
                let counts =
                    (rate.expected_reports, rate.actual_reports_on_time, rate.late_reports);
                (one.unit_display_name.as_str(), one.rank, counts)
            })
            .collect();
        assert_eq!(found, [("Tỉnh Gia Lai", 1, (4, 1, 1)), ("Tỉnh Bắc Ninh", 2, (10, 0, 0))]);
        assert_eq!(answer.ranks[0].rate.as_ref().unwrap().regime, "");
        let one = pb::RankReportingRatesRequest { regime: REGIME.to_owned(), ..all };
        let one = ask(&scene, "operator", one).await.unwrap();
        assert_eq!(one.ranks[0].rate.as_ref().unwrap().expected_reports, 2, "{engine:?}");
    }
}

#[tokio::test]
async fn who_is_a_child_is_of_the_last_day_and_what_it_owed_is_counted_wherever_it_stood() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-08-01 08:00:00")).await;
        {
            let mut world = scene.world.lock();
            // One commune passed from Gia Lai to Bắc Ninh on 1 June, another ended on that day.
            let june = day("2026-06-01");
            let before = Validity { from: Some(crate::world::first_day()), until: Some(june) };
            let mut moved = unit("21583", "Phường Quy Nhơn", Some(gia_lai()), before);
            let after = unit("21583", "Phường Quy Nhơn", Some(bac_ninh()), Validity::since(june));
            moved.versions.extend(after.versions);
            moved.identifiers.extend(after.identifiers);
            world.import(moved);
            world.become_of(commune("09427"), june, Some(commune("07210")));
        }
        let debtors = pb::Debtors { levels: vec!["commune".to_owned()], ..pb::Debtors::default() };
        scene.create(pb::Regime { debtors: Some(debtors), ..regime() }).await;
        scene.world.lock().submit(commune("21583"), "202605", time(EARLY));
        let answer = ask(&scene, "operator", request("2026-05-01", "2026-07-14")).await.unwrap();
        let communes: Vec<_> =
            places(&answer).into_iter().map(|place| (place.2, place.3, place.4)).collect();
        // Three periods each. The one that ended is no child any more, and its successor does not answer for it.
        let expected = [
            ("21583", 3, 1),
            ("07210", 3, 0),
            ("07228", 3, 0),
            ("07246", 3, 0),
            ("07264", 3, 0),
            ("", 0, 0),
        ];
        assert_eq!(communes, expected, "{engine:?}");
        let gia_lai = pb::RankReportingRatesRequest {
            scope: gia_lai().to_string(),
            ..request("2026-05-01", "2026-07-14")
        };
        let left = ask(&scene, "operator", gia_lai).await.unwrap();
        assert_eq!(places(&left), [(1, 0, "21733", 3, 0)]);
        // As of a day before, they were whose they were.
        let may = ask(&scene, "operator", request("2026-05-01", "2026-05-31")).await.unwrap();
        let codes: Vec<_> = places(&may).into_iter().map(|place| place.2).collect();
        assert_eq!(codes, ["07210", "07228", "07246", "07264", "09427", ""]);
    }
}

#[tokio::test]
async fn days_that_make_no_range_are_named_and_strangers_are_refused() {
    let scene = start(Engine::Sqlite, time("2026-05-25 08:00:00")).await;
    scene.create(regime()).await;
    let good = || request("2026-05-01", "2026-05-31");
    let missing = "REQUIRED_FIELD_MISSING";
    let invalid = "INVALID_FIELD";
    for (request, field, reason) in [
        (pb::RankReportingRatesRequest { scope: String::new(), ..good() }, "scope", missing),
        (pb::RankReportingRatesRequest { from_date: None, ..good() }, "from_date", missing),
        (pb::RankReportingRatesRequest { through_date: None, ..good() }, "through_date", missing),
        (request("2026-05-02", "2026-05-01"), "through_date", invalid),
        (request("2026-05-01", "2036-05-02"), "through_date", invalid),
        (pb::RankReportingRatesRequest { by: 9, ..good() }, "by", invalid),
        (pb::RankReportingRatesRequest { regime: "r".to_owned(), ..good() }, "regime", invalid),
    ] {
        let status = ask(&scene, "operator", request).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned()), "{field}");
        assert_eq!(fields(&status), [field]);
    }
    assert!(ask(&scene, "operator", request("2026-05-01", "2036-05-01")).await.is_ok());
    let unknown = UnitId::new("nso", "99999", None).to_string();
    for (request, reason) in [
        (pb::RankReportingRatesRequest { scope: unknown, ..good() }, "UNKNOWN_UNIT"),
        (
            pb::RankReportingRatesRequest { regime: "regimes/none".to_owned(), ..good() },
            "UNKNOWN_REGIME",
        ),
    ] {
        let status = ask(&scene, "operator", request).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::NotFound, reason.to_owned()));
    }
    let neighbour = format!("supervisor@{}", gia_lai());
    let status = ask(&scene, &neighbour, good()).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned()));
}
