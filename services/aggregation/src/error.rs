//! Every error of this service as a status, and nowhere else.

use dunghan_events::PullError;
use dunghan_proto::aggregation::ErrorReason;
use dunghan_rpc::{internal, peer_failed, refuse, unavailable};
use dunghan_store::is_transient;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::domain::NotAddable;
use crate::store;

impl From<store::Error> for Status {
    fn from(error: store::Error) -> Self {
        const DOING: &str = "reading or writing figures";
        match is_transient(&error.0) {
            true => unavailable(DOING, &error.0),
            false => internal(DOING, &error.0),
        }
    }
}

/// What this service refuses, beyond fields that do not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("there is no {0}")]
    UnknownUnit(String),
    #[error("there is no {0}")]
    UnknownRegime(String),
    #[error("{form} has no indicator {indicator}")]
    UnknownIndicator { form: String, indicator: String },
    #[error("{0} is read unit by unit: its figures do not add up")]
    NotAdded(String),
    #[error("{indicator} {why}")]
    NotAddable { indicator: String, why: NotAddable },
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        let (code, reason, key, value) = match refused {
            Refused::UnknownUnit(name) => (Code::NotFound, ErrorReason::UnknownUnit, "unit", name),
            Refused::UnknownRegime(name) => {
                (Code::NotFound, ErrorReason::UnknownRegime, "regime", name)
            }
            Refused::UnknownIndicator { indicator, .. } => {
                (Code::NotFound, ErrorReason::UnknownIndicator, "indicator", indicator)
            }
            Refused::NotAdded(indicator)
            | Refused::NotAddable { indicator, why: NotAddable::PercentOnly } => {
                (Code::FailedPrecondition, ErrorReason::NotAdditive, "indicator", indicator)
            }
            Refused::NotAddable { indicator, why: NotAddable::TooLarge } => {
                (Code::OutOfRange, ErrorReason::TotalTooLarge, "indicator", indicator)
            }
        };
        refuse(code, reason, message, [(key, value)])
    }
}

/// Submission's reports could not be taken in, so what was submitted before the call may not be counted.
pub(crate) fn pull_failed(error: PullError) -> Status {
    match error {
        PullError::Peer(status) => peer_failed("submission", status),
        PullError::Database(cause) if is_transient(&cause) => {
            unavailable("taking reports in", &cause)
        }
        error => internal("taking reports in", &error),
    }
}

/// Compliance's refusals that are ours as well; anything else means that it could not be asked.
pub(crate) fn compliance_failed(status: Status, unit: &str, regime: &str) -> Status {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    match (status.code(), reason.as_str()) {
        (Code::NotFound, "ERROR_REASON_UNKNOWN_REGIME") => {
            Refused::UnknownRegime(regime.to_owned()).into()
        }
        (Code::NotFound, "ERROR_REASON_UNKNOWN_UNIT") => {
            Refused::UnknownUnit(unit.to_owned()).into()
        }
        _ => peer_failed("compliance", status),
    }
}
