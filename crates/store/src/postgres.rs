//! Opening a PostgreSQL database: both sets of tables, over a separate connection.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io::ErrorKind;
use std::str::FromStr;
use std::time::Duration;

use pool::Secret;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection};
use tokio::time::{Instant, sleep, timeout};

use crate::db::Db;
use crate::migrate::{self, Migration, SchemaPolicy};
use crate::remote::{PostgresPool, Session, jittered, lock_conflict, prepare, with_timeout};
use crate::{Error, OpenError};

/// Timeout of the first connection, name lookup included.
const FIRST: Duration = Duration::from_secs(5);

/// Timeout of a whole migration, which may rewrite large tables. The server bounds each statement.
const MIGRATION: Duration = Duration::from_mins(30);
/// How long a migration is retried while locks of other sessions block it.
const LOCKED: Duration = Duration::from_mins(5);
/// Longest pause between two such retries.
const AGAIN: Duration = Duration::from_secs(1);

/// Refuses a connection that others on the network could read or change, because logins go over it. A local server is safe.
fn require_verified_tls(options: &PgConnectOptions) -> Result<(), OpenError> {
    let host = options.get_host();
    let here = options.get_socket().is_some() || host.starts_with('/') || pool::guard::is_loopback(host);
    if here || matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
        return Ok(());
    }
    Err(OpenError::Unverified { host: host.to_owned() })
}

/// Application name of this node in the server's views: `polygate/<machine>`. PostgreSQL keeps 63 bytes of it.
fn application() -> String {
    #[cfg(unix)]
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let machine = std::env::var("COMPUTERNAME").unwrap_or_default();
    let machine: String = machine.chars().filter(char::is_ascii_graphic).take(54).collect();
    if machine.is_empty() { "polygate".to_owned() } else { format!("polygate/{machine}") }
}

/// Awaits within `bound`; a timeout is [`OpenError::Unreachable`].
async fn bounded<T>(bound: Duration, wait: impl Future<Output = Result<T, OpenError>>) -> Result<T, OpenError> {
    let late = |_| Err(OpenError::Unreachable(sqlx::Error::Io(ErrorKind::TimedOut.into())));
    timeout(bound, wait).await.unwrap_or_else(late)
}

/// Connects, and migrates where `schema` allows it.
pub(crate) async fn open(url: &Secret, schema: SchemaPolicy, now: i64) -> Result<Db, OpenError> {
    let options = PgConnectOptions::from_str(url.expose()).map_err(|_| OpenError::InvalidUrl)?;
    require_verified_tls(&options)?;
    let options = options.application_name(&application()).disable_statement_logging();
    let mut known: Vec<Migration> = migrate::ACCOUNTS.iter().chain(migrate::USAGE).copied().collect();
    known.sort_unstable_by_key(|step| step.number);
    let mut connection = with_timeout(FIRST, options.connect()).await.map_err(OpenError::Unreachable)?;
    if !with_timeout(FIRST, prepare(&mut connection, Session::Migration)).await.map_err(OpenError::Unreachable)? {
        return Err(OpenError::ReadOnly);
    }
    let end = Instant::now() + LOCKED;
    while bounded(FIRST, migrate::postgres_plan(&mut connection, &known)).await?.must_migrate(schema)? {
        match bounded(MIGRATION, migrate::postgres(&mut connection, &known, now)).await {
            Err(OpenError::Store(Error::Database(error))) if lock_conflict(&error) && Instant::now() < end => {
                tracing::warn!(%error, "the migration waits for sessions that use the tables");
                sleep(jittered(AGAIN)).await;
            }
            done => done?,
        }
    }
    with_timeout(FIRST, connection.close()).await.ok();
    Ok(Db::Postgres(PostgresPool::new(options)))
}
