//! Replies: chat streams and responses streams to chat, snapshot by snapshot.

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
            // Errors are said in our own words; what came before is untouched.
            out = out.slice(..out.windows(14).position(|window| window == b"data: {\"error\"").unwrap());
            assert!(body.starts_with(&out));
        } else if name == "no-done" || name == "no-finish" {
            assert!(utf8(&out).ends_with("data: [DONE]\n\n"), "{name}");
            assert!(utf8(&out).contains("\"finish_reason\":\"stop\""), "{name}");
        } else if name == "crlf" {
            // Comments keep their frame; bare ones are not passed.
            assert_eq!(utf8(&out), utf8(&body).replace(": waiting\r\n\r\n", ""));
        } else {
            assert_eq!(utf8(&out), utf8(&body), "{name}");
        }
    }
}

#[test]
fn usage_goes_only_to_clients_that_asked() {
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
        "",
        "\n\n",
        "<html>502</html>",
        "{",
        "{}",
        "[]",
        "data: [DONE]\n\n",
        "data: {\"choices\":1}\n\n",
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
fn a_body_of_chats_own_frames_keeps_what_items_have_no_place_for() {
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
    // Without the last frame the upstream hung up when all was said.
    for body in [body.as_str(), body.strip_suffix("data: [DONE]\n\n").unwrap()] {
        let whole = fold(&read(Dialect::Chat, [body.as_bytes()]));
        insta::assert_snapshot!("own_whole", utf8(&Dialect::Chat.whole(&whole, &setting(true))));
    }
    let bare = fold(&strange(read(Dialect::Chat, [body.as_bytes()])));
    assert!(utf8(&Dialect::Chat.whole(&bare, &setting(true))).contains(r#""logprobs":null"#));
}
