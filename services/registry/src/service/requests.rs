//! The same request gets the same answer.

use dunghan_proto::policy::ErrorReason as Common;
use dunghan_rpc::{Caller, bad_field_for, field};
use dunghan_store::{Answered, RequestKey};
use tonic::{Response, Status};

use super::Service;

/// Which request this is, where it gives an id.
pub(super) fn request_key(
    caller: &Caller,
    method: &'static str,
    request_id: &str,
    request: &impl prost::Message,
) -> Result<Option<RequestKey>, Status> {
    let id = field::request_id(request_id)?;
    Ok(id.map(|id| RequestKey::new(caller.subject(), method, id, request)))
}

impl Service {
    /// The answer that was given to this request before, or else what `act` answers. Two of the same request at once get
    /// the same answer: the one that lost finds it when it has failed.
    pub(super) async fn once<M: prost::Message + Default>(
        &self,
        key: Option<&RequestKey>,
        act: impl Future<Output = Result<M, Status>>,
    ) -> Result<Response<M>, Status> {
        if let Some(earlier) = self.answered(key).await? {
            return Ok(Response::new(earlier));
        }
        match act.await {
            Ok(answer) => Ok(Response::new(answer)),
            Err(refused) => {
                let earlier = self.answered(key).await?;
                earlier.map(Response::new).ok_or(refused)
            }
        }
    }

    /// What was answered to this request.
    pub(super) async fn answered<M: prost::Message + Default>(
        &self,
        key: Option<&RequestKey>,
    ) -> Result<Option<M>, Status> {
        let Some(key) = key else { return Ok(None) };
        match self.store.request_answered(key).await? {
            Answered::No => Ok(None),
            Answered::Yes(answer) => Ok(Some(answer)),
            Answered::Reused => {
                let why = "came before with another request";
                Err(bad_field_for(Common::RequestIdReused, "request_id", why))
            }
        }
    }
}
