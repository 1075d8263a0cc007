//! The registry's rpcs.

mod contact;
mod correction;
mod current;
mod export;
mod grant;
mod import;
mod lineage;
mod reorganisation;
mod requests;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::NaiveDate;
use dunghan_calendar::{Clock, zone};
use dunghan_events::{list_events, pb_edge, pb_history};
use dunghan_hierarchy::{Hierarchy, Level, NSO, UnitId, UnitView};
use dunghan_proto::events::{ListEventsRequest, ListEventsResponse};
use dunghan_proto::registry as pb;
use dunghan_proto::registry::registry_service_server::RegistryService;
use dunghan_proto::r#type::Date;
use dunghan_rpc::{Caller, Page, StoredGrants, field};
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tonic::{Request, Response, Status, Streaming};

use crate::convert::{self, Query};
use crate::error;
use crate::store::{Error, Store};
use current::Current;
use grant::InForce;
use requests::request_key;

/// The most units that ResolveUnit answers with.
const MOST_FOUND: usize = 20;
/// How many histories or edges one message of StreamUnitHistories has: some hundred kilobytes.
const HISTORIES_AT_ONCE: usize = 500;
const EDGES_AT_ONCE: usize = 2000;

pub(crate) struct Service {
    store: Store,
    current: Current,
    /// What the guard of this process adds to tokens.
    pub(crate) grants: Arc<InForce>,
    clock: Arc<dyn Clock>,
    /// Held by whoever records something, from the look at the units to what is written of them: those who work out much
    /// would be overtaken again and again by those who work out little.
    recording: tokio::sync::Mutex<()>,
}

impl Service {
    pub(crate) async fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        guard: StoredGrants,
    ) -> Result<Self, Error> {
        let current = Current::load(store.clone()).await?;
        let grants = Arc::new(InForce::load(store.clone(), guard).await?);
        Ok(Self { store, current, grants, clock, recording: tokio::sync::Mutex::default() })
    }

    fn as_of(&self, asked: Option<&Date>) -> Result<NaiveDate, Status> {
        let asked = field::date("as_of_date", asked)?;
        Ok(asked.unwrap_or_else(|| zone::civil_date(self.clock.now())))
    }
}

/// Runs what takes some milliseconds beside the calls, so that it holds none of them up.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::from(e).into())
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
        let (found, best) = match query {
            Query::Code(code) => {
                let unit = hierarchy
                    .by_code(&code.scheme, &code.value, as_of)
                    .map_err(|e| error::no_code(&code, as_of, e))?;
                if let Some(above) = ancestor
                    && (unit == above || !hierarchy.is_within(unit, above, as_of))
                {
                    return Err(error::code_not_below(&code, above, as_of));
                }
                (vec![unit], 1)
            }
            Query::Name(name) => {
                let found = hierarchy.find(&name, as_of, ancestor).into_iter();
                let below = found.filter(|candidate| Some(candidate.id) != ancestor);
                let below: Vec<_> = below.take(MOST_FOUND).collect();
                let score = below.first().map(|best| best.score);
                let best = below.iter().take_while(|one| Some(one.score) == score).count();
                (below.into_iter().map(|candidate| candidate.id).collect(), best)
            }
        };
        let views = found.into_iter().filter_map(|unit| hierarchy.unit(unit, as_of));
        Ok(Response::new(pb::ResolveUnitResponse {
            units: views.map(|view| convert::unit(&hierarchy, view)).collect(),
            best_count: convert::count(best),
            hierarchy_version: hierarchy.version().cast_signed(),
        }))
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
        self.take_in(&caller, request.into_inner()).await.map(Response::new)
    }

    type StreamUnitHistoriesStream = Messages;

    async fn stream_unit_histories(
        &self,
        request: Request<pb::StreamUnitHistoriesRequest>,
    ) -> Result<Response<Self::StreamUnitHistoriesStream>, Status> {
        Caller::of(&request)?;
        // Whoever holds a copy asks seldom, and tells others by it that there is no such unit.
        let hierarchy = self.current.newest().await?.hierarchy.clone();
        let version = hierarchy.version().cast_signed();
        let known = request.get_ref().known_version == version;
        let (units, all_edges) =
            if known { (0, 0) } else { (hierarchy.len(), hierarchy.edges().len()) };
        // Without anything there still is one message, for the version. Each is made when it is sent: all at once they
        // take more room than the hierarchy.
        let of_units = units.div_ceil(HISTORIES_AT_ONCE);
        let messages = of_units + all_edges.div_ceil(EDGES_AT_ONCE);
        let messages = (0..messages.max(1)).map(move |at| {
            let mut part = pb::StreamUnitHistoriesResponse {
                hierarchy_version: version,
                ..pb::StreamUnitHistoriesResponse::default()
            };
            match at.checked_sub(of_units) {
                None => {
                    let units = hierarchy.histories().skip(at * HISTORIES_AT_ONCE);
                    part.units = units.take(HISTORIES_AT_ONCE).map(pb_history).collect();
                }
                Some(at) => {
                    let edges = hierarchy.edges().iter().take(all_edges);
                    let edges = edges.skip(at * EDGES_AT_ONCE).take(EDGES_AT_ONCE);
                    part.edges = edges.map(pb_edge).collect();
                }
            }
            Ok(part)
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }

    async fn commit_unit_import(
        &self,
        request: Request<pb::CommitUnitImportRequest>,
    ) -> Result<Response<pb::UnitImport>, Status> {
        let caller = Caller::of(&request)?;
        let id = convert::import_id("name", &request.get_ref().name)?;
        let import = self.commit(&caller, id).await?;
        Ok(Response::new(convert::import(import)))
    }

    async fn get_unit_import(
        &self,
        request: Request<pb::GetUnitImportRequest>,
    ) -> Result<Response<pb::UnitImport>, Status> {
        Caller::of(&request)?;
        let id = convert::import_id("name", &request.get_ref().name)?;
        let import = self.import(id).await?;
        Ok(Response::new(convert::import(import)))
    }

    async fn list_unit_imports(
        &self,
        request: Request<pb::ListUnitImportsRequest>,
    ) -> Result<Response<pb::ListUnitImportsResponse>, Status> {
        Caller::of(&request)?;
        self.imports(request.get_ref()).await.map(Response::new)
    }

    async fn list_unit_import_rows(
        &self,
        request: Request<pb::ListUnitImportRowsRequest>,
    ) -> Result<Response<pb::ListUnitImportRowsResponse>, Status> {
        Caller::of(&request)?;
        self.import_rows(request.get_ref()).await.map(Response::new)
    }

    type StreamUnitRowsStream = export::Rows;

    async fn stream_unit_rows(
        &self,
        request: Request<pb::StreamUnitRowsRequest>,
    ) -> Result<Response<Self::StreamUnitRowsStream>, Status> {
        Caller::of(&request)?;
        self.rows(request.get_ref()).await.map(Response::new)
    }

    async fn get_lineage(
        &self,
        request: Request<pb::GetLineageRequest>,
    ) -> Result<Response<pb::Lineage>, Status> {
        Caller::of(&request)?;
        self.lineage(request.into_inner()).await.map(Response::new)
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
