//! How a command ends when it does not end well: what is said, and the exit code.

use std::fmt;
use std::process::ExitCode;

use dunghan_host::{ConfigError, in_words};
use dunghan_rpc::Unreachable;
use dunghan_telemetry::code_name;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What to do where a process says that it does not serve what was called.
const APART: &str =
    "\nWhere services run apart, --address takes the address of each: registry=URL,…";

/// What to do where the token does not suffice.
const NO_ROLE: &str =
    "\nThe token has none of these roles: see `dunghan grants add`, or `dunghan token --grant`.";

/// What to do where a code was held on other days.
const OTHER_DAY: &str = "\nTo ask about a day on which it was: --as-of DATE";

/// What to do where a province has no calendar.
const NATIONS_CALENDAR: &str =
    "\nA province that has none of its own goes by the nation's: leave --province out.";

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server said no.
    Refused(Box<Status>),
    /// Several things did not go, or one of several: each with what it is about. One at the least.
    Several(Vec<(String, Failure)>),
    /// What was given does not read; one line for each thing wrong with it.
    Input(Vec<String>),
    /// There is no server there.
    Unreachable { address: String, cause: String },
    /// Something else failed.
    Failed(anyhow::Error),
}

impl Failure {
    /// One thing wrong with what was given.
    pub(crate) fn input(problem: impl fmt::Display) -> Self {
        Self::Input(vec![problem.to_string()])
    }

    /// As `--help` documents them.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Several(failures) => {
                return failures.first().map_or(ExitCode::FAILURE, |(_, first)| first.exit_code());
            }
            Self::Refused(_) | Self::Failed(_) => 1,
            Self::Input(_) => 2,
            Self::Unreachable { .. } => 3,
        })
    }

    /// The reason that the server gave, without its prefix.
    pub(crate) fn reason(&self) -> Option<String> {
        let Self::Refused(status) = self else { return None };
        let info = status.get_details_error_info()?;
        Some(info.reason.trim_start_matches("ERROR_REASON_").to_owned())
    }

    /// What the server said of this beside its reason.
    pub(crate) fn metadata(&self, key: &str) -> Option<String> {
        let Self::Refused(status) = self else { return None };
        status.get_details_error_info()?.metadata.get(key).cloned()
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        // Made on this side of the connection, for there was none.
        let source = std::error::Error::source(&status);
        if let Some(Unreachable { addresses, cause }) = source.and_then(|one| one.downcast_ref()) {
            return Self::Unreachable { address: addresses.clone(), cause: cause.clone() };
        }
        Self::Refused(Box::new(status))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<ConfigError>() {
            Ok(config) => config.into(),
            Err(error) => Self::Failed(error),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::input(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status) => {
                f.write_str(code_name(status.code()))?;
                if let Some(reason) = self.reason() {
                    write!(f, " {reason}")?;
                }
                write!(f, ": {}", status.message())?;
                let violations = status.get_details_bad_request();
                violations
                    .into_iter()
                    .flat_map(|request| request.field_violations)
                    .try_for_each(|one| write!(f, "\n  {}: {}", one.field, one.description))?;
                match self.reason().as_deref() {
                    _ if status.code() == Code::Unimplemented => f.write_str(APART),
                    Some("ROLE_MISSING") => f.write_str(NO_ROLE),
                    Some("CODE_NOT_VALID_ON_DATE") => f.write_str(OTHER_DAY),
                    Some("UNKNOWN_CALENDAR") => f.write_str(NATIONS_CALENDAR),
                    _ => Ok(()),
                }
            }
            Self::Several(failures) => {
                let each = failures.iter().map(|(about, failure)| format!("{about}: {failure}"));
                f.write_str(&each.collect::<Vec<_>>().join("\n"))
            }
            Self::Input(problems) => f.write_str(&problems.join("\n")),
            Self::Unreachable { address, cause } => {
                write!(f, "{address} cannot be reached: {cause}\nIs `dunghan serve` running?")
            }
            Self::Failed(error) => f.write_str(&in_words(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use dunghan_rpc::{bad_field, refuse};

    use super::*;

    #[test]
    fn a_refusal_prints_its_code_its_reason_and_each_field_on_its_own_line() {
        let reason = dunghan_proto::policy::ErrorReason::OutOfScope;
        let refused = Failure::from(refuse(Code::PermissionDenied, reason, "not yours", []));
        assert_eq!(refused.to_string(), "PERMISSION_DENIED OUT_OF_SCOPE: not yours");
        let refused = Failure::from(bad_field("scope", "must be units/{unit}"));
        let text = "INVALID_ARGUMENT INVALID_FIELD: scope must be units/{unit}\n  scope: must be units/{unit}";
        assert_eq!(refused.to_string(), text);
    }

    #[test]
    fn a_process_that_does_not_serve_what_was_called_is_said_to_be_one_of_several() {
        let reason = dunghan_proto::policy::ErrorReason::NoPolicy;
        let refused = Failure::from(refuse(Code::Unimplemented, reason, "not served", []));
        assert!(refused.to_string().ends_with("the address of each: registry=URL,…"), "{refused}");
    }

    #[test]
    fn what_another_token_or_another_date_would_mend_is_said() {
        use dunghan_proto::policy::ErrorReason::RoleMissing;
        use dunghan_proto::registry::ErrorReason::CodeNotValidOnDate;
        let role = Failure::from(refuse(Code::PermissionDenied, RoleMissing, "is for x", []));
        assert!(role.to_string().contains("is for x\nThe token has none"), "{role}");
        let day = Failure::from(refuse(Code::NotFound, CodeNotValidOnDate, "was held", []));
        assert!(
            day.to_string().ends_with("was held\nTo ask about a day on which it was: --as-of DATE")
        );
        use dunghan_proto::compliance::ErrorReason::UnknownCalendar;
        let calendar = Failure::from(refuse(Code::NotFound, UnknownCalendar, "none", []));
        assert!(calendar.to_string().ends_with("leave --province out."), "{calendar}");
    }

    #[test]
    fn of_several_failures_each_is_said_with_what_it_is_about() {
        let failures = ["a", "b"].map(|name| (name.to_owned(), Failure::input("does not read")));
        let several = Failure::Several(failures.into());
        assert_eq!(several.to_string(), "a: does not read\nb: does not read");
        assert_eq!(several.exit_code(), ExitCode::from(2));
    }

    #[test]
    fn a_mistake_in_the_configuration_is_one_of_what_was_given_wherever_it_is_found() {
        let error = anyhow::Error::new(ConfigError::NoPeer("submission", "registry"));
        assert!(matches!(Failure::from(error), Failure::Input(_)));
        assert!(matches!(Failure::from(anyhow::anyhow!("else")), Failure::Failed(_)));
    }
}
