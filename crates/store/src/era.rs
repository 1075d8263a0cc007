//! Which history an outbox's events belong to.
//!
//! A database that is restored goes on from an earlier state: on PostgreSQL with the transaction numbers of whichever
//! cluster it is in now, on SQLite with numbers that were given before. Positions given out until then must not stand
//! beyond what is written from then on, or a reader would skip it. So each position begins with an era, the
//! milliseconds since 1970 at which this history began; a later history sorts after an earlier one, and its readers go
//! on where they were.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use crate::Write;

/// The cluster whose transaction numbers the events carry, and its timeline: a standby that took over keeps the numbers,
/// a restore to an earlier moment gives some of them a second time. Both have another timeline.
const HOME: &str = "SELECT system_identifier || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) \
                    FROM pg_control_system()";

/// Whether the outbox is still in the cluster where its era began.
pub(crate) async fn at_home(connection: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let cluster = "SELECT system_identifier::text FROM pg_control_system()";
    let home = text(connection, "SELECT split_part(home, '/', 1) FROM outbox_era").await?;
    Ok(home == text(connection, cluster).await?)
}

/// Begins an era if the outbox has been restored since the last one began. Twice is harmless.
pub(crate) async fn settle(write: &Write<'_>) -> Result<(), DbErr> {
    let home = text(&**write, HOME).await?;
    if text(&**write, "SELECT home FROM outbox_era").await? == home {
        return Ok(());
    }
    // Whoever is appending ends first, and whoever comes later appends to the new era: nothing comes between two eras.
    write.execute_unprepared("LOCK TABLE outbox IN SHARE MODE").await?;
    let sql = "UPDATE outbox_era SET home = $1, \
               era = greatest(era + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)";
    let engine = write.get_database_backend();
    write.execute_raw(Statement::from_sql_and_values(engine, sql, [home.into()])).await?;
    Ok(())
}

/// Begins an era in a file that is about to be used again.
pub(crate) async fn begin(connection: &impl ConnectionTrait) -> Result<(), DbErr> {
    let sql = "UPDATE outbox_era SET \
               era = max(era + 1, CAST(unixepoch('subsec') * 1000 AS integer))";
    connection.execute_unprepared(sql).await.map(drop)
}

/// What [`crate::Database::history`] gives.
pub(crate) async fn history(connection: &impl ConnectionTrait) -> Result<String, DbErr> {
    if connection.get_database_backend() == DbBackend::Sqlite {
        return text(connection, "SELECT 'sqlite/' || era FROM outbox_era").await;
    }
    // A dump that is restored is another database, or has another table in the same one.
    let sql = format!(
        "SELECT 'postgres/' || ({HOME}) || '/' || oid || '/' || 'outbox_era'::regclass::oid \
         FROM pg_database WHERE datname = current_database()"
    );
    text(connection, &sql).await
}

async fn text(connection: &impl ConnectionTrait, sql: &str) -> Result<String, DbErr> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(statement).await?;
    row.map_or_else(|| Ok(String::new()), |row| row.try_get_by_index(0))
}
