//! Figures, medians, ratios to the floor, and the limits.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::contest::Program;
use crate::load::LoadResult;

/// One round of one proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    /// CPU per token, microseconds.
    token: f64,
    /// CPU per request, microseconds.
    request: f64,
    /// The utilisation of the proxy's core, in saturated rounds only.
    busy: Option<f64>,
}

impl Figure {
    /// Divides the spent CPU time by the tokens and by the requests.
    #[expect(clippy::cast_precision_loss, reason = "counts of one round are far below 2^52")]
    pub(crate) fn new(taken: &LoadResult, spent: Duration, busy: Option<f64>) -> Self {
        let micros = spent.as_secs_f64() * 1e6;
        Self { token: micros / taken.tokens.max(1) as f64, request: micros / taken.requests.max(1) as f64, busy }
    }

    /// The core utilisation below which a saturated round is invalid.
    const BUSY: f64 = 0.85;

    fn counts(&self) -> bool {
        self.busy.is_none_or(|busy| busy >= Self::BUSY)
    }
}

/// Memory before the streams and with all of them open, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) streams: u32,
    pub(crate) before: u64,
    pub(crate) open: u64,
}

impl Memory {
    #[expect(clippy::cast_precision_loss, reason = "bytes of one process are far below 2^52")]
    fn per_stream(self) -> f64 {
        self.open.saturating_sub(self.before) as f64 / f64::from(self.streams) / 1024.0
    }
}

/// The limit of a scenario's cost.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CostLimit {
    /// The maximum ratio to the floor.
    Ratio(f64),
    /// The maximum of a collected answer: a time in microseconds, or a ratio to the floor's stream of the same tokens.
    Collected,
}

/// The maximum ratio of a token's cost over a socket to its cost over POST.
const LEG: f64 = 1.0;
/// Maximum CPU time of one collected answer, microseconds.
const COLLECTED: f64 = 500.0;
/// Maximum memory per open stream, kibibytes.
const PER_STREAM: f64 = 48.0;
/// Maximum idle memory, mebibytes.
const IDLE: f64 = 15.0;
/// Maximum time from the start to the first healthy answer, milliseconds.
const START: f64 = 50.0;
/// Maximum added first-token time p50 and p99, microseconds.
const FIRST: (f64, f64) = (350.0, 1000.0);
/// Maximum token delay p99, microseconds.
const DELAY: f64 = 500.0;
/// A longer delay comes from Nagle's algorithm or a delayed ACK, microseconds.
const STEP: u64 = 30_000;

/// All measurements.
pub(crate) struct Report {
    proxies: Vec<&'static str>,
    rounds: BTreeMap<(&'static str, &'static str), Vec<Figure>>,
    idle: BTreeMap<&'static str, (u64, Duration)>,
    memory: BTreeMap<&'static str, Memory>,
    first: BTreeMap<(&'static str, &'static str), Vec<Vec<u64>>>,
    delays: BTreeMap<(&'static str, &'static str), Vec<u64>>,
    legs: BTreeMap<&'static str, Vec<(Figure, Figure)>>,
    met: bool,
}

impl Report {
    /// An empty report of these proxies.
    pub(crate) fn new(proxies: &[Program]) -> Self {
        Self {
            proxies: proxies.iter().map(|proxy| proxy.name).collect(),
            rounds: BTreeMap::new(),
            idle: BTreeMap::new(),
            memory: BTreeMap::new(),
            first: BTreeMap::new(),
            delays: BTreeMap::new(),
            legs: BTreeMap::new(),
            met: true,
        }
    }

    pub(crate) fn round(&mut self, course: &'static str, proxy: &'static str, figure: Figure) {
        self.rounds.entry((course, proxy)).or_default().push(figure);
    }

    /// Adds a round of one scenario over the socket and over POST.
    pub(crate) fn legs(&mut self, course: &'static str, socket: Figure, post: Figure) {
        self.legs.entry(course).or_default().push((socket, post));
    }

    pub(crate) fn idle(&mut self, proxy: &'static str, rss: u64, started: Duration) {
        self.idle.insert(proxy, (rss, started));
    }

    pub(crate) fn memory(&mut self, proxy: &'static str, memory: Memory) {
        self.memory.insert(proxy, memory);
    }

    pub(crate) fn delays(&mut self, course: &'static str, proxy: &'static str, taken: &LoadResult) {
        self.first.entry((course, proxy)).or_default().push(taken.first.clone());
        self.delays.entry((course, proxy)).or_default().extend(&taken.delays);
    }

    /// Prints the verdict; returns whether every limit is met.
    pub(crate) fn finish(self) -> bool {
        println!("\n{}", if self.met { "every bar is met" } else { "A BAR WAS MISSED" });
        self.met
    }

    fn bar(&mut self, what: &str, value: f64, bar: f64) {
        let met = value <= bar;
        self.met &= met;
        println!("    {} {what}: {value:.2}, bar {bar:.2}", if met { "ok  " } else { "MISS" });
    }

    #[expect(clippy::cast_precision_loss, reason = "bytes of one process are far below 2^52")]
    /// Prints the memory and start time of every program before its first request.
    pub(crate) fn print_idle(&mut self) {
        println!("\nidle memory and start");
        for (name, (rss, started)) in &self.idle {
            println!("  {name:<10} {:>7.1} MiB {:>7.1} ms", *rss as f64 / 1_048_576.0, started.as_secs_f64() * 1e3);
        }
        let floor = self.idle["floor"];
        let (rss, started) = self.idle["polygate"];
        let loose = |bar: f64, floor: f64| bar.max(1.5 * floor);
        self.bar("idle MiB", rss as f64 / 1_048_576.0, loose(IDLE, floor.0 as f64 / 1_048_576.0));
        self.bar("start ms", started.as_secs_f64() * 1e3, loose(START, floor.1.as_secs_f64() * 1e3));
    }

    /// Prints a finished scenario.
    pub(crate) fn print_course(&mut self, course: &'static str, bar: CostLimit) {
        println!("\n{course}: CPU microseconds per token, per request");
        let mut medians = BTreeMap::new();
        for proxy in self.proxies.clone() {
            let rounds = &self.rounds[&(course, proxy)];
            let counted: Vec<Figure> = rounds.iter().copied().filter(Figure::counts).collect();
            let dropped = rounds.len() - counted.len();
            if counted.is_empty() {
                let busy: Vec<String> =
                    rounds.iter().map(|round| format!("{:.0} %", round.busy.unwrap_or(0.0) * 100.0)).collect();
                println!("  {proxy:<10} no round counts: its core was busy {}", busy.join(", "));
                continue;
            }
            let token = median(counted.iter().map(|figure| figure.token).collect());
            let request = median(counted.iter().map(|figure| figure.request).collect());
            medians.insert(proxy, (token, request));
            let note = if dropped > 0 { format!("  ({dropped} rounds did not saturate)") } else { String::new() };
            println!("  {proxy:<10} {token:>8.2} {request:>10.1}{note}");
        }
        self.judge_course(course, bar, &medians);
    }

    fn judge_course(&mut self, course: &str, bar: CostLimit, medians: &BTreeMap<&'static str, (f64, f64)>) {
        let (Some(floor), Some(ours)) = (medians.get("floor"), medians.get("polygate")) else {
            self.met = false;
            return println!("    MISS nothing to compare");
        };
        if let Some(nginx) = medians.get("nginx").filter(|_| course.contains("stream")) {
            let ratio = floor.0 / nginx.0;
            println!("    the floor is {ratio:.2} x nginx{}", if ratio <= 1.2 { "" } else { ": NOT VALID as a floor" });
        }
        match bar {
            CostLimit::Ratio(bar) => {
                let ratios = self.ratios(course);
                let each: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
                println!("    x floor, round by round: {}", each.join(" "));
                self.bar("per token, x floor", median(ratios), bar);
            }
            CostLimit::Collected => self.bar("per request, us", ours.1, COLLECTED.max(1.5 * floor.1)),
        }
    }

    /// The ratio of each gateway round to the floor's simultaneous round, or else to the mean of the floor's rounds before and after it.
    fn ratios(&self, course: &str) -> Vec<f64> {
        let rounds = |proxy| self.rounds.iter().find(|((name, who), _)| *name == course && *who == proxy);
        let (Some((_, floor)), Some((_, ours))) = (rounds("floor"), rounds("polygate")) else { return Vec::new() };
        // For rounds in turn, the floor has one more round.
        let beside = floor.len() - ours.len();
        let pairs = ours.iter().zip(floor.windows(1 + beside));
        let counted = pairs.filter(|(own, floor)| own.counts() && floor.iter().all(Figure::counts));
        counted.map(|(own, floor)| own.token / f64::midpoint(floor[0].token, floor[beside].token)).collect()
    }

    /// Prints the cost of a token over the socket and over POST.
    pub(crate) fn print_legs(&mut self) {
        println!("\nsocket against POST, the same requests: CPU microseconds per token");
        for (course, rounds) in std::mem::take(&mut self.legs) {
            let counted: Vec<_> = rounds.iter().filter(|(socket, post)| socket.counts() && post.counts()).collect();
            let ratios: Vec<f64> = counted.iter().map(|(socket, post)| socket.token / post.token).collect();
            let each: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
            let token =
                |of: fn(&(Figure, Figure)) -> Figure| median(counted.iter().map(|pair| of(pair).token).collect());
            println!("  {course}: {:.2} and {:.2}", token(|pair| pair.0), token(|pair| pair.1));
            println!("    x POST, round by round: {}", each.join(" "));
            self.bar("per token, x POST", median(ratios), LEG);
        }
    }

    /// Prints first-token times and token delays.
    pub(crate) fn print_delays(&mut self) {
        for name in ["responses", "socket", "chat"] {
            println!("\n{name}: first token p50 p99, token delay p50 p99 max, microseconds");
            for proxy in std::iter::once("backend").chain(self.proxies.clone()) {
                let (first, delay) = (&self.first[&(name, proxy)].concat(), &self.delays[&(name, proxy)]);
                println!(
                    "  {proxy:<10} {:>7} {:>7}   {:>6} {:>6} {:>6}",
                    rank(first, 0.5),
                    rank(first, 0.99),
                    rank(delay, 0.5),
                    rank(delay, 0.99),
                    rank(delay, 1.0)
                );
            }
            self.judge_delays(name);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "microseconds of one round are far below 2^52")]
    fn judge_delays(&mut self, name: &'static str) {
        let p99 = |proxy| rank(&self.first[&(name, proxy)].concat(), 0.99) as f64;
        let (p50, p99) = (|proxy| self.added(name, proxy), |proxy| p99(proxy) - p99("backend"));
        let delay = |proxy, share| rank(&self.delays[&(name, proxy)], share) as f64;
        let rows = [
            ("added first token p50, us", p50("polygate"), FIRST.0.max(1.3 * p50("floor"))),
            ("added first token p99, us", p99("polygate"), FIRST.1.max(1.5 * p99("floor"))),
            ("token delay p99, us", delay("polygate", 0.99), DELAY.max(1.5 * delay("floor", 0.99))),
        ];
        let steps = self.delays[&(name, "polygate")].iter().filter(|&&delay| delay > STEP).count();
        let others = self.delays[&(name, "floor")].iter().filter(|&&delay| delay > STEP).count();
        for (what, value, bar) in rows {
            self.bar(what, value, bar);
        }
        self.bar("40 ms steps", steps as f64, others as f64);
    }

    /// What a proxy adds to the first token's p50 of the backend: the median of the differences of each round, because the machine's speed
    /// drifts from round to round.
    #[expect(clippy::cast_precision_loss, reason = "microseconds of one round are far below 2^52")]
    fn added(&self, name: &'static str, proxy: &'static str) -> f64 {
        let rounds = self.first[&(name, proxy)].iter().zip(&self.first[&(name, "backend")]);
        median(rounds.map(|(proxy, backend)| rank(proxy, 0.5) as f64 - rank(backend, 0.5) as f64).collect())
    }

    /// Prints the memory of open streams.
    pub(crate) fn print_memory(&mut self) {
        println!("\nmemory per open stream");
        for (name, memory) in &self.memory {
            println!("  {name:<10} {:>7.1} KiB with {} open", memory.per_stream(), memory.streams);
        }
        let (floor, ours) = (self.memory["floor"].per_stream(), self.memory["polygate"].per_stream());
        self.bar("KiB per stream", ours, PER_STREAM.max(1.5 * floor));
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The quantile `share` of the values.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into a list of one round"
)]
fn rank(values: &[u64], share: f64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = ((sorted.len().saturating_sub(1)) as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or(0)
}
