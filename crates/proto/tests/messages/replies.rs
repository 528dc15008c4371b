//! Replies: every stream of our corpus that messages clients or upstreams can receive or send, as snapshots.

use proto::canon::{Finish, Limits, Thinking, What};
use proto::trim::{Trim, Verdict};
use proto::{Dialect, Kind};

use crate::{corpus, events, fold, read, sdk, seeing, setting, strange, utf8, write};

/// The dialects in which a messages stream is rewritten.
const CLIENTS: [(Dialect, &str); 5] = [
    (Dialect::Messages, "messages"),
    (Dialect::Chat, "chat"),
    (Dialect::Responses, "responses"),
    (Dialect::Gemini, "gemini"),
    (Dialect::Ollama, "ollama"),
];

#[test]
fn events_of_messages_streams() {
    for (name, body) in corpus("messages", ".sse").into_iter().chain(corpus("messages", ".json")) {
        let events = read(Dialect::Messages, [&body[..]]);
        let lines: Vec<String> = strange(events).iter().map(|event| format!("{:?}", event.what)).collect();
        insta::assert_snapshot!(format!("events_{name}"), lines.join("\n"));
    }
}

#[test]
fn messages_streams_written_for_every_client() {
    for (name, body) in corpus("messages", ".sse").into_iter().chain(corpus("messages", ".json")) {
        let events = strange(read(Dialect::Messages, [&body[..]]));
        for (client, word) in CLIENTS {
            let stream = write(client, setting(client), &events);
            insta::assert_snapshot!(format!("{word}_{name}"), utf8(&stream));
            if fold(&events).failure.is_none() {
                let whole = client.whole(&fold(&events), &setting(client));
                insta::assert_snapshot!(format!("{word}_{name}_whole"), utf8(&whole));
            }
        }
    }
}

#[test]
fn streams_of_other_upstreams_written_as_messages() {
    let upstreams = [(Dialect::Responses, "responses"), (Dialect::Chat, "chat"), (Dialect::Gemini, "gemini")];
    for (dialect, folder) in upstreams {
        for (name, body) in corpus(folder, ".sse") {
            let events = read(dialect, [&body[..]]);
            let stream = write(Dialect::Messages, setting(Dialect::Messages), &events);
            insta::assert_snapshot!(format!("from_{folder}_{name}"), utf8(&stream));
            if fold(&events).failure.is_none() {
                let whole = Dialect::Messages.whole(&fold(&events), &setting(Dialect::Messages));
                insta::assert_snapshot!(format!("from_{folder}_{name}_whole"), utf8(&whole));
            }
        }
    }
}

#[test]
fn messages_streams_pass_as_they_came() {
    for (name, body) in corpus("messages", ".sse") {
        let events = read(Dialect::Messages, [&body[..]]);
        let out = write(Dialect::Messages, setting(Dialect::Messages), &events);
        match name.as_str() {
            // Errors are written in our own words, behind the end of the open block; the bytes before them do not change.
            "error" => {
                let stop = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n";
                let at = utf8(&body).find("event: error").unwrap();
                assert!(utf8(&out).starts_with(&format!("{}{stop}event: error\n", utf8(&body[..at]))));
                assert!(!utf8(&out).contains("req_0001"));
            }
            // The official SDKs ignore events without a name.
            "odd" => {
                let nameless =
                    utf8(&out).lines().filter(|line| !line.starts_with("event: ")).map(|line| format!("{line}\n"));
                assert_eq!(nameless.collect::<String>(), utf8(&body));
                assert_eq!(sdk::message(&out)["content"].as_array().unwrap().len(), 3);
            }
            "no-stop" => {
                let rest = out.strip_prefix(&body[..]).unwrap();
                assert_eq!(rest, b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
            }
            _ => assert_eq!(utf8(&out), utf8(&body), "{name}"),
        }
    }
}

#[test]
fn thinking_is_shown_as_requested() {
    let events = events(Dialect::Responses, "responses", "reasoning.sse");
    let envelope = "pg1.r.rs_0.gAAAAABo-state-of-the-account";
    let text = "**Plan**\n\nFirst count the letters.\n\n**Check**\n\nThen count again.";
    for (thinking, blocks, shown) in [(Thinking::Shown, 2, text), (Thinking::Sealed, 2, ""), (Thinking::Hidden, 1, "")]
    {
        let message = sdk::message(&write(Dialect::Messages, seeing(thinking), &events));
        assert_eq!(message["content"].as_array().unwrap().len(), blocks, "{thinking:?}");
        assert_eq!(sdk::text(&message, "thinking"), shown, "{thinking:?}");
        assert_eq!(sdk::text(&message, "text"), "There are three.");
        if thinking != Thinking::Hidden {
            assert_eq!(message["content"][0]["signature"], envelope);
        }
    }
}

#[test]
fn a_stop_sequence_of_ours_is_named() {
    let cut = |limits: Limits| {
        let mut trim = Trim::new(&limits).unwrap().with_input(21);
        let mut trimmed = Vec::new();
        for event in events(Dialect::Responses, "responses", "text.sse") {
            if trim.push(event, &mut trimmed) == Verdict::Done {
                break;
            }
        }
        trimmed
    };
    let stopped = cut(Limits { max_tokens: None, stop: vec!["nothing".to_owned(), "world".to_owned()] });
    let message = sdk::message(&write(Dialect::Messages, setting(Dialect::Messages), &stopped));
    assert_eq!((&message["stop_reason"], &message["stop_sequence"]), (&"stop_sequence".into(), &"world".into()));
    assert_eq!(sdk::text(&message, "text"), "Hello, ");
    let whole = Dialect::Messages.whole(&fold(&stopped), &setting(Dialect::Messages));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&whole).unwrap(), message);
    let short = cut(Limits { max_tokens: Some(3), stop: Vec::new() });
    let message = sdk::message(&write(Dialect::Messages, setting(Dialect::Messages), &short));
    assert_eq!((&message["stop_reason"], &message["stop_sequence"]), (&"max_tokens".into(), &serde_json::Value::Null));
    assert_eq!(message["usage"]["input_tokens"], 21);
}

#[test]
fn a_limit_cuts_a_stream_that_passes() {
    let limits = Limits { max_tokens: None, stop: vec!["quoted".to_owned()] };
    let mut trim = Trim::new(&limits).unwrap();
    let mut trimmed = Vec::new();
    for event in events(Dialect::Messages, "messages", "text.sse") {
        if trim.push(event, &mut trimmed) == Verdict::Done {
            break;
        }
    }
    let message = sdk::message(&write(Dialect::Messages, setting(Dialect::Messages), &trimmed));
    assert_eq!(sdk::text(&message, "text"), "Good morning! 早上好 \"");
    assert_eq!(message["stop_sequence"], "quoted");
    assert_eq!(message["id"], "msg_text1");
}

#[test]
fn a_cut_upstream_is_no_end() {
    let (_, body) = corpus("messages", "text.sse").remove(0);
    let events = read(Dialect::Messages, [&body[..body.len() / 2]]);
    let Some(What::Fail(failure)) = events.last().map(|event| &event.what) else { panic!("{events:?}") };
    assert_eq!((failure.kind, failure.code.as_deref()), (Kind::Upstream, Some("stream_cut")));
    let out = write(Dialect::Messages, setting(Dialect::Messages), &events);
    assert!(!utf8(&out).contains("message_stop"));
    assert!(matches!(sdk::assemble(&out), sdk::End::Error(error) if error["type"] == "api_error"));
}

#[test]
fn nothing_follows_the_terminal() {
    let (_, body) = corpus("messages", "length.sse").remove(0);
    let twice = [&body[..], &body[..]].concat();
    let events = read(Dialect::Messages, [&twice[..]]);
    assert_eq!(events, read(Dialect::Messages, [&body[..]]));
    assert_eq!(fold(&events).finish, Some(Finish::Length));
}

#[test]
fn odd_bodies_are_failures() {
    let bodies = [
        "",
        "\n\n",
        "<html>502</html>",
        "{",
        "{}",
        "[]",
        "data: [DONE]\n\n",
        "event: message_start\ndata: {\n\n",
        "data: {\"type\":\"error\"}\n\n",
    ];
    for body in bodies {
        let events = read(Dialect::Messages, [body.as_bytes()]);
        assert!(matches!(events.last().map(|event| &event.what), Some(What::Fail(_))), "{body:?}: {events:?}");
    }
    let events = events(Dialect::Messages, "messages", "refused.json");
    assert!(matches!(&events[..], [event] if matches!(&event.what, What::Fail(f) if f.kind == Kind::ContextLength)));
}
