//! The table of refused requests, with the bodies of the refusals.

use serde_json::{Value, json};

use super::all;
use crate::account::Login;
use crate::account::Quota;
use crate::state::Options;
use crate::state::Shared;

fn person() -> Login {
    Login {
        account_id: "11111111-2222-4333-8444-555555555555".into(),
        user: "user-one".into(),
        email: "one@example.test".into(),
        plan: "plus".into(),
        fedramp: false,
        quota: Quota::default(),
        models: None,
        redeemed: Vec::new(),
    }
}

fn shared(strict_encrypted: bool) -> Shared {
    Shared::new(Options { strict_encrypted, ..Options::default() }, String::new())
}

fn classic() -> Value {
    json!({
        "model": "gpt-5.5", "instructions": "Be short.", "store": false, "stream": true,
        "input": [{ "role": "user", "content": "hello" }],
    })
}

fn lite() -> Value {
    json!({
        "model": "gpt-6-sol", "store": false, "stream": true, "reasoning": { "context": "all_turns" },
        "input": [{ "role": "user", "content": [{ "type": "input_text", "text": "hello" }] }],
    })
}

/// Status and body of the refusal; 200 without a refusal.
fn judge(body: &Value, header: bool) -> (u16, Value) {
    match all(&shared(true), &person(), Some(body), header) {
        Ok(_) => (200, Value::Null),
        Err(reject) => (reject.status, reject.body),
    }
}

fn changed(mut body: Value, path: &str, value: Value) -> Value {
    match path.rsplit_once('/') {
        Some(("", key)) => body[key] = value,
        Some((parent, key)) => body.pointer_mut(parent).unwrap()[key] = value,
        None => unreachable!("paths begin with a slash"),
    }
    body
}

#[test]
fn takes_both_shapes() {
    assert_eq!(judge(&classic(), false).0, 200);
    assert_eq!(judge(&lite(), true).0, 200);
    let mut body = classic();
    body.as_object_mut().unwrap().remove("instructions");
    assert_eq!(judge(&body, false).1, json!({ "detail": "Instructions are required" }));
    body["input"] = json!([{ "role": "developer", "content": "Be short." }, { "role": "user", "content": "hello" }]);
    assert_eq!(judge(&body, false).0, 200);
}

#[test]
fn refuses_parameters_by_name() {
    let names = [
        "max_output_tokens", "max_completion_tokens", "temperature", "top_p", "frequency_penalty", "presence_penalty",
        "truncation", "previous_response_id", "metadata", "safety_identifier", "prompt_cache_retention",
        "context_management", "user", "seed", "top_logprobs", "stream_options", "generate", "made_up",
    ];
    for name in names {
        let body = changed(classic(), &format!("/{name}"), Value::Null);
        assert_eq!(judge(&body, false), (400, json!({ "detail": format!("Unsupported parameter: {name}") })));
    }
}

#[test]
fn refuses_with_the_reported_bodies() {
    let cases = [
        ("/store", json!(true), 400, "Store must be set to false"),
        ("/stream", json!(false), 400, "Stream must be set to true"),
        ("/input", json!("hello"), 400, "Input must be a list"),
        ("/input/0/role", json!("system"), 400, "System messages are not allowed"),
        ("/instructions", json!(""), 400, "Instructions are required"),
        ("/model", json!("gpt-5"), 400, "The 'gpt-5' model is not supported when using Codex with a ChatGPT account."),
    ];
    for (path, value, status, detail) in cases {
        assert_eq!(judge(&changed(classic(), path, value), false), (status, json!({ "detail": detail })));
    }
}

#[test]
fn refuses_the_other_shape() {
    let missing = (404, json!({ "detail": "Model not found gpt-6-sol" }));
    assert_eq!(judge(&lite(), false), missing, "no lite header");
    assert_eq!(judge(&changed(lite(), "/tools", json!([])), true), missing);
    assert_eq!(judge(&changed(lite(), "/instructions", json!("Be short.")), true), missing);
    let (status, body) = judge(&changed(lite(), "/reasoning", json!({ "effort": "low" })), true);
    assert_eq!(
        (status, &body["error"]["code"], &body["error"]["param"]),
        (400, &json!("unsupported_value"), &json!("reasoning.context"))
    );
    assert_eq!(judge(&classic(), true).0, 400);
    let tools =
        json!([{ "type": "additional_tools", "role": "developer", "tools": [] }, { "role": "user", "content": "hi" }]);
    assert_eq!(judge(&changed(classic(), "/input", tools), false).0, 400);
    let image = json!([{ "type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "high" }]);
    let (status, body) = judge(&changed(lite(), "/input/0/content", image), true);
    assert_eq!((status, &body["error"]["param"]), (400, &json!("input[0].content[0].detail")));
}

#[test]
fn refuses_bad_values() {
    let cases = [
        ("/reasoning", json!({ "effort": "max" }), "unsupported_value"),
        ("/reasoning", json!({ "summary": "long" }), "unsupported_value"),
        ("/text", json!({ "verbosity": "loud" }), "unsupported_value"),
        ("/service_tier", json!("flex"), "unsupported_value"),
        ("/include", json!(["everything"]), "invalid_value"),
        ("/prompt_cache_key", json!("k".repeat(65)), "string_above_max_length"),
        ("/client_metadata", json!({ "a": "x".repeat(2_049) }), "string_above_max_length"),
        ("/client_metadata", json!({ "a": 1 }), "invalid_type"),
        ("/tool_choice", json!("maybe"), "invalid_value"),
        ("/tools", json!([{ "type": "function", "function": { "name": "f" } }]), "missing_required_parameter"),
        ("/tools", json!([{ "type": "function", "name": "a b" }]), "invalid_value"),
        ("/tools", json!([{ "type": "computer" }]), "invalid_value"),
        (
            "/tools",
            json!([{ "type": "function", "name": "f", "parameters": { "type": "string" } }]),
            "invalid_function_parameters",
        ),
        ("/text", json!({ "format": { "type": "json_schema", "schema": {} } }), "missing_required_parameter"),
        ("/input/0/content", json!([{ "type": "text", "text": "hi" }]), "invalid_value"),
        ("/input/0/id", json!("item_1"), "invalid_value"),
        ("/input/0/type", json!("tool_result"), "invalid_value"),
    ];
    for (path, value, code) in cases {
        let (status, body) = judge(&changed(classic(), path, value), false);
        assert_eq!((status, &body["error"]["code"]), (400, &json!(code)), "{path}");
    }
    assert_eq!(judge(&changed(classic(), "/service_tier", json!("priority")), false).0, 200);
    assert_eq!(judge(&changed(classic(), "/text", json!({ "format": { "type": "json_object" } })), false).0, 400);
    let breakpoint = json!([{ "type": "input_text", "text": "hi", "prompt_cache_breakpoint": {} }]);
    let (_, body) = judge(&changed(classic(), "/input/0/content", breakpoint), false);
    assert_eq!(body["error"]["message"], "prompt_cache_breakpoint is not supported on this model");
}

#[test]
fn wants_strict_schemas_strict() {
    let format =
        |schema: Value| json!({ "format": { "type": "json_schema", "name": "x", "strict": true, "schema": schema } });
    let closed = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"], "additionalProperties": false });
    assert_eq!(judge(&changed(classic(), "/text", format(closed.clone())), false).0, 200);
    for (key, value) in [("additionalProperties", json!(true)), ("required", json!([])), ("type", json!("array"))] {
        let mut open = closed.clone();
        open[key] = value;
        let (status, body) = judge(&changed(classic(), "/text", format(open.clone())), false);
        assert_eq!((status, &body["error"]["code"]), (400, &json!("invalid_json_schema")));
        let outer = json!({ "type": "object", "properties": { "b": { "anyOf": [open, { "type": "null" }] } }, "required": ["b"], "additionalProperties": false });
        let nested = judge(&changed(classic(), "/text", format(outer)), false).0;
        assert_eq!(nested, if key == "type" { 200 } else { 400 });
    }
}

#[test]
fn wants_every_call_answered() {
    let call = json!({ "type": "function_call", "call_id": "call_X", "name": "f", "arguments": "{}" });
    let output = json!({ "type": "function_call_output", "call_id": "call_X", "output": "1" });
    let message_for = |input: Value| judge(&changed(classic(), "/input", input), false).1["error"]["message"].clone();
    assert_eq!(message_for(json!([call])), "No tool output found for function call call_X.");
    assert_eq!(message_for(json!([output])), "No tool call found for function call output with call_id call_X.");
    assert_eq!(message_for(json!([call, output])), Value::Null);
    let custom = json!({ "type": "custom_tool_call", "call_id": "call_Y", "name": "f", "input": "" });
    assert_eq!(message_for(json!([custom])), "No tool output found for custom tool call call_Y.");
}

#[test]
fn knows_its_own_encrypted_reasoning() {
    let own = super::encrypted::mint(&person().account_id);
    let other = super::encrypted::mint("99999999-2222-4333-8444-555555555555");
    let reasoning = |content: Value| {
        let item = json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": content });
        judge(&changed(classic(), "/input", json!([item, { "role": "user", "content": "hi" }])), false)
    };
    assert_eq!(reasoning(json!(own)).0, 200);
    for content in [other, "gAAAAABmade_up".to_owned()] {
        let (status, body) = reasoning(json!(content));
        assert_eq!((status, &body["error"]["code"]), (400, &json!("invalid_encrypted_content")));
    }
    assert_eq!(reasoning(Value::Null).0, 404, "an item that was never stored");
}

/// The captured requests of the official client are accepted.
#[test]
fn takes_the_captured_requests() {
    let Some(folder) = crate::recordings::shared() else { return };
    let mut taken = 0;
    for entry in std::fs::read_dir(folder.join("captures")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.contains("-http") || name.contains("downstream") {
            continue;
        }
        let capture: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let Some(body) = capture.get("body").filter(|body| body.is_object()) else { continue };
        let headers = capture["headers"].as_array().unwrap();
        let lite = headers.iter().any(|header| header[0] == "x-openai-internal-codex-responses-lite");
        if let Err(reject) = all(&shared(false), &person(), Some(body), lite) {
            panic!("{name}: {} {}", reject.status, reject.body);
        }
        taken += 1;
    }
    assert!(taken >= 8, "only {taken} captures were found");
}
