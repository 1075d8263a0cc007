//! Every refusal of this service, and nowhere else.

use dunghan_proto::policy::ErrorReason as Common;
use dunghan_proto::submission::ErrorReason;
use dunghan_rpc::{Reason, bad_field_for, field_violations, internal, refuse, unavailable};
use dunghan_store::is_transient;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::domain::agency::NotItsAgency;
use crate::domain::regime::NotAsked;
use crate::domain::report::{AlreadySubmitted, NotHandedOver, NotReturned, NotSubmitted};
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

/// The most violations that one answer tells: they travel in a header, whose size is limited.
const MOST_TOLD: usize = 20;

/// What is wrong with the fields of one request, told together.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    told: Vec<(String, Why, String)>,
    untold: usize,
}

impl Problems {
    pub(crate) fn add(
        &mut self,
        field: impl Into<String>,
        why: impl Into<Why>,
        says: impl ToString,
    ) {
        if self.told.len() < MOST_TOLD {
            self.told.push((field.into(), why.into(), says.to_string()));
        } else {
            self.untold += 1;
        }
    }

    /// INVALID_ARGUMENT for the reason of the first problem, with each problem's own in its violation.
    pub(crate) fn refused(self) -> Result<(), Status> {
        let Some((field, why, _)) = self.told.first() else { return Ok(()) };
        let (reason, domain) = why.name_and_domain();
        let metadata = [("field".to_owned(), field.clone())];
        let mut details = ErrorDetails::with_error_info(reason, domain, metadata);
        let message = self.told.iter().map(|(field, _, says)| format!("{field} {says}"));
        let mut message = message.collect::<Vec<_>>().join("; ");
        if self.untold > 0 {
            message.push_str(&format!("; and {} more", self.untold));
        }
        let violations = self.told.into_iter().map(|(field, why, says)| FieldViolation {
            reason: why.name_and_domain().0.to_owned(),
            ..FieldViolation::new(field, says)
        });
        details.set_bad_request(violations.collect::<Vec<_>>());
        Err(Status::with_error_details(Code::InvalidArgument, message, details))
    }
}

/// INVALID_ARGUMENT naming one field.
pub(crate) fn bad(field: &str, why: impl Into<Why>, says: impl ToString) -> Status {
    match why.into() {
        Why::Own(reason) => bad_field_for(reason, field, says),
        Why::Common(reason) => bad_field_for(reason, field, says),
    }
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
                let findings = findings.into_iter().take(MOST_TOLD);
                let violations = findings.map(|finding| (finding.field, finding.message));
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
            store::Error::Unreadable(cause) => return internal("reading a report", &*cause),
            store::Error::Database(cause) if is_transient(&cause) => {
                return unavailable("using the database", &cause);
            }
            store::Error::Database(cause) => return internal("using the database", &cause),
        };
        refuse(code, reason, says, [("report", name.to_string())])
    }
}
