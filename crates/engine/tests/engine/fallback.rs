//! Fallback chains: another model is asked when the one that was meant cannot serve, before the first byte only.

use engine::Fallback;
use offline::{Endpoint, Idle, Plan, Rule, Termination};
use pool::catalog::Chains;
use proto::{Dialect, Kind};
use rstest::rstest;
use serde_json::json;

use crate::bench::{Answer, Bench, MODEL, Setup, call, from, refused, words};
use crate::relays::{CHAT, FakeRelay, GEMINI, MESSAGES, RESPONSES, sent};

/// So many accounts, and a relay that is asked instead of their model.
async fn bench_with(fake_relay: &FakeRelay, accounts: usize) -> Bench {
    let entry = |from: &str| (from.to_owned(), vec!["nobody:has-this".to_owned(), format!("far:{}", fake_relay.model)]);
    let chains = Chains(vec![entry(MODEL), entry("gone-*")]);
    let bench = Bench::with(Setup::accounts(accounts).settings(|settings| settings.chains = chains)).await;
    fake_relay.join(&bench, "far").await;
    bench
}

fn limit() -> Plan {
    Plan::usage_limit(3600)
}

fn served_by_the_relay(answer: &Answer, fake_relay: &FakeRelay, dialect: Dialect, attempts: u32) {
    assert_eq!(words(dialect, answer.text()), "pong", "{}", answer.text());
    assert_eq!(answer.head.relay.as_deref(), Some("far"));
    assert_eq!((answer.head.model.as_str(), answer.head.attempts), (fake_relay.model, attempts));
    assert!(answer.text().contains(fake_relay.model) || dialect == Dialect::Gemini, "{}", answer.text());
}

#[rstest]
#[tokio::test]
async fn a_relay_serves_when_the_account_is_used_up(
    #[values(CHAT, RESPONSES, MESSAGES, GEMINI)] far: FakeRelay,
    #[values(Dialect::Chat, Dialect::Responses, Dialect::Messages)] dialect: Dialect,
) {
    let bench = bench_with(&far, 1).await;
    bench.backend.add_rule(Rule::responses(limit()));
    for attempts in [2, 1] {
        let answer = bench.ask(call(dialect, "Reply with exactly: pong", true)).await.expect("the relay serves");
        served_by_the_relay(&answer, &far, dialect, attempts);
        let why = "quota used up".to_owned();
        assert_eq!(answer.head.fallback, Some(Fallback { from: MODEL.into(), to: far.model.into(), why }));
        assert!(answer.head.notes.header().contains("could not serve: quota used up"), "{:?}", answer.head.notes);
    }
    for row in bench.rows(2).await {
        assert_eq!((row.model.as_str(), row.status), (far.model, 200));
    }
    assert_eq!(bench.posts(), 1, "the account that is known to be used up is not asked again");
    bench.innocent();
}

#[rstest]
#[case(Plan::json(429, json!({"detail": "Too Many Requests"})), "rate limited")]
#[case(Plan::json(503, json!({"error": {"code": "server_is_overloaded", "message": "busy"}})), "overloaded")]
#[case(Plan::json(500, json!({"error": {"message": "oops"}})), "failed upstream")]
#[tokio::test]
async fn another_model_heals_what_is_the_upstreams_fault(#[case] plan: Plan, #[case] why: &str) {
    let bench = bench_with(&CHAT, 1).await;
    bench.backend.add_rule(Rule::responses(plan));
    let answer = bench.ask(call(Dialect::Chat, "Reply with exactly: pong", true)).await.expect("the relay serves");
    served_by_the_relay(&answer, &CHAT, Dialect::Chat, 2);
    assert_eq!(answer.head.fallback.expect("a fallback").why, why);
}

#[rstest]
#[case(Plan::json(400, json!({"detail": "Unsupported parameter: seed"})), Kind::Invalid)]
#[case(Plan::json(400, json!({"error": {"code": "context_length_exceeded", "message": "long"}})), Kind::ContextLength)]
#[case(Plan::auto().cut_wire(0, Termination::Reset), Kind::Upstream)]
#[case(Plan::auto().cut_event(1, Termination::Reset), Kind::Upstream)]
#[tokio::test]
async fn the_clients_fault_and_what_may_be_paid_for_stay(#[case] plan: Plan, #[case] kind: Kind) {
    let bench = bench_with(&CHAT, 1).await;
    bench.backend.add_rule(Rule::responses(plan));
    let refusal = refused(bench.ask(call(Dialect::Chat, "hello", true)).await);
    assert_eq!((refusal.failure.kind, refusal.head.attempts), (kind, 1));
    assert_eq!((refusal.head.model.as_str(), refusal.head.fallback), (MODEL, None));
    assert!(sent(&bench, &CHAT).is_empty());
}

/// A connection that was closed while it lay in the pool is no reason for another model.
#[tokio::test]
async fn what_was_never_sent_stays_with_its_model() {
    let bench = bench_with(&CHAT, 1).await;
    bench.backend.add_rule(Rule::responses(Plan::auto().idle(Idle::Close)));
    for _ in 0..2 {
        let answer = bench.ask(call(Dialect::Chat, "hello", true)).await.expect("a reply");
        assert_eq!((answer.head.model.as_str(), answer.head.fallback), (MODEL, None));
    }
}

/// Two calls are the most: what comes next knows the accounts and asks the relay at once.
#[tokio::test]
async fn a_chain_makes_no_third_call() {
    let bench = bench_with(&CHAT, 2).await;
    bench.backend.add_rule(Rule::responses(limit()).times(2));
    let refusal = refused(bench.ask(call(Dialect::Chat, "hello", true)).await);
    assert_eq!((refusal.failure.kind, refusal.head.attempts), (Kind::Exhausted, 2));
    assert!(sent(&bench, &CHAT).is_empty());
    let answer = bench.ask(call(Dialect::Chat, "Reply with exactly: pong", true)).await.expect("the relay serves");
    served_by_the_relay(&answer, &CHAT, Dialect::Chat, 1);
}

/// When nobody serves, the answer is about the model that was meant.
#[tokio::test]
async fn the_first_failure_is_told_when_the_fallback_fails_too() {
    let bench = bench_with(&CHAT, 1).await;
    bench.backend.add_rule(Rule::responses(limit()));
    bench
        .backend
        .add_rule(Rule::at(Endpoint::ChatRelay, Plan::json(400, json!({"error": {"message": "no such thing"}}))));
    let refusal = refused(bench.ask(call(Dialect::Chat, "hello", true)).await);
    assert_eq!((refusal.failure.kind, refusal.head.model.as_str()), (Kind::Exhausted, MODEL));
    assert_eq!((refusal.head.attempts, refusal.head.fallback), (2, None));
    let rows = bench.rows(1).await;
    assert_eq!((rows[0].model.as_str(), rows[0].status), (MODEL, 429));
}

/// So are the limits that a Codex client is told with it.
#[tokio::test]
async fn the_limits_of_the_model_that_was_meant_are_told() {
    let bench = bench_with(&CHAT, 1).await;
    bench.backend.add_rule(Rule::responses(limit()));
    bench
        .backend
        .add_rule(Rule::at(Endpoint::ChatRelay, Plan::json(400, json!({"error": {"message": "no such thing"}}))));
    let mut codex = call(Dialect::Responses, "hello", true);
    codex.client.codex = true;
    let refusal = refused(bench.ask(codex).await);
    assert_eq!(refusal.failure.kind, Kind::Exhausted);
    assert_eq!(refusal.head.headers["x-codex-primary-used-percent"], "100", "{:?}", refusal.head.headers);
}

#[tokio::test]
async fn a_name_that_means_no_model_has_its_chain_too() {
    let bench = bench_with(&CHAT, 1).await;
    let mut client_call = call(Dialect::Chat, "Reply with exactly: pong", true);
    client_call.request.model = Some("gone-4".into());
    let answer = bench.ask(client_call).await.expect("the relay serves");
    served_by_the_relay(&answer, &CHAT, Dialect::Chat, 1);
    let fallback = answer.head.fallback.expect("a fallback");
    assert_eq!((fallback.from.as_str(), fallback.why.as_str()), ("gone-4", "not available"));
    let mut client_call = call(Dialect::Chat, "hello", true);
    client_call.request.model = Some("unheard-of".into());
    assert_eq!(refused(bench.ask(client_call).await).failure.kind, Kind::ModelNotFound);
}

/// Reasoning that only the account can read does not go to the relay, and comes back to life with the account.
#[tokio::test]
async fn encrypted_reasoning_stays_with_its_maker() {
    let bench = bench_with(&RESPONSES, 1).await;
    let user = json!({"type": "message", "role": "user", "content": "Reply with exactly: pong"});
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "of the account"});
    let body = json!({"model": MODEL, "stream": true, "input": [user, reasoning, user]});
    bench.backend.add_rule(Rule::responses(limit()));
    let answer = bench.ask(from(Dialect::Responses, &body)).await.expect("the relay serves");
    served_by_the_relay(&answer, &RESPONSES, Dialect::Responses, 2);
    assert!(answer.head.notes.header().contains("reasoning"), "{}", answer.head.notes.header());
    assert!(!sent(&bench, &RESPONSES)[0].to_string().contains("of the account"));
}

/// A relay that stood in does not take the conversation over: its account serves it again, with what it can read.
#[tokio::test]
async fn a_conversation_comes_back_to_its_account() {
    let bench = bench_with(&RESPONSES, 3).await;
    let ask = async |n: u32| {
        let mut client_call = call(Dialect::Responses, &format!("turn {n}"), true);
        client_call.request.cache_key = Some(proto::Text::from("talk"));
        bench.ask(client_call).await.expect("a reply")
    };
    let owner = ask(0).await.head.account;
    assert!(owner.as_ref().is_some_and(|id| bench.ids.contains(id)));
    let switch = async |on| {
        let ids: Vec<_> = bench.ids.iter().map(|id| id.0.clone()).collect();
        bench.engine.accounts().switch(&ids, on).await.expect("switched");
    };
    switch(false).await;
    for n in 1..3 {
        assert_eq!(ask(n).await.head.relay.as_deref(), Some("far"));
    }
    switch(true).await;
    assert_eq!(ask(3).await.head.account, owner);
}

/// Calls of other models are second calls too: a storm costs no more with a chain than without.
#[tokio::test]
async fn a_chain_spends_the_budget() {
    let bench = bench_with(&CHAT, 1).await;
    let limit = Plan::json(503, json!({"error": {"code": "server_is_overloaded", "message": "busy"}}));
    bench.backend.add_rule(Rule::responses(limit).always());
    let mut served = 0;
    for n in 0..60 {
        let mut client_call = call(Dialect::Chat, &format!("hello {n}"), true);
        client_call.request.cache_key = Some(proto::Text::from("poison"));
        match bench.ask(client_call).await {
            Ok(answer) => served += usize::from(answer.head.relay.is_some()),
            Err(refusal) => assert_eq!(refusal.failure.kind, Kind::Overloaded, "{refusal}"),
        }
    }
    let relayed = sent(&bench, &CHAT).len();
    assert_eq!(relayed, served, "every call of the relay serves somebody");
    assert!((1..=30).contains(&relayed), "{relayed}");
}
