//! Whatever is done to a report, by whomever and in any order: it is what the model says, and nothing of what it was is lost.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_proto::events::event::Payload;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::report_act::Kind;
use dunghan_rpc::field;
use dunghan_testkit::{Engine, Testing};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::life_model::{Model, PEOPLE, REGIME, Says, Sent, Step, person, send, step};
use crate::world::{Client, acts, create, dinh_to, new_request_id, now, of, start, told};

/// A step by somebody; which etag it has; whether it comes twice; and which of those before it comes again first.
#[derive(Clone, Debug)]
struct Tried {
    who: &'static str,
    step: Step,
    etag: Etag,
    twice: bool,
    late: Option<Index>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Etag {
    OfNow,
    OfBefore,
    None,
}

fn steps() -> impl Strategy<Value = Vec<Tried>> {
    let who = prop_oneof![
        3 => Just(PEOPLE[0]),
        3 => Just(PEOPLE[1]),
        3 => Just(PEOPLE[2]),
        1 => Just(PEOPLE[3]),
    ];
    let etag =
        prop_oneof![6 => Just(Etag::OfNow), 1 => Just(Etag::OfBefore), 2 => Just(Etag::None)];
    let late = prop::option::weighted(0.15, any::<Index>());
    let tried = (who, step(), etag, prop::bool::weighted(0.15), late);
    let tried =
        tried.prop_map(|(who, step, etag, twice, late)| Tried { who, step, etag, twice, late });
    prop::collection::vec(tried, 5..40)
}

/// How often each outcome came.
type Seen = BTreeMap<String, usize>;

/// A receipt, and what was received then: which revision, and when the report was first.
struct Kept {
    token: String,
    sha256: String,
    revision: i32,
    first: DateTime<Utc>,
}

async fn receipt(client: &mut Client, name: &str, revision: i32) -> Kept {
    let request = pb::GetSignedReceiptRequest { name: name.to_owned(), revision };
    let signed = client.get_signed_receipt(request).await.unwrap().into_inner();
    let content = signed.content.unwrap();
    let first = field::instant("receive_time", content.receive_time.as_ref()).unwrap().unwrap();
    let (sha256, revision) = (content.sha256, content.revision);
    Kept { token: signed.token, sha256, revision, first }
}

async fn live(testing: &Testing, period: &str, steps: Vec<Tried>, seen: &mut Seen) -> Model {
    let mut people: BTreeMap<_, _> = PEOPLE.map(|who| (who, person(testing, who))).into();
    let lan = people.get_mut("lan").unwrap();
    let begun = create(lan, dinh_to(), of(REGIME, period)).await.unwrap();
    let name = begun.name;
    let (mut model, mut was, mut kept) = (Model::new(), None, Vec::new());
    let mut answered: Vec<(Sent, DateTime<Utc>, pb::Report)> = Vec::new();
    for tried in steps {
        testing.clock.advance(TimeDelta::minutes(50));
        let now = dunghan_calendar::Clock::now(&testing.clock);
        let nil = matches!(tried.step, Step::Nil(_));
        let etag = match tried.etag {
            // It has none.
            _ if nil => None,
            Etag::None if tried.step != Step::Accept => None,
            Etag::OfBefore => was.or(Some(model.version)),
            Etag::OfNow | Etag::None => Some(model.version),
        };
        let sent =
            Sent { who: tried.who, step: tried.step.clone(), etag, request_id: new_request_id() };
        // What comes again late is answered as it was, whatever would become of it by now.
        if let Some(late) = tried.late.filter(|_| !answered.is_empty()) {
            let (late, at, answer) = late.get(&answered);
            let client = people.get_mut(late.who).unwrap();
            let again = send(client, name.as_str(), late, *at).await;
            assert_eq!(again.as_ref(), Ok(answer), "{late:?} on {model:?}");
            *seen.entry("late".to_owned()).or_default() += 1;
        }
        let client = people.get_mut(tried.who).unwrap();
        let answer = send(client, &name, &sent, now).await;
        let context = format!("{sent:?} on {model:?}");
        // What was answered is answered again; an edit has no id to be told by.
        if tried.twice && answer.is_ok() && !matches!(tried.step, Step::Edit(_)) {
            assert_eq!(send(client, &name, &sent, now).await, answer, "{context}");
            *seen.entry("twice".to_owned()).or_default() += 1;
        }
        match model.after(&sent, now) {
            Err(reason) => {
                assert_eq!(answer.unwrap_err(), reason, "{context}");
                *seen.entry(reason.to_owned()).or_default() += 1;
            }
            Ok(next) => {
                let report = answer.unwrap_or_else(|refused| panic!("{refused} {context}"));
                let from_to = format!("{:?} to {:?}", model.state, next.state);
                *seen.entry(from_to).or_default() += 1;
                *seen.entry("nil".to_owned()).or_default() += usize::from(next.says.nil);
                was = Some(model.version);
                if !matches!(tried.step, Step::Edit(_)) {
                    answered.push((sent.clone(), now, report.clone()));
                }
                assert!(next.is(&report), "{report:?} {next:?} {context}");
                let request = pb::GetReportRequest { name: name.clone() };
                let read = client.get_report(request).await.unwrap().into_inner();
                assert_eq!(read, report, "{context}");
                // Only taking it back gives up when it was first received.
                if tried.step != Step::Withdraw && model.first.is_some() {
                    assert_eq!(report.receive_time, model.first.map(field::pb_time), "{context}");
                }
                if next.revision > model.revision {
                    kept.push(receipt(client, &name, 0).await);
                }
                model = next;
            }
        }
    }
    let client = people.get_mut("chi").unwrap();
    nothing_is_lost(client, &name, &model).await;
    diffs_agree(client, &name, &model).await;
    receipts_hold(client, &name, &model, &kept).await;
    model
}

async fn nothing_is_lost(client: &mut Client, name: &str, model: &Model) {
    let listed = acts(client, name).await;
    let listed: Vec<_> = listed
        .iter()
        .map(|act| {
            let says = act.report.as_ref().map(Says::of);
            (act.kind(), act.act_time, act.author.as_str(), act.revision, act.review_level, says)
        })
        .collect();
    let expected: Vec<_> = model
        .acts
        .iter()
        .map(|(kind, at, who, revision, level, says)| {
            (*kind, Some(field::pb_time(*at)), *who, *revision, *level, says.clone())
        })
        .collect();
    assert_eq!(listed, expected);
}

/// Between two revisions, and between the last one and what stands, what differs is told, and nothing else is.
async fn diffs_agree(client: &mut Client, name: &str, model: &Model) {
    let says = |revision: i32| match revision {
        0 => &model.says,
        n => &model.revisions[usize::try_from(n).unwrap() - 1].0,
    };
    let last = model.revision;
    if last == 0 {
        return;
    }
    let pairs = (1..last).map(|n| (n, n + 1)).chain([(1, last), (last, 1), (last, 0)]);
    for (from, to) in pairs {
        let request = pb::DiffRevisionsRequest {
            name: name.to_owned(),
            from_revision: from,
            to_revision: to,
        };
        let changes = client.diff_revisions(request).await.unwrap().into_inner().changes;
        let (old, new) = (says(from), says(to));
        let of = |field: &str| -> Vec<_> {
            let found = changes.iter().filter(|it| it.field == field);
            found.map(|it| (it.old_text.as_str(), it.new_text.as_str())).collect()
        };
        let posts = |it: &Says| it.posts.map(|posts| posts.to_string()).unwrap_or_default();
        let (before, after) = (posts(old), posts(new));
        let figures = (before != after).then_some((before.as_str(), after.as_str()));
        assert_eq!(of("values"), Vec::from_iter(figures), "{name} {from} {to}");
        assert_eq!(of("nil").len(), usize::from(old.nil != new.nil), "{name} {from} {to}");
        let told = ["values", "nil", "narrative"].map(|field| of(field).len());
        assert_eq!(told.iter().sum::<usize>(), changes.len(), "{changes:?}");
        lines_agree(&old.text, &new.text, &of("narrative"));
        assert_eq!(of("narrative").is_empty(), old.text == new.text);
    }
}

/// The lines that are gone stand in the old text in that order, the new ones in the new text, and what is left of both is the same.
fn lines_agree(old: &str, new: &str, changes: &[(&str, &str)]) {
    fn lines(text: &str) -> Vec<&str> {
        text.split_inclusive('\n').collect()
    }
    let without = |text: &str, taken: Vec<&str>| {
        let (mut left, mut at) = (lines(text), 0);
        for line in taken {
            let found = lines(text)[at..].iter().position(|one| *one == line);
            at += found.unwrap_or_else(|| panic!("{line:?} is not in {text:?}")) + 1;
            let any = left.iter().position(|one| *one == line).unwrap();
            left.remove(any);
        }
        left.sort_unstable();
        left.concat()
    };
    let gone = changes.iter().flat_map(|(gone, _)| lines(gone)).collect();
    let there = changes.iter().flat_map(|(_, there)| lines(there)).collect();
    assert_eq!(without(old, gone), without(new, there), "{old:?} {new:?} {changes:?}");
}

async fn receipts_hold(client: &mut Client, name: &str, model: &Model, kept: &[Kept]) {
    assert_eq!(kept.len(), model.revisions.len());
    for (kept, (_, first, _)) in kept.iter().zip(&model.revisions) {
        assert_eq!(kept.first, *first);
        let again = receipt(client, name, kept.revision).await;
        assert_eq!((again.first, &again.sha256), (kept.first, &kept.sha256));
        let request = pb::VerifyReceiptRequest { token: kept.token.clone() };
        let checked = client.verify_receipt(request).await.unwrap().into_inner();
        assert_eq!((checked.matches, checked.stands), (true, model.first == Some(*first)));
    }
    // The same is written the same, and what differs is not.
    for (one, (says, ..)) in kept.iter().zip(&model.revisions) {
        for (other, (also, ..)) in kept.iter().zip(&model.revisions) {
            assert_eq!(one.sha256 == other.sha256, says == also);
        }
    }
}

#[tokio::test]
async fn a_report_lives_as_the_model_says_and_nothing_of_its_life_is_lost() {
    let mut runner = TestRunner::deterministic();
    for (engine, years) in [(Engine::Sqlite, 2021..2026), (Engine::Postgres, 2024..2026)] {
        let testing = start(engine).await;
        let mut seen = Seen::new();
        let (mut expected, mut periods) = (Vec::new(), Vec::new());
        for year in years {
            periods.extend((1..=12).map(|month| format!("{year}{month:02}")));
        }
        for period in &periods {
            testing.clock.set(now());
            let steps = steps().new_tree(&mut runner).unwrap().current();
            let model = live(&testing, period, steps, &mut seen).await;
            expected.extend(model.told.into_iter().map(|(at, kind)| (period.clone(), at, kind)));
        }
        let told = told(&testing, expected.len()).await.into_iter().map(|event| match event {
            Payload::ReportSubmitted(it) => (it.period, it.sequence, Kind::Submitted),
            Payload::ReportWithdrawn(it) => (it.period, it.sequence, Kind::Withdrawn),
            Payload::ReportReturned(it) => (it.period, it.sequence, Kind::Returned),
            Payload::ReportAccepted(it) => (it.period, it.sequence, Kind::Accepted),
            other => panic!("{other:?}"),
        });
        assert_eq!(told.collect::<Vec<_>>(), expected, "{engine:?}");
        for outcome in [
            "Draft to Draft",
            "Draft to Submitted",
            "Submitted to Draft",
            "Submitted to Submitted",
            "Submitted to Returned",
            "Submitted to Accepted",
            "Accepted to Returned",
            "Returned to Returned",
            "Returned to Submitted",
            "Returned to Draft",
            "ALREADY_ACCEPTED",
            "ALREADY_SUBMITTED",
            "BLOCKING_FINDINGS",
            "ETAG_MISMATCH",
            "NOT_SUBMITTED",
            "RECEIPT_IN_FUTURE",
            "RETURN_DUE_IN_PAST",
            "SAME_REVIEWER",
            "nil",
            "late",
            "twice",
        ] {
            let times = seen.get(outcome).copied().unwrap_or_default();
            assert!(times > 1, "{engine:?} {outcome} came {times} times: {seen:?}");
        }
    }
}
