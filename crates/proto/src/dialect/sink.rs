//! Where the events of one frame go: the rule that exactly one of them carries it.

use bytes::Bytes;

use crate::canon::{Carrier, Event, Head, Item, ItemKind, RawFrame, What};
use crate::dialect::Dialect;

/// The events of one frame, or of a whole body.
pub(super) struct EventSink<'o> {
    out: &'o mut Vec<Event>,
    dialect: Dialect,
    /// The frame's bytes, until an event carries it.
    frame: Option<Bytes>,
    /// Whether events without a frame of their own are covered by one.
    framed: bool,
}

impl<'o> EventSink<'o> {
    /// The events of a frame.
    pub(super) fn new(out: &'o mut Vec<Event>, dialect: Dialect, frame: Bytes) -> Self {
        Self { out, dialect, frame: Some(frame), framed: true }
    }

    /// Events behind the last frame, which are no edit of the frames.
    pub(super) fn behind(out: &'o mut Vec<Event>, dialect: Dialect) -> Self {
        Self { out, dialect, frame: None, framed: true }
    }

    /// Events that no frame says.
    pub(super) fn bare(out: &'o mut Vec<Event>, dialect: Dialect) -> Self {
        Self { out, dialect, frame: None, framed: false }
    }

    /// An event that carries the frame, if none did before.
    pub(super) fn push(&mut self, what: What) {
        match self.frame.take() {
            Some(bytes) => {
                let carrier = Carrier::Frame(RawFrame { dialect: self.dialect, bytes });
                self.out.push(Event { what, carrier });
            }
            None => self.aside(what),
        }
    }

    /// An item that comes whole.
    pub(super) fn item(&mut self, at: u32, kind: ItemKind) {
        self.push(What::ItemOpen { at, head: Head::of(&kind) });
        self.push(What::ItemDone { at, item: Item { kind, raw: None } });
    }

    /// An event that another event of the frame stands for.
    pub(super) fn aside(&mut self, what: What) {
        let carrier = if self.framed { Carrier::Covered(self.dialect) } else { Carrier::Ours };
        self.out.push(Event { what, carrier });
    }

    /// Covered events, which leave the frame to an event after them.
    pub(super) fn covered(&mut self, add: impl FnOnce(&mut Self)) {
        let frame = self.frame.take();
        add(self);
        self.frame = frame;
    }

    /// An event that no frame says and that a writer of this dialect must write itself.
    pub(super) fn push_ours(&mut self, what: What) {
        self.out.push(Event::new(what));
    }

    /// Leaves the frame out: no event carries it.
    pub(super) fn drop_frame(&mut self) {
        self.frame = None;
    }

    /// Makes sure that the frame is carried.
    pub(super) fn finish(&mut self) {
        if self.frame.is_some() {
            self.push(What::Other);
        }
    }

    /// Goes on with the next frame.
    pub(super) fn next(&mut self, frame: Bytes) {
        self.finish();
        self.frame = Some(frame);
    }
}
