//! Submission as it runs, beside a registry of made-up communes.

use dunghan_calendar::ManualClock;
use dunghan_host::Suite;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::form_service_client::FormServiceClient;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_rpc::Peer;
use dunghan_submission::Submission;
use futures::future::try_join_all;
use uuid::Uuid;

use super::CLIENTS;
use super::made_up::MadeUp;
use crate::peers::{Regimes, Registry, commune, communes, know};
use crate::place::Place;
use crate::served::Served;
use crate::{Ground, now};

pub(super) struct Receiving {
    pub(super) served: Served,
}

impl Receiving {
    /// From so many communes, with no report yet.
    pub(super) async fn start(place: Place, count: usize) -> anyhow::Result<Self> {
        know(communes(count)?);
        let suite = Suite::new().with::<Registry>().with::<Regimes>().with::<Submission>();
        let served = Served::start(place, suite, &ManualClock::at(now()), &[]).await?;
        Ok(Self { served })
    }

    pub(super) async fn stop(self, ground: &Ground) -> anyhow::Result<()> {
        self.served.stop(ground).await
    }

    pub(super) fn client(&self) -> SubmissionServiceClient<Peer> {
        SubmissionServiceClient::new(self.served.peer())
    }

    /// Publishes the form of a report.
    pub(super) async fn publish(&self, made_up: &MadeUp) -> anyhow::Result<()> {
        let form = Some(pb::Form::from(&made_up.form));
        let request = pb::CreateFormRequest { form, ..pb::CreateFormRequest::default() };
        FormServiceClient::new(self.served.peer()).create_form(request).await?;
        Ok(())
    }

    /// Begins a report of each of so many communes, and gives their names.
    pub(super) async fn begin(
        &self,
        count: usize,
        made_up: &MadeUp,
    ) -> anyhow::Result<Vec<String>> {
        let shares = (0..CLIENTS).map(|first| async move {
            let (mut client, mut names) = (self.client(), Vec::new());
            for n in (first..count).step_by(CLIENTS) {
                let request = pb::CreateReportRequest {
                    parent: commune(n).to_string(),
                    report: Some(made_up.sent(n)),
                    request_id: String::new(),
                };
                names.push(client.create_report(request).await?.into_inner().name);
            }
            Ok::<_, anyhow::Error>(names)
        });
        Ok(try_join_all(shares).await?.concat())
    }
}

/// Hands a report over, as clients do that may have to ask again.
pub(super) async fn submit(
    client: &mut SubmissionServiceClient<Peer>,
    name: String,
) -> anyhow::Result<pb::Report> {
    let request_id = Uuid::new_v4().to_string();
    let request =
        pb::SubmitReportRequest { name, request_id, ..pb::SubmitReportRequest::default() };
    Ok(client.submit_report(request).await?.into_inner())
}
