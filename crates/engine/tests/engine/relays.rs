//! Relays of the four protocols beside accounts: chosen by name, served in the client's protocol, judged by what they answer.

mod faults;
mod names;

use engine::{PrivateAccess, RelaySpec, RelayView};
use offline::Endpoint;
use pool::{AccountId, Secret};
use proto::{Dialect, Wire};
use rstest::rstest;
use serde_json::{Value, json};
use store::Outcome;

use crate::bench::{Bench, Setup, call, events, from, words};

/// A key that every relay of the backend takes.
pub(crate) const KEY: &str = "sk-offline-relay";

/// A relay of the backend: its protocol, where it is, a model of it, and its place in the record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FakeRelay {
    pub(crate) wire: Wire,
    pub(crate) path: &'static str,
    pub(crate) model: &'static str,
    pub(crate) endpoint: Endpoint,
}

pub(crate) const CHAT: FakeRelay =
    FakeRelay { wire: Wire::Chat, path: "/relay/chat/v1", model: "llama-4-scout", endpoint: Endpoint::ChatRelay };
pub(crate) const RESPONSES: FakeRelay = FakeRelay {
    wire: Wire::Responses,
    path: "/relay/responses/v1",
    model: "gpt-4.1",
    endpoint: Endpoint::ResponsesRelay,
};
pub(crate) const MESSAGES: FakeRelay = FakeRelay {
    wire: Wire::Messages,
    path: "/relay/messages/v1",
    model: "claude-haiku-5",
    endpoint: Endpoint::MessagesRelay,
};
pub(crate) const GEMINI: FakeRelay =
    FakeRelay { wire: Wire::Gemini, path: "/relay/gemini", model: "gemini-3.8-flash", endpoint: Endpoint::GeminiRelay };

impl FakeRelay {
    /// A relay that serves its one model.
    pub(crate) fn spec(&self, bench: &Bench, name: &str) -> RelaySpec {
        RelaySpec {
            name: name.to_owned(),
            base_url: format!("{}{}", bench.backend.auth_url(), self.path),
            key: Secret::from(KEY),
            wire: Some(self.wire),
            models: vec![self.model.to_owned()],
            prefix: String::new(),
            capabilities: None,
            private: PrivateAccess::Auto,
            weight: 1,
            enabled: true,
        }
    }

    /// Adds it under `name`.
    pub(crate) async fn join(&self, bench: &Bench, name: &str) -> RelayView {
        bench.engine.relays().add(&self.spec(bench, name)).await.expect("the relay is added")
    }
}

/// An engine without accounts.
pub(crate) async fn alone() -> Bench {
    Bench::with(Setup::accounts(0)).await
}

/// The state of the relay `name`.
pub(crate) fn state(bench: &Bench, name: &str) -> RelayView {
    bench.engine.relays().list().into_iter().find(|relay| relay.name == name).expect("the relay")
}

/// What the relay was sent, oldest first.
pub(crate) fn sent(bench: &Bench, fake_relay: &FakeRelay) -> Vec<Value> {
    bench.backend.record().requests_to(fake_relay.endpoint).map(offline::RecordedRequest::json).collect()
}

pub(crate) fn asking(dialect: Dialect, model: &str, prompt: &str, stream: bool) -> engine::Call {
    let mut client_call = call(dialect, prompt, stream);
    client_call.request.model = Some(model.to_owned());
    client_call
}

#[rstest]
#[tokio::test]
async fn every_client_reaches_every_relay(
    #[values(CHAT, RESPONSES, MESSAGES, GEMINI)] fake_relay: FakeRelay,
    #[values(Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini)] dialect: Dialect,
) {
    let bench = alone().await;
    let relay = fake_relay.join(&bench, "far").await;
    let streamed =
        bench.ask(asking(dialect, fake_relay.model, "Reply with exactly: pong", true)).await.expect("a stream");
    assert_eq!(words(dialect, streamed.text()), "pong", "{}", streamed.text());
    assert_eq!(streamed.head.relay.as_deref(), Some("far"));
    assert_eq!((streamed.head.attempts, streamed.head.model.as_str()), (1, fake_relay.model));
    let whole = bench.ask(asking(dialect, fake_relay.model, "Reply with exactly: pong", false)).await.expect("a reply");
    assert!(whole.text().contains("pong"), "{}", whole.text());
    for row in bench.rows(2).await {
        assert_eq!(row.account, Some(AccountId(relay.id.clone())), "the row names the relay");
        assert_eq!((row.status, row.outcome, row.model.as_str()), (200, Outcome::Completed, fake_relay.model));
        assert!(row.tokens.input > 0 && row.tokens.output > 0 && !row.tokens.estimated, "{:?}", row.tokens);
    }
    for body in sent(&bench, &fake_relay) {
        assert!(fake_relay.wire == Wire::Gemini || body["stream"] == true, "the relay always streams: {body}");
    }
    bench.innocent();
}

#[rstest]
#[case(CHAT)]
#[case(RESPONSES)]
#[case(MESSAGES)]
#[case(GEMINI)]
#[tokio::test]
async fn tools_are_called_and_answered(#[case] fake_relay: FakeRelay) {
    let bench = alone().await;
    fake_relay.join(&bench, "far").await;
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let tools = json!([{"type": "function", "function": {"name": "get_weather", "parameters": parameters}}]);
    let mut messages = vec![json!({"role": "user", "content": "weather tool please"})];
    let ask = |messages: &[Value]| {
        from(Dialect::Chat, &json!({"model": fake_relay.model, "stream": false, "messages": messages, "tools": tools}))
    };
    let first = bench.ask(ask(&messages)).await.expect("a call");
    let reply: Value = serde_json::from_str(first.text()).expect("JSON");
    let message = &reply["choices"][0]["message"];
    assert_eq!(message["tool_calls"][0]["function"]["name"], "get_weather", "{reply}");
    let id = message["tool_calls"][0]["id"].clone();
    messages.push(message.clone());
    messages.push(json!({"role": "tool", "tool_call_id": id, "content": "It rains cats in Oslo."}));
    let second = bench.ask(ask(&messages)).await.expect("an answer");
    assert!(second.text().contains("rains cats"), "{}", second.text());
    bench.innocent();
}

/// Limits that the relay's protocol has go there, and are not applied a second time here.
#[rstest]
#[case(CHAT, "/max_tokens", Some("/stop/0"))]
#[case(RESPONSES, "/max_output_tokens", None)]
#[case(MESSAGES, "/max_tokens", Some("/stop_sequences/0"))]
#[case(GEMINI, "/generationConfig/maxOutputTokens", Some("/generationConfig/stopSequences/0"))]
#[tokio::test]
async fn limits_are_the_relays_where_it_has_them(
    #[case] fake_relay: FakeRelay,
    #[case] most: &str,
    #[case] stop: Option<&str>,
) {
    let bench = alone().await;
    fake_relay.join(&bench, "far").await;
    let message = json!([{"role": "user", "content": "count to 40"}]);
    let body =
        json!({"model": fake_relay.model, "stream": true, "max_tokens": 500, "stop": ["7"], "messages": message});
    let answer = bench.ask(from(Dialect::Chat, &body)).await.expect("a stream");
    let sent = sent(&bench, &fake_relay).remove(0);
    assert_eq!(sent.pointer(most), Some(&json!(500)), "{sent}");
    if let Some(stop) = stop {
        assert_eq!(sent.pointer(stop), Some(&json!("7")), "{sent}");
    }
    assert_eq!(words(Dialect::Chat, answer.text()).trim(), "1 2 3 4 5 6", "{}", answer.text());
    bench.innocent();
}

/// More stop sequences than the relay's protocol takes are kept here.
#[rstest]
#[case(CHAT, "/stop")]
#[case(GEMINI, "/generationConfig/stopSequences")]
#[tokio::test]
async fn stops_that_are_too_many_for_the_relay_are_kept_here(#[case] fake_relay: FakeRelay, #[case] stop: &str) {
    let bench = alone().await;
    fake_relay.join(&bench, "far").await;
    let stops = ["7", "a", "b", "c", "d", "e"];
    let messages = json!([{"role": "user", "content": "count to 40"}]);
    let body = json!({"model": fake_relay.model, "max_tokens": 500, "stream": true, "stop_sequences": stops, "messages": messages});
    let answer = bench.ask(from(Dialect::Messages, &body)).await.expect("a stream");
    assert_eq!(sent(&bench, &fake_relay).remove(0).pointer(stop), None);
    assert_eq!(words(Dialect::Messages, answer.text()).trim(), "1 2 3 4 5 6", "{}", answer.text());
    bench.innocent();
}

/// Responses relays take no limit below 16; ours holds all the same.
#[tokio::test]
async fn a_limit_below_the_relays_least_is_kept_here() {
    let bench = alone().await;
    RESPONSES.join(&bench, "far").await;
    let message = json!([{"role": "user", "content": "count to 40"}]);
    let body = json!({"model": RESPONSES.model, "stream": true, "max_tokens": 3, "messages": message});
    let answer = bench.ask(from(Dialect::Chat, &body)).await.expect("a stream");
    assert!(words(Dialect::Chat, answer.text()).len() < 8, "{}", answer.text());
    assert!(answer.text().contains(r#""finish_reason":"length""#), "{}", answer.text());
    assert_eq!(sent(&bench, &RESPONSES)[0]["max_output_tokens"], 16);
    bench.innocent();
}

/// What the relay said goes through byte by byte where client and relay speak the same.
#[tokio::test]
async fn the_same_protocol_passes_untouched() {
    let frames = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"index\":0}],\"zzz\":[1, 2],\"id\":\"x\"}\n\n\
        data: {\"id\":\"x\" , \"choices\":[{\"index\":0,\"delta\":{\"content\":\"caf\\u00e9\"},\"own\":{}}]}\n\n\
        data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
        data: [DONE]\n\n";
    let bench = alone().await;
    CHAT.join(&bench, "far").await;
    bench.backend.add_rule(offline::Rule::at(CHAT.endpoint, offline::Plan::stream(frames)));
    let answer = bench.ask(asking(Dialect::Chat, CHAT.model, "hello", true)).await.expect("a stream");
    assert_eq!(answer.text(), frames);
}

/// Without figures of the relay the row has ours, marked so.
#[tokio::test]
async fn a_relay_that_counts_nothing_is_estimated() {
    let frames = "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"some words of an answer\"}}]}\n\ndata: [DONE]\n\n";
    let bench = alone().await;
    CHAT.join(&bench, "far").await;
    bench.backend.add_rule(offline::Rule::at(CHAT.endpoint, offline::Plan::stream(frames)));
    bench.ask(asking(Dialect::Responses, CHAT.model, "hello", true)).await.expect("a stream");
    let row = bench.rows(1).await.remove(0);
    assert!(row.tokens.estimated && row.tokens.output > 0 && row.tokens.input > 0, "{:?}", row.tokens);
}

/// A conversation stays with the relay that served it.
#[tokio::test]
async fn a_conversation_stays_with_its_relay() {
    let bench = alone().await;
    for name in ["one", "two", "three"] {
        CHAT.join(&bench, name).await;
    }
    let ask = |turn: usize| {
        let mut messages = vec![json!({"role": "user", "content": "the same beginning"})];
        for _ in 0..turn {
            messages.push(json!({"role": "assistant", "content": "yes"}));
            messages.push(json!({"role": "user", "content": "and"}));
        }
        from(Dialect::Chat, &json!({"model": CHAT.model, "stream": true, "messages": messages}))
    };
    let first = bench.ask(ask(0)).await.expect("a reply").head.relay;
    for turn in 1..4 {
        assert_eq!(bench.ask(ask(turn)).await.expect("a reply").head.relay, first);
    }
    // Others are spread.
    let other = bench.ask(asking(Dialect::Chat, CHAT.model, "something else", true)).await.expect("a reply");
    assert_ne!(other.head.relay, first);
}

/// Some servers answer with one JSON body whatever was asked for.
#[rstest]
#[case(CHAT, json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}))]
#[case(RESPONSES, json!({"id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed",
    "output": [{"type": "message", "id": "i", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "pong", "annotations": []}]}],
    "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}}))]
#[case(MESSAGES, json!({"id": "m", "type": "message", "role": "assistant", "model": "m",
    "content": [{"type": "text", "text": "pong"}], "stop_reason": "end_turn", "stop_sequence": null,
    "usage": {"input_tokens": 3, "output_tokens": 1}}))]
#[case(GEMINI, json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "pong"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}}))]
#[tokio::test]
async fn a_whole_body_is_read_where_a_stream_was_asked_for(#[case] fake_relay: FakeRelay, #[case] body: Value) {
    let bench = alone().await;
    fake_relay.join(&bench, "far").await;
    bench.backend.add_rule(offline::Rule::at(fake_relay.endpoint, offline::Plan::json(200, body)).times(2));
    let streamed = bench.ask(asking(Dialect::Chat, fake_relay.model, "hello", true)).await.expect("a stream");
    assert_eq!(words(Dialect::Chat, streamed.text()), "pong", "{}", streamed.text());
    assert_eq!(events(streamed.text()).last(), Some(&json!("[DONE]")));
    let whole = bench.ask(asking(Dialect::Chat, fake_relay.model, "hello", false)).await.expect("a reply");
    assert!(whole.text().contains("pong"), "{}", whole.text());
    let rows = bench.rows(2).await;
    assert!(rows.iter().all(|row| (row.tokens.input, row.tokens.output) == (3, 1)), "{rows:?}");
}
