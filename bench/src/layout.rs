//! Finds the functions that run, for the order of the gateway's code (`crates/polygate/build.rs`).

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use tempfile::TempDir;

use crate::contest::{self, Program};
use crate::form::{Client, Form};
use crate::load::Load;
use crate::plan::Plan;

/// How long an idle gateway is profiled: its slowest regular work comes every few seconds.
const IDLE: Duration = Duration::from_secs(10);
/// How long each request form is sent.
const ASKED: Duration = Duration::from_secs(2);
/// The plan of every answer.
const PLAN: Plan = Plan { tokens: 20, pace: 100.0, batch: 1, spread: true, stamp: false };
/// Connections of each request form.
const CONNECTIONS: u32 = 2;
/// The plan of answers for the call counts per token. It has so many tokens that calls per request and calls per token differ clearly.
const LONG: Plan = Plan { tokens: 200, ..PLAN };

#[derive(Args)]
pub(crate) struct Layout {
    /// Folder of the built binaries, with symbols.
    #[arg(long)]
    folder: PathBuf,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

/// A count per function symbol.
type Counts = HashMap<String, u64>;

/// The profile of a gateway.
#[derive(Default)]
struct Profile {
    /// Instructions per function of the gateway.
    costs: Counts,
    /// Calls per function, library functions included.
    calls: Counts,
}

impl Layout {
    pub(crate) async fn run(&self) -> Result<()> {
        let backend = contest::backend(&self.folder).await?;
        let idle = self.watch(&backend, PLAN, &[]).await?.costs;
        let clients = [
            Client::Responses,
            Client::Socket,
            Client::Chat,
            Client::Messages,
            Client::Gemini,
            Client::Ollama,
            Client::Relay,
        ];
        let forms = |stream| clients.map(|client| Form { client, stream });
        let asked = self.watch(&backend, PLAN, &[forms(true), forms(false)].concat()).await?.costs;
        let streamed = self.watch(&backend, LONG, &forms(true)).await?.calls;
        let names = order(&idle, &asked, &streamed);
        ensure!(names.len() > 1000, "only {} functions: is the binary stripped?", names.len());
        fs::write(&self.out, names.join("\n") + "\n").with_context(|| format!("{}", self.out.display()))?;
        println!("{} functions", names.len());
        Ok(())
    }

    /// Profiles a gateway from its start to its exit, with these requests.
    async fn watch(&self, backend: &Program, plan: Plan, forms: &[Form]) -> Result<Profile> {
        contest::set(backend.port, plan).await?;
        let place = TempDir::new()?;
        let file = place.path().join("costs");
        let profile = format!("--callgrind-out-file={}", file.display());
        let options = ["--tool=callgrind", "--demangle=no", "--compress-strings=no", "--compress-pos=no", "-q"];
        let under: Vec<&str> = std::iter::once("valgrind").chain(options).chain([profile.as_str()]).collect();
        let gateway = contest::gateway_under(&under, &self.folder, backend.port).await?;
        for form in forms {
            load(&gateway, plan, *form).run().await?;
        }
        tokio::time::sleep(IDLE).await;
        gateway.finish()?;
        Profile::read(&file)
    }
}

fn load(gateway: &Program, plan: Plan, form: Form) -> Load {
    Load {
        port: if form.client == Client::Ollama { gateway.ollama } else { gateway.port },
        key: contest::KEY.to_owned(),
        form,
        through: false,
        tokens: plan.tokens,
        connections: CONNECTIONS,
        time: ASKED,
        stagger: Duration::ZERO,
        rest: Duration::ZERO,
    }
}

impl Profile {
    /// Reads a profile (the format of Callgrind's manual, section 3, without compression).
    fn read(file: &Path) -> Result<Self> {
        let text = fs::read(file).context("no profile was written")?;
        let (mut profile, mut function, mut callee) = (Self::default(), String::new(), String::new());
        let (mut own, mut in_call) = (false, false);
        for line in String::from_utf8_lossy(&text).lines() {
            if let Some(object) = line.strip_prefix("ob=") {
                own = object.ends_with("/polygate");
            } else if let Some(name) = line.strip_prefix("fn=") {
                function = symbol(name);
            } else if let Some(name) = line.strip_prefix("cfn=") {
                callee = symbol(name);
            } else if let Some(call) = line.strip_prefix("calls=") {
                *profile.calls.entry(callee.clone()).or_default() += number(call, 0);
                in_call = true;
            } else if line.starts_with(|first: char| first.is_ascii_digit()) {
                if own && !std::mem::take(&mut in_call) {
                    *profile.costs.entry(function.clone()).or_default() += number(line, 1);
                }
                in_call = false;
            }
        }
        Ok(profile)
    }
}

/// A function's symbol, without the number that marks a recursive call.
fn symbol(name: &str) -> String {
    name.split('\'').next().unwrap_or_default().to_owned()
}

/// The number in the column `at` of a line; 0 if the column has no number.
fn number(line: &str, at: usize) -> u64 {
    line.split_whitespace().nth(at).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Orders the functions: those of start and idle by name; then those of requests, the most expensive first; then those of every
/// token, the ones that all clients share last. A lone token finds the caches cold, so its functions must use as few pages as possible.
fn order(idle: &Counts, asked: &Counts, streamed: &Counts) -> Vec<String> {
    let count = |counts: &Counts, name: &String| counts.get(name).copied().unwrap_or(0);
    let per_token = |name: &String| count(streamed, name) >= u64::from(LONG.tokens * CONNECTIONS);
    let busy = |name: &String| count(asked, name) > 2 * count(idle, name);
    let rank = |name: &String| match (per_token(name), busy(name)) {
        (true, _) => (2, count(streamed, name)),
        (false, true) => (1, u64::MAX - count(asked, name)),
        (false, false) => (0, 0),
    };
    let mut names: Vec<_> = idle.keys().chain(asked.keys()).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names.sort_by_key(rank);
    names
}
