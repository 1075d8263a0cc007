//! The table `report`, and how a row of it names a report.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use crate::domain::{Report, ReportName};

pub(super) const COLUMNS: usize = 4;

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
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(super) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for ReportName {
    type Error = DbErr;

    fn try_from(row: Model) -> Result<Self, DbErr> {
        row.name.parse().map_err(|e| DbErr::Type(format!("report.name {e}")))
    }
}

impl From<&Report> for ActiveModel {
    fn from(report: &Report) -> Self {
        Self {
            regime: Set(report.regime.clone()),
            period: Set(report.period.to_string()),
            unit_id: Set(report.name.unit().uuid()),
            name: Set(report.name.to_string()),
        }
    }
}
