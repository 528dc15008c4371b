//! Detects the protocol of a relay.

use pool::relay::{PastedAddress, Wire};
use rstest::rstest;
use upstream::FaultKind;
use upstream::relay::{ProbeError, Probed};

use super::house::{Asked, House, Said, json};
use super::{KEY, discreet, key, upstream};
use crate::recorder::soon;

const OPENAI: &str = r#"{"object":"list","data":[{"id":"a","object":"model"}]}"#;
const ANTHROPIC: &str = r#"{"data":[{"type":"model","id":"a"}],"has_more":false}"#;
const GEMINI: &str = r#"{"models":[{"name":"models/a","supportedGenerationMethods":["generateContent"]}]}"#;
const OLLAMA: &str = r#"{"models":[{"name":"a","digest":"d"}]}"#;

fn bearer(asked: &Asked) -> bool {
    asked.header("authorization") == Some("Bearer sk-relay-canary-9d2e")
}

fn path(asked: &Asked) -> &str {
    asked.path.split('?').next().unwrap_or_default()
}

fn openai(asked: &Asked) -> Said {
    match path(asked) {
        "/v1/models" if bearer(asked) => json(200, OPENAI),
        "/v1/models" => json(401, "{}"),
        _ => json(404, "{}"),
    }
}

fn anthropic(asked: &Asked) -> Said {
    match path(asked) {
        "/v1/models" if asked.header("x-api-key") == Some(KEY) => json(200, ANTHROPIC),
        "/v1/models" => json(401, "{}"),
        _ => json(404, "{}"),
    }
}

fn gemini(asked: &Asked) -> Said {
    match path(asked) {
        "/v1beta/models" if asked.header("x-goog-api-key") == Some(KEY) => json(200, GEMINI),
        _ => json(404, "{}"),
    }
}

fn ollama(asked: &Asked) -> Said {
    if path(asked) == "/api/tags" { json(200, OLLAMA) } else { json(404, "404 page not found") }
}

/// Answers every path with its page, as single-page applications do, except its API.
fn behind_a_page(asked: &Asked) -> Said {
    if path(asked) == "/v1beta/models" { gemini(asked) } else { json(200, "<!doctype html>") }
}

/// Lists in Anthropic's shape for every client.
fn anthropic_for_all(asked: &Asked) -> Said {
    if path(asked) == "/v1/models" { json(200, ANTHROPIC) } else { json(404, "") }
}

#[rstest]
#[case::openai(openai, "", Wire::Chat, "/v1")]
#[case::openai_v1(openai, "/v1", Wire::Chat, "/v1")]
#[case::responses(openai, "/v1/responses", Wire::Responses, "/v1")]
#[case::anthropic(anthropic, "", Wire::Messages, "/v1")]
#[case::anthropic_v1(anthropic, "/v1", Wire::Messages, "/v1")]
#[case::anthropic_for_all(anthropic_for_all, "", Wire::Messages, "/v1")]
#[case::gemini(gemini, "", Wire::Gemini, "/v1beta")]
#[case::gemini_told(gemini, "/v1beta", Wire::Gemini, "/v1beta")]
#[case::ollama(ollama, "", Wire::Chat, "/v1")]
#[case::behind_a_page(behind_a_page, "", Wire::Gemini, "/v1beta")]
#[tokio::test]
async fn the_protocol_is_found(
    #[case] script: fn(&Asked) -> Said,
    #[case] pasted: &str,
    #[case] wire: Wire,
    #[case] base: &str,
) {
    let house = House::open(script).await;
    let pasted = PastedAddress::read(&house.at(pasted)).unwrap();
    let found = soon(upstream().relays().probe(&pasted, &key(), true)).await;
    assert_eq!(found, Ok(Probed { wire, base_url: house.at(base), models: 1 }));
    assert!(house.asked().iter().all(|asked| asked.method == "GET" && asked.body.is_empty()));
}

#[rstest]
#[case::refused(|_: &Asked| json(401, "secret"), ProbeError::Refused(401))]
#[case::forbidden(|_: &Asked| json(403, "secret"), ProbeError::Refused(403))]
#[case::refused_once(|asked: &Asked| json(if path(asked) == "/v1/models" { 401 } else { 404 }, ""), ProbeError::Refused(401))]
#[case::nothing(|_: &Asked| json(404, "secret"), ProbeError::Unknown(404))]
#[case::page(|_: &Asked| json(200, "<!doctype html>"), ProbeError::Unknown(200))]
#[tokio::test]
async fn what_is_not_found_is_said(#[case] script: fn(&Asked) -> Said, #[case] expected: ProbeError) {
    let house = House::open(script).await;
    let pasted = PastedAddress::read(&house.at("")).unwrap();
    let error = soon(upstream().relays().probe(&pasted, &key(), true)).await.unwrap_err();
    assert!(error.to_string().contains("hint:") && !error.to_string().contains("secret"), "{error}");
    assert_eq!(error, expected);
}

#[tokio::test]
async fn only_the_given_host_is_asked() {
    let elsewhere = House::open(openai).await;
    let to = elsewhere.at("/v1/models");
    let house = House::open(move |_| super::house::said(302, &[("location", &to)], "")).await;
    let pasted = PastedAddress::read(&house.at("")).unwrap();
    let error = soon(upstream().relays().probe(&pasted, &key(), true)).await.unwrap_err();
    assert!(matches!(&error, ProbeError::Way(fault) if fault.kind == FaultKind::Redirect), "{error:?}");
    discreet(&format!("{error} {error:?}"));
    assert_eq!(elsewhere.asked().len(), 0);
}

#[tokio::test]
async fn a_private_address_needs_leave() {
    let house = House::open(openai).await;
    let pasted = PastedAddress::read(&house.at("")).unwrap();
    let error = soon(upstream().relays().probe(&pasted, &key(), false)).await.unwrap_err();
    assert!(matches!(&error, ProbeError::Way(fault) if fault.kind == FaultKind::Denied), "{error:?}");
    assert_eq!(house.asked().len(), 0);
}
