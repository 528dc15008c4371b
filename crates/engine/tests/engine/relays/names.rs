//! Which relay a name means, model lists, and relays that come and go.

use engine::{RelayChange, RelayError, RelayOrigin};
use offline::{Plan, Rule};
use proto::{Dialect, Kind};
use serde_json::json;

use super::{CHAT, MESSAGES, RESPONSES, alone, asking, state};
use crate::bench::{Bench, MODEL, chat, refused};

fn names(bench: &Bench) -> Vec<(String, String)> {
    let shown = bench.engine.models().list().into_iter();
    shown.filter_map(|shown| Some((shown.model.slug, shown.owner?))).collect()
}

#[tokio::test]
async fn accounts_come_first_and_relays_are_chosen_by_name() {
    let bench = Bench::new().await;
    let mut spec = CHAT.spec(&bench, "local");
    spec.models = vec![MODEL.to_owned(), CHAT.model.to_owned()];
    spec.prefix = "loc/".into();
    bench.engine.relays().add(&spec).await.expect("the relay");
    MESSAGES.join(&bench, "claude").await;
    let served = async |model: &str| {
        let answer = bench.ask(asking(Dialect::Chat, model, "Reply with exactly: pong", true)).await;
        answer.map(|answer| answer.head.relay)
    };
    assert_eq!(served(MODEL).await.expect("a reply"), None);
    assert_eq!(served(&format!("codex:{MODEL}")).await.expect("a reply"), None);
    for (model, relay) in [
        (format!("local:{}", CHAT.model), "local"),
        (format!("loc/{}", CHAT.model), "local"),
        (MESSAGES.model.to_owned(), "claude"),
        (format!("claude:{}", MESSAGES.model), "claude"),
    ] {
        assert_eq!(served(&model).await.expect("a reply").as_deref(), Some(relay), "{model}");
    }
    for model in [CHAT.model.to_owned(), "local:unknown".into(), "nobody:x".into()] {
        let refusal = served(&model).await.expect_err("no such model");
        assert_eq!(refusal.failure.kind, Kind::ModelNotFound, "{model}");
    }
    let expected = [("loc/gpt-5.5", "local"), ("loc/llama-4-scout", "local"), ("claude-haiku-5", "claude")];
    assert_eq!(names(&bench), expected.map(|(name, owner)| (name.to_owned(), owner.to_owned())));
    bench.innocent();
}

#[tokio::test]
async fn live_lists_are_fetched_and_outlive_a_restart() {
    let bench = alone().await;
    let mut spec = CHAT.spec(&bench, "live");
    spec.models = Vec::new();
    let view = bench.engine.relays().add(&spec).await.expect("the relay");
    bench.until("the list", |bench| state(bench, "live").listed > 0).await;
    assert!(names(&bench).contains(&("qwen/qwen3-coder".to_owned(), "live".to_owned())), "{:?}", names(&bench));
    let answer = bench.ask(asking(Dialect::Responses, "qwen/qwen3-coder", "hello", false)).await.expect("a reply");
    assert_eq!(answer.head.model, "qwen/qwen3-coder");
    let id = pool::AccountId(view.id);
    let models = async {
        loop {
            if let Some(models) = bench.store.relay_models(&id).await.expect("the store") {
                return models;
            }
            tokio::task::yield_now().await;
        }
    };
    let models = tokio::time::timeout(crate::bench::PATIENCE, models).await.expect("the list is kept");
    assert!(models.body.windows(4).any(|part| part == b"qwen"));
}

#[tokio::test]
async fn relays_of_the_file_come_and_go_with_it() {
    let bench = alone().await;
    let specs = [CHAT.spec(&bench, "one"), RESPONSES.spec(&bench, "two")];
    let mut wrong = CHAT.spec(&bench, "meta");
    wrong.base_url = "http://169.254.169.254/v1".into();
    let refused = bench.engine.relays().replace_configured(&[specs[0].clone(), wrong, specs[1].clone()]).await;
    assert_eq!(refused.len(), 1);
    assert!(refused[0].1.to_string().contains("metadata"), "{}", refused[0].1);
    assert_eq!(bench.engine.relays().list().len(), 2);
    assert!(bench.engine.relays().list().iter().all(|relay| relay.origin == RelayOrigin::File && relay.allow_private));
    bench.ask(asking(Dialect::Chat, RESPONSES.model, "hello", true)).await.expect("a reply");
    // Only the file changes them.
    let id = state(&bench, "one").id;
    assert!(matches!(bench.engine.relays().remove(&id).await, Err(RelayError::File)));
    assert!(matches!(bench.engine.relays().change(&id, RelayChange::default()).await, Err(RelayError::File)));
    assert!(matches!(bench.engine.relays().add(&specs[0]).await, Err(RelayError::File)));
    // The same again changes nothing that was learned; a new file does.
    let state_of = |bench: &Bench| bench.engine.relays().list().into_iter().map(|relay| relay.name).collect::<Vec<_>>();
    bench.engine.relays().replace_configured(&specs).await;
    assert_eq!(state_of(&bench), ["one", "two"]);
    bench.engine.relays().replace_configured(&specs[1..]).await;
    assert_eq!(state_of(&bench), ["two"]);
}

/// `relays add` and `relays remove` of another process are seen by a running engine.
#[tokio::test]
async fn stored_relays_come_and_go_while_it_runs() {
    let bench = alone().await;
    let other = bench.beside().await;
    let spec = CHAT.spec(&bench, "late");
    let relay = other.relays().add(&spec).await.expect("the relay");
    assert!(relay.allow_private, "loopback is marked");
    bench.until("the relay", |bench| bench.engine.ready().ok).await;
    bench.ask(asking(Dialect::Chat, CHAT.model, "hello", true)).await.expect("a reply");
    // Another key, also of another process: what the old one came to is over.
    bench.backend.add_rule(Rule::at(CHAT.endpoint, Plan::relay_key(CHAT.endpoint)));
    refused(bench.ask(asking(Dialect::Chat, CHAT.model, "hello", true)).await);
    bench.until("the refusal is kept", |bench| state(bench, "late").status == "key_refused").await;
    let change = RelayChange { key: Some("sk-offline-another".into()), ..RelayChange::default() };
    other.relays().change(&relay.id, change).await.expect("another key");
    bench.until("the new key", |bench| bench.engine.ready().ok).await;
    bench.ask(asking(Dialect::Chat, CHAT.model, "hello", true)).await.expect("a reply");
    let count = other.relays().test(&relay.id).await.expect("it answers");
    assert!(count > 3);
    assert!(matches!(other.relays().add(&spec).await, Err(RelayError::NameTaken(_))));
    assert!(other.relays().remove(&relay.id).await.expect("removed"));
    bench.until("the end of it", |bench| !bench.engine.ready().ok).await;
    assert_eq!(refused(bench.ask(chat("hello")).await).failure.kind, Kind::NoAccount);
}

#[tokio::test]
async fn a_relay_is_renamed_and_switched_off() {
    let bench = alone().await;
    let id = CHAT.join(&bench, "old").await.id;
    let change = |name: Option<&str>, enabled| RelayChange { name: name.map(str::to_owned), enabled, key: None };
    let view = bench.engine.relays().change(&id, change(Some("new"), None)).await.expect("renamed");
    assert_eq!((view.name.as_str(), view.status), ("new", "active"));
    bench.ask(asking(Dialect::Chat, &format!("new:{}", CHAT.model), "hello", true)).await.expect("a reply");
    let view = bench.engine.relays().change(&id, change(None, Some(false))).await.expect("switched off");
    assert_eq!(view.status, "disabled");
    let refusal = refused(bench.ask(asking(Dialect::Chat, CHAT.model, "hello", true)).await);
    assert_eq!(refusal.failure.kind, Kind::ModelNotFound);
    assert!(bench.engine.models().list().is_empty());
    assert!(matches!(bench.engine.relays().change("nobody", change(None, None)).await, Err(RelayError::Unknown)));
    assert!(bench.engine.relays().change(&id, change(Some("No Name"), None)).await.is_err());
    assert!(bench.engine.relays().remove(&id).await.expect("removed"));
    assert!(!bench.engine.relays().remove(&id).await.expect("gone already"));
}

/// Over the network `allow_private` must be said; this gateway itself is never a relay.
#[tokio::test]
async fn addresses_are_guarded() {
    let bench = alone().await;
    let mut spec = CHAT.spec(&bench, "near");
    spec.private = engine::PrivateAccess::Refused;
    assert!(bench.engine.relays().add(&spec).await.is_err());
    for address in ["http://169.254.169.254/v1", "http://[fd00:ec2::254]/v1", "ftp://x/v1", "http://u:p@localhost/v1"] {
        let mut spec = CHAT.spec(&bench, "bad");
        spec.base_url = address.into();
        spec.private = engine::PrivateAccess::Allowed;
        let error = bench.engine.relays().add(&spec).await.expect_err("refused").to_string();
        assert!(!error.contains("u:p"), "{error}");
    }
    bench.upstream.relays().set_listeners(vec![bench.backend.addr()]);
    CHAT.join(&bench, "self").await;
    let refusal = refused(bench.ask(asking(Dialect::Chat, CHAT.model, "hello", true)).await);
    assert!(refusal.failure.message.contains("this gateway itself"), "{}", refusal.failure.message);
    assert_eq!(bench.backend.record().requests_to(CHAT.endpoint).count(), 0);
}

/// An alias may name a relay's model, and efforts behind it reach the relay.
#[tokio::test]
async fn aliases_and_efforts_reach_relays() {
    let setup = crate::bench::Setup::accounts(0).settings(|settings| {
        settings.names.aliases = vec![("quick".into(), "far:gpt-5-nano-low".into())];
    });
    let bench = Bench::with(setup).await;
    let mut spec = CHAT.spec(&bench, "far");
    spec.models = vec!["gpt-5-nano".into()];
    bench.engine.relays().add(&spec).await.expect("the relay");
    bench.ask(asking(Dialect::Chat, "quick", "hello", true)).await.expect("a reply");
    let body = super::sent(&bench, &CHAT).remove(0);
    assert_eq!((&body["model"], &body["reasoning_effort"]), (&json!("gpt-5-nano"), &json!("low")));
}
