//! Regimes, obligations, rates, explanations, waivers, and the sweep on demand.

use std::collections::HashMap;

use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::ErrorReason;
use dunghan_proto::compliance::compliance_service_server::ComplianceService;
use dunghan_proto::events::{ListEventsRequest, ListEventsResponse};
use dunghan_proto::submission::GetFormRequest;
use dunghan_rpc::{Caller, Over, Page, bad_field_for, field, peer_failed};
use dunghan_store::RequestKey;
use tonic::{Code, Request, Response, Status};

use super::Service;
use crate::convert::{self, Shown, count};
use crate::domain::consequence::{Fate, consequence};
use crate::domain::explain::Grounds;
use crate::domain::obligation::ObligationName;
use crate::domain::rate::Rate;
use crate::domain::regime::{Debtors, Regime, RegimeId};
use crate::error::unknown_unit;
use crate::jobs::SUBMISSION;
use crate::store::{AffectedFilter, AffectedKey, ObligationFilter, ObligationKey, Within};

impl Service {
    /// Refuses a regime that speaks of units or a form that there are not.
    async fn check_references(&self, regime: &Regime) -> Result<(), Status> {
        let hierarchy = self.reconciler.units.fresh().await?;
        let named: &[UnitId] = match &regime.debtors {
            Debtors::Units(units) => units,
            Debtors::Subtree { root, .. } => std::slice::from_ref(root),
        };
        for unit in named.iter().chain([&regime.receiving_unit]) {
            hierarchy.get(*unit).ok_or_else(|| unknown_unit(*unit))?;
        }
        let request = GetFormRequest { name: regime.form.clone() };
        match self.reconciler.submission.clone().get_form(request).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => {
                let why = format!("names a form that there is not: {}", regime.form);
                Err(bad_field_for(ErrorReason::UnknownForm, "regime.form", why))
            }
            Err(status) => Err(peer_failed(SUBMISSION, status)),
        }
    }

    /// What a list holds that names no scope.
    fn visible(&self, caller: &Caller, hierarchy: &Hierarchy) -> Vec<Within> {
        let today = self.today();
        let limits = caller.grants().iter().filter_map(|grant| match &grant.over {
            Over::Everything => None,
            Over::Subtree(unit) => Some(Within::Subtree(*unit)),
            Over::Regime(regime) => Some(Within::Regime(regime.clone())),
        });
        // On a cut-off day of the past, units that came into the subtree, and those that were before them, were elsewhere.
        let units = hierarchy.histories().map(|unit| unit.id);
        let readable = units.filter(|unit| caller.can_read(*unit, hierarchy, today));
        limits.chain([Within::Units(readable.collect())]).collect()
    }

    async fn explain(
        &self,
        name: &ObligationName,
        at: chrono::DateTime<chrono::Utc>,
        hierarchy: &Hierarchy,
    ) -> Result<pb::Explanation, Status> {
        let store = &self.reconciler.store;
        let obligation = store.obligation_fetch(name).await?;
        let regime = store.regime_fetch(&name.regime).await?;
        let waiver = store.waiver_fetch(name).await?;
        let notices = store.notice_about(&name.to_string()).await?;
        let cut_off = regime.window(name.period).cut_off;
        let called = |unit| match hierarchy.unit(unit, cut_off) {
            Some(view) => view.version.display_name.clone(),
            None => unit.to_string(),
        };
        let notices: Vec<_> = notices
            .into_iter()
            .map(|notice| {
                let recipient = called(notice.recipient);
                (notice, recipient)
            })
            .collect();
        let (unit_name, receiving_name) = (called(name.unit), called(regime.receiving_unit));
        let scope_name = match &regime.debtors {
            Debtors::Subtree { root, .. } => called(*root),
            Debtors::Units(_) => String::new(),
        };
        let unit = hierarchy.unit(name.unit, cut_off);
        let grounds = Grounds {
            obligation: &obligation,
            regime: &regime,
            unit_name: &unit_name,
            receiving_name: &receiving_name,
            level: unit.map(|unit| unit.version.level),
            scope_name: &scope_name,
            unit_uncertain: unit.is_none_or(|unit| !unit.certain),
            calendar: &self.reconciler.calendar,
            notices: &notices,
            waiver: waiver.as_ref(),
            at,
        };
        let shown =
            Shown { at, family: regime.family, hierarchy, calendar: &self.reconciler.calendar };
        Ok(shown.explanation(&grounds, obligation.hierarchy_version))
    }
}

#[tonic::async_trait]
impl ComplianceService for Service {
    async fn create_regime(
        &self,
        request: Request<pb::CreateRegimeRequest>,
    ) -> Result<Response<pb::Regime>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let key = field::request_id(&request.request_id)?
            .map(|id| RequestKey::new(caller.subject(), "CreateRegime", id, &request));
        let value = field::required("regime", request.regime.as_ref())?;
        let regime = convert::regime(value, self.reconciler.clock.now())?;
        regime.check(&self.reconciler.calendar)?;
        self.check_references(&regime).await?;
        let answer = pb::Regime::from(&regime);
        let answer = self.reconciler.store.regime_insert(&regime, key.as_ref(), answer).await?;
        if let Err(error) = self.reconciler.open().await {
            // The regime is in force all the same, and the next look opens its periods.
            tracing::warn!(error = &error as &dyn std::error::Error, "a new regime was not opened");
        }
        Ok(Response::new(answer))
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
        let request = request.into_inner();
        let page = Page::<String>::new(request.page_size, &request.page_token, &"ListRegimes")?;
        let limit = page.size as u64 + 1;
        let regimes = self.reconciler.store.regime_page(page.after.as_deref(), limit).await?;
        let (regimes, next_page_token) = page.cut(regimes, |last| last.id.id().to_owned());
        let regimes = regimes.iter().map(pb::Regime::from).collect();
        Ok(Response::new(pb::ListRegimesResponse { regimes, next_page_token }))
    }

    async fn list_obligations(
        &self,
        request: Request<pb::ListObligationsRequest>,
    ) -> Result<Response<pb::ListObligationsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let scope = convert::optional_unit("scope", &request.scope)?;
        let regime = match request.regime.as_str() {
            "" => None,
            name => Some(convert::regime_id("regime", name)?),
        };
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
        let filter = ObligationFilter { scope, visible, regime, period, standings };
        let store = &self.reconciler.store;
        let limit = page.size as u64 + 1;
        let found = store.obligation_page(&filter, at, page.after.as_ref(), limit).await?;
        let (found, next_page_token) = page.cut(found, |last| last.into());
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
            let calendar = &self.reconciler.calendar;
            let shown = Shown { at, family: of, hierarchy: &hierarchy, calendar };
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
        let request = request.into_inner();
        let scope = convert::unit("scope", &request.scope)?;
        let regime = convert::regime_id("regime", &request.regime)?;
        let period = convert::period("period", &request.period)?;
        let at = convert::read_time(request.read_time.as_ref(), &self.reconciler.clock)?;
        self.readable(&caller, scope, Some(regime.id())).await?;
        let store = &self.reconciler.store;
        let family = store.regime_fetch(&regime).await?.family;
        let hierarchy = self.reconciler.catch_up().await?;
        let rate = Rate::of(store.obligation_all(scope, &regime, period).await?, at);
        let calendar = &self.reconciler.calendar;
        let shown = Shown { at, family, hierarchy: &hierarchy, calendar };
        Ok(Response::new(shown.rate(&rate, scope, &regime, period)))
    }

    async fn explain_obligation(
        &self,
        request: Request<pb::ExplainObligationRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let name = convert::obligation_name("name", &request.name)?;
        let at = convert::read_time(request.read_time.as_ref(), &self.reconciler.clock)?;
        self.readable(&caller, name.unit, Some(name.regime.id())).await?;
        let hierarchy = self.reconciler.catch_up().await?;
        Ok(Response::new(self.explain(&name, at, &hierarchy).await?))
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
        let affected = found.iter().filter_map(|obligation| {
            // A regime that was put in force between the two reads is for the next call.
            let regime = regimes.get(&obligation.name.regime)?;
            let fate = *fates.get(&obligation.name.unit)?;
            let cut_off = regime.window(obligation.name.period).cut_off;
            let consequence = consequence(obligation, cut_off, fate, effective, at)?;
            let calendar = &self.reconciler.calendar;
            let shown = Shown { at, family: regime.family, hierarchy: &hierarchy, calendar };
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

    async fn waive_obligation(
        &self,
        request: Request<pb::WaiveObligationRequest>,
    ) -> Result<Response<pb::Obligation>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let name = convert::obligation_name("name", &request.name)?;
        let now = self.reconciler.clock.now();
        let waiver = convert::waiver(&request, caller.subject(), now)?;
        self.writable(&caller, name.unit).await?;
        let hierarchy = self.reconciler.catch_up().await?;
        let store = &self.reconciler.store;
        // Fetched first: nothing may fail after the waiver is there.
        store.obligation_fetch(&name).await?;
        let family = store.regime_fetch(&name.regime).await?.family;
        let obligation = store.waiver_insert(&name, &waiver).await?;
        let calendar = &self.reconciler.calendar;
        let shown = Shown { at: now, family, hierarchy: &hierarchy, calendar };
        Ok(Response::new(shown.obligation(&obligation)))
    }

    async fn run_sweep(
        &self,
        _: Request<pb::RunSweepRequest>,
    ) -> Result<Response<pb::RunSweepResponse>, Status> {
        let summary = self.reconciler.sweep().await?;
        Ok(Response::new(pb::RunSweepResponse {
            sweep_time: Some(field::pb_time(summary.at)),
            opened_count: count(usize::try_from(summary.opened).unwrap_or(usize::MAX)),
            received_count: count(summary.received),
            missing_count: count(summary.missing),
            overdue_count: count(summary.overdue),
            notice_count: count(summary.notices),
            unverified_count: count(summary.unverified),
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
