//! The gateway's memory while upstreams never end their replies and while many large bodies arrive at once, and how much of that memory the
//! gateway releases. `cargo xtask soak memory` runs these tests with a release build.
//!
//! ```text
//! client threads -> gateway (a separate process) -> relay threads of this process
//! ```
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failing step of a test must end it")]
#![allow(clippy::print_stdout, reason = "a soak says what it measured")]

mod client;
mod gateway;
mod relay;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use self::client::{Progress, Request};
use self::gateway::{Gateway, mebibytes};
use self::relay::{PROTOCOLS, Protocol, Relay};

/// The memory budget of a machine with at least 2 GiB (`pool::limits::BUFFERED`).
const BUDGET: u64 = 512 << 20;
/// Memory that the gateway may use beyond its budget, and when it is idle.
const SLACK: u64 = 64 << 20;
/// Number of simultaneous endless replies. Every second one is streamed, and every pair of client protocol and relay protocol occurs.
const ENDLESS: usize = 50;
/// How long streamed replies must continue after the last collected reply has ended: longer than a streamed reply takes to pass the size
/// limit of a reply, at the relay's pace.
const GO_ON: Duration = Duration::from_secs(45);
/// How long a collected reply may take to reach its size limit.
const CAPPED: Duration = Duration::from_mins(5);
/// Number of simultaneous large bodies, and the size of each.
const BODIES: (usize, usize) = (24, 30_000_000);
/// How long an idle gateway may take to release memory.
const IDLE: Duration = Duration::from_mins(1);
/// Interval between two reads of the gateway's memory.
const LOOK: Duration = Duration::from_millis(200);

/// Endless replies: a collected reply must end in an error, a streamed reply must continue.
#[test]
#[ignore = "takes minutes and wants a release build: `cargo xtask soak memory`"]
fn endless_replies_keep_to_the_memory_budget() {
    held_to_bars(replies);
}

/// Large bodies, `POLYGATE_SOAK_MINUTES` of mixed load, and an idle gateway that must have released its memory.
#[test]
#[ignore = "takes minutes and wants a release build: `cargo xtask soak memory`"]
fn large_bodies_keep_to_the_memory_budget() {
    let minutes = std::env::var("POLYGATE_SOAK_MINUTES").map_or(1.0, |minutes| minutes.parse().unwrap());
    held_to_bars(|gateway| bodies(gateway, minutes));
}

/// Fails with every limit that `part` exceeded.
fn held_to_bars(part: impl FnOnce(&Gateway) -> Result<Vec<String>>) {
    let missed = part(&Gateway::start(&Relay::start().unwrap()).unwrap()).unwrap();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

fn replies(gateway: &Gateway) -> Result<Vec<String>> {
    println!("\n== {ENDLESS} endless replies");
    let (idle, start) = (gateway.memory()?, Instant::now());
    let endless: Vec<Endless> = (0..ENDLESS).map(|at| Endless::start(at, gateway.address())).collect();
    let (streamed, collected): (Vec<_>, Vec<_>) = endless.into_iter().partition(|reply| reply.streamed);
    while collected.iter().any(|reply| !reply.thread.is_finished()) && start.elapsed() < CAPPED {
        thread::sleep(LOOK);
    }
    println!("collected replies ended after {:.1} s", start.elapsed().as_secs_f64());
    let mut missed: Vec<String> = collected.into_iter().filter_map(Endless::capped).collect();
    let before: Vec<usize> = streamed.iter().map(|reply| reply.progress.bytes()).collect();
    thread::sleep(GO_ON);
    missed.extend(streamed.iter().zip(before).filter_map(|(reply, before)| reply.stands(before)));
    let total = streamed.iter().map(|reply| reply.progress.bytes() as u64).sum();
    let (peak, end) = (gateway.peak()?, gateway.memory()?);
    println!("streamed replies: {} in all", mebibytes(total));
    println!("RSS: {} before, {} at most, {} at the end", mebibytes(idle), mebibytes(peak), mebibytes(end));
    missed.extend(over("RSS during endless replies", peak, BUDGET + SLACK));
    Ok(missed)
}

/// A reply that its relay never ends.
struct Endless {
    client: Protocol,
    server: Protocol,
    streamed: bool,
    progress: Arc<Progress>,
    thread: JoinHandle<Result<client::Reply>>,
}

impl Endless {
    fn start(at: usize, address: SocketAddr) -> Self {
        let (client, server) = (PROTOCOLS[at / 2 % 4], PROTOCOLS[at / 8 % 4]);
        let streamed = at.is_multiple_of(2);
        let request = Request::small(client, &format!("endless-{}", server.name()), streamed);
        let progress = Arc::<Progress>::default();
        let seen = Arc::clone(&progress);
        let thread = thread::spawn(move || request.send(address, &seen));
        Self { client, server, streamed, progress, thread }
    }

    /// The error of a collected reply, which should have ended in an error of its client's protocol.
    fn capped(self) -> Option<String> {
        let name = self.name();
        let check = || {
            ensure!(self.thread.is_finished(), "has not ended");
            let reply = join(self.thread)??;
            ensure!(reply.status >= 500, "status {}", reply.status);
            ensure!(self.client.is_error(&reply.json()?), "no error of its protocol: {}", reply.shown());
            Ok(())
        };
        check().err().map(|error| format!("{name}: {error}"))
    }

    /// The error of a streamed reply that has ended or has no more bytes than `before`.
    fn stands(&self, before: usize) -> Option<String> {
        let bytes = self.progress.bytes();
        let goes_on = bytes > before && !self.progress.is_over();
        let text = || format!("{}: ended after {}: {}", self.name(), mebibytes(bytes as u64), self.progress.shown());
        (!goes_on).then(text)
    }

    fn name(&self) -> String {
        let kind = if self.streamed { "streamed" } else { "collected" };
        format!("{kind}, {} client, {} relay", self.client.name(), self.server.name())
    }
}

/// Sends large bodies at once, then mixed load, then nothing.
fn bodies(gateway: &Gateway, minutes: f64) -> Result<Vec<String>> {
    let (count, size) = BODIES;
    println!("\n== {count} bodies of {} MB, then {minutes} minutes of mixed load", size / 1_000_000);
    let idle = gateway.memory()?;
    let large: Vec<Request> = PROTOCOLS.iter().map(|client| Request::large(*client, "short-chat", size)).collect();
    let probe = Probe::start(gateway.address());
    let replies: Vec<_> = (0..count)
        .map(|at| {
            let (request, address) = (large[at % 4].clone(), gateway.address());
            thread::spawn(move || request.send(address, &Progress::default()))
        })
        .collect();
    let statuses = replies.into_iter().map(|reply| Ok(join(reply)??.status)).collect::<Result<Vec<_>>>()?;
    let peak = gateway.peak()?;
    let served = statuses.iter().filter(|status| **status == 200).count();
    println!("{served} of {count} were served, RSS {} before, {} at most", mebibytes(idle), mebibytes(peak));
    println!("a small request beside them: {}", probe.end()?);
    let mut missed: Vec<String> =
        statuses.into_iter().filter(|status| !matches!(status, 200 | 503 | 529)).map(odd).collect();
    if minutes > 0.0 {
        missed.extend(mixed(gateway, &large, Duration::from_secs_f64(minutes * 60.0))?);
    }
    drop(large);
    let (left, after) = settled(gateway)?;
    println!("RSS {} after {:.0} s of idling", mebibytes(left), after.as_secs_f64());
    missed.extend(over("RSS of the idle gateway", left, SLACK));
    Ok(missed)
}

fn odd(status: u16) -> String {
    format!("a large body was answered with {status}")
}

/// Small requests of all protocols from eight clients; every hundredth request is large.
fn mixed(gateway: &Gateway, large: &[Request], time: Duration) -> Result<Vec<String>> {
    let (end, address) = (Instant::now() + time, gateway.address());
    let clients: Vec<_> = (0..8)
        .map(|at| {
            let large = large[at % 4].clone();
            thread::spawn(move || {
                let mut failures = Vec::new();
                let mut sent = 0;
                while Instant::now() < end {
                    failures.extend(failure(turn(at + sent, &large).send(address, &Progress::default())));
                    sent += 1;
                }
                (sent, failures)
            })
        })
        .collect();
    let clients = clients.into_iter().map(join).collect::<Result<Vec<_>>>()?;
    let sent: usize = clients.iter().map(|(sent, _)| sent).sum();
    let failures: Vec<String> = clients.into_iter().flat_map(|(_, failures)| failures).collect();
    println!("mixed load: {sent} requests, {} failed, {} at its end", failures.len(), mebibytes(gateway.memory()?));
    let first = |first: &String| format!("{} requests of the mixed load failed, the first: {first}", failures.len());
    Ok(failures.first().map(first).into_iter().collect())
}

/// The error of a reply that should have been good.
fn failure(reply: Result<client::Reply>) -> Option<String> {
    match reply {
        Ok(reply) if reply.status == 200 => None,
        Ok(reply) => Some(reply.shown()),
        Err(error) => Some(error.to_string()),
    }
}

/// One request of the mixed load.
fn turn(at: usize, large: &Request) -> Request {
    if at % 100 == 99 {
        return large.clone();
    }
    let (client, server) = (PROTOCOLS[at % 4], PROTOCOLS[at / 4 % 4]);
    Request::small(client, &format!("short-{}", server.name()), !at.is_multiple_of(3))
}

/// The gateway's memory as soon as it is within the limit, or when the time for it is over; and how long that took.
fn settled(gateway: &Gateway) -> Result<(u64, Duration)> {
    let start = Instant::now();
    loop {
        let (left, after) = (gateway.memory()?, start.elapsed());
        if left <= SLACK || after > IDLE {
            return Ok((left, after));
        }
        thread::sleep(LOOK);
    }
}

fn over(what: &str, bytes: u64, bar: u64) -> Option<String> {
    (bytes > bar).then(|| format!("{what} is {}, the bar is {}", mebibytes(bytes), mebibytes(bar)))
}

fn join<T>(thread: JoinHandle<T>) -> Result<T> {
    thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))
}

/// Sends small requests one after the other, and stores their durations.
struct Probe {
    over: Arc<AtomicBool>,
    times: JoinHandle<Result<Vec<Duration>>>,
}

impl Probe {
    fn start(address: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let times = thread::spawn(move || {
            let request = Request::small(Protocol::Chat, "short-chat", true);
            let mut times = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let start = Instant::now();
                request.send(address, &Progress::default())?;
                times.push(start.elapsed());
                thread::sleep(Duration::from_millis(10));
            }
            Ok(times)
        });
        Self { over, times }
    }

    /// Stops the requests, and returns their durations as text.
    fn end(self) -> Result<String> {
        self.over.store(true, Ordering::Relaxed);
        let mut times = join(self.times)??;
        times.sort();
        let at = |share: usize| times.get(times.len() * share / 100).or(times.last()).copied().unwrap_or_default();
        let (count, max) = (times.len(), times.last().copied().unwrap_or_default());
        Ok(format!("{:.0?} in the middle, {:.0?} at 95 %, {max:.0?} at most, of {count}", at(50), at(95)))
    }
}
