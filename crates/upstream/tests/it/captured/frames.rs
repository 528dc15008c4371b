//! Sockets: the upgrade, and conversations over a socket. Each turn has the whole history, and only the new items are sent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use pool::{Millis, Secret};
use rstest::rstest;
use serde_json::{Value, json};
use upstream::{CallFacts, Config, ModelCall, Profile, SocketOptions, Upstream};

use super::{Capture, How, RecordedTurn, as_sent_by, by_name, of, orders, profile, profiles, written};
use crate::recorder::with_timeout;
use crate::setup::{account, facts};
use crate::socket::config;
use crate::socket::server::{Act, Server};

const LITE: &str = "ws_request_header_x_openai_internal_codex_responses_lite";
const STARTED: &str = "x-codex-ws-stream-request-start-ms";
/// The conversations: which message follows which. The first messages of the last three were not recorded and are made up.
const CONVERSATIONS: [&[u8]; 5] = [&[6, 7, 8], &[10, 11], &[12], &[19], &[23]];

#[tokio::test]
async fn upgrades_equal_the_recorded_ones() {
    for capture in of(How::Upgrade) {
        // The one difference: no library here supports this compression, so it is not offered.
        let offered = |(name, _): &(String, String)| name == "sec-websocket-extensions";
        let named = capture.pairs().map(|(name, _)| name).filter(|name| *name != "sec-websocket-extensions");
        orders::assert_in(orders::UPGRADE, named);
        for profile in [vec![capture.profile()], profiles().into()].concat() {
            let mut server = Server::start(|_, _, _| reply_messages("resp_1", None)).await;
            let upstream = Upstream::new(Config { profile: profile.clone(), ..config(&server) }).unwrap();
            let pair = |name: &'static str| capture.header(name).map(|value| (name, value.to_owned()));
            let passed: Vec<_> = upstream::PASSED_HEADERS.into_iter().filter_map(pair).collect();
            let call = CallFacts {
                model: capture.header("x-codex-routing-hint").unwrap().trim_start_matches("model="),
                session: capture.header("session-id").unwrap(),
                thread: capture.header("thread-id").unwrap(),
                client_headers: &passed,
                ..CallFacts::default()
            };
            let account = account(capture.header("chatgpt-account-id").unwrap());
            let options = Some(SocketOptions { conversation: 1, generate: true, required: true, now: Millis(1) });
            let access = Secret::from("<JWT>");
            let model_call = ModelCall {
                account: &account,
                access: &access,
                body: "{\"input\":[]}".into(),
                facts: call,
                socket: options,
            };
            with_timeout(Box::pin(upstream.responses(model_call))).await.unwrap();
            let request = server.upgrade().await;
            assert_eq!(request.line, capture.line(), "{}", capture.name);
            let (extensions, expected): (Vec<_>, Vec<_>) =
                as_sent_by(&profile, capture.headers()).into_iter().partition(offered);
            assert_eq!(extensions.len(), 1);
            assert_eq!(capture.sent(&request), expected, "{} as {}", capture.name, profile.name);

            // The same for another client, with the profile's turn metadata.
            let turn_metadata = capture.header("x-codex-turn-metadata").unwrap();
            let recorded_turn = RecordedTurn::of(&json!({ "x-codex-turn-metadata": turn_metadata }));
            let metadata = profile.turn_metadata(&recorded_turn.facts(capture.number() == 9));
            let call = CallFacts { client_headers: &[], metadata: metadata.as_ref(), ..call };
            let upstream = Upstream::new(Config { profile: profile.clone(), ..config(&server) }).unwrap();
            let model_call = ModelCall {
                account: &account,
                access: &access,
                body: "{\"input\":[]}".into(),
                facts: call,
                socket: options,
            };
            with_timeout(Box::pin(upstream.responses(model_call))).await.unwrap();
            let mut expected: Vec<_> = expected
                .into_iter()
                .map(|(name, value)| {
                    let is_turn_metadata = name == "x-codex-turn-metadata";
                    (name, if is_turn_metadata { recorded_turn.metadata.to_string() } else { value })
                })
                .collect();
            let codex = ["x-codex-beta-features", "x-codex-window-id", "x-codex-turn-metadata"];
            expected.retain(|(name, _)| profile.sends_turn_metadata || !codex.contains(&&**name));
            assert_eq!(capture.sent(&server.upgrade().await), expected, "{} as {}", capture.name, profile.name);
        }
    }
}

/// The turn metadata of a message, without the values that are headers over HTTP and without the start time.
#[test]
fn messages_of_other_clients_say_of_the_turn_what_codex_says() {
    for capture in of(How::Frame) {
        let message = &capture.value["message"];
        let mut recorded_turn = RecordedTurn::of(&message["client_metadata"]);
        assert!(!recorded_turn.apart());
        for name in [STARTED, LITE, "x-codex-turn-state"] {
            recorded_turn.fields.as_object_mut().unwrap().shift_remove(name);
        }
        let metadata =
            profile("codex_exec", "0.169.0", None).turn_metadata(&recorded_turn.facts(message.get("tools").is_none()));
        let fields = metadata.unwrap().fields.into_iter().map(|(name, value)| (name, value.into()));
        assert_eq!(Value::Object(fields.collect()), recorded_turn.fields, "{}", capture.name);
    }
}

/// The messages of a reply with at most one item.
fn reply_messages(id: &str, item: Option<&Value>) -> Vec<Act> {
    let created = json!({ "type": "response.created", "response": { "id": id } });
    let done = item.map(|item| json!({ "type": "response.output_item.done", "output_index": 0, "item": item }));
    let completed = json!({ "type": "response.completed", "response": { "id": id, "output": [] } });
    [Some(created), done, Some(completed)].into_iter().flatten().map(|event| Act::Text(event.to_string())).collect()
}

/// The reply that this message continues.
fn reply_before(message: &Value) -> Option<Value> {
    let first = &message["input"][0];
    if message["previous_response_id"].as_str().unwrap().starts_with("resp_warm") {
        return None;
    }
    Some(match first["call_id"].as_str() {
        Some(call) => json!({ "type": "function_call", "id": "fc_1", "status": "completed", "name": "exec_command",
            "arguments": "{\"cmd\":\"true\"}", "call_id": call }),
        None => json!({ "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{ "type": "output_text", "text": "pong", "annotations": [] }] }),
    })
}

/// A possible turn before this message.
fn before(message: &Value) -> Value {
    let mut made_up = message.clone();
    let object = made_up.as_object_mut().unwrap();
    object.shift_remove("previous_response_id");
    object["input"] = json!([
        { "type": "message", "role": "developer", "content": [{ "type": "input_text", "text": "Be short." }] },
        { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "ping" }] },
    ]);
    made_up
}

/// A conversation over one socket, with the items so far in `heard`.
struct Conversation {
    upstream: Upstream,
    server: Server,
    replies: Arc<Mutex<VecDeque<Vec<Act>>>>,
    history: Vec<Value>,
}

impl Conversation {
    async fn open(profile: Profile) -> Self {
        let replies = Arc::new(Mutex::new(VecDeque::new()));
        let script = Arc::clone(&replies);
        let server = Server::start(move |_, _, _| script.lock().pop_front().unwrap()).await;
        let upstream = Upstream::new(Config { profile, ..config(&server) }).unwrap();
        Self { upstream, server, replies, history: Vec::new() }
    }

    /// Sends the message as a client's whole turn, answers it with the reply that `next` continues, and returns the sent message.
    async fn send_turn(&mut self, message: &Value, next: Option<&Value>) -> Value {
        let reply = next.and_then(reply_before);
        let id = next.map_or("resp_last", |next| next["previous_response_id"].as_str().unwrap());
        self.replies.lock().push_back(reply_messages(id, reply.as_ref()));
        self.history.extend(message["input"].as_array().unwrap().iter().cloned());
        let mut body = message.clone();
        body.as_object_mut().unwrap().shift_remove("previous_response_id");
        body["input"] = Value::Array(self.history.clone());
        self.history.extend(reply);
        let metadata = by_name(&message["client_metadata"]);
        let text = |name: &str| metadata.get(name).map(|value| value.as_str().unwrap());
        let pair = |name: &'static str| text(name).map(|value| (name, value.to_owned()));
        let passed: Vec<_> = upstream::PASSED_HEADERS.into_iter().filter_map(pair).collect();
        let call = CallFacts {
            model: message["model"].as_str().unwrap(),
            lite: message.get("tools").is_none(),
            session: text("session_id").unwrap(),
            thread: text("thread_id").unwrap(),
            turn_state: text("x-codex-turn-state"),
            client_headers: &passed,
            ..facts()
        };
        let generate = message.get("generate").is_none();
        let now = Millis(text(STARTED).unwrap().parse().unwrap());
        let options = Some(SocketOptions { conversation: 1, generate, required: true, now });
        let (account, access) = (account("acct-1"), Secret::from("<JWT>"));
        let model_call =
            ModelCall { account: &account, access: &access, body: written(&body), facts: call, socket: options };
        let answer = with_timeout(Box::pin(self.upstream.responses(model_call))).await.unwrap();
        with_timeout(answer.body.collect(1 << 20)).await.unwrap();
        self.server.turns(1).await.remove(0).body
    }
}

/// The message as this profile sends it: `polygate` leaves out the start time.
fn under(profile: &Profile, message: &Value) -> Value {
    let mut expected = message.clone();
    if !profile.sends_turn_metadata {
        expected["client_metadata"].as_object_mut().unwrap().shift_remove(STARTED);
    }
    expected
}

/// Compares all fields, in order, except for the metadata, which has no order.
fn assert_alike(sent: &Value, expected: &Value, name: &str) {
    assert_eq!(by_name(&sent["client_metadata"]), by_name(&expected["client_metadata"]), "{name}");
    let ordered = |message: &Value| {
        let mut message = message.clone();
        message["client_metadata"] = Value::Null;
        message.to_string()
    };
    assert_eq!(ordered(sent), ordered(expected), "{name}");
}

/// A made-up message with every field except `generate`.
fn every_field(lite: bool) -> Value {
    let mut message = json!({
        "type": "response.create", "model": "gpt-5.5", "stream": true, "previous_response_id": "resp_0001",
        "service_tier": "priority",
        "input": [{ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "pong?" }] }],
        "tools": [{ "type": "function", "name": "f", "parameters": { "type": "object", "properties": {} },
            "strict": false }],
        "tool_choice": "auto", "parallel_tool_calls": !lite, "reasoning": { "effort": "low", "context": "all_turns" },
        "store": false, "include": ["reasoning.encrypted_content"], "prompt_cache_key": "t", "text": { "verbosity": "low" },
        "client_metadata": orders::METADATA.iter().map(|name| (*name, "1")).collect::<BTreeMap<_, _>>(),
    });
    let unused = if lite { message.as_object_mut() } else { message["client_metadata"].as_object_mut() };
    unused.unwrap().shift_remove(if lite { "tools" } else { LITE });
    if lite {
        message["client_metadata"][LITE] = "true".into();
    }
    message
}

/// The order and the metadata without the recordings.
#[rstest]
#[tokio::test]
async fn a_turn_has_every_field_in_order(#[values(false, true)] lite: bool) {
    let mut conversation = Conversation::open(profile("codex_exec", "0.169.0", None)).await;
    let message = every_field(lite);
    let mut first = before(&message);
    conversation.send_turn(&first, Some(&message)).await;
    let sent = conversation.send_turn(&message, None).await;
    assert_alike(&sent, &message, "after another");
    let unused = if lite { "tools" } else { LITE };
    let used = |order: &[&'static str]| order.iter().copied().filter(|name| *name != unused).collect::<Vec<_>>();
    let warm = used(orders::FRAME);
    let turn: Vec<_> = warm.iter().copied().filter(|name| *name != "generate").collect();
    assert_eq!(sent.as_object().unwrap().keys().collect::<Vec<_>>(), turn);
    assert_eq!(by_name(&sent["client_metadata"]).into_keys().collect::<Vec<_>>(), used(orders::METADATA));

    let mut conversation = Conversation::open(profile("codex_exec", "0.169.0", None)).await;
    first["generate"] = false.into();
    let sent = conversation.send_turn(&first, None).await;
    let warm: Vec<_> = warm.into_iter().filter(|name| *name != "previous_response_id").collect();
    assert_eq!(sent.as_object().unwrap().keys().collect::<Vec<_>>(), warm);
}

#[tokio::test]
async fn messages_equal_the_recorded_ones() {
    let captures = of(How::Frame);
    let numbered = |number: u8| captures.iter().find(|capture| capture.number() == number);
    let mut compared = Vec::new();
    for profile in [vec![profile("codex_exec", "0.169.0", None)], profiles().into()].concat() {
        for numbers in CONVERSATIONS {
            let recorded: Vec<&Capture> = numbers.iter().filter_map(|number| numbered(*number)).collect();
            let Some(first) = recorded.first() else { continue };
            let mut conversation = Conversation::open(profile.clone()).await;
            let first = &first.value["message"];
            if first.get("previous_response_id").is_some() {
                conversation.send_turn(&before(first), Some(first)).await;
            }
            for (at, capture) in recorded.iter().enumerate() {
                let (message, name) = (&capture.value["message"], capture.name);
                orders::assert_in(orders::FRAME, message.as_object().unwrap().keys().map(String::as_str));
                orders::assert_in(orders::METADATA, by_name(&message["client_metadata"]).into_keys());
                let sent =
                    conversation.send_turn(message, recorded.get(at + 1).map(|next| &next.value["message"])).await;
                assert_alike(&sent, &under(&profile, message), name);
                compared.push(capture.number());
            }
        }
    }
    compared.sort_unstable();
    compared.dedup();
    assert_eq!(compared, captures.iter().map(Capture::number).collect::<Vec<_>>(), "all of them");
}
