//! Streams that are broken, odd or huge.

use bytes::{Bytes, BytesMut};
use proto::canon::Finish;
use proto::{Dialect, Event, Kind, Reader, What, Wire, Writer};

use crate::support::{bare, data, events, fold, kind, read, setting, write};

const CREATED: &str =
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n";
const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"output\":[]}}\n\n";

fn frame(data: &str) -> String {
    format!("data: {data}\n\n")
}

fn text(data: &str) -> String {
    frame(&format!(
        r#"{{"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":"{data}"}}"#
    ))
}

fn last(stream: &str) -> What {
    events(Dialect::Responses, stream.as_bytes()).pop().unwrap().what
}

#[test]
fn error_events_of_any_shape_fail() {
    let cases = [
        (
            r#"{"type":"error","error":{"type":"usage_limit_reached","message":"m","resets_at":7,"resets_in_seconds":9},"status_code":429}"#,
            Kind::Exhausted,
        ),
        (r#"{"type":"error","code":"rate_limit_exceeded","message":"Try again in 3s"}"#, Kind::RateLimited),
        (r#"{"type":"error","error":"boom"}"#, Kind::Upstream),
        (r#"{"type":"error","error":null,"status":503}"#, Kind::Overloaded),
        (
            r#"{"type":"error","status":400,"error":{"code":"websocket_connection_limit_reached","message":"m"}}"#,
            Kind::Invalid,
        ),
        (r#"{"error":{"message":"m","code":"context_length_exceeded"}}"#, Kind::ContextLength),
        (r#"{"type":"error"}"#, Kind::Upstream),
        (r#"{"type":"response.failed","response":{"error":{"code":"cyber_policy","message":"m"}}}"#, Kind::Filtered),
        (r#"{"type":"response.failed","response":{"status":"failed","error":null}}"#, Kind::Upstream),
        (r#"{"type":"response.failed"}"#, Kind::Upstream),
        (
            r#"{"type":"response.completed","response":{"status":"failed","error":{"code":"server_is_overloaded"}}}"#,
            Kind::Overloaded,
        ),
    ];
    for (data, expected) in cases {
        for before in ["", CREATED] {
            let stream = format!("{before}{}{COMPLETED}", frame(data));
            let What::Fail(failure) = last(&stream) else { panic!("{data}") };
            assert_eq!(failure.kind, expected, "{data}");
            assert!(!failure.message.is_empty(), "{data}");
            let written = crate::support::data(&write(
                Dialect::Responses,
                setting(),
                &events(Dialect::Responses, stream.as_bytes()),
            ));
            assert_eq!(kind(&written[0]), "response.created", "{data}");
            assert_eq!(kind(written.last().unwrap()), "response.failed", "{data}");
        }
    }
    let What::Fail(failure) = last("event: error\ndata: not json\n\n") else { panic!() };
    assert_eq!(failure.code.as_deref(), Some("malformed_event"));
}

#[test]
fn finishes() {
    let call = frame(
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"custom_tool_call","call_id":"c","name":"n","input":"i"}}"#,
    );
    let cases = [
        (COMPLETED.to_owned(), Finish::Stop),
        (format!("{call}{COMPLETED}"), Finish::ToolCalls),
        (
            frame(r#"{"type":"response.incomplete","response":{"incomplete_details":{"reason":"max_output_tokens"}}}"#),
            Finish::Length,
        ),
        (
            frame(r#"{"type":"response.incomplete","response":{"incomplete_details":{"reason":"content_filter"}}}"#),
            Finish::Filter,
        ),
        (frame(r#"{"type":"response.incomplete","response":{}}"#), Finish::Length),
        (frame(r#"{"type":"response.completed","response":{"status":"incomplete"}}"#), Finish::Length),
        (frame(r#"{"response":{"status":"cancelled"},"type":"response.cancelled"}"#), Finish::Cancelled),
    ];
    for (stream, expected) in cases {
        let What::End { finish, .. } = last(&format!("{CREATED}{stream}{}", text("late"))) else { panic!("{stream}") };
        assert_eq!(finish, expected, "{stream}");
    }
}

#[test]
fn items_of_the_terminal_object_alone() {
    let stream = format!(
        "{CREATED}{}",
        frame(
            r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"late"}]}]}}"#
        )
    );
    let events = events(Dialect::Responses, stream.as_bytes());
    assert!(write(Dialect::Chat, setting(), &events).contains("late"));
    assert_eq!(write(Dialect::Responses, setting(), &events), stream);
    assert_eq!(fold(&events).items.len(), 1);
}

#[test]
fn a_whole_body_instead_of_a_stream() {
    let body = r#"  {"id":"resp_9","object":"response","model":"m","status":"completed","output":[{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"hi"}]}],"usage":{"input_tokens":1,"output_tokens":1}}"#;
    let events = events(Dialect::Responses, body.as_bytes());
    let whole = fold(&events);
    assert_eq!((whole.finish, whole.items.len()), (Some(Finish::Stop), 1));
    let written = write(Dialect::Responses, setting(), &events);
    assert_eq!(kind(data(&written).last().unwrap()), "response.completed");
    let What::Fail(failure) = last(r#"{"error":{"message":"no","code":"model_not_found"}}"#) else { panic!() };
    assert_eq!(failure.kind, Kind::ModelNotFound);
    assert!(matches!(last(r#"{"id":"resp_9","status":"completed","output":["#), What::Fail(_)));
}

#[test]
fn surprising_delta_frames_are_read_all_the_same() {
    let frames = [
        r#"{"delta":"x","type":"response.output_text.delta","output_index":0}"#,
        r#"{ "type" : "response.output_text.delta" , "output_index" : 0.0 , "delta" : "x" }"#,
        r#"{"type":"response.output_text.delta","delta":"\u0078","logprobs":[{"token":"x","top":[{"a":[]}]}],"output_index":0}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"d\u0065lta":"x"}"#,
    ];
    for data in frames {
        let events = events(Dialect::Responses, format!("{CREATED}{}{COMPLETED}", frame(data)).as_bytes());
        let texts = events
            .iter()
            .filter_map(|event| if let What::Delta { data, .. } = &event.what { Some(data.plain()) } else { None });
        assert_eq!(texts.collect::<String>(), "x", "{data}");
    }
    for data in [
        r#"{"type":"response.output_text.delta"}"#,
        r#"{"type":"response.output_text.delta","delta":null}"#,
        r#"{"type":"response.output_text.delta","delta":""}"#,
    ] {
        let stream = format!("{CREATED}{}{COMPLETED}", frame(data));
        let events = events(Dialect::Responses, stream.as_bytes());
        assert!(events.iter().any(|event| event.what == What::Other), "{data}");
        assert!(
            write(Dialect::Responses, setting(), &events).starts_with(&stream[..stream.len() - COMPLETED.len()]),
            "{data}"
        );
    }
}

#[test]
fn invalid_utf8_passes_untouched_and_is_replaced_in_translation() {
    let text = "grüße 😀".as_bytes();
    for at in 0..text.len() {
        for damage in [Some(0xff), None] {
            let mut broken = text.to_vec();
            match damage {
                Some(byte) => broken[at] = byte,
                None => drop(broken.remove(at)),
            }
            let delta =
                [br#"data: {"type":"response.output_text.delta","output_index":0,"delta":""#, &broken[..], b"\"}\n\n"]
                    .concat();
            let stream = [CREATED.as_bytes(), &delta, COMPLETED.as_bytes()].concat();
            let events = events(Dialect::Responses, &stream);
            assert!(matches!(events.last().unwrap().what, What::End { .. }));
            let mut writer = Writer::new(Dialect::Responses, setting());
            let mut out = BytesMut::new();
            for event in &events {
                writer.push(event, &mut out);
            }
            assert_eq!(&out[..], &stream[..], "cut at {at}");
            let chat = write(Dialect::Chat, setting(), &events);
            assert!(chat.contains(&*String::from_utf8_lossy(&broken)), "{chat}");
        }
    }
}

#[test]
fn replies_without_an_opening_event() {
    let events = events(Dialect::Responses, format!("{}{COMPLETED}", text("x")).as_bytes());
    assert!(matches!(events[0].what, What::Open(_)));
    assert!(matches!(events[1].what, What::ItemOpen { .. }));
    let written = data(&write(Dialect::Responses, setting(), &events));
    assert_eq!(kind(&written[0]), "response.created");
    let order: Vec<&str> = written.iter().map(kind).collect();
    assert_eq!(order[2..], ["response.output_text.delta", "response.completed"]);
}

#[test]
fn nothing_precedes_the_opening() {
    let early = frame(r#"{"type":"keepalive"}"#) + &frame(r#"{"type":"response.metadata","headers":{}}"#);
    let late =
        [r#"{"type":"codex.rate_limits"}"#, r#"{"type":"codex.response.metadata","headers":{}}"#].map(frame).concat();
    let metadata = frame(r#"{"type":"response.metadata","headers":{"x-codex-turn-state":"s"}}"#);
    let stream = format!("{early}{CREATED}{late}{metadata}{COMPLETED}");
    for codex in [false, true] {
        let setting = proto::dialect::ReplySetting { codex, ..setting() };
        let written = write(Dialect::Responses, setting, &events(Dialect::Responses, stream.as_bytes()));
        assert!(written.starts_with(CREATED));
        assert_eq!(written.contains("response.metadata"), codex);
        assert!(!written.contains("\"codex."), "what is about one account is not told: {written}");
    }
    let mut out = BytesMut::new();
    Writer::new(Dialect::Responses, setting()).heartbeat(&mut out);
    assert_eq!(&out[..], b": keepalive\n\n");
}

/// A stream with one frame of `length` bytes between its opening and its end.
fn huge(name: &str, field: &str, length: usize) -> Vec<u8> {
    let head =
        format!("event: {name}\ndata: {{\"type\":\"{name}\",\"output_index\":0,\"item_id\":\"m\",\"{field}\":\"");
    let fill = "A".repeat(length - head.len() - 4);
    format!("{CREATED}{head}{fill}\"}}\n\n{COMPLETED}").into_bytes()
}

fn chunks(bytes: &[u8]) -> impl Iterator<Item = Bytes> {
    bytes.chunks(60_000).map(Bytes::copy_from_slice)
}

#[test]
fn huge_events_pass_up_to_the_limit() {
    const LIMIT: usize = 64 << 20;
    let cases = [
        ("response.output_text.delta", 10_000_000, true),
        ("response.output_text.done", 10_000_000, true),
        ("response.output_text.done", LIMIT, true),
        ("response.output_text.done", LIMIT + 1, false),
        ("response.output_text.delta", LIMIT + 1, false),
    ];
    for (name, length, fits) in cases {
        let stream = huge(name, "delta", length);
        let events = read(Dialect::Responses, chunks(&stream));
        assert_eq!(matches!(events.last().unwrap().what, What::End { .. }), fits, "{name} {length}");
        let written = write(Dialect::Responses, setting(), &events);
        assert!(!fits || written.as_bytes() == &stream[..], "{name} {length}");
        let in_pieces = events.iter().any(|event| matches!(event.what, What::Piece { .. }));
        assert_eq!(in_pieces, name.ends_with("done"), "{name}");
        let end = &written[written.trim_end().rfind("event: ").unwrap()..];
        assert_eq!(end.starts_with("event: response.completed"), fits, "{name} {length}");
        assert_eq!(end.starts_with("event: response.failed"), !fits, "{name} {length}");
    }
    let endless = std::iter::repeat_n(Bytes::from(vec![b'x'; 1 << 20]), 70);
    assert!(matches!(read(Dialect::Responses, endless).last().unwrap().what, What::Fail(_)));
}

#[test]
fn a_frame_cut_between_its_pieces_is_closed() {
    let stream = huge("response.output_text.done", "text", 1_000_000);
    for at in [400_000, 700_000, 1_000_060] {
        let mut reader = Reader::new(Wire::Responses);
        let mut writer = Writer::new(Dialect::Responses, setting());
        let (mut events, mut out) = (Vec::<Event>::new(), BytesMut::new());
        chunks(&stream[..at]).for_each(|chunk| reader.push(chunk, &mut events));
        for event in &events {
            writer.push(event, &mut out);
        }
        let length = out.len();
        writer.heartbeat(&mut out);
        assert_eq!(out.len(), length, "a heartbeat would tear the frame");
        events.clear();
        reader.end(&mut events);
        for event in &events {
            writer.push(event, &mut out);
        }
        let written = data(std::str::from_utf8(&out).unwrap());
        let order: Vec<&str> = written.iter().map(kind).collect();
        assert_eq!(order, ["response.created", "response.output_text.done", "response.failed"]);
    }
}

/// Row F24: over HTTP an answer has one reply, whatever ids its events have. Some services send another id in every event.
#[test]
fn ids_may_change_from_event_to_event() {
    let stable = [
        r#"{"type":"response.created","response":{"id":"resp_1","model":"m","created_at":1}}"#,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"msg_1","role":"assistant","content":[]}}"#,
        r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":""}}"#,
        r#"{"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"content_index":0,"delta":"a"}"#,
        r#"{"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":1,"delta":"{\"k\""}"#,
        r#"{"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"content_index":0,"delta":"b"}"#,
        r#"{"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":1,"delta":":1}"}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"ab"}]}}"#,
        r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{\"k\":1}"}}"#,
        r#"{"type":"response.completed","response":{"id":"resp_1","model":"m","created_at":1,"status":"completed","output":[],"usage":{"input_tokens":1,"output_tokens":2}}}"#,
    ];
    let stream = |moving: bool| -> String {
        let frames = stable.iter().enumerate().map(|(at, data)| {
            let rename = |data: String, id: &str| data.replace(&format!("{id}_1\""), &format!("{id}_{at}x\""));
            let data = (*data).to_owned();
            let data = if moving { ["resp", "msg", "fc"].into_iter().fold(data, rename) } else { data };
            format!("data: {data}\n\n")
        });
        frames.collect()
    };
    let (still, moved) = (stream(false), stream(true));
    assert_ne!(still, moved);
    let (still, moved) = (events(Dialect::Responses, still.as_bytes()), events(Dialect::Responses, moved.as_bytes()));
    assert!(matches!(moved.last().unwrap().what, What::End { .. }), "{moved:?}");
    for client in [Dialect::Chat, Dialect::Messages, Dialect::Gemini, Dialect::Ollama] {
        let setting = || proto::dialect::ReplySetting { id: "own".into(), ..setting() };
        assert_eq!(write(client, setting(), &bare(&moved)), write(client, setting(), &bare(&still)), "{client:?}");
    }
    let passed = write(Dialect::Responses, setting(), &moved);
    let before_the_end = |text: &str| text[..text.find("response.completed").unwrap()].to_owned();
    assert_eq!(before_the_end(&passed), before_the_end(&stream(true)), "frames pass as they came");
}

/// A response object from the gateway repeats the request's settings.
#[test]
fn objects_of_ours_repeat_their_request() {
    let body = serde_json::json!({
        "model": "m", "input": "a", "instructions": "Be brief.", "temperature": 0.5, "max_output_tokens": 99,
        "tool_choice": "none", "tools": [{"type": "function", "name": "f", "parameters": {}}], "metadata": {"k": "v"},
    });
    let (request, _) = Dialect::Responses.read_request(Bytes::from(body.to_string())).unwrap();
    let echo = proto::dialect::responses::Echo::of(&request);
    let setting = || proto::dialect::ReplySetting { echo: echo.clone(), ..setting() };
    let events = bare(&events(Dialect::Responses, format!("{CREATED}{COMPLETED}").as_bytes()));
    let mut objects: Vec<serde_json::Value> =
        data(&write(Dialect::Responses, setting(), &events)).iter().map(|event| event["response"].clone()).collect();
    objects.push(serde_json::from_slice(&Dialect::Responses.whole(&fold(&events), &setting())).unwrap());
    for object in objects.iter().filter(|object| object.is_object()) {
        for name in ["instructions", "temperature", "max_output_tokens", "tool_choice", "tools", "metadata"] {
            assert_eq!(object[name], body[name], "{name}: {object}");
        }
        assert_eq!((&object["top_p"], &object["truncation"]), (&1.0.into(), &"disabled".into()));
    }
}
