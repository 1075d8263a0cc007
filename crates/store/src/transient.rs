//! Which failures pass by themselves.

use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::sqlx::sqlite::SqliteError;
use sea_orm::sqlx::{self, error::DatabaseError};
use sea_orm::{DbErr, RuntimeErr};

/// Whether the same thing may succeed a moment later: the connection was lost or refused, no connection became free,
/// the server is starting, stopping or was demoted, or somebody else was in the way.
///
/// Where a commit failed so, it is not known whether it was done: whoever tries again needs a request_id.
pub fn is_transient(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) => true,
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => passes(error),
        _ => false,
    }
}

fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        // What a connection says that is cut off while it is made: by a proxy whose server is away, for one.
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        sqlx::Error::Database(error) => said_by_server(&**error),
        _ => false,
    }
}

fn said_by_server(error: &dyn DatabaseError) -> bool {
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        return sqlstate_passes(error.code());
    }
    if error.try_downcast_ref::<SqliteError>().is_none() {
        return false;
    }
    // BUSY and LOCKED; the higher bits say which kind of it.
    let code = error.code().and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

fn sqlstate_passes(code: &str) -> bool {
    code.starts_with("08") // the connection
        || matches!(
            code,
            "25006" // read-only: the server was demoted
                | "25P03" // the transaction stood idle for too long: this process was frozen
                | "40001" // not serializable
                | "40P01" // deadlock
                | "53300" // too many connections
                | "55000" // it takes no connections for the moment
                | "57P01" // the server is shutting down
                | "57P02" // it crashed
                | "57P03" // it is starting
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_of_itself_passes_and_what_it_says_of_a_statement_does_not() {
        for passing in [
            "08000", "08003", "08006", "25006", "25P03", "40001", "40P01", "53300", "55000",
            "57P01", "57P02", "57P03",
        ] {
            assert!(sqlstate_passes(passing), "{passing}");
        }
        // A wrong password, no such database, no right, no such table, a duplicate, a statement that took too long, a
        // full disk.
        for lasting in ["28P01", "3D000", "42501", "42P01", "23505", "57014", "53100"] {
            assert!(!sqlstate_passes(lasting), "{lasting}");
        }
    }

    #[test]
    fn what_never_reached_the_server_passes_and_what_does_not_read_does_not() {
        let of =
            |error| is_transient(&DbErr::Exec(RuntimeErr::SqlxError(std::sync::Arc::new(error))));
        assert!(of(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()));
        assert!(of(sqlx::Error::PoolTimedOut));
        assert!(of(sqlx::Error::Protocol("unexpected response from SSLRequest: 0x00".to_owned())));
        assert!(!of(sqlx::Error::RowNotFound));
        assert!(!is_transient(&DbErr::Custom("database is locked".to_owned())));
    }
}
