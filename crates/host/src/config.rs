//! Configuration: what is compiled in < a file < the environment < flags. Unknown keys are refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use dunghan_store::Location;
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use figment::value::{Dict, Value};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Variables that the commands read themselves, and that are no keys of the configuration.
const NOT_KEYS: [&str; 4] = ["token", "address", "data_dir", "config"];

/// What a first start says in these two is of no use to anybody.
const DEFAULT_FILTER: &str = "info,sea_orm_migration=warn,tokio_cron_scheduler=warn";

/// Where the server listens and how it stops.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port; port 0 is any free one.
    pub listen: String,
    /// Whether clients may ask for the contract.
    pub reflection: bool,
    /// Seconds that calls in flight get when the process stops.
    pub drain_limit_s: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self { listen: "127.0.0.1:7878".to_owned(), reflection: true, drain_limit_s: 10 }
    }
}

/// Where the data is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// `sqlite:FOLDER` or `postgres://…`; empty: SQLite in the data folder.
    pub location: String,
}

/// Whose tokens hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// The local issuer's key; empty: `issuer.pem` in the data folder, made at the first start.
    pub issuer_key: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// For people or for programs.
    pub format: LogFormat,
    /// As RUST_LOG, for example `info,dunghan_compliance=debug`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: DEFAULT_FILTER.to_owned() }
    }
}

/// Where the configuration comes from, besides what is compiled in.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// The folder for data, where nothing else is said.
    pub data_dir: PathBuf,
    /// Keys and values given as flags: `server.listen`, `127.0.0.1:0`.
    pub overrides: Vec<(String, String)>,
    /// Whether `DUNGHAN_SECTION__KEY` counts.
    pub environment: bool,
}

/// The configuration of a process.
#[derive(Clone, Debug)]
pub struct Config {
    /// Section `server`.
    pub server: Server,
    /// Section `storage`.
    pub storage: Storage,
    /// Section `auth`.
    pub auth: Auth,
    /// Section `log`.
    pub log: Log,
    /// Each service's section, as it was read.
    services: BTreeMap<String, Value>,
    data_dir: PathBuf,
}

/// The configuration does not read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value is of the wrong kind, or a key is unknown.
    #[error("the configuration does not read: {0}")]
    Read(#[from] Box<figment::Error>),
    /// A section that nobody reads.
    #[error("the configuration has a section {0} that there is not")]
    UnknownSection(String),
    /// The configuration file is not there.
    #[error("there is no configuration file {}", .0.display())]
    NoFile(PathBuf),
}

impl From<figment::Error> for ConfigError {
    fn from(error: figment::Error) -> Self {
        Self::Read(Box::new(error))
    }
}

impl Config {
    /// Reads the configuration for the services of these names.
    ///
    /// Errors: a key or section that there is not, or a value that does not read; the message says which and where.
    pub fn read(sources: &Sources, services: &[&'static str]) -> Result<Self, ConfigError> {
        let mut figment = Figment::new();
        if let Some(file) = &sources.file {
            if !file.exists() {
                return Err(ConfigError::NoFile(file.clone()));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        if sources.environment {
            figment = figment.merge(Env::prefixed("DUNGHAN_").ignore(&NOT_KEYS).split("__"));
        }
        for (key, value) in &sources.overrides {
            // As the environment's values are read: 5 is a number, true is a truth, all else is text.
            let value: Value = value.parse().unwrap_or_else(|never| match never {});
            figment = figment.merge(Serialized::default(key, value));
        }
        let sections: Dict = figment.extract()?;
        let own = ["server", "storage", "auth", "log"];
        let unknown = sections.keys().find(|section| {
            !own.contains(&section.as_str()) && !services.contains(&section.as_str())
        });
        if let Some(unknown) = unknown {
            return Err(ConfigError::UnknownSection(unknown.clone()));
        }
        Ok(Self {
            server: section(&figment, "server")?,
            storage: section(&figment, "storage")?,
            auth: section(&figment, "auth")?,
            log: section(&figment, "log")?,
            services: sections
                .into_iter()
                .filter(|(name, _)| !own.contains(&name.as_str()))
                .collect(),
            data_dir: sources.data_dir.clone(),
        })
    }

    /// A service's own section.
    pub fn service<C: DeserializeOwned + Default>(&self, name: &str) -> Result<C, ConfigError> {
        match self.services.get(name) {
            None => Ok(C::default()),
            Some(value) => Ok(value.deserialize::<C>().map_err(|e| e.with_path(name))?),
        }
    }

    /// Where the data is.
    pub fn location(&self) -> Result<Location, dunghan_store::Error> {
        if self.storage.location.is_empty() {
            return Ok(Location::Sqlite(self.data_dir.clone()));
        }
        Location::from_str(&self.storage.location)
    }

    /// The local issuer's key file.
    pub fn issuer_key(&self) -> PathBuf {
        if self.auth.issuer_key.is_empty() {
            self.data_dir.join("issuer.pem")
        } else {
            Path::new(&self.auth.issuer_key).to_owned()
        }
    }
}

fn section<C: DeserializeOwned + Default>(figment: &Figment, name: &str) -> Result<C, ConfigError> {
    if figment.contains(name) { Ok(figment.extract_inner(name)?) } else { Ok(C::default()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(overrides: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let overrides =
            overrides.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Config::read(&Sources { overrides, ..Sources::default() }, &["compliance"])
    }

    #[test]
    fn a_key_that_there_is_not_is_refused_by_name() {
        assert_eq!(read(&[("server.listen", "[::1]:0")]).unwrap().server.listen, "[::1]:0");
        assert_eq!(read(&[("server.drain_limit_s", "5")]).unwrap().server.drain_limit_s, 5);
        let unknown = read(&[("server.port", "80")]).unwrap_err().to_string();
        assert!(unknown.contains("port"), "{unknown}");
        let unknown = read(&[("complience.sweep", "x")]).unwrap_err().to_string();
        assert!(unknown.contains("complience"), "{unknown}");
    }
}
