//! Grants that are kept beside tokens.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use dunghan_calendar::{Clock, zone};
use dunghan_hierarchy::Validity;
use dunghan_proto::policy::Role;

use crate::Grant;

/// A grant that is kept beside tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGrant {
    /// Whose tokens it goes for.
    pub subject: String,
    /// What it allows.
    pub grant: Grant,
    /// On which days, in Viet Nam.
    pub validity: Validity,
}

/// The grants that are kept beside tokens, as this process knows them; none until somebody has put them here. Cheap to
/// clone, and all clones are one.
#[derive(Clone, Debug)]
pub struct StoredGrants {
    clock: Arc<dyn Clock>,
    held: Arc<RwLock<Arc<BySubject>>>,
}

type BySubject = HashMap<String, Vec<(Grant, Validity)>>;

impl StoredGrants {
    /// None yet. `clock` says which day it is.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, held: Arc::default() }
    }

    /// Puts these in the place of all that were there, at once. The role of a service is left out: nobody is granted it.
    pub fn replace(&self, grants: impl IntoIterator<Item = StoredGrant>) {
        let mut newer = BySubject::new();
        for StoredGrant { subject, grant, validity } in grants {
            if grant.role != Role::Service {
                newer.entry(subject).or_default().push((grant, validity));
            }
        }
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(newer);
    }

    /// Adds to `grants` what a subject is granted today in one of these roles. Every call asks: for a subject that has
    /// none it is one look.
    pub(crate) fn add_to(&self, grants: &mut Vec<Grant>, subject: &str, roles: &[Role]) {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(stored) = held.get(subject) else { return };
        let today = zone::civil_date(self.clock.now());
        let of_use = stored
            .iter()
            .filter(|(grant, validity)| roles.contains(&grant.role) && validity.contains(today));
        grants.extend(of_use.map(|(grant, _)| grant.clone()));
    }
}
