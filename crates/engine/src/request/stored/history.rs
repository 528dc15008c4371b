//! The last response of a WebSocket connection, stored or not.

use parking_lot::Mutex;

use super::responses::StoredConversation;

/// The last response of a connection.
#[derive(Default)]
pub struct ConnectionHistory(Mutex<Option<(String, StoredConversation)>>);

impl ConnectionHistory {
    /// The conversation up to the response `id`, if that was the last one.
    pub(super) fn find(&self, id: &str) -> Option<StoredConversation> {
        self.0.lock().as_ref().filter(|(last, _)| last == id).map(|(_, record)| record.clone())
    }

    /// Replaces the response; `None` when no request can continue the last one.
    pub(super) fn set(&self, last: Option<(String, StoredConversation)>) {
        *self.0.lock() = last;
    }
}

impl std::fmt::Debug for ConnectionHistory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConnectionHistory")
    }
}
