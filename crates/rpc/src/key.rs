//! Ed25519 keys in files, in PEM.

use std::path::Path;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _};
use ed25519_dalek::{SigningKey, VerifyingKey};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or made.
    #[error("the key file {0} cannot be read or made")]
    File(String, #[source] std::io::Error),
    /// The file holds no private key.
    #[error("{0} does not hold an Ed25519 key in PKCS #8 PEM")]
    NoKey(String),
    /// The file holds no public key.
    #[error("{0} does not hold an Ed25519 public key in PEM")]
    NoPublicKey(String),
}

/// The key in `file`, which is made, for its owner's eyes only, where it is not there.
pub(crate) fn open(file: &Path) -> Result<SigningKey, KeyError> {
    let shown = file.display().to_string();
    if !file.exists() {
        let key = SigningKey::generate(&mut rand_core::OsRng);
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::NoKey(shown.clone()))?;
        write_secret(file, pem.as_bytes()).map_err(|e| KeyError::File(shown, e))?;
    }
    read(file)
}

/// The key in `file`.
pub(crate) fn read(file: &Path) -> Result<SigningKey, KeyError> {
    let (shown, pem) = text(file)?;
    SigningKey::from_pkcs8_pem(&pem).map_err(|_| KeyError::NoKey(shown))
}

/// The public key in `file`.
pub(crate) fn read_public(file: &Path) -> Result<VerifyingKey, KeyError> {
    let (shown, pem) = text(file)?;
    VerifyingKey::from_public_key_pem(&pem).map_err(|_| KeyError::NoPublicKey(shown))
}

fn text(file: &Path) -> Result<(String, String), KeyError> {
    let shown = file.display().to_string();
    match std::fs::read_to_string(file) {
        Ok(pem) => Ok((shown, pem)),
        Err(error) => Err(KeyError::File(shown, error)),
    }
}

/// Makes a file for its owner's eyes only, whole or not at all, where it is not there: a process that is killed on the
/// way leaves no half a key behind, with which none would start again, and of several at once one makes it.
fn write_secret(file: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    if let Some(folder) = file.parent() {
        // It may be the data folder, of which this is the first file: what comes into it is for its owner alone as well.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let draft = file.with_extension(format!("{}.new", uuid::Uuid::now_v7()));
    let mut options = std::fs::OpenOptions::new();
    let mut written = options.write(true).create_new(true).mode(0o600).open(&draft)?;
    written.write_all(content)?;
    written.sync_all()?;
    match std::fs::hard_link(&draft, file) {
        Ok(()) => std::fs::remove_file(&draft),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => std::fs::remove_file(&draft),
        // Not every file system has links.
        Err(_) => std::fs::rename(&draft, file),
    }
}
