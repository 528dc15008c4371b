//! What an account's owner sets for it, and the choice in words.

use engine::{AccountError, LimitsChange, RoutingQuery};
use offline::{Plan, Rule};
use pool::catalog::Chains;
use proto::{Kind, Text};

use crate::bench::{Bench, MODEL, Setup, chat};
use crate::relays::CHAT;

fn most(most: u32) -> LimitsChange {
    LimitsChange { max_concurrent: Some(Some(most)), priority: None }
}

#[tokio::test]
async fn the_ceiling_of_an_account_beats_the_settings_and_holds_at_once() {
    let bench = Bench::with(Setup::accounts(1).settings(|settings| settings.max_concurrent = 1)).await;
    bench.backend.add_rule(Rule::responses(Plan::auto().pause(5, "go")).always());
    let mut taps = vec![bench.open(chat("count to 9")).await];
    let engine = bench.engine.clone();
    let waiting = tokio::spawn(async move { engine.run(chat("count to 9")).await.map(|_| ()) });
    bench.until("a queue", |bench| bench.engine.accounts().list()[0].waiting == 1).await;
    let view = bench.engine.accounts().set_limits(&bench.ids[0].0, most(3)).await.expect("set");
    assert_eq!(view.max_concurrent, Some(3));
    waiting.await.expect("no panic").expect("the waiting request is served at once");
    for _ in 0..2 {
        taps.push(bench.open(chat("count to 9")).await);
    }
    assert_eq!(bench.engine.accounts().list()[0].waiting, 0);
    bench.backend.release("go");
    for tap in taps {
        tap.rest().await;
    }
    assert_eq!(bench.store.accounts().await.expect("rows")[0].limits.max_concurrent, Some(3), "kept");
}

#[tokio::test]
async fn a_lower_priority_serves_first() {
    let bench = Bench::with(Setup::accounts(3)).await;
    let first = LimitsChange { max_concurrent: None, priority: Some(-5) };
    bench.engine.accounts().set_limits(&bench.ids[2].0, first).await.expect("set");
    for n in 0..4 {
        let answer = bench.ask(chat(&format!("conversation {n}"))).await.expect("a reply");
        assert_eq!(answer.head.account.as_ref(), Some(&bench.ids[2]));
    }
}

#[tokio::test]
async fn bad_limits_change_nothing() {
    let bench = Bench::new().await;
    let id = bench.ids[0].0.clone();
    assert!(matches!(bench.engine.accounts().set_limits(&id, most(100_001)).await, Err(AccountError::Limits(_))));
    let far = LimitsChange { max_concurrent: Some(Some(5)), priority: Some(1001) };
    assert!(matches!(bench.engine.accounts().set_limits(&id, far).await, Err(AccountError::Limits(_))));
    assert!(matches!(bench.engine.accounts().set_limits("nobody", most(1)).await, Err(AccountError::Unknown)));
    assert_eq!(bench.store.accounts().await.expect("rows")[0].limits, pool::AccountLimits::default());
}

#[tokio::test]
async fn the_dry_run_names_who_serves_next_and_why_the_others_do_not() {
    let bench = Bench::with(Setup::accounts(3)).await;
    bench.backend.add_rule(Rule::responses(Plan::usage_limit(600)).account(&bench.logins[0].account_id).always());
    for n in 0..6 {
        let explained = bench.engine.routing().explain(RoutingQuery::default()).expect("explained");
        assert_eq!(explained.candidates.len(), 3);
        let expected = explained.chosen.expect("somebody can serve");
        let answer = bench.ask(chat(&format!("conversation {n}"))).await.expect("a reply");
        let served = answer.head.account.expect("an account").0;
        assert!(served == expected || expected == bench.ids[0].0, "the one that was named, or refused: {n}");
    }
    let explained = bench.engine.routing().explain(RoutingQuery::default()).expect("explained");
    let out = explained.candidates.last().expect("three");
    assert_eq!((out.id.as_str(), out.standing), (bench.ids[0].0.as_str(), "exhausted"));
    assert!(out.why.contains("resets in 10 min") || out.why.contains("resets in 9 min"), "{}", out.why);
    assert!(out.until.is_some() && out.score.is_none());
}

#[tokio::test]
async fn the_dry_run_knows_conversations_models_and_keys() {
    let chains = Chains(vec![("gone-*".to_owned(), vec![MODEL.to_owned()])]);
    let bench = Bench::with(Setup::accounts(3).settings(|settings| settings.chains = chains)).await;
    let mut client_call = chat("hello");
    client_call.request.cache_key = Some(Text::from("talk"));
    let owner = bench.ask(client_call).await.expect("a reply").head.account.expect("an account");
    let key = bench.engine.keys().create(engine::NewKey {
        name: "k".into(),
        kind: pool::keys::KeyKind::Client,
        scopes: pool::keys::Scopes::default(),
        expires: None,
        tools: None,
    });
    let key = key.await.expect("a key");
    let explain = |key| {
        bench.engine.routing().explain(RoutingQuery { conversation: Some("talk"), key, ..RoutingQuery::default() })
    };
    let keyless = RoutingQuery { conversation: Some("talk"), keyless: Some("testkey1"), ..RoutingQuery::default() };
    let own = bench.engine.routing().explain(keyless).expect("explained").candidates.remove(0);
    assert_eq!((own.id.as_str(), own.score.map(|score| score.owner)), (owner.0.as_str(), Some(true)));
    // Conversations belong to their key: this one is another's.
    let other = explain(Some(key.id.as_str())).expect("explained");
    assert!(other.candidates.iter().all(|candidate| candidate.score.is_none_or(|score| !score.owner)));
    assert_eq!(explain(Some("nobody")).expect_err("no such key").kind, Kind::Invalid);
    let unknown = RoutingQuery { model: Some("unheard-of"), ..RoutingQuery::default() };
    assert_eq!(bench.engine.routing().explain(unknown).expect_err("no such model").kind, Kind::ModelNotFound);
    let chained = RoutingQuery { model: Some("gone-4"), ..RoutingQuery::default() };
    assert_eq!(bench.engine.routing().explain(chained).expect("its chain is asked").model, MODEL);
    CHAT.join(&bench, "far").await;
    let relays = bench
        .engine
        .routing()
        .explain(RoutingQuery { model: Some(CHAT.model), ..RoutingQuery::default() })
        .expect("explained");
    assert_eq!((relays.candidates.len(), relays.candidates[0].kind), (1, "relay"));
    assert_ne!(relays.chosen, Some(owner.0));
}

/// When nobody can serve the model that is meant, its chain does, and the dry run says so.
#[tokio::test]
async fn the_dry_run_follows_the_chain() {
    let far = format!("far:{}", CHAT.model);
    let chain = |from: &str, to: &[&str]| (from.to_owned(), to.iter().map(|name| (*name).to_owned()).collect());
    let chains = Chains(vec![chain(MODEL, &["nobody:has-this", far.as_str()]), chain("gone-*", &[MODEL])]);
    let bench = Bench::with(Setup::accounts(1).settings(|settings| settings.chains = chains)).await;
    let relay = CHAT.join(&bench, "far").await.id;
    let route = |model| {
        let inquiry = RoutingQuery { model: Some(model), ..RoutingQuery::default() };
        let explained = bench.engine.routing().explain(inquiry).expect("explained");
        let chosen = bench.engine.routing().chosen(inquiry);
        assert_eq!(chosen.as_ref().ok().map(|id| &id.0), explained.chosen.as_ref(), "{model}");
        (explained.chosen, explained.instead, chosen.err().map(|failure| failure.kind))
    };
    let account = bench.ids[0].0.clone();
    assert_eq!(route(MODEL), (Some(account.clone()), None, None));
    assert_eq!(route("gone-4"), (Some(account), None, None));
    bench.backend.add_rule(Rule::responses(Plan::usage_limit(600)));
    let answer = bench.ask(chat("hello")).await.expect("the relay serves");
    assert_eq!(answer.head.relay.as_deref(), Some("far"));
    assert_eq!(route(MODEL), (Some(relay), Some(CHAT.model.to_owned()), None));
    assert_eq!(route("gone-4"), (None, None, Some(Kind::Exhausted)), "chains make no circles");
    let unknown = RoutingQuery { model: Some("unheard-of"), ..RoutingQuery::default() };
    assert_eq!(bench.engine.routing().chosen(unknown).expect_err("no such model").kind, Kind::ModelNotFound);
}
