use bytes::Bytes;
use proto::canon::{Carrier, Item, ItemKind, RawFrame, Role};

use super::*;
use crate::memory::MemoryBudget;

const KIB: usize = 1 << 10;
const WHOLE: Retention = Retention::Text { passes: false };

fn text(bytes: usize) -> Event {
    Event::new(What::Delta { at: 0, part: 0, channel: Channel::Text, data: "x".repeat(bytes).as_str().into() })
}

/// Feeds `event` until it is refused: the bytes held then, and the failure.
fn until_refused(held: &mut ReplyMemory, event: &Event) -> (usize, Failure) {
    for _ in 0..1_000_000 {
        if let Err(failure) = held.count(event) {
            return (held.bytes, failure);
        }
    }
    panic!("never refused, {} bytes", held.bytes);
}

#[test]
fn an_endless_reply_ends_at_its_cap() {
    for keeps in [Retention::Text { passes: false }, Retention::Text { passes: true }, Retention::All(Dialect::Chat)] {
        let (bytes, failure) = until_refused(&mut ReplyMemory::new(RequestMemory::default(), keeps), &text(8 * KIB));
        assert_eq!((failure.kind, failure.code.as_deref()), (Kind::Upstream, Some("reply_too_large")));
        assert!((limits::REPLY..limits::REPLY + 17 * KIB).contains(&bytes), "{bytes}");
    }
}

#[test]
fn replies_share_one_budget_and_give_it_back() {
    let budget = MemoryBudget::new(4 << 20);
    let (mut first, mut second) =
        (ReplyMemory::new(budget.for_request(), WHOLE), ReplyMemory::new(budget.for_request(), WHOLE));
    for _ in 0..128 {
        first.count(&text(8 * KIB)).unwrap();
    }
    let (bytes, failure) = until_refused(&mut second, &text(8 * KIB));
    assert_eq!((failure.kind, failure.retry_after), (Kind::Overloaded, Some(1)));
    assert!(bytes <= (2 << 20) + FREE + STEP, "{bytes}");
    drop((first, second));
    assert!(budget.take(4 << 20).is_some());
}

#[test]
fn a_small_reply_is_not_charged() {
    let budget = MemoryBudget::new(0);
    let mut held = ReplyMemory::new(budget.for_request(), WHOLE);
    held.count(&text(FREE / COPIES)).unwrap();
    assert_eq!(held.count(&text(1)).unwrap_err().kind, Kind::Overloaded);
    assert!(held.is_over());
}

#[test]
fn frames_and_items_without_text_count_too() {
    let frame = |dialect| RawFrame { dialect, bytes: Bytes::from(vec![b'x'; KIB]) };
    let other = Event { carrier: Carrier::Frame(frame(Dialect::Messages)), ..Event::new(What::Other) };
    // A collected reply holds its frames; a stream holds as many bytes of signatures and citations.
    for keeps in [Retention::All(Dialect::Messages), Retention::All(Dialect::Chat), Retention::Nothing] {
        let mut held = ReplyMemory::new(RequestMemory::default(), keeps);
        assert_eq!(until_refused(&mut held, &other).1.code.as_deref(), Some("reply_too_large"));
    }
    let kind = ItemKind::Message { id: None, role: Role::Assistant, parts: Vec::new(), phase: None };
    let done = What::ItemDone { at: 0, item: Item { kind, raw: None } };
    let done = Event { carrier: Carrier::Frame(frame(Dialect::Responses)), ..Event::new(done) };
    let mut held = ReplyMemory::new(RequestMemory::default(), WHOLE);
    assert_eq!(until_refused(&mut held, &done).1.code.as_deref(), Some("reply_too_large"));
}

/// Text that is only passed on is not held: for a client that wants only pieces, and for a client of Responses that gets the upstream's
/// frames.
#[test]
fn text_that_passes_is_not_held() {
    let budget = MemoryBudget::new(1 << 20);
    let own = |event: Event| Event {
        carrier: Carrier::Frame(RawFrame { dialect: Dialect::Responses, bytes: "{}".into() }),
        ..event
    };
    let streams = [(Retention::Nothing, text(8 * KIB)), (Retention::Text { passes: true }, own(text(8 * KIB)))];
    for (keeps, event) in streams {
        let mut held = ReplyMemory::new(budget.for_request(), keeps);
        for _ in 0..1_000_000 {
            held.count(&event).unwrap();
        }
        assert!(held.bytes <= PASSING, "{}", held.bytes);
        // Tool calls are complete before they are sent.
        let piece = What::Delta { at: 1, part: 0, channel: Channel::Arguments, data: "x".repeat(KIB).as_str().into() };
        assert_eq!(until_refused(&mut held, &Event::new(piece)).1.kind, Kind::Overloaded);
    }
}

/// The text of an item that waits for the end of another item is held until then.
#[test]
fn text_that_waits_for_its_turn_is_held() {
    let mut held = ReplyMemory::new(RequestMemory::default(), Retention::Nothing);
    for at in 0..2 {
        let head = proto::canon::Head::Message { phase: None };
        held.count(&Event::new(What::ItemOpen { at, head })).unwrap();
    }
    assert_eq!(until_refused(&mut held, &text(8 * KIB)).1.code.as_deref(), Some("reply_too_large"));
}

/// The end of an item repeats its text four times to a client of Responses, all at once.
#[test]
fn an_item_that_is_repeated_is_held_as_often() {
    let budget = MemoryBudget::new(4 << 20);
    let kind = ItemKind::Message { id: None, role: Role::Assistant, parts: Vec::new(), phase: None };
    let done = Event::new(What::ItemDone { at: 0, item: Item { kind, raw: None } });
    for (keeps, refused) in [(WHOLE, true), (Retention::All(Dialect::Responses), false)] {
        let mut held = ReplyMemory::new(budget.for_request(), keeps);
        held.count(&text(1 << 20)).unwrap();
        assert_eq!(held.count(&done).is_err(), refused);
        // After the text is dropped there is room again.
        held.release();
        held.count(&text(1 << 20)).unwrap();
        held.count(&done).unwrap();
    }
}
