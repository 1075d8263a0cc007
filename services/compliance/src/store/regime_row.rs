//! The tables `regime` and `opening`.
#![expect(unreachable_pub, reason = "the entity derive makes all that it writes public")]

use std::collections::HashMap;

use dunghan_calendar::Period;
use dunghan_proto::compliance as pb;
use dunghan_store::{Answered, RequestKey};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, QueryOrder as _, QuerySelect as _, SqlErr};

use super::{Error, Store, unreadable, us};
use crate::domain::regime::{Regime, RegimeId};

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

mod opening {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "opening")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub regime: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub period: String,
        pub hierarchy_version: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl regime::Model {
    fn read(self) -> Result<Regime, Error> {
        serde_json::from_str(&self.content).map_err(unreadable("regime"))
    }
}

impl Store {
    /// Puts a regime in force, or gives what was answered to the same request before; `answer` is what will be.
    pub async fn regime_insert(
        &self,
        regime: &Regime,
        request: Option<&RequestKey>,
        answer: pb::Regime,
    ) -> Result<pb::Regime, Error> {
        let row = regime::ActiveModel {
            id: Set(regime.id.id().to_owned()),
            content: Set(serde_json::to_string(regime).map_err(unreadable("regime"))?),
            create_us: Set(us(regime.create_time)),
        };
        let write = async || {
            let write = self.database.write(async |write| {
                if let Some(request) = request {
                    match write.answered(request).await? {
                        Answered::Yes(before) => return Ok(before),
                        Answered::Reused => return Err(Error::RequestIdReused),
                        Answered::No => write.answer(request, &answer, regime.create_time).await?,
                    }
                }
                regime::Entity::insert(row.clone()).exec_without_returning(&**write).await?;
                Ok(answer.clone())
            });
            write.await.map_err(|error| match error {
                Error::Database(e)
                    if matches!(e.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) =>
                {
                    Error::RegimeExists(regime.id.clone())
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

    /// One regime.
    pub async fn regime_fetch(&self, id: &RegimeId) -> Result<Regime, Error> {
        let row = regime::Entity::find_by_id(id.id()).one(self.database.reader()).await?;
        row.ok_or_else(|| Error::UnknownRegime(id.clone()))?.read()
    }

    /// `limit` regimes after one, by name.
    pub async fn regime_page(&self, after: Option<&str>, limit: u64) -> Result<Vec<Regime>, Error> {
        let mut query = regime::Entity::find().order_by_asc(regime::Column::Id).limit(limit);
        if let Some(after) = after {
            query = query.filter(regime::Column::Id.gt(after));
        }
        let rows = query.all(self.database.reader()).await?;
        rows.into_iter().map(regime::Model::read).collect()
    }

    /// How many regimes there are.
    pub async fn regime_count(&self) -> Result<u64, Error> {
        Ok(regime::Entity::find().count(self.database.reader()).await?)
    }

    /// All regimes, by name.
    pub async fn regime_all(&self) -> Result<Vec<Regime>, Error> {
        let rows = regime::Entity::find()
            .order_by_asc(regime::Column::Id)
            .all(self.database.reader())
            .await?;
        rows.into_iter().map(regime::Model::read).collect()
    }

    /// By which version of the hierarchy each period of a regime was opened.
    pub async fn opening_fetch(&self, id: &RegimeId) -> Result<HashMap<String, u64>, Error> {
        let rows = opening::Entity::find()
            .filter(opening::Column::Regime.eq(id.id()))
            .all(self.database.reader())
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.period, row.hierarchy_version.cast_unsigned()))
            .collect())
    }

    /// By which version of the hierarchy a period was opened.
    pub(super) async fn opening_version(
        write: &dunghan_store::Write<'_>,
        id: &RegimeId,
        period: Period,
    ) -> Result<Option<u64>, DbErr> {
        let key = (id.id().to_owned(), period.to_string());
        let row = opening::Entity::find_by_id(key).one(&**write).await?;
        Ok(row.map(|row| row.hierarchy_version.cast_unsigned()))
    }

    pub(super) async fn opening_record(
        write: &dunghan_store::Write<'_>,
        id: &RegimeId,
        period: Period,
        hierarchy_version: u64,
    ) -> Result<(), DbErr> {
        let row = opening::ActiveModel {
            regime: Set(id.id().to_owned()),
            period: Set(period.to_string()),
            hierarchy_version: Set(hierarchy_version.cast_signed()),
        };
        let key = [opening::Column::Regime, opening::Column::Period];
        let newest =
            OnConflict::columns(key).update_column(opening::Column::HierarchyVersion).to_owned();
        opening::Entity::insert(row).on_conflict(newest).exec_without_returning(&**write).await?;
        Ok(())
    }
}
