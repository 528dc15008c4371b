//! Model calls: path, credentials and headers of each protocol.

use http::Method;
use pool::Secret;
use pool::relay::Wire;
use rstest::rstest;
use upstream::relay::RelayCall;
use upstream::{Answer, Fault, FaultKind, Sent, Upstream};

use super::server::{Server, json, response};
use super::{KEY, discreet, key, relay, upstream};
use crate::recorder::with_timeout;

async fn call(upstream: &Upstream, relay: &pool::relay::Relay, key: &Secret) -> Result<Answer, Fault> {
    let passed = [
        ("anthropic-beta", "context-1m".to_owned()),
        ("openai-beta", "responses=v1".to_owned()),
        ("authorization", "Bearer of the client".to_owned()),
        ("cookie", "of=the client".to_owned()),
    ];
    let call = RelayCall { relay, key, model: "m 1", body: "{\"a\":1}".into(), client_headers: &passed };
    with_timeout(upstream.relays().call(call)).await
}

#[rstest]
#[case(Wire::Chat, "/v1", "/v1/chat/completions", "authorization", "Bearer sk-relay-canary-9d2e")]
#[case(Wire::Responses, "/v1", "/v1/responses", "authorization", "Bearer sk-relay-canary-9d2e")]
#[case(Wire::Messages, "", "/v1/messages", "x-api-key", KEY)]
#[case(Wire::Messages, "/anthropic/v1", "/anthropic/v1/messages", "x-api-key", KEY)]
#[case(Wire::Gemini, "/v1beta", "/v1beta/models/m%201:streamGenerateContent?alt=sse", "x-goog-api-key", KEY)]
#[tokio::test]
async fn each_protocol_has_its_path_and_credentials(
    #[case] wire: Wire,
    #[case] base: &str,
    #[case] path: &str,
    #[case] header: &str,
    #[case] value: &str,
) {
    let server = Server::open(|_| response(200, &[("set-cookie", "a=b"), ("x-other", "c")], "data: 1\n\n")).await;
    let upstream = upstream();
    let answer = call(&upstream, &relay(wire, &server.at(base)), &key()).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.headers.contains_key("x-other") && !answer.headers.contains_key("set-cookie"));
    assert_eq!(answer.body.collect(99).await.unwrap(), "data: 1\n\n");
    let request = server.only();
    assert_eq!((&request.method, request.path.as_str()), (&Method::POST, path));
    assert_eq!(request.body, "{\"a\":1}");
    assert_eq!(request.header(header), Some(value));
    let credentials = ["authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie"];
    assert_eq!(credentials.iter().filter(|name| request.headers.contains_key(**name)).count(), 1);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    assert_eq!(request.header("accept-encoding"), None);
    assert_eq!(request.header("anthropic-beta"), Some("context-1m"));
    assert_eq!(request.header("anthropic-version").is_some(), wire == Wire::Messages);
    assert!(request.header("user-agent").unwrap().starts_with("polygate/"));
    for name in ["originator", "version", "chatgpt-account-id", "session-id", "referer"] {
        assert!(!request.headers.contains_key(name), "{name}");
    }
    // The second call carries no cookie of the first one.
    call(&upstream, &relay(wire, &server.at(base)), &key()).await.unwrap();
    assert_eq!(server.requests()[1].header("cookie"), None);
}

#[tokio::test]
async fn a_client_may_name_the_version_of_its_protocol() {
    let server = Server::open(|_| json(200, "{}")).await;
    let (relay, key) = (relay(Wire::Messages, &server.at("/v1")), key());
    let passed = [("anthropic-version", "2026-10-21".to_owned()), ("anthropic-beta", "a\nb".to_owned())];
    let call = RelayCall { relay: &relay, key: &key, model: "m", body: "{}".into(), client_headers: &passed };
    upstream().relays().call(call).await.unwrap();
    assert_eq!(server.only().header("anthropic-version"), Some("2026-10-21"));
    assert_eq!(server.only().header("anthropic-beta"), None);
}

#[tokio::test]
async fn a_relay_without_a_key_gets_none() {
    let server = Server::open(|_| json(200, "{}")).await;
    for wire in [Wire::Chat, Wire::Responses, Wire::Messages, Wire::Gemini] {
        call(&upstream(), &relay(wire, &server.at("/v1")), &Secret::from("")).await.unwrap();
    }
    for request in server.requests() {
        assert!(["authorization", "x-api-key", "x-goog-api-key"].iter().all(|name| request.header(name).is_none()));
    }
}

#[tokio::test]
async fn a_refusal_is_an_answer() {
    for status in [400, 401, 403, 404, 429, 500, 503] {
        let server = Server::open(move |_| response(status, &[("retry-after", "7")], "no")).await;
        let answer = call(&upstream(), &relay(Wire::Chat, &server.at("/v1")), &key()).await.unwrap();
        assert_eq!((answer.status, answer.headers["retry-after"].to_str().unwrap()), (status, "7"));
    }
}

#[rstest]
#[case::moved(301, FaultKind::Redirect)]
#[case::found(302, FaultKind::Redirect)]
#[case::other(303, FaultKind::Redirect)]
#[case::not_modified(304, FaultKind::Redirect)]
#[case::temporary(307, FaultKind::Redirect)]
#[case::permanent(308, FaultKind::Redirect)]
#[tokio::test]
async fn a_redirect_is_never_followed(#[case] status: u16, #[case] kind: FaultKind) {
    let elsewhere = Server::open(|_| json(200, "{}")).await;
    let to = elsewhere.at("/v1/chat/completions");
    let server = Server::open(move |_| response(status, &[("location", &to)], "")).await;
    let fault = call(&upstream(), &relay(Wire::Chat, &server.at("/v1")), &key()).await.err().unwrap();
    assert_eq!((fault.sent, fault.kind), (Sent::Yes, kind), "{fault}");
    discreet(&format!("{fault} {fault:?}"));
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn a_key_that_cannot_be_a_header_is_not_shown() {
    let server = Server::open(|_| json(200, "{}")).await;
    let key = Secret::new(format!("{KEY}\r\nx-evil: 1"));
    for wire in [Wire::Chat, Wire::Messages, Wire::Gemini] {
        let fault = call(&upstream(), &relay(wire, &server.at("/v1")), &key).await.err().unwrap();
        assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Unsendable));
        discreet(&format!("{fault} {fault:?}"));
        assert!(fault.message.contains("hint:"), "{fault}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn a_relay_that_is_down_names_neither_key_nor_address() {
    let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fault = call(&upstream(), &relay(Wire::Messages, &format!("http://{addr}/v1")), &key()).await.err().unwrap();
    assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Connect), "{fault}");
    discreet(&format!("{fault} {fault:?}"));
}
