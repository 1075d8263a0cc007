//! Opening what has begun, and taking in what submission has received: before every answer, and before every sweep.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::{Period, zone};
use dunghan_events::{PullError, pull};
use dunghan_hierarchy::Hierarchy;
use dunghan_proto::events::Event;
use dunghan_proto::events::event::Payload;
use dunghan_rpc::{field, peer_failed};
use uuid::Uuid;

use super::{Error, Opened, Reconciler, SUBMISSION};
use crate::domain::obligation::{Evidence, ObligationName, Receipt, Returned};
use crate::domain::opening::{self, Debtors};
use crate::domain::regime::Regime;
use crate::store::{self, Learnt, Store};

impl Reconciler {
    /// Brings obligations up to the clock and receipts up to submission. Gives the hierarchy by which they are owed; where
    /// another process has a newer one already, some may be owed by that.
    pub(crate) async fn catch_up(&self) -> Result<Arc<Hierarchy>, Error> {
        let hierarchy = self.units.fresh().await?;
        self.open_by(&hierarchy).await?;
        self.receive().await?;
        Ok(hierarchy)
    }

    /// Opens the periods whose window has begun, as of the hierarchy on their cut-off days. Nothing is opened by a clock that
    /// has run far ahead.
    ///
    /// A period is looked at again whenever the hierarchy has changed since it was opened, and planned again where that means
    /// something for it.
    pub(crate) async fn open(&self) -> Result<u64, Error> {
        self.open_by(&self.units.fresh().await?).await
    }

    /// What the clock reads, for what is decided and stays so.
    ///
    /// Errors: it lies far ahead of the last sweep.
    pub(crate) async fn believed_now(&self) -> Result<DateTime<Utc>, Error> {
        let now = self.clock.now();
        match self.store.sweep_mark().await? {
            Some(mark) if mark.is_jumped(now) => Err(Error::ClockJumped { now, swept: mark.swept }),
            _ => Ok(now),
        }
    }

    async fn open_by(&self, hierarchy: &Arc<Hierarchy>) -> Result<u64, Error> {
        let calendars = self.calendars.follow(&self.store).await?;
        let now = self.clock.now();
        let (today, version) = (zone::civil_date(now), hierarchy.version());
        let mut last = self.opened.lock().await;
        // Counted before they are read: one that comes between is opened at the next look.
        let regimes = self.store.regime_count().await?;
        let looking = Opened { today, hierarchy: hierarchy.clone(), regimes };
        if last.as_ref().is_some_and(|last| last.is(&looking)) {
            return Ok(0);
        }
        if let Err(Error::ClockJumped { .. }) = self.believed_now().await {
            tracing::debug!(%now, "nothing is opened: the clock lies far ahead of the last sweep");
            return Ok(0);
        }
        let by = Learnt { hierarchy: hierarchy.clone(), calendars, now };
        let mut count = 0;
        let before = last.as_ref().map(|last| (last.hierarchy.clone(), last.today));
        let before = before.filter(|(before, day)| (before.version(), *day) != (version, today));
        let mut looks = Looks {
            now: Look::new(hierarchy.clone(), today),
            before: before.map(|(hierarchy, today)| Look::new(hierarchy, today)),
        };
        for regime in self.store.regime_all().await? {
            let done = self.store.opening_fetch(&regime.id).await?;
            // What was opened, also where it is asked for no more, or by a clock that has gone back since.
            let mut periods: BTreeSet<_> = done.keys().copied().collect();
            periods.extend(regime.open_periods(today));
            periods.retain(|period| !done.get(period).is_some_and(|by| by.stands(version, today)));
            if periods.is_empty() {
                continue;
            }
            let regime = Arc::new(regime);
            let asking = regime.clone();
            let looked = tokio::task::spawn_blocking(move || {
                let owing = looks.owing(&asking, &periods);
                (owing, looks)
            });
            let (owing, back) = looked.await.map_err(store::Error::from)?;
            looks = back;
            let (mut same, mut other): (Vec<_>, Vec<_>) = owing.into_iter().partition(|owing| {
                let before = done.get(&owing.period).and_then(|opening| opening.fingerprint);
                before == Some(owing.debtors.fingerprint())
            });
            if !same.is_empty() {
                let confirm: Vec<_> =
                    same.iter().map(|one| (one.period, one.debtors.clone())).collect();
                let left = self.store.opening_confirm(&regime.id, &confirm, &by).await?;
                same.retain(|owing| left.contains(&owing.period));
                other.append(&mut same);
            }
            for Owing { period, debtors, before } in other {
                let before = before.as_deref();
                let opened =
                    self.store.obligation_open(&regime.id, period, &debtors, before, &by).await?;
                tracing::debug!(regime = regime.id.id(), %period, opened, "a period was opened");
                count += opened;
            }
        }
        *last = Some(looking);
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
            async |events| {
                let said: Vec<_> = events.iter().filter_map(evidence).collect();
                Ok((self.calendars.current(), said, self.clock.now()))
            },
            async |write, (calendars, said, now)| match Store::evidence_record(
                write, calendars, said, *now,
            )
            .await
            {
                Ok(_) => Ok(()),
                Err(store::Error::Database(error)) => Err(error),
                Err(other) => Err(sea_orm::DbErr::Custom(other.to_string())),
            },
        );
        match pulled.await {
            Ok(count) => Ok(count),
            Err(PullError::Peer(status)) => Err(Error::Peer(status)),
            Err(PullError::Database(error)) => Err(store::Error::from(error).into()),
            // It begins again by itself.
            Err(PullError::Overtaken) => Ok(0),
        }
    }
}

/// A hierarchy as of a day, and the stretches in which no unit of it changes: of the periods whose cut-off days lie in one,
/// it is found out once who owes them.
struct Look {
    hierarchy: Arc<Hierarchy>,
    today: NaiveDate,
    stretches: Option<BTreeSet<NaiveDate>>,
}

impl Look {
    fn new(hierarchy: Arc<Hierarchy>, today: NaiveDate) -> Self {
        Self { hierarchy, today, stretches: None }
    }

    fn owing(&mut self, regime: &Regime, periods: &BTreeSet<Period>) -> Vec<Arc<Debtors>> {
        let Self { hierarchy, today, stretches } = self;
        let stretches = stretches.get_or_insert_with(|| opening::stretches(hierarchy));
        let mut by_stretch = BTreeMap::new();
        let nobody = Arc::new(Debtors::none());
        let owing = periods.iter().map(|period| {
            if !regime.asks_for(*period) {
                return nobody.clone();
            }
            let cut_off = regime.window(*period).cut_off;
            let stretch = stretches.range(..=cut_off).next_back();
            let found = || Arc::new(Debtors::on(regime, cut_off, *today, hierarchy));
            by_stretch.entry(stretch).or_insert_with(found).clone()
        });
        owing.collect()
    }
}

/// The hierarchy of now, and the one of the last look where that was another.
struct Looks {
    now: Look,
    before: Option<Look>,
}

/// Who owes a period, and who did by the hierarchy of the last look.
struct Owing {
    period: Period,
    debtors: Arc<Debtors>,
    before: Option<Arc<Debtors>>,
}

impl Looks {
    fn owing(&mut self, regime: &Regime, periods: &BTreeSet<Period>) -> Vec<Owing> {
        let now = self.now.owing(regime, periods);
        let before: Vec<_> = match &mut self.before {
            Some(before) => before.owing(regime, periods).into_iter().map(Some).collect(),
            None => vec![None; periods.len()],
        };
        let both = now.into_iter().zip(before);
        let both = periods.iter().copied().zip(both);
        both.map(|(period, (debtors, before))| Owing { period, debtors, before }).collect()
    }
}

/// What an event says of a report. One that does not read is of a contract that this program does not know; it is logged,
/// and does not hold up the others.
fn evidence(event: &Event) -> Option<(ObligationName, Uuid, Evidence)> {
    let said = match event.payload.as_ref()? {
        Payload::ReportSubmitted(said) => {
            let time = instant(said.receive_time.as_ref());
            read(&said.report, &said.regime, &said.period).zip(time).map(
                |((name, report), time)| {
                    let receipt = Some(Receipt { report, time });
                    (
                        name,
                        report,
                        Evidence { sequence: sequence(said.sequence), receipt, returned: None },
                    )
                },
            )
        }
        Payload::ReportWithdrawn(said) => {
            let read = read(&said.report, &said.regime, &said.period);
            read.map(|(name, report)| {
                let sequence = sequence(said.sequence);
                (name, report, Evidence { sequence, receipt: None, returned: None })
            })
        }
        Payload::ReportReturned(said) => {
            let first = instant(said.receive_time.as_ref());
            let times =
                instant(said.return_time.as_ref()).zip(instant(said.return_due_time.as_ref()));
            let read = read(&said.report, &said.regime, &said.period);
            read.zip(first).zip(times).map(|(((name, report), time), (at, due))| {
                let receipt = Some(Receipt { report, time });
                let returned = Some(Returned { time: at, due });
                (name, report, Evidence { sequence: sequence(said.sequence), receipt, returned })
            })
        }
        _ => return None,
    };
    if said.is_none() {
        tracing::error!(event_id = event.event_id, "an event does not read");
    }
    said
}

fn read(report: &str, regime: &str, period: &str) -> Option<(ObligationName, Uuid)> {
    let (unit, report) = report.split_once("/reports/")?;
    let name = ObligationName {
        unit: unit.parse().ok()?,
        regime: regime.parse().ok()?,
        period: period.parse().ok()?,
    };
    Some((name, report.parse().ok()?))
}

/// A submission of before reports had sequences gives none: that is the first thing said of a report.
fn sequence(given: i64) -> i64 {
    given.max(1)
}

fn instant(value: Option<&prost_types::Timestamp>) -> Option<DateTime<Utc>> {
    field::instant("time", value).ok().flatten()
}
