//! The table `contact`, and how a row of it is a [`Contact`].

use chrono::NaiveDate;
use dunghan_events::append;
use dunghan_hierarchy::UnitId;
use dunghan_proto::events::ContactChanged;
use dunghan_proto::events::event::Payload;
use dunghan_store::{RequestKey, Write, rows_per_insert};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _};
use sea_orm::{IntoActiveModel as _, QueryOrder as _, QuerySelect as _};
use serde::{Deserialize, Serialize};

use super::{Error, Store, bad_row, instant};
use crate::domain::contact::{Contact, ContactName, ContactRole};
use crate::domain::ending::Ending;
use contact::{ActiveModel, Column, Entity, Model};

const TABLE: &str = "contact";

mod contact {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "contact")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub unit_id: Uuid,
        pub role: i64,
        pub display_name: String,
        pub email: String,
        pub phone: String,
        pub subject: String,
        pub valid_from: Date,
        pub valid_until: Option<Date>,
        pub creator: String,
        pub create_us: i64,
        pub ender: Option<String>,
        pub end_us: Option<i64>,
        pub end_reason: Option<String>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Where a contact stands in the order of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactKey {
    role: i64,
    from: NaiveDate,
    contact: Uuid,
}

impl From<&Contact> for ContactKey {
    fn from(contact: &Contact) -> Self {
        let Contact { name, role, from, .. } = contact;
        Self { role: number(*role), from: *from, contact: name.contact }
    }
}

/// Which contacts of a unit to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactFilter {
    /// Whose.
    pub unit: UnitId,
    /// Only those that hold on the second of these days and began on the first or after it.
    pub on: Option<(Option<NaiveDate>, NaiveDate)>,
    /// Only of these roles; empty: of all.
    pub roles: Vec<ContactRole>,
}

/// Roles as the table has them, which are sorted as the roles are.
fn number(role: ContactRole) -> i64 {
    match role {
        ContactRole::Reporter => 1,
        ContactRole::Head => 2,
        ContactRole::Supervisor => 3,
    }
}

fn role(number: i64) -> Result<ContactRole, Error> {
    match number {
        1 => Ok(ContactRole::Reporter),
        2 => Ok(ContactRole::Head),
        3 => Ok(ContactRole::Supervisor),
        other => Err(bad_row(TABLE, format!("role {other}"))),
    }
}

fn row(contact: &Contact) -> Model {
    let contact = contact.clone();
    let (ender, end_us, end_reason) = match contact.ending {
        None => (None, None, None),
        Some(Ending { by, at, reason }) => (Some(by), Some(at.timestamp_micros()), Some(reason)),
    };
    Model {
        id: contact.name.contact,
        unit_id: contact.name.unit.uuid(),
        role: number(contact.role),
        display_name: contact.display_name,
        email: contact.email,
        phone: contact.phone,
        subject: contact.subject,
        valid_from: contact.from,
        valid_until: contact.until,
        creator: contact.creator,
        create_us: contact.create_time.timestamp_micros(),
        ender,
        end_us,
        end_reason,
    }
}

impl Model {
    fn read(self) -> Result<Contact, Error> {
        let ending = match (self.ender, self.end_us, self.end_reason) {
            (None, None, None) => None,
            (Some(by), Some(us), Some(reason)) => {
                Some(Ending { by, at: instant(TABLE, us)?, reason })
            }
            _ => return Err(bad_row(TABLE, "half an end")),
        };
        Ok(Contact {
            name: ContactName { unit: UnitId::from_uuid(self.unit_id), contact: self.id },
            role: role(self.role)?,
            display_name: self.display_name,
            email: self.email,
            phone: self.phone,
            subject: self.subject,
            from: self.valid_from,
            until: self.valid_until,
            creator: self.creator,
            create_time: instant(TABLE, self.create_us)?,
            ending,
        })
    }
}

async fn tell(write: &Write<'_>, contact: &Contact) -> Result<(), DbErr> {
    let at = contact.ending.as_ref().map_or(contact.create_time, |ending| ending.at);
    let changed = ContactChanged { contact: contact.name.to_string() };
    append(write, at, Payload::ContactChanged(changed)).await
}

impl Store {
    /// Adds a contact of a unit that is there, and tells the others.
    pub async fn contact_insert<M: prost::Message>(
        &self,
        contact: &Contact,
        reply: Option<(&RequestKey, &M)>,
    ) -> Result<(), Error> {
        let row = row(contact).into_active_model();
        self.database
            .write(async |write| {
                Entity::insert(row).exec_without_returning(&**write).await?;
                tell(write, contact).await?;
                if let Some((key, response)) = reply {
                    write.answer(key, response, contact.create_time).await?;
                }
                Ok(())
            })
            .await
    }

    /// One contact.
    ///
    /// # Errors
    ///
    /// [`Error::ContactNotFound`], also where it is another unit's.
    pub async fn contact_fetch(&self, name: ContactName) -> Result<Contact, Error> {
        let row = Entity::find_by_id(name.contact)
            .filter(Column::UnitId.eq(name.unit.uuid()))
            .one(self.database.reader())
            .await?;
        row.ok_or(Error::ContactNotFound(name))?.read()
    }

    /// Writes the end of a contact that nobody has ended, and tells the others; false where somebody has.
    pub async fn contact_end(&self, contact: &Contact) -> Result<bool, Error> {
        let Model { valid_until, ender, end_us, end_reason, .. } = row(contact);
        let row = ActiveModel {
            valid_until: Set(valid_until),
            ender: Set(ender),
            end_us: Set(end_us),
            end_reason: Set(end_reason),
            ..Default::default()
        };
        self.database
            .write(async |write| {
                let written = Entity::update_many()
                    .set(row)
                    .filter(Column::Id.eq(contact.name.contact))
                    .filter(Column::EndUs.is_null())
                    .exec(&**write)
                    .await?;
                let ended = written.rows_affected == 1;
                if ended {
                    tell(write, contact).await?;
                }
                Ok(ended)
            })
            .await
    }

    /// Up to `limit` contacts after a key, by role, then by their first day.
    pub async fn contact_page(
        &self,
        filter: &ContactFilter,
        after: Option<ContactKey>,
        limit: usize,
    ) -> Result<Vec<Contact>, Error> {
        let mut query = Entity::find().filter(Column::UnitId.eq(filter.unit.uuid()));
        if let Some((since, day)) = filter.on {
            query = query.filter(Column::ValidFrom.lte(day)).filter(holds_after(day));
            if let Some(since) = since {
                query = query.filter(Column::ValidFrom.gte(since));
            }
        }
        if !filter.roles.is_empty() {
            query = query.filter(Column::Role.is_in(filter.roles.iter().copied().map(number)));
        }
        if let Some(after) = after {
            let columns = [Column::Role, Column::ValidFrom, Column::Id];
            let key = Expr::tuple([
                Expr::value(after.role),
                Expr::value(after.from),
                Expr::value(after.contact),
            ]);
            query = query.filter(Expr::tuple(columns.map(Expr::col).map(Into::into)).gt(key));
        }
        let rows = query
            .order_by_asc(Column::Role)
            .order_by_asc(Column::ValidFrom)
            .order_by_asc(Column::Id)
            .limit(u64::try_from(limit).unwrap_or(u64::MAX))
            .all(self.database.reader())
            .await?;
        rows.into_iter().map(Model::read).collect()
    }

    /// The contacts of these units that hold on this day or later: whom it concerns if the units end on it. In the order
    /// of the units' ids, and of each as in lists.
    pub async fn contacts_from(
        &self,
        units: &[UnitId],
        day: NaiveDate,
    ) -> Result<Vec<Contact>, Error> {
        let mut found = Vec::new();
        for units in units.chunks(rows_per_insert(1)) {
            let rows = Entity::find()
                .filter(Column::UnitId.is_in(units.iter().map(|unit| unit.uuid())))
                .filter(holds_after(day))
                .all(self.database.reader())
                .await?;
            for row in rows {
                found.push(row.read()?);
            }
        }
        found.sort_by_key(|one| (one.name.unit, one.role, one.from, one.name.contact));
        Ok(found)
    }
}

/// The end is not yet on that day.
fn holds_after(day: NaiveDate) -> Condition {
    Condition::any().add(Column::ValidUntil.is_null()).add(Column::ValidUntil.gt(day))
}
