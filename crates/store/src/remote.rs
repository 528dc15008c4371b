//! A PostgreSQL connection pool with a timeout on every wait.
//!
//! An unavailable server must not hold up its callers. A connection that missed a timeout is dropped and never used again. After two
//! missed timeouts in a row, or when no connection can be made, the server counts as unavailable: callers get an error at once, and
//! one task probes the server until it answers. Then a new pool replaces the old one.

mod connection;
mod health;
mod session;

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tokio::time::sleep;

use self::health::{Evidence, Health};
use crate::error::code;
use crate::seal::random;
use crate::statement::{BoundStatement, DbRow};

pub(crate) use self::connection::{Operation, PooledConnection};
pub(crate) use self::session::{Session, prepare, with_timeout};

/// Connections per node.
const CONNECTIONS: u32 = 8;
/// How long an operation waits for a connection, and a connection for its server.
const ACQUIRE: Duration = Duration::from_secs(2);
/// Lifetime of a connection, so that the pool follows a changed DNS name.
const LIFETIME: Duration = Duration::from_mins(10);
/// Timeout of a statement about one row: a request may wait for it.
pub(crate) const ONE: Duration = Duration::from_secs(2);
/// Timeout of a statement about many rows.
pub(crate) const MANY: Duration = Duration::from_secs(5);
/// First and longest pause between two probes of an unavailable server.
const PROBE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// How often an operation runs at most when the server aborts it because of other sessions.
const RUNS: usize = 3;

/// An open database. Clones share one connection pool.
#[derive(Clone)]
pub(crate) struct PostgresPool(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    pool: Mutex<PgPool>,
    health: Mutex<Health>,
}

/// A pool that connects on first use.
fn lazy(options: &PgConnectOptions) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE).max_lifetime(LIFETIME);
    let pool = pool.after_connect(|connection, _| {
        Box::pin(async move {
            let writable = with_timeout(ACQUIRE, prepare(connection, Session::Work)).await?;
            if writable { Ok(()) } else { Err(sqlx::Error::Protocol("the server takes no writes".to_owned())) }
        })
    });
    pool.connect_lazy_with(options.clone())
}

impl PostgresPool {
    /// A pool that connects on first use.
    pub(crate) fn new(options: PgConnectOptions) -> Self {
        let pool = Mutex::new(lazy(&options));
        Self(Arc::new(Inner { options, pool, health: Mutex::default() }))
    }

    /// The rows of one statement; each step has `bound` as its timeout.
    pub(crate) async fn rows(&self, line: BoundStatement<'_>, bound: Duration) -> Result<Vec<DbRow>, sqlx::Error> {
        Ok(Box::pin(self.run(Operation::Rows(line), bound)).await?.rows)
    }

    /// Runs statements that change rows, several of them in one transaction; returns how many rows each changed.
    pub(crate) async fn counts(&self, work: Operation<'_>, bound: Duration) -> Result<Vec<u64>, sqlx::Error> {
        Ok(Box::pin(self.run(work, bound)).await?.counts)
    }

    /// Waits for running statements, within a timeout, and closes the pool.
    pub(crate) async fn close(&self) {
        let pool = self.0.pool.lock().clone();
        tokio::time::timeout(MANY, pool.close()).await.ok();
    }

    async fn run(&self, work: Operation<'_>, bound: Duration) -> Result<connection::OperationResult, sqlx::Error> {
        let Some(turn) = self.0.health.lock().current_epoch() else { return Err(sqlx::Error::PoolTimedOut) };
        let done = self.attempts(&work, bound).await;
        let word = health::evidence(done.as_ref().err());
        if self.0.health.lock().record(word, turn) {
            self.0.mark_unavailable(done.as_ref().err());
        }
        done
    }

    async fn attempts(
        &self,
        work: &Operation<'_>,
        bound: Duration,
    ) -> Result<connection::OperationResult, sqlx::Error> {
        let pool = self.0.pool.lock().clone();
        let mut connection = PooledConnection::acquire(&pool).await?;
        let mut runs = 1;
        loop {
            let done = connection.run(work, bound).await;
            match &done {
                Err(error) if runs < RUNS && health::evidence(Some(error)) == Evidence::Retry => runs += 1,
                _ => return done,
            }
        }
    }
}

impl Inner {
    /// Starts the task that probes the unavailable server.
    fn mark_unavailable(self: &Arc<Self>, why: Option<&sqlx::Error>) {
        let why = why.map(tracing::field::display);
        tracing::error!(why, "PostgreSQL does not answer; the gateway serves from memory and retries the connection");
        tokio::spawn(probe(Arc::downgrade(self)));
    }

    /// Whether the server answers and takes writes. If so, a new pool replaces the old one.
    async fn try_recover(&self) -> bool {
        let asked = with_timeout(ACQUIRE, async {
            let mut connection = self.options.connect().await?;
            let writable = prepare(&mut connection, Session::Work).await?;
            connection.close().await?;
            Ok(writable)
        });
        match asked.await {
            Ok(true) => {}
            Ok(false) => {
                tracing::debug!("the PostgreSQL server that answers takes no writes");
                return false;
            }
            Err(error) => {
                tracing::debug!(%error, "PostgreSQL is still unavailable");
                return false;
            }
        }
        // The old pool ends when the last of its connections in use is returned.
        *self.pool.lock() = lazy(&self.options);
        self.health.lock().recovered();
        tracing::info!("PostgreSQL answers again");
        true
    }
}

/// Probes until the server answers or the pool is dropped.
async fn probe(inner: Weak<Inner>) {
    let mut pause = PROBE.0;
    loop {
        sleep(jittered(pause)).await;
        let Some(inner) = inner.upgrade() else { return };
        if inner.pool.lock().is_closed() || inner.try_recover().await {
            return;
        }
        pause = (pause * 2).min(PROBE.1);
    }
}

/// Whether the server aborted the operation because of another session's lock.
pub(crate) fn lock_conflict(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("55P03" | "40P01"))
}

/// Between half and all of `pause`, so that nodes do not probe at the same time.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let dice = random::<1>().map_or(255, |bytes| bytes[0]);
    pause.mul_f64(0.5 + f64::from(dice) / 510.0)
}
