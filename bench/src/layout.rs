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

#[derive(Args)]
pub(crate) struct Layout {
    /// Folder of the built binaries, which must have their symbols.
    #[arg(long)]
    folder: PathBuf,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

/// Instructions of each function, by its symbol.
type Costs = HashMap<String, u64>;

impl Layout {
    pub(crate) async fn run(&self) -> Result<()> {
        let backend = contest::backend(&self.folder).await?;
        contest::set(backend.port, PLAN).await?;
        let idle = self.watch(&backend, &[]).await?;
        let clients = [
            Client::Responses,
            Client::Socket,
            Client::Chat,
            Client::Messages,
            Client::Gemini,
            Client::Ollama,
            Client::Relay,
        ];
        let asked = self.watch(&backend, &clients).await?;
        let names = order(&idle, &asked);
        ensure!(names.len() > 1000, "only {} functions: is the binary stripped?", names.len());
        fs::write(&self.out, names.join("\n") + "\n").with_context(|| format!("{}", self.out.display()))?;
        println!("{} functions", names.len());
        Ok(())
    }

    /// What a gateway runs from its start to its end, with these clients.
    async fn watch(&self, backend: &Contestant, clients: &[Client]) -> Result<Costs> {
        let place = TempDir::new()?;
        let file = place.path().join("costs");
        let profile = format!("--callgrind-out-file={}", file.display());
        let options = ["--tool=callgrind", "--demangle=no", "--compress-strings=no", "--compress-pos=no", "-q"];
        let under: Vec<&str> = std::iter::once("valgrind").chain(options).chain([profile.as_str()]).collect();
        let gateway = contest::gateway_under(&under, &self.folder, backend.port).await?;
        for client in clients {
            for stream in [true, false] {
                load(&gateway, Form { client: *client, stream }).run().await?;
            }
        }
        tokio::time::sleep(IDLE).await;
        gateway.finish()?;
        costs(&file)
    }
}

fn load(gateway: &Contestant, form: Form) -> Load {
    Load {
        port: if form.client == Client::Ollama { gateway.ollama } else { gateway.port },
        key: contest::KEY.to_owned(),
        form,
        through: false,
        tokens: PLAN.tokens,
        connections: PLAN.phases,
        time: ASKED,
        stagger: Duration::ZERO,
        rest: Duration::ZERO,
    }
}

/// The gateway's own functions in a profile (the format of Callgrind's manual, section 3, without compression).
fn costs(file: &Path) -> Result<Costs> {
    let text = fs::read(file).context("no profile was written")?;
    let (mut costs, mut name, mut own, mut call) = (Costs::new(), String::new(), false, false);
    for line in String::from_utf8_lossy(&text).lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            own = object.ends_with("/polygate");
        } else if let Some(function) = line.strip_prefix("fn=") {
            // A recursive call has a number behind its name.
            function.split('\'').next().unwrap_or_default().clone_into(&mut name);
        } else if line.starts_with("calls=") {
            call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            let spent = line.split_whitespace().nth(1).and_then(|spent| spent.parse::<u64>().ok());
            if own && !std::mem::take(&mut call) {
                *costs.entry(name.clone()).or_default() += spent.unwrap_or(0);
            }
            call = false;
        }
    }
    Ok(costs)
}

/// What only starts and idles, by name; then what requests run, busiest first.
fn order(idle: &Costs, asked: &Costs) -> Vec<String> {
    let at_rest = |name: &String| idle.get(name).copied().unwrap_or(0);
    let mut requests: Vec<_> = asked.iter().filter(|(name, cost)| **cost > 2 * at_rest(name)).collect();
    requests.sort_unstable_by(|one, two| two.1.cmp(one.1).then_with(|| one.0.cmp(two.0)));
    let busy = |name: &String| asked.get(name).is_some_and(|cost| *cost > 2 * at_rest(name));
    let mut rest: Vec<_> = idle.keys().chain(asked.keys()).filter(|name| !busy(name)).collect();
    rest.sort_unstable();
    rest.dedup();
    rest.into_iter().chain(requests.into_iter().map(|(name, _)| name)).cloned().collect()
}
