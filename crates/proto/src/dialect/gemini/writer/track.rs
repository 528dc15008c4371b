//! What the client already has of each item, so that nothing is said twice or left out.

use crate::canon::{Channel, Item, ItemKind, Part};

/// A part of an item: output index, part index, channel.
type PartKey = (u32, u32, Channel);

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    /// Parts with text, in the order in which they began; a reply has few.
    said: Vec<PartKey>,
    /// The part that the last delta belonged to.
    last: Option<PartKey>,
    /// Whether any reasoning was said.
    reasoned: bool,
    /// Items that went out whole.
    whole: Vec<u32>,
}

impl Tracks {
    /// Notes a delta at `place`; whether it begins another paragraph of reasoning.
    pub(super) fn seen(&mut self, place: PartKey) -> bool {
        if self.last == Some(place) {
            return false;
        }
        self.last = Some(place);
        if self.has(place) {
            return false;
        }
        self.said.push(place);
        let reasoning = matches!(place.2, Channel::Reasoning | Channel::Summary);
        let again = reasoning && self.reasoned;
        self.reasoned |= reasoning;
        again
    }

    /// Whether the part at `place` was said.
    pub(super) fn has(&self, place: PartKey) -> bool {
        self.said.contains(&place)
    }

    /// Notes that the item at `at` goes out whole; `false` when it did before.
    pub(super) fn whole(&mut self, at: u32) -> bool {
        let fresh = !self.whole.contains(&at);
        self.whole.push(at);
        fresh
    }

    /// Notes that all of `item` was said.
    pub(super) fn item(&mut self, at: u32, item: &Item) {
        self.whole(at);
        if let ItemKind::Message { parts, .. } = &item.kind {
            for (index, part) in (0..).zip(parts) {
                let channel = if matches!(part, Part::Refusal(_)) { Channel::Refusal } else { Channel::Text };
                self.seen((at, index, channel));
            }
        }
    }
}
