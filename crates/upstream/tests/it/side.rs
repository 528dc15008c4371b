//! Catalogue, usage and routing calls.

use pool::Secret;
use upstream::profile::{Platform, Profile};
use upstream::{Config, FaultKind, ModelsAnswer, Sent, Upstream};

use crate::captured::orders;
use crate::recorder::{Recorder, Reply, full};
use crate::setup::{account, config, short};

#[tokio::test]
async fn the_catalogue_comes_with_its_etag_and_can_be_unchanged() {
    let mut server = Recorder::start(|n| match n {
        0 => Reply::Keep(full("200 OK", "etag: W/\"7\"\r\n", "{\"models\":[]}")),
        1 => Reply::Keep(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()),
        _ => Reply::Keep(full("401 Unauthorized", "", "{\"detail\":\"Unauthorized\"}")),
    })
    .await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let (account, access) = (account("acct-1"), Secret::from("t"));
    let fresh = upstream.models(&account, &access, (None, None)).await.unwrap();
    let etag = Some("W/\"7\"".to_owned());
    assert_eq!(fresh, ModelsAnswer::Fresh { etag, body: "{\"models\":[]}".into() });
    let request = server.request().await;
    assert_eq!(request.line, "GET /backend-api/codex/models?client_version=0.169.0 HTTP/1.1");
    assert_eq!(request.names(), orders::MODELS);
    assert_eq!(upstream.models(&account, &access, (None, Some("W/\"7\""))).await.unwrap(), ModelsAnswer::NotModified);
    assert_eq!(server.request().await.header("if-none-match"), Some("W/\"7\""));
    let refused = upstream.models(&account, &access, (None, None)).await.unwrap();
    assert!(matches!(refused, ModelsAnswer::Refused { status: 401, .. }), "{refused:?}");
}

/// The official client sends one version everywhere, so a request for another version's list has that version in every header.
#[tokio::test]
async fn a_list_for_another_version_is_asked_for_under_it() {
    let mut server = Recorder::always(Reply::Keep(full("200 OK", "", "{\"models\":[]}"))).await;
    let profile = Profile::codex_cli("0.169.0", &Platform::default());
    let upstream = Upstream::new(Config { profile, ..config(&server) }).unwrap();
    let (account, access) = (account("acct-1"), Secret::from("t"));
    for (version, named) in [(Some("0.150.0"), "0.150.0"), (None, "0.169.0")] {
        upstream.models(&account, &access, (version, None)).await.unwrap();
        let request = server.request().await;
        assert_eq!(request.line, format!("GET /backend-api/codex/models?client_version={named} HTTP/1.1"));
        assert_eq!(request.names(), orders::MODELS);
        assert_eq!(request.header("version"), Some(named));
        let agent = request.header("user-agent").unwrap();
        assert!(agent.starts_with(&format!("codex_cli_rs/{named} ")), "{agent}");
    }
}

#[tokio::test]
async fn usage_and_routing_are_asked_without_originator() {
    let mut server = Recorder::always(Reply::Keep(full("200 OK", "", "{}"))).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let (mut account, access) = (account("acct-1"), Secret::from("t"));
    assert_eq!(upstream.usage(&account, &access).await.unwrap().status, 200);
    let request = server.request().await;
    assert_eq!(request.line, "GET /backend-api/wham/usage HTTP/1.1");
    assert_eq!(request.names(), orders::SIDE);
    let values = [("authorization", "Bearer t"), ("chatgpt-account-id", "acct-1"), ("accept", "*/*")];
    for (name, value) in values {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    account.fedramp = true;
    upstream.accounts_check(&account, &access).await.unwrap();
    let request = server.request().await;
    assert_eq!(request.line, "GET /backend-api/wham/accounts/check HTTP/1.1");
    assert_eq!(request.header("x-openai-fedramp"), Some("true"));
}

#[tokio::test]
async fn other_bases_have_other_side_paths() {
    let mut server = Recorder::always(Reply::Keep(full("200 OK", "", "{}"))).await;
    let base_url = format!("http://{}/api/", server.addr).parse().unwrap();
    let upstream = Upstream::new(Config { base_url, ..config(&server) }).unwrap();
    upstream.usage(&account("acct-1"), &Secret::from("t")).await.unwrap();
    assert_eq!(server.request().await.line, "GET /api/api/codex/usage HTTP/1.1");
}

#[tokio::test]
async fn small_calls_are_bounded_in_time_and_size() {
    let hang = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec();
    let server = Recorder::always(Reply::Hang(hang)).await;
    let upstream = Upstream::new(Config { timeouts: short(), ..config(&server) }).unwrap();
    let fault = upstream.usage(&account("a"), &Secret::from("t")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout);
    let server = Recorder::always(Reply::Keep(full("200 OK", "", &"x".repeat(1024 * 1024 + 1)))).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let fault = upstream.usage(&account("a"), &Secret::from("t")).await.unwrap_err();
    assert_eq!((fault.sent, fault.kind), (Sent::Yes, FaultKind::TooLarge));
}

/// The fallback when the usual URL does not exist, as in the system that users migrate from.
#[tokio::test]
async fn usage_has_a_second_place() {
    let mut server = Recorder::start(|n| match n {
        0 => Reply::Keep(full("404 Not Found", "", "{}")),
        _ => Reply::Keep(full("200 OK", "", "{\"plan_type\":\"pro\"}")),
    })
    .await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let answer = upstream.usage(&account("acct-1"), &Secret::from("t")).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{\"plan_type\":\"pro\"}"[..]));
    assert_eq!(server.request().await.line, "GET /backend-api/wham/usage HTTP/1.1");
    assert_eq!(server.request().await.line, "GET /backend-api/codex/usage HTTP/1.1");
}

#[tokio::test]
async fn reset_credits_are_listed_and_consumed_as_the_official_client_does() {
    let mut server = Recorder::always(Reply::Keep(full("200 OK", "", "{}"))).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let (account, access) = (account("acct-1"), Secret::from("t"));
    upstream.reset_credits(&account, &access).await.unwrap();
    let request = server.request().await;
    assert_eq!(request.line, "GET /backend-api/wham/rate-limit-reset-credits HTTP/1.1");
    assert_eq!(request.names(), orders::SIDE);
    let id = "11111111-1111-4111-8111-111111111111";
    upstream.consume_credit(&account, &access, id).await.unwrap();
    let request = server.request().await;
    assert_eq!(request.line, "POST /backend-api/wham/rate-limit-reset-credits/consume HTTP/1.1");
    assert_eq!(request.names(), orders::ORDER);
    let values = [("authorization", "Bearer t"), ("content-type", "application/json"), ("accept", "*/*")];
    for (name, value) in values {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert_eq!(request.body, format!(r#"{{"redeem_request_id":"{id}"}}"#).as_bytes());
}
