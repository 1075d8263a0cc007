//! The rpc: who, parse, may they, ask, add, answer.

mod peers;

use std::sync::Arc;

use dunghan_calendar::{Clock, Family, zone};
use dunghan_events::Units;
use dunghan_proto::aggregation as pb;
use dunghan_proto::aggregation::aggregation_service_server::AggregationService;
use dunghan_rpc::Caller;
use tonic::{Request, Response, Status};

use crate::convert::{self, Asked};
use crate::domain::{self, Scope};
use crate::error::{Refused, pull_failed};
use crate::jobs::intake::Intake;
use crate::store::Store;

pub(crate) use peers::Peers;

pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) units: Units,
    pub(crate) peers: Peers,
    pub(crate) intake: Arc<Intake>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[tonic::async_trait]
impl AggregationService for Service {
    async fn get_roll_up(
        &self,
        request: Request<pb::GetRollUpRequest>,
    ) -> Result<Response<pb::RollUp>, Status> {
        let caller = Caller::of(&request)?;
        let asked = Asked::read(request.get_ref())?;
        let hierarchy = self.units.knowing(asked.scope).await?;
        let now = self.clock.now();
        caller.must_read(asked.scope, Some(&asked.regime), &hierarchy, zone::civil_date(now))?;
        if hierarchy.get(asked.scope).is_none() {
            return Err(Refused::UnknownUnit(asked.scope.to_string()).into());
        }
        let of_subtree = self.peers.speaks_of_subtree(&asked).await?;

        // Who has submitted before what was submitted: a report that comes in between belongs to a unit that is still
        // missing, and not to one without a value.
        let (mut obligations, version) = self.peers.obligations(&asked).await?;
        self.intake.run().await.map_err(pull_failed)?;
        self.intake
            .complete(&asked.regime, asked.period, &mut obligations)
            .await
            .map_err(pull_failed)?;
        let stated = self
            .store
            .figure_list(&asked.regime, asked.period, &asked.indicator, &asked.category)
            .await?;
        let scope = match of_subtree {
            true => Scope::Subtree(&hierarchy, asked.period.window(Family::Calendar).cut_off),
            false => Scope::Own,
        };
        let sum = domain::roll_up(obligations, stated, scope)
            .map_err(|why| Refused::NotAddable { indicator: asked.indicator.clone(), why })?;
        Ok(Response::new(convert::roll_up(&asked, sum, now, version)))
    }
}
