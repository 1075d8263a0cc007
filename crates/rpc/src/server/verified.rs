//! Tokens that were verified lately: a signature takes longer to verify than most calls to answer.

use std::sync::Arc;

use dunghan_calendar::Clock;
use moka::sync::Cache;

use crate::token::Verified;
use crate::{Issuer, IssuerError};

/// Of whoever calls within some minutes; one that is forgotten is verified again.
const MOST: u64 = 10_000;

/// An issuer that remembers which tokens held. What it refused it does not remember.
#[derive(Clone, Debug)]
pub(super) struct Verifier {
    issuer: Issuer,
    clock: Arc<dyn Clock>,
    held: Cache<String, Arc<Verified>>,
}

impl Verifier {
    /// `clock` is the wall's.
    pub(super) fn new(issuer: Issuer, clock: Arc<dyn Clock>) -> Self {
        Self { issuer, clock, held: Cache::new(MOST) }
    }

    /// Who holds the token.
    ///
    /// Errors: as [`Issuer::verify`], also for one that held and has ended since.
    pub(super) fn verify(&self, token: &str) -> Result<Arc<Verified>, IssuerError> {
        let now = self.clock.now();
        if let Some(held) = self.held.get(token)
            && now < held.ends
        {
            return Ok(held);
        }
        let verified = Arc::new(self.issuer.verify_at(token, now)?);
        self.held.insert(token.to_owned(), verified.clone());
        Ok(verified)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use dunghan_calendar::{ManualClock, SystemClock};

    use super::*;
    use crate::Identity;

    #[test]
    fn a_token_is_verified_once_and_holds_until_it_ends() {
        let clock = ManualClock::at(SystemClock.now());
        let issuer = Issuer::ephemeral().unwrap();
        let verifier = Verifier::new(issuer.clone(), Arc::new(clock.clone()));
        let identity = Identity { subject: "lan".to_owned(), grants: Vec::new() };
        let token = issuer.sign(&identity, clock.now(), TimeDelta::minutes(5)).unwrap();
        let first = verifier.verify(&token).unwrap();
        assert_eq!(first.identity, identity);
        // The very same, and not one that says the same.
        clock.advance(TimeDelta::minutes(4));
        assert!(Arc::ptr_eq(&first, &verifier.verify(&token).unwrap()));
        clock.advance(TimeDelta::minutes(2));
        assert!(verifier.verify(&token).is_err());
    }

    #[test]
    fn a_token_that_does_not_hold_is_not_remembered() {
        let verifier = Verifier::new(Issuer::ephemeral().unwrap(), Arc::new(SystemClock));
        assert!(verifier.verify("nonsense").is_err());
        verifier.held.run_pending_tasks();
        assert_eq!(verifier.held.entry_count(), 0);
    }
}
