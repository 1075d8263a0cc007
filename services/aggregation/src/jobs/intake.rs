//! Takes in what units hand over and take back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dunghan_calendar::Period;
use dunghan_events::{PullError, pull};
use dunghan_hierarchy::UnitId;
use dunghan_host::LARGEST_ANSWER;
use dunghan_proto::events::Event;
use dunghan_proto::events::event::Payload;
use dunghan_proto::submission::report::State;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_proto::submission::{
    BatchGetReceiptsRequest, BatchGetReportsRequest, ListReportActsRequest, Receipt,
};
use dunghan_rpc::Peer;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::convert;
use crate::domain::{Figure, Obligation, Report, Standing};
use crate::store::Store;

const OWNER: &str = "submission";
/// Reports asked for at once: a report with the longest texts has some 14 MB.
const BATCH: usize = 10;
/// Units whose receipts can be asked for at once.
const MOST_RECEIPTS: usize = 1000;

/// Follows submission's events. They may repeat, come late, or be overtaken by an answer that could not wait for them:
/// each carries a sequence that only grows, and what is older than what is known changes nothing.
#[derive(Debug)]
pub(crate) struct Intake {
    store: Store,
    submission: SubmissionServiceClient<Peer>,
    /// Two at once would do the same work, and the second in vain.
    one_at_a_time: Mutex<()>,
}

impl Intake {
    pub(crate) fn new(store: Store, submission: Peer) -> Self {
        let submission =
            SubmissionServiceClient::new(submission).max_decoding_message_size(LARGEST_ANSWER);
        Self { store, submission, one_at_a_time: Mutex::default() }
    }

    /// Takes in everything that submission has told since the last time, and says how many events that was.
    pub(crate) async fn run(&self) -> Result<usize, PullError> {
        let _turn = self.one_at_a_time.lock().await;
        pull(
            self.store.database(),
            OWNER,
            |request| async {
                Ok(self.submission.clone().list_events(request).await?.into_inner())
            },
            |events| async {
                let heard = heard(events)?;
                self.fetch(heard).await
            },
            async |write, reports| Store::reports_take_in(write, reports).await,
        )
        .await
    }

    /// Takes in the reports of those who have submitted that no event has told of yet: an owner holds its events back while
    /// older transactions run, and what was submitted before the call is counted as it is, all the same. Whoever has taken a
    /// report back since the obligations were read is absent.
    pub(crate) async fn complete(
        &self,
        regime: &str,
        period: Period,
        obligations: &mut [Obligation],
    ) -> Result<(), PullError> {
        let submitted = obligations.iter_mut().filter(|one| one.standing == Standing::Submitted);
        let mut submitted: BTreeMap<UnitId, &mut Obligation> =
            submitted.map(|owed| (owed.unit, owed)).collect();
        let mut received = Vec::with_capacity(submitted.len());
        let units: Vec<_> = submitted.keys().map(UnitId::to_string).collect();
        for units in units.chunks(MOST_RECEIPTS) {
            let request = BatchGetReceiptsRequest {
                regime: format!("regimes/{regime}"),
                period: period.to_string(),
                units: units.to_vec(),
            };
            let answer = self.submission.clone().batch_get_receipts(request).await?.into_inner();
            for receipt in answer.receipts {
                let Receipt { report, regime, period, sequence, .. } = receipt;
                received.push(convert::report(&report, &regime, &period, sequence)?);
            }
        }
        let known = self.store.report_sequences(regime, period, submitted.keys()).await?;
        for report in &received {
            submitted.remove(&report.name.unit());
        }
        for owed in submitted.into_values() {
            owed.standing = Standing::Absent;
        }
        received.retain(|one| known.get(&one.name.unit()).is_none_or(|at| *at < one.sequence));
        if received.is_empty() {
            return Ok(());
        }
        let reports = self.fetch(received).await?;
        self.store
            .database()
            .write(async |write| Store::reports_take_in(write, &reports).await)
            .await?;
        Ok(())
    }

    /// These reports with their figures, if they are handed over still. What is fetched may be later than what was heard, and
    /// never earlier: then what is heard next brings the same again.
    async fn fetch(&self, mut heard: Vec<Report>) -> Result<Vec<Report>, Status> {
        for reports in heard.chunks_mut(BATCH) {
            let names = reports.iter().map(|report| report.name.to_string()).collect();
            let request = BatchGetReportsRequest { names };
            let answer = self.submission.clone().batch_get_reports(request).await?.into_inner();
            let found: BTreeMap<_, _> =
                answer.reports.iter().map(|report| (report.name.as_str(), report)).collect();
            for report in reports {
                let Some(found) = found.get(&*report.name.to_string()) else { continue };
                report.figures = match found.state() {
                    State::Submitted | State::Accepted => Some(convert::figures(found)?),
                    // Its unit is mending it: what counts is what it had handed over.
                    State::Returned => self.handed_over(found.name.clone()).await?,
                    State::Draft | State::Unspecified => None,
                };
            }
        }
        Ok(heard)
    }

    /// What a report said when it was handed over last.
    async fn handed_over(&self, parent: String) -> Result<Option<Vec<Figure>>, Status> {
        let mut request =
            ListReportActsRequest { parent, with_reports: true, ..Default::default() };
        let mut last = None;
        loop {
            let page =
                self.submission.clone().list_report_acts(request.clone()).await?.into_inner();
            last = page.acts.into_iter().filter_map(|act| act.report).next_back().or(last);
            if page.next_page_token.is_empty() {
                return last.as_ref().map(convert::figures).transpose();
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Keeps up until `stop`, looking after each `every`. An answer never waits for this; it keeps what an answer has to
    /// take in small.
    pub(crate) async fn follow(self: Arc<Self>, every: Duration, stop: CancellationToken) {
        let mut away = false;
        loop {
            match stop.run_until_cancelled(self.run()).await {
                None => return,
                Some(Ok(_)) => away = false,
                Some(Err(error)) => {
                    // Once, and not with every look.
                    if !away {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "reports cannot be taken in; trying again"
                        );
                    }
                    away = true;
                }
            }
            if stop.run_until_cancelled(tokio::time::sleep(every)).await.is_none() {
                return;
            }
        }
    }
}

/// The reports that events tell were handed over or taken back. What was sent back stays as it was handed over.
fn heard(events: Vec<Event>) -> Result<Vec<Report>, Status> {
    let reports = events.into_iter().filter_map(|event| match event.payload {
        Some(Payload::ReportSubmitted(it)) => {
            Some(convert::report(&it.report, &it.regime, &it.period, it.sequence))
        }
        Some(Payload::ReportWithdrawn(it)) => {
            Some(convert::report(&it.report, &it.regime, &it.period, it.sequence))
        }
        _ => None,
    });
    reports.collect()
}
