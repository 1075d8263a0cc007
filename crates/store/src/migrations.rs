//! Migrations are SQL files that both engines read.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// One migration. Both engines take the same text where they can: SQLite reads any type's name, so the types are
/// PostgreSQL's (`uuid`, `bytea`, `bigint`, `date`, `boolean`, `text`). Instants are `bigint`, microseconds since 1970,
/// because the engines agree on no type for them.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    /// Never changed once released: it is how a database knows what was applied.
    pub name: &'static str,
    /// For both engines.
    pub both: &'static str,
    /// For SQLite alone, after `both`.
    pub sqlite: &'static str,
    /// For PostgreSQL alone, after `both`.
    pub postgres: &'static str,
}

impl Sql {
    /// A migration whose text serves both engines.
    #[expect(clippy::new_ret_no_self, reason = "boxed, as the list of migrations wants it")]
    pub fn new(name: &'static str, both: &'static str) -> Box<dyn MigrationTrait> {
        Box::new(Self { name, both, sqlite: "", postgres: "" })
    }

    /// The tables of this crate and then a service's own: the migrations of every service.
    pub fn with_base(
        own: impl IntoIterator<Item = Box<dyn MigrationTrait>>,
    ) -> Vec<Box<dyn MigrationTrait>> {
        let base: [Box<dyn MigrationTrait>; 3] = [
            Box::new(Self {
                name: "m20261122_000000_base",
                both: include_str!("migrations/m20261122_000000_base.sql"),
                sqlite: include_str!("migrations/m20261122_000000_base.sqlite.sql"),
                postgres: include_str!("migrations/m20261122_000000_base.postgres.sql"),
            }),
            Self::new(
                "m20261122_000002_traceparent",
                include_str!("migrations/m20261122_000002_traceparent.sql"),
            ),
            Box::new(Self {
                name: "m20261122_000003_era",
                both: include_str!("migrations/m20261122_000003_era.sql"),
                sqlite: include_str!("migrations/m20261122_000003_era.sqlite.sql"),
                postgres: include_str!("migrations/m20261122_000003_era.postgres.sql"),
            }),
        ];
        base.into_iter().chain(own).collect()
    }
}

impl MigrationName for Sql {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Sql {
    #[expect(
        elided_lifetimes_in_paths,
        reason = "the trait is declared so; async_trait needs the same"
    )]
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let own = match connection.get_database_backend() {
            DbBackend::Postgres => self.postgres,
            _ => self.sqlite,
        };
        for sql in [self.both, own] {
            if !sql.is_empty() {
                connection.execute_unprepared(sql).await?;
            }
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
