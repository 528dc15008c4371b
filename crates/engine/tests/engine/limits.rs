//! `accounts.max_concurrent`, its queue, and which account a conversation goes to.

use std::time::Duration;

use offline::{Plan, Rule};
use pool::transport::TransportMode;
use proto::{Dialect, Kind, Text};
use rstest::rstest;
use serde_json::json;

use crate::bench::{Bench, MODEL, PATIENCE, Setup, Tap, chat, from, refused, responses, whole};

fn narrow(accounts: usize) -> Setup {
    Setup::accounts(accounts).settings(|settings| settings.max_concurrent = 1)
}

/// A request that holds the only place until the gate `go` opens.
async fn hold(bench: &Bench) -> Tap {
    bench.backend.add_rule(Rule::responses(Plan::auto().pause(5, "go")));
    bench.open(chat("count to 9")).await
}

#[tokio::test]
async fn without_a_limit_nobody_waits() {
    let bench = Bench::new().await;
    let mut taps = Vec::new();
    bench.backend.add_rule(Rule::responses(Plan::auto().pause(5, "go")).always());
    for _ in 0..20 {
        taps.push(bench.open(chat("count to 9")).await);
    }
    assert_eq!(bench.engine.accounts().list()[0].in_flight, 20);
    bench.backend.release("go");
    for tap in taps {
        tap.rest().await;
    }
    assert_eq!(bench.engine.accounts().list()[0].in_flight, 0);
}

#[tokio::test]
async fn one_is_served_and_the_queue_is_fair_and_bounded() {
    let bench = Bench::with(narrow(1)).await;
    let served = hold(&bench).await;
    let mut waiting = Vec::new();
    for n in 0..64_u32 {
        let engine = bench.engine.clone();
        waiting.push(tokio::spawn(
            async move { engine.run(whole(&format!("Reply with exactly: {n}"))).await.map(|_| ()) },
        ));
        bench.until("its place in the queue", |bench| bench.engine.accounts().list()[0].waiting == n + 1).await;
    }
    let refusal = refused(bench.ask(chat("one too many")).await);
    assert_eq!(refusal.failure.kind, Kind::RateLimited);
    assert!(refusal.failure.retry_after.is_some());
    assert_eq!(bench.posts(), 1);
    bench.backend.release("go");
    served.rest().await;
    for task in waiting {
        tokio::time::timeout(PATIENCE, task).await.expect("in time").expect("no panic").expect("served");
    }
    let record = bench.backend.record();
    let order: Vec<_> = record.model_requests().skip(1).filter_map(|request| request.prompt.clone()).collect();
    assert_eq!(order, (0..64).map(|n| format!("Reply with exactly: {n}")).collect::<Vec<_>>());
    assert_eq!(record.peak, 1 + usize::from(record.peak > 1), "one at a time, beside the model list");
}

#[tokio::test]
async fn a_turn_that_does_not_come_is_429() {
    let setup = narrow(1).settings(|settings| settings.queue_wait = Duration::from_millis(100));
    let bench = Bench::with(setup).await;
    let served = hold(&bench).await;
    let refusal = refused(bench.ask(chat("hello")).await);
    assert_eq!(refusal.failure.kind, Kind::RateLimited);
    assert_eq!(bench.engine.accounts().list()[0].waiting, 0);
    bench.backend.release("go");
    served.rest().await;
    bench.ask(chat("hello")).await.expect("a free place");
}

/// An account that stops serving sends those who wait for it to another.
#[tokio::test]
async fn who_waits_for_a_lost_account_moves_on() {
    let bench = Bench::with(narrow(2)).await;
    bench.backend.add_rule(Rule::responses(Plan::auto().pause(5, "go")));
    bench.backend.add_rule(Rule::responses(Plan::usage_limit(3600).delay("refuse")));
    let served = bench.open(chat("count to 9")).await;
    let lost = tokio::spawn({
        let engine = bench.engine.clone();
        async move { engine.run(whole("lost")).await.map(|_| ()) }
    });
    bench.backend.wait_until(PATIENCE, |record| record.model_requests().count() == 2).await.expect("both are busy");
    let waiting = tokio::spawn({
        let engine = bench.engine.clone();
        async move { engine.run(whole("waiting")).await.map(|_| ()) }
    });
    bench.until("the queue", |bench| bench.engine.accounts().list().iter().any(|view| view.waiting == 1)).await;
    bench.backend.release("refuse");
    bench.until("the mark", |bench| (0..2).any(|at| bench.status(at) == "exhausted")).await;
    bench.backend.release("go");
    served.rest().await;
    tokio::time::timeout(PATIENCE, waiting).await.expect("in time").expect("no panic").expect("served by the other");
    tokio::time::timeout(PATIENCE, lost).await.expect("in time").expect("no panic").expect("served by the other");
}

#[tokio::test]
async fn a_conversation_stays_with_its_account() {
    let bench = Bench::with(Setup::accounts(3)).await;
    let mut served = Vec::new();
    for n in 0..5 {
        let mut client_call = chat(&format!("turn {n}"));
        client_call.request.cache_key = Some(Text::from("conversation"));
        served.push(bench.ask(client_call).await.expect("a reply").head.account);
        bench.ask(chat(&format!("something else {n}"))).await.expect("a reply");
    }
    assert!(served.iter().all(|account| *account == served[0]), "{served:?}");
    let record = bench.backend.record();
    let turns: Vec<_> = record
        .model_requests()
        .filter(|request| request.prompt.as_deref().is_some_and(|p| p.starts_with("turn")))
        .collect();
    let sessions: std::collections::HashSet<_> = turns.iter().map(|request| request.header("session-id")).collect();
    assert_eq!(sessions.len(), 1);
    let others: std::collections::HashSet<_> = record.model_requests().map(|request| request.account.clone()).collect();
    assert_eq!(others.len(), 3, "other conversations are spread");
}

/// A turn state goes back to the account that gave it, for Codex clients, and nowhere else.
#[rstest]
#[tokio::test]
async fn turn_state_never_crosses_accounts(
    #[values(TransportMode::Http, TransportMode::WebSocket)] transport: TransportMode,
) {
    let bench = Bench::with(Setup::accounts(2).settings(|settings| settings.transport = transport)).await;
    let turn = |state: Option<String>| {
        let mut client_call = responses("hello");
        client_call.client.codex = true;
        client_call.client.session = Some("0190a5b2-7c3d-7e4f-8a1b-2c3d4e5f6071".into());
        client_call.client.turn_state = state;
        client_call
    };
    let first = bench.ask(turn(None)).await.expect("a reply");
    let state = first.head.headers.get("x-codex-turn-state").expect("a turn state").to_str().expect("text").to_owned();
    let second = bench.ask(turn(Some(state.clone()))).await.expect("a reply");
    assert_eq!(second.head.account, first.head.account);
    let sent = |at: usize| {
        let record = bench.backend.record();
        let post = record.model_requests().nth(at).expect("a post");
        // A socket's upgrade serves many turns; each of them says it in its message.
        let state = match transport {
            TransportMode::Http => post.header("x-codex-turn-state").map(str::to_owned),
            _ => post.json()["client_metadata"]["x-codex-turn-state"].as_str().map(str::to_owned),
        };
        assert_eq!(post.method, if transport == TransportMode::Http { "POST" } else { "WS" });
        state
    };
    assert_eq!((sent(0), sent(1)), (None, Some(state.clone())));
    let owner = bench.ids.iter().position(|id| Some(id) == first.head.account.as_ref()).expect("one of ours");
    bench.backend.add_rule(Rule::responses(Plan::usage_limit(600)).account(&bench.logins[owner].account_id));
    let moved = bench.ask(turn(Some(state.clone()))).await.expect("a reply from the other");
    assert_ne!(moved.head.account, first.head.account);
    assert_eq!((sent(2), sent(3)), (Some(state), None));
    let stranger = bench.ask(responses("hello")).await.expect("a reply");
    assert!(stranger.head.headers.get("x-codex-turn-state").is_none());
    bench.innocent();
}

/// What an account could not read comes again with every turn of the conversation; it is sent to be refused once.
#[tokio::test]
async fn an_unreadable_history_is_refused_once() {
    let bench = Bench::new().await;
    let user = json!({"type": "message", "role": "user", "content": "hello"});
    let reasoning =
        json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "of another account"});
    let body = json!({"model": MODEL, "stream": true, "prompt_cache_key": "one", "input": [user, reasoning, user]});
    for _ in 0..3 {
        bench.ask(from(Dialect::Responses, &body)).await.expect("a reply");
    }
    let record = bench.backend.record();
    let sent: Vec<_> =
        record.model_requests().map(|request| request.json()["input"].to_string().contains("encrypted")).collect();
    assert_eq!(sent, [true, false, false, false]);
}

/// A compaction begins a clean history: what the account makes from then on is sent again.
#[tokio::test]
async fn a_clean_history_ends_the_stripping() {
    let bench = Bench::new().await;
    let user = json!({"type": "message", "role": "user", "content": "hello"});
    let reasoning = |state: &str| json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": state});
    let body = |items: &[serde_json::Value]| json!({"model": MODEL, "stream": true, "prompt_cache_key": "one", "input": items});
    let foreign = reasoning("of another account");
    let mut turns = vec![body(&[user.clone(), foreign.clone(), user.clone()])];
    let first = bench.ask(from(Dialect::Responses, &turns[0])).await.expect("a reply");
    let own = crate::bench::events(first.text())
        .into_iter()
        .find_map(|event| event["item"]["encrypted_content"].as_str().map(reasoning));
    let own = own.unwrap_or_else(|| panic!("reasoning of the account: {}", first.text()));
    turns.push(body(&[user.clone(), foreign, user.clone(), own.clone(), user.clone()]));
    turns.push(body(&[user.clone(), own, user]));
    for turn in &turns[1..] {
        bench.ask(from(Dialect::Responses, turn)).await.expect("a reply");
    }
    let record = bench.backend.record();
    let sent: Vec<_> =
        record.model_requests().map(|request| request.json()["input"].to_string().contains("encrypted")).collect();
    assert_eq!(sent, [true, false, false, true], "refused once, left out while it is there, then sent");
}

/// Starts on one account are apart; nobody is refused for it, and relays know no such gap.
#[tokio::test]
async fn starts_are_staggered() {
    let gap = Duration::from_millis(80);
    let bench = Bench::with(Setup::accounts(1).settings(|settings| settings.stagger = gap)).await;
    let begun = std::time::Instant::now();
    let ask = async |n: u32| bench.ask(whole(&format!("Reply with exactly: {n}"))).await.map(|_| ());
    let (a, b, c, d) = tokio::join!(ask(1), ask(2), ask(3), ask(4));
    assert!([a, b, c, d].iter().all(Result::is_ok));
    assert!(begun.elapsed() >= 3 * gap, "{:?}", begun.elapsed());
}

/// Nobody tells when a rest ends or an account is switched on: a request that waits for a busy one sees it soon.
#[tokio::test]
async fn who_waits_sees_that_another_account_became_free() {
    let bench = Bench::with(narrow(2)).await;
    let limit = Plan::json(429, json!({"detail": "Too Many Requests"}));
    bench.backend.add_rule(Rule::responses(limit).account(&bench.logins[1].account_id));
    for n in 0..4 {
        bench.ask(chat(&format!("hello {n}"))).await.expect("a reply");
    }
    assert_eq!(bench.status(1), "cooling");
    let served = hold(&bench).await;
    let ask = |text: &str| {
        let (engine, client_call) = (bench.engine.clone(), whole(text));
        tokio::spawn(async move { engine.run(client_call).await.map(|_| ()) })
    };
    let waiting = ask("Reply with exactly: rested");
    bench.until("the queue", |bench| bench.engine.accounts().list()[0].waiting == 1).await;
    bench.clock.advance(Duration::from_secs(61));
    tokio::time::timeout(PATIENCE, waiting).await.expect("in time").expect("no panic").expect("served by the other");
    let id = bench.ids[1].0.clone();
    bench.engine.accounts().switch(std::slice::from_ref(&id), false).await.expect("switched off");
    let waiting = ask("Reply with exactly: switched on");
    bench.until("the queue", |bench| bench.engine.accounts().list()[0].waiting == 1).await;
    bench.engine.accounts().switch(&[id], true).await.expect("switched on");
    tokio::time::timeout(PATIENCE, waiting).await.expect("in time").expect("no panic").expect("served by the other");
    bench.backend.release("go");
    served.rest().await;
}

/// The limit of one model: the account serves its other models, and that one after the reset.
#[tokio::test]
async fn a_used_up_limit_of_a_model_leaves_the_account_alone() {
    let bench = Bench::new().await;
    let body = json!({"error": {"type": "usage_limit_reached", "message": "m", "resets_in_seconds": 600}});
    let limit = Plan::json(429, body).header("x-codex-active-limit", "codex_bengalfox");
    bench.backend.add_rule(Rule::responses(limit));
    let refusal = refused(bench.ask(chat("hello")).await);
    assert_eq!((refusal.failure.kind, refusal.failure.retry_after), (Kind::Exhausted, Some(600)));
    assert_eq!(bench.status(0), "active");
    let refusal = refused(bench.ask(chat("hello")).await);
    assert_eq!((refusal.failure.kind, bench.posts()), (Kind::Exhausted, 1), "not asked again");
    assert!(refusal.failure.message.contains("codex_bengalfox"), "{}", refusal.failure.message);
    let mut other = chat("hello");
    other.request.model =
        bench.engine.models().catalog().into_iter().map(|model| model.slug).find(|slug| slug != MODEL);
    bench.ask(other).await.expect("another model");
    bench.clock.advance(Duration::from_secs(601));
    bench.ask(chat("hello")).await.expect("after the reset");
}
