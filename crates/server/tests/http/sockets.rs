//! The Responses API over a WebSocket: its messages, which clients it accepts, and how a connection ends.

use std::time::Duration;

use offline::{Plan, Rule, Termination, Wait};
use pool::transport::TransportMode;
use rstest::rstest;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::gateway::{Gateway, count};
use crate::socket::{Socket, words};
use crate::streams::{gateway, gateway_on};
use crate::wire::Wire;

const SOON: Duration = Duration::from_secs(10);
const MODEL: &str = "gpt-6-sol";

async fn open(gateway: &Gateway, headers: &[(&'static str, &str)]) -> Result<Socket, Box<Error>> {
    let key = format!("Bearer {}", gateway.keys.client);
    let headers: Vec<_> = [("authorization", key.as_str())].into_iter().chain(headers.iter().copied()).collect();
    Socket::open(gateway.port, &headers).await
}

fn user(text: &str) -> Value {
    json!({ "role": "user", "content": text })
}

/// The input of the last model request, as the backend saw it: roles and texts.
fn sent_input(backend: &offline::Running) -> Vec<String> {
    let record = backend.record();
    let post = record.model_requests().last().expect("a model request");
    let items = post.json()["input"].as_array().cloned().unwrap_or_default();
    let role = |item: &Value| item["role"].as_str().or(item["type"].as_str()).unwrap_or_default().to_owned();
    let text = |item: &Value| item["content"][0]["text"].as_str().unwrap_or_default().to_owned();
    items
        .iter()
        .map(|item| format!("{}:{}", role(item), text(item)))
        .filter(|item| !item.starts_with("reasoning"))
        .collect()
}

#[tokio::test]
async fn a_reply_comes_as_one_message_for_each_event() {
    let (gateway, _backend) = gateway(|_| {}).await;
    let mut socket = open(&gateway, &[]).await.unwrap();
    for prompt in ["count to 5", "count to 7"] {
        socket.create(json!({ "model": MODEL, "input": prompt, "store": false })).await;
        let events = socket.reply().await;
        assert_eq!(events[0]["type"], "response.created");
        assert!(events.iter().all(|event| event["type"].as_str().is_some_and(|name| name.starts_with("response."))));
        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.completed");
        assert!(words(&last["response"]).ends_with(&prompt[9..]), "{last}");
    }
}

#[tokio::test]
async fn input_goes_on_from_the_last_response_of_the_connection() {
    let (gateway, backend) = gateway(|_| {}).await;
    let mut socket = open(&gateway, &[]).await.unwrap();
    let warm = json!({ "model": MODEL, "input": [user("My name is Ada.")], "store": false, "generate": false });
    let warm = socket.ask(warm).await;
    assert_eq!((&warm["response"]["output"], &warm["response"]["usage"]["total_tokens"]), (&json!([]), &json!(0)));
    assert!(backend.record().model_requests().all(|post| post.json()["generate"] == false), "nothing is generated");
    let mut previous = warm["response"]["id"].clone();
    for (turn, prompt) in ["Reply with exactly: one", "Reply with exactly: two"].into_iter().enumerate() {
        let body = json!({ "model": MODEL, "input": [user(prompt)], "store": false, "previous_response_id": previous });
        let last = socket.ask(body).await;
        assert_eq!(last["response"]["previous_response_id"], previous, "{last}");
        assert_eq!(last["response"]["store"], false);
        previous = last["response"]["id"].clone();
        let sent_input = sent_input(&backend);
        let wanted =
            ["user:My name is Ada.", "user:Reply with exactly: one", "assistant:one", "user:Reply with exactly: two"];
        assert_eq!(sent_input, &wanted[..2 + 2 * turn]);
    }
    let unknown = json!({ "model": MODEL, "input": "x", "previous_response_id": warm["response"]["id"] });
    let refused = socket.ask(unknown).await;
    assert_eq!((&refused["type"], &refused["status"]), (&json!("error"), &json!(400)));
    assert_eq!(refused["error"]["code"], "previous_response_not_found", "only the last one is remembered");
    let goes_on = json!({ "model": MODEL, "input": [user("count to 3")], "previous_response_id": previous });
    assert_eq!(socket.ask(goes_on).await["type"], "response.completed", "a refusal ends nothing");
    let mut other = open(&gateway, &[]).await.unwrap();
    let foreign = json!({ "model": MODEL, "input": "x", "previous_response_id": previous });
    assert_eq!(
        other.ask(foreign).await["error"]["code"],
        "previous_response_not_found",
        "and by this connection alone"
    );
}

#[tokio::test]
async fn a_stored_response_is_known_to_all_connections_of_its_key() {
    let (gateway, backend) = gateway(|_| {}).await;
    let mut socket = open(&gateway, &[]).await.unwrap();
    let first = socket.ask(json!({ "model": MODEL, "input": "Reply with exactly: one", "store": true })).await;
    assert_eq!(first["response"]["store"], true);
    let mut other = open(&gateway, &[]).await.unwrap();
    let next =
        json!({ "model": MODEL, "input": [user("count to 3")], "previous_response_id": first["response"]["id"] });
    assert_eq!(other.ask(next).await["type"], "response.completed");
    assert_eq!(sent_input(&backend), ["user:Reply with exactly: one", "assistant:one", "user:count to 3"]);
}

#[tokio::test]
async fn a_second_message_waits_for_its_turn() {
    let (gateway, backend) = gateway(|_| {}).await;
    backend.add_rule(Rule::responses(Plan::auto().pause(4, Wait::Gate("go".to_owned()))));
    let mut socket = open(&gateway, &[]).await.unwrap();
    for prompt in ["count to 9", "count to 3", "count to 4"] {
        socket.create(json!({ "model": MODEL, "input": prompt, "store": false })).await;
    }
    assert_eq!(socket.event().await.unwrap()["type"], "response.created");
    assert_eq!(backend.record().model_requests().count(), 1);
    backend.release("go");
    for end in ["9", "3", "4"] {
        let last = socket.reply().await.pop().unwrap();
        assert!(words(&last["response"]).ends_with(end), "{last}");
    }
}

#[tokio::test]
async fn a_ping_is_answered_while_messages_wait() {
    let (gateway, backend) = gateway(|_| {}).await;
    let gate = |name: &str| Wait::Gate(name.to_owned());
    for (gate, plan, calls) in [("a", Plan::auto().pause(4, gate("a")), 1), ("b", Plan::auto().delay(gate("b")), 4)] {
        backend.add_rule(Rule::responses(plan));
        let mut socket = open(&gateway, &[]).await.unwrap();
        for prompt in ["count to 9", "count to 3", "count to 4"] {
            socket.create(json!({ "model": MODEL, "input": prompt, "store": false })).await;
        }
        socket.ping().await;
        backend.wait_until(SOON, |record| record.model_requests().count() == calls).await.unwrap();
        socket.ping().await;
        backend.release(gate);
        for end in ["9", "3", "4"] {
            let last = socket.reply().await.pop().unwrap();
            assert!(words(&last["response"]).ends_with(end), "{last}");
        }
    }
}

/// Keep-alives during a pause of a reply, over both transports: as data after the reply has begun, because Codex does not count pings;
/// before that as pings.
#[rstest]
#[case::begun(Plan::auto().pause(6, "go"), false)]
#[case::before(Plan::auto().delay("go"), true)]
#[tokio::test]
async fn a_silent_reply_keeps_its_client_waiting(
    #[case] plan: Plan,
    #[case] pings: bool,
    #[values(TransportMode::Http, TransportMode::WebSocket)] transport: TransportMode,
) {
    let (gateway, backend) = gateway_on(|settings| {
        settings.transport = transport;
        // With the default interval, no keep-alive would come within the patience of the test.
        settings.heartbeat = Duration::from_millis(50);
        settings.commit = Duration::from_millis(50);
    })
    .await;
    backend.add_rule(Rule::responses(plan));
    let mut socket = open(&gateway, &[]).await.unwrap();
    socket.create(json!({ "model": MODEL, "input": "count to 9" })).await;
    let mut beats = 0;
    while beats < 3 {
        let beat = match socket.next().await.expect("a message") {
            Message::Ping(_) => pings,
            Message::Text(text) => serde_json::from_str::<Value>(&text).unwrap()["type"] == "keepalive" && !pings,
            other => panic!("{other:?}"),
        };
        beats += usize::from(beat);
    }
    backend.release("go");
    let last = socket.reply().await.pop().unwrap();
    assert_eq!(last["type"], "response.completed");
    assert!(words(&last["response"]).ends_with('9'), "{last}");
    let sockets = usize::from(transport == TransportMode::WebSocket);
    assert_eq!((backend.record().sockets().count(), backend.record().model_requests().count()), (sockets, 1));
}

#[tokio::test]
async fn few_messages_wait() {
    let (gateway, backend) = gateway(|settings| settings.limits.waiting = 2).await;
    backend.add_rule(Rule::responses(Plan::auto().pause(4, Wait::Forever)));
    let mut socket = open(&gateway, &[]).await.unwrap();
    for prompt in ["count to 9", "count to 3", "count to 4", "count to 5"] {
        socket.create(json!({ "model": MODEL, "input": prompt })).await;
    }
    let crowded = socket.reply().await.pop().unwrap();
    assert_eq!((&crowded["status"], &crowded["error"]["code"]), (&json!(429), &json!("too_many_messages")));
    assert_eq!(socket.closed().await.unwrap().code, CloseCode::Policy);
    backend.wait_until(SOON, |record| record.model_requests().all(|post| post.ending.is_some())).await.unwrap();
    assert!(backend.record().model_requests().count() <= 1, "what waited is not served");
}

#[tokio::test]
async fn a_client_that_leaves_while_messages_wait_ends_the_upstream() {
    let (gateway, backend) = gateway(|_| {}).await;
    for (calls, close) in [(1, true), (2, false)] {
        backend.add_rule(Rule::responses(Plan::auto().pause(6, Wait::Forever)));
        let mut socket = open(&gateway, &[]).await.unwrap();
        for prompt in ["count to 9", "count to 3", "count to 4"] {
            socket.create(json!({ "model": MODEL, "input": prompt })).await;
        }
        backend.wait_until(SOON, |record| record.model_requests().count() == calls).await.unwrap();
        let left = backend.now();
        if close {
            socket.send(Message::Close(None)).await;
        }
        drop(socket);
        backend.wait_until(SOON, |record| record.model_requests().all(|post| post.ending.is_some())).await.unwrap();
        let ended = backend.record().model_requests().last().unwrap().disconnected_at().expect("the gateway left");
        assert!(ended.saturating_sub(left) < Duration::from_secs(1), "{close}");
        assert_eq!(backend.record().model_requests().count(), calls, "what waited is not served");
    }
}

/// After a close, the server still reads from the connection for a while, but holds nothing else that long.
#[tokio::test]
async fn a_client_that_closes_and_stays_holds_no_place() {
    let (gateway, backend) = gateway(|settings| settings.limits.replies = 1).await;
    for (calls, last) in [(1, Message::Close(None)), (3, Message::binary(vec![0; 8]))] {
        backend.add_rule(Rule::responses(Plan::auto().pause(4, Wait::Forever)));
        let mut socket = open(&gateway, &[]).await.unwrap();
        socket.create(json!({ "model": MODEL, "input": "count to 9" })).await;
        assert_eq!(socket.event().await.unwrap()["type"], "response.created");
        let left = backend.now();
        socket.send(last).await;
        backend.wait_until(SOON, |record| record.model_requests().all(|post| post.ending.is_some())).await.unwrap();
        let ended = backend.record().model_requests().last().unwrap().disconnected_at().expect("the gateway left");
        assert!(ended.saturating_sub(left) < Duration::from_secs(1), "{calls}");
        let mut other = open(&gateway, &[]).await.unwrap();
        assert_eq!(other.ask(json!({ "model": MODEL, "input": "count to 3" })).await["type"], "response.completed");
        assert_eq!(backend.record().model_requests().count(), calls + 1);
        drop(socket);
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_upstream() {
    let (gateway, backend) = gateway(|_| {}).await;
    for (at, plan) in [Plan::auto().delay(Wait::Forever), Plan::auto().pause(6, Wait::Forever)].into_iter().enumerate()
    {
        for (close, calls) in [(true, 2 * at + 1), (false, 2 * at + 2)] {
            backend.add_rule(Rule::responses(plan.clone()));
            let mut socket = open(&gateway, &[]).await.unwrap();
            socket.create(json!({ "model": MODEL, "input": "count to 9" })).await;
            backend.wait_until(SOON, |record| record.model_requests().count() == calls).await.unwrap();
            let left = backend.now();
            if close {
                socket.send(Message::Close(None)).await;
            }
            drop(socket);
            backend.wait_until(SOON, |record| record.model_requests().all(|post| post.ending.is_some())).await.unwrap();
            let ended = backend.record().model_requests().last().unwrap().disconnected_at().expect("the gateway left");
            assert!(ended.saturating_sub(left) < Duration::from_secs(1), "{plan:?} {close}");
        }
    }
}

#[tokio::test]
async fn a_refusal_says_what_http_would() {
    let (gateway, backend) = gateway(|_| {}).await;
    let spent = json!({ "error": { "type": "usage_limit_reached", "message": "The usage limit has been reached",
        "plan_type": "plus", "resets_in_seconds": 3600, "resets_at": 4_102_444_800_u64 } });
    let mut socket = open(&gateway, &[]).await.unwrap();
    for (request, status, code) in [
        (json!({ "type": "response.steer", "input": "x" }), 400, "invalid_value"),
        (json!({ "input": "x" }), 400, "invalid_value"),
        (json!({ "type": "response.create", "model": MODEL }), 400, "missing_required_parameter"),
        (json!({ "type": "response.create", "model": "no-such-model", "input": "x" }), 404, "model_not_found"),
        (
            json!({ "type": "response.create", "model": MODEL, "input": "x", "background": true }),
            400,
            "unsupported_parameter",
        ),
    ] {
        socket.send(Message::text(request.to_string())).await;
        let refused = socket.event().await.unwrap();
        assert_eq!((&refused["type"], &refused["status"]), (&json!("error"), &json!(status)), "{refused}");
        assert_eq!(refused["error"]["code"].as_str().unwrap_or_default(), code, "{refused}");
        assert!(refused["error"]["type"].is_string() && refused["error"]["message"].is_string());
    }
    socket.send(Message::text("{\"type\":")).await;
    assert_eq!(socket.event().await.unwrap()["status"], 400);
    backend.add_rule(Rule::responses(Plan::json(429, spent)));
    let refused = socket.ask(json!({ "model": MODEL, "input": "x" })).await;
    assert_eq!(
        (&refused["status"], &refused["error"]["type"]),
        (&json!(429), &json!("usage_limit_reached")),
        "{refused}"
    );
    assert!(refused["headers"]["Retry-After"].is_string(), "{refused}");
}

#[tokio::test]
async fn a_failure_midway_is_one_of_the_response() {
    let (gateway, backend) = gateway(|_| {}).await;
    backend.add_rule(Rule::responses(Plan::auto().cut_event(10, Termination::Reset)));
    let mut socket = open(&gateway, &[]).await.unwrap();
    let failed = socket.ask(json!({ "model": MODEL, "input": "count to 9" })).await;
    assert_eq!((&failed["type"], &failed["response"]["status"]), (&json!("response.failed"), &json!("failed")));
    assert_eq!(socket.ask(json!({ "model": MODEL, "input": "count to 3" })).await["type"], "response.completed");
}

#[tokio::test]
async fn codex_hears_the_headers_of_its_reply() {
    let (gateway, _backend) = gateway(|_| {}).await;
    let mut socket =
        open(&gateway, &[("originator", "codex_exec"), ("user-agent", "codex_exec/0.169.0")]).await.unwrap();
    socket.create(json!({ "model": MODEL, "input": "count to 3", "store": false })).await;
    let events = socket.reply().await;
    let at = |name: &str| events.iter().position(|event| event["type"] == name);
    let headers = &events[at("codex.response.metadata").unwrap()]["headers"];
    assert_eq!(headers["x-polygate-model"], MODEL);
    assert!(headers["x-request-id"].is_string() && headers["x-models-etag"].is_string(), "{headers}");
    let limits = &events[at("codex.rate_limits").unwrap()];
    assert!(limits["rate_limits"]["primary"]["used_percent"].is_number(), "{limits}");
    assert!(at("codex.response.metadata") < at("response.created"));
}

/// An SDK would mistake any event for headers for another event. The model that answered is in each response, and the headers of a refusal
/// are in the refusal.
#[tokio::test]
async fn others_hear_the_public_apis_events_alone() {
    let (gateway, backend) = gateway(|_| {}).await;
    let mut socket = open(&gateway, &[]).await.unwrap();
    socket.create(json!({ "model": "gpt-5.2", "input": "count to 3", "store": false })).await;
    let events = socket.reply().await;
    for event in &events {
        let kind = event["type"].as_str().unwrap();
        assert!(kind.starts_with("response.") && !kind.starts_with("response.metadata"), "{event}");
        assert!(event["response"].is_null() || event["response"]["model"] == MODEL, "{event}");
    }
    assert_eq!(events[0]["type"], "response.created");
    backend.add_rule(Rule::responses(Plan::bad_request("invalid_prompt", "no")));
    let refused = socket.ask(json!({ "model": "gpt-5.2", "input": "hello", "store": false })).await;
    assert_eq!((&refused["type"], &refused["headers"]["Deprecation"]), (&json!("error"), &json!("@1780272000")));
    let notes = refused["headers"]["X-Polygate-Notes"].as_str().unwrap_or_default();
    assert!(notes.contains("gpt-5.2 is retired"), "{refused}");
}

#[tokio::test]
async fn the_guard_and_the_key_check_come_first() {
    let (gateway, backend) = gateway(|_| {}).await;
    let status = |opened: Result<Socket, Box<Error>>| match opened.map(|_| ()) {
        Err(error) if matches!(*error, Error::Http(_)) => {
            let Error::Http(response) = *error else { unreachable!() };
            response.status().as_u16()
        }
        other => panic!("{other:?}"),
    };
    let key = format!("Bearer {}", gateway.keys.client);
    let revoked = format!("Bearer {}", gateway.keys.revoked);
    let admin = format!("Bearer {}", gateway.keys.admin);
    for (headers, wanted) in [
        (&[][..], 401),
        (&[("authorization", revoked.as_str())], 401),
        (&[("authorization", admin.as_str())], 403),
        (&[("authorization", key.as_str()), ("origin", "https://evil.com")], 403),
        (&[("authorization", key.as_str()), ("origin", "null")], 403),
        (&[("authorization", key.as_str()), ("sec-fetch-site", "cross-site")], 403),
    ] {
        assert_eq!(status(Socket::open(gateway.port, headers).await), wanted, "{headers:?}");
    }
    let junk = open(&gateway, &[("sec-websocket-protocol", "openai-insecure-api-key.x, ,;junk")]).await;
    assert!(!matches!(junk.map(|_| ()).map_err(|error| *error), Err(Error::Http(_))), "subprotocols are passed over");
    assert_eq!(backend.record().model_requests().count(), 0);
    assert!(count(&gateway.counters.unauthorized) > 0 && count(&gateway.counters.origin) > 0);
}

#[tokio::test]
async fn an_upgrade_request_has_no_body() {
    let (gateway, backend) = gateway(|_| {}).await;
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let upgrade = ["host: localhost", "connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13", &key];
    for (body, status) in [
        ("content-length: 5\r\n\r\nhello", 400),
        ("content-length: 5\r\n\r\n", 400),
        ("transfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("content-length: 0\r\n\r\n", 101),
        ("x-none: 1\r\n\r\n", 101),
    ] {
        let mut wire = Wire::open(gateway.port).await;
        let head = upgrade.join("\r\n");
        let nonce = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
        wire.send(format!("GET /v1/responses HTTP/1.1\r\n{head}\r\n{nonce}\r\n{body}")).await;
        let answer = wire.answer().await.unwrap();
        assert_eq!(answer.check().status, status, "{body:?}: {}", answer.text());
        if status == 400 {
            let error: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(error["error"]["code"], "bad_handshake", "{error}");
            assert_eq!(answer.header("connection"), Some("close"));
        }
    }
    assert_eq!(backend.record().model_requests().count(), 0);
}

#[tokio::test]
async fn a_connection_that_breaks_the_rules_is_told_why() {
    let (gateway, backend) = gateway(|settings| settings.limits.wire = 64 << 10).await;
    let mut mixed = open(&gateway, &[]).await.unwrap();
    mixed.create(json!({ "model": MODEL, "input": "count to 3" })).await;
    mixed.reply().await;
    mixed.send(Message::binary(vec![0; 8])).await;
    assert_eq!(mixed.event().await.unwrap()["status"], 415);
    assert_eq!(mixed.closed().await.unwrap().code, CloseCode::Unsupported);
    let mut long = open(&gateway, &[]).await.unwrap();
    long.send(Message::text("x".repeat((64 << 10) + 1))).await;
    assert_eq!(long.event().await.unwrap()["status"], 413);
    assert_eq!(long.closed().await.unwrap().code, CloseCode::Size);
    assert_eq!(backend.record().model_requests().count(), 1);
}

#[tokio::test]
async fn most_sockets_and_their_idle_time_are_bounded() {
    let (gateway, _backend) = gateway(|settings| {
        settings.limits.sockets = 1;
        settings.limits.socket_idle = Duration::from_millis(300);
    })
    .await;
    let mut first = open(&gateway, &[]).await.unwrap();
    assert!(open(&gateway, &[]).await.is_err(), "one too many");
    assert_eq!(first.closed().await.unwrap().code, CloseCode::Away);
    drop(first);
    let mut second = open(&gateway, &[]).await;
    while second.is_err() {
        tokio::task::yield_now().await;
        second = open(&gateway, &[]).await;
    }
    assert_eq!(
        second.unwrap().ask(json!({ "model": MODEL, "input": "count to 3" })).await["type"],
        "response.completed"
    );
}

#[tokio::test]
async fn a_drain_ends_idle_sockets_at_once_and_lets_replies_finish() {
    let (gateway, backend) = gateway(|settings| settings.limits.drain = Duration::from_millis(500)).await;
    backend.add_rule(Rule::responses(Plan::auto().pause(4, Wait::Gate("go".to_owned()))));
    backend.add_rule(Rule::responses(Plan::auto().pause(4, Wait::Forever)));
    let mut idle = open(&gateway, &[]).await.unwrap();
    let (mut busy, mut stuck) = (open(&gateway, &[]).await.unwrap(), open(&gateway, &[]).await.unwrap());
    for socket in [&mut busy, &mut stuck] {
        socket.create(json!({ "model": MODEL, "input": "count to 9" })).await;
        assert_eq!(socket.event().await.unwrap()["type"], "response.created");
    }
    gateway.shutdown.cancel();
    assert_eq!(idle.closed().await.unwrap().code, CloseCode::Away);
    backend.release("go");
    assert_eq!(busy.reply().await.pop().unwrap()["type"], "response.completed");
    assert_eq!(busy.closed().await.unwrap().code, CloseCode::Away);
    let cut = stuck.reply().await.pop().unwrap();
    assert_eq!(cut["type"], "response.failed");
    assert!(cut["response"]["error"]["message"].as_str().unwrap().contains("shutting down"), "{cut}");
    assert_eq!(stuck.closed().await.unwrap().code, CloseCode::Away);
    gateway.stopped().await;
}

#[tokio::test]
async fn a_drain_begins_nothing_that_waits() {
    let (gateway, backend) = gateway(|settings| settings.limits.drain = Duration::from_millis(500)).await;
    backend.add_rule(Rule::responses(Plan::auto().pause(4, Wait::Gate("go".to_owned()))));
    backend.add_rule(Rule::responses(Plan::auto().pause(4, Wait::Forever)));
    let (mut busy, mut stuck) = (open(&gateway, &[]).await.unwrap(), open(&gateway, &[]).await.unwrap());
    for socket in [&mut busy, &mut stuck] {
        for prompt in ["count to 9", "count to 3", "count to 4"] {
            socket.create(json!({ "model": MODEL, "input": prompt })).await;
        }
        assert_eq!(socket.event().await.unwrap()["type"], "response.created");
        socket.ping().await;
    }
    gateway.shutdown.cancel();
    backend.release("go");
    for (socket, last) in [(&mut busy, "response.completed"), (&mut stuck, "response.failed")] {
        assert_eq!(socket.reply().await.pop().unwrap()["type"], last);
        let refused = socket.event().await.unwrap();
        assert_eq!((&refused["type"], &refused["status"]), (&json!("error"), &json!(503)), "{refused}");
        assert_eq!(refused["error"]["code"], "shutting_down");
        assert_eq!(socket.closed().await.unwrap().code, CloseCode::Away);
    }
    gateway.stopped().await;
    assert_eq!(backend.record().model_requests().count(), 2);
}
