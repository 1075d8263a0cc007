//! The working calendars as this process knows them, following the amendments of all processes.

use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};

use crate::domain::calendar::Calendars;
use crate::domain::editions::{Editions, kept};
use crate::domain::obligation::Obligation;
use crate::domain::past::Amended;
use crate::store::{self, Store};

/// The calendars that hold now. Its clones are one.
#[derive(Clone, Debug)]
pub(crate) struct CurrentCalendars {
    newest: Arc<RwLock<Arc<Calendars>>>,
    /// Before any amendment: what earlier ones are put together from.
    first: Arc<Calendars>,
}

impl CurrentCalendars {
    /// Beginning with these, which are those before any amendment.
    pub(crate) fn new(first: Calendars) -> Self {
        let first = Arc::new(first);
        Self { newest: Arc::new(RwLock::new(first.clone())), first }
    }

    /// As of the last look.
    pub(crate) fn current(&self) -> Arc<Calendars> {
        self.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks whether any process has amended one: a question that one entry of an index answers.
    pub(crate) async fn follow(&self, store: &Store) -> Result<Arc<Calendars>, store::Error> {
        let newest = store.calendars_newest(self.current()).await?;
        let mut held = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have looked later, and be here before.
        if held.amendment() < newest.amendment() {
            *held = newest.clone();
        }
        Ok(newest)
    }

    /// Those by which the lateness of obligations is counted at a moment: where all of them are measured by the newest, as most
    /// are, nothing is read.
    pub(crate) async fn editions<'a>(
        &self,
        store: &Store,
        obligations: impl IntoIterator<Item = &'a Obligation>,
        at: DateTime<Utc>,
    ) -> Result<Editions, store::Error> {
        let newest = self.current();
        let wanted = Editions::wanted(obligations, &newest, at);
        let earlier = store.calendars_after(self.first.clone(), wanted).await?;
        Ok(Editions::new(newest, earlier))
    }

    /// Those by which one obligation is measured now.
    pub(crate) async fn of(
        &self,
        store: &Store,
        obligation: &Obligation,
        now: DateTime<Utc>,
    ) -> Result<Arc<Calendars>, store::Error> {
        let newest = self.current();
        match kept(obligation, now) {
            Some(through) if through < newest.amendment() => {
                store.calendars_at(self.first.clone(), Some(through), now).await
            }
            _ => Ok(newest),
        }
    }

    /// Those by which one was measured at a moment that has passed.
    pub(crate) async fn at(
        &self,
        store: &Store,
        amended: Amended,
    ) -> Result<Arc<Calendars>, store::Error> {
        store.calendars_at(self.first.clone(), amended.through, amended.by).await
    }
}
