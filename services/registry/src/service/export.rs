//! The units as rows.

use std::sync::Arc;

use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::registry as pb;
use dunghan_rpc::{bad_field, internal};
use futures::stream::BoxStream;
use tonic::Status;

use super::{Service, aside, view};
use crate::convert;
use crate::domain::export::{Place, as_of, row, whole_history};

/// How many rows one message has: some fifty kilobytes.
const ROWS_AT_ONCE: usize = 500;

pub(super) type Rows = BoxStream<'static, Result<pb::StreamUnitRowsResponse, Status>>;

impl Service {
    pub(super) async fn rows(&self, request: &pb::StreamUnitRowsRequest) -> Result<Rows, Status> {
        if request.whole_history {
            for (field, given) in [
                ("as_of_date", request.as_of_date.is_some()),
                ("ancestor_unit", !request.ancestor_unit.is_empty()),
                ("levels", !request.levels.is_empty()),
            ] {
                if given {
                    return Err(bad_field(field, "is not taken together with whole_history"));
                }
            }
        }
        let ancestor = convert::optional_unit_name("ancestor_unit", &request.ancestor_unit)?;
        let levels = convert::levels(&request.levels)?;
        let date = self.as_of(request.as_of_date.as_ref())?;

        let hierarchy = self.current.get().await?;
        if let Some(ancestor) = ancestor {
            view(&hierarchy, ancestor, date)?;
        }
        let (of, history) = (hierarchy.clone(), request.whole_history);
        let places = move || {
            if history {
                return whole_history(&of);
            }
            let below = |unit| [vec![unit], of.descendants(unit, date)].concat();
            let mut units: Vec<UnitId> = ancestor.map_or_else(|| of.units(date), below);
            units.retain(|unit| {
                let level = of.unit(*unit, date).map(|view| view.version.level);
                levels.is_empty() || level.is_some_and(|level| levels.contains(&level))
            });
            as_of(&of, &units, date)
        };
        let places = aside(places).await?;
        Ok(Box::pin(tokio_stream::iter(messages(hierarchy, places))))
    }
}

/// Each is made when it is sent. Without any rows there still is one, for the version.
fn messages(
    hierarchy: Arc<Hierarchy>,
    places: Vec<Place>,
) -> impl Iterator<Item = Result<pb::StreamUnitRowsResponse, Status>> {
    let hierarchy_version = hierarchy.version().cast_signed();
    (0..places.len().div_ceil(ROWS_AT_ONCE).max(1)).map(move |part| {
        let places = places.iter().enumerate().skip(part * ROWS_AT_ONCE).take(ROWS_AT_ONCE);
        let rows = places.map(|(at, place)| row(&hierarchy, at, *place).map(convert::unit_row));
        let rows = rows.collect::<Result<_, _>>();
        let rows = rows.map_err(|e| internal("telling of a unit by rows", &e))?;
        Ok(pb::StreamUnitRowsResponse { hierarchy_version, rows })
    })
}
