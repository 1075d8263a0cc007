//! The table `calendar_amendment`.
#![expect(unreachable_pub, reason = "the entity derive makes all that it writes public")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use dunghan_calendar::OfficeHours;
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_store::{Answered, RequestKey, Write};
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, ConnectionTrait, QueryOrder as _, QuerySelect as _};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::dossier_move_row::DossierMoves;
use super::obligation_row::Moves;
use super::{Error, Store, from_us, unreadable, us};
use crate::domain::calendar::{
    Amendment, CalendarId, Calendars, Change, Moved, MovedDossiers, MovedDueTime, SaidDay,
};
use crate::domain::editions::as_of;

const TABLE: &str = "calendar_amendment";

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "calendar_amendment")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    pub unit_id: Option<Uuid>,
    pub content: String,
    pub legal_basis: String,
    pub reason: String,
    pub author: String,
    pub create_us: i64,
    pub version: String,
    pub moved: i64,
    pub no_longer_due: i64,
    pub moved_dossiers: i64,
    pub dossiers_no_longer_due: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What a row says in JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    days: Vec<SaidDay>,
    office_hours: Option<OfficeHours>,
    moved: Vec<MovedDueTime>,
}

impl Model {
    fn read(self) -> Result<Amendment, Error> {
        let content: Content = serde_json::from_str(&self.content).map_err(unreadable(TABLE))?;
        let calendar = self
            .unit_id
            .map_or(CalendarId::National, |unit| CalendarId::Of(UnitId::from_uuid(unit)));
        Ok(Amendment {
            number: self.number.cast_unsigned(),
            change: Change {
                calendar,
                days: content.days,
                office_hours: content.office_hours,
                legal_basis: self.legal_basis,
                reason: self.reason,
            },
            author: self.author,
            create_time: from_us(TABLE, self.create_us)?,
            version: self.version,
            moved: Moved {
                count: self.moved.cast_unsigned(),
                no_longer_due: self.no_longer_due.cast_unsigned(),
                due_times: content.moved,
            },
            dossiers: MovedDossiers {
                count: self.moved_dossiers.cast_unsigned(),
                no_longer_due: self.dossiers_no_longer_due.cast_unsigned(),
            },
        })
    }
}

fn row(amendment: &Amendment) -> Result<ActiveModel, Error> {
    let Amendment { change, moved, dossiers, .. } = amendment;
    let content = Content {
        days: change.days.clone(),
        office_hours: change.office_hours,
        moved: moved.due_times.clone(),
    };
    Ok(ActiveModel {
        number: Set(amendment.number.cast_signed()),
        unit_id: Set(match change.calendar {
            CalendarId::National => None,
            CalendarId::Of(unit) => Some(unit.uuid()),
        }),
        content: Set(serde_json::to_string(&content).map_err(unreadable(TABLE))?),
        legal_basis: Set(change.legal_basis.clone()),
        reason: Set(change.reason.clone()),
        author: Set(amendment.author.clone()),
        create_us: Set(us(amendment.create_time)),
        version: Set(amendment.version.clone()),
        moved: Set(moved.count.cast_signed()),
        no_longer_due: Set(moved.no_longer_due.cast_signed()),
        moved_dossiers: Set(dossiers.count.cast_signed()),
        dossiers_no_longer_due: Set(dossiers.no_longer_due.cast_signed()),
    })
}

/// An amendment that somebody asks for.
#[derive(Clone, Copy, Debug)]
pub struct Amending<'a> {
    /// What is to be said.
    pub change: &'a Change,
    /// Which calendar the caller has read; empty: whichever holds.
    pub etag: &'a str,
    /// Who amends.
    pub author: &'a str,
    /// When.
    pub at: DateTime<Utc>,
    /// Where the units of dossiers lie.
    pub hierarchy: &'a Hierarchy,
}

impl Amending<'_> {
    /// The calendars that come of it.
    async fn try_on(&self, calendars: Arc<Calendars>) -> Result<Calendars, Error> {
        let id = self.change.calendar;
        let etag = calendars.get(id).map(crate::domain::calendar::Calendar::etag);
        if !self.etag.is_empty() && etag.as_deref() != Some(self.etag) {
            return Err(Error::StaleCalendar(id));
        }
        let (change, at) = (self.change.clone(), self.at);
        // A thousand days may lie in as many years, and each of those is gone through.
        let tried = spawn_blocking(move || calendars.amended(&change, at)).await?;
        tried.map_err(Error::CalendarRefused)
    }

    fn amendment(&self, after: &Calendars, moves: &(Moves, DossierMoves)) -> Amendment {
        let version = after.get(self.change.calendar).map(|calendar| calendar.version());
        Amendment {
            number: after.amendment(),
            change: self.change.clone(),
            author: self.author.to_owned(),
            create_time: self.at,
            version: version.unwrap_or_default(),
            moved: moves.0.summary(),
            dossiers: moves.1.summary(),
        }
    }

    /// What moves where `after` are the calendars that come of it.
    async fn moves(
        &self,
        write: &Write<'_>,
        after: &Calendars,
    ) -> Result<(Moves, DossierMoves), Error> {
        let Amending { change, at, hierarchy, .. } = *self;
        let moves = Store::moves(write, change, after, at).await?;
        Ok((moves, Store::dossier_moves(write, change, after, hierarchy, at).await?))
    }
}

async fn newest(
    connection: &impl ConnectionTrait,
    known: Arc<Calendars>,
) -> Result<Arc<Calendars>, Error> {
    let last: Option<Option<i64>> = Entity::find()
        .select_only()
        .column_as(Column::Number.max(), "number")
        .into_tuple()
        .one(connection)
        .await?;
    // The numbers are given in turn: what is counted is committed, and so is all before it.
    if last.flatten().unwrap_or(0).cast_unsigned() <= known.amendment() {
        return Ok(known);
    }
    let rows = Entity::find()
        .filter(Column::Number.gt(known.amendment().cast_signed()))
        .order_by_asc(Column::Number)
        .all(connection)
        .await?;
    let amendments = rows.into_iter().map(Model::read).collect::<Result<Vec<_>, _>>()?;
    let amended = move || {
        let known = Calendars::clone(&known);
        amendments.iter().try_fold(known, |calendars, amendment| calendars.after(amendment))
    };
    Ok(Arc::new(spawn_blocking(amended).await?.map_err(unreadable(TABLE))?))
}

impl Store {
    /// The calendars as of the last amendment, where `known` are those as of an earlier one.
    pub async fn calendars_newest(&self, known: Arc<Calendars>) -> Result<Arc<Calendars>, Error> {
        newest(self.database.reader(), known).await
    }

    /// The same within a transaction that holds the turn to write obligations, or dossiers of a unit: no amendment comes between it and the end of
    /// the transaction. Whoever computes a due time in order to write it takes the calendars from here.
    pub async fn calendars_locked(
        write: &Write<'_>,
        known: &Arc<Calendars>,
    ) -> Result<Arc<Calendars>, Error> {
        newest(&**write, known.clone()).await
    }

    /// The calendars as of each of these amendments, where `first` are those before any.
    pub async fn calendars_after(
        &self,
        first: Arc<Calendars>,
        wanted: BTreeSet<u64>,
    ) -> Result<BTreeMap<u64, Arc<Calendars>>, Error> {
        let Some(last) = wanted.last() else { return Ok(BTreeMap::new()) };
        let amendments = self.calendar_amendments(Some(*last), None).await?;
        let folded = spawn_blocking(move || as_of(first, &amendments, &wanted)).await?;
        folded.map_err(unreadable(TABLE))
    }

    /// The calendars as of the amendments made by a moment, up to that number where one is given; `first` are those before any.
    pub async fn calendars_at(
        &self,
        first: Arc<Calendars>,
        through: Option<u64>,
        by: DateTime<Utc>,
    ) -> Result<Arc<Calendars>, Error> {
        let amendments = self.calendar_amendments(through, Some(by)).await?;
        let Some(last) = amendments.last().map(|last| last.number) else { return Ok(first) };
        let wanted = BTreeSet::from([last]);
        let folded = spawn_blocking(move || as_of(first, &amendments, &wanted)).await?;
        let found = folded.map_err(unreadable(TABLE))?.remove(&last);
        found.ok_or_else(|| unreadable(TABLE)(format!("no amendment {last}")))
    }

    /// The amendments of all calendars up to a number and by a moment, the first first.
    async fn calendar_amendments(
        &self,
        through: Option<u64>,
        by: Option<DateTime<Utc>>,
    ) -> Result<Vec<Amendment>, Error> {
        let mut query = Entity::find().order_by_asc(Column::Number);
        if let Some(through) = through {
            query = query.filter(Column::Number.lte(through.cast_signed()));
        }
        if let Some(by) = by {
            query = query.filter(Column::CreateUs.lte(us(by)));
        }
        query.all(self.database.reader()).await?.into_iter().map(Model::read).collect()
    }

    /// The amendments of these numbers.
    pub(super) async fn calendar_amendments_of(
        &self,
        numbers: Vec<i64>,
    ) -> Result<Vec<Amendment>, Error> {
        let rows = Entity::find().filter(Column::Number.is_in(numbers));
        rows.all(self.database.reader()).await?.into_iter().map(Model::read).collect()
    }

    /// What an amendment would move.
    pub async fn calendar_preview(
        &self,
        known: Arc<Calendars>,
        amending: Amending<'_>,
    ) -> Result<Amendment, Error> {
        self.database
            .write(async |write| {
                let after = amending.try_on(newest(&**write, known.clone()).await?).await?;
                Ok(amending.amendment(&after, &amending.moves(write, &after).await?))
            })
            .await
    }

    /// Amends a calendar, and moves the due times that follow from it, in one transaction; or gives what was answered to
    /// the same request before.
    pub async fn calendar_amend(
        &self,
        known: Arc<Calendars>,
        amending: Amending<'_>,
        request: Option<&RequestKey>,
        answer: impl Fn(&Amendment) -> pb::CalendarAmendment,
    ) -> Result<pb::CalendarAmendment, Error> {
        self.database
            .write(async |write| {
                Self::obligation_turn(write).await?;
                Self::all_dossiers_turn(write).await?;
                if let Some(request) = request {
                    match write.answered(request).await? {
                        Answered::Yes(before) => return Ok(before),
                        Answered::Reused => return Err(Error::RequestIdReused),
                        Answered::No => {}
                    }
                }
                let after = amending.try_on(newest(&**write, known.clone()).await?).await?;
                let moves = amending.moves(write, &after).await?;
                let amendment = amending.amendment(&after, &moves);
                Self::move_all(write, &moves.0, &amendment).await?;
                Self::dossier_move_all(write, &moves.1, &amendment).await?;
                Entity::insert(row(&amendment)?).exec_without_returning(&**write).await?;
                let answer = answer(&amendment);
                if let Some(request) = request {
                    write.answer(request, &answer, amending.at).await?;
                }
                Ok(answer)
            })
            .await
    }

    /// `limit` amendments before one, the last first; of one calendar, or of all.
    pub async fn calendar_amendment_page(
        &self,
        calendar: Option<CalendarId>,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<Amendment>, Error> {
        let mut query = Entity::find().order_by_desc(Column::Number).limit(limit);
        query = match calendar {
            None => query,
            Some(CalendarId::National) => query.filter(Column::UnitId.is_null()),
            Some(CalendarId::Of(unit)) => query.filter(Column::UnitId.eq(unit.uuid())),
        };
        if let Some(before) = before {
            query = query.filter(Column::Number.lt(before));
        }
        query.all(self.database.reader()).await?.into_iter().map(Model::read).collect()
    }
}
