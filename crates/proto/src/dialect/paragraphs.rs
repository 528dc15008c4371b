//! Paragraphs of reasoning, for protocols that show all of it as one text.

use crate::canon::{Channel, PartKey};

/// Detects where a paragraph begins.
#[derive(Debug, Default)]
pub(super) struct Paragraphs {
    /// Parts of reasoning in the order of their first deltas; a reply has few.
    begun: Vec<PartKey>,
    /// The part of the last delta.
    last: Option<PartKey>,
}

impl Paragraphs {
    /// Records a delta. `true` if it begins a paragraph after another one.
    pub(super) fn begins(&mut self, part: PartKey) -> bool {
        if self.last == Some(part) || !matches!(part.channel, Channel::Reasoning | Channel::Summary) {
            return false;
        }
        self.last = Some(part);
        if self.begun.contains(&part) {
            return false;
        }
        self.begun.push(part);
        self.begun.len() > 1
    }
}
