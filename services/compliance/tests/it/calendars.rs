//! `CalendarService`: calendars read, counted by and amended, and what an amendment moves.

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::zone;
use dunghan_hierarchy::UnitId;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::calendar_day::Kind;
use dunghan_rpc::field::{pb_date, pb_time};
use dunghan_store::Location;
use dunghan_testkit::{ENGINES, Engine, Place, fields, refusal};
use futures::future::join_all;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::world::{
    BAC_NINH, PERIOD, REGIME, Scene, bac_ninh, commune, day, department, dossier, due, gia_lai,
    microseconds, obligation, regime, start, time,
};

const NATIONAL: &str = "calendars/vn";

fn now() -> DateTime<Utc> {
    time("2026-05-18 08:00:00")
}

fn calendar_of(unit: UnitId) -> String {
    unit.to_string().replacen("units/", "calendars/", 1)
}

fn said(date: &str, kind: Kind, name: &str) -> pb::CalendarDay {
    pb::CalendarDay {
        date: Some(pb_date(day(date))),
        kind: kind.into(),
        display_name: name.to_owned(),
        ..Default::default()
    }
}

/// Nobody works on that day because of a storm.
fn storm(date: &str) -> pb::CalendarDay {
    said(date, Kind::InLieu, "Nghỉ bão")
}

fn amendment(name: &str, days: Vec<pb::CalendarDay>) -> pb::AmendCalendarRequest {
    pb::AmendCalendarRequest {
        name: name.to_owned(),
        days,
        legal_basis: "Công điện số 45/CĐ-TTg".to_owned(),
        reason: "Bão số 3 đổ bộ".to_owned(),
        ..Default::default()
    }
}

async fn amend(
    scene: &Scene,
    request: pb::AmendCalendarRequest,
) -> Result<pb::CalendarAmendment, Status> {
    Ok(scene.calendars(&["operator"]).amend_calendar(request).await?.into_inner())
}

async fn get(scene: &Scene, name: &str) -> Result<pb::Calendar, Status> {
    let request = pb::GetCalendarRequest { name: name.to_owned() };
    Ok(scene.calendars(&["reader"]).get_calendar(request).await?.into_inner())
}

async fn days(
    scene: &Scene,
    name: &str,
    from: &str,
    through: &str,
) -> Result<Vec<pb::CalendarDay>, Status> {
    let request = pb::ListCalendarDaysRequest {
        parent: name.to_owned(),
        from_date: Some(pb_date(day(from))),
        through_date: Some(pb_date(day(through))),
    };
    Ok(scene.calendars(&["reader"]).list_calendar_days(request).await?.into_inner().days)
}

async fn compute(
    scene: &Scene,
    name: &str,
    date: &str,
    working_days: i32,
) -> Result<pb::ComputeDueDateResponse, Status> {
    let request = pb::ComputeDueDateRequest {
        calendar: name.to_owned(),
        date: Some(pb_date(day(date))),
        working_days,
    };
    Ok(scene.calendars(&["reader"]).compute_due_date(request).await?.into_inner())
}

async fn amendments(scene: &Scene, parent: &str, size: i32) -> Vec<pb::CalendarAmendment> {
    let mut request = pb::ListCalendarAmendmentsRequest {
        parent: parent.to_owned(),
        page_size: size,
        page_token: String::new(),
    };
    let mut all = Vec::new();
    loop {
        let mut client = scene.calendars(&["reader"]);
        let page = client.list_calendar_amendments(request.clone()).await.unwrap().into_inner();
        assert!(size == 0 || page.amendments.len() <= usize::try_from(size).unwrap());
        all.extend(page.amendments);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

async fn changes(scene: &Scene, scope: UnitId, reference: &str, size: i32) -> Vec<pb::DueChange> {
    let mut request = pb::ListDueChangesRequest {
        scope: scope.to_string(),
        reference: reference.to_owned(),
        page_size: size,
        page_token: String::new(),
    };
    let mut all = Vec::new();
    loop {
        let mut client = scene.calendars(&["supervisor"]);
        let page = client.list_due_changes(request.clone()).await.unwrap().into_inner();
        all.extend(page.due_changes);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

/// What the communes of Bắc Ninh owe for [`PERIOD`].
async fn owed(scene: &Scene) -> Vec<pb::Obligation> {
    let request = pb::ListObligationsRequest {
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        ..Default::default()
    };
    scene.list(request).await
}

/// The end of that day.
fn end(date: &str) -> Option<prost_types::Timestamp> {
    Some(pb_time(zone::end_of(day(date))))
}

#[tokio::test]
async fn the_nations_calendar_is_there_from_the_beginning_and_a_provinces_is_not() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        let nation = get(&scene, NATIONAL).await.unwrap();
        assert_eq!((nation.name.as_str(), nation.unit.as_str()), (NATIONAL, ""));
        let hours = nation.office_hours.clone().unwrap();
        assert_eq!(
            (hours.morning.as_str(), hours.afternoon.as_str()),
            ("07:30-11:30", "13:30-17:00")
        );
        assert!(nation.official_years.contains(&2024) && !nation.official_years.contains(&2031));
        assert_eq!(nation.update_time, None);
        let refused = get(&scene, &calendar_of(bac_ninh())).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::NotFound, "UNKNOWN_CALENDAR".to_owned()));

        amend(&scene, amendment(&calendar_of(bac_ninh()), vec![storm("2026-06-02")]))
            .await
            .unwrap();
        let own = get(&scene, &calendar_of(bac_ninh())).await.unwrap();
        assert_eq!(own.unit, bac_ninh().to_string());
        assert_eq!(own.update_time, Some(pb_time(now())));
        assert_ne!(own.version, nation.version);
        let mut client = scene.calendars(&["reader"]);
        let all = client.list_calendars(pb::ListCalendarsRequest {}).await.unwrap();
        assert_eq!(all.into_inner().calendars, [nation, own], "{engine:?}");
    }
}

#[tokio::test]
async fn what_names_no_calendar_is_not_found_and_what_is_no_name_is_refused() {
    let scene = start(Engine::Sqlite, now()).await;
    for unknown in ["calendars/us", "calendars/24", &calendar_of(gia_lai())] {
        for refused in [
            get(&scene, unknown).await.unwrap_err(),
            days(&scene, unknown, "2026-01-01", "2026-01-02").await.unwrap_err(),
        ] {
            assert_eq!(refusal(&refused), (Code::NotFound, "UNKNOWN_CALENDAR".to_owned()));
        }
    }
    let nobody = calendar_of(UnitId::new("nso", "99", None));
    for (calendar, reason) in
        [("calendars/us", "UNKNOWN_CALENDAR"), (nobody.as_str(), "UNKNOWN_UNIT")]
    {
        let refused = compute(&scene, calendar, "2026-01-01", 1).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::NotFound, reason.to_owned()));
    }
    let refused = compute(&scene, &calendar_of(commune("07210")), "2026-01-01", 1).await;
    assert_eq!(fields(&refused.unwrap_err()), ["calendar"]);
    let long = format!("calendars/{}", "a".repeat(64));
    for bad in ["vn", "calendars/", "calendars/VN", "calendars/vn/days", &long] {
        let refused = get(&scene, bad).await.unwrap_err();
        assert_eq!(
            (refused.code(), fields(&refused)),
            (Code::InvalidArgument, vec!["name".to_owned()])
        );
        let refused = days(&scene, bad, "2026-01-01", "2026-01-02").await.unwrap_err();
        assert_eq!(fields(&refused), ["parent"]);
        let refused = compute(&scene, bad, "2026-01-01", 1).await.unwrap_err();
        assert_eq!(fields(&refused), ["calendar"]);
    }
    let refused = get(&scene, "").await.unwrap_err();
    assert_eq!(refusal(&refused).1, "REQUIRED_FIELD_MISSING");
}

#[tokio::test]
async fn the_days_of_a_year_are_those_decided_or_those_computed_and_marked_so() {
    let scene = start(Engine::Sqlite, now()).await;
    let decided = days(&scene, NATIONAL, "2024-04-27", "2024-05-05").await.unwrap();
    let found: Vec<_> = decided.iter().map(|day| (day.date.unwrap().day, day.kind())).collect();
    let (public, off, worked) = (Kind::Public, Kind::InLieu, Kind::SwappedWorkday);
    assert_eq!(found, [(29, off), (30, public), (1, public), (4, worked)]);
    assert!(decided.iter().all(|day| !day.estimated && !day.source.is_empty()));

    let computed = days(&scene, NATIONAL, "2030-02-01", "2030-02-28").await.unwrap();
    let tet = computed.iter().find(|one| one.date == Some(pb_date(day("2030-02-02")))).unwrap();
    assert!(tet.estimated && tet.display_name.contains("Tết"), "{tet:?}");

    // What is ordinary after all is no such day.
    amend(&scene, amendment(NATIONAL, vec![said("2030-04-30", Kind::Ordinary, "")])).await.unwrap();
    let april = days(&scene, NATIONAL, "2030-04-28", "2030-04-30").await.unwrap();
    assert_eq!(april, []);
}

#[tokio::test]
async fn an_interval_of_days_ends_after_its_beginning_and_within_ten_years() {
    let scene = start(Engine::Sqlite, now()).await;
    days(&scene, NATIONAL, "2026-01-01", "2026-01-01").await.unwrap();
    days(&scene, NATIONAL, "2026-01-01", "2036-01-01").await.unwrap();
    for (from, through) in [("2026-01-02", "2026-01-01"), ("2026-01-01", "2036-01-02")] {
        let refused = days(&scene, NATIONAL, from, through).await.unwrap_err();
        assert_eq!(fields(&refused), ["through_date"], "{from} {through}");
    }
    let mut client = scene.calendars(&["reader"]);
    let request = pb::ListCalendarDaysRequest { parent: NATIONAL.to_owned(), ..Default::default() };
    let refused = client.list_calendar_days(request).await.unwrap_err();
    assert_eq!(fields(&refused), ["from_date"]);
}

#[tokio::test]
async fn working_days_are_counted_by_the_calendar_asked_for_and_what_is_skipped_says_why() {
    let scene = start(Engine::Sqlite, now()).await;
    let plain = compute(&scene, NATIONAL, "2026-05-14", 3).await.unwrap();
    assert_eq!(plain.due_date, Some(pb_date(day("2026-05-19"))));
    let why: Vec<_> = plain.skipped_days.iter().map(|day| day.why.as_str()).collect();
    assert_eq!(why, ["Thứ Bảy", "Chủ nhật"]);
    // What has none of its own counts by the nation's.
    for province in [bac_ninh(), gia_lai()] {
        let counted = compute(&scene, &calendar_of(province), "2026-05-14", 3).await.unwrap();
        assert_eq!(counted, plain);
    }

    amend(&scene, amendment(&calendar_of(bac_ninh()), vec![storm("2026-05-19")])).await.unwrap();
    let own = compute(&scene, &calendar_of(bac_ninh()), "2026-05-14", 3).await.unwrap();
    assert_eq!(own.due_date, Some(pb_date(day("2026-05-20"))));
    assert_eq!(own.skipped_days.last().unwrap().why, "Nghỉ bão");
    assert_eq!(own.version, get(&scene, &calendar_of(bac_ninh())).await.unwrap().version);
    assert_eq!(compute(&scene, NATIONAL, "2026-05-14", 3).await.unwrap(), plain);

    let same_day = compute(&scene, NATIONAL, "2026-05-16", 0).await.unwrap();
    assert_eq!(same_day.due_date, Some(pb_date(day("2026-05-16"))));
    for bad in [-1, 10_001] {
        let refused = compute(&scene, NATIONAL, "2026-05-14", bad).await.unwrap_err();
        assert_eq!(fields(&refused), ["working_days"]);
    }
    compute(&scene, NATIONAL, "2026-05-14", 10_000).await.unwrap();
}

#[tokio::test]
async fn an_amendment_moves_what_nobody_has_submitted_and_what_was_received_keeps_its_due_time() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        scene.create(regime()).await;
        scene.world.lock().submit(commune("07210"), PERIOD, now());
        scene.waive("supervisor", commune("07228")).await.unwrap();
        let before = owed(&scene).await;
        let made = amend(&scene, amendment(NATIONAL, vec![storm("2026-05-18")])).await.unwrap();

        // What was waived is moved too: revoked, it is due as the others are.
        assert_eq!((made.moved_count, made.no_longer_due_count), (4, 0), "{engine:?}");
        let moved = pb::MovedDueTime {
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            old_due_time: end("2026-05-19"),
            new_due_time: end("2026-05-20"),
            unit_count: 4,
        };
        assert_eq!(made.moved, [moved]);
        assert_eq!(made.name, "calendars/vn/amendments/1");
        assert_eq!(made.version, get(&scene, NATIONAL).await.unwrap().version);
        assert_eq!(made.create_time, Some(pb_time(now())));
        assert_eq!(made.days[0].source, "Công điện số 45/CĐ-TTg");
        assert_eq!(amendments(&scene, "", 0).await, [made]);

        for (before, after) in before.iter().zip(owed(&scene).await) {
            let received = before.unit == commune("07210").to_string();
            let (date, generation) = if received { ("2026-05-19", 1) } else { ("2026-05-20", 2) };
            assert_eq!((after.due_time, after.due_generation), (end(date), generation));
            assert_eq!(after.original_due_time, end(date));
        }
        let noted = changes(&scene, bac_ninh(), "calendars/vn/amendments/1", 3).await;
        assert_eq!(noted.len(), 4);
        assert!(noted.iter().all(|change| {
            change.cause() == pb::due_change::Cause::CalendarAmended
                && change.reason == "Bão số 3 đổ bộ"
                && change.due_generation == 2
                && (change.old_due_time, change.new_due_time)
                    == (end("2026-05-19"), end("2026-05-20"))
        }));
        let of_one = changes(&scene, commune("07246"), "", 0).await;
        let names: Vec<_> = of_one.iter().map(|change| change.obligation.clone()).collect();
        assert_eq!(names, [obligation(commune("07246"))]);
        assert_eq!(changes(&scene, gia_lai(), "", 0).await, []);
        assert_eq!(changes(&scene, bac_ninh(), "calendars/vn/amendments/2", 0).await, []);
    }
}

#[tokio::test]
async fn a_day_taken_back_moves_due_times_back_and_both_moves_stay_noted() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        scene.create(regime()).await;
        amend(&scene, amendment(NATIONAL, vec![storm("2026-05-19")])).await.unwrap();
        let back = vec![said("2026-05-19", Kind::Ordinary, "")];
        let back = amend(&scene, amendment(NATIONAL, back)).await.unwrap();
        assert_eq!((back.name.as_str(), back.moved_count), ("calendars/vn/amendments/2", 5));
        assert!(
            owed(&scene)
                .await
                .iter()
                .all(|owed| { owed.due_time == Some(pb_time(due())) && owed.due_generation == 3 })
        );
        assert_eq!(changes(&scene, bac_ninh(), "", 2).await.len(), 10, "{engine:?}");
        assert_eq!(amendments(&scene, NATIONAL, 1).await.len(), 2);
    }
}

#[tokio::test]
async fn what_was_told_as_missing_and_is_not_due_now_is_told_again_only_by_its_new_due_time() {
    for engine in ENGINES {
        let scene = start(engine, due() - microseconds(1)).await;
        scene.create(regime()).await;
        scene.testing.clock.set(due());
        assert_eq!(scene.sweep().await.missing_count, 5);
        // Declared afterwards, of a day that is past.
        let made = amend(&scene, amendment(NATIONAL, vec![storm("2026-05-19")])).await.unwrap();
        assert_eq!((made.moved_count, made.no_longer_due_count), (5, 5), "{engine:?}");
        assert_eq!(scene.sweep().await.missing_count, 0);
        scene.testing.clock.set(due() + TimeDelta::days(1) - microseconds(1));
        assert_eq!(scene.sweep().await.missing_count, 0);
        scene.testing.clock.set(due() + TimeDelta::days(1));
        assert_eq!(scene.sweep().await.missing_count, 5);
        assert_eq!(scene.sweep().await.missing_count, 0);
    }
}

#[tokio::test]
async fn a_day_off_within_the_grace_moves_the_telling_and_not_the_due_time() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        scene.create(pb::Regime { grace_working_days: 2, ..regime() }).await;
        let made = amend(&scene, amendment(NATIONAL, vec![storm("2026-05-20")])).await.unwrap();
        assert_eq!((made.moved_count, made.moved), (0, Vec::new()), "{engine:?}");
        assert!(owed(&scene).await.iter().all(|owed| owed.due_generation == 1));
        // The 21st and the 22nd are the two working days after the 19th.
        scene.testing.clock.set(time("2026-05-22 23:59:59"));
        assert_eq!(scene.sweep().await.missing_count, 0);
        scene.testing.clock.set(time("2026-05-23 00:00:00"));
        assert_eq!(scene.sweep().await.missing_count, 5);
    }
}

#[tokio::test]
async fn an_amendment_of_a_province_moves_what_is_owed_there_and_nowhere_else() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        let everywhere = pb::Debtors { levels: vec!["commune".to_owned()], ..Default::default() };
        scene.create(pb::Regime { debtors: Some(everywhere), ..regime() }).await;
        let own = calendar_of(gia_lai());
        let made = amend(&scene, amendment(&own, vec![storm("2026-05-19")])).await.unwrap();
        assert_eq!(made.name, format!("{own}/amendments/1"));
        assert_eq!(made.moved_count, 2, "{engine:?}");
        for owed in owed(&scene).await {
            let there = BAC_NINH.iter().all(|(code, _)| owed.unit != commune(code).to_string());
            let date = if there { "2026-05-20" } else { "2026-05-19" };
            assert_eq!(owed.due_time, end(date));
        }
        // The nation's holds in the province too, where the province says nothing of the day.
        let made = amend(&scene, amendment(NATIONAL, vec![storm("2026-05-18")])).await.unwrap();
        assert_eq!((made.name.as_str(), made.moved_count), ("calendars/vn/amendments/2", 7));
        let of_own = amendments(&scene, &own, 0).await;
        assert_eq!(of_own.len(), 1);
        assert_eq!(amendments(&scene, "", 1).await.len(), 2);
    }
}

#[tokio::test]
async fn what_is_only_tried_says_what_would_move_and_changes_nothing() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        scene.create(regime()).await;
        let (before, calendar) = (owed(&scene).await, get(&scene, NATIONAL).await.unwrap());
        let request = pb::AmendCalendarRequest {
            validate_only: true,
            request_id: Uuid::new_v4().to_string(),
            ..amendment(NATIONAL, vec![storm("2026-05-19")])
        };
        let tried = amend(&scene, request.clone()).await.unwrap();
        assert_eq!(owed(&scene).await, before, "{engine:?}");
        assert_eq!(get(&scene, NATIONAL).await.unwrap(), calendar);
        assert_eq!(amendments(&scene, "", 0).await, []);
        assert_eq!(changes(&scene, bac_ninh(), "", 0).await, []);

        let made = amend(&scene, pb::AmendCalendarRequest { validate_only: false, ..request });
        let made = made.await.unwrap();
        let tried_and_made = pb::CalendarAmendment { name: made.name.clone(), ..tried };
        assert_eq!(tried_and_made, made);
    }
}

#[tokio::test]
async fn the_same_request_is_answered_the_same_and_another_by_its_id_is_refused() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        scene.create(regime()).await;
        let request = pb::AmendCalendarRequest {
            request_id: Uuid::new_v4().to_string(),
            ..amendment(NATIONAL, vec![storm("2026-05-19")])
        };
        let made = join_all((0..4).map(|_| amend(&scene, request.clone()))).await;
        let first = made[0].as_ref().unwrap();
        assert!(made.iter().all(|one| one.as_ref().unwrap() == first), "{engine:?}");
        assert_eq!(amendments(&scene, "", 0).await.len(), 1);
        let other = pb::AmendCalendarRequest { days: vec![storm("2026-05-20")], ..request };
        let refused = amend(&scene, other).await.unwrap_err();
        assert_eq!(refusal(&refused).1, "REQUEST_ID_REUSED");
    }
}

#[tokio::test]
async fn whoever_has_read_an_older_calendar_is_refused() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        let etag = get(&scene, NATIONAL).await.unwrap().etag;
        let with = |etag: &str, days| pb::AmendCalendarRequest {
            etag: etag.to_owned(),
            ..amendment(NATIONAL, days)
        };
        amend(&scene, with(&etag, vec![storm("2026-06-02")])).await.unwrap();
        let refused = amend(&scene, with(&etag, vec![storm("2026-06-03")])).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::Aborted, "ETAG_MISMATCH".to_owned()), "{engine:?}");
        let etag = get(&scene, NATIONAL).await.unwrap().etag;
        amend(&scene, with(&etag, vec![storm("2026-06-03")])).await.unwrap();
        // Of a calendar that is not there nobody has read an etag.
        let of_none = pb::AmendCalendarRequest {
            etag,
            ..amendment(&calendar_of(bac_ninh()), vec![storm("2026-06-04")])
        };
        assert_eq!(refusal(&amend(&scene, of_none).await.unwrap_err()).1, "ETAG_MISMATCH");
    }
}

#[tokio::test]
async fn two_who_amend_at_once_amend_one_after_the_other() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        scene.create(regime()).await;
        let dates = ["2026-05-15", "2026-05-18", "2026-05-19", "2026-05-20"];
        let made =
            join_all(dates.map(|date| amend(&scene, amendment(NATIONAL, vec![storm(date)]))));
        let mut names: Vec<_> = made.await.into_iter().map(|one| one.unwrap().name).collect();
        names.sort();
        let expected: Vec<_> = (1..=4).map(|n| format!("calendars/vn/amendments/{n}")).collect();
        assert_eq!(names, expected, "{engine:?}");
        // After four days off the third working day after the 14th is the 25th.
        assert!(owed(&scene).await.iter().all(|owed| owed.due_time == end("2026-05-25")));
    }
}

#[tokio::test]
async fn what_cannot_be_amended_is_refused_and_names_the_field() {
    let scene = start(Engine::Sqlite, now()).await;
    scene.create(regime()).await;
    let base = || amendment(NATIONAL, vec![storm("2026-06-02")]);
    let with = |days| pb::AmendCalendarRequest { days, ..base() };
    let hours = |morning: &str, afternoon: &str| pb::AmendCalendarRequest {
        office_hours: Some(pb::OfficeHours {
            morning: morning.to_owned(),
            afternoon: afternoon.to_owned(),
        }),
        ..base()
    };
    let undated = pb::CalendarDay { date: None, ..storm("2026-06-02") };
    let of_kind = |kind| pb::CalendarDay { kind, ..storm("2026-06-02") };
    let on = |year, month, day| pb::CalendarDay {
        date: Some(dunghan_proto::r#type::Date { year, month, day }),
        ..storm("2026-06-02")
    };
    let every: Vec<_> =
        day("2026-06-01").iter_days().take(60).map(|date| storm(&date.to_string())).collect();
    let many: Vec<_> =
        day("2026-06-01").iter_days().take(1001).map(|date| storm(&date.to_string())).collect();
    let unnamed = pb::CalendarDay { display_name: "x".repeat(201), ..storm("2026-06-02") };
    let unsourced = pb::CalendarDay { source: "x".repeat(501), ..storm("2026-06-02") };
    let twice = vec![storm("2026-06-02"), said("2026-06-02", Kind::Public, "")];
    let swapped = vec![storm("2026-06-02"), said("2026-06-03", Kind::SwappedWorkday, "")];
    const REQUIRED: &str = "REQUIRED_FIELD_MISSING";
    const FIELD: &str = "INVALID_FIELD";
    const CALENDAR: &str = "INVALID_CALENDAR";
    for (request, reason, field) in [
        (pb::AmendCalendarRequest { name: String::new(), ..base() }, REQUIRED, "name"),
        (pb::AmendCalendarRequest { name: "calendars/VN".to_owned(), ..base() }, FIELD, "name"),
        (
            pb::AmendCalendarRequest { legal_basis: String::new(), ..base() },
            REQUIRED,
            "legal_basis",
        ),
        (pb::AmendCalendarRequest { legal_basis: "x".repeat(501), ..base() }, FIELD, "legal_basis"),
        (pb::AmendCalendarRequest { reason: " ".to_owned(), ..base() }, REQUIRED, "reason"),
        (pb::AmendCalendarRequest { reason: "x".repeat(2001), ..base() }, FIELD, "reason"),
        (pb::AmendCalendarRequest { request_id: "1".to_owned(), ..base() }, FIELD, "request_id"),
        (with(Vec::new()), REQUIRED, "days"),
        (with(many), FIELD, "days"),
        (with(vec![undated]), REQUIRED, "days[0].date"),
        (with(vec![on(2026, 2, 30)]), FIELD, "days[0].date"),
        (with(vec![on(2201, 1, 1)]), FIELD, "days[0].date"),
        (with(vec![storm("2026-06-02"), on(1899, 12, 31)]), "IN_THE_PAST", "days[1].date"),
        (with(vec![on(2016, 5, 17)]), "IN_THE_PAST", "days[0].date"),
        (with(vec![of_kind(0)]), REQUIRED, "days[0].kind"),
        (with(vec![of_kind(9)]), FIELD, "days[0].kind"),
        (with(vec![unnamed]), FIELD, "days[0].display_name"),
        (with(vec![unsourced]), FIELD, "days[0].source"),
        (with(twice), CALENDAR, "days[1].date"),
        (with(swapped), CALENDAR, "days[1].kind"),
        (with(every), CALENDAR, "days"),
        (hours("", "13:30-17:00"), REQUIRED, "office_hours.morning"),
        (hours("7h30", "13:30-17:00"), FIELD, "office_hours.morning"),
        (hours("11:30-07:30", "13:30-17:00"), FIELD, "office_hours.morning"),
        (hours("07:30-11:30", "11:00-17:00"), FIELD, "office_hours.afternoon"),
        (hours("07:30-11:30", "13:30"), FIELD, "office_hours.afternoon"),
        (amendment(&calendar_of(commune("07210")), vec![storm("2026-06-02")]), FIELD, "name"),
        (amendment(&calendar_of(department()), vec![storm("2026-06-02")]), FIELD, "name"),
    ] {
        let refused = amend(&scene, request).await.unwrap_err();
        let found = (refusal(&refused), fields(&refused));
        assert_eq!(found, ((Code::InvalidArgument, reason.to_owned()), vec![field.to_owned()]));
    }
    let nobody = UnitId::new("nso", "99", None);
    let refused = amend(&scene, amendment(&calendar_of(nobody), vec![storm("2026-06-02")])).await;
    let refused = refusal(&refused.unwrap_err());
    assert_eq!(refused, (Code::NotFound, "UNKNOWN_UNIT".to_owned()));
    let refused = amend(&scene, amendment("calendars/us", vec![storm("2026-06-02")])).await;
    let refused = refusal(&refused.unwrap_err());
    assert_eq!(refused, (Code::NotFound, "UNKNOWN_CALENDAR".to_owned()));
    let usual = hours("07:30-11:30", "13:30-17:00").office_hours;
    for nothing in [
        with(vec![said("2024-05-22", Kind::Ordinary, "")]),
        pb::AmendCalendarRequest { days: Vec::new(), office_hours: usual, ..base() },
    ] {
        let refused = refusal(&amend(&scene, nothing).await.unwrap_err());
        assert_eq!(refused, (Code::FailedPrecondition, "WITHOUT_EFFECT".to_owned()));
    }
    assert_eq!(amendments(&scene, "", 0).await, []);
    assert!(owed(&scene).await.iter().all(|owed| owed.due_generation == 1));
}

#[tokio::test]
async fn a_past_day_may_be_amended_within_ten_years_or_while_something_of_its_time_is_counted() {
    let scene = start(Engine::Sqlite, now()).await;
    amend(&scene, amendment(NATIONAL, vec![storm("2016-05-18")])).await.unwrap();
    let older = || amendment(NATIONAL, vec![storm("2014-03-03")]);
    let refused = amend(&scene, older()).await.unwrap_err();
    assert_eq!(refusal(&refused).1, "IN_THE_PAST");
    let early = pb::Regime {
        from_date: Some(pb_date(day("2014-03-01"))),
        through_date: Some(pb_date(day("2014-12-31"))),
        ..regime()
    };
    scene.create(early).await;
    amend(&scene, older()).await.unwrap();
    // The window of March 2014 begins on the 15th of February.
    amend(&scene, amendment(NATIONAL, vec![storm("2014-02-17")])).await.unwrap();
    let refused = amend(&scene, amendment(NATIONAL, vec![storm("2014-02-14")])).await.unwrap_err();
    assert_eq!(refusal(&refused).1, "IN_THE_PAST");
}

#[tokio::test]
async fn only_an_operator_amends_and_only_who_reads_a_unit_sees_its_moves() {
    let scene = start(Engine::Sqlite, now()).await;
    for grant in ["reader", "reporter", "supervisor", "importer"] {
        let request = amendment(NATIONAL, vec![storm("2026-06-02")]);
        let refused = scene.calendars(&[grant]).amend_calendar(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{grant}");
    }
    let grant = format!("supervisor@{}", gia_lai());
    let mut elsewhere = scene.calendars(&[&grant]);
    let ask = |scope: UnitId| pb::ListDueChangesRequest {
        scope: scope.to_string(),
        ..Default::default()
    };
    elsewhere.list_due_changes(ask(gia_lai())).await.unwrap();
    let refused = elsewhere.list_due_changes(ask(bac_ninh())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let nobody = UnitId::new("nso", "99", None);
    let mut operator = scene.calendars(&["operator"]);
    let refused = operator.list_due_changes(ask(nobody)).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::NotFound, "UNKNOWN_UNIT".to_owned()));
}

#[tokio::test]
async fn amendments_outlast_a_restart_and_hold_for_what_is_opened_afterwards() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        amend(&scene, amendment(NATIONAL, vec![storm("2026-05-19")])).await.unwrap();
        amend(&scene, amendment(&calendar_of(bac_ninh()), vec![storm("2026-05-20")]))
            .await
            .unwrap();
        let before = get(&scene, &calendar_of(bac_ninh())).await.unwrap();
        let scene = scene.restart(now()).await;
        assert_eq!(get(&scene, &calendar_of(bac_ninh())).await.unwrap(), before, "{engine:?}");
        scene.create(regime()).await;
        assert!(
            owed(&scene)
                .await
                .iter()
                .all(|owed| { (owed.due_time, owed.due_generation) == (end("2026-05-21"), 1) })
        );
    }
}

#[tokio::test]
async fn what_one_process_amends_holds_in_every_other_from_then_on() {
    let place = Place::new(Engine::Postgres).await;
    let Location::Postgres(url) = place.location.clone() else { panic!("not PostgreSQL") };
    let one = start(Engine::Sqlite, now()).await.replica(&url, now()).await;
    let other = one.replica(&url, now()).await;
    get(&other, NATIONAL).await.unwrap();
    amend(&one, amendment(NATIONAL, vec![storm("2026-05-19")])).await.unwrap();
    let version = get(&one, NATIONAL).await.unwrap().version;
    assert_eq!(get(&other, NATIONAL).await.unwrap().version, version);
    assert_eq!(compute(&other, NATIONAL, "2026-05-14", 3).await.unwrap().version, version);
    // The other one opens by it, and counts from it.
    other.create(regime()).await;
    assert!(owed(&one).await.iter().all(|owed| owed.due_time == end("2026-05-20")));
    let made = amend(&other, amendment(NATIONAL, vec![storm("2026-05-20")])).await.unwrap();
    assert_eq!((made.name.as_str(), made.moved_count), ("calendars/vn/amendments/2", 5));
    assert!(owed(&one).await.iter().all(|owed| owed.due_time == end("2026-05-21")));
}

#[tokio::test]
async fn opening_and_amending_at_once_leaves_nothing_that_is_due_by_the_old_calendar() {
    let place = Place::new(Engine::Postgres).await;
    let Location::Postgres(url) = place.location.clone() else { panic!("not PostgreSQL") };
    let one = start(Engine::Sqlite, now()).await.replica(&url, now()).await;
    let other = one.replica(&url, now()).await;
    let dates = ["2026-05-15", "2026-05-18", "2026-05-19", "2026-05-20", "2026-05-21"];
    for (round, date) in dates.into_iter().enumerate() {
        let opened = pb::Regime { name: format!("regimes/r{round}"), ..regime() };
        let amended = amend(&one, amendment(NATIONAL, vec![storm(date)]));
        // Whichever is first: by the end both are done.
        let ((), made) = tokio::join!(async { drop(other.create(opened).await) }, amended);
        made.unwrap();
        let computed = compute(&one, NATIONAL, "2026-05-14", 3).await.unwrap().due_date.unwrap();
        let due = zone::end_of(day(&format!(
            "{:04}-{:02}-{:02}",
            computed.year, computed.month, computed.day
        )));
        let all = one
            .list(pb::ListObligationsRequest { period: PERIOD.to_owned(), ..Default::default() });
        let all = all.await;
        assert_eq!(all.len(), 5 * (round + 1));
        assert!(all.iter().all(|owed| owed.due_time == Some(pb_time(due))), "{round}");
    }
}

#[tokio::test]
async fn terms_of_dossiers_run_by_the_calendar_and_office_hours_of_the_units_province() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-29 08:00:00")).await;
        let own = calendar_of(bac_ninh());
        let shorter = pb::OfficeHours {
            morning: "08:00-11:00".to_owned(),
            afternoon: "14:00-16:00".to_owned(),
        };
        let request = pb::AmendCalendarRequest {
            office_hours: Some(shorter.clone()),
            ..amendment(&own, vec![storm("2026-05-26")])
        };
        let made = amend(&scene, request).await.unwrap();
        assert_eq!(made.office_hours, Some(shorter.clone()));
        let calendar = get(&scene, &own).await.unwrap();
        assert_eq!(calendar.office_hours, Some(shorter));

        let mut hours = dossier("H2", "2026-05-25 15:00:00");
        hours.dossier.as_mut().unwrap().term = "2h".to_owned();
        for (unit, three_days, two_hours) in [
            (commune("07210"), "2026-05-30 00:00:00", "2026-05-27 09:00:00"),
            (commune("21583"), "2026-05-29 00:00:00", "2026-05-25 17:00:00"),
        ] {
            let rows = vec![dossier("D3", "2026-05-25 09:00:00"), hours.clone()];
            scene.record(unit, rows).await.unwrap();
            for (number, due) in [("D3", three_days), ("H2", two_hours)] {
                let request = pb::GetDossierRequest {
                    name: format!("{unit}/dossiers/{number}"),
                    read_time: None,
                };
                let mut client = scene.dossiers(&["reader"]);
                let found = client.get_dossier(request).await.unwrap().into_inner();
                assert_eq!(found.due_time, Some(pb_time(time(due))), "{engine:?} {unit} {number}");
            }
        }
    }
}

#[tokio::test]
async fn an_extension_by_working_days_is_counted_anew_and_one_to_a_day_holds_as_long_as_it_reaches()
{
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        scene.create(regime()).await;
        let extension = |unit, until| pb::Decision {
            scope: commune(unit).to_string(),
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            outcome: Some(pb::decision::Outcome::Extension(pb::Extension { until: Some(until) })),
            document: "15/QĐ-UBND".to_owned(),
            reason: "Sự cố đường truyền".to_owned(),
            ..Default::default()
        };
        use pb::extension::Until;
        let two = extension("07210", Until::WorkingDays(2));
        scene.decide("supervisor", two).await.unwrap();
        let to = |date| Until::DueDate(pb_date(day(date)));
        scene.decide("supervisor", extension("07228", to("2026-05-20"))).await.unwrap();
        scene.decide("supervisor", extension("07246", to("2026-06-15"))).await.unwrap();
        let made =
            amend(&scene, amendment(NATIONAL, vec![storm("2026-05-19"), storm("2026-05-20")]));
        let made = made.await.unwrap();
        for owed in owed(&scene).await {
            let (original, due) = match owed.unit {
                unit if unit == commune("07210").to_string() => ("2026-05-21", "2026-05-25"),
                unit if unit == commune("07228").to_string() => ("2026-05-21", "2026-05-21"),
                unit if unit == commune("07246").to_string() => ("2026-05-21", "2026-06-15"),
                _ => ("2026-05-21", "2026-05-21"),
            };
            assert_eq!((owed.original_due_time, owed.due_time), (end(original), end(due)));
        }
        // The one to the 15th of June has not moved.
        assert_eq!(made.moved_count, 4, "{engine:?}");
        let olds: Vec<_> =
            made.moved.iter().map(|one| (one.old_due_time, one.unit_count)).collect();
        assert_eq!(olds, [(end("2026-05-19"), 2), (end("2026-05-20"), 1), (end("2026-05-21"), 1)]);
    }
}
