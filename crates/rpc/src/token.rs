//! The local issuer: signs tokens for people and services of one installation, and verifies them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::{Clock, SystemClock};
use dunghan_proto::policy::Role;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::key::{self, KeyError};
use crate::{Grant, Over};

const ISSUER: &str = "dunghan-local";
const AUDIENCE: &str = "dunghan";
const TYPE: &str = "at+jwt";
/// Between the clocks of two machines.
const LEEWAY: TimeDelta = TimeDelta::seconds(30);
const SERVICE_TOKEN_LIFETIME: TimeDelta = TimeDelta::minutes(15);

/// Who holds a token, and what it grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who.
    pub subject: String,
    /// What.
    pub grants: Vec<Grant>,
}

/// What a token that holds says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) identity: Identity,
    /// When it ends.
    pub(crate) ends: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: i64,
    exp: i64,
    grants: Vec<String>,
}

/// Why there is no issuer, or no token.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The token could not be signed or does not hold.
    #[error("the token does not hold")]
    Token(#[from] jsonwebtoken::errors::Error),
    /// A grant in the token is none.
    #[error(transparent)]
    Grant(#[from] crate::caller::NotAGrant),
}

/// Signs and verifies with one Ed25519 key. Tokens live on wall time, whatever clock the services follow.
#[derive(Clone)]
pub struct Issuer {
    signing: Arc<EncodingKey>,
    verifying: Arc<DecodingKey>,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issuer(…)")
    }
}

impl Issuer {
    /// With a key that is gone when the process ends.
    pub fn ephemeral() -> Result<Self, IssuerError> {
        Self::of_key(&SigningKey::generate(&mut rand_core::OsRng), "a new key")
    }

    /// With the key in `file`, which is made, for its owner's eyes only, where it is not there.
    pub fn open(file: &Path) -> Result<Self, IssuerError> {
        Self::of_key(&key::open(file)?, &file.display().to_string())
    }

    /// With the key in `file`.
    pub fn read(file: &Path) -> Result<Self, IssuerError> {
        Self::of_key(&key::read(file)?, &file.display().to_string())
    }

    fn of_key(key: &SigningKey, shown: &str) -> Result<Self, IssuerError> {
        let bad = || KeyError::NoKey(shown.to_owned());
        let private = key.to_pkcs8_der().map_err(|_| bad())?;
        Ok(Self {
            signing: Arc::new(EncodingKey::from_ed_der(private.as_bytes())),
            // The raw key: that is what this constructor takes, its name notwithstanding.
            verifying: Arc::new(DecodingKey::from_ed_der(key.verifying_key().as_bytes())),
        })
    }

    /// A token for `identity` that holds from `now` for `lifetime`.
    pub fn sign(
        &self,
        identity: &Identity,
        now: DateTime<Utc>,
        lifetime: TimeDelta,
    ) -> Result<String, IssuerError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: identity.subject.clone(),
            iat: now.timestamp(),
            exp: (now + lifetime).timestamp(),
            grants: identity.grants.iter().map(Grant::to_string).collect(),
        };
        Ok(jsonwebtoken::encode(&header, &claims, &self.signing)?)
    }

    /// Who holds the token.
    ///
    /// Errors: the token is expired, of another issuer or for another audience, not signed by this key, or grants what
    /// there is not.
    pub fn verify(&self, token: &str) -> Result<Identity, IssuerError> {
        Ok(self.verify_at(token, SystemClock.now())?.identity)
    }

    /// As [`Self::verify`], at a moment.
    pub(crate) fn verify_at(
        &self,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Verified, IssuerError> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        // Below, by our own clock.
        validation.validate_exp = false;
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let data = jsonwebtoken::decode::<Claims>(token, &self.verifying, &validation)?;
        if data.header.typ.as_deref() != Some(TYPE) {
            return Err(ErrorKind::InvalidToken.into());
        }
        let ends = DateTime::from_timestamp(data.claims.exp, 0).ok_or(ErrorKind::InvalidToken)?;
        if ends + LEEWAY < now {
            return Err(ErrorKind::ExpiredSignature.into());
        }
        let grants =
            data.claims.grants.iter().map(|grant| grant.parse()).collect::<Result<_, _>>()?;
        Ok(Verified { identity: Identity { subject: data.claims.sub, grants }, ends })
    }
}

impl From<ErrorKind> for IssuerError {
    fn from(kind: ErrorKind) -> Self {
        Self::Token(kind.into())
    }
}

/// A token, and when to make the next one.
type Held = Option<(DateTime<Utc>, String)>;

/// A service's own token for calls to its peers, renewed before it ends.
#[derive(Clone, Debug)]
pub struct ServiceToken {
    issuer: Issuer,
    service: &'static str,
    clock: Arc<dyn Clock>,
    current: Arc<Mutex<Held>>,
}

impl ServiceToken {
    /// `clock` is the wall's.
    pub fn new(issuer: Issuer, service: &'static str, clock: Arc<dyn Clock>) -> Self {
        Self { issuer, service, clock, current: Arc::default() }
    }

    /// A token with some minutes left.
    pub fn get(&self) -> Result<String, IssuerError> {
        let now = self.clock.now();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((renew, token)) = current.as_ref()
            && now < *renew
        {
            return Ok(token.clone());
        }
        let identity = Identity {
            subject: format!("service:{}", self.service),
            grants: vec![Grant { role: Role::Service, over: Over::Everything }],
        };
        let token = self.issuer.sign(&identity, now, SERVICE_TOKEN_LIFETIME)?;
        *current = Some((now + SERVICE_TOKEN_LIFETIME / 2, token.clone()));
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity { subject: "lan".to_owned(), grants: vec!["operator".parse().unwrap()] }
    }

    #[test]
    fn a_token_holds_until_it_ends_and_for_its_own_issuer_alone() {
        let issuer = Issuer::ephemeral().unwrap();
        let now = SystemClock.now();
        let token = issuer.sign(&identity(), now, TimeDelta::minutes(1)).unwrap();
        assert_eq!(issuer.verify(&token).unwrap(), identity());
        assert!(Issuer::ephemeral().unwrap().verify(&token).is_err());
        let ended = issuer.sign(&identity(), now - TimeDelta::hours(1), TimeDelta::minutes(1));
        assert!(issuer.verify(&ended.unwrap()).is_err());
        let (head, _) = token.rsplit_once('.').unwrap();
        assert!(issuer.verify(&format!("{head}.AAAA")).is_err());
    }

    #[test]
    fn a_key_file_is_made_once_and_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = std::env::temp_dir().join(format!("dunghan-key-{}", uuid::Uuid::now_v7()));
        let file = folder.join("issuer.pem");
        let token = Issuer::open(&file)
            .unwrap()
            .sign(&identity(), SystemClock.now(), TimeDelta::minutes(1))
            .unwrap();
        assert_eq!(Issuer::open(&file).unwrap().verify(&token).unwrap(), identity());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn of_several_that_make_the_key_at_once_all_get_the_same() {
        let folder = std::env::temp_dir().join(format!("dunghan-keys-{}", uuid::Uuid::now_v7()));
        for round in 0..50 {
            let file = folder.join(format!("{round}.pem"));
            let issuers: Vec<_> = std::thread::scope(|scope| {
                let openings: Vec<_> =
                    (0..4).map(|_| scope.spawn(|| Issuer::open(&file).unwrap())).collect();
                openings.into_iter().map(|opening| opening.join().unwrap()).collect()
            });
            let now = SystemClock.now();
            let token = issuers[0].sign(&identity(), now, TimeDelta::minutes(1)).unwrap();
            assert!(issuers.iter().all(|issuer| issuer.verify(&token).is_ok()));
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
