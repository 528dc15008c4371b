//! Requests: how they are read and written, and which ones are refused with which path.

use bytes::Bytes;
use proto::dialect::{CodexTarget, RelayTarget, Target, Written};
use proto::{Dialect, Failure, Kind, Notes, Request, Wire};

use crate::{corpus, utf8};

pub(crate) fn read(body: &str) -> Result<(Request, Notes), Failure> {
    Dialect::Messages.read_request(Bytes::copy_from_slice(body.as_bytes()))
}

pub(crate) fn codex(lite: bool) -> Target {
    let model = "gpt-5.5".to_owned();
    Target::Codex(CodexTarget { model, lite, cache_key: "conversation-1".to_owned(), ..CodexTarget::default() })
}

pub(crate) fn relay(model: &str) -> Target {
    Target::Relay(RelayTarget { model: model.to_owned(), ..RelayTarget::default() })
}

pub(crate) fn notes(notes: &Notes) -> String {
    notes.iter().collect::<Vec<_>>().join("; ")
}

/// The request without its original bytes, as if it had come in another dialect.
pub(crate) fn foreign(mut request: Request) -> Request {
    (request.raw, request.origin) = (None, None);
    request
}

#[test]
fn requests_written_for_every_upstream() {
    for (name, body) in corpus("requests/messages", ".json") {
        let (request, read) = Dialect::Messages.read_request(body).unwrap();
        // The patched body has its own test.
        let request = foreign(request);
        let mut lines = vec![format!("read: {}", notes(&read)), format!("{:?} {:?}", request.reply, request.envelope)];
        let targets = [
            ("classic", Wire::Responses, codex(false)),
            ("lite", Wire::Responses, codex(true)),
            ("responses", Wire::Responses, relay("relay-large")),
            ("chat", Wire::Chat, relay("relay-large")),
            ("messages", Wire::Messages, relay("claude-opus-4-6")),
        ];
        for (target_name, wire, target) in targets {
            match wire.write_request(&request, &target) {
                Ok(Written { body: out, notes: written, .. }) => {
                    assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok(), "{name} {target_name}");
                    lines.push(format!("{target_name}: {}\n{}", notes(&written), utf8(&out)));
                }
                Err(failure) => lines.push(format!("{target_name}: refused: {}", failure.message)),
            }
        }
        insta::assert_snapshot!(name, lines.join("\n\n"));
    }
}

#[test]
fn requests_of_other_clients_written_as_messages() {
    for dialect in [Dialect::Chat, Dialect::Responses] {
        for (name, body) in corpus("requests/chat", ".json") {
            let Ok((request, _)) = dialect.read_request(body) else { continue };
            let mut lines = Vec::new();
            for model in ["claude-haiku-4-5", "claude-opus-4-6"] {
                match Wire::Messages.write_request(&request, &relay(model)) {
                    Ok(Written { body: out, notes: written, .. }) => {
                        lines.push(format!("{}\n{}", notes(&written), utf8(&out)));
                    }
                    Err(failure) => lines.push(format!("refused: {}", failure.message)),
                }
            }
            if dialect == Dialect::Chat {
                insta::assert_snapshot!(format!("from_chat_{name}"), lines.join("\n\n"));
            }
        }
    }
}

#[test]
fn messages_to_messages_changes_only_what_it_must() {
    let body = r#"{ "x":{"k":1.50}, "model":"opus","max_tokens":9,"messages":[{"role":"user","content":"\u00e9"}],"thinking":{"type":"adaptive"} }"#;
    let (request, _) = read(body).unwrap();
    let Written { body: out, notes: written, .. } = Wire::Messages.write_request(&request, &relay("m")).unwrap();
    assert_eq!(
        utf8(&out),
        r#"{"x":{"k":1.50},"model":"m","max_tokens":9,"messages":[{"role":"user","content":"\u00e9"}],"thinking":{"type":"adaptive"},"stream":true}"#
    );
    assert!(written.is_empty());
}

#[test]
fn the_effort_of_a_suffix_becomes_thinking_where_the_client_is_silent() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"a"}],"stream":true,"output_config":{"x":1}}"#;
    let written = |model: &str, body: &str| {
        let (effort, max_output) = (Some("high".to_owned()), Some(20_000));
        let relay =
            Target::Relay(RelayTarget { model: model.to_owned(), effort, max_output, ..RelayTarget::default() });
        let Written { body: out, notes: written, .. } =
            Wire::Messages.write_request(&read(body).unwrap().0, &relay).unwrap();
        (utf8(&out).to_owned(), notes(&written))
    };
    let (out, noted) = written("claude-opus-4-6", body);
    let expected = r#"{"model":"claude-opus-4-6","messages":[{"role":"user","content":"a"}],"stream":true,"output_config":{"x":1,"effort":"high"},"max_tokens":20000,"thinking":{"type":"adaptive"}}"#;
    assert_eq!((out.as_str(), noted.as_str()), (expected, "set max_tokens to 20000"));
    let (out, _) = written("claude-haiku-4-5", body);
    let expected = r#"{"model":"claude-haiku-4-5","messages":[{"role":"user","content":"a"}],"stream":true,"output_config":{"x":1},"max_tokens":20000,"thinking":{"type":"enabled","budget_tokens":10000}}"#;
    assert_eq!(out, expected);
    let explicit = r#"{"model":"m","max_tokens":9,"stream":true,"thinking":{"type":"disabled"},"messages":[{"role":"user","content":"a"}]}"#;
    assert_eq!(written("m", explicit).0, explicit);
    let hot =
        r#"{"model":"m","max_tokens":9,"stream":true,"temperature":0,"messages":[{"role":"user","content":"a"}]}"#;
    let noted = "dropped reasoning effort beside sampling fields".to_owned();
    assert_eq!(written("m", hot), (hot.to_owned(), noted));
}

#[test]
fn thoughts_of_other_models_do_not_reach_anthropic() {
    let (_, body) = corpus("requests/messages", "claude-code.json").remove(0);
    let (request, _) = Dialect::Messages.read_request(body.clone()).unwrap();
    let Written { body: out, notes: written, .. } =
        Wire::Messages.write_request(&request, &relay("claude-opus-5-5")).unwrap();
    assert_eq!(notes(&written), "dropped reasoning that another model signed");
    let thought = r#"{"type":"thinking","thinking":"A file is wanted.","signature":"pg1.r.rs_1.gAAAAABstate"},"#;
    assert_eq!(utf8(&out), utf8(&body).trim_end().replace(thought, ""));
    let own = r#"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"b","signature":"EnSigned=="}]},{"role":"user","content":"c"}],"stream":true}"#;
    let (request, _) = read(own).unwrap();
    let Written { body: out, notes: written, .. } = Wire::Messages.write_request(&request, &relay("m")).unwrap();
    assert_eq!((utf8(&out), notes(&written)), (own, String::new()));
    let moved = RelayTarget { model: "m".to_owned(), without_replay: true, ..RelayTarget::default() };
    let Written { body: out, .. } = Wire::Messages.write_request(&request, &Target::Relay(moved)).unwrap();
    assert!(!utf8(&out).contains("EnSigned") && !utf8(&out).contains("assistant"));
}

#[test]
fn a_limit_beyond_the_model_is_lowered() {
    let body = r#"{"model":"m","max_tokens":9000,"messages":[{"role":"user","content":"a"}]}"#;
    let (request, _) = read(body).unwrap();
    for (most, limit, expected) in [(8000, 8000, "lowered max_tokens to 8000"), (9000, 9000, "")] {
        let target = RelayTarget { model: "m".to_owned(), max_output: Some(most), ..RelayTarget::default() };
        let Written { body: out, notes: written, .. } =
            Wire::Messages.write_request(&request, &Target::Relay(target)).unwrap();
        assert!(utf8(&out).contains(&format!(r#""max_tokens":{limit},"#)), "{}", utf8(&out));
        assert_eq!(notes(&written), expected);
    }
}

#[test]
fn every_truncation_is_invalid() {
    for (name, body) in corpus("requests/messages", ".json") {
        let whole = body.trim_ascii_end().len();
        for end in 0..whole {
            let failure = Dialect::Messages.read_request(body.slice(..end)).expect_err(&name);
            assert_eq!(failure.kind, Kind::Invalid, "{name} at {end}");
        }
    }
}

/// A request with one message and this member.
fn with(member: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"a"}}],{member}}}"#)
}

/// A request whose second message is this.
fn message(message: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"a"}},{message}]}}"#)
}

/// The same with one content block from this role.
pub(crate) fn block(role: &str, block: &str) -> String {
    message(&format!(r#"{{"role":"{role}","content":[{block}]}}"#))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn bad_values_are_refused_with_their_path() {
    let long = "a".repeat(129);
    let tools = vec![r#"{"name":"a"}"#; 1025].join(",");
    let user = |json: &str| block("user", json);
    let image = |source: &str| user(&format!(r#"{{"type":"image","source":{source}}}"#));
    let cases = [
        ("{}".to_owned(), "messages"),
        (r#"{"messages":[]}"#.to_owned(), "messages"),
        (r#"{"messages":{}}"#.to_owned(), "messages"),
        (r#"{"messages":["a"]}"#.to_owned(), "messages[0]"),
        (r#"{"model":7,"messages":[]}"#.to_owned(), "model"),
        (message(r#"{"content":"a"}"#), "messages[1].role"),
        (message(r#"{"role":"tool","content":"a"}"#), "messages[1].role"),
        (message(r#"{"role":"user"}"#), "messages[1].content"),
        (message(r#"{"role":"user","content":7}"#), "messages[1].content"),
        (user("7"), "messages[1].content[0]"),
        (user(r#"{"text":"a"}"#), "messages[1].content[0].type"),
        (user(r#"{"type":"text"}"#), "messages[1].content[0].text"),
        (user(r#"{"type":"text","text":[]}"#), "messages[1].content[0].text"),
        (user(r#"{"type":"image"}"#), "messages[1].content[0].source"),
        (image(r#"{"type":"odd"}"#), "messages[1].content[0].source.type"),
        (image(r#"{"type":"text","data":"x"}"#), "messages[1].content[0].source.type"),
        (image(r#"{"type":"base64","media_type":"image/png"}"#), "messages[1].content[0].source.data"),
        (image(r#"{"type":"base64","media_type":"image/png","data":""}"#), "messages[1].content[0].source.data"),
        (image(r#"{"type":"base64","media_type":"image/png","data":"<p>"}"#), "messages[1].content[0].source.data"),
        (
            image(r#"{"type":"base64","media_type":"text/html","data":"aaaa"}"#),
            "messages[1].content[0].source.media_type",
        ),
        (image(r#"{"type":"url","url":"file:///etc/passwd"}"#), "messages[1].content[0].source.url"),
        (user(r#"{"type":"document","source":{"type":"url"}}"#), "messages[1].content[0].source.url"),
        (
            user(r#"{"type":"document","source":{"type":"content","content":[{"type":"video"}]}}"#),
            "messages[1].content[0].source.content[0].type",
        ),
        (user(r#"{"type":"tool_use","id":"a","name":"b"}"#), "messages[1].content[0].type"),
        (user(r#"{"type":"tool_result","content":"a"}"#), "messages[1].content[0].tool_use_id"),
        (user(r#"{"type":"tool_result","tool_use_id":""}"#), "messages[1].content[0].tool_use_id"),
        (user(r#"{"type":"tool_result","tool_use_id":"a","is_error":"yes"}"#), "messages[1].content[0].is_error"),
        (
            user(r#"{"type":"tool_result","tool_use_id":"a","content":[{"type":"image"}]}"#),
            "messages[1].content[0].content[0].source",
        ),
        (block("assistant", r#"{"type":"tool_use","id":"a","name":"b","input":"c"}"#), "messages[1].content[0].input"),
        (block("assistant", r#"{"type":"tool_use","name":"b","input":{}}"#), "messages[1].content[0].id"),
        (block("assistant", r#"{"type":"image"}"#), "messages[1].content[0].type"),
        (block("assistant", r#"{"type":"redacted_thinking"}"#), "messages[1].content[0].data"),
        (block("system", r#"{"type":"image"}"#), "messages[1].content[0].type"),
        (with(r#""system":7"#), "system"),
        (with(r#""system":[{"type":"image"}]"#), "system[0].type"),
        (with(r#""stop_sequences":"a""#), "stop_sequences"),
        (with(r#""stop_sequences":[1]"#), "stop_sequences[0]"),
        (with(r#""temperature":"hot""#), "temperature"),
        (with(r#""stream":"yes""#), "stream"),
        (with(r#""tools":{}"#), "tools"),
        (with(r#""tools":[{}]"#), "tools[0].name"),
        (with(r#""tools":[{"name":"a","input_schema":true}]"#), "tools[0].input_schema"),
        (with(&format!(r#""tools":[{{"name":"{long}"}}]"#)), "tools[0].name"),
        (with(r#""tools":[{"name":"a\nb"}]"#), "tools[0].name"),
        (with(&format!(r#""tools":[{tools}]"#)), "tools"),
        (with(r#""tool_choice":"auto""#), "tool_choice"),
        (with(r#""tool_choice":{"type":"sometimes"}"#), "tool_choice.type"),
        (with(r#""tool_choice":{"type":"tool"}"#), "tool_choice.name"),
        (with(r#""thinking":{"type":"hard"}"#), "thinking.type"),
        (with(r#""thinking":{"type":"enabled","budget_tokens":0}"#), "thinking.budget_tokens"),
        (with(r#""output_config":{"effort":1}"#), "output_config.effort"),
        (with(r#""output_config":{"format":{"type":"yaml"}}"#), "output_config.format.type"),
        (with(r#""output_config":{"format":{"type":"json_schema"}}"#), "output_config.format.schema"),
        (with(r#""metadata":{"user_id":7}"#), "metadata.user_id"),
        (r#"{"max_tokens":0,"messages":[{"role":"user","content":"a"}]}"#.to_owned(), "max_tokens"),
        (r#"{"max_tokens":"9","messages":[{"role":"user","content":"a"}]}"#.to_owned(), "max_tokens"),
    ];
    for (body, path) in cases {
        let failure = read(&body).expect_err(&body);
        assert_eq!((failure.kind, failure.param.as_deref()), (Kind::Invalid, Some(path)), "{body}");
        assert!(failure.message.contains(path) && failure.message.len() < 300, "{}", failure.message);
    }
}

#[test]
fn lenient_forms_are_accepted() {
    let bodies = [
        with(r#""system":"","temperature":null,"tools":null,"stop_sequences":null,"metadata":{"user_id":null}"#),
        with(r#""system":[]"#),
        with(r#""tools":[],"tool_choice":{"type":"none"}"#),
        with(r#""tools":[{"name":"__proto__"}]"#),
        with(r#""temperature":1e400"#),
        with(r#""thinking":{"type":"adaptive"},"cache_control":{"type":"ephemeral"}"#),
        with(r#""stop_sequences":["","a","b","c","d","e","f","g","h","i"]"#),
        message(r#"{"role":"assistant","content":""}"#),
        message(r#"{"role":"assistant","content":[]}"#),
        block("user", r#"{"type":"container_upload","file_id":"file_1"}"#),
        block("assistant", r#"{"type":"mcp_tool_use","id":"a","name":"b","server_name":"c","input":{}}"#),
        block("assistant", r#"{"type":"server_tool_use","id":"a","name":"code_execution","input":{"code":"1"}}"#),
        block("assistant", r#"{"type":"thinking","thinking":"","signature":""}"#),
        block("system", r#"{"type":"tool_change","add":["a"]}"#),
        r#"{"model":"m","messages":[{"role":"user","content":"count me"}]}"#.to_owned(),
    ];
    for body in bodies {
        read(&body).expect(&body);
    }
}

#[test]
fn what_is_dropped_is_noted() {
    let body = r#"{"model":"m","max_tokens":9,"odd":1,"container":null,"mcp_servers":[],"messages":[{"role":"user","mood":1,"content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"},"strange name":1}]}]}"#;
    let (request, dropped) = read(body).unwrap();
    assert_eq!(notes(&dropped), "dropped unknown fields of messages.content; dropped messages.mood");
    let Written { notes: written, .. } = Wire::Responses.write_request(&request, &codex(false)).unwrap();
    assert_eq!(notes(&written), "max_output_tokens applied by the gateway; dropped odd; dropped mcp_servers");
}

#[test]
fn texts_are_slices_of_the_body() {
    let body = Bytes::from(block("user", r#"{"type":"text","text":"a long enough text to be a slice"}"#));
    let (request, _) = Dialect::Messages.read_request(body.clone()).unwrap();
    let proto::canon::ItemKind::Message { parts, .. } = &request.items[1].kind else { panic!() };
    let proto::canon::Part::Text { text, .. } = &parts[0] else { panic!() };
    assert!(body.as_ptr_range().contains(&text.escaped().as_ptr()));
}
