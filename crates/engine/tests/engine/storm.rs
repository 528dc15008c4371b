//! Storms, scaled down: what a trouble that meets every request may cost. Rows F14, F17, F29.

use std::time::Duration;

use offline::{Plan, Rule};
use proto::{Kind, Text};
use serde_json::json;

use crate::bench::{Bench, PATIENCE, Setup, chat};

/// Asks so many times at once, each a conversation of its own; how many were served, and the failures of the rest.
async fn crowd(bench: &Bench, count: usize, round: usize) -> (usize, Vec<proto::Failure>) {
    let mut running = Vec::new();
    for n in 0..count {
        let mut asked = chat(&format!("Reply with exactly: {round} {n}"));
        asked.request.cache_key = Some(Text::from(format!("conversation {n}").as_str()));
        let engine = bench.engine.clone();
        running.push(tokio::spawn(async move {
            match engine.run(asked).await {
                Ok(engine::Reply::Stream(stream)) => {
                    crate::bench::Tap::from(stream).rest().await;
                    None
                }
                Ok(engine::Reply::Whole(_)) => None,
                Err(refusal) => Some(refusal.failure),
            }
        }));
    }
    let mut failures = Vec::new();
    for task in running {
        let failure = tokio::time::timeout(3 * PATIENCE, task).await.expect("in time").expect("no panic");
        failures.extend(failure);
    }
    (count - failures.len(), failures)
}

fn oops() -> Plan {
    Plan::json(500, json!({"error": {"message": "oops"}}))
}

/// Row F14: every account is rate limited. Each is asked once and then left alone; clients hear the earliest reset.
#[tokio::test]
async fn a_storm_of_limits_costs_little_and_tells_the_earliest_reset() {
    let bench = Bench::with(Setup::accounts(10)).await;
    for (at, login) in bench.logins.iter().enumerate() {
        let wait = 60 + 10 * i64::try_from(at).expect("few");
        bench.backend.script(Rule::responses(Plan::usage_limit(wait)).account(&login.account_id).always());
    }
    let (served, _) = crowd(&bench, 100, 0).await;
    assert_eq!(served, 0);
    let first = bench.posts();
    assert!(first <= 100 + 30, "first calls and the budget: {first}");
    let (served, failures) = crowd(&bench, 100, 1).await;
    assert_eq!((served, bench.posts()), (0, first), "nobody is asked who is known to be used up");
    for failure in failures {
        assert_eq!(failure.kind, Kind::Exhausted);
        assert!((55..=60).contains(&failure.retry_after.expect("Retry-After")), "{failure:?}");
    }
    bench.clock.advance(Duration::from_secs(61));
    bench.backend.unscript();
    let (served, _) = crowd(&bench, 20, 2).await;
    assert_eq!(served, 20, "the one whose reset is over serves");
}

/// Row F17: fifty clients try five times each against an upstream that fails.
#[tokio::test]
async fn retries_of_clients_stay_within_the_budget_and_the_breaker_opens() {
    let bench = Bench::with(Setup::accounts(1)).await;
    bench.backend.script(Rule::responses(oops()).always());
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
    let told = failures.iter().filter(|failure| failure.kind == Kind::Overloaded).count();
    assert_eq!(told, 49, "{failures:?}");
    bench.clock.advance(Duration::from_mins(1));
    crowd(&bench, 1, 6).await;
    assert_eq!(bench.posts(), before + 2, "no second call after a probe, though the budget has one");
    // It works again.
    bench.backend.unscript();
    bench.clock.advance(Duration::from_mins(1));
    let (served, failures) = crowd(&bench, 50, 7).await;
    assert_eq!(served, 50, "{failures:?}");
    bench.innocent();
}

/// Row F29: one of ten fails; the others serve everybody.
#[tokio::test]
async fn one_that_fails_does_not_stop_the_others() {
    let bench = Bench::with(Setup::accounts(10)).await;
    bench.backend.script(Rule::responses(oops()).account(&bench.logins[3].account_id).always());
    let mut served = 0;
    for round in 0..5 {
        served += crowd(&bench, 40, round).await.0;
    }
    assert_eq!(served, 200);
    let record = bench.backend.record();
    let poisoned = &bench.logins[3].account_id;
    let asked = record.posts().filter(|seen| seen.account.as_ref() == Some(poisoned)).count();
    assert!((1..=30).contains(&asked), "{asked}");
}

/// A request that fails everywhere, sent again and again, is its own client's trouble.
#[tokio::test]
async fn one_client_breaks_nothing_for_others() {
    let bench = Bench::new().await;
    bench.backend.script(Rule::responses(oops()).times(40));
    for n in 0..20 {
        let mut asked = chat(&format!("poison {n}"));
        asked.request.cache_key = Some(Text::from("poison"));
        bench.ask(asked).await.expect_err("it fails");
    }
    assert_eq!(crowd(&bench, 20, 0).await.0, 20);
}
