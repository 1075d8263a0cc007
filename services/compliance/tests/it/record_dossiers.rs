//! `RecordDossiers`: a stream is taken in as a whole or not at all, and every bad row is named.

use dunghan_hierarchy::{UnitId, Validity};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::ErrorReason;
use dunghan_proto::compliance::record_dossiers_request::{Header, Message, Row};
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, fields, refusal};
use futures::StreamExt as _;
use futures::future::join_all;
use tonic::{Code, Status};

use crate::world::{
    Scene, bac_ninh, commune, day, dossier, first_day, gia_lai, resolved, start, stream, time, unit,
};

const RECEIVED: &str = "2026-05-04 08:00:00";

fn own() -> UnitId {
    commune("07210")
}

async fn scene(engine: Engine) -> Scene {
    start(engine, time("2026-05-29 17:00:00")).await
}

async fn send(
    scene: &Scene,
    grant: &str,
    messages: Vec<pb::RecordDossiersRequest>,
) -> Result<pb::RecordDossiersResponse, Status> {
    let mut client = scene.dossiers(&[grant]);
    Ok(client.record_dossiers(tokio_stream::iter(messages)).await?.into_inner())
}

async fn get(scene: &Scene, number: &str) -> Result<pb::Dossier, Status> {
    let name = format!("{}/dossiers/{number}", own());
    let request = pb::GetDossierRequest { name, read_time: None };
    Ok(scene.dossiers(&["operator"]).get_dossier(request).await?.into_inner())
}

fn counts(response: &pb::RecordDossiersResponse) -> (i32, i32, i32, i32) {
    assert!(response.problems.is_empty(), "{:?}", response.problems);
    (
        response.received_count,
        response.created_count,
        response.updated_count,
        response.unchanged_count,
    )
}

fn changed(mut row: Row, change: impl FnOnce(&mut pb::Dossier)) -> Row {
    change(row.dossier.as_mut().unwrap());
    row
}

#[tokio::test]
async fn a_later_row_adds_what_was_not_known_and_the_same_row_changes_nothing() {
    for engine in ENGINES {
        let scene = scene(engine).await;
        let pending = |number: &str| dossier(number, RECEIVED);
        let done = |number: &str, record| resolved(pending(number), "2026-05-06 10:00:00", record);
        let recorded = Some("2026-05-11 09:00:00");
        let first = vec![pending("1"), pending("2"), done("3", None), done("4", recorded)];
        let response = scene.record(own(), first).await.unwrap();
        assert_eq!(counts(&response), (4, 4, 0, 0), "{engine:?}");
        let second = vec![
            pending("1"),
            done("2", None),
            done("3", recorded),
            pending("4"),
            done("5", recorded),
        ];
        let response = scene.record(own(), second.clone()).await.unwrap();
        assert_eq!(counts(&response), (5, 1, 2, 2), "{engine:?}");
        let response = scene.record(own(), second).await.unwrap();
        assert_eq!(counts(&response), (5, 0, 0, 5), "{engine:?}");
        let four = get(&scene, "4").await.unwrap();
        assert_eq!(four.record_time, Some(field::pb_time(time("2026-05-11 09:00:00"))));
        assert_eq!(get(&scene, "2").await.unwrap().record_time, None);
        // A system without a time of its own for the completion has it done when it is recorded.
        let mut only_recorded = pending("6");
        only_recorded = changed(only_recorded, |dossier| {
            dossier.record_time = Some(field::pb_time(time("2026-05-11 09:00:00")));
        });
        scene.record(own(), vec![only_recorded]).await.unwrap();
        let six = get(&scene, "6").await.unwrap();
        assert_eq!((six.complete_time, six.record_time), (six.record_time, six.record_time));
        // The number is the unit's own: elsewhere it is another dossier.
        let response = scene.record(commune("07228"), vec![pending("1")]).await.unwrap();
        assert_eq!(counts(&response), (1, 1, 0, 0));
        assert_eq!(counts(&scene.record(own(), Vec::new()).await.unwrap()), (0, 0, 0, 0));
    }
}

#[tokio::test]
async fn every_bad_row_is_named_with_all_that_is_wrong_and_nothing_is_applied() {
    use ErrorReason::{
        DuplicateRow, RecordIsFinal, RowInvalid, TimeInFuture, TimesReversed, UnitNotValid,
    };
    for engine in ENGINES {
        let scene = scene(engine).await;
        let pending = |number: &str| dossier(number, RECEIVED);
        let known = resolved(pending("known"), "2026-05-06 10:00:00", Some("2026-05-07 10:00:00"));
        scene.record(own(), vec![known.clone(), pending("open")]).await.unwrap();

        let stamp = |text: &str| Some(field::pb_time(time(text)));
        let far = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
        let rows: Vec<(Row, Vec<(&str, ErrorReason)>)> = vec![
            (pending("good"), vec![]),
            (dossier("future", "2026-05-29 17:00:01"), vec![("receive_time", TimeInFuture)]),
            (dossier("now", "2026-05-29 17:00:00"), vec![]),
            (
                resolved(pending("future-2"), "2026-05-30 08:00:00", Some("2026-05-30 09:00:00")),
                vec![("complete_time", TimeInFuture), ("record_time", TimeInFuture)],
            ),
            (
                resolved(pending("reversed"), "2026-05-04 07:59:59", None),
                vec![("complete_time", TimesReversed)],
            ),
            (
                resolved(pending("reversed-2"), "2026-05-05 08:00:00", Some("2026-05-05 07:59:59")),
                vec![("record_time", TimesReversed)],
            ),
            (pending(""), vec![("dossier_id", RowInvalid)]),
            (pending("a/b"), vec![("dossier_id", RowInvalid)]),
            (pending(&"1".repeat(65)), vec![("dossier_id", RowInvalid)]),
            (pending(&"1".repeat(64)), vec![]),
            (
                changed(pending("term"), |dossier| dossier.term = "3 days".to_owned()),
                vec![("term", RowInvalid)],
            ),
            (
                changed(pending("channel"), |dossier| dossier.channel = 0),
                vec![("channel", RowInvalid)],
            ),
            (
                changed(pending("channel-2"), |dossier| dossier.channel = 9),
                vec![("channel", RowInvalid)],
            ),
            (
                changed(pending("field"), |dossier| dossier.field = " ".to_owned()),
                vec![("field", RowInvalid)],
            ),
            (
                changed(pending("field-2"), |dossier| dossier.field = "đ".repeat(201)),
                vec![("field", RowInvalid)],
            ),
            (
                changed(pending("field-nul"), |dossier| dossier.field = "a\0b".to_owned()),
                vec![("field", RowInvalid)],
            ),
            (changed(pending("field-3"), |dossier| dossier.field = "đ".repeat(200)), vec![]),
            (
                changed(pending("time"), |dossier| dossier.receive_time = None),
                vec![("receive_time", RowInvalid)],
            ),
            (
                changed(pending("time-2"), |dossier| dossier.receive_time = Some(far)),
                vec![("receive_time", RowInvalid)],
            ),
            (
                Row { dossier: None, ..pending("nothing") },
                vec![
                    ("field", RowInvalid),
                    ("channel", RowInvalid),
                    ("receive_time", RowInvalid),
                    ("term", RowInvalid),
                ],
            ),
            (pending("good"), vec![("dossier_id", DuplicateRow)]),
            (dossier("before", "2025-06-30 23:59:59"), vec![("receive_time", UnitNotValid)]),
            (dossier("first", "2025-07-01 00:00:00"), vec![]),
            // What was recorded stays.
            (known.clone(), vec![]),
            (
                changed(pending("open"), |dossier| dossier.field = "Đất đai".to_owned()),
                vec![("field", RecordIsFinal)],
            ),
        ];
        let expected: Vec<_> = rows
            .iter()
            .zip(1..)
            .flat_map(|((_, problems), row)| {
                problems.iter().map(move |(field, reason)| (row, *field, *reason))
            })
            .collect();
        let sent: Vec<_> = rows.iter().map(|(row, _)| row.clone()).collect();
        let response = scene.record(own(), sent.clone()).await.unwrap();
        let named: Vec<_> =
            response.problems.iter().map(|p| (p.row, p.field.as_str(), p.reason())).collect();
        let sorted = |mut problems: Vec<(i32, &'static str, ErrorReason)>| {
            problems.sort_by_key(|(row, field, _)| (*row, *field));
            problems
        };
        assert!(named.is_sorted_by_key(|(row, ..)| *row));
        let named: Vec<_> = named
            .into_iter()
            .map(|(row, field, reason)| {
                let known = expected.iter().find(|one| one.1 == field).map(|one| one.1);
                (row, known.unwrap_or("?"), reason)
            })
            .collect();
        assert_eq!(sorted(named), sorted(expected), "{engine:?}");
        assert!(response.problems.iter().all(|problem| !problem.message.is_empty()));
        let rest = (response.created_count, response.updated_count, response.unchanged_count);
        assert_eq!((response.received_count, rest), (25, (0, 0, 0)));
        for number in ["good", "now", "first", "field-3"] {
            assert_eq!(get(&scene, number).await.unwrap_err().code(), Code::NotFound);
        }
        // Without the bad ones the others are taken.
        let good = rows.into_iter().filter(|(_, problems)| problems.is_empty());
        let response = scene.record(own(), good.map(|(row, _)| row).collect()).await.unwrap();
        assert_eq!(counts(&response), (6, 5, 0, 1), "{engine:?}");

        // Each field that was recorded.
        let other = |change: fn(&mut pb::Dossier)| changed(known.clone(), change);
        for (row, field) in [
            (other(|d| d.channel = pb::dossier::Channel::DirectOrPostal.into()), "channel"),
            (other(|d| d.term = "4d".to_owned()), "term"),
            (
                changed(known.clone(), |d| d.receive_time = stamp("2026-05-04 08:00:01")),
                "receive_time",
            ),
            (
                changed(known.clone(), |d| d.complete_time = stamp("2026-05-06 10:00:01")),
                "complete_time",
            ),
            (
                changed(known.clone(), |d| d.record_time = stamp("2026-05-07 10:00:01")),
                "record_time",
            ),
        ] {
            // The row's own place in its file is told.
            let row = Row { row: 4711, ..row };
            let [problem] =
                scene.record(own(), vec![row]).await.unwrap().problems.try_into().unwrap();
            let told = (problem.row, problem.field.as_str(), problem.reason());
            assert_eq!(told, (4711, field, RecordIsFinal), "{engine:?}");
        }
        let stays = get(&scene, "known").await.unwrap();
        assert_eq!(stays.record_time, stamp("2026-05-07 10:00:00"));
    }
}

#[tokio::test]
async fn the_first_message_is_a_header_and_no_other_is() {
    let scene = scene(Engine::Sqlite).await;
    let row = || pb::RecordDossiersRequest { message: Some(Message::Row(dossier("1", RECEIVED))) };
    let header = |parent: &str, row_count| {
        let header = Header { parent: parent.to_owned(), row_count };
        pb::RecordDossiersRequest { message: Some(Message::Header(header)) }
    };
    let empty = pb::RecordDossiersRequest { message: None };
    let unit = own().to_string();
    for (messages, field, reason) in [
        (vec![], "header", "HEADER_MISSING"),
        (vec![row()], "header", "HEADER_MISSING"),
        (vec![empty.clone(), row()], "header", "HEADER_MISSING"),
        (vec![header(&unit, 1), header(&unit, 1)], "row", "INVALID_FIELD"),
        (vec![header(&unit, 1), empty], "row", "INVALID_FIELD"),
        (vec![header("", 1), row()], "header.parent", "REQUIRED_FIELD_MISSING"),
        (vec![header("07210", 1), row()], "header.parent", "INVALID_FIELD"),
        (vec![header(&unit, -1), row()], "header.row_count", "INVALID_FIELD"),
        (vec![header(&unit, 200_001), row()], "row", "TOO_MANY_ROWS"),
    ] {
        let status = send(&scene, "importer", messages).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned()), "{field}");
        assert_eq!(fields(&status), [field]);
    }
    assert_eq!(get(&scene, "1").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_stream_with_other_rows_than_announced_is_broken_and_changes_nothing() {
    for engine in ENGINES {
        let scene = scene(engine).await;
        let mut fewer = stream(own(), vec![dossier("1", RECEIVED), dossier("2", RECEIVED)]);
        let more = [fewer.clone(), vec![fewer[1].clone()]].concat();
        fewer.pop();
        for messages in [fewer, more] {
            let status = send(&scene, "importer", messages).await.unwrap_err();
            assert_eq!(refusal(&status), (Code::Aborted, "STREAM_BROKEN".to_owned()));
        }
        assert_eq!(get(&scene, "1").await.unwrap_err().code(), Code::NotFound, "{engine:?}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_half_way_leaves_nothing() {
    for engine in ENGINES {
        let scene = scene(engine).await;
        let rows = (0..20).map(|n| dossier(&format!("H{n}"), RECEIVED)).collect();
        // All messages but the last, and then neither more nor an end.
        let mut messages = stream(own(), rows);
        messages.pop();
        let (sent, mut all_sent) = tokio::sync::mpsc::channel::<()>(1);
        let endless = tokio_stream::iter(messages).chain(futures::stream::once(async move {
            sent.send(()).await.unwrap();
            std::future::pending().await
        }));
        let mut client = scene.dossiers(&["importer"]);
        let call = tokio::spawn(async move { client.record_dossiers(endless).await });
        all_sent.recv().await.unwrap();
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        // A call that is still being handled would hold this one up, or be seen by it.
        let scene = scene.restart(time("2026-05-29 17:00:00")).await;
        assert_eq!(get(&scene, "H0").await.unwrap_err().code(), Code::NotFound, "{engine:?}");
    }
}

#[tokio::test]
async fn only_an_importer_over_the_unit_brings_dossiers_in() {
    let scene = scene(Engine::Sqlite).await;
    let ended = Validity::between(first_day(), day("2026-05-10"));
    let merged = unit("07246", "Xã Xuân Lương", Some(bac_ninh()), ended);
    scene.world.lock().import(merged);
    // The copy of the hierarchy is brought up to date by what opens periods.
    scene.sweep().await;
    let over = |unit: UnitId| format!("importer@{unit}");
    let unknown = UnitId::new("nso", "99999", None);
    let denied = Some((Code::PermissionDenied, "OUT_OF_SCOPE"));
    for (grant, unit, refused) in [
        (over(own()), own(), None),
        (over(bac_ninh()), own(), None),
        ("importer".to_owned(), own(), None),
        (over(gia_lai()), own(), denied),
        (over(own()), commune("07228"), denied),
        ("importer@regimes/cds-24".to_owned(), own(), denied),
        (over(bac_ninh()), unknown, denied),
        ("importer".to_owned(), unknown, Some((Code::NotFound, "UNKNOWN_UNIT"))),
        // What has ended can be read by those it was under; only who reaches everything brings more in.
        (over(bac_ninh()), commune("07246"), denied),
        ("importer".to_owned(), commune("07246"), None),
        (format!("supervisor@{}", own()), own(), Some((Code::PermissionDenied, "ROLE_MISSING"))),
        (format!("reporter@{}", own()), own(), Some((Code::PermissionDenied, "ROLE_MISSING"))),
    ] {
        let messages = stream(unit, vec![dossier("1", RECEIVED)]);
        let answer = send(&scene, &grant, messages).await;
        let refusal = answer.as_ref().err().map(refusal);
        let refused = refused.map(|(code, reason)| (code, reason.to_owned()));
        assert_eq!(refusal, refused, "{grant} {unit}");
    }
}

#[tokio::test]
async fn thousands_of_rows_come_in_one_stream() {
    for engine in ENGINES {
        let scene = scene(engine).await;
        let rows: Vec<_> = (0..3500).map(|n| dossier(&format!("H{n}"), RECEIVED)).collect();
        let response = scene.record(own(), rows.clone()).await.unwrap();
        assert_eq!(counts(&response), (3500, 3500, 0, 0), "{engine:?}");
        let recorded = |row: Row| resolved(row, "2026-05-06 10:00:00", Some("2026-05-06 11:00:00"));
        let rows: Vec<_> = rows
            .into_iter()
            .enumerate()
            .map(|(n, row)| if n % 2 == 0 { recorded(row) } else { row })
            .collect();
        let response = scene.record(own(), rows).await.unwrap();
        assert_eq!(counts(&response), (3500, 0, 1750, 1750), "{engine:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_stream_several_times_at_once_is_taken_in_once() {
    for engine in ENGINES {
        let scene = scene(engine).await;
        let rows: Vec<_> = (0..300).map(|n| dossier(&format!("H{n}"), RECEIVED)).collect();
        let back: Vec<_> = rows.iter().rev().cloned().collect();
        let streams = (0..6).map(|n| if n % 2 == 0 { rows.clone() } else { back.clone() });
        let answers = join_all(streams.map(|rows| scene.record(own(), rows))).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        let created: i32 = answers.iter().map(|answer| answer.created_count).sum();
        let unchanged: i32 = answers.iter().map(|answer| answer.unchanged_count).sum();
        assert_eq!((created, unchanged), (300, 1500), "{engine:?}");
        // Of several who record other times, the first is right and the others are told so.
        let minutes = 0..6;
        let streams = minutes.map(|minute| {
            let record = format!("2026-05-06 11:0{minute}:00");
            let row = resolved(rows[0].clone(), "2026-05-06 10:00:00", Some(&record));
            scene.record(own(), vec![row])
        });
        let answers = join_all(streams).await;
        let updated = answers.iter().filter(|answer| answer.as_ref().unwrap().updated_count == 1);
        assert_eq!(updated.count(), 1, "{engine:?}");
        for answer in answers.iter().map(|answer| answer.as_ref().unwrap()) {
            let finals = answer.problems.iter().all(|p| p.reason() == ErrorReason::RecordIsFinal);
            assert!(finals && answer.updated_count + i32::from(!answer.problems.is_empty()) == 1);
        }
    }
}
