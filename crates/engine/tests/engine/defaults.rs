//! What requests get that did not ask for it: hosted tools and the fast tier; and models and routes of the owner's own.

use engine::{Call, NewKey};
use pool::catalog::{CustomModel, Provider};
use pool::hosted::Hosted;
use pool::keys::{KeyKind, Scopes};
use proto::{Dialect, Kind};
use rstest::rstest;
use serde_json::{Value, json};

use crate::bench::{Bench, MODEL, Setup, chat, from, refused, responses};
use crate::relays::CHAT;

const BOTH: [Hosted; 2] = Hosted::ALL;

/// The types of the tools that the backend was offered last.
fn offered(bench: &Bench) -> Vec<String> {
    let body = bench.backend.record().model_requests().last().expect("a call").json();
    let tools = body["tools"].as_array().cloned().unwrap_or_default();
    tools.iter().map(|tool| tool["type"].as_str().expect("a type").to_owned()).collect()
}

fn asking(dialect: Dialect, more: &Value) -> Call {
    let mut body = match dialect {
        Dialect::Responses => json!({"input": "hello"}),
        _ => json!({"messages": [{"role": "user", "content": "hello"}]}),
    };
    body["model"] = json!(MODEL);
    body["stream"] = json!(true);
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    from(dialect, &body)
}

#[tokio::test]
async fn requests_get_the_tools_of_the_settings() {
    let bench = Bench::with(Setup::accounts(1).settings(|settings| settings.tools = BOTH.to_vec())).await;
    for call in [chat("hello"), responses("hello")] {
        let answer = bench.ask(call).await.expect("a reply");
        assert_eq!(offered(&bench), ["web_search", "image_generation"]);
        let notes = answer.head.notes.header();
        assert!(notes.contains("added web_search and image_generation"), "{notes}");
    }
    bench.innocent();
}

#[rstest]
// Beside its own, and none twice.
#[case(json!({"tools": [{"type": "function", "name": "f"}]}), &["function", "web_search", "image_generation"])]
#[case(json!({"tools": [{"type": "web_search_preview"}]}), &["web_search_preview", "image_generation"])]
#[case(json!({"tool_choice": "auto"}), &["web_search", "image_generation"])]
// Where the model must not choose freely, or its answer is for a program.
#[case(json!({"tools": [{"type": "function", "name": "f"}], "tool_choice": "required"}), &["function"])]
#[case(json!({"tools": [{"type": "function", "name": "f"}], "tool_choice": "none"}), &["function"])]
#[case(json!({"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}}), &[])]
#[tokio::test]
async fn tools_are_added_where_the_model_is_free(#[case] more: Value, #[case] expected: &[&str]) {
    let bench = Bench::with(Setup::accounts(1).settings(|settings| settings.tools = BOTH.to_vec())).await;
    bench.ask(asking(Dialect::Responses, &more)).await.expect("a reply");
    assert_eq!(offered(&bench), expected);
}

#[tokio::test]
async fn clients_may_bring_their_own_tools() {
    let bench = Bench::with(Setup::accounts(1).settings(|settings| settings.tools = BOTH.to_vec())).await;
    let (mut codex, mut own) = (responses("hello"), chat("hello"));
    codex.client.codex = true;
    own.client.own_tools = true;
    for call in [codex, own] {
        let answer = bench.ask(call).await.expect("a reply");
        assert_eq!(offered(&bench), [""; 0]);
        assert!(!answer.head.notes.header().contains("added"));
    }
}

#[tokio::test]
async fn a_keys_own_list_counts_instead() {
    let bench = Bench::with(Setup::accounts(1).settings(|settings| settings.tools = BOTH.to_vec())).await;
    let new = |tools| {
        let (name, scopes) = ("k".to_owned(), Scopes::default());
        NewKey { name, kind: KeyKind::Client, scopes, expires: None, tools }
    };
    let key = bench.engine.keys().create(new(Some(vec![Hosted::WebSearch]))).await.expect("a key");
    let ask = async |expected: &[&str]| {
        let mut call = chat("hello");
        call.key = engine::KeyId(key.id.clone());
        bench.ask(call).await.expect("a reply");
        assert_eq!(offered(&bench), expected);
    };
    ask(&["web_search"]).await;
    assert!(bench.engine.keys().set_tools(&key.id, Some(&[])).await.expect("stored"));
    ask(&[]).await;
    assert!(bench.engine.keys().set_tools(&key.id, None).await.expect("stored"));
    ask(&["web_search", "image_generation"]).await;
    assert!(!bench.engine.keys().set_tools("nobody", None).await.expect("asked"));
    let admin = NewKey { kind: KeyKind::Admin, ..new(None) };
    let admin = bench.engine.keys().create(admin).await.expect("a token");
    assert!(!bench.engine.keys().set_tools(&admin.id, Some(&[])).await.expect("asked"), "a token asks for no model");
}

/// The backend drops the image tool of other plans without a word; what nobody asked to be drawn keeps no account from serving.
#[tokio::test]
async fn a_plan_without_images_serves_without_them() {
    let bench = Bench::with(Setup::accounts(0).settings(|settings| settings.tools = BOTH.to_vec())).await;
    let login = bench.backend.account("free");
    crate::bench::import(&bench.store, &login).await;
    bench.until("the account", |bench| bench.engine.ready().ok).await;
    bench.ask(chat("hello")).await.expect("a reply");
    assert_eq!(offered(&bench), ["web_search"]);
}

#[tokio::test]
async fn relays_get_no_hosted_tools() {
    let bench = Bench::with(Setup::accounts(0).settings(|settings| settings.tools = BOTH.to_vec())).await;
    CHAT.join(&bench, "far").await;
    let mut call = chat("hello");
    call.request.model = Some(CHAT.model.to_owned());
    let answer = bench.ask(call).await.expect("a reply");
    assert!(!answer.head.notes.header().contains("added"));
    let sent =
        bench.backend.record().requests.iter().rev().find(|request| request.method == "POST").cloned().expect("a call");
    assert!(sent.json().get("tools").is_none(), "{}", sent.json());
}

#[rstest]
#[case(MODEL, json!({}), Some("priority"))]
#[case(MODEL, json!({"service_tier": "default"}), None)]
#[case("gpt-5.5-flex", json!({}), None)]
#[tokio::test]
async fn the_fast_tier_is_the_usual_one(#[case] model: &str, #[case] more: Value, #[case] tier: Option<&str>) {
    let bench = Bench::with(Setup::accounts(1).settings(|settings| settings.fast = true)).await;
    bench.until("the live list", |bench| bench.engine.accounts().list()[0].models > 0).await;
    let mut call = asking(Dialect::Responses, &more);
    call.request.model = Some(model.to_owned());
    let lists = bench
        .engine
        .models()
        .catalog()
        .iter()
        .any(|known| known.slug == MODEL && known.tiers.contains(&"priority".into()));
    assert!(lists, "{MODEL} lists the tier");
    let answer = bench.ask(call).await.expect("a reply");
    let post = bench.backend.record().model_requests().last().expect("a call").clone();
    assert_eq!(post.json().get("service_tier").and_then(Value::as_str), tier);
    let dropped = answer.head.notes.header().contains("service_tier");
    assert_eq!(dropped, model.ends_with("flex"), "only what was asked for is noted");
    let hint = post.header("x-codex-routing-hint").unwrap_or_default();
    assert_eq!(hint.contains("tier=priority"), tier.is_some(), "{hint}");
}

/// Nobody lists the owner's model: every account is asked for it, and one that refuses is passed over.
#[tokio::test]
async fn a_model_of_the_owners_own_is_asked_for() {
    const OWN: &str = "gpt-6-luna";
    let row = CustomModel { slug: OWN.to_owned(), context: Some(77_000), ..CustomModel::default() };
    let bench = Bench::with(Setup::accounts(2).settings(|settings| settings.custom = vec![row])).await;
    for login in &bench.logins {
        bench.backend.set_models(&login.account_id, &[MODEL]);
    }
    let slugs = |bench: &Bench| bench.engine.models().catalog().into_iter().map(|model| model.slug).collect::<Vec<_>>();
    bench.engine.models().refresh(std::time::Duration::ZERO).await;
    assert_eq!(slugs(&bench), [MODEL, OWN]);
    let ask = || {
        let mut call = chat("hello");
        call.request.model = Some(OWN.to_owned());
        bench.ask(call)
    };
    let failure = refused(ask().await).failure;
    assert_eq!(failure.kind, Kind::ModelNotFound, "{}", failure.message);
    // One of them has it now, and does not say so before it is asked.
    bench.pass(pool::limits::MODEL_REST + std::time::Duration::from_secs(1));
    bench.backend.set_models(&bench.logins[1].account_id, &[MODEL, OWN]);
    let answer = ask().await.expect("a reply");
    assert_eq!((answer.head.account.as_ref(), answer.head.model.as_str()), (Some(&bench.ids[1]), OWN));
    let explained = bench
        .engine
        .routing()
        .explain(engine::RoutingQuery { model: Some(OWN), ..Default::default() })
        .expect("explained");
    assert_eq!(explained.chosen.as_deref(), Some(bench.ids[1].0.as_str()));
    let known = bench.engine.models().catalog().into_iter().find(|model| model.slug == OWN).expect("listed");
    assert_eq!(known.context, Some(77_000));
}

#[tokio::test]
async fn a_routed_model_is_served_by_its_provider() {
    let routes = vec![(MODEL.to_owned(), Provider::named("far"))];
    // The relay's owner says that it has the model.
    let row = CustomModel { relay: Some("far".to_owned()), slug: MODEL.to_owned(), ..CustomModel::default() };
    let change = |settings: &mut engine::Settings| (settings.names.routes, settings.custom) = (routes, vec![row]);
    let bench = Bench::with(Setup::accounts(1).settings(change)).await;
    let failure = refused(bench.ask(chat("hello")).await).failure;
    assert_eq!(failure.kind, Kind::ModelNotFound);
    assert!(failure.message.contains("routed to the relay `far`"), "{}", failure.message);
    CHAT.join(&bench, "far").await;
    // The relay knows no such model, and says so itself: the account that has it is not asked.
    let failure = refused(bench.ask(chat("hello")).await).failure;
    assert_eq!((failure.kind, bench.posts()), (Kind::ModelNotFound, 0), "{}", failure.message);
    let record = bench.backend.record();
    let sent = record.requests_to(CHAT.endpoint).find(|request| request.method == "POST").expect("a call");
    assert_eq!(sent.json()["model"], MODEL);
}
