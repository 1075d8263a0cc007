//! Every refusal of this service, and nowhere else.

use std::io::ErrorKind;
use std::time::Duration;

use chrono::{DateTime, Utc};
use dunghan_proto::policy::ErrorReason as Common;
use dunghan_proto::submission::ErrorReason;
use dunghan_rpc::{
    Reason, bad_field_for, field_violations, internal, refuse, refuse_fields, unavailable,
};
use dunghan_store::is_transient;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::blobs;
use crate::domain::agency::NotItsAgency;
use crate::domain::attachment::{AttachmentName, NotAttached};
use crate::domain::intake::{ImportName, ReportImport};
use crate::domain::regime::NotAsked;
use crate::domain::report::{
    AlreadyAccepted, AlreadySubmitted, NotAccepted, NotHandedOver, NotReturned, NotSubmitted,
    NotWithdrawn,
};
use crate::store;

/// Why a field is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Why {
    /// For a reason of this contract.
    Own(ErrorReason),
    /// For a reason that any service may give.
    Common(Common),
}

impl From<ErrorReason> for Why {
    fn from(reason: ErrorReason) -> Self {
        Self::Own(reason)
    }
}

impl From<Common> for Why {
    fn from(reason: Common) -> Self {
        Self::Common(reason)
    }
}

impl Why {
    fn name_and_domain(self) -> (&'static str, &'static str) {
        match self {
            Self::Own(reason) => (reason.as_str_name(), ErrorReason::DOMAIN),
            Self::Common(reason) => (reason.as_str_name(), Common::DOMAIN),
        }
    }
}

/// What is wrong with the fields of one request, told together.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    violations: Vec<(Why, FieldViolation)>,
}

impl Problems {
    pub(crate) fn add(
        &mut self,
        field: impl Into<String>,
        why: impl Into<Why>,
        says: impl ToString,
    ) {
        let why = why.into();
        let violation = FieldViolation {
            reason: why.name_and_domain().0.to_owned(),
            ..FieldViolation::new(field, says.to_string())
        };
        self.violations.push((why, violation));
    }

    /// INVALID_ARGUMENT for the reason of the first problem, with each problem's own in its violation.
    pub(crate) fn refused(self) -> Result<(), Status> {
        let Some((why, _)) = self.violations.first() else { return Ok(()) };
        let reason = why.name_and_domain();
        let violations = self.violations.into_iter().map(|(_, violation)| violation);
        Err(refuse_fields(Code::InvalidArgument, reason, violations.collect()))
    }
}

/// INVALID_ARGUMENT naming one field.
pub(crate) fn bad(field: &str, why: impl Into<Why>, says: impl ToString) -> Status {
    match why.into() {
        Why::Own(reason) => bad_field_for(reason, field, says),
        Why::Common(reason) => bad_field_for(reason, field, says),
    }
}

/// The same refusal for a request whose own fields are those of a report, which carry them below `report` elsewhere.
pub(crate) fn unnested(refused: Status) -> Status {
    renamed(refused, |field| field.strip_prefix("report.").unwrap_or(field).to_owned())
}

/// The same refusal for a stream, whose header carries the id of the request.
pub(crate) fn in_header(refused: Status) -> Status {
    let named = |field: &str| match field.starts_with("request_id") {
        true => format!("header.{field}"),
        false => field.to_owned(),
    };
    renamed(refused, named)
}

/// The same refusal with other names of its fields; `own` is also given what is said of each, which begins with its name.
fn renamed(refused: Status, own: impl Fn(&str) -> String) -> Status {
    let mut details = refused.get_error_details();
    if let Some(info) = details.error_info()
        && let Some(field) = info.metadata.get("field")
    {
        let mut metadata = info.metadata.clone();
        metadata.insert("field".to_owned(), own(field));
        let (reason, domain) = (info.reason.clone(), info.domain.clone());
        details.set_error_info(reason, domain, metadata);
    }
    if let Some(bad) = details.bad_request() {
        let violations = bad.field_violations.iter();
        let own = violations.map(|one| FieldViolation { field: own(&one.field), ..one.clone() });
        let own: Vec<_> = own.collect();
        details.set_bad_request(own);
    }
    let message: Vec<_> = refused.message().split("; ").map(&own).collect();
    Status::with_error_details(refused.code(), message.join("; "), details)
}

/// More rows than one import takes, or more bytes of them.
pub(crate) fn too_many_rows(field: &str, most: usize, most_bytes: usize) -> Status {
    let says =
        format!("must not be more than {most}, nor more than {} MiB of them", most_bytes >> 20);
    bad(field, ErrorReason::TooManyRows, says)
}

/// Others are being taken in.
pub(crate) fn too_many_imports(waited: Duration) -> Status {
    let message = format!("another import was under way for {waited:?}; try again");
    refuse(Code::Unavailable, ErrorReason::TooManyImports, message, [])
}

/// There is no such import, or not any more.
pub(crate) fn no_import(name: ImportName) -> Status {
    let message = format!("{name} does not exist, or was not applied and is forgotten");
    let metadata = [("report_import", name.to_string())];
    refuse(Code::NotFound, ErrorReason::ReportImportNotFound, message, metadata)
}

/// A row of the import is bad.
pub(crate) fn import_refused(import: &ReportImport) -> Status {
    let (name, refused) = (import.name, import.counts.refused);
    let message = format!("{refused} rows of {name} are bad; nothing was applied");
    let metadata = [("report_import", name.to_string()), ("refused_count", refused.to_string())];
    refuse(Code::FailedPrecondition, ErrorReason::ReportImportRefused, message, metadata)
}

/// The field of a report that names the agency that hands it over.
pub(crate) const SUBMITTING_UNIT: &str = "report.submitting_unit";

impl From<NotItsAgency> for Status {
    fn from(error: NotItsAgency) -> Self {
        let reason = match error {
            NotItsAgency::NotValid(_) => ErrorReason::UnitNotValid,
            NotItsAgency::NotBelow(_) | NotItsAgency::OfTerritory(_) => ErrorReason::NotItsAgency,
        };
        bad(SUBMITTING_UNIT, reason, error)
    }
}

impl From<NotAsked> for Status {
    fn from(error: NotAsked) -> Self {
        const FIELD: &str = "report.period";
        match error {
            NotAsked::NotOfRegime => bad(FIELD, ErrorReason::PeriodNotOfRegime, error),
            NotAsked::NotOpen { first } => {
                let reason = ErrorReason::PeriodNotOpen.as_str_name();
                let metadata = [
                    ("field".to_owned(), FIELD.to_owned()),
                    ("open_date".to_owned(), first.to_string()),
                ];
                let mut details =
                    ErrorDetails::with_error_info(reason, ErrorReason::DOMAIN, metadata);
                details.add_bad_request_violation(FIELD, error.to_string());
                let message = format!("{FIELD} {error}");
                Self::with_error_details(Code::InvalidArgument, message, details)
            }
        }
    }
}

impl From<AlreadySubmitted> for Status {
    fn from(error: AlreadySubmitted) -> Self {
        let metadata =
            [("report", error.name.to_string()), ("receive_time", error.at.to_rfc3339())];
        let reason = ErrorReason::AlreadySubmitted;
        refuse(Code::FailedPrecondition, reason, error.to_string(), metadata)
    }
}

impl From<NotHandedOver> for Status {
    fn from(error: NotHandedOver) -> Self {
        let metadata = [("report", error.name.to_string())];
        refuse(Code::FailedPrecondition, ErrorReason::NotSubmitted, error.to_string(), metadata)
    }
}

impl From<AlreadyAccepted> for Status {
    fn from(error: AlreadyAccepted) -> Self {
        let metadata = [("report", error.name.to_string())];
        refuse(Code::FailedPrecondition, ErrorReason::AlreadyAccepted, error.to_string(), metadata)
    }
}

impl From<NotWithdrawn> for Status {
    fn from(error: NotWithdrawn) -> Self {
        match error {
            NotWithdrawn::NotHandedOver(error) => error.into(),
            NotWithdrawn::Accepted(error) => error.into(),
        }
    }
}

impl From<NotAccepted> for Status {
    fn from(error: NotAccepted) -> Self {
        let says = error.to_string();
        let (reason, name) = match error {
            NotAccepted::NotHandedOver(error) => return error.into(),
            NotAccepted::Already(error) => return error.into(),
            NotAccepted::NoReview { name } => (ErrorReason::NoReviewAsked, name),
            NotAccepted::SameReviewer { name } => (ErrorReason::SameReviewer, name),
        };
        refuse(Code::FailedPrecondition, reason, says, [("report", name.to_string())])
    }
}

impl From<NotReturned> for Status {
    fn from(error: NotReturned) -> Self {
        match error {
            NotReturned::NotHandedOver(error) => error.into(),
            NotReturned::DueInPast { .. } => bad("due_date", ErrorReason::ReturnDueInPast, error),
        }
    }
}

impl From<NotSubmitted> for Status {
    fn from(error: NotSubmitted) -> Self {
        const FIELD: &str = "asserted_receive_time";
        let says = error.to_string();
        match error {
            NotSubmitted::Already(error) => error.into(),
            NotSubmitted::ReceiptInFuture => bad(FIELD, ErrorReason::ReceiptInFuture, says),
            NotSubmitted::ReceiptBeforePeriod { .. } => {
                bad(FIELD, ErrorReason::ReceiptBeforePeriod, says)
            }
            NotSubmitted::Blocked(findings) => {
                let violations =
                    findings.into_iter().map(|finding| (finding.field, finding.message));
                let reason = ErrorReason::BlockingFindings;
                field_violations(Code::FailedPrecondition, reason, violations.collect())
            }
        }
    }
}

impl From<store::Error> for Status {
    fn from(error: store::Error) -> Self {
        let says = error.to_string();
        let (code, reason, name) = match error {
            store::Error::NotFound(name) => (Code::NotFound, ErrorReason::ReportNotFound, name),
            store::Error::Exists(name) => (Code::AlreadyExists, ErrorReason::ReportExists, name),
            store::Error::Stale(name) => (Code::Aborted, ErrorReason::EtagMismatch, name),
            store::Error::AlreadySubmitted(already) => return already.into(),
            store::Error::NotHandedOver(error) => return error.into(),
            store::Error::NotAttached(NotAttached::Already(already)) => return already.into(),
            store::Error::NotAttached(error @ NotAttached::TooMany) => {
                return bad("header.parent", ErrorReason::TooManyAttachments, error);
            }
            store::Error::NoAttachment(name) => {
                let metadata = [("attachment", name.to_string())];
                return refuse(Code::NotFound, ErrorReason::AttachmentNotFound, says, metadata);
            }
            store::Error::NoArrival(name) => {
                let metadata = [("arrival", name.to_string())];
                return refuse(Code::NotFound, ErrorReason::ArrivalNotFound, says, metadata);
            }
            store::Error::ArrivalFixed(name, report) => {
                let metadata = [("arrival", name.to_string()), ("report", report.to_string())];
                let reason = ErrorReason::ArrivalFixed;
                return refuse(Code::FailedPrecondition, reason, says, metadata);
            }
            overtaken @ store::Error::Overtaken => {
                return unavailable("keeping what has changed meanwhile", &overtaken);
            }
            // Nobody is told this: the answer is there.
            answered @ store::Error::Answered => {
                return unavailable("answering the same request twice", &answered);
            }
            store::Error::FormExists(key) => {
                let metadata = [("form", format!("forms/{key}"))];
                return refuse(Code::AlreadyExists, ErrorReason::FormExists, says, metadata);
            }
            store::Error::Unreadable(cause) => return internal("reading a report", &*cause),
            store::Error::Database(cause) if is_transient(&cause) => {
                return unavailable("using the database", &cause);
            }
            store::Error::Database(cause) => return internal("using the database", &cause),
        };
        refuse(code, reason, says, [("report", name.to_string())])
    }
}

/// The fields of an upload that say what a file is called, and whether it bears a level of secrecy.
pub(crate) const FILE_NAME: &str = "header.file_name";
pub(crate) const SECRECY: &str = "header.secrecy_level";

/// INVALID_ARGUMENT for a document that belongs elsewhere.
pub(crate) fn secret(field: &str, says: impl ToString) -> Status {
    let says = format!("{}: such a document is not to be sent here", says.to_string());
    bad(field, ErrorReason::SecrecyRefused, says)
}

/// ABORTED: all of it has to be sent again.
pub(crate) fn stream_broken(why: &str) -> Status {
    let message = format!("the stream broke, and nothing was kept: {why}");
    refuse(Code::Aborted, Common::StreamBroken, message, [])
}

/// FAILED_PRECONDITION for what nobody is given any more.
pub(crate) fn attachment_erased(name: AttachmentName, at: DateTime<Utc>) -> Status {
    let metadata = [("attachment", name.to_string()), ("erase_time", at.to_rfc3339())];
    let message = format!("{name} was erased at {at}");
    refuse(Code::FailedPrecondition, ErrorReason::AttachmentErased, message, metadata)
}

/// DATA_LOSS: only a backup has it.
pub(crate) fn attachment_damaged(name: AttachmentName, why: &str) -> Status {
    // Its id alone: what is logged names no unit.
    tracing::error!(attachment = %name.attachment, "an attachment is damaged: {why}");
    let metadata = [("attachment", name.to_string())];
    let message = format!("{name} is damaged: {why}");
    refuse(Code::DataLoss, ErrorReason::AttachmentDamaged, message, metadata)
}

impl From<blobs::Error> for Status {
    fn from(error: blobs::Error) -> Self {
        const DOING: &str = "using the store of attached files";
        match error {
            blobs::Error::Away(_) => unavailable(DOING, &error),
            blobs::Error::Missing | blobs::Error::Failed(_) => internal(DOING, &error),
        }
    }
}

impl From<blobs::NotReceived<Status>> for Status {
    fn from(error: blobs::NotReceived<Status>) -> Self {
        use blobs::{NotReceived, NotTaken};
        let says = error.to_string();
        match error {
            NotReceived::Broken(status) => status,
            NotReceived::Length { .. } => {
                bad("header.size_bytes", ErrorReason::LengthMismatch, says)
            }
            NotReceived::Hash { .. } => bad("header.sha256", ErrorReason::HashMismatch, says),
            NotReceived::NotTaken(NotTaken::Kind(why)) => {
                bad("chunk", ErrorReason::MediaTypeRefused, why)
            }
            NotReceived::NotTaken(error @ NotTaken::Secrecy(_)) => secret("chunk", error),
            NotReceived::Full => refuse(Code::Unavailable, ErrorReason::TooManyUploads, says, []),
            NotReceived::NotTaken(NotTaken::Unreadable(cause)) | NotReceived::Unwritable(cause) => {
                const DOING: &str = "taking in a file";
                match cause.kind() {
                    ErrorKind::StorageFull => unavailable(DOING, &cause),
                    _ => internal(DOING, &cause),
                }
            }
        }
    }
}
