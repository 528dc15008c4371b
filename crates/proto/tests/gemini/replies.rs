//! Replies: every reader's streams written as Gemini, and Gemini's streams in every writer, as snapshots.

use bytes::BytesMut;
use proto::canon::{Finish, Limits, What};
use proto::trim::{Trim, Verdict};
use proto::{Dialect, Failure, Kind, Writer};

use crate::sdk::javascript;
use crate::{array, corpus, fold, read, replies, setting, strange, utf8, write};

const CLIENTS: [Dialect; 5] = [Dialect::Responses, Dialect::Chat, Dialect::Messages, Dialect::Gemini, Dialect::Ollama];

#[test]
fn events_of_gemini_streams() {
    for (name, body) in replies() {
        let events = strange(read(Dialect::Gemini, [&body[..]]));
        let lines: Vec<String> = events.iter().map(|event| format!("{:?}", event.what)).collect();
        insta::assert_snapshot!(format!("events_{name}"), lines.join("\n"));
    }
}

#[test]
fn gemini_streams_for_every_client() {
    for (name, body) in replies() {
        let events = strange(read(Dialect::Gemini, [&body[..]]));
        for client in CLIENTS {
            let stream = write(client, setting(client), &events);
            insta::assert_snapshot!(format!("gemini_{name}_{client:?}").to_lowercase(), utf8(&stream));
            if fold(&events).failure.is_none() {
                let whole = client.whole(&fold(&events), &setting(client));
                insta::assert_snapshot!(format!("gemini_{name}_{client:?}_whole").to_lowercase(), utf8(&whole));
            }
        }
    }
}

#[test]
fn every_upstreams_streams_for_gemini_clients() {
    for (upstream, folder) in
        [(Dialect::Responses, "responses"), (Dialect::Chat, "chat"), (Dialect::Messages, "messages")]
    {
        for (name, body) in corpus(folder, ".sse") {
            let events = read(upstream, [&body[..]]);
            let stream = write(Dialect::Gemini, setting(Dialect::Gemini), &events);
            insta::assert_snapshot!(format!("{folder}_{name}"), utf8(&stream));
            if fold(&events).failure.is_none() {
                let whole = Dialect::Gemini.whole(&fold(&events), &setting(Dialect::Gemini));
                insta::assert_snapshot!(format!("{folder}_{name}_whole"), utf8(&whole));
            }
        }
    }
}

#[test]
fn both_streaming_forms_have_the_same_contents() {
    for (name, body) in corpus("responses", ".sse").into_iter().chain(replies()) {
        let upstream =
            if corpus("responses", ".sse").iter().any(|(other, _)| *other == name) && body.starts_with(b"event") {
                Dialect::Responses
            } else {
                Dialect::Gemini
            };
        for events in [read(upstream, [&body[..]]), strange(read(upstream, [&body[..]]))] {
            let list = write(Dialect::Gemini, array(), &events);
            let list: Vec<serde_json::Value> = serde_json::from_slice(&list).unwrap_or_else(|e| panic!("{name}: {e}"));
            let stream = write(Dialect::Gemini, setting(Dialect::Gemini), &events);
            assert_eq!(crate::sdk::python(&stream), list, "{name}");
        }
    }
}

#[test]
fn gemini_streams_pass_as_they_came() {
    for (name, body) in corpus("gemini", ".sse") {
        let events = read(Dialect::Gemini, [&body[..]]);
        let out = write(Dialect::Gemini, setting(Dialect::Gemini), &events);
        if fold(&events).failure.is_none() {
            // Only counts that came after the end are missing.
            assert_eq!(utf8(&out), utf8(&body), "{name}");
        } else {
            // Errors are written in our own words; the bytes before them do not change.
            let at = utf8(&out).find("{\"error\":").unwrap();
            assert!(body.starts_with(&out[..at]), "{name}");
        }
    }
}

#[test]
fn errors_in_the_middle_reach_both_sdks() {
    let events = read(Dialect::Gemini, [&corpus("gemini", "framed-error.sse").remove(0).1[..]]);
    for events in [events.clone(), strange(events)] {
        let out = write(Dialect::Gemini, setting(Dialect::Gemini), &events);
        let (replies, thrown) = javascript(&out);
        assert!(thrown && replies.len() == 1, "{}", utf8(&out));
        let last = crate::sdk::python(&out).pop().unwrap();
        assert_eq!((&last["error"]["code"], &last["error"]["status"]), (&429.into(), &"RESOURCE_EXHAUSTED".into()));
        let retry = last["error"]["details"].as_array().unwrap().iter().find(|detail| detail["retryDelay"] == "13s");
        assert!(retry.is_some(), "{last}");
    }
    let alone = write(Dialect::Gemini, setting(Dialect::Gemini), &[]);
    // The JavaScript SDK raises its typed error for a network chunk that holds the error object alone.
    let alone: serde_json::Value = serde_json::from_slice(&alone).unwrap();
    assert_eq!(alone["error"]["code"], 502);
    let list: serde_json::Value = serde_json::from_slice(&write(Dialect::Gemini, array(), &[])).unwrap();
    assert_eq!(list[0]["error"]["status"], "INTERNAL");
}

#[test]
fn a_cut_upstream_is_no_end() {
    let (_, body) = corpus("gemini", "text.sse").remove(0);
    let events = read(Dialect::Gemini, [&body[..body.len() / 2]]);
    let Some(What::Fail(failure)) = events.last().map(|event| &event.what) else { panic!("{events:?}") };
    assert_eq!((failure.kind, failure.code.as_deref()), (Kind::Upstream, Some("stream_cut")));
    // The reported counts are known nevertheless.
    assert!(fold(&events).usage.is_some_and(|usage| usage.input == 21));
    let out = write(Dialect::Gemini, setting(Dialect::Gemini), &events);
    assert!(!utf8(&out).contains("finishReason"));
}

#[test]
fn nothing_follows_the_terminal() {
    let (_, body) = corpus("gemini", "length.sse").remove(0);
    let twice = [&body[..], &body[..]].concat();
    let events = read(Dialect::Gemini, [&twice[..]]);
    assert_eq!(events, read(Dialect::Gemini, [&body[..]]));
    assert_eq!(fold(&events).finish, Some(Finish::Length));
}

#[test]
fn odd_bodies_are_failures() {
    for body in [
        "", "\n\n", "<html>502</html>", "{", "{}", "[", "[]", "[1]", "[{}]", "data: {\"candidates\":1}\n\n",
        "data: {\"choices\":[]}\n\n", "data: \u{1}\n\n", "data: [DONE]\n\n",
    ] {
        let events = read(Dialect::Gemini, [body.as_bytes()]);
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
    insta::assert_snapshot!("trimmed", utf8(&write(Dialect::Gemini, setting(Dialect::Gemini), &events)));
    insta::assert_snapshot!("trimmed_whole", utf8(&Dialect::Gemini.whole(&fold(&events), &setting(Dialect::Gemini))));
}

#[test]
fn an_idle_client_gets_a_blank_line() {
    for setting in [setting(Dialect::Gemini), array()] {
        let array = setting.reply.array;
        let mut writer = Writer::new(Dialect::Gemini, setting);
        let mut out = BytesMut::new();
        writer.heartbeat(&mut out);
        for event in read(Dialect::Responses, [&corpus("responses", "text.sse").remove(0).1[..]]) {
            writer.push(&event, &mut out);
            writer.heartbeat(&mut out);
        }
        writer.end(&mut out);
        // The Python SDK would parse a comment as a broken reply.
        let replies = if array { serde_json::from_slice(&out).unwrap() } else { crate::sdk::python(&out) };
        assert!(replies.len() > 2);
    }
}

#[test]
fn failures_have_googles_words() {
    let failure = Failure::new(Kind::Exhausted, "Used up.").retry_after(34).at("contents");
    let (status, body) = Dialect::Gemini.error(&failure);
    assert_eq!(status, 429);
    insta::assert_snapshot!("error_429", utf8(&body));
    for (kind, status, word) in [
        (Kind::Invalid, 400, "INVALID_ARGUMENT"),
        (Kind::ContextLength, 400, "INVALID_ARGUMENT"),
        (Kind::Unauthorized, 401, "UNAUTHENTICATED"),
        (Kind::Forbidden, 403, "PERMISSION_DENIED"),
        (Kind::ModelNotFound, 404, "NOT_FOUND"),
        (Kind::RateLimited, 429, "RESOURCE_EXHAUSTED"),
        (Kind::Internal, 500, "INTERNAL"),
        (Kind::Upstream, 502, "INTERNAL"),
        (Kind::NoAccount, 503, "UNAVAILABLE"),
        (Kind::Timeout, 504, "DEADLINE_EXCEEDED"),
    ] {
        let (got, body) = Dialect::Gemini.error(&Failure::new(kind, "why"));
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((got, &body["error"]["code"], &body["error"]["status"]), (status, &status.into(), &word.into()));
        assert_eq!(body["error"]["message"], "why");
    }
}

#[test]
fn a_body_of_geminis_own_frames_has_all_their_fields() {
    for (name, body) in corpus("gemini", ".sse") {
        let events = read(Dialect::Gemini, [&body[..]]);
        let whole = fold(&events);
        // The reader joins calls in pieces.
        if whole.failure.is_some() || name == "partial" {
            continue;
        }
        let out = Dialect::Gemini.whole(&whole, &setting(Dialect::Gemini));
        let stream = utf8(&body).replace("\r\n", "\n");
        assert_eq!(crate::sdk::body(&out), crate::sdk::collect(&javascript(stream.as_bytes()).0), "{name}");
    }
}

#[test]
fn a_body_of_own_frames_keeps_unknown_fields() {
    let frame = |parts: &str, more: &str| {
        format!(
            r#"data: {{"candidates":[{{"content":{{"parts":[{parts}],"role":"model"}},"index":0{more}}}],"usageMetadata":{{"promptTokenCount":1,"promptTokensDetails":[]}},"modelVersion":"m","responseId":"r"}}"#
        ) + "\n\n"
    };
    let sound =
        |data: &str| format!(r#"{{"inlineData":{{"mimeType":"audio/L16;codec=pcm;rate=24000","data":"{data}"}}}}"#);
    let probability =
        |token: &str| format!(r#","logprobsResult":{{"chosenCandidates":[{{"token":"{token}"}}],"topCandidates":[]}}"#);
    let stop = r#","finishReason":"STOP","safetyRatings":[{"category":"C","probability":"LOW"}]"#;
    let stream = [
        frame(r#"{"executableCode":{"language":"PYTHON","code":"1"}}"#, &probability("a")),
        frame(r#"{"text":"It"}"#, &probability("b")),
        frame(r#"{"text":" is"}"#, ""),
        frame(&sound("AAE="), ""),
        frame(&sound("AgM="), stop),
    ]
    .concat();
    let whole = fold(&read(Dialect::Gemini, [stream.as_bytes()]));
    insta::assert_snapshot!("own_whole", utf8(&Dialect::Gemini.whole(&whole, &setting(Dialect::Gemini))));
    // Without its frames the body has none of Gemini's own parts.
    let cut = fold(&strange(read(Dialect::Gemini, [stream.as_bytes()])));
    assert!(!utf8(&Dialect::Gemini.whole(&cut, &setting(Dialect::Gemini))).contains("executableCode"));
}

/// A server that answers a streaming request with one body, or with an array.
#[test]
fn a_whole_body_keeps_unknown_fields() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":"Hi","vendor":1}],"role":"model"},"finishReason":"STOP","avgLogprobs":-0.5}],
        "usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"trafficType":"ON_DEMAND"},"modelVersion":"m","responseId":"r"}"#;
    for body in [body.to_owned(), format!("[{body}]")] {
        let events = read(Dialect::Gemini, [body.as_bytes()]);
        let stream = write(Dialect::Gemini, setting(Dialect::Gemini), &events);
        let (replies, thrown) = javascript(&stream);
        assert_eq!((replies.len(), thrown), (1, false), "{}", utf8(&stream));
        let whole: serde_json::Value =
            serde_json::from_slice(&Dialect::Gemini.whole(&fold(&events), &setting(Dialect::Gemini))).unwrap();
        for reply in [&replies[0], &whole] {
            assert_eq!(reply["candidates"][0]["avgLogprobs"], -0.5, "{reply}");
            assert_eq!(reply["usageMetadata"]["trafficType"], "ON_DEMAND");
            assert_eq!(reply["candidates"][0]["content"]["parts"][0]["vendor"], 1);
        }
    }
}

/// Counts in earlier chunks are not the totals, which may follow the finish reason.
#[test]
fn totals_may_come_last() {
    let chunk =
        |rest: &str| format!("data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"a\"}}]}}{rest}\n\n");
    let counts = |output: u32| format!(r#""usageMetadata":{{"promptTokenCount":1,"candidatesTokenCount":{output}}}}}"#);
    let stream = [
        chunk(&format!("}}],{}", counts(1))),
        chunk(r#","finishReason":"STOP"}]}"#),
        format!("data: {{{}\n\n", counts(9)),
    ]
    .concat();
    assert_eq!(fold(&read(Dialect::Gemini, [stream.as_bytes()])).usage.unwrap().output, 9, "{stream}");
    let cut = stream.rsplit_once("data:").unwrap().0;
    let whole = fold(&read(Dialect::Gemini, [cut.as_bytes()]));
    assert_eq!((whole.usage.unwrap().output, whole.finish), (1, Some(Finish::Stop)));
}
