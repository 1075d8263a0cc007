//! The copy of the units that answers are made from.

use std::sync::{Arc, PoisonError, RwLock};

use dunghan_events::hierarchy_version;
use dunghan_hierarchy::Hierarchy;
use dunghan_host::Spec as _;
use tokio::sync::Mutex;

use crate::Registry;
use crate::store::{Error, Store};

/// The units as they are stored, in memory.
///
/// Before each answer the stored version is asked for, one number: what another replica has imported is seen at once. The
/// units themselves are read again only when it has moved.
pub(super) struct Current {
    store: Store,
    held: RwLock<Arc<Hierarchy>>,
    reading: Mutex<()>,
}

impl Current {
    pub(super) async fn load(store: Store) -> Result<Self, Error> {
        let read = Arc::new(store.hierarchy_fetch().await?);
        hierarchy_version(Registry::NAME, read.version());
        Ok(Self { store, held: RwLock::new(read), reading: Mutex::default() })
    }

    fn held(&self) -> Arc<Hierarchy> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The units as of now.
    pub(super) async fn get(&self) -> Result<Arc<Hierarchy>, Error> {
        let stored = self.store.hierarchy_version().await?;
        let held = self.held();
        if held.version() >= stored {
            return Ok(held);
        }
        let _one_at_a_time = self.reading.lock().await;
        let held = self.held();
        if held.version() >= stored {
            return Ok(held);
        }
        let read = Arc::new(self.store.hierarchy_fetch().await?);
        self.replace(read.clone());
        Ok(read)
    }

    /// Puts newer units in the place of those held.
    pub(super) fn replace(&self, hierarchy: Arc<Hierarchy>) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.version() < hierarchy.version() {
            hierarchy_version(Registry::NAME, hierarchy.version());
            *held = hierarchy;
        }
    }
}
