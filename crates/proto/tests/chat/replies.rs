//! Replies: chat streams and responses streams written as chat, as snapshots.

use proto::canon::{Finish, Limits, What};
use proto::trim::{Trim, Verdict};
use proto::{Dialect, Kind};

use crate::{corpus, fold, read, setting, strange, utf8, write};

#[test]
fn events_of_chat_streams() {
    for (name, body) in corpus("chat", ".sse").into_iter().chain(corpus("chat", ".json")) {
        let events = read(Dialect::Chat, [&body[..]]);
        let lines: Vec<String> = strange(events).iter().map(|event| format!("{:?}", event.what)).collect();
        insta::assert_snapshot!(format!("events_{name}"), lines.join("\n"));
    }
}

#[test]
fn chat_streams_written_anew() {
    for (name, body) in corpus("chat", ".sse").into_iter().chain(corpus("chat", ".json")) {
        let events = strange(read(Dialect::Chat, [&body[..]]));
        let stream = write(Dialect::Chat, setting(true), &events);
        insta::assert_snapshot!(format!("chat_{name}"), utf8(&stream));
        if fold(&events).failure.is_none() {
            let whole = Dialect::Chat.whole(&fold(&events), &setting(true));
            insta::assert_snapshot!(format!("chat_{name}_whole"), utf8(&whole));
        }
    }
}

#[test]
fn responses_streams_written_as_chat() {
    for (name, body) in corpus("responses", ".sse") {
        let events = read(Dialect::Responses, [&body[..]]);
        let stream = write(Dialect::Chat, setting(true), &events);
        insta::assert_snapshot!(format!("responses_{name}"), utf8(&stream));
        if fold(&events).failure.is_none() {
            let whole = Dialect::Chat.whole(&fold(&events), &setting(true));
            insta::assert_snapshot!(format!("responses_{name}_whole"), utf8(&whole));
        }
    }
}

#[test]
fn chat_streams_pass_as_they_came() {
    for (name, body) in corpus("chat", ".sse") {
        let events = read(Dialect::Chat, [&body[..]]);
        let mut out = write(Dialect::Chat, setting(true), &events);
        if name == "error" {
            // Errors are written in our own words; the bytes before them do not change.
            out = out.slice(..out.windows(14).position(|window| window == b"data: {\"error\"").unwrap());
            assert!(body.starts_with(&out));
        } else if name == "no-done" || name == "no-finish" {
            assert!(utf8(&out).ends_with("data: [DONE]\n\n"), "{name}");
            assert!(utf8(&out).contains("\"finish_reason\":\"stop\""), "{name}");
        } else if name == "crlf" {
            // Comments inside a frame stay in it; comments alone are not passed on.
            assert_eq!(utf8(&out), utf8(&body).replace(": waiting\r\n\r\n", ""));
        } else {
            assert_eq!(utf8(&out), utf8(&body), "{name}");
        }
    }
}

#[test]
fn usage_goes_only_to_clients_that_request_it() {
    let (_, body) = corpus("chat", "text.sse").remove(0);
    for events in [read(Dialect::Chat, [&body[..]]), strange(read(Dialect::Chat, [&body[..]]))] {
        let without = write(Dialect::Chat, setting(false), &events);
        assert!(!utf8(&without).contains("prompt_tokens"));
        assert!(utf8(&without).ends_with("data: [DONE]\n\n"));
        let with = write(Dialect::Chat, setting(true), &events);
        assert_eq!(utf8(&with).matches("prompt_tokens\"").count(), 1);
    }
}

#[test]
fn legacy_clients_get_a_function_call() {
    let (_, body) = corpus("chat", "legacy.sse").remove(0);
    let events = strange(read(Dialect::Chat, [&body[..]]));
    let mut legacy = setting(false);
    legacy.reply.legacy_functions = true;
    let stream = write(Dialect::Chat, legacy.clone(), &events);
    insta::assert_snapshot!("legacy_stream", utf8(&stream));
    insta::assert_snapshot!("legacy_whole", utf8(&Dialect::Chat.whole(&fold(&events), &legacy)));
}

#[test]
fn a_cut_upstream_is_no_end() {
    let (_, body) = corpus("chat", "text.sse").remove(0);
    let events = read(Dialect::Chat, [&body[..body.len() / 2]]);
    let Some(What::Fail(failure)) = events.last().map(|event| &event.what) else { panic!("{events:?}") };
    assert_eq!((failure.kind, failure.code.as_deref()), (Kind::Upstream, Some("stream_cut")));
    let out = write(Dialect::Chat, setting(true), &events);
    assert!(!utf8(&out).contains("[DONE]"));
    assert!(!utf8(&out).contains("\"finish_reason\":\""));
    assert_eq!(utf8(&out).matches("data: {\"error\":").count(), 1);
}

#[test]
fn nothing_follows_the_terminal() {
    let (_, body) = corpus("chat", "length.sse").remove(0);
    let twice = [&body[..], &body[..]].concat();
    let events = read(Dialect::Chat, [&twice[..]]);
    assert_eq!(events, read(Dialect::Chat, [&body[..]]));
    assert_eq!(fold(&events).finish, Some(Finish::Length));
}

#[test]
fn odd_bodies_are_failures() {
    for body in [
        "", "\n\n", "<html>502</html>", "{", "{}", "[]", "data: [DONE]\n\n", "data: {\"choices\":1}\n\n",
        "data: \u{1}\n\n",
    ] {
        let events = read(Dialect::Chat, [body.as_bytes()]);
        assert!(matches!(events.last().map(|event| &event.what), Some(What::Fail(_))), "{body:?}: {events:?}");
        assert_eq!(events.len(), 1, "{body:?}");
    }
}

#[test]
fn a_limit_cuts_a_stream_of_a_backend_without_limits() {
    let (_, body) = corpus("responses", "text.sse").remove(0);
    let limits = Limits { max_tokens: Some(3), stop: Vec::new() };
    let mut trim = Trim::new(&limits).unwrap().with_input(21);
    let mut events = Vec::new();
    for event in read(Dialect::Responses, [&body[..]]) {
        if trim.push(event, &mut events) == Verdict::Done {
            break;
        }
    }
    insta::assert_snapshot!("trimmed_chat", utf8(&write(Dialect::Chat, setting(true), &events)));
    insta::assert_snapshot!("trimmed_chat_whole", utf8(&Dialect::Chat.whole(&fold(&events), &setting(true))));
    let responses = write(Dialect::Responses, setting(true), &events);
    assert!(utf8(&responses).contains(r#""incomplete_details":{"reason":"max_output_tokens"}"#));
    assert!(utf8(&responses).contains(r#""text":"Hello, world""#));
}

#[test]
fn an_idle_client_gets_a_comment() {
    let writer = proto::Writer::new(Dialect::Chat, setting(false));
    let mut out = bytes::BytesMut::new();
    writer.heartbeat(&mut out);
    assert_eq!(&out[..], b": keepalive\n\n");
}

#[test]
fn a_body_of_chats_own_frames_keeps_unknown_fields() {
    let chunk = |delta: &str, more: &str| {
        format!(
            r#"data: {{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","system_fingerprint":"fp_1","provider":"P","choices":[{{"index":0,"delta":{delta}{more}}}]}}"#
        ) + "\n\n"
    };
    let detail = |text: &str| format!(r#""reasoning_details":[{{"type":"reasoning.text","text":"{text}"}}]"#);
    let token = |token: &str| {
        format!(
            r#","logprobs":{{"content":[{{"token":"{token}","logprob":-0.5}}],"refusal":null}},"finish_reason":null"#
        )
    };
    let body = [
        chunk(&format!(r#"{{"role":"assistant","content":"",{}}}"#, detail("a")), r#","finish_reason":null"#),
        chunk(&format!(r#"{{"reasoning":"b",{}}}"#, detail("b")), r#","finish_reason":null"#),
        chunk(r#"{"content":"Hi"}"#, &token("Hi")),
        chunk(r#"{"content":"!"}"#, &token("!")),
        chunk("{}", r#","logprobs":null,"finish_reason":"stop","native_finish_reason":"STOP""#),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat();
    // Without the last frame the upstream closed the connection after the complete reply.
    for body in [body.as_str(), body.strip_suffix("data: [DONE]\n\n").unwrap()] {
        let whole = fold(&read(Dialect::Chat, [body.as_bytes()]));
        insta::assert_snapshot!("own_whole", utf8(&Dialect::Chat.whole(&whole, &setting(true))));
    }
    let bare = fold(&strange(read(Dialect::Chat, [body.as_bytes()])));
    assert!(utf8(&Dialect::Chat.whole(&bare, &setting(true))).contains(r#""logprobs":null"#));
}

/// Only the upstream's own frame holds an image by address.
#[test]
fn a_body_of_chats_own_frames_keeps_images_by_address() {
    let image = |url: &str| format!(r#"{{"type":"image_url","image_url":{{"url":"{url}"}}}}"#);
    let (address, inline) = (image("https://images.example.test/1.png"), image("data:image/png;base64,AAAA"));
    let events = stream(&[
        frame(&format!(r#""delta":{{"images":[{address},{inline}]}}"#), ""),
        frame(r#""delta":{},"finish_reason":"stop""#, ""),
    ]);
    let body = Dialect::Chat.whole(&fold(&events), &setting(true));
    let body = utf8(&body);
    assert!(body.contains(&format!(r#""images":[{inline},{address}]"#)), "{body}");
    let others = Dialect::Responses.whole(&fold(&events), &setting(true));
    let others = utf8(&others);
    assert!(others.contains("AAAA") && !others.contains("images.example.test"), "{others}");
}

/// One frame of a chat stream with this choice and these further members.
fn frame(choice: &str, more: &str) -> String {
    format!(r#"data: {{"id":"c","created":1,"model":"m"{more},"choices":[{{"index":0,{choice}}}]}}"#) + "\n\n"
}

fn stream(frames: &[String]) -> Vec<proto::Event> {
    read(Dialect::Chat, [frames.concat().as_bytes(), b"data: [DONE]\n\n"])
}

fn collected(dialect: Dialect, events: &[proto::Event]) -> serde_json::Value {
    serde_json::from_slice(&dialect.whole(&fold(events), &setting(true))).unwrap()
}

/// Perplexity repeats its whole lists in each chunk (BerriAI/litellm#13777).
#[test]
fn lists_that_each_chunk_repeats_come_once_in_a_body() {
    let lists = r#","citations":["a","b"],"search_results":[{"url":"a"},{"url":"b"}]"#;
    let delta = |text: &str| frame(&format!(r#""delta":{{"content":"{text}"}},"finish_reason":null"#), lists);
    let frames = [delta("a"), delta("b"), delta("c"), frame(r#""delta":{},"finish_reason":"stop""#, lists)];
    let body = collected(Dialect::Chat, &stream(&frames));
    assert_eq!(body["citations"], serde_json::json!(["a", "b"]));
    assert_eq!(body["search_results"].as_array().map(Vec::len), Some(2));
    assert_eq!(body["choices"][0]["message"]["content"], "abc");
}

#[test]
fn probabilities_of_each_chunk_follow_one_another_in_a_body() {
    let token = |list: &str, token: &str| {
        frame(&format!(r#""delta":{{}},"logprobs":{{"{list}":[{{"token":"{token}"}}],"model":"{token}"}}"#), "")
    };
    let end = frame(r#""delta":{"content":"x"},"logprobs":{"content":null},"finish_reason":"stop""#, "");
    let frames = [token("content", "a"), token("refusal", "b"), token("content", "c"), end];
    let logprobs = collected(Dialect::Chat, &stream(&frames))["choices"][0]["logprobs"].clone();
    let expected = serde_json::json!(
        {"content": [{"token": "a"}, {"token": "c"}], "refusal": [{"token": "b"}], "model": "c"});
    assert_eq!(logprobs, expected);
}

/// xAI counts reasoning beside the completion, and both in the total (vercel/ai#12425).
#[test]
fn reasoning_beside_the_completion_counts_as_output() {
    let usage = |completion: u64, total: u64| {
        format!(
            r#","usage":{{"prompt_tokens":10,"completion_tokens":{completion},"total_tokens":{total},"completion_tokens_details":{{"reasoning_tokens":300}}}}"#
        )
    };
    let end = |usage: &str| [frame(r#""delta":{"content":"x"},"finish_reason":"stop""#, usage)];
    let cases = [(3, 313, 303), (303, 313, 303), (400, 410, 400), (3, 13, 3), (3, 0, 3)];
    for (completion, total, output) in cases {
        let events = stream(&end(&usage(completion, total)));
        let usage = fold(&events).usage.expect("usage");
        assert_eq!((usage.output, usage.reasoning), (output, 300), "{completion} {total}");
    }
    let gemini = collected(Dialect::Gemini, &stream(&end(&usage(3, 313))));
    let figures = &gemini["usageMetadata"];
    assert_eq!((&figures["candidatesTokenCount"], &figures["thoughtsTokenCount"]), (&3.into(), &300.into()));
}

/// How services report a filtered, cut or lost answer (Z.ai, `DeepSeek`).
#[test]
fn finish_reasons_of_other_services_are_known() {
    let end =
        |reason: &str| fold(&stream(&[frame(&format!(r#""delta":{{"content":"x"}},"finish_reason":"{reason}""#), "")]));
    let cases = [
        ("sensitive", Finish::Filter),
        ("content_filter", Finish::Filter),
        ("model_context_window_exceeded", Finish::Length),
        ("length", Finish::Length),
        ("eos", Finish::Stop),
        ("banana", Finish::Stop),
    ];
    for (reason, finish) in cases {
        assert_eq!(end(reason).finish, Some(finish), "{reason}");
    }
    for reason in ["network_error", "insufficient_system_resource", "error"] {
        let failure = end(reason).failure.unwrap_or_else(|| panic!("{reason} is a failure"));
        assert_eq!((failure.kind, failure.code.as_deref()), (Kind::Upstream, Some("upstream_error")), "{reason}");
    }
}

#[test]
fn a_finish_reason_that_nobody_knows_reaches_chat_clients_and_is_noted() {
    let end = |reason: &str| stream(&[frame(&format!(r#""delta":{{"content":"x"}},"finish_reason":"{reason}""#), "")]);
    let reason = |reason: &str| collected(Dialect::Chat, &end(reason))["choices"][0]["finish_reason"].clone();
    assert_eq!((reason("banana"), reason("eos"), reason("stop")), ("banana".into(), "stop".into(), "stop".into()));
    assert_eq!((reason("sensitive"), reason("max_tokens")), ("sensitive".into(), "length".into()));
    let notes = |events: Vec<proto::Event>| {
        let note = |event: proto::Event| if let What::Note(note) = event.what { Some(note) } else { None };
        events.into_iter().filter_map(note).collect::<Vec<_>>()
    };
    assert_eq!(notes(end("banana")), ["unknown finish reason banana taken as stop"]);
    assert!(notes(end("eos")).is_empty());
    let whole = read(Dialect::Chat, [&br#"{"choices":[{"message":{"content":"x"},"finish_reason":"banana"}]}"#[..]]);
    assert_eq!(notes(whole).len(), 1);
}

/// A server that answers a streaming request with one body.
#[test]
fn a_whole_body_keeps_unknown_fields() {
    let body = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","system_fingerprint":"fp_1","citations":["https://a.test"],
        "choices":[{"index":0,"message":{"role":"assistant","content":"Hi","vendor":1,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},
        "logprobs":{"content":[{"token":"Hi","logprob":-0.5}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
    let events = read(Dialect::Chat, [body.as_bytes()]);
    let stream = write(Dialect::Chat, setting(true), &events);
    let data: Vec<&str> = utf8(&stream).lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!((data.len(), data[1]), (2, "[DONE]"), "{data:?}");
    let chunk: serde_json::Value = serde_json::from_str(data[0]).unwrap();
    let whole: serde_json::Value =
        serde_json::from_slice(&Dialect::Chat.whole(&fold(&events), &setting(true))).unwrap();
    for (reply, message) in [(&chunk, "delta"), (&whole, "message")] {
        assert_eq!((&reply["id"], &reply["system_fingerprint"]), (&"c".into(), &"fp_1".into()), "{reply}");
        assert_eq!(reply["citations"][0], "https://a.test");
        let choice = &reply["choices"][0];
        assert_eq!((&choice["logprobs"]["content"][0]["token"], &choice[message]["vendor"]), (&"Hi".into(), &1.into()));
        assert_eq!((&choice[message]["content"], &choice["finish_reason"]), (&"Hi".into(), &"tool_calls".into()));
        assert_eq!(choice[message]["tool_calls"][0]["function"]["name"], "f");
    }
    assert_eq!(
        (&chunk["object"], &chunk["choices"][0]["delta"]["tool_calls"][0]["index"]),
        (&"chat.completion.chunk".into(), &0.into())
    );
    assert_eq!(whole["object"], "chat.completion");
}
