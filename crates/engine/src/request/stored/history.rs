//! What a WebSocket connection remembers of its last response, also of one that is not stored.

use parking_lot::Mutex;

use super::responses::Record;

/// The last response of a connection.
#[derive(Default)]
pub struct ConnectionHistory(Mutex<Option<(String, Record)>>);

impl ConnectionHistory {
    /// The conversation up to the response `id`, if that was the last one.
    pub(super) fn find(&self, id: &str) -> Option<Record> {
        self.0.lock().as_ref().filter(|(last, _)| last == id).map(|(_, record)| record.clone())
    }

    /// Remembers a response instead of the one before; none when nobody could go on from it.
    pub(super) fn set(&self, last: Option<(String, Record)>) {
        *self.0.lock() = last;
    }
}

impl std::fmt::Debug for ConnectionHistory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trail")
    }
}
