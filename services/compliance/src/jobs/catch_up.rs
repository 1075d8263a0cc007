//! Opening what has begun, and taking in what submission has received: before every answer, and before every sweep.

use std::sync::Arc;

use dunghan_calendar::zone;
use dunghan_events::{PullError, pull};
use dunghan_hierarchy::Hierarchy;
use dunghan_proto::events::Event;
use dunghan_proto::events::event::Payload;
use dunghan_rpc::{field, peer_failed};
use uuid::Uuid;

use super::{Error, Opened, Reconciler, SUBMISSION};
use crate::domain::obligation::{ObligationName, Receipt};
use crate::store::{NewObligation, Store};

impl Reconciler {
    /// Brings obligations up to the clock and receipts up to submission. Gives the hierarchy by which they are owed; where
    /// another process has a newer one already, some may be owed by that.
    pub(crate) async fn catch_up(&self) -> Result<Arc<Hierarchy>, Error> {
        let hierarchy = self.units.fresh().await?;
        self.open_by(&hierarchy).await?;
        self.receive().await?;
        Ok(hierarchy)
    }

    /// Opens the periods whose window has begun, as of the hierarchy on their cut-off days.
    ///
    /// A period is looked at again whenever the hierarchy has changed since it was opened: units that have come to
    /// owe it are added, and those that turn out not to owe it are taken off.
    pub(crate) async fn open(&self) -> Result<u64, Error> {
        self.open_by(&*self.units.fresh().await?).await
    }

    async fn open_by(&self, hierarchy: &Hierarchy) -> Result<u64, Error> {
        let today = zone::civil_date(self.clock.now());
        let mut last = self.opened.lock().await;
        // Counted before they are read: one that comes between is opened at the next look.
        let regimes = self.store.regime_count().await?;
        let looking = Some(Opened { today, hierarchy_version: hierarchy.version(), regimes });
        if *last == looking {
            return Ok(0);
        }
        let mut count = 0;
        for regime in self.store.regime_all().await? {
            let done = self.store.opening_fetch(&regime.id).await?;
            for period in regime.open_periods(today) {
                if done.get(&period.to_string()) == Some(&hierarchy.version()) {
                    continue;
                }
                let cut_off = regime.window(period).cut_off;
                let debtors = regime.debtors.on(cut_off, hierarchy);
                let new: Vec<_> = debtors
                    .into_iter()
                    .map(|unit| NewObligation::of(unit, cut_off, hierarchy))
                    .collect();
                let due = regime.due_time(period, &self.calendar);
                let version = hierarchy.version();
                let opened =
                    self.store.obligation_open(&regime, period, due, &new, version).await?;
                tracing::debug!(regime = regime.id.id(), %period, opened, "a period was opened");
                count += opened;
            }
        }
        *last = looking;
        Ok(count)
    }

    /// Takes in what submission has received.
    pub(super) async fn receive(&self) -> Result<usize, Error> {
        let client = self.submission.clone();
        let pulled = pull(
            self.store.database(),
            SUBMISSION,
            async |request| {
                let answer = client.clone().list_events(request).await;
                answer.map(|answer| answer.into_inner()).map_err(|e| peer_failed(SUBMISSION, e))
            },
            async |events| Ok(events.iter().filter_map(receipt).collect::<Vec<_>>()),
            async |write, receipts| Store::receipt_record(write, receipts).await,
        );
        match pulled.await {
            Ok(count) => Ok(count),
            Err(PullError::Peer(status)) => Err(Error::Peer(status)),
            Err(PullError::Database(error)) => Err(crate::store::Error::from(error).into()),
            // The other process has taken in the same.
            Err(PullError::Overtaken) => Ok(0),
        }
    }
}

/// The receipt that an event tells of. One that does not read is of a contract that this program does not know; it is
/// logged, and does not hold up the others.
fn receipt(event: &Event) -> Option<(ObligationName, Receipt)> {
    let Some(Payload::ReportSubmitted(submitted)) = &event.payload else { return None };
    let read = || {
        let (unit, report) = submitted.report.split_once("/reports/")?;
        let name = ObligationName {
            unit: unit.parse().ok()?,
            regime: submitted.regime.parse().ok()?,
            period: submitted.period.parse().ok()?,
        };
        let time = field::instant("receive_time", submitted.receive_time.as_ref()).ok()??;
        Some((name, Receipt { report: report.parse::<Uuid>().ok()?, time }))
    };
    let receipt = read();
    if receipt.is_none() {
        tracing::error!(
            event_id = event.event_id,
            report = submitted.report,
            "an event does not read"
        );
    }
    receipt
}
