//! A SQLite file copied while it is in use, and a copy taken into use.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use crate::database::{connect, sqlite};
use crate::{Error, era};

/// Copies the SQLite file `from` to `to` as it is at one moment, while others write to it. The copy is for its owner
/// alone, and on the disk.
pub async fn back_up(from: &Path, to: &Path) -> Result<(), Error> {
    // SQLite writes into an empty file: this one is nobody else's from the beginning.
    let copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let copy = copy.map_err(|e| Error::Copy(to.display().to_string(), e))?;
    let connection = connect(sqlite(from, 1, true)).await?;
    let name = to.to_str().ok_or_else(|| Error::NotText(to.display().to_string()))?;
    let sql = "VACUUM INTO $1";
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [name.into()]);
    connection.execute_raw(statement).await?;
    connection.close().await?;
    copy.sync_all().map_err(|e| Error::Copy(to.display().to_string(), e))
}

/// Readies a copy for being used: events written to it come after every position that was ever given.
pub async fn take_into_use(copy: &Path) -> Result<(), Error> {
    let connection = connect(sqlite(copy, 1, false)).await?;
    era::begin(&connection).await?;
    Ok(connection.close().await?)
}
