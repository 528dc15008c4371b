//! Chains on ten accounts: what is asked instead when the model that is meant has nobody left, and the way back to it.

use engine::{Fallback, RoutingQuery};
use offline::{Plan, Rule};
use pool::catalog::Chains;
use proto::Kind;
use rstest::rstest;
use serde_json::json;

use super::ten::Rests::{Blocked, Cooling, Exhausted};
use super::ten::Who::{Free2, Pro1, Pro2};
use super::ten::{ALL, Rests, Ten};
use crate::bench::{Answer, MODEL, chat};
use crate::relays::{CHAT, sent};

/// Another model of the accounts.
const LITTLE: &str = "gpt-6-luna";

/// The model of all requests, then `LITTLE`, then a relay's.
async fn chained() -> Ten {
    let targets = vec![LITTLE.to_owned(), format!("far:{}", CHAT.model)];
    let ten = Ten::with(|setup| setup.settings.chains = Chains(vec![(MODEL.to_owned(), targets)])).await;
    CHAT.join(&ten.bench, "far").await;
    ten
}

/// A request of a new conversation, which the relay serves.
async fn far(ten: &Ten, number: usize) -> Answer {
    let (posts, far) = (ten.bench.posts(), sent(&ten.bench, &CHAT).len());
    let answer = ten.bench.ask(chat(&format!("Reply with exactly: pong {number}"))).await.expect("the relay serves");
    assert_eq!((answer.head.relay.as_deref(), answer.head.attempts), (Some("far"), 1));
    assert_eq!((ten.bench.posts(), sent(&ten.bench, &CHAT).len()), (posts, far + 1));
    answer
}

/// As long as one of the ten serves the model that is meant, nothing else is asked.
#[tokio::test]
async fn every_account_comes_before_the_chain() {
    let ten = chained().await;
    for pair in ALL.chunks(2) {
        ten.answer_next(pair[0], Plan::usage_limit(3600));
        let answer = ten.ask().await.served_by(pair);
        assert_eq!((answer.head.model.as_str(), answer.head.fallback), (MODEL, None));
        ten.bench.engine.accounts().switch(&[ten.id(pair[1]).to_owned()], false).await.expect("switched off");
    }
    assert!(sent(&ten.bench, &CHAT).is_empty());
    let answer = far(&ten, 0).await;
    let from = MODEL.to_owned();
    assert_eq!(answer.head.fallback, Some(Fallback { from, to: CHAT.model.into(), why: "quota used up".into() }));
}

/// The whole pool rests: the chain serves, the dry run says so, and the account that heals first is asked again.
#[rstest]
#[case::used_up(Plan::usage_limit(3600), Exhausted(3600, "primary"), "quota used up")]
#[case::limited(Plan::rate_limit(Some(90)), Cooling(90, "Rate limit reached. Please try again later."), "rate limited")]
#[case::banned(
    Plan::deactivated_workspace(),
    Blocked("the upstream answered 402: deactivated_workspace"),
    "no account can serve"
)]
#[tokio::test]
async fn the_chain_serves_while_all_ten_rest(#[case] plan: Plan, #[case] rests: Rests, #[case] why: &str) {
    let ten = chained().await;
    for who in ALL {
        ten.answer_next(who, plan.clone());
    }
    for pair in ALL.chunks(2) {
        ten.ask().await.result.expect_err("two calls are the most");
        assert_eq!(ten.calls()[ten.bench.posts() - 2..], *pair);
    }
    for number in 0..3 {
        let answer = far(&ten, number).await;
        let fallback = answer.head.fallback.expect("a fallback");
        assert_eq!((fallback.from.as_str(), fallback.to.as_str(), fallback.why.as_str()), (MODEL, CHAT.model, why));
    }
    let explained = ten.explained();
    assert!(explained.candidates.iter().all(|candidate| candidate.score.is_none()));
    assert_eq!(explained.instead.as_deref(), Some(CHAT.model));
    let relay = ten.bench.engine.relays().list().remove(0).id;
    assert_eq!(explained.chosen, Some(relay.clone()));
    let inquiry = RoutingQuery { model: Some(MODEL), ..RoutingQuery::default() };
    assert_eq!(ten.bench.engine.routing().chosen(inquiry).expect("the relay").0, relay);
    let Some(wait) = rests.ends() else { return };
    ten.pass(wait + 3);
    ten.stand(&[]);
    ten.serves(Pro1).await;
}

/// The limit of one model alone is used up, on account after account: another model of the same ten stands in for it, and the
/// relay is not needed.
#[tokio::test]
async fn another_model_of_the_same_ten_stands_in() {
    let ten = chained().await;
    let body = json!({"error": {"type": "usage_limit_reached", "message": "over", "resets_in_seconds": 1800}});
    let exhausted = Plan::json(429, body).header("x-codex-active-limit", "codex_bengalfox");
    for who in ALL {
        ten.bench.backend.add_rule(Rule::responses(exhausted.clone()).account(ten.login(who)).model(MODEL).always());
    }
    for pair in ALL.chunks(2) {
        let left = if pair[1] == Free2 { (Kind::Exhausted, 1800) } else { (Kind::RateLimited, 1) };
        ten.ask().await.refused(pair, left.0, Some(left.1));
    }
    ten.stand(&[]);
    for who in [Pro1, Pro2] {
        let answer = ten.ask().await.served_by(&[who]);
        let fallback = answer.head.fallback.expect("a fallback");
        assert_eq!((fallback.to.as_str(), fallback.why.as_str()), (LITTLE, "quota used up"));
    }
    assert!(sent(&ten.bench, &CHAT).is_empty());
    let explained = ten.explained();
    assert_eq!((explained.instead.as_deref(), explained.chosen.as_deref()), (Some(LITTLE), Some(ten.id(Pro1))));
    ten.bench.backend.clear_script();
    ten.pass(1802);
    let answer = ten.ask().await.served_by(&[Pro1]);
    assert_eq!((answer.head.model.as_str(), answer.head.fallback), (MODEL, None));
}
