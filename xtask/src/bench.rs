//! Builds with the `dist` profile and runs the bench runner.

use anyhow::Result;

use crate::shell::{cargo, command, step, target};

/// Gateway, floor and load generator from the same profile, then one interleaved run.
pub(crate) fn run(args: &[String]) -> Result<()> {
    step("build", &mut cargo(&["build", "--profile", "dist", "--package", "polygate", "--package", "bench"]))?;
    let folder = target().join("dist");
    let mut runner = command(folder.join("bench"), ["run"]);
    runner.arg("--folder").arg(&folder).args(args);
    step("bench", &mut runner)?;
    let mut translate = command(folder.join("bench"), ["translate"]);
    translate.args(args.iter().filter(|arg| *arg == "--strict"));
    step("translate", &mut translate)
}
