//! What attached files hold: blobs in a folder or in a store that speaks S3. The only module that knows of either.
//!
//! A blob is written whole, under a key of its own, before any row knows of it, and is never written over. So whatever breaks
//! off leaves a blob that no row knows, or none; `jobs` collects those.

mod inspect;
mod spool;

use std::fs::DirBuilder;
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow, bail};
use chrono::{DateTime, Utc};
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use futures::{Stream, future};
use object_store::aws::AmazonS3Builder;
use object_store::client::HttpError;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{
    BackoffConfig, ClientOptions, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload,
    RetryConfig,
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::config::{Attachments, Place};
use spool::Places;

pub(crate) use inspect::NotTaken;
pub(crate) use spool::{Announced, NotReceived, Received};

/// What is sent to the store, or held in memory, of a blob at once. Stores that speak S3 want 5 MiB at least, and some all
/// parts but the last of one size.
const PART: u64 = 5 << 20;
/// What says whose the blobs are. Its key is no blob's.
const OWNER: &str = "owner";
/// The most bytes of a piece that is given out.
const PIECE: usize = 256 << 10;
/// Files that are taken in at once, and of one sender; each may need 50 MiB of the disk. Others wait, and for how long.
const AT_ONCE: usize = 16;
const OF_ONE: usize = 4;
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the store is waited for when it is only asked whether it is there.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// What the keys of some blobs begin with.
pub(crate) type Shelf = Key;

/// Where blobs are. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// What the keys begin with.
    prefix: Key,
    /// Where they are files.
    folder: Option<PathBuf>,
    /// Where a file is put that is being taken in.
    spool: PathBuf,
    places: Places,
}

/// Why a blob could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It is not there.
    #[error("the blob is not there")]
    Missing,
    /// The store is away: later it may be there.
    #[error("the store of attached files is away: {0}")]
    Away(String),
    /// The store failed.
    #[error("the store of attached files failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Missing,
            error if passes(&error) => Self::Away(innermost(&error)),
            error => Self::Failed(Box::new(error)),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl From<tokio::task::JoinError> for Error {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Failed(Box::new(error))
    }
}

/// Whether the same may succeed later: nobody answered, or the server did and said that it could not, or the disk is full.
fn passes(error: &object_store::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let full = error.downcast_ref().map(std::io::Error::kind);
        if error.is::<HttpError>() || full == Some(std::io::ErrorKind::StorageFull) {
            return true;
        }
        cause = error.source();
    }
    // What it answered is told in words alone.
    let words = error.to_string();
    ["status code: 5", "status code: 429", "SlowDown", "InternalError", "ServiceUnavailable"]
        .iter()
        .any(|sign| words.contains(sign))
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

/// A blob that the store lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) id: Uuid,
    /// When it was written, by the store's clock.
    pub(crate) written: DateTime<Utc>,
}

impl Blobs {
    /// Where the configuration says, beside the data if it says nothing.
    ///
    /// Errors: what no waiting mends: a folder that cannot be made or written, keys that cannot be read.
    pub(crate) fn open(config: &Attachments, data_folder: &Path) -> anyhow::Result<Self> {
        const LOCATION: &str = "submission.attachments.location";
        let place = config.place(data_folder);
        let places = Places::new(AT_ONCE, OF_ONE, PATIENCE);
        match place.map_err(|refused| anyhow!("{LOCATION} has to be {refused}"))? {
            Place::Folder(folder) => {
                let unusable =
                    || format!("{LOCATION}: the folder {} is of no use", folder.display());
                // For its owner alone: the files in it come out readable for everybody.
                let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
                made.and_then(|()| tempfile::tempfile_in(&folder)).with_context(unusable)?;
                let store = LocalFileSystem::new_with_prefix(&folder).with_context(unusable)?;
                // What is acknowledged survives a power cut.
                let store = Arc::new(store.with_fsync(true));
                let spool = folder.clone();
                Ok(Self { store, prefix: Key::default(), folder: Some(folder), spool, places })
            }
            Place::S3 { bucket, prefix } => {
                let store = Arc::new(s3(config, bucket)?);
                let spool = std::env::temp_dir();
                let unusable =
                    || format!("the folder for temporary files {} is of no use", spool.display());
                tempfile::tempfile_in(&spool).with_context(unusable)?;
                Ok(Self { store, prefix: Key::from(prefix), folder: None, spool, places })
            }
        }
    }

    /// Whether it can be written to. Some answers no waiting mends: there is no such bucket, the keys do not hold.
    ///
    /// Errors: `Missing` and `Failed` are of that kind, `Away` is not.
    pub(crate) async fn try_out(&self) -> Result<(), Error> {
        self.write_and_delete(b"dunghan").await.map(drop)
    }

    /// What the store's clock reads, by which blobs have their ages.
    pub(crate) async fn now(&self) -> Result<DateTime<Utc>, Error> {
        // Of no length: a disk that is full has room for it.
        self.write_and_delete(b"").await
    }

    /// Gives when it was written.
    async fn write_and_delete(&self, bytes: &'static [u8]) -> Result<DateTime<Utc>, Error> {
        // A key that is no blob's: it is never taken for one.
        let key = self.prefix.clone().join(format!("try-{}", Uuid::new_v4()));
        let tried = async {
            self.store.put(&key, PutPayload::from_static(bytes)).await?;
            let written = self.store.head(&key).await;
            self.store.delete(&key).await?;
            Ok::<_, object_store::Error>(written?.last_modified)
        };
        Ok(limited(tried).await??)
    }

    /// Whose the blobs are, as somebody has written beside them; none: nobody has.
    pub(crate) async fn owner(&self) -> Result<Option<String>, Error> {
        match self.store.get(&self.prefix.clone().join(OWNER)).await {
            Ok(found) => Ok(Some(String::from_utf8_lossy(&found.bytes().await?).trim().to_owned())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes beside the blobs whose they are.
    pub(crate) async fn be_owned_by(&self, owner: &str) -> Result<(), Error> {
        let key = self.prefix.clone().join(OWNER);
        self.store.put(&key, format!("{owner}\n").into()).await?;
        Ok(())
    }

    /// Whether it is there.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        if let Some(folder) = &self.folder {
            return Ok(tokio::fs::metadata(folder).await.map(drop)?);
        }
        match limited(self.store.head(&self.key(Uuid::nil()))).await? {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// In folders by the first letters of their ids: a folder with all of them would be slow to read.
    fn key(&self, id: Uuid) -> Key {
        let name = id.hyphenated().to_string();
        self.prefix.clone().join(&name[..2]).join(name)
    }

    fn id(&self, key: &Key) -> Option<Uuid> {
        let id = Uuid::try_parse(key.filename()?).ok()?;
        (self.key(id) == *key).then_some(id)
    }

    /// Takes a file in: see [`Received`]. It waits for its place where many are taken in at once, and not for ever.
    pub(crate) async fn receive<C, E>(
        &self,
        sender: &str,
        announced: Announced,
        chunks: impl Stream<Item = Result<C, E>>,
    ) -> Result<Received, NotReceived<E>>
    where
        C: AsRef<[u8]> + Send + 'static,
    {
        let place = self.places.take(sender).await.ok_or(NotReceived::Full)?;
        spool::receive(&self.spool, place, announced, chunks).await
    }

    /// Writes what was received, under a key that nothing has. Once begun it ends, also where nobody waits for it any more.
    pub(crate) async fn put(&self, id: Uuid, received: Received) -> Result<(), Error> {
        let (store, key) = (self.store.clone(), self.key(id));
        tokio::spawn(async move { write(&*store, &key, received).await }).await?
    }

    /// What a blob holds, in pieces, as the store gives them.
    ///
    /// Errors: `Missing`.
    pub(crate) async fn get(
        &self,
        id: Uuid,
    ) -> Result<impl Stream<Item = Result<impl AsRef<[u8]> + use<>, Error>> + use<>, Error> {
        let found = self.store.get(&self.key(id)).await?;
        Ok(found.into_stream().map_err(Error::from))
    }

    /// Has no blob of that id be there.
    pub(crate) async fn delete(&self, id: Uuid) -> Result<(), Error> {
        match self.store.delete(&self.key(id)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What blobs are listed by: together these have all. One that cannot be listed is in no other's way.
    pub(crate) fn shelves(&self) -> Vec<Shelf> {
        match self.folder {
            Some(_) => shelf_names().map(|name| self.prefix.clone().join(name)).collect(),
            None => vec![self.prefix.clone()],
        }
    }

    /// All blobs of a shelf, in no order. What else is there is nobody's business.
    pub(crate) fn list(&self, shelf: &Shelf) -> BoxStream<'_, Result<Listed, Error>> {
        let listed = self.store.list(Some(shelf)).map_err(Error::from);
        let blobs = listed.try_filter_map(|one| {
            let id = self.id(&one.location);
            future::ok(id.map(|id| Listed { id, written: one.last_modified }))
        });
        blobs.boxed()
    }

    /// Removes what a process that was killed while it wrote a blob left in the folder, and that is from before a moment; of S3
    /// the bucket's own rules do that. Adds how many to a count, and goes on past what cannot be removed.
    pub(crate) async fn remove_unfinished(
        &self,
        before: DateTime<Utc>,
        count: &mut usize,
    ) -> Result<(), Error> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let removing = move || {
            let (mut removed, mut ended) = (0, Ok(()));
            for shelf in shelf_names() {
                let tidied = unfinished(&folder.join(shelf), before.into(), &mut removed);
                ended = ended.and(tidied);
            }
            (removed, ended)
        };
        let (removed, ended) = tokio::task::spawn_blocking(removing).await?;
        *count += removed;
        Ok(ended?)
    }
}

/// The folders that blobs are in.
fn shelf_names() -> impl Iterator<Item = String> {
    (0..=u8::MAX).map(|byte| format!("{byte:02x}"))
}

/// Removes from one folder what was never finished.
fn unfinished(folder: &Path, before: SystemTime, removed: &mut usize) -> io::Result<()> {
    let Some(files) = there(std::fs::read_dir(folder))? else { return Ok(()) };
    let mut ended = Ok(());
    for file in files {
        let file = file?;
        let name = file.file_name();
        let unfinished = name.to_str().and_then(|name| name.split_once('#'));
        if unfinished.is_none_or(|(id, _)| Uuid::try_parse(id).is_err()) {
            continue;
        }
        let removing = || match there(file.metadata())? {
            Some(known) if known.modified()? < before => {
                there(std::fs::remove_file(file.path())).map(|done| usize::from(done.is_some()))
            }
            _ => Ok(0),
        };
        let done = removing().map(|one| *removed += one);
        ended = ended.and(done);
    }
    ended
}

/// None of what is not there: another process may have been quicker.
fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

async fn limited<F: Future>(asking: F) -> Result<F::Output, Error> {
    let answer = tokio::time::timeout(LOOK_LIMIT, asking).await;
    answer.map_err(|_| Error::Away(format!("no answer within {LOOK_LIMIT:?}")))
}

fn s3(config: &Attachments, bucket: String) -> anyhow::Result<impl ObjectStore + use<>> {
    let key = |name: &str, file: &str| {
        let name = format!("submission.attachments.{name}");
        if file.is_empty() {
            bail!("{name}: a store that speaks S3 needs it");
        }
        let held = std::fs::read_to_string(file)
            .with_context(|| format!("{name}: the file {file} cannot be read"))?;
        match held.trim() {
            "" => bail!("{name}: the file {file} is empty"),
            held => Ok(held.to_owned()),
        }
    };
    // Another may have said so before; all of this program say the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = ClientOptions::new()
        .with_allow_http(config.endpoint.starts_with("http://"))
        .with_connect_timeout(Duration::from_secs(5))
        // Not of a whole answer: a file goes out as slowly as its reader takes it.
        .with_timeout_disabled()
        .with_read_timeout(Duration::from_secs(60));
    // Whoever waits for an answer is told sooner that there is none, and tries again.
    let retry = RetryConfig {
        max_retries: 3,
        retry_timeout: Duration::from_secs(20),
        backoff: BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() },
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&config.region)
        .with_access_key_id(key("access_key_file", &config.access_key_file)?)
        .with_secret_access_key(key("secret_key_file", &config.secret_key_file)?)
        .with_client_options(client)
        .with_retry(retry);
    if !config.endpoint.is_empty() {
        builder = builder.with_endpoint(&config.endpoint);
    }
    builder.build().context("submission.attachments: the S3 store cannot be used")
}

/// Reads the next part of a file that was received; empty at its end.
async fn next_part(received: Received) -> Result<(Vec<u8>, Received), Error> {
    let reading = move || {
        let (mut part, mut received) = (Vec::new(), received);
        received.file.by_ref().take(PART).read_to_end(&mut part)?;
        Ok((part, received))
    };
    tokio::task::spawn_blocking(reading).await?
}

async fn write(store: &dyn ObjectStore, key: &Key, received: Received) -> Result<(), Error> {
    if received.size <= PART {
        let (whole, _received) = next_part(received).await?;
        store.put(key, whole.into()).await?;
        return Ok(());
    }
    let mut upload = store.put_multipart(key).await?;
    let written = write_parts(&mut *upload, received).await;
    if written.is_err() {
        // Should that fail as well, it is as if the process had been killed.
        let _ = upload.abort().await;
    }
    written
}

/// One part after the other: what is in memory is one.
async fn write_parts(
    upload: &mut dyn MultipartUpload,
    mut received: Received,
) -> Result<(), Error> {
    loop {
        let (part, rest) = next_part(received).await?;
        if part.is_empty() {
            upload.complete().await?;
            return Ok(());
        }
        upload.put_part(part.into()).await?;
        received = rest;
    }
}

/// Why what is stored cannot be given out as it was taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotWhole {
    /// It is not what was taken in.
    #[error("what is stored is not what was taken in")]
    Damaged,
    /// It could not be read.
    #[error(transparent)]
    Blob(#[from] Error),
}

/// What a blob holds in pieces of [`PIECE`] at most, looked at as they go: the stream ends well only where all of it is what
/// was announced when it was taken in.
pub(crate) fn pieces<C: AsRef<[u8]> + Send>(
    source: impl Stream<Item = Result<C, Error>> + Send + Unpin,
    announced: Announced,
) -> impl Stream<Item = Result<Vec<u8>, NotWhole>> + Send {
    struct Going<S, C> {
        source: S,
        /// What came and is not yet given out, from a place in it on.
        held: Option<(C, usize)>,
        hash: Sha256,
        left: u64,
    }
    let going = Going { source, held: None, hash: Sha256::new(), left: announced.size };
    futures::stream::try_unfold(Some(going), move |going| {
        let announced = announced.clone();
        async move {
            let Some(mut going) = going else { return Ok(None) };
            let mut piece = Vec::new();
            while piece.len() < PIECE {
                if going.held.is_none() {
                    going.held = match going.source.next().await.transpose() {
                        Ok(None) => break,
                        Ok(Some(came)) => Some((came, 0)),
                        Err(Error::Missing) => return Err(NotWhole::Damaged),
                        Err(error) => return Err(error.into()),
                    };
                }
                if let Some((came, from)) = going.held.take() {
                    let rest = &came.as_ref()[from..];
                    let taken = rest.len().min(PIECE - piece.len());
                    piece.extend_from_slice(&rest[..taken]);
                    if taken < rest.len() {
                        going.held = Some((came, from + taken));
                    }
                }
            }
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            going.left = going.left.checked_sub(length).ok_or(NotWhole::Damaged)?;
            going.hash.update(&piece);
            if piece.len() == PIECE {
                return Ok(Some((piece, Some(going))));
            }
            // The end.
            if going.left > 0 || format!("{:x}", going.hash.finalize()) != announced.sha256 {
                return Err(NotWhole::Damaged);
            }
            Ok((!piece.is_empty()).then_some((piece, None)))
        }
    })
}

#[cfg(test)]
mod tests;
