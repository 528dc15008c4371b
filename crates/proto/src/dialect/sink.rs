//! Collects the events of one frame and makes sure that exactly one of them carries the frame.

use bytes::Bytes;

use crate::canon::{Carrier, Event, Head, Item, ItemKind, RawFrame, What};
use crate::dialect::Dialect;

/// The events of one frame, or of a whole body.
pub(super) struct EventSink<'o> {
    out: &'o mut Vec<Event>,
    dialect: Dialect,
    /// The frame's bytes, until an event carries it.
    frame: Option<Bytes>,
    /// Whether the events that carry no frame are covered by one.
    framed: bool,
}

impl<'o> EventSink<'o> {
    /// The events of a frame.
    pub(super) fn new(out: &'o mut Vec<Event>, dialect: Dialect, frame: Bytes) -> Self {
        Self { out, dialect, frame: Some(frame), framed: true }
    }

    /// Events after the last frame, which do not count as edits of the frames.
    pub(super) fn behind(out: &'o mut Vec<Event>, dialect: Dialect) -> Self {
        Self { out, dialect, frame: None, framed: true }
    }

    /// Events without a frame.
    pub(super) fn bare(out: &'o mut Vec<Event>, dialect: Dialect) -> Self {
        Self { out, dialect, frame: None, framed: false }
    }

    /// Adds an event; it carries the frame if no earlier event does.
    pub(super) fn push(&mut self, what: What) {
        match self.frame.take() {
            Some(bytes) => {
                let carrier = Carrier::Frame(RawFrame { dialect: self.dialect, bytes });
                self.out.push(Event { what, carrier });
            }
            None => self.aside(what),
        }
    }

    /// Adds a complete item.
    pub(super) fn item(&mut self, at: u32, kind: ItemKind) {
        self.push(What::ItemOpen { at, head: Head::of(&kind) });
        self.push(What::ItemDone { at, item: Item { kind, raw: None } });
    }

    /// Adds an event that another event of the frame covers.
    pub(super) fn aside(&mut self, what: What) {
        let carrier = if self.framed { Carrier::Covered(self.dialect) } else { Carrier::Ours };
        self.out.push(Event { what, carrier });
    }

    /// Adds covered events and leaves the frame to an event after them.
    pub(super) fn covered(&mut self, add: impl FnOnce(&mut Self)) {
        let frame = self.frame.take();
        add(self);
        self.frame = frame;
    }

    /// Adds an event that is in no frame and that a writer of this dialect must write itself.
    pub(super) fn push_ours(&mut self, what: What) {
        self.out.push(Event::new(what));
    }

    /// Drops the frame: no event carries it.
    pub(super) fn drop_frame(&mut self) {
        self.frame = None;
    }

    /// Adds an empty event for the frame if no event carries it yet.
    pub(super) fn finish(&mut self) {
        if self.frame.is_some() {
            self.push(What::Other);
        }
    }

    /// Starts the next frame.
    pub(super) fn next(&mut self, frame: Bytes) {
        self.finish();
        self.frame = Some(frame);
    }
}
