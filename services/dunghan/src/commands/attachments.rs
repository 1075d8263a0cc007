//! `attachments`: files of reports.

use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, FixedOffset};
use dunghan_proto::submission as pb;
use dunghan_proto::submission::download_attachment_response::Message as Given;
use dunghan_proto::submission::upload_attachment_request::{Header, Message};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::reports::named;
use crate::cli::{Attachments, AttachmentsVerb};
use crate::client::{Client, PAGE};
use crate::failure::Failure;
use crate::input;
use crate::output::{self, Column, Rows, show_time};

/// Bytes of one message.
const CHUNK: usize = 256 << 10;

#[derive(Serialize)]
struct Attachment {
    name: String,
    file_name: String,
    media_type: String,
    size_bytes: i64,
    sha256: String,
    create_time: Option<DateTime<FixedOffset>>,
    author: String,
    detach_time: Option<DateTime<FixedOffset>>,
    erase_time: Option<DateTime<FixedOffset>>,
    eraser: Option<String>,
    erase_reason: Option<String>,
}

impl From<pb::Attachment> for Attachment {
    fn from(attachment: pb::Attachment) -> Self {
        let stated = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            create_time: output::time(attachment.create_time.as_ref()),
            detach_time: output::time(attachment.detach_time.as_ref()),
            erase_time: output::time(attachment.erase_time.as_ref()),
            name: attachment.name,
            file_name: attachment.file_name,
            media_type: attachment.media_type,
            size_bytes: attachment.size_bytes,
            sha256: attachment.sha256,
            author: attachment.author,
            eraser: stated(attachment.eraser),
            erase_reason: stated(attachment.erase_reason),
        }
    }
}

impl Attachment {
    fn text(&self) -> String {
        output::pairs(&[
            ("File", self.file_name.clone()),
            ("Attachment", self.name.clone()),
            ("Is", self.media_type.clone()),
            ("Bytes", self.size_bytes.to_string()),
            ("SHA-256", self.sha256.clone()),
            ("Sent", format!("{} by {}", show_time(self.create_time), self.author)),
            ("Taken off", show_time(self.detach_time)),
            ("Erased", show_time(self.erase_time)),
            ("By", self.eraser.clone().unwrap_or_default()),
            ("Why", self.erase_reason.clone().unwrap_or_default()),
        ])
    }
}

#[derive(Serialize)]
struct List {
    attachments: Vec<Attachment>,
}

impl List {
    fn text(&self) -> String {
        use Column::{Number, Text};
        let mut rows =
            Rows::new(&[Text("File"), Number("Bytes"), Text("Sent"), Text("Stands"), Text("Id")]);
        for one in &self.attachments {
            let stands = match (one.erase_time, one.detach_time) {
                (Some(_), _) => "erased",
                (None, Some(_)) => "taken off",
                (None, None) => "on the report",
            };
            let id = one.name.rsplit('/').next().unwrap_or_default();
            rows.row([
                one.file_name.clone(),
                one.size_bytes.to_string(),
                show_time(one.create_time),
                stands.to_owned(),
                id.to_owned(),
            ]);
        }
        rows.text()
    }
}

pub(super) async fn attachments(args: Attachments) -> Result<(), Failure> {
    let format = args.client.output;
    match args.verb {
        AttachmentsVerb::Add { which, file, secrecy } => {
            let bytes = input::read(&file)?;
            let (client, parent) = named(&args.client, which).await?;
            let attachment = upload(&client, parent, &file, bytes, secrecy).await?;
            output::print(format, &Attachment::from(attachment), Attachment::text)
        }
        AttachmentsVerb::List { which } => {
            let (client, parent) = named(&args.client, which).await?;
            let attachments = list(&client, parent).await?;
            output::print(format, &List { attachments }, List::text)
        }
        AttachmentsVerb::Get { name, file } => {
            let client = Client::of(&args.client)?;
            let attachment = download(&client, name, &file).await?;
            output::print(format, &Attachment::from(attachment), Attachment::text)
        }
        AttachmentsVerb::Detach { name } => {
            let client = Client::of(&args.client)?;
            let request = pb::DetachAttachmentRequest { name };
            let attachment = client.attachments().detach_attachment(request).await?.into_inner();
            output::print(format, &Attachment::from(attachment), Attachment::text)
        }
        AttachmentsVerb::Erase { name, reason } => {
            let client = Client::of(&args.client)?;
            let request = pb::EraseAttachmentRequest { name, reason };
            let attachment = client.attachments().erase_attachment(request).await?.into_inner();
            output::print(format, &Attachment::from(attachment), Attachment::text)
        }
    }
}

async fn upload(
    client: &Client,
    parent: String,
    file: &Path,
    bytes: Vec<u8>,
    secrecy_level: String,
) -> Result<pb::Attachment, Failure> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let header = Message::Header(Header {
        parent,
        file_name: name,
        size_bytes: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        sha256: format!("{:x}", Sha256::digest(&bytes)),
        secrecy_level,
        request_id: uuid::Uuid::new_v4().to_string(),
    });
    let bar = output::progress("Bytes", bytes.len());
    let sent = bar.clone();
    let chunks: Vec<_> = bytes.chunks(CHUNK).map(<[u8]>::to_vec).collect();
    let chunks = chunks.into_iter().map(move |chunk| {
        sent.inc(chunk.len() as u64);
        Message::Chunk(chunk)
    });
    let messages = std::iter::once(header).chain(chunks);
    let messages = messages.map(|message| pb::UploadAttachmentRequest { message: Some(message) });
    let answer = client.attachments().upload_attachment(tokio_stream::iter(messages)).await?;
    bar.finish_and_clear();
    Ok(answer.into_inner())
}

async fn list(client: &Client, parent: String) -> Result<Vec<Attachment>, Failure> {
    let mut request =
        pb::ListAttachmentsRequest { parent, page_size: PAGE, page_token: String::new() };
    let mut all = Vec::new();
    loop {
        let page = client.attachments().list_attachments(request.clone()).await?.into_inner();
        all.extend(page.attachments.into_iter().map(Attachment::from));
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

/// Writes to a file of another name first: what has the name is whole.
async fn download(client: &Client, name: String, file: &Path) -> Result<pb::Attachment, Failure> {
    if file.exists() {
        return Err(Failure::input(format!("{} is there already", file.display())));
    }
    let request = pb::DownloadAttachmentRequest { name };
    let mut stream = client.attachments().download_attachment(request).await?.into_inner();
    let first = stream.message().await?.and_then(|first| first.message);
    let Some(Given::Attachment(attachment)) = first else {
        return Err(anyhow::anyhow!("the server did not say what it sends").into());
    };
    let mut partial = file.as_os_str().to_owned();
    partial.push(".part");
    let cannot = || format!("{} cannot be written", file.display());
    let mut written = tokio::fs::File::create(&partial).await.with_context(cannot)?;
    let received = async {
        while let Some(next) = stream.message().await? {
            if let Some(Given::Chunk(chunk)) = next.message {
                written.write_all(&chunk).await.with_context(cannot)?;
            }
        }
        written.sync_all().await.with_context(cannot)?;
        Ok::<_, Failure>(())
    };
    let received = received.await;
    if let Err(failure) = received {
        let _ = tokio::fs::remove_file(&partial).await;
        return Err(failure);
    }
    tokio::fs::rename(&partial, file).await.with_context(cannot)?;
    Ok(attachment)
}
