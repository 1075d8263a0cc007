//! Configuration: what is compiled in < a file < the environment < flags. Unknown keys are refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use dunghan_store::Location;
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use figment::value::{Dict, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Variables that the commands read themselves, and that are no keys of the configuration.
const NOT_KEYS: [&str; 4] = ["token", "address", "data_dir", "config"];

/// The sections that are no service's.
const OWN_SECTIONS: [&str; 8] =
    ["server", "admin", "peers", "storage", "auth", "log", "telemetry", "test"];

/// What a first start says in these two is of no use to anybody.
const DEFAULT_FILTER: &str = "info,sea_orm_migration=warn,tokio_cron_scheduler=warn";

/// Where the services listen, and how calls and the process end.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port for gRPC, for example `0.0.0.0:7878`. Port 0 is any free one; the log says which.
    pub listen: String,
    /// Whether clients may ask for the contract by gRPC reflection.
    pub reflection: bool,
    /// Seconds that a call may take, unless its client allows less. Streams and imports are not limited by it.
    pub call_limit_s: u64,
    /// Seconds that calls under way get when the process is told to stop. What takes longer is cut off. Leave the
    /// process a few seconds more than this before it is killed.
    pub drain_limit_s: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7878".to_owned(),
            reflection: true,
            call_limit_s: 60,
            drain_limit_s: 10,
        }
    }
}

/// What operators and their machines ask over plain HTTP: `/metrics` for Prometheus and `/health`. There is no token:
/// only those who may see it should reach the address.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address and port, for example `127.0.0.1:9090`. Empty: none.
    pub listen: String,
}

/// Where the services are that do not run in this process. A service that runs here is never called by its address.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Peers(pub BTreeMap<String, String>);

/// Who brings the tables up to date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Migrating {
    /// Each process at its start, one at a time.
    #[default]
    Apply,
    /// `dunghan migrate`. The process waits for it, is not ready meanwhile, and needs no right to change tables.
    Check,
}

/// Where the data is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// `sqlite:FOLDER`, one file for each service, or `postgres://USER:PASSWORD@HOST/DATABASE`, one schema for each.
    /// `file:PATH`: what that file holds, for an address with a password in it. Empty: SQLite in the data folder.
    pub location: String,
    /// Who brings the tables up to date: `apply`, each process at its start, one at a time; or `check`, nobody but
    /// `dunghan migrate`: a process waits until it was run, and needs no right to change tables.
    pub migrations: Migrating,
}

/// Whose tokens hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// The file with the issuer's Ed25519 key (PKCS #8, PEM), the same for all processes of an installation. Empty:
    /// `issuer.pem` in the data folder. It is made where it is not there.
    pub issuer_key: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, to standard error.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `text` for people, `json` for programs: one object a line.
    pub format: LogFormat,
    /// Levels by module, as in RUST_LOG: `info,dunghan_compliance=debug`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: DEFAULT_FILTER.to_owned() }
    }
}

/// Traces and metrics for a collector.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// The collector, by OTLP over gRPC, for example `http://127.0.0.1:4317`. Empty: nothing is sent.
    pub otlp_endpoint: String,
    /// The share of traces that is sent, from 0 to 1, decided where a trace begins.
    pub sample_ratio: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { otlp_endpoint: String::new(), sample_ratio: 1.0 }
    }
}

/// What only tests set; it is not in the reference and not shown.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Test {
    /// A file that holds the time by which the services judge; empty: the machine's clock.
    pub clock: String,
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
    /// Section `admin`.
    pub admin: Admin,
    /// Section `peers`.
    pub peers: Peers,
    /// Section `storage`.
    pub storage: Storage,
    /// Section `auth`.
    pub auth: Auth,
    /// Section `log`.
    pub log: Log,
    /// Section `telemetry`.
    pub telemetry: Telemetry,
    /// Section `test`.
    pub test: Test,
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
    /// A peer that is no service.
    #[error("peers.{0} names no service; the services are {1}")]
    UnknownPeer(String, String),
    /// A number outside of what makes sense.
    #[error("{0} must be {1}")]
    OutOfRange(&'static str, &'static str),
    /// The data is nowhere.
    #[error(transparent)]
    Location(#[from] dunghan_store::Error),
    /// The file that should hold where the data is cannot be read.
    #[error("storage.location: the file {0} cannot be read: {1}")]
    LocationFile(String, #[source] std::io::Error),
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
        let unknown = sections.keys().find(|section| {
            !OWN_SECTIONS.contains(&section.as_str()) && !services.contains(&section.as_str())
        });
        if let Some(unknown) = unknown {
            return Err(ConfigError::UnknownSection(unknown.clone()));
        }
        let config = Self {
            server: section(&figment, "server")?,
            admin: section(&figment, "admin")?,
            peers: section(&figment, "peers")?,
            storage: section(&figment, "storage")?,
            auth: section(&figment, "auth")?,
            log: section(&figment, "log")?,
            telemetry: section(&figment, "telemetry")?,
            test: section(&figment, "test")?,
            services: sections
                .into_iter()
                .filter(|(name, _)| !OWN_SECTIONS.contains(&name.as_str()))
                .collect(),
            data_dir: sources.data_dir.clone(),
        };
        config.checked(services)
    }

    /// What types cannot say.
    fn checked(self, services: &[&'static str]) -> Result<Self, ConfigError> {
        if let Some(peer) = self.peers.0.keys().find(|peer| !services.contains(&peer.as_str())) {
            return Err(ConfigError::UnknownPeer(peer.clone(), services.join(", ")));
        }
        if !(0.0..=1.0).contains(&self.telemetry.sample_ratio) {
            return Err(ConfigError::OutOfRange("telemetry.sample_ratio", "from 0 to 1"));
        }
        if self.server.call_limit_s == 0 {
            return Err(ConfigError::OutOfRange("server.call_limit_s", "1 at least"));
        }
        Ok(self)
    }

    /// The keys of this process with the values in force, without credentials, for `dunghan config`.
    pub(crate) fn shown(&self) -> anyhow::Result<toml::Table> {
        let mut storage = self.storage.clone();
        storage.location = format!("{:?}", self.location()?);
        let mut auth = self.auth.clone();
        auth.issuer_key = self.issuer_key().display().to_string();
        let mut telemetry = self.telemetry.clone();
        telemetry.otlp_endpoint = without_credentials(&telemetry.otlp_endpoint);
        let peers: BTreeMap<_, _> =
            self.peers.0.iter().map(|(name, at)| (name, without_credentials(at))).collect();
        let mut sections = toml::Table::new();
        let mut put = |name: &str, section| sections.insert(name.to_owned(), section);
        put("server", toml::Value::try_from(&self.server)?);
        put("admin", toml::Value::try_from(&self.admin)?);
        put("peers", toml::Value::try_from(peers)?);
        put("storage", toml::Value::try_from(storage)?);
        put("auth", toml::Value::try_from(auth)?);
        put("log", toml::Value::try_from(&self.log)?);
        put("telemetry", toml::Value::try_from(telemetry)?);
        Ok(sections)
    }

    /// A service's own section.
    pub fn service<C: DeserializeOwned + Default>(&self, name: &str) -> Result<C, ConfigError> {
        match self.services.get(name) {
            None => Ok(C::default()),
            Some(value) => Ok(value.deserialize::<C>().map_err(|e| e.with_path(name))?),
        }
    }

    /// Where the data is.
    pub fn location(&self) -> Result<Location, ConfigError> {
        let location = &self.storage.location;
        if location.is_empty() {
            return Ok(Location::Sqlite(self.data_dir.clone()));
        }
        let Some(file) = location.strip_prefix("file:") else {
            return Ok(Location::from_str(location)?);
        };
        let held = std::fs::read_to_string(file)
            .map_err(|e| ConfigError::LocationFile(file.to_owned(), e))?;
        Ok(Location::from_str(held.trim())?)
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

/// Addresses as they are written, but for a user and a password in them.
fn without_credentials(addresses: &str) -> String {
    let shown = addresses.split(',').map(|address| match address.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://…@{host}"),
            None => address.to_owned(),
        },
        None => address.to_owned(),
    });
    shown.collect::<Vec<_>>().join(",")
}

fn section<C: DeserializeOwned + Default>(figment: &Figment, name: &str) -> Result<C, ConfigError> {
    if figment.contains(name) { Ok(figment.extract_inner(name)?) } else { Ok(C::default()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_is_no_service_is_refused_with_the_names_of_those_that_are() {
        let config = read(&[("peers.compliance", "http://10.0.0.7:7878")]).unwrap();
        assert_eq!(config.peers.0["compliance"], "http://10.0.0.7:7878");
        let refused = read(&[("peers.complience", "http://10.0.0.7:7878")]).unwrap_err();
        let expected = "peers.complience names no service; the services are compliance";
        assert_eq!(refused.to_string(), expected);
    }

    #[test]
    fn a_share_is_between_0_and_1() {
        assert!(read(&[("telemetry.sample_ratio", "0.25")]).is_ok());
        for wrong in ["-0.1", "1.5", "nan"] {
            assert!(read(&[("telemetry.sample_ratio", wrong)]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_holds_no_credentials_and_nothing_of_tests() {
        let shown = read(&[
            ("storage.location", "postgres://lan:hoasen@db/dunghan"),
            ("peers.compliance", "http://lan:hoasen@one:1,http://two:2"),
            ("telemetry.otlp_endpoint", "http://lan:hoasen@collector:4317"),
            ("test.clock", "/run/hoasen"),
        ]);
        let shown = shown.unwrap().shown().unwrap().to_string();
        assert!(!shown.contains("hoasen"), "{shown}");
        for kept in ["http://…@one:1,http://two:2", "http://…@collector:4317", "@db/dunghan"] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
    }

    #[test]
    fn a_location_can_stand_in_a_file_and_is_read_from_there_without_the_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("uri");
        std::fs::write(&file, "postgres://lan:hoasen@db/dunghan\n").unwrap();
        let config = read(&[("storage.location", &format!("file:{}", file.display()))]).unwrap();
        let expected = Location::Postgres("postgres://lan:hoasen@db/dunghan".to_owned());
        assert_eq!(config.location().unwrap(), expected);
        assert!(!config.shown().unwrap().to_string().contains("hoasen"));
        std::fs::remove_file(&file).unwrap();
        let refused = config.location().unwrap_err().to_string();
        assert!(refused.contains(&file.display().to_string()), "{refused}");
    }

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
