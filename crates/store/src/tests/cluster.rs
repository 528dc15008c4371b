//! A PostgreSQL of our own for one test: a temporary cluster on a Unix socket, from an installed server.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use pool::Secret;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};
use tempfile::TempDir;
use tokio::time::{Duration, Instant, sleep};

use super::Site;

/// A running cluster; ends with its value.
pub(super) struct Cluster {
    server: Child,
    folder: TempDir,
    admin: PgPool,
}

impl Cluster {
    /// Starts one. Without an installed server the test is skipped, unless `POLYGATE_REQUIRE_POSTGRES` is 1.
    pub(super) async fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            let required = std::env::var("POLYGATE_REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
            assert!(!required, "POLYGATE_REQUIRE_POSTGRES is 1, but no PostgreSQL server is installed");
            println!("SKIPPED: no PostgreSQL server is installed");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        give(folder.path());
        let data = folder.path().join("data");
        let made = run(&programs.join("initdb"))
            .args(["--username=polygate", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let server = run(&programs.join("postgres"))
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-D"])
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let admin = ready(folder.path()).await;
        Some(Self { server, folder, admin })
    }

    /// Where the server listens.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }

    /// The server's own user, on a database that no store uses.
    pub(super) fn admin(&self) -> &PgPool {
        &self.admin
    }

    /// A home with a database of its own. `create` makes the database `name`.
    pub(super) async fn site(&self, create: &'static str, name: &str) -> Site {
        self.admin.execute(create).await.unwrap();
        let socket = self.folder.path().display();
        let url = format!("postgres://polygate@localhost/{name}?host={socket}");
        Site { home: TempDir::new().unwrap(), postgres: Some(Secret::new(url)) }
    }
}

impl Drop for Cluster {
    /// SIGQUIT ends the postmaster and its children at once.
    fn drop(&mut self) {
        Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status().ok();
        self.server.wait().ok();
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

/// Where the newest installed server's programs are.
fn programs() -> Option<PathBuf> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.splice(0..0, std::env::split_paths(&path));
    found.into_iter().rfind(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// PostgreSQL refuses to run as root.
fn run(program: &Path) -> Command {
    let mut command = if root() { Command::new("setpriv") } else { Command::new(program) };
    if root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    }
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn give(folder: &Path) {
    if root() {
        let status = Command::new("chown").args([OsStr::new("postgres"), folder.as_os_str()]).status();
        assert!(status.unwrap().success());
    }
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}
