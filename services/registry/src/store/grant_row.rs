//! The tables `role_grant` and `grants_version`, and how a row of the one is a [`Grant`].

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_events::append;
use dunghan_hierarchy::{UnitId, Validity};
use dunghan_proto::events::GrantChanged;
use dunghan_proto::events::event::Payload;
use dunghan_store::{RequestKey, Write, rows_per_insert};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _};
use sea_orm::{IntoActiveModel as _, QueryOrder as _, QuerySelect as _, Statement};
use serde::{Deserialize, Serialize};

use super::{Error, Store, bad_row, instant};
use crate::domain::ending::Ending;
use crate::domain::grant::{Grant, GrantName, Over, Role};
use role_grant::{ActiveModel, Column, Entity, Model};

const TABLE: &str = "role_grant";

mod role_grant {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "role_grant")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub subject: String,
        pub role: String,
        pub unit_id: Option<Uuid>,
        pub regime: Option<String>,
        pub valid_from: Option<Date>,
        pub valid_until: Option<Date>,
        pub reason: String,
        pub creator: String,
        pub create_us: i64,
        pub revoker: Option<String>,
        pub revoke_us: Option<i64>,
        pub revoke_reason: Option<String>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Where a grant stands in the order of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantKey {
    create_us: i64,
    grant: Uuid,
}

impl From<&Grant> for GrantKey {
    fn from(grant: &Grant) -> Self {
        Self { create_us: grant.create_time.timestamp_micros(), grant: grant.name.0 }
    }
}

/// Which grants to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantFilter {
    /// Only of this subject.
    pub subject: Option<String>,
    /// Only over this very unit.
    pub unit: Option<UnitId>,
    /// Only those that are not revoked and hold on this day or later.
    pub from: Option<NaiveDate>,
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Reader => "reader",
        Role::Reporter => "reporter",
        Role::Supervisor => "supervisor",
        Role::Importer => "importer",
        Role::Operator => "operator",
    }
}

fn role(word: &str) -> Result<Role, Error> {
    match word {
        "reader" => Ok(Role::Reader),
        "reporter" => Ok(Role::Reporter),
        "supervisor" => Ok(Role::Supervisor),
        "importer" => Ok(Role::Importer),
        "operator" => Ok(Role::Operator),
        other => Err(bad_row(TABLE, format!("role {other}"))),
    }
}

fn row(grant: &Grant) -> Model {
    let grant = grant.clone();
    let (unit_id, regime) = match grant.over {
        Over::Everything => (None, None),
        Over::Subtree(unit) => (Some(unit.uuid()), None),
        Over::Regime(regime) => (None, Some(regime)),
    };
    let (revoker, revoke_us, revoke_reason) = match grant.revoked {
        None => (None, None, None),
        Some(Ending { by, at, reason }) => (Some(by), Some(at.timestamp_micros()), Some(reason)),
    };
    Model {
        id: grant.name.0,
        subject: grant.subject,
        role: word(grant.role).to_owned(),
        unit_id,
        regime,
        valid_from: grant.validity.from,
        valid_until: grant.validity.until,
        reason: grant.reason,
        creator: grant.creator,
        create_us: grant.create_time.timestamp_micros(),
        revoker,
        revoke_us,
        revoke_reason,
    }
}

impl Model {
    fn read(self) -> Result<Grant, Error> {
        let over = match (self.unit_id, self.regime) {
            (None, None) => Over::Everything,
            (Some(unit), None) => Over::Subtree(UnitId::from_uuid(unit)),
            (None, Some(regime)) => Over::Regime(regime),
            (Some(_), Some(_)) => return Err(bad_row(TABLE, "over a unit and a regime")),
        };
        let revoked = match (self.revoker, self.revoke_us, self.revoke_reason) {
            (None, None, None) => None,
            (Some(by), Some(us), Some(reason)) => {
                Some(Ending { by, at: instant(TABLE, us)?, reason })
            }
            _ => return Err(bad_row(TABLE, "half a revocation")),
        };
        Ok(Grant {
            name: GrantName(self.id),
            subject: self.subject,
            role: role(&self.role)?,
            over,
            validity: Validity { from: self.valid_from, until: self.valid_until },
            reason: self.reason,
            creator: self.creator,
            create_time: instant(TABLE, self.create_us)?,
            revoked,
        })
    }
}

/// Moves the version of the grants on and tells the others, in the transaction that changes one.
async fn tell(write: &Write<'_>, grant: &Grant, at: DateTime<Utc>) -> Result<(), DbErr> {
    let sql = "UPDATE grants_version SET version = version + 1";
    write.execute_unprepared(sql).await?;
    let changed = GrantChanged { grant: grant.name.to_string() };
    append(write, at, Payload::GrantChanged(changed)).await
}

impl Store {
    /// Adds a grant, over a unit that is there if over one, and tells the others.
    pub async fn grant_insert<M: prost::Message>(
        &self,
        grant: &Grant,
        reply: Option<(&RequestKey, &M)>,
    ) -> Result<(), Error> {
        let row = row(grant).into_active_model();
        self.database
            .write(async |write| {
                Entity::insert(row).exec_without_returning(&**write).await?;
                tell(write, grant, grant.create_time).await?;
                if let Some((key, response)) = reply {
                    write.answer(key, response, grant.create_time).await?;
                }
                Ok(())
            })
            .await
    }

    /// One grant.
    ///
    /// # Errors
    ///
    /// [`Error::GrantNotFound`].
    pub async fn grant_fetch(&self, name: GrantName) -> Result<Grant, Error> {
        let row = Entity::find_by_id(name.0).one(self.database.reader()).await?;
        row.ok_or(Error::GrantNotFound(name))?.read()
    }

    /// Writes the revocation of a grant that nobody has revoked, and tells the others; false where somebody has.
    pub async fn grant_revoke(&self, grant: &Grant) -> Result<bool, Error> {
        let Model { revoker, revoke_us, revoke_reason, .. } = row(grant);
        let row = ActiveModel {
            revoker: Set(revoker),
            revoke_us: Set(revoke_us),
            revoke_reason: Set(revoke_reason),
            ..Default::default()
        };
        let at = grant.revoked.as_ref().map_or(grant.create_time, |revoked| revoked.at);
        self.database
            .write(async |write| {
                let written = Entity::update_many()
                    .set(row)
                    .filter(Column::Id.eq(grant.name.0))
                    .filter(Column::RevokeUs.is_null())
                    .exec(&**write)
                    .await?;
                let revoked = written.rows_affected == 1;
                if revoked {
                    tell(write, grant, at).await?;
                }
                Ok(revoked)
            })
            .await
    }

    /// Up to `limit` grants after a key, the last one first.
    pub async fn grant_page(
        &self,
        filter: &GrantFilter,
        after: Option<GrantKey>,
        limit: usize,
    ) -> Result<Vec<Grant>, Error> {
        let mut query = Entity::find();
        if let Some(subject) = &filter.subject {
            query = query.filter(Column::Subject.eq(subject.as_str()));
        }
        if let Some(unit) = filter.unit {
            query = query.filter(Column::UnitId.eq(unit.uuid()));
        }
        if let Some(day) = filter.from {
            query = query.filter(Column::RevokeUs.is_null()).filter(holds_after(day));
        }
        if let Some(after) = after {
            let columns = [Column::CreateUs, Column::Id];
            let key = Expr::tuple([Expr::value(after.create_us), Expr::value(after.grant)]);
            query = query.filter(Expr::tuple(columns.map(Expr::col).map(Into::into)).lt(key));
        }
        let rows = query
            .order_by_desc(Column::CreateUs)
            .order_by_desc(Column::Id)
            .limit(u64::try_from(limit).unwrap_or(u64::MAX))
            .all(self.database.reader())
            .await?;
        rows.into_iter().map(Model::read).collect()
    }

    /// The grants over these very units that are not revoked and hold on this day or later: whom it concerns if the units
    /// end on it. The oldest first.
    pub async fn grants_over(&self, units: &[UnitId], day: NaiveDate) -> Result<Vec<Grant>, Error> {
        let mut found = Vec::new();
        for units in units.chunks(rows_per_insert(1)) {
            let rows = Entity::find()
                .filter(Column::UnitId.is_in(units.iter().map(|unit| unit.uuid())))
                .filter(Column::RevokeUs.is_null())
                .filter(holds_after(day))
                .all(self.database.reader())
                .await?;
            for row in rows {
                found.push(row.read()?);
            }
        }
        found.sort_by_key(|grant| (grant.create_time, grant.name.0));
        Ok(found)
    }

    /// The version of the grants.
    pub async fn grants_version(&self) -> Result<i64, Error> {
        let sql = "SELECT version FROM grants_version";
        let statement = Statement::from_string(self.database.engine(), sql);
        let row = self.database.reader().query_one_raw(statement).await?;
        Ok(row.map_or(Ok(0), |row| row.try_get_by_index(0))?)
    }

    /// All grants that are not revoked, of one version, unless that is the version that is known.
    pub async fn grants_fetch(&self, known: i64) -> Result<(i64, Option<Vec<Grant>>), Error> {
        loop {
            let version = self.grants_version().await?;
            if version == known {
                return Ok((version, None));
            }
            let rows = Entity::find()
                .filter(Column::RevokeUs.is_null())
                .order_by_asc(Column::CreateUs)
                .order_by_asc(Column::Id)
                .all(self.database.reader())
                .await?;
            // Each statement sees what is committed when it begins, and every change moves the version with it: where
            // that stood still, nothing changed in between.
            if self.grants_version().await? == version {
                let grants = rows.into_iter().map(Model::read).collect::<Result<_, _>>()?;
                return Ok((version, Some(grants)));
            }
        }
    }
}

/// The end is not yet on that day.
fn holds_after(day: NaiveDate) -> Condition {
    Condition::any().add(Column::ValidUntil.is_null()).add(Column::ValidUntil.gt(day))
}
