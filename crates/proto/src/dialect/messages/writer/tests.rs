use bytes::{Bytes, BytesMut};

use super::PING;
use crate::canon::{CallKind, Channel, Event, Finish, Head, Item, ItemKind, Open, What};
use crate::dialect::{Dialect, ReplySetting, Writer};
use crate::text::Text;

fn writer() -> Writer {
    let model = "m".to_owned();
    Writer::new(Dialect::Messages, ReplySetting { id: "msg_1".to_owned(), model, ..ReplySetting::default() })
}

/// A writer's output for these events, without the frames that open the reply.
fn written(events: Vec<What>) -> String {
    let (mut writer, mut out) = (writer(), BytesMut::new());
    writer.push(&Event::new(What::Open(Open { id: "x".into(), model: None, created: 0 })), &mut out);
    let head = out.len();
    for what in events {
        writer.push(&Event::new(what), &mut out);
    }
    String::from_utf8(out[head..].to_vec()).expect("UTF-8")
}

fn call(at: u32, name: &str) -> What {
    let (call_id, name) = (format!("call_{at}").as_str().into(), name.into());
    What::ItemOpen { at, head: Head::Call { kind: CallKind::Function, call_id, name, namespace: None } }
}

fn arguments(at: u32, data: &str) -> What {
    What::Delta { at, part: 0, channel: Channel::Arguments, data: data.into() }
}

fn called(at: u32, name: &str, input: &str) -> What {
    let (call_id, name, input) = (format!("call_{at}").as_str().into(), name.into(), input.into());
    let kind = ItemKind::Call { kind: CallKind::Function, id: None, call_id, name, namespace: None, input };
    What::ItemDone { at, item: Item { kind, raw: None } }
}

fn end() -> What {
    What::End { finish: Finish::ToolCalls, response: None }
}

#[test]
fn interleaved_calls_are_written_in_sequence() {
    let apart = written(vec![
        call(0, "a"),
        arguments(0, "{"),
        arguments(0, "}"),
        called(0, "a", "{}"),
        call(1, "b"),
        arguments(1, "[]"),
        called(1, "b", "[]"),
        end(),
    ]);
    let mixed = written(vec![
        call(0, "a"),
        call(1, "b"),
        arguments(0, "{"),
        arguments(1, "[]"),
        arguments(0, "}"),
        called(1, "b", "[]"),
        called(0, "a", "{}"),
        end(),
    ]);
    assert_eq!(apart, mixed);
}

#[test]
fn an_item_without_an_end_is_ended_with_the_reply() {
    let out = written(vec![call(0, "a"), call(1, "b"), arguments(1, "{}"), end()]);
    assert_eq!(out.matches("event: content_block_start").count(), 2);
    assert_eq!(out.matches("event: content_block_stop").count(), 2);
    assert!(out.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
}

#[test]
fn deltas_after_the_end_of_an_item_are_dropped() {
    let out = written(vec![called(0, "a", "{}"), arguments(0, "more"), end()]);
    assert!(!out.contains("more"));
}

#[test]
fn idle_clients_get_pings_once_the_reply_is_open() {
    let (mut writer, mut out) = (writer(), BytesMut::new());
    writer.heartbeat(&mut out);
    assert_eq!(&out[..], b": keepalive\n\n");
    writer.push(&Event::new(What::Open(Open { id: "x".into(), model: None, created: 0 })), &mut out);
    out.clear();
    writer.heartbeat(&mut out);
    assert_eq!(&out[..], PING);
    writer.push(&Event::new(end()), &mut out);
    out.clear();
    writer.heartbeat(&mut out);
    writer.end(&mut out);
    assert!(out.is_empty());
}

/// The pieces of a waiting item are joined to one event, and hold no memory of their chunks.
#[test]
fn pieces_that_wait_are_joined() {
    let (mut writer, mut out) = (writer(), BytesMut::new());
    for what in [call(0, "a"), call(1, "b")] {
        writer.push(&Event::new(what), &mut out);
    }
    for _ in 0..100 {
        let chunk = Bytes::from(b"1,".to_vec());
        let data = Text::from_escaped(chunk.clone());
        writer.push(&Event::new(What::Delta { at: 1, part: 0, channel: Channel::Arguments, data }), &mut out);
        assert!(chunk.is_unique());
    }
    out.clear();
    writer.push(&Event::new(arguments(0, "{}")), &mut out);
    writer.push(&Event::new(called(0, "a", "{}")), &mut out);
    let text = std::str::from_utf8(&out).expect("UTF-8");
    assert_eq!(text.matches(&"1,".repeat(100)).count(), 1);
    assert_eq!(text.matches("input_json_delta").count(), 2, "{text}");
}
