//! Replays recordings of the official client 0.169.0 through the gateway: the backend gets what the client sent. The recordings are read
//! from `$POLYGATE_SHARED` at run time; the tests of `upstream` compare the gateway's own calls with the recordings, to the letter.

use offline::{Offline, Options, Running};
use pool::Millis;
use pool::transport::TransportMode;
use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

use crate::gateway::{Gateway, engine_with, request, store};
use crate::recordings;
use crate::socket::Socket;
use crate::streams::account;
use crate::wire::Wire;

/// Files with one request each, which begins a conversation or is complete in itself.
const POSTS: [&str; 6] = [
    "13-responses-http-h1-gpt55.json",
    "16-responses-http-lite.json",
    "17-responses-http-compaction-v2.json",
    "18-responses-http-after-compaction.json",
    "20-responses-http-subagent-review.json",
    "22-responses-http-fast-schema-desktop-originator.json",
];
/// Headers about the connection, the account or the client; the tests of `upstream` compare those of the gateway's own calls.
const OTHERS: [&str; 9] = [
    "host", "content-length", "content-encoding", "cookie", "version", "authorization", "chatgpt-account-id",
    "originator", "user-agent",
];
const NATIVE: &str = "/backend-api/codex/responses";

/// A recording, or a visible skip.
fn capture(name: &str) -> Option<Value> {
    let path = recordings::shared()?.join("captures").join(name);
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

/// A gateway whose backend accepts encrypted state that it did not make.
async fn gateway(transport: TransportMode) -> (Gateway, Running) {
    let backend = Offline::start(Options { strict_encrypted: false, ..Options::default() }).await.unwrap();
    let home = TempDir::new().unwrap();
    let store = store(&home).await;
    store.put_account(account(backend.account("plus")), Millis(1)).await.unwrap();
    let base = format!("http://{}", backend.addr());
    let engine = engine_with(store, &base, |settings| settings.transport = transport).await;
    (Gateway::on(engine, home, |_| {}).await, backend)
}

fn pairs(capture: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pairs = capture["headers"].as_array().unwrap().iter().map(|pair| (text(&pair[0]), text(&pair[1])));
    pairs.filter(|(name, _)| !name.starts_with(':')).collect()
}

fn compared(pairs: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    pairs.into_iter().filter(|(name, _)| !OTHERS.contains(&&**name)).collect()
}

#[tokio::test]
async fn posts_reach_the_backend_as_they_were_sent() {
    for name in POSTS {
        let Some(capture) = capture(name) else { return };
        let (gateway, backend) = gateway(TransportMode::Http).await;
        let wanted = pairs(&capture);
        // The gateway sets these headers itself and does not take them from a client.
        let own = ["x-codex-routing-hint", "x-openai-internal-codex-responses-lite"];
        let named = |name: &str| matches!(name, "originator" | "user-agent");
        let theirs = |name: &str| named(name) || !own.contains(&name) && !OTHERS.contains(&name);
        let headers = wanted.iter().filter(|(name, _)| theirs(name)).map(|(name, value)| format!("{name}: {value}"));
        let own = [format!("authorization: Bearer {}", gateway.keys.client), "host: localhost".to_owned()];
        let headers: Vec<String> = own.into_iter().chain(headers).collect();
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let body = capture["body"].to_string();
        let mut wire = Wire::open(gateway.port).await;
        wire.send(request(&format!("POST {NATIVE}"), &headers, body.as_bytes())).await;
        wire.until("event: response.completed").await;
        let record = backend.record();
        let seen = record.model_requests().next().unwrap();
        assert_eq!(compared(seen.headers.clone()), compared(wanted), "{name}");
        assert_eq!(String::from_utf8_lossy(&seen.body), body, "{name}");
        assert_eq!(record.offences, [], "{name}");
    }
}

/// A message without its `client_metadata`, and that metadata, whose fields have no order, without the client's clock.
fn plain(message: &Value) -> (String, Value) {
    let mut message = message.clone();
    let mut metadata = message["client_metadata"].take();
    metadata.as_object_mut().unwrap().shift_remove("x-codex-ws-stream-request-start-ms");
    (message.to_string(), metadata)
}

/// A prewarm and the turns after it, over WebSockets on both sides. Each side has its own ids for the previous response.
#[rstest]
#[case::classic(&[
    "06-ws-01-prewarm-gpt55.json",
    "07-ws-02-turn-gpt55.json",
    "12-ws-next-turn-gpt55.json",
    "19-ws-compaction-v2.json",
])]
#[case::lite(&["10-ws-01-prewarm-lite.json", "11-ws-02-turn-lite.json"])]
#[tokio::test]
async fn turns_over_a_socket_reach_the_backend_as_they_were_sent(#[case] names: &[&str]) {
    let mut messages: Vec<Value> = Vec::new();
    for name in names {
        let Some(mut capture) = capture(name) else { return };
        messages.push(capture["message"].take());
    }
    // Some messages were recorded in other conversations.
    let id = |message: &Value| message["prompt_cache_key"].as_str().unwrap().to_owned();
    let first = id(&messages[0]);
    for message in &mut messages {
        *message = serde_json::from_str(&message.to_string().replace(&id(message), &first)).unwrap();
    }
    let (gateway, backend) = gateway(TransportMode::WebSocket).await;
    let key = format!("Bearer {}", gateway.keys.client);
    let headers = [("authorization", key.as_str()), ("originator", "codex_exec"), ("user-agent", "codex_exec/0.169.0")];
    let mut socket = Socket::at(NATIVE, gateway.port, &headers).await.unwrap();
    let mut previous = Value::Null;
    for message in &mut messages {
        if previous.is_string() {
            message["previous_response_id"] = previous;
        }
        previous = socket.ask(message.clone()).await["response"]["id"].clone();
        assert!(previous.is_string());
    }
    let record = backend.record();
    let mut sent: Vec<Value> = record.model_requests().map(offline::RecordedRequest::json).collect();
    for (sent, message) in sent.iter_mut().zip(&mut messages).skip(1) {
        assert!(sent["previous_response_id"].take().is_string());
        message["previous_response_id"].take();
    }
    assert_eq!(sent.iter().map(plain).collect::<Vec<_>>(), messages.iter().map(plain).collect::<Vec<_>>());
    assert_eq!(record.offences, []);
}
