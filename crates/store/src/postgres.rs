//! Opening a PostgreSQL database: one pool, both sets of tables.

use std::str::FromStr;
use std::time::Duration;

use pool::Secret;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::OpenError;
use crate::db::Db;
use crate::migrate::{self, Migration};

/// Connections per node.
const CONNECTIONS: u32 = 8;
/// How long an operation waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);

/// Connects and brings the schema up to date.
pub(crate) async fn open(url: &Secret, now: i64) -> Result<Db, OpenError> {
    let options = PgConnectOptions::from_str(url.expose()).map_err(|_| OpenError::Url)?;
    let options = options.application_name("polygate").disable_statement_logging();
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE);
    let pool = pool.connect_with(options).await.map_err(OpenError::Unreachable)?;
    let mut known: Vec<Migration> = migrate::ACCOUNTS.iter().chain(migrate::USAGE).copied().collect();
    known.sort_unstable_by_key(|step| step.number);
    migrate::postgres(&mut *pool.acquire().await?, &known, now).await?;
    Ok(Db::Postgres(pool))
}
