//! The table `dossier_due_change`: due times of dossiers that an amended calendar moved.
#![expect(unreachable_pub, reason = "the entity derive makes all that it writes public")]

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, Utc};
use dunghan_calendar::zone;
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_store::{Write, rows_per_insert};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Condition, OnConflict};
use sea_orm::{ActiveValue::Set, IntoActiveModel as _, QueryOrder as _, QuerySelect as _};

use super::dossier_row::{self, Column as D};
use super::{Error, Store, from_us, share_turn, take_turns, us};
use crate::domain::calendar::{Amendment, CalendarId, Calendars, Change, MovedDossiers, area};
use crate::domain::dossier::{Dossier, DossierDueChange, DossierName};

const TABLE: &str = "dossier_due_change";
/// The turn to write dossiers.
const DOSSIERS: &str = "dossiers";
/// Dossiers looked at together.
const PAGE: u64 = 5000;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dossier_due_change")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub unit_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub amendment: i64,
    pub old_us: i64,
    pub new_us: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A dossier whose due time moves.
#[derive(Debug)]
struct DossierMove {
    before: dossier_row::Model,
    new_us: i64,
}

/// What an amendment moves.
#[derive(Debug)]
pub(super) struct DossierMoves {
    moves: Vec<DossierMove>,
    at: DateTime<Utc>,
}

impl DossierMove {
    /// Whether it was told as overdue: nothing else takes what is pending off the sweep's list.
    fn told(&self) -> bool {
        self.before.next_check_us.is_none()
    }

    fn is_due(&self, at: DateTime<Utc>) -> bool {
        self.new_us <= us(at)
    }

    fn after(&self, at: DateTime<Utc>) -> dossier_row::Model {
        // What was told and is due all the same is not told again.
        let settled = self.told() && self.is_due(at);
        dossier_row::Model {
            due_us: self.new_us,
            next_check_us: Some(self.new_us).filter(|_| !settled),
            due_generation: self.before.due_generation + 1,
            ..self.before.clone()
        }
    }
}

impl DossierMoves {
    /// What is told of it.
    pub(super) fn summary(&self) -> MovedDossiers {
        let ahead = self.moves.iter().filter(|one| one.told() && !one.is_due(self.at));
        MovedDossiers { count: self.moves.len() as u64, no_longer_due: ahead.count() as u64 }
    }
}

/// What a change can reach: nobody has recorded it as resolved, and it is due in the year of the first day that the change speaks
/// of, or later. Terms in hours run by the office hours, so a change of those reaches all.
fn within_reach(change: &Change) -> Condition {
    let pending = Condition::all().add(D::RecordUs.is_null());
    let first = change.days.iter().map(|said| said.date).min();
    let year = first.and_then(|first| first.with_ordinal(1));
    match (change.office_hours, year) {
        (None, Some(year)) => pending.add(D::DueUs.gte(us(zone::start_of(year)))),
        _ => pending,
    }
}

impl Store {
    /// What a change of a calendar moves, where `calendars` are those that come of it: the due times of pending dossiers whose
    /// units lie in its area.
    pub(super) async fn dossier_moves(
        write: &Write<'_>,
        change: &Change,
        calendars: &Calendars,
        hierarchy: &Hierarchy,
        at: DateTime<Utc>,
    ) -> Result<DossierMoves, Error> {
        let mut moves = Vec::new();
        let mut last: Option<(Uuid, String)> = None;
        loop {
            let mut query = dossier_row::Entity::find()
                .filter(within_reach(change))
                .order_by_asc(D::UnitId)
                .order_by_asc(D::Number)
                .limit(PAGE);
            if let Some((unit, number)) = &last {
                let further = Condition::all().add(D::UnitId.eq(*unit)).add(D::Number.gt(number));
                query = query.filter(Condition::any().add(D::UnitId.gt(*unit)).add(further));
            }
            let rows = query.all(&**write).await?;
            last = rows.last().map(|row| (row.unit_id, row.number.clone()));
            for before in rows {
                let dossier: Dossier = before.clone().read()?;
                let day = zone::civil_date(dossier.receive_time);
                let area = area(dossier.name.unit, day, hierarchy);
                if change.calendar != CalendarId::National
                    && change.calendar != CalendarId::Of(area)
                {
                    continue;
                }
                let new_us = us(dossier.due_by(calendars.in_area(area)).time);
                if new_us != before.due_us {
                    moves.push(DossierMove { before, new_us });
                }
            }
            if last.is_none() {
                return Ok(DossierMoves { moves, at });
            }
        }
    }

    /// Moves them, within the transaction and the turn in which they were found.
    pub(super) async fn dossier_move_all(
        write: &Write<'_>,
        moves: &DossierMoves,
        amendment: &Amendment,
    ) -> Result<(), Error> {
        for chunk in moves.moves.chunks(rows_per_insert(dossier_row::COLUMNS)) {
            let moved = chunk.iter().map(|one| one.after(moves.at).into_active_model());
            let due = OnConflict::columns([D::UnitId, D::Number])
                .update_columns([D::DueUs, D::NextCheckUs, D::DueGeneration])
                .to_owned();
            dossier_row::Entity::insert_many(moved)
                .on_conflict(due)
                .exec_without_returning(&**write)
                .await?;
            let noted = chunk.iter().map(|one| ActiveModel {
                unit_id: Set(one.before.unit_id),
                number: Set(one.before.number.clone()),
                amendment: Set(amendment.number.cast_signed()),
                old_us: Set(one.before.due_us),
                new_us: Set(one.new_us),
            });
            Entity::insert_many(noted).exec_without_returning(&**write).await?;
        }
        Ok(())
    }

    /// Each time the due time of a dossier moved, the first first.
    pub async fn dossier_due_changes(
        &self,
        name: &DossierName,
    ) -> Result<Vec<DossierDueChange>, Error> {
        let rows = Entity::find()
            .filter(Column::UnitId.eq(name.unit.uuid()))
            .filter(Column::Number.eq(name.number.as_str()))
            .order_by_asc(Column::Amendment)
            .all(self.database.reader())
            .await?;
        let numbers = rows.iter().map(|row| row.amendment).collect();
        let amendments = self.calendar_amendments_of(numbers).await?;
        let mut amendments: BTreeMap<_, _> =
            amendments.into_iter().map(|one| (one.number.cast_signed(), one)).collect();
        let changes = rows.into_iter().filter_map(|row| {
            let amendment = amendments.remove(&row.amendment)?;
            Some((row, amendment))
        });
        changes
            .map(|(row, amendment)| {
                Ok(DossierDueChange {
                    old: from_us(TABLE, row.old_us)?,
                    new: from_us(TABLE, row.new_us)?,
                    amendment,
                })
            })
            .collect()
    }

    /// Waits until nobody else writes dossiers of the unit: what is read then stays so until the transaction ends. No calendar is
    /// amended meanwhile.
    pub async fn dossier_turn(write: &Write<'_>, unit: UnitId) -> Result<(), DbErr> {
        share_turn(write, DOSSIERS).await?;
        take_turns(write, &format!("{DOSSIERS}/{}", unit.uuid())).await
    }

    /// Waits until nobody writes dossiers of any unit.
    pub(super) async fn all_dossiers_turn(write: &Write<'_>) -> Result<(), DbErr> {
        take_turns(write, DOSSIERS).await
    }
}
