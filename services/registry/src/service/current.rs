//! The copy of the units that answers are made from.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use dunghan_events::hierarchy_version;
use dunghan_hierarchy::Hierarchy;
use dunghan_host::Spec as _;
use tokio::sync::Mutex;

use crate::Registry;
use crate::store::{Error, Recorded, Store};

/// How long an answer may be made from the copy without a look at the stored version.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What answers are made from, of one version.
pub(super) struct Known {
    pub(super) hierarchy: Arc<Hierarchy>,
    /// The reorganisations that hold, without their changes, by their ids.
    pub(super) reorganisations: Arc<BTreeMap<String, Recorded>>,
}

/// The units as they are stored, in memory.
///
/// What this process writes it answers from at once. What another one writes is seen after [`LOOK_EVERY`] at the latest: the
/// stored version, one number, is asked for by whoever reads when the last look is older than that, and the others of that
/// moment wait for it. The units themselves are read again only when it has moved.
pub(super) struct Current {
    store: Store,
    held: RwLock<Held>,
    looking: Mutex<()>,
}

struct Held {
    known: Arc<Known>,
    /// When the last look began.
    looked: Instant,
}

impl Current {
    pub(super) async fn load(store: Store) -> Result<Self, Error> {
        let looked = Instant::now();
        let known = Arc::new(read(&store).await?);
        hierarchy_version(Registry::NAME, known.hierarchy.version());
        let held = RwLock::new(Held { known, looked });
        Ok(Self { store, held, looking: Mutex::default() })
    }

    /// The units as of now.
    pub(super) async fn get(&self) -> Result<Arc<Hierarchy>, Error> {
        Ok(self.known().await?.hierarchy.clone())
    }

    /// The units as of now, and what made them.
    pub(super) async fn known(&self) -> Result<Arc<Known>, Error> {
        self.known_at(Instant::now()).await
    }

    async fn known_at(&self, now: Instant) -> Result<Arc<Known>, Error> {
        if let Some(known) = self.looked_at(now) {
            return Ok(known);
        }
        let _one_at_a_time = self.looking.lock().await;
        match self.looked_at(now) {
            Some(known) => Ok(known),
            None => self.look(now).await,
        }
    }

    /// What is stored by now: what writes rest on.
    pub(super) async fn newest(&self) -> Result<Arc<Known>, Error> {
        let _one_at_a_time = self.looking.lock().await;
        self.look(Instant::now()).await
    }

    async fn look(&self, now: Instant) -> Result<Arc<Known>, Error> {
        let stored = self.store.hierarchy_version().await?;
        let behind = self.held(|held| held.known.hierarchy.version() < stored);
        if behind {
            self.put(read(&self.store).await?);
        }
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.looked = now;
        Ok(held.known.clone())
    }

    fn held<T>(&self, of: impl FnOnce(&Held) -> T) -> T {
        of(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is held, if the last look is young enough.
    fn looked_at(&self, now: Instant) -> Option<Arc<Known>> {
        self.held(|held| {
            let young = now.saturating_duration_since(held.looked) < LOOK_EVERY;
            young.then(|| held.known.clone())
        })
    }

    /// Puts newer units, made by the same reorganisations, in the place of those held.
    pub(super) fn replace(&self, hierarchy: Arc<Hierarchy>) {
        let reorganisations = self.held(|held| held.known.reorganisations.clone());
        self.put(Known { hierarchy, reorganisations });
    }

    /// Puts newer units in the place of those held.
    pub(super) fn put(&self, known: Known) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.known.hierarchy.version() < known.hierarchy.version() {
            hierarchy_version(Registry::NAME, known.hierarchy.version());
            held.known = Arc::new(known);
        }
    }
}

async fn read(store: &Store) -> Result<Known, Error> {
    let (hierarchy, reorganisations) = store.known_fetch().await?;
    let by_id = reorganisations.into_iter().map(|one| (one.id.clone(), one)).collect();
    Ok(Known { hierarchy: Arc::new(hierarchy), reorganisations: Arc::new(by_id) })
}

#[cfg(test)]
mod tests {
    use dunghan_hierarchy::{Kind, Level, NSO, UnitHistory, UnitId, Validity, Version};
    use dunghan_store::Database;
    use dunghan_testkit::{ENGINES, Place};

    use super::*;
    use crate::store::{EdgeChange, Migrations};

    fn province(name: &str) -> UnitHistory {
        let (kind, level, validity) = (Kind::Tinh, Level::Province, Validity::OPEN);
        let version =
            Version { validity, display_name: name.to_owned(), kind, level, parent: None };
        let id = UnitId::new(NSO, "24", None);
        UnitHistory { id, versions: vec![version], identifiers: Vec::new() }
    }

    async fn write(store: &Store, read_at: u64, name: &str) {
        let (unit, at) = (province(name), chrono::DateTime::UNIX_EPOCH);
        let (units, keep) = ([&unit], EdgeChange::Keep);
        store
            .hierarchy_move(read_at, read_at + 1, &units, keep, at, async |_| Ok(()))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn another_process_is_seen_after_fifty_milliseconds_and_this_one_at_once() {
        for engine in ENGINES {
            let place = Place::new(engine).await;
            let open = async || {
                let database = Database::open(&place.location, "registry").await.unwrap();
                database.migrate::<Migrations>().await.unwrap();
                Store::new(database)
            };
            let (here, there) = (open().await, open().await);
            write(&there, 0, "Tỉnh Bắc Giang").await;
            let current = Current::load(here).await.unwrap();
            let loaded = current.held(|held| held.looked);
            let version = async |after: Duration| {
                current.known_at(loaded + after).await.unwrap().hierarchy.version()
            };

            write(&there, 1, "Tỉnh Bắc Ninh").await;
            let just_before = LOOK_EVERY - Duration::from_nanos(1);
            assert_eq!(version(just_before).await, 1);
            assert_eq!(version(LOOK_EVERY).await, 2);
            // The look at that moment counts from there on, and what it found is not lost again.
            write(&there, 2, "Thành phố Bắc Ninh").await;
            assert_eq!(version(LOOK_EVERY + just_before).await, 2);
            assert_eq!(version(LOOK_EVERY * 2).await, 3);
            // Whoever writes rests on nothing older than it has to.
            write(&there, 3, "Tỉnh Bắc Ninh").await;
            assert_eq!(current.newest().await.unwrap().hierarchy.version(), 4);

            let own = Hierarchy::build(5, vec![province("Tỉnh Bắc Giang")]).unwrap();
            current.replace(Arc::new(own));
            assert_eq!(version(LOOK_EVERY * 2).await, 5);
            // A copy never goes back.
            assert_eq!(current.newest().await.unwrap().hierarchy.version(), 5);
        }
    }
}
