//! The table `sweep_mark`: what sweeps know of each other, whichever process they run in.
#![expect(unreachable_pub, reason = "the entity derive makes all that it writes public")]

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, OnConflict};
use sea_orm::{ActiveValue::Set, DbErr};

use super::{Error, Store, from_us, us};
use crate::domain::sweep::{FURTHEST, SweepMark};

const TABLE: &str = "sweep_mark";
/// Its one row.
const NAME: &str = "sweep";

mod mark {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sweep_mark")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub swept_us: i64,
        pub success_us: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use mark::{Column, Entity};

impl Store {
    /// What sweeps know of each other; none before the first.
    pub async fn sweep_mark(&self) -> Result<Option<SweepMark>, Error> {
        let row = Entity::find_by_id(NAME).one(self.database.reader()).await?;
        row.map(mark::Model::read).transpose()
    }

    /// Notes that a sweep is done for a moment, and gives the mark as it is then. It stays where it was for a moment before it,
    /// and for one that [`SweepMark::is_jumped`] does not believe, unless that is `accepted`. The first sweep sets it.
    pub async fn sweep_begin(&self, at: DateTime<Utc>, accepted: bool) -> Result<SweepMark, Error> {
        let begun = mark::ActiveModel {
            name: Set(NAME.to_owned()),
            swept_us: Set(us(at)),
            success_us: Set(None),
        };
        let kept = Expr::col((Entity, Column::SweptUs));
        let mut ahead = Condition::all().add(kept.clone().lt(us(at)));
        if !accepted {
            ahead = ahead.add(kept.gte(us(at - FURTHEST)));
        }
        let ahead = OnConflict::column(Column::Name)
            .update_column(Column::SweptUs)
            .action_cond_where(ahead)
            .to_owned();
        self.database
            .write(async |write| {
                Entity::insert(begun).on_conflict(ahead).exec_without_returning(&**write).await?;
                let row = Entity::find_by_id(NAME).one(&**write).await?;
                row.ok_or_else(|| DbErr::RecordNotFound(TABLE.to_owned()))?.read()
            })
            .await
    }

    /// Notes that the sweep for a moment did all it had to.
    pub async fn sweep_succeeded(&self, at: DateTime<Utc>) -> Result<(), Error> {
        self.database
            .write(async |write| {
                Entity::update_many()
                    .col_expr(Column::SuccessUs, Expr::value(us(at)))
                    .filter(Column::Name.eq(NAME))
                    .exec(&**write)
                    .await?;
                Ok(())
            })
            .await
    }
}

impl mark::Model {
    fn read(self) -> Result<SweepMark, Error> {
        let time = |us| from_us(TABLE, us);
        let success = self.success_us.map(time).transpose()?;
        Ok(SweepMark { swept: time(self.swept_us)?, success })
    }
}
