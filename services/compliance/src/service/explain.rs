//! Why an obligation stands as it does.

use chrono::NaiveDate;
use dunghan_calendar::zone;
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_proto::submission::ListReportActsRequest;
use dunghan_rpc::{Caller, peer_failed};
use tonic::Status;
use uuid::Uuid;

use super::Service;
use crate::convert::{self, Shown};
use crate::domain::calendar::CalendarId;
use crate::domain::editions::Editions;
use crate::domain::explain::{Act, Grounds};
use crate::domain::obligation::Obligation;
use crate::domain::past::Past;
use crate::domain::regime::{Debtors, Receiver, Regime};
use crate::domain::soon::Soon;
use crate::jobs::SUBMISSION;

/// Acts of one page: as many as there can be.
const ACTS_PAGE: i32 = 1000;

/// A unit's name on a day; the last one that it had where it has ended by then, its first where it came later.
pub(super) fn called(unit: UnitId, day: NaiveDate, hierarchy: &Hierarchy) -> String {
    let then = hierarchy.unit(unit, hierarchy.known_on(unit, day)).map(|view| view.version);
    let version = then.or_else(|| hierarchy.get(unit)?.versions.first());
    version.map_or_else(|| unit.to_string(), |version| version.display_name.clone())
}

/// The name of whoever receives a report, on the cut-off day; empty where that is nobody.
pub(super) fn receiving_name(
    obligation: &Obligation,
    regime: &Regime,
    hierarchy: &Hierarchy,
) -> String {
    let cut_off = regime.window(obligation.name.period).cut_off;
    match (obligation.receiver, regime.tier(obligation.tier).map(|tier| &tier.receiver)) {
        (Some(unit), _) => called(unit, cut_off, hierarchy),
        (None, Some(Receiver::Agency(name))) => name.clone(),
        (None, _) => String::new(),
    }
}

impl Service {
    pub(super) async fn explanation(
        &self,
        caller: &Caller,
        request: &pb::ExplainObligationRequest,
    ) -> Result<pb::Explanation, Status> {
        let name = convert::obligation_name("name", &request.name)?;
        let now = self.reconciler.clock.now();
        let at = convert::read_time(request.read_time.as_ref(), &self.reconciler.clock)?;
        self.readable(caller, name.unit, Some(name.regime.id())).await?;
        let hierarchy = self.reconciler.catch_up().await?;
        let store = &self.reconciler.store;
        let obligation = store.obligation_fetch(&name).await?;
        let regime = store.regime_fetch(&name.regime).await?;
        let report = store.report_of(&name).await?;
        let acts = match report {
            Some(report) => self.acts_of(name.unit, report).await?,
            None => Vec::new(),
        };
        let decisions = store.decisions_about(&name).await?;
        let due_changes = store.due_change_all(&name).await?;
        let (obligation, calendars) = if at < now {
            let past = Past {
                now: &obligation,
                regime: &regime,
                decisions: &decisions,
                due_changes: &due_changes,
                report,
                acts: &acts,
                at,
            };
            let calendars = self.reconciler.calendars.at(store, past.amended()).await?;
            (past.obligation(&calendars), calendars)
        } else {
            let calendars = self.reconciler.calendars.of(store, &obligation, at).await?;
            (obligation, calendars)
        };
        let cut_off = regime.window(name.period).cut_off;
        // Units of later than the cut-off are named as of the day on which they came in.
        let on = |unit: UnitId, time| called(unit, zone::civil_date(time), &hierarchy);
        let called = |unit: UnitId| called(unit, cut_off, &hierarchy);
        let notices = store.notice_about(&name.to_string()).await?;
        let notices: Vec<_> = notices
            .into_iter()
            .map(|notice| {
                let recipient = on(notice.recipient, notice.detect_time);
                (notice, recipient)
            })
            .collect();
        let decisions: Vec<_> = decisions
            .into_iter()
            .map(|decision| {
                let whom = on(decision.unit, decision.create_time);
                (decision, whom)
            })
            .collect();
        let requests = store.requests_about(&name).await?;

        let scope_name = match &regime.debtors {
            Debtors::Subtree { root, .. } => called(*root),
            Debtors::Units(_) | Debtors::Everywhere { .. } => String::new(),
        };
        let family = regime.rule_family.as_ref();
        let family = family.and_then(|id| self.families.iter().find(|family| family.id == *id));
        let area = obligation.area();
        let calendar = calendars.in_area(area);
        let own = calendars.get(CalendarId::Of(area)).is_some();
        let unit = hierarchy.unit(name.unit, cut_off);
        let grounds = Grounds {
            obligation: &obligation,
            regime: &regime,
            family,
            unit_name: &called(name.unit),
            level: unit.as_ref().map(|unit| unit.version.level),
            scope_name: &scope_name,
            receiving_name: &receiving_name(&obligation, &regime, &hierarchy),
            passed_name: &obligation
                .passed
                .map_or_else(String::new, |passed| on(passed.to, passed.time)),
            unit_uncertain: unit.is_none_or(|unit| !unit.certain),
            calendar: &calendar.days,
            calendar_version: &calendar.version(),
            calendar_area: &if own { called(area) } else { String::new() },
            notices: &notices,
            decisions: &decisions,
            requests: &requests,
            due_changes: &due_changes,
            acts: &acts,
            at,
        };
        let soon = &Soon::at(at, &calendars);
        let editions = &Editions::newest(calendars.clone());
        let shown = Shown { at, family: regime.family, hierarchy: &hierarchy, editions, soon };
        Ok(shown.explanation(&grounds))
    }

    /// Everything that was done with a report, the first first.
    ///
    /// Errors: UNAVAILABLE (PEER_UNAVAILABLE).
    async fn acts_of(&self, unit: UnitId, report: Uuid) -> Result<Vec<Act>, Status> {
        let mut request = ListReportActsRequest {
            parent: format!("{unit}/reports/{report}"),
            page_size: ACTS_PAGE,
            ..ListReportActsRequest::default()
        };
        let mut acts = Vec::new();
        loop {
            let answer = self.reconciler.submission.clone().list_report_acts(request.clone()).await;
            let page = answer.map_err(|e| peer_failed(SUBMISSION, e))?.into_inner();
            for act in &page.acts {
                acts.push(convert::act(act)?);
            }
            if page.next_page_token.is_empty() {
                return Ok(acts);
            }
            request.page_token = page.next_page_token;
        }
    }
}
