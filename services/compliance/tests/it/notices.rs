//! `ListNotices`, `WatchNotices`.

use std::time::Duration;

use dunghan_hierarchy::UnitId;
use dunghan_proto::compliance as pb;
use dunghan_store::Location;
use dunghan_testkit::{ENGINES, Engine, Place, fields, refusal};
use tokio::time::{Instant, timeout};
use tonic::{Code, Status, Streaming};

use crate::world::{
    Scene, bac_ninh, commune, department, dossier, due, gia_lai, regime, start, time,
};

/// When the reports of three months fall due.
const DUE: [(&str, &str); 3] = [
    ("202605", "2026-05-20 00:00:00"),
    ("202606", "2026-06-18 00:00:00"),
    ("202607", "2026-07-18 00:00:00"),
];

/// Lets the reports of one of these months fall due, and tells.
async fn fall_due(scene: &Scene, month: usize) {
    scene.testing.clock.set(time(DUE[month].1));
    assert_eq!(scene.sweep().await.notice_count, 1);
}

fn supervisor(unit: UnitId) -> String {
    format!("supervisor@{unit}")
}

async fn watch(
    scene: &Scene,
    grant: &str,
    parent: UnitId,
    resume_token: &str,
) -> Result<Streaming<pb::WatchNoticesResponse>, Status> {
    let request = pb::WatchNoticesRequest {
        parent: parent.to_string(),
        resume_token: resume_token.to_owned(),
    };
    Ok(scene.notices(&[grant]).watch_notices(request).await?.into_inner())
}

async fn follow(scene: &Scene, resume_token: &str) -> Streaming<pb::WatchNoticesResponse> {
    watch(scene, &supervisor(department()), department(), resume_token).await.unwrap()
}

/// The period of the next notice, and the token to go on after it.
async fn next(stream: &mut Streaming<pb::WatchNoticesResponse>) -> (String, String) {
    let message = timeout(Duration::from_secs(20), stream.message()).await.unwrap();
    let message = message.unwrap().unwrap();
    (message.notice.unwrap().period, message.resume_token)
}

#[tokio::test]
async fn notices_to_a_recipient_are_listed_the_last_first_page_by_page() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-04 09:00:00")).await;
        scene.create(regime()).await;
        scene.record(commune("07210"), vec![dossier("H1", "2026-05-04 08:00:00")]).await.unwrap();
        scene.testing.clock.set(time("2026-05-08 00:00:00"));
        scene.sweep().await;
        for month in 0..3 {
            fall_due(&scene, month).await;
        }
        let mut client = scene.notices(&[&supervisor(department())]);
        let mut request = pb::ListNoticesRequest {
            parent: department().to_string(),
            page_size: 2,
            ..Default::default()
        };
        let first = client.list_notices(request.clone()).await.unwrap().into_inner();
        request.page_token = first.next_page_token;
        let second = client.list_notices(request.clone()).await.unwrap().into_inner();
        assert!(second.next_page_token.is_empty());
        let listed = [first.notices, second.notices].concat();
        let periods: Vec<_> = listed.iter().map(|notice| notice.period.as_str()).collect();
        assert_eq!(periods, ["202607", "202606", "202605"], "{engine:?}");
        assert_eq!(scene.told(department()).await, listed);
        // Everyone's, for whom nothing is out of reach.
        let all = pb::ListNoticesRequest::default();
        let all = scene.notices(&["operator"]).list_notices(all).await.unwrap().into_inner();
        let recipients: Vec<_> =
            all.notices.iter().map(|notice| notice.recipient.clone()).collect();
        let (department, province) = (department().to_string(), bac_ninh().to_string());
        let expected = [&department, &department, &department, &province];
        assert_eq!(recipients.iter().collect::<Vec<_>>(), expected, "{engine:?}");
        request.parent = province;
        let status = client.list_notices(request).await.unwrap_err();
        assert_eq!(refusal(&status).1, "INVALID_PAGE_TOKEN");
    }
}

#[tokio::test]
async fn notices_are_for_who_may_read_the_recipient() {
    let scene = start(Engine::Sqlite, due()).await;
    let unknown = UnitId::new("nso", "99999", None);
    let of_province = supervisor(bac_ninh());
    let denied = Some((Code::PermissionDenied, "OUT_OF_SCOPE"));
    for (grant, parent, refused) in [
        (of_province.clone(), bac_ninh().to_string(), None),
        (of_province.clone(), department().to_string(), None),
        (of_province.clone(), gia_lai().to_string(), denied),
        (of_province.clone(), unknown.to_string(), denied),
        (of_province, String::new(), denied),
        (supervisor(department()), bac_ninh().to_string(), denied),
        ("supervisor@regimes/cds-24".to_owned(), department().to_string(), denied),
        ("reader".to_owned(), String::new(), None),
        ("reader".to_owned(), unknown.to_string(), Some((Code::NotFound, "UNKNOWN_UNIT"))),
        ("importer".to_owned(), String::new(), Some((Code::PermissionDenied, "ROLE_MISSING"))),
    ] {
        let refused = refused.map(|(code, reason)| (code, reason.to_owned()));
        let request = pb::ListNoticesRequest { parent: parent.clone(), ..Default::default() };
        let answer = scene.notices(&[&grant]).list_notices(request).await;
        assert_eq!(answer.as_ref().err().map(refusal), refused, "{grant} {parent}");
        if let Ok(parent) = parent.parse() {
            let answer = watch(&scene, &grant, parent, "").await;
            assert_eq!(answer.as_ref().err().map(refusal), refused, "{grant} {parent}");
        }
    }
    let request = pb::ListNoticesRequest { parent: "24".to_owned(), ..Default::default() };
    let status = scene.notices(&["reader"]).list_notices(request).await.unwrap_err();
    assert_eq!(fields(&status), ["parent"]);
    let request = pb::WatchNoticesRequest::default();
    let status = scene.notices(&["reader"]).watch_notices(request).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::InvalidArgument, "REQUIRED_FIELD_MISSING".to_owned()));
}

#[tokio::test]
async fn a_watcher_gets_what_was_told_before_and_then_what_is_told_live() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-04 09:00:00")).await;
        scene.create(regime()).await;
        fall_due(&scene, 0).await;
        let mut stream = follow(&scene, "").await;
        let (period, _) = next(&mut stream).await;
        assert_eq!(period, "202605", "{engine:?}");
        // Somebody else's notice comes between, and is not shown.
        scene.record(commune("07210"), vec![dossier("H1", "2026-05-19 08:00:00")]).await.unwrap();
        scene.testing.clock.set(time("2026-05-23 00:00:00"));
        assert_eq!(scene.sweep().await.overdue_count, 1);
        fall_due(&scene, 1).await;
        let message = timeout(Duration::from_secs(20), stream.message()).await.unwrap();
        let message = message.unwrap().unwrap();
        assert_eq!(message.notice, scene.told(department()).await.into_iter().next(), "{engine:?}");
        fall_due(&scene, 2).await;
        assert_eq!(next(&mut stream).await.0, "202607", "{engine:?}");
    }
}

#[tokio::test]
async fn a_watcher_goes_on_after_its_token_without_repeat_or_gap_even_over_a_restart() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-04 09:00:00")).await;
        scene.create(regime()).await;
        fall_due(&scene, 0).await;
        let mut stream = follow(&scene, "").await;
        let (_, token) = next(&mut stream).await;
        drop(stream);
        fall_due(&scene, 1).await;
        let scene = scene.restart(time(DUE[1].1)).await;
        let mut stream = follow(&scene, &token).await;
        let (period, token) = next(&mut stream).await;
        assert_eq!(period, "202606", "{engine:?}");
        fall_due(&scene, 2).await;
        assert_eq!(next(&mut stream).await.0, "202607", "{engine:?}");
        // The token of one of them, again: what came after it, and only that.
        let mut again = follow(&scene, &token).await;
        assert_eq!(next(&mut again).await.0, "202607", "{engine:?}");
    }
}

#[tokio::test]
async fn a_watcher_at_one_replica_is_told_what_another_found() {
    let place = Place::new(Engine::Postgres).await;
    let Location::Postgres(url) = place.location.clone() else { panic!("not PostgreSQL") };
    let scene = start(Engine::Sqlite, due()).await;
    let (first, second) = (scene.replica(&url, due()).await, scene.replica(&url, due()).await);
    let mut stream = follow(&second, "").await;
    first.create(regime()).await;
    first.sweep().await;
    assert_eq!(next(&mut stream).await.0, "202605");
}

#[tokio::test]
async fn a_token_that_nobody_gave_is_refused() {
    let scene = start(Engine::Sqlite, due()).await;
    for token in ["x", "1", "1.x", "0.1.2.3", " "] {
        let status = watch(&scene, "reader", department(), token).await.unwrap_err();
        let expected = (Code::InvalidArgument, "INVALID_RESUME_TOKEN".to_owned());
        assert_eq!(
            (refusal(&status), fields(&status)),
            (expected, vec!["resume_token".to_owned()])
        );
    }
}

#[tokio::test]
async fn watchers_are_told_to_call_again_when_the_server_stops_and_do_not_hold_it_up() {
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        scene.create(regime()).await;
        fall_due(&scene, 0).await;
        let mut streams = Vec::new();
        for _ in 0..3 {
            let mut stream = follow(&scene, "").await;
            next(&mut stream).await;
            streams.push(stream);
        }
        let begun = Instant::now();
        let stopped = tokio::spawn(scene.testing.stop());
        for mut stream in streams {
            let ended = timeout(Duration::from_secs(20), stream.message()).await.unwrap();
            let shutting_down = (Code::Unavailable, "SHUTTING_DOWN".to_owned());
            assert_eq!(refusal(&ended.unwrap_err()), shutting_down, "{engine:?}");
        }
        stopped.await.unwrap();
        // Far from the limit after which calls are cut off.
        assert!(begun.elapsed() < Duration::from_secs(3), "{engine:?} {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn each_notice_is_an_event_for_other_services() {
    use dunghan_proto::events::ListEventsRequest;
    use dunghan_proto::events::event::Payload;
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-04 09:00:00")).await;
        scene.create(regime()).await;
        fall_due(&scene, 0).await;
        fall_due(&scene, 1).await;
        let mut client = scene.compliance(&["service"]);
        let (mut names, mut after) = (Vec::new(), String::new());
        loop {
            let request = ListEventsRequest { after, page_size: 1, ..Default::default() };
            let page = client.list_events(request).await.unwrap().into_inner();
            for event in page.events {
                let Some(Payload::NoticeCreated(created)) = event.payload else { panic!() };
                names.push(created.notice);
            }
            after = page.next_page_token;
            if after.is_empty() {
                break;
            }
        }
        let told = scene.told(department()).await;
        let told: Vec<_> = told.into_iter().rev().map(|notice| notice.name).collect();
        assert_eq!(names, told, "{engine:?}");
        let request = ListEventsRequest { after: "x".to_owned(), ..Default::default() };
        assert_eq!(fields(&client.list_events(request).await.unwrap_err()), ["after"]);
        let supervisor = supervisor(department());
        let status =
            scene.compliance(&[&supervisor]).list_events(ListEventsRequest::default()).await;
        assert_eq!(refusal(&status.unwrap_err()).1, "ROLE_MISSING");
    }
}
