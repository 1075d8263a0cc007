//! The table `dossier`.
#![expect(unreachable_pub, reason = "the entity derive makes all that it writes public")]

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use dunghan_calendar::{Due, Granularity, Window, zone};
use dunghan_hierarchy::UnitId;
use dunghan_store::{Write, rows_per_insert};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, OnConflict};
use sea_orm::{ConnectionTrait, QueryOrder as _, QuerySelect as _};
use serde::{Deserialize, Serialize};

use super::{Error, Store, from_us, unreadable, us};
use crate::domain::dossier::{Basis, Channel, Dossier, DossierName, Resolution};

const TABLE: &str = "dossier";
/// Of the table.
pub(super) const COLUMNS: usize = 12;
/// Values of one IN list, well below what a statement can bind.
const IN_LIST: usize = 5000;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dossier")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub unit_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: String,
    pub field: String,
    pub online: bool,
    pub receive_us: i64,
    pub term: String,
    pub due_us: i64,
    pub due_by_instant: bool,
    pub complete_us: Option<i64>,
    pub record_us: Option<i64>,
    pub next_check_us: Option<i64>,
    pub due_generation: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Where a dossier stands in the order of lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DossierKey {
    due_us: i64,
    unit: Uuid,
    number: String,
}

impl From<&Dossier> for DossierKey {
    fn from(dossier: &Dossier) -> Self {
        Self {
            due_us: us(dossier.due.time),
            unit: dossier.name.unit.uuid(),
            number: dossier.name.number.clone(),
        }
    }
}

/// What a row of an import does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DossierChange {
    /// The dossier is new.
    Create(Dossier),
    /// Its completion becomes known.
    Update(Dossier),
    /// Nothing.
    Nothing,
}

impl Model {
    pub(super) fn read(self) -> Result<Dossier, Error> {
        let time = |us| from_us(TABLE, us);
        let resolution = match self.complete_us {
            None => None,
            Some(complete) => Some(Resolution {
                complete_time: time(complete)?,
                record_time: self.record_us.map(time).transpose()?,
            }),
        };
        let granularity = if self.due_by_instant { Granularity::Instant } else { Granularity::Day };
        Ok(Dossier {
            name: DossierName { unit: UnitId::from_uuid(self.unit_id), number: self.number },
            field: self.field,
            channel: if self.online { Channel::Online } else { Channel::DirectOrPostal },
            receive_time: time(self.receive_us)?,
            term: self.term.parse().map_err(unreadable(TABLE))?,
            due: Due { time: time(self.due_us)?, granularity },
            due_generation: self.due_generation,
            resolution,
        })
    }
}

fn row(dossier: &Dossier) -> ActiveModel {
    let recorded = dossier.completion(Basis::Recorded);
    ActiveModel {
        unit_id: Set(dossier.name.unit.uuid()),
        number: Set(dossier.name.number.clone()),
        field: Set(dossier.field.clone()),
        online: Set(dossier.channel == Channel::Online),
        receive_us: Set(us(dossier.receive_time)),
        term: Set(dossier.term.to_string()),
        due_us: Set(us(dossier.due.time)),
        due_by_instant: Set(dossier.due.granularity == Granularity::Instant),
        complete_us: Set(dossier.completion(Basis::InFact).map(us)),
        record_us: Set(recorded.map(us)),
        next_check_us: Set(if recorded.is_some() { None } else { Some(us(dossier.due.time)) }),
        due_generation: Set(dossier.due_generation),
    }
}

impl Store {
    /// When the dossier that was received first was received.
    pub async fn dossier_oldest(&self) -> Result<Option<DateTime<Utc>>, Error> {
        let oldest: Option<Option<i64>> = Entity::find()
            .select_only()
            .column_as(Column::ReceiveUs.min(), "oldest")
            .into_tuple()
            .one(self.database.reader())
            .await?;
        oldest.flatten().map(|oldest| from_us(TABLE, oldest)).transpose()
    }

    /// Those of a unit's dossiers that have these numbers.
    pub async fn dossier_known(
        connection: &impl ConnectionTrait,
        unit: UnitId,
        numbers: &[&str],
    ) -> Result<Vec<Dossier>, Error> {
        let mut known = Vec::new();
        for chunk in numbers.chunks(IN_LIST) {
            let rows = Entity::find()
                .filter(Column::UnitId.eq(unit.uuid()))
                .filter(Column::Number.is_in(chunk.iter().copied()))
                .all(connection)
                .await?;
            for row in rows {
                known.push(row.read()?);
            }
        }
        Ok(known)
    }

    /// Writes what an import does, in its transaction.
    ///
    /// A dossier that was told as overdue stays off the sweep's list when its completion in fact, but not in the
    /// system, becomes known.
    pub async fn dossier_write(write: &Write<'_>, changes: &[DossierChange]) -> Result<(), Error> {
        let created: Vec<_> = changes
            .iter()
            .filter_map(|change| match change {
                DossierChange::Create(dossier) => Some(row(dossier)),
                _ => None,
            })
            .collect();
        for chunk in created.chunks(rows_per_insert(COLUMNS)) {
            Entity::insert_many(chunk.to_vec()).exec_without_returning(&**write).await?;
        }
        let updated: Vec<_> = changes
            .iter()
            .filter_map(|change| match change {
                DossierChange::Update(dossier) => Some(row(dossier)),
                _ => None,
            })
            .collect();
        for chunk in updated.chunks(rows_per_insert(COLUMNS)) {
            let completion = OnConflict::columns([Column::UnitId, Column::Number])
                .update_columns([Column::CompleteUs, Column::RecordUs])
                .value(
                    Column::NextCheckUs,
                    // Recorded: nothing left to tell. Otherwise as it was.
                    Expr::cust(
                        "CASE WHEN excluded.record_us IS NULL THEN dossier.next_check_us END",
                    ),
                )
                .to_owned();
            Entity::insert_many(chunk.to_vec())
                .on_conflict(completion)
                .exec_without_returning(&**write)
                .await?;
        }
        Ok(())
    }

    /// One dossier.
    pub async fn dossier_fetch(&self, name: &DossierName) -> Result<Option<Dossier>, Error> {
        let row = Entity::find_by_id((name.unit.uuid(), name.number.clone()))
            .one(self.database.reader())
            .await?;
        row.map(Model::read).transpose()
    }

    /// `limit` dossiers of these units that were due and not recorded as resolved at `at`, the longest due first.
    pub async fn dossier_overdue_page(
        &self,
        units: &[UnitId],
        at: DateTime<Utc>,
        after: Option<&DossierKey>,
        limit: u64,
    ) -> Result<Vec<Dossier>, Error> {
        let at = us(at);
        let mut query = Entity::find()
            .filter(Column::UnitId.is_in(units.iter().map(|unit| unit.uuid())))
            .filter(Column::DueUs.lte(at))
            .filter(Condition::any().add(Column::RecordUs.is_null()).add(Column::RecordUs.gt(at)))
            .order_by_asc(Column::DueUs)
            .order_by_asc(Column::UnitId)
            .order_by_asc(Column::Number)
            .limit(limit);
        if let Some(after) = after {
            let columns = [Column::DueUs, Column::UnitId, Column::Number];
            let key = Expr::tuple([
                Expr::value(after.due_us),
                Expr::value(after.unit),
                Expr::value(after.number.as_str()),
            ]);
            query = query.filter(Expr::tuple(columns.map(Expr::col).map(Into::into)).gt(key));
        }
        let rows = query.all(self.database.reader()).await?;
        rows.into_iter().map(Model::read).collect()
    }

    /// A unit's dossiers that can be in a window: received before its end, and not recorded or completed before its
    /// beginning.
    pub async fn dossier_in_window(
        &self,
        unit: UnitId,
        window: Window,
    ) -> Result<Vec<Dossier>, Error> {
        let start = us(zone::start_of(window.first));
        let rows = Entity::find()
            .filter(Column::UnitId.eq(unit.uuid()))
            .filter(Column::ReceiveUs.lt(us(zone::end_of(window.cut_off))))
            .filter(
                Condition::any()
                    .add(Column::RecordUs.is_null())
                    .add(Column::RecordUs.gte(start))
                    .add(Column::CompleteUs.gte(start)),
            )
            .all(self.database.reader())
            .await?;
        rows.into_iter().map(Model::read).collect()
    }

    /// `limit` dossiers that fell due and that nobody has been told of, the longest due first.
    pub async fn dossier_due(&self, now: DateTime<Utc>, limit: u64) -> Result<Vec<Dossier>, Error> {
        let rows = Entity::find()
            .filter(Column::NextCheckUs.lte(us(now)))
            .order_by_asc(Column::NextCheckUs)
            .order_by_asc(Column::UnitId)
            .order_by_asc(Column::Number)
            .limit(limit)
            .all(self.database.reader())
            .await?;
        rows.into_iter().map(Model::read).collect()
    }

    /// How many dossiers have fallen due and nobody has been told.
    pub async fn dossier_due_count(&self, now: DateTime<Utc>) -> Result<u64, Error> {
        let due = Entity::find().filter(Column::NextCheckUs.lte(us(now)));
        Ok(due.count(self.database.reader()).await?)
    }

    /// Takes dossiers off the sweep's list that are still pending, and returns which those were.
    pub(super) async fn dossier_checked(
        write: &Write<'_>,
        names: &[DossierName],
        now: DateTime<Utc>,
    ) -> Result<Vec<DossierName>, Error> {
        // In the order of units, in which every sweep takes the turns.
        let mut by_unit: BTreeMap<UnitId, Vec<&str>> = BTreeMap::new();
        for name in names {
            by_unit.entry(name.unit).or_default().push(&name.number);
        }
        let mut checked = Vec::new();
        for (unit, numbers) in by_unit {
            Self::dossier_turn(write, unit).await?;
            for chunk in numbers.chunks(IN_LIST) {
                let rows = Entity::update_many()
                    .col_expr(Column::NextCheckUs, Expr::value(Option::<i64>::None))
                    .filter(Column::UnitId.eq(unit.uuid()))
                    .filter(Column::Number.is_in(chunk.iter().copied()))
                    .filter(Column::NextCheckUs.lte(us(now)))
                    .filter(Column::RecordUs.is_null())
                    .exec_with_returning(&**write)
                    .await?;
                checked
                    .extend(rows.into_iter().map(|row| DossierName { unit, number: row.number }));
            }
        }
        Ok(checked)
    }
}
