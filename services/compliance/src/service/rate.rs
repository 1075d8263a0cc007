//! Reporting rates: of one period, of a range of them, and of siblings beside each other.

use std::collections::{BTreeMap, HashMap, HashSet};

use dunghan_calendar::Period;
use dunghan_hierarchy::{Hierarchy, NSO, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::rank_reporting_rates_response::Rank;
use dunghan_rpc::Caller;
use tonic::Status;

use super::Service;
use crate::convert::{self, RateOf, Shown, count};
use crate::domain::rate::{self, Rate};
use crate::domain::regime::{Regime, RegimeId};
use crate::domain::soon::Soon;
use crate::error::bad_period;
use crate::store::{Moment, RateFilter, Within};

/// Exceptions of one answer, which has to fit into a message.
const MOST_EXCEPTIONS: usize = 5000;

impl Service {
    pub(super) async fn reporting_rate(
        &self,
        caller: &Caller,
        request: &pb::GetReportingRateRequest,
    ) -> Result<pb::ReportingRate, Status> {
        let scope = convert::unit("scope", &request.scope)?;
        let id = convert::regime_id("regime", &request.regime)?;
        let period = convert::period("period", &request.period)?;
        let at = convert::read_time(request.read_time.as_ref(), &self.reconciler.clock)?;
        self.readable(caller, scope, Some(id.id())).await?;
        let store = &self.reconciler.store;
        let regime = store.regime_fetch(&id).await?;
        rate::range(period, period, &regime).map_err(|(_, why)| bad_period("period", why))?;
        let hierarchy = self.reconciler.catch_up().await?;
        let soon = &Soon::at(at, &self.reconciler.calendars.current());
        let moment = Moment { at, soon };
        let (tallies, mut exceptions) =
            store.tally_with_exceptions(scope, &id, period, moment, MOST_EXCEPTIONS).await?;
        let mut rate = Rate::default();
        for (tally, count) in &tallies {
            rate.add(tally, *count);
        }
        // Within a standing the order of codes stays.
        exceptions.sort_by_key(|one| one.counted(at));
        let of =
            RateOf { scope, regime: Some(&id), period: Some(period), at, hierarchy: &hierarchy };
        let editions = &self.reconciler.calendars.editions(store, &exceptions, at).await?;
        let shown = Shown { at, family: regime.family, hierarchy: &hierarchy, editions, soon };
        let exceptions = exceptions.iter().map(|one| shown.obligation(one)).collect();
        Ok(pb::ReportingRate { exceptions, ..of.rate(&rate) })
    }

    pub(super) async fn reporting_rates(
        &self,
        caller: &Caller,
        request: &pb::ListReportingRatesRequest,
    ) -> Result<pb::ListReportingRatesResponse, Status> {
        let scope = convert::unit("scope", &request.scope)?;
        let id = convert::regime_id("regime", &request.regime)?;
        let first = convert::period("first_period", &request.first_period)?;
        let last = convert::period("last_period", &request.last_period)?;
        let at = convert::read_time(request.read_time.as_ref(), &self.reconciler.clock)?;
        self.readable(caller, scope, Some(id.id())).await?;
        let store = &self.reconciler.store;
        let regime = store.regime_fetch(&id).await?;
        let periods = rate::range(first, last, &regime).map_err(|(is_last, why)| {
            bad_period(if is_last { "last_period" } else { "first_period" }, why)
        })?;
        let hierarchy = self.reconciler.catch_up().await?;
        let moment = Moment { at, soon: &Soon::at(at, &self.reconciler.calendars.current()) };
        let filter = RateFilter {
            within: vec![Within::Subtree(scope)],
            periods: vec![(id.clone(), periods.clone())],
        };
        let mut by_period: HashMap<Period, Rate> = HashMap::new();
        for (period, tally, count) in store.tally_by_period(&filter, moment).await? {
            by_period.entry(period).or_default().add(&tally, count);
        }
        let mut total = Rate::default();
        by_period.values().for_each(|rate| total += *rate);
        let of = |period| RateOf { scope, regime: Some(&id), period, at, hierarchy: &hierarchy };
        let rates = periods.iter().map(|period| {
            of(Some(*period)).rate(&by_period.get(period).copied().unwrap_or_default())
        });
        Ok(pb::ListReportingRatesResponse {
            rates: rates.collect(),
            total: Some(of(None).rate(&total)),
        })
    }

    pub(super) async fn reporting_ranks(
        &self,
        caller: &Caller,
        request: &pb::RankReportingRatesRequest,
    ) -> Result<pb::RankReportingRatesResponse, Status> {
        let scope = convert::unit("scope", &request.scope)?;
        let id = convert::optional_regime("regime", &request.regime)?;
        let (from, through) =
            convert::interval(request.from_date.as_ref(), request.through_date.as_ref())?;
        let by = convert::rank_by(request.by)?;
        let at = convert::read_time(request.read_time.as_ref(), &self.reconciler.clock)?;
        self.readable(caller, scope, id.as_ref().map(RegimeId::id)).await?;
        let store = &self.reconciler.store;
        let regimes = match &id {
            Some(id) => vec![store.regime_fetch(id).await?],
            None => store.regime_all().await?,
        };
        let hierarchy = self.reconciler.catch_up().await?;
        let moment = Moment { at, soon: &Soon::at(at, &self.reconciler.calendars.current()) };
        let periods: Vec<_> = regimes
            .iter()
            .map(|regime| (regime.id.clone(), rate::periods_within(regime, from, through)))
            .filter(|(_, periods)| !periods.is_empty())
            .collect();
        let children = hierarchy.children(scope, through);
        let within = where_they_stood(scope, &children, &regimes, &periods, &hierarchy);
        let filter = RateFilter { within, periods };
        let mut rates: BTreeMap<UnitId, Rate> =
            children.iter().map(|child| (*child, Rate::default())).collect();
        for (path, tally, count) in store.tally_by_path(&filter, moment).await? {
            for unit in path {
                if let Some(rate) = rates.get_mut(&unit) {
                    rate.add(&tally, count);
                }
            }
        }
        let mut siblings: Vec<_> = rates
            .into_iter()
            .filter_map(|(unit, rate)| {
                let view = hierarchy.unit(unit, through)?;
                let code = view.code(NSO).unwrap_or_default().to_owned();
                Some(((code, unit, view.version.display_name.clone()), rate))
            })
            .collect();
        siblings.sort_by(|(one, _), (another, _)| one.cmp(another));
        let ranks = rate::ranked(siblings, by).into_iter().map(|place| {
            let (unit_code, unit, unit_display_name) = place.of;
            let of = RateOf {
                scope: unit,
                regime: id.as_ref(),
                period: None,
                at,
                hierarchy: &hierarchy,
            };
            Rank {
                rank: count(place.rank),
                tied_count: count(place.tied),
                unit: unit.to_string(),
                unit_display_name,
                unit_code,
                rate: Some(of.rate(&place.rate)),
            }
        });
        let ranks = ranks.collect();
        let hierarchy_version = hierarchy.version().cast_signed();
        Ok(pb::RankReportingRatesResponse { ranks, hierarchy_version })
    }
}

/// Below what to look for obligations of the children of a unit: below the unit, and below each child that stood elsewhere on
/// a cut-off day.
fn where_they_stood(
    scope: UnitId,
    children: &[UnitId],
    regimes: &[Regime],
    periods: &[(RegimeId, Vec<Period>)],
    hierarchy: &Hierarchy,
) -> Vec<Within> {
    let cut_offs: HashSet<_> = regimes
        .iter()
        .flat_map(|regime| {
            let of = periods.iter().filter(|(id, _)| *id == regime.id);
            of.flat_map(|(_, periods)| periods).map(|period| regime.window(*period).cut_off)
        })
        .collect();
    let strayed = children.iter().filter(|child| {
        let mut there = cut_offs.iter().filter(|day| hierarchy.unit(**child, **day).is_some());
        there.any(|day| !hierarchy.is_within(**child, scope, *day))
    });
    std::iter::once(scope).chain(strayed.copied()).map(Within::Subtree).collect()
}
