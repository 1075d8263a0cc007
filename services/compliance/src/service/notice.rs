//! Notices: listed, and watched with a token from which to go on.

use std::pin::Pin;
use std::time::Duration;

use dunghan_hierarchy::UnitId;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::ErrorReason;
use dunghan_proto::compliance::notice_service_server::NoticeService;
use dunghan_proto::events::event::Payload;
use dunghan_proto::events::{Event, ListEventsRequest};
use dunghan_proto::policy::ErrorReason as Common;
use dunghan_rpc::{Caller, Page, bad_field_for, refuse};
use dunghan_store::Position;
use dunghan_telemetry::Here;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};
use tracing::Instrument as _;
use uuid::Uuid;

use super::Service;
use crate::convert;
use crate::domain::notice::fitting;
use crate::store::NoticeKey;

/// How long a notice written by another process may wait.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Notices that a slow watcher may be behind before the server waits for it.
const BUFFERED: usize = 16;

type Sender = mpsc::Sender<Result<pb::WatchNoticesResponse, Status>>;

impl Service {
    /// Sends what is written for a recipient from `position` on, until the watcher or the server goes.
    async fn follow(
        &self,
        recipient: UnitId,
        mut position: String,
        watcher: Here,
        sender: &Sender,
    ) -> Result<(), Status> {
        let database = self.reconciler.store.database();
        let mut changes = database.outbox_changes();
        loop {
            changes.mark_unchanged();
            loop {
                let request = ListEventsRequest { after: position.clone(), ..Default::default() };
                let events = dunghan_events::list_events(database, &request).await?.events;
                let Some(last) = events.last() else { break };
                let end = last.position.clone();
                for event in events {
                    if let Some(id) = told(recipient, &event) {
                        let span = dunghan_events::deliver(&event, &watcher);
                        let sent = self.deliver(id, event.position, sender).instrument(span);
                        if !sent.await? {
                            return Ok(());
                        }
                    }
                }
                position = end;
            }
            tokio::select! {
                () = sender.closed() => return Ok(()),
                () = self.stopping.cancelled() => {
                    let message = "the server stops: call again with the last token";
                    return Err(refuse(Code::Unavailable, ErrorReason::ShuttingDown, message, []));
                }
                _ = changes.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Sends a notice. False where the watcher has gone.
    async fn deliver(
        &self,
        id: Uuid,
        resume_token: String,
        sender: &Sender,
    ) -> Result<bool, Status> {
        let Some(notice) = self.reconciler.store.notice_fetch(id).await? else { return Ok(true) };
        let notice = Some(pb::Notice::from(&notice));
        Ok(sender.send(Ok(pb::WatchNoticesResponse { notice, resume_token })).await.is_ok())
    }
}

/// The notice that an event tells of, if it is this recipient's.
fn told(recipient: UnitId, event: &Event) -> Option<Uuid> {
    let Some(Payload::NoticeCreated(created)) = &event.payload else { return None };
    let id = created.notice.strip_prefix(&format!("{recipient}/notices/"))?;
    id.parse().ok()
}

#[tonic::async_trait]
impl NoticeService for Service {
    async fn list_notices(
        &self,
        request: Request<pb::ListNoticesRequest>,
    ) -> Result<Response<pb::ListNoticesResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let recipient = convert::optional_unit("parent", &request.parent)?;
        let mut page = Page::<NoticeKey>::new(request.page_size, &request.page_token, &recipient)?;
        match recipient {
            Some(unit) => {
                self.readable(&caller, unit, None).await?;
            }
            None if caller.reaches_everything() => {}
            None => {
                let message = "name the recipient: the caller's role does not reach everywhere";
                return Err(refuse(Code::PermissionDenied, Common::OutOfScope, message, []));
            }
        }
        let limit = page.size as u64 + 1;
        let store = &self.reconciler.store;
        let found = store.notice_page(recipient, page.after.as_ref(), limit).await?;
        // A digest may name thousands: a page ends early rather than be more than a client takes.
        page.size = page.size.min(fitting(&found));
        let (found, next_page_token) = page.cut(found, |last| last.into());
        let notices = found.iter().map(pb::Notice::from).collect();
        Ok(Response::new(pb::ListNoticesResponse { notices, next_page_token }))
    }

    type WatchNoticesStream =
        Pin<Box<dyn Stream<Item = Result<pb::WatchNoticesResponse, Status>> + Send>>;

    async fn watch_notices(
        &self,
        request: Request<pb::WatchNoticesRequest>,
    ) -> Result<Response<Self::WatchNoticesStream>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let recipient = convert::unit("parent", &request.parent)?;
        self.readable(&caller, recipient, None).await?;
        request.resume_token.parse::<Position>().map_err(|_| {
            let why = "is not a token that WatchNotices gave";
            bad_field_for(ErrorReason::InvalidResumeToken, "resume_token", why)
        })?;
        let (sender, receiver) = mpsc::channel(BUFFERED);
        let service = self.clone();
        // Of the call only its place is kept: the looks of hours are no part of its trace.
        let watcher = Here::now();
        tokio::spawn(async move {
            let following = service.follow(recipient, request.resume_token, watcher, &sender);
            if let Err(status) = following.await {
                // A watcher that has gone does not hear it.
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
