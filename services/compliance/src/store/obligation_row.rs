//! The tables `obligation`, `receipt` and `waiver`.
#![expect(unreachable_pub, reason = "the entity derive makes all that it writes public")]

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::Period;
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_store::{Write, rows_per_insert};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, FromQueryResult, QueryOrder as _, QuerySelect as _, SqlErr,
};
use serde::{Deserialize, Serialize};

use super::{Error, Store, from_us, take_turns, unreadable, us};
use crate::domain::explain::Waiver;
use crate::domain::obligation::{Obligation, ObligationName, Receipt, Standing};
use crate::domain::regime::{Regime, RegimeId, Schedule};

const TABLE: &str = "obligation";
/// Whose turn it is to write many obligations.
const TURN: &str = "obligations";
/// Values of one IN list, well below what a statement can bind.
const IN_LIST: usize = 5000;

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
        pub due_us: Option<i64>,
        pub due_generation: i32,
        pub receive_us: Option<i64>,
        pub report_id: Option<Uuid>,
        pub waived_us: Option<i64>,
        pub hierarchy_version: i64,
        pub next_check_us: Option<i64>,
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
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod waiver {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "waiver")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub regime: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub period: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub unit_id: Uuid,
        pub decision: String,
        pub reason: String,
        pub author: String,
        pub create_us: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

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
    /// These units.
    Units(Vec<UnitId>),
    /// One regime.
    Regime(String),
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
        let at = us(at);
        let of = |units: &[UnitId]| C::UnitId.is_in(units.iter().map(|unit| unit.uuid()));
        // An empty OR holds for everything; where no period is reached, none is.
        let none = Condition::any().add(Expr::value(false));
        let reached = self.reached.iter().fold(none, |any, (first, regimes)| {
            let regimes = C::Regime.is_in(regimes.iter().map(String::as_str));
            any.add(Condition::all().add(regimes).add(C::Period.gte(first.as_str())))
        });
        let unsettled =
            Condition::any().add(stands(Standing::Open, at)).add(stands(Standing::Missing, at));
        let closed = Condition::any().add(C::ReceiveUs.lte(at)).add(C::DueUs.lte(at));
        let ending = Condition::any().add(reached.clone()).add(unsettled);
        let ending = Condition::all().add(of(&self.ending)).add(ending);
        let either = Condition::any().add(Condition::all().add(reached).add(closed)).add(ending);
        // All units in one list, so that the index gives the rows in order and no more than are wanted.
        let units: Vec<_> = self.ending.iter().chain(&self.changed).copied().collect();
        Condition::all().add(of(&units)).add(either)
    }
}

/// Which obligations to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObligationFilter {
    /// In this subtree.
    pub scope: Option<UnitId>,
    /// In one of these; none: no such limit.
    pub visible: Option<Vec<Within>>,
    /// Under this regime.
    pub regime: Option<RegimeId>,
    /// For this period.
    pub period: Option<Period>,
    /// Standing so; empty: anyhow.
    pub standings: Vec<Standing>,
}

/// An obligation about to be opened.
#[derive(Clone, Debug)]
pub struct NewObligation {
    /// Who owes.
    pub unit: UnitId,
    /// Its statistics code on the cut-off day.
    pub unit_code: String,
    path: String,
}

impl NewObligation {
    /// What `unit` owes, with its code and its place in the hierarchy on the cut-off day.
    pub fn of(unit: UnitId, cut_off: NaiveDate, hierarchy: &Hierarchy) -> Self {
        let code = hierarchy
            .unit(unit, cut_off)
            .and_then(|unit| unit.code(dunghan_hierarchy::NSO).map(str::to_owned));
        let above = hierarchy.ancestors(unit, cut_off);
        let path: String = above
            .iter()
            .rev()
            .chain([&unit])
            .map(|unit| format!("/{}", unit.uuid().simple()))
            .collect();
        Self { unit, unit_code: code.unwrap_or_default(), path: format!("{path}/") }
    }
}

/// Obligations of one regime and period that a sweep has to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueGroup {
    /// Under which regime.
    pub regime: RegimeId,
    /// For which period.
    pub period: Period,
}

impl obligation::Model {
    fn read(self) -> Result<Obligation, Error> {
        let time = |us: Option<i64>| us.map(|us| from_us(TABLE, us)).transpose();
        let receipt = match (self.report_id, time(self.receive_us)?) {
            (Some(report), Some(time)) => Some(Receipt { report, time }),
            _ => None,
        };
        Ok(Obligation {
            name: ObligationName {
                unit: UnitId::from_uuid(self.unit_id),
                regime: RegimeId::new(&self.regime).map_err(unreadable(TABLE))?,
                period: self.period.parse().map_err(unreadable(TABLE))?,
            },
            unit_code: self.unit_code,
            due: time(self.due_us)?,
            due_generation: self.due_generation,
            receipt,
            waived: time(self.waived_us)?,
            hierarchy_version: self.hierarchy_version.cast_unsigned(),
        })
    }
}

fn of(name: &ObligationName) -> Condition {
    Condition::all()
        .add(obligation::Column::Regime.eq(name.regime.id()))
        .add(obligation::Column::Period.eq(name.period.to_string()))
        .add(obligation::Column::UnitId.eq(name.unit.uuid()))
}

/// As [`Obligation::standing`], where the database has to choose.
fn stands(standing: Standing, at: i64) -> Condition {
    use obligation::Column as C;
    let waived = Condition::all().add(C::WaivedUs.is_not_null()).add(C::WaivedUs.lte(at));
    let received = Condition::all().add(C::ReceiveUs.is_not_null()).add(C::ReceiveUs.lte(at));
    // Not the negation: that is unknown for null.
    let not_received = Condition::any().add(C::ReceiveUs.is_null()).add(C::ReceiveUs.gt(at));
    let not_waived = Condition::any().add(C::WaivedUs.is_null()).add(C::WaivedUs.gt(at));
    let receive = Expr::col(C::ReceiveUs);
    let rest = match standing {
        Standing::Waived => return waived,
        Standing::NoDueTime => received.add(C::DueUs.is_null()),
        Standing::OnTime => received.add(receive.lt(Expr::col(C::DueUs))),
        Standing::Late => received.add(receive.gte(Expr::col(C::DueUs))),
        Standing::Missing => Condition::all().add(not_received).add(C::DueUs.lte(at)),
        Standing::Open => Condition::all()
            .add(not_received)
            .add(Condition::any().add(C::DueUs.is_null()).add(C::DueUs.gt(at))),
    };
    Condition::all().add(not_waived).add(rest)
}

fn within(limit: &Within) -> Condition {
    match limit {
        Within::Subtree(root) => {
            let pattern = format!("%/{}/%", root.uuid().simple());
            Condition::all().add(obligation::Column::Path.like(pattern))
        }
        Within::Units(units) => {
            let units = units.iter().map(|unit| unit.uuid());
            Condition::all().add(obligation::Column::UnitId.is_in(units))
        }
        Within::Regime(regime) => Condition::all().add(obligation::Column::Regime.eq(regime)),
    }
}

impl ObligationFilter {
    fn condition(&self, at: DateTime<Utc>) -> Condition {
        let mut condition = Condition::all();
        if let Some(scope) = self.scope {
            condition = condition.add(within(&Within::Subtree(scope)));
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
                .fold(Condition::any(), |any, standing| any.add(stands(*standing, us(at))));
            condition = condition.add(any);
        }
        condition
    }
}

impl Store {
    /// Has a period owed by `debtors` and by nobody else, with what is known of their reports and waivers. Returns how
    /// many have come to owe it. Does nothing where a hierarchy no older than this one has been applied already.
    pub async fn obligation_open(
        &self,
        regime: &Regime,
        period: Period,
        due: Option<DateTime<Utc>>,
        debtors: &[NewObligation],
        hierarchy_version: u64,
    ) -> Result<u64, Error> {
        use obligation::Column as C;
        let (named, version) = (period.to_string(), hierarchy_version.cast_signed());
        self.database
            .write(async |write| {
                take_turns(write, TURN).await?;
                let applied = Self::opening_version(write, &regime.id, period).await?;
                if applied.is_some_and(|applied| applied >= hierarchy_version) {
                    return Ok(0);
                }
                let mut owed: HashMap<Uuid, (String, String)> = obligation::Entity::find()
                    .select_only()
                    .columns([C::UnitId, C::UnitCode, C::Path])
                    .filter(C::Regime.eq(regime.id.id()))
                    .filter(C::Period.eq(&named))
                    .into_tuple::<(Uuid, String, String)>()
                    .all(&**write)
                    .await?
                    .into_iter()
                    .map(|(unit, code, path)| (unit, (code, path)))
                    .collect();
                let mut new = Vec::new();
                for debtor in debtors {
                    match owed.remove(&debtor.unit.uuid()) {
                        None => new.push(debtor),
                        Some(place) if place == (debtor.unit_code.clone(), debtor.path.clone()) => {
                        }
                        Some(_) => {
                            obligation::Entity::update_many()
                                .col_expr(C::UnitCode, Expr::value(debtor.unit_code.as_str()))
                                .col_expr(C::Path, Expr::value(debtor.path.as_str()))
                                .col_expr(C::HierarchyVersion, Expr::value(version))
                                .filter(C::Regime.eq(regime.id.id()))
                                .filter(C::Period.eq(&named))
                                .filter(C::UnitId.eq(debtor.unit.uuid()))
                                .exec(&**write)
                                .await?;
                        }
                    }
                }
                // Nobody owes what is left. Reports, waivers and notices stay in their own tables.
                let gone: Vec<_> = owed.into_keys().collect();
                for chunk in gone.chunks(IN_LIST) {
                    obligation::Entity::delete_many()
                        .filter(C::Regime.eq(regime.id.id()))
                        .filter(C::Period.eq(&named))
                        .filter(C::UnitId.is_in(chunk.iter().copied()))
                        .exec(&**write)
                        .await?;
                }
                let opened = new.len() as u64;
                Self::obligation_insert(write, regime, period, due, new, hierarchy_version).await?;
                Self::opening_record(write, &regime.id, period, hierarchy_version).await?;
                Ok(opened)
            })
            .await
    }

    async fn obligation_insert(
        write: &Write<'_>,
        regime: &Regime,
        period: Period,
        due: Option<DateTime<Utc>>,
        new: Vec<&NewObligation>,
        hierarchy_version: u64,
    ) -> Result<(), DbErr> {
        let receipts: HashMap<_, _> = receipt::Entity::find()
            .filter(receipt::Column::Regime.eq(regime.id.id()))
            .filter(receipt::Column::Period.eq(period.to_string()))
            .all(&**write)
            .await?
            .into_iter()
            .map(|row| (row.unit_id, row))
            .collect();
        let waivers: HashMap<_, _> = waiver::Entity::find()
            .filter(waiver::Column::Regime.eq(regime.id.id()))
            .filter(waiver::Column::Period.eq(period.to_string()))
            .all(&**write)
            .await?
            .into_iter()
            .map(|row| (row.unit_id, row.create_us))
            .collect();
        for chunk in new.chunks(rows_per_insert(12)) {
            let rows = chunk.iter().map(|new| {
                let unit = new.unit.uuid();
                let (receipt, waived) = (receipts.get(&unit), waivers.get(&unit).copied());
                let settled = receipt.is_some() || waived.is_some();
                obligation::ActiveModel {
                    regime: Set(regime.id.id().to_owned()),
                    period: Set(period.to_string()),
                    unit_id: Set(unit),
                    unit_code: Set(new.unit_code.clone()),
                    path: Set(new.path.clone()),
                    due_us: Set(due.map(us)),
                    due_generation: Set(1),
                    receive_us: Set(receipt.map(|receipt| receipt.receive_us)),
                    report_id: Set(receipt.map(|receipt| receipt.report_id)),
                    waived_us: Set(waived),
                    hierarchy_version: Set(hierarchy_version.cast_signed()),
                    next_check_us: Set(due.filter(|_| !settled).map(us)),
                }
            });
            obligation::Entity::insert_many(rows)
                // Only where a debtor is named twice.
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(&**write)
                .await?;
        }
        Ok(())
    }

    /// Notes when reports were first received, for whoever owes them now or later. What was noted stays.
    pub async fn receipt_record(
        write: &Write<'_>,
        receipts: &[(ObligationName, Receipt)],
    ) -> Result<(), DbErr> {
        take_turns(write, TURN).await?;
        for (name, receipt) in receipts {
            let row = receipt::ActiveModel {
                regime: Set(name.regime.id().to_owned()),
                period: Set(name.period.to_string()),
                unit_id: Set(name.unit.uuid()),
                report_id: Set(receipt.report),
                receive_us: Set(us(receipt.time)),
            };
            receipt::Entity::insert(row)
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(&**write)
                .await?;
            obligation::Entity::update_many()
                .col_expr(obligation::Column::ReceiveUs, Expr::value(us(receipt.time)))
                .col_expr(obligation::Column::ReportId, Expr::value(receipt.report))
                .col_expr(obligation::Column::NextCheckUs, Expr::value(Option::<i64>::None))
                .filter(of(name))
                .filter(obligation::Column::ReceiveUs.is_null())
                .exec(&**write)
                .await?;
        }
        Ok(())
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
        let row = obligation::Entity::find().filter(of(name)).one(connection).await?;
        row.ok_or_else(|| Error::UnknownObligation(name.clone()))?.read()
    }

    /// `limit` obligations after one, in the order of regime, period, code and unit.
    pub async fn obligation_page(
        &self,
        filter: &ObligationFilter,
        at: DateTime<Utc>,
        after: Option<&ObligationKey>,
        limit: u64,
    ) -> Result<Vec<Obligation>, Error> {
        use obligation::Column as C;
        let mut query = obligation::Entity::find().filter(filter.condition(at)).limit(limit);
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

    /// Excuses a unit, once.
    pub async fn waiver_insert(
        &self,
        name: &ObligationName,
        waiver: &Waiver,
    ) -> Result<Obligation, Error> {
        let row = waiver::ActiveModel {
            regime: Set(name.regime.id().to_owned()),
            period: Set(name.period.to_string()),
            unit_id: Set(name.unit.uuid()),
            decision: Set(waiver.decision.clone()),
            reason: Set(waiver.reason.clone()),
            author: Set(waiver.author.clone()),
            create_us: Set(us(waiver.create_time)),
        };
        let write = self.database.write(async |write| {
            // No receipt may come between the look and the waiver.
            take_turns(write, TURN).await?;
            let obligation = self.obligation_fetch_from(&**write, name).await?;
            if obligation.receipt.is_some() {
                return Err(Error::AlreadySubmitted(name.clone()));
            }
            waiver::Entity::insert(row.clone()).exec_without_returning(&**write).await?;
            obligation::Entity::update_many()
                .col_expr(obligation::Column::WaivedUs, Expr::value(us(waiver.create_time)))
                .col_expr(obligation::Column::NextCheckUs, Expr::value(Option::<i64>::None))
                .filter(of(name))
                .exec(&**write)
                .await?;
            Ok(Obligation { waived: Some(waiver.create_time), ..obligation })
        });
        write.await.map_err(|error| match error {
            Error::Database(e)
                if matches!(e.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) =>
            {
                Error::AlreadyWaived(name.clone())
            }
            other => other,
        })
    }

    /// The waiver of an obligation.
    pub async fn waiver_fetch(&self, name: &ObligationName) -> Result<Option<Waiver>, Error> {
        let row = waiver::Entity::find()
            .filter(waiver::Column::Regime.eq(name.regime.id()))
            .filter(waiver::Column::Period.eq(name.period.to_string()))
            .filter(waiver::Column::UnitId.eq(name.unit.uuid()))
            .one(self.database.reader())
            .await?;
        row.map(|row| {
            Ok(Waiver {
                decision: row.decision,
                reason: row.reason,
                author: row.author,
                create_time: from_us("waiver", row.create_us)?,
            })
        })
        .transpose()
    }

    /// The regimes and periods of which something has fallen due and nobody has been told.
    pub async fn obligation_due_groups(&self, now: DateTime<Utc>) -> Result<Vec<DueGroup>, Error> {
        #[derive(FromQueryResult)]
        struct Row {
            regime: String,
            period: String,
        }
        use obligation::Column as C;
        let rows: Vec<Row> = obligation::Entity::find()
            .select_only()
            .column(C::Regime)
            .column(C::Period)
            .distinct()
            .filter(C::NextCheckUs.lte(us(now)))
            .order_by_asc(C::Regime)
            .order_by_asc(C::Period)
            .into_model::<Row>()
            .all(self.database.reader())
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(DueGroup {
                    regime: RegimeId::new(&row.regime).map_err(unreadable(TABLE))?,
                    period: row.period.parse().map_err(unreadable(TABLE))?,
                })
            })
            .collect()
    }

    /// How many obligations have fallen due and nobody has been told.
    pub async fn obligation_due_count(&self, now: DateTime<Utc>) -> Result<u64, Error> {
        let due = obligation::Entity::find().filter(obligation::Column::NextCheckUs.lte(us(now)));
        Ok(due.count(self.database.reader()).await?)
    }

    /// What of a group has fallen due and nobody has been told, in the order of codes.
    pub async fn obligation_due(
        &self,
        group: &DueGroup,
        now: DateTime<Utc>,
    ) -> Result<Vec<Obligation>, Error> {
        use obligation::Column as C;
        let rows = obligation::Entity::find()
            .filter(C::Regime.eq(group.regime.id()))
            .filter(C::Period.eq(group.period.to_string()))
            .filter(C::NextCheckUs.lte(us(now)))
            .order_by_asc(C::UnitCode)
            .order_by_asc(C::UnitId)
            .all(self.database.reader())
            .await?;
        rows.into_iter().map(obligation::Model::read).collect()
    }

    /// Takes obligations off the sweep's list that are still missing, and returns which those were: another sweep, a
    /// receipt or a waiver may have come between.
    pub(super) async fn obligation_checked(
        write: &Write<'_>,
        group: &DueGroup,
        units: &[UnitId],
        now: DateTime<Utc>,
    ) -> Result<Vec<UnitId>, Error> {
        use obligation::Column as C;
        take_turns(write, TURN).await?;
        let mut checked = Vec::new();
        for chunk in units.chunks(IN_LIST) {
            let rows = obligation::Entity::update_many()
                .col_expr(C::NextCheckUs, Expr::value(Option::<i64>::None))
                .filter(C::Regime.eq(group.regime.id()))
                .filter(C::Period.eq(group.period.to_string()))
                .filter(C::UnitId.is_in(chunk.iter().map(|unit| unit.uuid())))
                .filter(C::NextCheckUs.lte(us(now)))
                .filter(C::ReceiveUs.is_null())
                .filter(C::WaivedUs.is_null())
                .exec_with_returning(&**write)
                .await?;
            checked.extend(rows.into_iter().map(|row| UnitId::from_uuid(row.unit_id)));
        }
        Ok(checked)
    }
}
