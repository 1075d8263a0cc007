//! What others keep, and may show again to anyone: JSON signed by Ed25519, in the compact form of RFC 7515 and RFC 8037.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
// It takes one spelling of each text: no padding, and no bits set beyond the last byte.
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::key::{self, KeyError};

const ALGORITHM: &str = "EdDSA";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// A public key, by which a signature is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwsKey {
    id: String,
    key: VerifyingKey,
}

/// A text that was not signed here, or was changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("was not signed by one of these keys, or was changed since")]
pub struct NotSigned;

/// A text that is no JSON Web Key of Ed25519.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no public key of Ed25519 as a JSON Web Key, or its kid names another key")]
pub struct NoJwk;

impl JwsKey {
    /// The key in `file`, in PEM (`openssl pkey -pubout`).
    pub fn read(file: &Path) -> Result<Self, KeyError> {
        key::read_public(file).map(Self::of)
    }

    fn of(key: VerifyingKey) -> Self {
        let x = BASE64.encode(key.as_bytes());
        // RFC 7638: the required members alone, in the order of their names.
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Self { id: BASE64.encode(Sha256::digest(members)), key }
    }

    /// Its thumbprint (RFC 7638), by which signatures name it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// As a JSON Web Key (RFC 8037).
    pub fn jwk(&self) -> String {
        let (id, x) = (&self.id, BASE64.encode(self.key.as_bytes()));
        format!(
            r#"{{"alg":"EdDSA","crv":"Ed25519","kid":"{id}","kty":"OKP","use":"sig","x":"{x}"}}"#
        )
    }

    /// The key that a JSON Web Key holds, whatever else that says.
    ///
    /// Errors: it is no public key of Ed25519, or its `kid` names another.
    pub fn of_jwk(jwk: &str) -> Result<Self, NoJwk> {
        #[derive(Deserialize)]
        struct Jwk {
            kty: String,
            crv: String,
            x: String,
            kid: Option<String>,
        }
        let jwk: Jwk = serde_json::from_str(jwk).map_err(|_| NoJwk)?;
        let x = BASE64.decode(&jwk.x).ok().and_then(|x| <[u8; 32]>::try_from(x).ok());
        let key = VerifyingKey::from_bytes(&x.ok_or(NoJwk)?).map_err(|_| NoJwk)?;
        let key = Self::of(key);
        let other = jwk.kid.is_some_and(|kid| kid != key.id);
        if jwk.kty != "OKP" || jwk.crv != "Ed25519" || other { Err(NoJwk) } else { Ok(key) }
    }

    /// What a text says that one of these keys signed as of the type `typ`, and which.
    ///
    /// Errors: it is anything else, by a single bit.
    pub fn verified<'a, C: DeserializeOwned>(
        keys: &'a [Self],
        typ: &str,
        text: &str,
    ) -> Result<(C, &'a Self), NotSigned> {
        let (signed, signature) = text.rsplit_once('.').ok_or(NotSigned)?;
        let (header, content) = signed.split_once('.').ok_or(NotSigned)?;
        let bytes = |part: &str| BASE64.decode(part).map_err(|_| NotSigned);
        let header: Header = serde_json::from_slice(&bytes(header)?).map_err(|_| NotSigned)?;
        let key = keys.iter().find(|key| key.id == header.kid).ok_or(NotSigned)?;
        if header.alg != ALGORITHM || header.typ != typ {
            return Err(NotSigned);
        }
        let signature = Signature::from_slice(&bytes(signature)?).map_err(|_| NotSigned)?;
        key.key.verify_strict(signed.as_bytes(), &signature).map_err(|_| NotSigned)?;
        let content = serde_json::from_slice(&bytes(content)?).map_err(|_| NotSigned)?;
        Ok((content, key))
    }
}

/// Signs by one key.
#[derive(Clone)]
pub struct Jws {
    key: Arc<SigningKey>,
    public: JwsKey,
}

impl std::fmt::Debug for Jws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jws").field("key", &self.public.id).finish_non_exhaustive()
    }
}

impl Jws {
    /// With the key in `file`, which is made, for its owner's eyes only, where it is not there.
    pub fn open(file: &Path) -> Result<Self, KeyError> {
        let key = key::open(file)?;
        let public = JwsKey::of(key.verifying_key());
        Ok(Self { key: Arc::new(key), public })
    }

    /// The key by which its signatures are checked.
    pub fn public(&self) -> &JwsKey {
        &self.public
    }

    /// `content`, signed, as of the type `typ`.
    ///
    /// Errors: it is nothing that JSON can say.
    pub fn sign(&self, typ: &str, content: &impl Serialize) -> Result<String, serde_json::Error> {
        let header =
            Header { alg: ALGORITHM.to_owned(), typ: typ.to_owned(), kid: self.public.id.clone() };
        let part = |json: Vec<u8>| BASE64.encode(json);
        let header = part(serde_json::to_vec(&header)?);
        let signed = format!("{header}.{}", part(serde_json::to_vec(content)?));
        let signature = BASE64.encode(self.key.sign(signed.as_bytes()).to_bytes());
        Ok(format!("{signed}.{signature}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "test+jws";

    fn jws(folder: &Path) -> Jws {
        Jws::open(&folder.join("key.pem")).unwrap()
    }

    fn folder() -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("dunghan-jws-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        folder
    }

    #[test]
    fn a_key_is_named_by_its_thumbprint() {
        // RFC 8037, appendix A.
        let x = BASE64.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let key = JwsKey::of(VerifyingKey::from_bytes(&x.try_into().unwrap()).unwrap());
        assert_eq!(key.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let jwk: serde_json::Value = serde_json::from_str(&key.jwk()).unwrap();
        let expected = serde_json::json!({
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
            "kid": key.id(), "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        });
        assert_eq!(jwk, expected);
        assert_eq!(JwsKey::of_jwk(&key.jwk()), Ok(key.clone()));
        let other = |name: &str, value: serde_json::Value| {
            let mut other = expected.clone();
            other[name] = value;
            JwsKey::of_jwk(&other.to_string())
        };
        assert_eq!(other("kid", serde_json::Value::Null), Ok(key));
        for (name, value) in [("kid", "other"), ("kty", "EC"), ("crv", "X25519"), ("x", "AAAA")] {
            assert_eq!(other(name, value.into()), Err(NoJwk), "{name}");
        }
        assert_eq!(JwsKey::of_jwk("{"), Err(NoJwk));
    }

    #[test]
    fn what_was_signed_reads_as_its_type_by_its_key_and_not_otherwise() {
        let folder = folder();
        let (own, other) = (jws(&folder), Jws::open(&folder.join("other.pem")).unwrap());
        let keys = [other.public().clone(), own.public().clone()];
        let content = serde_json::json!({ "revision": 2, "unit": "Xã Đình Tổ" });
        let text = own.sign(TYPE, &content).unwrap();
        let verified = |keys, typ, text| JwsKey::verified::<serde_json::Value>(keys, typ, text);
        assert_eq!(verified(&keys, TYPE, &text), Ok((content, own.public())));
        assert_eq!(verified(&keys, "at+jwt", &text), Err(NotSigned));
        assert_eq!(verified(&keys[..1], TYPE, &text), Err(NotSigned));
        // Of another key that gives itself out for this one.
        let (signed, _) = text.rsplit_once('.').unwrap();
        let forged = BASE64.encode(other.key.sign(signed.as_bytes()).to_bytes());
        assert_eq!(verified(&keys, TYPE, &format!("{signed}.{forged}")), Err(NotSigned));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_text_that_differs_by_one_byte_was_not_signed() {
        let folder = folder();
        let own = jws(&folder);
        let keys = [own.public().clone()];
        let text = own.sign(TYPE, &serde_json::json!({ "report": "Báo cáo" })).unwrap();
        let verified = |text: &str| JwsKey::verified::<serde_json::Value>(&keys, TYPE, text);
        verified(&text).unwrap();
        for at in 0..text.len() {
            for byte in 0..=127 {
                let mut altered = text.clone().into_bytes();
                if altered[at] == byte {
                    continue;
                }
                altered[at] = byte;
                let altered = String::from_utf8(altered).unwrap();
                assert_eq!(verified(&altered), Err(NotSigned), "{at}: {byte}");
            }
            let (before, after) = text.split_at(at);
            assert_eq!(verified(&format!("{before}{}", &after[1..])), Err(NotSigned), "{at}");
            for more in ["A", "=", ".", " ", "\n", "ế"] {
                assert_eq!(verified(&format!("{before}{more}{after}")), Err(NotSigned), "{at}");
            }
        }
        for more in ["A", "=", ".", " ", "\n"] {
            assert_eq!(verified(&format!("{text}{more}")), Err(NotSigned));
        }
        for bad in ["", ".", "..", "...", "e30.e30.", "e30.e30.AAAA"] {
            assert_eq!(verified(bad), Err(NotSigned), "{bad}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_public_key_reads_as_openssl_writes_it() {
        use ed25519_dalek::pkcs8::EncodePublicKey as _;
        let folder = folder();
        let own = jws(&folder);
        let file = folder.join("public.pem");
        let pem = own.key.verifying_key().to_public_key_pem(Default::default()).unwrap();
        std::fs::write(&file, pem).unwrap();
        assert_eq!(JwsKey::read(&file).unwrap(), *own.public());
        let secret = JwsKey::read(&folder.join("key.pem")).unwrap_err();
        assert!(matches!(secret, KeyError::NoPublicKey(_)), "{secret}");
        let absent = JwsKey::read(&folder.join("absent.pem")).unwrap_err();
        assert!(matches!(absent, KeyError::File(..)), "{absent}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
