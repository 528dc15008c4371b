//! Model requests over a WebSocket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::client::{backend, classic, get, lite};
use crate::{
    EndKind, Endpoint, FakeAccount, Offline, Options, Plan, QuirkKind, Quota, Rule, Running, Termination, Violation,
    Wait,
};

mod faults;

const SOON: Duration = Duration::from_secs(20);

/// A client's side of a socket.
pub(super) struct Socket(WebSocketStream<TcpStream>);

/// Opens a socket. Errors: the status of a refusal.
pub(super) async fn open(backend: &Running, account: &FakeAccount) -> Result<Socket, u16> {
    let mut request = format!("ws://{}/backend-api/codex/responses", backend.addr()).into_client_request().unwrap();
    let bearer = format!("Bearer {}", account.access);
    let headers = [
        ("chatgpt-account-id", account.account_id.as_str()),
        ("authorization", &bearer),
        ("openai-beta", "responses_websockets=2026-02-06"),
    ];
    for (name, value) in headers {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let tcp = TcpStream::connect(backend.addr()).await.unwrap();
    match tokio_tungstenite::client_async(request, tcp).await {
        Ok((socket, _)) => Ok(Socket(socket)),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(_) => Err(0),
    }
}

impl Socket {
    pub(super) async fn send(&mut self, frame: &Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next message, without pings.
    pub(super) async fn next(&mut self) -> Option<Result<Message, Error>> {
        loop {
            match tokio::time::timeout(SOON, self.0.next()).await.expect("the backend says something") {
                Some(Ok(Message::Ping(_))) => {}
                message => return message,
            }
        }
    }

    /// The next event.
    pub(super) async fn event(&mut self) -> Value {
        let message = self.next().await.unwrap().unwrap();
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }

    /// Sends one turn and reads its events.
    pub(super) async fn ask(&mut self, frame: &Value) -> Vec<Value> {
        self.send(frame).await;
        self.answer().await
    }

    /// The events up to a turn's terminal event.
    pub(super) async fn answer(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            events.push(self.event().await);
            let kind = events.last().unwrap()["type"].as_str().unwrap();
            if ["error", "response.completed", "response.failed", "response.incomplete"].contains(&kind) {
                return events;
            }
        }
    }
}

/// `response.create` of a request body.
pub(super) fn create(mut body: Value) -> Value {
    body["type"] = json!("response.create");
    body
}

/// A classic turn.
pub(super) fn turn(prompt: &str) -> Value {
    create(classic(prompt))
}

/// A turn that continues another.
pub(super) fn after(events: &[Value], prompt: &str) -> Value {
    let mut frame = turn(prompt);
    frame["previous_response_id"] = id(events);
    frame
}

fn id(events: &[Value]) -> Value {
    events.last().unwrap()["response"]["id"].clone()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

pub(super) fn reply_text(events: &[Value]) -> String {
    let deltas = events.iter().filter(|event| event["type"] == "response.output_text.delta");
    deltas.map(|event| event["delta"].as_str().unwrap()).collect()
}

/// A backend, a login and its socket.
async fn opened() -> (Running, FakeAccount, Socket) {
    let backend = backend().await;
    let account = backend.account("plus");
    let socket = open(&backend, &account).await.unwrap();
    (backend, account, socket)
}

#[tokio::test]
async fn speaks_in_the_order_of_the_backend() {
    let (backend, account, mut socket) = opened().await;
    let events = socket.ask(&turn("Reply with exactly: pong")).await;
    let expected = [
        "codex.rate_limits", "codex.response.metadata", "response.metadata", "response.created",
        "response.in_progress", "response.output_item.added", "response.content_part.added",
        "response.output_text.delta", "response.output_text.done", "response.content_part.done",
        "response.output_item.done", "responsesapi.websocket_timing", "response.completed",
    ];
    assert_eq!((kinds(&events), reply_text(&events).as_str()), (expected.to_vec(), "pong"));
    let headers = &events[1]["headers"];
    for name in ["x-request-id", "x-models-etag", "x-codex-turn-state", "openai-model"] {
        assert!(headers[name].is_string(), "{name}: {headers}");
    }
    assert_eq!(events[2]["headers"]["x-codex-turn-state"], headers["x-codex-turn-state"]);

    let record = backend.record();
    let (upgrade, post) = (record.sockets().next().unwrap(), record.model_requests().next().unwrap());
    assert_eq!((upgrade.status, upgrade.ending.is_none(), upgrade.method.as_str()), (Some(101), true, "GET"));
    assert_eq!((post.method.as_str(), post.status, post.connection), ("WS", Some(200), upgrade.connection));
    assert_eq!(post.account.as_deref(), Some(account.account_id.as_str()));
    assert_eq!(post.prompt.as_deref(), Some("Reply with exactly: pong"));
    assert_eq!(post.wire_length, turn("Reply with exactly: pong").to_string().len());
    assert_eq!((record.offences, record.open), (Vec::new(), 0));
}

#[tokio::test]
async fn continues_its_last_response_and_no_other() {
    let (backend, _account, mut socket) = opened().await;
    let mut body = classic("What is the weather in Paris?");
    body["tools"] = json!([{ "type": "function", "name": "get_weather", "strict": false, "parameters": {
        "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] } }]);
    let tools = body["tools"].clone();
    let called = socket.ask(&create(body)).await;
    let call = called.iter().find(|event| event["type"] == "response.output_item.done").unwrap()["item"].clone();

    let mut output = after(&called, "");
    output["tools"] = tools;
    output["input"] = json!([{ "type": "function_call_output", "call_id": call["call_id"], "output": "21 degrees" }]);
    let events = socket.ask(&output).await;
    assert!(reply_text(&events).contains("21 degrees"), "{events:?}");
    assert_eq!(events.last().unwrap()["response"]["previous_response_id"], id(&called));
    // The socket forgot the call's response when it completed the next one.
    let events = socket.ask(&after(&called, "again")).await;
    assert_eq!(events[0]["error"]["code"], "previous_response_not_found");
    assert_eq!(events[0]["status"], 400);
    assert_eq!(socket.ask(&turn("hello")).await.last().unwrap()["type"], "response.completed");
    assert_eq!(backend.record().connections, 1);
}

#[tokio::test]
async fn a_chain_stays_on_its_connection_and_with_its_account() {
    let (backend, account, mut socket) = opened().await;
    let events = socket.ask(&turn("hello")).await;
    let mut second = open(&backend, &account).await.unwrap();
    assert_eq!(second.ask(&after(&events, "go on")).await[0]["error"]["code"], "previous_response_not_found");
    assert_eq!(backend.record().offences, []);
    let other = backend.account("plus");
    let mut third = open(&backend, &other).await.unwrap();
    assert_eq!(third.ask(&after(&events, "go on")).await[0]["error"]["code"], "previous_response_not_found");
    assert!(matches!(backend.record().offences[..], [Violation::ChainCrossed { .. }]));
}

#[tokio::test]
async fn prewarms_in_both_shapes() {
    let (backend, _account, mut socket) = opened().await;
    backend.add_rule(Rule::responses(Plan::overloaded()));
    for (body, next) in [(classic("later"), classic("count to 3")), (warm(), lite("count to 3", &json!([])))] {
        let mut prewarm = create(body);
        prewarm["generate"] = json!(false);
        let events = socket.ask(&prewarm).await;
        assert!(kinds(&events).contains(&"response.created") && reply_text(&events).is_empty());
        assert_eq!(events.last().unwrap()["response"]["usage"]["total_tokens"], 0);
        let mut next = create(next);
        next["client_metadata"] = prewarm["client_metadata"].clone();
        next["previous_response_id"] = id(&events);
        if !backend.pending_rules().is_empty() {
            assert_eq!(socket.ask(&next).await[0]["status"], 503, "the rule waited for a turn");
            next.as_object_mut().unwrap().remove("previous_response_id");
        }
        assert_eq!(reply_text(&socket.ask(&next).await), "1 2 3");
    }
}

/// The official client's prewarm of a newer model.
fn warm() -> Value {
    json!({ "model": "gpt-6-sol", "input": [], "stream": true, "store": false, "tool_choice": "auto",
        "reasoning": { "effort": "low", "context": "all_turns" },
        "client_metadata": { "ws_request_header_x_openai_internal_codex_responses_lite": "true" } })
}

#[tokio::test]
async fn is_as_strict_as_over_http() {
    let (_backend, _account, mut socket) = opened().await;
    let with = |key: &str, value: Value| {
        let mut frame = turn("hello");
        frame[key] = value;
        frame
    };
    let cases = [
        (with("temperature", json!(1)), "Unsupported parameter: temperature"),
        (with("store", json!(true)), "Store must be set to false"),
        (with("model", json!("gpt-4")), "The 'gpt-4' model is not supported when using Codex with a ChatGPT account."),
        (with("type", json!("response.append")), "A frame's type must be 'response.create'."),
        (create(lite("hello", &json!([]))), "Model not found gpt-6-sol"),
    ];
    for (frame, message) in cases {
        let events = socket.ask(&frame).await;
        assert_eq!((events.len(), &events[0]["error"]["message"]), (1, &json!(message)));
        assert!(matches!(events[0]["status"].as_u64(), Some(400 | 404)));
    }
    let mut frame = turn("Reply with exactly: fine");
    frame.as_object_mut().unwrap().remove("stream");
    assert_eq!(reply_text(&socket.ask(&frame).await), "fine");
}

#[tokio::test]
async fn says_a_used_up_plan_as_it_was_reported() {
    let (backend, account, mut socket) = opened().await;
    backend.set_quota(&account.account_id, &Quota::exhausted(Duration::from_hours(1)));
    let events = socket.ask(&turn("hello")).await;
    assert_eq!((&events[0]["status_code"], &events[0]["error"]["type"]), (&json!(429), &json!("usage_limit_reached")));
    let headers = &events[0]["headers"];
    assert_eq!(
        (&headers["X-Codex-Primary-Used-Percent"], &headers["X-Codex-Plan-Type"]),
        (&json!("100"), &json!("plus"))
    );
    backend.set_quota(&account.account_id, &Quota::default());
    assert_eq!(socket.ask(&turn("hello")).await.last().unwrap()["type"], "response.completed");
}

#[tokio::test]
async fn counts_the_cache_over_a_whole_conversation() {
    let (_backend, _account, mut socket) = opened().await;
    let cached = |events: &[Value]| {
        events.last().unwrap()["response"]["usage"]["input_tokens_details"]["cached_tokens"].as_u64().unwrap()
    };
    let mut first = turn(&"a long story ".repeat(1_000));
    first["prompt_cache_key"] = json!("conversation");
    let events = socket.ask(&first).await;
    assert_eq!(cached(&events), 0);
    let mut next = after(&events, "go on");
    next["prompt_cache_key"] = json!("conversation");
    assert!(cached(&socket.ask(&next).await) > 3_000);
}

#[tokio::test]
async fn judges_who_asks() {
    let backend = backend().await;
    let account = backend.account("plus");
    let stranger = FakeAccount { access: "nobody".to_owned(), ..account.clone() };
    assert_eq!(open(&backend, &stranger).await.err(), Some(401));
    assert_eq!(get(&backend, &account, "/backend-api/codex/responses", &[]).await.status, 426);
    let mut socket = open(&backend, &account).await.unwrap();
    backend.expire_access(&account.account_id);
    assert_eq!(socket.ask(&turn("hello")).await.last().unwrap()["type"], "response.completed");
    backend.revoke_access(&account.account_id, crate::Revocation::Deactivated);
    let events = socket.ask(&turn("hello")).await;
    assert_eq!((&events[0]["status"], &events[0]["error"]["code"]), (&json!(401), &json!("account_deactivated")));

    let backend = Offline::start(Options { websocket: false, ..Options::default() }).await.unwrap();
    let account = backend.account("plus");
    assert_eq!(open(&backend, &account).await.err(), Some(426));
}

#[tokio::test]
async fn a_turn_state_goes_back_to_its_account_only() {
    let (backend, account, mut socket) = opened().await;
    let events = socket.ask(&turn("hello")).await;
    let state = events[2]["headers"]["x-codex-turn-state"].clone();
    let mut frame = turn("hello");
    frame["client_metadata"] = json!({ "x-codex-turn-state": state });
    assert_eq!(socket.ask(&frame).await[2]["headers"]["x-codex-turn-state"], state);
    assert_eq!(backend.record().offences, []);
    let other = backend.account("plus");
    open(&backend, &other).await.unwrap().ask(&frame).await;
    assert!(matches!(backend.record().offences[..], [Violation::TurnStateCrossed { .. }]));
    drop(account);
}

#[tokio::test]
async fn compacts_into_something_that_it_can_read_again() {
    let (_backend, _account, mut socket) = opened().await;
    let events = socket.ask(&turn("hello")).await;
    let mut compact = after(&events, "");
    compact["input"] = json!([{ "type": "compaction_trigger" }]);
    let events = socket.ask(&compact).await;
    let items: Vec<&Value> = events.iter().filter(|event| event["type"] == "response.output_item.done").collect();
    assert_eq!((items.len(), &items[0]["item"]["type"]), (1, &json!("compaction")));
    let mut body = classic("Reply with exactly: on");
    body["input"].as_array_mut().unwrap().insert(0, items[0]["item"].clone());
    assert_eq!(reply_text(&socket.ask(&create(body)).await), "on");
}

#[tokio::test]
async fn one_turn_at_a_time() {
    let (backend, _account, mut socket) = opened().await;
    backend.add_rule(Rule::responses(Plan::auto().pause(3, "later")));
    socket.send(&turn("Reply with exactly: first")).await;
    socket.send(&turn("Reply with exactly: second")).await;
    backend.wait_until(SOON, |record| !record.offences.is_empty()).await.unwrap();
    assert!(matches!(backend.record().offences[..], [Violation::Overlap { .. }]));
    backend.release("later");
    assert_eq!(reply_text(&socket.answer().await), "first");
    assert_eq!(reply_text(&socket.answer().await), "second");
}

#[tokio::test]
async fn notes_a_client_that_leaves() {
    let (backend, _account, mut socket) = opened().await;
    backend.add_rule(Rule::responses(Plan::auto().pause(5, Wait::Forever)));
    socket.send(&turn("hello")).await;
    socket.event().await;
    drop(socket);
    let gone =
        |record: &crate::Record| record.model_requests().chain(record.sockets()).all(|seen| seen.ending.is_some());
    backend.wait_until(SOON, gone).await.unwrap();
    let record = backend.record();
    assert!(record.model_requests().next().unwrap().disconnected_at().is_some());
    assert_eq!(record.sockets().next().unwrap().ending.unwrap().left, EndKind::Client);
}
