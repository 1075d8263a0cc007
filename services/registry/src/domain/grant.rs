//! Who may do what beside what their tokens state, over what, and when.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use dunghan_hierarchy::{UnitId, Validity};
use uuid::Uuid;

use super::ending::Ending;

/// `grants/{grant}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantName(pub Uuid);

/// A text that is not the name of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be grants/{{grant}}")]
pub struct NotAGrantName;

impl fmt::Display for GrantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "grants/{}", self.0.hyphenated())
    }
}

impl FromStr for GrantName {
    type Err = NotAGrantName;

    fn from_str(text: &str) -> Result<Self, NotAGrantName> {
        let id = text.strip_prefix("grants/").and_then(|id| Uuid::try_parse(id).ok());
        // Uuid reads other spellings too; a name has one.
        id.map(Self).filter(|name| name.to_string() == text).ok_or(NotAGrantName)
    }
}

/// A part that can be granted. That of a service is none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads.
    Reader,
    /// Writes and sends a unit's reports.
    Reporter,
    /// Watches over units or regimes.
    Supervisor,
    /// Brings in what other systems hold.
    Importer,
    /// Runs the installation.
    Operator,
}

/// Over what a role is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// The whole installation.
    Everything,
    /// A unit and all below it.
    Subtree(UnitId),
    /// All reports under a regime, by its id, without `regimes/`.
    Regime(String),
}

/// A role that a subject holds over something for a while. It is never changed but by being revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Unique.
    pub name: GrantName,
    /// Whose tokens it goes for.
    pub subject: String,
    /// Which role.
    pub role: Role,
    /// Over what.
    pub over: Over,
    /// On which days it holds; without a beginning: since it was made.
    pub validity: Validity,
    /// Why, for example the decision.
    pub reason: String,
    /// Who granted it.
    pub creator: String,
    /// When.
    pub create_time: DateTime<Utc>,
    /// How it was revoked.
    pub revoked: Option<Ending>,
}

/// The grant was revoked before, for another reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} was revoked already")]
pub struct RevokedAlready(pub GrantName);

impl Grant {
    /// The grant, revoked; or as it is if it was revoked for the same reason before.
    pub fn revoke(&self, ending: Ending) -> Result<Self, RevokedAlready> {
        match &self.revoked {
            None => Ok(Self { revoked: Some(ending), ..self.clone() }),
            Some(before) if before.reason == ending.reason => Ok(self.clone()),
            Some(_) => Err(RevokedAlready(self.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        let name = GrantName(Uuid::from_u128(7));
        assert_eq!(name.to_string().parse(), Ok(name));
        let text = name.to_string();
        for bad in [text.to_uppercase(), text.replace("grants", "grant"), text.replace('-', "")] {
            assert_eq!(bad.parse::<GrantName>(), Err(NotAGrantName), "{bad}");
        }
    }

    #[test]
    fn revoking_again_for_the_same_reason_changes_nothing_and_for_another_is_refused() {
        let grant = Grant {
            name: GrantName(Uuid::from_u128(7)),
            subject: "lan".to_owned(),
            role: Role::Reader,
            over: Over::Everything,
            validity: Validity::OPEN,
            reason: "thử".to_owned(),
            creator: "hoa".to_owned(),
            create_time: DateTime::UNIX_EPOCH,
            revoked: None,
        };
        let ending = |by: &str, reason: &str| Ending {
            by: by.to_owned(),
            at: DateTime::UNIX_EPOCH,
            reason: reason.to_owned(),
        };
        let revoked = grant.revoke(ending("hoa", "hết việc")).unwrap();
        assert_eq!(revoked.revoked, Some(ending("hoa", "hết việc")));
        assert_eq!(revoked.revoke(ending("minh", "hết việc")), Ok(revoked.clone()));
        let refused = revoked.revoke(ending("hoa", "nhầm"));
        assert_eq!(refused, Err(RevokedAlready(grant.name)));
    }
}
