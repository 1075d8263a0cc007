//! The contract's messages as domain types, and back.

use chrono::{DateTime, Utc};
use dunghan_calendar::Period;
use dunghan_hierarchy::UnitId;
use dunghan_proto::aggregation as pb;
use dunghan_proto::compliance::{self, Standing as PbStanding};
use dunghan_proto::submission;
use dunghan_proto::submission::value;
use dunghan_rpc::{bad_field, bad_field_for, field, internal};
use tonic::Status;

use crate::domain::{Amount, Figure, Obligation, Report, Role, RollUp, Standing};

/// The most bytes of a key of a form.
const LONGEST_KEY: usize = 200;
/// 200 characters of Vietnamese.
const LONGEST_CATEGORY: usize = 800;

/// Which figure over which subtree.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) scope: UnitId,
    /// The regime's id, without `regimes/`.
    pub(crate) regime: String,
    pub(crate) period: Period,
    pub(crate) indicator: String,
    pub(crate) category: String,
}

impl Asked {
    pub(crate) fn read(request: &pb::GetRollUpRequest) -> Result<Self, Status> {
        let scope = field::text("scope", &request.scope, LONGEST_KEY)?;
        let regime = field::text("regime", &request.regime, LONGEST_KEY)?;
        let period = field::text("period", &request.period, LONGEST_KEY)?;
        Ok(Self {
            scope: scope.parse().map_err(|e| bad_field("scope", e))?,
            regime: regime_id(&regime)
                .ok_or_else(|| bad_field("regime", "must be regimes/{regime}"))?,
            period: period
                .parse()
                .map_err(|e| bad_field_for(pb::ErrorReason::InvalidPeriod, "period", e))?,
            indicator: field::text("indicator", &request.indicator, LONGEST_KEY)?,
            category: field::optional_text("category", &request.category, LONGEST_CATEGORY)?,
        })
    }

    /// The regime's resource name.
    pub(crate) fn regime_name(&self) -> String {
        format!("regimes/{}", self.regime)
    }
}

fn regime_id(name: &str) -> Option<String> {
    let id = name.strip_prefix("regimes/")?;
    (!id.is_empty() && !id.contains('/')).then(|| id.to_owned())
}

/// A report without its figures, as after it was taken back. What does not read is no fault of the caller's.
pub(crate) fn report(
    name: &str,
    regime: &str,
    period: &str,
    sequence: i64,
) -> Result<Report, Status> {
    Ok(Report {
        name: name.parse().map_err(|e| internal("reading a report's name", &e))?,
        regime: regime_id(regime).ok_or_else(|| {
            let cause = std::io::Error::other(regime.to_owned());
            internal("reading a report's regime", &cause)
        })?,
        period: period.parse().map_err(|e| internal("reading a report's period", &e))?,
        sequence,
        figures: None,
    })
}

/// What a report says in figures.
pub(crate) fn figures(report: &submission::Report) -> Result<Vec<Figure>, Status> {
    report.values.iter().filter_map(|value| figure(value).transpose()).collect()
}

/// None for a text and a choice: there is nothing to add.
fn figure(value: &submission::Value) -> Result<Option<Figure>, Status> {
    let amount = match &value.figure {
        Some(value::Figure::Count(count) | value::Figure::Money(count)) => Amount::Count(*count),
        Some(value::Figure::Ratio(ratio)) => {
            Amount::Ratio { part: ratio.numerator, whole: ratio.denominator }
        }
        Some(value::Figure::Percent(_)) => Amount::Percent,
        Some(value::Figure::Text(_) | value::Figure::Choice(_)) | None => return Ok(None),
    };
    Ok(Some(Figure {
        indicator: value.indicator.clone(),
        category: value.category.clone(),
        role: match value.role() {
            value::Role::Unspecified | value::Role::Actual => Role::Actual,
            value::Role::Target => Role::Target,
            value::Role::Context => Role::Context,
        },
        start: field::date("start_date", value.start_date.as_ref())?,
        end: field::date("end_date", value.end_date.as_ref())?,
        amount,
        approximate: value.qualifier() != value::Qualifier::Unspecified,
    }))
}

/// What a unit owes, as compliance says. None: it owes it no more.
pub(crate) fn obligation(owed: compliance::Obligation) -> Result<Option<Obligation>, Status> {
    let unit = owed.unit.parse().map_err(|e| internal("reading an obligation's unit", &e))?;
    let standing = match owed.standing() {
        PbStanding::Waived => Standing::Waived,
        PbStanding::NotYetOpen | PbStanding::Open | PbStanding::DueSoon | PbStanding::Missing => {
            Standing::Absent
        }
        PbStanding::OnTime | PbStanding::Late | PbStanding::NoDueTime | PbStanding::Returned => {
            Standing::Submitted
        }
        PbStanding::Closed => return Ok(None),
        PbStanding::Unspecified => {
            let cause = std::io::Error::other(owed.name);
            return Err(internal("reading where an obligation stands", &cause));
        }
    };
    Ok(Some(Obligation { unit, standing }))
}

/// The answer, where the units owe their reports by that version of the hierarchy.
pub(crate) fn roll_up(
    asked: &Asked,
    sum: RollUp,
    now: DateTime<Utc>,
    hierarchy_version: i64,
) -> pb::RollUp {
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let names = |units: &[UnitId]| units.iter().map(UnitId::to_string).collect();
    pb::RollUp {
        scope: asked.scope.to_string(),
        regime: asked.regime_name(),
        period: asked.period.to_string(),
        indicator: asked.indicator.clone(),
        category: asked.category.clone(),
        total: sum.total,
        numerator_total: sum.ratio.map(|(parts, _)| parts),
        denominator_total: sum.ratio.map(|(_, wholes)| wholes),
        basis: pb::roll_up::Basis::Submitted.into(),
        expected_count: count(sum.expected()),
        counted_count: count(sum.contributions.len()),
        covered_units: names(&sum.covered),
        units_without_value: names(&sum.without_value),
        missing_units: names(&sum.missing),
        waived_units: names(&sum.waived),
        contributions: sum
            .contributions
            .into_iter()
            .map(|one| pb::Contribution {
                unit: one.report.unit().to_string(),
                report: one.report.to_string(),
                value: one.value,
                denominator: one.whole,
                approximate: one.approximate,
            })
            .collect(),
        read_time: Some(field::pb_time(now)),
        hierarchy_version,
    }
}
