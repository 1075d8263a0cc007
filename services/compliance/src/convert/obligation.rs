//! pb ⇄ domain: obligations, rates and explanations.

use chrono::{DateTime, Utc};
use dunghan_calendar::{Family, Period};
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_rpc::{bad_field, field};
use tonic::Status;
use uuid::Uuid;

use super::count;
use crate::domain::consequence::Consequence;
use crate::domain::editions::Editions;
use crate::domain::obligation::{CloseReason, Obligation, Standing};
use crate::domain::rate::{RankBy, Rate};
use crate::domain::regime::RegimeId;
use crate::domain::soon::Soon;

/// A decision's name; empty for none.
pub(super) fn decision_name(id: Option<Uuid>) -> String {
    id.map_or_else(String::new, |id| format!("decisions/{id}"))
}

impl From<Consequence> for pb::affected_obligation::Consequence {
    fn from(consequence: Consequence) -> Self {
        match consequence {
            Consequence::NoLongerOwed => Self::NoLongerOwed,
            Consequence::StillOwed => Self::StillOwed,
            Consequence::ClosedPeriod => Self::ClosedPeriod,
        }
    }
}

impl From<Standing> for pb::Standing {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Open => Self::Open,
            Standing::OnTime => Self::OnTime,
            Standing::Late => Self::Late,
            Standing::Missing => Self::Missing,
            Standing::Waived => Self::Waived,
            Standing::NoDueTime => Self::NoDueTime,
            Standing::NotYetOpen => Self::NotYetOpen,
            Standing::DueSoon => Self::DueSoon,
            Standing::Returned => Self::Returned,
            Standing::Closed => Self::Closed,
        }
    }
}

impl From<CloseReason> for pb::obligation::CloseReason {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::UnitEnded => Self::UnitEnded,
            CloseReason::NoSuccessor => Self::NoSuccessor,
            CloseReason::NotADebtor => Self::NotADebtor,
            CloseReason::RegimeAmended => Self::RegimeAmended,
        }
    }
}

/// The standings to list, each once: they become conditions of a query, whose size has an end.
pub(crate) fn standings(values: &[i32]) -> Result<Vec<Standing>, Status> {
    let read = |value: &i32| match pb::Standing::try_from(*value) {
        Ok(pb::Standing::Open) => Ok(Standing::Open),
        Ok(pb::Standing::OnTime) => Ok(Standing::OnTime),
        Ok(pb::Standing::Late) => Ok(Standing::Late),
        Ok(pb::Standing::Missing) => Ok(Standing::Missing),
        Ok(pb::Standing::Waived) => Ok(Standing::Waived),
        Ok(pb::Standing::NoDueTime) => Ok(Standing::NoDueTime),
        Ok(pb::Standing::NotYetOpen) => Ok(Standing::NotYetOpen),
        Ok(pb::Standing::DueSoon) => Ok(Standing::DueSoon),
        Ok(pb::Standing::Returned) => Ok(Standing::Returned),
        Ok(pb::Standing::Closed) => Ok(Standing::Closed),
        Ok(pb::Standing::Unspecified) | Err(_) => {
            Err(bad_field("standings", format!("holds {value}, which is no standing")))
        }
    };
    let mut standings = values.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    standings.sort_unstable();
    standings.dedup();
    Ok(standings)
}

/// How an obligation is shown: at a moment, with the unit as it was on the cut-off day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) at: DateTime<Utc>,
    pub(crate) family: Family,
    pub(crate) hierarchy: &'a Hierarchy,
    pub(crate) editions: &'a Editions,
    pub(crate) soon: &'a Soon,
}

impl Shown<'_> {
    pub(crate) fn obligation(&self, obligation: &Obligation) -> pb::Obligation {
        let name = &obligation.name;
        let cut_off = name.period.window(self.family).cut_off;
        let view = self.hierarchy.unit(name.unit, cut_off);
        let receipt = obligation.receipt.filter(|receipt| receipt.time <= self.at);
        let calendar = &self.editions.of(obligation, self.at).days;
        let soon = self.soon.of(obligation.area());
        let waived = obligation.waived.filter(|waived| waived.time <= self.at);
        let returned = obligation.returned.filter(|returned| returned.time <= self.at);
        let closed = obligation.closed.filter(|closed| closed.time <= self.at);
        let passed = obligation.passed.filter(|passed| passed.time <= self.at);
        pb::Obligation {
            name: name.to_string(),
            unit: name.unit.to_string(),
            unit_display_name: view
                .map_or_else(String::new, |view| view.version.display_name.clone()),
            unit_code: obligation.unit_code.clone(),
            regime: name.regime.to_string(),
            period: name.period.to_string(),
            due_time: obligation.due.map(field::pb_time),
            due_generation: obligation.due_generation,
            standing: pb::Standing::from(obligation.standing_by(self.at, soon)).into(),
            receive_time: receipt.map(|receipt| field::pb_time(receipt.time)),
            report: receipt.map_or_else(String::new, |receipt| {
                format!("{}/reports/{}", name.unit, receipt.report)
            }),
            working_days_late: obligation.working_days_late(self.at, calendar).cast_signed(),
            calendar_days_late: obligation.calendar_days_late(self.at).cast_signed(),
            tier: obligation.tier.into(),
            receiving_unit: obligation.receiver.map_or_else(String::new, |unit| unit.to_string()),
            original_due_time: obligation.original_due.map(field::pb_time),
            extension: decision_name(obligation.extension),
            waiver: decision_name(waived.map(|waived| waived.decision)),
            return_due_time: returned.map(|returned| field::pb_time(returned.due)),
            close_time: closed.map(|closed| field::pb_time(closed.time)),
            close_reason: closed
                .map_or(pb::obligation::CloseReason::Unspecified, |closed| closed.reason.into())
                .into(),
            passed_to: passed.map_or_else(String::new, |passed| passed.to.to_string()),
        }
    }
}

/// Whose reports a rate is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateOf<'a> {
    pub(crate) scope: UnitId,
    /// None: all together.
    pub(crate) regime: Option<&'a RegimeId>,
    /// None: several together.
    pub(crate) period: Option<Period>,
    pub(crate) at: DateTime<Utc>,
    pub(crate) hierarchy: &'a Hierarchy,
}

impl RateOf<'_> {
    /// Without exceptions.
    pub(crate) fn rate(&self, rate: &Rate) -> pb::ReportingRate {
        pb::ReportingRate {
            scope: self.scope.to_string(),
            regime: self.regime.map_or_else(String::new, RegimeId::to_string),
            period: self.period.map_or_else(String::new, |period| period.to_string()),
            read_time: Some(field::pb_time(self.at)),
            expected_reports: count(rate.expected()),
            actual_reports: count(rate.actual()),
            actual_reports_on_time: count(rate.on_time),
            late_reports: count(rate.late),
            missing_reports: count(rate.missing),
            open_reports: count(rate.open),
            waived_reports: count(rate.waived),
            no_due_time_reports: count(rate.no_due_time),
            reporting_rate: rate.reporting_rate().map(field::pb_decimal),
            reporting_rate_on_time: rate.reporting_rate_on_time().map(field::pb_decimal),
            exceptions: Vec::new(),
            hierarchy_version: self.hierarchy.version().cast_signed(),
            extended_reports: count(rate.extended),
            returned_reports: count(rate.returned),
            closed_reports: count(rate.closed),
            due_soon_reports: count(rate.due_soon),
        }
    }
}

/// By what to rank.
pub(crate) fn rank_by(value: i32) -> Result<RankBy, Status> {
    use pb::rank_reporting_rates_request::By;
    match By::try_from(value) {
        Ok(By::Unspecified | By::ReportingRateOnTime) => Ok(RankBy::OnTime),
        Ok(By::ReportingRate) => Ok(RankBy::Reporting),
        Err(_) => Err(bad_field("by", format!("is {value}, by which nothing can be ranked"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_named_a_thousand_times_is_one_condition() {
        let missing = pb::Standing::Missing.into();
        assert_eq!(standings(&[missing; 1000]).unwrap(), [Standing::Missing]);
    }
}
