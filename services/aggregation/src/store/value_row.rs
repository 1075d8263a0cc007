//! The table `value`, and how a row of it is what a unit states.

use chrono::NaiveDate;
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use crate::domain::{Amount, Figure, Report, Stated};

pub(super) const COLUMNS: usize = 12;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "value")]
pub(super) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(super) regime: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(super) period: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(super) indicator: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(super) category: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(super) role: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(super) unit_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(super) start_date: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(super) end_date: String,
    pub(super) report_name: String,
    pub(super) part: Option<i64>,
    pub(super) whole: Option<i64>,
    pub(super) approximate: bool,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(super) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Stated {
    type Error = DbErr;

    fn try_from(row: Model) -> Result<Self, DbErr> {
        let bad = |e: &dyn std::fmt::Display| DbErr::Type(format!("a row of value: {e}"));
        let date = |text: &str| -> Result<Option<NaiveDate>, DbErr> {
            (!text.is_empty()).then(|| text.parse()).transpose().map_err(|e| bad(&e))
        };
        Ok(Self {
            report: row.report_name.parse().map_err(|e| bad(&e))?,
            start: date(&row.start_date)?,
            end: date(&row.end_date)?,
            amount: match (row.part, row.whole) {
                (None, _) => Amount::Percent,
                (Some(count), None) => Amount::Count(count),
                (Some(part), Some(whole)) => Amount::Ratio { part, whole },
            },
            approximate: row.approximate,
        })
    }
}

impl From<(&Report, &Figure)> for ActiveModel {
    fn from((report, figure): (&Report, &Figure)) -> Self {
        let date = |date: Option<NaiveDate>| date.map_or_else(String::new, |date| date.to_string());
        let (part, whole) = match figure.amount {
            Amount::Count(count) => (Some(count), None),
            Amount::Ratio { part, whole } => (Some(part), Some(whole)),
            Amount::Percent => (None, None),
        };
        Self {
            regime: Set(report.regime.clone()),
            period: Set(report.period.to_string()),
            indicator: Set(figure.indicator.clone()),
            category: Set(figure.category.clone()),
            role: Set(figure.role.as_str().to_owned()),
            unit_id: Set(report.name.unit().uuid()),
            start_date: Set(date(figure.start)),
            end_date: Set(date(figure.end)),
            report_name: Set(report.name.to_string()),
            part: Set(part),
            whole: Set(whole),
            approximate: Set(figure.approximate),
        }
    }
}
