//! One trace through all four services, each in a process of its own: what a collector is told of a call, and what the
//! documentation shows of it.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use dunghan_proto::aggregation::GetRollUpRequest;
use dunghan_proto::aggregation::aggregation_service_client::AggregationServiceClient;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::compliance::{RunSweepRequest, WatchNoticesRequest, WatchNoticesResponse};
use dunghan_proto::submission::SubmitReportRequest;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_proto::submission::value::Figure;
use dunghan_telemetry::{ClientLayer, Format, Settings, init_with_logs_to};
use dunghan_testkit::{Collector, Engine, Place, Span, Testing, eventually, start_in};
use serde_json::Value;
use tokio::time::timeout;
use tonic::Streaming;
use tower::Layer as _;
use tracing::Instrument as _;

use crate::roll_up::INDICATOR;
use crate::suite;
use crate::world::{
    BAC_NINH, PERIOD, REGIME, begin, department, due, import_all, notices, put_in_force, regime,
    report, time, unit,
};

const SOON: Duration = Duration::from_secs(30);
/// Where the picture is, between two lines.
const DOCUMENT: &str = include_str!("../../docs/TRACE.md");
const BEGIN: &str = "<!-- trace -->\n```text\n";
const END: &str = "```\n<!-- end -->";

/// What a client does under one span of its own: it has a sweep told of what is missing, waits for the notice, hands a
/// report over, and asks for the total.
async fn late(testing: &Testing, watched: &mut Streaming<WatchNoticesResponse>, name: &str) {
    let grants = ["operator", &format!("reporter@{}", unit(BAC_NINH[0]))];
    let channel = ClientLayer::new().layer(testing.channel(&grants));
    let mut compliance = ComplianceServiceClient::new(channel.clone());
    let swept = compliance.run_sweep(RunSweepRequest::default()).await.unwrap().into_inner();
    assert_eq!(swept.missing_count, 5);
    let notice = timeout(SOON, watched.message()).await.unwrap().unwrap();
    assert!(notice.is_some());
    let mut submission = SubmissionServiceClient::new(channel.clone());
    let request = SubmitReportRequest { name: name.to_owned(), ..Default::default() };
    submission.submit_report(request).await.unwrap();
    let mut aggregation = AggregationServiceClient::new(channel);
    let request = GetRollUpRequest {
        scope: unit("24"),
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        indicator: INDICATOR.to_owned(),
        category: String::new(),
    };
    let sum = aggregation.get_roll_up(request).await.unwrap().into_inner();
    assert_eq!((sum.total, sum.missing_units.len()), (70, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_a_client_through_all_four_services_to_a_notice() {
    let collector = Collector::start().await;
    let settings = Settings {
        otlp_endpoint: Some(collector.endpoint.clone()),
        service_name: "client".to_owned(),
        ..Settings::logs(Format::Json, "off")
    };
    let telemetry = init_with_logs_to(&settings, io::sink).unwrap();
    // Nothing happens by itself that a call would find done.
    let keys = [
        ("compliance.sweep_cron", ""),
        ("compliance.sweep_every_s", "3600"),
        ("aggregation.pull_every_s", "3600"),
        ("telemetry.otlp_endpoint", &collector.endpoint),
        ("log.filter", "info,dunghan_telemetry=debug"),
    ];
    let place = Place::new(Engine::Postgres).await;
    let now = time("2026-05-18 09:00:00");
    let mut testing = start_in(dunghan_testkit::Mode::Apart, suite(), place, now, &keys).await;
    import_all(&testing).await;
    put_in_force(&testing, regime()).await.unwrap();
    let draft = begin(&testing, BAC_NINH[0], report(INDICATOR, Figure::Count(70))).await.unwrap();
    // By now each process has its copy of the units but this one.
    crate::roll_up::add_up(&testing, "operator", &unit("24")).await;
    let request = WatchNoticesRequest { parent: department(), ..Default::default() };
    let mut watched =
        notices(&testing, &["operator"]).watch_notices(request).await.unwrap().into_inner();
    testing.clock.set(due());

    // Spans of others are not sent: this one has to look like one of ours.
    let root = tracing::info_span!(target: "dunghan", "a report comes late");
    late(&testing, &mut watched, &draft.name).instrument(root).await;
    drop(watched);
    telemetry.shutdown().await;
    let root = collector.span_named("a report comes late").await;
    let trace = root.trace.as_str();

    for service in suite().names() {
        let process = &testing.apart().processes(service)[0];
        let said = eventually(SOON, async || {
            let lines = process.said();
            let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut own = lines.filter(|line| line["trace_id"] == trace);
            own.find(|line| line["message"] == "a call was answered")
        });
        assert_eq!(said.await["status"], "OK", "{service}");
    }
    // What has not been sent is sent at the end.
    testing.stop().await;

    let spans = collector.trace(trace);
    let drawn = collector.draw(trace);
    must_be_one_tree(&spans, &drawn);
    let parent = |span: &Span| spans.iter().find(|one| one.id == span.parent).cloned();
    let caused = |cause: &str, effect: &str, service: &str| {
        let effects = spans.iter().filter(|span| span.name == effect);
        let mut effects = effects.filter(|span| span.service == format!("dunghan-{service}"));
        let found = effects.any(|span| parent(span).is_some_and(|above| above.name == cause));
        assert!(found, "{cause} does not lead to {effect} in {service}:\n{drawn}");
    };
    caused("append NoticeCreated", "deliver NoticeCreated", "compliance");
    caused("append ReportSubmitted", "process ReportSubmitted", "compliance");
    caused("append ReportSubmitted", "process ReportSubmitted", "aggregation");
    for (cause, service) in
        [("append NoticeCreated", "compliance"), ("append ReportSubmitted", "submission")]
    {
        caused(cause, "INSERT", service);
    }
    assert!(drawn.lines().all(|line| line.chars().count() <= 120), "{drawn}");
    let (_, rest) = DOCUMENT.split_once(BEGIN).unwrap();
    let (shown, _) = rest.split_once(END).unwrap();
    assert!(shown == drawn, "docs/TRACE.md shows another trace than this one:\n{drawn}");
}

/// All of it hangs together, every service is in it, and what answers a call is below the call.
fn must_be_one_tree(spans: &[Span], drawn: &str) {
    let roots: Vec<_> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    assert!(roots.len() == 1 && roots[0].service == "client", "{drawn}");
    let mut services = BTreeSet::new();
    for span in spans.iter().filter(|span| !span.parent.is_empty()) {
        let above = spans.iter().find(|one| one.id == span.parent);
        let above = above.unwrap_or_else(|| panic!("{} hangs in the air:\n{drawn}", span.name));
        if span.kind == "server" {
            assert_eq!((above.kind, &above.name), ("client", &span.name), "{drawn}");
            assert_ne!(above.service, span.service, "{drawn}");
            services.insert(span.service.trim_start_matches("dunghan-"));
        }
    }
    assert_eq!(services, BTreeSet::from_iter(suite().names()), "{drawn}");
}
