//! A whole reply from its events: the non-stream body is always a fold of the stream.

use crate::canon::{Event, Finish, Item, Usage};
use crate::failure::Failure;
use crate::text::{Json, Text};

/// A collected reply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Whole {
    /// The upstream's id, empty when it gave none.
    pub id: Text,
    /// The model that answered, as the upstream named it.
    pub model: Option<Text>,
    /// Unix seconds, 0 when unknown.
    pub created: u64,
    /// The items in output order.
    pub items: Vec<Item>,
    /// Token counts, where given.
    pub usage: Option<Usage>,
    /// How it ended; `None` while open or failed.
    pub finish: Option<Finish>,
    /// The terminal object of the responses dialect, as it came.
    pub response: Option<Json>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// Collects events into a [`Whole`].
#[derive(Debug, Default)]
pub struct Fold {
    whole: Whole,
}

impl Fold {
    /// An empty fold.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one event.
    pub fn push(&mut self, _event: &Event) {}

    /// The reply so far.
    pub fn finish(self) -> Whole {
        self.whole
    }
}
