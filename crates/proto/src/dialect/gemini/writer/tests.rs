use bytes::{Bytes, BytesMut};

use super::has_finish_reason;
use crate::canon::{Carrier, Channel, Event, Finish, Head, Open, RawFrame, ReplyOptions, What};
use crate::dialect::{Dialect, ReplySetting, Writer};
use crate::text::Text;

fn frame(dialect: Dialect, bytes: &'static str) -> RawFrame {
    RawFrame { dialect, bytes: Bytes::from_static(bytes.as_bytes()) }
}

fn event(what: What, frame: Option<&RawFrame>) -> Event {
    Event { what, carrier: frame.cloned().map_or(Carrier::Ours, Carrier::Frame) }
}

/// An event that another event's frame covers.
fn covered(what: What) -> Event {
    Event { what, carrier: Carrier::Covered(Dialect::Gemini) }
}

fn open() -> What {
    What::Open(Open { id: "r1".into(), model: Some("up".into()), created: 0 })
}

fn delta(text: &str) -> What {
    What::Delta { at: 0, part: 0, channel: Channel::Text, data: Text::from_plain(text) }
}

fn write(events: &[Event], array: bool) -> String {
    write_for(events, ReplyOptions { array, ..ReplyOptions::default() })
}

fn write_for(events: &[Event], reply: ReplyOptions) -> String {
    let setting = ReplySetting { model: "m".to_owned(), reply, ..ReplySetting::default() };
    let (mut writer, mut out) = (Writer::new(Dialect::Gemini, setting), BytesMut::new());
    for event in events {
        writer.push(event, &mut out);
    }
    writer.end(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn a_frame_with_several_events_goes_out_once() {
    let first = frame(Dialect::Gemini, "data: {\"one\":1}\n\n");
    let last = frame(Dialect::Gemini, "data: {\"two\":2}\n\n");
    let events = [
        event(open(), Some(&first)),
        covered(What::ItemOpen { at: 0, head: Head::Message { phase: None } }),
        covered(delta("a")),
        event(What::End { finish: Finish::Stop, response: None }, Some(&last)),
    ];
    assert_eq!(write(&events, false), "data: {\"one\":1}\n\ndata: {\"two\":2}\n\n");
    assert_eq!(write(&events, true), "[{\"one\":1},\n{\"two\":2}]");
}

#[test]
fn an_edited_delta_fits_between_the_frames() {
    let before = frame(Dialect::Gemini, "data: {\"one\":1}\n\n");
    let events = [
        event(open(), Some(&before)),
        event(delta("cut"), None),
        event(What::End { finish: Finish::Length, response: None }, None),
    ];
    let out = write(&events, false);
    let frames: Vec<&str> = out.split_terminator("\n\n").collect();
    assert_eq!(frames.len(), 3, "{out}");
    assert!(frames[1].contains(r#"{"text":"cut"}"#) && frames[1].contains(r#""modelVersion":"up","responseId":"r1""#));
    assert!(frames[2].contains(r#""finishReason":"MAX_TOKENS""#));
}

#[test]
fn an_upstreams_finish_reason_is_not_repeated() {
    let last = frame(Dialect::Gemini, "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n");
    let events = [
        event(open(), Some(&last)),
        event(What::End { finish: Finish::Stop, response: None }, None),
        event(open(), None),
    ];
    assert_eq!(write(&events, false).matches("finishReason").count(), 1);
    let finishes = |reply: &str| has_finish_reason(&bytes::Bytes::from(format!("data: {reply}\n\n")));
    assert!(finishes(r#"{"candidates":[{"finishReason" : "STOP"}]}"#));
    assert!(finishes(r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#));
    assert!(!finishes(r#"{"candidates":[{"finishReason":null,"text":"\"finishReason\":\"STOP\""}]}"#));
    assert!(!finishes(r#"{"other":[{"finishReason":"STOP"}]}"#));
}

#[test]
fn frames_of_other_dialects_do_not_pass() {
    let foreign = frame(Dialect::Chat, "data: {\"choices\":[]}\n\n");
    let out = write(&[event(delta("a"), Some(&foreign)), event(What::Other, Some(&foreign))], false);
    assert!(!out.contains("choices") && out.contains(r#"{"text":"a"}"#));
}

#[test]
fn nothing_pushed_is_one_error() {
    assert!(write(&[], false).starts_with(r#"{"error":{"code":502,"#));
    assert!(write(&[], true).starts_with(r#"[{"error":{"code":502,"#));
}

#[test]
fn an_error_stands_where_the_client_looks_for_it() {
    let framed = |array| ReplyOptions { array, framed_errors: true, ..ReplyOptions::default() };
    let out = write_for(&[], framed(false));
    assert!(out.starts_with(r#"data: {"error":{"code":502,"#) && out.ends_with("}\n\n"));
    assert_eq!(write_for(&[], framed(true)), write(&[], true));
}
