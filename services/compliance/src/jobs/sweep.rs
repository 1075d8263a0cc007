//! The sweep: finds what has fallen due, asks the owner, and tells supervisors once.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use dunghan_calendar::zone;
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::submission as pb;
use dunghan_rpc::{field, peer_failed};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{Error, Reconciler, SUBMISSION, metric};
use crate::domain::dossier::{Dossier, DossierName};
use crate::domain::notice::{self, Subject};
use crate::domain::obligation::{Obligation, ObligationName, Receipt};
use crate::domain::regime::Regime;
use crate::domain::wording;
use crate::store::{Claim, DueGroup, Store};

/// Units in one question to submission.
const ASKED_AT_ONCE: usize = 1000;
/// Dossiers looked at in one round.
const DOSSIERS_AT_ONCE: u64 = 1000;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) at: DateTime<Utc>,
    pub(crate) opened: u64,
    pub(crate) received: usize,
    pub(crate) missing: usize,
    pub(crate) overdue: usize,
    pub(crate) notices: usize,
    pub(crate) unverified: usize,
}

impl Reconciler {
    /// One pass over everything that has fallen due and been told to nobody, however long ago that was.
    ///
    /// It looks at state and not at how often it ran: after any outage one pass finds all of it, once. Any number of
    /// replicas can run it at the same time.
    pub(crate) async fn sweep(&self) -> Result<Summary, Error> {
        let span = tracing::info_span!("sweep", otel.status_code = tracing::field::Empty);
        let swept = self.sweep_all().instrument(span.clone()).await;
        match &swept {
            Ok(_) => metric::swept(),
            Err(_) => {
                span.record("otel.status_code", "ERROR");
            }
        }
        self.swept.notify_one();
        swept
    }

    async fn sweep_all(&self) -> Result<Summary, Error> {
        let mut summary = Summary { at: self.clock.now(), ..Summary::default() };
        // Dossiers are this service's own: they need no other.
        let opened = self.open().await;
        self.sweep_dossiers(&mut summary).await?;
        summary.opened = opened?;
        match self.receive().await {
            Ok(received) => summary.received = received,
            // What no event told is asked for below, group by group; where that fails too, nobody is accused.
            Err(Error::Peer(_)) => {}
            Err(error) => return Err(error),
        }
        self.sweep_obligations(&mut summary).await?;
        Ok(summary)
    }

    async fn sweep_obligations(&self, summary: &mut Summary) -> Result<(), Error> {
        let now = summary.at;
        for group in self.store.obligation_due_groups(now).await? {
            let regime = self.store.regime_fetch(&group.regime).await?;
            let due = self.store.obligation_due(&group, now).await?;
            let unverified = due.len();
            // Nobody is accused before the owner was asked.
            let missing = match self.ask_submission(&group, due, summary).await {
                Ok(missing) => missing,
                Err(Error::Peer(_)) => {
                    summary.unverified += unverified;
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.tell_missing(&group, &regime, &missing, summary).await?;
        }
        Ok(())
    }

    /// Of those due, the ones that submission has nothing of either. What it does have is noted.
    async fn ask_submission(
        &self,
        group: &DueGroup,
        mut due: Vec<Obligation>,
        summary: &mut Summary,
    ) -> Result<Vec<Obligation>, Error> {
        for chunk in due.clone().chunks(ASKED_AT_ONCE) {
            let request = pb::BatchGetReceiptsRequest {
                regime: group.regime.to_string(),
                period: group.period.to_string(),
                units: chunk.iter().map(|obligation| obligation.name.unit.to_string()).collect(),
            };
            let answer = self.submission.clone().batch_get_receipts(request).await;
            let receipts = answer.map_err(|e| peer_failed(SUBMISSION, e))?.into_inner().receipts;
            let known: Vec<_> =
                receipts.iter().filter_map(|receipt| read_receipt(group, receipt)).collect();
            if known.is_empty() {
                continue;
            }
            self.store
                .database()
                .write(async |write| Store::receipt_record(write, &known).await)
                .await
                .map_err(crate::store::Error::from)?;
            summary.received += known.len();
            let there: HashSet<_> = known.into_iter().map(|(name, _)| name).collect();
            due.retain(|obligation| !there.contains(&obligation.name));
        }
        Ok(due)
    }

    async fn tell_missing(
        &self,
        group: &DueGroup,
        regime: &Regime,
        missing: &[Obligation],
        summary: &mut Summary,
    ) -> Result<(), Error> {
        let Some(due) = missing.first().and_then(|first| first.due) else { return Ok(()) };
        let hierarchy = self.units.current().await?;
        let cut_off = regime.window(group.period).cut_off;
        let subjects: Vec<_> = missing
            .iter()
            .map(|obligation| {
                let unit = obligation.name.unit;
                let words = match hierarchy.unit(unit, cut_off) {
                    Some(view) => wording::unit(&view.version.display_name, &obligation.unit_code),
                    None => unit.to_string(),
                };
                (unit, Subject::missing(&obligation.name, obligation.due_generation, words))
            })
            .collect();
        let claim = Claim::Missing { group, subjects: &subjects };
        let told = self
            .store
            .notice_claim(claim, regime.receiving_unit, summary.at, |told| {
                notice::missing_text(regime, group.period, due, told)
            })
            .await?;
        metric::notice("missing_reports", told.is_some());
        if let Some(notice) = told {
            summary.missing += notice.subjects.len();
            summary.notices += 1;
        }
        Ok(())
    }

    /// Dossiers are told to the unit above the one that has them.
    async fn sweep_dossiers(&self, summary: &mut Summary) -> Result<(), Error> {
        let hierarchy = self.units.current().await?;
        loop {
            let due = self.store.dossier_due(summary.at, DOSSIERS_AT_ONCE).await?;
            let all_seen = (due.len() as u64) < DOSSIERS_AT_ONCE;
            let mut by_recipient: BTreeMap<UnitId, Vec<(DossierName, Subject)>> = BTreeMap::new();
            for dossier in due {
                let recipient = supervisor(dossier.name.unit, summary.at, &hierarchy);
                let subject = subject(&dossier, summary.at, &hierarchy);
                by_recipient.entry(recipient).or_default().push((dossier.name, subject));
            }
            for (recipient, subjects) in &by_recipient {
                let claim = Claim::Overdue { subjects };
                let told = self
                    .store
                    .notice_claim(claim, *recipient, summary.at, notice::overdue_text)
                    .await?;
                metric::notice("overdue_dossiers", told.is_some());
                if let Some(notice) = told {
                    summary.overdue += notice.subjects.len();
                    summary.notices += 1;
                }
            }
            if all_seen {
                return Ok(());
            }
        }
    }
}

/// Who is told of a unit's dossiers: the unit above it, or itself at the top.
fn supervisor(unit: UnitId, at: DateTime<Utc>, hierarchy: &Hierarchy) -> UnitId {
    let day = hierarchy.known_on(unit, zone::civil_date(at));
    hierarchy.ancestors(unit, day).first().copied().unwrap_or(unit)
}

fn subject(dossier: &Dossier, at: DateTime<Utc>, hierarchy: &Hierarchy) -> Subject {
    let day = hierarchy.known_on(dossier.name.unit, zone::civil_date(at));
    let unit = match hierarchy.unit(dossier.name.unit, day) {
        Some(view) => view.version.display_name.clone(),
        None => dossier.name.unit.to_string(),
    };
    Subject {
        name: dossier.name.to_string(),
        due_generation: 1,
        words: format!(
            "{} ({}, {unit}, hạn {})",
            dossier.name.number,
            dossier.field,
            zone::date_vi(dossier.due_date())
        ),
    }
}

fn read_receipt(group: &DueGroup, receipt: &pb::Receipt) -> Option<(ObligationName, Receipt)> {
    let (unit, report) = receipt.report.split_once("/reports/")?;
    let name = ObligationName {
        unit: unit.parse().ok()?,
        regime: group.regime.clone(),
        period: group.period,
    };
    let time = field::instant("receive_time", receipt.receive_time.as_ref()).ok()??;
    Some((name, Receipt { report: report.parse::<Uuid>().ok()?, time }))
}
