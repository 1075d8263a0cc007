//! Reads and writes figures. The only module that knows SQL.

mod report_row;
mod value_row;

use std::collections::BTreeMap;

use dunghan_calendar::Period;
use dunghan_hierarchy::UnitId;
use dunghan_store::{Database, Sql, Write, rows_per_insert};
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use crate::domain::{Report, Role, Stated};

/// Why figures could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the database failed")]
pub struct Error(#[from] pub(crate) DbErr);

/// The tables of this service.
#[derive(Debug)]
pub struct Migrations;

impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Sql::with_base([
            Sql::new(
                "m20261122_000001_figures",
                include_str!("store/migrations/m20261122_000001_figures.sql"),
            ),
            Sql::new(
                "m20261122_000005_sequence",
                include_str!("store/migrations/m20261122_000005_sequence.sql"),
            ),
        ])
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

    /// Keeps what became of reports, each where nothing later is known of it: the figures that were handed over take the
    /// place of those before, and what was taken back has none any more.
    pub async fn reports_take_in(write: &Write<'_>, reports: &[Report]) -> Result<(), DbErr> {
        if write.get_database_backend() == DbBackend::Postgres {
            // What is known is read and then written: nobody else may write it in between. Reads go on.
            write.execute_unprepared("LOCK TABLE report IN SHARE ROW EXCLUSIVE MODE").await?;
        }
        let mut periods = BTreeMap::<_, BTreeMap<UnitId, &Report>>::new();
        for report in reports {
            let units = periods.entry((&report.regime, report.period)).or_default();
            let last = units.entry(report.name.unit()).or_insert(report);
            if last.sequence < report.sequence {
                *last = report;
            }
        }
        let mut news: Vec<&Report> = Vec::with_capacity(reports.len());
        for ((regime, period), mut units) in periods {
            let known = held(&**write, regime, period, units.keys()).await?;
            units.retain(|unit, report| known.get(unit).is_none_or(|at| *at < report.sequence));
            let again = units.keys().filter(|unit| known.contains_key(*unit));
            let again: Vec<_> = again.map(|unit| unit.uuid()).collect();
            if !again.is_empty() {
                value_row::Entity::delete_many()
                    .filter(value_row::Column::Regime.eq(regime))
                    .filter(value_row::Column::Period.eq(period.to_string()))
                    .filter(value_row::Column::UnitId.is_in(again))
                    .exec(&**write)
                    .await?;
            }
            news.extend(units.into_values());
        }
        let rows: Vec<_> =
            news.iter().map(|report| report_row::ActiveModel::from(*report)).collect();
        use report_row::Column::{Name, Period, Regime, Sequence, UnitId as Unit};
        let mut over = OnConflict::columns([Regime, Period, Unit]);
        over.update_columns([Name, Sequence]);
        for rows in rows.chunks(rows_per_insert(report_row::COLUMNS)) {
            report_row::Entity::insert_many(rows.to_vec())
                .on_conflict(over.clone())
                .exec_without_returning(&**write)
                .await?;
        }
        let figures = news.iter().flat_map(|report| {
            let figures = report.figures.iter().flatten();
            figures.map(|figure| value_row::ActiveModel::from((*report, figure)))
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

    /// What is known of the reports of these units for a regime and period: the sequence of each.
    pub async fn report_sequences(
        &self,
        regime: &str,
        period: Period,
        units: impl IntoIterator<Item = &UnitId>,
    ) -> Result<BTreeMap<UnitId, i64>, DbErr> {
        held(self.database.reader(), regime, period, units).await
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

async fn held(
    connection: &impl ConnectionTrait,
    regime: &str,
    period: Period,
    units: impl IntoIterator<Item = &UnitId>,
) -> Result<BTreeMap<UnitId, i64>, DbErr> {
    let rows: Vec<(Uuid, i64)> = report_row::Entity::find()
        .select_only()
        .columns([report_row::Column::UnitId, report_row::Column::Sequence])
        .filter(report_row::Column::Regime.eq(regime))
        .filter(report_row::Column::Period.eq(period.to_string()))
        .filter(report_row::Column::UnitId.is_in(units.into_iter().map(|unit| unit.uuid())))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(|(unit, at)| (UnitId::from_uuid(unit), at)).collect())
}
