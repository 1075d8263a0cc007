//! The table `decision`.
#![expect(unreachable_pub, reason = "the entity derive makes all that it writes public")]

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::Period;
use dunghan_hierarchy::UnitId;
use dunghan_proto::compliance as pb;
use dunghan_store::{RequestKey, Write};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _};
use sea_orm::{ActiveValue::Set, ConnectionTrait, QueryOrder as _, QuerySelect as _};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::opening_row::opened;
use super::{Error, Store, answered, from_us, unreadable, us};
use crate::domain::calendar::Calendars;
use crate::domain::decision::{
    self, Decision, Effect, Extent, Outcome, Refusal, Revocation, Until,
};
use crate::domain::due_change::{Cause, DueChange};
use crate::domain::obligation::{Obligation, ObligationName};
use crate::domain::regime::{Regime, RegimeId};
use crate::domain::request::RequestName;

const TABLE: &str = "decision";

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "decision")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub unit_id: Uuid,
    pub subtree: bool,
    pub below_only: bool,
    pub regime: Option<String>,
    pub period: Option<String>,
    pub due_from: Option<NaiveDate>,
    pub due_through: Option<NaiveDate>,
    pub outcome: String,
    pub document: String,
    pub reason: String,
    pub author: String,
    pub create_us: i64,
    pub concerned: i64,
    pub request_id: Option<Uuid>,
    pub revoke_us: Option<i64>,
    pub revoker: Option<String>,
    pub revoke_document: Option<String>,
    pub revoke_reason: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Where a decision stands in the order of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionKey {
    create_us: i64,
    id: Uuid,
}

impl From<&Decision> for DecisionKey {
    fn from(decision: &Decision) -> Self {
        Self { create_us: us(decision.create_time), id: decision.id }
    }
}

/// Which decisions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// On these units.
    pub on: Vec<UnitId>,
    /// On these units and all below them.
    pub above: Vec<UnitId>,
    /// On one of these regimes, or on all; none: on any.
    pub regimes: Option<Vec<String>>,
    /// Those that are revoked too.
    pub revoked: bool,
}

/// Regimes by name.
pub type Regimes = HashMap<RegimeId, Regime>;

impl Model {
    fn read(self) -> Result<Decision, Error> {
        let bad = |what: &str| unreadable(TABLE)(format!("{} {what}", self.id));
        let regime = self.regime.as_deref().map(RegimeId::new).transpose();
        let regime = regime.map_err(unreadable(TABLE))?;
        let period = self.period.as_deref().map(str::parse::<Period>).transpose();
        let extent = match (period.map_err(unreadable(TABLE))?, self.due_from, self.due_through) {
            (Some(period), None, None) => Extent::Period(period),
            (None, Some(from), Some(through)) => Extent::Due { from, through },
            _ => return Err(bad("has neither a period nor a range of days")),
        };
        let unit = UnitId::from_uuid(self.unit_id);
        let request = match (self.request_id, &regime, extent) {
            (None, ..) => None,
            (Some(id), Some(regime), Extent::Period(period)) => {
                let obligation = ObligationName { unit, regime: regime.clone(), period };
                Some(RequestName { obligation, id })
            }
            _ => return Err(bad("answers a request and is not on its obligation")),
        };
        let revoked = match (self.revoke_us, self.revoker, self.revoke_document, self.revoke_reason)
        {
            (None, ..) => None,
            (Some(time), Some(author), Some(document), Some(reason)) => {
                Some(Revocation { time: from_us(TABLE, time)?, author, document, reason })
            }
            _ => return Err(unreadable(TABLE)("half a revocation")),
        };
        Ok(Decision {
            id: self.id,
            unit,
            subtree: self.subtree,
            below_only: self.below_only,
            regime,
            extent,
            outcome: serde_json::from_str(&self.outcome).map_err(unreadable(TABLE))?,
            document: self.document,
            reason: self.reason,
            author: self.author,
            create_time: from_us(TABLE, self.create_us)?,
            revoked,
            request,
            concerned: self.concerned.cast_unsigned(),
        })
    }
}

fn row(decision: &Decision) -> Result<ActiveModel, Error> {
    let (period, due_from, due_through) = match decision.extent {
        Extent::Period(period) => (Some(period.to_string()), None, None),
        Extent::Due { from, through } => (None, Some(from), Some(through)),
    };
    Ok(ActiveModel {
        id: Set(decision.id),
        unit_id: Set(decision.unit.uuid()),
        subtree: Set(decision.subtree),
        below_only: Set(decision.below_only),
        regime: Set(decision.regime.as_ref().map(|regime| regime.id().to_owned())),
        period: Set(period),
        due_from: Set(due_from),
        due_through: Set(due_through),
        outcome: Set(serde_json::to_string(&decision.outcome).map_err(unreadable(TABLE))?),
        document: Set(decision.document.clone()),
        reason: Set(decision.reason.clone()),
        author: Set(decision.author.clone()),
        create_us: Set(us(decision.create_time)),
        concerned: Set(decision.concerned.cast_signed()),
        request_id: Set(decision.request.as_ref().map(|request| request.id)),
        revoke_us: Set(None),
        revoker: Set(None),
        revoke_document: Set(None),
        revoke_reason: Set(None),
    })
}

/// The last first.
fn in_order(query: Select<Entity>) -> Select<Entity> {
    query.order_by_desc(Column::CreateUs).order_by_desc(Column::Id)
}

async fn read_all(
    query: Select<Entity>,
    connection: &impl ConnectionTrait,
) -> Result<Vec<Decision>, Error> {
    query.all(connection).await?.into_iter().map(Model::read).collect()
}

/// Those that may concern obligations of a regime and period: those on it, and those on days.
fn on(regime: &RegimeId, period: Period) -> Select<Entity> {
    let on_period = Condition::all()
        .add(Column::Period.eq(period.to_string()))
        .add(Column::Regime.eq(regime.id()));
    let of_regime =
        Condition::any().add(Column::Regime.eq(regime.id())).add(Column::Regime.is_null());
    let on_days = Condition::all().add(Column::Period.is_null()).add(of_regime);
    Entity::find().filter(Condition::any().add(on_period).add(on_days))
}

/// The regimes and periods of obligations, each once.
fn periods(obligations: &[Obligation]) -> BTreeSet<(RegimeId, Period)> {
    let names = obligations.iter().map(|obligation| &obligation.name);
    names.map(|name| (name.regime.clone(), name.period)).collect()
}

fn units<'a>(units: impl IntoIterator<Item = &'a UnitId>) -> impl Iterator<Item = Uuid> {
    units.into_iter().map(|unit| unit.uuid())
}

impl Store {
    /// Makes a decision, or gives what was answered to the same request before. `make` is given all that is stored of what it
    /// may concern, in all that is opened by then, and says what the decision does and what is answered. With `dry`, nothing is
    /// kept.
    ///
    /// Errors: what `make` refuses.
    pub async fn decision_make(
        &self,
        decision: &Decision,
        calendars: &Arc<Calendars>,
        key: Option<&RequestKey>,
        dry: bool,
        make: impl Fn(
            Vec<Obligation>,
            &Regimes,
            &Calendars,
        ) -> Result<(Decision, Effect, pb::Decision), Refusal>
        + Clone
        + Send
        + 'static,
    ) -> Result<pb::Decision, Error> {
        self.database
            .write(async |write| {
                if let Some(before) = answered(write, key).await? {
                    return Ok(before);
                }
                // What is opened or put in force at the same time comes before this, and is concerned, or finds it.
                Self::obligation_turn(write).await?;
                let calendars = Self::calendars_locked(write, calendars).await?;
                let of = decision.regime.as_ref();
                let regimes = Self::regimes_of(&**write).await?.into_iter();
                let regimes = regimes.filter(|regime| of.is_none_or(|of| *of == regime.id));
                let regimes: Regimes = regimes.map(|regime| (regime.id.clone(), regime)).collect();
                let mut periods = opened(write, regimes.keys()).await?;
                periods.retain(|(regime, period)| {
                    decision.reaches(&regimes[regime], *period, &calendars)
                });
                let (unit, subtree) = (decision.unit, decision.subtree);
                let candidates = Self::obligation_concerned(write, unit, subtree, &periods).await?;
                let make = make.clone();
                let made = spawn_blocking(move || make(candidates, &regimes, &calendars));
                let (decision, effect, answer) = made.await??;
                if !dry {
                    Self::decision_insert(write, &decision, &effect).await?;
                    if let Some(key) = key {
                        write.answer(key, &answer, decision.create_time).await?;
                    }
                }
                Ok(answer)
            })
            .await
    }

    /// Adds a decision with what it does. Whoever calls it holds the turn since before the obligations were read.
    pub(super) async fn decision_insert(
        write: &Write<'_>,
        decision: &Decision,
        effect: &Effect,
    ) -> Result<(), Error> {
        Entity::insert(row(decision)?).exec_without_returning(&**write).await?;
        Self::obligation_save(write, &effect.changed).await?;
        Self::due_change_insert(write, &effect.due_changes).await?;
        Ok(())
    }

    /// Revokes a decision, or gives what was answered to the same request before. `revoke` is given the decision, the
    /// obligations that it took hold of, and those in force that may concern them.
    ///
    /// Errors: there is no such decision, or what `revoke` refuses.
    pub async fn decision_revoke(
        &self,
        id: Uuid,
        calendars: &Arc<Calendars>,
        key: Option<&RequestKey>,
        revoke: impl Fn(
            &mut Decision,
            Vec<Obligation>,
            &[Decision],
            &Calendars,
        ) -> Result<(Effect, pb::Decision), Refusal>
        + Clone
        + Send
        + 'static,
    ) -> Result<pb::Decision, Error> {
        self.database
            .write(async |write| {
                if let Some(before) = answered(write, key).await? {
                    return Ok(before);
                }
                let held = Self::obligation_held(write, id).await?;
                let row = Entity::find_by_id(id).one(&**write).await?;
                let mut decision = row.ok_or(Refusal::UnknownDecision(id))?.read()?;
                let mut left = Self::decision_in_force(write, &held).await?;
                left.retain(|other| other.id != id);
                let calendars = Self::calendars_locked(write, calendars).await?;
                let revoke = revoke.clone();
                let revoked = spawn_blocking(move || {
                    let (effect, answer) = revoke(&mut decision, held, &left, &calendars)?;
                    Ok::<_, Refusal>((decision, effect, answer))
                });
                let (decision, effect, answer) = revoked.await??;
                let ended = decision.revoked.as_ref().ok_or(Refusal::UnknownDecision(id))?;
                let changed = Entity::update_many()
                    .col_expr(Column::RevokeUs, Expr::value(us(ended.time)))
                    .col_expr(Column::Revoker, Expr::value(ended.author.as_str()))
                    .col_expr(Column::RevokeDocument, Expr::value(ended.document.as_str()))
                    .col_expr(Column::RevokeReason, Expr::value(ended.reason.as_str()))
                    .filter(Column::Id.eq(id))
                    .filter(Column::RevokeUs.is_null())
                    .exec(&**write)
                    .await?;
                if changed.rows_affected == 0 {
                    return Err(Refusal::Revoked(id).into());
                }
                Self::obligation_save(write, &effect.changed).await?;
                Self::due_change_insert(write, &effect.due_changes).await?;
                if let Some(key) = key {
                    write.answer(key, &answer, ended.time).await?;
                }
                Ok(answer)
            })
            .await
    }

    /// The decisions in force that may concern one of these obligations.
    pub(super) async fn decision_in_force(
        write: &Write<'_>,
        obligations: &[Obligation],
    ) -> Result<Vec<Decision>, Error> {
        let mut found = HashMap::new();
        for (regime, period) in periods(obligations) {
            for decision in Self::decision_in_force_on(write, &regime, period).await? {
                found.insert(decision.id, decision);
            }
        }
        Ok(found.into_values().collect())
    }

    /// The decisions in force that may concern obligations of a regime and period: those on it, and those on days.
    pub(super) async fn decision_in_force_on(
        write: &Write<'_>,
        regime: &RegimeId,
        period: Period,
    ) -> Result<Vec<Decision>, Error> {
        read_all(on(regime, period).filter(Column::RevokeUs.is_null()), &**write).await
    }

    /// The same, outside of any transaction.
    pub async fn decisions_in_force(
        &self,
        regime: &RegimeId,
        period: Period,
    ) -> Result<Vec<Decision>, Error> {
        let query = on(regime, period).filter(Column::RevokeUs.is_null());
        read_all(query, self.database.reader()).await
    }

    /// Measures late reports that have just been learnt of by the extensions that were in force at their receipt and are
    /// revoked since: what was received in time stays so, however late it is known.
    pub(super) async fn decision_remeasure(
        write: &Write<'_>,
        calendars: &Arc<Calendars>,
        learnt: &mut [Obligation],
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let late = |obligation: &Obligation| {
            let received = obligation.receipt.map(|receipt| receipt.time);
            received.filter(|time| obligation.due.is_some_and(|due| due <= *time))
        };
        let of: Vec<_> = learnt.iter().filter(|one| late(one).is_some()).cloned().collect();
        let mut due_changes = Vec::new();
        for (regime, period) in periods(&of) {
            let decisions = read_all(on(&regime, period), &**write).await?;
            let ends = decisions.iter().filter_map(|one| Some(one.revoked.as_ref()?.time));
            let Some(last) = ends.max() else { continue };
            let rules = Self::regime_in_turn(write, &regime).await?;
            let calendars = Self::calendars_locked(write, calendars).await?;
            for obligation in learnt.iter_mut() {
                let of_period = (&obligation.name.regime, obligation.name.period);
                let in_time = late(obligation).is_some_and(|time| time < last);
                if of_period != (&regime, period) || !in_time {
                    continue;
                }
                let old = obligation.due;
                decision::apply(&decisions, obligation, &rules, &calendars);
                let held = decisions.iter().find(|one| obligation.extension == Some(one.id));
                if let (true, Some(held)) = (old != obligation.due, held) {
                    due_changes.push(DueChange {
                        name: obligation.name.clone(),
                        due_generation: obligation.due_generation,
                        old,
                        new: obligation.due,
                        cause: Cause::Extension,
                        reference: held.name(),
                        reason: held.reason.clone(),
                        author: held.author.clone(),
                        create_time: now,
                    });
                }
            }
        }
        Ok(Self::due_change_insert(write, &due_changes).await?)
    }

    /// One decision.
    ///
    /// Errors: there is none.
    pub async fn decision_fetch(&self, id: Uuid) -> Result<Decision, Error> {
        let row = Entity::find_by_id(id).one(self.database.reader()).await?;
        row.ok_or(Refusal::UnknownDecision(id))?.read()
    }

    /// `limit` decisions after one, the last first.
    pub async fn decision_page(
        &self,
        filter: &DecisionFilter,
        after: Option<DecisionKey>,
        limit: u64,
    ) -> Result<Vec<Decision>, Error> {
        let above = Condition::all()
            .add(Column::Subtree.eq(true))
            .add(Column::UnitId.is_in(units(&filter.above)));
        let on = Column::UnitId.is_in(units(&filter.on));
        let mut query = Entity::find().filter(Condition::any().add(on).add(above)).limit(limit);
        if let Some(regimes) = &filter.regimes {
            let named = Column::Regime.is_in(regimes.iter().map(String::as_str));
            query = query.filter(Condition::any().add(Column::Regime.is_null()).add(named));
        }
        if !filter.revoked {
            query = query.filter(Column::RevokeUs.is_null());
        }
        if let Some(after) = after {
            let row = Expr::tuple([Column::CreateUs, Column::Id].map(Expr::col).map(Into::into));
            let key = Expr::tuple([Expr::value(after.create_us), Expr::value(after.id)]);
            query = query.filter(row.lt(key));
        }
        read_all(in_order(query), self.database.reader()).await
    }

    /// How many decisions were made, and how many of them revoked, counted together: it only grows.
    pub async fn decision_count(&self) -> Result<u64, Error> {
        let counted: Option<(i64, i64)> = Entity::find()
            .select_only()
            .column_as(Column::Id.count(), "made")
            .column_as(Column::RevokeUs.count(), "revoked")
            .into_tuple()
            .one(self.database.reader())
            .await?;
        Ok(counted.map_or(0, |(made, revoked)| (made + revoked).cast_unsigned()))
    }

    /// Until when those of these decisions reach that are extensions.
    pub async fn extensions_until(
        &self,
        ids: BTreeSet<Uuid>,
    ) -> Result<HashMap<Uuid, Until>, Error> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let query = Entity::find().filter(Column::Id.is_in(ids));
        let found = read_all(query, self.database.reader()).await?.into_iter();
        let until = found.filter_map(|one| match one.outcome {
            Outcome::Extension { until, .. } => Some((one.id, until)),
            Outcome::Waiver => None,
        });
        Ok(until.collect())
    }

    /// The decisions in force on a unit, and those over the subtrees of units above it.
    pub async fn decisions_over(
        &self,
        unit: UnitId,
        above: &[UnitId],
    ) -> Result<Vec<Decision>, Error> {
        let over =
            Condition::all().add(Column::Subtree.eq(true)).add(Column::UnitId.is_in(units(above)));
        let query = Entity::find()
            .filter(Column::RevokeUs.is_null())
            .filter(Condition::any().add(Column::UnitId.eq(unit.uuid())).add(over));
        read_all(query, self.database.reader()).await
    }

    /// The decisions that concern an obligation or did so, revoked ones included, the first first. Those that found it
    /// submitted left it alone.
    ///
    /// Errors: nobody owes it.
    pub async fn decisions_about(&self, name: &ObligationName) -> Result<Vec<Decision>, Error> {
        let obligation = self.obligation_fetch(name).await?;
        let above = Condition::all()
            .add(Column::Subtree.eq(true))
            .add(Column::UnitId.is_in(units(&obligation.path)));
        let on_unit = Condition::any().add(Column::UnitId.eq(name.unit.uuid())).add(above);
        let query = in_order(on(&name.regime, name.period).filter(on_unit));
        let mut found = read_all(query, self.database.reader()).await?;
        // What moved its due time concerned it, though an amended calendar may have moved that out of the range since.
        let moved = self.due_change_all(name).await?;
        let received = obligation.receipt.map(|receipt| receipt.time);
        found.retain(|decision| {
            let name = decision.name();
            let awaited = received.is_none_or(|time| decision.create_time < time);
            awaited && decision.concerns(&obligation)
                || obligation.extension == Some(decision.id)
                || obligation.waived.is_some_and(|waived| waived.decision == decision.id)
                || moved.iter().any(|change| change.reference == name)
        });
        found.reverse();
        Ok(found)
    }
}
