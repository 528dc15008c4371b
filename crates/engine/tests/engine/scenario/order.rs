//! Who serves new conversations while all is well: strategy, tiers, priority, ceiling, stagger.

use std::time::Duration;

use engine::LimitsChange;
use offline::{Plan, Quota, Window};
use pool::pick::Strategy;
use rstest::rstest;

use super::ten::Who::{Free2, Plus3, Pro1, Pro2, Team1};
use super::ten::{ALL, Ten, Who};
use crate::bench::{now, responses};

/// Of one tier: the pro accounts in turn, or one of them.
#[rstest]
#[case(Strategy::LeastUsed, &[Pro1, Pro2, Pro1, Pro2, Pro1])]
#[case(Strategy::RoundRobin, &[Pro1, Pro2, Pro1, Pro2, Pro1])]
#[case(Strategy::Sticky, &[Pro1, Pro1, Pro1, Pro1, Pro1])]
#[tokio::test]
async fn the_first_tier_serves_alone(#[case] strategy: Strategy, #[case] order: &[Who]) {
    let ten = Ten::with(|setup| setup.settings.strategy = strategy).await;
    for who in order {
        ten.pass(1);
        ten.serves(*who).await;
    }
}

/// Without tiers: everybody in turn, or one of them until it cannot.
#[tokio::test]
async fn without_tiers_all_ten_take_turns() {
    let ten = Ten::with(|setup| {
        setup.settings.strategy = Strategy::RoundRobin;
        setup.settings.tiers = Vec::new();
    });
    let ten = ten.await;
    for _ in 0..2 {
        let mut served = Vec::new();
        for _ in ALL {
            ten.pass(1);
            let next = ten.next().expect("somebody");
            ten.serves(next).await;
            served.push(next);
        }
        assert!(ALL.iter().all(|who| served.contains(who)), "each once: {served:?}");
    }
}

#[tokio::test]
async fn sticky_leaves_an_account_when_it_must() {
    let ten = Ten::with(|setup| setup.settings.strategy = Strategy::Sticky).await;
    ten.serves(Pro1).await;
    ten.answer_next(Pro1, Plan::usage_limit(600));
    ten.pass(1);
    ten.ask().await.served_by(&[Pro1, Pro2]);
    for seconds in [1, 700] {
        ten.pass(seconds);
        ten.serves(Pro2).await;
    }
}

/// What would go to waste first: most of it left, and the reset near.
#[tokio::test]
async fn quota_aware_takes_what_would_go_to_waste() {
    let ten = Ten::with(|setup| {
        setup.settings.strategy = Strategy::QuotaAware;
        setup.settings.tiers = Vec::new();
    });
    let ten = ten.await;
    let window =
        |minutes| Some(Window { used_percent: 5.0, window_minutes: minutes, reset_at: now().seconds() + 3600 });
    let quota = Quota { primary: window(300), secondary: window(10_080), ..Quota::default() };
    ten.bench.backend.set_quota(ten.login(Plus3), &quota);
    assert!(ten.bench.engine.quotas().measure_all().await.is_empty());
    for _ in 0..3 {
        ten.serves(Plus3).await;
    }
}

/// An owner's number comes before plans.
#[tokio::test]
async fn priority_beats_tiers() {
    let ten = Ten::new().await;
    let change = LimitsChange { max_concurrent: None, priority: Some(-5) };
    ten.bench.engine.accounts().set_limits(ten.id(Free2), change).await.expect("set");
    for _ in 0..3 {
        ten.serves(Free2).await;
    }
    assert!(ten.candidate(Free2).why.contains("priority -5"), "{}", ten.candidate(Free2).why);
}

/// A full account is left for the next tier; nobody waits while another has a place. When all are full, the next request waits
/// for one and is served by it.
#[tokio::test]
async fn ceilings_fill_the_tiers_in_order_and_then_queue() {
    let ten = Ten::with(|setup| setup.settings.max_concurrent = 1).await;
    let mut taps = Vec::new();
    for who in ALL {
        ten.answer_next(who, Plan::auto().pause(5, format!("{who:?}").as_str()));
        assert_eq!(ten.next(), Some(who));
        taps.push(ten.bench.open(responses("count to 9")).await);
        ten.pass(1);
    }
    assert_eq!(ten.calls(), ALL);
    let first = ten.candidate(Pro1);
    assert_eq!((first.standing, ten.next()), ("queues", Some(Pro1)), "the one whose request is the oldest");
    assert!(first.why.contains("1 of 1 requests now"), "{}", first.why);
    let waiting = tokio::spawn({
        let engine = ten.bench.engine.clone();
        async move { engine.run(crate::bench::whole("Reply with exactly: mine")).await.map(|reply| reply.head) }
    });
    ten.bench.until("a queue", |_| ten.view(Pro1).waiting == 1).await;
    assert_eq!(ten.next(), Some(Pro2), "the next one would wait elsewhere");
    ten.bench.backend.release("Pro1");
    taps.remove(0).rest().await;
    let head = waiting.await.expect("no panic").expect("served");
    assert_eq!(head.account.map(|id| id.0).as_deref(), Some(ten.id(Pro1)));
    for (who, tap) in ALL[1..].iter().zip(taps) {
        ten.bench.backend.release(&format!("{who:?}"));
        tap.rest().await;
    }
    ten.stand(&[]);
}

/// Starts on one account are apart: a second request goes to an account that may begin at once, also of a later tier when
/// the wait would be longer than anybody waits.
#[tokio::test]
async fn stagger_spreads_starts() {
    let ten = Ten::with(|setup| setup.settings.stagger = Duration::from_mins(1)).await;
    for who in [Pro1, Pro2, Team1] {
        ten.serves(who).await;
    }
    assert_eq!(ten.candidate(Pro1).standing, "full");
}
