//! Turns each rpc into one look at the domain and one read or write.

mod calendar;
mod compliance;
mod decision;
mod dossier;
mod explain;
mod feed;
mod notice;
mod owed;
mod rate;
mod regime;

use std::sync::Arc;

use dunghan_calendar::zone;
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::registry::contact_service_client::ContactServiceClient;
use dunghan_proto::submission::form_service_client::FormServiceClient;
use dunghan_rpc::{Caller, Peer};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::domain::regime::RuleFamily;
use crate::error::unknown_unit;
use crate::jobs::Reconciler;

pub(crate) use feed::pages;

/// Answers for all of the contract's services. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) reconciler: Reconciler,
    /// Whom to turn to at a unit, as the registry keeps it.
    pub(crate) contacts: ContactServiceClient<Peer>,
    pub(crate) forms: FormServiceClient<Peer>,
    /// The families of rules that regimes can name.
    pub(crate) families: Arc<Vec<RuleFamily>>,
    pub(crate) stopping: CancellationToken,
}

impl Service {
    /// Today's date for scopes.
    fn today(&self) -> chrono::NaiveDate {
        zone::civil_date(self.reconciler.clock.now())
    }

    /// The hierarchy, if the caller may read what is `unit`'s or is under `regime`.
    ///
    /// Errors: PERMISSION_DENIED before NOT_FOUND (UNKNOWN_UNIT).
    async fn readable(
        &self,
        caller: &Caller,
        unit: UnitId,
        regime: Option<&str>,
    ) -> Result<Arc<Hierarchy>, Status> {
        let hierarchy = self.reconciler.units.knowing(unit).await?;
        caller.must_read(unit, regime, &hierarchy, self.today())?;
        if hierarchy.get(unit).is_none() {
            return Err(unknown_unit(unit));
        }
        Ok(hierarchy)
    }

    /// The hierarchy, if the caller may write what is `unit`'s.
    ///
    /// Errors: PERMISSION_DENIED before NOT_FOUND (UNKNOWN_UNIT).
    async fn writable(&self, caller: &Caller, unit: UnitId) -> Result<Arc<Hierarchy>, Status> {
        let hierarchy = self.reconciler.units.knowing(unit).await?;
        caller.must_write(unit, &hierarchy, self.today())?;
        if hierarchy.get(unit).is_none() {
            return Err(unknown_unit(unit));
        }
        Ok(hierarchy)
    }
}
