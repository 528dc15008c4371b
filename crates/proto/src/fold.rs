//! Builds a whole reply from its events: the non-stream body is always a fold of the stream.

mod chunks;
mod item_draft;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

use crate::canon::{Carrier, Event, Finish, Item, RawFrame, Usage, What};
use crate::failure::Failure;
use crate::protocol::Dialect;
use crate::text::{self, Json, Text};
pub use item_draft::BRIEF;
pub(crate) use item_draft::ItemDraft;

/// A collected reply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Whole {
    /// The upstream's id, empty when it gave none.
    pub id: Text,
    /// The model that answered, as the upstream named it.
    pub model: Option<Text>,
    /// Unix seconds, 0 when unknown.
    pub created: u64,
    /// The items in output order.
    pub items: Vec<Item>,
    /// Token counts, where given.
    pub usage: Option<Usage>,
    /// How it ended; `None` while open or failed.
    pub finish: Option<Finish>,
    /// The stop sequence that ended it, if one did.
    pub stop: Option<Text>,
    /// The frames of the reply, which may hold more than its items; empty when any part of the reply came without a frame.
    pub frames: Vec<RawFrame>,
    /// The terminal object of the responses dialect, as it came.
    pub response: Option<Json>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// The reply's timing; zero when unknown.
    pub timing: Timing,
}

impl Whole {
    /// The frames of a reply in this protocol; empty for a reply in another one.
    pub(crate) fn frames_in(&self, dialect: Dialect) -> impl Iterator<Item = &Bytes> {
        self.frames.iter().filter(move |frame| frame.dialect == dialect).map(|frame| &frame.bytes)
    }
}

/// The times of a reply's events, counted from its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// The first piece; zero when there was none.
    pub first: Duration,
    /// The latest event; the last one when the reply is complete.
    pub last: Duration,
}

impl Timing {
    /// Records an event that came `elapsed` after the request.
    pub(crate) fn see(&mut self, what: &What, elapsed: Duration) {
        let piece = matches!(what, What::Delta { .. } | What::ItemDone { .. });
        if piece && self.first.is_zero() {
            self.first = elapsed;
        }
        self.last = elapsed;
    }
}

/// Collects events into a [`Whole`]. What comes after the first terminal event is ignored.
#[derive(Debug, Default)]
pub struct Fold {
    whole: Whole,
    /// The only dialect whose frames are stored; `None` stores all.
    client: Option<Dialect>,
    /// Items by output index, ascending.
    drafts: Vec<(u32, ItemDraft)>,
    /// Whether an event changed the reply without a frame.
    edited: bool,
    elapsed: Duration,
}

impl Fold {
    /// An empty fold that stores all frames.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty fold for a body in `client`'s dialect. Frames of other dialects are not stored: they are tens of times as large as their
    /// text.
    pub fn for_client(client: Dialect) -> Self {
        Self { client: Some(client), ..Self::default() }
    }

    /// Sets the time since the request came, for [`Whole::timing`].
    pub fn at(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
    }

    /// Adds one event.
    pub fn push(&mut self, event: &Event) {
        if self.whole.finish.is_some() || self.whole.failure.is_some() {
            return;
        }
        self.whole.timing.see(&event.what, self.elapsed);
        self.keep(&event.carrier);
        match &event.what {
            What::Open(open) => {
                self.whole.id = open.id.clone();
                self.whole.model.clone_from(&open.model);
                self.whole.created = open.created;
            }
            What::ItemOpen { at, head } => self.draft(*at).open(head),
            What::Delta { at, part, channel, data } => self.draft(*at).delta(*part, *channel, data),
            What::Annotation { at, part, data } => self.draft(*at).annotation(*part, data),
            What::ItemDone { at, item } => self.draft(*at).done(item),
            What::Usage(usage) => self.whole.usage = Some(*usage),
            What::End { finish, response } => {
                self.whole.finish = Some(*finish);
                self.whole.response.clone_from(response);
            }
            What::Fail(failure) => self.whole.failure = Some(failure.clone()),
            What::Stopped(sequence) => self.whole.stop = Some(sequence.clone()),
            What::Limits(_) | What::Metadata(_) | What::Piece { .. } | What::Note(_) | What::Other => {}
        }
    }

    /// The reply so far. An item that never ended is built from its pieces.
    pub fn finish(mut self) -> Whole {
        self.whole.items = self.drafts.into_iter().filter_map(|(_, draft)| draft.item()).collect();
        self.whole
    }

    /// Stores the frame, as long as the whole reply comes in frames. Responses have their terminal object instead.
    fn keep(&mut self, carrier: &Carrier) {
        match carrier {
            Carrier::Ours | Carrier::Covered(Dialect::Responses) => self.forget_frames(),
            Carrier::Frame(frame) if frame.dialect == Dialect::Responses => self.forget_frames(),
            Carrier::Frame(frame) if !self.edited && self.client.is_none_or(|client| client == frame.dialect) => {
                self.whole.frames.push(RawFrame { dialect: frame.dialect, bytes: text::owned(&frame.bytes) });
            }
            Carrier::Covered(_) | Carrier::Frame(_) => {}
        }
    }

    fn forget_frames(&mut self) {
        self.edited = true;
        self.whole.frames = Vec::new();
    }

    fn draft(&mut self, at: u32) -> &mut ItemDraft {
        let index = match self.drafts.binary_search_by_key(&at, |(at, _)| *at) {
            Ok(index) => index,
            Err(index) => {
                self.drafts.insert(index, (at, ItemDraft::default()));
                index
            }
        };
        &mut self.drafts[index].1
    }
}
