//! The copy of the grants that the guard of a process adds to tokens.

use std::sync::Arc;
use std::time::Duration;

use dunghan_proto::policy::Role;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::grant::Over as PbOver;
use dunghan_proto::registry::grant_service_client::GrantServiceClient;
use dunghan_rpc::{Grant, Over, Peer, StoredGrant, StoredGrants, peer_failed};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::validity;

const PEER: &str = "registry";
/// How long a grant that was revoked may be in force in other processes than the registry's.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Keeps a process's [`StoredGrants`] up with the registry's. While the registry is away they stay what they are. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Grants {
    client: GrantServiceClient<Peer>,
    copy: StoredGrants,
    /// The version of the copy; 0: it was never read. Held while the registry is asked, so that no answer overtakes another.
    version: Arc<Mutex<i64>>,
}

impl Grants {
    /// Has `copy` follow the registry behind `peer`.
    pub fn new(peer: Peer, copy: StoredGrants) -> Self {
        Self { client: GrantServiceClient::new(peer), copy, version: Arc::default() }
    }

    /// Brings the copy up to date.
    ///
    /// Errors: UNAVAILABLE when the registry cannot be asked.
    pub async fn refresh(&self) -> Result<(), Status> {
        let mut version = self.version.lock().await;
        let request = pb::StreamGrantsRequest { known_version: *version };
        let stream = self.client.clone().stream_grants(request).await;
        let mut stream = stream.map_err(|e| peer_failed(PEER, e))?.into_inner();
        let (mut grants, mut newest) = (Vec::new(), *version);
        while let Some(part) = stream.message().await.map_err(|e| peer_failed(PEER, e))? {
            newest = part.grants_version;
            grants.extend(part.grants);
        }
        if newest != *version {
            let known: Vec<_> = grants.iter().filter_map(stored_grant).collect();
            let unknown = grants.len() - known.len();
            tracing::debug!(
                grants = known.len(),
                unknown,
                version = newest,
                "the grants were copied"
            );
            self.copy.replace(known);
            *version = newest;
        }
        Ok(())
    }

    /// Keeps the copy up to date until `stop`.
    pub async fn follow(self, stop: CancellationToken) {
        let following = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                // A registry that is away is logged by the call; the next look tries again.
                let _ = self.refresh().await;
            }
        };
        let _: Option<()> = stop.run_until_cancelled(following).await;
    }
}

/// A grant as the guard needs it. None: it is none that this program knows, and then it allows nothing; that is no reason
/// not to hear of the others, which may be revoked by now.
pub fn stored_grant(grant: &pb::Grant) -> Option<StoredGrant> {
    let over = match grant.over.as_ref()? {
        PbOver::Unit(unit) => Over::Subtree(unit.parse().ok()?),
        PbOver::Regime(regime) => Over::Regime(regime.strip_prefix("regimes/")?.to_owned()),
        PbOver::Everything(everything) => everything.then_some(Over::Everything)?,
    };
    let role = Some(grant.role()).filter(|role| *role != Role::Unspecified)?;
    let validity = validity(grant.valid_from_date.as_ref(), grant.valid_through_date.as_ref());
    Some(StoredGrant {
        subject: grant.subject.clone(),
        grant: Grant { role, over },
        validity: validity.ok()?,
    })
}
