//! Two reviewers, an officer and an importer act at once on one report: what comes of it, and what each is told, is what some order
//! of their acts would have brought about one after the other.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_proto::submission as pb;
use dunghan_testkit::{Engine, Testing};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tokio::task::JoinSet;

use crate::life_model::{Model, REGIME, Says, Sent, Step, person, send};
use crate::world::{acts, create, dinh_to, new_request_id, now, of, start};

/// What somebody does, one after the other; and whether each says from what it was made, and comes twice at once.
type Acts = Vec<(Step, bool, bool)>;

#[derive(Clone, Debug)]
struct Scene {
    /// How far the report has come before they begin.
    before: Vec<(&'static str, Step)>,
    acts: Vec<(&'static str, Acts)>,
}

fn says() -> impl Strategy<Value = Step> {
    (1..1000_i64)
        .prop_map(|n| Step::Edit(Says { posts: Some(n), text: format!("Dòng {n}\n"), nil: false }))
}

fn scene() -> impl Strategy<Value = Scene> {
    let review = prop_oneof![3 => Just(Step::Accept), 2 => Just(Step::Return(2))];
    let office = prop_oneof![
        2 => says(),
        3 => Just(Step::Submit(None)),
        3 => Just(Step::Withdraw),
    ];
    let import = prop_oneof![
        1 => says(),
        2 => (0..30_i64).prop_map(|hours| Step::Submit(Some(hours))),
        2 => (0..30_i64).prop_map(|hours| Step::Nil(Some(hours))),
    ];
    let of = |step: BoxedStrategy<Step>, most: usize| {
        prop::collection::vec(
            (step, prop::bool::weighted(0.4), prop::bool::weighted(0.2)),
            1..=most,
        )
    };
    let submitted = || vec![("lan", Step::Submit(None))];
    let before = prop_oneof![
        1 => Just(Vec::new()),
        3 => Just(submitted()),
        3 => Just([submitted(), vec![("minh", Step::Accept)]].concat()),
        1 => Just([submitted(), vec![("minh", Step::Accept), ("hoa", Step::Accept)]].concat()),
        2 => Just([submitted(), vec![("minh", Step::Return(2))]].concat()),
    ];
    let acts = (
        of(review.clone().boxed(), 1),
        of(review.boxed(), 1),
        of(office.boxed(), 2),
        of(import.boxed(), 2),
    );
    (before, acts).prop_map(|(before, (hoa, chi, lan, nhap))| {
        let acts = vec![("hoa", hoa), ("chi", chi), ("lan", lan), ("nhap", nhap)];
        Scene { before, acts }
    })
}

/// A request, and what came of it.
type Happened = (Sent, Result<pb::Report, String>);

/// Whether doing these one after the other, each person's in their order, brings about what everybody was told and what stands.
fn explained(
    model: &Model,
    answered: &BTreeMap<String, Model>,
    left: &mut Vec<&[Happened]>,
    stands: &pb::Report,
    now: DateTime<Utc>,
) -> Option<Model> {
    if left.iter().all(|one| one.is_empty()) {
        return model.is(stands).then(|| model.clone());
    }
    for at in 0..left.len() {
        let Some(((sent, answer), rest)) = left[at].split_first() else { continue };
        // What was done by a request is answered again when it comes again.
        let again = answered.get(&sent.request_id);
        let next = match again {
            Some(earlier) => Ok(earlier.clone()),
            None => model.after(sent, now),
        };
        let told = match (&next, answer) {
            (Ok(next), Ok(report)) => next.is(report),
            (Err(reason), Err(told)) => reason == told,
            _ => false,
        };
        if !told {
            continue;
        }
        let kept = std::mem::replace(&mut left[at], rest);
        let mut answered = answered.clone();
        let model = match (next, again) {
            (Ok(next), None) => {
                // An edit has no id by which it would be told from another.
                if !matches!(sent.step, Step::Edit(_)) {
                    answered.insert(sent.request_id.clone(), next.clone());
                }
                next
            }
            _ => model.clone(),
        };
        let found = explained(&model, &answered, left, stands, now);
        left[at] = kept;
        if found.is_some() {
            return found;
        }
    }
    None
}

async fn play(testing: &Testing, period: &str, scene: Scene) -> usize {
    let lan = &mut person(testing, "lan");
    let mut report = create(lan, dinh_to(), of(REGIME, period)).await.unwrap();
    let (name, mut model) = (report.name.clone(), Model::new());
    for (who, step) in scene.before {
        testing.clock.advance(TimeDelta::minutes(1));
        let now = dunghan_calendar::Clock::now(&testing.clock);
        let (etag, request_id) = (Some(model.version), new_request_id());
        let etag = etag.filter(|_| !matches!(step, Step::Nil(_)));
        let sent = Sent { who, step, etag, request_id };
        report = send(&mut person(testing, who), &name, &sent, now).await.unwrap();
        model = model.after(&sent, now).unwrap();
    }
    assert!(model.is(&report));
    testing.clock.advance(TimeDelta::hours(1));
    let now = dunghan_calendar::Clock::now(&testing.clock);

    // Each by a connection of their own, all at once.
    let mut calls = JoinSet::new();
    for (who, acts) in scene.acts {
        let (name, first) = (name.clone(), model.version);
        let clients = [person(testing, who), person(testing, who)];
        calls.spawn(async move {
            let (mut own, mut twin) = (Vec::new(), Vec::new());
            let [mut client, mut other] = clients;
            let mut read = first;
            for (step, from_read, twice) in acts {
                let bound = from_read && !matches!(step, Step::Nil(_)) || step == Step::Accept;
                let etag = bound.then_some(read);
                let twice = twice && !matches!(step, Step::Edit(_));
                let sent = Sent { who, step, etag, request_id: new_request_id() };
                let answer = if twice {
                    let (one, same) = tokio::join!(
                        send(&mut client, &name, &sent, now),
                        send(&mut other, &name, &sent, now)
                    );
                    twin.push((sent.clone(), same));
                    one
                } else {
                    send(&mut client, &name, &sent, now).await
                };
                if let Ok(report) = &answer {
                    read = report.etag.trim_matches('"').parse().unwrap();
                }
                own.push((sent, answer));
            }
            [own, twin]
        });
    }
    let happened: Vec<_> = calls.join_all().await.into_iter().flatten().collect();
    let stands = lan.get_report(pb::GetReportRequest { name: name.clone() }).await.unwrap();
    let stands = stands.into_inner();
    let mut left: Vec<_> = happened.iter().map(Vec::as_slice).collect();
    let found = explained(&model, &BTreeMap::new(), &mut left, &stands, now);
    let found = found.unwrap_or_else(|| {
        panic!("no order explains {stands:#?}\nfrom {model:#?}\nby {happened:#?}")
    });
    // And all of it is kept.
    let kinds: Vec<_> = acts(lan, &name)
        .await
        .iter()
        .map(|act| (act.kind(), act.author.clone(), act.revision, act.review_level))
        .collect();
    let mut expected: Vec<_> = found
        .acts
        .iter()
        .map(|(kind, _, who, revision, level, _)| (*kind, (*who).to_owned(), *revision, *level))
        .collect();
    // Which order it was the answers may leave open; what was done they do not.
    let mut kinds_sorted = kinds.clone();
    let key = |it: &(_, String, i32, i32)| (it.2, it.3, it.1.clone());
    kinds_sorted.sort_by_key(key);
    expected.sort_by_key(key);
    assert_eq!(kinds_sorted, expected, "{kinds:?}");
    happened.iter().flatten().filter(|(_, answer)| answer.is_ok()).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_several_do_at_once_is_what_some_order_of_it_would_have_been() {
    let mut runner = TestRunner::deterministic();
    for (engine, years) in [(Engine::Sqlite, 2020..2026), (Engine::Postgres, 2021..2026)] {
        let testing = start(engine).await;
        let mut done = BTreeMap::<usize, usize>::new();
        for year in years {
            for month in 1..=12 {
                testing.clock.set(now());
                let scene = scene().new_tree(&mut runner).unwrap().current();
                let period = format!("{year}{month:02}");
                *done.entry(play(&testing, &period, scene).await).or_default() += 1;
            }
        }
        // They were in each other's way, and not always.
        assert!(done.len() > 3, "{engine:?} {done:?}");
    }
}
