use bytes::Bytes;

use super::{Fold, Whole};
use crate::canon::{
    CallKind, Carrier, Channel, Event, Finish, Head, Item, ItemKind, Part, RawFrame, Role, Usage, What,
};
use crate::dialect::Dialect;
use crate::failure::{Failure, Kind};
use crate::text::{Json, Text};

fn fold(events: impl IntoIterator<Item = What>) -> Whole {
    let mut fold = Fold::new();
    for what in events {
        fold.push(&Event::new(what));
    }
    fold.finish()
}

fn delta(at: u32, part: u32, channel: Channel, data: &str) -> What {
    What::Delta { at, part, channel, data: data.into() }
}

fn open(at: u32, head: Head) -> What {
    What::ItemOpen { at, head }
}

const MESSAGE: Head = Head::Message { phase: None };

fn message(texts: &[&str]) -> ItemKind {
    let parts = texts.iter().map(|text| Part::Text { text: (*text).into(), annotations: None }).collect();
    ItemKind::Message { id: None, role: Role::Assistant, parts, phase: None }
}

#[test]
fn items_without_an_end_are_made_of_their_pieces() {
    let call = Head::Call { kind: CallKind::Function, call_id: "c".into(), name: "f".into(), namespace: None };
    let whole = fold([
        open(2, call),
        open(0, Head::Reasoning),
        open(1, MESSAGE),
        delta(1, 1, Channel::Text, "b1"),
        delta(1, 0, Channel::Text, "a1 "),
        delta(2, 0, Channel::Arguments, "{}"),
        delta(1, 0, Channel::Text, "a2"),
        delta(0, 0, Channel::Summary, "why"),
        What::Usage(Usage { input: 1, ..Usage::default() }),
        What::End { finish: Finish::ToolCalls, response: None },
    ]);
    assert_eq!(whole.items.len(), 3);
    assert!(matches!(&whole.items[0].kind, ItemKind::Reasoning { summary, .. } if *summary == ["why".into()]));
    assert_eq!(whole.items[1].kind, message(&["a1 a2", "b1"]));
    assert!(matches!(&whole.items[2].kind, ItemKind::Call { input, .. } if input.is("{}")));
    assert_eq!((whole.finish, whole.usage.unwrap().input), (Some(Finish::ToolCalls), 1));
}

#[test]
fn a_finished_item_counts_more_than_its_pieces() {
    let item = Item { kind: message(&["whole"]), raw: None };
    let done = What::ItemDone { at: 0, item: item.clone() };
    assert_eq!(fold([open(0, MESSAGE), delta(0, 0, Channel::Text, "piece"), done]).items, [item]);
}

#[test]
fn annotations_stay_with_their_part() {
    let note = |json: &'static str| Json::from_valid(Bytes::from_static(json.as_bytes()));
    let annotation = |part, json| What::Annotation { at: 0, part, data: note(json) };
    let whole = fold([delta(0, 0, Channel::Text, "x"), annotation(0, "{\"a\":1}"), annotation(0, "{\"b\":2}")]);
    let parts = vec![Part::Text { text: Text::from("x"), annotations: Some(note("[{\"a\":1},{\"b\":2}]")) }];
    assert_eq!(whole.items[0].kind, ItemKind::Message { id: None, role: Role::Assistant, parts, phase: None });
}

#[test]
fn nothing_counts_after_the_first_terminal_event() {
    let late = || [delta(0, 0, Channel::Text, "late"), What::Fail(Failure::new(Kind::Upstream, "late"))];
    let ended = What::End { finish: Finish::Stop, response: None };
    let whole = fold([ended].into_iter().chain(late()));
    assert_eq!((whole.items.len(), whole.failure), (0, None));
    let failed = What::Fail(Failure::new(Kind::Timeout, "first"));
    assert_eq!(fold([failed].into_iter().chain(late())).failure.unwrap().kind, Kind::Timeout);
}

#[test]
fn items_without_a_head_are_left_out() {
    let whole = fold([open(0, Head::Other), delta(1, 0, Channel::Image, "AA"), delta(2, 0, Channel::Arguments, "{}")]);
    assert!(whole.items.is_empty());
}

#[test]
fn only_frames_of_the_clients_protocol_are_kept() {
    let bytes = Bytes::from_static(b"data: {}\n\n");
    let carrier = Carrier::Frame(RawFrame { dialect: Dialect::Chat, bytes: bytes.clone() });
    for (client, count) in [(Dialect::Chat, 1), (Dialect::Messages, 0), (Dialect::Responses, 0)] {
        let mut fold = Fold::for_client(client);
        fold.push(&Event { what: delta(0, 0, Channel::Text, "a"), carrier: carrier.clone() });
        assert_eq!(fold.finish().frames.len(), count, "{client:?}");
    }
    assert_eq!(Fold::new().finish().frames.len(), 0);
}
