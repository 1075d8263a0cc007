//! The table `form`: forms that were published, and which forms are retired.

use dunghan_store::{RequestKey, by_key};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, Func, OnConflict};
use sea_orm::{ActiveValue::Set, ConnectionTrait, QuerySelect as _, SqlErr};

use super::report_row::{json, time, unreadable};
use super::{Error, Reply, Store, answer};
use crate::domain::form::{FormText, Published, Retired};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "form")]
pub(super) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub content: Option<String>,
    pub author: String,
    pub create_us: i64,
    pub retire_us: Option<i64>,
    pub retire_reason: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(super) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What is kept of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptForm {
    /// Without `forms/`.
    pub key: String,
    /// What it says, since when and by whom; none where it came with the program.
    pub published: Option<(FormText, Published)>,
    /// Since when it is out of use.
    pub retired: Option<Retired>,
}

impl Model {
    fn read(self) -> Result<KeptForm, Error> {
        let published = self.content.map(|content| {
            let text = serde_json::from_str(&content).map_err(unreadable)?;
            Ok::<_, Error>((text, Published { at: time(self.create_us)?, author: self.author }))
        });
        let retired = self.retire_us.map(|at| {
            Ok::<_, Error>(Retired {
                at: time(at)?,
                reason: self.retire_reason.unwrap_or_default(),
            })
        });
        Ok(KeptForm {
            key: self.id,
            published: published.transpose()?,
            retired: retired.transpose()?,
        })
    }
}

/// Larger with every change of the table, by the rows that there are.
fn version(rows: &[KeptForm]) -> i64 {
    let retired = rows.iter().filter(|row| row.retired.is_some()).count();
    i64::try_from(rows.len() + retired).unwrap_or(i64::MAX)
}

impl Store {
    /// Larger with every form that is published or retired.
    pub async fn form_version(&self) -> Result<i64, Error> {
        let found: Option<(i64, i64)> = Entity::find()
            .select_only()
            .expr(Func::count(Expr::col(Column::Id)))
            .expr(Func::count(Expr::col(Column::RetireUs)))
            .into_tuple()
            .one(self.database.reader())
            .await?;
        Ok(found.map_or(0, |(rows, retired)| rows + retired))
    }

    /// All that is kept of forms, and which version that is.
    pub async fn form_all(&self) -> Result<(i64, Vec<KeptForm>), Error> {
        let rows = Entity::find().all(self.database.reader()).await?;
        let rows = rows.into_iter().map(Model::read).collect::<Result<Vec<_>, _>>()?;
        Ok((version(&rows), rows))
    }

    /// Keeps a form that is published.
    ///
    /// Errors: `FormExists`.
    pub async fn form_insert<M: prost::Message>(
        &self,
        text: &FormText,
        published: &Published,
        reply: Option<Reply<'_, M>>,
    ) -> Result<(), Error> {
        let row = ActiveModel {
            id: Set(text.key.clone()),
            content: Set(Some(json(text)?)),
            author: Set(published.author.clone()),
            create_us: Set(published.at.timestamp_micros()),
            retire_us: Set(None),
            retire_reason: Set(None),
        };
        let written = self
            .database
            .write(async |write| {
                Entity::insert(row).exec_without_returning(&**write).await?;
                answer(write, reply, published.at).await
            })
            .await;
        match written {
            Err(Error::Database(error))
                if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) =>
            {
                Err(Error::FormExists(text.key.clone()))
            }
            written => written,
        }
    }

    /// Retires a form, published or not, unless it is retired already; what `respond` makes of what is kept then is answered.
    pub async fn form_retire<M: prost::Message>(
        &self,
        key: &str,
        author: &str,
        retired: &Retired,
        request: Option<&RequestKey>,
        respond: impl Fn(KeptForm) -> M,
    ) -> Result<M, Error> {
        let (us, reason) = (retired.at.timestamp_micros(), retired.reason.as_str());
        let row = || ActiveModel {
            id: Set(key.to_owned()),
            content: Set(None),
            author: Set(author.to_owned()),
            create_us: Set(us),
            retire_us: Set(Some(us)),
            retire_reason: Set(Some(reason.to_owned())),
        };
        self.database
            .write(async |write| {
                let nothing = OnConflict::new().do_nothing().to_owned();
                Entity::insert(row()).on_conflict(nothing).exec_without_returning(&**write).await?;
                Entity::update_many()
                    .col_expr(Column::RetireUs, us.into())
                    .col_expr(Column::RetireReason, reason.into())
                    .filter(Column::Id.eq(key))
                    .filter(Column::RetireUs.is_null())
                    .exec(&**write)
                    .await?;
                let kept = fetch(&**write, key).await?;
                let kept = kept.ok_or_else(|| DbErr::RecordNotFound(format!("form {key}")))?;
                let response = respond(kept);
                let reply = request.map(|key| Reply { key, response: &response });
                answer(write, reply, retired.at).await?;
                Ok(response)
            })
            .await
    }
}

async fn fetch(connection: &impl ConnectionTrait, key: &str) -> Result<Option<KeptForm>, Error> {
    let found = by_key(connection, Entity::find_by_id(key)).await?;
    found.map(Model::read).transpose()
}
