//! `ListReportingRates`: the rates of a range of periods, one by one, and of all of them together.

use dunghan_hierarchy::UnitId;
use dunghan_proto::compliance as pb;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, fields, refusal};
use tonic::{Code, Status};

use crate::world::{REGIME, Scene, bac_ninh, commune, day, gia_lai, regime, start, time};

fn request(first: &str, last: &str) -> pb::ListReportingRatesRequest {
    pb::ListReportingRatesRequest {
        scope: bac_ninh().to_string(),
        regime: REGIME.to_owned(),
        first_period: first.to_owned(),
        last_period: last.to_owned(),
        read_time: None,
    }
}

async fn ask(
    scene: &Scene,
    grant: &str,
    request: pb::ListReportingRatesRequest,
) -> Result<pb::ListReportingRatesResponse, Status> {
    Ok(scene.compliance(&[grant]).list_reporting_rates(request).await?.into_inner())
}

#[tokio::test]
async fn a_trend_has_every_period_that_the_regime_asks_for_and_the_total_of_all() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-07-20 08:00:00")).await;
        scene.create(regime()).await;
        for code in ["07210", "07228", "07246"] {
            scene.world.lock().submit(commune(code), "202605", time("2026-05-18 08:00:00"));
        }
        scene.world.lock().submit(commune("07210"), "202606", time("2026-06-30 08:00:00"));
        let answer = ask(&scene, "operator", request("202604", "202608")).await.unwrap();
        // The first is before the regime's first day; the last has begun on the 15th of July.
        let trend: Vec<_> = answer
            .rates
            .iter()
            .map(|rate| {
                let of = (rate.expected_reports, rate.actual_reports_on_time, rate.late_reports);
                (rate.period.as_str(), of, rate.missing_reports, rate.open_reports)
            })
            .collect();
        let expected = [
            ("202605", (5, 3, 0), 2, 0),
            ("202606", (5, 0, 1), 4, 0),
            ("202607", (5, 0, 0), 5, 0),
            ("202608", (5, 0, 0), 0, 5),
        ];
        assert_eq!(trend, expected, "{engine:?}");
        let rates: Vec<_> = answer
            .rates
            .iter()
            .map(|rate| rate.reporting_rate_on_time.clone().unwrap().value)
            .collect();
        assert_eq!(rates, ["60.00", "0.00", "0.00", "0.00"]);
        assert!(answer.rates.iter().all(|rate| rate.exceptions.is_empty()));
        let total = answer.total.unwrap();
        assert_eq!((total.period.as_str(), total.regime.as_str()), ("", REGIME));
        assert_eq!((total.expected_reports, total.actual_reports), (20, 4));
        assert_eq!((total.missing_reports, total.open_reports), (11, 5));
        assert_eq!(total.reporting_rate.unwrap().value, "20.00");
        assert_eq!(total.reporting_rate_on_time.unwrap().value, "15.00");
        assert_eq!((total.scope, total.hierarchy_version), (bac_ninh().to_string(), 1));

        // A month before: two periods had begun, and the later one was due within three working days.
        let before = pb::ListReportingRatesRequest {
            read_time: Some(field::pb_time(time("2026-06-15 08:00:00"))),
            ..request("202605", "202608")
        };
        let before = ask(&scene, "operator", before).await.unwrap();
        let open: Vec<_> = before
            .rates
            .iter()
            .map(|rate| (rate.expected_reports, rate.open_reports, rate.due_soon_reports))
            .collect();
        assert_eq!(open, [(5, 0, 0), (5, 5, 5), (5, 5, 0), (0, 0, 0)], "{engine:?}");
        assert_eq!(before.rates[3].reporting_rate, None);
    }
}

#[tokio::test]
async fn a_range_that_the_regime_has_none_of_is_refused_by_the_field_at_fault() {
    let scene = start(Engine::Sqlite, time("2026-05-25 08:00:00")).await;
    scene.create(regime()).await;
    for (first, last, field, reason) in [
        ("", "202605", "first_period", "REQUIRED_FIELD_MISSING"),
        ("202605", "", "last_period", "REQUIRED_FIELD_MISSING"),
        ("x", "202605", "first_period", "INVALID_PERIOD"),
        ("2026Q1", "202605", "first_period", "INVALID_PERIOD"),
        ("202605", "2026", "last_period", "INVALID_PERIOD"),
        ("202605", "202604", "last_period", "INVALID_PERIOD"),
        ("202605", "203606", "last_period", "INVALID_PERIOD"),
    ] {
        let status = ask(&scene, "operator", request(first, last)).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned()), "{first} {last}");
        assert_eq!(fields(&status), [field], "{first} {last}");
    }
    // 120 after the first are not too many.
    assert!(ask(&scene, "operator", request("202605", "203605")).await.is_ok());
    let unknown = UnitId::new("nso", "99999", None).to_string();
    for (request, reason) in [
        (
            pb::ListReportingRatesRequest { scope: unknown, ..request("202605", "202605") },
            "UNKNOWN_UNIT",
        ),
        (
            pb::ListReportingRatesRequest {
                regime: "regimes/none".to_owned(),
                ..request("202605", "202605")
            },
            "UNKNOWN_REGIME",
        ),
    ] {
        let status = ask(&scene, "operator", request).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::NotFound, reason.to_owned()));
    }
    let neighbour = format!("supervisor@{}", gia_lai());
    let status = ask(&scene, &neighbour, request("202605", "202605")).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned()));
}

#[tokio::test]
async fn what_was_asked_once_is_a_range_of_one() {
    let scene = start(Engine::Sqlite, time("2026-05-25 08:00:00")).await;
    let asked = "2026-01-01--2026-05-15";
    scene
        .create(pb::Regime {
            frequency: pb::Frequency::Once.into(),
            once_period: asked.to_owned(),
            due_rule: Some(pb::regime::DueRule::DueDate(field::pb_date(day("2026-05-20")))),
            ..regime()
        })
        .await;
    let answer = ask(&scene, "operator", request(asked, asked)).await.unwrap();
    assert_eq!(answer.rates.len(), 1);
    assert_eq!(answer.rates[0].missing_reports, 5);
    assert_eq!(answer.total.unwrap().missing_reports, 5);
}
