//! Databases for tests: each its own.

use std::path::Path;

use dunghan_store::Location;
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database};
use tempfile::TempDir;

use crate::Postgres;

/// Names the PostgreSQL server for tests, as `postgres://…`; `make test` starts one and sets it.
pub const POSTGRES_VARIABLE: &str = "DUNGHAN_TEST_POSTGRES";

/// A database engine that tests run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Files in a temporary folder.
    Sqlite,
    /// A new database on the server that `DUNGHAN_TEST_POSTGRES` names.
    Postgres,
}

/// Both engines: a rule that holds on one alone does not hold.
pub const ENGINES: [Engine; 2] = [Engine::Sqlite, Engine::Postgres];

/// Somewhere for data that nobody else uses. A folder is gone with the value; a database stays until its server goes.
#[derive(Debug)]
pub struct Place {
    /// Where the services keep their data.
    pub location: Location,
    folder: TempDir,
}

impl Place {
    /// An empty one.
    ///
    /// Panics where `DUNGHAN_TEST_POSTGRES` names no server: a test that skips an engine in silence tests nothing.
    pub async fn new(engine: Engine) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        match engine {
            Engine::Sqlite => Self { location: Location::Sqlite(folder.path().to_owned()), folder },
            Engine::Postgres => {
                let server = std::env::var(POSTGRES_VARIABLE).unwrap_or_else(|_| {
                    panic!("{POSTGRES_VARIABLE} names no PostgreSQL server: run `make test`")
                });
                Self { location: new_database(&server).await, folder }
            }
        }
    }

    /// An empty database on a server of the test's own.
    pub async fn on(server: &Postgres) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self { location: new_database(&server.url()).await, folder }
    }

    /// The folder for what is in no database: the issuer's key, the time.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

async fn new_database(server: &str) -> Location {
    let name = format!("t{}", uuid::Uuid::now_v7().simple());
    let mut options = ConnectOptions::new(server);
    options.max_connections(1).sqlx_logging(false);
    let connection = Database::connect(options).await.expect("the PostgreSQL server");
    let sql = format!("CREATE DATABASE {name}");
    connection.execute_unprepared(&sql).await.expect("a new database");
    connection.close().await.expect("a closed connection");
    let (base, query) = server.split_once('?').unwrap_or((server, ""));
    let (base, _) = base.rsplit_once('/').unwrap_or((base, ""));
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    Location::Postgres(format!("{base}/{name}{query}"))
}
