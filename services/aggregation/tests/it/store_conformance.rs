//! What the store promises, on both engines.

use chrono::NaiveDate;
use dunghan_aggregation::domain::{Amount, Figure, Report, Role, Stated};
use dunghan_aggregation::store::{Migrations, Store};
use dunghan_calendar::Period;
use dunghan_hierarchy::UnitId;
use dunghan_store::Database;
use dunghan_testkit::{ENGINES, Engine, Place};
use sea_orm::ConnectionTrait as _;
use sea_orm_migration::{MigrationTrait, MigratorTrait};

async fn open(engine: Engine) -> (Place, Store) {
    let place = Place::new(engine).await;
    let database = Database::open(&place.location, "aggregation").await.unwrap();
    database.migrate::<Migrations>().await.unwrap();
    (place, Store::new(database))
}

async fn take_in(store: &Store, reports: &[Report]) {
    let write = store.database().write(async |write| Store::reports_take_in(write, reports).await);
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
        sequence: 2,
        figures: Some(figures),
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
        take_in(&store, &reports).await;
        let mut stated: Vec<_> = reports
            .iter()
            .map(|report| {
                let Figure { start, end, amount, approximate, .. } =
                    report.figures.clone().unwrap().remove(0);
                Stated { report: report.name.clone(), start, end, amount, approximate }
            })
            .collect();
        stated.sort_by(|one, two| one.report.cmp(&two.report));
        // By unit: both engines have the same order.
        assert_eq!(list(&store).await, stated, "{engine:?}");
        let units: Vec<_> = reports.iter().map(|report| report.name.unit()).collect();
        let known = store.report_sequences("cds", period(), &units).await.unwrap();
        assert_eq!(known, units.into_iter().map(|unit| (unit, 2)).collect(), "{engine:?}");
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
        take_in(&store, &reports).await;
        let before = list(&store).await;
        take_in(&store, &reports).await;
        assert_eq!((list(&store).await, before.len()), (before, 2), "{engine:?}");
        // Not even with other figures: what is known is as late as that.
        take_in(&store, &[report("1", vec![figure(Amount::Count(99))])]).await;
        let kept = list(&store).await.into_iter().map(|one| one.amount);
        assert!(!kept.collect::<Vec<_>>().contains(&Amount::Count(99)), "{engine:?}");
    }
}

#[tokio::test]
async fn what_is_later_takes_the_place_of_what_is_known_and_what_is_older_does_not() {
    for engine in ENGINES {
        let (_place, store) = open(engine).await;
        let at = |sequence, counts: Option<&[i64]>| Report {
            sequence,
            figures: counts.map(|counts| {
                let dated = counts.iter().map(|count| Figure {
                    start: NaiveDate::from_ymd_opt(2026, 5, u32::try_from(*count).unwrap()),
                    ..figure(Amount::Count(*count))
                });
                dated.collect()
            }),
            ..report("1", Vec::new())
        };
        let other = report("2", vec![figure(Amount::Count(7))]);
        take_in(&store, &[at(2, Some(&[1, 2])), other.clone()]).await;
        for (taken, sequence, expected) in [
            // Handed over again: other figures, and fewer.
            (vec![at(5, Some(&[3]))], 5, vec![3]),
            // Late, and again.
            (vec![at(2, Some(&[1, 2]))], 5, vec![3]),
            (vec![at(4, None)], 5, vec![3]),
            (vec![at(5, None)], 5, vec![3]),
            // Taken back: nothing older brings it back.
            (vec![at(6, None)], 6, vec![]),
            (vec![at(5, Some(&[3]))], 6, vec![]),
            // Of several at once the last, in whatever order they come.
            (vec![at(9, Some(&[5])), at(7, Some(&[4])), at(8, None)], 9, vec![5]),
            (vec![at(10, Some(&[6])), at(11, None)], 11, vec![]),
        ] {
            take_in(&store, &taken).await;
            let listed = list(&store).await.into_iter();
            let (mine, others): (Vec<_>, Vec<_>) =
                listed.partition(|stated| stated.report.unit() == taken[0].name.unit());
            let mine: Vec<_> = mine.into_iter().map(|stated| stated.amount).collect();
            let expected: Vec<_> = expected.into_iter().map(Amount::Count).collect();
            assert_eq!((mine, others.len()), (expected, 1), "{engine:?} {taken:?}");
            let units = [taken[0].name.unit(), other.name.unit()];
            let known = store.report_sequences("cds", period(), &units).await.unwrap();
            assert_eq!((known[&units[0]], known[&units[1]]), (sequence, 2));
        }
        let nobody = store.report_sequences("cds", period(), []).await.unwrap();
        assert!(nobody.is_empty());
    }
}

#[tokio::test]
async fn of_many_that_take_the_same_report_in_at_once_the_last_holds_whole() {
    for engine in ENGINES {
        let (_place, store) = open(engine).await;
        let mut writes = tokio::task::JoinSet::new();
        for sequence in 1..=12_i64 {
            let figures = (0..40).map(|number| Figure {
                category: format!("{number}"),
                ..figure(Amount::Count(sequence))
            });
            let report = Report { sequence, ..report("1", figures.collect()) };
            let store = store.clone();
            writes.spawn(async move { take_in(&store, &[report]).await });
        }
        writes.join_all().await;
        for number in 0..40 {
            let category = number.to_string();
            let listed = store.figure_list("cds", period(), "online_dossiers", &category).await;
            let amounts: Vec<_> = listed.unwrap().into_iter().map(|one| one.amount).collect();
            assert_eq!(amounts, [Amount::Count(12)], "{engine:?} {number}");
        }
    }
}

/// The tables as the release before had them.
#[derive(Debug)]
struct Before;

impl MigratorTrait for Before {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut all = Migrations::migrations();
        all.retain(|one| one.name() != "m20261122_000005_sequence");
        all
    }
}

#[tokio::test]
async fn what_the_release_before_took_in_is_older_than_whatever_comes() {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        let database = Database::open(&place.location, "aggregation").await.unwrap();
        database.migrate::<Before>().await.unwrap();
        let unit = UnitId::new("nso", "1", None);
        let id = match engine {
            Engine::Sqlite => format!("x'{}'", unit.uuid().simple()),
            Engine::Postgres => format!("'{}'", unit.uuid()),
        };
        let report_name = format!("{unit}/reports/r1");
        let sql = format!(
            "INSERT INTO report VALUES ('cds', '202605', {id}, '{report_name}'); \
             INSERT INTO value VALUES ('cds', '202605', 'online_dossiers', '', 'actual', {id}, '', '', \
             '{report_name}', 3, NULL, false)"
        );
        database.write(async |write| write.execute_unprepared(&sql).await).await.unwrap();
        database.migrate::<Migrations>().await.unwrap();
        let store = Store::new(database);
        assert_eq!(store.report_sequences("cds", period(), [&unit]).await.unwrap()[&unit], 0);
        assert_eq!(list(&store).await.len(), 1);
        let again = Report { sequence: 0, ..report("1", vec![figure(Amount::Count(4))]) };
        take_in(&store, &[again]).await;
        assert_eq!(list(&store).await[0].amount, Amount::Count(3), "{engine:?}");
        take_in(&store, &[report("1", vec![figure(Amount::Count(4))])]).await;
        assert_eq!(list(&store).await[0].amount, Amount::Count(4), "{engine:?}");
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
        take_in(&store, &[other_regime, other_period, mine.clone()]).await;
        let listed: Vec<_> = list(&store).await.into_iter().map(|one| one.amount).collect();
        assert_eq!(listed, [Amount::Count(1)], "{engine:?}");
        let row = store.figure_list("cds", period(), "online_dossiers", "Hộ tịch").await.unwrap();
        assert_eq!(row.len(), 1, "{engine:?}");
        // A report without figures is one that was taken in.
        take_in(&store, &[report("2", Vec::new())]).await;
        let units = ["1", "2", "3"].map(|code| UnitId::new("nso", code, None));
        let known = store.report_sequences("cds", period(), &units).await.unwrap();
        assert_eq!(known.len(), 2, "{engine:?}");
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
        take_in(&store, &[report("1", figures.collect())]).await;
        for number in [0, 999, 1_000, 2_499] {
            let indicator = format!("indicator_{number}");
            let listed = store.figure_list("cds", period(), &indicator, "").await.unwrap();
            assert_eq!(listed.len(), 1, "{engine:?} {indicator}");
        }
    }
}
