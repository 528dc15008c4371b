//! Row S2: the tokens of all accounts expire together, many times, and several processes refresh them.

use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::beside::{self, Fate, Hits, RandomSequence};
use crate::cluster::Cluster;
use crate::common::{Gateway, Home};
use crate::fleet::{Fleet, size, soaking};

/// Number of command-line processes beside the gateway.
const COMMANDS: usize = 4;

/// Progress of a run.
struct Meter {
    begun: Instant,
    rounds: usize,
    requests: usize,
    /// Tokens expire only while no command is about to get one: a real backend issues no token that expires before it is stored.
    between: Arc<RwLock<()>>,
}

impl Meter {
    fn new() -> Self {
        Self { begun: Instant::now(), rounds: 0, requests: 0, between: Arc::default() }
    }

    /// One round: all tokens expire, every gateway gets one request for each account, and no request fails.
    async fn round(&mut self, fleet: &Fleet, gateways: &[&Gateway]) {
        {
            let _between = self.between.write().unwrap();
            fleet.expire();
        }
        self.answered(fleet, gateways).await;
    }

    /// Every gateway gets one request for each account, and no request fails.
    async fn answered(&mut self, fleet: &Fleet, gateways: &[&Gateway]) {
        let refused = fleet.ask(gateways).await;
        assert_eq!(refused, Vec::<String>::new(), "round {}", self.rounds);
        self.rounds += 1;
        self.requests += gateways.len() * fleet.logins.len();
    }

    fn report(&self, fleet: &Fleet, more: &str) {
        let (time, refreshes) = (self.begun.elapsed(), fleet.backend.record().refreshes.len());
        let accounts = fleet.logins.len();
        println!(
            "{accounts} accounts, {} rounds, {} requests, {refreshes} refreshes, 0 tokens used twice, 0 errors, {more}; {time:.0?}",
            self.rounds, self.requests
        );
    }
}

fn sizes() -> (usize, usize) {
    (size("POLYGATE_SOAK_ACCOUNTS", 5), size("POLYGATE_SOAK_ROUNDS", 20))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_and_four_commands_use_each_token_once() {
    let (accounts, rounds) = sizes();
    let (fleet, home) = Fleet::new(accounts, None).await;
    let home = Arc::new(home);
    let gateway = home.serve(&[]);
    let mut meter = Meter::new();
    let commands = Commands::start(&home, &meter.between);
    while meter.rounds < rounds || commands.done.load(Ordering::Relaxed) < COMMANDS {
        meter.round(&fleet, &[&gateway]).await;
    }
    let done = commands.stop().await;
    assert!(gateway.terminate().success());
    fleet.judge(&home).await;
    meter.report(&fleet, &format!("{done} refreshes asked for by {COMMANDS} commands at a time"));
}

/// Command-line processes that refresh one account after the other.
struct Commands {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    loops: Vec<tokio::task::JoinHandle<()>>,
}

impl Commands {
    fn start(home: &Arc<Home>, between: &Arc<RwLock<()>>) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let ids = beside::accounts(home);
        let start = |nth: usize| {
            let (home, stop, done, ids) = (Arc::clone(home), Arc::clone(&stop), Arc::clone(&done), ids.clone());
            let between = Arc::clone(between);
            tokio::task::spawn_blocking(move || {
                // All processes reach the same account at about the same time.
                for id in ids.iter().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let _running = between.read().unwrap();
                    let Output { status, stderr, .. } = home.run(&["accounts", "refresh", id]);
                    assert!(status.success(), "command {nth}: {}", String::from_utf8_lossy(&stderr));
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let loops = (0..COMMANDS).map(start).collect();
        Self { stop, done, loops }
    }

    /// Lets each process finish its command; returns the number of refreshes of all processes.
    async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for one in self.loops {
            one.await.unwrap();
        }
        self.done.load(Ordering::Relaxed)
    }
}

/// Commands are interrupted while they refresh, and the gateway ends and another gateway starts meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn interrupted_commands_and_starting_gateways_use_each_token_once() {
    let (accounts, rounds) = sizes();
    let (fleet, home) = Fleet::new(accounts, None).await;
    let home = Arc::new(home);
    let (ids, mut dice) = (beside::accounts(&home), RandomSequence::new());
    let mut gateway = home.serve(&[]);
    let (mut meter, mut hits, mut starts, mut commands) = (Meter::new(), Hits::default(), 0, 0);
    while meter.rounds < rounds {
        fleet.expire();
        let beside = beside::start(&home, &ids, &[Fate::Ends, Fate::Interrupted, Fate::Terminated], &mut dice);
        // In every second round a gateway starts while tokens of the commands are on their way.
        if meter.rounds % 2 == 1 {
            assert!(gateway.terminate().success());
            gateway = home.serve(&[]);
            starts += 1;
        }
        meter.answered(&fleet, &[&gateway]).await;
        for ran in beside::ended(beside).await {
            assert_eq!(ran.wrong, None, "round {}", meter.rounds);
            hits.add(&ran);
            commands += 1;
        }
    }
    assert!(gateway.terminate().success());
    fleet.judge(&home).await;
    meter.report(&fleet, &format!("{commands} commands, {hits}, {starts} gateways started, 0 logins lost"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_on_one_database_use_each_token_once() {
    let Some(cluster) = Cluster::start() else { return };
    let (accounts, rounds) = sizes();
    let (fleet, home) = Fleet::new(accounts, Some(cluster.url())).await;
    let (one, two) = (home.serve(&[]), fleet.home());
    let two = two.serve(&[]);
    let (mut meter, mut slowest) = (Meter::new(), Duration::ZERO);
    while meter.rounds < rounds {
        meter.round(&fleet, &[&one, &two]).await;
        if meter.rounds % 5 == 0 {
            let pair = if meter.rounds % 2 == 0 { (&one, &two) } else { (&two, &one) };
            slowest = slowest.max(seen(&fleet, pair).await);
        }
    }
    assert!(one.terminate().success() && two.terminate().success());
    fleet.judge(&home).await;
    meter.report(&fleet, &format!("a new token is seen by the other gateway within {slowest:.0?}"));
}

/// Makes one gateway refresh the first account; returns how long the other gateway takes to see the new token.
async fn seen(fleet: &Fleet, (one, other): (&Gateway, &Gateway)) -> Duration {
    // A soak must meet the promised second; a test run, whose machine may be busy, only has an upper bound.
    let limit = Duration::from_secs(if soaking() { 1 } else { 60 });
    let account = fleet.first(other).await;
    let answer = fleet.refresh(one, &account).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let begun = Instant::now();
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    let fresh = &answer["account"]["expiresAt"];
    // Expiry times are whole seconds: a token of the same second looks the same.
    while *fresh != account["expiresAt"] && fleet.first(other).await["expiresAt"] != *fresh {
        assert!(begun.elapsed() <= limit, "the new token is not seen within {limit:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    begun.elapsed()
}
