//! Every writer, with texts that hold such characters.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::escape;
use crate::canon::{CallKind, Carrier, Channel, Event, Finish, Head, Item, ItemKind, Open, Part, RawFrame, What};
use crate::dialect::ReplySetting;
use crate::{Dialect, Failure, Kind, Text, Writer};

const ENDS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];
const DIALECTS: [Dialect; 5] = [Dialect::Responses, Dialect::Chat, Dialect::Messages, Dialect::Gemini, Dialect::Ollama];

fn written(dialect: Dialect, events: &[Event]) -> String {
    let setting =
        ReplySetting { id: "id\u{2028}".to_owned(), model: "m\u{2029}".to_owned(), ..ReplySetting::default() };
    let (mut writer, mut out) = (Writer::new(dialect, setting), BytesMut::new());
    for event in events {
        writer.push(event, &mut out);
    }
    writer.end(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

/// A reply with `text` in every place that can hold text.
fn reply(text: &str) -> Vec<Event> {
    let plain = Text::from_plain(text);
    let input = Text::from_plain(&serde_json::json!({ "a": text }).to_string());
    let part = Part::Text { text: plain.clone(), annotations: None };
    let message = ItemKind::Message { id: None, role: crate::canon::Role::Assistant, parts: vec![part], phase: None };
    let summary = vec![plain.clone()];
    let thought = ItemKind::Reasoning { id: None, summary, text: Vec::new(), encrypted: Some(plain.clone()) };
    let (call_id, name) = (plain.clone(), plain.clone());
    let call = ItemKind::Call { kind: CallKind::Function, id: None, call_id, name, namespace: None, input };
    let item = |kind| Item { kind, raw: None };
    vec![
        Event::new(What::Open(Open { id: plain.clone(), model: Some(plain.clone()), created: 1 })),
        Event::new(What::ItemDone { at: 0, item: item(thought) }),
        Event::new(What::ItemOpen { at: 1, head: Head::Message { phase: None } }),
        Event::new(What::Delta { at: 1, part: 0, channel: Channel::Text, data: plain.clone() }),
        Event::new(What::ItemDone { at: 1, item: item(message) }),
        Event::new(What::ItemDone { at: 2, item: item(call) }),
    ]
}

fn is_clean(text: &str) -> bool {
    !text.contains(ENDS)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_frame_of_ours_has_one(text in r#"[a"\\\u{80}-\u{90}\u{A2}\u{2020}-\u{2030}é\n]{0,12}"#, failed in any::<bool>()) {
        let mut events = reply(&text);
        events.push(Event::new(if failed {
            What::Fail(Failure::new(Kind::Upstream, text.clone()))
        } else {
            What::End { finish: Finish::Stop, response: None }
        }));
        for dialect in DIALECTS {
            let out = written(dialect, &events);
            prop_assert!(is_clean(&out), "{dialect:?}: {out:?}");
            for line in out.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line)) {
                if line.starts_with('{') {
                    prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{dialect:?}: {line}");
                }
            }
        }
    }

    #[test]
    fn an_escaped_text_means_the_same(text in r"[a\u{80}-\u{90}\u{C2}\u{E2}\u{2020}-\u{2030}é]{0,20}") {
        let mut out = BytesMut::from("before\u{2028}".as_bytes());
        let from = out.len();
        out.extend_from_slice(&serde_json::to_vec(&text).unwrap());
        escape(&mut out, from, None);
        prop_assert_eq!(&out[..from], "before\u{2028}".as_bytes());
        prop_assert!(is_clean(std::str::from_utf8(&out[from..]).unwrap()));
        prop_assert_eq!(serde_json::from_slice::<String>(&out[from..]).unwrap(), text);
    }
}

#[test]
fn frames_of_the_upstream_stay_as_they_came() {
    let text = "a\u{2028}b\u{85}";
    let chunk = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let carrier = Carrier::Frame(RawFrame { dialect: Dialect::Chat, bytes: Bytes::from(chunk.clone()) });
    let what = What::Delta { at: 0, part: 0, channel: Channel::Text, data: Text::from_plain(text) };
    let out = written(Dialect::Chat, &[Event { what: what.clone(), carrier: carrier.clone() }]);
    assert!(out.starts_with(&chunk), "{out}");
    assert!(is_clean(&out[chunk.len()..]));
    let other = written(Dialect::Ollama, &[Event { what, carrier }]);
    assert!(is_clean(&other) && other.contains(r"a\u2028b\u0085"), "{other}");
}
