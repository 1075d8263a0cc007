//! What one unit has to see to, and where the report of an obligation is.

use chrono::{DateTime, Utc};
use dunghan_hierarchy::UnitId;
use sea_orm::QuerySelect as _;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Condition;

use super::obligation::{Column as C, Entity, Model};
use super::receipt;
use crate::domain::obligation::{Obligation, ObligationName};
use crate::store::{Error, Store, us};

impl Store {
    /// What is stored of a unit, and what has passed to it, that is neither settled nor closed nor waived at a moment.
    pub async fn obligation_owed(
        &self,
        unit: UnitId,
        at: DateTime<Utc>,
    ) -> Result<Vec<Obligation>, Error> {
        let unit = unit.uuid();
        let not_by = |column: C| Condition::any().add(column.is_null()).add(column.gt(us(at)));
        let awaited = not_by(C::ReceiveUs).add(C::ReturnUs.is_not_null());
        let rows: Vec<Model> = Entity::find()
            .filter(Condition::any().add(C::UnitId.eq(unit)).add(C::PassedTo.eq(unit)))
            .filter(not_by(C::CloseUs))
            .filter(not_by(C::WaivedUs))
            .filter(awaited)
            .all(self.database.reader())
            .await?;
        rows.into_iter().map(Model::read).collect()
    }

    /// The report that submission has spoken of, taken back or not; none where it has not.
    pub async fn report_of(&self, name: &ObligationName) -> Result<Option<Uuid>, Error> {
        use receipt::Column as R;
        let found = receipt::Entity::find()
            .select_only()
            .column(R::ReportId)
            .filter(R::Regime.eq(name.regime.id()))
            .filter(R::Period.eq(name.period.to_string()))
            .filter(R::UnitId.eq(name.unit.uuid()))
            .into_tuple()
            .one(self.database.reader())
            .await?;
        Ok(found)
    }
}
