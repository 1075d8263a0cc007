//! Whatever is done to a report, in any order: a model of some lines says what it is then.

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::zone;
use dunghan_proto::events::event::Payload;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::report::State;
use dunghan_proto::submission::report_act::Kind;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Testing, refusal};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tonic::{Response, Status};

use crate::world::{
    Client, acts, client, count, create, dinh_to, may, new_request_id, now, of, return_request,
    start, submit_request, told, withdraw_request,
};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Edited so that it says this.
    Edit {
        posts: i64,
    },
    /// Edited so that it says nothing.
    Empty,
    /// Handed over; received so many hours before, if that is asserted.
    Submit {
        asserted: Option<i64>,
    },
    Withdraw,
    /// To a day so many days ahead.
    Return {
        days: i64,
    },
}

/// A step, and whether it is made from what the report was before the last change rather than from what it is, and whether it
/// comes twice.
type Tried = (Step, bool, bool);

fn steps() -> impl Strategy<Value = Vec<Tried>> {
    let step = prop_oneof![
        3 => (1..1000_i64).prop_map(|posts| Step::Edit { posts }),
        1 => Just(Step::Empty),
        4 => Just(Step::Submit { asserted: None }),
        1 => (0..40_i64).prop_map(|hours| Step::Submit { asserted: Some(hours) }),
        1 => Just(Step::Submit { asserted: Some(-1) }),
        2 => Just(Step::Withdraw),
        3 => (-1..5_i64).prop_map(|days| Step::Return { days }),
    ];
    let odd = || prop::bool::weighted(0.15);
    prop::collection::vec((step, odd(), odd()), 5..40)
}

/// What was done, when, to which revision; and what was handed over.
type Done = (Kind, DateTime<Utc>, i32, Option<Option<i64>>);

/// What a report is, as far as its life goes.
#[derive(Clone, Debug)]
struct Model {
    state: State,
    posts: Option<i64>,
    version: i64,
    revision: i32,
    first: Option<DateTime<Utc>>,
    due: Option<DateTime<Utc>>,
    acts: Vec<Done>,
    /// The versions of the events, and which.
    told: Vec<(i64, Kind)>,
}

impl Model {
    fn new() -> Self {
        Self {
            state: State::Draft,
            posts: Some(78),
            version: 1,
            revision: 0,
            first: None,
            due: None,
            acts: Vec::new(),
            told: Vec::new(),
        }
    }

    fn act(&mut self, kind: Kind, at: DateTime<Utc>, says: Option<Option<i64>>) {
        self.version += 1;
        self.acts.push((kind, at, self.revision, says));
        self.told.push((self.version, kind));
    }

    /// What the step makes of it, or why it is refused.
    fn after(&self, step: Step, stale: bool, now: DateTime<Utc>) -> Result<Self, &'static str> {
        let mut model = self.clone();
        if stale {
            return Err("ETAG_MISMATCH");
        }
        let fixed = self.state == State::Submitted;
        match step {
            Step::Edit { .. } | Step::Empty | Step::Submit { .. } if fixed => {
                return Err("ALREADY_SUBMITTED");
            }
            Step::Edit { posts } => (model.posts, model.version) = (Some(posts), self.version + 1),
            Step::Empty => (model.posts, model.version) = (None, self.version + 1),
            Step::Submit { asserted: Some(hours) } if hours < 0 => return Err("RECEIPT_IN_FUTURE"),
            Step::Submit { .. } if self.posts.is_none() => return Err("BLOCKING_FINDINGS"),
            Step::Submit { asserted } => {
                let at = now - TimeDelta::hours(asserted.unwrap_or_default());
                model.first = self.first.or(Some(at));
                model.due = None;
                model.revision += 1;
                model.state = State::Submitted;
                model.act(Kind::Submitted, at, Some(self.posts));
            }
            Step::Withdraw if self.state == State::Draft => return Err("NOT_SUBMITTED"),
            Step::Withdraw => {
                (model.state, model.first, model.due) = (State::Draft, None, None);
                model.act(Kind::Withdrawn, now, None);
            }
            Step::Return { .. } if !fixed => return Err("NOT_SUBMITTED"),
            Step::Return { days } if days < 0 => return Err("RETURN_DUE_IN_PAST"),
            Step::Return { days } => {
                model.state = State::Returned;
                model.due = Some(zone::end_of(zone::civil_date(now) + TimeDelta::days(days)));
                model.act(Kind::Returned, now, None);
            }
        }
        Ok(model)
    }
}

fn posts(report: &pb::Report) -> Option<i64> {
    report.values.first().map(|value| match value.figure {
        Some(pb::value::Figure::Count(posts)) => posts,
        _ => panic!("{value:?}"),
    })
}

async fn try_step(
    client: &mut Client,
    name: &str,
    (step, _, twice): Tried,
    etag: &str,
    now: DateTime<Utc>,
) -> Result<pb::Report, Status> {
    let (request_id, etag) = (new_request_id(), etag.to_owned());
    let said = |posts: Option<i64>| pb::UpdateReportRequest {
        report: Some(pb::Report {
            name: name.to_owned(),
            etag: etag.clone(),
            values: posts.map(|posts| count("portal_posts", posts)).into_iter().collect(),
            ..may()
        }),
        update_mask: None,
    };
    let mut answer = None;
    for _ in 0..=i32::from(twice) {
        let (etag, request_id) = (etag.clone(), request_id.clone());
        let again = match step {
            // They carry no id, and so are not sent twice.
            Step::Edit { posts } => return said_by(client.update_report(said(Some(posts))).await),
            Step::Empty => return said_by(client.update_report(said(None)).await),
            Step::Submit { asserted } => {
                let at = asserted.map(|hours| field::pb_time(now - TimeDelta::hours(hours)));
                let receipt_evidence = asserted.map(|_| pb::ReceiptEvidence {
                    kind: pb::receipt_evidence::Kind::Register.into(),
                    reference: "1".to_owned(),
                });
                let request = pb::SubmitReportRequest {
                    etag,
                    request_id,
                    asserted_receive_time: at,
                    receipt_evidence,
                    ..submit_request(name)
                };
                client.submit_report(request).await
            }
            Step::Withdraw => {
                let request =
                    pb::WithdrawReportRequest { etag, request_id, ..withdraw_request(name) };
                client.withdraw_report(request).await
            }
            Step::Return { days } => {
                let day = zone::civil_date(now) + TimeDelta::days(days);
                let request = pb::ReturnReportRequest {
                    etag,
                    request_id,
                    ..return_request(name, &day.to_string())
                };
                client.return_report(request).await
            }
        };
        let again = said_by(again);
        if let Some(Ok(before)) = &answer {
            assert_eq!(again.as_ref().ok(), Some(before), "{step:?}");
        }
        answer = Some(again);
    }
    answer.unwrap()
}

fn said_by(answer: Result<Response<pb::Report>, Status>) -> Result<pb::Report, Status> {
    answer.map(Response::into_inner)
}

/// How often each outcome came.
type Seen = std::collections::BTreeMap<String, usize>;

async fn live(testing: &Testing, period: &str, steps: Vec<Tried>, seen: &mut Seen) -> Model {
    let mut client = client(testing, &["reporter", "importer", "supervisor"]);
    let begun = create(&mut client, dinh_to(), of("cds-month", period)).await.unwrap();
    let name = begun.name;
    let (mut model, mut was) = (Model::new(), None);
    for tried in steps {
        testing.clock.advance(TimeDelta::minutes(50));
        let now = dunghan_calendar::Clock::now(&testing.clock);
        let stale = tried.1.then_some(was).flatten();
        let etag = format!("\"{}\"", stale.unwrap_or(model.version));
        let answer = try_step(&mut client, &name, tried, &etag, now).await;
        let context = format!("{tried:?} on {model:?}");
        match model.after(tried.0, stale.is_some(), now) {
            Err(reason) => {
                assert_eq!(refusal(&answer.unwrap_err()).1, reason, "{context}");
                *seen.entry(reason.to_owned()).or_default() += 1;
            }
            Ok(next) => {
                let report = answer.unwrap_or_else(|refused| panic!("{refused} {context}"));
                let from_to = format!("{:?} to {:?}", model.state, next.state);
                *seen.entry(from_to).or_default() += 1;
                was = Some(model.version);
                model = next;
                let time = |at: Option<DateTime<Utc>>| at.map(field::pb_time);
                assert_eq!(report.state(), model.state, "{context}");
                assert_eq!(report.receive_time, time(model.first), "{context}");
                assert_eq!(report.return_due_time, time(model.due), "{context}");
                assert_eq!(report.revision, model.revision, "{context}");
                assert_eq!(report.etag, format!("\"{}\"", model.version), "{context}");
                assert_eq!(posts(&report), model.posts, "{context}");
                let request = pb::GetReportRequest { name: name.clone() };
                let read = client.get_report(request).await.unwrap().into_inner();
                assert_eq!(read, report, "{context}");
            }
        }
    }
    let listed = acts(&mut client, &name).await;
    let listed: Vec<_> = listed
        .iter()
        .map(|act| (act.kind(), act.act_time, act.revision, act.report.as_ref().map(posts)))
        .collect();
    let expected: Vec<_> = model
        .acts
        .iter()
        .map(|(kind, at, revision, says)| (*kind, Some(field::pb_time(*at)), *revision, *says))
        .collect();
    assert_eq!(listed, expected);
    model
}

#[tokio::test]
async fn a_report_lives_as_the_model_says_and_no_act_of_it_is_lost() {
    let mut runner = TestRunner::deterministic();
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut seen = Seen::new();
        let (mut expected, mut periods) = (Vec::new(), Vec::new());
        for year in 2022..2026 {
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
            other => panic!("{other:?}"),
        });
        assert_eq!(told.collect::<Vec<_>>(), expected, "{engine:?}");
        for outcome in [
            "Draft to Draft",
            "Draft to Submitted",
            "Submitted to Draft",
            "Submitted to Returned",
            "Returned to Returned",
            "Returned to Submitted",
            "Returned to Draft",
            "ALREADY_SUBMITTED",
            "BLOCKING_FINDINGS",
            "ETAG_MISMATCH",
            "NOT_SUBMITTED",
            "RECEIPT_IN_FUTURE",
            "RETURN_DUE_IN_PAST",
        ] {
            let times = seen.get(outcome).copied().unwrap_or_default();
            assert!(times > 5, "{engine:?} {outcome} came {times} times: {seen:?}");
        }
    }
}
