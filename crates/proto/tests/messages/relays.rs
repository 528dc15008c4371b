//! How upstreams of this protocol receive a history from elsewhere, and how much reasoning they are asked for.

use proto::dialect::{RelayTarget, Target, Written};
use proto::{Dialect, Wire};
use serde_json::{Value, json};

use crate::requests::{notes, read};
use crate::utf8;

const THOUGHTLESS: &str = "dropped thinking in a turn that began without a thought";

/// A body of this dialect as written for a relay, and the notes.
fn patched(body: &Value, relay: RelayTarget) -> (Value, String) {
    written(Dialect::Messages, body, relay)
}

fn written(dialect: Dialect, body: &Value, relay: RelayTarget) -> (Value, String) {
    let (request, _) = dialect.read_request(body.to_string().into()).unwrap();
    let Written { body: out, notes: written, .. } =
        Wire::Messages.write_request(&request, &Target::Relay(relay)).unwrap();
    (serde_json::from_slice(&out).unwrap(), notes(&written))
}

fn named(model: &str) -> RelayTarget {
    RelayTarget { model: model.to_owned(), ..RelayTarget::default() }
}

/// A turn with these blocks before its call, and the result of the call.
fn called(blocks: &[Value]) -> [Value; 2] {
    let call = json!({"type":"tool_use","id":"a","name":"f","input":{}});
    let content: Vec<&Value> = blocks.iter().chain([&call]).collect();
    let result = json!({"type":"tool_result","tool_use_id":"a","content":"1"});
    [json!({"role":"assistant","content":content}), json!({"role":"user","content":[result]})]
}

fn enabled(rest: impl IntoIterator<Item = Value>) -> Value {
    let first = json!({"role":"user","content":"q"});
    let messages: Vec<Value> = [first].into_iter().chain(rest).collect();
    json!({"model":"m","max_tokens":4096,"thinking":{"type":"enabled","budget_tokens":2000},"messages":messages})
}

#[test]
fn thinking_is_dropped_in_a_turn_without_a_first_thought() {
    let thought = json!({"type":"thinking","thinking":"t","signature":"EnSigned=="});
    let hidden = json!({"type":"redacted_thinking","data":"EnHidden=="});
    let codex = json!({"type":"thinking","thinking":"t","signature":"pg1.r.rs_1.gAAAAABstate"});
    let text = json!({"type":"text","text":"Let me see."});
    let user = json!({"role":"user","content":"go on"});
    let reminder = json!({"role":"system","content":"r"});
    let [call, result] = called(&[]);
    let [_, signed] = called(&[]);
    let moved = || RelayTarget { without_replay: true, ..named("m") };
    let cases = [
        (called(std::slice::from_ref(&thought)).to_vec(), named("m"), false),
        (called(&[hidden]).to_vec(), named("m"), false),
        (called(std::slice::from_ref(&thought)).to_vec(), moved(), true),
        (called(&[codex]).to_vec(), named("m"), true),
        (called(&[text, thought.clone()]).to_vec(), named("m"), true),
        (vec![call.clone(), result.clone()], named("m"), true),
        (vec![call.clone(), reminder, result.clone()], named("m"), true),
        (vec![call.clone(), result.clone(), user.clone()], named("m"), true),
        (vec![call.clone(), result, json!({"role":"assistant","content":"done"}), user], named("m"), false),
        (vec![json!({"role":"assistant","content":[thought]}), call, signed], named("m"), false),
        (vec![json!({"role":"assistant","content":"The answer is"})], named("m"), true),
    ];
    for (messages, relay, expected) in cases {
        let body = enabled(messages);
        let (out, noted) = patched(&body, relay);
        let muted = out.get("thinking").is_none();
        assert_eq!((muted, noted.contains(THOUGHTLESS)), (expected, expected), "{body}");
    }
}

#[test]
fn rules_for_old_thoughts_go_with_the_thinking() {
    let mut body = enabled(called(&[]));
    let other = json!({"type":"clear_tool_uses_20250919"});
    body["context_management"] = json!({"edits":[{"type":"clear_thinking_20251015","keep":"all"}, other], "x":1});
    let (out, _) = patched(&body, named("m"));
    assert_eq!(out["context_management"], json!({"edits":[other], "x":1}));
    body["thinking"] = json!({"type":"adaptive"});
    let (out, noted) = patched(&body, named("m"));
    body["stream"] = json!(true);
    assert_eq!((out, noted.as_str()), (body, ""));
}

#[test]
fn clients_that_replay_no_thoughts_get_none_within_a_turn() {
    let call = json!({"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]});
    let answered = json!({"role":"tool","tool_call_id":"a","content":"1"});
    let user = json!({"role":"user","content":"q"});
    let written_for = |messages: &[&Value], model: &str| {
        let body =
            json!({"model":"m","max_tokens":100,"reasoning_effort":"medium","temperature":0.5,"messages":messages});
        written(Dialect::Chat, &body, named(model))
    };
    let (out, noted) = written_for(&[&user, &call, &answered], "claude-haiku-4-5");
    assert_eq!((out.get("thinking"), &out["max_tokens"], &out["temperature"]), (None, &json!(100), &json!(0.5)));
    assert_eq!(noted, THOUGHTLESS);
    let (out, _) = written_for(&[&user, &call, &answered], "claude-opus-4-6");
    assert_eq!(out["thinking"]["type"], "adaptive");
    let (out, _) = written_for(&[&user, &call, &answered, &call, &user], "claude-haiku-4-5");
    assert_eq!(out.get("thinking"), None);
    let done = json!({"role":"assistant","content":"done"});
    let (out, _) = written_for(&[&user, &call, &answered, &done, &user], "claude-haiku-4-5");
    assert_eq!(out["thinking"], json!({"type":"enabled","budget_tokens":8192}));
}

#[test]
fn an_adaptive_model_has_room_to_think_beside_the_answer() {
    let body = json!({"model":"m","max_completion_tokens":50,"reasoning_effort":"high","messages":[{"role":"user","content":"q"}]});
    for (most, room) in [(None, 16_050), (Some(10_000), 10_000), (Some(40), 40)] {
        let relay = RelayTarget { max_output: most, ..named("claude-opus-4-6") };
        let (out, _) = written(Dialect::Chat, &body, relay);
        assert_eq!((&out["max_tokens"], &out["output_config"]["effort"]), (&json!(room), &json!("high")), "{most:?}");
    }
    // The gateway adds no fields that some model might not have.
    let body =
        json!({"model":"m","max_completion_tokens":64_000,"reasoning_effort":"high","messages":body["messages"]});
    for model in ["claude-opus-4-6", "claude-haiku-4-5"] {
        assert_eq!(written(Dialect::Chat, &body, named(model)).0["max_tokens"], 64_000, "{model}");
    }
}

#[test]
fn a_budget_stays_below_the_limit() {
    let cases = [
        (Some(64_000), 31_999, 16_000, Some(8000), "lowered max_tokens to 16000; lowered budget_tokens to 8000"),
        (Some(64_000), 15_000, 16_000, Some(15_000), "lowered max_tokens to 16000"),
        (Some(64_000), 31_999, 1500, Some(1024), "lowered max_tokens to 1500; lowered budget_tokens to 1024"),
        (Some(64_000), 31_999, 1024, None, "lowered max_tokens to 1024; dropped thinking for want of room"),
        (None, 31_999, 16_000, Some(8000), "set max_tokens to 16000; lowered budget_tokens to 8000"),
        // With interleaved thinking a budget may be larger than the limit.
        (Some(16_000), 31_999, 16_000, Some(31_999), ""),
    ];
    for (limit, budget, most, expected, expected_notes) in cases {
        let mut body = enabled([]);
        body["max_tokens"] = json!(limit);
        body["thinking"]["budget_tokens"] = json!(budget);
        let (out, noted) = patched(&body, RelayTarget { max_output: Some(most), ..named("m") });
        assert_eq!(
            (out["thinking"]["budget_tokens"].as_u64(), noted.as_str()),
            (expected, expected_notes),
            "{limit:?} {budget}"
        );
    }
}

#[test]
fn searches_of_other_models_do_not_reach_anthropic() {
    let search = |id: &str| json!({"type":"server_tool_use","id":id,"name":"web_search","input":{"query":"q"}});
    let results =
        |id: &str, results: Value| json!({"type":"web_search_tool_result","tool_use_id":id,"content":results});
    let result = |sealed: &str| json!([{"type":"web_search_result","title":"T","url":"https://example.test/","encrypted_content":sealed,"page_age":null}]);
    let cited = |sealed: &str| json!({"type":"web_search_result_location","cited_text":"","url":"https://example.test/","title":"T","encrypted_index":sealed});
    let text = |citations: Value| json!({"type":"text","text":"2,469 m.","citations":citations});
    let ours = [
        search("s1"),
        search("s2"),
        text(json!([cited(""), cited("Eo8")])),
        text(json!([cited("")])),
        results("s1", json!([])),
        results("s2", result("")),
    ];
    let theirs = [
        search("s3"),
        results("s3", result("EpM")),
        search("s4"),
        results("s4", json!([])),
        text(json!([cited("Eo9")])),
    ];
    let assistant = |content: &[Value]| json!({"role":"assistant","content":content});
    let user = json!({"role":"user","content":"q"});
    let messages = |first: Value| json!([user, first, user, assistant(&theirs), user]);
    let body = json!({"model":"m","max_tokens":9,"stream":true,"messages":messages(assistant(&ours))});
    let (out, noted) = patched(&body, named("m"));
    let expected_message = assistant(&[text(json!([cited("Eo8")])), json!({"type":"text","text":"2,469 m."})]);
    assert_eq!(out["messages"], messages(expected_message));
    assert_eq!(noted, "dropped a web search that another model made; dropped citations that another model made");
    let own = json!({"model":"m","max_tokens":9,"stream":true,"messages":[user, assistant(&theirs), user]}).to_string();
    let Written { body: out, notes: written, .. } =
        Wire::Messages.write_request(&read(&own).unwrap().0, &Target::Relay(named("m"))).unwrap();
    assert_eq!((utf8(&out), notes(&written)), (own.as_str(), String::new()));
}
