//! The comparison: the proxies' rounds alternate, so that a disturbance of the machine affects all proxies alike.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use tokio::task::JoinSet;

use crate::contest::{self, Program};
use crate::form::{Client, Form};
use crate::load::{Load, LoadResult};
use crate::machine::{self, Core};
use crate::plan::Plan;
use crate::report::{CostLimit, Figure, Memory, Report};

#[derive(Args)]
pub(crate) struct Run {
    /// Folder of the built binaries.
    #[arg(long)]
    folder: PathBuf,
    /// Rounds per figure; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds per round.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Open streams for the memory figure.
    #[arg(long, default_value_t = 1000)]
    streams: u32,
    /// Only the parts whose name contains this: a scenario's name, `socket against POST`, `delays` or `memory`.
    #[arg(long, default_value = "")]
    only: String,
    /// Fail if a limit is exceeded.
    #[arg(long)]
    strict: bool,
}

/// A scenario: the load and the limit of one figure.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    form: Form,
    plan: Plan,
    connections: u32,
    /// Whether a round is valid only if the proxy's core was busy all the time.
    saturated: bool,
    bar: CostLimit,
}

/// Connections of a round for first-token times and delays.
const DELAYED: u32 = 4;
/// The pause before each read of a saturating load, so that the load uses less CPU time than the proxy.
const REST: Duration = Duration::from_millis(2);
/// The time between two starts of the open streams for the memory figure.
const ARRIVAL: Duration = Duration::from_millis(1);
/// Connections of a paced scenario.
const PACED: u32 = 8;

/// How many times more rounds compare the socket with POST when the rounds run side by side: the two costs are so close that the median of a few
/// rounds is chance.
const CLOSE: u32 = 4;

/// Connections of a scenario with whole answers.
const WHOLE: u32 = 16;

const fn plan(tokens: u32, pace: f64) -> Plan {
    Plan { tokens, pace, batch: 1, spread: pace > 0.0, stamp: false }
}

const fn saturated(name: &'static str, client: Client, ratio: f64) -> Scenario {
    let (form, bar) = (Form { client, stream: true }, CostLimit::Ratio(ratio));
    Scenario { name, form, plan: plan(500, 0.0), connections: 32, saturated: true, bar }
}

const fn paced(name: &'static str, client: Client, ratio: f64) -> Scenario {
    let (form, bar) = (Form { client, stream: true }, CostLimit::Ratio(ratio));
    Scenario { name, form, plan: plan(200, 50.0), connections: PACED, saturated: false, bar }
}

/// Unpaced whole answers: the cost of a request beside its tokens.
const fn whole(name: &'static str, client: Client, (tokens, batch): (u32, u32), ratio: f64) -> Scenario {
    let (form, bar) = (Form { client, stream: true }, CostLimit::Ratio(ratio));
    Scenario { name, form, plan: Plan { batch, ..plan(tokens, 0.0) }, connections: WHOLE, saturated: false, bar }
}

const fn collected(name: &'static str, client: Client) -> Scenario {
    let form = Form { client, stream: false };
    Scenario { name, form, plan: plan(100, 0.0), connections: WHOLE, saturated: false, bar: CostLimit::Collected }
}

impl Scenario {
    /// The share of a round's time: half is enough for whole answers, because a round has thousands of them.
    fn share(&self) -> f64 {
        if self.connections == WHOLE { 0.5 } else { 1.0 }
    }
}

/// All scenarios, with their names in the report.
const COURSES: &[Scenario] = &[
    saturated("responses stream, saturated", Client::Responses, 1.25),
    saturated("socket stream, saturated", Client::Socket, 1.25),
    saturated("chat stream, saturated", Client::Chat, 1.4),
    saturated("messages stream, saturated", Client::Messages, 1.5),
    saturated("gemini stream, saturated", Client::Gemini, 1.5),
    saturated("ollama stream, saturated", Client::Ollama, 1.5),
    saturated("relay stream, saturated", Client::Relay, 1.25),
    paced("responses stream, 400 tokens/s", Client::Responses, 1.25),
    paced("socket stream, 400 tokens/s", Client::Socket, 1.25),
    paced("chat stream, 400 tokens/s", Client::Chat, 1.4),
    paced("messages stream, 400 tokens/s", Client::Messages, 1.5),
    paced("gemini stream, 400 tokens/s", Client::Gemini, 1.5),
    paced("ollama stream, 400 tokens/s", Client::Ollama, 1.5),
    paced("relay stream, 400 tokens/s", Client::Relay, 1.25),
    whole("responses stream, 1 token", Client::Responses, (1, 1), 3.0),
    whole("socket stream, 1 token", Client::Socket, (1, 1), 3.0),
    whole("chat stream, 1 token", Client::Chat, (1, 1), 3.0),
    whole("messages stream, 1 token", Client::Messages, (1, 1), 3.0),
    whole("gemini stream, 1 token", Client::Gemini, (1, 1), 3.0),
    whole("ollama stream, 1 token", Client::Ollama, (1, 1), 3.0),
    whole("relay stream, 1 token", Client::Relay, (1, 1), 3.0),
    whole("responses stream, 100 tokens", Client::Responses, (100, 1), 1.5),
    whole("socket stream, 100 tokens", Client::Socket, (100, 1), 1.5),
    whole("chat stream, 100 tokens", Client::Chat, (100, 1), 1.5),
    whole("messages stream, 100 tokens", Client::Messages, (100, 1), 1.5),
    whole("gemini stream, 100 tokens", Client::Gemini, (100, 1), 1.5),
    whole("ollama stream, 100 tokens", Client::Ollama, (100, 1), 1.5),
    whole("relay stream, 100 tokens", Client::Relay, (100, 1), 1.5),
    whole("responses stream, 100 tokens by ten", Client::Responses, (100, 10), 2.2),
    whole("chat stream, 100 tokens by ten", Client::Chat, (100, 10), 2.2),
    whole("messages stream, 100 tokens by ten", Client::Messages, (100, 10), 2.2),
    whole("gemini stream, 100 tokens by ten", Client::Gemini, (100, 10), 2.2),
    whole("ollama stream, 100 tokens by ten", Client::Ollama, (100, 10), 2.2),
    whole("relay stream, 100 tokens by ten", Client::Relay, (100, 10), 2.2),
    whole("responses stream, 2000 tokens", Client::Responses, (2000, 1), 1.15),
    whole("socket stream, 2000 tokens", Client::Socket, (2000, 1), 1.15),
    whole("chat stream, 2000 tokens", Client::Chat, (2000, 1), 1.25),
    whole("messages stream, 2000 tokens", Client::Messages, (2000, 1), 1.25),
    whole("gemini stream, 2000 tokens", Client::Gemini, (2000, 1), 1.25),
    whole("ollama stream, 2000 tokens", Client::Ollama, (2000, 1), 1.25),
    whole("relay stream, 2000 tokens", Client::Relay, (2000, 1), 1.15),
    collected("responses collected, 100 tokens", Client::Responses),
    collected("chat collected, 100 tokens", Client::Chat),
];

impl Run {
    pub(crate) async fn run(self) -> Result<()> {
        // The load shares core 1 with the backend; core 0 is only for the proxy.
        let own = std::process::id().to_string();
        let pinned = Command::new("taskset")
            .args(["-a", "-cp", "1", &own])
            .output()
            .context("taskset (util-linux) is needed")?;
        ensure!(pinned.status.success(), "cannot pin the load to core 1; two cores are needed");
        let backend = contest::backend(&self.folder).await?;
        let mut proxies = vec![contest::floor(&self.folder, backend.port).await?];
        // Each round of the gateway is between two rounds of the floor.
        proxies.push(contest::gateway(&self.folder, backend.port).await?);
        proxies.extend(contest::nginx(backend.port).await?);
        let mut report = Report::new(&proxies);
        for proxy in &proxies {
            report.idle(proxy.name, machine::rss(proxy.pid)?, proxy.started);
        }
        report.print_idle();
        let wanted = |name: &str| name.contains(&self.only);
        for course in COURSES.iter().filter(|course| wanted(course.name)) {
            self.course(course, &backend, &proxies, &mut report).await?;
            report.print_course(course.name, course.bar);
        }
        if wanted("socket against POST") {
            self.legs(&backend, &proxies, &mut report).await?;
        }
        if wanted("delays") {
            self.delays(&backend, &proxies, &mut report).await?;
            report.print_delays();
        }
        if wanted("memory") {
            for proxy in &proxies {
                report.memory(proxy.name, self.memory(&backend, proxy).await?);
            }
            report.print_memory();
        }
        let met = report.finish();
        ensure!(met || !self.strict, "a bar was missed");
        Ok(())
    }

    async fn course(
        &self,
        course: &Scenario,
        backend: &Program,
        proxies: &[Program],
        report: &mut Report,
    ) -> Result<()> {
        contest::set(backend.port, course.plan).await?;
        if course.saturated || course.plan.pace == 0.0 {
            return self.in_turn(course, proxies, report).await;
        }
        self.abreast(course, proxies, report).await
    }

    /// Runs the proxies one after another, for loads that need the whole core.
    async fn in_turn(&self, course: &Scenario, proxies: &[Program], report: &mut Report) -> Result<()> {
        for round in 0..=self.rounds {
            for proxy in proxies {
                let figure = self.round(course, proxy).await?;
                // The first round is a warm-up.
                if round > 0 {
                    report.round(course.name, proxy.name, figure);
                }
            }
        }
        let floor = &proxies[0];
        report.round(course.name, floor.name, self.round(course, floor).await?);
        Ok(())
    }

    /// Runs all proxies at once, for loads that leave the core idle: the cost of a wake-up drifts within seconds, by more than the
    /// measured difference.
    async fn abreast(&self, course: &Scenario, proxies: &[Program], report: &mut Report) -> Result<()> {
        for round in 0..=self.rounds {
            let all = proxies.iter().map(|proxy| self.round(course, proxy));
            for (proxy, figure) in proxies.iter().zip(futures_util::future::try_join_all(all).await?) {
                if round > 0 {
                    report.round(course.name, proxy.name, figure);
                }
            }
        }
        Ok(())
    }

    /// Runs the same requests over the socket and over POST, with two gateways.
    async fn legs(&self, backend: &Program, proxies: &[Program], report: &mut Report) -> Result<()> {
        let posting = contest::posting(&self.folder, backend.port).await?;
        let gateway = proxies.iter().find(|proxy| !proxy.through).context("no gateway")?;
        let socket = |course: &&Scenario| course.form.client == Client::Socket && course.connections != WHOLE;
        for course in COURSES.iter().filter(socket) {
            contest::set(backend.port, course.plan).await?;
            let rounds = if course.saturated { self.rounds } else { CLOSE * self.rounds };
            for round in 0..=rounds {
                let (socket, post) = (self.round(course, gateway), self.round(course, &posting));
                let (socket, post) =
                    if course.saturated { (socket.await?, post.await?) } else { tokio::try_join!(socket, post)? };
                if round > 0 {
                    report.legs(course.name, socket, post);
                }
            }
        }
        report.print_legs();
        Ok(())
    }

    async fn round(&self, course: &Scenario, proxy: &Program) -> Result<Figure> {
        let load = self.load(course, proxy);
        let (cpu, core) = (machine::cpu(proxy.pid)?, Core::zero()?);
        let taken = load.run().await.with_context(|| format!("{} on {}", course.name, proxy.name))?;
        let (spent, busy) = (machine::cpu(proxy.pid)?.saturating_sub(cpu), Core::zero()?.busy_since(core));
        Ok(Figure::new(&taken, spent, (course.saturated).then_some(busy)))
    }

    fn load(&self, course: &Scenario, proxy: &Program) -> Load {
        Load {
            port: if course.form.client == Client::Ollama { proxy.ollama } else { proxy.port },
            through: proxy.through,
            key: contest::KEY.to_owned(),
            form: course.form,
            tokens: course.plan.tokens,
            connections: course.connections,
            time: Duration::from_secs_f64(self.seconds * course.share()),
            stagger: Duration::ZERO,
            rest: if course.saturated { REST } else { Duration::ZERO },
        }
    }

    /// Measures first-token times and stamped token delays at a low rate, for the proxies and for the backend without a proxy.
    async fn delays(&self, backend: &Program, proxies: &[Program], report: &mut Report) -> Result<()> {
        let plan = Plan { tokens: 20, pace: 100.0, batch: 1, spread: false, stamp: true };
        contest::set(backend.port, plan).await?;
        // The measurement is the time of one request, without its wait for simultaneous requests.
        let stagger = Duration::from_secs_f64(f64::from(plan.tokens) / plan.pace / f64::from(DELAYED));
        for (name, client) in [("responses", Client::Responses), ("socket", Client::Socket), ("chat", Client::Chat)] {
            let form = Form { client, stream: true };
            // The machine's speed drifts within minutes, and by as much as an added time is.
            for round in 0..=2 * self.rounds {
                for proxy in std::iter::once(backend).chain(proxies) {
                    let (tokens, rest, connections) = (plan.tokens, Duration::ZERO, DELAYED);
                    let load = self.load(&COURSES[0], proxy);
                    let taken = Load { form, tokens, connections, stagger, rest, ..load }.run().await?;
                    if round > 0 {
                        report.delays(name, proxy.name, &taken);
                    }
                }
            }
        }
        Ok(())
    }

    /// Measures the memory per stream with many open streams.
    async fn memory(&self, backend: &Program, proxy: &Program) -> Result<Memory> {
        contest::set(backend.port, Plan { tokens: 6, pace: 1.0, batch: 1, spread: false, stamp: false }).await?;
        let before = machine::rss(proxy.pid)?;
        let load = Load { tokens: 6, rest: Duration::ZERO, ..self.load(&COURSES[0], proxy) };
        let mut streams: JoinSet<Result<LoadResult>> = JoinSet::new();
        for _ in 0..self.streams {
            let load = load.clone();
            streams.spawn(async move { load.one().await });
            // The measurement is the memory of open streams, not of a thousand simultaneous requests.
            tokio::time::sleep(ARRIVAL).await;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let open = machine::rss(proxy.pid)?;
        let mut tokens = 0;
        while let Some(taken) = streams.join_next().await {
            tokens += taken??.tokens;
        }
        ensure!(tokens >= u64::from(self.streams) * 6, "{tokens} tokens of {} streams", self.streams);
        Ok(Memory { streams: self.streams, before, open })
    }
}
