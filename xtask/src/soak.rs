//! Runs that take too long for CI.

use anyhow::Result;
use clap::Subcommand;

use crate::shell::{cargo, command, root, step};
use crate::{install, product};

/// The runs.
#[derive(Subcommand)]
pub(crate) enum Run {
    /// Codex CLI, Claude Code and the SDKs wait through ten minutes of silence, over HTTP and sockets; the backend must see one request
    /// of each.
    Silence {
        /// Minutes of silence.
        #[arg(long, default_value_t = 10.0)]
        minutes: f64,
    },
    /// Tokens of many accounts expire together, many times: with a gateway and four commands on SQLite, with interrupted commands and new
    /// gateways meanwhile, and with two gateways on PostgreSQL. The backend must see each refresh token once, and no client an error.
    Refresh {
        /// Accounts.
        #[arg(long, default_value_t = 50)]
        accounts: usize,
        /// Rounds of each of the three setups; in each round every token expires.
        #[arg(long, default_value_t = 1000)]
        rounds: usize,
    },
    /// kill -9 of a gateway during a refresh, at every failpoint of the refresh and at random times, with parallel commands that end, are
    /// interrupted or are killed. No login may be lost.
    RefreshKill {
        /// Accounts.
        #[arg(long, default_value_t = 4)]
        accounts: usize,
        /// Kills.
        #[arg(long, default_value_t = 1000)]
        kills: usize,
    },
    /// Upstreams that never end their replies, and many large bodies at once. The gateway must stay within its memory budget, and
    /// release the memory; Linux only.
    Memory {
        /// Minutes of mixed load after the large bodies.
        #[arg(long, default_value_t = 60.0)]
        minutes: f64,
        /// Only this part.
        #[arg(long)]
        only: Option<Part>,
    },
}

/// A part of the memory run.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Part {
    /// Endless replies of relays.
    Replies,
    /// Large bodies, mixed load, idling.
    Bodies,
}

/// Runs a soak test.
pub(crate) fn run(run: &Run) -> Result<()> {
    match run {
        Run::Silence { minutes } => silence(*minutes),
        Run::Memory { minutes, only } => memory(*minutes, *only),
        Run::Refresh { accounts, rounds } => {
            refresh("rounds::", &[("POLYGATE_SOAK_ACCOUNTS", *accounts), ("POLYGATE_SOAK_ROUNDS", *rounds)])
        }
        Run::RefreshKill { accounts, kills } => {
            refresh("kills::", &[("POLYGATE_SOAK_ACCOUNTS", *accounts), ("POLYGATE_SOAK_KILLS", *kills)])
        }
    }
}

fn silence(minutes: f64) -> Result<()> {
    let binary = product::build()?;
    install::npm("tests/sdk")?;
    install::npm("tests/clients")?;
    let folder = root().join("tests/sdk");
    let mut soak = command(folder.join("node_modules/.bin/node"), ["soak/silence.mjs"]);
    soak.current_dir(&folder).env("POLYGATE_BIN", binary).env("SILENCE_MINUTES", minutes.to_string());
    soak.env("CLAUDE_BIN", root().join("tests/clients/node_modules/.bin/claude"));
    step("silence", &mut soak)
}

fn memory(minutes: f64, only: Option<Part>) -> Result<()> {
    let tests = match only {
        Some(Part::Replies) => "endless_replies",
        Some(Part::Bodies) => "large_bodies",
        None => "",
    };
    let mut soak = cargo(&["test", "--release", "--package", "polygate", "--test", "memory"]);
    soak.args(["--", "--ignored", "--nocapture", "--test-threads=1", tests]);
    step("memory", soak.env("POLYGATE_SOAK_MINUTES", minutes.to_string()))
}

/// Runs the small tests of the same name at full size, one after another.
fn refresh(tests: &str, sizes: &[(&str, usize)]) -> Result<()> {
    let mut soak = cargo(&["test", "--package", "polygate", "--features", "polygate/failpoints", "--test", "refresh"]);
    soak.args(["--", "--nocapture", "--test-threads=1", tests]).env("POLYGATE_SOAK", "1");
    soak.envs(sizes.iter().map(|(name, size)| (name, size.to_string())));
    step(tests.trim_end_matches(':'), &mut soak)
}
