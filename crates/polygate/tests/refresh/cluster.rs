//! A temporary PostgreSQL server with one empty database.

use std::path::Path;
use std::time::{Duration, Instant};

use self::postgres_server::{PostgresServer, programs, run};

#[path = "../../../store/src/tests/postgres_server.rs"]
mod postgres_server;

/// The database of every cluster.
const NAME: &str = "polygate";

/// A running server with one empty database, which stops when its value is dropped.
pub(crate) struct Cluster(PostgresServer);

impl Cluster {
    /// Starts a server, like [`PostgresServer::start`].
    pub(crate) fn start() -> Option<Self> {
        let cluster = Self(PostgresServer::start()?);
        cluster.create(&programs()?);
        Some(cluster)
    }

    /// The database's URL.
    pub(crate) fn url(&self) -> String {
        self.0.url(NAME)
    }

    /// Makes the database as soon as the server answers; a server that starts has no event to wait for.
    fn create(&self, programs: &Path) {
        let end = Instant::now() + Duration::from_mins(1);
        loop {
            let mut create = run(&programs.join("createdb"));
            create.args(["--username=polygate", "--maintenance-db=postgres", "--host"]).arg(self.0.folder()).arg(NAME);
            let made = create.output().unwrap();
            if made.status.success() {
                return;
            }
            let why = String::from_utf8_lossy(&made.stderr);
            assert!(Instant::now() < end, "PostgreSQL does not start: {why}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
