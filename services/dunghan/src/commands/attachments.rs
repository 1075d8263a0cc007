//! `attachments`: files of reports.

use std::fs::{File, Permissions};
use std::io::{self, Seek as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, FixedOffset};
use dunghan_proto::submission as pb;
use dunghan_proto::submission::download_attachment_response::Message as Given;
use dunghan_proto::submission::upload_attachment_request::{Header, Message};
use indicatif::ProgressBar;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};

use super::reports::named;
use crate::cli::{Attachments, AttachmentsVerb};
use crate::client::{Client, PAGE};
use crate::failure::Failure;
use crate::output::{self, Column, Rows, show_name, show_time};

/// Bytes of one message.
const CHUNK: usize = 256 << 10;
/// The most bytes of a file.
const LARGEST: u64 = 50 << 20;

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
            ("Attachment", show_name(&self.name)),
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
        AttachmentsVerb::Add { which, file } => {
            let opened = open(&file)?;
            let (client, parent) = named(&args.client, which).await?;
            let attachment = upload(&client, parent, &file, opened).await?;
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

/// A file that is to be sent, if it is not larger than any that is taken; what else is wrong with it the server says.
fn open(file: &Path) -> Result<File, Failure> {
    let cannot =
        |e: io::Error| Failure::input(format_args!("{} cannot be read: {e}", file.display()));
    let opened = File::open(file).map_err(cannot)?;
    let known = opened.metadata().map_err(cannot)?;
    if !known.is_file() {
        return Err(Failure::input(format_args!("{} is no file", file.display())));
    }
    if known.len() > LARGEST {
        let says = format_args!("{} is larger than {} MiB", file.display(), LARGEST >> 20);
        return Err(Failure::input(says));
    }
    Ok(opened)
}

/// Reads it twice: what is sent first says what all of it is.
async fn upload(
    client: &Client,
    parent: String,
    file: &Path,
    mut opened: File,
) -> Result<pb::Attachment, Failure> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let cannot = || format!("{} cannot be read", file.display());
    let reading = move || {
        let mut hash = Sha256::new();
        let size = io::copy(&mut opened, &mut hash)?;
        opened.rewind()?;
        Ok::<_, io::Error>((opened, size, hash))
    };
    let read = tokio::task::spawn_blocking(reading).await.map_err(anyhow::Error::from)?;
    let (opened, size, hash) = read.with_context(cannot)?;
    let header = Message::Header(Header {
        parent,
        file_name: name,
        size_bytes: i64::try_from(size).unwrap_or(i64::MAX),
        sha256: format!("{:x}", hash.finalize()),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..Header::default()
    });
    let bar = output::progress("Bytes", usize::try_from(size).unwrap_or(usize::MAX));
    let (broken, mut why) = tokio::sync::oneshot::channel();
    let chunks = chunks(opened.into(), bar.clone(), broken);
    let messages = tokio_stream::once(header).chain(chunks);
    let messages = messages.map(|message| pb::UploadAttachmentRequest { message: Some(message) });
    let answer = client.attachments().upload_attachment(messages).await;
    bar.finish_and_clear();
    // The server only knows that less came.
    if let Ok(error) = why.try_recv() {
        return Err(anyhow::Error::from(error).context(cannot()).into());
    }
    Ok(answer?.into_inner())
}

/// What a file holds, read as it is sent. Where it cannot be read that ends, and says so to `broken`.
fn chunks(
    file: tokio::fs::File,
    bar: ProgressBar,
    broken: tokio::sync::oneshot::Sender<io::Error>,
) -> impl Stream<Item = Message> + Send {
    let (sender, chunks) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        let mut file = file;
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            match (&mut file).take(CHUNK as u64).read_to_end(&mut chunk).await {
                Ok(0) => return,
                Ok(read) => bar.inc(read as u64),
                Err(error) => {
                    // Whoever waits for it may be gone.
                    let _ = broken.send(error);
                    return;
                }
            }
            if sender.send(Message::Chunk(chunk)).await.is_err() {
                return;
            }
        }
    });
    ReceiverStream::new(chunks)
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

/// Writes under no name that stays first: what has the name is whole, and is what the server says that it is.
async fn download(client: &Client, name: String, file: &Path) -> Result<pb::Attachment, Failure> {
    let there = || Failure::input(format_args!("{} is there already", file.display()));
    if file.exists() {
        return Err(there());
    }
    let request = pb::DownloadAttachmentRequest { name };
    let mut stream = client.attachments().download_attachment(request).await?.into_inner();
    let first = stream.message().await?.and_then(|first| first.message);
    let Some(Given::Attachment(attachment)) = first else {
        return Err(anyhow::anyhow!("the server did not say what it sends").into());
    };
    let cannot = || format!("{} cannot be written", file.display());
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    // Removed where this ends otherwise than well.
    let mut partial = tempfile::Builder::new();
    let partial = partial.permissions(Permissions::from_mode(0o666));
    let partial = partial.tempfile_in(folder).with_context(cannot)?;
    let mut written = tokio::fs::File::from_std(partial.reopen().with_context(cannot)?);
    let receiving = async {
        let mut hash = Sha256::new();
        while let Some(next) = stream.message().await? {
            if let Some(Given::Chunk(chunk)) = next.message {
                hash.update(&chunk);
                written.write_all(&chunk).await.with_context(cannot)?;
            }
        }
        written.sync_all().await.with_context(cannot)?;
        Ok::<_, Failure>(format!("{:x}", hash.finalize()))
    };
    let came = tokio::select! {
        came = receiving => came?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(anyhow::Error::from)?;
            return Err(anyhow::anyhow!("interrupted: nothing was written").into());
        }
    };
    if came != attachment.sha256 {
        let says = "what came is not what the server says that it is: nothing was written";
        return Err(anyhow::anyhow!(says).into());
    }
    partial.persist_noclobber(file).map_err(|refused| match refused.error.kind() {
        io::ErrorKind::AlreadyExists => there(),
        _ => anyhow::Error::from(refused.error).context(cannot()).into(),
    })?;
    Ok(attachment)
}
