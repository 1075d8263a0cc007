//! The table `attachment`, and how a row of it is an [`Attachment`].

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use dunghan_store::Write;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ActiveValue::Set, ConnectionTrait, QueryOrder as _, QuerySelect as _, Statement};

use super::Error;
use super::report_row::{time, unreadable};
use crate::domain::attachment::{Attachment, AttachmentName, Erasure};
use crate::domain::report::{AttachedFile, ReportName};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attachment")]
pub(super) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub report_id: Uuid,
    pub file_name: String,
    pub media_type: String,
    pub size_bytes: i64,
    pub sha256: String,
    pub create_us: i64,
    pub author: String,
    pub attach_version: i64,
    pub detach_version: Option<i64>,
    pub detach_us: Option<i64>,
    pub erase_us: Option<i64>,
    pub eraser: Option<String>,
    pub erase_reason: Option<String>,
    pub blob_gone: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(super) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn attachment(report: ReportName, row: Model) -> Result<Attachment, Error> {
    let erasure = row.erase_us.map(|us| {
        let (author, reason) =
            (row.eraser.unwrap_or_default(), row.erase_reason.unwrap_or_default());
        Ok::<_, Error>(Erasure { at: time(us)?, author, reason })
    });
    Ok(Attachment {
        report,
        file: AttachedFile {
            id: row.id,
            file_name: row.file_name,
            size: u64::try_from(row.size_bytes).map_err(unreadable)?,
            sha256: row.sha256,
        },
        media_type: row.media_type,
        create_time: time(row.create_us)?,
        author: row.author,
        detach_time: row.detach_us.map(time).transpose()?,
        erasure: erasure.transpose()?,
    })
}

/// Adds what was taken in, and made its report be of that version.
pub(super) async fn insert(
    write: &Write<'_>,
    attachment: &Attachment,
    version: i64,
) -> Result<(), Error> {
    let Attachment { report, file, media_type, create_time, author, .. } = attachment;
    let row = ActiveModel {
        id: Set(file.id),
        report_id: Set(report.report),
        file_name: Set(file.file_name.clone()),
        media_type: Set(media_type.clone()),
        size_bytes: Set(file.size.cast_signed()),
        sha256: Set(file.sha256.clone()),
        create_us: Set(create_time.timestamp_micros()),
        author: Set(author.clone()),
        attach_version: Set(version),
        ..Default::default()
    };
    Entity::insert(row).exec_without_returning(&**write).await?;
    Ok(())
}

/// An attachment of a report that there is.
///
/// Errors: `NoAttachment`.
pub(super) async fn fetch(
    connection: &impl ConnectionTrait,
    name: AttachmentName,
) -> Result<Attachment, Error> {
    let found = Entity::find_by_id(name.attachment)
        .filter(Column::ReportId.eq(name.report.report))
        .one(connection)
        .await?;
    attachment(name.report, found.ok_or(Error::NoAttachment(name))?)
}

/// Those of a report whose versions come after one, each with the version that the report had once it was on it.
pub(super) async fn page(
    connection: &impl ConnectionTrait,
    report: ReportName,
    after: Option<i64>,
    limit: usize,
) -> Result<Vec<(i64, Attachment)>, Error> {
    let rows = Entity::find()
        .filter(Column::ReportId.eq(report.report))
        .filter(Column::AttachVersion.gt(after.unwrap_or_default()))
        .order_by_asc(Column::AttachVersion)
        .limit(u64::try_from(limit).unwrap_or(u64::MAX))
        .all(connection)
        .await?;
    rows.into_iter().map(|row| Ok((row.attach_version, attachment(report, row)?))).collect()
}

/// Writes that a file was taken off its report, which that made be of a version.
pub(super) async fn detach(
    write: &Write<'_>,
    file: Uuid,
    version: i64,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::DetachUs, Expr::value(now.timestamp_micros()))
        .col_expr(Column::DetachVersion, Expr::value(version))
        .filter(Column::Id.eq(file))
        .filter(Column::DetachUs.is_null())
        .exec(&**write)
        .await?;
    Ok(())
}

/// Writes that what a file held was erased; what was erased before stays as it is.
pub(super) async fn erase(write: &Write<'_>, id: Uuid, erasure: &Erasure) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::EraseUs, Expr::value(erasure.at.timestamp_micros()))
        .col_expr(Column::Eraser, Expr::value(erasure.author.as_str()))
        .col_expr(Column::EraseReason, Expr::value(erasure.reason.as_str()))
        .filter(Column::Id.eq(id))
        .filter(Column::EraseUs.is_null())
        .exec(&**write)
        .await?;
    Ok(())
}

/// Those that were erased and whose blob may be there.
fn left_to_erase() -> Select<Entity> {
    Entity::find().filter(Column::EraseUs.is_not_null()).filter(Column::BlobGone.into_expr().not())
}

/// Up to `limit` of those that were erased and whose blob may be there, in the order of their ids, after one.
pub(super) async fn to_erase(
    connection: &impl ConnectionTrait,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Uuid>, DbErr> {
    let mut left = left_to_erase();
    if let Some(after) = after {
        left = left.filter(Column::Id.gt(after));
    }
    left.select_only()
        .column(Column::Id)
        .order_by_asc(Column::Id)
        .limit(limit)
        .into_tuple()
        .all(connection)
        .await
}

/// How many were erased whose blob may be there.
pub(super) async fn erasures_due(connection: &impl ConnectionTrait) -> Result<u64, DbErr> {
    left_to_erase().count(connection).await
}

/// Notes that the blob of what was erased is gone. False: it was noted before.
pub(super) async fn erased(write: &Write<'_>, id: Uuid) -> Result<bool, DbErr> {
    let noted = Entity::update_many()
        .col_expr(Column::BlobGone, Expr::value(true))
        .filter(Column::Id.eq(id))
        .filter(Column::EraseUs.is_not_null())
        .filter(Column::BlobGone.into_expr().not())
        .exec(&**write)
        .await?;
    Ok(noted.rows_affected > 0)
}

/// Removes the rows of what was taken off before a moment, and was in no revision: nothing has it. Gives how many.
pub(super) async fn forget(write: &Write<'_>, before: DateTime<Utc>) -> Result<u64, DbErr> {
    let sql = "DELETE FROM attachment \
               WHERE detach_us < $1 AND detach_us IS NOT NULL AND erase_us IS NULL \
               AND NOT EXISTS (SELECT 1 FROM report_act WHERE report_act.report_id = attachment.report_id \
               AND report_act.kind = 'submitted' AND report_act.version > attachment.attach_version \
               AND report_act.version < attachment.detach_version)";
    let engine = write.get_database_backend();
    let statement = Statement::from_sql_and_values(engine, sql, [before.timestamp_micros().into()]);
    Ok(write.execute_raw(statement).await?.rows_affected())
}

/// Those of these that a row knows.
pub(super) async fn known(
    connection: &impl ConnectionTrait,
    ids: &[Uuid],
) -> Result<HashSet<Uuid>, DbErr> {
    let found: Vec<Uuid> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.is_in(ids.iter().copied()))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(found.into_iter().collect())
}
