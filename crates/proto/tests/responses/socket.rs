//! The dialect over sockets: which items a turn leaves out, the frame that it becomes, and messages as lines of a stream.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use proto::dialect::ReplySetting;
use proto::dialect::responses::Stored;
use proto::dialect::responses::socket::{Chain, EventClass, Foreign, Refusal, TurnRequest, event, refusal};
use proto::framing::Framing;
use proto::{Dialect, Event, Reader, What, Wire, Writer};
use rstest::rstest;

use crate::support::{STREAMS, data, events, kind, setting, write};

fn turn(body: &str) -> TurnRequest {
    TurnRequest::read(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

/// A body of the conversation so far, the items as JSON.
fn body(items: &[&str]) -> String {
    let items = items.join(",");
    format!(
        r#"{{"model":"m","instructions":"i","stream":true,"input":[{items}],"store":false,"client_metadata":{{"a":"b"}}}}"#
    )
}

fn user(text: &str) -> String {
    format!(r#"{{"type":"message","role":"user","content":[{{"type":"input_text","text":"{text}"}}]}}"#)
}

fn done(item: &str) -> Bytes {
    Bytes::from(format!(r#"{{"type":"response.output_item.done","output_index":0,"item":{item}}}"#))
}

fn created(id: &str) -> Bytes {
    Bytes::from(format!(r#"{{"type":"response.created","response":{{"id":"{id}"}}}}"#))
}

fn completed(id: &str) -> Bytes {
    Bytes::from(format!(r#"{{"type":"response.completed","response":{{"id":"{id}","output":[]}}}}"#))
}

/// The other end's stored state after a turn and its reply.
fn chain(body: &str, replied: &[&str]) -> Chain {
    let mut record = turn(body).record();
    let messages =
        std::iter::once(created("resp_1")).chain(replied.iter().map(|item| done(item))).chain([completed("resp_1")]);
    for message in messages {
        let (_, class) = event(&message).unwrap();
        record.see(&message, class).unwrap();
    }
    record.chain().unwrap()
}

const HELLO: &str = r#"{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"h\u00e9llo","annotations":[],"logprobs":[]}]}"#;
const HELLO_BACK: &str = r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"héllo"}]}"#;
const THOUGHT: &str = r#"{"type":"reasoning","id":"rs_1","encrypted_content":"gAAA","summary":[]}"#;
const CALL: &str = r#"{"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"{\"a\": [1, 2], \"b\":\"x y\"}","status":"completed","namespace":"functions"}"#;
const CALL_BACK: &str =
    r#"{"type":"function_call","call_id":"call_1","name":"f","arguments":"{\"a\":[1,2],\"b\":\"x y\"}"}"#;
const RESULT: &str = r#"{"type":"function_call_output","call_id":"call_1","output":"ok"}"#;

#[rstest]
#[case::a_message_written_by_another_hand(&[HELLO], &[HELLO_BACK, "USER"], Some(2))]
#[case::reasoning_that_comes_back(&[THOUGHT, HELLO], &[THOUGHT, HELLO_BACK, "USER"], Some(3))]
#[case::reasoning_that_the_client_has_lost(&[THOUGHT, HELLO], &[HELLO_BACK, "USER"], Some(2))]
#[case::arguments_written_anew(&[CALL], &[CALL_BACK, RESULT], Some(2))]
#[case::thoughts_and_a_call(&[THOUGHT, CALL], &[CALL_BACK, RESULT], Some(2))]
#[case::nothing_new(&[HELLO], &[HELLO_BACK], None)]
#[case::the_reply_is_requested_again(&[HELLO], &[], None)]
#[case::another_reply(&[HELLO], &[r#"{"type":"message","role":"assistant","content":"hello"}"#, "USER"], None)]
#[case::other_arguments(&[CALL], &[r#"{"type":"function_call","call_id":"call_1","name":"f","arguments":"{\"a\":[1,2],\"b\":\"xy\"}"}"#, RESULT], None)]
#[case::a_call_left_out(&[HELLO, CALL], &[HELLO_BACK, "USER"], None)]
#[case::reasoning_of_somebody_else(&[HELLO], &[THOUGHT, HELLO_BACK, "USER"], None)]
fn a_turn_sends_only_new_items(#[case] replied: &[&str], #[case] back: &[&str], #[case] known: Option<usize>) {
    let first = user("one");
    let chain = chain(&body(&[&first]), replied);
    let second = user("two");
    let back = back.iter().map(|item| if *item == "USER" { second.as_str() } else { item });
    let items: Vec<&str> = std::iter::once(first.as_str()).chain(back).collect();
    assert_eq!(turn(&body(&items)).known(&chain), known);
}

/// Where the reply's items were not all seen one by one, the request does not rely on the other end's stored state.
#[test]
fn items_that_only_the_end_lists_make_no_chain() {
    let mut record = turn(&body(&[])).record();
    let end = format!(r#"{{"type":"response.completed","response":{{"id":"resp_1","output":[{HELLO}]}}}}"#);
    record.see(&Bytes::from(end), EventClass::Completed).unwrap();
    assert_eq!(record.chain(), None);
    let mut record = turn(&body(&[])).record();
    record.see(&Bytes::from_static(br#"{"type":"response.output_item.done"}"#), EventClass::ItemDone).unwrap();
    record.see(&completed("resp_1"), EventClass::Completed).unwrap();
    assert_eq!(record.chain(), None);
}

#[test]
fn another_beginning_is_another_conversation() {
    let chain = chain(&body(&[&user("one")]), &[HELLO]);
    let other = turn(&body(&[&user("ONE"), HELLO_BACK, &user("two")]));
    assert_eq!(other.known(&chain), None);
    let model = body(&[&user("one"), HELLO_BACK, &user("two")]).replace("\"m\"", "\"n\"");
    assert_eq!(turn(&model).known(&chain), None);
    let changed = body(&[&user("one"), HELLO_BACK, &user("two")]).replace("\"i\"", "\"j\"");
    assert_eq!(turn(&changed).known(&chain), None);
}

#[test]
fn the_frame_has_the_official_clients_order() {
    let chain = chain(&body(&[&user("one")]), &[HELLO]);
    let next = turn(&body(&[&user("one"), HELLO_BACK, &user("two")]));
    let known = next.known(&chain).unwrap();
    let frame = next.frame(Some((&chain, known)), true, &[("x-codex-turn-state", "s\"1".to_owned())]);
    let wanted = format!(
        r#"{{"type":"response.create","model":"m","instructions":"i","stream":true,"previous_response_id":"resp_1","input":[{}],"store":false,"client_metadata":{{"a":"b","x-codex-turn-state":"s\"1"}}}}"#,
        user("two")
    );
    assert_eq!(std::str::from_utf8(&frame).unwrap(), wanted);
    let warm = turn(&body(&[])).frame(None, false, &[]);
    let wanted = r#"{"type":"response.create","model":"m","instructions":"i","stream":true,"input":[],"store":false,"generate":false,"client_metadata":{"a":"b"}}"#;
    assert_eq!(std::str::from_utf8(&warm).unwrap(), wanted);
}

#[test]
fn own_metadata_replaces_the_clients() {
    let frame = turn(&body(&[])).frame(None, true, &[("a", "c".to_owned()), ("d", "e".to_owned())]);
    assert!(frame.ends_with(br#""client_metadata":{"a":"c","d":"e"}}"#), "{frame:?}");
    let bare = turn(r#"{"model":"m","input":[]}"#).frame(None, false, &[("a", "c".to_owned())]);
    let wanted = r#"{"type":"response.create","model":"m","input":[],"generate":false,"client_metadata":{"a":"c"}}"#;
    assert_eq!(std::str::from_utf8(&bare).unwrap(), wanted);
}

#[rstest]
#[case(r#"{"type":"codex.rate_limits","rate_limits":{}}"#, Some(EventClass::OutOfBand))]
#[case(r#"{"type":"codex.response.metadata","headers":{}}"#, Some(EventClass::OutOfBand))]
#[case(r#"{"type":"response.metadata","headers":{}}"#, Some(EventClass::OutOfBand))]
#[case(r#"{"type":"keepalive"}"#, Some(EventClass::OutOfBand))]
#[case(r#"{"type":"response.created","response":{}}"#, Some(EventClass::Part))]
#[case(r#"{"sequence_number":1,"type":"response.created"}"#, Some(EventClass::Part))]
#[case("{\n  \"type\": \"response.output_item.done\"\n}", Some(EventClass::ItemDone))]
#[case(r#"{"type":"response.completed","response":{}}"#, Some(EventClass::Completed))]
#[case(r#"{"type":"response.incomplete","response":{}}"#, Some(EventClass::Incomplete))]
#[case(r#"{"type":"response.failed","response":{}}"#, Some(EventClass::Incomplete))]
#[case(r#"{"type":"error","status":429}"#, Some(EventClass::Error))]
#[case(r#"{"type":"something.new"}"#, Some(EventClass::Part))]
#[case(r#"{"a":1,"type":"a\ndata: b"}"#, None)]
#[case("no event", None)]
#[case(r#"{"no":"type"}"#, None)]
#[case(" {\"type\":\"keepalive\"}\r\n", Some(EventClass::OutOfBand))]
fn messages_are_events(#[case] message: &str, #[case] class: Option<EventClass>) {
    let event = event(&Bytes::copy_from_slice(message.as_bytes()));
    assert_eq!(event.as_ref().map(|(_, class)| *class), class);
    let one_line = |event: &Bytes| event.starts_with(b"{") && event.ends_with(b"}") && !event.contains(&b'\n');
    assert!(event.is_none_or(|(event, _)| one_line(&event)), "one line");
}

#[test]
fn a_reply_that_ends_as_another_is_noticed() {
    let mut record = turn(&body(&[])).record();
    record.see(&created("resp_1"), EventClass::Part).unwrap();
    assert_eq!(record.clone().see(&completed("resp_2"), EventClass::Completed), Err(Foreign));
    record.see(&completed("resp_1"), EventClass::Completed).unwrap();
    assert_eq!(record.chain().unwrap().response(), "resp_1");
}

#[test]
fn a_refusal_frame_is_read() {
    let frame = r#"{"type":"error","error":{"type":"usage_limit_reached"},"status_code":429,"headers":{"X-Codex-Plan-Type":"plus","N":7,"O":{}}}"#;
    let read = refusal(&Bytes::from_static(frame.as_bytes())).unwrap();
    let headers = vec![("X-Codex-Plan-Type".to_owned(), "plus".to_owned()), ("N".to_owned(), "7".to_owned())];
    assert_eq!(read, Refusal { status: Some(429), code: Some("usage_limit_reached".to_owned()), headers });
    let bare = refusal(&Bytes::from_static(br#"{"type":"error","status":200}"#)).unwrap();
    assert_eq!(bare, Refusal { status: None, code: None, headers: Vec::new() });
}

/// A reply is the same in both framings, from messages and from server-sent events, and each server-sent event has its type as its name.
#[rstest]
fn both_framings_give_the_same_events(
    #[values(false, true)] messages: bool,
    #[values(Framing::ServerSentEvents, Framing::Lines)] client: Framing,
    #[values(false, true)] codex: bool,
    #[values(false, true)] stored: bool,
) {
    let marks = Stored { store: Some(true), previous: Some("resp_0".into()), max_bytes: Some(1 << 20) };
    for (name, stream) in STREAMS {
        let mut setting = ReplySetting { codex, ..setting() };
        if stored {
            setting.stored = marks.clone();
        }
        let wanted = data(&write(Dialect::Responses, setting.clone(), &events(Dialect::Responses, stream.as_bytes())));
        let mut reader = Reader::new(Wire::Responses).for_framing(client);
        let mut read = Vec::new();
        if messages {
            reader.read_messages();
            let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
            for (event, _) in data.filter_map(|data| event(&Bytes::copy_from_slice(data.as_bytes()))) {
                reader.push(event, &mut read);
            }
        } else {
            reader.push(Bytes::copy_from_slice(stream.as_bytes()), &mut read);
        }
        reader.end(&mut read);
        setting.framing = client;
        let written = write(Dialect::Responses, setting, &read);
        let got: Vec<serde_json::Value> = match client {
            Framing::Lines => written.lines().map(|line| serde_json::from_str(line).expect(line)).collect(),
            Framing::ServerSentEvents => data(&written),
        };
        assert_eq!(got, wanted, "{name}");
        if client == Framing::ServerSentEvents {
            let names: Vec<&str> = written.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
            assert_eq!(names, wanted.iter().map(kind).collect::<Vec<_>>(), "{name}");
        }
    }
}

/// A client that reads messages gets a large frame whole, and gets empty lines as keepalives until the reply begins.
#[test]
fn messages_are_whole() {
    let picture = "A".repeat(600 << 10);
    let events = [
        r#"{"type":"response.created","response":{"id":"resp_1"}}"#.to_owned(),
        format!(r#"{{"type":"something.new","picture":"{picture}"}}"#),
        r#"{"type":"response.completed","response":{"id":"resp_1","output":[]}}"#.to_owned(),
    ];
    let mut setting = setting();
    setting.framing = Framing::Lines;
    let (mut reader, mut writer) =
        (Reader::new(Wire::Responses).for_framing(Framing::Lines), Writer::new(Dialect::Responses, setting));
    let mut out = BytesMut::new();
    writer.heartbeat(&mut out);
    let stream = format!("data: {}\n\n", events.join("\n\ndata: "));
    for chunk in stream.as_bytes().chunks(64 << 10) {
        let mut read = Vec::new();
        reader.push(Bytes::copy_from_slice(chunk), &mut read);
        for event in &read {
            writer.push(event, &mut out);
        }
    }
    let text = String::from_utf8(out.to_vec()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines[1], lines[2]), ("", &*events[0], &*events[1]));
    assert_eq!(lines.len(), 4);
}

proptest! {
    /// The reader reads the same from a message as from the same event of a stream.
    #[test]
    fn messages_read_as_stream_frames(text in "\\PC{0,40}") {
        let delta = serde_json::json!({ "type": "response.output_text.delta", "item_id": "m", "output_index": 0,
            "content_index": 0, "delta": text });
        let mut reader = Reader::new(Wire::Responses);
        reader.read_messages();
        let mut events: Vec<Event> = Vec::new();
        for message in [created("resp_1"), Bytes::from(delta.to_string())] {
            reader.push(event(&message).unwrap().0, &mut events);
        }
        let text_read: String = events.iter().filter_map(|event| match &event.what {
            What::Delta { data, .. } => Some(data.plain().into_owned()),
            _ => None,
        }).collect();
        prop_assert_eq!(text_read, text);
    }

    /// Arbitrary messages never panic, and an accepted message is a frame.
    #[test]
    fn no_message_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let message = Bytes::from(bytes);
        let _ = (event(&message), refusal(&message));
        if let Some(turn) = proto::json::check(&message).ok().and_then(|()| TurnRequest::read(message.clone())) {
            let _ = turn.frame(None, true, &[]);
        }
    }
}
