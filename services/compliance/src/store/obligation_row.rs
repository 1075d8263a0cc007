//! The tables `obligation` and `receipt`.
#![expect(unreachable_pub, reason = "the entity derive makes all that it writes public")]

mod owed;
mod reprojection;
mod tally;

pub(super) use reprojection::{Moves, changed_within};

pub use tally::RateFilter;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::Period;
use dunghan_hierarchy::{Hierarchy, UnitHistory, UnitId};
use dunghan_store::{Write, by_key, rows_per_insert};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Asterisk, Condition, Expr, ExprTrait as _, Func, OnConflict, Query};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, Iterable as _, QueryOrder as _, QuerySelect as _,
    QueryTrait as _,
};
use serde::{Deserialize, Serialize};

use super::{Error, Store, from_us, take_turns, unreadable, us};
use crate::domain::calendar::Calendars;
use crate::domain::obligation::{
    CloseReason, Closed, Evidence, Obligation, ObligationName, Passed, Receipt, Returned, Standing,
    Waived,
};
use crate::domain::opening::measure_anew;
use crate::domain::regime::{Regime, RegimeId, Schedule};
use crate::domain::soon::Soon;

const TABLE: &str = "obligation";
/// Whose turn it is to write many obligations.
pub(super) const TURN: &str = "obligations";
/// Values of one IN list, well below what a statement can bind.
pub(super) const IN_LIST: usize = 5000;
/// Counting what is due ends there.
const COUNTED: u64 = 100_000;

mod obligation {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "obligation")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub regime: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub period: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub unit_id: Uuid,
        pub unit_code: String,
        pub path: String,
        pub tier: i16,
        pub level: String,
        pub receiver_id: Option<Uuid>,
        pub area_id: Option<Uuid>,
        pub open_us: i64,
        pub original_due_us: Option<i64>,
        pub due_us: Option<i64>,
        pub due_generation: i32,
        pub tell_us: Option<i64>,
        pub extension_id: Option<Uuid>,
        pub waiver_id: Option<Uuid>,
        pub waived_us: Option<i64>,
        pub receive_us: Option<i64>,
        pub report_id: Option<Uuid>,
        pub sequence: i64,
        pub return_us: Option<i64>,
        pub return_due_us: Option<i64>,
        pub return_told_us: Option<i64>,
        pub close_us: Option<i64>,
        pub close_reason: Option<String>,
        pub pass_us: Option<i64>,
        pub passed_to: Option<Uuid>,
        pub abandon_us: Option<i64>,
        pub told_generation: Option<i32>,
        pub retracted_generation: Option<i32>,
        pub hierarchy_version: i64,
        pub next_check_us: Option<i64>,
        pub calendar_amendment: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod receipt {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "receipt")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub regime: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub period: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub unit_id: Uuid,
        pub report_id: Uuid,
        pub receive_us: i64,
        pub sequence: i64,
        pub withdrawn: bool,
        pub return_us: Option<i64>,
        pub return_due_us: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Columns of the table: how many rows one statement can write follows from it.
const COLUMNS: usize = 33;

/// Where an obligation stands in the order of lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObligationKey {
    regime: String,
    period: String,
    unit_code: String,
    unit: Uuid,
}

impl From<&Obligation> for ObligationKey {
    fn from(obligation: &Obligation) -> Self {
        Self {
            regime: obligation.name.regime.id().to_owned(),
            period: obligation.name.period.to_string(),
            unit_code: obligation.unit_code.clone(),
            unit: obligation.name.unit.uuid(),
        }
    }
}

/// A limit to what is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Within {
    /// The unit, and what was below it on the cut-off day.
    Subtree(UnitId),
    /// The same of a unit that stands at the top on every day: an index has it.
    Area(UnitId),
    /// The same of a unit below which only these have ever been, itself included: an index has those.
    Below(UnitId, Vec<UnitId>),
    /// These units.
    Units(Vec<UnitId>),
    /// One regime.
    Regime(String),
}

impl Within {
    /// A unit and what was below it on the cut-off day, so that an index serves where one can.
    pub fn subtree(root: UnitId, hierarchy: &Hierarchy) -> Self {
        let parents = |unit: &UnitHistory| -> Vec<_> {
            unit.versions.iter().filter_map(|version| version.parent).collect()
        };
        match hierarchy.get(root) {
            None => return Self::Subtree(root),
            Some(unit) if parents(unit).is_empty() => return Self::Area(root),
            Some(_) => {}
        }
        let mut below: HashMap<UnitId, Vec<UnitId>> = HashMap::new();
        for unit in hierarchy.histories() {
            for parent in parents(unit) {
                below.entry(parent).or_default().push(unit.id);
            }
        }
        let (mut units, mut seen) = (vec![root], HashSet::from([root]));
        let mut next = 0;
        while let Some(unit) = units.get(next) {
            let direct = below.get(unit).into_iter().flatten().copied();
            units.extend(direct.filter(|unit| seen.insert(*unit)).collect::<Vec<_>>());
            next += 1;
        }
        if units.len() > IN_LIST { Self::Subtree(root) } else { Self::Below(root, units) }
    }
}

/// Where an obligation stands in the order of those that a reorganisation touches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AffectedKey {
    unit: Uuid,
    regime: String,
    period: String,
}

impl From<&Obligation> for AffectedKey {
    fn from(obligation: &Obligation) -> Self {
        Self {
            unit: obligation.name.unit.uuid(),
            regime: obligation.name.regime.id().to_owned(),
            period: obligation.name.period.to_string(),
        }
    }
}

/// Which obligations a reorganisation touches: those for which
/// [`consequence`](crate::domain::consequence::consequence) says something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AffectedFilter {
    ending: Vec<UnitId>,
    changed: Vec<UnitId>,
    /// The regimes by the first period whose cut-off is not before the effective date. The names of the periods of one
    /// frequency are in the order of time.
    reached: BTreeMap<String, Vec<String>>,
}

impl AffectedFilter {
    /// Of a reorganisation of that effective date, by which these units end and those go on otherwise.
    pub fn new(
        ending: Vec<UnitId>,
        changed: Vec<UnitId>,
        effective: NaiveDate,
        regimes: &[Regime],
    ) -> Self {
        let mut reached = BTreeMap::<_, Vec<_>>::new();
        for regime in regimes {
            let Some(first) = regime.first_period(effective) else { continue };
            let first = match regime.schedule {
                Schedule::Every(_) => first.to_string(),
                // It has no other: all of these together, however many letters have asked for something once.
                Schedule::Once(_) => String::new(),
            };
            reached.entry(first).or_default().push(regime.id.id().to_owned());
        }
        Self { ending, changed, reached }
    }

    fn condition(&self, at: DateTime<Utc>) -> Condition {
        use obligation::Column as C;
        let of = |units: &[UnitId]| C::UnitId.is_in(units.iter().map(|unit| unit.uuid()));
        // An empty OR holds for everything; where no period is reached, none is.
        let none = Condition::any().add(Expr::value(false));
        let reached = self.reached.iter().fold(none, |any, (first, regimes)| {
            let regimes = C::Regime.is_in(regimes.iter().map(String::as_str));
            any.add(Condition::all().add(regimes).add(C::Period.gte(first.as_str())))
        });
        let open = [Standing::Open, Standing::NotYetOpen, Standing::Missing];
        let moment = Moment { at, soon: &Soon::everywhere(at) };
        let unsettled = open
            .into_iter()
            .fold(Condition::any(), |any, standing| any.add(stands(standing, moment)));
        let at = us(at);
        let closed = Condition::any().add(C::ReceiveUs.lte(at)).add(C::DueUs.lte(at));
        let ending = Condition::any().add(reached.clone()).add(unsettled);
        let ending = Condition::all().add(of(&self.ending)).add(ending);
        let either = Condition::any().add(Condition::all().add(reached).add(closed)).add(ending);
        // All units in one list, so that the index gives the rows in order and no more than are wanted.
        let units: Vec<_> = self.ending.iter().chain(&self.changed).copied().collect();
        let owed = Condition::any().add(C::CloseUs.is_null()).add(C::CloseUs.gt(at));
        Condition::all().add(of(&units)).add(owed).add(either)
    }
}

/// Which obligations to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObligationFilter {
    /// Within this; none: no such limit.
    pub scope: Option<Within>,
    /// In one of these; none: no such limit.
    pub visible: Option<Vec<Within>>,
    /// Under this regime.
    pub regime: Option<RegimeId>,
    /// For this period.
    pub period: Option<Period>,
    /// Standing so; empty: anyhow.
    pub standings: Vec<Standing>,
}

/// Obligations of one regime and period: of them submission is asked together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueGroup {
    /// Under which regime.
    pub regime: RegimeId,
    /// For which period.
    pub period: Period,
}

/// Where an obligation stands in the order in which a sweep looks at them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueKey {
    next_check_us: i64,
    regime: String,
    period: String,
    unit: Uuid,
}

fn close_reason(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::UnitEnded => "unit_ended",
        CloseReason::NoSuccessor => "no_successor",
        CloseReason::NotADebtor => "not_a_debtor",
        CloseReason::RegimeAmended => "regime_amended",
    }
}

fn read_close_reason(word: &str) -> Result<CloseReason, Error> {
    Ok(match word {
        "unit_ended" => CloseReason::UnitEnded,
        "no_successor" => CloseReason::NoSuccessor,
        "not_a_debtor" => CloseReason::NotADebtor,
        "regime_amended" => CloseReason::RegimeAmended,
        other => return Err(unreadable(TABLE)(format!("close_reason {other}"))),
    })
}

impl obligation::Model {
    fn read(self) -> Result<Obligation, Error> {
        let time = |us: Option<i64>| us.map(|us| from_us(TABLE, us)).transpose();
        let receipt = match (self.report_id, time(self.receive_us)?) {
            (Some(report), Some(time)) => Some(Receipt { report, time }),
            _ => None,
        };
        let returned = match (time(self.return_us)?, time(self.return_due_us)?) {
            (Some(time), Some(due)) => Some(Returned { time, due }),
            _ => None,
        };
        let closed = match (time(self.close_us)?, self.close_reason) {
            (Some(time), Some(reason)) => {
                Some(Closed { time, reason: read_close_reason(&reason)? })
            }
            _ => None,
        };
        let passed = match (time(self.pass_us)?, self.passed_to) {
            (Some(time), Some(to)) => Some(Passed { time, to: UnitId::from_uuid(to) }),
            _ => None,
        };
        let waived = match (time(self.waived_us)?, self.waiver_id) {
            (Some(time), Some(decision)) => Some(Waived { decision, time }),
            _ => None,
        };
        Ok(Obligation {
            name: ObligationName {
                unit: UnitId::from_uuid(self.unit_id),
                regime: RegimeId::new(&self.regime).map_err(unreadable(TABLE))?,
                period: self.period.parse().map_err(unreadable(TABLE))?,
            },
            tier: u8::try_from(self.tier).map_err(unreadable(TABLE))?,
            unit_code: self.unit_code,
            path: read_path(&self.path)?,
            level: self.level.parse().map_err(unreadable(TABLE))?,
            receiver: self.receiver_id.map(UnitId::from_uuid),
            open_time: from_us(TABLE, self.open_us)?,
            original_due: time(self.original_due_us)?,
            calendar_amendment: self.calendar_amendment.cast_unsigned(),
            due: time(self.due_us)?,
            due_generation: self.due_generation,
            tell: time(self.tell_us)?,
            extension: self.extension_id,
            waived,
            receipt,
            returned,
            sequence: self.sequence,
            closed,
            passed,
            abandoned: time(self.abandon_us)?,
            told: self.told_generation,
            retracted: self.retracted_generation,
            return_told: time(self.return_told_us)?,
            hierarchy_version: self.hierarchy_version.cast_unsigned(),
        })
    }
}

fn read_path(text: &str) -> Result<Vec<UnitId>, Error> {
    let ids = text.split('/').filter(|id| !id.is_empty());
    let units = ids.map(|id| Uuid::try_parse(id).map(UnitId::from_uuid));
    units.collect::<Result<_, _>>().map_err(unreadable(TABLE))
}

fn path_text(path: &[UnitId]) -> String {
    let units: String = path.iter().map(|unit| format!("/{}", unit.uuid().simple())).collect();
    format!("{units}/")
}

fn row(obligation: &Obligation) -> obligation::ActiveModel {
    let Obligation { name, receipt, returned, closed, passed, waived, .. } = obligation;
    let time = |time: Option<DateTime<Utc>>| Set(time.map(us));
    obligation::ActiveModel {
        regime: Set(name.regime.id().to_owned()),
        period: Set(name.period.to_string()),
        unit_id: Set(name.unit.uuid()),
        unit_code: Set(obligation.unit_code.clone()),
        path: Set(path_text(&obligation.path)),
        tier: Set(obligation.tier.into()),
        level: Set(obligation.level.as_str().to_owned()),
        receiver_id: Set(obligation.receiver.map(UnitId::uuid)),
        area_id: Set(Some(obligation.area().uuid())),
        open_us: Set(us(obligation.open_time)),
        original_due_us: time(obligation.original_due),
        due_us: time(obligation.due),
        due_generation: Set(obligation.due_generation),
        tell_us: time(obligation.tell),
        extension_id: Set(obligation.extension),
        waiver_id: Set(waived.map(|waived| waived.decision)),
        waived_us: time(waived.map(|waived| waived.time)),
        receive_us: time(receipt.map(|receipt| receipt.time)),
        report_id: Set(receipt.map(|receipt| receipt.report)),
        sequence: Set(obligation.sequence),
        return_us: time(returned.map(|returned| returned.time)),
        return_due_us: time(returned.map(|returned| returned.due)),
        return_told_us: time(obligation.return_told),
        close_us: time(closed.map(|closed| closed.time)),
        close_reason: Set(closed.map(|closed| close_reason(closed.reason).to_owned())),
        pass_us: time(passed.map(|passed| passed.time)),
        passed_to: Set(passed.map(|passed| passed.to.uuid())),
        abandon_us: time(obligation.abandoned),
        told_generation: Set(obligation.told),
        retracted_generation: Set(obligation.retracted),
        hierarchy_version: Set(obligation.hierarchy_version.cast_signed()),
        next_check_us: time(obligation.task().map(|(from, _)| from)),
        calendar_amendment: Set(obligation.calendar_amendment.cast_signed()),
    }
}

fn of(name: &ObligationName) -> Condition {
    Condition::all()
        .add(obligation::Column::Regime.eq(name.regime.id()))
        .add(obligation::Column::Period.eq(name.period.to_string()))
        .add(obligation::Column::UnitId.eq(name.unit.uuid()))
}

/// A moment, and the instants up to which a due time is soon then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment<'a> {
    /// The moment.
    pub at: DateTime<Utc>,
    /// What is due up to then is due soon.
    pub soon: &'a Soon,
}

/// Whether a due time is soon, where the unit is.
fn is_soon(soon: &Soon) -> Condition {
    use obligation::Column as C;
    let others: Vec<_> = soon.areas().map(|(area, _)| area.uuid()).collect();
    let by = |soon| Condition::all().add(C::DueUs.lte(us(soon)));
    let elsewhere = Condition::any().add(C::AreaId.is_null()).add(C::AreaId.is_not_in(others));
    let national = by(soon.national()).add(elsewhere);
    soon.areas().fold(Condition::any().add(national), |any, (area, soon)| {
        any.add(by(soon).add(C::AreaId.eq(area.uuid())))
    })
}

/// As [`Obligation::standing_by`], where the database has to choose.
fn stands(standing: Standing, moment: Moment<'_>) -> Condition {
    use obligation::Column as C;
    let at = us(moment.at);
    let by = |column: C| Condition::all().add(column.is_not_null()).add(column.lte(at));
    // Not the negation: that is unknown for null.
    let not_by = |column: C| Condition::any().add(column.is_null()).add(column.gt(at));
    let owed = Condition::all().add(not_by(C::CloseUs)).add(not_by(C::WaivedUs));
    let received = by(C::ReceiveUs);
    let here = Condition::all().add(received.clone()).add(not_by(C::ReturnUs));
    let awaited = Condition::all().add(not_by(C::ReceiveUs));
    let not_due = Condition::any().add(C::DueUs.is_null()).add(C::DueUs.gt(at));
    let begun = awaited.clone().add(not_due.clone()).add(C::OpenUs.lte(at));
    let receive = Expr::col(C::ReceiveUs);
    let rest = match standing {
        Standing::Closed => return by(C::CloseUs),
        Standing::Waived => return by(C::WaivedUs).add(not_by(C::CloseUs)),
        Standing::Returned => received.add(by(C::ReturnUs)),
        Standing::NoDueTime => here.add(C::DueUs.is_null()),
        Standing::OnTime => here.add(receive.lt(Expr::col(C::DueUs))),
        Standing::Late => here.add(receive.gte(Expr::col(C::DueUs))),
        Standing::Missing => awaited.add(C::DueUs.lte(at)),
        Standing::NotYetOpen => awaited.add(not_due).add(C::OpenUs.gt(at)),
        Standing::DueSoon => begun.add(is_soon(moment.soon)),
        Standing::Open => {
            let later = is_soon(moment.soon).not();
            begun.add(Condition::any().add(C::DueUs.is_null()).add(later))
        }
    };
    owed.add(rest)
}

fn within(limit: &Within) -> Condition {
    match limit {
        Within::Subtree(root) => {
            let pattern = format!("%/{}/%", root.uuid().simple());
            Condition::all().add(obligation::Column::Path.like(pattern))
        }
        Within::Area(root) => Condition::all().add(obligation::Column::AreaId.eq(root.uuid())),
        Within::Below(root, units) => {
            let units = units.iter().map(|unit| unit.uuid());
            within(&Within::Subtree(*root)).add(obligation::Column::UnitId.is_in(units))
        }
        Within::Units(units) => {
            let units = units.iter().map(|unit| unit.uuid());
            Condition::all().add(obligation::Column::UnitId.is_in(units))
        }
        Within::Regime(regime) => Condition::all().add(obligation::Column::Regime.eq(regime)),
    }
}

impl ObligationFilter {
    fn condition(&self, moment: Moment<'_>) -> Condition {
        let mut condition = Condition::all();
        if let Some(scope) = &self.scope {
            condition = condition.add(within(scope));
        }
        if let Some(visible) = &self.visible {
            let any = visible.iter().fold(Condition::any(), |any, limit| any.add(within(limit)));
            // An empty OR holds for everything; whoever may see nothing sees nothing.
            condition = condition.add(if visible.is_empty() {
                Condition::all().add(Expr::value(false))
            } else {
                any
            });
        }
        if let Some(regime) = &self.regime {
            condition = condition.add(obligation::Column::Regime.eq(regime.id()));
        }
        if let Some(period) = self.period {
            condition = condition.add(obligation::Column::Period.eq(period.to_string()));
        }
        if !self.standings.is_empty() {
            let any = self
                .standings
                .iter()
                .fold(Condition::any(), |any, standing| any.add(stands(*standing, moment)));
            condition = condition.add(any);
        }
        condition
    }
}

impl Store {
    /// All obligations of a period; or those of these units, and all that are closed or will be.
    pub(super) async fn obligation_of(
        write: &Write<'_>,
        regime: &RegimeId,
        period: Period,
        only: Option<&BTreeSet<UnitId>>,
    ) -> Result<Vec<Obligation>, Error> {
        use obligation::Column as C;
        let of_period = obligation::Entity::find()
            .filter(C::Regime.eq(regime.id()))
            .filter(C::Period.eq(period.to_string()));
        let Some(only) = only else {
            let rows = of_period.all(&**write).await?;
            return rows.into_iter().map(obligation::Model::read).collect();
        };
        // Each by its own index.
        let units = of_period.clone().filter(C::UnitId.is_in(only.iter().map(|unit| unit.uuid())));
        let mut rows = units.all(&**write).await?;
        let closed = of_period.filter(C::CloseUs.is_not_null()).all(&**write).await?;
        rows.extend(
            closed.into_iter().filter(|row| !only.contains(&UnitId::from_uuid(row.unit_id))),
        );
        rows.into_iter().map(obligation::Model::read).collect()
    }

    /// The obligations of some periods that are closed or will be.
    pub(super) async fn obligation_closed(
        write: &Write<'_>,
        regime: &RegimeId,
        periods: &[String],
    ) -> Result<Vec<Obligation>, Error> {
        use obligation::Column as C;
        let query = obligation::Entity::find()
            .filter(C::Regime.eq(regime.id()))
            .filter(C::Period.is_in(periods))
            .filter(C::CloseUs.is_not_null());
        query.all(&**write).await?.into_iter().map(obligation::Model::read).collect()
    }

    /// Writes obligations as they are now, and with them when a sweep has to look at each. Whoever calls it holds the turn
    /// since before it read them.
    pub(super) async fn obligation_save(
        write: &Write<'_>,
        obligations: &[Obligation],
    ) -> Result<(), DbErr> {
        use obligation::Column as C;
        let key = [C::Regime, C::Period, C::UnitId];
        for chunk in obligations.chunks(rows_per_insert(COLUMNS)) {
            let rest =
                C::iter().filter(|column| !key.iter().any(|of| of.as_str() == column.as_str()));
            obligation::Entity::insert_many(chunk.iter().map(row))
                .on_conflict(OnConflict::columns(key).update_columns(rest).to_owned())
                .exec_without_returning(&**write)
                .await?;
        }
        Ok(())
    }

    /// Waits for the turn to write obligations, and gives those of these names that there are.
    pub(super) async fn obligation_locked(
        write: &Write<'_>,
        names: &[ObligationName],
    ) -> Result<Vec<Obligation>, Error> {
        take_turns(write, TURN).await?;
        let mut by_period: BTreeMap<(&str, String), Vec<Uuid>> = BTreeMap::new();
        for name in names {
            let period = (name.regime.id(), name.period.to_string());
            by_period.entry(period).or_default().push(name.unit.uuid());
        }
        let mut found = Vec::with_capacity(names.len());
        for ((regime, period), units) in by_period {
            for chunk in units.chunks(IN_LIST) {
                let rows = obligation::Entity::find()
                    .filter(obligation::Column::Regime.eq(regime))
                    .filter(obligation::Column::Period.eq(period.as_str()))
                    .filter(obligation::Column::UnitId.is_in(chunk.iter().copied()))
                    .all(&**write)
                    .await?;
                for row in rows {
                    found.push(row.read()?);
                }
            }
        }
        Ok(found)
    }

    /// Waits for the turn to write obligations, and gives one.
    pub(super) async fn obligation_in_turn(
        write: &Write<'_>,
        name: &ObligationName,
    ) -> Result<Obligation, Error> {
        let found = Self::obligation_locked(write, std::slice::from_ref(name)).await?;
        found.into_iter().next().ok_or_else(|| Error::UnknownObligation(name.clone()))
    }

    /// Those of a unit in these periods, and with `subtree` of what was below it. Whoever calls it has the turn.
    pub(super) async fn obligation_concerned(
        write: &Write<'_>,
        unit: UnitId,
        subtree: bool,
        periods: &[(RegimeId, Period)],
    ) -> Result<Vec<Obligation>, Error> {
        use obligation::Column as C;
        let of_unit = || {
            if subtree {
                within(&Within::Subtree(unit))
            } else {
                Condition::all().add(C::UnitId.eq(unit.uuid()))
            }
        };
        let mut found = Vec::new();
        for (regime, period) in periods {
            let rows = obligation::Entity::find()
                .filter(C::Regime.eq(regime.id()))
                .filter(C::Period.eq(period.to_string()))
                .filter(of_unit())
                .all(&**write)
                .await?;
            for row in rows {
                found.push(row.read()?);
            }
        }
        Ok(found)
    }

    /// Waits for the turn to write obligations, and gives those that a decision took hold of.
    pub(super) async fn obligation_held(
        write: &Write<'_>,
        decision: Uuid,
    ) -> Result<Vec<Obligation>, Error> {
        use obligation::Column as C;
        take_turns(write, TURN).await?;
        let held = Condition::any().add(C::WaiverId.eq(decision)).add(C::ExtensionId.eq(decision));
        let rows = obligation::Entity::find().filter(held).all(&**write).await?;
        rows.into_iter().map(obligation::Model::read).collect()
    }

    /// What submission said of the reports of a period, or of those of these units.
    pub(super) async fn evidence_of(
        write: &Write<'_>,
        regime: &RegimeId,
        period: Period,
        only: Option<&BTreeSet<UnitId>>,
    ) -> Result<HashMap<UnitId, Evidence>, Error> {
        let mut query = receipt::Entity::find()
            .filter(receipt::Column::Regime.eq(regime.id()))
            .filter(receipt::Column::Period.eq(period.to_string()));
        if let Some(only) = only {
            let units = only.iter().map(|unit| unit.uuid());
            query = query.filter(receipt::Column::UnitId.is_in(units));
        }
        let rows = query.all(&**write).await?;
        let time = |us| from_us("receipt", us);
        rows.into_iter()
            .map(|row| {
                let receipt = Receipt { report: row.report_id, time: time(row.receive_us)? };
                let returned = match (row.return_us, row.return_due_us) {
                    (Some(at), Some(due)) => Some(Returned { time: time(at)?, due: time(due)? }),
                    _ => None,
                };
                let receipt = (!row.withdrawn).then_some(receipt);
                let evidence = Evidence { sequence: row.sequence, receipt, returned };
                Ok((UnitId::from_uuid(row.unit_id), evidence))
            })
            .collect()
    }

    /// Takes in what submission says of reports, for whoever owes them now or later; of each only what is newer than what
    /// is known. Returns how many were. Where a report was taken back, the due time is that of now.
    pub async fn evidence_record(
        write: &Write<'_>,
        calendars: &Arc<Calendars>,
        said: &[(ObligationName, Uuid, Evidence)],
        now: DateTime<Utc>,
    ) -> Result<usize, Error> {
        use receipt::Column as R;
        // Of one report said several times, the last.
        let mut last: BTreeMap<&ObligationName, (Uuid, &Evidence)> = BTreeMap::new();
        for (name, report, evidence) in said {
            let kept = last.entry(name).or_insert((*report, evidence));
            if kept.1.sequence < evidence.sequence {
                *kept = (*report, evidence);
            }
        }
        let names: Vec<_> = last.keys().map(|name| (*name).clone()).collect();
        let known = Self::obligation_locked(write, &names).await?;
        let calendars = &Self::calendars_locked(write, calendars).await?;
        let rows: Vec<_> = last
            .iter()
            .map(|(name, (report, evidence))| receipt::ActiveModel {
                regime: Set(name.regime.id().to_owned()),
                period: Set(name.period.to_string()),
                unit_id: Set(name.unit.uuid()),
                report_id: Set(*report),
                receive_us: Set(evidence.receipt.map_or(0, |receipt| us(receipt.time))),
                sequence: Set(evidence.sequence),
                withdrawn: Set(evidence.receipt.is_none()),
                return_us: Set(evidence.returned.map(|returned| us(returned.time))),
                return_due_us: Set(evidence.returned.map(|returned| us(returned.due))),
            })
            .collect();
        for chunk in rows.chunks(rows_per_insert(9)) {
            let newer = OnConflict::columns([R::Regime, R::Period, R::UnitId])
                .update_columns([
                    R::ReportId,
                    R::ReceiveUs,
                    R::Sequence,
                    R::Withdrawn,
                    R::ReturnUs,
                    R::ReturnDueUs,
                ])
                .action_and_where(Expr::cust("receipt.sequence < excluded.sequence"))
                .to_owned();
            receipt::Entity::insert_many(chunk.to_vec())
                .on_conflict(newer)
                .exec_without_returning(&**write)
                .await?;
        }
        let said = |name: &ObligationName| last.get(name).map(|(_, evidence)| *evidence);
        let (mut anew, mut learnt): (Vec<_>, Vec<_>) = known.into_iter().partition(|obligation| {
            said(&obligation.name).is_some_and(|said| obligation.is_measured_anew_by(said))
        });
        learnt.retain_mut(|obligation| {
            said(&obligation.name).is_some_and(|said| obligation.learn(said, calendars))
        });
        if !anew.is_empty() {
            let decisions = Self::decision_in_force(write, &anew).await?;
            let (mut regimes, mut due_changes) = (HashMap::new(), Vec::new());
            for obligation in &mut anew {
                let Some(said) = said(&obligation.name) else { continue };
                let id = &obligation.name.regime;
                if !regimes.contains_key(id) {
                    regimes.insert(id.clone(), Self::regime_in_turn(write, id).await?);
                }
                let regime = &regimes[id];
                let change = measure_anew(obligation, said, regime, calendars, &decisions, now);
                due_changes.extend(change);
            }
            Self::due_change_insert(write, &due_changes).await?;
        }
        learnt.append(&mut anew);
        Self::decision_remeasure(write, calendars, &mut learnt, now).await?;
        Self::obligation_save(write, &learnt).await?;
        Ok(learnt.len())
    }

    /// One obligation.
    pub async fn obligation_fetch(&self, name: &ObligationName) -> Result<Obligation, Error> {
        self.obligation_fetch_from(self.database.reader(), name).await
    }

    async fn obligation_fetch_from(
        &self,
        connection: &impl ConnectionTrait,
        name: &ObligationName,
    ) -> Result<Obligation, Error> {
        let row = by_key(connection, obligation::Entity::find().filter(of(name))).await?;
        row.ok_or_else(|| Error::UnknownObligation(name.clone()))?.read()
    }

    /// `limit` obligations after one, in the order of regime, period, code and unit.
    pub async fn obligation_page(
        &self,
        filter: &ObligationFilter,
        moment: Moment<'_>,
        after: Option<&ObligationKey>,
        limit: u64,
    ) -> Result<Vec<Obligation>, Error> {
        use obligation::Column as C;
        let mut query = obligation::Entity::find().filter(filter.condition(moment)).limit(limit);
        if let Some(after) = after {
            let row = Expr::tuple(
                [C::Regime, C::Period, C::UnitCode, C::UnitId].map(Expr::col).map(Into::into),
            );
            let key = Expr::tuple([
                Expr::value(after.regime.as_str()),
                Expr::value(after.period.as_str()),
                Expr::value(after.unit_code.as_str()),
                Expr::value(after.unit),
            ]);
            query = query.filter(row.gt(key));
        }
        for column in [C::Regime, C::Period, C::UnitCode, C::UnitId] {
            query = query.order_by_asc(column);
        }
        let rows = query.all(self.database.reader()).await?;
        rows.into_iter().map(obligation::Model::read).collect()
    }

    /// `limit` obligations that a reorganisation touches after one, in the order of unit, regime and period.
    pub async fn obligation_affected_page(
        &self,
        filter: &AffectedFilter,
        at: DateTime<Utc>,
        after: Option<&AffectedKey>,
        limit: u64,
    ) -> Result<Vec<Obligation>, Error> {
        use obligation::Column as C;
        let mut query = obligation::Entity::find().filter(filter.condition(at)).limit(limit);
        if let Some(after) = after {
            let row = Expr::tuple([C::UnitId, C::Regime, C::Period].map(Expr::col).map(Into::into));
            let key = Expr::tuple([
                Expr::value(after.unit),
                Expr::value(after.regime.as_str()),
                Expr::value(after.period.as_str()),
            ]);
            query = query.filter(row.gt(key));
        }
        for column in [C::UnitId, C::Regime, C::Period] {
            query = query.order_by_asc(column);
        }
        let rows = query.all(self.database.reader()).await?;
        rows.into_iter().map(obligation::Model::read).collect()
    }

    /// All obligations of a regime and period in a subtree, in the order of their codes.
    pub async fn obligation_all(
        &self,
        scope: UnitId,
        regime: &RegimeId,
        period: Period,
    ) -> Result<Vec<Obligation>, Error> {
        use obligation::Column as C;
        let rows = obligation::Entity::find()
            .filter(C::Regime.eq(regime.id()))
            .filter(C::Period.eq(period.to_string()))
            .filter(within(&Within::Subtree(scope)))
            .order_by_asc(C::UnitCode)
            .order_by_asc(C::UnitId)
            .all(self.database.reader())
            .await?;
        rows.into_iter().map(obligation::Model::read).collect()
    }

    /// `limit` obligations that a sweep has to look at after one, those first that have waited longest; and where the next page
    /// begins.
    ///
    /// It costs what it gives, however many there are: the order is that of the index `obligation_next_check`, which holds nothing
    /// but what a sweep still has to look at. Were they asked for by period, a database could read the whole period instead.
    pub async fn obligation_due_page(
        &self,
        now: DateTime<Utc>,
        after: Option<&DueKey>,
        limit: u64,
    ) -> Result<(Vec<Obligation>, Option<DueKey>), Error> {
        use obligation::Column as C;
        let order = [C::NextCheckUs, C::Regime, C::Period, C::UnitId];
        let mut query = obligation::Entity::find().filter(C::NextCheckUs.lte(us(now))).limit(limit);
        if let Some(after) = after {
            let key = Expr::tuple([
                Expr::value(after.next_check_us),
                Expr::value(after.regime.as_str()),
                Expr::value(after.period.as_str()),
                Expr::value(after.unit),
            ]);
            query = query.filter(Expr::tuple(order.map(Expr::col).map(Into::into)).gt(key));
        }
        for column in order {
            query = query.order_by_asc(column);
        }
        let rows = query.all(self.database.reader()).await?;
        let last = rows.last().and_then(|row| {
            Some(DueKey {
                next_check_us: row.next_check_us?,
                regime: row.regime.clone(),
                period: row.period.clone(),
                unit: row.unit_id,
            })
        });
        let due = rows.into_iter().map(obligation::Model::read).collect::<Result<_, _>>()?;
        Ok((due, last))
    }

    /// How many obligations have fallen due and nobody has been told, up to 100,000.
    ///
    /// In the order of the index and with an end: without these, a database that knows little of the table reads all of it.
    pub async fn obligation_due_count(&self, now: DateTime<Utc>) -> Result<u64, Error> {
        use obligation::Column as C;
        let due = obligation::Entity::find()
            .select_only()
            .column(C::NextCheckUs)
            .filter(C::NextCheckUs.lte(us(now)))
            .order_by_asc(C::NextCheckUs)
            .limit(COUNTED)
            .into_query();
        let count = Query::select()
            .expr(Func::count(Expr::col(Asterisk)))
            .from_subquery(due, "due")
            .to_owned();
        let row = self.database.reader().query_one(&count).await?;
        let due = row.map(|row| row.try_get_by_index::<i64>(0)).transpose()?;
        Ok(due.map_or(0, i64::cast_unsigned))
    }
}
