//! Waivers and extensions, and what units ask for.

use std::collections::BTreeSet;
use std::sync::Arc;

use dunghan_calendar::{Period, zone};
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::decision_service_server::DecisionService;
use dunghan_rpc::{Caller, Over, Page, field};
use dunghan_store::RequestKey;
use tonic::{Code, Request, Response, Status};

use super::Service;
use crate::convert;
use crate::domain::calendar::Calendars;
use crate::domain::decision::{Concerned, Decision, Extent, Refusal};
use crate::domain::opening::{Debtors, Ground, Known, plan};
use crate::domain::regime::{Regime, RegimeId};
use crate::domain::request::{ObligationRequest, RequestName};
use crate::error::{Fields, by_fields, unknown_unit};
use crate::store::{self, DecisionFilter, DecisionKey, Regimes, RequestFilter, RequestsKey};

/// Which request this is, where it gives an id.
fn request_key(
    caller: &Caller,
    method: &'static str,
    request_id: &str,
    request: &impl prost::Message,
) -> Result<Option<RequestKey>, Status> {
    let id = field::request_id(request_id)?;
    Ok(id.map(|id| RequestKey::new(caller.subject(), method, id, request)))
}

/// The periods that are not opened yet and in which a decision may concern something.
fn ahead(decision: &Decision, regimes: &Regimes, calendars: &Calendars) -> Vec<(Regime, Period)> {
    let today = zone::civil_date(decision.create_time);
    let mut ahead = Vec::new();
    for regime in regimes.values() {
        let last = match decision.extent {
            Extent::Period(period) => Some(period),
            Extent::Due { through, .. } => regime.first_period(through),
        };
        let Some(last) = last.map(|last| regime.window(last).first) else { continue };
        let periods = std::iter::successors(regime.first_period(today), |period| period.next());
        let periods = periods
            .take_while(|period| regime.window(*period).first <= last)
            .filter(|period| today < regime.window(*period).first && regime.asks_for(*period))
            .filter(|period| decision.reaches(regime, *period, calendars));
        ahead.extend(periods.map(|period| (regime.clone(), period)));
    }
    ahead
}

/// Whether the decision will concern anything of a period that is not opened yet, by the units, calendars and other decisions
/// of now.
fn concerns_later(
    decision: &Decision,
    (regime, period): &(Regime, Period),
    others: Vec<Decision>,
    hierarchy: &Hierarchy,
    calendars: &Calendars,
) -> bool {
    let (period, now) = (*period, decision.create_time);
    let cut_off = regime.window(period).cut_off;
    let debtors = Debtors::on(regime, cut_off, zone::civil_date(now), hierarchy);
    let ground = Ground { regime, period, hierarchy, debtors: &debtors, calendars, now };
    let opened = plan(&ground, Known { decisions: others, ..Known::default() }).changed;
    let regimes = Regimes::from([(regime.id.clone(), regime.clone())]);
    decision.clone().make(opened, &regimes, calendars, false).is_ok()
}

impl Service {
    /// The answer that was given to this request before, or else what `act` answers. Two of the same request at once get
    /// the same answer: the one that lost finds it when it has failed.
    async fn once<M: prost::Message + Default>(
        &self,
        key: Option<&RequestKey>,
        act: impl Future<Output = Result<M, Status>>,
    ) -> Result<Response<M>, Status> {
        if let Some(earlier) = self.answered(key).await? {
            return Ok(Response::new(earlier));
        }
        match act.await {
            Ok(answer) => Ok(Response::new(answer)),
            Err(refused) => {
                let earlier = self.answered(key).await?;
                earlier.map(Response::new).ok_or(refused)
            }
        }
    }

    async fn answered<M: prost::Message + Default>(
        &self,
        key: Option<&RequestKey>,
    ) -> Result<Option<M>, Status> {
        let Some(key) = key else { return Ok(None) };
        Ok(self.reconciler.store.request_answered(key).await?)
    }

    /// The regimes that a decision may be about, by name.
    async fn regimes_of(&self, regime: Option<&RegimeId>) -> Result<Arc<Regimes>, store::Error> {
        let store = &self.reconciler.store;
        let regimes = match regime {
            Some(regime) => vec![store.regime_fetch(regime).await?],
            None => store.regime_all().await?,
        };
        let regimes = regimes.into_iter().map(|regime| (regime.id.clone(), regime));
        Ok(Arc::new(regimes.collect()))
    }

    /// Makes a decision, or only says what it would concern.
    async fn decide(
        &self,
        decision: Decision,
        key: Option<&RequestKey>,
        dry: bool,
    ) -> Result<pb::Decision, Status> {
        let regimes = self.regimes_of(decision.regime.as_ref()).await?;
        let hierarchy = self.reconciler.catch_up().await?;
        let calendars = self.reconciler.calendars.current();
        let fields = Fields {
            until: convert::until_field(decision.outcome),
            extent: convert::extent_field(decision.extent),
            waived: Code::AlreadyExists,
        };
        let store = &self.reconciler.store;
        let make = async |later: bool| {
            let (made, hierarchy) = (decision.clone(), Arc::clone(&hierarchy));
            let make = move |candidates, regimes: &Regimes, calendars: &Calendars| {
                let mut decision = made.clone();
                let effect = decision.make(candidates, regimes, calendars, later)?;
                let mut answer = pb::Decision::from(&decision);
                if dry {
                    // There is none.
                    (answer.name, answer.create_time) = (String::new(), None);
                }
                let regime = |one: &Concerned| regimes.get(&one.name.regime);
                answer.concerned = convert::concerned(&effect.concerned, &hierarchy, regime);
                Ok((decision, effect, answer))
            };
            store.decision_make(&decision, &calendars, key, dry, make).await
        };
        match make(false).await {
            Err(store::Error::Refused(refusal)) if refusal != Refusal::InThePast => {
                if self.will_concern(&decision, &regimes, &hierarchy, &calendars).await? {
                    return make(true).await.map_err(by_fields(fields));
                }
                Err(by_fields(fields)(refusal.into()))
            }
            made => made.map_err(by_fields(fields)),
        }
    }

    /// Whether a decision that concerns nothing now will concern what is opened later.
    async fn will_concern(
        &self,
        decision: &Decision,
        regimes: &Regimes,
        hierarchy: &Arc<Hierarchy>,
        calendars: &Arc<Calendars>,
    ) -> Result<bool, store::Error> {
        for ahead in ahead(decision, regimes, calendars) {
            let (regime, period) = (&ahead.0.id, ahead.1);
            let others = self.reconciler.store.decisions_in_force(regime, period).await?;
            let (decision, hierarchy) = (decision.clone(), Arc::clone(hierarchy));
            let calendars = Arc::clone(calendars);
            let looking = tokio::task::spawn_blocking(move || {
                concerns_later(&decision, &ahead, others, &hierarchy, &calendars)
            });
            if looking.await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn revoke(
        &self,
        caller: &Caller,
        request: &pb::RevokeDecisionRequest,
        key: Option<&RequestKey>,
    ) -> Result<pb::Decision, Status> {
        let id = convert::decision_id("name", &request.name)?;
        let revocation =
            convert::revocation(request, caller.subject(), self.reconciler.believed_now().await?)?;
        let store = &self.reconciler.store;
        let decision = store.decision_fetch(id).await?;
        let hierarchy = self.reconciler.units.knowing(decision.unit).await?;
        let regime = decision.regime.as_ref().map(RegimeId::id);
        let decider = match decision.below_only {
            true => caller.clone(),
            false => self.reaching_from_above(caller, decision.unit, &hierarchy),
        };
        decider.must_write_under(decision.unit, regime, &hierarchy, self.today())?;
        // What was handed over before is measured by what held then.
        self.reconciler.catch_up().await?;
        let regimes = self.regimes_of(decision.regime.as_ref()).await?;
        let calendars = self.reconciler.calendars.current();
        let revoked =
            store.decision_revoke(id, &calendars, key, move |decision, held, left, calendars| {
                let effect =
                    decision.revoke(revocation.clone(), held, left, &regimes, calendars)?;
                Ok((effect, pb::Decision::from(&*decision)))
            });
        let revoked = revoked.await?;
        tracing::info!(by = caller.subject(), decision = revoked.name, "a decision was revoked");
        Ok(revoked)
    }

    /// Refuses whoever may not know of a decision: it is known to those who may read its unit, to those who may read under
    /// its regime, and to those whom it reaches from above.
    async fn must_know(&self, caller: &Caller, decision: &Decision) -> Result<(), Status> {
        let hierarchy = self.reconciler.units.knowing(decision.unit).await?;
        let today = self.today();
        let reached = caller.grants().iter().any(|grant| match &grant.over {
            Over::Everything => true,
            // On all regimes is on this one too.
            Over::Regime(_) => decision.regime.is_none(),
            Over::Subtree(root) => {
                decision.subtree && above(*root, &hierarchy, today).contains(&decision.unit)
            }
        });
        if reached {
            return Ok(());
        }
        let regime = decision.regime.as_ref().map(RegimeId::id);
        caller.must_read(decision.unit, regime, &hierarchy, today)
    }

    /// What a caller may list of a scope: the hierarchy, and the regimes to which that is limited, if it is. A department
    /// sees what is under its regimes wherever it is.
    ///
    /// Errors: PERMISSION_DENIED before NOT_FOUND (UNKNOWN_UNIT).
    async fn listable(
        &self,
        caller: &Caller,
        scope: UnitId,
        regime: Option<&RegimeId>,
    ) -> Result<(Arc<Hierarchy>, Option<Vec<String>>), Status> {
        let hierarchy = self.reconciler.units.knowing(scope).await?;
        let today = self.today();
        let of_regimes = caller.grants().iter().filter_map(|grant| match &grant.over {
            Over::Regime(regime) => Some(regime.clone()),
            Over::Everything | Over::Subtree(_) => None,
        });
        let of_regimes: Vec<_> = of_regimes.collect();
        let limit = match regime {
            Some(regime) => {
                caller.must_read(scope, Some(regime.id()), &hierarchy, today)?;
                Some(vec![regime.id().to_owned()])
            }
            None if of_regimes.is_empty() || caller.can_read(scope, &hierarchy, today) => {
                caller.must_read(scope, None, &hierarchy, today)?;
                None
            }
            None => Some(of_regimes),
        };
        hierarchy.get(scope).ok_or_else(|| unknown_unit(scope))?;
        Ok((hierarchy, limit))
    }

    /// The call's right to decide on what a unit itself owes: the unit's own role does not do.
    fn reaching_from_above(&self, caller: &Caller, unit: UnitId, hierarchy: &Hierarchy) -> Caller {
        let own = [Some(unit), hierarchy.succeeded_by(unit, self.today())];
        let grants = caller.grants().iter().filter(|grant| match grant.over {
            Over::Subtree(root) => !own.contains(&Some(root)),
            Over::Everything | Over::Regime(_) => true,
        });
        Caller::new(caller.subject(), grants.cloned().collect())
    }

    async fn ask(
        &self,
        request: &ObligationRequest,
        key: Option<&RequestKey>,
    ) -> Result<pb::ObligationRequest, Status> {
        self.reconciler.catch_up().await?;
        let store = &self.reconciler.store;
        let answer = pb::ObligationRequest::from(request);
        let check = |obligation: &_| request.check(obligation);
        let kept = store.request_insert(request, key, &answer, check).await;
        let fields = Fields { until: "obligation_request.asked_due_date", ..Fields::default() };
        kept.map_err(by_fields(fields))
    }

    async fn answer(
        &self,
        name: &RequestName,
        answer: crate::domain::request::Answer,
        key: Option<&RequestKey>,
    ) -> Result<pb::ObligationRequest, Status> {
        self.reconciler.catch_up().await?;
        let store = &self.reconciler.store;
        let calendars = self.reconciler.calendars.current();
        let regime = match store.regime_fetch(&name.obligation.regime).await {
            Err(store::Error::UnknownRegime(_)) => {
                return Err(store::Error::from(Refusal::UnknownRequest(name.clone())).into());
            }
            found => found?,
        };
        let decided =
            store.request_decide(name, &calendars, key, |request, obligation, calendars| {
                let made = request.decide(answer.clone(), obligation, &regime, calendars)?;
                Ok((made, pb::ObligationRequest::from(&*request)))
            });
        Ok(decided.await?)
    }
}

/// The units above one, today or when it was there last, and those that were above what it was before.
fn above(unit: UnitId, hierarchy: &Hierarchy, today: chrono::NaiveDate) -> Vec<UnitId> {
    let versions = hierarchy.get(unit).into_iter().flat_map(|history| &history.versions);
    let last_days = versions.map(|version| {
        let last = version.validity.until.and_then(|until| until.pred_opt());
        last.map_or(today, |last| last.min(today))
    });
    let above: BTreeSet<_> = last_days.flat_map(|day| hierarchy.ancestors(unit, day)).collect();
    above.into_iter().collect()
}

/// A unit and all that is below it, with what of it has ended.
fn below(unit: UnitId, hierarchy: &Hierarchy, today: chrono::NaiveDate) -> Vec<UnitId> {
    let units = hierarchy.histories().map(|history| history.id);
    units.filter(|one| hierarchy.covers(unit, *one, today).is_some()).collect()
}

#[tonic::async_trait]
impl DecisionService for Service {
    async fn create_decision(
        &self,
        request: Request<pb::CreateDecisionRequest>,
    ) -> Result<Response<pb::Decision>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let key = request_key(&caller, "CreateDecision", &request.request_id, &request)?;
        // What is only tried is answered anew each time.
        let dry = request.validate_only;
        let key = key.filter(|_| !dry);
        let now = self.reconciler.believed_now().await?;
        let (unit, regime) = convert::decision_reach(&request)?;
        let hierarchy = self.reconciler.units.knowing(unit).await?;
        let regime = regime.as_ref().map(RegimeId::id);
        caller.must_write_under(unit, regime, &hierarchy, self.today())?;
        let above = self.reaching_from_above(&caller, unit, &hierarchy);
        let above = above.must_write_under(unit, regime, &hierarchy, self.today());
        let mut decision = convert::decision(&request, caller.subject(), now)?;
        match above {
            Err(refused) if !decision.subtree => return Err(refused),
            above => decision.below_only = above.is_err(),
        }
        hierarchy.get(decision.unit).ok_or_else(|| unknown_unit(decision.unit))?;
        let decide = Box::pin(self.decide(decision, key.as_ref(), dry));
        let decided = self.once(key.as_ref(), decide).await?;
        if !dry {
            let (by, decision) = (caller.subject(), &decided.get_ref().name);
            tracing::info!(by, decision, "a decision was made");
        }
        Ok(decided)
    }

    async fn get_decision(
        &self,
        request: Request<pb::GetDecisionRequest>,
    ) -> Result<Response<pb::Decision>, Status> {
        let caller = Caller::of(&request)?;
        let id = convert::decision_id("name", &request.get_ref().name)?;
        let decision = self.reconciler.store.decision_fetch(id).await?;
        self.must_know(&caller, &decision).await?;
        Ok(Response::new(pb::Decision::from(&decision)))
    }

    async fn list_decisions(
        &self,
        request: Request<pb::ListDecisionsRequest>,
    ) -> Result<Response<pb::ListDecisionsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let scope = convert::unit("scope", &request.scope)?;
        let regime = convert::optional_regime("regime", &request.regime)?;
        let asked = ("ListDecisions", scope, &request.regime, request.show_revoked);
        let page = Page::<DecisionKey>::new(request.page_size, &request.page_token, &asked)?;
        let (hierarchy, regimes) = self.listable(&caller, scope, regime.as_ref()).await?;
        let today = self.today();
        let filter = DecisionFilter {
            on: below(scope, &hierarchy, today),
            above: above(scope, &hierarchy, today),
            regimes,
            revoked: request.show_revoked,
        };
        let store = &self.reconciler.store;
        let found = store.decision_page(&filter, page.after, page.size as u64 + 1).await?;
        let (found, next_page_token) = page.cut(found, |last| last.into());
        let decisions = found.iter().map(pb::Decision::from).collect();
        Ok(Response::new(pb::ListDecisionsResponse { decisions, next_page_token }))
    }

    async fn revoke_decision(
        &self,
        request: Request<pb::RevokeDecisionRequest>,
    ) -> Result<Response<pb::Decision>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let key = request_key(&caller, "RevokeDecision", &request.request_id, &request)?;
        let revoke = Box::pin(self.revoke(&caller, &request, key.as_ref()));
        self.once(key.as_ref(), revoke).await
    }

    async fn create_obligation_request(
        &self,
        request: Request<pb::CreateObligationRequestRequest>,
    ) -> Result<Response<pb::ObligationRequest>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let key = request_key(&caller, "CreateObligationRequest", &request.request_id, &request)?;
        let now = self.reconciler.believed_now().await?;
        let obligation = convert::obligation_name("parent", &request.parent)?;
        let unit = obligation.unit;
        let hierarchy = self.reconciler.units.knowing(unit).await?;
        caller.must_write_under(unit, None, &hierarchy, self.today())?;
        let asked = convert::obligation_request(obligation, &request, caller.subject(), now)?;
        hierarchy.get(unit).ok_or_else(|| unknown_unit(unit))?;
        self.once(key.as_ref(), self.ask(&asked, key.as_ref())).await
    }

    async fn list_obligation_requests(
        &self,
        request: Request<pb::ListObligationRequestsRequest>,
    ) -> Result<Response<pb::ListObligationRequestsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let scope = convert::unit("scope", &request.scope)?;
        let states = convert::request_states(&request.states)?;
        let asked = ("ListObligationRequests", scope, &states);
        let page = Page::<RequestsKey>::new(request.page_size, &request.page_token, &asked)?;
        let (hierarchy, regimes) = self.listable(&caller, scope, None).await?;
        let units = below(scope, &hierarchy, self.today());
        let filter = RequestFilter { units, regimes, states };
        let store = &self.reconciler.store;
        let found = store.request_page(&filter, page.after, page.size as u64 + 1).await?;
        let (found, next_page_token) = page.cut(found, |last| last.into());
        let requests = found.iter().map(pb::ObligationRequest::from).collect();
        Ok(Response::new(pb::ListObligationRequestsResponse { requests, next_page_token }))
    }

    async fn decide_obligation_request(
        &self,
        request: Request<pb::DecideObligationRequestRequest>,
    ) -> Result<Response<pb::ObligationRequest>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let key = request_key(&caller, "DecideObligationRequest", &request.request_id, &request)?;
        let name = convert::request_name("name", &request.name)?;
        let now = self.reconciler.believed_now().await?;
        let answer = convert::answer(&request, caller.subject(), now)?;
        let hierarchy = self.reconciler.units.knowing(name.obligation.unit).await?;
        let (unit, regime) = (name.obligation.unit, name.obligation.regime.id());
        let decider = self.reaching_from_above(&caller, name.obligation.unit, &hierarchy);
        decider.must_write_under(unit, Some(regime), &hierarchy, self.today())?;
        let decided = self.once(key.as_ref(), self.answer(&name, answer, key.as_ref())).await?;
        tracing::info!(by = caller.subject(), request = %name, "a request was decided");
        Ok(decided)
    }

    async fn withdraw_obligation_request(
        &self,
        request: Request<pb::WithdrawObligationRequestRequest>,
    ) -> Result<Response<pb::ObligationRequest>, Status> {
        let caller = Caller::of(&request)?;
        let name = convert::request_name("name", &request.get_ref().name)?;
        let hierarchy = self.reconciler.units.knowing(name.obligation.unit).await?;
        caller.must_write_under(name.obligation.unit, None, &hierarchy, self.today())?;
        let now = self.reconciler.believed_now().await?;
        let store = &self.reconciler.store;
        let withdraw = |request: &mut ObligationRequest| request.withdraw(caller.subject(), now);
        let withdrawn = store.request_withdraw(&name, withdraw).await?;
        Ok(Response::new(pb::ObligationRequest::from(&withdrawn)))
    }
}
