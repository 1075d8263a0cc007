//! The table `report`, and how a row of it is what is known of one.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use crate::domain::Report;

pub(super) const COLUMNS: usize = 5;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "report")]
pub(super) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(super) regime: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(super) period: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(super) unit_id: Uuid,
    pub(super) name: String,
    pub(super) sequence: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(super) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Report> for ActiveModel {
    fn from(report: &Report) -> Self {
        Self {
            regime: Set(report.regime.clone()),
            period: Set(report.period.to_string()),
            unit_id: Set(report.name.unit().uuid()),
            name: Set(report.name.to_string()),
            sequence: Set(report.sequence),
        }
    }
}
