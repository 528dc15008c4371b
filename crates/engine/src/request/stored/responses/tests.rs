//! Which responses stay and which are dropped.

use rstest::rstest;

use super::*;

const BOUNDS: Bounds = Bounds { count: 3, bytes: 4 * SIZE, share: 4 * SIZE, age: Duration::from_mins(1) };
/// A turn of [`turn`].
const SIZE: usize = OVERHEAD + 100;

fn name(key: &str, id: &str) -> ResponseKey {
    ResponseKey::of(&KeyId(key.into()), id)
}

fn key(name: &str) -> KeyId {
    KeyId(name.into())
}

fn turn(store: &mut StoredResponses, of: &str) -> Option<Arc<StoredTurn>> {
    let weights = [store.reserve(&key(of), SIZE - 100)?, store.reserve(&key(of), 100)?];
    Some(Arc::new(StoredTurn::new((Json::of::<[u8]>(&[]), Json::of("r")), weights)))
}

fn record(turns: Vec<Arc<StoredTurn>>) -> StoredConversation {
    StoredConversation { turns, conversation: Uuid::nil(), can_continue: true }
}

/// Stores an ended response; returns whether it was stored.
fn put(store: &mut StoredResponses, id: &str, now: i64) -> bool {
    let Some(turn) = turn(store, "k") else { return false };
    store.put(name("k", id), StoredReply::Ended(record(vec![turn])), Millis(now));
    true
}

fn stored_ids(store: &mut StoredResponses, now: i64) -> String {
    ["a", "b", "c", "d", "e"].into_iter().filter(|id| store.get(&name("k", id), Millis(now)).is_some()).collect()
}

#[rstest]
#[case::all(&[("a", 0), ("b", 1)], 2, "ab")]
#[case::count(&[("a", 0), ("b", 1), ("c", 2), ("d", 3), ("e", 4)], 5, "cde")]
#[case::age(&[("a", 0), ("b", 30_000)], 60_000, "b")]
#[case::just_young(&[("a", 0), ("b", 30_000)], 59_999, "ab")]
#[case::renewed(&[("a", 0), ("b", 1), ("a", 2), ("c", 3), ("d", 4)], 5, "acd")]
#[case::clock_set_back(&[("a", 50_000), ("b", 0)], 1, "ab")]
fn the_oldest_leave_first(#[case] puts: &[(&str, i64)], #[case] now: i64, #[case] left: &str) {
    let mut store = StoredResponses::new(BOUNDS);
    for (id, at) in puts {
        assert!(put(&mut store, id, *at));
    }
    assert_eq!(stored_ids(&mut store, now), left);
}

#[test]
fn bytes_are_bounded_and_the_oldest_make_room() {
    let mut store = StoredResponses::new(Bounds { count: 100, ..BOUNDS });
    for id in ["a", "b", "c", "d", "e"] {
        assert!(put(&mut store, id, 0));
    }
    assert_eq!(stored_ids(&mut store, 0), "bcde");
    assert!(store.reserve(&key("k"), BOUNDS.bytes + 1).is_none(), "what is too large alone is not kept");
    assert_eq!(stored_ids(&mut store, 0), "bcde", "and nothing leaves for it");
    let all = store.reserve(&key("k"), BOUNDS.bytes);
    assert!(all.is_some());
    assert_eq!(stored_ids(&mut store, 0), "");
}

#[test]
fn what_others_still_hold_weighs_on() {
    let mut store = StoredResponses::new(BOUNDS);
    let first = turn(&mut store, "k").unwrap();
    store.put(name("k", "a"), StoredReply::Ended(record(vec![Arc::clone(&first)])), Millis(0));
    assert!(put(&mut store, "b", 0));
    for of in ["k", "other"] {
        assert!(store.reserve(&key(of), BOUNDS.bytes).is_none(), "a conversation that goes on from it holds it");
        assert_eq!(stored_ids(&mut store, 0), "ab", "nobody leaves where that is not enough");
    }
    drop(first);
    assert!(store.reserve(&key("other"), BOUNDS.bytes).is_some());
    assert_eq!(stored_ids(&mut store, 0), "");
}

#[test]
fn a_key_has_its_share_and_makes_room_in_it_first() {
    let mut store = StoredResponses::new(Bounds { count: 100, share: 2 * SIZE, ..BOUNDS });
    let other = turn(&mut store, "other").unwrap();
    store.put(name("other", "o"), StoredReply::Ended(record(vec![other])), Millis(0));
    for id in ["a", "b", "c"] {
        assert!(put(&mut store, id, 1));
    }
    assert_eq!(stored_ids(&mut store, 1), "bc");
    assert!(store.get(&name("other", "o"), Millis(1)).is_some(), "older, but another key's");
    let held = turn(&mut store, "k").unwrap();
    assert_eq!(stored_ids(&mut store, 1), "c");
    assert!(store.reserve(&key("k"), 2 * SIZE).is_none(), "one is in use elsewhere");
    assert_eq!(stored_ids(&mut store, 1), "c");
    assert!(turn(&mut store, "third").is_some(), "and keeps nobody else from the rest");
    drop(held);
    assert!(store.reserve(&key("k"), 2 * SIZE + 1).is_none(), "more than a share");
    assert!(store.reserve(&key("k"), 2 * SIZE).is_some());
}

#[test]
fn a_conversation_leaves_when_all_its_places_can() {
    let mut store = StoredResponses::new(Bounds { count: 100, ..BOUNDS });
    let first = turn(&mut store, "k").unwrap();
    let second = turn(&mut store, "k").unwrap();
    store.put(name("k", "a"), StoredReply::Ended(record(vec![Arc::clone(&first)])), Millis(0));
    store.put(name("k", "b"), StoredReply::Ended(record(vec![first, second])), Millis(0));
    for id in ["c", "d"] {
        assert!(put(&mut store, id, 0));
    }
    assert!(put(&mut store, "e", 0));
    assert_eq!(stored_ids(&mut store, 0), "cde");
}

#[test]
fn a_key_knows_its_own_only() {
    let mut store = StoredResponses::new(BOUNDS);
    put(&mut store, "a", 0);
    assert!(store.get(&name("other", "a"), Millis(0)).is_none());
    assert!(!store.remove(&name("other", "a"), Millis(0)));
    assert!(store.remove(&name("k", "a"), Millis(0)));
    assert!(!store.remove(&name("k", "a"), Millis(0)));
}

#[test]
fn a_place_that_is_gone_is_not_given_again() {
    let mut store = StoredResponses::new(BOUNDS);
    let running = || StoredReply::Running {
        response: Json::of("r"),
        turns: Vec::new(),
        input: Json::of::<[u8]>(&[]),
        cancel: Arc::default(),
    };
    let a = name("k", "a");
    let number = store.put(a.clone(), running(), Millis(0));
    assert!(store.remove(&a, Millis(0)));
    assert!(!store.finish(&a, number, record(Vec::new())), "a deleted reply is not kept");
    let second = store.put(a.clone(), running(), Millis(0));
    store.discard(&a, number);
    assert!(store.finish(&a, second, record(Vec::new())), "an older reply of the name gives up its own place alone");
}
