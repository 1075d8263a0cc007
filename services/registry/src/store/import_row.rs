//! The tables `unit_import` and `unit_import_row`: the other kind of entries of the record, and imports that are none.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_hierarchy::{UnitHistory, UnitId};
use dunghan_proto::registry as pb;
use dunghan_store::{RequestKey, Write, rows_per_insert};
use futures::TryStreamExt as _;
use prost::Message as _;
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, IntoActiveModel as _, QueryOrder as _, QuerySelect as _};

use super::{EdgeChange, Error, Store};

/// How long an import is kept that changed nothing.
const KEPT_FOR: TimeDelta = TimeDelta::days(1);

mod import {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "unit_import")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub state: String,
        pub received: i64,
        pub created: i64,
        pub updated: i64,
        pub unchanged: i64,
        pub refused: i64,
        pub creator: String,
        pub create_us: i64,
        pub committer: Option<String>,
        pub commit_us: Option<i64>,
        pub judged_version: i64,
        pub version: Option<i64>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod row {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "unit_import_row")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub import_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i64,
        pub content: Vec<u8>,
        pub unit_id: Option<Uuid>,
        pub outcome: String,
        pub problems: Option<Vec<u8>>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportState {
    /// Judged and good.
    Staged,
    /// A row is bad.
    Refused,
    /// Applied.
    Committed,
}

impl ImportState {
    const ALL: [Self; 3] = [Self::Staged, Self::Refused, Self::Committed];

    fn word(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Refused => "refused",
            Self::Committed => "committed",
        }
    }
}

/// How many of which there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Rows that came.
    pub received: usize,
    /// Units that are new.
    pub created: usize,
    /// Units that gain or change a version or a code.
    pub updated: usize,
    /// Units that are there already, the same.
    pub unchanged: usize,
    /// Rows with something wrong.
    pub refused: usize,
}

/// An import and what came of it, without its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitImport {
    /// What follows `unitImports/` in its name.
    pub id: Uuid,
    /// Where it stands.
    pub state: ImportState,
    /// How many of what.
    pub counts: ImportCounts,
    /// Who sent it.
    pub creator: String,
    /// When.
    pub create_time: DateTime<Utc>,
    /// Who applied it, and when.
    pub committed: Option<(String, DateTime<Utc>)>,
    /// The version of the hierarchy that its rows were judged by.
    pub judged_version: u64,
    /// The version that it made: its place in the record. One without changed nothing.
    pub version: Option<u64>,
}

/// Where a page of imports ended: when the last one was created, in microseconds, and its id.
pub type ImportKey = (i64, Uuid);

impl UnitImport {
    /// Its place in lists.
    pub fn key(&self) -> ImportKey {
        (self.create_time.timestamp_micros(), self.id)
    }

    fn row(&self) -> import::Model {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        import::Model {
            id: self.id,
            state: self.state.word().to_owned(),
            received: count(self.counts.received),
            created: count(self.counts.created),
            updated: count(self.counts.updated),
            unchanged: count(self.counts.unchanged),
            refused: count(self.counts.refused),
            creator: self.creator.clone(),
            create_us: self.create_time.timestamp_micros(),
            committer: self.committed.as_ref().map(|(committer, _)| committer.clone()),
            commit_us: self.committed.as_ref().map(|(_, time)| time.timestamp_micros()),
            judged_version: self.judged_version.cast_signed(),
            version: self.version.map(u64::cast_signed),
        }
    }

    fn read(row: import::Model) -> Result<Self, Error> {
        let bad = || Error::BadRow { table: "unit_import", what: format!("state {}", row.state) };
        let state = ImportState::ALL.into_iter().find(|state| state.word() == row.state);
        let count = |count: i64| usize::try_from(count).unwrap_or_default();
        let time = |us: i64| DateTime::from_timestamp_micros(us).unwrap_or_default();
        Ok(Self {
            id: row.id,
            state: state.ok_or_else(bad)?,
            counts: ImportCounts {
                received: count(row.received),
                created: count(row.created),
                updated: count(row.updated),
                unchanged: count(row.unchanged),
                refused: count(row.refused),
            },
            creator: row.creator,
            create_time: time(row.create_us),
            committed: row.committer.zip(row.commit_us.map(time)),
            judged_version: row.judged_version.cast_unsigned(),
            version: row.version.map(i64::cast_unsigned),
        })
    }
}

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The unit that it is about; `None` where it does not read.
    pub unit: Option<UnitId>,
    /// What becomes of it.
    pub outcome: pb::RowOutcome,
    /// What is wrong with it.
    pub problems: Vec<pb::RowProblem>,
}

impl Verdict {
    fn problems(&self) -> Option<Vec<u8>> {
        let problems = self.problems.clone();
        let told = pb::JudgedRow { problems, ..Default::default() };
        (!self.problems.is_empty()).then(|| told.encode_to_vec())
    }

    fn read(row: &row::Model) -> Result<Self, Error> {
        let bad = || Error::BadRow { table: "unit_import_row", what: row.outcome.clone() };
        let told = pb::JudgedRow::decode(row.problems.as_deref().unwrap_or_default())?;
        Ok(Self {
            unit: row.unit_id.map(UnitId::from_uuid),
            outcome: pb::RowOutcome::from_str_name(&row.outcome).ok_or_else(bad)?,
            problems: told.problems,
        })
    }
}

/// The rows of an import, as they came and as they were judged; as many of the one as of the other.
#[derive(Clone, Copy, Debug)]
pub struct ImportRows<'a> {
    /// Each encoded, as it came.
    pub contents: &'a [Vec<u8>],
    /// What becomes of each.
    pub verdicts: &'a [Verdict],
}

/// An answer, to be given again if the same request comes again.
pub type Reply<'a> = Option<(&'a RequestKey, &'a pb::ImportUnitsResponse)>;

async fn insert(
    write: &Write<'_>,
    import: &UnitImport,
    rows: ImportRows<'_>,
    reply: Reply<'_>,
) -> Result<(), Error> {
    // Alone with its id it waits for the same request at once, rather than after all of its rows.
    if let Some((key, response)) = reply {
        write.answer(key, response, import.create_time).await?;
    }
    import::Entity::delete_many()
        .filter(import::Column::Version.is_null())
        .filter(import::Column::CreateUs.lt((import.create_time - KEPT_FOR).timestamp_micros()))
        .exec(&**write)
        .await?;
    let row = import.row().into_active_model();
    import::Entity::insert(row).exec_without_returning(&**write).await?;
    insert_rows(write, import.id, rows).await
}

async fn insert_rows(write: &Write<'_>, id: Uuid, rows: ImportRows<'_>) -> Result<(), Error> {
    let at_once = rows_per_insert(6);
    let chunks = rows.contents.chunks(at_once).zip(rows.verdicts.chunks(at_once));
    for (before, (contents, verdicts)) in chunks.enumerate() {
        let numbers = (before * at_once + 1..).filter_map(|number| i64::try_from(number).ok());
        let rows = numbers.zip(contents.iter().zip(verdicts));
        let rows = rows.map(|(number, (content, verdict))| {
            row::Model {
                import_id: id,
                number,
                content: content.clone(),
                unit_id: verdict.unit.map(UnitId::uuid),
                outcome: verdict.outcome.as_str_name().to_owned(),
                problems: verdict.problems(),
            }
            .into_active_model()
        });
        row::Entity::insert_many(rows).exec_without_returning(&**write).await?;
    }
    Ok(())
}

async fn settle(
    write: &Write<'_>,
    import: &UnitImport,
    rows: Option<ImportRows<'_>>,
) -> Result<(), Error> {
    let settled = import::Entity::update_many()
        .set(import.row().into_active_model().reset_all())
        .filter(import::Column::Id.eq(import.id))
        .filter(import::Column::State.eq(ImportState::Staged.word()))
        .exec(&**write)
        .await?;
    if settled.rows_affected != 1 {
        return Err(Error::Overtaken);
    }
    let Some(rows) = rows else { return Ok(()) };
    row::Entity::delete_many().filter(row::Column::ImportId.eq(import.id)).exec(&**write).await?;
    insert_rows(write, import.id, rows).await
}

impl Store {
    /// Keeps an import with its rows and its answer, and forgets those of more than a day ago that changed nothing. One that
    /// makes a version stores `units` in the place of what was stored of them, all in one transaction.
    ///
    /// # Errors
    ///
    /// [`Error::Overtaken`] when the stored version is not the one that the import was judged by, if it makes one;
    /// [`Error::Database`] also where the same request is being answered elsewhere.
    pub async fn import_insert(
        &self,
        import: &UnitImport,
        rows: ImportRows<'_>,
        units: &[&UnitHistory],
        reply: Reply<'_>,
    ) -> Result<(), Error> {
        let insert = async |write: &Write<'_>| insert(write, import, rows, reply).await;
        self.import_write(import, units, import.create_time, insert).await
    }

    /// Writes what has become of a staged import, and its rows where they were judged otherwise before; one that makes a
    /// version as [`Self::import_insert`] does.
    ///
    /// # Errors
    ///
    /// [`Error::Overtaken`] when it is not staged any more, or when the stored version is not the one that it was judged by,
    /// if it makes one.
    pub async fn import_settle(
        &self,
        import: &UnitImport,
        rows: Option<ImportRows<'_>>,
        units: &[&UnitHistory],
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let settle = async |write: &Write<'_>| settle(write, import, rows).await;
        self.import_write(import, units, at, settle).await
    }

    async fn import_write(
        &self,
        import: &UnitImport,
        units: &[&UnitHistory],
        at: DateTime<Utc>,
        write: impl AsyncFnOnce(&Write<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(version) = import.version else { return self.database().write(write).await };
        let (read_at, edges) = (import.judged_version, EdgeChange::Keep);
        self.hierarchy_move(read_at, version, units, edges, at, write).await
    }

    /// One import.
    pub async fn import_fetch(&self, id: Uuid) -> Result<Option<UnitImport>, Error> {
        let row = import::Entity::find_by_id(id).one(self.database().reader()).await?;
        row.map(UnitImport::read).transpose()
    }

    /// Up to `limit` imports after a key, the last created first.
    pub async fn import_page(
        &self,
        after: Option<ImportKey>,
        limit: usize,
    ) -> Result<Vec<UnitImport>, Error> {
        use import::Column::{CreateUs, Id};
        let mut found = import::Entity::find().order_by_desc(CreateUs).order_by_desc(Id);
        if let Some((create_us, id)) = after {
            let same_time = Condition::all().add(CreateUs.eq(create_us)).add(Id.lt(id));
            found = found.filter(Condition::any().add(CreateUs.lt(create_us)).add(same_time));
        }
        let rows = found.limit(limit as u64).all(self.database().reader()).await?;
        rows.into_iter().map(UnitImport::read).collect()
    }

    /// The imports that are entries of the record: the version that each made, and its id; in the order of the record.
    pub async fn imports_committed(&self) -> Result<Vec<(u64, Uuid)>, Error> {
        let rows: Vec<(i64, Uuid)> = import::Entity::find()
            .select_only()
            .columns([import::Column::Version, import::Column::Id])
            .filter(import::Column::Version.is_not_null())
            .order_by_asc(import::Column::Version)
            .into_tuple()
            .all(self.database().reader())
            .await?;
        Ok(rows.into_iter().map(|(version, id)| (version.cast_unsigned(), id)).collect())
    }

    /// The rows of an import as they came, in their order.
    pub async fn import_rows(&self, id: Uuid) -> Result<Vec<pb::UnitRow>, Error> {
        let contents: Vec<Vec<u8>> = row::Entity::find()
            .select_only()
            .column(row::Column::Content)
            .filter(row::Column::ImportId.eq(id))
            .order_by_asc(row::Column::Number)
            .into_tuple()
            .all(self.database().reader())
            .await?;
        contents.iter().map(|content| Ok(pb::UnitRow::decode(content.as_slice())?)).collect()
    }

    /// The rows of an import as they came, encoded, each with what becomes of it; in their order.
    pub async fn import_judged(&self, id: Uuid) -> Result<(Vec<Vec<u8>>, Vec<Verdict>), Error> {
        let (mut contents, mut verdicts) = (Vec::new(), Vec::new());
        let mut rows = row::Entity::find()
            .filter(row::Column::ImportId.eq(id))
            .order_by_asc(row::Column::Number)
            .stream(self.database().reader())
            .await?;
        while let Some(row) = rows.try_next().await? {
            verdicts.push(Verdict::read(&row)?);
            contents.push(row.content);
        }
        Ok((contents, verdicts))
    }

    /// Up to `limit` rows of an import after a number, those with one of `outcomes`, or all where there are none; each with
    /// its number.
    pub async fn import_row_page(
        &self,
        id: Uuid,
        outcomes: &BTreeSet<pb::RowOutcome>,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<(i64, pb::UnitRow, Verdict)>, Error> {
        use row::Column::{ImportId, Number, Outcome};
        let mut found = row::Entity::find().filter(ImportId.eq(id)).order_by_asc(Number);
        if !outcomes.is_empty() {
            found = found.filter(Outcome.is_in(outcomes.iter().map(pb::RowOutcome::as_str_name)));
        }
        if let Some(after) = after {
            found = found.filter(Number.gt(after));
        }
        let rows = found.limit(limit as u64).all(self.database().reader()).await?;
        rows.into_iter()
            .map(|row| {
                let content = pb::UnitRow::decode(row.content.as_slice())?;
                Ok((row.number, content, Verdict::read(&row)?))
            })
            .collect()
    }
}
