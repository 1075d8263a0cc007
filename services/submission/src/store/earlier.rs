//! What units handed over before, from the table `report`: what the rules of forms compare with.

use std::collections::HashMap;

use dunghan_calendar::Period;
use dunghan_hierarchy::UnitId;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _};

use uuid::Uuid;

use super::report_row::{Column, Entity, unreadable};
use super::{Error, Store};
use crate::domain::check::Earlier;

impl Store {
    /// What the reports of some units under a regime say for some periods, of those that are handed over, by unit.
    pub async fn report_earlier(
        &self,
        units: &[UnitId],
        regime: &str,
        periods: &[Period],
    ) -> Result<HashMap<UnitId, Vec<Earlier>>, Error> {
        let names = periods.iter().map(ToString::to_string);
        let rows: Vec<(Uuid, String, bool, String)> = Entity::find()
            .select_only()
            .columns([Column::UnitId, Column::Period, Column::Nil, Column::Figures])
            .filter(Column::Regime.eq(regime))
            .filter(Column::Period.is_in(names))
            .filter(Column::UnitId.is_in(units.iter().map(|unit| unit.uuid())))
            .filter(Column::ReceiveUs.is_not_null())
            // What was sent back is being mended.
            .filter(Column::ReturnUs.is_null())
            .into_tuple()
            .all(self.database.reader())
            .await?;
        let mut earlier: HashMap<UnitId, Vec<Earlier>> = HashMap::new();
        for (unit, period, nil, figures) in rows {
            let values = serde_json::from_str(&figures).map_err(unreadable)?;
            let period = period.parse().map_err(unreadable)?;
            let one = Earlier { period, values: Some(values).filter(|_| !nil) };
            earlier.entry(UnitId::from_uuid(unit)).or_default().push(one);
        }
        Ok(earlier)
    }
}
