//! Where the events of one frame go.

use bytes::Bytes;

use crate::canon::{Event, Frame, What};
use crate::dialect::Dialect;

/// The events of one frame, or of a whole body, which has no frames.
pub(super) struct Sink<'o> {
    out: &'o mut Vec<Event>,
    /// The frame, until an event carries it.
    frame: Option<Frame>,
    framed: bool,
}

impl<'o> Sink<'o> {
    pub(super) fn new(out: &'o mut Vec<Event>, frame: Option<Frame>) -> Self {
        Self { out, framed: frame.is_some(), frame }
    }

    /// Events at the end of a stream that no frame is left to carry.
    pub(super) fn behind(out: &'o mut Vec<Event>) -> Self {
        Self { out, frame: None, framed: true }
    }

    /// An event that another event of the frame stands for.
    pub(super) fn aside(&mut self, what: What) {
        let raw = self.framed.then(|| Frame { dialect: Dialect::Messages, bytes: Bytes::new() });
        self.out.push(Event { what, raw });
    }

    /// An event that no frame says and that a writer of this dialect must say itself.
    pub(super) fn own(&mut self, what: What) {
        self.out.push(Event::new(what));
    }

    /// An event that carries the frame, if none did before.
    pub(super) fn say(&mut self, what: What) {
        match self.frame.take() {
            Some(frame) => self.out.push(Event { what, raw: Some(frame) }),
            None => self.aside(what),
        }
    }

    /// Makes sure that the frame is carried.
    pub(super) fn finish(&mut self) {
        if self.frame.is_some() {
            self.say(What::Other);
        }
    }
}
