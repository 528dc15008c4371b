//! A temporary PostgreSQL server for one test, with a connection of the server's own user.

use std::path::{Path, PathBuf};

use pool::Secret;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};
use tempfile::TempDir;
use tokio::time::{Duration, Instant, sleep};

use super::Site;
use super::postgres_server::PostgresServer;

/// A running cluster, which stops when its value is dropped.
pub(super) struct Cluster {
    server: PostgresServer,
    admin: PgPool,
}

impl Cluster {
    /// Starts a cluster, like [`PostgresServer::start`].
    pub(super) async fn start() -> Option<Self> {
        let server = PostgresServer::start()?;
        let admin = ready(server.folder()).await;
        Some(Self { server, admin })
    }

    /// The path of the server's socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.server.folder().join(".s.PGSQL.5432")
    }

    /// Connections of the server's own user, to a database that no store uses.
    pub(super) fn admin(&self) -> &PgPool {
        &self.admin
    }

    /// A home with a separate database. The statement `create` makes the database `name`.
    pub(super) async fn site(&self, create: &'static str, name: &str) -> Site {
        self.admin.execute(create).await.unwrap();
        Site { home: TempDir::new().unwrap(), postgres: Some(Secret::new(self.server.url(name))) }
    }
}

async fn ready(socket: &Path) -> PgPool {
    let options = PgConnectOptions::new().socket(socket).username("polygate").database("postgres");
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        match options.clone().disable_statement_logging().connect().await {
            Ok(connection) => {
                connection.close().await.unwrap();
                return PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
            }
            // A server that starts has no event to wait for.
            Err(_) if Instant::now() < end => sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("PostgreSQL does not start: {error}"),
        }
    }
}
