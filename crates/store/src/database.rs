//! Opening, migrating, reading and writing.

use std::collections::HashSet;
use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::sqlite::{SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, Connection as _};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database as SeaOrm, DatabaseConnection, DatabaseTransaction,
    DbBackend, DbErr, RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::{Error, era};

/// Connections to PostgreSQL of one service in one process. Times services, times processes, it has to stay below the
/// server's `max_connections`.
const CONNECTIONS: u32 = 8;
/// How long a call waits for a connection. The pool tries again within it when the server refuses, so that a short
/// restart is no error.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(5);
/// A connection is made anew after so long: a server that took another's place is found by that at the latest.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(600);
/// What the server ends by itself, where this process is frozen or gone without a word: a statement, and a transaction
/// in which nothing happens. Such a transaction would hold the outbox back for everybody.
const BACKSTOP: Duration = Duration::from_secs(60);

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
    location: Location,
    /// On SQLite a single connection: there is one writer at a time, and waiting for it here costs no busy loop.
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    appended: Arc<watch::Sender<u64>>,
    /// When this process last forgot answers to requests, in microseconds.
    pub(crate) forgot_us: Arc<AtomicI64>,
}

impl Database {
    /// Opens the database of `service`. On SQLite that makes the file where there is none; on PostgreSQL it changes
    /// nothing.
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
                reach(url).await?;
                let mut options = postgres(url, service);
                options.max_connections(CONNECTIONS).map_sqlx_postgres_opts(|postgres| {
                    let limit = format!("{}s", BACKSTOP.as_secs());
                    postgres.options([
                        ("statement_timeout", limit.as_str()),
                        ("idle_in_transaction_session_timeout", limit.as_str()),
                    ])
                });
                let pool = connect(options).await?;
                (pool.clone(), pool)
            }
        };
        let appended = Arc::new(watch::channel(0).0);
        let forgot_us = Arc::new(AtomicI64::new(i64::MIN));
        Ok(Self { service, location: location.clone(), writer, reader, appended, forgot_us })
    }

    /// Whose it is.
    pub fn service(&self) -> &'static str {
        self.service
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
        let (appended, forgot_us) = (AtomicBool::new(false), &*self.forgot_us);
        let write = Write { transaction: &transaction, appended, forgot_us };
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
                // Where the connection is gone the transaction is gone with it; what failed first says more.
                let _ = transaction.rollback().await;
                Err(error)
            }
        }
    }

    /// Asks the database for an answer: it is there when it gives one.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.reader.execute_unprepared("SELECT 1").await.map(drop)
    }

    /// Names this database and its present history, the same in every process. Another database has another name, and so have
    /// a copy that was taken into use, and this one once it was restored to an earlier moment. On PostgreSQL a failover begins
    /// another history as well: the standby may not have had all.
    pub async fn history(&self) -> Result<String, DbErr> {
        era::history(&self.reader).await
    }

    /// Ends all connections as soon as nobody uses them. On SQLite the file then is all that there is: until then what was
    /// written last stands in another one beside it.
    pub async fn close(&self) -> Result<(), DbErr> {
        // The writer last: a reader cannot bring the two together.
        self.reader.close_by_ref().await?;
        self.writer.close_by_ref().await
    }

    /// Brings the tables up to date, also after a restore. Safe with any number of processes at once: the first does it,
    /// the others wait. Where there is nothing to do, it needs no right to change tables.
    pub async fn migrate<M: MigratorTrait>(&self) -> Result<(), Error> {
        let Location::Postgres(url) = &self.location else {
            // Two processes on one folder is not a mode of running; a single writer needs no lock.
            if self.misses::<M>().await? {
                M::up(&self.writer, None).await?;
            }
            return Ok(());
        };
        self.write(async |lock| {
            // Whoever is first may take long, and this waits for it.
            let key = lock_key(self.service);
            lock.execute_unprepared(&format!(
                "SET LOCAL statement_timeout = 0; \
                 SET LOCAL idle_in_transaction_session_timeout = 0; \
                 SELECT pg_advisory_xact_lock({key})"
            ))
            .await?;
            if self.misses::<M>().await? {
                self.apply::<M>(url).await?;
            }
            Ok(era::settle(lock).await?)
        })
        .await
    }

    /// On a connection of its own, without the limits of calls: to build an index may take long.
    async fn apply<M: MigratorTrait>(&self, url: &str) -> Result<(), Error> {
        let mut options = postgres(url, self.service);
        options.max_connections(1);
        let connection = connect(options).await?;
        if !exists(&connection, &format!("to_regnamespace('{}')", self.service)).await? {
            connection.execute_unprepared(&format!("CREATE SCHEMA {}", self.service)).await?;
        }
        M::up(&connection, None).await?;
        Ok(connection.close().await?)
    }

    /// Refuses tables that `migrate` has not brought up to date. Reads only.
    pub async fn check_migrated<M: MigratorTrait>(&self) -> Result<(), Error> {
        let ready = !self.misses::<M>().await?
            && (self.engine() == DbBackend::Sqlite || era::at_home(&self.reader).await?);
        if ready { Ok(()) } else { Err(Error::NotMigrated(self.service.to_owned())) }
    }

    /// Whether a migration of this program is not applied. Those of a later release do no harm: a release adds to the
    /// tables, and takes away only what the release before it did not use any more.
    async fn misses<M: MigratorTrait>(&self) -> Result<bool, DbErr> {
        let table = match self.engine() {
            DbBackend::Postgres => "to_regclass('seaql_migrations')",
            _ => "(SELECT name FROM sqlite_master WHERE name = 'seaql_migrations')",
        };
        let mut applied = HashSet::new();
        if exists(&self.reader, table).await? {
            let sql = Statement::from_string(self.engine(), "SELECT version FROM seaql_migrations");
            for row in self.reader.query_all_raw(sql).await? {
                applied.insert(row.try_get_by_index::<String>(0)?);
            }
        }
        Ok(M::migrations().iter().any(|one| !applied.contains(one.name())))
    }
}

/// A running transaction. Everything that a connection can do, a write can.
#[derive(Debug)]
pub struct Write<'a> {
    pub(crate) transaction: &'a DatabaseTransaction,
    pub(crate) appended: AtomicBool,
    pub(crate) forgot_us: &'a AtomicI64,
}

impl std::ops::Deref for Write<'_> {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        self.transaction
    }
}

pub(crate) fn sqlite(file: &Path, connections: u32, read_only: bool) -> ConnectOptions {
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
            // In KiB, of each connection: the system has the file in memory besides.
            .pragma("cache_size", "-500")
            .read_only(read_only)
    });
    options
        // A writer waits for the one before it; a long import must not make the next one fail.
        .acquire_timeout(Duration::from_secs(60))
        .map_sqlx_sqlite_before_acquire(|connection, _| {
            Box::pin(async { Ok(is_at_rest(connection)) })
        });
    options
}

/// Whether a connection is to be used again. Where a disk is full SQLite gives a transaction up by itself; sqlx does not
/// notice, takes all that follow for parts of it, and after one of those has failed commits none any more.
fn is_at_rest(connection: &SqliteConnection) -> bool {
    !connection.is_in_transaction()
}

pub(crate) async fn connect(mut options: ConnectOptions) -> Result<DatabaseConnection, Error> {
    // A statement's span has its operation and no text: that of an insert of a thousand rows is long and says no more,
    // and some texts are not ours to vouch for. Spans and logs do without figures and names.
    options.sqlx_logging(false).record_stmt_in_spans(false);
    Ok(SeaOrm::connect(options).await?)
}

fn postgres(url: &str, service: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .acquire_timeout(ACQUIRE_LIMIT)
        .max_lifetime(CONNECTION_LIFETIME)
        // By this the outbox knows which transactions can write to it.
        .set_application_name(format!("dunghan-{service}"))
        .set_schema_search_path(service)
        // In place of the ping, at the same price.
        .test_before_acquire(false)
        .map_sqlx_postgres_before_acquire(|connection, _| {
            Box::pin(async { Ok(takes_writes(connection).await) })
        });
    options
}

/// Whether a connection is to be used again. One that died with its server is not, and neither is one to a server that
/// has been demoted: it would go on answering, and refuse every write.
async fn takes_writes(connection: &mut PgConnection) -> bool {
    let read_only = sqlx::query_scalar::<_, String>("SHOW transaction_read_only");
    matches!(read_only.fetch_one(connection).await.as_deref(), Ok("off"))
}

/// One connection, made and given up: a pool keeps the cause of what fails to itself, and says that time ran out.
async fn reach(url: &str) -> Result<(), Error> {
    let options: PgConnectOptions = url.parse().map_err(connection_error)?;
    let connecting = PgConnection::connect_with(&options);
    let connected = tokio::time::timeout(ACQUIRE_LIMIT, connecting).await;
    let connection = connected.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    // That it does not end well is no matter: the next one tells.
    let _ = connection.map_err(connection_error)?.close().await;
    Ok(())
}

fn connection_error(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}

/// Whether an expression of the engine's own catalogue has a value.
async fn exists(connection: &DatabaseConnection, what: &str) -> Result<bool, DbErr> {
    let sql = format!("SELECT CASE WHEN {what} IS NULL THEN 0 ELSE 1 END");
    let sql = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(sql).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get_by_index::<i32>(0))? == 1)
}

/// The advisory lock of a service, the same in every process.
fn lock_key(service: &str) -> i64 {
    let hash = Sha256::digest(format!("dunghan/{service}"));
    i64::from_be_bytes(std::array::from_fn(|i| hash[i]))
}
