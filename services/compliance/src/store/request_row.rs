//! The table `obligation_request`.
#![expect(unreachable_pub, reason = "the entity derive makes all that it writes public")]

use std::sync::Arc;

use chrono::NaiveDate;
use dunghan_hierarchy::UnitId;
use dunghan_proto::compliance as pb;
use dunghan_store::{RequestKey, Write};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ActiveValue::Set, QueryOrder as _, QuerySelect as _};
use serde::{Deserialize, Serialize};

use super::{Error, Store, answered, from_us, unreadable, us};
use crate::domain::calendar::Calendars;
use crate::domain::decision::{Decision, Effect, Refusal};
use crate::domain::obligation::{Obligation, ObligationName};
use crate::domain::regime::RegimeId;
use crate::domain::request::{Asked, Decided, ObligationRequest, RequestName, State};

const TABLE: &str = "obligation_request";

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "obligation_request")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub regime: String,
    pub period: String,
    pub unit_id: Uuid,
    pub kind: String,
    pub asked_due: Option<NaiveDate>,
    pub reason: String,
    pub state: String,
    pub author: String,
    pub create_us: i64,
    pub decider: Option<String>,
    pub decide_us: Option<i64>,
    pub answer: Option<String>,
    pub decision_id: Option<Uuid>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Where a request stands in the order of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestsKey {
    create_us: i64,
    id: Uuid,
}

impl From<&ObligationRequest> for RequestsKey {
    fn from(request: &ObligationRequest) -> Self {
        Self { create_us: us(request.create_time), id: request.name.id }
    }
}

/// Which requests to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Of these units.
    pub units: Vec<UnitId>,
    /// Under one of these regimes; none: under any.
    pub regimes: Option<Vec<String>>,
    /// Standing so; empty: anyhow.
    pub states: Vec<State>,
}

fn kind(asked: Asked) -> (&'static str, Option<NaiveDate>) {
    match asked {
        Asked::Extension(day) => ("extension", Some(day)),
        Asked::Explanation => ("explanation", None),
        Asked::SystemFailure(day) => ("system_failure", Some(day)),
    }
}

impl Model {
    fn read(self) -> Result<ObligationRequest, Error> {
        let asked = match (self.kind.as_str(), self.asked_due) {
            ("extension", Some(day)) => Asked::Extension(day),
            ("explanation", None) => Asked::Explanation,
            ("system_failure", Some(day)) => Asked::SystemFailure(day),
            (other, _) => return Err(unreadable(TABLE)(format!("kind {other}"))),
        };
        let state = match self.state.as_str() {
            "pending" => State::Pending,
            "granted" => State::Granted,
            "refused" => State::Refused,
            "withdrawn" => State::Withdrawn,
            other => return Err(unreadable(TABLE)(format!("state {other}"))),
        };
        let decided = match (self.decider, self.decide_us, self.answer) {
            (None, None, None) => None,
            (Some(author), Some(time), Some(answer)) => {
                Some(Decided { author, time: from_us(TABLE, time)?, answer })
            }
            _ => return Err(unreadable(TABLE)("half an answer")),
        };
        let obligation = ObligationName {
            unit: UnitId::from_uuid(self.unit_id),
            regime: RegimeId::new(&self.regime).map_err(unreadable(TABLE))?,
            period: self.period.parse().map_err(unreadable(TABLE))?,
        };
        Ok(ObligationRequest {
            name: RequestName { obligation, id: self.id },
            asked,
            reason: self.reason,
            author: self.author,
            create_time: from_us(TABLE, self.create_us)?,
            state,
            decided,
            decision: self.decision_id,
        })
    }
}

fn row(request: &ObligationRequest) -> ActiveModel {
    let (kind, asked_due) = kind(request.asked);
    let RequestName { obligation, id } = &request.name;
    ActiveModel {
        id: Set(*id),
        regime: Set(obligation.regime.id().to_owned()),
        period: Set(obligation.period.to_string()),
        unit_id: Set(obligation.unit.uuid()),
        kind: Set(kind.to_owned()),
        asked_due: Set(asked_due),
        reason: Set(request.reason.clone()),
        state: Set(request.state.as_str().to_owned()),
        author: Set(request.author.clone()),
        create_us: Set(us(request.create_time)),
        decider: Set(None),
        decide_us: Set(None),
        answer: Set(None),
        decision_id: Set(None),
    }
}

fn of(name: &ObligationName) -> Select<Entity> {
    Entity::find()
        .filter(Column::UnitId.eq(name.unit.uuid()))
        .filter(Column::Regime.eq(name.regime.id()))
        .filter(Column::Period.eq(name.period.to_string()))
}

impl Store {
    /// Keeps what a unit asks, or gives what was answered to the same request before. `check` is given the obligation.
    ///
    /// Errors: nobody owes it; the unit has asked for the same and nobody has decided; what `check` refuses.
    pub async fn request_insert(
        &self,
        request: &ObligationRequest,
        key: Option<&RequestKey>,
        answer: &pb::ObligationRequest,
        check: impl Fn(&Obligation) -> Result<(), Refusal>,
    ) -> Result<pb::ObligationRequest, Error> {
        let name = &request.name.obligation;
        self.database
            .write(async |write| {
                if let Some(before) = answered(write, key).await? {
                    return Ok(before);
                }
                let obligation = Self::obligation_in_turn(write, name).await?;
                let (kind, _) = kind(request.asked);
                let pending = of(name)
                    .filter(Column::Kind.eq(kind))
                    .filter(Column::State.eq(State::Pending.as_str()));
                if let Some(pending) = pending.one(&**write).await? {
                    return Err(Refusal::RequestExists(pending.read()?.name).into());
                }
                check(&obligation)?;
                Entity::insert(row(request)).exec_without_returning(&**write).await?;
                if let Some(key) = key {
                    write.answer(key, answer, request.create_time).await?;
                }
                Ok(answer.clone())
            })
            .await
    }

    /// Decides a request, once, or gives what was answered to the same call before. `decide` is given the request and its
    /// obligation, and says what becomes of the request, which decision comes of it, and what is answered.
    ///
    /// Errors: there is no such request, or what `decide` refuses.
    pub async fn request_decide(
        &self,
        name: &RequestName,
        calendars: &Arc<Calendars>,
        key: Option<&RequestKey>,
        decide: impl Fn(
            &mut ObligationRequest,
            Obligation,
            &Calendars,
        ) -> Result<(Option<(Decision, Effect)>, pb::ObligationRequest), Refusal>,
    ) -> Result<pb::ObligationRequest, Error> {
        self.database
            .write(async |write| {
                if let Some(before) = answered(write, key).await? {
                    return Ok(before);
                }
                let obligation = Self::obligation_in_turn(write, &name.obligation).await;
                let mut request = Self::request_in(write, name).await?;
                let calendars = Self::calendars_locked(write, calendars).await?;
                let (made, answer) = decide(&mut request, obligation?, &calendars)?;
                Self::request_settle(write, &request).await?;
                if let Some((decision, effect)) = &made {
                    Self::decision_insert(write, decision, effect).await?;
                }
                if let (Some(key), Some(decided)) = (key, &request.decided) {
                    write.answer(key, &answer, decided.time).await?;
                }
                Ok(answer)
            })
            .await
    }

    /// Takes a request back. `withdraw` says whether that is new.
    ///
    /// Errors: there is no such request, or what `withdraw` refuses.
    pub async fn request_withdraw(
        &self,
        name: &RequestName,
        withdraw: impl Fn(&mut ObligationRequest) -> Result<bool, Refusal>,
    ) -> Result<ObligationRequest, Error> {
        self.database
            .write(async |write| {
                let mut request = Self::request_in(write, name).await?;
                if withdraw(&mut request)? {
                    Self::request_settle(write, &request).await?;
                }
                Ok(request)
            })
            .await
    }

    async fn request_in(write: &Write<'_>, name: &RequestName) -> Result<ObligationRequest, Error> {
        let row = of(&name.obligation).filter(Column::Id.eq(name.id)).one(&**write).await?;
        row.ok_or_else(|| Refusal::UnknownRequest(name.clone()))?.read()
    }

    /// Writes what became of a request that was pending.
    ///
    /// Errors: it is so no longer.
    async fn request_settle(write: &Write<'_>, request: &ObligationRequest) -> Result<(), Error> {
        let decided = request.decided.as_ref();
        let changed = Entity::update_many()
            .col_expr(Column::State, Expr::value(request.state.as_str()))
            .col_expr(Column::Decider, Expr::value(decided.map(|one| one.author.as_str())))
            .col_expr(Column::DecideUs, Expr::value(decided.map(|one| us(one.time))))
            .col_expr(Column::Answer, Expr::value(decided.map(|one| one.answer.as_str())))
            .col_expr(Column::DecisionId, Expr::value(request.decision))
            .filter(Column::Id.eq(request.name.id))
            .filter(Column::State.eq(State::Pending.as_str()))
            .exec(&**write)
            .await?;
        if changed.rows_affected == 1 {
            return Ok(());
        }
        // Another one was faster, and has committed since this transaction read the request.
        let now = Self::request_in(write, &request.name).await?;
        Err(Refusal::Decided(now.name.clone(), now.state.as_str()).into())
    }

    /// `limit` requests after one, the last first.
    pub async fn request_page(
        &self,
        filter: &RequestFilter,
        after: Option<RequestsKey>,
        limit: u64,
    ) -> Result<Vec<ObligationRequest>, Error> {
        let mut query = Entity::find()
            .filter(Column::UnitId.is_in(filter.units.iter().map(|unit| unit.uuid())))
            .limit(limit);
        if let Some(regimes) = &filter.regimes {
            query = query.filter(Column::Regime.is_in(regimes.iter().map(String::as_str)));
        }
        if !filter.states.is_empty() {
            let states = filter.states.iter().map(|state| state.as_str());
            query = query.filter(Column::State.is_in(states));
        }
        if let Some(after) = after {
            let row = Expr::tuple([Column::CreateUs, Column::Id].map(Expr::col).map(Into::into));
            let key = Expr::tuple([Expr::value(after.create_us), Expr::value(after.id)]);
            query = query.filter(row.lt(key));
        }
        let query = query.order_by_desc(Column::CreateUs).order_by_desc(Column::Id);
        let rows = query.all(self.database.reader()).await?;
        rows.into_iter().map(Model::read).collect()
    }

    /// What was asked about an obligation, the first first.
    pub async fn requests_about(
        &self,
        name: &ObligationName,
    ) -> Result<Vec<ObligationRequest>, Error> {
        let query = of(name).order_by_asc(Column::CreateUs).order_by_asc(Column::Id);
        let rows = query.all(self.database.reader()).await?;
        rows.into_iter().map(Model::read).collect()
    }
}
