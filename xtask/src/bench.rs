//! Builds with the `dist` profile and runs the bench runner.

use std::path::PathBuf;

use anyhow::Result;

use crate::shell::{cargo, command, root, step, target};

/// Keeps the names of the gateway's functions.
const SYMBOLS: &str = "profile.dist.package.polygate.strip='none'";

/// Gateway, floor and load generator from the same profile, then one interleaved run.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let folder = build(&[])?;
    let mut runner = command(folder.join("bench"), ["run"]);
    runner.arg("--folder").arg(&folder).args(args);
    step("bench", &mut runner)?;
    let mut translate = command(folder.join("bench"), ["translate"]);
    translate.args(args.iter().filter(|arg| *arg == "--strict"));
    step("translate", &mut translate)
}

/// Writes which functions run, by which the linker lays the gateway's code out from then on.
pub(crate) fn layout() -> Result<()> {
    let folder = build(&["--config", SYMBOLS])?;
    let mut layout = command(folder.join("bench"), ["layout"]);
    layout.arg("--folder").arg(&folder).arg("--out").arg(root().join("crates/polygate/layout.txt"));
    step("layout", &mut layout)
}

/// The folder of both programs, each built alone: together they would share libraries with more features, which is not the
/// gateway that people run, and whose symbols the layout does not name.
fn build(options: &[&str]) -> Result<PathBuf> {
    for package in ["bench", "polygate"] {
        step("build", cargo(&["build", "--profile", "dist", "--package", package]).args(options))?;
    }
    Ok(target().join("dist"))
}
