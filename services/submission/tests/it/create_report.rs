use std::collections::HashSet;

use chrono::TimeDelta;
use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_proto::r#type::Date;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, Front, Place, fields, refusal};
use prost::Message as _;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::world::{
    bac_ninh, binh_duong, client, count, create, create_request, date, decimal, grant, may,
    metadata, new_request_id, nowhere, of, old_tri_qua, percent, ratio, reporter, start, tri_qua,
    without_compliance,
};

#[tokio::test]
async fn a_draft_is_what_was_sent_with_what_the_checks_say_of_it() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut client = reporter(&testing, tri_qua());
        let mut sent = may();
        sent.values = vec![
            pb::Value {
                start_date: Some(field::pb_date(date("2026-04-15"))),
                end_date: Some(field::pb_date(date("2026-05-14"))),
                stated_percent: Some(decimal("84.54")),
                quote: "Trực tuyến 465 trên 550 hồ sơ".to_owned(),
                ..ratio("dossiers_received_online", 465, 550)
            },
            pb::Value {
                category: " Hộ tịch ".to_owned(),
                role: pb::value::Role::Target.into(),
                qualifier: pb::value::Qualifier::MoreThan.into(),
                ..count("dossiers_received_total", 550)
            },
            percent("staff_with_computer", "100.0"),
        ];
        sent.declared_cut_off_date = Some(field::pb_date(date("2026-05-14")));
        let report = create(&mut client, tri_qua(), sent.clone()).await.unwrap();
        assert!(report.name.starts_with(&format!("{}/reports/", tri_qua())), "{}", report.name);
        assert_eq!(report.state(), pb::report::State::Draft);
        assert_eq!((report.form.as_str(), report.etag.as_str()), ("forms/cds-1", "\"1\""));
        assert_eq!(
            (report.regime.as_str(), report.period.as_str()),
            ("regimes/cds-month", "202605")
        );
        assert_eq!((report.receive_time, report.submitter.as_str()), (None, ""));
        assert_eq!(report.create_time, Some(field::pb_time(crate::world::now())));
        assert_eq!(report.document, sent.document);
        assert_eq!(report.narrative, sent.narrative);
        assert_eq!(report.declared_cut_off_date, sent.declared_cut_off_date);
        sent.values[0].role = pb::value::Role::Actual.into();
        sent.values[1].category = "Hộ tịch".to_owned();
        sent.values[2].role = pb::value::Role::Actual.into();
        sent.values[0].discrepancy = pb::Discrepancy::Truncated.into();
        assert_eq!(report.values, sent.values);
        assert_eq!(report.findings.len(), 1);
        let finding = &report.findings[0];
        assert_eq!(finding.discrepancy(), pb::Discrepancy::Truncated);
        assert_eq!(finding.recomputed_percent, Some(decimal("84.55")));

        let request = pb::GetReportRequest { name: report.name.clone() };
        assert_eq!(client.get_report(request).await.unwrap().into_inner(), report);
    }
}

/// A change that makes a report bad, the reason that is given and the field that is named.
type Bad = (fn(&mut pb::Report), &'static str, &'static str);

fn value(report: &mut pb::Report) -> &mut pb::Value {
    &mut report.values[0]
}

fn declared_unit(display_name: &str, place: i32) -> pb::DeclaredUnit {
    pb::DeclaredUnit { display_name: display_name.to_owned(), place }
}

fn figure(figure: pb::value::Figure) -> Option<pb::value::Figure> {
    Some(figure)
}

const BAD: &[Bad] = &[
    (|r| r.regime.clear(), "REQUIRED_FIELD_MISSING", "report.regime"),
    (|r| r.regime = "regimes/Big".into(), "INVALID_FIELD", "report.regime"),
    (|r| r.regime = "cds-month".into(), "INVALID_FIELD", "report.regime"),
    (|r| r.regime = format!("regimes/{}", "a".repeat(64)), "INVALID_FIELD", "report.regime"),
    (|r| r.regime = "regimes/unknown".into(), "UNKNOWN_REGIME", "report.regime"),
    (|r| r.regime = "regimes/no-form".into(), "UNKNOWN_FORM", "report.regime"),
    (|r| r.period.clear(), "REQUIRED_FIELD_MISSING", "report.period"),
    (|r| r.period = "202613".into(), "INVALID_PERIOD", "report.period"),
    (|r| r.period = "tháng 5".into(), "INVALID_PERIOD", "report.period"),
    (|r| r.period = "5".repeat(100_000), "INVALID_PERIOD", "report.period"),
    (|r| r.period = "2026Q2".into(), "PERIOD_NOT_OF_REGIME", "report.period"),
    (|r| r.period = "201912".into(), "PERIOD_NOT_OF_REGIME", "report.period"),
    (|r| r.period = "202701".into(), "PERIOD_NOT_OPEN", "report.period"),
    (|r| r.narrative = "a".repeat(1_000_001), "TOO_LONG", "report.narrative"),
    (|r| r.narrative = "a\0b".into(), "INVALID_FIELD", "report.narrative"),
    (|r| r.values[0].category = "a\0b".into(), "INVALID_FIELD", "report.values[0].category"),
    (|r| r.values[0].quote = "a\0b".into(), "INVALID_FIELD", "report.values[0].quote"),
    (
        |r| r.declared_cut_off_date = Some(Date { year: 2026, month: 2, day: 29 }),
        "INVALID_VALUE",
        "report.declared_cut_off_date",
    ),
    (
        |r| {
            r.document.as_mut().unwrap().document_date = Some(Date { year: 2026, month: 0, day: 0 })
        },
        "INVALID_VALUE",
        "report.document.document_date",
    ),
    (
        |r| r.document.as_mut().unwrap().number = "1".repeat(101),
        "TOO_LONG",
        "report.document.number",
    ),
    (
        |r| r.document.as_mut().unwrap().symbol = "B".repeat(101),
        "TOO_LONG",
        "report.document.symbol",
    ),
    (
        |r| {
            r.document.as_mut().unwrap().declared_periods = vec![pb::DeclaredPeriod {
                period: "2026S3".into(),
                place: pb::declared_period::Place::Title.into(),
            }];
        },
        "INVALID_PERIOD",
        "report.document.declared_periods[0].period",
    ),
    (
        |r| {
            let unplaced = pb::DeclaredPeriod { period: "2026S1".into(), place: 0 };
            r.document.as_mut().unwrap().declared_periods = vec![unplaced];
        },
        "REQUIRED_FIELD_MISSING",
        "report.document.declared_periods[0].place",
    ),
    (
        |r| {
            let declared = pb::DeclaredPeriod { period: "2026S1".into(), place: 1 };
            r.document.as_mut().unwrap().declared_periods = vec![declared; 101];
        },
        "TOO_LONG",
        "report.document.declared_periods",
    ),
    (
        |r| r.document.as_mut().unwrap().declared_units = vec![declared_unit(" ", 1)],
        "REQUIRED_FIELD_MISSING",
        "report.document.declared_units[0].display_name",
    ),
    (
        |r| r.document.as_mut().unwrap().declared_units = vec![declared_unit(&"x".repeat(501), 1)],
        "TOO_LONG",
        "report.document.declared_units[0].display_name",
    ),
    (
        |r| r.document.as_mut().unwrap().declared_units = vec![declared_unit("Phường 9", 0)],
        "REQUIRED_FIELD_MISSING",
        "report.document.declared_units[0].place",
    ),
    (
        |r| {
            r.document.as_mut().unwrap().declared_units = vec![declared_unit("Phường 9", 1); 101]
        },
        "TOO_LONG",
        "report.document.declared_units",
    ),
    (|r| r.values = vec![count("portal_posts", 1); 2001], "TOO_LONG", "report.values"),
    (|r| r.values = vec![count("portal_posts", 1); 2], "DUPLICATE_VALUE", "report.values[1]"),
    (|r| value(r).indicator.clear(), "REQUIRED_FIELD_MISSING", "report.values[0].indicator"),
    (|r| value(r).indicator = "x".into(), "UNKNOWN_INDICATOR", "report.values[0].indicator"),
    (
        |r| r.values = vec![percent("dossiers_received_total", "50")],
        "WRONG_KIND",
        "report.values[0].percent",
    ),
    (
        |r| r.values = vec![ratio("device_max_lifetime_years", 1, 2)],
        "WRONG_KIND",
        "report.values[0].ratio",
    ),
    (
        |r| value(r).figure = figure(pb::value::Figure::Text("nhiều".into())),
        "WRONG_KIND",
        "report.values[0].text",
    ),
    (
        |r| value(r).figure = figure(pb::value::Figure::Text("a".repeat(4001))),
        "TOO_LONG",
        "report.values[0].text",
    ),
    (|r| value(r).figure = None, "INVALID_VALUE", "report.values[0]"),
    (|r| value(r).category = "ơ".repeat(201), "TOO_LONG", "report.values[0].category"),
    (|r| value(r).quote = "a".repeat(2001), "TOO_LONG", "report.values[0].quote"),
    (|r| value(r).role = 9, "INVALID_FIELD", "report.values[0].role"),
    (|r| value(r).qualifier = 9, "INVALID_FIELD", "report.values[0].qualifier"),
    (|r| r.values = vec![count("portal_posts", -1)], "NEGATIVE_COUNT", "report.values[0].count"),
    (
        |r| r.values = vec![count("portal_posts", i64::MIN)],
        "NEGATIVE_COUNT",
        "report.values[0].count",
    ),
    (
        |r| r.values = vec![ratio("dossiers_received_online", -1, 2)],
        "NEGATIVE_COUNT",
        "report.values[0].ratio.numerator",
    ),
    (
        |r| r.values = vec![ratio("dossiers_received_online", 1, -2)],
        "NEGATIVE_COUNT",
        "report.values[0].ratio.denominator",
    ),
    (
        |r| r.values = vec![ratio("dossiers_received_online", 551, 550)],
        "PART_EXCEEDS_WHOLE",
        "report.values[0].ratio.numerator",
    ),
    (
        |r| r.values = vec![percent("staff_with_computer", "-1")],
        "NEGATIVE_COUNT",
        "report.values[0].percent",
    ),
    (
        |r| r.values = vec![percent("staff_with_computer", "NaN")],
        "NOT_A_NUMBER",
        "report.values[0].percent",
    ),
    (
        |r| r.values = vec![percent("staff_with_computer", "Infinity")],
        "NOT_A_NUMBER",
        "report.values[0].percent",
    ),
    (
        |r| r.values = vec![percent("staff_with_computer", "1e308")],
        "NOT_A_NUMBER",
        "report.values[0].percent",
    ),
    (
        |r| r.values = vec![percent("staff_with_computer", "")],
        "NOT_A_NUMBER",
        "report.values[0].percent",
    ),
    (
        |r| value(r).stated_percent = Some(decimal("99,99")),
        "NOT_A_NUMBER",
        "report.values[0].stated_percent",
    ),
    (
        |r| {
            let figure = percent("staff_with_computer", "100");
            r.values = vec![pb::Value { stated_percent: Some(decimal("99")), ..figure }];
        },
        "INVALID_VALUE",
        "report.values[0].stated_percent",
    ),
    (
        |r| value(r).start_date = Some(Date { year: 2026, month: 4, day: 31 }),
        "INVALID_VALUE",
        "report.values[0].start_date",
    ),
    (
        |r| value(r).end_date = Some(Date { year: 99, month: 4, day: 30 }),
        "INVALID_VALUE",
        "report.values[0].end_date",
    ),
    (
        |r| {
            value(r).start_date = Some(field::pb_date(date("2026-05-15")));
            value(r).end_date = Some(field::pb_date(date("2026-05-14")));
        },
        "DATES_REVERSED",
        "report.values[0].end_date",
    ),
];

#[tokio::test]
async fn each_bad_field_is_refused_by_name_and_leaves_nothing() {
    let testing = start(Engine::Sqlite).await;
    let mut client = reporter(&testing, tri_qua());
    for (spoil, reason, field) in BAD {
        let mut report = may();
        spoil(&mut report);
        let refused = create(&mut client, tri_qua(), report).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::InvalidArgument, (*reason).to_owned()), "{field}");
        assert_eq!(fields(&refused)[0], *field, "{reason}");
    }
    let listed = client.list_reports(pb::ListReportsRequest::default()).await.unwrap();
    assert_eq!(listed.into_inner().reports, []);
    create(&mut client, tri_qua(), may()).await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_is_told_together_each_with_its_reason() {
    let testing = start(Engine::Sqlite).await;
    let mut client = reporter(&testing, tri_qua());
    let mut report = may();
    report.period = "tháng 5".to_owned();
    report.values = vec![
        count("portal_posts", -1),
        ratio("dossiers_received_online", 2, 1),
        percent("staff_with_computer", "NaN"),
    ];
    let refused = create(&mut client, tri_qua(), report).await.unwrap_err();
    let violations = refused.get_details_bad_request().unwrap().field_violations;
    let told: Vec<_> = violations.iter().map(|v| (v.field.as_str(), v.reason.as_str())).collect();
    assert_eq!(
        told,
        [
            ("report.period", "ERROR_REASON_INVALID_PERIOD"),
            ("report.values[0].count", "ERROR_REASON_NEGATIVE_COUNT"),
            ("report.values[1].ratio.numerator", "ERROR_REASON_PART_EXCEEDS_WHOLE"),
            ("report.values[2].percent", "ERROR_REASON_NOT_A_NUMBER"),
        ]
    );
    let values = vec![count("x", -1); 2000];
    let refused = create(&mut client, tri_qua(), pb::Report { values, ..may() }).await.unwrap_err();
    assert_eq!(refusal(&refused).1, "NEGATIVE_COUNT");
    assert!(fields(&refused).len() > 20);
    let said = refused.message().matches("report.values[").count();
    let more = format!("; and {} more", 2000 - said);
    assert!(refused.message().ends_with(&more), "{}", refused.message());
}

/// Each of a thousand totals is about all of the fifty rows, and each row comes with a long sentence.
#[tokio::test]
async fn what_is_found_does_not_repeat_the_report_a_thousand_times() {
    let testing = start(Engine::Sqlite).await;
    let mut client = reporter(&testing, tri_qua());
    let row = |n: i64| pb::Value {
        category: format!("Lĩnh vực {n}"),
        quote: "Nguyên văn trong báo cáo. ".repeat(60),
        ..count("dossiers_to_process_total", n)
    };
    let total = |n: i64| pb::Value {
        category: "Tổng số".to_owned(),
        end_date: Some(field::pb_date(date("2026-05-14") - TimeDelta::days(n))),
        ..count("dossiers_to_process_total", 1_000_000)
    };
    let values: Vec<_> = (1..50).map(row).chain((0..995).map(total)).collect();
    let report = pb::Report { values, ..may() };
    let sent = report.encoded_len();
    let answered = create(&mut client, tri_qua(), report).await.unwrap();
    assert!(answered.findings.len() > 900, "{}", answered.findings.len());
    let involved = answered.findings.iter().flat_map(|finding| &finding.values);
    assert!(involved.clone().all(|one| one.quote.chars().count() <= 201));
    assert!(involved.count() < 3001);
    let said: usize = answered.findings.iter().map(pb::Finding::encoded_len).sum();
    assert!(said < 3 << 20, "{said} bytes of findings about {sent} of a report");
}

#[tokio::test]
async fn a_text_of_5_mb_is_refused_by_name_and_not_by_the_transport() {
    let testing = start(Engine::Sqlite).await;
    let mut client = reporter(&testing, tri_qua());
    let report = pb::Report { narrative: "a".repeat(5 << 20), ..may() };
    let refused = create(&mut client, tri_qua(), report).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::InvalidArgument, "TOO_LONG".to_owned()));
    assert_eq!(fields(&refused), ["report.narrative"]);
    let report = pb::Report { narrative: "a".repeat(1_000_000), ..may() };
    create(&mut client, tri_qua(), report).await.unwrap();
}

#[tokio::test]
async fn a_request_names_its_parent_and_its_report() {
    let testing = start(Engine::Sqlite).await;
    let mut client = reporter(&testing, tri_qua());
    let request = create_request(tri_qua(), may());
    for (request, reason, field) in [
        (
            pb::CreateReportRequest { parent: "units/1".to_owned(), ..request.clone() },
            "INVALID_FIELD",
            "parent",
        ),
        (
            pb::CreateReportRequest { request_id: "1".to_owned(), ..request.clone() },
            "INVALID_FIELD",
            "request_id",
        ),
        (pb::CreateReportRequest { report: None, ..request }, "REQUIRED_FIELD_MISSING", "report"),
    ] {
        let refused = client.create_report(request).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::InvalidArgument, reason.to_owned()));
        assert_eq!(fields(&refused), [field]);
    }
}

#[tokio::test]
async fn only_who_writes_for_the_unit_begins_its_report() {
    let testing = start(Engine::Sqlite).await;
    let own = grant(Role::Reporter, tri_qua());
    let elsewhere = grant(Role::Reporter, binh_duong());
    let above = grant(Role::Importer, bac_ninh());
    let reads = grant(Role::Supervisor, tri_qua());
    for (grants, unit, expected) in [
        (&elsewhere, tri_qua(), Some("OUT_OF_SCOPE")),
        (&reads, tri_qua(), Some("ROLE_MISSING")),
        (&"reporter@regimes/cds-month".to_owned(), tri_qua(), Some("OUT_OF_SCOPE")),
        // Whether a unit is there is not for everyone to find out.
        (&own, nowhere(), Some("OUT_OF_SCOPE")),
        // It has ended: what became of it can be read, not written.
        (&grant(Role::Importer, old_tri_qua()), old_tri_qua(), Some("OUT_OF_SCOPE")),
        (&own, tri_qua(), None),
        (&above, crate::world::dinh_to(), None),
    ] {
        let mut client = client(&testing, &[grants]);
        let created = create(&mut client, unit, may()).await;
        match expected {
            None => assert!(created.is_ok(), "{grants}"),
            Some(reason) => {
                let refused = refusal(&created.unwrap_err());
                assert_eq!(refused, (Code::PermissionDenied, reason.to_owned()), "{grants}");
            }
        }
    }
}

#[tokio::test]
async fn a_report_is_of_a_unit_that_exists_on_the_cut_off_day() {
    let testing = start(Engine::Sqlite).await;
    let mut client = client(&testing, &["importer"]);
    let unknown = create(&mut client, nowhere(), may()).await.unwrap_err();
    assert_eq!(refusal(&unknown), (Code::NotFound, "UNKNOWN_UNIT".to_owned()));
    for (unit, period, exists) in [
        (tri_qua(), "202506", false),
        (tri_qua(), "202507", true),
        (old_tri_qua(), "202506", true),
        (old_tri_qua(), "202507", false),
    ] {
        let created = create(&mut client, unit, of("cds-month", period)).await;
        match created {
            Ok(_) => assert!(exists, "{period}"),
            Err(refused) => {
                assert!(!exists, "{period} {refused}");
                let reason = "UNIT_NOT_VALID".to_owned();
                assert_eq!(refusal(&refused), (Code::FailedPrecondition, reason));
                assert!(metadata(&refused, "cut_off_date").ends_with("-14"));
            }
        }
    }
}

#[tokio::test]
async fn a_period_that_has_not_begun_says_when_it_does() {
    let testing = start(Engine::Sqlite).await;
    let mut client = reporter(&testing, tri_qua());
    let refused = create(&mut client, tri_qua(), of("cds-month", "202701")).await.unwrap_err();
    assert_eq!(metadata(&refused, "open_date"), "2026-12-15");
    assert_eq!(metadata(&refused, "field"), "report.period");
    testing.clock.set(dunghan_calendar::zone::start_of(date("2026-12-15")));
    create(&mut client, tri_qua(), of("cds-month", "202701")).await.unwrap();
}

#[tokio::test]
async fn periods_are_those_of_the_regime_while_it_is_in_force() {
    let testing = start(Engine::Sqlite).await;
    let mut client = client(&testing, &["importer"]);
    for (regime, period, asked) in [
        ("ended", "202603", true),
        ("ended", "202604", false),
        ("supervision", "2023-01-01--2024-05-31", true),
        ("supervision", "2023-01-01--2024-05-30", false),
        ("cds-nine", "2024N9", true),
        ("cds-six", "2024S1", true),
        ("cds-year", "2023", true),
        ("cds-year", "202312", false),
        ("calendar", "202611", true),
        ("calendar", "202612", false),
    ] {
        let created = create(&mut client, binh_duong(), of(regime, period)).await;
        assert_eq!(created.is_ok(), asked, "{regime} {period} {created:?}");
    }
}

#[tokio::test]
async fn a_unit_has_one_report_per_regime_and_period() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut client = reporter(&testing, tri_qua());
        let first = create(&mut client, tri_qua(), may()).await.unwrap();
        let refused = create(&mut client, tri_qua(), may()).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::AlreadyExists, "REPORT_EXISTS".to_owned()));
        assert_eq!(metadata(&refused, "report"), first.name);
        create(&mut client, tri_qua(), of("other-month", "202605")).await.unwrap();
        create(&mut client, tri_qua(), of("cds-month", "202604")).await.unwrap();
    }
}

#[tokio::test]
async fn the_same_request_again_gets_the_same_answer() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut client = reporter(&testing, tri_qua());
        let mut request = create_request(tri_qua(), may());
        request.request_id = new_request_id();
        let first = client.create_report(request.clone()).await.unwrap().into_inner();
        testing.clock.advance(chrono::TimeDelta::hours(24));
        let again = client.create_report(request.clone()).await.unwrap().into_inner();
        assert_eq!(again, first);
        request.report = Some(of("cds-month", "202604"));
        let refused = client.create_report(request).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned()));
        assert_eq!(fields(&refused), ["request_id"]);
    }
}

#[tokio::test]
async fn of_many_at_once_one_begins_the_report() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut request = create_request(tri_qua(), may());
        for repeated in [true, false] {
            request.report = Some(of("cds-month", if repeated { "202605" } else { "202604" }));
            let mut calls = tokio::task::JoinSet::new();
            let id = new_request_id();
            for _ in 0..8 {
                let mut client = reporter(&testing, tri_qua());
                let request_id = if repeated { id.clone() } else { new_request_id() };
                let request = pb::CreateReportRequest { request_id, ..request.clone() };
                calls.spawn(async move { client.create_report(request).await });
            }
            let answers = calls.join_all().await;
            let names: HashSet<_> =
                answers.iter().flatten().map(|report| report.get_ref().name.clone()).collect();
            assert_eq!(names.len(), 1, "{engine:?}");
            let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
            assert_eq!(refused.len(), if repeated { 0 } else { 7 }, "{engine:?} {refused:?}");
            for refused in refused {
                assert_eq!(refusal(&refused).1, "REPORT_EXISTS");
                assert!(names.contains(&metadata(&refused, "report")));
            }
        }
    }
}

#[tokio::test]
async fn without_compliance_no_report_is_begun() {
    let testing = start(Engine::Sqlite).await;
    let mut client = reporter(&testing, tri_qua());
    let refused = create(&mut client, tri_qua(), of("away", "202605")).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::Unavailable, "PEER_UNAVAILABLE".to_owned()));
    assert_eq!(metadata(&refused, "peer"), "compliance");
    let refused = create(&mut client, tri_qua(), of("unreadable", "202605")).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::Internal, "INTERNAL".to_owned()));

    let place = Place::new(Engine::Sqlite).await;
    let testing = without_compliance(place, &Front::new()).await;
    let mut client = reporter(&testing, tri_qua());
    let refused = create(&mut client, tri_qua(), may()).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::Unavailable, "PEER_UNAVAILABLE".to_owned()));
}
