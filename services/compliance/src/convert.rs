//! pb ⇄ domain.

mod calendar;
mod decision;
mod dossier;
mod explanation;
mod notice;
mod obligation;
mod owed_calendar;
mod regime;

pub(crate) use calendar::{
    calendar, calendar_day, calendar_id, change, in_the_past, interval, skipped, skipped_days,
    working_days,
};
pub(crate) use decision::{
    answer, concerned, decision, decision_id, decision_reach, extent_field, obligation_request,
    request_name, request_states, revocation, until_field,
};
pub(crate) use dossier::{RowProblem, ShownDossier, dossier, fitting, is_field, summary};
pub(crate) use explanation::act;
pub(crate) use obligation::{RateOf, Shown, rank_by, standings};
pub(crate) use owed_calendar::owed_calendar;
pub(crate) use regime::stated;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use dunghan_calendar::Period;
use dunghan_hierarchy::UnitId;
use dunghan_proto::compliance as pb;
use dunghan_rpc::{bad_field, field};
use tonic::Status;
use unicode_normalization::UnicodeNormalization as _;

use crate::domain::dossier::DossierName;
use crate::domain::obligation::ObligationName;
use crate::domain::regime::RegimeId;

/// Longer than any name of a period, or of a term: a message must not repeat a text of any length.
const MOST_PERIOD_BYTES: usize = 30;
/// Units of one question about a reorganisation.
const MOST_UNITS: usize = 1000;

/// A unit's name in a field that may be empty.
pub(crate) fn optional_unit(name: &str, value: &str) -> Result<Option<UnitId>, Status> {
    if value.is_empty() { Ok(None) } else { unit(name, value).map(Some) }
}

/// A field that has to be there.
fn given<'a>(name: &str, value: &'a str) -> Result<&'a str, Status> {
    field::required(name, (!value.is_empty()).then_some(value))
}

/// A unit's name in a field that has to be there.
pub(crate) fn unit(name: &str, value: &str) -> Result<UnitId, Status> {
    given(name, value)?.parse().map_err(|e| bad_field(name, e))
}

/// Which units a reorganisation ends, and which ones go on otherwise.
pub(crate) fn affected_units(
    request: &pb::ListAffectedObligationsRequest,
) -> Result<(Vec<UnitId>, Vec<UnitId>), Status> {
    let (ending, changed) = (&request.units, &request.changed_units);
    let count = ending.len() + changed.len();
    if count == 0 {
        return field::required("units", None);
    }
    if count > MOST_UNITS {
        let why = format!("must not be more than {MOST_UNITS}, changed_units included");
        return Err(bad_field("units", why));
    }
    let mut seen = HashSet::new();
    let mut read = |list: &str, names: &[String]| {
        let units = names.iter().enumerate().map(|(at, name)| {
            let field = format!("{list}[{at}]");
            let unit = unit(&field, name)?;
            let once = seen.insert(unit);
            once.then_some(unit)
                .ok_or_else(|| bad_field(&field, "names a unit for the second time"))
        });
        units.collect::<Result<Vec<_>, _>>()
    };
    Ok((read("units", ending)?, read("changed_units", changed)?))
}

/// A regime's name in a field that has to be there.
pub(crate) fn regime_id(name: &str, value: &str) -> Result<RegimeId, Status> {
    given(name, value)?.parse().map_err(|e| bad_field(name, e))
}

/// A regime's name in a field that may be empty.
pub(crate) fn optional_regime(name: &str, value: &str) -> Result<Option<RegimeId>, Status> {
    if value.is_empty() { Ok(None) } else { regime_id(name, value).map(Some) }
}

/// An obligation's name in a field that has to be there.
pub(crate) fn obligation_name(name: &str, value: &str) -> Result<ObligationName, Status> {
    given(name, value)?.parse().map_err(|e| bad_field(name, e))
}

/// A dossier's name in a field that has to be there.
pub(crate) fn dossier_name(name: &str, value: &str) -> Result<DossierName, Status> {
    given(name, value)?.parse().map_err(|e| bad_field(name, e))
}

/// The time asked for, or now.
pub(crate) fn read_time(
    value: Option<&prost_types::Timestamp>,
    clock: &dyn dunghan_calendar::Clock,
) -> Result<DateTime<Utc>, Status> {
    Ok(field::instant("read_time", value)?.unwrap_or_else(|| clock.now()))
}

/// A period's name in a field that has to be there.
pub(crate) fn period(name: &str, value: &str) -> Result<Period, Status> {
    if value.len() > MOST_PERIOD_BYTES {
        let why = "names no period; a name looks like 202605 or 2026Q2";
        return Err(crate::error::bad_period(name, why));
    }
    given(name, value)?.parse().map_err(|e| crate::error::bad_period(name, e))
}

/// A text in the form in which names are compared: one encoding of its letters, no blanks around it.
pub(crate) fn normal(text: &str) -> String {
    text.trim().nfc().collect()
}

/// A text of so many characters at most, however many bytes each takes.
pub(crate) fn characters(name: &str, value: &str, most: usize) -> Result<String, Status> {
    let value = field::text(name, value, usize::MAX)?;
    if value.chars().count() > most {
        return Err(bad_field(name, format!("must not be longer than {most} characters")));
    }
    Ok(value)
}

/// A count as the contract has it; more than it can hold is not a count of anything here.
pub(crate) fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_no_period_and_is_not_repeated() {
        let refused = period("period", &"9".repeat(1_000_000)).unwrap_err();
        assert!(refused.message().len() < 200);
    }

    #[test]
    fn a_field_has_one_name_however_its_letters_are_encoded() {
        assert_eq!(normal(" Ho\u{323}\u{302} ti\u{323}ch"), "Hộ tịch");
    }
}
