//! Codex clients of other versions than ours: the list that they get is the one that the backend has for their version.

use std::time::Duration;

use offline::{Endpoint, Plan, Rule};
use pool::catalog::CodexList;
use pool::limits;
use proto::Dialect;
use serde_json::{Value, json};

use crate::bench::{Bench, MODEL, PATIENCE, call};
use crate::relays::CHAT;

const OLD: &str = "0.150.0";

/// What the backend lists for an old client: one of our models in other words, and one that we do not know.
fn list() -> Plan {
    let entry =
        |slug: &str| json!({"slug": slug, "display_name": "For old clients", "context_window": 100_000, "priority": 1});
    Plan::json(200, json!({"models": [entry(MODEL), entry("only-old")]}))
}

/// The names of models and the text that says whose words they are in.
fn entries(list: &CodexList) -> Vec<(String, String)> {
    let body: Value = serde_json::from_slice(&list.body).expect("JSON");
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let all = body["models"].as_array().expect("a list");
    all.iter().map(|entry| (text(entry, "slug"), text(entry, "display_name"))).collect()
}

async fn listed(bench: &Bench, version: Option<&str>) -> CodexList {
    bench.engine.models().codex(version, PATIENCE).await
}

/// With a live list, and so many calls for it.
async fn bench() -> (Bench, usize) {
    let bench = Bench::new().await;
    bench.until("the live list", |bench| bench.engine.accounts().list()[0].models > 0).await;
    let calls = calls(&bench);
    (bench, calls)
}

fn calls(bench: &Bench) -> usize {
    bench.backend.record().requests_to(Endpoint::Models).count()
}

#[tokio::test]
async fn a_client_gets_the_list_of_its_version() {
    let (bench, before) = bench().await;
    let own = listed(&bench, None).await;
    bench.backend.add_rule(Rule::at(Endpoint::Models, list()));
    let old = listed(&bench, Some(OLD)).await;
    // What our own lists lack cannot be asked for, and what its own lacks is not for it.
    assert_eq!(entries(&old), [(MODEL.to_owned(), "For old clients".to_owned())]);
    let record = bench.backend.record();
    let request = record.requests_to(Endpoint::Models).last().expect("a call");
    assert_eq!(request.query.as_deref(), Some("client_version=0.150.0"));
    assert_eq!(request.header("version"), Some(OLD));
    assert_eq!(listed(&bench, Some(OLD)).await, old);
    assert_eq!(listed(&bench, None).await, own, "others get theirs as before");
    assert_eq!(calls(&bench), before + 1, "it is asked for once");
    CHAT.join(&bench, "far").await;
    let names: Vec<_> = entries(&listed(&bench, Some(OLD)).await).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [MODEL, CHAT.model], "relays' models are for everybody");
    bench.innocent();
}

/// A reply names the list that its client has: Codex asks again whenever it names another.
#[tokio::test]
async fn replies_name_the_list_of_the_clients_version() {
    let (bench, _) = bench().await;
    bench.backend.add_rule(Rule::at(Endpoint::Models, list()));
    let (own, old) = (listed(&bench, None).await.etag, listed(&bench, Some(OLD)).await.etag);
    assert_ne!(own, old);
    for (version, etag) in [(None, &own), (Some(OLD), &old), (Some("0.151.0"), &own)] {
        let mut client_call = call(Dialect::Responses, "hello", true);
        (client_call.client.codex, client_call.client.version) = (true, version.map(str::to_owned));
        let answer = bench.ask(client_call).await.expect("a reply");
        let header = answer.head.headers.get("x-models-etag").and_then(|etag| etag.to_str().ok());
        assert_eq!(header, Some(etag.as_str()), "{version:?}");
    }
}

/// When the list does not come, or not in time, the client has ours; a failure is not repeated with each call.
#[tokio::test]
async fn ours_is_the_floor() {
    let (bench, before) = bench().await;
    let own = listed(&bench, None).await;
    bench.backend.add_rule(Rule::at(Endpoint::Models, Plan::json(500, json!({"error": {"message": "no"}}))));
    for _ in 0..3 {
        assert_eq!(listed(&bench, Some("0.150.1")).await, own);
    }
    assert_eq!(calls(&bench), before + 1);
    bench.backend.add_rule(Rule::at(Endpoint::Models, list().delay("late")));
    assert_eq!(bench.engine.models().codex(Some(OLD), Duration::ZERO).await, own);
    bench.backend.release("late");
    assert_eq!(entries(&listed(&bench, Some(OLD)).await).len(), 1);
}

/// Our own version, and what is none, costs no call; neither does one version too many.
#[tokio::test]
async fn calls_are_bounded() {
    let (bench, before) = bench().await;
    let own = listed(&bench, None).await;
    for none in ["0.169.0", "", "latest", "1.2", "0.1.0&x=1"] {
        assert_eq!(listed(&bench, Some(none)).await, own, "{none}");
    }
    assert_eq!(calls(&bench), before);
    for n in 0..limits::CLIENT_VERSIONS.0 + 3 {
        listed(&bench, Some(&format!("0.{n}.0"))).await;
    }
    assert_eq!(calls(&bench), before + limits::CLIENT_VERSIONS.0);
}
