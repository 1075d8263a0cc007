//! `ListAffectedObligations`: what a reorganisation means for what units owe, and for whom the question is.

use chrono::NaiveDate;
use dunghan_hierarchy::{Edge, EdgeKind, UnitId, Validity};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::Standing;
use dunghan_proto::compliance::affected_obligation::Consequence;
use dunghan_proto::r#type::Date;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, fields, refusal};
use tonic::{Code, Status};

use crate::world::{
    BAC_NINH, REGIME, Scene, World, bac_ninh, commune, day, first_day, gia_lai, regime, start,
    start_in, time, unit,
};
use Consequence::{ClosedPeriod, NoLongerOwed, StillOwed};

fn names(units: &[UnitId]) -> Vec<String> {
    units.iter().map(UnitId::to_string).collect()
}

fn ending(units: &[UnitId], effective: NaiveDate) -> pb::ListAffectedObligationsRequest {
    pb::ListAffectedObligationsRequest {
        units: names(units),
        effective_date: Some(field::pb_date(effective)),
        ..Default::default()
    }
}

fn changed(units: &[UnitId], effective: NaiveDate) -> pb::ListAffectedObligationsRequest {
    let ending = ending(&[], effective);
    pb::ListAffectedObligationsRequest { changed_units: names(units), ..ending }
}

/// All pages, as an operator.
async fn list(
    scene: &Scene,
    mut request: pb::ListAffectedObligationsRequest,
) -> Result<Vec<pb::AffectedObligation>, Status> {
    let (mut client, mut all) = (scene.operator(), Vec::new());
    loop {
        let page = client.list_affected_obligations(request.clone()).await?.into_inner();
        all.extend(page.affected_obligations);
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

/// Period and consequence, in the order of the list.
async fn said(
    scene: &Scene,
    request: pb::ListAffectedObligationsRequest,
) -> Vec<(String, Consequence)> {
    let all = list(scene, request).await.unwrap();
    all.into_iter()
        .map(|one| (one.obligation.as_ref().unwrap().period.clone(), one.consequence()))
        .collect()
}

async fn waive(scene: &Scene, unit: UnitId) {
    scene.waive("supervisor", unit).await.unwrap();
}

#[tokio::test]
async fn the_cut_off_decides_what_ends_with_a_unit_what_is_left_and_what_is_answered_anew() {
    for engine in ENGINES {
        // May was due on the 19th; June was closed the day before and is not due; the window of July begins.
        let scene = start(engine, time("2026-06-15 08:00:00")).await;
        scene.create(regime()).await;
        let (submitted, missing, waived) = (commune("07210"), commune("07228"), commune("07246"));
        scene.world.lock().submit(submitted, "202605", time("2026-05-15 08:00:00"));
        waive(&scene, waived).await;

        let open = [("202606", NoLongerOwed), ("202607", NoLongerOwed)];
        let with = |may: Option<Consequence>, rest: &[(&str, Consequence)]| -> Vec<_> {
            let may = may.map(|consequence| ("202605", consequence));
            let all = may.into_iter().chain(rest.iter().copied());
            all.map(|(period, consequence)| (period.to_owned(), consequence)).collect()
        };
        for (unit, effective, expected) in [
            // The cut-off of May itself, and the day after.
            (submitted, "2026-05-14", with(Some(ClosedPeriod), &open)),
            (submitted, "2026-05-15", with(None, &open)),
            (missing, "2026-05-14", with(Some(ClosedPeriod), &open)),
            (missing, "2026-05-15", with(Some(StillOwed), &open)),
            (waived, "2026-05-14", with(Some(ClosedPeriod), &open)),
            (waived, "2026-05-15", with(None, &open)),
            // From a day after the cut-off on, the unit is still there to owe June, and then July.
            (missing, "2026-06-14", with(Some(StillOwed), &open)),
            (missing, "2026-06-15", with(Some(StillOwed), &[("202606", StillOwed), open[1]])),
            (submitted, "2026-07-14", with(None, &[("202606", StillOwed), open[1]])),
            (submitted, "2026-07-15", with(None, &[("202606", StillOwed), ("202607", StillOwed)])),
        ] {
            let said = said(&scene, ending(&[unit], day(effective))).await;
            assert_eq!(said, expected, "{engine:?} {unit} {effective}");
        }
        // A unit that goes on owes on; of what is closed the place may be another.
        for (unit, effective, expected) in [
            (submitted, "2026-05-14", with(Some(ClosedPeriod), &[])),
            (missing, "2026-05-14", with(Some(ClosedPeriod), &[])),
            (submitted, "2026-05-15", with(None, &[])),
            (missing, "2026-05-15", with(None, &[])),
        ] {
            let said = said(&scene, changed(&[unit], day(effective))).await;
            assert_eq!(said, expected, "{engine:?} {unit} {effective}");
        }
    }
}

#[tokio::test]
async fn an_obligation_is_shown_as_lists_show_it_and_by_which_version() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-15 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("09427");
        let request = ending(&[unit], day("2026-05-15"));
        let page = scene.operator().list_affected_obligations(request).await.unwrap().into_inner();
        assert_eq!(page.hierarchy_version, 1, "{engine:?}");
        let listed = scene
            .list(pb::ListObligationsRequest { scope: unit.to_string(), ..Default::default() });
        let shown: Vec<_> =
            page.affected_obligations.into_iter().map(|one| one.obligation.unwrap()).collect();
        assert_eq!(shown, listed.await, "{engine:?}");
        assert_eq!((shown.len(), shown[0].standing()), (2, Standing::DueSoon));
        assert_eq!(shown[0].unit_display_name, "Phường Trí Quả");
    }
}

#[tokio::test]
async fn what_was_said_before_is_what_has_come_of_it_after() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-06-15 08:00:00")).await;
        scene.create(regime()).await;
        let merged = commune("07228");
        scene.world.lock().submit(merged, "202606", time("2026-06-15 07:00:00"));
        let effective = day("2026-06-01");
        let before = said(&scene, ending(&[merged], effective)).await;
        let expected = [("202605", StillOwed), ("202606", ClosedPeriod), ("202607", NoLongerOwed)];
        let expected = expected.map(|(period, consequence)| (period.to_owned(), consequence));
        assert_eq!(before, expected, "{engine:?}");
        let expected_of_june = async || {
            let request = pb::GetReportingRateRequest {
                scope: bac_ninh().to_string(),
                regime: REGIME.to_owned(),
                period: "202606".to_owned(),
                read_time: None,
            };
            let rate = scene.operator().get_reporting_rate(request).await.unwrap().into_inner();
            (rate.expected_reports, rate.actual_reports)
        };
        assert_eq!(expected_of_june().await, (5, 1));

        let ended = Validity::between(first_day(), effective);
        let edge = Edge {
            effective,
            predecessor: merged,
            successor: commune("07246"),
            kind: EdgeKind::Merged,
            reorganisation: "bac-ninh-2026".into(),
        };
        {
            let mut world = scene.world.lock();
            world.import(unit("07228", "Phường Đa Mai", Some(bac_ninh()), ended));
            world.reorganise(Vec::new(), vec![edge]);
        }
        let owed = scene
            .list(pb::ListObligationsRequest { scope: merged.to_string(), ..Default::default() });
        let owed: Vec<_> = owed.await.into_iter().map(|one| (one.standing(), one.period)).collect();
        let closed = |period: &str| (Standing::Closed, period.to_owned());
        let may = (Standing::Missing, "202605".to_owned());
        assert_eq!(owed, [may, closed("202606"), closed("202607")], "{engine:?}");
        assert_eq!(expected_of_june().await, (4, 0), "{engine:?}");
        // Asked once more, it says what is left.
        let after = said(&scene, ending(&[merged], effective)).await;
        assert_eq!(after, expected[..1], "{engine:?}");
    }
}

#[tokio::test]
async fn pages_walk_every_row_once_and_in_order() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-06-15 08:00:00")).await;
        scene.create(regime()).await;
        let other = pb::Regime { name: "regimes/a-month".to_owned(), ..regime() };
        scene.create(other).await;
        let units: Vec<_> = BAC_NINH.iter().map(|(code, _)| commune(code)).collect();
        let request = pb::ListAffectedObligationsRequest {
            changed_units: names(&units[3..]),
            ..ending(&units[..3], day("2026-06-01"))
        };
        let all = list(&scene, request.clone()).await.unwrap();
        // Of three communes three periods under two regimes; of those that go on nothing is closed.
        assert_eq!(all.len(), 18, "{engine:?}");
        let key = |one: &pb::AffectedObligation| {
            let owed = one.obligation.clone().unwrap();
            (owed.unit, owed.regime, owed.period)
        };
        assert!(all.is_sorted_by_key(key), "{engine:?}");
        for page_size in [1, 2, 7, 17, 18, 1000, 5000] {
            let request = pb::ListAffectedObligationsRequest { page_size, ..request.clone() };
            assert_eq!(list(&scene, request).await.unwrap(), all, "{engine:?} {page_size}");
        }
    }
}

#[tokio::test]
async fn a_page_token_serves_the_call_that_made_it_and_no_other() {
    let scene = start(Engine::Sqlite, time("2026-06-15 08:00:00")).await;
    scene.create(regime()).await;
    let [one, two] = [commune("07210"), commune("07228")];
    let first = pb::ListAffectedObligationsRequest {
        page_size: 1,
        ..ending(&[one, two], day("2026-06-01"))
    };
    let mut client = scene.operator();
    let page = client.list_affected_obligations(first.clone()).await.unwrap().into_inner();
    let second = pb::ListAffectedObligationsRequest { page_token: page.next_page_token, ..first };
    client.list_affected_obligations(second.clone()).await.unwrap();
    for other in [
        pb::ListAffectedObligationsRequest { units: names(&[one]), ..second.clone() },
        pb::ListAffectedObligationsRequest {
            units: names(&[one]),
            changed_units: names(&[two]),
            ..second.clone()
        },
        pb::ListAffectedObligationsRequest {
            effective_date: Some(field::pb_date(day("2026-06-02"))),
            ..second.clone()
        },
        pb::ListAffectedObligationsRequest { page_token: "no token".to_owned(), ..second },
    ] {
        let status = client.list_affected_obligations(other).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, "INVALID_PAGE_TOKEN".to_owned()));
        assert_eq!(fields(&status), ["page_token"]);
    }
}

#[tokio::test]
async fn a_thousand_units_fit_into_one_question_and_no_more() {
    for engine in ENGINES {
        let (world, communes) = World::of_communes(1001);
        let scene = start_in(world, engine, time("2026-05-14 08:00:00")).await;
        scene.create(regime()).await;
        let (ends, goes_on) = communes.split_at(999);
        let request = pb::ListAffectedObligationsRequest {
            changed_units: names(&goes_on[..1]),
            page_size: 1000,
            ..ending(ends, day("2026-05-14"))
        };
        assert_eq!(list(&scene, request.clone()).await.unwrap().len(), 999, "{engine:?}");
        let more = pb::ListAffectedObligationsRequest { changed_units: names(goes_on), ..request };
        let status = list(&scene, more).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, "INVALID_FIELD".to_owned()));
        assert_eq!(fields(&status), ["units"]);
    }
}

#[tokio::test]
async fn what_does_not_read_is_named_and_what_is_unknown_is_not_found() {
    let scene = start(Engine::Sqlite, time("2026-06-15 08:00:00")).await;
    scene.create(regime()).await;
    let (own, on) = (commune("07210"), day("2026-06-01"));
    let asked = |change: fn(&mut pb::ListAffectedObligationsRequest)| {
        let mut request = ending(&[own], on);
        change(&mut request);
        request
    };
    for (request, reason, field) in [
        (ending(&[], on), "REQUIRED_FIELD_MISSING", "units"),
        (asked(|r| r.units.push("units/1".to_owned())), "INVALID_FIELD", "units[1]"),
        (asked(|r| r.units.push(String::new())), "REQUIRED_FIELD_MISSING", "units[1]"),
        (asked(|r| r.units.push(r.units[0].clone())), "INVALID_FIELD", "units[1]"),
        (asked(|r| r.changed_units = r.units.clone()), "INVALID_FIELD", "changed_units[0]"),
        (asked(|r| r.changed_units.push("07228".to_owned())), "INVALID_FIELD", "changed_units[0]"),
        (asked(|r| r.effective_date = None), "REQUIRED_FIELD_MISSING", "effective_date"),
        (
            asked(|r| r.effective_date = Some(Date { year: 2026, month: 2, day: 29 })),
            "INVALID_FIELD",
            "effective_date",
        ),
        (asked(|r| r.page_size = -1), "INVALID_FIELD", "page_size"),
    ] {
        let status = list(&scene, request).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned()), "{field}");
        assert_eq!(fields(&status), [field]);
    }
    let unknown = UnitId::new("nso", "99999", None);
    for request in [ending(&[own, unknown], on), changed(&[unknown], on)] {
        let status = list(&scene, request).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::NotFound, "UNKNOWN_UNIT".to_owned()));
        assert!(status.message().contains(&unknown.to_string()));
    }
    // A unit that owes nothing is no mistake.
    assert!(list(&scene, ending(&[gia_lai()], on)).await.unwrap().is_empty());
}

#[tokio::test]
async fn it_is_for_those_who_run_the_installation_and_over_all_of_it() {
    let scene = start(Engine::Sqlite, time("2026-06-15 08:00:00")).await;
    scene.create(regime()).await;
    let request = ending(&[commune("07210")], day("2026-06-01"));
    for grant in ["operator", "service"] {
        let mut client = scene.compliance(&[grant]);
        client.list_affected_obligations(request.clone()).await.unwrap();
    }
    let over_a_part = format!("operator@{}", bac_ninh());
    for (grant, reason) in
        [("supervisor", "ROLE_MISSING"), ("reader", "ROLE_MISSING"), (&over_a_part, "OUT_OF_SCOPE")]
    {
        let mut client = scene.compliance(&[grant]);
        let status = client.list_affected_obligations(request.clone()).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::PermissionDenied, reason.to_owned()), "{grant}");
    }
}

#[tokio::test]
async fn nothing_is_said_while_a_peer_cannot_be_asked() {
    let scene = start(Engine::Sqlite, time("2026-06-15 08:00:00")).await;
    scene.create(regime()).await;
    for away in [
        |world: &mut World| world.submission_away = true,
        |world: &mut World| {
            world.submission_away = false;
            world.registry_away = true;
        },
    ] {
        away(&mut scene.world.lock());
        let request = ending(&[commune("07210")], day("2026-06-01"));
        let status = list(&scene, request).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::Unavailable, "PEER_UNAVAILABLE".to_owned()));
    }
}
