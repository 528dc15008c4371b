//! What a connection is told when it begins, and what is asked of its server.

use std::future::Future;
use std::io::ErrorKind;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Executor, Row, raw_sql};

/// Bounds that the server keeps too, should our own not reach it.
const WORK: &str = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean, \
    set_config('statement_timeout', '5s', false), set_config('lock_timeout', '2s', false), \
    set_config('idle_in_transaction_session_timeout', '10s', false)";
/// A migration may rewrite a large table. While it waits for a lock, everybody waits who wants that table after it, so it gives up soon.
const MIGRATION: &str = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean, \
    set_config('statement_timeout', '10min', false), set_config('lock_timeout', '2s', false), \
    set_config('idle_in_transaction_session_timeout', '30s', false)";

/// What a connection is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Session {
    /// Statements of requests, commands and the keeper.
    Work,
    /// The schema.
    Migration,
}

/// Sets the session's bounds; `false` when the server takes no writes, because it is a standby or set so.
pub(crate) async fn prepare(connection: &mut PgConnection, session: Session) -> Result<bool, sqlx::Error> {
    let text = match session {
        Session::Work => WORK,
        Session::Migration => MIGRATION,
    };
    let closed: bool = connection.fetch_one(raw_sql(text)).await?.try_get(0)?;
    Ok(!closed)
}

/// The result of a wait, or that it took too long.
pub(crate) async fn within<T>(
    bound: Duration,
    wait: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout(bound, wait).await.unwrap_or_else(|_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into())))
}
