//! Broken histories of every client protocol, written for every upstream protocol.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::{CodexTarget, Dialect, RelayTarget, Target, Written};
use super::*;

const WIRES: [Wire; 4] = [Wire::Responses, Wire::Chat, Wire::Messages, Wire::Gemini];

fn targets(wire: Wire) -> Vec<Target> {
    let relay = Target::Relay(RelayTarget { model: "m".to_owned(), ..RelayTarget::default() });
    let codex = |lite| Target::Codex(CodexTarget { model: "m".to_owned(), lite, ..CodexTarget::default() });
    if wire == Wire::Responses { vec![relay, codex(false), codex(true)] } else { vec![relay] }
}

/// The calls and results that an upstream reads, in order: `c` or `r` and the id, or `u` and the user's text.
fn steps(wire: Wire, body: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut steps = Vec::new();
    match wire {
        Wire::Responses => {
            for item in list(&body["input"]) {
                match item["type"].as_str() {
                    Some("function_call" | "custom_tool_call") => steps.push(format!("c {}", word(&item["call_id"]))),
                    Some("function_call_output" | "custom_tool_call_output") => {
                        steps.push(format!("r {}", word(&item["call_id"])));
                    }
                    Some("message") if item["role"] == "user" => {
                        steps.push(format!("u {}", word(&item["content"][0]["text"])));
                    }
                    _ => {}
                }
            }
        }
        Wire::Chat => {
            for message in list(&body["messages"]) {
                steps.extend(list(&message["tool_calls"]).iter().map(|call| format!("c {}", word(&call["id"]))));
                match message["role"].as_str() {
                    Some("tool") => steps.push(format!("r {}", word(&message["tool_call_id"]))),
                    Some("user") => steps.push(format!("u {}", word(&message["content"]))),
                    _ => {}
                }
            }
        }
        Wire::Messages | Wire::Gemini => {
            let (messages, blocks) =
                if wire == Wire::Messages { ("messages", "content") } else { ("contents", "parts") };
            for message in list(&body[messages]) {
                for block in list(&message[blocks]) {
                    let call = [&block["functionCall"]["id"], &block["id"]].into_iter().find_map(Value::as_str);
                    let result = [&block["functionResponse"]["id"], &block["tool_use_id"]];
                    let result = result.into_iter().find_map(Value::as_str);
                    match (call, result) {
                        (Some(id), _) => steps.push(format!("c {id}")),
                        (_, Some(id)) => steps.push(format!("r {id}")),
                        _ if message["role"] == "user" => steps.push(format!("u {}", word(&block["text"]))),
                        _ => {}
                    }
                }
            }
        }
    }
    steps
}

/// The steps that an upstream reads from a client's body, and the notes.
fn sent(dialect: Dialect, body: &Value, wire: Wire, target: &Target) -> (Vec<String>, String) {
    let (request, _) = dialect.read_request(Bytes::from(body.to_string())).unwrap();
    let Written { body: out, notes, .. } = wire.write_request(&request, target).unwrap();
    (steps(wire, &serde_json::from_slice(&out).unwrap()), notes.header())
}

/// A history of the calls `a` and `b`, where only `b` has a result, and of a result without a call.
fn broken(dialect: Dialect) -> Value {
    let object = json!({});
    match dialect {
        Dialect::Responses => json!({ "model": "m", "input": [
            { "type": "function_call_output", "call_id": "z", "output": "stray" },
            { "type": "function_call", "call_id": "a", "name": "f", "arguments": "{}" },
            { "type": "function_call", "call_id": "b", "name": "f", "arguments": "{}" },
            { "type": "function_call_output", "call_id": "b", "output": "1" },
            { "role": "user", "content": "go on" },
        ] }),
        Dialect::Chat => json!({ "model": "m", "messages": [
            { "role": "tool", "tool_call_id": "z", "content": "stray" },
            { "role": "assistant", "tool_calls": [
                { "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } },
                { "id": "b", "type": "function", "function": { "name": "f", "arguments": "{}" } },
            ] },
            { "role": "tool", "tool_call_id": "b", "content": "1" },
            { "role": "user", "content": "go on" },
        ] }),
        Dialect::Messages => json!({ "model": "m", "max_tokens": 9, "messages": [
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "z", "content": "stray" }] },
            { "role": "assistant", "content": [
                { "type": "tool_use", "id": "a", "name": "f", "input": object },
                { "type": "tool_use", "id": "b", "name": "f", "input": object },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "b", "content": "1" },
                { "type": "text", "text": "go on" },
            ] },
        ] }),
        Dialect::Gemini => json!({ "contents": [
            { "role": "user", "parts": [
                { "functionResponse": { "id": "z", "name": "f", "response": { "output": "stray" } } },
            ] },
            { "role": "model", "parts": [
                { "functionCall": { "id": "a", "name": "f", "args": object } },
                { "functionCall": { "id": "b", "name": "f", "args": object } },
            ] },
            { "role": "user", "parts": [
                { "functionResponse": { "id": "b", "name": "f", "response": { "output": "1" } } },
                { "text": "go on" },
            ] },
        ] }),
        Dialect::Ollama => json!({ "model": "m", "messages": [
            { "role": "tool", "tool_call_id": "z", "tool_name": "f", "content": "stray" },
            { "role": "assistant", "tool_calls": [
                { "id": "a", "function": { "name": "f", "arguments": object } },
                { "id": "b", "function": { "name": "f", "arguments": object } },
            ] },
            { "role": "tool", "tool_call_id": "b", "content": "1" },
            { "role": "user", "content": "go on" },
        ] }),
    }
}

#[test]
fn every_upstream_gets_a_result_for_each_call() {
    for dialect in [Dialect::Responses, Dialect::Chat, Dialect::Messages, Dialect::Gemini, Dialect::Ollama] {
        for wire in WIRES.into_iter().filter(|wire| *wire == Wire::Responses || Dialect::from(*wire) != dialect) {
            for target in targets(wire) {
                let (mut steps, notes) = sent(dialect, &broken(dialect), wire, &target);
                // Anthropic and Google want the results in one turn; the order of the results has no meaning.
                steps[3..5].sort();
                let expected = ["u stray", "c a", "c b", "r a", "r b", "u go on"];
                assert_eq!(steps, expected, "{dialect:?} to {wire:?}: {target:?}");
                for note in ["sent a tool result without its call as text", "said that a tool call had no result"] {
                    assert!(notes.contains(note), "{dialect:?} to {wire:?}: {notes}");
                }
            }
        }
    }
}

#[test]
fn added_results_are_errors_in_every_protocol() {
    let body = json!({ "model": "m", "max_tokens": 9, "messages": [
        { "role": "user", "content": "a" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "a", "name": "f", "input": {} }] },
    ] });
    let written = |wire: Wire| {
        let (request, _) = Dialect::Messages.read_request(Bytes::from(body.to_string())).unwrap();
        let Written { body: out, .. } = wire.write_request(&request, &targets(wire)[0]).unwrap();
        serde_json::from_slice::<Value>(&out).unwrap()
    };
    let expected = "Error: The tool gave no result.";
    assert_eq!(written(Wire::Responses)["input"][2]["output"], expected);
    assert_eq!(written(Wire::Chat)["messages"][2]["content"], expected);
    assert_eq!(
        written(Wire::Gemini)["contents"][2]["parts"][0]["functionResponse"]["response"],
        json!({ "error": "The tool gave no result." })
    );
}

/// An Ollama client gives calls no ids, so the gateway makes one.
#[test]
fn an_ollama_history_may_end_in_a_call() {
    let body = json!({ "model": "m", "messages": [
        { "role": "user", "content": "a" },
        { "role": "assistant", "tool_calls": [{ "function": { "name": "f", "arguments": {} } }] },
    ] });
    for wire in WIRES {
        for target in targets(wire) {
            let (steps, _) = sent(Dialect::Ollama, &body, wire, &target);
            assert_eq!(steps, ["u a", "c call_ollama_1", "r call_ollama_1"], "{wire:?}");
        }
    }
}

/// A valid history is sent unchanged.
#[test]
fn nothing_else_changes() {
    let call = json!({ "type": "function_call", "call_id": "a", "name": "f", "arguments": "{}" });
    let custom = json!({ "type": "custom_tool_call", "call_id": "a", "name": "f", "input": "" });
    let output = json!({ "type": "function_call_output", "call_id": "a", "output": "1" });
    let custom_output = json!({ "type": "custom_tool_call_output", "call_id": "a", "output": "1" });
    let shell = json!({ "type": "local_shell_call", "call_id": "a", "status": "completed", "action": {} });
    let screen = json!({ "type": "computer_call", "call_id": "a", "status": "completed", "action": {} });
    let patch = json!({ "type": "apply_patch_call", "call_id": "a", "operation": {} });
    let reference = json!({ "type": "item_reference", "id": "fc_1" });
    let compaction = json!({ "type": "compaction", "encrypted_content": "x" });
    let search = json!({ "type": "web_search_call", "id": "ws_1", "status": "completed" });
    let user = json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "b" }] });
    let cases = [
        json!([call, output]),
        json!([output, call]),
        json!([call, user, output, user]),
        json!([custom, custom_output]),
        json!([call, output, user, call, output]),
        json!([call, output, output]),
        // The official client answers its shell calls this way.
        json!([shell, output]),
        json!([shell, user]),
        json!([screen, user]),
        json!([patch, user]),
        json!([reference, output]),
        json!([compaction, output]),
        json!([search, user]),
    ];
    for input in cases {
        let body = json!({ "model": "m", "input": input });
        let (request, _) = Dialect::Responses.read_request(Bytes::from(body.to_string())).unwrap();
        for target in targets(Wire::Responses) {
            let Written { body: out, notes, .. } = Wire::Responses.write_request(&request, &target).unwrap();
            let sent: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(sent["input"], input, "{input}");
            assert!(!notes.header().contains("tool"), "{input}: {}", notes.header());
        }
    }
}

/// Some clients restart the numbering of calls in each turn.
#[test]
fn an_id_may_come_again() {
    let call = json!({ "type": "function_call", "call_id": "a", "name": "f", "arguments": "{}" });
    let output = json!({ "type": "function_call_output", "call_id": "a", "output": "1" });
    let user = json!({ "role": "user", "content": "b" });
    let cases = [
        (json!([call, output, user, call, output]), vec!["c a", "r a", "u b", "c a", "r a"]),
        (json!([call, user, call, output]), vec!["c a", "r a", "u b", "c a", "r a"]),
        (json!([call, output, user, call]), vec!["c a", "r a", "u b", "c a", "r a"]),
        (json!([call, call, output, output]), vec!["c a", "c a", "r a", "r a"]),
    ];
    for (input, expected) in cases {
        for wire in [Wire::Chat, Wire::Messages, Wire::Gemini] {
            let body = json!({ "model": "m", "input": input });
            assert_eq!(sent(Dialect::Responses, &body, wire, &targets(wire)[0]).0, expected, "{wire:?}: {input}");
        }
    }
}

/// The body of a client that speaks the upstream's dialect is not repaired.
#[test]
fn a_clients_own_body_is_left_to_its_service() {
    for (dialect, wire) in
        [(Dialect::Chat, Wire::Chat), (Dialect::Messages, Wire::Messages), (Dialect::Gemini, Wire::Gemini)]
    {
        let (_, notes) = sent(dialect, &broken(dialect), wire, &targets(wire)[0]);
        assert!(!notes.contains("tool"), "{wire:?}: {notes}");
    }
}
