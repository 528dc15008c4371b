//! Replay-only items of a request: reasoning that only the account that made it can read.

use std::hash::{DefaultHasher, Hash, Hasher};

use proto::canon::{Item, ItemKind};
use proto::{Json, Request};
use uuid::Uuid;

/// The fingerprint of the last replay-only item; `None` when there is none.
pub(super) fn last_fingerprint(request: &Request) -> Option<u64> {
    request.items.iter().rev().find_map(item_fingerprint)
}

/// Whether the request has the item of this fingerprint.
pub(super) fn has_item(request: &Request, wanted: u64) -> bool {
    request.items.iter().rev().filter_map(item_fingerprint).any(|fingerprint| fingerprint == wanted)
}

/// The conversation of a sealed item: the account that made the item continues it.
pub(crate) fn sealed_conversation(item: &Json) -> Option<Uuid> {
    item.get("encrypted_content").map(|content| conversation_id(fingerprint(content.bytes())))
}

/// As [`seal`], of the last replay-only item of a request.
pub(super) fn last_sealed_conversation(request: &Request) -> Option<Uuid> {
    last_fingerprint(request).map(conversation_id)
}

/// The id of a conversation that is identified by a sealed item.
fn conversation_id(mark: u64) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &mark.to_le_bytes())
}

fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn item_fingerprint(item: &Item) -> Option<u64> {
    match (&item.kind, &item.raw) {
        (ItemKind::Reasoning { encrypted: Some(state), .. }, _) => Some(fingerprint(state.escaped())),
        // The account that made it may have stored it under this name.
        (ItemKind::Reasoning { id: Some(id), .. }, _) => Some(fingerprint(id.escaped())),
        (ItemKind::Other { .. }, Some(raw)) => Some(fingerprint(raw.get("encrypted_content")?.bytes())),
        _ => None,
    }
}
