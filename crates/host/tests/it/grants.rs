//! Grants beside tokens, in a process that the registry does not run in.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex};

use chrono::TimeDelta;
use dunghan_calendar::{Clock as _, SystemClock};
use dunghan_host::{Running, Spec, Start, Started, Suite};
use dunghan_proto::policy::{ErrorReason, Role};
use dunghan_proto::registry as pb;
use dunghan_proto::registry::GetUnitRequest;
use dunghan_proto::registry::grant_service_server::{GrantService, GrantServiceServer};
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_rpc::{Identity, refuse};
use dunghan_testkit::{Engine, Front, Place, eventually, refusal};
use tonic::{Code, Request, Response, Status};

use crate::world::{SOON, Submission, Tables, channel, config, start, until};

/// Who may read everything, as the registry keeps it, and the version of that.
static KEPT: LazyLock<Mutex<(i64, HashSet<&str>)>> = LazyLock::new(Mutex::default);

fn keep(subjects: &[&'static str]) {
    let mut kept = KEPT.lock().unwrap();
    *kept = (kept.0 + 1, subjects.iter().copied().collect());
}

struct Keeper;

type Answer<T> = Result<Response<T>, Status>;

fn unused<T>() -> Answer<T> {
    Err(refuse(Code::Unimplemented, ErrorReason::Internal, "no copy needs this", []))
}

#[tonic::async_trait]
impl GrantService for Keeper {
    async fn create_grant(&self, _: Request<pb::CreateGrantRequest>) -> Answer<pb::Grant> {
        unused()
    }

    async fn revoke_grant(&self, _: Request<pb::RevokeGrantRequest>) -> Answer<pb::Grant> {
        unused()
    }

    async fn list_grants(
        &self,
        _: Request<pb::ListGrantsRequest>,
    ) -> Answer<pb::ListGrantsResponse> {
        unused()
    }

    type StreamGrantsStream =
        tokio_stream::Iter<std::vec::IntoIter<Result<pb::StreamGrantsResponse, Status>>>;

    async fn stream_grants(
        &self,
        request: Request<pb::StreamGrantsRequest>,
    ) -> Answer<Self::StreamGrantsStream> {
        let (grants_version, subjects) = KEPT.lock().unwrap().clone();
        let message = |grants| Ok(pb::StreamGrantsResponse { grants_version, grants });
        let grant = |subject: &str, over| pb::Grant {
            subject: subject.to_owned(),
            role: Role::Reader.into(),
            over,
            ..Default::default()
        };
        let everything = |subject: &&str| {
            // One that no program of today knows stands before it.
            let grants = vec![grant(subject, None)];
            let over = Some(pb::grant::Over::Everything(true));
            [message(grants), message(vec![grant(subject, over)])]
        };
        let known = request.get_ref().known_version == grants_version;
        let messages: Vec<_> = match known || subjects.is_empty() {
            true => vec![message(Vec::new())],
            false => subjects.iter().flat_map(everything).collect(),
        };
        Ok(Response::new(tokio_stream::iter(messages)))
    }
}

struct Registry;

impl Spec for Registry {
    const NAME: &'static str = "registry";
    type Migrations = Tables;
    type Config = ();

    async fn start(_: Start, (): ()) -> anyhow::Result<Running> {
        Ok(Running::new().service(GrantServiceServer::new(Keeper)))
    }
}

fn suite() -> Suite {
    Suite::new().with::<Registry>().with::<Submission>()
}

/// Whether somebody whose token states nothing is let through to where nobody answers.
async fn let_through(started: &Started, subject: &str) -> bool {
    let identity = Identity { subject: subject.to_owned(), grants: Vec::new() };
    let token = started.issuer.sign(&identity, SystemClock.now(), TimeDelta::minutes(5)).unwrap();
    let mut request = Request::new(GetUnitRequest::default());
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let answer = RegistryServiceClient::new(channel(started)).get_unit(request).await;
    match refusal(&answer.unwrap_err()) {
        (Code::Unimplemented, _) => true,
        (code, reason) => {
            assert_eq!((code, reason.as_str()), (Code::PermissionDenied, "ROLE_MISSING"));
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_registry_grants_is_in_force_from_the_first_call_and_while_it_is_away() {
    let place = Place::new(Engine::Sqlite).await;
    let front = Front::new();
    let url = front.url();
    let elsewhere = config(place.folder(), &place.location, &[]);
    let mut registry = start(suite().only(&["registry"]).unwrap(), &elsewhere).await;
    registry.ready().await.unwrap();
    front.add(registry.address);
    keep(&["lan"]);

    let asking = config(place.folder(), &place.location, &[("peers.registry", &url)]);
    let mut submission = start(suite().only(&["submission"]).unwrap(), &asking).await;
    submission.ready().await.unwrap();
    assert!(let_through(&submission, "lan").await);
    assert!(!let_through(&submission, "hoa").await);

    keep(&["hoa"]);
    eventually(SOON, async || let_through(&submission, "hoa").await.then_some(())).await;
    assert!(!let_through(&submission, "lan").await);

    until(&submission, "submission/registry", true).await;
    front.remove(registry.address);
    registry.stop().await.unwrap();
    until(&submission, "submission/registry", false).await;
    assert!(let_through(&submission, "hoa").await);
    submission.stop().await.unwrap();

    // Nobody knows then who is granted what, and the process serves those whose tokens say so.
    let mut later = start(suite().only(&["submission"]).unwrap(), &asking).await;
    later.ready().await.unwrap();
    assert!(!let_through(&later, "hoa").await);
    let mut registry = start(suite().only(&["registry"]).unwrap(), &elsewhere).await;
    registry.ready().await.unwrap();
    front.add(registry.address);
    eventually(SOON, async || let_through(&later, "hoa").await.then_some(())).await;
    registry.stop().await.unwrap();
    later.stop().await.unwrap();
}
