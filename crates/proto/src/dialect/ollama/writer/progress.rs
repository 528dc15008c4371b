//! What the client already has of each item, so that nothing is said twice or left out.

use crate::canon::Channel;

/// A part of an item: output index, part index, channel.
pub(super) type PartKey = (u32, u32, Channel);

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Parts with text, in the order in which they began; a reply has few.
    parts: Vec<PartKey>,
    /// The part that the last delta belonged to.
    last: Option<PartKey>,
    /// Whether any reasoning was said.
    reasoned: bool,
}

/// What a delta begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boundary {
    /// It goes on with its part, or begins the first one.
    None,
    /// It begins another paragraph of reasoning.
    NewParagraph,
}

impl Progress {
    /// Notes a delta at `place`.
    pub(super) fn record(&mut self, place: PartKey) -> Boundary {
        if self.last == Some(place) {
            return Boundary::None;
        }
        self.last = Some(place);
        if self.has(place) {
            return Boundary::None;
        }
        self.parts.push(place);
        let reasoning = matches!(place.2, Channel::Reasoning | Channel::Summary);
        let again = reasoning && self.reasoned;
        self.reasoned |= reasoning;
        if again { Boundary::NewParagraph } else { Boundary::None }
    }

    /// Whether the part at `place` was said.
    pub(super) fn has(&self, place: PartKey) -> bool {
        self.parts.contains(&place)
    }
}
