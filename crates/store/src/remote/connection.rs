//! A pooled connection, and the operations that run on it.

use std::io;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection, Executor, Postgres};

use super::session::with_timeout;
use crate::failpoint::{self, hit};
use crate::statement::{Arg, BoundStatement, DbRow, postgres_query};

/// Timeout of a whole statement for many rows, as a multiple of the statement timeout: the caller may hold a lock meanwhile.
const WHOLE: u32 = 6;

/// An atomic operation, which may be run again after a failure.
pub(crate) enum Operation<'a> {
    /// A statement that returns rows.
    Rows(BoundStatement<'a>),
    /// A statement that changes rows.
    Change(BoundStatement<'a>),
    /// One statement for many rows, in one transaction.
    All(&'static str, &'a [Vec<Arg<'a>>]),
    /// Two statements in one transaction, the second only where the first changed a row.
    Two(BoundStatement<'a>, BoundStatement<'a>),
}

#[derive(Default)]
pub(crate) struct OperationResult {
    pub(crate) rows: Vec<DbRow>,
    /// How many rows each statement changed.
    pub(crate) counts: Vec<u64>,
}

/// A connection. It returns to the pool only when its last operation finished. After an error, a timeout or a dropped caller the next
/// statement on this connection might wait for ever.
pub(crate) struct PooledConnection {
    connection: Option<PoolConnection<Postgres>>,
    sound: bool,
}

impl PooledConnection {
    /// Acquires a connection within the pool's timeout. A failure to connect is an error of kind `NotConnected`; a pool with all
    /// connections in use is `PoolTimedOut`.
    pub(crate) async fn acquire(pool: &PgPool) -> Result<Self, sqlx::Error> {
        match pool.acquire().await {
            Ok(connection) => Ok(Self { connection: Some(connection), sound: true }),
            Err(sqlx::Error::PoolTimedOut) if pool.size() >= pool.options().get_max_connections() => {
                Err(sqlx::Error::PoolTimedOut)
            }
            Err(error) => Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::NotConnected, error))),
        }
    }

    /// Runs the operation within the timeout. For one statement over many rows the timeout applies to each row, and the whole operation has
    /// a longer timeout.
    pub(crate) async fn run(&mut self, work: &Operation<'_>, bound: Duration) -> Result<OperationResult, sqlx::Error> {
        let connection = self.connection.as_mut().expect("invariant: it is there until this is dropped");
        self.sound = false;
        let done = run(connection, work, bound).await;
        // A statement that the server refused is finished, too.
        self.sound = matches!(done, Ok(_) | Err(sqlx::Error::Database(_)));
        done
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if !self.sound {
            drop(self.connection.take().map(PoolConnection::detach));
        }
    }
}

async fn run(
    connection: &mut PgConnection,
    work: &Operation<'_>,
    bound: Duration,
) -> Result<OperationResult, sqlx::Error> {
    match work {
        Operation::Rows((sql, args)) => {
            let rows = with_timeout(bound, connection.fetch_all(postgres_query(sql, args))).await?;
            Ok(OperationResult { rows: rows.into_iter().map(DbRow::Postgres).collect(), ..OperationResult::default() })
        }
        Operation::Change(line) => {
            Ok(OperationResult { counts: vec![change(connection, *line, bound).await?], ..OperationResult::default() })
        }
        Operation::All(sql, rows) => with_timeout(bound * WHOLE, all(connection, (sql, rows), bound)).await,
        Operation::Two(first, then) => with_timeout(bound, two(connection, *first, *then)).await,
    }
}

async fn change(
    connection: &mut PgConnection,
    (sql, args): BoundStatement<'_>,
    bound: Duration,
) -> Result<u64, sqlx::Error> {
    Ok(with_timeout(bound, connection.execute(postgres_query(sql, args))).await?.rows_affected())
}

async fn all(
    connection: &mut PgConnection,
    (sql, rows): (&'static str, &[Vec<Arg<'_>>]),
    bound: Duration,
) -> Result<OperationResult, sqlx::Error> {
    let mut counts = Vec::with_capacity(rows.len());
    let mut transaction = with_timeout(bound, connection.begin()).await?;
    for row in rows {
        counts.push(change(&mut transaction, (sql, row), bound).await?);
    }
    hit(failpoint::USAGE_COMMIT)?;
    with_timeout(bound, transaction.commit()).await?;
    Ok(OperationResult { counts, ..OperationResult::default() })
}

async fn two(
    connection: &mut PgConnection,
    first: BoundStatement<'_>,
    then: BoundStatement<'_>,
) -> Result<OperationResult, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let done = transaction.execute(postgres_query(first.0, first.1)).await?.rows_affected();
    if done > 0 {
        transaction.execute(postgres_query(then.0, then.1)).await?;
    }
    transaction.commit().await?;
    Ok(OperationResult { counts: vec![done], ..OperationResult::default() })
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    use super::super::health::{Evidence, evidence};
    use super::*;

    /// Nothing listens at this address: the pool retries until its timeout, and that counts as one refusal, not as a busy pool.
    #[tokio::test]
    async fn a_refused_connection_says_that_the_server_is_away() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(closed.port()).username("none");
        let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(Duration::from_millis(100));
        let Err(error) = PooledConnection::acquire(&pool.connect_lazy_with(options)).await else {
            panic!("nobody is there")
        };
        assert_eq!(evidence(Some(&error)), Evidence::Unavailable, "{error:?}");
        assert!(matches!(crate::Error::from(error), crate::Error::Unavailable));
    }
}
