//! Its section of the configuration.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

/// The key that signs receipts, and where attached files are kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The file with the Ed25519 key that signs receipts (PKCS #8, PEM), the same for all processes of submission. Empty:
    /// `receipt.pem` in the data folder. It is made where it is not there.
    pub receipt_key: String,
    /// The files with the public keys (PEM) that signed receipts before that one did, with commas between them: by these too
    /// receipts are checked.
    pub earlier_receipt_keys: String,
    /// Where attached files are kept.
    pub attachments: Attachments,
}

impl Config {
    /// The file with the key that signs receipts.
    pub fn receipt_key_file(&self, data_folder: &Path) -> PathBuf {
        match self.receipt_key.as_str() {
            "" => data_folder.join("receipt.pem"),
            file => file.into(),
        }
    }
}

/// Where attached files are kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Attachments {
    /// Where attached files are: `s3://BUCKET` or `s3://BUCKET/PREFIX` in a store that speaks S3, or a folder. Empty: the folder
    /// `attachments` in the data folder. All processes of submission need the same.
    #[serde(deserialize_with = "location")]
    pub location: String,
    /// The address of the S3 store, for example `https://s3.example:9000`. Empty: that of Amazon in the region.
    #[serde(deserialize_with = "endpoint")]
    pub endpoint: String,
    /// The region of the S3 store, by which requests are signed.
    pub region: String,
    /// The file that holds the access key of the S3 store. It and the next are read at the start.
    pub access_key_file: String,
    /// The file that holds the secret key of the S3 store.
    pub secret_key_file: String,
}

impl Default for Attachments {
    fn default() -> Self {
        Self {
            location: String::new(),
            endpoint: String::new(),
            region: "us-east-1".to_owned(),
            access_key_file: String::new(),
            secret_key_file: String::new(),
        }
    }
}

impl Attachments {
    /// Where they are.
    pub(crate) fn place(&self, data_folder: &Path) -> Result<Place, NotAPlace> {
        match self.location.as_str() {
            "" => Ok(Place::Folder(data_folder.join("attachments"))),
            location => location.parse(),
        }
    }

    /// The folder that they are in; none: they are in a store elsewhere.
    pub fn folder(&self, data_folder: &Path) -> Option<PathBuf> {
        match self.place(data_folder) {
            Ok(Place::Folder(folder)) => Some(folder),
            Ok(Place::S3 { .. }) | Err(NotAPlace) => None,
        }
    }
}

/// A place for attached files, as [`Attachments::location`] writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A bucket.
    S3 {
        /// Its name.
        bucket: String,
        /// What the keys in it begin with, without slashes around it; may be empty.
        prefix: String,
    },
}

/// A text that is no place for files. It does not repeat the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAPlace;

impl fmt::Display for NotAPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a folder, s3://BUCKET or s3://BUCKET/PREFIX, without keys in it: these stand in files",
        )
    }
}

impl FromStr for Place {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self::Folder(text.into()));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let prefix = prefix.trim_matches('/');
        let plain = prefix.split('/').all(|part| part.chars().all(named) && part != "..");
        if scheme != "s3" || bucket.is_empty() || !bucket.chars().all(named) || !plain {
            return Err(NotAPlace);
        }
        Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

fn location<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.parse::<Place>() {
        Ok(_) => Ok(text),
        Err(refused) => {
            Err(D::Error::invalid_value(Unexpected::Other("another text"), &&*refused.to_string()))
        }
    }
}

fn endpoint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let is_host = |host: &str| !host.is_empty() && !host.contains(['@', '/', '?', '#', ' ']);
    if text.is_empty() || host.map(|host| host.trim_end_matches('/')).is_some_and(is_host) {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    // It may hold a password.
    let expected = "http:// or https:// with a name and a port, without a user or a path";
    Err(D::Error::invalid_value(Unexpected::Other("another text"), &expected))
}

#[cfg(test)]
mod tests {
    use dunghan_host::{Sources, Suite};

    use super::*;
    use crate::Submission;

    /// What is said of a configuration with these keys.
    fn read(keys: &[(&str, &str)]) -> Result<String, String> {
        let overrides =
            keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let sources = Sources { overrides, ..Sources::default() };
        let suite = Suite::new().with::<Submission>();
        let config = dunghan_host::Config::read(&sources, &suite.names()).unwrap();
        suite.show_config(&config).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_place_is_a_folder_or_a_bucket_with_what_its_keys_begin_with() {
        let s3 = |bucket: &str, prefix: &str| Place::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        };
        for (text, place) in [
            ("", Place::Folder("/data/attachments".into())),
            ("/srv/tệp đính kèm", Place::Folder("/srv/tệp đính kèm".into())),
            ("s3://bao-cao", s3("bao-cao", "")),
            ("s3://bao-cao/", s3("bao-cao", "")),
            ("s3://bao-cao/dunghan/2026", s3("bao-cao", "dunghan/2026")),
        ] {
            let config = Attachments { location: text.to_owned(), ..Attachments::default() };
            assert_eq!(config.place(Path::new("/data")), Ok(place), "{text}");
        }
        for bad in ["s3://", "gs://bao-cao", "file:///srv", "s3://a:hoasen@bao-cao", "s3://b/../c"]
        {
            assert_eq!(bad.parse::<Place>(), Err(NotAPlace), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_names_the_files_of_the_keys_and_what_is_refused_repeats_no_password() {
        let shown = read(&[
            ("submission.attachments.location", "s3://bao-cao/dunghan"),
            ("submission.attachments.endpoint", "https://s3.example:9000/"),
            ("submission.attachments.secret_key_file", "/run/secrets/secret_key"),
        ]);
        let shown = shown.unwrap();
        for part in
            ["s3://bao-cao/dunghan", "\"https://s3.example:9000\"", "/run/secrets/secret_key"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        for (key, value) in [
            ("location", "s3://khoa:hoasen@bao-cao"),
            ("endpoint", "https://khoa:hoasen@s3.example"),
            ("endpoint", "s3.example:9000"),
            ("endpoint", "https://s3.example/duong-dan"),
        ] {
            let key = format!("submission.attachments.{key}");
            let refused = read(&[(&key, value)]).unwrap_err();
            assert!(refused.contains(&key) && !refused.contains("hoasen"), "{refused}");
        }
    }
}
