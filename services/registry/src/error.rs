//! The one place where this service's errors become gRPC statuses.

use chrono::NaiveDate;
use dunghan_hierarchy::{LookupError, UnitHistory, UnitId, Validity};
use dunghan_proto::policy::ErrorReason as Common;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::ErrorReason;
use dunghan_rpc::{Reason, bad_field, field_violations, internal, refuse, unavailable};
use dunghan_store::is_transient;
use tonic::{Code as GrpcCode, Status};
use uuid::Uuid;

use crate::convert::reorganisation::reason;
use crate::convert::{import_name, interval};
use crate::domain::contact::NotEnded;
use crate::domain::grant::RevokedAlready;
use crate::domain::import::Code;
use crate::domain::record::Refused;
use crate::domain::reorganisation::ChangeReason;
use crate::store::{self, UnitImport};

impl From<store::Error> for Status {
    fn from(error: store::Error) -> Self {
        const DOING: &str = "reading or writing units";
        match &error {
            store::Error::Database(cause) if is_transient(cause) => unavailable(DOING, cause),
            store::Error::ContactNotFound(name) => {
                let metadata = [("name", name.to_string())];
                let reason = ErrorReason::ContactNotFound;
                refuse(GrpcCode::NotFound, reason, error.to_string(), metadata)
            }
            store::Error::GrantNotFound(name) => {
                let metadata = [("name", name.to_string())];
                refuse(GrpcCode::NotFound, ErrorReason::GrantNotFound, error.to_string(), metadata)
            }
            _ => internal(DOING, &error),
        }
    }
}

impl From<NotEnded> for Status {
    fn from(error: NotEnded) -> Self {
        match error {
            NotEnded::Already(name) => ended_already(name.to_string(), error.to_string()),
            NotEnded::BeforeFirstDay(_) => bad_field("valid_through_date", error),
        }
    }
}

impl From<RevokedAlready> for Status {
    fn from(error: RevokedAlready) -> Self {
        ended_already(error.0.to_string(), error.to_string())
    }
}

fn ended_already(name: String, message: String) -> Status {
    let metadata = [("name", name)];
    refuse(GrpcCode::FailedPrecondition, ErrorReason::EndedAlready, message, metadata)
}

/// The most fields that one refusal names, and the most bytes it takes for that: it travels in headers, of which clients
/// take 16 KiB, in letters of which some become nine.
const MOST_FIELDS: usize = 50;
const MOST_FIELD_BYTES: usize = 1500;

/// A refusal over several fields; those that do not fit are counted.
pub(crate) fn fields<R: Reason>(
    code: GrpcCode,
    reason: R,
    mut violations: Vec<(String, String)>,
) -> Status {
    let mut bytes = 0;
    let fitting = violations.iter().take(MOST_FIELDS).take_while(|(field, why)| {
        bytes += field.len() + why.len();
        bytes <= MOST_FIELD_BYTES
    });
    let fitting = fitting.count().max(1);
    let more = violations.len().saturating_sub(fitting);
    violations.truncate(fitting);
    if more > 0
        && let Some((_, why)) = violations.last_mut()
    {
        why.push_str(&format!("; and {more} more"));
    }
    field_violations(code, reason, violations)
}

/// There is no such unit, or not on that date: then `history` is what it is on others.
pub(crate) fn no_unit(unit: UnitId, as_of: NaiveDate, history: Option<&UnitHistory>) -> Status {
    let Some(history) = history else {
        let message = format!("{unit} does not exist");
        let metadata = [("unit", unit.to_string())];
        return refuse(GrpcCode::NotFound, ErrorReason::UnitNotFound, message, metadata);
    };
    if history.versions.is_empty() {
        let message = format!("{unit} was recorded by mistake; it never existed");
        let metadata = [
            ("unit", unit.to_string()),
            ("as_of_date", as_of.to_string()),
            ("valid", String::new()),
        ];
        return refuse(GrpcCode::NotFound, ErrorReason::UnitNotValidOnDate, message, metadata);
    }
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

/// More rows than one import takes, or more bytes of them.
pub(crate) fn too_many_rows(most: usize, most_bytes: usize) -> Status {
    let message = format!(
        "one import takes {most} rows at most, and {} MiB of them; nothing was applied",
        most_bytes >> 20
    );
    let metadata = [("most", most.to_string()), ("most_bytes", most_bytes.to_string())];
    refuse(GrpcCode::InvalidArgument, ErrorReason::TooManyRows, message, metadata)
}

/// There is no such import, or not any more.
pub(crate) fn no_import(id: Uuid) -> Status {
    let name = import_name(id);
    let message = format!("{name} does not exist, or changed nothing and is forgotten");
    refuse(GrpcCode::NotFound, ErrorReason::UnitImportNotFound, message, [("unit_import", name)])
}

/// A row of the import is bad.
pub(crate) fn import_refused(import: &UnitImport) -> Status {
    let (name, refused) = (import_name(import.id), import.counts.refused);
    let message = format!("{refused} rows of {name} are bad; nothing was applied");
    let metadata = [("unit_import", name), ("refused_count", refused.to_string())];
    let reason = ErrorReason::UnitImportRefused;
    refuse(GrpcCode::FailedPrecondition, reason, message, metadata)
}

/// The client's stream ended before it was whole.
pub(crate) fn stream_broken(cause: &Status) -> Status {
    tracing::info!(code = ?cause.code(), message = cause.message(), "an import broke off");
    let message = "the stream ended before it was whole; nothing of it was applied";
    refuse(GrpcCode::Aborted, Common::StreamBroken, message, [])
}

/// No reorganisation has that id.
pub(crate) fn no_reorganisation(id: &str) -> Status {
    let name = format!("reorganisations/{id}");
    let message = format!("{name} does not exist");
    let metadata = [("reorganisation", name)];
    refuse(GrpcCode::NotFound, ErrorReason::ReorganisationNotFound, message, metadata)
}

/// Another reorganisation has that id.
pub(crate) fn reorganisation_exists(id: &str) -> Status {
    let name = format!("reorganisations/{id}");
    let message = format!("{name} is recorded already, and says something else");
    let metadata = [("reorganisation", name)];
    refuse(GrpcCode::AlreadyExists, ErrorReason::ReorganisationExists, message, metadata)
}

/// Reorganisations cannot be applied; `field` is the field of the request in which each of them stands.
pub(crate) fn refused(refused: Refused, field: impl Fn(usize) -> String) -> Status {
    let within = |at: usize, inner: &str| format!("{}.{inner}", field(at));
    match refused {
        Refused::Changes(problems) => {
            let first = problems.first().map_or(ChangeReason::Invalid, |first| first.reason);
            let code = match first {
                // The message alone shows it.
                ChangeReason::Invalid | ChangeReason::IntoItself | ChangeReason::Contradict => {
                    GrpcCode::InvalidArgument
                }
                _ => GrpcCode::FailedPrecondition,
            };
            let violations = problems.into_iter();
            let violations = violations
                .map(|one| (within(one.reorganisation, &one.field), one.message))
                .collect();
            fields(code, reason(first), violations)
        }
        Refused::NotFound { id, .. } => no_reorganisation(&id),
        Refused::CorrectedAlready { at, id, by } => {
            let why = corrected_already(&id, &by);
            let violations = vec![(within(at, "corrects"), why)];
            fields(GrpcCode::FailedPrecondition, ErrorReason::CorrectedAlready, violations)
        }
        Refused::LaterEntry { at, problems } => {
            let field = within(at, "corrects");
            let violations = problems.into_iter().map(|why| (field.clone(), why)).collect();
            fields(GrpcCode::FailedPrecondition, ErrorReason::LaterEntryConflicts, violations)
        }
        Refused::RecordIncomplete { at } => {
            let violations = vec![(within(at, "corrects"), RECORD_INCOMPLETE.to_owned())];
            fields(GrpcCode::FailedPrecondition, ErrorReason::RecordIncomplete, violations)
        }
    }
}

/// The same as problems of the one that is tried.
pub(crate) fn problems(refused: Refused) -> Vec<pb::ChangeProblem> {
    let corrects = |reason: ErrorReason, message: String| {
        let (field, reason) = ("corrects".to_owned(), reason.into());
        vec![pb::ChangeProblem { field, reason, message }]
    };
    match refused {
        Refused::Changes(problems) => problems
            .into_iter()
            .map(|one| pb::ChangeProblem {
                field: one.field,
                reason: reason(one.reason).into(),
                message: one.message,
            })
            .collect(),
        Refused::NotFound { id, .. } => {
            let message = format!("reorganisations/{id} does not exist");
            corrects(ErrorReason::ReorganisationNotFound, message)
        }
        Refused::CorrectedAlready { id, by, .. } => {
            corrects(ErrorReason::CorrectedAlready, corrected_already(&id, &by))
        }
        Refused::LaterEntry { problems, .. } => {
            let reason = ErrorReason::LaterEntryConflicts;
            problems.into_iter().flat_map(|why| corrects(reason, why)).collect()
        }
        Refused::RecordIncomplete { .. } => {
            corrects(ErrorReason::RecordIncomplete, RECORD_INCOMPLETE.to_owned())
        }
    }
}

const RECORD_INCOMPLETE: &str = "cannot be corrected: units came in before imports were recorded, so the past cannot be built again";

fn corrected_already(id: &str, by: &str) -> String {
    format!("reorganisations/{id} is corrected already, by reorganisations/{by}: correct that one")
}
