//! Stored responses, and the messages of a WebSocket.

use bytes::BytesMut;
use proto::canon::What;
use proto::dialect::responses::{self, Stored};
use proto::dialect::{CodexTarget, RelayTarget, ReplySetting, Target, Written};
use proto::{Dialect, Failure, Fold, Json, Kind, Text, Wire, Writer};
use serde_json::{Value, json};

use crate::support::{STREAMS, events, setting};

fn stored(store: bool, most: usize) -> ReplySetting {
    let stored = Stored { store: Some(store), previous: Some(Text::from("resp_before")), max_bytes: Some(most) };
    ReplySetting { stored, ..setting() }
}

/// The events that a client reads, and the stored object.
fn write(setting: ReplySetting, events: &[proto::Event]) -> (Vec<Value>, Option<Value>) {
    let mut writer = Writer::new(Dialect::Responses, setting);
    let mut out = BytesMut::new();
    for event in events {
        writer.push(event, &mut out);
    }
    let response = writer.response().map(|response| response.parse().unwrap());
    writer.end(&mut out);
    let text = String::from_utf8(out.to_vec()).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    (data.map(|data| serde_json::from_str(data).unwrap()).collect(), response)
}

fn objects(events: &[Value]) -> Vec<&Value> {
    events.iter().map(|event| &event["response"]).filter(|object| object.is_object()).collect()
}

#[test]
fn every_object_has_store_and_the_previous_id() {
    for (name, stream) in STREAMS {
        let events = events(Dialect::Responses, stream.as_bytes());
        let (plain, response) = write(setting(), &events);
        assert_eq!(response, None, "{name}");
        for store in [true, false] {
            let (marked, response) = write(stored(store, usize::MAX), &events);
            assert_eq!(marked.len(), plain.len(), "{name}");
            for (marked, plain) in objects(&marked).into_iter().zip(objects(&plain)) {
                assert_eq!((&marked["store"], &marked["previous_response_id"]), (&json!(store), &json!("resp_before")));
                assert_eq!(marked["id"], plain["id"], "{name}");
            }
            assert_eq!(
                response.as_ref(),
                objects(&marked).last().copied(),
                "{name}: what is kept is what was seen last"
            );
        }
    }
}

#[test]
fn a_response_that_is_too_large_is_marked_as_not_stored() {
    let (_, stream) = STREAMS[0];
    let events = events(Dialect::Responses, stream.as_bytes());
    let size = serde_json::to_vec(&write(stored(true, usize::MAX), &events).1).unwrap().len();
    let (marked, response) = write(stored(true, size / 2), &events);
    assert_eq!((objects(&marked).last().unwrap()["store"].clone(), response), (json!(false), None));
    let mut fold = Fold::new();
    for event in &events {
        fold.push(event);
    }
    let whole = fold.finish();
    for (most, wanted) in [(usize::MAX, true), (size / 2, false)] {
        let body: Value = serde_json::from_slice(&Dialect::Responses.whole(&whole, &stored(true, most))).unwrap();
        assert_eq!((&body["store"], &body["previous_response_id"]), (&json!(wanted), &json!("resp_before")));
    }
}

/// The gateway's own frames have the same id from the beginning to the end, for any id of the upstream.
#[test]
fn a_failure_of_ours_names_the_upstreams_own_id() {
    let frame = "data: {\"type\":\"response.created\",\"response\":{\"id\":\"gen-7\",\"status\":\"in_progress\"}}\n\n";
    let mut events = events(Dialect::Responses, frame.as_bytes());
    events.retain(|event| !matches!(event.what, What::Fail(_)));
    let (written, _) = write(setting(), &events);
    assert!(objects(&written).iter().all(|object| object["id"] == "gen-7"), "{written:?}");
}

#[test]
fn a_conversation_comes_back_as_it_went() {
    let body = json!({ "input": [
        { "role": "user", "content": "hi" },
        { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "pg1.m.x.sealed" },
        { "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}" },
        { "type": "function_call_output", "call_id": "c", "output": "ok" },
        { "type": "compaction", "encrypted_content": "x" },
    ]});
    let (request, _) = Dialect::Responses.read_request(body.to_string().into()).unwrap();
    let (packed, size) = responses::pack(&request.items, Some).unwrap();
    assert!((packed.bytes().len()..=packed.bytes().len() + 1).contains(&size));
    assert_eq!(responses::pack(&request.items, |_| None::<()>), None);
    assert_eq!(responses::unpack(&packed), request.items);
    let ids: Vec<String> = responses::list_items(&packed, "7").iter().map(responses::ListedItem::id).collect();
    assert_eq!(ids, ["msg_7_0", "rs_1", "fc_7_2", "fco_7_3", "item_7_4"]);
    for (id, item) in ids.iter().zip(responses::list_items(&packed, "7")) {
        assert_eq!(item.json().parse::<Value>().unwrap()["id"], **id);
    }
    let (text, _) = Dialect::Responses.read_request(r#"{"input":"hi"}"#.into()).unwrap();
    let packed: Value = responses::pack(&text.items, Some).unwrap().0.parse().unwrap();
    assert_eq!(
        packed,
        json!([{ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "hi" }] }])
    );
}

#[test]
fn a_message_is_a_request_and_its_connection_stays_ours() {
    let body = json!({ "type": "response.create", "generate": false, "store": false, "input": [{ "role": "user", "content": "hi" }],
        "previous_response_id": "resp_1", "client_metadata": { "session_id": "s", "x-codex-turn-state": "t",
        "x-codex-ws-stream-request-start-ms": "1", "ws_request_header_x_openai_internal_codex_responses_lite": "true" } });
    let (mut request, _) = Dialect::Responses.read_request(body.to_string().into()).unwrap();
    assert_eq!(
        (request.store, request.reply.prewarm, request.previous.take().as_deref()),
        (Some(false), true, Some("resp_1"))
    );
    let codex = CodexTarget { model: "m".into(), cache_key: "k".into(), ..CodexTarget::default() };
    let Written { body: sent, notes, .. } = Wire::Responses.write_request(&request, &Target::Codex(codex)).unwrap();
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!(sent["client_metadata"], json!({ "session_id": "s" }));
    for name in ["type", "generate", "previous_response_id"] {
        assert_eq!(sent.get(name), None);
    }
    assert!(!notes.header().contains("type"), "{}", notes.header());
    let Written { body: sent, .. } =
        Wire::Responses.write_request(&request, &Target::Relay(RelayTarget::default())).unwrap();
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    let names: Vec<&String> = sent.as_object().unwrap().keys().collect();
    assert_eq!(names, ["store", "input", "client_metadata", "model", "stream"]);
}

#[test]
fn refusals_and_headers_are_messages() {
    let failure = Failure::new(Kind::RateLimited, "slow \"down\"").at("input");
    let message: Value =
        Json::from_valid(responses::refusal(&failure, 429, [("x-codex-plan-type", "plus"), ("retry-after", "3")]))
            .parse()
            .unwrap();
    let error = json!({ "message": "slow \"down\"", "type": "rate_limit_error", "param": "input", "code": "rate_limit_exceeded" });
    let headers = json!({ "X-Codex-Plan-Type": "plus", "Retry-After": "3" });
    assert_eq!(message, json!({ "type": "error", "status": 429, "error": error, "headers": headers }));
    let message: Value = Json::from_valid(responses::metadata("response.metadata", [("x-a", "b")])).parse().unwrap();
    assert_eq!(message, json!({ "type": "response.metadata", "headers": { "x-a": "b" } }));
}
