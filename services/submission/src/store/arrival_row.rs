//! The table `arrival`, and which report is matched with which of its rows.
//!
//! A match stands twice: with the report, which is then handed over by it, and with the arrival. Both are written in the
//! transaction that makes them so: the one that notes the arrival, or the one that writes a report with another document.
//! Whoever does either takes the turn of the document first, so that of two at once one sees what the other wrote.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::NaiveDate;
use dunghan_hierarchy::UnitId;
use dunghan_store::{Write, rows_per_insert};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, DbBackend, QueryOrder as _, QuerySelect as _,
    Statement,
};
use serde::{Deserialize, Serialize};

use super::report_row::{self, arrived, evidence, time, units};
use super::{Error, Store};
use crate::domain::arrival::{
    Arrival, ArrivalEntry, ArrivalName, Awaited, DocumentKey, Incoming, Match, Matches, Voiding,
    matched, rests_on,
};
use crate::domain::report::{Arrived, Receipt, Report, ReportName};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "arrival")]
pub(super) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub recipient_id: Uuid,
    pub arrival_year: i32,
    pub arrival_number: String,
    pub arrival_us: i64,
    pub sender_code: String,
    pub sender_id: Uuid,
    pub document_number: String,
    pub document_symbol: String,
    pub document_date: NaiveDate,
    pub document_key: Uuid,
    pub author: String,
    pub record_us: i64,
    pub report_id: Option<Uuid>,
    pub ambiguous: bool,
    pub void_us: Option<i64>,
    pub voider: Option<String>,
    pub void_reason: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(super) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The most keys of one query.
const IN_LIST: usize = 500;

/// Where an arrival stands in a list: the last comes first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivalKey {
    arrival_us: i64,
    arrival_number: String,
    id: Uuid,
}

impl ArrivalKey {
    /// Of an arrival.
    pub fn of(arrival: &Arrival) -> Self {
        let arrival_us = arrival.at.timestamp_micros();
        Self { arrival_us, arrival_number: arrival.number.clone(), id: arrival.id }
    }
}

/// An arrival, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedArrival {
    /// What was noted.
    pub arrival: Arrival,
    /// The report that it is matched with.
    pub report: Option<ReportName>,
    /// That report was received when this arrived.
    pub fixed: bool,
    /// There are reports with this document, and it cannot be said which it is.
    pub ambiguous: bool,
}

/// What came of noting arrivals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noted {
    /// All are noted; so many were before.
    All {
        /// How many.
        unchanged: usize,
    },
    /// Nothing is: these, by their places among them, are noted otherwise, in the field that is named.
    Differ(Vec<(usize, &'static str)>),
}

fn active(arrival: &Arrival, document: &DocumentKey) -> ActiveModel {
    let ArrivalEntry { recipient, year, number } = arrival.entry();
    ActiveModel {
        id: Set(arrival.id),
        recipient_id: Set(recipient.uuid()),
        arrival_year: Set(year),
        arrival_number: Set(number),
        arrival_us: Set(arrival.at.timestamp_micros()),
        sender_code: Set(arrival.sender_code.clone()),
        sender_id: Set(arrival.sender.uuid()),
        document_number: Set(arrival.document_number.clone()),
        document_symbol: Set(arrival.document_symbol.clone()),
        document_date: Set(arrival.document_date),
        document_key: Set(document.sent_by(arrival.sender)),
        author: Set(arrival.author.clone()),
        record_us: Set(arrival.recorded.timestamp_micros()),
        report_id: Set(None),
        ambiguous: Set(false),
        void_us: Set(None),
        voider: Set(None),
        void_reason: Set(None),
    }
}

fn arrival(row: Model) -> Result<Arrival, Error> {
    let voided = row.void_us.map(|us| {
        let (author, reason) =
            (row.voider.unwrap_or_default(), row.void_reason.unwrap_or_default());
        Ok::<_, Error>(Voiding { at: time(us)?, author, reason })
    });
    Ok(Arrival {
        id: row.id,
        recipient: UnitId::from_uuid(row.recipient_id),
        number: row.arrival_number,
        at: time(row.arrival_us)?,
        sender_code: row.sender_code,
        sender: UnitId::from_uuid(row.sender_id),
        document_number: row.document_number,
        document_symbol: row.document_symbol,
        document_date: row.document_date,
        author: row.author,
        recorded: time(row.record_us)?,
        voided: voided.transpose()?,
    })
}

/// Waits until nobody else matches documents of these turns.
///
/// On SQLite there is one writer anyway. They are taken in their order, before any row is locked: nobody waits in a circle.
pub(super) async fn take_turns(write: &Write<'_>, turns: &BTreeSet<u8>) -> Result<(), DbErr> {
    if write.get_database_backend() == DbBackend::Postgres {
        for turn in turns {
            let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
            let turn = format!("dunghan/submission/document/{turn}");
            let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [turn.into()]);
            write.execute_raw(statement).await?;
        }
    }
    Ok(())
}

/// The documents that some reports have, had or are to have.
#[derive(Clone, Debug, Default)]
pub(super) struct Documents {
    turns: BTreeSet<u8>,
    keys: BTreeSet<Uuid>,
}

impl Documents {
    pub(super) fn of<'a>(reports: impl IntoIterator<Item = &'a Report>) -> Self {
        let mut documents = Self::default();
        for report in reports {
            if let Some(key) = DocumentKey::of(&report.content.document) {
                let senders = [Some(report.name.unit), report.content.submitting_unit];
                documents.turns.insert(key.turn());
                documents.keys.extend(senders.into_iter().flatten().map(|one| key.sent_by(one)));
            }
        }
        documents
    }

    pub(super) fn turns(&self) -> &BTreeSet<u8> {
        &self.turns
    }
}

/// Reports and arrivals that have to do with some documents, whole as [`matched`] wants them, and what stands of them.
#[derive(Default)]
struct Known {
    arrivals: Vec<(Incoming, bool)>,
    reports: BTreeMap<Uuid, Awaited>,
    /// The arrivals that these reports are matched with so far.
    shown: HashMap<Uuid, Option<Arrived>>,
}

impl Known {
    /// Where `locked`, a transaction reads the reports in order to write: what they are received by must not change meanwhile.
    async fn of(
        connection: &impl ConnectionTrait,
        keys: &BTreeSet<Uuid>,
        locked: bool,
    ) -> Result<Self, Error> {
        let mut known = Self::default();
        let (mut seen, mut next) = (BTreeSet::new(), keys.clone());
        // A report that an agency hands over has the document of two senders; mostly this goes round once.
        while !next.is_empty() {
            let found = reports(connection, &next, locked).await?;
            seen.append(&mut next);
            for (awaited, arrived) in found {
                next.extend(awaited.keys.iter().flatten().filter(|key| !seen.contains(*key)));
                known.shown.insert(awaited.report, arrived);
                known.reports.insert(awaited.report, awaited);
            }
        }
        let seen: Vec<Uuid> = seen.into_iter().collect();
        for keys in seen.chunks(IN_LIST) {
            let rows = Entity::find()
                .filter(Column::DocumentKey.is_in(keys.iter().copied()))
                .filter(Column::VoidUs.is_null())
                .all(connection)
                .await?;
            for row in rows {
                let entry = ArrivalEntry {
                    recipient: UnitId::from_uuid(row.recipient_id),
                    year: row.arrival_year,
                    number: row.arrival_number,
                };
                let at = time(row.arrival_us)?;
                let (key, report) = (row.document_key, row.report_id);
                known.arrivals.push((Incoming { entry, at, key, report }, row.ambiguous));
            }
        }
        known.also_matched(connection, locked).await?;
        Ok(known)
    }

    /// Reports that are matched with one of these arrivals and have another document by now: they are asked only whether they
    /// were received by it.
    async fn also_matched(
        &mut self,
        connection: &impl ConnectionTrait,
        locked: bool,
    ) -> Result<(), Error> {
        let matched = self.arrivals.iter().filter_map(|(arrival, _)| arrival.report);
        let others: BTreeSet<Uuid> =
            matched.filter(|report| !self.reports.contains_key(report)).collect();
        let others: Vec<Uuid> = others.into_iter().collect();
        for ids in others.chunks(IN_LIST) {
            let which = Condition::all().add(report_row::Column::Id.is_in(ids.to_vec()));
            for (report, _) in awaited(connection, which, locked).await? {
                self.reports.insert(report.report, Awaited { keys: [None, None], ..report });
            }
        }
        Ok(())
    }

    /// Reports that were just written without a document that can be told from others: they lose the arrival that they had.
    async fn also_written(
        &mut self,
        write: &Write<'_>,
        written: &[Written<'_>],
    ) -> Result<(), Error> {
        let ids = written.iter().map(|one| one.report.name.report);
        let others: Vec<Uuid> = ids.filter(|report| !self.shown.contains_key(report)).collect();
        for ids in others.chunks(IN_LIST) {
            let which = Condition::all().add(report_row::Column::Id.is_in(ids.to_vec()));
            for (report, shown) in awaited(&**write, which, true).await? {
                self.shown.insert(report.report, shown);
                self.reports.insert(report.report, report);
            }
        }
        Ok(())
    }

    fn matches(&self) -> Matches {
        let arrivals: Vec<_> = self.arrivals.iter().map(|(arrival, _)| arrival.clone()).collect();
        let reports: Vec<_> = self.reports.values().cloned().collect();
        matched(&arrivals, &reports)
    }
}

/// Reports with one of these documents, each with the arrival that it is matched with.
async fn reports(
    connection: &impl ConnectionTrait,
    keys: &BTreeSet<Uuid>,
    locked: bool,
) -> Result<Vec<(Awaited, Option<Arrived>)>, Error> {
    use report_row::Column::{AgencyDocumentKey, DocumentKey};
    let keys: Vec<Uuid> = keys.iter().copied().collect();
    let mut found = Vec::new();
    for keys in keys.chunks(IN_LIST) {
        let of_unit = DocumentKey.is_in(keys.iter().copied());
        let of_agency = AgencyDocumentKey.is_in(keys.iter().copied());
        let which = Condition::any().add(of_unit).add(of_agency);
        found.extend(awaited(connection, which, locked).await?);
    }
    Ok(found)
}

async fn awaited(
    connection: &impl ConnectionTrait,
    which: Condition,
    locked: bool,
) -> Result<Vec<(Awaited, Option<Arrived>)>, Error> {
    use report_row::Column;
    type Row = (
        Uuid,
        Option<Uuid>,
        Option<Uuid>,
        String,
        Option<i64>,
        Option<String>,
        Option<String>,
        Option<i64>,
    );
    let query = report_row::Entity::find()
        .select_only()
        .columns([Column::Id, Column::DocumentKey, Column::AgencyDocumentKey, Column::Receivers])
        .columns([Column::ReceiveUs, Column::ReceiptEvidence])
        .columns([Column::ArrivalNumber, Column::ArrivalUs])
        .filter(which)
        .order_by_asc(Column::Id);
    let query = if locked { query.lock_exclusive() } else { query };
    let rows: Vec<Row> = query.into_tuple().all(connection).await?;
    rows.into_iter()
        .map(|(report, key, agency_key, receivers, us, grounds, number, arrival_us)| {
            let receipt = |us| {
                Ok::<_, Error>(Receipt { at: time(us)?, evidence: evidence(grounds.as_deref())? })
            };
            let awaited = Awaited {
                report,
                keys: [key, agency_key],
                receivers: units(&receivers)?,
                first: us.map(receipt).transpose()?,
            };
            Ok((awaited, arrived(number, arrival_us)?))
        })
        .collect()
}

/// Matches the reports and arrivals of some documents anew, and gives the arrivals of the reports.
async fn rematch(
    write: &Write<'_>,
    keys: &BTreeSet<Uuid>,
    written: &[Written<'_>],
) -> Result<HashMap<Uuid, Arrived>, Error> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let mut known = Known::of(&**write, keys, true).await?;
    known.also_written(write, written).await?;
    for Written { report, before } in written {
        if let Some(awaited) = known.reports.get_mut(&report.name.report) {
            awaited.first = before.and_then(Report::first).cloned();
        }
    }
    let matches = known.matches();
    for ((arrival, was_ambiguous), now) in known.arrivals.iter().zip(&matches.arrivals) {
        let (report, ambiguous) = match now {
            Match::None => (None, false),
            Match::Report(report) => (Some(*report), false),
            Match::Ambiguous => (None, true),
        };
        if (arrival.report, *was_ambiguous) != (report, ambiguous) {
            let row = ActiveModel {
                report_id: Set(report),
                ambiguous: Set(ambiguous),
                ..Default::default()
            };
            Entity::update_many().set(row).filter(standing(&arrival.entry)).exec(&**write).await?;
        }
    }
    let mut changed: Vec<_> = known
        .shown
        .iter()
        .filter(|(report, shown)| matches.reports.get(report) != shown.as_ref())
        .collect();
    changed.sort_unstable_by_key(|(report, _)| **report);
    for (report, _) in changed {
        let arrived = matches.reports.get(report);
        let row = report_row::ActiveModel {
            arrival_number: Set(arrived.map(|arrived| arrived.number.clone())),
            arrival_us: Set(arrived.map(|arrived| arrived.at.timestamp_micros())),
            ..Default::default()
        };
        report_row::Entity::update_many()
            .set(row)
            .filter(report_row::Column::Id.eq(*report))
            .exec(&**write)
            .await?;
    }
    Ok(matches.reports)
}

fn standing(entry: &ArrivalEntry) -> Condition {
    Condition::all()
        .add(Column::RecipientId.eq(entry.recipient.uuid()))
        .add(Column::ArrivalYear.eq(entry.year))
        .add(Column::ArrivalNumber.eq(entry.number.as_str()))
        .add(Column::VoidUs.is_null())
}

/// The report that was received when this arrived, if one was. Locks the one that it is matched with.
async fn resting_on(write: &Write<'_>, row: &Model) -> Result<Option<ReportName>, Error> {
    use report_row::Column::{Id, ReceiptEvidence, ReceiveUs, UnitId as Unit};
    let Some(report) = row.report_id else { return Ok(None) };
    let found: Option<(Uuid, Option<i64>, Option<String>)> = report_row::Entity::find()
        .select_only()
        .columns([Unit, ReceiveUs, ReceiptEvidence])
        .filter(Id.eq(report))
        .lock_exclusive()
        .into_tuple()
        .one(&**write)
        .await?;
    let Some((unit, Some(us), grounds)) = found else { return Ok(None) };
    let first = Receipt { at: time(us)?, evidence: evidence(grounds.as_deref())? };
    let rests = rests_on(&first, &row.arrival_number, time(row.arrival_us)?);
    Ok(rests.then_some(ReportName { unit: UnitId::from_uuid(unit), report }))
}

/// A report that was just written with another document than before.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) report: &'a Report,
    /// What it was; none for a new one. By when that was received it is matched, as it was before it was handed over.
    pub(super) before: Option<&'a Report>,
}

impl<'a> Written<'a> {
    /// The documents that these have and had.
    pub(super) fn documents(written: &[Self]) -> Documents {
        Documents::of(written.iter().flat_map(|one| [Some(one.report), one.before]).flatten())
    }
}

/// Matches reports that were just written, and whoever has to do with their documents, whose turns are taken.
///
/// Errors: `Overtaken` where one of them is matched with another arrival than it says.
pub(super) async fn settle(
    write: &Write<'_>,
    documents: &Documents,
    written: &[Written<'_>],
) -> Result<(), Error> {
    let arrived = rematch(write, &documents.keys, written).await?;
    let same =
        |one: &Written<'_>| arrived.get(&one.report.name.report) == one.report.arrival.as_ref();
    if written.iter().all(same) { Ok(()) } else { Err(Error::Overtaken) }
}

async fn insert(write: &Write<'_>, arrivals: &[Arrival]) -> Result<Noted, Error> {
    let mut known: HashMap<ArrivalEntry, Model> = HashMap::new();
    let numbers: Vec<_> = arrivals.iter().map(|arrival| arrival.number.as_str()).collect();
    let Some(recipient) = arrivals.first().map(|arrival| arrival.recipient) else {
        return Ok(Noted::All { unchanged: 0 });
    };
    for numbers in numbers.chunks(IN_LIST) {
        for row in noted_as(&**write, recipient, numbers).await? {
            known.insert(arrival(row.clone())?.entry(), row);
        }
    }
    let (mut new, mut of_others) = (Vec::new(), Vec::new());
    let (mut differ, mut keys) = (Vec::new(), BTreeSet::new());
    for (at, again) in arrivals.iter().enumerate() {
        let document = again.document().ok_or_else(|| Error::Unreadable("no document".into()))?;
        let Some(row) = known.remove(&again.entry()) else {
            keys.insert(document.sent_by(again.sender));
            new.push(active(again, &document));
            continue;
        };
        if let Some(field) = again.differs_from(&arrival(row.clone())?) {
            differ.push((at, field));
        } else if row.sender_id != again.sender.uuid() {
            of_others.push((row, again.sender, document.sent_by(again.sender)));
        }
    }
    if !differ.is_empty() {
        return Ok(Noted::Differ(differ));
    }
    let mut unchanged = arrivals.len() - new.len();
    for rows in new.chunks(rows_per_insert(18)) {
        let nothing = OnConflict::new().do_nothing().to_owned();
        let written = Entity::insert_many(rows.to_vec())
            .on_conflict(nothing)
            .exec_without_returning(&**write)
            .await?;
        // Somebody else noted one of them meanwhile.
        if written != rows.len() as u64 {
            return Err(Error::Overtaken);
        }
    }
    // In one order, as their reports are locked.
    of_others.sort_unstable_by_key(|(row, ..)| row.report_id);
    for (row, sender, key) in of_others {
        if resting_on(write, &row).await?.is_some() {
            continue;
        }
        let (id, before) = (row.id, row.document_key);
        let row = ActiveModel {
            sender_id: Set(sender.uuid()),
            document_key: Set(key),
            ..Default::default()
        };
        Entity::update_many().set(row).filter(Column::Id.eq(id)).exec(&**write).await?;
        keys.extend([before, key]);
        unchanged -= 1;
    }
    rematch(write, &keys, &[]).await?;
    Ok(Noted::All { unchanged })
}

/// What stands at a recipient under these numbers, in whichever year.
async fn noted_as(
    connection: &impl ConnectionTrait,
    recipient: UnitId,
    numbers: &[&str],
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::RecipientId.eq(recipient.uuid()))
        .filter(Column::ArrivalNumber.is_in(numbers.iter().copied()))
        .filter(Column::VoidUs.is_null())
        .all(connection)
        .await
}

async fn fetch(
    connection: &impl ConnectionTrait,
    name: ArrivalName,
) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(name.id)
        .filter(Column::RecipientId.eq(name.recipient.uuid()))
        .one(connection)
        .await
}

impl Store {
    /// Notes what arrived at one recipient, each once: all or none.
    pub async fn arrivals_note(&self, arrivals: &[Arrival]) -> Result<Noted, Error> {
        let turns: BTreeSet<u8> =
            arrivals.iter().filter_map(|arrival| Some(arrival.document()?.turn())).collect();
        loop {
            let noted = self.database().write(async |write| {
                take_turns(write, &turns).await?;
                insert(write, arrivals).await
            });
            match noted.await {
                // What the other noted is there now, so it is not met again.
                Err(Error::Overtaken) => {}
                noted => return noted,
            }
        }
    }

    /// Declares an arrival void: from now on it is matched with nothing. One that is void already is answered as it is.
    ///
    /// Errors: `NoArrival`; `ArrivalFixed` where a receive time rests on it.
    pub async fn arrival_void(
        &self,
        name: ArrivalName,
        voiding: &Voiding,
    ) -> Result<NotedArrival, Error> {
        let turns = match fetch(self.database().reader(), name).await? {
            None => return Err(Error::NoArrival(name)),
            // No other document than this will it ever be.
            Some(row) => arrival(row)?.document().map(|document| document.turn()),
        };
        let turns: BTreeSet<u8> = turns.into_iter().collect();
        self.database()
            .write(async |write| {
                take_turns(write, &turns).await?;
                let row = fetch(&**write, name).await?.ok_or(Error::NoArrival(name))?;
                if row.void_us.is_some() {
                    return Ok(());
                }
                if let Some(report) = resting_on(write, &row).await? {
                    return Err(Error::ArrivalFixed(name, report));
                }
                let void = ActiveModel {
                    report_id: Set(None),
                    ambiguous: Set(false),
                    void_us: Set(Some(voiding.at.timestamp_micros())),
                    voider: Set(Some(voiding.author.clone())),
                    void_reason: Set(Some(voiding.reason.clone())),
                    ..Default::default()
                };
                Entity::update_many()
                    .set(void)
                    .filter(Column::Id.eq(name.id))
                    .exec(&**write)
                    .await?;
                // A report that has another document by now does not show it any more.
                let keys = BTreeSet::from([row.document_key]);
                rematch(write, &keys, &[]).await.map(drop)
            })
            .await?;
        let row = fetch(self.database().reader(), name).await?;
        let mut stand = self.stand(row.into_iter().collect()).await?;
        stand.pop().ok_or(Error::NoArrival(name))
    }

    /// What stands in these places, in their order; as far as something does.
    pub async fn arrivals_fetch(
        &self,
        recipient: UnitId,
        entries: &[ArrivalEntry],
    ) -> Result<Vec<NotedArrival>, Error> {
        let mut found = HashMap::new();
        for entries in entries.chunks(IN_LIST) {
            let numbers: Vec<_> = entries.iter().map(|entry| entry.number.as_str()).collect();
            let rows = noted_as(self.database().reader(), recipient, &numbers).await?;
            for one in self.stand(rows).await? {
                found.insert(one.arrival.entry(), one);
            }
        }
        Ok(entries.iter().filter_map(|entry| found.remove(entry)).collect())
    }

    /// Up to `limit` of what arrived at a recipient after a key, the last first.
    pub async fn arrival_page(
        &self,
        recipient: UnitId,
        unmatched_only: bool,
        after: Option<ArrivalKey>,
        limit: usize,
    ) -> Result<Vec<NotedArrival>, Error> {
        let mut found = Entity::find().filter(Column::RecipientId.eq(recipient.uuid()));
        if unmatched_only {
            found = found.filter(Column::ReportId.is_null()).filter(Column::VoidUs.is_null());
        }
        if let Some(ArrivalKey { arrival_us, arrival_number, id }) = after {
            let same_number = Condition::all()
                .add(Column::ArrivalNumber.eq(arrival_number.as_str()))
                .add(Column::Id.lt(id));
            let beside =
                Condition::any().add(Column::ArrivalNumber.lt(arrival_number)).add(same_number);
            let beside = Condition::all().add(Column::ArrivalUs.eq(arrival_us)).add(beside);
            found =
                found.filter(Condition::any().add(Column::ArrivalUs.lt(arrival_us)).add(beside));
        }
        let rows = found
            .order_by_desc(Column::ArrivalUs)
            .order_by_desc(Column::ArrivalNumber)
            .order_by_desc(Column::Id)
            .limit(u64::try_from(limit).unwrap_or(u64::MAX))
            .all(self.database().reader())
            .await?;
        self.stand(rows).await
    }

    /// The same arrivals, each with the report that it is matched with.
    async fn stand(&self, rows: Vec<Model>) -> Result<Vec<NotedArrival>, Error> {
        use report_row::Column::{Id, ReceiptEvidence, ReceiveUs, UnitId as Unit};
        let ids: HashSet<Uuid> = rows.iter().filter_map(|row| row.report_id).collect();
        let mut reports = HashMap::new();
        if !ids.is_empty() {
            let found: Vec<(Uuid, Uuid, Option<i64>, Option<String>)> = report_row::Entity::find()
                .select_only()
                .columns([Id, Unit, ReceiveUs, ReceiptEvidence])
                .filter(Id.is_in(ids))
                .into_tuple()
                .all(self.database().reader())
                .await?;
            for (report, unit, us, grounds) in found {
                let name = ReportName { unit: UnitId::from_uuid(unit), report };
                let receipt = |us| {
                    let evidence = evidence(grounds.as_deref())?;
                    Ok::<_, Error>(Receipt { at: time(us)?, evidence })
                };
                reports.insert(report, (name, us.map(receipt).transpose()?));
            }
        }
        rows.into_iter()
            .map(|row| {
                let ambiguous = row.ambiguous;
                let matched = row.report_id.and_then(|report| reports.get(&report));
                let arrival = arrival(row)?;
                let fixed = matched.is_some_and(|(_, first)| {
                    let by = |first: &Receipt| rests_on(first, &arrival.number, arrival.at);
                    first.as_ref().is_some_and(by)
                });
                let report = matched.map(|(name, _)| *name);
                Ok(NotedArrival { arrival, report, fixed, ambiguous })
            })
            .collect()
    }

    /// The arrivals that reports will be matched with once they are written all together, by their ids. Until then they are as
    /// they are, handed over or not.
    pub async fn arrivals_of(&self, planned: &[Awaited]) -> Result<HashMap<Uuid, Arrived>, Error> {
        let keys: BTreeSet<Uuid> =
            planned.iter().flat_map(|report| report.keys).flatten().collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let mut known = Known::of(self.database().reader(), &keys, false).await?;
        known.reports.extend(planned.iter().map(|report| (report.report, report.clone())));
        Ok(known.matches().reports)
    }
}
