//! Every client protocol against the offline backend: the same answer in all of them, streamed and collected, and failures in each
//! protocol's own format, before and inside a stream.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use offline::{Newline, Plan, Rule, Split, Termination, Wait};
use serde_json::Value;

use crate::gateway::{Gateway, ollama, request};
use crate::protocols::{PROTOCOLS, Protocol};
use crate::streams;
use crate::wire::{Answer, Wire};

const SOON: Duration = Duration::from_secs(10);

async fn gateway() -> (Gateway, offline::Running) {
    streams::gateway(|settings| settings.ollama = ollama()).await
}

async fn ask(gateway: &Gateway, protocol: &Protocol, stream: bool) -> Answer {
    prompt(gateway, protocol, "count to 9", stream).await
}

async fn prompt(gateway: &Gateway, protocol: &Protocol, prompt: &str, stream: bool) -> Answer {
    let mut wire = Wire::open(protocol.port(gateway)).await;
    wire.send(protocol.call(gateway, prompt, stream)).await;
    wire.answer().await.unwrap_or_else(|| panic!("{}: no answer", protocol.name))
}

/// Asks while the backend follows the plan, also for one retry.
async fn ask_during(place: (&Gateway, &offline::Running), protocol: &Protocol, plan: &Plan, stream: bool) -> Answer {
    static CASES: AtomicUsize = AtomicUsize::new(0);
    let (gateway, backend) = place;
    let case = format!("case-{}-", CASES.fetch_add(1, Ordering::Relaxed));
    backend.add_rule(Rule::responses(plan.clone()).prompt(&case).times(2));
    prompt(gateway, protocol, &format!("{case} count to 9"), stream).await
}

#[tokio::test]
async fn one_answer_in_every_protocol() {
    let (gateway, _backend) = gateway().await;
    let mut texts = Vec::new();
    for protocol in PROTOCOLS {
        let name = protocol.name;
        let streamed = ask(&gateway, &protocol, true).await;
        assert_eq!((streamed.status, streamed.header("content-type")), (200, Some(protocol.media)), "{name}");
        assert_eq!(streamed.text().matches(protocol.done).count(), 1, "{name}: {}", streamed.text());
        let whole = ask(&gateway, &protocol, false).await;
        assert_eq!(whole.check().status, 200, "{name}: {}", whole.text());
        for answer in [&streamed, &whole] {
            assert_eq!(answer.header("x-polygate-model"), Some("gpt-6-sol"), "{name}");
            assert!(answer.header("x-polygate-account").is_some(), "{name}");
            assert_eq!(answer.header("request-id").is_some(), name == "messages", "{name}");
            texts.push((name, protocol.text(&answer.text())));
        }
    }
    let first = texts[0].1.clone();
    assert!(!first.is_empty());
    assert!(texts.iter().all(|(_, text)| *text == first), "{texts:?}");
}

/// The message of an error in each protocol.
fn message<'a>(name: &str, body: &'a Value) -> Option<&'a str> {
    let place = if name.starts_with("ollama") { "/error" } else { "/error/message" };
    body.pointer(place)?.as_str()
}

#[tokio::test]
async fn refusals_speak_the_protocol_of_their_path() {
    let (gateway, backend) = gateway().await;
    let key = format!("x-api-key: {}", gateway.keys.client);
    let json = "content-type: application/json";
    for protocol in PROTOCOLS {
        let name = protocol.name;
        let open = name.starts_with("ollama");
        let good = protocol.body("gpt-6-sol", "x", false);
        let unknown = protocol.body("none", "x", false);
        let path = protocol.paths[1];
        let cases: [(&str, u16, Vec<&str>, &str, &str); 6] = [
            ("no key", if open { 200 } else { 401 }, vec![json], path, &good),
            ("no such model", 404, vec![json, &key], protocol.paths[2], &unknown),
            ("no JSON", 400, vec![json, &key], path, "{"),
            (
                "nothing in it",
                400,
                vec![json, &key],
                path,
                r#"{"model":"gpt-6-sol","messages":7,"prompt":7,"input":7}"#,
            ),
            ("a form", 415, vec!["content-type: text/plain", "sec-fetch-mode: cors", &key], path, &good),
            ("a coding", 415, vec![json, &key, "content-encoding: x"], path, &good),
        ];
        for (what, status, headers, path, body) in cases {
            let mut wire = Wire::open(protocol.port(&gateway)).await;
            let headers = [vec!["host: localhost"], headers].concat();
            wire.send(request(&format!("POST {path}"), &headers, body.as_bytes())).await;
            let answer = wire.answer().await.unwrap();
            assert_eq!(answer.check().status, status, "{name}, {what}: {}", answer.text());
            if status != 200 {
                let body: Value = serde_json::from_slice(&answer.body).unwrap();
                assert!(answer.text().contains(protocol.error), "{name}, {what}: {body}");
                assert!(message(name, &body).is_some_and(|message| !message.is_empty()), "{name}, {what}: {body}");
            }
        }
        let mut wire = Wire::open(protocol.port(&gateway)).await;
        wire.send(request(&format!("PUT {path}"), &["host: localhost", &key], b"")).await;
        let answer = wire.answer().await.unwrap();
        assert!(answer.status == 405 && answer.text().contains(protocol.error), "{name}: {}", answer.text());
        let mut wire = Wire::open(protocol.port(&gateway)).await;
        wire.send(request(&format!("POST {path}"), &["host: evil.com", &key], b"")).await;
        let answer = wire.answer().await.unwrap();
        assert!(answer.status == 421 && answer.text().contains(protocol.error), "{name}: {}", answer.text());
    }
    let answered = PROTOCOLS.iter().filter(|protocol| protocol.name.starts_with("ollama")).count();
    assert_eq!(backend.record().model_requests().count(), answered, "a refused request goes nowhere");
}

/// Claude Code checks with this request whether the server is there.
#[tokio::test]
async fn the_root_answers_a_head() {
    let gateway = Gateway::start().await;
    let mut wire = Wire::open(gateway.port).await;
    wire.send(request("HEAD /", &["host: localhost"], b"")).await;
    assert_eq!(wire.bare_answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn paths_that_are_not_there_speak_their_neighbours_protocol() {
    let gateway = Gateway::with(|settings| settings.ollama = ollama()).await;
    for (ollama, path, start) in [
        (false, "/v1/nothing", "{\"error\":{\"message\""),
        (false, "/v1beta/nothing", "{\"error\":{\"code\":404"),
        (false, "/gemini/v1/nothing", "{\"error\":{\"code\":404"),
        (false, "/v1/messages/batches", "{\"type\":\"error\""),
        (false, "/api/tags", "{\"error\":{\"message\""),
        (true, "/api/nothing", "{\"error\":\""),
        (true, "/admin/keys", "{\"error\":\""),
        (true, "/v1/nothing", "{\"error\":{\"message\""),
    ] {
        let line = format!("GET {path}");
        let headers = ["host: localhost"];
        let answer = if ollama {
            gateway.ask_ollama(&line, &headers, b"").await
        } else {
            gateway.ask(&line, &headers, b"").await
        };
        assert!(
            answer.status == 404 && answer.text().starts_with(start),
            "{path}: {} {}",
            answer.status,
            answer.text()
        );
    }
}

#[tokio::test]
async fn an_upstream_that_fails_first_is_a_status() {
    for (plan, statuses) in [
        (Plan::bad_request("invalid_prompt", "no"), &[400][..]),
        (Plan::overloaded(), &[503, 529]),
        (Plan::html(502, 4000), &[502, 500]),
        (Plan::reset(), &[502, 500]),
    ] {
        for protocol in PROTOCOLS {
            // Each protocol has its own gateway, because an account is left alone after several failures in a row.
            let (gateway, backend) = gateway().await;
            for stream in [true, false] {
                let answer = ask_during((&gateway, &backend), &protocol, &plan, stream).await;
                let name = protocol.name;
                assert!(statuses.contains(&answer.status), "{name}: {} {}", answer.status, answer.text());
                assert!(answer.check().text().contains(protocol.error), "{name}: {}", answer.text());
                assert!(!answer.text().contains("<html"), "{name}: {}", answer.text());
            }
        }
    }
}

#[tokio::test]
async fn an_upstream_that_fails_midway_ends_the_stream_in_its_words() {
    let (gateway, backend) = gateway().await;
    for protocol in PROTOCOLS {
        let name = protocol.name;
        for plan in [
            Plan::failed(8, "server_error", "it broke"),
            Plan::auto().cut_event(8, Termination::Reset),
            Plan::auto().cut_event(8, Termination::Fin),
        ] {
            let answer = ask_during((&gateway, &backend), &protocol, &plan, true).await;
            let text = answer.text();
            assert_eq!(answer.status, 200, "{name}: {text}");
            assert_eq!(text.matches(protocol.error).count(), 1, "{name} {plan:?}: {text}");
            assert!(!text.contains(protocol.done), "{name} {plan:?}: {text}");
            let whole = ask_during((&gateway, &backend), &protocol, &plan, false).await;
            assert!(whole.check().status >= 500, "{name} {plan:?}: {}", whole.text());
            assert!(whole.text().contains(protocol.error), "{name} {plan:?}: {}", whole.text());
        }
    }
}

/// F1 and F2: when the upstream is cut after any event, by a reset or by a plain end, the client has a prefix of the whole text, and the
/// stream never looks finished.
#[tokio::test]
async fn a_cut_at_any_event_leaves_a_prefix_and_no_false_end() {
    let (gateway, backend) = gateway().await;
    for protocol in PROTOCOLS {
        let whole = protocol.text(&ask(&gateway, &protocol, true).await.text());
        for (event, how) in (0..14).zip([Termination::Reset, Termination::Fin, Termination::End].into_iter().cycle()) {
            let plan = Plan::auto().cut_event(event, how);
            let answer = ask_during((&gateway, &backend), &protocol, &plan, true).await;
            let (name, text) = (protocol.name, answer.text());
            if answer.status == 200 {
                let reply_text = protocol.text(&text);
                assert!(whole.starts_with(&reply_text) && reply_text != whole, "{name} at {event}: {reply_text}");
                assert_eq!(text.matches(protocol.error).count(), 1, "{name} at {event}: {text}");
            } else {
                assert!(answer.check().status >= 500, "{name} at {event}: {text}");
            }
            assert!(!text.contains(protocol.done), "{name} at {event}: {text}");
        }
    }
}

/// F4 and F5: line ends and chunks of the upstream change nothing.
#[tokio::test]
async fn the_shape_of_the_upstream_stream_does_not_matter() {
    let (gateway, backend) = gateway().await;
    for protocol in PROTOCOLS {
        let plain = protocol.text(&ask(&gateway, &protocol, true).await.text());
        let plans = [
            Plan::auto().newline(Newline::CrLf),
            Plan::auto().newline(Newline::Cr),
            Plan::auto().split(Split::Every(1)),
            Plan::auto().split(Split::Every(7)),
        ];
        for plan in plans {
            let answer = ask_during((&gateway, &backend), &protocol, &plan, true).await;
            let text = answer.text();
            assert_eq!(protocol.text(&text), plain, "{} {plan:?}", protocol.name);
            assert_eq!(text.matches(protocol.done).count(), 1, "{} {plan:?}: {text}", protocol.name);
        }
    }
}

/// F30: a client that leaves ends the upstream's work.
#[tokio::test]
async fn a_client_of_any_protocol_that_leaves_ends_the_upstream() {
    let (gateway, backend) = gateway().await;
    let plans = [Plan::auto().delay(Wait::Forever), Plan::auto().pause(6, Wait::Forever)];
    let mut calls = 0;
    for protocol in PROTOCOLS {
        for (plan, stream) in plans.iter().flat_map(|plan| [(plan, true), (plan, false)]) {
            backend.add_rule(Rule::responses(plan.clone()));
            let mut wire = Wire::open(protocol.port(&gateway)).await;
            wire.send(protocol.call(&gateway, "count to 9", stream)).await;
            calls += 1;
            backend.wait_until(SOON, |record| record.model_requests().count() == calls).await.unwrap();
            let left = backend.now();
            drop(wire);
            let seen =
                backend.wait_until(SOON, |record| record.model_requests().all(|post| post.ending.is_some())).await;
            assert!(seen.is_ok(), "{} {stream} {plan:?}", protocol.name);
            let ended = backend.record().model_requests().last().unwrap().disconnected_at().expect("the gateway left");
            assert!(ended.saturating_sub(left) < Duration::from_secs(1), "{} {stream} {plan:?}", protocol.name);
        }
    }
}

#[tokio::test]
async fn a_drain_ends_every_protocol_in_its_words() {
    let (gateway, backend) = streams::gateway(|settings| {
        settings.ollama = ollama();
        settings.limits.drain = Duration::from_millis(200);
    })
    .await;
    backend.add_rule(Rule::responses(Plan::auto().pause(8, Wait::Forever)).times(8));
    let mut wires = Vec::new();
    for protocol in PROTOCOLS {
        let mut wire = Wire::open(protocol.port(&gateway)).await;
        wire.send(protocol.call(&gateway, "count to 9", true)).await;
        wire.begun().await;
        wires.push((protocol, wire));
    }
    gateway.shutdown.cancel();
    for (protocol, mut wire) in wires {
        let text = wire.answer().await.unwrap().text();
        assert!(text.contains("shutting down") && text.contains(protocol.error), "{}: {text}", protocol.name);
        assert!(!text.contains(protocol.done), "{}: {text}", protocol.name);
    }
    gateway.stopped().await;
}
