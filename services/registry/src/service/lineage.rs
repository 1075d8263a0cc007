//! GetLineage.

use chrono::NaiveDate;
use dunghan_calendar::zone;
use dunghan_hierarchy::{Hierarchy, UnitId, UnitView};
use dunghan_proto::registry as pb;
use dunghan_rpc::field;
use tonic::Status;

use super::{Service, view};
use crate::convert::{self, lineage::Shown};
use crate::domain::lineage::{Step, ended, predecessors, successors};
use crate::error;

impl Service {
    pub(super) async fn lineage(
        &self,
        request: pb::GetLineageRequest,
    ) -> Result<pb::Lineage, Status> {
        let unit = convert::unit_name("name", &request.name)?;
        let as_of = field::date("as_of_date", request.as_of_date.as_ref())?;
        let today = zone::civil_date(self.clock.now());

        let known = self.current.known().await?;
        let hierarchy = &*known.hierarchy;
        let view = match as_of {
            Some(as_of) => view(hierarchy, unit, as_of)?,
            None => today_or_last(hierarchy, unit, today)?,
        };
        let after = successors(hierarchy, unit);
        let before = predecessors(hierarchy, unit);
        let history = hierarchy.get(unit);
        let end = history.and_then(ended);
        let known_from = history.and_then(|history| history.versions.first()?.validity.from);
        let shown = Shown { hierarchy, reorganisations: &known.reorganisations };
        let on_the_way =
            |unit| after.reached.contains_key(&unit) || after.looked_at.contains(&unit);
        Ok(pb::Lineage {
            unit: Some(convert::unit(hierarchy, view)),
            successors: shown.successors(&after.steps),
            predecessors: shown.predecessors(&before),
            changes: shown.changes(&after.reached),
            unconfirmed: shown.unconfirmed(on_the_way),
            known_from_date: known_from.map(field::pb_date),
            ended_without_successor: end.is_some_and(|end| {
                let at_end = |step: &Step| (step.predecessor, step.effective) == (unit, end);
                end <= today && !after.steps.iter().any(at_end)
            }),
            hierarchy_version: hierarchy.version().cast_signed(),
        })
    }
}

/// A unit as it is today; as it was last, where it has ended; as it will be first, where it has not begun.
fn today_or_last(
    hierarchy: &Hierarchy,
    unit: UnitId,
    today: NaiveDate,
) -> Result<UnitView<'_>, Status> {
    let last = hierarchy.known_on(unit, today);
    let first = || hierarchy.get(unit)?.versions.first()?.validity.from;
    let found = hierarchy.unit(unit, last).or_else(|| hierarchy.unit(unit, first()?));
    found.ok_or_else(|| error::no_unit(unit, today, hierarchy.get(unit)))
}
