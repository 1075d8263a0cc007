//! Where the data of a measurement is: nowhere where other data is, and nowhere afterwards.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use dunghan_store::Location;
use sea_orm_migration::sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, Statement,
};
use tempfile::TempDir;
use uuid::Uuid;

/// Where databases are made for measurements: a new folder for SQLite files, or a PostgreSQL server. Nothing that is there
/// already is read or changed.
#[derive(Debug)]
pub struct Ground {
    /// For what is in no database too.
    folder: TempDir,
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    url: String,
    /// The databases that were made and not yet dropped.
    made: Mutex<Vec<String>>,
}

/// Where one measurement has its data.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) location: Location,
    pub(crate) folder: PathBuf,
}

impl Ground {
    /// On that server, in a folder of its own inside that folder, or in a temporary one.
    pub fn new(location: Option<Location>) -> anyhow::Result<Self> {
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix("dunghan-bench-");
        let (folder, url) = match location {
            Some(Location::Sqlite(within)) => (builder.tempdir_in(within), None),
            Some(Location::Postgres(url)) => (builder.tempdir(), Some(url)),
            None => (builder.tempdir(), None),
        };
        let folder = folder.context("no folder can be made for the data")?;
        Ok(Self { folder, server: url.map(|url| Server { url, made: Mutex::default() }) })
    }

    /// `sqlite` or `postgres`.
    pub fn engine(&self) -> &'static str {
        if self.server.is_some() { "postgres" } else { "sqlite" }
    }

    /// Empty.
    pub(crate) async fn place(&self) -> anyhow::Result<Place> {
        let name = format!("dunghan_bench_{}", Uuid::now_v7().simple());
        let folder = self.folder.path().join(&name);
        std::fs::create_dir(&folder).context("no folder can be made for the data")?;
        let location = match &self.server {
            None => Location::Sqlite(folder.clone()),
            Some(server) => Location::Postgres(server.make(&name).await?),
        };
        Ok(Place { location, folder })
    }

    /// Removes what one measurement left.
    pub(crate) async fn clear(&self, place: Place) -> anyhow::Result<()> {
        std::fs::remove_dir_all(&place.folder).context("the data was not removed")?;
        let name = place.folder.file_name().and_then(|name| name.to_str());
        match (&self.server, name) {
            (Some(server), Some(name)) => server.drop_databases(&[name.to_owned()]).await,
            _ => Ok(()),
        }
    }

    /// Removes whatever is left, also after a failure or half way.
    pub async fn remove(self) -> anyhow::Result<()> {
        if let Some(server) = &self.server {
            let made = server.made.lock().unwrap_or_else(PoisonError::into_inner).clone();
            server.drop_databases(&made).await?;
        }
        self.folder.close().context("the data was not removed")
    }
}

impl Server {
    /// Makes an empty database, and gives its URL.
    async fn make(&self, name: &str) -> anyhow::Result<String> {
        let server = connect(&self.url).await?;
        let sql = format!("CREATE DATABASE {name}");
        server.execute_unprepared(&sql).await.context("no database can be made there")?;
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
        server.close().await?;
        let url = of_database(&self.url, name);
        // Whatever a URL can say: a parameter of it may name another database.
        let made = connect(&url).await?;
        let asked =
            Statement::from_string(made.get_database_backend(), "SELECT current_database()");
        let row = made.query_one_raw(asked).await?.context("the database has no name")?;
        let found: String = row.try_get_by_index(0)?;
        made.close().await?;
        ensure!(found == name, "the URL names the database {found} by a parameter: leave that out");
        Ok(url)
    }

    async fn drop_databases(&self, names: &[String]) -> anyhow::Result<()> {
        let server = connect(&self.url).await?;
        for name in names {
            // A connection may be on its way out still.
            let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            let dropped = server.execute_unprepared(&sql).await;
            dropped.with_context(|| format!("the database {name} was not dropped"))?;
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.retain(|one| one != name);
        }
        Ok(server.close().await?)
    }
}

async fn connect(url: &str) -> anyhow::Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.context("the PostgreSQL server cannot be reached")
}

/// The URL with another database in its path.
fn of_database(url: &str, name: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (path, query) = rest
        .split_once('?')
        .map_or((rest, String::new()), |(path, query)| (path, format!("?{query}")));
    let host = path.split_once('/').map_or(path, |(host, _)| host);
    format!("{scheme}://{host}/{name}{query}")
}
