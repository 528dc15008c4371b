//! Requests: how they are read and written, and which ones are refused with which path.

use bytes::Bytes;
use proto::dialect::{CodexTarget, RelayTarget, Target, Written};
use proto::{Dialect, Failure, Kind, Notes, Request, Wire};

use crate::{corpus, utf8};

fn read(body: &str) -> Result<(Request, Notes), Failure> {
    Dialect::Chat.read_request(Bytes::copy_from_slice(body.as_bytes()))
}

fn codex(lite: bool) -> Target {
    let model = "gpt-5.5".to_owned();
    Target::Codex(CodexTarget { model, lite, cache_key: "conversation-1".to_owned(), ..CodexTarget::default() })
}

fn relay() -> Target {
    Target::Relay(RelayTarget { model: "relay-large".to_owned(), ..RelayTarget::default() })
}

fn notes(notes: &Notes) -> String {
    notes.iter().collect::<Vec<_>>().join("; ")
}

#[test]
fn requests_written_for_every_upstream() {
    for (name, body) in corpus("requests/chat", ".json") {
        let (mut request, read) = Dialect::Chat.read_request(body).unwrap();
        // The patched body has its own test.
        (request.raw, request.origin) = (None, None);
        let mut lines = vec![format!("read: {}", notes(&read)), format!("{:?} {:?}", request.reply, request.envelope)];
        let targets = [
            ("classic", Wire::Responses, codex(false)),
            ("lite", Wire::Responses, codex(true)),
            ("chat", Wire::Chat, relay()),
        ];
        for (target_name, wire, target) in targets {
            let Written { body: out, notes: written, .. } = wire.write_request(&request, &target).unwrap();
            lines.push(format!("{target_name}: {}\n{}", notes(&written), utf8(&out)));
        }
        insta::assert_snapshot!(name, lines.join("\n\n"));
    }
}

#[test]
fn chat_to_chat_changes_only_what_it_must() {
    let body = r#"{ "x":{"k":1.50}, "stream_options":{"include_usage":false,"y":null},"model":"gpt","messages":[{"role":"user","content":"\u00e9"}] }"#;
    let (request, _) = read(body).unwrap();
    let Written { body: out, notes, .. } = Wire::Chat.write_request(&request, &relay()).unwrap();
    assert_eq!(
        utf8(&out),
        r#"{"x":{"k":1.50},"stream_options":{"include_usage":true,"y":null},"model":"relay-large","messages":[{"role":"user","content":"\u00e9"}],"stream":true}"#
    );
    assert!(notes.is_empty());
    let effort =
        Target::Relay(RelayTarget { model: "m".to_owned(), effort: Some("high".to_owned()), ..RelayTarget::default() });
    let Written { body: out, .. } = Wire::Chat.write_request(&request, &effort).unwrap();
    assert!(utf8(&out).ends_with(r#","stream":true,"reasoning_effort":"high"}"#));
}

#[test]
fn every_truncation_is_invalid() {
    for (name, body) in corpus("requests/chat", ".json") {
        let whole = body.trim_ascii_end().len();
        for end in 0..whole {
            let failure = Dialect::Chat.read_request(body.slice(..end)).expect_err(&name);
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
#[expect(clippy::too_many_lines, reason = "a table")]
fn bad_values_are_refused_with_their_path() {
    let long = "a".repeat(129);
    let tools = vec![r#"{"type":"web_search"}"#; 1025].join(",");
    let cases = [
        ("{}".to_owned(), "messages"),
        (r#"{"messages":[]}"#.to_owned(), "messages"),
        (r#"{"messages":{}}"#.to_owned(), "messages"),
        (r#"{"messages":["a"]}"#.to_owned(), "messages[0]"),
        (r#"{"model":7,"messages":[]}"#.to_owned(), "model"),
        (r#"{"input":[]}"#.to_owned(), "input"),
        (r#"{"input":[{"role":"user","content":[{"type":"input_audio"}]}]}"#.to_owned(), "input[0].content[0].type"),
        (message(r#"{"content":"a"}"#), "messages[1].role"),
        (message(r#"{"role":"bishop","content":"a"}"#), "messages[1].role"),
        (message(r#"{"role":"user"}"#), "messages[1].content"),
        (message(r#"{"role":"user","content":7}"#), "messages[1].content"),
        (message(r#"{"role":"user","content":[7]}"#), "messages[1].content[0]"),
        (message(r#"{"role":"user","content":[{"text":"a"}]}"#), "messages[1].content[0].type"),
        (
            message(r#"{"role":"user","content":[{"type":"text","text":"a"},{"type":"video"}]}"#),
            "messages[1].content[1].type",
        ),
        (message(r#"{"role":"user","content":[{"type":"text"}]}"#), "messages[1].content[0].text"),
        (
            message(r#"{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]}"#),
            "messages[1].content[0].type",
        ),
        (
            message(r#"{"role":"user","content":[{"type":"image_url","image_url":{}}]}"#),
            "messages[1].content[0].image_url.url",
        ),
        (
            message(r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}"#),
            "messages[1].content[0].image_url.url",
        ),
        (
            message(r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,"}}]}"#),
            "messages[1].content[0].image_url.url",
        ),
        (
            message(r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:text/html,<p>"}}]}"#),
            "messages[1].content[0].image_url.url",
        ),
        (
            message(r#"{"role":"user","content":[{"type":"file","file":{"filename":"a"}}]}"#),
            "messages[1].content[0].file.file_data",
        ),
        (
            message(
                r#"{"role":"system","content":[{"type":"image_url","image_url":{"url":"https://a.example/b.png"}}]}"#,
            ),
            "messages[1].content[0].type",
        ),
        (message(r#"{"role":"tool","content":"a"}"#), "messages[1].tool_call_id"),
        (message(r#"{"role":"function","content":"a"}"#), "messages[1].name"),
        (
            message(r#"{"role":"assistant","tool_calls":[{"id":"a","type":"function"}]}"#),
            "messages[1].tool_calls[0].function",
        ),
        (
            message(r#"{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"f"}}]}"#),
            "messages[1].tool_calls[0].id",
        ),
        (message(r#"{"role":"assistant","tool_calls":[{"id":"a","type":"odd"}]}"#), "messages[1].tool_calls[0].type"),
        (message(r#"{"role":"assistant","audio":{"id":"a"}}"#), "messages[1].audio"),
        (with(r#""n":2"#), "n"),
        (with(r#""n":0"#), "n"),
        (with(r#""max_tokens":-1"#), "max_tokens"),
        (with(r#""max_tokens":0"#), "max_tokens"),
        (with(r#""max_completion_tokens":1.5"#), "max_completion_tokens"),
        (with(r#""max_output_tokens":"9""#), "max_output_tokens"),
        (with(r#""temperature":"hot""#), "temperature"),
        (with(r#""stop":[1]"#), "stop[0]"),
        (with(r#""stop":{}"#), "stop"),
        (with(r#""stream":"yes""#), "stream"),
        (with(r#""stream_options":{"include_usage":1}"#), "stream_options.include_usage"),
        (with(r#""tools":{}"#), "tools"),
        (with(r#""tools":[{}]"#), "tools[0].type"),
        (with(r#""tools":[{"type":"function"}]"#), "tools[0].function"),
        (with(r#""tools":[{"type":"function","function":{}}]"#), "tools[0].function.name"),
        (with(r#""tools":[{"type":"function","function":{"name":"a\u0001b"}}]"#), "tools[0].function.name"),
        (with(&format!(r#""tools":[{{"type":"function","function":{{"name":"{long}"}}}}]"#)), "tools[0].function.name"),
        (with(r#""tools":[{"type":"function","name":"a","parameters":true}]"#), "tools[0].parameters"),
        (with(&format!(r#""tools":[{tools}]"#)), "tools"),
        (with(r#""tool_choice":"sometimes""#), "tool_choice"),
        (with(r#""tool_choice":{"type":"function"}"#), "tool_choice.name"),
        (with(r#""tool_choice":{"type":"function","function":{}}"#), "tool_choice.function.name"),
        (with(r#""response_format":{"type":"yaml"}"#), "response_format.type"),
        (with(r#""response_format":{"type":"json_schema"}"#), "response_format.json_schema"),
        (
            with(r#""response_format":{"type":"json_schema","json_schema":{"name":"a"}}"#),
            "response_format.json_schema.schema",
        ),
        (
            with(r#""response_format":{"type":"json_schema","json_schema":{"name":"a b","schema":{}}}"#),
            "response_format.json_schema.name",
        ),
        (with(r#""reasoning":{"effort":1}"#), "reasoning.effort"),
        (with(r#""modalities":["text","audio"]"#), "modalities[1]"),
        (with(r#""audio":{"voice":"a"}"#), "audio"),
        (with(r#""functions":[{}]"#), "functions[0].name"),
        (with(r#""logit_bias":[]"#), "logit_bias"),
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
        with(r#""stop":null"#),
        with(r#""stop":"""#),
        with(r#""stop":["a","b","c","d","e"]"#),
        with(r#""n":null,"temperature":null,"tools":null,"user":"""#),
        with(r#""temperature":1e400,"seed":123456789012345678901234567890"#),
        with(r#""max_tokens":1000000000000"#),
        with(r#""tools":[],"tool_choice":"any""#),
        with(r#""tools":[{"type":"function","function":{"name":"__proto__","strict":null}}]"#),
        with(r#""reasoning_effort":"xhigh","service_tier":"priority","verbosity":"high""#),
        with(r#""reasoning":{"enabled":false}"#),
        with(r#""response_format":{"type":"text"},"modalities":["text"]"#),
        message(r#"{"role":"assistant","content":null}"#),
        message(r#"{"role":"tool","tool_call_id":"a","content":null}"#),
        message(r#"{"role":"user","content":[{"type":"image_url","image_url":"https://a.example/b.png"}]}"#),
        message(r#"{"role":"user","content":[{"type":"file","file":{"file_data":"JVBERi0=","filename":"a.pdf"}}]}"#),
    ];
    for body in bodies {
        read(&body).expect(&body);
    }
}

#[test]
fn what_is_dropped_is_noted() {
    let body = message(
        r#"{"role":"user","name":"mate","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}],"weird\u0000name":1}"#,
    );
    let (_, dropped) = read(&body).unwrap();
    let expected = "dropped messages.content.cache_control; dropped messages.name; dropped unknown fields of messages";
    assert_eq!(notes(&dropped), expected);
}

#[test]
fn texts_are_slices_of_the_body() {
    let body = Bytes::from(message(r#"{"role":"user","content":"a long enough text to be a slice"}"#));
    let (request, _) = Dialect::Chat.read_request(body.clone()).unwrap();
    let proto::canon::ItemKind::Message { parts, .. } = &request.items[1].kind else { panic!() };
    let proto::canon::Part::Text { text, .. } = &parts[0] else { panic!() };
    assert!(body.as_ptr_range().contains(&text.escaped().as_ptr()));
}

#[test]
fn results_follow_their_calls_and_pictures_follow_them() {
    let (_, body) = corpus("requests/chat", "conversation.json").remove(0);
    let (mut request, _) = Dialect::Chat.read_request(body).unwrap();
    (request.raw, request.origin) = (None, None);
    let Written { body: out, .. } =
        Wire::Chat.write_request(&request, &relay()).unwrap_or_else(|failure| panic!("{failure:?}"));
    let roles: Vec<&str> =
        utf8(&out).split(r#"{"role":""#).skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(roles, ["system", "system", "user", "assistant", "tool", "tool", "tool", "user", "assistant", "user"]);
}

/// The body of another dialect's request for this relay, and its notes.
fn translated(dialect: Dialect, body: &str, relay: RelayTarget) -> (serde_json::Value, String) {
    let (request, _) = dialect.read_request(Bytes::copy_from_slice(body.as_bytes())).unwrap();
    let Written { body: out, notes: written, .. } = Wire::Chat.write_request(&request, &Target::Relay(relay)).unwrap();
    (serde_json::from_slice(&out).unwrap(), notes(&written))
}

fn named(model: &str, strict: bool) -> RelayTarget {
    RelayTarget { model: model.to_owned(), strict, ..RelayTarget::default() }
}

#[test]
fn more_stops_than_openai_takes_are_left_to_the_gateway() {
    for (stops, sent) in [(r#"["a","b","c","d"]"#, true), (r#"["a","b","c","d","e"]"#, false)] {
        let body = format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"a"}}],"stop_sequences":{stops}}}"#
        );
        let (out, notes) = translated(Dialect::Messages, &body, named("m", false));
        assert_eq!(!out["stop"].is_null(), sent, "{out}");
        assert_eq!(notes.contains("stop applied by the gateway"), !sent, "{notes}");
    }
}

#[test]
fn fields_of_other_services_do_not_reach_who_refuses_them() {
    let body = r#"{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"temperature":1,"topK":64}}"#;
    let (out, notes) = translated(Dialect::Gemini, body, named("gpt-4.1", true));
    assert_eq!((&out["top_k"], &out["temperature"]), (&serde_json::Value::Null, &1.into()));
    assert_eq!(notes, "dropped top_k");
    let (out, notes) = translated(Dialect::Gemini, body, named("qwen3", false));
    assert_eq!((&out["top_k"], notes.as_str()), (&64.into(), ""));
}

#[test]
fn thoughts_come_back_beside_the_calls_that_they_led_to() {
    let thought =
        |text: &str| format!(r#"{{"type":"reasoning","summary":[{{"type":"summary_text","text":"{text}"}}]}}"#);
    let call = |id: &str| format!(r#"{{"type":"function_call","call_id":"{id}","name":"f","arguments":"{{}}"}}"#);
    let output = |id: &str| format!(r#"{{"type":"function_call_output","call_id":"{id}","output":"x"}}"#);
    let message = |role: &str| format!(r#"{{"role":"{role}","content":"s"}}"#);
    let sealed = r#"{"type":"reasoning","summary":[],"encrypted_content":"gAAA"}"#.to_owned();
    let written = |items: &[String], relay: RelayTarget| {
        let body = format!(r#"{{"model":"m","input":[{},{}]}}"#, message("user"), items.join(","));
        let (out, notes) = translated(Dialect::Responses, &body, relay);
        let thoughts = out["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "assistant");
        let thoughts: Vec<String> =
            thoughts.map(|message| message["reasoning_content"].as_str().unwrap_or("-").to_owned()).collect();
        (thoughts.join(" "), notes)
    };
    let dropped = "dropped reasoning";
    let table = [
        (vec![thought("t"), call("a"), output("a")], "t", ""),
        (vec![thought("t"), message("assistant"), call("a"), output("a")], "t", ""),
        (vec![thought("t"), thought("u"), call("a"), call("b"), output("a"), output("b")], "t\n\nu", ""),
        (vec![thought("t"), call("a"), output("a"), thought("u"), call("b"), output("b")], "t u", ""),
        (vec![thought("t"), message("assistant"), message("user")], "-", dropped),
        (vec![message("assistant"), thought("t"), message("assistant"), call("a"), output("a")], "- t", ""),
        (vec![sealed, call("a"), output("a")], "-", dropped),
    ];
    for (items, thoughts, notes) in table {
        assert_eq!(written(&items, named("deepseek-v4-pro", false)), (thoughts.to_owned(), notes.to_owned()));
    }
    // OpenAI's models, and servers that refuse unknown fields.
    for relay in [named("openai/gpt-5.5", false), named("gpt-4.1", false), named("kimi-k2", true)] {
        let items = [thought("t"), call("a"), output("a")];
        assert_eq!(written(&items, relay), ("-".to_owned(), dropped.to_owned()));
    }
}

#[test]
fn words_for_json_are_noted_where_they_are_sent() {
    let (request, read) = read(&with(r#""response_format":{"type":"json_object"}"#)).unwrap();
    assert_eq!((notes(&read).as_str(), request.items.len()), ("", 1), "what the client said, and no more");
    for (wire, target, hinted) in [
        (Wire::Responses, codex(false), true),
        (Wire::Responses, relay(), true),
        (Wire::Messages, relay(), true),
        (Wire::Chat, relay(), false),
        (Wire::Gemini, relay(), false),
    ] {
        let Written { body: out, notes: written, .. } = wire.write_request(&request, &target).unwrap();
        assert_eq!(utf8(&out).contains("Answer in JSON."), hinted, "{}", utf8(&out));
        assert_eq!(notes(&written).contains("asked for JSON in words"), hinted, "{}", notes(&written));
    }
}

/// A client may send the same words as the gateway.
#[test]
fn words_of_the_client_for_json_reach_every_upstream() {
    let words = r#"{"role":"developer","content":"Answer in JSON."}"#;
    let plain = format!(r#"{{"model":"m","messages":[{words},{{"role":"user","content":"a"}}]}}"#);
    for body in [plain.clone(), plain.replace(r#""model":"m""#, r#""response_format":{"type":"json_object"}"#)] {
        let (request, _) = read(&body).unwrap();
        for wire in [Wire::Responses, Wire::Chat, Wire::Messages, Wire::Gemini] {
            let Written { body: out, notes: written, .. } = wire.write_request(&request, &relay()).unwrap();
            assert_eq!(utf8(&out).matches("Answer in JSON.").count(), 1, "{wire:?}: {}", utf8(&out));
            assert!(!notes(&written).contains("asked for JSON"), "{wire:?}: {}", notes(&written));
        }
    }
}

#[test]
fn a_choice_among_no_tools_is_noted() {
    for (choice, wanted) in [(r#""required""#, "; dropped tool_choice"), (r#""auto""#, "")] {
        let body = format!(r#"{{"model":"m","input":"a","tools":[{{"type":"web_search"}}],"tool_choice":{choice}}}"#);
        let (out, notes) = translated(Dialect::Responses, &body, named("m", false));
        assert!(out["tool_choice"].is_null());
        assert_eq!(notes, format!("dropped the hosted tool web_search{wanted}"));
    }
}
