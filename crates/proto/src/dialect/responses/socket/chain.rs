//! The state that the other end of a socket remembers, and the record of a reply that builds it.

use bytes::Bytes;

use super::fingerprint::{Fingerprint, ItemFingerprint as Item};
use super::{EventClass, response_id};
use crate::json;

/// Most items of a conversation with a chain: every turn compares all of them.
const MOST_ITEMS: usize = 20_000;

/// A reply that the other end remembers, with the conversation that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    response: String,
    pub(super) head: Fingerprint,
    /// The items that were sent: the whole conversation.
    pub(super) items: Vec<Fingerprint>,
    /// The items of the reply.
    pub(super) replied: Vec<Item>,
}

impl Chain {
    /// The reply's id, for `previous_response_id`.
    pub fn response(&self) -> &str {
        &self.response
    }
}

/// Observes a reply and becomes the [`Chain`] that the next turn continues.
#[derive(Clone, Debug)]
pub struct Record {
    pub(super) head: Fingerprint,
    pub(super) items: Vec<Fingerprint>,
    pub(super) replied: Vec<Item>,
    pub(super) response: Option<String>,
    /// Whether the reply had an item that could not be read; the reply then gives no chain.
    pub(super) blind: bool,
}

/// A message that does not belong to the requested reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reply ends as another one than it began")]
pub struct Foreign;

/// The number of items in the terminal message of a reply; some upstreams list them nowhere else.
fn outputs(message: &Bytes) -> usize {
    let response = json::readable(message.clone()).and_then(|event| event.get("response"));
    response.and_then(|response| response.get("output")).map_or(0, |output| output.elements().count())
}

impl Record {
    /// Notes an event of the reply and its class from [`super::event`]. Errors: [`Foreign`] when the reply's end names another
    /// response than its beginning.
    pub fn see(&mut self, message: &Bytes, class: EventClass) -> Result<(), Foreign> {
        match class {
            EventClass::Part if self.response.is_none() => self.response = response_id(message),
            EventClass::ItemDone => {
                let item = json::readable(message.clone()).and_then(|event| event.get("item"));
                self.blind |= item.is_none();
                self.replied.extend(item.map(|item| Item::of(&item)));
            }
            EventClass::Completed | EventClass::Incomplete => {
                let ended = response_id(message);
                if let (Some(begun), Some(ended)) = (&self.response, &ended)
                    && begun != ended
                {
                    return Err(Foreign);
                }
                self.blind |= outputs(message) > self.replied.len();
                self.response = ended;
            }
            EventClass::Part | EventClass::OutOfBand | EventClass::Error => {}
        }
        Ok(())
    }

    /// The chain after a complete reply.
    pub fn chain(self) -> Option<Chain> {
        let Self { head, items, replied, response, blind } = self;
        let fits = !blind && items.len() + replied.len() <= MOST_ITEMS;
        response.filter(|_| fits).map(|response| Chain { response, head, items, replied })
    }
}
