//! A temporary PostgreSQL server on a Unix socket, from an installed PostgreSQL. The tests of `store` and of `polygate` share this file.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A running server, which stops when its value is dropped.
pub(crate) struct PostgresServer {
    server: Child,
    folder: TempDir,
}

impl PostgresServer {
    /// Starts a server, which answers some moments later. Without an installed server the test is skipped, unless
    /// `POLYGATE_REQUIRE_POSTGRES` is 1.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            let required = std::env::var("POLYGATE_REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
            assert!(!required, "POLYGATE_REQUIRE_POSTGRES is 1, but no PostgreSQL server is installed");
            println!("SKIPPED: no PostgreSQL server is installed");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        give_to_postgres(folder.path());
        let data = folder.path().join("data");
        let made = run(&programs.join("initdb"))
            .args(["--username=polygate", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut server = run(&programs.join("postgres"));
        server.args(["-c", "listen_addresses=", "-c", "fsync=off", "-D"]).arg(&data).arg("-k").arg(folder.path());
        Some(Self { server: server.stderr(Stdio::null()).spawn().unwrap(), folder })
    }

    /// The folder of the server's socket.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of a database.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://polygate@localhost/{database}?host={}", self.folder().display())
    }
}

impl Drop for PostgresServer {
    /// SIGQUIT ends the postmaster and its children at once.
    fn drop(&mut self) {
        Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status().ok();
        self.server.wait().ok();
    }
}

/// The folder with the programs of the newest installed server.
pub(crate) fn programs() -> Option<PathBuf> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.splice(0..0, std::env::split_paths(&path));
    found.into_iter().rfind(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// A command of PostgreSQL, which refuses to run as root.
pub(crate) fn run(program: &Path) -> Command {
    let mut command = if is_root() { Command::new("setpriv") } else { Command::new(program) };
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    }
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn give_to_postgres(folder: &Path) {
    if is_root() {
        let status = Command::new("chown").args([OsStr::new("postgres"), folder.as_os_str()]).status();
        assert!(status.unwrap().success());
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
