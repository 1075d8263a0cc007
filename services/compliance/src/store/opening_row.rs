//! The table `opening`: which periods have been opened, and by what; and the opening itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::{Period, zone};
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_store::Write;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, DbErr};

use super::obligation_row::{IN_LIST, TURN};
use super::{Error, Store, take_turns, unreadable};
use crate::domain::calendar::Calendars;
use crate::domain::obligation::Obligation;
use crate::domain::opening::{Debtors, Ground, Known, Plan, plan, stays_closed};
use crate::domain::regime::{Regime, RegimeId};

pub(super) mod opening {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "opening")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub regime: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub period: String,
        pub hierarchy_version: i64,
        pub fingerprint: Option<i64>,
        pub look_again: Option<Date>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use opening::{ActiveModel, Column, Entity, Model};

const TABLE: &str = "opening";
/// So many units of a period are looked at one by one.
const FEW: usize = 1000;

/// By what a period was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// By which version of the hierarchy; 0: by none, it is to be opened anew.
    pub hierarchy_version: u64,
    /// The [fingerprint](Debtors::fingerprint) of its debtors; none: not known.
    pub fingerprint: Option<i64>,
    /// The day on which it is to be looked at again though no unit changes.
    pub look_again: Option<NaiveDate>,
}

impl Opening {
    /// Whether nothing is to be done about the period by that version of the hierarchy on that day.
    pub fn stands(&self, hierarchy_version: u64, today: NaiveDate) -> bool {
        hierarchy_version < self.hierarchy_version
            || hierarchy_version == self.hierarchy_version
                && self.look_again.is_none_or(|day| today < day)
    }
}

impl From<Model> for Opening {
    fn from(row: Model) -> Self {
        Self {
            hierarchy_version: row.hierarchy_version.cast_unsigned(),
            fingerprint: row.fingerprint,
            look_again: row.look_again,
        }
    }
}

/// By what periods are opened.
#[derive(Clone, Debug)]
pub struct Learnt {
    /// Who is under whom.
    pub hierarchy: Arc<Hierarchy>,
    /// Which days are worked, as far as is known; where they were amended since, the newest are taken.
    pub calendars: Arc<Calendars>,
    /// When.
    pub now: DateTime<Utc>,
}

impl Store {
    /// By what each period of a regime was opened.
    pub async fn opening_fetch(&self, id: &RegimeId) -> Result<BTreeMap<Period, Opening>, Error> {
        let rows = Entity::find().filter(Column::Regime.eq(id.id())).all(self.database.reader());
        rows.await?
            .into_iter()
            .map(|row| {
                let period = row.period.parse().map_err(unreadable(TABLE))?;
                Ok((period, row.into()))
            })
            .collect()
    }

    /// Has a period owed as the [rule](crate::domain::opening) says by these debtors. Returns how many have come to owe it. Does
    /// nothing where a hierarchy no older than this one has been applied already. Where the period was opened by the debtors
    /// that are given as those of before, only those are looked at who owe otherwise.
    pub async fn obligation_open(
        &self,
        regime: &RegimeId,
        period: Period,
        debtors: &Debtors,
        before: Option<&Debtors>,
        by: &Learnt,
    ) -> Result<u64, Error> {
        let differing = before.map(|before| (before.fingerprint(), debtors.differing(before)));
        // Of many, all are read at once.
        let differing = differing.filter(|(_, units)| units.len() <= FEW);
        self.obligation_open_as(regime, period, differing, by, |regime, calendars, known| {
            let (hierarchy, now) = (&*by.hierarchy, by.now);
            plan(&Ground { regime, period, hierarchy, debtors, calendars, now }, known)
        })
        .await
    }

    /// The same as `plan` says. With a fingerprint by which the period was opened, only those units are looked at, and what is
    /// closed.
    pub async fn obligation_open_as(
        &self,
        id: &RegimeId,
        period: Period,
        only: Option<(i64, BTreeSet<UnitId>)>,
        by: &Learnt,
        plan: impl Fn(&Regime, &Calendars, Known) -> Plan,
    ) -> Result<u64, Error> {
        let version = by.hierarchy.version();
        self.database
            .write(async |write| {
                take_turns(write, TURN).await?;
                let key = (id.id().to_owned(), period.to_string());
                let before = Entity::find_by_id(key.clone()).one(&**write).await?;
                let before = before.map(Opening::from);
                if before.is_some_and(|before| before.stands(version, zone::civil_date(by.now))) {
                    return Ok(0);
                }
                // Another regime may have taken its place since it was read.
                let regime = Self::regime_in_turn(write, id).await?;
                let calendars = Self::calendars_locked(write, &by.calendars).await?;
                let only = only.as_ref().filter(|(fingerprint, _)| {
                    // Not opened by any version: what there is of it may be all wrong.
                    before.is_some_and(|before| {
                        before.hierarchy_version > 0 && before.fingerprint == Some(*fingerprint)
                    })
                });
                let only = only.map(|(_, units)| units);
                let known = Known {
                    only: only.cloned(),
                    existing: Self::obligation_of(write, id, period, only).await?,
                    evidence: Self::evidence_of(write, id, period, only).await?,
                    decisions: Self::decision_in_force_on(write, id, period).await?,
                };
                let plan = plan(&regime, &calendars, known);
                Self::obligation_save(write, &plan.changed).await?;
                Self::due_change_insert(write, &plan.due_changes).await?;
                let row = ActiveModel {
                    regime: Set(key.0),
                    period: Set(key.1),
                    hierarchy_version: Set(version.cast_signed()),
                    fingerprint: Set(plan.fingerprint),
                    look_again: Set(plan.until),
                };
                let rest = [Column::HierarchyVersion, Column::Fingerprint, Column::LookAgain];
                let anew = OnConflict::columns([Column::Regime, Column::Period])
                    .update_columns(rest)
                    .to_owned();
                Entity::insert(row).on_conflict(anew).exec_without_returning(&**write).await?;
                Ok(plan.opened)
            })
            .await
    }

    /// Notes of those of a regime's periods whose debtors are the same as when they were opened, and of which nothing that is
    /// closed has become otherwise, that they stand by a newer hierarchy; and gives the others, which are to be opened by it.
    pub async fn opening_confirm(
        &self,
        id: &RegimeId,
        periods: &[(Period, Arc<Debtors>)],
        by: &Learnt,
    ) -> Result<Vec<Period>, Error> {
        let (hierarchy, calendars, now) = (&*by.hierarchy, &*by.calendars, by.now);
        let version = hierarchy.version();
        self.database
            .write(async |write| {
                take_turns(write, TURN).await?;
                let regime = Self::regime_in_turn(write, id).await?;
                let named: Vec<_> = periods.iter().map(|(period, _)| period.to_string()).collect();
                let rows = Entity::find()
                    .filter(Column::Regime.eq(id.id()))
                    .filter(Column::Period.is_in(&named))
                    .all(&**write)
                    .await?;
                let before: BTreeMap<_, _> =
                    rows.into_iter().map(|row| (row.period.clone(), Opening::from(row))).collect();
                let mut closed: BTreeMap<Period, Vec<Obligation>> = BTreeMap::new();
                for obligation in Self::obligation_closed(write, id, &named).await? {
                    closed.entry(obligation.name.period).or_default().push(obligation);
                }
                let mut left = Vec::new();
                let mut confirmed: BTreeMap<Option<NaiveDate>, Vec<&str>> = BTreeMap::new();
                for (name, (period, debtors)) in named.iter().zip(periods) {
                    let (regime, period) = (&regime, *period);
                    let ground = Ground { regime, period, hierarchy, debtors, calendars, now };
                    let same = before.get(name).is_some_and(|before| {
                        before.hierarchy_version > 0
                            && before.hierarchy_version <= version
                            && before.fingerprint == Some(debtors.fingerprint())
                    });
                    let mut until = debtors.until();
                    let mut of_period = closed.get(&period).into_iter().flatten();
                    if same && of_period.all(|one| stays_closed(one, &ground, &mut until)) {
                        confirmed.entry(until).or_default().push(name);
                    } else {
                        left.push(period);
                    }
                }
                for (until, names) in confirmed {
                    Entity::update_many()
                        .col_expr(Column::HierarchyVersion, Expr::value(version.cast_signed()))
                        .col_expr(Column::LookAgain, Expr::value(until))
                        .filter(Column::Regime.eq(id.id()))
                        .filter(Column::Period.is_in(names))
                        .exec(&**write)
                        .await?;
                }
                Ok(left)
            })
            .await
    }
}

/// The periods of these regimes that were opened.
pub(super) async fn opened(
    write: &Write<'_>,
    regimes: impl IntoIterator<Item = &RegimeId>,
) -> Result<Vec<(RegimeId, Period)>, Error> {
    let ids: Vec<_> = regimes.into_iter().map(RegimeId::id).collect();
    let mut opened = Vec::new();
    for chunk in ids.chunks(IN_LIST) {
        let named = Column::Regime.is_in(chunk.iter().copied());
        for row in Entity::find().filter(named).all(&**write).await? {
            let regime = RegimeId::new(&row.regime).map_err(unreadable(TABLE))?;
            opened.push((regime, row.period.parse().map_err(unreadable(TABLE))?));
        }
    }
    Ok(opened)
}

/// In place of the version of the hierarchy by which periods were opened: whatever version there is, they are opened anew.
pub(super) async fn invalidate(
    write: &Write<'_>,
    id: &RegimeId,
    which: impl Fn(Period) -> bool,
) -> Result<(), DbErr> {
    let opened = Entity::find().filter(Column::Regime.eq(id.id())).all(&**write).await?;
    let periods = opened.into_iter().map(|row| row.period);
    let invalid: Vec<_> = periods.filter(|period| period.parse().is_ok_and(&which)).collect();
    Entity::update_many()
        .col_expr(Column::HierarchyVersion, Expr::value(0_i64))
        .filter(Column::Regime.eq(id.id()))
        .filter(Column::Period.is_in(invalid))
        .exec(&**write)
        .await?;
    Ok(())
}
