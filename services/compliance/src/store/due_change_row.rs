//! The table `due_change`.
#![expect(unreachable_pub, reason = "the entity derive makes all that it writes public")]

use dunghan_hierarchy::UnitId;
use dunghan_store::{Write, rows_per_insert};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ActiveValue::Set, QueryOrder as _, QuerySelect as _};
use serde::{Deserialize, Serialize};

use super::obligation_row::changed_within;
use super::{Error, Store, from_us, unreadable, us};
use crate::domain::due_change::{Cause, DueChange};
use crate::domain::obligation::ObligationName;
use crate::domain::regime::RegimeId;

const TABLE: &str = "due_change";

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "due_change")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub regime: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub period: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub unit_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub due_generation: i32,
    pub old_us: Option<i64>,
    pub new_us: Option<i64>,
    pub cause: String,
    pub reference: String,
    pub reason: String,
    pub author: String,
    pub create_us: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub(super) fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::CalendarAmended => "calendar",
        Cause::Extension => "extension",
        Cause::ExtensionRevoked => "revocation",
        Cause::UnitChanged => "unit",
    }
}

/// Where a due time that moved stands in the order of lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueChangeKey {
    regime: String,
    period: String,
    unit: Uuid,
    due_generation: i32,
}

impl From<&DueChange> for DueChangeKey {
    fn from(change: &DueChange) -> Self {
        Self {
            regime: change.name.regime.id().to_owned(),
            period: change.name.period.to_string(),
            unit: change.name.unit.uuid(),
            due_generation: change.due_generation,
        }
    }
}

impl Model {
    fn read(self) -> Result<DueChange, Error> {
        let time = |us: Option<i64>| us.map(|us| from_us(TABLE, us)).transpose();
        Ok(DueChange {
            name: ObligationName {
                unit: UnitId::from_uuid(self.unit_id),
                regime: RegimeId::new(&self.regime).map_err(unreadable(TABLE))?,
                period: self.period.parse().map_err(unreadable(TABLE))?,
            },
            due_generation: self.due_generation,
            old: time(self.old_us)?,
            new: time(self.new_us)?,
            cause: match self.cause.as_str() {
                "calendar" => Cause::CalendarAmended,
                "extension" => Cause::Extension,
                "revocation" => Cause::ExtensionRevoked,
                "unit" => Cause::UnitChanged,
                other => return Err(unreadable(TABLE)(format!("cause {other}"))),
            },
            reference: self.reference,
            reason: self.reason,
            author: self.author,
            create_time: from_us(TABLE, self.create_us)?,
        })
    }
}

impl Store {
    /// Notes due times that moved, with the obligations that they are of.
    pub(super) async fn due_change_insert(
        write: &Write<'_>,
        changes: &[DueChange],
    ) -> Result<(), DbErr> {
        for chunk in changes.chunks(rows_per_insert(11)) {
            let rows = chunk.iter().map(|change| ActiveModel {
                regime: Set(change.name.regime.id().to_owned()),
                period: Set(change.name.period.to_string()),
                unit_id: Set(change.name.unit.uuid()),
                due_generation: Set(change.due_generation),
                old_us: Set(change.old.map(us)),
                new_us: Set(change.new.map(us)),
                cause: Set(cause(change.cause).to_owned()),
                reference: Set(change.reference.clone()),
                reason: Set(change.reason.clone()),
                author: Set(change.author.clone()),
                create_us: Set(us(change.create_time)),
            });
            Entity::insert_many(rows).exec_without_returning(&**write).await?;
        }
        Ok(())
    }

    /// `limit` due times that moved after one, in a unit and what was below it on the cut-off days, in the order of regime,
    /// period, unit and generation; by one decision or amendment, or by any.
    pub async fn due_change_page(
        &self,
        scope: UnitId,
        reference: Option<&str>,
        after: Option<&DueChangeKey>,
        limit: u64,
    ) -> Result<Vec<DueChange>, Error> {
        use Column as C;
        let order = [C::Regime, C::Period, C::UnitId, C::DueGeneration];
        let mut query = Entity::find().filter(changed_within(scope)).limit(limit);
        if let Some(reference) = reference {
            query = query.filter(C::Reference.eq(reference));
        }
        if let Some(after) = after {
            let row = Expr::tuple(order.map(|column| column.into_expr()));
            let key = Expr::tuple([
                Expr::value(after.regime.as_str()),
                Expr::value(after.period.as_str()),
                Expr::value(after.unit),
                Expr::value(after.due_generation),
            ]);
            query = query.filter(row.gt(key));
        }
        for column in order {
            query = query.order_by_asc(column);
        }
        query.all(self.database.reader()).await?.into_iter().map(Model::read).collect()
    }

    /// How an obligation's due time moved, the first move first.
    pub async fn due_change_all(&self, name: &ObligationName) -> Result<Vec<DueChange>, Error> {
        let rows = Entity::find()
            .filter(Column::Regime.eq(name.regime.id()))
            .filter(Column::Period.eq(name.period.to_string()))
            .filter(Column::UnitId.eq(name.unit.uuid()))
            .order_by_asc(Column::DueGeneration)
            .all(self.database.reader())
            .await?;
        rows.into_iter().map(Model::read).collect()
    }
}
