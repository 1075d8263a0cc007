//! A file while it is taken in: on the disk, under no name, so that nothing is left of it whatever happens to the process. Only
//! once it is whole and found to be one that is taken does it go to where blobs are.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::inspect::{self, NotTaken};

/// What is said of a file beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    /// In bytes.
    pub(crate) size: u64,
    /// In lower-case hexadecimal.
    pub(crate) sha256: String,
}

/// A file that came as it was announced, and is of a kind that is taken.
#[derive(Debug)]
pub(crate) struct Received {
    /// At its beginning, at first.
    pub(super) file: File,
    pub(super) size: u64,
    /// By what it holds.
    pub(crate) media_type: &'static str,
    _place: Place,
}

/// Why a file was not received; `E` is how the stream of its chunks breaks.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReceived<E> {
    /// More came, or less.
    #[error("holds {came}, and {announced} bytes were announced")]
    Length {
        /// How many bytes came, in words.
        came: String,
        /// How many were to come.
        announced: u64,
    },
    /// Something else came.
    #[error("is {announced}, and what came has {came}")]
    Hash {
        /// Of what came.
        came: String,
        /// Of what was to come.
        announced: String,
    },
    /// It is not taken.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    /// The stream broke.
    #[error("the stream broke")]
    Broken(E),
    /// Others were being taken in for as long as it could wait.
    #[error("too many files are being taken in; try again")]
    Full,
    /// It cannot be written here.
    #[error("a file that is taken in cannot be written")]
    Unwritable(#[source] io::Error),
}

/// Where files are while they are taken in. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// How many one sender may have, and those of each who has some.
    of_one: usize,
    of_each: Arc<Mutex<HashMap<String, Weak<Semaphore>>>>,
    /// How long one is waited for.
    pub(super) patience: Duration,
}

/// One of them, and one of those that its sender may have.
#[derive(Debug)]
pub(super) struct Place {
    _own: OwnedSemaphorePermit,
    _free: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(count: usize, of_one: usize, patience: Duration) -> Self {
        let free = Arc::new(Semaphore::new(count));
        Self { free, of_one, of_each: Arc::default(), patience }
    }

    /// None: none was free for too long.
    pub(super) async fn take(&self, sender: &str) -> Option<Place> {
        let taking = async {
            let own = self.of(sender).acquire_owned().await.ok()?;
            let free = self.free.clone().acquire_owned().await.ok()?;
            Some(Place { _own: own, _free: free })
        };
        tokio::time::timeout(self.patience, taking).await.ok()?
    }

    fn of(&self, sender: &str) -> Arc<Semaphore> {
        let mut of_each = self.of_each.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = of_each.get(sender).and_then(Weak::upgrade) {
            return own;
        }
        of_each.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Semaphore::new(self.of_one));
        of_each.insert(sender.to_owned(), Arc::downgrade(&own));
        own
    }
}

/// What came so far.
struct Spool {
    file: File,
    hash: Sha256,
    size: u64,
}

impl Spool {
    /// Adds a chunk, on a thread that may block, and holds it no longer than that takes.
    async fn add<C: AsRef<[u8]> + Send + 'static>(mut self, chunk: C) -> io::Result<Self> {
        let adding = move || {
            let bytes = chunk.as_ref();
            self.file.write_all(bytes)?;
            self.hash.update(bytes);
            self.size += bytes.len() as u64;
            Ok(self)
        };
        tokio::task::spawn_blocking(adding).await.map_err(io::Error::other)?
    }
}

/// Takes a file in, a chunk at a time: the next is asked for once the one before is on the disk.
pub(super) async fn receive<C, E>(
    folder: &Path,
    place: Place,
    announced: Announced,
    chunks: impl Stream<Item = Result<C, E>>,
) -> Result<Received, NotReceived<E>>
where
    C: AsRef<[u8]> + Send + 'static,
{
    let unwritable = NotReceived::Unwritable;
    let file = tempfile::tempfile_in(folder).map_err(unwritable)?;
    let mut spool = Spool { file, hash: Sha256::new(), size: 0 };
    let mut chunks = std::pin::pin!(chunks);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(NotReceived::Broken)?;
        let size = spool.size + chunk.as_ref().len() as u64;
        if size > announced.size {
            let came = format!("{size} bytes or more");
            return Err(NotReceived::Length { came, announced: announced.size });
        }
        spool = spool.add(chunk).await.map_err(unwritable)?;
    }
    let Spool { mut file, hash, size } = spool;
    if size < announced.size {
        let came = format!("{size} bytes");
        return Err(NotReceived::Length { came, announced: announced.size });
    }
    let came = format!("{:x}", hash.finalize());
    if came != announced.sha256 {
        return Err(NotReceived::Hash { came, announced: announced.sha256 });
    }
    let looking = move || {
        file.seek(SeekFrom::Start(0))?;
        let media_type = inspect::media_type(&file)?;
        file.seek(SeekFrom::Start(0))?;
        Ok((media_type, file))
    };
    let (media_type, file) = match tokio::task::spawn_blocking(looking).await {
        Ok(looked) => looked.map_err(NotReceived::NotTaken)?,
        // A parser of somebody else's files gave up in the middle.
        Err(_) => return Err(NotTaken::Kind("does not open".to_owned()).into()),
    };
    Ok(Received { file, size, media_type, _place: place })
}
