//! What the client already has of each item, so that nothing is said twice or left out.

use crate::canon::{CallKind, Channel, Item, ItemKind, Part};

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
    /// Text parts with citations: output index, part index.
    cited: Vec<(u32, u32)>,
    /// Output index and kind of each call, in the order in which the calls began.
    calls: Vec<(u32, CallKind)>,
}

/// What a delta begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boundary {
    /// It goes on with its part, or begins the first one.
    None,
    /// It begins another paragraph of reasoning.
    NewParagraph,
}

impl Tracks {
    /// Notes a delta at `place`.
    pub(super) fn record(&mut self, place: PartKey) -> Boundary {
        if self.last == Some(place) {
            return Boundary::None;
        }
        self.last = Some(place);
        if self.has(place) {
            return Boundary::None;
        }
        self.said.push(place);
        let reasoning = matches!(place.2, Channel::Reasoning | Channel::Summary);
        let again = reasoning && self.reasoned;
        self.reasoned |= reasoning;
        if again { Boundary::NewParagraph } else { Boundary::None }
    }

    /// Whether the part at `place` was said.
    pub(super) fn has(&self, place: PartKey) -> bool {
        self.said.contains(&place)
    }

    /// Notes a citation.
    pub(super) fn cited(&mut self, at: u32, part: u32) {
        if !self.has_citation(at, part) {
            self.cited.push((at, part));
        }
    }

    /// Whether citations of this part were said.
    pub(super) fn has_citation(&self, at: u32, part: u32) -> bool {
        self.cited.contains(&(at, part))
    }

    /// Notes the beginning of a call and gives its number; `None` when it began before.
    pub(super) fn call(&mut self, at: u32, kind: CallKind) -> Option<usize> {
        if self.index(at).is_some() {
            return None;
        }
        self.calls.push((at, kind));
        Some(self.calls.len() - 1)
    }

    /// Number and kind of the call at `at`.
    pub(super) fn index(&self, at: u32) -> Option<(usize, CallKind)> {
        let index = self.calls.iter().position(|(call, _)| *call == at)?;
        Some((index, self.calls[index].1))
    }

    /// How many calls there are.
    pub(super) fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Notes that all of `item` was said.
    pub(super) fn whole(&mut self, at: u32, item: &Item) {
        match &item.kind {
            ItemKind::Message { parts, .. } => {
                for (index, part) in (0..).zip(parts) {
                    let channel = if matches!(part, Part::Refusal(_)) { Channel::Refusal } else { Channel::Text };
                    self.record((at, index, channel));
                }
            }
            ItemKind::Call { kind, .. } => {
                self.call(at, *kind);
                self.record((at, 0, Channel::Arguments));
            }
            _ => {}
        }
    }
}
