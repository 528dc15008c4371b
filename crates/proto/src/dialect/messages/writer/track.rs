//! The item that is being written, the parts of it that the client has, and the events that wait for its end.

use std::collections::VecDeque;

use bytes::BytesMut;

use crate::canon::{Channel, What};
use crate::text::Text;

/// The items of one reply.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    open: Option<OpenItem>,
    /// Waiting items, in the order in which they began.
    waiting: VecDeque<DeferredItem>,
    /// Finished items.
    done: Vec<u32>,
}

/// The item that is being written.
#[derive(Debug)]
struct OpenItem {
    at: u32,
    /// Parts with text, in the order in which they began.
    parts: Vec<(u32, Channel)>,
}

/// A waiting item and its events so far.
#[derive(Debug)]
pub(super) struct DeferredItem {
    at: u32,
    events: Vec<DeferredEvent>,
}

/// A waiting event. Pieces of one part are joined, so that a long text is one event and holds no chunk of the upstream.
#[derive(Debug)]
enum DeferredEvent {
    Piece { part: u32, channel: Channel, text: BytesMut },
    Other(What),
}

impl DeferredItem {
    fn hold(&mut self, what: &What) {
        let What::Delta { part, channel, data, .. } = what else {
            return self.events.push(DeferredEvent::Other(what.clone()));
        };
        let open = self.events.iter_mut().find_map(|held| match held {
            DeferredEvent::Piece { part: other, channel: of, text } if (*other, *of) == (*part, *channel) => Some(text),
            _ => None,
        });
        if let Some(text) = open {
            text.extend_from_slice(data.escaped());
        } else {
            let text = BytesMut::from(&data.escaped()[..]);
            self.events.push(DeferredEvent::Piece { part: *part, channel: *channel, text });
        }
    }

    /// The waiting events, in order.
    pub(super) fn events(self) -> impl Iterator<Item = What> {
        let at = self.at;
        self.events.into_iter().map(move |held| match held {
            DeferredEvent::Piece { part, channel, text } => {
                What::Delta { at, part, channel, data: Text::from_escaped(text.freeze()) }
            }
            DeferredEvent::Other(what) => what,
        })
    }
}

/// Whether an event may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// The event's item is the one that is being written.
    Now,
    /// Another item is being written.
    Later,
    /// The event's item is already finished.
    Never,
}

impl Tracks {
    /// Whether the item at `at` may be written; opens the item if no other is being written.
    pub(super) fn readiness(&mut self, at: u32) -> Readiness {
        match &self.open {
            Some(live) if live.at == at => Readiness::Now,
            _ if self.done.contains(&at) => Readiness::Never,
            Some(_) => Readiness::Later,
            None => {
                self.begin(at);
                Readiness::Now
            }
        }
    }

    /// Makes the item at `at` the one that is being written.
    pub(super) fn begin(&mut self, at: u32) {
        if self.open.as_ref().is_none_or(|live| live.at != at) {
            self.open = Some(OpenItem { at, parts: Vec::new() });
        }
    }

    /// Holds an event until its item may be written.
    pub(super) fn wait(&mut self, at: u32, what: &What) {
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.at == at) {
            return waiting.hold(what);
        }
        let mut waiting = DeferredItem { at, events: Vec::new() };
        waiting.hold(what);
        self.waiting.push_back(waiting);
    }

    /// The next waiting item, if no item is being written.
    pub(super) fn next(&mut self) -> Option<DeferredItem> {
        let waiting = if self.open.is_none() { self.waiting.pop_front() } else { None }?;
        self.begin(waiting.at);
        Some(waiting)
    }

    /// Notes a piece of a part; returns whether the client already had a piece of that part.
    pub(super) fn note_part(&mut self, part: u32, channel: Channel) -> bool {
        let Some(live) = &mut self.open else { return false };
        if live.parts.last() == Some(&(part, channel)) || live.parts.contains(&(part, channel)) {
            return true;
        }
        live.parts.push((part, channel));
        false
    }

    /// Whether the client has a piece of the part.
    pub(super) fn has(&self, part: u32, channel: Channel) -> bool {
        self.open.as_ref().is_some_and(|live| live.parts.contains(&(part, channel)))
    }

    /// Whether the client has a piece of the item.
    pub(super) fn any(&self) -> bool {
        self.open.as_ref().is_some_and(|live| !live.parts.is_empty())
    }

    /// Notes that the item at `at` is finished.
    pub(super) fn done(&mut self, at: u32) {
        self.open.take_if(|live| live.at == at);
        self.done.push(at);
    }

    /// Ends the item that is being written; `false` when there is none.
    pub(super) fn drop_live(&mut self) -> bool {
        let at = self.open.as_ref().map(|live| live.at);
        at.map(|at| self.done(at)).is_some()
    }
}
