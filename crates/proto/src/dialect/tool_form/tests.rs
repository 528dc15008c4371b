use bytes::Bytes;
use serde_json::Value;

use crate::dialect::{CodexTarget, Dialect, RelayTarget, Target, Wire};

fn relay(functions_only: bool) -> Target {
    Target::Relay(RelayTarget { model: "m".to_owned(), functions_only, ..RelayTarget::default() })
}

fn sent(dialect: Dialect, body: &str, wire: Wire, target: &Target) -> Value {
    let (request, _) = dialect.read_request(Bytes::copy_from_slice(body.as_bytes())).unwrap();
    serde_json::from_slice(&wire.write_request(&request, target).unwrap().body).unwrap()
}

/// A history with a free-text call in the form that Codex sends.
const CUSTOM: &str = r#"{"model":"m","tools":[{"type":"custom","name":"apply_patch","format":{"type":"text"}}],
    "tool_choice":{"type":"custom","name":"apply_patch"},"input":[{"role":"user","content":"a"},
    {"type":"custom_tool_call","call_id":"c1","name":"apply_patch","input":"a\n\"b\""},
    {"type":"custom_tool_call_output","call_id":"c1","output":"ok"}]}"#;

#[test]
fn free_text_tools_are_functions_where_an_upstream_knows_no_others() {
    let chat = sent(Dialect::Responses, CUSTOM, Wire::Chat, &relay(true));
    assert_eq!(chat["tools"][0]["function"]["parameters"]["required"][0], "input");
    assert_eq!(chat["tool_choice"]["function"]["name"], "apply_patch");
    let call = &chat["messages"][1]["tool_calls"][0];
    assert_eq!(
        (&call["type"], &call["function"]["arguments"]),
        (&"function".into(), &r#"{"input":"a\n\"b\""}"#.into())
    );
    let gemini = sent(Dialect::Responses, CUSTOM, Wire::Gemini, &relay(false));
    assert_eq!(gemini["tools"][0]["functionDeclarations"][0]["name"], "apply_patch");
    assert_eq!(gemini["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"][0], "apply_patch");
    let messages = sent(Dialect::Responses, CUSTOM, Wire::Messages, &relay(false));
    assert_eq!(messages["tools"][0]["name"], "apply_patch");
    assert_eq!(messages["messages"][1]["content"][0]["input"]["input"], "a\n\"b\"");
    let openai = sent(Dialect::Responses, CUSTOM, Wire::Chat, &relay(false));
    assert_eq!(openai["tools"][0]["type"], "custom");
}

/// `OpenAI` answers 400 "string too long" to ids of more than 64 characters; other vendors make such ids.
#[test]
fn long_call_ids_are_shortened_in_the_call_and_its_output() {
    let (one, two) = (format!("{}a", "x".repeat(80)), format!("{}b", "x".repeat(80)));
    let call = |id: &str| {
        format!(
            r#"{{"type":"function_call","call_id":"{id}","name":"f","arguments":"{{}}"}},{{"type":"function_call_output","call_id":"{id}","output":"ok"}}"#
        )
    };
    let body = format!(r#"{{"model":"m","input":[{},{},{}]}}"#, call(&one), call(&two), call("short"));
    for (wire, target) in [
        (Wire::Responses, relay(false)),
        (Wire::Responses, Target::Codex(CodexTarget { model: "m".to_owned(), ..CodexTarget::default() })),
    ] {
        let input = sent(Dialect::Responses, &body, wire, &target)["input"].clone();
        let ids: Vec<String> =
            input.as_array().unwrap().iter().filter_map(|item| item["call_id"].as_str()).map(str::to_owned).collect();
        assert_eq!((&ids[0], &ids[2], &ids[4]), (&ids[1], &ids[3], &ids[5]), "{ids:?}");
        assert!(ids.iter().all(|id| id.len() <= 64) && ids[0] != ids[2] && ids[4] == "short", "{ids:?}");
        assert_eq!(sent(Dialect::Responses, &body, wire, &target)["input"], input, "the next turn is written the same");
    }
    let chat = sent(Dialect::Responses, &body, Wire::Chat, &relay(false));
    let id = chat["messages"][0]["tool_calls"][0]["id"].as_str().unwrap();
    assert_eq!(id.len(), 64);
    assert!(chat["messages"].as_array().unwrap().iter().any(|message| message["tool_call_id"] == id));
}

#[test]
fn names_that_an_upstream_refuses_are_replaced_everywhere() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"a"},
        {"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"a/b","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"ok"}]}],
        "max_tokens":9,"tools":[{"name":"a/b","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"a/b"}}"#;
    for (wire, target) in [
        (Wire::Responses, Target::Codex(CodexTarget { model: "m".to_owned(), ..CodexTarget::default() })),
        (Wire::Responses, relay(false)),
        (Wire::Chat, relay(true)),
        (Wire::Gemini, relay(false)),
    ] {
        let sent = sent(Dialect::Messages, body, wire, &target).to_string();
        assert!(!sent.contains("a/b") && sent.matches("a_b_").count() >= 2, "{wire:?}: {sent}");
    }
}
