//! The conversation that a request belongs to, and the ids that the backend gets for it.
//!
//! The backend keys its prompt cache by session id, so every request of a conversation must carry the same session id. The session id is
//! never the client's own text: two keys that use the same cache key are two conversations. Only a Codex client's session id, a UUID that
//! the client generated, is passed on unchanged.

#[cfg(test)]
mod tests;

use pool::Millis;
use proto::canon::{Item, ItemKind, Part, Role, Source};
use proto::dialect::responses::compact::is_compaction_request;
use proto::{Request, Text};
use uuid::Uuid;

use super::call::Call;
use crate::dispatch::affinity::TurnRecord;

/// The UUID namespace of the gateway's session ids.
const NAMESPACE: Uuid = Uuid::from_u128(0x9f1c_2d6e_7b0a_5c43_8e1d_6a2f_4b90_c7d5);
/// Most bytes of one text that are hashed into a derived id.
const SAMPLE: usize = 4096;

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conversation {
    /// The conversation's id; scoped to the client's key.
    pub(crate) id: Uuid,
    /// The session id that the backend gets; also the prompt cache key when the client names none.
    pub(crate) session: String,
    /// The thread id: the session id, except for subagents.
    pub(crate) thread: String,
}

impl Conversation {
    /// The conversation of a request to the model `slug`.
    pub(crate) fn of(call: &Call, slug: &str) -> Self {
        let mut name = IdHasher::new(&call.key.0);
        let cache_key = call.request.cache_key.as_ref().filter(|key| !key.is_empty());
        let id = match (&call.client.session, cache_key, call.client.chained) {
            (Some(session), ..) => name.part("session", session.as_bytes()).id(),
            (None, Some(key), _) => name.part("cache", key.escaped()).id(),
            // The first items may look different now: instructions are not carried over.
            (None, None, Some(id)) => id,
            (None, None, None) => hash_opening(&call.request, slug, &mut name).id(),
        };
        let own = |text: &Option<String>| text.as_deref().filter(|_| call.client.codex).and_then(uuid);
        let session = own(&call.client.session).unwrap_or_else(|| id.to_string());
        let thread = own(&call.client.thread).unwrap_or_else(|| session.clone());
        Self { id, session, thread }
    }
}

/// The turn that a request belongs to: one of the `last` turns of its conversation, if the request continues that turn. A user message
/// beside a tool's output begins no turn; a compaction is a separate turn.
pub(crate) fn turn_of(request: &Request, conversation: &Conversation, last: &[TurnRecord], now: Millis) -> TurnRecord {
    let user = |item: &Item| matches!(&item.kind, ItemKind::Message { role: Role::User, .. });
    let output = |item: &Item| matches!(&item.kind, ItemKind::Output { .. });
    let (mut turns, mut asks, mut other) = (0_u64, None, false);
    for item in &request.items {
        if user(item) && !other {
            (turns, asks) = (turns + 1, Some(item));
        }
        other = output(item) || other && user(item);
    }
    let mut name = IdHasher::new(&conversation.thread);
    name.part("id", conversation.id.as_bytes());
    name.part("turns", &turns.to_le_bytes());
    name.part("compacts", &[u8::from(is_compaction_request(request))]);
    asks.map(|item| hash_item(item, &mut name));
    let name = name.id();
    last.iter().find(|last| last.name == name).copied().unwrap_or(TurnRecord { name, begun: now })
}

impl Conversation {
    /// The id of the window between two compactions. For clients that compact by themselves the window is unknown, so all windows share
    /// one id.
    pub(crate) fn context(&self) -> Uuid {
        Uuid::new_v5(&self.id, b"context")
    }

    /// The id of the socket. A subagent's thread has a separate socket.
    pub(crate) fn socket_id(&self) -> u128 {
        if self.thread == self.session {
            return self.id.as_u128();
        }
        Uuid::new_v5(&self.id, self.thread.as_bytes()).as_u128()
    }
}

/// The possible ids of a conversation that a client with this key calls `name`, in a header or as its prompt cache key.
pub(crate) fn named(key: &str, name: &str) -> [Uuid; 2] {
    let id = |label, bytes: &[u8]| {
        let mut parts = IdHasher::new(key);
        parts.part(label, bytes);
        parts.id()
    };
    [id("session", name.as_bytes()), id("cache", Text::from(name).escaped())]
}

/// The texts that stay the same over all turns of an unnamed conversation: everything up to the first user message.
fn hash_opening<'n>(request: &Request, slug: &str, name: &'n mut IdHasher) -> &'n IdHasher {
    name.part("model", slug.as_bytes());
    if let Some(instructions) = &request.instructions {
        name.part("instructions", instructions.escaped());
    }
    let _ = request.items.iter().any(|item| hash_item(item, name));
    name
}

/// Adds an item's texts; `true` when it is a user message.
fn hash_item(item: &Item, name: &mut IdHasher) -> bool {
    let ItemKind::Message { role, parts, .. } = &item.kind else { return false };
    for part in parts {
        let _ = match part {
            Part::Text { text, .. } | Part::Refusal(text) => name.part("text", text.escaped()),
            Part::Image { source: Source::Url(text) | Source::Id(text), .. }
            | Part::File { source: Source::Url(text) | Source::Id(text), .. } => name.part("source", text.escaped()),
            Part::Other(json) => name.part("other", json.bytes()),
        };
    }
    *role == Role::User
}

fn uuid(text: &str) -> Option<String> {
    Uuid::try_parse(text).ok().map(|id| id.to_string())
}

/// Hashes the pieces of an id. Each piece is prefixed with its length, so that no two lists of pieces have the same hash input.
struct IdHasher(Vec<u8>);

impl IdHasher {
    fn new(scope: &str) -> Self {
        let mut name = Self(Vec::with_capacity(256));
        name.part("key", scope.as_bytes());
        name
    }

    fn part(&mut self, label: &str, bytes: &[u8]) -> &Self {
        let sample = &bytes[..bytes.len().min(SAMPLE)];
        self.0.extend_from_slice(label.as_bytes());
        self.0.extend_from_slice(&bytes.len().to_le_bytes());
        self.0.extend_from_slice(sample);
        self
    }

    fn id(&self) -> Uuid {
        Uuid::new_v5(&NAMESPACE, &self.0)
    }
}
