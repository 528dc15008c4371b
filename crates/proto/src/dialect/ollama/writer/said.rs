//! What the client already has of each item, so that nothing is said twice or left out.

use crate::canon::Channel;

/// A part of an item: output index, part index, channel.
pub(super) type Place = (u32, u32, Channel);

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Parts with text, in the order in which they began; a reply has few.
    places: Vec<Place>,
    /// The part that the last delta belonged to.
    last: Option<Place>,
    /// Whether any reasoning was said.
    reasoned: bool,
}

/// What a delta begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It goes on with its part, or begins the first one.
    Same,
    /// It begins another paragraph of reasoning.
    NewParagraph,
}

impl Said {
    /// Notes a delta at `place`.
    pub(super) fn seen(&mut self, place: Place) -> Seen {
        if self.last == Some(place) {
            return Seen::Same;
        }
        self.last = Some(place);
        if self.has(place) {
            return Seen::Same;
        }
        self.places.push(place);
        let reasoning = matches!(place.2, Channel::Reasoning | Channel::Summary);
        let again = reasoning && self.reasoned;
        self.reasoned |= reasoning;
        if again { Seen::NewParagraph } else { Seen::Same }
    }

    /// Whether the part at `place` was said.
    pub(super) fn has(&self, place: Place) -> bool {
        self.places.contains(&place)
    }
}
