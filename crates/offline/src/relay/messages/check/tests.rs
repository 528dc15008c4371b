//! The table of refused requests, with the texts of the refusals.

use serde_json::{Value, json};

use super::super::seal;
use super::{Caller, all};

const ASKER: Caller<'static> = Caller { owner: "sk-offline", betas: "", counting: false };

fn with(changes: &Value) -> Value {
    let mut body = json!({
        "model": "claude-opus-5-5", "max_tokens": 100, "messages": [{ "role": "user", "content": "hello" }],
    });
    for (key, value) in changes.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn tools() -> Value {
    json!([{ "name": "f", "input_schema": { "type": "object", "properties": {} } }])
}

/// A conversation in which `f` was called; `before` has the blocks before the call.
fn called(before: &[Value], rest: &Value) -> Value {
    let call = json!({ "type": "tool_use", "id": "toolu_1", "name": "f", "input": {} });
    let blocks: Vec<Value> = before.iter().cloned().chain([call]).collect();
    let mut messages =
        vec![json!({ "role": "user", "content": "hello" }), json!({ "role": "assistant", "content": blocks })];
    messages.extend(rest.as_array().unwrap().iter().cloned());
    json!({ "tools": tools(), "messages": messages })
}

fn result(id: &str) -> Value {
    json!([{ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": id, "content": "done" }] }])
}

fn thought(signature: &str) -> Value {
    json!({ "type": "thinking", "thinking": "hm", "signature": signature })
}

#[test]
fn takes_what_the_api_takes() {
    let good = seal::mint("sk-offline");
    let mut thinking = called(&[thought(&good)], &result("toolu_1"));
    thinking["thinking"] = json!({ "type": "enabled", "budget_tokens": 1024 });
    thinking["max_tokens"] = json!(2000);
    for changes in [
        json!({}),
        json!({ "system": [{ "type": "text", "text": "x", "cache_control": { "type": "ephemeral" } }] }),
        json!({ "thinking": { "type": "adaptive", "display": "omitted" }, "output_config": { "effort": "max" } }),
        json!({ "tools": tools(), "tool_choice": { "type": "tool", "name": "f", "disable_parallel_tool_use": true } }),
        json!({ "tools": [{ "type": "web_search_20250305", "name": "web_search", "max_uses": 2 }] }),
        called(&[], &result("toolu_1")),
        thinking,
    ] {
        assert!(all(&with(&changes), ASKER).is_ok(), "{changes}");
    }
    let mut counted = with(&json!({}));
    counted.as_object_mut().unwrap().remove("max_tokens");
    assert!(all(&counted, Caller { counting: true, ..ASKER }).is_ok());
    let system = json!({ "messages": [{ "role": "user", "content": "x" }, { "role": "system", "content": "y" }] });
    assert!(all(&with(&system), Caller { betas: "mid-conversation-system-2026-06-01", ..ASKER }).is_ok());
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn refuses_with_its_own_words() {
    let user = |content: Value| json!({ "messages": [{ "role": "user", "content": content }] });
    let foreign = seal::mint("sk-offline-other");
    let mut bare = called(&[], &result("toolu_1"));
    bare["thinking"] = json!({ "type": "enabled", "budget_tokens": 1024 });
    bare["max_tokens"] = json!(2000);
    let cases = [
        (json!({ "model": "claude-1" }), "model: claude-1"),
        (json!({ "max_tokens": 0 }), "max_tokens: Input should be greater than or equal to 1"),
        (json!({ "max_tokens": 500_000 }), "max_tokens: 500000 > 128000"),
        (json!({ "reasoning": {} }), "reasoning: Extra inputs are not permitted"),
        (json!({ "metadata": { "x": 1 } }), "metadata.x: Extra inputs are not permitted"),
        (json!({ "temperature": 1.5 }), "temperature: range: 0..1"),
        (json!({ "temperature": 0.5, "top_p": 0.5 }), "cannot both be specified"),
        (json!({ "stop_sequences": [" "] }), "must contain non-whitespace"),
        (json!({ "thinking": { "type": "enabled", "budget_tokens": 10 } }), "greater than or equal to 1024"),
        (json!({ "thinking": { "type": "enabled", "budget_tokens": 2000 } }), "`max_tokens` must be greater than"),
        (json!({ "thinking": { "type": "adaptive" }, "temperature": 0 }), "may only be set to 1"),
        (
            json!({ "thinking": { "type": "adaptive" }, "tools": tools(), "tool_choice": { "type": "any" } }),
            "Thinking may not be enabled when tool_choice forces tool use.",
        ),
        (json!({ "tools": [{ "name": "f" }] }), "tools.0.custom.input_schema: Field required"),
        (json!({ "tools": [{ "name": "f", "input_schema": {} }] }), "input_schema.type: Field required"),
        (json!({ "tools": [{ "name": "a.b", "input_schema": { "type": "object" } }] }), "String should match pattern"),
        (json!({ "tools": [{ "type": "function", "function": {} }] }), "Input tag 'function'"),
        (json!({ "tools": [tools()[0], tools()[0]] }), "Tool names must be unique."),
        (json!({ "tools": tools(), "tool_choice": "auto" }), "Input should be a valid dictionary"),
        (json!({ "tools": tools(), "tool_choice": { "type": "required" } }), "Input tag 'required'"),
        (json!({ "tools": tools(), "tool_choice": { "type": "tool", "name": "g" } }), "Tool 'g' not found"),
        (json!({ "messages": [] }), "at least one message is required"),
        (json!({ "messages": [{ "role": "assistant", "content": "x" }] }), "first message must use the \"user\" role"),
        (json!({ "messages": [{ "role": "system", "content": "x" }] }), "Unexpected role \"system\""),
        (json!({ "messages": [{ "role": "user", "content": "x", "name": "y" }] }), "name: Extra inputs"),
        (user(json!("")), "messages.0: all messages must have non-empty content"),
        (user(json!([{ "type": "text", "text": "" }])), "text content blocks must be non-empty"),
        (user(json!([{ "type": "text", "text": " " }])), "must contain non-whitespace text"),
        (user(json!([{ "type": "input_text", "text": "x" }])), "Input tag 'input_text'"),
        (
            user(json!([{ "type": "image", "source": { "type": "url", "url": "data:image/png;base64,AA" } }])),
            "Only HTTPS",
        ),
        (
            user(
                json!([{ "type": "image", "source": { "type": "base64", "media_type": "image/bmp", "data": "AA==" } }]),
            ),
            "Input should be 'image/jpeg'",
        ),
        (
            json!({ "messages": [{ "role": "user", "content": "x" }, { "role": "assistant", "content": "y " }] }),
            "cannot end with trailing whitespace",
        ),
        (called(&[], &json!([])), "without `tool_result` blocks immediately after: toolu_1"),
        (called(&[], &result("toolu_2")), "without `tool_result` blocks immediately after: toolu_1"),
        (json!({ "messages": result("toolu_1") }), "unexpected `tool_use_id` found"),
        (called(&[thought("bm8=")], &result("toolu_1")), "Invalid `signature` in `thinking` block"),
        (called(&[thought(&foreign)], &result("toolu_1")), "Invalid `signature` in `thinking` block"),
        (bare, "Expected `thinking` or `redacted_thinking`, but found `tool_use`"),
        (
            json!({ "output_config": { "format": { "type": "json_schema", "schema": { "type": "object" } } } }),
            "'additionalProperties' must be explicitly set to false",
        ),
        (json!({ "output_config": { "effort": "none" } }), "output_config.effort"),
    ];
    for (changes, words) in cases {
        let reject = all(&with(&changes), ASKER).expect_err(&changes.to_string());
        let message = reject.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{changes}: {message}");
        assert_eq!(reject.body["type"], "error");
    }
}

#[test]
fn counts_marks() {
    let block = json!({ "type": "text", "text": "x", "cache_control": { "type": "ephemeral" } });
    let body = with(&json!({ "system": [block, block, block, block, block] }));
    let reject = all(&body, ASKER).unwrap_err();
    assert!(reject.body["error"]["message"].as_str().unwrap().ends_with("Found 5."));
}
