//! Tests of the binary with its offline backend, by programs of third parties.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::install;
use crate::shell::{cargo, command, root, step, target};

/// The official SDKs on Node.
pub(crate) fn sdk() -> Result<()> {
    let binary = build()?;
    install::npm("tests/sdk")?;
    let folder = root().join("tests/sdk");
    let node = folder.join("node_modules/.bin/node");
    let mut tests: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder.join("test"))? {
        tests.push(entry?.path());
    }
    tests.retain(|path| path.extension().is_some_and(|ending| ending == "mjs"));
    tests.sort();
    let mut run = command(node, ["--test", "--test-concurrency=1", "--test-timeout=300000"]);
    run.args(tests).current_dir(&folder).env("POLYGATE_BIN", binary);
    step("SDK tests", shared(&mut run))
}

/// Tests the binary's answers and `proto`'s output with the models of the official Python SDKs.
pub(crate) fn python() -> Result<()> {
    let binary = build()?;
    let venv = install::venv("python-sdks", "tests/python/requirements.txt", 11..15)?;
    let written = target().join("written");
    if written.exists() {
        fs::remove_dir_all(&written)?;
    }
    // With the features of the Rust tests, because those tests have built this workspace already.
    let build = ["build", "--workspace", "--features", "polygate/failpoints", "--example", "dump"];
    step("what writes replies in every dialect", &mut cargo(&build))?;
    let mut dump = command(target().join("debug/examples/dump"), [&written]);
    step("replies in every dialect", shared(&mut dump))?;
    let mut run = unittest(venv.join("bin/python"), "tests/python");
    step("Python models", run.env("POLYGATE_BIN", binary).env("POLYGATE_WRITTEN", written))
}

/// Real command-line clients, each in its own home.
pub(crate) fn clients() -> Result<()> {
    let binary = build()?;
    // With the features of the Rust tests, because those tests have built the crates already.
    let build = ["build", "--workspace", "--features", "polygate/failpoints", "--example", "secure"];
    step("backend", &mut cargo(&build))?;
    install::npm("tests/clients")?;
    let aider = install::venv("aider", "tests/clients/requirements.txt", 10..13)?;
    let mut run = unittest("python3".into(), "tests/clients");
    run.env("POLYGATE_BIN", binary).env("AIDER_BIN", aider.join("bin/aider"));
    run.env("OFFLINE_BIN", target().join("debug/examples/secure"));
    step("clients", run.env("PYTHONPATH", root().join("tests/python")))
}

/// Builds the binary in the debug profile.
pub(crate) fn build() -> Result<PathBuf> {
    step("binary", &mut cargo(&["build", "--package", "polygate"]))?;
    Ok(target().join("debug/polygate"))
}

/// The tests of a folder; the helper modules that they import are in the same folder.
fn unittest(python: PathBuf, folder: &str) -> Command {
    let mut run = command(python, ["-B", "-m", "unittest", "discover", "--verbose", "--start-directory"]);
    run.arg(root().join(folder));
    run
}

/// Prints a note if the environment has no folder of recorded streams for the tests.
pub(crate) fn shared(command: &mut Command) -> &mut Command {
    if env::var_os("POLYGATE_SHARED").is_none() {
        println!("POLYGATE_SHARED is not set: tests against recorded streams are skipped");
    }
    command
}
