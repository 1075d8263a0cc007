//! Files of reports: taken in, given out, taken off, erased.

use std::pin::Pin;

use dunghan_proto::submission as pb;
use dunghan_proto::submission::attachment_service_server::AttachmentService;
use dunghan_proto::submission::download_attachment_response as answer;
use dunghan_proto::submission::upload_attachment_request::Message;
use dunghan_rpc::read_away;
use futures::stream::{self, StreamExt as _};
use futures::{Stream, TryStreamExt as _};
use tonic::Streaming;

use super::stream::{GRACE, Pace, next};
use super::*;
use crate::blobs::{self, Announced, NotReceived, pieces};
use crate::convert::Upload;
use crate::domain::attachment::{Attachment, AttachmentName, Erasure};
use crate::domain::report::AttachedFile;
use crate::error::{attachment_damaged, attachment_erased, in_header};

/// The most bytes of one chunk.
const LARGEST_CHUNK: usize = 1 << 20;

type Uploading = Streaming<pb::UploadAttachmentRequest>;

/// How many bytes of a file have to come in a second.
const LEAST_RATE: u32 = 16 << 10;

fn chunk_too_large() -> Status {
    let says = format!("must not be larger than {} MiB", LARGEST_CHUNK >> 20);
    bad("chunk", ErrorReason::TooLong, says)
}

/// The chunks of an upload after its header.
fn chunks(uploading: &mut Uploading) -> impl Stream<Item = Result<Vec<u8>, Status>> {
    stream::try_unfold(uploading, async |uploading| {
        let Some(message) = next(uploading, chunk_too_large).await? else { return Ok(None) };
        match message.message {
            Some(Message::Chunk(chunk)) if chunk.len() > LARGEST_CHUNK => Err(chunk_too_large()),
            Some(Message::Chunk(chunk)) if chunk.is_empty() => {
                Err(bad("chunk", Common::InvalidField, "is empty"))
            }
            Some(Message::Chunk(chunk)) => Ok(Some((chunk, uploading))),
            Some(Message::Header(_)) | None => {
                let says = "is missing: only the first message is a header";
                Err(bad("chunk", Common::InvalidField, says))
            }
        }
    })
}

/// The chunks of an upload as long as they come fast enough.
fn not_too_slow(
    chunks: impl Stream<Item = Result<Vec<u8>, Status>>,
    pace: Pace,
) -> impl Stream<Item = Result<Vec<u8>, Status>> {
    stream::try_unfold((Box::pin(chunks), pace), async |(mut chunks, mut pace)| {
        let Some(chunk) = pace.in_time(chunks.next()).await?.transpose()? else { return Ok(None) };
        pace.came(chunk.len());
        Ok(Some((chunk, (chunks, pace))))
    })
}

impl Service {
    async fn upload(
        &self,
        caller: &Caller,
        uploading: &mut Uploading,
    ) -> Result<Response<pb::Attachment>, Status> {
        let first = next(uploading, chunk_too_large).await?.and_then(|message| message.message);
        let Some(Message::Header(header)) = first else {
            let says = "is missing: the first message says what comes";
            return Err(bad("header", ErrorReason::HeaderMissing, says));
        };
        let key = request_key(caller, "UploadAttachment", &header.request_id, &header)?;
        let upload = convert::upload(&header)?;
        let unit = upload.report.unit;
        let hierarchy = self.units.knowing(unit).await?;
        caller.must_write_under(unit, None, &hierarchy, self.today())?;
        // Before all of it comes again.
        if let Some(earlier) = self.answered(key.as_ref()).await? {
            return Ok(Response::new(earlier));
        }
        let taking = self.take_in(upload, uploading, caller.subject(), key.as_ref());
        // A future of its own: with those around it it is larger than a stack is to hold.
        self.once(key.as_ref(), Box::pin(taking)).await
    }

    async fn take_in(
        &self,
        upload: Upload,
        uploading: &mut Uploading,
        author: &str,
        key: Option<&RequestKey>,
    ) -> Result<pb::Attachment, Status> {
        let Upload { report, file_name, announced } = upload;
        // Before anything of it is read. What counts is looked at again when it is written.
        let editable = self.store.report_fetch(report).await?.must_take_a_file();
        editable.map_err(Error::from)?;
        let Announced { size, sha256 } = announced.clone();
        let chunks = not_too_slow(chunks(uploading), Pace::new(GRACE, LEAST_RATE));
        let received = self.blobs.receive(author, announced, chunks).await;
        let received = received.map_err(|refused| match refused {
            NotReceived::Broken(status) => status,
            refused => refused.into(),
        })?;
        let id = Uuid::new_v4();
        let media_type = received.media_type.to_owned();
        self.blobs.put(id, received).await?;
        let attachment = Attachment {
            report,
            file: AttachedFile { id, file_name, size, sha256 },
            media_type,
            create_time: self.clock.now(),
            author: author.to_owned(),
            detach_time: None,
            erasure: None,
        };
        let response = pb::Attachment::from(&attachment);
        let reply = key.map(|key| Reply { key, response: &response });
        if let Err(error) = self.store.attachment_insert(&attachment, reply).await {
            // Where the database failed nobody knows whether the row is there: then its blob has to be. Should it stay for
            // nothing, it is collected.
            if !matches!(error, Error::Database(_)) {
                let _ = self.blobs.delete(id).await;
            }
            return Err(error.into());
        }
        Ok(response)
    }

    /// The attachment of that name, if the caller has the right that `right` asks for over its unit or its regime.
    ///
    /// Errors: NOT_FOUND (ATTACHMENT_NOT_FOUND), but PERMISSION_DENIED (OUT_OF_SCOPE) for whoever has no right over the unit.
    async fn permitted_attachment(
        &self,
        caller: &Caller,
        name: AttachmentName,
        right: impl Fn(Option<&str>) -> Result<(), Status>,
    ) -> Result<Attachment, Status> {
        match self.permitted(caller, name.report, right).await {
            Ok(_) => Ok(self.store.attachment_fetch(name).await?),
            Err(status) if status.code() == Code::NotFound => Err(Error::NoAttachment(name).into()),
            Err(status) => Err(status),
        }
    }
}

#[tonic::async_trait]
impl AttachmentService for Service {
    type DownloadAttachmentStream =
        Pin<Box<dyn Stream<Item = Result<pb::DownloadAttachmentResponse, Status>> + Send>>;

    async fn upload_attachment(
        &self,
        request: Request<Uploading>,
    ) -> Result<Response<pb::Attachment>, Status> {
        let caller = Caller::of(&request)?;
        let mut uploading = request.into_inner();
        let answer = self.upload(&caller, &mut uploading).await.map_err(in_header);
        // What is refused, or was answered before, may still be coming.
        read_away(&mut uploading).await;
        answer
    }

    async fn download_attachment(
        &self,
        request: Request<pb::DownloadAttachmentRequest>,
    ) -> Result<Response<Self::DownloadAttachmentStream>, Status> {
        let caller = Caller::of(&request)?;
        let name = convert::attachment_name("name", &request.get_ref().name)?;
        let hierarchy = self.units.knowing(name.report.unit).await?;
        let (unit, today) = (name.report.unit, self.today());
        let right = |regime: Option<&str>| caller.must_read(unit, regime, &hierarchy, today);
        let attachment = self.permitted_attachment(&caller, name, right).await?;
        let must_be_there = |attachment: &Attachment| match &attachment.erasure {
            Some(erasure) => Err(attachment_erased(name, erasure.at)),
            None => Ok(()),
        };
        must_be_there(&attachment)?;
        let source = match self.blobs.get(name.attachment).await {
            Ok(source) => source,
            Err(blobs::Error::Missing) => {
                // It may have been erased just now.
                must_be_there(&self.store.attachment_fetch(name).await?)?;
                return Err(attachment_damaged(name, "it is not there"));
            }
            Err(error) => return Err(error.into()),
        };
        let AttachedFile { size, sha256, .. } = attachment.file.clone();
        let pieces = pieces(source, Announced { size, sha256 });
        let pieces = pieces.map_ok(answer::Message::Chunk).map_err(move |error| match error {
            blobs::NotWhole::Damaged => attachment_damaged(name, &error.to_string()),
            blobs::NotWhole::Blob(error) => error.into(),
        });
        let first = answer::Message::Attachment(pb::Attachment::from(&attachment));
        let messages = stream::iter([Ok(first)]).chain(pieces);
        let answers =
            messages.map_ok(|message| pb::DownloadAttachmentResponse { message: Some(message) });
        Ok(Response::new(answers.boxed()))
    }

    async fn list_attachments(
        &self,
        request: Request<pb::ListAttachmentsRequest>,
    ) -> Result<Response<pb::ListAttachmentsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let name = report_name("parent", &request.parent)?;
        let page = Page::<i64>::new(request.page_size, &request.page_token, &name)?;
        self.readable(&caller, name).await?;
        let found = self.store.attachment_page(name, page.after, page.size + 1).await?;
        let (found, next_page_token) = page.cut(found, |(version, _)| *version);
        let attachments = found.iter().map(|(_, one)| pb::Attachment::from(one)).collect();
        Ok(Response::new(pb::ListAttachmentsResponse { attachments, next_page_token }))
    }

    async fn detach_attachment(
        &self,
        request: Request<pb::DetachAttachmentRequest>,
    ) -> Result<Response<pb::Attachment>, Status> {
        let caller = Caller::of(&request)?;
        let name = convert::attachment_name("name", &request.get_ref().name)?;
        let hierarchy = self.units.knowing(name.report.unit).await?;
        caller.must_write_under(name.report.unit, None, &hierarchy, self.today())?;
        let detached = self.store.attachment_detach(name, self.clock.now()).await?;
        Ok(Response::new(pb::Attachment::from(&detached)))
    }

    async fn erase_attachment(
        &self,
        request: Request<pb::EraseAttachmentRequest>,
    ) -> Result<Response<pb::Attachment>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let name = convert::attachment_name("name", &request.name)?;
        let reason = convert::reason(&request.reason)?;
        let hierarchy = self.units.knowing(name.report.unit).await?;
        let (unit, today) = (name.report.unit, self.today());
        let right = |regime: Option<&str>| caller.must_write_under(unit, regime, &hierarchy, today);
        self.permitted_attachment(&caller, name, right).await?;
        let author = caller.subject().to_owned();
        let erasure = Erasure { at: self.clock.now(), author, reason };
        let erased = self.store.attachment_erase(name, &erasure).await?;
        // From now on nobody is given it. Should its blob stay for the moment, the job removes it.
        if let Err(error) = self.collector.erase(name.attachment).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "the blob of an erased attachment is still there");
            self.collector.bell.notify_one();
        }
        Ok(Response::new(pb::Attachment::from(&erased)))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_upload_may_pause_within_its_grace_and_not_dribble() {
        let at_once = || Pace::new(Duration::ZERO, LEAST_RATE);
        let came = || stream::iter((0..3).map(|_| Ok(vec![0; 1 << 20])));
        let whole: Vec<_> = not_too_slow(came(), at_once()).try_collect().await.unwrap();
        assert_eq!(whole.concat().len(), 3 << 20);
        // The next byte is not there, and the time that what came gives is over.
        let one = stream::iter([Ok(vec![0])]).chain(stream::pending());
        let mut dribbling = std::pin::pin!(not_too_slow(one, at_once()));
        assert!(dribbling.next().await.unwrap().is_ok());
        let refused = dribbling.next().await.unwrap().unwrap_err();
        assert_eq!(refused.code(), Code::Aborted);
        assert!(refused.message().contains("1 bytes came"), "{refused:?}");
    }

    #[test]
    fn what_later_may_succeed_is_refused_as_unavailable() {
        let full = || NotReceived::Unwritable(io::ErrorKind::StorageFull.into());
        for refused in [NotReceived::Full, full()] {
            assert_eq!(Status::from(refused).code(), Code::Unavailable);
        }
        let other = NotReceived::Unwritable(io::ErrorKind::PermissionDenied.into());
        assert_eq!(Status::from(other).code(), Code::Internal);
    }
}
