//! Due times that an amended calendar moves: whole groups of obligations at once.
//!
//! Obligations of one regime, period, tier, level and area that are due alike move alike: one of them is moved by the domain,
//! and the others by one statement. What decisions speak of is moved by the domain one by one.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike as _, Utc};
use dunghan_calendar::zone;
use dunghan_hierarchy::UnitId;
use dunghan_store::Write;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, Func, Query, SimpleExpr};
use sea_orm::{ConnectionTrait, FromQueryResult, QuerySelect as _};

use super::obligation::{Column as C, Entity};
use super::{IN_LIST, TABLE, TURN, Within, within};
use crate::domain::calendar::{Amendment, CalendarId, Calendars, Change, Moved, MovedDueTime};
use crate::domain::decision::{Decision, Extent, Outcome};
use crate::domain::due_change::{Cause, DueChange};
use crate::domain::obligation::{Obligation, ObligationName};
use crate::domain::regime::RegimeId;
use crate::domain::reprojection::{is_movable, reproject};
use crate::store::due_change_row::{self, cause};
use crate::store::{Error, Store, from_us, take_turns, unreadable, us};

/// Obligations that are due alike and that no extension holds.
#[derive(Clone, Debug, FromQueryResult)]
struct Group {
    regime: String,
    period: String,
    tier: i16,
    level: String,
    area_id: Option<Uuid>,
    original_due_us: Option<i64>,
    due_us: Option<i64>,
    tell_us: Option<i64>,
    units: i64,
    /// How many of them were told as missing by that due time.
    told: i64,
}

/// What becomes of a group, or of those of several areas that move alike.
#[derive(Debug)]
struct GroupMove {
    group: Group,
    areas: Vec<Option<Uuid>>,
    /// One of it, before and after.
    before: Obligation,
    after: Obligation,
}

/// What becomes of one obligation.
#[derive(Debug)]
struct SingleMove {
    before: Obligation,
    after: Obligation,
}

/// What an amendment moves.
#[derive(Debug)]
pub(in crate::store) struct Moves {
    groups: Vec<GroupMove>,
    singles: Vec<SingleMove>,
    at: DateTime<Utc>,
}

fn is(column: C, value: Option<i64>) -> SimpleExpr {
    value.map_or_else(|| column.is_null(), |value| column.eq(value))
}

/// As [`is_movable`].
fn movable(at: DateTime<Utc>) -> Condition {
    let owed = Condition::any().add(C::CloseUs.is_null()).add(C::CloseUs.gt(us(at)));
    Condition::all().add(C::ReceiveUs.is_null()).add(owed)
}

/// What a change of a calendar can reach: what is due, with its grace, before the year of the first day that it speaks of, was
/// counted without any of its days. A day can change what is computed of its year, and of no other.
fn within_reach(change: &Change, at: DateTime<Utc>) -> Condition {
    let movable = match change.calendar {
        CalendarId::National => movable(at),
        CalendarId::Of(area) => movable(at).add(C::AreaId.eq(area.uuid())),
    };
    let first = change.days.iter().map(|said| said.date).min();
    let year = first.and_then(|first| first.with_ordinal(1));
    match year.map(|year| us(zone::start_of(year))) {
        // Office hours alone make nothing due on another day.
        None => movable.add(Expr::value(false)),
        Some(year) => {
            movable.add(Condition::any().add(C::DueUs.gte(year)).add(C::TellUs.gte(year)))
        }
    }
}

impl Group {
    /// Its obligations and those like it in these areas, as long as nothing has moved them.
    fn condition(&self, areas: &[Option<Uuid>], at: DateTime<Utc>) -> Condition {
        let known = areas.iter().copied().flatten();
        let mut area = Condition::any().add(C::AreaId.is_in(known));
        if areas.contains(&None) {
            area = area.add(C::AreaId.is_null());
        }
        movable(at)
            .add(C::ExtensionId.is_null())
            .add(C::Regime.eq(self.regime.as_str()))
            .add(C::Period.eq(self.period.as_str()))
            .add(C::Tier.eq(self.tier))
            .add(C::Level.eq(self.level.as_str()))
            .add(area)
            .add(is(C::OriginalDueUs, self.original_due_us))
            .add(is(C::DueUs, self.due_us))
            .add(is(C::TellUs, self.tell_us))
    }

    /// One of them, as far as its due time depends on it.
    fn one(&self) -> Result<Obligation, Error> {
        let time = |us: Option<i64>| us.map(|us| from_us(TABLE, us)).transpose();
        let area = self.area_id.map(UnitId::from_uuid);
        Ok(Obligation {
            name: ObligationName {
                unit: area.unwrap_or_else(|| UnitId::from_uuid(Uuid::nil())),
                regime: RegimeId::new(&self.regime).map_err(unreadable(TABLE))?,
                period: self.period.parse().map_err(unreadable(TABLE))?,
            },
            tier: u8::try_from(self.tier).map_err(unreadable(TABLE))?,
            unit_code: String::new(),
            path: area.into_iter().collect(),
            level: self.level.parse().map_err(unreadable(TABLE))?,
            receiver: None,
            open_time: DateTime::UNIX_EPOCH,
            original_due: time(self.original_due_us)?,
            calendar_amendment: 0,
            due: time(self.due_us)?,
            due_generation: 1,
            tell: time(self.tell_us)?,
            extension: None,
            waived: None,
            receipt: None,
            returned: None,
            sequence: 0,
            closed: None,
            passed: None,
            abandoned: None,
            told: None,
            retracted: None,
            return_told: None,
            hierarchy_version: 0,
        })
    }
}

impl Moves {
    /// What is told of it.
    pub(in crate::store) fn summary(&self) -> Moved {
        let mut by_due = BTreeMap::<_, u64>::new();
        let mut moved = Moved::default();
        let groups = self.groups.iter().map(|one| (&one.before, &one.after, &one.group));
        let groups = groups.map(|(before, after, group)| (before, after, group.units, group.told));
        let singles = self.singles.iter().map(|one| {
            let told = one.before.told == Some(one.before.due_generation);
            (&one.before, &one.after, 1, i64::from(told))
        });
        for (before, after, units, told) in groups.chain(singles) {
            if before.due_generation == after.due_generation {
                continue;
            }
            let units = units.unsigned_abs();
            moved.count += units;
            if after.due.is_none_or(|due| self.at < due) {
                moved.no_longer_due += told.unsigned_abs();
            }
            let key = (&before.name.regime, before.name.period.to_string(), before.due, after.due);
            let same = by_due.entry(key).or_default();
            *same += units;
        }
        moved.due_times = by_due
            .into_iter()
            .filter_map(|((regime, period, old, new), units)| {
                let (regime, period) = (regime.clone(), period.parse().ok()?);
                Some(MovedDueTime { regime, period, old, new, units })
            })
            .collect();
        moved
    }
}

impl Store {
    /// Waits for the turn to write obligations.
    pub(in crate::store) async fn obligation_turn(write: &Write<'_>) -> Result<(), DbErr> {
        take_turns(write, TURN).await
    }

    /// What a change of a calendar moves, where `calendars` are those that come of it.
    pub(in crate::store) async fn moves(
        write: &Write<'_>,
        change: &Change,
        calendars: &Calendars,
        at: DateTime<Utc>,
    ) -> Result<Moves, Error> {
        let regimes = Self::regimes_of(&**write).await?;
        let regimes: BTreeMap<_, _> = regimes.iter().map(|regime| (&regime.id, regime)).collect();
        let regime = |obligation: &Obligation| {
            let name = &obligation.name.regime;
            regimes.get(name).copied().ok_or_else(|| Error::UnknownRegime(name.clone()))
        };
        let mut groups = Vec::new();
        for group in groups_of(write, change, at).await? {
            let before = group.one()?;
            let mut after = before.clone();
            reproject(&mut after, regime(&before)?, calendars, &[]);
            groups.push(GroupMove { areas: vec![group.area_id], group, before, after });
        }
        groups.retain(|one| one.before != one.after);
        let mut groups = merged(groups);

        let extended = within_reach(change, at).add(C::ExtensionId.is_not_null());
        let mut single = BTreeMap::new();
        load(write, extended, &mut single).await?;
        let touched: Vec<_> =
            groups.iter().map(|one| &one.after).chain(single.values()).cloned().collect();
        let in_force = Self::decision_in_force(write, &touched).await?;
        let mut decided = BTreeSet::new();
        for (at_group, one) in groups.iter().enumerate() {
            for decision in in_force.iter().filter(|decision| may_take(decision, one)) {
                let mut rows = BTreeMap::new();
                for areas in one.areas.chunks(IN_LIST) {
                    let of_group = one.group.condition(areas, at).add(taken(decision));
                    load(write, of_group, &mut rows).await?;
                }
                decided.extend(rows.keys().map(|name| (at_group, name.clone())));
                single.append(&mut rows);
            }
        }
        for (at_group, name) in decided {
            let group = &mut groups[at_group].group;
            group.units -= 1;
            let told = single.get(&name).is_some_and(|one| one.told == Some(one.due_generation));
            group.told -= i64::from(told);
        }
        groups.retain(|one| one.group.units > 0);

        let mut singles = Vec::new();
        for before in single.into_values().filter(|one| is_movable(one, at)) {
            let mut after = before.clone();
            if reproject(&mut after, regime(&before)?, calendars, &in_force) {
                singles.push(SingleMove { before, after });
            }
        }
        Ok(Moves { groups, singles, at })
    }

    /// Moves them, within the transaction and the turn in which they were found.
    pub(in crate::store) async fn move_all(
        write: &Write<'_>,
        moves: &Moves,
        amendment: &Amendment,
    ) -> Result<(), Error> {
        let reference = amendment.name().to_string();
        let after: Vec<_> = moves.singles.iter().map(|one| one.after.clone()).collect();
        // First: what has moved is of no group any more.
        Self::obligation_save(write, &after).await?;
        let changes: Vec<_> = moves
            .singles
            .iter()
            .filter(|one| one.before.due_generation != one.after.due_generation)
            .map(|one| DueChange {
                name: one.before.name.clone(),
                due_generation: one.after.due_generation,
                old: one.before.due,
                new: one.after.due,
                cause: Cause::CalendarAmended,
                reference: reference.clone(),
                reason: amendment.change.reason.clone(),
                author: amendment.author.clone(),
                create_time: amendment.create_time,
            })
            .collect();
        Self::due_change_insert(write, &changes).await?;
        for one in &moves.groups {
            for areas in one.areas.chunks(IN_LIST) {
                let of_group = one.group.condition(areas, moves.at);
                if one.before.due_generation != one.after.due_generation {
                    write.execute(&note(one, amendment, &reference, of_group.clone())).await?;
                }
                let mut update = Entity::update_many();
                // Where the grace alone ends on another day, the due time is still of the amendment before.
                if one.before.original_due != one.after.original_due {
                    let amendment = one.after.calendar_amendment.cast_signed();
                    update = update.col_expr(C::CalendarAmendment, Expr::value(amendment));
                }
                update
                    .col_expr(C::OriginalDueUs, Expr::value(one.after.original_due.map(us)))
                    .col_expr(C::DueUs, Expr::value(one.after.due.map(us)))
                    .col_expr(C::TellUs, Expr::value(one.after.tell.map(us)))
                    .col_expr(C::DueGeneration, generation(one))
                    .col_expr(C::NextCheckUs, next_check(one))
                    .filter(of_group)
                    .exec(&**write)
                    .await?;
            }
        }
        Ok(())
    }
}

/// One move for the groups of all areas that move alike: an amendment of the nation's moves those of most provinces so, and a
/// statement for each would look through the whole period each time.
fn merged(groups: Vec<GroupMove>) -> Vec<GroupMove> {
    let mut merged: BTreeMap<_, GroupMove> = BTreeMap::new();
    for mut one in groups {
        let Group { regime, period, tier, level, .. } = one.group.clone();
        let times = |obligation: &Obligation| {
            (obligation.original_due, obligation.due, obligation.tell, obligation.due_generation)
        };
        let key = (regime, period, tier, level, times(&one.before), times(&one.after));
        match merged.get_mut(&key) {
            None => {
                merged.insert(key, one);
            }
            Some(like) => {
                like.areas.append(&mut one.areas);
                like.group.units += one.group.units;
                like.group.told += one.group.told;
            }
        }
    }
    merged.into_values().collect()
}

/// The due generation after the move.
fn generation(one: &GroupMove) -> SimpleExpr {
    let begun = one.after.due_generation - one.before.due_generation;
    Expr::col(C::DueGeneration).add(begun)
}

/// When a sweep has to look at it, as [`Obligation::task`] says of what nobody has submitted.
fn next_check(one: &GroupMove) -> SimpleExpr {
    let none = || Expr::value(None::<i64>);
    let Some(tell) = one.after.tell.map(us) else { return none() };
    let nothing_to_tell = Condition::any()
        .add(C::WaivedUs.is_not_null())
        .add(C::CloseUs.lte(tell))
        .add(Expr::col(C::ToldGeneration).eq(generation(one)));
    Expr::case(nothing_to_tell, none()).finally(tell).into()
}

/// The statement that notes what moves in a group, to be run before it is moved.
fn note(
    one: &GroupMove,
    amendment: &Amendment,
    reference: &str,
    of_group: Condition,
) -> sea_orm::sea_query::InsertStatement {
    use due_change_row::Column as D;
    let mut noted = Query::select();
    noted
        .from(Entity)
        .column(C::Regime)
        .column(C::Period)
        .column(C::UnitId)
        .expr(generation(one))
        .expr(Expr::value(one.before.due.map(us)))
        .expr(Expr::value(one.after.due.map(us)))
        .expr(Expr::value(cause(Cause::CalendarAmended)))
        .expr(Expr::value(reference))
        .expr(Expr::value(amendment.change.reason.as_str()))
        .expr(Expr::value(amendment.author.as_str()))
        .expr(Expr::value(us(amendment.create_time)))
        .cond_where(of_group);
    let mut insert = Query::insert();
    insert.into_table(due_change_row::Entity).columns([
        D::Regime,
        D::Period,
        D::UnitId,
        D::DueGeneration,
        D::OldUs,
        D::NewUs,
        D::Cause,
        D::Reference,
        D::Reason,
        D::Author,
        D::CreateUs,
    ]);
    // As many columns on both sides.
    let _ = insert.select_from(noted);
    insert
}

async fn groups_of(
    write: &Write<'_>,
    change: &Change,
    at: DateTime<Utc>,
) -> Result<Vec<Group>, Error> {
    let alike =
        [C::Regime, C::Period, C::Tier, C::Level, C::AreaId, C::OriginalDueUs, C::DueUs, C::TellUs];
    let told = Expr::col(C::ToldGeneration).eq(Expr::col(C::DueGeneration));
    let told = Func::sum(Expr::case(told, 1).finally(0));
    let mut query = Entity::find()
        .select_only()
        .columns(alike)
        .column_as(C::UnitId.count(), "units")
        .expr_as(told, "told")
        .filter(within_reach(change, at))
        .filter(C::ExtensionId.is_null());
    for column in alike {
        query = query.group_by(column);
    }
    Ok(query.into_model::<Group>().all(&**write).await?)
}

async fn load(
    write: &Write<'_>,
    condition: Condition,
    into: &mut BTreeMap<ObligationName, Obligation>,
) -> Result<(), Error> {
    for row in Entity::find().filter(condition).all(&**write).await? {
        let obligation = row.read()?;
        into.insert(obligation.name.clone(), obligation);
    }
    Ok(())
}

/// Whether a decision that left obligations of a group alone may take hold of them where they move.
fn may_take(decision: &Decision, one: &GroupMove) -> bool {
    let GroupMove { before, after, .. } = one;
    let regime = decision.regime.as_ref();
    before.original_due != after.original_due
        && decision.revoked.is_none()
        && regime.is_none_or(|regime| *regime == after.name.regime)
        && match decision.extent {
            Extent::Period(period) => period == after.name.period,
            Extent::Due { from, through } => after
                .original_due
                .and_then(|due| zone::civil_date(due).pred_opt())
                .is_some_and(|due| from <= due && due <= through),
        }
}

/// Those of whom a decision speaks, and that do not stand as it says already.
fn taken(decision: &Decision) -> Condition {
    let of = if decision.subtree {
        within(&Within::Subtree(decision.unit))
    } else {
        Condition::all().add(C::UnitId.eq(decision.unit.uuid()))
    };
    match decision.outcome {
        Outcome::Waiver => of.add(C::WaivedUs.is_null()),
        Outcome::Extension { .. } => of,
    }
}

/// That the due time of what is in a row of `due_change` is owed in a unit, or by what was below it on the cut-off day.
pub(in crate::store) fn changed_within(scope: UnitId) -> SimpleExpr {
    use due_change_row::{Column as D, Entity as Change};
    let mut owed = Query::select();
    owed.expr(Expr::value(1))
        .from(Entity)
        .and_where(Expr::col((Entity, C::Regime)).eq(Expr::col((Change, D::Regime))))
        .and_where(Expr::col((Entity, C::Period)).eq(Expr::col((Change, D::Period))))
        .and_where(Expr::col((Entity, C::UnitId)).eq(Expr::col((Change, D::UnitId))))
        .cond_where(within(&Within::Subtree(scope)));
    Expr::exists(owed)
}
