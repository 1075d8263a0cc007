//! The tables of units. The only module that knows SQL.

mod unit_row;

use chrono::{DateTime, Utc};
use dunghan_events::append;
use dunghan_hierarchy::{Hierarchy, Problem, UnitHistory};
use dunghan_proto::events::UnitsChanged;
use dunghan_proto::events::event::Payload;
use dunghan_store::{Database, Sql, Write, rows_per_insert};
use futures::TryStreamExt as _;
use sea_orm::entity::prelude::*;
use sea_orm::{ConnectionTrait, DbErr, IntoActiveModel, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use uuid::Uuid;

use unit_row::{Histories, identifier, unit, version};

/// The registry's tables.
#[derive(Clone, Copy, Debug)]
pub struct Migrations;

impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let units = include_str!("store/migrations/m20261122_000001_units.sql");
        Sql::with_base([Sql::new("m20261122_000001_units", units)])
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
    /// What is stored is no tree.
    #[error("the stored units are no tree: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    NoTree(Vec<Problem>),
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

    /// All units, of one version.
    pub async fn hierarchy_fetch(&self) -> Result<Hierarchy, Error> {
        loop {
            let version = self.hierarchy_version().await?;
            let histories = self.histories_fetch().await?;
            // Each statement sees what is committed when it begins, and every change moves the version with it: where
            // that stood still, nothing changed in between.
            if self.hierarchy_version().await? == version {
                return Hierarchy::build(version, histories).map_err(Error::NoTree);
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

    /// Stores `units` in the place of what was stored of them, and tells the others, if the stored version still is
    /// `read_at`; it then is one more.
    ///
    /// # Errors
    ///
    /// [`Error::Overtaken`] when it is not: what `units` rest on has changed.
    pub async fn units_replace(
        &self,
        read_at: u64,
        units: &[&UnitHistory],
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let version = read_at.cast_signed() + 1;
        self.database
            .write(async |write| {
                // First, for it takes the lock that a second import waits at.
                let sql = "UPDATE hierarchy SET version = $1 WHERE version = $2";
                let values = [version.into(), read_at.cast_signed().into()];
                let engine = write.get_database_backend();
                let moved =
                    write.execute_raw(Statement::from_sql_and_values(engine, sql, values)).await?;
                if moved.rows_affected() != 1 {
                    return Err(Error::Overtaken);
                }
                replace(write, units).await?;
                let changed = UnitsChanged { hierarchy_version: version };
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
