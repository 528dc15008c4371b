//! The headers of each call, with their order and values. The official client's recorded requests are compared in `captured.rs`.

use bytes::Bytes;
use pool::Secret;
use pool::relay::Service;
use pool::routing::Routing;
use upstream::profile::Platform;
use upstream::{CallFacts, Config, ModelCall, Profile, ServiceCall, Upstream};

use crate::captured::orders;
use crate::recorder::{RecordedRequest, Recorder, Reply, full};
use crate::setup::{account, config, facts};

/// Sends one call and returns the received request.
async fn record(profile: Profile, call: CallFacts<'_>, body: impl Into<Bytes>) -> RecordedRequest {
    let mut server = Recorder::always(Reply::Keep(full("200 OK", "", ""))).await;
    let upstream = Upstream::new(Config { profile, ..config(&server) }).unwrap();
    let (account, access) = (account("acct-1"), Secret::from("<JWT>"));
    upstream
        .responses(ModelCall { account: &account, access: &access, body: body.into(), facts: call, socket: None })
        .await
        .unwrap();
    server.request().await
}

#[tokio::test]
async fn our_own_identity() {
    let text = format!(r#"{{"a":"{}"}}"#, "b".repeat(8 << 10));
    let request = record(Profile::polygate(), facts(), text.clone()).await;
    let names = [
        "version", "x-codex-routing-hint", "x-client-request-id", "session-id", "thread-id", "accept",
        "content-encoding", "content-type", "authorization", "chatgpt-account-id", "originator", "user-agent", "host",
        "content-length",
    ];
    assert_eq!(request.line, "POST /backend-api/codex/responses HTTP/1.1");
    assert_eq!(request.names(), names);
    assert_eq!(request.header("originator"), Some("polygate"));
    assert!(request.header("user-agent").unwrap().starts_with(concat!("polygate/", env!("CARGO_PKG_VERSION"), " (")));
    assert_eq!(request.header("x-codex-routing-hint"), Some("model=gpt-6-sol"));
    assert_eq!(zstd::decode_all(&request.body[..]).unwrap(), text.as_bytes());
}

/// Compression makes such a body no earlier. The official client compresses every body.
#[tokio::test]
async fn our_own_identity_sends_small_bodies_as_they_are() {
    let text = format!(r#"{{"a":"{}"}}"#, "b".repeat(8_000));
    let request = record(Profile::polygate(), facts(), text.clone()).await;
    assert_eq!(request.header("content-encoding"), None);
    assert_eq!(request.body, text.as_bytes());
    let request = record(Profile::codex_cli("0.170.0", &Platform::default()), facts(), "{}").await;
    assert_eq!(request.header("content-encoding"), Some("zstd"));
    assert_eq!(zstd::decode_all(&request.body[..]).unwrap(), b"{}");
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
        client_headers: &passed,
        ..facts()
    };
    let request = record(Profile::codex_cli("0.170.0", &Platform::default()), call, "{}").await;
    let names: Vec<_> =
        orders::CALL.iter().copied().filter(|name| !matches!(*name, "x-openai-fedramp" | "cookie")).collect();
    assert_eq!(request.names(), names);
    let values = [
        ("version", "0.170.0"),
        ("x-codex-beta-features", "other_beta"),
        ("x-codex-window-id", "thread-1:3"),
        ("x-codex-routing-hint", "model=gpt-6-sol;tier=priority"),
        ("authorization", "Bearer <JWT>"),
        ("originator", "codex_cli_rs"),
    ];
    for (name, value) in values {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_passed_header_that_is_no_header_is_left_out() {
    let passed = [("x-codex-turn-metadata", "a\r\nx-evil: 1".to_owned())];
    let request = record(Profile::polygate(), CallFacts { client_headers: &passed, ..facts() }, "{}").await;
    assert!(request.header("x-codex-turn-metadata").is_none() && request.header("x-evil").is_none());
}

#[tokio::test]
async fn large_bodies_arrive_whole() {
    let text: &'static str = Box::leak(format!("\"{}\"", "abcdefgh".repeat(200_000)).into_boxed_str());
    let request = record(Profile::polygate(), facts(), text).await;
    assert_eq!(zstd::decode_all(&request.body[..]).unwrap(), text.as_bytes());
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

#[tokio::test]
async fn a_picture_keeps_the_order() {
    let mut server = Recorder::always(Reply::Keep(full("200 OK", "", "{}"))).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let (account, access, service) = (account("acct-1"), Secret::from("<JWT>"), Service::Generations);
    let service_call = ServiceCall {
        account: &account,
        access: &access,
        service,
        body: "{}".into(),
        turn: "t-1",
        client_headers: &[],
    };
    upstream.call_service(service_call).await.unwrap();
    let request = server.request().await;
    assert_eq!(
        (request.line.as_str(), request.header("x-codex-image-turn-id")),
        ("POST /backend-api/codex/images/generations HTTP/1.1", Some("t-1"))
    );
    // An image call of another client has no turn metadata.
    let expected = orders::PICTURE.iter().filter(|name| !matches!(**name, "x-codex-turn-metadata" | "cookie"));
    assert_eq!(request.names(), expected.copied().collect::<Vec<_>>());
    let values = [("accept", "*/*"), ("content-type", "application/json"), ("authorization", "Bearer <JWT>")];
    for (name, value) in values {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_search_has_no_picture() {
    let mut server = Recorder::always(Reply::Keep(full("200 OK", "", "{}"))).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let (account, access, service) = (account("acct-1"), Secret::from("<JWT>"), Service::Search);
    let service_call = ServiceCall {
        account: &account,
        access: &access,
        service,
        body: "{}".into(),
        turn: "t-1",
        client_headers: &[],
    };
    upstream.call_service(service_call).await.unwrap();
    let request = server.request().await;
    assert_eq!(
        (request.line.as_str(), request.header("x-codex-image-turn-id")),
        ("POST /backend-api/codex/alpha/search HTTP/1.1", None)
    );
}
