//! Detects the protocol of a relay.

use pool::relay::{PastedAddress, Wire};
use rstest::rstest;
use upstream::FaultKind;
use upstream::relay::{ProbeError, Probed};

use super::server::{FullResponse, ReceivedRequest, Server, json};
use super::{KEY, discreet, key, upstream};
use crate::recorder::with_timeout;

const OPENAI: &str = r#"{"object":"list","data":[{"id":"a","object":"model"}]}"#;
const ANTHROPIC: &str = r#"{"data":[{"type":"model","id":"a"}],"has_more":false}"#;
const GEMINI: &str = r#"{"models":[{"name":"models/a","supportedGenerationMethods":["generateContent"]}]}"#;
const OLLAMA: &str = r#"{"models":[{"name":"a","digest":"d"}]}"#;

fn bearer(request: &ReceivedRequest) -> bool {
    request.header("authorization") == Some("Bearer sk-relay-canary-9d2e")
}

fn path(request: &ReceivedRequest) -> &str {
    request.path.split('?').next().unwrap_or_default()
}

fn openai(request: &ReceivedRequest) -> FullResponse {
    match path(request) {
        "/v1/models" if bearer(request) => json(200, OPENAI),
        "/v1/models" => json(401, "{}"),
        _ => json(404, "{}"),
    }
}

fn anthropic(request: &ReceivedRequest) -> FullResponse {
    match path(request) {
        "/v1/models" if request.header("x-api-key") == Some(KEY) => json(200, ANTHROPIC),
        "/v1/models" => json(401, "{}"),
        _ => json(404, "{}"),
    }
}

fn gemini(request: &ReceivedRequest) -> FullResponse {
    match path(request) {
        "/v1beta/models" if request.header("x-goog-api-key") == Some(KEY) => json(200, GEMINI),
        _ => json(404, "{}"),
    }
}

fn ollama(request: &ReceivedRequest) -> FullResponse {
    if path(request) == "/api/tags" { json(200, OLLAMA) } else { json(404, "404 page not found") }
}

/// Answers every path with its page, as single-page applications do, except its API.
fn behind_a_page(request: &ReceivedRequest) -> FullResponse {
    if path(request) == "/v1beta/models" { gemini(request) } else { json(200, "<!doctype html>") }
}

/// Lists in Anthropic's shape for every client.
fn anthropic_for_all(request: &ReceivedRequest) -> FullResponse {
    if path(request) == "/v1/models" { json(200, ANTHROPIC) } else { json(404, "") }
}

#[rstest]
#[case::openai(openai, "", Wire::Chat, "/v1")]
#[case::openai_v1(openai, "/v1", Wire::Chat, "/v1")]
#[case::responses(openai, "/v1/responses", Wire::Responses, "/v1")]
#[case::anthropic(anthropic, "", Wire::Messages, "/v1")]
#[case::anthropic_v1(anthropic, "/v1", Wire::Messages, "/v1")]
#[case::anthropic_for_all(anthropic_for_all, "", Wire::Messages, "/v1")]
#[case::gemini(gemini, "", Wire::Gemini, "/v1beta")]
#[case::gemini_v1beta(gemini, "/v1beta", Wire::Gemini, "/v1beta")]
#[case::ollama(ollama, "", Wire::Chat, "/v1")]
#[case::behind_a_page(behind_a_page, "", Wire::Gemini, "/v1beta")]
#[tokio::test]
async fn the_protocol_is_found(
    #[case] script: fn(&ReceivedRequest) -> FullResponse,
    #[case] pasted: &str,
    #[case] wire: Wire,
    #[case] base: &str,
) {
    let server = Server::open(script).await;
    let pasted = PastedAddress::read(&server.at(pasted)).unwrap();
    let result = with_timeout(upstream().relays().probe(&pasted, &key(), true)).await;
    assert_eq!(result, Ok(Probed { wire, base_url: server.at(base), models: 1 }));
    assert!(server.requests().iter().all(|request| request.method == "GET" && request.body.is_empty()));
}

#[rstest]
#[case::refused(|_: &ReceivedRequest| json(401, "secret"), ProbeError::Refused(401))]
#[case::forbidden(|_: &ReceivedRequest| json(403, "secret"), ProbeError::Refused(403))]
#[case::refused_once(|request: &ReceivedRequest| json(if path(request) == "/v1/models" { 401 } else { 404 }, ""), ProbeError::Refused(401))]
#[case::nothing(|_: &ReceivedRequest| json(404, "secret"), ProbeError::Unknown(404))]
#[case::page(|_: &ReceivedRequest| json(200, "<!doctype html>"), ProbeError::Unknown(200))]
#[tokio::test]
async fn what_is_not_found_is_said(#[case] script: fn(&ReceivedRequest) -> FullResponse, #[case] expected: ProbeError) {
    let server = Server::open(script).await;
    let pasted = PastedAddress::read(&server.at("")).unwrap();
    let error = with_timeout(upstream().relays().probe(&pasted, &key(), true)).await.unwrap_err();
    assert!(error.to_string().contains("hint:") && !error.to_string().contains("secret"), "{error}");
    assert_eq!(error, expected);
}

#[tokio::test]
async fn only_the_given_host_is_asked() {
    let elsewhere = Server::open(openai).await;
    let to = elsewhere.at("/v1/models");
    let server = Server::open(move |_| super::server::response(302, &[("location", &to)], "")).await;
    let pasted = PastedAddress::read(&server.at("")).unwrap();
    let error = with_timeout(upstream().relays().probe(&pasted, &key(), true)).await.unwrap_err();
    assert!(matches!(&error, ProbeError::Unreachable(fault) if fault.kind == FaultKind::Redirect), "{error:?}");
    discreet(&format!("{error} {error:?}"));
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn a_private_address_needs_leave() {
    let server = Server::open(openai).await;
    let pasted = PastedAddress::read(&server.at("")).unwrap();
    let error = with_timeout(upstream().relays().probe(&pasted, &key(), false)).await.unwrap_err();
    assert!(matches!(&error, ProbeError::Unreachable(fault) if fault.kind == FaultKind::Denied), "{error:?}");
    assert_eq!(server.requests().len(), 0);
}
