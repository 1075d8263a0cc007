//! What has to be asked of other services for an answer.

use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::compliance::{GetRegimeRequest, ListObligationsRequest};
use dunghan_proto::submission::GetFormRequest;
use dunghan_proto::submission::form_service_client::FormServiceClient;
use dunghan_proto::submission::indicator::{Kind, RollUp, Scope};
use dunghan_rpc::{Peer, peer_failed};
use tonic::Status;

use crate::convert::{Asked, obligation};
use crate::domain::Obligation;
use crate::error::{Refused, compliance_failed};

const LARGEST_PAGE: i32 = 1000;

#[derive(Clone, Debug)]
pub(crate) struct Peers {
    forms: FormServiceClient<Peer>,
    compliance: ComplianceServiceClient<Peer>,
}

impl Peers {
    pub(crate) fn new(submission: Peer, compliance: Peer) -> Self {
        Self {
            forms: FormServiceClient::new(submission),
            compliance: ComplianceServiceClient::new(compliance),
        }
    }

    /// Whether the regime's form has the indicator, and whether it can be added at all: a percentage can, where units state its
    /// parts. And whether each of its figures speaks of a whole subtree.
    pub(crate) async fn speaks_of_subtree(&self, asked: &Asked) -> Result<bool, Status> {
        let name = asked.regime_name();
        let request = GetRegimeRequest { name: name.clone() };
        let regime = self.compliance.clone().get_regime(request).await;
        let regime = regime.map_err(|e| compliance_failed(e, "", &name))?.into_inner();
        let request = GetFormRequest { name: regime.form };
        let form = self.forms.clone().get_form(request).await;
        let form = form.map_err(|e| peer_failed("submission", e))?.into_inner();
        let indicator = form.indicators.iter().find(|one| one.key == asked.indicator);
        let Some(indicator) = indicator else {
            let indicator = asked.indicator.clone();
            return Err(Refused::UnknownIndicator { form: form.name, indicator }.into());
        };
        if indicator.roll_up() == RollUp::None && indicator.kind() != Kind::Percent {
            return Err(Refused::NotAdded(asked.indicator.clone()).into());
        }
        Ok(indicator.scope() == Scope::Subtree)
    }

    /// Who in the subtree owes the report, and where each stands; and by which version of the hierarchy that is so. Not the
    /// reporting rate: that one does not list those who are on time.
    pub(crate) async fn obligations(
        &self,
        asked: &Asked,
    ) -> Result<(Vec<Obligation>, i64), Status> {
        let mut request = ListObligationsRequest {
            scope: asked.scope.to_string(),
            regime: asked.regime_name(),
            period: asked.period.to_string(),
            page_size: LARGEST_PAGE,
            ..Default::default()
        };
        let (mut obligations, mut version) = (Vec::new(), i64::MAX);
        loop {
            let page = self.compliance.clone().list_obligations(request.clone()).await;
            let page = page
                .map_err(|e| compliance_failed(e, &request.scope, &request.regime))?
                .into_inner();
            // The hierarchy may move between two pages: it is this one that all of them have come up to.
            version = version.min(page.hierarchy_version);
            for owed in page.obligations {
                obligations.extend(obligation(owed)?);
            }
            if page.next_page_token.is_empty() {
                return Ok((obligations, version));
            }
            request.page_token = page.next_page_token;
        }
    }
}
