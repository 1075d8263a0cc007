//! What a report is after each thing that is done to it, in a model of some lines.

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::zone;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::report::State;
use dunghan_proto::submission::report_act::Kind;
use dunghan_rpc::field;
use dunghan_testkit::{Testing, refusal};
use proptest::prelude::*;
use tonic::{Response, Status};

use crate::world::{
    Client, accept_request, count, may, return_request, somebody, submit_request, withdraw_request,
};

/// Levels of review of the regime under which all of it happens.
pub(crate) const REGIME: &str = "review-two";
const LEVELS: usize = 2;

/// Who does it. Everybody may do everything: what is refused is refused for what was done.
pub(crate) const PEOPLE: [&str; 4] = ["lan", "hoa", "minh", "chi"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Edited so that it says this.
    Edit(Says),
    /// Handed over; received so many hours before, if that is asserted.
    Submit(Option<i64>),
    /// Handed over as one in which nothing occurred.
    Nil(Option<i64>),
    Withdraw,
    /// To a day so many days ahead.
    Return(i64),
    Accept,
}

/// What a report says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Says {
    pub(crate) posts: Option<i64>,
    pub(crate) text: String,
    pub(crate) nil: bool,
}

impl Says {
    pub(crate) fn of(report: &pb::Report) -> Self {
        let posts = report.values.first().map(|value| match value.figure {
            Some(pb::value::Figure::Count(posts)) => posts,
            _ => panic!("{value:?}"),
        });
        Self { posts, text: report.narrative.clone(), nil: report.nil }
    }
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let hours =
        || prop_oneof![7 => Just(None), 2 => (0..40_i64).prop_map(Some), 1 => Just(Some(-1))];
    let posts = prop_oneof![1 => Just(None), 5 => (1..1000_i64).prop_map(Some)];
    let lines = prop::collection::vec(0..4_u8, 0..5);
    let text = lines.prop_map(|lines| lines.iter().map(|n| format!("Dòng {n}\n")).collect());
    let says = (posts, text).prop_map(|(posts, text)| Says { posts, text, nil: false });
    prop_oneof![
        4 => says.prop_map(Step::Edit),
        5 => hours().prop_map(Step::Submit),
        1 => hours().prop_map(Step::Nil),
        2 => Just(Step::Withdraw),
        3 => (-1..5_i64).prop_map(Step::Return),
        5 => Just(Step::Accept),
    ]
}

/// A request, as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) who: &'static str,
    pub(crate) step: Step,
    /// The version that it was made from, if it says so.
    pub(crate) etag: Option<i64>,
    /// The same again has the same.
    pub(crate) request_id: String,
}

/// What was done, when, by whom, to which revision, at which level; and what was handed over.
pub(crate) type Done = (Kind, DateTime<Utc>, &'static str, i32, i32, Option<Says>);

/// What a report is, as far as its life goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) state: State,
    pub(crate) says: Says,
    pub(crate) version: i64,
    pub(crate) revision: i32,
    pub(crate) first: Option<DateTime<Utc>>,
    pub(crate) due: Option<DateTime<Utc>>,
    pub(crate) submitter: &'static str,
    pub(crate) acceptances: Vec<&'static str>,
    pub(crate) acts: Vec<Done>,
    /// What was handed over, when the report was first received by then, and when this was.
    pub(crate) revisions: Vec<(Says, DateTime<Utc>, DateTime<Utc>)>,
    /// The versions of the events, and which.
    pub(crate) told: Vec<(i64, Kind)>,
}

impl Model {
    /// A draft.
    pub(crate) fn new() -> Self {
        Self {
            state: State::Draft,
            says: Says { posts: Some(78), text: may().narrative, nil: false },
            version: 1,
            revision: 0,
            first: None,
            due: None,
            submitter: "",
            acceptances: Vec::new(),
            acts: Vec::new(),
            revisions: Vec::new(),
            told: Vec::new(),
        }
    }

    fn act(&mut self, kind: Kind, at: DateTime<Utc>, who: &'static str, says: Option<Says>) {
        self.version += 1;
        let level = if kind == Kind::Accepted { self.acceptances.len() } else { 0 };
        let level = i32::try_from(level).unwrap();
        self.acts.push((kind, at, who, self.revision, level, says));
        self.told.push((self.version, kind));
    }

    /// This revision or an earlier one.
    fn has_handed_over(&self, who: &str) -> bool {
        self.acts.iter().any(|(kind, _, by, ..)| *kind == Kind::Submitted && *by == who)
    }

    fn is_fixed(&self) -> bool {
        matches!(self.state, State::Submitted | State::Accepted)
    }

    fn hand_over(
        &mut self,
        asserted: Option<i64>,
        who: &'static str,
        now: DateTime<Utc>,
    ) -> Result<(), &'static str> {
        if self.is_fixed() {
            return Err("ALREADY_SUBMITTED");
        }
        if asserted.is_some_and(|hours| hours < 0) {
            return Err("RECEIPT_IN_FUTURE");
        }
        if self.says.posts.is_none() && !self.says.nil {
            return Err("BLOCKING_FINDINGS");
        }
        let at = now - TimeDelta::hours(asserted.unwrap_or_default());
        let first = *self.first.get_or_insert(at);
        (self.due, self.submitter) = (None, who);
        self.revision += 1;
        self.state = State::Submitted;
        self.revisions.push((self.says.clone(), first, at));
        self.act(Kind::Submitted, at, who, Some(self.says.clone()));
        Ok(())
    }

    /// What a request makes of it, or why it is refused.
    pub(crate) fn after(&self, sent: &Sent, now: DateTime<Utc>) -> Result<Self, &'static str> {
        let mut model = self.clone();
        if sent.etag.is_some_and(|etag| etag != self.version) {
            return Err("ETAG_MISMATCH");
        }
        let who = sent.who;
        match &sent.step {
            Step::Edit(_) if self.is_fixed() => return Err("ALREADY_SUBMITTED"),
            Step::Edit(says) => {
                let bare = says.posts.is_none() && says.text.trim().is_empty();
                model.says = Says { nil: self.says.nil && bare, ..says.clone() };
                model.version += 1;
            }
            Step::Submit(asserted) => model.hand_over(*asserted, who, now)?,
            Step::Nil(asserted) => {
                model.says = Says { nil: true, ..Says::default() };
                model.hand_over(*asserted, who, now)?;
            }
            Step::Withdraw | Step::Return(_) | Step::Accept
                if matches!(self.state, State::Draft)
                    || self.state == State::Returned && sent.step != Step::Withdraw =>
            {
                return Err("NOT_SUBMITTED");
            }
            Step::Withdraw | Step::Accept if self.state == State::Accepted => {
                return Err("ALREADY_ACCEPTED");
            }
            Step::Withdraw => {
                (model.state, model.first, model.due) = (State::Draft, None, None);
                (model.submitter, model.acceptances) = ("", Vec::new());
                model.act(Kind::Withdrawn, now, who, None);
            }
            Step::Return(days) if *days < 0 => return Err("RETURN_DUE_IN_PAST"),
            Step::Return(days) => {
                (model.state, model.acceptances) = (State::Returned, Vec::new());
                model.due = Some(zone::end_of(zone::civil_date(now) + TimeDelta::days(*days)));
                model.act(Kind::Returned, now, who, None);
            }
            Step::Accept if self.has_handed_over(who) || self.acceptances.contains(&who) => {
                return Err("SAME_REVIEWER");
            }
            Step::Accept => {
                model.acceptances.push(who);
                if model.acceptances.len() == LEVELS {
                    model.state = State::Accepted;
                }
                model.act(Kind::Accepted, now, who, None);
            }
        }
        Ok(model)
    }

    /// Whether the service says the same of it.
    pub(crate) fn is(&self, report: &pb::Report) -> bool {
        let time = |at: Option<DateTime<Utc>>| at.map(field::pb_time);
        let acceptances: Vec<_> =
            report.acceptances.iter().map(|it| (it.level, it.author.as_str())).collect();
        let expected: Vec<_> = (1..).zip(self.acceptances.iter().copied()).collect();
        report.state() == self.state
            && Says::of(report) == self.says
            && report.etag == format!("\"{}\"", self.version)
            && report.revision == self.revision
            && report.receive_time == time(self.first)
            && report.return_due_time == time(self.due)
            && report.submitter == self.submitter
            && acceptances == expected
    }
}

/// Somebody who may do everything.
pub(crate) fn person(testing: &Testing, who: &str) -> Client {
    somebody(testing, who, &["reporter", "importer", "supervisor"])
}

/// Sends it; the answer, or the reason why it was refused.
pub(crate) async fn send(
    client: &mut Client,
    name: &str,
    sent: &Sent,
    now: DateTime<Utc>,
) -> Result<pb::Report, String> {
    let etag = sent.etag.map(|version| format!("\"{version}\"")).unwrap_or_default();
    let request_id = sent.request_id.clone();
    let evidence = |asserted: Option<i64>| {
        let at = asserted.map(|hours| field::pb_time(now - TimeDelta::hours(hours)));
        let evidence = asserted.map(|_| pb::ReceiptEvidence {
            kind: pb::receipt_evidence::Kind::Register.into(),
            reference: "1".to_owned(),
        });
        (at, evidence)
    };
    let answer: Result<Response<pb::Report>, Status> = match &sent.step {
        Step::Edit(says) => {
            let report = pb::Report {
                name: name.to_owned(),
                etag,
                values: says.posts.map(|it| count("portal_posts", it)).into_iter().collect(),
                narrative: says.text.clone(),
                ..may()
            };
            let request = pb::UpdateReportRequest { report: Some(report), update_mask: None };
            client.update_report(request).await
        }
        Step::Submit(asserted) => {
            let (asserted_receive_time, receipt_evidence) = evidence(*asserted);
            let request = pb::SubmitReportRequest {
                etag,
                request_id,
                asserted_receive_time,
                receipt_evidence,
                ..submit_request(name)
            };
            client.submit_report(request).await
        }
        Step::Nil(asserted) => {
            let (asserted_receive_time, receipt_evidence) = evidence(*asserted);
            let request = pb::GetReportRequest { name: name.to_owned() };
            let there = client.get_report(request).await.unwrap().into_inner();
            let request = pb::SubmitNilReportRequest {
                parent: name.split_once("/reports/").unwrap().0.to_owned(),
                regime: there.regime,
                period: there.period,
                document: may().document,
                request_id,
                asserted_receive_time,
                receipt_evidence,
                ..pb::SubmitNilReportRequest::default()
            };
            client.submit_nil_report(request).await
        }
        Step::Withdraw => {
            let request = pb::WithdrawReportRequest { etag, request_id, ..withdraw_request(name) };
            client.withdraw_report(request).await
        }
        Step::Return(days) => {
            let day = zone::civil_date(now) + TimeDelta::days(*days);
            let request = return_request(name, &day.to_string());
            let request = pb::ReturnReportRequest { etag, request_id, ..request };
            client.return_report(request).await
        }
        Step::Accept => {
            let read = pb::Report { name: name.to_owned(), etag, ..pb::Report::default() };
            let request = pb::AcceptReportRequest { request_id, ..accept_request(&read) };
            client.accept_report(request).await
        }
    };
    answer.map(Response::into_inner).map_err(|refused| refusal(&refused).1)
}
