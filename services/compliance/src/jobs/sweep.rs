//! The sweep: finds what has fallen due, asks the owner, and tells supervisors once.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use dunghan_calendar::zone;
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::submission as pb;
use dunghan_rpc::{field, peer_failed};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{Error, Reconciler, SUBMISSION, metric};
use crate::domain::dossier::{Dossier, DossierName};
use crate::domain::notice::{self, Subject, Telling};
use crate::domain::obligation::{Evidence, Obligation, ObligationName, Receipt, Returned, Task};
use crate::store::{DueGroup, Store};

/// Obligations looked at in one round: so many are held at once, and claimed in one transaction at most. The communes of the
/// nation are in one.
const OBLIGATIONS_AT_ONCE: u64 = 5000;
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
    pub(crate) retracted: usize,
    pub(crate) returns: usize,
}

impl Summary {
    /// Notices were written.
    fn noticed(&mut self, told: &[Task]) {
        self.notices += told.len();
        told.iter().for_each(|task| metric::notice(topic(*task), true));
    }
}

/// What a notice is about, in numbers.
fn topic(task: Task) -> &'static str {
    match task {
        Task::TellMissing => "missing_reports",
        Task::Retract => "retracted_missing_reports",
        Task::TellReturn => "overdue_returns",
    }
}

impl Reconciler {
    /// One pass over everything that has fallen due and been told to nobody, however long ago that was.
    ///
    /// It looks at state and not at how often it ran: after any outage one pass finds all of it, once. Any number of
    /// replicas can run it at the same time. Unless it is accepted, a clock that lies far ahead of the last sweep is not
    /// believed: then nothing is done at all.
    pub(crate) async fn sweep(&self, accept_clock: bool) -> Result<Summary, Error> {
        let span = tracing::info_span!("sweep", otel.status_code = tracing::field::Empty);
        let swept = self.sweep_all(accept_clock).instrument(span.clone()).await;
        match &swept {
            Ok(summary) if summary.unverified == 0 => metric::swept(),
            Ok(_) => {}
            Err(_) => {
                span.record("otel.status_code", "ERROR");
            }
        }
        self.swept.notify_one();
        swept
    }

    async fn sweep_all(&self, accept_clock: bool) -> Result<Summary, Error> {
        let mut summary = Summary { at: self.clock.now(), ..Summary::default() };
        // Before anything is opened by it.
        let mark = self.store.sweep_begin(summary.at, accept_clock).await?;
        if mark.is_jumped(summary.at) {
            return Err(Error::ClockJumped { now: summary.at, swept: mark.swept });
        }
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
        if summary.unverified == 0 {
            self.store.sweep_succeeded(summary.at).await?;
        }
        Ok(summary)
    }

    /// What is due, batch by batch; the notices come at the end, so that each recipient gets one of what fell due together,
    /// however many batches that was.
    async fn sweep_obligations(&self, summary: &mut Summary) -> Result<(), Error> {
        let hierarchy = self.units.current().await?;
        // By a sweep that was stopped half-way.
        for group in self.store.digest_groups().await? {
            self.store.digest_release(&group).await?;
        }
        let mut away = BTreeSet::new();
        // Of some there is more to be done when one thing is: told as missing, on time after all, and sent back long ago.
        while self.sweep_once(&hierarchy, &mut away, summary).await? {}
        for group in self.store.digest_groups().await? {
            // It is told when submission was asked about all of it.
            if away.contains(&group) {
                continue;
            }
            let regime = self.store.regime_fetch(&group.regime).await?;
            let (period, at) = (group.period, summary.at);
            let telling = Telling { regime: &regime, period, hierarchy: &hierarchy, at };
            let told = self.store.digest_finish(&telling).await?;
            summary.noticed(&told);
        }
        Ok(())
    }

    /// Goes through the list of what is due once. True where what it did put something on it.
    async fn sweep_once(
        &self,
        hierarchy: &Hierarchy,
        away: &mut BTreeSet<DueGroup>,
        summary: &mut Summary,
    ) -> Result<bool, Error> {
        let (mut more, mut after) = (false, None);
        // What an earlier round could not verify is seen again.
        summary.unverified = 0;
        loop {
            let page =
                self.store.obligation_due_page(summary.at, after.as_ref(), OBLIGATIONS_AT_ONCE);
            let (page, last) = page.await?;
            let is_last = (page.len() as u64) < OBLIGATIONS_AT_ONCE;
            let whole = is_last && after.is_none();
            let mut groups: BTreeMap<DueGroup, Vec<Obligation>> = BTreeMap::new();
            for obligation in page {
                let ObligationName { regime, period, .. } = obligation.name.clone();
                groups.entry(DueGroup { regime, period }).or_default().push(obligation);
            }
            for (group, due) in groups {
                let unverified = due.len();
                if away.contains(&group) {
                    summary.unverified += unverified;
                    continue;
                }
                // Nobody is accused before the owner was asked.
                match self.ask_submission(&group, &due, summary).await {
                    Ok(held) => {
                        more |= self.tell(&group, &due, &held, hierarchy, whole, summary).await?;
                    }
                    Err(Error::Peer(_)) => {
                        summary.unverified += unverified;
                        away.insert(group);
                    }
                    Err(error) => return Err(error),
                }
            }
            if is_last {
                return Ok(more);
            }
            after = last;
        }
    }

    /// Takes in what submission has of those that are due, and gives the units whose report it has.
    async fn ask_submission(
        &self,
        group: &DueGroup,
        due: &[Obligation],
        summary: &mut Summary,
    ) -> Result<HashSet<UnitId>, Error> {
        let mut held = HashSet::new();
        for chunk in due.chunks(ASKED_AT_ONCE) {
            let request = pb::BatchGetReceiptsRequest {
                regime: group.regime.to_string(),
                period: group.period.to_string(),
                units: chunk.iter().map(|obligation| obligation.name.unit.to_string()).collect(),
            };
            let answer = self.submission.clone().batch_get_receipts(request).await;
            let receipts = answer.map_err(|e| peer_failed(SUBMISSION, e))?.into_inner().receipts;
            // Also of what does not read: whatever it is, it is there.
            held.extend(receipts.iter().filter_map(unit_of));
            let said: Vec<_> =
                receipts.iter().filter_map(|receipt| read_receipt(group, receipt)).collect();
            if said.is_empty() {
                continue;
            }
            let calendars = self.calendars.current();
            let write = self.store.database().write(async |write| {
                Store::evidence_record(write, &calendars, &said, summary.at).await
            });
            summary.received += write.await?;
        }
        Ok(held)
    }

    /// Claims what is to be told of a batch of one group; with `whole` there is no more of the group, and it is told. True
    /// where of some there is more to be done.
    async fn tell(
        &self,
        group: &DueGroup,
        due: &[Obligation],
        held: &HashSet<UnitId>,
        hierarchy: &Hierarchy,
        whole: bool,
        summary: &mut Summary,
    ) -> Result<bool, Error> {
        let regime = &self.store.regime_fetch(&group.regime).await?;
        let telling = Telling { regime, period: group.period, hierarchy, at: summary.at };
        let told = self.store.obligation_tell(due, held, &telling, whole).await?;
        for (task, count) in &told.claimed {
            *match task {
                Task::TellMissing => &mut summary.missing,
                Task::Retract => &mut summary.retracted,
                Task::TellReturn => &mut summary.returns,
            } += count;
        }
        for task in &told.already {
            metric::notice(topic(*task), false);
        }
        summary.unverified += told.unverified;
        summary.noticed(&told.notices);
        Ok(told.more)
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
                let told = self
                    .store
                    .dossier_tell(subjects, *recipient, summary.at, notice::overdue_text)
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
        due_generation: dossier.due_generation,
        words: format!(
            "{} ({}, {unit}, hạn {})",
            dossier.name.number,
            dossier.field,
            zone::date_vi(dossier.due_date())
        ),
    }
}

fn unit_of(receipt: &pb::Receipt) -> Option<UnitId> {
    receipt.report.split_once("/reports/")?.0.parse().ok()
}

fn read_receipt(
    group: &DueGroup,
    receipt: &pb::Receipt,
) -> Option<(ObligationName, Uuid, Evidence)> {
    let (_, report) = receipt.report.split_once("/reports/")?;
    let (unit, regime, period) = (unit_of(receipt)?, group.regime.clone(), group.period);
    let name = ObligationName { unit, regime, period };
    let report = report.parse::<Uuid>().ok()?;
    let time = |name, value: &Option<_>| field::instant(name, value.as_ref()).ok().flatten();
    let returned = time("return_time", &receipt.return_time)
        .zip(time("return_due_time", &receipt.return_due_time))
        .map(|(time, due)| Returned { time, due });
    let time = time("receive_time", &receipt.receive_time)?;
    let receipt_of = Some(Receipt { report, time });
    Some((name, report, Evidence { sequence: receipt.sequence, receipt: receipt_of, returned }))
}
