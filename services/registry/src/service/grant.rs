//! Grants beside tokens: who may do what, over what, and when.

use std::sync::Arc;
use std::time::Duration;

use dunghan_calendar::zone;
use dunghan_events::stored_grant;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::grant_service_server::GrantService;
use dunghan_rpc::{Caller, Page, StoredGrants};
use futures::stream::BoxStream;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::Service;
use crate::convert;
use crate::convert::grant::{asked_subject, new_grant, to_revoke};
use crate::domain::ending::Ending;
use crate::domain::grant::Over;
use crate::error;
use crate::store::{Error, GrantFilter, GrantKey, Store};

/// How many grants one message of StreamGrants has.
const GRANTS_AT_ONCE: usize = 500;
/// How long a grant that another process of the registry revoked may be in force in this one.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What is stored, put where the guard of this process reads it.
pub(crate) struct InForce {
    store: Store,
    guard: StoredGrants,
    /// The version that the guard has. Held while it is read, so that no newer one is overtaken.
    version: Mutex<i64>,
}

impl InForce {
    pub(crate) async fn load(store: Store, guard: StoredGrants) -> Result<Self, Error> {
        let in_force = Self { store, guard, version: Mutex::default() };
        in_force.refresh().await?;
        Ok(in_force)
    }

    /// Has the guard of this process know what is stored by now.
    async fn refresh(&self) -> Result<(), Error> {
        let mut version = self.version.lock().await;
        let (stored, grants) = self.store.grants_fetch(*version).await?;
        if let Some(grants) = grants {
            let grants = grants.iter().map(convert::grant::grant);
            self.guard.replace(grants.filter_map(|grant| stored_grant(&grant)));
            *version = stored;
        }
        Ok(())
    }

    /// Takes over what other processes of the registry write, until `stop`.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let following = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                if let Err(error) = self.refresh().await {
                    // Said there; the next look tries again.
                    let _ = Status::from(error);
                }
            }
        };
        let _: Option<()> = stop.run_until_cancelled(following).await;
    }
}

#[tonic::async_trait]
impl GrantService for Service {
    async fn create_grant(
        &self,
        request: Request<pb::CreateGrantRequest>,
    ) -> Result<Response<pb::Grant>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let key = super::request_key(&caller, "CreateGrant", &request.request_id, &request)?;
        let now = self.clock.now();
        let grant = new_grant(request, caller.subject(), now)?;
        let add = async {
            if let Over::Subtree(unit) = grant.over {
                let hierarchy = self.current.get().await?;
                let known = hierarchy.get(unit).filter(|history| !history.versions.is_empty());
                known.ok_or_else(|| error::no_unit(unit, zone::civil_date(now), None))?;
            }
            let answer = convert::grant::grant(&grant);
            let reply = key.as_ref().map(|key| (key, &answer));
            self.store.grant_insert(&grant, reply).await?;
            tracing::info!(by = caller.subject(), grant = %grant.name, "a role was granted");
            Ok(answer)
        };
        let answer = self.once(key.as_ref(), add).await?;
        self.grants.refresh().await?;
        Ok(answer)
    }

    async fn revoke_grant(
        &self,
        request: Request<pb::RevokeGrantRequest>,
    ) -> Result<Response<pb::Grant>, Status> {
        let caller = Caller::of(&request)?;
        let (name, reason) = to_revoke(request.get_ref())?;
        let ending = Ending { by: caller.subject().to_owned(), at: self.clock.now(), reason };
        let revoked = loop {
            let grant = self.store.grant_fetch(name).await?;
            let revoked = grant.revoke(ending.clone())?;
            if revoked == grant {
                break revoked;
            }
            // Where another one came between, what it left is judged anew.
            if self.store.grant_revoke(&revoked).await? {
                tracing::info!(by = caller.subject(), grant = %name, "a grant was revoked");
                break revoked;
            }
        };
        // Whoever is told that it is revoked finds it so. If this fails, asking again does it.
        self.grants.refresh().await?;
        Ok(Response::new(convert::grant::grant(&revoked)))
    }

    async fn list_grants(
        &self,
        request: Request<pb::ListGrantsRequest>,
    ) -> Result<Response<pb::ListGrantsResponse>, Status> {
        let request = request.into_inner();
        let unit = convert::optional_unit_name("unit", &request.unit)?;
        let subject = asked_subject(&request.subject)?;
        let asked = ("ListGrants", &subject, unit, request.show_ended);
        let page = Page::<GrantKey>::new(request.page_size, &request.page_token, &asked)?;
        let today = zone::civil_date(self.clock.now());
        let from = (!request.show_ended).then_some(today);
        let filter = GrantFilter { subject, unit, from };
        let found = self.store.grant_page(&filter, page.after, page.size + 1).await?;
        let (found, next_page_token) = page.cut(found, |last| last.into());
        let grants = found.iter().map(convert::grant::grant).collect();
        Ok(Response::new(pb::ListGrantsResponse { grants, next_page_token }))
    }

    type StreamGrantsStream = BoxStream<'static, Result<pb::StreamGrantsResponse, Status>>;

    async fn stream_grants(
        &self,
        request: Request<pb::StreamGrantsRequest>,
    ) -> Result<Response<Self::StreamGrantsStream>, Status> {
        let known = request.get_ref().known_version;
        let (grants_version, grants) = self.store.grants_fetch(known).await?;
        let grants = grants.unwrap_or_default();
        // Without any grants there still is one message, for the version.
        let messages = (0..grants.len().div_ceil(GRANTS_AT_ONCE).max(1)).map(move |at| {
            let grants = grants.iter().skip(at * GRANTS_AT_ONCE).take(GRANTS_AT_ONCE);
            let grants = grants.map(convert::grant::grant).collect();
            Ok(pb::StreamGrantsResponse { grants_version, grants })
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }
}
