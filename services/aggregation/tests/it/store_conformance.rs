//! What the store promises, on both engines.

use chrono::NaiveDate;
use dunghan_aggregation::domain::{Amount, Figure, Report, Role, Stated};
use dunghan_aggregation::store::{Migrations, Store};
use dunghan_calendar::Period;
use dunghan_hierarchy::UnitId;
use dunghan_store::Database;
use dunghan_testkit::{ENGINES, Engine, Place};

async fn open(engine: Engine) -> (Place, Store) {
    let place = Place::new(engine).await;
    let database = Database::open(&place.location, "aggregation").await.unwrap();
    database.migrate::<Migrations>().await.unwrap();
    (place, Store::new(database))
}

async fn insert(store: &Store, reports: &[Report]) {
    let write = store.database().write(async |write| Store::reports_insert(write, reports).await);
    write.await.unwrap();
}

fn period() -> Period {
    "202605".parse().unwrap()
}

fn figure(amount: Amount) -> Figure {
    Figure {
        indicator: "online_dossiers".to_owned(),
        category: String::new(),
        role: Role::Actual,
        start: None,
        end: None,
        amount,
        approximate: false,
    }
}

fn report(code: &str, figures: Vec<Figure>) -> Report {
    let unit = UnitId::new("nso", code, None);
    Report {
        name: format!("{unit}/reports/r{code}").parse().unwrap(),
        regime: "cds".to_owned(),
        period: period(),
        figures,
    }
}

async fn list(store: &Store) -> Vec<Stated> {
    store.figure_list("cds", period(), "online_dossiers", "").await.unwrap()
}

#[tokio::test]
async fn what_is_kept_is_what_was_stated() {
    for engine in ENGINES {
        let (_place, store) = open(engine).await;
        let day = NaiveDate::from_ymd_opt(2026, 5, 14);
        let figures = [
            figure(Amount::Count(i64::MAX)),
            Figure { approximate: true, ..figure(Amount::Ratio { part: 0, whole: 0 }) },
            Figure { start: day, end: day, ..figure(Amount::Percent) },
        ];
        let reports: Vec<_> = figures
            .iter()
            .zip(["1", "2", "3"])
            .map(|(figure, code)| report(code, vec![figure.clone()]))
            .collect();
        insert(&store, &reports).await;
        let mut stated: Vec<_> = reports
            .iter()
            .map(|report| {
                let Figure { start, end, amount, approximate, .. } = report.figures[0].clone();
                Stated { report: report.name.clone(), start, end, amount, approximate }
            })
            .collect();
        stated.sort_by(|one, two| one.report.cmp(&two.report));
        // By unit: both engines have the same order.
        assert_eq!(list(&store).await, stated, "{engine:?}");
        let names = store.report_names("cds", period()).await.unwrap();
        assert_eq!(names, reports.into_iter().map(|report| report.name).collect(), "{engine:?}");
    }
}

#[tokio::test]
async fn taking_a_page_in_twice_changes_nothing() {
    for engine in ENGINES {
        let (_place, store) = open(engine).await;
        let reports = [
            report(
                "1",
                vec![
                    figure(Amount::Count(1)),
                    Figure { role: Role::Target, ..figure(Amount::Count(5)) },
                ],
            ),
            report("2", vec![figure(Amount::Ratio { part: 1, whole: 2 })]),
        ];
        insert(&store, &reports).await;
        let before = list(&store).await;
        insert(&store, &reports).await;
        assert_eq!((list(&store).await, before.len()), (before, 2), "{engine:?}");
        // Not even with other figures: what was reported is never overwritten.
        insert(&store, &[report("1", vec![figure(Amount::Count(99))])]).await;
        let kept = list(&store).await.into_iter().map(|one| one.amount);
        assert!(!kept.collect::<Vec<_>>().contains(&Amount::Count(99)), "{engine:?}");
    }
}

#[tokio::test]
async fn only_what_was_asked_for_is_listed() {
    for engine in ENGINES {
        let (_place, store) = open(engine).await;
        let elsewhere = [
            Figure { indicator: "other".to_owned(), ..figure(Amount::Count(2)) },
            Figure { category: "Hộ tịch".to_owned(), ..figure(Amount::Count(3)) },
            Figure { role: Role::Target, ..figure(Amount::Count(4)) },
            Figure { role: Role::Context, ..figure(Amount::Count(5)) },
            figure(Amount::Count(1)),
        ];
        let mine = report("1", elsewhere.to_vec());
        let other_regime = Report { regime: "other".to_owned(), ..mine.clone() };
        let other_period = Report { period: "202604".parse().unwrap(), ..mine.clone() };
        insert(&store, &[other_regime, other_period, mine.clone()]).await;
        let listed: Vec<_> = list(&store).await.into_iter().map(|one| one.amount).collect();
        assert_eq!(listed, [Amount::Count(1)], "{engine:?}");
        let row = store.figure_list("cds", period(), "online_dossiers", "Hộ tịch").await.unwrap();
        assert_eq!(row.len(), 1, "{engine:?}");
        // A report without figures is one that was taken in.
        insert(&store, &[report("2", Vec::new())]).await;
        assert_eq!(store.report_names("cds", period()).await.unwrap().len(), 2, "{engine:?}");
    }
}

#[tokio::test]
async fn a_page_with_more_figures_than_one_statement_takes_is_kept_whole() {
    for engine in ENGINES {
        let (_place, store) = open(engine).await;
        let figures = (0..2_500).map(|number| Figure {
            indicator: format!("indicator_{number}"),
            ..figure(Amount::Count(number))
        });
        insert(&store, &[report("1", figures.collect())]).await;
        for number in [0, 999, 1_000, 2_499] {
            let indicator = format!("indicator_{number}");
            let listed = store.figure_list("cds", period(), &indicator, "").await.unwrap();
            assert_eq!(listed.len(), 1, "{engine:?} {indicator}");
        }
    }
}
