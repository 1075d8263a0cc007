//! A service's own database: one SQLite file, or one PostgreSQL schema.
//!
//! What every service needs of a database is here: opening it, migrating it under a lock, writing in transactions that
//! do not fail under contention, the outbox of its events, the answers to repeated requests, and how far it has read
//! the events of others. What a table of a service looks like is the service's own.

mod backup;
mod consumed;
mod database;
mod era;
mod key;
mod migrations;
mod outbox;
mod requests;
mod transient;

pub use backup::{back_up, take_into_use};
pub use consumed::{consumed, consumed_through};
pub use database::{Database, Location, Write};
pub use key::by_key;
pub use migrations::Sql;
pub use outbox::{NewEvent, Position, StoredEvent};
pub use requests::{Answered, RequestKey};
pub use transient::is_transient;

/// The most rows of one INSERT: SQLite binds 32,766 values in a statement, PostgreSQL 65,535.
pub const fn rows_per_insert(columns: usize) -> usize {
    let most = 32_000 / columns;
    if most < 1000 { most } else { 1000 }
}

/// Why the database could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The location begins as none that this knows.
    #[error("a location is sqlite:FOLDER or a postgres:// URL, and does not begin with {0}")]
    UnknownLocation(String),
    /// The folder for the SQLite files cannot be made.
    #[error("the folder {0} cannot be made")]
    Folder(String, #[source] std::io::Error),
    /// A file cannot be copied there.
    #[error("{0} cannot be written")]
    Copy(String, #[source] std::io::Error),
    /// SQLite takes names that are text, and this is none.
    #[error("{0} is not UTF-8")]
    NotText(String),
    /// The database answered with an error, or not at all.
    #[error("the database failed")]
    Database(#[from] sea_orm::DbErr),
    /// The tables are older than this program.
    #[error("{0} has migrations that are not applied: run `dunghan migrate`")]
    NotMigrated(String),
}

impl Error {
    /// Whether waiting may mend it.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Database(error) if is_transient(error))
    }
}
