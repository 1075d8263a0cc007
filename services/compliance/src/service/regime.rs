//! Regimes: put in force, and listed.

use std::collections::{BTreeMap, BTreeSet};

use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::ErrorReason;
use dunghan_proto::submission::{Form, GetFormRequest};
use dunghan_rpc::{Caller, Page, bad_field_for, field, peer_failed};
use dunghan_store::RequestKey;
use tonic::{Code, Status};

use super::Service;
use crate::convert;
use crate::domain::regime::{Debtors, Indicators, Receiver, Regime, RuleFamily, Stated, publish};
use crate::error::unknown_unit;
use crate::jobs::SUBMISSION;

impl Service {
    /// Puts a regime in force, or only tries to.
    pub(super) async fn publish_regime(
        &self,
        caller: &Caller,
        request: pb::CreateRegimeRequest,
    ) -> Result<pb::Regime, Status> {
        let key = field::request_id(&request.request_id)?
            .map(|id| RequestKey::new(caller.subject(), "CreateRegime", id, &request));
        let value = field::required("regime", request.regime.as_ref())?;
        let stated = convert::stated(value, self.reconciler.clock.now())?;
        let family = self.family_of(&stated)?;
        let hierarchy = self.reconciler.units.fresh().await?;
        let from = stated.regime.from;
        let regime = stated.complete(family, |unit| {
            let on = hierarchy.known_on(unit, from);
            hierarchy.unit(unit, on).map(|unit| unit.version.level)
        })?;
        regime.check(self.today(), self.reconciler.calendars.current().national())?;
        check_units(&regime, &hierarchy)?;
        let indicators = self.indicators(&regime).await?;

        let (id, only_tried) = (regime.id.clone(), request.validate_only);
        let judge =
            move |existing: Vec<Regime>| publish(regime, &existing, &indicators, &hierarchy);
        let answer = |regime: &Regime| pb::Regime::from(regime);
        let store = &self.reconciler.store;
        let answer = store.regime_publish(&id, key.as_ref(), only_tried, judge, answer).await?;
        if only_tried {
            return Ok(answer);
        }
        if let Err(error) = self.reconciler.open().await {
            // The regime is in force all the same, and the next look opens its periods.
            tracing::warn!(error = &error as &dyn std::error::Error, "a new regime was not opened");
        }
        Ok(answer)
    }

    /// One page of the catalogue.
    pub(super) async fn regimes_page(
        &self,
        request: &pb::ListRegimesRequest,
    ) -> Result<pb::ListRegimesResponse, Status> {
        let as_of = field::date("as_of_date", request.as_of_date.as_ref())?;
        let asked = ("ListRegimes", as_of);
        let page = Page::<String>::new(request.page_size, &request.page_token, &asked)?;
        let store = &self.reconciler.store;
        let regimes = store.regime_page(page.after.as_deref(), as_of, page.size + 1).await?;
        let (regimes, next_page_token) = page.cut(regimes, |last| last.id.id().to_owned());
        let regimes = regimes.iter().map(pb::Regime::from).collect();
        Ok(pb::ListRegimesResponse { regimes, next_page_token })
    }

    /// The family that a regime names.
    fn family_of(&self, stated: &Stated) -> Result<Option<&RuleFamily>, Status> {
        let Some(named) = &stated.regime.rule_family else { return Ok(None) };
        let found = self.families.iter().find(|family| family.id == *named);
        found.map(Some).ok_or_else(|| {
            let known: Vec<_> = self.families.iter().map(|family| family.id.as_str()).collect();
            let why = format!("is no family that is known; there are {}", known.join(", "));
            bad_field_for(ErrorReason::UnknownFamily, "regime.family", why)
        })
    }

    /// What the forms of a regime ask for, and those of the regimes that are in force.
    ///
    /// Errors: INVALID_ARGUMENT (UNKNOWN_FORM, FORM_RETIRED) naming the field of the regime, UNAVAILABLE (PEER_UNAVAILABLE).
    async fn indicators(&self, regime: &Regime) -> Result<Indicators, Status> {
        let mut indicators = BTreeMap::new();
        for (at, tier) in regime.tiers.iter().enumerate() {
            if indicators.contains_key(&tier.form) {
                continue;
            }
            let refused = |reason, why| {
                let field = match at.checked_sub(1) {
                    None => "regime.form".to_owned(),
                    Some(at) => format!("regime.onward_tiers[{at}].form"),
                };
                bad_field_for(reason, &field, format!("names a form that {why}: {}", tier.form))
            };
            let form = self.form(&tier.form).await?;
            let form = form.ok_or_else(|| refused(ErrorReason::UnknownForm, "there is not"))?;
            if form.retire_time.is_some() {
                return Err(refused(ErrorReason::FormRetired, "is retired"));
            }
            indicators.insert(tier.form.clone(), asked_by(form));
        }
        for other in self.reconciler.store.regime_all().await? {
            for tier in other.tiers.iter().take(1) {
                if !indicators.contains_key(&tier.form) {
                    let asked = self.form(&tier.form).await?.map(asked_by);
                    indicators.insert(tier.form.clone(), asked.unwrap_or_default());
                }
            }
        }
        Ok(indicators)
    }

    /// A form; none where there is no such form.
    async fn form(&self, name: &str) -> Result<Option<Form>, Status> {
        let request = GetFormRequest { name: name.to_owned() };
        match self.forms.clone().get_form(request).await {
            Ok(form) => Ok(Some(form.into_inner())),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(peer_failed(SUBMISSION, status)),
        }
    }
}

/// The indicators of a form.
fn asked_by(form: Form) -> BTreeSet<String> {
    form.indicators.into_iter().map(|indicator| indicator.key).collect()
}

/// Refuses a regime that speaks of units that there are not, or that asks of units, or sends to one, that have all ended before
/// it is in force.
fn check_units(regime: &Regime, hierarchy: &Hierarchy) -> Result<(), Status> {
    let (owing, excepted) = match &regime.debtors {
        Debtors::Units(units) => (units.clone(), Vec::new()),
        Debtors::Subtree { root, except, .. } => (vec![*root], except.clone()),
        Debtors::Everywhere { except, .. } => (Vec::new(), except.clone()),
    };
    let receivers = regime.tiers.iter().filter_map(|tier| match tier.receiver {
        Receiver::Unit(unit) => Some(unit),
        _ => None,
    });
    let receivers: Vec<_> = receivers.collect();
    let mut named = owing.iter().chain(&excepted).chain(&receivers);
    if let Some(unit) = named.find(|unit| hierarchy.get(**unit).is_none()) {
        return Err(unknown_unit(*unit));
    }
    let ended = |unit: &UnitId| {
        let versions = hierarchy.get(*unit).into_iter().flat_map(|history| &history.versions);
        let mut ends = versions.map(|version| version.validity.until);
        ends.all(|until| until.is_some_and(|until| until <= regime.from))
    };
    let gone = |field: &str, unit: &UnitId| {
        let why = format!("names {unit}, which has ended before {}", regime.from);
        bad_field_for(ErrorReason::InvalidRegime, field, why)
    };
    match owing.first() {
        Some(first) if owing.iter().all(ended) => Err(gone("regime.debtors", first)),
        _ => Ok(()),
    }
}
