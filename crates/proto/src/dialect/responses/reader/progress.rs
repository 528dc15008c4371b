//! What was said of each item so far.

use crate::canon::Channel;

/// The items of one reply.
#[derive(Debug, Default)]
pub(super) struct ItemProgress {
    /// In the order of their opening.
    items: Vec<Item>,
    call: bool,
}

#[derive(Debug)]
struct Item {
    at: u32,
    /// One bit for each channel that had a delta.
    channels: u8,
    done: bool,
}

impl ItemProgress {
    /// Notes that the item at `at` opens; `false` when it was open already.
    pub(super) fn open(&mut self, at: u32) -> bool {
        let new = self.find(at).is_none();
        if new {
            self.items.push(Item { at, channels: 0, done: false });
        }
        new
    }

    /// Notes a delta; `false` when its item is not open.
    pub(super) fn delta(&mut self, at: u32, channel: Channel) -> bool {
        let item = self.items.iter_mut().rev().find(|item| item.at == at);
        item.map(|item| item.channels |= 1 << channel as u8).is_some()
    }

    /// Whether the item at `at` had a delta in `channel`.
    pub(super) fn has(&self, at: u32, channel: Channel) -> bool {
        self.find(at).is_some_and(|item| item.channels & (1 << channel as u8) != 0)
    }

    /// Notes that an item is whole.
    pub(super) fn done(&mut self, at: u32, call: bool) {
        self.call |= call;
        if let Some(item) = self.items.iter_mut().rev().find(|item| item.at == at) {
            item.done = true;
        }
    }

    /// Whether no item was finished yet.
    pub(super) fn nothing_done(&self) -> bool {
        !self.items.iter().any(|item| item.done)
    }

    /// Whether a tool call was finished.
    pub(super) fn has_call(&self) -> bool {
        self.call
    }

    /// The item that an event without an output index speaks of: the last unfinished one, else a new one.
    pub(super) fn current(&self) -> u32 {
        self.items.iter().rev().find(|item| !item.done).map_or_else(|| self.next(), |item| item.at)
    }

    /// The output index of the next item, for upstreams that name none.
    pub(super) fn next(&self) -> u32 {
        self.items.iter().map(|item| item.at.saturating_add(1)).max().unwrap_or(0)
    }

    fn find(&self, at: u32) -> Option<&Item> {
        self.items.iter().rev().find(|item| item.at == at)
    }
}
