//! Due times of dossiers follow the calendar until their completion is recorded.

use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::dossier::Outcome;
use dunghan_proto::compliance::record_dossiers_request::Row;
use dunghan_rpc::field::pb_time;
use dunghan_testkit::{ENGINES, Engine};

use crate::world::{Scene, bac_ninh, commune, department, dossier, resolved, start, time};

const NATIONAL: &str = "calendars/vn";

fn storm(calendar: String, dates: &[&str]) -> pb::AmendCalendarRequest {
    let days = dates.iter().map(|date| pb::CalendarDay {
        date: Some(dunghan_rpc::field::pb_date(crate::world::day(date))),
        kind: pb::calendar_day::Kind::InLieu.into(),
        display_name: "Nghỉ bão".to_owned(),
        estimated: false,
        source: "Công điện số 1".to_owned(),
    });
    pb::AmendCalendarRequest {
        name: calendar,
        days: days.collect(),
        legal_basis: "Công điện số 1".to_owned(),
        reason: "Bão số 3".to_owned(),
        ..Default::default()
    }
}

fn own_calendar() -> String {
    bac_ninh().to_string().replace("units/", "calendars/")
}

async fn amend(scene: &Scene, request: pb::AmendCalendarRequest) -> pb::CalendarAmendment {
    scene.calendars(&["operator"]).amend_calendar(request).await.unwrap().into_inner()
}

async fn get(scene: &Scene, unit: &str, number: &str) -> pb::Dossier {
    let name = format!("{}/dossiers/{number}", commune(unit));
    let request = pb::GetDossierRequest { name, read_time: None };
    scene.dossiers(&["reader"]).get_dossier(request).await.unwrap().into_inner()
}

fn with_term(mut row: Row, term: &str) -> Row {
    if let Some(dossier) = &mut row.dossier {
        dossier.term = term.to_owned();
    }
    row
}

#[tokio::test]
async fn what_nobody_has_recorded_follows_its_provinces_calendar_and_tells_when_and_why_it_moved() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-26 08:00:00")).await;
        let rows = || {
            let done = resolved(
                dossier("DONE", "2026-05-25 09:00:00"),
                "2026-05-25 10:00:00",
                Some("2026-05-25 11:00:00"),
            );
            let hours = with_term(dossier("H8", "2026-05-25 15:00:00"), "8h");
            vec![dossier("D3", "2026-05-25 09:00:00"), hours, done]
        };
        scene.record(commune("07210"), rows()).await.unwrap();
        scene.record(commune("21583"), rows()).await.unwrap();
        let tried = pb::AmendCalendarRequest {
            validate_only: true,
            ..storm(own_calendar(), &["2026-05-26", "2026-05-27"])
        };
        let tried = amend(&scene, tried).await;
        let made = amend(&scene, storm(own_calendar(), &["2026-05-26", "2026-05-27"])).await;
        for one in [&tried, &made] {
            let counts = (one.moved_dossier_count, one.no_longer_due_dossier_count);
            assert_eq!(counts, (2, 0), "{engine:?}");
        }
        for (unit, number, before, due) in [
            ("07210", "D3", "2026-05-29 00:00:00", "2026-06-02 00:00:00"),
            ("07210", "H8", "2026-05-26 15:30:00", "2026-05-28 15:30:00"),
            ("07210", "DONE", "2026-05-29 00:00:00", "2026-05-29 00:00:00"),
            ("21583", "D3", "2026-05-29 00:00:00", "2026-05-29 00:00:00"),
        ] {
            let found = get(&scene, unit, number).await;
            let what = format!("{engine:?} {unit} {number}");
            assert_eq!(found.due_time, Some(pb_time(time(due))), "{what}");
            let moves: Vec<_> = found
                .due_changes
                .iter()
                .map(|one| (one.old_due_time, one.new_due_time, one.amendment.as_str()))
                .collect();
            let moved = (Some(pb_time(time(before))), found.due_time, made.name.as_str());
            let expected = if before == due { vec![] } else { vec![moved] };
            assert_eq!(moves, expected, "{what}");
            let why = found.due_changes.iter().all(|one| {
                one.reason == "Bão số 3"
                    && one.author == made.author
                    && one.create_time == made.create_time
            });
            assert!(why, "{what}");
        }
        // A row that comes again knows nothing of it.
        let again = scene.record(commune("07210"), rows()).await.unwrap();
        assert_eq!(again.unchanged_count, 3);
        // The listed amendment says the same as the answer did.
        let request =
            pb::ListCalendarAmendmentsRequest { parent: own_calendar(), ..Default::default() };
        let listed =
            scene.calendars(&["operator"]).list_calendar_amendments(request).await.unwrap();
        assert_eq!(listed.into_inner().amendments, [made]);
    }
}

#[tokio::test]
async fn what_was_told_as_overdue_and_is_due_later_is_told_again_and_what_is_overdue_all_the_same_is_not()
 {
    for engine in ENGINES {
        // D3 was due at the end of the 28th, D1 at the end of the 26th.
        let scene = start(engine, time("2026-05-29 08:00:00")).await;
        let rows = vec![
            dossier("D3", "2026-05-25 09:00:00"),
            with_term(dossier("D1", "2026-05-25 09:00:00"), "1d"),
        ];
        scene.record(commune("07210"), rows).await.unwrap();
        let told = async || {
            scene.sweep().await;
            let notices = scene.told(bac_ninh()).await;
            notices.iter().map(|notice| notice.subjects.len()).sum::<usize>()
        };
        assert_eq!(told().await, 2, "{engine:?}");
        let made = amend(&scene, storm(NATIONAL.to_owned(), &["2026-05-27"])).await;
        let counts = (made.moved_dossier_count, made.no_longer_due_dossier_count);
        assert_eq!(counts, (1, 1), "{engine:?}");
        assert_eq!(get(&scene, "07210", "D3").await.outcome(), Outcome::InTime);
        assert_eq!(told().await, 2, "{engine:?}: not due yet");
        // Moved, and overdue still.
        scene.testing.clock.set(time("2026-06-01 08:00:00"));
        assert_eq!(told().await, 3, "{engine:?}: due again");
        amend(&scene, storm(NATIONAL.to_owned(), &["2026-05-26"])).await;
        assert_eq!(told().await, 3, "{engine:?}: D1 was told");
        scene.testing.clock.set(time("2026-06-02 08:00:00"));
        assert_eq!(told().await, 4, "{engine:?}: D3 is due a third time");
        assert_eq!(scene.told(department()).await, []);
    }
}

#[tokio::test]
async fn dossiers_that_come_in_while_calendars_are_amended_are_due_by_the_last_of_them() {
    const ROUNDS: usize = 6;
    let dates =
        ["2026-05-26", "2026-05-27", "2026-05-28", "2026-06-01", "2026-06-02", "2026-06-03"];
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let scene = start(engine, time("2026-05-25 17:30:00")).await;
        let amending = async {
            for date in dates {
                amend(&scene, storm(NATIONAL.to_owned(), &[date])).await;
            }
        };
        let recording = async |unit: &'static str| {
            for round in 0..ROUNDS {
                let rows =
                    (0..50).map(|row| dossier(&format!("D{round}-{row}"), "2026-05-25 09:00:00"));
                scene.record(commune(unit), rows.collect()).await.unwrap();
            }
        };
        tokio::join!(amending, recording("07210"), recording("07228"));
        for unit in ["07210", "07228"] {
            for round in 0..ROUNDS {
                let found = get(&scene, unit, &format!("D{round}-49")).await;
                // The 29th, and the 4th and 5th of June.
                let due = Some(pb_time(time("2026-06-06 00:00:00")));
                assert_eq!(found.due_time, due, "{engine:?} {unit} {round}");
            }
        }
    }
}
