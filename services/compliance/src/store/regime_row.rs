//! The table `regime`.
#![expect(unreachable_pub, reason = "the entity derive makes all that it writes public")]

use chrono::NaiveDate;
use dunghan_proto::compliance as pb;
use dunghan_store::{Answered, RequestKey, Write, by_key};
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, ConnectionTrait, QueryOrder as _, QuerySelect as _, SqlErr};
use serde_json::{Value, json};

use super::obligation_row::TURN as OBLIGATIONS;
use super::{Error, Store, opening_row, take_turns, unreadable, us};
use crate::domain::regime::{Conflict, Publication, Regime, RegimeId};

mod regime {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "regime")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub content: String,
        pub create_us: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Whose turn it is to say which regimes there are.
const TURN: &str = "regimes";
impl regime::Model {
    fn read(self) -> Result<Regime, Error> {
        let content = serde_json::from_str(&self.content).map_err(unreadable("regime"))?;
        serde_json::from_value(with_tiers(content)).map_err(unreadable("regime"))
    }
}

/// Regimes of before there were tiers said to whom, by when and by which form beside the rest: that is their one tier.
fn with_tiers(mut content: Value) -> Value {
    if let Some(regime) = content.as_object_mut().filter(|regime| !regime.contains_key("tiers")) {
        let mut taken = |key| regime.remove(key).unwrap_or_default();
        let (receiver, due, form) = (taken("receiving_unit"), taken("due"), taken("form"));
        let due = json!({ "by_level": [], "otherwise": due });
        let tier = json!({ "receiver": { "Unit": receiver }, "due": due, "form": form });
        regime.insert("tiers".to_owned(), json!([tier]));
    }
    content
}

fn written(regime: &Regime) -> Result<String, Error> {
    serde_json::to_string(regime).map_err(unreadable("regime"))
}

impl Store {
    /// Puts a regime in force as `judge` finds beside those that are, on a thread of its own, or gives what was answered to the
    /// same request before. `answer` is what is answered. With `only_tried` all is found out and nothing written.
    ///
    /// What it amends ends then, and the periods that were opened and that the amended one asks for no more are to be opened
    /// anew, which closes them.
    pub async fn regime_publish(
        &self,
        id: &RegimeId,
        request: Option<&RequestKey>,
        only_tried: bool,
        judge: impl FnOnce(Vec<Regime>) -> Result<Publication, Conflict> + Clone + Send + 'static,
        answer: fn(&Regime) -> pb::Regime,
    ) -> Result<pb::Regime, Error> {
        let request = request.filter(|_| !only_tried);
        let write = async || {
            let write = self.database.write(async |write| {
                // Two that contradict each other must not both find the other absent.
                take_turns(write, TURN).await?;
                if let Some(request) = request {
                    match write.answered(request).await? {
                        Answered::Yes(before) => return Ok(before),
                        Answered::Reused => return Err(Error::RequestIdReused),
                        Answered::No => {}
                    }
                }
                let existing = Self::regimes_of(&**write).await?;
                if existing.iter().any(|regime| regime.id == *id) {
                    return Err(Error::RegimeExists(id.clone()));
                }
                let judge = judge.clone();
                let judged = tokio::task::spawn_blocking(move || judge(existing)).await?;
                let Publication { regime, amended } = judged?;
                let answer = answer(&regime);
                if only_tried {
                    return Ok(answer);
                }
                if let Some(request) = request {
                    write.answer(request, &answer, regime.create_time).await?;
                }
                let row = regime::ActiveModel {
                    id: Set(regime.id.id().to_owned()),
                    content: Set(written(&regime)?),
                    create_us: Set(us(regime.create_time)),
                };
                regime::Entity::insert(row).exec_without_returning(&**write).await?;
                if let Some(amended) = amended {
                    Self::regime_end(write, &amended).await?;
                }
                Ok(answer)
            });
            write.await.map_err(|error| match error {
                Error::Database(e)
                    if matches!(e.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) =>
                {
                    Error::RegimeExists(id.clone())
                }
                other => other,
            })
        };
        match write().await {
            // It may be the same request that was faster: then its answer is there now.
            Err(Error::RegimeExists(_)) if request.is_some() => write().await,
            written => written,
        }
    }

    /// Writes that a regime ends earlier.
    async fn regime_end(write: &Write<'_>, regime: &Regime) -> Result<(), Error> {
        let row = regime::ActiveModel {
            id: Set(regime.id.id().to_owned()),
            content: Set(written(regime)?),
            ..Default::default()
        };
        regime::Entity::update(row).exec(&**write).await?;
        // Whoever opens a period by what the regime said before does so before this, or finds that it says otherwise.
        take_turns(write, OBLIGATIONS).await?;
        opening_row::invalidate(write, &regime.id, |period| !regime.asks_for(period)).await?;
        Ok(())
    }

    pub(super) async fn regimes_of(
        connection: &impl ConnectionTrait,
    ) -> Result<Vec<Regime>, Error> {
        let rows = regime::Entity::find().order_by_asc(regime::Column::Id).all(connection).await?;
        rows.into_iter().map(regime::Model::read).collect()
    }

    /// One regime.
    pub async fn regime_fetch(&self, id: &RegimeId) -> Result<Regime, Error> {
        let row = by_key(self.database.reader(), regime::Entity::find_by_id(id.id())).await?;
        row.ok_or_else(|| Error::UnknownRegime(id.clone()))?.read()
    }

    /// One regime, within a transaction that holds the turn to write obligations: it does not end meanwhile.
    pub(super) async fn regime_in_turn(write: &Write<'_>, id: &RegimeId) -> Result<Regime, Error> {
        let row = by_key(&**write, regime::Entity::find_by_id(id.id())).await?;
        row.ok_or_else(|| Error::UnknownRegime(id.clone()))?.read()
    }

    /// `limit` regimes after one, by name; with a day, of those in force on it.
    pub async fn regime_page(
        &self,
        after: Option<&str>,
        in_force_on: Option<NaiveDate>,
        limit: usize,
    ) -> Result<Vec<Regime>, Error> {
        let mut query = regime::Entity::find().order_by_asc(regime::Column::Id);
        if let Some(after) = after {
            query = query.filter(regime::Column::Id.gt(after));
        }
        if in_force_on.is_none() {
            query = query.limit(limit as u64);
        }
        // A catalogue has some hundred regimes: which are in force is read from each.
        let rows = query.all(self.database.reader()).await?;
        rows.into_iter()
            .map(regime::Model::read)
            .filter(|regime| match (regime, in_force_on) {
                (Ok(regime), Some(day)) => regime.is_in_force(day),
                _ => true,
            })
            .take(limit)
            .collect()
    }

    /// How many regimes there are.
    pub async fn regime_count(&self) -> Result<u64, Error> {
        Ok(regime::Entity::find().count(self.database.reader()).await?)
    }

    /// All regimes, by name.
    pub async fn regime_all(&self) -> Result<Vec<Regime>, Error> {
        Self::regimes_of(self.database.reader()).await
    }
}

#[cfg(test)]
mod tests {
    use dunghan_calendar::DueRule;

    use super::*;
    use crate::domain::regime::tests::regime as of;
    use crate::domain::regime::{DueRules, Receiver, Schedule};

    #[test]
    fn a_regime_of_before_there_were_tiers_has_one() {
        let whole = of(Schedule::Every(dunghan_calendar::Frequency::Month), "2026-05-01", None);
        let mut content = serde_json::to_value(&whole).unwrap();
        let before = content.as_object_mut().unwrap();
        let Receiver::Unit(receiver) = whole.tiers[0].receiver else { panic!("{whole:?}") };
        // As they were written: nothing of what came with tiers.
        let new = ["tiers", "kind", "means", "grace", "review_levels", "rule_family", "amends"];
        let newer = ["tell_from", "early_due_reason", "overlaps"];
        for key in new.iter().chain(&newer) {
            before.remove(*key).unwrap();
        }
        before.insert("receiving_unit".to_owned(), json!(receiver));
        before.insert("form".to_owned(), json!("forms/cds-1"));
        let read = |due: Value| {
            let mut content = content.clone();
            content["due"] = due;
            let row =
                regime::Model { id: "r".to_owned(), content: content.to_string(), create_us: 0 };
            row.read().unwrap()
        };
        assert_eq!(read(json!({ "working_days_after_cut_off": 3 })), whole);
        let undated = read(Value::Null);
        assert_eq!(undated.tiers[0].due, DueRules::default());
        let on = read(json!({ "day": 17, "month": "last" })).tiers.remove(0).due;
        assert!(matches!(on.otherwise, Some(DueRule::DayOfMonth { day: 17, .. })));
        // What is written now reads as it is.
        let row =
            regime::Model { id: "r".to_owned(), content: written(&whole).unwrap(), create_us: 0 };
        assert_eq!(row.read().unwrap(), whole);
    }
}
