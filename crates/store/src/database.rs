//! Opening, migrating, reading and writing.

use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database as SeaOrm, DatabaseConnection, DatabaseTransaction,
    DbBackend, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::Error;

/// Where the services keep their data. Reads and prints as `sqlite:FOLDER` or `postgres://…`.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder with one file per service.
    Sqlite(PathBuf),
    /// A database with one schema per service.
    Postgres(String),
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(folder) = text.strip_prefix("sqlite:") {
            return Ok(Self::Sqlite(folder.into()));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        // It may be a URL all the same, and hold a password.
        let scheme = text.split_once(':').map_or(text, |(scheme, _)| scheme);
        Err(Error::UnknownLocation(scheme.to_owned()))
    }
}

impl fmt::Debug for Location {
    /// Without the password that a URL may hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(folder) => write!(f, "sqlite:{}", folder.display()),
            Self::Postgres(url) => {
                // The query can hold a password as well.
                let url = url.split('?').next().unwrap_or_default();
                let after_credentials = url.rsplit_once('@').map_or("…", |(_, host)| host);
                write!(f, "postgres://…@{after_credentials}")
            }
        }
    }
}

/// One service's database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    service: &'static str,
    /// On SQLite a single connection: there is one writer at a time, and waiting for it here costs no busy loop.
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    appended: Arc<watch::Sender<u64>>,
}

impl Database {
    /// Opens the database of `service`, creating the file or the schema where it is not there.
    pub async fn open(location: &Location, service: &'static str) -> Result<Self, Error> {
        let (writer, reader) = match location {
            Location::Sqlite(folder) => {
                // For its owner alone: the files in it come out readable for everybody.
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(folder)
                    .map_err(|e| Error::Folder(folder.display().to_string(), e))?;
                let file = folder.join(format!("{service}.db"));
                let writer = connect(sqlite(&file, 1, false)).await?;
                // Only now: a reader cannot turn a new file into WAL mode.
                (writer, connect(sqlite(&file, 4, true)).await?)
            }
            Location::Postgres(url) => {
                create_schema(url, service).await?;
                let mut options = ConnectOptions::new(url);
                options
                    .max_connections(8)
                    .acquire_timeout(Duration::from_secs(5))
                    // By this the outbox knows which transactions can write to it.
                    .set_application_name(format!("dunghan-{service}"))
                    .set_schema_search_path(service);
                let pool = connect(options).await?;
                (pool.clone(), pool)
            }
        };
        Ok(Self { service, writer, reader, appended: Arc::new(watch::channel(0).0) })
    }

    /// For statements that only read, outside of transactions.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// Which engine this is.
    pub fn engine(&self) -> DbBackend {
        self.writer.get_database_backend()
    }

    /// Changes whenever this process has added to the outbox: whoever follows it need not wait for their next look.
    pub fn outbox_changes(&self) -> watch::Receiver<u64> {
        self.appended.subscribe()
    }

    /// Runs `body` in one transaction, which is committed when it returns Ok and otherwise leaves nothing.
    ///
    /// On SQLite the transaction takes the write lock at its beginning. A deferred one would fail, whatever the busy
    /// timeout, when another writer came between its first read and its first write. On PostgreSQL others write
    /// meanwhile: what is read in order to be written has to be locked, or the write to say what it was read as.
    pub async fn write<T, E: From<DbErr>>(
        &self,
        body: impl AsyncFnOnce(&Write<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let transaction = self.writer.begin_with_options(options).await?;
        let write = Write { transaction: &transaction, appended: AtomicBool::new(false) };
        match body(&write).await {
            Ok(value) => {
                let appended = write.appended.load(Ordering::Relaxed);
                transaction.commit().await?;
                if appended {
                    self.appended.send_modify(|changes| *changes = changes.wrapping_add(1));
                }
                Ok(value)
            }
            Err(error) => {
                transaction.rollback().await?;
                Err(error)
            }
        }
    }

    /// Brings the tables up to date. Safe with any number of processes at once: the first does it, the others wait.
    pub async fn migrate<M: MigratorTrait>(&self) -> Result<(), Error> {
        if self.engine() == DbBackend::Sqlite {
            // Two processes on one folder is not a mode of running; a single writer needs no lock.
            return Ok(M::up(&self.writer, None).await?);
        }
        self.write(async |lock| {
            lock.execute_unprepared(&format!(
                "SELECT pg_advisory_xact_lock({})",
                lock_key(self.service)
            ))
            .await?;
            // On another connection: the lock is only held, not used.
            M::up(&self.reader, None).await
        })
        .await
        .map_err(Error::Database)
    }

    /// Refuses tables that `migrate` has not brought up to date.
    pub async fn check_migrated<M: MigratorTrait>(&self) -> Result<(), Error> {
        let pending = M::get_pending_migrations_read_only(&self.reader).await?;
        if pending.is_empty() { Ok(()) } else { Err(Error::NotMigrated(self.service.to_owned())) }
    }
}

/// A running transaction. Everything that a connection can do, a write can.
#[derive(Debug)]
pub struct Write<'a> {
    pub(crate) transaction: &'a DatabaseTransaction,
    pub(crate) appended: AtomicBool,
}

impl std::ops::Deref for Write<'_> {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        self.transaction
    }
}

fn sqlite(file: &Path, connections: u32, read_only: bool) -> ConnectOptions {
    let file = file.to_owned();
    // The file is not in the URL, where a folder's `?`, `#` or `%` would mean something.
    let mut options = ConnectOptions::new("sqlite:file");
    options.max_connections(connections).map_sqlx_sqlite_opts(move |sqlite| {
        sqlite
            .filename(&file)
            .create_if_missing(!read_only)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: an acknowledged write survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .read_only(read_only)
    });
    // A writer waits for the one before it; a long import must not make the next one fail.
    options.acquire_timeout(Duration::from_secs(60));
    options
}

async fn connect(mut options: ConnectOptions) -> Result<DatabaseConnection, Error> {
    // Statements carry figures and names; spans and logs do not need them.
    options.sqlx_logging(false).record_stmt_in_spans(false);
    Ok(SeaOrm::connect(options).await?)
}

async fn create_schema(url: &str, service: &str) -> Result<(), Error> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1);
    let connection = connect(options).await?;
    // IF NOT EXISTS alone fails when two processes come at once.
    let sql = format!(
        "DO $$ BEGIN PERFORM pg_advisory_xact_lock({}); CREATE SCHEMA IF NOT EXISTS {service}; END $$",
        lock_key(service)
    );
    connection.execute_unprepared(&sql).await?;
    connection.close().await?;
    Ok(())
}

/// The advisory lock of a service, the same in every process.
fn lock_key(service: &str) -> i64 {
    let hash = Sha256::digest(format!("dunghan/{service}"));
    i64::from_be_bytes(std::array::from_fn(|i| hash[i]))
}
