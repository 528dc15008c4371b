//! The table of refused requests, with the texts of the refusals.

use serde_json::{Value, json};

use super::all;

fn plain() -> Value {
    json!({ "model": "gpt-4.1-mini", "messages": [{ "role": "user", "content": "hello" }] })
}

fn with(changes: &Value) -> Value {
    let mut body = plain();
    for (key, value) in changes.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn tools() -> Value {
    json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object", "properties": {} } } }])
}

fn called(rest: &Value) -> Value {
    let call = json!({ "id": "call_1", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let mut messages = vec![
        json!({ "role": "user", "content": "hello" }),
        json!({ "role": "assistant", "content": null, "tool_calls": [call] }),
    ];
    messages.extend(rest.as_array().unwrap().iter().cloned());
    json!({ "tools": tools(), "messages": messages })
}

#[test]
fn takes_what_the_api_takes() {
    let result = json!([{ "role": "tool", "tool_call_id": "call_1", "content": "done" }]);
    for changes in [
        json!({}),
        json!({ "stream": true, "stream_options": { "include_usage": true }, "max_tokens": 5, "stop": ["a"] }),
        json!({ "model": "gpt-5-nano", "max_completion_tokens": 5, "reasoning_effort": "low", "temperature": 1 }),
        json!({ "model": "llama-4-scout", "max_tokens": 5, "reasoning_effort": "low", "repetition_penalty": 1.1 }),
        json!({ "tools": tools(), "tool_choice": { "type": "function", "function": { "name": "f" } } }),
        called(&result),
    ] {
        assert!(all(&with(&changes)).is_ok(), "{changes}");
    }
}

#[test]
fn refuses_with_its_own_words() {
    let flat = json!([{ "type": "function", "name": "f", "parameters": {} }]);
    let cases = [
        (json!({ "model": "" }), "you must provide a model parameter"),
        (json!({ "model": "nope" }), "The model `nope` does not exist"),
        (json!({ "model": "whisper-1" }), "This is not a chat model"),
        (json!({ "input": "x" }), "Unrecognized request argument supplied: input"),
        (json!({ "reasoning_effort": "low" }), "Unrecognized request argument supplied: reasoning_effort"),
        (json!({ "model": "gpt-5-nano", "max_tokens": 5 }), "Use 'max_completion_tokens' instead."),
        (json!({ "model": "gpt-5-nano", "temperature": 0 }), "Only the default (1) value is supported."),
        (json!({ "model": "gpt-5-nano", "stop": ["x"] }), "Unsupported parameter: 'stop'"),
        (json!({ "model": "gpt-5-nano", "reasoning_effort": "max" }), "Invalid value: 'max'."),
        (json!({ "temperature": 3 }), "Expected a value <= 2, but got 3"),
        (json!({ "max_tokens": 0 }), "Expected a value >= 1, but got 0"),
        (json!({ "stop": ["a", "b", "c", "d", "e"] }), "maximum length 4"),
        (json!({ "stream_options": {} }), "only allowed when 'stream' is enabled"),
        (json!({ "tools": [] }), "Invalid 'tools': empty array"),
        (json!({ "tools": flat }), "Missing required parameter: 'tools[0].function'."),
        (json!({ "tool_choice": "auto" }), "only allowed when 'tools' are specified"),
        (json!({ "tools": tools(), "tool_choice": { "type": "function", "name": "f" } }), "'tool_choice.function'"),
        (json!({ "messages": [] }), "Invalid 'messages': empty array"),
        (json!({ "messages": [{ "role": "model", "content": "x" }] }), "Invalid value: 'model'."),
        (json!({ "messages": [{ "role": "user", "content": null }] }), "expected a string, got null"),
        (
            json!({ "messages": [{ "role": "user", "content": [{ "type": "input_text", "text": "x" }] }] }),
            "Invalid value: 'input_text'.",
        ),
        (
            json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "x", "cache_control": {} }] }] }),
            "Unknown parameter: 'messages[0].content[0].cache_control'.",
        ),
        (
            json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url", "image_url": "http://x" }] }] }),
            "expected an object, but got a string",
        ),
        (json!({ "messages": [{ "role": "tool", "tool_call_id": "x", "content": "x" }] }), "must be a response to"),
        (called(&json!([])), "did not have response messages: call_1"),
        (called(&json!([{ "role": "user", "content": "x" }])), "did not have response messages: call_1"),
        (json!({ "response_format": { "type": "json_object" } }), "must contain the word 'json'"),
        (
            json!({ "response_format": { "type": "json_schema", "name": "x", "schema": {} } }),
            "Missing required parameter: 'response_format.json_schema'.",
        ),
        (
            json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "x", "strict": true,
                "schema": { "type": "object", "properties": { "a": { "type": "string" } } } } } }),
            "'additionalProperties' is required",
        ),
    ];
    for (changes, words) in cases {
        let reject = all(&with(&changes)).expect_err(&changes.to_string());
        let message = reject.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{changes}: {message}");
        assert!(matches!(reject.status, 400 | 404), "{changes}");
    }
}
