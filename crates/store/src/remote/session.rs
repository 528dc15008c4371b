//! Settings of a new connection, and the check that its server takes writes.

use std::future::Future;
use std::io::ErrorKind;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Executor, Row, raw_sql};

/// Timeouts that the server enforces in addition to the client's timeouts.
const WORK: &str = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean, \
    set_config('statement_timeout', '5s', false), set_config('lock_timeout', '2s', false), \
    set_config('idle_in_transaction_session_timeout', '10s', false)";
/// Timeouts of a migration, which may rewrite a large table. The migration waits for a lock only briefly, because later users of the table
/// queue behind it.
const MIGRATION: &str = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean, \
    set_config('statement_timeout', '10min', false), set_config('lock_timeout', '2s', false), \
    set_config('idle_in_transaction_session_timeout', '30s', false)";

/// The purpose of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Session {
    /// Statements of requests, commands and the store watch.
    Work,
    /// Migrations of the schema.
    Migration,
}

/// Sets the session's timeouts; `false` when the server takes no writes, because it is a standby or set to read-only.
pub(crate) async fn prepare(connection: &mut PgConnection, session: Session) -> Result<bool, sqlx::Error> {
    let text = match session {
        Session::Work => WORK,
        Session::Migration => MIGRATION,
    };
    let closed: bool = connection.fetch_one(raw_sql(text)).await?.try_get(0)?;
    Ok(!closed)
}

/// Awaits within `bound`; a timeout is an I/O error of kind `TimedOut`.
pub(crate) async fn with_timeout<T>(
    bound: Duration,
    wait: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout(bound, wait).await.unwrap_or_else(|_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into())))
}
