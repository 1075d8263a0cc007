//! Regimes, obligations, rates, explanations, and the sweep on demand.

use std::collections::HashMap;

use dunghan_hierarchy::Hierarchy;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::compliance_service_server::ComplianceService;
use dunghan_proto::events::{ListEventsRequest, ListEventsResponse};
use dunghan_rpc::{Caller, Over, Page, field};
use tonic::{Request, Response, Status};

use super::Service;
use crate::convert::{self, Shown, count};
use crate::domain::consequence::{Fate, consequence};
use crate::domain::regime::RegimeId;
use crate::domain::soon::Soon;
use crate::error::unknown_unit;
use crate::store::{AffectedFilter, AffectedKey, Moment, ObligationFilter, ObligationKey, Within};

impl Service {
    /// What a list holds that names no scope.
    fn visible(&self, caller: &Caller, hierarchy: &Hierarchy) -> Vec<Within> {
        let today = self.today();
        let limits = caller.grants().iter().filter_map(|grant| match &grant.over {
            Over::Everything => None,
            Over::Subtree(unit) => Some(Within::subtree(*unit, hierarchy)),
            Over::Regime(regime) => Some(Within::Regime(regime.clone())),
        });
        // On a cut-off day of the past, units that came into the subtree, and those that were before them, were elsewhere.
        let units = hierarchy.histories().map(|unit| unit.id);
        let readable = units.filter(|unit| caller.can_read(*unit, hierarchy, today));
        limits.chain([Within::Units(readable.collect())]).collect()
    }
}

#[tonic::async_trait]
impl ComplianceService for Service {
    async fn create_regime(
        &self,
        request: Request<pb::CreateRegimeRequest>,
    ) -> Result<Response<pb::Regime>, Status> {
        let caller = Caller::of(&request)?;
        self.publish_regime(&caller, request.into_inner()).await.map(Response::new)
    }

    async fn get_regime(
        &self,
        request: Request<pb::GetRegimeRequest>,
    ) -> Result<Response<pb::Regime>, Status> {
        let id = convert::regime_id("name", &request.get_ref().name)?;
        let regime = self.reconciler.store.regime_fetch(&id).await?;
        Ok(Response::new(pb::Regime::from(&regime)))
    }

    async fn list_regimes(
        &self,
        request: Request<pb::ListRegimesRequest>,
    ) -> Result<Response<pb::ListRegimesResponse>, Status> {
        self.regimes_page(request.get_ref()).await.map(Response::new)
    }

    async fn list_obligations(
        &self,
        request: Request<pb::ListObligationsRequest>,
    ) -> Result<Response<pb::ListObligationsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let scope = convert::optional_unit("scope", &request.scope)?;
        let regime = convert::optional_regime("regime", &request.regime)?;
        let period = match request.period.as_str() {
            "" => None,
            name => Some(convert::period("period", name)?),
        };
        let standings = convert::standings(&request.standings)?;
        let clock = &self.reconciler.clock;
        let at = convert::read_time(request.read_time.as_ref(), clock)?;
        // The token of one moment does not serve another; a caller who names none gets each page as of its own now.
        let asked =
            (scope, &request.regime, &request.period, &request.standings, &request.read_time);
        let page = Page::<ObligationKey>::new(request.page_size, &request.page_token, &asked)?;

        if let Some(scope) = scope {
            self.readable(&caller, scope, regime.as_ref().map(RegimeId::id)).await?;
        }
        if let Some(regime) = &regime {
            self.reconciler.store.regime_fetch(regime).await?;
        }
        let hierarchy = self.reconciler.catch_up().await?;
        let visible = (scope.is_none() && !caller.reaches_everything())
            .then(|| self.visible(&caller, &hierarchy));
        let scope = scope.map(|scope| Within::subtree(scope, &hierarchy));
        let filter = ObligationFilter { scope, visible, regime, period, standings };
        let store = &self.reconciler.store;
        let limit = page.size as u64 + 1;
        let calendars = self.reconciler.calendars.current();
        let soon = &Soon::at(at, &calendars);
        let moment = Moment { at, soon };
        let found = store.obligation_page(&filter, moment, page.after.as_ref(), limit).await?;
        let (found, next_page_token) = page.cut(found, |last| last.into());
        let editions = &self.reconciler.calendars.editions(store, &found, at).await?;
        let mut obligations = Vec::with_capacity(found.len());
        let mut family: Option<(RegimeId, dunghan_calendar::Family)> = None;
        for obligation in &found {
            // The list is in the order of regimes: each is fetched once.
            let known = family.as_ref().filter(|(regime, _)| *regime == obligation.name.regime);
            let of = match known {
                Some((_, of)) => *of,
                None => store.regime_fetch(&obligation.name.regime).await?.family,
            };
            family = Some((obligation.name.regime.clone(), of));
            let shown = Shown { at, family: of, hierarchy: &hierarchy, editions, soon };
            obligations.push(shown.obligation(obligation));
        }
        let hierarchy_version = hierarchy.version().cast_signed();
        let page = pb::ListObligationsResponse { obligations, next_page_token, hierarchy_version };
        Ok(Response::new(page))
    }

    async fn get_reporting_rate(
        &self,
        request: Request<pb::GetReportingRateRequest>,
    ) -> Result<Response<pb::ReportingRate>, Status> {
        let caller = Caller::of(&request)?;
        self.reporting_rate(&caller, request.get_ref()).await.map(Response::new)
    }

    async fn explain_obligation(
        &self,
        request: Request<pb::ExplainObligationRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        let caller = Caller::of(&request)?;
        self.explanation(&caller, request.get_ref()).await.map(Response::new)
    }

    async fn list_affected_obligations(
        &self,
        request: Request<pb::ListAffectedObligationsRequest>,
    ) -> Result<Response<pb::ListAffectedObligationsResponse>, Status> {
        let request = request.into_inner();
        let (ending, changed) = convert::affected_units(&request)?;
        let effective = field::date("effective_date", request.effective_date.as_ref())?;
        let effective = field::required("effective_date", effective)?;
        let asked = (&request.units, &request.changed_units, effective);
        let page = Page::<AffectedKey>::new(request.page_size, &request.page_token, &asked)?;

        let hierarchy = self.reconciler.catch_up().await?;
        for unit in ending.iter().chain(&changed) {
            hierarchy.get(*unit).ok_or_else(|| unknown_unit(*unit))?;
        }
        let fates: HashMap<_, _> = [(Fate::Ends, &ending), (Fate::GoesOn, &changed)]
            .into_iter()
            .flat_map(|(fate, units)| units.iter().map(move |unit| (*unit, fate)))
            .collect();
        let store = &self.reconciler.store;
        let regimes = store.regime_all().await?;
        let filter = AffectedFilter::new(ending, changed, effective, &regimes);
        let at = self.reconciler.clock.now();
        let limit = page.size as u64 + 1;
        let found = store.obligation_affected_page(&filter, at, page.after.as_ref(), limit).await?;
        let (found, next_page_token) = page.cut(found, |last| last.into());
        let regimes: HashMap<_, _> = regimes.iter().map(|regime| (&regime.id, regime)).collect();
        let soon = &Soon::at(at, &self.reconciler.calendars.current());
        let editions = &self.reconciler.calendars.editions(store, &found, at).await?;
        let affected = found.iter().filter_map(|obligation| {
            // A regime that was put in force between the two reads is for the next call.
            let regime = regimes.get(&obligation.name.regime)?;
            let fate = *fates.get(&obligation.name.unit)?;
            let cut_off = regime.window(obligation.name.period).cut_off;
            let consequence = consequence(obligation, cut_off, fate, effective, at)?;
            let shown = Shown { at, family: regime.family, hierarchy: &hierarchy, editions, soon };
            Some(pb::AffectedObligation {
                obligation: Some(shown.obligation(obligation)),
                consequence: pb::affected_obligation::Consequence::from(consequence).into(),
            })
        });
        Ok(Response::new(pb::ListAffectedObligationsResponse {
            affected_obligations: affected.collect(),
            next_page_token,
            hierarchy_version: hierarchy.version().cast_signed(),
        }))
    }

    async fn list_owed_obligations(
        &self,
        request: Request<pb::ListOwedObligationsRequest>,
    ) -> Result<Response<pb::ListOwedObligationsResponse>, Status> {
        let caller = Caller::of(&request)?;
        self.owed(&caller, request.get_ref()).await.map(Response::new)
    }

    async fn export_owed_calendar(
        &self,
        request: Request<pb::ExportOwedCalendarRequest>,
    ) -> Result<Response<pb::ExportOwedCalendarResponse>, Status> {
        let caller = Caller::of(&request)?;
        self.owed_calendar(&caller, request.get_ref()).await.map(Response::new)
    }

    async fn list_reporting_rates(
        &self,
        request: Request<pb::ListReportingRatesRequest>,
    ) -> Result<Response<pb::ListReportingRatesResponse>, Status> {
        let caller = Caller::of(&request)?;
        self.reporting_rates(&caller, request.get_ref()).await.map(Response::new)
    }

    async fn rank_reporting_rates(
        &self,
        request: Request<pb::RankReportingRatesRequest>,
    ) -> Result<Response<pb::RankReportingRatesResponse>, Status> {
        let caller = Caller::of(&request)?;
        self.reporting_ranks(&caller, request.get_ref()).await.map(Response::new)
    }

    async fn list_regime_families(
        &self,
        _: Request<pb::ListRegimeFamiliesRequest>,
    ) -> Result<Response<pb::ListRegimeFamiliesResponse>, Status> {
        let families = self.families.iter().map(pb::RegimeFamily::from).collect();
        Ok(Response::new(pb::ListRegimeFamiliesResponse { families }))
    }

    async fn run_sweep(
        &self,
        request: Request<pb::RunSweepRequest>,
    ) -> Result<Response<pb::RunSweepResponse>, Status> {
        let summary = self.reconciler.sweep(request.into_inner().accept_clock).await?;
        Ok(Response::new(pb::RunSweepResponse {
            sweep_time: Some(field::pb_time(summary.at)),
            opened_count: count(usize::try_from(summary.opened).unwrap_or(usize::MAX)),
            received_count: count(summary.received),
            missing_count: count(summary.missing),
            overdue_count: count(summary.overdue),
            notice_count: count(summary.notices),
            unverified_count: count(summary.unverified),
            retracted_count: count(summary.retracted),
            return_overdue_count: count(summary.returns),
        }))
    }

    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        let database = self.reconciler.store.database();
        dunghan_events::list_events(database, request.get_ref()).await.map(Response::new)
    }
}
