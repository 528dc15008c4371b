//! Live model lists in every shape, in pages and within bounds.

use pool::relay::{Relay, Wire, models};
use upstream::relay::ListOutcome;
use upstream::{Fault, FaultKind, Timeouts};

use super::server::{FullResponse, ReceivedRequest, Server, json};
use super::{KEY, discreet, key, relay, upstream, with};
use crate::recorder::{Recorder, Reply, with_timeout};
use crate::setup::short;

async fn list(relay: &Relay) -> Result<ListOutcome, Fault> {
    with_timeout(upstream().relays().models(relay, &key())).await
}

/// The model names of a list.
async fn names(relay: &Relay) -> Vec<String> {
    match list(relay).await.unwrap() {
        ListOutcome::Models(models) => models.into_iter().map(|model| model.slug).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn openai_lists_come_whole() {
    let server =
        Server::open(|_| json(200, r#"{"object":"list","data":[{"id":"a"},{"id":"b","context_length":9}]}"#)).await;
    for wire in [Wire::Chat, Wire::Responses] {
        let ListOutcome::Models(models) = list(&relay(wire, &server.at("/v1"))).await.unwrap() else {
            panic!("no list")
        };
        assert_eq!(
            models.iter().map(|model| (model.slug.as_str(), model.context)).collect::<Vec<_>>(),
            [("a", None), ("b", Some(9))]
        );
    }
    let request = &server.requests()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/v1/models"));
    assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!((request.header("accept"), request.header("content-length")), (Some("application/json"), None));
}

fn anthropic(request: &ReceivedRequest) -> FullResponse {
    assert_eq!((request.header("x-api-key"), request.header("anthropic-version")), (Some(KEY), Some("2023-06-01")));
    json(
        200,
        match request.path.as_str() {
            "/v1/models?limit=1000" => r#"{"data":[{"type":"model","id":"a"}],"has_more":true,"last_id":"a"}"#,
            "/v1/models?limit=1000&after_id=a" => {
                r#"{"data":[{"type":"model","id":"b"},{"type":"model","id":"a"}],"has_more":false}"#
            }
            other => panic!("{other}"),
        },
    )
}

fn gemini(request: &ReceivedRequest) -> FullResponse {
    assert_eq!(request.header("x-goog-api-key"), Some(KEY));
    json(
        200,
        match request.path.as_str() {
            "/v1beta/models?pageSize=1000" => r#"{"models":[{"name":"models/a"}],"nextPageToken":"t"}"#,
            "/v1beta/models?pageSize=1000&pageToken=t" => r#"{"models":[{"name":"models/b"}]}"#,
            other => panic!("{other}"),
        },
    )
}

#[tokio::test]
async fn lists_in_pages_are_joined() {
    let server = Server::open(anthropic).await;
    assert_eq!(names(&relay(Wire::Messages, &server.at(""))).await, ["a", "b"]);
    let server = Server::open(gemini).await;
    assert_eq!(names(&relay(Wire::Gemini, &server.at("/v1beta"))).await, ["a", "b"]);
}

#[tokio::test]
async fn pages_without_end_come_to_one() {
    let server = Server::open(|request| {
        let next = request.path.len();
        json(200, format!(r#"{{"models":[{{"name":"models/m{next}"}}],"nextPageToken":"{}"}}"#, "t".repeat(next)))
    });
    let server = server.await;
    assert!(names(&relay(Wire::Gemini, &server.at("/v1beta"))).await.len() <= 32);
    assert!(server.requests().len() <= 32);
    let same = Server::open(|_| json(200, r#"{"models":[{"name":"models/a"}],"nextPageToken":"t"}"#)).await;
    assert_eq!(names(&relay(Wire::Gemini, &same.at("/v1beta"))).await, ["a"]);
    assert_eq!(same.requests().len(), 2);
}

#[tokio::test]
async fn an_ollama_is_asked_in_its_own_way() {
    let server = Server::open(|request| match request.path.as_str() {
        "/api/tags" => json(200, r#"{"models":[{"name":"qwen3:8b","digest":"d"}]}"#),
        _ => json(404, "404 page not found"),
    });
    let server = server.await;
    assert_eq!(names(&relay(Wire::Chat, &server.at("/v1"))).await, ["qwen3:8b"]);
    assert_eq!(list(&relay(Wire::Messages, &server.at("/v1"))).await.unwrap(), ListOutcome::Refused(404));
}

#[tokio::test]
async fn refusals_and_other_answers_are_said() {
    let server = Server::open(|_| json(401, "a body that nobody sees")).await;
    assert_eq!(list(&relay(Wire::Chat, &server.at("/v1"))).await.unwrap(), ListOutcome::Refused(401));
    let server = Server::open(|_| json(200, "<html>")).await;
    assert!(matches!(list(&relay(Wire::Chat, &server.at("/v1"))).await.unwrap(), ListOutcome::Unreadable(_)));
    let server = Server::open(|_| json(404, "")).await;
    assert_eq!(list(&relay(Wire::Chat, &server.at("/v1"))).await.unwrap(), ListOutcome::Refused(404));
}

#[tokio::test]
async fn long_lists_are_cut_and_huge_ones_refused() {
    let entries: Vec<String> = (0..5000).map(|at| format!(r#"{{"id":"m{at}"}}"#)).collect();
    let body = format!(r#"{{"data":[{}]}}"#, entries.join(","));
    let server = Server::open(move |_| json(200, body.clone())).await;
    assert_eq!(names(&relay(Wire::Chat, &server.at("/v1"))).await.len(), models::MOST);
    let server = Server::open(|_| json(200, vec![b' '; (8 << 20) + 1])).await;
    let fault = list(&relay(Wire::Chat, &server.at("/v1"))).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::TooLarge, "{fault}");
}

#[tokio::test]
async fn a_silent_relay_has_a_limit() {
    let server = Recorder::always(Reply::Hang(Vec::new())).await;
    let upstream = with(Timeouts { small: short().small, ..Timeouts::default() });
    let relay = relay(Wire::Chat, &format!("http://{}/v1", server.addr));
    let fault = with_timeout(upstream.relays().models(&relay, &key())).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout, "{fault}");
    discreet(&format!("{fault} {fault:?}"));
}
