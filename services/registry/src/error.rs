//! The one place where this service's errors become gRPC statuses.

use chrono::NaiveDate;
use dunghan_hierarchy::{LookupError, UnitHistory, UnitId, Validity};
use dunghan_proto::policy::ErrorReason as Common;
use dunghan_proto::registry::ErrorReason;
use dunghan_rpc::{internal, refuse, unavailable};
use dunghan_store::is_transient;
use tonic::{Code as GrpcCode, Status};

use crate::convert::interval;
use crate::domain::import::Code;
use crate::store;

impl From<store::Error> for Status {
    fn from(error: store::Error) -> Self {
        const DOING: &str = "reading or writing units";
        match &error {
            store::Error::Database(cause) if is_transient(cause) => unavailable(DOING, cause),
            _ => internal(DOING, &error),
        }
    }
}

/// There is no such unit, or not on that date: then `history` is what it is on others.
pub(crate) fn no_unit(unit: UnitId, as_of: NaiveDate, history: Option<&UnitHistory>) -> Status {
    let Some(history) = history else {
        let message = format!("{unit} does not exist");
        let metadata = [("unit", unit.to_string())];
        return refuse(GrpcCode::NotFound, ErrorReason::UnitNotFound, message, metadata);
    };
    let valid: Vec<_> = history.versions.iter().map(|version| interval(version.validity)).collect();
    let valid = valid.join(", ");
    let said: Vec<_> =
        history.versions.iter().map(|version| version.validity.to_string()).collect();
    let message = format!("{unit} does not exist on {as_of}; it exists {}", said.join(", "));
    let metadata =
        [("unit", unit.to_string()), ("as_of_date", as_of.to_string()), ("valid", valid)];
    refuse(GrpcCode::NotFound, ErrorReason::UnitNotValidOnDate, message, metadata)
}

/// No unit answers to a code on a date.
pub(crate) fn no_code(code: &Code, as_of: NaiveDate, error: LookupError) -> Status {
    let metadata = |held: String| {
        [
            ("scheme", code.scheme.clone()),
            ("value", code.value.clone()),
            ("as_of_date", as_of.to_string()),
            ("held", held),
        ]
    };
    match error {
        LookupError::Unknown => {
            let message = format!("no unit ever had the code {code}");
            let metadata = metadata(String::new());
            refuse(GrpcCode::NotFound, ErrorReason::CodeNotFound, message, metadata)
        }
        LookupError::NotValidOn { held } => {
            let all = |one: fn(&(UnitId, Validity)) -> String| {
                held.iter().map(one).collect::<Vec<_>>().join(", ")
            };
            let said = all(|(unit, validity)| format!("{unit} {validity}"));
            let message = format!("no unit has the code {code} on {as_of}; it is held by {said}");
            let held = all(|(unit, validity)| format!("{unit} {}", interval(*validity)));
            refuse(GrpcCode::NotFound, ErrorReason::CodeNotValidOnDate, message, metadata(held))
        }
    }
}

/// The code is held, but not below the unit asked for.
pub(crate) fn code_not_below(code: &Code, ancestor: UnitId, as_of: NaiveDate) -> Status {
    let message = format!("no unit below {ancestor} has the code {code} on {as_of}");
    let metadata = [
        ("scheme", code.scheme.clone()),
        ("value", code.value.clone()),
        ("as_of_date", as_of.to_string()),
        ("ancestor_unit", ancestor.to_string()),
    ];
    refuse(GrpcCode::NotFound, ErrorReason::CodeNotFound, message, metadata)
}

/// More rows than one import takes.
pub(crate) fn too_many_rows(most: usize) -> Status {
    let message = format!("one import takes {most} rows at most; nothing was applied");
    let metadata = [("most", most.to_string())];
    refuse(GrpcCode::InvalidArgument, ErrorReason::TooManyRows, message, metadata)
}

/// The client's stream ended before it was whole.
pub(crate) fn stream_broken(cause: &Status) -> Status {
    tracing::info!(code = ?cause.code(), message = cause.message(), "an import broke off");
    let message = "the stream ended before it was whole; nothing of it was applied";
    refuse(GrpcCode::Aborted, Common::StreamBroken, message, [])
}
