//! Reading by key.

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, FromQueryResult as _, QueryTrait as _, Select};

/// The one row, if any, that a key finds: `select` must ask for no more.
///
/// sea-orm's own `one` binds a LIMIT besides, and each time a limit is bound SQLite prepares the statement anew, which takes
/// longer than reading the row.
pub async fn by_key<E: EntityTrait>(
    connection: &impl ConnectionTrait,
    select: Select<E>,
) -> Result<Option<E::Model>, DbErr> {
    let row = connection.query_one(select.as_query()).await?;
    row.map(|row| E::Model::from_query_result(&row, "")).transpose()
}
