//! Who is calling, and over which units and regimes.

use std::str::FromStr;

use chrono::NaiveDate;
use dunghan_hierarchy::{Access, Hierarchy, UnitId};
use dunghan_proto::policy::{ErrorReason, Role};
use tonic::{Code, Request, Status};

use crate::refuse;

/// Over what a role is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// The whole installation.
    Everything,
    /// A unit and all below it as of today; what ended before today can still be read.
    Subtree(UnitId),
    /// All reports under a regime, as a department needs that receives them and is nobody's parent.
    Regime(String),
}

/// A role over something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The part played.
    pub role: Role,
    /// Over what.
    pub over: Over,
}

/// The caller of one rpc, with those of their grants whose role may make it.
#[derive(Clone, Debug)]
pub struct Caller {
    subject: String,
    grants: Vec<Grant>,
}

impl Caller {
    /// A caller who may make this call by these grants.
    pub fn new(subject: impl Into<String>, grants: Vec<Grant>) -> Self {
        Self { subject: subject.into(), grants }
    }

    /// Who was let through by the guard.
    ///
    /// Errors: UNAUTHENTICATED where no guard stands before the service.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        request.extensions().get::<Self>().cloned().ok_or_else(|| {
            let message = "no caller is known";
            refuse(Code::Unauthenticated, ErrorReason::Unauthenticated, message, [])
        })
    }

    /// Who this is, for records of who did what.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Whether nothing limits what the caller sees.
    pub fn reaches_everything(&self) -> bool {
        self.grants.iter().any(|grant| grant.over == Over::Everything)
    }

    /// What the caller may see, for queries that name no unit.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    fn access(&self, unit: UnitId, hierarchy: &Hierarchy, today: NaiveDate) -> Option<Access> {
        self.grants.iter().fold(None, |best, grant| {
            let access = match grant.over {
                Over::Everything => Some(Access::Write),
                Over::Subtree(root) => hierarchy.covers(root, unit, today),
                Over::Regime(_) => None,
            };
            if access == Some(Access::Write) { access } else { best.or(access) }
        })
    }

    /// Whether the caller may read what is `unit`'s, by unit alone.
    pub fn can_read(&self, unit: UnitId, hierarchy: &Hierarchy, today: NaiveDate) -> bool {
        self.access(unit, hierarchy, today).is_some()
    }

    /// Whether the caller's role is over all that is under a regime.
    pub fn reaches_regime(&self, regime: &str) -> bool {
        self.grants.iter().any(|grant| match &grant.over {
            Over::Everything => true,
            Over::Regime(granted) => granted == regime,
            Over::Subtree(_) => false,
        })
    }

    /// Errors: PERMISSION_DENIED (OUT_OF_SCOPE).
    pub fn must_read(
        &self,
        unit: UnitId,
        regime: Option<&str>,
        hierarchy: &Hierarchy,
        today: NaiveDate,
    ) -> Result<(), Status> {
        let by_regime = regime.is_some_and(|regime| self.reaches_regime(regime));
        if by_regime || self.can_read(unit, hierarchy, today) {
            return Ok(());
        }
        Err(out_of_scope(unit))
    }

    /// Errors: PERMISSION_DENIED (OUT_OF_SCOPE), also for a unit of the subtree that has ended.
    pub fn must_write(
        &self,
        unit: UnitId,
        hierarchy: &Hierarchy,
        today: NaiveDate,
    ) -> Result<(), Status> {
        match self.access(unit, hierarchy, today) {
            Some(Access::Write) => Ok(()),
            _ => Err(out_of_scope(unit)),
        }
    }

    /// As [`Self::must_write`], for what `unit` owes and for what is decided about it. Once the unit has ended, that is for
    /// whoever may write at the unit that came after it. Where a regime is given, a role over that regime does as well: those
    /// who receive reports decide about them, wherever they come from. An rpc by which units write what is theirs gives none.
    ///
    /// Errors: PERMISSION_DENIED (OUT_OF_SCOPE).
    pub fn must_write_under(
        &self,
        unit: UnitId,
        regime: Option<&str>,
        hierarchy: &Hierarchy,
        today: NaiveDate,
    ) -> Result<(), Status> {
        let writes = |unit| self.access(unit, hierarchy, today) == Some(Access::Write);
        let may = regime.is_some_and(|regime| self.reaches_regime(regime))
            || writes(unit)
            || hierarchy.succeeded_by(unit, today).is_some_and(writes);
        if may { Ok(()) } else { Err(out_of_scope(unit)) }
    }
}

fn out_of_scope(unit: UnitId) -> Status {
    let message = format!("the caller has no such right over {unit}");
    refuse(Code::PermissionDenied, ErrorReason::OutOfScope, message, [("unit", unit.to_string())])
}

/// Not a role or not a scope.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} is not ROLE, ROLE@units/UNIT or ROLE@regimes/REGIME, with ROLE one of reader, reporter, supervisor, importer, operator, service"
)]
pub struct NotAGrant(String);

impl FromStr for Grant {
    type Err = NotAGrant;

    /// Reads `operator`, `supervisor@units/{unit}` and `supervisor@regimes/{regime}`.
    fn from_str(text: &str) -> Result<Self, NotAGrant> {
        let bad = || NotAGrant(text.to_owned());
        let (role, over) = match text.split_once('@') {
            None => (text, Over::Everything),
            Some((role, over)) => match over.strip_prefix("regimes/") {
                Some("") => return Err(bad()),
                Some(regime) => (role, Over::Regime(regime.to_owned())),
                None => (role, Over::Subtree(over.parse().map_err(|_| bad())?)),
            },
        };
        let role = Role::from_str_name(&format!("ROLE_{}", role.to_uppercase()))
            .filter(|role| *role != Role::Unspecified)
            .ok_or_else(bad)?;
        Ok(Self { role, over })
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let role = self.role.as_str_name().trim_start_matches("ROLE_").to_lowercase();
        match &self.over {
            Over::Everything => write!(f, "{role}"),
            Over::Subtree(unit) => write!(f, "{role}@{unit}"),
            Over::Regime(regime) => write!(f, "{role}@regimes/{regime}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use dunghan_hierarchy::{Edge, EdgeKind, Kind, Level, UnitHistory, Validity, Version};

    use super::*;

    #[test]
    fn a_grant_prints_as_it_reads() {
        let unit = UnitId::new("nso", "24", None);
        for text in ["operator", "supervisor@regimes/cds-24", &format!("reporter@{unit}")] {
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
        }
        for bad in ["", "king", "reader@24", "unspecified", "reader@units/24", "reader@regimes/"] {
            assert!(bad.parse::<Grant>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_role_over_a_regime_writes_what_is_under_it_only_where_the_regime_is_given() {
        let (unit, today) = (UnitId::new("nso", "24", None), NaiveDate::MIN);
        let nowhere = Hierarchy::empty();
        let caller = Caller::new("lan", vec!["supervisor@regimes/cds".parse().unwrap()]);
        for (regime, may) in [(Some("cds"), true), (Some("cds-24"), false), (None, false)] {
            let said = caller.must_write_under(unit, regime, &nowhere, today);
            assert_eq!(said.is_ok(), may, "{regime:?}");
        }
        assert!(caller.must_write(unit, &nowhere, today).is_err());
        let everything = Caller::new("minh", vec!["supervisor".parse().unwrap()]);
        assert!(everything.must_write_under(unit, Some("cds"), &nowhere, today).is_ok());
    }

    #[test]
    fn what_a_unit_that_ended_owes_is_written_at_its_successor_and_the_rest_of_it_by_nobody() {
        let reform: NaiveDate = "2025-07-01".parse().unwrap();
        let id = |code: &str| UnitId::new("nso", code, None);
        let (old, new, neighbour) = (id("09421"), id("09427"), id("09415"));
        let unit = |id, validity| UnitHistory {
            id,
            versions: vec![Version {
                validity,
                display_name: "Phường Trí Quả".to_owned(),
                kind: Kind::Phuong,
                level: Level::Commune,
                parent: None,
            }],
            identifiers: Vec::new(),
        };
        let units = vec![
            unit(old, Validity::before(reform)),
            unit(new, Validity::since(reform)),
            unit(neighbour, Validity::OPEN),
        ];
        let edge = |successor, kind| Edge {
            effective: reform,
            predecessor: old,
            successor,
            kind,
            reorganisation: "1".into(),
        };
        let edges = vec![edge(new, EdgeKind::SplitMain), edge(neighbour, EdgeKind::SplitPart)];
        let hierarchy = Hierarchy::build_with_edges(1, units, edges).unwrap();
        for (over, owed) in [(new, true), (neighbour, false), (old, false)] {
            let grant = Grant { role: Role::Reporter, over: Over::Subtree(over) };
            let caller = Caller::new("lan", vec![grant]);
            let said = caller.must_write_under(old, None, &hierarchy, reform);
            assert_eq!(said.is_ok(), owed, "{over}");
            assert!(caller.must_write(old, &hierarchy, reform).is_err(), "{over}");
        }
    }
}
