//! Reads and writes figures. The only module that knows SQL.

mod report_row;
mod value_row;

use std::collections::BTreeSet;

use dunghan_calendar::Period;
use dunghan_store::{Database, Sql, Write, rows_per_insert};
use sea_orm::{ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use crate::domain::{Report, ReportName, Role, Stated};

/// Why figures could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the database failed")]
pub struct Error(#[from] pub(crate) DbErr);

/// The tables of this service.
#[derive(Debug)]
pub struct Migrations;

impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Sql::with_base([Sql::new(
            "m20261122_000001_figures",
            include_str!("store/migrations/m20261122_000001_figures.sql"),
        )])
    }
}

/// The figures of submitted reports. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Over this service's database, migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Where transactions begin, and how far the events of others are applied.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Keeps reports with their figures. One that is there already stays as it is: submitted reports never change.
    pub async fn reports_insert(write: &Write<'_>, reports: &[Report]) -> Result<(), DbErr> {
        // In one order, whoever inserts: two that take the same reports in would else wait for one another for ever.
        let mut reports: Vec<_> = reports.iter().collect();
        reports.sort_by_key(|report| (&report.regime, report.period, &report.name));
        let rows: Vec<_> =
            reports.iter().map(|report| report_row::ActiveModel::from(*report)).collect();
        for rows in rows.chunks(rows_per_insert(report_row::COLUMNS)) {
            report_row::Entity::insert_many(rows.to_vec())
                .on_conflict_do_nothing()
                .exec_without_returning(&**write)
                .await?;
        }
        let figures = reports.iter().flat_map(|report| {
            report.figures.iter().map(|figure| value_row::ActiveModel::from((*report, figure)))
        });
        let rows: Vec<_> = figures.collect();
        for rows in rows.chunks(rows_per_insert(value_row::COLUMNS)) {
            value_row::Entity::insert_many(rows.to_vec())
                .on_conflict_do_nothing()
                .exec_without_returning(&**write)
                .await?;
        }
        Ok(())
    }

    /// The reports that were taken in for a regime and period.
    pub async fn report_names(
        &self,
        regime: &str,
        period: Period,
    ) -> Result<BTreeSet<ReportName>, DbErr> {
        let rows = report_row::Entity::find()
            .filter(report_row::Column::Regime.eq(regime))
            .filter(report_row::Column::Period.eq(period.to_string()))
            .all(self.database.reader())
            .await?;
        rows.into_iter().map(ReportName::try_from).collect()
    }

    /// What all units state of one thing as actual, by unit and dates.
    pub async fn figure_list(
        &self,
        regime: &str,
        period: Period,
        indicator: &str,
        category: &str,
    ) -> Result<Vec<Stated>, Error> {
        let rows = value_row::Entity::find()
            .filter(value_row::Column::Regime.eq(regime))
            .filter(value_row::Column::Period.eq(period.to_string()))
            .filter(value_row::Column::Indicator.eq(indicator))
            .filter(value_row::Column::Category.eq(category))
            .filter(value_row::Column::Role.eq(Role::Actual.as_str()))
            .order_by_asc(value_row::Column::UnitId)
            .order_by_asc(value_row::Column::StartDate)
            .order_by_asc(value_row::Column::EndDate)
            .all(self.database.reader())
            .await?;
        Ok(rows.into_iter().map(Stated::try_from).collect::<Result<_, _>>()?)
    }
}
