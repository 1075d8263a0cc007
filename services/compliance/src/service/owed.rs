//! What a unit owes, as a list and as a calendar file.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use dunghan_calendar::zone;
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::list_owed_obligations_response::Owed;
use dunghan_proto::registry::{ContactRole, ListContactsRequest};
use dunghan_rpc::{Caller, bad_field, field, internal, peer_failed};
use tonic::Status;
use uuid::Uuid;

use super::Service;
use super::explain::{called, receiving_name};
use crate::convert::{self, Shown};
use crate::domain::calendar::Calendars;
use crate::domain::decision::Until;
use crate::domain::obligation::Obligation;
use crate::domain::owed::{
    Entry, Horizon, Interval, Span, act_by, in_order, is_estimated, is_owed, last_day,
    reminder_day, week_start,
};
use crate::domain::regime::{Regime, RegimeId};
use crate::domain::soon::Soon;
use crate::jobs::REGISTRY;

/// What a unit owes within an interval, and what telling of it takes.
struct Answer {
    at: DateTime<Utc>,
    owed: Vec<Obligation>,
    regimes: HashMap<RegimeId, Regime>,
    hierarchy: Arc<Hierarchy>,
    calendars: Arc<Calendars>,
    /// Until when the extensions in force among them reach.
    extensions: HashMap<Uuid, Until>,
    responsible: String,
}

impl Answer {
    /// Whether the day by which to act may still move.
    fn is_estimated(&self, one: &Obligation, regime: &Regime) -> bool {
        let extension = one.extension.and_then(|id| self.extensions.get(&id)).copied();
        is_estimated(one, regime, extension, self.calendars.of(one.area()), self.at)
    }
}

impl Service {
    pub(super) async fn owed(
        &self,
        caller: &Caller,
        request: &pb::ListOwedObligationsRequest,
    ) -> Result<pb::ListOwedObligationsResponse, Status> {
        let unit = convert::unit("unit", &request.unit)?;
        let days = (request.from_date.as_ref(), request.through_date.as_ref());
        let interval = self.owed_interval(days, Span::List)?;
        let answer = self.owed_within(caller, unit, interval).await?;
        let reconciler = &self.reconciler;
        let editions =
            reconciler.calendars.editions(&reconciler.store, &answer.owed, answer.at).await?;
        let soon = Soon::at(answer.at, &answer.calendars);
        let owed = answer.owed.iter().filter_map(|one| {
            let regime = answer.regimes.get(&one.name.regime)?;
            let shown = Shown {
                at: answer.at,
                family: regime.family,
                hierarchy: &answer.hierarchy,
                editions: &editions,
                soon: &soon,
            };
            let day = act_by(one, answer.at).map(last_day);
            Some(Owed {
                obligation: Some(shown.obligation(one)),
                week_start_date: day.map(|day| field::pb_date(week_start(day))),
                regime_display_name: regime.display_name.clone(),
                receiving_display_name: receiving_name(one, regime, &answer.hierarchy),
                responsible: answer.responsible.clone(),
                estimated: answer.is_estimated(one, regime),
            })
        });
        Ok(pb::ListOwedObligationsResponse {
            owed: owed.collect(),
            hierarchy_version: answer.hierarchy.version().cast_signed(),
        })
    }

    pub(super) async fn owed_calendar(
        &self,
        caller: &Caller,
        request: &pb::ExportOwedCalendarRequest,
    ) -> Result<pb::ExportOwedCalendarResponse, Status> {
        let unit = convert::unit("unit", &request.unit)?;
        let days = (request.from_date.as_ref(), request.through_date.as_ref());
        let interval = self.owed_interval(days, Span::Year)?;
        let answer = self.owed_within(caller, unit, interval).await?;
        let decided = self.reconciler.store.decision_count().await?;
        let revision = answer.calendars.amendment() + answer.hierarchy.version() + decided;
        let events = answer.owed.iter().filter_map(|one| {
            let regime = answer.regimes.get(&one.name.regime)?;
            let day = last_day(act_by(one, answer.at)?);
            let calendar = answer.calendars.in_area(one.area());
            let reminder = reminder_day(day, &calendar.days);
            let cut_off = regime.window(one.name.period).cut_off;
            let taken_over = Some(one.name.unit).filter(|of| *of != unit);
            Some(Entry {
                obligation: one,
                regime,
                at: answer.at,
                day,
                reminder: zone::at(reminder, calendar.office_hours.opening()),
                instead_of: taken_over.map(|of| called(of, cut_off, &answer.hierarchy)),
                receiving_name: receiving_name(one, regime, &answer.hierarchy),
                responsible: &answer.responsible,
                estimated: answer.is_estimated(one, regime),
                revision,
            })
        });
        let name = called(unit, zone::civil_date(answer.at), &answer.hierarchy);
        let content = convert::owed_calendar(&name, events);
        Ok(pb::ExportOwedCalendarResponse { content })
    }

    fn owed_interval(
        &self,
        (from, through): (
            Option<&dunghan_proto::r#type::Date>,
            Option<&dunghan_proto::r#type::Date>,
        ),
        span: Span,
    ) -> Result<Interval, Status> {
        let from = field::date("from_date", from)?;
        let through = field::date("through_date", through)?;
        Interval::of(from, through, self.today(), span).map_err(|e| bad_field("through_date", e))
    }

    async fn owed_within(
        &self,
        caller: &Caller,
        unit: UnitId,
        interval: Interval,
    ) -> Result<Answer, Status> {
        self.readable(caller, unit, None).await?;
        let hierarchy = self.reconciler.catch_up().await?;
        let calendars = self.reconciler.calendars.current();
        let at = self.reconciler.clock.now();
        let today = zone::civil_date(at);
        let store = &self.reconciler.store;
        let regimes = store.regime_all().await?;
        let mut owed = store.obligation_owed(unit, at).await?;
        owed.retain(|one| is_owed(one, unit, interval, at));

        let mut above = hierarchy.ancestors(unit, today);
        above.extend(hierarchy.ancestors(unit, interval.through));
        let decisions = store.decisions_over(unit, &above).await?;
        let foreseeing = {
            let (hierarchy, calendars) = (hierarchy.clone(), calendars.clone());
            move || {
                let horizon = Horizon {
                    regimes: &regimes,
                    hierarchy: &hierarchy,
                    calendars: &calendars,
                    decisions: &decisions,
                    now: at,
                };
                let upcoming = horizon.upcoming(unit, interval);
                (upcoming, regimes)
            }
        };
        // Who owes is looked up in the whole nation, regime by regime.
        let foreseen = tokio::task::spawn_blocking(foreseeing).await;
        let (upcoming, regimes) = foreseen.map_err(|error| internal("looking ahead", &error))?;
        owed.extend(upcoming);
        in_order(&mut owed, at);
        let extensions = owed.iter().filter_map(|one| one.extension).collect();
        let extensions = store.extensions_until(extensions).await?;
        let regimes = regimes.into_iter().map(|regime| (regime.id.clone(), regime)).collect();
        let responsible = self.reporting_contact(unit).await?;
        Ok(Answer { at, owed, regimes, hierarchy, calendars, extensions, responsible })
    }

    /// Who sees to reports at a unit today: of several contacts, the one that has done so the longest.
    async fn reporting_contact(&self, unit: UnitId) -> Result<String, Status> {
        let request = ListContactsRequest {
            parent: unit.to_string(),
            as_of_date: Some(field::pb_date(self.today())),
            roles: vec![ContactRole::Reporter.into()],
            page_size: 1,
            ..ListContactsRequest::default()
        };
        let answer = self.contacts.clone().list_contacts(request).await;
        let contacts = answer.map_err(|e| peer_failed(REGISTRY, e))?.into_inner().contacts;
        Ok(contacts.into_iter().next().map_or_else(String::new, |contact| contact.display_name))
    }
}
