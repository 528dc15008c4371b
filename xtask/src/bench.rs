//! Builds with the `dist` profile and runs the benchmarks.

use std::path::PathBuf;

use anyhow::Result;

use crate::shell::{cargo, command, root, step, target};

/// Keeps the symbols of the gateway's functions.
const SYMBOLS: &str = "profile.dist.package.polygate.strip='none'";

/// Builds gateway, floor and load generator with the same profile, then runs them interleaved.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let folder = build(&[])?;
    let mut runner = command(folder.join("bench"), ["run"]);
    runner.arg("--folder").arg(&folder).args(args);
    step("bench", &mut runner)?;
    let mut translate = command(folder.join("bench"), ["translate"]);
    translate.args(args.iter().filter(|arg| *arg == "--strict"));
    step("translate", &mut translate)
}

/// Writes the list of functions that run, by which the linker orders the gateway's code from then on.
pub(crate) fn layout() -> Result<()> {
    let folder = build(&["--config", SYMBOLS])?;
    let mut layout = command(folder.join("bench"), ["layout"]);
    layout.arg("--folder").arg(&folder).arg("--out").arg(root().join("crates/polygate/layout.txt"));
    step("layout", &mut layout)
}

/// The folder of both programs. Each program is built alone: a common build would enable more features of shared libraries, which is
/// not the released gateway, and the layout does not name its symbols.
fn build(options: &[&str]) -> Result<PathBuf> {
    for package in ["bench", "polygate"] {
        step("build", cargo(&["build", "--profile", "dist", "--package", package]).args(options))?;
    }
    Ok(target().join("dist"))
}
