//! The events of each item so far.

use crate::canon::{Channel, PartKey};

/// The items of one reply.
#[derive(Debug, Default)]
pub(super) struct ItemProgress {
    /// In the order in which they opened.
    items: Vec<Item>,
    call: bool,
}

#[derive(Debug)]
struct Item {
    at: u32,
    /// Parts that had a delta, in the order in which they began; an item has few.
    parts: Vec<(u32, Channel)>,
    /// Parts that had a citation.
    cited: Vec<u32>,
    done: bool,
}

impl ItemProgress {
    /// Notes that the item at `at` opens; `false` when it was open already.
    pub(super) fn open(&mut self, at: u32) -> bool {
        let new = self.find(at).is_none();
        if new {
            self.items.push(Item { at, parts: Vec::new(), cited: Vec::new(), done: false });
        }
        new
    }

    /// Notes a delta; `false` when its item is not open.
    pub(super) fn delta(&mut self, PartKey { at, part, channel }: PartKey) -> bool {
        let Some(item) = self.find_mut(at) else { return false };
        if item.parts.last() != Some(&(part, channel)) && !item.parts.contains(&(part, channel)) {
            item.parts.push((part, channel));
        }
        true
    }

    /// Whether the part had a delta.
    pub(super) fn has(&self, PartKey { at, part, channel }: PartKey) -> bool {
        self.find(at).is_some_and(|item| item.parts.contains(&(part, channel)))
    }

    /// Notes a citation.
    pub(super) fn cite(&mut self, at: u32, part: u32) {
        if let Some(item) = self.find_mut(at) {
            item.cited.push(part);
        }
    }

    /// Whether the part had a citation.
    pub(super) fn is_cited(&self, at: u32, part: u32) -> bool {
        self.find(at).is_some_and(|item| item.cited.contains(&part))
    }

    /// Notes that an item is finished.
    pub(super) fn done(&mut self, at: u32, call: bool) {
        self.call |= call;
        if let Some(item) = self.find_mut(at) {
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

    /// The item that an event without an output index belongs to: the last unfinished item, else a new one.
    pub(super) fn current(&self) -> u32 {
        self.items.iter().rev().find(|item| !item.done).map_or_else(|| self.next(), |item| item.at)
    }

    /// The output index of the next item, for upstreams that send none.
    pub(super) fn next(&self) -> u32 {
        self.items.iter().map(|item| item.at.saturating_add(1)).max().unwrap_or(0)
    }

    fn find_mut(&mut self, at: u32) -> Option<&mut Item> {
        self.items.iter_mut().rev().find(|item| item.at == at)
    }

    fn find(&self, at: u32) -> Option<&Item> {
        self.items.iter().rev().find(|item| item.at == at)
    }
}
