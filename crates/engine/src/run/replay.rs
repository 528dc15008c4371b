//! Which replay-only items a request brings along: reasoning that only the account that made it can read.

use std::hash::{DefaultHasher, Hash, Hasher};

use proto::Request;
use proto::canon::{Item, ItemKind};

/// The fingerprint of the last replay-only item; `None` when there is none.
pub(super) fn last(request: &Request) -> Option<u64> {
    request.items.iter().rev().find_map(mark)
}

/// Whether the item of this fingerprint is there.
pub(super) fn holds(request: &Request, wanted: u64) -> bool {
    request.items.iter().rev().filter_map(mark).any(|found| found == wanted)
}

fn mark(item: &Item) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    match (&item.kind, &item.raw) {
        (ItemKind::Reasoning { encrypted: Some(state), .. }, _) => state.escaped().hash(&mut hasher),
        (ItemKind::Other { .. }, Some(raw)) => raw.get("encrypted_content")?.bytes().hash(&mut hasher),
        _ => return None,
    }
    Some(hasher.finish())
}
