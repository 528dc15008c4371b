//! The gateway as a separate process, and its memory as Linux reports it.

use std::fs::{self, DirBuilder};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};

use super::client::KEY;
use super::relay::Relay;

/// A running gateway. Drop kills it and removes its home.
pub(super) struct Gateway {
    child: Child,
    home: PathBuf,
    address: SocketAddr,
    /// Stays open, because the gateway may write to it.
    _output: BufReader<ChildStdout>,
}

impl Gateway {
    /// Starts the program in a separate home with the relays of `relay`.
    pub(super) fn start(relay: &Relay) -> Result<Self> {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("soak-memory-{}", std::process::id()));
        let _ = fs::remove_dir_all(&home);
        DirBuilder::new().mode(0o700).create(&home)?;
        fs::write(home.join("config.toml"), relay.tables())?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_polygate"));
        command.arg("--home").arg(&home).args(["serve", "--port", "0", "--log-level", "error"]);
        command
            .env("POLYGATE_SERVER__API_KEY", KEY)
            .env("POLYGATE_UPSTREAM__BASE_URL", "http://127.0.0.1:9/backend-api")
            .env("POLYGATE_UPSTREAM__AUTH_URL", "http://127.0.0.1:9")
            .env("POLYGATE_UPSTREAM__VERSION_SYNC", "false")
            .env("POLYGATE_PROXIES__ECHO_URL", "http://127.0.0.1:9/echo");
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://").context("the gateway does not listen")?;
        Ok(Self { address: address.parse()?, child, home, _output: output })
    }

    /// The gateway's address.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resident memory now, bytes.
    pub(super) fn memory(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// Largest resident memory so far, bytes.
    pub(super) fn peak(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).context("the gateway has ended")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
        Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? << 10)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// Formats bytes for people.
pub(super) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
