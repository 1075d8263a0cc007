//! The table `unit_edge`, and how its rows are edges.

use std::collections::HashSet;
use std::sync::Arc;

use dunghan_hierarchy::{Edge, UnitId, UnknownWord};
use dunghan_store::{Write, rows_per_insert};
use futures::TryStreamExt as _;
use sea_orm::entity::prelude::*;
use sea_orm::{DatabaseConnection, IntoActiveModel as _};

use super::Error;

mod edge {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "unit_edge")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub predecessor_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub successor_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub effective: Date,
        #[sea_orm(primary_key, auto_increment = false)]
        pub kind: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub reorganisation: String,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Reads rows; the thousands of edges of one reorganisation share its id.
#[derive(Default)]
struct Reading {
    reorganisations: HashSet<Arc<str>>,
}

impl Reading {
    fn edge(&mut self, row: edge::Model) -> Result<Edge, UnknownWord> {
        let known = self.reorganisations.get(row.reorganisation.as_str()).cloned();
        let reorganisation = known.unwrap_or_else(|| {
            let new: Arc<str> = row.reorganisation.into();
            self.reorganisations.insert(new.clone());
            new
        });
        Ok(Edge {
            effective: row.effective,
            predecessor: UnitId::from_uuid(row.predecessor_id),
            successor: UnitId::from_uuid(row.successor_id),
            kind: row.kind.parse()?,
            reorganisation,
        })
    }
}

/// All edges, in no order.
pub(super) async fn fetch(reader: &DatabaseConnection) -> Result<Vec<Edge>, Error> {
    let (mut reading, mut edges) = (Reading::default(), Vec::new());
    let mut rows = edge::Entity::find().stream(reader).await?;
    while let Some(row) = rows.try_next().await? {
        edges.push(reading.edge(row)?);
    }
    Ok(edges)
}

/// Puts edges beside those that are there; their units and reorganisations are there already.
pub(super) async fn insert(write: &Write<'_>, edges: &[Edge]) -> Result<(), DbErr> {
    for edges in edges.chunks(rows_per_insert(5)) {
        let rows = edges.iter().map(|edge| {
            edge::Model {
                predecessor_id: edge.predecessor.uuid(),
                successor_id: edge.successor.uuid(),
                effective: edge.effective,
                kind: edge.kind.to_string(),
                reorganisation: edge.reorganisation.to_string(),
            }
            .into_active_model()
        });
        edge::Entity::insert_many(rows).exec_without_returning(&**write).await?;
    }
    Ok(())
}

/// Leaves none.
pub(super) async fn clear(write: &Write<'_>) -> Result<(), DbErr> {
    edge::Entity::delete_many().exec(&**write).await.map(drop)
}
