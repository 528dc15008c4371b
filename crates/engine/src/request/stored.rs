//! Stored responses, which a later request continues with `previous_response_id`: responses that a client asks to store, for all requests
//! of its key, and the last response of a WebSocket connection, for that connection alone.
//!
//! ```text
//! Call -> recall (history before the new input) -> PendingStore (opened, over) -> StoredResponses | ConnectionHistory
//! ```
//!
//! Responses are stored in memory: a restart loses them, and other nodes do not have them. Upstreams always get the whole conversation.

mod history;
mod pending;
mod responses;

use std::sync::Arc;

use parking_lot::Mutex;
use pool::{Millis, limits};
use proto::Json;
use proto::dialect::responses::ListedItem;

pub use self::history::ConnectionHistory;
pub(crate) use self::pending::{PendingStore, recall, recalled_bytes};
use self::responses::{Bounds, ResponseKey, StoredReply, StoredResponses};
use super::services::Services;
use crate::memory::MemoryBudget;
use crate::registry::keys::KeyId;

/// The stored responses and the memory that connections use.
pub(crate) struct ResponseStore {
    responses: Mutex<StoredResponses>,
    /// The memory of the connections' histories.
    histories: MemoryBudget,
}

/// Why a response cannot be cancelled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCancelled {
    /// There is no response of this id.
    #[error("no such response")]
    Unknown,
    /// The response had ended, with this status.
    #[error("Cannot cancel a response that is {0}.")]
    Over(String),
}

impl Default for ResponseStore {
    fn default() -> Self {
        let (bytes, share) = (limits::STORED_BYTES, limits::STORED_SHARE);
        let bounds = Bounds { count: limits::STORED, bytes, share, age: limits::STORED_AGE };
        Self { responses: Mutex::new(StoredResponses::new(bounds)), histories: MemoryBudget::new(limits::TRAIL_BYTES) }
    }
}

impl ResponseStore {
    /// Drops stored responses that are too old.
    pub(crate) fn expire(&self, now: Millis) {
        self.responses.lock().expire(now);
    }
}

/// Handle to the stored responses (`Engine::responses`).
#[derive(Clone, Copy)]
pub struct Responses<'e>(pub(crate) &'e Arc<Services>);

impl Responses<'_> {
    /// The stored response of this id, for the key that asked for it.
    pub fn get(self, key: &KeyId, id: &str) -> Option<Json> {
        let mut responses = self.0.stored.responses.lock();
        match responses.get(&ResponseKey::of(key, id), self.0.runtime.now())? {
            StoredReply::Running { response, .. } => Some(response.clone()),
            StoredReply::Ended(record) => record.turns.last().map(|turn| turn.response.clone()),
        }
    }

    /// The input items of a stored response, oldest first: the whole conversation before it.
    pub fn input_items(self, key: &KeyId, id: &str) -> Option<Vec<ListedItem>> {
        // The list is built after the lock is released: all requests take this lock.
        let (turns, input) =
            match self.0.stored.responses.lock().get(&ResponseKey::of(key, id), self.0.runtime.now())? {
                StoredReply::Running { turns, input, .. } => (turns.clone(), Some(input.clone())),
                StoredReply::Ended(record) => (record.turns.clone(), None),
            };
        let past = if input.is_some() { turns.len() } else { turns.len().saturating_sub(1) };
        let own = input.iter().flat_map(|input| responses::list_input(input, id));
        Some(turns.iter().enumerate().flat_map(|(at, turn)| turn.listed(at < past)).chain(own).collect())
    }

    /// Deletes a stored response; `false` when there is none. A running reply continues and is not stored.
    pub fn forget(self, key: &KeyId, id: &str) -> bool {
        self.0.stored.responses.lock().remove(&ResponseKey::of(key, id), self.0.runtime.now())
    }

    /// Cancels a running stored response, and returns its object.
    pub fn cancel(self, key: &KeyId, id: &str) -> Result<Json, NotCancelled> {
        let mut responses = self.0.stored.responses.lock();
        match responses.get(&ResponseKey::of(key, id), self.0.runtime.now()).ok_or(NotCancelled::Unknown)? {
            StoredReply::Running { response, cancel, .. } => {
                cancel.cancel();
                Ok(proto::json::set(response, "status", &Json::of("cancelled")))
            }
            StoredReply::Ended(record) => {
                let response = record.turns.last().map(|turn| turn.response.clone()).ok_or(NotCancelled::Unknown)?;
                let status = response.text("status").unwrap_or_default().plain().into_owned();
                // Cancelling twice is no error.
                if status == "cancelled" { Ok(response) } else { Err(NotCancelled::Over(status)) }
            }
        }
    }
}
