//! The one place where this service's errors become gRPC statuses.

use dunghan_proto::compliance::ErrorReason;
use dunghan_proto::policy::ErrorReason as Common;
use dunghan_rpc::{bad_field_for, internal, refuse, unavailable};
use dunghan_store::is_transient;
use tonic::{Code, Status};

use crate::domain::regime::Contradiction;
use crate::{jobs, store};

impl From<store::Error> for Status {
    fn from(error: store::Error) -> Self {
        let (code, reason, name) = match &error {
            store::Error::UnknownRegime(name) => {
                (Code::NotFound, ErrorReason::UnknownRegime, name.to_string())
            }
            store::Error::RegimeExists(name) => {
                (Code::AlreadyExists, ErrorReason::RegimeExists, name.to_string())
            }
            store::Error::UnknownObligation(name) => {
                (Code::NotFound, ErrorReason::ObligationNotFound, name.to_string())
            }
            store::Error::AlreadyWaived(name) => {
                (Code::AlreadyExists, ErrorReason::AlreadyWaived, name.to_string())
            }
            store::Error::AlreadySubmitted(name) => {
                (Code::FailedPrecondition, ErrorReason::AlreadySubmitted, name.to_string())
            }
            store::Error::RequestIdReused => {
                return bad_field_for(
                    Common::RequestIdReused,
                    "request_id",
                    "came before with another request",
                );
            }
            store::Error::Database(cause) if is_transient(cause) => {
                return unavailable("using the database", cause);
            }
            store::Error::Database(cause) => return internal("using the database", cause),
            store::Error::Unreadable { .. } => return internal("reading a row", &error),
        };
        refuse(code, reason, error.to_string(), [("name", name)])
    }
}

impl From<jobs::Error> for Status {
    fn from(error: jobs::Error) -> Self {
        match error {
            jobs::Error::Peer(status) => status,
            jobs::Error::Store(error) => error.into(),
        }
    }
}

impl From<Contradiction> for Status {
    fn from(error: Contradiction) -> Self {
        let (reason, field) = match error {
            Contradiction::EndsBeforeItBegins => {
                (ErrorReason::InvalidRegime, "regime.through_date")
            }
            Contradiction::NobodyOwes => (ErrorReason::InvalidRegime, "regime.debtors"),
            Contradiction::DueBeforeCutOff { .. } => {
                (ErrorReason::DueBeforeCutOff, "regime.due_rule")
            }
        };
        bad_field_for(reason, field, error)
    }
}

/// NOT_FOUND for a unit that the hierarchy does not know.
pub(crate) fn unknown_unit(unit: dunghan_hierarchy::UnitId) -> Status {
    let message = format!("{unit} is not known");
    refuse(Code::NotFound, ErrorReason::UnknownUnit, message, [("name", unit.to_string())])
}

/// INVALID_ARGUMENT for a field that names no period.
pub(crate) fn bad_period(field: &str, why: impl ToString) -> Status {
    bad_field_for(ErrorReason::InvalidPeriod, field, why)
}
