//! What rates count by: so many obligations that count alike, told apart by the database.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use dunghan_calendar::Period;
use dunghan_hierarchy::UnitId;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{
    Alias, Asterisk, CaseStatement, Condition, Expr, ExprTrait as _, Func, SimpleExpr,
};
use sea_orm::{
    ConnectionTrait, DbBackend, FromQueryResult, IsolationLevel, Iterable as _, QueryOrder as _,
    QuerySelect as _, TransactionTrait as _,
};

use super::obligation::{Column as C, Entity, Model};
use super::{Moment, TABLE, Within, is_soon, within};
use crate::domain::obligation::{Obligation, Standing};
use crate::domain::rate::Tally;
use crate::domain::regime::RegimeId;
use crate::store::{Error, Store, unreadable, us};

/// Of which obligations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateFilter {
    /// In one of these.
    pub within: Vec<Within>,
    /// Under these regimes, for these periods.
    pub periods: Vec<(RegimeId, Vec<Period>)>,
}

impl RateFilter {
    fn condition(&self) -> Condition {
        let periods = self.periods.iter().map(|(regime, periods)| {
            let periods = periods.iter().map(Period::to_string);
            Condition::all().add(C::Regime.eq(regime.id())).add(C::Period.is_in(periods))
        });
        any(periods).add(any(self.within.iter().map(within)))
    }
}

/// What holds where one of these does. A single one stands for itself, and nothing is said of what never holds: beside either
/// SQLite would look at every row.
fn any(conditions: impl ExactSizeIterator<Item = Condition>) -> Condition {
    let any = match conditions.len() {
        // An empty OR holds for everything.
        0 => Condition::any().add(Expr::value(false)),
        _ => conditions.fold(Condition::any(), Condition::add),
    };
    Condition::all().add(any)
}

/// Each standing by its number in an answer of the database, in the order of [`Obligation::counted`].
const COUNTED: [Standing; 8] = [
    Standing::Closed,
    Standing::Waived,
    Standing::NoDueTime,
    Standing::OnTime,
    Standing::Late,
    Standing::Missing,
    Standing::NotYetOpen,
    Standing::Open,
];

fn number(standing: Standing) -> i32 {
    let place = COUNTED.iter().position(|one| *one == standing);
    place.and_then(|place| i32::try_from(place).ok()).unwrap_or(-1)
}

/// As [`Obligation::counted`], each standing as `shown`. Each case holds where none before it does.
fn counted(at: i64, shown: impl Fn(Standing) -> SimpleExpr) -> CaseStatement {
    let on_time = Condition::all()
        .add(C::ReceiveUs.lte(at))
        .add(Expr::col(C::ReceiveUs).lt(Expr::col(C::DueUs)));
    let without = Condition::all().add(C::ReceiveUs.lte(at)).add(C::DueUs.is_null());
    let case = |case: CaseStatement, when: SimpleExpr, standing| {
        case.case(Condition::all().add(when), shown(standing))
    };
    let mut cases = CaseStatement::new();
    cases = case(cases, C::CloseUs.lte(at), Standing::Closed);
    cases = case(cases, C::WaivedUs.lte(at), Standing::Waived);
    cases = cases.case(without, shown(Standing::NoDueTime));
    cases = cases.case(on_time, shown(Standing::OnTime));
    cases = case(cases, C::ReceiveUs.lte(at), Standing::Late);
    cases = case(cases, C::DueUs.lte(at), Standing::Missing);
    cases = case(cases, C::OpenUs.gt(at), Standing::NotYetOpen);
    cases.finally(shown(Standing::Open))
}

/// What is told apart beside the standing, each by a number of its own.
const RETURNED: i32 = 8;
const EXTENDED: i32 = 16;
const SOON: i32 = 32;

/// All that is told apart, in one number: grouping by one is what a database does best. Of each row no more is looked at than
/// what its standing makes of interest.
fn alike(moment: Moment<'_>) -> Expr {
    let at = us(moment.at);
    let flag = |holds: Condition, number| CaseStatement::new().case(holds, number).finally(0);
    let shown = |standing| {
        let number = Expr::value(number(standing));
        match standing {
            Standing::OnTime | Standing::Late | Standing::NoDueTime => {
                number.add(flag(Condition::all().add(C::ReturnUs.lte(at)), RETURNED))
            }
            Standing::Open => number.add(flag(is_soon(moment.soon), SOON)),
            _ => number,
        }
    };
    let extended = flag(Condition::all().add(C::ExtensionId.is_not_null()), EXTENDED);
    Expr::expr(counted(at, shown)).add(Expr::expr(extended))
}

fn read_alike(alike: i32) -> Result<Tally, Error> {
    let place = usize::try_from(alike % RETURNED).ok();
    let counted = place.and_then(|place| COUNTED.get(place)).copied();
    let counted = counted.ok_or_else(|| unreadable(TABLE)("a standing that is none"))?;
    Ok(Tally {
        counted,
        returned: alike & RETURNED != 0,
        extended: alike & EXTENDED != 0,
        due_soon: alike & SOON != 0,
    })
}

impl Store {
    /// What there is of each period, at a moment.
    pub async fn tally_by_period(
        &self,
        filter: &RateFilter,
        moment: Moment<'_>,
    ) -> Result<Vec<(Period, Tally, usize)>, Error> {
        if let [(_, periods)] = filter.periods.as_slice()
            && let [period] = *periods.as_slice()
        {
            let found = tally(self.database.reader(), filter, moment).await?;
            return Ok(found.into_iter().map(|(tally, count)| (period, tally, count)).collect());
        }
        let read = |(key, tally, count): (String, _, _)| {
            Ok((key.parse().map_err(unreadable(TABLE))?, tally, count))
        };
        let found = tally_by(self.database.reader(), filter, C::Period, moment).await?;
        found.into_iter().map(read).collect()
    }

    /// What there is of each unit, with all that stood above it on the cut-off days, at a moment.
    pub async fn tally_by_path(
        &self,
        filter: &RateFilter,
        moment: Moment<'_>,
    ) -> Result<Vec<(Vec<UnitId>, Tally, usize)>, Error> {
        let read =
            |(key, tally, count): (String, _, _)| Ok((super::read_path(&key)?, tally, count));
        let found = tally_by(self.database.reader(), filter, C::Path, moment).await?;
        found.into_iter().map(read).collect()
    }

    /// What there is of a regime and period in a subtree, at a moment, and `most` of those of which [`Tally::is_exception`]
    /// holds, in the order of their codes; both as of one state of the database. Of more, those first that come first in the
    /// order of standings.
    pub async fn tally_with_exceptions(
        &self,
        scope: UnitId,
        regime: &RegimeId,
        period: Period,
        moment: Moment<'_>,
        most: usize,
    ) -> Result<(Vec<(Tally, usize)>, Vec<Obligation>), Error> {
        let isolation = match self.database.engine() {
            DbBackend::Postgres => Some(IsolationLevel::RepeatableRead),
            // Whatever a transaction of SQLite reads is of one state.
            _ => None,
        };
        let read = self.database.reader().begin_with_config(isolation, None).await?;
        let filter = RateFilter {
            within: vec![Within::Subtree(scope)],
            periods: vec![(regime.clone(), vec![period])],
        };
        let tallies = tally(&read, &filter, moment).await?;
        let mut listed = BTreeMap::<_, usize>::new();
        for (tally, count) in tallies.iter().filter(|(tally, _)| tally.is_exception()) {
            *listed.entry(tally.counted).or_default() += count;
        }
        let mut found = Vec::new();
        if listed.values().sum::<usize>() <= most {
            let standings: Vec<_> = listed.into_keys().collect();
            found = exceptions(&read, &filter, moment.at, &standings, most).await?;
        } else {
            for standing in listed.into_keys() {
                let left = most - found.len();
                found.extend(exceptions(&read, &filter, moment.at, &[standing], left).await?);
            }
        }
        read.commit().await?;
        Ok((tallies, found))
    }
}

/// By a name that no column has: PostgreSQL would group by the column.
const ALIKE: &str = "alike";

/// How many count alike.
async fn tally(
    connection: &impl ConnectionTrait,
    filter: &RateFilter,
    moment: Moment<'_>,
) -> Result<Vec<(Tally, usize)>, Error> {
    let rows: Vec<(i32, i64)> =
        alike_in(Entity::find().select_only(), filter, moment).into_tuple().all(connection).await?;
    rows.into_iter().map(|(alike, count)| Ok((read_alike(alike)?, read_count(count)))).collect()
}

/// The same for each value of a column: a second key to group by takes a database twice as long.
async fn tally_by(
    connection: &impl ConnectionTrait,
    filter: &RateFilter,
    key: C,
    moment: Moment<'_>,
) -> Result<Vec<(String, Tally, usize)>, Error> {
    let by_key = Entity::find().select_only().column(key).group_by(key);
    let rows: Vec<(String, i32, i64)> =
        alike_in(by_key, filter, moment).into_tuple().all(connection).await?;
    let read =
        |(key, alike, count): (_, i32, i64)| Ok((key, read_alike(alike)?, read_count(count)));
    rows.into_iter().map(read).collect()
}

fn alike_in(query: Select<Entity>, filter: &RateFilter, moment: Moment<'_>) -> Select<Entity> {
    query
        .expr_as(alike(moment), ALIKE)
        .expr_as(Func::count(Expr::col(Asterisk)), "units")
        .filter(filter.condition())
        .group_by(Expr::col(Alias::new(ALIKE)))
}

fn read_count(count: i64) -> usize {
    usize::try_from(count).unwrap_or_default()
}

/// A row that is read by the places of its columns, which are those of the table: by their names, each would be looked up for
/// each row.
struct ByPlace(Model);

impl FromQueryResult for ByPlace {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        let mut places = 0..;
        macro_rules! next {
            () => {
                row.try_get_by_index(places.next().unwrap_or_default())?
            };
        }
        // In the order in which they are written here, which is that of the table's columns.
        Ok(Self(Model {
            regime: next!(),
            period: next!(),
            unit_id: next!(),
            unit_code: next!(),
            path: next!(),
            tier: next!(),
            level: next!(),
            receiver_id: next!(),
            area_id: next!(),
            open_us: next!(),
            original_due_us: next!(),
            due_us: next!(),
            due_generation: next!(),
            tell_us: next!(),
            extension_id: next!(),
            waiver_id: next!(),
            waived_us: next!(),
            receive_us: next!(),
            report_id: next!(),
            sequence: next!(),
            return_us: next!(),
            return_due_us: next!(),
            return_told_us: next!(),
            close_us: next!(),
            close_reason: next!(),
            pass_us: next!(),
            passed_to: next!(),
            abandon_us: next!(),
            told_generation: next!(),
            retracted_generation: next!(),
            hierarchy_version: next!(),
            next_check_us: next!(),
            calendar_amendment: next!(),
        }))
    }
}

/// `most` of those that stand so and of which [`Tally::is_exception`] holds, in the order of their codes.
async fn exceptions(
    connection: &impl ConnectionTrait,
    filter: &RateFilter,
    at: DateTime<Utc>,
    standings: &[Standing],
    most: usize,
) -> Result<Vec<Obligation>, Error> {
    if standings.is_empty() || most == 0 {
        return Ok(Vec::new());
    }
    let counted = || Expr::expr(counted(us(at), |standing| Expr::value(number(standing))));
    let good = [Standing::OnTime, Standing::NoDueTime].map(number);
    let exception =
        Condition::any().add(C::ExtensionId.is_not_null()).add(counted().is_not_in(good));
    let rows: Vec<ByPlace> = Entity::find()
        .select_only()
        .columns(C::iter())
        .filter(filter.condition())
        .filter(counted().is_in(standings.iter().copied().map(number)))
        .filter(exception)
        .order_by_asc(C::UnitCode)
        .order_by_asc(C::UnitId)
        .limit(most as u64)
        .into_model()
        .all(connection)
        .await?;
    rows.into_iter().map(|row| row.0.read()).collect()
}
