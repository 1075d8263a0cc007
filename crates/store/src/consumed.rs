//! How far a service has read the events of another. Written in the transaction that applies them, so each has its
//! effect once.

use sea_orm::{ConnectionTrait, DbErr, Statement};

use crate::Write;

/// The position up to which `owner`'s events are applied here; empty before the first.
pub async fn consumed(connection: &impl ConnectionTrait, owner: &str) -> Result<String, DbErr> {
    let sql = "SELECT position FROM consumed WHERE owner = $1";
    let engine = connection.get_database_backend();
    let statement = Statement::from_sql_and_values(engine, sql, [owner.into()]);
    let row = connection.query_one_raw(statement).await?;
    row.map_or(Ok(String::new()), |row| row.try_get_by_index(0))
}

/// Moves on from `from` to `to`, unless somebody else has moved meanwhile: then false, and the caller's transaction
/// must come to nothing.
pub async fn consumed_through(
    write: &Write<'_>,
    owner: &str,
    from: &str,
    to: &str,
) -> Result<bool, DbErr> {
    let sql = if from.is_empty() {
        "INSERT INTO consumed (owner, position) VALUES ($1, $2) ON CONFLICT DO NOTHING"
    } else {
        "UPDATE consumed SET position = $2 WHERE owner = $1 AND position = $3"
    };
    let mut values = vec![owner.into(), to.into()];
    if !from.is_empty() {
        values.push(from.into());
    }
    let engine = write.get_database_backend();
    let done = write.execute_raw(Statement::from_sql_and_values(engine, sql, values)).await?;
    Ok(done.rows_affected() == 1)
}
