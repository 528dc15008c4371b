use bytes::{Bytes, BytesMut};

use super::has_finish_reason;
use crate::canon::{Carrier, Channel, Event, Finish, Head, Open, RawFrame, What};
use crate::dialect::{Dialect, ReplySetting, Writer};

fn frame(dialect: Dialect, text: &str) -> RawFrame {
    RawFrame { dialect, bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

fn event(what: What, frame: Option<&RawFrame>) -> Event {
    Event { what, carrier: frame.cloned().map_or(Carrier::Ours, Carrier::Frame) }
}

/// An event that another event's frame covers.
fn covered(what: What) -> Event {
    Event { what, carrier: Carrier::Covered(Dialect::Chat) }
}

fn delta(text: &str) -> What {
    What::Delta { at: 0, part: 0, channel: Channel::Text, data: text.into() }
}

fn open() -> What {
    What::Open(Open { id: "chatcmpl-up".into(), model: Some("m".into()), created: 1 })
}

fn write(events: &[Event]) -> String {
    let setting = ReplySetting { id: "chatcmpl-own".to_owned(), ..ReplySetting::default() };
    let mut writer = Writer::new(Dialect::Chat, setting);
    let mut out = BytesMut::new();
    for event in events {
        writer.push(event, &mut out);
    }
    writer.end(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn a_frame_with_several_events_goes_out_once() {
    let first = frame(Dialect::Chat, "data: one\n\n");
    let second = frame(Dialect::Chat, "data: one\n\n");
    let events = [
        event(open(), Some(&first)),
        covered(What::ItemOpen { at: 0, head: Head::Message { phase: None } }),
        covered(delta("a")),
        event(delta("a"), Some(&second)),
    ];
    assert!(write(&events).starts_with("data: one\n\ndata: one\n\ndata: {\"error\":"));
}

#[test]
fn an_edited_delta_fits_between_the_frames() {
    let before = frame(Dialect::Chat, "data: before\n\n");
    let done = frame(Dialect::Chat, "data: [DONE]\n\n");
    let events = [
        event(open(), Some(&before)),
        event(delta("cut"), None),
        event(What::End { finish: Finish::Length, response: None }, Some(&done)),
    ];
    let out = write(&events);
    let frames: Vec<&str> = out.split_terminator("\n\n").collect();
    assert_eq!(frames.len(), 4);
    assert!(frames[1].contains(r#""id":"chatcmpl-up""#) && frames[1].contains(r#""content":"cut""#));
    assert!(frames[2].contains(r#""finish_reason":"length""#));
    assert_eq!(frames[3], "data: [DONE]");
}

#[test]
fn frames_of_other_dialects_do_not_pass() {
    let foreign = frame(Dialect::Responses, "event: response.output_text.delta\ndata: {}\n\n");
    let out = write(&[event(delta("a"), Some(&foreign)), event(What::Other, Some(&foreign))]);
    assert!(!out.contains("event:"));
    assert!(out.contains(r#""delta":{"content":"a"}"#));
}

#[test]
fn nothing_pushed_is_one_error() {
    let out = write(&[]);
    assert!(out.starts_with(r#"data: {"error":{"message":"#), "{out}");
    assert_eq!(out.matches("data:").count(), 1);
}

#[test]
fn a_finish_reason_that_was_passed_is_not_written_again() {
    let done = frame(Dialect::Chat, "data: [DONE]\n\n");
    let cases = [
        ("data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n", 1),
        ("data: {\"choices\":[{\"finish_reason\":\ndata: \"stop\"}]}\n\n", 1),
        ("data: {\"choices\":[{\"finish_reason\":null}]}\n\n", 2),
        ("data: {\"choices\":[{\"finish_reason\":\"\"}]}\n\n", 2),
        (": \"finish_reason\":\"stop\"\ndata: {\"choices\":[{\"finish_reason\":null}]}\n\n", 2),
    ];
    for (text, chunks) in cases {
        let passed = frame(Dialect::Chat, text);
        let end = What::End { finish: Finish::Stop, response: None };
        let out = write(&[event(open(), Some(&passed)), event(end, Some(&done))]);
        assert_eq!(out.matches("choices").count(), chunks, "{out}");
    }
}

#[test]
fn finish_reasons_are_read_with_any_white_space() {
    for text in
        [r#""finish_reason":"stop""#, r#""finish_reason" : "length""#, r#""finish_reason":null,"finish_reason":"stop""#]
    {
        assert!(has_finish_reason(text.as_bytes()), "{text}");
    }
    for text in [r#""finish_reason":null"#, r#""finish_reason":"""#, r#""content":"\"finish_reason\":\"stop\"""#, ""] {
        assert!(!has_finish_reason(text.as_bytes()), "{text}");
    }
}
