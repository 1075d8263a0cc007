//! What the store promises, on both engines.

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::{Family, Period};
use dunghan_hierarchy::UnitId;
use dunghan_proto::submission as pb;
use dunghan_store::{Answered, Database, RequestKey};
use dunghan_submission::domain::form::Forms;
use dunghan_submission::domain::report::{
    Asked, Asserted, Content, DeclaredPeriod, Document, Evidence, EvidenceKind, Place, Report,
    ReportName,
};
use dunghan_submission::domain::value::{Figure, Key, Qualifier, Ratio, Role, Value};
use dunghan_submission::store::{
    Error, Migrations, Reply, ReportFilter, ReportKey, Store, Visible,
};
use dunghan_testkit::{ENGINES, Place as Data};
use uuid::Uuid;

use crate::world::{binh_duong, date, now, tri_qua};

async fn each(test: impl AsyncFn(Store)) {
    for engine in ENGINES {
        let data = Data::new(engine).await;
        let database = Database::open(&data.location, "submission").await.unwrap();
        database.migrate::<Migrations>().await.unwrap();
        test(Store::new(database)).await;
    }
}

fn forms() -> Forms {
    Forms::compiled_in().unwrap()
}

fn content() -> Content {
    let value = |indicator: &str, figure| Value {
        key: Key {
            indicator: indicator.to_owned(),
            category: "Hộ tịch".to_owned(),
            role: Role::Target,
            start: Some(date("2026-04-15")),
            end: None,
        },
        figure,
        qualifier: Qualifier::AboutMoreThan,
        stated_percent: "84.50".parse().ok(),
        quote: "Nguyên văn \u{0} “trong” báo cáo".to_owned(),
    };
    Content {
        document: Document {
            number: "103".to_owned(),
            symbol: "BC-UBND".to_owned(),
            date: Some(date("2026-05-18")),
            declared_periods: vec![DeclaredPeriod {
                period: "2023-01-01--2024-05-31".parse().unwrap(),
                place: Place::Closing,
            }],
        },
        values: vec![
            value("dossiers_received_total", Figure::Count(i64::MAX.cast_unsigned())),
            value("dossiers_received_online", Figure::Ratio(Ratio::new(465, 550).unwrap())),
            value("staff_with_computer", Figure::Percent("100.0".parse().unwrap())),
        ],
        narrative: "Lời văn".to_owned(),
        declared_cut_off: Some(date("2026-05-14")),
        submitting_unit: Some(binh_duong()),
    }
}

fn draft(unit: UnitId, period: &str, at: DateTime<Utc>) -> Report {
    let period: Period = period.parse().unwrap();
    let asked = Asked {
        regime: "cds-month".to_owned(),
        period,
        form: "cds-1".to_owned(),
        window: period.window(Family::Nd09),
        cut_off_as_declared: true,
    };
    let name = ReportName { unit, report: Uuid::new_v4() };
    Report::begin(name, asked, content(), forms().get("cds-1").unwrap(), at)
}

async fn insert(store: &Store, report: &Report) -> Result<(), Error> {
    store.report_insert::<pb::Report>(report, None).await
}

async fn update(store: &Store, report: &Report) -> Result<(), Error> {
    store.report_update::<pb::Report>(report, None, None).await
}

fn submitted(report: Report, at: DateTime<Utc>) -> Report {
    let evidence = Evidence { kind: EvidenceKind::DigitalSignature, reference: "UBND".to_owned() };
    let asserted = Some(Asserted { at: at - TimeDelta::microseconds(1), evidence });
    report.submit(forms().get("cds-1").unwrap(), asserted, "lan", at).unwrap()
}

#[tokio::test]
async fn a_report_reads_back_as_it_was_written() {
    each(async |store| {
        let report = draft(tri_qua(), "202605", now() + TimeDelta::microseconds(7));
        insert(&store, &report).await.unwrap();
        assert_eq!(store.report_fetch(report.name).await.unwrap(), report);
        let report = submitted(report, now() + TimeDelta::hours(1));
        update(&store, &report).await.unwrap();
        assert_eq!(store.report_fetch(report.name).await.unwrap(), report);
        let elsewhere = ReportName { unit: binh_duong(), ..report.name };
        let refused = store.report_fetch(elsewhere).await.unwrap_err();
        assert!(matches!(refused, Error::NotFound(name) if name == elsewhere));
    })
    .await;
}

#[tokio::test]
async fn one_report_per_unit_regime_and_period() {
    each(async |store| {
        let first = draft(tri_qua(), "202605", now());
        insert(&store, &first).await.unwrap();
        let refused = insert(&store, &draft(tri_qua(), "202605", now())).await.unwrap_err();
        assert!(matches!(refused, Error::Exists(name) if name == first.name), "{refused:?}");
        insert(&store, &draft(tri_qua(), "202604", now())).await.unwrap();
        insert(&store, &draft(binh_duong(), "202605", now())).await.unwrap();
        let mut other = draft(tri_qua(), "202605", now());
        other.asked.regime = "other-month".to_owned();
        insert(&store, &other).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_write_goes_over_the_version_it_was_made_from_and_never_over_what_was_handed_over() {
    each(async |store| {
        let report = draft(tri_qua(), "202605", now());
        let absent = update(&store, &report).await.unwrap_err();
        assert!(matches!(absent, Error::NotFound(_)), "{absent:?}");
        insert(&store, &report).await.unwrap();
        let form = forms();
        let form = form.get("cds-1").unwrap();
        let edited = report.clone().edit(Content::default(), form, now()).unwrap();
        update(&store, &edited).await.unwrap();
        let stale = update(&store, &edited).await.unwrap_err();
        assert!(matches!(stale, Error::Stale(name) if name == report.name), "{stale:?}");
        let stale = update(&store, &submitted(report.clone(), now())).await.unwrap_err();
        assert!(matches!(stale, Error::Stale(_)), "{stale:?}");

        let full = edited.edit(content(), form, now()).unwrap();
        update(&store, &full).await.unwrap();
        let kept = submitted(full.clone(), now());
        update(&store, &kept).await.unwrap();
        // Even with the right version.
        let mut forged = full.clone();
        forged.version = kept.version + 1;
        for late in [submitted(full, now() + TimeDelta::hours(1)), forged] {
            let refused = update(&store, &late).await.unwrap_err();
            assert!(matches!(refused, Error::AlreadySubmitted(_)), "{refused:?}");
        }
        assert_eq!(store.report_fetch(kept.name).await.unwrap(), kept);
    })
    .await;
}

#[tokio::test]
async fn an_answer_is_kept_with_the_write_or_not_at_all() {
    each(async |store| {
        let report = draft(tri_qua(), "202605", now());
        let response = pb::Report { name: report.name.to_string(), ..pb::Report::default() };
        let key =
            |id| RequestKey::new("lan", "CreateReport", id, &pb::CreateReportRequest::default());
        let (won, lost) = (key(Uuid::new_v4()), key(Uuid::new_v4()));
        let reply = Reply { key: &won, response: &response };
        store.report_insert(&report, Some(reply)).await.unwrap();
        let again = draft(tri_qua(), "202605", now());
        let reply = Reply { key: &lost, response: &response };
        store.report_insert(&again, Some(reply)).await.unwrap_err();
        let answered: Answered<pb::Report> = store.request_answered(&won).await.unwrap();
        assert_eq!(answered, Answered::Yes(response));
        let answered: Answered<pb::Report> = store.request_answered(&lost).await.unwrap();
        assert_eq!(answered, Answered::No);
        // The same request under way twice, for what does not collide: the second comes to nothing.
        let other = draft(tri_qua(), "202604", now());
        let response = pb::Report::default();
        let reply = Reply { key: &won, response: &response };
        let refused = store.report_insert(&other, Some(reply)).await.unwrap_err();
        assert!(matches!(refused, Error::Database(_)), "{refused:?}");
        let absent = store.report_fetch(other.name).await.unwrap_err();
        assert!(matches!(absent, Error::NotFound(_)), "{absent:?}");
    })
    .await;
}

#[tokio::test]
async fn a_list_is_in_the_same_order_on_every_engine_and_goes_on_where_it_ended() {
    each(async |store| {
        let mut made = Vec::new();
        for (at, unit, period) in [
            (0, tri_qua(), "202601"),
            (1, binh_duong(), "202601"),
            (1, tri_qua(), "202602"),
            (1, binh_duong(), "202602"),
            (2, tri_qua(), "202603"),
        ] {
            let report = draft(unit, period, now() + TimeDelta::microseconds(at));
            insert(&store, &report).await.unwrap();
            made.push(report);
        }
        made.sort_by_key(|report| std::cmp::Reverse((report.create_time, report.name.report)));
        let all = ReportFilter {
            visible: Visible::Everything,
            units: None,
            regime: None,
            period: None,
            submitted: None,
        };
        let names = |reports: &[Report]| reports.iter().map(|r| r.name).collect::<Vec<_>>();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = store.report_page(&all, after, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            assert_eq!(last.content.narrative, "", "lists hold no narratives");
            assert_eq!(last.content.values, content().values);
            after = Some(ReportKey::of(last));
            seen.extend(names(&page));
        }
        assert_eq!(seen, names(&made));

        let some = ReportFilter {
            visible: Visible::Of { units: vec![tri_qua()], regimes: Vec::new() },
            ..all.clone()
        };
        assert_eq!(store.report_page(&some, None, 10).await.unwrap().len(), 3);
        let none = ReportFilter {
            visible: Visible::Of { units: Vec::new(), regimes: Vec::new() },
            ..all.clone()
        };
        assert_eq!(store.report_page(&none, None, 10).await.unwrap(), []);
        let by_regime = ReportFilter {
            visible: Visible::Of { units: Vec::new(), regimes: vec!["cds-month".to_owned()] },
            units: Some(vec![binh_duong()]),
            period: "202602".parse().ok(),
            regime: Some("cds-month".to_owned()),
            submitted: Some(false),
        };
        assert_eq!(store.report_page(&by_regime, None, 10).await.unwrap().len(), 1);
        let submitted = ReportFilter { submitted: Some(true), ..all };
        assert_eq!(store.report_page(&submitted, None, 10).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn as_many_units_as_a_country_has_fit_into_one_question() {
    each(async |store| {
        let report = draft(tri_qua(), "202605", now());
        insert(&store, &report).await.unwrap();
        let mut units: Vec<_> = (0..15_000).map(|_| UnitId::from_uuid(Uuid::new_v4())).collect();
        units.push(tri_qua());
        let filter = ReportFilter {
            visible: Visible::Of { units: units.clone(), regimes: Vec::new() },
            units: Some(units),
            regime: None,
            period: None,
            submitted: None,
        };
        assert_eq!(store.report_page(&filter, None, 10).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn receipts_are_of_what_was_handed_over() {
    each(async |store| {
        let period = "202605".parse().unwrap();
        let report = draft(tri_qua(), "202605", now());
        insert(&store, &report).await.unwrap();
        insert(&store, &draft(binh_duong(), "202605", now())).await.unwrap();
        let units = [tri_qua(), binh_duong()];
        assert_eq!(store.report_received("cds-month", period, &units).await.unwrap(), []);
        let report = submitted(report, now());
        update(&store, &report).await.unwrap();
        let received = store.report_received("cds-month", period, &units).await.unwrap();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].report, report.name);
        assert_eq!(received[0].at, now() - TimeDelta::microseconds(1));
        assert_eq!(received[0].declared_cut_off, Some(date("2026-05-14")));
        assert_eq!(store.report_received("other", period, &units).await.unwrap(), []);
        assert_eq!(store.report_received("cds-month", period, &[]).await.unwrap(), []);
        let found = store.report_fetch_many(&[report.name]).await.unwrap();
        assert_eq!(found, [report]);
    })
    .await;
}
