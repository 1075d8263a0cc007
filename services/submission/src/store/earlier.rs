//! What a unit handed over before, from the table `report`: what the rules of forms compare with.

use dunghan_calendar::Period;
use dunghan_hierarchy::UnitId;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _};

use super::report_row::{Column, Entity, unreadable};
use super::{Error, Store};
use crate::domain::check::Earlier;

impl Store {
    /// What the reports of a unit under a regime say for some periods, of those that are handed over.
    pub async fn report_earlier(
        &self,
        unit: UnitId,
        regime: &str,
        periods: &[Period],
    ) -> Result<Vec<Earlier>, Error> {
        let names = periods.iter().map(ToString::to_string);
        let rows: Vec<(String, bool, String)> = Entity::find()
            .select_only()
            .columns([Column::Period, Column::Nil, Column::Figures])
            .filter(Column::Regime.eq(regime))
            .filter(Column::Period.is_in(names))
            .filter(Column::UnitId.eq(unit.uuid()))
            .filter(Column::ReceiveUs.is_not_null())
            // What was sent back is being mended.
            .filter(Column::ReturnUs.is_null())
            .into_tuple()
            .all(self.database.reader())
            .await?;
        let read = |(period, nil, figures): (String, bool, String)| {
            let values = serde_json::from_str(&figures).map_err(unreadable)?;
            let period = period.parse().map_err(unreadable)?;
            Ok(Earlier { period, values: Some(values).filter(|_| !nil) })
        };
        rows.into_iter().map(read).collect()
    }
}
