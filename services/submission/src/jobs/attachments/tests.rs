use std::fs;
use std::path::{Path, PathBuf};

use dunghan_calendar::SystemClock;
use dunghan_store::Database;
use dunghan_telemetry::{Format, Settings, init_with_logs_to, metrics_page};
use dunghan_testkit::{ENGINES, Engine, Place, S3};
use futures::poll;
use sea_orm::{ConnectionTrait as _, DbErr};
use tempfile::TempDir;

use super::*;
use crate::config::Attachments;
use crate::store::Migrations;

/// A database, and the folder of blobs.
struct World {
    engine: Engine,
    collector: Collector,
    folder: TempDir,
    _place: Place,
}

async fn world(engine: Engine) -> World {
    let folder = TempDir::new().unwrap();
    let (collector, place) = collector(engine, &Attachments::default(), folder.path()).await;
    World { engine, collector, folder, _place: place }
}

async fn collector(engine: Engine, config: &Attachments, folder: &Path) -> (Collector, Place) {
    let place = Place::new(engine).await;
    let database = Database::open(&place.location, "submission").await.unwrap();
    database.migrate::<Migrations>().await.unwrap();
    let collector = Collector {
        store: Store::new(database),
        blobs: Blobs::open(config, folder).unwrap(),
        clock: Arc::new(SystemClock),
        let_alone: LET_ALONE,
        bell: Arc::default(),
    };
    (collector, place)
}

impl World {
    fn file(&self, id: Uuid) -> PathBuf {
        let id = id.to_string();
        self.folder.path().join("attachments").join(&id[..2]).join(id)
    }

    /// Lays a blob down that is so old.
    fn blob(&self, age: TimeDelta) -> Uuid {
        let id = Uuid::new_v4();
        fs::create_dir_all(self.file(id).parent().unwrap()).unwrap();
        let file = fs::File::create_new(self.file(id)).unwrap();
        file.set_modified((SystemClock.now() - age).into()).unwrap();
        id
    }

    /// Adds the row of a blob, with what else it has.
    async fn row(&self, id: Uuid, columns: &str, values: &str) {
        let uuid = match self.engine {
            Engine::Sqlite => format!("x'{}'", id.simple()),
            Engine::Postgres => format!("'{id}'"),
        };
        let (version, us) = (id.as_u128() as u32, SystemClock.now().timestamp_micros());
        let sql = format!(
            "INSERT INTO attachment (id, report_id, file_name, media_type, size_bytes, sha256, \
             create_us, author, attach_version{columns}) \
             VALUES ({uuid}, {uuid}, 'a.pdf', 'application/pdf', 1, '', {us}, 'lan', {version}{values})"
        );
        let database = self.collector.store.database();
        let added: Result<(), DbErr> =
            database.write(async |write| write.execute_unprepared(&sql).await.map(drop)).await;
        added.unwrap();
    }

    async fn erased(&self, age: TimeDelta) -> Uuid {
        let id = self.blob(age);
        self.row(id, ", erase_us, eraser, erase_reason", ", 1, 'lan', 'x'").await;
        id
    }

    fn is_there(&self, id: Uuid) -> bool {
        self.file(id).exists()
    }
}

fn hours(hours: i64) -> TimeDelta {
    TimeDelta::hours(hours)
}

async fn collect(collector: &Collector) -> Summary {
    let (done, ended) = collector.collect(collector.clock.now()).await;
    ended.unwrap();
    done
}

#[tokio::test]
async fn what_no_row_knows_is_collected_once_it_is_old_and_nothing_else() {
    for engine in ENGINES {
        let world = world(engine).await;
        let (old, young, known) =
            (world.blob(hours(25)), world.blob(hours(23)), world.blob(hours(99)));
        world.row(known, "", "").await;
        let expected = Summary { orphans: 1, ..Summary::default() };
        assert_eq!(collect(&world.collector).await, expected);
        assert!(!world.is_there(old) && world.is_there(young) && world.is_there(known));
        assert_eq!(collect(&world.collector).await, Summary::default());
    }
}

/// Whether anything that no row knew was counted.
fn any_orphan_was_counted() -> bool {
    let page = metrics_page();
    let of = |line: &&str| {
        line.starts_with("dunghan_attachments_collected") && line.contains("kind=\"orphan\"")
    };
    page.lines().find(of).is_some_and(|line| !line.ends_with(" 0"))
}

#[tokio::test]
async fn what_a_run_removed_that_was_stopped_is_counted() {
    let _telemetry = init_with_logs_to(&Settings::logs(Format::Text, "off"), std::io::sink);
    let world = world(Engine::Sqlite).await;
    let blobs: Vec<_> = (0..50).map(|_| world.blob(hours(25))).collect();
    let mut running = Box::pin(world.collector.collect(world.collector.clock.now()));
    while !any_orphan_was_counted() {
        assert!(poll!(&mut running).is_pending(), "it is counted at the end alone");
        tokio::task::yield_now().await;
    }
    drop(running);
    assert!(blobs.into_iter().any(|id| world.is_there(id)), "it was stopped on the way");
}

#[tokio::test]
async fn of_another_database_s_blobs_none_is_collected_until_somebody_says_that_they_are_this_one_s()
 {
    for engine in ENGINES {
        let world = world(engine).await;
        let one = world.blob(hours(25));
        // The first one, and another process of it.
        assert_eq!(collect(&world.collector).await.orphans, 1);
        let again = world.blob(hours(25));
        assert_eq!(collect(&world.collector.clone()).await.orphans, 1);
        assert!(!world.is_there(one) && !world.is_there(again));

        // A copy, or one that was begun by mistake.
        let config = Attachments::default();
        let (other, _place) = collector(engine, &config, world.folder.path()).await;
        let kept = world.blob(hours(25));
        let foreign = Summary { foreign: true, ..Summary::default() };
        for _ in 0..2 {
            assert_eq!(collect(&other).await, foreign, "{engine:?}");
            assert!(world.is_there(kept));
        }
        fs::remove_file(world.folder.path().join("attachments/owner")).unwrap();
        assert_eq!(collect(&other).await.orphans, 1);
        assert!(!world.is_there(kept));
        world.blob(hours(25));
        assert_eq!(collect(&world.collector).await, foreign, "now it is the other's");
    }
}

#[tokio::test]
async fn a_database_that_was_restored_to_an_earlier_moment_collects_nothing_that_it_does_not_know()
{
    let world = world(Engine::Sqlite).await;
    collect(&world.collector).await;
    let file = world._place.folder().join("submission.db");
    let restored = Place::new(Engine::Sqlite).await;
    let to = restored.folder().join("submission.db");
    dunghan_store::back_up(&file, &to).await.unwrap();
    // After it.
    let later = world.blob(hours(25));
    world.row(later, "", "").await;
    dunghan_store::take_into_use(&to).await.unwrap();
    let database = Database::open(&restored.location, "submission").await.unwrap();
    let collector = Collector { store: Store::new(database), ..world.collector.clone() };
    assert!(collect(&collector).await.foreign && world.is_there(later));
    assert_eq!(collect(&world.collector).await, Summary::default());
}

#[tokio::test]
async fn a_clock_that_is_days_ahead_removes_nothing_early() {
    for engine in ENGINES {
        let world = world(engine).await;
        let (young, detached) = (world.blob(hours(1)), world.blob(hours(1)));
        let now = SystemClock.now().timestamp_micros();
        world.row(detached, ", detach_us, detach_version", &format!(", {now}, 2")).await;
        let ahead = SystemClock.now() + TimeDelta::days(9);
        let (done, ended) = world.collector.collect(ahead).await;
        ended.unwrap();
        assert_eq!(done, Summary::default());
        assert!(world.is_there(young) && world.is_there(detached));
        // Behind is no other matter.
        let behind = world.blob(hours(25));
        let (_, ended) = world.collector.collect(SystemClock.now() - TimeDelta::days(9)).await;
        ended.unwrap();
        assert!(world.is_there(behind));
    }
}

#[tokio::test]
async fn a_blob_that_cannot_be_removed_keeps_nothing_else_from_being_tidied_up() {
    for engine in ENGINES {
        let world = world(engine).await;
        let mut erased = Vec::new();
        for _ in 0..3 {
            erased.push(world.erased(hours(1)).await);
        }
        // The first that is tried, and an orphan; neither can be removed as a file is.
        erased.sort();
        let orphans = [world.blob(hours(25)), world.blob(hours(25))];
        for stuck in [erased[0], orphans[0]] {
            fs::remove_file(world.file(stuck)).unwrap();
            fs::create_dir_all(world.file(stuck).join("x")).unwrap();
        }
        let detached = world.blob(hours(25));
        world.row(detached, ", detach_us, detach_version", ", 1, 2").await;
        let (done, ended) = world.collector.collect(world.collector.clock.now()).await;
        assert!(matches!(ended, Err(Error::Blobs(_))), "{ended:?}");
        let expected = Summary { erased: 2, forgotten: 1, orphans: 2, foreign: false };
        assert_eq!(done, expected, "{engine:?}");
        for gone in [erased[1], erased[2], orphans[1], detached] {
            assert!(!world.is_there(gone));
        }
        let due = async || world.collector.store.attachment_erasures_due().await.unwrap();
        assert_eq!(due().await, 1);
        fs::remove_dir_all(world.file(erased[0])).unwrap();
        let expected = Summary { erased: 1, ..Summary::default() };
        assert_eq!(collect(&world.collector).await, expected);
        assert_eq!(due().await, 0);
    }
}

#[tokio::test]
async fn what_no_row_knows_is_collected_from_a_store_that_speaks_s3() {
    for engine in ENGINES {
        let s3 = S3::new();
        let keys: std::collections::BTreeMap<_, _> = s3.keys("dunghan").into_iter().collect();
        let key = |name: &str| keys[&*format!("submission.attachments.{name}")].clone();
        let config = Attachments {
            location: key("location"),
            endpoint: key("endpoint"),
            access_key_file: key("access_key_file"),
            secret_key_file: key("secret_key_file"),
            ..Attachments::default()
        };
        let (mut collector, _place) = collector(engine, &config, Path::new("/nowhere")).await;
        let orphan = Uuid::new_v4().to_string();
        let orphan = format!("dunghan/{}/{orphan}", &orphan[..2]);
        let objects = || {
            let mut objects = s3.objects();
            objects.sort();
            objects
        };
        s3.put("dunghan/not-ours", b"...");
        s3.put(&orphan, b"...");
        assert_eq!(collect(&collector).await, Summary::default());
        assert!(objects().contains(&orphan));
        // What is there is as old as the store's clock says: here it need not be old.
        collector.let_alone = -hours(1);
        assert_eq!(collect(&collector).await.orphans, 1);
        assert_eq!(objects(), ["dunghan/not-ours", "dunghan/owner"]);

        s3.put(&orphan, b"...");
        s3.put("dunghan/owner", b"sqlite/1");
        assert!(collect(&collector).await.foreign && objects().contains(&orphan));
    }
}
