//! The registry's rpcs.

mod current;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::NaiveDate;
use dunghan_calendar::{Clock, zone};
use dunghan_events::{edges, histories, list_events};
use dunghan_hierarchy::{Hierarchy, Level, NSO, UnitId, UnitView};
use dunghan_proto::events::{ListEventsRequest, ListEventsResponse};
use dunghan_proto::registry as pb;
use dunghan_proto::registry::registry_service_server::RegistryService;
use dunghan_proto::r#type::Date;
use dunghan_rpc::{Caller, Page, field, read_away};
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tonic::{Request, Response, Status, Streaming};

use crate::convert::{self, Query};
use crate::domain::import::{Merged, Staged, merge};
use crate::error;
use crate::store::{Error, Store};
use current::Current;

/// The most rows of one import; the nation with its history has some 14,000.
const MOST_ROWS: usize = 200_000;
/// The most units that ResolveUnit answers with.
const MOST_FOUND: usize = 20;
/// How many histories one message of StreamUnitHistories has.
const HISTORIES_AT_ONCE: usize = 500;

pub(crate) struct Service {
    store: Store,
    current: Current,
    clock: Arc<dyn Clock>,
}

impl Service {
    pub(crate) async fn new(store: Store, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let current = Current::load(store.clone()).await?;
        Ok(Self { store, current, clock })
    }

    fn as_of(&self, asked: Option<&Date>) -> Result<NaiveDate, Status> {
        let asked = field::date("as_of_date", asked)?;
        Ok(asked.unwrap_or_else(|| zone::civil_date(self.clock.now())))
    }
}

fn view(hierarchy: &Hierarchy, unit: UnitId, as_of: NaiveDate) -> Result<UnitView<'_>, Status> {
    hierarchy.unit(unit, as_of).ok_or_else(|| error::no_unit(unit, as_of, hierarchy.get(unit)))
}

/// Where a page ended: the date for which the first one was answered, so that a listing that is under way at midnight
/// goes on with the tree it began with, and the unit's place in the order of lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct PageKey {
    as_of: NaiveDate,
    /// Units without a code come last.
    no_code: bool,
    code: String,
    unit: uuid::Uuid,
}

impl PageKey {
    fn of(view: &UnitView<'_>) -> Self {
        let code = view.code(NSO);
        Self {
            as_of: view.as_of,
            no_code: code.is_none(),
            code: code.unwrap_or_default().to_owned(),
            unit: view.id.uuid(),
        }
    }
}

/// One page of `units` that are of one of `levels`, the token for the next, and how many there are on all pages.
fn paged(
    hierarchy: &Hierarchy,
    units: Vec<UnitId>,
    as_of: NaiveDate,
    levels: &BTreeSet<Level>,
    page: &Page<PageKey>,
) -> (Vec<pb::Unit>, String, i32) {
    let views: Vec<UnitView<'_>> = units
        .into_iter()
        .filter_map(|unit| hierarchy.unit(unit, as_of))
        .filter(|view| levels.is_empty() || levels.contains(&view.version.level))
        .collect();
    let total = convert::count(views.len());
    let start = page
        .after
        .as_ref()
        .map_or(0, |after| views.partition_point(|view| PageKey::of(view) <= *after));
    let rows = views.into_iter().skip(start).take(page.size + 1).collect();
    let (rows, token) = page.cut(rows, PageKey::of);
    let units = rows.into_iter().map(|view| convert::unit(hierarchy, view)).collect();
    (units, token, total)
}

#[tonic::async_trait]
impl RegistryService for Service {
    async fn get_unit(
        &self,
        request: Request<pb::GetUnitRequest>,
    ) -> Result<Response<pb::Unit>, Status> {
        Caller::of(&request)?;
        let request = request.into_inner();
        let unit = convert::unit_name("name", &request.name)?;
        let as_of = self.as_of(request.as_of_date.as_ref())?;

        let hierarchy = self.current.get().await?;
        let view = view(&hierarchy, unit, as_of)?;
        Ok(Response::new(convert::unit(&hierarchy, view)))
    }

    async fn list_units(
        &self,
        request: Request<pb::ListUnitsRequest>,
    ) -> Result<Response<pb::ListUnitsResponse>, Status> {
        Caller::of(&request)?;
        let request = request.into_inner();
        let levels = convert::levels(&request.levels)?;
        let parent = convert::optional_unit_name("parent_unit", &request.parent_unit)?;
        let filter = ("ListUnits", request.as_of_date, &levels, parent);
        let page = Page::<PageKey>::new(request.page_size, &request.page_token, &filter)?;
        let as_of = self.as_of(request.as_of_date.as_ref())?;
        let as_of = page.after.as_ref().map_or(as_of, |after| after.as_of);

        let hierarchy = self.current.get().await?;
        let units = match parent {
            None => hierarchy.units(as_of),
            Some(parent) => {
                view(&hierarchy, parent, as_of)?;
                hierarchy.children(parent, as_of)
            }
        };
        let (units, next_page_token, total_size) = paged(&hierarchy, units, as_of, &levels, &page);
        let hierarchy_version = hierarchy.version().cast_signed();
        Ok(Response::new(pb::ListUnitsResponse {
            units,
            next_page_token,
            total_size,
            hierarchy_version,
        }))
    }

    async fn resolve_unit(
        &self,
        request: Request<pb::ResolveUnitRequest>,
    ) -> Result<Response<pb::ResolveUnitResponse>, Status> {
        Caller::of(&request)?;
        let request = request.into_inner();
        let query = convert::query(request.query)?;
        let ancestor = convert::optional_unit_name("ancestor_unit", &request.ancestor_unit)?;
        let as_of = self.as_of(request.as_of_date.as_ref())?;

        let hierarchy = self.current.get().await?;
        if let Some(ancestor) = ancestor {
            view(&hierarchy, ancestor, as_of)?;
        }
        let found: Vec<UnitId> = match query {
            Query::Code(code) => {
                let unit = hierarchy
                    .by_code(&code.scheme, &code.value, as_of)
                    .map_err(|e| error::no_code(&code, as_of, e))?;
                if let Some(above) = ancestor
                    && (unit == above || !hierarchy.is_within(unit, above, as_of))
                {
                    return Err(error::code_not_below(&code, above, as_of));
                }
                vec![unit]
            }
            Query::Name(name) => {
                let found = hierarchy.find(&name, as_of, ancestor).into_iter();
                let below = found.map(|candidate| candidate.id).filter(|id| Some(*id) != ancestor);
                below.take(MOST_FOUND).collect()
            }
        };
        let views = found.into_iter().filter_map(|unit| hierarchy.unit(unit, as_of));
        let units = views.map(|view| convert::unit(&hierarchy, view)).collect();
        let hierarchy_version = hierarchy.version().cast_signed();
        Ok(Response::new(pb::ResolveUnitResponse { units, best_count: 0, hierarchy_version }))
    }

    async fn list_descendants(
        &self,
        request: Request<pb::ListDescendantsRequest>,
    ) -> Result<Response<pb::ListDescendantsResponse>, Status> {
        Caller::of(&request)?;
        let request = request.into_inner();
        let unit = convert::unit_name("name", &request.name)?;
        let levels = convert::levels(&request.levels)?;
        let filter = ("ListDescendants", unit, request.as_of_date, &levels);
        let page = Page::<PageKey>::new(request.page_size, &request.page_token, &filter)?;
        let as_of = self.as_of(request.as_of_date.as_ref())?;
        let as_of = page.after.as_ref().map_or(as_of, |after| after.as_of);

        let hierarchy = self.current.get().await?;
        view(&hierarchy, unit, as_of)?;
        let units = hierarchy.descendants(unit, as_of);
        let (units, next_page_token, total_size) = paged(&hierarchy, units, as_of, &levels, &page);
        let hierarchy_version = hierarchy.version().cast_signed();
        Ok(Response::new(pb::ListDescendantsResponse {
            units,
            next_page_token,
            total_size,
            hierarchy_version,
        }))
    }

    async fn import_units(
        &self,
        request: Request<Streaming<pb::ImportUnitsRequest>>,
    ) -> Result<Response<pb::ImportUnitsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut stream = request.into_inner();
        let mut staged = Staged::default();
        let mut received = 0;
        while let Some(message) = stream.message().await.map_err(|e| error::stream_broken(&e))? {
            let row = message.row.unwrap_or_default();
            if received == MOST_ROWS {
                read_away(&mut stream).await;
                return Err(error::too_many_rows(MOST_ROWS));
            }
            match convert::row(received, row) {
                Ok(row) => staged.rows.push(row),
                Err(bad) => {
                    staged.problems.extend(bad.problems);
                    staged.spoilt.extend(bad.code);
                }
            }
            received += 1;
        }
        // tonic shows a stream that its client has cancelled as one that is complete. The server drops a cancelled call
        // when it waits for something, so it is made to wait before anything is applied.
        tokio::task::yield_now().await;

        loop {
            let current = self.current.get().await?;
            let merged = match merge(&current, &staged) {
                Ok(merged) => merged,
                Err(problems) => {
                    return Ok(Response::new(pb::ImportUnitsResponse {
                        received_count: convert::count(received),
                        problems: convert::row_problems(problems),
                        hierarchy_version: current.version().cast_signed(),
                        ..Default::default()
                    }));
                }
            };
            match self.write(&current, &merged).await {
                // Another import came first; the rows are merged into what it left.
                Err(Error::Overtaken) => continue,
                written => written?,
            }
            let (changed, created) = (merged.changed.len(), merged.created);
            let version = merged.hierarchy.version();
            tracing::info!(
                by = caller.subject(),
                rows = received,
                created,
                updated = changed - created,
                version,
                "units were imported"
            );
            return Ok(Response::new(pb::ImportUnitsResponse {
                received_count: convert::count(received),
                created_count: convert::count(created),
                updated_count: convert::count(changed - created),
                unchanged_count: convert::count(merged.unchanged),
                problems: Vec::new(),
                hierarchy_version: version.cast_signed(),
                ..Default::default()
            }));
        }
    }

    type StreamUnitHistoriesStream = Messages;

    async fn stream_unit_histories(
        &self,
        request: Request<pb::StreamUnitHistoriesRequest>,
    ) -> Result<Response<Self::StreamUnitHistoriesStream>, Status> {
        Caller::of(&request)?;
        let hierarchy = self.current.get().await?;
        let version = hierarchy.version().cast_signed();
        let known = request.get_ref().known_version == version;
        let units = if known { 0 } else { hierarchy.len() };
        // Without any units there still is one message, for the version. Each is made when it is sent: all at once they
        // take more room than the hierarchy.
        let messages = (0..units.div_ceil(HISTORIES_AT_ONCE).max(1)).map(move |at| {
            let units = histories(&hierarchy).skip(at * HISTORIES_AT_ONCE);
            let units = units.take(if known { 0 } else { HISTORIES_AT_ONCE }).collect();
            let edges = if at == 0 && !known { edges(&hierarchy).collect() } else { Vec::new() };
            Ok(pb::StreamUnitHistoriesResponse { hierarchy_version: version, units, edges })
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }

    async fn commit_unit_import(
        &self,
        _: Request<pb::CommitUnitImportRequest>,
    ) -> Result<Response<pb::UnitImport>, Status> {
        Err(dunghan_rpc::refuse(
            tonic::Code::Unimplemented,
            dunghan_proto::policy::ErrorReason::Internal,
            "not yet",
            [],
        ))
    }

    async fn get_unit_import(
        &self,
        _: Request<pb::GetUnitImportRequest>,
    ) -> Result<Response<pb::UnitImport>, Status> {
        Err(dunghan_rpc::refuse(
            tonic::Code::Unimplemented,
            dunghan_proto::policy::ErrorReason::Internal,
            "not yet",
            [],
        ))
    }

    async fn list_unit_imports(
        &self,
        _: Request<pb::ListUnitImportsRequest>,
    ) -> Result<Response<pb::ListUnitImportsResponse>, Status> {
        Err(dunghan_rpc::refuse(
            tonic::Code::Unimplemented,
            dunghan_proto::policy::ErrorReason::Internal,
            "not yet",
            [],
        ))
    }

    async fn list_unit_import_rows(
        &self,
        _: Request<pb::ListUnitImportRowsRequest>,
    ) -> Result<Response<pb::ListUnitImportRowsResponse>, Status> {
        Err(dunghan_rpc::refuse(
            tonic::Code::Unimplemented,
            dunghan_proto::policy::ErrorReason::Internal,
            "not yet",
            [],
        ))
    }

    type StreamUnitRowsStream = BoxStream<'static, Result<pb::StreamUnitRowsResponse, Status>>;

    async fn stream_unit_rows(
        &self,
        _: Request<pb::StreamUnitRowsRequest>,
    ) -> Result<Response<Self::StreamUnitRowsStream>, Status> {
        Err(dunghan_rpc::refuse(
            tonic::Code::Unimplemented,
            dunghan_proto::policy::ErrorReason::Internal,
            "not yet",
            [],
        ))
    }

    async fn get_lineage(
        &self,
        _: Request<pb::GetLineageRequest>,
    ) -> Result<Response<pb::Lineage>, Status> {
        Err(dunghan_rpc::refuse(
            tonic::Code::Unimplemented,
            dunghan_proto::policy::ErrorReason::Internal,
            "not yet",
            [],
        ))
    }

    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        Caller::of(&request)?;
        let events = list_events(self.store.database(), request.get_ref()).await?;
        Ok(Response::new(events))
    }
}

type Messages = BoxStream<'static, Result<pb::StreamUnitHistoriesResponse, Status>>;

impl Service {
    /// Applies an import to the tables, and then to the copy.
    async fn write(&self, current: &Hierarchy, merged: &Merged) -> Result<(), Error> {
        if merged.changed.is_empty() {
            return Ok(());
        }
        let units: Vec<_> =
            merged.changed.iter().filter_map(|unit| merged.hierarchy.get(*unit)).collect();
        self.store.units_replace(current.version(), &units, self.clock.now()).await?;
        self.current.replace(merged.hierarchy.clone());
        Ok(())
    }
}
