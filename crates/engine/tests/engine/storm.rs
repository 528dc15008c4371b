//! Storms, scaled down: what a trouble that meets every request may cost. Rows F14, F17, F19, F29.

use std::time::{Duration, Instant};

use engine::{Engine, Parts, RelaySpec, Settings};
use offline::{Plan, Rule};
use proto::{Kind, Text};
use rstest::rstest;
use serde_json::json;
use upstream::{Config, Timeouts, Upstream};

use crate::bench::{Bench, MODEL, PATIENCE, Setup, chat};
use crate::relays::{CHAT, sent};

/// Asks so many times at once, each a conversation of its own; how many were served, and the failures of the rest.
async fn crowd(bench: &Bench, count: usize, round: usize) -> (usize, Vec<proto::Failure>) {
    crowd_for(bench, MODEL, count, round).await
}

/// As [`crowd`], for a model.
async fn crowd_for(bench: &Bench, model: &str, count: usize, round: usize) -> (usize, Vec<proto::Failure>) {
    let (failures, _) = timed(bench, model, count, round).await;
    (count - failures.len(), failures)
}

/// As [`crowd_for`]: the failures, and how long each waited for the end of its answer.
async fn timed(bench: &Bench, model: &str, count: usize, round: usize) -> (Vec<proto::Failure>, Vec<Duration>) {
    let mut running = Vec::new();
    for n in 0..count {
        let mut client_call = chat(&format!("Reply with exactly: {round} {n}"));
        client_call.request.cache_key = Some(Text::from(format!("conversation {n}").as_str()));
        client_call.request.model = Some(model.to_owned());
        let engine = bench.engine.clone();
        running.push(tokio::spawn(async move {
            let begun = Instant::now();
            let failure = match engine.run(client_call).await {
                Ok(engine::Reply { body: engine::ReplyBody::Stream(stream), head }) => {
                    crate::bench::Tap::from((head, stream)).rest().await;
                    None
                }
                Ok(_) => None,
                Err(refusal) => Some(refusal.failure),
            };
            (failure, begun.elapsed())
        }));
    }
    let (mut failures, mut times) = (Vec::new(), Vec::new());
    for task in running {
        let (failure, took) = tokio::time::timeout(3 * PATIENCE, task).await.expect("in time").expect("no panic");
        failures.extend(failure);
        times.push(took);
    }
    (failures, times)
}

/// What 99 of 100 of these wait at most, over some rounds in which nobody fails.
async fn p99(bench: &Bench, rounds: std::ops::Range<usize>) -> Duration {
    let mut all = Vec::new();
    for round in rounds {
        let (failures, times) = timed(bench, MODEL, 40, round).await;
        assert_eq!(failures.len(), 0, "{failures:?}");
        all.extend(times);
    }
    all.sort();
    all[all.len() * 99 / 100]
}

fn oops() -> Plan {
    Plan::json(500, json!({"error": {"message": "oops"}}))
}

/// Row F14: every account is rate limited. Each is asked once and then left alone; clients hear the earliest reset.
#[rstest]
#[case::with_a_time(|at| Plan::usage_limit(60 + 10 * at), Kind::Exhausted)]
#[case::without_a_time(|_| Plan::too_many(), Kind::RateLimited)]
#[tokio::test]
async fn a_storm_of_limits_costs_little_and_tells_the_earliest_reset(
    #[case] limit: fn(i64) -> Plan,
    #[case] kind: Kind,
) {
    let bench = Bench::with(Setup::accounts(10)).await;
    for (at, login) in (0..).zip(&bench.logins) {
        bench.backend.add_rule(Rule::responses(limit(at)).account(&login.account_id).always());
    }
    let (served, _) = crowd(&bench, 100, 0).await;
    assert_eq!(served, 0);
    let first = bench.posts();
    assert!(first <= 100 + 30, "first calls and the budget: {first}");
    let (served, failures) = crowd(&bench, 100, 1).await;
    assert_eq!((served, bench.posts()), (0, first), "nobody is asked who is known to be used up");
    for failure in failures {
        assert_eq!(failure.kind, kind);
        assert!((55..=60).contains(&failure.retry_after.expect("Retry-After")), "{failure:?}");
    }
    bench.clock.advance(Duration::from_secs(61));
    bench.backend.clear_script();
    let (served, _) = crowd(&bench, 20, 2).await;
    assert_eq!(served, 20, "the one whose reset is over serves");
}

/// Row F17: fifty clients try five times each against an upstream that fails.
#[tokio::test]
async fn retries_of_clients_stay_within_the_budget_and_the_breaker_opens() {
    let bench = Bench::with(Setup::accounts(1)).await;
    bench.backend.add_rule(Rule::responses(oops()).always());
    for round in 0..5 {
        let (served, _) = crowd(&bench, 50, round).await;
        assert_eq!(served, 0);
        if round == 0 {
            assert!(bench.posts() <= 50 + 30, "first calls and the budget: {}", bench.posts());
        }
    }
    let before = bench.posts();
    assert!(before <= 50 + 30, "open after the first round, with the clock standing: {before}");
    // Half open: one call tells, the others wait for it and are told what it came to.
    bench.clock.advance(Duration::from_secs(2));
    let (served, failures) = crowd(&bench, 50, 6).await;
    assert_eq!((served, bench.posts()), (0, before + 1), "one probe");
    let overloaded = failures.iter().filter(|failure| failure.kind == Kind::Overloaded).count();
    assert_eq!(overloaded, 49, "{failures:?}");
    bench.clock.advance(Duration::from_mins(1));
    crowd(&bench, 1, 6).await;
    assert_eq!(bench.posts(), before + 2, "no second call after a probe, though the budget has one");
    // It works again.
    bench.backend.clear_script();
    bench.clock.advance(Duration::from_mins(1));
    let (served, failures) = crowd(&bench, 50, 7).await;
    assert_eq!(served, 50, "{failures:?}");
    bench.innocent();
}

/// Row F29: one of ten fails; the others serve everybody, and each of its failures costs one more call and no more.
#[tokio::test]
async fn one_that_fails_does_not_stop_the_others() {
    let bench = Bench::with(Setup::accounts(10)).await;
    let sound = p99(&bench, 0..5).await;
    let bad = &bench.logins[3].account_id;
    let attempts =
        || bench.backend.record().model_requests().filter(|request| request.account.as_ref() == Some(bad)).count();
    let (before, calls) = (attempts(), bench.posts());
    bench.backend.add_rule(Rule::responses(oops()).account(bad).always());
    let poisoned = p99(&bench, 5..10).await;
    println!("p99 of 200: {sound:?} with ten that serve, {poisoned:?} with one of them failing");
    let attempts = attempts() - before;
    assert!((1..=30).contains(&attempts), "{attempts}");
    assert_eq!(bench.posts() - calls, 200 + attempts, "nobody else is asked twice");
}

/// A listener whose backlog is full: nobody answers a SYN any more.
fn black_hole() -> (std::net::SocketAddr, Vec<std::net::TcpStream>, tokio::net::TcpListener) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let listener = socket.listen(0).expect("listening");
    let addr = listener.local_addr().expect("an address");
    let waiting = |_| std::net::TcpStream::connect_timeout(&addr, Duration::from_millis(200)).ok();
    let waiting: Vec<_> = (0..64).map_while(waiting).collect();
    assert!(waiting.len() < 64, "a backlog without an end");
    (addr, waiting, listener)
}

/// Row F19: the backend itself is a black hole. A clean end, of which nobody's standing tells.
#[tokio::test]
async fn a_backend_that_nobody_answers_for_is_said_so() {
    let bench = Bench::with(Setup::accounts(3)).await;
    bench.engine.stop().await;
    let (hole, _waiting, _listener) = black_hole();
    let config = Config {
        base_url: format!("http://{hole}/backend-api").parse().expect("a URL"),
        auth_url: bench.backend.auth_url().parse().expect("a URL"),
        timeouts: Timeouts { connect: Duration::from_millis(200), ..Timeouts::default() },
        ..Config::default()
    };
    let upstream = Upstream::new(config).expect("the client");
    let parts =
        Parts { store: bench.store.clone(), upstream, settings: Settings::default(), clock: bench.clock.clone() };
    let engine = Engine::start(parts).await.expect("the engine starts");
    let answer = tokio::time::timeout(PATIENCE, engine.run(chat("hello"))).await.expect("in time");
    let Err(refusal) = answer else { panic!("served by nobody") };
    assert_eq!((refusal.failure.kind, refusal.head.attempts), (Kind::Upstream, 2), "one try more, as nothing was sent");
    assert!(refusal.failure.message.contains("connecting took too long"), "{refusal}");
    assert!(engine.accounts().list().iter().all(|view| view.status == "active"));
    engine.stop().await;
}

/// Rows F19 and F29: one relay of ten is a black hole; the others serve everybody.
#[tokio::test]
async fn a_relay_that_nobody_answers_for_does_not_stop_the_others() {
    let timeouts = Timeouts { connect: Duration::from_millis(200), ..Timeouts::default() };
    let bench = Bench::with(Setup { accounts: vec![], timeouts, ..Setup::default() }).await;
    for n in 0..9 {
        CHAT.join(&bench, &format!("relay-{n}")).await;
    }
    let (hole, _waiting, _listener) = black_hole();
    let spec = RelaySpec { base_url: format!("http://{hole}/v1"), ..CHAT.spec(&bench, "hole") };
    bench.engine.relays().add(&spec).await.expect("the relay is added");
    for round in 0..5 {
        let (served, failures) = crowd_for(&bench, CHAT.model, 40, round).await;
        assert_eq!(served, 40, "{failures:?}");
    }
    assert_eq!(sent(&bench, &CHAT).len(), 200);
}

/// A request that fails everywhere, sent again and again, is its own client's trouble.
#[tokio::test]
async fn one_client_breaks_nothing_for_others() {
    let bench = Bench::new().await;
    bench.backend.add_rule(Rule::responses(oops()).times(40));
    for n in 0..20 {
        let mut client_call = chat(&format!("poison {n}"));
        client_call.request.cache_key = Some(Text::from("poison"));
        bench.ask(client_call).await.expect_err("it fails");
    }
    assert_eq!(crowd(&bench, 20, 0).await.0, 20);
}
