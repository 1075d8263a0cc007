//! Takes submitted reports in.

use std::sync::Arc;
use std::time::Duration;

use dunghan_calendar::Period;
use dunghan_events::{PullError, pull};
use dunghan_host::LARGEST_ANSWER;
use dunghan_proto::events::Event;
use dunghan_proto::events::event::Payload;
use dunghan_proto::submission::BatchGetReportsRequest;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_rpc::Peer;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::convert;
use crate::domain::{Obligation, Report, ReportName, Standing};
use crate::store::Store;

const OWNER: &str = "submission";
/// Reports asked for at once: a report with the longest texts has some 14 MB.
const BATCH: usize = 10;

/// Follows submission's events. Each report is taken in once, whoever asks for it first.
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
            |events| self.fetch(submitted(events)),
            async |write, reports| Store::reports_insert(write, reports).await,
        )
        .await
    }

    /// Takes in the reports that obligations name and that no event has told of yet: an owner holds its events back
    /// while older transactions run, and what was submitted before the call is counted all the same.
    pub(crate) async fn complete(
        &self,
        regime: &str,
        period: Period,
        obligations: &[Obligation],
    ) -> Result<(), PullError> {
        let held = self.store.report_names(regime, period).await?;
        let absent = obligations.iter().filter_map(|owed| match &owed.standing {
            Standing::Submitted(report) if !held.contains(report) => Some(report),
            _ => None,
        });
        let absent: Vec<_> = absent.map(ReportName::to_string).collect();
        if absent.is_empty() {
            return Ok(());
        }
        let reports = self.fetch(absent).await?;
        self.store
            .database()
            .write(async |write| Store::reports_insert(write, &reports).await)
            .await?;
        Ok(())
    }

    async fn fetch(&self, names: Vec<String>) -> Result<Vec<Report>, Status> {
        let mut reports = Vec::with_capacity(names.len());
        for names in names.chunks(BATCH) {
            let request = BatchGetReportsRequest { names: names.to_vec() };
            let answer = self.submission.clone().batch_get_reports(request).await?.into_inner();
            for report in answer.reports {
                reports.push(convert::report(report)?);
            }
        }
        Ok(reports)
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

fn submitted(events: Vec<Event>) -> Vec<String> {
    let reports = events.into_iter().filter_map(|event| match event.payload {
        Some(Payload::ReportSubmitted(submitted)) => Some(submitted.report),
        _ => None,
    });
    reports.collect()
}
