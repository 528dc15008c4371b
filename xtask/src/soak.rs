//! Runs that take longer than CI has.

use anyhow::Result;
use clap::Subcommand;

use crate::shell::{command, root, step};
use crate::{install, product};

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
    let binary = product::build()?;
    install::npm("tests/sdk")?;
    let folder = root().join("tests/sdk");
    let mut soak = command(folder.join("node_modules/.bin/node"), ["soak/codex-silence.mjs"]);
    soak.current_dir(&folder).env("POLYGATE_BIN", binary).env("SILENCE_MINUTES", minutes.to_string());
    step("codex-silence", &mut soak)
}
