//! The working calendars as this process knows them, following the amendments of all processes.

use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::calendar::Calendars;
use crate::store::{self, Store};

/// The calendars that hold now. Its clones are one.
#[derive(Clone, Debug)]
pub(crate) struct CurrentCalendars(Arc<RwLock<Arc<Calendars>>>);

impl CurrentCalendars {
    /// Beginning with these.
    pub(crate) fn new(calendars: Calendars) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(calendars))))
    }

    /// As of the last look.
    pub(crate) fn current(&self) -> Arc<Calendars> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks whether any process has amended one: a question that one entry of an index answers.
    pub(crate) async fn follow(&self, store: &Store) -> Result<Arc<Calendars>, store::Error> {
        let newest = store.calendars_newest(self.current()).await?;
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have looked later, and be here before.
        if held.amendment() < newest.amendment() {
            *held = newest.clone();
        }
        Ok(newest)
    }
}
