//! What the service tells of itself: one trace from a call to the notice that it causes, and its numbers.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_telemetry::{ClientLayer, Format, Settings, Telemetry, init_with_logs_to};
use dunghan_testkit::{Collector, ENGINES, Engine, Point, Span, eventually, refusal};
use serde_json::Value;
use tokio::time::timeout;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::Layer as _;
use tracing_subscriber::fmt::MakeWriter;

use crate::world::{
    PERIOD, Scene, bac_ninh, commune, dossier, first_day, regime, start, time, unit,
};

const RUN_SWEEP: &str = "dunghan.compliance.v1.ComplianceService/RunSweep";
const WATCH: &str = "dunghan.compliance.v1.NoticeService/WatchNotices";
const HISTORIES: &str = "dunghan.registry.v1.RegistryService/StreamUnitHistories";
const SUBMISSION_EVENTS: &str = "dunghan.submission.v1.SubmissionService/ListEvents";

/// Log lines, for the test to read.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Those of a trace.
    fn of(&self, trace: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter(|line: &Value| line["trace_id"] == trace).collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

async fn told_to(lines: Lines) -> (Telemetry, Collector) {
    let collector = Collector::start().await;
    let settings = Settings {
        otlp_endpoint: Some(collector.endpoint.clone()),
        ..Settings::logs(Format::Json, "dunghan=debug")
    };
    (init_with_logs_to(&settings, lines).unwrap(), collector)
}

/// RunSweep, as a client calls it that is traced as well.
async fn sweep(scene: &Scene) -> pb::RunSweepResponse {
    let traced = ClientLayer::new().layer(scene.testing.channel(&["operator"]));
    let mut client = ComplianceServiceClient::new(traced);
    client.run_sweep(pb::RunSweepRequest::default()).await.unwrap().into_inner()
}

#[tokio::test]
async fn one_trace_leads_from_a_call_to_the_notice_that_it_causes_and_its_lines_say_so() {
    let lines = Lines::default();
    let (telemetry, collector) = told_to(lines.clone()).await;
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-04 09:00:00")).await;
        scene.record(commune("07210"), vec![dossier("H1", "2026-05-04 08:00:00")]).await.unwrap();
        let request = pb::WatchNoticesRequest {
            parent: bac_ninh().to_string(),
            ..pb::WatchNoticesRequest::default()
        };
        let mut watched =
            scene.notices(&["supervisor"]).watch_notices(request).await.unwrap().into_inner();
        scene.testing.clock.set(time("2026-05-08 00:00:00"));
        // Something new, so that the copy of the hierarchy is read again and a line says so.
        let since = dunghan_hierarchy::Validity::since(first_day());
        scene.world.lock().import(unit("07999", "Xã Mới", Some(bac_ninh()), since));
        assert_eq!(sweep(&scene).await.overdue_count, 1);
        let notice = timeout(Duration::from_secs(20), watched.message()).await.unwrap().unwrap();
        assert!(notice.is_some());
        drop(watched);
        scene.testing.stop().await;
        telemetry.flush().await;

        let system = if engine == Engine::Sqlite { "sqlite" } else { "postgresql" };
        let delivered = collector
            .span(|span| {
                let of_engine = |other: &Span| {
                    other.trace == span.trace
                        && other.attributes.get("db.system.name").map(String::as_str)
                            == Some(system)
                };
                span.name == "deliver NoticeCreated" && collector.spans().iter().any(of_engine)
            })
            .await;
        let trace = collector.trace(&delivered.trace);
        let drawn = collector.draw(&delivered.trace);
        let one = |name: &str, kind: &str| {
            let mut found = trace.iter().filter(|span| span.name == name && span.kind == kind);
            found.next().unwrap_or_else(|| panic!("no {kind} {name} in\n{drawn}"))
        };
        // The call, from the client to the sweep.
        let (client, server) = (one(RUN_SWEEP, "client"), one(RUN_SWEEP, "server"));
        let sweep = one("sweep", "internal");
        assert_eq!((client.parent.as_str(), &server.parent), ("", &client.id), "{drawn}");
        assert_eq!(sweep.parent, server.id, "{drawn}");
        // The peers that it asks.
        for name in [HISTORIES, SUBMISSION_EVENTS] {
            assert_eq!(one(name, "server").parent, one(name, "client").id, "{drawn}");
        }
        let pull = one("events.pull", "client");
        assert_eq!((&pull.parent, &one(SUBMISSION_EVENTS, "client").parent), (&sweep.id, &pull.id));
        // What it writes, and where.
        let append = one("append NoticeCreated", "producer");
        assert_eq!(append.parent, sweep.id, "{drawn}");
        for statement in ["BEGIN", "SELECT", "INSERT", "COMMIT"] {
            assert_eq!(one(statement, "client").attributes["db.system.name"], system, "{drawn}");
        }
        let in_outbox = trace.iter().find(|span| span.parent == append.id && span.name == "INSERT");
        assert!(in_outbox.is_some(), "{drawn}");
        // The notice, for whoever watches.
        assert_eq!((&delivered.parent, delivered.kind), (&append.id, "consumer"), "{drawn}");
        let watching = collector.span(|span| span.name == WATCH && span.kind == "server").await;
        assert_ne!(watching.trace, delivered.trace);
        let spans = collector.spans();
        let pointed_to = |span: &Span| delivered.links == [(span.trace.clone(), span.id.clone())];
        assert!(spans.iter().any(|span| span.name == WATCH && pointed_to(span)), "{delivered:?}");
        // Log lines.
        let said = lines.of(&delivered.trace);
        let copied = said.iter().any(|line| line["message"] == "the hierarchy was copied");
        assert!(copied, "{said:#?}");
        // Nothing that is anybody's business: no names, no numbers of dossiers.
        let all = format!("{trace:?}");
        assert!(!all.contains("Xã") && !all.contains("H1"), "{all}");
    }
    telemetry.shutdown().await;
}

#[tokio::test]
async fn a_report_is_taken_in_as_a_part_of_the_trace_in_which_it_was_submitted() {
    let (telemetry, collector) = told_to(Lines::default()).await;
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-04 09:00:00")).await;
        scene.create(regime()).await;
        // One trace an engine.
        let trace = format!("4bf92f3577b34da6a3ce929d0e0e473{}", engine as u8);
        let submitted = "00f067aa0ba902b7";
        {
            let mut world = scene.world.lock();
            world.submit(commune("07228"), PERIOD, time("2026-05-04 09:00:00"));
            world.submit(commune("07210"), PERIOD, time("2026-05-04 09:00:00"));
            world.traced(&format!("00-{trace}-{submitted}-01"));
        }
        assert_eq!(sweep(&scene).await.received_count, 2);
        telemetry.flush().await;
        let name = "process ReportSubmitted";
        let processed = collector.span(|span| span.name == name && span.trace == trace).await;
        assert_eq!((processed.parent.as_str(), processed.kind), (submitted, "consumer"));
        let [(trace, id)] = processed.links.as_slice() else { panic!("{processed:?}") };
        let puller = collector.span(|span| span.trace == *trace && span.id == *id).await;
        assert_eq!(puller.name, "events.pull");
        assert_eq!(puller.attributes["messaging.batch.message_count"], "2");
        assert_eq!(puller.attributes["messaging.consumer.group.name"], "compliance");
        assert_eq!(puller.attributes["messaging.destination.name"], "submission");
        // The other belongs to no trace: nothing is made up for it.
        let all = collector.spans().into_iter().filter(|span| span.name == name);
        assert_eq!(all.filter(|span| span.links == processed.links).count(), 1);
    }
    telemetry.shutdown().await;
}

#[tokio::test]
async fn what_is_due_and_what_was_told_can_be_read_in_numbers() {
    let (telemetry, collector) = told_to(Lines::default()).await;
    let scene = start(Engine::Sqlite, time("2026-05-04 09:00:00")).await;
    scene.create(regime()).await;
    scene.record(commune("07210"), vec![dossier("H1", "2026-05-04 08:00:00")]).await.unwrap();
    scene.testing.clock.set(time("2026-05-20 00:00:00"));
    // Reports cannot be told of while submission cannot be asked: they stay.
    scene.world.lock().submission_away = true;
    sweep(&scene).await;
    let has = |key: &'static str, value: &'static str| {
        move |point: &Point| point.attributes.get(key).map(String::as_str) == Some(value)
    };
    // What is counted after a flush goes out with the next, and some is counted after the sweep was answered.
    let point = async |name: &str, wanted: &dyn Fn(&Point) -> bool| {
        eventually(Duration::from_secs(30), async || {
            telemetry.flush().await;
            collector.points(name).into_iter().find(wanted)
        })
        .await
    };
    let backlog = async |kind, count| {
        let wanted = |point: &Point| has("kind", kind)(point) && point.value == count;
        point("dunghan.sweep.backlog", &wanted).await;
    };
    backlog("obligation", 5.0).await;
    backlog("dossier", 0.0).await;
    let notices = point("dunghan.notices", &has("topic", "overdue_dossiers")).await;
    assert_eq!((notices.value, notices.attributes["outcome"].as_str()), (1.0, "told"));
    let succeeded = async |at: &str| {
        let success = f64::from(u32::try_from(time(at).timestamp()).unwrap());
        point("dunghan.sweep.last_success.timestamp", &|point| point.value == success).await;
    };
    // A sweep that could not ask about all that is due has not done what it had to.
    succeeded("2026-05-04 09:00:00").await;
    let age = point("dunghan.sweep.age", &|_| true).await;
    assert!(age.value < 60.0);
    let lag = point("dunghan.events.lag", &has("consumer", "compliance")).await;
    assert_eq!(lag.attributes["owner"], "submission");
    let version = point("dunghan.hierarchy.version", &has("service", "compliance")).await;
    assert_eq!(version.value, 1.0);
    let calls = point("rpc.server.call.duration", &has("rpc.method", RUN_SWEEP)).await;
    // One set the scene.
    assert_eq!((calls.value, calls.attributes["rpc.response.status_code"].as_str()), (2.0, "OK"));
    scene.world.lock().submission_away = false;
    sweep(&scene).await;
    backlog("obligation", 0.0).await;
    succeeded("2026-05-20 00:00:00").await;
    telemetry.shutdown().await;
}

#[tokio::test]
async fn health_says_whether_a_sweep_succeeded_lately_by_a_clock_that_is_believed() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-19 23:55:00")).await;
        scene.create(regime()).await;
        let says = async |scene: &Scene, expected: ServingStatus| {
            let mut client = HealthClient::new(scene.testing.anonymous());
            eventually(Duration::from_secs(30), async || {
                let request = HealthCheckRequest { service: "compliance/sweep".to_owned() };
                let said = client.check(request).await.unwrap().into_inner().status();
                (said == expected).then_some(())
            })
            .await;
        };
        sweep(&scene).await;
        says(&scene, ServingStatus::Serving).await;
        // Due, and nobody can be asked: that is no success, and a quarter of an hour later it is one too long ago.
        scene.world.lock().submission_away = true;
        scene.testing.clock.set(time("2026-05-20 00:10:00"));
        sweep(&scene).await;
        says(&scene, ServingStatus::Serving).await;
        scene.testing.clock.set(time("2026-05-20 00:10:01"));
        sweep(&scene).await;
        says(&scene, ServingStatus::NotServing).await;
        scene.world.lock().submission_away = false;
        sweep(&scene).await;
        says(&scene, ServingStatus::Serving).await;
        let scene = scene.restart(time("2026-05-20 00:11:00")).await;
        says(&scene, ServingStatus::Serving).await;
        scene.testing.clock.set(time("2027-05-20 00:00:00"));
        let refused = scene.operator().run_sweep(pb::RunSweepRequest::default()).await;
        assert_eq!(refusal(&refused.unwrap_err()).1, "CLOCK_JUMPED", "{engine:?}");
        says(&scene, ServingStatus::NotServing).await;
        // Readiness is another matter.
        let request = HealthCheckRequest { service: "compliance".to_owned() };
        let ready = HealthClient::new(scene.testing.anonymous()).check(request).await.unwrap();
        assert_eq!(ready.into_inner().status(), ServingStatus::Serving, "{engine:?}");
    }
}
