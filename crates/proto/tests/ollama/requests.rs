//! Requests: how they are read and written, and which ones are refused with which path.

use bytes::Bytes;
use proto::canon::{ItemKind, Thinking};
use proto::dialect::ollama::{self, RequestKind};
use proto::dialect::{CodexTarget, RelayTarget, Target, Written};
use proto::{Dialect, Failure, Kind, Notes, Request, Wire};

use crate::corpus;

fn read(body: &str) -> Result<(Request, Notes), Failure> {
    Dialect::Ollama.read_request(Bytes::copy_from_slice(body.as_bytes()))
}

fn generate(body: &str) -> Result<(Request, Notes), Failure> {
    ollama::read_generate(Bytes::copy_from_slice(body.as_bytes()))
}

fn notes(notes: &Notes) -> String {
    notes.iter().collect::<Vec<_>>().join("; ")
}

#[test]
fn requests_written_for_every_upstream() {
    let chat = corpus("requests/ollama", ".json").into_iter().map(|(name, body)| (name, body, false));
    let generated = corpus("requests/ollama-generate", ".json").into_iter().map(|(name, body)| (name, body, true));
    for (name, body, generate) in chat.chain(generated) {
        let (request, read) =
            if generate { ollama::read_generate(body) } else { Dialect::Ollama.read_request(body) }.unwrap();
        let codex = CodexTarget {
            model: "gpt-5.5".to_owned(),
            cache_key: "conversation-1".to_owned(),
            ..CodexTarget::default()
        };
        let relay = RelayTarget { model: "relay-large".to_owned(), ..RelayTarget::default() };
        let mut lines = vec![
            format!("read: {}", notes(&read)),
            format!("{:?} {:?} {:?}", request.model, request.reply, request.envelope),
        ];
        for (name, wire, target) in
            [("codex", Wire::Responses, Target::Codex(codex)), ("chat", Wire::Chat, Target::Relay(relay))]
        {
            let Written { body: out, notes: written, .. } = wire.write_request(&request, &target).unwrap();
            lines.push(format!("{name}: {}\n{}", notes(&written), std::str::from_utf8(&out).unwrap()));
        }
        insta::assert_snapshot!(format!("request_{name}"), lines.join("\n\n"));
    }
}

#[test]
fn every_truncation_is_invalid() {
    for (name, body) in corpus("requests/ollama", ".json") {
        for end in 0..body.trim_ascii_end().len() {
            let failure = Dialect::Ollama.read_request(body.slice(..end)).expect_err(&name);
            assert_eq!(failure.kind, Kind::Invalid, "{name} at {end}");
        }
    }
}

/// A request with one message whose `member` is this.
fn with(member: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],{member}}}"#)
}

fn message(message: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"a"}},{message}]}}"#)
}

#[test]
fn bad_values_are_refused_with_their_path() {
    let cases = [
        (r#"{"model":"m"}"#.to_owned(), "messages"),
        (r#"{"model":"m","messages":{}}"#.to_owned(), "messages"),
        (r#"{"model":"m","messages":["a"]}"#.to_owned(), "messages[0]"),
        (r#"{"model":7,"messages":[{"role":"user"}]}"#.to_owned(), "model"),
        (message(r#"{"content":"a"}"#), "messages[1].role"),
        (message(r#"{"role":"bishop","content":"a"}"#), "messages[1].role"),
        (message(r#"{"role":"user","content":["a"]}"#), "messages[1].content"),
        (message(r#"{"role":"user","content":"a","images":["file:///etc/passwd"]}"#), "messages[1].images[0]"),
        (message(r#"{"role":"user","content":"a","images":[""]}"#), "messages[1].images[0]"),
        (message(r#"{"role":"user","content":"a","images":["data:text/html;base64,eA=="]}"#), "messages[1].images[0]"),
        (message(r#"{"role":"assistant","tool_calls":[{}]}"#), "messages[1].tool_calls[0].function"),
        (message(r#"{"role":"assistant","tool_calls":[{"function":{}}]}"#), "messages[1].tool_calls[0].function.name"),
        (
            message(r#"{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":[1]}}]}"#),
            "messages[1].tool_calls[0].function.arguments",
        ),
        (with(r#""tools":{}"#), "tools"),
        (with(r#""tools":[{"type":"web_search"}]"#), "tools[0].type"),
        (with(r#""tools":[{"type":"function"}]"#), "tools[0].function"),
        (with(r#""tools":[{"type":"function","function":{"name":"a\nb"}}]"#), "tools[0].function.name"),
        (with(r#""tools":[{"function":{"name":"a","parameters":true}}]"#), "tools[0].function.parameters"),
        (with(r#""format":"yaml""#), "format"),
        (with(r#""format":7"#), "format"),
        (with(r#""think":"sometimes""#), "think"),
        (with(r#""think":1"#), "think"),
        (with(r#""stream":"yes""#), "stream"),
        (with(r#""keep_alive":{}"#), "keep_alive"),
        (with(r#""options":[]"#), "options"),
        (with(r#""options":{"num_predict":"9"}"#), "options.num_predict"),
        (with(r#""options":{"num_predict":1.5}"#), "options.num_predict"),
        (with(r#""options":{"temperature":"hot"}"#), "options.temperature"),
        (with(r#""options":{"stop":[1]}"#), "options.stop[0]"),
        (with(r#""logprobs":"yes""#), "logprobs"),
    ];
    for (body, path) in cases {
        let failure = read(&body).expect_err(&body);
        assert_eq!((failure.kind, failure.param.as_deref()), (Kind::Invalid, Some(path)), "{body}");
        assert!(failure.message.contains(path) && failure.message.len() < 300, "{}", failure.message);
    }
    for (member, path) in [
        (r#""suffix":"}""#, "suffix"),
        (r#""raw":true"#, "raw"),
        (r#""context":[1,2]"#, "context"),
        (r#""system":7"#, "system"),
        (r#""images":["nowhere:x"]"#, "images[0]"),
    ] {
        let failure = generate(&format!(r#"{{"model":"m","prompt":"a",{member}}}"#)).expect_err(member);
        assert_eq!((failure.kind, failure.param.as_deref()), (Kind::Invalid, Some(path)), "{member}");
    }
    assert_eq!(generate(r#"{"model":"m"}"#).unwrap_err().param.as_deref(), Some("prompt"));
}

#[test]
fn defaults_are_those_of_ollama() {
    let (request, dropped) = read(&with(r#""tools":[],"options":{}"#)).unwrap();
    assert!(request.reply.stream && !request.reply.generate && dropped.is_empty());
    assert_eq!((request.reasoning.effort, request.reasoning.summary.as_deref()), (None, Some("auto")));
    assert!(generate(r#"{"model":"m","prompt":"a"}"#).unwrap().0.reply.generate);
    assert!(!read(&with(r#""stream":false"#)).unwrap().0.reply.stream);
}

#[test]
fn thinking_comes_in_many_words() {
    let thinking = |think: &str| {
        let (request, _) = read(&with(&format!(r#""think":{think}"#))).unwrap();
        (request.reasoning.effort, request.reasoning.summary.is_some(), request.reply.thinking == Thinking::Hidden)
    };
    for shown in ["true", "\"true\"", "null"] {
        assert_eq!(thinking(shown), (None, true, false), "{shown}");
    }
    for hidden in ["false", "\"false\"", "\"none\""] {
        assert_eq!(thinking(hidden), (Some("none".to_owned()), false, true), "{hidden}");
    }
    for level in ["low", "medium", "high", "max", "xhigh", "minimal"] {
        assert_eq!(thinking(&format!("\"{level}\"")), (Some(level.to_owned()), true, false));
    }
}

#[test]
fn limits_below_one_are_none() {
    for (number, limit) in
        [("64", Some(64)), ("64.0", Some(64)), ("0", None), ("-1", None), ("-2", None), ("null", None)]
    {
        let (request, _) = read(&with(&format!(r#""options":{{"num_predict":{number}}}"#))).unwrap();
        assert_eq!(request.limits.max_tokens, limit, "{number}");
    }
}

#[test]
fn names_of_mcp_tools_are_accepted() {
    read(&with(r#""tools":[{"type":"function","function":{"name":"github/issues.list"}}]"#)).unwrap();
}

/// The ids of the results, in order.
fn answered(tail: &str) -> Vec<String> {
    let calls = r#"{"role":"assistant","tool_calls":[{"function":{"name":"f"}},{"function":{"name":"g"}},{"id":"given","function":{"name":"f"}}]}"#;
    let (request, _) = read(&message(&format!("{calls},{tail}"))).unwrap();
    let id = |kind: &ItemKind| match kind {
        ItemKind::Output { call_id, .. } => Some(call_id.plain().into_owned()),
        _ => None,
    };
    request.items.iter().filter_map(|item| id(&item.kind)).collect()
}

#[test]
fn results_find_their_calls() {
    let named = |name: &str| format!(r#"{{"role":"tool","tool_name":"{name}","content":"1"}}"#);
    let all = |names: [&str; 3]| names.map(named).join(",");
    assert_eq!(answered(&all(["f", "g", "f"])), ["call_ollama_1", "call_ollama_2", "given"]);
    assert_eq!(answered(&all(["f", "f", "g"])), ["call_ollama_1", "given", "call_ollama_2"]);
    let by_id = r#"{"role":"tool","tool_call_id":"given","tool_name":"f","content":"1"}"#;
    assert_eq!(answered(&format!("{by_id},{}", named("f"))), ["given", "call_ollama_1"]);
    let bare = r#"{"role":"tool","content":"1"}"#;
    assert_eq!(answered(&format!("{bare},{bare},{bare}")), ["call_ollama_1", "call_ollama_2", "given"]);
}

#[test]
fn results_do_not_answer_what_was_left_open() {
    let call = r#"{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}"#;
    let result = r#"{"role":"tool","tool_name":"f","content":"1"}"#;
    let user = r#"{"role":"user","content":"never mind"}"#;
    assert_eq!(answered(&format!("{user},{call},{result}")), ["call_ollama_3"]);
    // One turn may come in several messages, and its results late.
    assert_eq!(answered(&format!("{call},{result},{result},{result}")), ["call_ollama_1", "given", "call_ollama_3"]);
    assert_eq!(answered(&format!("{result},{user},{result}")), ["call_ollama_1", "given"]);
    let stale = format!("{user},{call},{result},{result}");
    let calls = r#"{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}"#;
    let (request, _) = read(&message(&format!("{calls},{stale}"))).unwrap();
    let ItemKind::Output { call_id, .. } = &request.items.last().unwrap().kind else { panic!("a result") };
    assert_eq!(call_id.as_str(), "call_ollama_3", "of no call");
}

#[test]
fn bodies_without_anything_to_answer_load_a_model() {
    let load = |body: &str, generate: bool| match ollama::read(&Bytes::copy_from_slice(body.as_bytes()), generate) {
        Ok(RequestKind::Load { model, unload, stream }) => Some((model, unload, stream)),
        _ => None,
    };
    let loaded = |unload, stream| Some(("m".to_owned(), unload, stream));
    assert_eq!(load(r#"{"model":"m"}"#, false), loaded(false, true));
    assert_eq!(load(r#"{"model":"m","messages":[],"stream":false}"#, false), loaded(false, false));
    assert_eq!(load(r#"{"model":"m","keep_alive":0}"#, true), loaded(true, true));
    assert_eq!(load(r#"{"model":"m","prompt":"","keep_alive":"0s"}"#, true), loaded(true, true));
    assert_eq!(load(r#"{"model":"m","keep_alive":"10m"}"#, true), loaded(false, true));
    assert_eq!(load(r#"{"model":"m","keep_alive":-1}"#, true), loaded(false, true));
    assert_eq!(load(r#"{"model":"m","prompt":"a"}"#, true), None);
    assert_eq!(load(r#"{"model":"m","images":["iVBORw0KGgo="]}"#, true), None);
    assert_eq!(load("{}", true), None);
}

#[test]
fn what_is_dropped_is_noted() {
    let (_, dropped) =
        read(&with(r#""options":{"num_ctx":9,"mirostat":1,"num_gpu":1},"truncate":true,"odd\u0000":1"#)).unwrap();
    let expected =
        "dropped options.num_ctx; dropped options.mirostat; dropped truncate; dropped unknown fields of the body";
    assert_eq!(notes(&dropped), expected);
}
