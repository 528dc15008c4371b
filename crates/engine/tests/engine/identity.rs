//! Who we say we are and where calls go: published versions, routing, model lists by age and on demand.

use std::time::Duration;

use engine::{Clock, Engine, Feeds, Parts, Reply, ReplyBody};
use offline::{Endpoint, Plan, RecordedRequest, Rule, Versions};
use pool::limits;
use pool::transport::TransportMode;
use proto::Dialect;
use rstest::rstest;
use serde_json::{Value, json};
use upstream::profile::Platform;
use upstream::{Config, Profile, Upstream};

use crate::bench::{Bench, MODEL, Setup, Tap, chat, from};

/// A bench that follows the feeds of its backend.
async fn following(every: Duration) -> (Bench, Engine) {
    let bench = Bench::new().await;
    let engine = start(&bench, every).await;
    (bench, engine)
}

/// One more engine on the same store.
async fn start(bench: &Bench, every: Duration) -> Engine {
    start_as(bench, every, (Profile::polygate(), TransportMode::default())).await
}

/// The same with this identity, over this leg.
async fn start_as(bench: &Bench, every: Duration, (profile, transport): (Profile, TransportMode)) -> Engine {
    let url = |path: &str| Some(format!("{}{path}", bench.backend.auth_url()).parse().expect("a URL"));
    let feeds = Feeds {
        codex: url("/feed/repos/openai/codex/releases/latest"),
        app: url("/feed/appcast.xml"),
        every,
        first: Duration::ZERO,
    };
    let settings = engine::Settings { feeds, transport, ..engine::Settings::default() };
    let base_url = bench.backend.base_url().parse().expect("a URL");
    let auth_url = bench.backend.auth_url().parse().expect("a URL");
    let upstream = Upstream::new(Config { base_url, auth_url, profile, ..Config::default() }).expect("the client");
    let parts = Parts { store: bench.store.clone(), upstream, settings, clock: Clock::System };
    Engine::start(parts).await.expect("the engine starts")
}

fn versions(cli: &str) -> Versions {
    Versions { cli: cli.to_owned(), ..Versions::default() }
}

/// The versions that model calls and list calls have named, in order and each once.
fn named(bench: &Bench, endpoint: Endpoint) -> Vec<String> {
    let header = |request: &RecordedRequest| {
        request.headers.iter().find(|(name, _)| name == "version").map(|(_, value)| value.clone())
    };
    let mut named: Vec<_> = bench.backend.record().requests_to(endpoint).filter_map(header).collect();
    named.dedup();
    named
}

#[tokio::test]
async fn the_published_version_is_followed_and_outlives_a_restart() {
    let (bench, engine) = following(Duration::from_millis(20)).await;
    bench.backend.publish(versions("0.171.3"));
    bench
        .until("lists for the new version", |bench| {
            named(bench, Endpoint::Models).last().is_some_and(|version| version == "0.171.3")
        })
        .await;
    let query = bench.backend.record().requests_to(Endpoint::Models).last().and_then(|request| request.query.clone());
    assert_eq!(query.as_deref(), Some("client_version=0.171.3"));
    // What is older than the built-in one, absurd or junk is not believed; nor is a feed that fails.
    let looks = |bench: &Bench| {
        bench.backend.record().requests.iter().filter(|request| request.path.starts_with("/feed/repos")).count()
    };
    for wrong in ["0.1.0", "9.0.0", "0.99999.0", "0.172.0-alpha.1", "latest"] {
        let before = looks(&bench);
        bench.backend.publish(versions(wrong));
        bench.until("two more looks", |bench| looks(bench) >= before + 2).await;
    }
    // A release that is withdrawn is named no more.
    bench.backend.publish(versions("0.171.2"));
    bench
        .until("lists for the version before", |bench| {
            named(bench, Endpoint::Models).last().is_some_and(|version| version == "0.171.2")
        })
        .await;
    engine.stop().await;
    bench.backend.reset();
    // The stored version counts before anything is asked.
    let again = start(&bench, Duration::ZERO).await;
    bench.until("lists once more", |bench| bench.backend.record().requests_to(Endpoint::Models).count() > 0).await;
    assert_eq!(named(&bench, Endpoint::Models), ["0.171.2"]);
    assert!(bench.backend.record().requests.iter().all(|request| !request.path.starts_with("/feed")));
    again.stop().await;
    bench.innocent();
}

/// What the last model call, or its upgrade, said of who we are: `version`, `originator`, `user-agent`.
async fn introduced(bench: &Bench, engine: &Engine, prompt: &str) -> [String; 3] {
    let Ok(Reply { body: ReplyBody::Stream(stream), head }) = engine.run(chat(prompt)).await else {
        panic!("no stream")
    };
    Tap::from((head, stream)).rest().await;
    let record = bench.backend.record();
    let (upgrade, post) = (record.sockets().last(), record.model_requests().last());
    let request = upgrade.or(post).expect("a call");
    ["version", "originator", "user-agent"].map(|name| request.header(name).unwrap_or_default().to_owned())
}

/// The Codex identities say the published versions from the next call on, each in its own words, and again after a restart.
#[rstest]
#[case::cli("codex-cli", "codex_cli_rs", "")]
#[case::desktop("codex-desktop", "Codex Desktop", " (Codex Desktop; APP)")]
#[tokio::test]
async fn a_codex_identity_says_what_is_published(
    #[case] name: &str,
    #[case] originator: &str,
    #[case] suffix: &str,
    #[values(TransportMode::Http, TransportMode::WebSocket)] transport: TransportMode,
) {
    let platform = Platform { os: "Mac OS 15.6.1".into(), arch: "arm64".into(), terminal: "unknown".into() };
    let identity = (Profile::named(name, &platform).expect("a profile"), transport);
    let words = |cli: &str, app: &str| {
        let agent = format!("{originator}/{cli} (Mac OS 15.6.1; arm64) unknown{}", suffix.replace("APP", app));
        [cli.to_owned(), originator.to_owned(), agent]
    };
    let bench = Bench::new().await;
    let engine = start_as(&bench, Duration::from_millis(20), identity.clone()).await;
    let (built, built_app) = (upstream::profile::CODEX_VERSION, upstream::profile::DESKTOP_VERSION);
    assert_eq!(introduced(&bench, &engine, "one").await, words(built, built_app));

    let looks = |bench: &Bench, path: &str| {
        bench.backend.record().requests_to(Endpoint::Feed).filter(|request| request.path.ends_with(path)).count()
    };
    // A release, one that is too old to be true, and one that is none.
    for (cli, app) in [("0.171.3", "26.1011.51234"), ("0.1.0", "26.1.1"), ("0.172", "26.1012")] {
        let before = looks(&bench, "/latest");
        bench.backend.publish(Versions { cli: cli.to_owned(), app: app.to_owned(), ..Versions::default() });
        // Feeds are asked one after the other: the first look may have been under way, the third says that the second was heeded.
        bench.until("three more looks", |bench| looks(bench, "/latest") >= before + 3).await;
        assert_eq!(introduced(&bench, &engine, cli).await, words("0.171.3", "26.1011.51234"));
    }
    assert_eq!(looks(&bench, "/appcast.xml") > 0, !suffix.is_empty(), "who names no app asks for none");
    engine.stop().await;

    let again = start_as(&bench, Duration::ZERO, identity).await;
    assert_eq!(introduced(&bench, &again, "two").await, words("0.171.3", "26.1011.51234"));
    again.stop().await;
    bench.innocent();
}

/// What a call's body says of its turn, and the object inside it.
fn recorded_turn(post: &RecordedRequest) -> (Value, Value) {
    let fields = post.json()["client_metadata"].clone();
    let turn = fields["x-codex-turn-metadata"].as_str().map(|turn| serde_json::from_str(turn).expect("an object"));
    (fields, turn.unwrap_or_default())
}

/// For a client that says nothing of its turns the Codex identities do, in the body and, over HTTP, in headers: one turn until the
/// user speaks again, of one installation.
#[rstest]
#[tokio::test]
async fn a_codex_identity_speaks_of_the_turn(
    #[values("codex-cli", "codex-desktop")] name: &str,
    #[values(TransportMode::Http, TransportMode::WebSocket)] transport: TransportMode,
) {
    let bench = Bench::new().await;
    let profile = Profile::named(name, &Platform::default()).expect("a profile");
    let engine = start_as(&bench, Duration::ZERO, (profile, transport)).await;
    let user = json!({"role": "user", "content": "Look it up"});
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}});
    let (tool_call, tool_output) = (
        json!({"role": "assistant", "tool_calls": [call]}),
        json!({"role": "tool", "tool_call_id": "call_1", "content": "42"}),
    );
    let reply = json!({"role": "assistant", "content": "42"});
    let history = [user.clone(), tool_call, tool_output, reply, user];
    for length in [1, 3, 5] {
        let body = json!({"model": MODEL, "stream": true, "reasoning_effort": "high", "messages": history[..length]});
        let Ok(Reply { body: ReplyBody::Stream(stream), head }) = engine.run(from(Dialect::Chat, &body)).await else {
            panic!("no stream")
        };
        Tap::from((head, stream)).rest().await;
    }
    let record = bench.backend.record();
    let posts: Vec<&RecordedRequest> = record.model_requests().collect();
    let (fields, turns): (Vec<Value>, Vec<Value>) = posts.iter().copied().map(recorded_turn).unzip();
    assert_eq!(turns.len(), 3);
    for (post, (field, turn)) in posts.iter().zip(fields.iter().zip(&turns)) {
        for (name, same) in [("x-codex-installation-id", "installation_id"), ("session_id", "session_id")] {
            assert_eq!((&field[name], turn[same].is_string()), (&turn[same], true), "{name}");
        }
        for name in ["turn_id", "root_turn_id"] {
            assert_eq!((&field[name], &field[name]), (&turn[name], &turn["turn_id"]), "{name}");
        }
        assert_eq!(
            (&turn["request_kind"], &turn["model"], &turn["reasoning_effort"]),
            (&json!("turn"), &json!(MODEL), &json!("high"))
        );
        assert_eq!(field["guardian_credits_requested"], "true");
        for name in ["x-codex-turn-metadata", "x-codex-window-id"] {
            let header = post.header(name).filter(|_| transport == TransportMode::Http);
            assert_eq!(header, field[name].as_str().filter(|_| transport == TransportMode::Http), "{name}");
        }
    }
    let of = |name: &str| turns.iter().map(|turn| &turn[name]).collect::<Vec<_>>();
    for name in ["turn_id", "turn_started_at_unix_ms"] {
        let [first, looped, second] = of(name)[..] else { panic!("three") };
        assert_eq!(first, looped, "{name}");
        assert!(name != "turn_id" || first != second, "{name}");
    }
    for name in ["installation_id", "session_id", "context_window_id", "window_id"] {
        assert!(of(name).iter().all(|id| *id == &turns[0][name]), "{name}");
    }
    drop(record);
    engine.stop().await;
    bench.innocent();
}

/// Another account is another installation, in the middle of the same turn; what a client says itself goes on as it came, and our own
/// name says nothing but the ids of the conversation.
#[tokio::test]
async fn an_installation_is_one_accounts() {
    let bench = Bench::with(Setup::accounts(2)).await;
    let profile = Profile::named("codex-cli", &Platform::default()).expect("a profile");
    let engine = start_as(&bench, Duration::ZERO, (profile, TransportMode::Http)).await;
    bench.backend.add_rule(Rule::responses(Plan::usage_limit(3600)));
    let Ok(Reply { body: ReplyBody::Stream(stream), head }) = engine.run(chat("Look it up")).await else {
        panic!("no stream")
    };
    Tap::from((head, stream)).rest().await;
    let own = json!({"x-codex-installation-id": "11111111-2222-4333-8444-555555555555", "turn_id": "t"});
    let silent = json!({"model": MODEL, "stream": true, "input": "hi"});
    let mut speaks = silent.clone();
    speaks["client_metadata"] = own.clone();
    // Whatever it calls itself: what counts is whether it says anything.
    for (body, codex) in [(&speaks, true), (&speaks, false), (&silent, true)] {
        let mut call = from(Dialect::Responses, body);
        call.client.codex = codex;
        let Ok(Reply { body: ReplyBody::Stream(stream), head }) = engine.run(call).await else { panic!("no stream") };
        Tap::from((head, stream)).rest().await;
    }
    let plain = bench.ask(chat("Look it up")).await;
    plain.expect("a reply");
    let record = bench.backend.record();
    let posts: Vec<&RecordedRequest> = record.model_requests().collect();
    let header = |at: usize| posts[at].header("x-codex-turn-metadata").is_some();
    assert_eq!([0, 1, 2, 3, 4, 5].map(header), [true, true, false, false, true, false]);
    let [refused, served, codex, other, mute, plain] =
        posts.iter().copied().map(recorded_turn).collect::<Vec<_>>().try_into().expect("six");
    assert_ne!(refused.1["installation_id"], served.1["installation_id"]);
    assert_eq!((&refused.1["turn_id"], &refused.1["session_id"]), (&served.1["turn_id"], &served.1["session_id"]));
    assert_eq!((&codex.0, &other.0), (&own, &own));
    assert!(mute.1["turn_id"].is_string(), "{mute:?}");
    let names: Vec<_> = plain.0.as_object().expect("an object").keys().cloned().collect();
    assert_eq!(names, ["session_id", "thread_id"]);
    drop(record);
    engine.stop().await;
    bench.innocent();
}

/// What a request is for is said of it: a compaction is a turn of its own, and a prewarm none yet.
#[tokio::test]
async fn a_codex_identity_says_what_a_request_is_for() {
    let bench = Bench::new().await;
    let profile = Profile::named("codex-cli", &Platform::default()).expect("a profile");
    let engine = start_as(&bench, Duration::ZERO, (profile, TransportMode::WebSocket)).await;
    let hello = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]});
    let trigger = json!({"type": "compaction_trigger"});
    let mut calls = [json!([hello]), json!([hello]), json!([hello, trigger])].map(|input| {
        let mut call = from(Dialect::Responses, &json!({"model": MODEL, "stream": true, "input": input}));
        call.client.session = Some("one".into());
        call
    });
    calls[0].request.reply.prewarm = true;
    for call in calls {
        let Ok(Reply { head, body }) = engine.run(call).await else { panic!("no reply") };
        if let ReplyBody::Stream(stream) = body {
            Tap::from((head, stream)).rest().await;
        }
    }
    let record = bench.backend.record();
    let turns: Vec<Value> = record.model_requests().map(|post| recorded_turn(post).1).collect();
    let kinds: Vec<_> = turns.iter().map(|turn| turn["request_kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["prewarm", "turn", "compaction"]);
    let ids: Vec<_> = turns.iter().map(|turn| turn["turn_id"].as_str().expect("an id")).collect();
    assert!(ids[0].is_empty() && ids[1] != ids[2], "{ids:?}");
    drop(record);
    engine.stop().await;
    bench.innocent();
}

/// The feed learns nothing of any account, and the app's is asked only by who names an app.
#[tokio::test]
async fn a_feed_is_asked_in_our_own_name() {
    let (bench, engine) = following(Duration::from_millis(20)).await;
    bench
        .until("a look", |bench| {
            bench.backend.record().requests.iter().any(|request| request.path.starts_with("/feed"))
        })
        .await;
    engine.stop().await;
    let record = bench.backend.record();
    let feeds: Vec<_> = record.requests.iter().filter(|request| request.path.starts_with("/feed")).collect();
    assert!(feeds.iter().all(|request| request.path.ends_with("/latest")), "{feeds:?}");
    let names: Vec<_> = feeds[0].headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["accept", "user-agent", "host"]);
    assert!(feeds[0].headers[1].1.starts_with("polygate/"));
}

/// Capture 21: the region that the account check names goes with every model call.
#[tokio::test]
async fn the_region_of_an_account_is_named() {
    let bench = Bench::with(Setup::accounts(0)).await;
    let login = bench.backend.account("plus");
    let entry = json!({"id": login.account_id, "workspace_backend_origin": "https://evil.example", "account_routing_override": "us"});
    bench.backend.add_rule(Rule::at(Endpoint::AccountsCheck, Plan::json(200, json!({"accounts": [entry]}))).always());
    crate::bench::import(&bench.store, &login).await;
    bench
        .until("the check", |bench| {
            bench.backend.record().requests_to(Endpoint::AccountsCheck).any(|request| request.status == Some(200))
        })
        .await;
    let region = |bench: &Bench| {
        let record = bench.backend.record();
        let last = record.model_requests().last().cloned().expect("a post");
        last.headers
            .iter()
            .find(|(name, _)| name == "x-openai-account-routing-override")
            .map(|(_, value)| value.clone())
    };
    let mut current = None;
    while current.is_none() {
        // The answer is there, and taken over at once or a moment later.
        bench.ask(chat("hello")).await.expect("a reply");
        current = region(&bench);
    }
    assert_eq!(current.as_deref(), Some("us"));
    assert_eq!(bench.backend.record().requests_to(Endpoint::AccountsCheck).count(), 1, "once for each login");
}

#[tokio::test]
async fn an_account_without_a_rule_names_no_region() {
    let bench = Bench::new().await;
    bench
        .until("the check", |bench| {
            bench.backend.record().requests_to(Endpoint::AccountsCheck).any(|request| request.status == Some(200))
        })
        .await;
    bench.ask(chat("hello")).await.expect("a reply");
    let record = bench.backend.record();
    assert!(
        record
            .model_requests()
            .all(|request| request.headers.iter().all(|(name, _)| name != "x-openai-account-routing-override"))
    );
    bench.innocent();
}

/// A check that fails says nothing about the account, and is made again.
#[tokio::test]
async fn an_account_check_that_fails_stops_nobody() {
    let bench = Bench::with(Setup::accounts(0)).await;
    bench.backend.add_rule(Rule::at(Endpoint::AccountsCheck, Plan::json(500, json!({"detail": "no"}))).always());
    let login = bench.backend.account("plus");
    crate::bench::import(&bench.store, &login).await;
    bench.until("the list", |bench| bench.engine.accounts().list().first().is_some_and(|view| view.models > 0)).await;
    bench.until("the check", |bench| bench.backend.record().requests_to(Endpoint::AccountsCheck).count() == 1).await;
    bench.ask(chat("hello")).await.expect("a reply");
    assert_eq!(bench.engine.accounts().list()[0].status, "active");
    // The list came, and the check rests on its own.
    let done = bench.engine.models().refresh(Duration::ZERO).await;
    assert_eq!((done.len(), done[0].error.as_deref()), (1, None));
    assert_eq!(bench.backend.record().requests_to(Endpoint::AccountsCheck).count(), 1);
}

#[tokio::test]
async fn lists_are_asked_for_again_when_they_are_old() {
    let ttl = |settings: &mut engine::Settings| settings.models_ttl = Duration::from_millis(30);
    let bench = Bench::with(Setup::default().settings(ttl)).await;
    bench.until("the list", |bench| bench.engine.accounts().list()[0].models > 1).await;
    bench.backend.set_models(&bench.logins[0].account_id, &[MODEL]);
    bench.until("the new list without a request", |bench| bench.engine.accounts().list()[0].models == 1).await;
    bench.innocent();
}

#[tokio::test]
async fn lists_are_asked_for_on_demand() {
    let bench = Bench::with(Setup::accounts(2)).await;
    bench.until("the lists", |bench| bench.engine.accounts().list().iter().all(|view| view.models > 1)).await;
    bench.backend.set_models(&bench.logins[0].account_id, &[MODEL]);
    bench.backend.add_rule(Rule::at(Endpoint::Models, Plan::json(500, json!({}))).account(&bench.logins[1].account_id));
    let done = bench.engine.models().refresh(limits::MODELS_REFRESH_INTERVALS.0).await;
    assert_eq!((done.len(), done[0].models, done[0].error.as_deref()), (2, 1, None));
    assert_eq!((done[1].models, done[1].error.as_deref()), (12, Some("answered 500")));
    // A second wish a moment later costs nothing.
    let asked = bench.backend.record().requests_to(Endpoint::Models).count();
    assert!(bench.engine.models().refresh(limits::MODELS_REFRESH_INTERVALS.0).await.is_empty());
    assert_eq!(bench.backend.record().requests_to(Endpoint::Models).count(), asked);
}
