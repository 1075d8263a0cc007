//! Configuration: what is compiled in < a file < the environment < flags. Unknown keys are refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use dunghan_rpc::{Addresses, NotAnAddress};
use dunghan_store::Location;
use figment::error::{Actual, Kind};
use figment::providers::{Env, Format as _, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Metadata, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Variables that the commands read themselves, and that are no keys of the configuration.
const NOT_KEYS: [&str; 4] = ["token", "address", "data_dir", "config"];

/// The sections that are no service's.
const OWN_SECTIONS: [&str; 9] =
    ["server", "admin", "feeds", "peers", "storage", "auth", "log", "telemetry", "test"];

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

/// What calendars subscribe to over plain HTTP: `/units/UUID/owed.ics`, what a unit owes, for whoever brings a token that may
/// read it. Put what encrypts in front of it. Only a process in which compliance runs listens there.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Feeds {
    /// Address and port, for example `127.0.0.1:7880`. Empty: none.
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
    /// Section `feeds`.
    pub feeds: Feeds,
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
    /// Each service's section is still in it.
    figment: Figment,
    data_dir: PathBuf,
}

/// The configuration does not read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value is of the wrong kind, or a key is unknown: which, from where, and what is wrong with it.
    #[error("the configuration does not read: {0}{1}: {2}")]
    Read(String, String, String),
    /// A section that nobody reads, and from where it comes.
    #[error("the configuration does not read: there is no section {0}{1}; the sections are {2}")]
    UnknownSection(String, String, String),
    /// Nothing can listen there.
    #[error("{0}: {1:?} is not an address and a port such as 127.0.0.1:7878; names do not do")]
    NotListenable(&'static str, String),
    /// A peer is not at what is said.
    #[error("peers.{0}: {1}")]
    PeerAddress(String, #[source] NotAnAddress),
    /// A service that runs here asks one that does not, and nobody said where that is.
    #[error(
        "{0} asks {1}, which does not run in this process: set peers.{1} to its address, or run it here"
    )]
    NoPeer(&'static str, &'static str),
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
        let sections: Dict = figment.extract().map_err(|e| unreadable(e, None))?;
        let unknown = sections.keys().find(|section| {
            !OWN_SECTIONS.contains(&section.as_str()) && !services.contains(&section.as_str())
        });
        if let Some(unknown) = unknown {
            let origin = origin(figment.find_metadata(unknown), std::slice::from_ref(unknown));
            // What only tests set is not told.
            let known = OWN_SECTIONS.iter().filter(|one| **one != "test").chain(services);
            let known = known.copied().collect::<Vec<_>>().join(", ");
            return Err(ConfigError::UnknownSection(unknown.clone(), origin, known));
        }
        let config = Self {
            server: section(&figment, "server")?,
            admin: section(&figment, "admin")?,
            feeds: section(&figment, "feeds")?,
            peers: section(&figment, "peers")?,
            storage: section(&figment, "storage")?,
            auth: section(&figment, "auth")?,
            log: section(&figment, "log")?,
            telemetry: section(&figment, "telemetry")?,
            test: section(&figment, "test")?,
            figment,
            data_dir: sources.data_dir.clone(),
        };
        config.checked(services)
    }

    /// What types cannot say.
    fn checked(self, services: &[&'static str]) -> Result<Self, ConfigError> {
        if let Some(peer) = self.peers.0.keys().find(|peer| !services.contains(&peer.as_str())) {
            return Err(ConfigError::UnknownPeer(peer.clone(), services.join(", ")));
        }
        for (peer, addresses) in self.peers.0.iter().filter(|(_, at)| !at.trim().is_empty()) {
            // What stands before an @ is no part of an address, and is not repeated.
            let read = without_credentials(addresses).parse::<Addresses>();
            read.map_err(|e| ConfigError::PeerAddress(peer.clone(), e))?;
        }
        for (key, listen) in [
            ("server.listen", &self.server.listen),
            ("admin.listen", &self.admin.listen),
            ("feeds.listen", &self.feeds.listen),
        ] {
            let none = key != "server.listen" && listen.is_empty();
            if !none && listen.parse::<SocketAddr>().is_err() {
                return Err(ConfigError::NotListenable(key, listen.clone()));
            }
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
        let mut sections = toml::Table::new();
        let mut put = |name: &str, section| sections.insert(name.to_owned(), section);
        put("server", toml::Value::try_from(&self.server)?);
        put("admin", toml::Value::try_from(&self.admin)?);
        put("feeds", toml::Value::try_from(&self.feeds)?);
        put("peers", toml::Value::try_from(&self.peers)?);
        put("storage", toml::Value::try_from(storage)?);
        put("auth", toml::Value::try_from(auth)?);
        put("log", toml::Value::try_from(&self.log)?);
        put("telemetry", toml::Value::try_from(telemetry)?);
        Ok(sections)
    }

    /// A service's own section.
    pub fn service<C: DeserializeOwned + Default>(&self, name: &str) -> Result<C, ConfigError> {
        section(&self.figment, name)
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

    /// The folder for what is in no database, where nothing else is said of it.
    pub fn data_folder(&self) -> &Path {
        &self.data_dir
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
    if !figment.contains(name) {
        return Ok(C::default());
    }
    figment.extract_inner(name).map_err(|e| unreadable(e, Some(name)))
}

/// What is wrong in an operator's words: the key, where it stands, and what belongs there.
fn unreadable(error: figment::Error, section: Option<&str>) -> ConfigError {
    let mut path = error.path;
    if let Some(section) = section {
        // It stands at the end, after what is inside of it.
        if path.last().is_some_and(|last| last == section) {
            path.pop();
        }
        path.insert(0, section.to_owned());
    }
    let origin = origin(error.metadata.as_ref(), &path);
    let problem = match error.kind {
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            // It may be a database's address in the wrong place, with its password.
            let actual = match actual {
                Actual::Str(text) if text.contains('@') => "a text with an @".to_owned(),
                actual => actual.to_string(),
            };
            let expected = match expected.as_str() {
                "a string" => "text",
                "a boolean" => "true or false",
                "f64" => "a number",
                "u16" | "u32" | "u64" | "usize" => "a whole number",
                other => other,
            };
            format!("has to be {expected}, and is {actual}")
        }
        Kind::UnknownVariant(actual, known) => {
            format!("has to be {}, and is {actual}", known.join(" or "))
        }
        Kind::UnknownField(_, known) => {
            format!("there is no such key; beside it there are {}", known.join(", "))
        }
        other => other.to_string(),
    };
    ConfigError::Read(path.join("."), origin, problem)
}

/// Where a key stands, in brackets: the file, the variable, or the flags.
fn origin(metadata: Option<&Metadata>, path: &[String]) -> String {
    let Some(metadata) = metadata else { return String::new() };
    match &metadata.source {
        Some(Source::File(file)) => format!(" (in {})", file.display()),
        Some(Source::Code(_)) => " (a flag)".to_owned(),
        Some(other) => format!(" ({other})"),
        None => format!(" (DUNGHAN_{} in the environment)", path.join("__").to_uppercase()),
    }
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
            ("peers.compliance", "http://one:1,http://two:2"),
            ("telemetry.otlp_endpoint", "http://lan:hoasen@collector:4317"),
            ("test.clock", "/run/hoasen"),
        ]);
        let shown = shown.unwrap().shown().unwrap().to_string();
        assert!(!shown.contains("hoasen"), "{shown}");
        for kept in ["http://one:1,http://two:2", "http://…@collector:4317", "@db/dunghan"] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
        let refused = read(&[("peers.compliance", "http://lan:hoasen@one:1")]).unwrap_err();
        assert!(!refused.to_string().contains("hoasen"), "{refused}");
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
    fn a_password_in_the_wrong_place_is_not_repeated() {
        let told = read(&[("storage", "postgres://dunghan:mat-khau@db/dunghan")]).unwrap_err();
        assert!(told.to_string().contains("storage"), "{told}");
        assert!(!format!("{told:?}").contains("mat-khau"), "{told:?}");
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

    #[test]
    fn what_does_not_read_is_said_by_its_key_its_place_and_what_belongs_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dunghan.toml");
        let said = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let sources = Sources { file: Some(file.clone()), ..Sources::default() };
            let refused = Config::read(&sources, &["compliance"]).unwrap_err().to_string();
            refused.replace(&folder.path().display().to_string(), "…")
        };
        let begin = "the configuration does not read: ";
        assert_eq!(
            said("[server]\nlisen = 'x'"),
            format!(
                "{begin}server.lisen (in …/dunghan.toml): there is no such key; beside it there are \
                 listen, reflection, call_limit_s, drain_limit_s"
            )
        );
        assert_eq!(
            said("[server]\ndrain_limit_s = 'long'"),
            format!(
                "{begin}server.drain_limit_s (in …/dunghan.toml): has to be a whole number, and is \
                 string \"long\""
            )
        );
        let section = said("[sever]\nlisten = 'x'");
        assert!(
            section.starts_with(&format!("{begin}there is no section sever (in …/dunghan.toml); "))
        );
        assert!(!section.contains("test"), "{section}");
        let flag = read(&[("storage.migrations", "never")]).unwrap_err().to_string();
        let expected = "storage.migrations (a flag): has to be apply or check, and is never";
        assert_eq!(flag, format!("{begin}{expected}"));
    }

    #[test]
    fn an_address_is_looked_at_before_anything_is_bound() {
        for (key, value) in [
            ("server.listen", "localhost:7878"),
            ("server.listen", ""),
            ("admin.listen", "127.0.0.1"),
            ("feeds.listen", "localhost:7880"),
            ("peers.compliance", "compliance:7878"),
            ("peers.compliance", "https://compliance:7878"),
        ] {
            let refused = read(&[(key, value)]).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("{key}: {value:?}")), "{refused}");
        }
    }
}
