//! The table `reorganisation`: one of the two kinds of entries of the record.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_events::append;
use dunghan_hierarchy::UnitHistory;
use dunghan_proto::events::ReorganisationApplied;
use dunghan_proto::events::event::Payload;
use dunghan_proto::registry as pb;
use dunghan_rpc::field;
use dunghan_store::{Answered, RequestKey, Write};
use prost::Message as _;
use sea_orm::entity::prelude::*;
use sea_orm::{
    Condition, DatabaseConnection, IntoActiveModel as _, Iterable as _, QueryOrder as _,
    QuerySelect as _,
};

use super::{EdgeChange, Error, Store};

mod reorganisation {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "reorganisation")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub effective: Date,
        pub version: i64,
        pub corrects: Option<String>,
        pub corrected_by: Option<String>,
        pub creator: String,
        pub create_us: i64,
        pub head: Vec<u8>,
        pub body: Vec<u8>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A reorganisation as it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// What follows `reorganisations/` in its name.
    pub id: String,
    /// The first day on which it holds.
    pub effective: NaiveDate,
    /// The version of the hierarchy that it made.
    pub version: u64,
    /// The id of the one in whose place it stands.
    pub corrects: Option<String>,
    /// The id of the one that stands in its place.
    pub corrected_by: Option<String>,
    /// Who recorded it.
    pub creator: String,
    /// When.
    pub create_time: DateTime<Utc>,
    /// What was stated, without anything that the service adds; in lists without the changes.
    pub stated: pb::Reorganisation,
}

/// Where a page of reorganisations ended.
pub type ReorganisationKey = (NaiveDate, u64);

impl Recorded {
    /// As it stands in lists.
    #[must_use]
    pub fn without_changes(&self) -> Self {
        let pb::Reorganisation {
            title,
            legal_basis,
            effective_date,
            unconfirmed,
            corrects,
            source,
            ..
        } = &self.stated;
        let stated = pb::Reorganisation {
            title: title.clone(),
            legal_basis: legal_basis.clone(),
            effective_date: *effective_date,
            unconfirmed: unconfirmed.clone(),
            corrects: corrects.clone(),
            source: source.clone(),
            ..pb::Reorganisation::default()
        };
        Self {
            id: self.id.clone(),
            effective: self.effective,
            version: self.version,
            corrects: self.corrects.clone(),
            corrected_by: self.corrected_by.clone(),
            creator: self.creator.clone(),
            create_time: self.create_time,
            stated,
        }
    }

    fn row(&self) -> reorganisation::ActiveModel {
        reorganisation::Model {
            id: self.id.clone(),
            effective: self.effective,
            version: self.version.cast_signed(),
            corrects: self.corrects.clone(),
            corrected_by: self.corrected_by.clone(),
            creator: self.creator.clone(),
            create_us: self.create_time.timestamp_micros(),
            head: self.without_changes().stated.encode_to_vec(),
            body: self.stated.encode_to_vec(),
        }
        .into_active_model()
    }

    fn read(row: reorganisation::Model) -> Result<Self, Error> {
        // Lists do without the body.
        let stated = if row.body.is_empty() { row.head } else { row.body };
        let stated = pb::Reorganisation::decode(stated.as_slice())?;
        Ok(Self {
            id: row.id,
            effective: row.effective,
            version: row.version.cast_unsigned(),
            corrects: row.corrects,
            corrected_by: row.corrected_by,
            creator: row.creator,
            create_time: DateTime::from_timestamp_micros(row.create_us).unwrap_or_default(),
            stated,
        })
    }

    fn event(&self) -> Payload {
        let name = |id: &String| format!("reorganisations/{id}");
        Payload::ReorganisationApplied(ReorganisationApplied {
            reorganisation: name(&self.id),
            effective_date: Some(field::pb_date(self.effective)),
            hierarchy_version: self.version.cast_signed(),
            corrects: self.corrects.as_ref().map(name).unwrap_or_default(),
        })
    }
}

/// What new reorganisations make of the units.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The version that they were applied to.
    pub read_at: u64,
    /// The units whose histories are not what they were.
    pub units: &'a [&'a UnitHistory],
    /// What becomes of the edges.
    pub edges: EdgeChange<'a>,
}

impl Store {
    /// What was answered to a request.
    pub async fn request_answered<M: prost::Message + Default>(
        &self,
        key: &RequestKey,
    ) -> Result<Answered<M>, Error> {
        Ok(self.database.answered(key).await?)
    }

    /// Records new reorganisations, the one of the highest version last, with what they make of the units, and tells the
    /// others. With `reply`, that is what the same request is answered from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Overtaken`] when something else was recorded since they were applied.
    pub async fn reorganisations_record(
        &self,
        new: &[Recorded],
        outcome: Outcome<'_>,
        at: DateTime<Utc>,
        reply: Option<(&RequestKey, &pb::Reorganisation)>,
    ) -> Result<(), Error> {
        let to_version = new.iter().map(|one| one.version).max().unwrap_or(outcome.read_at);
        let Outcome { read_at, units, edges } = outcome;
        let also = async |write: &Write<'_>| {
            for one in new {
                reorganisation::Entity::insert(one.row()).exec_without_returning(&**write).await?;
                if let Some(corrected) = &one.corrects {
                    reorganisation::Entity::update_many()
                        .col_expr(reorganisation::Column::CorrectedBy, Expr::value(&one.id))
                        .filter(reorganisation::Column::Id.eq(corrected))
                        .exec(&**write)
                        .await?;
                }
                append(write, at, one.event()).await?;
            }
            if let Some((key, response)) = reply {
                write.answer(key, response, at).await?;
            }
            Ok(())
        };
        self.hierarchy_move(read_at, to_version, units, edges, at, also).await
    }

    /// One reorganisation, whole.
    pub async fn reorganisation_fetch(&self, id: &str) -> Result<Option<Recorded>, Error> {
        let row = reorganisation::Entity::find_by_id(id).one(self.database.reader()).await?;
        row.map(Recorded::read).transpose()
    }

    /// Those of these ids that there are, whole.
    pub async fn reorganisation_fetch_many(
        &self,
        ids: &[&str],
    ) -> Result<BTreeMap<String, Recorded>, Error> {
        let query = reorganisation::Entity::find();
        let query = query.filter(reorganisation::Column::Id.is_in(ids.iter().copied()));
        let rows = query.all(self.database.reader()).await?;
        rows.into_iter()
            .map(|row| Recorded::read(row).map(|read| (read.id.clone(), read)))
            .collect()
    }

    /// All of them, whole, in the order in which they were recorded.
    pub async fn reorganisation_all(&self) -> Result<Vec<Recorded>, Error> {
        let query = reorganisation::Entity::find();
        let query = query.order_by_asc(reorganisation::Column::Version);
        let rows = query.all(self.database.reader()).await?;
        rows.into_iter().map(Recorded::read).collect()
    }

    /// `limit` of them after one, without their changes, the latest effective date first and of those the last recorded.
    pub async fn reorganisation_page(
        &self,
        after: Option<&ReorganisationKey>,
        limit: u64,
    ) -> Result<Vec<Recorded>, Error> {
        use reorganisation::Column::{Effective, Version};
        let mut query = heads().order_by_desc(Effective).order_by_desc(Version).limit(limit);
        if let Some((effective, version)) = after {
            let before = Version.lt(version.cast_signed());
            let same_day = Condition::all().add(Effective.eq(*effective)).add(before);
            query = query.filter(Condition::any().add(Effective.lt(*effective)).add(same_day));
        }
        let rows = query.all(self.database.reader()).await?;
        rows.into_iter().map(Recorded::read).collect()
    }
}

/// All that hold, without their changes.
pub(super) async fn that_hold(reader: &DatabaseConnection) -> Result<Vec<Recorded>, Error> {
    let query = heads().filter(reorganisation::Column::CorrectedBy.is_null());
    let rows = query.all(reader).await?;
    rows.into_iter().map(Recorded::read).collect()
}

/// The bodies are left in the table: the changes are nearly all of them.
fn heads() -> Select<reorganisation::Entity> {
    use reorganisation::Column;
    let columns = Column::iter().filter(|column| !matches!(column, Column::Body));
    let nothing = Expr::value(Vec::<u8>::new());
    reorganisation::Entity::find().select_only().columns(columns).expr_as(nothing, "body")
}
