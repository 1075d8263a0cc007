//! What the store promises, on both engines.

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::{Family, Period, zone};
use dunghan_hierarchy::UnitId;
use dunghan_proto::submission as pb;
use dunghan_store::{Answered, Database, RequestKey};
use dunghan_submission::domain::form::Forms;
use dunghan_submission::domain::report::{
    Asked, Asserted, AttachedFile, Content, DeclaredPeriod, DeclaredUnit, Deed, Document, Evidence,
    EvidenceKind, Justification, Place, Report, ReportName, SentBack, Stage, State,
};
use dunghan_submission::domain::value::{Figure, Key, Qualifier, Ratio, Role, Value};
use dunghan_submission::store::{
    Error, Migrations, Reply, ReportFilter, ReportKey, Store, Visible,
};
use dunghan_testkit::{ENGINES, Engine, Place as Data};
use sea_orm::{ConnectionTrait as _, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use uuid::Uuid;

use crate::world::{bac_ninh, binh_duong, date, dinh_to, now, tri_qua};

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
        discrepancy: None,
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
            declared_units: vec![DeclaredUnit {
                display_name: "UBND Phường 1".to_owned(),
                place: Place::Title,
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
        nil: true,
        justifications: vec![Justification {
            finding: "f1".to_owned(),
            text: "Làm tròn theo mẫu.".to_owned(),
        }],
        files: vec![AttachedFile {
            id: Uuid::max(),
            file_name: "Phụ lục.pdf".to_owned(),
            size: 1,
            sha256: "0".repeat(64),
        }],
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
        review_levels: 2,
        receivers: vec![bac_ninh()],
    };
    let name = ReportName { unit, report: Uuid::new_v4() };
    Report::begin(name, asked, content(), forms().get("cds-1").unwrap(), at)
}

async fn insert(store: &Store, report: &Report) -> Result<(), Error> {
    store.report_insert::<pb::Report>(report, None, None).await
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
        let refused = update(&store, &forged).await.unwrap_err();
        assert!(matches!(refused, Error::AlreadySubmitted(_)), "{refused:?}");
        let late = submitted(full, now() + TimeDelta::hours(1));
        let stale = update(&store, &late).await.unwrap_err();
        assert!(matches!(stale, Error::Stale(_)), "{stale:?}");
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
        store.report_insert(&report, None, Some(reply)).await.unwrap();
        let again = draft(tri_qua(), "202605", now());
        let reply = Reply { key: &lost, response: &response };
        store.report_insert(&again, None, Some(reply)).await.unwrap_err();
        let answered: Answered<pb::Report> = store.request_answered(&won).await.unwrap();
        assert_eq!(answered, Answered::Yes(response));
        let answered: Answered<pb::Report> = store.request_answered(&lost).await.unwrap();
        assert_eq!(answered, Answered::No);
        // The same request under way twice, for what does not collide: the second comes to nothing.
        let other = draft(tri_qua(), "202604", now());
        let response = pb::Report::default();
        let reply = Reply { key: &won, response: &response };
        let refused = store.report_insert(&other, None, Some(reply)).await.unwrap_err();
        assert!(matches!(refused, Error::Answered), "{refused:?}");
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
            stages: Vec::new(),
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
            stages: vec![Stage::Draft],
        };
        assert_eq!(store.report_page(&by_regime, None, 10).await.unwrap().len(), 1);
        let submitted = ReportFilter { stages: vec![Stage::Submitted], ..all };
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
            stages: Vec::new(),
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

async fn send_back(store: &Store, report: Report, at: DateTime<Utc>) -> Report {
    let due_date = date("2026-12-01");
    let (back, act) = report.clone().send_back("minh", "Sai kỳ.".to_owned(), due_date, at).unwrap();
    store.report_act::<pb::Report>(&report, &back, act, None, None).await.unwrap();
    back
}

async fn withdraw(store: &Store, report: Report, at: DateTime<Utc>) -> Report {
    let (draft, act) = report.clone().withdraw("lan", "Nhầm.".to_owned(), at).unwrap();
    store.report_act::<pb::Report>(&report, &draft, act, None, None).await.unwrap();
    draft
}

#[tokio::test]
async fn what_was_done_to_a_report_reads_back_as_it_was_written() {
    each(async |store| {
        let hour = TimeDelta::hours(1);
        let draft = draft(tri_qua(), "202605", now());
        insert(&store, &draft).await.unwrap();
        assert_eq!(store.report_acts(&draft, None, true, 9).await.unwrap(), []);
        let first = submitted(draft, now() + hour);
        update(&store, &first).await.unwrap();
        let back = send_back(&store, first.clone(), now() + hour * 2).await;
        assert_eq!(store.report_fetch(back.name).await.unwrap(), back);
        let form = forms();
        let form = form.get("cds-1").unwrap();
        let mended = Content { narrative: "Đã bổ sung".to_owned(), ..content() };
        let edited = back.edit(mended, form, now() + hour * 3).unwrap();
        update(&store, &edited).await.unwrap();
        assert_eq!(store.report_fetch(edited.name).await.unwrap(), edited);
        let second = edited.submit(form, None, "hoa", now() + hour * 4).unwrap();
        update(&store, &second).await.unwrap();
        assert_eq!(store.report_fetch(second.name).await.unwrap(), second);
        let withdrawn = withdraw(&store, second.clone(), now() + hour * 5).await;
        assert_eq!(store.report_fetch(withdrawn.name).await.unwrap(), withdrawn);
        for (revision, report) in [(1, &first), (2, &second)] {
            let found = store.report_revision(&withdrawn, revision).await.unwrap();
            assert_eq!(found.as_ref(), Some(report));
        }
        assert_eq!(store.report_revision(&second, 2).await.unwrap(), Some(second.clone()));
        for none in [0, 3] {
            assert_eq!(store.report_revision(&withdrawn, none).await.unwrap(), None);
        }

        let acts = store.report_acts(&withdrawn, None, true, 9).await.unwrap();
        let versions: Vec<_> = acts.iter().map(|act| (act.version, act.revision)).collect();
        assert_eq!(versions, [(2, 1), (3, 1), (5, 2), (6, 2)]);
        let [one, _, two, _] = &acts[..] else { panic!("{acts:?}") };
        assert_eq!(
            (Some(one), Some(two)),
            (first.hand_over().as_ref(), second.hand_over().as_ref())
        );

        // From one on, so many, and without what makes them large.
        let some = store.report_acts(&withdrawn, Some(2), false, 2).await.unwrap();
        assert_eq!(some.iter().map(|act| act.version).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(some[0], acts[1]);
        let Deed::HandedOver { evidence: None, report } = &some[1].deed else { panic!("{some:?}") };
        assert_eq!((&report.state, report.version), (&second.state, 5));
        let Content { narrative, values, .. } = &report.content;
        assert_eq!((narrative.as_str(), values.len(), report.findings.len()), ("", 0, 0));

        // As of when the report was read, whatever was done since.
        let stood = store.report_acts(&first, None, true, 9).await.unwrap();
        assert_eq!(stood, acts[..1]);
        assert_eq!(store.report_acts(&first, Some(2), true, 9).await.unwrap(), []);
        assert_eq!(store.report_acts(&second, None, true, 9).await.unwrap(), acts[..3]);
        assert_eq!(store.report_acts(&second, None, true, 2).await.unwrap(), acts[..2]);
    })
    .await;
}

#[tokio::test]
async fn taking_back_goes_over_what_was_read_and_keeps_what_was_handed_over() {
    each(async |store| {
        let draft = draft(tri_qua(), "202605", now());
        let report = submitted(draft.clone(), now());
        let (gone, act) = report.clone().withdraw("lan", String::new(), now()).unwrap();
        let take_back = async |before: &Report, after: &Report| {
            store.report_act::<pb::Report>(before, after, act.clone(), None, None).await
        };
        let absent = take_back(&report, &gone).await.unwrap_err();
        assert!(matches!(absent, Error::NotFound(_)), "{absent:?}");
        insert(&store, &draft).await.unwrap();
        let early = take_back(&report, &gone).await.unwrap_err();
        assert!(matches!(early, Error::Stale(_)), "{early:?}");
        // Even with the right version.
        let early = take_back(&draft, &gone).await.unwrap_err();
        assert!(matches!(early, Error::NotHandedOver(_)), "{early:?}");
        update(&store, &report).await.unwrap();
        // Nothing that a report says is written with it.
        let mut emptied = gone.clone();
        emptied.content = Content::default();
        emptied.findings.clear();
        take_back(&report, &emptied).await.unwrap();
        assert_eq!(store.report_fetch(gone.name).await.unwrap(), gone);
        let late = take_back(&report, &gone).await.unwrap_err();
        assert!(matches!(late, Error::Stale(_)), "{late:?}");

        let again = submitted(gone, now());
        update(&store, &again).await.unwrap();
        let (gone, _) = again.clone().withdraw("lan", String::new(), now()).unwrap();
        let stale = take_back(&report, &gone).await.unwrap_err();
        assert!(matches!(stale, Error::Stale(_)), "{stale:?}");
        let back = send_back(&store, again.clone(), now()).await;
        let stale = take_back(&again, &back).await.unwrap_err();
        assert!(matches!(stale, Error::Stale(_)), "{stale:?}");
        assert_eq!(store.report_acts(&back, None, true, 9).await.unwrap().len(), 4);
    })
    .await;
}

async fn accept(store: &Store, report: &Report, who: &str, at: DateTime<Utc>) -> Report {
    let (accepted, act) = report.clone().accept(who, &[], "Đạt yêu cầu.".to_owned(), at).unwrap();
    store.report_act::<pb::Report>(report, &accepted, act, None, None).await.unwrap();
    accepted
}

#[tokio::test]
async fn who_accepted_reads_back_and_what_they_accepted_is_kept_once() {
    each(async |store| {
        let hour = TimeDelta::hours(1);
        let draft = draft(tri_qua(), "202605", now());
        insert(&store, &draft).await.unwrap();
        let report = submitted(draft, now() + hour);
        update(&store, &report).await.unwrap();
        let once = accept(&store, &report, "hoa", now() + hour * 2).await;
        assert_eq!((once.stage(), once.acceptances().len()), (Stage::Submitted, 1));
        assert_eq!(store.report_fetch(once.name).await.unwrap(), once);
        let twice = accept(&store, &once, "minh", now() + hour * 3).await;
        assert_eq!((twice.stage(), twice.acceptances().len()), (Stage::Accepted, 2));
        assert_eq!(store.report_fetch(twice.name).await.unwrap(), twice);
        assert_eq!(store.report_revision(&twice, 1).await.unwrap(), Some(report.clone()));
        let back = send_back(&store, twice.clone(), now() + hour * 4).await;
        assert_eq!(store.report_fetch(back.name).await.unwrap(), back);
        assert_eq!(back.acceptances(), []);

        let acts = store.report_acts(&back, None, true, 9).await.unwrap();
        assert_eq!(acts.iter().map(|act| act.version).collect::<Vec<_>>(), [2, 3, 4, 5]);
        assert_eq!(Some(&acts[0]), report.hand_over().as_ref());
        for (act, level, author) in [(&acts[1], 1, "hoa"), (&acts[2], 2, "minh")] {
            let deed = Deed::Accepted { level, comment: "Đạt yêu cầu.".to_owned() };
            assert_eq!((&act.deed, act.author.as_str(), act.revision), (&deed, author, 1));
        }
        // As of when the report was read.
        assert_eq!(store.report_acts(&report, None, true, 9).await.unwrap(), acts[..1]);
        assert_eq!(store.report_acts(&once, None, true, 9).await.unwrap(), acts[..2]);
        assert_eq!(store.report_acts(&twice, None, true, 9).await.unwrap(), acts[..3]);
        assert_eq!(store.report_submitters(&report).await.unwrap(), [""; 0]);
        assert_eq!(store.report_submitters(&back).await.unwrap(), ["lan"]);

        // What two do at once is done once.
        let (again, act) = once.clone().accept("lien", &[], String::new(), now()).unwrap();
        let stale = store.report_act::<pb::Report>(&once, &again, act, None, None).await;
        assert!(matches!(stale, Err(Error::Stale(_))), "{stale:?}");
        assert_eq!(store.report_acts(&back, None, true, 9).await.unwrap(), acts);
    })
    .await;
}

#[tokio::test]
async fn reports_are_found_by_their_states_and_receipts_say_what_was_sent_back() {
    each(async |store| {
        let period = "202605".parse().unwrap();
        let units = [tri_qua(), binh_duong(), dinh_to(), bac_ninh()];
        let [one, two, three, four] = units.map(|unit| draft(unit, "202605", now()));
        for report in [&one, &two, &three, &four] {
            insert(&store, report).await.unwrap();
        }
        let four = submitted(four, now());
        update(&store, &four).await.unwrap();
        let four = accept(&store, &four, "hoa", now()).await;
        let four = accept(&store, &four, "minh", now()).await;
        let two = submitted(two, now());
        update(&store, &two).await.unwrap();
        let three = submitted(three, now());
        update(&store, &three).await.unwrap();
        let back = send_back(&store, three, now() + TimeDelta::hours(1)).await;
        let form = forms();
        let edited = back.edit(Content::default(), form.get("cds-1").unwrap(), now()).unwrap();
        update(&store, &edited).await.unwrap();

        use Stage::{Accepted, Draft, Returned, Submitted};
        for (stages, expected) in [
            (vec![], vec![one.name, two.name, edited.name, four.name]),
            (vec![Accepted], vec![four.name]),
            (vec![Draft], vec![one.name]),
            (vec![Submitted], vec![two.name]),
            (vec![Returned], vec![edited.name]),
            (vec![Draft, Returned], vec![one.name, edited.name]),
            (vec![Draft, Submitted, Returned], vec![one.name, two.name, edited.name]),
        ] {
            let filter = ReportFilter {
                visible: Visible::Everything,
                units: None,
                regime: None,
                period: None,
                stages: stages.clone(),
            };
            let page = store.report_page(&filter, None, 9).await.unwrap();
            let mut found: Vec<_> = page.iter().map(|report| report.name).collect();
            let mut expected = expected;
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{stages:?}");
        }

        let mut received = store.report_received("cds-month", period, &units).await.unwrap();
        received.sort_by_key(|one| (one.report == four.name, one.version));
        let [stands, mended, accepted] = &received[..] else { panic!("{received:?}") };
        assert_eq!((accepted.report, accepted.version, accepted.back), (four.name, 4, None));
        assert_eq!((accepted.at, accepted.declared_cut_off), (stands.at, stands.declared_cut_off));
        assert_eq!((stands.report, stands.version, stands.back), (two.name, 2, None));
        assert_eq!((mended.report, mended.version), (edited.name, 4));
        let due = zone::end_of(date("2026-12-01"));
        assert_eq!(mended.back, Some(SentBack { at: now() + TimeDelta::hours(1), due }));
        assert_eq!(mended.declared_cut_off, Some(date("2026-05-14")));
    })
    .await;
}

/// The tables as the release before had them.
#[derive(Debug)]
struct Before;

impl MigratorTrait for Before {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut all = Migrations::migrations();
        let since = ["m20261122_000005_report_acts", "m20261123_000006_review"];
        all.retain(|one| !since.contains(&one.name()));
        all
    }
}

#[tokio::test]
async fn what_the_release_before_took_in_has_its_act_and_lives_on() {
    for engine in ENGINES {
        let data = Data::new(engine).await;
        let database = Database::open(&data.location, "submission").await.unwrap();
        database.migrate::<Before>().await.unwrap();
        let run = async |sql: &str| {
            database.write(async |write| write.execute_unprepared(sql).await).await.unwrap();
        };
        let name = ReportName { unit: tri_qua(), report: Uuid::from_u128(7) };
        let unit = tri_qua().uuid();
        // SQLite keeps a uuid as its bytes, PostgreSQL reads a text.
        let uuid = |uuid: Uuid| match engine {
            Engine::Sqlite => format!("x'{}'", uuid.simple()),
            Engine::Postgres => format!("'{uuid}'"),
        };
        let document = r#"{"number":"1","symbol":"BC","date":null,"declared_periods":[]}"#;
        let (id, unit) = (uuid(name.report), uuid(unit));
        run(&format!(
            "INSERT INTO report (id, unit_id, regime, period, form, window_first, window_cut_off, \
             cut_off_as_declared, state, receive_us, receipt_evidence, submitter, document, figures, \
             narrative, declared_cut_off, findings, create_us, update_us, version) VALUES ({id}, {unit}, \
             'cds-month', '202605', 'cds-1', '2026-04-15', '2026-05-14', false, 'submitted', 5, \
             '{{\"kind\":\"register\",\"reference\":\"12\"}}', 'lan', '{document}', '[]', 'Lời', NULL, '[]', 3, 7, 2)"
        ))
        .await;
        database.migrate::<Migrations>().await.unwrap();
        let store = Store::new(database.clone());
        let report = store.report_fetch(name).await.unwrap();
        let at = |us| DateTime::from_timestamp_micros(us).unwrap();
        let State::Submitted { first, last, submitter, .. } = &report.state else { panic!() };
        assert_eq!((first, first.at, submitter.as_str()), (last, at(5), "lan"));
        assert_eq!((report.revision, report.version), (1, 2));
        let acts = store.report_acts(&report, None, true, 9).await.unwrap();
        let [act] = &acts[..] else { panic!("{acts:?}") };
        assert_eq!((act.at, act.recorded, act.version, act.revision), (at(5), at(7), 2, 1));
        let evidence = Some(Evidence { kind: EvidenceKind::Register, reference: "12".to_owned() });
        let deed = Deed::HandedOver { evidence, report: Box::new(report.clone()) };
        assert_eq!((act.author.as_str(), &act.deed), ("lan", &deed));

        let draft = withdraw(&store, report, now()).await;
        assert_eq!(store.report_acts(&draft, None, true, 9).await.unwrap()[0], *act);
        // A process of the release before may still hand it over, and writes what it knows of.
        run(&format!(
            "UPDATE report SET state = 'submitted', receive_us = 9, submitter = 'hoa', update_us = 9, \
             version = version + 1 WHERE id = {id}"
        ))
        .await;
        let report = store.report_fetch(name).await.unwrap();
        assert_eq!((report.revision, report.version), (2, 4));
        let acts = store.report_acts(&report, None, true, 9).await.unwrap();
        let told: Vec<_> = acts.iter().map(|act| (act.revision, act.author.as_str())).collect();
        assert_eq!(told, [(1, "lan"), (1, "lan"), (2, "hoa")], "{engine:?}");
        // What was sent back is handed over for it: it is there, and is not to be changed.
        send_back(&store, report, now()).await;
        let reader = database.reader();
        let sql = format!("SELECT state FROM report WHERE id = {id}");
        let row = reader.query_one_raw(Statement::from_string(reader.get_database_backend(), sql));
        let state: String = row.await.unwrap().unwrap().try_get_by_index(0).unwrap();
        assert_eq!(state, "submitted");
    }
}
