//! Which functions run: the order in which the gateway's code is laid out (`crates/polygate/build.rs`).

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use tempfile::TempDir;

use crate::contest::{self, Contestant};
use crate::form::{Client, Form};
use crate::load::Load;
use crate::plan::Plan;

/// How long an idle gateway is watched: its slowest regular work comes every few seconds.
const IDLE: Duration = Duration::from_secs(10);
/// How long each form is asked for.
const ASKED: Duration = Duration::from_secs(2);
/// What every answer has.
const PLAN: Plan = Plan { tokens: 20, pace: 100.0, batch: 1, phases: 2, stamp: false };
/// What an answer has whose tokens are watched: so many that what a request calls once is far from what each token calls.
const LONG: Plan = Plan { tokens: 200, ..PLAN };

#[derive(Args)]
pub(crate) struct Layout {
    /// Folder of the built binaries, which must have their symbols.
    #[arg(long)]
    folder: PathBuf,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

/// A count for each function, by its symbol.
type Counts = HashMap<String, u64>;

/// What a gateway ran.
#[derive(Default)]
struct Profile {
    /// Instructions of each of its own functions.
    costs: Counts,
    /// Calls of each function, those of libraries too.
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

    /// What a gateway runs from its start to its end, with these requests.
    async fn watch(&self, backend: &Contestant, plan: Plan, forms: &[Form]) -> Result<Profile> {
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

fn load(gateway: &Contestant, plan: Plan, form: Form) -> Load {
    Load {
        port: if form.client == Client::Ollama { gateway.ollama } else { gateway.port },
        key: contest::KEY.to_owned(),
        form,
        through: false,
        tokens: plan.tokens,
        connections: plan.phases,
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

/// A function's symbol: a recursive call has a number behind it.
fn symbol(name: &str) -> String {
    name.split('\'').next().unwrap_or_default().to_owned()
}

/// The number in the column `at` of a line; 0 where there is none.
fn number(line: &str, at: usize) -> u64 {
    line.split_whitespace().nth(at).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// What only starts and idles, by name; then what requests run, costliest first; at the end what every token runs, with what all
/// clients share last. A token that comes alone finds the caches cold, so its functions must lie on as few pages as they can.
fn order(idle: &Counts, asked: &Counts, streamed: &Counts) -> Vec<String> {
    let count = |counts: &Counts, name: &String| counts.get(name).copied().unwrap_or(0);
    let per_token = |name: &String| count(streamed, name) >= u64::from(LONG.tokens * LONG.phases);
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
