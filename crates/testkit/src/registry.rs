//! A registry for services that only hold a copy of its units.

use dunghan_events::{edges, histories};
use dunghan_hierarchy::Hierarchy;
use dunghan_proto::events::{ListEventsRequest, ListEventsResponse};
use dunghan_proto::policy::ErrorReason;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::registry_service_server::{RegistryService, RegistryServiceServer};
use dunghan_rpc::refuse;
use tonic::{Code, Request, Response, Status, Streaming};

/// A row as ImportUnits takes it.
pub fn import_row(row: pb::UnitRow) -> pb::ImportUnitsRequest {
    pb::ImportUnitsRequest { row: Some(row), ..Default::default() }
}

/// Serves whatever `hierarchy` gives at the time of each call, or fails as it does.
pub fn registry<F>(hierarchy: F) -> RegistryServiceServer<Registry<F>>
where
    F: Fn() -> Result<Hierarchy, Status> + Send + Sync + 'static,
{
    RegistryServiceServer::new(Registry(hierarchy))
}

/// See [`registry`].
#[derive(Debug)]
pub struct Registry<F>(F);

type Answer<T> = Result<Response<T>, Status>;

fn unused<T>() -> Answer<T> {
    Err(refuse(Code::Unimplemented, ErrorReason::Internal, "no copy needs this", []))
}

#[tonic::async_trait]
impl<F> RegistryService for Registry<F>
where
    F: Fn() -> Result<Hierarchy, Status> + Send + Sync + 'static,
{
    type StreamUnitHistoriesStream =
        tokio_stream::Once<Result<pb::StreamUnitHistoriesResponse, Status>>;

    async fn stream_unit_histories(
        &self,
        request: Request<pb::StreamUnitHistoriesRequest>,
    ) -> Answer<Self::StreamUnitHistoriesStream> {
        let hierarchy = (self.0)()?;
        let hierarchy_version = hierarchy.version().cast_signed();
        let known = request.get_ref().known_version == hierarchy_version;
        let units = if known { Vec::new() } else { histories(&hierarchy).collect() };
        let edges = if known { Vec::new() } else { edges(&hierarchy).collect() };
        let all = pb::StreamUnitHistoriesResponse { hierarchy_version, units, edges };
        Ok(Response::new(tokio_stream::once(Ok(all))))
    }

    async fn list_events(&self, _: Request<ListEventsRequest>) -> Answer<ListEventsResponse> {
        unused()
    }

    async fn get_unit(&self, _: Request<pb::GetUnitRequest>) -> Answer<pb::Unit> {
        unused()
    }

    async fn list_units(&self, _: Request<pb::ListUnitsRequest>) -> Answer<pb::ListUnitsResponse> {
        unused()
    }

    async fn resolve_unit(
        &self,
        _: Request<pb::ResolveUnitRequest>,
    ) -> Answer<pb::ResolveUnitResponse> {
        unused()
    }

    async fn list_descendants(
        &self,
        _: Request<pb::ListDescendantsRequest>,
    ) -> Answer<pb::ListDescendantsResponse> {
        unused()
    }

    async fn import_units(
        &self,
        _: Request<Streaming<pb::ImportUnitsRequest>>,
    ) -> Answer<pb::ImportUnitsResponse> {
        unused()
    }

    async fn commit_unit_import(
        &self,
        _: Request<pb::CommitUnitImportRequest>,
    ) -> Answer<pb::UnitImport> {
        unused()
    }

    async fn get_unit_import(
        &self,
        _: Request<pb::GetUnitImportRequest>,
    ) -> Answer<pb::UnitImport> {
        unused()
    }

    async fn list_unit_imports(
        &self,
        _: Request<pb::ListUnitImportsRequest>,
    ) -> Answer<pb::ListUnitImportsResponse> {
        unused()
    }

    async fn list_unit_import_rows(
        &self,
        _: Request<pb::ListUnitImportRowsRequest>,
    ) -> Answer<pb::ListUnitImportRowsResponse> {
        unused()
    }

    type StreamUnitRowsStream = tokio_stream::Empty<Result<pb::StreamUnitRowsResponse, Status>>;

    async fn stream_unit_rows(
        &self,
        _: Request<pb::StreamUnitRowsRequest>,
    ) -> Answer<Self::StreamUnitRowsStream> {
        unused()
    }

    async fn get_lineage(&self, _: Request<pb::GetLineageRequest>) -> Answer<pb::Lineage> {
        unused()
    }
}
