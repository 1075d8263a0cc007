use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use dunghan_calendar::{Clock as _, SystemClock};
use dunghan_testkit::S3;
use futures::FutureExt as _;
use futures::stream;
use object_store::{PutResult, UploadPart};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A file of so many bytes: a text while it is small, and then as far as anybody looks a PDF, no two MiB of which are alike.
fn file(bytes: usize) -> Vec<u8> {
    if bytes < PIECE {
        return b"Line.\n".iter().copied().cycle().take(bytes).collect();
    }
    let mut file = b"%PDF-".repeat(bytes.div_ceil(5));
    file.truncate(bytes);
    for (number, mib) in file.chunks_mut(1 << 20).enumerate().skip(1) {
        mib[0] = number.try_into().unwrap();
    }
    file
}

fn announced(bytes: &[u8]) -> Announced {
    let mut hash = Sha256::new();
    hash.update(bytes);
    Announced { size: bytes.len() as u64, sha256: format!("{:x}", hash.finalize()) }
}

fn in_folder(folder: &TempDir) -> Blobs {
    Blobs::open(&Attachments::default(), folder.path()).unwrap()
}

fn in_s3(s3: &S3, prefix: &str) -> anyhow::Result<Blobs> {
    let keys: std::collections::BTreeMap<_, _> = s3.keys(prefix).into_iter().collect();
    let key = |name: &str| keys[&*format!("submission.attachments.{name}")].clone();
    let config = Attachments {
        location: key("location"),
        endpoint: key("endpoint"),
        access_key_file: key("access_key_file"),
        secret_key_file: key("secret_key_file"),
        ..Attachments::default()
    };
    Blobs::open(&config, Path::new("/nowhere"))
}

type Never = std::convert::Infallible;

/// The bytes in chunks of these sizes, again and again.
fn chunks<'a>(
    bytes: &'a [u8],
    sizes: &'a [usize],
) -> impl Stream<Item = Result<Vec<u8>, Never>> + 'a {
    let (mut left, mut sizes) = (bytes, sizes.iter().cycle());
    stream::iter(std::iter::from_fn(move || {
        let size = (*sizes.next()?).min(left.len());
        let (chunk, rest) = left.split_at(size);
        (!left.is_empty()).then(|| {
            left = rest;
            Ok(chunk.to_vec())
        })
    }))
}

const SENDER: &str = "lan";

async fn receive(blobs: &Blobs, bytes: &[u8]) -> Received {
    blobs.receive(SENDER, announced(bytes), chunks(bytes, &[1 << 20])).await.unwrap()
}

async fn read(blobs: &Blobs, id: Uuid, announced: Announced) -> Result<Vec<u8>, NotWhole> {
    let pieces: Vec<_> = pieces(blobs.get(id).await?, announced).try_collect().await?;
    assert!(pieces.iter().all(|piece| (1..=PIECE).contains(&piece.len())));
    Ok(pieces.concat())
}

async fn listed(blobs: &Blobs) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for shelf in blobs.shelves() {
        ids.extend(blobs.list(&shelf).map_ok(|one| one.id).try_collect::<Vec<_>>().await.unwrap());
    }
    ids
}

/// A blob is what was taken in, and is gone when it was deleted.
async fn keeps(blobs: &Blobs, size: usize) {
    let (bytes, id) = (file(size), Uuid::new_v4());
    blobs.put(id, receive(blobs, &bytes).await).await.unwrap();
    assert!(read(blobs, id, announced(&bytes)).await.unwrap() == bytes, "{size}");
    assert_eq!(listed(blobs).await, [id]);
    blobs.delete(id).await.unwrap();
    blobs.delete(id).await.unwrap();
    assert!(listed(blobs).await.is_empty());
    assert!(matches!(blobs.get(id).await.err(), Some(Error::Missing)));
}

const SIZES: [usize; 7] =
    [1, PIECE, PIECE + 1, PART as usize - 1, PART as usize, PART as usize + 1, 50 << 20];

#[tokio::test]
async fn a_folder_keeps_what_was_taken_in_whatever_its_size() {
    let folder = TempDir::new().unwrap();
    let blobs = in_folder(&folder);
    for size in SIZES {
        keeps(&blobs, size).await;
    }
}

#[tokio::test]
async fn a_store_that_speaks_s3_keeps_what_was_taken_in_whatever_its_size() {
    let s3 = S3::new();
    let blobs = in_s3(&s3, "dunghan/").unwrap();
    for size in SIZES {
        keeps(&blobs, size).await;
    }
    assert_eq!((s3.objects(), s3.unfinished()), (Vec::<String>::new(), 0));
}

#[tokio::test]
async fn what_else_lies_in_the_bucket_is_no_blob() {
    let s3 = S3::new();
    let (blobs, beside) = (in_s3(&s3, "dunghan").unwrap(), in_s3(&s3, "").unwrap());
    let id = Uuid::new_v4();
    blobs.put(id, receive(&blobs, b"x").await).await.unwrap();
    s3.put("dunghan/read-me.txt", b"...");
    s3.put(&format!("dunghan/{id}"), b"...");
    s3.put(&format!("dunghan-2/{}/{id}", &id.to_string()[..2]), b"...");
    assert_eq!(listed(&blobs).await, [id]);
    assert!(listed(&beside).await.is_empty());
    assert!(s3.objects().contains(&format!("dunghan/{}/{id}", &id.to_string()[..2])));
}

#[tokio::test]
async fn a_place_that_nothing_can_be_kept_in_is_refused_with_the_reason() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let location = file.join("in-it").display().to_string();
    let config = Attachments { location, ..Attachments::default() };
    let refused = format!("{:#}", Blobs::open(&config, folder.path()).unwrap_err());
    assert!(refused.contains("submission.attachments.location: the folder"), "{refused}");

    let s3 = S3::new();
    let keys = s3.keys("");
    let open = |change: &dyn Fn(&mut Attachments)| {
        let key = |at: usize| keys[at].1.clone();
        let mut config = Attachments {
            location: key(0),
            endpoint: key(1),
            access_key_file: key(2),
            secret_key_file: key(3),
            ..Attachments::default()
        };
        change(&mut config);
        Blobs::open(&config, folder.path())
    };
    type Change<'a> = &'a dyn Fn(&mut Attachments);
    let no_file = |config: &mut Attachments| config.access_key_file = "/nowhere/key".to_owned();
    let no_key = |config: &mut Attachments| config.secret_key_file = String::new();
    let empty = |config: &mut Attachments| config.secret_key_file = file.display().to_string();
    let changes: [(Change<'_>, _); 3] = [
        (&no_file, "submission.attachments.access_key_file: the file /nowhere/key cannot be read"),
        (&no_key, "submission.attachments.secret_key_file: a store that speaks S3 needs it"),
        (&empty, "is empty"),
    ];
    for (change, why) in changes {
        let refused = format!("{:#}", open(change).unwrap_err());
        assert!(refused.contains(why), "{refused}");
    }
    let no_bucket = |config: &mut Attachments| config.location = "s3://khong-co".to_owned();
    let refused = open(&no_bucket).unwrap().try_out().await.unwrap_err();
    assert!(matches!(refused, Error::Missing), "{refused}");
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_away_and_there_again_when_it_does() {
    let s3 = S3::new();
    let blobs = in_s3(&s3, "").unwrap();
    blobs.try_out().await.unwrap();
    blobs.ping().await.unwrap();
    s3.go_away();
    for refused in [blobs.try_out().await, blobs.ping().await] {
        assert!(matches!(refused, Err(Error::Away(_))), "{refused:?}");
    }
    s3.come_back();
    blobs.ping().await.unwrap();
    assert!(s3.objects().is_empty(), "trying it out leaves nothing");
}

#[tokio::test]
async fn a_folder_that_is_gone_is_away_for_good_until_it_is_mended() {
    let folder = TempDir::new().unwrap();
    let blobs = in_folder(&folder);
    blobs.ping().await.unwrap();
    std::fs::remove_dir(folder.path().join("attachments")).unwrap();
    assert!(blobs.ping().await.is_err());
}

#[tokio::test]
async fn what_comes_otherwise_than_it_was_announced_is_not_received_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let blobs = in_folder(&folder);
    let bytes = file(3000);
    let receive = async |said: Announced, bytes: &[u8]| {
        blobs.receive(SENDER, said, chunks(bytes, &[1000])).await.unwrap_err()
    };
    let said = announced(&bytes);
    let length = |error: NotReceived<Never>| matches!(error, NotReceived::Length { .. });
    assert!(length(receive(said.clone(), &bytes[..2999]).await));
    assert!(length(receive(said.clone(), &[]).await));
    let longer = [&bytes[..], b"x"].concat();
    assert!(length(receive(said.clone(), &longer).await));
    let mut altered = bytes.clone();
    altered[1500] ^= 1;
    assert!(matches!(receive(said.clone(), &altered).await, NotReceived::Hash { .. }));
    let secret = b"M\xe1\xba\xacT\n";
    let refused = receive(announced(secret), secret).await;
    assert!(matches!(refused, NotReceived::NotTaken(NotTaken::Secrecy(_))));
    let broken = stream::iter([Ok(bytes[..1000].to_vec()), Err("gone")]);
    let refused = blobs.receive(SENDER, said, broken).await.unwrap_err();
    assert!(matches!(refused, NotReceived::Broken("gone")));
    let left = std::fs::read_dir(folder.path().join("attachments")).unwrap();
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn what_finds_no_place_in_time_is_told_so_and_finds_one_once_another_is_done() {
    let folder = TempDir::new().unwrap();
    let mut blobs = in_folder(&folder);
    blobs.places.patience = Duration::ZERO;
    let mut others = Vec::new();
    for sender in senders() {
        others.push(blobs.receive(sender, announced(b"x"), chunks(b"x", &[1])).await.unwrap());
    }
    let late = async || blobs.receive(SENDER, announced(b"y"), chunks(b"y", &[1])).await;
    assert!(matches!(late().await, Err(NotReceived::Full)));
    drop(others.pop());
    late().await.unwrap();
    others.clear();

    // Nobody waits for them any more, and half of each has come.
    let half = || stream::iter([Ok::<_, Never>(b"y")]).chain(stream::pending());
    let mut going: Vec<_> =
        senders().map(|one| Box::pin(blobs.receive(one, announced(b"yz"), half()))).collect();
    for one in &mut going {
        assert!(futures::poll!(one).is_pending());
    }
    assert!(matches!(late().await, Err(NotReceived::Full)));
    drop(going);
    late().await.unwrap();
}

/// As many as there are places, and each as often as one may have one.
fn senders() -> impl Iterator<Item = &'static str> {
    ["chi", "dung", "giang", "hoa"].into_iter().cycle().take(AT_ONCE)
}

#[tokio::test]
async fn one_sender_has_some_places_and_leaves_the_others_to_others() {
    let folder = TempDir::new().unwrap();
    let mut blobs = in_folder(&folder);
    blobs.places.patience = Duration::ZERO;
    let take = async |sender| blobs.receive(sender, announced(b"x"), chunks(b"x", &[1])).await;
    let mut own = Vec::new();
    for _ in 0..OF_ONE {
        own.push(take(SENDER).await.unwrap());
    }
    assert!(matches!(take(SENDER).await, Err(NotReceived::Full)));
    take("chi").await.unwrap();
    drop(own.pop());
    take(SENDER).await.unwrap();
}

/// A chunk that is counted while it is in memory.
struct Counted(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, SeqCst);
    }
}

#[tokio::test]
async fn of_50_mib_that_come_one_chunk_is_in_memory_and_of_those_that_are_written_one_part() {
    let folder = TempDir::new().unwrap();
    let blobs = in_folder(&folder);
    let bytes = file(50 << 20);
    let (held, most) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let counted = chunks(&bytes, &[1 << 20]).map_ok(|chunk| {
        most.fetch_max(held.fetch_add(1, SeqCst) + 1, SeqCst);
        Counted(chunk, held.clone())
    });
    let received = blobs.receive(SENDER, announced(&bytes), counted).await.unwrap();
    assert_eq!((most.load(SeqCst), held.load(SeqCst)), (1, 0));

    let mut upload = Counting::default();
    write_parts(&mut upload, received).await.unwrap();
    let parts = upload.parts.lock().unwrap().clone();
    assert_eq!(parts, vec![PART as usize; 10]);
    assert_eq!((upload.most.load(SeqCst), upload.completed), (1, true));
}

/// Counts the parts that are under way.
#[derive(Debug, Default)]
struct Counting {
    parts: Arc<Mutex<Vec<usize>>>,
    under_way: Arc<AtomicUsize>,
    most: AtomicUsize,
    completed: bool,
}

#[tonic::async_trait]
impl MultipartUpload for Counting {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.most.fetch_max(self.under_way.fetch_add(1, SeqCst) + 1, SeqCst);
        let (parts, under_way) = (self.parts.clone(), self.under_way.clone());
        async move {
            tokio::task::yield_now().await;
            parts.lock().unwrap().push(data.content_length());
            under_way.fetch_sub(1, SeqCst);
            Ok(())
        }
        .boxed()
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        self.completed = true;
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_is_given_out_is_read_from_the_store_no_faster_than_it_goes() {
    let bytes = file(4 * PIECE);
    let read = Arc::new(AtomicUsize::new(0));
    let source = stream::iter(bytes.chunks(1000).map(<[u8]>::to_vec)).map(|chunk| {
        read.fetch_add(chunk.len(), SeqCst);
        Ok::<_, Error>(chunk)
    });
    let mut pieces = std::pin::pin!(pieces(source, announced(&bytes)));
    for given in 1..=4 {
        assert_eq!(pieces.try_next().await.unwrap().unwrap().len(), PIECE);
        assert!(read.load(SeqCst) <= given * PIECE + 1000);
    }
    assert!(pieces.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_stored_otherwise_than_it_was_taken_in_does_not_end_well() {
    let folder = TempDir::new().unwrap();
    let blobs = in_folder(&folder);
    // It ends where a piece does, and within one.
    for size in [2 * PIECE, 2 * PIECE + 5] {
        let (bytes, id) = (file(size), Uuid::new_v4());
        let said = announced(&bytes);
        blobs.put(id, receive(&blobs, &bytes).await).await.unwrap();
        let name = id.to_string();
        let file = folder.path().join("attachments").join(&name[..2]).join(&name);
        let mut altered = bytes.clone();
        altered[0] ^= 1;
        for stored in [altered, bytes[..size - 1].to_vec(), [&bytes[..], b"x"].concat(), vec![]] {
            std::fs::write(&file, &stored).unwrap();
            let ended = read(&blobs, id, said.clone()).await;
            assert!(matches!(ended, Err(NotWhole::Damaged)), "{size} {}", stored.len());
        }
        std::fs::write(&file, &bytes).unwrap();
        assert!(read(&blobs, id, said).await.unwrap() == bytes);
    }
}

#[tokio::test]
async fn what_a_killed_process_left_unfinished_is_removed_once_it_is_old() {
    let folder = TempDir::new().unwrap();
    let blobs = in_folder(&folder);
    let id = Uuid::new_v4();
    blobs.put(id, receive(&blobs, b"x").await).await.unwrap();
    let name = id.to_string();
    let inner = folder.path().join("attachments").join(&name[..2]);
    let (unfinished, strange) = (inner.join(format!("{name}#1")), inner.join("a#1"));
    let written = |file: &Path| {
        std::fs::write(file, "...").unwrap();
        std::fs::metadata(file).unwrap().modified().unwrap()
    };
    written(&strange);
    let at = written(&unfinished);
    let mut removed = 0;
    blobs.remove_unfinished(at.into(), &mut removed).await.unwrap();
    assert_eq!(removed, 0);
    let later = at + Duration::from_micros(1);
    blobs.remove_unfinished(later.into(), &mut removed).await.unwrap();
    assert_eq!(removed, 1);
    assert!(!unfinished.exists() && strange.exists());
    assert_eq!(listed(&blobs).await, [id]);

    // One that cannot be removed, because it is no file, keeps none of the others.
    std::fs::create_dir(&unfinished).unwrap();
    let other = inner.join(format!("{name}#2"));
    let (first, last) = (written(&other), at + Duration::from_secs(3600));
    assert!(first < last);
    blobs.remove_unfinished(last.into(), &mut removed).await.unwrap_err();
    assert!(!other.exists() && removed == 2);
}

#[tokio::test]
async fn what_else_is_in_the_folder_is_not_looked_into() {
    let folder = TempDir::new().unwrap();
    let blobs = in_folder(&folder);
    let id = Uuid::new_v4();
    blobs.put(id, receive(&blobs, b"x").await).await.unwrap();
    let inner = folder.path().join("attachments");
    // A walk that goes into it comes to no end, as one into another user's folder is refused.
    std::os::unix::fs::symlink(&inner, inner.join("round")).unwrap();
    let lost = inner.join("lost+found");
    std::fs::create_dir(&lost).unwrap();
    std::fs::set_permissions(&lost, Permissions::from_mode(0o000)).unwrap();
    assert_eq!(listed(&blobs).await, [id]);
    blobs.remove_unfinished(SystemClock.now(), &mut 0).await.unwrap();
}

#[tokio::test]
async fn whose_the_blobs_are_stands_beside_them() {
    let (folder, s3) = (TempDir::new().unwrap(), S3::new());
    for blobs in [in_folder(&folder), in_s3(&s3, "dunghan").unwrap()] {
        assert_eq!(blobs.owner().await.unwrap(), None);
        for owner in ["sqlite/1", "postgres/7/00000001/5/16400"] {
            blobs.be_owned_by(owner).await.unwrap();
            assert_eq!(blobs.owner().await.unwrap().as_deref(), Some(owner));
        }
        assert!(listed(&blobs).await.is_empty());
        let (now, here) = (blobs.now().await.unwrap(), SystemClock.now());
        assert!((here - now).abs() < chrono::TimeDelta::minutes(1), "{now} {here}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_is_the_same_whatever_chunks_it_comes_in(
        (size, sizes) in prop_oneof![
            (1..300_usize, prop::collection::vec(1..400_usize, 1..6)),
            (PIECE - 2..3 * PIECE, prop::collection::vec(5_000..PIECE, 1..6)),
        ],
    ) {
        let folder = TempDir::new().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (bytes, id) = (file(size), Uuid::new_v4());
        let came = runtime.block_on(async {
            let blobs = in_folder(&folder);
            let said = announced(&bytes);
            let received = blobs.receive(SENDER, said.clone(), chunks(&bytes, &sizes)).await.unwrap();
            blobs.put(id, received).await.unwrap();
            read(&blobs, id, said).await.unwrap()
        });
        prop_assert!(came == bytes);
    }

    #[test]
    fn what_is_given_out_is_the_same_whatever_chunks_the_store_gives(
        size in 1..2 * PIECE,
        sizes in prop::collection::vec(1..PIECE + 5, 1..6),
    ) {
        let bytes = file(size);
        let source = chunks(&bytes, &sizes).map_err(|never| match never {});
        let source = std::pin::pin!(source);
        let given = pieces(source, announced(&bytes));
        let given: Vec<_> = given.try_collect::<Vec<_>>().now_or_never().unwrap().unwrap();
        prop_assert!(given.concat() == bytes);
        let (_, all_but_last) = given.split_last().unwrap();
        prop_assert!(all_but_last.iter().all(|piece| piece.len() == PIECE));
    }
}
