//! Which headers a call carries, in which order, with which values: facts of our own, and the official client's recorded
//! requests where they are at hand.

use pool::Secret;
use pool::relay::Service;
use pool::routing::Routing;
use rstest::rstest;
use serde_json::Value;
use upstream::profile::{Platform, agent};
use upstream::{CallFacts, Config, Errand, Leg, Profile, Upstream};

use crate::recorder::{Recorder, Reply, Seen, full};
use crate::setup::{account, capture, config, facts};

/// Sends one call and returns it as it arrived.
async fn record(profile: Profile, call: CallFacts<'_>, body: &'static str) -> Seen {
    let mut server = Recorder::always(Reply::Keep(full("200 OK", "", ""))).await;
    let upstream = Upstream::new(Config { profile, ..config(&server) }).unwrap();
    let (account, access) = (account("acct-1"), Secret::from("<JWT>"));
    upstream.responses(Leg { account: &account, access: &access, body: body.into(), call, talk: None }).await.unwrap();
    server.request().await
}

#[tokio::test]
async fn our_own_identity() {
    let seen = record(Profile::polygate(), facts(), "{\"a\":1}").await;
    let names = [
        "version",
        "x-codex-routing-hint",
        "x-client-request-id",
        "session-id",
        "thread-id",
        "accept",
        "content-encoding",
        "content-type",
        "authorization",
        "chatgpt-account-id",
        "originator",
        "user-agent",
        "host",
        "content-length",
    ];
    assert_eq!(seen.line, "POST /backend-api/codex/responses HTTP/1.1");
    assert_eq!(seen.names(), names);
    assert_eq!(seen.header("originator"), Some("polygate"));
    assert!(seen.header("user-agent").unwrap().starts_with(concat!("polygate/", env!("CARGO_PKG_VERSION"), " (")));
    assert_eq!(seen.header("x-codex-routing-hint"), Some("model=gpt-6-sol"));
    assert_eq!(zstd::decode_all(&seen.body[..]).unwrap(), b"{\"a\":1}");
}

#[tokio::test]
async fn every_slot_filled_keeps_the_order() {
    let passed = [
        ("x-openai-subagent", "review".to_owned()),
        ("x-codex-parent-thread-id", "parent".to_owned()),
        ("x-codex-turn-metadata", "{}".to_owned()),
        ("x-codex-window-id", "thread-1:3".to_owned()),
        ("x-codex-beta-features", "other_beta".to_owned()),
        ("x-forwarded-for", "10.0.0.1".to_owned()),
        ("authorization", "Bearer of-the-client".to_owned()),
    ];
    let routing = Routing { region: Some("us".to_owned()), origin: None };
    let call = CallFacts {
        tier: Some("priority"),
        lite: true,
        turn_state: Some("opaque"),
        routing: Some(&routing),
        passed: &passed,
        ..facts()
    };
    let seen = record(Profile::codex_cli("0.170.0", &Platform::default()), call, "{}").await;
    let names = [
        "version",
        "x-openai-account-routing-override",
        "x-codex-beta-features",
        "x-codex-turn-state",
        "x-codex-window-id",
        "x-codex-turn-metadata",
        "x-codex-parent-thread-id",
        "x-openai-subagent",
        "x-openai-internal-codex-responses-lite",
        "x-codex-routing-hint",
        "x-client-request-id",
        "session-id",
        "thread-id",
        "accept",
        "content-encoding",
        "content-type",
        "authorization",
        "chatgpt-account-id",
        "originator",
        "user-agent",
        "host",
        "content-length",
    ];
    assert_eq!(seen.names(), names);
    let values = [
        ("version", "0.170.0"),
        ("x-codex-beta-features", "other_beta"),
        ("x-codex-window-id", "thread-1:3"),
        ("x-codex-routing-hint", "model=gpt-6-sol;tier=priority"),
        ("authorization", "Bearer <JWT>"),
        ("originator", "codex_cli_rs"),
    ];
    for (name, value) in values {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_passed_header_that_is_no_header_is_left_out() {
    let passed = [("x-codex-turn-metadata", "a\r\nx-evil: 1".to_owned())];
    let seen = record(Profile::polygate(), CallFacts { passed: &passed, ..facts() }, "{}").await;
    assert!(seen.header("x-codex-turn-metadata").is_none() && seen.header("x-evil").is_none());
}

#[tokio::test]
async fn large_bodies_arrive_whole() {
    let text: &'static str = Box::leak(format!("\"{}\"", "abcdefgh".repeat(200_000)).into_boxed_str());
    let seen = record(Profile::polygate(), facts(), text).await;
    assert_eq!(zstd::decode_all(&seen.body[..]).unwrap(), text.as_bytes());
}

#[test]
fn profiles_go_by_their_names() {
    for name in ["polygate", "codex-cli", "codex-desktop"] {
        assert_eq!(Profile::named(name, &Platform::default()).unwrap().name, name);
    }
    assert_eq!(Profile::named("chrome", &Platform::default()), None);
}

#[test]
fn the_desktop_profile_names_core_and_app() {
    let platform = Platform { os: "Mac OS 26.0".into(), arch: "arm64".into(), terminal: "unknown".into() };
    let profile = Profile::codex_desktop("0.169.0", "26.1.2", &platform);
    assert_eq!(profile.user_agent, "Codex Desktop/0.169.0 (Mac OS 26.0; arm64) unknown (Codex Desktop; 26.1.2)");
    assert_eq!((profile.originator.as_str(), profile.login_originator.as_str()), ("Codex Desktop", "codex_cli_rs"));
}

/// The same call as the official client's recorded one: every header but those of the HTTP layer, name and value.
#[rstest]
#[case("13-responses-http-h1-gpt55.json")]
#[case("14-responses-http-h2-gpt55.json")]
#[case("15-responses-http-h2-gpt55-tool-followup.json")]
#[case("16-responses-http-lite.json")]
#[case("20-responses-http-subagent-review.json")]
#[case("21-responses-http-residency-us.json")]
#[tokio::test]
async fn a_call_equals_the_recorded_one(#[case] name: &str) {
    let Some(capture) = capture(name) else { return };
    let wanted = headers(&capture);
    let value = |name: &str| wanted.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
    let passed: Vec<_> =
        upstream::PASSED.into_iter().filter_map(|name| value(name).map(|value| (name, value.to_owned()))).collect();
    let hint = value("x-codex-routing-hint").unwrap().trim_start_matches("model=");
    let (model, tier) = hint.split_once(";tier=").map_or((hint, None), |(model, tier)| (model, Some(tier)));
    let region = value("x-openai-account-routing-override").map(str::to_owned);
    let routing = Routing { region, origin: None };
    let call = CallFacts {
        model,
        tier,
        lite: value("x-openai-internal-codex-responses-lite").is_some(),
        session: value("session-id").unwrap(),
        thread: value("thread-id").unwrap(),
        turn_state: value("x-codex-turn-state"),
        routing: Some(&routing),
        passed: &passed,
    };
    let mut server = Recorder::always(Reply::Keep(full("200 OK", "", ""))).await;
    let upstream = Upstream::new(Config { profile: official(&value), ..config(&server) }).unwrap();
    let mut account = account(value("chatgpt-account-id").unwrap());
    account.fedramp = false;
    let access = Secret::from("<JWT>");
    upstream.responses(Leg { account: &account, access: &access, body: "{}".into(), call, talk: None }).await.unwrap();
    assert_eq!(own(server.request().await), wanted);
}

/// The profile that the capture's client had.
fn official<'a>(value: &impl Fn(&str) -> Option<&'a str>) -> Profile {
    let version = value("version").unwrap();
    let originator = value("originator").unwrap();
    let client = if originator == "codex_vscode" { ("codex_vscode", "1.2.3") } else { ("codex_exec", version) };
    let platform = Platform { os: "Debian 12.0.0".into(), arch: "x86_64".into(), terminal: "xterm".into() };
    Profile {
        originator: originator.to_owned(),
        user_agent: agent(originator, version, &platform, Some(client)),
        ..Profile::codex_cli(version, &platform)
    }
}

/// Names and values without the HTTP layer's own and without cookies, which `cookies.rs` looks at.
fn headers(capture: &Value) -> Vec<(String, String)> {
    let pairs = capture["headers"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).filter(|(name, _)| ours(name)).collect()
}

fn own(seen: Seen) -> Vec<(String, String)> {
    seen.headers.into_iter().filter(|(name, _)| ours(name)).collect()
}

fn ours(name: &str) -> bool {
    !name.starts_with(':') && !matches!(name, "host" | "content-length" | "cookie")
}

/// Catalogue, usage, routing and token calls: names and order of the recorded ones.
#[rstest]
#[case("03-models-get-h1.json")]
#[case("01-accounts-check-h2.json")]
#[case("25-usage-get.json")]
#[tokio::test]
async fn side_calls_equal_the_recorded_ones(#[case] name: &str) {
    let Some(capture) = capture(name) else { return };
    let mut server = Recorder::always(Reply::Keep(full("200 OK", "", "{}"))).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let (account, access) = (account("acct-1"), Secret::from("<JWT>"));
    match name.as_bytes()[..2] {
        [b'0', b'3'] => drop(upstream.models(&account, &access, None).await.unwrap()),
        [b'0', b'1'] => drop(upstream.accounts_check(&account, &access).await.unwrap()),
        _ => drop(upstream.usage(&account, &access).await.unwrap()),
    }
    let seen = server.request().await;
    let path = capture["url"].as_str().unwrap().trim_start_matches("https://chatgpt.com");
    assert_eq!(seen.line, format!("GET {path} HTTP/1.1"));
    let names = |pairs: Vec<(String, String)>| pairs.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(own(seen)), names(headers(&capture)));
}

/// A picture's call: names, order and body of the recorded one, but for the metadata of a turn, which only a Codex client has.
#[tokio::test]
async fn a_picture_is_asked_for_as_recorded() {
    let errand =
        |account, access| Errand { account, access, service: Service::Generations, body: "{}".into(), turn: "t-1" };
    let mut server = Recorder::always(Reply::Keep(full("200 OK", "", "{}"))).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let (account, access) = (account("acct-1"), Secret::from("<JWT>"));
    upstream.errand(errand(&account, &access)).await.unwrap();
    let seen = server.request().await;
    assert_eq!(
        (seen.line.as_str(), seen.header("x-codex-image-turn-id")),
        ("POST /backend-api/codex/images/generations HTTP/1.1", Some("t-1"))
    );
    let names = |pairs: Vec<(String, String)>| pairs.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let (sent, facts) = (
        names(own(seen)),
        [
            "version",
            "x-codex-image-turn-id",
            "authorization",
            "chatgpt-account-id",
            "content-type",
            "originator",
            "user-agent",
            "accept",
        ],
    );
    assert_eq!(sent, facts);
    let Some(capture) = capture("24-images-generations.json") else { return };
    let wanted: Vec<_> = names(headers(&capture)).into_iter().filter(|name| name != "x-codex-turn-metadata").collect();
    assert_eq!(sent, wanted);
}

#[tokio::test]
async fn a_search_has_no_picture() {
    let mut server = Recorder::always(Reply::Keep(full("200 OK", "", "{}"))).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let (account, access) = (account("acct-1"), Secret::from("<JWT>"));
    let errand =
        Errand { account: &account, access: &access, service: Service::Search, body: "{}".into(), turn: "t-1" };
    upstream.errand(errand).await.unwrap();
    let seen = server.request().await;
    assert_eq!(
        (seen.line.as_str(), seen.header("x-codex-image-turn-id")),
        ("POST /backend-api/codex/alpha/search HTTP/1.1", None)
    );
}
