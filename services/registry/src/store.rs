//! The tables of units. The only module that knows SQL.

mod contact_row;
mod edge_row;
mod grant_row;
mod import_row;
mod reorganisation_row;
mod unit_row;

use chrono::{DateTime, Utc};
use dunghan_events::append;
use dunghan_hierarchy::{Edge, Hierarchy, Problem, UnitHistory};
use dunghan_proto::events::UnitsChanged;
use dunghan_proto::events::event::Payload;
use dunghan_store::{Database, Sql, Write, rows_per_insert};
use futures::TryStreamExt as _;
use sea_orm::entity::prelude::*;
use sea_orm::{ConnectionTrait, DbErr, IntoActiveModel, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use uuid::Uuid;

use crate::domain::contact::ContactName;
use crate::domain::grant::GrantName;
pub use contact_row::{ContactFilter, ContactKey};
pub use grant_row::{GrantFilter, GrantKey};
pub use import_row::{
    ImportCounts, ImportKey, ImportRows, ImportState, Reply, UnitImport, Verdict,
};
pub use reorganisation_row::{Outcome, Recorded, ReorganisationKey};
use unit_row::{Histories, identifier, unit, version};

/// The registry's tables.
#[derive(Clone, Copy, Debug)]
pub struct Migrations;

impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let units = include_str!("store/migrations/m20261122_000001_units.sql");
        let unit_imports = include_str!("store/migrations/m20261122_000002_unit_imports.sql");
        let reorganisations = include_str!("store/migrations/m20261122_000003_reorganisations.sql");
        let contacts_grants = include_str!("store/migrations/m20261122_000004_contacts_grants.sql");
        Sql::with_base([
            Sql::new("m20261122_000001_units", units),
            Sql::new("m20261122_000002_unit_imports", unit_imports),
            Sql::new("m20261122_000003_reorganisations", reorganisations),
            Sql::new("m20261122_000004_contacts_grants", contacts_grants),
        ])
    }
}

/// Why units could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
    /// The units changed since they were read.
    #[error("the units changed since they were read")]
    Overtaken,
    /// A row has a word in it that nobody writes.
    #[error("a stored unit does not read")]
    Unreadable(#[from] dunghan_hierarchy::UnknownWord),
    /// A reorganisation was written by another program.
    #[error("a stored entry does not decode")]
    Undecodable(#[from] prost::DecodeError),
    /// A contact or grant was written by another program.
    #[error("the table {table} holds a row that does not read: {what}")]
    BadRow {
        /// Which.
        table: &'static str,
        /// What.
        what: String,
    },
    /// No such contact.
    #[error("{0} does not exist")]
    ContactNotFound(ContactName),
    /// No such grant.
    #[error("{0} does not exist")]
    GrantNotFound(GrantName),
    /// What is stored is no tree.
    #[error("the stored units are no tree: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    NoTree(Vec<Problem>),
    /// Work that was given to another thread came to no end.
    #[error("building the units came to no end")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// What becomes of the stored edges.
#[derive(Clone, Copy, Debug)]
pub enum EdgeChange<'a> {
    /// They stay.
    Keep,
    /// These, which are not there, join them.
    Add(&'a [Edge]),
    /// These stand in their place.
    Replace(&'a [Edge]),
}

/// The stored units.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Over a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// The database, for the outbox.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The version of what is stored.
    pub async fn hierarchy_version(&self) -> Result<u64, Error> {
        let reader = self.database.reader();
        let statement =
            Statement::from_string(self.database.engine(), "SELECT version FROM hierarchy");
        let row = reader.query_one_raw(statement).await?;
        let version: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
        Ok(version.cast_unsigned())
    }

    /// All units, and the reorganisations that hold, without their changes; of one version.
    pub async fn known_fetch(&self) -> Result<(Hierarchy, Vec<Recorded>), Error> {
        loop {
            let version = self.hierarchy_version().await?;
            let histories = self.histories_fetch().await?;
            let edges = edge_row::fetch(self.database.reader()).await?;
            let reorganisations = reorganisation_row::that_hold(self.database.reader()).await?;
            // Each statement sees what is committed when it begins, and every change moves the version with it: where
            // that stood still, nothing changed in between.
            if self.hierarchy_version().await? == version {
                let build = move || Hierarchy::build_with_edges(version, histories, edges);
                let built = tokio::task::spawn_blocking(build).await?;
                return Ok((built.map_err(Error::NoTree)?, reorganisations));
            }
        }
    }

    async fn histories_fetch(&self) -> Result<Vec<UnitHistory>, Error> {
        let reader = self.database.reader();
        // Row by row: all at once they take several times what is made of them.
        let mut histories = Histories::default();
        let mut units = unit::Entity::find().stream(reader).await?;
        while let Some(row) = units.try_next().await? {
            histories.unit(&row);
        }
        drop(units);
        let mut versions = version::Entity::find().stream(reader).await?;
        while let Some(row) = versions.try_next().await? {
            histories.version(row)?;
        }
        drop(versions);
        let mut identifiers = identifier::Entity::find().stream(reader).await?;
        while let Some(row) = identifiers.try_next().await? {
            histories.identifier(row);
        }
        Ok(histories.all())
    }

    /// Moves what is stored from version `read_at` to `to_version`, one further for each entry of the record: stores
    /// `units` in the place of what was stored of them, changes the edges, tells the others, and runs `also`, which
    /// keeps the entries, in the same transaction and before the edges, which refer to them.
    ///
    /// # Errors
    ///
    /// [`Error::Overtaken`] when the stored version is not `read_at`: what all this rests on has changed.
    pub async fn hierarchy_move(
        &self,
        read_at: u64,
        to_version: u64,
        units: &[&UnitHistory],
        edges: EdgeChange<'_>,
        at: DateTime<Utc>,
        also: impl AsyncFnOnce(&Write<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.database
            .write(async |write| {
                // First, for it takes the lock that whoever else moves it waits at.
                let sql = "UPDATE hierarchy SET version = $1 WHERE version = $2";
                let values = [to_version.cast_signed().into(), read_at.cast_signed().into()];
                let engine = write.get_database_backend();
                let moved =
                    write.execute_raw(Statement::from_sql_and_values(engine, sql, values)).await?;
                if moved.rows_affected() != 1 {
                    return Err(Error::Overtaken);
                }
                replace(write, units).await?;
                also(write).await?;
                match edges {
                    EdgeChange::Keep => {}
                    EdgeChange::Add(edges) => edge_row::insert(write, edges).await?,
                    EdgeChange::Replace(edges) => {
                        edge_row::clear(write).await?;
                        edge_row::insert(write, edges).await?;
                    }
                }
                let changed = UnitsChanged { hierarchy_version: to_version.cast_signed() };
                append(write, at, Payload::UnitsChanged(changed)).await?;
                Ok(())
            })
            .await
    }
}

async fn replace(write: &Write<'_>, units: &[&UnitHistory]) -> Result<(), DbErr> {
    let ids: Vec<Uuid> = units.iter().map(|history| history.id.uuid()).collect();
    for ids in ids.chunks(rows_per_insert(1)) {
        let ids = || ids.iter().copied();
        version::Entity::delete_many()
            .filter(version::Column::UnitId.is_in(ids()))
            .exec(&**write)
            .await?;
        identifier::Entity::delete_many()
            .filter(identifier::Column::UnitId.is_in(ids()))
            .exec(&**write)
            .await?;
        let rows = ids().map(|id| unit::Model { id }.into_active_model());
        unit::Entity::insert_many(rows)
            .on_conflict_do_nothing()
            .exec_without_returning(&**write)
            .await?;
    }
    // Only now: a unit's parent may be any other of them.
    let versions: Vec<_> = units.iter().flat_map(|history| unit_row::versions(history)).collect();
    for rows in versions.chunks(rows_per_insert(8)) {
        version::Entity::insert_many(rows.to_vec()).exec_without_returning(&**write).await?;
    }
    let identifiers: Vec<_> =
        units.iter().flat_map(|history| unit_row::identifiers(history)).collect();
    for rows in identifiers.chunks(rows_per_insert(6)) {
        identifier::Entity::insert_many(rows.to_vec()).exec_without_returning(&**write).await?;
    }
    Ok(())
}

fn bad_row(table: &'static str, what: impl Into<String>) -> Error {
    Error::BadRow { table, what: what.into() }
}

/// As the tables keep instants.
fn instant(table: &'static str, us: i64) -> Result<DateTime<Utc>, Error> {
    DateTime::from_timestamp_micros(us).ok_or_else(|| bad_row(table, format!("time {us}")))
}
