//! Runs that take longer than CI has.

use anyhow::Result;
use clap::Subcommand;

use crate::shell::{cargo, command, root, step};
use crate::test::binary;

/// The runs.
#[derive(Subcommand)]
pub(crate) enum Run {
    /// The real Codex CLI waits through six silent minutes; the backend must see one request.
    CodexSilence {
        /// Minutes of silence.
        #[arg(long, default_value_t = 6.0)]
        minutes: f64,
    },
}

/// Runs one.
pub(crate) fn run(run: &Run) -> Result<()> {
    let Run::CodexSilence { minutes } = run;
    step("binary", &mut cargo(&["build", "--package", "polygate"]))?;
    let folder = root().join("tests/sdk");
    step("SDKs from npm", command("npm", ["ci", "--no-audit", "--no-fund", "--prefer-offline"]).current_dir(&folder))?;
    let mut soak = command(folder.join("node_modules/.bin/node"), ["soak/codex-silence.mjs"]);
    soak.current_dir(&folder).env("POLYGATE_BIN", binary("debug")).env("SILENCE_MINUTES", minutes.to_string());
    step("codex-silence", &mut soak)
}
