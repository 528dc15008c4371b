//! The table of refused requests, with the texts of the refusals.

use serde_json::{Value, json};

use super::super::super::models::Kind;
use super::super::read::normal;
use super::all;

fn with(changes: &Value) -> Value {
    let mut body = json!({ "contents": [{ "role": "user", "parts": [{ "text": "hello" }] }] });
    for (key, value) in changes.as_object().unwrap() {
        body[key] = value.clone();
    }
    normal(&body)
}

fn parameters(schema: &Value) -> Value {
    json!({ "tools": [{ "functionDeclarations": [{ "name": "f", "parameters": schema }] }] })
}

fn object(property: &Value) -> Value {
    parameters(&json!({ "type": "OBJECT", "properties": { "a": property } }))
}

/// A conversation in which `f` was called.
fn called(signature: Option<&str>, answers: usize) -> Value {
    let mut call = json!({ "functionCall": { "name": "f", "args": { "snake_case": 1 } } });
    if let Some(signature) = signature {
        call["thoughtSignature"] = json!(signature);
    }
    let answer = json!({ "functionResponse": { "name": "f", "response": { "result": "done" } } });
    let mut contents =
        vec![json!({ "role": "user", "parts": [{ "text": "hello" }] }), json!({ "role": "model", "parts": [call] })];
    if answers > 0 {
        contents.push(json!({ "role": "user", "parts": vec![answer; answers] }));
    }
    json!({ "contents": contents })
}

#[test]
fn takes_both_spellings() {
    let schema = json!({ "type": "object", "additionalProperties": false, "$defs": {} });
    for changes in [
        json!({}),
        json!({ "system_instruction": { "parts": [{ "text": "x" }] }, "generation_config": { "max_output_tokens": 5 } }),
        json!({ "generationConfig": { "thinkingConfig": { "include_thoughts": true, "thinking_level": "LOW" } } }),
        json!({ "generationConfig": { "responseMimeType": "application/json", "responseJsonSchema": schema } }),
        json!({ "tools": [{ "functionDeclarations": [{ "name": "f", "parametersJsonSchema": schema }] }, { "googleSearch": {} }] }),
        object(&json!({ "type": "STRING", "enum": ["x"], "format": "enum" })),
        called(Some("c2lnbmVk"), 1),
        called(Some("skip_thought_signature_validator"), 1),
    ] {
        assert!(all(&with(&changes), Kind::Signing).is_ok(), "{changes}: {:?}", all(&with(&changes), Kind::Signing));
    }
    assert!(all(&with(&called(None, 1)), Kind::Reasoning).is_ok(), "only one model wants signatures");
    let kept = with(&called(None, 1));
    assert_eq!(kept["contents"][1]["parts"][0]["functionCall"]["args"], json!({ "snake_case": 1 }));
}

#[test]
fn refuses_with_its_own_words() {
    let part = |part: Value| json!({ "contents": [{ "role": "user", "parts": [part] }] });
    let config = |config: Value| json!({ "generationConfig": config });
    let cases = [
        (json!({ "messages": [] }), "Unknown name \"messages\": Cannot find field."),
        (json!({ "contents": [] }), "contents is not specified"),
        (
            json!({ "contents": [{ "role": "user", "parts": [] }] }),
            "contents[0].parts: contents.parts must not be empty",
        ),
        (json!({ "contents": [{ "role": "assistant", "parts": [{ "text": "x" }] }] }), "valid role: user, model"),
        (part(json!({ "type": "text", "text": "x" })), "Unknown name \"type\" at 'contents[0].parts[0]'"),
        (part(json!({})), "must have one initialized field"),
        (part(json!({ "text": "x", "inlineData": { "mimeType": "image/png", "data": "AA==" } })), "already set"),
        (part(json!({ "inlineData": { "mimeType": "image/png", "data": "a b" } })), "Base64 decoding failed"),
        (part(json!({ "functionResponse": { "name": "f", "response": "x" } })), "google.protobuf.Struct"),
        (config(json!({ "max_tokens": 5 })), "at 'generation_config': Cannot find field."),
        (config(json!({ "temperature": 3 })), "range [0.0, 2.0]"),
        (config(json!({ "stopSequences": ["a", "b", "c", "d", "e", "f"] })), "at most 5"),
        (
            config(json!({ "thinkingConfig": { "thinkingBudget": 5, "thinkingLevel": "LOW" } })),
            "only set one of thinking budget and thinking level",
        ),
        (config(json!({ "thinkingConfig": { "thinkingLevel": "XHIGH" } })), "ThinkingLevel"),
        (config(json!({ "responseSchema": { "type": "STRING" } })), "only allowed when response_mime_type"),
        (parameters(&json!({ "type": "object", "properties": {} })), "should be non-empty for OBJECT type"),
        (object(&json!({ "type": "string", "const": "x" })), "Unknown name \"const\""),
        (
            object(
                &json!({ "type": "object", "properties": { "b": { "type": "string" } }, "additionalProperties": false }),
            ),
            "Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters.properties[a]'",
        ),
        (object(&json!({ "type": ["string", "null"] })), "Invalid value at"),
        (object(&json!({ "type": "ARRAY" })), "items: missing field"),
        (object(&json!({ "type": "STRING", "format": "uuid" })), "only 'enum' and 'date-time' are supported"),
        (
            json!({ "tools": [{ "functionDeclarations": [{ "name": "a b" }] }] }),
            "[FIELD_INVALID] Invalid function name.",
        ),
        (
            json!({ "toolConfig": { "functionCallingConfig": { "mode": "AUTO", "allowedFunctionNames": ["f"] } } }),
            "should only be set when",
        ),
        (called(Some("c2lnbmVk"), 0), "number of function response parts is equal"),
        (called(Some("c2lnbmVk"), 2), "number of function response parts is equal"),
        (called(None, 1), "missing a thought_signature"),
        (
            part(json!({ "functionResponse": { "name": "f", "response": {} } })),
            "immediately after a function call turn",
        ),
    ];
    for (changes, words) in cases {
        let reject = all(&with(&changes), Kind::Signing).expect_err(&changes.to_string());
        let message = reject.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{changes}: {message}");
        assert_eq!((reject.status, &reject.body["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
    }
}
