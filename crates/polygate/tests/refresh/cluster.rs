//! A throw-away PostgreSQL server, from the programs that are installed. It listens on a socket in a folder of its own.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The database of every cluster.
const NAME: &str = "polygate";

/// A running server with one empty database; it ends with its value.
pub(crate) struct Cluster {
    server: Child,
    folder: TempDir,
}

impl Cluster {
    /// Starts one. Without an installed server the test is skipped, unless `POLYGATE_REQUIRE_POSTGRES` is 1.
    pub(crate) fn start() -> Option<Self> {
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
        let mut server = run(&programs.join("postgres"));
        server.args(["-c", "listen_addresses=", "-c", "fsync=off", "-D"]).arg(&data).arg("-k").arg(folder.path());
        let cluster = Self { server: server.stderr(Stdio::null()).spawn().unwrap(), folder };
        cluster.create(&programs);
        Some(cluster)
    }

    /// The database's URL.
    pub(crate) fn url(&self) -> String {
        format!("postgres://polygate@localhost/{NAME}?host={}", self.folder.path().display())
    }

    /// Makes the database once the server answers; a server that starts has no event to wait for.
    fn create(&self, programs: &Path) {
        let end = Instant::now() + Duration::from_mins(1);
        loop {
            let mut create = run(&programs.join("createdb"));
            create
                .args(["--username=polygate", "--maintenance-db=postgres", "--host"])
                .arg(self.folder.path())
                .arg(NAME);
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

impl Drop for Cluster {
    /// SIGQUIT ends the postmaster and its children at once.
    fn drop(&mut self) {
        Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status().ok();
        self.server.wait().ok();
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
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
