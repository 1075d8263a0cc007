//! `GetDossier`, `ListOverdueDossiers`, `SummarizeDossiers`.

use chrono::{DateTime, Utc};
use dunghan_hierarchy::UnitId;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::dossier::{Channel, Outcome};
use dunghan_proto::compliance::record_dossiers_request::Row;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, fields, refusal};
use tonic::{Code, Status};

use crate::world::{
    Scene, bac_ninh, commune, day, department, dossier, gia_lai, microseconds, resolved, start,
    time,
};

fn own() -> UnitId {
    commune("07210")
}

fn stamp(text: &str) -> Option<prost_types::Timestamp> {
    Some(field::pb_time(time(text)))
}

async fn get(
    scene: &Scene,
    grant: &str,
    name: &str,
    at: Option<DateTime<Utc>>,
) -> Result<pb::Dossier, Status> {
    let request =
        pb::GetDossierRequest { name: name.to_owned(), read_time: at.map(field::pb_time) };
    Ok(scene.dossiers(&[grant]).get_dossier(request).await?.into_inner())
}

async fn overdue(scene: &Scene, scope: UnitId, at: &str, page_size: i32) -> Vec<pb::Dossier> {
    let mut request = pb::ListOverdueDossiersRequest {
        scope: scope.to_string(),
        read_time: stamp(at),
        page_size,
        page_token: String::new(),
    };
    let mut all = Vec::new();
    loop {
        let mut client = scene.dossiers(&["operator"]);
        let page = client.list_overdue_dossiers(request.clone()).await.unwrap().into_inner();
        all.extend(page.dossiers);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

fn of(row: Row, field: &str, channel: Channel) -> Row {
    let dossier = row.dossier.map(|dossier| pb::Dossier {
        field: field.to_owned(),
        channel: channel.into(),
        ..dossier
    });
    Row { dossier, ..row }
}

#[tokio::test]
async fn a_dossier_is_shown_as_it_stands_at_the_moment_asked_for() {
    for engine in ENGINES {
        let scene = start(engine, time("2024-05-31 17:00:00")).await;
        // Four days before units of this world begin; so one whose beginning nobody knows.
        let open = dunghan_hierarchy::Validity::OPEN;
        scene.world.lock().import(crate::world::unit("24", "Tỉnh Bắc Ninh", None, open));
        let unit = crate::world::unit("07210", "Phường Bắc Giang", Some(bac_ninh()), open);
        scene.world.lock().import(unit);
        scene.sweep().await;
        let row = dossier("H08.25-240507-0001", "2024-05-07 09:00:00");
        let row = resolved(row, "2024-05-09 10:00:00", Some("2024-05-15 09:00:00"));
        assert_eq!(scene.record(own(), vec![row]).await.unwrap().created_count, 1);
        let name = format!("{}/dossiers/H08.25-240507-0001", own());
        let now = get(&scene, "operator", &name, None).await.unwrap();
        let expected = pb::Dossier {
            name: name.clone(),
            field: "Hộ tịch".to_owned(),
            channel: Channel::Online.into(),
            receive_time: stamp("2024-05-07 09:00:00"),
            term: "3d".to_owned(),
            due_time: stamp("2024-05-11 00:00:00"),
            complete_time: stamp("2024-05-09 10:00:00"),
            record_time: stamp("2024-05-15 09:00:00"),
            outcome: Outcome::Overdue.into(),
            outcome_in_fact: Outcome::Early.into(),
            working_days_late: 3,
            due_date: Some(field::pb_date(day("2024-05-10"))),
            due_changes: Vec::new(),
        };
        assert_eq!(now, expected, "{engine:?}");
        let due = time("2024-05-11 00:00:00");
        for (at, outcome, in_fact, late) in [
            (time("2024-05-08 08:00:00"), Outcome::InTime, Outcome::InTime, 0),
            (due - microseconds(1), Outcome::InTime, Outcome::Early, 0),
            (due, Outcome::PendingOverdue, Outcome::Early, 0),
            (time("2024-05-13 08:00:00"), Outcome::PendingOverdue, Outcome::Early, 1),
            (time("2024-05-15 09:00:00"), Outcome::Overdue, Outcome::Early, 3),
        ] {
            let then = get(&scene, "operator", &name, Some(at)).await.unwrap();
            let stood = (then.outcome(), then.outcome_in_fact(), then.working_days_late);
            assert_eq!(stood, (outcome, in_fact, late), "{engine:?} {at}");
            // What happened later is not told of then.
            let told = (then.complete_time.is_some(), then.record_time.is_some());
            let completed = at >= time("2024-05-09 10:00:00");
            assert_eq!(told, (completed, at >= time("2024-05-15 09:00:00")), "{engine:?} {at}");
        }
    }
}

#[tokio::test]
async fn a_term_runs_in_working_days_in_hours_or_until_the_office_closes() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-29 17:00:00")).await;
        let of_term = |number: &str, received: &str, term: &str| {
            let row = dossier(number, received);
            let dossier =
                row.dossier.map(|dossier| pb::Dossier { term: term.to_owned(), ..dossier });
            Row { dossier, ..row }
        };
        // Thursday the 30th and Friday the 1st are holidays.
        let rows = [
            ("days", "2026-04-29 09:00:00", "1d", "2026-05-05 00:00:00"),
            ("hours", "2026-05-04 16:00:00", "2h", "2026-05-05 08:30:00"),
            ("same-day", "2026-05-04 15:00:00", "same-day", "2026-05-04 17:00:00"),
            ("next-day", "2026-05-04 15:00:01", "same-day", "2026-05-05 17:00:00"),
        ];
        let sent = rows.iter().map(|(number, received, term, _)| of_term(number, received, term));
        scene.record(own(), sent.collect()).await.unwrap();
        for (number, _, term, due) in rows {
            let name = format!("{}/dossiers/{number}", own());
            let dossier = get(&scene, "operator", &name, None).await.unwrap();
            assert_eq!((dossier.term.as_str(), dossier.due_time), (term, stamp(due)), "{engine:?}");
        }
    }
}

#[tokio::test]
async fn a_dossier_that_nobody_recorded_is_not_found_and_a_neighbour_is_told_nothing() {
    let scene = start(Engine::Sqlite, time("2026-05-29 17:00:00")).await;
    scene.record(own(), vec![dossier("H1", "2026-05-04 08:00:00")]).await.unwrap();
    let of = |unit: UnitId, number: &str| format!("{unit}/dossiers/{number}");
    let supervisor = format!("supervisor@{}", bac_ninh());
    assert!(get(&scene, &supervisor, &of(own(), "H1"), None).await.is_ok());
    let unknown = UnitId::new("nso", "99999", None);
    for (grant, name, code, reason) in [
        (supervisor.as_str(), of(own(), "H2"), Code::NotFound, "DOSSIER_NOT_FOUND"),
        // The number's letters matter.
        (&supervisor, of(own(), "h1"), Code::NotFound, "DOSSIER_NOT_FOUND"),
        (&supervisor, of(commune("07228"), "H1"), Code::NotFound, "DOSSIER_NOT_FOUND"),
        (&supervisor, of(commune("21733"), "H1"), Code::PermissionDenied, "OUT_OF_SCOPE"),
        (&supervisor, of(unknown, "H1"), Code::PermissionDenied, "OUT_OF_SCOPE"),
        ("operator", of(unknown, "H1"), Code::NotFound, "UNKNOWN_UNIT"),
        ("supervisor@regimes/cds-24", of(own(), "H1"), Code::PermissionDenied, "OUT_OF_SCOPE"),
        ("reporter", of(own(), "H1"), Code::PermissionDenied, "ROLE_MISSING"),
    ] {
        let status = get(&scene, grant, &name, None).await.unwrap_err();
        assert_eq!(refusal(&status), (code, reason.to_owned()), "{grant} {name}");
    }
    for bad in ["", "H1", &own().to_string(), &of(own(), ""), &of(own(), "a/b")] {
        let status = get(&scene, "operator", bad, None).await.unwrap_err();
        assert_eq!(
            (status.code(), fields(&status)),
            (Code::InvalidArgument, vec!["name".to_owned()])
        );
    }
}

#[tokio::test]
async fn overdue_dossiers_of_a_subtree_are_listed_the_longest_due_first() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-29 17:00:00")).await;
        let (first, second) = (commune("07210"), commune("07228"));
        // Due on the 7th, the 8th and the 12th of May.
        let received = ["2026-05-04 08:00:00", "2026-05-05 08:00:00", "2026-05-07 08:00:00"];
        let late_in_the_system =
            resolved(dossier("h", received[0]), "2026-05-06 08:00:00", Some("2026-05-14 08:00:00"));
        let on_time = resolved(
            dossier("done", received[0]),
            "2026-05-07 08:00:00",
            Some("2026-05-07 09:00:00"),
        );
        scene
            .record(
                first,
                vec![
                    dossier("9", received[2]),
                    dossier("10", received[0]),
                    dossier("A", received[0]),
                    late_in_the_system,
                    on_time,
                ],
            )
            .await
            .unwrap();
        scene
            .record(second, vec![dossier("1", received[1]), dossier("2", received[0])])
            .await
            .unwrap();
        scene.record(commune("21733"), vec![dossier("1", received[0])]).await.unwrap();

        let names = |dossiers: &[pb::Dossier]| -> Vec<String> {
            dossiers.iter().map(|one| one.name.clone()).collect()
        };
        let of = |unit: UnitId, number: &str| format!("{unit}/dossiers/{number}");
        // On one due time by unit; of one unit by the number's bytes, whatever the database's locale.
        let mut on_the_7th = [
            (first, vec![of(first, "10"), of(first, "A"), of(first, "h")]),
            (second, vec![of(second, "2")]),
        ];
        on_the_7th.sort_by_key(|(unit, _)| *unit);
        let on_the_7th: Vec<_> = on_the_7th.into_iter().flat_map(|(_, names)| names).collect();
        let after_the_14th: Vec<_> =
            on_the_7th.iter().filter(|name| **name != of(first, "h")).cloned().collect();
        let rest = [of(second, "1"), of(first, "9")];

        assert!(overdue(&scene, bac_ninh(), "2026-05-07 23:59:59", 0).await.is_empty());
        assert_eq!(names(&overdue(&scene, bac_ninh(), "2026-05-08 00:00:00", 0).await), on_the_7th);
        let at_the_13th = [&on_the_7th[..], &rest[..]].concat();
        assert_eq!(
            names(&overdue(&scene, bac_ninh(), "2026-05-13 00:00:00", 0).await),
            at_the_13th
        );
        let now = overdue(&scene, bac_ninh(), "2026-05-20 08:00:00", 0).await;
        assert_eq!(names(&now), [&after_the_14th[..], &rest[..]].concat(), "{engine:?}");
        assert!(now.iter().all(|one| one.outcome() == Outcome::PendingOverdue));
        // Wednesday the 20th: nine working days after the 7th, eight after the 8th, six after the 12th.
        let late: Vec<_> = now.iter().map(|one| one.working_days_late).collect();
        assert_eq!(late, [9, 9, 9, 8, 6], "{engine:?}");
        for page_size in [1, 2, 5] {
            assert_eq!(overdue(&scene, bac_ninh(), "2026-05-20 08:00:00", page_size).await, now);
        }
        assert_eq!(overdue(&scene, second, "2026-05-20 08:00:00", 0).await.len(), 2);
        assert_eq!(overdue(&scene, gia_lai(), "2026-05-20 08:00:00", 0).await.len(), 1);
        assert!(overdue(&scene, department(), "2026-05-20 08:00:00", 0).await.is_empty());
    }
}

#[tokio::test]
async fn a_unit_that_has_ended_still_answers_for_what_it_and_those_below_left_pending() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-04 09:00:00")).await;
        scene.record(own(), vec![dossier("H1", "2026-05-04 08:00:00")]).await.unwrap();
        scene.world.lock().end(bac_ninh(), day("2026-05-06"));
        scene.testing.clock.set(time("2026-05-08 08:00:00"));
        scene.sweep().await;
        for scope in [own(), bac_ninh()] {
            let [pending] =
                overdue(&scene, scope, "2026-05-08 08:00:00", 10).await.try_into().unwrap();
            assert!(pending.name.ends_with("/dossiers/H1"), "{engine:?} {scope}");
        }
    }
}

#[tokio::test]
async fn an_overdue_list_is_for_who_may_read_the_scope_and_its_token_for_its_own_call() {
    let scene = start(Engine::Sqlite, time("2026-05-29 17:00:00")).await;
    let rows = vec![dossier("1", "2026-05-04 08:00:00"), dossier("2", "2026-05-04 08:00:00")];
    scene.record(own(), rows).await.unwrap();
    let ask = async |grant: &str, request: pb::ListOverdueDossiersRequest| {
        scene.dossiers(&[grant]).list_overdue_dossiers(request).await
    };
    let of = |scope: String| pb::ListOverdueDossiersRequest {
        scope,
        page_size: 1,
        ..Default::default()
    };
    let supervisor = format!("supervisor@{}", bac_ninh());
    let unknown = UnitId::new("nso", "99999", None).to_string();
    for (grant, scope, code, reason) in [
        (supervisor.as_str(), gia_lai().to_string(), Code::PermissionDenied, "OUT_OF_SCOPE"),
        (&supervisor, unknown.clone(), Code::PermissionDenied, "OUT_OF_SCOPE"),
        ("operator", unknown, Code::NotFound, "UNKNOWN_UNIT"),
        ("operator", String::new(), Code::InvalidArgument, "REQUIRED_FIELD_MISSING"),
        ("operator", "24".to_owned(), Code::InvalidArgument, "INVALID_FIELD"),
    ] {
        let status = ask(grant, of(scope)).await.unwrap_err();
        assert_eq!(refusal(&status), (code, reason.to_owned()));
    }
    let first = of(bac_ninh().to_string());
    let page = ask(&supervisor, first.clone()).await.unwrap().into_inner();
    let next = pb::ListOverdueDossiersRequest { page_token: page.next_page_token, ..first };
    assert_eq!(ask(&supervisor, next.clone()).await.unwrap().into_inner().dossiers.len(), 1);
    let other = pb::ListOverdueDossiersRequest { scope: own().to_string(), ..next };
    assert_eq!(refusal(&ask(&supervisor, other).await.unwrap_err()).1, "INVALID_PAGE_TOKEN");
}

fn row(field: &str, columns: [i32; 11]) -> pb::SummaryRow {
    let [
        to_process,
        online,
        direct,
        carried,
        resolved,
        early,
        on_time,
        overdue,
        pending,
        in_time,
        late,
    ] = columns;
    pb::SummaryRow {
        field: field.to_owned(),
        to_process,
        received_online: online,
        received_direct_or_postal: direct,
        carried_over: carried,
        resolved,
        resolved_early: early,
        resolved_on_time: on_time,
        resolved_overdue: overdue,
        pending,
        pending_in_time: in_time,
        pending_overdue: late,
    }
}

#[tokio::test]
async fn form_ii_06a_is_counted_as_recorded_and_in_fact() {
    use Channel::{DirectOrPostal, Online};
    for engine in ENGINES {
        let scene = start(engine, time("2026-06-20 08:00:00")).await;
        let (civil, land, building) = ("Hộ tịch", "Đất đai", "Xây dựng");
        let long = |row: Row| {
            let dossier =
                row.dossier.map(|dossier| pb::Dossier { term: "5d".to_owned(), ..dossier });
            Row { dossier, ..row }
        };
        // The second quarter is 15 March to 14 June.
        let rows = vec![
            // Carried over, and still pending.
            of(dossier("a", "2026-03-10 08:00:00"), civil, Online),
            // Resolved the day before the window begins: gone.
            of(
                resolved(
                    dossier("b", "2026-03-12 08:00:00"),
                    "2026-03-14 08:00:00",
                    Some("2026-03-14 23:59:59"),
                ),
                civil,
                Online,
            ),
            // Early.
            of(
                resolved(
                    dossier("c", "2026-03-16 08:00:00"),
                    "2026-03-17 08:00:00",
                    Some("2026-03-17 09:00:00"),
                ),
                civil,
                Online,
            ),
            // On the due day.
            of(
                resolved(
                    dossier("d", "2026-03-16 08:00:00"),
                    "2026-03-19 08:00:00",
                    Some("2026-03-19 16:00:00"),
                ),
                land,
                DirectOrPostal,
            ),
            // On the due day in fact, late in the system.
            of(
                resolved(
                    dossier("e", "2026-03-16 08:00:00"),
                    "2026-03-19 08:00:00",
                    Some("2026-03-23 08:00:00"),
                ),
                land,
                Online,
            ),
            // Pending, and due only after the window.
            long(of(dossier("f", "2026-06-12 08:00:00"), building, DirectOrPostal)),
            // Received after the window.
            of(dossier("g", "2026-06-15 00:00:00"), civil, Online),
            // Done in fact before the window, in the system within it, and late there.
            of(
                resolved(
                    dossier("h", "2026-03-10 08:00:00"),
                    "2026-03-13 08:00:00",
                    Some("2026-03-20 08:00:00"),
                ),
                civil,
                Online,
            ),
        ];
        assert_eq!(scene.record(own(), rows).await.unwrap().created_count, 8);
        // Another unit's are not counted.
        scene.record(commune("07228"), vec![dossier("a", "2026-04-01 08:00:00")]).await.unwrap();
        let supervisor = format!("supervisor@{}", bac_ninh());
        let request = pb::SummarizeDossiersRequest {
            parent: own().to_string(),
            period: "2026Q2".to_owned(),
            fields: ["Chứng thực", land, civil, land].map(str::to_owned).to_vec(),
        };
        let mut client = scene.dossiers(&[&supervisor]);
        let summary = client.summarize_dossiers(request).await.unwrap().into_inner();
        assert_eq!((summary.unit, summary.period), (own().to_string(), "2026Q2".to_owned()));
        //       to process, online, direct, carried; resolved, early, on time, overdue; pending, in time, overdue
        let recorded = [
            row("Chứng thực", [0; 11]),
            row(land, [2, 1, 1, 0, 2, 0, 1, 1, 0, 0, 0]),
            row(civil, [3, 1, 0, 2, 2, 1, 0, 1, 1, 0, 1]),
            row(building, [1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0]),
        ];
        assert_eq!(summary.recorded_rows, recorded, "{engine:?}");
        let total = row("Tổng số", [6, 2, 2, 2, 4, 1, 1, 2, 2, 1, 1]);
        assert_eq!(summary.recorded_total, Some(total), "{engine:?}");
        let in_fact = [
            row("Chứng thực", [0; 11]),
            row(land, [2, 1, 1, 0, 2, 0, 2, 0, 0, 0, 0]),
            row(civil, [2, 1, 0, 1, 1, 1, 0, 0, 1, 0, 1]),
            row(building, [1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0]),
        ];
        assert_eq!(summary.in_fact_rows, in_fact, "{engine:?}");
        let total = row("Tổng số", [5, 2, 2, 1, 3, 1, 2, 0, 2, 1, 1]);
        assert_eq!(summary.in_fact_total, Some(total), "{engine:?}");
    }
}

#[tokio::test]
async fn a_summary_of_nothing_is_zeros_and_what_does_not_read_is_named() {
    let scene = start(Engine::Sqlite, time("2026-06-20 08:00:00")).await;
    let ask = async |grant: &str, parent: String, period: &str, fields: usize| {
        let request = pb::SummarizeDossiersRequest {
            parent,
            period: period.to_owned(),
            fields: vec!["Hộ tịch".to_owned(); fields],
        };
        scene.dossiers(&[grant]).summarize_dossiers(request).await
    };
    let own = || own().to_string();
    let summary = ask("reader", own(), "2026-01-01--2026-02-28", 1).await.unwrap().into_inner();
    assert_eq!(summary.recorded_rows, [row("Hộ tịch", [0; 11])]);
    assert_eq!(summary.in_fact_total, Some(row("Tổng số", [0; 11])));
    let summary = ask("reader", own(), "2026", 0).await.unwrap().into_inner();
    assert!(summary.recorded_rows.is_empty() && summary.in_fact_rows.is_empty());
    let unknown = || UnitId::new("nso", "99999", None).to_string();
    let supervisor = format!("supervisor@{}", gia_lai());
    for (grant, parent, period, many, code, reason) in [
        ("reader", String::new(), "2026", 0, Code::InvalidArgument, "REQUIRED_FIELD_MISSING"),
        ("reader", "24".to_owned(), "2026", 0, Code::InvalidArgument, "INVALID_FIELD"),
        ("reader", own(), "", 0, Code::InvalidArgument, "REQUIRED_FIELD_MISSING"),
        ("reader", own(), "2026Q5", 0, Code::InvalidArgument, "INVALID_PERIOD"),
        ("reader", own(), "2026", 501, Code::InvalidArgument, "INVALID_FIELD"),
        ("reader", unknown(), "2026", 0, Code::NotFound, "UNKNOWN_UNIT"),
        (&supervisor, own(), "2026", 0, Code::PermissionDenied, "OUT_OF_SCOPE"),
        (&supervisor, unknown(), "2026", 0, Code::PermissionDenied, "OUT_OF_SCOPE"),
    ] {
        let status = ask(grant, parent, period, many).await.unwrap_err();
        assert_eq!(refusal(&status), (code, reason.to_owned()), "{period} {many}");
    }
}
