use bytes::Bytes;
use proto::canon::{Frame, Item, ItemKind, Role};

use super::*;
use crate::room::Room;

const KIB: usize = 1 << 10;

fn text(bytes: usize) -> Event {
    Event::new(What::Delta { at: 0, part: 0, channel: Channel::Text, data: "x".repeat(bytes).as_str().into() })
}

/// Feeds `event` until it is refused: the bytes held then, and the failure.
fn until_refused(held: &mut Held, event: &Event) -> (usize, Failure) {
    for _ in 0..1_000_000 {
        if let Err(failure) = held.see(event) {
            return (held.bytes, failure);
        }
    }
    panic!("never refused, {} bytes", held.bytes);
}

#[test]
fn an_endless_reply_ends_at_its_cap() {
    for frames in [None, Some(Dialect::Chat)] {
        let (bytes, failure) = until_refused(&mut Held::new(Tab::default(), frames), &text(8 * KIB));
        assert_eq!((failure.kind, failure.code.as_deref()), (Kind::Upstream, Some("reply_too_large")));
        assert!((limits::REPLY..limits::REPLY + 17 * KIB).contains(&bytes), "{bytes}");
    }
}

#[test]
fn replies_share_one_budget_and_give_it_back() {
    let room = Room::new(4 << 20);
    let (mut first, mut second) = (Held::new(room.tab(), None), Held::new(room.tab(), None));
    for _ in 0..128 {
        first.see(&text(8 * KIB)).unwrap();
    }
    let (bytes, failure) = until_refused(&mut second, &text(8 * KIB));
    assert_eq!((failure.kind, failure.retry_after), (Kind::Overloaded, Some(1)));
    assert!(bytes <= (2 << 20) + FREE + STEP, "{bytes}");
    drop((first, second));
    assert!(room.take(4 << 20).is_some());
}

#[test]
fn a_small_reply_is_not_charged() {
    let room = Room::new(0);
    let mut held = Held::new(room.tab(), None);
    held.see(&text(FREE / COPIES)).unwrap();
    assert_eq!(held.see(&text(1)).unwrap_err().kind, Kind::Overloaded);
    assert!(held.is_over());
}

#[test]
fn frames_and_items_without_text_count_too() {
    let frame = |dialect| Frame { dialect, bytes: Bytes::from(vec![b'x'; KIB]) };
    let other = Event { raw: Some(frame(Dialect::Messages)), ..Event::new(What::Other) };
    let mut held = Held::new(Tab::default(), Some(Dialect::Messages));
    assert_eq!(until_refused(&mut held, &other).1.code.as_deref(), Some("reply_too_large"));
    let kind = ItemKind::Message { id: None, role: Role::Assistant, parts: Vec::new(), phase: None };
    let done = What::ItemDone { at: 0, item: Item { kind, raw: None } };
    let done = Event { raw: Some(frame(Dialect::Responses)), ..Event::new(done) };
    let mut held = Held::new(Tab::default(), None);
    assert_eq!(until_refused(&mut held, &done).1.code.as_deref(), Some("reply_too_large"));
}
